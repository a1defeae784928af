package bolt

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	bbolt "go.etcd.io/bbolt"

	"github.com/compassdigital/reconciler/internal/store"
)

// S34: backups by schedule are whole before they bear their name, the newest are kept, and
// nothing else in the folder is touched.
func TestS34BackupInto(t *testing.T) {
	o := options(t)
	now := clock()
	o.Now = func() time.Time { return now }
	s := mustOpen(t, o)
	put(t, s, "key", "value")
	dir := filepath.Join(t.TempDir(), "backups")
	for i := range 5 {
		if i == 2 { // what a killed process left, and what is somebody else's
			for _, name := range []string{"state-20200101T000000Z.backup.part", "state-mine.backup", "state-20200101T000000Z.backup.old", "notes"} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		path, err := s.BackupInto(dir, 3)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := CheckBackup(path, o.Keys); err != nil {
			t.Error(err)
		}
		now = now.Add(time.Hour)
	}
	want := []string{"notes", "state-20200101T000000Z.backup.old", "state-20261124T140000Z.backup", "state-20261124T150000Z.backup", "state-20261124T160000Z.backup", "state-mine.backup"}
	if got := entries(t, dir); !slices.Equal(got, want) {
		t.Errorf("left: %v", got)
	}
	if last, err := LastBackup(dir, o.Keys); err != nil || !last.Equal(now.Add(-time.Hour)) {
		t.Errorf("the last one: %v %v", last, err)
	}
	if last, err := LastBackup(filepath.Join(dir, "nowhere"), o.Keys); err != nil || !last.IsZero() {
		t.Errorf("no folder: %v %v", last, err)
	}
	now = now.Add(-24 * time.Hour) // a clock that was set back
	path, err := s.BackupInto(dir, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the one that was just made was dropped: %v", err)
	}
}

// S34: a backup that does not open counts for nothing, and no good one goes for it.
func TestS34BackupOfADamagedState(t *testing.T) {
	o := options(t)
	now := clock()
	o.Now = func() time.Time { return now }
	s := mustOpen(t, o)
	put(t, s, "key", "value")
	dir := t.TempDir()
	good, err := s.BackupInto(dir, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	alter(t, o.Path, func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(bucket))
		return b.Put([]byte("other"), bytes.Clone(b.Get([]byte("key"))))
	})
	s = mustOpen(t, o)
	now = now.Add(time.Hour)
	if _, err := s.BackupInto(dir, 1); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("a damaged state: %v", err)
	}
	if got := entries(t, dir); !slices.Equal(got, []string{filepath.Base(good)}) {
		t.Errorf("left: %v", got)
	}
	if _, err := CheckBackup(good, o.Keys); err != nil {
		t.Error(err)
	}
}
