package plan_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
)

func adopter(e *manifest.Effective) {
	e.Adopt = manifest.Adopt{"site": {ID: "48211"}, "database": {ID: "9c1e"}}
}

// pass runs one pass in which the world says what is wished.
func pass(t *testing.T, c plan.ClientInput) (plan.Plan, plan.ClientInput) {
	t.Helper()
	p := plan.Calculate(input(c))
	c.Recorded = plan.Model(c.Recorded, p, now)
	return p, c
}

// RuleAdoption: the first pass only records, and the plan after it is empty: no
// administrator, no mail either.
func TestRuleAdoptionRecordsThenIsEmpty(t *testing.T) {
	fresh := client(t, shop("shop", adopter))
	var look []string
	for _, w := range plan.ToAdopt(fresh) {
		look = append(look, string(w.Ref.Kind)+" "+w.AdoptID)
	}
	if d := cmp.Diff([]string{"database 9c1e", "site 48211", "environment ", "deployment ", "traffic ", "domain ", "record "}, look); d != "" {
		t.Errorf("what is looked for (-want +got):\n%s", d)
	}
	p, c := pass(t, fresh)
	if left := plan.ToAdopt(c); len(left) > 0 {
		t.Errorf("still to adopt: %v", left)
	}
	golden(t, "adopt", render(p))
	if !p.Adopting(c.Client.ID) {
		t.Error("it does not say that it only adopts")
	}
	for _, s := range p.Steps {
		if s.Action != plan.Adopt && s.Action != plan.Record {
			t.Errorf("the first pass does more than record: %s", line(s))
		}
		if s.Ref.Kind == state.KindAdmin || s.Ref.Kind == state.KindMail {
			t.Errorf("there is no reason for %s", line(s))
		}
	}
	for _, r := range c.Recorded {
		if !r.Adopted || !r.Real() {
			t.Errorf("%s: adopted %t, id %q", r.Ref, r.Adopted, r.ID)
		}
	}
	if id := record(t, c, state.KindSite).ID; id != "48211" {
		t.Errorf("the site is %s", id)
	}
	if p := plan.Calculate(input(c)); !p.Empty() {
		t.Errorf("the plan after it: %v %v", lines(p), p.Problems)
	}
	c = becomes(t, c, shop("shop")) // `adopt:` has done its work and is taken out
	if p := plan.Calculate(input(c)); !p.Empty() {
		t.Errorf("the plan without adopt: %v %v", lines(p), p.Problems)
	}
}

// Ownership: the address record of a name that the adopted site does not answer to leads
// elsewhere. It is somebody's: neither taken over nor changed, unless `adopt:` names it.
func TestRuleAdoptionLeavesARecordThatLeadsElsewhere(t *testing.T) {
	site := manifest.Adopt{"site": {ID: "48211"}}
	c := client(t, shop("shop", func(e *manifest.Effective) { e.Adopt = site }))
	c = looked(c, state.KindDomain, plan.Look{Gone: true})
	c = looked(c, state.KindRecord, plan.Look{Found: true, ID: "rec-7"})
	p, c := pass(t, c)
	if d := cmp.Diff([]string{"adopt deployment", "adopt environment/local", "adopt site/local", "adopt traffic/local"}, changes(p)); d != "" {
		t.Errorf("first pass (-want +got):\n%s", d)
	}
	p = plan.Calculate(input(c))
	if len(p.Problems) != 1 || p.Problems[0].Hold != state.HoldParked || !strings.Contains(p.Problems[0].Text, "exists at") {
		t.Errorf("second pass: %v %+v", lines(p), p.Problems)
	}
	named := client(t, shop("shop", func(e *manifest.Effective) {
		e.Adopt = manifest.Adopt{"site": {ID: "48211"}, "record": {ID: "rec-7"}}
	}))
	named = looked(named, state.KindDomain, plan.Look{Gone: true})
	if p, _ := pass(t, named); !slices.Contains(changes(p), "adopt record/A shop.example") {
		t.Errorf("`adopt:` names it: %v", changes(p))
	}
}

