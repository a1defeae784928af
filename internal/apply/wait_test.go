package apply_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
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

// builds lets deployments be built in some way.
func builds(b memory.Build) func(*world) {
	return func(w *world) {
		w.options = func(o *memory.Options) {
			o.Build = func(x provider.Wish) memory.Build {
				if x.Ref.Kind == state.KindDeployment {
					return b
				}
				return memory.Build{}
			}
		}
	}
}

// texts of the events of a state, in order.
func (w *world) told(state string) (out []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if e.State == state {
			out = append(out, e.Text)
		}
	}
	return out
}

func TestAwaitStreamsTheLogOnce(t *testing.T) {
	log := []string{"install", "build", "upload", "done"}
	w := start(t, builds(memory.Build{Looks: 3, Takes: 20 * time.Second, Log: log}))
	w.wants(shop("bakery"))
	w.converged()
	if d := cmp.Diff(log, w.told("log")); d != "" {
		t.Errorf("(-want +told):\n%s", d)
	}
	if r := w.on("bakery", state.KindDeployment); r.Phase != "" || r.Outputs["url"].Literal == "" {
		t.Errorf("on record: %+v", r)
	}
}

// P10: a process that goes on with a build of an earlier one knows, before its first look,
// what the build log must not repeat.
func TestP10AwaitConcealsAfterARestart(t *testing.T) {
	w := start(t, builds(memory.Build{Takes: time.Hour}))
	w.wants(shop("bakery"))
	ctx, cancel := context.WithCancelCause(context.Background())
	w.faults.Do(memory.After, memory.Is(memory.Observe, state.KindDeployment), 0, func(context.Context, memory.Call) error { cancel(errStopped); return nil })
	if _, err := w.pass(ctx); err == nil {
		t.Fatal("the pass was not cut off")
	}
	w.faults.Clear()
	w.restart()
	concealed := map[string]bool{}
	w.runner.Conceal = func(s state.Secret) { concealed[s.Reveal()] = true }
	if out, err := w.pass(context.Background()); err != nil || out.state != apply.StepFailed {
		t.Fatalf("%s: %v %v", out.state, out.err, err)
	}
	url := false
	for text := range concealed {
		url = url || strings.HasPrefix(text, "postgres://")
	}
	if !url || !concealed["generated-0"] {
		t.Errorf("concealed are only %v", concealed)
	}
}

// A restart adds nothing to the time that a deployment may take: its clock starts when it
// was made. P8.
func TestAwaitTimesOutFromTheCreation(t *testing.T) {
	w := start(t, builds(memory.Build{Takes: time.Hour}))
	w.wants(shop("bakery"))
	begun := w.clock.Now()
	for n := 1; ; n++ {
		ctx, cancel := context.WithCancelCause(context.Background())
		w.faults.Clear()
		if n < 4 { // cut off three times, two minutes into each wait
			from := w.clock.Now()
			w.faults.Do(memory.After, memory.Is(memory.Observe, state.KindDeployment), 0, func(context.Context, memory.Call) error {
				if w.clock.Now().Sub(from) >= 2*time.Minute {
					cancel(errStopped)
				}
				return nil
			})
		}
		out, err := w.pass(ctx)
		cancel(nil)
		if err != nil {
			w.restart()
			continue
		}
		if out.state != apply.StepFailed || !strings.Contains(out.err.Error(), "not ready after 10m") {
			t.Fatalf("%s: %v", out.state, out.err)
		}
		if n != 4 {
			t.Errorf("cut off %d times", n-1)
		}
		break
	}
	if took := w.clock.Now().Sub(begun); took > 10*time.Minute+30*time.Second {
		t.Errorf("it was given %s", took)
	}
	if r := w.on("bakery", state.KindDeployment); r.Phase != "failed" {
		t.Errorf("on record as %q", r.Phase)
	}
}

