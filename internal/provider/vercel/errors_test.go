package vercel_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
	"github.com/compassdigital/reconciler/internal/provider/providertest"
	"github.com/compassdigital/reconciler/internal/provider/vercel"
	"github.com/compassdigital/reconciler/internal/provider/vercel/simulated"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

// Every answer that Vercel documents has its kind: of a look and of a create.
func TestErrorKinds(t *testing.T) {
	k := published(t)
	defer k.Some(t)
	w := openApart(t, k, simulated.Options{})
	site := w.must(t, wishSite(1))
	body := func(code, message, more string) string {
		return fmt.Sprintf(`{"error":{"code":%q,"message":%q%s}}`, code, message, more)
	}
	reset := w.clock.Now().Add(20 * time.Minute).Unix()
	for name, c := range map[string]struct {
		status       int
		header       http.Header
		body         string
		look, create provider.ErrorKind
		says         string
		until        time.Duration
	}{
		"invalid":         {400, nil, body("bad_request", "Invalid request: `name` is\nwrong", ""), provider.Invalid, provider.Invalid, "`name` is wrong (bad_request)", 0},
		"no token":        {401, nil, body("unauthorized", "The request is not authorized", ""), provider.Denied, provider.Denied, "the token of providers.vercel is not accepted", 0},
		"revoked token":   {403, nil, body("forbidden", "Not authorized", `,"invalidToken":true`), provider.Denied, provider.Denied, "the token of providers.vercel is not accepted", 0},
		"another team":    {403, nil, body("forbidden", "Not authorized: Trying to access resource under scope", ""), provider.Denied, provider.Denied, "it has to be of the team in providers.vercel.teamID", 0},
		"payment, quota":  {402, nil, body("payment_required", "The account is missing a payment", ""), provider.Invalid, provider.Invalid, "The account is missing a payment", 0},
		"conflict":        {409, nil, body("conflict", "Project already exists", ""), provider.Conflict, provider.Conflict, "already exists", 0},
		"limit":           {429, nil, body("rate_limited", "Try again", fmt.Sprintf(`,"limit":{"remaining":0,"reset":%d,"resetMs":%d000,"total":60}`, reset, reset)), provider.RateLimited, provider.RateLimited, "Try again", 20 * time.Minute},
		"limit by header": {429, http.Header{"X-Ratelimit-Reset": {fmt.Sprint(reset)}}, "<html>", provider.RateLimited, provider.RateLimited, "429", 20 * time.Minute},
		"limit of a week": {429, nil, body("rate_limited", "Try again in 7 days", fmt.Sprintf(`,"limit":{"reset":%d}`, reset+7*86400)), provider.RateLimited, provider.RateLimited, "7 days", time.Hour},
		"limit unsaid":    {429, http.Header{"Retry-After": {"54"}}, "", provider.RateLimited, provider.RateLimited, "429", 54 * time.Second},
		"its fault":       {500, nil, body("internal_server_error", "An unexpected error occurred", ""), provider.Transient, provider.Uncertain, "unexpected", 0},
		"gateway":         {502, nil, "<html>", provider.Transient, provider.Uncertain, "502", 0},
		"addon":           {428, nil, body("precondition_required", "Owner does not have protection add-on", ""), provider.Invalid, provider.Invalid, "add-on", 0},
	} {
		t.Run(name, func(t *testing.T) {
			w.faults.Clear()
			w.faults.Add(simulator.Fault{Times: -1, Do: simulator.Refuse(c.status, c.header, c.body)})
			defer w.faults.Clear()
			w.Provider = w.provider(&http.Transport{DisableKeepAlives: true}) // that heeds nothing yet
			_, errLook := w.Observe(t.Context(), provider.Query{Kind: state.KindSite, ID: site.ID})
			_, errOwned := w.Owned(t.Context(), ours)
			_, errCreate := w.Create(t.Context(), wishSite(2))
			for what, got := range map[string]struct {
				err  error
				want provider.ErrorKind
			}{"look": {errLook, c.look}, "list": {errOwned, c.look}, "create": {errCreate, c.create}} {
				if kindOf(got.err) != got.want || !strings.Contains(got.err.Error(), c.says) || strings.Contains(got.err.Error(), token) {
					t.Errorf("%s: %v; want %s with %q", what, got.err, got.want, c.says)
				}
				if until := provider.UntilOf(got.err); c.until > 0 && !until.Equal(w.clock.Now().Add(c.until)) {
					t.Errorf("%s: until %s", what, until)
				}
			}
		})
	}
}

