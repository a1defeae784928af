//go:build linux

package bolt

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/store"
)

// killed runs a child until it printed so many lines, and kills it a little later.
func killed(t *testing.T, role, path string, lines int, later time.Duration) {
	t.Helper()
	c := child(t, role, path)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	n := 0
	var kill *time.Timer
	for scan := bufio.NewScanner(out); scan.Scan(); {
		if n++; n == lines {
			kill = time.AfterFunc(later, func() { _ = c.Process.Kill() }) // gone already is as good
		}
	}
	err = c.Wait()
	if kill != nil {
		kill.Stop()
	}
	if n < lines {
		t.Fatalf("%s: the child ended by itself after %d lines: %v", role, n, err)
	}
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// childBacksUp writes and backs up until it is killed.
func childBacksUp(path string) {
	s := childOpen(path)
	at := clock()
	s.now = func() time.Time { return at }
	for i := 0; ; i++ {
		fail(s.Update(func(tx store.Tx) error {
			return errors.Join(tx.Put(bucket, fmt.Sprint("key", i), strings.Repeat("x", 5000)), tx.Put("names", "last", i))
		}))
		_, err := s.BackupInto(filepath.Join(filepath.Dir(path), "backups"), 3)
		fail(err)
		fmt.Println(i)
		at = at.Add(time.Second)
	}
}

// C17: whoever is killed in the middle of a backup has a state that opens, and only
// backups that do.
func TestS34KilledInABackup(t *testing.T) {
	o := options(t)
	dir := filepath.Join(filepath.Dir(o.Path), "backups")
	for round := range 5 {
		killed(t, "backup", o.Path, 4, time.Duration(round)*700*time.Microsecond)
		s, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.Verify(), s.Close()); err != nil {
			t.Error(err)
		}
		whole, _, err := backups(dir, s.keys, s.now())
		if err != nil || len(whole) < 3 {
			t.Fatalf("%v %v", whole, err)
		}
		for _, name := range whole {
			if _, err := CheckBackup(filepath.Join(dir, name), o.Keys); err != nil {
				t.Errorf("round %d: %v", round, err)
			}
		}
	}
}

// childRestores puts two backups in the state's place in turn until it is killed.
func childRestores(path string) {
	keys := testKeys(&testing.T{})
	for i := 0; ; i++ {
		kept, err := Replace(path+[]string{".a", ".b"}[i%2], path, keys)
		fail(err)
		fmt.Println(i)
		fail(os.Remove(kept))
	}
}

// C17: whoever is killed in the middle of a restore has the old state or the new one,
// whole; or none in its place, both beside it, and a program that says so.
func TestS34KilledInARestore(t *testing.T) {
	o := options(t)
	for _, name := range []string{"a", "b"} {
		s, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		put(t, s, "who", name+strings.Repeat(" and more", 2000))
		if err := errors.Join(s.BackupTo(o.Path+"."+name), s.Close()); err != nil {
			t.Fatal(err)
		}
	}
	for round := range 6 {
		killed(t, "restore", o.Path, 3, time.Duration(round)*900*time.Microsecond)
		s, err := Open(o)
		if errors.Is(err, ErrMissing) { // between the two renames
			if err := Restore(o.Path+".a", o.Path, o.Keys); err != nil {
				t.Fatal(err)
			}
			s, err = Open(o)
		}
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if v, err := get(s, "who"); err != nil || (v[0] != 'a' && v[0] != 'b') {
			t.Errorf("round %d: %.10q %v", round, v, err)
		}
		if !restored(t, s) {
			t.Errorf("round %d: not known for a copy that came back", round)
		}
		if err := errors.Join(s.Verify(), s.Close()); err != nil {
			t.Error(err)
		}
		left, err := filepath.Glob(o.Path + ".replaced-*")
		if err != nil {
			t.Fatal(err)
		}
		for _, kept := range left {
			if err := errors.Join(verifyFile(kept, o.Keys), os.Remove(kept)); err != nil {
				t.Errorf("round %d: what was there: %v", round, err)
			}
		}
	}
}

const migrated = 400 // records that the test's migration writes anew

// slowMigration writes every record anew, and says how far it is.
func slowMigration() migration {
	return migration{"slow", func(tx store.Tx) error {
		for i := range migrated {
			key := fmt.Sprintf("key-%04d", i)
			var v string
			if ok, err := tx.Get(bucket, key, &v); err != nil || !ok {
				return fmt.Errorf("%s: %v %w", key, ok, err)
			}
			if err := tx.Put(bucket, key, "new "+v); err != nil {
				return err
			}
			if i%50 == 0 {
				fmt.Println(i)
			}
		}
		return nil
	}}
}

func childMigrates(path string) {
	_, err := Open(Options{Path: path, Keys: testKeys(&testing.T{}), Now: clock, migrations: append(migrations(), slowMigration())})
	fail(err)
	fmt.Println("done")
	select {}
}

// C19: whoever is killed in the middle of a migration has the old schema or the new one,
// never half of it; and the older program refuses the newer one.
func TestS34KilledInAMigration(t *testing.T) {
	newer := append(migrations(), slowMigration())
	was, is := 0, 0
	for round := range 6 {
		o := options(t)
		filled(t, o, migrated)
		killed(t, "migrate", o.Path, 1+round%3*4, time.Duration(round)*time.Millisecond)
		s, err := Open(o)
		if errors.Is(err, ErrNewer) {
			is++
		} else if err != nil {
			t.Fatal(err)
		} else {
			was++
			for i := range migrated {
				if v, err := get(s, fmt.Sprintf("key-%04d", i)); err != nil || strings.HasPrefix(v, "new ") {
					t.Fatalf("round %d: half a migration: %.20q %v", round, v, err)
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		o.migrations = newer
		s = mustOpen(t, o)
		for i := range migrated {
			if v, err := get(s, fmt.Sprintf("key-%04d", i)); err != nil || !strings.HasPrefix(v, "new value") {
				t.Fatalf("round %d: %.20q %v", round, v, err)
			}
		}
	}
	if was+is != 6 {
		t.Errorf("%d old, %d new", was, is)
	}
}
