package source

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func packs(t *testing.T, r *Repository, ext string) []string {
	t.Helper()
	out, err := filepath.Glob(filepath.Join(packDir(r.current()), "*."+ext))
	if err != nil || len(out) == 0 {
		t.Fatalf("no %s files: %v", ext, err)
	}
	return out
}

func overwrite(t *testing.T, file string, change func([]byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, change(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

// harms are what can happen to a mirror on disk.
func harms(t *testing.T, r *Repository) map[string]func() {
	half := func(b []byte) []byte { return b[:len(b)/2] }
	spoil := func(b []byte) []byte {
		for i := 12; i < len(b)-20; i++ {
			b[i] ^= 0x55
		}
		return b
	}
	remove := func(p string) {
		if err := os.RemoveAll(p); err != nil {
			t.Fatal(err)
		}
	}
	branch := filepath.Join(r.current(), "refs", "heads", "main")
	return map[string]func(){
		"truncated pack":     func() { overwrite(t, packs(t, r, "pack")[0], half) },
		"spoilt pack":        func() { overwrite(t, packs(t, r, "pack")[0], spoil) },
		"missing pack":       func() { remove(packs(t, r, "pack")[0]) },
		"truncated index":    func() { overwrite(t, packs(t, r, "idx")[0], half) },
		"spoilt index":       func() { overwrite(t, packs(t, r, "idx")[0], spoil) },
		"missing index":      func() { remove(packs(t, r, "idx")[0]) },
		"no objects":         func() { remove(filepath.Join(r.current(), "objects")) },
		"no branch":          func() { remove(branch) },
		"torn branch":        func() { overwrite(t, branch, half) },
		"unknown branch":     func() { overwrite(t, branch, func([]byte) []byte { return []byte(strings.Repeat("4", 40) + "\n") }) },
		"no identity":        func() { remove(filepath.Join(r.current(), identityFile)) },
		"torn identity":      func() { overwrite(t, filepath.Join(r.current(), identityFile), half) },
		"a file in its way":  func() { remove(r.current()); overwriteNew(t, r.current()) },
		"an unfinished pack": func() { overwriteNew(t, filepath.Join(packDir(r.current()), tmpPrefix+"123")) },
		"an index alone":     func() { overwriteNew(t, filepath.Join(packDir(r.current()), "pack-"+strings.Repeat("5", 40)+".idx")) },
		"an unfinished clone": func() {
			if err := os.MkdirAll(filepath.Join(r.dir, newPrefix+"1", "objects"), 0o700); err != nil {
				t.Fatal(err)
			}
		},
		"a clone not swapped in": func() {
			if err := os.Rename(r.current(), filepath.Join(r.dir, oldPrefix+"1")); err != nil {
				t.Fatal(err)
			}
		},
	}
}

func overwriteNew(t *testing.T, file string) {
	t.Helper()
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// P8: whatever happened to the mirror, the next start reads the same world.
func TestP8DamageBeforeAStart(t *testing.T) {
	w, first := newWorld(t, begin())
	probe := open(t, Options{URL: w.url})
	want := content(t, probe, fetch(t, probe))
	for name := range harms(t, probe) {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "mirror")
			r, err := Open(Options{URL: w.url, Branch: "main", Path: "clients", Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			fetch(t, r)
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			harms(t, r)[name]()
			again := open(t, Options{URL: w.url, Dir: dir})
			if got := fetch(t, again); got != first {
				t.Fatal(got)
			}
			if d := cmp.Diff(want, content(t, again, first)); d != "" {
				t.Error(d)
			}
			if left := leftovers(t, dir); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
			// And it stays whole.
			if err := again.Fetch(t.Context(), first); err != nil || again.damaged.Load() {
				t.Errorf("damaged again: %v", err)
			}
		})
	}
}

// A mirror that breaks while it is used: reads give what is right or an error, and are
// right again once the repository answers.
func TestDamageWhileRunning(t *testing.T) {
	w, first := newWorld(t, begin())
	probe := open(t, Options{URL: w.url})
	want := content(t, probe, fetch(t, probe))
	for _, name := range []string{"truncated pack", "spoilt pack", "missing pack", "no objects"} {
		t.Run(name, func(t *testing.T) {
			r := open(t, Options{URL: w.url})
			fetch(t, r)
			harms(t, r)[name]()
			// A storage that was opened anew, with nothing in memory.
			if err := r.m.st.Close(); err != nil {
				t.Fatal(err)
			}
			r.m.st = openStorage(r.current())
			got, err := r.Files(t.Context(), first)
			if err == nil {
				if d := cmp.Diff(want, content(t, r, first)); d != "" || len(got) != len(want) {
					t.Errorf("%d files: %s", len(got), d)
				}
				return
			}
			// The pack's list is what is gone: the commit is not known.
			if !errors.Is(err, ErrNotFound) {
				t.Fatal(err)
			}
			if err := r.Fetch(t.Context(), first); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, content(t, r, first)); d != "" {
				t.Error(d)
			}
		})
	}
	t.Run("and the repository is gone", func(t *testing.T) {
		dir := work(t, begin())
		r := open(t, Options{URL: dir})
		head := fetch(t, r)
		harms(t, r)["spoilt pack"]()
		if err := r.m.st.Close(); err != nil {
			t.Fatal(err)
		}
		r.m.st = openStorage(r.current())
		if err := os.Rename(dir, dir+"-away"); err != nil {
			t.Fatal(err)
		}
		if files, err := r.Files(t.Context(), head); !errors.Is(err, ErrDamaged) || !errors.Is(err, ErrNoRepository) {
			t.Errorf("%v, %v", files, err)
		}
		if err := r.Fetch(t.Context(), head); !errors.Is(err, ErrNoRepository) {
			t.Error(err)
		}
		if err := os.Rename(dir+"-away", dir); err != nil {
			t.Fatal(err)
		}
		if files, err := r.Files(t.Context(), head); err != nil || len(files) != 4 {
			t.Errorf("%v, %v", files, err)
		}
	})
}

// The repository itself lacks something: it is told, each time, and nothing is taken.
func TestMissingObjectsAtTheRepository(t *testing.T) {
	for _, what := range []string{"HEAD:clients/a.yaml", "HEAD:clients", "HEAD^{tree}", "HEAD~1"} {
		t.Run(what, func(t *testing.T) {
			dir := work(t, map[string]string{"clients/a.yaml": "name: a"})
			save(t, dir, map[string]string{"clients/b.yaml": "name: b"})
			h := run(t, dir, "rev-parse", what)
			file := filepath.Join(dir, ".git", "objects", h[:2], h[2:])
			if err := os.Rename(file, file+"-away"); err != nil {
				t.Fatal(err)
			}
			r := open(t, Options{URL: dir})
			head, err := r.Poll(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := r.Fetch(t.Context(), head); !errors.Is(err, ErrBadPack) || errors.Is(err, ErrDamaged) {
					t.Errorf("without %s: %v", what, err)
				}
			}
			if left := leftovers(t, r.dir); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
			if err := os.Rename(file+"-away", file); err != nil {
				t.Fatal(err)
			}
			if got := content(t, r, fetch(t, r)); len(got) != 2 {
				t.Error(got)
			}
		})
	}
}

// A mirror of another URL or branch is never read, and comes back if nothing was fetched.
func TestAnotherRepository(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mirror")
	a, b := work(t, map[string]string{"clients/a.yaml": "name: a"}), work(t, map[string]string{"clients/b.yaml": "name: b"})
	use := func(url, branch string, f func(*Repository)) {
		r, err := Open(Options{URL: url, Branch: branch, Path: "clients", Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		f(r)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	var first, other string
	use(a, "main", func(r *Repository) { first = fetch(t, r) })
	use(b, "main", func(r *Repository) {
		if _, err := r.Files(t.Context(), first); !errors.Is(err, ErrNotFound) {
			t.Errorf("it reads the other repository: %v", err)
		}
	})
	use(a, "main", func(r *Repository) {
		if got := content(t, r, first); got["clients/a.yaml"] == "" || r.Stats().Clones != 0 {
			t.Error(got)
		}
	})
	use(b, "main", func(r *Repository) {
		other = fetch(t, r)
		if got := content(t, r, other); len(got) != 1 || got["clients/b.yaml"] == "" {
			t.Error(got)
		}
		if yes, err := r.Descends(t.Context(), other, first); err != nil || yes {
			t.Errorf("descends from the other's head: %v, %v", yes, err)
		}
		if _, err := r.Diff(t.Context(), first, other); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
	})
	run(t, b, "branch", "stage/one")
	use(b, "stage/one", func(r *Repository) {
		if got := fetch(t, r); got != other {
			t.Error(got)
		}
	})
	if _, err := os.Stat(filepath.Join(dir, currentDir, "HEAD")); err != nil {
		t.Error(err)
	}
	if out := run(t, filepath.Join(dir, currentDir), "fsck", "--full"); strings.Contains(out, "missing") {
		t.Error(out)
	}
}

// Many fetches stay a bounded number of packs, and lose nothing.
func TestPacksAreMerged(t *testing.T) {
	dir := work(t, map[string]string{"clients/a.yaml": "name: a"})
	r := open(t, Options{URL: dir})
	first := fetch(t, r)
	run(t, dir, "checkout", "-q", "--orphan", "fresh")
	run(t, dir, "branch", "-q", "-D", "main")
	run(t, dir, "checkout", "-q", "-b", "main")
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Unix()
	for i := range maxPacks + 2 {
		from := ""
		if i > 0 {
			from = "from refs/heads/main^0\n"
		}
		feed(t, dir, fmt.Sprintf("commit refs/heads/main\ncommitter Ada <ada@people.example> %d +0000\ndata 1\nx\n%sM 100644 inline clients/a.yaml\ndata 2\n%02d\n", at+int64(i), from, i))
		fetch(t, r)
	}
	if n := len(packs(t, r, "pack")); n > maxPacks {
		t.Errorf("%d packs", n)
	}
	if len(packs(t, r, "pack")) != len(packs(t, r, "idx")) {
		t.Error("packs and indexes differ in number")
	}
	if got := content(t, r, first); got["clients/a.yaml"] != "name: a" {
		t.Errorf("the rewritten commit is lost: %v", got)
	}
	if r.Stats().Clones != 1 {
		t.Error("it cloned again")
	}
	run(t, r.current(), "fsck", "--full", "--strict")
}
