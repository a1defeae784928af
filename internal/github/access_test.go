package github

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/forge"
)

// What an App lacks and what it needn't have is named as GitHub's settings page does.
func TestAccessOfApps(t *testing.T) {
	answer, code := "", 200
	a, _ := github(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case code == 200 && strings.HasSuffix(r.URL.Path, "/access_tokens"):
			say(w, 201, fmt.Sprintf(`{"token":"ghs_1","expires_at":%q}`, time.Now().Add(time.Hour).Format(time.RFC3339)))
		case code == 200 && strings.HasSuffix(r.URL.Path, "/clients"):
			say(w, 200, `{"id":1,"full_name":"Compassdigital/clients"}`)
		default:
			say(w, code, answer)
		}
	}, asApp(t))
	for name, c := range map[string]struct {
		json  string
		lines []string
	}{
		"as it should be": {`{"id":99,"permissions":{"metadata":"read","contents":"read","pull_requests":"write","statuses":"write","deployments":"write","checks":"write"},"repository_selection":"selected"}`, nil},
		"too much": {`{"id":99,"permissions":{"metadata":"read","contents":"write","pull_requests":"write","statuses":"write","deployments":"write","checks":"write","administration":"write","organization_administration":"read","members":"read","\u001b[31m":"x"},"repository_selection":"all"}`, []string{
			"wider than needed: Administration", "wider than needed: Contents: write, where read is enough but for `drift --adopt --propose`", "wider than needed: Members",
			"wider than needed: Organization administration", "wider than needed: all repositories, where one is enough",
		}},
		"too little": {`{"id":99,"permissions":{"metadata":"read","contents":"read","pull_requests":"read","deployments":"write"},"repository_selection":"selected"}`, []string{
			"missing: Pull requests: write (plans and results as comments, suggestions)", "missing: Commit statuses: write (the verdicts beside a commit)", "missing: Checks: write (mistakes shown on their lines)",
		}},
	} {
		answer = c.json
		x, err := a.Check(t.Context())
		if err != nil || x.Kind != "GitHub App" || !reflect.DeepEqual(x.Lines(), c.lines) {
			t.Errorf("%s: %v\n%s", name, err, strings.Join(x.Lines(), "\n"))
		}
	}
	answer = `{"id":99,"permissions":{},"suspended_at":"2026-11-01T00:00:00Z"}`
	if _, err := a.Check(t.Context()); !errors.Is(err, forge.ErrDenied) || !strings.Contains(err.Error(), "suspended") {
		t.Error(err)
	}
	b, _ := github(t, func(w http.ResponseWriter, _ *http.Request) { say(w, 200, `{"id":99,"permissions":{}}`) }, asApp(t), func(o *Options) { o.App.InstallationID = 98 })
	if _, err := b.Check(t.Context()); !errors.Is(err, forge.ErrDenied) || !strings.Contains(err.Error(), "is 99, another is set") {
		t.Error(err)
	}
	answer, code = `{"message":"Not Found"}`, 404
	if _, err := a.Check(t.Context()); !errors.Is(err, forge.ErrDenied) || errors.Is(err, forge.ErrNotFound) || !strings.Contains(err.Error(), "not installed for compassdigital/clients") {
		t.Error(err)
	}
	if code = 500; !errors.Is(second(a.Check(t.Context())), forge.ErrAway) {
		t.Error("a GitHub that is ill")
	}
}

func second[T any](_ T, err error) error { return err }