// Of an adopted site, what is not there is made by the second pass; a database that is
// not adopted is made then, too.
func TestRuleAdoptionPartsThatAreMissing(t *testing.T) {
	c := client(t, shop("shop", func(e *manifest.Effective) { e.Adopt = manifest.Adopt{"site": {ID: "48211"}} }))
	c = looked(c, state.KindRecord, plan.Look{Gone: true})
	p, c := pass(t, c)
	if d := cmp.Diff([]string{"adopt deployment", "adopt domain/shop.example@local", "adopt environment/local", "adopt site/local", "adopt traffic/local"}, changes(p)); d != "" {
		t.Errorf("first pass (-want +got):\n%s", d)
	}
	c.Looks = nil
	if d := cmp.Diff([]string{"create database/main", "create record/A shop.example"}, changes(plan.Calculate(input(c)))); d != "" {
		t.Errorf("second pass (-want +got):\n%s", d)
	}
}

// RuleAdoption: what is named and missing, named twice, or another's, holds the client.
func TestRuleAdoptionHolds(t *testing.T) {
	e := shop("shop", adopter)
	fresh := client(t, e)
	_, adopted := pass(t, fresh)
	twin := client(t, shop("twin", adopter))
	other := becomes(t, adopted, shop("shop", func(e *manifest.Effective) { e.Adopt = manifest.Adopt{"site": {ID: "777"}, "database": {ID: "9c1e"}} }))
	for _, c := range []struct {
		name string
		in   []plan.ClientInput
		held map[string]state.HoldKind
	}{
		{"site missing", []plan.ClientInput{looked(fresh, state.KindSite, plan.Look{Gone: true})}, map[string]state.HoldKind{"shop": state.HoldParked}},
		{"database missing", []plan.ClientInput{looked(fresh, state.KindDatabase, plan.Look{Gone: true})}, map[string]state.HoldKind{"shop": state.HoldData}},
		{"site gone later", []plan.ClientInput{looked(adopted, state.KindSite, plan.Look{Gone: true})}, map[string]state.HoldKind{"shop": state.HoldParked}},
		{"another's mark", []plan.ClientInput{looked(fresh, state.KindSite, plan.Look{Found: true, Foreign: "77aa/other"})}, map[string]state.HoldKind{"shop": state.HoldParked}},
		{"another's mark on a part", []plan.ClientInput{looked(fresh, state.KindDomain, plan.Look{Found: true, Foreign: "77aa/other"})}, map[string]state.HoldKind{"shop": state.HoldParked}},
		{"another id later", []plan.ClientInput{other}, map[string]state.HoldKind{"shop": state.HoldParked}},
		{"named by two", []plan.ClientInput{fresh, twin}, map[string]state.HoldKind{"shop": state.HoldData, "twin": state.HoldData}},
		{"named by a newcomer", []plan.ClientInput{adopted, twin}, map[string]state.HoldKind{"twin": state.HoldData}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := plan.Calculate(input(c.in...))
			held := map[string]state.HoldKind{}
			for _, q := range p.Problems {
				if _, first := held[q.Name]; !first {
					held[q.Name] = q.Hold
				}
				if q.Act == "" {
					t.Errorf("no way out of %q", q.Text)
				}
			}
			if d := cmp.Diff(c.held, held); d != "" || len(p.Steps) > 0 {
				t.Errorf("steps %v; held (-want +got):\n%s", lines(p), d)
			}
		})
	}
}

