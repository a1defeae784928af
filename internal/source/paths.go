package source

import (
	"context"
	"fmt"
	"slices"
)

// maxPaths is how many files one commit is said to have changed.
const maxPaths = 10_000

// Paths returns the files of the read area, and the strays, that a commit changed against
// its first parent, sorted: of a merge all that it brought. A first commit brought all.
// ErrTooMany over 10,000.
func (r *Repository) Paths(ctx context.Context, commit string) ([]string, error) {
	return r.paths(ctx, commit, 1)
}

// Touched returns the files of the read area, and the strays, in which a commit differs
// from any of its parents, sorted. So whatever differs between two commits, one of which
// descends from the other, is in the list of a commit between them, whichever way
// the history takes; what Paths gives is not, where a merge dropped what its second parent
// had. ErrTooMany over 10,000.
func (r *Repository) Touched(ctx context.Context, commit string) ([]string, error) {
	return r.paths(ctx, commit, maxParents)
}

func (r *Repository) paths(ctx context.Context, commit string, most int) ([]string, error) {
	parents, err := r.Parents(ctx, commit)
	if err != nil {
		return nil, err
	}
	if len(parents) > maxParents {
		return nil, fmt.Errorf("paths of %s: more than %d parents: %w", commit, maxParents, ErrTooMany)
	}
	if len(parents) == 0 {
		parents = []string{""}
	}
	out := []string{}
	for _, from := range parents[:min(most, len(parents))] {
		changes, err := r.Diff(ctx, from, commit)
		if err != nil {
			return nil, err
		}
		strays, whole, err := r.outside(ctx, from, commit)
		if err != nil {
			return nil, err
		}
		if !whole || len(out)+len(changes)+len(strays) > maxPaths {
			return nil, fmt.Errorf("paths of %s: more than %d: %w", commit, maxPaths, ErrTooMany)
		}
		for _, c := range slices.Concat(changes, strays) {
			out = append(out, c.Path)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}
