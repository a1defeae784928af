package daemon

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

// run runs a daemon until the test's f returns.
func run(t *testing.T, d *Daemon, f func()) (took time.Duration, err error) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	synctest.Wait()
	f()
	stop()
	before := time.Now()
	err = <-ended
	return time.Since(before), err
}

func TestRunPassesWhatIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := true
		start := time.Now()
		e := &engine{due: []reconcile.Due{{Client: "unfinished"}, {Client: "retried", At: start.Add(time.Hour)}},
			poll: func(context.Context) ([]state.ClientID, error) {
				defer func() { first = false }()
				if first {
					return []state.ClientID{"new"}, nil
				}
				return nil, nil
			}}
		d, _ := newDaemon(e)
		took, err := run(t, d, func() {
			got := e.passes()
			slices.Sort(got)
			if want := []state.ClientID{"new", "unfinished"}; !slices.Equal(got, want) {
				t.Errorf("passed at once: %q, want %q", got, want)
			}
			time.Sleep(time.Hour)
			synctest.Wait()
			if got := e.passes(); !slices.Contains(got, "retried") {
				t.Errorf("passed after an hour: %q", got)
			}
		})
		if err != nil || took != 0 {
			t.Errorf("stopped after %v: %v", took, err)
		}
	})
}

func TestRunWhatAPassLeaves(t *testing.T) {
	at := func(d time.Duration) time.Time { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(d) } // synctest's clock begins then
	for _, c := range []struct {
		name string
		done reconcile.Done
		err  error
		want []string // passes with the time since the first
	}{
		{"nothing", reconcile.Done{}, nil, []string{"a 0s"}},
		{"again", reconcile.Done{Again: true}, nil, []string{"a 0s", "a 0s"}},
		{"again at", reconcile.Done{At: at(time.Minute)}, nil, []string{"a 0s", "a 1m0s"}},
		{"another", reconcile.Done{Also: []state.ClientID{"b"}}, nil, []string{"a 0s", "b 0s"}},
		{"an error of ours", reconcile.Done{}, errors.New("disk"), []string{"a 0s", "a 30s"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start, passes := time.Now(), 0
				var got []string
				e := &engine{due: []reconcile.Due{{Client: "a"}}, pass: func(_ context.Context, id state.ClientID, _ reconcile.Cause) (reconcile.Done, error) {
					got = append(got, string(id)+" "+time.Since(start).String())
					if passes++; passes > 1 {
						return reconcile.Done{}, nil
					}
					return c.done, c.err
				}}
				d, _ := newDaemon(e)
				d.Workers = 1
				if _, err := run(t, d, func() { time.Sleep(2 * time.Minute) }); err != nil {
					t.Error(err)
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("passes %q, want %q", got, c.want)
				}
			})
		})
	}
}

// P6: a panic in a pass costs that pass only, and is tried again after a rest.
func TestP6APanicCostsItsPassOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{due: []reconcile.Due{{Client: "sick"}, {Client: "well"}}, pass: func(_ context.Context, id state.ClientID, _ reconcile.Cause) (reconcile.Done, error) {
			if id == "sick" {
				panic("a nil map")
			}
			return reconcile.Done{}, nil
		}}
		d, words := newDaemon(e)
		d.Workers = 1
		if _, err := run(t, d, func() { time.Sleep(31 * time.Second) }); err != nil {
			t.Error(err)
		}
		if got, want := e.passes(), []state.ClientID{"sick", "well", "sick"}; !slices.Equal(got, want) {
			t.Errorf("passes %q, want %q", got, want)
		}
		if !strings.Contains(words.String(), "a nil map") || !strings.Contains(words.String(), "daemon_test.go") {
			t.Errorf("the log does not say where it was:\n%s", words)
		}
	})
}

