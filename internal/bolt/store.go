package bolt

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	bbolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/compassdigital/reconciler/internal/secret"
	"github.com/compassdigital/reconciler/internal/store"
)

// maxGroup bounds the functions that share one commit, so that those who wait for it
// are not kept waiting by a stream of newcomers.
const maxGroup = 256

// growth is by how much the file grows when it must.
const growth = 1 << 20

// Store is an open state. Safe for concurrent use.
type Store struct {
	db   *bbolt.DB
	keys *secret.Keys
	path string
	now  func() time.Time
	at   func(point string)
	held *os.File

	noSync bool
	known  uint64 // epoch that the marker said when the state was opened
	epoch  uint64 // under pen: what this process wrote; 0: nothing yet
	marked bool   // under pen: the marker says so, too

	waiting atomic.Int64 // Updates that want the pen
	pen     sync.Mutex   // held while a function runs, and while a commit does
	group   *group       // begun, not committed; under pen
	broken  error        // under pen; once set, nothing is written
	stuck   bool         // under pen: a write transaction cannot be ended, and bbolt would wait for it
	closed  bool         // under pen

	syncs, updates atomic.Uint64
	recent         recent
}

var _ store.Store = (*Store)(nil)

// group is the functions that share one commit.
type group struct {
	tx      *bbolt.Tx
	size    int
	changed bool
	done    chan struct{}
	err     error // read after done
}

// Stats counts since Open.
type Stats struct {
	Syncs   uint64 // commits, each of which is synced to the disk (unless NoSync)
	Updates uint64 // calls of Update
}

// Stats returns the counts.
func (s *Store) Stats() Stats { return Stats{Syncs: s.syncs.Load(), Updates: s.updates.Load()} }

// View implements store.Store.
func (s *Store) View(fn func(store.Tx) error) error {
	var tx *bbolt.Tx
	if err := guard(func() (err error) { tx, err = s.db.Begin(false); return err }); err != nil {
		return fmt.Errorf("read state: %w", err)
	}
	t := &transaction{keys: s.keys, recent: &s.recent, tx: tx}
	defer func() {
		t.end()
		_ = guard(tx.Rollback) // of a read transaction: nothing can be lost
	}()
	return fn(t)
}

// Update implements store.Store. It returns fn's error as it is; an error of the
// commit goes to everyone who shares it.
func (s *Store) Update(fn func(store.Tx) error) error {
	s.updates.Add(1)
	s.waiting.Add(1)
	s.pen.Lock()
	s.waiting.Add(-1)
	g, err := s.run(fn)
	if err != nil {
		return err
	}
	<-g.done
	return g.err
}

// run runs fn with the pen in hand and passes the pen on, whatever fn does.
func (s *Store) run(fn func(store.Tx) error) (*group, error) {
	defer s.pen.Unlock()
	g, err := s.join()
	if err != nil {
		return nil, fmt.Errorf("write state: %w", err)
	}
	defer s.finish(g) // also when fn panics or exits its goroutine
	t := &transaction{keys: s.keys, recent: &s.recent, tx: g.tx, buffer: buffer{}}
	defer t.end()
	if err := fn(t); err != nil {
		return nil, err
	}
	changed, err := t.flush()
	g.changed = g.changed || changed
	if err != nil {
		// Half of it is in the shared transaction: nobody's may be committed.
		g.err = fmt.Errorf("write state: %w", err)
	}
	return g, nil
}

// join returns the group that is open, or opens one.
func (s *Store) join() (*group, error) {
	if s.closed {
		return nil, ErrClosed
	}
	if s.broken != nil {
		return nil, s.broken
	}
	if s.group == nil {
		g := &group{done: make(chan struct{})}
		if err := guard(func() (err error) { g.tx, err = s.db.Begin(true); return err }); err != nil {
			return nil, err
		}
		s.group = g
	}
	s.group.size++
	return s.group, nil
}

// finish commits, unless somebody who waits for the pen will.
func (s *Store) finish(g *group) {
	if g.err == nil && g.size < maxGroup && s.waiting.Load() > 0 {
		return
	}
	s.settle()
}

func (s *Store) rollback(g *group) {
	if err := guard(g.tx.Rollback); err != nil {
		s.stuck = true
		s.broken = fmt.Errorf("%w (%w)", ErrBroken, err)
	}
}

func (s *Store) commit(g *group) {
	id := g.tx.ID()
	s.at(PointCommit)
	err := guard(func() error {
		if err := s.begin(g.tx); err != nil {
			return err
		}
		return g.tx.Commit()
	})
	if err == nil {
		s.at(PointCommitted)
		s.syncs.Add(1)
		s.mark()
		return
	}
	if rerr := guard(g.tx.Rollback); rerr != nil && !errors.Is(rerr, berrors.ErrTxClosed) {
		s.stuck = true
	}
	switch {
	case s.stuck, errors.Is(err, store.ErrDamaged), s.reached(id):
	case errors.Is(err, store.ErrFull):
		g.err = fmt.Errorf("commit state: %w", err)
		return
	case s.noRoom():
		g.err = fmt.Errorf("commit state: %w: %w", store.ErrFull, err)
		return
	}
	s.broken = fmt.Errorf("%w (%w)", ErrBroken, err)
	g.err = fmt.Errorf("commit state: %w", s.broken)
}

// noRoom finds out whether a commit failed for want of room: bbolt tells it in words
// only when it was the file that could not grow. The room that the trial leaves is
// used by the next commit.
func (s *Store) noRoom() bool {
	f, err := os.OpenFile(s.path, os.O_RDWR, 0)
	if err != nil {
		return false
	}
	info, err := f.Stat()
	if err == nil {
		err = f.Truncate(info.Size() + growth)
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return full(err)
}

// reached says whether a commit that failed can be seen all the same: then the disk
// may have it or not, and nobody can be told which.
func (s *Store) reached(id int) bool {
	seen := true
	err := guard(func() error {
		tx, err := s.db.Begin(false)
		if err != nil {
			return err
		}
		seen = tx.ID() >= id
		return tx.Rollback()
	})
	return err != nil || seen
}

// settle ends the group that is open, whoever waited to do it.
func (s *Store) settle() {
	g := s.group
	if g == nil {
		return
	}
	s.group = nil
	if g.err != nil || !g.changed {
		s.rollback(g)
	} else {
		s.commit(g)
	}
	close(g.done)
}

// Close waits for what is under way and lets go of the file. Closing twice is fine.
func (s *Store) Close() error {
	s.pen.Lock()
	defer s.pen.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.settle()
	if err := errors.Join(s.closeDB(), unlock(s.held)); err != nil {
		return fmt.Errorf("close state: %w", err)
	}
	return nil
}

func (s *Store) closeDB() error {
	if s.stuck {
		return s.broken // the process ends soon; its lock goes with it
	}
	return guard(s.db.Close)
}
