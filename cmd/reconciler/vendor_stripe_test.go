package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/provider/stripe/simulated"
	"github.com/compassdigital/reconciler/internal/secret/canary"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/web"
)

// Stripe is opened where the configuration asks for it, and what is wrong is told.
func TestStripeIsConfigured(t *testing.T) {
	const repository = "repository: {url: https://git.example/a.git}\n"
	const long = "invented-endpoint-secret"
	for name, c := range map[string]struct {
		file  string
		env   map[string]string
		wrong string
		opens bool
		hook  bool
	}{
		"nothing":         {},
		"key and block":   {file: "providers: {stripe: {apiKey: st-1}}\n", opens: true},
		"key of .env":     {file: "providers: {stripe: {platform: acct_1Platform}}\n", env: map[string]string{"STRIPE_API_KEY": "st-1"}, opens: true},
		"no wish":         {env: map[string]string{"STRIPE_API_KEY": "st-1"}},
		"with a hook":     {file: "providers: {stripe: {apiKey: st-1, webhookSecret: " + long + "}}\n", opens: true, hook: true},
		"no key":          {file: "providers: {stripe: {}}\n", wrong: "providers.stripe.apiKey, or apiKeyFile, or STRIPE_API_KEY, is missing"},
		"no address":      {file: "providers: {stripe: {apiKey: st-1, apiURL: here}}\n", wrong: "providers.stripe.apiURL is not an address"},
		"no platform":     {file: "providers: {stripe: {apiKey: st-1, platform: agency}}\n", wrong: "providers.stripe.platform is the platform's own account"},
		"a short secret":  {file: "providers: {stripe: {apiKey: st-1, webhookSecret: short}}\n", wrong: "providers.stripe.webhookSecret: an endpoint's secret has 16 characters or more"},
		"an empty secret": {file: "providers: {stripe: {apiKey: st-1, webhookSecret: ''}}\n", wrong: "providers.stripe.webhookSecret"},
		"only the old":    {file: "providers: {stripe: {apiKey: st-1, oldWebhookSecret: " + long + "}}\n", wrong: "providers.stripe.oldWebhookSecret holds beside webhookSecret"},
	} {
		config, err := configIn(t, c.env, map[string]string{defaultConfigFile: repository + c.file})
		if c.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), c.wrong) || strings.Contains(err.Error(), long) {
				t.Errorf("%s: %v; want %q", name, err, c.wrong)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		p := &program{vendors: newVendors(), now: time.Now}
		opened, err := p.openStripe(config)
		if err == nil {
			err = p.openHooks(config)
		}
		if err != nil || (len(opened) == 1) != c.opens || (p.payments != nil) != c.opens || c.opens && (p.payments.hook != nil) != c.hook {
			t.Errorf("%s: opened %v, %+v, %v", name, opened, p.payments, err)
		}
		if err := p.close(); err != nil {
			t.Error(err)
		}
	}
}

// Of what Stripe tells each account waits once, and no more than a limit; what can't be looked
// at is told, and the next one is looked at all the same.
func TestAccountsWaitOnce(t *testing.T) {
	var looked, failed []string
	ctx, stop := context.WithCancel(t.Context())
	q := &payments{wake: make(chan struct{}, 1), fail: func(a string, _ error) { failed = append(failed, a) }}
	q.look = func(_ context.Context, a string) error {
		if looked = append(looked, a); len(looked) == maxAccounts {
			stop()
		}
		if a == "acct_1" {
			return errors.New("it is away")
		}
		return nil
	}
	for n := range maxAccounts + 10 {
		q.changed(fmt.Sprintf("acct_%d", n))
		q.changed("acct_0")
	}
	q.run(ctx)
	if len(looked) != maxAccounts || looked[0] != "acct_0" || slices.Contains(looked[1:], "acct_0") || !slices.Equal(failed, []string{"acct_1"}) {
		t.Errorf("%d looked at, failed %v", len(looked), failed)
	}
	(*payments)(nil).run(ctx) // where nobody takes payments
}

