package vercel_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/providertest"
	"github.com/compassdigital/reconciler/internal/provider/vercel/simulated"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

// one is the object of an id.
func (w *world) one(t *testing.T, kind state.Kind, id string) provider.Object {
	t.Helper()
	found, err := w.Observe(t.Context(), provider.Query{Kind: kind, ID: id})
	if err != nil || len(found) != 1 {
		t.Fatalf("%s %s: %d, %v", kind, id, len(found), err)
	}
	return found[0]
}

// S20, S25: a deployment waits for its promotion; promoting it, and going back, is one write
// that builds nothing; and whoever asks meanwhile gets an answer.
func TestS20PromoteAndRollBack(t *testing.T) {
	k := published(t)
	w := open(t, k, simulated.Options{BuildTime: 20 * time.Second, PointTime: 3 * time.Second})
	c := w.provision(t, 1)
	serves := func(want string) {
		t.Helper()
		for _, host := range []string{"shop1.example", c.site.Name + ".vercel.app"} {
			if status, body := w.at(host, "/api/health"); status != 200 || want != "" && !strings.Contains(body, want) {
				t.Errorf("%s answers %d %s, want %s", host, status, body, want)
			}
		}
	}
	serves(c.release.ID)
	// A person turns the automatic assignment on: the next deployment turns it off.
	w.sim.Assign(c.site.ID, true)
	second := w.must(t, wishRelease(1, c.site.ID, "bbbbbbbbbbbb"))
	serves(c.release.ID)
	if status, body := w.at(strings.TrimPrefix(second.Outputs[1].Text, "https://"), "/api/health"); status != 200 || !strings.Contains(body, second.ID) {
		t.Errorf("its own address answers %d %s", status, body)
	}
	for _, to := range []string{second.ID, c.release.ID, second.ID} {
		o, err := w.Update(t.Context(), c.traffic.ID, wishTraffic(1, c.site.ID, to))
		if err != nil || o.Phase != provider.Progressing {
			t.Fatalf("%s, %v", o.Phase, err)
		}
		for w.one(t, state.KindTraffic, c.traffic.ID).Phase == provider.Progressing {
			serves("")
			w.clock.Move(time.Second)
		}
		serves(to)
	}
	var posts []string
	for _, call := range w.took() {
		if strings.HasPrefix(call, "POST /v1") && (strings.Contains(call, "/promote/") || strings.Contains(call, "/rollback/")) {
			posts = append(posts, strings.Split(call, "/")[4])
		}
	}
	if got := strings.Join(posts, " "); got != "promote promote rollback rollback" {
		t.Errorf("it asked for %s", got)
	}
	if _, err := w.Update(t.Context(), c.traffic.ID, wishTraffic(1, c.site.ID, "dpl_nothing")); kindOf(err) != provider.Invalid {
		t.Errorf("to a deployment that isn't there: %v", err)
	}
	if _, err := w.Update(t.Context(), c.traffic.ID, wishTraffic(1, c.site.ID, c.release.ID)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Update(t.Context(), c.traffic.ID, wishTraffic(1, c.site.ID, second.ID)); kindOf(err) != provider.Transient {
		t.Errorf("while another one is under way: %v", err)
	}
	third, err := w.Create(t.Context(), wishRelease(1, c.site.ID, "cccccccccccc"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Update(t.Context(), c.traffic.ID, wishTraffic(1, c.site.ID, third.ID)); kindOf(err) != provider.Transient {
		t.Errorf("to a deployment that is being built: %v", err)
	}
	k.Some(t)
}

// Taking traffic away serves nothing; giving it back serves again, and domains still do not
// follow a new deployment by themselves.
func TestTrafficGoesAndComesBack(t *testing.T) {
	k := published(t)
	w := open(t, k, simulated.Options{})
	c := w.provision(t, 1)
	if err := w.Delete(t.Context(), state.KindTraffic, c.traffic.ID); err != nil {
		t.Fatal(err)
	}
	if status, _ := w.at("shop1.example", "/"); status != 503 {
		t.Errorf("paused, it answers %d", status)
	}
	w.must(t, wishTraffic(1, c.site.ID, c.release.ID))
	if status, _ := w.at("shop1.example", "/"); status != 200 {
		t.Errorf("it answers %d", status)
	}
	w.must(t, wishRelease(1, c.site.ID, "bbbbbbbbbbbb"))
	if got := get(w.one(t, state.KindTraffic, c.traffic.ID), "deployment"); got != c.release.ID {
		t.Errorf("%s serves", got)
	}
	k.Some(t)
}

// The set of variables is replaced as one: what a person added goes; what an integration
// added, what is for previews and what is ours stays; what holds for several targets is
// changed where it is.
func TestEnvironmentIsASet(t *testing.T) {
	k := published(t)
	w := open(t, k, simulated.Options{})
	site := w.must(t, wishSite(1))
	e := w.must(t, wishEnv(1, site.ID, text("env.PLAIN", "a"), providertest.Secret("env.WAS_SECRET", "pssst")))
	w.sim.Edit(site.ID, "BY_HAND", "x", "plain", "", "production")
	w.sim.Edit(site.ID, "BY_INTEGRATION", "x", "encrypted", "icfg_1", "production")
	w.sim.Edit(site.ID, "PREVIEW", "x", "plain", "", "preview")
	w.sim.Edit(site.ID, "STORE_NAME", "wide", "encrypted", "", "production", "preview", "development")
	seen := w.one(t, state.KindEnvironment, e.ID)
	if get(seen, "env.BY_HAND") != "x" || get(seen, "env.BY_INTEGRATION") != "" || get(seen, "env.PREVIEW") != "" || get(seen, "env.KEY") != "" {
		t.Errorf("it shows %v", seen.Attributes)
	}
	for _, a := range seen.Attributes {
		if a.Name == "env.STORE_NAME" && (a.Secret == nil || a.Reveal() != "wide") {
			t.Errorf("an encrypted one is %v", a)
		}
	}
	after := wishEnv(1, site.ID, text("env.WAS_SECRET", "open"), providertest.Secret("env.PLAIN", "pssst-now"))
	for range 2 {
		if _, err := w.Update(t.Context(), e.ID, after); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]string{"STORE_NAME": "Shop", "KEY": "pssst-a-key", "WAS_SECRET": "open", "PLAIN": "pssst-now", "BY_INTEGRATION": "x"}
	have := w.sim.Env(site.ID, "production")
	for key, value := range have {
		if !strings.HasPrefix(key, "RECONCILER_") && want[key] != value {
			t.Errorf("%s is %q", key, value)
		}
	}
	for key := range want {
		if _, ok := have[key]; !ok {
			t.Errorf("%s is not there", key)
		}
	}
	if p := w.sim.Env(site.ID, "preview"); p["PREVIEW"] != "x" || p["STORE_NAME"] != "Shop" {
		t.Errorf("previews have %v", p)
	}
	release := w.must(t, wishRelease(1, site.ID, "aaaaaaaaaaaa"))
	w.must(t, wishTraffic(1, site.ID, release.ID))
	if _, page := w.at(site.Name+".vercel.app", "/"); !strings.Contains(page, "RECONCILER_RELEASE") || !strings.Contains(page, "WAS_SECRET") || strings.Contains(page, "pssst") {
		t.Errorf("the page is %s", page)
	}
	if err := w.Delete(t.Context(), state.KindEnvironment, e.ID); err != nil {
		t.Fatal(err)
	}
	for key := range w.sim.Env(site.ID, "production") {
		if key != "BY_INTEGRATION" && key != "RECONCILER_MARK" && key != "RECONCILER_SITE" {
			t.Errorf("%s is left", key)
		}
	}
	k.Some(t)
}

// A name that another account uses has to be verified, and a person is told how.
func TestDomainToVerify(t *testing.T) {
	k := published(t)
	w := open(t, k, simulated.Options{})
	c := w.provision(t, 1)
	w.sim.Claim("other.example")
	wish := wishDomain(1, c.site.ID, "other.example", "")
	o, err := w.Create(t.Context(), wish)
	if err != nil || o.Phase != provider.Manual || !strings.Contains(o.Message, "TXT record _vercel.other.example") || !strings.Contains(o.Message, "vc-domain-verify=other.example,") {
		t.Fatalf("%s %q, %v", o.Phase, o.Message, err)
	}
	value := strings.Split(o.Message, `"`)[1]
	if status, _ := w.at("other.example", "/"); status != 404 {
		t.Errorf("before that it answers %d", status)
	}
	w.sim.SetTXT("_vercel.other.example", value)
	if o := w.one(t, state.KindDomain, o.ID); o.Phase != provider.Manual {
		t.Errorf("to look changed it to %s", o.Phase)
	}
	if o, err = w.Update(t.Context(), o.ID, wish); err != nil || o.Phase != provider.Ready {
		t.Errorf("%s, %v", o.Phase, err)
	}
	if status, _ := w.at("other.example", "/"); status != 200 {
		t.Errorf("it answers %d", status)
	}
	k.Some(t)
}

// S24: a name that is another project's is a conflict; moving it is one call, after which its
// answer may be lost; a redirect leads there.
func TestS24DomainMoves(t *testing.T) {
	k := published(t)
	w := open(t, k, simulated.Options{})
	a, b := w.provision(t, 1), w.provision(t, 2)
	if _, err := w.Create(t.Context(), wishDomain(2, b.site.ID, "shop1.example", "")); kindOf(err) != provider.Conflict || !strings.Contains(err.Error(), "one of your projects") {
		t.Errorf("another's: %v", err)
	}
	if _, err := w.Create(t.Context(), wishDomain(1, a.site.ID, "shop1.example", "")); kindOf(err) != provider.Conflict {
		t.Errorf("its own: %v", err)
	}
	w.took()
	for range 2 { // the second time it has moved already
		o, err := w.Update(t.Context(), a.domain.ID, wishDomain(2, b.site.ID, "shop1.example", ""))
		if err != nil || get(o, "site") != b.site.ID || o.ID != b.site.ID+"/shop1.example" {
			t.Fatalf("%v, %v", o, err)
		}
	}
	if calls := w.took(); len(calls) != 5 {
		t.Errorf("it took %q", calls)
	}
	if status, body := w.at("shop1.example", "/api/health"); status != 200 || !strings.Contains(body, b.release.ID) {
		t.Errorf("it answers %d %s", status, body)
	}
	w.must(t, wishDomain(2, b.site.ID, "www.shop1.example", "shop1.example"))
	if status, _ := w.at("www.shop1.example", "/"); status != 308 {
		t.Errorf("the redirect answers %d", status)
	}
	if _, err := w.Create(t.Context(), wishDomain(2, b.site.ID, "self.example", "self.example")); kindOf(err) != provider.Invalid {
		t.Errorf("to itself: %v", err)
	}
	k.Some(t)
}

// A build that fails says why in Vercel's words, bounded; its log is told while it runs.
func TestBuildThatFails(t *testing.T) {
	k := published(t)
	w := open(t, k, simulated.Options{BuildPolls: 3, Fails: func(d simulated.Served) string {
		return "Command \"pnpm build\" exited with 1\n" + strings.Repeat("x", 5000)
	}})
	site := w.must(t, wishSite(1))
	o, err := w.Create(t.Context(), wishRelease(1, site.ID, "aaaaaaaaaaaa"))
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for range 10 {
		if o = w.one(t, state.KindDeployment, o.ID); len(o.Log) < lines {
			t.Errorf("the log became shorter: %d, %d", lines, len(o.Log))
		}
		lines = len(o.Log)
		if o.Phase != provider.Progressing {
			break
		}
		w.clock.Move(time.Second)
	}
	if o.Phase != provider.Failed || !strings.Contains(o.Message, "exited with 1 xxx") || !strings.HasSuffix(o.Message, "(BUILD_FAILED)") || len(o.Message) > 500 || lines < 4 {
		t.Errorf("%s %q, %d lines", o.Phase, o.Message, lines)
	}
	if _, err := w.Create(t.Context(), wishTraffic(1, site.ID, o.ID)); kindOf(err) != provider.Invalid {
		t.Errorf("traffic to it: %v", err)
	}
	k.Some(t)
}

// The builtin source is deployed from files, and its health check answers.
func TestBuiltinSource(t *testing.T) {
	k := published(t)
	w := open(t, k, simulated.Options{})
	site := w.must(t, wish(1, state.KindSite, "vercel", text("label", "shop1"), text("server", ""), text("repository", "builtin"), text("runtime", "")))
	if get(site, "repository") != "builtin" || get(site, "runtime") != "" {
		t.Errorf("it shows %v", site.Attributes)
	}
	release := w.must(t, wish(1, state.KindDeployment, "aaaaaaaaaaaa", text("site", site.ID), text("repository", "builtin"), text("ref", ""), text("template", "blog"), text("displayName", "Dana & <Co>"), text("settings", `{"theme":"dark"}`)))
	w.must(t, wishTraffic(1, site.ID, release.ID))
	if status, body := w.at(site.Name+".vercel.app", "/"); status != 200 || !strings.Contains(body, "Dana &amp; &lt;Co&gt;") {
		t.Errorf("%d %s", status, body)
	}
	k.Some(t)
}

// S54: look-alikes stay byte-equal, and are shown without our mark.
func TestS54LookAlikes(t *testing.T) {
	k := published(t)
	w := open(t, k, simulated.Options{})
	theirs := w.must(t, wishSite(1)) // has our name …
	w.sim.Edit(theirs.ID, "RECONCILER_MARK", "reconciler:deadbeef/shop1-1a2b3c/1", "plain", "", "development")
	bare := w.must(t, wishSite(2)) // … and another one no mark at all
	w.sim.Edit(bare.ID, "RECONCILER_MARK", "", "", "")
	before := w.sim.Snapshot(theirs.ID) + w.sim.Snapshot(bare.ID)
	if owned, err := w.Owned(t.Context(), ours); err != nil || len(owned) != 0 {
		t.Errorf("owned: %v, %v", owned, err)
	}
	for n, want := range map[int]string{1: "deadbeef", 2: ""} {
		found, err := byName(t.Context(), w, wishSite(n))
		if err != nil || len(found) != 1 || found[0].Mark.Installation != want {
			t.Errorf("%d: %v, %v", n, found, err)
		}
		if _, err := w.Create(t.Context(), wishSite(n)); kindOf(err) != provider.Conflict {
			t.Errorf("%d: %v", n, err)
		}
	}
	w.provision(t, 3)
	if w.sim.Snapshot(theirs.ID)+w.sim.Snapshot(bare.ID) != before {
		t.Error("a stranger's project changed")
	}
	k.Some(t)
}

// A domain is unreached while Vercel says that it can't get its certificate, or does not say it;
// an update asks again, and a look does not.
func TestDomainIsReachedOnceDNSLeadsThere(t *testing.T) {
	k, leads, faults := published(t), "203.0.113.1", &simulator.Faults{}
	w := open(t, k, simulated.Options{DNS: func(string) []string { return []string{leads} }, Faults: faults})
	site := w.must(t, wishSite(1))
	wish := wishDomain(1, site.ID, "shop1.example", "")
	o, err := w.Create(t.Context(), wish)
	phase := func(what string, want provider.Phase, secure bool) {
		t.Helper()
		if err != nil || o.Phase != want || w.sim.Secure("shop1.example") != secure {
			t.Errorf("%s: it is %s (%s), %v; it has a certificate: %v", what, o.Phase, o.Message, err, w.sim.Secure("shop1.example"))
		}
	}
	phase("elsewhere", provider.Unreached, false)
	w.sim.Certify("shop1.example")
	o, err = w.Update(t.Context(), o.ID, wish)
	phase("a person made one", provider.Unreached, true)
	leads = simulated.Address
	faults.Add(simulator.Fault{Path: "/v6/domains/*/config", Times: -1, Do: simulator.Refuse(500, nil, `{"error":{"code":"internal_server_error","message":"try again"}}`)})
	o, err = w.Update(t.Context(), o.ID, wish)
	phase("it does not say", provider.Unreached, true)
	faults.Clear()
	o, err = w.Update(t.Context(), o.ID, wish)
	phase("here", provider.Ready, true)
	k.Some(t)
}

// A team may enforce sensitive variables: what is sent as plain for production is never given
// back. Whose a project is, and what it was wished as, is known all the same.
func TestATeamThatEnforcesSensitiveVariables(t *testing.T) {
	k := published(t)
	w := open(t, k, simulated.Options{Sensitive: true})
	site := w.must(t, wishSite(1))
	env := w.must(t, wishEnv(1, site.ID, text("env.STORE", "EUR")))
	if site.Mark != wishSite(1).Mark || env.Mark != wishSite(1).Mark {
		t.Errorf("a look shows the marks %v and %v", site.Mark, env.Mark)
	}
	if !slices.Contains(site.Attributes, text("label", wishSite(1).Get("label"))) {
		t.Errorf("a look shows %v", site.Attributes)
	}
	if found, err := byName(t.Context(), w, wishSite(1)); err != nil || len(found) != 1 || found[0].Mark != wishSite(1).Mark {
		t.Errorf("by its name there is %v, %v", found, err)
	}
	if owned, err := w.Owned(t.Context(), ours); err != nil || len(owned) != 2 {
		t.Errorf("ours are %v, %v", owned, err)
	}
	if _, err := w.Update(t.Context(), env.ID, wishEnv(1, site.ID, text("env.STORE", "USD"))); err != nil {
		t.Error(err)
	}
	if got := w.sim.Env(site.ID, "production"); got["STORE"] != "USD" || got["KEY"] != "pssst-a-key" {
		t.Errorf("the variables are %v", got)
	}
	id := w.sim.Seed("old-shop", "agency/storefront", nil, nil)
	m := provider.Mark{Installation: ours, Client: "c00002", Generation: 1}
	if err := w.Mark(t.Context(), state.KindSite, id, m); err != nil {
		t.Error(err)
	}
	if found, err := w.Observe(t.Context(), provider.Query{Kind: state.KindSite, ID: id}); err != nil || len(found) != 1 || found[0].Mark != m {
		t.Errorf("what was adopted is %v, %v", found, err)
	}
	w.provision(t, 3)
	k.Some(t)
}

// Somebody makes all variables for production sensitive, which a team can do at once: what a
// release is made of is written all the same, and marks stay readable.
func TestVariablesThatWereMadeSensitive(t *testing.T) {
	k := published(t)
	w := open(t, k, simulated.Options{})
	c := w.provision(t, 1)
	for key, value := range w.sim.Env(c.site.ID, "production") {
		w.sim.Edit(c.site.ID, key, value, "sensitive", "", "production")
	}
	if o := w.one(t, state.KindSite, c.site.ID); o.Mark != c.site.Mark {
		t.Errorf("a look shows the mark %v", o.Mark)
	}
	next := w.must(t, wishRelease(1, c.site.ID, "bbbbbbbbbbbb"))
	if _, err := w.Update(t.Context(), c.traffic.ID, wishTraffic(1, c.site.ID, next.ID)); err != nil {
		t.Error(err)
	}
	if _, err := w.Update(t.Context(), c.env.ID, wishEnv(1, c.site.ID, text("env.STORE", "USD"))); err != nil {
		t.Error(err)
	}
	k.Some(t)
}

// A project that was marked for production, as an older version of this program did, is ours.
func TestAnOlderMark(t *testing.T) {
	k := published(t)
	w := open(t, k, simulated.Options{})
	site := w.must(t, wishSite(1))
	w.sim.Edit(site.ID, "RECONCILER_MARK", "", "", "")
	w.sim.Edit(site.ID, "RECONCILER_MARK", site.Mark.Text(), "plain", "", "production")
	if o := w.one(t, state.KindSite, site.ID); o.Mark != site.Mark {
		t.Errorf("a look shows the mark %v", o.Mark)
	}
	next := wishSite(1)
	next.Mark.Generation++
	if _, err := w.Update(t.Context(), site.ID, next); err != nil {
		t.Error(err)
	}
	if o := w.one(t, state.KindSite, site.ID); o.Mark != next.Mark {
		t.Errorf("a look shows the mark %v", o.Mark)
	}
	k.Some(t)
}
