package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/compassdigital/reconciler/internal/store"
)

const (
	writers = 16
	rounds  = 25
)

func increment(tx store.Tx, key string) error {
	n, err := number(tx, bucket, key)
	if err != nil {
		return err
	}
	return tx.Put(bucket, key, max(n, 0)+1)
}

// together runs fn in every writer and waits.
func together(t *testing.T, fn func(writer int) error) {
	t.Helper()
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			if err := fn(w); err != nil {
				t.Errorf("writer %d: %v", w, err)
			}
		})
	}
	wg.Wait()
}

func testConcurrent(t *testing.T, s store.Store) {
	seen := make([][]uint64, writers)
	together(t, func(w int) error {
		for range rounds {
			var n uint64
			err := s.Update(func(tx store.Tx) (err error) {
				if n, err = tx.Next(bucket); err != nil {
					return err
				}
				return errors.Join(increment(tx, "all"), increment(tx, fmt.Sprint("writer ", w)))
			})
			if err != nil {
				return err
			}
			seen[w] = append(seen[w], n)
			// What was acknowledged is seen at once.
			err = s.View(func(tx store.Tx) error {
				if n, err := number(tx, bucket, fmt.Sprint("writer ", w)); err != nil || n != len(seen[w]) {
					return fmt.Errorf("own counter is %d after %d updates: %w", n, len(seen[w]), err)
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	wantNumber(t, s, bucket, "all", writers*rounds)
	used := map[uint64]bool{}
	for _, numbers := range seen {
		for i, n := range numbers {
			if used[n] || n < 1 || n > writers*rounds || i > 0 && n <= numbers[i-1] {
				t.Errorf("number %d is given twice, out of range or out of order", n)
			}
			used[n] = true
		}
	}
}

// testConcurrentFailures: of those who share a commit, whoever fails undoes itself
// alone, whether by an error or by a panic.
func testConcurrentFailures(t *testing.T, s store.Store) {
	together(t, func(w int) (err error) {
		for r := range rounds {
			fail := (w + r) % 3
			func() {
				defer func() {
					if p := recover(); (p != nil) != (fail == 2) {
						err = fmt.Errorf("panic %v with fail %d", p, fail)
					}
				}()
				uerr := s.Update(func(tx store.Tx) error {
					if err := increment(tx, "all"); err != nil {
						return err
					}
					switch fail {
					case 1:
						return errBoom
					case 2:
						panic(errBoom)
					}
					return increment(tx, "good")
				})
				if (fail == 1) != errors.Is(uerr, errBoom) || fail == 0 && uerr != nil {
					err = fmt.Errorf("update with fail %d: %w", fail, uerr)
				}
			}()
			if err != nil {
				return err
			}
		}
		return nil
	})
	good := 0
	for w := range writers {
		for r := range rounds {
			if (w+r)%3 == 0 {
				good++
			}
		}
	}
	wantNumber(t, s, bucket, "all", good)
	wantNumber(t, s, bucket, "good", good)
}

// testConsistentView: a reader never sees half of what one function wrote, nor its
// view change.
func testConsistentView(t *testing.T, s store.Store) {
	update(t, s, func(tx store.Tx) error { return errors.Join(tx.Put(bucket, "left", 0), tx.Put(other, "right", 0)) })
	together(t, func(w int) error {
		for range rounds {
			if w%2 == 0 {
				err := s.Update(func(tx store.Tx) error {
					n, err := number(tx, bucket, "left")
					return errors.Join(err, tx.Put(bucket, "left", n+1), tx.Put(other, "right", n+1))
				})
				if err != nil {
					return err
				}
				continue
			}
			err := s.View(func(tx store.Tx) error {
				left, err := number(tx, bucket, "left")
				right, err2 := number(tx, other, "right")
				again, err3 := number(tx, bucket, "left")
				if left != right || left != again {
					t.Errorf("a view saw %d, %d, %d", left, right, again)
				}
				return errors.Join(err, err2, err3)
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	wantNumber(t, s, bucket, "left", writers/2*rounds)
}
