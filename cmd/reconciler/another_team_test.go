package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider/vercel/simulated"
)

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
