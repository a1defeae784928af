package source

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/revlist"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage"
)

// local is a repository in a folder, bare or with a work tree. It is read without git.
type local string

func (l local) close() {}

// with opens the repository anew: git may have packed it meanwhile.
func (l local) with(ctx context.Context, f func(storage.Storer) error) error {
	if err := ctx.Err(); err != nil {
		return err
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

func (l local) tip(ctx context.Context, branch plumbing.ReferenceName) (tip plumbing.Hash, err error) {
	err = l.with(ctx, func(st storage.Storer) error {
		tip, err = localTip(st, branch)
		return err
	})
	return tip, err
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

func (l local) fetch(ctx context.Context, branch plumbing.ReferenceName, has func(plumbing.Hash) bool, haves []plumbing.Hash, w io.Writer) (tip plumbing.Hash, err error) {
	err = l.with(ctx, func(st storage.Storer) error {
		if tip, err = localTip(st, branch); err != nil || has(tip) {
			return err
		}
		var common []plumbing.Hash
		for _, h := range haves {
			if st.HasEncodedObject(h) == nil {
				common = append(common, h)
			}
		}
		known, err := revlist.Objects(st, common, nil)
		if err != nil {
			return fmt.Errorf("list what is new: %w", err)
		}
		objects, err := revlist.Objects(st, []plumbing.Hash{tip}, known)
		if err != nil {
			return fmt.Errorf("list what is new: %w", err)
		}
		if _, err := packfile.NewEncoder(live{ctx, w}, st, false).Encode(objects, packWindow); err != nil {
			return fmt.Errorf("copy what is new: %w", err)
		}
		return nil
	})
	return tip, err
}

// live is a writer that ends with its context.
type live struct {
	ctx context.Context
	w   io.Writer
}

func (l live) Write(p []byte) (int, error) {
	if err := l.ctx.Err(); err != nil {
		return 0, err
	}
	return l.w.Write(p)
}
