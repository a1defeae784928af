package reconcile_test

import (
	"sort"
	"sync"
	"testing/synctest"
)

// turns lets one goroutine of a run work at a time, and says which: whoever comes to a
// place where others could come between waits there until it is chosen. So the seed
// decides the order of what runs side by side, and a run can be repeated exactly. It
// lives in a synctest bubble, which tells when everybody waits.
type turns struct {
	pick func(n int) int
	wake chan struct{}
	quit chan struct{}
	over chan struct{}

	mu      sync.Mutex
	waiting []turn
	last    string // who had the last turn
	off     bool   // nobody waits: one event in the middle of another
}

type turn struct {
	name string
	go_  chan struct{}
}

func newTurns(pick func(int) int) *turns {
	t := &turns{pick: pick, wake: make(chan struct{}, 1), quit: make(chan struct{}), over: make(chan struct{})}
	go t.run()
	return t
}

func (t *turns) run() {
	defer close(t.over)
	for {
		select {
		case <-t.wake:
		case <-t.quit:
			return
		}
		for {
			synctest.Wait()
			t.mu.Lock()
			if len(t.waiting) == 0 {
				t.mu.Unlock()
				break
			}
			sort.SliceStable(t.waiting, func(i, j int) bool { return t.waiting[i].name < t.waiting[j].name })
			i := 0
			if len(t.waiting) > 1 {
				i = t.pick(len(t.waiting))
			}
			next := t.waiting[i]
			t.waiting = append(t.waiting[:i], t.waiting[i+1:]...)
			t.last = next.name
			t.mu.Unlock()
			close(next.go_)
		}
	}
}

func (t *turns) stop() { close(t.quit); <-t.over }

// yield waits for the caller's turn. A place that can't say who comes there ("") goes by
// who had the last turn: nobody else has run since.
func (t *turns) yield(name string) {
	t.mu.Lock()
	if t.off {
		t.mu.Unlock()
		return
	}
	if name == "" {
		name = t.last
	}
	mine := turn{name, make(chan struct{})}
	t.waiting = append(t.waiting, mine)
	t.mu.Unlock()
	select {
	case t.wake <- struct{}{}:
	default:
	}
	<-mine.go_
}

// alone runs f without giving a turn to anybody.
func (t *turns) alone(f func()) {
	t.mu.Lock()
	was := t.off
	t.off = true
	t.mu.Unlock()
	defer t.set(was)
	f()
}

func (t *turns) set(off bool) { t.mu.Lock(); t.off = off; t.mu.Unlock() }
