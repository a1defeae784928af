package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/source"
)

// P5: a removal is shown by no pull request unless each commit that made it was. So every
// commit of a range says which files it touched, a merge those that it dropped, too.
func TestP5RangeSaysWhatEachCommitTouched(t *testing.T) {
	w := &world{t: t, work: t.TempDir()}
	dir, git, commit := w.work, w.git, w.commitFiles
	git("init", "-q", "-b", "main")
	first := commit(map[string]string{"clients/alpha.yaml": manifestOf("alpha"), "README.md": "hello"})
	git("checkout", "-q", "-b", "old")
	side := commit(map[string]string{"clients/gamma.yaml": manifestOf("gamma")})
	git("checkout", "-q", "main")
	from := commit(map[string]string{"clients/beta.yaml": manifestOf("beta")})
	changed := commit(map[string]string{"clients/alpha.yaml": manifestOf("alpha") + "# more\n", "docs/notes.txt": "n"})
	git("checkout", "-q", "old")
	git("merge", "-q", "-s", "ours", "-m", "take nothing", "main") // beta and the change are gone
	dropped := git("rev-parse", "HEAD")
	git("update-ref", "refs/heads/main", dropped)

	mirror, err := source.Open(source.Options{URL: dir, Branch: "main", Path: "clients", Dir: filepath.Join(t.TempDir(), "mirror")})
	if err != nil {
		t.Fatal(err)
	}
	defer mirror.Close()
	r := &repository{mirror, manifest.LayoutOf("clients")}
	out, err := r.Range(t.Context(), from, dropped)
	if err != nil || !out.Descends {
		t.Fatalf("%+v %v", out, err)
	}
	want := map[string]string{
		side:    "clients/gamma.yaml",
		changed: "clients/alpha.yaml",
		dropped: "clients/alpha.yaml clients/beta.yaml clients/gamma.yaml",
	}
	if len(out.Commits) != len(want) {
		t.Errorf("%+v", out.Commits)
	}
	for _, c := range out.Commits {
		if got := strings.Join(c.Paths, " "); got != want[c.ID] || c.Paths == nil {
			t.Errorf("%s touched %q, want %q", c.ID, got, want[c.ID])
		}
	}
	// Whatever the range changed, one of its commits says so.
	for _, change := range out.Changes {
		found := false
		for _, c := range out.Commits {
			found = found || slices.Contains(c.Paths, change.Path)
		}
		if !found {
			t.Errorf("nobody touched %s", change.Path)
		}
	}
	// The first head takes nothing away, so that nobody asks.
	if out, err = r.Range(t.Context(), "", dropped); err != nil || out.Commits[0].ID != first || out.Commits[0].Paths != nil {
		t.Errorf("%+v %v", out.Commits, err)
	}
}

