package main

import (
	"errors"
	"maps"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/ploi"
)

// ploiLimit is that of its plan Basic (developers.ploi.io, "Rate limiting"); what an account
// has beyond it is not used.
func ploiLimit() limit { return limit{most: 60, window: time.Minute} }

// defaultServer is what serverID is called in manifests.
const defaultServer = "default"

// openPloi opens the account at Ploi that is configured; none is no error. A token without a
// server is one that a .env of the old platform brought along: said, not used.
func (p *program) openPloi(c Config) ([]provider.Provider, error) {
	o := c.Providers.Ploi
	servers := maps.Clone(o.Servers)
	if servers == nil {
		servers = map[string]string{}
	}
	if o.ServerID != "" && servers[defaultServer] == "" {
		servers[defaultServer] = o.ServerID
	}
	switch {
	case o.APIToken.Empty() && len(o.Servers) == 0:
		return nil, nil
	case o.APIToken.Empty():
		return nil, errors.New("providers.ploi: set apiToken, apiTokenFile or PLOI_API_TOKEN")
	case len(servers) == 0:
		p.log.Warn("configuration", "note", "there is a token of Ploi and no server: name them in providers.ploi.servers, or one in PLOI_SERVER_ID")
		return nil, nil
	}
	client, err := p.vendorHTTP(ploi.Name, ploiLimit())
	if err != nil {
		return nil, err
	}
	q, err := ploi.New(ploi.Options{Base: o.APIURL, Token: o.APIToken.Secret, HTTP: client, Servers: servers, Resolve: p.leadsBy(), Now: p.now, Sleep: p.sleep})
	if err != nil {
		return nil, err
	}
	return []provider.Provider{q}, nil
}
