package github

import (
	"errors"
	"net/http"
	"reflect"
	"testing"

	"github.com/compassdigital/reconciler/internal/forge"
)

// How a webhook is set up is read, and nothing is written; who may not look is no error.
func TestCheckHook(t *testing.T) {
	ours := func(o *Options) { o.Webhook = "https://reconciler.example/webhooks/github" }
	const elsewhere = `{"id":1,"active":true,"events":["push"],"config":{"url":"https://elsewhere.example/webhooks/github","content_type":"json"}}`
	one := func(more, config string) string {
		return `[` + elsewhere + `,{"id":2,` + more + `,"config":{"url":"https://RECONCILER.example/webhooks/github/",` + config + `}}]`
	}
	const well, all = `"content_type":"json","insecure_ssl":"0"`, `"active":true,"events":["pull_request","push","issue_comment"]`
	answer, code := "", 200
	serve := func(w http.ResponseWriter, _ *http.Request) { say(w, code, answer) }
	a, s := github(t, serve, ours)
	for name, c := range map[string]struct {
		json string
		want HookAccess
	}{
		"well":           {one(all, well), HookAccess{There: true}},
		"everything":     {one(`"active":true,"events":["*"]`, well), HookAccess{There: true}},
		"none":           {`[]`, HookAccess{}},
		"another's":      {`[` + elsewhere + `]`, HookAccess{}},
		"off":            {one(`"active":false,"events":["*"]`, well), HookAccess{There: true, Off: true}},
		"forms":          {one(all, `"content_type":"form"`), HookAccess{There: true, Form: true}},
		"anybody":        {one(all, `"content_type":"json","insecure_ssl":"1"`), HookAccess{There: true, Insecure: true}},
		"lacks an event": {one(`"active":true,"events":["push","pull_request"]`, well), HookAccess{There: true, Lacks: []string{"issue_comment"}}},
	} {
		answer = c.json
		if got, err := a.CheckHook(t.Context()); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	answer = `{"message":"Not Found"}`
	for _, code = range []int{403, 404} {
		if got, err := a.CheckHook(t.Context()); err != nil || !got.Unchecked {
			t.Errorf("%d: %+v, %v", code, got, err)
		}
	}
	if code = 500; !errors.Is(second(a.CheckHook(t.Context())), forge.ErrAway) {
		t.Error("a GitHub that is ill")
	}
	for _, r := range s.requests() {
		if r[:3] != "GET" {
			t.Errorf("it wrote: %s", r)
		}
	}
	app, _ := github(t, serve, asApp(t), ours)
	for json, want := range map[string]HookAccess{
		`{"url":"https://reconciler.example/webhooks/github",` + well + `}`:          {There: true},
		`{"url":"https://reconciler.example/webhooks/github","content_type":"form"}`: {There: true, Form: true},
		`{"url":"https://elsewhere.example/webhooks/github","content_type":"json"}`:  {},
	} {
		answer, code = json, 200
		if got, err := app.CheckHook(t.Context()); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", json, got, err)
		}
	}
	if code = 404; !reflect.DeepEqual(second2(app.CheckHook(t.Context())), HookAccess{}) {
		t.Error("an App without a webhook has one")
	}
	if code = 503; !errors.Is(second(app.CheckHook(t.Context())), forge.ErrAway) {
		t.Error("a GitHub that is ill")
	}
}

func second2(h HookAccess, _ error) HookAccess { return h }
