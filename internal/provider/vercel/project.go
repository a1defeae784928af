package vercel

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
	"github.com/compassdigital/reconciler/internal/state"
)

// Where a name has to lead, whatever project it is on: vercel.com/docs/domains/working-with-domains/add-a-domain.
// GET /v6/domains/{domain}/config may recommend others for a name; these go on working.
const (
	anycast = "76.76.21.21"
	cname   = "cname.vercel-dns.com"
)

// project is what we read of a project.
type project struct {
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	NodeVersion string            `json:"nodeVersion"`
	Link        *link             `json:"link"`
	Paused      bool              `json:"paused"`
	UpdatedAt   float64           `json:"updatedAt"` // epoch milliseconds
	Targets     map[string]target `json:"targets"`
	Request     *aliasRequest     `json:"lastAliasRequest"`
	Env         variables         `json:"env"` // where a list has them: the description allows it
	Login       *protection       `json:"ssoProtection"`
	Password    *protection       `json:"passwordProtection"`
}

// protection is what keeps visitors from deployments.
type protection struct {
	Of string `json:"deploymentType"`
}

// previews is the protection that leaves deployments for production as they are.
const previews = "preview"

// hides says that a deployment for production asks at its own address who visits it.
func (x project) hides() bool {
	for _, by := range []*protection{x.Login, x.Password} {
		if by != nil && by.Of != "" && by.Of != previews {
			return true
		}
	}
	return false
}

// spelled is how a site was wished, in RECONCILER_SITE: Vercel has no place for the label, and
// a repository has several spellings.
type spelled struct {
	Label      string `json:"label"`
	Repository string `json:"repository"`
	Runtime    string `json:"runtime"`
}

// says is whose it is by what a list shows: a mark, or what serves there, or its name, which may be another one by now.
func (x project) says() provider.Mark {
	for _, m := range []provider.Mark{x.Env.mark(), provider.ParseMark(x.Targets[production].Meta[metaMark])} {
		if !m.IsZero() {
			return m
		}
	}
	return provider.NamedMark(x.Name)
}

// projectPath is where a project is.
func projectPath(version, idOrName string) string { return "/" + version + "/projects/" + idOrName }

// project reads one project; nil when there is none.
func (p *Provider) project(ctx context.Context, op, idOrName string) (*project, error) {
	if !isWord(idOrName) {
		return nil, nil
	}
	var x project
	err := p.do(ctx, httpapi.Call{Op: op, Method: http.MethodGet, Path: projectPath("v9", idOrName)}, &x)
	switch {
	case isGone(err):
		return nil, nil
	case err != nil:
		return nil, before(err)
	case !isProject(x.ID):
		return nil, refuse(op, provider.Transient, "its answer names no project")
	case isProject(idOrName) && x.ID != idOrName:
		return nil, refuse(op, provider.Transient, "its answer is about another project")
	}
	return &x, nil
}

// projects lists all of them. A list is by when a project was changed last, the newest first, so
// that one which is changed while it is read goes to the front, which was read before. So of
// several pages the front is read again, down to a project that has not changed since.
func (p *Provider) projects(ctx context.Context) ([]project, error) {
	var out []project
	seen := map[string]float64{} // when each was changed last
	read := func(front bool) (pages int, err error) {
		err = p.all(ctx, "/v10/projects", nil, "from", func() (any, func() (token, bool)) {
			var a struct {
				Projects   []project `json:"projects"`
				Pagination page      `json:"pagination"`
			}
			return &a, func() (token, bool) {
				pages++
				rested := false
				for _, x := range a.Projects {
					at, known := seen[x.ID]
					rested = rested || known && at == x.UpdatedAt
					if seen[x.ID] = x.UpdatedAt; isProject(x.ID) && !known {
						out = append(out, x)
					}
				}
				if front && rested {
					return "", true
				}
				return a.Pagination.Next, a.Projects != nil
			}
		})
		return pages, err
	}
	for n := range frontReadings {
		if pages, err := read(n > 0); err != nil || pages == 1 {
			return out, err
		}
	}
	return nil, refuse(observing, provider.Transient, "its list of projects changes faster than it can be read")
}