// Two who pass together were due, both, and their pass ended without a result. Each of them is tried
// again, also where they do not pass together any more.
func TestP6WhoWasDueBesideAFailedPassIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var apart atomic.Bool
		e := &engine{due: []reconcile.Due{{Client: "a"}, {Client: "b"}}}
		e.group = func(id state.ClientID) []state.ClientID {
			if apart.Load() {
				return []state.ClientID{id}
			}
			return []state.ClientID{"a", "b"}
		}
		e.pass = func(context.Context, state.ClientID, reconcile.Cause) (reconcile.Done, error) {
			if apart.Swap(true) {
				return reconcile.Done{}, nil
			}
			return reconcile.Done{}, errors.New("no room")
		}
		d, _ := newDaemon(e)
		if _, err := run(t, d, func() { time.Sleep(2 * crashPause) }); err != nil {
			t.Error(err)
		}
		if got := e.passes(); !slices.Contains(got, "b") {
			t.Errorf("passes %q: b was due, and nobody came back to it", got)
		}
	})
}

func TestPollRestsWhileItFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var at []time.Duration
		e := &engine{poll: func(context.Context) ([]state.ClientID, error) {
			at = append(at, time.Since(start))
			switch len(at) {
			case 1:
				panic("in a poll")
			case 2, 3, 4, 5, 6:
				return nil, errors.New("no route")
			}
			return nil, nil
		}}
		d, _ := newDaemon(e)
		if _, err := run(t, d, func() {
			if d.PollError() == nil {
				t.Error("a poll that panicked is told as a good one")
			}
			time.Sleep(25 * time.Minute)
			if err := d.PollError(); err != nil {
				t.Errorf("the last poll went well, and is told as %v", err)
			}
		}); err != nil {
			t.Error(err)
		}
		want := []time.Duration{0, time.Minute, 3 * time.Minute, 7 * time.Minute, 12 * time.Minute, 17 * time.Minute}
		if len(at) < len(want) || !slices.Equal(at[:len(want)], want) {
			t.Errorf("polls at %v, want %v …", at, want)
		}
	})
}

func TestHintsAreOnePoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var polls atomic.Int64
		e := &engine{poll: func(context.Context) ([]state.ClientID, error) {
			polls.Add(1)
			time.Sleep(time.Second)
			return nil, nil
		}}
		d, _ := newDaemon(e)
		if _, err := run(t, d, func() { // the first poll is under way
			for range 1000 {
				d.Hint()
			}
			time.Sleep(10 * time.Second)
		}); err != nil {
			t.Error(err)
		}
		if polls.Load() != 2 {
			t.Errorf("%d polls, want 2: the one under way and one for all hints", polls.Load())
		}
	})
}

// A stop ends at a step's border, cuts off what takes too long, and gives up on what
// hangs: within ten seconds in any case.
func TestStop(t *testing.T) {
	for _, c := range []struct {
		name string
		pass func(ctx context.Context, hang chan struct{})
		took time.Duration
		err  error
	}{
		{"soon", func(context.Context, chan struct{}) { time.Sleep(3 * time.Second) }, 3 * time.Second, nil},
		{"cut off", func(ctx context.Context, _ chan struct{}) { <-ctx.Done() }, Grace, nil},
		{"hangs", func(_ context.Context, hang chan struct{}) { <-hang }, Grace + Cut, ErrStuck},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hang := make(chan struct{})
				e := &engine{due: []reconcile.Due{{Client: "a"}, {Client: "b"}}, pass: func(ctx context.Context, _ state.ClientID, _ reconcile.Cause) (reconcile.Done, error) {
					c.pass(ctx, hang)
					return reconcile.Done{}, nil
				}}
				d, _ := newDaemon(e)
				d.Workers = 1
				took, err := run(t, d, func() {})
				if took != c.took || !errors.Is(err, c.err) || took >= 10*time.Second {
					t.Errorf("stopped after %v: %v, want %v: %v", took, err, c.took, c.err)
				}
				if got := e.passes(); len(got) != 1 {
					t.Errorf("passes %q: a new one began while it stopped", got)
				}
				close(hang)
				synctest.Wait()
			})
		})
	}
}

