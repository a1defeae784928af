package reconcile_test

import (
	"errors"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// What a failed update leaves is the old version; what makes a law ask less of that leaves it red where the program is at fault.

// S24: a client fails, and another one has its name. That one may keep it if it would answer by none without it, as a person
// took its own one away, and if the first one has no other name that it could have.
func TestS24SimWhoHasNoNameMayKeepTheOneThatItTook(t *testing.T) {
	const host, own, alias = "a.agency.example", "b.agency.example", "www.a.example"
	for _, x := range []struct {
		name   string
		change func(s *story, b state.ClientID)
		red    bool
	}{
		{"a person took its own one away", func(*story, state.ClientID) {}, false},
		{"nobody did", func(s *story, b state.ClientID) { delete(s.meddled, b) }, true},
		{"it had its own one as its update began", func(s *story, b state.ClientID) { s.up[own] = b }, true},
		{"it never had one", func(s *story, b state.ClientID) { delete(s.everNamed, b) }, true},
		{"the other one's alias goes", func(s *story, _ state.ClientID) { s.vendors.world.Remove(s.bound(alias).ID) }, true},
		{"the name is nobody's", func(s *story, _ state.ClientID) { s.vendors.world.Remove(s.bound(host).ID) }, true},
	} {
		told(t, func(s *story) {
			s.tree.specs["a"] = spec{name: "a", domain: "a", colour: "red", host: "vercel", db: "none", aliases: []string{alias}}
			s.tree.specs["b"] = spec{name: "b", domain: "b", colour: "red", host: "vercel", db: "none"}
			s.pushed("a", func(*spec) {})
			s.noteOld()
			a, b := s.lives()["a"], s.lives()["b"]
			failed := s.client(a)
			failed.Status, failed.Because = state.StatusFailed, "vercel: the plan's quota is used up"
			s.puts(func(tx store.Tx) error { return store.PutClient(tx, failed) })
			if s.stillOld([]state.ClientID{a}); len(s.bad) > 0 {
				t.Errorf("it has its names, and the law says %v", s.bad)
			}
			s.goesTo(host, own)
			s.vendors.world.Remove(s.bound(own).ID)
			s.meddled[b] = true
			delete(s.up, own)
			x.change(s, b)
			if s.stillOld([]state.ClientID{a}); (len(s.bad) > 0) != x.red {
				t.Errorf("%s: the law says %v", x.name, s.bad)
			}
			s.bad = nil
		})
	}
}

// I5, S24: a person changed something of a client. Nothing is said of what serves it when its update fails, until it has all again
// that it wishes: from then on its old version is that.
func TestI5SimWhoHasAllAgainThatAPersonChanged(t *testing.T) {
	const host = "a.agency.example"
	for _, x := range []struct {
		name   string
		change func(s *story, env string)
		red    bool
	}{
		{"all is as it was", func(*story, string) {}, true},
		{"its environment is another one", func(s *story, env string) { s.vendors.world.Set(env, "env.COLOUR", "blue") }, false},
		{"its environment is gone", func(s *story, env string) { s.vendors.world.Remove(env) }, false},
		{"its record is gone", func(s *story, _ string) { s.vendors.world.Remove(s.has(state.KindRecord)) }, false},
	} {
		told(t, func(s *story) {
			s.tree.specs["a"] = spec{name: "a", domain: "a", colour: "red", host: "vercel", db: "none"}
			s.pushed("a", func(*spec) {})
			a := s.lives()["a"]
			s.altered[a] = true
			x.change(s, s.has(state.KindEnvironment))
			s.settledNow()
			s.noteOld()
			failed := s.client(a)
			failed.Status, failed.Because = state.StatusFailed, "Your site still runs the old version. vercel: the plan's quota is used up"
			s.puts(func(tx store.Tx) error { return store.PutClient(tx, failed) })
			s.vendors.world.Remove(s.bound(host).ID)
			if s.stillOld([]state.ClientID{a}); (len(s.bad) > 0) != x.red {
				t.Errorf("%s: the law says %v", x.name, s.bad)
			}
			s.bad = nil
		})
	}
}

// I5, S24: an update waits in its middle, and what it brought is at work there: for a newer update that begins and fails that is the
// old version. It isn't where its site was not asked since, or answered badly, where it is put back, where its environment is
// another one by now, where its data moves with it, nor as long as the update is the same one.
func TestI5SimWhatAnUpdateBroughtInItsMiddle(t *testing.T) {
	const host = "a.agency.example"
	newer := func(d *state.Deployment) { d.ID, d.Commit = d.ID+"-newer", "0fff" }
	for _, x := range []struct {
		name  string
		wait  func(c *state.Client)        // how it waits
		asked bool                         // its site was, and answered well
		next  func(d *state.Deployment)    // its next pass
		touch func(r *state.Resource) bool // what is on record
		is    bool
	}{
		{name: "at work", asked: true, next: newer, is: true},
		{name: "nobody asked", next: newer},
		{name: "it answers badly", wait: func(c *state.Client) { c.Health = state.Degraded }, asked: true, next: newer},
		{name: "it is put back", wait: func(c *state.Client) { c.RollingBack = "it failed" }, asked: true, next: newer},
		{name: "its data moves", wait: func(c *state.Client) { c.Undo = append(c.Undo, state.Undo{Ref: state.Ref{Kind: state.KindDatabase}}) }, asked: true, next: newer},
		{name: "a name came to it", wait: func(c *state.Client) { c.Undo[0].Prior.Ref.Client = "b" }, asked: true, next: newer},
		{name: "its environment is another one", asked: true, next: newer, touch: func(r *state.Resource) bool { return r.Ref.Kind == state.KindEnvironment }},
		{name: "the same update goes on", asked: true, next: func(d *state.Deployment) { d.ID, d.Steps = d.ID+"-same", nil }},
		{name: "the same pass", asked: true, next: func(*state.Deployment) {}},
		{name: "a secret was set, and it is built again", asked: true, next: func(d *state.Deployment) {
			d.ID, d.Steps = d.ID+"-same", []state.StepRun{{Ref: state.Ref{Kind: state.KindDeployment}, Action: string(plan.Create)}}
		}, is: true},
	} {
		told(t, func(s *story) {
			s.tree.specs["a"] = spec{name: "a", domain: "a", colour: "red", host: "vercel", db: "none"}
			s.pushed("a", func(*spec) {})
			a := s.lives()["a"]
			before := version{id: "before", of: a}
			s.old[host] = before
			c := s.client(a)
			d, _ := s.audited(c)
			var led state.Resource
			for _, r := range s.resources(a) {
				if r.Ref.Kind == state.KindTraffic {
					led = r
				}
			}
			c.Undo = []state.Undo{{Ref: led.Ref, Prior: led}}
			c.Health, c.HealthAt = state.Healthy, led.UpdatedAt.Add(time.Minute)
			if x.wait != nil {
				x.wait(&c)
			}
			put := func(tx store.Tx) error {
				for _, r := range s.resources(a) {
					if x.touch != nil && x.touch(&r) {
						r.UpdatedAt = led.UpdatedAt.Add(time.Second)
						c.Undo = append(c.Undo, state.Undo{Ref: r.Ref, Prior: r})
						if err := store.PutResource(tx, r); err != nil {
							return err
						}
					}
				}
				return store.PutClient(tx, c)
			}
			s.puts(put)
			if x.asked {
				s.noteProbed()
			}
			s.noteOld()
			x.next(&d)
			c.Deployment = d.ID
			s.puts(func(tx store.Tx) error { return errors.Join(store.PutDeployment(tx, d), store.PutClient(tx, c)) })
			s.leaveAtWork()
			if is := s.old[host] != before; is != x.is {
				t.Errorf("%s: the old version is what it brought: %v", x.name, is)
			}
		})
	}
}

// I5: a client fails, and one of its names is served by another client. That is right where that one wishes for it, or for the name
// that it redirects to; else the program gave away what was not asked for.
func TestI5SimANameThatAnotherClientWishes(t *testing.T) {
	const host, other, alias = "a.agency.example", "b.agency.example", "www.a.example"
	for _, x := range []struct {
		name   string
		change func(s *story, b *spec)
		red    bool
	}{
		{"its own serves it", func(*story, *spec) {}, false},
		{"another one has it, and wishes for it", func(s *story, b *spec) { s.goesTo(host, other); b.domain = "a" }, false},
		{"another one has it", func(s *story, _ *spec) { s.goesTo(host, other) }, true},
		{"another one wishes for it, and has an alias of it alone", func(s *story, b *spec) { s.goesTo(alias, other); b.domain = "a" }, true},
		{"that redirects to it", func(s *story, b *spec) {
			s.goesTo(alias, other)
			s.vendors.world.Set(s.bound(alias).ID, "redirect", host)
			b.domain = "a"
		}, false},
		{"nobody has it", func(s *story, b *spec) { s.vendors.world.Remove(s.bound(host).ID); b.domain = "a" }, true},
	} {
		told(t, func(s *story) {
			s.tree.specs["a"] = spec{name: "a", domain: "a", colour: "red", host: "vercel", db: "none", aliases: []string{alias}}
			s.tree.specs["b"] = spec{name: "b", domain: "b", colour: "red", host: "vercel", db: "none"}
			s.pushed("a", func(*spec) {})
			a, b := s.lives()["a"], s.lives()["b"]
			s.vendors.world.Set(s.bound(alias).ID, "redirect", "")
			s.noteOld()
			failed := s.client(a)
			failed.Status, failed.Because = state.StatusFailed, "Your site still runs the old version. vercel: the plan's quota is used up"
			s.puts(func(tx store.Tx) error { return store.PutClient(tx, failed) })
			blob := s.client(b).Blob
			wish := s.bySpec[blob]
			x.change(s, &wish)
			s.bySpec[blob] = wish
			if s.stillOld([]state.ClientID{a}); (len(s.bad) > 0) != x.red {
				t.Errorf("%s: the law says %v", x.name, s.bad)
			}
			s.bad = nil
		})
	}
}

// I5: what served before is what newer updates that fail leave, until the host that it is at has let the name go as another vendor
// has it: and who could not be put back, and gets no name back from anybody any more, is left with what it has.
func TestI5SimWhatServedBefore(t *testing.T) {
	const host, elsewhere = "a.agency.example", "rel-ploi-0a1b2c3d-1"
	told(t, func(s *story) {
		s.tree.specs["a"] = spec{name: "a", domain: "a", colour: "red", host: "vercel", db: "none"}
		s.tree.specs["b"] = spec{name: "b", domain: "b", colour: "red", host: "vercel", db: "none"}
		s.pushed("a", func(*spec) {})
		a, b := s.lives()["a"], s.lives()["b"]
		now := s.version(host).id
		lets := func(what, release, newer string, want bool) {
			t.Helper()
			if got := s.letGoBy(release, host, newer); got != want {
				t.Errorf("%s: its host has let it go: %v", what, got)
			}
		}
		lets("bound", now, elsewhere, false)
		kept := func(what string, want bool) {
			t.Helper()
			if got := s.keptWithout(s.client(a)); got != want {
				t.Errorf("%s: it is left with what it has: %v", what, got)
			}
		}
		kept("put back", false)
		s.lostBefore[a] = true
		kept("not put back", true)
		was := s.client(b)
		gives := was
		gives.Undo = []state.Undo{{Ref: state.Ref{Client: b, Kind: state.KindDomain, Name: host}, Prior: state.Resource{Ref: state.Ref{Client: a, Kind: state.KindDomain, Name: host}}}}
		s.puts(func(tx store.Tx) error { return store.PutClient(tx, gives) })
		kept("another one has a name to give back", false)
		gives.Undo[0].Kept = true
		s.puts(func(tx store.Tx) error { return store.PutClient(tx, gives) })
		kept("which it keeps", true)
		s.puts(func(tx store.Tx) error { return store.PutClient(tx, was) })
		begun := s.client(a)
		begun.Run = "r1"
		s.puts(func(tx store.Tx) error { return store.PutClient(tx, begun) })
		kept("another update has begun", false)
		s.vendors.world.Remove(s.bound(host).ID)
		lets("nobody has it", now, "", false)
		lets("its own host has another release", now, now+"-newer", false)
		lets("another vendor has it", now, elsewhere, true)
		s.vendors.world.Remove(now)
		lets("what served is gone", now, elsewhere, false)
	})
}
