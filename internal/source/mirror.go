package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// What lies in the mirror's folder. New and old ones have a random end.
const (
	currentDir   = "git"
	pullsDir     = "pulls"
	newPrefix    = "new-"
	oldPrefix    = "old-"
	identityFile = "mirror.json"
	tmpPrefix    = "tmp_"
	maxIdentity  = 64 << 10
)

// identity says what a mirror is of.
type identity struct {
	URL    string `json:"url"`
	Branch string `json:"branch"`
}

// mirror is a bare repository on disk whose tip was complete when it was written.
type mirror struct {
	dir string
	st  *filesystem.Storage
	tip plumbing.Hash
}

func (r *Repository) current() string { return filepath.Join(r.dir, currentDir) }

func (r *Repository) identity() identity { return identity{r.url, r.branch.String()} }

// openDir removes what a crash left and opens the mirror when it is whole and ours.
func (r *Repository) openDir() error {
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return fmt.Errorf("make its folder: %w", err)
	}
	if err := r.sweep(); err != nil {
		return err
	}
	data, err := readSmall(filepath.Join(r.current(), identityFile))
	if errors.Is(err, fs.ErrNotExist) {
		r.damaged.Store(exists(r.current()))
		return nil
	}
	var is identity
	if err != nil || json.Unmarshal(data, &is) != nil {
		r.damaged.Store(true)
		return nil //nolint:nilerr // it is made anew
	}
	if is != r.identity() {
		return nil // replaced once the other one was cloned
	}
	m, err := openMirror(r.current(), r.branch)
	if err == nil {
		err = r.complete(reader{st: m.st, count: &r.objects}, plumbing.ZeroHash, m.tip)
	}
	if err != nil {
		if m != nil {
			_ = m.st.Close()
		}
		r.damaged.Store(true)
		return nil
	}
	r.m = m
	r.openPulls()
	return nil
}

// sweep removes what was begun and not finished.
func (r *Repository) sweep() error {
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return fmt.Errorf("read its folder: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), newPrefix) || strings.HasPrefix(e.Name(), oldPrefix) {
			errs = append(errs, os.RemoveAll(filepath.Join(r.dir, e.Name())))
		}
	}
	for _, dir := range []string{packDir(r.current()), packDir(r.pullsPath())} {
		packs, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			continue // no folder: damage, which opening it finds
		}
		for _, e := range packs {
			name, isIndex := strings.CutSuffix(e.Name(), ".idx")
			if strings.HasPrefix(e.Name(), tmpPrefix) || isIndex && !exists(filepath.Join(dir, name+".pack")) {
				errs = append(errs, os.Remove(filepath.Join(dir, e.Name())))
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("remove what was not finished: %w", err)
	}
	return nil
}

func packDir(dir string) string { return filepath.Join(dir, "objects", "pack") }

func exists(file string) bool {
	_, err := os.Lstat(file)
	return err == nil
}

func readSmall(file string) ([]byte, error) {
	fi, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Base(file), err)
	}
	if fi.Size() > maxIdentity {
		return nil, fmt.Errorf("read %s: %w", filepath.Base(file), ErrTooLarge)
	}
	return os.ReadFile(file)
}

func openStorage(dir string) *filesystem.Storage {
	return filesystem.NewStorageWithOptions(osfs.New(dir, osfs.WithBoundOS()), cache.NewObjectLRU(cacheSize),
		filesystem.Options{KeepDescriptors: true, LargeObjectThreshold: MaxBlob})
}

func openMirror(dir string, branch plumbing.ReferenceName) (*mirror, error) {
	data, err := readSmall(filepath.Join(dir, filepath.FromSlash(branch.String())))
	if err != nil {
		return nil, err
	}
	tip, ok := hashOf(strings.TrimSpace(string(data)))
	if !ok {
		return nil, fmt.Errorf("read the mirror's branch: %w", ErrDamaged)
	}
	return &mirror{dir: dir, st: openStorage(dir), tip: tip}, nil
}

// forget lets the packs' indexes be read again after an error that they may have come to:
// go-git keeps what it had read of them until then, and all that is in the rest would be
// taken for absent.
func (m *mirror) forget(err error) {
	var disk *fs.PathError
	if errors.Is(err, ErrDamaged) || errors.As(err, &disk) {
		m.st.Reindex()
	}
}

// hashOf parses a full id.
func hashOf(s string) (plumbing.Hash, bool) {
	if !plumbing.IsHash(s) || len(s) != 40 || strings.ToLower(s) != s {
		return plumbing.ZeroHash, false
	}
	h := plumbing.NewHash(s)
	return h, !h.IsZero()
}

// makeMirror makes an empty bare repository.
func makeMirror(dir string, is identity) error {
	st := openStorage(dir)
	if _, err := git.InitWithOptions(st, nil, git.InitOptions{DefaultBranch: plumbing.ReferenceName(is.Branch)}); err != nil {
		return fmt.Errorf("make a repository: %w", errors.Join(err, st.Close()))
	}
	if err := st.Close(); err != nil {
		return fmt.Errorf("make a repository: %w", err)
	}
	if err := os.MkdirAll(packDir(dir), 0o700); err != nil {
		return fmt.Errorf("make a repository: %w", err)
	}
	data, err := json.MarshalIndent(is, "", "  ")
	if err != nil {
		return fmt.Errorf("describe the mirror: %w", err)
	}
	return writeFile(filepath.Join(dir, identityFile), append(data, '\n'))
}

// writeFile replaces a file in one step.
func writeFile(file string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(file), err)
	}
	f, err := os.CreateTemp(filepath.Dir(file), tmpPrefix)
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(file), err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(file), errors.Join(err, os.Remove(f.Name())))
	}
	return syncDir(filepath.Dir(file))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync %s: %w", filepath.Base(dir), err)
	}
	return nil
}

// merge writes all packs as one when there are many, and removes them.
func merge(dir string) error {
	st := openStorage(dir)
	defer st.Close()
	packs, err := st.ObjectPacks()
	if err != nil {
		return fmt.Errorf("list packs: %w", err)
	}
	if len(packs) <= maxPacks {
		return nil
	}
	it, err := st.IterEncodedObjects(plumbing.AnyObject)
	if err != nil {
		return fmt.Errorf("list objects: %w", err)
	}
	seen := map[plumbing.Hash]bool{}
	var all []plumbing.Hash
	err = it.ForEach(func(o plumbing.EncodedObject) error {
		if h := o.Hash(); !seen[h] {
			seen[h] = true
			all = append(all, h)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("list objects: %w", err)
	}
	slices.SortFunc(all, func(a, b plumbing.Hash) int { return strings.Compare(string(a[:]), string(b[:])) })
	q, err := newQuarantine(dir, maxPack)
	if err != nil {
		return err
	}
	defer q.discard()
	if err := q.encode(st, all); err != nil {
		return err
	}
	if err := q.index(); err != nil {
		return err
	}
	if err := q.install(); err != nil {
		return err
	}
	for _, h := range packs {
		if h == q.checksum {
			continue
		}
		base := filepath.Join(packDir(dir), "pack-"+h.String())
		if err := errors.Join(os.Remove(base+".pack"), os.Remove(base+".idx")); err != nil {
			return fmt.Errorf("remove a pack: %w", err)
		}
	}
	return nil
}
