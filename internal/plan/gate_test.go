package plan_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
)

func as(t testing.TB, c plan.ClientInput, id state.ClientID, e manifest.Effective) plan.ClientInput {
	c.Client.ID = id
	c.Wish = wishFor(t, c.Client, e, nil)
	return c
}

// S13: the plan that was reviewed before the client had an id is the plan that runs.
func TestS13FingerprintBeforeAndAfterTheIDIsMinted(t *testing.T) {
	e := shop("shop", func(e *manifest.Effective) { e.Environment["KEY"] = manifest.EnvValue{Generate: "hex32"} })
	reviewed := plan.Calculate(input(as(t, client(t, e), "shop-new", e)))
	merged := plan.Calculate(input(as(t, client(t, e), "shop-7f3a91", e)))
	if a, b := plan.Fingerprint(reviewed, "shop-new"), plan.Fingerprint(merged, "shop-7f3a91"); a != b {
		t.Errorf("reviewed %s, merged %s", a, b)
	}
	prints := map[string]bool{}
	for _, s := range reviewed.Steps {
		prints[plan.StepPrint(s)] = true
	}
	for _, s := range merged.Steps {
		if !prints[plan.StepPrint(s)] {
			t.Errorf("%s was not reviewed", line(s))
		}
	}
	freeze := plan.GateInput{Now: now, Freeze: []plan.Window{{From: now, To: now.Add(time.Hour)}}}
	_, before := plan.Gate(reviewed, freeze)
	_, now := plan.Gate(merged, freeze)
	if len(before) != 1 || len(now) != 1 || before[0].Fingerprint != now[0].Fingerprint {
		t.Errorf("an approval given before the merge binds nothing: %v %v", before, now)
	}
}

// RuleReview: what a fingerprint binds, and what it does not.
func TestRuleReviewWhatFingerprintsBind(t *testing.T) {
	base := func() plan.Step {
		w := state.Resource{Ref: state.Ref{Client: "a-1", Kind: state.KindEnvironment, Name: "local"}, Provider: "local", Attributes: state.NewAttributes(map[string]state.Value{
			"site": state.OutputOf(state.Ref{Client: "a-1", Kind: state.KindSite, Name: "local"}, "id"), "env.X": state.Lit("1"),
			"env.KEY": state.SecretValue(state.SecretRef{Scope: "a-1", Name: "mollie", Version: 1, Fingerprint: "f1"})})}
		return plan.Step{Number: 4, Action: plan.Update, Ref: w.Ref, Client: "a", Provider: "local", Wish: &w, Reason: "x", Calls: 2}
	}
	set := func(s *plan.Step, name string, v state.Value) {
		m := map[string]state.Value{}
		for _, a := range s.Wish.Attributes {
			m[a.Name] = a.Value
		}
		m[name] = v
		w := *s.Wish
		w.Attributes = state.NewAttributes(m)
		s.Wish = &w
	}
	want := plan.StepPrint(base())
	for _, c := range []struct {
		name   string
		change func(*plan.Step)
		same   bool
	}{
		{"reason", func(s *plan.Step) { s.Reason = "y" }, true},
		{"calls", func(s *plan.Step) { s.Calls = 9 }, true},
		{"age and dates", func(s *plan.Step) { s.PurgeAfter = now }, true},
		{"needs", func(s *plan.Step) { s.Needs = []string{"z"} }, true},
		{"a secret's version", func(s *plan.Step) {
			set(s, "env.KEY", state.SecretValue(state.SecretRef{Scope: "a-1", Name: "mollie", Version: 2, Fingerprint: "f2"}))
		}, true},
		{"a secret's name", func(s *plan.Step) {
			set(s, "env.KEY", state.SecretValue(state.SecretRef{Scope: "a-1", Name: "stripe", Version: 1, Fingerprint: "f1"}))
		}, false},
		{"a secret's scope", func(s *plan.Step) {
			set(s, "env.KEY", state.SecretValue(state.SecretRef{Scope: "shared", Name: "mollie", Version: 1, Fingerprint: "f1"}))
		}, false},
		{"an attribute", func(s *plan.Step) { set(s, "env.X", state.Lit("2")) }, false},
		{"another client's output", func(s *plan.Step) {
			set(s, "site", state.OutputOf(state.Ref{Client: "b-1", Kind: state.KindSite, Name: "local"}, "id"))
		}, false},
		{"the action", func(s *plan.Step) { s.Action = plan.Replace }, false},
		{"the provider", func(s *plan.Step) { s.Provider = "vercel" }, false},
		{"the risk", func(s *plan.Step) { s.Risk = plan.RiskData }, false},
		{"the ref", func(s *plan.Step) { s.Ref.Name = "other" }, false},
		{"the client", func(s *plan.Step) { s.Client = "b" }, false},
		{"whom it moves from", func(s *plan.Step) { s.From, s.FromClient = state.Ref{Client: "c-1", Name: "x"}, "c" }, false},
	} {
		s := base()
		c.change(&s)
		if same := plan.StepPrint(s) == want; same != c.same {
			t.Errorf("%s: same print %t, want %t", c.name, same, c.same)
		}
	}
}

