package reconcile_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/daemon"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

// latency is how long a vendor's call takes in the benchmarks.
const latency = 50 * time.Millisecond

// limited is a vendor that shares a number of calls at once with the others.
type limited struct {
	provider.Provider
	slots chan struct{}
	calls *atomic.Int64
}

func (l limited) take() func() {
	l.slots <- struct{}{}
	l.calls.Add(1)
	return func() { <-l.slots }
}

func (l limited) Observe(ctx context.Context, q provider.Query) ([]provider.Object, error) {
	defer l.take()()
	return l.Provider.Observe(ctx, q)
}

func (l limited) Create(ctx context.Context, w provider.Wish) (provider.Object, error) {
	defer l.take()()
	return l.Provider.Create(ctx, w)
}

func (l limited) Update(ctx context.Context, id string, w provider.Wish) (provider.Object, error) {
	defer l.take()()
	return l.Provider.Update(ctx, id, w)
}

func (l limited) Delete(ctx context.Context, kind state.Kind, id string) error {
	defer l.take()()
	return l.Provider.Delete(ctx, kind, id)
}

// fleet is an engine over vendors that answer after a time, under the daemon's queue.
type fleet struct {
	*world
	vendors *memory.World
	calls   atomic.Int64
	events  func(apply.Event)
	watch   sync.Mutex
}

// newFleet makes vendors whose calls take a while, at most so many of them at once.
func newFleet(t testing.TB, while time.Duration, atOnce int) *fleet {
	t.Helper()
	f := &fleet{}
	slots := make(chan struct{}, atOnce)
	f.world = newWorldWith(t, func(c *clock) []provider.Provider {
		f.vendors = memory.NewWorld(c.Now)
		open := func(name string, kinds map[state.Kind]provider.Traits) provider.Provider {
			return limited{memory.New(memory.Options{Name: name, World: f.vendors, Kinds: kinds, Latency: while}), slots, &f.calls}
		}
		return []provider.Provider{open("railway", memory.Databases()), open("vercel", memory.Hosting()), open("cloudflare", memory.DNS())}
	})
	var ids atomic.Int64
	f.change = func(e *reconcile.Engine) {
		e.NewID = func() (string, error) { return fmt.Sprintf("%06x", ids.Add(1)), nil }
		e.Emit = func(ev apply.Event) {
			if f.events != nil {
				f.watch.Lock()
				defer f.watch.Unlock()
				f.events(ev)
			}
		}
	}
	f.sync = true
	f.restart()
	return f
}

// names are n clients' files; more are further lines of each.
func names(n int, more ...string) map[string]string {
	out := make(map[string]string, n)
	for i := range n {
		name := fmt.Sprintf("c%05d", i)
		out["clients/"+name+".yaml"] = client(name, more...)
	}
	return out
}

// once polls and passes whoever is due, as `apply` does.
func (f *fleet) once(workers int) {
	f.t.Helper()
	d := &daemon.Daemon{Engine: f.engine, Log: slog.New(slog.DiscardHandler), Workers: workers, Now: f.clock.Now}
	if err := d.Once(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
}

// allActive wants n clients, each of them active.
func (f *fleet) allActive(n int) {
	f.t.Helper()
	v, err := f.engine.Overview()
	if err != nil {
		f.t.Fatal(err)
	}
	if len(v.Clients) != n {
		f.t.Fatalf("%d clients, want %d", len(v.Clients), n)
	}
	for _, r := range v.Clients {
		if r.Status != string(state.StatusActive) {
			f.t.Fatalf("%s is %s: %s", r.Name, r.Status, r.Because)
		}
	}
}

// criticalPath is how many calls of one client's provisioning have to wait for each
// other, and how many there are: found by running its steps one after another.
func criticalPath(t testing.TB) (path, calls int) {
	t.Helper()
	f := newFleet(t, 0, 1)
	f.engine.Runner.Parallel = 1
	depth, began, last := map[string]int{}, 0, 0
	f.events = func(ev apply.Event) {
		switch ev.State {
		case "running":
			began = int(f.calls.Load())
		case "done":
			d := 0
			for _, n := range ev.Step.Needs {
				d = max(d, depth[n])
			}
			own := int(f.calls.Load()) - began
			depth[ev.Step.Key()] = d + own
			last = max(last, d+own)
		}
	}
	f.repo.commit(names(1))
	f.once(1)
	f.allActive(1)
	return last, int(f.calls.Load())
}

// cpu is what this process has computed so far.
func cpu(t testing.TB) time.Duration { t.Helper(); return usage(t, syscall.RUSAGE_SELF) }

func usage(t testing.TB, whose int) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(whose, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// bare makes the same calls at the same vendors with no engine: n clients at once, each
// with so many calls one after another and the rest beside them. It is the peer that
// shares the machine's load of the moment.
func bare(t testing.TB, n, path, calls, atOnce int) time.Duration {
	t.Helper()
	vendor := memory.New(memory.Options{Latency: latency})
	slots := make(chan struct{}, atOnce)
	began := time.Now()
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for range path {
				call(t, vendor, slots)
			}
		})
		for range calls - path {
			wg.Go(func() { call(t, vendor, slots) })
		}
	}
	wg.Wait()
	return time.Since(began)
}

func call(t testing.TB, vendor provider.Provider, slots chan struct{}) {
	slots <- struct{}{}
	defer func() { <-slots }()
	if _, err := vendor.Observe(t.Context(), provider.Query{Kind: state.KindSite, ID: "none"}); err != nil {
		t.Error(err)
	}
}