// A build that fails ends the client's pass; Failed takes it away, and the next try makes
// it anew.
func TestAwaitFailedBuildIsTakenAwayAndMadeAnew(t *testing.T) {
	broken := true
	w := start(t, func(w *world) {
		w.options = func(o *memory.Options) {
			o.Build = func(x provider.Wish) memory.Build {
				if x.Ref.Kind == state.KindDeployment && broken {
					return memory.Build{Looks: 1, Fails: "exit status 1", Log: []string{"no such module"}}
				}
				return memory.Build{}
			}
		}
	})
	w.wants(shop("bakery"))
	out := w.settle(0)
	if out.state != apply.StepFailed || !strings.Contains(out.err.Error(), "exit status 1") {
		t.Fatalf("%s: %v", out.state, out.err)
	}
	if _, serves := w.vendor.Serves("bakery.example"); serves {
		t.Error("what failed serves")
	}
	failed := w.on("bakery", state.KindDeployment)
	if p := apply.Failed(w.recorded(idOf("bakery"))); len(p.Steps) != 1 || p.Steps[0].Ref != failed.Ref {
		t.Fatalf("what is to go: %v", stepLines(p))
	}
	if out, err := w.run(t.Context(), apply.Failed(w.recorded(idOf("bakery")))); err != nil || out.state != apply.StepDone {
		t.Fatalf("%v %v", out.err, err)
	}
	if _, there := w.vendor.Object(failed.ID); there {
		t.Error("the failed deployment is still there")
	}
	if p := apply.Failed(w.recorded(idOf("bakery"))); len(p.Steps) != 0 {
		t.Errorf("again: %v", stepLines(p))
	}
	broken = false
	w.converged()
}

// What came to nothing is not taken for done by the next pass: it is looked at again,
// and a person may mend it at the vendor.
func TestAwaitFailedIsNotForgotten(t *testing.T) {
	w := start(t, func(w *world) {
		w.options = func(o *memory.Options) {
			o.Build = func(x provider.Wish) memory.Build {
				if x.Ref.Kind == state.KindDatabase {
					return memory.Build{Looks: 2, Fails: "no capacity in this region"}
				}
				return memory.Build{}
			}
		}
	})
	w.wants(shop("bakery"))
	for range 3 {
		out, err := w.pass(t.Context())
		if err != nil || out.state != apply.StepFailed || !strings.Contains(out.err.Error(), "no capacity") {
			t.Fatalf("%s: %v %v", out.state, out.err, err)
		}
	}
	w.vendor.Done(w.on("bakery", state.KindDatabase).ID)
	w.converged()
	if r := w.on("bakery", state.KindDatabase); r.Phase != "" || r.Outputs["url"].Secret == nil {
		t.Errorf("on record: %+v", r)
	}
}

func TestAwaitGoneIsMadeAnew(t *testing.T) {
	w := start(t, builds(memory.Build{Takes: time.Minute}))
	w.wants(shop("bakery"))
	w.faults.Do(memory.After, memory.Is(memory.Create, state.KindDeployment), 1, func(_ context.Context, c memory.Call) error {
		w.clock.after(10*time.Second, func() { w.vendor.Remove(c.ID) })
		return nil
	})
	out, err := w.pass(t.Context())
	if err != nil || out.state != apply.StepWaiting || !strings.Contains(out.err.Error(), "is gone at host") {
		t.Fatalf("%s: %v %v", out.state, out.err, err)
	}
	w.converged()
}

func TestAwaitGoesOnThroughFailedLooks(t *testing.T) {
	w := start(t, builds(memory.Build{Takes: time.Minute}))
	w.wants(shop("bakery"))
	w.faults.On(memory.Before, memory.Is(memory.Observe, state.KindDeployment), 5, memory.Fail(provider.Transient, "busy"))
	w.faults.On(memory.Before, memory.Is(memory.Observe, state.KindDeployment), 1, memory.RateLimited(w.clock.Now().Add(90*time.Second)))
	w.converged()
}