func (p *Provider) observeSite(ctx context.Context, q provider.Query) ([]provider.Object, error) {
	at := q.ID
	if at == "" {
		at = q.Name
	} else if !isProject(at) {
		return nil, nil
	}
	x, err := p.project(ctx, observing, at)
	if x == nil || err != nil || q.ID == "" && x.Name != q.Name {
		return nil, err
	}
	vars, err := p.variables(ctx, observing, x.ID)
	if isGone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return []provider.Object{siteObject(*x, vars)}, nil
}

func siteObject(x project, vars variables) provider.Object {
	said, ours := vars.get(varSite)
	var as spelled
	_ = json.Unmarshal([]byte(said.Value), &as) // of a project that isn't ours there is none
	if r, ok := repositoryOf(as.Repository); !ok || !x.Link.is(r) {
		as.Repository = x.Link.text()
	}
	if version, ok := nodeOf(as.Runtime); !ok || !ours || version != "" && version != x.NodeVersion {
		as.Runtime = "node" + strings.TrimSuffix(x.NodeVersion, ".x")
	}
	o := object(state.KindSite, x.ID, x.Name, vars.mark())
	o.Attributes = []provider.Observed{text("label", as.Label), text("repository", as.Repository), text("runtime", as.Runtime), text("server", "")}
	o.Outputs = append(o.Outputs, provider.Output{Name: "url", Text: "https://" + x.Name + ".vercel.app"},
		provider.Output{Name: "address", Text: anycast}, provider.Output{Name: "host", Text: cname})
	return o
}

// nodeOf is a runtime as Vercel names it: node22 is 22.x. "" is Vercel's own choice.
func nodeOf(runtime string) (version string, ok bool) {
	if runtime == "" {
		return "", true
	}
	n, ok := strings.CutPrefix(runtime, "node")
	if !ok || n == "" || len(n) > 3 || strings.Trim(n, "0123456789") != "" {
		return "", false
	}
	return n + ".x", true
}

// siteWish is a site's wish, checked.
type siteWish struct {
	as   spelled
	repo repository
	node string
	vars []map[string]any // the variables that say so
}

func readSite(op string, w provider.Wish) (s siteWish, err error) {
	s.as = spelled{w.Get("label"), w.Get("repository"), w.Get("runtime")}
	var ok bool
	if server := w.Get("server"); server != "" && server != "default" {
		return s, refuse(op, provider.Invalid, "Vercel has no servers; take deployment.server %q away", server)
	}
	if s.repo, ok = repositoryOf(s.as.Repository); !ok {
		return s, refuse(op, provider.Invalid, "Vercel deploys from GitHub, GitLab and Bitbucket; %q is none of theirs", s.as.Repository)
	}
	if s.node, ok = nodeOf(s.as.Runtime); !ok {
		return s, refuse(op, provider.Invalid, "the runtime %q is not one of Vercel's: node22, say", s.as.Runtime)
	}
	said, err := json.Marshal(s.as)
	if err != nil {
		return s, refuse(op, provider.Invalid, "the site can't be written down")
	}
	s.vars = []map[string]any{remark(varMark, w.Mark.Text()), remark(varSite, string(said))}
	return s, nil
}

