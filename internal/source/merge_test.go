package source

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fork is a repository with a branch, and what a pull request and the branch made of it.
type fork struct {
	dir              string
	from, base, head string
	r                *Repository
}

func forked(t *testing.T, from, base, head map[string]string) fork {
	t.Helper()
	f := fork{dir: work(t, from)}
	f.from = run(t, f.dir, "rev-parse", "HEAD")
	f.head = pullOf(t, f.dir, 1, f.from, head)
	f.base = commitOn(t, f.dir, base, f.from)
	run(t, f.dir, "update-ref", "refs/heads/main", f.base)
	f.r = open(t, Options{URL: f.dir})
	fetch(t, f.r)
	if err := f.r.FetchRef(t.Context(), ref(1), f.head); err != nil {
		t.Fatal(err)
	}
	return f
}

// after is what the area holds after a merge: the base's files and what changed.
func after(t *testing.T, r *Repository, base string, m Merged) map[string]string {
	t.Helper()
	out := content(t, r, base)
	for _, c := range m.Changes {
		delete(out, c.Path)
	}
	for _, f := range m.Files {
		if slices.ContainsFunc(m.Strays, func(c Change) bool { return c.Path == f.Path }) {
			continue
		}
		kind, _, _ := strings.Cut(f.Blob, ":")
		switch {
		case !f.Regular:
			out[f.Path] = kind
		case f.Data != nil:
			out[f.Path] = string(f.Data)
		default:
			data, err := r.Blob(t.Context(), f.Blob)
			if err != nil {
				t.Fatal(err)
			}
			out[f.Path] = string(data)
		}
	}
	return out
}

// S04: the branch is 30 commits behind and the base has since added DNS to demoshop: the
// merge result has both.
func TestS04MergeResult(t *testing.T) {
	demoshop := func(plan, dns string) string {
		return "apiVersion: reconciler/v1\nkind: Client\nname: demoshop\nplan: " + plan + "\ntemplate: ecommerce\ncontact:\n  email: owner@demoshop.example\n" + dns
	}
	f := forked(t, map[string]string{"clients/demoshop.yaml": demoshop("starter", ""), "clients/bakery.yaml": "name: bakery"}, nil,
		map[string]string{"clients/demoshop.yaml": demoshop("professional", ""), "clients/bakery.yaml": "name: bakery # by the pull request"})
	base := f.base
	for i := range 28 {
		base = commitOn(t, f.dir, map[string]string{"clients/other.yaml": fmt.Sprint("name: other # ", i)}, base)
	}
	base = commitOn(t, f.dir, map[string]string{"clients/demoshop.yaml": demoshop("starter", "dns:\n  records:\n    - {type: CNAME, name: shop}\n")}, base)
	run(t, f.dir, "update-ref", "refs/heads/main", base)
	fetch(t, f.r)
	m, err := f.r.Merge(t.Context(), base, f.head)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"clients/demoshop.yaml": demoshop("professional", "dns:\n  records:\n    - {type: CNAME, name: shop}\n"), "clients/bakery.yaml": "name: bakery # by the pull request", "clients/other.yaml": "name: other # 27"}
	if d := cmp.Diff(want, after(t, f.r, base, m)); d != "" {
		t.Error(d)
	}
	if m.Behind != 30 || m.Base != f.from || len(m.Changes) != 2 || len(m.Conflicts) > 0 {
		t.Errorf("%+v", m)
	}
	// What it is called is what Git would call it.
	if got := pipe(t, f.dir, want["clients/demoshop.yaml"], "hash-object", "--stdin"); m.Changes[1].New != got || m.Files[1].Blob != got {
		t.Errorf("%+v, git says %s", m.Changes[1], got)
	}
}

