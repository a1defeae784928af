package daemon

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

// Fairness.
const (
	// bulk is how many clients one trigger may make due and still be served promptly.
	bulk = 25
	// turn is how many prompt keys are served before one of a bulk, while both wait.
	turn = 3
)

// lane is one of the queue's two orders.
type lane int

const (
	prompt lane = iota // of triggers that somebody waits for: a push, a button
	slow               // of triggers over a fleet: a template, a start
)

// Queue holds the keys of clients that are due, each once. A key that is added while
// its group passes is passed again afterwards.
//
// Keys keep the order in which they came, in two lanes: a trigger of more than 25
// clients goes to the slow one. A prompt key waits for the prompt keys before it, for
// one slow key in four, and for no more: one worker never takes slow keys (unless it
// is the only one), so that a change over the whole fleet, with each pass awaiting a
// deployment, doesn't keep a new client waiting. Slow keys get one turn in four at
// least.
//
// A key whose group passes already is set aside with the member that is busy, and
// comes back to its place when that is free; so a key is looked at once for each time
// it may be free, however many are due.
type Queue struct {
	now     func() time.Time
	group   func(state.ClientID) []state.ClientID
	workers int

	mu      sync.Mutex
	keys    map[state.ClientID]*key
	lanes   [2]byCame
	aside   map[state.ClientID][]*key // by the member that is busy
	later   map[state.ClientID]*date
	dates   byTime
	busy    map[state.ClientID]bool // members of running groups
	came    uint64
	prompts int           // prompt keys served since the last slow one
	running [2]int        // groups, by lane
	wake    chan struct{} // closed and made anew when something changed
}

// key is a client that is due.
type key struct {
	id    state.ClientID
	cause reconcile.Cause
	came  uint64
	lane  lane
	at    int            // place in its lane; -1: set aside
	waits state.ClientID // set aside: for whom
}

// date is a client that is due at a time.
type date struct {
	id state.ClientID
	at time.Time
	i  int
}

// NewQueue makes an empty queue for a number of workers. group says who passes
// together, the client itself included; it is called with the queue locked.
func NewQueue(now func() time.Time, group func(state.ClientID) []state.ClientID, workers int) *Queue {
	return &Queue{now: now, group: group, workers: workers, keys: map[state.ClientID]*key{}, aside: map[state.ClientID][]*key{},
		later: map[state.ClientID]*date{}, busy: map[state.ClientID]bool{}, wake: make(chan struct{})}
}

// Add makes clients due now. They are those of one trigger: how many they are decides
// their lane.
func (q *Queue) Add(cause reconcile.Cause, ids ...state.ClientID) {
	if len(ids) == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.add(cause, ids)
	q.changed()
}

func (q *Queue) add(cause reconcile.Cause, ids []state.ClientID) {
	in := prompt
	if len(ids) > bulk {
		in = slow
	}
	for _, id := range ids {
		if d := q.later[id]; d != nil {
			q.forget(d)
		}
		k := q.keys[id]
		if k == nil {
			q.came++
			k = &key{id: id, cause: cause, came: q.came, lane: in}
			q.keys[id] = k
			heap.Push(&q.lanes[in], k)
			continue
		}
		// The newest cause is told, but a date, a look or a start explains nothing that a person did.
		if cause != reconcile.CauseSchedule && cause != reconcile.CauseStart && cause != reconcile.CauseDrift {
			k.cause = cause
		}
		if in < k.lane { // somebody waits for it now: it comes after those who wait already
			q.drop(k)
			q.came++
			k.came, k.lane = q.came, in
			q.keys[id] = k
			heap.Push(&q.lanes[in], k)
		}
	}
}

// drop takes a key out.
func (q *Queue) drop(k *key) {
	delete(q.keys, k.id)
	if k.at >= 0 {
		heap.Remove(&q.lanes[k.lane], k.at)
		return
	}
	set := q.aside[k.waits]
	for i, other := range set {
		if other == k {
			set[i] = set[len(set)-1]
			q.aside[k.waits] = set[:len(set)-1]
			break
		}
	}
}

// AddAt makes a client due at a time, unless it is due earlier.
func (q *Queue) AddAt(at time.Time, id state.ClientID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.keys[id] != nil {
		return
	}
	d := q.later[id]
	switch {
	case d == nil:
		d = &date{id: id, at: at}
		q.later[id] = d
		heap.Push(&q.dates, d)
	case at.Before(d.at):
		d.at = at
		heap.Fix(&q.dates, d.i)
	default:
		return
	}
	q.changed()
}

func (q *Queue) forget(d *date) {
	delete(q.later, d.id)
	heap.Remove(&q.dates, d.i)
}

func (q *Queue) changed() {
	close(q.wake)
	q.wake = make(chan struct{})
}

