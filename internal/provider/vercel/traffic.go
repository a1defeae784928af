package vercel

import (
	"context"
	"errors"
	"net/http"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
	"github.com/compassdigital/reconciler/internal/state"
)

// target is the deployment that one of a project's targets is at.
type target struct {
	ID       string            `json:"id"`
	Substate string            `json:"readySubstate"`
	Alias    []string          `json:"alias"` // the names under which it serves
	Meta     map[string]string `json:"meta"`
}

// aliasRequest is the last promotion or rollback that somebody asked for.
type aliasRequest struct {
	From   string `json:"fromDeploymentId"`
	To     string `json:"toDeploymentId"`
	Status string `json:"jobStatus"`
}

// staged is a deployment that never served.
const staged = "STAGED"

// pointed is the deployment that production is at, be the project paused or not; "": none. One that
// is only staged is the newest, and does not serve.
func (x project) pointed() string {
	t := x.Targets[production]
	if t.Substate == staged {
		return ""
	}
	return t.ID
}

// serves is the deployment that production is at; "": none.
func (x project) serves() string {
	if x.Paused {
		return ""
	}
	return x.pointed()
}

// leaves says that production is on its way to another deployment.
func (x project) leaves(id string) bool {
	r := x.Request
	return r != nil && r.To != id && r.Status != "succeeded" && r.Status != "failed" && r.Status != "skipped"
}

// trafficObject says what serves, or what was asked to. ok is false where nothing does.
func trafficObject(x project, mark provider.Mark) (o provider.Object, ok bool) {
	o = object(state.KindTraffic, x.ID, x.Name, mark)
	serves := x.serves()
	if r := x.Request; r != nil && r.To != serves && !x.Paused {
		switch r.Status {
		case "succeeded": // and something else was assigned since
		case "failed", "skipped":
			o.Phase, o.Message = provider.Failed, "Vercel did not point production at "+provider.Line(r.To, maxID)+": the job is "+r.Status
		default:
			o.Phase, serves = provider.Progressing, r.To
		}
	}
	if serves == "" && o.Phase != provider.Failed {
		return o, false
	}
	o.Attributes = []provider.Observed{text("deployment", serves), text("site", x.ID)}
	return o, true
}

func (p *Provider) observeTraffic(ctx context.Context, q provider.Query) ([]provider.Object, error) {
	at := q.ID
	if at == "" {
		at = q.Wish.Get("site")
	}
	if at == "" && q.Name != "" {
		at = q.Name
	} else if !isProject(at) {
		return nil, nil
	}
	x, err := p.project(ctx, observing, at)
	if x == nil || err != nil || q.ID == "" && q.Name != "" && x.Name != q.Name {
		return nil, err
	}
	o, ok := trafficObject(*x, provider.Mark{})
	if !ok {
		return nil, nil
	}
	vars, err := p.variables(ctx, observing, x.ID)
	if isGone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	o.Mark = vars.mark()
	return []provider.Object{o}, nil
}

func (p *Provider) createTraffic(ctx context.Context, w provider.Wish) (provider.Object, error) {
	x, err := p.known(ctx, creating, w.Get("site"))
	if err != nil {
		return provider.Object{}, as(err, provider.NotFound, provider.Invalid)
	}
	if _, there := trafficObject(*x, w.Mark); there {
		return provider.Object{}, refuse(creating, provider.Conflict, "project %s serves already", x.ID)
	}
	return p.point(ctx, creating, x, w)
}

func (p *Provider) updateTraffic(ctx context.Context, id string, w provider.Wish) (provider.Object, error) {
	x, err := p.known(ctx, updating, id)
	if err != nil {
		return provider.Object{}, err
	}
	if _, there := trafficObject(*x, w.Mark); !there {
		return provider.Object{}, refuse(updating, provider.NotFound, "project %s serves nothing", id)
	}
	if w.Get("site") != id {
		return provider.Object{}, refuse(updating, provider.Invalid, "traffic can't move to another project")
	}
	return p.point(ctx, updating, x, w)
}

// point points production at a deployment: one that served before by an instant rollback,
// another one by a promotion. Nothing is built.
func (p *Provider) point(ctx context.Context, op string, x *project, w provider.Wish) (provider.Object, error) {
	id := w.Get("deployment")
	d, err := p.deployment(ctx, op, id)
	if err != nil {
		return provider.Object{}, err
	}
	if d == nil || d.ProjectID != x.ID {
		return provider.Object{}, refuse(op, provider.Invalid, "project %s has no deployment %q", x.ID, id)
	}
	switch phase, why := d.phase(); phase {
	case provider.Failed:
		return provider.Object{}, refuse(op, provider.Invalid, "deployment %s failed: %s", id, why)
	case provider.Progressing, provider.Manual:
		return provider.Object{}, refuse(op, provider.Transient, "deployment %s is still being built", id)
	}
	promotion := projectPath("v10", x.ID) + "/promote/" + id
	path, back := promotion, false
	switch at := x.pointed(); {
	case at == id && x.leaves(id):
		return provider.Object{}, refuse(op, provider.Transient, "production is still on its way to deployment %s", provider.Line(x.Request.To, maxID))
	case at == id:
		path = "" // it is there, and on its way nowhere else: to ask for it again is refused, for ever
	case d.Substate == "PROMOTED" && at != "":
		path, back = projectPath("v1", x.ID)+"/rollback/"+id, true
	}
	if path != "" {
		err := p.do(ctx, httpapi.Call{Op: op, Method: http.MethodPost, Path: path}, nil)
		if back && errors.Is(err, errPlan) { // a plan without a price rolls back by one release; a promotion has no such limit
			if again := p.do(ctx, httpapi.Call{Op: op, Method: http.MethodPost, Path: promotion}, nil); again == nil || provider.KindOf(again) != provider.Invalid {
				err = again
			}
		}
		if err != nil {
			// 409: another promotion is under way.
			return provider.Object{}, as(as(err, provider.NotFound, provider.Invalid), provider.Conflict, provider.Transient)
		}
	}
	if x.Paused {
		if err := p.unpause(ctx, op, x.ID); err != nil {
			return provider.Object{}, err
		}
	}
	o := object(state.KindTraffic, x.ID, x.Name, w.Mark)
	o.Attributes = []provider.Observed{text("deployment", id), text("site", x.ID)}
	if path != "" {
		o.Phase = provider.Progressing // the next look says whether the job is done
	}
	return o, nil
}

// unpause lets a project serve again. That makes Vercel assign domains by itself, too, which
// is put back.
func (p *Provider) unpause(ctx context.Context, op, id string) error {
	if err := p.do(ctx, httpapi.Call{Op: op, Method: http.MethodPost, Path: projectPath("v1", id) + "/unpause"}, nil); err != nil {
		return err
	}
	var x project
	return p.set(ctx, op, id, map[string]any{"autoAssignCustomDomains": false}, &x)
}

// deleteTraffic lets a project serve nothing.
func (p *Provider) deleteTraffic(ctx context.Context, id string) error {
	if !isProject(id) {
		return nil
	}
	x, err := p.project(ctx, deleting, id)
	if x == nil || err != nil {
		return err
	}
	if _, there := trafficObject(*x, provider.Mark{}); !there {
		return nil
	}
	return p.do(ctx, httpapi.Call{Op: deleting, Method: http.MethodPost, Path: projectPath("v1", id) + "/pause"}, nil)
}
