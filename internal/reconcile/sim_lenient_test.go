package reconcile_test

import (
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// What makes a law ask less is taken where it must be, and leaves the law red where the program is at fault.

// I5: a client gives its name up, and another one asks for it and for one that a third client gives up. Where the third one's
// file is refused, as two ask for what it asks for instead, it keeps what it has: so nobody can have the first one's name, and
// that may go. Whatever else clashes, the name passes on, and stays up.
func TestI5SimANameThatMayGoForAClash(t *testing.T) {
	const host, y, z, w = "a.agency.example", "y.example", "z.example", "w.example"
	for _, x := range []struct {
		name      string
		had, asks map[string][]string // aliases
		siteless  string
		clash     bool // a file is refused
		goes      bool
	}{
		{"nobody clashes", map[string][]string{"c": {y}}, map[string][]string{"c": {z}}, "", false, false},
		{"two ask for what nobody has", map[string][]string{"c": {y}}, map[string][]string{"c": {z}, "d": {z}}, "", true, true},
		{"two others do", map[string][]string{"c": {y}}, map[string][]string{"c": {z}, "d": {w}, "e": {w}}, "", true, false},
		{"who clashes keeps what another asks for", map[string][]string{"c": {y}, "d": {w}}, map[string][]string{"c": {w}, "d": {z}, "e": {z}}, "", true, true},
		{"who does not gives it up", map[string][]string{"c": {y}, "d": {w}}, map[string][]string{"c": {w}, "d": {z}}, "", false, false},
		{"one has what another asks for", map[string][]string{"c": {y, z}}, map[string][]string{"c": {z}, "d": {z}}, "", true, false},
		{"and has no site", map[string][]string{"c": {y, z}}, map[string][]string{"c": {z}, "d": {z}}, "c", true, false},
	} {
		for _, before := range []bool{true, false} { // what clashes comes before the name is given up, or with it
			told(t, func(s *story) {
				for _, name := range fleetNames {
					s.tree.specs[name] = spec{name: name, domain: name, colour: "green", host: "vercel", db: "none", aliases: x.had[name]}
				}
				s.change(x.siteless, func(c *spec) { c.host = "none" })
				s.pushed("a", func(*spec) {})
				a, b := s.lives()["a"], s.lives()["b"]
				asks := func(names ...string) {
					for _, name := range names {
						s.change(name, func(c *spec) { c.aliases = x.asks[name] })
					}
				}
				s.change("b", func(b *spec) { b.domain, b.aliases = "a", []string{y} })
				if asks("d", "e"); x.goes {
					asks("c")
				}
				if before {
					s.commit(false)
					s.pollNow()
				}
				asks("c")
				s.change("a", func(a *spec) { a.domain = "x.example" })
				s.commit(false)
				s.pollNow()
				if s.up[host] != a || s.excused[host] != x.goes {
					t.Errorf("%s: %s is up for %q and may go: %v", x.name, host, s.up[host], s.excused[host])
				}
				s.passDue(6)
				s.later(time.Hour)
				s.passDue(6)
				s.sofar()
				want := b
				switch {
				case !before && x.clash: // what is given up waits for a file of the same commit
					want = a
				case x.goes:
					want = ""
				}
				if by := s.servedBy(host); by != want {
					t.Errorf("%s: %s is served by %q, not by %q", x.name, host, by, want)
				}
				s.vendors.world.Remove(s.bound(host).ID) // the program takes it away, say
				if s.stillServed("in a test"); (len(s.bad) == 0) != x.goes {
					t.Errorf("%s: %s is down, and the law says %v", x.name, host, s.bad)
				}
				s.bad = nil
			})
		}
	}
}

// I5: a client gives its alias up, and another one asks for it, and for the name of a third one that is to have a fourth one's
// that goes. Where that one's removal waits for a file, the third one keeps what it has: nobody can have the alias, and that may go.
func TestI5SimANameThatMayGoForARemovalThatWaits(t *testing.T) {
	const alias = "y.example"
	for _, waits := range []bool{true, false} {
		told(t, func(s *story) {
			for _, name := range fleetNames[:5] {
				s.tree.specs[name] = spec{name: name, domain: name, colour: "green", host: "vercel", db: "none"}
			}
			s.change("d", func(d *spec) { d.aliases = []string{alias} })
			s.pushed("a", func(*spec) {})
			b, d := s.lives()["b"], s.lives()["d"]
			delete(s.tree.specs, "c")
			s.change("e", func(e *spec) { e.broken = waits })
			s.commit(false)
			s.pollNow()
			s.change("a", func(a *spec) { a.domain = "c" })
			s.change("b", func(b *spec) { b.domain, b.aliases = "a", []string{alias} })
			s.change("d", func(d *spec) { d.aliases = nil })
			s.commit(false)
			s.pollNow()
			if s.up[alias] != d || s.excused[alias] != waits {
				t.Errorf("waits %v: it is up for %q and may go: %v", waits, s.up[alias], s.excused[alias])
			}
			s.passDue(6)
			s.later(time.Hour)
			s.passDue(6)
			s.sofar()
			if by := s.servedBy(alias); (by == b) == waits {
				t.Errorf("waits %v: it is served by %q", waits, by)
			}
			s.vendors.world.Remove(s.bound(alias).ID) // the program takes it away, say
			if s.stillServed("in a test"); (len(s.bad) == 0) != waits {
				t.Errorf("waits %v: it is down, and the law says %v", waits, s.bad)
			}
			s.bad = nil
		})
	}
}

// I5: somebody agreed to a time in which a name is away. That ends when it serves again, and whoever has it and whose plan it was are
// through.
func TestI5SimATimeWithoutANameEnds(t *testing.T) {
	const host = "a.agency.example"
	for _, x := range []struct {
		name   string
		change func(s *story, a, b state.ClientID)
		red    bool
	}{
		{"nobody agreed", func(*story, state.ClientID, state.ClientID) {}, true},
		{"it is over", func(s *story, a, _ state.ClientID) { s.gaps[host] = a }, true},
		{"another one's is", func(s *story, _, b state.ClientID) { s.gaps[host] = b }, true},
		{"another one is not through", func(s *story, _, b state.ClientID) {
			s.gaps[host] = b
			s.change("b", func(b *spec) { b.colour = "blue" })
			s.commit(false)
			s.pollNow()
		}, false},
		{"it is away", func(s *story, a, _ state.ClientID) {
			s.gaps[host] = a
			s.vendors.world.Remove(s.bound(host).ID)
		}, false},
	} {
		told(t, func(s *story) {
			s.tree.specs["a"] = spec{name: "a", domain: "a", colour: "red", host: "vercel", db: "none"}
			s.tree.specs["b"] = spec{name: "b", domain: "b", colour: "red", host: "vercel", db: "none"}
			s.pushed("a", func(*spec) {})
			x.change(s, s.lives()["a"], s.lives()["b"])
			s.settledNow()
			s.vendors.world.Remove(s.bound(host).ID)
			if s.stillServed("in a test"); (len(s.bad) > 0) != x.red {
				t.Errorf("%s: the law says %v", x.name, s.bad)
			}
			s.bad = nil
		})
	}
}

// I5: a name goes from a client that is removed to another one. It may go down where that one's file is refused since, as what is
// asked for waits for an approval by now; as long as the file stands it may not, nor where the other one has it already.
func TestI5SimANameOfWhoGoesThatIsRefusedSince(t *testing.T) {
	const host = "a.agency.example"
	for _, x := range []struct {
		name   string
		change func(s *story, a, b state.ClientID)
		goes   bool
	}{
		{"it passes on", func(*story, state.ClientID, state.ClientID) {}, false},
		{"the removal is held since", func(s *story, a, _ state.ClientID) { s.heldSince(a) }, true},
		{"and it has passed on", func(s *story, a, b state.ClientID) {
			s.heldSince(a)
			s.handed[host] = b
		}, false},
		{"another one's is held", func(s *story, _, b state.ClientID) { s.heldSince(b) }, false},
	} {
		told(t, func(s *story) {
			s.tree.specs["a"] = spec{name: "a", domain: "a", colour: "red", host: "vercel", db: "none"}
			s.tree.specs["b"] = spec{name: "b", domain: "b", colour: "red", host: "vercel", db: "none"}
			s.pushed("a", func(*spec) {})
			a, b := s.lives()["a"], s.lives()["b"]
			delete(s.tree.specs, "a")
			s.change("b", func(b *spec) { b.domain = "a" })
			s.commit(false)
			s.pollNow()
			if s.excused[host] {
				t.Errorf("%s: it may go as the head is accepted", x.name)
			}
			x.change(s, a, b)
			if s.refusedSince(); s.excused[host] != x.goes {
				t.Errorf("%s: it may go: %v", x.name, s.excused[host])
			}
		})
	}
}

// puts writes into the store.
func (s *story) puts(write func(store.Tx) error) {
	if err := s.store.Update(write); err != nil {
		s.Fatalf("%v", err)
	}
}

// heldSince lets the removals of a client, or of a part of it, wait for an approval.
func (s *story) heldSince(id state.ClientID) {
	for _, x := range s.tombstones(id) {
		x.Held, x.Done = "aa11", false
		s.puts(func(tx store.Tx) error { return store.PutTombstone(tx, x) })
	}
}

// I5: a client leaves a host, and a person forgot the record that leads its alias there. The alias may go with the name that it
// redirects to there, where that was given up; and where it leads to where the client is, or to a name that it has, it may not.
func TestI5SimAnAliasThatAPersonForgot(t *testing.T) {
	const host, alias = "a.agency.example", "www.a.example"
	for _, x := range []struct {
		name, at, to string // where the record leads, and what the alias redirects to there
		left, red    bool   // the client is at another host by now
	}{
		{"forgotten", "vercel", "gone.example", true, false},
		{"it leads to where the client is", "ploi", "gone.example", true, true},
		{"the client did not leave", "vercel", "gone.example", false, true},
		{"it leads to a name that the client has", "vercel", host, true, true},
	} {
		told(t, func(s *story) {
			s.tree.specs["a"] = spec{name: "a", domain: "a", colour: "red", host: "vercel", db: "none", aliases: []string{alias}}
			s.pushed("a", func(*spec) {})
			bound := s.bound(alias).ID
			if x.left {
				s.change("a", func(a *spec) { a.host = "ploi" })
				s.commit(false)
				s.pollNow()
			}
			s.vendors.world.Set(bound, "redirect", x.to)
			s.setByHand(url.Values{"type": {"A"}, "name": {alias}, "content": {addresses[x.at]}})
			s.vendors.world.Remove(s.bound(host).ID)
			delete(s.up, host)
			if s.stillServed("in a test"); (len(s.bad) > 0) != x.red {
				t.Errorf("%s: the law says %v", x.name, s.bad)
			}
			s.bad = nil
		})
	}
}

// goesTo binds a name to the site that has another one.
func (s *story) goesTo(host, other string) {
	s.vendors.world.Set(s.bound(host).ID, "site", attribute(s.bound(other), "site"))
}

// I7: a name may be led where nothing has it bound, or nothing serves, as long as nobody has seen that a person took that away.
func TestI7SimANameIsLedWhereAPersonTookItAway(t *testing.T) {
	const host = "a.agency.example"
	away := func(s *story) { s.vendors.world.Remove(s.bound(host).ID) }
	empty := func(s *story) { s.vendors.world.Remove(s.has(state.KindDeployment)) }
	for _, x := range []struct {
		name   string
		change func(s *story, a state.ClientID)
		red    bool
	}{
		{"it serves", func(*story, state.ClientID) {}, false},
		{"the program took it off its site", func(s *story, _ state.ClientID) { away(s) }, true},
		{"a person did", func(s *story, _ state.ClientID) { s.unbound[host] = true; away(s) }, false},
		{"a person did, once", func(s *story, _ state.ClientID) { s.unbound[host] = true; s.settledNow(); away(s) }, true},
		{"the program took away what serves", func(s *story, _ state.ClientID) { empty(s) }, true},
		{"a person did that", func(s *story, a state.ClientID) { s.altered[a] = true; empty(s) }, false},
		{"a person did that, once", func(s *story, a state.ClientID) { s.altered[a] = true; s.settledNow(); empty(s) }, true},
	} {
		told(t, func(s *story) {
			s.tree.specs["a"] = spec{name: "a", domain: "a", colour: "red", host: "vercel", db: "none"}
			s.tree.specs["b"] = spec{name: "b", domain: "b", colour: "red", host: "none", db: "none"}
			s.pushed("a", func(*spec) {})
			x.change(s, s.lives()["a"])
			s.inOrder(memory.Call{Verb: memory.Create, Kind: state.KindRecord, Client: s.lives()["b"], Name: "A " + host})
			if (len(s.bad) > 0) != x.red {
				t.Errorf("%s: the law says %v", x.name, s.bad)
			}
			s.bad = nil
		})
	}
}

// I5: a name is down. That is a person's doing where it is at a site of which a person took away what serves, or leads on by a name
// that a person let redirect to nowhere. Where the program took that away, or the name, it is the program's.
func TestI5SimANameThatAPersonTookDown(t *testing.T) {
	const host, other, alias = "a.agency.example", "b.agency.example", "www.a.example"
	for _, x := range []struct {
		name   string
		change func(s *story, a, b state.ClientID)
		red    bool
	}{
		{"the program takes it away", func(s *story, _, _ state.ClientID) { s.vendors.world.Remove(s.bound(host).ID) }, true},
		{"so it does of whose site a person has emptied", func(s *story, a, _ state.ClientID) {
			s.emptied[a] = true
			s.vendors.world.Remove(s.bound(host).ID)
		}, true},
		{"it goes to a site that a person has emptied", func(s *story, _, b state.ClientID) {
			s.emptied[b] = true
			s.goesToEmpty(host, other)
		}, false},
		{"it goes to one that nobody has", func(s *story, _, _ state.ClientID) { s.goesToEmpty(host, other) }, true},
		{"whose client a person has changed otherwise", func(s *story, _, b state.ClientID) {
			s.meddled[b] = true
			s.goesToEmpty(host, other)
		}, true},
		{"a person lets what it redirects to redirect to nowhere", func(s *story, _, _ state.ClientID) {
			s.vendors.world.Set(s.bound(host).ID, "redirect", byHandValue)
			delete(s.up, host)
		}, false},
		{"the program does", func(s *story, _, _ state.ClientID) {
			s.vendors.world.Set(s.bound(host).ID, "redirect", "gone.example")
			delete(s.up, host)
		}, true},
	} {
		told(t, func(s *story) {
			s.tree.specs["a"] = spec{name: "a", domain: "a", colour: "red", host: "vercel", db: "none", aliases: []string{alias}}
			s.tree.specs["b"] = spec{name: "b", domain: "b", colour: "red", host: "vercel", db: "none"}
			s.pushed("a", func(*spec) {})
			x.change(s, s.lives()["a"], s.lives()["b"])
			if s.serves(host) || s.serves(alias) {
				t.Errorf("%s: it is up: the test shows nothing", x.name)
			}
			delete(s.up, other)
			if s.stillServed("in a test"); (len(s.bad) > 0) != x.red {
				t.Errorf("%s: the law says %v", x.name, s.bad)
			}
			s.bad = nil
		})
	}
}

// goesToEmpty lets a name go to the site of another one, at which nothing serves any more.
func (s *story) goesToEmpty(host, other string) {
	to := s.bound(other)
	site := attribute(to, "site")
	for _, o := range s.vendors.world.Objects("") {
		if o.Kind == state.KindTraffic && attribute(o, "site") == site {
			s.vendors.world.Remove(o.ID)
		}
	}
	s.vendors.world.Edit(s.bound(host).ID, func(o *provider.Object) { o.Mark = to.Mark })
	s.vendors.world.Set(s.bound(host).ID, "site", site)
	for _, alias := range s.tree.specs["a"].aliases {
		delete(s.up, alias)
	}
}

// has is something of that kind that a client has.
func (s *story) has(kind state.Kind) string {
	all := s.vendors.world.Objects("")
	return all[slices.IndexFunc(all, func(o provider.Object) bool { return o.Kind == kind && o.Mark.Client != "" })].ID
}

// bound is a name as it is bound to a site.
func (s *story) bound(host string) provider.Object {
	for _, d := range s.vendors.world.Objects("") {
		if d.Kind == state.KindDomain && attribute(d, "host") == host {
			return d
		}
	}
	return provider.Object{}
}
