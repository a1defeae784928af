package bolt

import (
	"sync"

	"github.com/compassdigital/reconciler/internal/store"
)

// maxRecent bounds the writes that are remembered.
const maxRecent = 20_000

// recent remembers which records were written lately, for Since. A write is noted before
// its transaction commits, so that whoever can see it finds it noted. One that is never
// committed stays noted: its record is read once in vain. Transactions are numbered as
// bbolt does: a read transaction bears the number of the last commit that it sees.
type recent struct {
	mu    sync.Mutex
	since int // every write of a transaction after this one is noted
	notes []note
}

type note struct {
	tx          int
	bucket, key string
}

// moment is the last commit that a read transaction sees.
type moment struct {
	of *recent // moments of another store mean nothing here
	tx int
}

func (r *recent) note(tx int, bucket, key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.notes) >= maxRecent {
		forgotten := r.notes[:maxRecent/2]
		r.since = forgotten[len(forgotten)-1].tx
		r.notes = append([]note(nil), r.notes[maxRecent/2:]...)
	}
	r.notes = append(r.notes, note{tx, bucket, key})
}

// after lists what was noted of a bucket after a moment, each key once.
func (r *recent) after(m moment, bucket string) (keys []string, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.of != r || m.tx < r.since {
		return nil, false
	}
	seen := map[string]bool{}
	for i := len(r.notes) - 1; i >= 0 && r.notes[i].tx > m.tx; i-- {
		if n := r.notes[i]; n.bucket == bucket && !seen[n.key] {
			seen[n.key] = true
			keys = append(keys, n.key)
		}
	}
	return keys, true
}

// Since implements store.Tx.
func (t *transaction) Since(bucket string, then store.Moment) (keys []string, now store.Moment, ok bool) {
	if t.buffer != nil || t.ended { // what an Update wrote itself is not noted yet
		return nil, nil, false
	}
	m, _ := then.(moment)
	keys, ok = t.recent.after(m, bucket)
	return keys, moment{t.recent, t.tx.ID()}, ok
}
