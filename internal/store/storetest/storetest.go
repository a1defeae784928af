package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/store"
)

// The suite borrows two of the program's buckets.
const (
	bucket = "clients"
	other  = "names"
)

type record struct {
	Name string         `json:"name"`
	N    int            `json:"n"`
	Tags []string       `json:"tags,omitempty"`
	Of   map[string]int `json:"of,omitempty"`
}

var errBoom = errors.New("boom")

// Run runs the suite; open returns an empty store that the test's end closes.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(*testing.T, store.Store)
	}{
		{"records", testRecords},
		{"own writes", testOwnWrites},
		{"order", testOrder},
		{"walk while writing", testWalkWhileWriting},
		{"walk and read", testWalkAndRead},
		{"stop and error", testStop},
		{"sequence", testSequence},
		{"error undoes", testErrorUndoes},
		{"panic undoes", testPanic},
		{"exit undoes", testExit},
		{"refusals", testRefusals},
		{"copies", testCopies},
		{"view only reads", testViewOnlyReads},
		{"ended", testEnded},
		{"concurrent", testConcurrent},
		{"concurrent failures", testConcurrentFailures},
		{"consistent view", testConsistentView},
		{"memo beside writers", testMemoBesideWriters},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
	t.Run("model", func(t *testing.T) { testModel(t, open) })
	t.Run("memo", func(t *testing.T) { testMemo(t, open) })
}

func update(t *testing.T, s store.Store, fn func(store.Tx) error) {
	t.Helper()
	if err := s.Update(fn); err != nil {
		t.Fatalf("update: %v", err)
	}
}

func put(t *testing.T, s store.Store, b, key string, v any) {
	t.Helper()
	update(t, s, func(tx store.Tx) error { return tx.Put(b, key, v) })
}

func view(t *testing.T, s store.Store, fn func(store.Tx) error) {
	t.Helper()
	if err := s.View(fn); err != nil {
		t.Fatalf("view: %v", err)
	}
}

// number reads an int; -1 when there is none.
func number(tx store.Tx, b, key string) (int, error) {
	n := 0
	ok, err := tx.Get(b, key, &n)
	if err == nil && !ok {
		n = -1
	}
	return n, err
}

func wantNumber(t *testing.T, s store.Store, b, key string, want int) {
	t.Helper()
	view(t, s, func(tx store.Tx) error {
		n, err := number(tx, b, key)
		if err == nil && n != want {
			t.Errorf("%s %q is %d, want %d", b, key, n, want)
		}
		return err
	})
}

type walker func(string, string, func(string, func(any) error) error) error

// list returns "key=value" in the order of the walk.
func list(walk walker, b, prefix string) ([]string, error) {
	var out []string
	err := walk(b, prefix, func(key string, decode func(any) error) error {
		var n int
		if err := decode(&n); err != nil {
			return err
		}
		out = append(out, fmt.Sprintf("%s=%d", key, n))
		return nil
	})
	return out, err
}

// wantWalk checks both directions.
func wantWalk(t *testing.T, tx store.Tx, b, prefix string, want ...string) {
	t.Helper()
	up, err := list(tx.Each, b, prefix)
	if err != nil {
		t.Fatalf("each: %v", err)
	}
	if !slices.Equal(up, want) {
		t.Errorf("Each(%q) = %q, want %q", prefix, up, want)
	}
	down, err := list(tx.Last, b, prefix)
	if err != nil {
		t.Fatalf("last: %v", err)
	}
	slices.Reverse(down)
	if !slices.Equal(down, want) {
		t.Errorf("Last(%q) reversed = %q, want %q", prefix, down, want)
	}
}

func testRecords(t *testing.T, s store.Store) {
	view(t, s, func(tx store.Tx) error {
		ok, err := tx.Get(bucket, "a", &record{})
		if ok {
			t.Error("found a record in an empty store")
		}
		wantWalk(t, tx, bucket, "")
		return err
	})
	want := record{Name: "a \"<&>\x00\u2028 \xff", N: 7, Tags: []string{"x"}, Of: map[string]int{"k": 1}}
	put(t, s, bucket, "a", want)
	want.Name = strings.ToValidUTF8(want.Name, "\uFFFD")
	view(t, s, func(tx store.Tx) error {
		var got record
		ok, err := tx.Get(bucket, "a", &got)
		if !ok || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %v %v, want %v", ok, got, want)
		}
		if ok, _ := tx.Get(other, "a", &got); ok {
			t.Error("a record shows in another bucket")
		}
		return err
	})
	put(t, s, bucket, "a", record{N: 8})
	view(t, s, func(tx store.Tx) error {
		var got record
		_, err := tx.Get(bucket, "a", &got)
		if got.N != 8 || got.Name != "" {
			t.Errorf("a record was not replaced: %v", got)
		}
		return err
	})
	update(t, s, func(tx store.Tx) error { return errors.Join(tx.Delete(bucket, "a"), tx.Delete(bucket, "never was")) })
	wantNumber(t, s, bucket, "a", -1)
}

func testOwnWrites(t *testing.T, s store.Store) {
	put(t, s, bucket, "b", 1)
	put(t, s, bucket, "c", 1)
	update(t, s, func(tx store.Tx) error {
		if err := errors.Join(tx.Put(bucket, "a", 5), tx.Put(bucket, "b", 2), tx.Delete(bucket, "c"), tx.Put(bucket, "d", 5), tx.Delete(bucket, "d")); err != nil {
			return err
		}
		for key, want := range map[string]int{"a": 5, "b": 2, "c": -1, "d": -1} {
			if n, err := number(tx, bucket, key); err != nil || n != want {
				t.Errorf("own write %s: %d %v, want %d", key, n, err, want)
			}
		}
		wantWalk(t, tx, bucket, "", "a=5", "b=2")
		return tx.Put(bucket, "c", 9)
	})
	view(t, s, func(tx store.Tx) error { wantWalk(t, tx, bucket, "", "a=5", "b=2", "c=9"); return nil })
}

