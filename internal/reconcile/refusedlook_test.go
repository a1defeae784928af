package reconcile_test

import (
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/state"
)

// S34, S43, P6: a client's domain went to another account (its zone is not one that the token sees any more). An older copy
// that knows its records is compared with what the providers show all the same, and a rebuild comes to its end where it is
// asked for still: nobody else waits for that zone.
func TestP6AZoneThatIsNotSeenStopsNoComparison(t *testing.T) {
	for _, how := range []string{"restore", "rebuild"} {
		t.Run(how, func(t *testing.T) {
			v, w := newVendors(t)
			w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b", "aliases: [shop.b.example]")})
			away := v.record("A", "shop.b.example")
			if away == "" {
				t.Fatal("there is no such record")
			}
			backup := w.backup()
			if how == "restore" {
				w.apply(map[string]string{"clients/b.yaml": ""})
				w.want("b", state.StatusRetained)
			} else {
				v.world.Remove(away)
			}
			asked := 0
			v.faults.On(memory.Before, func(c memory.Call) bool {
				hit := c.Kind == state.KindRecord && c.Verb == memory.Observe && (c.ID == away || c.ID == "" && strings.Contains(c.Name, "shop.b.example"))
				if hit {
					asked++
				}
				return hit
			}, -1, memory.Fail(provider.Invalid, "the zone is not one that the token sees any more"))
			if how == "restore" {
				w.restore(backup)
				if _, err := w.engine.Poll(t.Context()); err != nil {
					t.Fatal(err)
				}
			} else {
				w.rebuild(v)
			}
			if asked == 0 {
				t.Error("nobody looked there")
			}
			w.pass(w.due()...)
			w.apply(map[string]string{"clients/a.yaml": client("a", "env: {COLOUR: red}")})
			w.want("a", state.StatusActive)
		})
	}
}
