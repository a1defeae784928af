package cloudflare

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

// gathering is a world whose moments end when the test says so.
type gathering struct {
	*world
	tick chan time.Time
}

func newGathering(t *testing.T) gathering {
	tick := make(chan time.Time)
	w := newWorld(t, setup{moment: time.Second, after: func(time.Duration) <-chan time.Time { return tick }})
	if _, err := w.p.zoneList(t.Context(), "observe", zonesAge); err != nil { // so that each write is one call
		t.Fatal(err)
	}
	return gathering{w, tick}
}

// waits lets the moment of a zone gather n changes.
func (g gathering) waits(n int) {
	for {
		g.p.gather.mu.Lock()
		have := 0
		if m := g.p.gather.open[shopID]; m != nil {
			have = len(m.changes)
		}
		g.p.gather.mu.Unlock()
		if have == n {
			return
		}
		runtime.Gosched()
	}
}

// one makes a single write.
func (g gathering) one(do func() error) error {
	g.Helper()
	done := make(chan error)
	go func() { done <- do() }()
	g.tick <- time.Time{}
	return <-done
}

// made makes records of these names one by one.
func (g gathering) made(names ...string) (ids []string) {
	g.Helper()
	for _, name := range names {
		if err := g.one(func() error {
			o, err := g.p.Create(context.Background(), wish("A", name, "192.0.2.7"))
			ids = append(ids, o.ID)
			return err
		}); err != nil {
			g.Fatal(err)
		}
	}
	return ids
}

// together makes writes of one moment. What each came to is at its place.
func (g gathering) together(all ...func() error) []error {
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, do := range all {
		wg.Go(func() { errs[i] = do() })
	}
	g.waits(len(all))
	g.tick <- time.Time{}
	wg.Wait()
	return errs
}

func (g gathering) creates(name, content string) func() error {
	return func() error { _, err := g.p.Create(context.Background(), wish("A", name, content)); return err }
}

func (g gathering) updates(id, name, content string) func() error {
	return func() error { _, err := g.p.Update(context.Background(), id, wish("A", name, content)); return err }
}

func (g gathering) deletes(id string) func() error {
	return func() error { return g.p.Delete(context.Background(), state.KindRecord, id) }
}

