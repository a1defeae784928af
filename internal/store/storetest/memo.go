package storetest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// testMemo: whatever was written, in transactions that committed, failed or did both side
// by side, a read with a memo is a plain one; also for a memo that reads now and then.
func testMemo(t *testing.T, open func(t *testing.T) store.Store) {
	s := open(t)
	rapid.Check(t, func(rt *rapid.T) {
		var often, rarely store.Memo[state.Client]
		for range rapid.IntRange(1, 12).Draw(rt, "transactions") {
			fails := rapid.IntRange(0, 3).Draw(rt, "fails") == 0
			err := s.Update(func(tx store.Tx) error {
				for range rapid.SampledFrom([]int{0, 1, 2, 5, 5, 5, 70}).Draw(rt, "writes") {
					c := state.Client{ID: state.ClientID(fmt.Sprintf("c%03d", rapid.IntRange(0, 150).Draw(rt, "client")))}
					c.Name, c.Seq = string(c.ID), rapid.Uint64().Draw(rt, "seq")
					write := store.PutClient
					if rapid.IntRange(0, 2).Draw(rt, "deletes") == 0 {
						write = store.DeleteClient
					}
					if err := write(tx, c); err != nil {
						return err
					}
				}
				if fails {
					return errBoom
				}
				return nil
			})
			if (err != nil) != fails {
				rt.Fatal(err)
			}
			err = s.View(func(tx store.Tx) error {
				memos := []*store.Memo[state.Client]{&often}
				if rapid.IntRange(0, 2).Draw(rt, "rarely") == 0 {
					memos = append(memos, &rarely)
				}
				want, err := store.Clients(tx)
				for _, m := range memos {
					got, merr := store.ClientsAgain(tx, m)
					if err != nil || merr != nil || !sameClients(want, got) {
						return fmt.Errorf("%w %w (-plain +memo):\n%s", err, merr, cmp.Diff(want, got))
					}
				}
				return nil
			})
			if err != nil {
				rt.Fatal(err)
			}
		}
	})
}

func sameClients(a, b []state.Client) bool {
	return slices.EqualFunc(a, b, func(x, y state.Client) bool { return x.ID == y.ID && x.Name == y.Name && x.Seq == y.Seq })
}

// testMemoBesideWriters: a read that begins while others commit has missed nothing of
// what its moment holds.
func testMemoBesideWriters(t *testing.T, s store.Store) {
	const n = 300
	done := make(chan error, 1)
	go func() {
		for i := range n {
			c := state.Client{ID: state.ClientID(fmt.Sprintf("c%d", i%7)), Seq: uint64(i)}
			c.Name = string(c.ID)
			if err := s.Update(func(tx store.Tx) error { return store.PutClient(tx, c) }); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	var memo store.Memo[state.Client]
	for ended := false; !ended; {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			ended = true
		default:
		}
		view(t, s, func(tx store.Tx) error {
			want, err := store.Clients(tx)
			if err != nil {
				return err
			}
			got, err := store.ClientsAgain(tx, &memo)
			if !sameClients(want, got) {
				t.Fatalf("-plain +memo:\n%s", cmp.Diff(want, got))
			}
			return err
		})
	}
}
