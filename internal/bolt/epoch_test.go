package bolt

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/store"
)

// restored says whether the state is noted as one that was put back.
func restored(t testing.TB, s *Store) bool {
	t.Helper()
	var old bool
	if err := s.View(func(tx store.Tx) (err error) {
		_, old, err = store.Restored(tx)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return old
}

// writeOnce opens the state, writes one record and closes it.
func writeOnce(t testing.TB, o Options, key string) {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if restored(t, s) {
		t.Errorf("%s: taken for an older copy", key)
	}
	put(t, s, key, "value")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// S34: a copy that comes back after the state was written to is an older one, however it
// comes back; a state that was only opened, or written to and cut off before its marker
// was, is not.
func TestS34OlderCopyIsRecognised(t *testing.T) {
	o := options(t)
	writeOnce(t, o, "first")
	copied, err := os.ReadFile(o.Path)
	if err != nil {
		t.Fatal(err)
	}
	marker, err := os.ReadFile(Marker(o.Path))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // opened, and nothing written
		s, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		if restored(t, s) || s.Stats().Syncs > 0 {
			t.Error("an open state was taken for an older copy, or written to")
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	writeOnce(t, o, "second")
	if err := os.WriteFile(o.Path, copied, 0o600); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, o)
	if !restored(t, s) {
		t.Error("an older copy was not recognised")
	}
	if _, err := get(s, "second"); err == nil {
		t.Error("it is no older copy")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s = mustOpen(t, o); !restored(t, s) {
		t.Error("it was forgotten before anybody looked")
	}
	if err := errors.Join(s.Update(store.DeleteRestored), s.Close()); err != nil {
		t.Fatal(err)
	}
	writeOnce(t, o, "third")
	// Cut off between the commit and the marker: nothing is known of older copies then,
	// and the state is no older one itself.
	if err := os.WriteFile(Marker(o.Path), marker, 0o600); err != nil {
		t.Fatal(err)
	}
	writeOnce(t, o, "fourth")
	if epoch, err := readEpoch(Marker(o.Path)); err != nil || epoch < 4 {
		t.Errorf("the marker says %d (%v)", epoch, err)
	}
}

// S34: a backup that is restored is an older copy, also where nothing was written since,
// and where there was no state.
func TestS34RestoredBackupIsRecognised(t *testing.T) {
	o := options(t)
	s := mustOpen(t, o)
	put(t, s, "first", "value")
	backup := filepath.Join(t.TempDir(), "b")
	if err := errors.Join(s.BackupTo(backup), s.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Replace(backup, o.Path, o.Keys); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, o)
	if !restored(t, s) {
		t.Error("in its own place")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	elsewhere := o
	elsewhere.Path = filepath.Join(t.TempDir(), "state.db")
	if err := Restore(backup, elsewhere.Path, o.Keys); err != nil {
		t.Fatal(err)
	}
	if s = mustOpen(t, elsewhere); !restored(t, s) {
		t.Error("elsewhere")
	}
}

// S43: a state that is expected and gone is made anew only for whoever says so, and is no
// older copy then.
func TestS43Anew(t *testing.T) {
	o := options(t)
	writeOnce(t, o, "first")
	if err := os.Remove(o.Path); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(o); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "reconciler rebuild") {
		t.Errorf("open: %v", err)
	}
	o.Anew = true
	writeOnce(t, o, "again")
	s := mustOpen(t, o)
	if err := errors.Join(s.Update(store.DeleteUnfilled), s.Close()); err != nil { // see TestS43OpenUnfilled
		t.Fatal(err)
	}
	o.Anew = false
	writeOnce(t, o, "and again")
}
