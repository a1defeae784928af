package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/github/simulated"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

// try looks as look does, of a GitHub that may be away: what fails is tried again later.
func (h *hub) try() {
	h.t.Helper()
	if h.daemon == nil {
		h.start()
	}
	p := h.daemon.program
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	for range 2 {
		_, _ = p.reviewer.Sync(ctx)
		if p.daemon.Settle(ctx) != nil { // the branch can't be read: what was accepted goes on
			_ = p.daemon.Queue().Idle(ctx)
		}
		_ = p.deliver(ctx)
	}
}

// gitGate lets Git be away while GitHub's API is there, or not.
func (h *hub) gitGate() *atomic.Bool {
	away, git := &atomic.Bool{}, h.server.Config.Handler
	h.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if away.Load() {
			http.Error(w, "away", http.StatusServiceUnavailable)
			return
		}
		git.ServeHTTP(w, r)
	})
	return away
}

// wantEnded wants that no status of these commits is pending.
func (h *hub) wantEnded(commits ...string) {
	h.t.Helper()
	for _, c := range commits {
		for _, s := range h.gh.Statuses(c) {
			if s.State == "pending" {
				h.t.Errorf("%s hangs on %s: %s", s.Context, c[:7], s.Description)
			}
		}
	}
}

// S35: GitHub is down for an hour while merges wait → they are applied when their commits
// are seen, and every verdict is delivered afterwards, once.
func TestS35GitHubDown(t *testing.T) {
	for name, x := range map[string]struct {
		kind      simulated.Kind
		gitAway   bool
		lost      bool // what is written when it comes back happens, and the answers are lost
		restarted bool // the program, in the middle and at the end
	}{
		"git reachable, squashed":   {kind: simulated.Squash},
		"git away":                  {kind: simulated.Rebase, gitAway: true},
		"answers lost":              {kind: simulated.MergeCommit, lost: true},
		"git away, restarted, lost": {kind: simulated.MergeCommit, gitAway: true, restarted: true, lost: true},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery")})
			away := h.gitGate()
			h.look()
			one := h.propose("add-one", map[string]string{"clients/one.yaml": manifestOf("one")})
			two := h.propose("add-two", map[string]string{"clients/two.yaml": manifestOf("two")})
			h.look()
			h.gh.Settle()
			up := h.gh.Inject(simulated.Fault{Down: true})
			away.Store(x.gitAway)
			first := h.merge(one, x.kind)
			h.try()
			if x.restarted {
				h.stop()
			}
			second := h.merge(two, x.kind)
			for range 6 {
				h.clock.add(10 * time.Minute)
				h.try()
			}
			h.stop()
			h.start()
			h.try()
			if !x.gitAway { // the sites don't wait for GitHub
				for _, site := range []string{"one.localhost", "two.localhost"} {
					if code, _ := h.get(site, "/"); code != 200 {
						t.Errorf("%s answers %d while GitHub is down", site, code)
					}
				}
			}
			if n := len(h.said(one, "result")); n > 0 {
				t.Errorf("%d results were told while GitHub was down", n)
			}
			up()
			away.Store(false)
			if x.lost {
				for _, kind := range []string{"comment.create", "comment.edit", "status.create", "deployment.create", "deployment.status"} {
					h.gh.Inject(simulated.Fault{Kind: kind, Lost: true, Times: 2})
				}
				h.try()
				h.clock.add(time.Minute)
				if x.restarted {
					h.stop()
				}
			}
			h.look()
			h.active("one", "two")
			h.look()
			h.wantComment(one, "result", "one", "live")
			h.wantComment(two, "result", "two", "live")
			h.wantComment(one, "plan")
			h.wantComment(two, "plan")
			h.wantStatus(second, "client/two", "success", "")
			if !x.gitAway { // else the two commits are accepted as one head
				h.wantStatus(first, "apply", "success", "1 client up to date")
				h.wantStatus(second, "apply", "success", "1 client up to date")
				h.wantStatus(first, "client/one", "success", "")
			} else {
				h.wantStatus(second, "apply", "success", "2 clients up to date")
				h.wantStatus(second, "client/one", "success", "")
			}
			h.wantEnded(first, second, h.headOf(one), h.headOf(two))
			for _, name := range []string{"one", "two"} {
				d := h.gh.Deployments(name)
				if len(d) != 1 || d[0].State() != "success" {
					t.Errorf("deployments of %s: %+v", name, d)
				}
			}
			at := len(h.gh.Writes())
			h.clock.add(time.Hour)
			h.look()
			if again := h.spent(at); len(again) > 0 {
				t.Errorf("told again: %v", again)
			}
		})
	}
}

