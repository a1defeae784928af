package storetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/compassdigital/reconciler/internal/store"
)

// model is what a store must equal: bucket → key → value, and its sequences.
type model struct {
	records map[string]map[string]int
	next    map[string]uint64
}

func (m model) clone() model {
	c := model{map[string]map[string]int{}, maps.Clone(m.next)}
	for b, r := range m.records {
		c.records[b] = maps.Clone(r)
	}
	return c
}

func (m model) walk(b, prefix string) []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m.records[b])) {
		if strings.HasPrefix(k, prefix) {
			out = append(out, fmt.Sprintf("%s=%d", k, m.records[b][k]))
		}
	}
	return out
}

func empty() model {
	return model{map[string]map[string]int{bucket: {}, other: {}}, map[string]uint64{}}
}

// testModel: random programs of transactions, some of which fail, leave the store
// equal to a map at every step.
func testModel(t *testing.T, open func(t *testing.T) store.Store) {
	s := open(t)
	rapid.Check(t, func(rt *rapid.T) {
		m := empty()
		m.next[bucket], m.next[other] = clearStore(rt, s, bucket), clearStore(rt, s, other)
		for range rapid.IntRange(1, 8).Draw(rt, "transactions") {
			after, fails := m.clone(), rapid.Bool().Draw(rt, "fails")
			err := s.Update(func(tx store.Tx) error {
				for range rapid.IntRange(0, 12).Draw(rt, "steps") {
					if err := step(rt, tx, after); err != nil {
						return err
					}
				}
				if fails {
					return errBoom
				}
				return nil
			})
			switch {
			case fails && !errors.Is(err, errBoom), !fails && err != nil:
				rt.Fatalf("update: %v", err)
			case !fails:
				m = after
			}
			err = s.View(func(tx store.Tx) error { return errors.Join(same(tx, m, bucket, ""), same(tx, m, other, "")) })
			if err != nil {
				rt.Fatal(err)
			}
		}
	})
}

// clearStore empties a bucket and returns where its sequence stands.
func clearStore(rt *rapid.T, s store.Store, b string) (n uint64) {
	err := s.Update(func(tx store.Tx) error {
		err := tx.Each(b, "", func(key string, _ func(any) error) error { return tx.Delete(b, key) })
		if err == nil {
			n, err = tx.Next(b)
		}
		return err
	})
	if err != nil {
		rt.Fatal(err)
	}
	return n
}

func same(tx store.Tx, m model, b, prefix string) error {
	want := m.walk(b, prefix)
	up, err := list(tx.Each, b, prefix)
	down, err2 := list(tx.Last, b, prefix)
	slices.Reverse(down)
	if err != nil || err2 != nil || !slices.Equal(up, want) || !slices.Equal(down, want) {
		return fmt.Errorf("%s %q: each %q (%w), last reversed %q (%w), want %q", b, prefix, up, err, down, err2, want)
	}
	return nil
}

func step(rt *rapid.T, tx store.Tx, m model) error {
	b := rapid.SampledFrom([]string{bucket, other}).Draw(rt, "bucket")
	key := rapid.StringMatching(`[ab/]{1,3}`).Draw(rt, "key")
	switch rapid.SampledFrom([]string{"put", "put", "put", "delete", "get", "walk", "next"}).Draw(rt, "step") {
	case "put":
		n := rapid.IntRange(0, 3).Draw(rt, "value")
		m.records[b][key] = n
		return tx.Put(b, key, n)
	case "delete":
		delete(m.records[b], key)
		return tx.Delete(b, key)
	case "walk":
		return same(tx, m, b, key[:1])
	case "next":
		m.next[b]++
		if n, err := tx.Next(b); err != nil || n != m.next[b] {
			return fmt.Errorf("next of %s: %d, want %d: %w", b, n, m.next[b], err)
		}
	default:
		want, there := m.records[b][key]
		n := 0
		if ok, err := tx.Get(b, key, &n); err != nil || ok != there || n != want {
			return fmt.Errorf("get %s %q: %d %v, want %d %v: %w", b, key, n, ok, want, there, err)
		}
	}
	return nil
}
