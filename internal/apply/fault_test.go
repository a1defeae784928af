package apply_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// vendorKind is a kind of vendor.
type vendorKind struct {
	name          string
	unique, marks bool
	lag           time.Duration
}

func vendorKinds() []vendorKind {
	return []vendorKind{
		{"unique marks", true, true, 0}, {"unique marks late", true, true, 8 * time.Second}, {"unique bare late", true, false, 8 * time.Second},
		{"marks", false, true, 0}, {"marks late", false, true, 8 * time.Second}, {"marks very late", false, true, 2 * time.Minute},
		{"bare", false, false, 0}, {"bare late", false, false, 8 * time.Second}, {"unique very late", true, true, 2 * time.Minute},
	}
}

func (v vendorKind) use(w *world) {
	w.change = func(_ state.Kind, t *provider.Traits) {
		t.UniqueName, t.Marks, t.ListLag = v.unique, v.marks, v.lag
	}
	if v.lag > 0 {
		w.options = func(o *memory.Options) { o.LateDeletes = true }
	}
}

var allKinds = []state.Kind{state.KindDatabase, state.KindSite, state.KindEnvironment, state.KindDeployment, state.KindAdmin, state.KindTraffic,
	state.KindDomain, state.KindRecord, state.KindMail}

// trouble is what goes wrong with one kind's write.
type trouble struct {
	name string
	set  func(w *world, match func(memory.Call) bool)
	ends apply.StepState // what a person has to do something about; "": goes on by itself
	// certain says that the vendor's answer leaves no doubt of what happened: then its kind
	// does not matter, and each kind of resource is tried at one kind of vendor.
	certain bool
}

// at says whether the trouble is tried with the i-th kind of resource at the n-th of so
// many kinds of vendors.
func (x trouble) at(i, n, vendors int) bool { return !x.certain || i%vendors == n }

func troubles() []trouble {
	once := func(m memory.Moment, err error) func(*world, func(memory.Call) bool) {
		return func(w *world, match func(memory.Call) bool) { w.faults.On(m, match, 1, err) }
	}
	times := func(n int, err error) func(*world, func(memory.Call) bool) {
		return func(w *world, match func(memory.Call) bool) { w.faults.On(memory.Before, match, n, err) }
	}
	limited := func(d time.Duration) func(*world, func(memory.Call) bool) {
		return func(w *world, match func(memory.Call) bool) {
			until := time.Time{}
			w.faults.Do(memory.Before, match, 2, func(context.Context, memory.Call) error {
				if until.IsZero() {
					until = w.clock.Now().Add(d)
				}
				if w.clock.Now().Before(until) {
					return memory.RateLimited(until)
				}
				return nil
			})
		}
	}
	return []trouble{
		{"transient once", once(memory.Before, memory.Fail(provider.Transient, "busy")), "", true},
		{"transient for long", times(9, memory.Fail(provider.Transient, "busy")), "", true},
		{"rate limited shortly", limited(20 * time.Second), "", true},
		{"rate limited for long", limited(20 * time.Minute), "", true},
		{"invalid", once(memory.Before, memory.Fail(provider.Invalid, "no such plan")), apply.StepFailed, true},
		{"denied", times(3, memory.Fail(provider.Denied, "the token was revoked")), "", true},
		{"conflict about nothing", once(memory.Before, memory.Fail(provider.Conflict, "exists")), apply.StepParked, false},
		{"uncertain, did not happen", once(memory.Before, memory.Lost()), "", false},
		{"uncertain, happened", once(memory.After, memory.Lost()), "", false},
		{"uncertain, happens later", once(memory.Before, memory.Late(time.Second, memory.Lost())), "", false},
		{"uncertain, happens later, and another is refused", func(w *world, match func(memory.Call) bool) {
			w.faults.On(memory.Before, match, 1, memory.Late(time.Second, memory.Lost()))
			w.faults.On(memory.Before, match, 4, memory.Fail(provider.Denied, "the token was revoked"))
		}, "", false},
		{"unclassified, happened", once(memory.After, errors.New("connection reset")), "", false},
		{"uncertain three times", func(w *world, match func(memory.Call) bool) {
			w.faults.On(memory.Before, match, 2, memory.Lost())
			w.faults.On(memory.After, match, 1, memory.Lost())
		}, "", false},
		{"uncertain, and then looks fail", func(w *world, match func(memory.Call) bool) {
			w.faults.Do(memory.After, match, 1, func(context.Context, memory.Call) error {
				w.faults.On(memory.Before, memory.Is(memory.Observe), 5, memory.Fail(provider.Transient, "busy"))
				return memory.Lost()
			})
		}, "", false},
		{"uncertain, and then looks are refused", func(w *world, match func(memory.Call) bool) {
			w.faults.Do(memory.After, match, 1, func(_ context.Context, c memory.Call) error {
				w.faults.On(memory.Before, memory.Is(memory.Observe, c.Kind), 2, memory.Fail(provider.Invalid, "the plan's quota is used up"))
				return memory.Lost()
			})
		}, "", false},
		{"transient looks", func(w *world, match func(memory.Call) bool) {
			w.faults.On(memory.Before, memory.Is(memory.Observe), 3, memory.Lost())
		}, "", false},
	}
}

