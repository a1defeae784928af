package reconcile_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

// Vendors that take only so many calls a minute are not asked before the time that they
// give, and a fleet that needs many times as many gets there all the same: no client uses
// the budget up by looking, over and over, at what it has.
func TestFleetWithinTheBudgetsOfVendors(t *testing.T) {
	const clients, calls = 12, 30
	var world *memory.World
	w := newWorldWith(t, func(c *clock) []provider.Provider {
		world = memory.NewWorld(c.Now)
		open := func(name string, kinds map[state.Kind]provider.Traits) provider.Provider {
			return provider.Heed(memory.New(memory.Options{Name: name, World: world, Kinds: kinds, Sleep: c.Sleep, Limit: memory.Limit{Calls: calls, Per: time.Minute}}), c.Now)
		}
		return []provider.Provider{open("railway", memory.Databases()), open("vercel", memory.Hosting()), open("cloudflare", memory.DNS())}
	})
	files := map[string]string{}
	for i := range clients {
		files[fmt.Sprintf("clients/c%02d.yaml", i)] = client(fmt.Sprintf("c%02d", i))
	}
	begun := w.clock.Now()
	due := map[state.ClientID]time.Time{}
	for _, id := range w.push(files) {
		due[id] = begun
	}
	for passes := 0; len(due) > 0; passes++ {
		if passes > 40*clients {
			t.Fatalf("after %s and %d passes %d clients are not there", w.clock.Now().Sub(begun), passes, len(due))
		}
		var next state.ClientID
		for id, at := range due {
			if next == "" || at.Before(due[next]) || at.Equal(due[next]) && id < next {
				next = id
			}
		}
		if wait := due[next].Sub(w.clock.Now()); wait > 0 {
			w.clock.add(wait)
		}
		delete(due, next)
		d, err := w.engine.Pass(t.Context(), next, reconcile.CauseCommit)
		if err != nil {
			t.Fatal(err)
		}
		if d.Again {
			d.At = w.clock.Now()
		}
		if !d.At.IsZero() {
			due[next] = d.At
		}
	}
	for i := range clients {
		w.want(fmt.Sprintf("c%02d", i), state.StatusActive)
	}
	if early := world.Early(); len(early) > 0 {
		t.Errorf("%d calls came before the time that their vendor gave, the first: %s", len(early), early[0])
	}
	took, n := w.clock.Now().Sub(begun), world.Counts("vercel")
	if least := time.Duration((n.Reads+n.Writes)/calls) * time.Minute; took > 2*least+5*time.Minute {
		t.Errorf("%d calls took %s, and %s would do", n.Reads+n.Writes, took, least)
	}
	t.Logf("%d calls in %s", n.Reads+n.Writes, took)
}
