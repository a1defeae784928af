package bolt

import (
	"fmt"
	"slices"
	"testing"

	"github.com/compassdigital/reconciler/internal/store"
)

// Since tells what was written, and says that it can't where it forgot or never knew.
func TestSinceTellsWhatWasWrittenOrThatItForgot(t *testing.T) {
	s := mustOpen(t, options(t))
	write := func(from, to int) {
		t.Helper()
		if err := s.Update(func(tx store.Tx) error {
			for i := from; i < to; i++ {
				if err := tx.Put("clients", fmt.Sprintf("k%05d", i), i); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	since := func(then store.Moment) (keys []string, now store.Moment, ok bool) {
		t.Helper()
		if err := s.View(func(tx store.Tx) error { keys, now, ok = tx.Since("clients", then); return nil }); err != nil {
			t.Fatal(err)
		}
		slices.Sort(keys)
		return keys, now, ok
	}
	write(0, 3)
	_, first, ok := since(nil)
	if ok {
		t.Error("it knows everything since ever")
	}
	write(1, 3)
	write(2, 4)
	keys, second, ok := since(first)
	if want := []string{"k00001", "k00002", "k00003"}; !ok || !slices.Equal(keys, want) {
		t.Errorf("%v %v, want %v", keys, ok, want)
	}
	if keys, _, ok := since(second); !ok || len(keys) > 0 {
		t.Errorf("%v %v, want nothing", keys, ok)
	}
	if err := s.Update(func(tx store.Tx) error {
		if _, _, ok := tx.Since("clients", second); ok {
			t.Error("an Update that may have written says that it knows")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := mustOpen(t, options(t)).View(func(tx store.Tx) error {
		if _, _, ok := tx.Since("clients", second); ok {
			t.Error("another store knows what was written here")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	write(0, 30_000)
	if _, _, ok := since(first); ok {
		t.Error("it remembers 30,000 writes")
	}
	_, third, _ := since(nil)
	write(7, 8)
	if keys, _, ok := since(third); !ok || !slices.Equal(keys, []string{"k00007"}) {
		t.Errorf("%v %v after much was forgotten", keys, ok)
	}
}
