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
	return CheckTreeOver(program, l, files, nil, d, func(string) int { return 0 })
}

// CheckTreeOver is CheckTreeFor for a change that is to be judged: see NewCheck.
func CheckTreeOver(program string, l Layout, files, rules []File, d Defaults, rank func(path string) int) ([]Effective, Problems) {
	c := NewCheck(program, l, files, rules, d, rank)
	for i := range c.Len() {
		c.Read(i)
	}
	return c.End()
}

// Check is CheckTreeOver in three parts, for those who have several processors: what
// all clients are laid over, each client's file by itself, and the rules across files.
type Check struct {
	tree
	clients []File
	read    []read
}

// read is a client's file that was read by itself.
type read struct {
	doc       *document
	effective Effective
	whole     bool // it was laid over its layers; else effective is none
}

// NewCheck begins. rules, unless nil, are the platform file and the templates that
// decide in place of the tree's own; a template that only the tree has counts all the
// same. rank says who comes first when two claim a name: the lower; among equals the
// path decides. The tree's own platform file and templates are checked too.
func NewCheck(program string, l Layout, files, rules []File, d Defaults, rank func(path string) int) *Check {
	files = append([]File(nil), files...)
	sort.SliceStable(files, func(i, j int) bool { return files[i].Path < files[j].Path })
	own := newTree(program, d)
	own.rules(l, files)
	t := own
	if rules != nil {
		t = newTree(program, d)
		t.rules(l, rules)
		t.problems = own.problems // the rules were judged where they were accepted
		for name, v := range own.ctx.Templates {
			if _, ok := t.ctx.Templates[name]; !ok && !t.unreadable[name] {
				t.ctx.Templates[name] = v
			}
		}
	}
	t.ctx.lay()
	c := &Check{tree: *t}
	for _, f := range files {
		switch l.Classify(f.Path) {
		case ClassClient:
			c.clients = append(c.clients, f)
		case ClassMisnamed:
			c.problems = append(c.problems, misnamed(l, f.Path))
		case ClassOther:
			if SaysClient(f.Data) {
				c.problems = append(c.problems, misnamed(l, f.Path))
			}
		}
	}
	sort.SliceStable(c.clients, func(i, j int) bool { return rank(c.clients[i].Path) < rank(c.clients[j].Path) })
	c.read = make([]read, len(c.clients))
	return c
}

// Len is how many files of clients there are.
func (c *Check) Len() int { return len(c.clients) }

// Read reads the i-th client's file by itself. Several may be read at the same time;
// each is read once.
func (c *Check) Read(i int) { c.read[i] = c.client(c.clients[i]) }

// End holds all files against each other, once every one was read.
func (c *Check) End() ([]Effective, Problems) {
	for i := range c.read {
		r := &c.read[i]
		if !r.whole {
			c.problems = append(c.problems, r.doc.problems...)
			continue
		}
		c.check(r.doc, &r.effective)
		c.checked = append(c.checked, r)
	}
	c.late()
	c.valid = make([]Effective, 0, len(c.checked))
	for _, r := range c.checked {
		c.problems = append(c.problems, r.doc.problems...)
		if !r.doc.problems.Failed() {
			c.valid = append(c.valid, r.effective)
		}
	}
	sort.SliceStable(c.valid, func(i, j int) bool { return c.valid[i].Name < c.valid[j].Name })
	return c.valid, c.problems.sorted()
}

// tree is a tree on its way through the rules; the maps say who has which name so
// far: the value is a file's path.
type tree struct {
	names, hosts, former, adopted map[string]string
	below                         map[string][]string // host names by the names above them
	ctx                           Context
	unread                        bool            // the platform file can't be read at all
	unreadable                    map[string]bool // templates likewise, by name
	checked                       []*read         // laid over their layers
	valid                         []Effective
	problems                      Problems
}

func newTree(program string, d Defaults) *tree {
	return &tree{below: map[string][]string{}, names: map[string]string{}, hosts: map[string]string{}, former: map[string]string{}, adopted: map[string]string{}, unreadable: map[string]bool{},
		ctx: Context{Defaults: d, Templates: map[string]Template{}, Blobs: map[string]string{}, Program: program}}
}

