package reconcile_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

// unreachable is a repository that does not say where its branch is, while away says so.
type unreachable struct {
	reconcile.Repository
	away func() bool
}

func (r *unreachable) Poll(ctx context.Context) (string, error) {
	if r.away() {
		return "", errors.New("502 bad gateway")
	}
	return r.Repository.Poll(ctx)
}

// P5: a removed client's date has come, and a head is held as a whole that has its file again. Somebody approves
// another thing, for which the accepted head is judged once more: the held one stays held all the while.
func TestP5NothingGoesWhileTheAcceptedHeadIsJudgedAgain(t *testing.T) {
	for _, how := range []string{"the branch can't be read then", "it passes meanwhile"} {
		t.Run(how, func(t *testing.T) {
			v, w := newVendors(t)
			w.change = func(e *reconcile.Engine) { e.Guard.RemoveAfter, e.Guard.MaxCreates = time.Hour, 1 }
			w.restart()
			w.apply(map[string]string{"clients/a.yaml": client("a")})
			w.clock.add(25 * time.Hour)
			w.apply(map[string]string{"clients/b.yaml": client("b"), "clients/c.yaml": client("c"), "clients/d.yaml": "kind: [\n"})
			w.apply(map[string]string{"clients/a.yaml": ""})
			w.repo.cut(w.repo.commit(map[string]string{"clients/a.yaml": client("a")}))
			w.pass(w.poll()...)
			a := w.clientID("a")
			w.clock.add(2 * time.Hour)
			w.pass(w.poll()...)
			w.pass(w.due()...)
			if r := w.row("a"); r.Because == "" || len(w.waits(state.HoldHistory)) != 1 || len(w.waits(state.HoldCreates)) != 1 {
				t.Fatalf("it does not wait: %+v", r)
			}
			passed, reads := false, 0
			pass := func() {
				passed = true
				if _, err := w.engine.Pass(t.Context(), a, reconcile.CauseSchedule); err != nil {
					t.Error(err)
				}
			}
			away := false
			w.engine.Repo = &unreachable{w.repo, func() bool { return away }}
			if how == "it passes meanwhile" {
				w.engine.At = func(p reconcile.Point) {
					if p == reconcile.PointRead {
						if reads++; reads == 2 { // the held head, once more
							pass()
						}
					}
				}
			} else {
				away = true
			}
			ids, err := w.engine.Approve(t.Context(), w.waits(state.HoldCreates)[0].Fingerprint, "dana")
			if err != nil {
				t.Fatal(err)
			}
			if !passed {
				pass()
			}
			away = false
			if _, serves := v.world.Serves("a.agency.example"); !serves {
				t.Fatalf("a is taken down: %+v", w.row("a"))
			}
			w.pass(ids...)
			w.pass(w.poll()...)
			if len(w.waits(state.HoldHistory)) != 1 {
				t.Error("the head is not held any more")
			}
			// Put back, what was asked for goes.
			w.repo.order = w.repo.order[:len(w.repo.order)-1]
			w.pass(w.poll()...)
			w.want("a", state.StatusRetained)
		})
	}
}

// P9: the program is started before a head that is held as a whole, and judges it once more; somebody approves it just
// then, after the judgement is on the disk and before the program has heard of that. The approval counts.
func TestApprovalOfAHeadThatIsJudgedJustNow(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": at("a", "a", "red"), "clients/b.yaml": client("b")})
	w.repo.cut(w.repo.commit(map[string]string{"clients/a.yaml": at("a", "a", "green")}))
	w.pass(w.poll()...)
	held := w.waits(state.HoldHistory)[0].Fingerprint
	w.restart()
	var written, asks atomic.Bool
	waits, over := make(chan struct{}), make(chan error, 1)
	var ids []state.ClientID
	now := w.engine.Now
	w.engine.Now = func() time.Time {
		if written.Load() && asks.CompareAndSwap(false, true) { // it is approved, and polls
			close(waits)
		}
		return now()
	}
	s := &overheard{Store: w.store}
	w.engine.Store = s
	began := false
	w.engine.At = func(p reconcile.Point) {
		if p != reconcile.PointAccepted || began {
			return
		}
		began = true
		s.written = func() { written.Store(true) }
		go func() {
			var err error
			ids, err = w.engine.Approve(t.Context(), held, "dana")
			over <- err
		}()
		<-waits
	}
	w.poll()
	if err := <-over; err != nil {
		t.Fatal(err)
	}
	w.pass(ids...)
	w.pass(w.poll()...)
	if d, _ := v.world.Serves("a.agency.example"); v.world.BuiltWith(d)["COLOUR"] != "green" {
		t.Errorf("it waits for ever: %+v", w.waits(state.HoldHistory))
	}
}

// Names become free as a head is committed, and before the program has heard of that: whoever asked for the head to
// be judged once more is not forgotten.
func TestRecheckIsWantedAsAHeadIsCommitted(t *testing.T) {
	_, w := newVendors(t)
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": "kind: [\n"})
	wanted, reads := 0, 0
	w.engine.At = func(p reconcile.Point) {
		switch {
		case p == reconcile.PointRead:
			reads++
		case p == reconcile.PointAccepted && wanted == 0:
			wanted++
			if !w.engine.RecheckWanted() {
				t.Error("nothing waits for a name")
			}
		}
	}
	w.push(map[string]string{"clients/c.yaml": client("c")})
	w.poll()
	if wanted != 1 || reads != 2 {
		t.Errorf("asked for %d times, judged %d times", wanted, reads)
	}
	w.poll()
	if reads != 2 {
		t.Errorf("it is judged for ever: %d times", reads)
	}
}

// P6: judging the accepted head once more, before something goes, runs into an error of this program. It costs that
// client its pass, and keeps nobody from following the branch.
func TestP6ErrorAsAHeadIsJudgedAgain(t *testing.T) {
	_, w := newVendors(t)
	w.change = func(e *reconcile.Engine) { e.Guard.RemoveAfter = time.Hour }
	w.restart()
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b")})
	w.apply(map[string]string{"clients/d.yaml": "kind: [\n"})
	w.apply(map[string]string{"clients/a.yaml": ""})
	w.clock.add(2 * time.Hour)
	w.poll()
	panics := 0
	w.engine.At = func(p reconcile.Point) {
		if p == reconcile.PointRead && panics == 0 {
			panics++
			panic("an error in this program")
		}
	}
	if _, err := w.engine.Pass(t.Context(), w.clientID("a"), reconcile.CauseSchedule); err != nil || panics == 0 {
		t.Fatalf("%d panics, %v", panics, err)
	}
	w.repo.commit(map[string]string{"clients/c.yaml": client("c")})
	polled := make(chan error, 1)
	go func() { _, err := w.engine.Poll(t.Context()); polled <- err }()
	select {
	case err := <-polled:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second): // where it is as it should be nobody waits for that
		t.Fatal("no head is accepted any more")
	}
}
