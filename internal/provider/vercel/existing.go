package vercel

import (
	"context"
	"strings"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

var (
	_ provider.Lister = (*Provider)(nil)
	_ provider.Marker = (*Provider)(nil)
)

// ownAddress ends the names that Vercel itself gives to projects.
const ownAddress = ".vercel.app"

// maxDomains is how many host names of a project are read.
const maxDomains = 1000

// Existing implements provider.Lister: the pages of projects. They tell the names under which
// production serves, and whose a project is only where they show its variables.
func (p *Provider) Existing(ctx context.Context) ([]provider.Object, error) {
	all, err := p.projects(ctx)
	if err != nil {
		return nil, err
	}
	var out []provider.Object
	for _, x := range all {
		o := siteObject(x, x.Env)
		if x.Link != nil && x.Link.Branch != "" {
			o.Attributes = append(o.Attributes, text("ref", provider.Line(x.Link.Branch, maxID)))
		}
		out = append(out, o)
		for _, host := range x.Targets[production].Alias {
			if host = strings.ToLower(host); isWord(host) && !strings.HasSuffix(host, ownAddress) {
				out = append(out, domain{Name: host, ProjectID: x.ID, Verified: true}.object())
			}
		}
	}
	return out, nil
}

// Inside implements provider.Lister: a project's variables and its host names, a call each.
func (p *Provider) Inside(ctx context.Context, o provider.Object) ([]provider.Object, error) {
	if o.Kind != state.KindSite || !isProject(o.ID) {
		return nil, nil
	}
	vars, err := p.variables(ctx, observing, o.ID)
	if isGone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	all, err := p.domains(ctx, o.ID)
	if err != nil {
		return nil, err
	}
	env, _ := environmentObject(o.ID, "", vars)
	if env.Mark = vars.mark(); env.Mark.IsZero() { // the project's says whose its variables are, too
		said, _ := vars.get(varEnvironment)
		env.Mark = provider.ParseMark(said.Value)
	}
	env.Kind, env.ID = state.KindEnvironment, o.ID
	var unread []string
	for _, s := range vars.set() {
		if s.hidden() {
			unread = append(unread, s.Key)
		}
	}
	env.Attributes = append(env.Attributes, text("unread", strings.Join(unread, ",")))
	out := []provider.Object{env}
	for _, d := range all {
		if d.Name = strings.ToLower(d.Name); isWord(d.Name) && d.ProjectID == o.ID && !strings.HasSuffix(d.Name, ownAddress) {
			out = append(out, d.object())
		}
	}
	return out, nil
}

// domains lists the host names of a project. None: the project is gone.
func (p *Provider) domains(ctx context.Context, project string) ([]domain, error) {
	var out []domain
	err := p.all(ctx, projectPath("v9", project)+"/domains", nil, "until", func() (any, func() (token, bool)) {
		var a struct {
			Domains    []domain `json:"domains"`
			Pagination page     `json:"pagination"`
		}
		return &a, func() (token, bool) {
			if out = append(out, a.Domains...); len(out) > maxDomains {
				return "", true
			}
			return a.Pagination.Next, a.Domains != nil
		}
	})
	switch {
	case isGone(err):
		return nil, nil
	case err == nil && len(out) > maxDomains:
		return nil, refuse(observing, provider.Transient, "project %s has more host names than can be read", project)
	}
	return out, err
}

// Mark implements provider.Marker: one variable of the project, for development, which no
// build is begun for.
func (p *Provider) Mark(ctx context.Context, kind state.Kind, id string, m provider.Mark) error {
	if kind != state.KindSite {
		return unsupported(updating, kind)
	}
	if !isProject(id) {
		return refuse(updating, provider.NotFound, "project %q is not here", id)
	}
	defer p.lock(id)()
	vars, err := p.variables(ctx, observing, id)
	if err != nil {
		return err
	}
	switch has := vars.mark(); {
	case has == m:
		return nil
	case !has.IsZero():
		return refuse(updating, provider.Conflict, "the project bears the mark of %q", has.Text())
	}
	return p.upsert(ctx, updating, id, []map[string]any{remark(varMark, m.Text())})
}
