package reconcile_test

import (
	"fmt"
	"testing"
)

// simKind is a kind of histories: who does what in them, and what many of them must come to.
type simKind struct {
	name    string // as it is told; "": ordinary ones
	asks    string // what `make sim` is asked for them
	near    bool   // their decisions are those of runs that were red, and some others
	shape   func(*story)
	share   int    // of mixedRuns runs
	repeats uint64 // seeds that TestSimRepeats plays
	faults  int    // of a run, over many: some half of what they are found to have
	thin    int    // runs that may be, of a hundred: some double of what are found to be
	reach   []reach
	// What the kind is about, how often a run came to it, and in how many runs that must be once.
	about string
	came  func(outcome) int
	oneIn int
}

// reach is what share of all fault points, of a hundred, so many runs must have hit. Not every kind comes by
// each; what is asked is well below what such runs were found to hit.
type reach struct{ runs, points int }

var (
	ordinary = simKind{share: 14, repeats: 20, faults: 6, thin: 6, reach: []reach{{100, 20}, {1400, 65}, {2000, 72}, {5000, 80}, {20_000, 90}, {500_000, 100}}, shape: func(*story) {}}
	namers   = simKind{
		name: "names", asks: " NAMES=yes", share: 3, repeats: 4, faults: 8, thin: 5, reach: []reach{{100, 25}, {300, 40}, {1200, 70}}, shape: func(s *story) { s.namers = true },
		about: "names passed on", came: func(o outcome) int { return o.names }, oneIn: 8,
	}
	hostile = simKind{name: "hostile", asks: " HOSTILE=yes", share: 2, repeats: 4, faults: 6, thin: 25, reach: []reach{{100, 20}, {200, 30}, {800, 55}}, shape: func(s *story) { s.hostile = true }}
	movers  = simKind{
		name: "moves", asks: " MOVES=yes", share: 1, repeats: 4, faults: 7, thin: 8, reach: []reach{{100, 20}, {400, 50}}, shape: func(s *story) { s.movers = true },
		about: "databases moved", came: func(o outcome) int { return o.cells["moved"] }, oneIn: 25,
	}
	nears    = simKind{name: "near", asks: " NEAR=yes", repeats: 4, faults: 8, thin: 15, reach: []reach{{100, 25}, {1000, 60}}, near: true, shape: func(*story) {}}
	simKinds = []simKind{ordinary, namers, hostile, movers, nears}
)

// mixedRuns is how many runs have one of each kind for each of its shares.
const mixedRuns = 20

// askedKind says of which kind the n-th run is.
func askedKind(t *testing.T) func(n int) simKind {
	var asked []func(int) simKind
	for _, k := range []struct {
		yes bool
		simKind
	}{{*simNames, namers}, {*simHostile, hostile}, {*simMoves, movers}, {*simNear, nears}} {
		if k.yes {
			asked = append(asked, func(int) simKind { return k.simKind })
		}
	}
	if *simMixed {
		asked = append(asked, mixed)
	}
	switch len(asked) {
	case 0:
		return func(int) simKind { return ordinary }
	case 1:
		return asked[0]
	}
	t.Fatal("runs are of one kind, or mixed")
	return nil
}

// mixed is the kind of the n-th run among all. The kinds are spread, so that any few runs have all of them.
func mixed(n int) simKind {
	at := n * 7 % mixedRuns
	for _, k := range simKinds {
		if at -= k.share; at < 0 {
			return k
		}
	}
	panic("the shares are no mixedRuns")
}

// begin is what a run of a seed begins with, and the kind with its world.
func (k simKind) begin(t *testing.T, seed uint64) (*draws, simKind) {
	if !k.near {
		return seeded(seed), k
	}
	d, shape := nearRun(t, seed)
	k.shape = shape
	return d, k
}

// before is what is told of a run before its seed.
func (k simKind) before() string {
	if k.name == "" {
		return ""
	}
	return k.name + ", "
}

// repeat says how a run is played again.
func (k simKind) repeat(seed uint64) string {
	return fmt.Sprintf("Repeat the run: make sim SEED=%d SEEDS=1%s", seed, k.asks)
}
