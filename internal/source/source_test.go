package source

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func begin() map[string]string {
	return map[string]string{"README.md": "hello", "clients/bakery.yaml": "name: bakery", "clients/ab/abshop.yaml": "name: abshop",
		"templates/blog.yaml": "kind: Template", "platform.yaml": "kind: Platform", "other/x.yaml": "x"}
}

// Strays are the YAML files outside of the read area that a range changed: none of a hidden
// folder, no links, nothing of the area itself.
func TestStrays(t *testing.T) {
	w, first := newWorld(t, begin())
	r := open(t, Options{URL: w.url})
	fetch(t, r)
	strays := func(from, head string) []string {
		t.Helper()
		all, err := r.Strays(t.Context(), from, head)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, c := range all {
			what := "changed "
			switch {
			case c.Old == "":
				what = "added "
			case c.New == "":
				what = "removed "
			}
			out = append(out, what+c.Path)
		}
		return out
	}
	if d := cmp.Diff([]string{"added other/x.yaml"}, strays("", first)); d != "" {
		t.Error(d)
	}
	w.commit(t, map[string]string{"other/x.yaml": "", "docs/a.YML": "a", "docs/b.txt": "b", ".github/ci.yaml": "c", "docs/.hidden/d.yaml": "d", "web/node_modules/e.yaml": "e"})
	second := w.commit(t, map[string]string{"root.yaml": "r", "clients/bakery.yaml": "name: bakery # new", "platform.yml": "p", "templates/t.yaml": "t", "a/b/c/d/e/f.yaml": "deep"})
	fetch(t, r)
	if d := cmp.Diff([]string{"added docs/a.YML", "removed other/x.yaml", "added root.yaml"}, strays(first, second)); d != "" {
		t.Error(d)
	}
	if got := strays(second, second); got != nil {
		t.Errorf("a commit differs from itself: %v", got)
	}
	if _, err := r.Strays(t.Context(), strings.Repeat("1", 40), second); !errors.Is(err, ErrNotFound) {
		t.Errorf("from nowhere: %v", err)
	}
}

// Over real HTTP: the first clone, a change, a removal, what lies between.
func TestFollowsABranch(t *testing.T) {
	w, first := newWorld(t, begin())
	r := open(t, Options{URL: w.url})
	if head := fetch(t, r); head != first {
		t.Fatalf("head %s, want %s", head, first)
	}
	want := map[string]string{"clients/bakery.yaml": "name: bakery", "clients/ab/abshop.yaml": "name: abshop", "templates/blog.yaml": "kind: Template", "platform.yaml": "kind: Platform"}
	if d := cmp.Diff(want, content(t, r, first)); d != "" {
		t.Error(d)
	}
	second := w.commit(t, map[string]string{"clients/bakery.yaml": "name: bakery # new", "other/x.yaml": "y"})
	third := w.commit(t, map[string]string{"clients/ab/abshop.yaml": "", "clients/shop.yaml": "name: shop"})
	if head := fetch(t, r); head != third {
		t.Fatalf("head %s, want %s", head, third)
	}
	if d := cmp.Diff(map[string]string{"clients/bakery.yaml": "changed", "clients/ab/abshop.yaml": "removed", "clients/shop.yaml": "added"}, diff(t, r, first, third)); d != "" {
		t.Error(d)
	}
	if got := diff(t, r, third, third); len(got) != 0 {
		t.Errorf("a commit differs from itself: %v", got)
	}
	commits, err := r.Commits(t.Context(), first, third, 100)
	if err != nil || len(commits) != 2 || commits[0].ID != second || commits[1].ID != third || commits[0].Subject != "Change" || commits[0].Author != "demo" {
		t.Errorf("commits %v, %v", commits, err)
	}
	if root, err := r.Root(t.Context(), third); err != nil || root != first {
		t.Errorf("root %s, %v", root, err)
	}
	for from, yes := range map[string]bool{first: true, third: true, strings.Repeat("1", 40): false, "": false} {
		if got, err := r.Descends(t.Context(), third, from); err != nil || got != yes {
			t.Errorf("descends from %q: %v, %v", from, got, err)
		}
	}
	if got, err := r.Descends(t.Context(), first, third); err != nil || got {
		t.Errorf("the first commit descends from the third: %v, %v", got, err)
	}
	if _, err := r.Diff(t.Context(), strings.Repeat("1", 40), third); !errors.Is(err, ErrNotFound) {
		t.Errorf("diff from nowhere: %v", err)
	}
}

