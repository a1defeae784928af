package reconcile_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// The clock is set back by 200 days, while the program runs or while it is down. Nobody waits
// for what was noted before: who is tried again is due at once, a removal goes when its time is
// over, counted from now, what was to be told is told, and data is kept no shorter.
func TestTheClockIsSetBack(t *testing.T) {
	const back = -200 * 24 * time.Hour
	for _, down := range []bool{false, true} {
		v, w := newVendors(t)
		w.change = func(e *reconcile.Engine) { e.Guard.RemoveAfter = time.Hour }
		w.restart()
		w.apply(map[string]string{"clients/old.yaml": client("old"), "clients/shop.yaml": client("shop"), "clients/other.yaml": client("other")})
		w.pass(w.push(map[string]string{"clients/old.yaml": ""})...)
		w.clock.add(61 * time.Minute)
		w.pass(w.id("old"))
		w.want("old", state.StatusRetained)
		kept := w.purgeDate("old")

		refuse := func(context.Context, state.Report) error { return errors.New("the forge is down") }
		if err := w.engine.Deliver(t.Context(), refuse); err == nil {
			t.Fatal("nothing was to be told")
		}
		v.faults.On(memory.Before, memory.Is(memory.Create, state.KindDeployment), 2, memory.RateLimited(w.clock.Now().Add(50*time.Minute)))
		w.pass(w.push(map[string]string{"clients/shop.yaml": "", "clients/other.yaml": client("other", "env: {COLOUR: red}")})...)
		w.clock.add(10 * time.Minute)

		w.clock.jump(back)
		due := []state.ClientID{}
		if down {
			for _, d := range w.restart() {
				if d.At.After(w.clock.Now()) {
					t.Errorf("%s is due at %s, and it is %s", d.Client, d.At, w.clock.Now())
				}
				due = append(due, d.Client)
			}
		} else {
			due = w.poll()
		}
		for _, name := range []string{"shop", "other"} {
			if !slices.Contains(due, w.id(name)) {
				t.Errorf("down %v: %s waits on: %v", down, name, due)
			}
		}
		v.faults.Clear()
		w.pass(due...)
		w.want("other", state.StatusActive)
		if _, ok := v.world.Serves("shop.agency.example"); !ok {
			t.Errorf("down %v: the removal came early", down)
		}
		w.clock.add(49 * time.Minute)
		w.pass(w.id("shop"))
		if _, ok := v.world.Serves("shop.agency.example"); !ok {
			t.Errorf("down %v: the removal came early", down)
		}
		w.clock.add(12 * time.Minute)
		w.pass(w.id("shop"))
		w.want("shop", state.StatusRetained)
		if got := w.purgeDate("old"); !got.Equal(kept) {
			t.Errorf("down %v: data is kept until %s, and was until %s", down, got, kept)
		}
		told := 0
		if err := w.engine.Deliver(t.Context(), func(context.Context, state.Report) error { told++; return nil }); err != nil || told == 0 {
			t.Errorf("down %v: %d reports were told: %v", down, told, err)
		}
		var left []state.Report
		if err := w.store.View(func(tx store.Tx) (err error) { left, err = store.Reports(tx); return err }); err != nil || len(left) > 0 {
			t.Errorf("down %v: %d reports wait: %v", down, len(left), err)
		}
	}
}

// P9: the clock is ahead while everybody is at rest and somebody refuses to be told; it is set
// back while the program is down. What is to be told waits for no date of then.
func TestP9TheClockIsSetBackBeforeAStart(t *testing.T) {
	_, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": client("shop")})
	const ahead = 9 * 24 * time.Hour
	w.clock.jump(ahead)
	if err := w.engine.Deliver(t.Context(), func(context.Context, state.Report) error { return errors.New("the forge is down") }); err == nil {
		t.Fatal("nothing was to be told")
	}
	w.clock.jump(-ahead)
	w.restart()
	w.poll()
	w.clock.add(time.Minute)
	told := map[string]string{}
	err := w.engine.Deliver(t.Context(), func(_ context.Context, r state.Report) error { told[r.Subject] = r.State; return nil })
	if got := told["commit/"+w.engine.Head()]; err != nil || got != "success" {
		t.Errorf("told %q: %v", got, err)
	}
}

