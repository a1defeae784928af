package report

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
)

const (
	headSHA = "3f9c2ab001122334455667788990011223344556"
	baseSHA = "a41d07c001122334455667788990011223344556"
)

// pulled is a plan on a pull request.
func pulled(p Plan) PullPlan {
	return PullPlan{Stage: StagePlanned, Head: headSHA, Base: baseSHA, Files: max(1, len(p.Changes)), Checked: true, Plan: p, At: day(1).Add(4 * time.Minute),
		Repo: Repo{View: "https://github.example/acme/clients/blob/" + headSHA, Edit: "https://github.example/acme/clients/edit/my-branch"}, Link: "https://ops.example/pulls/42"}
}

func step(n int, a plan.Action, ref, at, reason string, calls int) Step {
	return Step{Step: plan.StepName(n), Action: string(a), Ref: ref, Provider: at, Reason: reason, Calls: calls, Undo: "it is changed back", Fields: []plan.Field{}}
}

func with(s Step, risk plan.Risk, undo string) Step {
	s.Risk, s.Undo = string(risk), undo
	return s
}

// newClient is the plan of a client that is new.
func newClient(name string) Change {
	host := name + ".example"
	return Change{Client: name, Fingerprint: "5c1e00112233", Steps: []Step{
		with(step(plan.StepDatabase, plan.Create, "database/main", "railway", "the manifest is new", 3), "", "it is retained for 30 days, then erased"),
		with(step(plan.StepProject, plan.Create, "site/ploi", "ploi", "the manifest is new", 4), "", "it is deleted"),
		with(step(plan.StepDNS, plan.Create, "record/A "+host, "cloudflare", "the manifest is new", 2), "", "it is deleted"),
		with(step(plan.StepDNS, plan.Create, "domain/"+host+"@ploi", "ploi", "the manifest is new", 2), "", "it is deleted"),
		with(step(plan.StepEnvironment, plan.Create, "environment/ploi", "ploi", "the manifest is new", 2), "", "it is deleted"),
		with(step(plan.StepDeploy, plan.Create, "deployment/8be01c22", "ploi", "the first release", 2), "", "it is deleted"),
		with(step(plan.StepMonitor, plan.Await, "deployment/8be01c22", "ploi", "until it is built", 1), "", "nothing: it only waits"),
		with(step(plan.StepHealth, plan.Probe, "traffic/ploi", "ploi", "outside in, at the public name", 0), "", "nothing: it only asks"),
		with(step(plan.StepRecord, plan.Record, "", "", "the audit record and the status", 0), "", "nothing: it only records"),
	}}
}

// fiveClients is a plan of all that a reviewer may meet.
func fiveClients() PullPlan {
	env := step(plan.StepEnvironment, plan.Update, "environment/ploi", "ploi", "env STORE_CURRENCY changed", 2)
	env.Fields = []plan.Field{{Name: "STORE_CURRENCY", Before: "EUR", After: "USD"}, {Name: "MOLLIE_API_KEY", Before: "secret mollie 77aa00112233", After: "secret mollie 0a1b2c3d4e5f", Secret: true}}
	kept := with(step(plan.StepDatabase, plan.Retain, "database/main", "railway", "the manifest was removed; its data stays", 0), "", "a revert brings it back with its data")
	kept.PurgeAfter = day(22)
	mx := with(step(plan.StepDNS, plan.Delete, "record/MX mailshop.example", "cloudflare", "the manifest no longer asks for it", 1), plan.RiskMail, "a revert makes it again")
	mx.Held = "9f3a00112233"
	p := pulled(Plan{Fingerprint: "0123456789ab", LookedAt: day(1), Changes: []Change{
		newClient("atelier"),
		{Client: "bakery", Steps: []Step{
			with(step(plan.StepDNS, plan.Delete, "domain/bakery.example@ploi", "ploi", "the manifest was removed", 1), plan.RiskOffline, "a revert makes it again"),
			with(step(plan.StepProject, plan.Delete, "site/ploi", "ploi", "the manifest was removed", 1), plan.RiskOffline, "a revert makes it again"), kept}},
		{Client: "demo-shop", Steps: []Step{with(step(plan.StepProject, plan.Update, "site/ploi", "ploi", "it is renamed", 2), "", "it is changed back"), step(plan.StepRecord, plan.Record, "", "", "the audit record and the status", 0)}},
		{Client: "mailshop", Steps: []Step{mx}},
		{Client: "webshop", Steps: []Step{env, with(step(plan.StepDeploy, plan.Update, "traffic/ploi", "ploi", "a new release serves", 1), plan.RiskTraffic, "the earlier release is promoted")}},
	}})
	p.Clients = map[string]About{"atelier": {Takes: 4 * time.Minute, Page: "https://ops.example/pulls/42/atelier"}, "demo-shop": {From: "demoshop"}, "webshop": {Takes: 95 * time.Second}}
	p.Holds = []state.Hold{{Fingerprint: "9f3a00112233", Kind: state.HoldMail, Reason: "mail may stop arriving: delete record MX mailshop.example", Act: "`reconciler approve 9f3a00112233` lets it run; a revert takes it back", Approvable: true}}
	return p
}

