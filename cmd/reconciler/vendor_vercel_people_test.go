package main

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	cloudflaresim "github.com/compassdigital/reconciler/internal/provider/cloudflare/simulated"
	"github.com/compassdigital/reconciler/internal/provider/vercel/simulated"
	"github.com/compassdigital/reconciler/internal/state"
)

// askVercel asks with the installation's token, as a person in the dashboard does.
func (f *fleet) askVercel(method, path, body string) {
	f.t.Helper()
	r := mustRequest(f.t, method, f.env[apiVariable("vercel")]+path+"?teamId="+agencyTeam, body)
	r.Header.Set("Authorization", "Bearer "+f.env["VERCEL_API_TOKEN"])
	r.Header.Set("Content-Type", "application/json")
	a, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil || a.StatusCode >= http.StatusMultipleChoices {
		f.t.Fatal(a, err)
	}
	if err := a.Body.Close(); err != nil {
		f.t.Fatal(err)
	}
}

// byHandAtVercel is a project that a person made for a name, as the dashboard makes it, and the record that leads there.
func (f *fleet) byHandAtVercel(name string) (id string) {
	f.t.Helper()
	id = f.vercel.Seed(name+"-by-hand", "compassdigital/storefront", []string{site(name)}, map[string]string{"NEXT_PUBLIC_SERVER_URL": "https://" + site(name), "PAYLOAD_SECRET": password("payload of " + name)})
	f.vercel.Edit(id, "STORE_CURRENCY", "EUR", "encrypted", "", "production", "preview", "development")
	f.vercel.Protect(id, true)
	if _, err := f.cloudflare.Add(cloudflaresim.Record{Zone: f.zone(), Type: "A", Name: site(name), Content: "76.76.21.21", TTL: 300}); err != nil {
		f.t.Fatal(err)
	}
	return id
}

// taken is the manifest of a client that such a project was made for.
func taken(name, id, env string) map[string]string {
	return map[string]string{"clients/" + name + ".yaml": atVercel(name, "database: {provider: none}", "env: {DATABASE_URL: {none: true}"+env+"}", "adopt: {site: {id: "+id+"}}")}
}

// A project that was made in the dashboard shows new deployments only to who logs in there. No release of it can be tried before
// it serves: nothing is built, and who changes it is told what to set at Vercel. That helps.
func TestRuleAProjectThatHidesItsDeployments(t *testing.T) {
	t.Parallel()
	f := newFleet(t, usual(), nil)
	id := f.byHandAtVercel("bakery")
	f.commit(taken("bakery", id, ", STORE_CURRENCY: EUR"))
	f.settle("bakery")
	f.commit(taken("bakery", id, ", STORE_CURRENCY: USD"))
	n := f.sent.len()
	for range 3 {
		f.apply()
		f.clock.add(10 * time.Minute)
	}
	if r := rowOf(f.status(), "bakery"); r.Status != string(state.StatusFailed) || !strings.Contains(r.Because, "still runs the old version") || !strings.Contains(r.Because, "Deployment Protection") {
		t.Errorf("it is %s: %s", r.Status, r.Because)
	}
	if got := fmt.Sprint(f.sent.writes(n)); strings.Contains(got, "POST /v13/deployments") {
		t.Errorf("it was built: %s", got)
	}
	f.vercel.Protect(id, false)
	f.must(0, "retry", "bakery")
	f.settle("bakery")
	if _, page := f.visit(site("bakery"), "/"); !strings.Contains(page, currencyWord+"USD") {
		t.Error(page)
	}
}

// A variable that a person made for previews and development, too, is taken away from production alone.
func TestRuleAVariableForPreviewsStaysThere(t *testing.T) {
	t.Parallel()
	f := newFleet(t, usual(), nil)
	id := f.byHandAtVercel("bakery")
	f.vercel.Protect(id, false)
	f.commit(taken("bakery", id, ", STORE_CURRENCY: EUR"))
	f.settle("bakery")
	preview := maps.Clone(f.vercel.Env(id, "preview"))
	f.commit(taken("bakery", id, ", STORE_CURRENCY: {none: true}"))
	f.settle("bakery")
	if got, has := f.vercel.Env(id, "production")["STORE_CURRENCY"]; has {
		t.Errorf("production has %q", got)
	}
	if got := f.vercel.Env(id, "preview"); !maps.Equal(got, preview) {
		t.Errorf("previews have %v, they had %v", got, preview)
	}
	f.commit(taken("bakery", id, ", STORE_CURRENCY: USD"))
	f.settle("bakery")
	if got := f.vercel.Env(id, "production")["STORE_CURRENCY"]; got != "USD" {
		t.Errorf("production has %q", got)
	}
	if got := f.vercel.Env(id, "preview"); !maps.Equal(got, preview) {
		t.Errorf("previews have %v, they had %v", got, preview)
	}
}