// A classic token says its scopes; a fine-grained one is tried by reading, and what can't
// be known is said.
func TestAccessOfTokens(t *testing.T) {
	type answers struct {
		repo   string
		scopes []string
		denied string // end of a path that is refused
		code   int
	}
	var now answers
	a, s := github(t, func(w http.ResponseWriter, r *http.Request) {
		if now.scopes != nil {
			w.Header()["X-Oauth-Scopes"] = now.scopes
		}
		w.Header().Set("GitHub-Authentication-Token-Expiration", "2026-12-24 18:00:00 UTC")
		switch {
		case now.denied != "" && strings.HasSuffix(r.URL.Path, now.denied):
			say(w, now.code, `{"message":"Resource not accessible by personal access token"}`)
		case r.URL.Path == "/repos/compassdigital/clients":
			say(w, 200, now.repo)
		case strings.HasSuffix(r.URL.Path, "/status"):
			say(w, 200, `{"state":"pending"}`)
		default:
			say(w, 200, `[]`)
		}
	})
	repo := `{"id":1,"private":true,"default_branch":"main","permissions":{"admin":false,"push":true,"pull":true}}`
	reader := strings.Replace(repo, `"push":true`, `"push":false`, 1)
	all := []string{
		"missing: Metadata: read (who may command)", "missing: Contents: read (the manifests, and which pull request brought a commit)",
		"missing: Pull requests: write (plans and results as comments, suggestions)", "missing: Commit statuses: write (the verdicts beside a commit)", "missing: Deployments: write (what runs where)",
	}
	unknown := []string{
		"can't be checked beforehand: Pull requests: write (plans and results as comments, suggestions)",
		"can't be checked beforehand: Commit statuses: write (the verdicts beside a commit)", "can't be checked beforehand: Deployments: write (what runs where)",
	}
	wide := "wider than needed: scope repo: all repositories of its owner, with their contents (a GitHub App or a fine-grained token is for one)"
	for name, c := range map[string]struct {
		answers
		kind  string
		lines []string
	}{
		"classic":                {answers{repo: repo, scopes: []string{"repo"}}, "classic token", []string{wide}},
		"classic, wide":          {answers{repo: repo, scopes: []string{"repo, admin:org, delete_repo, <b>"}}, "classic token", []string{wide, "wider than needed: scope admin:org", "wider than needed: scope delete_repo"}},
		"classic, nothing":       {answers{repo: repo, scopes: []string{""}}, "classic token", all},
		"classic, public only":   {answers{repo: repo, scopes: []string{"public_repo"}}, "classic token", append(all[:5:5], "wider than needed: scope public_repo")},
		"classic, of a reader":   {answers{repo: reader, scopes: []string{"repo"}}, "classic token", append(all[2:5:5], wide)},
		"fine-grained":           {answers{repo: repo}, "fine-grained token", unknown},
		"fine-grained, lacks":    {answers{repo: repo, denied: "/deployments", code: 403}, "fine-grained token", append([]string{all[4]}, unknown[:2]...)},
		"fine-grained, hidden":   {answers{repo: repo, denied: "/deployments", code: 404}, "fine-grained token", append([]string{all[4]}, unknown[:2]...)},
		"fine-grained, empty":    {answers{repo: repo, denied: "/commits", code: 409}, "fine-grained token", append([]string{"can't be checked beforehand: Contents: read (the manifests, and which pull request brought a commit)"}, unknown...)},
		"fine-grained, a reader": {answers{repo: reader}, "fine-grained token", all[2:5]},
	} {
		now = c.answers
		x, err := a.Check(t.Context())
		if want := append(c.lines[:len(c.lines):len(c.lines)], "the token expires on 24 December 2026"); err != nil || x.Kind != c.kind || !reflect.DeepEqual(x.Lines(), want) {
			t.Errorf("%s: %s, %v\n%s", name, x.Kind, err, strings.Join(x.Lines(), "\n"))
		}
	}
	now = answers{denied: "clients", code: 404}
	if _, err := a.Check(t.Context()); !errors.Is(err, forge.ErrDenied) || !strings.Contains(err.Error(), "does not see compassdigital/clients") {
		t.Error(err)
	}
	now = answers{repo: repo, denied: "/pulls", code: 500}
	if _, err := a.Check(t.Context()); !errors.Is(err, forge.ErrAway) {
		t.Error(err)
	}
	for _, asked := range s.requests() {
		if !strings.HasPrefix(asked, "GET ") {
			t.Errorf("checking wrote: %s", asked)
		}
	}
}

