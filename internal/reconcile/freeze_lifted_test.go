package reconcile_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/state"
)

// A freeze that platform.yaml takes back, or ends earlier, holds nobody any more: who waited for its end goes on
// with the commit that says so.
func TestRuleFreezeIsTakenBack(t *testing.T) {
	const head = "apiVersion: reconciler/v1\nkind: Platform\n"
	const frozen = head + "freeze: [{from: 2026-11-24T00:00, to: 2036-11-25T00:00, reason: holidays}]\n"
	for name, lifted := range map[string]string{"removed": head, "file removed": "", "shortened": head + "freeze: [{from: 2026-11-24T00:00, to: 2026-11-24T08:00, reason: holidays}]\n"} {
		t.Run(name, func(t *testing.T) {
			_, w := newVendors(t)
			w.apply(map[string]string{"platform.yaml": frozen})
			w.apply(map[string]string{"clients/shop.yaml": client("shop")})
			w.want("shop", state.StatusHeld)
			w.apply(map[string]string{"platform.yaml": lifted})
			w.clock.add(time.Minute)
			for _, d := range w.restart() {
				if !d.At.After(w.clock.Now()) {
					w.pass(d.Client)
				}
			}
			w.want("shop", state.StatusActive)
		})
	}
}

// A change that goes in waves, and waits for the end of a freeze: where that is taken back it goes in waves, too.
func TestS53WavesOutliveAFreezeThatIsTakenBack(t *testing.T) {
	v, w := newVendors(t)
	const head = "apiVersion: reconciler/v1\nkind: Platform\nguard: {maxChanged: 2}\n"
	files := map[string]string{"platform.yaml": head}
	for i := range 10 {
		files[fmt.Sprintf("clients/c%02d.yaml", i)] = client(fmt.Sprintf("c%02d", i))
	}
	w.apply(files)
	w.apply(map[string]string{"platform.yaml": head + "freeze: [{from: 2026-11-24T00:00, to: 2036-11-25T00:00, reason: holidays}]\n"})
	w.apply(map[string]string{"templates/shop.yaml": strings.Replace(template, "ref: v1", "ref: v2", 1)})
	v.faults.On(memory.Before, memory.Is(memory.Create, state.KindDeployment), 0, memory.Fail(provider.Invalid, "the build failed"))
	w.apply(map[string]string{"platform.yaml": head})
	failed := 0
	for _, c := range w.everybody() {
		if c.Status == state.StatusFailed {
			failed++
		}
	}
	if failed != 3 {
		t.Errorf("%d failed, want 3: %+v", failed, w.overview().Holds)
	}
}
