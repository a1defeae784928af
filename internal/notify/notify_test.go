package notify

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/bolt"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/secret"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// desk is a store, and mailboxes that take a name once.
type desk struct {
	testing.TB
	at    time.Time
	store store.Store
	n     *Notifier
	got   map[string][]string // recipient → subjects
	names map[string]bool     // that were sent
	texts []string
	fail  func(to string) error // nil: the mail arrives
	after error                 // told though the mail arrived
	log   strings.Builder
}

func newDesk(t testing.TB, to ...string) *desk {
	t.Helper()
	keys, err := secret.Open(secret.KeySource{Env: state.NewSecret(strings.Repeat("0a", 32))})
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{TB: t, at: time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC), got: map[string][]string{}, names: map[string]bool{}}
	s, err := bolt.Open(bolt.Options{Path: filepath.Join(t.TempDir(), "state.db"), Keys: keys, Now: d.now, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	d.store = s
	if len(to) == 0 {
		to = []string{"ops@acme.example"}
	}
	d.begin(to...)
	return d
}

// begin starts a notifier anew, as a restart does.
func (d *desk) begin(to ...string) {
	d.n = &Notifier{Store: d.store, Installation: "0a1b2c3d", To: to, Base: "https://reconciler.acme.example", Now: d.now, Redact: func(s string) string { return strings.ReplaceAll(s, "hush", "***") },
		Log: slog.New(slog.NewTextHandler(&d.log, nil)), Send: d.send}
}

func (d *desk) now() time.Time { return d.at }

func (d *desk) send(_ context.Context, name, to string, l report.Letter, looked bool) error {
	if d.fail != nil {
		if err := d.fail(to); err != nil {
			return err
		}
	}
	if d.names[name] {
		if looked {
			return nil
		}
		return &provider.Error{Kind: provider.Conflict, Provider: "box", Op: "create", Message: "it was sent"}
	}
	d.names[name] = true
	d.got[to] = append(d.got[to], l.Subject)
	d.texts = append(d.texts, l.Text, l.HTML)
	if err := d.after; err != nil {
		d.after = nil
		return err
	}
	return nil
}

// put records a client.
func (d *desk) put(name string, change func(*state.Client)) {
	d.Helper()
	err := d.store.Update(func(tx store.Tx) error {
		c := state.Client{ID: state.ClientID(name + "-1"), Name: name, Status: state.StatusActive, Health: state.Healthy, EverDeployed: true, Commit: "c1"}
		if change != nil {
			change(&c)
		}
		return store.PutClient(tx, c)
	})
	if err != nil {
		d.Fatal(err)
	}
}

func failed(c *state.Client) {
	c.Status, c.FailedStep, c.Because, c.Next = state.StatusFailed, "deploy", "the build failed: hush", "`reconciler retry "+c.Name+"`"
}

// run lets minutes go by.
func (d *desk) run(minutes int) {
	d.Helper()
	for range minutes {
		d.at = d.at.Add(time.Minute)
		if err := d.n.Run(context.Background()); err != nil {
			d.log.WriteString(err.Error() + "\n")
		}
	}
}

func (d *desk) want(subjects ...string) {
	d.Helper()
	if got := d.got["ops@acme.example"]; !slices.Equal(got, subjects) {
		d.Errorf("told %q, want %q", got, subjects)
	}
}

// One mail a cause, and one when it is over; nothing for what was never told.
func TestOneMailACause(t *testing.T) {
	d := newDesk(t)
	d.put("onda", nil)
	d.put("brio", nil)
	d.run(5)
	d.want()
	d.put("onda", failed)
	d.run(30)
	d.want("onda failed")
	d.put("onda", func(c *state.Client) { c.Status = state.StatusDeploying })
	d.run(30)
	d.put("onda", failed) // tried again, the same comes of it
	d.begin("ops@acme.example")
	d.run(30)
	d.want("onda failed")
	d.put("onda", func(c *state.Client) { failed(c); c.FailedStep = "database" })
	d.run(30)
	d.want("onda failed", "onda failed")
	d.put("onda", func(c *state.Client) { c.Health = state.Degraded })
	d.run(30)
	d.put("onda", nil)
	d.run(30)
	d.want("onda failed", "onda failed", "onda does not answer as it should", "onda is well again")
	d.put("brio", failed)
	d.run(1) // one look alone is not enough
	d.put("brio", nil)
	d.run(30)
	d.want("onda failed", "onda failed", "onda does not answer as it should", "onda is well again")
	for _, text := range d.texts {
		if strings.Contains(text, "hush") {
			t.Errorf("a secret is told: %s", text)
		}
	}
}

// A hundred failures are one mail, and their end another.
func TestAFloodIsOneMail(t *testing.T) {
	d := newDesk(t)
	for n := range 100 {
		d.put(fmt.Sprintf("shop%03d", n), failed)
	}
	d.run(120)
	d.want("Clients: 100 failed")
	if text := d.texts[0]; strings.Count(text, "What to do: ") != maxShown || !strings.Contains(text, "And 70 more") {
		t.Errorf("%s", text)
	}
	for n := range 100 {
		d.put(fmt.Sprintf("shop%03d", n), nil)
		d.run(1) // one after the other
	}
	d.run(30)
	if got := len(d.got["ops@acme.example"]); got > 13 {
		t.Errorf("%d mails in 130 minutes", got)
	}
}

// In quiet hours nobody is told; what is over by then is not told.
func TestQuietHours(t *testing.T) {
	d := newDesk(t)
	quiet, err := ParseQuiet("22:00-07:00")
	if err != nil {
		t.Fatal(err)
	}
	d.n.Quiet = quiet
	d.at = time.Date(2026, 11, 26, 22, 30, 0, 0, time.UTC)
	d.put("onda", failed)
	d.put("brio", failed)
	d.run(60)
	d.put("brio", nil)
	d.run(60)
	d.want()
	d.at = time.Date(2026, 11, 27, 7, 0, 0, 0, time.UTC)
	d.run(3)
	d.want("onda failed")
	for text, want := range map[string]bool{"": true, "22:00-07:00": true, "1:00-2:00": true, "22:00": false, "a-b": false, "22:00-22:00": false, "25:00-07:00": false} {
		if _, err := ParseQuiet(text); (err == nil) != want {
			t.Errorf("%q: %v", text, err)
		}
	}
	day, _ := ParseQuiet("01:00-02:00")
	if none := (Quiet{}); day.During(time.Date(2026, 11, 26, 2, 0, 0, 0, time.UTC)) || !day.During(time.Date(2026, 11, 26, 1, 0, 0, 0, time.UTC)) || none.During(d.at) {
		t.Error("hours")
	}
}

// Holds of a client and of the whole repository are told; one that is answered needs no mail.
func TestHolds(t *testing.T) {
	d := newDesk(t)
	d.put("onda", func(c *state.Client) {
		c.Status, c.Because, c.Next = state.StatusHeld, "its database would go", "`reconciler approve 9f3a`"
	})
	hold := state.Hold{Fingerprint: "9f3b", Kind: "guard", Reason: "12 clients would go at once", Act: "`reconciler approve 9f3b`", At: d.at}
	if err := d.store.Update(func(tx store.Tx) error { return store.PutHold(tx, hold) }); err != nil {
		t.Fatal(err)
	}
	d.run(30)
	d.want("Clients: 2 held")
	if err := d.store.Update(func(tx store.Tx) error { return store.DeleteHold(tx, "9f3b") }); err != nil {
		t.Fatal(err)
	}
	d.run(30)
	d.put("onda", nil)
	d.run(30)
	d.want("Clients: 2 held", "onda is well again")
}

// The site of who waits, or failed, goes down meanwhile: that is told, and so is its end. Before it was told it is
// not said that it runs.
func TestS44SickWhileItWaitsOrFailed(t *testing.T) {
	held := func(c *state.Client) {
		c.Status, c.Because, c.Next = state.StatusHeld, "changes are frozen until 2 January 2027", "nothing"
	}
	for word, is := range map[string]func(*state.Client){"waits for you": held, "failed": failed} {
		d := newDesk(t)
		d.put("onda", is)
		d.run(30)
		d.put("onda", func(c *state.Client) { is(c); c.Health = state.Degraded })
		d.run(60)
		d.want("onda "+word, "onda "+word)
		if text := d.texts[len(d.texts)-2]; !strings.Contains(text, "does not answer as it should") || strings.Contains(text, "as before") || strings.Contains(text, "still runs") {
			t.Errorf("%s", text)
		}
		d.put("onda", is)
		d.run(60)
		d.put("onda", nil)
		d.run(60)
		d.want("onda "+word, "onda "+word, "onda "+word, "onda is well again")
	}
}

// What runs after a failure is said as it is known, once.
func TestAMailSaysWhatRuns(t *testing.T) {
	for because, want := range map[string]string{
		"Your site still runs the old version. the build failed":                "Your site still runs the old version.\nWhy: the build failed\n",
		state.RunsUnnamed + " the build failed":                                 state.RunsUnnamed + "\nWhy: the build failed\n",
		"Your site runs the new version. What it replaced could not be removed": "Your site runs the new version.\nWhy: What it replaced could not be removed\n",
		"the probe failed; " + state.NotPutBack + "the build failed":            "What it runs by now the cause says.\nWhy: the probe failed; ",
		"the build failed": "The site still runs its last good version.\nWhy: the build failed\n",
	} {
		d := newDesk(t)
		d.put("onda", func(c *state.Client) { failed(c); c.Because = because })
		d.run(30)
		if len(d.texts) == 0 || !strings.Contains(d.texts[0], "onda failed\n"+want) {
			t.Errorf("%q: %q", because, d.texts)
		}
	}
}

// A bulletin arrives once at each, whatever fails on its way, across a restart.
func TestABulletinArrivesOnce(t *testing.T) {
	d := newDesk(t, "ops@acme.example", "kim@acme.example", "gone@acme.example")
	d.put("onda", failed)
	lost := &provider.Error{Kind: provider.Uncertain, Provider: "box", Op: "create", Message: "no answer"}
	d.after = lost // ops has it, and we don't know
	d.fail = func(to string) error {
		switch {
		case strings.HasPrefix(to, "gone"):
			return &provider.Error{Kind: provider.Invalid, Provider: "box", Op: "create", Message: "nobody of that name"}
		case strings.HasPrefix(to, "kim"):
			return &provider.Error{Kind: provider.Transient, Provider: "box", Op: "create", Message: "later"}
		}
		return nil
	}
	d.run(5)
	d.begin("ops@acme.example", "kim@acme.example", "gone@acme.example")
	d.run(60)
	d.fail = nil
	d.run(120)
	for to, want := range map[string]int{"ops@acme.example": 1, "kim@acme.example": 1, "gone@acme.example": 0} {
		if got := d.got[to]; len(got) != want {
			t.Errorf("%s got %q", to, got)
		}
	}
	if !strings.Contains(d.log.String(), "somebody is not told") {
		t.Errorf("log: %s", d.log.String())
	}
	err := d.store.View(func(tx store.Tx) error {
		is, _, err := store.Notices(tx)
		if len(is.Bulletins) != 0 || is.Seq != 1 {
			t.Errorf("left: %+v", is)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Who can't be reached for two days is given up.
func TestWhoCannotBeReachedIsGivenUp(t *testing.T) {
	d := newDesk(t)
	d.put("onda", failed)
	d.fail = func(string) error {
		return &provider.Error{Kind: provider.Denied, Provider: "box", Op: "create", Message: "not you"}
	}
	tries := 0
	deny := d.fail
	d.fail = func(to string) error { tries++; return deny(to) }
	d.run(3 * 24 * 60)
	if tries < 10 || tries > 60 {
		t.Errorf("%d tries", tries)
	}
	d.fail = nil
	d.run(120)
	d.want()
}

// The clock is set while a mail can't be sent: whoever is to be told is told, no later because
// it went back by years, and is not given up because it went forth.
func TestTheClockIsSetWhileAMailWaits(t *testing.T) {
	for _, jump := range []time.Duration{60 * 24 * time.Hour, -60 * 24 * time.Hour, -20 * 365 * 24 * time.Hour} {
		d := newDesk(t)
		d.put("onda", nil)
		d.run(2)
		d.fail = func(string) error { return &provider.Error{Kind: provider.Transient, Provider: "box", Message: "503"} }
		d.put("onda", failed)
		d.run(20)
		d.at = d.at.Add(jump)
		d.run(5)
		d.fail = nil
		d.run(60)
		d.want("onda failed")
		d.put("onda", nil)
		d.run(20)
		d.want("onda failed", "onda is well again")
		d.put("onda", failed)
		d.at = d.at.Add(-jump)
		d.run(20)
		d.want("onda failed", "onda is well again", "onda failed")
	}
}

// A paused client's site serves on: when it goes down, and when it is well again, that is told. That a client which
// failed is paused is no news.
func TestS44SickWhileItIsPaused(t *testing.T) {
	paused := func(c *state.Client) { c.Status, c.Because = state.StatusPaused, "paused" }
	d := newDesk(t)
	d.put("onda", failed)
	d.run(60)
	d.put("onda", paused)
	d.run(60)
	d.want("onda failed")
	d.put("onda", func(c *state.Client) { paused(c); c.Health = state.Degraded })
	d.run(60)
	d.want("onda failed", "onda does not answer as it should")
	d.put("onda", paused)
	d.run(60)
	d.want("onda failed", "onda does not answer as it should", "onda is well again")
	d.put("onda", nil)
	d.run(60)
	d.want("onda failed", "onda does not answer as it should", "onda is well again")
}

// Who waits since a token lacks a permission is told of once; while the provider lets nobody in, its own notice speaks for all.
func TestWhoWaitsForAPermission(t *testing.T) {
	waits := func(c *state.Client) {
		c.Status, c.Because, c.Next, c.Waits = state.StatusDeploying, "waiting for host: this token may not deploy", "mend that at host", "host"
		c.RetryAt, c.UpdatedAt = c.UpdatedAt.Add(time.Hour), time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)
	}
	for word, want := range map[state.NoticeWord][]string{state.NoticeBack: {"onda waits for you", "onda is well again"}, state.NoticeShut: {"host does not let us in"}} {
		d := newDesk(t)
		d.n.Providers = func() []Standing {
			return []Standing{{Provider: "host", Credentials: true, Word: word, Since: d.at.Add(-24 * time.Hour), Because: "401"}}
		}
		d.put("onda", waits)
		d.run(60)
		d.put("onda", func(c *state.Client) { waits(c); c.RetryAt = time.Time{} }) // it tries again
		d.run(60)
		d.put("onda", waits)
		d.run(60)
		d.put("onda", nil)
		d.run(60)
		d.want(want...)
	}
	d := newDesk(t) // a provider that does not answer: nobody can do anything
	d.put("onda", func(c *state.Client) { waits(c); c.Next = "" })
	d.run(60)
	d.put("onda", func(c *state.Client) { waits(c); c.Next, c.Health = "", state.Degraded })
	d.run(60)
	d.put("onda", func(c *state.Client) { waits(c); c.Next = "" })
	d.run(60)
	d.want("onda does not answer as it should", "onda is well again")
}
