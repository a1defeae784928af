package apply_test

import (
	"context"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/state"
)

// set lets this machine's clock be another one than the world's: it returns what sets it.
func (w *world) set() func(time.Duration) {
	began, skew := w.clock.Now(), time.Duration(0)
	w.runner.Now = func() time.Time { return w.clock.Now().Add(skew) }
	w.runner.Elapsed = func() time.Duration { return w.clock.Now().Sub(began) }
	return func(d time.Duration) { skew += d }
}

// P3: whether an uncertain create happened is found out by looks that are far enough apart. A
// clock that is set between them brings none of them forward, and keeps none waiting.
func TestP3LooksAreFarEnoughApartWhateverTheClockShows(t *testing.T) {
	const lag = 3 * time.Minute
	for name, jump := range map[string]time.Duration{"forward": time.Hour, "back": -9 * 24 * time.Hour} {
		w := start(t, func(w *world) { w.change = func(k state.Kind, x *provider.Traits) { memory.Unkind(lag)(k, x) } })
		set := w.set()
		w.faults.On(memory.After, memory.Is(memory.Create, state.KindSite), 1, memory.Lost())
		w.wants(shop("bakery"))
		begun := w.clock.Now()
		for n := 0; ; n++ {
			out, err := w.pass(context.Background())
			if err == nil && out.state == apply.StepDone {
				break
			}
			if n == 40 {
				t.Fatalf("%s: it does not come to its end: %+v, %v", name, out, err)
			}
			set(jump)
			w.clock.move(20 * time.Second)
		}
		if n := len(w.objects("host", state.KindSite)); n != 1 {
			t.Errorf("%s: %d sites", name, n)
		}
		if took := w.clock.Now().Sub(begun); took < lag || took > 3*lag {
			t.Errorf("%s: it took %s", name, took)
		}
	}
}

// Looks of an earlier process don't count: nobody knows what the clock did since.
func TestP3LooksOfAnEarlierProcessDoNotCount(t *testing.T) {
	const lag = 3 * time.Minute
	w := start(t, func(w *world) { w.change = func(k state.Kind, x *provider.Traits) { memory.Unkind(lag)(k, x) } })
	w.faults.On(memory.After, memory.Is(memory.Create, state.KindSite), 1, memory.Lost())
	w.wants(shop("bakery"))
	skew := time.Duration(0)
	for n := 0; ; n++ {
		out, err := w.pass(context.Background())
		if err == nil && out.state == apply.StepDone {
			break
		}
		if n == 80 {
			t.Fatalf("it does not come to its end: %+v, %v", out, err)
		}
		if n < 6 { // the machine is started anew, and finds out what time it is
			w.restart()
			skew += time.Hour
			set := w.set()
			set(skew)
		}
		w.clock.move(5 * time.Second)
	}
	if n := len(w.objects("host", state.KindSite)); n != 1 {
		t.Errorf("%d sites", n)
	}
}

// A build is not overdue because the clock was set forward while it was waited for, and not
// waited for until next year because it was set back.
func TestAwaitWhileTheClockIsSet(t *testing.T) {
	for name, c := range map[string]struct {
		jump, takes time.Duration
		want        apply.StepState
		most        time.Duration
	}{
		"forward":              {time.Hour, 5 * time.Minute, apply.StepDone, 6 * time.Minute},
		"back":                 {-365 * 24 * time.Hour, 5 * time.Minute, apply.StepDone, 6 * time.Minute},
		"back, and it is late": {-365 * 24 * time.Hour, time.Hour, apply.StepFailed, 11 * time.Minute},
	} {
		w := start(t, builds(memory.Build{Takes: c.takes}))
		set, begun, once := w.set(), w.clock.Now(), false
		w.faults.Do(memory.After, memory.Is(memory.Observe, state.KindDeployment), 0, func(context.Context, memory.Call) error {
			if !once && w.clock.Now().Sub(begun) > time.Minute {
				once = true
				set(c.jump)
			}
			return nil
		})
		w.wants(shop("bakery"))
		out, err := w.pass(context.Background())
		if err != nil || out.state != c.want {
			t.Errorf("%s: %s, %v, %v", name, out.state, out.err, err)
		}
		if took := w.clock.Now().Sub(begun); took > c.most || !once {
			t.Errorf("%s: it took %s", name, took)
		}
	}
}

// objects are a vendor's of a kind.
func (w *world) objects(at string, k state.Kind) (out []provider.Object) {
	for _, o := range w.vendor.Objects(at) {
		if o.Kind == k {
			out = append(out, o)
		}
	}
	return out
}
