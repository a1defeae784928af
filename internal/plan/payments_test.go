package plan_test

import (
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
)

func takesPayments(e *manifest.Effective) {
	e.Payments = &manifest.Payments{Enabled: true, PricingTier: "standard", Country: "NL"}
}

func onlyWriting(p plan.Plan) string {
	var out []string
	for _, s := range p.Steps {
		if s.Action != plan.Record {
			out = append(out, string(s.Action)+" "+string(s.Ref.Kind))
		}
	}
	return strings.Join(out, ", ")
}

// An account is made beside all else, and nothing waits for its owner.
func TestPaymentsAreMadeAndNotWaitedFor(t *testing.T) {
	c := client(t, shop("shop", takesPayments))
	p := plan.Calculate(input(c))
	s := find(t, p, "create payments/main")
	if len(s.Needs) > 0 || s.Number != plan.StepProject || s.Risk != "" || s.Calls != 2 {
		t.Errorf("%+v", s)
	}
	for _, o := range p.Steps {
		for _, n := range o.Needs {
			if o.Action != plan.Record && strings.Contains(n, "payments") {
				t.Errorf("%s waits for %s", o.Key(), n)
			}
		}
	}
	// Its owner has not finished: that is no reason for a pass.
	open := alter(settled(t, shop("shop", takesPayments)), state.KindPayments, func(r *state.Resource) {
		r.Phase, r.Message = "manual", "the owner has to finish at Stripe: a bank account"
	})
	if p := plan.Calculate(input(open)); !p.Empty() {
		t.Errorf("planned: %s", onlyWriting(p))
	}
	// A variable that has its id waits for it to be made, and for no more.
	with := client(t, shop("shop", takesPayments, func(e *manifest.Effective) {
		e.Environment["ACCOUNT"] = manifest.EnvValue{From: "payments.account"}
	}))
	p = plan.Calculate(input(with))
	if s := find(t, p, "create environment/local"); !strings.Contains(strings.Join(s.Needs, " "), "create "+string(with.Client.ID)+"/payments/main") {
		t.Errorf("the environment needs %q", s.Needs)
	}
}

// P5: an account outlives its client: it is its owner's. It has no date, no purge erases it, and
// who comes back has it again.
func TestP5PaymentsOutliveTheirClient(t *testing.T) {
	was := settled(t, shop("shop", takesPayments))
	gone := removed(was)
	p := plan.Calculate(input(gone))
	s := find(t, p, "retain payments/main")
	if !s.PurgeAfter.IsZero() || !strings.Contains(s.Reason, "it is its owner's") || s.Risk != "" {
		t.Errorf("%+v", s)
	}
	kept := plan.Model(gone.Recorded, p, now)
	absent := gone.Client
	absent.Removed = true
	for _, s := range plan.Purges(absent, nil, kept, now.AddDate(50, 0, 0)) {
		if s.Ref.Kind == state.KindPayments {
			t.Errorf("by a date: %s", s.Key())
		}
	}
	for i := range kept { // a person says purge
		kept[i].PurgeAfter = kept[i].RetainedAt
	}
	purged := 0
	for _, s := range plan.Purges(absent, nil, kept, now) {
		if s.Ref.Kind == state.KindPayments {
			purged++
			if s.Action != plan.Forget {
				t.Errorf("a person said purge: %s", s.Key())
			}
		}
	}
	if purged != 1 {
		t.Errorf("%d steps for the account at a purge", purged)
	}
	back := was
	back.Recorded = plan.Model(gone.Recorded, plan.Calculate(input(gone)), now)
	p = plan.Calculate(input(back))
	find(t, p, "return payments/main")
	if strings.Contains(onlyWriting(p), "create payments") {
		t.Errorf("planned: %s", onlyWriting(p))
	}
}

// Where only the payments go, the account stays, and the client with all else; nothing of it is
// replaced or taken for another one.
func TestPaymentsAreNeverReplaced(t *testing.T) {
	was := settled(t, shop("shop", takesPayments))
	off := becomes(t, was, shop("shop"))
	p := plan.Calculate(input(off))
	if got := onlyWriting(p); got != "retain payments" {
		t.Errorf("switched off: %s", got)
	}
	off.Recorded = plan.Model(off.Recorded, p, now)
	off.Tombstones = nil
	again := becomes(t, off, shop("shop", takesPayments))
	if got := onlyWriting(plan.Calculate(input(again))); got != "return payments" {
		t.Errorf("switched on again: %s", got)
	}
	ref := state.Ref{Client: was.Client.ID, Kind: state.KindPayments, Name: "main"}
	closed := map[state.Ref]plan.Look{ref: {Ref: ref, Gone: true}}
	again.Looks = closed
	if got := onlyWriting(plan.Calculate(input(again))); got != "create payments" {
		t.Errorf("closed while it was out of use: %s", got)
	}
	for name, c := range map[string]struct {
		change func(*manifest.Effective)
		looks  map[state.Ref]plan.Look
		text   string
	}{
		"closed":           {takesPayments, closed, "is gone at stripe; another one never takes its place by itself"},
		"another country":  {func(e *manifest.Effective) { takesPayments(e); e.Payments.Country = "DE" }, nil, "country of the payments changes"},
		"another provider": {func(e *manifest.Effective) { takesPayments(e); e.Payments.Provider = "mollie" }, nil, "payments.provider changes from stripe to mollie"},
	} {
		in := becomes(t, was, shop("shop", c.change))
		in.Looks = c.looks
		p := plan.Calculate(input(in))
		if len(p.Problems) != 1 || p.Problems[0].Hold != state.HoldData || !strings.Contains(p.Problems[0].Text, c.text) || len(p.Steps) > 0 {
			t.Errorf("%s: %v, %s", name, p.Problems, onlyWriting(p))
		}
	}
	tier := becomes(t, was, shop("shop", func(e *manifest.Effective) { takesPayments(e); e.Payments.PricingTier = "premium" }))
	if got := onlyWriting(plan.Calculate(input(tier))); got != "update payments" {
		t.Errorf("another tier: %s", got)
	}
}

// What counts once is no difference later: a new release has another address, and its first
// user is there.
func TestWhatCountsOnce(t *testing.T) {
	site := func(more ...func(*manifest.Effective)) func(*manifest.Effective) {
		return func(e *manifest.Effective) {
			e.AdminPanel.Kind, e.Database.Provider = "payload", "postgres"
			for _, f := range more {
				f(e)
			}
		}
	}
	was := settled(t, shop("shop", site()))
	if u := find(t, plan.Calculate(input(client(t, shop("shop", site())))), "create admin/main"); u.Provider != "payload" {
		t.Fatalf("made at %s", u.Provider)
	}
	release := becomes(t, was, shop("shop", site(func(e *manifest.Effective) { e.Source.Ref = "v2" })))
	if got := onlyWriting(plan.Calculate(input(release))); got != "create deployment, await deployment, probe deployment, update traffic, probe traffic" {
		t.Errorf("a new release: %s", got)
	}
	mail := becomes(t, was, shop("shop", site(func(e *manifest.Effective) { e.Admin.Email, e.AdminPanel.Path = "new@shop.example", "/manage" })))
	if s := find(t, plan.Calculate(input(mail)), "update admin/main"); len(s.Fields) != 1 || s.Fields[0].Name != "path" {
		t.Errorf("another address, too: %+v", s.Fields)
	}
}
