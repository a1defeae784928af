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

// ran are the steps of a run that stopped at a step; 0: at none.
func ran(stop int, why string) []state.StepRun {
	at := day(1)
	var out []state.StepRun
	add := func(n int, a plan.Action, kind, name, provider string, took time.Duration) {
		s := state.StepRun{Number: n, Step: string(a) + " d1/" + kind + "/" + name, Action: string(a), Ref: ref("d1", kind, name), Provider: provider, State: "done", Attempt: 1, Started: at, Ended: at.Add(took)}
		switch {
		case stop != 0 && n == stop:
			s.State, s.Error = "failed", why
		case stop != 0 && n > stop:
			s.State, s.Started, s.Ended = "skipped", time.Time{}, time.Time{}
		}
		at = at.Add(took)
		out = append(out, s)
	}
	add(plan.StepDatabase, plan.Create, "database", "main", "railway", 38*time.Second)
	add(plan.StepProject, plan.Create, "site", "ploi", "ploi", 12*time.Second)
	add(plan.StepDNS, plan.Create, "record", "A demoshop.example", "cloudflare", 2*time.Second)
	add(plan.StepDNS, plan.Create, "domain", "demoshop.example@ploi", "ploi", time.Second)
	add(plan.StepEnvironment, plan.Create, "environment", "ploi", "ploi", 2*time.Second)
	add(plan.StepDeploy, plan.Create, "deployment", "8be01c22", "ploi", 3*time.Second)
	add(plan.StepMonitor, plan.Await, "deployment", "8be01c22", "ploi", 101*time.Second)
	add(plan.StepHealth, plan.Probe, "traffic", "ploi", "ploi", 4*time.Second)
	add(plan.StepRecord, plan.Record, "", "", "", 0)
	return out
}

func good(name string) ClientResult {
	return ClientResult{Client: state.Client{Name: name, EverDeployed: true, URL: "https://" + name + ".example"}, Fate: "succeeded", Log: "https://ops.example/runs/" + name,
		Run: state.Deployment{ID: "01JD90", State: "succeeded", Started: day(1), Ended: day(1).Add(163 * time.Second), Steps: ran(0, "")}}
}

func stopped(name string) ClientResult {
	c := good(name)
	c.Fate = "failed"
	c.Run.State, c.Run.Steps = "failed", ran(plan.StepDNS, "cloudflare refused the record: one with that name exists (81053)")
	c.Run.Error, c.Run.Next = "cloudflare refused the record A demoshop.example: one with that name exists (81053)", "delete it at cloudflare, or adopt it, then `reconciler retry "+name+"`"
	return c
}

// heldResult is S14: the database was deleted by hand between review and merge.
func heldResult(name string) ClientResult {
	c := good(name)
	c.Fate, c.Run.State, c.Run.Steps = "held", "held", nil
	c.Client.Because = "data may become unreachable: create database main (the database is gone at railway)"
	c.Holds = []state.Hold{{Fingerprint: "9f3a00112233", Kind: state.HoldData, Reason: c.Client.Because, Act: "`reconciler approve 9f3a00112233` lets it run; a revert takes it back", Approvable: true}}
	env := step(plan.StepEnvironment, plan.Update, "environment/ploi", "ploi", "env STORE_CURRENCY changed", 2)
	c.Reviewed = &Change{Client: name, Steps: []Step{env}}
	c.Now = &Change{Client: name, Steps: []Step{env, with(step(plan.StepDatabase, plan.Create, "database/main", "railway", "the database is gone at railway", 3), plan.RiskData, "nothing brings the data back")}}
	return c
}

func fiveResults() PullResult {
	removed := good("bakery")
	removed.Client.Removed, removed.Run.Steps = true, nil
	removed.Kept = []state.Resource{{Ref: ref("b1", "database", "main"), RetainedAt: day(1), PurgeAfter: day(22)}}
	over := ClientResult{Client: state.Client{Name: "webshop", URL: "https://webshop.example"}, Fate: "superseded by 77aa001122334455", Newer: "https://github.example/acme/clients/pull/44#issuecomment-9"}
	return PullResult{Commit: headSHA, Clients: []ClientResult{good("atelier"), stopped("demoshop"), removed, heldResult("mailshop"), over}, Took: 163 * time.Second, Link: "https://ops.example/commits/3f9c2ab"}
}

