package vercel

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
	"github.com/compassdigital/reconciler/internal/state"
)

// permanent is the status of a redirect.
const permanent = 308

// domain is a host name on a project.
type domain struct {
	Name         string      `json:"name"`
	ProjectID    string      `json:"projectId"`
	Redirect     string      `json:"redirect"`
	Branch       string      `json:"gitBranch"`           // whose previews it leads to; "": production
	Environment  string      `json:"customEnvironmentId"` // of the project's own, that it leads to; "": none
	Verified     bool        `json:"verified"`
	Verification []challenge `json:"verification"`
}

// challenge is a record that proves a domain.
type challenge struct {
	Type   string `json:"type"`
	Domain string `json:"domain"`
	Value  string `json:"value"`
}

func (d domain) object() provider.Object {
	o := object(state.KindDomain, d.ProjectID+"/"+d.Name, d.Name, provider.Mark{})
	o.Attributes = []provider.Observed{text("host", d.Name), text("redirect", d.Redirect), text("site", d.ProjectID)}
	if d.Branch != "" { // it has no redirect beside that
		o.Attributes[1].Text = "the branch " + provider.Line(d.Branch, maxID)
	}
	if d.Environment != "" {
		o.Attributes[1].Text = "the environment " + provider.Line(d.Environment, maxID)
	}
	if !d.Verified {
		o.Phase, o.Message = provider.Manual, d.proof()
	}
	return o
}

// proof says what a person has to do so that Vercel believes whose the domain is.
func (d domain) proof() string {
	for _, c := range d.Verification {
		if c.Type == "TXT" {
			return provider.Line(fmt.Sprintf("another account at Vercel uses %s: set the TXT record %s to %q, then press Refresh at the domain in Vercel's project", d.Name, c.Domain, c.Value), maxMessage)
		}
	}
	return "Vercel wants " + provider.Line(d.Name, 253) + " to be verified: its page of the project's domains says how"
}

// domainID is a domain's project and host; ok is false for what can't be one.
func domainID(id string) (project, host string, ok bool) {
	project, host, _ = strings.Cut(id, "/")
	return project, host, isProject(project) && isWord(host)
}

func domainPath(version, project, host string) string {
	return projectPath(version, project) + "/domains/" + host
}

// domain reads one; nil when the project does not have it.
func (p *Provider) domain(ctx context.Context, op, project, host string) (*domain, error) {
	var d domain
	err := p.do(ctx, httpapi.Call{Op: op, Method: http.MethodGet, Path: domainPath("v9", project, host)}, &d)
	switch {
	case isGone(err):
		return nil, nil
	case err != nil:
		return nil, before(err)
	case d.Name != host || d.ProjectID != project:
		return nil, refuse(op, provider.Transient, "its answer is about another domain")
	}
	return &d, nil
}

func (p *Provider) observeDomain(ctx context.Context, q provider.Query) ([]provider.Object, error) {
	project, host, ok := domainID(q.ID)
	if q.ID == "" {
		project, host = q.Wish.Get("site"), q.Name
		ok = isProject(project) && isWord(host)
	}
	if !ok {
		return nil, nil
	}
	d, err := p.domain(ctx, observing, project, host)
	if d == nil && err == nil && q.ID != "" {
		_, err = p.project(ctx, observing, project) // in the team that is asked?
	}
	if d == nil || err != nil {
		return nil, err
	}
	return []provider.Object{d.object()}, nil
}

// redirect is the part of a body that says where a domain leads.
func redirect(to string) map[string]any {
	out := map[string]any{"redirect": nil, "redirectStatusCode": nil, "gitBranch": nil}
	if to != "" {
		out["redirect"], out["redirectStatusCode"] = to, permanent
	}
	return out
}

func (p *Provider) createDomain(ctx context.Context, w provider.Wish) (provider.Object, error) {
	project, host := w.Get("site"), w.Get("host")
	if !isProject(project) || !isWord(host) {
		return provider.Object{}, refuse(creating, provider.Invalid, "project %q can't have the domain %q", project, host)
	}
	body := redirect(w.Get("redirect"))
	body["name"] = host
	var d domain
	err := p.do(ctx, httpapi.Call{Op: creating, Method: http.MethodPost, Path: projectPath("v10", project) + "/domains", In: body}, &d)
	if err != nil {
		return provider.Object{}, p.refusedDomain(ctx, err, project, host)
	}
	return p.verified(ctx, creating, d, project, host)
}