// S28, S32, S33: what the simulated vendor refuses by itself, until when, and what a check says of
// it. The kinds of a token and a team that are not right are in TestEveryRefusal.
func TestRefusals(t *testing.T) {
	k := published(t)
	w := open(t, k, simulated.Options{MaxDeployments: 1, Limits: map[string]simulator.Limit{"POST /v11/projects": {Most: 2, Window: time.Minute}}})
	site := w.must(t, wishSite(1))
	if _, err := w.Create(t.Context(), wishSite(1)); kindOf(err) != provider.Conflict {
		t.Errorf("a name that is taken: %v", err)
	}
	_, err := w.Create(t.Context(), wishSite(2))
	if until := provider.UntilOf(err); kindOf(err) != provider.RateLimited || !until.Equal(w.clock.Now().Add(time.Minute)) {
		t.Errorf("one too many: %v until %s", err, until)
	}
	w.took()
	if _, err := w.Create(t.Context(), wishSite(3)); kindOf(err) != provider.RateLimited || len(w.took()) > 0 {
		t.Errorf("before its time: %v", err)
	}
	if _, err := w.Observe(t.Context(), provider.Query{Kind: state.KindSite, ID: site.ID}); err != nil {
		t.Errorf("another endpoint has a limit of its own: %v", err)
	}
	w.clock.Move(time.Minute)
	w.must(t, wishSite(2))
	w.must(t, wishRelease(1, site.ID, "aaaaaaaaaaaa"))
	if _, err := w.Create(t.Context(), wishRelease(1, site.ID, "bbbbbbbbbbbb")); kindOf(err) != provider.Invalid || !strings.Contains(err.Error(), "try again in 24 hours") {
		t.Errorf("the quota: %v", err)
	}
	if found := w.Check(t.Context()); len(found) != 3 || !found[0].OK || !found[1].OK || !found[2].OK {
		t.Errorf("check: %+v", found)
	}
	for name, o := range map[string]vercel.Options{
		"another token": {Token: state.NewSecret("invented-other-token"), Team: team},
		"another team":  {Token: state.NewSecret(token), Team: "team_other"},
		"no team":       {Token: state.NewSecret(token)},
		"no id":         {Token: state.NewSecret(token), Team: "The Agency"},
	} {
		o.URL, o.Now, o.HTTP = w.server.URL, w.clock.Now, httpapi.NewHTTP(k.Wrap(&http.Transport{DisableKeepAlives: true}), time.Minute)
		p := vercel.New(o)
		found := p.Check(t.Context())
		if last := found[len(found)-1]; last.OK || !strings.Contains(last.Text+last.Hint, "token") && !strings.Contains(last.Text, "teamID") || strings.Contains(last.Text+last.Hint, "invented") {
			t.Errorf("%s: check says %+v", name, found)
		}
	}
	k.Some(t)
}

// A token whose owner may only look in the team reads all that a check reads, and makes nothing: the
// check says so, before the first client fails.
func TestCheckSeesARoleThatOnlyLooks(t *testing.T) {
	k := published(t)
	for role, ok := range map[string]bool{"OWNER": true, "DEVELOPER": true, "CONTRIBUTOR": true, "VIEWER": false, "VIEWER_FOR_PLUS": false, "BILLING": false} {
		found := openApart(t, k, simulated.Options{Role: role}).Check(t.Context())
		if last := found[len(found)-1]; last.OK != ok || !ok && (!strings.Contains(last.Text, "has the role "+role) || !strings.Contains(last.Hint, "member")) {
			t.Errorf("%s: check says %+v", role, found)
		}
	}
	k.Some(t)
}

// A wish that Vercel has no words for is refused before anything is sent.
func TestWishesThatVercelDoesNotHave(t *testing.T) {
	w := open(t, published(t), simulated.Options{})
	site := w.must(t, wishSite(1))
	w.took()
	change := func(base provider.Wish, name, value string) provider.Wish {
		for i := range base.Inputs {
			if base.Inputs[i].Name == name {
				base.Inputs[i] = text(name, value)
				return base
			}
		}
		base.Inputs = append(base.Inputs, text(name, value))
		return base
	}
	for _, wish := range []provider.Wish{
		change(wishSite(2), "server", "web-1"),
		change(wishSite(2), "repository", "https://git.example/agency/shop.git"),
		change(wishSite(2), "repository", "https://user:pw@github.com/agency/shop"),
		change(wishSite(2), "runtime", "ruby3"),
		change(wishRelease(1, site.ID, "aaaaaaaaaaaa"), "commit", ""),
		change(wishRelease(1, site.ID, "aaaaaaaaaaaa"), "settings", "{"),
		change(change(wishRelease(1, site.ID, "aaaaaaaaaaaa"), "command", ""), "migrate", "pnpm migrate"),
		change(wishRelease(1, site.ID, "aaaaaaaaaaaa"), "command", strings.Repeat("x", 300)),
		wishRelease(1, "elsewhere", "aaaaaaaaaaaa"),
		wishDomain(1, site.ID, "a/b", ""),
	} {
		if _, err := w.Create(t.Context(), wish); kindOf(err) != provider.Invalid {
			t.Errorf("%v: %v", wish.Inputs, err)
		}
	}
	if calls := w.took(); len(calls) > 0 {
		t.Errorf("it called %q", calls)
	}
	if _, err := w.Create(t.Context(), wishEnv(1, site.ID, text("env.RECONCILER_MARK", "mine"))); kindOf(err) != provider.Invalid {
		t.Errorf("a variable of the reconciler's own: %v", err)
	}
}

