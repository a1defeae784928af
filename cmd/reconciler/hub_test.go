package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/forge"
	"github.com/compassdigital/reconciler/internal/github/githubtest"
	"github.com/compassdigital/reconciler/internal/github/simulated"
	"github.com/compassdigital/reconciler/internal/gitserver"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// hub is an installation whose repository is at a simulated GitHub: people open pull
// requests, comment and merge there, and the program reads and writes there over HTTP.
type hub struct {
	*world
	gh       *simulated.Forge
	api      *httptest.Server
	contract *githubtest.Contract // what is said there is held against
	bot      string               // the program's login there
	front    func(api, git http.Handler) http.Handler
}

// wantContract says how much was held against GitHub's description; nothing would prove
// nothing.
func (h *hub) wantContract() { h.contract.Some(h.t) }

// hubToken is the program's token at the simulated GitHub, and hubSecret what webhooks are
// signed with: invented, like all here, and looked for in all that comes out.
var hubToken, hubSecret = invented("token"), invented("webhooks")

func invented(name string) string {
	sum := sha256.Sum256([]byte("invented " + name))
	return hex.EncodeToString(sum[:])
}

// hubOption changes how the simulated GitHub, or the configuration, is.
type hubOption func(h *hub, o *simulated.Options, config *[]string)

// newHub makes one whose repository holds the template and these files. people: dana may
// write, robin is admin, sam is a stranger.
func newHub(t testing.TB, files map[string]string, options ...hubOption) *hub {
	t.Helper()
	h := &hub{world: newWorld(t, files), bot: "reconciler-bot",
		front: func(api, _ http.Handler) http.Handler { return api }}
	h.env["RECONCILER_GITHUB_TOKEN"] = hubToken
	h.plant("the token at GitHub", hubToken)
	h.plant("the webhooks' secret", hubSecret)
	git, err := gitserver.New(filepath.Dir(h.repository))
	if err != nil {
		t.Fatal(err)
	}
	o := simulated.Options{Git: git, Owner: "agency", Repo: "clients", Now: h.now,
		Tokens: []simulated.Token{{Secret: state.NewSecret(hubToken), Login: "reconciler-bot"}}}
	config := []string{"publicURL: https://reconciler.agency.example"}
	for _, opt := range options {
		opt(h, &o, &config)
	}
	if h.gh, err = simulated.New(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.gh.Close() })
	h.gh.AddUser("dana", "write")
	h.gh.AddUser("robin", "admin")
	h.gh.AddUser("sam", "none")
	h.gh.AddUser("reconciler-bot", "write")
	h.contract = descriptionOf(t, "github")
	t.Cleanup(h.wantContract) // when nobody asks any more
	h.api = httptest.NewServer(h.overheard(h.front(h.contract.Handler(h.gh.API()), git)))
	t.Cleanup(h.api.Close)
	if strings.HasPrefix(h.url, "/") {
		h.url = h.api.URL + h.url
	}
	// Pushes go through the server that GitHub watches.
	h.server.Config.Handler = git
	h.configure(fmt.Sprintf("github: {owner: agency, repo: clients, apiURL: %q}\n%s", h.api.URL+"/api/v3/", strings.Join(config, "\n")))
	return h
}

// overheard keeps what is sent to GitHub for the look at the end of the test: addresses and
// bodies. (The tokens are in a header.)
func (h *hub) overheard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, maxOverheard))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if r.Method != http.MethodGet {
			h.hear("what GitHub is sent", r.URL.String()+"\n"+string(body))
		}
		next.ServeHTTP(w, r)
	})
}

// maxOverheard is more than any request to GitHub has.
const maxOverheard = 64 << 20

// text makes a file's content for Push.
func text(s string) *string { return &s }

// files are contents for Push; "" removes.
func filesFor(files map[string]string) map[string]*string {
	out := map[string]*string{}
	for p, s := range files {
		if s == "" {
			out[p] = nil
		} else {
			out[p] = text(s)
		}
	}
	return out
}

