package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/compassdigital/reconciler/internal/manifest"
)

// maxTreeDepth is how many folders below clients and templates are looked into.
const maxTreeDepth = 3

// history is the repository around a tree. It is only read.
type history struct {
	repo   *git.Repository
	prefix string // of the tree in the repository, "." for its root
	layout manifest.Layout
}

// openHistory finds the repository that a folder lies in.
func openHistory(root string, l manifest.Layout) (*history, error) {
	repo, err := git.PlainOpenWithOptions(root, &git.PlainOpenOptions{DetectDotGit: true, EnableDotGitCommonDir: true})
	if errors.Is(err, git.ErrRepositoryNotExists) {
		return nil, usageError{"--against needs a Git repository around the tree, and there is none"}
	}
	if err != nil {
		return nil, fmt.Errorf("open the repository: %w", err)
	}
	w, err := repo.Worktree()
	if err != nil {
		return nil, fmt.Errorf("open the repository: %w", err)
	}
	top, err := filepath.EvalSymlinks(w.Filesystem.Root())
	if err != nil {
		return nil, fmt.Errorf("open the repository: %w", err)
	}
	at, err := filepath.EvalSymlinks(root)
	if err != nil {
		return nil, fmt.Errorf("open the repository: %w", err)
	}
	prefix, err := filepath.Rel(top, at)
	if err != nil {
		return nil, fmt.Errorf("open the repository: %w", err)
	}
	return &history{repo: repo, prefix: filepath.ToSlash(prefix), layout: l}, nil
}

// commits are what REV names, and the commit where the work tree's branch left it
// (REV itself when that isn't known; note says so).
func (h *history) commits(ctx context.Context, rev string) (tip, base *object.Commit, note string, err error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, "", err
	}
	// HEAD first: of a damaged repository the library only says that REV isn't there.
	var head *object.Commit
	switch ref, err := h.repo.Head(); {
	case errors.Is(err, plumbing.ErrReferenceNotFound): // no commit yet
	case err != nil:
		return nil, nil, "", fmt.Errorf("read HEAD: %w", err)
	default:
		if head, err = h.repo.CommitObject(ref.Hash()); err != nil {
			return nil, nil, "", fmt.Errorf("read HEAD, commit %s: %w", ref.Hash(), err)
		}
	}
	hash, err := h.repo.ResolveRevision(plumbing.Revision(rev))
	if err != nil {
		return nil, nil, "", usageError{fmt.Sprintf("--against %s: the repository has no such revision (fetch it first)", rev)}
	}
	if tip, err = h.repo.CommitObject(*hash); err != nil {
		return nil, nil, "", fmt.Errorf("read %s: %w", rev, err)
	}
	if head == nil {
		return tip, tip, "", nil
	}
	bases, err := head.MergeBase(tip)
	if err != nil && !errors.Is(err, plumbing.ErrObjectNotFound) {
		return nil, nil, "", fmt.Errorf("read the history of HEAD and %s: %w", rev, err)
	}
	if err != nil || len(bases) == 0 {
		return tip, tip, "no common commit with " + rev + " is in this clone; compared with " + rev + " itself (fetch the whole history to be exact)", nil //nolint:nilerr // a shallow clone lacks the base; what that means is said
	}
	return tip, bases[0], "", nil
}

// entries are the manifests, templates and the platform file of a commit: path below
// the tree's root to blob. What is no plain file is not there.
func (h *history) entries(ctx context.Context, c *object.Commit) (map[string]plumbing.Hash, error) {
	t, err := c.Tree()
	if err == nil {
		t, err = h.below(t, h.prefix)
	}
	out := map[string]plumbing.Hash{}
	if errors.Is(err, object.ErrDirectoryNotFound) {
		return out, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read commit %s: %w", c.Hash, err)
	}
	var walk func(t *object.Tree, at string, depth int) error
	walk = func(t *object.Tree, at string, depth int) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		for _, e := range t.Entries {
			p := path.Join(at, e.Name)
			if e.Mode == filemode.Dir {
				if depth == 0 {
					continue
				}
				sub, err := h.repo.TreeObject(e.Hash)
				if err != nil {
					return err
				}
				if err := walk(sub, p, depth-1); err != nil {
					return err
				}
				continue
			}
			if (e.Mode == filemode.Regular || e.Mode == filemode.Deprecated) && h.layout.Classify(p) != manifest.ClassOther {
				if out[p] = e.Hash; len(out) > maxEntries {
					return fmt.Errorf("more than %d files", maxEntries)
				}
			}
		}
		return nil
	}
	for _, folder := range h.folders() {
		sub, err := h.below(t, folder.path)
		if errors.Is(err, object.ErrDirectoryNotFound) {
			continue
		}
		if err == nil {
			err = walk(sub, folder.path, folder.depth)
		}
		if err != nil {
			return nil, fmt.Errorf("read commit %s: %w", c.Hash, err)
		}
	}
	return out, nil
}

// below goes down to a folder. object.ErrDirectoryNotFound says that there is none; the
// library says so, too, of one that it can't read.
func (h *history) below(t *object.Tree, folder string) (*object.Tree, error) {
	if folder == "." {
		return t, nil
	}
	for name := range strings.SplitSeq(folder, "/") {
		i := slices.IndexFunc(t.Entries, func(e object.TreeEntry) bool { return e.Name == name && e.Mode == filemode.Dir })
		if i < 0 {
			return nil, object.ErrDirectoryNotFound
		}
		var err error
		if t, err = h.repo.TreeObject(t.Entries[i].Hash); err != nil {
			return nil, err
		}
	}
	return t, nil
}

type folder struct {
	path  string
	depth int
}

// folders are where manifests, templates and the platform file are.
func (h *history) folders() []folder {
	return []folder{{h.layout.Clients, maxTreeDepth}, {h.layout.Templates, maxTreeDepth}, {path.Dir(h.layout.Platform), 0}}
}

// blob reads a file. One that is larger than a manifest may be comes cut: the rule on
// sizes refuses it all the same.
func (h *history) blob(hash plumbing.Hash) ([]byte, error) {
	size, err := h.repo.Storer.EncodedObjectSize(hash)
	if err != nil {
		return nil, fmt.Errorf("read object %s: %w", hash, err)
	}
	if size > manifest.MaxFile {
		return bytes.Repeat([]byte("#"), manifest.MaxFile+1), nil
	}
	b, err := h.repo.BlobObject(hash)
	if err != nil {
		return nil, fmt.Errorf("read object %s: %w", hash, err)
	}
	r, err := b.Reader()
	if err != nil {
		return nil, fmt.Errorf("read object %s: %w", hash, err)
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, manifest.MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read object %s: %w", hash, err)
	}
	return data, nil
}

// hashOf is the blob that Git would make of a file: line ends of Windows are Git's to
// turn, so a file that only differs in them is the same.
func hashOf(data []byte, like plumbing.Hash) plumbing.Hash {
	h := plumbing.ComputeHash(plumbing.BlobObject, data)
	if h == like || !bytes.Contains(data, []byte("\r\n")) {
		return h
	}
	if unix := plumbing.ComputeHash(plumbing.BlobObject, bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))); unix == like {
		return unix
	}
	return h
}
