package railway

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/providertest"
	"github.com/compassdigital/reconciler/internal/provider/railway/simulated"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

// wordsIn are the words of a refusal: Railway has no codes.
func wordsIn(body []byte) string {
	var a struct{ Errors []struct{ Message string } }
	if json.Unmarshal(body, &a) != nil || len(a.Errors) == 0 {
		return ""
	}
	return strings.TrimSpace(strings.SplitN(a.Errors[0].Message, "\n", 2)[0])
}

// Every refusal that is known of Railway comes about at the simulated one, by itself where that is
// possible, and has its kind.
func TestEveryRefusal(t *testing.T) {
	ctx := context.Background()
	call := func(do func(w *world) error, change ...func(*simulated.Options)) func(*testing.T, *providertest.Answers) error {
		return func(t *testing.T, seen *providertest.Answers) error {
			w := start(t, change...)
			w.server.Config.Handler = seen.Tap(w.server.Config.Handler)
			return do(w)
		}
	}
	create := func(w *world) error { return second(w.open().Create(ctx, wish(1, public))) }
	// before lets something happen right before an operation arrives.
	before := func(w *world, operation string, do func(again func())) {
		vendor := w.server.Config.Handler
		w.server.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			if simulated.Operation(operation)(r, body) {
				do(func() { // somebody else asks for the same
					same := r.Clone(ctx)
					same.Body = io.NopCloser(bytes.NewReader(body))
					vendor.ServeHTTP(httptest.NewRecorder(), same)
				})
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			vendor.ServeHTTP(rw, r)
		})
	}
	// same makes a database while somebody else asks for the same as one of its operations.
	same := func(operation string) func(w *world) error {
		return func(w *world) error { before(w, operation, func(again func()) { again() }); return create(w) }
	}
	asked := func(operation string, do simulator.Effect) func(*testing.T, *providertest.Answers) error {
		return func(t *testing.T, seen *providertest.Answers) error {
			w := hostile(t)
			w.server.Config.Handler = seen.Tap(w.server.Config.Handler)
			w.faults.Add(simulator.Fault{Match: simulated.Operation(operation), Do: do, Times: -1})
			return create(w)
		}
	}
	said := func(status int, words string) simulator.Effect {
		return simulator.Refuse(status, jsonHeader(), anError(words, ""))
	}
	providertest.Refusals(t, "testdata/refusals.golden", *update, wordsIn, []providertest.Refusal{
		{Answer: "200 Not Authorized", How: "a call with a token that was revoked", Kind: provider.Denied, Call: call(func(w *world) error {
			return second(w.open(func(o *Options) { o.Token = state.NewSecret("another-invented-token") }).Create(ctx, wish(1, public)))
		})},
		{Answer: "200 Two Factor Authentication Required", How: "a call in a workspace that asks for a second factor", Kind: provider.Denied, Call: call(create, func(o *simulated.Options) { o.TwoFactor = true })},
		{Answer: "429 Too many requests", How: "a call more than the plan has an hour", Kind: provider.RateLimited, Call: call(create, func(o *simulated.Options) { o.PerHour = 1 })},
		{Answer: "403", How: "a call more than the plan has a second: the edge answers with a page", Kind: provider.RateLimited, Call: call(create, func(o *simulated.Options) { o.PerSecond = 1 })},
		{Answer: "404", How: "an apiURL that leads elsewhere", Kind: provider.Invalid, Call: call(func(w *world) error {
			return second(w.open(func(o *Options) { o.URL = strings.TrimSuffix(o.URL, "/v2") }).Create(ctx, wish(1, public)))
		})},
		{Answer: "200 Project not found", How: "delete, and a person deletes it right before: a look says so", Kind: provider.Uncertain, Call: call(func(w *world) error {
			p := w.open()
			o := w.made(p, 1, private)
			before(w, "scheduleDelete", func(again func()) { again() })
			return p.Delete(ctx, state.KindDatabase, o.ID)
		})},
		{Answer: `200 A service named "postgres" already exists in this project`, How: "create, and somebody makes the service first: the database is there, unfinished", Call: call(same("makeService"))},
		{Answer: "200 Cannot redeploy yet, please wait for the original deployment to finish building", How: "create, and somebody deploys first: the database is there, unfinished", Call: call(same("deploy"))},
		{Answer: "200 TCP proxy not found", How: "take the public address away, and a person does it right before: a look says so", Kind: provider.Uncertain, Call: call(func(w *world) error {
			p := w.open()
			o := w.made(p, 1, public)
			before(w, "dropProxy", func(again func()) { again() })
			return second(p.Update(ctx, o.ID, wish(1, private)))
		})},
		{Answer: "200 ServiceInstance not found", How: "create, and a person deletes the service: the database is there, unfinished", Call: call(func(w *world) error {
			before(w, "setImage", func(func()) { w.vendor.Drop(w.vendor.Projects()[0].ID) })
			return create(w)
		})},
		{Answer: "200 You must specify a workspaceId to create a project", How: "a project in none of several workspaces", Fault: "the provider names one, or refuses", Kind: provider.Uncertain, Call: asked("makeProject", said(200, "You must specify a workspaceId to create a project"))},
		{Answer: "200 Cannot attach a volume to a service that has deployments", How: "a volume after a deployment", Fault: "the provider makes it before", Call: asked("makeVolume", said(200, "Cannot attach a volume to a service that has deployments"))},
		{Answer: "200 Cannot redeploy without a snapshot", How: "a deployment without an image", Fault: "the provider sets one before", Call: asked("deploy", said(200, "Cannot redeploy without a snapshot"))},
		{Answer: "504", How: "a volume that takes more than 30 s", Fault: "a simulator is not slow", Call: asked("makeVolume", simulator.Instead(504, pageHeader(), "<html>"))},
		{Answer: "400 Cannot query field", How: "a query that the schema does not have", Fault: "every query is held against the schema in tests", Kind: provider.Invalid, Call: asked("makeProject", said(400, "Cannot query field"))},
		{Answer: "500 boom", How: "it broke", Fault: "nothing breaks in a simulator", Kind: provider.Uncertain, Call: asked("makeProject", said(500, "boom"))},
	})
}
