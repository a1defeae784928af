package reconcile_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

const month = 31 * 24 * time.Hour

func (w *world) purge() ([]string, error) {
	w.t.Helper()
	return w.engine.PurgeDue(w.t.Context())
}

// database is the vendor's id of a client's database; "" when none is on record.
func (w *world) database(name string) string {
	w.t.Helper()
	for _, r := range w.detail(name).Resources {
		if r.Ref.Kind == state.KindDatabase {
			return r.ID
		}
	}
	return ""
}

// P9: a client's data was being erased when the answer was lost, and its pass waits to look what became
// of that. The next purge ends it: the client is nobody any more, and its commit does not stay pending.
func TestP9PurgeEndsAPassThatWaited(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a", "deployment: {provider: none}"), "clients/z.yaml": client("z")})
	w.apply(map[string]string{"clients/a.yaml": ""})
	w.want("a", state.StatusRetained)
	a := w.id("a")
	w.clock.add(time.Hour)
	purge, cut := context.WithCancel(t.Context())
	v.faults.Do(memory.Before, memory.Is(memory.Delete, state.KindDatabase), 1, func(context.Context, memory.Call) error {
		cut()
		return memory.Lost()
	})
	if _, err := w.engine.PurgeNow(purge, "a", "dana"); err == nil {
		t.Fatal("the answer was to be lost")
	}
	v.faults.Clear()
	v.world.Down("railway", memory.Fail(provider.Transient, "503 service unavailable"))
	if _, err := w.engine.Pass(t.Context(), a, reconcile.CauseStart); err != nil {
		t.Fatal(err)
	}
	fate := func() (s string) {
		w.view(func(tx store.Tx) error {
			verdict, _, err := store.Verdict(tx, w.engine.Head())
			s = verdict.State
			return err
		})
		return s
	}
	if got := fate(); got != "pending" {
		t.Fatalf("while it waits its commit is %q", got)
	}
	v.world.Down("railway", nil)
	told := map[string]string{}
	tell := func() {
		if err := w.engine.Deliver(t.Context(), func(_ context.Context, r state.Report) error { told[r.Subject] = r.State; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	tell()
	if _, err := w.engine.PurgeNow(t.Context(), "a", "dana"); err != nil {
		t.Fatal(err)
	}
	if got := fate(); got != "success" {
		t.Errorf("it is gone, and its commit is %q", got)
	}
	if tell(); told["commit/"+w.engine.Head()] != "success" {
		t.Errorf("it is gone, and people are told of its commit %q", told["commit/"+w.engine.Head()])
	}
}

// P5, rule, data: a database that a living client's manifest dropped is retained, and
// erased after its date; not before, not while the client is paused or its file is
// invalid, and not when it is asked for again.
func TestRuleDataPurgeOfAPart(t *testing.T) {
	v, w := newVendors(t)
	names := []string{"a", "b", "c", "d"}
	none := func(name string, more ...string) string {
		return client(name, append([]string{"database: {provider: none}", "env: {DATABASE_URL: {none: true}}"}, more...)...)
	}
	files, without, ids := map[string]string{}, map[string]string{}, map[string]string{}
	for _, n := range names {
		files["clients/"+n+".yaml"], without["clients/"+n+".yaml"] = client(n), none(n)
	}
	without["clients/c.yaml"] = none("c", "paused: true")
	w.apply(files)
	for _, n := range names {
		ids[n] = w.database(n)
	}
	w.apply(map[string]string{"clients/c.yaml": none("c")})
	w.clock.add(25 * time.Hour) // the guard counts a day
	w.apply(without)
	for range 3 {
		for _, h := range w.overview().Holds {
			touched, err := w.engine.Approve(t.Context(), h.Fingerprint, "dana")
			if err != nil {
				t.Fatal(err)
			}
			w.pass(touched...)
		}
	}
	w.want("a", state.StatusActive)
	w.clock.add(29 * 24 * time.Hour)
	if done, err := w.purge(); err != nil || len(done) > 0 {
		t.Fatalf("purged before its time: %v %v", done, err)
	}
	w.apply(map[string]string{"clients/b.yaml": client("b"), "clients/d.yaml": "name: [\n"})
	w.clock.add(3 * 24 * time.Hour)
	done, err := w.purge()
	if err != nil || len(done) != 1 || !strings.HasPrefix(done[0], "a: database") {
		t.Errorf("purged %v, %v", done, err)
	}
	for _, n := range names {
		if _, there := v.world.Object(ids[n]); there == (n == "a") {
			t.Errorf("%s's database is there: %t", n, there)
		}
	}
	if w.database("b") != ids["b"] || w.database("a") != "" {
		t.Errorf("on record: a %q, b %q, want %q", w.database("a"), w.database("b"), ids["b"])
	}
}

// P5: a purge that a person asked for and a vendor refused is over. No schedule goes on with it:
// what is there still is kept until the date that it had, and what was adopted has none.
func TestP5RefusedPurgeLeavesTheDate(t *testing.T) {
	for _, adopted := range []bool{false, true} {
		v, w := newVendors(t)
		text := client("a")
		if adopted {
			v.world.Seed("railway", provider.Object{ID: "data-1", Kind: state.KindDatabase, Name: "old"})
			text = client("a", "adopt: {database: {id: data-1}}")
		}
		w.apply(map[string]string{"clients/a.yaml": text, "clients/b.yaml": client("b")})
		id := w.database("a")
		w.apply(map[string]string{"clients/a.yaml": ""})
		kept, err := w.engine.Retained()
		if err != nil || len(kept) != 1 || kept[0].ID != id {
			t.Fatalf("adopted %v: kept %+v, %v", adopted, kept, err)
		}
		v.faults.On(memory.Before, memory.Is(memory.Delete, state.KindDatabase), 1, memory.Fail(provider.Denied, "the token was revoked"))
		if _, err := w.engine.PurgeNow(t.Context(), "a", "dana"); err == nil {
			t.Fatalf("adopted %v: it was to be refused", adopted)
		}
		if now, err := w.engine.Retained(); err != nil || !slices.Equal(now, kept) {
			t.Errorf("adopted %v: kept %+v, and was %+v (%v)", adopted, now, kept, err)
		}
		purges := func(after time.Duration) bool {
			w.clock.add(after)
			if _, err := w.purge(); err != nil {
				t.Error(err)
			}
			_, there := v.world.Object(id)
			return !there
		}
		if purges(29 * 24 * time.Hour) {
			t.Errorf("adopted %v: erased before its date", adopted)
		}
		if purges(2*24*time.Hour) == adopted {
			t.Errorf("adopted %v: at its date it is there: %v", adopted, adopted)
		}
	}
}

// P5: a head is committed that gives a client its database back by the template, and is not in memory
// yet, as a schedule comes for it: that is asked for again, and stays.
func TestP5PurgeBetweenACommitAndMemory(t *testing.T) {
	v, w := newVendors(t)
	without := strings.Replace(template, "DATABASE_URL: {from: database.url}, ", "", 1) + "defaults: {database: {provider: none}}\n"
	w.apply(map[string]string{"clients/a.yaml": client("a")})
	id := w.database("a")
	w.apply(map[string]string{"templates/shop.yaml": without})
	for _, h := range w.overview().Holds {
		touched, err := w.engine.Approve(t.Context(), h.Fingerprint, "dana")
		if err != nil {
			t.Fatal(err)
		}
		w.pass(touched...)
	}
	w.want("a", state.StatusActive)
	w.clock.add(month)
	w.engine.At = func(p reconcile.Point) {
		if p == reconcile.PointAccepted {
			w.engine.At = nil
			if done, err := w.purge(); err != nil || len(done) > 0 {
				t.Errorf("purged %v, %v", done, err)
			}
		}
	}
	w.apply(map[string]string{"templates/shop.yaml": template})
	if w.want("a", state.StatusActive); w.engine.At != nil || w.database("a") != id {
		t.Errorf("its database is %q, and was %q", w.database("a"), id)
	}
	if _, there := v.world.Object(id); !there {
		t.Error("it is erased")
	}
}

// P6: what can't be erased stops no other.
func TestP6PurgeOneNeverBlocksAnother(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b"), "clients/c.yaml": client("c")})
	a, b := w.database("a"), w.database("b")
	w.apply(map[string]string{"clients/a.yaml": ""})
	w.clock.add(25 * time.Hour)
	w.apply(map[string]string{"clients/b.yaml": ""})
	w.clock.add(month + 24*time.Hour)
	v.faults.On(memory.Before, func(c memory.Call) bool { return c.Verb == memory.Delete && c.ID == a }, 0, memory.Fail(provider.Invalid, "it is locked"))
	done, err := w.purge()
	if err == nil || len(done) != 1 || !strings.HasPrefix(done[0], "b: database") {
		t.Errorf("purged %v, %v", done, err)
	}
	if _, there := v.world.Object(b); there {
		t.Error("b's database is still there")
	}
	v.faults.Clear()
	if done, err = w.purge(); err != nil || len(done) != 1 {
		t.Errorf("purged %v, %v", done, err)
	}
}

// P5, rule, removal: a return voids: a manifest that comes back before a purge has begun
// keeps its database; one that comes back later, when its date has passed and the erasing
// is under way, gets a whole new one. Pass and purge never mix.
func TestP5ReturnWhileAPurgeBegins(t *testing.T) {
	v, w := newVendors(t)
	var at apply.Border
	passed := make(chan error, 1)
	text := client("a")
	w.change = func(e *reconcile.Engine) {
		e.Runner.At = func(b apply.Border, s plan.Step) {
			if b != at || s.Action != plan.Purge {
				return
			}
			at = ""
			ids := w.push(map[string]string{"clients/a.yaml": text})
			begun := e.Stats().Passes
			go func() {
				_, err := e.Pass(context.WithoutCancel(t.Context()), ids[0], reconcile.CauseCommit)
				passed <- err
			}()
			for e.Stats().Passes == begun && len(passed) == 0 {
				runtime.Gosched() // it has come to the client, or has ended
			}
			for range 1000 {
				runtime.Gosched()
			}
		}
	}
	w.restart()
	for _, c := range []struct {
		at   apply.Border
		kept bool
	}{{apply.BeforeIntent, true}, {apply.AfterIntent, false}, {apply.AfterCall, false}} {
		w.apply(map[string]string{"clients/a.yaml": text, "clients/b.yaml": client("b")})
		w.want("a", state.StatusActive)
		id := w.database("a")
		w.apply(map[string]string{"clients/a.yaml": ""})
		w.clock.add(month)
		at = c.at
		if done, err := w.purge(); (len(done) == 0) != c.kept {
			t.Errorf("%s: purged %v, %v", c.at, done, err)
		}
		if at != "" {
			t.Fatalf("%s: no purge was there", c.at)
		}
		if err := <-passed; err != nil {
			t.Errorf("%s: pass: %v", c.at, err)
		}
		w.pass(w.due()...)
		w.want("a", state.StatusActive)
		now := w.database("a")
		if _, there := v.world.Object(now); !there || (now == id) != c.kept {
			t.Errorf("%s: the database was %s and is %s, which is there: %t", c.at, id, now, there)
		}
		w.clock.add(25 * time.Hour)
	}
}

func (w *world) overview() reconcile.Overview {
	w.t.Helper()
	v, err := w.engine.Overview()
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

// P3: a database that could not be erased has its users still, and they stay on record.
func TestP3UsersGoWithTheirDatabase(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b", "database: {provider: none}", "env: {DATABASE_URL: {none: true}}")})
	w.apply(map[string]string{"clients/a.yaml": ""})
	users := func() (n int) {
		for _, r := range w.detail("a").Resources {
			if r.Ref.Kind == state.KindAdmin {
				n++
			}
		}
		return n
	}
	v.world.Down("railway", memory.Fail(provider.Transient, "503 service unavailable"))
	if _, err := w.engine.PurgeNow(t.Context(), "a", "dana"); err == nil {
		t.Fatal("it was erased at a vendor that is down")
	}
	if users() != 1 {
		t.Errorf("%d users on record while the database is there", users())
	}
	v.world.Down("railway", nil)
	if _, err := w.engine.PurgeNow(t.Context(), "a", "dana"); err != nil {
		t.Fatal(err)
	}
	if left := v.world.Objects("railway"); len(left) != 0 || w.row("a").Name != "" {
		t.Errorf("%v is left at the vendor, and on record %+v", left, w.row("a"))
	}
}

// dying is a store that a process that died does not reach any more.
type dying struct {
	store.Store
	dead *atomic.Bool
}

func (d dying) Update(fn func(store.Tx) error) error {
	if d.dead.Load() {
		return errors.New("the process is dead")
	}
	return d.Store.Update(fn)
}

// P8: a purge that was cut off anywhere is looked into by the next start, not by the next
// purge, and a client of whom nothing is left is forgotten.
func TestP8PurgeCutOff(t *testing.T) {
	for _, border := range []apply.Border{apply.AfterIntent, apply.AfterCall, apply.AfterOutcome} {
		t.Run(string(border), func(t *testing.T) {
			v, w := newVendors(t)
			var dead atomic.Bool
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			w.change = func(e *reconcile.Engine) {
				e.Store = dying{w.store, &dead}
				e.Runner.Store = e.Store
				e.Runner.At = func(b apply.Border, s plan.Step) {
					if b == border && s.Action == plan.Purge {
						dead.Store(true)
						cancel()
					}
				}
			}
			w.restart()
			w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b")})
			id := w.database("a")
			w.apply(map[string]string{"clients/a.yaml": ""})
			w.clock.add(month)
			if _, err := w.engine.PurgeDue(ctx); err == nil || !dead.Load() {
				t.Fatalf("the purge was not cut off: %v", err)
			}
			dead.Store(false)
			w.change = nil
			w.pass(dueIDs(w.restart())...)
			gone := border != apply.AfterIntent
			if _, there := v.world.Object(id); there == gone {
				t.Errorf("the database is there: %t", there)
			}
			err := w.store.View(func(tx store.Tx) error {
				open, err := store.Intents(tx, "")
				if len(open) > 0 {
					t.Errorf("still open: %v", open)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.engine.Detail("a"); gone != errors.Is(err, reconcile.ErrNoClient) {
				t.Errorf("of the client there is: %v", err)
			}
			if gone {
				if h, err := w.engine.History("", 1); err != nil || len(h) != 1 || h[0].What != "purged" || h[0].Name != "a" {
					t.Errorf("the history ends with %+v (%v)", h, err)
				}
			} else if done, err := w.purge(); err != nil || len(done) != 1 {
				t.Errorf("purged %v, %v", done, err)
			}
		})
	}
}

func dueIDs(due []reconcile.Due) (out []state.ClientID) {
	for _, d := range due {
		out = append(out, d.Client)
	}
	return out
}

// A purge of what is not at the vendor (somebody erased it there, or the configuration names another account or
// server, and the data is at the one before) does not say that it was erased.
func TestP5PurgeOfWhatIsNotThereSaysSo(t *testing.T) {
	for _, byHand := range []bool{true, false} {
		v, w := newVendors(t)
		w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b")})
		db := w.database("a")
		w.apply(map[string]string{"clients/a.yaml": ""})
		v.world.Remove(db) // as if the account were another one
		w.clock.add(month)
		var done []string
		var err error
		if byHand {
			done, err = w.engine.PurgeNow(t.Context(), "a", "dana")
		} else {
			done, err = w.purge()
		}
		if err != nil || len(done) != 1 || !strings.Contains(done[0], "nothing was erased") || strings.HasSuffix(done[0], " erased") {
			t.Errorf("by hand %t: purged %q, %v", byHand, done, err)
		}
		if kept, err := w.engine.Retained(); err != nil || len(kept) > 0 {
			t.Errorf("it is on record for ever: %+v, %v", kept, err)
		}
	}
}
