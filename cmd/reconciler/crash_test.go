package main

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/bolt"
	"github.com/compassdigital/reconciler/internal/daemon"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/reconcile"
)

// `go test` kills a few times; `make crash KILLS=10000` as often as one likes.
var (
	crashKills = flag.Int("crash.kills", 40, "how often the random kills must hit a process at work")
	crashSeed  = flag.Uint64("crash.seed", 0, "of commits and kills; 0: another one each time")
)

const (
	crashWorlds   = 2           // side by side
	crashProgress = time.Minute // between lines that say how far it is
	crashLife     = 150         // kills that a world lives through
	crashSpares   = 3           // of so many starts after a kill one is left alone until it recovered
)

// crashPoints are the named points that random commits often come by. All of them have scenes.
func crashPoints() []string {
	out := []string{bolt.PointCommit, bolt.PointCommitted}
	for _, p := range []reconcile.Point{reconcile.PointRead, reconcile.PointAccept, reconcile.PointAccepted, reconcile.PointBegin, reconcile.PointBegun,
		reconcile.PointEnd, reconcile.PointEnded, reconcile.PointDeliver, reconcile.PointDelivered, reconcile.PointRollback, reconcile.PointRolledBack, reconcile.PointPurge, reconcile.PointPurged} {
		out = append(out, string(p))
	}
	return append(out, stepPoints()...)
}

// stepPoints are the borders of steps that write, by what the step does.
func stepPoints() (out []string) {
	for _, b := range []apply.Border{apply.BeforeIntent, apply.AfterIntent, apply.AfterCall, apply.AfterOutcome} {
		for _, a := range []plan.Action{plan.Create, plan.Update, plan.Delete} {
			out = append(out, string(b)+"/"+string(a))
		}
	}
	return out
}

// P8 and P3: the program is killed with SIGKILL at random moments, at random writes of its
// providers, which live on, at random commits and named points, over and over in the same
// world. No object is there twice (I1), none is lost (I2), what looks like ours is not
// touched (I5), data stays, and when it is left alone it comes to what the branch wishes.
func TestP8RandomKills(t *testing.T) {
	seed := *crashSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-crash.seed=%d", seed)
	count := newCrashCount(*crashKills)
	t.Run("worlds", func(t *testing.T) {
		for side := range crashWorlds {
			t.Run(fmt.Sprint(side), func(t *testing.T) {
				t.Parallel()
				for n := uint64(0); !count.enough() && !t.Failed(); n++ {
					t.Run(fmt.Sprint(n), func(t *testing.T) { killWorld(t, seed+uint64(side)*(1<<32+2)+n, count) })
				}
			})
		}
	})
	count.report(t)
	if count.kills < count.wanted {
		t.Errorf("only %d kills hit a process at work, %d were wanted", count.kills, count.wanted)
	}
	count.soon(t, count.wanted/20)
}

// killWorld is the life of one world.
func killWorld(t *testing.T, seed uint64, count *crashCount) {
	spec := hostSpec{Slow: true}
	switch seed % 4 {
	case 0:
		spec.Dir = "embedded"
	case 1:
		spec.Lag, spec.Builds = 4*time.Second, 2
	case 2: // of two worlds side by side one has vendors
		spec.Builds, spec.Vendors = 1, map[string]string{}
	case 3:
		spec.Vendors = map[string]string{}
	}
	w := newCrashWorld(t, seed, spec)
	k := &killer{w: w, count: count, busy: 150 * time.Millisecond, writes: 12}
	err := k.run()
	if err != nil {
		why := fmt.Sprintf("-crash.seed=%d (%+v): %v", seed, spec, err)
		count.failed(why)
		t.Fatalf("%s\n%s", why, strings.Join(w.log, "\n"))
	}
}

// killer kills one world's program.
type killer struct {
	w      *crashWorld
	count  *crashCount
	busy   time.Duration // how long a process is at work, about
	writes int           // how many writes it makes, about
	killed bool          // the last process was
	starts int           // after a kill
	before truth
}

func (k *killer) run() error {
	for range 3 {
		if err := k.w.add(); err != nil {
			return err
		}
	}
	for n := 0; n < crashLife && !k.count.enough(); n++ {
		if err := k.round(); err != nil {
			return err
		}
	}
	err := k.w.settle()
	last := k.before
	if err == nil {
		last, err = k.w.check(true)
	}
	k.count.Lock()
	defer k.count.Unlock()
	k.count.approvals += k.w.approvals
	k.count.rebuilds += k.w.rebuilds
	for verb, n := range last.Died {
		k.count.inside[verb] += n
	}
	if err == nil {
		k.count.settled++
	}
	return err
}

