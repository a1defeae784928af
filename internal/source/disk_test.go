package source

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"github.com/google/go-cmp/cmp"
)

// weak is a filesystem of a machine with too many open files: one of its openings fails.
type weak struct {
	billy.Filesystem
	left   int // openings until that one
	failed bool
}

func (w *weak) open(name string) error {
	w.left--
	if w.left != 0 {
		return nil
	}
	w.failed = true
	return &fs.PathError{Op: "open", Path: name, Err: syscall.EMFILE}
}

func (w *weak) Open(name string) (billy.File, error) {
	if err := w.open(name); err != nil {
		return nil, err
	}
	return w.Filesystem.Open(name)
}

func (w *weak) OpenFile(name string, flag int, perm fs.FileMode) (billy.File, error) {
	if err := w.open(name); err != nil {
		return nil, err
	}
	return w.Filesystem.OpenFile(name, flag, perm)
}

func (w *weak) ReadDir(name string) ([]os.FileInfo, error) {
	if err := w.open(name); err != nil {
		return nil, err
	}
	return w.Filesystem.ReadDir(name)
}

// What the machine denies for a moment is an error of that moment, whichever file it is
// about: nothing is taken for absent, damaged or changed by it, then or later.
func TestWhatTheMachineDeniesIsNoAbsence(t *testing.T) {
	w, first := newWorld(t, begin())
	r := open(t, Options{URL: w.url})
	fetch(t, r)
	second := w.commit(t, map[string]string{"clients/second.yaml": "name: second"}) // in a pack of its own
	fetch(t, r)
	want := content(t, r, second)
	files, err := r.Files(t.Context(), second)
	if err != nil {
		t.Fatal(err)
	}
	asks := map[string]func() error{
		"descends": func() error {
			yes, err := r.Descends(t.Context(), second, first)
			if err == nil && !yes {
				t.Error("the history seems to be rewritten")
			}
			return err
		},
		"fetch": func() error { return r.Fetch(t.Context(), first) },
		"list":  func() error { _, err := r.Files(t.Context(), second); return err },
	}
	for _, f := range files {
		asks[f.Path] = func() error { _, err := r.Blob(t.Context(), f.Blob); return err }
	}
	for what, ask := range asks {
		denied := false
		for nth := 1; ; nth++ {
			if nth > 1000 {
				t.Fatalf("%s: openings without end", what)
			}
			disk := &weak{Filesystem: osfs.New(r.current(), osfs.WithBoundOS()), left: nth}
			if err := r.m.st.Close(); err != nil {
				t.Fatal(err)
			}
			r.m.st = filesystem.NewStorageWithOptions(disk, cache.NewObjectLRU(cacheSize), filesystem.Options{KeepDescriptors: true, LargeObjectThreshold: MaxBlob})
			err := ask()
			if !disk.failed {
				if err != nil {
					t.Errorf("%s: %v", what, err)
				}
				break
			}
			denied = denied || err != nil
			if err != nil && (!errors.Is(err, syscall.EMFILE) || errors.Is(err, ErrNotFound) || errors.Is(err, ErrDamaged)) {
				t.Errorf("%s, opening %d: %v", what, nth, err)
			}
			if err := ask(); err != nil {
				t.Errorf("%s, after opening %d: %v", what, nth, err)
			}
			if d := cmp.Diff(want, content(t, r, second)); d != "" {
				t.Errorf("%s, after opening %d: %s", what, nth, d)
			}
		}
		if !denied {
			t.Errorf("%s: nothing was denied", what)
		}
	}
	if n := r.Stats().Clones; n != 1 || r.damaged.Load() {
		t.Errorf("%d clones", n)
	}
	if left := leftovers(t, filepath.Dir(r.current())); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
