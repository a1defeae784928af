package reconcile_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/journal"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
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

// P5, rule "Data": a move made the database that it is to fill, and the process died. Then a person
// deletes the client's own one. What was made never takes its place: the client is held, and the
// move comes to its end once its data is back.
func TestP5ACopyNeverTakesThePlaceOfWhatIsGone(t *testing.T) {
	for _, at := range []memory.Verb{memory.Freeze, memory.Load, memory.Compare} {
		t.Run(string(at), func(t *testing.T) {
			v, w := newMovers(t)
			w.apply(map[string]string{"clients/shop.yaml": client("shop")})
			w.want("shop", state.StatusActive)
			id, own := w.id("shop"), w.ownData("shop")
			v.world.Write(own.ID, "an order")
			object, _ := v.world.Object(own.ID)
			w.apply(map[string]string{"clients/shop.yaml": client("shop", "database: {provider: postgres}")})
			w.approveMoves()
			ctx, die := context.WithCancel(t.Context())
			away := func(fault error) { v.world.Down("railway", fault); v.world.Down("postgres", fault) }
			v.faults.Do(memory.Before, memory.Is(at, state.KindDatabase), 1, func(context.Context, memory.Call) error {
				away(memory.Lost()) // what is frozen stays frozen
				die()
				return memory.Lost()
			})
			if _, err := w.engine.Pass(ctx, id, reconcile.CauseApprove); err == nil {
				t.Fatal("the process was to die")
			}
			away(nil)
			if made := v.world.Objects("postgres"); w.ownData("shop").ID != own.ID || len(made) != 1 {
				t.Fatalf("%d databases at postgres; on record is %+v", len(made), w.ownData("shop"))
			}
			again := func() {
				if _, err := w.engine.Retry("shop", "dana"); err != nil {
					t.Fatal(err)
				}
				w.pass(id)
				w.approveMoves()
				w.clock.add(time.Hour)
				w.pass(id)
			}
			v.world.Remove(own.ID)
			w.pass(w.due()...)
			for range 2 {
				again()
				if now := w.ownData("shop"); now.ID != own.ID {
					t.Fatalf("%s took the place of %s", now.ID, own.ID)
				}
			}
			if r := w.want("shop", state.StatusHeld); !strings.Contains(r.Because, "gone") {
				t.Errorf("it is held, as %s", r.Because)
			}
			v.world.Seed("railway", object)
			v.world.Write(own.ID, "an order")
			again()
			w.want("shop", state.StatusActive)
			if now := w.ownData("shop"); now.Provider != "postgres" || len(v.world.Rows(now.ID)) != 1 {
				t.Errorf("it moved to %s %s with %v", now.Provider, now.ID, v.world.Rows(now.ID))
			}
		})
	}
}

// newMovers is newVendors with two places between which databases move.
func newMovers(t *testing.T) (*vendors, *world) {
	t.Helper()
	v := &vendors{faults: &memory.Faults{}}
	w := newWorldOver(t, func(w *world) {
		w.change = func(e *reconcile.Engine) { e.Runner.Scratch = t.TempDir() }
	}, func(c *clock) []provider.Provider {
		kinds := memory.Databases()
		delete(kinds, state.KindAdmin) // who is kept there can't be moved
		v.clock, v.world = c, memory.NewWorld(c.Now)
		open := func(name string, kinds map[state.Kind]provider.Traits) provider.Provider {
			return memory.New(memory.Options{Name: name, World: v.world, Kinds: kinds, Fault: v.faults.Hook, Sleep: c.Sleep})
		}
		return []provider.Provider{open("railway", kinds), open("postgres", kinds), open("vercel", memory.Hosting()), open("cloudflare", memory.DNS())}
	})
	w.apply(map[string]string{"templates/shop.yaml": strings.Replace(template, "kind: payload, path: /admin", "kind: none", 1)})
	return v, w
}

