package payload

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/payload/simulated"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

// P3: whatever is lost, and whatever the engine has to look at after it, there is one user, and
// it is known to be ours.
func TestP3OneUserWhateverIsLost(t *testing.T) {
	page := simulator.Instead(502, nil, "<html>")
	for name, c := range map[string]struct {
		faults []simulator.Fault
		kind   provider.ErrorKind // of the Create; "": it succeeds
		made   int                // users after it
	}{
		"nothing":                        {nil, "", 1},
		"init's answer":                  {[]simulator.Fault{{Path: initPath, Do: simulator.LoseAnswer()}}, provider.Transient, 0},
		"the request":                    {[]simulator.Fault{{Path: firstPath, Do: simulator.LoseRequest()}}, provider.Uncertain, 0},
		"the answer":                     {[]simulator.Fault{{Path: firstPath, Do: simulator.LoseAnswer()}}, "", 1},
		"the answer, to a page":          {[]simulator.Fault{{Path: firstPath, Do: page}}, "", 1},
		"the answer, to another JSON":    {[]simulator.Fault{{Path: firstPath, Do: simulator.Instead(200, nil, `{"message":"ok"}`)}}, "", 1},
		"the answer, to nothing":         {[]simulator.Fault{{Path: firstPath, Do: simulator.Instead(204, nil, ``)}}, "", 1},
		"the answer, to a redirect":      {[]simulator.Fault{{Path: firstPath, Do: simulator.Instead(303, nil, ``)}}, "", 1},
		"the answer, to a gateway's 504": {[]simulator.Fault{{Path: firstPath, Do: simulator.Instead(504, nil, ``)}}, "", 1},
		"the answer and the login's":     {[]simulator.Fault{{Path: firstPath, Do: simulator.LoseAnswer()}, {Path: loginPath, Do: simulator.LoseAnswer()}}, provider.Uncertain, 1},
		"the answer and the login":       {[]simulator.Fault{{Path: firstPath, Do: simulator.LoseAnswer()}, {Path: loginPath, Do: page}}, provider.Uncertain, 1},
		"the database, then":             {[]simulator.Fault{{Path: firstPath, Do: simulator.Refuse(500, nil, `{"message":"There was an error initializing Payload"}`)}}, provider.Uncertain, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			w.faults.Add(c.faults...)
			p, wish := w.open(), w.wish("site-1")
			o, err := p.Create(t.Context(), wish)
			if c.kind == "" && err != nil || c.kind != "" && provider.KindOf(err) != c.kind {
				t.Fatalf("create: %v, want %q", err, c.kind)
			}
			calls := w.asked()
			if n := len(w.site("site-1").Users()); n != c.made || count(calls, "first-register") > 1 || count(calls, "login") > 1 {
				t.Fatalf("%d users after %v, want %d", n, calls, c.made)
			}
			found := look(t, p, wish)
			if len(found) != c.made {
				t.Fatalf("found %v, want %d", found, c.made)
			}
			if c.made == 0 {
				o = create(t, p, wish)
				found = look(t, p, wish)
			}
			if len(found) != 1 || err == nil && found[0].ID != o.ID {
				t.Errorf("found %v, made %v", found, o)
			}
			if got := emails(w.site("site-1")); got != testEmail {
				t.Errorf("users: %s", got)
			}
			_, err = p.Create(t.Context(), wish)
			wantKind(t, "once more", err, provider.Conflict)
			if got := emails(w.site("site-1")); got != testEmail {
				t.Errorf("users: %s", got)
			}
		})
	}
}

// A stranger who is first is never taken for ours, whoever notices when, and whatever address
// he chose; and he is neither changed nor locked.
func TestAStrangerIsFirst(t *testing.T) {
	for _, email := range []string{"eve@elsewhere.example", testEmail} {
		for what, between := range map[string]bool{"before": false, "between look and create": true} {
			t.Run(email+" "+what, func(t *testing.T) {
				var site *simulated.Payload
				comes := func() {
					if err := site.Add(email, "a stranger's password", false); err != nil {
						t.Error(err)
					}
				}
				w := start(t, func(o *simulated.Options) {
					if between && email == testEmail {
						o.Between = comes // only the unique index notices
					}
				})
				site = w.site("site-1")
				p, wish := w.open(), w.wish("site-1")
				if !between {
					comes()
				} else if email != testEmail { // on the way of our first-register
					w.faults.Add(simulator.Fault{Path: firstPath, Match: func(*http.Request, []byte) bool { comes(); return false }, Do: simulator.LoseRequest()})
				}
				_, err := p.Create(t.Context(), wish)
				wantKind(t, "create", err, provider.Conflict)
				if !strings.Contains(err.Error(), "somebody else was first") || !strings.Contains(err.Error(), "retry") {
					t.Errorf("it does not say what to do: %v", err)
				}
				if found := look(t, p, wish); len(found) != 0 {
					t.Errorf("found %v", found)
				}
				if emails(site) != email {
					t.Errorf("users: %s", emails(site))
				}
				for _, u := range site.Users() {
					if u.Email != email || u.Attempts > 2 {
						t.Errorf("users: %+v", u)
					}
				}
			})
		}
	}
}

