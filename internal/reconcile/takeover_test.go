package reconcile_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

// quiet is what a hand-made site's manifest says so that nothing of it would change.
const quiet = adoptLine + "\npaused: true\nenv: {DATABASE_URL: {none: true}, PAYLOAD_SECRET: {none: true}}"

// confirms lets the engine write marks.
func confirms(w *world) {
	w.engine.Runner.Marker = func(name string, k state.Kind) (provider.Marker, bool) {
		for _, p := range w.engine.Providers {
			if t, keeps := p.Traits()[k]; keeps && t.Marks && p.Name() == name {
				m, ok := p.(provider.Marker)
				return m, ok
			}
		}
		return nil, false
	}
}

func confirmed(t *testing.T, w *world, names ...string) reconcile.Confirmation {
	t.Helper()
	v, err := w.engine.ConfirmAdoption(t.Context(), names, 10, "dana")
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Rule "Adoption": a paused client records nothing until somebody confirms it; then all that
// it names is on record and marked, it stays paused, and nothing else is written.
func TestRuleAdoptionIsConfirmed(t *testing.T) {
	all, w := adoptable(t, "site-1")
	confirms(w)
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery", quiet)})
	w.want("bakery", state.StatusPaused)
	if d, err := w.engine.Detail("bakery"); err != nil || len(d.Resources) > 0 {
		t.Fatalf("recorded before anybody confirmed it: %+v %v", d.Resources, err)
	}
	v := confirmed(t, w)
	if len(v.Clients) != 1 || v.Left != 0 {
		t.Fatalf("%+v", v)
	}
	if c := v.Clients[0]; !c.Done || c.Recorded < 5 || !slices.Equal(c.Marked, []string{"database at railway", "record at cloudflare", "site at vercel"}) {
		t.Errorf("%+v", c)
	}
	for _, call := range all.Calls() {
		if call.Verb.Writes() && call.Verb != memory.Mark {
			t.Errorf("written: %s", call)
		}
	}
	w.want("bakery", state.StatusPaused)
	if v := confirmed(t, w); len(v.Clients) != 0 || v.Left != 0 {
		t.Errorf("a second time: %+v", v)
	}
	n := len(all.Calls())
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery", strings.Replace(quiet, "paused: true\n", "", 1))})
	for _, call := range all.Calls()[n:] {
		if call.Verb.Writes() && call.Kind != state.KindDeployment && call.Kind != state.KindTraffic && call.Kind != state.KindEnvironment {
			t.Errorf("the end of the pause wrote %s", call) // what the template wishes otherwise is planned like any change
		}
	}
}

// A client that can't be taken stops no other, is asked about last the next time, and says why.
func TestRuleAdoptionIsConfirmedAroundTheStuck(t *testing.T) {
	all, w := adoptable(t, "site-1")
	confirms(w)
	stuck := client("alpha", "adopt: {site: {id: choose-one-alpha}}\npaused: true\nenv: {DATABASE_URL: {none: true}, PAYLOAD_SECRET: {none: true}}")
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery", quiet), "clients/alpha.yaml": stuck})
	all.Down("cloudflare", memory.Fail(provider.Transient, "503 service unavailable"))
	v, err := w.engine.ConfirmAdoption(t.Context(), nil, 1, "dana")
	if err != nil || len(v.Clients) != 1 || v.Clients[0].Client != "alpha" || v.Clients[0].Done || !strings.Contains(v.Clients[0].Because, "never created") || v.Left != 2 {
		t.Fatalf("%+v %v", v, err)
	}
	v, err = w.engine.ConfirmAdoption(t.Context(), nil, 1, "dana")
	if err != nil || len(v.Clients) != 1 || v.Clients[0].Client != "bakery" || v.Clients[0].Done || v.Left != 2 {
		t.Fatalf("with a provider that is down: %+v %v", v, err)
	}
	all.Down("cloudflare", nil)
	if v := confirmed(t, w, "bakery"); len(v.Clients) != 1 || !v.Clients[0].Done {
		t.Fatalf("%+v", v)
	}
	for _, call := range all.Calls() {
		if call.Verb.Writes() && call.Verb != memory.Mark {
			t.Errorf("written: %s", call)
		}
	}
	if v := confirmed(t, w); v.Left != 1 || len(v.Clients) != 1 || v.Clients[0].Client != "alpha" {
		t.Errorf("%+v", v)
	}
}

// Who adopts nothing can't be confirmed, nor who isn't there; a mark that is refused is told,
// and what is on record stays.
func TestRuleAdoptionIsRefused(t *testing.T) {
	_, w := adoptable(t, "site-1")
	confirms(w)
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery", quiet), "clients/other.yaml": client("other", "paused: true")})
	if _, err := w.engine.ConfirmAdoption(t.Context(), []string{"other"}, 1, "dana"); !errors.Is(err, reconcile.ErrRefused) {
		t.Errorf("other: %v", err)
	}
	if _, err := w.engine.ConfirmAdoption(t.Context(), []string{"nobody"}, 1, "dana"); !errors.Is(err, reconcile.ErrNoClient) {
		t.Errorf("nobody: %v", err)
	}
	w.engine.Runner.Marker = func(string, state.Kind) (provider.Marker, bool) { return refusing{}, true }
	v := confirmed(t, w)
	if c := v.Clients[0]; c.Done || !strings.Contains(c.Because, "could not be marked") || c.Recorded == 0 {
		t.Errorf("%+v", c)
	}
	confirms(w)
	if v := confirmed(t, w); !v.Clients[0].Done {
		t.Errorf("%+v", v)
	}
}

// refusing refuses every mark.
type refusing struct{}

func (refusing) Mark(context.Context, state.Kind, string, provider.Mark) error {
	return memory.Fail(provider.Invalid, "comments can't be longer")
}

// P6: the clock was set back, and somebody confirms an adoption before anybody else comes to see that: who waited for a
// date of before is due all the same.
func TestP6AdoptionIsConfirmedAsTheClockWasSetBack(t *testing.T) {
	all, w := adoptable(t, "site-1")
	confirms(w)
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery", quiet)})
	all.Down("railway", &provider.Error{Kind: provider.Transient, Provider: "railway", Op: "create", Message: "503 service unavailable"})
	shop := w.push(map[string]string{"clients/shop.yaml": client("shop")})[0]
	if d, err := w.engine.Pass(t.Context(), shop, reconcile.CauseCommit); err != nil || d.At.IsZero() {
		t.Fatalf("it does not wait: %+v, %v", d, err)
	}
	all.Down("railway", nil)
	w.clock.jump(-365 * 24 * time.Hour) // what its queue waits for comes in a year
	confirmed(t, w, "bakery")
	if due := w.poll(); !slices.Contains(due, shop) {
		t.Errorf("due: %v", due)
	}
}