// A new version of a secret between review and merge is no other plan; another release
// is.
func TestRuleReviewSecretsByNameInReleases(t *testing.T) {
	e := shop("shop", func(e *manifest.Effective) { e.Environment["KEY"] = manifest.EnvValue{Secret: "mollie"} })
	with := func(version int, e manifest.Effective) plan.Plan {
		c := settled(t, shop("shop"))
		ref := state.SecretRef{Scope: string(c.Client.ID), Name: "mollie", Version: version, Fingerprint: strings.Repeat("f", version)}
		c.Wish = wishFor(t, c.Client, e, map[string]state.SecretRef{ref.Scope + "/mollie": ref})
		return plan.Calculate(input(c))
	}
	a, b := with(1, e), with(2, e)
	if plan.Fingerprint(a, "") != plan.Fingerprint(b, "") {
		t.Error("the version of a secret changes the fingerprint")
	}
	if lineOf(a, plan.Create).Ref == lineOf(b, plan.Create).Ref {
		t.Error("the releases of two versions are one")
	}
	e.Settings = map[string]any{"theme": "dark"}
	reviewed := map[string]bool{}
	for _, s := range a.Steps {
		reviewed[plan.StepPrint(s)] = true
	}
	gated, holds := plan.Gate(with(1, e), plan.GateInput{Now: now, Reviewed: map[state.ClientID]map[string]bool{a.Steps[0].Ref.Client: reviewed}})
	if len(holds) != 1 || holds[0].Kind != state.HoldRisk || find(t, gated, "update traffic/local !traffic").Held == "" {
		t.Errorf("another release than the reviewed one is promoted: %v", holds)
	}
}

func lineOf(p plan.Plan, a plan.Action) plan.Step {
	for _, s := range p.Steps {
		if s.Action == a {
			return s
		}
	}
	return plan.Step{}
}