// P5: data is kept for its whole time, though this machine's clock is set forward by more than
// that: while the program runs, while it is down, and again and again. A clock that was put back
// meanwhile, or that began in the past as on a machine without one of its own, keeps nothing for
// longer than it was wrong. A person may erase it at once.
func TestP5AClockThatIsSetForwardErasesNothing(t *testing.T) {
	const day = 24 * time.Hour
	type event struct {
		jump, real time.Duration
		down       bool // the program is started anew after the jump
	}
	for _, c := range []struct {
		name   string
		events []event
		least  time.Duration // when it is erased, in true time since it went
		most   time.Duration
	}{
		{"by 60 days", []event{{60 * day, 0, false}}, 30 * day, 32 * day},
		{"by 60 days while it is down", []event{{60 * day, 0, true}}, 30 * day, 32 * day},
		{"seen, and cut off", []event{{60 * day, 0, false}, {0, time.Minute, true}, {0, time.Minute, true}}, 30 * day, 32 * day},
		{"by 20 days, three times", []event{{20 * day, day, false}, {20 * day, day, true}, {20 * day, day, false}}, 30 * day, 34 * day},
		{"forward, and right again", []event{{60 * day, day, false}, {-60 * day, day, false}}, 30 * day, 32 * day},
		{"forward, and right again while it is down", []event{{60 * day, day, true}, {-60 * day, day, true}, {0, day, true}}, 30 * day, 36 * day},
		{"it begins in 1970, and is put right", []event{{-56 * 365 * day, time.Hour, true}, {56 * 365 * day, time.Hour, false}}, 30 * day, 33 * day},
		{"it began in 1970 at every start", []event{
			{-56 * 365 * day, time.Hour, true}, {56 * 365 * day, time.Hour, false},
			{-56 * 365 * day, time.Hour, true}, {56 * 365 * day, time.Hour, false},
			{60 * day, time.Hour, false}}, 30 * day, 33 * day},
		{"nobody runs it for 60 days", []event{{0, 60 * day, true}}, 89 * day, 91 * day},
	} {
		v, w := newVendors(t)
		began := w.clock.Real()
		w.change = func(e *reconcile.Engine) {
			e.Runner.Elapsed = func() time.Duration { return w.clock.Real().Sub(began) }
		}
		w.restart()
		w.apply(map[string]string{"clients/old.yaml": client("old"), "clients/bare.yaml": client("bare", "database: {provider: none}", "env: {DATABASE_URL: {none: true}}")})
		db := w.database("old")
		w.apply(map[string]string{"clients/old.yaml": ""})
		w.want("old", state.StatusRetained)
		went, erased := w.clock.Real(), false
		purges := func() {
			if _, err := w.purge(); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			_, there := v.world.Object(db)
			if kept := w.clock.Real().Sub(went); !there && !erased {
				erased = true
				if kept < c.least || kept > c.most {
					t.Errorf("%s: it was kept for %s", c.name, kept)
				}
			}
		}
		for _, x := range c.events {
			w.clock.jump(x.jump)
			if x.down {
				w.clock.add(x.real)
				w.restart()
			} else {
				w.poll()
				w.clock.add(x.real)
			}
			purges()
		}
		for range 100 {
			w.clock.add(day)
			purges()
		}
		if !erased {
			t.Errorf("%s: it is never erased: it is kept until %s, and it is %s", c.name, w.purgeDate("old"), w.clock.Now())
		}
	}
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/old.yaml": client("old"), "clients/bare.yaml": client("bare", "database: {provider: none}", "env: {DATABASE_URL: {none: true}}")})
	w.apply(map[string]string{"clients/old.yaml": ""})
	w.clock.jump(60 * day)
	w.restart()
	if h, err := w.engine.History("old", 1); err != nil || len(h) != 1 || h[0].What != "put off" || !strings.Contains(h[0].Text, "database is kept until") {
		t.Errorf("the history says %+v: %v", h, err)
	}
	if _, err := w.engine.PurgeNow(t.Context(), "old", "dana"); err != nil || len(v.world.Objects("railway")) != 0 {
		t.Errorf("it can't be erased by a person: %v", err)
	}
}

// P5: the clock is set forward at any write of the pass that takes a client away, and the program
// is started anew right after: its data is kept for its whole time.
func TestP5AClockThatIsSetWithinAPassErasesNothing(t *testing.T) {
	const day = 24 * time.Hour
	for n, more := 1, true; more; n++ {
		v, w := newVendors(t)
		began := w.clock.Real()
		w.change = func(e *reconcile.Engine) {
			e.Runner.Elapsed = func() time.Duration { return w.clock.Real().Sub(began) }
		}
		w.restart()
		w.apply(map[string]string{"clients/old.yaml": client("old"), "clients/bare.yaml": client("bare", "database: {provider: none}", "env: {DATABASE_URL: {none: true}}")})
		db, writes := w.database("old"), 0
		v.faults.Do(memory.Before, func(c memory.Call) bool { return c.Verb.Writes() }, 0, func(context.Context, memory.Call) error {
			if writes++; writes == n {
				w.clock.jump(60 * day)
			}
			return nil
		})
		w.apply(map[string]string{"clients/old.yaml": ""})
		more = n <= writes
		w.want("old", state.StatusRetained)
		v.faults.Clear()
		w.restart()
		for range 29 {
			if done, err := w.purge(); err != nil || len(done) > 0 {
				t.Fatalf("set at write %d: purged after %s: %v %v", n, w.clock.Real().Sub(began), done, err)
			}
			w.clock.add(day)
		}
		w.clock.add(70 * day)
		if _, err := w.purge(); err != nil {
			t.Fatal(err)
		}
		if _, there := v.world.Object(db); there {
			t.Errorf("set at write %d: it is never erased: %s, and it is %s", n, w.purgeDate("old"), w.clock.Now())
		}
	}
}

