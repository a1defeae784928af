package sqlite

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// FuzzFile: P5, whatever became of a database's file, it is that database or an error, never
// an absence and never somebody else's; and asking changes nothing of it.
func FuzzFile(f *testing.F) {
	dir := f.TempDir()
	p, err := New(Options{Dir: dir})
	if err != nil {
		f.Fatal(err)
	}
	made, err := p.Create(f.Context(), database("shop", "ecommerce"))
	if err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(p.path("shop"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint32(0), []byte("SQLite format 3\x00"), uint32(len(whole)))
	f.Add(uint32(16), []byte{0, 0, 0, 0}, uint32(len(whole)))
	f.Add(uint32(100), []byte{13, 0xff}, uint32(len(whole)))
	f.Add(uint32(28), []byte{0xff, 0xff, 0xff, 0xff}, uint32(4096))
	for at := range len(whole) {
		if string(whole[at:at+min(4, len(whole)-at)]) == "shop" { // the id, the name, the mark
			f.Add(uint32(at), []byte("evil"), uint32(len(whole)))
		}
	}
	path := filepath.Join(dir, "shop.db")
	f.Fuzz(func(t *testing.T, at uint32, patch []byte, size uint32) {
		data := append([]byte(nil), whole[:min(int(size), len(whole))]...)
		if int(at) < len(data) {
			copy(data[at:], patch)
		}
		for _, s := range append(sides(path), path) {
			if err := remove(s); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, q := range []provider.Query{{Kind: state.KindDatabase, Name: "shop"}, {Kind: state.KindDatabase, ID: made.ID}} {
			found, err := p.Observe(t.Context(), q)
			if err == nil && len(found) == 0 { // only what says itself that it is another one
				other, err := p.look(t.Context(), "shop", func(m meta) bool { return m.name != "shop" || m.id != made.ID })
				if err != nil || len(other) != 1 {
					t.Fatalf("%d bytes from %d: the database is gone (%v)", len(patch), at, err)
				}
			}
			for _, o := range found {
				if q.ID != "" && o.ID != q.ID {
					t.Fatalf("asked for %s, found %s", q.ID, o.ID)
				}
			}
		}
		if again, err := os.ReadFile(path); err != nil || string(again) != string(data) {
			t.Fatalf("a look changed the file: %v", err)
		}
	})
}
