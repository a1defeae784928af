package manifest

import (
	"fmt"
	"path"
	"sort"
	"strings"
)

// File is one file of a tree.
type File struct {
	Path string
	Data []byte
}

// CheckTree checks a whole tree as it is, with the rules across files: names and
// hosts are unique after folding, former names belong to nobody else, nothing that
// looks like a manifest lies where it isn't read. It returns what the valid manifests
// ask for, sorted by name, and every problem.
func CheckTree(l Layout, files []File, d Defaults) ([]Effective, Problems) {
	var problems Problems
	ctx := Context{Defaults: d, Templates: map[string]Template{}, Blobs: map[string]string{}}
	var clients []File
	for _, f := range files {
		switch l.Classify(f.Path) {
		case ClassPlatform:
			p, q := DecodePlatform(f.Path, f.Data)
			problems = append(problems, q...)
			if !q.Failed() {
				ctx.Platform = &p
			}
		case ClassTemplate:
			t, q := DecodeTemplate(f.Path, f.Data)
			problems = append(problems, q...)
			if !q.Failed() {
				ctx.Templates[t.Name] = t
			} else if t.Name != "" {
				// So that its clients are checked as far as they can be.
				ctx.Templates[t.Name] = t
			}
		case ClassClient:
			clients = append(clients, f)
		case ClassMisnamed:
			problems = append(problems, misnamed(l, f.Path))
		case ClassOther:
			if SaysClient(f.Data) {
				problems = append(problems, misnamed(l, f.Path))
			}
		}
	}
	sort.Slice(clients, func(i, j int) bool { return clients[i].Path < clients[j].Path })
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

// tree is who has which name so far: the value is a file's path.
type tree struct {
	names, hosts, former, adopted map[string]string
	valid                         []Effective
}

// check holds a manifest against those before it.
func (t *tree) check(d *document, e Effective) {
	take := func(in map[string]string, key, what, hint string, at ...string) {
		if other, ok := in[key]; ok && other != d.path {
			d.node(d.near(at...), "unique", fmt.Sprintf("%s belongs to %s already", what, other), hint)
			return
		}
		in[key] = d.path
	}
	take(t.names, e.Name, "the name "+e.Name, "choose another name", "name")
	if other, ok := t.former[e.Name]; ok && other != d.path {
		d.node(d.near("name"), "previously", fmt.Sprintf("%s says that it was %s, which is still here", other, e.Name), "remove this file in the same commit, or leave previously out there")
	}
	for i, h := range e.Hosts {
		at := []string{"domain"}
		if i > 0 {
			at = []string{"aliases"}
		}
		take(t.hosts, h, h, "a host name belongs to one client", at...)
	}
	for _, p := range e.Previously {
		take(t.former, p, "the former name "+p, "only one client can have been "+p, "previously")
		if other, ok := t.names[p]; ok && other != d.path {
			d.node(d.near("previously"), "previously", fmt.Sprintf("%s is still there, in %s", p, other), "remove that file in the same commit, or leave previously out")
		}
	}
	kinds := make([]string, 0, len(e.Adopt))
	for k := range e.Adopt {
		kinds = append(kinds, k)
	}
	sort.Strings(kinds)
	for _, k := range kinds {
		take(t.adopted, k+"/"+e.Adopt[k].ID+"/"+e.Adopt[k].Account, "the adopted "+k, "an object belongs to one client", "adopt", k)
	}
}

func misnamed(l Layout, file string) Problem {
	proper := l.Proper(file)
	text := fmt.Sprintf("%s looks like a manifest and is not read here", path.Base(file))
	return Problem{Path: file, Rule: "misnamed", Text: text, Hint: "call it " + proper}
}

// SaysClient says that a file claims to be a manifest, wherever it lies.
func SaysClient(data []byte) bool {
	if len(data) > MaxFile {
		return false
	}
	for _, line := range strings.Split(string(data), "\n") {
		if k, v, ok := strings.Cut(strings.TrimRight(line, "\r"), ":"); ok && k == "kind" && strings.Trim(v, ` "'`) == KindClient {
			return true
		}
	}
	return false
}
