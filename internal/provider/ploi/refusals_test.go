package ploi_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/ploi"
	"github.com/compassdigital/reconciler/internal/provider/ploi/simulated"
	"github.com/compassdigital/reconciler/internal/provider/providertest"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

// codeIn names the field that is wrong, or says that an answer is an error in one word. The
// vendor has no codes.
func codeIn(body []byte) string {
	var a struct {
		Error  string
		Errors map[string][]string
	}
	_ = json.Unmarshal(body, &a) // a list has neither
	for field := range a.Errors {
		return field // it names one
	}
	if a.Error != "" {
		return "error"
	}
	return ""
}

// Every refusal that Ploi documents comes about at the simulated one, by itself where that is
// possible, and has its kind.
func TestEveryRefusal(t *testing.T) {
	ctx := context.Background()
	call := func(o simulated.Options, do func(w *world) error) func(*testing.T, *providertest.Answers) error {
		return func(t *testing.T, seen *providertest.Answers) error {
			w := newWorld(t, o)
			w.server.Config.Handler = seen.Tap(w.server.Config.Handler)
			return do(w)
		}
	}
	create := func(w *world, x provider.Wish) error { return secondOf(w.p.Create(ctx, x)) }
	site := func(w *world) error { return create(w, siteWish("c00001")) }
	domain := func(host string) func(w *world) error {
		return func(w *world) error {
			for n, client := range []string{"c00001", "c00002"} {
				s := w.create(siteWish(client))
				if err := create(w, wish(state.KindDomain, client, host+"@ploi", "site", s.ID, "host", host, "redirect", "")); err != nil || n == 1 {
					return err
				}
			}
			return nil
		}
	}
	// meanwhile lets a person do something right before a call arrives.
	meanwhile := func(w *world, method, end string, do func()) {
		vendor := w.server.Config.Handler
		w.server.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.Method == method && strings.HasSuffix(r.URL.Path, end) {
				do()
			}
			vendor.ServeHTTP(rw, r)
		})
	}
	asked := func(status int, body string) func(*testing.T, *providertest.Answers) error {
		return call(simulated.Options{}, func(w *world) error {
			c := w.client(1)
			w.faults.Add(simulator.Fault{Method: http.MethodPatch, Do: simulator.Refuse(status, jsonHeader(), body)})
			_, err := w.p.Update(ctx, c.env.ID, wish(state.KindEnvironment, "c00001", "ploi", "site", c.site.ID, "env.A", "1"))
			return err
		})
	}
	none := simulated.Options{}
	providertest.Refusals(t, "testdata/refusals.golden", *update, codeIn, []providertest.Refusal{
		{Answer: "401", How: "a call with a token that was revoked", Kind: provider.Denied, Call: call(none, func(w *world) error {
			o := w.options(w.server.URL+"/api", &http.Transport{DisableKeepAlives: true})
			o.Token = state.NewSecret("another-invented-token")
			return site(w.with(o))
		})},
		{Answer: "403 error", How: "a call on a free plan", Kind: provider.Denied, Call: call(simulated.Options{Plan: "free"}, site)},
		{Answer: "404", How: "a server that the token does not see", Kind: provider.Invalid, Call: call(none, func(w *world) error {
			w.names["web-9"] = "9"
			x := siteWish("c00001")
			for n := range x.Inputs {
				if x.Inputs[n].Name == "server" {
					x.Inputs[n].Text = "web-9"
				}
			}
			return create(w.with(w.options(w.server.URL+"/api", &http.Transport{DisableKeepAlives: true})), x)
		})},
		{Answer: "404", How: "update a site that a person deleted", Kind: provider.NotFound, Call: call(none, func(w *world) error {
			s := w.create(siteWish("c00001"))
			w.remove(state.KindSite, s.ID)
			w.clock.Move(time.Minute)
			return secondOf(w.p.Update(ctx, s.ID, siteWish("c00001")))
		})},
		{Answer: "404", How: "delete a site that is gone", Call: call(none, func(w *world) error {
			s := w.create(siteWish("c00001"))
			w.remove(state.KindSite, s.ID)
			w.clock.Move(time.Minute)
			return w.p.Delete(ctx, state.KindSite, s.ID)
		})},
		{Answer: "422 root_domain", How: "create a site of a name that is taken", Kind: provider.Conflict, Call: call(none, func(w *world) error { w.create(siteWish("c00001")); return site(w) })},
		{Answer: "422 aliases", How: "a domain that another site has, where Ploi minds", Kind: provider.Invalid, Call: call(simulated.Options{Doubts: simulated.Doubts{OneName: true}}, domain("shop.example"))},
		{Answer: "422 site", How: "deploy while a person's deployment runs", Kind: provider.Transient, Call: call(simulated.Options{BuildTime: time.Minute}, func(w *world) error {
			c := w.client(1)
			meanwhile(w, http.MethodPost, "/deploy", func() { w.vendor.Deploy(48_001) })
			return create(w, releaseWish("c00001", c.site.ID, "9be01c22aa10", "2222222222222222222222222222222222222222"))
		})},
		{Answer: "200 error", How: "deploy while a person's deployment runs, where Ploi says it in a success", Kind: provider.Transient, Call: call(simulated.Options{BuildTime: time.Minute, Doubts: simulated.Doubts{BusyError: true}}, func(w *world) error {
			c := w.client(1)
			meanwhile(w, http.MethodPost, "/deploy", func() { w.vendor.Deploy(48_001) })
			return create(w, releaseWish("c00001", c.site.ID, "9be01c22aa10", "2222222222222222222222222222222222222222"))
		})},
		{Answer: "422 name", How: "a repository without an owner: the site is there, and differs from its wish", Call: call(none, func(w *world) error {
			x := siteWish("c00001")
			for n := range x.Inputs {
				if x.Inputs[n].Name == "repository" {
					x.Inputs[n].Text = "storefront"
				}
			}
			return create(w, x)
		})},
		{Answer: "429", How: "a call more than the plan has a minute", Kind: provider.RateLimited, Call: call(simulated.Options{Plan: "basic"}, func(w *world) error {
			for range 61 {
				if _, err := w.p.Observe(ctx, provider.Query{Kind: state.KindSite, ID: "1/1"}); err != nil {
					return err
				}
			}
			return nil
		})},
		{Answer: "503", How: "a call while Ploi is maintained", Kind: provider.RateLimited, Call: call(none, func(w *world) error { w.vendor.Maintain(10 * time.Minute); return site(w) })},
		{Answer: "422 content", How: "an .env of one byte", Fault: "the provider's have a mark in them, which is longer", Kind: provider.Invalid, Call: asked(422, `{"message":"The given data was invalid.","errors":{"content":["The content must be at least 2 characters."]}}`)},
		{Answer: "422 aliases", How: "a domain that is no host name", Fault: "the provider refuses such a wish", Kind: provider.Invalid, Call: asked(422, `{"message":"The given data was invalid.","errors":{"aliases":["The alias format is invalid."]}}`)},
		{Answer: "405", How: "a method that an address does not have", Fault: "the provider has no such call; the simulator answers so to others", Kind: provider.Invalid, Call: asked(405, `{"message":"The PATCH method is not supported for this route."}`)},
		{Answer: "500", How: "it broke", Fault: "nothing breaks in a simulator", Kind: provider.Uncertain, Call: asked(500, `{"message":"Server Error"}`)},
	})
}

// with is the world with another client.
func (w *world) with(o ploi.Options) *world {
	w.Helper()
	p, err := ploi.New(o)
	if err != nil {
		w.Fatal(err)
	}
	w.p = p
	return w
}
