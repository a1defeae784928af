package reconcile_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// keptAt is the fleet with shop's database at a provider.
func keptAt(keeper string, more ...string) map[string]string {
	return map[string]string{"clients/shop.yaml": client("shop", append([]string{"database: {provider: " + keeper + "}"}, more...)...), "clients/other.yaml": client("other")}
}

// sells says whether what serves shop writes to its database, as a customer sees it.
func (w *world) sells(v *vendors) bool {
	w.t.Helper()
	d, ok := v.world.Serves("shop.agency.example")
	own := w.ownData("shop")
	return ok && strings.Contains(v.world.BuiltWith(d)["DATABASE_URL"], own.ID) && !v.world.Frozen(own.ID)
}

// Rule "Data": the host of a site is down as the move of its database is approved. Nothing is frozen before the site can be deployed with
// the new address; then the move goes on by itself, and nobody is asked again.
func TestRuleADatabaseMovesOnceItsSiteCanFollow(t *testing.T) {
	v, w := newMovers(t)
	w.apply(keptAt("railway"))
	own := w.ownData("shop")
	v.world.Write(own.ID, "an order")
	w.apply(keptAt("postgres"))
	w.approveMoves()
	v.world.Down("vercel", memory.Fail(provider.Transient, "503 service unavailable"))
	for range 3 {
		w.pass(w.id("shop"))
		if !w.sells(v) || w.ownData("shop").ID != own.ID {
			t.Fatalf("the site can't write while its host is down: %s", w.row("shop").Because)
		}
		if r := w.row("shop"); !strings.Contains(r.Because, "vercel") {
			t.Errorf("it waits as %q", r.Because)
		}
		w.clock.add(20 * time.Minute)
	}
	v.world.Down("vercel", nil)
	w.pass(w.id("shop"))
	w.want("shop", state.StatusActive)
	if now := w.ownData("shop"); now.Provider != "postgres" || !w.sells(v) || !slices.Equal(v.world.Rows(now.ID), []string{"an order"}) {
		t.Errorf("it is at %s with %v", now.Provider, v.world.Rows(now.ID))
	}
}

// Rule "Data": a freeze begins while a move is under way, between the copy and the deployment that has its address. What the move began is
// brought to its end: else the site could not write before the freeze ends. All else of the client waits.
func TestRuleAFreezeLeavesNoSiteReadOnly(t *testing.T) {
	for _, taken := range []bool{false, true} { // it goes on, or is taken back
		v, w := newMovers(t)
		w.apply(keptAt("railway"))
		v.world.Write(w.ownData("shop").ID, "an order")
		w.apply(keptAt("postgres"))
		w.approveMoves()
		v.faults.Do(memory.Before, memory.Is(memory.Update, state.KindEnvironment), 1, func(context.Context, memory.Call) error {
			return memory.Fail(provider.Transient, "503 service unavailable")
		})
		v.faults.Do(memory.Before, memory.Is(memory.Update, state.KindEnvironment), 1, func(context.Context, memory.Call) error {
			v.world.Down("vercel", memory.Fail(provider.Transient, "503 service unavailable"))
			return memory.Fail(provider.Transient, "503 service unavailable")
		})
		w.pass(w.id("shop"))
		if w.ownData("shop").Provider != "postgres" || w.sells(v) {
			t.Fatal("the move was to be cut off after its switch")
		}
		files := map[string]string{"platform.yaml": "apiVersion: reconciler/v1\nkind: Platform\nfreeze: [{from: 2026-11-24T00:00, to: 2036-11-25T00:00, reason: holidays}]\n"}
		if taken {
			files["clients/shop.yaml"] = keptAt("railway")["clients/shop.yaml"]
		}
		w.apply(files)
		v.world.Down("vercel", nil)
		w.clock.add(time.Hour)
		w.pass(w.due()...)
		w.pass(w.id("shop"))
		if r := w.row("shop"); !w.sells(v) || r.Status != string(state.StatusActive) {
			t.Errorf("taken back %v: the site can't write in the freeze: %s, %s", taken, r.Status, r.Because)
		}
		d, _ := v.world.Serves("shop.agency.example")
		w.apply(keptAt(w.ownData("shop").Provider, "env: {COLOUR: red}"))
		w.want("shop", state.StatusHeld)
		if now, _ := v.world.Serves("shop.agency.example"); now != d {
			t.Error("a later commit was deployed in the freeze")
		}
	}
}

