package reconcile_test

import (
	"fmt"
	"hash/fnv"
	"maps"
	"slices"

	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
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
	s.plots = h.Sum32()>>16%plotRuns == 0 && !s.before && !s.hostile && !s.movers
}

// plotEvents is how many events a plot is: some commits, polls and passes.
const plotEvents = 4

// plot is one of them.
func (s *story) plot() {
	s.events += plotEvents - 1
	plots := []func(){s.swapAndGo, s.asItEnds}
	if s.pulls.on {
		plots = append(plots, s.slipIn, s.slipIn)
	}
	plots[s.n(len(plots)-1, "plot")]()
}

// somebodyAtWork draws a client that people come to, and of which nothing is to be done; "": nobody.
func (s *story) somebodyAtWork() string {
	var names []string
	for _, c := range s.clients() {
		x, there := s.tree.specs[c.Name]
		if there && !c.Removed && c.Settled && c.Status == state.StatusActive && c.Converged == c.WishHash && x.host != "none" && !x.broken && !x.paused {
			names = append(names, c.Name)
		}
	}
	if slices.Sort(names); len(names) == 0 {
		return ""
	}
	return s.one(names, "who")
}

// slipIn lets something that no plan showed come with what one did: a push after the plan. In
// some another pull request of the same client, planned before that, comes after it.
func (s *story) slipIn() {
	name := s.somebodyAtWork()
	if name == "" {
		s.passDue(6)
		return
	}
	x := s.tree.specs[name]
	colour := func(by int) func(*spec) {
		to := fleetColours[(max(0, slices.Index(fleetColours, x.colour))+by)%len(fleetColours)]
		return func(x *spec) { x.colour = to }
	}
	shown := colour(1)
	if s.odds(2, "another host") {
		shown = func(x *spec) { x.host = map[string]string{"vercel": "ploi", "ploi": "vercel"}[x.host] }
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
	a, b := s.somebodyAtWork(), s.somebodyAtWork()
	if a == b {
		s.passDue(6)
		return
	}
	x, y := s.tree.specs[a], s.tree.specs[b]
	if len(y.aliases) == 0 || s.odds(3, "another alias") {
		y.aliases = []string{s.one(fleetAliases, "alias")}
		s.tree.specs[b] = y
		s.commit(false)
		s.pollNow()
		s.passDue(6)
	}
	x.domain, y.domain = y.domain, x.domain
	s.tree.specs[a], s.tree.specs[b] = x, y
	s.commit(false)
	s.pollNow()
	delete(s.tree.specs, a)
	s.commit(false)
	s.chaos.wait = 1 + s.n(8, "after")
	s.chaos.meanwhile = s.overtake
	s.passDue(6)
	s.chaos.wait = 0
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
