package bolt

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/compassdigital/reconciler/internal/store"
)

// What bbolt's file format says of a page (its internal/common/page.go).
const (
	leafPage   = 0x02
	element    = 16   // bytes, of a branch and of a leaf
	bucketFlag = 0x01 // of a leaf's element: its value begins with the root page of a bucket
)

// loopless looks for a page that the tree reaches twice, which is damage that nothing else
// would end at: bbolt walks a branch that leads back to itself for ever, and its own check
// overflows the stack there. What else is wrong with a page is left to those who read it.
// It is called with the file locked, and reads each page once.
func loopless(f io.ReaderAt) error {
	m, ok := bestMeta(f)
	if !ok {
		return fmt.Errorf("%w: it has no page to begin with", store.ErrDamaged)
	}
	t := tree{file: f, meta: m, page: make([]byte, m.pageSize), todo: []uint64{m.root}, seen: map[uint64]bool{}}
	for len(t.todo) > 0 {
		last := len(t.todo) - 1
		id := t.todo[last]
		t.todo = t.todo[:last]
		if id < 2 || id >= m.pages {
			continue
		}
		if t.seen[id] {
			return fmt.Errorf("%w: page %d belongs to two others", store.ErrDamaged, id)
		}
		t.seen[id] = true
		t.visit(id)
	}
	return nil
}

// tree walks the pages of a file.
type tree struct {
	file io.ReaderAt
	meta meta
	page []byte // the one that is looked at
	todo []uint64
	seen map[uint64]bool
}

// visit notes the pages that one leads to.
func (t *tree) visit(id uint64) {
	offset := int64(id * t.meta.pageSize)
	page := t.read(t.page, offset)
	if len(page) < pageHeader {
		return
	}
	le := binary.LittleEndian
	kind, count := le.Uint16(page[8:]), int(le.Uint16(page[10:]))
	if le.Uint64(page) != id {
		return // bbolt stops there by itself
	}
	if kind != leafPage {
		// Whatever it is, bbolt takes it for a branch and follows the first element before it
		// looks at how many there are.
		count = max(count, 1)
	}
	// A count that is too large makes bbolt read on behind the page.
	if need := pageHeader + count*element; need > len(page) {
		page = t.read(make([]byte, need), offset)
	}
	for at := pageHeader; count > 0 && at+element <= len(page); at, count = at+element, count-1 {
		e := page[at : at+element]
		if kind != leafPage {
			t.todo = append(t.todo, le.Uint64(e[8:]))
			continue
		}
		if le.Uint32(e)&bucketFlag == 0 {
			continue
		}
		var root [8]byte
		if len(t.read(root[:], offset+int64(at)+int64(le.Uint32(e[4:]))+int64(le.Uint32(e[8:])))) == len(root) {
			t.todo = append(t.todo, le.Uint64(root[:])) // 0: it lies in the page
		}
	}
}

// read returns what there is of what was asked for.
func (t *tree) read(into []byte, offset int64) []byte {
	n, _ := t.file.ReadAt(into, offset) // a file that ends has no more pages
	return into[:n]
}
