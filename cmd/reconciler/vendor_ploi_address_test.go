package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

// S32: a server at Ploi has no address yet (it is being made). A site that is made on it then is told so, nothing is recorded as
// its address, and what its client is told to do helps once there is one.
func TestS32ServerThatHasNoAddressYet(t *testing.T) {
	t.Parallel()
	f := newFleet(t, usual(), nil)
	f.faults["ploi"].Add(simulator.Fault{Times: -1, Method: http.MethodGet, Path: "/api/servers/*", Do: simulator.Refuse(http.StatusOK, jsonType(), `{"data":{"id":1,"name":"web-1","type":"server","status":"building","ip_address":null}}`)})
	f.commit(map[string]string{"clients/demoshop.yaml": atPloi("demoshop", "database: {provider: none}", "env: {DATABASE_URL: {none: true}}")})
	for range 2 {
		f.apply()
		f.clock.add(time.Hour)
	}
	if r := rowOf(f.status(), "demoshop"); r.Status == string(state.StatusActive) || strings.Contains(r.Because, "cloudflare") {
		t.Errorf("it is %s: %s", r.Status, r.Because)
	}
	f.faults["ploi"].Clear()
	f.cli("retry", "demoshop")
	f.settle("demoshop")
}
