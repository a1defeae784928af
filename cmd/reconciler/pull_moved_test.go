package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/github/simulated"
)

// notices asks GitHub for our access, as the schedule does, and returns what status says.
func (h *hub) noticed() []string {
	h.t.Helper()
	h.clock.add(time.Hour)
	for _, s := range h.daemon.program.daemon.Schedules {
		if s.Name == "access" {
			if err := s.Run(h.t.Context()); err != nil {
				h.t.Fatal(err)
			}
		}
	}
	return h.status().Notices
}

// A repository is renamed at GitHub: all goes on, also as an App that looks its installation up and is started anew, and
// people are told what to set.
func TestRenamedRepository(t *testing.T) {
	for name, options := range map[string][]hubOption{
		"as an App":    {withApp(t, appAccess(""), &gitSeen{tokens: map[string]int{}})},
		"with a token": nil,
	} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t, map[string]string{"clients/bakery.yaml": bare("bakery")}, options...)
			h.look()
			n := h.propose("add-one", map[string]string{"clients/one.yaml": bare("one")})
			h.look()
			if told := h.noticed(); len(told) > 0 {
				t.Errorf("before: %v", told)
			}
			h.gh.RenameRepository("customers")
			h.stop()
			h.pushTo("add-one", map[string]string{"clients/one.yaml": bare("one", "database: {retain: 45d}")})
			h.look()
			h.clock.add(time.Minute)
			h.look()
			h.wantComment(n, "plan", "one", h.headOf(n)[:7])
			commit := h.merge(n, simulated.Squash)
			h.look()
			h.wantComment(n, "result", "one is done")
			h.wantStatus(commit, "client/one", "success", "")
			if told := h.noticed(); len(told) != 1 || !strings.Contains(told[0], "GitHub calls the repository agency/customers by now, not agency/clients: set github.owner, github.repo") {
				t.Errorf("notices: %v", told)
			}
			if r := h.cli("doctor"); !strings.Contains(r.out, "agency/customers") {
				t.Errorf("doctor: %s%s", r.out, r.err)
			}
		})
	}
}

// A repository is archived: that nobody can be told there is said here, and what waits is told when it is taken out again.
func TestArchivedRepository(t *testing.T) {
	h := newHub(t, map[string]string{"clients/bakery.yaml": bare("bakery")})
	h.look()
	n := h.propose("add-one", map[string]string{"clients/one.yaml": bare("one")})
	h.look()
	commit := h.merge(n, simulated.Squash)
	h.gh.Archive(true)
	h.try()
	if err := h.daemon.program.daemon.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	_ = h.daemon.program.deliver(t.Context()) // it is refused
	if told := h.noticed(); len(told) != 1 || !strings.Contains(told[0], "archived at GitHub") {
		t.Errorf("notices: %v", told)
	}
	h.gh.Archive(false)
	h.clock.add(time.Hour)
	h.look()
	h.wantComment(n, "result", "one is done")
	h.wantStatus(commit, "apply", "success", "")
	if told := h.noticed(); len(told) > 0 {
		t.Errorf("in the end: %v", told)
	}
}

// A token that ends soon is said while there is time to make the next one.
func TestTokenThatEndsSoon(t *testing.T) {
	left := 30 * 24 * time.Hour
	h := newHub(t, map[string]string{"clients/bakery.yaml": bare("bakery")}, func(h *hub, _ *simulated.Options, _ *[]string) {
		h.front = func(api, _ http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("GitHub-Authentication-Token-Expiration", h.now().Add(left).UTC().Format("2006-01-02 15:04:05 MST"))
				api.ServeHTTP(w, r)
			})
		}
	})
	h.look()
	if told := h.noticed(); len(told) > 0 {
		t.Errorf("a month before: %v", told)
	}
	left = 5 * 24 * time.Hour
	if told := h.noticed(); len(told) != 1 || !strings.Contains(told[0], "the token for GitHub ends on "+h.now().Add(left).UTC().Format("2 January 2006")) {
		t.Errorf("five days before: %v", told)
	}
}
