package reconcile_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
)

// What follows is of the simulation itself: what it finds is told so that it can be repeated, and what
// proves nothing does not pass for a proof.

// Shrinking leaves what the failure needs, in its order, and as small as it gets.
func TestSimShrinks(t *testing.T) {
	script := [][]int{{3}, {9, 9}, {7, 1}, {4}, {8, 6, apart, 2}, {5}, {2}, {1, 1}}
	tries := 0
	fails := func(s [][]int) bool {
		tries++
		seven := slices.IndexFunc(s, func(row []int) bool { return row[0] >= 5 && len(row) == 2 })
		return seven >= 0 && slices.ContainsFunc(s[seven:], func(row []int) bool { return slices.Contains(row, apart) })
	}
	small := shrink(script, shrinkTries, fails)
	if !fails(small) || len(small) != 4 { // how it begins, the two that it takes, how it ends
		t.Fatalf("it shrinks to %v", small)
	}
	if tries = 0; fmt.Sprint(shrink(script, 3, fails)) == fmt.Sprint(small) || tries != 3 {
		t.Errorf("%d tries, not 3", tries)
	}
	if fmt.Sprint(shrink(script, shrinkTries, fails)) != fmt.Sprint(small) {
		t.Errorf("it shrinks in another way the second time")
	}
	if never := shrink(script, shrinkTries, func([][]int) bool { return false }); fmt.Sprint(never) != fmt.Sprint(script) {
		t.Errorf("what does not fail shrinks to %v", never)
	}
}

// plantedIn is a kind with a law that breaks at a run's third commit.
func plantedIn(k simKind) simKind {
	shape := k.shape
	k.shape = func(s *story) {
		shape(s)
		s.law = func() {
			if len(s.heads) > 3 {
				s.Fatalf("X1: a third commit")
			}
		}
	}
	return k
}

// The story of a red run has its law, the smallest run that fails so, and how it is repeated, of
// whatever kind it is; and it is the same one each time.
func TestSimTellsTheSmallestRun(t *testing.T) {
	const seed, tries = 20261129, 120
	for _, k := range simKinds {
		d, k := k.begin(t, seed)
		k = plantedIn(k)
		o := playWith(t, d, k.shape)
		if o.failed != "X1: a third commit" {
			t.Fatalf("%sthe law does not break: %q", k.before(), o.failed)
		}
		told := k.tell(t, seed, o, tries)
		var events, of int
		_, from, _ := strings.Cut(told, "The smallest run that fails so (")
		if _, err := fmt.Sscanf(from, "%d events of %d", &events, &of); err != nil || of != o.events || events > of {
			t.Errorf("%s%d events, of which are left: %v\n%s", k.before(), o.events, err, told)
		}
		if head := fmt.Sprintf("%sseed %d: X1: a third commit\n", k.before(), seed); !strings.HasPrefix(told, head) {
			t.Errorf("it begins otherwise than %q:\n%s", head, told)
		}
		if end := fmt.Sprintf("\nX1: a third commit\n\nRepeat the run: make sim SEED=%d SEEDS=1%s", seed, k.asks); !strings.HasSuffix(told, end) {
			t.Errorf("it ends otherwise than %q:\n%s", end, told)
		}
		if len(from) >= len(strings.Join(o.log, "\n")) {
			t.Errorf("%sit did not shrink:\n%s", k.before(), told)
		}
		if k.name != "" {
			continue
		}
		if again := k.tell(t, seed, o, tries); again != told {
			t.Errorf("it is told otherwise the second time:\n%s", firstDifference(strings.Split(told, "\n"), strings.Split(again, "\n")))
		}
	}
}

// enough is a run of a kind; many such are a proof, if one of them hit all that is asked for.
func enough(k simKind, all bool) outcome {
	o := outcome{events: meanEvents, faults: k.faults, writes: leastWrites, names: 1, cells: map[string]int{"moved": 1}}
	if all {
		for _, point := range faultPoints() {
			o.cells[point] = 1
		}
	}
	return o
}

