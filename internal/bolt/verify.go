package bolt

import (
	"encoding/json"
	"errors"
	"fmt"

	bbolt "go.etcd.io/bbolt"

	"github.com/compassdigital/reconciler/internal/store"
)

// maxFindings bounds how much of what is wrong with a file one error says.
const maxFindings = 10

// Verify opens every record and checks the file's structure. Errors are
// store.ErrDamaged and name up to ten records. Reading goes on beside writers;
// the look at the structure keeps them waiting (about a second for a gigabyte).
func (s *Store) Verify() error {
	if err := s.View(func(tx store.Tx) error { return verifyRecords(tx.(*transaction)) }); err != nil {
		return fmt.Errorf("verify state %s: %w", s.path, err)
	}
	if err := s.verifyLive(); err != nil {
		return fmt.Errorf("verify state %s: %w", s.path, err)
	}
	return nil
}

// verifyLive holds the pen, because bbolt's check reads what a writer changes.
func (s *Store) verifyLive() error {
	s.pen.Lock()
	defer s.pen.Unlock()
	if s.closed {
		return ErrClosed
	}
	s.settle()
	if s.broken != nil {
		return s.broken
	}
	return verifyStructure(s.db)
}

// verifyRecords looks at every bucket but the header, whether this version knows it
// or not: all are sealed the same way.
func verifyRecords(t *transaction) error {
	var names []string
	err := guard(func() error {
		return t.tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			if string(name) != headerBucket {
				names = append(names, string(name))
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	var found []error
	for _, name := range names {
		err := t.Each(name, "", func(key string, decode func(any) error) error {
			var plain json.RawMessage
			if err := decode(&plain); err != nil {
				found = append(found, err)
			}
			if len(found) >= maxFindings {
				return store.ErrStop
			}
			return nil
		})
		if err != nil {
			found = append(found, fmt.Errorf("bucket %s: %w", name, err))
		}
		if len(found) >= maxFindings {
			break
		}
	}
	return errors.Join(found...)
}

func verifyStructure(db *bbolt.DB) error {
	return guard(func() error {
		return db.View(func(tx *bbolt.Tx) error {
			var found []error
			for err := range tx.Check() { // to the end, or its goroutine would stay
				if len(found) < maxFindings {
					found = append(found, fmt.Errorf("%w: %w", store.ErrDamaged, err))
				}
			}
			return errors.Join(found...)
		})
	})
}
