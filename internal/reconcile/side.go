package reconcile

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/compassdigital/reconciler/internal/apply"
)

// sideBySide does n things that don't touch each other, as many at a time as there are
// processors. A panic in one of them is the caller's, once the others are done.
func sideBySide(n int, do func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	var failed atomic.Pointer[apply.Panicked]
	for range min(n, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if p := panicOf(apply.Contain("", func() error { do(i); return nil })); p != nil {
					failed.CompareAndSwap(nil, p)
				}
			}
		})
	}
	wg.Wait()
	if p := failed.Load(); p != nil {
		panic(p)
	}
}

// gate is a lock whose waiters can be told from those who work: a channel. Its zero value
// is open.
type gate struct {
	once sync.Once
	held chan struct{}
}

func (g *gate) Lock() {
	g.once.Do(func() { g.held = make(chan struct{}, 1) })
	g.held <- struct{}{}
}

func (g *gate) Unlock() { <-g.held }