func TestMergeSides(t *testing.T) {
	from := map[string]string{"README.md": "hello", "clients/a.yaml": "a\n", "clients/b.yaml": "b\n", "clients/c.yaml": "c\n", "clients/dir/d.yaml": "d\n", "clients/dir/e.yaml": "e\n",
		"templates/t.yaml": "t\n", "platform.yaml": "p\n", "other/stray.yaml": "s\n"}
	f := forked(t, from,
		map[string]string{"README.md": "hello, you", "clients/a.yaml": "a of the base\n", "clients/b.yaml": "b of both\n", "clients/c.yaml": "", "clients/dir/d.yaml": "d of the base\n", "clients/new.yaml": "new of the base\n", "templates/t.yaml": "t of the base\n"},
		map[string]string{"README.md": "hello, all", "clients/b.yaml": "b of both\n", "clients/c.yaml": "c of the head\n", "clients/dir/d.yaml": "d of the head\n", "clients/dir/e.yaml": "", "clients/new.yaml": "new of the head\n",
			"clients/x/y.yaml": "y\n", "platform.yaml": "p of the head\n", "other/stray.yaml": "", "more/stray.yaml": "m\n"})
	m, err := f.r.Merge(t.Context(), f.base, f.head)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"clients/c.yaml", "clients/dir/d.yaml", "clients/new.yaml"}, m.Conflicts); d != "" {
		t.Error(d)
	}
	id := func(text string) string { return pipe(t, f.dir, text, "hash-object", "--stdin") }
	want := Merged{Base: f.from, Behind: 1, Conflicts: m.Conflicts,
		Changes: []Change{{"clients/dir/e.yaml", id("e\n"), ""}, {"clients/x/y.yaml", "", id("y\n")}, {"platform.yaml", id("p\n"), id("p of the head\n")}},
		Strays:  []Change{{"more/stray.yaml", "", id("m\n")}, {"other/stray.yaml", id("s\n"), ""}},
		Files:   []MergedFile{{"clients/x/y.yaml", id("y\n"), nil, true}, {"platform.yaml", id("p of the head\n"), nil, true}, {"more/stray.yaml", id("m\n"), nil, true}},
	}
	if d := cmp.Diff(want, m); d != "" {
		t.Error(d)
	}
	// The other way round the conflicts are the same.
	back, err := f.r.Merge(t.Context(), f.head, f.base)
	if err != nil || !slices.Equal(back.Conflicts, m.Conflicts) {
		t.Errorf("%+v %v", back, err)
	}
	// Nothing to merge, and nothing but to take over.
	if m, err := f.r.Merge(t.Context(), f.head, f.from); err != nil || len(m.Changes)+len(m.Files)+len(m.Strays)+len(m.Conflicts) > 0 || m.Base != f.from || m.Behind != 1 {
		t.Errorf("%+v %v", m, err)
	}
	all, err := f.r.Diff(t.Context(), f.from, f.head)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := f.r.Merge(t.Context(), f.from, f.head); err != nil || m.Behind != 0 || !cmp.Equal(m.Changes, all) {
		t.Errorf("%+v %v", m, err)
	}
	for _, c := range [][2]string{{f.base, strings.Repeat("1", 40)}, {strings.Repeat("1", 40), f.head}, {"main", f.head}, {f.base, ""}} {
		if _, err := f.r.Merge(t.Context(), c[0], c[1]); !errors.Is(err, ErrNotFound) {
			t.Errorf("%v: %v", c, err)
		}
	}
	if _, err := f.r.Merge(ended(t), f.base, f.head); err == nil {
		t.Error("merged after its end")
	}
}