// RuleReview: riskier than reviewed is held, the same or less risky runs; without a
// review only the guard decides; mail, gap and data are held in any case.
func TestRuleReviewGate(t *testing.T) {
	step := func(r plan.Risk) plan.Step {
		return plan.Step{Action: plan.Update, Ref: state.Ref{Client: "a-1", Kind: state.KindTraffic, Name: "local"}, Client: "a", Risk: r}
	}
	for _, c := range []struct {
		name     string
		risk     plan.Risk
		reviewed []plan.Risk // nil: no review
		want     state.HoldKind
	}{
		{"no review, traffic", plan.RiskTraffic, nil, ""},
		{"no review, offline", plan.RiskOffline, nil, ""},
		{"no review, mail", plan.RiskMail, nil, state.HoldMail},
		{"no review, gap", plan.RiskGap, nil, state.HoldData},
		{"no review, data", plan.RiskData, nil, state.HoldData},
		{"no risk, not reviewed", plan.RiskNone, []plan.Risk{}, ""},
		{"not reviewed", plan.RiskTraffic, []plan.Risk{}, state.HoldRisk},
		{"as reviewed", plan.RiskTraffic, []plan.Risk{plan.RiskTraffic}, ""},
		{"less risky", plan.RiskTraffic, []plan.Risk{plan.RiskOffline}, ""},
		{"riskier", plan.RiskOffline, []plan.Risk{plan.RiskTraffic}, state.HoldRisk},
		{"reviewed, mail", plan.RiskMail, []plan.Risk{plan.RiskMail}, state.HoldMail},
	} {
		g := plan.GateInput{Now: now}
		if c.reviewed != nil {
			shown := map[string]bool{}
			g.Reviewed = map[state.ClientID]map[string]bool{step(c.risk).Ref.Client: shown}
			for _, r := range c.reviewed {
				shown[plan.StepPrint(step(r))] = true
			}
		}
		p, holds := plan.Gate(plan.Plan{Steps: []plan.Step{step(c.risk)}}, g)
		got := state.HoldKind("")
		if len(holds) == 1 {
			got = holds[0].Kind
		}
		if got != c.want || (p.Steps[0].Held != "") != (c.want != "") {
			t.Errorf("%s: held %q, want %q", c.name, got, c.want)
		}
	}
}

// mailAnd is a client that loses its MX record, its _dmarc record or both.
func mailAnd(t *testing.T, mx, dmarc bool) plan.ClientInput {
	with := func(mx, dmarc bool) func(*manifest.Effective) {
		return func(e *manifest.Effective) {
			if mx {
				e.DNS.Records = append(e.DNS.Records, manifest.Record{Type: "MX", Name: "@", Content: "mx.example", Priority: 10})
			}
			if dmarc {
				e.DNS.Records = append(e.DNS.Records, manifest.Record{Type: "TXT", Name: "_dmarc", Content: "v=DMARC1"})
			}
		}
	}
	return becomes(t, settled(t, shop("shop", with(true, true))), shop("shop", with(!mx, !dmarc)))
}

