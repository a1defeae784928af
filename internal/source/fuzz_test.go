package source

import (
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/storage/memory"
)

// Any bytes are a listing that Git could have written, or an error.
func FuzzTree(f *testing.F) {
	id := strings.Repeat("\x01", 20)
	f.Add([]byte("100644 a\x00" + id + "40000 b\x00" + id))
	f.Add([]byte("100644 b\x00" + id + "100644 a\x00" + id))
	f.Add([]byte("100644 a\x00" + id + "40000 a\x00" + id))
	f.Add([]byte("120000 \xff\x00" + id + "100755 \xff\xfe\x00" + id))
	f.Add([]byte("100644 ../x\x00" + id))
	f.Fuzz(func(t *testing.T, data []byte) {
		st := memory.NewStorage()
		o := st.NewEncodedObject()
		o.SetType(plumbing.TreeObject)
		w, err := o.Writer()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
		h, err := st.SetEncodedObject(o)
		if err != nil {
			t.Fatal(err)
		}
		entries, err := reader{st: st}.tree(h)
		if err != nil {
			return
		}
		names, shown, size := map[string]bool{}, map[string]bool{}, 0
		for i, e := range entries {
			size += len(e.name) + 1 + len(e.hash)
			if names[e.name] || shown[show(e.name)] || e.name == "" || e.name == ".." || strings.Contains(e.name, "/") || i > 0 && entries[i-1].key() >= e.key() {
				t.Errorf("entry %q is none", e.name)
			}
			names[e.name], shown[show(e.name)] = true, true
		}
		if rest := len(data) - size; rest < 6*len(entries) || rest > 7*len(entries) {
			t.Errorf("%d bytes are in no entry", rest)
		}
	})
}