// RuleAdoption, RuleData: an adopted client goes without losing what was there, and no
// date erases its database.
func TestRuleAdoptionNothingAdoptedIsDeleted(t *testing.T) {
	_, c := pass(t, client(t, shop("shop", adopter)))
	c = becomes(t, c, shop("shop", adopter, func(e *manifest.Effective) { e.Settings = map[string]any{"theme": "dark"} }))
	_, c = pass(t, c) // a release of our own serves there now
	gone := removed(c)
	p := plan.Calculate(input(gone))
	if d := cmp.Diff([]string{"forget deployment", "forget deployment", "forget domain/shop.example@local", "forget environment/local", "forget record/A shop.example",
		"forget site/local", "forget traffic/local", "retain database/main"}, changes(p)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	gone.Recorded = plan.Model(gone.Recorded, p, now)
	left := gone.Client
	left.Removed = true
	if s := plan.Purges(left, nil, gone.Recorded, now.AddDate(10, 0, 0)); len(s) > 0 {
		t.Errorf("a schedule erases what was adopted: %v", s)
	}
	switched := becomes(t, c, shop("shop", func(e *manifest.Effective) { e.Deployment.Provider = "vercel" }))
	for _, s := range plan.Calculate(input(switched)).Steps {
		if s.Action == plan.Delete {
			t.Errorf("the old side is not ours: %s", line(s))
		}
	}
}

// P5: a removal that is cut off anywhere leaves of an adopted site nothing that the next pass
// takes for ours; nor does a manifest that asks for no site any more.
func TestP5NothingOfAnAdoptedSiteIsDeleted(t *testing.T) {
	_, c := pass(t, client(t, shop("shop", adopter)))
	c = becomes(t, c, shop("shop", adopter, func(e *manifest.Effective) { e.Settings = map[string]any{"theme": "dark"} }))
	_, c = pass(t, c) // a release of our own serves there now
	none := becomes(t, c, shop("shop", func(e *manifest.Effective) {
		e.Deployment.Provider, e.Host, e.Domain, e.Aliases = "none", "", "", nil
	}))
	for name, in := range map[string]plan.ClientInput{"gone": removed(c), "without a site": none} {
		p := plan.Calculate(input(in))
		find(t, p, "forget site/local")
		for _, stuck := range p.Steps {
			cut := p
			cut.Steps = slices.DeleteFunc(slices.Clone(p.Steps), func(s plan.Step) bool { return s.Key() == stuck.Key() || after(p, s.Key(), stuck.Key()) })
			next := in
			next.Recorded = plan.Model(in.Recorded, cut, now)
			for _, s := range slices.Concat(p.Steps, plan.Calculate(input(next)).Steps) {
				if s.Action == plan.Delete {
					t.Errorf("%s, and %s does not come to its end: %s", name, line(stuck), line(s))
				}
			}
		}
	}
}

// RuleAdoption: existing values are kept; a changed DATABASE_URL or generated secret is
// held, anything else is a change like any other.
func TestRuleAdoptionEnvironment(t *testing.T) {
	fresh := client(t, shop("shop", adopter))
	var wish state.Resource
	for _, w := range fresh.Wish {
		if w.Ref.Kind == state.KindEnvironment {
			wish = w
		}
	}
	sealed := func(name string) state.Value {
		return state.SecretValue(state.SecretRef{Scope: string(fresh.Client.ID), Name: "adopted/" + name, Version: 1, Fingerprint: "aa11"})
	}
	same := func(names ...string) []plan.Existing {
		var out []plan.Existing
		for _, n := range names {
			out = append(out, plan.Existing{Name: n, Same: true})
		}
		return out
	}
	for _, c := range []struct {
		name   string
		seen   []plan.Existing
		differ []string
		risk   plan.Risk
	}{
		{"as wished", same("env.DATABASE_URL", "env.SESSION", "env.CURRENCY"), nil, ""},
		{"the database is another", append(same("env.SESSION", "env.CURRENCY"), plan.Existing{Name: "env.DATABASE_URL", Kept: sealed("DATABASE_URL")}), []string{"env.DATABASE_URL"}, plan.RiskData},
		{"what is generated is another", append(same("env.DATABASE_URL", "env.CURRENCY"), plan.Existing{Name: "env.SESSION", Kept: sealed("SESSION")}), []string{"env.SESSION"}, plan.RiskData},
		{"a literal is another", append(same("env.DATABASE_URL", "env.SESSION"), plan.Existing{Name: "env.CURRENCY", Kept: sealed("CURRENCY")}), []string{"env.CURRENCY"}, plan.RiskNone},
		{"one is missing", same("env.DATABASE_URL", "env.SESSION"), []string{"env.CURRENCY"}, plan.RiskNone},
		{"nothing can be read", nil, []string{"env.DATABASE_URL", "env.SESSION"}, plan.RiskData},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, in := pass(t, fresh)
			has := plan.Adopted(wish, "env-48211", c.seen)
			if !has.Adopted || has.ID != "env-48211" || plan.Covers(has, wish) != (len(c.differ) == 0) {
				t.Fatalf("record %+v", has)
			}
			in = alter(in, state.KindEnvironment, func(r *state.Resource) { *r = has })
			p := plan.Calculate(input(in))
			if len(c.differ) == 0 {
				if !p.Empty() {
					t.Errorf("not empty: %v", lines(p))
				}
				return
			}
			var got plan.Step
			for _, s := range p.Steps {
				if s.Action == plan.Update && s.Ref.Kind == state.KindEnvironment {
					got = s
				}
			}
			var names []string
			for _, f := range got.Fields {
				names = append(names, f.Name)
			}
			if d := cmp.Diff(c.differ, names); d != "" || got.Risk != c.risk {
				t.Errorf("risk %q, want %q; fields (-want +got):\n%s", got.Risk, c.risk, d)
			}
			gated, holds := plan.Gate(p, plan.GateInput{Now: now})
			if held := len(holds) == 1 && holds[0].Kind == state.HoldData && holds[0].Approvable; held != (c.risk == plan.RiskData) {
				t.Errorf("holds %+v of %v", holds, lines(gated))
			}
		})
	}
}

