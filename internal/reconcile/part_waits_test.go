package reconcile_test

import (
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// said is the state of the accepted head's verdict.
func (w *world) said() (out string) {
	w.t.Helper()
	err := w.store.View(func(tx store.Tx) error {
		v, _, err := store.Verdict(tx, w.engine.Head())
		out = v.State
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// P9: a commit that only takes a name away is not told as done while that waits: for an approval, as the guard holds it,
// for its date, or for a file of the same commit. The client's status says it, with what to do. Once the name is gone it is done.
func TestP9APartThatWaitsIsNotToldAsDone(t *testing.T) {
	named := func(name string) string { return client(name, "aliases: [www."+name+".example]") }
	for _, c := range []struct {
		name          string
		guard         accept.Guard
		beside        string // what becomes of c's file
		because, next string
		goes          func(*world)
	}{
		{"the guard", accept.Guard{MaxDeletes: 1, MaxDeletePercent: 100, MaxChanged: 25, MaxCreates: 100}, named("c"), "waits for an approval", "reconciler approve ", func(w *world) {
			ids, err := w.engine.Approve(w.t.Context(), w.waits(state.HoldGuard)[0].Fingerprint, "dana")
			if err != nil {
				w.t.Fatal(err)
			}
			w.pass(ids...)
		}},
		{"its date", accept.Guard{MaxDeletes: 9, MaxDeletePercent: 100, MaxChanged: 25, MaxCreates: 100, RemoveAfter: time.Hour}, named("c"), "waits until 24 November 2026 10:00 UTC", "a revert until then costs nothing", func(w *world) {
			w.clock.add(time.Hour)
			w.pass(w.id("a"), w.id("b"))
		}},
		{"a file", accept.Guard{MaxDeletes: 9, MaxDeletePercent: 100, MaxChanged: 25, MaxCreates: 100}, client("c", "colour: red"), "waits until clients/c.yaml is valid", "mend clients/c.yaml", func(w *world) {
			w.apply(map[string]string{"clients/c.yaml": named("c")})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, w := newVendors(t)
			w.change = func(e *reconcile.Engine) { e.Guard = c.guard }
			w.restart()
			w.apply(map[string]string{"clients/a.yaml": named("a"), "clients/b.yaml": named("b"), "clients/c.yaml": named("c")})
			w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b", "env: {COLOUR: red}"), "clients/c.yaml": c.beside})
			for range 2 {
				for _, name := range []string{"a", "b"} {
					if r := w.want(name, state.StatusActive); !strings.Contains(r.Because, c.because) || !strings.Contains(r.Next, c.next) {
						t.Errorf("%s: it says %q, and to do is %q", name, r.Because, r.Next)
					}
				}
				if got := w.said(); got != "failure" {
					t.Errorf("the commit's verdict is %s", got)
				}
				for _, name := range []string{"a", "b"} {
					id, err := w.engine.Retry(name, "dana") // does not let it go, and says no other thing
					if err != nil {
						t.Fatal(err)
					}
					w.pass(id)
				}
			}
			if _, up := v.world.Serves("www.a.example"); !up || v.colour("b.agency.example") != "red" {
				t.Error("what waits is gone, or what doesn't was not done")
			}
			c.goes(w)
			for _, name := range []string{"a", "b"} {
				if r := w.want(name, state.StatusActive); r.Because != "" || r.Next != "" {
					t.Errorf("%s is through: it says %q, and to do is %q", name, r.Because, r.Next)
				}
			}
			if _, up := v.world.Serves("www.a.example"); up || w.said() != "success" {
				t.Errorf("in the end the name is up: %t, and the verdict is %s", up, w.said())
			}
		})
	}
}

// P9: an alias is dropped and waits for its date, and somebody else asks for it meanwhile, who gets it then. The commit that dropped it
// is done with that.
func TestP9APartThatAnotherTakesOverAtItsDateIsDone(t *testing.T) {
	const host = "www.a.example"
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a", "aliases: ["+host+"]"), "clients/b.yaml": client("b")})
	w.guarded(accept.Guard{MaxDeletes: 9, MaxDeletePercent: 100, MaxChanged: 25, MaxCreates: 100, RemoveAfter: time.Hour})
	w.apply(map[string]string{"clients/a.yaml": client("a")})
	dropped := w.engine.Head()
	w.apply(map[string]string{"clients/b.yaml": client("b", "aliases: ["+host+"]")})
	if got := w.fateIn(dropped, w.id("a")); got != accept.FateHeld || v.servedBy(host) != w.id("a") {
		t.Fatalf("its commit is %q, and %s is served by %q", got, host, v.servedBy(host))
	}
	w.clock.add(time.Hour)
	w.pass(w.due()...)
	if v.servedBy(host) != w.id("b") {
		t.Errorf("%s is served by %q", host, v.servedBy(host))
	}
	if r, got := w.want("a", state.StatusActive), w.fateIn(dropped, w.id("a")); got != accept.FateSucceeded || r.Because != "" {
		t.Errorf("its commit is %q, and it says %q", got, r.Because)
	}
}

// P9: what goes is held by the guard, and waits for an invalid file of its commit, too. Approved, it waits for the file alone, and says so.
func TestP9APartThatIsApprovedSaysWhatItWaitsForStill(t *testing.T) {
	named := func(name string) string { return client(name, "aliases: [www."+name+".example]") }
	_, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": named("a"), "clients/b.yaml": named("b"), "clients/c.yaml": client("c")})
	w.guarded(accept.Guard{MaxDeletes: 1, MaxDeletePercent: 100, MaxChanged: 25, MaxCreates: 100})
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b"), "clients/c.yaml": client("c", "colour: red")})
	if r := w.want("a", state.StatusActive); !strings.Contains(r.Next, "reconciler approve") {
		t.Fatalf("to do is %q", r.Next)
	}
	w.approveHolds(state.HoldGuard)
	for _, name := range []string{"a", "b"} {
		if r := w.want(name, state.StatusActive); !strings.Contains(r.Because, "waits until clients/c.yaml is valid") || r.Next != "mend clients/c.yaml" {
			t.Errorf("%s: it says %q, and to do is %q", name, r.Because, r.Next)
		}
	}
	w.apply(map[string]string{"clients/c.yaml": client("c")})
	if r := w.want("a", state.StatusActive); r.Because != "" || r.Next != "" {
		t.Errorf("in the end it says %q, and to do is %q", r.Because, r.Next)
	}
}

// A change is done, but for a record of mail that waits for an approval: nobody is told that the old version still runs.
func TestP9WhatIsDoneButForMailIsNotToldAsTheOldVersion(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": client("shop", withMail)})
	w.apply(map[string]string{"clients/shop.yaml": client("shop", "env: {COLOUR: red}")})
	w.want("shop", state.StatusHeld)
	if v.colour("shop.agency.example") != "red" {
		t.Fatal("mail alone was to wait")
	}
	d := w.detail("shop")
	var c state.Client
	if err := w.store.View(func(tx store.Tx) (err error) { c, _, err = store.Client(tx, w.id("shop")); return err }); err != nil {
		t.Fatal(err)
	}
	if text := report.Result(c, *d.Last, nil).Terminal(report.Options{}); strings.Contains(text, "old version") || !strings.Contains(text, "All else is done.") {
		t.Errorf("it says:\n%s", text)
	}
}
