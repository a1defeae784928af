package reconcile

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/bolt"
	"github.com/compassdigital/reconciler/internal/secret"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

func reviewStore(t *testing.T) store.Store {
	t.Helper()
	keys, err := secret.Open(secret.KeySource{Env: state.NewSecret(strings.Repeat("0a", 32))})
	if err != nil {
		t.Fatal(err)
	}
	s, err := bolt.Open(bolt.Options{Path: filepath.Join(t.TempDir(), "state.db"), Keys: keys, Now: time.Now, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Which pull requests a range brought, and what of it they showed: by history and by content,
// and never by what the forge or a message claims.
func TestP12WhatARangeBrought(t *testing.T) {
	const mine, other = "clients/bakery.yaml", "clients/other.yaml"
	planned := state.Pull{Number: 1, Open: true, Head: "h", Planned: "h", Files: map[string]string{mine: "new"}, Shown: []string{"print", "~class"}}
	with := func(f func(p *state.Pull)) state.Pull {
		p := planned
		p.Files = map[string]string{mine: "new"}
		f(&p)
		return p
	}
	change := func(path, blob string) accept.Change { return accept.Change{Path: path, Old: "old", New: blob} }
	commit := func(id string, paths []string, parents ...string) accept.Commit {
		return accept.Commit{ID: id, Paths: paths, Parents: parents}
	}
	merge := Range{Commits: []accept.Commit{commit("h", []string{mine}, "base"), commit("m", []string{mine}, "base", "h")}, Changes: []accept.Change{change(mine, "new")}}
	squash := Range{Commits: []accept.Commit{commit("s", []string{mine}, "base")}, Changes: []accept.Change{change(mine, "new")}}
	onto := Range{Commits: []accept.Commit{commit("s", []string{mine}, "base")}, Changes: []accept.Change{change(mine, "newer")}}
	tests := map[string]struct {
		pull     state.Pull
		rg       Range
		brought  bool
		whole    bool
		shown    []string // paths
		reviewed []string // commits
	}{
		"a merge commit":                          {planned, merge, true, true, []string{mine}, []string{"h", "m"}},
		"a squash, before the forge says":         {planned, squash, true, true, []string{mine}, []string{"s"}},
		"a squash onto another base":              {with(func(p *state.Pull) { p.Open, p.Merged, p.MergeCommit = false, true, "s" }), onto, true, true, nil, []string{"s"}},
		"the same, and the forge does not say so": {planned, onto, false, false, nil, nil},
		"a push of the same":                      {planned, Range{Commits: squash.Commits, Changes: append([]accept.Change{change(other, "x")}, squash.Changes...)}, true, true, []string{mine}, []string{"s"}},
		"a push of more in the same commit": {planned, Range{Commits: []accept.Commit{commit("s", []string{mine, other}, "base")}, Changes: []accept.Change{change(mine, "new"), change(other, "x")}},
			true, true, []string{mine}, nil},
		"one whose head was pushed after the plan": {with(func(p *state.Pull) { p.Head, p.Planned = "h2", "h" }),
			Range{Commits: []accept.Commit{commit("h", []string{mine}, "base"), commit("h2", []string{mine}, "h"), commit("m", []string{mine}, "base", "h2")}, Changes: []accept.Change{change(mine, "newer")}},
			true, true, nil, []string{"h"}},
		"a squash of what was pushed after the plan": {with(func(p *state.Pull) { p.Head, p.Planned, p.Open, p.Merged, p.MergeCommit = "h2", "h", false, true, "s" }), onto, true, false, nil, nil},
		"a fork that nobody asked to plan":           {with(func(p *state.Pull) { p.Static = true }), merge, true, false, nil, nil},
		"a squash of such a fork":                    {with(func(p *state.Pull) { p.Static, p.Open, p.Merged, p.MergeCommit = true, false, true, "s" }), squash, true, false, nil, nil},
		"one that was never planned":                 {state.Pull{Number: 1, Open: true, Head: "h"}, merge, true, false, nil, nil},
		"one that was closed":                        {with(func(p *state.Pull) { p.Open = false }), merge, false, false, nil, nil},
		"a removal":                                  {with(func(p *state.Pull) { p.Files[mine] = "" }), Range{Commits: squash.Commits, Changes: []accept.Change{change(mine, "")}}, true, true, []string{mine}, []string{"s"}},
		"a removal that it does not show":            {with(func(p *state.Pull) { p.Open, p.Merged, p.MergeCommit = false, true, "s" }), Range{Commits: squash.Commits, Changes: []accept.Change{change(mine, "")}}, true, true, nil, []string{"s"}},
		"another file":                               {planned, Range{Commits: []accept.Commit{commit("s", []string{other}, "base")}, Changes: []accept.Change{change(other, "new")}}, false, false, nil, nil},
		"a part of it":                               {with(func(p *state.Pull) { p.Files[other] = "new" }), squash, false, false, nil, nil},
		"one without files":                          {with(func(p *state.Pull) { p.Files = nil }), squash, false, false, nil, nil},
		// What was merged long ago shows nothing of what comes back today.
		"one that another head brought": {with(func(p *state.Pull) { p.Open, p.Merged, p.MergeCommit, p.Accepted = false, true, "s0", []string{"s0"} }), squash, false, false, nil, nil},
		"one that a squash brought, whose commits another one's merge brings once more": {with(func(p *state.Pull) { p.Open, p.Merged, p.MergeCommit, p.Accepted = false, true, "s0", []string{"s0"} }), merge, false, false, nil, nil},
		"one whose content came already":                                                {with(func(p *state.Pull) { p.Accepted = []string{"s0"} }), squash, false, false, nil, nil},
		"and then is merged":                                                            {with(func(p *state.Pull) { p.Accepted = []string{"s0"} }), merge, true, true, []string{mine}, []string{"h", "m"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := reviewStore(t)
			if err := s.Update(func(tx store.Tx) error { return store.PutPull(tx, tt.pull) }); err != nil {
				t.Fatal(err)
			}
			var pulls []state.Pull
			if err := s.View(func(tx store.Tx) (err error) { pulls, err = reviews(tx, tt.rg, &store.Memo[state.Pull]{}); return err }); err != nil {
				t.Fatal(err)
			}
			if got := len(pulls) == 1; got != tt.brought {
				t.Fatalf("brought: %t", got)
			}
			now := map[string]string{}
			for _, c := range tt.rg.Changes {
				now[c.Path] = c.New
			}
			in := accept.Input{Commits: slices.Clone(tt.rg.Commits)}
			reviewed(&in, pulls, now)
			if tt.brought && in.Reviews[0].Whole != tt.whole {
				t.Errorf("whole: %t", in.Reviews[0].Whole)
			}
			var shown, commits []string
			for path, is := range in.Shown {
				if is {
					shown = append(shown, path)
				}
			}
			slices.Sort(shown)
			for _, c := range in.Commits {
				if c.Reviewed {
					commits = append(commits, c.ID)
				}
			}
			if !slices.Equal(shown, tt.shown) || !slices.Equal(commits, tt.reviewed) {
				t.Errorf("shown %v, reviewed %v", shown, commits)
			}
		})
	}
}

// What a merge made by itself of what it merged, no plan was made of, in whichever file it is:
// a conflict that somebody settled, a change on the way. It is the pull request's own.
func TestP12WhatAMergeMadeByItself(t *testing.T) {
	const mine, other, third = "clients/bakery.yaml", "clients/other.yaml", "clients/third.yaml"
	pull := state.Pull{Number: 1, Open: true, Head: "h", Planned: "h", Files: map[string]string{mine: "new", other: "new"}, Shown: []string{"print", "~class"}}
	in := accept.Input{Head: "m", Commits: []accept.Commit{
		{ID: "h", Paths: []string{mine, other}, Parents: []string{"base"}},
		{ID: "m", Paths: []string{mine, other, third}, Parents: []string{"base", "h"}, Own: []string{other, third}},
	}}
	now := map[string]string{mine: "new", other: "settled", third: "changed"}
	reviewed(&in, []state.Pull{pull}, now)
	if got, want := in.Reviews[0].Paths, []string{mine, other, third}; !slices.Equal(got, want) {
		t.Errorf("its files are %v, want %v", got, want)
	}
	if got, want := in.Commits[1].Own, []string{other, third}; !in.Commits[1].Reviewed || !slices.Equal(got, want) {
		t.Errorf("no plan was made of %v, want %v", got, want)
	}
	// A plan that was made of it shows it: a pull request that took in the branch.
	took := accept.Input{Head: "m", Commits: []accept.Commit{
		{ID: "h", Paths: []string{mine, other}, Parents: []string{"h0", "base"}, Own: []string{other}},
		{ID: "m", Paths: []string{mine, other}, Parents: []string{"base", "h"}},
	}}
	if reviewed(&took, []state.Pull{pull}, now); !took.Commits[0].Reviewed || len(took.Commits[0].Own) > 0 {
		t.Errorf("what the plan was made of is its own: %+v", took.Commits[0])
	}
	// What was pushed after the plan is its own, also where that took in the branch.
	pushed := accept.Input{Head: "m", Commits: []accept.Commit{
		{ID: "h", Paths: []string{mine, other}, Parents: []string{"h0"}},
		{ID: "h2", Paths: []string{mine, third}, Parents: []string{"h", "base"}, Own: []string{third}},
		{ID: "m", Paths: []string{mine, other, third}, Parents: []string{"base", "h2"}},
	}}
	later := pull
	later.Head = "h2"
	reviewed(&pushed, []state.Pull{later}, now)
	if got, want := pushed.Reviews[0].Paths, []string{mine, other, third}; !slices.Equal(got, want) {
		t.Errorf("its files are %v, want %v", got, want)
	}
	// Of what was settled as it was on the branch nothing came.
	pushed.Reviews = nil
	reviewed(&pushed, []state.Pull{later}, map[string]string{mine: "new", other: "new"})
	if got, want := pushed.Reviews[0].Paths, []string{mine, other}; !slices.Equal(got, want) {
		t.Errorf("its files are %v, want %v", got, want)
	}
	// That it came out as it was planned counts, however that was done.
	now = map[string]string{mine: "new", other: "new"}
	in.Commits[1].Own = []string{other}
	if reviewed(&in, []state.Pull{pull}, now); len(in.Commits[1].Own) > 0 {
		t.Errorf("no plan was made of %v", in.Commits[1].Own)
	}
}

// A pull request that grew from a head which was not accepted yet: its plan is onto the one that
// was, and knows nothing of a client that came between and that it takes away. That was not
// reviewed, however it is merged; what the plan is about was.
func TestP12WhatNoPlanIsAboutWasNotReviewed(t *testing.T) {
	const mine, between = "clients/bakery.yaml", "clients/between.yaml"
	both := []string{mine, between}
	pull := state.Pull{Number: 1, Merged: true, Head: "h", Planned: "h", Files: map[string]string{mine: "new"}, Shown: []string{"print", "~class"}}
	squashed := pull
	squashed.MergeCommit = "s"
	for name, c := range map[string]struct {
		pull    state.Pull
		commits []accept.Commit
	}{
		"a merge":  {pull, []accept.Commit{{ID: "h", Paths: both, Parents: []string{"base"}}, {ID: "m", Paths: both, Parents: []string{"base", "h"}}}},
		"a squash": {squashed, []accept.Commit{{ID: "s", Paths: both, Parents: []string{"base"}}}},
		"a merge that another one took in": {pull, []accept.Commit{{ID: "h", Paths: both, Parents: []string{"h0", "base"}, Own: both},
			{ID: "m", Paths: both, Parents: []string{"base", "h"}}}},
	} {
		in := accept.Input{Head: "m", Commits: slices.Clone(c.commits)}
		reviewed(&in, []state.Pull{c.pull}, map[string]string{mine: "new", between: ""})
		if got := in.Reviews[0].Paths; !slices.Equal(got, both) {
			t.Errorf("%s: it brought %v", name, got)
		}
		if got := in.Commits[0]; !got.Reviewed || !slices.Equal(got.Own, []string{between}) {
			t.Errorf("%s: a plan was made of all but %v", name, got.Own)
		}
		// Where nothing came of it, or another plan is about it, it is no matter.
		other := state.Pull{Number: 2, Head: "x", Planned: "x", Files: map[string]string{between: "as it was"}}
		for _, now := range []map[string]string{{mine: "new"}, {mine: "new", between: ""}} {
			in = accept.Input{Head: "m", Commits: slices.Clone(c.commits)}
			reviewed(&in, []state.Pull{c.pull, other}, now)
			if got := in.Commits[0].Own; len(got) > 0 {
				t.Errorf("%s: no plan was made of %v", name, got)
			}
		}
	}
}

// Which head brought a pull request is noted once, beside what others noted.
func TestP9AcceptedByIsNoted(t *testing.T) {
	s := reviewStore(t)
	err := s.Update(func(tx store.Tx) error {
		err := store.PutPull(tx, state.Pull{Number: 1, Head: "h", Comment: 7, Said: "said"})
		for range 2 {
			err = errors.Join(err, acceptedBy(tx, "head", []accept.Review{{Pull: 1}, {Pull: 2}}))
		}
		p, _, err2 := store.Pull(tx, 1)
		if !slices.Equal(p.Accepted, []string{"head"}) || p.Comment != 7 || p.Said != "said" {
			t.Errorf("%+v", p)
		}
		_, ok, err3 := store.Pull(tx, 2)
		if ok {
			t.Error("one that is not on record is")
		}
		return errors.Join(err, err2, err3)
	})
	if err != nil {
		t.Fatal(err)
	}
}
