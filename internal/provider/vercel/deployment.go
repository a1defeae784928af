package vercel

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
	"github.com/compassdigital/reconciler/internal/state"
)

// Keys of a deployment's meta.
const (
	metaName = "reconcilerName"
	metaMark = "reconcilerMark"
	metaWord = "reconciler:" // begins those that keep an attribute
)

// Limits of a deployment.
const (
	freshFor   = 2 * time.Minute // after its build a look reads the log
	maxCommand = 256             // characters, by the published description
)

// maxMeta is the longest attribute that a deployment's meta keeps, in bytes: settings may be
// longer. What it does not keep is in its name, too.
const maxMeta = 2000

// deployment is what we read of one. Lists call its id uid.
type deployment struct {
	ID           string            `json:"id"`
	UID          string            `json:"uid"`
	URL          string            `json:"url"`
	ProjectID    string            `json:"projectId"`
	ReadyState   string            `json:"readyState"`
	State        string            `json:"state"`
	Substate     string            `json:"readySubstate"`
	Meta         map[string]string `json:"meta"`
	CreatedAt    float64           `json:"createdAt"` // epoch milliseconds
	ReadyAt      float64           `json:"ready"`
	DeletedAt    float64           `json:"deletedAt"` // by the project's retention; lists say deleted and undeleted
	UndeletedAt  float64           `json:"undeletedAt"`
	Deleted      float64           `json:"deleted"`
	Undeleted    float64           `json:"undeleted"`
	ErrorCode    string            `json:"errorCode"`
	ErrorMessage string            `json:"errorMessage"`
	ErrorStep    string            `json:"errorStep"`
	AliasError   *struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"aliasError"`
}

func (d deployment) id() string {
	if d.ID != "" {
		return d.ID
	}
	return d.UID
}

// phase says how far it is. States that nobody here knows are on their way: how long that may
// take is the manifest's deployment.timeout.
func (d deployment) phase() (provider.Phase, string) {
	is := d.ReadyState
	if is == "" {
		is = d.State
	}
	switch is {
	case "READY":
		return provider.Ready, ""
	case "QUEUED", "INITIALIZING", "BUILDING":
		return provider.Progressing, ""
	case "BLOCKED":
		return provider.Manual, "Vercel has blocked the build of " + provider.Line(d.id(), maxID) + ": its page there says why (often, who made the commit is no member of the team). Let it go there; or cancel it, and retry"
	case "ERROR", "CANCELED":
		why := d.ErrorMessage
		if why == "" && d.AliasError != nil {
			why = d.AliasError.Message
		}
		if why = provider.Line(why, maxMessage-100); why == "" {
			why = "the build is " + is + ", and Vercel does not say why"
		}
		if d.ErrorCode != "" {
			why += " (" + provider.Line(d.ErrorCode, 80) + ")"
		}
		return provider.Failed, why
	}
	return provider.Progressing, "Vercel says that it is " + provider.Line(is, 40)
}

// gone says that what is listed or read is only remembered: it was deleted, or a project's retention took it away, which leaves
// its state as it was.
func (d deployment) gone() bool {
	return d.ReadyState == "DELETED" || d.State == "DELETED" || max(d.DeletedAt, d.Deleted) > max(d.UndeletedAt, d.Undeleted)
}

func (d deployment) object() provider.Object {
	o := object(state.KindDeployment, d.id(), d.Meta[metaName], provider.ParseMark(d.Meta[metaMark]))
	o.Phase, o.Message = d.phase()
	o.Attributes = []provider.Observed{text("site", d.ProjectID)}
	for key, value := range d.Meta {
		if name, ok := strings.CutPrefix(key, metaWord); ok && name != "site" && len(name) <= maxID && len(value) <= maxMeta {
			o.Attributes = append(o.Attributes, text(name, value))
		}
	}
	slices.SortFunc(o.Attributes, func(a, b provider.Observed) int { return strings.Compare(a.Name, b.Name) })
	o.Outputs = append(o.Outputs, provider.Output{Name: "url", Text: "https://" + provider.Line(d.URL, 253)})
	return o
}

// deployment reads one; nil when there is none.
func (p *Provider) deployment(ctx context.Context, op, id string) (*deployment, error) {
	if !isDeployment(id) {
		return nil, nil
	}
	var d deployment
	err := p.do(ctx, httpapi.Call{Op: op, Method: http.MethodGet, Path: "/v13/deployments/" + id}, &d)
	switch {
	case isGone(err), err == nil && d.gone():
		return nil, nil
	case err != nil:
		return nil, before(err)
	case d.id() != id:
		return nil, refuse(op, provider.Transient, "its answer is about another deployment")
	}
	return &d, nil
}

// deployments lists those for production of a project, the newest first.
func (p *Provider) deployments(ctx context.Context, project string) ([]deployment, error) {
	var out []deployment
	err := p.all(ctx, "/v7/deployments", url.Values{"projectId": {project}, "target": {production}}, "until", func() (any, func() (token, bool)) {
		var a struct {
			Deployments []deployment `json:"deployments"`
			Pagination  page         `json:"pagination"`
		}
		return &a, func() (token, bool) {
			for _, d := range a.Deployments {
				if isDeployment(d.id()) && !d.gone() && d.ProjectID == project {
					out = append(out, d)
				}
			}
			return a.Pagination.Next, a.Deployments != nil
		}
	})
	if isGone(err) {
		return nil, nil
	}
	return out, err
}

func (p *Provider) observeDeployment(ctx context.Context, q provider.Query) ([]provider.Object, error) {
	site := q.Wish.Get("site")
	switch {
	case q.ID != "":
		d, err := p.deployment(ctx, observing, q.ID)
		if d == nil || err != nil {
			return nil, err
		}
		o := d.object()
		switch f := provider.FollowOf(ctx, d.id()); {
		case f != nil:
			err = f.Look(ctx, o.Phase == provider.Ready || o.Phase == provider.Failed, p.feed(d.id()))
		case o.Phase != provider.Ready || p.now().Sub(time.UnixMilli(int64(d.ReadyAt))) < freshFor:
			o.Log, err = p.log(ctx, d.id())
		}
		return []provider.Object{o}, err
	case !isProject(site):
		return nil, nil
	case q.Name == "":
		return p.serving(ctx, site)
	}
	all, err := p.deployments(ctx, site)
	if err != nil {
		return nil, err
	}
	var out []provider.Object
	for _, d := range all {
		if d.Meta[metaName] == q.Name {
			out = append(out, d.object())
		}
	}
	return out, nil
}

// serving is the deployment that a project serves.
func (p *Provider) serving(ctx context.Context, site string) ([]provider.Object, error) {
	x, err := p.project(ctx, observing, site)
	if x == nil || err != nil {
		return nil, err
	}
	d, err := p.deployment(ctx, observing, x.serves())
	if d == nil || err != nil {
		return nil, err
	}
	return []provider.Object{d.object()}, nil
}

func (p *Provider) createDeployment(ctx context.Context, w provider.Wish) (provider.Object, error) {
	site := w.Get("site")
	repo, ok := repositoryOf(w.Get("repository"))
	r, valid := releaseOf(w)
	settings, err := settingsOf(w)
	switch {
	case err != nil:
		return provider.Object{}, err
	case !isProject(site):
		return provider.Object{}, refuse(creating, provider.Invalid, "project %q is not here", site)
	case !ok:
		return provider.Object{}, refuse(creating, provider.Invalid, "Vercel deploys from GitHub, GitLab and Bitbucket; %q is none of theirs", w.Get("repository"))
	case repo.kind != "" && w.Get("commit") == "":
		return provider.Object{}, refuse(creating, provider.Invalid, "the ref %q was not resolved to a commit", w.Get("ref"))
	case !valid:
		return provider.Object{}, refuse(creating, provider.Invalid, "the settings are not JSON")
	}
	x, err := p.lead(ctx, site, r)
	if err != nil {
		return provider.Object{}, err
	}
	body := map[string]any{"name": x.Name, "project": x.ID, "target": production, "meta": metaOf(w)}
	if repo.kind == "" {
		body["files"], body["projectSettings"] = r.files(), map[string]any{"framework": nil, "installCommand": "", "buildCommand": "", "rootDirectory": nil}
	} else {
		git := x.Link.source(repo, w.Get("ref"), w.Get("commit"))
		if git == nil {
			return provider.Object{}, refuse(creating, provider.Invalid, "project %s is not linked to %s at Vercel, so that its id there is not known", x.ID, repo.path)
		}
		body["gitSource"], body["projectSettings"] = git, settings
	}
	var d deployment
	// forceNew: an equal one that was built before is no reason to get that one.
	err = p.do(ctx, httpapi.Call{Op: creating, Method: http.MethodPost, Path: "/v13/deployments", Query: url.Values{"forceNew": {"1"}, "skipAutoDetectionConfirmation": {"1"}}, In: body}, &d)
	if err != nil {
		return provider.Object{}, as(err, provider.NotFound, provider.Invalid)
	}
	if !isDeployment(d.id()) {
		return provider.Object{}, refuse(creating, provider.Uncertain, "its answer names no deployment")
	}
	d.ProjectID, d.Meta = site, metaOf(w)
	return d.object(), nil
}

// lead does what has to be done before a deployment: it is to wait for its promotion, and its
// build finds what it is made of. Both may be repeated.
func (p *Provider) lead(ctx context.Context, site string, r release) (x project, err error) {
	if err := p.set(ctx, creating, site, map[string]any{"autoAssignCustomDomains": false}, &x); err != nil {
		return x, as(before(err), provider.NotFound, provider.Invalid)
	}
	if x.hides() {
		return x, refuse(creating, provider.Invalid, "project %s lets nobody see a new deployment without a login, so that it can't be tried before it serves: at Vercel, in its settings, "+
			"let Deployment Protection be for previews only, or turn it off, then retry", provider.Line(x.Name, maxID))
	}
	said, err := json.Marshal(r)
	if err != nil {
		return x, refuse(creating, provider.Invalid, "the release can't be written down")
	}
	defer p.lock(site)()
	one := []map[string]any{variable(varRelease, string(said))}
	if err = p.upsert(ctx, creating, site, one); err != nil && provider.KindOf(err) == provider.Invalid && p.freed(ctx, site) {
		err = p.upsert(ctx, creating, site, one)
	}
	return x, as(as(before(err), provider.NotFound, provider.Invalid), provider.Conflict, provider.Invalid)
}

// freed takes a release's variable away that was made sensitive meanwhile: it can't be set to
// anything else. It says whether it did.
func (p *Provider) freed(ctx context.Context, site string) bool {
	vars, err := p.variables(ctx, creating, site)
	if err != nil {
		return false
	}
	done := false
	for _, s := range vars {
		if s.Key == varRelease && s.Type == sensitive && s.GitBranch == "" {
			if p.removeVariable(ctx, creating, site, s.ID) != nil {
				return false
			}
			done = true
		}
	}
	return done
}

// settingsOf are the commands of a build. null: Vercel finds out.
func settingsOf(w provider.Wish) (map[string]any, error) {
	command, directory := w.Get("command"), w.Get("directory")
	if migrate := w.Get("migrate"); migrate != "" {
		if command == "" {
			return nil, refuse(creating, provider.Invalid, "at Vercel a migration runs in front of the build: say build.command, too")
		}
		command = migrate + " && " + command
	}
	if len(command) > maxCommand || len(w.Get("install")) > maxCommand {
		return nil, refuse(creating, provider.Invalid, "Vercel takes commands of at most %d characters (migrate and build.command together, build.install)", maxCommand)
	}
	if directory == "." {
		directory = ""
	}
	orNull := func(s string) any {
		if s == "" {
			return nil
		}
		return s
	}
	return map[string]any{"buildCommand": orNull(command), "installCommand": orNull(w.Get("install")), "rootDirectory": orNull(directory)}, nil
}

// metaOf is what finds a deployment again.
func metaOf(w provider.Wish) map[string]string {
	out := map[string]string{metaName: w.Name, metaMark: w.Mark.Text()}
	for _, in := range w.Inputs {
		if in.Secret == nil && in.Name != "site" && len(in.Text) <= maxMeta {
			out[metaWord+in.Name] = in.Text
		}
	}
	return out
}

func (p *Provider) updateDeployment(ctx context.Context, id string) (provider.Object, error) {
	d, err := p.deployment(ctx, updating, id)
	switch {
	case err != nil:
		return provider.Object{}, err
	case d == nil:
		return provider.Object{}, refuse(updating, provider.NotFound, "deployment %q is not here", id)
	}
	return provider.Object{}, refuse(updating, provider.Invalid, "a deployment can't be changed")
}

func (p *Provider) deleteDeployment(ctx context.Context, id string) error {
	if !isDeployment(id) {
		return nil
	}
	err := p.do(ctx, httpapi.Call{Op: deleting, Method: http.MethodDelete, Path: "/v13/deployments/" + id}, nil)
	if isGone(err) {
		return nil
	}
	return err
}

// messageOf is an error's own words.
func messageOf(err error) string {
	var e *provider.Error
	if errors.As(err, &e) {
		return e.Message
	}
	return "no answer came"
}
