package apply_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/state"
)

// halves makes databases by several calls, and comes no further than the first one.
type halves struct {
	provider.Provider
	vendor *memory.World
	lost   bool // and its answer is lost
	refuse *int // so many updates are refused for now
}

func (h halves) Create(ctx context.Context, w provider.Wish) (provider.Object, error) {
	o, err := h.Provider.Create(ctx, w)
	if err != nil || w.Ref.Kind != state.KindDatabase {
		return o, err
	}
	h.vendor.Edit(o.ID, func(x *provider.Object) { x.Phase, x.Attributes = provider.Unfinished, nil })
	o.Phase, o.Attributes = provider.Unfinished, nil
	if h.lost {
		return provider.Object{}, &provider.Error{Kind: provider.Uncertain, Provider: h.Name(), Op: "create", Message: "no answer came"}
	}
	return o, nil
}

func (h halves) Update(ctx context.Context, id string, w provider.Wish) (provider.Object, error) {
	if w.Ref.Kind != state.KindDatabase {
		return h.Provider.Update(ctx, id, w)
	}
	if *h.refuse > 0 {
		*h.refuse--
		return provider.Object{}, &provider.Error{Kind: provider.Transient, Provider: h.Name(), Op: "update", Message: "not now"}
	}
	h.vendor.Edit(id, func(x *provider.Object) { x.Phase = provider.Ready })
	return h.Provider.Update(ctx, id, w)
}

// P3, P8: what a create of several calls left unfinished is found, and finished by updates,
// wherever it was cut off; there is one, and it is as wished.
func TestP3UnfinishedIsFinished(t *testing.T) {
	for _, lost := range []bool{false, true} {
		for _, refuse := range []int{0, 1, 9} {
			for _, border := range []apply.Border{"", apply.BeforeIntent, apply.AfterIntent, apply.AfterCall, apply.AfterOutcome} {
				for n := range 2 { // the process dies at the border for the n. time
					t.Run(fmt.Sprintf("lost %v, refuse %d, %s %d", lost, refuse, border, n), func(t *testing.T) {
						left := refuse
						w := start(t, func(w *world) {
							w.wrap = func(p provider.Provider) provider.Provider { return halves{p, w.vendor, lost, &left} }
						})
						passing := 0
						w.at = func(b apply.Border, s plan.Step) {
							if b != border || s.Ref.Kind != state.KindDatabase {
								return
							}
							if passing++; passing == n+1 {
								panic(killed{string(b)})
							}
						}
						w.wants(shop("bakery"))
						func() {
							defer func() {
								if x := recover(); x != nil {
									if _, ok := x.(killed); !ok {
										panic(x)
									}
									w.restart()
								}
							}()
							w.settle(3)
						}()
						w.at = nil
						w.converged()
						if r := w.on("bakery", state.KindDatabase); r.Phase != "" {
							t.Errorf("on record it is %s", r.Phase)
						}
					})
				}
			}
		}
	}
}

// One that is unfinished on record when its client goes is kept like any other, and finished
// when the client returns.
func TestUnfinishedReturns(t *testing.T) {
	never := 1 << 20
	w := start(t, func(w *world) {
		w.wrap = func(p provider.Provider) provider.Provider { return halves{p, w.vendor, false, &never} }
	})
	w.wants(shop("bakery"))
	if _, err := w.pass(context.Background()); err != nil {
		t.Fatal(err)
	}
	if r := w.on("bakery", state.KindDatabase); r.Phase != string(provider.Unfinished) {
		t.Fatalf("on record it is %q", r.Phase)
	}
	id := w.on("bakery", state.KindDatabase).ID
	w.goes("bakery")
	w.converged()
	never = 0
	w.wants(shop("bakery"))
	w.converged()
	if r := w.on("bakery", state.KindDatabase); r.ID != id || r.Phase != "" {
		t.Errorf("on record is %s, %q; want %s", r.ID, r.Phase, id)
	}
}