func testOrder(t *testing.T, s store.Store) {
	stored := []string{"a/1", "a/10", "a/2", "b", "a", "a/\xff", "a/\xff\xff", "\xff\xff", "a0", "\x00"}
	for i, k := range stored {
		put(t, s, bucket, k, i)
	}
	check := func(tx store.Tx) {
		wantWalk(t, tx, bucket, "", "\x00=9", "a=4", "a/1=0", "a/10=1", "a/2=2", "a/\xff=5", "a/\xff\xff=6", "a0=8", "b=3", "\xff\xff=7")
		wantWalk(t, tx, bucket, "a/", "a/1=0", "a/10=1", "a/2=2", "a/\xff=5", "a/\xff\xff=6")
		wantWalk(t, tx, bucket, "a/1", "a/1=0", "a/10=1")
		wantWalk(t, tx, bucket, "a/\xff", "a/\xff=5", "a/\xff\xff=6")
		wantWalk(t, tx, bucket, "\xff", "\xff\xff=7")
		wantWalk(t, tx, bucket, "c")
		wantWalk(t, tx, bucket, "zz")
	}
	view(t, s, func(tx store.Tx) error { check(tx); return nil })
	// The same half stored, half written by the function itself.
	update(t, s, func(tx store.Tx) error {
		for i := 0; i < len(stored); i += 2 {
			if err := tx.Put(bucket, stored[i], i); err != nil {
				return err
			}
		}
		check(tx)
		return nil
	})
}

func testWalkWhileWriting(t *testing.T, s store.Store) {
	for i, k := range []string{"a", "b", "c"} {
		put(t, s, bucket, k, i)
	}
	update(t, s, func(tx store.Tx) error {
		var seen []string
		err := tx.Each(bucket, "", func(key string, decode func(any) error) error {
			var n int
			if err := decode(&n); err != nil {
				return err
			}
			seen = append(seen, fmt.Sprintf("%s=%d", key, n))
			return errors.Join(tx.Delete(bucket, "b"), tx.Put(bucket, "c", 99), tx.Put(bucket, key+"+", 1), tx.Delete(bucket, key))
		})
		if want := []string{"a=0", "b=1", "c=2"}; !slices.Equal(seen, want) {
			t.Errorf("a walk saw %q, want what was there when it began: %q", seen, want)
		}
		wantWalk(t, tx, bucket, "", "a+=1", "b+=1", "c+=1")
		return err
	})
	view(t, s, func(tx store.Tx) error { wantWalk(t, tx, bucket, "", "a+=1", "b+=1", "c+=1"); return nil })
}

func testWalkAndRead(t *testing.T, s store.Store) {
	for i := range 300 {
		put(t, s, bucket, fmt.Sprintf("%03d", i), i)
		put(t, s, other, fmt.Sprintf("%03d", i), i)
	}
	for _, in := range []func(func(store.Tx) error) error{s.View, s.Update} {
		err := in(func(tx store.Tx) error {
			count := 0
			err := tx.Each(bucket, "", func(key string, decode func(any) error) error {
				count++
				var n int
				if m, err := number(tx, other, key); err != nil || decode(&n) != nil || m != n {
					t.Errorf("%s: %d beside %d: %v", key, n, m, err)
				}
				inner := 0
				return tx.Last(other, key[:2], func(string, func(any) error) error {
					if inner++; inner == 3 {
						return store.ErrStop
					}
					return nil
				})
			})
			if count != 300 {
				t.Errorf("walked %d of 300", count)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func testStop(t *testing.T, s store.Store) {
	put(t, s, bucket, "a", 1)
	put(t, s, bucket, "b", 1)
	view(t, s, func(tx store.Tx) error {
		for _, walk := range []walker{tx.Each, tx.Last} {
			calls := 0
			if err := walk(bucket, "", func(string, func(any) error) error { calls++; return store.ErrStop }); err != nil || calls != 1 {
				t.Errorf("stop: %v after %d calls", err, calls)
			}
			if err := walk(bucket, "", func(string, func(any) error) error { return errBoom }); !errors.Is(err, errBoom) {
				t.Errorf("error: %v", err)
			}
		}
		return nil
	})
}

func testSequence(t *testing.T, s store.Store) {
	next := func(b string, want uint64, then error) {
		t.Helper()
		err := s.Update(func(tx store.Tx) error {
			if n, err := tx.Next(b); err != nil || n != want {
				t.Errorf("next of %s: %d %v, want %d", b, n, err, want)
			}
			return then
		})
		if !errors.Is(err, then) {
			t.Fatalf("update: %v", err)
		}
	}
	next(bucket, 1, nil)
	next(bucket, 2, errBoom)
	next(bucket, 2, nil)
	next(other, 1, nil)
	update(t, s, func(tx store.Tx) error {
		for want := uint64(3); want < 6; want++ {
			if n, err := tx.Next(bucket); err != nil || n != want {
				t.Errorf("next: %d %v, want %d", n, err, want)
			}
		}
		wantWalk(t, tx, bucket, "") // a sequence is no record of the bucket
		return nil
	})
}