// refusedDomain tells apart why a project does not get a domain. A name that it has already is
// a 400 like any other; one that another account keeps is a 403, which is no reason to stop
// everybody.
func (p *Provider) refusedDomain(ctx context.Context, err error, project, host string) error {
	switch provider.KindOf(err) {
	case provider.Invalid:
		if d, errLook := p.domain(ctx, creating, project, host); errLook == nil && d != nil {
			return as(err, provider.Invalid, provider.Conflict)
		}
		if all, errLook := p.deployments(ctx, project); errLook == nil && len(all) > 0 {
			if phase, _ := all[0].phase(); phase == provider.Failed {
				return tell(err, "Vercel gives a project no new name while its latest deployment for production, "+provider.Line(all[0].id(), maxID)+
					", has failed (every push to the repository's main branch makes one): redeploy it there, or delete it, then retry")
			}
		}
	case provider.NotFound:
		return as(err, provider.NotFound, provider.Invalid)
	case provider.Denied:
		if errCheck := p.do(ctx, httpapi.Call{Op: observing, Method: http.MethodGet, Path: projectPath("v9", project)}, &struct{}{}); errCheck == nil {
			return as(err, provider.Denied, provider.Invalid)
		}
	}
	return err
}

// verified asks Vercel to verify a domain that it does not believe yet. That it does not is
// told by the object, not by an error.
func (p *Provider) verified(ctx context.Context, op string, d domain, project, host string) (provider.Object, error) {
	if d.Name != host || d.ProjectID != project {
		return provider.Object{}, refuse(op, provider.Uncertain, "its answer is about another domain")
	}
	if d.Verified {
		return p.reached(ctx, op, d), nil
	}
	var now domain
	if err := p.do(ctx, httpapi.Call{Op: op, Method: http.MethodPost, Path: domainPath("v9", project, host) + "/verify"}, &now); err == nil {
		d.Verified = now.Verified
	}
	return d.object(), nil
}

// reached says whether Vercel can get the domain's certificate: by itself, once DNS leads there.
// What could not be asked is not known, and asked again.
func (p *Provider) reached(ctx context.Context, op string, d domain) provider.Object {
	var config struct {
		Misconfigured *bool `json:"misconfigured"`
	}
	o := d.object()
	err := p.do(ctx, httpapi.Call{Op: op, Method: http.MethodGet, Path: "/v6/domains/" + d.Name + "/config"}, &config)
	switch {
	case err != nil: // a token that may not ask waits for ever: people are told why
		o.Phase, o.Message = provider.Unreached, "Vercel did not say whether DNS leads "+provider.Line(d.Name, 253)+" there: "+messageOf(err)
	case config.Misconfigured == nil:
		o.Phase, o.Message = provider.Unreached, "Vercel did not say whether DNS leads "+provider.Line(d.Name, 253)+" there"
	case *config.Misconfigured:
		o.Phase, o.Message = provider.Unreached, "DNS does not lead "+provider.Line(d.Name, 253)+" to Vercel yet, which gets its certificate then"
	}
	return o
}

func (p *Provider) updateDomain(ctx context.Context, id string, w provider.Wish) (provider.Object, error) {
	project, host, ok := domainID(id)
	to := w.Get("site")
	switch {
	case !ok:
		return provider.Object{}, refuse(updating, provider.NotFound, "domain %q is not here", id)
	case w.Get("host") != host:
		return provider.Object{}, refuse(updating, provider.Invalid, "a domain can't change its name")
	case !isProject(to):
		return provider.Object{}, refuse(updating, provider.Invalid, "project %q is not here", to)
	}
	if to != project {
		d, err := p.moveDomain(ctx, project, host, to, w.Get("redirect"))
		if err == nil {
			return p.verified(ctx, updating, *d, to, host)
		}
		if !isGone(err) {
			return provider.Object{}, err
		}
		// It may have moved already, and nobody heard.
	}
	var d domain
	err := p.do(ctx, httpapi.Call{Op: updating, Method: http.MethodPatch, Path: domainPath("v9", to, host), In: redirect(w.Get("redirect"))}, &d)
	if err != nil {
		return provider.Object{}, err
	}
	if d.Environment != "" { // a change has no field that takes it from there
		if err := p.deleteDomain(ctx, to+"/"+host); err != nil {
			return provider.Object{}, err
		}
		return p.createDomain(ctx, w)
	}
	return p.verified(ctx, updating, d, to, host)
}

// moveDomain gives a domain to another project in one call, so that no moment is without it:
// vercel.com/docs/rest-api/projects/move-a-project-domain (the cut description does not have it).
func (p *Provider) moveDomain(ctx context.Context, from, host, to, leads string) (*domain, error) {
	body := redirect(leads)
	body["projectId"] = to
	var d domain
	err := p.do(ctx, httpapi.Call{Op: updating, Method: http.MethodPost, Path: domainPath("v1", from, host) + "/move", In: body}, &d)
	return &d, err
}

func (p *Provider) deleteDomain(ctx context.Context, id string) error {
	project, host, ok := domainID(id)
	if !ok {
		return nil
	}
	err := p.do(ctx, httpapi.Call{Op: deleting, Method: http.MethodDelete, Path: domainPath("v9", project, host)}, nil)
	if isGone(err) {
		_, err = p.project(ctx, deleting, project)
	}
	return err
}
