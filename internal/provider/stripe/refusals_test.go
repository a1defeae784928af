package stripe

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/contract"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/providertest"
	"github.com/compassdigital/reconciler/internal/provider/stripe/simulated"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

// codeIn is the code of a failure, or its type where that is not the usual one.
func codeIn(body []byte) string {
	var a struct{ Error struct{ Code, Type string } }
	_ = json.Unmarshal(body, &a) // a page has none
	if a.Error.Code == "" && a.Error.Type != badRequest {
		return a.Error.Type
	}
	return a.Error.Code
}

// Every refusal that Stripe documents for what is asked of it comes about at the simulated one, by
// itself where that is possible, and has its kind.
func TestEveryRefusal(t *testing.T) {
	ctx := context.Background()
	paper := contract.OpenAPI(t, described())
	call := func(do func(w *world) error, change ...func(*simulated.Options)) func(*testing.T, *providertest.Answers) error {
		return func(t *testing.T, seen *providertest.Answers) error {
			w := begin(t, paper, false, change...)
			w.server.Config.Handler = seen.Tap(w.server.Config.Handler)
			return do(w)
		}
	}
	wishes := func(x provider.Wish) func(w *world) error {
		return func(w *world) error { return second(w.open().Create(ctx, x)) }
	}
	create := wishes(wanted(1))
	key := func(change func(*Options)) func(w *world) error {
		return func(w *world) error { return second(w.open(change).Create(ctx, wanted(1))) }
	}
	// closed asks about an account that is closed.
	closed := func(change func(*Options)) func(w *world) error {
		return func(w *world) error {
			p := w.open(change)
			o := w.made(p, 1)
			if err := w.vendor.Close(o.ID); err != nil {
				return err
			}
			return second(p.Update(ctx, o.ID, with(wanted(1), "tier", "premium")))
		}
	}
	asked := func(do simulator.Effect) func(*testing.T, *providertest.Answers) error {
		return func(t *testing.T, seen *providertest.Answers) error {
			w := begin(t, paper, true)
			w.server.Config.Handler = seen.Tap(w.server.Config.Handler)
			w.faults.Add(simulator.Fault{Method: "POST", Do: do})
			return create(w)
		}
	}
	said := func(status int, kind, code string) simulator.Effect {
		return simulator.Refuse(status, jsonHeader(), said(kind, code, "as it was asked for"))
	}
	providertest.Refusals(t, "testdata/refusals.golden", *update, codeIn, []providertest.Refusal{
		{Answer: "401", How: "a call with a key that was revoked", Kind: provider.Denied, Call: call(key(func(o *Options) { o.Key = state.NewSecret("another-invented-key") }))},
		{Answer: "401 api_key_expired", How: "a call with a key whose time is over", Kind: provider.Denied, Call: call(create, func(o *simulated.Options) { o.Expired = true })},
		{Answer: "403", How: "create with a key that may only read", Kind: provider.Denied, Call: call(create, func(o *simulated.Options) { o.ReadOnly = true })},
		{Answer: "400", How: "create for a platform that has not signed up for Connect", Kind: provider.Invalid, Call: call(create, func(o *simulated.Options) { o.NoConnect = true })},
		{Answer: "400 country_unsupported", How: "an account in a country that Stripe is not in", Kind: provider.Invalid, Call: call(wishes(with(wanted(1), "country", "KP")))},
		{Answer: "400 email_invalid", How: "an account with an address that is none", Kind: provider.Invalid, Call: call(wishes(with(wanted(1), "email", "dana")))},
		{Answer: "403 account_invalid", How: "update an account that its owner closed", Kind: provider.NotFound, Call: call(closed(func(*Options) {}))},
		{Answer: "403 account_invalid", How: "update an account that is closed, with a key of nobody knows which platform", Kind: provider.Invalid, Call: call(closed(func(o *Options) { o.Platform = "" }))},
		{Answer: "409 idempotency_key_in_use", How: "create, while the same create is under way", Kind: provider.Conflict, Call: call(func(w *world) error {
			if err := create(w); err != nil {
				return err
			}
			return create(w)
		}, func(o *simulated.Options) { o.Work = time.Minute })},
		{Answer: "400 idempotency_error", How: "create something else under the same name", Kind: provider.Conflict, Call: call(func(w *world) error {
			if err := create(w); err != nil {
				return err
			}
			return wishes(with(wanted(1), "country", "DE"))(w)
		})},
		{Answer: "429 rate_limit", How: "a request more than a second has", Kind: provider.RateLimited, Call: call(func(w *world) error {
			if err := create(w); err != nil {
				return err
			}
			return wishes(wanted(2))(w)
		}, func(o *simulated.Options) { o.PerSecond = 1 })},
		{Answer: "500 api_error", How: "a request that fails once it began: Stripe keeps that answer for its key", Kind: provider.Uncertain, Call: call(func(w *world) error { w.vendor.FailNext(1); return create(w) })},
		{Answer: "404", How: "an apiURL that leads elsewhere", Kind: provider.Invalid, Call: call(func(w *world) error { w.made(w.open(), 2); return key(func(o *Options) { o.URL += "/elsewhere" })(w) })},
		{Answer: "403", How: "change what is the owner's since he was there", Fault: "the provider sends the profile with the create alone", Kind: provider.Denied, Call: asked(said(403, badRequest, ""))},
		{Answer: "404 resource_missing", How: "an account that Stripe does not know", Fault: "of an account that a platform once had it is a 403", Kind: provider.NotFound, Call: asked(said(404, badRequest, "resource_missing"))},
		{Answer: "400 parameter_unknown", How: "a parameter that there is not", Fault: "every request is held against the description in tests; the simulator refuses those of others", Kind: provider.Invalid, Call: asked(said(400, badRequest, "parameter_unknown"))},
		{Answer: "400 parameter_missing", How: "a link without an address", Fault: "the provider refuses to ask for one", Kind: provider.Invalid, Call: asked(said(400, badRequest, "parameter_missing"))},
		{Answer: "400 url_invalid", How: "an address of a site that is none", Fault: "the provider refuses such a wish", Kind: provider.Invalid, Call: asked(said(400, badRequest, "url_invalid"))},
		{Answer: "402 card_declined", How: "a payment that fails", Fault: "nothing is paid here", Kind: provider.Invalid, Call: asked(said(402, "card_error", "card_declined"))},
		{Answer: "429 lock_timeout", How: "somebody else is at the account", Fault: "the simulator does one request after the other", Kind: provider.Transient, Call: asked(said(429, badRequest, "lock_timeout"))},
		{Answer: "502", How: "a gateway's page", Fault: "there is no gateway before a simulator", Kind: provider.Uncertain, Call: asked(simulator.Refuse(502, pageHeader(), strings.Repeat("<html>", 2)))},
	})
}
