package reconcile_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/state"
)

// S44: a client whose last change failed, or waits for an approval, still serves its old version. That one is asked
// after, too: it is degraded after three failed probes in a row, and not shown as healthy for ever.
func TestS44WhoFailedOrIsHeldIsAskedAfterToo(t *testing.T) {
	for _, at := range []state.Status{state.StatusFailed, state.StatusHeld} {
		v, w := newVendors(t)
		mx := "dns: {records: [{type: MX, name: '@', content: mx.example, priority: 10}]}"
		w.apply(map[string]string{"clients/shop.yaml": client("shop", mx)})
		w.want("shop", state.StatusActive)
		if at == state.StatusFailed {
			v.faults.On(memory.Before, memory.Is(memory.Create, state.KindDeployment), 0, memory.Fail(provider.Invalid, "the build is broken"))
			w.apply(map[string]string{"clients/shop.yaml": client("shop", mx, "env: {COLOUR: red}")})
		} else {
			w.apply(map[string]string{"clients/shop.yaml": client("shop")})
		}
		w.want("shop", at)
		w.engine.Check = func(context.Context, string, manifest.Health) error { return errors.New("503") }
		for range 3 {
			if err := w.engine.ProbeAll(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if r := w.want("shop", at); r.Health != string(state.Degraded) {
			t.Errorf("%s: its site is down, and it is shown as %s", at, r.Health)
		}
	}
}

// S44: a client waits for a vendor in the middle of a change; its old version serves on, and is asked after, too. While a pass
// works on it nobody asks.
func TestS44WhoWaitsForAVendorIsAskedAfterToo(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": client("shop")})
	w.want("shop", state.StatusActive)
	v.faults.On(memory.Before, memory.Is(memory.Create, state.KindDeployment), 0, memory.Fail(provider.Denied, "this token may not deploy"))
	w.apply(map[string]string{"clients/shop.yaml": client("shop", "env: {COLOUR: red}")})
	if r := w.want("shop", state.StatusDeploying); !strings.Contains(r.Next, "`reconciler retry shop`") {
		t.Errorf("its token lacks a permission (%s), and what to do is %q", r.Because, r.Next)
	}
	w.engine.Check = func(context.Context, string, manifest.Health) error { return errors.New("503") }
	for range 3 {
		if err := w.engine.ProbeAll(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if r := w.want("shop", state.StatusDeploying); r.Health != string(state.Degraded) {
		t.Errorf("its site is down, and it is shown as %s", r.Health)
	}
}

// What there was to do about a failure is over with the commit or the retry that mends it: nobody is told to do it while that is under way.
func TestNobodyIsToldToMendWhatIsBeingMended(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": client("shop")})
	v.faults.On(memory.Before, memory.Is(memory.Create, state.KindDeployment), 1, memory.Fail(provider.Invalid, "the build is broken"))
	w.apply(map[string]string{"clients/shop.yaml": client("shop", "env: {COLOUR: red}")})
	if r := w.want("shop", state.StatusFailed); r.Next == "" {
		t.Fatal("nothing to do")
	}
	asked := 0
	w.engine.Check = func(context.Context, string, manifest.Health) error {
		asked++
		if r := w.row("shop"); r.Next != "" || r.Because != "" {
			t.Errorf("while it is %s: %s; %s", r.Status, r.Because, r.Next)
		}
		return nil
	}
	id, err := w.engine.Retry("shop", "dana")
	if err != nil {
		t.Fatal(err)
	}
	w.pass(id)
	w.apply(map[string]string{"clients/shop.yaml": client("shop", "env: {COLOUR: blue}")})
	if w.want("shop", state.StatusActive); asked == 0 {
		t.Error("nobody asked")
	}
}

// P5: `drift --adopt` says of a database that is gone what helps: nobody makes it again.
func TestP5AdoptingDriftDoesNotPromiseData(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": client("shop")})
	w.want("shop", state.StatusActive)
	v.world.Remove(v.of(state.KindDatabase))
	d, err := w.engine.AdoptDrift(t.Context(), "shop")
	if err != nil || len(d.Left) != 1 || strings.Contains(d.Left[0].Why, "makes it again") || !strings.Contains(d.Left[0].Why, "restore it") {
		t.Errorf("%+v, %v", d.Left, err)
	}
}

// A client's removal is carried out in part, fails, and is reverted by a commit that fails, too: nothing of it serves any more. It is not
// shown as healthy at its address, and nobody is asked there. Once it serves again, it is.
func TestS44WhoServesNoMoreHasNoAddress(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/shop.yaml": client("shop")})
	before := w.want("shop", state.StatusActive)
	gone := func(when string) {
		t.Helper()
		if r := w.want("shop", state.StatusFailed); r.URL != "" || r.AdminURL != "" || r.Health != string(state.Unknown) {
			t.Errorf("%s: it is %s at %q, its administrators at %q: %s", when, r.Health, r.URL, r.AdminURL, r.Because)
		}
	}
	v.faults.On(memory.Before, memory.Is(memory.Delete, state.KindSite), 0, memory.Fail(provider.Invalid, "it is locked"))
	w.apply(map[string]string{"clients/shop.yaml": ""})
	gone("removed")
	v.faults.On(memory.Before, memory.Is(memory.Create, state.KindDeployment), 0, memory.Fail(provider.Invalid, "the build is broken"))
	w.apply(map[string]string{"clients/shop.yaml": client("shop", "env: {COLOUR: red}")})
	gone("reverted")
	w.engine.Check = func(_ context.Context, url string, _ manifest.Health) error {
		if strings.Contains(url, "shop") {
			t.Errorf("%s is asked", url)
		}
		return nil
	}
	if err := w.engine.ProbeAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.engine.Check = nil
	v.faults.Clear()
	id, err := w.engine.Retry("shop", "dana")
	if err != nil {
		t.Fatal(err)
	}
	w.pass(id)
	if r := w.want("shop", state.StatusActive); r.URL != before.URL || r.AdminURL != before.AdminURL || r.Health != before.Health {
		t.Errorf("it is %s at %q, its administrators at %q", r.Health, r.URL, r.AdminURL)
	}
}
