package apply_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// scene is a world that is prepared, and then to be changed.
type scene struct {
	name    string
	prepare func(w *world)
	change  func(w *world)
}

func (s scene) world(t *testing.T, change ...func(*world)) *world {
	t.Helper()
	w := start(t, change...)
	if s.prepare != nil {
		s.prepare(w)
		w.converged()
		w.clock.move(time.Hour) // what is listed late is listed now
	}
	s.change(w)
	return w
}

func scenes() []scene {
	settled := func(w *world) { w.wants(shop("bakery")) }
	return []scene{
		{"create", nil, settled},
		{"update", settled, func(w *world) {
			w.wants(shop("bakery", func(e *manifest.Effective) {
				e.Environment["CURRENCY"] = manifest.EnvValue{Literal: "SEK"}
				e.DisabledCollections = []string{"orders"}
				e.Hosts = append(e.Hosts, "www.bakery.example")
			}))
		}},
		{"move", func(w *world) {
			w.wants(shop("bakery", func(e *manifest.Effective) { e.Hosts = append(e.Hosts, "cake.example") }))
			w.wants(shop("florist"))
		}, func(w *world) {
			w.wants(shop("bakery"))
			w.wants(shop("florist", func(e *manifest.Effective) { e.Hosts = append(e.Hosts, "cake.example") }))
		}},
		{"replace", settled, func(w *world) {
			w.wants(shop("bakery", func(e *manifest.Effective) { e.DNS.Provider = "dns2" }))
		}},
		{"switch", settled, func(w *world) {
			w.wants(shop("bakery", func(e *manifest.Effective) { e.Deployment.Provider = "other" }))
		}},
		{"move data", func(w *world) { w.wants(shop("bakery", noUser)) }, func(w *world) {
			w.vendor.Write(w.on("bakery", state.KindDatabase).ID, "an order")
			w.wants(shop("bakery", noUser, func(e *manifest.Effective) { e.Database.Provider = "db2" }))
		}},
		{"delete and retain", settled, func(w *world) { w.goes("bakery") }},
		{"return", func(w *world) {
			w.wants(shop("bakery"))
			w.converged()
			w.goes("bakery")
		}, func(w *world) {
			w.wants(shop("bakery", func(e *manifest.Effective) { e.DisabledCollections = []string{"orders"} }))
		}},
		{"find and forget", func(w *world) {
			w.vendor.Seed("dns", provider.Object{Kind: state.KindRecord, Name: "TXT shop.bakery.example", Attributes: texts("type", "TXT", "name", "shop.bakery.example", "content", "hi", "ttl", "300")})
			w.wants(shop("bakery", func(e *manifest.Effective) {
				e.DNS.Records = []manifest.Record{{Type: "TXT", Name: "shop", Content: "hi"}}
			}))
		}, settled},
		{"adopt", nil, func(w *world) { w.adoptable(); w.wants(shop("bakery", adopting)) }},
		{"look-alike gone", settled, func(w *world) {
			for _, o := range w.vendor.Objects("host") {
				if o.Kind == state.KindDomain {
					w.vendor.Remove(o.ID)
				}
			}
			w.wants(shop("bakery", func(e *manifest.Effective) { e.Environment["CURRENCY"] = manifest.EnvValue{Literal: "SEK"} }))
		}},
	}
}

// noUser leaves the site's user out: who is kept by the provider of the database can't be moved.
func noUser(e *manifest.Effective) { e.AdminPanel = manifest.AdminPanel{} }

func texts(pairs ...string) (out []provider.Input) {
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, provider.Input{Name: pairs[i], Text: pairs[i+1]})
	}
	return out
}

// dies runs passes until the process is killed; false: it lived to the end.
func (w *world) dies() (died bool) {
	w.t.Helper()
	defer func() {
		if x := recover(); x != nil {
			if _, ours := x.(killed); !ours {
				panic(x)
			}
			died = true
		}
	}()
	w.converged()
	return false
}

