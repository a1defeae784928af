package source

import (
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"
)

// walk goes through the read area of two trees at once, and not into what is equal.
type walk struct {
	in     reader
	area   area
	count  int // files
	listed int // lines of listings
}

// each is told of every file that differs; the zero entry is none.
type each func(path string, old, now entry) error

// trees compares two root trees; the zero hash is the empty one.
func (w *walk) trees(old, now plumbing.Hash, f each) error {
	at := ""
	for part := range pathParts(w.area.base) {
		at = join(at, part)
		var err error
		if old, err = w.below(old, part, at, false); err != nil {
			return err
		}
		if now, err = w.below(now, part, at, true); err != nil {
			return err
		}
	}
	if old == now {
		return nil
	}
	a, b, err := w.both(old, now)
	if err != nil {
		return err
	}
	if err := w.noFolder(at, b); err != nil {
		return err
	}
	return w.merge(at, w.inside(a), w.inside(b), 0, f)
}

// noFolder is an error when the clients folder is none.
func (w *walk) noFolder(at string, all []entry) error {
	for _, e := range all {
		if w.area.clients != "" && e.name == w.area.clients && e.odd() {
			return fmt.Errorf("%s is a %s: %w", show(join(at, e.name)), e.kind, ErrNoFolder)
		}
	}
	return nil
}

// inside are the entries of the base folder that are in the area.
func (w *walk) inside(all []entry) []entry {
	var out []entry
	for _, e := range all {
		if w.area.holds(e) {
			out = append(out, e)
		}
	}
	return out
}

// below finds a folder in a folder; the zero hash when it is not there. strict makes
// something else of that name an error.
func (w *walk) below(h plumbing.Hash, name, at string, strict bool) (plumbing.Hash, error) {
	all, err := w.in.tree(h)
	if err != nil {
		return plumbing.ZeroHash, must(err)
	}
	for _, e := range all {
		switch {
		case e.name != name:
		case e.kind == folder:
			return e.hash, nil
		case strict:
			return plumbing.ZeroHash, fmt.Errorf("%s is a %s: %w", show(at), what(e.kind), ErrNoFolder)
		}
	}
	return plumbing.ZeroHash, nil
}

// list counts what was listed: folders without a file could be many times many.
func (w *walk) list(all ...[]entry) error {
	for _, a := range all {
		w.listed += len(a)
	}
	if w.listed > maxListed {
		return fmt.Errorf("folders of more than %d entries: %w", maxListed, ErrTooMany)
	}
	return nil
}

func what(k kind) string {
	if k == regular {
		return "file"
	}
	return string(k)
}

func (w *walk) both(old, now plumbing.Hash) (a, b []entry, err error) {
	if a, err = w.in.tree(old); err != nil {
		return nil, nil, must(err)
	}
	if b, err = w.in.tree(now); err != nil {
		return nil, nil, must(err)
	}
	return a, b, w.list(a, b)
}

// merge goes through two sorted listings side by side.
func (w *walk) merge(at string, a, b []entry, depth int, f each) error {
	all := b
	for len(a) > 0 || len(b) > 0 {
		var old, now entry
		switch {
		case len(b) == 0 || len(a) > 0 && a[0].key() < b[0].key():
			old, a = a[0], a[1:]
		case len(a) == 0 || b[0].key() < a[0].key():
			now, b = b[0], b[1:]
		default:
			old, now, a, b = a[0], b[0], a[1:], b[1:]
		}
		if old == now {
			continue
		}
		if err := w.entry(at, old, now, all, depth, f); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) entry(at string, old, now entry, siblings []entry, depth int, f each) error {
	name := old.name
	if name == "" {
		name = now.name
	}
	at = join(at, name)
	if old.kind == folder || now.kind == folder {
		if depth > MaxDepth {
			return nil
		}
		a, b, err := w.both(old.hash, now.hash)
		if err != nil {
			return err
		}
		if now.hash.IsZero() {
			f = replaced(name, siblings, f)
		}
		return w.merge(at, a, b, depth+1, f)
	}
	if w.count++; w.count > MaxEntries {
		return fmt.Errorf("more than %d files: %w", MaxEntries, ErrTooMany)
	}
	return f(show(at), old, now)
}

// replaced tells of a folder's files as unreadable, not as gone, when a link or a
// module took its place.
func replaced(name string, siblings []entry, f each) each {
	for _, e := range siblings {
		if e.name == name && e.odd() {
			return func(path string, old, _ entry) error { return f(path, old, entry{old.name, e.kind, e.hash}) }
		}
	}
	return f
}

func join(at, name string) string {
	if at == "" {
		return name
	}
	return at + "/" + name
}
