package bolt

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	bbolt "go.etcd.io/bbolt"

	"github.com/compassdigital/reconciler/internal/secret"
	"github.com/compassdigital/reconciler/internal/store"
)

// Limits of one record.
const (
	MaxKey   = 4 << 10  // bytes of a key
	MaxValue = 16 << 20 // bytes of a value as JSON
)

// buffer is what one function wrote and the shared transaction does not have yet:
// bucket → key → JSON, nil for deleted.
type buffer map[string]map[string][]byte

// transaction implements store.Tx. Reading, it has no buffer.
type transaction struct {
	keys   *secret.Keys
	recent *recent
	tx     *bbolt.Tx
	buffer buffer
	ended  bool
}

var errEnded = errors.New("the transaction is over")

func (t *transaction) end() { t.ended = true }

func context(bucket, key string) string { return bucket + "\x00" + key }

func (t *transaction) bucket(name string) (*bbolt.Bucket, error) {
	if t.ended {
		return nil, errEnded
	}
	b := t.tx.Bucket([]byte(name))
	if b == nil {
		return nil, noBucket(name)
	}
	return b, nil
}

// unseal opens what lies under a key. What does not open is damage: the header said
// already that the key is the right one.
func (t *transaction) unseal(bucket, key string, sealed []byte) ([]byte, error) {
	plain, err := t.keys.Open(context(bucket, key), sealed)
	if err != nil {
		return nil, fmt.Errorf("%w: record %s %q: %w", store.ErrDamaged, bucket, key, err)
	}
	return plain, nil
}

// stored returns the JSON under a key, without the buffer; nil when there is none.
func (t *transaction) stored(bucket, key string) (plain []byte, err error) {
	err = guard(func() error {
		b, err := t.bucket(bucket)
		if err != nil {
			return err
		}
		sealed := b.Get([]byte(key))
		if sealed == nil {
			return nil
		}
		plain, err = t.unseal(bucket, key, sealed)
		return err
	})
	return plain, err
}

func decodeRecord(bucket, key string, plain []byte, v any) error {
	if err := json.Unmarshal(plain, v); err != nil {
		return fmt.Errorf("%w: record %s %q: %w", store.ErrDamaged, bucket, key, err)
	}
	return nil
}

// Get implements store.Tx.
func (t *transaction) Get(bucket, key string, v any) (bool, error) {
	plain, buffered := t.buffer[bucket][key]
	if t.ended || !buffered {
		var err error
		if plain, err = t.stored(bucket, key); err != nil {
			return false, err
		}
	}
	if plain == nil {
		return false, nil
	}
	return true, decodeRecord(bucket, key, plain, v)
}

// Put implements store.Tx.
func (t *transaction) Put(bucket, key string, v any) error {
	plain, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	if len(plain) > MaxValue {
		return fmt.Errorf("a value of %d bytes is over the limit of %d", len(plain), MaxValue)
	}
	return t.set(bucket, key, plain)
}

// Delete implements store.Tx.
func (t *transaction) Delete(bucket, key string) error { return t.set(bucket, key, nil) }

// set refuses what the shared transaction would refuse later.
func (t *transaction) set(bucket, key string, plain []byte) error {
	if t.buffer == nil {
		return errors.New("this transaction only reads")
	}
	if key == "" || len(key) > MaxKey {
		return fmt.Errorf("a key has 1 to %d bytes, not %d", MaxKey, len(key))
	}
	if err := guard(func() error { _, err := t.bucket(bucket); return err }); err != nil {
		return err
	}
	if t.buffer[bucket] == nil {
		t.buffer[bucket] = map[string][]byte{}
	}
	t.buffer[bucket][key] = plain
	return nil
}

// Next implements store.Tx.
func (t *transaction) Next(bucket string) (uint64, error) {
	if err := guard(func() error { _, err := t.bucket(bucket); return err }); err != nil {
		return 0, err
	}
	var n uint64
	if _, err := t.Get(sequences, bucket, &n); err != nil {
		return 0, err
	}
	n++
	return n, t.Put(sequences, bucket, n)
}

// flush writes the buffer into the shared transaction and says whether that changed
// anything: equal content is not written again.
func (t *transaction) flush() (changed bool, err error) {
	for _, bucket := range slices.Sorted(maps.Keys(t.buffer)) {
		records := t.buffer[bucket]
		for _, key := range slices.Sorted(maps.Keys(records)) {
			wrote, err := t.write(bucket, key, records[key])
			if err != nil {
				return changed, fmt.Errorf("write %s %q: %w", bucket, key, err)
			}
			changed = changed || wrote
		}
	}
	return changed, nil
}

