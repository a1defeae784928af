package main

import (
	"context"
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/compassdigital/reconciler/internal/manifest"
)

// change is a tree as it would be after its merge into a revision: three sides of
// every file decide, as in a merge by Git. Where both sides changed a file, the
// tree's is taken.
type change struct {
	t      *tree
	rev    string
	merged map[string][]byte // path → content
	at     map[string][]byte // the same of REV
	differ map[string]bool   // paths whose merged content isn't REV's
}

// judgeAgainst judges the tree as a change of rev.
func (t *tree) judgeAgainst(ctx context.Context, rev string) (problems manifest.Problems, notes []string, err error) {
	defer func() {
		// The library panics on some damaged repositories.
		if p := recover(); p != nil {
			err = fmt.Errorf("read the repository: it is damaged")
		}
	}()
	h, err := openHistory(t.root, t.layout)
	if err != nil {
		return nil, nil, err
	}
	tip, base, note, err := h.commits(ctx, rev)
	if err != nil {
		return nil, nil, err
	}
	if note != "" {
		notes = append(notes, note)
	}
	atTip, err := h.entries(ctx, tip)
	if err != nil {
		return nil, nil, err
	}
	atBase := atTip
	if base.Hash != tip.Hash {
		if atBase, err = h.entries(ctx, base); err != nil {
			return nil, nil, err
		}
	}
	c := &change{t: t, rev: rev, merged: map[string][]byte{}, at: map[string][]byte{}, differ: map[string]bool{}}
	if err := c.merge(h, atBase, atTip); err != nil {
		return nil, nil, err
	}
	here := map[string]bool{}
	for _, f := range t.files {
		here[f.Path] = true
	}
	judge := manifest.Merge{Program: version, Layout: t.layout, Defaults: t.o.defaults(), Branch: rev, At: c.at, Merged: c.merged, Differ: c.differ,
		Here: func(p string) bool { return here[p] }, Rank: t.rank,
		Check: func(files, rules []manifest.File, rank func(string) int) ([]manifest.Effective, manifest.Problems) {
			return checkTree(t.layout, files, rules, t.o.defaults(), rank)
		}}
	_, problems = judge.Judge()
	return problems, notes, nil
}

// merge takes of every path the side that changed it.
func (c *change) merge(h *history, base, tip map[string]plumbing.Hash) error {
	work := map[string][]byte{}
	for _, f := range c.t.files {
		work[f.Path] = f.Data
	}
	// A file that is there and can't be read is not a removal.
	for _, p := range c.t.problems {
		if _, ok := work[p.Path]; !ok {
			delete(base, p.Path)
			delete(tip, p.Path)
		}
	}
	for p, hash := range tip {
		data, ok := work[p]
		if !ok || hashOf(data, hash) != hash {
			var err error
			if data, err = h.blob(hash); err != nil {
				return err
			}
		}
		c.at[p] = data
	}
	paths := map[string]bool{}
	for p := range work {
		paths[p] = true
	}
	for p := range tip {
		paths[p] = true
	}
	for p := range paths {
		mine, here := work[p]
		was, had := base[p]
		untouched := here == had && (!here || hashOf(mine, was) == was)
		theirs, there := c.at[p]
		switch {
		case untouched && there:
			c.merged[p] = theirs
		case untouched:
			// REV removed it, or nobody has it
		case here:
			c.merged[p] = mine
		}
		result, is := c.merged[p]
		c.differ[p] = is != there || is && hashOf(result, tip[p]) != tip[p]
	}
	return nil
}
