package gitserver

import (
	"slices"
	"sort"
	"strings"

	"github.com/aymanbagabas/go-udiff"
)

// Merge returns the tree that holds what two trees changed since their base, file by
// file; of a file that both changed, line by line. conflicts are the paths where both
// changed the same lines, or one deleted what the other changed, by name; with any of
// them there is no tree. Renames are a deletion and a new file.
func (r *Repository) Merge(base, ours, theirs string) (tree string, conflicts []string, err error) {
	mine, err := r.Changes(base, ours)
	if err != nil {
		return "", nil, err
	}
	other, err := r.Changes(base, theirs)
	if err != nil {
		return "", nil, err
	}
	by := map[string]Change{}
	for _, c := range mine {
		by[c.Path] = c
	}
	edits := map[string]leaf{}
	for _, c := range other {
		m, both := by[c.Path]
		switch {
		case !both && c.After.ID != "" && (r.stands(ours, c.Path) || below(mine, c.Path)):
			conflicts = append(conflicts, c.Path) // a file where the other has a folder
		case !both:
			edits[c.Path] = c.After.leaf()
		case m.After == c.After:
		default:
			merged, ok, err := r.mergeFile(m, c)
			if err != nil {
				return "", nil, err
			}
			if !ok {
				conflicts = append(conflicts, c.Path)
				continue
			}
			edits[c.Path] = merged
		}
	}
	if len(conflicts) > 0 {
		sort.Strings(conflicts)
		return "", slices.Compact(conflicts), nil
	}
	tree, err = r.edited(ours, edits)
	return tree, nil, err
}

// stands says that a part of a path above its last is a file in a tree.
func (r *Repository) stands(tree, path string) bool {
	for i, c := range path {
		if c != '/' {
			continue
		}
		if b, err := r.File(tree, path[:i]); err == nil && b.ID != "" {
			return true
		}
	}
	return false
}

// below says that one of the changes leaves a file under a path.
func below(changes []Change, path string) bool {
	return slices.ContainsFunc(changes, func(c Change) bool {
		return c.After.ID != "" && strings.HasPrefix(c.Path, path+"/")
	})
}

// mergeFile merges a file that both sides changed; false when they contradict.
func (r *Repository) mergeFile(ours, theirs Change) (leaf, bool, error) {
	if ours.After.ID == "" || theirs.After.ID == "" || ours.Before.ID == "" {
		return leaf{}, false, nil
	}
	for _, b := range []Blob{ours.Before, ours.After, theirs.After} {
		if b.Link || b.Module {
			return leaf{}, false, nil
		}
	}
	var texts [3]string
	for i, id := range []string{ours.Before.ID, ours.After.ID, theirs.After.ID} {
		var err error
		if texts[i], err = r.Text(id); err != nil {
			return leaf{}, false, err
		}
		if len(texts[i]) == maxText || strings.ContainsRune(texts[i], 0) {
			return leaf{}, false, nil
		}
	}
	text, ok := MergeText(texts[0], texts[1], texts[2])
	if !ok {
		return leaf{}, false, nil
	}
	h, err := putBlob(r.st, text)
	if err != nil {
		return leaf{}, false, err
	}
	after := ours.After
	if ours.Before.Executable == ours.After.Executable { // the mode that somebody changed
		after.Executable = theirs.After.Executable
	}
	after.ID = h.String()
	return after.leaf(), true, nil
}

// MergeText merges what two texts changed since their base, by lines. false when both
// changed the same lines, or lines that touch, in different ways: Git, too, asks then.
func MergeText(base, ours, theirs string) (string, bool) {
	a, b := udiff.Lines(base, ours), udiff.Lines(base, theirs)
	var all []udiff.Edit
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(a) > 0 && len(b) > 0 && a[0] == b[0]:
			all, a, b = append(all, a[0]), a[1:], b[1:]
		case len(a) > 0 && len(b) > 0 && a[0].Start <= b[0].End && b[0].Start <= a[0].End:
			return "", false
		case len(b) == 0 || len(a) > 0 && a[0].Start < b[0].Start:
			all, a = append(all, a[0]), a[1:]
		default:
			all, b = append(all, b[0]), b[1:]
		}
	}
	out, err := udiff.Apply(base, all)
	return out, err == nil
}
