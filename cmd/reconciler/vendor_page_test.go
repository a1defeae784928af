package main

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/simulator"
)

// P3: who stands before a vendor answers a write with a page and 200 (maintenance, a login of the network). That is no success:
// what was to be deleted is on record until it is gone.
func TestP3PageInPlaceOfAnAnswer(t *testing.T) {
	t.Parallel()
	for vendor, c := range map[string]struct{ manifest, path, what string }{
		"vercel": {atVercel("demoshop", "database: {provider: none}", "env: {DATABASE_URL: {none: true}}"), "/v9/projects/*", "vercel project demoshop"},
		"ploi":   {atPloi("demoshop", "database: {provider: none}", "env: {DATABASE_URL: {none: true}}"), "/api/servers/*/sites/*", "ploi site demoshop"},
	} {
		t.Run(vendor, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, usual(), map[string]string{"clients/bakery.yaml": atVercel("bakery", "database: {provider: none}", "env: {DATABASE_URL: {none: true}}")})
			f.configure("guard: {maxDeletePercent: 100}\n")
			f.commit(map[string]string{"clients/demoshop.yaml": c.manifest})
			f.settle("bakery", "demoshop")
			there := func(thing string) bool { return thing == c.what }
			if !slices.ContainsFunc(f.things(), there) {
				t.Fatalf("%q", f.things())
			}
			f.faults[vendor].Add(simulator.Fault{Times: 6, Method: http.MethodDelete, Path: c.path, Do: simulator.Refuse(http.StatusOK, pageType(), "<html><h1>We will be back soon</h1></html>")})
			f.commit(map[string]string{"clients/demoshop.yaml": ""})
			for range 3 {
				f.apply()
				f.clock.add(time.Hour)
			}
			f.faults[vendor].Clear()
			for range 4 {
				f.apply()
				f.clock.add(2 * time.Hour)
			}
			if slices.ContainsFunc(f.things(), there) {
				t.Errorf("the site serves on, on no record: %q", f.things())
			}
		})
	}
}
