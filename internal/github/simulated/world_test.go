package simulated

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	gh "github.com/google/go-github/v60/github"
	"go.uber.org/goleak"

	"github.com/compassdigital/reconciler/internal/github/githubtest"
	"github.com/compassdigital/reconciler/internal/gitserver"
	"github.com/compassdigital/reconciler/internal/state"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if present.Load() && played.Load() == 0 && code == 0 {
			fmt.Println("none, though it is there")
			code = 1
		}
		os.Exit(code)
	}))
}

const (
	owner = "compass"
	repoN = "clients"
	token = "github_pat_of_the_test"
)

// scene is a forge behind real HTTP, and who speaks to it.
type scene struct {
	*Forge
	t        *testing.T
	git      *gitserver.Server
	url      string                      // of the server; Git is at /git/, the API at /api/v3/, the pages at /forge/
	contract func() *githubtest.Contract // read when somebody first speaks
	client   *gh.Client                  // judged
	mu       sync.Mutex
	at       time.Time
	got      []received
	answer   int // what the receiver of webhooks says
}

// received is a webhook that arrived.
type received struct {
	Event, Delivery, Signature string
	Body                       []byte
}

func (s *scene) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at
}

func (s *scene) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = s.at.Add(d)
}

func (s *scene) webhooks() []received {
	s.Settle()
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]received(nil), s.got...)
}

// played counts what all tests of this room held against the description, which is present
// or not.
var (
	played  atomic.Int64
	present atomic.Bool
)

func newScene(t *testing.T, change func(*Options)) *scene {
	t.Helper()
	s := &scene{t: t, at: time.Date(2026, 3, 4, 5, 6, 7, 800, time.UTC), answer: http.StatusAccepted}
	s.contract = sync.OnceValue(func() *githubtest.Contract {
		c := githubtest.Validator(t)
		t.Cleanup(func() {
			present.Store(c.Present())
			played.Add(int64(c.Judged()))
		})
		return c
	})
	git, err := gitserver.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s.git = git
	git.Now = s.now
	if _, err := git.Create(repoN, "main", map[string]string{"clients/bakery.yaml": "name: bakery\nplan: free\ndomain: bakery\ntemplate: blog\nenv: {}\n", "README.md": "# Clients\n"}, "Begin"); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	s.url = server.URL
	t.Cleanup(server.Close)
	mux.HandleFunc("/hook", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.got = append(s.got, received{r.Header.Get("X-GitHub-Event"), r.Header.Get("X-GitHub-Delivery"), r.Header.Get("X-Hub-Signature-256"), body})
		w.WriteHeader(s.answer)
	})
	o := Options{Git: git, Owner: owner, Repo: repoN, Now: s.now, BaseURL: s.url + "/forge", WebhookURL: s.url + "/hook", WebhookSecret: state.NewSecret("hush"),
		Tokens: []Token{{Secret: state.NewSecret(token), Login: "robot"}}}
	if change != nil {
		change(&o)
	}
	if o.App != nil { // the library of the other side goes by the machine's clock
		s.at = time.Now()
	}
	s.open(o)
	t.Cleanup(func() { _ = s.Close() })
	mux.Handle("/api/v3/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.Forge.API().ServeHTTP(w, r) }))
	mux.Handle("/git/", http.StripPrefix("/git", git))
	s.client = s.as(token)
	return s
}

func (s *scene) open(o Options) {
	s.t.Helper()
	f, err := New(o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.Forge = f
}

// judged holds what passes against GitHub's description.
func (s *scene) judged() http.RoundTripper { return lazily{s} }

type lazily struct{ *scene }

func (l lazily) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := l.contract().Wrap(&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		return nil, err
	}
	// The library of the App leaves a body open.
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, err
}

// as is a client with a token.
func (s *scene) as(token string) *gh.Client {
	s.t.Helper()
	return s.through(s.judged(), token)
}

func (s *scene) through(rt http.RoundTripper, token string) *gh.Client {
	s.t.Helper()
	c := gh.NewClient(&http.Client{Transport: rt})
	if token != "" {
		c = c.WithAuthToken(token)
	}
	c, err := c.WithEnterpriseURLs(s.url+"/api/v3/", s.url+"/api/v3/")
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// unjudged is a client for operations that the description doesn't have.
func (s *scene) unjudged() *gh.Client {
	return s.through(&http.Transport{DisableKeepAlives: true}, token)
}

// asApp is a client of the installation, and one of the App itself.
func (s *scene) asApp(key *rsa.PrivateKey) (installation, app *gh.Client) {
	s.t.Helper()
	text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	rt := s.judged()
	itself, err := ghinstallation.NewAppsTransport(rt, s.o.App.ID, text)
	if err != nil {
		s.t.Fatal(err)
	}
	itself.BaseURL = s.url + "/api/v3"
	installed := ghinstallation.NewFromAppsTransport(itself, s.o.App.InstallationID)
	installed.BaseURL = s.url + "/api/v3"
	installed.InstallationTokenOptions = &gh.InstallationTokenOptions{} // else it sends null
	return s.through(installed, ""), s.through(itself, "")
}

func newKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func text(s string) *string { return &s }

// proposed pushes a change of the bakery to a branch and opens a pull request of it.
func (s *scene) proposed(branch, plan string) int {
	s.t.Helper()
	if _, err := s.Push(branch, map[string]*string{"clients/bakery.yaml": text("name: bakery\nplan: " + plan + "\ndomain: bakery\ntemplate: blog\nenv: {}\n")}, "Change the plan to "+plan+"\n", "dana"); err != nil {
		s.t.Fatal(err)
	}
	n, err := s.OpenPull(Proposal{Head: branch, Title: "Plan " + plan, Body: "please", Author: "dana"})
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

func (s *scene) pullOf(n int) *gh.PullRequest {
	s.t.Helper()
	p, _, err := s.client.PullRequests.Get(context.Background(), owner, repoN, n)
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// settled is a pull request once GitHub has worked out whether it merges.
func (s *scene) settled(n int) *gh.PullRequest {
	s.t.Helper()
	s.pullOf(n)
	s.Settle()
	return s.pullOf(n)
}

func (s *scene) branch(name string) string {
	s.t.Helper()
	tip, err := s.Branch(name)
	if err != nil {
		s.t.Fatal(err)
	}
	return tip
}

// file is a file at a commit; "" when it is not there.
func (s *scene) file(commit, path string) (out string) {
	s.t.Helper()
	err := s.git.View(repoN, func(r *gitserver.Repository) error {
		c, err := r.Commit(commit)
		if err != nil {
			return err
		}
		b, err := r.File(c.Tree, path)
		if err != nil {
			return err
		}
		out, err = r.Text(b.ID)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// refused checks GitHub's answer to what it refuses.
func refused(t *testing.T, err error, status int, says string) {
	t.Helper()
	var r *gh.ErrorResponse
	if !asError(err, &r) || r.Response.StatusCode != status || !strings.Contains(r.Error()+body(r), says) {
		t.Errorf("refused with %v, not with %d %q", err, status, says)
	}
}

func body(r *gh.ErrorResponse) string {
	b, _ := json.Marshal(r.Errors)
	return string(b)
}
