package reconcile

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"slices"
	"sort"
	"strings"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/state"
)

// maxPast is how many heads before the newest one are looked at.
const maxPast = 10_000

// Ancestry is implemented by repositories that can say which heads the branch had.
type Ancestry interface {
	// Ancestors returns head and the heads that the branch had before it, along first
	// parents (what was only ever on a side branch was never accepted), newest first, at
	// most so many.
	Ancestors(ctx context.Context, head string, most int) ([]string, error)
}

// lastGood is a file's newest version that was valid, with what it was valid under.
type lastGood struct {
	commit, path, blob string
	data               []byte
	effective          manifest.Effective
	files              []state.File // template and platform file of that commit
	platform           string       // blob
	removed            string       // the commit that took the file away; "": it is at the head
	age                int          // how many heads ago
}

// past walks the branch from its head backwards, one head at a time.
type past struct {
	e       *Engine
	heads   []string
	at      int
	tree    map[string]string // path → blob at heads[at]
	rules   *accept.Resolver  // of heads[at]; nil: not read yet
	base    state.Baseline
	layout  manifest.Layout
	changed map[string]bool   // paths that differ between heads[at] and the head after it
	gone    map[string]string // path → the head that took it away
}

func (e *Engine) past(ctx context.Context, head string, changes []accept.Change) (*past, error) {
	p := &past{e: e, heads: []string{head}, tree: map[string]string{}, layout: manifest.LayoutOf(e.Path), gone: map[string]string{}}
	for _, c := range changes {
		p.tree[c.Path] = c.New
	}
	if a, ok := e.Repo.(Ancestry); ok {
		heads, err := a.Ancestors(ctx, head, maxPast)
		if err != nil {
			return nil, fmt.Errorf("read the history of %s: %w", head, err)
		}
		p.heads = heads
	}
	return p, nil
}

// back goes to the head before; false: there is none.
func (p *past) back(ctx context.Context) (bool, error) {
	if p.at+1 >= len(p.heads) {
		return false, nil
	}
	r, err := p.e.Repo.Range(ctx, p.heads[p.at+1], p.heads[p.at])
	if err != nil {
		return false, fmt.Errorf("read the history before %s: %w", p.heads[p.at], err)
	}
	p.changed = map[string]bool{}
	for _, c := range r.Changes {
		p.changed[c.Path] = true
		if class := p.layout.Classify(c.Path); class == manifest.ClassTemplate || class == manifest.ClassPlatform {
			p.rules = nil
		}
		if c.Old == "" {
			delete(p.tree, c.Path)
			continue
		}
		p.tree[c.Path] = c.Old
		if _, known := p.gone[c.Path]; c.New == "" && !known {
			p.gone[c.Path] = p.heads[p.at]
		}
	}
	p.at++
	return true, nil
}

// read returns a file's content. One that can't be read right now is an error: it was
// not invalid then, and another version of it would be taken for the newest good one.
func (p *past) read(ctx context.Context, file, blob string) (accept.File, error) {
	f, err := p.e.Repo.Read(ctx, file, blob)
	if err != nil {
		return f, fmt.Errorf("read %s as it was at %s: %w", file, p.heads[p.at], err)
	}
	return f, nil
}

// resolver reads the rules of the head that the walk is at.
func (p *past) resolver(ctx context.Context) (*accept.Resolver, error) {
	if p.rules != nil {
		return p.rules, nil
	}
	b := state.Baseline{Path: p.e.Path, Defaults: accept.DefaultsMap(p.e.Defaults)}
	for _, file := range sortedPaths(p.tree) {
		class := p.layout.Classify(file)
		if class != manifest.ClassTemplate && class != manifest.ClassPlatform {
			continue
		}
		f, err := p.read(ctx, file, p.tree[file])
		if err != nil {
			return nil, err
		}
		if !p.e.decodes(p.layout, f) {
			continue
		}
		if class == manifest.ClassPlatform {
			b.Platform = &state.File{Path: f.Path, Blob: f.Blob, Data: f.Data}
			continue
		}
		b.Templates = append(b.Templates, state.File{Path: f.Path, Blob: f.Blob, Data: f.Data})
	}
	p.base = b
	p.rules = accept.NewResolver(&b, p.e.Program)
	return p.rules, nil
}

// decodes says that a template or platform file can be read.
func (e *Engine) decodes(l manifest.Layout, f accept.File) bool {
	if f.Err != "" {
		return false
	}
	var problems manifest.Problems
	if l.Classify(f.Path) == manifest.ClassPlatform {
		_, problems = manifest.DecodePlatform(f.Path, f.Data)
	} else {
		_, problems = manifest.DecodeTemplate(f.Path, f.Data)
	}
	return !problems.Failed()
}