// Failures that no later attempt mended are asked for again, the oldest first, each once.
func TestRedeliver(t *testing.T) {
	paper := described(t)
	start := newClock().at
	type tried struct {
		guid, event string
		code        int
		ago         time.Duration
	}
	log := []tried{ // the newest first; IDs count down from 1000
		{"mended", "push", 202, time.Minute},
		{"lost", "push", 0, 2 * time.Minute},
		{"mended", "push", 502, 3 * time.Minute},
		{"ill", "pull_request", 503, 4 * time.Minute},
		{"ill", "pull_request", 500, 5 * time.Minute},
		{"another repository's", "push", 404, 6 * time.Minute},
		{"too large", "push", 413, 7 * time.Minute},
		{"unused", "star", 500, 8 * time.Minute},
		{"badly signed", "issue_comment", 401, 9 * time.Minute},
		{"old", "push", 500, 100 * time.Hour},
	}
	per := 4
	list := func(w http.ResponseWriter, r *http.Request) {
		var out []string
		from := 0
		_, _ = fmt.Sscan(r.URL.Query().Get("cursor"), &from)
		for i := from; i < from+per && i < len(log); i++ {
			d := log[i]
			out = append(out, fmt.Sprintf(`{"id":%d,"guid":%q,"delivered_at":%q,"redelivery":false,"duration":0.1,"status":"x","status_code":%d,"event":%q,"action":null,"installation_id":null,"repository_id":null}`, 1000-i, d.guid, start.Add(-d.ago).Format(time.RFC3339), d.code, d.event))
		}
		if from+per < len(log) {
			w.Header().Set("Link", fmt.Sprintf(`<http://x.example/?cursor=%d>; rel="next"`, from+per))
		}
		say(w, 200, "["+strings.Join(out, ",")+"]")
	}
	hooks := `[{"id":1,"config":{"url":"https://elsewhere.example/webhooks/github"}},{"id":2,"config":{"url":"https://RECONCILER.example/webhooks/github/","secret":"********"}},{"id":3}]`
	code := 200
	serve := func(w http.ResponseWriter, r *http.Request) {
		switch {
		case code != 200:
			say(w, code, `{"message":"x"}`)
		case installation(w, r, time.Now(), "ghs_x"):
		case strings.HasSuffix(r.URL.Path, "/hooks"):
			say(w, 200, hooks)
		case r.Method == http.MethodPost:
			say(w, 202, `{}`)
		default:
			list(w, r)
		}
	}
	want := func(s *site, at string) {
		t.Helper()
		var posts []string
		for _, asked := range s.requests() {
			if to, ok := strings.CutPrefix(asked, "POST "+at+"/deliveries/"); ok {
				posts = append(posts, to)
			}
		}
		if !reflect.DeepEqual(posts, []string{"992/attempts", "997/attempts", "999/attempts"}) {
			t.Errorf("asked for %v of %v", posts, s.requests())
		}
	}
	a, s := github(t, serve, asApp(t), func(o *Options) { o.Base = paper.WrapRequests(nil) })
	if n, err := a.Redeliver(t.Context(), start.Add(-72*time.Hour)); n != 3 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	want(s, "/app/hook")
	hook := func(o *Options) {
		o.Base, o.Webhook = paper.WrapRequests(nil), "https://reconciler.example/webhooks/github"
	}
	a, s = github(t, serve, hook)
	if n, err := a.Redeliver(t.Context(), start.Add(-72*time.Hour)); n != 3 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	want(s, "/repos/compassdigital/clients/hooks/2")
	hooks = `[{"id":1,"config":{"url":"https://elsewhere.example/webhooks/github"}}]`
	if n, err := a.Redeliver(t.Context(), start); n != 0 || !errors.Is(err, forge.ErrNotFound) {
		t.Errorf("%d, %v", n, err)
	}
	code = 403
	if n, err := a.Redeliver(t.Context(), start); n != 0 || !errors.Is(err, forge.ErrDenied) {
		t.Errorf("%d, %v", n, err)
	}
	// Not more than a hundred; and it takes nothing from the budget of what is told.
	code, per, log = 200, 100, nil
	for i := range 300 {
		log = append(log, tried{fmt.Sprint(i), "push", 500, time.Duration(i) * time.Second})
	}
	a, _ = github(t, serve, asApp(t))
	if n, err := a.Redeliver(t.Context(), start.Add(-72*time.Hour)); n != maxRedelivered || err != nil || a.Usage().Hour != 0 {
		t.Errorf("%d, %v, %+v", n, err, a.Usage())
	}
}
