package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

// P9: Vercel takes a promotion (202) and does nothing of it. The client is not told as active with its change while it serves
// the version before, says which one serves, and `retry` promotes the new one.
func TestP9PromotionThatIsTakenAndNotMade(t *testing.T) {
	t.Parallel()
	light := func(currency string) map[string]string {
		return map[string]string{"clients/bakery.yaml": atVercel("bakery", "database: {provider: none}", "env: {DATABASE_URL: {none: true}, STORE_CURRENCY: "+currency+"}")}
	}
	f := newFleet(t, usual(), light("EUR"))
	f.settle("bakery")
	f.faults["vercel"].Add(simulator.Fault{Times: -1, Method: http.MethodPost, Path: "/v10/projects/*/promote/*", Do: simulator.Refuse(http.StatusAccepted, jsonType(), "")})
	f.commit(light("USD"))
	for range 3 {
		f.apply()
		f.clock.add(time.Hour)
	}
	if _, page := f.visit(site("bakery"), "/"); !strings.Contains(page, currencyWord+"EUR") {
		t.Fatalf("it serves %s", page)
	}
	if r := f.why("bakery"); r.Status != string(state.StatusFailed) || !strings.Contains(r.Because, "vercel took the promotion, and after 10m0s dpl_") {
		t.Errorf("bakery is %s: %s", r.Status, r.Because)
	}
	f.faults["vercel"].Clear()
	f.cli("retry", "bakery")
	f.settle("bakery")
	if _, page := f.visit(site("bakery"), "/"); !strings.Contains(page, currencyWord+"USD") {
		t.Errorf("it serves %s", page)
	}
}
