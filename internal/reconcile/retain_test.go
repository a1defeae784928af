package reconcile_test

import (
	"slices"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// P5: what is kept is kept as long as its manifest says by now, and never less than the platform's floor.
func TestP5KeptAsLongAsItIsSaid(t *testing.T) {
	for what, then := range map[string]map[string]string{
		"the manifest": {"clients/shop.yaml": client("shop", "database: {provider: none, retain: forever}", "env: {DATABASE_URL: {none: true}}")},
		"the platform": {"platform.yaml": "apiVersion: reconciler/v1\nkind: Platform\nlimits: {minRetain: 90d}\n"},
	} {
		t.Run(what, func(t *testing.T) {
			v, w := newVendors(t)
			w.apply(map[string]string{"clients/shop.yaml": client("shop"), "clients/gone.yaml": client("gone")})
			w.want("shop", state.StatusActive)
			v.world.Write(v.of(state.KindDatabase), "an order")
			w.apply(map[string]string{"clients/shop.yaml": client("shop", "database: {provider: none}", "env: {DATABASE_URL: {none: true}}")})
			if what == "the platform" {
				w.apply(map[string]string{"clients/gone.yaml": ""})
				w.want("gone", state.StatusRetained)
			}
			w.apply(then)
			w.clock.add(31 * 24 * time.Hour)
			w.poll()
			if erased, err := w.engine.PurgeDue(t.Context()); err != nil || len(erased) > 0 {
				t.Errorf("erased %v, %v", erased, err)
			}
			if kept, err := w.engine.Retained(); err != nil || len(kept) == 0 {
				t.Errorf("kept %v, %v", kept, err)
			}
			w.clock.add(60 * 24 * time.Hour)
			w.poll()
			erased, err := w.engine.PurgeDue(t.Context())
			if want := map[string]int{"the manifest": 0, "the platform": 2}[what]; err != nil || len(erased) != want {
				t.Errorf("at last erased %v, %v", erased, err)
			}
		})
	}
}

// P5: the commit that leaves a database out says how long it is kept, too: so it is kept, and so the plan says.
func TestP5KeptAsTheCommitSaysThatLeavesItOut(t *testing.T) {
	_, w := newVendors(t)
	for name, retain := range map[string]string{"longer": "60d", "ever": "forever", "shorter": "10d"} {
		w.apply(map[string]string{"clients/" + name + ".yaml": client(name)})
		w.apply(map[string]string{"clients/" + name + ".yaml": client(name, "database: {provider: none, retain: "+retain+"}", "env: {DATABASE_URL: {none: true}}")})
		w.want(name, state.StatusActive)
		until := map[string]time.Time{"longer": w.clock.Now().Add(60 * 24 * time.Hour), "shorter": w.clock.Now().Add(30 * 24 * time.Hour)}[name]
		w.view(func(tx store.Tx) error {
			all, err := store.Resources(tx, w.id(name))
			if r := all[slices.IndexFunc(all, func(r state.Resource) bool { return r.Ref.Kind == state.KindDatabase })]; !r.Retained() || !r.PurgeAfter.Equal(until) {
				t.Errorf("%s is kept until %s, want %s", name, r.PurgeAfter, until)
			}
			return err
		})
	}
}
