package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/github/simulated"
)

// answered wants one reply to a comment, with words, and an eyes reaction.
func (h *hub) answered(n int, comment int64, words ...string) {
	h.t.Helper()
	var found []string
	for _, body := range h.said(n, "reply") {
		if strings.HasPrefix(body, fmt.Sprintf("<!-- reconciler:reply %d -->", comment)) {
			found = append(found, body)
		}
	}
	if len(found) != 1 {
		h.t.Fatalf("%d replies to comment %d: %q", len(found), comment, h.said(n, "reply"))
	}
	for _, w := range words {
		if !strings.Contains(found[0], w) {
			h.t.Errorf("the reply lacks %q:\n%s", w, found[0])
		}
	}
	if r := h.gh.Reactions(comment); len(r) != 1 || r[0].Content != "eyes" {
		h.t.Errorf("reactions: %+v", r)
	}
}

// unanswered wants neither.
func (h *hub) unanswered(n int, comment int64) {
	h.t.Helper()
	for _, body := range h.said(n, "reply") {
		if strings.HasPrefix(body, fmt.Sprintf("<!-- reconciler:reply %d -->", comment)) {
			h.t.Errorf("comment %d was answered: %s", comment, body)
		}
	}
	if r := h.gh.Reactions(comment); len(r) != 0 {
		h.t.Errorf("reactions: %+v", r)
	}
}

// Commands are carried out once, however often their comment is seen; an edited comment
// commands nothing; a comment that only speaks of a command is none.
func TestCommandsOnce(t *testing.T) {
	h := newHub(t, map[string]string{"clients/bakery.yaml": bare("bakery")})
	h.look()
	n := h.propose("add-one", map[string]string{"clients/one.yaml": bare("one")})
	h.look()
	help := h.say(n, "dana", "/reconciler help")
	unknown := h.say(n, "dana", "/reconciler explode `everything` @everyone")
	plan := h.say(n, "dana", "  /reconciler PLAN\n\nplease")
	edited := h.say(n, "dana", "Looks good.")
	h.clock.add(2 * time.Second)
	if err := h.gh.EditComment(edited, "/reconciler plan", "dana"); err != nil {
		t.Fatal(err)
	}
	quoted := h.say(n, "dana", "> /reconciler plan\n\nDid that help?")
	long := h.say(n, "dana", "/reconciler plan "+strings.Repeat("x", 10_000))
	for range 3 {
		h.look()
	}
	h.stop()
	h.look()
	h.answered(n, help, "/reconciler approve FINGERPRINT")
	h.answered(n, unknown, "There is no command")
	h.answered(n, plan, "Planning `"+h.headOf(n)[:7]+"`")
	h.unanswered(n, edited)
	h.unanswered(n, quoted)
	h.unanswered(n, long)
	h.wantComment(n, "plan", "one")
	if r := h.must(0, "history"); strings.Count(r.out, "command done") != 2 || strings.Count(r.out, "command refused") != 1 {
		t.Errorf("the audit trail:\n%s", r.out)
	}
	// Nor is one that was carried out, and edited since, carried out again.
	if err := h.gh.EditComment(help, "/reconciler plan", "dana"); err != nil {
		t.Fatal(err)
	}
	h.clock.add(time.Minute)
	h.look()
	h.answered(n, help, "/reconciler approve FINGERPRINT")
}

// A command on a pull request that is closed is refused, once; one on what is not ours to
// look at is nobody's.
func TestCommandsElsewhere(t *testing.T) {
	h := newHub(t, map[string]string{"clients/bakery.yaml": bare("bakery")})
	h.look()
	n := h.propose("add-one", map[string]string{"clients/one.yaml": bare("one")})
	h.pushTo("release", map[string]string{"README.md": "another branch\n"})
	h.pushTo("other", map[string]string{"clients/two.yaml": bare("two")})
	other, err := h.gh.OpenPull(simulated.Proposal{Head: "other", Base: "release", Title: "Into another branch", Author: "dana"})
	if err != nil {
		t.Fatal(err)
	}
	h.look()
	if err := h.gh.ClosePull(n, "dana"); err != nil {
		t.Fatal(err)
	}
	h.look()
	h.wantComment(n, "plan", "Closed without a merge")
	closed := h.say(n, "dana", "/reconciler plan")
	nobody := h.say(other, "dana", "/reconciler plan")
	h.look()
	h.answered(n, closed, "This pull request is closed.")
	h.unanswered(other, nobody)
	if c := h.gh.Comments(other); len(c) != 1 {
		t.Errorf("comments on a pull request into another branch: %+v", c)
	}
	if err := h.gh.Reopen(n, "dana"); err != nil {
		t.Fatal(err)
	}
	h.look()
	h.wantComment(n, "plan", "`one`")
	h.wantStatus(h.headOf(n), "plan", "success", "")
}

