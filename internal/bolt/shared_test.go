package bolt

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/secret"
	"github.com/compassdigital/reconciler/internal/state"
)

// S34: two installations that name one folder (production and a trial) keep and drop their own backups there alone.
func TestS34TwoInstallationsInOneBackupFolderKeepTheirOwn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "backups")
	now := clock()
	ours, others := options(t), options(t)
	ours.Now, others.Now = func() time.Time { return now }, func() time.Time { return now }
	var err error
	if others.Keys, err = secret.Open(secret.KeySource{Env: state.NewSecret(strings.Repeat("ab", 32))}); err != nil {
		t.Fatal(err)
	}
	a, b := mustOpen(t, ours), mustOpen(t, others)
	put(t, a, "key", "value")
	put(t, b, "key", "value")
	var made []string
	for range 3 { // a day of ours
		path, err := a.BackupInto(dir, 3)
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, path)
		now = now.Add(8 * time.Hour)
	}
	for range 5 { // an hour of the other
		if _, err := b.BackupInto(dir, 3); err != nil {
			t.Fatal(err)
		}
		now = now.Add(5 * time.Minute)
	}
	for _, path := range made {
		if _, err := CheckBackup(path, ours.Keys); err != nil {
			t.Errorf("ours is gone: %v", err)
		}
	}
}
