package objectstore

import (
	"sync"

	"github.com/compassdigital/reconciler/internal/provider"
)

type Table struct {
	mu sync.Mutex
	m  map[string]provider.Object
}

var tables sync.Map

func Open(dir string) (*Table, error) {
	t, _ := tables.LoadOrStore(dir, &Table{m: map[string]provider.Object{}})
	return t.(*Table), nil
}
func (t *Table) List() []provider.Object {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []provider.Object
	for _, o := range t.m {
		out = append(out, o)
	}
	return out
}
func (t *Table) Put(o provider.Object) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.m[o.ID] = o
	return nil
}
func (t *Table) Delete(id string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.m, id)
	return nil
}
