package reconcile_test

import (
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
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
