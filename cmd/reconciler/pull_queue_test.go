package main

import (
	"testing"

	"github.com/compassdigital/reconciler/internal/github/simulated"
)

// A merge queue with our statuses required waits for them on commits of its own: it has them, also where the files that are
// merged together are invalid together. The commit then becomes the branch's, and is told as any other.
func TestMergeQueue(t *testing.T) {
	h := newHub(t, map[string]string{"clients/bakery.yaml": bare("bakery")})
	h.look()
	n := h.propose("add-one", map[string]string{"clients/one.yaml": bare("one")})
	h.look()
	const queue = "gh-readonly-queue/main/"
	good := h.pushTo(queue+"pr-1-"+h.headOf(n), map[string]string{"clients/one.yaml": bare("one")})
	bad := h.pushTo(queue+"pr-2-"+good, map[string]string{"clients/one.yaml": bare("one"), "clients/two.yaml": bare("two", "domain: one")})
	other := h.pushTo("gh-readonly-queue/release/pr-3-"+good, map[string]string{"clients/three.yaml": bare("three")})
	h.look()
	h.wantStatus(good, "validate", "success", "")
	h.wantStatus(good, "plan", "success", "1 client changes")
	h.wantStatus(bad, "validate", "failure", "")
	if s := h.gh.Statuses(other); len(s) > 0 {
		t.Errorf("another branch's queue: %+v", s)
	}
	before := len(h.gh.Writes())
	h.look()
	if now := len(h.gh.Writes()); now != before {
		t.Errorf("%d writes of what was told", now-before)
	}
	commit := h.merge(n, simulated.MergeCommit)
	for _, b := range []string{queue + "pr-1-" + h.headOf(n), queue + "pr-2-" + good} {
		if err := h.gh.DeleteBranch(b, "robin"); err != nil {
			t.Fatal(err)
		}
	}
	h.look()
	h.wantComment(n, "result", "one")
	h.wantStatus(commit, "apply", "success", "")
}
