package store

import (
	"fmt"
	"slices"

	"github.com/compassdigital/reconciler/internal/state"
)

// maxMoved is how many records may have come or gone for a memo to make room for them one
// by one; beyond it reads all anew.
const maxMoved = 64

// Memo keeps what was read of a bucket, decoded, for whoever reads all of it again and
// again: only what was written since is decoded anew. What was written the store itself
// says, where it writes (Tx.Since), so that no writer can forget to; where it doesn't know,
// everything is read. A read returns what a plain one would. Not for concurrent use.
type Memo[T any] struct {
	at     Moment // of the last read; nil: nothing is kept
	keys   []string
	values []T // one a key
}

// read returns the records of a bucket by key. They are the memo's own: callers don't
// change them, and don't keep the slice beyond the next read.
func (m *Memo[T]) read(tx Tx, bucket string) ([]T, error) {
	changed, now, ok := tx.Since(bucket, m.at)
	m.at = nil // should this read end halfway
	moved := 0
	for i := 0; ok && i < len(changed); i++ {
		came, err := m.again(tx, bucket, changed[i])
		if err != nil {
			return nil, err
		}
		if came {
			moved++
		}
		ok = moved <= maxMoved
	}
	if !ok {
		if err := m.all(tx, bucket); err != nil {
			return nil, err
		}
	}
	m.at = now
	return m.values, nil
}

// again reads one record anew, and says whether it came or went.
func (m *Memo[T]) again(tx Tx, bucket, key string) (moved bool, err error) {
	v, there, err := get[T](tx, bucket, key)
	if err != nil {
		return false, err
	}
	i, had := slices.BinarySearch(m.keys, key)
	switch {
	case there && had:
		m.values[i] = v
	case there:
		m.keys, m.values = slices.Insert(m.keys, i, key), slices.Insert(m.values, i, v)
	case had:
		m.keys, m.values = slices.Delete(m.keys, i, i+1), slices.Delete(m.values, i, i+1)
	}
	return there != had, nil
}

func (m *Memo[T]) all(tx Tx, bucket string) error {
	m.keys, m.values = nil, nil
	return tx.Each(bucket, "", func(key string, decode func(any) error) error {
		var v T
		if err := decode(&v); err != nil {
			return fmt.Errorf("read %s %s: %w", bucket, shown(key), err)
		}
		m.keys, m.values = append(m.keys, key), append(m.values, v)
		return nil
	})
}

// Holder is as much of a recorded resource as says whose an object is.
type Holder struct {
	Ref      state.Ref `json:"ref"`
	Provider string    `json:"provider"`
	ID       string    `json:"id"`
}

// HoldersAgain are all recorded resources, as holders, with a memo.
func HoldersAgain(tx Tx, m *Memo[Holder]) ([]Holder, error) { return m.read(tx, bucketResources) }

// Namer is as much of a client as says what its manifest may name.
type Namer struct {
	ID       state.ClientID `json:"id"`
	Name     string         `json:"name"`
	Removed  bool           `json:"removed"`
	Manifest []byte         `json:"manifest"`
}

// NamersAgain are all clients, as namers, with a memo.
func NamersAgain(tx Tx, m *Memo[Namer]) ([]Namer, error) { return m.read(tx, bucketClients) }

// ClientsAgain is Clients with a memo.
func ClientsAgain(tx Tx, m *Memo[state.Client]) ([]state.Client, error) {
	return m.read(tx, bucketClients)
}

// PullsAgain is Pulls with a memo.
func PullsAgain(tx Tx, m *Memo[state.Pull]) ([]state.Pull, error) { return m.read(tx, bucketPulls) }

// ClaimsAgain is Claims with a memo.
func ClaimsAgain(tx Tx, m *Memo[state.Claim]) ([]state.Claim, error) { return m.read(tx, bucketClaims) }