// P11: an unchanged branch costs one request and no write.
func TestP11PollIsOneRequest(t *testing.T) {
	w, _ := newWorld(t, begin())
	r := open(t, Options{URL: w.url})
	head := fetch(t, r)
	before, tree := w.requests.Load(), listing(t, r.dir)
	for range 3 {
		if got, err := r.Poll(t.Context()); err != nil || got != head {
			t.Fatal(got, err)
		}
	}
	if n := w.requests.Load() - before; n != 3 {
		t.Errorf("3 polls made %d requests", n)
	}
	if err := r.Fetch(t.Context(), head); err != nil || w.requests.Load()-before != 3 {
		t.Errorf("to fetch what is here asked the server: %v", err)
	}
	if d := cmp.Diff(tree, listing(t, r.dir)); d != "" {
		t.Error("the disk changed: " + d)
	}
	if n := r.Stats().Objects; n > 30 {
		t.Errorf("%d objects were read", n)
	}
}

func listing(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.Walk(dir, func(p string, fi os.FileInfo, err error) error {
		if err == nil {
			out[p] = fmt.Sprint(fi.Size(), fi.ModTime())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// P11: one changed file among 10,000 costs a fetch and the folders on its way.
func TestP11OneFileAmongTenThousand(t *testing.T) {
	dir := t.TempDir()
	run(t, dir, "init", "-q", "--bare", "-b", "main")
	var in strings.Builder
	who := "committer Ada <ada@people.example> 1767323045 +0000\n"
	fmt.Fprintf(&in, "commit refs/heads/main\n%sdata 5\nbegin\n", who)
	for i := range 10_000 {
		text := fmt.Sprintf("name: c%05d", i)
		fmt.Fprintf(&in, "M 100644 inline clients/%02x/c%05d.yaml\ndata %d\n%s\n", i%256, i, len(text), text)
	}
	feed(t, dir, in.String())
	r := open(t, Options{URL: dir})
	first := fetch(t, r)
	feed(t, dir, "commit refs/heads/main\n"+who+"data 6\nchange\nfrom refs/heads/main^0\nM 100644 inline clients/07/c00007.yaml\ndata 3\nnew\n")
	before := r.Stats()
	second := fetch(t, r)
	if got := diff(t, r, first, second); len(got) != 1 || got["clients/07/c00007.yaml"] != "changed" {
		t.Errorf("diff %v", got)
	}
	if yes, err := r.Any(t.Context(), second, func(p string) bool { return strings.HasPrefix(p, "clients/") }); err != nil || !yes {
		t.Error(yes, err)
	}
	after := r.Stats()
	if n := after.Objects - before.Objects; n > 40 {
		t.Errorf("%d objects were read for one changed file", n)
	}
	if after.Fetches-before.Fetches != 1 || after.Clones != 1 {
		t.Errorf("stats %+v", after)
	}
	if got, err := r.Files(t.Context(), second); err != nil || len(got) != 10_000 {
		t.Errorf("%d files, %v", len(got), err)
	}
}

// The real git pushes, merges and rewrites over HTTP (S38: history rewritten).
func TestS38ForcePush(t *testing.T) {
	w, first := newWorld(t, begin())
	r := open(t, Options{URL: w.url})
	fetch(t, r)
	clone := filepath.Join(t.TempDir(), "clone")
	run(t, "/", "clone", "-q", w.url, clone)
	run(t, clone, "checkout", "-q", "-b", "topic")
	side := save(t, clone, map[string]string{"clients/side.yaml": "name: side"})
	run(t, clone, "checkout", "-q", "main")
	mine := save(t, clone, map[string]string{"clients/main.yaml": "name: main"})
	run(t, clone, "merge", "-q", "--no-ff", "-m", "merge topic", "topic")
	merge := run(t, clone, "rev-parse", "HEAD")
	run(t, clone, "push", "-q", "origin", "main")
	if got := fetch(t, r); got != merge {
		t.Fatal(got)
	}
	commits, err := r.Commits(t.Context(), first, merge, 10)
	ids := []string{}
	for _, c := range commits {
		ids = append(ids, c.ID)
	}
	if err != nil || len(ids) != 3 || ids[2] != merge || !slices.Contains(ids, side) || !slices.Contains(ids, mine) {
		t.Errorf("commits %v, %v", ids, err)
	}
	if commits[2].Subject != "merge topic" || commits[2].Author != "Ada" {
		t.Errorf("commit %+v", commits[2])
	}
	if got, err := r.Commits(t.Context(), "", merge, 2); err != nil || len(got) != 2 || got[1].ID != merge {
		t.Errorf("the newest two: %v, %v", got, err)
	}

	run(t, clone, "reset", "-q", "--hard", first)
	other := save(t, clone, map[string]string{"clients/bakery.yaml": ""})
	run(t, clone, "push", "-q", "-f", "origin", "main")
	if got := fetch(t, r); got != other {
		t.Fatal(got)
	}
	if yes, err := r.Descends(t.Context(), other, merge); err != nil || yes {
		t.Errorf("the rewritten head descends: %v, %v", yes, err)
	}
	want := map[string]string{"clients/bakery.yaml": "removed", "clients/main.yaml": "removed", "clients/side.yaml": "removed"}
	if d := cmp.Diff(want, diff(t, r, merge, other)); d != "" {
		t.Error("the old head can't be compared with: " + d)
	}
	if root, err := r.Root(t.Context(), other); err != nil || root != first {
		t.Errorf("root %s, %v", root, err)
	}
	// Back to an old commit: nothing to transfer, and no shallow trouble.
	run(t, clone, "push", "-q", "-f", "origin", first+":main")
	if got := fetch(t, r); got != first {
		t.Fatal(got)
	}
	// A commit that the branch has left and that was never here.
	run(t, clone, "reset", "-q", "--hard", first)
	lost := save(t, clone, map[string]string{"clients/lost.yaml": "name: lost"})
	if err := r.Fetch(t.Context(), lost); !errors.Is(err, ErrNotFound) {
		t.Errorf("fetch of a lost commit: %v", err)
	}
}

// P5: an emptied repository, a deleted branch and a missing repository are errors.
func TestP5AbsenceIsAnError(t *testing.T) {
	w, first := newWorld(t, begin())
	r := open(t, Options{URL: w.url})
	fetch(t, r)
	bare := filepath.Join(w.dir, "clients.git")
	run(t, bare, "update-ref", "refs/heads/kept", first)
	run(t, bare, "update-ref", "-d", "refs/heads/main")
	if _, err := r.Poll(t.Context()); !errors.Is(err, ErrNoBranch) {
		t.Errorf("deleted branch: %v", err)
	}
	if err := r.Fetch(t.Context(), strings.Repeat("2", 40)); !errors.Is(err, ErrNoBranch) {
		t.Errorf("fetch of a deleted branch: %v", err)
	}
	run(t, bare, "update-ref", "-d", "refs/heads/kept")
	if _, err := r.Poll(t.Context()); !errors.Is(err, ErrEmpty) {
		t.Errorf("emptied repository: %v", err)
	}
	if _, err := r.Poll(ended(t)); err == nil {
		t.Error("an ended context polls")
	}
	if got := content(t, r, first); len(got) != 4 {
		t.Errorf("the mirror lost what it had: %v", got)
	}
	if err := os.RemoveAll(bare); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Poll(t.Context()); !errors.Is(err, ErrNoRepository) {
		t.Errorf("missing repository: %v", err)
	}
	empty := t.TempDir()
	run(t, empty, "init", "-q", "--bare", "-b", "main")
	for url, want := range map[string]error{empty: ErrEmpty, "file://" + empty: ErrEmpty, t.TempDir(): ErrNoRepository, "/nowhere/at/all": ErrNoRepository} {
		if _, err := open(t, Options{URL: url}).Poll(t.Context()); !errors.Is(err, want) {
			t.Errorf("%s: %v", url, err)
		}
	}
	// An emptied tree is a commit like others: a diff of removals, and no manifest.
	dir := work(t, map[string]string{"clients/a.yaml": "name: a"})
	l := open(t, Options{URL: dir})
	old := fetch(t, l)
	now := save(t, dir, map[string]string{"clients": ""})
	fetch(t, l)
	if got := diff(t, l, old, now); got["clients/a.yaml"] != "removed" {
		t.Errorf("emptied tree: %v", got)
	}
	if any, err := l.Any(t.Context(), now, func(string) bool { return true }); err != nil || any {
		t.Errorf("an empty tree has a file: %v, %v", any, err)
	}
}

func TestConcurrentUse(t *testing.T) {
	w, first := newWorld(t, begin())
	r := open(t, Options{URL: w.url})
	fetch(t, r)
	second := w.commit(t, map[string]string{"clients/new.yaml": "name: new"})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			head, err := r.Poll(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			if err := r.Fetch(t.Context(), head); err != nil {
				t.Error(err)
			}
			changes, err := r.Diff(t.Context(), first, second)
			if err != nil || len(changes) != 1 {
				t.Error(changes, err)
				return
			}
			if b, err := r.Blob(t.Context(), changes[0].New); err != nil || string(b) != "name: new" {
				t.Error(string(b), err)
			}
		})
	}
	wg.Wait()
	if n := r.Stats().Fetches; n != 2 {
		t.Errorf("%d fetches", n)
	}
}

func TestResolve(t *testing.T) {
	dir := work(t, map[string]string{"clients/a.yaml": "name: a"})
	r := open(t, Options{URL: dir})
	first := run(t, dir, "rev-parse", "HEAD")
	run(t, dir, "tag", "light")
	run(t, dir, "tag", "-a", "-m", "heavy", "v1.0")
	second := save(t, dir, map[string]string{"clients/b.yaml": "name: b"})
	run(t, dir, "checkout", "-q", "-b", "topic")
	save(t, dir, map[string]string{"clients/c.yaml": "name: c"})
	run(t, dir, "tag", "elsewhere")
	if _, err := r.Resolve(t.Context(), "main"); !errors.Is(err, ErrNotFound) {
		t.Errorf("before the first fetch: %v", err)
	}
	fetch(t, r)
	for rev, want := range map[string]string{"main": second, "HEAD": second, first: first, first[:7]: first, second[:12]: second, "light": first, "v1.0": first} {
		if got, err := r.Resolve(t.Context(), rev); err != nil || got != want {
			t.Errorf("%s: %s, %v", rev, got, err)
		}
	}
	for _, rev := range []string{"topic", "elsewhere", "nothing", "", "-x", "a b", "..", strings.Repeat("a", 40), "zz\x00", strings.Repeat("a", 5000)} {
		if got, err := r.Resolve(t.Context(), rev); !errors.Is(err, ErrNotFound) {
			t.Errorf("%.20q: %s, %v", rev, got, err)
		}
	}
}

func TestRedirects(t *testing.T) {
	w, _ := newWorld(t, begin())
	other, _ := newWorld(t, begin())
	w.through(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.HasPrefix(r.URL.Path, "/clients.git/") {
			http.Redirect(rw, r, other.url+"/info/refs?service=git-upload-pack", http.StatusMovedPermanently)
			return
		}
		next.ServeHTTP(rw, r)
	})
	r := open(t, Options{URL: strings.Replace(w.url, "://", "://ops:hunter22@", 1)})
	if _, err := r.Poll(t.Context()); !errors.Is(err, ErrMoved) || strings.Contains(err.Error(), "hunter22") {
		t.Errorf("to another host: %v", err)
	}
	if n := other.requests.Load(); n != 0 {
		t.Errorf("%d requests reached the other host", n)
	}
	w.through(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.HasPrefix(r.URL.Path, "/old.git/") {
			http.Redirect(rw, r, "/clients.git/info/refs?service=git-upload-pack", http.StatusMovedPermanently)
			return
		}
		next.ServeHTTP(rw, r)
	})
	same := open(t, Options{URL: strings.Replace(w.url, "clients", "old", 1)})
	if got := content(t, same, fetch(t, same)); len(got) != 4 {
		t.Errorf("on the same host: %v", got)
	}
}

