package plan_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
)

// What one settled client's change leads to.
//
//	 record          wish                plan
//	┌──────────┐    ┌──────────┐
//	│ as it is │ ─► │ as it is │         nothing
//	│ as it is │ ─► │ changed  │         what changed, what is built from it, traffic
//	│ as it is │ ─► │ without  │         it goes: after the rest, with its proof
//	│ gone     │ ─► │ as it is │         made again; data never
//	└──────────┘    └──────────┘
func TestConverge(t *testing.T) {
	hosts := func(e *manifest.Effective, h ...string) { e.Host, e.Hosts = h[0], h }
	mx := manifest.Record{Type: "MX", Name: "@", Content: "mx.example", Priority: 10}
	for _, c := range []struct {
		name   string
		before func(*manifest.Effective)
		change func(*manifest.Effective)
		want   []string
	}{
		{name: "nothing changes", want: []string{}},
		{name: "contact and billing deploy nothing (RuleValues)", change: func(e *manifest.Effective) {
			e.Contact.Email, e.Billing, e.Notes = "new@shop.example", &manifest.Billing{Status: "active"}, "x"
		}, want: []string{}},
		{name: "S19: env only", change: func(e *manifest.Effective) { e.Environment["CURRENCY"] = manifest.EnvValue{Literal: "USD"} },
			want: []string{"create deployment", "update environment/local", "update traffic/local !traffic"}},
		{name: "settings build anew", change: func(e *manifest.Effective) { e.Settings = map[string]any{"theme": "dark"} },
			want: []string{"create deployment", "update traffic/local !traffic"}},
		{name: "an alias is added", change: func(e *manifest.Effective) { hosts(e, "shop.example", "www.shop.example") },
			want: []string{"create domain/www.shop.example@local", "create record/A www.shop.example"}},
		{name: "an alias goes", before: func(e *manifest.Effective) { hosts(e, "shop.example", "www.shop.example") },
			want: []string{"delete domain/www.shop.example@local !offline", "delete record/A www.shop.example !offline"}},
		{name: "a new time to live is no other address", before: func(e *manifest.Effective) {
			e.DNS.Records = []manifest.Record{{Type: "A", Name: "x", Content: "192.0.2.1", TTL: 60}}
		}, change: func(e *manifest.Effective) {
			e.DNS.Records = []manifest.Record{{Type: "A", Name: "x", Content: "192.0.2.1", TTL: 90}}
		}, want: []string{"update record/A x.shop.example"}},
		{name: "the site goes", change: func(e *manifest.Effective) {
			e.Deployment.Provider, e.Environment, e.AdminPanel.Kind = "none", nil, "none"
		}, want: []string{"delete deployment", "delete domain/shop.example@local !offline", "delete environment/local", "delete record/A shop.example !offline", "delete site/local !offline",
			"delete traffic/local !offline", "retain admin/main"}},
		{name: "S55: the mail records go", before: func(e *manifest.Effective) { e.DNS.Records = []manifest.Record{mx} },
			want: []string{"delete record/MX shop.example #b428c2 !mail"}},
		{name: "RuleData: the database goes, its data stays", change: func(e *manifest.Effective) {
			e.Database.Provider, e.AdminPanel.Kind = "none", "none"
			delete(e.Environment, "DATABASE_URL")
		}, want: []string{"create deployment", "retain admin/main", "retain database/main", "update environment/local", "update traffic/local !traffic"}},
		{name: "the host switches, make before break", change: func(e *manifest.Effective) { e.Deployment.Provider = "vercel" },
			want: []string{"create deployment", "create domain/shop.example@vercel", "create environment/vercel", "create site/vercel", "create traffic/vercel",
				"delete deployment", "delete domain/shop.example@local", "delete environment/local", "delete site/local", "delete traffic/local",
				"update admin/main", "update record/A shop.example !traffic"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			change := func(f func(*manifest.Effective)) manifest.Effective {
				e := shop("shop")
				if f != nil {
					f(&e)
				}
				return e
			}
			in := becomes(t, settled(t, change(c.before)), change(c.change))
			p := plan.Calculate(input(in))
			if len(p.Problems) > 0 {
				t.Fatalf("problems: %v", p.Problems)
			}
			if d := cmp.Diff(c.want, changes(p)); d != "" {
				t.Errorf("changes (-want +got):\n%s", d)
			}
		})
	}
}

