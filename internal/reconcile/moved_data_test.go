package reconcile_test

import (
	"testing"

	"github.com/compassdigital/reconciler/internal/journal"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// P8: a client that is left alone, because the program died at work on it again and again, is
// not left with a frozen database.
func TestAFreezeOutlivesNoQuarantine(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": client("shop")})
	w.want("shop", state.StatusActive)
	id := w.id("shop")
	ref := state.Ref{Client: id, Kind: state.KindDatabase, Name: "main"}
	var db state.Resource
	err := w.store.Update(func(tx store.Tx) (err error) {
		if db, _, err = store.Resource(tx, ref); err != nil {
			return err
		}
		c, _, err := store.Client(tx, id)
		if err != nil {
			return err
		}
		c.Quarantined, c.Settled, c.Status = w.clock.Now(), true, state.StatusFailed
		if err := store.PutClient(tx, c); err != nil {
			return err
		}
		return store.PutIntent(tx, journal.Intent{Op: journal.OpTransfer, Ref: ref, Key: ref.String(), Provider: db.Provider, ObjectID: db.ID, At: w.clock.Now()})
	})
	if err != nil {
		t.Fatal(err)
	}
	p, _ := w.engine.Runner.Provider(db.Provider, state.KindDatabase)
	if err := p.(provider.Mover).Freeze(t.Context(), db.ID); err != nil || !v.world.Frozen(db.ID) {
		t.Fatalf("not frozen: %v", err)
	}
	if _, err := w.engine.Pass(t.Context(), id, reconcile.CauseStart); err != nil {
		t.Fatal(err)
	}
	if v.world.Frozen(db.ID) {
		t.Error("it stays frozen")
	}
	err = w.store.View(func(tx store.Tx) error {
		open, err := store.Intents(tx, id)
		if len(open) != 0 {
			t.Errorf("open: %v", open)
		}
		c, _, e := store.Client(tx, id)
		if c.Quarantined.IsZero() || c.Status != state.StatusFailed {
			t.Errorf("it is worked on again: %s", c.Status)
		}
		if err == nil {
			err = e
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
