package takeover

import (
	"path"
	"slices"

	"github.com/compassdigital/reconciler/internal/manifest"
)

// maxRounds bounds how often a draft is mended: each round leaves at least one field out.
const maxRounds = 8

// Tree is where drafts go: what is there, and how it is laid out.
type Tree struct {
	Layout   manifest.Layout
	Files    []manifest.File
	Defaults manifest.Defaults
	Program  string
}

// KnownIn says which names and host names the tree's manifests have. A manifest that can't
// be read keeps the name of its file.
func (t Tree) KnownIn() Known {
	k := Known{Names: map[string]bool{}, Hosts: map[string]string{}}
	for _, f := range t.Files {
		if t.Layout.Classify(f.Path) == manifest.ClassClient {
			base := path.Base(f.Path)
			k.Names[base[:len(base)-len(path.Ext(base))]] = true
		}
	}
	valid, _ := manifest.CheckTreeFor(t.Program, t.Layout, t.Files, t.Defaults)
	for _, e := range valid {
		for _, h := range e.Hosts {
			k.Hosts[h] = e.Name + ".yaml"
		}
	}
	return k
}

// Path is where a draft goes.
func (t Tree) Path(d Draft) string { return path.Join(t.Layout.Clients, d.Name+".yaml") }

// Check holds drafts against the tree. A field that only describes and breaks a rule is left
// out of its draft; a draft that stays wrong is refused, with why, and not returned.
func Check(t Tree, drafts []Draft) (good []Draft, refused map[string]string) {
	refused = map[string]string{}
	good = slices.Clone(drafts)
	for round := 0; ; round++ {
		at := map[string]int{}
		files := slices.Clone(t.Files)
		fields := make([]map[int]int, len(good))
		for i := range good {
			data, lines := good[i].print()
			fields[i] = lines
			at[t.Path(good[i])] = i
			files = append(files, manifest.File{Path: t.Path(good[i]), Data: data})
		}
		_, problems := manifest.CheckTreeFor(t.Program, t.Layout, files, t.Defaults)
		wrong := map[int]manifest.Problem{}
		for _, p := range problems {
			if i, ok := at[p.Path]; ok && !p.Warning {
				if _, told := wrong[i]; !told {
					wrong[i] = p
				}
			}
		}
		if len(wrong) == 0 {
			return good, refused
		}
		var next []Draft
		for i := range good {
			p, bad := wrong[i]
			if bad {
				n, ours := fields[i][p.Line]
				if !ours || round >= maxRounds || !good[i].Drop(n, p.Text) {
					refused[good[i].Name] = clip(p.Text)
					continue
				}
			}
			next = append(next, good[i])
		}
		good = next
	}
}
