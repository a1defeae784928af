package reconcile_test

import (
	"context"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// P9: a pass ends while the next head is judged, which ends others in the same verdict. What
// the pass came to stays in it, and is told.
func TestP9PassThatEndsWhileAHeadIsJudged(t *testing.T) {
	_, w := newVendors(t)
	w.push(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/shop.yaml": client("shop")})
	first, bakery := w.engine.Head(), w.id("bakery")
	w.engine.At = func(p reconcile.Point) {
		if p == reconcile.PointRead {
			w.engine.At = nil
			w.pass(bakery)
		}
	}
	w.pass(w.push(map[string]string{"clients/shop.yaml": client("shop", "env: {COLOUR: red}")})...)
	var v state.Verdict
	told := map[string]string{}
	err := w.store.View(func(tx store.Tx) (err error) {
		if v, _, err = store.Verdict(tx, first); err != nil {
			return err
		}
		reports, err := store.Reports(tx)
		for _, r := range reports {
			told[r.Subject] = r.State
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if v.State != "success" || v.Clients[bakery] != "succeeded" || told["commit/"+first] != "success" {
		t.Errorf("the first head came to %s (%v), and %q is told", v.State, v.Clients, told["commit/"+first])
	}
}

// A pass that reads a client between the commit of a head and the moment at which that is in
// memory does not take what it inherits from the head before, and call that its wish.
func TestPassBetweenACommitAndMemory(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery")})
	id := w.id("bakery")
	w.engine.At = func(p reconcile.Point) {
		if p == reconcile.PointAccepted {
			w.engine.At = nil
			if d, err := w.engine.Pass(t.Context(), id, reconcile.CauseCommit); err != nil || !d.Again {
				t.Errorf("it is to come again: %+v, %v", d, err)
			}
		}
	}
	w.apply(map[string]string{"templates/shop.yaml": strings.ReplaceAll(template, "ref: v1", "ref: v2")})
	w.want("bakery", state.StatusActive)
	d, _ := v.world.Serves("bakery.agency.example")
	o, _ := v.world.Object(d)
	if got := attribute(o, "ref"); got != "v2" {
		t.Errorf("it serves %q", got)
	}
}

// P7, P8: a newer wish comes while a failed one is taken back, or while the program is dead
// over that. It was not tried: it neither fails with the other nor is left.
func TestP7NewerWishDuringARollback(t *testing.T) {
	for _, dies := range []bool{false, true} {
		v, w := newVendors(t)
		w.apply(coloured("red"))
		id := w.id("bakery")
		v.faults.On(memory.Before, memory.Is(memory.Update, state.KindTraffic), 1, memory.Fail(provider.Invalid, "the plan's quota is used up"))
		w.push(coloured("green"))
		ctx, die := context.WithCancel(t.Context())
		w.engine.At = func(p reconcile.Point) {
			switch {
			case p != reconcile.PointRollback:
			case dies:
				die()
			default:
				w.engine.At = nil
				w.push(coloured("blue"))
			}
		}
		if _, err := w.engine.Pass(ctx, id, reconcile.CauseCommit); (err != nil) != dies {
			t.Fatalf("dies %v: %v", dies, err)
		}
		die()
		if dies {
			w.engine.At = nil
			w.restart()
			w.push(coloured("blue"))
			if d, err := w.engine.Pass(t.Context(), id, reconcile.CauseCommit); err != nil || !d.Again {
				t.Errorf("it goes on with the rollback, and comes again: %+v, %v", d, err)
			}
		}
		if fate, verdict := w.fate("bakery"); fate != "pending" || verdict != "pending" {
			t.Errorf("dies %v: what was not tried came to %q, %q", dies, fate, verdict)
		}
		w.pass(w.due()...)
		if r := w.want("bakery", state.StatusActive); v.colour("bakery.agency.example") != "blue" {
			t.Errorf("dies %v: it serves the %s version: %s", dies, v.colour("bakery.agency.example"), r.Because)
		}
	}
}

// A removal that stops halfway has taken some of the old version away: it is not said to run.
func TestFailedRemovalClaimsNothing(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/shop.yaml": client("shop")})
	v.faults.On(memory.Before, memory.Is(memory.Delete, state.KindSite), 0, memory.Fail(provider.Invalid, "the plan's quota is used up"))
	w.apply(map[string]string{"clients/bakery.yaml": ""})
	if _, up := v.world.Serves("bakery.example"); up {
		t.Fatal("it was to stop halfway")
	}
	if r := w.want("bakery", state.StatusFailed); strings.Contains(r.Because, "old version") {
		t.Errorf("it says %q", r.Because)
	}
}
