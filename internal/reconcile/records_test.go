package reconcile_test

import (
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/localdns"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/state"
)

// A further record becomes one of another type of the same name, and again by the revert, at a DNS server
// where a CNAME stands alone at its name.
func TestRuleRecordOfAnotherType(t *testing.T) {
	for name, before := range map[string]string{"address": "{type: A, name: lb, content: 192.0.2.1}", "newer address": "{type: AAAA, name: lb, content: '2001:db8::1'}"} {
		t.Run(name, func(t *testing.T) {
			var dns *localdns.Provider
			w := newWorldWith(t, func(c *clock) []provider.Provider {
				var err error
				if dns, err = localdns.New(localdns.Options{Dir: t.TempDir(), Now: c.Now}); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = dns.Close() })
				world := memory.NewWorld(c.Now)
				return []provider.Provider{memory.New(memory.Options{Name: "railway", World: world, Kinds: memory.Databases(), Sleep: c.Sleep}),
					memory.New(memory.Options{Name: "vercel", World: world, Kinds: memory.Hosting(), Sleep: c.Sleep}), dns}
			})
			for _, records := range []string{before, "{type: CNAME, name: lb, content: lb.example.net}", before} {
				w.apply(map[string]string{"clients/shop.yaml": client("shop", "dns: {provider: local, records: ["+records+"]}")})
				if r := w.row("shop"); r.Status != string(state.StatusActive) {
					t.Errorf("%s: %s (%s)", records, r.Status, r.Because)
				}
			}
		})
	}
}

// Of two addresses of one name both are set, or somebody is told that one is not.
func TestTwoAddressesOfOneName(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": client("shop", `dns: {records: [{type: A, name: lb, content: 192.0.2.1}, {type: A, name: lb, content: 192.0.2.2}]}`)})
	n := 0
	for _, x := range v.world.Objects("cloudflare") {
		if x.Kind == state.KindRecord && attribute(x, "name") == "lb.shop.agency.example" {
			n++
		}
	}
	if n != 2 && len(w.overview().Problems) == 0 {
		t.Errorf("%d of two are set, the client is %s, and nobody is told", n, w.row("shop").Status)
	}
}