// Ancestors go along first parents: what was only on a side branch was never the branch's.
func TestAncestors(t *testing.T) {
	w, first := newWorld(t, begin())
	second := w.commit(t, map[string]string{"README.md": "two"})
	third := w.commit(t, map[string]string{"README.md": "three"})
	r := open(t, Options{URL: w.url})
	fetch(t, r)
	all, err := r.Ancestors(t.Context(), third, 100)
	if err != nil || len(all) < 3 || all[0] != third || all[1] != second || !slices.Contains(all, first) {
		t.Errorf("%v %v", all, err)
	}
	if two, err := r.Ancestors(t.Context(), third, 2); err != nil || len(two) != 2 {
		t.Errorf("%v %v", two, err)
	}
	if _, err := r.Ancestors(t.Context(), strings.Repeat("1", 40), 2); !errors.Is(err, ErrNotFound) {
		t.Errorf("of nothing: %v", err)
	}
}

// A look at a branch needs no mirror and makes none; what is wrong is told as by Poll.
func TestTip(t *testing.T) {
	w, head := newWorld(t, begin())
	url := w.url
	dir := t.TempDir() + "/mirror"
	if got, err := Tip(t.Context(), Options{URL: url, Branch: "main", Dir: dir}); err != nil || got != head {
		t.Errorf("%s, %v; want %s", got, err, head)
	}
	for name, c := range map[string]struct {
		o  Options
		is error
	}{
		"no branch":     {Options{URL: url, Branch: "trunk", Dir: dir}, ErrNoBranch},
		"no repository": {Options{URL: url[:strings.LastIndexByte(url, '/')] + "/nothing.git", Branch: "main", Dir: dir}, ErrNoRepository},
		"no name":       {Options{URL: url, Dir: dir}, nil},
		"no address":    {Options{URL: "ftp://x", Branch: "main", Dir: dir}, nil},
		"nobody":        {Options{URL: "http://127.0.0.1:1/x.git", Branch: "main", Dir: dir}, nil},
		"no roots":      {Options{URL: url, Branch: "main", CAFile: dir, Dir: dir}, nil},
	} {
		if _, err := Tip(t.Context(), c.o); err == nil || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a folder was made")
	}
}