// write is the only place that changes a record.
func (t *transaction) write(bucket, key string, plain []byte) (wrote bool, err error) {
	t.recent.note(t.tx.ID(), bucket, key)
	err = guard(func() error {
		b, err := t.bucket(bucket)
		if err != nil {
			return err
		}
		sealed := b.Get([]byte(key))
		if plain == nil {
			if sealed == nil {
				return nil
			}
			wrote = true
			return b.Delete([]byte(key))
		}
		if sealed != nil {
			// A record that no longer opens is written over: that heals it.
			if old, err := t.unseal(bucket, key, sealed); err == nil && bytes.Equal(old, plain) {
				return nil
			}
		}
		wrote = true
		return b.Put([]byte(key), t.keys.Seal(context(bucket, key), plain))
	})
	return wrote, err
}

// Each implements store.Tx. It walks what there was when it began.
func (t *transaction) Each(bucket, prefix string, fn func(string, func(any) error) error) error {
	return t.walk(bucket, prefix, false, fn)
}

// Last implements store.Tx.
func (t *transaction) Last(bucket, prefix string, fn func(string, func(any) error) error) error {
	return t.walk(bucket, prefix, true, fn)
}

func (t *transaction) walk(bucket, prefix string, down bool, fn func(string, func(any) error) error) error {
	c := &cursor{t: t, bucket: bucket, prefix: prefix, down: down}
	if err := c.start(); err != nil {
		return err
	}
	mine, keys := c.buffered()
	for {
		key, ok := c.key, c.ok
		if len(keys) > 0 && (!ok || keys[0] == key || (keys[0] < key) != down) {
			key, ok = keys[0], true
			keys = keys[1:]
		}
		if !ok {
			return nil
		}
		sealed := c.sealed
		if ok := c.ok && c.key == key; ok {
			if err := c.next(); err != nil {
				return err
			}
		}
		plain, written := mine[key]
		if written && plain == nil {
			continue
		}
		err := fn(key, func(v any) error {
			if t.ended {
				return errEnded
			}
			if !written {
				if err := guard(func() (err error) { plain, err = t.unseal(bucket, key, sealed); return err }); err != nil {
					return err
				}
			}
			return decodeRecord(bucket, key, plain, v)
		})
		if errors.Is(err, store.ErrStop) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// cursor walks the stored records of a prefix, one ahead. The shared transaction is
// not written while a function runs, so what it points to stays.
type cursor struct {
	t              *transaction
	bucket, prefix string
	down           bool
	c              *bbolt.Cursor
	key            string
	sealed         []byte // in the mapped file: valid until the transaction ends
	ok             bool
}

// buffered returns a copy of what the function wrote under the prefix, its keys in
// the order of the walk.
func (c *cursor) buffered() (map[string][]byte, []string) {
	mine := map[string][]byte{}
	for k, v := range c.t.buffer[c.bucket] {
		if strings.HasPrefix(k, c.prefix) {
			mine[k] = v
		}
	}
	keys := slices.Sorted(maps.Keys(mine))
	if c.down {
		slices.Reverse(keys)
	}
	return mine, keys
}

func (c *cursor) start() error {
	return guard(func() error {
		b, err := c.t.bucket(c.bucket)
		if err != nil {
			return err
		}
		c.c = b.Cursor()
		if !c.down {
			c.take(c.c.Seek([]byte(c.prefix)))
			return nil
		}
		after := successor(c.prefix)
		if after == nil {
			c.take(c.c.Last())
			return nil
		}
		if k, _ := c.c.Seek(after); k == nil {
			c.take(c.c.Last())
			return nil
		}
		c.take(c.c.Prev())
		return nil
	})
}

func (c *cursor) next() error {
	return guard(func() error {
		if c.t.ended {
			return errEnded
		}
		if c.down {
			c.take(c.c.Prev())
		} else {
			c.take(c.c.Next())
		}
		return nil
	})
}

func (c *cursor) take(k, v []byte) {
	c.key, c.sealed = string(k), v
	c.ok = k != nil && strings.HasPrefix(c.key, c.prefix)
}

// successor is the smallest key after all keys of a prefix; nil when there is none.
func successor(prefix string) []byte {
	b := []byte(prefix)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] < 0xff {
			b[i]++
			return b[:i+1]
		}
	}
	return nil
}
