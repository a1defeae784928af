package simulated

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/compassdigital/reconciler/internal/contract"
	"github.com/compassdigital/reconciler/internal/simulator"
)

// vendor is a Stripe that is asked by hand, under contract.
type vendor struct {
	t        *testing.T
	now      time.Time
	stripe   *Stripe
	handler  http.Handler
	contract *contract.Contract
}

func start(t *testing.T, o Options) *vendor {
	t.Helper()
	v := &vendor{t: t, now: time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)}
	o.Now = func() time.Time { return v.now }
	var err error
	if v.stripe, err = New(o); err != nil {
		t.Fatal(err)
	}
	v.contract = contract.OpenAPI(t, contract.Description{Vendor: "Stripe", File: "stripe/openapi.json", Relax: contract.WithoutDeepLists})
	v.handler = v.contract.Handler(v.stripe)
	t.Cleanup(func() { v.contract.Some(t) })
	return v
}

// answer is what came.
type answer struct {
	status int
	header http.Header
	body   map[string]any
}

// at is what stands somewhere in the body, as text.
func (a answer) at(names ...string) string {
	var here any = a.body
	for _, n := range names {
		m, ok := here.(map[string]any)
		if !ok {
			return "(nothing)"
		}
		here = m[n]
	}
	return fmt.Sprint(here)
}

