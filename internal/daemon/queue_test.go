package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

func alone(id state.ClientID) []state.ClientID { return []state.ClientID{id} }

func many(prefix string, n int) []state.ClientID {
	out := make([]state.ClientID, n)
	for i := range out {
		out[i] = state.ClientID(fmt.Sprintf("%s%05d", prefix, i))
	}
	return out
}

// now takes what can be taken at once.
func now(q *Queue) (Taken, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ripen()
	return q.take()
}

func TestQueueOrder(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name string
		do   func(q *Queue)
		want []string // "client cause"
	}{
		{"as they came", func(q *Queue) { q.Add("commit", "b", "a"); q.Add("commit", "c") }, []string{"b commit", "a commit", "c commit"}},
		{"each once", func(q *Queue) { q.Add("commit", "a", "b"); q.Add("retry", "a") }, []string{"a retry", "b commit"}},
		{"a date explains nothing that a person did", func(q *Queue) { q.Add("retry", "a"); q.Add("schedule", "a"); q.Add("start", "a") }, []string{"a retry"}},
		{"a person explains what a date did", func(q *Queue) { q.AddAt(start, "a"); q.Busy(); q.Add("retry", "a") }, []string{"a retry"}},
		{"not before its date", func(q *Queue) { q.AddAt(start.Add(1), "a") }, nil},
		{"at its date", func(q *Queue) { q.AddAt(start, "a") }, []string{"a schedule"}},
		{"dates in their order", func(q *Queue) { q.AddAt(start, "a"); q.AddAt(start.Add(-1), "b") }, []string{"b schedule", "a schedule"}},
		{"the earlier date wins, given last", func(q *Queue) { q.AddAt(start.Add(time.Hour), "a"); q.AddAt(start, "a") }, []string{"a schedule"}},
		{"the earlier date wins, given first", func(q *Queue) { q.AddAt(start, "a"); q.AddAt(start.Add(time.Hour), "a") }, []string{"a schedule"}},
		{"due now: its date is void", func(q *Queue) { q.AddAt(start, "a"); q.Add("commit", "a") }, []string{"a commit"}},
		{"nothing", func(q *Queue) { q.Add("commit") }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := NewQueue(func() time.Time { return start }, alone, 8)
			c.do(q)
			var got []string
			for {
				k, ok := now(q)
				if !ok {
					break
				}
				got = append(got, fmt.Sprint(k.Client, " ", k.Cause))
				q.Done(k)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// A change over the fleet does not keep a new client waiting: it is served next, and
// one worker is never busy with the bulk.
func TestQueueANewClientDoesNotWaitBehindABulk(t *testing.T) {
	const workers = 4
	q := NewQueue(time.Now, alone, workers)
	q.Add(reconcile.CauseCommit, many("fleet", 10_000)...)
	running := 0
	for {
		if _, ok := now(q); !ok {
			break
		}
		running++
	}
	if running != workers-1 {
		t.Fatalf("%d workers took from the bulk, want %d", running, workers-1)
	}
	q.Add(reconcile.CauseCommit, "newshop")
	k, ok := now(q)
	if !ok || k.Client != "newshop" {
		t.Fatalf("got %q (%v), want newshop at once", k.Client, ok)
	}
}

// The bulk goes on under a stream of small triggers: one turn in four.
func TestQueueABulkIsNotStarved(t *testing.T) {
	q := NewQueue(time.Now, alone, 4)
	q.Add(reconcile.CauseCommit, many("fleet", 100)...)
	served := 0
	for i := range 400 {
		q.Add(reconcile.CauseCommit, state.ClientID(fmt.Sprint("new", i)))
		k, ok := now(q)
		if !ok {
			t.Fatal("nothing to take")
		}
		if k.lane == slow {
			served++
		}
		q.Done(k)
	}
	if served != 100 {
		t.Errorf("%d of the bulk were served in 400 turns, want 100", served)
	}
}

// A client of the bulk for which somebody presses a button is a bulk's no more.
func TestQueueAButtonMovesAClientOutOfTheBulk(t *testing.T) {
	fleet := many("fleet", 1000)
	q := NewQueue(time.Now, alone, 4)
	q.Add(reconcile.CauseCommit, fleet...)
	q.Add(reconcile.CauseRetry, fleet[900])
	if k, _ := now(q); k.Client != fleet[900] || k.Cause != reconcile.CauseRetry {
		t.Errorf("got %q (%s), want %q", k.Client, k.Cause, fleet[900])
	}
	if due, running := q.Busy(); due != 999 || running != 1 {
		t.Errorf("%d due and %d running, want 999 and 1", due, running)
	}
}

// Taking costs what is taken, however many wait for the same busy group: the group is
// asked for once a key, and once more when it may be free.
func TestQueueTakingIsCheap(t *testing.T) {
	asked := 0
	hub := func(id state.ClientID) []state.ClientID { // everybody is joined to the hub
		asked++
		if id == "hub" {
			return []state.ClientID{"hub"}
		}
		return []state.ClientID{"hub", id}
	}
	q := NewQueue(time.Now, hub, 4)
	q.Add(reconcile.CauseCommit, "hub")
	held, _ := now(q)
	const n = 10_000
	q.Add(reconcile.CauseCommit, many("c", n)...)
	for range 100 {
		if k, ok := now(q); ok {
			t.Fatalf("%s was handed out while its group is busy", k.Client)
		}
	}
	if asked > n+1 {
		t.Errorf("groups were asked for %d times for %d keys", asked, n)
	}
	q.Done(held)
	if _, ok := now(q); !ok {
		t.Error("nothing was handed out when the group was free")
	}
}

func TestQueueHandsOutNothingWhenTheContextEnded(t *testing.T) {
	q := NewQueue(time.Now, alone, 1)
	q.Add(reconcile.CauseCommit, "a")
	why := errors.New("the program stops")
	ctx, stop := context.WithCancelCause(t.Context())
	stop(why)
	if k, err := q.Next(ctx); !errors.Is(err, why) {
		t.Errorf("got %q, %v", k.Client, err)
	}
	if due, _ := q.Busy(); due != 1 {
		t.Errorf("%d due, want 1: it is for the next start", due)
	}
}

func TestQueueWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := NewQueue(time.Now, alone, 2)
		start := time.Now()
		q.AddAt(start.Add(time.Hour), "late")
		q.AddAt(start.Add(time.Minute), "soon")
		for _, want := range []struct {
			id    state.ClientID
			after time.Duration
		}{{"soon", time.Minute}, {"late", time.Hour}} {
			k, err := q.Next(t.Context())
			if err != nil || k.Client != want.id || time.Since(start) != want.after {
				t.Fatalf("got %q after %v (%v), want %q after %v", k.Client, time.Since(start), err, want.id, want.after)
			}
			q.Done(k)
		}
		// A date that comes nearer wakes who waits for a later one.
		q.AddAt(time.Now().Add(time.Hour), "a")
		got := make(chan Taken)
		go func() { k, _ := q.Next(t.Context()); got <- k }()
		synctest.Wait()
		before := time.Now()
		q.AddAt(before.Add(time.Second), "b")
		if k := <-got; k.Client != "b" || time.Since(before) != time.Second {
			t.Errorf("got %q after %v", k.Client, time.Since(before))
		}
	})
}

func TestQueueIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := NewQueue(time.Now, alone, 2)
		q.AddAt(time.Now().Add(time.Hour), "later")
		if err := q.Idle(t.Context()); err != nil {
			t.Fatal(err) // what waits for a later time does not count
		}
		q.Add(reconcile.CauseCommit, "a")
		k, _ := q.Next(t.Context())
		q.Add(reconcile.CauseCommit, "a") // again, while it passes
		idle := make(chan struct{})
		go func() { defer close(idle); _ = q.Idle(t.Context()) }()
		q.Done(k)
		synctest.Wait()
		select {
		case <-idle:
			t.Fatal("idle with a client that is due again")
		default:
		}
		k, _ = q.Next(t.Context())
		q.Done(k)
		<-idle
	})
}

// A machine that slept has a clock that is ahead of its timers: who waits for the queue to
// be idle finds what is due meanwhile, and wakes who sleeps until then.
func TestQueueClockAheadOfItsTimers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ahead atomic.Int64
		q := NewQueue(func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }, alone, 2)
		q.AddAt(time.Now().Add(2*time.Hour), "a")
		begun := time.Now()
		go func() {
			k, err := q.Next(t.Context())
			if err == nil {
				q.Done(k)
			}
		}()
		synctest.Wait()
		ahead.Store(int64(3 * time.Hour))
		if err := q.Idle(t.Context()); err != nil || time.Since(begun) != 0 {
			t.Errorf("idle after %s: %v", time.Since(begun), err)
		}
		if due, running := q.Busy(); due+running != 0 {
			t.Errorf("%d due, %d running", due, running)
		}
	})
}