// What would wait is approved before the merge: by the head that was planned. After another
// push, the approval is of what nobody asks for any more.
func TestApproveBeforeTheMerge(t *testing.T) {
	removals := func(from, to int) map[string]string {
		out := map[string]string{}
		for i := from; i < to; i++ {
			out[fmt.Sprintf("clients/c%03d.yaml", i)] = ""
		}
		return out
	}
	begin := func(t *testing.T) (h *hub, n int, print string) {
		h = newHub(t, numberedFleet(20), func(_ *hub, _ *simulated.Options, config *[]string) {
			*config = append(*config, "guard: {maxCreates: 200}")
		})
		h.look()
		n = h.propose("clean-up", removals(0, 10))
		h.look()
		h.clock.add(time.Minute) // a reaction gives way where GitHub takes no more writes
		_, rest, _ := strings.Cut(h.wantComment(n, "plan"), "/reconciler approve ")
		if print = strings.Fields(rest)[0]; len(print) < 8 {
			t.Fatalf("the plan names no approval: %q", print)
		}
		return h, n, print
	}
	t.Run("then merged", func(t *testing.T) {
		h, n, print := begin(t)
		approve := h.say(n, "robin", "/reconciler approve "+print)
		h.look()
		h.answered(n, approve, "Approved: `"+print+"`")
		if c := counts(h.status()); c["active"] != 20 {
			t.Errorf("before the merge: %v", c)
		}
		commit := h.merge(n, simulated.Squash)
		h.look()
		if c := counts(h.status()); c["retained"] != 10 {
			t.Errorf("merged: %v", c)
		}
		h.wantStatus(commit, "apply", "success", "")
		h.wantComment(n, "result")
	})
	t.Run("then pushed to", func(t *testing.T) {
		h, n, print := begin(t)
		h.say(n, "robin", "/reconciler approve "+print)
		h.look()
		h.pushTo("clean-up", removals(10, 12))
		// Nobody saw the plan of this head yet.
		early := h.say(n, "robin", "/reconciler approve "+print)
		h.sync()
		h.look()
		h.answered(n, early, "is not planned yet")
		h.clock.add(time.Minute)
		h.look()
		if body := h.wantComment(n, "plan", "/reconciler approve "); strings.Contains(body, "approve "+print) {
			t.Errorf("the plan of another change has the same approval:\n%s", body)
		}
		h.clock.add(time.Minute)
		stale := h.say(n, "robin", "/reconciler approve "+print)
		h.look()
		h.answered(n, stale, "Nothing waits under that fingerprint")
		h.merge(n, simulated.MergeCommit)
		h.look()
		if c := counts(h.status()); c["held"] != 12 || c["active"] != 8 {
			t.Errorf("merged: %v", c)
		}
	})
}

// sync looks at GitHub once.
func (h *hub) sync() {
	h.t.Helper()
	if _, err := h.daemon.program.reviewer.Sync(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

// Guard: a pull request that brings new clients is judged again when the branch gets others:
// its plan says what would wait by then.
func TestRuleGuardCreatesOfOthers(t *testing.T) {
	h := newHub(t, map[string]string{"clients/bakery.yaml": bare("bakery")}, func(_ *hub, _ *simulated.Options, config *[]string) {
		*config = append(*config, "guard: {maxCreates: 3}")
	})
	h.look()
	h.clock.add(25 * time.Hour)
	two := h.propose("two", map[string]string{"clients/a.yaml": bare("a"), "clients/b.yaml": bare("b")})
	one := h.propose("one", map[string]string{"clients/c.yaml": bare("c")})
	more := h.propose("more", map[string]string{"clients/d.yaml": bare("d")})
	h.look()
	if body := h.wantComment(two, "plan"); strings.Contains(body, "the guard allows") {
		t.Fatalf("it would wait already:\n%s", body)
	}
	h.clock.add(time.Minute)
	h.merge(one, simulated.Squash)
	h.look()
	if body := h.wantComment(two, "plan"); strings.Contains(body, "the guard allows") {
		t.Fatalf("there is room for three:\n%s", body)
	}
	h.clock.add(time.Minute)
	h.merge(more, simulated.Squash)
	h.look()
	h.wantComment(two, "plan", "new clients in 24 hours; the guard allows 3", "```text\n/reconciler approve ")
	h.wantStatus(h.headOf(two), "plan", "success", "approval")
}