// counts are how many clients have each status.
func counts(v reconcile.Overview) map[string]int {
	out := map[string]int{}
	for _, r := range v.Clients {
		out[r.Status]++
	}
	return out
}

// S37: a pull request removes 30 of 100 manifests and edits five → its plan says that the
// removals would wait; merged, the five apply and the removals are held, which the result
// says with the comment that lets them go; that comment does, and serves no other plan.
func TestS37BulkOnGitHub(t *testing.T) {
	h := newHub(t, numberedFleet(100), func(_ *hub, _ *simulated.Options, config *[]string) {
		*config = append(*config, "guard: {maxCreates: 200}")
	})
	h.look()
	if v := h.apply(); counts(v)["active"] != 100 {
		t.Fatalf("before: %v", counts(v))
	}
	change := map[string]string{}
	for i := range 30 {
		change[fmt.Sprintf("clients/c%03d.yaml", i)] = ""
	}
	for i := 50; i < 55; i++ {
		name := fmt.Sprintf("c%03d", i)
		change["clients/"+name+".yaml"] = bare(name, "database: {access: private}")
	}
	n := h.propose("clean-up", change)
	h.look()
	plan := h.wantComment(n, "plan", "would wait", "/reconciler approve ")
	h.wantStatus(h.headOf(n), "plan", "success", "")
	calls := h.calls.len()
	commit := h.merge(n, simulated.MergeCommit)
	h.look()
	if got := h.calls.writes(calls); len(got) != 5 {
		t.Errorf("%d writes, want the five edits: %v", len(got), got)
	}
	v := h.status()
	if c := counts(v); c["held"] != 30 || c["active"] != 70 || len(v.Holds) != 1 {
		t.Fatalf("merged: %v, holds %+v", c, v.Holds)
	}
	print := v.Holds[0].Fingerprint
	h.wantComment(n, "result", "30 clients wait", "/reconciler approve "+print)
	h.wantStatus(commit, "apply", "failure", "held: c000, c001 and 28 more; 5 succeeded")
	if s := h.gh.Statuses(commit); len(s) > 21 {
		t.Errorf("%d statuses", len(s))
	}
	if !strings.Contains(plan, "/reconciler approve "+print) {
		t.Errorf("the plan named another approval than %s:\n%s", print, plan)
	}

	h.say(n, "robin", "/reconciler approve "+print)
	h.look()
	h.look()
	v = h.status()
	if c := counts(v); c["retained"] != 30 || c["active"] != 70 || len(v.Holds) != 0 {
		t.Errorf("approved: %v, holds %+v", c, v.Holds)
	}
	h.wantComment(n, "result")
	h.wantStatus(commit, "apply", "success", "")
	h.wantEnded(commit)

	// The approval serves no other plan.
	calls = h.calls.len()
	again := map[string]string{}
	for i := 60; i < 90; i++ {
		again[fmt.Sprintf("clients/c%03d.yaml", i)] = ""
	}
	m := h.propose("clean-up-more", again)
	h.look()
	h.merge(m, simulated.Squash)
	h.look()
	h.say(m, "robin", "/reconciler approve "+print)
	h.look()
	v = h.status()
	if c := counts(v); c["held"] != 30 || len(v.Holds) != 1 || v.Holds[0].Fingerprint == print {
		t.Errorf("the next removals are not held: %v, %+v", c, v.Holds)
	}
	if got := h.calls.writes(calls); len(got) > 0 {
		t.Errorf("writes: %v", got)
	}
}

// say comments on a pull request, as somebody.
func (h *hub) say(n int, who, body string) int64 {
	h.t.Helper()
	h.clock.add(time.Second)
	id, err := h.gh.Comment(who, n, body)
	if err != nil {
		h.t.Fatal(err)
	}
	return id
}

