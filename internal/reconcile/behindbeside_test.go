package reconcile_test

import (
	"context"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// P6: the first pass after a start asks whether what is there is of clients that this state does not know. That list
// waits for a vendor's window, say, and meanwhile a new client is accepted and made: its site is no proof that the state
// is an older copy.
func TestP6NewClientBesideTheFirstListIsNoOldState(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a")})
	w.push(map[string]string{"clients/b.yaml": client("b")})
	w.restart()
	made := false
	v.faults.Do(memory.Before, func(c memory.Call) bool { return c.Verb == memory.Owned && c.Provider == "vercel" }, 1, func(context.Context, memory.Call) error {
		made = true
		w.pass(w.push(map[string]string{"clients/c.yaml": client("c")})...)
		return nil
	})
	if _, err := w.engine.Pass(t.Context(), w.clientID("b"), reconcile.CauseStart); err != nil || !made {
		t.Fatalf("made %v, %v", made, err)
	}
	if err := w.store.View(func(tx store.Tx) error {
		_, old, err := store.Restored(tx)
		if old {
			t.Error("the state counts as an older copy that was put back")
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	w.pass(w.clientID("b"))
	w.want("b", state.StatusActive)
	w.want("c", state.StatusActive)
}