// A client is paused while its site can't write, as its database was moved and it was not deployed yet: that is said.
func TestRulePausedInAMoveIsTold(t *testing.T) {
	v, w := newMovers(t)
	w.apply(keptAt("railway"))
	w.apply(keptAt("postgres"))
	w.approveMoves()
	v.faults.Do(memory.Before, memory.Is(memory.Update, state.KindEnvironment), 1, func(context.Context, memory.Call) error {
		v.world.Down("vercel", memory.Fail(provider.Transient, "503 service unavailable"))
		return memory.Fail(provider.Transient, "503 service unavailable")
	})
	w.pass(w.id("shop"))
	id, err := w.engine.SetPaused("shop", true, "dana")
	if err != nil {
		t.Fatal(err)
	}
	v.world.Down("vercel", nil)
	w.clock.add(time.Hour)
	w.pass(id)
	if r := w.want("shop", state.StatusPaused); w.sells(v) || !strings.Contains(r.Because, "the site can't write") {
		t.Errorf("it says %q", r.Because)
	}
	w.resume("shop")
	if r := w.want("shop", state.StatusActive); !w.sells(v) || strings.Contains(r.Because, "can't write") {
		t.Errorf("it goes on: %s", r.Because)
	}
}

// P12: a move was approved, came to nothing before anything was frozen, and was taken back. The same move is another one: nothing of it runs
// before somebody says yes, whatever else is committed.
func TestP12AMoveThatWasTakenBackIsAskedForAgain(t *testing.T) {
	v, w := newMovers(t)
	w.apply(keptAt("railway"))
	own := w.ownData("shop")
	v.world.Write(own.ID, "an order")
	w.apply(keptAt("postgres"))
	v.faults.Do(memory.Before, memory.Is(memory.Compare, state.KindDatabase), 1, func(context.Context, memory.Call) error {
		return memory.Fail(provider.Invalid, "the server is too old")
	})
	w.approveMoves()
	w.pass(w.id("shop"))
	w.want("shop", state.StatusFailed)
	w.apply(keptAt("railway"))
	w.want("shop", state.StatusActive)
	w.clock.add(10 * 24 * time.Hour)
	for _, colour := range []string{"red", "green", "blue"} {
		w.apply(keptAt("postgres", "env: {COLOUR: "+colour+"}"))
		if w.ownData("shop").ID != own.ID || w.row("shop").Status != string(state.StatusHeld) {
			t.Fatalf("%s: moved, and nobody said yes to it: %s", colour, w.row("shop").Status)
		}
	}
	w.approveMoves()
	w.pass(w.id("shop"))
	w.want("shop", state.StatusActive)
	if now := w.ownData("shop"); now.Provider != "postgres" || len(v.world.Rows(now.ID)) != 1 || !w.sells(v) {
		t.Errorf("approved, it is at %s with %v", now.Provider, v.world.Rows(now.ID))
	}
}

// Rule "Data": what a move left is kept for ever, and its owner deletes it at its vendor. The way back is open then: it is a move as any other.
func TestRuleWhatAMoveLeftAndIsGoneIsNotInTheWay(t *testing.T) {
	v, w := newMovers(t)
	at := func(keeper string) map[string]string {
		return map[string]string{"clients/shop.yaml": client("shop", "database: {provider: "+keeper+", retain: forever}"), "clients/other.yaml": client("other")}
	}
	w.apply(at("railway"))
	old := w.ownData("shop").ID
	v.world.Write(old, "an order")
	w.apply(at("postgres"))
	w.approveMoves()
	w.pass(w.id("shop"))
	left := w.ownData("shop").ID
	v.world.Write(left, "a later order")
	w.apply(at("railway"))
	if r := w.want("shop", state.StatusHeld); !strings.Contains(r.Because, "until you delete it there") {
		t.Errorf("it says %q", r.Because)
	}
	v.world.Remove(old)
	if _, err := w.engine.Retry("shop", "dana"); err != nil {
		t.Fatal(err)
	}
	w.pass(w.id("shop"))
	w.want("shop", state.StatusHeld)
	w.approveMoves()
	w.pass(w.id("shop"))
	w.want("shop", state.StatusActive)
	if now := w.ownData("shop"); now.Provider != "railway" || now.ID == old || !slices.Equal(v.world.Rows(now.ID), []string{"an order", "a later order"}) || !v.world.Frozen(left) || !w.sells(v) {
		t.Errorf("it is at %s %s with %v", now.Provider, now.ID, v.world.Rows(now.ID))
	}
}

