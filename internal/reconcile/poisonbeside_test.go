package reconcile_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// dies stops the engine at work of that kind on clients, as a death of the process does.
func (w *world) dies(work string, names ...string) {
	w.t.Helper()
	var marks []state.ClientID
	for _, n := range names {
		marks = append(marks, state.ClientID(work+" "+string(w.id(n))))
	}
	w.crash(marks...)
}

// deaths are how often the program died at work on a client, and whether it is in quarantine.
func (w *world) deaths(work, name string) (n int, quarantined bool) {
	w.t.Helper()
	err := w.store.View(func(tx store.Tx) error {
		c, _, err := store.Client(tx, w.id(name))
		n, quarantined = c.Deaths[work], !c.Quarantined.IsZero()
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n, quarantined
}

// does runs the schedule of that work.
func (w *world) does(work string) {
	w.t.Helper()
	var err error
	if work == "look" {
		_, err = w.engine.Look(w.t.Context())
	} else {
		err = w.engine.ProbeAll(w.t.Context())
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// C20: whoever was looked at, or probed, when the program died is a suspect until that comes to its end.
// Passes that end well clear nobody of it, and nobody is quarantined that was not alone.
func TestC20SuspectsBesidePasses(t *testing.T) {
	for _, work := range []string{"look", "probe"} {
		t.Run(work, func(t *testing.T) {
			v, w := newVendors(t)
			w.apply(map[string]string{"clients/sick.yaml": client("sick"), "clients/well.yaml": client("well")})
			for range 3 {
				w.dies(work, "sick", "well")
			}
			for _, name := range []string{"sick", "well"} {
				w.pass(w.id(name))
				if n, quarantined := w.deaths(work, name); n != 3 || quarantined {
					t.Errorf("%s: %d deaths, in quarantine %v", name, n, quarantined)
				}
				if r := w.want(name, state.StatusActive); r.Because != "" {
					t.Errorf("%s says %q", name, r.Because)
				}
			}
			w.does(work)
			if n, _ := w.deaths(work, "well"); n != 0 {
				t.Errorf("its work came to its end, and %d deaths are left", n)
			}
			for range 2 {
				w.dies(work, "sick")
			}
			if n, quarantined := w.deaths(work, "sick"); n != 2 || quarantined {
				t.Fatalf("%d deaths, in quarantine %v", n, quarantined)
			}
			w.dies(work, "sick")
			r := w.want("sick", state.StatusFailed)
			if !strings.Contains(r.Because, "in quarantine since") || !strings.Contains(r.Because, "3 times in a row") || !strings.Contains(r.Next, "reconciler retry sick") {
				t.Errorf("because %q, next %q", r.Because, r.Next)
			}
			if fate, verdict := w.fate("sick"); fate != "succeeded" || verdict != "success" {
				t.Errorf("what became of the commit is %q, the verdict %q", fate, verdict)
			}
			asked := 0
			w.engine.Check = func(_ context.Context, url string, _ manifest.Health) error {
				if strings.Contains(url, "sick") {
					asked++
				}
				return nil
			}
			db := databaseOf(v, w.engine, "sick")
			v.world.Set(db, "access", "private") // what a list shows as another is read by itself
			v.world.ForgetCalls()
			w.does("look")
			w.does("probe")
			for _, c := range v.world.Calls() {
				if c.ID == db {
					t.Errorf("in quarantine it is looked at: %v", c)
				}
			}
			if asked > 0 {
				t.Error("in quarantine it is probed")
			}
			v.world.Set(db, "access", "public")
			id, err := w.engine.Retry("sick", "dana")
			if err != nil {
				t.Fatal(err)
			}
			w.drain(id)
			w.want("sick", state.StatusActive)
			w.does(work)
			if n, _ := w.deaths(work, "sick"); n != 0 {
				t.Errorf("%d deaths are left", n)
			}
		})
	}
}

// C20: the second time in a row was nobody's proof. Before the third nobody else is worked on, and nobody begins meanwhile.
func TestC20ProofBesidePasses(t *testing.T) {
	_, w := newVendors(t)
	w.apply(map[string]string{"clients/sick.yaml": client("sick"), "clients/well.yaml": client("well")})
	w.dies("probe", "sick")
	w.dies("probe", "sick")
	asked, inside := 0, false
	w.engine.Check = func(ctx context.Context, url string, _ manifest.Health) error {
		switch {
		case strings.Contains(url, "sick"):
			asked++
			d, err := w.engine.Pass(ctx, w.id("well"), reconcile.CauseCommit)
			if err != nil || d.At.IsZero() {
				t.Errorf("another one passes beside the proof: %+v, %v", d, err)
			}
		case !inside:
			inside = true
			w.does("probe") // well is at work
			if asked > 0 {
				t.Error("the proof is made beside others")
			}
		}
		return nil
	}
	w.does("probe")
	if asked != 1 {
		t.Errorf("sick was probed %d times once nobody else was worked on", asked)
	}
}

// C20: neither is the proof made while a provider's list is read, nor is a list read meanwhile: the next run does.
func TestC20ProofBesideNoList(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/sick.yaml": client("sick"), "clients/well.yaml": client("well")})
	w.change = func(e *reconcile.Engine) { e.Underway = w.marks() }
	w.restart()
	w.dies("probe", "sick")
	w.dies("probe", "sick")
	asked := 0
	w.engine.Check = func(ctx context.Context, url string, _ manifest.Health) error {
		if strings.Contains(url, "sick") {
			asked++
			v.world.ForgetCalls()
			w.does("look")
			if calls := v.world.Calls(); len(calls) > 0 {
				t.Errorf("beside the proof there is %v", calls)
			}
		}
		return nil
	}
	v.faults.Do(memory.Before, memory.Is(memory.Owned), 1, func(context.Context, memory.Call) error {
		w.does("probe")
		if asked > 0 {
			t.Error("the proof is made beside a list")
		}
		return nil
	})
	w.does("look")
	w.does("probe")
	if asked != 1 {
		t.Errorf("sick was probed %d times once no list was read", asked)
	}
	v.world.ForgetCalls()
	w.does("look")
	if len(v.world.Calls()) == 0 {
		t.Error("after the proof nobody is looked at")
	}
}

// The program is asked to end in the middle of a provider's list, of a look or of a probe: what is cut off then is
// no crash, and no mark of it is left.
func TestC20StopLeavesNoMarkOfWorkBesidePasses(t *testing.T) {
	for _, work := range []string{"list", "look", "probe"} {
		t.Run(work, func(t *testing.T) {
			v, w := newVendors(t)
			w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b")})
			w.change = func(e *reconcile.Engine) { e.Underway = w.marks() }
			w.restart()
			var stops atomic.Int32 // sites are probed side by side
			stop := func() {
				if stops.Add(1) > 1 {
					return
				}
				if before, err := w.marks().Left(); err != nil || len(before) == 0 || !strings.HasPrefix(string(before[0]), work+" ") {
					t.Errorf("in it there were the marks %q, %v", before, err)
				}
				w.engine.Stop()
				if left, err := w.marks().Left(); err != nil || len(left) > 0 {
					t.Errorf("marks are left: %q, %v", left, err)
				}
			}
			does := "look"
			switch work {
			case "list", "look":
				verb := memory.Owned
				if work == "look" {
					verb = memory.Observe
					v.takeAway(w, "b")
				}
				v.faults.Do(memory.Before, memory.Is(verb), 1, func(context.Context, memory.Call) error { stop(); return nil })
			default:
				does = "probe"
				w.unfit = func(string) error { stop(); return nil }
			}
			w.does(does)
			if stops.Load() == 0 {
				t.Error("it was not stopped")
			}
		})
	}
}

// takeAway removes the DNS records of a client by hand: what a list shows no more is read once more.
func (v *vendors) takeAway(w *world, name string) {
	for _, o := range v.world.Objects("cloudflare") {
		if o.Mark.Client == w.id(name) {
			v.world.Remove(o.ID)
		}
	}
}

// Whoever is looked at bears the mark of that, and of nothing else, while single reads of it are made.
func TestC20DeathAtALookIsOneOfWhoIsLookedAt(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b")})
	w.change = func(e *reconcile.Engine) { e.Underway = w.marks() }
	w.restart()
	v.takeAway(w, "b")
	var marks []state.ClientID
	v.faults.Do(memory.Before, memory.Is(memory.Observe), 1, func(context.Context, memory.Call) (err error) {
		marks, err = w.marks().Left()
		return err
	})
	w.does("look")
	if want := "look " + w.id("b"); len(marks) != 1 || marks[0] != want {
		t.Errorf("in the read of its record there were the marks %q, want %s", marks, want)
	}
}

// C20: a death in a provider's list is no client's: the list rests, everybody else's objects are looked at.
func TestC20DeathInAList(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b")})
	var marks []state.ClientID
	w.change = func(e *reconcile.Engine) { e.Underway = w.marks() }
	w.restart()
	v.faults.Do(memory.Before, func(c memory.Call) bool { return c.Verb == memory.Owned && c.Provider == "railway" }, 1, func(context.Context, memory.Call) (err error) {
		marks, err = w.marks().Left()
		return err
	})
	w.does("look")
	if len(marks) != 1 || marks[0] != "list railway" {
		t.Fatalf("in the list there were the marks %q", marks)
	}
	if left, err := w.marks().Left(); err != nil || len(left) > 0 {
		t.Errorf("marks are left: %q, %v", left, err)
	}
	w.crash(marks...)
	for name, status := range statuses(w) {
		if n, _ := w.deaths("look", name); n > 0 || status != "active" {
			t.Errorf("%s is blamed: %d deaths, %s", name, n, status)
		}
	}
	for _, c := range []struct {
		after time.Duration
		lists bool
	}{{time.Minute, false}, {time.Hour, true}} {
		w.clock.add(c.after)
		v.world.ForgetCalls()
		out, err := w.engine.Look(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		asked := map[string]bool{}
		for _, call := range v.world.Calls() {
			asked[call.Provider] = true
		}
		if asked["railway"] != c.lists || !asked["vercel"] || c.lists == strings.Contains(out.Stopped["railway"], "this program died while it listed") {
			t.Errorf("%s later: asked %v, stopped %v", c.after, asked, out.Stopped)
		}
	}
}
