package storetest

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/store"
)

// ruin makes writes of every kind, which must all be undone.
func ruin(tx store.Tx) error {
	_, err := tx.Next(bucket)
	return errors.Join(err, tx.Put(bucket, "kept", 99), tx.Put(bucket, "new", 99), tx.Delete(bucket, "gone"))
}

func prepare(t *testing.T, s store.Store) {
	t.Helper()
	put(t, s, bucket, "kept", 1)
	put(t, s, bucket, "gone", 2)
}

func wantUnruined(t *testing.T, s store.Store) {
	t.Helper()
	view(t, s, func(tx store.Tx) error { wantWalk(t, tx, bucket, "", "gone=2", "kept=1"); return nil })
	update(t, s, func(tx store.Tx) error { // the store goes on, and the number was not used up
		n, err := tx.Next(bucket)
		if n != 1 {
			t.Errorf("a number was used up: next is %d", n)
		}
		return err
	})
}

func testErrorUndoes(t *testing.T, s store.Store) {
	prepare(t, s)
	err := s.Update(func(tx store.Tx) error { return errors.Join(ruin(tx), errBoom) })
	if !errors.Is(err, errBoom) {
		t.Fatalf("update: %v", err)
	}
	wantUnruined(t, s)
}

func testPanic(t *testing.T, s store.Store) {
	prepare(t, s)
	for _, in := range []func(func(store.Tx) error) error{s.Update, s.View} {
		func() {
			defer func() {
				if err, _ := recover().(error); !errors.Is(err, errBoom) {
					t.Errorf("recovered %v", err)
				}
			}()
			_ = in(func(tx store.Tx) error {
				_ = ruin(tx) // a view refuses: no matter
				panic(errBoom)
			})
		}()
	}
	wantUnruined(t, s)
}

func testExit(t *testing.T, s store.Store) {
	prepare(t, s)
	for _, in := range []func(func(store.Tx) error) error{s.Update, s.View} {
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = in(func(tx store.Tx) error {
				_ = ruin(tx) // a view refuses: no matter
				runtime.Goexit()
				return nil
			})
		}()
		<-done
	}
	wantUnruined(t, s)
}

// testRefusals: a write that cannot be is refused when it is asked for, and what the
// function wrote beside it stays good.
func testRefusals(t *testing.T, s store.Store) {
	update(t, s, func(tx store.Tx) error {
		if err := tx.Put(bucket, "good", 1); err != nil {
			return err
		}
		for name, err := range map[string]error{
			"empty key":     tx.Put(bucket, "", 1),
			"long key":      tx.Put(bucket, strings.Repeat("k", 1<<16), 1),
			"long value":    tx.Put(bucket, "long", strings.Repeat("v", 1<<26)),
			"no JSON":       tx.Put(bucket, "chan", make(chan int)),
			"no bucket":     tx.Put("no such bucket", "a", 1),
			"no bucket out": tx.Delete("no such bucket", "a"),
		} {
			if err == nil {
				t.Errorf("%s was taken", name)
			}
		}
		if _, err := tx.Get("no such bucket", "a", new(int)); err == nil {
			t.Error("read from no bucket")
		}
		if err := tx.Each("no such bucket", "", func(string, func(any) error) error { return nil }); err == nil {
			t.Error("walked no bucket")
		}
		if _, err := tx.Next("no such bucket"); err == nil {
			t.Error("numbered no bucket")
		}
		return nil
	})
	view(t, s, func(tx store.Tx) error { wantWalk(t, tx, bucket, "", "good=1"); return nil })
}

// testCopies: nothing handed in or out is shared with the store.
func testCopies(t *testing.T, s store.Store) {
	in := record{Tags: []string{"a"}, Of: map[string]int{"k": 1}}
	var out record
	update(t, s, func(tx store.Tx) error {
		if err := tx.Put(bucket, "r", in); err != nil {
			return err
		}
		in.Tags[0], in.Of["k"] = "changed", 2
		_, err := tx.Get(bucket, "r", &out)
		return err
	})
	out.Tags[0], out.Of["k"] = "changed", 3
	var again record
	view(t, s, func(tx store.Tx) error { _, err := tx.Get(bucket, "r", &again); return err })
	if again.Tags[0] != "a" || again.Of["k"] != 1 {
		t.Errorf("a record was changed from outside: %v", again)
	}
}

func testViewOnlyReads(t *testing.T, s store.Store) {
	put(t, s, bucket, "a", 1)
	view(t, s, func(tx store.Tx) error {
		if tx.Put(bucket, "a", 2) == nil || tx.Delete(bucket, "a") == nil {
			t.Error("a view wrote")
		}
		if _, err := tx.Next(bucket); err == nil {
			t.Error("a view numbered")
		}
		return nil
	})
	wantNumber(t, s, bucket, "a", 1)
	if err := s.View(func(store.Tx) error { return errBoom }); !errors.Is(err, errBoom) {
		t.Errorf("view: %v", err)
	}
}

// testEnded: a transaction that was kept is an error, not a crash.
func testEnded(t *testing.T, s store.Store) {
	put(t, s, bucket, "a", 1)
	for _, in := range []func(func(store.Tx) error) error{s.Update, s.View} {
		var kept store.Tx
		var decode func(any) error
		err := in(func(tx store.Tx) error {
			kept = tx
			return tx.Each(bucket, "", func(_ string, d func(any) error) error { decode = d; return nil })
		})
		if err != nil {
			t.Fatal(err)
		}
		if decode(new(int)) == nil {
			t.Error("decoded after the end")
		}
		if _, err := kept.Get(bucket, "a", new(int)); err == nil {
			t.Error("read after the end")
		}
		if kept.Put(bucket, "a", 2) == nil || kept.Delete(bucket, "a") == nil {
			t.Error("wrote after the end")
		}
		if kept.Each(bucket, "", func(string, func(any) error) error { return nil }) == nil {
			t.Error("walked after the end")
		}
	}
	wantNumber(t, s, bucket, "a", 1)
}
