package source

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// backend serves a folder of repositories with git's own HTTP server.
func backend(t *testing.T, root string) string {
	t.Helper()
	bin := filepath.Join(run(t, root, "--exec-path"), "git-http-backend")
	h := &cgi.Handler{Path: bin, Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null"}}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// Git's own server: side bands, deltas, bitmaps, and a revert to an old content, which
// shallow or thin transfers stumble over.
func TestRealServer(t *testing.T) {
	root := t.TempDir()
	bare, dir := filepath.Join(root, "clients.git"), work(t, map[string]string{"clients/a.yaml": "name: a", "clients/b.yaml": strings.Repeat("long: text\n", 500)})
	run(t, root, "init", "-q", "--bare", "-b", "main", bare)
	run(t, dir, "remote", "add", "origin", bare)
	push := func() { run(t, dir, "push", "-q", "-f", "origin", "main") }
	push()
	url := backend(t, root) + "/clients.git"
	r := open(t, Options{URL: url})
	first := fetch(t, r)
	for i := range 30 {
		save(t, dir, map[string]string{"clients/b.yaml": strings.Repeat("long: text\n", 500) + fmt.Sprint(i)})
	}
	push()
	run(t, bare, "repack", "-q", "-a", "-d", "-b")
	second := fetch(t, r)
	if d := diff(t, r, first, second); len(d) != 1 || d["clients/b.yaml"] != "changed" {
		t.Error(d)
	}
	if c, err := r.Commits(t.Context(), first, second, 100); err != nil || len(c) != 30 {
		t.Error(len(c), err)
	}
	save(t, dir, map[string]string{"clients/b.yaml": strings.Repeat("long: text\n", 500)})
	push()
	third := fetch(t, r)
	if d := diff(t, r, first, third); len(d) != 0 {
		t.Errorf("a revert differs: %v", d)
	}
	run(t, dir, "reset", "-q", "--hard", first)
	save(t, dir, map[string]string{"clients/a.yaml": "name: a # other"})
	push()
	fourth := fetch(t, r)
	if yes, err := r.Descends(t.Context(), fourth, third); err != nil || yes {
		t.Error(yes, err)
	}
	if got := content(t, r, fourth); got["clients/a.yaml"] != "name: a # other" {
		t.Error(got)
	}
	run(t, dir, "tag", "-a", "-m", "tag", "v1", fourth)
	run(t, dir, "push", "-q", "origin", "v1")
	if got, err := r.Resolve(t.Context(), "v1"); err != nil || got != fourth {
		t.Error(got, err)
	}
	if _, err := open(t, Options{URL: url, Branch: "none"}).Poll(t.Context()); !errors.Is(err, ErrNoBranch) {
		t.Error(err)
	}
	if r.Stats().Clones != 1 {
		t.Errorf("%+v", r.Stats())
	}
	empty := filepath.Join(root, "empty.git")
	run(t, root, "init", "-q", "--bare", empty)
	if _, err := open(t, Options{URL: strings.Replace(url, "clients.git", "empty.git", 1)}).Poll(t.Context()); !errors.Is(err, ErrEmpty) {
		t.Error(err)
	}
}

// A transfer that stops in its middle ends with its context and leaves nothing.
func TestHangingTransfer(t *testing.T) {
	w, first := newWorld(t, begin())
	r := open(t, Options{URL: w.url})
	why := errors.New("stopped by the test")
	ctx, cancel := context.WithCancelCause(t.Context())
	w.through(func(rw http.ResponseWriter, req *http.Request, next http.Handler) {
		if req.Method == http.MethodGet {
			next.ServeHTTP(rw, req)
			return
		}
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, req)
		rw.Header().Set("Content-Type", rec.Header().Get("Content-Type"))
		_, _ = rw.Write(rec.Body.Bytes()[:100])
		rw.(http.Flusher).Flush()
		cancel(why)
		<-req.Context().Done()
	})
	if err := r.Fetch(ctx, first); !errors.Is(err, why) {
		t.Error(err)
	}
	if left := leftovers(t, r.dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	w.through(nil)
	if got := fetch(t, r); got != first {
		t.Error(got)
	}
}

// Whatever the history's shape, a range is what git says it is, parents first.
func TestRangesAsGitSeesThem(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	// The last reaches all that is open, so that nothing is out of the mirror's sight.
	dir := tangled(t, rnd, tangle{commits: 60, back: 20, far: 4, last: 12})
	r := open(t, Options{URL: dir})
	head := fetch(t, r)
	all := strings.Fields(run(t, dir, "rev-list", head))
	for range 60 {
		from, to := all[rnd.IntN(len(all))], all[rnd.IntN(len(all))]
		want := strings.Fields(run(t, dir, "rev-list", from+".."+to))
		commits, err := r.Commits(t.Context(), from, to, 1000)
		if err != nil {
			t.Fatal(err)
		}
		got, place := []string{}, map[string]int{}
		for i, c := range commits {
			got, place[c.ID] = append(got, c.ID), i
		}
		for _, line := range strings.Split(run(t, dir, "rev-list", "--parents", to), "\n") {
			ids := strings.Fields(line)
			for _, parent := range ids[1:] {
				a, ok := place[parent]
				if b, is := place[ids[0]]; ok && is && a > b {
					t.Errorf("%s comes before its parent", ids[0])
				}
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s..%s: %d commits, git says %d", from, to, len(got), len(want))
		}
		yes, err := r.Descends(t.Context(), to, from)
		if err != nil || yes != (len(strings.Fields(run(t, dir, "rev-list", to+".."+from))) == 0) {
			t.Errorf("%s descends from %s: %v, %v", to, from, yes, err)
		}
	}
}
