package report

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares with testdata/name, or writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", name, d)
	}
}

func day(d int) time.Time { return time.Date(2026, 12, d, 9, 30, 0, 0, time.UTC) }

func ref(client, kind, name string) state.Ref {
	return state.Ref{Client: state.ClientID(client), Kind: state.Kind(kind), Name: name}
}

// fleet is a plan with a bit of everything.
func fleet() (plan.Plan, map[state.ClientID]string) {
	return plan.Plan{Commit: "3f9c2ab00112233", LookedAt: day(1), Steps: []plan.Step{
			{Number: plan.StepDNS, Action: plan.Delete, Ref: ref("b1", "domain", "bakery.example@local"), Provider: "local", Reason: "the manifest was removed", Risk: plan.RiskOffline, Undo: "a revert makes it again", Calls: 1},
			{Number: plan.StepProject, Action: plan.Delete, Ref: ref("b1", "site", "local"), Provider: "local", Reason: "the manifest was removed", Risk: plan.RiskOffline, Undo: "a revert makes it again", Calls: 1},
			{Number: plan.StepDatabase, Action: plan.Retain, Ref: ref("b1", "database", "main"), Provider: "sqlite", Reason: "the manifest was removed; its data stays", Undo: "a revert brings it back with its data", PurgeAfter: day(22)},
			{Number: plan.StepDatabase, Action: plan.Create, Ref: ref("a1", "database", "main"), Provider: "sqlite", Reason: "manifest is new", Undo: "it is retained", Calls: 2},
			{Number: plan.StepProject, Action: plan.Create, Ref: ref("a1", "site", "local"), Provider: "local", Reason: "manifest is new", Undo: "it is deleted", Calls: 2},
			{Number: plan.StepEnvironment, Action: plan.Update, Ref: ref("d1", "environment", "local"), Provider: "local", Reason: "env STORE_CURRENCY changed", Undo: "it is changed back", Calls: 2,
				Fields: []plan.Field{{Name: "STORE_CURRENCY", Before: "EUR", After: "USD"}, {Name: "MOLLIE_API_KEY", After: "secret mollie 0a1b2c3d4e5f", Secret: true}}},
			{Number: plan.StepDeploy, Action: plan.Update, Ref: ref("d1", "traffic", "local"), Provider: "local", Reason: "a new release serves", Risk: plan.RiskTraffic, Undo: "the earlier release is promoted", Calls: 1},
			{Number: plan.StepDNS, Action: plan.Delete, Ref: ref("m1", "record", "MX mailshop.example"), Provider: "local", Reason: "the manifest no longer asks for it", Risk: plan.RiskMail, Undo: "a revert makes it again", Calls: 1, Held: "9f3a00112233"},
		}, Problems: []plan.Problem{{Client: "f1", Name: "florist", Text: "secret mollie is not set", Act: "reconciler secret set mollie --client florist"}},
			Warnings: []plan.Warning{{Client: "a1", Name: "atelier", Text: "bakery goes and atelier comes", Act: "say previously"}}},
		map[state.ClientID]string{"a1": "atelier", "b1": "bakery", "d1": "demoshop", "m1": "mailshop"}
}

// fixed is the fleet's plan with fingerprints that do not change with how they are made.
func fixed() Plan {
	p := Of(fleet())
	p.Fingerprint = "0123456789ab"
	for i := range p.Changes {
		p.Changes[i].Fingerprint = "00000000000" + string(rune('1'+i))
	}
	return p
}

func invalid() Problem {
	return Problem{Client: "demoshop", Path: "clients/demoshop.yaml", Line: 4, Column: 7, Text: "plan: one of free, starter, professional, enterprise", Hint: "did you mean professional?", Source: "plan: profesional"}
}

func TestPlan(t *testing.T) {
	p := fixed()
	p.Problems = append(p.Problems, invalid(), Problem{Path: "platform.yaml", Text: "limits are looser than the configuration's", Warning: true})
	golden(t, "plan.txt", p.Terminal(Options{}))
	golden(t, "plan-colour.txt", p.Terminal(Options{Colour: true}))
	if got := (Plan{}).Terminal(Options{}); got != "No changes. Everything is as the manifests say.\n" {
		t.Errorf("an empty plan: %q", got)
	}
}

