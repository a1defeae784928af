package bolt

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/compassdigital/reconciler/internal/secret"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// onDisk are a folder's files.
func onDisk(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		info, failed := e.Info()
		if err != nil || failed != nil {
			t.Fatal(err, failed)
		}
		out[e.Name()] = info.ModTime().String() + string(data)
	}
	return out
}

// A look tells what an Open would meet, and leaves every byte as it is.
func TestLook(t *testing.T) {
	o := options(t)
	dir := filepath.Dir(o.Path)
	looks := func(what string, keys *secret.Keys, want Glance, is error) {
		t.Helper()
		before := onDisk(t, dir)
		g, err := Look(o.Path, keys)
		if want.Size = g.Size; is != nil {
			want.Old = g.Old
		}
		if g != want || !errors.Is(err, is) || is == nil && err != nil {
			t.Errorf("%s: %+v, %v", what, g, err)
		}
		if !maps.Equal(before, onDisk(t, dir)) {
			t.Errorf("%s: something was changed", what)
		}
	}
	looks("nothing", o.Keys, Glance{}, nil)
	writeOnce(t, o, "first")
	looks("sound", o.Keys, Glance{There: true}, nil)
	copied, err := os.ReadFile(o.Path)
	if err != nil {
		t.Fatal(err)
	}
	writeOnce(t, o, "second")
	other, err := secret.Open(secret.KeySource{Env: state.NewSecret("QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=")})
	if err != nil {
		t.Fatal(err)
	}
	looks("another key", other, Glance{There: true}, secret.ErrWrongKey)
	if err := os.WriteFile(o.Path, copied, 0o600); err != nil {
		t.Fatal(err)
	}
	looks("an older copy", o.Keys, Glance{There: true, Old: true}, nil)
	broken := append([]byte(nil), copied...)
	for i := 8 << 10; i < len(broken); i += 128 {
		broken[i] ^= 0xff
	}
	if err := os.WriteFile(o.Path, broken, 0o600); err != nil {
		t.Fatal(err)
	}
	looks("damaged", o.Keys, Glance{There: true}, store.ErrDamaged)
	if err := os.WriteFile(o.Path, []byte("a text of somebody's"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := onDisk(t, dir)
	if _, err := Look(o.Path, o.Keys); err == nil || !maps.Equal(before, onDisk(t, dir)) {
		t.Errorf("no state: %v", err)
	}
	if err := os.Remove(o.Path); err != nil {
		t.Fatal(err)
	}
	looks("gone", o.Keys, Glance{}, ErrMissing)
}

// Who holds a state is told, while a look goes on beside nobody.
func TestLookAtAHeldState(t *testing.T) {
	o := options(t)
	s := mustOpen(t, o)
	put(t, s, "a", "b")
	var held *HeldError
	if _, err := Look(o.Path, o.Keys); !errors.As(err, &held) || held.Holder != Holder(o.Path) || held.Holder == "another process" {
		t.Errorf("%v", err)
	}
	if v, err := get(s, "a"); err != nil || v != "b" {
		t.Errorf("%q, %v", v, err)
	}
	if got := Holder(filepath.Join(t.TempDir(), "nothing")); got != "another process" {
		t.Errorf("%q", got)
	}
}
