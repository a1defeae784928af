package reconcile_test

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/state"
)

// leftBeside moves a site to another host, or one of its names to another client's at another host, and whoever sets
// the records leaves the old ones beside the new ones. Some set those before the commit.
func (s *story) leftBeside() {
	a, b, ok := s.some()
	if !ok {
		return
	}
	hands, before := s.besidesN(1, "to another client") == 1, s.besidesN(1, "before the commit") == 1
	s.say("%s moves to another host (or a name of it, to %s: %v), and its old records are left; the new ones are set before: %v", a, b, hands, before)
	other := map[string]string{"vercel": "ploi", "ploi": "vercel"}
	x, y := s.tree.specs[a], s.tree.specs[b]
	if x.adopts == "both" || y.adopts == "both" {
		return // a site that lived before is where it is
	}
	if x.byHand = true; hands {
		y.byHand, y.host = true, other[x.host]
		free := slices.DeleteFunc(slices.Clone(fleetAliases), func(alias string) bool {
			return slices.ContainsFunc(s.tree.names(), func(n string) bool { return n != a && slices.Contains(s.tree.specs[n].claims(), alias) })
		})
		if len(free) == 0 {
			return
		}
		if len(x.aliases) == 0 {
			x.aliases = free[:1]
		}
	}
	s.tree.specs[a], s.tree.specs[b] = x, y
	s.commit(false)
	s.doAsAsked(10*time.Minute, s.setByHand)
	s.doAsAsked(10*time.Minute, s.setByHand)
	at := s.atWork()
	if x, y = s.tree.specs[a], s.tree.specs[b]; !slices.Contains(at, a) || hands && (!slices.Contains(at, b) || len(x.aliases) == 0) {
		return
	}
	moves, to := x.hosts(), other[x.host]
	if hands {
		moves = x.aliases[:1]
		x.aliases, y.aliases = x.aliases[1:], append(slices.Clone(y.aliases), moves[0])
	} else {
		x.host = to
	}
	if own := s.lives()[a]; slices.ContainsFunc(s.claims(), func(c state.Claim) bool {
		return c.Client != own && slices.Contains(moves, strings.TrimPrefix(c.Key, "host:"))
	}) {
		return // it asks for one that another client has still
	}
	for _, host := range moves {
		if before {
			s.setBeside(url.Values{"type": {"A"}, "name": {host}, "content": {addresses[to]}})
		}
	}
	s.tree.specs[a], s.tree.specs[b] = x, y
	s.commit(false)
	for _, after := range []time.Duration{10 * time.Minute, 20 * time.Minute, time.Hour, 7 * time.Hour} {
		s.doAsAsked(after, s.leaves)
	}
}

// leaves sets a record, and leaves those that were there.
func (s *story) leaves(v url.Values) {
	if v.Get("type") != "A" {
		s.setByHand(v)
		return
	}
	s.say("by hand: beside what is there, set A %s", v.Get("name"))
	s.setBeside(v)
}

// doAsAsked passes whoever is due, approves what waits, and lets people set the records that they are asked for.
func (s *story) doAsAsked(after time.Duration, set func(url.Values)) {
	s.pollNow()
	s.passDue(6)
	s.approveAll() // a name may be away meanwhile
	s.passDue(6)
	for _, v := range s.asked() {
		set(v)
	}
	s.later(after)
	s.passDue(6)
	s.sofar()
}

// ledStays: what serves a name stays for as long as a record that a person keeps leads people there, also once
// the name is served at another host: it is the one of the two that whoever asks DNS may come to. Where the name goes to
// another client, and a record of ours led to the old owner's site, it goes with the name: DNS answered for both.
func (s *story) ledStays(c memory.Call) {
	if c.Moment != memory.Before || c.Verb != memory.Delete || s.chaos.gone() {
		return
	}
	o, _ := s.vendors.world.Object(c.ID)
	if c.Kind == state.KindRecord {
		s.ours[o.Mark.Client] = append(s.ours[o.Mark.Client], attribute(o, "name"))
	}
	host, owner := attribute(o, "host"), s.client(o.Mark.Client)
	if c.Kind != state.KindDomain || host == "" || owner.Removed || owner.RollingBack != "" || !s.vendors.world.Answers(attribute(o, "site")) || !s.ledByHand(host, addresses[c.Provider]) {
		return
	}
	for _, w := range s.clients() {
		if w.ID != owner.ID && slices.Contains(s.ours[owner.ID], host) {
			continue
		}
		x, known := s.bySpec[w.Blob]
		if known && !w.Removed && w.RollingBack == "" && x.byHand && x.host != c.Provider && slices.Contains(x.hosts(), host) {
			s.broken("a person's record leads %s to %s, and its side there goes; it is %s's, at %s", host, c.Provider, w.ID, x.host)
		}
	}
}

// ledByHand says that a record that a person keeps leads a name to an address.
func (s *story) ledByHand(host, to string) bool {
	return slices.ContainsFunc(s.vendors.world.Objects(outside), func(o provider.Object) bool {
		return attribute(o, "type") == "A" && attribute(o, "name") == host && attribute(o, "content") == to
	})
}
