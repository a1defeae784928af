package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	cloudflaresim "github.com/compassdigital/reconciler/internal/provider/cloudflare/simulated"
	"github.com/compassdigital/reconciler/internal/state"
)

// A customer leaves and takes the domain along: its zone is another account's before the client is removed, or its alias
// let go. What is there nobody here can take away, so a person is asked, and says that it may stay: all else goes.
func TestP6WhatIsInAZoneThatLeftStaysOnceAPersonSaysSo(t *testing.T) {
	for how, next := range map[string]string{"the client is removed": "", "the name is let go": atVercel("tavern")} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, usual(), map[string]string{"clients/keeper.yaml": atVercel("keeper"), "clients/tavern.yaml": atVercel("tavern", "aliases: [inn.shops.agency.example]")})
			f.cloudflare.AddZone(cloudflaresim.Zone{ID: "zone2", Name: "shops.agency.example", Account: "agency"})
			if _, err := f.cloudflare.Add(cloudflaresim.Record{Zone: f.zone(), Type: "NS", Name: "shops.agency.example", Content: "ada.ns.cloudflare.example", TTL: 3600}); err != nil {
				t.Fatal(err)
			}
			f.settle("keeper")
			f.settle("tavern")
			there := f.cloudflare.Records("zone2")
			if len(there) != 1 {
				t.Fatalf("in its zone there are %v", there)
			}
			if err := f.cloudflare.Change("zone2", func(z *cloudflaresim.Zone) { z.Hidden = true }); err != nil {
				t.Fatal(err)
			}
			f.clock.add(time.Hour)
			f.commit(map[string]string{"clients/tavern.yaml": next})
			f.apply()
			r := rowOf(f.status(), "tavern")
			if r.Status != string(state.StatusHeld) || !strings.Contains(r.Because, "stays at cloudflare") || !strings.Contains(r.Next, "reconciler approve ") {
				t.Fatalf("tavern is %s: %q; next %q", r.Status, r.Because, r.Next)
			}
			f.must(0, "approve", strings.Trim(strings.Fields(strings.SplitN(r.Next, "reconciler approve ", 2)[1])[0], "`"))
			f.apply()
			r = rowOf(f.status(), "tavern")
			if want := map[string]string{"": "retained"}[next]; next != "" && r.Status != string(state.StatusActive) || next == "" && r.Status != want {
				t.Errorf("tavern is %s: %s", r.Status, r.Because)
			}
			if got := f.cloudflare.Records("zone2"); len(got) != len(there) {
				t.Errorf("in its zone there are %v", got)
			}
			if next == "" && slices.ContainsFunc(f.vercel.Projects(), func(p string) bool { return strings.HasPrefix(p, "tavern") }) {
				t.Errorf("left at vercel: %v", f.vercel.Projects())
			}
		})
	}
}

// A customer takes the DNS over, and stays: the zone is another account's, and the manifest says dns.provider external. What is
// there nobody here can take away, so a person is asked, and says that it may stay: the client goes on.
func TestP6WhoTakesTheirZoneAlongGoesOn(t *testing.T) {
	t.Parallel()
	f := newFleet(t, usual(), siteOnly(atVercel))
	f.settle("a")
	f.cloudflare.AddZone(cloudflaresim.Zone{ID: "zone2", Name: "other.example", Account: "agency"})
	if err := f.cloudflare.Change(f.zone(), func(z *cloudflaresim.Zone) { z.Hidden = true }); err != nil {
		t.Fatal(err)
	}
	f.clock.add(time.Hour)
	f.commit(siteOnly(atVercel, "dns: {provider: external}", "aliases: [www."+site("a")+"]"))
	f.apply()
	r := rowOf(f.status(), "a")
	if !strings.Contains(r.Because+r.Next+holdsOf(f), "record A "+site("a")+" stays at cloudflare") {
		t.Fatalf("a is %s: %q; next %q; held: %s", r.Status, r.Because, r.Next, holdsOf(f))
	}
	f.approveAll()
	f.apply()
	if r = rowOf(f.status(), "a"); !strings.Contains(r.Because, "Set the record A www."+site("a")) {
		t.Errorf("a is %s: %q; held: %s", r.Status, r.Because, holdsOf(f))
	}
	f.commit(siteOnly(atVercel, "dns: {provider: external}"))
	f.clock.add(time.Hour)
	f.settle("a")
	if got := f.cloudflare.Records(f.zone()); !slices.ContainsFunc(got, func(r cloudflaresim.Record) bool { return r.Name == site("a") }) {
		t.Errorf("in its zone there are %v", got)
	}
}

// holdsOf are what is held, in words.
func holdsOf(f *fleet) (text string) {
	for _, h := range f.status().Holds {
		text += h.Reason + "; "
	}
	return text
}

// A record that was found at Cloudflare, not made, stays there when somebody else is to answer for the name: nobody has to take
// it away, and the name with it, before the client goes on.
func TestRuleFoundRecordStaysWhenAnotherProviderAnswers(t *testing.T) {
	t.Parallel()
	f := newFleet(t, usual(), siteOnly(atVercel))
	theirs := cloudflaresim.Record{Zone: f.zone(), Type: "A", Name: site("a"), Content: "76.76.21.21", TTL: 300}
	if _, err := f.cloudflare.Add(theirs); err != nil {
		t.Fatal(err)
	}
	f.settle("a")
	change := f.commit(siteOnly(atVercel, "dns: {provider: external}"))
	f.settle("a")
	f.revert(change)
	for range 3 { // to be without a person's record is a time without service
		f.apply()
		f.approveAll()
	}
	f.settle("a")
	f.commit(siteOnly(atVercel, "dns: {provider: none}"))
	f.settle("a")
	if got := f.cloudflare.Answers("A", site("a")); !slices.Equal(got, []string{"76.76.21.21"}) {
		t.Errorf("the name leads to %v", got)
	}
}

// A record that a person is to set in place of ours, at once with another host: what is held says how long nobody answers for the
// name, and not only how long its certificate takes.
func TestRuleRecordThatAPersonIsToSetInPlaceOfOurs(t *testing.T) {
	t.Parallel()
	f := newFleet(t, usual(), siteOnly(atPloi))
	f.settle("a")
	f.commit(siteOnly(atVercel, "dns: {provider: external}"))
	f.apply()
	if held := holdsOf(f); !strings.Contains(held, "nobody answers for it until a person has set it") || strings.Contains(held, "about a minute") {
		t.Errorf("held: %s", held)
	}
	if plan := f.must(0, "plan").out; !strings.Contains(plan, "until a person has set it") {
		t.Errorf("the plan says:\n%s", plan)
	}
}