// A project that a person gave another name is found by a rebuild, by what serves there, and is not made a second time.
func TestP3ARenamedProjectIsFoundByARebuild(t *testing.T) {
	t.Parallel()
	light := func(currency string) map[string]string {
		return map[string]string{"clients/bakery.yaml": atVercel("bakery", "database: {provider: none}", "env: {DATABASE_URL: {none: true}, PAYLOAD_SECRET: {none: true}, STORE_CURRENCY: "+currency+"}")}
	}
	f := newFleet(t, usual(), light("EUR"))
	f.settle("bakery")
	before := f.things()
	for _, name := range f.vercel.Projects() {
		if whose(name) == "bakery" {
			f.askVercel(http.MethodPatch, "/v9/projects/"+name, `{"name":"bakery"}`)
		}
	}
	f.clock.add(time.Hour)
	f.loseState()
	f.rebuilt()
	if got := changes(f.plan()); len(got) > 0 {
		t.Errorf("after the rebuild there is something to do: %q", got)
	}
	f.settle("bakery")
	f.wantThings("after the rebuild", before...)
	f.commit(light("USD"))
	f.settle("bakery")
	if _, page := f.visit(site("bakery"), "/"); !strings.Contains(page, currencyWord+"USD") {
		t.Error(page)
	}
	f.commit(map[string]string{"clients/bakery.yaml": "", "clients/keeper.yaml": manifestOf("keeper", "deployment: {provider: none}", "database: {provider: none}", "dns: {provider: none}", "env: {DATABASE_URL: {none: true}}")})
	for range 4 {
		f.apply()
		f.clock.add(time.Hour)
	}
	for _, thing := range f.things() {
		if strings.Contains(thing, "vercel") {
			t.Errorf("there is still %s", thing)
		}
	}
}

// An adopted project whose release was built by us is a person's after a rebuild, too: it stays when its client goes.
func TestP5AnAdoptedProjectStaysAPersonsAfterARebuild(t *testing.T) {
	t.Parallel()
	f := newFleet(t, usual(), map[string]string{"clients/keeper.yaml": atVercel("keeper", "database: {provider: none}", "env: {DATABASE_URL: {none: true}, PAYLOAD_SECRET: {none: true}}")})
	id := f.byHandAtVercel("bakery")
	f.vercel.Protect(id, false)
	f.vercel.Edit(id, "PAYLOAD_SECRET", "", "", "")
	f.commit(taken("bakery", id, ", PAYLOAD_SECRET: {none: true}, STORE_CURRENCY: EUR"))
	f.settle("bakery")
	f.commit(map[string]string{"clients/bakery.yaml": strings.Replace(taken("bakery", id, ", PAYLOAD_SECRET: {none: true}, STORE_CURRENCY: USD")["clients/bakery.yaml"], "{provider: vercel}", "{provider: vercel, repository: compassdigital/another}", 1)})
	f.settle("bakery")
	f.clock.add(time.Hour)
	f.loseState()
	f.rebuilt()
	f.settle("bakery")
	if got := changes(f.plan()); len(got) > 0 {
		t.Errorf("after the rebuild there is something to do: %q", got)
	}
	f.commit(map[string]string{"clients/bakery.yaml": ""})
	for range 4 {
		f.apply()
		f.clock.add(time.Hour)
	}
	if code, page := f.visit(site("bakery"), "/"); code != http.StatusOK || f.vercel.Snapshot(id) == "" {
		t.Errorf("the person's site answers %d %s", code, page)
	}
}

// Without a paid plan Vercel rolls back by one release and no further. A commit that takes two others back is served all the
// same, and nothing is built for it.
func TestRuleARevertOverTwoReleasesOnAFreePlan(t *testing.T) {
	t.Parallel()
	w := newVercelWorld(t, func(o *simulated.Options) { o.Hobby = true })
	shop := func(currency string) map[string]string {
		return map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", "deployment: {provider: vercel}", "database: {provider: none}", "env: {DATABASE_URL: {none: true}, STORE_CURRENCY: "+currency+"}")}
	}
	w.commit(shop("EUR"))
	w.wantActive("demoshop")
	first := w.serves("demoshop.localhost")
	for _, currency := range []string{"USD", "GBP"} {
		w.commit(shop(currency))
		w.wantActive("demoshop")
	}
	w.commit(shop("EUR"))
	w.wantActive("demoshop")
	if now := w.serves("demoshop.localhost"); now != first {
		t.Errorf("%s serves, it was %s", now, first)
	}
	if v := w.plan(); len(v.Changes) > 0 {
		t.Errorf("there is still something to do: %+v", v.Changes)
	}
}

// Somebody gives a client's name to a branch in Vercel's dashboard: people see that branch's previews, or nothing. Looks tell it,
// and `retry` gives the name back to production.
func TestRuleANameThatWasGivenToABranch(t *testing.T) {
	t.Parallel()
	f := newFleet(t, usual(), map[string]string{"clients/bakery.yaml": atVercel("bakery", "database: {provider: none}", "env: {DATABASE_URL: {none: true}}")})
	f.settle("bakery")
	for _, name := range f.vercel.Projects() {
		if whose(name) == "bakery" {
			f.askVercel(http.MethodPatch, "/v9/projects/"+name+"/domains/"+site("bakery"), `{"gitBranch":"staging"}`)
		}
	}
	if code, page := f.visit(site("bakery"), "/"); code == http.StatusOK {
		t.Fatalf("it is served: %s", page)
	}
	if r := f.cli("drift", "bakery"); r.code != 1 || !strings.Contains(r.out, "the branch staging") {
		t.Errorf("drift ends with %d\n%s", r.code, r.out)
	}
	f.must(0, "retry", "bakery")
	f.settle("bakery")
	if code, page := f.visit(site("bakery"), "/"); code != http.StatusOK {
		t.Errorf("it answers %d %s", code, page)
	}
	if r := f.cli("drift", "bakery"); r.code != 0 {
		t.Errorf("afterwards drift ends with %d\n%s", r.code, r.out)
	}
}