// valid is the version of a path at this head, if it is valid there.
func (p *past) valid(ctx context.Context, file string) (lastGood, bool, error) {
	blob := p.tree[file]
	if blob == "" {
		return lastGood{}, false, nil
	}
	f, err := p.read(ctx, file, blob)
	if err != nil || f.Err != "" {
		return lastGood{}, false, err
	}
	rules, err := p.resolver(ctx)
	if err != nil {
		return lastGood{}, false, err
	}
	eff, problems := rules.File(file, f.Data)
	if problems.Failed() {
		return lastGood{}, false, nil
	}
	g := lastGood{commit: p.heads[p.at], path: file, blob: blob, data: f.Data, effective: eff, removed: p.gone[file], age: p.at}
	if p.base.Platform != nil {
		g.files, g.platform = append(g.files, *p.base.Platform), p.base.Platform.Blob
	}
	for _, t := range p.base.Templates {
		if t.Blob == eff.TemplateBlob && fileName(t.Path) == eff.Template {
			g.files = append(g.files, t)
		}
	}
	return g, true, nil
}

// find finds, for each name, the newest head before this one at which its file was valid
// and wanted, with the template and the platform file of that head. A file that moved is the
// same file.
func (p *past) find(ctx context.Context, names map[string]bool, want func(lastGood) bool) (map[string]lastGood, error) {
	out := map[string]lastGood{}
	for len(out) < len(names) {
		ok, err := p.back(ctx)
		if err != nil || !ok {
			return out, err
		}
		rules := p.rules == nil
		for _, file := range sortedPaths(p.tree) {
			name := fileName(file)
			if _, done := out[name]; done || !names[name] || p.layout.Classify(file) != manifest.ClassClient || !(rules || p.changed[file]) {
				continue
			}
			g, ok, err := p.valid(ctx, file)
			if err != nil {
				return out, err
			}
			if ok && want(g) {
				out[name] = g
			}
		}
	}
	return out, nil
}

// said is what versions of manifests ever said that was in the state alone when they did not say
// it any more.
type said struct {
	// adopted are the ids that any `adopt:` named: nothing else tells an object that was adopted
	// from one of ours once it was changed and bears our mark.
	adopted map[string]bool
	// sites are the names of the files that named a site there.
	sites map[string]bool
	// former are, for the name of each file, those that it named as `previously:`.
	former map[string][]string
	// hosts are, for the name of each file, the host names that it asked for.
	hosts map[string][]string
}

// everSaid reads every version of every manifest.
func (e *Engine) everSaid(ctx context.Context, head string, changes []accept.Change) (said, error) {
	out, read := said{adopted: map[string]bool{}, sites: map[string]bool{}, former: map[string][]string{}}, map[string]bool{}
	p, err := e.past(ctx, head, changes)
	if err != nil {
		return out, err
	}
	look := func(file, blob string) error {
		if blob == "" || read[file+blob] || p.layout.Classify(file) != manifest.ClassClient {
			return nil
		}
		read[file+blob] = true
		f, err := p.read(ctx, file, blob)
		if err != nil || f.Err != "" || !bytes.Contains(f.Data, []byte("adopt")) && !bytes.Contains(f.Data, []byte("previously")) {
			return err
		}
		m, _ := manifest.DecodeClient(file, f.Data) // what it names counts, whatever else it says
		for _, named := range m.Adopt {
			out.adopted[named.ID] = true
		}
		out.sites[fileName(file)] = out.sites[fileName(file)] || m.Adopt["site"].ID != ""
		out.former[fileName(file)] = append(out.former[fileName(file)], m.Previously...)
		return nil
	}
	for _, file := range sortedPaths(p.tree) {
		if err := look(file, p.tree[file]); err != nil {
			return out, err
		}
	}
	for {
		ok, err := p.back(ctx)
		if err != nil || !ok {
			delete(out.adopted, "")
			return out, err
		}
		for _, file := range sortedPaths(p.changed) {
			if err := look(file, p.tree[file]); err != nil {
				return out, err
			}
		}
	}
}

// everAsked reads of every version of a manifest that was valid which host names it asked for, and what it named as `previously:`.
// What was bound where names have no place for a mark, and is not asked for by now, nothing else tells of. That of the head
// counts, too: an older copy that was put back may refuse a rename that was carried out, and knows its client by the former name.
func (e *Engine) everAsked(ctx context.Context, head string, changes []accept.Change) (said, error) {
	out := said{former: map[string][]string{}, hosts: map[string][]string{}}
	if !e.unmarkedNames() {
		return out, nil
	}
	p, err := e.past(ctx, head, changes)
	if err != nil {
		return out, err
	}
	files := sortedPaths(p.tree)
	for {
		for _, file := range files {
			if p.layout.Classify(file) != manifest.ClassClient {
				continue
			}
			g, ok, err := p.valid(ctx, file)
			if err != nil {
				return out, err
			}
			if !ok {
				continue
			}
			name := fileName(file)
			out.hosts[name] = append(out.hosts[name], g.effective.Hosts...)
			if before := g.effective.Previously; len(before) > 0 {
				out.former[name] = append(out.former[name], before...)
			}
		}
		if ok, err := p.back(ctx); err != nil || !ok {
			return out, err
		}
		files = sortedPaths(p.changed)
	}
}