// propose pushes files to a branch and opens a pull request of it.
func (h *hub) propose(branch string, files map[string]string) int {
	h.t.Helper()
	h.pushTo(branch, files)
	n, err := h.gh.OpenPull(simulated.Proposal{Head: branch, Title: "Change " + branch, Author: "dana"})
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

func (h *hub) pushTo(branch string, files map[string]string) string {
	h.t.Helper()
	c, err := h.gh.Push(branch, filesFor(files), "Change "+strings.Join(sortedKeys(files), ", "), "dana")
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// merge merges a pull request and returns the branch's commit.
func (h *hub) merge(n int, kind simulated.Kind) string {
	h.t.Helper()
	h.gh.Settle()
	c, err := h.gh.Merge(n, kind, "robin")
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// look lets the program look at GitHub, pass what is due and tell what there is to tell.
func (h *hub) look() {
	h.t.Helper()
	if h.daemon == nil {
		h.start()
	}
	p := h.daemon.program
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	for range 3 { // what one look finds may be another pull request's matter
		if _, err := p.reviewer.Sync(ctx); err != nil {
			h.t.Fatal(err)
		}
		if err := p.daemon.Settle(ctx); err != nil {
			h.t.Fatal(err)
		}
		h.tell(ctx)
	}
	h.gh.Settle()
}

// tell empties the outbox, waiting for the limits of GitHub as the program would.
func (h *hub) tell(ctx context.Context) {
	h.t.Helper()
	for range 200 {
		var limit *forge.Limited
		if err := h.daemon.program.deliver(ctx); err != nil && !errors.As(err, &limit) && !errors.Is(err, forge.ErrAway) {
			h.t.Fatal(err)
		}
		var waiting []state.Report
		err := h.daemon.program.store.View(func(tx store.Tx) (err error) { waiting, err = store.Reports(tx); return err })
		if err != nil {
			h.t.Fatal(err)
		}
		if len(waiting) == 0 {
			return
		}
		h.clock.add(10 * time.Second)
	}
	h.t.Fatalf("the outbox does not empty\n%s", h.daemon.out)
}

// status is the newest status of a context; the zero one where there is none.
func (h *hub) statusOf(commit, context string) simulated.Status {
	for _, s := range h.gh.Statuses(commit) {
		if s.Context == "reconciler/"+context {
			return s
		}
	}
	return simulated.Status{}
}

// wantStatus wants a state, and words that the description holds.
func (h *hub) wantStatus(commit, context, want, words string) {
	h.t.Helper()
	if s := h.statusOf(commit, context); s.State != want || !strings.Contains(s.Description, words) {
		h.t.Errorf("reconciler/%s is %q: %q; want %s: …%s…", context, s.State, s.Description, want, words)
	}
}

// headOf is the commit of a pull request.
func (h *hub) headOf(n int) string {
	h.t.Helper()
	p, err := h.gh.Pull(n)
	if err != nil {
		h.t.Fatal(err)
	}
	return p.Head
}

// said are the bodies of the program's comments with a marker.
func (h *hub) said(n int, kind string) (out []string) {
	for _, c := range h.gh.Comments(n) {
		if c.Author == h.bot && strings.HasPrefix(c.Body, "<!-- reconciler:"+kind) {
			out = append(out, c.Body)
		}
	}
	return out
}

// wantComment wants exactly one comment of a kind, and words in it.
func (h *hub) wantComment(n int, kind string, words ...string) string {
	h.t.Helper()
	all := h.said(n, kind)
	if len(all) != 1 {
		h.t.Fatalf("pull request %d has %d comments of kind %s\n%s", n, len(all), kind, h.daemon.out)
	}
	for _, w := range words {
		if !strings.Contains(all[0], w) {
			h.t.Errorf("the comment lacks %q:\n%s", w, all[0])
		}
	}
	return all[0]
}

// commentWrites counts how often a pull request's comments were written.
func (h *hub) commentWrites(n int) (writes int) {
	for _, c := range h.gh.Comments(n) {
		if c.Author == h.bot {
			writes += 1 + c.Edits
		}
	}
	return writes
}

// commitsOf are the commits that a branch has and main has not.
func (h *hub) commitsOf(branch string) []string {
	h.git("fetch", "-q", "origin")
	return strings.Fields(h.git("rev-list", "origin/"+branch, "^origin/main"))
}

// dropDatabase removes a client's database behind the program's back.
func (h *hub) dropDatabase(client string) {
	h.t.Helper()
	files, err := filepath.Glob(filepath.Join(h.dir, "databases", client+"-*"))
	if err != nil || len(files) == 0 {
		h.t.Fatalf("databases of %s: %v %v", client, files, err)
	}
	for _, f := range files {
		if err := os.Remove(f); err != nil {
			h.t.Fatal(err)
		}
	}
}