// Colour repeats what is said without it.
func TestNothingIsToldByColourAlone(t *testing.T) {
	p := Of(fleet())
	with := p.Terminal(Options{Colour: true})
	for _, c := range []string{"0", "1", "2", "31", "32", "33"} {
		with = strings.ReplaceAll(with, "\x1b["+c+"m", "")
	}
	if d := cmp.Diff(p.Terminal(Options{}), with); d != "" {
		t.Errorf("without its colour the plan reads differently:\n%s", d)
	}
}

// The words of DESIGN.md, section 6.
func TestWordsOfARemoval(t *testing.T) {
	p := Of(fleet())
	got := pulled(p).Markdown()
	want := "**bakery goes offline when this is merged.** Its database stays until 22 December 2026, then it is erased; `retain: forever` keeps it. Reverting brings both back."
	if !strings.Contains(got, want) {
		t.Errorf("the plan does not say %q:\n%s", want, got)
	}
}

// A database that a person keeps elsewhere is erased by nobody here, and nobody is told so.
func TestWordsOfADatabaseThatAPersonKeeps(t *testing.T) {
	p := Of(plan.Plan{Steps: []plan.Step{
		{Number: plan.StepDatabase, Action: plan.Retain, Ref: ref("b1", "database", "main"), Provider: "external", Reason: "the manifest was removed; its data stays", PurgeAfter: day(22), Prior: &state.Resource{Provider: "external"}},
	}}, map[state.ClientID]string{"b1": "bakery"})
	for name, text := range map[string]string{"the comment": pulled(p).Markdown(), "the terminal": p.Terminal(Options{})} {
		if strings.Contains(text, "then it is erased") || strings.Contains(text, "kept until") || !strings.Contains(text, "stays where it is: whether it is erased is for its keeper to say.") {
			t.Errorf("%s says:\n%s", name, text)
		}
	}
}

// A move of a database says who can't write, for how long, and what stays.
func TestWordsOfAMove(t *testing.T) {
	p := Of(plan.Plan{Steps: []plan.Step{
		{Number: plan.StepDatabase, Action: plan.Create, Ref: ref("b1", "database", "main@postgres"), Provider: "postgres", Reason: "its data is moved there", Risk: plan.RiskData, Held: "9f3a00112233"},
		{Number: plan.StepDatabase, Action: plan.Transfer, Ref: ref("b1", "database", "main"), Provider: "postgres", Reason: "database.provider changes from railway to postgres; writes fail while it is copied", Risk: plan.RiskData, Held: "9f3a00112233", PurgeAfter: day(22),
			Prior: &state.Resource{Provider: "railway"}, Fields: []plan.Field{{Name: "2 copy", Before: "railway", After: "postgres"}}},
	}}, map[state.ClientID]string{"b1": "bakery"})
	for name, text := range map[string]string{"the comment": pulled(p).Markdown(), "the terminal": p.Terminal(Options{})} {
		for _, want := range []string{"writes fail while it is copied", "9f3a00112233", "railway"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not say %q:\n%s", name, want, text)
			}
		}
	}
	if got := pulled(p).Markdown(); !strings.Contains(got, "The old one stays until 22 December 2026, read-only.") || strings.Contains(got, "Data may become unreachable") {
		t.Errorf("the comment says: %s", got)
	}
}