// P12: of a merge a range says what is its own: a conflict that somebody settled, what was
// changed, dropped or added on the way; and nothing of what Git makes by itself.
func TestP12RangeSaysWhatIsAMergesOwn(t *testing.T) {
	w := &world{t: t, work: t.TempDir()}
	dir, git, commit := w.work, w.git, w.commitFiles
	git("init", "-q", "-b", "main")
	lines := func(first, last string) string { return first + "\na\nb\nc\nd\ne\nf\n" + last + "\n" }
	from := commit(map[string]string{"clients/both.yaml": lines("1", "2"), "clients/clash.yaml": "one\n", "clients/theirs.yaml": "one\n", "clients/kept.yaml": "one\n"})
	git("checkout", "-q", "-b", "side")
	commit(map[string]string{"clients/both.yaml": lines("1", "theirs"), "clients/clash.yaml": "theirs\n", "clients/theirs.yaml": "theirs\n"})
	git("checkout", "-q", "main")
	commit(map[string]string{"clients/both.yaml": lines("ours", "2"), "clients/clash.yaml": "ours\n"})
	merge := func(files map[string]string) string {
		t.Helper()
		git("checkout", "-q", "-B", "merge", "main")
		git("merge", "-q", "-s", "ours", "--no-commit", "side")
		for path, text := range map[string]string{"clients/both.yaml": lines("ours", "theirs"), "clients/theirs.yaml": "theirs\n"} {
			if files[path] == "" {
				files[path] = text
			}
		}
		return commit(files)
	}
	settled := merge(map[string]string{"clients/clash.yaml": "both\n"})
	changed := merge(map[string]string{"clients/clash.yaml": "ours\n", "clients/both.yaml": lines("other", "theirs"), "clients/theirs.yaml": "one\n", "clients/kept.yaml": "two\n", "clients/new.yaml": "new\n"})
	git("checkout", "-q", "-B", "clean", "side~1")
	commit(map[string]string{"clients/kept.yaml": "two\n"})
	git("merge", "-q", "--no-ff", "-m", "merge", "side")
	clean := git("rev-parse", "HEAD")

	mirror, err := source.Open(source.Options{URL: dir, Branch: "main", Path: "clients", Dir: filepath.Join(t.TempDir(), "mirror")})
	if err != nil {
		t.Fatal(err)
	}
	defer mirror.Close()
	r := &repository{mirror, manifest.LayoutOf("clients")}
	for head, want := range map[string]string{
		settled: "clients/clash.yaml",
		changed: "clients/both.yaml clients/clash.yaml clients/kept.yaml clients/new.yaml clients/theirs.yaml",
		clean:   "",
	} {
		git("update-ref", "refs/heads/main", head)
		if _, err := r.Poll(t.Context()); err != nil {
			t.Fatal(err)
		}
		out, err := r.Range(t.Context(), from, head)
		if err != nil {
			t.Fatal(err)
		}
		if c := out.Commits[len(out.Commits)-1]; c.ID != head || strings.Join(c.Own, " ") != want || len(c.Parents) != 2 {
			t.Errorf("%+v, want %q for its own", c, want)
		}
		for _, c := range out.Commits[:len(out.Commits)-1] {
			if c.Own != nil {
				t.Errorf("%+v is no merge", c)
			}
		}
	}
}

// A commit between two heads that nobody can read keeps nobody from reading the head; what
// it touched is not known then. Of a long range the first ones say it.
func TestRangeGoesOnWhereNobodyCanTell(t *testing.T) {
	dir := t.TempDir()
	git := func(args ...string) string { t.Helper(); return (&world{t: t}).git2(dir, args...) }
	git("init", "-q", "-b", "main")
	if err := os.MkdirAll(filepath.Join(dir, "clients"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "clients", "alpha.yaml"), []byte(manifestOf("alpha")), 0o644); err != nil {
		t.Fatal(err)
	}
	git("add", "-A")
	git("commit", "-q", "-m", "first")
	from := git("rev-parse", "HEAD")
	tree := git("rev-parse", "HEAD^{tree}")
	blob := git("rev-parse", "HEAD:clients/alpha.yaml")
	git("rm", "-q", "-r", "--cached", "clients")
	git("update-index", "--add", "--cacheinfo", "120000,"+blob+",clients")
	git("commit", "-q", "-m", "the folder is a link")
	odd := git("rev-parse", "HEAD")
	head := git("commit-tree", tree, "-p", odd, "-m", "it is a folder again")
	for range maxTold {
		head = git("commit-tree", tree, "-p", head, "-m", "nothing")
	}
	git("update-ref", "refs/heads/main", head)
	mirror, err := source.Open(source.Options{URL: dir, Branch: "main", Path: "clients", Dir: filepath.Join(t.TempDir(), "mirror")})
	if err != nil {
		t.Fatal(err)
	}
	defer mirror.Close()
	out, err := (&repository{mirror, manifest.LayoutOf("clients")}).Range(t.Context(), from, head)
	if err != nil || len(out.Commits) != maxTold+2 {
		t.Fatalf("%d commits, %v", len(out.Commits), err)
	}
	for i, c := range out.Commits {
		if known := c.Paths != nil; known != (c.ID != odd && i < maxTold) {
			t.Errorf("commit %d: %v", i, c.Paths)
		}
	}
}

// commitFiles writes files where the world works, "" removes one, and returns the commit.
func (w *world) commitFiles(files map[string]string) string {
	w.t.Helper()
	w.write(files)
	w.git("add", "-A")
	w.git("commit", "-q", "-m", "change")
	return w.git("rev-parse", "HEAD")
}