// BenchmarkProvision provisions new clients at vendors whose calls take 50 ms, so many
// of them at once, from the poll on, durably. wall/bound is against what nobody can
// beat with these calls: the calls of one client that wait for each other, or all
// calls shared out over those that may run at once. wall/bare is against the same
// calls without an engine, right after it.
func BenchmarkProvision(b *testing.B) {
	path, _ := criticalPath(b)
	for _, n := range []int{100, 1_000} {
		for _, atOnce := range []int{50, 200} {
			b.Run(fmt.Sprintf("clients=%d/at-once=%d", n, atOnce), func(b *testing.B) {
				var wall, bound, peer, used time.Duration
				var calls, syncs, updates float64
				for b.Loop() {
					b.StopTimer()
					f := newFleet(b, latency, atOnce)
					f.repo.commit(names(n))
					before, computed := f.store.Stats(), cpu(b)
					b.StartTimer()
					began := time.Now()
					f.once(2*atOnce + 1) // one worker is kept for prompt keys
					wall += time.Since(began)
					b.StopTimer()
					used += cpu(b) - computed
					f.allActive(n)
					k := f.calls.Load()
					peer += bare(b, n, path, int(k)/n, atOnce)
					calls += float64(k)
					bound += max(time.Duration(path)*latency, time.Duration(k)*latency/time.Duration(atOnce))
					after := f.store.Stats()
					syncs, updates = syncs+float64(after.Syncs-before.Syncs), updates+float64(after.Updates-before.Updates)
					_ = f.store.Close()
					b.StartTimer()
				}
				b.ReportMetric(wall.Seconds()/bound.Seconds(), "wall/bound")
				b.ReportMetric(wall.Seconds()/peer.Seconds(), "wall/bare")
				b.ReportMetric(float64(used.Microseconds())/float64(b.N*n), "cpu-µs/client")
				b.ReportMetric(calls/float64(b.N*n), "calls/client")
				b.ReportMetric(updates/float64(b.N*n), "updates/client")
				b.ReportMetric(syncs/float64(b.N*n), "syncs/client")
				b.ReportMetric(float64(path), "path-calls")
			})
		}
	}
}

// BenchmarkFleet is what a fleet that is on record costs: a cycle without a change, one
// changed manifest, a start, a look at everybody, memory.
func BenchmarkFleet(b *testing.B) {
	small := time.Duration(0) // of one change among the first, smallest fleet
	for _, n := range []int{100, 1_000, 10_000} {
		f := newFleet(b, 0, 64)
		f.repo.commit(names(n))
		f.once(64)
		f.allActive(n)
		b.Run(fmt.Sprintf("no-op/clients=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			stats, syncs, calls, reads := f.engine.Stats(), f.store.Stats(), f.calls.Load(), f.repo.reads
			for b.Loop() {
				if ids := f.poll(); len(ids) > 0 {
					b.Fatalf("due: %v", ids)
				}
			}
			if f.engine.Stats() != stats || f.store.Stats() != syncs || f.calls.Load() != calls || f.repo.reads != reads {
				b.Fatalf("a cycle without a change went from %+v %+v %d %d to %+v %+v %d %d",
					stats, syncs, calls, reads, f.engine.Stats(), f.store.Stats(), f.calls.Load(), f.repo.reads)
			}
		})
		i := 0
		b.Run(fmt.Sprintf("one-change/clients=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			before := f.engine.Stats()
			accept, took := time.Duration(0), time.Duration(0)
			for b.Loop() {
				b.StopTimer()
				i++
				f.repo.commit(map[string]string{"clients/c00042.yaml": client("c00042", fmt.Sprintf("env: {COLOUR: %q}", fmt.Sprint(i)))})
				b.StartTimer()
				began := time.Now()
				ids := f.poll()
				accept += time.Since(began)
				if len(ids) != 1 {
					b.Fatalf("due: %v", ids)
				}
				f.pass(ids...)
				took += time.Since(began)
			}
			after := f.engine.Stats()
			if got := after.Passes - before.Passes; got != b.N {
				b.Fatalf("%d changes: %d passes", b.N, got)
			}
			took /= time.Duration(b.N)
			b.ReportMetric(float64(accept.Microseconds())/float64(b.N), "accept-µs")
			b.ReportMetric(float64(after.Parses-before.Parses)/float64(b.N), "parses")
			if small == 0 {
				small = took
			}
			b.ReportMetric(took.Seconds()/small.Seconds(), "x-of-100")
		})
		b.Run(fmt.Sprintf("start/clients=%d", n), func(b *testing.B) {
			for b.Loop() {
				if due := f.restart(); len(due) > 0 {
					b.Fatalf("due: %v", due)
				}
				if ids := f.poll(); len(ids) > 0 {
					b.Fatalf("due: %v", ids)
				}
			}
		})
		b.Run(fmt.Sprintf("overview/clients=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if v, err := f.engine.Overview(); err != nil || len(v.Clients) != n {
					b.Fatalf("%d clients: %v", len(v.Clients), err)
				}
			}
		})
		b.Run(fmt.Sprintf("memory/clients=%d", n), func(b *testing.B) {
			f.vendors.ForgetCalls()
			for b.Loop() {
				f.restart()
				f.poll()
			}
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			// The memory fakes' own objects are part of it: the first fleet has none to speak of.
			b.ReportMetric(float64(m.HeapAlloc)/(1<<20), "heap-MiB")
		})
		_ = f.store.Close()
	}
}
