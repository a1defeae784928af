package main

import (
	"fmt"
	"net/url"
	"slices"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/vercel"
)

// asksVercel says that Vercel is meant to be used here. A token alone, in an environment that
// serves an application, too, is no wish.
func (c *Config) asksVercel() bool {
	x := c.Providers.Vercel
	return slices.Contains(c.blocks, vercel.Name) || c.Platform.Defaults.Deployment == vercel.Name || x.APITokenFile != "" || x.APIURL != "" || x.TeamID != ""
}

// checkVercel says what is wrong with it.
func (c *Config) checkVercel() (out []string) {
	x := c.Providers.Vercel
	if x.APIToken.Empty() && (slices.Contains(c.blocks, vercel.Name) || x.APIURL != "") {
		out = append(out, "providers.vercel.apiToken, or apiTokenFile, or VERCEL_API_TOKEN, is missing: make a token for your team at vercel.com/account/tokens")
	}
	if u, err := url.Parse(x.APIURL); x.APIURL != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
		out = append(out, fmt.Sprintf("providers.vercel.apiURL is not an address: %s, or leave it out", vercel.APIURL))
	}
	return out
}

// openVercel opens Vercel where it is configured. A site there is pointed at with an A record,
// the default of desired.Input.Point: the top of a zone takes no CNAME.
func (p *program) openVercel(c Config) ([]provider.Provider, error) {
	x := c.Providers.Vercel
	if x.APIToken.Empty() || !c.asksVercel() {
		return nil, nil
	}
	client, err := p.vendorHTTP(vercel.Name, limit{byCall: true})
	if err != nil {
		return nil, err
	}
	return []provider.Provider{vercel.New(vercel.Options{Token: x.APIToken.Secret, Team: x.TeamID, URL: x.APIURL, HTTP: client, Now: p.now})}, nil
}
