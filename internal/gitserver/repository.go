package gitserver

import (
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// maxText is the largest file that Text reads.
const maxText = 4 << 20

// Repository is one repository inside View or Edit, and of no use after it. Commits,
// trees and blobs are named by their full ids.
type Repository struct {
	st  *filesystem.Storage
	now time.Time
	// set are the references that Edit moves when everything went well; zero deletes.
	set map[plumbing.ReferenceName]plumbing.Hash
}

// Ref is a reference and the commit it names.
type Ref struct{ Name, Commit string }

// Person is who wrote or committed, and when; the zero time is that of the server.
type Person struct {
	Name, Email string
	When        time.Time
}

// Commit is a commit.
type Commit struct {
	ID, Tree          string
	Parents           []string
	Author, Committer Person
	Message           string
}

// Blob is a file's content and mode in a tree; the zero Blob is no file.
type Blob struct {
	ID         string
	Executable bool
	Link       bool // a symbolic link
	Module     bool // a submodule: ID is a commit elsewhere
}

// Change is a file that differs between two trees.
type Change struct {
	Path          string
	Before, After Blob
}

// View reads a repository while nobody writes it.
func (s *Server) View(name string, do func(*Repository) error) error {
	l, err := s.lock(name)
	if err != nil {
		return err
	}
	l.RLock()
	defer l.RUnlock()
	st := storage(s.path(name))
	return errors.Join(do(&Repository{st: st, now: s.now()}), st.Close())
}

// Edit writes a repository while nobody else does. References move when do succeeds, and
// none when it fails. The caller calls announce, which is never nil, as soon as it holds
// no lock that OnPush would want: it tells OnPush of the branches that moved.
func (s *Server) Edit(name string, do func(*Repository) error) (announce func(), err error) {
	nothing := func() {}
	l, err := s.lock(name)
	if err != nil {
		return nothing, err
	}
	l.Lock()
	defer l.Unlock()
	st := storage(s.path(name))
	defer st.Close()
	r := &Repository{st: st, now: s.now(), set: map[plumbing.ReferenceName]plumbing.Hash{}}
	if err := do(r); err != nil {
		return nothing, fmt.Errorf("edit %s: %w", name, err)
	}
	var moved []plumbing.ReferenceName
	for ref := range r.set {
		moved = append(moved, ref)
	}
	sort.Slice(moved, func(i, j int) bool { return moved[i] < moved[j] })
	for _, ref := range moved {
		if h := r.set[ref]; h.IsZero() {
			err = st.RemoveReference(ref)
		} else {
			err = st.SetReference(plumbing.NewHashReference(ref, h))
		}
		if err != nil {
			return nothing, fmt.Errorf("move %s of %s: %w", ref, name, err)
		}
	}
	return func() {
		for _, ref := range moved {
			s.pushed(name, ref, r.set[ref])
		}
	}, nil
}

// Default is the name of the branch that HEAD names.
func (r *Repository) Default() (string, error) {
	branch, _, err := head(r.st)
	return branch.Short(), err
}

// Refs are the references whose full name begins with prefix, by name.
func (r *Repository) Refs(prefix string) ([]Ref, error) {
	all, err := references(r.st)
	if err != nil {
		return nil, err
	}
	for name, h := range r.set {
		all[name] = h
	}
	var out []Ref
	for name, h := range all {
		if strings.HasPrefix(string(name), prefix) && !h.IsZero() {
			out = append(out, Ref{string(name), h.String()})
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out, nil
}

// Ref is the commit that a reference (its full name: refs/heads/main) names. ErrNotFound.
func (r *Repository) Ref(name string) (string, error) {
	if h, ok := r.set[plumbing.ReferenceName(name)]; ok {
		if h.IsZero() {
			return "", fmt.Errorf("reference %.100q: %w", name, ErrNotFound)
		}
		return h.String(), nil
	}
	ref := plumbing.ReferenceName(name)
	if ref.Validate() != nil {
		return "", fmt.Errorf("reference %.100q: %w", name, ErrNotFound)
	}
	got, err := r.st.Reference(ref)
	if errors.Is(err, plumbing.ErrReferenceNotFound) {
		return "", fmt.Errorf("reference %s: %w", name, ErrNotFound)
	}
	if err != nil {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	return got.Hash().String(), nil
}

// Set moves or makes a reference, of any name that begins with refs/ and of what Fetch, the
// server or its pushers brought. ErrName, ErrNotFound.
func (r *Repository) Set(name, commit string) error {
	ref := plumbing.ReferenceName(name)
	if ref.Validate() != nil || !strings.HasPrefix(name, "refs/") {
		return fmt.Errorf("reference %.100q: %w", name, ErrName)
	}
	all, err := r.Refs("refs/")
	if err != nil {
		return err
	}
	if len(all) >= maxRefs {
		return fmt.Errorf("more than %d references", maxRefs)
	}
	for _, other := range all {
		if strings.HasPrefix(other.Name, name+"/") || strings.HasPrefix(name, other.Name+"/") {
			return fmt.Errorf("reference %.100q conflicts with another: %w", name, ErrName)
		}
	}
	if _, err := r.Commit(commit); err != nil {
		return err
	}
	r.set[ref] = plumbing.NewHash(commit)
	return nil
}

// Delete removes a reference; of the absent it succeeds. ErrName: it is HEAD's branch.
func (r *Repository) Delete(name string) error {
	branch, err := r.Default()
	if err != nil {
		return err
	}
	if name == "refs/heads/"+branch {
		return fmt.Errorf("%s cannot be deleted: %w", branch, ErrName)
	}
	r.set[plumbing.ReferenceName(name)] = plumbing.ZeroHash
	return nil
}

// Commit reads a commit. ErrNotFound, also of what is no id or no commit.
func (r *Repository) Commit(id string) (Commit, error) {
	h, err := parseHash(id)
	if err != nil {
		return Commit{}, fmt.Errorf("commit %.50q: %w", id, ErrNotFound)
	}
	c, err := object.GetCommit(r.st, h)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return Commit{}, fmt.Errorf("commit %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return Commit{}, fmt.Errorf("read commit %s: %w", id, err)
	}
	out := Commit{ID: c.Hash.String(), Tree: c.TreeHash.String(), Message: c.Message,
		Author:    Person{c.Author.Name, c.Author.Email, c.Author.When.UTC()},
		Committer: Person{c.Committer.Name, c.Committer.Email, c.Committer.When.UTC()}}
	for _, p := range c.ParentHashes {
		out.Parents = append(out.Parents, p.String())
	}
	return out, nil
}

// Write stores a commit and returns its id; ID and an empty Committer are worked out.
func (r *Repository) Write(c Commit) (string, error) {
	if c.Committer.Name == "" {
		c.Committer = c.Author
	}
	sign := func(p Person) object.Signature {
		if p.When.IsZero() {
			p.When = r.now
		}
		// A signature is a line: what would end it is left out.
		clean := strings.NewReplacer("\n", " ", "<", "", ">", "", "\x00", "")
		return object.Signature{Name: clean.Replace(p.Name), Email: clean.Replace(p.Email), When: p.When}
	}
	out := &object.Commit{Author: sign(c.Author), Committer: sign(c.Committer), Message: c.Message, TreeHash: plumbing.NewHash(c.Tree)}
	for _, p := range c.Parents {
		out.ParentHashes = append(out.ParentHashes, plumbing.NewHash(p))
	}
	h, err := put(r.st, out)
	return h.String(), err
}

// Change returns the tree that one becomes by writing (or, with nil, deleting) files.
// ErrNothing, ErrNotFound as Server.Commit has it. An empty tree is "".
func (r *Repository) Change(tree string, files map[string]*string) (string, error) {
	for path, text := range files {
		if text != nil {
			continue
		}
		if b, err := r.File(tree, path); err != nil {
			return "", err
		} else if b.ID == "" {
			return "", fmt.Errorf("delete %s: %w", path, ErrNotFound)
		}
	}
	edits, err := leaves(r.st, files)
	if err != nil {
		return "", err
	}
	after, err := r.edited(tree, edits)
	if err == nil && after == tree {
		err = ErrNothing
	}
	return after, err
}

// edited stores a changed tree, the empty one too.
func (r *Repository) edited(tree string, edits map[string]leaf) (string, error) {
	after, err := edit(r.st, plumbing.NewHash(tree), edits)
	if err == nil && after.IsZero() {
		after, err = put(r.st, &object.Tree{})
	}
	return after.String(), err
}

// Changes are the files that differ between two trees, by path; "" is the empty tree.
func (r *Repository) Changes(a, b string) ([]Change, error) {
	var out []Change
	err := differ(r.st, "", plumbing.NewHash(a), plumbing.NewHash(b), func(path string, x, y leaf) {
		out = append(out, Change{path, blob(x), blob(y)})
	})
	sort.Slice(out, func(i, j int) bool { return out[i].Path < out[j].Path })
	return out, err
}

func blob(l leaf) Blob {
	if l.hash.IsZero() {
		return Blob{}
	}
	return Blob{l.hash.String(), l.mode == filemode.Executable, l.mode == filemode.Symlink, l.mode == filemode.Submodule}
}

func (b Blob) leaf() leaf {
	mode := filemode.Regular
	switch {
	case b.ID == "":
		return leaf{}
	case b.Executable:
		mode = filemode.Executable
	case b.Link:
		mode = filemode.Symlink
	case b.Module:
		mode = filemode.Submodule
	}
	return leaf{plumbing.NewHash(b.ID), mode}
}

// File is the file at a path in a tree; the zero Blob when there is none. ErrName.
func (r *Repository) File(tree, path string) (Blob, error) {
	if err := checkPath(path); err != nil {
		return Blob{}, err
	}
	l, err := find(r.st, plumbing.NewHash(tree), path)
	return blob(l), err
}

// Entry is one name in a folder.
type Entry struct {
	Name   string
	Folder bool
	Blob   Blob // ID is the tree's for a folder
}

// List is what a folder of a tree holds, in Git's order; path "" is the tree itself. ErrNotFound.
func (r *Repository) List(tree, path string) ([]Entry, error) {
	at := plumbing.NewHash(tree)
	for part := range strings.SplitSeq(path, "/") {
		if path == "" {
			break
		}
		entries, err := readTree(r.st, at)
		if err != nil {
			return nil, err
		}
		at = plumbing.ZeroHash
		for _, e := range entries {
			if e.Name == part && e.Mode == filemode.Dir {
				at = e.Hash
			}
		}
		if at.IsZero() {
			return nil, fmt.Errorf("folder %.100q: %w", path, ErrNotFound)
		}
	}
	entries, err := readTree(r.st, at)
	var out []Entry
	for _, e := range entries {
		if e.Mode == filemode.Dir {
			out = append(out, Entry{e.Name, true, Blob{ID: e.Hash.String()}})
		} else {
			out = append(out, Entry{e.Name, false, blob(leaf{e.Hash, e.Mode})})
		}
	}
	return out, err
}

// Text is a blob's content, at most maxText of it; "" of "".
func (r *Repository) Text(id string) (string, error) {
	if id == "" {
		return "", nil
	}
	b, err := object.GetBlob(r.st, plumbing.NewHash(id))
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return "", fmt.Errorf("blob %.50q: %w", id, ErrNotFound)
	}
	if err != nil {
		return "", fmt.Errorf("read blob %s: %w", id, err)
	}
	in, err := b.Reader()
	if err != nil {
		return "", fmt.Errorf("read blob %s: %w", id, err)
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, maxText))
	if err != nil {
		return "", fmt.Errorf("read blob %s: %w", id, err)
	}
	return string(data), nil
}