// RuleReview: a hold outlives later commits; an approval lets exactly its steps run, is
// used with them, and lasts 24 hours.
func TestRuleReviewHoldsAndApprovals(t *testing.T) {
	first := plan.Calculate(input(mailAnd(t, true, false)))
	_, holds := plan.Gate(first, plan.GateInput{Now: now})
	if len(holds) != 1 || holds[0].Kind != state.HoldMail {
		t.Fatalf("holds %+v", holds)
	}
	mx := holds[0]
	// A later commit takes away another record: the first hold stays as it is.
	both := plan.Calculate(input(mailAnd(t, true, true)))
	both.Commit = "later"
	_, holds = plan.Gate(both, plan.GateInput{Now: now.Add(time.Hour), Holds: []state.Hold{mx}})
	if len(holds) != 2 || holds[0].Fingerprint != mx.Fingerprint || !holds[0].At.Equal(mx.At) {
		t.Fatalf("the hold did not outlive the commit: %+v", holds)
	}
	approve := []state.Approval{{Fingerprint: mx.Fingerprint, At: now}}
	p, rest := plan.Gate(both, plan.GateInput{Now: now.Add(time.Hour), Holds: holds, Approvals: approve})
	if len(rest) != 1 || rest[0].Fingerprint != holds[1].Fingerprint {
		t.Errorf("still held: %+v", rest)
	}
	for _, s := range p.Steps {
		if s.Action == plan.Delete && (s.Held == "") != strings.HasPrefix(s.Ref.Name, "MX") {
			t.Errorf("%s: held %q", line(s), s.Held)
		}
	}
	if d := cmp.Diff([]string{mx.Fingerprint}, p.Used()); d != "" {
		t.Errorf("used (-want +got):\n%s", d)
	}
	for name, g := range map[string]plan.GateInput{
		"used":    {Now: now, Approvals: []state.Approval{{Fingerprint: mx.Fingerprint, At: now, Used: now}}},
		"late":    {Now: now.Add(state.ApprovalLife), Approvals: approve},
		"another": {Now: now, Approvals: []state.Approval{{Fingerprint: "000000000000", At: now}}},
		"one of another client of the name that was removed": {Now: now, Approvals: []state.Approval{{Fingerprint: mx.Fingerprint, At: now, Client: "shop-0"}}},
		"one of before it was removed":                       {Now: now, Approvals: []state.Approval{{Fingerprint: mx.Fingerprint, At: now, Client: mx.Client, Ended: true}}},
		"one given early, before the name was removed":       {Now: now, Approvals: []state.Approval{{Fingerprint: mx.Fingerprint, At: now, Removed: []string{"shop"}}}},
	} {
		if p, holds := plan.Gate(first, g); len(holds) != 1 || len(p.Used()) > 0 {
			t.Errorf("%s approval: holds %v, used %v", name, holds, p.Used())
		}
	}
	for name, g := range map[string]plan.GateInput{
		"the client's": {Approvals: []state.Approval{{Fingerprint: mx.Fingerprint, At: now, Client: mx.Client}}},
		"one given early, and another name was removed":  {Approvals: []state.Approval{{Fingerprint: mx.Fingerprint, At: now, Removed: []string{"other"}}}},
		"one given early, of the removal that came then": {Removed: map[state.ClientID]bool{mx.Client: true}, Approvals: []state.Approval{{Fingerprint: mx.Fingerprint, At: now, Removed: []string{"shop"}}}},
	} {
		g.Now = now
		if p, holds := plan.Gate(first, g); len(holds) != 0 || len(p.Used()) != 1 {
			t.Errorf("%s approval: holds %v, used %v", name, holds, p.Used())
		}
	}
}

// Inside a freeze window changes wait, visibly, until its end or an approval; the
// approval of a freeze is none of what is risky in itself.
func TestFreeze(t *testing.T) {
	window := []plan.Window{{From: now.Add(-time.Hour), To: now.Add(time.Hour), Reason: "holidays"}}
	p := plan.Calculate(input(mailAnd(t, true, false)))
	_, holds := plan.Gate(p, plan.GateInput{Now: now, Freeze: window})
	if len(holds) != 2 || holds[0].Kind != state.HoldFreeze || !holds[0].Until.Equal(window[0].To) || !strings.Contains(holds[0].Reason, "holidays") || holds[1].Kind != state.HoldMail {
		t.Fatalf("holds %+v", holds)
	}
	approve := []state.Approval{{Fingerprint: holds[0].Fingerprint, At: now}}
	gated, left := plan.Gate(p, plan.GateInput{Now: now, Freeze: window, Approvals: approve})
	if len(left) != 1 || left[0].Kind != state.HoldMail || len(gated.Used()) > 0 {
		t.Errorf("approving the freeze left %+v, used %v", left, gated.Used())
	}
	for _, at := range []time.Time{window[0].From.Add(-1), window[0].To} {
		if _, holds := plan.Gate(p, plan.GateInput{Now: at, Freeze: window}); len(holds) != 1 {
			t.Errorf("at %s: %+v", at, holds)
		}
	}
}

func TestPausedIsPlannedAndLeftAlone(t *testing.T) {
	p, holds := plan.Gate(plan.Calculate(input(client(t, shop("shop")), client(t, shop("other")))), plan.GateInput{Now: now, Paused: map[state.ClientID]bool{idOf("shop"): true}})
	if len(holds) > 0 {
		t.Errorf("holds %v", holds)
	}
	for _, s := range p.Steps {
		if paused := s.Client == "shop"; s.Blocked != paused || strings.HasPrefix(s.Reason, "paused: ") != paused {
			t.Errorf("%s of %s: %q", line(s), s.Client, s.Reason)
		}
	}
}