// What waits for an approval does not run by itself, though the step that only records waits with it; what waits for a
// provider does.
func TestWhatWaitsForAnApprovalDoesNotRunByItself(t *testing.T) {
	record := step(plan.StepRecord, plan.Record, "", "", "the audit record and the status", 0)
	record.Blocked = true
	site := step(plan.StepProject, plan.Update, "site/ploi", "ploi", "waiting for ploi: 503", 2)
	site.Blocked = true
	for _, c := range []struct {
		steps []Step
		goes  bool
	}{{[]Step{record}, false}, {[]Step{site, record}, true}} {
		p := fiveClients()
		p.Plan.Changes[3].Steps = append(p.Plan.Changes[3].Steps, c.steps...)
		if got := p.Markdown(); strings.Contains(got, "What waits runs by itself") != c.goes {
			t.Errorf("with %d more steps it says\n%s", len(c.steps), got)
		}
	}
}

// fleetPlan is a plan of many clients of which a few are risky.
func fleetPlan(n int) PullPlan {
	p := fiveClients()
	for i := len(p.Plan.Changes); i < n; i++ {
		env := step(plan.StepEnvironment, plan.Update, "environment/ploi", "ploi", "env SHOP_THEME changed in template ecommerce", 2)
		env.Fields = []plan.Field{{Name: "SHOP_THEME", Before: "light", After: "dark"}}
		p.Plan.Changes = append(p.Plan.Changes, Change{Client: fmt.Sprintf("shop-%04d", i), Steps: []Step{env, with(step(plan.StepDeploy, plan.Update, "traffic/ploi", "ploi", "a new release serves", 1), plan.RiskTraffic, "the earlier release is promoted")}})
	}
	p.Plan.LookedAt, p.Files = time.Time{}, n
	return p
}

func TestPullPlan(t *testing.T) {
	one := pulled(Plan{Fingerprint: "0123456789ab", LookedAt: day(1), Changes: []Change{newClient("demoshop")}})
	one.Clients = map[string]About{"demoshop": {Takes: 4 * time.Minute}}
	for name, p := range map[string]PullPlan{"pull-1.md": one, "pull-5.md": fiveClients(), "pull-5000.md": fleetPlan(5000)} {
		golden(t, name, p.Markdown())
	}
}

// The states of the one comment, and its statuses in each of them.
// Where the same happens to all, the first line says it.
func TestPullPlanOfManyAlike(t *testing.T) {
	p := PullPlan{Stage: StagePlanned, Head: "d9d1eebd9d1eebd9d1eebd9d1eebd9d1eebd9d1e"}
	for _, name := range []string{"a", "b", "c"} {
		p.Plan.Changes = append(p.Plan.Changes, Change{Client: name, Steps: []Step{{Step: "project", Action: "create", Ref: "site/local", Provider: "local"}}})
	}
	if got := p.verdict(); got != "3 clients change: all are new." {
		t.Errorf("all new: %q", got)
	}
	p.Plan.Changes[2].Steps[0].Action = "update"
	if got := p.verdict(); got != "3 clients change." {
		t.Errorf("two new: %q", got)
	}
}

