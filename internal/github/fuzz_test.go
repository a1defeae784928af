package github

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/forge"
	"github.com/compassdigital/reconciler/internal/state"
)

// answering is a GitHub that gives one answer to all, and another to who asks for a token.
type answering struct {
	status         int
	body, location string
	tokenStatus    int
	token          string
	calls          int
}

func (a *answering) RoundTrip(r *http.Request) (*http.Response, error) {
	a.calls++
	if r.Body != nil {
		_ = r.Body.Close()
	}
	status, body := a.status, a.body
	if strings.HasSuffix(r.URL.Path, "/access_tokens") {
		status, body = a.tokenStatus, a.token
	}
	h := http.Header{"Content-Type": {"application/json; charset=utf-8"}}
	if a.location != "" {
		h.Set("Location", a.location)
		h.Set("Link", `<`+a.location+`>; rel="next"`)
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// speaking is an API that speaks with it, and its log.
func speaking(t *testing.T, a *answering, change func(*Options)) (*API, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	c := newClock()
	o := Options{APIURL: "https://github.example/api/v3/", Owner: "compassdigital", Repo: "clients", Token: func() state.Secret { return state.NewSecret(token) }, Base: a,
		Pause: -1, Now: c.now, Sleep: c.sleep, Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	change(&o)
	api, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return api, &log
}

// lawful wants an error of package forge's, with nothing of a secret in it.
func lawful(t *testing.T, name string, err error, secret string) {
	t.Helper()
	if err == nil {
		return
	}
	var limited *forge.Limited
	if !errors.Is(err, forge.ErrNotFound) && !errors.Is(err, forge.ErrDenied) && !errors.Is(err, forge.ErrInvalid) && !errors.Is(err, forge.ErrAway) && !errors.As(err, &limited) {
		t.Errorf("%s: an error that is none of the forge's: %v", name, err)
	}
	text := fmt.Sprintf("%v %+v %#v", err, err, err)
	for i := 0; i+8 <= len(secret); i++ {
		if strings.Contains(text, secret[i:i+8]) {
			t.Fatalf("%s: a secret is in %s", name, text)
		}
	}
	if len(err.Error()) > 1024 || strings.ContainsAny(err.Error(), "\n\r\x00\x1b\u202e") {
		t.Errorf("%s: %q", name, err)
	}
}

// Law: whatever GitHub answers, with whatever of ours in it, every call ends, in an error of package
// forge's without the token, or in what was asked for. What can't be understood is never "not
// found", and no list of nothing: only a list is one.
func FuzzAnswers(f *testing.F) {
	const pull = `{"number":1,"state":"open","title":"x","head":{"sha":"` + commit + `","ref":"a","repo":{"id":1}},"base":{"ref":"main","repo":{"id":1}},"user":{"login":"dana"}}`
	for _, body := range []string{pull, "[" + pull + "]", "[" + aComment + "]", aComment, "[]", "[null]", "null", "{}", "", "<html>", `{"permission":"admin","user":{"login":"dana"}}`, `{"permission":"admin","user":{"login":"robin"}}`,
		`{"message":"your TOKEN is bad","errors":[{"message":"TOKEN"}]}`, `{"id":"TOKEN","login":7}`, `[{"id":99999999999999999999}]`} {
		f.Add(200, body, "")
		f.Add(422, body, "")
	}
	f.Add(404, `{"message":"Not Found"}`, "")
	f.Add(200, `{"statuses":[{"context":"reconciler/plan","state":"success"}],"check_runs":null}`, "")
	f.Add(204, "", "")
	f.Add(202, "null", "")
	f.Add(403, `{"message":"API rate limit exceeded for TOKEN"}`, "")
	f.Add(307, "", "https://github.example/api/v3/repositories/1/TOKEN")
	f.Add(301, "", "https://evil.example/TOKEN")
	f.Add(200, "["+aComment+"]", "https://github.example/api/v3/x?page=2")
	f.Fuzz(func(t *testing.T, status int, body, location string) {
		if status < 200 || status > 599 || strings.ContainsAny(location, "\n\r\x00") {
			return // no answer has this
		}
		vendor := &answering{status: status, body: strings.ReplaceAll(body, "TOKEN", token), location: strings.ReplaceAll(location, "TOKEN", token), tokenStatus: 404}
		a, log := speaking(t, vendor, func(*Options) {})
		ctx := t.Context()
		for name, err := range everything(ctx, a) {
			lawful(t, name, err, token)
			none := name == "Redeliver" // says so of a webhook that no list has
			if errors.Is(err, forge.ErrNotFound) && !none && status != http.StatusNotFound && status != http.StatusGone {
				t.Errorf("%s: %d is %v", name, status, err)
			}
		}
		if strings.Contains(log.String(), token) {
			t.Errorf("the log has the token: %s", log)
		}
		if vendor.calls > 4_000 {
			t.Errorf("%d calls were made", vendor.calls)
		}
		var items []json.RawMessage
		isList := json.Unmarshal([]byte(body), &items) == nil && items != nil
		var combined struct{ Statuses []json.RawMessage }
		holds := json.Unmarshal([]byte(body), &combined) == nil && combined.Statuses != nil
		pulls, errPulls := a.Open(ctx, "main")
		comments, errComments := a.Comments(ctx, 1)
		since, errSince := a.CommentsSince(ctx, time.Unix(1_700_000_000, 0))
		statuses, errStatuses := a.Statuses(ctx, commit)
		deployments, errDeployments := a.Deployments(ctx, commit, "demoshop")
		of, errOf := a.PullsOf(ctx, commit)
		for name, x := range map[string]struct {
			n   int
			err error
		}{"Open": {len(pulls), errPulls}, "Comments": {len(comments), errComments}, "CommentsSince": {len(since), errSince}, "Statuses": {len(statuses), errStatuses},
			"Deployments": {len(deployments), errDeployments}, "PullsOf": {len(of), errOf}} {
			is := isList
			if name == "Statuses" {
				is = holds
			}
			if x.err == nil && (!is || status/100 != 2) || x.err != nil && x.n > 0 {
				t.Errorf("%s: %d of %d %q: %v", name, x.n, status, body, x.err)
			}
		}
		if p, err := a.Pull(ctx, 1); err == nil && (p.Number != 1 || !isCommit(p.Head)) {
			t.Errorf("pull request %+v", p)
		}
		if level, err := a.Permission(ctx, "dana"); level != forge.None && (err != nil || !strings.Contains(strings.ToLower(body), "dana") && !strings.Contains(body, `\u`)) {
			t.Errorf("%s by %q: %v", level, body, err)
		}
	})
}

// Law: whatever comes for an App that asks for its token, nobody is told of its key or of what came
// as the token, nothing is "not found" for it, and nothing is sent with what is no token.
func FuzzTokens(f *testing.F) {
	const minted = "ghs_canaryCANARY_minted_0123456789abcdef"
	f.Add(201, `{"token":"`+minted+`","expires_at":"2026-11-26T10:00:00Z"}`)
	f.Add(201, `{"token":"`+minted+`"}`)
	f.Add(201, `{"token":"`+minted+`\n","expires_at":"2026-11-26T10:00:00Z"}`)
	f.Add(201, `{"token":""}`)
	f.Add(201, `{"token":["`+minted+`"],"expires_at":7}`)
	f.Add(200, "null")
	f.Add(404, `{"message":"Not Found: `+minted+`"}`)
	f.Add(422, `{"message":"`+minted+`"}`)
	f.Add(401, `{"message":"A JSON web token could not be decoded"}`)
	f.Add(500, `<html>`+minted)
	key := aKey(f)
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 599 {
			return // no answer has this
		}
		vendor := &answering{status: 200, body: "[]", tokenStatus: status, token: body}
		a, log := speaking(t, vendor, func(o *Options) { o.Token, o.App = nil, &App{ID: 1, InstallationID: 2, Key: key} })
		_, err := a.Open(t.Context(), "main")
		secrets := []string{key.Reveal()[40:120]}
		if status/100 == 2 { // what came as a token; a refusal's words are nobody's secret
			secrets = append(secrets, minted)
		}
		for _, secret := range secrets {
			lawful(t, "Open", err, secret)
			if strings.Contains(log.String(), secret) {
				t.Errorf("the log has a secret: %s", log)
			}
		}
		if errors.Is(err, forge.ErrNotFound) {
			t.Errorf("%d %q: %v", status, body, err)
		}
		if got := a.GitToken(t.Context()).Reveal(); got != "" && (!sendable(got) || status/100 != 2) || got == "" && err == nil {
			t.Errorf("token %q of %d %q: %v", got, status, body, err)
		}
	})
}