// What needs a held step waits with it, and nothing else does.
func TestHeldBlocksWhatNeedsIt(t *testing.T) {
	p, _ := plan.Gate(plan.Calculate(input(mailAnd(t, true, false))), plan.GateInput{Now: now})
	if r := p.Steps[len(p.Steps)-1]; r.Action != plan.Record || !r.Blocked {
		t.Errorf("the record is written though a step is held: %+v", r)
	}
}

// The rule on mail: taking it away is held, whatever takes it away, the removal of the
// whole client too; there it is the only thing that waits.
func TestRuleMail(t *testing.T) {
	for _, c := range []struct {
		r    manifest.Record
		mail bool
	}{
		{manifest.Record{Type: "MX", Name: "@", Content: "mx.example"}, true},
		{manifest.Record{Type: "MX", Name: "sub", Content: "mx.example"}, true},
		{manifest.Record{Type: "TXT", Name: "@", Content: "v=spf1"}, true},
		{manifest.Record{Type: "TXT", Name: "_dmarc", Content: "v=DMARC1"}, true},
		{manifest.Record{Type: "TXT", Name: "s1._domainkey", Content: "k"}, true},
		{manifest.Record{Type: "TXT", Name: "_domainkey", Content: "o=-"}, true},
		{manifest.Record{Type: "TXT", Name: "note", Content: "x"}, false},
		{manifest.Record{Type: "TXT", Name: "_acme-challenge", Content: "x"}, false},
		{manifest.Record{Type: "CNAME", Name: "mail", Content: "x.example"}, false},
	} {
		with := shop("shop", func(e *manifest.Effective) { e.DNS.Records = []manifest.Record{c.r} })
		// Killed in the middle of its provisioning: the record is made, no host is bound yet.
		half := removed(settled(t, with))
		half.Recorded = slices.DeleteFunc(slices.Clone(half.Recorded), func(r state.Resource) bool { return r.Ref.Kind == state.KindDomain })
		half.Host = with.Host
		for name, in := range map[string]plan.ClientInput{"record": becomes(t, settled(t, with), shop("shop")), "client": removed(settled(t, with)), "client in its making": half} {
			p, holds := plan.Gate(plan.Calculate(input(in)), plan.GateInput{Now: now})
			if held := len(holds) == 1 && holds[0].Kind == state.HoldMail && len(holds[0].Steps) == 1; held != c.mail {
				t.Errorf("%s %s taken away with the %s: held %t, want %t", c.r.Type, c.r.Name, name, held, c.mail)
			}
			for _, s := range p.Steps {
				if s.Blocked && s.Action != plan.Record {
					t.Errorf("%s waits for the mail", line(s))
				}
			}
		}
		with.DNS.Records[0].TTL = 60
		p := plan.Calculate(input(becomes(t, settled(t, shop("shop", func(e *manifest.Effective) { e.DNS.Records = []manifest.Record{c.r}; e.DNS.Records[0].TTL = 0 })), with)))
		for _, s := range p.Steps {
			if s.Risk == plan.RiskMail {
				t.Errorf("a new time to live of %s %s takes mail away", c.r.Type, c.r.Name)
			}
		}
	}
}

