package bolt

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/compassdigital/reconciler/internal/store"
)

// queue lets n Updates run that all want the pen before the first has passed it on.
func queue(t *testing.T, s *Store, n int, fn func(int, store.Tx) error) []error {
	t.Helper()
	errs := make([]error, n)
	var wg sync.WaitGroup
	holding := make(chan struct{})
	wg.Go(func() {
		if err := s.Update(func(store.Tx) error {
			close(holding)
			for s.waiting.Load() < int64(n) {
				runtime.Gosched()
			}
			return nil
		}); err != nil && !errors.Is(err, store.ErrFull) { // it shares their commit
			t.Error(err)
		}
	})
	<-holding
	for i := range n {
		wg.Go(func() { errs[i] = s.Update(func(tx store.Tx) error { return fn(i, tx) }) })
	}
	wg.Wait()
	return errs
}

func TestGroupCommit(t *testing.T) {
	s := mustOpen(t, options(t))
	before := s.Stats()
	errs := queue(t, s, 64, func(i int, tx store.Tx) error { return tx.Put(bucket, fmt.Sprint(i), "v") })
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	after := s.Stats()
	if after.Updates-before.Updates != 65 || after.Syncs-before.Syncs != 1 {
		t.Errorf("65 updates at once: %d updates, %d syncs, want one", after.Updates-before.Updates, after.Syncs-before.Syncs)
	}
	for i := range 64 {
		if _, err := get(s, fmt.Sprint(i)); err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
	// A group is bounded, whoever else waits.
	before = after
	errs = queue(t, s, 2*maxGroup, func(i int, tx store.Tx) error { return tx.Put(bucket, fmt.Sprint(i), "w") })
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if n := s.Stats().Syncs - before.Syncs; n != 3 {
		t.Errorf("%d updates at once: %d syncs, want 3", 2*maxGroup+1, n)
	}
}

// TestGroupOrder: each sees the effect of those before it, those that failed left
// none, and only what changed something is written.
func TestGroupOrder(t *testing.T) {
	s := mustOpen(t, options(t))
	boom := errors.New("boom")
	var ran, kept atomic.Int64
	errs := queue(t, s, 60, func(i int, tx store.Tx) error {
		var seen int
		if _, err := tx.Get(bucket, "n", &seen); err != nil {
			return err
		}
		if int64(seen) != kept.Load() {
			t.Errorf("sees %d, want %d", seen, kept.Load())
		}
		ran.Add(1)
		if err := tx.Put(bucket, "n", seen+1); err != nil {
			return err
		}
		if i%3 == 0 {
			return boom
		}
		kept.Add(1)
		return nil
	})
	for i, err := range errs {
		if (i%3 == 0) != errors.Is(err, boom) || i%3 != 0 && err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
	if ran.Load() != 60 || kept.Load() != 40 {
		t.Errorf("%d ran, %d kept", ran.Load(), kept.Load())
	}
}

// TestNothingChanged: content that is there already costs no sync.
func TestNothingChanged(t *testing.T) {
	s := mustOpen(t, options(t))
	put(t, s, "a", "v")
	before := s.Stats().Syncs
	put(t, s, "a", "v")
	for name, fn := range map[string]func(store.Tx) error{
		"nothing":     func(store.Tx) error { return nil },
		"read":        func(tx store.Tx) error { _, err := tx.Get(bucket, "a", new(string)); return err },
		"delete none": func(tx store.Tx) error { return tx.Delete(bucket, "none") },
		"there, back": func(tx store.Tx) error { return errors.Join(tx.Put(bucket, "b", 1), tx.Delete(bucket, "b")) },
		"back again":  func(tx store.Tx) error { return errors.Join(tx.Put(bucket, "a", "w"), tx.Put(bucket, "a", "v")) },
	} {
		if err := s.Update(fn); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := s.Stats().Syncs - before; n != 0 {
		t.Errorf("%d syncs for nothing", n)
	}
}

// TestCommitError: a commit that fails is everybody's error, changes nothing, and
// when there was no room the store goes on.
func TestCommitError(t *testing.T) {
	o := options(t)
	o.MaxSize = 2 << 20
	s := mustOpen(t, o)
	put(t, s, "small", "v")
	big := make([]byte, 300<<10)
	errs := queue(t, s, 20, func(i int, tx store.Tx) error { return tx.Put(bucket, fmt.Sprint("big", i), big) })
	for i, err := range errs {
		if !errors.Is(err, store.ErrFull) {
			t.Errorf("%d: %v", i, err)
		}
	}
	for i := range 20 {
		if _, err := get(s, fmt.Sprint("big", i)); err == nil {
			t.Errorf("%d happened", i)
		}
	}
	put(t, s, "small", "w")
	if v, err := get(s, "small"); err != nil || v != "w" {
		t.Errorf("after: %q %v", v, err)
	}
	if err := s.Verify(); err != nil {
		t.Error(err)
	}
}

// BenchmarkCommit: ratios between the lines count, not the numbers: 64 writers share
// syncs, one waits for each of its own.
func BenchmarkCommit(b *testing.B) {
	for _, writers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			o := options(b)
			o.NoSync = false
			s := mustOpen(b, o)
			value := make([]byte, 200)
			var next atomic.Int64
			before := s.Stats()
			b.ResetTimer()
			var wg sync.WaitGroup
			for range writers {
				wg.Go(func() {
					for {
						n := next.Add(1)
						if n > int64(b.N) {
							return
						}
						if err := s.Update(func(tx store.Tx) error { return tx.Put(bucket, fmt.Sprintf("%020d", n), value) }); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "updates/s")
			b.ReportMetric(float64(s.Stats().Updates-before.Updates)/float64(max(s.Stats().Syncs-before.Syncs, 1)), "updates/sync")
		})
	}
}

func BenchmarkView(b *testing.B) {
	s := mustOpen(b, options(b))
	put(b, s, "a", "v")
	for b.Loop() {
		if _, err := get(s, "a"); err != nil {
			b.Fatal(err)
		}
	}
}