// A file in the place of a folder, links, modules and executables.
func TestMergeOfOddEntries(t *testing.T) {
	f := forked(t, map[string]string{"clients/a.yaml": "a\nb\nc\n", "clients/dir/d.yaml": "d\n", "clients/keep.yaml": "k\n"},
		map[string]string{"clients/taken/x.yaml": "x\n", "clients/a.yaml": "A\nb\nc\n"}, map[string]string{"clients/taken": "a file"})
	m, err := f.r.Merge(t.Context(), f.base, f.head)
	if err != nil || !slices.Equal(m.Conflicts, []string{"clients/taken"}) {
		t.Errorf("a file where a folder is: %+v %v", m, err)
	}
	index := func(parent string, lines ...string) string {
		t.Helper()
		run(t, f.dir, "read-tree", parent)
		for _, line := range lines {
			if path, gone := strings.CutPrefix(line, "-"); gone {
				run(t, f.dir, "rm", "-q", "-r", "--cached", path)
				continue
			}
			run(t, f.dir, "update-index", "--add", "--cacheinfo", line)
		}
		return run(t, f.dir, "commit-tree", run(t, f.dir, "write-tree"), "-p", parent, "-m", "odd")
	}
	blob := pipe(t, f.dir, "a\nb\nC\n", "hash-object", "-w", "--stdin")
	merge := func(head string) Merged {
		t.Helper()
		run(t, f.dir, "update-ref", "refs/pull/1/head", head)
		if err := f.r.FetchRef(t.Context(), ref(1), head); err != nil {
			t.Fatal(err)
		}
		m, err := f.r.Merge(t.Context(), f.base, head)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	// An executable with other lines: both count, and it is not read.
	m = merge(index(f.from, "100755,"+blob+",clients/a.yaml"))
	if len(m.Conflicts) > 0 || len(m.Files) != 1 || m.Files[0].Regular || string(m.Files[0].Data) != "A\nb\nC\n" || !strings.HasPrefix(m.Changes[0].New, "executable:") {
		t.Errorf("%+v", m)
	}
	// A link instead of a file that the base changed; one instead of a folder takes no file away.
	if m = merge(index(f.from, "120000,"+blob+",clients/a.yaml")); !slices.Equal(m.Conflicts, []string{"clients/a.yaml"}) {
		t.Errorf("%+v", m)
	}
	m = merge(index(f.from, "-clients/dir", "120000,"+blob+",clients/dir"))
	if len(m.Conflicts) > 0 || len(m.Changes) != 2 || m.Changes[1].Path != "clients/dir/d.yaml" || !strings.HasPrefix(m.Changes[1].New, "link:") {
		t.Errorf("%+v", m)
	}
	// The clients folder as a link is an error, and of that pull request alone.
	link := index(f.from, "-clients", "120000,"+blob+",clients")
	run(t, f.dir, "update-ref", "refs/pull/2/head", link)
	if err := f.r.FetchRef(t.Context(), ref(2), link); err != nil {
		t.Fatal(err)
	}
	if _, err := f.r.Merge(t.Context(), f.base, link); !errors.Is(err, ErrNoFolder) {
		t.Error(err)
	}
	if got := fetch(t, f.r); got != f.base {
		t.Error(got)
	}
}

// P11: merging one changed file into 10,000 reads a handful of objects.
func TestP11MergeReadsWhatDiffers(t *testing.T) {
	dir := t.TempDir()
	run(t, dir, "init", "-q", "-b", "main")
	var in strings.Builder
	commit := func(ref, from string, files ...int) {
		fmt.Fprintf(&in, "commit %s\ncommitter Ada <ada@people.example> 1767323045 +0000\ndata 1\nx\n%s", ref, from)
		for _, i := range files {
			text := "of " + ref + "\n"
			fmt.Fprintf(&in, "M 100644 inline clients/%02d/c%d.yaml\ndata %d\n%s\n", i%100, i, len(text), text)
		}
	}
	all := make([]int, 10_000)
	for i := range all {
		all[i] = i
	}
	commit("refs/heads/fork", "", all...)
	commit("refs/heads/main", "from refs/heads/fork\n", 1)
	commit("refs/pull/1/head", "from refs/heads/fork\n", 2)
	feed(t, dir, in.String())
	r := open(t, Options{URL: dir})
	base, head := fetch(t, r), run(t, dir, "rev-parse", ref(1))
	if err := r.FetchRef(t.Context(), ref(1), head); err != nil {
		t.Fatal(err)
	}
	before := r.Stats().Objects
	m, err := r.Merge(t.Context(), base, head)
	if err != nil || len(m.Changes) != 1 || len(m.Conflicts) > 0 {
		t.Fatalf("%+v %v", m, err)
	}
	// Commits and root folders of the three, twice; their clients folders; the one folder that differs.
	if n := r.Stats().Objects - before; n > 25 {
		t.Errorf("it read %d objects", n)
	}
	before = r.Stats().Objects
	if _, err := r.Touched(t.Context(), head); err != nil || r.Stats().Objects-before > 25 {
		t.Error(r.Stats().Objects-before, err)
	}
}

// Whatever the two sides did, the outcome is what git says, but for what git takes for
// renamed: no file here looks like another one.
func TestMergeAsGitDoes(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 3))
	names := []string{"clients/a.yaml", "clients/b.yaml", "clients/c/d.yaml", "clients/c/e.yaml", "clients/c", "clients/b.yaml/x.yaml", "templates/t.yaml", "platform.yaml", "clients/f/g/h.yaml"}
	text := func(path string, changed map[int]string) string {
		var b strings.Builder
		for i := range 8 {
			if s, ok := changed[i]; ok {
				b.WriteString(s)
				continue
			}
			fmt.Fprintf(&b, "line %d of %s\n", i, path)
		}
		return b.String()
	}
	free := func(files map[string]string, path string) bool {
		for p := range files {
			if strings.HasPrefix(p, path+"/") || strings.HasPrefix(path, p+"/") {
				return false
			}
		}
		return true
	}
	side := func(from map[string]string, mark string) (whole, changes map[string]string) {
		whole, changes = maps.Clone(from), map[string]string{}
		for range rnd.IntN(5) {
			path := names[rnd.IntN(len(names))]
			_, there := whole[path]
			if rnd.IntN(3) == 0 && there {
				delete(whole, path)
				changes[path] = ""
			} else if free(whole, path) {
				whole[path] = text(path, map[int]string{rnd.IntN(8): []string{"changed by " + mark + "\n", "changed by both\n", ""}[rnd.IntN(3)]})
				changes[path] = whole[path]
			}
		}
		return whole, changes
	}
	conflicts := 0
	const runs = 15
	dir := t.TempDir()
	run(t, dir, "init", "-q", "-b", "main")
	r := open(t, Options{URL: dir})
	for n := 1; n <= runs; n++ {
		first := map[string]string{"clients/z.yaml": fmt.Sprint(n)}
		for _, path := range names {
			if rnd.IntN(2) == 0 && free(first, path) {
				first[path] = text(path, nil)
			}
		}
		stream := func(name string, from string, files map[string]string) string {
			var in strings.Builder
			fmt.Fprintf(&in, "commit refs/heads/%s\ncommitter Ada <ada@people.example> %d +0000\ndata 1\nx\n", name, 1767323045+n)
			if from != "" {
				fmt.Fprintf(&in, "from %s\n", from)
			}
			in.WriteString("deleteall\n")
			for _, path := range slices.Sorted(maps.Keys(files)) {
				fmt.Fprintf(&in, "M 100644 inline %s\ndata %d\n%s\n", path, len(files[path]), files[path])
			}
			feed(t, dir, in.String())
			return run(t, dir, "rev-parse", "refs/heads/"+name)
		}
		fork := stream(fmt.Sprint("fork", n), "", first)
		ours, _ := side(first, "the base")
		theirs, _ := side(first, "the head")
		switch n { // one that has conflicts, and one that has none, whatever is drawn
		case 1:
			ours["clients/z.yaml"], theirs["clients/z.yaml"] = "changed by the base\n", "changed by the head\n"
		case 2:
			theirs = first
		}
		base, head := stream("main", fork, ours), stream(fmt.Sprint("pull", n), fork, theirs)
		fetch(t, r)
		if err := r.FetchRef(t.Context(), fmt.Sprint("refs/heads/pull", n), head); err != nil {
			t.Fatal(err)
		}
		m, err := r.Merge(t.Context(), base, head)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("git", "merge-tree", "--write-tree", "--name-only", "--no-messages", base, head)
		cmd.Dir = dir
		out, err := cmd.Output()
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		var exit *exec.ExitError
		if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
			t.Fatal(err)
		}
		if clean := err == nil; clean != (len(m.Conflicts) == 0) {
			t.Errorf("conflicts %v, git says %v", m.Conflicts, lines)
			continue
		} else if !clean {
			conflicts++
			continue
		}
		if d := cmp.Diff(treeOf(t, dir, lines[0]), ids(t, r, base, m)); d != "" {
			t.Error(d)
		}
	}
	if conflicts == 0 || conflicts == runs {
		t.Errorf("%d of %d have conflicts", conflicts, runs)
	}
}

