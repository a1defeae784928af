package reconcile_test

import (
	"slices"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/state"
)

// leftBeside moves a site to another host, and whoever sets its records leaves the old ones beside the new ones.
func (s *story) leftBeside() {
	a, _, ok := s.some()
	if !ok {
		return
	}
	x := s.tree.specs[a]
	s.say("%s moves to another host, and its old records are left", a)
	round := func(after time.Duration, set func(v map[string][]string)) {
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
	byHand := func(v map[string][]string) { s.setByHand(v) }
	if !x.byHand {
		x.byHand = true
		s.tree.specs[a] = x
		s.commit(false)
		round(10*time.Minute, byHand)
		round(10*time.Minute, byHand)
	}
	if x = s.tree.specs[a]; !slices.Contains(s.atWork(), a) {
		return
	}
	x.host = map[string]string{"vercel": "ploi", "ploi": "vercel"}[x.host]
	s.tree.specs[a] = x
	s.commit(false)
	beside := func(v map[string][]string) {
		if slices.Equal(v["type"], []string{"A"}) {
			s.say("by hand: beside what is there, set A %s", v["name"])
			s.setBeside(v)
		} else {
			s.setByHand(v)
		}
	}
	round(10*time.Minute, beside)
	for _, after := range []time.Duration{20 * time.Minute, time.Hour, 7 * time.Hour} {
		round(after, beside)
	}
}

// ledStays: what serves a name stays for as long as a record that a person keeps leads people there, also once
// the name is served at another host: it is the one of the two that whoever asks DNS may come to.
func (s *story) ledStays(c memory.Call) {
	if c.Moment != memory.Before || c.Verb != memory.Delete || c.Kind != state.KindDomain || s.chaos.gone() {
		return
	}
	o, _ := s.vendors.world.Object(c.ID)
	host, owner := attribute(o, "host"), s.client(o.Mark.Client)
	if host == "" || owner.Removed || owner.RollingBack != "" || !s.vendors.world.Answers(attribute(o, "site")) || !s.ledByHand(host, addresses[c.Provider]) {
		return
	}
	for _, w := range s.clients() {
		if w.ID != owner.ID && !s.bySpec[owner.Blob].byHand {
			continue // a record of its own led there, too, and goes with the name: DNS answered for both
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