// Settle waits for what a poll found, and for what is found when a pass sets a name free.
func TestSettleWaitsForTheSecondLook(t *testing.T) {
	for _, how := range []string{"once", "beside a running daemon"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var freed, found atomic.Bool
				e := &engine{}
				e.poll = func(context.Context) ([]state.ClientID, error) {
					switch {
					case freed.Load() && found.CompareAndSwap(false, true):
						return []state.ClientID{"was invalid"}, nil
					case len(e.passes()) == 0:
						return []state.ClientID{"goes"}, nil
					}
					return nil, nil
				}
				e.pass = func(_ context.Context, id state.ClientID, _ reconcile.Cause) (reconcile.Done, error) {
					time.Sleep(time.Second)
					freed.Store(true)
					return reconcile.Done{Recheck: id == "goes"}, nil
				}
				d, _ := newDaemon(e)
				check := func(err error) {
					if got, want := e.passes(), []state.ClientID{"goes", "was invalid"}; err != nil || !slices.Equal(got, want) {
						t.Errorf("passes %q (%v), want %q", got, err, want)
					}
				}
				if how == "once" {
					check(d.Once(t.Context()))
					return
				}
				if _, err := run(t, d, func() { check(d.Settle(t.Context())) }); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// S34, P6: one pass that ends without a result stops no other, and is told at the end.
func TestOnceSaysWhatIsUnfinished(t *testing.T) {
	full := errors.New("no room")
	e := &engine{due: []reconcile.Due{{Client: "a"}, {Client: "b"}, {Client: "c"}}}
	e.pass = func(_ context.Context, id state.ClientID, _ reconcile.Cause) (reconcile.Done, error) {
		if id == "c" {
			return reconcile.Done{}, nil
		}
		return reconcile.Done{}, full
	}
	d, _ := newDaemon(e)
	if err := d.Once(t.Context()); !errors.Is(err, ErrUnfinished) || !errors.Is(err, full) || !strings.Contains(err.Error(), "2 of the passes") {
		t.Errorf("it ends with %v", err)
	}
	if n := len(e.passes()); n != 3 {
		t.Errorf("%d passes", n)
	}
}

// What is to be done before the first pass is done when the engine has started, and before
// it, also where it makes clients due.
func TestBeforeTheFirstPass(t *testing.T) {
	e := &engine{due: []reconcile.Due{{Client: "a"}}}
	d, _ := newDaemon(e)
	d.Before = func(context.Context) {
		if n := len(e.passes()); n > 0 {
			t.Errorf("%d passes before", n)
		}
		d.Queue().Add(reconcile.CauseSecret, "b")
	}
	if err := d.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := e.passes()
	if slices.Sort(got); !slices.Equal(got, []state.ClientID{"a", "b"}) {
		t.Errorf("passed: %v", got)
	}
}

// P6: two clients are due and pass together; as their turn comes others let go of a name by which they were joined,
// and the pass is one's alone. The other one is not forgotten.
func TestP6WhoPartsBetweenTurnAndPassIsServed(t *testing.T) {
	joined := true
	e := &engine{due: []reconcile.Due{{Client: "a"}, {Client: "b"}}}
	group := func(id state.ClientID) []state.ClientID {
		if joined {
			return []state.ClientID{"a", "b"}
		}
		return []state.ClientID{id}
	}
	e.group = group
	e.pass = func(_ context.Context, id state.ClientID, _ reconcile.Cause) (reconcile.Done, error) {
		joined = false
		return reconcile.Done{Clients: group(id)}, nil
	}
	d, _ := newDaemon(e)
	d.Workers = 1
	if err := d.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := e.passes()
	if slices.Sort(got); !slices.Equal(got, []state.ClientID{"a", "b"}) {
		t.Errorf("passed: %v", got)
	}
}