func TestPullPlanStages(t *testing.T) {
	bad := invalid()
	bad.Hint = "did you mean professional?"
	some := fiveClients()
	some.Files = 7
	some.Plan.Problems = []Problem{bad, {Path: "clients/café/a b.yaml", Line: 9, Column: 3, Text: "domain: shop.example belongs to atelier"}, {Client: "florist", Text: "secret mollie is not set", Hint: "`reconciler secret set mollie --client florist`"},
		{Client: "atelier", Text: "demoshop goes and atelier comes: this is a delete and a create, not a rename", Hint: "if it is a rename, say `previously: [demoshop]` in atelier.yaml", Warning: true}}
	onlyBad := pulled(Plan{Problems: []Problem{bad}})
	others := pulled(Plan{LookedAt: day(1), Changes: []Change{newClient("demoshop")}})
	others.Others = []Other{{Number: 41, URL: "https://github.example/acme/clients/pull/41", Title: "Add a @team [shop](x)", Client: "demoshop"}, {Number: 43, URL: "https://github.example/acme/clients/pull/43", Host: "demoshop.example"}}
	others.Skipped = []Skipped{{Path: "clients/new.yml", Reason: "a manifest ends in .yaml"}}
	others.OwnRules = []string{"platform.yaml"}
	moved := fiveClients()
	moved.Since, moved.SinceBase = &Plan{Changes: []Change{newClient("atelier"), {Client: "gone", Steps: []Step{step(plan.StepDNS, plan.Create, "record/A gone.example", "cloudflare", "new", 1)}},
		{Client: "webshop", Steps: []Step{step(plan.StepDNS, plan.Delete, "record/TXT webshop.example", "cloudflare", "gone", 1)}}}}, "00aa11bb22cc"
	outdated := fiveClients()
	outdated.Stage = StageOutdated
	conflict := PullPlan{Stage: StageConflict, Head: headSHA, Base: baseSHA, Files: 1, Conflicts: []string{"clients/demoshop.yaml"}, Repo: others.Repo}
	fork := PullPlan{Stage: StageFork, Head: headSHA, Base: baseSHA, Files: 2, Checked: true, Repo: others.Repo, Plan: Plan{Problems: []Problem{bad}}}
	good := fork
	good.Plan = Plan{}
	failed := PullPlan{Stage: StageFailed, Head: headSHA, Base: baseSHA, Files: 2, Cause: "Railway did not answer", RetryAt: day(1)}
	closed, merged := fiveClients(), fiveClients()
	closed.Stage, merged.Stage = StageClosed, StageMerged
	merged.Merged, merged.Result = baseSHA, "https://github.example/acme/clients/pull/42#issuecomment-7"
	frozen := pulled(Plan{LookedAt: day(1), Changes: []Change{newClient("demoshop")}})
	for i := range frozen.Plan.Changes[0].Steps {
		frozen.Plan.Changes[0].Steps[i].Held = "77bb00112233"
	}
	frozen.Holds = []state.Hold{{Fingerprint: "77bb00112233", Reason: "changes are frozen until 2 January 2027 08:00 UTC (holidays)", Until: time.Date(2027, 1, 2, 8, 0, 0, 0, time.UTC), Approvable: true}}
	waits := step(plan.StepDNS, plan.Move, "record/A shop.example", "cloudflare", "waiting for bakery, which is paused and gives this on", 2)
	paused := step(plan.StepEnvironment, plan.Update, "environment/vercel", "vercel", "paused: env COLOUR changed", 2)
	waits.Blocked, paused.Blocked = true, true
	waiting := pulled(Plan{LookedAt: day(1), Changes: []Change{{Client: "demoshop", Steps: []Step{waits}}, {Client: "florist", Steps: []Step{paused}}}})
	var md, lines strings.Builder
	for _, c := range []struct {
		name string
		p    PullPlan
	}{
		{"planning", PullPlan{Stage: StagePlanning, Head: headSHA, Files: 2}}, {"nothing", pulled(Plan{})}, {"some invalid", some}, {"all invalid", onlyBad}, {"others", others}, {"base moved", moved}, {"outdated", outdated},
		{"conflict", conflict}, {"fork", fork}, {"valid fork", good}, {"failed", failed}, {"frozen", frozen}, {"waiting", waiting}, {"closed", closed}, {"merged", merged},
	} {
		fmt.Fprintf(&md, "%s\n\n---\n\n", c.p.Markdown())
		v, s := c.p.Validate(), c.p.Status()
		fmt.Fprintf(&lines, "%s\n  validate %s %s\n  plan     %s %s\n", c.name, v.State, v.Text, s.State, s.Text)
		for _, l := range []StatusLine{v, s} {
			if utf8.RuneCountInString(l.Text) > MaxStatus || l.Text == "" {
				t.Errorf("%s: %q", c.name, l.Text)
			}
		}
		if first, _, _ := strings.Cut(c.p.Markdown(), "\n"); first != MarkPlan {
			t.Errorf("%s begins with %q", c.name, first)
		}
	}
	golden(t, "pull-stages.md", md.String())
	golden(t, "pull-statuses.txt", lines.String())
}
