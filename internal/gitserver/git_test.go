package gitserver

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestCloneCommitPushFetch(t *testing.T) {
	w := newWorld(t)
	first := w.create(t, "clients", map[string]string{"clients/a.yaml": "a\n", "clients/ab/b.yaml": "b\n", "platform.yaml": "p\n"})
	dir := w.clone(t, "clients")
	if got := run(t, dir, "rev-parse", "HEAD"); got != first {
		t.Fatalf("cloned %s, want %s", got, first)
	}
	if got := run(t, dir, "log", "-1", "--format=%an %ae %aI %s"); got != "demo demo@reconciler.example 2026-01-02T03:04:05+00:00 begin" && got != "demo demo@reconciler.example 2026-01-02T03:04:05Z begin" {
		t.Fatal(got)
	}
	second := commit(t, dir, "clients/a.yaml", strings.Repeat("line\n", 1000)+"a2\n")
	run(t, dir, "push", "-q", "origin", "HEAD:main")
	if w.head(t, "clients") != second {
		t.Fatal("the push did not move the branch")
	}
	third, err := w.Commit("clients", map[string]*string{"clients/ab/b.yaml": nil, "clients/c.yaml": text("c\n")}, "by the server")
	if err != nil {
		t.Fatal(err)
	}
	run(t, dir, "pull", "-q", "--ff-only")
	if run(t, dir, "rev-parse", "HEAD") != third || read(t, dir, "clients/c.yaml") != "c\n" {
		t.Fatal("the pull did not bring the server's commit")
	}
	if _, err := os.Stat(filepath.Join(dir, "clients/ab")); !os.IsNotExist(err) {
		t.Fatal("the deleted file's folder is still there")
	}
	// A small change of a big file: git sends a thin pack.
	fourth := commit(t, dir, "clients/a.yaml", strings.Repeat("line\n", 1000)+"a3\n")
	run(t, dir, "push", "-q")
	want := []string{"clients main " + second, "clients main " + third, "clients main " + fourth}
	if got := w.pushed(); !slices.Equal(got, want) {
		t.Fatalf("OnPush said %q, want %q", got, want)
	}
	fresh := w.clone(t, "clients")
	if run(t, fresh, "rev-parse", "HEAD") != fourth || !strings.HasSuffix(read(t, fresh, "clients/a.yaml"), "a3\n") {
		t.Fatal("a new clone has something else")
	}
	run(t, fresh, "fsck", "--strict")
	run(t, w.path("clients"), "fsck", "--strict")
}

func TestBranchesAndTags(t *testing.T) {
	w := newWorld(t)
	w.create(t, "clients", map[string]string{"a": "1"})
	dir := w.clone(t, "clients")
	run(t, dir, "checkout", "-q", "-b", "feature/one")
	c := commit(t, dir, "b", "2")
	run(t, dir, "tag", "-m", "first", "v1")
	run(t, dir, "push", "-q", "origin", "feature/one", "v1")
	if got := run(t, dir, "ls-remote", "origin", "refs/heads/feature/one"); !strings.HasPrefix(got, c) {
		t.Fatal(got)
	}
	other := w.clone(t, "clients")
	if run(t, other, "rev-parse", "origin/feature/one", "v1^{commit}") != c+"\n"+c {
		t.Fatal("the clone lacks the branch or the tag")
	}
	if out, err := try(t, dir, "push", "origin", "HEAD:refs/heads/feature"); err == nil {
		t.Fatalf("a branch in place of a folder: %s", out)
	}
	run(t, dir, "push", "-q", "origin", ":feature/one")
	if got := run(t, dir, "ls-remote", "--heads", "origin"); strings.Contains(got, "feature") {
		t.Fatal(got)
	}
	if out, err := try(t, dir, "push", "origin", ":main"); err == nil || !strings.Contains(out, "cannot be deleted") {
		t.Fatalf("deleting main: %v %s", err, out)
	}
	if got := w.pushed(); !slices.Equal(got, []string{"clients feature/one " + c, "clients feature/one "}) {
		t.Fatalf("%q", got)
	}
}

