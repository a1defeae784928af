package plan_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/compassdigital/reconciler/internal/desired"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
)

// drawWish is any wish: kinds, providers, attributes and references that no manifest
// gives, but for circles.
func drawWish(t *rapid.T, id state.ClientID, label string) []state.Resource {
	kinds := []state.Kind{state.KindDatabase, state.KindSite, state.KindEnvironment, state.KindAdmin, state.KindDomain, state.KindRecord}
	wish := []state.Resource{}
	for _, ref := range rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) state.Ref {
		return state.Ref{Client: id, Kind: rapid.SampledFrom(kinds).Draw(t, "kind"), Name: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "name")}
	}), 0, 6, rapid.ID).Draw(t, label) {
		m := map[string]state.Value{}
		for _, n := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"one", "two", "fixed"}), 0, 3, rapid.ID).Draw(t, "attributes") {
			m[n] = state.Lit(rapid.SampledFrom([]string{"a", "b"}).Draw(t, "text"))
			if len(wish) > 0 && rapid.IntRange(0, 2).Draw(t, "refers") == 0 {
				if to := rapid.SampledFrom(wish).Draw(t, "to"); rankOf(kinds, to.Ref.Kind) < rankOf(kinds, ref.Kind) {
					m[n] = state.OutputOf(to.Ref, "id")
				}
			}
		}
		provider := rapid.SampledFrom([]string{"p", "q"}).Draw(t, "provider")
		if ref.Kind == state.KindDatabase {
			provider = "p" // another one is held
		}
		wish = append(wish, state.Resource{Ref: ref, Provider: provider, Attributes: state.NewAttributes(m)})
	}
	return wish
}

func rankOf(kinds []state.Kind, k state.Kind) int {
	for i, x := range kinds {
		if x == k {
			return i
		}
	}
	return -1
}

// The same for any wish: a planner needs no manifest to be right.
func TestPlanOfItsModelIsEmptyForAnyWish(t *testing.T) {
	any := map[state.Kind]state.Traits{}
	for _, k := range []state.Kind{state.KindSite, state.KindEnvironment, state.KindAdmin, state.KindDomain, state.KindRecord} {
		any[k] = state.Traits{Replace: []string{"fixed"}, Serving: k == state.KindDomain}
	}
	any[state.KindDatabase] = state.Traits{Data: true}
	rapid.Check(t, func(t *rapid.T) {
		c := plan.ClientInput{Client: state.Client{ID: "shop-1", Name: "shop"}, Wish: drawWish(t, "shop-1", "before"), Health: true}
		in := plan.Input{Now: now, Keep: 2, Traits: map[string]map[state.Kind]state.Traits{"p": any, "q": any}, Clients: []plan.ClientInput{c}}
		c.Recorded = plan.Model(nil, plan.Calculate(in), now)
		was := c.Wish
		c.Wish = drawWish(t, "shop-1", "after")
		for _, part := range desired.Parts(was, c.Wish) {
			c.Tombstones = append(c.Tombstones, state.Tombstone{Client: "shop-1", Part: part})
		}
		in.Clients = []plan.ClientInput{c}
		p := plan.Calculate(in)
		for _, s := range p.Steps {
			if s.Blocked {
				t.Fatalf("blocked: %s (%s)", line(s), s.Reason)
			}
		}
		c.Recorded = plan.Model(c.Recorded, p, now)
		in.Clients = []plan.ClientInput{c}
		if again := plan.Calculate(in); !again.Empty() {
			t.Fatalf("after %v there is still %v %v", lines(p), lines(again), again.Problems)
		}
		isWish(t, c)
	})
}

// RuleAdoption over generated manifests: the first pass only records, nothing that was
// adopted is ever deleted, and no user or mail is made.
func TestRuleAdoptionOfGeneratedClients(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := plan.ClientInput{Client: state.Client{ID: "shop-1", Name: "shop", Generation: 1}, Health: rapid.Bool().Draw(t, "health"), Retain: 1}
		e := drawManifest(t, "shop", rapid.SampledFrom([]string{"sqlite", "none"}).Draw(t, "database"), hostPool[:2])
		e.Adopt = manifest.Adopt{}
		if e.Deployment.Provider != "none" && rapid.Bool().Draw(t, "adopt site") {
			e.Adopt["site"] = manifest.AdoptRef{ID: "48211"}
		}
		if e.Database.Provider != "none" && rapid.Bool().Draw(t, "adopt database") {
			e.Adopt["database"] = manifest.AdoptRef{ID: "9c1e"}
		}
		c.Wish = resources(t, c.Client, e)
		p := plan.Calculate(input(c))
		if p.Adopting(c.Client.ID) != (len(e.Adopt) > 0) {
			t.Fatalf("adopting %t with %v", p.Adopting(c.Client.ID), e.Adopt)
		}
		if len(e.Adopt) == 0 {
			return
		}
		for _, s := range p.Steps {
			if s.Action != plan.Adopt && s.Action != plan.Record {
				t.Fatalf("the first pass does %s", line(s))
			}
		}
		c = converge(t, apply([]plan.ClientInput{c}, p))[0]
		for _, r := range c.Recorded {
			if r.Ref.Kind == state.KindAdmin || r.Ref.Kind == state.KindMail {
				t.Fatalf("%s was made", r.Ref)
			}
		}
		check(t, plan.Calculate(input(removed(c))), []plan.ClientInput{removed(c)})
	})
}
