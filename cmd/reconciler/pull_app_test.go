package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/github/simulated"
	"github.com/compassdigital/reconciler/internal/store"
)

// appAccess is what we ask an App's owner for.
func appAccess(without string) map[string]string {
	out := map[string]string{"contents": "read", "pull_requests": "write", "statuses": "write", "deployments": "write", "checks": "write"}
	delete(out, without)
	return out
}

// gitSeen notes with which credentials Git was asked, and refuses those that GitHub's API
// does not know.
type gitSeen struct {
	mu     sync.Mutex
	tokens map[string]int
	anon   int
}

func (s *gitSeen) note(r *http.Request) string {
	user, token, ok := r.BasicAuth()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !ok || user != "x-access-token" {
		s.anon++
		return ""
	}
	s.tokens[token]++
	return token
}

// withApp lets the program be a GitHub App, whose token reads Git on the API's host, too.
func withApp(t *testing.T, permissions map[string]string, seen *gitSeen) hubOption {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return func(h *hub, o *simulated.Options, _ *[]string) {
		o.Tokens = nil
		delete(h.env, "RECONCILER_REPOSITORY_TOKEN") // the App's is taken only where none is given
		delete(h.env, "RECONCILER_GITHUB_TOKEN")
		h.env["RECONCILER_GITHUB_APP_ID"], h.env["RECONCILER_GITHUB_APP_PRIVATE_KEY_FILE"] = "7", filepath.Join(t.TempDir(), "app.pem")
		// The library signs by the machine's clock.
		o.App = &simulated.App{ID: 7, InstallationID: 70, Slug: "reconciler", Key: &key.PublicKey, Permissions: permissions, Now: time.Now}
		writeAll(t, h.env["RECONCILER_GITHUB_APP_PRIVATE_KEY_FILE"], string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})))
		h.bot, h.url = "reconciler[bot]", "/agency/clients.git"
		h.front = func(api, git http.Handler) http.Handler {
			mux := http.NewServeMux()
			mux.Handle("/api/v3/", api)
			mux.Handle("/agency/", http.StripPrefix("/agency", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				token := seen.note(r)
				ask, err := http.NewRequestWithContext(r.Context(), http.MethodGet, h.api.URL+"/api/v3/installation/repositories", nil)
				if err != nil {
					t.Error(err)
					return
				}
				ask.Header.Set("Authorization", "Bearer "+token)
				res, err := http.DefaultClient.Do(ask)
				if err != nil {
					http.Error(w, "away", http.StatusServiceUnavailable)
					return
				}
				res.Body.Close()
				if res.StatusCode != http.StatusOK {
					w.Header().Set("WWW-Authenticate", `Basic realm="GitHub"`)
					http.Error(w, "who are you?", http.StatusUnauthorized)
					return
				}
				git.ServeHTTP(w, r)
			})))
			return mux
		}
	}
}