// TestQueueModel holds the queue to a model: each key once, one worker a group,
// nothing lost, the lanes' order, nothing before its date.
func TestQueueModel(t *testing.T) {
	clients := many("c", 40)
	group := func(id state.ClientID) []state.ClientID { // the first nine pass by threes
		for i, c := range clients[:9] {
			if c == id {
				return clients[i/3*3 : i/3*3+3]
			}
		}
		return alone(id)
	}
	rapid.Check(t, func(t *rapid.T) {
		clock := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		workers := rapid.IntRange(1, 4).Draw(t, "workers")
		q := NewQueue(func() time.Time { return clock }, group, workers)
		due, later := map[state.ClientID]bool{}, map[state.ClientID]time.Time{}
		var running []Taken
		pick := rapid.SampledFrom(clients)
		ripen := func() {
			for id, at := range later {
				if !at.After(clock) {
					due[id] = true
					delete(later, id)
				}
			}
		}
		take := func() bool {
			k, ok := now(q)
			ripen()
			if !ok {
				return false
			}
			if !due[k.Client] {
				t.Fatalf("%s was handed out and is not due", k.Client)
			}
			for _, g := range k.Group {
				for _, r := range running {
					if slices.Contains(r.Group, g) {
						t.Fatalf("%s was handed out while %s passes its group", k.Client, r.Client)
					}
				}
				delete(due, g)
			}
			running = append(running, k)
			return true
		}
		done := func(i int) {
			q.Done(running[i])
			running = slices.Delete(running, i, i+1)
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				ids := rapid.SliceOfN(pick, 1, 3).Draw(t, "ids")
				q.Add(reconcile.CauseCommit, ids...)
				for _, id := range ids {
					due[id] = true
					delete(later, id)
				}
			},
			"add all": func(*rapid.T) {
				q.Add(reconcile.CauseCommit, clients...)
				for _, id := range clients {
					due[id] = true
				}
				clear(later)
			},
			"add at": func(t *rapid.T) {
				id, at := pick.Draw(t, "id"), clock.Add(time.Duration(rapid.IntRange(0, 5).Draw(t, "in"))*time.Minute)
				q.AddAt(at, id)
				if have, ok := later[id]; !due[id] && (!ok || at.Before(have)) {
					later[id] = at
				}
			},
			"time passes": func(*rapid.T) { clock = clock.Add(time.Minute) },
			"take": func(t *rapid.T) {
				if len(running) == workers || take() {
					return
				}
				for id := range due { // nothing was handed out: all that is due is busy, or the bulk's
					busy := false
					for _, r := range running {
						busy = busy || slices.Contains(r.Group, id)
					}
					if !busy && (len(running) == 0 || q.keys[id].lane == prompt) {
						t.Fatalf("%s is due and free, and was not handed out", id)
					}
				}
			},
			"done": func(t *rapid.T) {
				if len(running) > 0 {
					done(rapid.IntRange(0, len(running)-1).Draw(t, "which"))
				}
			},
			"": func(t *rapid.T) {
				if n, r := q.Busy(); n > len(due)+len(later) || r != len(running) {
					t.Fatalf("%d due and %d running, the model has %d and %d", n, r, len(due), len(running))
				}
				slowly := 0
				for _, r := range running {
					if r.lane == slow {
						slowly++
					}
				}
				if slowly > max(1, workers-1) {
					t.Fatalf("%d of %d workers are busy with the bulk", slowly, workers)
				}
			},
		})
		// In the end everything comes, and nothing twice.
		for clock = clock.Add(time.Hour); ; {
			for len(running) > 0 {
				done(0)
			}
			if !take() {
				break
			}
		}
		if len(due)+len(later) > 0 {
			t.Fatalf("lost: %v %v", due, later)
		}
		if len(q.keys)+len(q.aside)+len(q.later)+len(q.dates)+len(q.busy)+q.lanes[prompt].Len()+q.lanes[slow].Len() > 0 {
			t.Fatal("something is left over")
		}
	})
}
