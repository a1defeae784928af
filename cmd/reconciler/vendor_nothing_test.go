package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

// P9: a vendor answers a write with success, and with nothing of what was written: it is looked at what became of it. A client
// is not told as active with variables that it does not have, and DNS does not lead to a site that does not know the name.
func TestP9SuccessThatSaysNothing(t *testing.T) {
	t.Parallel()
	light := func(at func(string, ...string) string, currency string) map[string]string {
		return map[string]string{"clients/bakery.yaml": at("bakery", "database: {provider: none}", "env: {DATABASE_URL: {none: true}, STORE_CURRENCY: "+currency+"}")}
	}
	nothing := simulator.Refuse(http.StatusOK, jsonType(), `{}`)
	t.Run("variables at Vercel", func(t *testing.T) {
		t.Parallel()
		f := newFleet(t, usual(), light(atVercel, "EUR"))
		f.settle("bakery")
		f.faults["vercel"].Add(simulator.Fault{Times: -1, Method: http.MethodPost, Path: "/v10/projects/*/env", Do: nothing})
		f.commit(light(atVercel, "USD"))
		for range 3 {
			f.apply()
			f.clock.add(time.Hour)
		}
		if r := rowOf(f.status(), "bakery"); r.Status == string(state.StatusActive) {
			t.Errorf("it is %s with %q", r.Status, f.environment("bakery")["STORE_CURRENCY"])
		}
		f.faults["vercel"].Clear()
		f.settle("bakery")
		if _, page := f.visit(site("bakery"), "/"); !strings.Contains(page, currencyWord+"USD") {
			t.Errorf("it serves %s", page)
		}
	})
	t.Run("a name at Ploi", func(t *testing.T) {
		t.Parallel()
		f := newFleet(t, usual(), light(atVercel, "EUR"))
		f.settle("bakery")
		f.faults["ploi"].Add(simulator.Fault{Times: -1, Method: http.MethodPost, Path: "/api/servers/*/sites/*/aliases", Do: nothing})
		f.commit(light(atPloi, "EUR"))
		for range 3 {
			f.apply()
			for _, h := range f.status().Holds {
				f.cli("approve", h.Fingerprint)
			}
			f.clock.add(10 * time.Minute)
		}
		if code, _ := f.visit(site("bakery"), "/"); code != http.StatusOK {
			t.Errorf("people get %d: %s", code, rowOf(f.status(), "bakery").Because)
		}
		f.faults["ploi"].Clear()
		for range 3 {
			f.clock.add(30 * time.Minute)
			f.apply()
		}
		f.settle("bakery")
	})
}