// shopper is an installation whose clients take payments at a simulated Stripe.
type shopper struct {
	*world
	sim    *simulated.Stripe
	faults *simulator.Faults
	hook   string

	mu      sync.Mutex
	sent    []string
	created func() // is called when an account is about to be made; nil: nothing
}

const shopPays = "payments: {enabled: true, pricingTier: standard, country: NL}"

func newShopper(t *testing.T) *shopper {
	t.Helper()
	w := &shopper{world: newWorld(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery")}), faults: &simulator.Faults{}, hook: canary.Value("stripe hook")}
	var err error
	if w.sim, err = simulated.New(simulated.Options{Now: w.now, Faults: w.faults, Key: w.env["STRIPE_API_KEY"], Lag: func() time.Duration { return 30 * time.Second }}); err != nil {
		t.Fatal(err)
	}
	api := underContract(t, "stripe", w.sim)
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		w.sent = append(w.sent, r.Method+" "+r.URL.Path)
		created := w.created
		w.mu.Unlock()
		if created != nil && r.Method == http.MethodPost && r.URL.Path == "/v1/accounts" {
			created()
		}
		api.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	w.env["RECONCILER_PROVIDERS_STRIPE_API_URL"], w.env["RECONCILER_PROVIDERS_STRIPE_PLATFORM"] = server.URL, simulated.Platform
	w.env["RECONCILER_PROVIDERS_STRIPE_WEBHOOK_SECRET"] = w.hook
	w.plant("stripe hook", w.hook)
	return w
}

// calls are those to Stripe since it was last asked; ids are left out.
func (w *shopper) took() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := []string{}
	for _, c := range w.sent {
		if before, _, one := strings.Cut(c, "/v1/accounts/"); one {
			c = before + "/v1/accounts/ID"
		}
		out = append(out, c)
	}
	w.sent = nil
	return out
}

// click asks for the way to Stripe, as a browser does that comes from a site of this kind.
func (w *shopper) click(method, from string) (status int, header http.Header) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, "http://"+w.listen+"/clients/demoshop/payments", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Site", from)
	a, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := a.Body.Close(); err != nil {
		w.t.Fatal(err)
	}
	return a.StatusCode, a.Header
}

