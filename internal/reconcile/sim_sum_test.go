package reconcile_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// simSum is what came of all runs.
type simSum struct {
	mu          sync.Mutex
	begun, said time.Time
	of          map[string]*tally // by kind
}

// tally is what came of the runs of a kind.
type tally struct {
	runs, red              int
	thin, calm, idle       int // that are not red and prove nothing; those without a fault, those without a write
	events, faults, writes int // of those that are not red: these came to their end
	came                   int // what their kind is about
	cells                  map[string]int
}

func (s *simSum) add(t *testing.T, k simKind, seed uint64, o outcome) {
	if o.failed != "" {
		head, _, _ := strings.Cut(o.failed, "\n")
		fmt.Fprintf(os.Stderr, "sim: %sseed %d: %.200s\n", k.before(), seed, head)
	}
	s.count(k, o)
	if o.failed != "" {
		t.Log(k.tell(t, seed, o, shrinkTries))
	}
}

// count adds a run.
func (s *simSum) count(k simKind, o outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.of[k.name]
	if c == nil {
		c = &tally{cells: map[string]int{}}
		s.of[k.name] = c
	}
	c.runs++
	for cell, n := range o.cells {
		c.cells[cell] += n
	}
	switch {
	case o.failed != "":
		c.red++
	default:
		c.events, c.faults, c.writes = c.events+o.events, c.faults+o.faults, c.writes+o.writes
		if o.thin() {
			c.thin++
		}
		if o.faults < leastFaults {
			c.calm++
		}
		if o.writes < leastWrites {
			c.idle++
		}
		if k.came != nil {
			c.came += k.came(o)
		}
	}
	if now := time.Now(); now.Sub(s.begun) > simProgress && now.Sub(s.said) > simProgress {
		s.said = now
		all := s.all()
		fmt.Fprintf(os.Stderr, "sim: %d runs, %d failed, %s\n", all.runs, all.red, now.Sub(s.begun).Round(time.Second))
	}
}

// all are the kinds together. It is called with mu held.
func (s *simSum) all() tally {
	all := tally{cells: map[string]int{}}
	for _, c := range s.of {
		all.runs, all.red, all.thin = all.runs+c.runs, all.red+c.red, all.thin+c.thin
		all.events, all.faults, all.writes = all.events+c.events, all.faults+c.faults, all.writes+c.writes
		for cell, n := range c.cells {
			all.cells[cell] += n
		}
	}
	return all
}

func (s *simSum) red() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all().red
}

// tell tells the story of a red run: the smallest one that fails so, of as many as are tried, and how it is
// played again.
func (k simKind) tell(t *testing.T, seed uint64, o outcome, tries int) string {
	if !*simShrink {
		return fmt.Sprintf("%sseed %d: %s", k.before(), seed, o.failed)
	}
	small := o
	shrink(o.draws, tries, func(script [][]int) bool {
		p := playWith(t, scripted(script), k.shape)
		if p.law() != o.law() {
			return false
		}
		small = p
		return true
	})
	return fmt.Sprintf("%sseed %d: %s\n\nThe smallest run that fails so (%d events of %d):\n%s\n%s\n\n%s",
		k.before(), seed, o.failed, small.events, o.events, strings.Join(small.log, "\n"), small.failed, k.repeat(seed))
}

// end tells what came of all runs, and fails when some were red or all of them are no proof.
func (s *simSum) end(t *testing.T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.Log(s.summary(time.Since(s.begun)))
	if *simSeeds > simFew || *simFor > 0 {
		t.Logf("fault points:\n%s", s.points())
	}
	for _, why := range s.lacks(*simReds) {
		t.Error(why)
	}
}

// summary is told of all runs, and of each kind.
func (s *simSum) summary(took time.Duration) string {
	all := s.all()
	told := []string{fmt.Sprintf("%d runs in %s (%.1f ms each), %d failed", all.runs, took.Round(time.Millisecond), took.Seconds()*1000/float64(max(1, all.runs)), all.red)}
	for _, k := range simKinds {
		c := s.of[k.name]
		if c == nil {
			continue
		}
		each := func(n int) string { return fmt.Sprintf("%d (%.1f a run)", n, float64(n)/float64(max(1, c.runs-c.red))) }
		asked, missed := c.missed()
		about := ""
		if k.about != "" {
			about = fmt.Sprintf(", %d %s", c.came, k.about)
		}
		told = append(told, fmt.Sprintf("%s%d runs, %d failed, %d thin (%d without a fault, %d without a write); events %s, faults %s, writes %s%s; %d of %d fault points asked for were hit; not: %s",
			k.before(), c.runs, c.red, c.thin, c.calm, c.idle, each(c.events), each(c.faults), each(c.writes), about, asked-len(missed), asked, strings.Join(missed, "; ")))
	}
	return strings.Join(told, "\n")
}

// points are the fault points that were hit, most often first.
func (s *simSum) points() string {
	cells := s.all().cells
	names := slices.Collect(maps.Keys(cells))
	slices.SortFunc(names, func(a, b string) int {
		if cells[a] != cells[b] {
			return cells[b] - cells[a]
		}
		return strings.Compare(a, b)
	})
	var b strings.Builder
	for _, c := range names {
		fmt.Fprintf(&b, "%9d  %s\n", cells[c], c)
	}
	return b.String()
}

// missed are the fault points that no run hit, of so many that are asked for.
func (c *tally) missed() (asked int, missed []string) {
	for _, point := range faultPoints() {
		if asked++; c.cells[point] == 0 {
			missed = append(missed, point)
		}
	}
	return asked, missed
}

// lacks says why all runs together are no proof; nothing: they are one. So many red ones are borne.
// Red or not, what was played has to be enough. It is called with mu held.
func (s *simSum) lacks(reds int) (why []string) {
	if all := s.all(); all.red > reds {
		why = append(why, fmt.Sprintf("%d of %d runs were red; %d are borne", all.red, all.runs, reds))
	}
	for _, k := range simKinds {
		if c := s.of[k.name]; c != nil {
			for _, lack := range k.lacks(c) {
				why = append(why, "that is no proof: "+k.before()+lack)
			}
		}
	}
	return why
}

// simMany are runs whose means chance has no part in any more: of fewer, four fifths are asked for, and
// twice as many may be thin.
const simMany = 1000

func (k simKind) lacks(c *tally) (why []string) {
	if c.runs < simFew {
		return nil
	}
	whole := c.runs - c.red
	least, most := func(mean int) int { return mean * whole }, k.thin
	if whole < simMany {
		least, most = func(mean int) int { return mean * whole * 4 / 5 }, 2*k.thin
	}
	if whole == 0 {
		return []string{"no run came to its end"}
	}
	if c.events < least(meanEvents) || c.faults < least(k.faults) {
		why = append(why, fmt.Sprintf("%d events and %d faults in %d runs; %d and %d a run are asked for", c.events, c.faults, whole, meanEvents, k.faults))
	}
	if c.thin*100 > most*whole {
		why = append(why, fmt.Sprintf("%d of %d runs were thin; %d of a hundred may be", c.thin, whole, most))
	}
	if k.about != "" && c.came*k.oneIn < whole {
		why = append(why, fmt.Sprintf("%d %s in %d runs; one in %d is asked for", c.came, k.about, whole, k.oneIn))
	}
	asked, missed := c.missed()
	for _, r := range k.reach {
		if c.runs >= r.runs && (asked-len(missed))*100 < r.points*asked {
			why = append(why, fmt.Sprintf("%d of %d fault points were hit by no run", len(missed), asked))
			break
		}
	}
	return why
}