// unmarkedNames says that some host has no place for a mark on host names.
func (e *Engine) unmarkedNames() bool {
	for _, kinds := range e.traits() {
		if t, ok := kinds[state.KindDomain]; ok && !t.Marks && !t.Manual {
			return true
		}
	}
	return false
}

// namesOf are the host names that a client asked for by any of its names, and by those that it may have got since.
func namesOf(asked said, c state.Client) (hosts []string) {
	for _, name := range append(slices.Clone(c.Former), c.Name) {
		for _, n := range append(asked.later(name), name) {
			hosts = append(hosts, asked.hosts[n]...)
		}
	}
	return hosts
}

// once are the names that the client of a manifest may have had before, by what versions of
// manifests said: its own, and those of the names that they named.
func (s said) once(name string) []string {
	var out []string
	for next := []string{name}; len(next) > 0; next = next[1:] {
		for _, n := range s.former[next[0]] {
			if n != name && !slices.Contains(out, n) {
				out, next = append(out, n), append(next, n)
			}
		}
	}
	sort.Strings(out)
	return out
}

// lived says that a manifest of a client, by any of its names, named a site in `adopt:`.
func (s said) lived(c state.Client) bool {
	for _, name := range append(slices.Clone(c.Former), c.Name) {
		if s.sites[name] || slices.ContainsFunc(s.once(name), func(n string) bool { return s.sites[n] }) {
			return true
		}
	}
	return false
}

// later are the names that the client of a name may have got after it, by what versions of manifests said. Sorted.
func (s said) later(name string) []string {
	var out []string
	for next := []string{name}; len(next) > 0; next = next[1:] {
		for _, n := range sortedPaths(s.former) {
			if n != name && slices.Contains(s.former[n], next[0]) && !slices.Contains(out, n) {
				out, next = append(out, n), append(next, n)
			}
		}
	}
	sort.Strings(out)
	return out
}

// goodRules puts the newest versions that can be read in the place of a template or
// platform file that can't be, and says what is wrong with those of the head.
func (p *past) goodRules(ctx context.Context, in *accept.Input) ([]state.FileProblem, error) {
	var problems []state.FileProblem
	bad := map[string]bool{}
	for _, c := range in.Changes {
		class := p.layout.Classify(c.Path)
		f := in.Files[c.Path]
		if (class == manifest.ClassTemplate || class == manifest.ClassPlatform) && !p.e.decodes(p.layout, f) {
			bad[c.Path] = true
		}
	}
	if len(bad) == 0 {
		return nil, nil
	}
	walk, err := p.e.past(ctx, p.heads[p.at], in.Changes)
	if err != nil {
		return nil, err
	}
	for len(bad) > 0 {
		ok, err := walk.back(ctx)
		if err != nil {
			return nil, err
		}
		if !ok {
			return problems, nil // it was never valid: it stays the file's problem
		}
		for _, file := range sortedPaths(walk.changed) {
			if !bad[file] || walk.tree[file] == "" {
				continue
			}
			f, err := walk.read(ctx, file, walk.tree[file])
			if err != nil {
				return nil, err
			}
			if !p.e.decodes(p.layout, f) {
				continue
			}
			problems = append(problems, p.e.problemsOf(p.layout, in.Files[file])...)
			in.Files[file] = f
			for i := range in.Changes {
				if in.Changes[i].Path == file {
					in.Changes[i].New = f.Blob
				}
			}
			delete(bad, file)
		}
	}
	return problems, nil
}

// problemsOf is what is wrong with a template or platform file.
func (e *Engine) problemsOf(l manifest.Layout, f accept.File) []state.FileProblem {
	if f.Err != "" {
		return []state.FileProblem{{Path: f.Path, Blob: f.Blob, Rule: "read", Text: f.Err}}
	}
	var problems manifest.Problems
	if l.Classify(f.Path) == manifest.ClassPlatform {
		_, problems = manifest.DecodePlatform(f.Path, f.Data)
	} else {
		_, problems = manifest.DecodeTemplate(f.Path, f.Data)
	}
	var out []state.FileProblem
	for _, q := range problems {
		if !q.Warning && len(out) < maxProblems {
			out = append(out, state.FileProblem{Path: f.Path, Blob: f.Blob, Line: q.Line, Column: q.Column, Rule: q.Rule, Text: q.Text, Hint: q.Hint})
		}
	}
	return out
}

// maxProblems is how many problems of one file are kept.
const maxProblems = 20

// fileName is the name that a file's path says.
func fileName(file string) string { return strings.TrimSuffix(path.Base(file), ".yaml") }

func sortedPaths[T any](m map[string]T) []string {
	out := make([]string, 0, len(m))
	for p := range m {
		out = append(out, p)
	}
	sort.Strings(out)
	return out
}
