package ploi

import (
	"context"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// seeTraffic is the site's traffic as an object; nil: it has none. It leads to the release
// that is built, and while that is not ready to the one before.
func (p *Provider) seeTraffic(ctx context.Context, at siteID) (*provider.Object, error) {
	s, err := p.getSite(ctx, at)
	if err != nil || s == nil {
		return nil, err
	}
	o, err := p.trafficOf(ctx, at, s)
	if o != nil && s.Status == statusSuspended { // whoever comes is told so, whatever is built
		o.Attributes[0].Text = suspended
	}
	return o, err
}

// suspended is what people see of a site that somebody suspended, in the place of a release.
const suspended = "nothing: the site is suspended at Ploi, resume it there"

func (p *Provider) trafficOf(ctx context.Context, at siteID, s *site) (*provider.Object, error) {
	h, _ := readScript(string(s.DeployScript))
	if h.mark.IsZero() {
		d, err := p.seeAdopted(ctx, id{siteID: at}, *s, h)
		if err != nil || d == nil {
			return nil, err
		}
		return trafficObject(at, header{}, d.ID), nil
	}
	if h.serves == "" || uninstalled(*s) {
		return nil, nil
	}
	serves := h.serves
	if h.release != "" && h.release != serves {
		o := deploymentObject(at, *s, h)
		began, err := p.progress(ctx, at, *s, h, o)
		if err != nil {
			return nil, err
		}
		if began && o.Phase == provider.Ready {
			serves = h.release
		}
	}
	return trafficObject(at, h, at.releaseID(serves)), nil
}

func trafficObject(at siteID, h header, deployment string) *provider.Object {
	o := provider.Object{ID: at.part(partTraffic), Kind: state.KindTraffic, Mark: h.mark, Phase: provider.Ready,
		Attributes: []provider.Observed{{Name: "deployment", Text: deployment}, {Name: "site", Text: at.String()}}}
	o.Outputs = []provider.Output{{Name: "id", Text: o.ID}}
	if !h.mark.IsZero() {
		o.Name = provider.ObjectName(h.mark, state.Ref{Kind: state.KindTraffic})
	}
	return &o
}

// makeTraffic writes down that the site serves.
func (p *Provider) makeTraffic(ctx context.Context, at siteID, w provider.Wish) (provider.Object, error) {
	return p.lead(ctx, opCreate, at, w)
}

// promote says that the release serves already that the site was told to build: or that it
// does not. Nothing has to be done.
func (p *Provider) promote(ctx context.Context, at siteID, w provider.Wish) (provider.Object, error) {
	return p.lead(ctx, opUpdate, at, w)
}

func (p *Provider) lead(ctx context.Context, op string, at siteID, w provider.Wish) (provider.Object, error) {
	if w.Get("site") != at.String() {
		return provider.Object{}, fail(op, provider.Invalid, "traffic stays on its site")
	}
	s, err := p.idle(ctx, at, op, "")
	if err != nil {
		return provider.Object{}, err
	}
	h, rest := readScript(string(s.DeployScript))
	name, _ := readRoot(s.Domain)
	switch {
	case op == opCreate && h.serves != "":
		return provider.Object{}, fail(op, provider.Conflict, "the site has its traffic")
	case op == opUpdate && h.serves == "" && name != "":
		return provider.Object{}, p.absent(w.Ref.Kind, at.part(partTraffic))
	case h.release == "" || w.Get("deployment") != at.releaseID(h.release):
		return provider.Object{}, fail(op, provider.Invalid, "Ploi serves what was built last, and that is not "+quote(w.Get("deployment")))
	}
	o := deploymentObject(at, *s, h)
	began, err := p.progress(ctx, at, *s, h, o)
	switch {
	case err != nil:
		return provider.Object{}, err
	case !began || o.Phase == provider.Failed:
		return provider.Object{}, fail(op, provider.Invalid, "that release was not built: "+o.Message)
	}
	if h.serves == "" {
		h.serves = h.release
		if err := p.putScript(ctx, op, at, string(s.DeployScript), h.text()+rest); err != nil {
			return provider.Object{}, err
		}
	}
	return *trafficObject(at, h, at.releaseID(h.release)), nil
}

// removeTraffic takes down that the site serves. It answers on until it is deleted: the
// names that lead to it go by themselves.
func (p *Provider) removeTraffic(ctx context.Context, at siteID) error {
	s, err := p.getSite(ctx, at)
	if err != nil || s == nil {
		return err
	}
	h, rest := readScript(string(s.DeployScript))
	if h.serves == "" {
		return nil
	}
	h.serves = ""
	return gone(p.putScript(ctx, opDelete, at, string(s.DeployScript), h.text()+rest))
}
