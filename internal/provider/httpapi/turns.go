package httpapi

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
)

// How callers take turns.
const (
	newInARow  = 3      // requests of new clients before one of the others has its turn
	maxWaiting = 10_000 // requests that wait at once; one more is told to come again
)

// turns lets requests of one credential through: so many at once, so many in a window, none
// while the vendor wants a pause. Callers have their turns one after the other, those of new
// clients first, so that a bulk edit of a hundred clients delays a new one by a request or
// two. Who takes no more than half (provider.Pace) comes when nobody else waits.
type turns struct {
	name    string // the vendor's
	now     func() time.Time
	real    func(time.Duration) time.Duration // see Options.Real
	atOnce  int
	most    int // in a window; 0: the vendor has no limit that we know
	window  time.Duration
	longest time.Duration // waited for by who has no pace of its own

	mu      sync.Mutex
	running int
	began   time.Time // of the window
	used    int       // in it
	halves  int       // of these by who takes no more than half
	until   time.Time // nothing is sent before
	fresh   line      // callers of new clients
	other   line
	half    line // who takes no more than half
	row     int  // of fresh ones, since one of the others had its turn
	waiting int
	timer   *time.Timer // wakes who waits for a time; nil: none does
}

// waiter is one request that waits for its turn.
type waiter struct {
	caller  provider.Caller
	half    bool          // it takes no more than half of a window
	longest time.Duration // it waits; a longer wait is an error at once
	turn    chan struct{} // closed when it comes
	err     error         // why it does not come, once turn is closed
}

// line is who waits, by caller, in the order of their turns.
type line struct {
	order []provider.Caller
	of    map[provider.Caller][]*waiter
}

func (l *line) add(w *waiter) {
	if l.of == nil {
		l.of = map[provider.Caller][]*waiter{}
	}
	if len(l.of[w.caller]) == 0 {
		l.order = append(l.order, w.caller)
	}
	l.of[w.caller] = append(l.of[w.caller], w)
}

// all are those who wait, in no order that counts.
func (l *line) all() (out []*waiter) {
	for _, c := range l.order {
		out = append(out, l.of[c]...)
	}
	return out
}

// next takes the one whose turn it is; its caller goes to the end.
func (l *line) next() *waiter {
	if len(l.order) == 0 {
		return nil
	}
	c := l.order[0]
	l.order = l.order[1:]
	w := l.of[c][0]
	if l.of[c] = l.of[c][1:]; len(l.of[c]) > 0 {
		l.order = append(l.order, c)
	} else {
		delete(l.of, c)
	}
	return w
}

// remove takes one out who no longer waits. It says whether it was there.
func (l *line) remove(w *waiter) bool {
	i := slices.Index(l.of[w.caller], w)
	if i < 0 {
		return false
	}
	if l.of[w.caller] = slices.Delete(l.of[w.caller], i, i+1); len(l.of[w.caller]) == 0 {
		delete(l.of, w.caller)
		l.order = slices.DeleteFunc(l.order, func(c provider.Caller) bool { return c == w.caller })
	}
	return true
}

// enter waits for a request's turn; leave must be called when it is over. An error is a
// *provider.Error of kind RateLimited, with the time to come again, or ctx's.
func (t *turns) enter(ctx context.Context) (leave func(), err error) {
	w := &waiter{caller: provider.CallerOf(ctx), longest: t.longest, turn: make(chan struct{})}
	pace, paced := provider.PaceOf(ctx)
	if paced {
		w.half, w.longest = pace.Half, pace.Wait
	}
	t.mu.Lock()
	now := t.now()
	if at := t.opens(now, w.half); at.Sub(now) > w.longest || t.waiting >= maxWaiting {
		e := usedUp(at)
		if paced && at.After(t.until) { // else the vendor said so
			e.Err = provider.ErrTurn
		}
		t.mu.Unlock()
		return nil, e
	}
	t.lineOf(w).add(w)
	t.waiting++
	t.let()
	at := t.opens(now, w.half)
	t.mu.Unlock()
	if paced && at.After(now) {
		provider.Tell(ctx, "%s: its limit is used up until %s; it goes on then", t.name, at.UTC().Format("15:04:05 MST"))
	}
	select {
	case <-w.turn:
		if w.err != nil {
			return nil, w.err
		}
		return t.leave, nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lineOf(w).remove(w) {
		t.waiting--
	} else if w.err == nil { // its turn came at the same moment: somebody else has it
		t.running--
		t.let()
	}
	return nil, ctx.Err()
}

func (t *turns) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running--
	t.let()
}

// lineOf is where it waits.
func (t *turns) lineOf(w *waiter) *line {
	switch {
	case w.half:
		return &t.half
	case w.caller.New:
		return &t.fresh
	}
	return &t.other
}

// opens is when the next request may be sent, were it alone. half: of who takes no more.
func (t *turns) opens(now time.Time, half bool) time.Time {
	at := now
	if t.until.After(at) {
		at = t.until
	}
	full := t.used >= t.most || half && t.halves >= max(1, t.most/2)
	if end := t.began.Add(t.window); t.most > 0 && full && end.After(at) {
		at = end
	}
	return at
}

// let gives turns to who waits, as far as there are any.
func (t *turns) let() {
	for t.waiting > 0 && t.running < t.atOnce {
		now := t.now()
		if t.most > 0 && (now.Sub(t.began) >= t.window || now.Before(t.began)) {
			t.began, t.used, t.halves = now, 0, 0
		}
		half := len(t.fresh.order)+len(t.other.order) == 0
		if at := t.opens(now, half); at.After(now) {
			t.wake(at.Sub(now))
			return
		}
		w := t.pick()
		t.waiting--
		t.running++
		t.used++
		if w.half {
			t.halves++
		}
		close(w.turn)
	}
}

func (t *turns) pick() *waiter {
	if t.row < newInARow || len(t.other.order) == 0 {
		if w := t.fresh.next(); w != nil {
			t.row++
			return w
		}
	}
	t.row = 0
	if w := t.other.next(); w != nil {
		return w
	}
	if w := t.fresh.next(); w != nil {
		return w
	}
	return t.half.next()
}

// wake looks again later.
func (t *turns) wake(after time.Duration) {
	if t.timer != nil {
		t.timer.Stop()
	}
	t.timer = time.AfterFunc(t.real(after), func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.let()
	})
}

func usedUp(until time.Time) *provider.Error {
	return &provider.Error{Kind: provider.RateLimited, Message: "its limit is used up until " + until.UTC().Format("15:04:05 MST"), Until: until}
}

// pause lets nothing through before a time, at most an hour from now. Who waits in line is
// told, where that is longer than it waits.
func (t *turns) pause(until time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if most := t.now().Add(maxPause); until.After(most) {
		until = most
	}
	if until.After(t.until) {
		t.until = until
	}
	for _, l := range []*line{&t.fresh, &t.other, &t.half} {
		for _, w := range l.all() {
			if t.until.Sub(t.now()) > w.longest && l.remove(w) {
				t.waiting--
				w.err = usedUp(t.until)
				close(w.turn)
			}
		}
	}
}