// A failed update leaves serving what served: that the version before answered well is nothing that a later one was seen to
// do, though this machine's clock was set back since and shows an earlier time than then. What nobody saw answer goes back.
func TestRuleFailedUpdateGoesBackThoughTheClockWasSetBack(t *testing.T) {
	for _, c := range []struct {
		name   string
		within bool // the pass that leads traffic on, which takes longer than what it was set back by
		seen   bool // by the clock as it is since
		serves string
	}{
		{"before the pass", false, false, "red"},
		{"within the pass", true, false, "red"},
		{"and it was asked since", false, true, "green"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, w, coloured := redByHand(t)
			const alias = "aliases: [www.bakery.example]"
			if c.within {
				v.faults.Do(memory.Before, memory.Is(memory.Update, state.KindEnvironment), 1, func(context.Context, memory.Call) error { w.clock.jump(-2 * time.Minute); return nil })
				v.faults.Do(memory.Before, memory.Is(memory.Create, state.KindDomain), 1, func(context.Context, memory.Call) error { w.clock.add(90 * time.Second); return nil })
			} else {
				w.clock.jump(-3 * time.Hour)
			}
			w.pass(coloured("green", alias)...)
			w.want("bakery", state.StatusDeploying)
			if got := v.colour("bakery.agency.example"); got != "green" {
				t.Fatalf("it serves the %s version", got)
			}
			w.clock.add(5 * time.Minute)
			if c.seen {
				if err := w.engine.ProbeAll(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			v.faults.On(memory.Before, memory.Is(memory.Create, state.KindDeployment), 1, memory.Fail(provider.Invalid, "the build is broken"))
			w.pass(coloured("blue", alias)...)
			r := w.want("bakery", state.StatusFailed)
			if got := v.colour("bakery.agency.example"); got != c.serves || !strings.HasPrefix(r.Because, "Your site still runs the old version.") {
				t.Errorf("it serves the %s version, want the %s one; %q", got, c.serves, r.Because)
			}
			if got := v.environment(); got != c.serves {
				t.Errorf("the environment is that of the %s version, want %s", got, c.serves)
			}
		})
	}
}

// purgeDate is until when a client's database is kept.
func (w *world) purgeDate(name string) time.Time {
	w.t.Helper()
	var at time.Time
	id := w.id(name)
	err := w.store.View(func(tx store.Tx) error {
		r, _, err := store.Resource(tx, state.Ref{Client: id, Kind: state.KindDatabase, Name: "main"})
		at = r.PurgeAfter
		return err
	})
	if err != nil || at.IsZero() {
		w.t.Fatalf("%s has no data that is kept: %v", name, err)
	}
	return at
}

// The clock is set back at any write of a pass whose client waits for the removal of a part of it.
// It comes back as soon as that part may go, counted from then, and not at the date that the pass
// had read before.
func TestTheClockIsSetBackWithinAPass(t *testing.T) {
	for n, more := 1, true; more; n++ {
		v, w := newVendors(t)
		w.change = func(e *reconcile.Engine) { e.Guard.RemoveAfter = time.Hour }
		w.restart()
		w.apply(map[string]string{"clients/shop.yaml": client("shop", "aliases: [www.shop.example]")})
		w.apply(map[string]string{"clients/shop.yaml": client("shop")})
		writes := 0
		v.faults.Do(memory.Before, func(c memory.Call) bool { return c.Verb.Writes() }, 0, func(context.Context, memory.Call) error {
			if writes++; writes == n {
				w.clock.jump(-26 * time.Hour)
			}
			return nil
		})
		ids := w.push(map[string]string{"clients/shop.yaml": client("shop", "env: {COLOUR: red}")})
		comes := w.clock.Now()
		for range 5 { // it comes back whenever it said
			if comes.IsZero() || comes.After(w.clock.Now()) {
				break
			}
			done, err := w.engine.Pass(t.Context(), ids[0], reconcile.CauseCommit)
			if err != nil {
				t.Fatal(err)
			}
			if comes = done.At; done.Again {
				comes = w.clock.Now()
			}
		}
		more = n <= writes
		if wait := comes.Sub(w.clock.Now()); wait <= 0 || wait > time.Hour {
			t.Errorf("set at write %d: it comes back after %s", n, wait)
		}
		if _, ok := v.world.Serves("www.shop.example"); !ok {
			t.Errorf("set at write %d: the removal came early", n)
		}
		w.clock.add(61 * time.Minute)
		w.pass(ids...)
		if _, ok := v.world.Serves("www.shop.example"); ok {
			t.Errorf("set at write %d: the removal never came", n)
		}
	}
}
