package secret

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/compassdigital/reconciler/internal/state"
)

// A key that is renewed opens what either sealed until it is told that nothing is sealed
// under the old one any more; fingerprints stay for ever; the old file is kept.
func TestRenew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	open := func() *Keys {
		t.Helper()
		k, err := Open(KeySource{File: path})
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	first := open()
	print := first.Fingerprint(state.NewSecret("x"))
	for round := range 3 {
		old := open()
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		sealed := old.Seal("a", []byte("text"))
		k, kept, err := Renew(path)
		if err != nil {
			t.Fatal(err)
		}
		again, keptToo, err := Renew(path) // cut off, and begun once more
		if err != nil || again.Check() != k.Check() || keptToo != kept {
			t.Fatalf("begun again: %v, kept %s and %s", err, kept, keptToo)
		}
		if k.Check() == old.Check() || open().Check() != k.Check() {
			t.Fatal("the key is the old one")
		}
		if copied, err := os.ReadFile(kept); err != nil || !bytes.Equal(copied, before) {
			t.Errorf("round %d: the old file is not kept: %v", round, err)
		}
		if of := open().For(old.Check()); of == nil {
			t.Error("the old key is not known")
		} else if plain, err := of.Open("a", sealed); err != nil || string(plain) != "text" || of.Fingerprint(state.NewSecret("x")) != print {
			t.Errorf("the old key opens %q: %v", plain, err)
		}
		if err := errors.Join(Renewed(path), Renewed(path)); err != nil {
			t.Fatal(err)
		}
		now := open()
		if now.For(old.Check()) != nil || now.For(now.Check()) != now || now.Fingerprint(state.NewSecret("x")) != print {
			t.Error("the old key is known still, or fingerprints changed")
		}
		if _, err := now.Open("a", sealed); !errors.Is(err, ErrWrongKey) {
			t.Errorf("what the old one sealed: %v", err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("its mode is %v: %v", info.Mode(), err)
		}
	}
	if names, err := os.ReadDir(filepath.Dir(path)); err != nil || len(names) != 4 {
		t.Errorf("beside it lie %v: %v", names, err)
	}
}
