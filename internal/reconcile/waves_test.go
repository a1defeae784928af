package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/state"
)

// S53: sites that degrade in scheduled probes after their pass went well halt a change
// that is still on its way.
func TestS53ScheduledProbesHaltAChange(t *testing.T) {
	v, w := newVendors(t)
	files := map[string]string{}
	for i := range 40 {
		files[fmt.Sprintf("clients/c%02d.yaml", i)] = client(fmt.Sprintf("c%02d", i))
	}
	w.apply(files)
	// The first and three of the tenth get it; the last one's build takes its time.
	slow := func(c memory.Call) bool { return strings.Contains(fmt.Sprintf("%+v", c), "c04-") }
	v.faults.On(memory.Before, func(c memory.Call) bool { return slow(c) && memory.Is(memory.Create, state.KindDeployment)(c) }, 0,
		memory.Fail(provider.Transient, "503 service unavailable"))
	w.apply(map[string]string{"templates/shop.yaml": strings.Replace(template, "ref: v1", "ref: v2", 1)})
	holds := func() state.Hold {
		o, err := w.engine.Overview()
		if err != nil || len(o.Holds) != 1 {
			t.Fatalf("holds: %+v, %v", o.Holds, err)
		}
		return o.Holds[0]
	}
	if h := holds(); h.Waves.Stage != 2 || h.Waves.Good != 4 || len(h.Waves.Out) != 1 {
		t.Fatalf("it is not in its second wave: %+v", h.Waves)
	}
	w.unfit = func(url string) error {
		for _, bad := range []string{"c00", "c01", "c02"} {
			if strings.Contains(url, bad) {
				return errors.New("answers 500")
			}
		}
		return nil
	}
	for range 3 {
		if err := w.engine.ProbeAll(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	w.restart()
	h := holds()
	if !h.Waves.Halted || !strings.Contains(h.Reason, "failed on c00, c01, c02 of 40; 35 clients wait, 1 went well") {
		t.Errorf("it goes on: %s", h.Reason)
	}
	v.faults.Clear()
	w.drain(w.id("c04"))
	w.want("c04", state.StatusActive)
	for i := range 40 {
		name := fmt.Sprintf("c%02d", i)
		d, _ := v.world.Serves(name + ".agency.example")
		o, _ := v.world.Object(d)
		if got, want := strings.Contains(fmt.Sprintf("%+v", o.Attributes), "v2"), i < 5; got != want {
			t.Errorf("%s serves the new version: %v, want %v", name, got, want)
		}
	}
}
