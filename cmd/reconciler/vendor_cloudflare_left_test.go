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
