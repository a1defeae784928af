package source

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// pullOf makes a pull request: a commit on another one that no branch reaches, under
// refs/pull/N/head. An empty text removes a file.
func pullOf(t *testing.T, dir string, n int, on string, files map[string]string) string {
	t.Helper()
	head := commitOn(t, dir, files, on)
	run(t, dir, "update-ref", fmt.Sprintf("refs/pull/%d/head", n), head)
	return head
}

// commitOn makes a commit with these changes to the tree of its first parent, and moves no
// reference.
func commitOn(t *testing.T, dir string, files map[string]string, parents ...string) string {
	t.Helper()
	index := filepath.Join(t.TempDir(), "index")
	with := func(in string, args ...string) string {
		t.Setenv("GIT_INDEX_FILE", index)
		defer os.Unsetenv("GIT_INDEX_FILE")
		return pipe(t, dir, in, args...)
	}
	with("", "read-tree", parents[0])
	for path, text := range files {
		if text == "" {
			with("", "rm", "-q", "--cached", path)
			continue
		}
		with("", "update-index", "--add", "--cacheinfo", "100644,"+with(text, "hash-object", "-w", "--stdin")+","+path)
	}
	args := []string{"commit-tree", with("", "write-tree")}
	for _, p := range parents {
		args = append(args, "-p", p)
	}
	return pipe(t, dir, "change things", args...)
}

func ref(n int) string { return fmt.Sprintf("refs/pull/%d/head", n) }

// servers are the ways to a repository with these files, and its folder.
func servers(t *testing.T, files map[string]string) map[string][2]string {
	t.Helper()
	w, _ := newWorld(t, files)
	root := t.TempDir()
	for _, name := range []string{"clients.git", "local.git"} {
		run(t, root, "clone", "-q", "--bare", work(t, files), filepath.Join(root, name))
	}
	return map[string][2]string{
		"our server":  {w.url, filepath.Join(w.dir, "clients.git")},
		"git's":       {backend(t, root) + "/clients.git", filepath.Join(root, "clients.git")},
		"in a folder": {filepath.Join(root, "local.git"), filepath.Join(root, "local.git")},
	}
}