// Runs that are too thin are no proof, of whatever kind, whether or not some were red.
func TestSimIsNoProof(t *testing.T) {
	for _, k := range simKinds {
		for name, c := range map[string]struct {
			runs int
			bad  int // of those, so many are changed
			in   func(*outcome)
			why  string // "": they are a proof
		}{
			"enough":                          {simMany, 0, nil, ""},
			"few prove nothing, and need not": {simFew - 2, simFew - 2, func(o *outcome) { o.events = 0 }, ""},
			"too few events":                  {simMany, 50, func(o *outcome) { o.events = leastEvents }, fmt.Sprintf("%d and %d a run are asked for", meanEvents, k.faults)},
			"too few faults":                  {simMany, 50, func(o *outcome) { o.faults = leastFaults }, fmt.Sprintf("%d and %d a run are asked for", meanEvents, k.faults)},
			"a few thin ones":                 {simMany, simMany * k.thin / 100, func(o *outcome) { o.writes = 0 }, ""},
			"too many thin ones":              {simMany, simMany*k.thin/100 + 1, func(o *outcome) { o.writes = 0 }, "runs were thin"},
			"nobody came to the end":          {simMany, simMany, func(o *outcome) { o.failed = "X1: red" }, "no run came to its end"},
			"what they are about":             {simMany, simMany, func(o *outcome) { o.names, o.cells = 0, maps.Clone(o.cells); delete(o.cells, "moved") }, k.about},
			"few fault points":                {k.reach[0].runs, k.reach[0].runs, func(o *outcome) { o.cells = map[string]int{"moved": 1} }, "fault points were hit by no run"},
		} {
			for _, red := range []int{0, 1} {
				s := &simSum{of: map[string]*tally{}, begun: time.Now()}
				for n := range c.runs {
					o := enough(k, n == 0)
					if n < c.bad {
						c.in(&o)
					}
					s.count(k, o)
				}
				for range red {
					s.count(k, outcome{failed: "X1: red"})
				}
				s.mu.Lock()
				why := strings.Join(s.lacks(simFew*simMany), "\n")
				s.mu.Unlock()
				if (c.why == "") != (why == "") || !strings.Contains(why, c.why) {
					t.Errorf("%s%s, %d red: %q, not %q", k.before(), name, red, why, c.why)
				}
			}
		}
	}
}

// More red runs than are borne fail, of all kinds together, and the sum is told by kind.
func TestSimSum(t *testing.T) {
	s := &simSum{of: map[string]*tally{}, begun: time.Now()}
	for _, k := range simKinds {
		s.count(k, enough(k, true))
		s.count(k, outcome{failed: "X1: red"})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if why := s.lacks(len(simKinds)); len(why) > 0 {
		t.Errorf("as many red ones as are borne: %q", why)
	}
	if why := s.lacks(len(simKinds) - 1); len(why) != 1 || why[0] != "5 of 10 runs were red; 4 are borne" {
		t.Errorf("one more than are borne: %q", why)
	}
	told := s.summary(10 * time.Second)
	for _, want := range []string{
		"10 runs in 10s (1000.0 ms each), 5 failed",
		"\n2 runs, 1 failed, 0 thin (0 without a fault, 0 without a write); events 20 (20.0 a run), faults 6 (6.0 a run), writes 1 (1.0 a run); ",
		"\nnames, 2 runs, 1 failed", "1 names passed on", "\nhostile, 2 runs", "\nmoves, 2 runs", "1 databases moved", "\nnear, 2 runs", "fault points asked for were hit",
	} {
		if !strings.Contains(told, want) {
			t.Errorf("not told: %q\n%s", want, told)
		}
	}
	if points := s.points(); !strings.Contains(points, "        5  no room\n") {
		t.Errorf("fault points:\n%s", points)
	}
}

// Runs of all kinds are mixed by their shares.
func TestSimMixes(t *testing.T) {
	got := map[string]int{}
	for n := range 3 * mixedRuns {
		got[mixed(n).name]++
	}
	if want := map[string]int{"": 42, "names": 9, "hostile": 6, "moves": 3}; !maps.Equal(got, want) {
		t.Errorf("%v, not %v", got, want)
	}
}

// What we do to a stranger's object is found, though another stranger comes in the same event.
func TestSimStrangersStay(t *testing.T) {
	changed := 0
	for seed := uint64(1); seed <= 20; seed++ {
		found := ""
		o := playWith(t, seeded(seed), func(s *story) {
			s.law = func() {
				ids := slices.Sorted(maps.Keys(s.likes))
				if len(ids) == 0 || s.events < 3 {
					return
				}
				found = ids[0]
				s.vendors.world.Edit(found, func(o *provider.Object) { o.Mark.Client = "ours" })
				if last := ids[len(ids)-1]; last != found {
					s.comes(last)
				}
				s.likes = s.likeShot()
				s.strangersStay()
			}
		})
		if found == "" || len(o.failed) == 0 {
			continue
		}
		if changed++; !strings.HasPrefix(o.failed, "I3: what is a stranger's changed") {
			t.Errorf("seed %d: %s is changed: %q", seed, found, o.failed)
		}
	}
	if changed < 5 {
		t.Errorf("%d of 20 runs had strangers", changed)
	}
}

// Shrinking looks for the same sentence of a law, about whomever.
func TestSimLawsBySentence(t *testing.T) {
	says := func(failed string) string { return outcome{failed: failed}.law() }
	same := []string{"P12: b: update traffic/vercel runs with the risk traffic, and no plan showed it", "P12: c: update record/A runs with the risk offline, and no plan showed it"}
	if says(same[0]) != says(same[1]) {
		t.Errorf("%q and %q", says(same[0]), says(same[1]))
	}
	if other := "P12: d.agency.example shows {red v1} after update of it"; says(other) == says(same[0]) {
		t.Errorf("%q is that of another sentence", says(other))
	}
	if says("") != "" {
		t.Errorf("no law: %q", says(""))
	}
}
