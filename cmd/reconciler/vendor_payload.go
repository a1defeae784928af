package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/compassdigital/reconciler/internal/health"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/payload"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// openPayload opens who asks Payload sites for their first user. It needs no account.
func (p *program) openPayload(c Config) (provider.Provider, error) {
	prober, err := p.prober(c)
	if err != nil {
		return nil, err
	}
	var way http.RoundTripper = prober.Transport()
	if p.reach != nil {
		way = p.reach(way)
	}
	return payload.New(payload.Options{HTTP: &http.Client{Transport: atSites{way}}, Now: p.now, Where: p.whereSite})
}

// atSites reaches sites whose addresses come from manifests, or from vendors for them: what is
// not of the public internet is refused as it is dialled, and for good.
type atSites struct{ base http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (g atSites) RoundTrip(r *http.Request) (*http.Response, error) {
	a, err := g.base.RoundTrip(r)
	if errors.Is(err, health.ErrAddress) {
		return a, &provider.Error{Kind: provider.Invalid, Provider: payload.Name, Message: "the site is not asked: " + health.ErrAddress.Error(), Err: err}
	}
	return a, err
}

// whereSite is where a site answers now: at the release that serves there. Who asks on no
// client's behalf is told nothing.
func (p *program) whereSite(ctx context.Context, site string) (address string, err error) {
	client := provider.CallerOf(ctx).Client
	if client == "" || site == "" {
		return "", nil
	}
	err = p.store.View(func(tx store.Tx) error {
		address = ""
		all, err := store.Resources(tx, client)
		if err != nil {
			return err
		}
		by := map[state.Ref]state.Resource{}
		for _, r := range all {
			by[r.Ref] = r
		}
		for _, r := range all {
			v, ok := r.Attributes.Get("deployment")
			at, _ := r.Attributes.Get("site")
			if r.Ref.Kind == state.KindTraffic && ok && v.Ref != nil && at.Ref != nil && by[*at.Ref].ID == site {
				address = by[*v.Ref].Outputs["url"].Literal
			}
		}
		return nil
	})
	return address, err
}
