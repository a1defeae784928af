package gitserver

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func view[T any](t *testing.T, w *world, name string, do func(*Repository) (T, error)) (out T) {
	t.Helper()
	err := w.View(name, func(r *Repository) (err error) {
		out, err = do(r)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

var ada = Person{Name: "Ada", Email: "ada@people.example"}

func TestCommitToABranch(t *testing.T) {
	w := newWorld(t)
	first := w.create(t, "r", map[string]string{"a": "1\n"})
	c, err := w.CommitTo("r", "feature/x", map[string]*string{"b": text("2\n")}, "Add b\n", ada)
	if err != nil {
		t.Fatal(err)
	}
	if w.head(t, "r") != first {
		t.Error("the repository's own branch moved")
	}
	got := view(t, w, "r", func(r *Repository) (Commit, error) { return r.Commit(c) })
	if got.Message != "Add b\n" || got.Author.Name != "Ada" || !slices.Equal(got.Parents, []string{first}) || !got.Author.When.Equal(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)) {
		t.Errorf("%+v", got)
	}
	if _, err := w.CommitTo("r", "feature/x", map[string]*string{"b": text("2\n")}, "Again\n", ada); !errors.Is(err, ErrNothing) {
		t.Error(err)
	}
	if _, err := w.CommitTo("r", "feature", map[string]*string{"b": text("3\n")}, "A folder's name\n", ada); !errors.Is(err, ErrName) {
		t.Error(err)
	}
	dir := w.clone(t, "r")
	run(t, dir, "fsck", "--strict")
	if out := run(t, dir, "log", "--format=%an %s", "origin/feature/x"); out != "Ada Add b\ndemo begin" {
		t.Error(out)
	}
	if want := []string{"r feature/x " + c}; !slices.Equal(w.pushed(), want) {
		t.Errorf("told of %q, want %q", w.pushed(), want)
	}
}

func TestAnEditThatFailsMovesNothing(t *testing.T) {
	w := newWorld(t)
	first := w.create(t, "r", map[string]string{"a": "1\n"})
	wrong := errors.New("wrong")
	announce, err := w.Edit("r", func(r *Repository) error {
		if err := r.Set("refs/heads/other", first); err != nil {
			return err
		}
		if at, err := r.Ref("refs/heads/other"); err != nil || at != first {
			t.Errorf("inside: %s %v", at, err)
		}
		return wrong
	})
	announce()
	if !errors.Is(err, wrong) || len(w.pushed()) != 0 {
		t.Errorf("%v, told of %v", err, w.pushed())
	}
	refs := view(t, w, "r", func(r *Repository) ([]Ref, error) { return r.Refs("refs/") })
	if len(refs) != 1 || refs[0].Name != "refs/heads/main" {
		t.Errorf("%v", refs)
	}
	announce, err = w.Edit("r", func(r *Repository) error { return r.Set("refs/pull/1/head", first) })
	announce()
	if err != nil || len(w.pushed()) != 0 { // no branch
		t.Errorf("%v, told of %v", err, w.pushed())
	}
	for name, want := range map[string]error{"heads/x": ErrName, "refs/heads/../x": ErrName, "refs/heads/main/x": ErrName, "refs/heads/y": nil} {
		_, err := w.Edit("r", func(r *Repository) error { return r.Set(name, first) })
		if !errors.Is(err, want) {
			t.Errorf("Set(%q) = %v", name, err)
		}
	}
	if _, err := w.Edit("r", func(r *Repository) error { return r.Set("refs/heads/z", strings.Repeat("1", 40)) }); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if _, err := w.Edit("r", func(r *Repository) error { return r.Delete("refs/heads/main") }); !errors.Is(err, ErrName) {
		t.Error(err)
	}
}

func TestHistoryIsAsGitSees(t *testing.T) {
	w := newWorld(t)
	w.create(t, "r", map[string]string{"a": "1\n"})
	dir := w.clone(t, "r")
	for i, b := range []string{"x", "y", "main"} {
		run(t, dir, "switch", "-q", "-C", b, "origin/main")
		for j := range 2 {
			commit(t, dir, fmt.Sprintf("f%d%d", i, j), "x")
		}
	}
	run(t, dir, "merge", "-q", "--no-edit", "x")
	run(t, dir, "push", "-q", "origin", "main", "x", "y")
	tips := map[string]string{}
	for _, b := range []string{"main", "x", "y"} {
		tips[b] = run(t, dir, "rev-parse", b)
	}
	for _, pair := range [][2]string{{"main", "y"}, {"x", "main"}, {"y", "x"}, {"x", "x"}} {
		a, b := tips[pair[0]], tips[pair[1]]
		base := view(t, w, "r", func(r *Repository) (string, error) { return r.MergeBase(a, b) })
		if want := run(t, dir, "merge-base", a, b); base != want {
			t.Errorf("base of %v: %s, want %s", pair, base, want)
		}
		commits := view(t, w, "r", func(r *Repository) ([]Commit, error) { return r.Between(a, b) })
		var got []string
		for _, c := range commits {
			got = append(got, c.ID)
		}
		if want := strings.Fields(run(t, dir, "rev-list", "--reverse", "--topo-order", a+".."+b)); len(got) != len(want) || !slices.Equal(sorted(got), sorted(want)) {
			t.Errorf("between %v: %v, want %v", pair, got, want)
		}
		for i, c := range commits { // parents come first
			for _, p := range c.Parents {
				if slices.Index(got, p) > i {
					t.Errorf("%s stands before its parent %s", c.ID, p)
				}
			}
		}
	}
}

func sorted(s []string) []string { return slices.Sorted(slices.Values(s)) }

func TestForkAndFetch(t *testing.T) {
	w := newWorld(t)
	first := w.create(t, "r", map[string]string{"a": "1\n"})
	if err := w.Fork("r", "fork"); err != nil {
		t.Fatal(err)
	}
	if err := w.Fork("r", "fork"); !errors.Is(err, ErrExists) {
		t.Error(err)
	}
	c, err := w.CommitTo("fork", "patch", map[string]*string{"b": text("2\n")}, "Add b\n", ada)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Fetch("r", "fork", c); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Edit("r", func(r *Repository) error { return r.Set("refs/pull/1/head", c) }); err != nil {
		t.Fatal(err)
	}
	dir := w.clone(t, "r")
	run(t, dir, "fetch", "-q", "origin", "refs/pull/1/head:theirs")
	run(t, dir, "fsck", "--strict")
	if got := run(t, dir, "rev-parse", "theirs", "theirs^"); got != c+"\n"+first {
		t.Error(got)
	}
	if err := w.Fetch("r", "fork", strings.Repeat("1", 40)); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
}

// Merging by lines comes to what Git comes to, wherever both sides changed what they did by
// inserting, changing and deleting lines.
func TestLinesAreMergedAsGitDoes(t *testing.T) {
	rnd := rand.New(rand.NewPCG(4, 2))
	dir := t.TempDir()
	clean := 0
	for n := range 60 {
		var base []string
		for i := range 4 + rnd.IntN(12) {
			base = append(base, fmt.Sprintf("line %d\n", i))
		}
		side := func(name string) string {
			var out strings.Builder
			for i, l := range base {
				switch rnd.IntN(14) {
				case 0: // deleted
				case 1:
					fmt.Fprintf(&out, "%s changed %d\n", name, i)
				case 2:
					out.WriteString(l)
					fmt.Fprintf(&out, "%s new %d\n", name, i)
				default:
					out.WriteString(l)
				}
			}
			return out.String()
		}
		texts := map[string]string{"base": strings.Join(base, ""), "ours": side("ours"), "theirs": side("theirs")}
		for name, text := range texts {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := try(t, dir, "merge-file", "-p", "-q", "ours", "base", "theirs")
		got, ok := MergeText(texts["base"], texts["ours"], texts["theirs"])
		if ok != (err == nil) || ok && strings.TrimSpace(got) != want {
			t.Errorf("merge %d of %q, %q, %q: %v %q, Git says %v %q", n, texts["base"], texts["ours"], texts["theirs"], ok, got, err == nil, want)
		}
		if ok {
			clean++
		}
	}
	if clean < 5 || clean > 55 {
		t.Errorf("%d of 60 merges were clean: they prove little", clean)
	}
}

func TestFilesAreMergedOneByOne(t *testing.T) {
	w := newWorld(t)
	w.create(t, "r", map[string]string{"same": "1\n2\n3\n4\n5\n", "ours": "o\n", "theirs": "t\n", "gone": "g\n", "both": "b\n"})
	base := w.head(t, "r")
	merge := func(ours, theirs map[string]*string) (string, []string) {
		t.Helper()
		var tree string
		var conflicts []string
		_, err := w.Edit("r", func(r *Repository) error {
			c, err := r.Commit(base)
			if err != nil {
				return err
			}
			a, err := r.Change(c.Tree, ours)
			if err != nil {
				return err
			}
			b, err := r.Change(c.Tree, theirs)
			if err != nil {
				return err
			}
			tree, conflicts, err = r.Merge(c.Tree, a, b)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return tree, conflicts
	}
	tree, conflicts := merge(
		map[string]*string{"same": text("0\n2\n3\n4\n5\n"), "ours": text("O\n"), "new/a": text("a\n"), "both": text("B\n")},
		map[string]*string{"same": text("1\n2\n3\n4\n6\n"), "theirs": text("T\n"), "gone": nil, "new/b": text("b\n"), "both": text("B\n")})
	if len(conflicts) > 0 {
		t.Fatal(conflicts)
	}
	for path, want := range map[string]string{"same": "0\n2\n3\n4\n6\n", "ours": "O\n", "theirs": "T\n", "gone": "", "new/a": "a\n", "new/b": "b\n", "both": "B\n"} {
		got := view(t, w, "r", func(r *Repository) (string, error) {
			b, err := r.File(tree, path)
			if err != nil {
				return "", err
			}
			return r.Text(b.ID)
		})
		if got != want {
			t.Errorf("%s holds %q, want %q", path, got, want)
		}
	}
	for name, c := range map[string][2]map[string]*string{
		"the same line":       {{"both": text("x\n")}, {"both": text("y\n")}},
		"deleted and changed": {{"gone": nil}, {"gone": text("x\n")}},
		"new on both sides":   {{"n": text("x\n")}, {"n": text("y\n")}},
		"a file and a folder": {{"d": text("x\n")}, {"d/e": text("y\n")}},
		"a folder and a file": {{"d/e": text("x\n")}, {"d": text("y\n")}},
		"no text on one side": {{"same": text("\x00")}, {"same": text("0\n")}},
	} {
		if _, conflicts := merge(c[0], c[1]); len(conflicts) != 1 {
			t.Errorf("%s: %v", name, conflicts)
		}
	}
}