// P7: who waits for a deployment that nobody wishes any more stops waiting.
func TestP7AwaitStopsWhenSuperseded(t *testing.T) {
	w := start(t, builds(memory.Build{Takes: 5 * time.Minute}))
	w.wants(shop("bakery"))
	begun := w.clock.Now()
	w.newer = func(state.ClientID) bool { return w.clock.Now().Sub(begun) > 30*time.Second }
	out, err := w.pass(t.Context())
	if err != nil || out.state != apply.StepSuperseded {
		t.Fatalf("%s: %v %v", out.state, out.err, err)
	}
	if took := w.clock.Now().Sub(begun); took > time.Minute {
		t.Errorf("it waited %s", took)
	}
	w.newer = nil
	w.wants(shop("bakery", func(e *manifest.Effective) { e.Source.Ref = "v2" }))
	w.converged()
}

// P7: superseded at the border of every step: no new step begins, and nothing is lost.
func TestP7SupersededAtAnyBorder(t *testing.T) {
	calm := start(t)
	calm.wants(shop("bakery"))
	steps := len(calm.plan(nil).Steps)
	for n := range steps {
		w := start(t)
		w.wants(shop("bakery"))
		asked := 0
		w.newer = func(state.ClientID) bool { asked++; return asked > n }
		out, err := w.pass(t.Context())
		if err != nil || out.state != apply.StepSuperseded {
			t.Fatalf("at %d: %s: %v %v", n, out.state, out.err, err)
		}
		done := 0
		for _, s := range out.result.Steps {
			if s.State == apply.StepDone {
				done++
			}
		}
		if done > n {
			t.Errorf("%d steps after it was superseded at %d", done, n)
		}
		w.newer = nil
		w.wants(shop("bakery", func(e *manifest.Effective) { e.Environment["CURRENCY"] = manifest.EnvValue{Literal: "SEK"} }))
		w.converged()
	}
}

