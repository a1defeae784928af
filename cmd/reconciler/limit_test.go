package main

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/github/simulated"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// P6: who runs into a provider's limit is the last one that does: no call goes to it until
// the time that it gave, whoever asks, and the other providers are asked as ever.
func TestP6LimitOfOneProvider(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery")})
	w.start()
	w.active("bakery")
	const pause = 40 * time.Minute
	var met atomic.Int64 // calls until the limit was met, with the one that met it
	w.calls.interfere(func(x call) error {
		if x.Provider == "sqlite" && x.Verb == "create" && x.Kind == state.KindDatabase && met.CompareAndSwap(0, int64(w.calls.len())) {
			return &provider.Error{Kind: provider.RateLimited, Provider: x.Provider, Op: x.Verb, Message: "too many requests", Until: w.now().Add(pause)}
		}
		return nil
	}, nil)
	w.commit(map[string]string{"clients/demoshop.yaml": manifestOf("demoshop")})
	w.apply()
	if r := rowOf(w.status(), "demoshop"); met.Load() == 0 || r.Status != string(state.StatusProvisioning) || !strings.Contains(r.Because, "sqlite") {
		t.Fatalf("demoshop is %s: %s; %d", r.Status, r.Because, met.Load())
	}
	w.must(0, "retry", "demoshop")
	w.commit(map[string]string{"clients/bakery.yaml": manifestOf("bakery", "env: {STORE_CURRENCY: CHF}"), "clients/florist.yaml": manifestOf("florist", "database: {provider: none}", "env: {DATABASE_URL: {none: true}}")})
	w.apply()
	w.active("florist")
	if err := w.daemon.program.watchDrift(t.Context()); err != nil {
		t.Fatal(err)
	}
	others, changed := 0, false
	for _, x := range w.calls.since(int(met.Load())) {
		if x.Provider == "sqlite" {
			t.Errorf("it was asked before the time that it gave: %s", x)
			continue
		}
		others++
		changed = changed || x.Kind == state.KindEnvironment && x.Verb == "update"
	}
	if others == 0 || !changed {
		t.Errorf("%d calls to others; bakery's environment changed: %t", others, changed)
	}
	w.clock.add(pause)
	w.must(0, "retry", "demoshop")
	w.active("demoshop")
}

// S31: while a provider is away, statuses say what is waited for, once; they end when it is
// back.
func TestS31OnGitHub(t *testing.T) {
	h := newHub(t, map[string]string{"README.md": "clients\n"})
	h.look()
	var away atomic.Bool
	away.Store(true)
	h.calls.interfere(func(x call) error {
		if x.Provider == "sqlite" && away.Load() {
			return refuse(provider.Transient, x, "503: the service is away, and says so at some length, as services do, which leaves little room for any other words in a line")
		}
		return nil
	}, nil)
	n := h.propose("add-three", map[string]string{"clients/demoshop.yaml": manifestOf("demoshop"), "clients/bakery.yaml": manifestOf("bakery"),
		"clients/florist.yaml": manifestOf("florist", "database: {provider: none}", "env: {DATABASE_URL: {none: true}}")})
	h.look()
	commit := h.merge(n, simulated.MergeCommit)
	waits := func() {
		t.Helper()
		h.wantStatus(commit, "apply", "pending", "1/3 clients done; waiting for sqlite")
		for _, name := range []string{"demoshop", "bakery"} {
			h.wantStatus(commit, "client/"+name, "pending", name+" is waiting for sqlite; it goes on by itself")
		}
		h.wantStatus(commit, "client/florist", "success", "")
	}
	h.look()
	waits()
	if r := rowOf(h.status(), "demoshop"); !strings.HasPrefix(r.Because, "waiting for sqlite: 503") {
		t.Errorf("status says: %s", r.Because)
	}
	written := len(h.gh.StatusHistory(commit))
	for range 3 {
		h.clock.add(time.Hour)
		for _, name := range []string{"demoshop", "bakery"} {
			h.must(0, "retry", name)
		}
		h.look()
	}
	waits()
	if more := h.gh.StatusHistory(commit)[written:]; len(more) > 0 {
		t.Errorf("it was said again: %+v", more)
	}
	away.Store(false)
	for _, name := range []string{"demoshop", "bakery"} {
		h.must(0, "retry", name)
	}
	h.look()
	h.wantStatus(commit, "apply", "success", "3 clients up to date")
	for _, name := range []string{"demoshop", "bakery"} {
		h.wantStatus(commit, "client/"+name, "success", "live")
	}
	for _, s := range h.gh.StatusHistory(commit) {
		if len([]rune(s.Description)) > 140 {
			t.Errorf("%d characters: %s", len([]rune(s.Description)), s.Description)
		}
	}
	if more := len(h.gh.StatusHistory(commit)) - written; more > 6 { // one a client, and some of the commit
		t.Errorf("%d statuses for the return", more)
	}
}
