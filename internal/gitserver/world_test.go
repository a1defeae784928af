package gitserver

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a server, its address under /git and what OnPush said.
type world struct {
	*Server
	url string

	mu     sync.Mutex
	pushes []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s, err := New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s.Now = func() time.Time { return at }
	w := &world{Server: s}
	s.OnPush = func(name, branch, head string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.pushes = append(w.pushes, name+" "+branch+" "+head)
	}
	h := httptest.NewServer(http.StripPrefix("/git", s))
	t.Cleanup(h.Close)
	w.url = h.URL + "/git/"
	return w
}

func (w *world) create(t *testing.T, name string, files map[string]string) string {
	t.Helper()
	c, err := w.Create(name, "main", files, "begin\n")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (w *world) pushed() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.pushes...)
}

// try runs the real git in dir.
func try(t testing.TB, dir string, args ...string) (string, error) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("there is no git")
	}
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_TERMINAL_PROMPT=0", "HOME="+dir,
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@people.example", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@people.example")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return strings.TrimSpace(out.String()), err
}

func run(t testing.TB, dir string, args ...string) string {
	t.Helper()
	out, err := try(t, dir, args...)
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (w *world) clone(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "clone")
	run(t, "/", "clone", "-q", w.url+name+".git", dir)
	return dir
}

func write(t *testing.T, dir, path, text string) {
	t.Helper()
	p := filepath.Join(dir, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// commit writes a file in a clone and commits it.
func commit(t *testing.T, dir, path, text string) string {
	t.Helper()
	write(t, dir, path, text)
	run(t, dir, "add", "-A")
	run(t, dir, "commit", "-q", "-m", "change "+path)
	return run(t, dir, "rev-parse", "HEAD")
}

func (w *world) head(t *testing.T, name string) string {
	t.Helper()
	h, err := w.Head(name)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func read(t *testing.T, dir, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func text(s string) *string { return &s }
