package ploi

import (
	"context"
	"strconv"
	"strings"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

var (
	_ provider.Lister = (*Provider)(nil)
	_ provider.Marker = (*Provider)(nil)
)

// Existing implements provider.Lister: the pages of every server's sites. A list tells the
// root domain and no alias.
func (p *Provider) Existing(ctx context.Context) ([]provider.Object, error) {
	if err := ready(ctx, opObserve, ""); err != nil {
		return nil, err
	}
	var out []provider.Object
	for _, number := range p.order {
		rows, err := p.sitesOn(ctx, number, nil, nil)
		if err != nil {
			return nil, err
		}
		for _, s := range rows {
			if s.Status == statusDeleting || s.ID <= 0 {
				continue
			}
			at := siteID{number, strconv.FormatInt(s.ID, 10)}
			o, err := p.siteObject(ctx, at, s)
			if err != nil {
				return nil, err
			}
			if o.Mark.IsZero() {
				h, _ := readScript(string(s.DeployScript))
				o.Mark = h.mark
			}
			root := strings.ToLower(s.Domain)
			if o.Name == "" {
				o.Name = provider.Line(root, maxHost)
			}
			out = append(out, o)
			if name, _ := readRoot(root); name == "" && isHost(root) {
				out = append(out, *domainObject(at, root))
			}
		}
	}
	return out, nil
}

// Inside implements provider.Lister: the site's .env, its aliases and its repository, a call
// each.
func (p *Provider) Inside(ctx context.Context, o provider.Object) ([]provider.Object, error) {
	if err := ready(ctx, opObserve, o.Kind); err != nil || o.Kind != state.KindSite {
		return nil, err
	}
	at, ok := parse(state.KindSite, o.ID)
	if _, ours := p.names[at.server]; !ok || !ours {
		return nil, nil
	}
	a, err := p.getAliases(ctx, at.siteID)
	if err != nil || a == nil {
		return nil, err
	}
	var out []provider.Object
	for _, host := range append([]string{string(a.Main)}, a.Aliases...) {
		host = strings.ToLower(host)
		if name, _ := readRoot(host); name == "" && isHost(host) {
			out = append(out, *domainObject(at.siteID, host))
		}
	}
	f, there, err := p.getEnv(ctx, at.siteID)
	if err != nil {
		return nil, err
	}
	if there {
		out = append(out, *environmentObject(at.siteID, f))
	}
	release, err := p.source(ctx, at)
	if err != nil {
		return nil, err
	}
	return append(out, release), nil
}

// source is the repository that a site is deployed from, as what serves it says it.
func (p *Provider) source(ctx context.Context, at id) (provider.Object, error) {
	o := *deploymentObject(at.siteID, site{}, header{release: adoptedRelease})
	o.Name, o.Attributes = "", nil
	var got one[siteWithRepository]
	found, err := p.read(ctx, at.path()+"/repository", nil, &got)
	if err != nil || !found || got.Data.Repository == nil {
		return o, err
	}
	o.Attributes = got.Data.Repository.attributes(at.siteID)
	return o, nil
}

// Mark implements provider.Marker: two variables of the site's .env, which say whose it is
// and that all others were there. Only a site that was made by others has its mark there.
func (p *Provider) Mark(ctx context.Context, kind state.Kind, object string, m provider.Mark) error {
	if kind != state.KindSite {
		return fail(opUpdate, provider.Unsupported, "a "+string(kind)+" has no place for a mark")
	}
	at, ok := parse(kind, object)
	if _, ours := p.names[at.server]; !ok || !ours {
		return p.absent(kind, object)
	}
	if err := ready(ctx, opUpdate, kind); err != nil {
		return err
	}
	leave, err := p.locks.enter(ctx, at.siteID, opUpdate)
	if err != nil {
		return err
	}
	defer leave()
	s, err := p.getSite(ctx, at.siteID)
	if err != nil {
		return err
	}
	if s == nil {
		return p.absent(kind, object)
	}
	has, err := p.markOf(ctx, at.siteID, *s)
	if _, root := readRoot(s.Domain); !root.IsZero() {
		has = root
	}
	switch {
	case err != nil:
		return err
	case has == m:
		return nil
	case !has.IsZero():
		return fail(opUpdate, provider.Conflict, "the site bears the mark of "+quote(has.Text()))
	}
	return p.markEnv(ctx, at.siteID, m)
}
