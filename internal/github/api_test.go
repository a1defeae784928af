package github

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/forge"
	"github.com/compassdigital/reconciler/internal/github/githubtest"
	"github.com/compassdigital/reconciler/internal/state"
)

const (
	commit = "0123456789abcdef0123456789abcdef01234567"
	token  = "ghp_canaryCANARY0123456789canaryCANARY01"
)

// clock is a time that passes when somebody waits, and at no other time.
type clock struct {
	mu    sync.Mutex
	at    time.Time
	slept []time.Duration
}

func newClock() *clock { return &clock{at: time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.slept = c.at.Add(d), append(c.slept, d)
	return ctx.Err()
}

func (c *clock) pass(d time.Duration) { _ = c.sleep(context.Background(), d) }

// site is a GitHub that a test makes up, and what it was asked.
type site struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
	log   bytes.Buffer
	clock *clock
}

func (s *site) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// description is GitHub's, read once for all tests.
var description struct {
	once sync.Once
	it   *githubtest.Contract
}

// described is GitHub's description, for a test.
func described(t testing.TB) *githubtest.Contract {
	t.Helper()
	description.once.Do(func() { description.it = githubtest.Validator(t) })
	return description.it.For(t)
}

// github starts a site that answers with a function, and an API that speaks with it.
func github(t testing.TB, answer http.HandlerFunc, change ...func(*Options)) (*API, *site) {
	t.Helper()
	s := &site{clock: newClock()}
	says := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, r.Method+" "+r.URL.Path)
		s.mu.Unlock()
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		answer(w, r)
	})
	judged := described(t).HandlerRequests(says)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/there") { // where only a test's redirects lead
			says(w, r)
			return
		}
		judged.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	o := Options{
		APIURL: s.URL, Owner: "compassdigital", Repo: "clients", Token: func() state.Secret { return state.NewSecret(token) },
		Pause: -1, Now: s.clock.now, Sleep: s.clock.sleep, Log: slog.New(slog.NewTextHandler(&s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, c := range change {
		c(&o)
	}
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a, s
}

func say(w http.ResponseWriter, code int, body string) {
	w.WriteHeader(code)
	_, _ = io.WriteString(w, body)
}

// aKey is a new App's private key.
func aKey(t testing.TB) state.Secret {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return state.NewSecret(string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})))
}

func asApp(t testing.TB) func(*Options) {
	key := aKey(t)
	return func(o *Options) { o.Token, o.App = nil, &App{ID: 7, Key: key} }
}

// installation answers what an App asks before anything else; false: something else.
func installation(w http.ResponseWriter, r *http.Request, now time.Time, token string) bool {
	switch r.URL.Path {
	case "/repos/compassdigital/clients/installation":
		say(w, 200, `{"id":99}`)
	case "/app/installations/99/access_tokens":
		say(w, 201, fmt.Sprintf(`{"token":%q,"expires_at":%q}`, token, now.Add(time.Hour).Format(time.RFC3339)))
	default:
		return false
	}
	return true
}

func TestOptions(t *testing.T) {
	fine := func() Options {
		return Options{Owner: "compassdigital", Repo: "clients.git_x-1", Token: func() state.Secret { return state.Secret{} }}
	}
	for name, c := range map[string]struct {
		change func(*Options)
		says   []string
	}{
		"as it is":          {func(*Options) {}, nil},
		"enterprise":        {func(o *Options) { o.APIURL = "https://github.compass.example/api/v3" }, nil},
		"this machine":      {func(o *Options) { o.APIURL = "http://127.0.0.1:8080/api/v3/" }, nil},
		"this machine, v6":  {func(o *Options) { o.APIURL = "http://[::1]:8080/" }, nil},
		"plain http":        {func(o *Options) { o.APIURL = "http://api.github.example/" }, []string{"https://"}},
		"another scheme":    {func(o *Options) { o.APIURL = "ftp://127.0.0.1/" }, []string{"https://"}},
		"a password in it":  {func(o *Options) { o.APIURL = "https://me:" + token + "@api.github.example/" }, []string{"address"}},
		"a query in it":     {func(o *Options) { o.APIURL = "https://api.github.example/?t=" + token }, []string{"address"}},
		"no address":        {func(o *Options) { o.APIURL = "api.github.com" }, []string{"address"}},
		"a path as a name":  {func(o *Options) { o.Repo = "../x" }, []string{"owner and repo"}},
		"a dot as a name":   {func(o *Options) { o.Repo = ".." }, []string{"owner and repo"}},
		"nobody":            {func(o *Options) { o.Token = nil }, []string{"a token or an app"}},
		"two":               {func(o *Options) { o.App = &App{ID: 1, Key: state.NewSecret("x")} }, []string{"a token or an app"}},
		"a key that isn't":  {func(o *Options) { o.Token, o.App = nil, &App{ID: 1, Key: state.NewSecret(token)} }, []string{"PEM"}},
		"an app without id": {func(o *Options) { o.Token, o.App = nil, &App{Key: state.NewSecret(token)} }, []string{"ID"}},
		"two authorities":   {func(o *Options) { o.Base, o.CAFile = http.DefaultTransport, "x.pem" }, []string{"authorities"}},
		"no authorities":    {func(o *Options) { o.CAFile = t.TempDir() + "/none.pem" }, []string{"authorities"}},
		"all at once":       {func(o *Options) { o.APIURL, o.Owner, o.Token = "x", "", nil }, []string{"address", "owner and repo", "a token or an app"}},
	} {
		o := fine()
		c.change(&o)
		a, err := New(o)
		if (err == nil) != (len(c.says) == 0) {
			t.Errorf("%s: %v", name, err)
		}
		for _, s := range c.says {
			if !strings.Contains(err.Error(), s) || strings.Contains(fmt.Sprintf("%+v", err), token) {
				t.Errorf("%s: says %v", name, err)
			}
		}
		if a != nil {
			a.Close()
		}
	}
}