// What is wrong with a file is said once, also where it waits for the removal of another client. A fate
// whose cause is not among the problems that are shown keeps its part.
func TestPullResultSaysOnceWhatIsWrongWithAFile(t *testing.T) {
	because := "shop.example is still bakery's: its removal is held"
	wrong := ClientResult{Client: state.Client{Name: "demoshop", EverDeployed: true, Because: "clients/demoshop.yaml: " + because}, Fate: "invalid"}
	r := PullResult{Commit: headSHA, Clients: []ClientResult{wrong, heldResult("bakery")},
		Problems: []Problem{{Client: "demoshop", Path: "clients/demoshop.yaml", Text: because, Hint: "`reconciler approve 3f9c` lets it go"}}}
	text := r.Markdown()
	if strings.Count(text, because) != 1 || !strings.Contains(text, "invalid; its last good version stays") {
		t.Errorf("it says:\n%s", text)
	}
	r.Problems[0].Warning = true
	if text := r.Markdown(); !strings.Contains(text, "**Cause:**") {
		t.Errorf("only warned of, and its cause is missing:\n%s", text)
	}
}

func TestPullResult(t *testing.T) {
	one := PullResult{Commit: headSHA, Clients: []ClientResult{good("demoshop")}, Took: 163 * time.Second, Link: "https://ops.example/commits/3f9c2ab"}
	fail := one
	fail.Clients = []ClientResult{stopped("demoshop")}
	held := one
	held.Clients = []ClientResult{heldResult("demoshop")}
	running := one
	c := good("demoshop")
	c.Fate, c.Run.State = "pending", "running"
	c.Run.Steps[7].State, c.Run.Steps[8].State = "running", "pending"
	running.Clients, running.Took = []ClientResult{c}, 0
	five := fiveResults()
	bad := five
	bad.Problems = []Problem{invalid()}
	many := fiveResults()
	for i := 5; i < 5000; i++ {
		many.Clients = append(many.Clients, good(fmt.Sprintf("shop-%04d", i)))
	}
	for name, r := range map[string]PullResult{"done-1.md": one, "done-failed.md": fail, "done-held.md": held, "done-running.md": running, "done-5.md": five, "done-invalid.md": bad, "done-5000.md": many} {
		golden(t, name, r.Markdown())
	}
	var lines strings.Builder
	paused, waits := good("a"), good("b")
	paused.Fate, waits.Fate = "paused", "pending"
	waits.Run = state.Deployment{}
	wrong := ClientResult{Client: state.Client{Name: "bad", EverDeployed: true, Because: "clients/bad.yaml:3:7: plan: unknown"}, Fate: "invalid"}
	theirs := stopped("c")
	theirs.Fault = true
	alone := stopped("sick") // nobody knows what its last try came to
	alone.Fault, alone.Run.State, alone.Client.Quarantined = true, "interrupted", time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	alone.Client.Because, alone.Client.Next = "in quarantine since 24 November 2026 09:00 UTC: this program died while it was at work on it, 3 times in a row", "nothing of it is tried until `reconciler retry sick`"
	if o := alone.Outcome(); o.Good || strings.Contains(o.Markdown(), "goes on") || strings.Contains(o.Markdown(), "old version") {
		t.Errorf("quarantined: %s", o.Markdown())
	}
	for _, c := range append(five.Clients, c, paused, waits, wrong, theirs, alone) {
		s := c.Status()
		if utf8.RuneCountInString(s.Text) > MaxStatus {
			t.Errorf("%q", s.Text)
		}
		fmt.Fprintf(&lines, "%s: %s %s\n", c.Client.Name, s.State, s.Text)
	}
	golden(t, "done-statuses.txt", lines.String())
}

