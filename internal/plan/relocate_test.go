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

func kept(provider string, more ...func(*manifest.Effective)) manifest.Effective {
	return shop("shop", append([]func(*manifest.Effective){func(e *manifest.Effective) {
		e.Database.Provider, e.AdminPanel = provider, manifest.AdminPanel{Kind: "none"}
	}}, more...)...)
}

func moving(t testing.TB, more ...func(*manifest.Effective)) plan.ClientInput {
	t.Helper()
	return becomes(t, settled(t, kept("pg1")), kept("pg2", more...))
}

func dated(c plan.ClientInput, f func(*state.Resource)) plan.ClientInput {
	all := append([]state.Resource(nil), c.Recorded...)
	for i := range all {
		f(&all[i])
	}
	c.Recorded = all
	return c
}

func stepOf(t testing.TB, p plan.Plan, action plan.Action) plan.Step {
	t.Helper()
	for _, s := range p.Steps {
		if s.Action == action {
			return s
		}
	}
	t.Fatalf("no %s: %v %v", action, lines(p), p.Problems)
	return plan.Step{}
}

// RuleData: a changed provider moves the data, in a plan whose every step waits for a person;
// it shows the freeze. What else changed comes after it.
func TestMoveOfADatabase(t *testing.T) {
	c := moving(t, func(e *manifest.Effective) {
		e.Aliases, e.Hosts = []string{"www.shop.example"}, []string{e.Host, "www.shop.example"}
	})
	c.Looks = map[state.Ref]plan.Look{{Client: c.Client.ID, Kind: state.KindDatabase, Name: "main"}: {Bytes: 40 << 20}}
	p := plan.Calculate(input(c))
	want := []string{"create database/main@pg2 !data", "transfer database/main !data", "update environment/local", "create deployment", "await deployment", "probe deployment",
		"update traffic/local !traffic"}
	got := lines(p)
	if len(got) < len(want) || cmp.Diff(want, only(got, want)) != "" {
		t.Fatalf("planned: %s", strings.Join(got, "\n"))
	}
	s := stepOf(t, p, plan.Transfer)
	for _, says := range []string{"from pg1 to pg2", "writes fail", "about 40 MB", "30 minutes at most"} {
		if !strings.Contains(s.Reason, says) {
			t.Errorf("the reason says no %q: %s", says, s.Reason)
		}
	}
	if !s.PurgeAfter.Equal(now.Add(c.Retain)) || len(s.Fields) != 5 || s.Prior.Provider != "pg1" {
		t.Errorf("the step: %+v", s)
	}
	gated, holds := plan.Gate(p, plan.GateInput{Now: now})
	if len(holds) != 1 || holds[0].Kind != state.HoldData || !holds[0].Approvable || !strings.Contains(holds[0].Reason, "writes fail") {
		t.Fatalf("holds: %+v", holds)
	}
	for _, s := range gated.Steps {
		if s.Held == "" && !s.Blocked {
			t.Errorf("%s runs before somebody said yes", s.Key())
		}
	}
	free, left := plan.Gate(p, plan.GateInput{Now: now, Approvals: []state.Approval{{Fingerprint: holds[0].Fingerprint, At: now}}})
	if len(left) != 0 {
		t.Fatalf("held after the approval: %+v", left)
	}
	c.Recorded = plan.Model(c.Recorded, free, now)
	if p := plan.Calculate(input(c)); !p.Empty() {
		t.Errorf("after the move: %v %v", lines(p), p.Problems)
	}
	main, old := of(c, "main"), of(c, "main@pg1")
	if main.Provider != "pg2" || main.Retained() || main.Copy || old.Provider != "pg1" || !old.Retained() || old.Copy || !old.PurgeAfter.Equal(now.Add(c.Retain)) {
		t.Errorf("on record: %+v and %+v", main, old)
	}
	if due := plan.Purges(c.Client, c.Wish, c.Recorded, now.Add(c.Retain-time.Hour)); len(due) != 0 {
		t.Errorf("erased too early: %v", due)
	}
	if due := plan.Purges(c.Client, c.Wish, c.Recorded, now.Add(c.Retain+time.Hour)); len(due) != 1 || due[0].Ref.Name != "main@pg1" {
		t.Errorf("never erased: %v", due)
	}
	// A release of which nobody knows where it was built is built anew, and not promoted.
	older := becomes(t, c, kept("pg2", func(e *manifest.Effective) { e.Environment["CURRENCY"] = manifest.EnvValue{Literal: "SEK"} }))
	for _, w := range older.Wish {
		if w.Ref.Kind == state.KindDeployment {
			w.ID, w.Provider = "earlier", "local"
			older.Recorded = append(append([]state.Resource(nil), older.Recorded...), w)
		}
	}
	if got := lines(plan.Calculate(input(older))); !contains(got, "replace deployment") {
		t.Errorf("an earlier release: %v", got)
	}
	// The way back would lead to what was written before the move.
	back := plan.Calculate(input(becomes(t, c, kept("pg1"))))
	if len(back.Problems) != 1 || back.Problems[0].Hold != state.HoldData || !strings.Contains(back.Problems[0].Text, "an earlier move left") {
		t.Errorf("the way back: %+v %v", back.Problems, lines(back))
	}
}

