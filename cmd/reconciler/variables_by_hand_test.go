package main

import (
	"regexp"
	"strings"
	"testing"
	"time"

	ploisim "github.com/compassdigital/reconciler/internal/provider/ploi/simulated"
	"github.com/compassdigital/reconciler/internal/state"
)

// An adopted project has a variable of the type sensitive, which Vercel gives back to nobody, and the manifest does not mention it. It
// stays, whatever changes, until the manifest says it and leaves it out again.
func TestRuleAdoptionOfAVariableThatNobodyReads(t *testing.T) {
	t.Parallel()
	f := newFleet(t, usual(), nil)
	id, key := f.byHandAtVercel("bakery"), password("mail of bakery")
	f.vercel.Protect(id, false)
	f.vercel.Edit(id, "MAIL_API_KEY", key, "sensitive", "", "production")
	f.commit(taken("bakery", id, ", STORE_CURRENCY: EUR"))
	f.settle("bakery")
	if r := f.cliIn(password("mollie of bakery"), "secret", "set", "mollie", "--client", "bakery"); r.code != 0 {
		t.Fatal(r.err)
	}
	for _, more := range []string{", STORE_CURRENCY: USD", ", STORE_CURRENCY: CHF, MOLLIE: {secret: mollie}", ", STORE_CURRENCY: EUR"} {
		f.commit(taken("bakery", id, more))
		f.settle("bakery")
		if got := f.vercel.Env(id, "production")["MAIL_API_KEY"]; got != key {
			t.Fatalf("after %s it is %q", more, got)
		}
	}
	if _, has := f.vercel.Env(id, "production")["MOLLIE"]; has {
		t.Error("a secret that the manifest said and leaves out is still there")
	}
	f.commit(taken("bakery", id, ", MAIL_API_KEY: {secret: mollie}"))
	f.settle("bakery")
	if got := f.vercel.Env(id, "production")["MAIL_API_KEY"]; got != password("mollie of bakery") {
		t.Errorf("the manifest says it, and it is %q", got)
	}
	f.commit(taken("bakery", id, ""))
	f.settle("bakery")
	if got, has := f.vercel.Env(id, "production")["MAIL_API_KEY"]; has {
		t.Errorf("the manifest left it out again, and it is %q", got)
	}
}

// A person adds a variable in the dashboard of a project that was made here, of the type sensitive, as the dashboard proposes. No look
// sees it, so that nobody could tell of it before it went: it stays.
func TestRuleASecretThatAPersonAddedAtVercelStays(t *testing.T) {
	t.Parallel()
	light := func(currency string) map[string]string {
		return map[string]string{"clients/bakery.yaml": atVercel("bakery", "database: {provider: none}", "env: {DATABASE_URL: {none: true}, STORE_CURRENCY: "+currency+"}")}
	}
	f := newFleet(t, usual(), light("EUR"))
	f.settle("bakery")
	id, key := f.atVercel("bakery"), password("sentry of bakery")
	f.vercel.Edit(id, "SENTRY_TOKEN", key, "sensitive", "", "production")
	f.commit(light("USD"))
	f.settle("bakery")
	if got := f.vercel.Env(id, "production")["SENTRY_TOKEN"]; got != key {
		t.Errorf("it is %q", got)
	}
}

// A person adds a variable that can be read to a client's project. What is said of it is what happens.
func TestS41VariableThatAPersonAddedAtVercel(t *testing.T) {
	t.Parallel()
	f := newFleet(t, usual(), map[string]string{"clients/bakery.yaml": atVercel("bakery", "database: {provider: none}", "env: {DATABASE_URL: {none: true}}")})
	f.settle("bakery")
	id := f.atVercel("bakery")
	f.vercel.Edit(id, "BANNER", "Sale", "plain", "", "production")
	r := f.cli("drift", "bakery")
	if r.code != 1 || !strings.Contains(r.out, "BANNER") {
		t.Fatalf("drift ends with %d\n%s", r.code, r.out)
	}
	if strings.Contains(r.out, "puts it back") || !strings.Contains(r.out, "goes with the next change of the site's variables") {
		t.Errorf("drift says\n%s", r.out)
	}
	f.must(0, "retry", "bakery")
	f.settle("bakery")
	if got := f.vercel.Env(id, "production")["BANNER"]; got != "Sale" {
		t.Errorf("after a retry it is %q", got)
	}
	f.commit(map[string]string{"clients/bakery.yaml": atVercel("bakery", "database: {provider: none}", "env: {DATABASE_URL: {none: true}, STORE_CURRENCY: CHF}")})
	f.settle("bakery")
	if got, has := f.vercel.Env(id, "production")["BANNER"]; has {
		t.Errorf("after another change of the variables it is %q", got)
	}
}

// S41: a person takes the line of a secret out of a site's .env at Ploi, which shows all that is in it. A look tells it, without
// its value, and `retry` puts it back.
func TestS41SecretThatWasTakenOutAtPloi(t *testing.T) {
	t.Parallel()
	f := newFleet(t, usual(), map[string]string{"clients/a.yaml": atPloi("a", withoutDatabase()...)})
	f.settle("a")
	var was, line string
	f.ofPloi("a", func(s *ploisim.Site) {
		was = s.Env.Now
		line = regexp.MustCompile(`(?m)^PAYLOAD_SECRET=.*\n`).FindString(was)
		f.ploi.Edit(s.ID, func(s *ploisim.Site) { s.Env.Now = strings.Replace(was, line, "", 1) })
	})
	if line == "" {
		t.Fatal("no such line")
	}
	r := f.cli("drift", "a")
	if r.code != 1 || !strings.Contains(r.out, "PAYLOAD_SECRET") {
		t.Errorf("drift ends with %d\n%s", r.code, r.out)
	}
	f.must(0, "retry", "a")
	f.settle("a")
	f.ofPloi("a", func(s *ploisim.Site) {
		if !strings.Contains(s.Env.Now, line) {
			t.Error("it was not put back")
		}
	})
	if r := rowOf(f.status(), "a"); r.Status != string(state.StatusActive) {
		t.Errorf("it is %s", r.Status)
	}
}

