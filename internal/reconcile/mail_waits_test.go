package reconcile_test

import (
	"strings"
	"testing"

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