// treeOf is what git says that a tree holds: blobs by path.
func treeOf(t *testing.T, dir, tree string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, line := range strings.Split(run(t, dir, "ls-tree", "-r", tree), "\n") {
		if meta, path, ok := strings.Cut(line, "\t"); ok {
			out[path] = strings.Fields(meta)[2]
		}
	}
	return out
}

// ids are the blobs after a merge, as git names them.
func ids(t *testing.T, r *Repository, base string, m Merged) map[string]string {
	t.Helper()
	files, err := r.Files(t.Context(), base)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, f := range files {
		out[f.Path] = f.Blob
	}
	for _, c := range m.Changes {
		if out[c.Path] = c.New; c.New == "" {
			delete(out, c.Path)
		}
	}
	return out
}

// The repository's own merge commit can be told from an outdated one by its parents.
func TestMergeReferenceOfTheRepository(t *testing.T) {
	w, first := newWorld(t, begin())
	dir := filepath.Join(w.dir, "clients.git")
	r := open(t, Options{URL: w.url})
	head := pullOf(t, dir, 3, first, map[string]string{"clients/new.yaml": "name: new"})
	base := w.commit(t, map[string]string{"clients/other.yaml": "name: other"})
	merge := commitOn(t, dir, map[string]string{"clients/new.yaml": "name: new"}, base, head)
	run(t, dir, "update-ref", "refs/pull/3/merge", merge)
	fetch(t, r)
	if err := r.FetchRef(t.Context(), "refs/pull/3/merge", merge); err != nil {
		t.Fatal(err)
	}
	parents, err := r.Parents(t.Context(), merge)
	if err != nil || !slices.Equal(parents, []string{base, head}) {
		t.Error(parents, err)
	}
	m, err := r.Merge(t.Context(), base, head)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := r.Diff(t.Context(), base, merge)
	if d := cmp.Diff(theirs, m.Changes); d != "" || err != nil {
		t.Error(err, d)
	}
}
