package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/github/simulated"
	"github.com/compassdigital/reconciler/internal/reconcile"
)

// none is the smallest client: a manifest that asks for nothing.
func none(name string, more ...string) string {
	return bare(name, append([]string{"database: {provider: none}"}, more...)...)
}

// S06: 5,000 changed files → one comment below 65,536 bytes with the risky clients in
// full; at most six statuses; the full plan is a page, and JSON, behind the comment's link.
func TestS06Huge(t *testing.T) {
	const there, risky, changed = 100, 40, 5000
	before, after := map[string]string{}, map[string]string{}
	for i := range risky {
		name := fmt.Sprintf("risky%02d", i)
		before["clients/"+name+".yaml"], after["clients/"+name+".yaml"] = bare(name), ""
	}
	for i := range there {
		name := fmt.Sprintf("old%04d", i)
		before["clients/"+name+".yaml"], after["clients/"+name+".yaml"] = none(name), bare(name)
	}
	for i := range changed - there - risky {
		name := fmt.Sprintf("new%04d", i)
		after["clients/"+name+".yaml"] = bare(name, "labels: {a: b}")
	}
	h := newHub(t, before, func(_ *hub, _ *simulated.Options, config *[]string) {
		*config = append(*config, "guard: {maxCreates: 10000}")
	})
	h.look()
	h.active("risky00", "old0000")
	n := h.propose("huge", after)
	began := time.Now()
	h.look()
	t.Logf("planned and told in %s", time.Since(began).Round(time.Millisecond))
	body := h.wantComment(n, "plan", "https://reconciler.agency.example/pulls/1")
	if len(body) >= 65_536 {
		t.Errorf("the comment has %d bytes", len(body))
	}
	for i := range risky {
		name := fmt.Sprintf("risky%02d", i)
		if !strings.Contains(body, "| ⚠️&nbsp;[`"+name+"`](<https://reconciler.agency.example/clients/"+name+">) | changes: database | kept until ") {
			t.Errorf("%s is not in the table", name)
		}
		if _, told, ok := strings.Cut(body, "#### ⚠️ "+name+"\n"); !ok || !strings.HasPrefix(told, "\nIts database goes out of use and stays until ") {
			t.Errorf("what comes of %s is not told", name)
		}
	}
	if s := h.gh.Statuses(h.headOf(n)); len(s) > 6 {
		t.Errorf("%d statuses", len(s))
	}
	if s := h.gh.StatusHistory(h.headOf(n)); len(s) > 6 {
		t.Errorf("%d status writes", len(s))
	}
	var plan reconcile.Preview
	if err := json.Unmarshal([]byte(h.whole("/api/pulls/1/plan")), &plan); err != nil {
		t.Fatal(err)
	}
	if len(plan.Changes) != changed {
		t.Errorf("the plan has %d changes", len(plan.Changes))
	}
	page := h.whole("/pulls/1")
	for _, w := range []string{"risky00", "risky39", "4000 more clients are not shown", "/api/pulls/1/plan"} {
		if !strings.Contains(page, w) {
			t.Errorf("the page lacks %q", w)
		}
	}
}

// whole is an answer of our own pages, however long.
func (h *hub) whole(path string) string {
	h.t.Helper()
	code, body := h.get("localhost", path)
	if code != http.StatusOK {
		h.t.Fatalf("%s: %d %.200s", path, code, body)
	}
	return body
}

// spent counts the program's writes, by kind, after the first n.
func (h *hub) spent(n int) map[string]int {
	out := map[string]int{}
	for _, w := range h.gh.Writes()[n:] {
		out[w.Kind]++
	}
	return out
}

// A plan on a pull request costs one comment write and four status writes at most, the
// merge of one client one comment write, six status writes and a deployment with two
// statuses; looking again costs no write, and nothing that GitHub counts.
func TestBudgetOfWrites(t *testing.T) {
	for _, kind := range []simulated.Kind{simulated.MergeCommit, simulated.Squash, simulated.Rebase} {
		t.Run(string(kind), func(t *testing.T) { budget(t, kind, false) })
	}
	// The outbox is emptied at every call to a provider: nothing can be said together.
	t.Run("at every step", func(t *testing.T) { budget(t, simulated.MergeCommit, true) })
}

func budget(t *testing.T, kind simulated.Kind, often bool) {
	h := newHub(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery")})
	h.look()
	if often {
		tell := func() {
			if err := h.daemon.program.deliver(context.Background()); err != nil {
				t.Error(err)
			}
		}
		h.calls.interfere(func(call) error { tell(); return nil }, func(call) error { tell(); return nil })
		h.calls.slow(func(call) bool { tell(); return false })
	}
	within := func(what string, n int, most map[string]int) {
		t.Helper()
		got := h.spent(n)
		t.Logf("%s: %v", what, got)
		for kind, k := range got {
			if k > most[kind] {
				t.Errorf("%s: %d writes of kind %s, want %d at most", what, k, kind, most[kind])
			}
		}
	}
	at := len(h.gh.Writes())
	n := h.propose("add-demoshop", map[string]string{"clients/demoshop.yaml": manifestOf("demoshop")})
	h.look()
	h.wantComment(n, "plan", "demoshop")
	within("plan", at, map[string]int{"comment.create": 1, "status.create": 4})

	at = len(h.gh.Writes())
	h.clock.add(time.Minute)
	h.pushTo("add-demoshop", map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", "env: {STORE_CURRENCY: CHF}")})
	h.look()
	h.clock.add(time.Minute)
	h.look()
	h.wantComment(n, "plan", "CHF")
	within("plan of the next push", at, map[string]int{"comment.edit": 1, "status.create": 4})

	at = len(h.gh.Writes())
	commit := h.merge(n, kind)
	h.look()
	h.active("demoshop")
	h.look()
	h.wantStatus(commit, "apply", "success", "1 client up to date")
	h.wantComment(n, "result", "demoshop", "live")
	within("merge", at, map[string]int{"comment.create": 1, "status.create": 6, "deployment.create": 1, "deployment.status": 2})

	at = len(h.gh.Writes())
	used := h.used()
	for range 5 {
		h.look()
	}
	within("looking again", at, nil)
	if now := h.used(); now != used {
		t.Errorf("looking again took %d requests of the hour's", now-used)
	}
}

// used is how many requests GitHub counted, of the program's hour.
func (h *hub) used() int {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, h.api.URL+"/api/v3/rate_limit", nil)
	if err != nil {
		h.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+hubToken)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	var rate struct{ Rate struct{ Used int } }
	if err := json.NewDecoder(res.Body).Decode(&rate); err != nil {
		h.t.Fatal(err)
	}
	return rate.Rate.Used
}