func of(c plan.ClientInput, name string) state.Resource {
	for _, r := range c.Recorded {
		if r.Ref.Kind == state.KindDatabase && r.Ref.Name == name {
			return r
		}
	}
	return state.Resource{}
}

// only keeps those of all that are wanted, in their order.
func only(all, wanted []string) []string {
	is := map[string]bool{}
	for _, w := range wanted {
		is[w] = true
	}
	var out []string
	for _, a := range all {
		if is[a] {
			out = append(out, a)
		}
	}
	return out
}

// A move that was cut off goes on from where it is, asks again before it freezes once more,
// and leaves what it copied where nobody wishes it any more.
func TestMoveThatWasCutOff(t *testing.T) {
	c := moving(t)
	first := plan.Only(plan.Calculate(input(c)), func(r state.Ref) bool { return r.Name == "main@pg2" })
	c.Recorded = plan.Model(c.Recorded, first, now)
	p := plan.Calculate(input(c))
	if s := stepOf(t, p, plan.Transfer); s.Risk != plan.RiskTraffic {
		t.Errorf("approved, and asked again: %+v", s)
	}
	frozen := dated(c, func(r *state.Resource) { r.Agreed = false }) // the approval was used for a freeze
	p = plan.Calculate(input(frozen))
	if s := stepOf(t, p, plan.Transfer); s.Risk != plan.RiskData {
		t.Errorf("frozen once more unasked: %+v", s)
	}
	still := becomes(t, frozen, kept("pg1"))
	p = plan.Calculate(input(still))
	if s := stepOf(t, p, plan.Retain); s.Ref.Name != "main@pg2" || !s.PurgeAfter.Equal(now.Add(c.Retain)) {
		t.Errorf("what was copied: %v", lines(p))
	}
	still.Recorded = plan.Model(still.Recorded, p, now)
	if p := plan.Calculate(input(still)); !p.Empty() {
		t.Errorf("after that: %v", lines(p))
	}
	// Wished once more, it is filled anew.
	p = plan.Calculate(input(becomes(t, still, kept("pg2"))))
	if s, r := stepOf(t, p, plan.Transfer), stepOf(t, p, plan.Return); r.Risk != plan.RiskData || s.Risk != plan.RiskData || !contains(s.Needs, r.Key()) {
		t.Errorf("wished once more: %v", lines(p))
	}
	// Cut off after the switch: what has the old address gets the new one, whatever is on record.
	whole := plan.Only(plan.Calculate(input(c)), func(r state.Ref) bool { return r.Kind == state.KindDatabase })
	c.Recorded = plan.Model(c.Recorded, whole, now)
	p = plan.Calculate(input(c))
	if got := lines(p); len(got) < 2 || got[0] != "update environment/local" || got[1] != "create deployment" {
		t.Errorf("after the switch: %v", got)
	}
	// And not wished any more by then: back, without a question, if nothing was written to it.
	c.Client.Undo = []state.Undo{{Ref: of(c, "main").Ref, Prior: of(c, "main@pg1")}}
	c = becomes(t, c, kept("pg1"))
	p = plan.Calculate(input(c))
	if s := stepOf(t, p, plan.Transfer); s.Risk != plan.RiskTraffic || s.From.Name != "main@pg1" {
		t.Errorf("back: %+v", s)
	}
	c.Recorded, c.Client.Undo = plan.Model(c.Recorded, p, now), nil
	if main, left := of(c, "main"), of(c, "main@pg2"); main.Provider != "pg1" || !left.Copy || !left.Retained() {
		t.Errorf("on record: %+v and %+v", main, left)
	}
	if p := plan.Calculate(input(c)); !p.Empty() {
		t.Errorf("after that: %v", lines(p))
	}
}

