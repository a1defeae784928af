package source

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// errPulls says that an object of a pull request is broken or missing.
var errPulls = errors.New("an object of a pull request is broken")

// Whoever calls what is below holds reading, or is alone.

func (r *Repository) pullsPath() string { return filepath.Join(r.dir, pullsDir) }

// openPulls opens what pull requests brought before, when it is of this mirror.
func (r *Repository) openPulls() {
	if !exists(r.pullsPath()) {
		return
	}
	data, err := readSmall(filepath.Join(r.pullsPath(), identityFile))
	var is identity
	if err != nil || json.Unmarshal(data, &is) != nil || is != r.identity() {
		r.dropPulls()
		return
	}
	// Packs are opened when they are read: there are many, and each is read seldom.
	r.pulls = filesystem.NewStorageWithOptions(osfs.New(r.pullsPath(), osfs.WithBoundOS()), cache.NewObjectLRU(cacheSize),
		filesystem.Options{LargeObjectThreshold: MaxBlob})
}

func (r *Repository) closePulls() {
	if r.pulls != nil {
		_ = r.pulls.Close() // it was only read
		r.pulls = nil
	}
}

// dropPulls forgets what pull requests brought: FetchRef brings it again. What the disk
// doesn't let go is not opened, since its identity goes first.
func (r *Repository) dropPulls() {
	r.closePulls()
	_ = os.Remove(filepath.Join(r.pullsPath(), identityFile))
	_ = os.RemoveAll(r.pullsPath())
}

// keepPull installs a pull request's pack beside the others, and lets the oldest go
// when there are too many.
func (r *Repository) keepPull(q *quarantine) error {
	if r.pulls == nil || !exists(packDir(r.pullsPath())) {
		r.dropPulls()
		if err := makeMirror(r.pullsPath(), r.identity()); err != nil {
			return err
		}
	}
	r.closePulls()
	defer r.openPulls()
	q.dir = r.pullsPath()
	if err := q.install(); err != nil {
		return err
	}
	return evict(packDir(q.dir), maxPullPacks, maxPullsSize)
}

// evict removes the oldest packs of a folder until no more than so many, of no more
// than so many bytes, are left; never the newest. Each pack of a pull request is whole
// beside the mirror, so that none needs another.
func evict(dir string, most int, size int64) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("list packs: %w", err)
	}
	type pack struct {
		base string
		size int64
		at   int64
	}
	var all []pack
	var sum int64
	for _, e := range entries {
		base, is := strings.CutSuffix(e.Name(), ".pack")
		if !is {
			continue
		}
		fi, err := e.Info()
		if err != nil {
			return fmt.Errorf("list packs: %w", err)
		}
		all = append(all, pack{base, fi.Size(), fi.ModTime().UnixNano()})
		sum += fi.Size()
	}
	slices.SortFunc(all, func(a, b pack) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.base, b.base)) })
	for len(all) > 1 && (len(all) > most || sum > size) {
		base := filepath.Join(dir, all[0].base)
		if err := errors.Join(os.Remove(base+".pack"), os.Remove(base+".idx")); err != nil {
			return fmt.Errorf("remove a pack: %w", err)
		}
		sum -= all[0].size
		all = all[1:]
	}
	return nil
}

// blame sorts an error of a read that came by objects of pull requests: errPulls when
// it is theirs, ErrDamaged when it is the mirror's. What is in neither may be missing
// in both; the mirror is looked through then.
func (r *Repository) blame(in reader, err error) error {
	if !errors.Is(err, ErrDamaged) || errors.Is(err, errPulls) {
		return err
	}
	if !errors.Is(err, plumbing.ErrObjectNotFound) {
		return err // it is there, and in the mirror
	}
	own := reader{st: in.st, count: in.count}
	for _, h := range append([]plumbing.Hash{r.m.tip}, in.trail.roots...) {
		if err := r.complete(own, plumbing.ZeroHash, h); errors.Is(err, ErrDamaged) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", errPulls, plumbing.ErrObjectNotFound)
}
