package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/simulator"
)

// S41: Ploi's token lost the permission to deploy. The release that a site has is not told as gone, and a look that found it
// gone says so no longer than it serves; who waits is told which permission is missing, and what to do. With the permission
// all is done by itself.
func TestS41WhatServesWhileDeployingIsRefused(t *testing.T) {
	t.Parallel()
	light := func(currency string) map[string]string {
		return map[string]string{"clients/demoshop.yaml": atPloi("demoshop", "database: {provider: none}", "env: {DATABASE_URL: {none: true}, STORE_CURRENCY: "+currency+"}")}
	}
	f := newFleet(t, usual(), light("EUR"))
	f.start()
	f.settle("demoshop")
	f.faults["ploi"].Add(simulator.Fault{Times: -1, Method: http.MethodPost, Path: "/api/servers/*/sites/*/deploy", Do: simulator.Refuse(http.StatusForbidden, jsonType(), `{"message":"This action is unauthorized."}`)})
	f.commit(light("USD"))
	for range 3 {
		f.apply()
		f.clock.add(10 * time.Minute)
	}
	if r := rowOf(f.status(), "demoshop"); !strings.Contains(r.Because, "This action is unauthorized") || !strings.Contains(r.Because, "deploy") || !strings.Contains(r.Because, "providers.ploi.apiToken") {
		t.Errorf("it is %s: %s", r.Status, r.Because)
	}
	look := func(when string) {
		t.Helper()
		if err := f.daemon.program.watchDrift(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, d := range f.why("demoshop").DriftRows {
			t.Errorf("%s: %s; %s", when, d.Text, d.Next)
		}
	}
	look("while deploying is refused")
	f.faults["ploi"].Clear()
	f.clock.add(time.Hour)
	f.settle("demoshop")
	f.clock.add(time.Hour)
	look("afterwards")
	if code, page := f.visit(site("demoshop"), "/"); code != http.StatusOK || !strings.Contains(page, currencyWord+"USD") {
		t.Errorf("it serves %d %s", code, page)
	}
}