// rekeyed gives no address of its databases, and loads nothing into them, before they were changed: as a server of one's own after
// `secret rekey`, whose passwords are made of the key.
type rekeyed struct {
	*memory.Provider
	world *memory.World
	old   map[string]bool
}

func (r *rekeyed) Observe(ctx context.Context, q provider.Query) ([]provider.Object, error) {
	all, err := r.Provider.Observe(ctx, q)
	for i, o := range all {
		if r.old[o.ID] {
			all[i].Outputs = slices.DeleteFunc(slices.Clone(o.Outputs), func(x provider.Output) bool { return x.Name == "url" })
		}
	}
	return all, err
}

func (r *rekeyed) Update(ctx context.Context, id string, w provider.Wish) (provider.Object, error) {
	o, err := r.Provider.Update(ctx, id, w)
	if err == nil {
		delete(r.old, id)
		if o.Phase == provider.Failed && r.world.Done(id) { // it is started again
			o.Phase, o.Message = provider.Ready, ""
		}
	}
	return o, err
}

func (r *rekeyed) Load(ctx context.Context, id, path string) error {
	if r.old[id] {
		return memory.Fail(provider.Invalid, "password authentication failed")
	}
	return r.Provider.Load(ctx, id, path)
}

// Rule "Data": the copy of a move was made, the move came to nothing, and passwords can only be made anew by then; or the copy's database was
// made, and failed to start. The next try of the move, or the same move later, mends that first.
func TestRuleACopyThatCantBeFilledIsMended(t *testing.T) {
	for _, what := range []string{"another password", "another password, and taken back meanwhile", "it failed to start"} {
		v, w := newMovers(t)
		r := &rekeyed{world: v.world, old: map[string]bool{}}
		w.change = func(e *reconcile.Engine) {
			e.Runner.Scratch = t.TempDir()
		}
		i := slices.IndexFunc(w.all, func(p provider.Provider) bool { return p.Name() == "postgres" })
		r.Provider = w.all[i].(*memory.Provider)
		w.all[i] = r
		w.pass(ids(w.restart())...)
		w.apply(keptAt("railway"))
		v.world.Write(w.ownData("shop").ID, "an order")
		w.apply(keptAt("postgres"))
		v.faults.Do(memory.Before, memory.Is(memory.Freeze, state.KindDatabase), 1, func(context.Context, memory.Call) error {
			return memory.Fail(provider.Transient, "503 service unavailable")
		})
		w.approveMoves()
		w.pass(w.id("shop"))
		w.want("shop", state.StatusFailed)
		copied := v.world.Objects("postgres")[0].ID
		switch what {
		case "it failed to start":
			err := w.store.Update(func(tx store.Tx) error {
				c, _, err := store.Resource(tx, plan.Beside(state.Ref{Client: w.id("shop"), Kind: state.KindDatabase, Name: plan.MainDatabase}, "postgres"))
				if err != nil {
					return err
				}
				c.Phase = "failed"
				return store.PutResource(tx, c)
			})
			if err != nil {
				t.Fatal(err)
			}
			v.world.Edit(copied, func(o *provider.Object) { o.Phase, o.Message = provider.Failed, "its image could not be fetched" })
		case "another password":
			r.old[copied] = true
		default:
			r.old[copied] = true
			w.apply(keptAt("railway"))
			w.apply(keptAt("postgres"))
		}
		for range 2 {
			if _, err := w.engine.Retry("shop", "dana"); err != nil {
				t.Fatal(err)
			}
			w.pass(w.id("shop"))
			w.approveMoves()
			w.pass(w.id("shop"))
		}
		if row := w.row("shop"); w.ownData("shop").Provider != "postgres" || row.Status != string(state.StatusActive) || !w.sells(v) {
			t.Errorf("%s: %s, %s; it is at %s", what, row.Status, row.Because, w.ownData("shop").Provider)
		}
	}
}