func (p *Provider) createSite(ctx context.Context, w provider.Wish) (provider.Object, error) {
	s, err := readSite(creating, w)
	if err != nil {
		return provider.Object{}, err
	}
	body := map[string]any{"name": w.Name, "environmentVariables": s.vars, "ssoProtection": nil}
	if s.repo.kind != "" {
		body["gitRepository"] = map[string]any{"type": s.repo.kind, "repo": s.repo.path}
	}
	var x project
	err = p.do(ctx, httpapi.Call{Op: creating, Method: http.MethodPost, Path: "/v11/projects", In: body}, &x)
	if err != nil {
		return provider.Object{}, say404(err)
	}
	if !isProject(x.ID) {
		return provider.Object{}, refuse(creating, provider.Uncertain, "its answer names no project")
	}
	if s.node != "" && s.node != x.NodeVersion {
		if err := p.set(ctx, creating, x.ID, map[string]any{"nodeVersion": s.node}, &x); err != nil {
			// The project is there: only a look says so.
			return provider.Object{}, refuse(creating, provider.Uncertain, "the project was made, and its runtime could not be set: %s", messageOf(err))
		}
	}
	return siteObject(x, variables{{Key: varMark, Value: w.Mark.Text(), Type: plain}, {Key: varSite, Value: s.vars[1]["value"].(string), Type: plain}}), nil
}

// say404: there is nothing that a create could miss but the team.
func say404(err error) error {
	if isGone(err) {
		return say(err, "there is no team of the id in providers.vercel.teamID, or the token is not of it")
	}
	return err
}

// set changes settings of a project and reads it anew.
func (p *Provider) set(ctx context.Context, op, id string, settings map[string]any, into *project) error {
	var x project
	if err := p.do(ctx, httpapi.Call{Op: op, Method: http.MethodPatch, Path: projectPath("v9", id), In: settings}, &x); err != nil {
		return err
	}
	if x.ID != id {
		return refuse(op, provider.Uncertain, "its answer is about another project")
	}
	*into = x
	return nil
}

func (p *Provider) updateSite(ctx context.Context, id string, w provider.Wish) (provider.Object, error) {
	s, err := readSite(updating, w)
	if err != nil {
		return provider.Object{}, err
	}
	x, err := p.known(ctx, updating, id)
	if err != nil {
		return provider.Object{}, err
	}
	if s.node != "" && s.node != x.NodeVersion {
		if err := p.set(ctx, updating, id, map[string]any{"nodeVersion": s.node}, x); err != nil {
			return provider.Object{}, err
		}
	}
	if !x.Link.is(s.repo) {
		if err := p.relink(ctx, x, s.repo); err != nil {
			return provider.Object{}, err
		}
	}
	defer p.lock(id)()
	if err := p.upsert(ctx, updating, id, s.vars); err != nil {
		return provider.Object{}, err
	}
	return siteObject(*x, variables{{Key: varMark, Value: w.Mark.Text(), Type: plain}, {Key: varSite, Value: s.vars[1]["value"].(string), Type: plain}}), nil
}

// relink gives a project another repository, or none. The address is the one that Vercel's
// own command line uses (`vercel git connect`); the published description has no other.
func (p *Provider) relink(ctx context.Context, x *project, r repository) error {
	k := httpapi.Call{Op: updating, Method: http.MethodDelete, Path: projectPath("v9", x.ID) + "/link"}
	if r.kind != "" {
		k.Method, k.In = http.MethodPost, map[string]any{"type": r.kind, "repo": r.path}
	}
	if err := p.do(ctx, k, nil); err != nil { // what it answers is not published
		return err
	}
	now, err := p.known(ctx, updating, x.ID)
	if err == nil {
		*x = *now
	}
	return err
}

// known reads the project of an id that an update names.
func (p *Provider) known(ctx context.Context, op, id string) (*project, error) {
	if isProject(id) {
		x, err := p.project(ctx, op, id)
		if x != nil || err != nil {
			return x, err
		}
	}
	return nil, refuse(op, provider.NotFound, "project %q is not here", id)
}

func (p *Provider) deleteSite(ctx context.Context, id string) error {
	if !isProject(id) {
		return nil
	}
	err := p.do(ctx, httpapi.Call{Op: deleting, Method: http.MethodDelete, Path: projectPath("v9", id)}, nil)
	if isGone(err) {
		return nil
	}
	return err
}
