package reconcile_test

import (
	"testing"

	"github.com/compassdigital/reconciler/internal/state"
)

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
