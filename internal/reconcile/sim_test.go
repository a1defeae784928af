package reconcile_test

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// The simulation runs the real engine, planner, journal and store against vendors that
// misbehave, people that commit and meddle, a disk that fills up and a process that dies.
// Everything that could differ between two runs comes from a seed: a seed repeats its run.
//
// What is unkind in it, and where:
//
//	commits of every kind, reverts, force pushes, an emptied tree   story.makeCommit, edit; hostileCommit
//	pull requests, merged in every way                              sim_pulls_test.go, sim_forge_test.go
//	lists that are late, names given twice                          memory.Unkind, Options.LateDeletes, in start
//	vendors with the traits of those that the program speaks with   sim_rivals_test.go, in one of three runs
//	others who are faster                                           sim_rivals_test.go
//	lists in pages that fail and move                               sim_pages_test.go
//	limits, refusals, lost and late answers, late creates           chaos.fault, comesLater; budgets
//	outages of vendors, of the repository, of the forge, of a disk  event, remote, mortal
//	look-alikes, unmarked and of another installation               lookAlikes, byte-equal by likeShot
//	a template that breaks every build, halted waves                breaksAll, held to wavesWait
//	what lived before, databases that move, accounts for payments   sim_adopt_test.go, sim_move_test.go, sim_payments_test.go
//	people who change and delete at vendors                         meddle
//	a process that dies between any two effects, a panic            chaos.tick, hook
//	sinks of reports that refuse, or take and don't say so          deliver
//	a clock that is set                                             sim_clock_test.go
//	a state that is lost, or older than what there is               sim_loss_test.go
//
// A run with too few events or faults fails (play), and so do all of them together (simSum.end).
//
// `go test` plays the same few seeds each time, so that a red test is the fault of the
// change. `make sim` plays others: SEEDS says how many, SEED which one first.
var (
	simSeeds   = flag.Int("sim.seeds", simFew, "random runs of the engine to play")
	simSeed    = flag.Uint64("sim.seed", 20261125, "seed of the first; 0: another each time")
	simFor     = flag.Duration("sim.for", 0, "go on with other seeds for so long")
	simWorkers = flag.Int("sim.workers", runtime.GOMAXPROCS(0), "runs at once")
	simShrink  = flag.Bool("sim.shrink", true, "look for a smaller run that fails in the same way")
	simFailed  = flag.Int("sim.failures", 3, "stop after so many red runs")
	simReds    = flag.Int("sim.reds", 0, "so many red runs are told and fail nothing: a search through other seeds, where each is to be mended and none is this change's fault")
	simHostile = flag.Bool("sim.hostile", false, "histories that take away what they can, without anybody who approves")
	simNames   = flag.Bool("sim.names", false, "histories in which names pass from client to client")
	simVerbose = flag.Bool("sim.v", false, "print the story of each run")
)

const (
	simFew      = 100
	leastEvents = 8   // of a run; a run with fewer proves nothing
	leastFaults = 1   // of a run
	meanEvents  = 20  // over all runs
	meanFaults  = 3   // over all runs
	shrinkTries = 600 // runs that shrinking may take
	simProgress = 30 * time.Second
	simFewCells = 20_000           // runs from which on nine in ten of the fault points must have been hit
	simAllCells = 500_000          // runs from which on each must have been
	runLimit    = 10 * time.Minute // a run lives for milliseconds: one that takes so long does not end
	manyRunsGC  = 4000             // most garbage of so short runs need not be looked for
)

// outcome is what came of a run.
type outcome struct {
	failed string // "": every law held
	log    []string
	draws  [][]int
	events int
	faults int
	cells  map[string]int // how often a fault point was hit
	names  int            // how often a name was seen to have passed to another client
}

// law is the law that was broken.
func (o outcome) law() string {
	law, _, _ := strings.Cut(o.failed, ":")
	return law
}

