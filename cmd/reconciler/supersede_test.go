package main

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// S16: two merges of the same client: no step of the first begins once the second is
// accepted; the second wish stays; the first commit's verdict says what superseded it.
func TestS16NewestWins(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery", "env: {STORE_CURRENCY: EUR}")})
	w.start()
	w.active("bakery")
	reached, go1 := make(chan struct{}), make(chan struct{})
	var once sync.Once
	w.calls.interfere(nil, func(x call) error {
		if x.Verb == "update" && x.Kind == state.KindEnvironment {
			once.Do(func() { close(reached); <-go1 })
		}
		return nil
	})
	first := w.commit(map[string]string{"clients/bakery.yaml": manifestOf("bakery", "env: {STORE_CURRENCY: CHF}")})
	d := w.daemon.program.daemon
	d.Hint()
	wait(t, reached, "the first wish's environment")
	second := w.commit(map[string]string{"clients/bakery.yaml": manifestOf("bakery", "env: {STORE_CURRENCY: SEK}")})
	if err := d.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	n := w.calls.len()
	close(go1)
	w.active("bakery")
	if _, page := w.get("bakery.localhost", "/"); !strings.Contains(page, "SEK") {
		t.Error("the second wish does not serve")
	}
	deployments := 0
	for _, c := range w.calls.since(n) {
		if c.Verb == "create" && c.Kind == state.KindDeployment {
			deployments++
		}
	}
	if deployments != 1 {
		t.Errorf("%d deployments were made after the second wish", deployments)
	}
	r := w.must(0, "history", "-o", "json")
	if !strings.Contains(r.out, "superseded") {
		t.Errorf("the history does not say that the first was superseded:\n%s", r.out)
	}
	if v := w.verdict(first); v.Clients[w.id("bakery")] != "superseded by "+second {
		t.Errorf("the first verdict is %+v", v)
	}
	if v := w.verdict(second); v.State != "success" {
		t.Errorf("the second verdict is %+v", v)
	}
}

// S17: a deployment is awaited, and a fixing commit merges: it starts at once, long
// before the wait would have ended.
func TestS17FixDuringAWait(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery", "env: {STORE_CURRENCY: EUR}")})
	w.start()
	w.active("bakery")
	waiting := make(chan struct{})
	var once sync.Once
	w.calls.slow(func(x call) bool {
		if x.Verb != "observe" || x.Kind != state.KindDeployment || w.daemon == nil {
			return false
		}
		once.Do(func() { close(waiting) })
		return true // it is never ready
	})
	w.commit(map[string]string{"clients/bakery.yaml": manifestOf("bakery", "env: {STORE_CURRENCY: CHF}")})
	w.daemon.program.daemon.Hint()
	wait(t, waiting, "the wait for the deployment")
	w.commit(map[string]string{"clients/bakery.yaml": manifestOf("bakery", "env: {STORE_CURRENCY: SEK}")})
	if err := w.daemon.program.daemon.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	w.calls.slow(nil)
	w.active("bakery")
	if took := time.Since(begun); took > time.Minute {
		t.Errorf("it took %s", took)
	}
	if _, page := w.get("bakery.localhost", "/"); !strings.Contains(page, "SEK") {
		t.Error("the fix does not serve")
	}
}

func wait(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatalf("%s never comes", what)
	}
}
