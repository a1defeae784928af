package apply

import (
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/journal"
	"github.com/compassdigital/reconciler/internal/state"
)

// Up is how long this process has been running, by a clock that nobody sets.
func (r *Runner) Up() time.Duration {
	if r.Elapsed != nil {
		return r.Elapsed()
	}
	now := r.Now()
	r.first.CompareAndSwap(nil, &now)
	return now.Sub(*r.first.Load())
}

// looked are the looks of this process into uncertain writes. That a write did not happen
// is concluded from looks that are far enough apart (journal.SettleLooks), and how far they
// are a clock that is set between them does not tell: it would make a second object of one
// that lists don't show yet. So looks are counted by Runner.Elapsed, and those of an earlier
// process don't count.
type looked struct {
	mu sync.Mutex
	at map[state.Ref]lastLook
}

type lastLook struct {
	run  string    // of the intent,
	sent time.Time // and when it was written: they tell it from others of the same object
	next time.Duration
}

// note keeps in mind that the next look is due after a time.
func (l *looked) note(i journal.Intent, elapsed, after time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at == nil {
		l.at = map[state.Ref]lastLook{}
	}
	l.at[i.Ref] = lastLook{i.Run, i.At, elapsed + after}
}

// wait says how long the next look of an intent has to wait. known says that the looks that
// it counts are of this process.
func (l *looked) wait(i journal.Intent, elapsed time.Duration) (d time.Duration, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last, there := l.at[i.Ref]
	if i.Looks == 0 || !there || last.run != i.Run || !last.sent.Equal(i.At) {
		return 0, false
	}
	return max(0, last.next-elapsed), true
}

// forget forgets an intent that is decided.
func (l *looked) forget(i journal.Intent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.at, i.Ref)
}