// The eight steps, and the side by side of what does not need each other.
func TestS12ProvisionOrder(t *testing.T) {
	p := plan.Calculate(input(client(t, shop("shop"))))
	golden(t, "provision", render(p))
	key := func(text string) string { return find(t, p, text).Key() }
	for _, pair := range [][2]string{
		{"create environment/local", "create database/main"}, {"create deployment", "create environment/local"}, {"await deployment", "create deployment"},
		{"create admin/main", "await deployment"}, {"create traffic/local", "create admin/main"}, {"create traffic/local", "probe deployment"},
		{"create domain/shop.example@local", "create traffic/local"}, {"create record/A shop.example", "create traffic/local"},
		{"probe traffic/local outside", "create record/A shop.example"}, {"create mail/welcome", "probe traffic/local outside"},
	} {
		if !after(p, key(pair[0]), key(pair[1])) {
			t.Errorf("%s does not wait for %s", pair[0], pair[1])
		}
	}
	if after(p, key("create site/local"), key("create database/main")) || after(p, key("create database/main"), key("create site/local")) {
		t.Error("database and site wait for each other")
	}
}

func TestGoldenPlans(t *testing.T) {
	change := settled(t, shop("shop"))
	golden(t, "change", render(plan.Calculate(input(becomes(t, change, shop("shop", func(e *manifest.Effective) {
		e.Environment["CURRENCY"], e.Settings = manifest.EnvValue{Literal: "USD"}, map[string]any{"theme": "dark"}
	}))))))
	golden(t, "removal", render(plan.Calculate(input(removed(settled(t, shop("shop")))))))
	golden(t, "switch", render(plan.Calculate(input(becomes(t, settled(t, shop("shop")), shop("shop", func(e *manifest.Effective) { e.Deployment.Provider = "vercel" }))))))
	a, b := settled(t, shop("alpha")), settled(t, shop("beta"))
	a = becomes(t, a, shop("alpha", func(e *manifest.Effective) { e.Host, e.Hosts = "old.example", []string{"old.example"} }))
	b = becomes(t, b, shop("beta", func(e *manifest.Effective) { e.Hosts = []string{"beta.example", "alpha.example"} }))
	golden(t, "move", render(plan.Calculate(input(a, b))))
}

