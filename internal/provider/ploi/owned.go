package ploi

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// Owned implements provider.Reader. A page of a list shows 50 sites with their deploy
// scripts: whose a site is that was made or deployed here stands there. One more call a site
// of ours reads its environment; sites of others are asked for their .env, where an adopted
// one says that it is ours. Those calls are what provider.Only is for.
func (p *Provider) Owned(ctx context.Context, installation string) ([]provider.Object, error) {
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
			if s.ID <= 0 || installation == "" {
				continue
			}
			more, err := p.ownedOf(ctx, siteID{number, strconv.FormatInt(s.ID, 10)}, s, installation)
			if err != nil {
				return nil, err
			}
			out = append(out, more...)
		}
	}
	slices.SortFunc(out, func(a, b provider.Object) int {
		if c := strings.Compare(string(a.Kind), string(b.Kind)); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return slices.CompactFunc(out, func(a, b provider.Object) bool { return a.Kind == b.Kind && a.ID == b.ID }), nil
}

// ownedOf are a site and its parts, as far as they bear an installation's mark.
func (p *Provider) ownedOf(ctx context.Context, at siteID, s site, installation string) ([]provider.Object, error) {
	name, mark := readRoot(s.Domain)
	h, _ := readScript(string(s.DeployScript))
	if mark.IsZero() {
		mark = h.mark
	}
	if !provider.Wanted(ctx, at.String(), mark) {
		return nil, nil
	}
	leaves := s.Status == statusDeleting // it is there until it is gone, and has nothing that can be read
	if !mark.IsZero() && mark.Installation != installation || leaves && mark.IsZero() {
		return nil, nil
	}
	if leaves {
		o, err := p.siteObject(ctx, at, s)
		o.Mark, o.Name = mark, provider.ObjectName(mark, state.Ref{Kind: state.KindSite})
		return []provider.Object{o}, err
	}
	f, there, err := p.getEnv(ctx, at)
	if err != nil {
		return nil, err
	}
	if mark.IsZero() {
		mark = f.mark()
	}
	if mark.IsZero() || mark.Installation != installation {
		return nil, nil
	}
	o, err := p.siteObject(ctx, at, s)
	if err != nil {
		return nil, err
	}
	o.Mark, o.Name = mark, provider.ObjectName(mark, state.Ref{Kind: state.KindSite})
	out := []provider.Object{o}
	if _, listed := f.keys(); there && (listed || name == "") {
		if e := environmentObject(at, f); e.Mark.Installation == installation {
			out = append(out, *e)
		}
	}
	if h.mark.Installation == installation {
		parts, err := p.partsOfRow(ctx, at, s)
		if err != nil {
			return nil, err
		}
		out = append(out, parts...)
	}
	return out, nil
}