// S23: a rename that forgot to say so is a delete and a create, and the plan says it.
func TestS23RenameWarning(t *testing.T) {
	old := removed(settled(t, shop("demoshop")))
	for _, c := range []struct {
		name string
		e    manifest.Effective
		warn bool
	}{
		{"same letters", shop("demo-shop"), true},
		{"a letter apart", shop("demoshopp"), true},
		{"same host", shop("other", func(e *manifest.Effective) { e.Host, e.Hosts = "demoshop.example", []string{"demoshop.example"} }), true},
		{"another", shop("bakery"), false},
	} {
		p := plan.Calculate(input(old, client(t, c.e)))
		if warned := len(p.Warnings) == 1; warned != c.warn {
			t.Errorf("%s: warnings %v", c.name, p.Warnings)
		} else if warned && (!strings.Contains(p.Warnings[0].Text, "a delete and a create") || !strings.Contains(p.Warnings[0].Act, "previously: [demoshop]")) {
			t.Errorf("%s: %+v", c.name, p.Warnings[0])
		}
	}
	if p := plan.Calculate(input(removed(settled(t, shop("shop"))), client(t, shop("ship")))); len(p.Warnings) > 0 {
		t.Errorf("short names are alike by chance: %v", p.Warnings)
	}
	if p := plan.Calculate(input(settled(t, shop("demoshop")), client(t, shop("demo-shop")))); len(p.Warnings) > 0 {
		t.Errorf("nobody goes: %v", p.Warnings)
	}
}