// S20: the earlier release is on record, so that nothing is built.
func TestS20RevertPromotes(t *testing.T) {
	c := settled(t, shop("shop"))
	second := becomes(t, c, shop("shop", func(e *manifest.Effective) { e.Settings = map[string]any{"theme": "dark"} }))
	second.Recorded = plan.Model(second.Recorded, plan.Calculate(input(second)), now)
	p := plan.Calculate(input(becomes(t, second, shop("shop"))))
	if d := cmp.Diff([]string{"update traffic/local !traffic"}, changes(p)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if s := find(t, p, "update traffic/local !traffic"); !strings.Contains(s.Reason, "nothing is built") {
		t.Errorf("reason %q", s.Reason)
	}
}

// S21, S22: the data of a client that goes and returns is the same.
func TestS22ReturnGetsItsDataBack(t *testing.T) {
	c := settled(t, shop("shop"))
	database := record(t, c, state.KindDatabase)
	gone := removed(c)
	p := plan.Calculate(input(gone))
	if s := find(t, p, "retain database/main"); !s.PurgeAfter.Equal(now.Add(30 * 24 * time.Hour)) {
		t.Errorf("kept until %s", s.PurgeAfter)
	}
	gone.Recorded = plan.Model(gone.Recorded, p, now)
	if again := plan.Calculate(input(gone)); len(again.Steps) > 0 {
		t.Errorf("a removed client still has steps: %v", lines(again))
	}
	back := c
	back.Recorded = gone.Recorded
	p = plan.Calculate(input(back))
	find(t, p, "return database/main")
	back.Recorded = plan.Model(back.Recorded, p, now)
	if got := record(t, back, state.KindDatabase); got.ID != database.ID || got.Retained() {
		t.Errorf("database %s retained %t, want %s in use", got.ID, got.Retained(), database.ID)
	}
	if p := plan.Calculate(input(back)); !p.Empty() {
		t.Errorf("not settled: %v", lines(p))
	}
}

func record(t testing.TB, c plan.ClientInput, k state.Kind) state.Resource {
	t.Helper()
	for _, r := range c.Recorded {
		if r.Ref.Kind == k {
			return r
		}
	}
	t.Fatalf("%s is not on record", k)
	return state.Resource{}
}

// alter changes recorded resources of a kind.
func alter(c plan.ClientInput, k state.Kind, f func(*state.Resource)) plan.ClientInput {
	c.Recorded = append([]state.Resource(nil), c.Recorded...)
	for i := range c.Recorded {
		if c.Recorded[i].Ref.Kind == k {
			f(&c.Recorded[i])
		}
	}
	return c
}

func looked(c plan.ClientInput, k state.Kind, l plan.Look) plan.ClientInput {
	looks := map[state.Ref]plan.Look{}
	for r, x := range c.Looks {
		looks[r] = x
	}
	for _, r := range append(append([]state.Resource(nil), c.Wish...), c.Recorded...) {
		if r.Ref.Kind == k {
			l.Ref = r.Ref
			looks[r.Ref] = l
		}
	}
	c.Looks = looks
	return c
}

// What holds a client, and what a look leads to.
//
//	record   looked at              plan
//	------   --------------------   -------------------------------
//	yes      gone                   made again; a database: held
//	yes      differs                changed back; found: left
//	yes      look fails             its steps wait, no others
//	no       equal, no mark         used, recorded as found
//	no       other, no mark         held: conflict
//	no       another's mark         held: foreign
//	no       two                    held
func TestLooks(t *testing.T) {
	rest := shop("shop", func(e *manifest.Effective) { e.Settings = map[string]any{"theme": "dark"} })
	none := func(e manifest.Effective, k state.Kind) plan.ClientInput {
		c := settled(t, e)
		var kept []state.Resource
		for _, r := range c.Recorded {
			if r.Ref.Kind != k {
				kept = append(kept, r)
			}
		}
		c.Recorded = kept
		return c
	}
	differs := plan.Look{Differs: []plan.Field{{Name: "content", Before: "192.0.2.9", After: "address"}}}
	for _, c := range []struct {
		name string
		in   plan.ClientInput
		want []string
		hold state.HoldKind
	}{
		{"gone", looked(settled(t, shop("shop")), state.KindDomain, plan.Look{Gone: true}), []string{"create domain/shop.example@local"}, ""},
		{"RuleData: database gone", looked(settled(t, shop("shop")), state.KindDatabase, plan.Look{Gone: true}), nil, state.HoldData},
		{"RuleData: database.provider", becomes(t, settled(t, shop("shop")), shop("shop", func(e *manifest.Effective) { e.Database.Provider = "railway" })), nil, state.HoldData},
		{"RuleData: retained elsewhere", becomes(t, alter(settled(t, shop("shop")), state.KindDatabase, func(r *state.Resource) { r.RetainedAt = now }), shop("shop", func(e *manifest.Effective) { e.Database.Provider = "railway" })), nil, state.HoldData},
		{"RuleData: replaced in place", becomes(t, settled(t, shop("shop")), shop("shop", func(e *manifest.Effective) { e.Database.Access = "private" })), nil, state.HoldData},
		{"drift", looked(settled(t, shop("shop")), state.KindRecord, differs), []string{"update record/A shop.example !traffic"}, ""},
		{"drift of what was found", looked(alter(settled(t, shop("shop")), state.KindRecord, func(r *state.Resource) { r.Found = true }), state.KindRecord, differs), []string{}, ""},
		{"a look at the environment fails", looked(becomes(t, settled(t, shop("shop")), rest), state.KindEnvironment, plan.Look{Failed: "503"}), []string{"create deployment blocked", "update traffic/local !traffic blocked"}, ""},
		{"a look fails", looked(becomes(t, settled(t, shop("shop")), rest), state.KindTraffic, plan.Look{Failed: "503"}), []string{"create deployment", "update traffic/local !traffic blocked"}, ""},
		{"RuleOwnership: equal", looked(none(shop("shop"), state.KindRecord), state.KindRecord, plan.Look{Found: true, ID: "r1", Equal: true, Count: 1}), []string{"adopt record/A shop.example"}, ""},
		{"RuleOwnership: no mark", looked(none(shop("shop"), state.KindRecord), state.KindRecord, plan.Look{Found: true, ID: "r1", Count: 1}), nil, state.HoldParked},
		{"RuleOwnership: equal data is not ours", looked(none(shop("shop"), state.KindDatabase), state.KindDatabase, plan.Look{Found: true, ID: "d1", Equal: true, Count: 1}), nil, state.HoldParked},
		{"RuleOwnership: foreign", looked(none(shop("shop"), state.KindSite), state.KindSite, plan.Look{Foreign: "installation 77aa"}), nil, state.HoldParked},
		{"two", looked(none(shop("shop"), state.KindSite), state.KindSite, plan.Look{Found: true, Count: 2}), nil, state.HoldParked},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := plan.Calculate(input(c.in))
			if c.hold != "" {
				if len(p.Problems) == 0 || p.Problems[0].Hold != c.hold || p.Problems[0].Act == "" || len(p.Steps) > 0 {
					t.Fatalf("problems %+v, steps %v; want a %s hold, a way out, no step", p.Problems, lines(p), c.hold)
				}
				return
			}
			if d := cmp.Diff(c.want, changes(p)); d != "" || len(p.Problems) > 0 {
				t.Errorf("problems %v; (-want +got):\n%s", p.Problems, d)
			}
		})
	}
}