// ask sends a form, with a key where there is one.
func (v *vendor) ask(method, path, key string, fields ...string) answer {
	v.t.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	r.Header.Set("Authorization", "Bearer invented-key")
	if len(form) > 0 {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	w := httptest.NewRecorder()
	v.handler.ServeHTTP(w, r)
	out := answer{status: w.Code, header: w.Header()}
	if err := json.Unmarshal(w.Body.Bytes(), &out.body); err != nil {
		v.t.Fatalf("%s %s: %v: %s", method, path, err, w.Body)
	}
	return out
}

// full is what an account of the owner's own needs.
func full(more ...string) []string {
	return append([]string{"country", "NL", "controller[fees][payer]", "account", "controller[losses][payments]", "stripe",
		"controller[requirement_collection]", "stripe", "controller[stripe_dashboard][type]", "full"}, more...)
}

func (v *vendor) made(key string) string {
	v.t.Helper()
	a := v.ask(http.MethodPost, "/v1/accounts", key, full()...)
	if a.status != http.StatusOK {
		v.t.Fatalf("create: %v", a.body)
	}
	return a.at("id")
}

// What Stripe refuses is refused with its types and codes, and changes nothing.
func TestRefusals(t *testing.T) {
	v := start(t, Options{Key: "invented-key"})
	id := v.made("")
	for _, c := range []struct {
		method, path string
		fields       []string
		status       int
		code         string
	}{
		{"POST", "/v1/accounts", full("colour", "red"), 400, "parameter_unknown"},
		{"POST", "/v1/accounts", full("country", "Netherlands"), 400, "<nil>"},
		{"POST", "/v1/accounts", full("controller[stripe_dashboard][type]", "express"), 400, "<nil>"},
		{"POST", "/v1/accounts", full("email", "nobody"), 400, "email_invalid"},
		{"POST", "/v1/accounts/" + id, []string{"metadata[a]", "b", "country", "DE"}, 400, "parameter_unknown"},
		{"POST", "/v1/accounts/" + id, []string{"metadata[a]", strings.Repeat("x", 501)}, 400, "parameter_invalid_string"},
		{"POST", "/v1/accounts/" + id, []string{"metadata[" + strings.Repeat("x", 41) + "]", "b"}, 400, "parameter_unknown"},
		{"POST", "/v1/accounts/" + id, []string{"business_profile[url]", "shop"}, 400, "url_invalid"},
		{"GET", "/v1/accounts/acct_1nobody", nil, 403, "account_invalid"},
		{"POST", "/v1/accounts/acct_1nobody", []string{"metadata[a]", "b"}, 403, "account_invalid"},
		{"GET", "/v1/accounts?limit=101", nil, 400, "parameter_invalid_integer"},
		{"GET", "/v1/accounts?starting_after=acct_1nobody", nil, 400, "resource_missing"},
		{"GET", "/v1/accounts?page=2", nil, 400, "parameter_unknown"},
		{"POST", "/v1/account_links", []string{"account", id}, 400, "parameter_missing"},
		{"POST", "/v1/account_links", []string{"account", "acct_1nobody", "type", "account_onboarding", "refresh_url", "https://a.example", "return_url", "https://b.example"}, 403, "account_invalid"},
		{"POST", "/v1/account_links", []string{"account", id, "type", "account_update", "refresh_url", "https://a.example", "return_url", "https://b.example"}, 400, "<nil>"},
		{"POST", "/v1/account_links", []string{"account", id, "type", "account_onboarding", "refresh_url", "a", "return_url", "https://b.example"}, 400, "url_invalid"},
		{"GET", "/v1/nothing", nil, 404, "<nil>"},
	} {
		a := v.ask(c.method, c.path, "key", c.fields...)
		if a.status != c.status || a.at("error", "code") != c.code || a.at("error", "type") != "invalid_request_error" {
			t.Errorf("%s %.60s %q: %d %v; want %d %s", c.method, c.path, c.fields, a.status, a.body, c.status, c.code)
		}
	}
	if all := v.stripe.Accounts(); len(all) != 1 || len(all[0].Metadata) != 0 {
		t.Errorf("accounts: %+v", all)
	}
	other := start(t, Options{Key: "another"})
	if a := other.ask(http.MethodGet, "/v1/account", ""); a.status != http.StatusUnauthorized {
		t.Errorf("another key: %d", a.status)
	}
}

// Keys are as Stripe documents them: the first answer again, failures too; other parameters
// are an error; what was refused before it began is not kept; after a day they are forgotten.
func TestIdempotency(t *testing.T) {
	v := start(t, Options{})
	first := v.ask(http.MethodPost, "/v1/accounts", "k", full()...)
	again := v.ask(http.MethodPost, "/v1/accounts", "k", full()...)
	if d := cmp.Diff(first.body, again.body); d != "" || again.header.Get("Idempotent-Replayed") != "true" || first.header.Get("Idempotent-Replayed") != "" {
		t.Errorf("again: %s %v", d, again.header)
	}
	if a := v.ask(http.MethodPost, "/v1/accounts", "k", full("email", "a@shop.example")...); a.status != 400 || a.at("error", "type") != "idempotency_error" {
		t.Errorf("other parameters: %v", a.body)
	}
	if a := v.ask(http.MethodPost, "/v1/accounts/"+first.at("id"), "k", "metadata[a]", "b"); a.at("error", "type") != "idempotency_error" {
		t.Errorf("another path: %v", a.body)
	}
	if a := v.ask(http.MethodPost, "/v1/accounts", "bad", full("country", "x")...); a.status != 400 {
		t.Errorf("refused: %v", a.body)
	}
	v.made("bad")
	v.stripe.FailNext(1)
	for range 2 {
		if a := v.ask(http.MethodPost, "/v1/accounts", "fails", full()...); a.status != 500 || a.at("error", "type") != "api_error" {
			t.Errorf("a failure: %v", a.body)
		}
	}
	v.ask(http.MethodGet, "/v1/account", "k")
	v.now = v.now.Add(24 * time.Hour)
	if a := v.ask(http.MethodPost, "/v1/accounts", "k", full()...); a.at("id") == first.at("id") {
		t.Error("a day later: the same one")
	}
	v.made("fails")
	if a := v.ask(http.MethodPost, "/v1/accounts", strings.Repeat("k", 256), full()...); a.status != 400 {
		t.Errorf("a long key: %v", a.body)
	}
	if n := len(v.stripe.Accounts()); n != 4 {
		t.Errorf("%d accounts, want 4", n)
	}
}

// Lists have pages, the newest first, and are late.
func TestLists(t *testing.T) {
	v := start(t, Options{Lag: func() time.Duration { return time.Minute }})
	var ids []string
	for range 12 {
		ids = append(ids, v.made(""))
	}
	if a := v.ask(http.MethodGet, "/v1/accounts", ""); len(a.body["data"].([]any)) != 0 {
		t.Errorf("at once: %v", a.body)
	}
	v.now = v.now.Add(time.Minute)
	a := v.ask(http.MethodGet, "/v1/accounts", "")
	page := a.body["data"].([]any)
	if len(page) != 10 || a.at("has_more") != "true" || page[0].(map[string]any)["id"] != ids[11] {
		t.Errorf("the first page: %d, %v", len(page), a.body)
	}
	a = v.ask(http.MethodGet, "/v1/accounts?limit=1&starting_after="+ids[1], "")
	if page = a.body["data"].([]any); len(page) != 1 || page[0].(map[string]any)["id"] != ids[0] || a.at("has_more") != "false" {
		t.Errorf("the last page: %v", a.body)
	}
	if a := v.ask(http.MethodDelete, "/v1/accounts/"+ids[0], ""); a.at("deleted") != "true" || len(v.stripe.Accounts()) != 11 {
		t.Errorf("deleted: %v", a.body)
	}
}

// The state outlives the process: accounts, keys and links; and the same calls make the same ids.
func TestFile(t *testing.T) {
	o := Options{File: filepath.Join(t.TempDir(), "stripe.json"), URL: "https://stripe.example"}
	v := start(t, o)
	id := v.made("k")
	made := v.ask(http.MethodPost, "/v1/account_links", "", "account", id, "type", "account_onboarding", "refresh_url", "https://a.example", "return_url", "https://b.example")
	if err := v.stripe.Fulfil(id, "external_account"); err != nil {
		t.Fatal(err)
	}
	again := start(t, o)
	if d := cmp.Diff(v.stripe.Accounts(), again.stripe.Accounts()); d != "" {
		t.Error(d)
	}
	if got := again.made("k"); got != id || len(again.stripe.Accounts()) != 1 {
		t.Errorf("the key is forgotten: %s", got)
	}
	address := strings.TrimPrefix(made.at("url"), "https://stripe.example")
	for _, c := range []struct {
		method string
		status int
	}{{"GET", 200}, {"GET", 303}, {"POST", 303}, {"PUT", 303}} {
		w := httptest.NewRecorder()
		again.stripe.ServeHTTP(w, httptest.NewRequest(c.method, address, nil))
		if w.Code != c.status {
			t.Errorf("%s of the link: %d, want %d", c.method, w.Code, c.status)
		}
	}
	if all := again.stripe.Accounts(); !all[0].Enabled || len(all[0].Due) != 0 {
		t.Errorf("told: %+v", all)
	}
	if err := again.stripe.Close("acct_1nobody"); err == nil {
		t.Error("closes what is not there")
	}
	if err := again.stripe.Fulfil("acct_1nobody"); err == nil {
		t.Error("fulfils what is not there")
	}
	if other := start(t, Options{}); other.made("") != id {
		t.Error("other ids")
	}
}

// A second has so many calls; and faults are told apart by path.
func TestLimitAndFaults(t *testing.T) {
	var faults simulator.Faults
	v := start(t, Options{PerSecond: 2, Faults: &faults})
	faults.Add(simulator.Fault{Method: http.MethodPost, Path: "/v1/accounts", Do: simulator.Refuse(500, nil, `{"error":{"type":"api_error","message":"no"}}`)})
	if a := v.ask(http.MethodPost, "/v1/accounts", "k", full()...); a.status != 500 {
		t.Errorf("a fault: %d", a.status)
	}
	v.made("k")
	v.ask(http.MethodGet, "/v1/account", "")
	if a := v.ask(http.MethodGet, "/v1/account", ""); a.status != http.StatusTooManyRequests || a.at("error", "code") != "rate_limit" {
		t.Errorf("the third: %d %v", a.status, a.body)
	}
	v.now = v.now.Add(time.Second)
	if a := v.ask(http.MethodGet, "/v1/account", ""); a.at("id") != Platform {
		t.Errorf("a second later: %v", a.body)
	}
	if _, err := New(Options{}); err == nil {
		t.Error("opens without a clock")
	}
}

// An account whose create says nothing of who is answerable for it is its owner's own, and is shown
// as described.
func TestAnAccountOfFewWords(t *testing.T) {
	v := start(t, Options{Key: "invented-key"})
	a := v.ask(http.MethodPost, "/v1/accounts", "", "country", "NL")
	if a.status != http.StatusOK || a.at("controller", "fees", "payer") != "account" || a.at("controller", "stripe_dashboard", "type") != "full" {
		t.Errorf("%d: %v", a.status, a.body)
	}
	if got := v.ask(http.MethodGet, "/v1/accounts/"+a.at("id"), ""); got.at("controller") != a.at("controller") {
		t.Errorf("it is shown as %v", got.body)
	}
}

// Whoever is told of accounts hears of what their owners and Stripe did, once it is done, and of
// nothing that the API was asked for; and may ask about it.
func TestUpdated(t *testing.T) {
	var told []string
	var v *vendor
	v = start(t, Options{URL: "https://stripe.example", Updated: func(id string) {
		for _, a := range v.stripe.Accounts() {
			told = append(told, fmt.Sprint(a.ID == id, " ", len(a.Due), " ", a.Enabled))
		}
	}})
	id := v.made("")
	v.ask(http.MethodPost, "/v1/accounts/"+id, "", "metadata[a]", "b")
	visit := func(method, form string) *httptest.ResponseRecorder {
		made := v.ask(http.MethodPost, "/v1/account_links", "", "account", id, "type", "account_onboarding", "refresh_url", "https://a.example", "return_url", "https://b.example")
		at := strings.TrimPrefix(made.at("url"), "https://stripe.example")
		page := httptest.NewRecorder()
		v.stripe.ServeHTTP(page, httptest.NewRequest(http.MethodGet, at, nil))
		if method == http.MethodPost {
			r := httptest.NewRequest(method, at, strings.NewReader(form))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			v.stripe.ServeHTTP(httptest.NewRecorder(), r)
		}
		return page
	}
	visit(http.MethodGet, "")
	visit(http.MethodPost, "part=1")
	if page := visit(http.MethodPost, "").Body.String(); !strings.Contains(page, "<li><code>external_account</code></li></ul>") {
		t.Errorf("the page says %s", page)
	}
	if page := visit(http.MethodGet, "").Body.String(); !strings.Contains(page, "nothing more") {
		t.Errorf("the page says %s", page)
	}
	if err := v.stripe.Demand(id, "business_type"); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"true 1 false", "true 0 true", "true 1 true"}, told); d != "" {
		t.Error(d)
	}
}