// S41: a person deletes a secret of ours in Vercel's dashboard. Its value is shown to nobody, and its name is: a look tells it, and `retry`
// sets it again.
func TestS41SecretThatWasDeletedAtVercel(t *testing.T) {
	t.Parallel()
	f := newFleet(t, usual(), map[string]string{"clients/bakery.yaml": atVercel("bakery", "database: {provider: none}", "env: {DATABASE_URL: {none: true}}")})
	f.settle("bakery")
	id := f.atVercel("bakery")
	was := f.vercel.Env(id, "production")["PAYLOAD_SECRET"]
	f.vercel.Edit(id, "PAYLOAD_SECRET", "", "", "")
	r := f.cli("drift", "bakery")
	if r.code != 1 || !strings.Contains(r.out, "PAYLOAD_SECRET") || strings.Contains(r.out, was) {
		t.Errorf("drift ends with %d\n%s", r.code, r.out)
	}
	f.must(0, "retry", "bakery")
	f.settle("bakery")
	if got := f.vercel.Env(id, "production")["PAYLOAD_SECRET"]; got != was {
		t.Errorf("after a retry it is %q", got)
	}
	if r := f.cli("drift", "bakery"); r.code != 0 {
		t.Errorf("after a retry drift ends with %d\n%s", r.code, r.out)
	}
}

// atVercel is the project of a client.
func (f *fleet) atVercel(name string) string {
	f.t.Helper()
	for _, project := range f.vercel.Projects() {
		if whose(project) == name {
			return project
		}
	}
	f.t.Fatalf("%s has no project", name)
	return ""
}

// A person changes a variable that an adopted site had before us, and that the manifest does not mention (a key that was rotated, say). It is
// the person's: what changes of the client later leaves it as it is by then, and looks say so.
func TestRuleAdoptionOfAVariableThatAPersonChangesLater(t *testing.T) {
	t.Parallel()
	f := newFleet(t, usual(), nil)
	id, first, second := f.byHandAtVercel("bakery"), password("first of bakery"), password("second of bakery")
	f.vercel.Protect(id, false)
	f.vercel.Edit(id, "MAIL_API_KEY", first, "encrypted", "", "production", "preview", "development")
	f.commit(taken("bakery", id, ", STORE_CURRENCY: EUR"))
	f.settle("bakery")
	f.vercel.Edit(id, "MAIL_API_KEY", second, "encrypted", "", "production", "preview", "development")
	r := f.cli("drift", "bakery")
	if r.code != 1 || !strings.Contains(r.out, "MAIL_API_KEY") || strings.Contains(r.out, "puts it back") || !strings.Contains(r.out, "keeps it as it is now") || strings.Contains(r.out, second) {
		t.Errorf("drift ends with %d\n%s", r.code, r.out)
	}
	f.commit(taken("bakery", id, ", STORE_CURRENCY: USD"))
	f.settle("bakery")
	if got := f.vercel.Env(id, "production")["MAIL_API_KEY"]; got != second {
		t.Errorf("after another change it is %q", got)
	}
	if r := f.cli("drift", "bakery"); r.code != 0 {
		t.Errorf("then drift ends with %d\n%s", r.code, r.out)
	}
	third := password("third of bakery")
	f.vercel.Edit(id, "MAIL_API_KEY", third, "encrypted", "", "production", "preview", "development")
	f.must(0, "retry", "bakery")
	f.settle("bakery")
	if r := f.cli("drift", "bakery"); r.code != 0 || f.vercel.Env(id, "production")["MAIL_API_KEY"] != third {
		t.Errorf("after a retry drift ends with %d\n%s", r.code, r.out)
	}
}

// P12: a commit changes one variable, and a person changed another one at the host since: the plan says that it is put back.
func TestP12PlanSaysWhatElseAnUpdatePutsBack(t *testing.T) {
	t.Parallel()
	man := func(banner string) map[string]string {
		return map[string]string{"clients/a.yaml": atPloi("a", "database: {provider: none}", "env: {DATABASE_URL: {none: true}, STORE_CURRENCY: EUR, BANNER: "+banner+"}")}
	}
	f := newFleet(t, usual(), man("one"))
	f.settle("a")
	f.ofPloi("a", func(s *ploisim.Site) {
		f.ploi.Edit(s.ID, func(s *ploisim.Site) {
			s.Env.Now = strings.Replace(s.Env.Now, "STORE_CURRENCY=EUR", "STORE_CURRENCY=USD", 1)
		})
	})
	f.clock.add(time.Hour)
	f.commit(man("two"))
	if out := f.cli("plan", "a").out; !strings.Contains(out, "env.STORE_CURRENCY: USD → EUR") {
		t.Errorf("the plan says\n%s", out)
	}
	f.settle("a")
}
