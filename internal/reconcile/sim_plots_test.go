package reconcile_test

import (
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"time"

	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// plotRuns is in how many runs one has plots: several things that people do one after the
// other, in the order in which it hurts. Each of them is common, and by chance they come in
// that order once in tens of thousands of runs.
const plotRuns = 8

// plotted decides whether this run has plots. What was drawn so far decides, so that the other
// runs are what they were.
func (s *story) plotted() {
	h := fnv.New32a()
	_, _ = fmt.Fprint(h, "plots", s.draws.made[0])
	s.plots = h.Sum32()>>16%plotRuns == 0 && !s.before && !s.hostile && !s.movers && !s.namers
}

// plotEvents is how many events a plot is: some commits, polls and passes.
const plotEvents = 5

// plot is one of them.
func (s *story) plot() {
	s.events += plotEvents - 1
	most := 1
	if s.pulls.on {
		most = 3
	}
	if !s.plain {
		most++
	}
	switch n := s.n(most, "plot"); {
	case s.laterWorld() && !s.unled && s.hash("led")%4 == 0:
		s.calmly(s.leftBeside)
	case n == 0:
		s.asItEnds()
	case n == 1:
		s.calmly(s.swapAndGo)
	case n == most && !s.plain:
		s.calmly(s.breaksAll)
	default:
		s.calmly(s.slipIn)
	}
}

// calmly lets something happen while nothing goes wrong outside.
func (s *story) calmly(what func()) {
	c := s.chaos
	defer func(rate, full, away int, builds, sick bool, ambush map[string]bool) {
		c.rate, c.full, c.away, c.builds, c.sick, c.ambush = rate, full, away, builds, sick, ambush
	}(c.rate, c.full, c.away, c.builds, c.sick, c.ambush)
	c.rate, c.full, c.away, c.builds, c.sick, c.ambush = 0, 0, 0, false, false, nil
	for _, name := range hosts {
		s.vendors.world.Down(name, nil)
	}
	s.pulls.away = false
	what()
}

// atWork are clients that people come to, and of which nothing is to be done, sorted.
func (s *story) atWork() (names []string) {
	for _, c := range s.clients() {
		x, there := s.tree.specs[c.Name]
		if there && !c.Removed && c.Settled && c.Status == state.StatusActive && c.Converged == c.WishHash && x.host != "none" && !x.broken && !x.paused {
			names = append(names, c.Name)
		}
	}
	slices.Sort(names)
	return names
}

// some draws a client at work, and another one, where there are two. Where there are not, what
// keeps them from it is mended once, as far as a commit does that, and others come.
func (s *story) some() (one, other string, ok bool) {
	names := s.atWork()
	if len(names) < 2 {
		s.tree.freeze = freeze{}
		if refOf(s.tree.template) == "" {
			s.tree.template = template
		}
		for _, n := range fleetNames {
			x, there := s.tree.specs[n]
			switch {
			case there:
				x.broken, x.paused, x.previously = false, false, ""
				s.tree.specs[n] = x
			case len(s.tree.specs) < 3:
				s.tree.specs[n] = spec{name: n, domain: n, colour: fleetColours[0], host: s.one([]string{"vercel", "ploi"}, "host"), db: "none"}
			}
		}
		s.commit(false)
		s.pollNow()
		s.passDue(6)
		s.later(10 * time.Minute)
		s.passDue(6)
		s.sofar()
		if names = s.atWork(); len(names) < 2 {
			return "", "", false
		}
	}
	one = s.one(names, "who")
	return one, s.one(slices.DeleteFunc(names, func(n string) bool { return n == one }), "who else"), true
}

// sofar ends an event in the middle of a plot: the laws take in what people come to by now.
func (s *story) sofar() {
	s.finish()
	s.begin()
}

// slipIn lets something that no plan showed come with what one did: a push after the plan. In
// some another pull request of the same client, planned before that, comes after it.
func (s *story) slipIn() {
	name, _, ok := s.some()
	if !ok {
		return
	}
	s.say("something slips in with a change of %s", name)
	x := s.tree.specs[name]
	colour := func(by int) func(*spec) {
		to := fleetColours[(max(0, slices.Index(fleetColours, x.colour))+by)%len(fleetColours)]
		return func(x *spec) { x.colour = to }
	}
	shown := colour(1)
	if x.host == "ploi" && s.odds(2, "another host") { // the other way there is a time without service, which waits in any case
		shown = func(x *spec) { x.host = "vercel" }
	}
	first, second := s.proposeFor(name, shown), (*change)(nil)
	if s.odds(2, "another one") {
		second = s.proposeFor(name, func(x *spec) {
			if x.theme != "dark" {
				x.theme = "dark"
			} else {
				x.theme = "light"
			}
		})
	}
	s.lookAtPulls()
	s.say("push to pull request %d", first.number)
	s.growBy(first, first.tree(), first.head(), func() { s.change(name, colour(2)) })
	for _, c := range []*change{first, second} {
		if c != nil {
			s.merge(c)
			s.pollNow()
			s.passDue(2)
		}
	}
}

// proposeFor opens a pull request that changes one client.
func (s *story) proposeFor(name string, change func(*spec)) *change {
	at := s.newest()
	c := s.newPull(at, false)
	s.growBy(c, s.trees[at], at, func() { s.change(name, change) })
	return c
}

// change changes a client's manifest, if it has one.
func (s *story) change(name string, change func(*spec)) {
	if x, there := s.tree.specs[name]; there {
		change(&x)
		s.tree.specs[name] = x
	}
}

// swapAndGo lets two clients swap their names, and one go in the middle of that: names of the
// other may redirect to the one that went to it.
func (s *story) swapAndGo() {
	a, b, ok := s.some()
	if !ok {
		return
	}
	s.say("%s and %s swap their names, and %s goes", a, b, a)
	x, y := s.tree.specs[a], s.tree.specs[b]
	if len(y.aliases) == 0 {
		free := slices.DeleteFunc(slices.Clone(fleetAliases), func(alias string) bool {
			return slices.ContainsFunc(s.tree.names(), func(n string) bool { return slices.Contains(s.tree.specs[n].claims(), alias) })
		})
		if len(free) == 0 {
			return
		}
		y.aliases = []string{s.one(free, "alias")}
		s.tree.specs[b] = y
		s.commit(false)
		s.pollNow()
		s.passDue(6)
		if s.sofar(); !slices.Contains(s.atWork(), b) {
			return
		}
	}
	x.domain, y.domain = y.domain, x.domain
	s.tree.specs[a], s.tree.specs[b] = x, y
	s.commit(false)
	s.pollNow()
	delete(s.tree.specs, a)
	y.note++ // so that what is done for it is cut off, too
	s.tree.specs[b] = y
	s.commit(false)
	s.chaos.wait = 1 + s.n(5, "after")
	s.chaos.meanwhile = s.overtake
	s.passDue(6)
	s.chaos.wait = 0
}

// breaksAll lets a template come whose every build fails, to as many clients as there can be: a
// change of more than the guard lets change at once goes in waves, and halts.
func (s *story) breaksAll() {
	if _, _, ok := s.some(); !ok {
		return
	}
	for _, n := range fleetNames {
		if _, there := s.tree.specs[n]; !there && len(s.tree.specs) < 6 {
			s.tree.specs[n] = spec{name: n, domain: n, colour: fleetColours[0], host: s.one([]string{"vercel", "ploi"}, "host"), db: "none"}
		}
	}
	round := func(n int) {
		for range n {
			s.pollNow()
			s.passDue(6)
			s.later(10 * time.Minute)
			s.sofar()
		}
	}
	s.commit(false)
	round(2)
	ref := "v3"
	if refOf(s.tree.template) == ref {
		ref = "v4"
	}
	s.say("a template comes that breaks every build")
	s.chaos.broken = true
	s.tree.template = s.templated(storyTemplate(ref, ""))
	s.commit(false)
	round(2 + s.n(6, "rounds"))
	if s.odds(3, "dies") {
		s.reopen()
		round(2)
	}
	switch s.n(3, "what now") {
	case 0: // it is taken back
		s.tree.template = s.templated(storyTemplate("v2", ""))
		s.commit(false)
	case 1: // somebody lets all of it go
		s.approveAny()
	case 2: // or retries one
		if names := s.clientNames(); len(names) > 0 {
			s.ask(s.one(names, "name"), s.engine.Retry)
		}
	}
	s.chaos.broken = s.odds(4, "still broken")
	round(2)
	s.chaos.broken = false
}

// wavesWait: of whom a change of the fleet waits nothing is built for it; once it is halted nobody
// begins any more, unless somebody says so or a commit makes it another wish (S53).
func (s *story) wavesWait() {
	now := map[string]map[state.ClientID]uint64{}
	var approved []string
	s.view(func(tx store.Tx) error {
		all, err := store.Approvals(tx)
		for _, a := range all {
			approved = append(approved, a.Fingerprint)
		}
		return err
	})
	for _, h := range s.holds() {
		if h.Waves == nil || !h.Waves.Halted {
			continue
		}
		s.hit("a change of the fleet is halted")
		now[h.Fingerprint] = map[state.ClientID]uint64{}
		for _, id := range h.Clients {
			now[h.Fingerprint][id] = s.client(id).Seq
		}
		for id, seq := range s.halted[h.Fingerprint] {
			c := s.client(id)
			if _, waits := now[h.Fingerprint][id]; !waits && !c.Removed && c.Seq == seq && !slices.Contains(approved, h.Fingerprint) {
				s.broken("S53: %s waited for a change that is halted, and began", id)
			}
		}
	}
	s.halted = now
}

// asItEnds accepts a client's next commit as the pass of the one before ends.
func (s *story) asItEnds() {
	clients := s.clients()
	if len(clients) == 0 {
		return
	}
	c := clients[s.n(len(clients)-1, "who")]
	s.change(c.Name, func(x *spec) { x.colour = s.one(fleetColours, "colour") })
	s.commit(false)
	s.pollNow()
	if s.odds(3, "goes") {
		delete(s.tree.specs, c.Name)
	} else {
		s.change(c.Name, func(x *spec) { x.colour, x.note = s.one(fleetColours, "colour"), x.note+1 })
	}
	s.commit(false)
	s.chaos.atEnd = true
	s.passOne(c.ID)
	s.chaos.atEnd = false
	s.middle()
	s.passDue(6)
}

// atPoint is where a commit may be accepted as a pass ends: between its last step and the
// commit that says how it ended.
func (s *story) atPoint(p reconcile.Point) {
	if p != reconcile.PointEnd || !s.chaos.atEnd {
		return
	}
	s.chaos.atEnd = false
	s.turns.alone(func() {
		s.overtake()
		s.say("    as it ends, these have a newer wish: %v", slices.Sorted(maps.Keys(s.overtaken)))
		for _, id := range s.passing {
			s.behind[id] = s.behind[id] || s.overtaken[id]
		}
	})
}

// notAtRest: whom a newer wish overtook is not at rest when the pass of the older one ends, or
// a start would never go on with it (P7, P8).
func (s *story) notAtRest() {
	for id := range s.behind {
		if c := s.client(id); c.Settled && s.behind[id] {
			s.broken("P7: %s has a newer wish than the pass that ended, and is at rest as %s", id, c.Status)
		}
	}
}