func TestConsequences(t *testing.T) {
	at := setting{when: "now", goes: "now", approve: "approve"}
	step := func(a plan.Action, r string, risk plan.Risk) Step {
		return Step{Action: string(a), Ref: r, Risk: string(risk)}
	}
	gap := func(r string) Step {
		return Step{Action: string(plan.Update), Ref: r, Risk: string(plan.RiskGap), Gap: "about a minute"}
	}
	table := pulled(Plan{Changes: []Change{{Client: "shop", Steps: []Step{gap("record/A x")}}}}).Markdown()
	if strings.Count(table, "about a minute") != 2 || !strings.Contains(table, "| **about a minute**, see below |") {
		t.Errorf("the table and the sentence say different things:\n%s", table)
	}
	for _, c := range []struct {
		name  string
		steps []Step
		want  string
	}{
		{"nothing to say", []Step{step(plan.Update, "environment/local", "")}, ""},
		{"switch of the host", []Step{step(plan.Create, "site/vercel", ""), step(plan.Delete, "site/ploi", "")}, ""},
		{"alias goes", []Step{step(plan.Delete, "domain/www.shop.example@local", plan.RiskOffline)}, "www.shop.example stops answering now. Reverting brings it back."},
		{"a name goes", []Step{step(plan.Delete, "domain/shop.example@local", plan.RiskOffline), step(plan.Delete, "record/A shop.example", plan.RiskOffline), step(plan.Delete, "traffic/local", plan.RiskOffline)},
			"shop.example stops answering now. traffic/local stops answering now. Reverting brings it back."},
		{"database goes out of use", []Step{step(plan.Retain, "database/main", "")}, "Its database goes out of use and stays for ever. Reverting brings it back."},
		{"no database", []Step{step(plan.Delete, "site/local", plan.RiskOffline)}, "shop goes offline now. Reverting brings it back."},
		{"found site", []Step{step(plan.Forget, "site/local", "")}, "Its site stays where it is: it was there before us."},
		{"return", []Step{step(plan.Return, "database/main", ""), step(plan.Create, "site/local", "")}, "shop goes live now. Its database returns with its data."},
		{"purge", []Step{step(plan.Purge, "database/main", plan.RiskData)}, "Its database is erased now. Nothing brings it back."},
		{"gap", []Step{step(plan.Replace, "domain/x@y", plan.RiskGap)}, "There is a time without service (nobody knows how long); the step says why."},
		{"stated gap", []Step{gap("record/A x"), gap("record/A www.x")}, "There is a time without service (about a minute); the step says why."},
		{"two gaps", []Step{gap("record/A x"), step(plan.Replace, "domain/x@y", plan.RiskGap)}, "There is a time without service (nobody knows how long); the step says why."},
		{"data", []Step{step(plan.Update, "database/main", plan.RiskData)}, "Data may become unreachable or be erased."},
	} {
		var got []string
		for _, s := range consequences(Change{Client: "shop", Steps: c.steps}, at) {
			got = append(got, s.terminal())
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: got %q, want %q", c.name, strings.Join(got, " "), c.want)
		}
	}
}