// P3, never 6, rule "Uncertain creates": whatever goes wrong with a create, at whatever
// vendor, there is one object in the end, or a client that waits for a person.
func TestP3CreatesOnceWhateverGoesWrong(t *testing.T) {
	for n, v := range vendorKinds() {
		for _, x := range troubles() {
			for i, k := range allKinds {
				if !x.at(i, n, len(vendorKinds())) {
					continue
				}
				t.Run(v.name+"/"+x.name+"/"+string(k), func(t *testing.T) {
					w := start(t, v.use)
					w.wants(shop("bakery"))
					x.set(w, memory.Is(memory.Create, k))
					if x.ends == apply.StepParked && v.lag > time.Minute {
						x.ends = "" // by the time that its lists can be trusted, there is nothing
					}
					if k == state.KindMail && (x.name == "invalid" || x.name == "conflict about nothing") {
						x.ends = "" // nothing waits for a mail that is refused; the next pass sends it, unless one of its name was sent
					}
					w.check(x)
				})
			}
		}
	}
}

// check settles, and holds the end against what the trouble is to lead to.
func (w *world) check(x trouble) {
	w.t.Helper()
	out := w.settle(0)
	if x.ends == "" {
		if !out.idle {
			w.t.Fatalf("%s: %v; it was to go on by itself", out.state, out.err)
		}
	} else {
		if out.state != x.ends {
			w.t.Fatalf("%s: %v, want %s", out.state, out.err, x.ends)
		}
		if out = w.settle(3); !out.idle {
			w.t.Fatalf("after a retry: %s: %v", out.state, out.err)
		}
	}
	w.checkRecord()
	n := 0
	for _, o := range w.vendor.Objects("") {
		if !w.left(o) {
			n++
		}
	}
	want := 0
	for _, r := range w.recorded(idOf("bakery")) {
		if !sentBefore(r) {
			want++
		}
	}
	if n != want {
		w.t.Errorf("%d objects, %d on record", n, want)
	}
}

// The same for updates: an uncertain one is looked into, and the world is as wished.
func TestP3UpdatesWhateverGoesWrong(t *testing.T) {
	second := shop("bakery", func(e *manifest.Effective) {
		e.Environment["CURRENCY"] = manifest.EnvValue{Literal: "SEK"}
		e.DisabledCollections = []string{"orders"}
		e.DNS.Records = []manifest.Record{{Type: "A", Name: "shop", Content: "192.0.2.2"}}
		e.AdminPanel.Path = "/panel"
	})
	for n, v := range vendorKinds()[:5] {
		for _, x := range troubles() {
			for i, k := range []state.Kind{state.KindEnvironment, state.KindDatabase, state.KindTraffic, state.KindRecord, state.KindAdmin} {
				if !x.at(i, n, 5) {
					continue
				}
				t.Run(v.name+"/"+x.name+"/"+string(k), func(t *testing.T) {
					w := start(t, v.use)
					w.wants(shop("bakery", func(e *manifest.Effective) {
						e.DNS.Records = []manifest.Record{{Type: "A", Name: "shop", Content: "192.0.2.1"}}
					}))
					w.converged()
					w.clock.move(time.Hour) // what is listed late is listed now
					w.wants(second)
					x.set(w, memory.Is(memory.Update, k))
					w.check(x)
				})
			}
		}
	}
}

