package source

import (
	"errors"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Whatever the history's shape, the merge base is one of git's, and the newest of them.
func TestMergeBaseAsGitSeesIt(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 4))
	dir := tangled(t, rnd, tangle{commits: 80, back: 10, far: 6, last: 14, alone: 40}) // two histories
	r := open(t, Options{URL: dir})
	head := fetch(t, r)
	all := strings.Fields(run(t, dir, "rev-list", head))
	several := 0
	for range 80 {
		a, b := all[rnd.IntN(len(all))], all[rnd.IntN(len(all))]
		cmd := exec.Command("git", "merge-base", "--all", a, b)
		cmd.Dir = dir
		out, _ := cmd.Output() // 1 when there is none
		want := strings.Fields(string(out))
		got, err := r.MergeBase(t.Context(), a, b)
		other, again := r.MergeBase(t.Context(), b, a)
		if len(want) == 0 {
			if !errors.Is(err, ErrUnrelated) || !errors.Is(err, ErrNotFound) {
				t.Errorf("%s %s: %s %v, git finds none", a, b, got, err)
			}
			continue
		}
		if len(want) > 1 {
			several++
		}
		if errors.Join(err, again) != nil || !slices.Contains(want, got) || other != got {
			t.Errorf("%s %s: %s %s %v, git says %v", a, b, got, other, err, want)
		}
		date := func(h string) string { return run(t, dir, "show", "-s", "--format=%ct", h) }
		for _, w := range want {
			if len(want) > 1 && date(w) > date(got) {
				t.Errorf("%s is not the newest of %v", got, want)
			}
		}
	}
	t.Logf("%d pairs with several merge bases", several)
}

func TestParentsAndPaths(t *testing.T) {
	f := forked(t, begin(), map[string]string{"clients/dropped.yaml": "name: dropped", "README.md": "other"}, map[string]string{"clients/new.yaml": "name: new", "docs/stray.yaml": "s", "docs/plain.txt": "p"})
	tree := run(t, f.dir, "rev-parse", f.head+"^{tree}")
	// A merge that drops what its second parent, the branch, had.
	ours := pipe(t, f.dir, "merge", "commit-tree", tree, "-p", f.head, "-p", f.base)
	run(t, f.dir, "update-ref", "refs/heads/main", ours)
	fetch(t, f.r)
	for _, c := range []struct {
		commit         string
		parents        []string
		paths, touched []string
	}{
		{f.from, []string{}, []string{"clients/ab/abshop.yaml", "clients/bakery.yaml", "other/x.yaml", "platform.yaml", "templates/blog.yaml"}, nil},
		{f.base, []string{f.from}, []string{"clients/dropped.yaml"}, nil},
		{f.head, []string{f.from}, []string{"clients/new.yaml", "docs/stray.yaml"}, nil},
		{ours, []string{f.head, f.base}, []string{}, []string{"clients/dropped.yaml", "clients/new.yaml", "docs/stray.yaml"}},
	} {
		parents, err := f.r.Parents(t.Context(), c.commit)
		if d := cmp.Diff(c.parents, parents); d != "" || err != nil {
			t.Error(err, d)
		}
		paths, err := f.r.Paths(t.Context(), c.commit)
		if d := cmp.Diff(c.paths, paths); d != "" || err != nil {
			t.Error(err, d)
		}
		if c.touched == nil {
			c.touched = c.paths
		}
		touched, err := f.r.Touched(t.Context(), c.commit)
		if d := cmp.Diff(c.touched, touched); d != "" || err != nil {
			t.Error(err, d)
		}
	}
	if _, err := f.r.Paths(t.Context(), strings.Repeat("1", 40)); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
}
