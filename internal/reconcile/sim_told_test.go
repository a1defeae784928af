package reconcile_test

import (
	"strings"
	"testing"
	"testing/synctest"
)

// told plays what a test tells in a world in which nothing goes wrong, and holds the laws of
// the runs against it: it proves a law itself, whatever runs draw later.
func told(t *testing.T, tell func(*story)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &story{draws: scripted(nil), cells: map[string]int{}}
		defer func() {
			if r := recover(); r != nil {
				broken, ok := r.(brokenLaw)
				if !ok {
					panic(r)
				}
				t.Errorf("%s\n%s", strings.Join(s.log, "\n"), broken)
			}
			s.close()
		}()
		s.draws.begin()
		s.start(t)
		s.pulls.on, s.pulls.laws.removals = true, false
		s.engine.Guard.ReviewedOnly = false
		s.reviewWith(s.engine)
		s.begin()
		s.calmly(func() { tell(s) })
	})
}

// pushed is a commit that nobody proposed, and what comes of it.
func (s *story) pushed(name string, change func(*spec)) {
	s.change(name, change)
	s.commit(false)
	s.pollNow()
	s.passDue(6)
	s.sofar()
}

// P12: what a name showed when its client had it before is no matter once it comes back: a push
// that nobody proposed gave the client another release in between, and what a pull request
// brings after that is held against what people see by then.
func TestP12SimANameThatComesBack(t *testing.T) {
	const host = "b.agency.example"
	told(t, func(s *story) {
		s.tree.specs["b"] = spec{name: "b", domain: "b", colour: "green", host: "vercel", db: "none"}
		s.pushed("b", func(*spec) {})
		s.pushed("b", func(x *spec) { x.domain = "e" })
		if s.up[host] != "" {
			t.Fatalf("%s is up still", host)
		}
		s.pushed("b", func(x *spec) { x.domain, x.colour = "b", "red" })
		if s.up[host] == "" || s.sees(host).colour != "red" {
			t.Fatalf("%s is up for %q and shows %v", host, s.up[host], s.sees(host))
		}
		c := s.proposeFor("b", func(x *spec) { x.colour = "blue" })
		s.lookAtPulls()
		s.tree = c.tree().clone()
		s.land(false, c)
		s.merged(c)
		s.pollNow()
		s.passDue(6)
		if s.finish(); s.sees(host).colour != "blue" {
			t.Errorf("%s shows %v", host, s.sees(host))
		}
	})
}

// P12: the very first write after a name came up is judged, too.
func TestP12SimTheFirstWriteAfterANameCameUp(t *testing.T) {
	told(t, func(s *story) {
		s.tree.specs["b"] = spec{name: "b", domain: "b", colour: "green", host: "vercel", db: "none"}
		s.pushed("b", func(*spec) {})
		c := s.proposeFor("b", func(x *spec) { x.colour = "blue" })
		s.lookAtPulls()
		s.tree = c.tree().clone()
		s.land(false, c)
		s.merged(c)
		s.pollNow()
		d, _ := s.vendors.world.Serves("b.agency.example")
		s.vendors.world.Set(d, "ref", "v9")
		if s.servesWhatWasShown("a test"); len(s.bad) != 1 {
			t.Errorf("the law says %v", s.bad)
		}
		s.bad = nil
	})
}
