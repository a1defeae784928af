package reconcile_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/state"
)

// S53: a change that none of its clients fits (a template that is gone or lacks a feature that they have) is mended by
// the next commit, which brings another version along. That one goes in waves, as any change of many. So does a
// template's change beside which all files are moved.
func TestS53AMendedTemplateGoesInWaves(t *testing.T) {
	next := strings.Replace(template, "ref: v1", "ref: v2", 1)
	for name, mistake := range map[string]string{
		"removed": "",
		"unfit":   next + "features: {allowed: [blog], default: []}\n",
		"moved":   template,
	} {
		t.Run(name, func(t *testing.T) {
			v, w := newVendors(t)
			files, moved := map[string]string{}, map[string]string{"templates/shop.yaml": next}
			for i := range 40 {
				c := fmt.Sprintf("c%02d", i)
				files["clients/"+c+".yaml"] = client(c, "enabledFeatures: [forms]")
				moved["clients/"+c+".yaml"], moved["clients/"+c[:2]+"/"+c+".yaml"] = "", files["clients/"+c+".yaml"]
			}
			w.apply(files)
			w.apply(map[string]string{"templates/shop.yaml": mistake})
			v.faults.On(memory.Before, memory.Is(memory.Create, state.KindDeployment), 0, memory.Fail(provider.Invalid, "it does not build"))
			if name != "moved" {
				moved = map[string]string{"templates/shop.yaml": next}
			}
			w.apply(moved)
			o, err := w.engine.Overview()
			if err != nil || len(o.Problems) > 0 {
				t.Fatalf("%v %v", o.Problems, err)
			}
			failed := 0
			for _, r := range o.Clients {
				if state.Status(r.Status) == state.StatusFailed {
					failed++
				}
			}
			if failed != 3 {
				t.Errorf("it failed on %d of 40, want 3; holds: %+v", failed, o.Holds)
			}
		})
	}
}
