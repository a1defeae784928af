package gitserver

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/revlist"
)

// recorded are the bodies that a real git sends for a fetch and a push.
func recorded(f *testing.F) (bodies map[string][]byte) {
	f.Helper()
	s := fuzzed(f, f.TempDir())
	bodies = map[string][]byte{}
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil && r.Method == http.MethodPost && len(body) > 4 {
			bodies[filepath.Base(r.URL.Path)] = body
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		s.ServeHTTP(w, r)
	}))
	defer h.Close()
	dir := filepath.Join(f.TempDir(), "clone")
	run(f, "/", "clone", "-q", h.URL+"/r.git", dir)
	if err := os.WriteFile(filepath.Join(dir, "a"), []byte("2\n"), 0o600); err != nil {
		f.Fatal(err)
	}
	run(f, dir, "commit", "-q", "-a", "-m", "change")
	run(f, dir, "push", "-q", "origin", "HEAD:main", "HEAD:refs/heads/other")
	return bodies
}

// fuzzed is a server of one repository in a new folder below dir, the same each time. It
// outlives the run that makes it.
func fuzzed(t testing.TB, dir string) *Server {
	for n := 0; ; n++ {
		below := filepath.Join(dir, strconv.Itoa(n))
		if err := os.Mkdir(below, 0o700); err == nil {
			dir = below
			break
		} else if !errors.Is(err, fs.ErrExist) {
			t.Fatal(err)
		}
	}
	s, err := New(dir)
	if err != nil {
		t.Fatal(err)
	}
	s.Now = func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }
	if _, err := s.Create("r", "main", map[string]string{"a": "1\n", "b/c": "1\n"}, "begin"); err != nil {
		t.Fatal(err)
	}
	return s
}

func refsOf(t testing.TB, s *Server) map[plumbing.ReferenceName]plumbing.Hash {
	st := storage(s.path("r"))
	defer st.Close()
	refs, err := references(st)
	if err != nil {
		t.Fatal(err)
	}
	return refs
}

// FuzzRequest: whatever is sent to a repository, an answer comes, a fetch changes nothing,
// and after a push every reference that moved was named, is a branch or a tag, and has all
// of its objects; the branch that HEAD names stays.
func FuzzRequest(f *testing.F) {
	for service, body := range recorded(f) {
		f.Add(service == receivePack, body)
	}
	dir := f.TempDir()
	zero, main := plumbing.ZeroHash.String(), refsOf(f, fuzzed(f, dir))["refs/heads/main"].String()
	for _, line := range []string{main + " " + zero + " refs/heads/main", zero + " " + main + " refs/heads/../../x", zero + " " + main + " HEAD", zero + " " + zero[1:] + "1 refs/tags/x", main + " " + main + " refs/heads/main\x00report-status push-options"} {
		f.Add(true, []byte(pkt(line)+"0000"))
	}
	f.Add(false, []byte(pkt("want "+main)+"0000"+pkt("have "+main)+pkt("done")))
	f.Add(false, []byte(pkt("deepen 1")))
	var s *Server // of this process; made anew once something moved
	f.Fuzz(func(t *testing.T, push bool, body []byte) {
		if s == nil {
			s = fuzzed(t, dir)
		}
		service := uploadPack
		if push {
			service = receivePack
		}
		before := refsOf(t, s)
		r := httptest.NewRequest(http.MethodPost, "/r.git/"+service, bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/x-"+service+"-request")
		w := httptest.NewRecorder()
		func() {
			defer func() {
				p := recover()
				if err, ok := p.(error); p != nil && (!ok || !errors.Is(err, http.ErrAbortHandler)) { // which only breaks the connection
					panic(p)
				}
			}()
			s.ServeHTTP(w, r)
		}()
		if w.Code != http.StatusOK && w.Code != http.StatusBadRequest && w.Code != http.StatusInternalServerError {
			t.Fatalf("status %d", w.Code)
		}
		after := refsOf(t, s)
		if maps.Equal(before, after) {
			return
		}
		moved := s
		s = nil
		if !push {
			t.Fatal("a fetch moved a reference")
		}
		sound(t, moved, before, after, body)
	})
}

// sound checks what a push left.
func sound(t *testing.T, s *Server, before, after map[plumbing.ReferenceName]plumbing.Hash, body []byte) {
	t.Helper()
	for name, hash := range after {
		if before[name] == hash {
			continue
		}
		if !bytes.Contains(body, []byte(name)) || !bytes.Contains(bytes.ToLower(body), []byte(hash.String())) || !strings.HasPrefix(string(name), "refs/heads/") && !strings.HasPrefix(string(name), "refs/tags/") {
			t.Errorf("%q is at %s", name, hash)
		}
		st := storage(s.path("r"))
		all, err := revlist.Objects(st, []plumbing.Hash{hash}, nil)
		for _, h := range all {
			err = errors.Join(err, st.HasEncodedObject(h))
		}
		if err = errors.Join(err, st.Close()); err != nil {
			t.Errorf("%q at %s is not whole: %v", name, hash, err)
		}
	}
	if _, ok := after["refs/heads/main"]; !ok {
		t.Error("the branch of HEAD is gone")
	}
}

func pkt(line string) string { return fmt.Sprintf("%04x%s", len(line)+4, line) }