// round is a commit or some, a process, and its death.
func (k *killer) round() error {
	w := k.w
	for w.rng.IntN(4) > 0 {
		if err := w.change(); err != nil {
			return err
		}
		if w.rng.IntN(3) > 0 {
			break
		}
	}
	if w.rng.IntN(40) == 0 { // what is retained is erased now
		w.say("a month passes")
		if err := w.host.pass(context.Background(), 31*24*time.Hour); err != nil {
			return err
		}
		w.outdate()
	}
	if err := k.copies(); err != nil {
		return err
	}
	compares := w.older != nil && w.older.open
	args, failpoint, how := []string{"run"}, "", "time"
	if w.rng.IntN(4) == 0 {
		args[0] = "apply"
	}
	var after time.Duration
	arm := armed{}
	spared := false
	if k.killed {
		k.starts++
		spared = k.starts%crashSpares == 0 // whatever it is like: those say how long recovery takes
	}
	switch n := w.rng.IntN(10); {
	case spared:
		how = "recovered"
		after = time.Millisecond + time.Duration(w.rng.Int64N(int64(k.busy)))
	case compares && n > 3:
		how = "commit"
		failpoint = fmt.Sprintf("%s:%d", []string{bolt.PointCommit, bolt.PointCommitted}[w.rng.IntN(2)], 1+w.rng.IntN(4))
	case n < 4:
		after = time.Millisecond + time.Duration(w.rng.Int64N(int64(k.busy)))
	case n < 7:
		how, arm = "write", armed{N: 1 + w.rng.IntN(max(k.writes, 1)), Moment: []string{"before", "after"}[w.rng.IntN(2)]}
	case n < 8:
		how = "commit"
		failpoint = fmt.Sprintf("%s:%d", []string{bolt.PointCommit, bolt.PointCommitted}[w.rng.IntN(2)], 1+w.rng.IntN(30))
	default:
		points := crashPoints()
		how = "point"
		failpoint = fmt.Sprintf("%s:%d", points[w.rng.IntN(len(points))], 1+w.rng.IntN(2))
	}
	if err := w.host.ask(context.Background(), "/arm", arm, nil); err != nil {
		return err
	}
	r, err := w.begin(failpoint, args...)
	if err != nil {
		return err
	}
	r.spared = spared
	again := 0
	e, err := r.wait(after, func() bool { // it is idle, and lives: give it something to do
		if again++; again > 2 || args[0] != "run" {
			return false
		}
		if err := w.change(); err != nil {
			return false
		}
		go func() { // the answer is no matter; the process dies of it
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			_ = daemon.Call(ctx, w.path("state.db.sock"), daemon.Ask{Op: "apply"}, nil)
		}()
		return true
	})
	if err != nil {
		return err
	}
	w.say("ended: killed %v busy %v after %s, %d open, recovered %s", e.killed, e.busy, e.ran.Round(time.Millisecond), e.open, e.recovered.Round(time.Millisecond))
	if !e.killed && args[0] == "run" {
		return fmt.Errorf("the daemon ended with %d:\n%s", e.code, r.errOut)
	}
	k.count.note(e, how, crashStart{after: k.killed, spared: spared})
	k.killed = e.killed
	if e.killed && e.busy && how == "point" {
		k.count.Lock()
		where, _, _ := strings.Cut(failpoint, ":")
		k.count.points[where]++
		k.count.Unlock()
	}
	k.learn(e)
	if !compares && w.rng.IntN(3) > 0 {
		return nil // calls that are under way happen beside the next process
	}
	k.count.Lock()
	k.count.checks++
	k.count.Unlock()
	t, err := w.check(false)
	if compares && w.older.open && e.killed {
		k.count.Lock()
		k.count.comparing++
		k.count.Unlock()
	}
	k.writes = (k.writes + max(t.Writes-k.before.Writes, 2)/2) / 2
	k.before = t
	return err
}

// copies makes a copy of the state now and then, and puts it back later.
func (k *killer) copies() error {
	switch n := k.w.rng.IntN(24); {
	case n < 2:
		return k.w.keepCopy()
	case n < 4:
		how, err := k.w.putBack()
		if how != "" {
			k.count.Lock()
			k.count.copies[how]++
			k.count.Unlock()
		}
		return err
	}
	return nil
}

// learn follows how long processes are at work, so that most kills hit.
func (k *killer) learn(e crashEnd) {
	at := e.idle
	if at == 0 {
		at = e.ran + e.ran/4
	}
	k.busy = max((3*k.busy+at)/4, 20*time.Millisecond)
}
