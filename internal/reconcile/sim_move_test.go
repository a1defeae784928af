package reconcile_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/journal"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/state"
)

// moveRuns are the runs in which databases move, of a plain `go test`. (More of them: make sim MOVES=yes.)
const moveRuns = 40

// moveOnceRed is onceRed, of runs in which databases move.
var moveOnceRed = []uint64{
	1740,      // of a client that was gone, the copy that was never filled counted as its own
	300001243, // of a client that was gone, what was refused of its return counted as that of a new one that was said to be it
}

// P3, P5, P8: databases move between two providers while everything else goes wrong. Whatever
// was written while a client's database took it is in the client's database, no other one takes
// anything, and none stays frozen but under an open intent.
func TestP5SimDatabasesMove(t *testing.T) {
	for _, seed := range moveOnceRed {
		if o := playWith(t, seeded(seed), func(s *story) { s.movers, s.brief = true, true }); o.failed != "" {
			t.Errorf("moves, seed %d: %s", seed, o.failed)
		}
	}
	playSome(t, movers, moveRuns)
}

// playSome plays runs of a kind. The first red one fails the test, with the smallest run that fails
// so; and so do all of them when they hardly came to what the kind is about.
func playSome(t *testing.T, k simKind, runs int) {
	came := 0
	for n := range runs {
		seed := *simSeed + uint64(n)
		o, k := played(t, k, seed)
		if came += k.came(o); o.failed != "" {
			t.Fatal(k.tell(t, seed, o, shrinkTries))
		}
	}
	t.Logf("%d runs, %d %s", runs, came, k.about)
	if came*k.oneIn < runs {
		t.Errorf("that is no proof: %d %s in %d runs", came, k.about, runs)
	}
}

// otherPlace is where a database goes from one.
func otherPlace(db string) string {
	if db == "railway" {
		return "postgres"
	}
	return "railway"
}

// templated leaves the user out of a template where databases move: who keeps both can't
// move one.
func (s *story) templated(text string) string {
	if !s.movers {
		return text
	}
	return strings.Replace(text, "kind: payload, path: /admin", "kind: none", 1)
}

func (s *story) databases() map[state.Kind]provider.Traits {
	out := memory.Databases()
	if s.movers {
		delete(out, state.KindAdmin)
	}
	return out
}

// moveData lets a client's data go somewhere else, in some runs while the process dies.
func (s *story) moveData() {
	names := slices.Sorted(maps.Keys(s.tree.specs))
	if len(names) == 0 {
		names = fleetNames[:1]
		s.tree.specs[names[0]] = s.fresh(names[0])
	}
	if !s.odds(3, "only on") {
		x := s.tree.specs[s.one(names, "who")]
		if x.db = otherPlace(x.db); x.adopts != "" {
			return
		}
		s.tree.specs[x.name] = x
		s.commit(false)
		s.pollNow()
	}
	s.passDue(6)
	s.approveMoves()
	if s.odds(2, "killed") {
		s.chaos.kill = 1 + s.n(30, "after")
		s.say("dies after %d", s.chaos.kill)
	}
	s.passDue(6)
	s.chaos.kill = 0
}

// approveMoves says yes to all moves that wait.
func (s *story) approveMoves() {
	o, err := s.engine.Overview()
	s.fine(err)
	for _, h := range o.Holds {
		if h.Kind == state.HoldData && h.Approvable {
			s.approveOne(h)
		}
	}
}

// dataMoves is the law of data where databases move.
func (s *story) dataMoves() {
	frozen := map[string]bool{}
	for _, i := range s.allIntents() {
		if i.Op == journal.OpTransfer {
			frozen[string(i.Ref.Client)] = true
		}
	}
	own, beside := map[string]state.Resource{}, map[string]state.Resource{}
	for _, id := range s.ids() {
		for _, r := range s.resources(id) {
			switch {
			case r.Ref.Kind != state.KindDatabase || !r.Real():
			case r.Ref.Name == "main":
				own[r.ID] = r
			default:
				beside[r.ID] = r
			}
		}
	}
	for _, o := range s.vendors.world.Objects("") {
		if o.Kind != state.KindDatabase || s.planted[o.ID] || o.Mark.Installation != lawInstallation {
			continue
		}
		who := fmt.Sprintf("%s/%d", o.Mark.Client, o.Mark.Generation)
		is := s.vendors.world.Frozen(o.ID)
		rows := s.vendors.world.Rows(o.ID)
		if _, yes := own[o.ID]; yes {
			if k := s.data[o.ID]; k != nil && k.byHand {
				continue
			}
			if is && !frozen[string(o.Mark.Client)] {
				s.Fatalf("M1: %s, the database of %s, is frozen, and nobody is about to thaw it", o.ID, o.Mark.Client)
			}
			if lost := without(s.orders[who], rows); len(lost) > 0 {
				s.Fatalf("M2: %s, the database of %s, lacks %v", o.ID, o.Mark.Client, lost)
			}
			if s.served[o.Mark.Client] != "" && s.served[o.Mark.Client] != o.ID {
				s.cells["moved"]++
			}
			s.served[o.Mark.Client] = o.ID
			if row := fmt.Sprintf("order %d of %s", len(s.orders[who])+1, who); s.vendors.world.Write(o.ID, row) {
				s.orders[who] = append(s.orders[who], row)
			}
			continue
		}
		if r, yes := beside[o.ID]; yes && len(rows) > 0 && !is && !frozen[string(o.Mark.Client)] && !r.Copy {
			s.Fatalf("M3: %s was moved away from by %s, and takes rows", o.ID, o.Mark.Client)
		}
	}
}

// without are those of all that are not in some.
func without(all, some []string) (out []string) {
	have := map[string]bool{}
	for _, x := range some {
		have[x] = true
	}
	for _, x := range all {
		if !have[x] {
			out = append(out, x)
		}
	}
	return out
}
