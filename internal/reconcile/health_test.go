package reconcile_test

import (
	"context"
	"errors"
	"testing"

	"github.com/compassdigital/reconciler/internal/manifest"
)

// A site is degraded from its third failed probe in a row on, and one good answer makes it healthy
// and begins the count anew. A change of either stands in the history once.
func TestDegradedFromTheThirdFailedProbeOn(t *testing.T) {
	_, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": client("shop")})
	var answer error
	w.engine.Check = func(context.Context, string, manifest.Health) error { return answer }
	bad := errors.New("it answers 500")
	told := func(what string) (n int) {
		for _, h := range w.detail("shop").History {
			if h.What == what {
				n++
			}
		}
		return n
	}
	for i, probe := range []struct {
		answer              error
		health              string
		degraded, recovered int
	}{
		{nil, "healthy", 0, 0},
		{bad, "healthy", 0, 0}, {bad, "healthy", 0, 0}, {nil, "healthy", 0, 0}, // two in a row are not enough
		{bad, "healthy", 0, 0}, {bad, "healthy", 0, 0}, {bad, "degraded", 1, 0}, {bad, "degraded", 1, 0},
		{nil, "healthy", 1, 1},
		{bad, "healthy", 1, 1}, {bad, "healthy", 1, 1}, {bad, "degraded", 2, 1},
	} {
		answer = probe.answer
		if err := w.engine.ProbeAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		if health := w.row("shop").Health; health != probe.health || told("degraded") != probe.degraded || told("recovered") != probe.recovered {
			t.Errorf("probe %d: %s, told degraded %d times, recovered %d times; want %+v", i, health, told("degraded"), told("recovered"), probe)
		}
	}
}
