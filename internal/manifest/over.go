package manifest

import "sort"

// CheckTreeOver is CheckTree for a change that is to be judged. rules, unless nil,
// are the platform file and the templates that decide in place of the tree's own;
// a template that only the tree has counts all the same. rank says who comes first
// when two claim a name: the lower; among equals the path decides. The tree's own
// platform file and templates are checked too.
func CheckTreeOver(l Layout, files, rules []File, d Defaults, rank func(path string) int) ([]Effective, Problems) {
	var problems Problems
	own := Context{Defaults: d, Templates: map[string]Template{}, Blobs: map[string]string{}}
	var clients []File
	for _, f := range files {
		switch l.Classify(f.Path) {
		case ClassClient:
			clients = append(clients, f)
		case ClassMisnamed:
			problems = append(problems, misnamed(l, f.Path))
		case ClassOther:
			if SaysClient(f.Data) {
				problems = append(problems, misnamed(l, f.Path))
			}
		default:
			problems = append(problems, own.rule(l, f)...)
		}
	}
	ctx := own
	if rules != nil {
		ctx = Context{Defaults: d, Templates: map[string]Template{}, Blobs: map[string]string{}}
		for _, f := range rules {
			ctx.rule(l, f) // judged where they were accepted
		}
		for name, t := range own.Templates {
			if _, ok := ctx.Templates[name]; !ok {
				ctx.Templates[name] = t
			}
		}
	}
	sort.SliceStable(clients, func(i, j int) bool {
		a, b := rank(clients[i].Path), rank(clients[j].Path)
		if a != b {
			return a < b
		}
		return clients[i].Path < clients[j].Path
	})
	t := tree{names: map[string]string{}, hosts: map[string]string{}, former: map[string]string{}, adopted: map[string]string{}}
	for _, f := range clients {
		c, doc := decodeClient(f.Path, f.Data)
		if doc.root == nil || doc.problems.Failed() {
			problems = append(problems, doc.problems...)
			continue
		}
		e := doc.resolve(c, ctx)
		t.check(doc, e)
		problems = append(problems, doc.problems...)
		if !doc.problems.Failed() {
			t.valid = append(t.valid, e)
		}
	}
	sort.Slice(t.valid, func(i, j int) bool { return t.valid[i].Name < t.valid[j].Name })
	return t.valid, problems.sorted()
}

// rule adds a platform file or a template to what manifests are laid over. A template
// with problems is added too, so that its clients are checked as far as they can be.
func (ctx *Context) rule(l Layout, f File) Problems {
	if l.Classify(f.Path) == ClassPlatform {
		p, q := DecodePlatform(f.Path, f.Data)
		if !q.Failed() {
			ctx.Platform = &p
		}
		return q
	}
	t, q := DecodeTemplate(f.Path, f.Data)
	if !q.Failed() || t.Name != "" {
		ctx.Templates[t.Name] = t
	}
	return q
}
