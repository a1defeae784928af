package github

import (
	"net/http"
	"slices"
	"sync"
)

// Bounds of what is kept to be asked for again.
const (
	maxKept      = 128     // lists
	maxKeptBytes = 8 << 20 // all of them
)

// etags keeps lists that GitHub may say have not changed: such an answer costs nothing of
// the limit (docs.github.com, "Use conditional requests if appropriate").
type etags struct {
	mu    sync.Mutex
	kept  map[string]kept // by address
	order []string        // the least used first
	bytes int
}

type kept struct {
	tag, link, kind string
	body            []byte
}

func (e *etags) find(address string) (kept, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	k, ok := e.kept[address]
	if ok {
		i := slices.Index(e.order, address)
		e.order = append(slices.Delete(e.order, i, i+1), address)
	}
	return k, ok
}

func (e *etags) keep(address string, h http.Header, body []byte) {
	k := kept{tag: h.Get("ETag"), link: h.Get("Link"), kind: h.Get("Content-Type"), body: body}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.drop(address)
	if k.tag == "" || len(body) > maxKeptBytes/2 {
		return
	}
	for len(e.order) > 0 && (len(e.order) >= maxKept || e.bytes+len(body) > maxKeptBytes) {
		e.drop(e.order[0])
	}
	if e.kept == nil {
		e.kept = map[string]kept{}
	}
	e.kept[address] = k
	e.order = append(e.order, address)
	e.bytes += len(body)
}

func (e *etags) drop(address string) {
	if k, ok := e.kept[address]; ok {
		e.bytes -= len(k.body)
		delete(e.kept, address)
		e.order = slices.DeleteFunc(e.order, func(s string) bool { return s == address })
	}
}