// The whole way of payments: an account is made once though its answer is lost and the program
// ends in between; its owner is led to Stripe by a way that is made for each click; what is left
// to do is shown until Stripe says that it is done; and when the client goes, the account stays.
func TestPaymentsFromFirstToLast(t *testing.T) {
	w := newShopper(t)
	w.commit(map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", shopPays, "env: {STRIPE_ACCOUNT: {from: payments.account}}")})
	// The answer is lost, and so is the look that would find out: the pass ends not knowing.
	w.created = func() {
		w.faults.Add(simulator.Fault{Method: http.MethodPost, Path: "/v1/accounts", Do: simulator.LoseAnswer()},
			simulator.Fault{Method: http.MethodGet, Path: "/v1/accounts", Times: 100, Do: simulator.Refuse(503, nil, "")})
	}
	if r := rowOf(w.apply(), "demoshop"); r.Status == string(state.StatusActive) || len(w.sim.Accounts()) != 1 {
		t.Fatalf("after the lost answer: %s, %d accounts", r.Status, len(w.sim.Accounts()))
	}
	w.created = nil
	w.faults.Clear()
	w.clock.add(2 * time.Minute)
	w.active("demoshop", "bakery")
	account := w.sim.Accounts()[0]
	if n := len(w.sim.Accounts()); n != 1 || account.Country != "NL" || account.Email != "dana@demoshop.example" || account.Label != "Shop demoshop" {
		t.Fatalf("%d accounts, the first %+v", n, account)
	}
	w.took()
	w.active("demoshop")
	if got := w.took(); len(got) > 0 {
		t.Errorf("a pass without a change called %v", got)
	}
	r := rowOf(w.status(), "demoshop")
	if r.Payments == nil || r.Payments.Ready || r.Payments.Account != account.ID || !strings.Contains(r.Payments.Needs, "a bank account") {
		t.Fatalf("status: %+v", r.Payments)
	}
	if out := w.must(0, "status").out; !strings.Contains(out, "payments: the owner has to finish at Stripe") {
		t.Errorf("status says\n%s", out)
	}

	w.start()
	if got := w.variable(w.resources("demoshop", state.KindSite)[0].ID, "STRIPE_ACCOUNT"); got != account.ID {
		t.Errorf("the site has the account %q", got)
	}
	if _, page := w.get("localhost", "/clients/demoshop"); !strings.Contains(page, "not yet") || !strings.Contains(page, `href="/clients/demoshop/payments"`) {
		t.Errorf("the page says\n%s", page)
	}
	w.took()
	for _, from := range []string{"cross-site", "same-site"} {
		if status, header := w.click(http.MethodGet, from); status != http.StatusOK || header.Get("Location") != "" {
			t.Errorf("from a page that is %s: %d", from, status)
		}
	}
	if status, _ := w.click(http.MethodHead, "same-origin"); status != http.StatusNoContent {
		t.Errorf("a look ahead: %d", status)
	}
	if got := w.took(); len(got) > 0 {
		t.Errorf("without a click: %v", got)
	}
	var ways []string
	for _, from := range []string{"same-origin", "none"} {
		status, header := w.click(http.MethodGet, from)
		way := header.Get("Location")
		if status != http.StatusSeeOther || !strings.Contains(way, "/setup/s/") || header.Get("Cache-Control") != "no-store" || slices.Contains(ways, way) {
			t.Fatalf("a click: %d to %q", status, way)
		}
		ways = append(ways, way)
		w.plantWhole("the way to Stripe", way)
	}
	if d := cmp.Diff([]string{"GET /v1/accounts/ID", "POST /v1/accounts/ID", "POST /v1/account_links", "GET /v1/accounts/ID", "POST /v1/account_links"}, w.took()); d != "" {
		t.Errorf("two clicks cost %s", d)
	}
	if code, _ := w.get("localhost", "/clients/bakery/payments"); code != http.StatusNotFound {
		t.Errorf("of a client without payments: %d", code)
	}

	if err := w.sim.Fulfil(account.ID); err != nil {
		t.Fatal(err)
	}
	deliver := func(secret string) int {
		t.Helper()
		status, err := w.sim.Deliver(t.Context(), &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, "http://"+w.listen+stripePath, account.ID, secret)
		if err != nil {
			t.Fatal(err)
		}
		return status
	}
	if status := deliver("a stranger's secret"); status != http.StatusBadRequest || rowOf(w.status(), "demoshop").Payments.Ready {
		t.Errorf("a stranger's delivery: %d", status)
	}
	if status := deliver(w.hook); status != http.StatusOK {
		t.Errorf("Stripe's delivery: %d", status)
	}
	w.until("the account is seen to work", func() bool { return rowOf(w.status(), "demoshop").Payments.Ready })
	if r := rowOf(w.status(), "demoshop"); r.Payments.Needs != "" || r.Why() != "" {
		t.Errorf("still wanted: %+v", r)
	}
	if !slices.ContainsFunc(w.why("demoshop").History, func(e state.Entry) bool {
		return e.What == "payments" && strings.Contains(e.Text, "takes payments, and nothing is wanted")
	}) {
		t.Errorf("the history says %+v", w.why("demoshop").History)
	}
	// What is wanted later a scheduled look sees, too.
	if err := w.sim.Demand(account.ID, "individual.verification.document"); err != nil {
		t.Fatal(err)
	}
	w.took()
	if err := w.daemon.program.watchDrift(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := rowOf(w.status(), "demoshop").Payments; !r.Ready || !strings.Contains(r.Needs, "document") {
		t.Errorf("after a look: %+v", r)
	}
	if d := cmp.Diff([]string{"GET /v1/accounts"}, w.took()); d != "" {
		t.Errorf("a look costs %s", d)
	}
	w.stop()
	w.paymentsStay(account.ID)
}

// paymentsStay removes the client, brings it back, and erases it: its account is there.
func (w *shopper) paymentsStay(account string) {
	t := w.t
	t.Helper()
	w.took()
	commit := w.commit(map[string]string{"clients/demoshop.yaml": ""})
	if out := w.must(0, "plan", "demoshop").out; !strings.Contains(out, "Its payments account stays as it is: it is its owner's.") {
		t.Errorf("the plan says\n%s", out)
	}
	w.apply()
	d := w.why("demoshop")
	if d.Status != string(state.StatusRetained) || d.Payments != nil {
		t.Errorf("removed: %s, %+v", d.Status, d.Payments)
	}
	if d.Last == nil || !slices.ContainsFunc(d.Last.Steps, func(s state.StepRun) bool {
		return s.Ref.Kind == state.KindPayments && strings.Contains(s.Note, "left as it is at stripe: it is its owner's")
	}) {
		t.Errorf("the result says nothing of the account: %+v", d.Last)
	}
	if out := w.must(0, "retained").out; !strings.Contains(out, account) || !strings.Contains(out, "for ever") {
		t.Errorf("retained says\n%s", out)
	}
	w.revert(commit)
	w.active("demoshop")
	if r := rowOf(w.status(), "demoshop").Payments; r == nil || r.Account != account || !r.Ready {
		t.Errorf("the client is back: %+v", r)
	}
	w.commit(map[string]string{"clients/demoshop.yaml": ""})
	w.apply()
	if out := w.must(0, "purge", "demoshop", "--yes").out; !strings.Contains(out, "payments main at stripe taken off the record; the account stays") {
		t.Errorf("purge says\n%s", out)
	}
	if all := w.sim.Accounts(); len(all) != 1 || all[0].ID != account {
		t.Errorf("accounts: %+v", all)
	}
	for _, c := range w.took() {
		if strings.HasPrefix(c, http.MethodDelete) || strings.HasPrefix(c, http.MethodPost) {
			t.Errorf("a removal called %s", c)
		}
	}
}

// What a client with payments costs Stripe, call by call.
func TestPaymentsCalls(t *testing.T) {
	w := newShopper(t)
	w.start() // after a start everything of ours is listed before the first client is made: once
	w.commit(map[string]string{"clients/florist.yaml": manifestOf("florist")})
	w.active("bakery", "florist")
	w.took()
	var got []string
	note := func(what string, files map[string]string) {
		t.Helper()
		w.commit(files)
		w.apply()
		got = append(got, what+": "+strings.Join(w.took(), ", "))
		w.clock.add(time.Minute)
	}
	shop := func(more ...string) map[string]string {
		return map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", more...)}
	}
	note("create", shop(shopPays))
	note("env only", shop(shopPays, "env: {STORE_CURRENCY: EUR}"))
	note("tier", shop("payments: {enabled: true, pricingTier: premium, country: NL}", "env: {STORE_CURRENCY: EUR}"))
	note("remove", map[string]string{"clients/demoshop.yaml": ""})
	want := []string{
		"create: GET /v1/accounts, POST /v1/accounts",
		"env only: GET /v1/accounts/ID", // a client that changes is looked at whole
		"tier: GET /v1/accounts/ID, GET /v1/accounts/ID, POST /v1/accounts/ID",
		"remove: GET /v1/accounts/ID",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if row := rowOf(w.status(), "demoshop"); row.Status != string(state.StatusRetained) {
		t.Errorf("%+v", row)
	}
}

// P8: the process is killed before and after the call that makes an account, and there is one.
func TestP8PaymentsKilledAroundTheCall(t *testing.T) {
	w := newShopper(t)
	w.active("bakery")
	for n, border := range []apply.Border{apply.AfterIntent, apply.AfterCall} {
		name := fmt.Sprintf("till-%d", n+1)
		w.commit(map[string]string{"clients/" + name + ".yaml": manifestOf(name, shopPays, "deployment: {provider: none}", "database: {provider: none}", "dns: {provider: none}", "env: {DATABASE_URL: {none: true}}")})
		if killed, r := w.child(string(border)+"/create:1", "apply"); !killed {
			t.Fatalf("%s: not killed\n%s%s", border, r.out, r.err)
		}
		w.active(name)
		if all := w.sim.Accounts(); len(all) != n+1 {
			t.Errorf("%s: %d accounts, want %d", border, len(all), n+1)
		}
		if r := rowOf(w.status(), name).Payments; r == nil || r.Account == "" {
			t.Errorf("%s: %+v", border, r)
		}
	}
	posts := 0
	for _, c := range w.took() {
		if c == "POST /v1/accounts" {
			posts++
		}
	}
	if posts != 2 {
		t.Errorf("%d creates were sent for 2 accounts", posts)
	}
}

// An account that `adopt:` names is recorded, shown and never changed, whatever the manifest says
// of it; and one that is not there is never made.
func TestAdoptedAccountIsNeverChanged(t *testing.T) {
	w := newShopper(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.env["RECONCILER_PROVIDERS_STRIPE_API_URL"]+"/v1/accounts", strings.NewReader("country=NL&capabilities[card_payments][requested]=true"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.env["STRIPE_API_KEY"])
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	a := httptest.NewRecorder()
	underContract(t, "stripe", w.sim).ServeHTTP(a, r)
	all := w.sim.Accounts()
	if len(all) != 1 {
		t.Fatalf("%d %s", a.Code, a.Body)
	}
	before := all[0]
	shop := func(payments, account string) map[string]string {
		return map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", payments, "adopt: {payments: {account: "+account+"}}")}
	}
	w.commit(shop(shopPays, before.ID))
	w.active("demoshop")
	w.commit(shop("payments: {enabled: true, pricingTier: premium, country: DE}", before.ID))
	w.active("demoshop")
	row := rowOf(w.status(), "demoshop").Payments
	if row == nil || row.Account != before.ID || row.Ready || !strings.Contains(row.Needs, "bank account") {
		t.Errorf("status: %+v", row)
	}
	w.commit(map[string]string{"clients/florist.yaml": manifestOf("florist", shopPays, "adopt: {payments: {account: acct_1Nowhere}}")})
	if r := rowOf(w.apply(), "florist"); r.Status != string(state.StatusHeld) || !strings.Contains(r.Because, "what is adopted is never created") {
		t.Errorf("florist is %s: %s", r.Status, r.Because)
	}
	if d := cmp.Diff(all, w.sim.Accounts()); d != "" {
		t.Errorf("at Stripe: %s", d)
	}
	for _, c := range w.took() {
		if strings.HasPrefix(c, http.MethodPost) {
			t.Errorf("%s", c)
		}
	}
}

// Live, Stripe leads back to https only: who clicks is told what to do, and no call is made.
func TestNoWayWithoutAPublicAddress(t *testing.T) {
	w := newShopper(t)
	w.commit(map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", shopPays)})
	w.active("demoshop")
	w.start()
	p := w.daemon.program
	p.config.Providers.Stripe.APIURL = ""
	w.took()
	_, err := p.onboard(t.Context(), "demoshop")
	var unable web.Unable
	if !errors.As(err, &unable) || !strings.Contains(err.Error(), "publicURL") || len(w.took()) > 0 {
		t.Errorf("%v", err)
	}
}