// P7: a newer wish is committed between the border of a step and its write, and the pass did not
// hear of it yet. Nothing is sent of the older one; what is put back goes on.
func TestP7NothingIsSentOnceANewerWishIsCommitted(t *testing.T) {
	for _, back := range []bool{false, true} {
		w := start(t)
		c := w.wants(shop("bakery"))
		w.putsBack = back
		w.at = func(b apply.Border, s plan.Step) {
			if b == apply.BeforeIntent && s.Action.Writes() {
				w.update(func(tx store.Tx) error {
					now, _, err := store.Client(tx, c.client.ID)
					now.Seq++
					return errors.Join(err, store.PutClient(tx, now))
				})
			}
		}
		out, err := w.pass(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if made := len(w.vendor.Objects("")); back != (made > 0) || !back && out.state != apply.StepSuperseded {
			t.Errorf("putting back %v: %d objects were made, and it ends %s: %v", back, made, out.state, out.err)
		}
	}
}

// What a person makes: the pass waits with what to do, whatever the kind; a later pass
// looks and goes on.
func TestManualWaitsForAPersonOfEveryKind(t *testing.T) {
	for _, by := range []string{"trait", "answer"} {
		for _, k := range allKinds {
			if k == state.KindMail {
				continue // sent, and nothing more
			}
			t.Run(by+"/"+string(k), func(t *testing.T) {
				w := start(t, func(w *world) {
					if by == "trait" {
						w.change = func(x state.Kind, t *provider.Traits) { t.Manual = x == k }
					} else {
						w.wrap = func(p provider.Provider) provider.Provider { return asks{p, w.vendor, k} }
					}
				})
				w.wants(shop("bakery"))
				for range 3 { // nobody did it yet
					out, err := w.pass(t.Context())
					if err != nil || out.state != apply.StepWaiting || !strings.Contains(out.err.Error(), "make the "+string(k)) {
						t.Fatalf("%s: %v %v", out.state, out.err, err)
					}
					if what, ok := apply.Asked(out.err); !ok || what != out.err.Error() {
						t.Errorf("it does not say that a person is asked: %q", what)
					}
					if r := w.on("bakery", k); r.Phase != "manual" || !strings.Contains(r.Message, "make the ") {
						t.Fatalf("on record: phase %q %q", r.Phase, r.Message)
					}
				}
				w.vendor.Done(w.on("bakery", k).ID)
				w.converged()
				if r := w.on("bakery", k); r.Phase != "" || r.Message != "" {
					t.Errorf("on record: phase %q %q", r.Phase, r.Message)
				}
				if by != "trait" || k == state.KindDatabase || k == state.KindAdmin {
					return
				}
				w.goes("bakery")
				w.converged()
				if notes := strings.Join(w.told("done"), "\n"); !strings.Contains(notes, "the "+string(k)+" ") || !strings.Contains(notes, "was made by hand; remove it where it was made") {
					t.Errorf("nobody was told to remove it: %s", notes)
				}
			})
		}
	}
}

// The time that something may take begins when the person has done it.
func TestManualThenSlow(t *testing.T) {
	w := start(t, func(w *world) {
		w.change = func(k state.Kind, t *provider.Traits) { t.Manual = k == state.KindDatabase }
	})
	w.wants(shop("bakery"))
	if out, err := w.pass(t.Context()); err != nil || out.state != apply.StepWaiting {
		t.Fatalf("%s: %v %v", out.state, out.err, err)
	}
	w.clock.move(48 * time.Hour)
	id := w.on("bakery", state.KindDatabase).ID
	w.vendor.Edit(id, func(o *provider.Object) { o.Phase = provider.Progressing })
	w.clock.after(5*time.Minute, func() { w.vendor.Done(id) })
	w.converged()
}

// asks answers a create with something for a person to do, without having said so before.
type asks struct {
	provider.Provider
	vendor *memory.World
	kind   state.Kind
}

func (a asks) Create(ctx context.Context, w provider.Wish) (provider.Object, error) {
	o, err := a.Provider.Create(ctx, w)
	if err != nil || w.Ref.Kind != a.kind {
		return o, err
	}
	o.Phase, o.Message = provider.Manual, fmt.Sprintf("make the %s", w.Ref.Kind)
	a.vendor.Edit(o.ID, func(x *provider.Object) { x.Phase, x.Message = o.Phase, o.Message })
	return o, nil
}

// What is ready and leaves something to a person keeps its message, through later looks
// that say less.
func TestManualReadyKeepsWhatItSays(t *testing.T) {
	w := start(t, func(w *world) {
		w.change = func(k state.Kind, t *provider.Traits) { t.Manual = k == state.KindEnvironment }
		w.options = func(*memory.Options) {}
		w.wrap = func(p provider.Provider) provider.Provider { return hints{p, w.vendor} }
	})
	w.wants(shop("bakery"))
	w.converged()
	if r := w.on("bakery", state.KindEnvironment); r.Phase != "" || r.Message != "Set CURRENCY at your host" {
		t.Errorf("on record: %q %q", r.Phase, r.Message)
	}
	if !strings.Contains(strings.Join(w.told("done"), "\n"), "Set CURRENCY at your host") {
		t.Error("no step says it")
	}
}

type hints struct {
	provider.Provider
	vendor *memory.World
}

func (h hints) Create(ctx context.Context, w provider.Wish) (provider.Object, error) {
	o, err := h.Provider.Create(ctx, w)
	if err == nil && w.Ref.Kind == state.KindEnvironment {
		h.vendor.Done(o.ID)
		o.Phase, o.Message = provider.Ready, "Set CURRENCY at your host"
	}
	return o, err
}

func TestProbe(t *testing.T) {
	for name, c := range map[string]struct {
		bad   int // answers that are bad first
		state apply.StepState
	}{"good at once": {0, apply.StepDone}, "good later": {4, apply.StepDone}, "never": {1000, apply.StepFailed}} {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			w.wants(shop("bakery"))
			inside, outside := 0, 0
			w.probe = func(_ context.Context, x apply.Target) error {
				if x.Outside {
					if outside++; x.URL != "https://bakery.example" {
						t.Errorf("outside it asks %s", x.URL)
					}
					return nil
				}
				if inside++; !strings.HasSuffix(x.URL, ".host.example") {
					t.Errorf("inside it asks %s", x.URL)
				}
				if _, serves := w.vendor.Serves("bakery.example"); serves {
					t.Error("it serves before it was probed")
				}
				if inside <= c.bad {
					return errors.New("502 Bad Gateway")
				}
				return nil
			}
			out, err := w.pass(t.Context())
			if err != nil || out.state != c.state {
				t.Fatalf("%s: %v %v", out.state, out.err, err)
			}
			_, serves := w.vendor.Serves("bakery.example")
			if good := c.state == apply.StepDone; serves != good || (outside > 0) != good {
				t.Errorf("serves %v, asked outside %d times", serves, outside)
			}
			if !serves && !strings.Contains(out.err.Error(), "502 Bad Gateway") {
				t.Errorf("it does not say why: %v", out.err)
			}
		})
	}
}

