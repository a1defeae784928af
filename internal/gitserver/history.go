package gitserver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/revlist"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// maxWalk is how many commits a question about history may read.
const maxWalk = 100_000

// errLong says that a history has more than maxWalk commits.
var errLong = errors.New("the history is too long")

// ancestors are all commits that a commit reaches, itself included.
func (r *Repository) ancestors(id string) (map[string]Commit, error) {
	out := map[string]Commit{}
	next := []string{id}
	for len(next) > 0 {
		at := next[len(next)-1]
		next = next[:len(next)-1]
		if _, ok := out[at]; ok {
			continue
		}
		if len(out) >= maxWalk {
			return nil, errLong
		}
		c, err := r.Commit(at)
		if err != nil {
			return nil, err
		}
		out[at] = c
		next = append(next, c.Parents...)
	}
	return out, nil
}

// Reaches says that a commit is another one or comes after it.
func (r *Repository) Reaches(from, to string) (bool, error) {
	all, err := r.ancestors(from)
	_, ok := all[to]
	return ok, err
}

// Between are the commits that head reaches and base doesn't, parents before children;
// base "" is nothing.
func (r *Repository) Between(base, head string) ([]Commit, error) {
	var old map[string]Commit
	var err error
	if base != "" {
		if old, err = r.ancestors(base); err != nil {
			return nil, err
		}
	}
	var out []Commit
	seen := map[string]bool{}
	// A walk with a stack of its own: histories are deeper than they are wide.
	type visit struct {
		id   string
		done bool
	}
	stack := []visit{{id: head}}
	waiting := map[string]Commit{}
	for len(stack) > 0 {
		v := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if v.done {
			out = append(out, waiting[v.id])
			continue
		}
		if _, ok := old[v.id]; ok || seen[v.id] {
			continue
		}
		if len(seen) >= maxWalk {
			return nil, errLong
		}
		seen[v.id] = true
		c, err := r.Commit(v.id)
		if err != nil {
			return nil, err
		}
		waiting[v.id] = c
		stack = append(stack, visit{v.id, true})
		for i := len(c.Parents) - 1; i >= 0; i-- {
			stack = append(stack, visit{id: c.Parents[i]})
		}
	}
	return out, nil
}

// MergeBase is the best common ancestor of two commits; "" when there is none. Of several,
// the newest, and of equally new ones the smallest id.
func (r *Repository) MergeBase(a, b string) (string, error) {
	of, err := r.ancestors(a)
	if err != nil {
		return "", err
	}
	other, err := r.ancestors(b)
	if err != nil {
		return "", err
	}
	common := map[string]Commit{}
	for id, c := range of {
		if _, ok := other[id]; ok {
			common[id] = c
		}
	}
	best := map[string]bool{}
	for id := range common {
		best[id] = true
	}
	for _, c := range common { // a parent of a common ancestor is not the best
		for _, p := range c.Parents {
			delete(best, p)
		}
	}
	var out []Commit
	for id := range best {
		out = append(out, common[id])
	}
	sort.Slice(out, func(i, j int) bool {
		if x, y := out[i].Committer.When, out[j].Committer.When; !x.Equal(y) {
			return x.After(y)
		}
		return out[i].ID < out[j].ID
	})
	if len(out) == 0 {
		return "", nil
	}
	return out[0].ID, nil
}

// CommitTo writes (or, with nil, deletes) files on a branch and returns the commit. A
// branch that is not there begins at the repository's own branch. ErrNothing, ErrNotFound
// as with Commit.
func (s *Server) CommitTo(name, branch string, changes map[string]*string, message string, by Person) (string, error) {
	var commit string
	announce, err := s.Edit(name, func(r *Repository) error {
		ref := string(plumbing.NewBranchReferenceName(branch))
		tip, err := r.Ref(ref)
		if errors.Is(err, ErrNotFound) {
			var own string
			if own, err = r.Default(); err == nil {
				tip, err = r.Ref("refs/heads/" + own)
			}
		}
		if err != nil {
			return err
		}
		parent, err := r.Commit(tip)
		if err != nil {
			return err
		}
		tree, err := r.Change(parent.Tree, changes)
		if err != nil {
			return err
		}
		if commit, err = r.Write(Commit{Tree: tree, Parents: []string{tip}, Author: by, Message: message}); err != nil {
			return err
		}
		return r.Set(ref, commit)
	})
	announce()
	return commit, err
}

// Fork makes a repository with the commits and branches of another. ErrExists.
func (s *Server) Fork(name, as string) error {
	if err := s.named(as); err != nil {
		return err
	}
	var branches []Ref
	var own string
	err := s.View(name, func(r *Repository) (err error) {
		if branches, err = r.Refs("refs/heads/"); err == nil {
			own, err = r.Default()
		}
		return err
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := os.Lstat(s.path(as)); err == nil {
		return fmt.Errorf("repository %s: %w", as, ErrExists)
	}
	tmp, err := os.MkdirTemp(s.dir, ".new-")
	if err != nil {
		return fmt.Errorf("make repository %s: %w", as, err)
	}
	defer os.RemoveAll(tmp)
	dir := filepath.Join(tmp, "repository")
	options := &git.PlainInitOptions{Bare: true, InitOptions: git.InitOptions{DefaultBranch: plumbing.NewBranchReferenceName(own)}}
	if _, err := git.PlainInitWithOptions(dir, options); err != nil {
		return fmt.Errorf("make repository %s: %w", as, err)
	}
	from, into := storage(s.path(name)), storage(dir)
	defer from.Close()
	defer into.Close()
	for _, b := range branches {
		if err := carry(from, into, b.Commit); err != nil {
			return err
		}
		if err := into.SetReference(plumbing.NewHashReference(plumbing.ReferenceName(b.Name), plumbing.NewHash(b.Commit))); err != nil {
			return fmt.Errorf("make repository %s: %w", as, err)
		}
	}
	if err := os.Rename(dir, s.path(as)); err != nil {
		return fmt.Errorf("make repository %s: %w", as, err)
	}
	return nil
}

// Fetch brings a commit, and all it reaches, from one repository into another. No
// reference names it yet. ErrNotFound.
func (s *Server) Fetch(into, from, commit string) error {
	if into == from {
		return nil
	}
	if _, err := s.lock(into); err != nil {
		return err
	}
	return s.View(from, func(r *Repository) error {
		if _, err := r.Commit(commit); err != nil {
			return err
		}
		// Objects are named by their content: storing them needs no lock of the other one.
		st := storage(s.path(into))
		return errors.Join(carry(r.st, st, commit), st.Close())
	})
}

// carry copies what a commit reaches and the other storage lacks.
func carry(from, into *filesystem.Storage, commit string) error {
	have, err := references(into)
	if err != nil {
		return err
	}
	var known []plumbing.Hash
	for _, h := range have {
		if from.HasEncodedObject(h) == nil {
			known = append(known, h)
		}
	}
	fresh, err := revlist.Objects(from, []plumbing.Hash{plumbing.NewHash(commit)}, known)
	if err != nil {
		return fmt.Errorf("list what %s reaches: %w", commit, err)
	}
	for _, h := range fresh {
		if into.HasEncodedObject(h) == nil {
			continue
		}
		o, err := from.EncodedObject(plumbing.AnyObject, h)
		if err != nil {
			return fmt.Errorf("read object %s: %w", h, err)
		}
		if _, err := into.SetEncodedObject(o); err != nil {
			return fmt.Errorf("store object %s: %w", h, err)
		}
	}
	return nil
}
