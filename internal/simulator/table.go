package simulator

import (
	"encoding/json"
	"slices"
	"time"
)

// Table keeps a vendor's objects of one kind, in the order in which they came. Its lists may
// be late: Seen shows an object only once it is old enough, and still shows for as long one
// that is gone. It is not safe for concurrent use: the vendor's lock is around it.
type Table[T any] struct {
	now  func() time.Time
	lag  func() time.Duration
	rows []row[T]
}

type row[T any] struct {
	ID   string    `json:"id"`
	Made time.Time `json:"made"`
	Gone time.Time `json:"gone,omitzero"`
	Is   T         `json:"is"`
}

// NewTable returns an empty table. lag is how late lists are; nil: not at all.
func NewTable[T any](now func() time.Time, lag func() time.Duration) *Table[T] {
	if lag == nil {
		lag = func() time.Duration { return 0 }
	}
	return &Table[T]{now: now, lag: lag}
}

func (t *Table[T]) find(id string) int {
	return slices.IndexFunc(t.rows, func(r row[T]) bool { return r.ID == id && r.Gone.IsZero() })
}

// Put adds an object, or replaces it where it is.
func (t *Table[T]) Put(id string, is T) {
	if i := t.find(id); i >= 0 {
		t.rows[i].Is = is
		return
	}
	t.rows = append(t.rows, row[T]{ID: id, Made: t.now(), Is: is})
}

// Get returns an object that is there.
func (t *Table[T]) Get(id string) (is T, ok bool) {
	if i := t.find(id); i >= 0 {
		return t.rows[i].Is, true
	}
	return is, false
}

// Made is when an object that is there was added.
func (t *Table[T]) Made(id string) time.Time {
	if i := t.find(id); i >= 0 {
		return t.rows[i].Made
	}
	return time.Time{}
}

// Delete removes an object, and says whether it was there.
func (t *Table[T]) Delete(id string) bool {
	i := t.find(id)
	if i < 0 {
		return false
	}
	t.rows[i].Gone = t.now()
	return true
}

// All are the objects that are there.
func (t *Table[T]) All() []T {
	var out []T
	for _, r := range t.rows {
		if r.Gone.IsZero() {
			out = append(out, r.Is)
		}
	}
	return out
}

// Seen are the objects that a list shows.
func (t *Table[T]) Seen() []T {
	var out []T
	now, lag := t.now(), t.lag()
	t.rows = slices.DeleteFunc(t.rows, func(r row[T]) bool { return !r.Gone.IsZero() && now.Sub(r.Gone) >= lag })
	for _, r := range t.rows {
		if now.Sub(r.Made) >= lag {
			out = append(out, r.Is)
		}
	}
	return out
}

// MarshalJSON writes all rows; none are an empty list, since null would put nil in place of
// the table that it is read into.
func (t *Table[T]) MarshalJSON() ([]byte, error) {
	if t.rows == nil {
		return []byte("[]"), nil
	}
	return json.Marshal(t.rows)
}

// UnmarshalJSON reads what MarshalJSON wrote into a table of NewTable.
func (t *Table[T]) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, &t.rows) }
