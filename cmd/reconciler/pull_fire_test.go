package main

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/github/simulated"
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
		"git reachable":             {kind: simulated.MergeCommit},
		"git reachable, squashed":   {kind: simulated.Squash},
		"git away":                  {kind: simulated.Rebase, gitAway: true},
		"answers lost":              {kind: simulated.MergeCommit, lost: true},
		"restarted":                 {kind: simulated.Squash, restarted: true},
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
			for range 10 {
				h.clock.add(6 * time.Minute)
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
				h.wantStatus(first, "apply", "success", "one")
				h.wantStatus(second, "apply", "success", "two")
				h.wantStatus(first, "client/one", "success", "")
			} else {
				h.wantStatus(second, "apply", "success", "2 succeeded")
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