// everything calls every method of a forge once and returns the errors by name.
func everything(ctx context.Context, a *API) map[string]error {
	out := map[string]error{}
	_, out["Me"] = a.Me(ctx)
	_, out["Permission"] = a.Permission(ctx, "dana")
	_, out["Open"] = a.Open(ctx, "main")
	_, out["Pull"] = a.Pull(ctx, 1)
	_, out["PullsOf"] = a.PullsOf(ctx, commit)
	_, out["Comments"] = a.Comments(ctx, 1)
	_, out["CommentsSince"] = a.CommentsSince(ctx, time.Unix(1_700_000_000, 0))
	_, out["CreateComment"] = a.CreateComment(ctx, 1, "x")
	out["EditComment"] = a.EditComment(ctx, 1, "x")
	out["DeleteComment"] = a.DeleteComment(ctx, 1)
	out["React"] = a.React(ctx, 1, "eyes")
	_, out["Statuses"] = a.Statuses(ctx, commit)
	out["SetStatus"] = a.SetStatus(ctx, commit, forge.Status{Context: "reconciler/plan", State: forge.Success})
	_, out["Deployments"] = a.Deployments(ctx, commit, "demoshop")
	_, out["CreateDeployment"] = a.CreateDeployment(ctx, forge.Deployment{Commit: commit, Environment: "demoshop", Task: "reconcile"}, "x")
	out["SetDeployment"] = a.SetDeployment(ctx, 1, forge.DeploymentStatus{State: forge.DeploymentSuccess})
	out["PutCheck"] = a.PutCheck(ctx, forge.Check{Name: "reconciler/validate", Commit: commit, State: forge.Failure, Annotations: []forge.Annotation{{Path: "clients/x.yaml", Line: 1, Message: "x"}}})
	_, out["Suggestions"] = a.Suggestions(ctx, 1)
	_, out["Suggest"] = a.Suggest(ctx, forge.Suggestion{Pull: 1, Commit: commit, Path: "clients/x.yaml", Line: 1, Body: "x"})
	out["Unsuggest"] = a.Unsuggest(ctx, forge.Suggestion{ID: 1})
	_, out["Check"] = a.Check(ctx)
	_, out["Redeliver"] = a.Redeliver(ctx, time.Time{})
	return out
}