// S38: a forced push makes 40 clients vanish → the commit's status and the history say that
// the history was rewritten, and nothing changes; who accepts it still meets the guard.
func TestS38ForcePushOnGitHub(t *testing.T) {
	h := newHub(t, map[string]string{"clients/bakery.yaml": bare("bakery")}, func(_ *hub, _ *simulated.Options, config *[]string) {
		*config = append(*config, "guard: {maxCreates: 200}")
	})
	h.look()
	root, err := h.gh.Branch("main")
	if err != nil {
		t.Fatal(err)
	}
	h.pushTo("main", numberedFleet(40))
	h.look()
	if c := counts(h.status()); c["active"] != 41 {
		t.Fatalf("before: %v", c)
	}
	calls := h.calls.len()
	forced, err := h.gh.ForcePush("main", root, filesFor(map[string]string{"README.md": "another history\n"}), "Another history", "dana")
	if err != nil {
		t.Fatal(err)
	}
	h.look()
	held := func(kind state.HoldKind, clients int) state.Hold {
		t.Helper()
		v := h.status()
		if len(v.Holds) != 1 || v.Holds[0].Kind != kind || clients > 0 && len(v.Holds[0].Clients) != clients {
			t.Fatalf("holds: %+v", v.Holds)
		}
		if c := counts(v); c["active"] != 41 && kind == state.HoldHistory {
			t.Errorf("%s: %v", kind, c)
		}
		if got := h.calls.writes(calls); len(got) > 0 {
			t.Errorf("writes: %v", got)
		}
		return v.Holds[0]
	}
	hold := held(state.HoldHistory, 0)
	h.wantStatus(forced, "apply", "failure", "Nothing changes: history was rewritten")
	if r := h.must(0, "history"); !strings.Contains(r.out, "rewritten") {
		t.Errorf("the history does not say it:\n%s", r.out)
	}
	h.must(0, "approve", hold.Fingerprint)
	h.look()
	held(state.HoldGuard, 40)
	h.wantStatus(forced, "apply", "failure", "held")
}

// S39: the repository is emptied, its folder moved, its branch deleted → nothing is deleted,
// and the commit's status says why.
func TestS39EmptyOnGitHub(t *testing.T) {
	files := map[string]string{"clients/a.yaml": bare("a"), "clients/b.yaml": bare("b")}
	for name, x := range map[string]struct {
		change map[string]string
		merged bool
	}{
		"emptied":          {map[string]string{"clients/a.yaml": "", "clients/b.yaml": "", "templates/ecommerce.yaml": ""}, false},
		"emptied, merged":  {map[string]string{"clients/a.yaml": "", "clients/b.yaml": "", "templates/ecommerce.yaml": ""}, true},
		"moved":            {map[string]string{"clients/a.yaml": "", "clients/b.yaml": "", "customers/a.yaml": bare("a"), "customers/b.yaml": bare("b")}, false},
		"moved, by a pull": {map[string]string{"clients/a.yaml": "", "clients/b.yaml": "", "customers/a.yaml": bare("a"), "customers/b.yaml": bare("b")}, true},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t, files)
			h.look()
			h.active("a", "b")
			calls := h.calls.len()
			var commit string
			n := 0
			if x.merged {
				n = h.propose("empty", x.change)
				h.look()
				h.wantComment(n, "plan", "would wait")
				commit = h.merge(n, simulated.Squash)
			} else {
				commit = h.pushTo("main", x.change)
			}
			h.look()
			h.wantStatus(commit, "apply", "failure", "Nothing changes: the tree is empty. 2 clients would lose their manifest")
			h.wantUntouched(calls, "a", "b")
			v := h.status()
			if len(v.Holds) != 1 || v.Holds[0].Kind != state.HoldHistory {
				t.Fatalf("holds: %+v", v.Holds)
			}
			if x.merged {
				h.wantComment(n, "result", "Nothing of this merge was accepted", "the tree is empty", "/reconciler approve "+v.Holds[0].Fingerprint)
			}
		})
	}
	t.Run("branch gone", func(t *testing.T) {
		h := newHub(t, files)
		h.look()
		h.active("a", "b")
		calls := h.calls.len()
		n := h.propose("more", map[string]string{"clients/c.yaml": bare("c")})
		if err := os.Remove(filepath.Join(h.repository, "refs", "heads", "main")); err != nil {
			t.Fatal(err)
		}
		h.try()
		h.wantUntouched(calls, "a", "b")
		if v := h.status(); len(v.Notices) == 0 || !strings.Contains(strings.Join(v.Notices, "\n"), "can't be followed") {
			t.Errorf("notices: %v", v.Notices)
		}
		h.wantEnded(h.headOf(n))
	})
}

// wantUntouched wants that no provider was written since, and these clients active.
func (h *hub) wantUntouched(calls int, names ...string) {
	h.t.Helper()
	if got := h.calls.writes(calls); len(got) > 0 {
		h.t.Errorf("writes: %v", got)
	}
	v := h.status()
	for _, n := range names {
		if r := rowOf(v, n); r.Status != string(state.StatusActive) {
			h.t.Errorf("%s is %s", n, r.Status)
		}
	}
}
