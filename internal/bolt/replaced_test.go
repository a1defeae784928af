package bolt

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A backup takes the place of a backup, and of nothing else: not of the state that it is of, nor of
// its key, whose name was given by mistake.
func TestABackupReplacesBackupsOnly(t *testing.T) {
	o := options(t)
	s := mustOpen(t, o)
	put(t, s, "key", "value")
	dir := t.TempDir()
	for path, text := range map[string]string{o.Path: "", filepath.Join(dir, "key"): "reconciler-key/1\n", filepath.Join(dir, "short"): "x"} {
		if text != "" {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		before, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.BackupTo(path); err == nil || !strings.Contains(err.Error(), "name another file") {
			t.Errorf("over %s: %v", path, err)
		}
		if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) {
			t.Errorf("%s was replaced: %v", path, err)
		}
	}
	if err := s.BackupTo(dir); err == nil || !strings.Contains(err.Error(), "is a folder") {
		t.Errorf("over a folder: %v", err)
	}
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a file that mktemp made, and then the backup of yesterday
		if err := s.BackupTo(empty); err != nil {
			t.Error(err)
		}
	}
}
