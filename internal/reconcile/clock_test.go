package reconcile_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// The clock is set back by 200 days, while the program runs or while it is down. Nobody waits
// for what was noted before: who is tried again is due at once, a removal goes when its time is
// over, counted from now, what was to be told is told, and data is kept no shorter.
func TestTheClockIsSetBack(t *testing.T) {
	const back = -200 * 24 * time.Hour
	for _, down := range []bool{false, true} {
		v, w := newVendors(t)
		w.change = func(e *reconcile.Engine) { e.Guard.RemoveAfter = time.Hour }
		w.restart()
		w.apply(map[string]string{"clients/old.yaml": client("old"), "clients/shop.yaml": client("shop"), "clients/other.yaml": client("other")})
		w.pass(w.push(map[string]string{"clients/old.yaml": ""})...)
		w.clock.add(61 * time.Minute)
		w.pass(w.id("old"))
		w.want("old", state.StatusRetained)
		kept := w.purgeDate("old")

		refuse := func(context.Context, state.Report) error { return errors.New("the forge is down") }
		if err := w.engine.Deliver(t.Context(), refuse); err == nil {
			t.Fatal("nothing was to be told")
		}
		v.faults.On(memory.Before, memory.Is(memory.Create, state.KindDeployment), 2, memory.RateLimited(w.clock.Now().Add(50*time.Minute)))
		w.pass(w.push(map[string]string{"clients/shop.yaml": "", "clients/other.yaml": client("other", "env: {COLOUR: red}")})...)
		w.clock.add(10 * time.Minute)

		w.clock.jump(back)
		due := []state.ClientID{}
		if down {
			for _, d := range w.restart() {
				if d.At.After(w.clock.Now()) {
					t.Errorf("%s is due at %s, and it is %s", d.Client, d.At, w.clock.Now())
				}
				due = append(due, d.Client)
			}
		} else {
			due = w.poll()
		}
		for _, name := range []string{"shop", "other"} {
			if !slices.Contains(due, w.id(name)) {
				t.Errorf("down %v: %s waits on: %v", down, name, due)
			}
		}
		v.faults.Clear()
		w.pass(due...)
		w.want("other", state.StatusActive)
		if _, ok := v.world.Serves("shop.agency.example"); !ok {
			t.Errorf("down %v: the removal came early", down)
		}
		w.clock.add(49 * time.Minute)
		w.pass(w.id("shop"))
		if _, ok := v.world.Serves("shop.agency.example"); !ok {
			t.Errorf("down %v: the removal came early", down)
		}
		w.clock.add(12 * time.Minute)
		w.pass(w.id("shop"))
		w.want("shop", state.StatusRetained)
		if got := w.purgeDate("old"); !got.Equal(kept) {
			t.Errorf("down %v: data is kept until %s, and was until %s", down, got, kept)
		}
		told := 0
		if err := w.engine.Deliver(t.Context(), func(context.Context, state.Report) error { told++; return nil }); err != nil || told == 0 {
			t.Errorf("down %v: %d reports were told: %v", down, told, err)
		}
		var left []state.Report
		if err := w.store.View(func(tx store.Tx) (err error) { left, err = store.Reports(tx); return err }); err != nil || len(left) > 0 {
			t.Errorf("down %v: %d reports wait: %v", down, len(left), err)
		}
	}
}

// P9: the clock is ahead while everybody is at rest and somebody refuses to be told; it is set
// back while the program is down. What is to be told waits for no date of then.
func TestP9TheClockIsSetBackBeforeAStart(t *testing.T) {
	_, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": client("shop")})
	const ahead = 9 * 24 * time.Hour
	w.clock.jump(ahead)
	if err := w.engine.Deliver(t.Context(), func(context.Context, state.Report) error { return errors.New("the forge is down") }); err == nil {
		t.Fatal("nothing was to be told")
	}
	w.clock.jump(-ahead)
	w.restart()
	w.poll()
	w.clock.add(time.Minute)
	told := map[string]string{}
	err := w.engine.Deliver(t.Context(), func(_ context.Context, r state.Report) error { told[r.Subject] = r.State; return nil })
	if got := told["commit/"+w.engine.Head()]; err != nil || got != "success" {
		t.Errorf("told %q: %v", got, err)
	}
}

// purgeDate is until when a client's database is kept.
func (w *world) purgeDate(name string) time.Time {
	w.t.Helper()
	var at time.Time
	id := w.id(name)
	err := w.store.View(func(tx store.Tx) error {
		r, _, err := store.Resource(tx, state.Ref{Client: id, Kind: state.KindDatabase, Name: "main"})
		at = r.PurgeAfter
		return err
	})
	if err != nil || at.IsZero() {
		w.t.Fatalf("%s has no data that is kept: %v", name, err)
	}
	return at
}
