package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

// Limits of the daemon.
const (
	// Grace is how long a stop waits for running passes.
	Grace = 8 * time.Second
	// maxPollBackOff is the longest pause after polls that failed.
	maxPollBackOff = 5 * time.Minute
	// crashPause is how long a client rests whose pass ended in an error of ours.
	crashPause = 30 * time.Second
)

// Daemon runs an engine. Fields are set by wiring.
type Daemon struct {
	Engine    *reconcile.Engine
	Log       *slog.Logger
	Workers   int // passes at once
	Schedules []Schedule
	Now       func() time.Time
	// Every is the pause between polls.
	Every time.Duration
	// OnPoll tells how a poll ended; nil: nobody asks.
	OnPoll func(error)

	queue *Queue
	hint  chan struct{}
	// polling is held from a poll to the queueing of what it found, so that who waits for
	// an idle queue after a poll of its own waits for that, too.
	polling sync.Mutex
	once    sync.Once
	started chan struct{} // closed when the engine knows what is on record
	lost    struct {
		sync.Mutex
		err error // of the last poll
	}
}

func (d *Daemon) prepare() {
	d.once.Do(func() {
		d.queue = NewQueue(d.Now, d.Engine.Group)
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

// Run works until ctx ends, then stops gracefully: no new step begins, running ones
// get Grace to end.
func (d *Daemon) Run(ctx context.Context) error {
	d.prepare()
	if err := d.start(); err != nil {
		return err
	}
	hard, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cut(nil)
	var wg sync.WaitGroup
	for range max(d.Workers, 1) {
		wg.Add(1)
		go func() { defer wg.Done(); d.work(ctx, hard) }()
	}
	stopCron := d.startSchedules(hard)
	d.pollLoop(ctx)
	d.Engine.Stop()
	ended := make(chan struct{})
	go func() { wg.Wait(); stopCron(); close(ended) }()
	timer := time.NewTimer(Grace)
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C:
		d.Log.Warn("stop: passes are cut off; the next start goes on from the journal")
		cut(errors.New("the program stops"))
		<-ended
	}
	return nil
}

func (d *Daemon) start() error {
	due, err := d.Engine.Start()
	if err != nil {
		return err
	}
	for _, u := range due {
		if u.At.IsZero() {
			d.queue.Add(reconcile.CauseStart, u.Client)
		} else {
			d.queue.AddAt(u.At, u.Client)
		}
	}
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
func (d *Daemon) Once(ctx context.Context) error {
	d.prepare()
	if err := d.start(); err != nil {
		return err
	}
	if err := d.poll(ctx); err != nil {
		return err
	}
	workers, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for range max(d.Workers, 1) {
		wg.Add(1)
		go func() { defer wg.Done(); d.work(workers, workers) }()
	}
	err := d.queue.Idle(ctx)
	stop()
	wg.Wait()
	return err
}

// pollLoop polls now, at every tick and at every hint, and less often while it fails.
func (d *Daemon) pollLoop(ctx context.Context) {
	failures := 0
	for {
		err := d.poll(ctx)
		if ctx.Err() != nil {
			return
		}
		pause := d.Every
		if err != nil {
			failures++
			d.Log.Error("poll failed; nothing changes until it works again", "error", err)
			pause = min(d.Every<<min(failures, 6), maxPollBackOff)
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
	ids, err := d.Engine.Poll(ctx)
	d.lost.Lock()
	d.lost.err = err
	d.lost.Unlock()
	if d.OnPoll != nil {
		d.OnPoll(err)
	}
	if err != nil {
		return err
	}
	d.queue.Add(reconcile.CauseCommit, ids...)
	return nil
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
		id, group, cause, err := d.queue.Next(ctx)
		if err != nil {
			return
		}
		d.pass(hard, id, cause)
		d.queue.Done(group)
	}
}

// pass runs one pass; a panic costs that pass only.
func (d *Daemon) pass(ctx context.Context, id state.ClientID, cause reconcile.Cause) {
	var done reconcile.Done
	var err error
	func() {
		defer func() {
			if p := recover(); p != nil {
				d.Log.Error("pass panicked", "client", id, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
				err = fmt.Errorf("panic: %v", p)
			}
		}()
		done, err = d.Engine.Pass(ctx, id, cause)
	}()
	switch {
	case ctx.Err() != nil || d.Engine.Stopping():
		return // the next start goes on
	case err != nil:
		d.Log.Error("pass ended without a result; it is tried again", "client", id, "error", err)
		d.queue.AddAt(d.Now().Add(crashPause), id)
		return
	}
	d.queue.Add(reconcile.CauseCommit, done.Also...)
	if done.Recheck && d.Engine.RecheckWanted() {
		d.Hint()
	}
	switch {
	case done.Again:
		d.queue.Add(reconcile.CauseCommit, id)
	case !done.At.IsZero():
		d.queue.AddAt(done.At, id)
	}
}
