package reconcile_test

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
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
//	manifests that say more, in one of three runs                   sim_rich_test.go
//	look-alikes, unmarked and of another installation               lookAlikes, byte-equal by strangersStay
//	a template that breaks every build, halted waves                breaksAll, held to wavesWait
//	what lived before, databases that move, accounts for payments   sim_adopt_test.go, sim_move_test.go, sim_payments_test.go
//	people who change and delete at vendors                         meddle
//	a process that dies between any two effects, a panic            chaos.tick, hook
//	sinks of reports that refuse, or take and don't say so          deliver
//	a clock that is set                                             sim_clock_test.go
//	a state that is lost, or older than what there is               sim_loss_test.go
//
// A run with too few faults or writes is thin, and proves nothing: people help, and it goes on for a
// while. One that stays so is counted. Only so many may be, and all together must come to enough
// (sim_sum_test.go).
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
	simMoves   = flag.Bool("sim.moves", false, "histories in which databases move")
	simNear    = flag.Bool("sim.near", false, "runs near those that were red once: their decisions, of which some are others")
	simMixed   = flag.Bool("sim.mixed", false, "histories of all kinds, each with its share of the runs")
	simVerbose = flag.Bool("sim.v", false, "print the story of each run")
)

const (
	simFew      = 100
	leastEvents = 8   // of a run; a run with fewer proves nothing
	leastFaults = 1   // of a run
	leastWrites = 1   // of a run
	patience    = 12  // events after which people help a run that is thin
	mostEvents  = 36  // of a run that goes on for being thin: as many as the longest other one
	meanEvents  = 20  // over all runs
	shrinkTries = 600 // runs that shrinking may take
	simProgress = 30 * time.Second
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
	writes int            // calls that a vendor carried out
	cells  map[string]int // how often a fault point was hit
	names  int            // how often a name was seen to have passed to another client
}

// law is the law that was broken, with the beginning of what it says: many say several things. What names somebody or
// something is left out.
func (o outcome) law() string {
	words := strings.Fields(o.failed)
	said := slices.DeleteFunc(words[min(1, len(words)):], func(word string) bool {
		return len(word) < 3 || strings.Trim(word, "abcdefghijklmnopqrstuvwxyz',:") != ""
	})
	return strings.Join(append(words[:min(1, len(words))], said[:min(4, len(said))]...), " ")
}

// hash is of all that happened: the same for every run of a seed.
func (o outcome) hash() string {
	sum := sha256.Sum256([]byte(strings.Join(o.log, "\n")))
	return hex.EncodeToString(sum[:8])
}

// thin says that a run proves nothing: too little happened in it.
func (o outcome) thin() bool {
	return o.events < leastEvents || o.faults < leastFaults || o.writes < leastWrites
}

// playWith is one run.
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
			o.log, o.draws, o.events, o.faults, o.writes, o.cells, o.names = s.log, d.record(), s.events, s.faults, int(s.effects.Load()), s.cells, s.passedOn
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
	asked := askedKind(t)
	sum := &simSum{of: map[string]*tally{}, begun: time.Now()}
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
				if n >= *simSeeds && time.Since(sum.begun) >= *simFor || sum.red() >= *simFailed+*simReds {
					return
				}
				k, seed := asked(n), first+uint64(n)
				o, k := played(t, k, seed)
				if *simVerbose {
					t.Logf("%sseed %d\n%s", k.before(), seed, strings.Join(o.log, "\n"))
				}
				sum.add(t, k, seed, o)
			}
		})
	}
	wg.Wait()
	sum.end(t)
}

// played is the run of a seed. One that does not end ends the program, and says which one it
// was: nobody would wait for it, and where it is only its stacks say.
func played(t *testing.T, k simKind, seed uint64) (outcome, simKind) {
	limit := time.AfterFunc(runLimit, func() {
		debug.SetTraceback("all")
		panic(fmt.Sprintf("%sseed %d goes on for %s\n%s", k.before(), seed, runLimit, k.repeat(seed)))
	})
	defer limit.Stop()
	d, k := k.begin(t, seed)
	return playWith(t, d, k.shape), k
}

// A seed repeats its run, of whatever kind: everything that happened, in its order.
func TestSimRepeats(t *testing.T) {
	for _, k := range simKinds {
		for seed := uint64(1); seed <= k.repeats; seed++ {
			a, _ := played(t, k, seed)
			b, k := played(t, k, seed)
			if a.hash() != b.hash() {
				t.Fatalf("%sseed %d came out differently:\n%s", k.before(), seed, firstDifference(a.log, b.log))
			}
			if c := playWith(t, scripted(a.draws), k.shape); c.hash() != a.hash() {
				t.Fatalf("%sseed %d played from its decisions came out differently:\n%s", k.before(), seed, firstDifference(a.log, c.log))
			}
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
