package main

import (
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/railway"
)

// railwayLimit is that of its cheapest plan (docs.railway.com/reference/public-api).
func railwayLimit() limit { return limit{most: 1000, window: time.Hour} }

// RailwayConfig is an account or a workspace at Railway.
type RailwayConfig struct {
	APIKey     sealed `yaml:"apiKey"`
	APIKeyFile string `yaml:"apiKeyFile"`
	APIURL     string `yaml:"apiURL"`
	Workspace  string `yaml:"workspace"` // its id or name; empty: the key's only one
}

// asksRailway says that Railway is meant to be used here. A key alone, in an environment that
// serves an application, too, is no wish.
func (c *Config) asksRailway() bool {
	r := c.Providers.Railway
	return slices.Contains(c.blocks, railway.Name) || c.Platform.Defaults.Database == railway.Name || r.APIKeyFile != "" || r.APIURL != "" || r.Workspace != ""
}

// checkRailway says what is wrong with it.
func (c *Config) checkRailway() (out []string) {
	r := c.Providers.Railway
	if r.APIKey.Empty() && (slices.Contains(c.blocks, railway.Name) || r.APIURL != "" || r.Workspace != "") {
		out = append(out, "providers.railway.apiKey, or apiKeyFile, or RAILWAY_API_KEY, is missing: make a token of the workspace at railway.com/account/tokens")
	}
	if u, err := url.Parse(r.APIURL); r.APIURL != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
		out = append(out, fmt.Sprintf("providers.railway.apiURL is not an address: %s, or leave it out", railway.URL))
	}
	return out
}

// openRailway opens Railway where it is configured.
func (p *program) openRailway(c Config) ([]provider.Provider, error) {
	r := c.Providers.Railway
	if r.APIKey.Empty() || !c.asksRailway() {
		return nil, nil
	}
	client, err := p.vendorHTTP(railway.Name, railwayLimit())
	if err != nil {
		return nil, err
	}
	q, err := railway.New(railway.Options{Token: r.APIKey.Secret, URL: r.APIURL, Workspace: r.Workspace, HTTP: client, Now: p.now, Sleep: p.sleep})
	if err != nil {
		return nil, err
	}
	return []provider.Provider{q}, nil
}
