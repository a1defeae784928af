package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/github/simulated"
	"github.com/compassdigital/reconciler/internal/state"
)

// fork opens a stranger's pull request from a fork.
func (h *hub) fork(branch string, files map[string]string) int {
	h.t.Helper()
	if _, err := h.gh.PushFork(branch, filesFor(files), "From afar", "sam"); err != nil {
		h.t.Fatal(err)
	}
	n, err := h.gh.OpenPull(simulated.Proposal{Head: branch, Title: "From afar", Author: "sam", Fork: true})
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

// comment writes a comment and lets the program look.
func (h *hub) comment(author string, n int, body string) int64 {
	h.t.Helper()
	id, err := h.gh.Comment(author, n, body)
	if err != nil {
		h.t.Fatal(err)
	}
	h.look()
	return id
}

// S07: a stranger's fork → schema, policy and uniqueness only; no provider read, no secret
// resolved; `/reconciler plan <full sha>` by a maintainer plans exactly that commit.
func TestS07Fork(t *testing.T) {
	h := newHub(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery")})
	h.look()
	calls := h.calls.len()
	n := h.fork("mine", map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", "env: {KEY: {secret: nobody-set-this}}"), "clients/other.yaml": strings.Replace(manifestOf("other"), "domain: other", "domain: bakery", 1)})
	h.look()
	head := h.headOf(n)
	h.wantComment(n, "plan", "/reconciler plan "+head, "clients/other.yaml", "bakery")
	h.wantStatus(head, "validate", "failure", "clients/other.yaml")
	if got := h.calls.since(calls); len(got) > 0 {
		t.Errorf("a stranger's pull request costs %v", got)
	}
	if strings.Contains(h.said(n, "plan")[0], "nobody-set-this") {
		t.Error("the name of a secret was looked up")
	}
	// The stranger himself can't have it planned, and neither can a short name of the commit.
	h.comment("sam", n, "/reconciler plan "+head)
	h.comment("dana", n, "/reconciler plan")
	h.comment("dana", n, "/reconciler plan "+head[:12])
	if got := h.calls.since(calls); len(got) > 0 {
		t.Errorf("it was planned: %v", got)
	}
	h.comment("dana", n, "/reconciler plan "+head)
	h.wantComment(n, "plan", "reconciler secret set nobody-set-this")
	if len(h.calls.writes(calls)) > 0 {
		t.Error("a plan wrote")
	}
	// Another commit is nobody's plan again.
	if _, err := h.gh.PushFork("mine", filesFor(map[string]string{"clients/third.yaml": manifestOf("third")}), "More", "sam"); err != nil {
		t.Fatal(err)
	}
	h.clock.add(patience)
	h.look()
	h.wantComment(n, "plan", "/reconciler plan "+h.headOf(n))
	if h.headOf(n) == head {
		t.Error("the head did not move")
	}
}

// S08: a command by someone without write access → a polite reply, an audit entry, nothing
// else; and once.
func TestS08StrangersCommand(t *testing.T) {
	h := newHub(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery")})
	h.look()
	n := h.propose("currency", map[string]string{"clients/bakery.yaml": manifestOf("bakery", "env: {STORE_CURRENCY: CHF}")})
	h.look()
	calls, edits := h.calls.len(), h.commentWrites(n)
	for _, body := range []string{"/reconciler plan", "/reconciler retry bakery", "/reconciler approve 0123456789ab"} {
		id := h.comment("sam", n, body)
		if r := h.gh.Reactions(id); len(r) != 1 || r[0].Content != "eyes" {
			t.Errorf("reactions: %+v", r)
		}
	}
	replies := h.said(n, "reply")
	if len(replies) != 1 || !strings.Contains(replies[0], "write access") {
		t.Errorf("replies: %q", replies)
	}
	if got := h.calls.since(calls); len(got) > 0 {
		t.Errorf("it cost %v", got)
	}
	if h.commentWrites(n) != edits+1 {
		t.Error("the plan was written again")
	}
	r := h.must(0, "history", "-o", "json")
	if strings.Count(r.out, "github:sam") != 3 {
		t.Errorf("history: %s", r.out)
	}
}

// S09: two pull requests of one client → each plan names the other; when one merges the
// other is planned again and says what changed.
func TestS09SameClientTwoPullRequests(t *testing.T) {
	body := "labels: {a: b}\n" + strings.Repeat("# a line between\n", 6)
	with := func(currency, theme string) string {
		return manifestOf("bakery", "env: {STORE_CURRENCY: "+currency+"}", body, "settings: {theme: "+theme+"}")
	}
	h := newHub(t, map[string]string{"clients/bakery.yaml": with("EUR", "light")})
	h.look()
	a := h.propose("currency", map[string]string{"clients/bakery.yaml": with("CHF", "light")})
	h.look()
	b := h.propose("theme", map[string]string{"clients/bakery.yaml": with("EUR", "dark")})
	h.look()
	h.wantComment(a, "plan", fmt.Sprintf("/pull/%d", b), "bakery")
	h.wantComment(b, "plan", fmt.Sprintf("/pull/%d", a), "bakery")
	h.merge(a, simulated.Squash)
	h.look()
	h.clock.add(patience)
	h.look()
	got := h.wantComment(b, "plan", "Since the last plan", "dark")
	if strings.Contains(got, fmt.Sprintf("/pull/%d", a)) {
		t.Error("it names the one that is merged")
	}
	if strings.Contains(got, "EUR") {
		t.Errorf("it would take the merged change back:\n%s", got)
	}
}

// S10: two pull requests claim one domain → both show it; when one merges, the other's
// validate fails.
func TestS10SameDomainTwoPullRequests(t *testing.T) {
	at := func(name string) string {
		return strings.Replace(manifestOf(name), "domain: "+name, "domain: shared-shop", 1)
	}
	h := newHub(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery")})
	h.look()
	a := h.propose("one", map[string]string{"clients/one.yaml": at("one")})
	h.look()
	b := h.propose("two", map[string]string{"clients/two.yaml": at("two")})
	h.look()
	h.wantComment(a, "plan", fmt.Sprintf("/pull/%d", b), "shared-shop.localhost")
	h.wantComment(b, "plan", fmt.Sprintf("/pull/%d", a), "shared-shop.localhost")
	h.wantStatus(h.headOf(b), "validate", "success", "")
	h.merge(a, simulated.MergeCommit)
	h.look()
	h.look()
	h.wantStatus(h.headOf(b), "validate", "failure", "clients/two.yaml")
	h.wantComment(b, "plan", "one", "clients/two.yaml")
}

// S11: a pull request that loosens platform.yaml and uses the looseness is judged by the
// branch's platform.yaml.
func TestS11OwnRules(t *testing.T) {
	platform := "apiVersion: reconciler/v1\nkind: Platform\nreserved: [admin]\nguard: {maxDeletes: 1}\n"
	h := newHub(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery"), "clients/a.yaml": bare("a"), "clients/b.yaml": bare("b"), "platform.yaml": platform})
	h.look()
	n := h.propose("loose", map[string]string{"platform.yaml": strings.ReplaceAll(strings.Replace(platform, "reserved: [admin]\n", "", 1), "maxDeletes: 1", "maxDeletes: 3"),
		"clients/admin.yaml": manifestOf("admin"), "clients/a.yaml": "", "clients/b.yaml": ""})
	h.look()
	h.wantStatus(h.headOf(n), "validate", "failure", "clients/admin.yaml")
	h.wantComment(n, "plan", "clients/admin.yaml", "platform.yaml")
}

// S13: nothing else changed → the run's fingerprint equals the one on the pull request.
func TestS13OnGitHub(t *testing.T) {
	h := newHub(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery")})
	h.look()
	n := h.propose("both", map[string]string{"clients/demoshop.yaml": manifestOf("demoshop"), "clients/bakery.yaml": manifestOf("bakery", "env: {STORE_CURRENCY: CHF}")})
	h.look()
	_, plan, err := reviews{h.daemon.program.store}.Pull(n)
	if err != nil {
		t.Fatal(err)
	}
	h.merge(n, simulated.Squash)
	h.look()
	if len(plan.Changes) != 2 {
		t.Fatalf("changes: %+v", plan.Changes)
	}
	for _, c := range plan.Changes {
		if d := h.why(c.Client); d.Last.Fingerprint != c.Fingerprint || d.Last.State != "succeeded" {
			t.Errorf("%s was reviewed as %s and ran as %s: %s", c.Client, c.Fingerprint, d.Last.Fingerprint, d.Last.State)
		}
	}
}

// S14: between review and merge the database is deleted by hand → held, with the
// difference of the two plans; no write until `/reconciler approve`.
func TestS14RiskierThanReviewed(t *testing.T) {
	h := newHub(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery")})
	h.look()
	h.active("bakery")
	n := h.propose("currency", map[string]string{"clients/bakery.yaml": manifestOf("bakery", "env: {STORE_CURRENCY: CHF}")})
	h.look()
	h.dropDatabase("bakery")
	calls := h.calls.len()
	commit := h.merge(n, simulated.MergeCommit)
	h.look()
	if r := rowOf(h.status(), "bakery"); r.Status != string(state.StatusHeld) {
		t.Errorf("bakery is %s: %s", r.Status, r.Because)
	}
	if got := h.calls.writes(calls); len(got) > 0 {
		t.Errorf("writes: %v", got)
	}
	h.wantStatus(commit, "apply", "failure", "held")
	h.wantComment(n, "result", "bakery", "is gone at sqlite", "- update traffic")
	// What was restored is as it was reviewed.
	h.comment("dana", n, "/reconciler retry bakery")
}

// S14, too: what was pushed after the plan and merged at once is not what was reviewed: what
// of it bears a risk is held, with the difference, until somebody approves exactly that.
func TestS14PushedAfterThePlan(t *testing.T) {
	h := newHub(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery")})
	h.look()
	n := h.propose("notes", map[string]string{"clients/bakery.yaml": manifestOf("bakery", "notes: harmless")})
	h.look()
	calls := h.calls.len()
	h.pushTo("notes", map[string]string{"clients/bakery.yaml": manifestOf("bakery", "notes: harmless", "env: {STORE_CURRENCY: CHF}")})
	commit := h.merge(n, simulated.MergeCommit)
	if err := h.daemon.program.daemon.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.look()
	v := h.status()
	if r := rowOf(v, "bakery"); r.Status != string(state.StatusHeld) || len(v.Holds) != 1 {
		t.Fatalf("bakery is %s: %s; holds %+v", r.Status, r.Because, v.Holds)
	}
	for _, c := range h.calls.writes(calls) {
		if strings.Contains(c, "traffic") {
			t.Errorf("written: %s", c)
		}
	}
	h.wantStatus(commit, "client/bakery", "failure", "")
	t.Log(h.wantComment(n, "result", "riskier than what was reviewed", "/reconciler approve "+v.Holds[0].Fingerprint))
	h.comment("sam", n, "/reconciler approve "+v.Holds[0].Fingerprint)
	if r := rowOf(h.status(), "bakery"); r.Status != string(state.StatusHeld) {
		t.Fatalf("a stranger approved: bakery is %s", r.Status)
	}
	h.comment("dana", n, "/reconciler approve "+v.Holds[0].Fingerprint[:8])
	if r := rowOf(h.status(), "bakery"); r.Status != string(state.StatusActive) {
		t.Errorf("bakery is %s: %s", r.Status, r.Because)
	}
	h.wantStatus(commit, "apply", "success", "1 client up to date")
	h.wantComment(n, "result", "bakery is live")
}

// A step that would wait after the merge may be approved before it; a push after that asks
// anew.
func TestRuleReviewApprovedBeforeTheMerge(t *testing.T) {
	with := func(more ...string) map[string]string {
		return map[string]string{"clients/bakery.yaml": manifestOf("bakery", more...)}
	}
	mail := `dns: {records: [{type: MX, name: "@", content: mx.bakery.example, priority: 10}]}`
	h := newHub(t, with(mail))
	h.look()
	n := h.propose("no-mail", with("notes: mail goes"))
	h.look()
	body := h.wantComment(n, "plan", "/reconciler approve ")
	_, rest, _ := strings.Cut(body, "/reconciler approve ")
	fingerprint := rest[:12]
	h.comment("dana", n, "/reconciler approve "+fingerprint)
	if r := h.said(n, "reply"); len(r) != 1 || !strings.Contains(r[0], "Approved") {
		t.Fatalf("replies: %q", r)
	}
	calls := h.calls.len()
	h.merge(n, simulated.Squash)
	h.look()
	if r := rowOf(h.status(), "bakery"); r.Status != string(state.StatusActive) {
		t.Errorf("bakery is %s: %s", r.Status, r.Because)
	}
	if got := strings.Join(h.calls.writes(calls), " "); !strings.Contains(got, "delete record") {
		t.Errorf("the mail record is still there: %s", got)
	}
	// Something that the plan of the head does not hold is refused.
	m := h.propose("words", with("notes: other words"))
	h.look()
	h.comment("dana", m, "/reconciler approve "+fingerprint)
	if r := h.said(m, "reply"); len(r) != 1 || !strings.Contains(r[0], "Not done") {
		t.Errorf("replies: %q", r)
	}
}

// S15: twenty merges in five seconds, of different clients → all converge; the writes are
// exactly the sum of twenty single runs.
func TestS15OnGitHub(t *testing.T) {
	files := map[string]string{}
	for i := range 20 {
		files[fmt.Sprintf("clients/s%02d.yaml", i)] = bare(fmt.Sprintf("s%02d", i))
	}
	h := newHub(t, files, func(_ *hub, _ *simulated.Options, config *[]string) {
		*config = append(*config, "guard: {maxCreates: 50}")
	})
	h.look()
	var numbers []int
	for i := range 20 {
		name := fmt.Sprintf("s%02d", i)
		numbers = append(numbers, h.propose("env-"+name, map[string]string{"clients/" + name + ".yaml": manifestOf(name)}))
	}
	h.look()
	single := h.calls.len()
	h.merge(numbers[0], simulated.Squash)
	h.look()
	one := len(h.calls.writes(single))
	all := h.calls.len()
	var commits []string
	for _, n := range numbers[1:] {
		commits = append(commits, h.merge(n, simulated.Squash))
		h.daemon.program.daemon.Hint()
	}
	h.look()
	if got := len(h.calls.writes(all)); got != 19*one || one == 0 {
		t.Errorf("one merge costs %d writes, nineteen %d", one, got)
	}
	for i, n := range numbers {
		if r := rowOf(h.status(), fmt.Sprintf("s%02d", i)); r.Status != string(state.StatusActive) {
			t.Errorf("%s is %s: %s", r.Name, r.Status, r.Because)
		}
		h.wantComment(n, "result", "is live")
	}
	for _, c := range commits {
		h.wantStatus(c, "apply", "success", "")
	}
}

// S16: two merges a second apart, of one client → the second wish stays; the first commit's
// verdict is "superseded by".
func TestS16OnGitHub(t *testing.T) {
	body := "labels: {a: b}\n" + strings.Repeat("# a line between\n", 6)
	with := func(currency, theme string) map[string]string {
		return map[string]string{"clients/bakery.yaml": manifestOf("bakery", "env: {STORE_CURRENCY: "+currency+"}", body, "settings: {theme: "+theme+"}")}
	}
	h := newHub(t, with("EUR", "light"))
	h.look()
	a := h.propose("currency", with("CHF", "light"))
	b := h.propose("theme", with("EUR", "dark"))
	h.look()
	gate := make(chan struct{})
	h.calls.interfere(func(c call) error {
		if c.Verb == "update" && c.Kind == state.KindEnvironment {
			<-gate
		}
		return nil
	}, nil)
	first := h.merge(a, simulated.MergeCommit)
	p := h.daemon.program
	if err := p.daemon.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := h.merge(b, simulated.MergeCommit)
	if err := p.daemon.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(gate)
	h.look()
	h.wantStatus(second, "apply", "success", "1 client up to date")
	h.wantStatus(first, "apply", "success", "superseded by "+second[:7])
	h.wantStatus(second, "client/bakery", "success", "is live")
	h.wantStatus(first, "client/bakery", "success", "overtaken")
	h.wantComment(b, "result", "is live")
	h.wantComment(a, "result", "overtaken")
}

// A mistake with one obvious repair is offered as a suggestion on its line, and taken back
// when it is gone.
func TestSuggestions(t *testing.T) {
	h := newHub(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery")})
	h.look()
	wrong := strings.Replace(manifestOf("demoshop", "plan: startr"), "displayName:", "displayNam:", 1)
	n := h.propose("new", map[string]string{"clients/demoshop.yaml": wrong})
	h.look()
	var lines []string
	for _, s := range h.gh.Suggestions(n) {
		lines = append(lines, fmt.Sprintf("%s:%d %s", s.Path, s.Line, s.Body))
	}
	all := strings.Join(lines, "\n")
	if len(lines) != 2 || !strings.Contains(all, "\nplan: starter\n") || !strings.Contains(all, "\ndisplayName: Shop demoshop\n") {
		t.Fatalf("suggestions: %s", all)
	}
	h.pushTo("new", map[string]string{"clients/demoshop.yaml": strings.Replace(wrong, "startr", "starter", 1)})
	h.clock.add(patience)
	h.look()
	if s := h.gh.Suggestions(n); len(s) != 1 || !strings.Contains(s[0].Body, "displayName") {
		t.Errorf("suggestions: %+v", s)
	}
	h.pushTo("new", map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", "plan: starter")})
	h.clock.add(patience)
	h.look()
	if s := h.gh.Suggestions(n); len(s) != 0 {
		t.Errorf("suggestions: %+v", s)
	}
	h.wantStatus(h.headOf(n), "validate", "success", "1 manifest valid")
}

// Rule, guard: with `guard.removals: reviewed`, a removal that a pull request's plan showed
// goes, whichever way it is merged; one that was pushed after the plan, or to the branch,
// waits.
func TestRuleGuardReviewedOnGitHub(t *testing.T) {
	files := func() map[string]string {
		return map[string]string{"clients/a.yaml": bare("a"), "clients/b.yaml": bare("b"), "clients/c.yaml": bare("c"), "clients/d.yaml": bare("d"),
			"platform.yaml": "apiVersion: reconciler/v1\nkind: Platform\nguard: {removals: reviewed}\n"}
	}
	for _, kind := range []simulated.Kind{simulated.MergeCommit, simulated.Squash, simulated.Rebase} {
		t.Run(string(kind), func(t *testing.T) {
			h := newHub(t, files(), func(_ *hub, _ *simulated.Options, config *[]string) {
				*config = append(*config, "guard: {maxDeletes: 10, maxDeletePercent: 100}")
			})
			h.look()
			n := h.propose("gone", map[string]string{"clients/a.yaml": ""})
			if _, err := h.gh.Push("main", filesFor(map[string]string{"clients/d.yaml": bare("d", "notes: meanwhile")}), "Note", "robin"); err != nil {
				t.Fatal(err)
			}
			h.look()
			h.merge(n, kind)
			h.look()
			if r := rowOf(h.status(), "a"); r.Status != string(state.StatusRetained) {
				t.Errorf("a is %s: %s", r.Status, r.Because)
			}
			// Pushed after the plan.
			n = h.propose("note", map[string]string{"clients/b.yaml": bare("b", "notes: harmless")})
			h.look()
			h.pushTo("note", map[string]string{"clients/b.yaml": ""})
			h.merge(n, kind)
			if err := h.daemon.program.daemon.Settle(t.Context()); err != nil {
				t.Fatal(err)
			}
			h.look()
			if r := rowOf(h.status(), "b"); r.Status != string(state.StatusHeld) {
				t.Errorf("b is %s: %s", r.Status, r.Because)
			}
			h.wantComment(n, "result", "/reconciler approve ")
			// Pushed to the branch.
			if _, err := h.gh.Push("main", filesFor(map[string]string{"clients/c.yaml": ""}), "Remove", "robin"); err != nil {
				t.Fatal(err)
			}
			h.look()
			if r := rowOf(h.status(), "c"); r.Status != string(state.StatusHeld) {
				t.Errorf("c is %s: %s", r.Status, r.Because)
			}
		})
	}
}

// Pull requests that were opened and merged between two looks, several in one head: each is
// told what became of its own clients.
func TestMergedBetweenTwoLooks(t *testing.T) {
	h := newHub(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery")})
	h.look()
	var numbers []int
	for i, kind := range []simulated.Kind{simulated.MergeCommit, simulated.Squash, simulated.Rebase} {
		name := fmt.Sprintf("shop%d", i)
		numbers = append(numbers, h.propose("add-"+name, map[string]string{"clients/" + name + ".yaml": manifestOf(name)}))
		h.merge(numbers[i], kind)
	}
	if err := h.daemon.program.daemon.Settle(t.Context()); err != nil { // one head has all three
		t.Fatal(err)
	}
	h.look()
	h.clock.add(time.Minute) // a forge may not know at once what it merged
	h.look()
	for i, n := range numbers {
		body := h.wantComment(n, "result", fmt.Sprintf("shop%d is live", i))
		for j := range numbers {
			if other := fmt.Sprintf("shop%d", j); j != i && strings.Contains(body, other) {
				t.Errorf("the result of pull request %d speaks of %s", n, other)
			}
		}
	}
}