func TestStatus(t *testing.T) {
	names := func(id state.ClientID) string { return strings.TrimSuffix(string(id), "-id") }
	fates := func(kv ...string) map[state.ClientID]string {
		m := map[state.ClientID]string{}
		for i := 0; i < len(kv); i += 2 {
			m[state.ClientID(kv[i]+"-id")] = kv[i+1]
		}
		return m
	}
	bad := []state.FileProblem{{Path: "clients/bad.yaml", Line: 3, Column: 7}, {Path: "clients/bad.yaml", Line: 9, Column: 1}}
	for _, c := range []struct {
		want string
		v    state.Verdict
	}{
		{"no client changes", state.Verdict{}},
		{"1 failed; 2 succeeded", state.Verdict{Fates: map[string]int{"succeeded": 2, "failed": 1}}},
		{"demoshop succeeded", state.Verdict{Clients: fates("demoshop", "succeeded")}},
		{"demoshop failed", state.Verdict{Clients: fates("demoshop", "failed")}},
		{"failed: demoshop; 2 succeeded", state.Verdict{Clients: fates("a", "succeeded", "b", "succeeded", "demoshop", "failed")}},
		{"invalid: clients/bad.yaml:3:7; 1 succeeded", state.Verdict{Clients: fates("a", "succeeded"), Invalid: bad}},
		{"invalid: clients/bad.yaml:3:7", state.Verdict{Clients: fates("bad", "invalid"), Invalid: bad}},
		{"held: a, b and 1 more; 1 pending", state.Verdict{Clients: fates("c", "held", "b", "held", "a", "held", "d", "pending")}},
		{"superseded by 1a2b3c4", state.Verdict{Clients: fates("a", "superseded by 1a2b3c4d5e6f", "b", "superseded by 1a2b3c4d5e6f")}},
		{"1 superseded; 1 succeeded", state.Verdict{Clients: fates("a", "superseded by 1a2b3c4d5e6f", "b", "succeeded")}},
	} {
		if got := Status(c.v, names); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	if got := Status(state.Verdict{Clients: fates("a", "failed", "b", "succeeded")}, nil); got != "1 failed; 1 succeeded" {
		t.Errorf("without names: %q", got)
	}
	long := state.Verdict{Invalid: []state.FileProblem{{Path: strings.Repeat("ü", 10_000)}}}
	if got := Status(long, nil); utf8.RuneCountInString(got) != MaxStatus {
		t.Errorf("a long status has %d characters", utf8.RuneCountInString(got))
	}
}

// A status that has no room for all ends with a whole word, and names whole clients: fewer of
// them before one is cut.
func TestStatusIsCutAtAWord(t *testing.T) {
	name := func(id state.ClientID) string { return string(id) }
	many := func(n int) state.Verdict {
		v := state.Verdict{Clients: map[state.ClientID]string{}, Invalid: []state.FileProblem{{Path: "clients/kontoret-i-goteborg.yaml", Line: 12, Column: 3}}}
		for i := range n {
			v.Clients[state.ClientID(fmt.Sprintf("the-shop-of-a-very-long-name-number-%02d", i))] = []string{"failed", "held", "pending"}[i%3]
		}
		return v
	}
	for n, want := range map[int]string{
		2:  "failed: the-shop-of-a-very-long-name-number-00; invalid: clients/kontoret-i-goteborg.yaml:12:3; 1 held",
		12: "4 failed; invalid: clients/kontoret-i-goteborg.yaml:12:3; 4 held; 4 pending",
	} {
		v := many(n)
		if n == 2 {
			delete(v.Clients, "the-shop-of-a-very-long-name-number-01")
			v.Clients["a"] = "held"
			want = strings.Replace(want, "1 held", "held: a", 1)
		}
		if got := Status(v, name); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	one := state.Verdict{Clients: map[state.ClientID]string{"a": "held", "b": "held", "c": "held", "d": "failed", "e": "failed"}}
	long := func(id state.ClientID) string { return string(id) + strings.Repeat("-name", 6) }
	if got := Status(one, long); got != "failed: "+long("d")+", "+long("e")+"; held: "+long("a")+" and 2 more" && got != "failed: "+long("d")+" and 1 more; held: "+long("a")+" and 2 more" {
		t.Errorf("%q", got)
	}
	text := "the plan could not be made: cloudflare answered a question about the zone agency.example with something that nobody understands, twice, and gave no reason for it at all"
	for n := 1; n < 200; n++ {
		got := ClipWords(text, n)
		whole, cut := strings.CutSuffix(got, "…")
		if utf8.RuneCountInString(got) > n || cut == (got == text) || !strings.HasPrefix(text, whole) {
			t.Fatalf("%d: %q", n, got)
		}
		if rest := text[len(whole):]; n > 40 && cut && !strings.ContainsAny(rest[:1], " ,:") {
			t.Errorf("%d: %q ends within a word", n, got)
		}
	}
	if got := ClipWords(strings.Repeat("ü", 300), 140); utf8.RuneCountInString(got) != 140 {
		t.Errorf("a word that is too long: %q", got)
	}
	if got := statusLine(stateFailure, text).Text; !strings.HasSuffix(got, "nobody understands, twice, and…") {
		t.Errorf("a status line: %q", got)
	}
}

func TestResult(t *testing.T) {
	steps := []state.StepRun{{Step: "database", Action: "create", State: "done"}, {Step: "dns", Action: "create", State: "failed", Error: "denied"}}
	shop := state.Client{Name: "demoshop", EverDeployed: true, URL: "https://demoshop.example"}
	fresh := state.Client{Name: "atelier"}
	gone := state.Client{Name: "bakery", Removed: true}
	failed := state.Deployment{State: "failed", Steps: steps, Error: "cloudflare refused the record: it exists", Next: "adopt it, or delete it there, then `reconciler retry demoshop`"}
	rolled, held, waiting := failed, failed, failed
	rolled.State, held.State, waiting.State = "rolled back", "held", "waiting"
	back := shop
	back.RetryAt = day(1)
	kept := []state.Resource{{Ref: ref("b1", "database", "main"), RetainedAt: day(1), PurgeAfter: day(22)}}
	var b, m strings.Builder
	for _, o := range []Outcome{
		Result(shop, state.Deployment{State: "succeeded"}, nil), Result(gone, state.Deployment{State: "succeeded"}, kept), Result(shop, failed, nil), Result(fresh, failed, nil),
		Result(fresh, rolled, nil), Result(shop, held, nil), Result(back, waiting, nil), Result(shop, state.Deployment{State: "superseded"}, nil),
	} {
		b.WriteString(o.Line() + "\n" + o.Terminal(Options{}) + "\n")
		m.WriteString(o.Markdown() + "\n---\n\n")
	}
	golden(t, "result.txt", b.String())
	golden(t, "result.md", m.String())
}

// A failure says first what still works, then the cause, then one thing to do.
func TestFailureSaysFirstWhatWorks(t *testing.T) {
	shop := state.Client{Name: "demoshop", EverDeployed: true, URL: "https://demoshop.example"}
	broken := state.Deployment{State: "failed", Error: "the build failed", Next: "fix it"}
	o := Result(shop, broken, nil)
	for _, text := range []string{o.Terminal(Options{}), o.Markdown()} {
		works, cause, act := strings.Index(text, "still runs the old version"), strings.Index(text, "the build failed"), strings.Index(text, "fix it")
		if works < 0 || works > cause || cause > act {
			t.Errorf("order is %d, %d, %d in:\n%s", works, cause, act, text)
		}
	}
	if shop.URL = ""; strings.Contains(Result(shop, broken, nil).Terminal(Options{}), "Your site") {
		t.Error("who has no site is told that it runs")
	}
}

// What still works is said once, and only where it does.
func TestFailureClaimsNothingThatDoesNotWork(t *testing.T) {
	remove := []state.StepRun{{Step: "traffic", Action: "update", State: "done"}, {Step: "site", Action: "delete", State: "failed"}}
	for _, c := range []struct {
		because string
		steps   []state.StepRun
		says    map[string]int // how often
	}{
		{"Your site still runs the old version. the build failed", nil, map[string]int{"still runs the old version": 1, "the build failed": 1}},
		{state.RunsUnnamed + " the build failed", nil, map[string]int{"old version": 1, "answers by no name": 1, "the build failed": 1}},
		{"the build failed; " + state.NotPutBack + "bakery still has demoshop.example", nil, map[string]int{"still runs": 0, "can't be put back": 1}},
		{"Your site runs the new version. What it replaced could not be removed", remove, map[string]int{"Your site": 1, "runs the new version": 1, "could not be removed": 1}},
		{"What it wishes no more could not be removed", remove, map[string]int{"Your site": 0, "could not be removed": 1}},
	} {
		o := Result(state.Client{Name: "demoshop", EverDeployed: true, URL: "https://demoshop.example", Because: c.because}, state.Deployment{State: "failed", Error: c.because, Steps: c.steps}, nil)
		for _, text := range []string{o.Terminal(Options{}), o.Markdown()} {
			for what, times := range c.says {
				if n := strings.Count(text, what); n != times {
					t.Errorf("%q is said %d times, not %d, in:\n%s", what, n, times, text)
				}
			}
		}
	}
}

// An invalid file's result says once that what serves stays.
func TestInvalidSaysOnceWhatStays(t *testing.T) {
	c := state.Client{Name: "bad", EverDeployed: true, Because: "clients/bad.yaml:3:7: plan can't be \"startre\"" + lastGood}
	text := ClientResult{Client: c, Fate: "invalid"}.Outcome().Markdown()
	if strings.Count(text, "last good version stays") != 1 || !strings.Contains(text, "startre") {
		t.Errorf("it says:\n%s", text)
	}
}

func TestProblem(t *testing.T) {
	long := strings.Repeat("x", 400) + "BAD" + strings.Repeat("y", 400)
	var b strings.Builder
	for _, p := range []Problem{
		invalid(),
		{Client: "demoshop", Text: "nothing is known of the file"},
		{Path: "clients/a.yaml", Text: "the file is empty", Warning: true},
		{Path: "clients/日本.yaml", Line: 2, Column: 10, Text: "wide characters", Source: "name: 日本語x"},
		{Path: "clients/a.yaml", Line: 1, Column: 401, Text: "a long line", Source: long},
		{Path: "clients/a.yaml", Line: 1, Column: 99, Text: "a column beyond the line", Source: "a: b"},
		{Path: "clients/a.yaml", Line: 1, Column: 4, Text: "a fence and an escape", Source: "a: ````\x1b[31m\tb"},
	} {
		b.WriteString(p.Terminal(Options{}) + p.block(Repo{}) + "\n")
	}
	golden(t, "problem.txt", b.String())
}

func TestClient(t *testing.T) {
	c := Client{Name: "demoshop", Status: "failed", Health: "healthy", URL: "http://demoshop.localhost:8080", Commit: "3f9c2ab00112233", Because: "the build failed", Next: "fix the build", RetryAt: day(1),
		Problem: &state.FileProblem{Path: "clients/demoshop.yaml", Line: 3, Column: 1, Text: "unknown key", Hint: "did you mean plan?"},
		Holds: []state.Hold{{Fingerprint: "9f3a", Reason: "mail may stop.", Act: "reconciler approve 9f3a", Approvable: true}, {Fingerprint: "77bb", Reason: "frozen.", Act: "it goes on by itself", Until: day(2), Approvable: true},
			{Fingerprint: "88cc", Reason: "ambiguous.", Act: "say database.reuse"}},
		Last: &state.Deployment{ID: "01JD", Cause: "commit", Commit: "3f9c2ab00112233", State: "failed", Steps: []state.StepRun{
			{State: "done", Action: "create", Ref: ref("d1", "database", "main"), Provider: "sqlite", Note: "made"}, {State: "failed", Action: "create", Ref: ref("d1", "deployment", "0a1b"), Provider: "local", Error: "no such template"},
			{State: "waiting", Action: "create", Ref: ref("d1", "record", "A shop.example"), Provider: "cloudflare"}, {State: "parked", Action: "create", Ref: ref("d1", "site", "ploi"), Provider: "ploi"}, {Number: plan.StepRecord, State: "pending", Action: "record", Ref: state.Ref{Client: "d1"}}}},
		Since: day(1), Intents: []string{"create database main"},
		Tombstones: []state.Tombstone{{Part: "domain/www.shop.example@local", Held: "77aa00112233"}, {Part: "record/MX shop.example", Waits: "clients/a.yaml"}, {NotUntil: day(22)}, {Part: "mail/x", Held: "x", Done: true}},
		Resources:  []state.Resource{{Ref: ref("d1", "database", "main"), Provider: "sqlite", ID: "db-1", RetainedAt: day(1), PurgeAfter: day(22)}, {Ref: ref("d1", "site", "local"), Provider: "local", ID: "demoshop"}}}
	golden(t, "why.txt", c.Why(Options{}))
	mend := Client{Name: "demoshop", Status: "held", Holds: []state.Hold{{Fingerprint: "9f3a", Reason: "its file is mistaken.", Act: "Mend it."}}, Tombstones: []state.Tombstone{{Held: "9f3a"}}}
	if got := mend.Why(Options{}); strings.Contains(got, "approve") || !strings.Contains(got, "Mend it.") {
		t.Errorf("what no approval lets go: %s", got)
	}
	for _, said := range []Client{{Because: "its file is mistaken.", Next: "Mend it."}, {Because: "its file is mistaken. Mend it."}, {Because: "its file is mistaken."}} {
		said.Name, said.Status, said.Holds = mend.Name, mend.Status, mend.Holds
		if got := said.Why(Options{}); strings.Count(got, "mistaken") != 1 || strings.Count(got, "Mend it.") != 1 || !strings.Contains(got, "held 9f3a waits for a commit") {
			t.Errorf("a hold that is the cause is said twice, or not at all: %s", got)
		}
	}
	past := c
	if past.Now = day(23); strings.Contains(past.Why(Options{}), "its removal waits until") {
		t.Error("a date that is past is waited for")
	}
	late := Client{Name: "demoshop", Status: "provisioning", Intents: c.Intents, LookAt: day(2)}
	golden(t, "why-late.txt", late.Why(Options{}))
	golden(t, "overview.txt", Overview([]Client{c, {Name: "a", Status: "active"}}, []state.FileProblem{*c.Problem}, c.Holds, Options{}))
	if got := Overview(nil, nil, nil, Options{}); !strings.HasPrefix(got, "No clients yet.") {
		t.Errorf("an empty overview: %q", got)
	}
}

// What is wrong with a file is said once, with its place and hint; what else is the matter
// with its client is said, too.
func TestAProblemIsSaidOnce(t *testing.T) {
	q := state.FileProblem{Path: "clients/demoshop.yaml", Client: "demoshop", Line: 7, Column: 7, Text: `plan can't be "startre"`, Hint: "did you mean starter?"}
	for because, c := range map[string]struct{ status, table, why string }{
		`clients/demoshop.yaml:7:7: plan can't be "startre". Its last good version stays.`: {"active", "its file is invalid (see below). Its last good version stays.", "demoshop is active\n"},
		`plan can't be "startre". Its last good version, of 3f9c2ab001, stays.`:            {"active", "its file is invalid (see below). Its last good version, of 3f9c2ab001, stays.", "demoshop is active: Its last good version, of 3f9c2ab001, stays.\n"},
		`plan can't be "startre"`: {"invalid", "its file is invalid (see below)", "demoshop is invalid\n"},
		"the build failed":        {"failed", "the build failed", "demoshop is failed: the build failed\n"},
	} {
		client := Client{Name: "demoshop", Status: c.status, Because: because, Next: q.Hint, Problem: &q}
		other := Client{Name: "bakery", Status: "failed", Because: `plan can't be "startre", says the vendor`}
		table, why := Overview([]Client{client, other}, []state.FileProblem{q}, nil, Options{}), client.Why(Options{})
		if !strings.Contains(table, c.table+"\n") || !strings.Contains(table, other.Because+"\n") || strings.Count(table, q.Text) != 2 || strings.Count(table, q.Hint) != 1 {
			t.Errorf("%s:\n%s", because, table)
		}
		if !strings.HasPrefix(why, c.why) || strings.Count(why, q.Text) != 1 || strings.Count(why, q.Hint) != 1 {
			t.Errorf("%s:\n%s", because, why)
		}
	}
}

// S06: a comment stays below GitHub's limit, the risky clients come first and in full,
// the rest is counted.
func TestS06HugePlanFits(t *testing.T) {
	p := plan.Plan{}
	names := map[state.ClientID]string{}
	for i := range 5000 {
		id := state.ClientID("c" + strings.Repeat("x", i%7) + time.Duration(i).String())
		names[id] = string(id)
		p.Steps = append(p.Steps, plan.Step{Number: 4, Action: plan.Update, Ref: state.Ref{Client: id, Kind: "environment", Name: "local"}, Reason: "env changed"})
	}
	p.Steps = append(p.Steps, plan.Step{Number: 2, Action: plan.Delete, Ref: ref("zz", "site", "local"), Risk: plan.RiskOffline})
	got := pulled(Of(p, names)).Markdown()
	if len(got) > MaxComment {
		t.Errorf("%d bytes", len(got))
	}
	if i := strings.Index(got, "**zz goes offline"); i < 0 || i > 500 {
		t.Error("the risky client does not come first")
	}
	if !strings.Contains(got, "… and ") || strings.Count(got, "<details>") != strings.Count(got, "</details>") {
		t.Error("the rest is not counted, or a fold is left open")
	}
}

// What approve takes is the plan's own fingerprint; steps keep their order, clients get
// their names and are sorted by them.
func TestOf(t *testing.T) {
	p, names := fleet()
	got := Of(p, names)
	var order []string
	for _, c := range got.Changes {
		order = append(order, c.Client)
		for id, n := range names {
			if n == c.Client && c.Fingerprint != plan.Fingerprint(p, id) {
				t.Errorf("%s has the fingerprint %s", n, c.Fingerprint)
			}
		}
	}
	if d := cmp.Diff([]string{"atelier", "bakery", "demoshop", "mailshop"}, order); d != "" {
		t.Errorf("clients:\n%s", d)
	}
	want := Step{Step: "database", Action: "retain", Ref: "database/main", Provider: "sqlite", Reason: "the manifest was removed; its data stays",
		Undo: "a revert brings it back with its data", Fields: []plan.Field{}, PurgeAfter: day(22)}
	if d := cmp.Diff(want, got.Changes[1].Steps[2]); d != "" || got.Fingerprint != plan.Fingerprint(p, "") || got.Commit != p.Commit {
		t.Errorf("step:\n%s", d)
	}
	if got := Of(p, nil).Changes[0].Client; got != "a1" {
		t.Errorf("without a name the client is %q", got)
	}
}

// A plan does not depend on anything but its values.
func TestEqualPlansReadEqual(t *testing.T) {
	a, b := Of(fleet()), Of(fleet())
	if a.Terminal(Options{}) != b.Terminal(Options{}) || pulled(a).Markdown() != pulled(b).Markdown() {
		t.Error("two texts of one plan differ")
	}
	if a.Failed() != true || (Plan{Problems: []Problem{{Warning: true}}}).Failed() {
		t.Error("Failed counts warnings, or misses a problem")
	}
}

func TestFit(t *testing.T) {
	for _, c := range []struct {
		text string
		n    int
		want string
	}{{"demoshop", 8, "demoshop"}, {"demoshop", 5, "demo…"}, {"日本語", 5, "日本…"}, {"日本語", 4, "日…"}, {"a\nb\x1b[2J", 99, `a b\u001b[2J`}, {"ab", 1, "…"}, {"ab", 0, ""}, {"ab", -1, ""}} {
		got := Fit(c.text, c.n)
		if got != c.want || Columns(got) > max(c.n, 0) {
			t.Errorf("Fit(%q, %d) = %q, want %q", c.text, c.n, got, c.want)
		}
	}
}

// Why shows what somebody changed outside, with the age of the last look, as one line each.
func TestWhyTellsDrift(t *testing.T) {
	c := Client{Name: "demoshop", Status: "active", LastLook: "12m ago", LookFailed: "cloudflare: 503\x1b[2J",
		Drift: []Drift{{Text: "record A demoshop.example: content is \"198.51.100.9\", recorded \"192.0.2.1\"", Next: "`reconciler retry demoshop` puts it back", Policy: "report", Since: time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC), Looks: 3}}}
	got := c.Why(Options{})
	for _, want := range []string{"Looked at last by schedule: 12m ago; the last look saw not all of it: cloudflare: 503", "Changed outside:\n", "content is \"198.51.100.9\"", "report, since 2026-11-26 09:00:00Z, looks: 3; `reconciler retry demoshop`"} {
		if !strings.Contains(got, want) {
			t.Errorf("it lacks %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, "\x1b") {
		t.Error("a provider's words move the cursor")
	}
	main := state.Ref{Client: "c", Kind: state.KindDatabase, Name: "main"}
	c.Resources = []state.Resource{{Ref: main, Provider: "postgres", ID: "shop.1"}, {Ref: main, Provider: "postgres", ID: "shop.0"}}
	if why := c.Why(Options{}); strings.Contains(why, "about") || c.Size.Line() != "" {
		t.Errorf("a size that nobody was told:\n%s", why)
	}
	c.Size = Size{Provider: "postgres", ID: "shop.1", Bytes: 12<<30 + 400<<20, Seen: "12m ago"}
	if why := c.Why(Options{}); strings.Count(why, "about 12.3 GB, seen 12m ago") != 1 || c.Size.Line() != "its database at postgres holds about 12.3 GB, seen 12m ago" {
		t.Errorf("the size of one database: %q\n%s", c.Size.Line(), why)
	}
	if quiet := (Client{Name: "demoshop", Status: "active"}).Why(Options{}); strings.Contains(quiet, "ooked") {
		t.Errorf("without a look:\n%s", quiet)
	}
}
