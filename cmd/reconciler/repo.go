package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/source"
)

// notRegular is what is wrong with a file that is none.
const notRegular = "not a regular file: a link, a module or an executable is not read"

// Limits of a range.
const (
	maxRange = 10_000 // commits that are read
	maxTold  = 100    // commits whose files are told
)

// repository gives the engine the Git mirror as it wants to see it.
type repository struct {
	git    *source.Repository
	layout manifest.Layout
}

var (
	_ reconcile.Repository = (*repository)(nil)
	_ reconcile.Ancestry   = (*repository)(nil)
)

func (r *repository) Poll(ctx context.Context) (string, error) { return r.git.Poll(ctx) }

// Ancestors implements reconcile.Ancestry.
func (r *repository) Ancestors(ctx context.Context, head string, most int) ([]string, error) {
	return r.git.Ancestors(ctx, head, most)
}

// Range implements reconcile.Repository.
func (r *repository) Range(ctx context.Context, from, head string) (reconcile.Range, error) {
	var out reconcile.Range
	if err := r.git.Fetch(ctx, head); err != nil {
		return out, err
	}
	var err error
	if out.Root, err = r.git.Root(ctx, head); err != nil {
		return out, err
	}
	if from == "" {
		out.Descends, out.Whole = true, true
	} else if out.Descends, err = r.git.Descends(ctx, head, from); err != nil {
		return out, err
	}
	if out.Descends {
		commits, err := r.git.Commits(ctx, from, head, maxRange)
		if err != nil {
			return out, err
		}
		for i, c := range commits {
			commit := accept.Commit{ID: c.ID, Author: c.Author, Subject: c.Subject, Parents: c.Parents}
			if from != "" && i < maxTold {
				if commit.Paths, err = r.touched(ctx, c.ID); err != nil {
					return out, err
				}
				if commit.Own, err = r.own(ctx, commit); err != nil {
					return out, err
				}
			}
			out.Commits = append(out.Commits, commit)
		}
	}
	changes, err := r.git.Diff(ctx, from, head)
	if errors.Is(err, source.ErrNotFound) && !out.Descends {
		// Another repository: the old head is not there to compare with.
		out.Whole = true
		changes, err = r.git.Diff(ctx, "", head)
	}
	if err != nil {
		return out, err
	}
	out.Odd = map[string]string{}
	for _, c := range changes {
		out.Changes = append(out.Changes, accept.Change{Path: c.Path, Old: c.Old, New: c.New})
		if source.Irregular(c.New) {
			out.Odd[c.Path] = notRegular
		}
	}
	strays, err := r.strays(ctx, from, head, out.Whole)
	if err != nil {
		return out, err
	}
	out.Changes = append(out.Changes, strays...)
	// The first manifest answers this: a range costs its changes, not the fleet.
	any, err := r.git.Any(ctx, head, func(path string) bool { return r.layout.Classify(path) == manifest.ClassClient })
	out.Empty = !any
	return out, err
}

// touched are the files that a commit changed, of a merge against any of its parents: what
// it brought and what it dropped. It is nil where the commit itself is such that nobody
// can tell: one that lies between two heads keeps nobody from reading the head.
func (r *repository) touched(ctx context.Context, commit string) ([]string, error) {
	paths, err := r.git.Touched(ctx, commit)
	for _, own := range []error{source.ErrMalformed, source.ErrNoFolder, source.ErrTooLarge, source.ErrTooMany} {
		if errors.Is(err, own) {
			return nil, nil
		}
	}
	return paths, err
}

