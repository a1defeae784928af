package reconcile_test

import (
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// Rule "Values": only `none` removes, and it does: a variable that an adopted site had is taken away.
func TestRuleAdoptionNoneTakesAwayWhatAnAdoptedSiteHad(t *testing.T) {
	v, w := newVendors(t)
	url := state.NewSecret("postgres://old")
	seed := func(owner, id string, k state.Kind, outputs []provider.Output, pairs ...string) {
		o := provider.Object{ID: id, Kind: k, Name: "old " + id, Outputs: outputs}
		for i := 0; i < len(pairs); i += 2 {
			o.Attributes = append(o.Attributes, provider.Input{Name: pairs[i], Text: pairs[i+1]})
		}
		v.world.Seed(owner, o)
	}
	seed("railway", "data-1", state.KindDatabase, []provider.Output{{Name: "url", Secret: &url}})
	seed("vercel", "site-1", state.KindSite, []provider.Output{{Name: "id", Text: "site-1"}, {Name: "url", Text: "https://old.example"}, {Name: "address", Text: "203.0.113.7"}}, "label", "old-shop", "repository", "agency/shop")
	seed("vercel", "env-1", state.KindEnvironment, nil, "site", "site-1", "env.DATABASE_URL", "postgres://old", "env.LEGACY", "kept")
	seed("vercel", "rel-1", state.KindDeployment, nil, "site", "site-1", "ref", "v1", "template", "shop")
	seed("vercel", "tra-1", state.KindTraffic, nil, "site", "site-1", "deployment", "rel-1")
	file := func(more string) map[string]string {
		return map[string]string{"clients/bakery.yaml": client("bakery", adoptLine, "env: {PAYLOAD_SECRET: {none: true}"+more+"}")}
	}
	w.apply(file(""))
	for _, h := range w.overview().Holds {
		ids, err := w.engine.Approve(t.Context(), h.Fingerprint, "dana")
		if err != nil {
			t.Fatal(err)
		}
		w.pass(ids...)
	}
	w.want("bakery", state.StatusActive)
	has := func(name string) bool {
		o, _ := v.world.Object("env-1")
		for _, a := range o.Attributes {
			if a.Name == "env."+name {
				return true
			}
		}
		return false
	}
	if !has("LEGACY") {
		t.Fatal("it was not kept")
	}
	w.apply(file(", LEGACY: {none: true}"))
	w.want("bakery", state.StatusActive)
	if has("LEGACY") {
		t.Error("the manifest says {none: true}, the client is active, and the variable is there")
	}
}