func TestApplyStatus(t *testing.T) {
	name := func(id state.ClientID) string { return string(id) }
	fates := func(kv ...string) state.Verdict {
		v := state.Verdict{Clients: map[state.ClientID]string{}}
		for i := 0; i < len(kv); i += 2 {
			v.Clients[state.ClientID(kv[i])] = kv[i+1]
		}
		return v
	}
	bad := fates("a", "succeeded")
	bad.Invalid = []state.FileProblem{{Path: "clients/bad.yaml", Line: 3, Column: 7}}
	for _, c := range []struct {
		got  StatusLine
		want StatusLine
	}{
		{Running{Total: 2, Done: 1, Client: "demoshop", Step: 5}.Progress(), StatusLine{"pending", "1/2 clients done, demoshop: deploy (step 5 of 8)"}},
		{Running{Total: 1, Trouble: "waiting for cloudflare"}.Progress(), StatusLine{"pending", "0/1 client done; waiting for cloudflare"}},
		{Finished(fates("a", "succeeded", "b", "succeeded"), name, 163*time.Second, false), StatusLine{"success", "2 clients up to date in 2 min 43 s"}},
		{Finished(fates(), name, 0, false), StatusLine{"success", "no client changes"}},
		{Finished(fates("a", "succeeded", "demoshop", "failed"), name, 0, false), StatusLine{"failure", "failed: demoshop; 1 succeeded"}},
		{Finished(fates("a", "succeeded", "demoshop", "failed"), name, 0, true), StatusLine{"error", "failed: demoshop; 1 succeeded"}},
		{Finished(fates("a", "held", "demoshop", "failed"), name, 0, true), StatusLine{"failure", "failed: demoshop; held: a"}},
		{Finished(bad, name, 0, true), StatusLine{"failure", "invalid: clients/bad.yaml:3:7; 1 succeeded"}},
		{Finished(fates("a", "superseded by 77aa001122"), name, 0, false), StatusLine{"success", "superseded by 77aa001"}},
		{Finished(fates("a", "pending", "b", "failed"), name, 0, false), StatusLine{"pending", "failed: b; 1 pending"}},
		{Finished(fates("a", "paused", "b", "succeeded"), name, 0, false), StatusLine{"success", "1 paused; 1 succeeded"}},
	} {
		if c.got != c.want {
			t.Errorf("got %v, want %v", c.got, c.want)
		}
	}
}

// What is changed, and changed back as the rest failed, is named once, with what came of it.
func TestStepThatIsTakenBackIsNamedOnce(t *testing.T) {
	was := state.StepRun{Number: 3, Action: "update", Ref: ref("d1", "environment", "local"), State: "undone"}
	rows := ClientResult{Run: state.Deployment{Steps: []state.StepRun{was, was}}}.rows()
	if strings.Count(rows, "update environment") != 1 || !strings.Contains(rows, "taken&nbsp;back") {
		t.Error(rows)
	}
}

// Nothing is wrong with a file that asks for what is still another client's: it waits.
func TestFileThatAsksInVainWaits(t *testing.T) {
	q := state.FileProblem{Path: "clients/demoshop.yaml", Client: "demoshop", Text: "shop.example is still bakery's: its removal is held", Hint: "`reconciler approve 3f9c` lets it go"}
	c := state.Client{Name: "demoshop", Status: state.StatusActive, EverDeployed: true, Because: "clients/demoshop.yaml: " + q.Text + lastGood, Next: q.Hint}
	for name, text := range map[string]string{
		"status": Beside(c.Because, c.Name, []state.FileProblem{q}, "see below"),
		"why":    Client{Name: c.Name, Status: string(c.Status), Because: c.Because, Next: c.Next, Problem: &q}.Why(Options{}),
		"result": ClientResult{Client: c, Fate: "invalid"}.Outcome().plainHeadline(),
	} {
		if strings.Contains(text, "invalid") || !strings.Contains(text, "waits") {
			t.Errorf("%s: %q", name, text)
		}
	}
	q.Text = "plan: one of free, starter"
	if got := Beside("clients/demoshop.yaml: "+q.Text+lastGood, c.Name, []state.FileProblem{q}, "see below"); !strings.HasPrefix(got, "its file is invalid (see below)") {
		t.Errorf("a file with a mistake: %q", got)
	}
}