// own are the files of a merge that are not what Git makes of its parents. Where nobody can
// tell, and where there are more than two, that is each that it touched.
func (r *repository) own(ctx context.Context, c accept.Commit) ([]string, error) {
	if len(c.Parents) < 2 || len(c.Paths) == 0 {
		return nil, nil
	}
	if len(c.Parents) > 2 {
		return c.Paths, nil
	}
	m, err := r.git.Merge(ctx, c.Parents[0], c.Parents[1])
	for _, own := range []error{source.ErrUnrelated, source.ErrMalformed, source.ErrNoFolder, source.ErrTooLarge, source.ErrTooMany} {
		if errors.Is(err, own) {
			return c.Paths, nil
		}
	}
	if err != nil {
		return nil, err
	}
	is, err := r.git.Diff(ctx, c.Parents[0], c.ID)
	if err != nil {
		return nil, err
	}
	made := map[string]string{} // path → what the merge makes of the first parent's
	for _, ch := range m.Changes {
		made[ch.Path] = ch.New
	}
	var out []string
	for _, ch := range is {
		if blob, there := made[ch.Path]; !there || blob != ch.New {
			out = append(out, ch.Path)
		}
		delete(made, ch.Path)
	}
	for path := range made { // it was dropped
		out = append(out, path)
	}
	out = append(out, m.Conflicts...)
	slices.Sort(out)
	return slices.Compact(out), nil
}

// strays are changes of files that claim to be a client's manifest, or did so, and lie
// where none is read: people are told, and what such a file was before is not taken for
// gone.
func (r *repository) strays(ctx context.Context, from, head string, whole bool) ([]accept.Change, error) {
	if whole {
		from = ""
	}
	changes, err := r.git.Strays(ctx, from, head)
	if err != nil {
		return nil, err
	}
	says := func(path, blob string) (bool, error) {
		if blob == "" {
			return false, nil
		}
		f, err := r.Read(ctx, path, blob)
		return manifest.SaysClient(f.Data), err
	}
	var out []accept.Change
	for _, c := range changes {
		now, err := says(c.Path, c.New)
		before := false
		if err == nil && !now {
			before, err = says(c.Path, c.Old)
		}
		if err != nil {
			return nil, err
		}
		if now || before {
			out = append(out, accept.Change{Path: c.Path, Old: c.Old, New: c.New})
		}
	}
	return out, nil
}

// Read implements reconcile.Repository. Only what is wrong with the file itself is
// recorded as its fault: a disk that fails, too many open files or a stop of the program
// say nothing of it.
func (r *repository) Read(ctx context.Context, path, blob string) (accept.File, error) {
	f := accept.File{Path: path, Blob: blob}
	var err error
	f.Data, err = r.git.Blob(ctx, blob)
	if errors.Is(err, source.ErrIrregular) || errors.Is(err, source.ErrTooLarge) || errors.Is(err, source.ErrNotFound) {
		f.Err = err.Error()
		return f, nil
	}
	if err != nil {
		return accept.File{}, fmt.Errorf("read %s: %w", path, err)
	}
	return f, nil
}

// Tree implements reconcile.Repository.
func (r *repository) Tree(ctx context.Context, rev string) (string, []accept.File, error) {
	head := rev
	if head == "" {
		var err error
		if head, err = r.git.Poll(ctx); err != nil {
			return "", nil, err
		}
	}
	if rev == "" {
		if err := r.git.Fetch(ctx, head); err != nil {
			return "", nil, err
		}
	}
	commit, err := r.git.Resolve(ctx, head)
	if err != nil {
		return "", nil, fmt.Errorf("find %s: %w", head, err)
	}
	entries, err := r.git.Files(ctx, commit)
	if err != nil {
		return "", nil, err
	}
	files := []accept.File{}
	for _, e := range entries {
		if r.layout.Classify(e.Path) == manifest.ClassOther {
			continue
		}
		if !e.Regular {
			files = append(files, accept.File{Path: e.Path, Err: notRegular})
			continue
		}
		f, err := r.Read(ctx, e.Path, e.Blob)
		if err != nil {
			return "", nil, err
		}
		files = append(files, f)
	}
	strays, err := r.strays(ctx, "", commit, true)
	if err != nil {
		return "", nil, err
	}
	for _, c := range strays {
		f, err := r.Read(ctx, c.Path, c.New)
		if err != nil {
			return "", nil, err
		}
		files = append(files, f)
	}
	return commit, files, nil
}
