package resend

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
	"github.com/compassdigital/reconciler/internal/provider/providertest"
	"github.com/compassdigital/reconciler/internal/provider/resend/simulated"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

func nameIn(body []byte) string {
	var a struct{ Name string }
	_ = json.Unmarshal(body, &a) // a list has none
	return a.Name
}

// Every refusal that Resend documents comes about at the simulated one, by itself where that is
// possible, and has its kind.
func TestEveryRefusal(t *testing.T) {
	call := func(o simulated.Options, do func(t *testing.T, w *world) error) func(*testing.T, *providertest.Answers) error {
		return func(t *testing.T, seen *providertest.Answers) error {
			w := begin(t, o, describe(t))
			w.server.Config.Handler = seen.Tap(w.server.Config.Handler)
			return do(t, w)
		}
	}
	send := func(t *testing.T, w *world) error {
		_, err := w.open(t).Create(t.Context(), welcome("shop-welcome"))
		return err
	}
	sends := func(n int, each func(n int, x *provider.Wish, w *world)) func(t *testing.T, w *world) error {
		return func(t *testing.T, w *world) error {
			p := w.open(t)
			for i := range n {
				x := welcome("shop-welcome")
				each(i, &x, w)
				if _, err := p.Create(t.Context(), x); err != nil {
					return err
				}
			}
			return nil
		}
	}
	others := func(n int, x *provider.Wish, _ *world) { x.Name += strings.Repeat("x", n) }
	key := func(key string, look bool) func(t *testing.T, w *world) error {
		return func(t *testing.T, w *world) error {
			p, err := New(Options{APIKey: state.NewSecret(key), From: from, APIURL: w.url, Now: w.clock.now, HTTP: httpapi.NewHTTP(w.judge.Wrap(w), time.Minute)})
			if err != nil {
				t.Fatal(err)
			}
			if look {
				_, err = p.Observe(t.Context(), provider.Query{Kind: state.KindMail, ID: "4ef9a417-02e9-4d39-ad75-9611e0fcc33c"})
				return err
			}
			_, err = p.Create(t.Context(), welcome("shop-welcome"))
			return err
		}
	}
	asked := func(status int, name string) func(*testing.T, *providertest.Answers) error {
		return func(t *testing.T, seen *providertest.Answers) error {
			w := begin(t, simulated.Options{}, nil)
			w.server.Config.Handler = seen.Tap(w.server.Config.Handler)
			w.faults.Add(simulator.Fault{Do: simulator.Refuse(status, http.Header{"Content-Type": {"application/json"}}, simulated.Refusal(status, name, "as it was asked for"))})
			return send(t, w)
		}
	}
	none := simulated.Options{}
	providertest.Refusals(t, "testdata/refusals.golden", *update, nameIn, []providertest.Refusal{
		{Answer: "403 invalid_api_key", How: "send with a key that was revoked", Kind: provider.Denied, Call: call(none, key("another-invented-key", false))},
		{Answer: "401 restricted_api_key", How: "look with a key that only sends", Kind: provider.Denied, Call: call(simulated.Options{Sending: true}, key(apiKey, true))},
		{Answer: "403 validation_error", How: "send from a domain that is not verified", Kind: provider.Denied, Call: call(simulated.Options{Domains: map[string]string{"acme.example": "pending"}}, send)},
		{Answer: "451 security_error", How: "send, while Resend has found something about the account", Kind: provider.Denied, Call: call(none, func(t *testing.T, w *world) error { w.vendor.Suspend(true); return send(t, w) })},
		{Answer: "404 not_found", How: "look for a mail that Resend keeps no more", Call: call(none, key(apiKey, true))},
		{Answer: "409 invalid_idempotent_request", How: "send other words under the same name", Kind: provider.Conflict, Call: call(none, sends(2, func(n int, x *provider.Wish, _ *world) {
			x.Inputs[0].Text = strings.Repeat("x", n+1)
		}))},
		{Answer: "409 concurrent_idempotent_requests", How: "send while the same mail is under way", Kind: provider.Transient, Call: call(simulated.Options{Work: time.Minute}, sends(2, func(int, *provider.Wish, *world) {}))},
		{Answer: "429 rate_limit_exceeded", How: "a request more than a second has", Kind: provider.RateLimited, Call: call(simulated.Options{Rate: simulator.Limit{Most: 1, Window: time.Second}}, sends(2, others))},
		{Answer: "429 daily_quota_exceeded", How: "a mail more than a day has", Kind: provider.RateLimited, Call: call(simulated.Options{Daily: 1}, sends(2, others))},
		{Answer: "429 monthly_quota_exceeded", How: "a mail more than a month has", Kind: provider.RateLimited, Call: call(simulated.Options{Monthly: 1}, sends(2, others))},
		{Answer: "401 missing_api_key", How: "send without a key", Fault: "the provider does not open without one", Kind: provider.Denied, Call: asked(401, "missing_api_key")},
		{Answer: "400 invalid_idempotency_key", How: "a key of 257 letters", Fault: "the provider's are shorter", Kind: provider.Invalid, Call: asked(400, "invalid_idempotency_key")},
		{Answer: "400 validation_error", How: "a field that is wrong", Fault: "which of them is a 400 and which a 422 is not told: the simulator's are 422", Kind: provider.Invalid, Call: asked(400, "validation_error")},
		{Answer: "422 validation_error", How: "a recipient that is none", Fault: "the provider refuses such a wish", Kind: provider.Invalid, Call: asked(422, "validation_error")},
		{Answer: "422 missing_required_field", How: "a mail without a subject", Fault: "the provider refuses such a wish", Kind: provider.Invalid, Call: asked(422, "missing_required_field")},
		{Answer: "422 invalid_parameter", How: "a sender that is none", Fault: "the provider does not open with one", Kind: provider.Invalid, Call: asked(422, "invalid_parameter")},
		{Answer: "422 invalid_attachment", How: "an attachment that is none", Fault: "the provider sends none", Kind: provider.Invalid, Call: asked(422, "invalid_attachment")},
		{Answer: "405 method_not_allowed", How: "a method that an address does not have", Fault: "the provider has no such call; the simulator answers so to others", Kind: provider.Invalid, Call: asked(405, "method_not_allowed")},
		{Answer: "500 application_error", How: "it broke", Fault: "nothing breaks in a simulator", Kind: provider.Uncertain, Call: asked(500, "application_error")},
		{Answer: "500 internal_server_error", How: "it broke", Fault: "nothing breaks in a simulator", Kind: provider.Uncertain, Call: asked(500, "internal_server_error")},
	})
}

// What is nowhere, and not with this method, is told apart.
func TestNowhere(t *testing.T) {
	w := begin(t, simulated.Options{}, describe(t))
	for path, want := range map[string]int{"/emails": 405, "/nothing": 404} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, w.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+apiKey)
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = a.Body.Close()
		if a.StatusCode != want {
			t.Errorf("PUT %s: %d", path, a.StatusCode)
		}
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}
