package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"testing"

	"github.com/compassdigital/reconciler/internal/bolt/powerloss"
	"github.com/compassdigital/reconciler/internal/store"
)

// A branch that leads back to itself, to what is above it or to its neighbour's page is
// damage that Open finds: nobody reads in circles, and nobody reads a page twice.
func TestLoopsAreDamage(t *testing.T) {
	o := options(t)
	filled(t, o, 4000)
	file, err := os.ReadFile(o.Path)
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	best, ok := bestMeta(bytes.NewReader(file))
	if !ok {
		t.Fatal("no meta page")
	}
	live := tree{file: bytes.NewReader(file), meta: best, page: make([]byte, best.pageSize)}
	tried := 0
	var walk func(id uint64, above []uint64)
	walk = func(id uint64, above []uint64) {
		live.todo = nil
		live.visit(id)
		children := live.todo
		page := file[id*powerloss.Page:]
		if le.Uint16(page[8:]) != leafPage {
			targets := append([]uint64{id}, above...)
			for _, n := range []int{0, len(children) / 2, len(children) - 1} {
				for _, target := range append(targets, children[(n+1)%len(children)]) {
					broken := bytes.Clone(file)
					le.PutUint64(broken[id*powerloss.Page+pageHeader+uint64(n)*element+8:], target)
					if err := os.WriteFile(o.Path, broken, 0o600); err != nil {
						t.Fatal(err)
					}
					s, err := Open(o)
					if !errors.Is(err, store.ErrDamaged) {
						t.Errorf("child %d of page %d is %d: %v", n, id, target, err)
					}
					if err == nil {
						_ = s.Close()
					}
					tried++
				}
			}
		}
		for _, child := range children {
			if child != 0 {
				walk(child, append([]uint64{id}, above...))
			}
		}
	}
	walk(best.root, nil)
	if tried < 20 {
		t.Errorf("only %d loops were tried", tried)
	}
	if err := os.WriteFile(o.Path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, o)
	if v, err := get(s, "key-3999"); err != nil || v == "" {
		t.Errorf("the whole file: %q %v", v, err)
	}
}