// As a GitHub App: Git is read with the App's token, comments are found again as those of
// its bot, tokens that were revoked or have expired are renewed.
func TestAsAGitHubApp(t *testing.T) {
	seen := &gitSeen{tokens: map[string]int{}}
	h := newHub(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery")}, withApp(t, appAccess(""), seen))
	h.look()
	n := h.propose("add-one", map[string]string{"clients/one.yaml": manifestOf("one")})
	h.look()
	h.wantComment(n, "plan", "one")
	if v := h.status(); len(v.Notices) > 0 {
		t.Errorf("notices: %v", v.Notices)
	}

	h.gh.RevokeTokens()
	h.clock.add(time.Minute)
	h.pushTo("add-one", map[string]string{"clients/one.yaml": manifestOf("one", "env: {STORE_CURRENCY: CHF}")})
	h.try() // Git has nobody to renew its token; the API has
	h.look()
	h.clock.add(time.Minute)
	h.look()
	h.wantComment(n, "plan", "CHF")

	h.clock.add(2 * time.Hour)
	// Whoever lost the record of its comment finds it by its marker, and by who wrote it.
	h.forgetComments(n)
	h.pushTo("add-one", map[string]string{"clients/one.yaml": manifestOf("one", "env: {STORE_CURRENCY: USD}")})
	h.try()
	h.look()
	h.clock.add(time.Minute)
	h.look()
	h.wantComment(n, "plan", "USD")
	commit := h.merge(n, simulated.Squash)
	h.look()
	h.wantComment(n, "result", "one", "live")
	h.wantStatus(commit, "apply", "success", "1 client up to date")
	for _, c := range h.gh.Comments(n) {
		if !c.App {
			t.Errorf("a comment that is not the App's: %+v", c)
		}
	}
	seen.mu.Lock()
	defer seen.mu.Unlock()
	if len(seen.tokens) < 3 || seen.anon > 0 {
		t.Errorf("Git was read with %d tokens, and %d times without", len(seen.tokens), seen.anon)
	}
	for token := range seen.tokens {
		if !strings.HasPrefix(token, "ghs_") || strings.Contains(h.daemon.out.String(), token) {
			t.Error("a token that is none, or is in the log")
		}
	}
}

// A permission that is missing is named at the start, in the log and by status; what it
// does not concern works.
func TestPermissionsMissing(t *testing.T) {
	h := newHub(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery")}, withApp(t, appAccess("deployments"), &gitSeen{tokens: map[string]int{}}))
	h.look()
	h.until("the missing permission is named", func() bool { return len(h.status().Notices) > 0 })
	if v := h.status(); len(v.Notices) != 1 || !strings.Contains(v.Notices[0], "Deployments: write is missing (what runs where)") {
		t.Errorf("notices: %v", v.Notices)
	}
	if !strings.Contains(h.daemon.out.String(), "missing: Deployments: write") {
		t.Errorf("the log does not name it:\n%s", h.daemon.out)
	}
	n := h.propose("add-one", map[string]string{"clients/one.yaml": manifestOf("one")})
	h.look()
	commit := h.merge(n, simulated.MergeCommit)
	h.look()
	h.wantComment(n, "result", "one", "live")
	h.wantStatus(commit, "client/one", "success", "")
	if d := h.gh.Deployments(""); len(d) > 0 {
		t.Errorf("deployments: %+v", d)
	}
}

// forgetComments makes the program forget which comments it wrote.
func (h *hub) forgetComments(n int) {
	h.t.Helper()
	err := h.daemon.program.store.Update(func(tx store.Tx) error {
		p, _, err := store.Pull(tx, n)
		if err != nil {
			return err
		}
		p.Comment, p.Result = 0, 0
		return store.PutPull(tx, p)
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

// What GitHub does not let us do is told as it is now: permissions are taken and given while the program runs, and
// an App is uninstalled.
func TestPermissionsTakenAndGiven(t *testing.T) {
	h := newHub(t, map[string]string{"clients/bakery.yaml": bare("bakery")}, withApp(t, appAccess("deployments"), &gitSeen{tokens: map[string]int{}}))
	h.look()
	h.until("the missing permission is named", func() bool { return len(h.status().Notices) > 0 })
	ask := func() []string {
		t.Helper()
		h.clock.add(time.Hour)
		for _, s := range h.daemon.program.daemon.Schedules {
			if s.Name == "access" {
				if err := s.Run(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		return h.status().Notices
	}
	h.gh.SetAppPermissions(appAccess(""))
	if told := ask(); len(told) > 0 {
		t.Errorf("given: %v", told)
	}
	h.gh.SetAppPermissions(appAccess("pull_requests"))
	if told := ask(); len(told) != 1 || !strings.Contains(told[0], "Pull requests: write is missing") {
		t.Errorf("taken: %v", told)
	}
	back := h.gh.Inject(simulated.Fault{Kind: "installation.of", Status: http.StatusNotFound})
	if told := ask(); len(told) != 1 || !strings.Contains(told[0], "the GitHub App is not installed for agency/clients") {
		t.Errorf("uninstalled: %v", told)
	}
	back()
	away := h.gh.Inject(simulated.Fault{Down: true})
	before := h.status().Notices
	if told := ask(); len(told) != 1 || told[0] != before[0] {
		t.Errorf("away: %v", told)
	}
	away()
	h.gh.SetAppPermissions(appAccess(""))
	if told := ask(); len(told) > 0 {
		t.Errorf("in the end: %v", told)
	}
}
