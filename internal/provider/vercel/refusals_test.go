package vercel_test

import (
	"encoding/json"
	"net/http"
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

// codeIn is the code of a failure, also of one inside of a success.
func codeIn(body []byte) string {
	var a struct {
		Error  struct{ Code string }
		Failed []struct{ Error struct{ Code string } }
	}
	if json.Unmarshal(body, &a) != nil || len(a.Failed) == 0 {
		return a.Error.Code
	}
	return a.Failed[0].Error.Code
}

// Every refusal that Vercel describes for what is asked of it comes about at the simulated one, by
// itself where that is possible, and has its kind.
func TestEveryRefusal(t *testing.T) {
	k := published(t)
	defer k.Some(t)
	const host = "shop1.example"
	call := func(o simulated.Options, do func(t *testing.T, w *world) error) func(*testing.T, *providertest.Answers) error {
		return func(t *testing.T, seen *providertest.Answers) error {
			w := open(t, k, o)
			w.server.Config.Handler = seen.Tap(w.server.Config.Handler)
			return do(t, w)
		}
	}
	create := func(w *world, x provider.Wish) error { _, err := w.Create(t.Context(), x); return err }
	who := func(token, team string) func(*testing.T, *providertest.Answers) error {
		return call(simulated.Options{}, func(t *testing.T, w *world) error {
			p := vercel.New(vercel.Options{Token: state.NewSecret(token), Team: team, URL: w.server.URL, Now: w.clock.Now, HTTP: httpapi.NewHTTP(k.Wrap(&http.Transport{DisableKeepAlives: true}), time.Minute)})
			_, err := p.Create(t.Context(), wishSite(1))
			return err
		})
	}
	asked := func(status int, body string, do func(t *testing.T, w *world) error) func(*testing.T, *providertest.Answers) error {
		return func(t *testing.T, seen *providertest.Answers) error {
			w := openApart(t, k, simulated.Options{})
			w.server.Config.Handler = seen.Tap(w.server.Config.Handler)
			w.faults.Add(simulator.Fault{Method: http.MethodPost, Skip: 1, Times: -1, Do: simulator.Refuse(status, http.Header{"Content-Type": {"application/json"}}, body)})
			return do(t, w)
		}
	}
	second := func(t *testing.T, w *world) error { w.must(t, wishSite(1)); return create(w, wishSite(2)) }
	// back rolls back, and Vercel refuses it as it was asked to.
	back := func(status int, code string) func(*testing.T, *providertest.Answers) error {
		return func(t *testing.T, seen *providertest.Answers) error {
			w := openApart(t, k, simulated.Options{})
			c := w.provision(t, 1)
			next := w.must(t, wishRelease(1, c.site.ID, "bbbbbbbbbbbb"))
			if _, err := w.Update(t.Context(), c.traffic.ID, wishTraffic(1, c.site.ID, next.ID)); err != nil {
				t.Fatal(err)
			}
			w.server.Config.Handler = seen.Tap(w.server.Config.Handler)
			w.faults.Add(simulator.Fault{Path: "/v1/projects/*/rollback/*", Do: simulator.Refuse(status, http.Header{"Content-Type": {"application/json"}}, `{"error":{"code":"`+code+`","message":"as it was asked for"}}`)})
			_, err := w.Update(t.Context(), c.traffic.ID, wishTraffic(1, c.site.ID, c.release.ID))
			return err
		}
	}
	none := simulated.Options{}
	// domain wishes a host for the first of two sites.
	domain := func(name string, change func(t *testing.T, w *world, first, other provider.Object)) func(*testing.T, *providertest.Answers) error {
		return call(simulated.Options{Fails: func(simulated.Served) string { return "breakBuild is set" }}, func(t *testing.T, w *world) error {
			first, other := w.must(t, wishSite(1)), w.must(t, wishSite(2))
			change(t, w, first, other)
			return create(w, wishDomain(1, first.ID, name, ""))
		})
	}
	providertest.Refusals(t, "testdata/refusals.golden", *update, codeIn, []providertest.Refusal{
		{Answer: "401 unauthorized", How: "a call without a token", Kind: provider.Denied, Call: who("", team)},
		{Answer: "403 forbidden", How: "a call with a token that was revoked", Kind: provider.Denied, Call: who("invented-other-token", team)},
		{Answer: "403 forbidden", How: "a call for another team", Kind: provider.Denied, Call: who(token, "team_other")},
		{Answer: "404 not_found", How: "a call for no team: the token's own account has nothing", Kind: provider.Denied, Call: who(token, "")},
		{Answer: "409 conflict", How: "create a project of a name that is taken", Kind: provider.Conflict, Call: call(none, func(t *testing.T, w *world) error { w.must(t, wishSite(1)); return create(w, wishSite(1)) })},
		{Answer: "400 bad_request", How: "create a project of a name of 101 letters", Kind: provider.Invalid, Call: call(none, func(_ *testing.T, w *world) error {
			x := wishSite(1)
			x.Name = strings.Repeat("x", 101)
			return create(w, x)
		})},
		{Answer: "402 payment_required", How: "create a project more than the plan has", Kind: provider.Invalid, Call: call(simulated.Options{MaxProjects: 1}, second)},
		{Answer: "402 payment_required", How: "create, while the account owes a payment", Kind: provider.Invalid, Call: call(none, func(t *testing.T, w *world) error {
			site := w.must(t, wishSite(1))
			w.sim.Block(true)
			return create(w, wishRelease(1, site.ID, "aaaaaaaaaaaa"))
		})},
		{Answer: "402 api-deployments-free-per-day", How: "a deployment more than a day has", Kind: provider.Invalid, Call: call(simulated.Options{MaxDeployments: 1}, func(t *testing.T, w *world) error {
			site := w.must(t, wishSite(1))
			w.must(t, wishRelease(1, site.ID, "aaaaaaaaaaaa"))
			return create(w, wishRelease(1, site.ID, "bbbbbbbbbbbb"))
		})},
		{Answer: "409 conflict", How: "write variables while a person transfers the project", Kind: provider.Conflict, Call: call(none, func(t *testing.T, w *world) error {
			site := w.must(t, wishSite(1))
			w.sim.Transfer(site.ID, true)
			return create(w, wishEnv(1, site.ID))
		})},
		{Answer: "409 conflict", How: "deploy while a person transfers the project", Kind: provider.Conflict, Call: call(none, func(t *testing.T, w *world) error {
			site := w.must(t, wishSite(1))
			w.sim.Transfer(site.ID, true)
			return create(w, wishRelease(1, site.ID, "aaaaaaaaaaaa"))
		})},
		{Answer: "404 not_found", How: "update a project that a person deleted", Kind: provider.NotFound, Call: call(none, func(t *testing.T, w *world) error {
			site := w.must(t, wishSite(1))
			if err := w.Delete(t.Context(), state.KindSite, site.ID); err != nil {
				t.Fatal(err)
			}
			_, err := w.Update(t.Context(), site.ID, wishSite(1))
			return err
		})},
		{Answer: "404 not_found", How: "delete a deployment that is gone", Call: call(none, func(t *testing.T, w *world) error {
			site := w.must(t, wishSite(1))
			release := w.must(t, wishRelease(1, site.ID, "aaaaaaaaaaaa"))
			for range 2 {
				if err := w.Delete(t.Context(), state.KindDeployment, release.ID); err != nil {
					return err
				}
			}
			return nil
		})},
		{Answer: "201 ENV_ALREADY_EXISTS", How: "a variable that a person made for production and previews, right before ours", Kind: provider.Conflict, Call: call(none, func(t *testing.T, w *world) error {
			site := w.must(t, wishSite(1))
			vercel := w.server.Config.Handler
			w.server.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/env") {
					w.sim.Edit(site.ID, "KEY", "by hand", "encrypted", "", "production", "preview")
				}
				vercel.ServeHTTP(rw, r)
			})
			return create(w, wishEnv(1, site.ID))
		})},
		{Answer: "201 max_env_size", How: "variables of more than 64 KB", Kind: provider.Invalid, Call: call(none, func(t *testing.T, w *world) error {
			site := w.must(t, wishSite(1))
			return create(w, wishEnv(1, site.ID, providertest.Secret("env.LARGE", strings.Repeat("x", 70_000))))
		})},
		{Answer: "400 invalid_domain", How: "a domain that is no host name", Kind: provider.Invalid, Call: domain("shop1", func(*testing.T, *world, provider.Object, provider.Object) {})},
		{Answer: "400 domain_already_in_use", How: "a domain that the project has", Kind: provider.Conflict, Call: domain(host, func(t *testing.T, w *world, first, _ provider.Object) {
			if err := create(w, wishDomain(1, first.ID, host, "")); err != nil {
				t.Fatal(err)
			}
		})},
		{Answer: "409 domain_already_in_use", How: "a domain that another project has", Kind: provider.Conflict, Call: domain(host, func(t *testing.T, w *world, _, other provider.Object) {
			if err := create(w, wishDomain(2, other.ID, host, "")); err != nil {
				t.Fatal(err)
			}
		})},
		{Answer: "400 bad_request", How: "a domain of a project whose newest production deployment failed", Kind: provider.Invalid, Call: domain(host, func(t *testing.T, w *world, first, _ provider.Object) {
			if err := create(w, wishRelease(1, first.ID, "aaaaaaaaaaaa")); err != nil {
				t.Fatal(err)
			}
		})},
		{Answer: "400 missing_txt_record", How: "a domain that another account uses, and no TXT record: the object says what to set", Call: domain(host, func(_ *testing.T, w *world, _, _ provider.Object) { w.sim.Claim(host) })},
		{Answer: "400 invalid_redirect", How: "a domain that redirects to itself", Kind: provider.Invalid, Call: call(none, func(t *testing.T, w *world) error {
			site := w.must(t, wishSite(1))
			return create(w, wishDomain(1, site.ID, host, host))
		})},
		{Answer: "409 conflict", How: "point production elsewhere while it is being pointed", Kind: provider.Transient, Call: call(simulated.Options{PointTime: time.Minute}, func(t *testing.T, w *world) error {
			c := w.provision(t, 1)
			for _, release := range []string{"bbbbbbbbbbbb", "cccccccccccc"} {
				next := w.must(t, wishRelease(1, c.site.ID, release))
				if _, err := w.Update(t.Context(), c.traffic.ID, wishTraffic(1, c.site.ID, next.ID)); err != nil {
					return err
				}
			}
			return nil
		})},
		{Answer: "429 rate_limited", How: "a call more than the endpoint has a minute", Kind: provider.RateLimited, Call: call(simulated.Options{Limits: map[string]simulator.Limit{"POST /v11/projects": {Most: 1, Window: time.Minute}}}, second)},
		{Answer: "422 invalid_rollback_target", How: "roll back to what never served", Fault: "the provider promotes what never served", Kind: provider.Invalid, Call: back(422, "invalid_rollback_target")},
		{Answer: "428 precondition_required", How: "a protection that the plan does not have", Fault: "the provider asks for none", Kind: provider.Invalid, Call: asked(428, `{"error":{"code":"precondition_required","message":"as it was asked for"}}`, second)},
		{Answer: "403 ENV_ALREADY_EXISTS", How: "a variable that is there, written alone", Fault: "the provider writes lists, where it is inside of a 201", Kind: provider.Conflict, Call: asked(403, `{"error":{"code":"ENV_ALREADY_EXISTS","message":"as it was asked for"}}`, second)},
		{Answer: "410 gone", How: "roll back to what Vercel keeps no more", Fault: "it is described without words and conditions", Kind: provider.Invalid, Call: back(410, "gone")},
		{Answer: "500 internal_server_error", How: "it broke", Fault: "nothing breaks in a simulator", Kind: provider.Uncertain, Call: asked(500, `{"error":{"code":"internal_server_error","message":"as it was asked for"}}`, second)},
	})
}