// ownData is what is on record as the client's own one.
func (w *world) ownData(name string) (r state.Resource) {
	w.t.Helper()
	ref := state.Ref{Client: w.id(name), Kind: state.KindDatabase, Name: plan.MainDatabase}
	err := w.store.View(func(tx store.Tx) (err error) {
		r, _, err = store.Resource(tx, ref)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// approveMoves says yes to every move that waits for it.
func (w *world) approveMoves() {
	w.t.Helper()
	o, err := w.engine.Overview()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, h := range o.Holds {
		if h.Kind != state.HoldData || !h.Approvable {
			continue
		}
		if _, err := w.engine.Approve(w.t.Context(), h.Fingerprint, "dana"); err != nil {
			w.t.Fatal(err)
		}
	}
}

// S43, P5: a move came to nothing before anything was frozen, and the client was removed. Then the
// state is lost: of its two databases, neither frozen, the one with the data counts as its own,
// nothing of it goes by a date, and it does not come back before somebody has looked.
func TestS43OfTwoDatabasesTheEmptyOneIsNotItsOwn(t *testing.T) {
	v, w := newMovers(t)
	with := func(keeper string) map[string]string {
		return map[string]string{"clients/shop.yaml": client("shop", "database: {provider: "+keeper+", retain: 40d}"), "clients/other.yaml": client("other")}
	}
	w.apply(with("railway"))
	w.want("shop", state.StatusActive)
	id, own := w.id("shop"), w.ownData("shop")
	v.world.Write(own.ID, "an order")
	w.apply(with("postgres"))
	v.faults.Do(memory.Before, memory.Is(memory.Freeze, state.KindDatabase), 1, func(context.Context, memory.Call) error {
		return memory.Fail(provider.Transient, "503 service unavailable")
	})
	w.approveMoves()
	w.pass(id)
	if r := w.want("shop", state.StatusFailed); len(v.world.Objects("postgres")) != 1 || !strings.Contains(r.Because, "the data was not moved") {
		t.Fatalf("the move was to fail with its copy made: %s", r.Because)
	}
	w.apply(map[string]string{"clients/shop.yaml": ""})
	w.want("shop", state.StatusRetained)

	w.rebuild(v)
	if now := w.ownData("shop"); now.ID != own.ID || !now.PurgeAfter.IsZero() {
		t.Errorf("its own is %s, until %v; it was %s", now.ID, now.PurgeAfter, own.ID)
	}
	w.want("shop", state.StatusRetained)
	w.apply(with("railway"))
	r := w.want("shop", state.StatusHeld)
	if !strings.Contains(r.Because, "railway would count as its own: the other one is empty") {
		t.Errorf("it waits, as %s", r.Because)
	}
	holds := w.detail("shop").Holds
	if len(holds) != 1 {
		t.Fatalf("holds: %+v", holds)
	}
	ids, err := w.engine.Approve(t.Context(), holds[0].Fingerprint, "ops")
	if err != nil {
		t.Fatal(err)
	}
	w.pass(ids...)
	w.want("shop", state.StatusActive)
	if now := w.ownData("shop"); now.ID != own.ID || now.Retained() || len(v.world.Rows(own.ID)) != 1 {
		t.Errorf("it came back with %+v", now)
	}
}

// S43, P5: the same, and a copy of the state from before the move is put back: it knows of one
// database. Nothing of either goes by a date, and the client does not come back before somebody
// has looked.
func TestS43ACopyThatKnowsOneOfTwoDatabases(t *testing.T) {
	v, w := newMovers(t)
	with := func(keeper string) map[string]string {
		return map[string]string{"clients/shop.yaml": client("shop", "database: {provider: "+keeper+", retain: 40d}"), "clients/other.yaml": client("other")}
	}
	w.apply(with("railway"))
	w.want("shop", state.StatusActive)
	own := w.ownData("shop")
	v.world.Write(own.ID, "an order")
	w.apply(map[string]string{"clients/shop.yaml": ""})
	w.want("shop", state.StatusRetained)
	copied := w.backup()
	w.apply(with("railway"))
	w.apply(with("postgres"))
	v.faults.Do(memory.Before, memory.Is(memory.Freeze, state.KindDatabase), 1, func(context.Context, memory.Call) error {
		return memory.Fail(provider.Transient, "503 service unavailable")
	})
	w.approveMoves()
	w.pass(w.id("shop"))
	w.want("shop", state.StatusFailed)
	w.apply(map[string]string{"clients/shop.yaml": ""})
	w.want("shop", state.StatusRetained)

	w.restore(copied)
	w.apply(nil)
	if now := w.ownData("shop"); now.ID != own.ID || !now.PurgeAfter.IsZero() {
		t.Errorf("its own is %s, until %v; it was %s", now.ID, now.PurgeAfter, own.ID)
	}
	if r := w.want("shop", state.StatusRetained); !strings.Contains(r.Because, "wants a look") {
		t.Errorf("it says %q", r.Because)
	}
	w.clock.add(50 * 24 * time.Hour)
	if _, err := w.engine.PurgeDue(t.Context()); err != nil || len(v.world.Rows(own.ID)) != 1 {
		t.Fatalf("its data went by a date: %v", err)
	}
	w.apply(with("railway"))
	if r := w.want("shop", state.StatusHeld); !strings.Contains(r.Because, "which one its data is in") {
		t.Errorf("it waits, as %s", r.Because)
	}
}

// S34, P5: the first try of a move fails, the second one does not, and a copy of the state from in between is put back: it knows
// both databases, and takes the one that was left for the client's own. A person looks first, and nothing of what was
// written since goes: neither by a copy over it, nor by a date.
func TestS34ACopyThatHasTheOneThatWasLeft(t *testing.T) {
	v, w := newMovers(t)
	with := func(keeper string) map[string]string {
		return map[string]string{"clients/shop.yaml": client("shop", "database: {provider: "+keeper+"}"), "clients/other.yaml": client("other")}
	}
	w.apply(with("railway"))
	v.world.Write(w.ownData("shop").ID, "an order")
	w.apply(with("postgres"))
	v.faults.Do(memory.Before, memory.Is(memory.Freeze, state.KindDatabase), 1, func(context.Context, memory.Call) error {
		return memory.Fail(provider.Transient, "503 service unavailable")
	})
	again := func() {
		t.Helper()
		w.approveMoves()
		if _, err := w.engine.Retry("shop", "dana"); err != nil {
			t.Fatal(err)
		}
		w.pass(w.id("shop"))
	}
	again()
	w.want("shop", state.StatusFailed)
	copied := w.backup()
	again()
	again()
	w.want("shop", state.StatusActive)
	own := w.ownData("shop")
	if own.Provider != "postgres" {
		t.Fatalf("it is at %s", own.Provider)
	}
	v.world.Write(own.ID, "a later order")

	w.restore(copied)
	w.apply(nil)
	if r := w.want("shop", state.StatusHeld); !strings.Contains(r.Because, "postgres would count as its own") {
		t.Errorf("it waits, as %s", r.Because)
	}
	again()
	for _, h := range w.detail("shop").Holds {
		ids, err := w.engine.Approve(t.Context(), h.Fingerprint, "dana")
		if err != nil {
			t.Fatal(err)
		}
		w.pass(ids...)
	}
	again()
	w.want("shop", state.StatusActive)
	w.clock.add(100 * 24 * time.Hour)
	w.poll()
	if erased, err := w.engine.PurgeDue(t.Context()); err != nil || len(erased) > 0 {
		t.Errorf("erased %v, %v", erased, err)
	}
	if now := w.ownData("shop"); now.ID != own.ID || len(v.world.Rows(own.ID)) != 2 {
		t.Errorf("its own is %s with %v, it was %s", now.ID, v.world.Rows(now.ID), own.ID)
	}
}
