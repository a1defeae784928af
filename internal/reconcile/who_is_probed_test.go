package reconcile_test

import (
	"context"
	"errors"
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
