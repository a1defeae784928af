package main

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/ploi"
)

// ploiLimit is that of its plan Basic (developers.ploi.io, "Rate limiting"); what an account
// has beyond it is not used.
func ploiLimit() limit { return limit{most: 60, window: time.Minute} }

// defaultServer is what serverID is called in manifests.
const defaultServer = "default"

// ploiServers are the servers by their names in manifests.
func (c *Config) ploiServers() map[string]string {
	o := c.Providers.Ploi
	servers := maps.Clone(o.Servers)
	if servers == nil {
		servers = map[string]string{}
	}
	if o.ServerID != "" && servers[defaultServer] == "" {
		servers[defaultServer] = o.ServerID
	}
	return servers
}

// asksPloi says that Ploi is meant to be used here. A token alone, or a server alone, is one
// that a .env of the old platform brought along.
func (c *Config) asksPloi() bool {
	x := c.Providers.Ploi
	return slices.Contains(c.blocks, ploi.Name) || c.Platform.Defaults.Deployment == ploi.Name || x.APITokenFile != "" || x.APIURL != "" || len(x.Servers) > 0 || x.ServerID != ""
}

// checkPloi says what is wrong with it.
func (c *Config) checkPloi() (out []string) {
	x, servers := c.Providers.Ploi, c.ploiServers()
	if x.APIToken.Empty() && (slices.Contains(c.blocks, ploi.Name) || x.APIURL != "" || len(x.Servers) > 0) {
		out = append(out, "providers.ploi.apiToken, or apiTokenFile, or PLOI_API_TOKEN, is missing: make one at ploi.io under Profile, API keys")
	}
	if len(servers) == 0 && (!x.APIToken.Empty() && c.asksPloi() || slices.Contains(c.blocks, ploi.Name)) {
		out = append(out, `providers.ploi.servers, or serverID, or PLOI_SERVER_ID, is missing: which servers may be used? (servers: {web-1: "48211"}; the number stands in the address of its page at ploi.io)`)
	}
	if err := ploi.CheckServers(servers); err != nil && !x.APIToken.Empty() {
		out = append(out, "providers.ploi.servers: "+err.Error())
	}
	if u, err := url.Parse(x.APIURL); x.APIURL != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
		out = append(out, fmt.Sprintf("providers.ploi.apiURL is not an address: %s, or leave it out", ploi.DefaultBase))
	}
	return out
}

// openPloi opens the account at Ploi that is configured; none is no error.
func (p *program) openPloi(c Config) ([]provider.Provider, error) {
	o, servers := c.Providers.Ploi, c.ploiServers()
	if o.APIToken.Empty() || len(servers) == 0 {
		return nil, nil
	}
	most := ploiLimit()
	if onThisMachine(o.APIURL) { // a simulated one says itself what it allows
		most = limit{}
	}
	client, err := p.vendorHTTP(ploi.Name, most)
	if err != nil {
		return nil, err
	}
	q, err := ploi.New(ploi.Options{Base: o.APIURL, Token: o.APIToken.Secret, HTTP: client, Servers: servers, Resolve: p.leadsBy(), Now: p.now, Sleep: p.sleep})
	if err != nil {
		return nil, err
	}
	return []provider.Provider{q}, nil
}
