package source

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// P8: what a pull request brought may break or go: it is fetched again, and the branch
// knows nothing of it.
func TestP8WhatPullRequestsBroughtIsNeverDamage(t *testing.T) {
	w, base := newWorld(t, begin())
	bare := filepath.Join(w.dir, "clients.git")
	pull := pullOf(t, bare, 1, base, map[string]string{"clients/new.yaml": "name: new"})
	spoil := func(b []byte) []byte {
		for i := 12; i < len(b)-20; i++ {
			b[i] ^= 0x55
		}
		return b
	}
	half := func(b []byte) []byte { return b[:len(b)/2] }
	find := func(r *Repository, ext string) string {
		all, err := filepath.Glob(filepath.Join(packDir(r.pullsPath()), "*."+ext))
		if err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		return all[0]
	}
	for name, harm := range map[string]func(*Repository){
		"spoilt pack":     func(r *Repository) { overwrite(t, find(r, "pack"), spoil) },
		"cut pack":        func(r *Repository) { overwrite(t, find(r, "pack"), half) },
		"no pack":         func(r *Repository) { _ = os.Remove(find(r, "pack")) },
		"spoilt index":    func(r *Repository) { overwrite(t, find(r, "idx"), spoil) },
		"cut index":       func(r *Repository) { overwrite(t, find(r, "idx"), half) },
		"nothing":         func(r *Repository) { _ = os.RemoveAll(packDir(r.pullsPath())) },
		"nothing at all":  func(r *Repository) { _ = os.RemoveAll(r.pullsPath()) },
		"torn identity":   func(r *Repository) { overwrite(t, filepath.Join(r.pullsPath(), identityFile), half) },
		"unfinished pack": func(r *Repository) { overwriteNew(t, filepath.Join(packDir(r.pullsPath()), tmpPrefix+"1")) },
	} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", restart ", restart), func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "mirror")
				o := Options{URL: w.url, Branch: "main", Path: "clients", Dir: dir}
				r, err := Open(o)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = r.Close() }()
				fetch(t, r)
				if err := r.FetchRef(t.Context(), ref(1), pull); err != nil {
					t.Fatal(err)
				}
				if restart {
					if err := r.Close(); err != nil {
						t.Fatal(err)
					}
				} else { // nothing is kept in memory but what was read
					r.closePulls()
					r.openPulls()
				}
				harm(r)
				if restart {
					if r, err = Open(o); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := r.Merge(t.Context(), base, pull); err != nil && !errors.Is(err, ErrNotFound) {
					t.Errorf("what is broken: %v", err)
				}
				if got := content(t, r, base); got["clients/bakery.yaml"] != "name: bakery" {
					t.Error(got)
				}
				if err := r.FetchRef(t.Context(), ref(1), pull); err != nil {
					t.Fatal(err)
				}
				// A file of it may have been read from memory until now.
				m, err := r.Merge(t.Context(), base, pull)
				if errors.Is(err, ErrNotFound) {
					if err := r.FetchRef(t.Context(), ref(1), pull); err != nil {
						t.Fatal(err)
					}
					m, err = r.Merge(t.Context(), base, pull)
				}
				if err != nil || len(m.Changes) != 1 {
					t.Fatalf("%+v %v", m, err)
				}
				if got, err := r.Blob(t.Context(), m.Changes[0].New); err != nil || string(got) != "name: new" {
					t.Error(string(got), err)
				}
				if r.damaged.Load() || r.Stats().Clones > 1 || restart && r.Stats().Clones > 0 {
					t.Errorf("it was taken for damage of the mirror: %+v", r.Stats())
				}
			})
		}
	}
}

// What a pull request brought is there after a restart, and goes when the mirror is
// cloned anew, or is one of another repository.
func TestPullRequestsOfAnotherMirror(t *testing.T) {
	w, base := newWorld(t, begin())
	pull := pullOf(t, filepath.Join(w.dir, "clients.git"), 1, base, map[string]string{"clients/new.yaml": "name: new"})
	o := Options{URL: w.url, Branch: "main", Path: "clients", Dir: filepath.Join(t.TempDir(), "mirror")}
	use := func(url string, f func(r *Repository)) {
		t.Helper()
		o.URL = url
		r, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		f(r)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	use(w.url, func(r *Repository) {
		fetch(t, r)
		if err := r.FetchRef(t.Context(), ref(1), pull); err != nil {
			t.Fatal(err)
		}
	})
	use(w.url, func(r *Repository) {
		if err := r.FetchRef(t.Context(), ref(1), pull); err != nil || r.Stats().Fetches != 0 {
			t.Error(err, r.Stats())
		}
		// The mirror itself breaks: it is cloned anew, and they are fetched again.
		overwrite(t, packs(t, r, "pack")[0], func(b []byte) []byte { return b[:40] })
		_ = r.m.st.Close()
		r.m.st = openStorage(r.current()) // nothing is kept in memory
		m, err := r.Merge(t.Context(), base, pull)
		if errors.Is(err, ErrNotFound) {
			if err := r.FetchRef(t.Context(), ref(1), pull); err != nil {
				t.Fatal(err)
			}
			m, err = r.Merge(t.Context(), base, pull)
		}
		if err != nil || len(m.Changes) != 1 || r.Stats().Clones != 1 {
			t.Errorf("%+v %v %+v", m, err, r.Stats())
		}
	})
	other := work(t, map[string]string{"clients/b.yaml": "name: b"})
	use(other, func(r *Repository) {
		if _, err := r.Parents(t.Context(), pull); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
		fetch(t, r)
		if _, err := r.Parents(t.Context(), pull); !errors.Is(err, ErrNotFound) {
			t.Errorf("it reads another repository's: %v", err)
		}
	})
}

// What the mirror lacks is its damage, though a pull request's read finds it: the mirror is
// cloned anew, and the pull request is fetched again.
func TestDamageFoundByAPullRequest(t *testing.T) {
	for name, later := range map[string]map[string]string{
		"of what the branch shows": {"clients/bakery.yaml": "name: bakery # new"},
		"of older commits alone":   {"README.md": "", "clients/bakery.yaml": "", "clients/ab/abshop.yaml": "", "templates/blog.yaml": "", "platform.yaml": "", "other/x.yaml": "", "clients/z.yaml": "name: z"},
	} {
		t.Run(name, func(t *testing.T) {
			w, first := newWorld(t, begin())
			r := open(t, Options{URL: w.url})
			fetch(t, r)
			old := packs(t, r, "pack")[0]
			pull := pullOf(t, filepath.Join(w.dir, "clients.git"), 1, first, map[string]string{"clients/new.yaml": "name: new"})
			base := w.commit(t, later)
			fetch(t, r)
			if err := r.FetchRef(t.Context(), ref(1), pull); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(os.Remove(old), os.Remove(strings.TrimSuffix(old, "pack")+"idx")); err != nil {
				t.Fatal(err)
			}
			_ = r.m.st.Close()
			r.m.st = openStorage(r.current()) // nothing is kept in memory
			m, err := r.Merge(t.Context(), base, pull)
			for range 2 {
				if !errors.Is(err, ErrNotFound) {
					break
				}
				if err := r.FetchRef(t.Context(), ref(1), pull); err != nil {
					t.Fatal(err)
				}
				m, err = r.Merge(t.Context(), base, pull)
			}
			if err != nil || len(m.Changes) != 1 || r.Stats().Clones != 2 {
				t.Errorf("%+v %v %+v", m, err, r.Stats())
			}
		})
	}
}