// hash is of all that happened: the same for every run of a seed.
func (o outcome) hash() string {
	sum := sha256.Sum256([]byte(strings.Join(o.log, "\n")))
	return hex.EncodeToString(sum[:8])
}

// play is one run.
func play(t *testing.T, d *draws) outcome {
	return playWith(t, d, func(s *story) { s.hostile, s.namers = *simHostile, *simNames })
}

func playWith(t *testing.T, d *draws, kind func(*story)) (o outcome) {
	synctest.Test(t, func(t *testing.T) {
		s := &story{draws: d, cells: map[string]int{}}
		kind(s)
		defer func() {
			if r := recover(); r != nil {
				broken, ok := r.(brokenLaw)
				if !ok {
					broken = brokenLaw(fmt.Sprintf("panic: %v\n%s", r, debug.Stack()))
				}
				o.failed = string(broken)
			}
			s.close()
			if !s.ending {
				d.begin()
			}
			o.log, o.draws, o.events, o.faults, o.cells, o.names = s.log, d.record(), s.events, s.faults, s.cells, s.passedOn
		}()
		s.play(t)
	})
	return o
}

func TestSim(t *testing.T) {
	first := *simSeed
	if first == 0 {
		first = uint64(time.Now().UnixNano()) % 1_000_000_000_000
	}
	sum := &simSum{cells: map[string]int{}, begun: time.Now()}
	t.Logf("first seed %d", first)
	if *simSeeds > simFew {
		defer debug.SetGCPercent(debug.SetGCPercent(manyRunsGC))
	}
	var next struct {
		sync.Mutex
		n int
	}
	var wg sync.WaitGroup
	for range max(1, *simWorkers) {
		wg.Go(func() {
			for {
				next.Lock()
				n := next.n
				next.n++
				next.Unlock()
				if n >= *simSeeds && time.Since(sum.begun) >= *simFor || sum.failed() >= *simFailed+*simReds {
					return
				}
				seed := first + uint64(n)
				o := played(t, seed)
				if *simVerbose {
					t.Logf("seed %d\n%s", seed, strings.Join(o.log, "\n"))
				}
				sum.add(t, seed, o)
			}
		})
	}
	wg.Wait()
	sum.end(t)
}

// played is the run of a seed. One that does not end ends the program, and says which one it
// was: nobody would wait for it, and where it is only its stacks say.
func played(t *testing.T, seed uint64) outcome {
	limit := time.AfterFunc(runLimit, func() {
		debug.SetTraceback("all")
		panic(fmt.Sprintf("seed %d goes on for %s\n%s", seed, runLimit, repeat(seed)))
	})
	defer limit.Stop()
	return play(t, seeded(seed))
}

// A seed repeats its run: everything that happened, in its order.
func TestSimRepeats(t *testing.T) {
	for seed := uint64(1); seed <= 20; seed++ {
		a, b := play(t, seeded(seed)), play(t, seeded(seed))
		if a.hash() != b.hash() {
			t.Fatalf("seed %d came out differently:\n%s", seed, firstDifference(a.log, b.log))
		}
		if c := play(t, scripted(a.draws)); c.hash() != a.hash() {
			t.Fatalf("seed %d played from its decisions came out differently:\n%s", seed, firstDifference(a.log, c.log))
		}
	}
}

func firstDifference(a, b []string) string {
	for i := range a {
		if i >= len(b) || a[i] != b[i] {
			return strings.Join(a[max(0, i-5):i], "\n") + "\n<<<\n" + strings.Join(a[i:min(i+5, len(a))], "\n") + "\n>>>\n" + strings.Join(b[min(i, len(b)):min(i+5, len(b))], "\n")
		}
	}
	return fmt.Sprintf("%d lines and %d", len(a), len(b))
}

// simSum is what came of all runs.
type simSum struct {
	mu             sync.Mutex
	begun, told    time.Time
	runs, failures int
	events, faults int
	cells          map[string]int
}

func (s *simSum) failed() int { s.mu.Lock(); defer s.mu.Unlock(); return s.failures }

