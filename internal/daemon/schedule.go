package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/compassdigital/reconciler/internal/store"
)

// Schedule is a job that comes back. Spec is cron's (five fields, or @every 5m,
// @daily), in UTC.
type Schedule struct {
	Name string
	Spec string
	Run  func(context.Context) error
	// Remember notes each run in the state, so that one that was missed while the program
	// was down is caught up.
	Remember bool
	// Looks says that it changes nothing: a stop cuts it off at once. Others get Grace.
	Looks bool
}

// ParseSpec says whether a schedule's text can be read.
func ParseSpec(spec string) error {
	_, err := parseSpec(spec)
	return err
}

// parseSpec reads a schedule in UTC. cron panics on some texts, takes zones whose clock
// changes skip runs, rounds what is below a second up, and accepts days that never come.
func parseSpec(spec string) (s cron.Schedule, err error) {
	defer func() {
		if recover() != nil {
			s, err = nil, fmt.Errorf("schedule %q can't be read: it is five fields, @daily or @every 5m", spec)
		}
	}()
	if strings.Contains(spec, "TZ=") {
		return nil, fmt.Errorf("schedule %q names a zone: schedules are in UTC", spec)
	}
	if every, ok := strings.CutPrefix(spec, "@every "); ok {
		if d, err := time.ParseDuration(every); err == nil && d < time.Second {
			return nil, fmt.Errorf("schedule %q: a second is the shortest", spec)
		}
	}
	if s, err = cron.ParseStandard(spec); err != nil {
		return nil, fmt.Errorf("schedule %q: %w; it is @every 5m, @daily or the five fields of cron, in UTC", spec, err)
	}
	if s.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, fmt.Errorf("schedule %q names a day that never comes", spec)
	}
	return s, nil
}

// missed says that the schedule should have run between last and now.
func missed(s cron.Schedule, last, now time.Time) bool {
	next := s.Next(last.UTC())
	return !last.IsZero() && !next.IsZero() && !next.After(now)
}

// lookAgain is how long a schedule's time is waited for at once. The clock may be set meanwhile: a
// wait as long as it was at its begin would last for a year where it was set back by one.
const lookAgain = time.Minute

// entry is a schedule that can be read, with its job.
type entry struct {
	when cron.Schedule
	job  cron.Job // left out while it runs, and what panics in it is logged
	next time.Time
}

// startSchedules starts what runs schedules and returns what stops it and waits for running
// jobs. A job that is still running when its time comes again is left out that time; one that
// panics is logged. Jobs that only look end with soft, others with hard.
func (d *Daemon) startSchedules(soft, hard context.Context) (stop func()) {
	logger := cronLog{d.Log}
	// Recover stands inside: a panic that went through SkipIfStillRunning would leave the
	// job marked as running for ever.
	chain := cron.NewChain(cron.SkipIfStillRunning(logger), cron.Recover(logger))
	var wg sync.WaitGroup
	var entries []*entry
	for _, s := range d.Schedules {
		when, err := parseSpec(s.Spec)
		if err != nil {
			d.Log.Error("schedule can't be read; it does not run", "schedule", s.Name, "error", err)
			continue
		}
		ctx := hard
		if s.Looks {
			ctx = soft
		}
		e := &entry{when: when, job: chain.Then(cron.FuncJob(func() { d.runSchedule(ctx, s) }))}
		entries = append(entries, e)
		if !s.Remember {
			continue
		}
		due, err := d.catchUp(s.Name, when)
		if err != nil {
			d.Log.Error("schedule's last run can't be read", "schedule", s.Name, "error", err)
		}
		if due {
			wg.Go(e.job.Run) // the wrapped one: no overlap with its next time
		}
	}
	quit := make(chan struct{})
	wg.Go(func() { d.keepSchedules(entries, quit, &wg) })
	return func() { close(quit); wg.Wait() }
}

// keepSchedules starts jobs when their time comes, by the time of day. A clock that is set
// forward makes each run once at most; set back, each comes at its next time as it is now.
func (d *Daemon) keepSchedules(entries []*entry, quit <-chan struct{}, wg *sync.WaitGroup) {
	if len(entries) == 0 {
		return
	}
	clock := d.Clock
	if clock == nil {
		clock = time.Now
	}
	var last time.Time
	for {
		now := clock().UTC().Round(0) // without what differences of times in one process go by
		back := last.Sub(now) >= lookAgain
		last = now
		wait := lookAgain
		for _, e := range entries {
			if !e.next.IsZero() && !e.next.After(now) {
				wg.Go(e.job.Run)
				e.next = time.Time{}
			}
			if e.next.IsZero() || back {
				e.next = e.when.Next(now)
			}
			if !e.next.IsZero() { // else it does not come in the next years
				wait = min(wait, e.next.Sub(now))
			}
		}
		timer := time.NewTimer(max(wait, 0))
		select {
		case <-quit:
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// catchUp says whether a schedule's time passed while the program was down. One that
// never ran counts from now, so that a program that is restarted often still comes to
// what is seldom.
func (d *Daemon) catchUp(name string, when cron.Schedule) (bool, error) {
	var last time.Time
	err := d.Store.View(func(tx store.Tx) (err error) {
		last, _, err = store.LastRun(tx, name)
		return err
	})
	if err != nil {
		return false, err
	}
	if last.IsZero() || last.After(d.Now()) { // the clock was set back since
		return false, d.ran(name)
	}
	return missed(when, last, d.Now()), nil
}

func (d *Daemon) ran(name string) error {
	return d.Store.Update(func(tx store.Tx) error { return store.PutLastRun(tx, name, d.Now()) })
}

func (d *Daemon) runSchedule(ctx context.Context, s Schedule) {
	if ctx.Err() != nil {
		return
	}
	err := s.Run(ctx)
	switch {
	case err != nil && ctx.Err() != nil && errors.Is(err, context.Cause(ctx)):
		return // a stop is no failure; it is caught up
	case err != nil:
		d.Log.Error("schedule failed", "schedule", s.Name, "error", err)
		return
	case !s.Remember || d.Engine.Stopping():
		return
	}
	if err := d.ran(s.Name); err != nil {
		d.Log.Error("schedule's run can't be noted", "schedule", s.Name, "error", err)
	}
}

// cronLog hands cron's words to slog.
type cronLog struct{ log *slog.Logger }

func (c cronLog) Info(msg string, kv ...any) { c.log.Debug("schedule: "+msg, kv...) }
func (c cronLog) Error(err error, msg string, kv ...any) {
	c.log.Error("schedule: "+msg, append(kv, "error", fmt.Sprint(err))...)
}