// P10: whatever GitHub, or who stands in its place, answers: no token is in an error, in
// any way to print it, nor in the log; and the error is one of package forge's.
func TestP10NoTokenInErrors(t *testing.T) {
	const minted = "ghs_canaryCANARY_minted_0123456789abcdef"
	echo := func(r *http.Request) string { return "your " + r.Header.Get("Authorization") + " is bad" }
	answers := map[string]http.HandlerFunc{
		"echoes it": func(w http.ResponseWriter, r *http.Request) {
			say(w, 422, fmt.Sprintf(`{"message":%q,"documentation_url":%[1]q,"errors":[{"message":%[1]q}]}`, echo(r)))
		},
		"echoes it with a body": func(w http.ResponseWriter, r *http.Request) { say(w, 401, echo(r)) },
		"refuses":               func(w http.ResponseWriter, _ *http.Request) { say(w, 403, `{"message":"Resource not accessible"}`) },
		"limits": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", echo(r))
			say(w, 429, echo(r))
		},
		"sends it elsewhere": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "https://"+token+".evil.example/"+echo(r))
			say(w, 307, "")
		},
		"is no GitHub": func(w http.ResponseWriter, r *http.Request) { say(w, 200, "<html>"+echo(r)) },
		"sends odd JSON": func(w http.ResponseWriter, r *http.Request) {
			say(w, 200, fmt.Sprintf(`{"id":%q,"login":%[1]q}`, echo(r)))
		},
		"sends odd lists": func(w http.ResponseWriter, r *http.Request) { say(w, 200, fmt.Sprintf(`[%q]`, echo(r))) },
		"says nothing":    func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) },
		"hangs up": func(http.ResponseWriter, *http.Request) {
			panic(http.ErrAbortHandler)
		},
		"is ill": func(w http.ResponseWriter, r *http.Request) { say(w, 502, echo(r)) },
		"asks for rights": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Accepted-GitHub-Permissions", echo(r))
			say(w, 403, "{}")
		},
	}
	app := asApp(t)
	for name, answer := range answers {
		for who, change := range map[string]func(*Options){"a token": func(*Options) {}, "an App": app} {
			a, s := github(t, func(w http.ResponseWriter, r *http.Request) {
				if who == "an App" && installation(w, r, time.Now(), minted) {
					return
				}
				answer(w, r)
			}, change)
			for method, err := range everything(t.Context(), a) {
				if err == nil {
					continue
				}
				var limited *forge.Limited
				if !errors.Is(err, forge.ErrNotFound) && !errors.Is(err, forge.ErrDenied) && !errors.Is(err, forge.ErrInvalid) && !errors.Is(err, forge.ErrAway) && !errors.As(err, &limited) {
					t.Errorf("%s, %s: %s is none of a forge's: %v", who, name, method, err)
				}
				for _, printed := range []string{err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err), fmt.Sprintf("%q", err)} {
					if strings.Contains(printed, "canary") || strings.Contains(printed, "CANARY") || strings.Contains(printed, "Bearer") {
						t.Errorf("%s, %s: %s tells the token: %s", who, name, method, printed)
					}
				}
				for e := err; e != nil; e = errors.Unwrap(e) {
					if typ := fmt.Sprintf("%T", e); strings.Contains(typ, "url.") || strings.Contains(typ, "github.E") || strings.Contains(typ, "ghinstallation") {
						t.Errorf("%s, %s: %s hands on a %s", who, name, method, typ)
					}
				}
			}
			if strings.Contains(s.log.String(), "canary") || strings.Contains(s.log.String(), "CANARY") {
				t.Errorf("%s, %s: the log tells the token: %s", who, name, s.log.String())
			}
		}
	}
}

// Nothing is made of an answer that says nothing: a failed listing is an error, never an
// empty list.
func TestP5NoListOfNothing(t *testing.T) {
	for name, body := range map[string]string{"empty": "", "null": "null", "blank": "  \n", "a page": "<html></html>", "a text": `"x"`, "cut": `[{"number":1,`, "an object": `{}`, "a list of texts": `["x"]`, "of nothing": "[null]"} {
		a, _ := github(t, func(w http.ResponseWriter, _ *http.Request) { say(w, 200, body) })
		if out, err := a.Open(t.Context(), "main"); !errors.Is(err, forge.ErrAway) || out != nil {
			t.Errorf("%s: open pull requests are %v, %v", name, out, err)
		}
		if out, err := a.Comments(t.Context(), 1); !errors.Is(err, forge.ErrAway) || out != nil {
			t.Errorf("%s: comments are %v, %v", name, out, err)
		}
		if out, err := a.CommentsSince(t.Context(), time.Time{}); !errors.Is(err, forge.ErrAway) || out != nil {
			t.Errorf("%s: comments since are %v, %v", name, out, err)
		}
	}
}

// What a person would put into a path goes nowhere.
func TestOddNames(t *testing.T) {
	a, s := github(t, func(w http.ResponseWriter, _ *http.Request) { say(w, 200, `{}`) })
	for _, login := range []string{"", "../../x", "a/b", "a?b", "a b", "x\n", strings.Repeat("a", 101)} {
		if p, err := a.Permission(t.Context(), login); !errors.Is(err, forge.ErrInvalid) || p != forge.None {
			t.Errorf("%q: %v %v", login, p, err)
		}
	}
	for _, c := range []string{"", "main", "../x", commit[:39], strings.ToUpper(commit), commit + "?"} {
		if err := a.SetStatus(t.Context(), c, forge.Status{Context: "x", State: forge.Success}); !errors.Is(err, forge.ErrInvalid) {
			t.Errorf("%q: %v", c, err)
		}
	}
	if asked := s.requests(); len(asked) != 0 {
		t.Errorf("asked %v", asked)
	}
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