// RuleOwnership: what was found is never changed; the client waits with the way out.
func TestRuleOwnershipFoundIsNeverChanged(t *testing.T) {
	c := alter(settled(t, shop("shop")), state.KindRecord, func(r *state.Resource) { r.Found = true })
	p := plan.Calculate(input(becomes(t, c, shop("shop", func(e *manifest.Effective) { e.DNS.Proxied = true }))))
	if len(p.Problems) != 1 || p.Problems[0].Hold != state.HoldParked || len(p.Steps) > 0 {
		t.Errorf("problems %v steps %v", p.Problems, lines(p))
	}
	p = plan.Calculate(input(removed(c)))
	find(t, p, "forget record/A shop.example")
}

// What a person makes is waited for, in this pass and after a restart.
func TestManualIsAwaited(t *testing.T) {
	e := shop("shop", func(e *manifest.Effective) { e.DNS.Provider = "external" })
	p := plan.Calculate(input(client(t, e)))
	wait := find(t, p, "await record/A shop.example")
	if !after(p, find(t, p, "probe traffic/local outside").Key(), wait.Key()) {
		t.Error("the probe from outside does not wait for the record")
	}
	c := alter(settled(t, e), state.KindRecord, func(r *state.Resource) { r.Phase = "manual" })
	p = plan.Calculate(input(c))
	if d := cmp.Diff([]string{"await record/A shop.example", "probe traffic/local outside"}, lines(p)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	c = alter(settled(t, shop("shop")), state.KindDeployment, func(r *state.Resource) { r.Phase = "manual" })
	find(t, plan.Calculate(input(c)), "await deployment")
}

// A release that failed is made anew, and traffic that named it is led to the new one.
func TestFailedReleaseIsMadeAnew(t *testing.T) {
	c := alter(settled(t, shop("shop")), state.KindDeployment, func(r *state.Resource) { r.Phase = "failed" })
	if d := cmp.Diff([]string{"replace deployment", "update traffic/local !traffic"}, changes(plan.Calculate(input(c)))); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// S23: a rename that says so recreates nothing, and neither does a moved file.
func TestS23RenameRecreatesNothing(t *testing.T) {
	c := settled(t, shop("demoshop"))
	e := shop("demoshop")
	e.Name, e.Previously = "demo-shop", []string{"demoshop"}
	c.Client.Name, c.Client.Former = "demo-shop", []string{"demoshop"}
	p := plan.Calculate(input(becomes(t, c, e)))
	if d := cmp.Diff([]string{"update site/local"}, changes(p)); d != "" || len(p.Warnings) > 0 {
		t.Errorf("warnings %v; (-want +got):\n%s", p.Warnings, d)
	}
}

// What stopped at the look from outside is looked at again, however complete the record
// is: nobody has seen it work.
func TestUnprovedIsProvedAgain(t *testing.T) {
	c := client(t, shop("shop"))
	p := plan.Calculate(input(c))
	c.Recorded = plan.Model(c.Recorded, p, now)
	var probe string
	for _, s := range p.Steps {
		if s.Action == plan.Probe && s.Outside {
			probe = s.Key()
		}
	}
	if again := plan.Calculate(input(c)); probe == "" || !again.Empty() {
		t.Fatalf("probe %q, then %+v", probe, again.Steps)
	}
	c.Client.FailedStep = probe
	again := plan.Calculate(input(c))
	if len(again.Steps) != 2 || again.Steps[0].Key() != probe || again.Steps[1].Action != plan.Record {
		t.Errorf("planned: %+v", again.Steps)
	}
}

// A site that was made since what refers to it was written: that is led to it.
func TestNameOfAnEarlierSiteIsLedToTheNewOne(t *testing.T) {
	for site, want := range map[string]int{"an earlier one": 1, "": 0} {
		c := alter(settled(t, shop("alpha")), state.KindDomain, func(r *state.Resource) { r.Site = site })
		p := plan.Calculate(input(c))
		led := 0
		for _, s := range p.Steps {
			if s.Ref.Kind == state.KindDomain && s.Action == plan.Update {
				led++
			}
		}
		if led != want {
			t.Errorf("%q: %v", site, lines(p))
		}
	}
}