// What is printed for every client at once is what is printed for each.
func TestFingerprintsOfAll(t *testing.T) {
	p := plan.Calculate(input(client(t, shop("shop-a")), client(t, shop("shop-b"))))
	whole, all := plan.Fingerprints(p, plan.Prints(p))
	if want := plan.Fingerprint(p, ""); whole != want {
		t.Errorf("the whole: %s, want %s", whole, want)
	}
	if len(all) != 2 {
		t.Fatalf("%d clients", len(all))
	}
	for id, got := range all {
		if want := plan.Fingerprint(p, id); got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
}

// Rule, review: where every pull request was merged as it was planned, a step of a class that
// was shown runs, whatever else was merged beside it; another action, place or risk does not.
func TestRuleReviewClass(t *testing.T) {
	step := func(change func(*plan.Step)) plan.Step {
		s := plan.Step{Ref: state.Ref{Client: "a-1", Kind: state.KindTraffic, Name: "local"}, Client: "a", Action: plan.Update, Provider: "local", Risk: plan.RiskTraffic,
			Wish: &state.Resource{Attributes: state.NewAttributes(map[string]state.Value{"deployment": state.Lit("other")})}}
		change(&s)
		return s
	}
	shown := plan.ClassPrint(step(func(*plan.Step) {}))
	for name, c := range map[string]struct {
		change func(*plan.Step)
		held   bool
	}{
		"another release": {func(s *plan.Step) {
			s.Wish = &state.Resource{Attributes: state.NewAttributes(map[string]state.Value{"deployment": state.Lit("both")})}
		}, false},
		"riskier":        {func(s *plan.Step) { s.Risk = plan.RiskOffline }, true},
		"another action": {func(s *plan.Step) { s.Action = plan.Delete }, true},
		"another name":   {func(s *plan.Step) { s.Ref.Name = "other" }, true},
		"another host":   {func(s *plan.Step) { s.Provider = "elsewhere" }, true},
		"another client": {func(s *plan.Step) { s.Client = "b" }, true},
		"from somebody":  {func(s *plan.Step) { s.From = state.Ref{Client: "c-1", Kind: state.KindTraffic, Name: "local"} }, true},
	} {
		p, _ := plan.Gate(plan.Plan{Steps: []plan.Step{step(c.change)}}, plan.GateInput{Now: now, Reviewed: map[state.ClientID]map[string]bool{"a-1": {shown: true}}})
		if held := p.Steps[0].Held != ""; held != c.held {
			t.Errorf("%s: held is %t", name, held)
		}
	}
}

// P12: what leads people to another site of the client's shows them the release that is
// there. Its site is new and serves nobody so far: nothing else of the plan bears a risk. So
// the review of that step binds the release, also where a person sets the record at another
// DNS host.
func TestP12LeadingPeopleToANewSiteBindsItsRelease(t *testing.T) {
	for _, dns := range []string{"localdns", "external"} {
		t.Run(dns, func(t *testing.T) { leadsPeopleOver(t, dns) })
	}
}

func leadsPeopleOver(t *testing.T, dns string) {
	over := func(c plan.ClientInput, theme string) plan.Step {
		t.Helper()
		p := plan.Calculate(input(becomes(t, c, shop("shop", func(e *manifest.Effective) {
			e.Deployment.Provider, e.DNS.Provider = "vercel", dns
			e.Settings = map[string]any{"theme": theme}
		}))))
		i := slices.IndexFunc(p.Steps, func(s plan.Step) bool { return s.Ref.Kind == state.KindRecord && s.Action == plan.Update })
		if i < 0 || p.Steps[i].Risk != plan.RiskTraffic {
			t.Fatalf("no step leads people over: %v", lines(p))
		}
		return p.Steps[i]
	}
	c := settled(t, shop("shop", func(e *manifest.Effective) { e.DNS.Provider = dns }))
	dark, light := over(c, "dark"), over(c, "light")
	if plan.StepPrint(dark) == plan.StepPrint(light) {
		t.Error("a review of the one lets the other run")
	}
	if plan.ClassPrint(dark) != plan.ClassPrint(light) {
		t.Error("two pull requests that were merged as planned can't run together")
	}
	if again := over(c, "dark"); plan.StepPrint(dark) != plan.StepPrint(again) {
		t.Error("the same step bears another print")
	}
}

// P12: so does a record that is made where one led to the site before: that one is gone at the
// vendor, or of another type. What was shown as a change of a record that goes before it runs
// was shown.
func TestP12LeadingPeopleToANewSiteByAnotherRecord(t *testing.T) {
	for _, dns := range []string{"localdns", "external"} {
		t.Run(dns, func(t *testing.T) { leadsPeopleOverByAnotherRecord(t, dns) })
	}
}

func leadsPeopleOverByAnotherRecord(t *testing.T, dns string) {
	over := func(c plan.ClientInput, theme string, change func(*plan.ClientInput)) plan.Step {
		t.Helper()
		c = becomes(t, c, shop("shop", func(e *manifest.Effective) {
			e.Deployment.Provider, e.DNS.Provider = "vercel", dns
			e.Settings = map[string]any{"theme": theme}
		}))
		change(&c)
		p := plan.Calculate(input(c))
		i := slices.IndexFunc(p.Steps, func(s plan.Step) bool { return s.Ref.Kind == state.KindRecord && s.Action != plan.Delete })
		if i < 0 {
			t.Fatalf("no step leads people over: %v", lines(p))
		}
		return p.Steps[i]
	}
	gone := func(c *plan.ClientInput) {
		for _, r := range c.Recorded {
			if r.Ref.Kind == state.KindRecord {
				c.Looks = map[state.Ref]plan.Look{r.Ref: {Gone: true}}
			}
		}
	}
	another := func(c *plan.ClientInput) {
		*c = alter(*c, state.KindRecord, func(r *state.Resource) { r.Ref.Name = "AAAA" + strings.TrimPrefix(r.Ref.Name, "A") })
	}
	c := settled(t, shop("shop", func(e *manifest.Effective) { e.DNS.Provider = dns }))
	for name, change := range map[string]func(*plan.ClientInput){"gone": gone, "another type": another} {
		dark, light := over(c, "dark", change), over(c, "light", change)
		if dark.Action != plan.Create || dark.Risk != plan.RiskTraffic {
			t.Errorf("%s: %s %s with the risk %q", name, dark.Action, dark.Ref, dark.Risk)
		}
		if plan.StepPrint(dark) == plan.StepPrint(light) {
			t.Errorf("%s: a review of the one lets the other run", name)
		}
	}
	shown, now := over(c, "dark", func(*plan.ClientInput) {}), over(c, "dark", gone)
	for theme, held := range map[string]bool{"dark": false, "light": true} {
		reviewed := map[state.ClientID]map[string]bool{c.Client.ID: {plan.StepPrint(over(c, theme, func(*plan.ClientInput) {})): true}}
		p, _ := plan.Gate(plan.Plan{Steps: []plan.Step{now}}, plan.GateInput{Reviewed: reviewed})
		if shown.Action != plan.Update || (p.Steps[0].Held != "") != held {
			t.Errorf("%s was shown: held is %t", theme, !held)
		}
	}
}

// Rule "Adoption": of a paused client what only records what exists runs while somebody asks for
// it, and nothing else does.
func TestRuleAdoptionOfThePaused(t *testing.T) {
	e := shop("shop", func(e *manifest.Effective) { e.Adopt = manifest.Adopt{"site": {ID: "site-1"}} })
	c := client(t, e)
	other := client(t, shop("other"))
	in := plan.GateInput{Now: now, Paused: map[state.ClientID]bool{idOf("shop"): true, idOf("other"): true}}
	for _, asked := range []bool{false, true} {
		in.Taking = map[state.ClientID]bool{idOf("shop"): asked, idOf("other"): asked}
		p, holds := plan.Gate(plan.Calculate(input(c, other)), in)
		runs := 0
		for _, s := range p.Steps {
			may := asked && s.Ref.Client == idOf("shop")
			if !s.Blocked && s.Action != plan.Adopt && s.Action != plan.Record || s.Blocked == may {
				t.Errorf("asked %t: %s is blocked: %t", asked, line(s), s.Blocked)
			}
			if !s.Blocked {
				runs++
			}
		}
		if len(holds) > 0 || asked != (runs > 1) {
			t.Errorf("asked %t: %d steps run, %d holds", asked, runs, len(holds))
		}
	}
}

// Two clients swap their names, and one of them has an alias that is to redirect to its new name once the other's site
// answers by that no more; whether it does is seen only after the name has moved. The alias leads to its client all the
// time, so that the swap does not wait for it.
func TestS24SwapDoesNotWaitForAnAliasThatFollowsIt(t *testing.T) {
	leads := func(client state.ClientID, kind state.Kind, name string) *state.Resource {
		r := &state.Resource{Ref: state.Ref{Client: client, Kind: kind, Name: name}, Provider: "cloudflare"}
		if kind == state.KindRecord {
			r.Attributes = state.Attributes{{Name: "content", Value: state.OutputOf(state.Ref{Client: client, Kind: state.KindSite, Name: "main"}, "address")}}
		}
		return r
	}
	step := func(client state.ClientID, action plan.Action, kind state.Kind, name string, from state.ClientID, needs ...string) plan.Step {
		s := plan.Step{Action: action, Ref: state.Ref{Client: client, Kind: kind, Name: name}, Client: string(client), Needs: needs, Wish: leads(client, kind, name)}
		if s.Prior = leads(client, kind, name); from != "" {
			s.From, s.FromClient, s.Prior = state.Ref{Client: from, Kind: kind, Name: name}, string(from), leads(from, kind, name)
		}
		return s
	}
	one := step("cakes", plan.Move, state.KindRecord, "A bakery.agency.example", "bakery")
	other := step("bakery", plan.Move, state.KindRecord, "A cakes.agency.example", "cakes")
	old := step("cakes", plan.Delete, state.KindDomain, "cakes.agency.example", "", other.Key())
	old.WaitFor("external", "whether DNS leads people here still is seen later")
	alias := step("bakery", plan.Update, state.KindRecord, "A www.bakery.example", "", old.Key())
	p, _ := plan.Gate(plan.Plan{Steps: []plan.Step{one, other, old, alias}}, plan.GateInput{})
	for i, waits := range []bool{false, false, true, true} {
		if s := p.Steps[i]; s.Blocked != waits {
			t.Errorf("%s %s waits: %t, %q", s.Action, s.Ref, s.Blocked, s.Reason)
		}
	}
}