func contains(all []string, one string) bool {
	for _, a := range all {
		if a == one {
			return true
		}
	}
	return false
}

// While the old database can't be looked at nothing of a move is begun, also when somebody said yes to
// it: it may be gone, and no empty one takes its place. Whoever is asked reads of the freeze all the same.
func TestMoveWaitsUntilTheOldOneIsSeen(t *testing.T) {
	c := moving(t)
	c.Looks = map[state.Ref]plan.Look{{Client: c.Client.ID, Kind: state.KindDatabase, Name: "main"}: {Failed: "503 service unavailable"}}
	p := plan.Calculate(input(c))
	_, holds := plan.Gate(p, plan.GateInput{Now: now})
	if len(holds) != 1 || !strings.Contains(holds[0].Reason, "writes fail") || !strings.Contains(holds[0].Reason, "waiting for pg1: 503") {
		t.Fatalf("holds: %+v", holds)
	}
	free, left := plan.Gate(p, plan.GateInput{Now: now, Approvals: []state.Approval{{Fingerprint: holds[0].Fingerprint, At: now}}})
	if len(left) != 0 {
		t.Fatalf("held after the approval: %+v", left)
	}
	for _, s := range free.Steps {
		if s.Ref.Kind == state.KindDatabase && (!s.Blocked || s.Waits != "pg1") {
			t.Errorf("%s goes on: %+v", s.Key(), s)
		}
	}
}

// What can't be moved is held, as ever.
func TestMoveThatCannotBe(t *testing.T) {
	for name, c := range map[string]plan.ClientInput{
		"another engine": becomes(t, settled(t, kept("pg1")), kept("sqlite")),
		"adopted":        dated(moving(t), func(r *state.Resource) { r.Adopted = r.Ref.Kind == state.KindDatabase }),
		"failed":         dated(moving(t), func(r *state.Resource) { r.Phase = map[bool]string{true: "failed"}[r.Ref.Kind == state.KindDatabase] }),
		"with its user":  becomes(t, settled(t, kept("pg1", func(e *manifest.Effective) { e.AdminPanel.Kind = "local" })), kept("pg2", func(e *manifest.Effective) { e.AdminPanel.Kind = "local" })),
	} {
		p := plan.Calculate(input(c))
		if len(p.Steps) != 0 || len(p.Problems) != 1 || p.Problems[0].Hold != state.HoldData {
			t.Errorf("%s: %v %+v", name, lines(p), p.Problems)
		}
	}
	gone := moving(t)
	gone.Looks = map[state.Ref]plan.Look{of(gone, "main").Ref: {Gone: true}}
	if p := plan.Calculate(input(gone)); len(p.Steps) != 0 || len(p.Problems) != 1 {
		t.Errorf("gone: %v %+v", lines(p), p.Problems)
	}
}