// What an adopted environment says and the manifest does not mention stays, and is no
// reason to build anew; {none: true} takes it away; naming it changes it.
func TestRuleAdoptionKeepsWhatIsNotMentioned(t *testing.T) {
	e := shop("shop", adopter)
	_, c := pass(t, client(t, e))
	legacy := state.SecretRef{Scope: string(c.Client.ID), Name: "adopted/LEGACY", Version: 1, Fingerprint: "aa11"}
	secrets := map[string]state.SecretRef{legacy.Scope + "/" + legacy.Name: legacy}
	c = alter(c, state.KindEnvironment, func(r *state.Resource) {
		var seen []plan.Existing
		for _, a := range r.Attributes {
			seen = append(seen, plan.Existing{Name: a.Name, Same: true})
		}
		*r = plan.Adopted(*r, r.ID, append(seen, plan.Existing{Name: "env.LEGACY", Kept: state.SecretValue(legacy)}))
	})
	c.Wish = wishFor(t, c.Client, e, secrets)
	if p := plan.Calculate(input(c)); !p.Empty() {
		t.Errorf("not empty: %v", lines(p))
	}
	for name, v := range map[string]manifest.EnvValue{"none": {None: true}, "another": {Literal: "x"}} {
		said := shop("shop", adopter)
		said.Env = manifest.Env{"LEGACY": v}
		if !v.None {
			said.Environment["LEGACY"] = v
		}
		c.Wish = wishFor(t, c.Client, said, secrets)
		if d := cmp.Diff([]string{"create deployment", "update environment/local", "update traffic/local !traffic"}, changes(plan.Calculate(input(c)))); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

// A release that is not the wished one is recorded beside it, and shows as a change.
func TestRuleAdoptionReleaseThatDiffers(t *testing.T) {
	fresh := client(t, shop("shop", adopter))
	_, c := pass(t, fresh)
	was := record(t, c, state.KindDeployment)
	has := plan.Adopted(was, "rel-1", []plan.Existing{{Name: "ref", Kept: state.Lit("v0")}, {Name: "template", Same: true}})
	if has.Ref.Name != plan.AdoptedName || has.Attributes.Literal("ref") != "v0" {
		t.Fatalf("recorded as %+v", has)
	}
	c = alter(c, state.KindDeployment, func(r *state.Resource) { *r = has })
	c = alter(c, state.KindTraffic, func(r *state.Resource) {
		*r = plan.Adopted(*r, r.ID, []plan.Existing{{Name: "deployment", Kept: state.OutputOf(has.Ref, "id")}})
	})
	if d := cmp.Diff([]string{"create deployment", "update traffic/local !traffic"}, changes(plan.Calculate(input(c)))); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// What people called the site is no reason to touch it; its server is.
func TestRuleAdoptionLabel(t *testing.T) {
	var site state.Resource
	for _, w := range client(t, shop("shop", adopter)).Wish {
		if w.Ref.Kind == state.KindSite {
			site = w
		}
	}
	if r := plan.Adopted(site, "48211", []plan.Existing{{Name: "label", Kept: state.Lit("Old shop")}}); !plan.Covers(r, site) {
		t.Errorf("the label differs: %+v", r)
	}
	if r := plan.Adopted(site, "48211", []plan.Existing{{Name: "server", Kept: state.Lit("web-9")}}); plan.Covers(r, site) || r.Attributes.Literal("server") != "web-9" {
		t.Errorf("the server is lost: %+v", r)
	}
}