// A failed change of what serves is put back in reverse, and putting back twice, or after
// a crash in its middle, comes to the same.
func TestBackPutsBackWhatServed(t *testing.T) {
	var before string
	broken := func(t *testing.T) *world {
		w := start(t)
		w.wants(shop("bakery"))
		w.converged()
		w.clock.move(time.Hour)
		served, _ := w.vendor.Serves("bakery.example")
		before = w.vendor.Snapshot(func(o provider.Object) bool {
			return o.Kind == state.KindTraffic || o.Kind == state.KindDomain || o.Kind == state.KindRecord || o.Kind == state.KindEnvironment
		})
		w.wants(shop("bakery", func(e *manifest.Effective) {
			e.Environment["CURRENCY"] = manifest.EnvValue{Literal: "SEK"}
			e.DNS.Proxied = true
		}))
		w.probe = func(_ context.Context, x apply.Target) error {
			if x.Outside {
				return errors.New("500")
			}
			return nil
		}
		out, err := w.pass(t.Context())
		if err != nil || out.state != apply.StepFailed {
			t.Fatalf("%s: %v %v", out.state, out.err, err)
		}
		if now, _ := w.vendor.Serves("bakery.example"); now == served {
			t.Fatal("nothing was changed")
		}
		return w
	}
	back := func(w *world) plan.Plan {
		w.t.Helper()
		var p plan.Plan
		c := w.undo()
		w.view(func(tx store.Tx) (err error) { p, err = apply.Back(tx, c); return err })
		return p
	}
	check := func(t *testing.T, w *world) {
		t.Helper()
		if d := cmp.Diff(before, w.vendor.Snapshot(func(o provider.Object) bool {
			return o.Kind == state.KindTraffic || o.Kind == state.KindDomain || o.Kind == state.KindRecord || o.Kind == state.KindEnvironment
		})); d != "" {
			t.Errorf("(-before +after):\n%s", d)
		}
		if p := back(w); len(p.Steps) != 0 {
			t.Errorf("it is back, and still to do: %v", stepLines(p))
		}
	}
	w := broken(t)
	steps := back(w)
	var kinds []string
	for _, s := range steps.Steps {
		kinds = append(kinds, string(s.Ref.Kind))
	}
	if got := strings.Join(kinds, " "); got != "record traffic environment" {
		t.Errorf("in the order %s", got)
	}
	borders := 0
	w.at = func(apply.Border, plan.Step) { borders++ }
	if out, err := w.run(t.Context(), steps); err != nil || out.state != apply.StepDone {
		t.Fatalf("%s: %v %v", out.state, out.err, err)
	}
	check(t, w)
	for n := 1; n <= borders; n++ {
		w := broken(t)
		left := n
		w.at = func(apply.Border, plan.Step) {
			if left--; left == 0 {
				panic(killed{"putting back"})
			}
		}
		func() {
			defer func() { _ = recover() }()
			_, _ = w.run(t.Context(), back(w))
		}()
		w.restart()
		w.at = nil
		if _, err := w.runner.Settle(t.Context(), w.job(plan.Plan{}), w.intents()); err != nil {
			t.Fatal(err)
		}
		if out, err := w.run(t.Context(), back(w)); err != nil || out.state != apply.StepDone {
			t.Fatalf("killed at %d: %s: %v %v", n, out.state, out.err, err)
		}
		check(t, w)
	}
}