// rules takes in the files that manifests are laid over.
func (t *tree) rules(l Layout, files []File) {
	for _, f := range files {
		switch l.Classify(f.Path) {
		case ClassPlatform:
			t.platform(f)
		case ClassTemplate:
			t.template(f)
		}
	}
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
		t.unreadable[name] = true
		return
	}
	t.ctx.Templates[name] = v
}

// client reads one file by itself. It changes nothing of the tree.
func (t *tree) client(f File) read {
	c, doc := decodeClient(f.Path, f.Data)
	switch {
	case doc.root == nil || doc.problems.Failed():
		doc.newer(t.ctx)
	case t.unread:
		doc.node(doc.root, "platform", "the platform file can't be read, so this is checked only by itself", "mend the platform file first")
	case t.unreadable[c.Template]:
		doc.node(find(doc.root, "template"), "template", fmt.Sprintf("the template %s can't be read, so this is checked only by itself", c.Template), "mend the template first")
	default:
		return read{doc, doc.resolve(c, t.ctx), true}
	}
	return read{doc: doc}
}

// late are the rules that need everybody: nobody was a client that is still here, and
// no further record has the name of somebody else's host. What was there first keeps it.
func (t *tree) late() {
	for _, c := range t.checked {
		for i, p := range c.effective.Previously {
			if other, ok := t.names[p]; ok && other != c.doc.path {
				c.doc.node(c.doc.item(i, "previously"), "previously", fmt.Sprintf("%s is still there, in %s", p, other), "remove that file in the same commit, or leave previously out")
			}
		}
		for i, r := range c.effective.DNS.Records {
			name := strings.ToLower(r.Name) + "." + c.effective.Host
			owner, ok := t.hosts[name]
			if r.Name == "@" || !ok || owner == c.doc.path {
				continue
			}
			c.doc.node(c.doc.item(i, "dns", "records"), "unique", fmt.Sprintf("dns.records[%d]: %s belongs to %s already", i, name, owner), "a host name belongs to one client")
		}
	}
}

// check holds a manifest against those before it.
func (t *tree) check(d *document, e *Effective) {
	take := func(in map[string]string, key, what, hint string, at *yaml.Node) {
		if other, ok := in[key]; ok && other != d.path {
			d.node(at, "unique", fmt.Sprintf("%s belongs to %s already", what, other), hint)
			return
		}
		in[key] = d.path
	}
	take(t.names, e.Name, "the name "+e.Name, "choose another name", d.near("name"))
	for i, h := range e.Hosts {
		at := d.near("domain")
		if i > 0 {
			at = d.item(i-1, "aliases")
		}
		if other, where := t.nested(d.path, h); other != "" {
			d.node(at, "unique", fmt.Sprintf("%s lies %s %s, which belongs to %s already", h, where, other, t.hosts[other]), "a host name and what lies below it belong to one client")
			continue
		}
		take(t.hosts, h, h, "a host name belongs to one client", at)
		for _, a := range Above(h, t.ctx.BaseDomain()) {
			t.below[a] = append(t.below[a], h)
		}
	}
	for i, p := range e.Previously {
		take(t.former, p, "the former name "+p, "only one client can have been "+p, d.item(i, "previously"))
	}
	for _, k := range e.Adopt.kinds() {
		take(t.adopted, k+"/"+e.Adopt[k].ID+"/"+e.Adopt[k].Account, "the adopted "+k, "an object belongs to one client", d.near("adopt", k))
	}
}

// nested is another file's host name that lies above this one, or below it.
func (t *tree) nested(file, host string) (other, where string) {
	for _, a := range Above(host, t.ctx.BaseDomain()) {
		if owner, ok := t.hosts[a]; ok && owner != file {
			return a, "below"
		}
	}
	for _, b := range t.below[host] {
		if t.hosts[b] != file {
			return b, "above"
		}
	}
	return "", ""
}

func misnamed(l Layout, file string) Problem {
	proper := l.Proper(file)
	client := ""
	if l.Classify(proper) == ClassClient { // so that it isn't taken for gone
		client = strings.TrimSuffix(path.Base(proper), ".yaml")
	}
	text := fmt.Sprintf("%s looks like a manifest and is not read here", path.Base(file))
	return Problem{Path: file, Rule: "misnamed", Text: text, Hint: "call it " + proper, Client: client}
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
