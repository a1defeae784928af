package accept

import (
	"path"
	"strings"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/state"
)

// Resolver resolves clients with what a baseline holds: its templates, its
// platform file, its defaults. It does not change once made; it may be shared.
type Resolver struct {
	base      manifest.Context
	platform  string                        // blob
	templates map[string]string             // name → blob, as in base
	platforms map[string]*manifest.Platform // by blob, kept ones with it
	byBlob    map[string]named
}

type named struct {
	name     string
	template manifest.Template
}

// NewResolver decodes what the baseline holds (nil: nothing) once.
func NewResolver(b *state.Baseline, program string) *Resolver {
	return newResolver(b, program, nil)
}

// newResolver takes over what another one decoded already.
func newResolver(b *state.Baseline, program string, from *Resolver) *Resolver {
	r := &Resolver{templates: map[string]string{}, platforms: map[string]*manifest.Platform{}, byBlob: map[string]named{}}
	r.base = manifest.Context{Templates: map[string]manifest.Template{}, Blobs: r.templates, Program: program}
	if b == nil {
		return r
	}
	r.base.Defaults = defaultsOf(b.Defaults)
	if b.Platform != nil {
		r.base.Platform, r.platform = r.addPlatform(*b.Platform, from), b.Platform.Blob
	}
	for _, f := range b.Templates {
		n := r.addTemplate(f, from)
		r.base.Templates[n.name], r.templates[n.name] = n.template, f.Blob
	}
	layout := manifest.LayoutOf(b.Path)
	for _, f := range b.Kept {
		if layout.Classify(f.Path) == manifest.ClassPlatform {
			r.addPlatform(f, from)
		} else {
			r.addTemplate(f, from)
		}
	}
	return r
}

func (r *Resolver) addPlatform(f state.File, from *Resolver) *manifest.Platform {
	if from != nil {
		if p, ok := from.platforms[f.Blob]; ok {
			r.platforms[f.Blob] = p
			return p
		}
	}
	// It was accepted, so it decodes; what a newer program would say of it can't
	// take back what was accepted.
	var p manifest.Platform
	_ = reading(f.Path, func() (q manifest.Problems) { p, q = manifest.DecodePlatform(f.Path, f.Data); return q })
	r.platforms[f.Blob] = &p
	return &p
}

func (r *Resolver) addTemplate(f state.File, from *Resolver) named {
	n := named{name: nameOf(f.Path)}
	if from != nil {
		if known, ok := from.byBlob[f.Blob]; ok && known.name == n.name {
			r.byBlob[f.Blob] = known
			return known
		}
	}
	_ = reading(f.Path, func() (q manifest.Problems) { n.template, q = manifest.DecodeTemplate(f.Path, f.Data); return q })
	r.byBlob[f.Blob] = n
	return n
}

// File resolves a file with the baseline's current versions.
func (r *Resolver) File(file string, data []byte) (manifest.Effective, manifest.Problems) {
	return resolve(file, data, r.base)
}

func resolve(file string, data []byte, ctx manifest.Context) (eff manifest.Effective, problems manifest.Problems) {
	problems = reading(file, func() (p manifest.Problems) { eff, p = manifest.Resolve(file, data, ctx); return p })
	return eff, problems
}

// Client resolves a client's last good version with the versions of template and
// platform file that it is held to: the current ones, but for a client that
// breaks a rule of these.
func (r *Resolver) Client(c state.Client) (manifest.Effective, manifest.Problems) {
	return resolve(c.Path, c.Manifest, r.context(c))
}

func (r *Resolver) context(c state.Client) manifest.Context {
	ctx := r.base
	switch {
	case c.PlatformBlob == "":
		ctx.Platform = nil // there was none
	case c.PlatformBlob != r.platform:
		if p, ok := r.platforms[c.PlatformBlob]; ok {
			ctx.Platform = p
		}
	}
	n, ok := r.byBlob[c.TemplateBlob]
	if !ok || r.templates[n.name] == c.TemplateBlob {
		return ctx
	}
	ctx.Templates = map[string]manifest.Template{n.name: n.template}
	ctx.Blobs = map[string]string{n.name: c.TemplateBlob}
	return ctx
}

// minRetain is the platform's floor.
func (r *Resolver) minRetain() manifest.Duration {
	if r.base.Platform == nil {
		return 0
	}
	return r.base.Platform.Limits.MinRetain
}

func (r *Resolver) guard() manifest.Guard {
	if r.base.Platform == nil {
		return manifest.Guard{}
	}
	return r.base.Platform.Guard
}

func (r *Resolver) freezes() []manifest.Freeze {
	if r.base.Platform == nil {
		return nil
	}
	return r.base.Platform.Freeze
}

// nameOf is the name that a file's path says.
func nameOf(file string) string { return strings.TrimSuffix(path.Base(file), ".yaml") }

func defaultsOf(m map[string]string) manifest.Defaults {
	return manifest.Defaults{BaseDomain: m["baseDomain"], Deployment: m["deployment"], Server: m["server"], Database: m["database"], DNS: m["dns"]}
}

func defaultsMap(d manifest.Defaults) map[string]string {
	m := map[string]string{}
	for k, v := range map[string]string{"baseDomain": d.BaseDomain, "deployment": d.Deployment, "server": d.Server, "database": d.Database, "dns": d.DNS} {
		if v != "" {
			m[k] = v
		}
	}
	return m
}
