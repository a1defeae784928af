package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider/vercel/simulated"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

// P3: `providers.vercel.teamID` is lost (another machine, a new .env): Vercel says 404 of each project. None is gone, so that
// a client that goes waits for it, with what to set, and a change makes nothing anew. Once it is there again all is done.
func TestP3ProjectsOfATeamThatIsNotNamed(t *testing.T) {
	t.Parallel()
	light := func(name, currency string) map[string]string {
		return map[string]string{"clients/" + name + ".yaml": atVercel(name, "database: {provider: none}", "env: {DATABASE_URL: {none: true}, STORE_CURRENCY: "+currency+"}")}
	}
	f := newFleet(t, usual(), light("bakery", "EUR"))
	f.configure("guard: {maxDeletePercent: 100}\n")
	f.commit(light("demoshop", "EUR"))
	f.settle("bakery", "demoshop")
	const team = "RECONCILER_PROVIDERS_VERCEL_TEAM_ID"
	f.env[team] = ""
	f.commit(light("bakery", "USD"))
	f.commit(map[string]string{"clients/demoshop.yaml": ""})
	for range 4 {
		f.apply()
		f.clock.add(time.Hour)
	}
	for _, name := range []string{"bakery", "demoshop"} {
		if !slices.Contains(f.things(), "vercel project "+name) {
			t.Errorf("the project of %s is gone", name)
		}
		if r := f.why(name); !strings.Contains(r.Because, "set providers.vercel.teamID to "+agencyTeam) {
			t.Errorf("%s is %s: %s", name, r.Status, r.Because)
		}
	}
	f.env[team] = agencyTeam
	f.settle("bakery")
	for range 4 {
		f.apply()
		f.clock.add(time.Hour)
	}
	if slices.Contains(f.things(), "vercel project demoshop") {
		t.Error("the project of demoshop serves on")
	}
	if got := f.environment("bakery")["STORE_CURRENCY"]; got != "USD" || rowOf(f.status(), "bakery").Status != string(state.StatusActive) {
		t.Errorf("bakery has %s", got)
	}
}

// Vercel's token may not ask how a name is configured: who waits for that is told so, and not only that DNS takes its time.
func TestRuleANameThatVercelDoesNotSpeakOf(t *testing.T) {
	t.Parallel()
	f := newFleet(t, usual(), nil)
	f.faults["vercel"].Add(simulator.Fault{Times: -1, Method: http.MethodGet, Path: "/v6/domains/*/config", Do: simulator.Refuse(http.StatusForbidden, jsonType(), `{"error":{"code":"forbidden","message":"You don't have permission to access this resource."}}`)})
	f.commit(map[string]string{"clients/bakery.yaml": atVercel("bakery", "database: {provider: none}", "env: {DATABASE_URL: {none: true}}")})
	for range 3 {
		f.apply()
		f.clock.add(10 * time.Minute)
	}
	if r := rowOf(f.status(), "bakery"); !strings.Contains(r.Because, "the token may not do this") {
		t.Errorf("it is %s: %s", r.Status, r.Because)
	}
	f.faults["vercel"].Clear()
	f.clock.add(time.Hour)
	f.settle("bakery")
}

// VERCEL_TEAM_ID is lost, or is that of another team of the same people, while a client's site is in the team of
// before: that is not gone. A change and a removal wait, and say where it is; the team is named again: both are done.
func TestP3SiteInAnotherTeam(t *testing.T) {
	for name, team := range map[string]string{"left out": "", "another": "team_other"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newVercelWorld(t, func(o *simulated.Options) { o.Others = []string{"team_other"} })
			shop := func(more ...string) map[string]string {
				return map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", append([]string{"deployment: {provider: vercel}", "database: {provider: sqlite}"}, more...)...)}
			}
			in := func(id string) {
				if w.env["RECONCILER_PROVIDERS_VERCEL_TEAM_ID"] = id; id == "" {
					delete(w.env, "RECONCILER_PROVIDERS_VERCEL_TEAM_ID")
				}
			}
			w.commit(shop())
			w.wantActive("demoshop")
			in(team)
			if out := w.cli("drift").out; strings.Contains(out, "is gone at vercel") {
				t.Errorf("drift says\n%s", out)
			}
			w.commit(shop("env: {STORE_CURRENCY: EUR}"))
			if r := rowOf(w.applyThere(), "demoshop"); !strings.Contains(r.Because, "team_agency") {
				t.Errorf("%+v", r)
			}
			in("team_agency")
			w.clock.add(time.Hour)
			w.wantActive("demoshop")
			in(team)
			w.commit(map[string]string{"clients/demoshop.yaml": ""})
			if r := rowOf(w.applyThere(), "demoshop"); r.Status == "retained" || !strings.Contains(r.Because, "team_agency") {
				t.Errorf("%+v", r)
			}
			in("team_agency")
			w.clock.add(time.Hour)
			w.cli("retry", "demoshop")
			w.applyThere()
			if status, _ := w.at("demoshop.localhost"); status != http.StatusNotFound || len(w.sim.Projects()) > 0 {
				t.Errorf("it answers %d; left are %v", status, w.sim.Projects())
			}
		})
	}
}
