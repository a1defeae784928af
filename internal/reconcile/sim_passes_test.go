package reconcile_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

func (s *story) later(d time.Duration) {
	s.say("%s later", d)
	s.world.clock.add(d)
}

func (s *story) ctx() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	s.chaos.cancel = cancel
	return ctx
}

// fine notes an error that may be: faults, the death of the process, refusals.
func (s *story) fine(err error) {
	if err == nil {
		return
	}
	s.say("    error: %v", err)
	s.leaks("an error", err.Error())
}

func (s *story) wants(ids ...state.ClientID) {
	for _, id := range ids {
		s.queue[id] = s.world.clock.Now()
	}
}

func (s *story) pollNow() {
	s.mayChange()
	ids, err := s.engine.Poll(s.ctx())
	if len(ids) > 0 {
		s.say("poll: %v", ids)
	}
	s.fine(err)
	s.wants(ids...)
	s.noticed()
}

// due are the clients that the daemon would pass now, sorted.
func (s *story) due() []state.ClientID {
	var out []state.ClientID
	now := s.world.clock.Now()
	for id, at := range s.queue {
		if !at.After(now) {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

func (s *story) passDue(most int) {
	for range most {
		ids := s.due()
		if len(ids) == 0 || s.chaos.gone() {
			return
		}
		s.passOne(ids[0])
		s.middle()
	}
}

// passOne does what the daemon does with one client.
func (s *story) passOne(id state.ClientID) { s.passAll([]state.ClientID{id}, nil) }

// passAll passes clients of different groups at once, as the daemon's workers do, while
// something else happens.
func (s *story) passAll(ids []state.ClientID, meanwhile func()) {
	s.froze, s.still, s.overtaken, s.gone = map[state.ClientID]bool{}, map[state.ClientID]bool{}, map[state.ClientID]bool{}, map[state.Ref]bool{}
	s.lived = map[state.Ref]bool{}
	s.begun, s.behind, s.passing = map[state.ClientID]bool{}, map[state.ClientID]bool{}, nil
	defer func() { s.froze, s.still, s.overtaken = nil, nil, map[state.ClientID]bool{} }()
	for _, id := range ids {
		for _, other := range s.engine.Group(id) {
			delete(s.queue, other)
		}
		maps.Copy(s.froze, s.frozen(s.engine.Group(id)))
		maps.Copy(s.still, s.pausedOf(s.engine.Group(id)))
	}
	s.jumpWithin()
	type ended struct {
		d   reconcile.Done
		err error
	}
	ends := make([]ended, len(ids))
	s.noteOld()
	if s.pulls.on {
		s.beginsPasses()
	}
	ctx := s.ctx()
	if len(ids) == 1 && meanwhile == nil {
		s.passing = s.engine.Group(ids[0])
		ends[0].d, ends[0].err = s.pass(ctx, ids[0])
	} else {
		var wg sync.WaitGroup
		for i, id := range ids {
			wg.Go(func() {
				s.turns.yield("pass " + string(id))
				ends[i].d, ends[i].err = s.pass(ctx, id)
			})
		}
		if meanwhile != nil {
			s.besides = true
			wg.Go(func() {
				s.turns.yield("meanwhile")
				meanwhile()
			})
		}
		wg.Wait()
		s.besides = false
	}
	if len(s.overtaken) == 0 && meanwhile == nil && !s.chaos.gone() {
		s.stillOld(ids)
	}
	if !s.chaos.gone() {
		s.notAtRest()
		s.servesWhatWasShown("as the passes ended") // what was built in place of something else may serve by now
	}
	for i, id := range ids {
		s.passed(id, ends[i].d, ends[i].err)
	}
	if !s.chaos.gone() { // else finish asks what they had done
		s.pulls.laws.passing = nil
	}
}

// passed does what the daemon does with the end of a pass.
func (s *story) passed(id state.ClientID, d reconcile.Done, err error) {
	s.say("pass %s: %+v", id, d)
	if s.chaos.gone() {
		return
	}
	if err != nil {
		s.fine(err)
		s.queue[id] = s.world.clock.Now().Add(30 * time.Second)
		return
	}
	s.wants(d.Also...)
	for _, other := range d.Clients {
		// What an error of ours cut off is looked at as a whole, and so is who has to come to rest anew (the
		// record that its name led there by went with another client).
		if c := s.client(other); c.LookWanted || c.Attempts > 0 || !c.Settled {
			s.cleanNow[other] = false
		}
	}
	s.noticed()
	for _, other := range d.Clients {
		s.doneBefore(other)
	}
	s.reviewed()
	if d.Recheck && s.engine.RecheckWanted() {
		s.pollNow()
	}
	switch {
	case d.Again:
		s.wants(d.Clients...)
	case !d.At.IsZero():
		for _, c := range d.Clients {
			if _, due := s.queue[c]; !due {
				s.queue[c] = d.At
			}
		}
	}
	for _, t := range s.tombstones(id) {
		s.say("    removal of %q by %s held=%q waits=%q until=%s done=%v", t.Part, t.Commit[36:], t.Held, t.Waits, t.NotUntil.Format("02 15:04"), t.Done)
	}
	for _, c := range s.clients() {
		if c.ID == id || slices.Contains(d.Clients, c.ID) {
			s.say("    %s %s settled=%v retry=%s: %s", c.Name, c.Status, c.Settled, c.RetryAt.Format("02 15:04:05"), c.Because)
		}
	}
}

// reopen is a start of the program: all that it knows is in the store.
func (s *story) reopen() {
	s.chaos.dead, s.chaos.kill = false, 0
	defer func(full int) { s.chaos.full = full }(s.chaos.full)
	s.chaos.full = 0 // a start that finds no room says so, and ends
	s.queue = map[state.ClientID]time.Time{}
	for _, d := range s.restart() {
		s.queue[d.Client] = d.At
	}
}

func (s *story) deliver() {
	err := s.engine.Deliver(s.ctx(), func(_ context.Context, r state.Report) error {
		if s.odds(5, "refused") {
			s.hit("report refused")
			return errors.New("the forge is down")
		}
		s.hears(r)
		if s.odds(8, "answer lost") {
			s.hit("report taken, and the answer lost")
			return errors.New("the forge's answer was lost")
		}
		return nil
	})
	s.fine(err)
	s.noneAbsent()
}
