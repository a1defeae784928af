package reconcile_test

import (
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// clockwork is how this machine's clock goes in a run.
type clockwork struct {
	jumps bool // it is set now and then: a machine slept, NTP found out, a person erred
	// What is kept after its client: from when on, as it is elsewhere.
	kept map[string]*keptFrom
	// gone are removals, by what was lost: since when, and by how much the clock was put forward
	// after that.
	gone map[string]*keptFrom
	any  bool // it jumped
	// back is how far it was set back in all by less than a vendor's longest pause (an hour): such a
	// pause is kept to, and lasts so much longer.
	back time.Duration
}

// keptFrom is when the keeping of a database began, or a removal.
type keptFrom struct {
	at    time.Time
	ahead time.Duration
	asked bool // a person has it erased, in this event
}

// besides draws from the stream of what was added later; nothing in a world as it was before.
func (s *story) besidesN(most int, _ string) int {
	if s.before {
		return 0
	}
	return s.draws.besidesN(most)
}

// wind decides whether the clock is set in this run.
func (s *story) wind() {
	s.clocks = clockwork{jumps: s.besidesN(2, "the clock jumps") == 2, kept: map[string]*keptFrom{}, gone: map[string]*keptFrom{}}
}

// strides are how far the clock is set at once.
var strides = []time.Duration{40 * time.Second, 12 * time.Minute, 3 * time.Hour, 26 * time.Hour, 9 * 24 * time.Hour}

// clockJumps sets this machine's clock forth or back, between two events. Vendors and people
// have theirs. Timers go on as they were: they count by themselves.
func (s *story) clockJumps() {
	if !s.clocks.jumps || s.besidesN(5, "a jump") != 5 {
		return
	}
	d := strides[s.besidesN(len(strides)-1, "stride")]
	if s.besidesN(1, "back") == 1 {
		d = -d
	}
	s.jump(d)
}

// jumpWithin sets the clock in the middle of some passes, before or after the effect of a write.
func (s *story) jumpWithin() {
	if s.chaos.jumpIn = 0; !s.clocks.jumps || s.parallel > 1 || s.chaos.dice(6, "a jump within") > 0 {
		return
	}
	d := strides[s.chaos.dice(len(strides), "stride within")]
	if s.chaos.dice(2, "back within") > 0 {
		d = -d
	}
	s.chaos.jumpIn, s.chaos.jump = 1+s.chaos.dice(12, "a jump in"), func() {
		s.hit("clock set within a pass")
		s.jump(d)
	}
}

func (s *story) jump(d time.Duration) {
	s.say("the clock jumps by %s", d)
	s.hit(jumped(d))
	s.world.clock.jump(d)
	for id, at := range s.queue {
		s.queue[id] = at.Add(d)
	}
	clear(s.chaos.until) // whoever is told to wait for so long, and sees that time pass, does no wrong
	s.vendors.world.Forgive()
	s.clocks.any = true
	if d < 0 && d > -time.Hour {
		s.clocks.back -= d
	}
	for _, all := range []map[string]*keptFrom{s.clocks.kept, s.clocks.gone} {
		for _, k := range all {
			k.ahead += max(d, 0)
		}
	}
}

// jumped is the fault point.
func jumped(d time.Duration) string {
	if d < 0 {
		return "clock set back"
	}
	return "clock set forward"
}

// removalsSeen notes when removals were accepted.
func (s *story) removalsSeen() {
	for _, t := range s.allTombstones() {
		if s.clocks.gone[lossOf(t)] == nil {
			s.clocks.gone[lossOf(t)] = &keptFrom{at: s.world.clock.Real()}
		}
	}
}

// removalSlack is how much later than the engine the laws may see that a removal was accepted.
const removalSlack = 20 * time.Minute

// goesTooEarly says that a removal waits for its date still.
func (s *story) goesTooEarly(t state.Tombstone, removed time.Time) bool {
	if !s.clocks.any {
		return s.world.clock.Now().Before(removed.Add(s.guard.RemoveAfter))
	}
	k := s.clocks.gone[lossOf(t)]
	return k != nil && s.guard.RemoveAfter > 0 && s.world.clock.Real().Sub(k.at)+k.ahead < s.guard.RemoveAfter-removalSlack
}

// keepsLongEnough: data is kept as long as was promised, by the time as it is, whatever this
// machine's clock shows (P5). What a person let erase is over with its event, but for a delete that
// was sent and comes to be soon after: nobody carries an order out later that a vendor refused, and
// what is there still is kept until the date that it had.
func (s *story) keepsLongEnough() {
	for _, k := range s.clocks.kept {
		k.asked = false
	}
	for _, r := range s.allResources() {
		switch {
		case r.Ref.Kind != state.KindDatabase:
		case !r.Retained():
			delete(s.clocks.kept, r.ID)
		case s.clocks.kept[r.ID] == nil:
			s.clocks.kept[r.ID] = &keptFrom{at: s.world.clock.Real()}
		}
	}
}

// letErase lets a person have erased what a client left.
func (s *story) letErase(id state.ClientID) {
	for _, r := range s.resources(id) {
		if k := s.clocks.kept[r.ID]; k != nil {
			k.asked = true
		}
	}
}

// early says by how much a database that is gone was kept too short; zero: it was not.
func (s *story) early(id string) time.Duration {
	k := s.clocks.kept[id]
	if k == nil || k.asked || s.data[id] == nil || !s.purges[id].IsZero() {
		return 0
	}
	return max(0, s.keepsFor(s.data[id].client)-keptSlack-s.world.clock.Real().Sub(k.at))
}

// keptSlack is how much later than the engine the laws see that a keeping began, and by how much
// the clock may have been set forward while it was down without anybody seeing it.
const keptSlack = 24 * time.Hour