// And for deletes: what is gone is gone once, its record with it, and data stays.
func TestP3DeletesWhateverGoesWrong(t *testing.T) {
	for n, v := range vendorKinds()[:5] {
		for _, x := range troubles() {
			for i, k := range []state.Kind{state.KindSite, state.KindEnvironment, state.KindDeployment, state.KindTraffic, state.KindDomain, state.KindRecord} {
				if !x.at(i, n, 5) {
					continue
				}
				t.Run(v.name+"/"+x.name+"/"+string(k), func(t *testing.T) {
					w := start(t, v.use)
					w.wants(shop("bakery"))
					w.converged()
					w.clock.move(time.Hour)
					w.goes("bakery")
					x.set(w, memory.Is(memory.Delete, k))
					w.check(x)
					for _, r := range w.recorded(idOf("bakery")) {
						if r.Ref.Kind != state.KindDatabase && r.Ref.Kind != state.KindMail && r.Ref.Kind != state.KindAdmin {
							t.Errorf("%s is still there", r.Ref)
						}
					}
					if d := w.on("bakery", state.KindDatabase); !d.Retained() {
						t.Error("P5: the database is not retained")
					}
				})
			}
		}
	}
}

// slow is a vendor whose lost writes arrive late.
type slow struct {
	provider.Provider
	w    *world
	kind state.Kind
	late time.Duration
	left *int
}

func (s slow) Traits() map[state.Kind]provider.Traits {
	return memory.Change(s.Provider.Traits(), func(_ state.Kind, t *provider.Traits) { t.ListLag = 2 * s.late })
}

func (s slow) Create(ctx context.Context, wish provider.Wish) (provider.Object, error) {
	if wish.Ref.Kind != s.kind || *s.left == 0 {
		return s.Provider.Create(ctx, wish)
	}
	*s.left--
	s.w.clock.after(s.late, func() { _, _ = s.Provider.Create(context.WithValue(context.Background(), slow{}, true), wish) })
	return provider.Object{}, &provider.Error{Kind: provider.Uncertain, Provider: s.Name(), Op: "create", Message: "no answer"}
}

// A create whose answer was lost may arrive after the first look shows nothing: within
// the lag that the vendor states nothing is sent again.
func TestRuleUncertainCreatesArriveLate(t *testing.T) {
	for _, unique := range []bool{true, false} {
		for _, marks := range []bool{true, false} {
			for _, k := range allKinds {
				t.Run(fmt.Sprintf("unique %v marks %v/%s", unique, marks, k), func(t *testing.T) {
					left := 1
					w := start(t, func(w *world) {
						const late = 4 * time.Second
						w.change = func(_ state.Kind, t *provider.Traits) { t.UniqueName, t.Marks = unique, marks }
						w.options = func(o *memory.Options) {
							hook := o.Fault
							o.Fault = func(ctx context.Context, c memory.Call) error {
								if ctx.Value(slow{}) != nil {
									return nil // it was sent long ago
								}
								return hook(ctx, c)
							}
						}
						w.wrap = func(p provider.Provider) provider.Provider { return slow{p, w, k, late, &left} }
					})
					w.wants(shop("bakery"))
					w.converged()
					w.clock.move(time.Hour)
					w.checkRecord()
					if left != 0 {
						t.Error("nothing came late")
					}
				})
			}
		}
	}
}

