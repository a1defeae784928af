package source

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/compassdigital/reconciler/internal/gitserver"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a Git server with one repository, and how often it was asked.
type world struct {
	*gitserver.Server
	dir, url string
	requests atomic.Int64
	wrap     atomic.Pointer[func(http.ResponseWriter, *http.Request, http.Handler)]
}

func newWorld(t *testing.T, files map[string]string) (*world, string) {
	t.Helper()
	w := &world{dir: t.TempDir()}
	var err error
	if w.Server, err = gitserver.New(w.dir); err != nil {
		t.Fatal(err)
	}
	head, err := w.Create("clients", "main", files, "Begin")
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.requests.Add(1)
		if f := w.wrap.Load(); f != nil {
			(*f)(rw, r, w.Server)
			return
		}
		w.ServeHTTP(rw, r)
	}))
	t.Cleanup(h.Close)
	w.url = h.URL + "/clients.git"
	return w, head
}

// through puts a handler in front of the server; nil takes it away.
func (w *world) through(f func(http.ResponseWriter, *http.Request, http.Handler)) {
	if f == nil {
		w.wrap.Store(nil)
		return
	}
	w.wrap.Store(&f)
}

func (w *world) commit(t *testing.T, changes map[string]string) string {
	t.Helper()
	m := map[string]*string{}
	for path, text := range changes {
		if m[path] = &text; text == "" {
			m[path] = nil
		}
	}
	head, err := w.Commit("clients", m, "Change")
	if err != nil {
		t.Fatal(err)
	}
	return head
}

func open(t *testing.T, o Options) *Repository {
	t.Helper()
	if o.Branch == "" {
		o.Branch = "main"
	}
	if o.Path == "" {
		o.Path = "clients"
	}
	if o.Dir == "" {
		o.Dir = filepath.Join(t.TempDir(), "mirror")
	}
	r, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return r
}

// fetch brings what Poll names.
func fetch(t *testing.T, r *Repository) string {
	t.Helper()
	head, err := r.Poll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Fetch(t.Context(), head); err != nil {
		t.Fatal(err)
	}
	return head
}

func content(t *testing.T, r *Repository, head string) map[string]string {
	t.Helper()
	files, err := r.Files(t.Context(), head)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, f := range files {
		if !f.Regular {
			kind, _, _ := strings.Cut(f.Blob, ":")
			out[f.Path] = kind
			if _, err := r.Blob(t.Context(), f.Blob); err == nil {
				t.Errorf("%s was read", f.Path)
			}
			continue
		}
		data, err := r.Blob(t.Context(), f.Blob)
		if err != nil {
			t.Fatal(err)
		}
		out[f.Path] = string(data)
	}
	return out
}

func diff(t *testing.T, r *Repository, from, head string) map[string]string {
	t.Helper()
	changes, err := r.Diff(t.Context(), from, head)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, c := range changes {
		switch {
		case c.Old == "":
			out[c.Path] = "added"
		case c.New == "":
			out[c.Path] = "removed"
		default:
			out[c.Path] = "changed"
		}
		if Irregular(c.New) {
			out[c.Path] += " " + c.New[:strings.Index(c.New, ":")]
		}
	}
	return out
}

// run runs the real git.
func run(t *testing.T, dir string, args ...string) string {
	t.Helper()
	return pipe(t, dir, "", args...)
}

// feed imports a stream of commits.
func feed(t *testing.T, dir, in string) {
	t.Helper()
	pipe(t, dir, in, "fast-import", "--quiet", "--force")
}

func pipe(t *testing.T, dir, in string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_TERMINAL_PROMPT=0", "HOME="+dir,
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@people.example", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@people.example")
	var out, bad bytes.Buffer
	cmd.Stdin = strings.NewReader(in)
	cmd.Stdout, cmd.Stderr = &out, &bad
	if err := cmd.Run(); err != nil {
		t.Fatalf("git %s: %v\n%s%s", strings.Join(args, " "), err, out.String(), bad.String())
	}
	return strings.TrimSpace(out.String())
}

// work is a repository with a work tree that the real git made.
func work(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	run(t, dir, "init", "-q", "-b", "main")
	save(t, dir, files)
	return dir
}

func save(t *testing.T, dir string, files map[string]string) string {
	t.Helper()
	for path, text := range files {
		p := filepath.Join(dir, filepath.FromSlash(path))
		if text == "" {
			if err := os.RemoveAll(p); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return seal(t, dir)
}

func seal(t *testing.T, dir string) string {
	t.Helper()
	run(t, dir, "add", "-A")
	run(t, dir, "commit", "-q", "--allow-empty", "-m", "change things")
	return run(t, dir, "rev-parse", "HEAD")
}

// tangle is a history with many merges.
type tangle struct {
	commits int
	back    int // seconds that clocks go back now and then
	far     int // how far back a commit's first parent may be
	last    int // how many the last commit merges
	alone   int // one that has no parent; 0: none but the first
}

// tangled is a repository with such a history, whose commit n makes clients/cN.yaml.
func tangled(t *testing.T, rnd *rand.Rand, w tangle) (dir string) {
	t.Helper()
	dir = t.TempDir()
	run(t, dir, "init", "-q", "--bare", "-b", "main")
	var in strings.Builder
	at := 1767323045
	commit := func(n, at int) {
		fmt.Fprintf(&in, "commit refs/heads/main\nmark :%d\ncommitter Ada <ada@people.example> %d +0000\ndata 1\nx\n", n, at)
	}
	for i := 1; i <= w.commits; i++ {
		at += rnd.IntN(100) - w.back
		commit(i, at)
		switch i {
		case 1:
		case w.alone:
			in.WriteString("from " + strings.Repeat("0", 40) + "\n")
		default:
			fmt.Fprintf(&in, "from :%d\n", max(1, i-1-rnd.IntN(w.far)))
			for m := range rnd.IntN(3) {
				fmt.Fprintf(&in, "merge :%d\n", max(1, i-1-rnd.IntN(8)-m))
			}
		}
		fmt.Fprintf(&in, "M 100644 inline clients/c%d.yaml\ndata 1\nx\n", i)
	}
	commit(w.commits+1, at+1000)
	fmt.Fprintf(&in, "from :%d\n", w.commits)
	for i := w.commits - 1; i > w.commits-w.last; i-- {
		fmt.Fprintf(&in, "merge :%d\n", i)
	}
	feed(t, dir, in.String())
	return dir
}

func ended(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
