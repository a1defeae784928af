package source

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
)

// Merged is what the base of a merge becomes when a head is merged into it.
type Merged struct {
	Base string // the merge base
	// Changes are the files of the read area that differ from the base of the merge, as Diff
	// gives them, and Strays those outside of it, as Strays gives them. A New is the
	// id that Git gives such content, whether a blob of it is here or not: of a file
	// that was merged by line it is in no repository yet.
	Changes, Strays []Change
	// Files are those of Changes and Strays that are there after the merge.
	Files []MergedFile
	// Conflicts are the files that nobody but a person can merge. They are in no other
	// list, and what the others say is no outcome while there are any.
	Conflicts []string
	Behind    int // how many commits of the base the head lacks, at most 10,000
}

// MergedFile is one file after a merge. Data is its content when it was merged by line,
// and else nil: Blob reads it.
type MergedFile struct {
	Path, Blob string
	Data       []byte
	Regular    bool
}

// Merge says what merging head into base makes of the read area and of the YAML files
// outside of it. A file that one side changed since the merge base is taken from it; one
// that both changed is merged by line. It reads the folders that differ, and of the
// files those that both changed.
//
// It is the merge that Git makes, but for what Git guesses: a renamed file is a removed
// and an added one, of several merge bases one is taken, and of repeated lines none is
// taken for another. So there may be conflicts here where Git finds a way; then the
// repository's own merge commit says it, if Parents says that it is one of base and head.
// ErrUnrelated when the histories have nothing in common; ErrTooMany and ErrTooLarge when
// there is more between them than its limits.
func (r *Repository) Merge(ctx context.Context, base, head string) (Merged, error) {
	var m *merger
	out := Merged{}
	err := r.readAll(ctx, func(in reader) error {
		h, behind, err := common(ctx, in, base, head)
		if err != nil {
			return err
		}
		out = Merged{Base: h.String(), Behind: behind}
		roots := [3]plumbing.Hash{}
		for i, c := range []string{out.Base, base, head} {
			if roots[i], err = rootTree(in, c); err != nil {
				return err
			}
		}
		m = &merger{ctx: ctx, w: walk{in: in, area: r.area}}
		if err := m.roots(roots, false); err != nil {
			return err
		}
		if r.area.clients == "" {
			return m.read()
		}
		m.w = walk{in: in, area: area{base: r.area.base}}
		m.strays = &r.area
		if err := m.roots(roots, true); err != nil && !errors.Is(err, errFound) && !errors.Is(err, ErrTooMany) {
			return err
		}
		return m.read()
	})
	if err == nil {
		err = m.finish(&out)
	}
	if err != nil {
		return Merged{}, fmt.Errorf("merge %.64s into %.64s: %w", head, base, err)
	}
	return out, nil
}

// triple is what the merge base, the base and the head have at one place.
type triple [3]entry

// The sides of a merge.
const (
	atFork = iota // the merge base
	atBase
	atHead
)

// outcome is a file that the merge changes: base's entry and what it becomes.
type outcome struct {
	path     string
	old, now entry
	stray    bool
	lines    *triple // it is merged by line: these
	texts    [3][]byte
}

// merger walks through three trees at once, and not into what nobody or one side changed
// but to tell of it.
type merger struct {
	ctx       context.Context //nolint:containedctx // it lives as long as the call that it ends with
	w         walk
	strays    *area // set: only files that stray from it count
	out       []outcome
	conflicts []string
	found     int // strays
}

// roots merges the trees of three commits, from the folder that the area lies in.
func (m *merger) roots(t [3]plumbing.Hash, outside bool) error {
	at := ""
	for part := range pathParts(m.w.area.base) {
		at = join(at, part)
		for i := range t {
			var err error
			if t[i], err = m.w.below(t[i], part, at, i != atFork); err != nil {
				return err
			}
		}
	}
	if t[atHead] == t[atFork] || t[atHead] == t[atBase] {
		return nil // nothing to merge
	}
	var all [3][]entry
	for i := range t {
		var err error
		if all[i], err = m.w.in.tree(t[i]); err != nil {
			return must(err)
		}
		if !outside {
			if err := m.w.noFolder(at, all[i]); i != atFork && err != nil {
				return err
			}
		}
		all[i] = slices.DeleteFunc(all[i], func(e entry) bool {
			if outside {
				return m.strays.holds(e)
			}
			return !m.w.area.holds(e)
		})
	}
	_, err := m.folder(at, all, 0, m.changed)
	return err
}

// folder merges three listings. It says whether anything is left of them.
func (m *merger) folder(at string, all [3][]entry, depth int, f each) (left bool, err error) {
	if err := m.w.list(all[:]...); err != nil {
		return false, err
	}
	if m.ctx.Err() != nil {
		return false, context.Cause(m.ctx)
	}
	rest := all
	stays := map[string]bool{} // by key, of what the head changed
	var order []string
	for {
		key, t := next(&rest)
		if key == "" {
			break
		}
		stay := !t[atBase].hash.IsZero()
		if t[atHead] != t[atFork] && t[atHead] != t[atBase] {
			if stay, err = m.entry(at, t, all, depth, f); err != nil {
				return false, err
			}
			stays[key] = stay
			order = append(order, key)
		}
		left = left || stay
	}
	for _, key := range order {
		if stays[key] && m.stays(twin(key), stays, all[atBase]) {
			m.conflict(join(at, name(key)))
		}
	}
	return left, nil
}