// P3: a create whose answer was lost arrives late, and meanwhile a person made the equal record.
// Theirs is used only once ours can't come any more: else ours would be on no record.
func TestP3UncertainCreateArrivesBesideAnEqualOne(t *testing.T) {
	twin := start(t)
	twin.wants(shop("bakery"))
	twin.converged()
	theirs, _ := twin.vendor.Object(twin.on("bakery", state.KindRecord).ID)
	theirs.ID, theirs.Mark = "theirs", provider.Mark{}
	left := 1
	w := start(t, func(w *world) {
		w.change = func(k state.Kind, t *provider.Traits) { t.UniqueName = k != state.KindRecord }
		w.options = func(o *memory.Options) {
			hook := o.Fault
			o.Fault = func(ctx context.Context, c memory.Call) error {
				if ctx.Value(slow{}) != nil {
					return nil // it was sent long ago
				}
				return hook(ctx, c)
			}
		}
		w.wrap = func(p provider.Provider) provider.Provider {
			return slow{p, w, state.KindRecord, 4 * time.Second, &left}
		}
	})
	w.at = func(b apply.Border, s plan.Step) {
		if b == apply.AfterCall && s.Ref.Kind == state.KindRecord && left == 0 {
			w.at = nil
			w.vendor.Seed("dns", theirs)
		}
	}
	w.wants(shop("bakery"))
	w.converged()
	w.clock.move(time.Hour)
	w.checkRecord()
	if have := w.on("bakery", state.KindRecord); have.ID == "theirs" || have.Found {
		t.Errorf("theirs is used: %+v", have)
	}
	if _, there := w.vendor.Object("theirs"); !there || w.at != nil {
		t.Error("theirs is not there")
	}
}

// A vendor that says twice that something is there, of which its lists show nothing even when
// they can be trusted, keeps its client waiting for a person, not for ever by itself.
func TestAConflictThatNoListShowsWaitsForAPerson(t *testing.T) {
	for _, v := range vendorKinds() {
		if v.lag == 0 {
			continue
		}
		w := start(t, v.use)
		w.wants(shop("bakery"))
		w.faults.On(memory.Before, memory.Is(memory.Create, state.KindSite), 2, memory.Fail(provider.Conflict, "exists"))
		if out := w.settle(0); out.state != apply.StepParked {
			t.Errorf("%s: %s: %v", v.name, out.state, out.err)
		}
	}
}

// A vendor refuses a create, as an earlier one of ours is there that its lists don't show yet, and whose variables may be those
// of an earlier wish: it is brought to what is wished, and not taken for what was sent.
func TestACreateThatIsRefusedTakesWhatIsThereToTheWish(t *testing.T) {
	for _, hidden := range []bool{false, true} {
		w := start(t, func(w *world) {
			w.change = func(_ state.Kind, t *provider.Traits) { t.ListLag = 10 * time.Minute }
			if hidden {
				w.options = func(o *memory.Options) {
					o.WriteOnly = map[state.Kind][]string{state.KindEnvironment: {"env.*"}}
				}
			}
		})
		w.wants(shop("bakery"))
		var id string
		w.at = func(b apply.Border, s plan.Step) {
			if b == apply.AfterOutcome && s.Ref.Kind == state.KindEnvironment && id == "" {
				id = w.on("bakery", state.KindEnvironment).ID
				w.update(func(tx store.Tx) error { return store.DeleteResource(tx, s.Ref) })
			}
		}
		if _, err := w.pass(t.Context()); err != nil || id == "" {
			t.Fatalf("%v: %q", err, id)
		}
		w.wants(shop("bakery", func(e *manifest.Effective) { e.Environment["CURRENCY"] = manifest.EnvValue{Literal: "DKK"} }))
		w.converged()
		o, _ := w.vendor.Object(id)
		for _, a := range o.Attributes {
			if a.Name == "env.CURRENCY" && a.Text != "DKK" {
				t.Errorf("hidden %t: its currency is %s", hidden, a.Text)
			}
		}
	}
}