func (s *simSum) add(t *testing.T, seed uint64, o outcome) {
	if o.failed != "" {
		s.mu.Lock()
		s.failures++
		s.mu.Unlock()
		head, _, _ := strings.Cut(o.failed, "\n")
		fmt.Fprintf(os.Stderr, "sim: seed %d: %.200s\n", seed, head)
		tellFailure(t, seed, o)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs++
	s.events += o.events
	s.faults += o.faults
	for c, n := range o.cells {
		s.cells[c] += n
	}
	if now := time.Now(); now.Sub(s.begun) > simProgress && now.Sub(s.told) > simProgress {
		s.told = now
		fmt.Fprintf(os.Stderr, "sim: %d runs, %d failed, %s\n", s.runs, s.failures, now.Sub(s.begun).Round(time.Second))
	}
}

// tellFailure shrinks a run and tells its story. More of them than are borne fail (end).
func tellFailure(t *testing.T, seed uint64, o outcome) {
	small := o
	if !*simShrink {
		t.Logf("seed %d: %s", seed, o.failed)
		return
	}
	shrink(o.draws, shrinkTries, func(script [][]int) bool {
		p := play(t, scripted(script))
		if p.law() != o.law() {
			return false
		}
		small = p
		return true
	})
	t.Logf("seed %d: %s\n\nThe smallest run that fails so (%d events of %d):\n%s\n%s\n\n%s",
		seed, o.failed, small.events, o.events, strings.Join(small.log, "\n"), small.failed, repeat(seed))
}

// repeat says how a run is played again.
func repeat(seed uint64) string {
	hostile := ""
	if *simHostile {
		hostile = " HOSTILE=yes"
	}
	if *simNames {
		hostile += " NAMES=yes"
	}
	return fmt.Sprintf("Repeat the run: make sim SEED=%d SEEDS=1%s", seed, hostile)
}

func (s *simSum) end(t *testing.T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	took := time.Since(s.begun)
	points := 0
	for _, n := range s.cells {
		points += n
	}
	t.Logf("%d runs in %s (%.1f ms each), %d failed; %d events (%.1f a run), %d faults (%.1f a run), %d fault points hit %d times",
		s.runs, took.Round(time.Millisecond), took.Seconds()*1000/float64(max(1, s.runs)), s.failures, s.events, float64(s.events)/float64(max(1, s.runs)),
		s.faults, float64(s.faults)/float64(max(1, s.runs)), len(s.cells), points)
	if s.failures > *simReds {
		t.Errorf("%d of %d runs were red; %d are borne", s.failures, s.runs, *simReds)
	}
	if s.runs >= simFew && s.failures == 0 && (s.events < meanEvents*s.runs || s.faults < meanFaults*s.runs) {
		t.Errorf("that is no proof: %d events and %d faults a run are asked for", meanEvents, meanFaults)
	}
	missed, asked := []string{}, faultPoints()
	for _, c := range asked {
		if s.cells[c] == 0 {
			missed = append(missed, c)
		}
	}
	if *simSeeds > simFew || *simFor > 0 {
		names := slices.Collect(maps.Keys(s.cells))
		slices.SortFunc(names, func(a, b string) int {
			if s.cells[a] != s.cells[b] {
				return s.cells[b] - s.cells[a]
			}
			return strings.Compare(a, b)
		})
		var b strings.Builder
		for _, c := range names {
			fmt.Fprintf(&b, "%9d  %s\n", s.cells[c], c)
		}
		t.Logf("fault points:\n%s", b.String())
	}
	t.Logf("%d of %d fault points asked for were hit; not: %s", len(asked)-len(missed), len(asked), strings.Join(missed, "; "))
	if s.runs >= simFewCells && !*simHostile && !*simNames && (len(missed) > len(asked)/10 || s.runs >= simAllCells && len(missed) > 0) {
		t.Errorf("that is no proof: %d of %d fault points were hit by no run", len(missed), len(asked))
	}
}
