package reconcile_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/state"
)

// DNS moves to another provider, which refuses it (it has no such zone, say), at once or in the middle: name and mail are where
// they were, whatever it took to find out.
func TestRuleADNSProviderThatRefusesTakesNothingDown(t *testing.T) {
	for name, refused := range map[string]string{"all": "local create record", "the address": "local create record A", "mail": "local create record MX"} {
		t.Run(name, func(t *testing.T) {
			v := &vendors{faults: &memory.Faults{}}
			w := newWorldWith(t, func(c *clock) []provider.Provider {
				return append(v.twoHosts(c), memory.New(memory.Options{Name: "local", World: v.world, Kinds: memory.DNS(), Fault: v.faults.Hook, Sleep: c.Sleep}))
			})
			const records = `records: [{type: MX, name: "@", content: mx.example.net, priority: 10}, {type: TXT, name: note, content: hi}]`
			at := func(vendor string) (out []string) {
				for _, x := range v.world.Objects(vendor) {
					if x.Kind == state.KindRecord {
						out = append(out, attribute(x, "type")+" "+attribute(x, "name")+" "+attribute(x, "content"))
					}
				}
				slices.Sort(out)
				return out
			}
			w.apply(map[string]string{"clients/shop.yaml": client("shop", "dns: {"+records+"}")})
			before := at("cloudflare")
			v.faults.On(memory.Before, func(c memory.Call) bool { return strings.HasPrefix(c.String(), refused) }, 0, memory.Fail(provider.Invalid, "there is no zone for it"))
			w.apply(map[string]string{"clients/shop.yaml": client("shop", "dns: {provider: local, "+records+"}")})
			var waits []state.ClientID
			for _, h := range w.overview().Holds {
				ids, err := w.engine.Approve(t.Context(), h.Fingerprint, "dana")
				if err != nil {
					t.Fatal(err)
				}
				waits = ids
			}
			w.pass(waits...)
			w.want("shop", state.StatusFailed)
			if now := at("cloudflare"); !slices.Equal(now, before) || len(at("local")) > 0 {
				t.Errorf("%s\nthere were %q, there are %q, and elsewhere %q", w.row("shop").Because, before, now, at("local"))
			}
			v.faults.Clear()
			w.apply(map[string]string{"clients/shop.yaml": client("shop", "dns: {"+records+"}")})
			w.want("shop", state.StatusActive)
			if now := at("cloudflare"); !slices.Equal(now, before) || len(at("local")) > 0 {
				t.Errorf("after the revert there are %q, and elsewhere %q", now, at("local"))
			}
		})
	}
}
