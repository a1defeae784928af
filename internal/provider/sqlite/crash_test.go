package sqlite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// childDir makes the test binary create databases there until it is killed.
const childDir = "SQLITE_TEST_CHILD_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		createForEver(dir)
	}
	os.Exit(m.Run())
}

func createForEver(dir string) {
	p, err := New(Options{Dir: dir})
	for n := 0; err == nil; n++ {
		if _, err = p.Create(context.Background(), database(fmt.Sprintf("shop-%d", n), "ecommerce")); err == nil {
			fmt.Println(n)
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// P5: what can't be read is an error, never an absence.
func TestP5DamageIsNotAbsence(t *testing.T) {
	for name, harm := range map[string]func(path string) error{
		"empty": func(path string) error { return os.Truncate(path, 0) },
		"cut":   func(path string) error { return os.Truncate(path, 6000) },
		"nonsense": func(path string) error {
			return os.WriteFile(path, []byte(strings.Repeat("not a database ", 900)), 0o600)
		},
		"a folder":  func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
		"a link":    func(path string) error { return errors.Join(os.Remove(path), os.Symlink("/etc/hostname", path)) },
		"a copy":    func(path string) error { return os.Rename(filepath.Join(filepath.Dir(path), "other.db"), path) },
		"dead link": func(path string) error { return errors.Join(os.Remove(path), os.Symlink("nowhere", path)) },
	} {
		t.Run(name, func(t *testing.T) {
			p := open2(t, t.TempDir())
			o := create(t, p, database("shop", "ecommerce"))
			create(t, p, database("other", "blog"))
			if err := harm(p.path("shop")); err != nil {
				t.Fatal(err)
			}
			p = open2(t, p.dir)
			for _, q := range []provider.Query{{Kind: state.KindDatabase, ID: o.ID}, {Kind: state.KindDatabase, Name: "shop"}, {Kind: state.KindAdmin, ID: o.ID + "/1"}} {
				found, err := p.Observe(t.Context(), q)
				if len(found) != 0 {
					t.Errorf("found %v", found)
				}
				wantKind(t, err, provider.Invalid)
			}
			_, err := p.Owned(t.Context(), mark.Installation)
			wantKind(t, err, provider.Invalid)
			_, err = p.Create(t.Context(), database("shop", "ecommerce"))
			wantKind(t, err, provider.Invalid)
			_, err = p.Update(t.Context(), o.ID, database("shop", "ecommerce"))
			wantKind(t, err, provider.Invalid)
			wantKind(t, p.Delete(t.Context(), state.KindDatabase, o.ID), provider.Invalid)
			wantKind(t, p.Dump(t.Context(), o.ID, filepath.Join(t.TempDir(), "x")), provider.Invalid)
			if _, err := os.Lstat(p.path("shop")); err != nil {
				t.Errorf("the damaged file is gone: %v", err)
			}
		})
	}
}

// P8: a process that is killed while it makes databases leaves whole ones only.
func TestP8KilledWhileCreating(t *testing.T) {
	dir := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		sub := filepath.Join(dir, fmt.Sprint(round))
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), childDir+"="+sub)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		acknowledged := 0
		for lines := bufio.NewScanner(out); acknowledged < 3+round && lines.Scan(); {
			acknowledged++
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // says that it was killed
		p := open2(t, sub)
		entries, err := os.ReadDir(sub)
		if err != nil {
			t.Fatal(err)
		}
		if acknowledged < 3 || len(entries) < acknowledged+1 { // and the folder of names
			t.Fatalf("%d files of %d databases", len(entries)-1, acknowledged)
		}
		for _, e := range entries {
			if e.IsDir() {
				continue
			}
			stem, ok := strings.CutSuffix(e.Name(), extension)
			if !ok {
				t.Errorf("left behind: %s", e.Name())
				continue
			}
			found := observe(t, p, provider.Query{Kind: state.KindDatabase, Name: stem})
			if len(found) != 1 || found[0].Mark != mark {
				t.Errorf("%s: found %v", stem, found)
				continue
			}
			if n := count(t, asSite(t, found[0]), "SELECT count(*) FROM schema_migrations"); n != len(versions("ecommerce")) {
				t.Errorf("%s: %d migrations", stem, n)
			}
		}
	}
}

// P8: what a killed process left half-done in a database is rolled back at the next
// start, so that the site can read it.
func TestP8AHotJournalIsRolledBack(t *testing.T) {
	dir := t.TempDir()
	p := open2(t, dir)
	o := create(t, p, database("shop", "ecommerce"))
	db, err := open(p.path("shop"), true)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("PRAGMA cache_size = 1"); err != nil { // so that pages reach the file before the commit
		t.Fatal(err)
	}
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	for n := range 200 {
		if _, err := tx.Exec("INSERT INTO products (slug, title, description, price_cents) VALUES (?, 'x', ?, 1)", fmt.Sprint(n), strings.Repeat("x", 2000)); err != nil {
			t.Fatal(err)
		}
	}
	copied := t.TempDir() // the disk as a killed process would leave it
	for _, f := range []string{"shop.db", "shop.db-journal"} {
		data, err := os.ReadFile(filepath.Join(dir, f))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(copied, f), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	p = open2(t, copied)
	if _, err := os.Stat(p.path("shop") + "-journal"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the journal is still there: %v", err)
	}
	found := observe(t, p, provider.Query{Kind: state.KindDatabase, ID: o.ID})
	if len(found) != 1 {
		t.Fatal("not found")
	}
	if n := count(t, asSite(t, found[0]), "SELECT count(*) FROM products"); n != 3 {
		t.Errorf("%d products", n)
	}
}

// P8: what was half-made, and what is left of a deleted database, is cleared away.
func TestP8LeftoversAreSwept(t *testing.T) {
	p := open2(t, t.TempDir())
	o := create(t, p, database("shop", "blog"))
	for _, name := range []string{newPrefix + "1", newPrefix + "1-journal", "gone.db-journal", "gone.db-wal", "shop.db-journal"} {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte("left"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p = open2(t, p.dir)
	files, err := filepath.Glob(filepath.Join(p.dir, "*.*"))
	if err != nil || len(files) > 2 { // SQLite keeps a journal that means nothing until it needs one
		t.Fatalf("left: %v (%v)", files, err)
	}
	if found := observe(t, p, provider.Query{Kind: state.KindDatabase, ID: o.ID}); len(found) != 1 {
		t.Fatalf("found %v", found)
	}
}

// P3: the last step of a create and of a dump puts nothing in the place of another
// file, not even of one that another process made since the look before.
func TestP3PlaceNeverOverwrites(t *testing.T) {
	dir := t.TempDir()
	built, taken := filepath.Join(dir, "built"), filepath.Join(dir, "taken")
	for _, f := range []string{built, taken} {
		if err := os.WriteFile(f, []byte(filepath.Base(f)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := place(built, taken); !errors.Is(err, os.ErrExist) {
		t.Errorf("got %v", err)
	}
	if data, err := os.ReadFile(taken); err != nil || string(data) != "taken" {
		t.Fatalf("it holds %q (%v)", data, err)
	}
	if err := place(built, filepath.Join(dir, "free")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(built); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the built one is still there: %v", err)
	}
}
