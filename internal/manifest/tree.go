package manifest

import (
	"bytes"
	"fmt"
	"path"
	"regexp"
	"sort"
	"strings"

	"gopkg.in/yaml.v3"
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
//
// Of a template or platform file with problems, what could be read is used, so that
// clients are checked as far as they can be. Without anything readable they are only
// checked by themselves, and none is valid.
func CheckTree(l Layout, files []File, d Defaults) ([]Effective, Problems) {
	return CheckTreeFor("", l, files, d)
}

// CheckTreeFor is CheckTree for a version of the program, which platform.yaml's
// requires is held against.
func CheckTreeFor(program string, l Layout, files []File, d Defaults) ([]Effective, Problems) {
	t := tree{names: map[string]string{}, hosts: map[string]string{}, former: map[string]string{}, adopted: map[string]string{}}
	t.ctx = Context{Defaults: d, Templates: map[string]Template{}, Blobs: map[string]string{}, Program: program}
	files = append([]File(nil), files...)
	sort.SliceStable(files, func(i, j int) bool { return files[i].Path < files[j].Path })
	var clients []File
	for _, f := range files {
		switch l.Classify(f.Path) {
		case ClassPlatform:
			t.platform(f)
		case ClassTemplate:
			t.template(f)
		case ClassClient:
			clients = append(clients, f)
		case ClassMisnamed:
			t.problems = append(t.problems, misnamed(l, f.Path))
		case ClassOther:
			if SaysClient(f.Data) {
				t.problems = append(t.problems, misnamed(l, f.Path))
			}
		}
	}
	for _, f := range clients {
		t.client(f)
	}
	t.records()
	for _, c := range t.checked {
		t.problems = append(t.problems, c.doc.problems...)
		if !c.doc.problems.Failed() {
			t.valid = append(t.valid, c.effective)
		}
	}
	sort.SliceStable(t.valid, func(i, j int) bool { return t.valid[i].Name < t.valid[j].Name })
	return t.valid, t.problems.sorted()
}

// tree is a tree on its way through the rules; the maps say who has which name so
// far: the value is a file's path.
type tree struct {
	names, hosts, former, adopted map[string]string
	ctx                           Context
	unread                        bool            // the platform file can't be read at all
	unreadable                    map[string]bool // templates likewise, by name
	checked                       []checked
	valid                         []Effective
	problems                      Problems
}

// checked is a manifest that was laid over its layers.
type checked struct {
	doc       *document
	effective Effective
}

func (t *tree) platform(f File) {
	p, doc := decodePlatform(f.Path, f.Data)
	t.problems = append(t.problems, doc.problems...)
	if t.unread = doc.root == nil; !t.unread {
		t.ctx.Platform = &p
	}
}

func (t *tree) template(f File) {
	v, doc := decodeTemplate(f.Path, f.Data)
	t.problems = append(t.problems, doc.problems...)
	name := strings.TrimSuffix(path.Base(f.Path), ".yaml")
	if doc.root == nil {
		t.broken(name)
		return
	}
	t.ctx.Templates[name] = v
}

// broken notes a template that is there and can't be read.
func (t *tree) broken(name string) {
	if t.unreadable == nil {
		t.unreadable = map[string]bool{}
	}
	t.unreadable[name] = true
}

func (t *tree) client(f File) {
	c, doc := decodeClient(f.Path, f.Data)
	switch {
	case doc.root == nil || doc.problems.Failed():
		doc.newer(t.ctx)
		t.problems = append(t.problems, doc.problems...)
	case t.unread:
		doc.node(doc.root, "platform", "the platform file can't be read, so this is checked only by itself", "mend the platform file first")
		t.problems = append(t.problems, doc.problems...)
	case t.unreadable[c.Template]:
		doc.node(find(doc.root, "template"), "template", fmt.Sprintf("the template %s can't be read, so this is checked only by itself", c.Template), "mend the template first")
		t.problems = append(t.problems, doc.problems...)
	default:
		e := doc.resolve(c, t.ctx)
		t.check(doc, e)
		t.checked = append(t.checked, checked{doc, e})
	}
}

// records refuses a further record with the name of somebody else's host.
func (t *tree) records() {
	for _, c := range t.checked {
		for i, r := range c.effective.DNS.Records {
			name := strings.ToLower(r.Name) + "." + c.effective.Host
			owner, ok := t.hosts[name]
			if r.Name == "@" || !ok || owner == c.doc.path {
				continue
			}
			n := c.doc.near("dns", "records")
			if n.Kind == yaml.SequenceNode && i < len(n.Content) {
				n = n.Content[i]
			}
			c.doc.node(n, "unique", fmt.Sprintf("dns.records[%d]: %s belongs to %s already", i, name, owner), "a host name belongs to one client")
		}
	}
}

// check holds a manifest against those before it.
func (t *tree) check(d *document, e Effective) {
	take := func(in map[string]string, key, what, hint string, at *yaml.Node) {
		if other, ok := in[key]; ok && other != d.path {
			d.node(at, "unique", fmt.Sprintf("%s belongs to %s already", what, other), hint)
			return
		}
		in[key] = d.path
	}
	take(t.names, e.Name, "the name "+e.Name, "choose another name", d.near("name"))
	if other, ok := t.former[e.Name]; ok && other != d.path {
		d.node(d.near("name"), "previously", fmt.Sprintf("%s says that it was %s, which is still here", other, e.Name), "remove this file in the same commit, or leave previously out there")
	}
	for i, h := range e.Hosts {
		at := d.near("domain")
		if i > 0 {
			at = d.near("aliases")
			if at.Kind == yaml.SequenceNode && len(at.Content) == len(e.Hosts)-1 {
				at = at.Content[i-1]
			}
		}
		take(t.hosts, h, h, "a host name belongs to one client", at)
	}
	for _, p := range e.Previously {
		take(t.former, p, "the former name "+p, "only one client can have been "+p, d.near("previously"))
		if other, ok := t.names[p]; ok && other != d.path {
			d.node(d.near("previously"), "previously", fmt.Sprintf("%s is still there, in %s", p, other), "remove that file in the same commit, or leave previously out")
		}
	}
	for _, k := range e.Adopt.kinds() {
		take(t.adopted, k+"/"+e.Adopt[k].ID+"/"+e.Adopt[k].Account, "the adopted "+k, "an object belongs to one client", d.near("adopt", k))
	}
}

func misnamed(l Layout, file string) Problem {
	proper := l.Proper(file)
	text := fmt.Sprintf("%s looks like a manifest and is not read here", path.Base(file))
	return Problem{Path: file, Rule: "misnamed", Text: text, Hint: "call it " + proper}
}

// SaysClient says that a file claims to be a manifest, wherever it lies: its first
// level says kind: Client. Text with an example in it doesn't.
func SaysClient(data []byte) bool {
	if len(data) > MaxFile || !kindLine.Match(data) {
		return false
	}
	for _, line := range bytes.Split(data, []byte("\n")) {
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(line) > 0 && !firstLevel.Match(line) {
			return false
		}
	}
	return true
}

var (
	kindLine = regexp.MustCompile(`(?m)^["']?kind["']?[ \t]*:[ \t]+["']?Client["']?[ \t]*(#.*)?\r?$`)
	// firstLevel are the lines that YAML's first level can have: keys, what is below
	// them, comments, markers of documents.
	firstLevel = regexp.MustCompile(`^([ \t#}\]]|- |---|\.\.\.|%|["']?[A-Za-z_][A-Za-z0-9_-]*["']?[ \t]*:([ \t]|$))`)
)
