package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
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

// P12: "until a wish is done, the next one's range goes on from it". A pass of what a pull request brought and no plan
// showed ends as the program dies. Its client is free of that where it came to rest, and not where another wish was
// accepted in the middle of the pass: that it goes waits then.
func TestP12SimWhoHadComeToRestAsItDied(t *testing.T) {
	for _, x := range []struct {
		name      string
		meanwhile []func(*story)
		waits     int
	}{
		{"nothing else was wished", nil, 0},
		{"it is removed", []func(*story){func(s *story) { delete(s.tree.specs, "b") }}, 1},
		{"it is changed and changed back", []func(*story){
			func(s *story) { s.change("b", func(x *spec) { x.colour = "red" }) },
			func(s *story) { s.change("b", func(x *spec) { x.colour = "green" }) },
		}, 0},
	} {
		told(t, func(s *story) {
			s.tree.specs["a"] = spec{name: "a", domain: "a", colour: "green", host: "vercel", db: "none"}
			s.pushed("a", func(*spec) {})
			c, at := s.newPull(s.newest(), true), s.newest() // a stranger's, of which no plan is made
			s.growBy(c, s.trees[at], at, func() {
				s.tree.specs["b"] = spec{name: "b", domain: "b", colour: "green", host: "vercel", db: "none"}
			})
			s.lookAtPulls()
			s.tree = c.tree().clone()
			s.land(false, c)
			s.merged(c)
			s.pollNow()
			b := s.lives()["b"]
			s.engine.At = func(p reconcile.Point) {
				switch p {
				case reconcile.PointEnd:
					for _, push := range x.meanwhile {
						push(s)
						s.commit(false)
						_, err := s.engine.Poll(s.ctx())
						s.fine(err)
					}
				case reconcile.PointEnded:
					s.chaos.dead = true
				}
			}
			_, err := s.pass(s.ctx(), b)
			s.fine(err)
			if c := s.client(b); !s.chaos.dead || c.Status != state.StatusActive || c.Converged != c.WishHash {
				t.Errorf("%s: b is %+v: the test shows nothing", x.name, c)
			}
			if s.sofar(); s.pulls.laws.maybe[b] == (x.meanwhile == nil) {
				t.Errorf("%s: something of it may wait: %v", x.name, s.pulls.laws.maybe[b])
			}
			s.passDue(6)
			if s.sofar(); len(s.holds()) != x.waits {
				t.Errorf("%s: waits: %+v", x.name, s.holds())
			}
		})
	}
}

// I5: a client is removed, which fails, and whoever takes its name fails, too, and keeps it. The client comes back, takes
// its name back and fails: it answers by no other one, and its own old version serves there, not that of who had it last.
func TestI5SimWhoTookItsNameBackKeepsIt(t *testing.T) {
	const host = "a.agency.example"
	told(t, func(s *story) {
		for _, name := range []string{"a", "b"} {
			s.tree.specs[name] = spec{name: name, domain: name, colour: "green", host: "vercel", db: "none"}
		}
		s.pushed("b", func(*spec) {})
		a, was := s.tree.specs["a"], s.version(host)
		s.unfit = func(url string) error {
			if strings.Contains(url, host) {
				return errors.New("it answers 500")
			}
			return nil
		}
		s.chaos.ambush = map[string]bool{"402: delete traffic": true}
		passed := func(domain string) { // as they are now, in one pass
			s.change("b", func(x *spec) { x.domain = domain })
			s.commit(false)
			s.pollNow()
			s.passDue(1)
			s.sofar()
		}
		delete(s.tree.specs, "a")
		if passed("a"); s.version(host).of == was.of {
			t.Fatal("the name was not taken: the test shows nothing")
		}
		s.tree.specs["a"] = a
		if passed("b"); s.version(host) != was || s.old[host].of == was.of {
			t.Fatalf("%s is served by %v, and was by %v as the pass began", host, s.version(host), s.old[host])
		}
		if c := s.client(was.of); c.Because != "Your site still runs the old version. health: it answers 500" {
			t.Errorf("it says %q", c.Because)
		}
		s.vendors.world.Set(was.id, "ref", "v9")
		if s.stillOld([]state.ClientID{was.of}); len(s.bad) != 1 {
			t.Errorf("the law says %v", s.bad)
		}
		s.bad = nil
	})
}

// S24: another client takes a client's name, the disk is full in the middle of that, and the client's next commit can't be
// carried out. Where it was to have no site any more, and some of that is gone, it has no name. Else it has it back.
func TestS24SimWhoGaveItsSiteUpHasNoName(t *testing.T) {
	const host = "b.agency.example"
	for _, x := range []struct {
		at, last string // where the site was to be; what was done last
		gone     bool
	}{
		{"none", "delete traffic", true},
		{"none", "update domain", false},
		{"vercel", "update domain", false},
	} {
		told(t, func(s *story) {
			s.tree.specs["a"] = spec{name: "a", domain: "a", colour: "red", host: "vercel", db: "none"}
			s.tree.specs["b"] = spec{name: "b", domain: "b", colour: "red", host: "vercel", db: "none"}
			s.pushed("b", func(*spec) {})
			a, b, write := s.lives()["a"], s.lives()["b"], s.chaos.write
			s.chaos.write = func(ctx context.Context, c memory.Call) {
				if write(ctx, c); c.Moment == memory.After && fmt.Sprint(c.Verb, " ", c.Kind) == x.last {
					s.chaos.full = 100
				}
			}
			s.change("a", func(x *spec) { x.domain = "b" })
			s.pushed("b", func(y *spec) { y.domain, y.host = "e", x.at })
			if by := s.servedBy(host); s.chaos.full == 0 || by != a {
				t.Errorf("%s: the disk was full: %v; %s is served by %q", x.last, s.chaos.full > 0, host, by)
			}
			s.chaos.full, s.chaos.write = 0, write
			s.noteOld()
			for _, runs := range []bool{false, true} {
				if s.keepsAName(b, runs); (len(s.bad) > 0) != (runs || x.at != "none") {
					t.Errorf("%s: a later commit fails now, and b is told that its old version runs: %v; the law says %v", x.last, runs, s.bad)
				}
				s.bad = nil
			}
			s.pushed("b", func(x *spec) { x.host, x.secret = "vercel", true })
			if c, by := s.client(b), s.servedBy(host); c.Status != state.StatusFailed || (by == b) == x.gone {
				t.Errorf("%s: b is %s (%s), and %s is served by %q", x.last, c.Status, c.Because, host, by)
			}
		})
	}
}
