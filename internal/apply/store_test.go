package apply_test

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/compassdigital/reconciler/internal/store"
	"github.com/compassdigital/reconciler/internal/store/storetest"
)

// disk is a store in memory: hundreds of worlds would wear out a real disk. It passes
// the suite of stores.
type disk struct {
	mu   sync.RWMutex
	data map[string]map[string][]byte
	seq  map[string]uint64

	commits int // so far
}

func newDisk() *disk { return &disk{data: map[string]map[string][]byte{}, seq: map[string]uint64{}} }

func TestTheTestStorePassesTheSuite(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return newDisk() })
}

var errEnded = errors.New("not in a transaction that may write")

// transaction copies a bucket before it writes to it.
type transaction struct {
	d       *disk
	buckets map[string]map[string][]byte // changed ones
	seq     map[string]uint64
	write   bool
	ended   bool
}

func (d *disk) View(fn func(store.Tx) error) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	tx := &transaction{d: d}
	defer func() { tx.ended = true }()
	return fn(tx)
}

func (d *disk) Update(fn func(store.Tx) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	tx := &transaction{d: d, write: true, buckets: map[string]map[string][]byte{}, seq: map[string]uint64{}}
	defer func() { tx.ended = true }()
	if err := fn(tx); err != nil {
		return err
	}
	maps.Copy(d.data, tx.buckets)
	maps.Copy(d.seq, tx.seq)
	d.commits++
	return nil
}

// bucket is what is in a bucket, for reading.
func (tx *transaction) bucket(name string) (map[string][]byte, error) {
	if tx.ended || !slices.Contains(store.Buckets(), name) {
		return nil, errEnded
	}
	if b, ok := tx.buckets[name]; ok {
		return b, nil
	}
	return tx.d.data[name], nil
}

// own is a bucket for writing.
func (tx *transaction) own(name string) (map[string][]byte, error) {
	b, err := tx.bucket(name)
	if err != nil || !tx.write {
		return nil, errEnded
	}
	if _, ok := tx.buckets[name]; !ok {
		if b = maps.Clone(b); b == nil {
			b = map[string][]byte{}
		}
		tx.buckets[name] = b
	}
	return tx.buckets[name], nil
}

func (tx *transaction) Get(bucket, key string, v any) (bool, error) {
	b, err := tx.bucket(bucket)
	data, ok := b[key]
	if err != nil || !ok {
		return false, err
	}
	return true, json.Unmarshal(data, v)
}

func (tx *transaction) Put(bucket, key string, v any) error {
	b, err := tx.own(bucket)
	if err != nil {
		return err
	}
	data, err := json.Marshal(v)
	if err != nil || key == "" || len(key) > 1<<15 || len(data) > 1<<25 {
		return errors.Join(err, errors.New("this can't be a record"))
	}
	b[key] = data
	return nil
}

func (tx *transaction) Delete(bucket, key string) error {
	b, err := tx.own(bucket)
	delete(b, key)
	return err
}

func (tx *transaction) Each(bucket, prefix string, fn func(string, func(any) error) error) error {
	return tx.walk(bucket, prefix, fn, false)
}

func (tx *transaction) Last(bucket, prefix string, fn func(string, func(any) error) error) error {
	return tx.walk(bucket, prefix, fn, true)
}

func (tx *transaction) walk(bucket, prefix string, fn func(string, func(any) error) error, back bool) error {
	b, err := tx.bucket(bucket)
	if err != nil {
		return err
	}
	b = maps.Clone(b)
	var keys []string
	for k := range b {
		if strings.HasPrefix(k, prefix) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	if back {
		slices.Reverse(keys)
	}
	for _, k := range keys {
		err := fn(k, func(v any) error {
			if tx.ended {
				return errEnded
			}
			return json.Unmarshal(b[k], v)
		})
		if errors.Is(err, store.ErrStop) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Since never knows.
func (tx *transaction) Since(string, store.Moment) ([]string, store.Moment, bool) {
	return nil, nil, false
}

func (tx *transaction) Next(bucket string) (uint64, error) {
	if _, err := tx.own(bucket); err != nil {
		return 0, err
	}
	n, ok := tx.seq[bucket]
	if !ok {
		n = tx.d.seq[bucket]
	}
	tx.seq[bucket] = n + 1
	return n + 1, nil
}
