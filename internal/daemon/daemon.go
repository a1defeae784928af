package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// Limits of the daemon.
const (
	// Grace is how long a stop waits for running passes, and Cut how long for those that
	// were cut off; with the servers' second a stop stays below ten.
	Grace = 6 * time.Second
	Cut   = 2 * time.Second
	// maxPollBackOff is the longest pause after polls that failed.
	maxPollBackOff = 5 * time.Minute
	// crashPause is how long a client rests whose pass ended in an error of ours.
	crashPause = 30 * time.Second
)

// Engine is what the daemon keeps going; package reconcile's is the one.
type Engine interface {
	// Start says once what is due.
	Start() ([]reconcile.Due, error)
	// Group says who passes together.
	Group(state.ClientID) []state.ClientID
	// Poll looks at the branch, and Pass brings one group to its wish.
	Poll(context.Context) ([]state.ClientID, error)
	Pass(context.Context, state.ClientID, reconcile.Cause) (reconcile.Done, error)
	// RecheckWanted says whether the accepted head is to be judged once more.
	RecheckWanted() bool
	// Stop ends passes at a step's border.
	Stop()
	Stopping() bool
}

var _ Engine = (*reconcile.Engine)(nil)

// Daemon runs an engine. Fields are set by wiring.
type Daemon struct {
	Engine    Engine
	Store     store.Store // where schedules' runs are noted
	Log       *slog.Logger
	Workers   int // passes at once
	Schedules []Schedule
	Now       func() time.Time
	// Clock is the time of day that schedules go by; nil: time.Now. Waits for it take as long as
	// they take, whatever it shows.
	Clock func() time.Time
	// Every is the pause between polls.
	Every time.Duration
	// Before runs once, when the engine has read what is on record and before the first
	// pass; nil: nothing.
	Before func(context.Context)
	// OnPoll tells how a poll ended; nil: nobody asks.
	OnPoll func(error)
	// OnPass tells that a pass ended; nil: nobody asks.
	OnPass func()

	queue *Queue
	hint  chan struct{}
	// polling is held from a poll to the queueing of what it found, so that who waits for
	// an idle queue after a poll of its own waits for that, too.
	polling sync.Mutex
	// rechecks counts the passes after which the head is to be judged once more.
	rechecks atomic.Int64
	once     sync.Once
	started  chan struct{} // closed when the engine knows what is on record
	lost     struct {
		sync.Mutex
		err error // of the last poll
	}
	unfinished struct {
		sync.Mutex
		n     int   // passes that ended without a result
		first error // of those
	}
}

func (d *Daemon) prepare() {
	d.once.Do(func() {
		d.queue = NewQueue(d.Now, d.Engine.Group, d.Workers)
		d.hint = make(chan struct{}, 1)
		d.started = make(chan struct{})
	})
}

// Queue is where triggers put keys.
func (d *Daemon) Queue() *Queue { d.prepare(); return d.queue }

// Hint says "look now". It never blocks; hints that come together are one.
func (d *Daemon) Hint() {
	d.prepare()
	select {
	case d.hint <- struct{}{}:
	default:
	}
}

// PollError is how the last poll ended.
func (d *Daemon) PollError() error {
	d.lost.Lock()
	defer d.lost.Unlock()
	return d.lost.err
}

// ErrStuck: something did not end although it was cut off. The process can end; the
// next start goes on from the journal.
var ErrStuck = errors.New("the stop did not wait for a pass that hangs; the next start goes on from the journal")

// ErrUnfinished: passes ended without a result, and nobody is there to try them again.
var ErrUnfinished = errors.New("not everything was brought to its end")

// Run works until ctx ends, then stops gracefully: no new step begins, running ones
// get Grace to end, then they are cut off.
func (d *Daemon) Run(ctx context.Context) error {
	d.prepare()
	if err := d.start(ctx); err != nil {
		return err
	}
	hard, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cut(nil)
	var wg sync.WaitGroup
	for range max(d.Workers, 1) {
		wg.Go(func() { d.work(ctx, hard) })
	}
	stopCron := d.startSchedules(ctx, hard)
	d.pollLoop(ctx)
	d.Engine.Stop()
	ended := make(chan struct{})
	go func() { wg.Wait(); stopCron(); close(ended) }()
	if within(ended, Grace) {
		return nil
	}
	d.Log.Warn("stop: passes are cut off; the next start goes on from the journal")
	cut(errors.New("the program stops"))
	if within(ended, Cut) {
		return nil
	}
	return ErrStuck
}

// within says whether something ended in time.
func within(ended <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ended:
		return true
	case <-timer.C:
		return false
	}
}

func (d *Daemon) start(ctx context.Context) error {
	due, err := d.Engine.Start()
	if err != nil {
		return err
	}
	if d.Before != nil {
		d.Before(ctx)
	}
	var now []state.ClientID
	for _, u := range due {
		if u.At.IsZero() {
			now = append(now, u.Client)
		} else {
			d.queue.AddAt(u.At, u.Client)
		}
	}
	d.queue.Add(reconcile.CauseStart, now...)
	close(d.started)
	return nil
}