// vendors under which the process is killed: kind ones, and ones that take names twice,
// show late what is there, and can't bear marks.
func vendors() map[string]func(*world) {
	late := vendorKind{"late", false, true, 8 * time.Second}
	bare := vendorKind{"bare", false, false, 0}
	return map[string]func(*world){"kind": func(*world) {}, "late": late.use, "bare": bare.use}
}

// P8, P3: killed at any border of any step, the next start converges to the world of an
// undisturbed run. What kind of vendor it is matters only to a write that is in doubt: the
// next test kills there, at each kind.
func TestP8KilledAtAnyBorder(t *testing.T) {
	for _, s := range scenes() {
		t.Run(s.name, func(t *testing.T) {
			borders := 0
			calm := s.world(t)
			calm.at = func(apply.Border, plan.Step) { borders++ }
			calm.converged()
			want := calm.picture()
			if borders < 1 && s.name != "adopt" && s.name != "find and forget" {
				t.Fatalf("%d borders", borders)
			}
			for n := 1; n <= borders; n++ {
				w := s.world(t, func(w *world) { w.real = n%31 == 0 })
				left, where := n, ""
				w.at = func(b apply.Border, s plan.Step) {
					if left--; left == 0 {
						where = fmt.Sprint(b, " of ", s.Key())
						panic(killed{where})
					}
				}
				if !w.dies() {
					t.Fatalf("lived at border %d of %d", n, borders)
				}
				w.restart()
				w.converged()
				if d := cmp.Diff(want, w.picture()); d != "" {
					t.Fatalf("killed %s (-undisturbed +after):\n%s", where, d)
				}
			}
		})
	}
}

// The same, killed inside the calls themselves: before and after what they do. After a
// look is as before it: it has changed nothing. And who is killed before a look has no
// write in doubt, so that this is tried at one kind of vendor.
func TestP8KilledInsideAnyCall(t *testing.T) {
	for _, s := range scenes() {
		for name, use := range vendors() {
			if s.name == "return" && name == "bare" {
				continue // what was forgotten and bears no mark is a stranger's
			}
			t.Run(s.name+"/"+name, func(t *testing.T) {
				before := writes
				if name == "kind" {
					before = nil
				}
				calm := s.world(t, use)
				calls := 0
				calm.everyCall(before, writes, func() { calls++ })
				calm.converged()
				want := calm.picture()
				for n := 1; n <= calls; n++ {
					w := s.world(t, use)
					left := n
					w.everyCall(before, writes, func() {
						if left--; left == 0 {
							panic(killed{"in a call"})
						}
					})
					if !w.dies() {
						t.Fatalf("lived at call %d of %d", n, calls)
					}
					w.restart()
					w.converged()
					if d := cmp.Diff(want, w.picture()); d != "" {
						t.Fatalf("killed in call %d (-undisturbed +after):\n%s", n, d)
					}
				}
			})
		}
	}
}

// everyCall does something before and after the effect of the calls that match and do not
// fail; nil: of all.
func (w *world) everyCall(before, after func(memory.Call) bool, do func()) {
	w.faults.Do(memory.Before, before, 0, func(context.Context, memory.Call) error { do(); return nil })
	w.faults.Do(memory.After, after, 0, func(context.Context, memory.Call) error { do(); return nil })
}

func writes(c memory.Call) bool { return c.Verb.Writes() }

