package bolt

import (
	"errors"
	"fmt"

	bbolt "go.etcd.io/bbolt"

	"github.com/compassdigital/reconciler/internal/store"
)

// migration brings a state from one schema to the next. It sees records as every
// other function does, and runs in one transaction with the new schema's number.
type migration struct {
	name string
	run  func(store.Tx) error
}

// migrations, oldest first: the n-th leads to schema n. A state that is made new has
// the newest. Never change or remove one that was released.
func migrations() []migration {
	return []migration{
		{"first schema", func(store.Tx) error { return nil }},
		// Records of their own, which an older program would not keep beside what it writes.
		{"pull requests", func(store.Tx) error { return nil }},
		// Fields that came with a meaning of their own: an older program would drop them, and do
		// again, or forget, what they say.
		{"fields of November 2026", func(store.Tx) error { return nil }},
	}
}

var errNothing = errors.New("nothing to write")

// migrate makes buckets that are new, then runs what is due.
func (s *Store) migrate(all []migration) error {
	err := s.db.Update(func(tx *bbolt.Tx) error {
		made, err := makeBuckets(tx)
		if err != nil {
			return err
		}
		h, err := readHeader(tx)
		if err != nil {
			return err
		}
		if names := h.made(); made || names != h.Buckets {
			h.Buckets = names
			return putHeader(tx, h)
		}
		return errNothing
	})
	if err != nil && !errors.Is(err, errNothing) {
		return fmt.Errorf("make buckets: %w", err)
	}
	for {
		done := false
		err := s.db.Update(func(tx *bbolt.Tx) error {
			h, err := readHeader(tx)
			if err != nil {
				return err
			}
			if done = h.Schema >= len(all); done {
				return errNothing
			}
			m := all[h.Schema]
			h.Schema++
			t := &transaction{keys: s.keys, recent: &s.recent, tx: tx, buffer: buffer{}}
			defer t.end()
			if err := m.run(t); err != nil {
				return fmt.Errorf("migrate to schema %d (%s): %w", h.Schema, m.name, err)
			}
			if _, err := t.flush(); err != nil {
				return fmt.Errorf("migrate to schema %d (%s): %w", h.Schema, m.name, err)
			}
			s.at(PointMigrate)
			return putHeader(tx, h)
		})
		if err == nil {
			s.at(PointMigrated)
		}
		if done {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
