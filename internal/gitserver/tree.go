package gitserver

import (
	"errors"
	"fmt"
	"io/fs"
	"sort"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// leaf is a file in a tree; the zero leaf is none.
type leaf struct {
	hash plumbing.Hash
	mode filemode.FileMode
}

// readTree reads one tree; the zero hash is the empty one.
func readTree(st *filesystem.Storage, h plumbing.Hash) ([]object.TreeEntry, error) {
	if h.IsZero() {
		return nil, nil
	}
	t, err := object.GetTree(st, h)
	if err != nil {
		return nil, fmt.Errorf("read tree %s: %w", h, err)
	}
	return t.Entries, nil
}

// edit returns the tree that h becomes by the changes; the zero hash when nothing
// is left. A zero leaf deletes.
func edit(st *filesystem.Storage, h plumbing.Hash, changes map[string]leaf) (plumbing.Hash, error) {
	entries, err := readTree(st, h)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	byName := map[string]object.TreeEntry{}
	for _, e := range entries {
		byName[e.Name] = e
	}
	below := map[string]map[string]leaf{}
	for path, l := range changes {
		name, rest, deeper := strings.Cut(path, "/")
		switch {
		case deeper:
			if below[name] == nil {
				below[name] = map[string]leaf{}
			}
			below[name][rest] = l
		case l.hash.IsZero():
			delete(byName, name)
		default:
			byName[name] = object.TreeEntry{Name: name, Mode: l.mode, Hash: l.hash}
		}
	}
	for name, sub := range below {
		old := plumbing.ZeroHash
		if e, ok := byName[name]; ok && e.Mode == filemode.Dir {
			old = e.Hash
		}
		tree, err := edit(st, old, sub)
		if err != nil {
			return plumbing.ZeroHash, err
		}
		if !tree.IsZero() {
			byName[name] = object.TreeEntry{Name: name, Mode: filemode.Dir, Hash: tree}
		} else if !old.IsZero() {
			delete(byName, name)
		}
	}
	if len(byName) == 0 {
		return plumbing.ZeroHash, nil
	}
	t := object.Tree{}
	for _, e := range byName {
		t.Entries = append(t.Entries, e)
	}
	sort.Sort(object.TreeEntrySorter(t.Entries))
	return put(st, &t)
}

// encoder is a tree or a commit.
type encoder interface {
	Encode(plumbing.EncodedObject) error
}

func put(st *filesystem.Storage, e encoder) (plumbing.Hash, error) {
	o := st.NewEncodedObject()
	if err := e.Encode(o); err != nil {
		return plumbing.ZeroHash, fmt.Errorf("encode object: %w", err)
	}
	h, err := st.SetEncodedObject(o)
	if err != nil {
		return plumbing.ZeroHash, fmt.Errorf("store object: %w", err)
	}
	return h, nil
}

func putBlob(st *filesystem.Storage, content string) (plumbing.Hash, error) {
	o := st.NewEncodedObject()
	o.SetType(plumbing.BlobObject)
	w, err := o.Writer()
	if err == nil {
		_, err = w.Write([]byte(content))
		err = errors.Join(err, w.Close())
	}
	if err != nil {
		return plumbing.ZeroHash, fmt.Errorf("encode file: %w", err)
	}
	h, err := st.SetEncodedObject(o)
	if err != nil {
		return plumbing.ZeroHash, fmt.Errorf("store file: %w", err)
	}
	return h, nil
}

// differ calls f for every file that differs between two trees, skipping equal folders.
func differ(st *filesystem.Storage, prefix string, a, b plumbing.Hash, f func(path string, a, b leaf)) error {
	if a == b {
		return nil
	}
	names := map[string][2]object.TreeEntry{}
	for i, h := range []plumbing.Hash{a, b} {
		entries, err := readTree(st, h)
		if err != nil {
			return err
		}
		for _, e := range entries {
			pair := names[e.Name]
			pair[i] = e
			names[e.Name] = pair
		}
	}
	for name, pair := range names {
		var files [2]leaf
		var trees [2]plumbing.Hash
		for i, e := range pair {
			if e.Mode == filemode.Dir {
				trees[i] = e.Hash
			} else {
				files[i] = leaf{e.Hash, e.Mode}
			}
		}
		if files[0] != files[1] {
			f(prefix+name, files[0], files[1])
		}
		if err := differ(st, prefix+name+"/", trees[0], trees[1], f); err != nil {
			return err
		}
	}
	return nil
}

// find returns the file at a path.
func find(st *filesystem.Storage, h plumbing.Hash, path string) (leaf, error) {
	name, rest, deeper := strings.Cut(path, "/")
	entries, err := readTree(st, h)
	if err != nil {
		return leaf{}, err
	}
	for _, e := range entries {
		switch {
		case e.Name != name:
		case deeper && e.Mode == filemode.Dir:
			return find(st, e.Hash, rest)
		case !deeper && e.Mode != filemode.Dir:
			return leaf{e.Hash, e.Mode}, nil
		}
	}
	return leaf{}, nil
}

// checkPath refuses paths that a client could not check out.
func checkPath(path string) error {
	ok := fs.ValidPath(path) && path != "." && len(path) <= maxPath && !strings.ContainsAny(path, "\\\x00")
	for _, part := range strings.Split(path, "/") {
		ok = ok && !strings.EqualFold(part, ".git")
	}
	if !ok {
		return fmt.Errorf("path %.100q: %w", path, ErrName)
	}
	return nil
}
