package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// Make before break: nothing of a name's old owner goes before the new one serves it, whatever
// keeps that: nobody can read what it asks for, a person has to do or approve something, or it
// fails again and again. What the name is served by meanwhile, and for as long as it lasts, is
// the old owner's site. When it is over the name moves, and the old side goes.
func TestP5TheOldOwnerServesUntilTheNewOneDoes(t *testing.T) {
	const host = "shop.agency.example"
	named := func(name, domain string, more ...string) string {
		return strings.Replace(client(name, more...), "domain: "+name, "domain: "+domain, 1)
	}
	type story struct {
		v *vendors
		w *world
	}
	push := func(files map[string]string) func(story) {
		return func(s story) { s.w.apply(files) }
	}
	for _, c := range []struct {
		name  string
		new   string // its manifest
		first func(story)
		begin func(story) // after the head was accepted, before anybody passes
		mend  func(story)
	}{
		{name: "a secret is not set", new: named("new", "shop", "env: {MOLLIE: {secret: mollie}}"), mend: func(s story) {
			_, ids, err := s.w.engine.SetSecret("new", "mollie", state.NewSecret("an-invented-value"), s.w.keys.Fingerprint, "dana")
			if err != nil {
				t.Fatal(err)
			}
			s.w.pass(ids...)
		}},
		{name: "a provider is not configured", new: named("new", "shop"), begin: func(s story) {
			s.w.change = func(e *reconcile.Engine) {
				configured := e.Configured
				e.Configured = func(name string, kind state.Kind) bool { return kind != state.KindSite && configured(name, kind) }
			}
			s.w.restart()
		}, mend: func(s story) {
			s.w.change = nil
			s.w.pass(s.w.due()...)
			for _, name := range []string{"new", "old"} {
				id, err := s.w.engine.Retry(name, "dana")
				if err != nil {
					t.Fatal(err)
				}
				s.w.pass(id)
			}
		}},
		{name: "an older program does not know what was accepted", new: named("new", "shop"), begin: func(s story) {
			s.w.rewrite("new", "template: shop", "template: shop\nlater: than this program")
		}, mend: func(s story) {
			s.w.rewrite("new", "\nlater: than this program", "")
			id, err := s.w.engine.Retry("new", "dana")
			if err != nil {
				t.Fatal(err)
			}
			s.w.pass(id)
		}},
		{name: "its manifest says paused", new: named("new", "shop", "paused: true"), mend: push(map[string]string{"clients/new.yaml": named("new", "shop")})},
		{name: "somebody paused it", new: named("new", "shop"), begin: func(s story) {
			if _, err := s.w.engine.SetPaused("new", true, "dana"); err != nil {
				t.Fatal(err)
			}
		}, mend: func(s story) {
			id, err := s.w.engine.SetPaused("new", false, "dana")
			if err != nil {
				t.Fatal(err)
			}
			s.w.pass(id)
		}},
		{name: "changes are frozen", new: named("new", "shop"), first: push(map[string]string{
			"platform.yaml": "apiVersion: reconciler/v1\nkind: Platform\nfreeze: [{from: 2026-11-24T10:00, to: 2026-11-26T08:00, zone: UTC}]\n"}),
			begin: func(s story) { s.w.clock.add(2 * time.Hour) }, mend: func(s story) { s.w.clock.add(48 * time.Hour); s.w.pass(s.w.id("new")) }},
		{name: "there are too many new clients", new: named("new", "shop"),
			first: func(s story) {
				s.w.change = func(e *reconcile.Engine) { e.Guard.MaxCreates = 1 }
				s.w.restart()
				s.w.clock.add(25 * time.Hour)
				s.w.apply(map[string]string{"clients/x.yaml": client("x")})
			},
			mend: func(s story) {
				for _, h := range s.w.overview().Holds {
					ids, err := s.w.engine.Approve(t.Context(), h.Fingerprint, "dana")
					if err != nil {
						t.Fatal(err)
					}
					s.w.pass(ids...)
				}
			}},
		{name: "its site can't be made", new: named("new", "shop"), begin: func(s story) {
			s.v.faults.On(memory.Before, memory.Is(memory.Create, state.KindSite), 0, memory.Fail(provider.Invalid, "no such server"))
		}, mend: func(s story) {
			s.v.faults.Clear()
			id, err := s.w.engine.Retry("new", "dana")
			if err != nil {
				t.Fatal(err)
			}
			s.w.pass(id)
		}},
		{name: "it never answers well", new: named("new", "shop"), begin: func(s story) {
			s.w.unfit = func(string) error { return errors.New("503") }
		}, mend: func(s story) {
			s.w.unfit = nil
			id, err := s.w.engine.Retry("new", "dana")
			if err != nil {
				t.Fatal(err)
			}
			s.w.pass(id)
		}},
	} {
		for _, goes := range []string{"", named("old", "other")} { // the old owner is removed, or has another name
			v, w := newVendors(t)
			s := story{v, w}
			w.apply(map[string]string{"clients/old.yaml": named("old", "shop"), "clients/bystander.yaml": client("bystander")})
			if c.first != nil {
				c.first(s)
			}
			old, _ := v.world.Serves(host)
			serves := func(when string) {
				t.Helper()
				if now, ok := v.world.Serves(host); !ok || now != old || len(v.world.Resolves(host)) == 0 {
					t.Errorf("%s, the old owner's file is %q: %s, the name is served by %q: old %+v, new %+v", c.name, goes, when, now, w.row("old"), w.row("new"))
				}
			}
			new := c.new
			if goes == "" {
				new += "\ndatabase: {reuse: fresh}\n"
			}
			ids := w.push(map[string]string{"clients/old.yaml": goes, "clients/new.yaml": new})
			if c.begin != nil {
				c.begin(s)
			}
			w.pass(ids...)
			serves("at first")
			for range 6 {
				w.clock.add(20 * time.Minute)
				w.pass(w.id("old"), w.id("new"))
				serves("later")
			}
			w.clock.add(3 * time.Hour)
			w.pass(w.due()...)
			serves("after a start")
			if t.Failed() {
				break
			}
			c.mend(s)
			for range 4 {
				w.clock.add(30 * time.Minute)
				w.pass(w.due()...)
			}
			w.want("new", state.StatusActive)
			now, ok := v.world.Serves(host)
			if o, _ := v.world.Object(now); !ok || o.Mark.Client != w.id("new") || len(v.world.Resolves(host)) == 0 {
				t.Errorf("%s: in the end the name is served by %q: %+v", c.name, now, w.row("new"))
			}
			w.want("old", map[bool]state.Status{true: state.StatusRetained, false: state.StatusActive}[goes == ""])
		}
	}
}