func TestFetchRef(t *testing.T) {
	for name, at := range servers(t, begin()) {
		t.Run(name, func(t *testing.T) {
			url, dir := at[0], at[1]
			r := open(t, Options{URL: url})
			base := run(t, dir, "rev-parse", "main")
			pull := pullOf(t, dir, 7, base, map[string]string{"clients/new.yaml": "name: new", "clients/bakery.yaml": ""})
			refs, err := r.Refs(t.Context(), "refs/pull/")
			if err != nil || len(refs) != 1 || refs[ref(7)] != pull {
				t.Errorf("%v %v", refs, err)
			}
			if err := r.FetchRef(t.Context(), ref(7), pull); !errors.Is(err, ErrNotFound) {
				t.Errorf("before the branch was fetched: %v", err)
			}
			if got := fetch(t, r); got != base {
				t.Fatal(got)
			}
			if _, err := r.Diff(t.Context(), base, pull); !errors.Is(err, ErrNotFound) {
				t.Errorf("it came with the branch: %v", err)
			}
			if err := r.FetchRef(t.Context(), ref(7), pull); err != nil {
				t.Fatal(err)
			}
			want := map[string]string{"clients/new.yaml": "added", "clients/bakery.yaml": "removed"}
			if d := cmp.Diff(want, diff(t, r, base, pull)); d != "" {
				t.Error(d)
			}
			if got := content(t, r, pull); got["clients/new.yaml"] != "name: new" || got["templates/blog.yaml"] != "kind: Template" {
				t.Error(got)
			}
			// The branch has nothing of it.
			if got, err := r.Resolve(t.Context(), "main"); err != nil || got != base {
				t.Error(got, err)
			}
			for _, rev := range []string{pull, pull[:12]} {
				if got, err := r.Resolve(t.Context(), rev); !errors.Is(err, ErrNotFound) {
					t.Errorf("a revision of the branch: %s, %v", got, err)
				}
			}
			if yes, err := r.Descends(t.Context(), base, pull); err != nil || yes {
				t.Error(yes, err)
			}
			if out := run(t, r.current(), "rev-list", "--all", "--objects"); strings.Contains(out, pull) {
				t.Error("the mirror reaches it")
			}
			// What is here costs no request.
			before := r.Stats().Fetches
			if err := errors.Join(r.FetchRef(t.Context(), ref(7), pull), r.FetchRef(t.Context(), ref(7), base)); err != nil || r.Stats().Fetches != before {
				t.Error(err, r.Stats())
			}
			// It moves on, and is merged.
			second := pullOf(t, dir, 7, pull, map[string]string{"clients/new.yaml": "name: new # and more"})
			if err := r.FetchRef(t.Context(), ref(7), second); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(map[string]string{"clients/new.yaml": "changed"}, diff(t, r, pull, second)); d != "" {
				t.Error(d)
			}
			run(t, dir, "update-ref", "refs/heads/main", second)
			if got := fetch(t, r); got != second {
				t.Error(got)
			}
			if yes, err := r.Descends(t.Context(), second, base); err != nil || !yes {
				t.Error(yes, err)
			}
			if out := run(t, r.current(), "rev-list", "main"); !strings.Contains(out, pull) {
				t.Error("the mirror of the branch lacks what was merged")
			}
			for what, err := range map[string]error{
				"no such reference": r.FetchRef(t.Context(), ref(8), strings.Repeat("1", 40)),
				"another commit":    r.FetchRef(t.Context(), ref(7), strings.Repeat("1", 40)),
				"no reference":      r.FetchRef(t.Context(), "pull/7", second[:39]+"0"),
				"no commit":         r.FetchRef(t.Context(), ref(7), "main"),
			} {
				if !errors.Is(err, ErrNotFound) || errors.Is(err, ErrNoBranch) {
					t.Errorf("%s: %v", what, err)
				}
			}
			if left := leftovers(t, r.dir); len(left) > 0 || r.Stats().Clones != 1 {
				t.Errorf("left behind: %v, %+v", left, r.Stats())
			}
			run(t, r.current(), "fsck", "--full", "--strict")
		})
	}
}

func TestRefs(t *testing.T) {
	for name, at := range servers(t, begin()) {
		t.Run(name, func(t *testing.T) {
			r := open(t, Options{URL: at[0]})
			head := run(t, at[1], "rev-parse", "main")
			run(t, at[1], "tag", "-a", "-m", "tag", "v1", head)
			run(t, at[1], "update-ref", "refs/pull/12/merge", head)
			for prefix, want := range map[string]map[string]string{
				"refs/pull/":  {"refs/pull/12/merge": head},
				"refs/heads/": {"refs/heads/main": head},
				"refs/none/":  {},
			} {
				got, err := r.Refs(t.Context(), prefix)
				if d := cmp.Diff(want, got); d != "" || err != nil {
					t.Errorf("%s: %v %s", prefix, err, d)
				}
			}
			if got, err := r.Refs(t.Context(), "refs/tags/"); err != nil || len(got) != 1 || name != "our server" && got["refs/tags/v1"] != head {
				t.Errorf("%v %v", got, err)
			}
		})
	}
	dir := t.TempDir()
	run(t, dir, "init", "-q", "--bare")
	if got, err := open(t, Options{URL: dir}).Refs(t.Context(), "refs/"); !errors.Is(err, ErrEmpty) {
		t.Errorf("an empty repository: %v %v", got, err)
	}
}