// Started waits until the engine may be asked: people's requests can come before it has
// read what is on record.
func (d *Daemon) Started(ctx context.Context) error {
	d.prepare()
	select {
	case <-d.started:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Once polls, passes every client that is due until nothing is due now, and returns.
// ErrUnfinished: all that could pass did, and some could not.
func (d *Daemon) Once(ctx context.Context) error {
	d.prepare()
	if err := d.start(ctx); err != nil {
		return err
	}
	workers, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for range max(d.Workers, 1) {
		wg.Go(func() { d.work(workers, workers) })
	}
	err := d.Settle(ctx)
	stop()
	wg.Wait()
	d.unfinished.Lock()
	defer d.unfinished.Unlock()
	if u := &d.unfinished; err == nil && u.n > 0 {
		return fmt.Errorf("%w: %d of the passes ended without a result: %w", ErrUnfinished, u.n, u.first)
	}
	return err
}

// Settle polls, and waits until nothing is due now. A pass that set names free has the
// head judged once more; what comes of that is waited for, too.
func (d *Daemon) Settle(ctx context.Context) error {
	for {
		before := d.rechecks.Load()
		if err := d.Sync(ctx); err != nil {
			return err
		}
		if err := d.queue.Idle(ctx); err != nil {
			return err
		}
		if d.rechecks.Load() == before {
			return nil
		}
	}
}

// pollLoop polls now, at every tick and at every hint, and less often while it fails.
func (d *Daemon) pollLoop(ctx context.Context) {
	failures := 0
	for {
		err := d.poll(ctx)
		if ctx.Err() != nil {
			return
		}
		pause := max(d.Every, time.Second)
		if err != nil {
			failures++
			d.Log.Error("poll failed; nothing changes until it works again", "error", err)
			pause = max(pause, min(pause<<min(failures, 6), maxPollBackOff))
		} else {
			failures = 0
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-d.hint:
		case <-timer.C:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

func (d *Daemon) poll(ctx context.Context) error {
	d.polling.Lock()
	defer d.polling.Unlock()
	var ids []state.ClientID
	err := d.contain("poll", func() (err error) { ids, err = d.Engine.Poll(ctx); return err })
	d.lost.Lock()
	d.lost.err = err
	d.lost.Unlock()
	if d.OnPoll != nil {
		d.OnPoll(err)
	}
	d.queue.Add(reconcile.CauseCommit, ids...) // also where the branch can't be read: who waited for a date that moved
	return err
}

// Sync polls now and returns the poll's error; the passes follow in the workers.
func (d *Daemon) Sync(ctx context.Context) error {
	if err := d.Started(ctx); err != nil {
		return err
	}
	return d.poll(ctx)
}

// work runs passes until ctx ends; hard cuts a running one off.
func (d *Daemon) work(ctx, hard context.Context) {
	for {
		t, err := d.queue.Next(ctx)
		if err != nil {
			return
		}
		d.pass(hard, t)
		if d.OnPass != nil {
			d.OnPass()
		}
		d.queue.Done(t)
	}
}

// contain turns a panic into an error: it costs what panicked, and nothing else.
func (d *Daemon) contain(what string, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			d.Log.Error(what+" panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("%s: an error in this program: %v", what, p)
		}
	}()
	return f()
}

// pass runs one pass and puts back what it leaves to do.
func (d *Daemon) pass(ctx context.Context, t Taken) {
	var done reconcile.Done
	id := t.Client
	err := d.contain("pass", func() (err error) { done, err = d.Engine.Pass(ctx, id, t.Cause); return err })
	if ctx.Err() != nil || d.Engine.Stopping() {
		return // the next start goes on
	}
	d.queue.Add(reconcile.CauseCommit, done.Also...)
	if err != nil {
		d.Log.Error("pass ended without a result; it is tried again", "client", id, "error", err)
		d.unfinished.Lock()
		if d.unfinished.n++; d.unfinished.first == nil {
			d.unfinished.first = err
		}
		d.unfinished.Unlock()
		for _, c := range t.Group { // it was to serve all of them, and they may not pass together any more
			d.queue.AddAt(d.Now().Add(crashPause), c)
		}
		return
	}
	if done.Recheck && d.Engine.RecheckWanted() {
		d.rechecks.Add(1)
		d.Hint()
	}
	// It may be about another one of the group, which the pass may have let go of.
	group := done.Clients
	if len(group) == 0 {
		group = []state.ClientID{id}
	} else {
		for _, c := range t.Group { // who was let go between its turn and its pass was to be served by it
			if !slices.Contains(group, c) {
				d.queue.Add(t.Cause, c)
			}
		}
	}
	switch {
	case done.Again:
		d.queue.Add(reconcile.CauseCommit, group...)
	case !done.At.IsZero():
		for _, c := range group {
			d.queue.AddAt(done.At, c)
		}
	}
}
