package main

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

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
			err := refuse(provider.RateLimited, x, "too many requests").(*provider.Error)
			err.Until = w.now().Add(pause)
			return err
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
