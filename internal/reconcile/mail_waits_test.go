package reconcile_test

import (
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

const withMail = `dns: {records: [{type: MX, name: "@", content: mx.example.net, priority: 10}]}`

// Taking away mail: the record waits for an approval, and nothing else of the change does. A site that the manifest
// asks for no more goes.
func TestRuleMailAloneWaitsWhenTheSiteIsLeftOut(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": client("shop", withMail)})
	w.apply(map[string]string{"clients/shop.yaml": client("shop", "deployment: {provider: none}")})
	w.want("shop", state.StatusHeld)
	for _, x := range v.world.Objects("vercel") {
		t.Errorf("%s %s is left", x.Kind, x.Name)
	}
	if n := len(v.world.Objects("cloudflare")); n != 1 {
		t.Errorf("%d records, want the one of mail", n)
	}
	ids, err := w.engine.Approve(t.Context(), w.detail("shop").Holds[0].Fingerprint, "dana")
	if err != nil {
		t.Fatal(err)
	}
	w.pass(ids...)
	w.want("shop", state.StatusActive)
	if n := len(v.world.Objects("cloudflare")); n != 0 {
		t.Errorf("%d records after the approval", n)
	}
}

// A removal that was carried out, but for mail, waits for the client's file, which is back and invalid: nobody is told that its
// site still runs.
func TestRuleRemovalThatWaitsForMailSaysWhatRuns(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": client("shop", withMail), "clients/b.yaml": client("b")})
	w.apply(map[string]string{"clients/shop.yaml": ""})
	w.want("shop", state.StatusHeld)
	if _, serves := v.world.Serves("shop.agency.example"); serves {
		t.Fatal("the site is there")
	}
	w.apply(map[string]string{"clients/shop.yaml": client("shop", "colour: red")})
	if r := w.want("shop", state.StatusHeld); strings.Contains(r.Because, "still runs") {
		t.Errorf("%s", r.Because)
	}
}

// Taking away mail: a client's own name is another one now. What carries mail at the one before waits for an approval,
// its TXT too, however often the client passes; and so it does where the client goes meanwhile, or has no site.
func TestRuleMailOfAnEarlierNameWaits(t *testing.T) {
	const mail = `dns: {records: [{type: MX, name: "@", content: mx.example.net, priority: 10}, {type: TXT, name: "@", content: "v=spf1 mx -all"}]}`
	for what, site := range map[string]string{"a site": "", "no site": "deployment: {provider: none}"} {
		t.Run(what, func(t *testing.T) {
			v, w := newVendors(t)
			left := func(when string) {
				t.Helper()
				n := 0
				for _, x := range v.world.Objects("cloudflare") {
					if get(x, "name") == "shop.agency.example" {
						n++
					}
				}
				if n != 2 {
					t.Fatalf("%s: %d records of two are left at the earlier name", when, n)
				}
			}
			again := func() {
				t.Helper()
				w.clock.add(48 * time.Hour)
				w.poll()
				id, err := w.engine.Retry("shop", "dana")
				if err != nil {
					t.Fatal(err)
				}
				w.pass(id)
			}
			before := client("shop", mail, site)
			w.apply(map[string]string{"clients/shop.yaml": before, "clients/other.yaml": client("other")})
			w.apply(map[string]string{"clients/shop.yaml": strings.Replace(before, "domain: shop", "domain: store", 1)})
			left("the name changed")
			again()
			left("it passed again")
			w.want("shop", state.StatusHeld)
			w.apply(map[string]string{"clients/shop.yaml": ""})
			left("the client goes")
			again()
			left("it passed again")
			w.want("shop", state.StatusHeld)
		})
	}
}
