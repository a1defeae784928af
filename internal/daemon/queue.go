package daemon

import (
	"context"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

// Queue holds the keys of clients that are due, each once, in the order in which they
// came. A key that is added while its group passes is passed again afterwards.
type Queue struct {
	now   func() time.Time
	group func(state.ClientID) []state.ClientID

	mu      sync.Mutex
	order   []state.ClientID
	cause   map[state.ClientID]reconcile.Cause
	later   map[state.ClientID]time.Time
	busy    map[state.ClientID]bool
	running int
	wake    chan struct{} // closed and made anew when something changed
}

// NewQueue makes an empty queue. group says who passes together.
func NewQueue(now func() time.Time, group func(state.ClientID) []state.ClientID) *Queue {
	return &Queue{now: now, group: group, cause: map[state.ClientID]reconcile.Cause{}, later: map[state.ClientID]time.Time{},
		busy: map[state.ClientID]bool{}, wake: make(chan struct{})}
}

// Add makes clients due now.
func (q *Queue) Add(cause reconcile.Cause, ids ...state.ClientID) {
	if len(ids) == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, id := range ids {
		q.add(id, cause)
	}
	q.changed()
}

func (q *Queue) add(id state.ClientID, cause reconcile.Cause) {
	delete(q.later, id)
	if _, have := q.cause[id]; !have {
		q.order = append(q.order, id)
	}
	q.cause[id] = cause
}

// AddAt makes a client due at a time, unless it becomes due earlier.
func (q *Queue) AddAt(at time.Time, id state.ClientID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, have := q.cause[id]; have {
		return
	}
	q.later[id] = at
	q.changed()
}

func (q *Queue) changed() {
	close(q.wake)
	q.wake = make(chan struct{})
}

// Next waits for a client whose group is free, and takes its group. Done must be
// called with what it returned.
func (q *Queue) Next(ctx context.Context) (state.ClientID, []state.ClientID, reconcile.Cause, error) {
	for {
		q.mu.Lock()
		wait := q.ripen()
		id, group, cause, ok := q.take()
		wake := q.wake
		q.mu.Unlock()
		if ok {
			return id, group, cause, nil
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
		if ctx.Err() != nil {
			return "", nil, "", context.Cause(ctx)
		}
	}
}

// ripen makes due what has come to its time, and returns how long the next one waits
// (0: there is none).
func (q *Queue) ripen() time.Duration {
	now := q.now()
	var next time.Duration
	for id, at := range q.later {
		d := at.Sub(now)
		if d <= 0 {
			q.add(id, reconcile.CauseSchedule)
			continue
		}
		if next == 0 || d < next {
			next = d
		}
	}
	return next
}

// take is called with mu held.
func (q *Queue) take() (state.ClientID, []state.ClientID, reconcile.Cause, bool) {
	for i, id := range q.order {
		group := q.group(id)
		free := true
		for _, g := range group {
			free = free && !q.busy[g]
		}
		if !free {
			continue
		}
		cause := q.cause[id]
		q.order = append(q.order[:i:i], q.order[i+1:]...)
		delete(q.cause, id)
		for _, g := range group {
			q.busy[g] = true
			if g != id && q.cause[g] != "" { // the group's pass serves it too
				delete(q.cause, g)
				q.order = without(q.order, g)
			}
		}
		q.running++
		return id, group, cause, true
	}
	return "", nil, "", false
}

func without(order []state.ClientID, id state.ClientID) []state.ClientID {
	for i, o := range order {
		if o == id {
			return append(order[:i:i], order[i+1:]...)
		}
	}
	return order
}

// Done frees a group.
func (q *Queue) Done(group []state.ClientID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, g := range group {
		delete(q.busy, g)
	}
	q.running--
	q.changed()
}

// Idle waits until nothing is due and nothing runs; what waits for a later time does
// not count.
func (q *Queue) Idle(ctx context.Context) error {
	for {
		q.mu.Lock()
		q.ripen()
		idle, wake := len(q.order) == 0 && q.running == 0, q.wake
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
	return len(q.order), q.running
}
