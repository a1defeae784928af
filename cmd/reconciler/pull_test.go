package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/github/simulated"
	"github.com/compassdigital/reconciler/internal/state"
)

// S01: a pull request that adds a client → one comment shows the steps in order; both
// statuses succeed; no write.
func TestS01NewClient(t *testing.T) {
	h := newHub(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery")})
	h.look()
	calls := h.calls.len()
	n := h.propose("add-demoshop", map[string]string{"clients/demoshop.yaml": manifestOf("demoshop")})
	h.look()
	h.wantComment(n, "plan", "demoshop")
	head := h.headOf(n)
	h.wantStatus(head, "validate", "success", "1 manifest valid")
	h.wantStatus(head, "plan", "success", "")
	if got := h.calls.writes(calls); len(got) > 0 {
		t.Errorf("a plan wrote: %v", got)
	}
}

// S12: a merge provisions, and says so on the branch's commit and on the pull request.
func TestS12OnGitHub(t *testing.T) {
	for _, kind := range []simulated.Kind{simulated.MergeCommit, simulated.Squash, simulated.Rebase} {
		t.Run(string(kind), func(t *testing.T) {
			h := newHub(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery")})
			h.look()
			n := h.propose("add-demoshop", map[string]string{"clients/demoshop.yaml": manifestOf("demoshop")})
			h.look()
			commit := h.merge(n, kind)
			h.look()
			h.wantStatus(commit, "apply", "success", "1 client up to date")
			h.wantStatus(commit, "client/demoshop", "success", "")
			h.wantComment(n, "result", "demoshop", "live")
			if code, _ := h.get("demoshop.localhost", "/"); code != 200 {
				t.Errorf("the site answers %d", code)
			}
			if d := h.gh.Deployments("demoshop"); len(d) != 1 || d[0].State() != "success" {
				t.Errorf("deployments: %+v", d)
			}
		})
	}
}

// S02: five pushes in ten seconds → one comment, of the last head, in three writes at most.
func TestS02Pushes(t *testing.T) {
	h := newHub(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery")})
	h.look()
	var n int
	for i := range 5 {
		files := map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", fmt.Sprintf("env: {STORE_CURRENCY: EU%d}", i))}
		if i == 0 {
			n = h.propose("add-demoshop", files)
		} else {
			h.pushTo("add-demoshop", files)
		}
		h.look()
		h.clock.add(2 * time.Second)
		h.look()
	}
	h.clock.add(20 * time.Second)
	h.look()
	head := h.headOf(n)
	h.wantComment(n, "plan", head[:7], "EU4")
	if w := h.commentWrites(n); w > 3 {
		t.Errorf("%d comment writes", w)
	}
	for _, c := range h.commitsOf("add-demoshop") {
		for _, context := range []string{"validate", "plan"} {
			if s := h.statusOf(c, context); s.State == "pending" {
				t.Errorf("%s hangs on %s: %s", context, c, s.Description)
			}
		}
	}
}

// S03: only README changes → a status says so, and no comment.
func TestS03NothingToDo(t *testing.T) {
	h := newHub(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery")})
	h.look()
	n := h.propose("words", map[string]string{"README.md": "other words\n"})
	h.look()
	h.wantStatus(h.headOf(n), "plan", "success", "no client changes")
	h.wantStatus(h.headOf(n), "validate", "success", "no client manifest changed")
	if c := h.gh.Comments(n); len(c) > 0 {
		t.Errorf("comments: %+v", c)
	}
	commit := h.merge(n, simulated.MergeCommit)
	h.look()
	h.wantStatus(commit, "apply", "success", "no client changes")
	if c := h.gh.Comments(n); len(c) > 0 {
		t.Errorf("comments: %+v", c)
	}
}

// S04: the branch is 30 commits behind and the base has added DNS to the client since →
// the plan doesn't remove that DNS.
func TestS04MergeResult(t *testing.T) {
	record := `dns: {records: [{type: TXT, name: "@", content: "v=spf1 -all"}]}`
	body := "labels: {a: b, c: d, e: f}\nnotes: one\n" + strings.Repeat("# a line between\n", 5)
	h := newHub(t, map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", body, "env: {STORE_CURRENCY: EUR}")})
	h.look()
	n := h.propose("currency", map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", body, "env: {STORE_CURRENCY: CHF}")})
	for i := range 30 {
		if _, err := h.gh.Push("main", filesFor(map[string]string{"README.md": fmt.Sprint(i)}), "Word", "robin"); err != nil {
			t.Fatal(err)
		}
	}
	with := strings.Replace(manifestOf("demoshop", body, "env: {STORE_CURRENCY: EUR}"), "template: ecommerce\n", "template: ecommerce\n"+record+"\n", 1)
	if _, err := h.gh.Push("main", filesFor(map[string]string{"clients/demoshop.yaml": with}), "Add mail", "robin"); err != nil {
		t.Fatal(err)
	}
	h.look()
	h.active("demoshop")
	h.look()
	got := h.wantComment(n, "plan", "CHF")
	if strings.Contains(got, "spf1") || strings.Contains(got, "TXT") {
		t.Errorf("the plan touches the record that the base has:\n%s", got)
	}
}

// S05: nine good files and one with a YAML error → the plan shows nine, the error its
// place; merged anyway, nine converge and the bad client keeps its last good version.
func TestS05BadAmongGood(t *testing.T) {
	before, after := map[string]string{}, map[string]string{}
	for i := range 10 {
		name := fmt.Sprintf("shop%d", i)
		before["clients/"+name+".yaml"] = manifestOf(name)
		after["clients/"+name+".yaml"] = manifestOf(name, "env: {STORE_CURRENCY: CHF}")
	}
	h := newHub(t, before)
	h.look()
	h.active("shop0", "shop9")
	after["clients/shop3.yaml"] = manifestOf("shop3") + "contact: {name: Dana: Daniela}\n"
	n := h.propose("currency", after)
	h.look()
	got := h.wantComment(n, "plan", "clients/shop3.yaml:", "contact: {name: Dana: Daniela}")
	for i := range 10 {
		if name := fmt.Sprintf("shop%d", i); i != 3 && !strings.Contains(got, "`"+name+"`") {
			t.Errorf("the plan does not show %s", name)
		}
	}
	h.wantStatus(h.headOf(n), "validate", "failure", "clients/shop3.yaml:")
	h.wantStatus(h.headOf(n), "plan", "failure", "1 file is invalid; 9 clients change")
	commit := h.merge(n, simulated.MergeCommit)
	h.look()
	v := h.status()
	for _, r := range v.Clients {
		if r.Status != string(state.StatusActive) && r.Name != "shop3" {
			t.Errorf("%s is %s: %s", r.Name, r.Status, r.Because)
		}
	}
	h.wantStatus(commit, "apply", "failure", "clients/shop3.yaml")
	h.wantComment(n, "result", "clients/shop3.yaml", "last good version")
}
