package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage"
)

// local is a repository in a folder, bare or with a work tree. It is read without git.
type local string

func (l local) close() {}

// with opens the repository anew: git may have packed it meanwhile.
func (l local) with(ctx context.Context, f func(storage.Storer) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	r, err := git.PlainOpenWithOptions(string(l), &git.PlainOpenOptions{EnableDotGitCommonDir: true})
	if errors.Is(err, git.ErrRepositoryNotExists) {
		return ErrNoRepository
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", string(l), err)
	}
	if c, ok := r.Storer.(io.Closer); ok {
		defer c.Close()
	}
	return f(r.Storer)
}

func (l local) tip(ctx context.Context, ref plumbing.ReferenceName) (tip plumbing.Hash, err error) {
	err = l.with(ctx, func(st storage.Storer) error {
		tip, err = localTip(st, ref)
		if err == nil && ref.IsTag() {
			tip, err = peel(st, tip)
		}
		return err
	})
	return tip, err
}

func (l local) refs(ctx context.Context, prefix string) (map[string]string, error) {
	out, empty := map[string]string{}, true
	err := l.with(ctx, func(st storage.Storer) error {
		it, err := st.IterReferences()
		if err != nil {
			return fmt.Errorf("list references: %w", err)
		}
		defer it.Close()
		return it.ForEach(func(r *plumbing.Reference) error {
			if r.Type() != plumbing.HashReference {
				return nil
			}
			empty = false
			if !strings.HasPrefix(r.Name().String(), prefix) {
				return nil
			}
			h, err := peel(st, r.Hash())
			if out[r.Name().String()] = h.String(); len(out) > MaxRefs {
				return fmt.Errorf("%w: more than %d references", ErrTooMany, MaxRefs)
			}
			return err
		})
	})
	if err == nil && empty {
		err = ErrEmpty
	}
	return out, err
}

// peel returns the commit that a tag names.
func peel(st storage.Storer, h plumbing.Hash) (plumbing.Hash, error) {
	for range 10 {
		tag, err := object.GetTag(st, h)
		if errors.Is(err, plumbing.ErrObjectNotFound) {
			return h, nil // a light one
		}
		if err != nil {
			return plumbing.ZeroHash, fmt.Errorf("read tag %s: %w", h, err)
		}
		h = tag.Target
	}
	return plumbing.ZeroHash, fmt.Errorf("tag %s: %w", h, ErrMalformed)
}

func localTip(st storage.Storer, branch plumbing.ReferenceName) (plumbing.Hash, error) {
	ref, err := storer.ResolveReference(st, branch)
	if err == nil {
		return ref.Hash(), nil
	}
	if !errors.Is(err, plumbing.ErrReferenceNotFound) {
		return plumbing.ZeroHash, fmt.Errorf("read %s: %w", branch, err)
	}
	it, err := st.IterReferences()
	if err != nil {
		return plumbing.ZeroHash, fmt.Errorf("list references: %w", err)
	}
	defer it.Close()
	missing := ErrEmpty
	err = it.ForEach(func(r *plumbing.Reference) error {
		if r.Type() == plumbing.HashReference {
			missing = ErrNoBranch
			return storer.ErrStop
		}
		return nil
	})
	if err != nil {
		return plumbing.ZeroHash, fmt.Errorf("list references: %w", err)
	}
	return plumbing.ZeroHash, missing
}

func (l local) fetch(ctx context.Context, branch plumbing.ReferenceName, has func(plumbing.Hash) bool, _ []plumbing.Hash, w io.Writer) (tip plumbing.Hash, err error) {
	err = l.with(ctx, func(st storage.Storer) error {
		if tip, err = localTip(st, branch); err != nil || has(tip) {
			return err
		}
		objects, err := unknown(ctx, st, tip, has)
		if err != nil {
			return fmt.Errorf("list what is new: %w", theirs(err))
		}
		if _, err := packfile.NewEncoder(live{ctx, w}, st, false).Encode(objects, packWindow); err != nil {
			return fmt.Errorf("copy what is new: %w", theirs(err))
		}
		return nil
	})
	return tip, err
}

// theirs says that damage is the repository's and not the mirror's.
func theirs(err error) error {
	if errors.Is(err, plumbing.ErrObjectNotFound) || errors.Is(err, ErrDamaged) {
		return fmt.Errorf("%w (%w)", ErrBadPack, err)
	}
	return err
}

// unknown lists what a commit reaches and the mirror has not. What the mirror has, it
// has with everything below.
func unknown(ctx context.Context, st storage.Storer, tip plumbing.Hash, has func(plumbing.Hash) bool) ([]plumbing.Hash, error) {
	from := reader{st: st}
	var out []plumbing.Hash
	seen := map[plumbing.Hash]bool{}
	fresh := func(h plumbing.Hash) bool {
		if seen[h] || has(h) {
			return false
		}
		seen[h] = true
		out = append(out, h)
		return true
	}
	todo := []plumbing.Hash{tip}
	trees := []plumbing.Hash{}
	for len(todo) > 0 {
		h := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !fresh(h) {
			continue
		}
		if len(out) > maxHistory {
			return nil, fmt.Errorf("more than %d commits: %w", maxHistory, ErrTooMany)
		}
		c, err := from.commit(h)
		if err != nil {
			return nil, err
		}
		todo, trees = append(todo, c.ParentHashes...), append(trees, c.TreeHash)
	}
	for len(trees) > 0 {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		h := trees[len(trees)-1]
		trees = trees[:len(trees)-1]
		if !fresh(h) {
			continue
		}
		entries, err := from.tree(h)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			switch e.kind {
			case folder:
				trees = append(trees, e.hash)
			case module:
			default:
				fresh(e.hash)
			}
		}
	}
	return out, nil
}

// live is a writer that ends with its context.
type live struct {
	ctx context.Context //nolint:containedctx // it lives as long as the call that it ends with
	w   io.Writer
}

func (l live) Write(p []byte) (int, error) {
	if l.ctx.Err() != nil {
		return 0, context.Cause(l.ctx)
	}
	return l.w.Write(p)
}