// What a hostile vendor answers ends in an error or in a bounded object, and shows no secret.
func TestHostileAnswers(t *testing.T) {
	long := strings.Repeat("x\u202e\x1b[31m", 100_000)
	for name, body := range map[string]string{
		"not JSON":      "<html>",
		"a list":        "[]",
		"nothing":       "",
		"null":          "null",
		"other types":   `{"id":7,"name":{},"envs":"x","projects":{},"pagination":[]}`,
		"odd ids":       `{"id":"../../etc","uid":"a/b","name":"..","projects":[{"id":"prj_/../x","name":"a-0badcafe"}],"deployments":[{"uid":"dpl_?x"}],"envs":[{"id":"../x","key":"A","target":"production"}],"pagination":{"next":null}}`,
		"circles":       `{"projects":[],"deployments":[],"envs":[],"pagination":{"next":5}}`,
		"many words":    fmt.Sprintf(`{"id":"dpl_x","readyState":%q,"errorMessage":%q,"url":%q,"projectId":"prj_x"}`, long, long, long),
		"another state": `{"id":"dpl_x","readyState":"BLOCKED","projectId":"prj_x"}`,
		"null targets":  `{"id":"prj_x","name":"n","targets":{"production":null},"lastAliasRequest":null,"link":null}`,
		"odd requests":  `{"id":"prj_x","name":"n","targets":{},"lastAliasRequest":{"toDeploymentId":"dpl_y","jobStatus":"levitating"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprint(w, body)
			}))
			defer server.Close()
			p := vercel.New(vercel.Options{Token: state.NewSecret(token), Team: team, URL: server.URL, Now: newClock().Now, HTTP: httpapi.NewHTTP(&http.Transport{DisableKeepAlives: true}, time.Minute)})
			check := func(found []provider.Object, err error) {
				t.Helper()
				var e *provider.Error
				if err != nil && (!errors.As(err, &e) || len(err.Error()) > 2000 || strings.ContainsAny(err.Error(), "\x1b\u202e\n")) {
					t.Errorf("an error: %.200q", err)
				}
				for _, o := range found {
					if len(o.Message) > 2000 || strings.ContainsAny(o.Message, "\x1b\u202e\n") || o.ID == "" {
						t.Errorf("an object: %.300v", o)
					}
				}
			}
			one := func(o provider.Object, err error) {
				if err == nil {
					check([]provider.Object{o}, nil)
				} else {
					check(nil, err)
				}
			}
			ids := map[state.Kind]string{state.KindSite: "prj_x", state.KindEnvironment: "prj_x", state.KindDeployment: "dpl_x", state.KindTraffic: "prj_x", state.KindDomain: "prj_x/shop.example"}
			wishes := []provider.Wish{wishSite(1), wishEnv(1, "prj_x"), wishRelease(1, "prj_x", "aaaaaaaaaaaa"), wishTraffic(1, "prj_x", "dpl_x"), wishDomain(1, "prj_x", "shop.example", "")}
			check(p.Owned(t.Context(), ours))
			for _, w := range wishes {
				check(p.Observe(t.Context(), provider.Query{Kind: w.Ref.Kind, ID: ids[w.Ref.Kind]}))
				check(p.Observe(t.Context(), provider.Query{Kind: w.Ref.Kind, Name: w.Name, Wish: &w}))
				check(p.Observe(t.Context(), provider.Query{Kind: w.Ref.Kind, Wish: &w}))
				one(p.Create(t.Context(), w))
				one(p.Update(t.Context(), ids[w.Ref.Kind], w))
				check(nil, p.Delete(t.Context(), w.Ref.Kind, ids[w.Ref.Kind]))
			}
			for _, f := range p.Check(t.Context()) {
				if len([]rune(f.Text)) > 300 || strings.ContainsAny(f.Text, "\n\x1b") {
					t.Errorf("check: %q", f.Text)
				}
			}
		})
	}
}

// A part of a bulk of variables that is refused is an error, though the answer is a success.
func TestFailedInsideOfSuccess(t *testing.T) {
	k := published(t)
	defer k.Some(t)
	w := openApart(t, k, simulated.Options{})
	site := w.must(t, wishSite(1))
	w.faults.Add(simulator.Fault{Method: "POST", Path: "/v10/projects/*/env", Do: simulator.Instead(201, nil,
		`{"created":[],"failed":[{"error":{"code":"ENV_ALREADY_EXISTS","message":"A variable with the name KEY already exists","envVarKey":"KEY","value":"pssst-a-key"}}]}`)})
	_, err := w.Create(t.Context(), wishEnv(1, site.ID))
	if kindOf(err) != provider.Conflict || !strings.Contains(err.Error(), "KEY") || strings.Contains(err.Error(), "pssst") {
		t.Errorf("it exists: %v", err)
	}
	site = w.must(t, wishSite(2))
	large := providertest.Secret("env.LARGE", strings.Repeat("pssst", 20_000))
	_, err = w.Create(t.Context(), wishEnv(2, site.ID, large))
	if kindOf(err) != provider.Invalid || !strings.Contains(err.Error(), "64KB") || !strings.Contains(err.Error(), "LARGE") || strings.Contains(err.Error(), "pssst") {
		t.Errorf("too large: %.300v", err)
	}
}
