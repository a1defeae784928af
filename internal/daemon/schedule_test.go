package daemon

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/compassdigital/reconciler/internal/store"
)

func TestParseSpec(t *testing.T) {
	for spec, want := range map[string]string{ // what the error says; "" is none
		"@daily":                              "",
		"@every 30s":                          "",
		"30 2 * * *":                          "",
		"0 0 29 2 *":                          "",
		"":                                    "empty",
		"TZ=UTC":                              "UTC", // cron panics here
		"CRON_TZ=":                            "UTC",
		"CRON_TZ=America/New_York 30 2 * * *": "UTC",
		"@every 500ms":                        "second",
		"@every -5m":                          "second",
		"@every soon":                         "soon",
		"@fortnightly":                        "fortnightly",
		"* * * * * *":                         "expected exactly 5",
		"5m":                                  "it is @every 5m, @daily or the five fields of cron",
		"0 0 30 2 *":                          "never comes",
		"61 * * * *":                          "61",
		"*/0 * * * *":                         "positive",
	} {
		err := ParseSpec(spec)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", spec, err, want)
		}
	}
}

func FuzzParseSpec(f *testing.F) {
	for _, s := range []string{"TZ=UTC", "@every 1h", "* * * * *", "@daily", "1-0/2 , ? * *"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, spec string) { // what is accepted comes again, later, and no panic
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		if s, err := parseSpec(spec); err == nil && !s.Next(at).After(at) {
			t.Errorf("%q comes at %v after %v", spec, s.Next(at), at)
		}
	})
}

func TestMissed(t *testing.T) {
	day := func(s string) time.Time {
		at, err := time.Parse("2006-01-02 15:04 -0700", s)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	for _, c := range []struct {
		spec, last, now string
		want            bool
	}{
		{"@daily", "2026-01-01 00:00 +0000", "2026-01-01 23:59 +0000", false},
		{"@daily", "2026-01-01 00:00 +0000", "2026-01-02 00:00 +0000", true},
		{"@daily", "2026-01-01 00:00 +0000", "2026-03-02 00:00 +0000", true},
		{"@daily", "2026-01-01 23:30 -0500", "2026-01-02 05:30 +0000", false}, // in UTC, whatever zone was noted
		{"@every 1h", "2026-01-01 00:00 +0000", "2026-01-01 00:59 +0000", false},
		{"@every 1h", "2026-01-01 00:00 +0000", "2026-01-01 01:00 +0000", true},
		{"30 2 * * *", "2026-03-07 02:30 +0000", "2026-03-08 02:30 +0000", true}, // no summer time in UTC
		{"@daily", "2030-01-01 00:00 +0000", "2026-01-01 00:00 +0000", false},    // the clock went back
	} {
		s, err := parseSpec(c.spec)
		if err != nil {
			t.Fatal(err)
		}
		if got := missed(s, day(c.last), day(c.now)); got != c.want {
			t.Errorf("%s, last %s, now %s: %v", c.spec, c.last, c.now, got)
		}
	}
}

func TestSchedules(t *testing.T) {
	const hour = time.Hour
	for _, c := range []struct {
		name     string
		last     time.Duration // since its last run when the program starts; 0: it never ran
		job      func(n int) error
		watch    time.Duration
		want     int // runs
		starting int // of them at the start
	}{
		{"runs each hour", 0, nil, 3*hour + 1, 3, 0},
		{"missed runs are caught up once", 30 * hour, nil, 2*hour + 1, 3, 1},
		{"nothing was missed", hour / 2, nil, hour - 1, 0, 0},
		{"a panic costs its run only", 0, func(int) error { panic("in a schedule") }, 3*hour + 1, 3, 0},
		{"an error costs its run only", 0, func(int) error { return errors.New("no") }, 3*hour + 1, 3, 0},
		{"no overlap", 0, func(n int) error {
			if n == 1 {
				time.Sleep(90 * time.Minute)
			}
			return nil
		}, 4*hour + 1, 3, 0},
		{"a caught up run does not overlap either", 30 * hour, func(n int) error {
			if n == 1 {
				time.Sleep(90 * time.Minute)
			}
			return nil
		}, 3*hour + 1, 3, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, _ := newDaemon(&engine{})
				if c.last > 0 {
					if err := store.PutLastRun(d.Store.(*runs), "it", time.Now().Add(-c.last)); err != nil {
						t.Fatal(err)
					}
				}
				var n, now atomic.Int64
				d.Schedules = []Schedule{{Name: "it", Spec: "@every 1h", Remember: true, Run: func(context.Context) error {
					i := n.Add(1)
					if now.Add(1) > 1 {
						t.Error("two at once")
					}
					defer now.Add(-1)
					if c.job != nil {
						return c.job(int(i))
					}
					return nil
				}}}
				if _, err := run(t, d, func() {
					if got := int(n.Load()); got != c.starting {
						t.Errorf("%d runs at the start, want %d", got, c.starting)
					}
					time.Sleep(c.watch)
				}); err != nil {
					t.Error(err)
				}
				if got := int(n.Load()); got != c.want {
					t.Errorf("%d runs, want %d", got, c.want)
				}
			})
		})
	}
}