func TestForcePush(t *testing.T) {
	w := newWorld(t)
	w.create(t, "clients", map[string]string{"a": "1"})
	one, two := w.clone(t, "clients"), w.clone(t, "clients")
	commit(t, one, "a", "one")
	run(t, one, "push", "-q")
	c := commit(t, two, "a", "two")
	if out, err := try(t, two, "push"); err == nil {
		t.Fatalf("pushed over another's commit: %s", out)
	}
	run(t, two, "push", "-q", "--force")
	if w.head(t, "clients") != c {
		t.Fatal("the forced push did not move the branch")
	}
	run(t, one, "fetch", "-q")
	if run(t, one, "rev-parse", "origin/main") != c {
		t.Fatal("the other clone did not see it")
	}
	if out, err := try(t, one, "push", "--force-with-lease=main:"+strings.Repeat("1", 40), "origin", "HEAD:main"); err == nil {
		t.Fatalf("pushed with a false lease: %s", out)
	}
}

func TestEmptyRepository(t *testing.T) {
	w := newWorld(t)
	if c := w.create(t, "empty", nil); c != "" {
		t.Fatal(c)
	}
	dir := w.clone(t, "empty")
	run(t, dir, "checkout", "-q", "-B", "main")
	c := commit(t, dir, "a", "1")
	run(t, dir, "push", "-q", "-u", "origin", "main")
	if w.head(t, "empty") != c {
		t.Fatal("the first push is not there")
	}
}

func TestBigPushIsProbedAndChunked(t *testing.T) {
	w := newWorld(t)
	w.create(t, "clients", map[string]string{"a": "1"})
	dir := w.clone(t, "clients")
	var b strings.Builder
	for i := range 200_000 {
		fmt.Fprintf(&b, "%d %x\n", i, i*2654435761)
	}
	c := commit(t, dir, "big", b.String())
	run(t, dir, "-c", "http.postBuffer=4096", "push", "-q")
	if w.head(t, "clients") != c {
		t.Fatal("the big push is not there")
	}
	// Many haves make git compress its request.
	for i := range 60 {
		run(t, dir, "commit", "-q", "--allow-empty", "-m", fmt.Sprint(i))
	}
	if _, err := w.Commit("clients", map[string]*string{"a": text("2")}, "s"); err != nil {
		t.Fatal(err)
	}
	run(t, dir, "fetch", "-q")
	if run(t, dir, "rev-parse", "origin/main") != w.head(t, "clients") {
		t.Fatal("not fetched")
	}
}

func TestConcurrentPushes(t *testing.T) {
	w := newWorld(t)
	w.create(t, "clients", map[string]string{"a": "1"})
	const n = 6
	var wg sync.WaitGroup
	var dirs [n]string
	for i := range n {
		dirs[i] = w.clone(t, "clients")
		commit(t, dirs[i], fmt.Sprintf("f%d", i), "x")
	}
	won := make([]bool, n)
	for i := range n {
		wg.Add(1)
		go func() {
			defer wg.Done()
			_, err := try(t, dirs[i], "push", "origin", "HEAD:main", fmt.Sprintf("HEAD:refs/heads/own-%d", i))
			won[i] = err == nil
			if err != nil {
				_, _ = try(t, dirs[i], "push", "origin", fmt.Sprintf("HEAD:refs/heads/own-%d", i))
			}
		}()
	}
	wg.Wait()
	winners := 0
	for i, ok := range won {
		if ok {
			winners++
			if run(t, dirs[i], "rev-parse", "HEAD") != w.head(t, "clients") {
				t.Fatal("one who was told yes is not at the tip")
			}
		}
	}
	if winners != 1 {
		t.Fatalf("%d pushes won the same branch", winners)
	}
	if got := len(strings.Split(run(t, dirs[0], "ls-remote", "--heads", "origin"), "\n")); got != n+1 {
		t.Fatalf("%d branches, want %d", got, n+1)
	}
	run(t, w.path("clients"), "fsck", "--strict")
}