// P3: an update of the store that fails, at any point, kept or not, ends the pass; no
// write is sent without its intent (every call is watched), and the next start converges.
func TestP3StoreFailsAnywhere(t *testing.T) {
	for _, s := range scenes() {
		for _, kept := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/kept %v", s.name, kept), func(t *testing.T) {
				calm := s.world(t)
				before := calm.journal.updates
				calm.converged()
				want, updates := calm.picture(), calm.journal.updates-before
				if updates == 0 {
					t.Fatal("nothing was written")
				}
				for n := 1; n <= updates; n++ {
					w := s.world(t)
					w.journal.failAt, w.journal.kept = w.journal.updates+n, kept
					var failed bool
					for range 10 {
						out, err := w.pass(context.Background())
						if failed = err != nil; failed || out.idle {
							break
						}
					}
					if !failed {
						t.Fatalf("update %d of %d failed and no pass said so", n, updates)
					}
					w.restart()
					w.converged()
					if d := cmp.Diff(want, w.picture()); d != "" {
						t.Fatalf("update %d failed (-undisturbed +after):\n%s", n, d)
					}
				}
			})
		}
	}
}

// P8: stopped at any call by its context, the next start converges to the same world.
func TestP8CancelledAnywhere(t *testing.T) {
	for _, s := range scenes() {
		t.Run(s.name, func(t *testing.T) {
			calm := s.world(t)
			calls := 0
			calm.everyCall(nil, nil, func() { calls++ })
			calm.converged()
			want := calm.picture()
			for n := 1; n <= calls; n++ {
				w := s.world(t)
				ctx, cancel := context.WithCancelCause(context.Background())
				left := n
				w.everyCall(nil, nil, func() {
					if left--; left == 0 {
						cancel(errStopped)
					}
				})
				for range 10 {
					out, err := w.pass(ctx)
					if err != nil || out.idle {
						break
					}
				}
				cancel(nil)
				writes := w.vendor.Counts("").Writes
				if _, err := w.pass(ctx); err == nil && len(w.plan(nil).Steps) > 0 && w.vendor.Counts("").Writes > writes {
					t.Fatal("a write was sent after the end")
				}
				w.restart()
				w.faults.Clear()
				w.converged()
				if d := cmp.Diff(want, w.picture()); d != "" {
					t.Fatalf("cancelled in call %d (-undisturbed +after):\n%s", n, d)
				}
			}
		})
	}
}

var errStopped = fmt.Errorf("the program is stopped")

// Rule "Secrets": what is generated is sealed with the intent, before it is sent, and the
// same value is sent again when the answer was lost or the process killed.
func TestRuleSecretsAreSealedBeforeTheyAreSent(t *testing.T) {
	for _, end := range []string{"lost before", "lost after", "killed before", "killed after"} {
		t.Run(end, func(t *testing.T) {
			w := start(t, func(w *world) { w.fixed, w.real = false, true })
			w.wants(shop("bakery"))
			sent := 0
			do := func(context.Context, memory.Call) error {
				sent++
				w.view(func(tx store.Tx) error {
					if s, ok, err := store.Secret(tx, string(idOf("bakery")), "generated/SESSION", 1); err != nil || !ok || s.Ref.Fingerprint == "" {
						t.Errorf("sent before it was sealed: %v %v", s.Ref, err)
					}
					return nil
				})
				if end == "lost before" || end == "lost after" {
					return memory.Lost()
				}
				panic(killed{end})
			}
			m := memory.Before
			if end == "lost after" || end == "killed after" {
				m = memory.After
			}
			w.faults.Do(m, memory.Is(memory.Create, state.KindEnvironment), 1, do)
			if w.dies() {
				w.restart()
				w.converged()
			}
			var sealed string
			w.view(func(tx store.Tx) error {
				s, _, err := store.Secret(tx, string(idOf("bakery")), "generated/SESSION", 0)
				sealed = string(s.Text)
				if s.Ref.Version != 1 {
					t.Errorf("version %d", s.Ref.Version)
				}
				return err
			})
			d, _ := w.vendor.Serves("bakery.example")
			if got := w.vendor.BuiltWith(d)["SESSION"]; got != sealed || sealed == "" || sent != 1 {
				t.Errorf("built with another secret than the sealed one (sent %d times)", sent)
			}
		})
	}
}