// What is seldom comes even when the program never runs that long.
func TestScheduleOfAProgramThatIsRestartedOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := &runs{}
		if n := restartedOften(t, kept); n != 4 { // at the starts 8, 16, 24 and 32 hours after the first
			t.Errorf("%d runs in 40 hours, want 4", n)
		}
	})
}

// The clock is set, forth and back, by an hour or years. No schedule stops for that, and none
// runs more than once for it.
func TestSchedulesWhileTheClockIsSet(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		spec        string
		jump        time.Duration
		least, most int32 // runs in the two days after it
	}{
		{"@daily", 60 * day, 2, 3}, {"@daily", 10 * 365 * day, 2, 3}, {"@daily", -200 * day, 2, 2}, {"@daily", -10 * 365 * day, 2, 2}, {"@daily", -time.Hour, 1, 2},
		{"@every 6h", 60 * day, 8, 9}, {"@every 6h", -10 * 365 * day, 7, 8},
		{"@every 5m", 400 * day, 576, 577}, {"@every 5m", -400 * day, 575, 576},
		{"30 2 * * *", -30 * 365 * day, 2, 2}, {"0 4 1 * *", 60 * day, 1, 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			var ahead atomic.Int64
			d, _ := newDaemon(&engine{})
			d.Clock = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
			d.Now = d.Clock
			var n atomic.Int32
			d.Schedules = []Schedule{{Name: "it", Spec: c.spec, Remember: true, Run: func(context.Context) error { n.Add(1); return nil }}}
			if _, err := run(t, d, func() {
				time.Sleep(30*time.Hour + time.Second) // between two runs: at a run's own time it may or may not be counted yet
				before := n.Load()
				ahead.Add(int64(c.jump))
				time.Sleep(2*day + time.Minute)
				if got := n.Load() - before; got < c.least || got > c.most {
					t.Errorf("%s: %d runs in two days after a jump by %s", c.spec, got, c.jump)
				}
			}); err != nil {
				t.Error(err)
			}
		})
	}
}

// A run that was noted when the clock was ahead keeps no later one from being caught up.
func TestScheduleNotedInTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := &runs{}
		if err := store.PutLastRun(kept, "backup", time.Now().Add(365*24*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if n := restartedOften(t, kept); n != 4 {
			t.Errorf("%d runs in 40 hours, want 4", n)
		}
	})
}

// A stop cuts off what only looks, and gives time to what changes something; neither is
// told as a failure or noted as a run.
func TestStopEndsSchedules(t *testing.T) {
	for _, c := range []struct {
		looks bool
		took  time.Duration
	}{{true, 0}, {false, Grace}} {
		t.Run(fmt.Sprint("looks ", c.looks), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, words := newDaemon(&engine{})
				begun := time.Now().Add(-30 * time.Hour)
				if err := store.PutLastRun(d.Store.(*runs), "it", begun); err != nil {
					t.Fatal(err)
				}
				d.Schedules = []Schedule{{Name: "it", Spec: "@every 1h", Remember: true, Looks: c.looks, Run: func(ctx context.Context) error {
					<-ctx.Done()
					return context.Cause(ctx)
				}}}
				took, err := run(t, d, func() {})
				if took != c.took || err != nil {
					t.Errorf("stopped after %v (%v), want %v", took, err, c.took)
				}
				if strings.Contains(words.String(), "schedule failed") {
					t.Errorf("the stop is told as a failure:\n%s", words)
				}
				last, _, err := store.LastRun(d.Store.(*runs), "it")
				if err != nil || !last.Equal(begun) {
					t.Errorf("noted as run at %v (%v)", last, err)
				}
			})
		})
	}
}

// restartedOften says how often a schedule of six hours ran in a program that is started ten
// times and runs for four hours each time.
func restartedOften(t *testing.T, kept *runs) (n int) {
	t.Helper()
	for range 10 {
		d, _ := newDaemon(&engine{})
		d.Store = kept
		d.Schedules = []Schedule{{Name: "backup", Spec: "@every 6h", Remember: true, Run: func(context.Context) error { n++; return nil }}}
		if _, err := run(t, d, func() { time.Sleep(4 * time.Hour) }); err != nil {
			t.Fatal(err)
		}
	}
	return n
}
