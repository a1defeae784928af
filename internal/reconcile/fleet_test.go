package reconcile_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/state"
)

var (
	fleetCommits = flag.Int("fleet.commits", 60, "random commits on a fleet")
	fleetClients = flag.Int("fleet.clients", 60, "clients of that fleet")
	fleetSeed    = flag.Uint64("fleet.seed", 20261125, "what the commits are drawn from")
)

// P4: a commit writes nothing of a client that it doesn't touch, however long the history.
// Names move between clients, so whoever had a name that a touched one asks for is touched.
func TestP4UntouchedClientsAreNotWritten(t *testing.T) {
	rng := rand.New(rand.NewPCG(*fleetSeed, 4))
	var wrote []memory.Call
	var vendors *memory.World
	w := newWorldOver(t, func(*world) {}, func(c *clock) []provider.Provider {
		vendors = memory.NewWorld(c.Now)
		hook := func(_ context.Context, call memory.Call) error {
			if call.Verb.Writes() && call.Moment == memory.Before {
				if o, ok := vendors.Object(call.ID); ok && call.Client == "" {
					call.Client = o.Mark.Client
				}
				wrote = append(wrote, call)
			}
			return nil
		}
		open := func(name, address string, kinds map[state.Kind]provider.Traits) provider.Provider {
			return memory.New(memory.Options{Name: name, World: vendors, Kinds: kinds, Fault: hook, Sleep: c.Sleep, Address: address})
		}
		return []provider.Provider{open("railway", "", memory.Databases()), open("vercel", "", memory.Hosting()), open("ploi", "203.0.113.8", memory.Hosting()), open("cloudflare", "", memory.DNS())}
	})
	w.engine.Guard.MaxDeletes, w.engine.Guard.MaxChanged = 100_000, 100_000
	w.engine.Runner.Parallel = 1
	names := make([]string, *fleetClients)
	tree := map[string]spec{}
	for i := range names {
		names[i] = fmt.Sprintf("c%03d", i)
		tree[names[i]] = spec{name: names[i], domain: names[i], colour: "red", host: "vercel", db: "railway"}
	}
	files := func(tree map[string]spec) map[string]string {
		out := map[string]string{}
		for n, x := range tree {
			out["clients/"+n+".yaml"] = x.text()
		}
		return out
	}
	w.apply(files(tree))
	begun := len(wrote)
	if begun < 8**fleetClients {
		t.Fatalf("the fleet was made with %d writes", begun)
	}
	touches, idle := 0, 0
	eyes := &story{world: w} // it remembers what it read
	begin := time.Now()
	said := begin
	for n := range *fleetCommits {
		if time.Since(said) > time.Minute {
			said = time.Now()
			fmt.Fprintf(os.Stderr, "fleet: %d commits, %s\n", n, time.Since(begin).Round(time.Second))
		}
		old := maps.Clone(tree)
		for range 1 + rng.IntN(3) {
			fleetEdit(rng, names, tree)
		}
		was, now := files(old), files(tree)
		change, touched := map[string]string{}, map[string]bool{}
		hosts := map[string]bool{}
		for _, name := range names {
			path := "clients/" + name + ".yaml"
			if was[path] == now[path] {
				continue
			}
			change[path], touched[name] = now[path], true
			for _, h := range append(old[name].claims(), tree[name].claims()...) {
				hosts[h] = true
			}
		}
		for name, x := range old {
			if slices.ContainsFunc(x.claims(), func(h string) bool { return hosts[h] }) {
				touched[name] = true
			}
		}
		ids := map[state.ClientID]bool{}
		for _, name := range w.invalid() { // may be valid by what this commit lets go
			touched[name] = true
		}
		note := func() {
			for _, c := range eyes.clients() {
				if touched[c.Name] || slices.ContainsFunc(c.Former, func(f string) bool { return touched[f] }) {
					ids[c.ID] = true
				}
			}
		}
		note()
		for _, id := range eyes.unfinished() { // what an earlier commit took away waits for a file that this one may mend
			ids[id] = true
		}
		wrote = wrote[:0]
		w.apply(change)
		note()
		touches += len(change)
		if len(wrote) == 0 {
			idle++
		}
		for _, call := range wrote {
			if !ids[call.Client] {
				t.Fatalf("commit %d touches %v, and %s is written: %s (seed %d)", n, slices.Sorted(maps.Keys(touched)), call.Client, call, *fleetSeed)
			}
		}
		w.clock.add(time.Minute)
	}
	if touches < *fleetCommits/2 || idle > *fleetCommits/3 {
		t.Errorf("that is no proof: %d commits touched %d clients, %d of them to no effect", *fleetCommits, touches, idle)
	}
	t.Logf("%d clients, %d commits, %d files changed; no write to a client that a commit did not touch", *fleetClients, *fleetCommits, touches)
}

// everybody are all clients on record.
func (w *world) everybody() []state.Client {
	w.t.Helper()
	var s story
	s.world = w
	return s.clients()
}

// invalid are the names of clients whose file breaks a rule at the head.
func (w *world) invalid() (out []string) {
	w.t.Helper()
	o, err := w.engine.Overview()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, p := range o.Problems {
		out = append(out, strings.TrimSuffix(strings.TrimPrefix(p.Path, "clients/"), ".yaml"))
	}
	return out
}

// unfinished are the clients of which a removal is not carried out yet, or that wait for a
// name of another one.
func (s *story) unfinished() (out []state.ClientID) {
	for _, t := range s.allTombstones() {
		if !t.Done {
			out = append(out, t.Client)
		}
	}
	for _, c := range s.clients() {
		if !c.Settled {
			out = append(out, c.ID)
		}
	}
	return out
}

// fleetEdit is one change of a fleet's tree.
func fleetEdit(rng *rand.Rand, names []string, tree map[string]spec) {
	name := names[rng.IntN(len(names))]
	x, there := tree[name]
	if !there {
		// It was there before, and says whether it is the same client.
		tree[name] = spec{name: name, domain: name, colour: "red", host: "vercel", db: "railway", reuse: []string{"retained", "fresh"}[rng.IntN(2)]}
		return
	}
	if x.broken { // people mend it before they change it
		x.broken = false
		tree[name] = x
		return
	}
	switch rng.IntN(10) {
	case 0:
		delete(tree, name)
		return
	case 1:
		x.domain = fmt.Sprintf("%s-%d", name, rng.IntN(3))
	case 2:
		x.aliases = []string{fmt.Sprintf("www%d.%s.example", rng.IntN(3), name)}
	case 3:
		x.records = []string{fleetRecords[rng.IntN(2)]}
	case 4:
		x.theme = fmt.Sprintf("theme%d", rng.IntN(4))
	case 5:
		x.note++
	case 6: // a name moves
		if other, ok := tree[names[rng.IntN(len(names))]]; ok && other.name != name && len(other.aliases) > 0 {
			x.aliases, other.aliases = other.aliases, nil
			tree[other.name] = other
		}
	case 7:
		x.broken = true
	default:
		x.colour = fleetColours[rng.IntN(len(fleetColours))]
	}
	tree[name] = x
}
