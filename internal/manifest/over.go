package manifest

import (
	"path"
	"sort"
	"strings"
)

// CheckTreeOver is CheckTreeFor for a change that is to be judged. rules, unless nil,
// are the platform file and the templates that decide in place of the tree's own; a
// template that only the tree has counts all the same. rank says who comes first when
// two claim a name: the lower; among equals the path decides. The tree's own platform
// file and templates are checked too.
func CheckTreeOver(program string, l Layout, files, rules []File, d Defaults, rank func(path string) int) ([]Effective, Problems) {
	t := newTree(program, d)
	var clients []File
	for _, f := range byPath(files) {
		switch l.Classify(f.Path) {
		case ClassClient:
			clients = append(clients, f)
		case ClassMisnamed:
			t.problems = append(t.problems, misnamed(l, f.Path))
		case ClassOther:
			if SaysClient(f.Data) {
				t.problems = append(t.problems, misnamed(l, f.Path))
			}
		default:
			t.rule(l, f)
		}
	}
	if rules != nil {
		t.under(l, rules)
	}
	sort.SliceStable(clients, func(i, j int) bool { return rank(clients[i].Path) < rank(clients[j].Path) })
	for _, f := range clients {
		t.client(f)
	}
	t.late()
	for _, c := range t.checked {
		t.problems = append(t.problems, c.doc.problems...)
		if !c.doc.problems.Failed() {
			t.valid = append(t.valid, c.effective)
		}
	}
	sort.SliceStable(t.valid, func(i, j int) bool { return t.valid[i].Name < t.valid[j].Name })
	return t.valid, t.problems.sorted()
}

func newTree(program string, d Defaults) *tree {
	return &tree{names: map[string]string{}, hosts: map[string]string{}, former: map[string]string{}, adopted: map[string]string{},
		ctx: Context{Defaults: d, Templates: map[string]Template{}, Blobs: map[string]string{}, Program: program}}
}

func byPath(files []File) []File {
	out := append([]File(nil), files...)
	sort.SliceStable(out, func(i, j int) bool { return out[i].Path < out[j].Path })
	return out
}

func (t *tree) rule(l Layout, f File) {
	if l.Classify(f.Path) == ClassPlatform {
		t.platform(f)
		return
	}
	t.template(f)
}

// under puts rules in the place of the tree's own. They were judged where they were
// accepted.
func (t *tree) under(l Layout, rules []File) {
	r := newTree(t.ctx.Program, t.ctx.Defaults)
	known := map[string]bool{}
	for _, f := range byPath(rules) {
		r.rule(l, f)
		if l.Classify(f.Path) == ClassTemplate {
			known[strings.TrimSuffix(path.Base(f.Path), ".yaml")] = true
		}
	}
	for name, own := range t.ctx.Templates {
		if !known[name] {
			r.ctx.Templates[name] = own
		}
	}
	for name := range t.unreadable {
		if !known[name] {
			r.broken(name)
		}
	}
	t.ctx, t.unread, t.unreadable = r.ctx, r.unread, r.unreadable
}
