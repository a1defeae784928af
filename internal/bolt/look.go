package bolt

import (
	"errors"
	"fmt"
	"os"
	"time"

	bbolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/compassdigital/reconciler/internal/secret"
	"github.com/compassdigital/reconciler/internal/store"
)

// lookTimeout is how long Look waits for a writer: it may be one that is about to end.
const lookTimeout = 200 * time.Millisecond

// Glance is what Look sees.
type Glance struct {
	There bool  // false: nothing was ever made here
	Size  int64 // bytes
	Old   bool  // it is an older copy that was put back: the next start compares
	Past  bool  // an older version wrote it: the next start brings it up to date
}

// Look verifies a state as a backup is verified, and changes nothing, not even its lock file:
// the next Open finds every byte as it was. Errors are those of Open; whoever holds the state
// is a *HeldError. While Look reads, an Open waits for it.
func Look(path string, keys *secret.Keys) (Glance, error) {
	g, err := look(path, keys)
	if err != nil {
		return g, fmt.Errorf("look at state %s: %w", path, classify(err))
	}
	return g, nil
}

func look(path string, keys *secret.Keys) (g Glance, err error) {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		marked, err := exists(Marker(path))
		if err == nil && marked {
			err = fmt.Errorf("%w: restore a backup (reconciler restore FILE), or make it anew from Git and the providers' marks (reconciler rebuild)", ErrMissing)
		}
		return g, err
	}
	if err != nil {
		return g, err
	}
	g = Glance{There: true, Size: info.Size()}
	known, err := readEpoch(Marker(path))
	if err != nil {
		return g, err
	}
	db, err := openDB(path, true, true, lookTimeout)
	if errors.Is(err, berrors.ErrTimeout) {
		return g, &HeldError{Path: path, Holder: holderOf(path)}
	}
	if err != nil {
		return g, err
	}
	s := &Store{db: db, keys: keys, path: path}
	defer func() {
		if cerr := s.closeDB(); err == nil {
			err = cerr
		}
	}()
	if err = guard(func() error { return s.checkHeader(len(migrations())) }); err != nil {
		return g, err
	}
	err = guard(func() error {
		return db.View(func(tx *bbolt.Tx) error {
			h, err := readHeader(tx)
			g.Old, g.Past = h.Epoch < known, h.Schema < len(migrations())
			return err
		})
	})
	if err != nil {
		return g, err
	}
	if !g.Past { // what older versions made has no such bucket
		if err = s.filled(Options{Path: path}); err != nil {
			return g, err
		}
	}
	if err = s.View(func(tx store.Tx) error { return verifyRecords(tx.(*transaction)) }); err != nil {
		return g, err
	}
	return g, verifyStructure(db)
}

// holderOf reads who has a state open.
func holderOf(path string) string {
	f, err := os.Open(path + ".lock")
	if err != nil {
		return "another process"
	}
	defer func() { _ = f.Close() }() // only read
	return readHolder(f)
}

// Holder says who has a state open, as far as it is known.
func Holder(path string) string { return holderOf(path) }