// Two at once can both pass Payload's look: both are there, and ours is known as ours.
func TestBothPassTheLook(t *testing.T) {
	var site *simulated.Payload
	w := start(t, func(o *simulated.Options) {
		o.Between = func() {
			if err := site.Add("eve@elsewhere.example", "a stranger's password", false); err != nil {
				t.Error(err)
			}
		}
	})
	site = w.site("site-1")
	p, wish := w.open(), w.wish("site-1")
	o := create(t, p, wish)
	if got := emails(site); got != "eve@elsewhere.example "+testEmail {
		t.Errorf("users: %s", got)
	}
	if found := look(t, p, wish); len(found) != 1 || found[0].ID != o.ID {
		t.Errorf("found %v", found)
	}
}

// A user who is locked by wrong passwords is no stranger, in whatever language the site says
// so; until the lock is over nobody logs in, and then he is found.
func TestLockedIsNoConflict(t *testing.T) {
	for _, german := range []bool{false, true} {
		t.Run(fmt.Sprint("german ", german), func(t *testing.T) {
			w := start(t, func(o *simulated.Options) { o.German = german })
			p, wish := w.open(), w.wish("site-1")
			o := create(t, p, wish)
			other, err := New(Options{HTTP: p.http, Now: w.clock.Now})
			if err != nil {
				t.Fatal(err)
			}
			for n := range 5 {
				stranger := w.wish("site-1", input("password", fmt.Sprint("a guess of somebody ", n)))
				if found := look(t, other, stranger); len(found) != 0 {
					t.Fatalf("a guess finds %v", found)
				}
			}
			w.asked()
			_, err = p.Observe(t.Context(), provider.Query{Kind: state.KindAdmin, Name: wish.Name, Wish: &wish})
			wantKind(t, "a look", err, provider.Transient)
			if until := provider.UntilOf(err); !until.Equal(w.clock.Now().Add(10 * time.Minute)) {
				t.Errorf("until %s", until)
			}
			if n := count(w.asked(), "/login"); n != 2 {
				t.Errorf("%d logins in a look", n)
			}
			w.clock.move(time.Minute)
			_, err = p.Create(t.Context(), wish)
			wantKind(t, "create", err, provider.Transient)
			if until := provider.UntilOf(err); !until.Equal(w.clock.Now().Add(9 * time.Minute)) {
				t.Errorf("until %s", until)
			}
			if n := count(w.asked(), "/login"); n != 0 {
				t.Errorf("%d logins of a user that is known to be locked", n)
			}
			w.clock.move(9 * time.Minute)
			if found := look(t, p, wish); len(found) != 1 || found[0].ID != o.ID {
				t.Errorf("found %v after the lock", found)
			}
		})
	}
}

// Whoever has our address and another password is not locked by looks for ours: it is tried once
// in ten minutes. Once he is deleted ours is made, and known though its answer is lost.
func TestAWrongPasswordIsTriedOnce(t *testing.T) {
	w := start(t)
	p, wish, site := w.open(), w.wish("site-1"), w.site("site-1")
	if err := site.Add(testEmail, "a stranger's password", false); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		for range 9 {
			if found := look(t, p, wish); len(found) != 0 {
				t.Fatalf("found %v", found)
			}
			_, err := p.Create(t.Context(), wish)
			wantKind(t, "create", err, provider.Conflict)
			w.clock.move(time.Minute)
		}
		w.clock.move(time.Minute)
	}
	if u := site.Users()[0]; u.Attempts != 4 || !u.LockUntil.IsZero() {
		t.Errorf("%d wrong passwords in 40 minutes, locked until %s", u.Attempts, u.LockUntil)
	}
	if err := site.Drop(); err != nil {
		t.Fatal(err)
	}
	w.faults.Add(simulator.Fault{Path: firstPath, Do: simulator.LoseAnswer()}, simulator.Fault{Path: loginPath, Do: simulator.LoseAnswer()})
	_, err := p.Create(t.Context(), wish)
	wantKind(t, "create with its answers lost", err, provider.Uncertain)
	if found := look(t, p, wish); len(found) != 1 {
		t.Errorf("found %v", found)
	}
}

// Known locks are bounded, and end.
func TestLocksAreBounded(t *testing.T) {
	w := start(t)
	p := w.open()
	tried := func(n int) (site, target) {
		t.Helper()
		made, err := wished("observe", w.wish(name(n)), true)
		if err != nil {
			t.Fatal(err)
		}
		return p.siteOf(made), made
	}
	for n := range maxLocked + 10 {
		s, made := tried(n)
		p.locked.note(s.user(made), w.clock.Now(), lockTime)
	}
	if len(p.locked.at) != maxLocked {
		t.Errorf("%d are remembered", len(p.locked.at))
	}
	w.clock.move(lockTime)
	s, made := tried(maxLocked + 20)
	p.locked.note(s.user(made), w.clock.Now(), lockTime)
	if len(p.locked.at) != 1 || p.locked.until(s.user(made), w.clock.Now()).IsZero() {
		t.Errorf("%d are remembered after their time", len(p.locked.at))
	}
	w.clock.move(-time.Hour)
	if until := p.locked.until(s.user(made), w.clock.Now()); !until.IsZero() {
		t.Errorf("a clock that was set back by an hour keeps a lock of ten minutes until %s", until)
	}
}

// The engine looks before it makes a password: nobody of ours can be there, and no site is asked.
func TestLookBeforeThereIsAPassword(t *testing.T) {
	w := start(t)
	p := w.open()
	without := w.wish("site-1")
	without.Inputs = slices.DeleteFunc(without.Inputs, func(i provider.Input) bool { return i.Name == "password" })
	if found := look(t, p, without); len(found) != 0 || len(w.asked()) != 0 {
		t.Errorf("found %v", found)
	}
	_, err := p.Create(t.Context(), without)
	wantKind(t, "a create", err, provider.Invalid)
}
