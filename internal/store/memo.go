package store

import (
	"fmt"
	"slices"

	"github.com/compassdigital/reconciler/internal/state"
)

// Memo keeps what was read of a bucket, decoded, for whoever reads all of it again and
// again: only what was written since is opened and decoded anew. It asks nobody what
// was written. Each read walks the bucket as it is in its transaction and compares
// every record's stamp, so that what it returns is what a plain read would return,
// whoever wrote, rolled back or restored in between. Not for concurrent use.
type Memo[T any] struct {
	marks  []mark
	values []T // one a mark
}

// mark is which record a value was decoded from.
type mark struct {
	key   string
	stamp Stamp
}

// all returns the records of a bucket by key. They are the memo's own: callers don't
// change them, and don't keep the slice beyond the next read.
func (m *Memo[T]) all(tx Tx, bucket string) ([]T, error) {
	// The new list grows in the memory of the old one, behind what is still to be
	// compared, until a record that is new would overtake it.
	old, had, apart := m.marks, m.values, false
	m.marks, m.values = m.marks[:0], m.values[:0]
	var now mark
	err := tx.Each(bucket, "", func(key string, decode func(any) error) error {
		for len(old) > 0 && old[0].key < key { // deleted since
			old, had = old[1:], had[1:]
		}
		now.key = key
		if err := decode(&now.stamp); err != nil {
			return fmt.Errorf("read %s %s: %w", bucket, key, err)
		}
		known := len(old) > 0 && old[0].key == key
		if known && old[0].stamp == now.stamp && now.stamp != (Stamp{}) {
			m.marks, m.values = append(m.marks, old[0]), append(m.values, had[0])
			old, had = old[1:], had[1:]
			return nil
		}
		var v T
		if err := decode(&v); err != nil {
			return fmt.Errorf("read %s %s: %w", bucket, key, err)
		}
		if known {
			old, had = old[1:], had[1:]
		} else if !apart {
			m.marks, m.values, apart = slices.Clip(m.marks), slices.Clip(m.values), true
		}
		m.marks, m.values = append(m.marks, now), append(m.values, v)
		return nil
	})
	return m.values, err
}

// AllClients is Clients with a memo.
func AllClients(tx Tx, m *Memo[state.Client]) ([]state.Client, error) {
	return m.all(tx, bucketClients)
}

// AllClaims is Claims with a memo.
func AllClaims(tx Tx, m *Memo[state.Claim]) ([]state.Claim, error) { return m.all(tx, bucketClaims) }