// The branch is fetched and read while a pull request takes its time.
func TestBranchGoesOnWhileAPullRequestIsFetched(t *testing.T) {
	w, base := newWorld(t, begin())
	r := open(t, Options{URL: w.url})
	fetch(t, r)
	pull := pullOf(t, filepath.Join(w.dir, "clients.git"), 1, base, map[string]string{"clients/new.yaml": "name: new"})
	entered, free := make(chan struct{}), make(chan struct{})
	w.through(func(rw http.ResponseWriter, req *http.Request, next http.Handler) {
		if req.Method == http.MethodPost {
			entered <- struct{}{}
			<-free
		}
		next.ServeHTTP(rw, req)
	})
	done := make(chan error)
	go func() { done <- r.FetchRef(t.Context(), ref(1), pull) }()
	<-entered
	w.through(nil)
	// Somebody else who wants one waits, as long as he will.
	why := errors.New("stopped by the test")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if err := r.FetchRef(ctx, ref(1), pull); !errors.Is(err, why) {
		t.Error(err)
	}
	second := w.commit(t, map[string]string{"clients/other.yaml": "name: other"})
	if got := fetch(t, r); got != second {
		t.Error(got)
	}
	if got := content(t, r, second); got["clients/other.yaml"] != "name: other" {
		t.Error(got)
	}
	close(free)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	m, err := r.Merge(t.Context(), second, pull)
	if err != nil || len(m.Changes) != 1 || m.Behind != 1 {
		t.Errorf("%+v %v", m, err)
	}
}

// There are never more packs of pull requests than their limits, and each that is left
// can be read.
func TestOldPullRequestsGo(t *testing.T) {
	dir := t.TempDir()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i := range 6 {
		for _, ext := range []string{".pack", ".idx"} {
			file := filepath.Join(dir, fmt.Sprintf("pack-%d%s", i, ext))
			if err := os.WriteFile(file, make([]byte, 10), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(file, at, at.Add(time.Duration(-i)*time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		most int
		size int64
		want string
	}{{6, 60, "012345"}, {4, 60, "0123"}, {4, 35, "012"}, {0, 0, "0"}} {
		if err := evict(dir, c.most, c.size); err != nil {
			t.Fatal(err)
		}
		got := ""
		left, err := filepath.Glob(filepath.Join(dir, "*.pack"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range left {
			got += strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "pack-"), ".pack")
		}
		if indexes, err := filepath.Glob(filepath.Join(dir, "*.idx")); err != nil || got != c.want || len(indexes) != len(left) {
			t.Errorf("%+v: %s, %d indexes, %v", c, got, len(indexes), err)
		}
	}
}

// A transfer of a pull request that stops in its middle leaves nothing.
func TestBrokenTransferOfAPullRequest(t *testing.T) {
	w, base := newWorld(t, begin())
	r := open(t, Options{URL: w.url})
	fetch(t, r)
	pull := pullOf(t, filepath.Join(w.dir, "clients.git"), 1, base, map[string]string{"clients/new.yaml": strings.Repeat("name: new\n", 1000)})
	for name, change := range map[string]func([]byte) []byte{
		"cut off":     func(b []byte) []byte { return b[:len(b)-30] },
		"flipped bit": func(b []byte) []byte { b[len(b)/2] ^= 0x40; return b },
		"nothing":     func([]byte) []byte { return nil },
	} {
		w.through(func(rw http.ResponseWriter, req *http.Request, next http.Handler) {
			rec := httptest.NewRecorder()
			next.ServeHTTP(rec, req)
			body := rec.Body.Bytes()
			if req.Method == http.MethodPost {
				body = change(body)
			}
			rw.Header().Set("Content-Type", rec.Header().Get("Content-Type"))
			_, _ = rw.Write(body)
		})
		if err := r.FetchRef(t.Context(), ref(1), pull); err == nil || errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.through(nil)
	if err := r.FetchRef(t.Context(), ref(1), pull); err != nil {
		t.Error(err)
	}
	if left := leftovers(t, r.dir); len(left) > 0 || r.Stats().Clones != 1 {
		t.Errorf("left behind: %v, %+v", left, r.Stats())
	}
}
