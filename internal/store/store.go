package store

import "errors"

// Errors that every store returns, wrapped.
var (
	// ErrDamaged: a record failed its seal or did not decode. Nothing is guessed.
	ErrDamaged = errors.New("state is damaged")
	// ErrFull: no room for a write; nothing of the transaction happened.
	ErrFull = errors.New("no room to write state")
)

// Tx is one transaction over sealed records. A record is a JSON value under
// bucket and key. Values are copied: nothing that Get or Each hands out lives in
// the store. Not for concurrent use; never kept after the function returned; no
// network call while one is open.
type Tx interface {
	// Get decodes the record into v and says whether there was one.
	Get(bucket, key string, v any) (bool, error)
	// Put seals and writes.
	Put(bucket, key string, v any) error
	// Delete removes; deleting the absent succeeds.
	Delete(bucket, key string) error
	// Each calls fn for every record whose key starts with prefix, in key order,
	// until fn returns an error (ErrStop ends it without one).
	Each(bucket, prefix string, fn func(key string, decode func(v any) error) error) error
	// Last is Each from the greatest key downwards.
	Last(bucket, prefix string, fn func(key string, decode func(v any) error) error) error
	// Since lists the keys of a bucket that may have been written after an earlier moment:
	// each that was, perhaps others, in no order. now is this transaction's own moment. ok
	// is false where the store can't tell (no moment, one that is long past or another
	// store's, an Update): then every key may have been.
	Since(bucket string, then Moment) (keys []string, now Moment, ok bool)
	// Next returns the next number of the bucket's sequence, from 1.
	Next(bucket string) (uint64, error)
}

// Moment is a point in a store's history that Since was given; nil is before all.
type Moment any

// ErrStop ends Each and Last early.
var ErrStop = errors.New("stop")

// Store is where state lives. Update commits durably before it returns or changes
// nothing; concurrent Updates may share one commit, each function still sees the
// effect of those before it and an error of one undoes that one only (its function
// may be called again). View sees one consistent moment.
type Store interface {
	View(fn func(Tx) error) error
	Update(fn func(Tx) error) error
}
