package main

import (
	"testing"

	"github.com/compassdigital/reconciler/internal/github/simulated"
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
	t.Log(h.said(n, "plan")[0])
	t.Log(h.statusOf(head, "plan").Description)
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
			h.wantStatus(commit, "apply", "success", "demoshop")
			h.wantStatus(commit, "client/demoshop", "success", "")
			body := h.wantComment(n, "result", "demoshop", "live")
			t.Log(body)
			for _, s := range h.gh.StatusHistory(commit) {
				t.Log(s.Context, s.State, s.Description)
			}
			if code, _ := h.get("demoshop.localhost", "/"); code != 200 {
				t.Errorf("the site answers %d", code)
			}
			if d := h.gh.Deployments("demoshop"); len(d) != 1 || d[0].State() != "success" {
				t.Errorf("deployments: %+v", d)
			}
		})
	}
}
