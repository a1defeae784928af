package gitserver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// Create makes a repository with one commit on its branch. Without files there is no
// commit: the repository is empty and so is the answer. ErrExists when it is there.
func (s *Server) Create(name, branch string, files map[string]string, message string) (string, error) {
	if err := s.named(name); err != nil {
		return "", err
	}
	ref := plumbing.NewBranchReferenceName(branch)
	if err := ref.Validate(); err != nil {
		return "", fmt.Errorf("branch %.100q: %w", branch, ErrName)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := os.Lstat(s.path(name)); err == nil {
		return "", fmt.Errorf("repository %s: %w", name, ErrExists)
	}
	tmp, err := os.MkdirTemp(s.dir, ".new-")
	if err != nil {
		return "", fmt.Errorf("make repository %s: %w", name, err)
	}
	defer os.RemoveAll(tmp)
	dir := filepath.Join(tmp, "repository")
	if _, err := git.PlainInitWithOptions(dir, &git.PlainInitOptions{Bare: true, InitOptions: git.InitOptions{DefaultBranch: ref}}); err != nil {
		return "", fmt.Errorf("make repository %s: %w", name, err)
	}
	commit := plumbing.ZeroHash
	if len(files) > 0 {
		changes := map[string]*string{}
		for path, text := range files {
			changes[path] = &text
		}
		st := storage(dir)
		defer st.Close()
		if _, commit, err = s.change(st, message, func(plumbing.Hash) (map[string]leaf, error) { return leaves(st, changes) }); err != nil {
			return "", fmt.Errorf("make repository %s: %w", name, err)
		}
	}
	if err := os.Rename(dir, s.path(name)); err != nil {
		return "", fmt.Errorf("make repository %s: %w", name, err)
	}
	if commit.IsZero() {
		return "", nil
	}
	return commit.String(), nil
}

// Commit writes (or, with nil, deletes) files on the repository's branch and returns
// the commit. ErrNothing when nothing would change, ErrNotFound when a file to delete
// is not there.
func (s *Server) Commit(name string, changes map[string]*string, message string) (string, error) {
	return s.update(name, message, func(st *filesystem.Storage, tree plumbing.Hash) (map[string]leaf, error) {
		for path, text := range changes {
			if text != nil {
				continue
			}
			if err := checkPath(path); err != nil {
				return nil, err
			}
			if l, err := find(st, tree, path); err != nil {
				return nil, err
			} else if l.hash.IsZero() {
				return nil, fmt.Errorf("delete %s: %w", path, ErrNotFound)
			}
		}
		return leaves(st, changes)
	})
}

// Revert commits the reverse of a commit on top of the branch. ErrConflict when the
// files it changed are not as it left them; a merge cannot be reverted.
func (s *Server) Revert(name, commit string) (string, error) {
	hash, err := parseHash(commit)
	if err != nil {
		return "", fmt.Errorf("revert: %w: give the full id of a commit", ErrNotFound)
	}
	return s.update(name, "Revert "+commit[:12]+"\n\nThis reverts commit "+commit+".\n", func(st *filesystem.Storage, tree plumbing.Hash) (map[string]leaf, error) {
		c, err := object.GetCommit(st, hash)
		if errors.Is(err, plumbing.ErrObjectNotFound) {
			return nil, fmt.Errorf("commit %s: %w", commit, ErrNotFound)
		} else if err != nil {
			return nil, fmt.Errorf("read commit %s: %w", commit, err)
		}
		return reverse(st, c, tree)
	})
}

// reverse returns the changes that undo a commit in a tree.
func reverse(st *filesystem.Storage, c *object.Commit, tree plumbing.Hash) (map[string]leaf, error) {
	before := plumbing.ZeroHash
	switch len(c.ParentHashes) {
	case 0:
	case 1:
		parent, err := object.GetCommit(st, c.ParentHashes[0])
		if err != nil {
			return nil, fmt.Errorf("read commit %s: %w", c.ParentHashes[0], err)
		}
		before = parent.TreeHash
	default:
		return nil, fmt.Errorf("commit %s is a merge: %w", c.Hash, ErrConflict)
	}
	changes, left := map[string]leaf{}, map[string]leaf{}
	if err := differ(st, "", before, c.TreeHash, func(path string, a, b leaf) { changes[path], left[path] = a, b }); err != nil {
		return nil, err
	}
	for path, want := range left {
		now, err := find(st, tree, path)
		if err != nil {
			return nil, err
		}
		if now != want {
			return nil, fmt.Errorf("revert %s: %s: %w", c.Hash, path, ErrConflict)
		}
	}
	return changes, nil
}

// Head returns the commit at the tip of the repository's branch. ErrNotFound when
// there is no such repository or it is empty.
func (s *Server) Head(name string) (string, error) {
	l, err := s.lock(name)
	if err != nil {
		return "", err
	}
	l.RLock()
	defer l.RUnlock()
	st := storage(s.path(name))
	defer st.Close()
	_, tip, err := head(st)
	if err != nil {
		return "", err
	}
	if tip.IsZero() {
		return "", fmt.Errorf("repository %s has no commit: %w", name, ErrNotFound)
	}
	return tip.String(), nil
}

func (s *Server) update(name, message string, changes func(*filesystem.Storage, plumbing.Hash) (map[string]leaf, error)) (string, error) {
	l, err := s.lock(name)
	if err != nil {
		return "", err
	}
	l.Lock()
	st := storage(s.path(name))
	branch, commit, err := s.change(st, message, func(tree plumbing.Hash) (map[string]leaf, error) { return changes(st, tree) })
	err = errors.Join(err, st.Close())
	l.Unlock()
	if err != nil {
		return "", fmt.Errorf("commit to %s: %w", name, err)
	}
	s.pushed(name, branch, commit)
	return commit.String(), nil
}

// change commits to the branch of HEAD.
func (s *Server) change(st *filesystem.Storage, message string, changes func(tree plumbing.Hash) (map[string]leaf, error)) (plumbing.ReferenceName, plumbing.Hash, error) {
	none := plumbing.ZeroHash
	branch, tip, err := head(st)
	if err != nil {
		return "", none, err
	}
	var parents []plumbing.Hash
	before := none
	if !tip.IsZero() {
		c, err := object.GetCommit(st, tip)
		if err != nil {
			return "", none, fmt.Errorf("read commit %s: %w", tip, err)
		}
		parents, before = []plumbing.Hash{tip}, c.TreeHash
	}
	edits, err := changes(before)
	if err != nil {
		return "", none, err
	}
	after, err := edit(st, before, edits)
	if err != nil {
		return "", none, err
	}
	if after.IsZero() {
		if after, err = put(st, &object.Tree{}); err != nil {
			return "", none, err
		}
	}
	if after == before {
		return "", none, ErrNothing
	}
	who := object.Signature{Name: authorName, Email: authorEmail, When: s.now()}
	commit, err := put(st, &object.Commit{Author: who, Committer: who, Message: message, TreeHash: after, ParentHashes: parents})
	if err != nil {
		return "", none, err
	}
	return branch, commit, st.SetReference(plumbing.NewHashReference(branch, commit))
}

// leaves stores the new contents.
func leaves(st *filesystem.Storage, changes map[string]*string) (map[string]leaf, error) {
	out := map[string]leaf{}
	for path, text := range changes {
		if err := checkPath(path); err != nil {
			return nil, err
		}
		if text == nil {
			out[path] = leaf{}
			continue
		}
		h, err := putBlob(st, *text)
		if err != nil {
			return nil, err
		}
		out[path] = leaf{h, filemode.Regular}
	}
	return out, nil
}
