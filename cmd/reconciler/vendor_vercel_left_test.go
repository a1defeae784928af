package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// lightAtVercel is a client at Vercel that has a site alone.
func lightAtVercel(name, currency string, more ...string) map[string]string {
	return map[string]string{"clients/" + name + ".yaml": atVercel(name, append([]string{"database: {provider: none}", "env: {DATABASE_URL: {none: true}, STORE_CURRENCY: " + currency + "}"}, more...)...)}
}

// projectAt is a client's project at Vercel.
func (f *fleet) projectAt(name string) string {
	f.t.Helper()
	for _, project := range f.vercel.Projects() {
		if whose(project) == name && !strings.Contains(project, "ffffff") {
			return project
		}
	}
	f.t.Fatalf("%s has no project", name)
	return ""
}

// wantCurrency wants the site to have been built with a currency.
func (f *fleet) wantCurrency(name, currency string) {
	f.t.Helper()
	if code, page := f.visit(site(name), "/"); code != http.StatusOK || !strings.Contains(page, currencyWord+currency) {
		f.t.Errorf("%s answers %d %s", name, code, page)
	}
}

// Vercel's retention took the release of before away (it is remembered, with when it was deleted). A commit that is taken back
// then is built anew. Nothing that is gone is asked to serve.
func TestRuleARevertAfterRetentionIsBuiltAnew(t *testing.T) {
	t.Parallel()
	f := newFleet(t, usual(), lightAtVercel("bakery", "EUR"))
	f.settle("bakery")
	f.commit(lightAtVercel("bakery", "USD"))
	f.settle("bakery")
	f.clock.add(time.Hour)
	if n := f.vercel.Expire(f.projectAt("bakery")); n != 1 {
		t.Fatalf("%d releases went", n)
	}
	f.commit(lightAtVercel("bakery", "EUR"))
	f.settle("bakery")
	f.wantCurrency("bakery", "EUR")
	if got := changes(f.plan()); len(got) > 0 {
		t.Errorf("there is something to do: %q", got)
	}
}

// A variable that holds for an environment of the project's own, too (staging, say), is changed there as it is for previews, and is
// taken away from production alone.
func TestRuleAVariableForAnotherEnvironmentStaysThere(t *testing.T) {
	t.Parallel()
	f := newFleet(t, usual(), nil)
	id := f.byHandAtVercel("bakery")
	f.vercel.Protect(id, false)
	f.vercel.Edit(id, "STORE_CURRENCY", "", "", "")
	f.askVercel(http.MethodPost, "/v10/projects/"+id+"/env", `{"key":"STORE_CURRENCY","value":"EUR","type":"encrypted","target":["production"],"customEnvironmentIds":["env_staging"]}`)
	f.commit(taken("bakery", id, ", STORE_CURRENCY: EUR"))
	f.settle("bakery")
	f.commit(taken("bakery", id, ", STORE_CURRENCY: {none: true}"))
	f.settle("bakery")
	if got, has := f.vercel.Env(id, "production")["STORE_CURRENCY"]; has {
		t.Errorf("production has %q", got)
	}
	if got := f.vercel.Env(id, "env_staging")["STORE_CURRENCY"]; got != "EUR" {
		t.Errorf("staging has %q", got)
	}
	f.commit(taken("bakery", id, ", STORE_CURRENCY: USD"))
	f.settle("bakery")
	if got := f.vercel.Env(id, "production")["STORE_CURRENCY"] + f.vercel.Env(id, "env_staging")["STORE_CURRENCY"]; got != "USDEUR" {
		t.Errorf("production and staging have %q", got)
	}
}

// Vercel blocks a build: nobody is told that it failed, or took too long, but what to do, for however long that takes. Once it is let
// go the client goes on by itself; another commit does not wait for it.
func TestRuleABuildThatVercelBlocksWaitsForAPerson(t *testing.T) {
	t.Parallel()
	f := newFleet(t, usual(), lightAtVercel("bakery", "EUR"))
	f.settle("bakery")
	project := f.projectAt("bakery")
	waits := func(what string) {
		t.Helper()
		for range 3 {
			f.apply()
			if r := f.why("bakery"); r.Status == string(state.StatusFailed) || r.Status == string(state.StatusActive) || !strings.Contains(r.Because+r.Next, "Vercel has blocked the build of dpl_") {
				t.Errorf("%s it is %s: %s; %s", what, r.Status, r.Because, r.Next)
			}
			f.clock.add(time.Hour)
		}
		f.wantCurrency("bakery", "EUR")
	}
	f.vercel.Bar(project, true)
	f.commit(lightAtVercel("bakery", "USD"))
	waits("first")
	f.commit(lightAtVercel("bakery", "GBP"))
	waits("after another commit")
	f.vercel.Bar(project, false)
	f.settle("bakery")
	f.wantCurrency("bakery", "GBP")
	f.vercel.Bar(project, true)
	f.commit(lightAtVercel("bakery", "CHF"))
	f.apply()
	f.commit(lightAtVercel("bakery", "GBP"))
	f.settle("bakery")
	f.wantCurrency("bakery", "GBP")
}

// Somebody gives a client's name to an environment of the project's own in Vercel's dashboard. Looks tell it, and `retry` gives it
// back to production.
func TestRuleANameThatWasGivenToAnotherEnvironment(t *testing.T) {
	t.Parallel()
	f := newFleet(t, usual(), lightAtVercel("bakery", "EUR"))
	f.settle("bakery")
	f.vercel.GiveAway(site("bakery"), "env_staging")
	if code, page := f.visit(site("bakery"), "/"); code == http.StatusOK {
		t.Fatalf("it is served: %s", page)
	}
	if r := f.cli("drift", "bakery"); r.code != 1 || !strings.Contains(r.out, "the environment env_staging") {
		t.Errorf("drift ends with %d\n%s", r.code, r.out)
	}
	f.must(0, "retry", "bakery")
	f.settle("bakery")
	f.wantCurrency("bakery", "EUR")
	if r := f.cli("drift", "bakery"); r.code != 0 {
		t.Errorf("afterwards drift ends with %d\n%s", r.code, r.out)
	}
}

// A push to the storefront's main branch breaks its build in each project that is linked to it: Vercel gives none of them a new name.
// Who adds an alias then is told which deployment that is, and what to do, and that helps.
func TestRuleANewNameAfterAPushThatFailed(t *testing.T) {
	t.Parallel()
	alias := "aliases: [www." + site("bakery") + "]"
	f := newFleet(t, usual(), lightAtVercel("bakery", "EUR"))
	f.settle("bakery")
	f.vercel.Push(f.projectAt("bakery"), "a typo in main")
	f.clock.add(time.Hour)
	f.commit(lightAtVercel("bakery", "EUR", alias))
	for range 3 {
		f.apply()
		f.clock.add(10 * time.Minute)
	}
	r := rowOf(f.status(), "bakery")
	_, id, _ := strings.Cut(r.Because, "production, ")
	id, _, _ = strings.Cut(id, ",")
	if !strings.HasPrefix(id, "dpl_") || !strings.Contains(r.Because, "or delete it, then retry") {
		t.Fatalf("it is %s: %s", r.Status, r.Because)
	}
	f.askVercel(http.MethodDelete, "/v13/deployments/"+id, "")
	f.must(0, "retry", "bakery")
	f.settle("bakery")
	f.wantCurrency("bakery", "EUR")
}