// stays says whether what has this key is there after the merge.
func (m *merger) stays(key string, changed map[string]bool, base []entry) bool {
	if stay, ok := changed[key]; ok {
		return stay
	}
	_, ok := slices.BinarySearchFunc(base, key, func(e entry, key string) int { return cmpKey(e.key(), key) })
	return ok
}

// entry merges what the head changed and the base has not so. It says whether anything
// is left.
func (m *merger) entry(at string, t triple, all [3][]entry, depth int, f each) (bool, error) {
	if t[atBase] == t[atFork] {
		return !t[atHead].hash.IsZero(), m.w.entry(at, t[atBase], t[atHead], all[atHead], depth, f)
	}
	n := t.name()
	if !t.folder() {
		return m.file(join(at, n), t)
	}
	if depth > MaxDepth {
		return false, nil // not in the area
	}
	var below [3][]entry
	for i := range t {
		var err error
		if below[i], err = m.w.in.tree(t[i].hash); err != nil {
			return false, must(err)
		}
	}
	if t[atHead].hash.IsZero() {
		f = replaced(n, all[atHead], f)
	}
	return m.folder(join(at, n), below, depth+1, f)
}

// file merges one file that differs on all three sides.
func (m *merger) file(at string, t triple) (bool, error) {
	if m.strays != nil && !m.strays.strays(at) {
		return true, nil
	}
	if m.w.count++; m.w.count > MaxEntries {
		return false, fmt.Errorf("more than %d files: %w", MaxEntries, ErrTooMany)
	}
	now := t[atBase]
	kind, same := three(t[atFork].kind, t[atBase].kind, t[atHead].kind)
	if t[atFork].hash.IsZero() {
		kind, same = t[atBase].kind, t[atBase].kind == t[atHead].kind
	}
	if t[atBase].hash.IsZero() || t[atHead].hash.IsZero() || !same {
		m.conflict(at)
		return true, nil
	}
	now.kind = kind
	o := outcome{path: show(at), old: t[atBase], now: now, stray: m.strays != nil}
	hash, same := three(t[atFork].hash, t[atBase].hash, t[atHead].hash)
	switch {
	case same:
		o.now.hash = hash
	case t.text():
		o.lines = &t
	default:
		m.conflict(at)
		return true, nil
	}
	return true, m.add(o)
}

// three takes the side that changed.
func three[T comparable](before, ours, theirs T) (T, bool) {
	if theirs == before || theirs == ours {
		return ours, true
	}
	return theirs, ours == before
}

func (m *merger) conflict(at string) {
	if m.strays == nil || m.strays.strays(at) {
		m.conflicts = append(m.conflicts, show(at))
	}
}

// changed notes a file that only the head changed.
func (m *merger) changed(path string, old, now entry) error {
	if m.ctx.Err() != nil {
		return context.Cause(m.ctx)
	}
	return m.add(outcome{path: path, old: old, now: now, stray: m.strays != nil})
}

func (m *merger) add(o outcome) error {
	if o.stray {
		if !m.strays.strays(o.path) {
			return nil
		}
		if o.lines == nil { // only regular files count
			if o.old.kind != regular {
				o.old = entry{}
			}
			if o.now.kind != regular {
				o.now = entry{}
			}
			if o.old.hash == o.now.hash {
				return nil
			}
		}
		if m.found++; m.found > maxStrays {
			return errFound
		}
	}
	m.out = append(m.out, o)
	return nil
}

// read reads the files that are merged by line.
func (m *merger) read() error {
	files, size := 0, 0
	for i := range m.out {
		o := &m.out[i]
		if o.lines == nil {
			continue
		}
		if files++; files > maxMerged {
			return fmt.Errorf("more than %d files that both sides changed: %w", maxMerged, ErrTooMany)
		}
		for side, e := range o.lines {
			if e.hash.IsZero() {
				continue
			}
			text, err := m.w.in.get(plumbing.BlobObject, e.hash, MaxBlob)
			if errors.Is(err, ErrTooLarge) {
				text = []byte{0} // it is merged no more than what is no text
			} else if err != nil {
				return must(err)
			}
			if size += len(text); size > maxMergedBytes {
				return fmt.Errorf("files that both sides changed: %w: at most %d bytes", ErrTooLarge, maxMergedBytes)
			}
			o.texts[side] = text
		}
	}
	return nil
}

// finish merges by line and lists all that came out. Nothing is read, so that nobody
// waits for it.
func (m *merger) finish(out *Merged) error {
	out.Changes, out.Conflicts = []Change{}, m.conflicts
	for _, o := range m.out {
		if m.ctx.Err() != nil {
			return context.Cause(m.ctx)
		}
		var data []byte
		if o.lines != nil {
			var ok bool
			if data, ok = mergeLines(o.texts[atFork], o.texts[atBase], o.texts[atHead]); !ok {
				out.Conflicts = append(out.Conflicts, o.path)
				continue
			}
			data = append([]byte{}, data...) // never nil
			o.now.hash = plumbing.ComputeHash(plumbing.BlobObject, data)
		}
		c := Change{Path: o.path}
		if !o.old.hash.IsZero() {
			c.Old = o.old.id()
		}
		if !o.now.hash.IsZero() {
			c.New = o.now.id()
		}
		if c.Old == c.New {
			continue
		}
		if o.stray {
			out.Strays = append(out.Strays, c)
		} else {
			out.Changes = append(out.Changes, c)
		}
		if c.New != "" {
			out.Files = append(out.Files, MergedFile{Path: c.Path, Blob: c.New, Data: data, Regular: o.now.kind == regular})
		}
	}
	slices.Sort(out.Conflicts)
	out.Conflicts = slices.Compact(out.Conflicts)
	return nil
}
