package bolt

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/compassdigital/reconciler/internal/secret"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

func backupFile(t *testing.T, s *Store) string {
	t.Helper()
	var b bytes.Buffer
	if err := s.Backup(&b); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "backup")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func wantValue(t *testing.T, o Options, key, want string) {
	t.Helper()
	s := mustOpen(t, o)
	if v, err := get(s, key); err != nil || v != want {
		t.Errorf("%s: %q %v, want %q", key, v, err, want)
	}
	if err := errors.Join(s.Verify(), s.Close()); err != nil {
		t.Error(err)
	}
}

func entries(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range list {
		out = append(out, e.Name())
	}
	return out
}

func TestBackupAndRestore(t *testing.T) {
	o := options(t)
	s := mustOpen(t, o)
	put(t, s, "a", "at the backup")
	backup := backupFile(t, s)
	put(t, s, "a", "later")

	info, err := CheckBackup(backup, o.Keys)
	if err != nil || info.Schema != len(migrations()) || !info.At.Equal(clock()) {
		t.Errorf("%+v %v", info, err)
	}
	if left := entries(t, filepath.Dir(backup)); len(left) != 1 {
		t.Errorf("checking left %v", left)
	}
	to := o
	to.Path = filepath.Join(t.TempDir(), "new", "state.db")
	if err := Restore(backup, to.Path, o.Keys); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(to.Path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	wantValue(t, to, "a", "at the backup")

	// A state that is there stays, unless it may be replaced; then it is kept.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Restore(backup, o.Path, o.Keys); !errors.Is(err, ErrExists) {
		t.Errorf("over a state: %v", err)
	}
	wantValue(t, o, "a", "later")
	kept, err := Replace(backup, o.Path, o.Keys)
	if err != nil || kept != o.Path+".replaced-1" {
		t.Fatalf("%q %v", kept, err)
	}
	wantValue(t, o, "a", "at the backup")
	before := o
	before.Path = kept
	wantValue(t, before, "a", "later")
	// The way out of a state that is gone.
	if err := os.Remove(o.Path); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(o); !errors.Is(err, ErrMissing) {
		t.Fatal(err)
	}
	if err := Restore(backup, o.Path, o.Keys); err != nil {
		t.Fatal(err)
	}
	wantValue(t, o, "a", "at the backup")
}

// TestRestoreRefuses: what is not a whole backup under this key changes nothing.
func TestRestoreRefuses(t *testing.T) {
	o := options(t)
	s := mustOpen(t, o)
	put(t, s, "a", "v")
	good, err := os.ReadFile(backupFile(t, s))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	other, err := secret.Open(secret.KeySource{Env: state.NewSecret(strings.Repeat("ab", 32))})
	if err != nil {
		t.Fatal(err)
	}
	flip := func(at int) []byte { b := bytes.Clone(good); b[at] ^= 4; return b }
	raw, err := os.ReadFile(o.Path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		data []byte
		keys *secret.Keys
		want error
	}{
		{"empty", nil, o.Keys, ErrForeign},
		{"foreign", []byte("PK\x03\x04 something else entirely"), o.Keys, ErrForeign},
		{"a state, not a backup", raw, o.Keys, ErrForeign},
		{"newer", []byte(strings.Replace(string(good), "backup/1", "backup/2", 1)), o.Keys, ErrForeign},
		{"head cut", good[:40], o.Keys, store.ErrDamaged},
		{"cut", good[:len(good)/2], o.Keys, store.ErrDamaged},
		{"checksum cut", good[:len(good)-10], o.Keys, store.ErrDamaged},
		{"longer", append(bytes.Clone(good), "x"...), o.Keys, store.ErrDamaged},
		{"flipped early", flip(2000), o.Keys, store.ErrDamaged},
		{"flipped late", flip(len(good) - 4000), o.Keys, store.ErrDamaged},
		{"another key", good, other, secret.ErrWrongKey},
	} {
		from, to := filepath.Join(t.TempDir(), "backup"), filepath.Join(t.TempDir(), "state.db")
		if err := os.WriteFile(from, c.data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Restore(from, to, c.keys); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if left := entries(t, filepath.Dir(to)); len(left) != 1 || left[0] != "state.db.lock" {
			t.Errorf("%s left %v", c.name, left)
		}
		if _, err := CheckBackup(from, c.keys); !errors.Is(err, c.want) {
			t.Errorf("%s: check: %v, want %v", c.name, err, c.want)
		}
	}
	if err := Restore(filepath.Join(t.TempDir(), "none"), filepath.Join(t.TempDir(), "state.db"), o.Keys); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no backup: %v", err)
	}
}

// TestBackupOfDamage: a backup of a state with a damaged record is found out before
// it is put anywhere.
func TestBackupOfDamage(t *testing.T) {
	o := options(t)
	filled(t, o, 3)
	sealed := sealedAt(t, o.Path, bucket, "key-0001")
	file, err := os.ReadFile(o.Path)
	if err != nil {
		t.Fatal(err)
	}
	file[bytes.Index(file, sealed)+30] ^= 1
	if err := os.WriteFile(o.Path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	backup := backupFile(t, mustOpen(t, o))
	if err := Restore(backup, filepath.Join(t.TempDir(), "state.db"), o.Keys); !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), "key-0001") {
		t.Errorf("restored: %v", err)
	}
}

// TestBackupWhileWriting: a backup is of one moment, and nobody waits for it.
func TestBackupWhileWriting(t *testing.T) {
	o := options(t)
	s := mustOpen(t, o)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			err := s.Update(func(tx store.Tx) error {
				return errors.Join(tx.Put(bucket, "left", fmt.Sprint(n)), tx.Put("names", "right", fmt.Sprint(n)), tx.Put(bucket, fmt.Sprint("fill", n%500), strings.Repeat("x", 900)))
			})
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 5 {
		backup := backupFile(t, s)
		to := o
		to.Path = filepath.Join(t.TempDir(), "state.db")
		if err := Restore(backup, to.Path, o.Keys); err != nil {
			t.Fatal(err)
		}
		restored := mustOpen(t, to)
		left, _ := get(restored, "left")
		var right string
		if err := restored.View(func(tx store.Tx) error { _, err := tx.Get("names", "right", &right); return err }); err != nil || left != right {
			t.Errorf("%q beside %q: %v", left, right, err)
		}
	}
	if err := s.Verify(); err != nil { // beside the writer
		t.Error(err)
	}
	close(stop)
	wg.Wait()
}

// failing refuses bytes after some.
type failing struct{ left int }

func (f *failing) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errors.New("line went dead")
	}
	return len(p), nil
}

func TestBackupToABrokenWriter(t *testing.T) {
	s := mustOpen(t, options(t))
	put(t, s, "a", "v")
	for _, n := range []int{0, 30, 5000, 20000} {
		if err := s.Backup(&failing{n}); err == nil {
			t.Errorf("after %d bytes: no error", n)
		}
	}
	put(t, s, "a", "w") // the store goes on
}
