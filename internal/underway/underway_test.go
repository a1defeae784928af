package underway

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/compassdigital/reconciler/internal/state"
)

// C20: who was begun and not ended is found by whoever opens the folder next, whatever
// the ids look like.
func TestC20MarksAreLeftBehind(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state.db.underway")
	f := Folder(dir)
	if left, err := f.Left(); err != nil || len(left) > 0 {
		t.Fatalf("before the first mark: %v, %v", left, err)
	}
	for _, id := range []state.ClientID{"shop-00a1b2", "..", "a/b", "bäckerei", "shop-00a1b2", "gone-000001"} {
		if err := f.Begin(id); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := f.End("gone-000001"); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"README", "%zz.pass", "%61.pass"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	left, err := Folder(dir).Left()
	if err != nil {
		t.Fatal(err)
	}
	if want := []state.ClientID{"..", "a/b", "bäckerei", "shop-00a1b2"}; !slices.Equal(left, want) {
		t.Errorf("left: %q, want %q", left, want)
	}
	if entries, err := os.ReadDir(filepath.Dir(dir)); err != nil || len(entries) != 1 {
		t.Errorf("beside the folder: %v, %v", entries, err)
	}
}
