package accept

import (
	"path"
	"reflect"
	"sort"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/state"
)

// maxFileProblems is how many problems of one file are kept.
const maxFileProblems = 20

// tree begins the new baseline: templates and platform file first, each at its
// last good version, then who inherits something new from them.
func (p *pass) tree() {
	b := state.Baseline{}
	if p.in.Baseline != nil {
		b = *p.in.Baseline
	}
	if b.Head != p.in.Head || p.in.Baseline == nil {
		b.Seq++
		b.At = p.in.Now
	}
	b.Repository, b.Branch, b.Path, b.Head, b.Version = p.in.Repository, p.in.Branch, p.in.Path, p.in.Head, p.in.Program
	if p.in.Root != "" {
		b.Root = p.in.Root
	}
	p.old = newResolver(p.in.Baseline, p.in.Program, nil)
	b.Defaults = defaultsMap(p.in.Defaults)
	if p.in.Baseline != nil && len(p.in.Baseline.Defaults)+len(b.Defaults) > 0 && !reflect.DeepEqual(p.in.Baseline.Defaults, b.Defaults) {
		p.all = true
		p.inherits = append(p.inherits, "the configuration's defaults")
	}
	p.base = &b
	p.templates()
	p.platform()
	p.keepOld()
	p.now = newResolver(p.base, p.in.Program, p.old)
}

func (p *pass) templates() {
	files := map[string]state.File{}
	for _, f := range p.base.Templates {
		files[f.Path] = f
	}
	for _, path := range p.paths(manifest.ClassTemplate) {
		old, had := files[path]
		if p.deleted[path] {
			delete(files, path)
			p.replaced(path, old.Blob)
			continue
		}
		f := p.file(path)
		if had && f.Err == "" && f.Blob == old.Blob {
			continue
		}
		if problems := p.decode(f, func() manifest.Problems { _, q := manifest.DecodeTemplate(f.Path, f.Data); return q }); len(problems) > 0 {
			p.problems[path] = problems
			if f = p.in.Last[path]; f.Blob == "" || had && f.Blob == old.Blob {
				continue
			}
		}
		files[path] = state.File{Path: path, Blob: f.Blob, Data: f.Data}
		p.replaced(path, old.Blob)
	}
	p.base.Templates = sortedFiles(files)
}

// replaced marks who used a template's earlier versions.
func (p *pass) replaced(path, blob string) {
	if blob != "" {
		p.stale[blob] = true
	}
	for _, k := range p.base.Kept {
		if k.Path == path {
			p.stale[k.Blob] = true
		}
	}
	p.inherits = append(p.inherits, path)
}

func (p *pass) platform() {
	for _, path := range p.paths(manifest.ClassPlatform) {
		if p.deleted[path] {
			if p.base.Platform != nil {
				p.base.Platform, p.all = nil, true
				p.inherits = append(p.inherits, path)
			}
			continue
		}
		f := p.file(path)
		if p.base.Platform != nil && f.Err == "" && f.Blob == p.base.Platform.Blob {
			continue
		}
		if problems := p.decode(f, func() manifest.Problems { _, q := manifest.DecodePlatform(f.Path, f.Data); return q }); len(problems) > 0 {
			p.problems[path] = problems
			if f = p.in.Last[path]; f.Blob == "" || p.base.Platform != nil && f.Blob == p.base.Platform.Blob {
				continue
			}
		}
		p.base.Platform, p.all = &state.File{Path: path, Blob: f.Blob, Data: f.Data}, true
		p.inherits = append(p.inherits, path)
	}
}

// keepOld adds the versions that were replaced to those that clients may be held
// to; prune takes away what nobody needs in the end.
func (p *pass) keepOld() {
	if len(p.inherits) == 0 || p.in.Baseline == nil {
		return
	}
	kept := append([]state.File(nil), p.base.Kept...)
	if old := p.in.Baseline.Platform; old != nil && (p.base.Platform == nil || p.base.Platform.Blob != old.Blob) {
		kept = append(kept, *old)
	}
	for _, f := range p.in.Baseline.Templates {
		if p.stale[f.Blob] {
			kept = append(kept, f)
		}
	}
	p.base.Kept = kept
}

// prune leaves of the kept versions those that a client is resolved with who lives, or whose
// removal is not carried out: it may come back, and what it loses then is judged by what it was.
func (p *pass) prune(get func(state.ClientID) state.Client) {
	if len(p.base.Kept) == 0 {
		return
	}
	needed := map[string]bool{}
	for i := range p.clients {
		was := p.clients[i]
		t, whole := p.whole(was.ID)
		if c := get(was.ID); !c.Removed || !was.Removed || whole && !t.Done {
			needed[c.TemplateBlob], needed[c.PlatformBlob] = true, true
		}
	}
	current := map[string]bool{}
	for _, f := range p.base.Templates {
		current[f.Path+"\x00"+f.Blob] = true
	}
	if f := p.base.Platform; f != nil {
		current[f.Path+"\x00"+f.Blob] = true
	}
	files := map[string]state.File{}
	for _, f := range p.base.Kept {
		if key := f.Path + "\x00" + f.Blob; needed[f.Blob] && !current[key] {
			files[key] = f
		}
	}
	p.base.Kept = sortedFiles(files)
}

func sortedFiles(m map[string]state.File) []state.File {
	if len(m) == 0 {
		return nil
	}
	out := make([]state.File, 0, len(m))
	for _, f := range m {
		out = append(out, f)
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].Path != out[j].Path {
			return out[i].Path < out[j].Path
		}
		return out[i].Blob < out[j].Blob
	})
	return out
}

// decode returns what is wrong with a template or the platform file.
func (p *pass) decode(f File, read func() manifest.Problems) []state.FileProblem {
	if f.Err != "" {
		return []state.FileProblem{{Path: f.Path, Blob: f.Blob, Rule: "read", Text: f.Err}}
	}
	return fileProblems(f.Path, f.Blob, "", reading(f.Path, read))
}

// fileProblems keeps what makes a file invalid.
func fileProblems(path, blob, client string, problems manifest.Problems) []state.FileProblem {
	var out []state.FileProblem
	for _, q := range problems {
		if q.Warning || len(out) == maxFileProblems {
			continue
		}
		out = append(out, state.FileProblem{Path: path, Blob: blob, Client: client, Line: q.Line, Column: q.Column, Rule: q.Rule, Text: q.Text, Hint: q.Hint})
	}
	return out
}

// misnamed lists what looks like a manifest and isn't read.
func (p *pass) misnamed() {
	none := len(p.in.Clients) == 0 && len(p.paths(manifest.ClassClient)) == 0 // nothing is where they are looked for
	for _, file := range p.paths(manifest.ClassMisnamed, manifest.ClassOther) {
		if p.deleted[file] {
			continue
		}
		f := p.file(file)
		if p.layout.Classify(file) == manifest.ClassOther && !manifest.SaysClient(f.Data) {
			continue
		}
		proper, or := p.layout.Proper(file), ""
		if p.layout.Classify(file) == manifest.ClassOther {
			proper = path.Join(p.in.Path, path.Base(proper))
			if none {
				or = ", or set repository.path to " + path.Dir(file) + " if manifests are there"
			}
		}
		p.problems[file] = []state.FileProblem{{Path: file, Blob: f.Blob, Rule: "name", Text: "looks like a manifest and is not read", Hint: "name it " + proper + or}}
	}
}