// rewrite changes what is on record of a client's accepted manifest, and starts anew.
func (w *world) rewrite(name, old, new string) {
	w.t.Helper()
	err := w.store.Update(func(tx store.Tx) error {
		c, ok, err := store.ClientByName(tx, name)
		if err != nil || !ok || !strings.Contains(string(c.Manifest), old) {
			return fmt.Errorf("%s is not on record so: %w", name, err)
		}
		c.Manifest = []byte(strings.Replace(string(c.Manifest), old, new, 1))
		return store.PutClient(tx, c)
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.restart()
}

// Make before break: two clients swapped their names, and the one goes before the other's alias was
// led on, which nothing does while the other is paused. The alias redirects to what is the first
// one's by now, and that stays until it does so no more.
func TestS24RedirectedNameStaysUpWhileNothingLeadsItOn(t *testing.T) {
	v, w := newVendors(t)
	named := func(name, domain string, more ...string) string {
		return strings.Replace(client(name, more...), "domain: "+name, "domain: "+domain, 1)
	}
	const alias = "aliases: [shop.example]"
	w.apply(map[string]string{"clients/a.yaml": client("a", alias), "clients/c.yaml": client("c")})
	v.faults.Do(memory.After, func(c memory.Call) bool { return c.Verb.Writes() }, 0, func(_ context.Context, c memory.Call) error {
		if _, ok := v.world.Serves("shop.example"); !ok {
			t.Errorf("shop.example is down after %s", c)
		}
		return nil
	})
	v.faults.On(memory.Before, func(c memory.Call) bool { return c.Verb == memory.Update && c.Name == "shop.example" }, 0, memory.Fail(provider.Transient, "503 service unavailable"))
	ids := w.push(map[string]string{"clients/a.yaml": named("a", "c", alias), "clients/c.yaml": named("c", "a")})
	if _, err := w.engine.Pass(t.Context(), ids[0], reconcile.CauseCommit); err != nil {
		t.Fatal(err)
	}
	if _, err := w.engine.SetPaused("a", true, "dana"); err != nil {
		t.Fatal(err)
	}
	w.apply(map[string]string{"clients/a.yaml": named("a", "c", alias), "clients/c.yaml": ""})
	w.pass(w.due()...)
	w.want("a", state.StatusPaused)
	if r := w.want("c", state.StatusDeleting); r.Because != "waiting for a, which waits itself" {
		t.Errorf("c: %s", r.Because)
	}
	v.faults.Clear()
	id, err := w.engine.SetPaused("a", false, "dana")
	if err != nil {
		t.Fatal(err)
	}
	w.pass(id)
	w.want("a", state.StatusActive)
	w.want("c", state.StatusRetained)
	d, _ := v.world.Serves("shop.example")
	if o, _ := v.world.Object(d); o.Mark.Client != w.id("a") {
		t.Errorf("shop.example is served by %q", o.Mark.Client)
	}
}

// Make before break: two clients swap their names, and before the alias of the one was led on it moves to
// another host, and the other one goes. What its alias redirects to at the host that it leaves stays until
// the alias leads to the new one.
func TestS24RedirectedNameStaysUpWhileItsAliasMovesToAnotherHost(t *testing.T) {
	v, w := newVendorsWith(t)
	named := func(name, domain string, more ...string) string {
		return strings.Replace(client(name, more...), "domain: "+name, "domain: "+domain, 1)
	}
	const alias, left = "aliases: [shop.example]", "deployment: {provider: ploi}"
	w.apply(map[string]string{"clients/b.yaml": client("b"), "clients/c.yaml": client("c", left, alias)})
	v.faults.On(memory.Before, func(c memory.Call) bool { return c.Verb == memory.Update && c.Name == "shop.example" }, 0, memory.Fail(provider.Transient, "503 service unavailable"))
	ids := w.push(map[string]string{"clients/b.yaml": named("b", "c"), "clients/c.yaml": named("c", "b", left, alias)})
	if _, err := w.engine.Pass(t.Context(), ids[0], reconcile.CauseCommit); err != nil {
		t.Fatal(err)
	}
	v.faults.Clear()
	v.faults.Do(memory.After, func(c memory.Call) bool { return c.Verb.Writes() }, 0, func(_ context.Context, c memory.Call) error {
		for _, host := range v.world.Way("shop.example") {
			if len(v.world.Resolves(host)) == 0 {
				t.Errorf("%s, on the way of shop.example, leads nowhere after %s", host, c)
			}
		}
		return nil
	})
	w.apply(map[string]string{"clients/b.yaml": "", "clients/c.yaml": named("c", "b", alias)})
	w.want("b", state.StatusRetained)
	w.want("c", state.StatusActive)
	if got := v.world.Resolves("c.agency.example"); len(got) != 0 {
		t.Errorf("nobody asks for c.agency.example, which leads to %v", got)
	}
}

// Make before break: two clients swapped their names, and before the alias of the one was led on it is given to a third one
// at another host, where that waits for an approval, and the other one goes. What the alias redirects to stays until it moved.
func TestS24RedirectedNameStaysUpWhileItsAliasWaitsForItsNextOwner(t *testing.T) {
	v := &vendors{faults: &memory.Faults{}}
	w := newWorldWith(t, func(c *clock) []provider.Provider {
		late := memory.Change(memory.Hosting(), func(k state.Kind, t *provider.Traits) { t.AfterDNS = k == state.KindDomain })
		all := v.twoHosts(c)
		all[2] = memory.New(memory.Options{Name: "ploi", World: v.world, Kinds: late, Fault: v.faults.Hook, Sleep: c.Sleep, Address: "203.0.113.8"})
		return all
	})
	named := func(name, domain string, more ...string) string {
		return strings.Replace(client(name, more...), "domain: "+name, "domain: "+domain, 1)
	}
	const alias, ploi = "aliases: [shop.example]", "deployment: {provider: ploi}"
	w.apply(map[string]string{"clients/a.yaml": client("a", alias), "clients/c.yaml": client("c"), "clients/d.yaml": client("d", ploi)})
	v.faults.On(memory.Before, func(c memory.Call) bool { return c.Verb == memory.Update && c.Name == "shop.example" }, 0, memory.Fail(provider.Transient, "503 service unavailable"))
	ids := w.push(map[string]string{"clients/a.yaml": named("a", "c", alias), "clients/c.yaml": named("c", "a")})
	if _, err := w.engine.Pass(t.Context(), ids[0], reconcile.CauseCommit); err != nil {
		t.Fatal(err)
	}
	v.faults.Clear()
	v.faults.Do(memory.After, func(c memory.Call) bool { return c.Verb.Writes() }, 0, func(_ context.Context, c memory.Call) error {
		for _, host := range v.world.Way("shop.example") {
			if len(v.world.Resolves(host)) == 0 {
				t.Errorf("%s, on the way of shop.example, leads nowhere after %s", host, c)
			}
		}
		if _, ok := v.world.Serves("shop.example"); !ok {
			t.Errorf("shop.example is down after %s", c)
		}
		return nil
	})
	w.apply(map[string]string{"clients/a.yaml": named("a", "c"), "clients/c.yaml": "", "clients/d.yaml": client("d", ploi, alias)})
	w.want("d", state.StatusHeld)
	w.want("c", state.StatusDeleting)
	w.approveAll("d")
	w.want("d", state.StatusActive)
	w.want("a", state.StatusActive)
	w.want("c", state.StatusRetained)
	if d, _ := v.world.Serves("shop.example"); d == "" {
		t.Error("shop.example is down")
	} else if o, _ := v.world.Object(d); o.Mark.Client != w.id("d") {
		t.Errorf("shop.example is served by %q", o.Mark.Client)
	}
	if got := v.world.Resolves("a.agency.example"); len(got) != 0 {
		t.Errorf("nobody asks for a.agency.example, which leads to %v", got)
	}
}

// Make before break: nobody asks any more for a name that another client's alias redirects to, as its next
// owner went before it had it, or as the ledger let it go after a day. It stays for the alias all the same,
// until that one is led on: who still has it and who redirects there go on passing together.
func TestS24RedirectedNameStaysUpThoughNobodyAsksForIt(t *testing.T) {
	const alias, unset = "aliases: [shop.example]", "env: {MOLLIE: {secret: mollie}}"
	named := func(name, domain string, more ...string) string {
		return strings.Replace(client(name, more...), "domain: "+name, "domain: "+domain, 1)
	}
	for name, free := range map[string]func(*world){
		"its next owner is gone": func(w *world) {
			w.push(map[string]string{"clients/a.yaml": named("a", "d"), "clients/e.yaml": named("e", "c")})
			w.apply(map[string]string{"clients/e.yaml": ""})
		},
		"for a day": func(w *world) {
			w.apply(map[string]string{"clients/a.yaml": named("a", "d")})
			w.clock.add(25 * time.Hour)
			w.apply(map[string]string{"clients/e.yaml": ""})
		},
	} {
		t.Run(name, func(t *testing.T) {
			v, w := newVendors(t)
			w.change = func(e *reconcile.Engine) { e.Guard.MaxDeletes, e.Guard.MaxDeletePercent = 10, 100 }
			w.restart()
			w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/c.yaml": client("c", alias), "clients/e.yaml": client("e")})
			v.faults.Do(memory.After, func(c memory.Call) bool { return c.Verb.Writes() }, 0, func(_ context.Context, c memory.Call) error {
				if _, ok := v.world.Serves("shop.example"); !ok {
					t.Errorf("shop.example is down after %s", c)
				}
				for _, host := range v.world.Way("shop.example") {
					if len(v.world.Resolves(host)) == 0 {
						t.Errorf("%s, on the way of shop.example, leads nowhere after %s", host, c)
					}
				}
				return nil
			})
			v.faults.On(memory.Before, func(c memory.Call) bool { return c.Verb == memory.Update && c.Name == "shop.example" }, 0, memory.Fail(provider.Transient, "503 service unavailable"))
			ids := w.push(map[string]string{"clients/a.yaml": named("a", "c"), "clients/c.yaml": named("c", "b", alias)})
			if _, err := w.engine.Pass(t.Context(), ids[0], reconcile.CauseCommit); err != nil {
				t.Fatal(err)
			}
			v.faults.On(memory.Before, func(c memory.Call) bool { // it is not given back
				return c.Verb == memory.Update && c.Name == "c.agency.example" && c.Client == w.id("c")
			}, 0, memory.Fail(provider.Invalid, "the plan's quota is used up"))
			w.apply(map[string]string{"clients/c.yaml": named("c", "b", alias, unset)})
			free(w)
			for range 3 {
				w.pass(w.due()...) // also of those that a start finds
			}
			w.want("e", state.StatusRetained)
			w.want("c", state.StatusFailed)
			if r := w.row("a"); r.Because != "waiting for c, whose shop.example still redirects to c.agency.example" {
				t.Errorf("a: %s, %s", r.Status, r.Because)
			}
			v.faults.Clear()
			w.apply(map[string]string{"clients/c.yaml": named("c", "b", alias)})
			w.want("a", state.StatusActive)
			w.want("c", state.StatusActive)
			if got := v.world.Resolves("c.agency.example"); len(got) != 0 {
				t.Errorf("nobody asks for c.agency.example, which leads to %v", got)
			}
			w.apply(map[string]string{"clients/g.yaml": client("g")}) // the next head frees it
			err := w.store.View(func(tx store.Tx) error {
				if c, ok, err := store.Claim(tx, "host:c.agency.example"); err != nil || ok {
					t.Errorf("the name is nobody's, and on the ledger: %+v, %v", c, err)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := w.engine.Group(w.id("a")); len(got) != 1 {
				t.Errorf("%v pass together when nothing is left to do", got)
			}
		})
	}
}

// A name that changes its owner is one plan over both clients, with the records beside it: here two
// without a site swap theirs while one is paused. Each has an equal TXT record at the name that the
// other one gets: they pass together until both have moved, or each would stand in the other's way
// for good.
func TestRuleSharedKeysRecordsMoveWithTheirName(t *testing.T) {
	v, w := newVendors(t)
	named := func(name, domain string) string {
		return strings.Replace(client(name, "deployment: {provider: none}", "dns: {records: [{type: TXT, name: note, content: there}]}"), "domain: "+name, "domain: "+domain, 1)
	}
	w.apply(map[string]string{"clients/a.yaml": named("a", "a"), "clients/c.yaml": named("c", "c"), "clients/z.yaml": client("z")})
	if _, err := w.engine.SetPaused("a", true, "dana"); err != nil {
		t.Fatal(err)
	}
	w.apply(map[string]string{"clients/a.yaml": named("a", "c"), "clients/c.yaml": named("c", "a")})
	w.pass(w.due()...) // also of those that a start finds
	w.want("a", state.StatusPaused)
	if r := w.row("c"); r.Status == string(state.StatusHeld) || !strings.HasPrefix(r.Because, "waiting for a, which is paused") {
		t.Errorf("c waits for nobody but a: %s", r.Because)
	}
	id, err := w.engine.SetPaused("a", false, "dana")
	if err != nil {
		t.Fatal(err)
	}
	w.pass(id)
	w.want("a", state.StatusActive)
	w.want("c", state.StatusActive)
	for _, o := range v.world.Objects("cloudflare") {
		if name := attribute(o, "name"); name == "note.a.agency.example" && o.Mark.Client != w.id("c") || name == "note.c.agency.example" && o.Mark.Client != w.id("a") {
			t.Errorf("%s is of %s", name, o.Mark.Client)
		}
	}
	if got := w.engine.Group(w.id("a")); len(got) != 1 {
		t.Errorf("%v pass together when all has moved", got)
	}
}

// A client that a person paused is removed, and another one takes all that it has. It waits, and so
// does the other: each says for whom, and the one who paused is told how to go on.
func TestPausedClientThatIsRemovedGivesNothingOn(t *testing.T) {
	_, w := newVendors(t)
	named := func(name string, more ...string) string { // nothing but records
		return strings.Replace(client(name, append(more, "deployment: {provider: none}", "dns: {records: [{type: TXT, name: note, content: there}]}")...), "domain: "+name, "domain: a", 1)
	}
	w.apply(map[string]string{"clients/a.yaml": named("a", "database: {provider: none}", "env: {DATABASE_URL: {none: true}}"), "clients/z.yaml": client("z")})
	a := w.id("a")
	if _, err := w.engine.SetPaused("a", true, "dana"); err != nil {
		t.Fatal(err)
	}
	w.apply(map[string]string{"clients/a.yaml": "", "clients/c.yaml": named("c", "database: {provider: railway, reuse: fresh}")})
	w.pass(w.due()...)
	if c := w.stored(a); c.Status != state.StatusPaused || c.Next != "`reconciler resume "+string(a)+"`" {
		t.Errorf("a is %s: %s; %s", c.Status, c.Because, c.Next)
	}
	if r := w.row("c"); !strings.HasPrefix(r.Because, "waiting for a, which is paused") {
		t.Errorf("c says %q", r.Because)
	}
	id, err := w.engine.SetPaused(string(a), false, "dana")
	if err != nil {
		t.Fatal(err)
	}
	w.pass(id)
	w.want("c", state.StatusActive)
}

// P5: a name went to a client that is held since, for something else, and the one that had it went.
// Its file asks for the name again, and does not say whose database it wants: refused, it asks for
// nothing. The name is the new owner's, who lets it go with a later commit of its own.
func TestP5ARefusedFileKeepsNoNameOfOthers(t *testing.T) {
	v, w := newVendors(t)
	named := func(name, domain string, more ...string) string {
		return strings.Replace(client(name, more...), "domain: "+name, "domain: "+domain, 1)
	}
	const mail = `dns: {records: [{type: MX, name: "@", content: mx.example, priority: 10}]}`
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/c.yaml": client("c", mail), "clients/z.yaml": client("z")})
	w.apply(map[string]string{"clients/a.yaml": named("a", "b"), "clients/c.yaml": named("c", "a", mail)})
	w.want("c", state.StatusHeld)
	served := func() bool { return len(v.world.Resolves("a.agency.example")) > 0 }
	w.apply(map[string]string{"clients/a.yaml": ""})
	w.want("a", state.StatusRetained)
	w.apply(map[string]string{"clients/a.yaml": client("a")})
	if o, err := w.engine.Overview(); err != nil || len(o.Problems) != 1 || o.Problems[0].Path != "clients/a.yaml" {
		t.Errorf("the file is not refused: %+v, %v", o.Problems, err)
	}
	if !served() {
		t.Error("what c has went with a")
	}
	w.apply(map[string]string{"clients/c.yaml": named("c", "c-own", mail)})
	w.want("a", state.StatusRetained)
	if served() {
		t.Error("c let the name go, and it is served for a file that nobody accepted")
	}
}

// P5, S24: that a client gives a name on is held, and then it is removed as a whole. Whoever lets
// it go lets its names go, too: the one that asked for that name has it before it goes.
func TestP5WhoGoesWithAHeldPartGivesItsNameOnFirst(t *testing.T) {
	v, w := newVendors(t)
	w.engine.Guard.ReviewedOnly = true
	const host = "x.example"
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/c.yaml": client("c", "aliases: ["+host+"]")})
	v.faults.Do(memory.After, func(c memory.Call) bool { return c.Verb.Writes() }, 0, func(_ context.Context, c memory.Call) error {
		if _, ok := v.world.Serves(host); !ok {
			t.Errorf("%s is down after %s %s", host, c.Verb, c.Kind)
		}
		return nil
	})
	w.apply(map[string]string{"clients/a.yaml": client("a", "aliases: ["+host+"]"), "clients/c.yaml": client("c")})
	w.apply(map[string]string{"clients/c.yaml": ""})
	holds := w.waits(state.HoldGuard)
	if len(holds) != 2 {
		t.Fatalf("holds: %+v", holds)
	}
	for _, h := range holds {
		if !strings.Contains(h.Reason, "removal of c.") { // the whole client's
			continue
		}
		ids, err := w.engine.Approve(t.Context(), h.Fingerprint, "dana")
		if err != nil {
			t.Fatal(err)
		}
		w.pass(ids...)
		w.pass(w.due()...)
	}
	w.want("a", state.StatusActive)
	w.want("c", state.StatusRetained)
	if holds := w.waits(state.HoldGuard); len(holds) > 0 {
		t.Errorf("it is still asked about: %+v", holds)
	}
}

// S24: a client goes, and another one takes its name; its site can't be taken down yet. It comes back under a
// name of its own, which fails: its version runs, and no name leads there. That is said.
func TestS24WhoComesBackWithoutANameIsToldSo(t *testing.T) {
	v, w := newVendors(t)
	led := func(name, to string) string { return strings.Replace(client(name), "domain: "+name, "domain: "+to, 1) }
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/cakes.yaml": client("cakes")})
	v.faults.On(memory.Before, func(c memory.Call) bool {
		return c.Verb == memory.Delete && c.Kind == state.KindTraffic
	}, 0, memory.Fail(provider.Denied, "the token was revoked"))
	w.apply(map[string]string{"clients/bakery.yaml": "", "clients/cakes.yaml": led("cakes", "bakery")})
	w.want("cakes", state.StatusActive)
	v.faults.On(memory.Before, memory.Is(memory.Create, state.KindDomain), 0, memory.Fail(provider.Invalid, "the plan's quota is used up"))
	w.apply(map[string]string{"clients/bakery.yaml": led("bakery", "bread") + "database: {reuse: retained}\n"})
	if r := w.want("bakery", state.StatusFailed); r.Because != state.RunsUnnamed+" vercel: the plan's quota is used up" {
		t.Errorf("it says %q", r.Because)
	}
}

// S24: a client goes, its name's record passes to another client at another host, and where it had the name itself
// it is still bound when it comes back, and fails. No name leads to it, and that is said.
func TestS24WhoComesBackWithoutARecordIsToldSo(t *testing.T) {
	for _, domain := range []string{"bakery", "another"} {
		t.Run(domain, func(t *testing.T) { comesBackWithoutARecord(t, domain) })
	}
}

func comesBackWithoutARecord(t *testing.T, domain string) {
	t.Helper()
	v, w := newVendorsWith(t)
	ploi := "deployment: {provider: ploi}"
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/cakes.yaml": client("cakes", ploi)})
	v.faults.On(memory.Before, func(c memory.Call) bool {
		return c.Verb == memory.Delete && c.Provider == "vercel"
	}, 0, memory.Fail(provider.Denied, "the token was revoked"))
	files := swapped("", ploi)
	files["clients/bakery.yaml"] = ""
	if _, err := w.engine.Pass(t.Context(), w.push(files)[0], reconcile.CauseCommit); err != nil {
		t.Fatal(err)
	}
	v.serves(w, "bakery.agency.example", "cakes")
	v.faults.On(memory.Before, memory.Is(memory.Create, state.KindDeployment), 0, memory.Fail(provider.Invalid, "the build is broken"))
	w.apply(map[string]string{"clients/bakery.yaml": led("bakery", domain, "env: {COLOUR: green}", "database: {reuse: retained}"), "clients/cakes.yaml": client("cakes", ploi)})
	if r := w.want("bakery", state.StatusFailed); !strings.HasPrefix(r.Because, state.RunsUnnamed) {
		t.Errorf("it says %q", r.Because)
	}
}

// A client goes, and its record is gone when its file is back, whose change fails: it is told that it answers by no
// name. What retries it makes the record anew.
func TestS24WhoComesBackAfterItsRecordWentIsToldSo(t *testing.T) {
	v, w := newVendors(t)
	bare := []string{"database: {provider: none}", "env: {DATABASE_URL: {none: true}}"}
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery", bare...), "clients/cakes.yaml": client("cakes", bare...)})
	v.faults.On(memory.Before, memory.Is(memory.Delete, state.KindDomain), 0, memory.Fail(provider.Denied, "the token was revoked"))
	w.apply(map[string]string{"clients/bakery.yaml": ""})
	v.faults.On(memory.Before, memory.Is(memory.Create, state.KindDeployment), 0, memory.Fail(provider.Invalid, "the build is broken"))
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery", bare[0], "env: {DATABASE_URL: {none: true}, COLOUR: green}")})
	if r := w.want("bakery", state.StatusFailed); !strings.HasPrefix(r.Because, state.RunsUnnamed) {
		t.Errorf("it says %q", r.Because)
	}
	v.faults.Clear()
	if _, err := w.engine.Retry("bakery", "dana"); err != nil {
		t.Fatal(err)
	}
	w.pass(w.id("bakery"))
	w.want("bakery", state.StatusActive)
	v.serves(w, "bakery.agency.example", "bakery")
}

// Who gives a name away and is paused still has it days later, and passes with whoever gets it then: the one
// waits for the other, and where a person sets the new owner's record, at the same host of sites, the
// old one's is not taken away unseen.
func TestS24NameOfWhoIsPausedForDays(t *testing.T) {
	for _, how := range []string{"dns: {provider: external}", "dns: {provider: cloudflare}"} {
		s := newVendorsByHand(t)
		v, w := s.vendors, s.world
		alias := "aliases: [shop.example]"
		w.apply(map[string]string{"clients/a.yaml": client("a", alias), "clients/b.yaml": client("b", how), "clients/z.yaml": client("z", "deployment: {provider: none}")})
		if _, err := w.engine.SetPaused("a", true, "dana"); err != nil {
			t.Fatal(err)
		}
		w.apply(map[string]string{"clients/a.yaml": client("a")})
		for range 3 {
			for _, r := range s.asked() {
				s.setByHand(r)
			}
			w.pass(w.id("b"))
			w.clock.add(25 * time.Hour)
			w.apply(map[string]string{"clients/z.yaml": client("z", "deployment: {provider: none}", fmt.Sprintf("env: {NOW: %q}", w.clock.Now()))})
		}
		w.want("a", state.StatusPaused)
		w.want("b", state.StatusActive)
		v.faults.Do(memory.After, func(c memory.Call) bool { return c.Verb.Writes() }, 0, func(_ context.Context, c memory.Call) error {
			if _, ok := v.world.Serves("shop.example"); !ok {
				t.Errorf("%s: shop.example is down after %s", how, c)
			}
			return nil
		})
		w.apply(map[string]string{"clients/b.yaml": client("b", alias, how)})
		if r := w.row("b"); !strings.HasPrefix(r.Because, "waiting for a, which is paused") {
			t.Errorf("%s: b is %s: %q", how, r.Status, r.Because)
		}
		w.resume("a")
		if by, held := strings.Contains(how, "external"), w.waits(state.HoldData); len(held) > 0 != by || by && !strings.Contains(held[0].Reason, "time without service") {
			t.Errorf("%s: holds %+v", how, held)
		} else if !by {
			w.want("a", state.StatusActive)
			w.want("b", state.StatusActive)
		}
		if by := v.servedBy("shop.example"); by != w.id("b") {
			t.Errorf("%s: shop.example is served by %q", how, by)
		}
	}
}

// Who gets a name from one that is paused goes before it has it: the name is that one's again, and
// whoever gets it next gets it from there.
func TestS24NameOfWhoIsPausedOutlivesWhoWasToHaveIt(t *testing.T) {
	v, w := newVendors(t)
	alias := "aliases: [shop.example]"
	w.apply(map[string]string{"clients/a.yaml": client("a", alias), "clients/b.yaml": client("b"), "clients/c.yaml": client("c")})
	if _, err := w.engine.SetPaused("a", true, "dana"); err != nil {
		t.Fatal(err)
	}
	v.faults.Do(memory.After, func(c memory.Call) bool { return c.Verb.Writes() }, 0, func(_ context.Context, c memory.Call) error {
		if _, ok := v.world.Serves("shop.example"); !ok {
			t.Errorf("shop.example is down after %s", c)
		}
		return nil
	})
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b", alias)})
	w.apply(map[string]string{"clients/b.yaml": ""})
	w.want("b", state.StatusRetained)
	w.apply(map[string]string{"clients/c.yaml": client("c", alias)})
	if r := w.row("c"); !strings.HasPrefix(r.Because, "waiting for a, which is paused") {
		t.Errorf("c is %s: %q", r.Status, r.Because)
	}
	w.resume("a")
	w.want("a", state.StatusActive)
	w.want("c", state.StatusActive)
	if by := v.servedBy("shop.example"); by != w.id("c") {
		t.Errorf("shop.example is served by %q", by)
	}
}
