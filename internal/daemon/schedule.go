package daemon

import (
	"context"
	"fmt"
	"log/slog"
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
}

// ParseSpec says whether a schedule's text can be read.
func ParseSpec(spec string) error {
	_, err := cron.ParseStandard(spec)
	return err
}

// missed says that the schedule should have run between last and now.
func missed(spec string, last, now time.Time) bool {
	s, err := cron.ParseStandard(spec)
	return err == nil && !last.IsZero() && !s.Next(last).After(now)
}

// startSchedules starts cron and returns what stops it and waits for running jobs. A
// job that is still running when its time comes again is left out that time; one that
// panics is logged.
func (d *Daemon) startSchedules(ctx context.Context) (stop func()) {
	logger := cronLog{d.Log}
	c := cron.New(cron.WithLocation(time.UTC), cron.WithLogger(logger),
		cron.WithChain(cron.Recover(logger), cron.SkipIfStillRunning(logger)))
	for _, s := range d.Schedules {
		id, err := c.AddFunc(s.Spec, func() { d.runSchedule(ctx, s) })
		if err != nil {
			d.Log.Error("schedule can't be read; it does not run", "schedule", s.Name, "spec", s.Spec, "error", err)
			continue
		}
		if !s.Remember {
			continue
		}
		last, err := d.lastRun(s.Name)
		if err != nil {
			d.Log.Error("schedule's last run can't be read", "schedule", s.Name, "error", err)
			continue
		}
		if missed(s.Spec, last, d.Now()) {
			go c.Entry(id).WrappedJob.Run()
		}
	}
	c.Start()
	return func() { <-c.Stop().Done() }
}

func (d *Daemon) lastRun(name string) (last time.Time, err error) {
	err = d.Engine.Store.View(func(tx store.Tx) (err error) {
		last, _, err = store.LastRun(tx, name)
		return err
	})
	return last, err
}

func (d *Daemon) runSchedule(ctx context.Context, s Schedule) {
	if ctx.Err() != nil {
		return
	}
	if err := s.Run(ctx); err != nil {
		d.Log.Error("schedule failed", "schedule", s.Name, "error", err)
		return
	}
	if !s.Remember || d.Engine.Stopping() {
		return
	}
	if err := d.Engine.Store.Update(func(tx store.Tx) error { return store.PutLastRun(tx, s.Name, d.Now()) }); err != nil {
		d.Log.Error("schedule's run can't be noted", "schedule", s.Name, "error", err)
	}
}

// cronLog hands cron's words to slog.
type cronLog struct{ log *slog.Logger }

func (c cronLog) Info(msg string, kv ...any) { c.log.Debug("schedule: "+msg, kv...) }
func (c cronLog) Error(err error, msg string, kv ...any) {
	c.log.Error("schedule: "+msg, append(kv, "error", fmt.Sprint(err))...)
}