// Taken is what Next hands out: the key, and the group that is its worker's until Done.
type Taken struct {
	Client state.ClientID
	Group  []state.ClientID
	Cause  reconcile.Cause
	lane   lane
}

// Next waits for a client whose group is free, and takes its group. Done must be
// called with what it returned. When ctx has ended nothing is handed out any more.
func (q *Queue) Next(ctx context.Context) (Taken, error) {
	for {
		if ctx.Err() != nil {
			return Taken{}, context.Cause(ctx)
		}
		q.mu.Lock()
		wait := q.ripen()
		t, ok := q.take()
		wake := q.wake
		q.mu.Unlock()
		if ok {
			return t, nil
		}
		var tick <-chan time.Time
		var timer *time.Timer
		if wait > 0 {
			timer = time.NewTimer(wait)
			tick = timer.C
		}
		select {
		case <-ctx.Done():
		case <-wake:
		case <-tick:
		}
		if timer != nil {
			timer.Stop()
		}
	}
}

// ripen makes due what has come to its time, and returns how long the next one waits
// (0: there is none).
func (q *Queue) ripen() time.Duration {
	now := q.now()
	var ripe []state.ClientID
	for len(q.dates) > 0 && !q.dates[0].at.After(now) {
		ripe = append(ripe, q.dates[0].id)
		q.forget(q.dates[0])
	}
	if len(ripe) > 0 {
		q.add(reconcile.CauseSchedule, ripe)
		q.changed() // whoever sleeps until then may sleep on: a suspended machine's timers are late
	}
	if len(q.dates) == 0 {
		return 0
	}
	return q.dates[0].at.Sub(now)
}

// take is called with mu held.
func (q *Queue) take() (Taken, bool) {
	mayBulk := q.running[slow] < max(1, q.workers-1)
	order := []lane{prompt, slow}
	if q.prompts >= turn {
		order = []lane{slow, prompt}
	}
	for _, l := range order {
		if l == slow && !mayBulk {
			continue
		}
		if t, ok := q.takeFrom(l); ok {
			if l == slow {
				q.prompts = 0
			} else {
				q.prompts++
			}
			return t, true
		}
	}
	return Taken{}, false
}

func (q *Queue) takeFrom(l lane) (Taken, bool) {
next:
	for q.lanes[l].Len() > 0 {
		k := heap.Pop(&q.lanes[l]).(*key)
		group := q.group(k.id)
		for _, g := range group {
			if q.busy[g] {
				k.at, k.waits = -1, g
				q.aside[g] = append(q.aside[g], k)
				continue next
			}
		}
		delete(q.keys, k.id)
		for _, g := range group {
			q.busy[g] = true
			if other := q.keys[g]; other != nil { // the group's pass serves it too
				q.drop(other)
			}
		}
		q.running[l]++
		return Taken{Client: k.id, Group: group, Cause: k.cause, lane: l}, true
	}
	return Taken{}, false
}

// Done frees a group.
func (q *Queue) Done(t Taken) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, g := range t.Group {
		delete(q.busy, g)
		for _, k := range q.aside[g] {
			heap.Push(&q.lanes[k.lane], k)
		}
		delete(q.aside, g)
	}
	q.running[t.lane]--
	q.changed()
}

// Idle waits until nothing is due and nothing runs; what waits for a later time does
// not count.
func (q *Queue) Idle(ctx context.Context) error {
	for {
		q.mu.Lock()
		q.ripen()
		idle, wake := len(q.keys) == 0 && q.running == [2]int{}, q.wake
		q.mu.Unlock()
		if idle {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-wake:
		}
	}
}

// Busy returns how many are due, and how many groups are running.
func (q *Queue) Busy() (due, running int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.keys), q.running[prompt] + q.running[slow]
}

// byCame is a heap of keys, the one that came first on top.
type byCame []*key

func (h byCame) Len() int           { return len(h) }
func (h byCame) Less(i, j int) bool { return h[i].came < h[j].came }
func (h byCame) Swap(i, j int)      { h[i], h[j] = h[j], h[i]; h[i].at, h[j].at = i, j }
func (h *byCame) Push(x any)        { k := x.(*key); k.at = len(*h); *h = append(*h, k) }
func (h *byCame) Pop() any {
	old := *h
	k := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return k
}

// byTime is a heap of dates, the next one on top.
type byTime []*date

func (h byTime) Len() int           { return len(h) }
func (h byTime) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h byTime) Swap(i, j int)      { h[i], h[j] = h[j], h[i]; h[i].i, h[j].i = i, j }
func (h *byTime) Push(x any)        { d := x.(*date); d.i = len(*h); *h = append(*h, d) }
func (h *byTime) Pop() any {
	old := *h
	d := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return d
}