func (g gathering) there() string {
	var out []string
	for _, r := range g.vendor.Records(shopID) {
		out = append(out, strings.TrimSuffix(r.Name, ".shops.example")+"="+r.Content)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func TestBatch(t *testing.T) {
	g := newGathering(t)
	ids := g.made("a.shops.example", "b.shops.example")
	n := g.wire.count()
	errs := g.together(g.creates("c.shops.example", "192.0.2.3"), g.creates("d.shops.example", "192.0.2.4"), g.updates(ids[0], "a.shops.example", "192.0.2.1"), g.deletes(ids[1]))
	for i, err := range errs {
		if err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
	if got := g.wire.since(n); len(got) != 1 || got[0] != "POST /zones/"+shopID+"/dns_records/batch" {
		t.Errorf("calls: %v", got)
	}
	if g.there() != "a=192.0.2.1 c=192.0.2.3 d=192.0.2.4" {
		t.Errorf("there: %s", g.there())
	}
}

// One bad change stops nobody else: a batch that is refused did nothing, and each is made by
// itself, once.
func TestP6OneBadChangeOfABatch(t *testing.T) {
	g := newGathering(t)
	ids := g.made("a.shops.example")
	_, id, _ := split(ids[0])
	if err := g.vendor.Remove(id); err != nil {
		t.Fatal(err)
	}
	n := g.wire.count()
	errs := g.together(g.creates("b.shops.example", "not-an-address"), g.creates("c.shops.example", "192.0.2.3"), g.deletes(ids[0]), g.updates(ids[0], "a.shops.example", "192.0.2.1"))
	g.fails(errs[0], provider.Invalid, "9005")
	g.fails(errs[3], provider.NotFound, "81044")
	if errs[1] != nil || errs[2] != nil || g.there() != "c=192.0.2.3" {
		t.Errorf("%v, there: %s", errs, g.there())
	}
	if got := g.wire.since(n); len(got) != 5 {
		t.Errorf("calls: %v", got)
	}
}

// What became of a batch whose answer was lost nobody knows: no member is repeated.
func TestP3LostBatch(t *testing.T) {
	for name, c := range map[string]struct {
		do    simulator.Effect
		kind  provider.ErrorKind
		there string
	}{
		"answer lost":    {simulator.LoseAnswer(), provider.Uncertain, "a=192.0.2.1 b=192.0.2.2"},
		"request lost":   {simulator.LoseRequest(), provider.Uncertain, "a=192.0.2.7"},
		"too many":       {simulator.Refuse(429, http.Header{"Retry-After": {"9"}, "Content-Type": {"application/json"}}, refusalBody(10429, "slower")), provider.RateLimited, "a=192.0.2.7"},
		"not this one":   {simulator.Refuse(403, http.Header{"Content-Type": {"application/json"}}, refusalBody(10000, "Authentication error")), provider.Denied, "a=192.0.2.7"},
		"half an answer": {simulator.Instead(200, http.Header{"Content-Type": {"application/json"}}, `{"success":true,"errors":[],"messages":[],"result":{"posts":[]}}`), provider.Uncertain, "a=192.0.2.1 b=192.0.2.2"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGathering(t)
			ids := g.made("a.shops.example")
			g.faults.Add(simulator.Fault{Path: "/client/v4/zones/*/dns_records/batch", Do: c.do})
			n := g.wire.count()
			errs := g.together(g.updates(ids[0], "a.shops.example", "192.0.2.1"), g.creates("b.shops.example", "192.0.2.2"))
			for i, op := range []string{"update", "create"} {
				g.fails(errs[i], c.kind, "cloudflare "+op)
			}
			if g.there() != c.there || g.wire.count() != n+1 {
				t.Errorf("there: %s; calls: %v", g.there(), g.wire.since(n))
			}
		})
	}
}

// Who gives up before the moment ends made nothing; who gives up later does not know. Nobody
// else notices.
func TestGivenUpInABatch(t *testing.T) {
	g := newGathering(t)
	ctx, cancel := context.WithCancel(t.Context())
	gave, stays := make(chan error), make(chan error)
	go func() { _, err := g.p.Create(ctx, wish("A", "a.shops.example", "192.0.2.1")); gave <- err }()
	g.waits(1)
	go func() { stays <- g.creates("b.shops.example", "192.0.2.2")() }()
	g.waits(2)
	cancel()
	g.fails(<-gave, provider.Transient, "before it began")
	g.tick <- time.Time{}
	if err := <-stays; err != nil || g.there() != "b=192.0.2.2" {
		t.Errorf("%v, there: %s", err, g.there())
	}

	reached, goOn := make(chan struct{}), make(chan struct{})
	vendor := g.wire.handler
	g.wire.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(reached)
		<-goOn
		vendor.ServeHTTP(w, r)
	})
	ctx, cancel = context.WithCancel(t.Context())
	go func() { _, err := g.p.Create(ctx, wish("A", "c.shops.example", "192.0.2.3")); gave <- err }()
	g.tick <- time.Time{}
	<-reached
	cancel()
	g.fails(<-gave, provider.Uncertain, "given up")
	close(goOn)
	if err := g.p.Close(); err != nil || g.there() != "b=192.0.2.2 c=192.0.2.3" {
		t.Errorf("%v, there: %s", err, g.there())
	}
}

// More than a batch holds is sent as soon as it is full.
func TestFullBatch(t *testing.T) {
	g := newGathering(t)
	errs := make(chan error, maxBatch)
	for i := range maxBatch {
		go func() { errs <- g.creates(fmt.Sprintf("n%d.shops.example", i), "192.0.2.1")() }()
	}
	for range maxBatch {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	if n := len(g.vendor.Records(shopID)); n != maxBatch || g.wire.count() != 2 {
		t.Errorf("%d records, calls: %v", n, g.wire.since(0))
	}
	g.p.gather.end() // the moment that waited for its tick
}
