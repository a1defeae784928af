package apply_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/state"
)

// afterDNS lets names get what they are served with once DNS leads there.
func afterDNS(w *world) {
	w.change = func(k state.Kind, t *provider.Traits) { t.AfterDNS = k == state.KindDomain }
}

// slowDNS is a host for which DNS does not lead to it yet when it is asked so many times.
type slowDNS struct {
	provider.Provider
	vendor *memory.World
	slow   *int
}

func (s slowDNS) Update(ctx context.Context, id string, w provider.Wish) (provider.Object, error) {
	o, err := s.Provider.Update(ctx, id, w)
	if err == nil && w.Ref.Kind == state.KindDomain && *s.slow > 0 {
		*s.slow--
		s.vendor.Edit(id, func(x *provider.Object) { x.Phase = provider.Unreached })
		o.Phase, o.Message = provider.Unreached, "DNS leads elsewhere"
	}
	return o, err
}

// P3, P8: a name is bound, its record is set, and then it is secured, by as many tries as DNS
// takes, in this pass or a later one, wherever it is cut off.
func TestANameIsSecuredOnceDNSLeadsThere(t *testing.T) {
	for _, slow := range []int{0, 2, 9} {
		for _, border := range []apply.Border{"", apply.BeforeIntent, apply.AfterIntent, apply.AfterCall, apply.AfterOutcome} {
			t.Run(fmt.Sprintf("slow %d, %s", slow, border), func(t *testing.T) {
				left := slow
				w := start(t, afterDNS, func(w *world) {
					w.wrap = func(p provider.Provider) provider.Provider { return slowDNS{p, w.vendor, &left} }
				})
				died := false
				w.at = func(b apply.Border, s plan.Step) {
					if b == border && s.Action == plan.Secure && !died {
						died = true
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
					out, err := w.pass(context.Background())
					if slow == 9 && border == "" && (err != nil || out.state != apply.StepWaiting || !strings.Contains(fmt.Sprint(out.err), "DNS leads elsewhere")) {
						t.Errorf("while DNS is slow it is %s: %v, %v", out.state, out.err, err)
					}
					if says, is := apply.Unled(out.err); is != (out.state == apply.StepWaiting) || is && says != "DNS leads elsewhere" {
						t.Errorf("%s: that DNS does not lead there is %v, in the words %q", out.state, is, says)
					}
				}()
				w.converged()
				if r := w.on("bakery", state.KindDomain); r.Phase != "" || !w.vendor.Secure("host", "bakery.example") {
					t.Errorf("on record it is %q", r.Phase)
				}
				if died != (border != "") {
					t.Errorf("it died: %v", died)
				}
			})
		}
	}
}

// A name that is secured already costs no call.
func TestWhatIsSecuredIsNotAskedFor(t *testing.T) {
	w := start(t, afterDNS)
	w.vendor.Seed("dns", provider.Object{Kind: state.KindRecord, Name: "A bakery.example", Attributes: []provider.Observed{{Name: "content", Text: "203.0.113.7"}, {Name: "name", Text: "bakery.example"}, {Name: "type", Text: "A"}}})
	w.wants(shop("bakery", func(e *manifest.Effective) { e.DNS.Provider = "none" }))
	w.converged()
	for _, c := range w.vendor.Calls() {
		if c.Verb == memory.Update && c.Kind == state.KindDomain {
			t.Errorf("it was asked for: %s", c)
		}
	}
}

// copying is a DNS host that keeps copies of pages.
type copying struct {
	provider.Provider
	purged *[]string
	err    error
}

func (c copying) Purge(_ context.Context, hosts []string) error {
	*c.purged = append(*c.purged, hosts...)
	return c.err
}

// Copies of pages are forgotten once another release serves. That it can't be done is noted,
// and nothing waits for it.
func TestCopiesAreForgottenAndTheirFailureChangesNothing(t *testing.T) {
	for name, x := range map[string]struct {
		err   error
		can   bool
		noted string
	}{
		"it can":   {nil, true, ""},
		"it fails": {errors.New("the zone's limit is used up"), true, "copies of earlier pages stay until they end: the zone's limit is used up"},
		"it can't": {nil, false, "copies of earlier pages stay until they end: dns can't be told to forget them"},
	} {
		t.Run(name, func(t *testing.T) {
			var purged []string
			w := start(t, func(w *world) {
				w.change = func(k state.Kind, t *provider.Traits) { t.Copies = k == state.KindRecord }
				w.wrap = func(p provider.Provider) provider.Provider {
					if !x.can || p.Name() != "dns" {
						return p
					}
					return copying{p, &purged, x.err}
				}
			})
			proxied := func(e *manifest.Effective) { e.DNS.Proxied = true }
			w.wants(shop("bakery", proxied))
			w.converged()
			w.wants(shop("bakery", proxied, func(e *manifest.Effective) { e.Settings = map[string]any{"theme": "dark"} }))
			out, err := w.pass(context.Background())
			if err != nil || out.state != apply.StepDone {
				t.Fatalf("%s: %v, %v", out.state, out.err, err)
			}
			i := slices.IndexFunc(out.result.Steps, func(r apply.StepResult) bool { return r.Step.Action == plan.Refresh })
			if i < 0 || out.result.Steps[i].Note != x.noted || x.can != slices.Equal(purged, []string{"bakery.example"}) {
				t.Errorf("step %d of %v; purged were %v", i, out.result.Steps, purged)
			}
			w.converged()
		})
	}
}
