package reconcile_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// passes are a client's audit records, the newest first.
func (w *world) passes(name string) []state.Deployment {
	w.t.Helper()
	all, err := w.engine.Deployments(name, 100)
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

// cutOff passes a client and cuts the pass off at a call, whose answer is lost.
func (w *world) cutOff(v *vendors, id state.ClientID, at func(memory.Call) bool) {
	w.t.Helper()
	ctx, cancel := context.WithCancelCause(w.t.Context())
	defer cancel(nil)
	v.faults.Do(memory.After, at, 1, func(context.Context, memory.Call) error {
		cancel(errors.New("killed"))
		return memory.Lost()
	})
	if _, err := w.engine.Pass(ctx, id, reconcile.CauseCommit); err == nil || ctx.Err() == nil {
		w.t.Fatalf("the pass of %s was not cut off: %v", id, err)
	}
	v.faults.Clear()
	if last := w.passes("")[0]; last.State != "running" {
		w.t.Fatalf("a pass that nobody heard of again is %+v", last)
	}
}

// stepState is how a step of a record went.
func stepState(d state.Deployment, action string, kind state.Kind) string {
	for _, s := range d.Steps {
		if s.Action == action && s.Ref.Kind == kind {
			return s.State
		}
	}
	return ""
}

// P8: a pass that a death of the process cut off is told as interrupted by the next start, with
// what is known of its steps, and names the pass that went on. Further deaths change
// nothing of that.
func TestP8PassThatWasCutOffIsToldSo(t *testing.T) {
	for _, marked := range []bool{true, false} { // a death; a loss of power, or an end by force
		v, w := newVendors(t)
		id := w.push(map[string]string{"clients/a.yaml": client("a")})[0]
		w.cutOff(v, id, memory.Is(memory.Create, state.KindEnvironment))
		why := "the program ended while it was at work on it"
		if marked {
			why = "this program died while it was at work on it"
			w.crash(id)
		} else {
			w.restart()
		}
		first := w.passes("a")[0]
		if first.State != "interrupted" || first.Ended.IsZero() || first.Error != why || first.ContinuedBy != "" {
			t.Fatalf("the pass that was cut off: %+v", first)
		}
		if db, env, built := stepState(first, "create", state.KindDatabase), stepState(first, "create", state.KindEnvironment), stepState(first, "create", state.KindDeployment); db != "done" || env != "unknown" || built != "pending" {
			t.Errorf("its database is %q, its environment %q, its deployment %q", db, env, built)
		}
		if _, ended, err := w.engine.Log(first.ID, 0, 1); err != nil || !ended {
			t.Errorf("who follows its log waits for ever: %v %v", ended, err)
		}
		// The one that goes on dies, too.
		w.clock.add(time.Minute)
		w.cutOff(v, id, memory.Is(memory.Create, state.KindDeployment))
		w.restart()
		w.restart()
		w.clock.add(time.Minute)
		w.drain(id)
		w.want("a", state.StatusActive)
		all := w.passes("a")
		if len(all) != 3 || all[0].State != "succeeded" || all[1].State != "interrupted" || all[1].ContinuedBy != all[0].ID || all[2].State != "interrupted" || all[2].ContinuedBy != all[1].ID || !all[2].Ended.Equal(first.Ended) {
			t.Errorf("passes: %+v", all)
		}
	}
}

// A pass that had no end though the process lived on, as the disk was full, is told as interrupted
// by the client's next pass.
func TestPassWithoutAnEndIsToldByTheNext(t *testing.T) {
	v, w := newVendors(t)
	id := w.push(map[string]string{"clients/a.yaml": client("a")})[0]
	w.cutOff(v, id, memory.Is(memory.Create, state.KindDeployment))
	w.clock.add(time.Minute)
	w.drain(id)
	all := w.passes("a")
	if len(all) != 2 || all[1].State != "interrupted" || all[1].ContinuedBy != all[0].ID || !strings.Contains(all[1].Error, "the log says why") {
		t.Errorf("passes: %+v", all)
	}
}

// S34: of a copy that was made while a pass was at work nobody knows how the pass went on, and
// nobody is at work on it.
func TestS34PassOfACopyIsToldAsCutOff(t *testing.T) {
	v, w := newVendors(t)
	id := w.push(map[string]string{"clients/a.yaml": client("a")})[0]
	w.cutOff(v, id, memory.Is(memory.Create, state.KindSite))
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	copied, err := os.ReadFile(w.path)
	if err != nil {
		t.Fatal(err)
	}
	w.open()
	w.drain(id)
	w.want("a", state.StatusActive)
	w.clock.add(time.Hour)
	w.putBack(copied)
	if d := w.passes("a")[0]; d.State != "interrupted" || !strings.Contains(d.Error, "an older copy") {
		t.Errorf("the pass of the copy: %+v", d)
	}
	w.pass(w.poll()...)
	w.pass(w.due()...)
	w.want("a", state.StatusActive)
	for _, d := range w.passes("a") {
		if d.State == "running" {
			t.Errorf("nobody is at work on %+v", d)
		}
	}
}

// A failed pass whose undo was cut off is told by what became of it.
func TestUndoThatWasCutOffIsToldByItsEnd(t *testing.T) {
	v, w := newVendors(t)
	id := w.push(map[string]string{"clients/a.yaml": client("a")})[0]
	v.faults.Do(memory.Before, memory.Is(memory.Create, state.KindDeployment), 0, func(context.Context, memory.Call) error {
		return &provider.Error{Kind: provider.Invalid, Provider: "vercel", Message: "no such branch"}
	})
	w.cutOff(v, id, memory.Is(memory.Delete, state.KindSite))
	w.restart()
	if d := w.passes("a")[0]; d.State != "interrupted" {
		t.Errorf("while it is being taken back: %+v", d)
	}
	w.drain(id)
	w.want("a", state.StatusFailed)
	if all := w.passes("a"); len(all) != 1 || all[0].State != "rolled back" || !strings.Contains(all[0].Error, "no such branch") || all[0].Next == "" {
		t.Errorf("passes: %+v", all)
	}
}

// P8: an approval whose pass was cut off before its step began lets that run: nobody is asked
// twice. One whose step was begun has been used.
func TestP8ApprovalOfAPassThatWasCutOff(t *testing.T) {
	for _, c := range []struct {
		at    func(memory.Call) bool
		again bool
	}{{nil, true}, {memory.Is(memory.Delete, state.KindRecord), false}} {
		v, w := newVendors(t)
		mx := `dns: {records: [{type: MX, name: "@", content: mx.a.example, priority: 10}]}`
		w.apply(map[string]string{"clients/a.yaml": client("a", mx)})
		w.want("a", state.StatusActive)
		w.apply(map[string]string{"clients/a.yaml": client("a")})
		w.want("a", state.StatusHeld)
		held := w.detail("a").Holds[0].Fingerprint
		ids, err := w.engine.Approve(t.Context(), held, "dana")
		if err != nil || len(ids) != 1 {
			t.Fatalf("approve: %v %v", ids, err)
		}
		if c.at != nil {
			w.cutOff(v, ids[0], c.at)
		} else {
			ctx, cancel := context.WithCancelCause(t.Context())
			w.engine.At = func(p reconcile.Point) {
				if p == reconcile.PointBegun {
					cancel(errors.New("killed"))
				}
			}
			if _, err := w.engine.Pass(ctx, ids[0], reconcile.CauseApprove); err == nil {
				t.Fatal("the pass was not cut off")
			}
		}
		w.restart()
		used := true
		err = w.store.View(func(tx store.Tx) error {
			a, _, err := store.Approval(tx, held)
			used = !a.Used.IsZero()
			return err
		})
		if err != nil || used == c.again {
			t.Errorf("after the death it has been used: %v, %v", used, err)
		}
		w.drain(ids[0])
		w.want("a", state.StatusActive)
		for _, o := range v.world.Objects("cloudflare") {
			if strings.HasPrefix(o.Name, "MX") {
				t.Errorf("it is still there: %+v", o)
			}
		}
	}
}

// A pass that did what it could while the rest waits for a provider that does not answer is told
// as waiting, with what it did.
func TestPassThatWaitsForAProviderIsNotRunning(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a")})
	w.want("a", state.StatusActive)
	v.faults.Do(memory.Before, memory.Is(memory.Observe, state.KindRecord), 0, func(context.Context, memory.Call) error {
		return &provider.Error{Kind: provider.Transient, Provider: "cloudflare", Message: "no answer"}
	})
	w.apply(map[string]string{"clients/a.yaml": client("a", "env: {COLOUR: red}", "dns: {proxied: true}")})
	d := w.detail("a")
	if d.Last == nil || d.Last.State == "running" || d.Last.Ended.IsZero() {
		t.Errorf("%s, and its last pass is %+v", d.Because, d.Last)
	}
	v.faults.Clear()
	w.drain(w.id("a"))
	w.want("a", state.StatusActive)
}

// Records that older versions left running are ended with the daily pruning; the one of a pass
// under way is not.
func TestPruneEndsWhatOlderVersionsLeftRunning(t *testing.T) {
	v, w := newVendors(t)
	id := w.push(map[string]string{"clients/a.yaml": client("a")})[0]
	old := state.Deployment{ID: "20251124-090000-abcdef-" + string(id), Client: id, Name: "a", State: "running", Started: w.clock.Now()}
	if err := w.store.Update(func(tx store.Tx) error { return store.PutDeployment(tx, old) }); err != nil {
		t.Fatal(err)
	}
	pruned := false
	v.faults.Do(memory.Before, memory.Is(memory.Create, state.KindSite), 1, func(context.Context, memory.Call) error {
		pruned = true
		if _, err := w.engine.Prune(t.Context()); err != nil {
			t.Error(err)
		}
		if all := w.passes("a"); len(all) != 2 || all[0].State != "running" || all[1].State != "interrupted" || all[1].Error == "" {
			t.Errorf("passes: %+v", all)
		}
		return nil
	})
	w.pass(id)
	w.want("a", state.StatusActive)
	if !pruned {
		t.Error("it was not tried")
	}
}

// C20: who was under way when the program died is told when it is tried again: at once, in turn,
// or alone; who ran into an error of it, at which time.
func TestC20WhenItIsTriedAgain(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b")})
	a, b := w.id("a"), w.id("b")
	says := func(name, want string) {
		t.Helper()
		if r := w.row(name); r.Because != want {
			t.Errorf("%s says %q\nwant %q", name, r.Because, want)
		}
	}
	w.crash(a)
	says("a", "this program died while it was at work on it; it is tried again as soon as the program runs")
	w.crash(a)
	says("a", "this program died while it was at work on it, 2 times in a row; it is tried again by itself, once no other client is worked on")
	w.drain(a)
	w.crash(a, b)
	says("b", "this program died while it was at work on it and another client; they are tried again as soon as the program runs, one after the other")
	w.drain(a)
	w.drain(b)
	v.faults.Do(memory.Before, memory.Is(memory.Create, state.KindDeployment), 1, func(context.Context, memory.Call) error { panic("a nil map") })
	w.apply(map[string]string{"clients/a.yaml": client("a", "env: {COLOUR: red}")})
	d := w.detail("a")
	if want := "; it is tried again at " + d.RetryAt.UTC().Format("15:04:05 MST"); d.RetryAt.IsZero() || !strings.HasSuffix(d.Because, want) {
		t.Errorf("a says %q, due %v", d.Because, d.RetryAt)
	}
}
