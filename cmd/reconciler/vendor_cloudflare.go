package main

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/cloudflare"
)

// cloudflareLimit is that of a token (developers.cloudflare.com/fundamentals/api/reference/limits).
func cloudflareLimit() limit { return limit{most: 1200, window: 5 * time.Minute} }

// asksCloudflare says that Cloudflare is meant to be used here. A token alone, in an
// environment that serves an application, too, is no wish.
func (c *Config) asksCloudflare() bool {
	x := c.Providers.Cloudflare
	return slices.Contains(c.blocks, cloudflare.Name) || c.Platform.Defaults.DNS == cloudflare.Name || x.APITokenFile != "" || x.APIURL != "" || x.ZoneID != ""
}

// checkCloudflare says what is wrong with it.
func (c *Config) checkCloudflare() (out []string) {
	x := c.Providers.Cloudflare
	if x.APIToken.Empty() && (slices.Contains(c.blocks, cloudflare.Name) || x.APIURL != "") {
		out = append(out, "providers.cloudflare.apiToken, or apiTokenFile, or CLOUDFLARE_API_TOKEN, is missing: make a token with Zone.DNS Edit and Zone.Zone Read at dash.cloudflare.com under My Profile, API Tokens")
	}
	if u, err := url.Parse(x.APIURL); x.APIURL != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
		out = append(out, fmt.Sprintf("providers.cloudflare.apiURL is not an address: %s, or leave it out", cloudflare.DefaultURL))
	}
	if err := cloudflare.CheckZoneID(x.ZoneID); err != nil && c.asksCloudflare() {
		out = append(out, err.Error())
	}
	for _, r := range c.Network.Resolvers {
		host, _, err := net.SplitHostPort(r)
		if err != nil {
			host = strings.Trim(r, "[]")
		}
		if _, err := netip.ParseAddr(host); err != nil {
			out = append(out, fmt.Sprintf("network.resolvers: %q is not an address, with a port or without", r))
		}
	}
	return out
}

// openCloudflare opens Cloudflare where it is configured.
func (p *program) openCloudflare(c Config) ([]provider.Provider, error) {
	x := c.Providers.Cloudflare
	if x.APIToken.Empty() || !c.asksCloudflare() {
		return nil, nil
	}
	client, err := p.vendorHTTP(cloudflare.Name, cloudflareLimit())
	if err != nil {
		return nil, err
	}
	o := cloudflare.Options{Token: x.APIToken.Secret, ZoneID: x.ZoneID, URL: x.APIURL, HTTP: client, Now: p.now}
	if !onThisMachine(x.APIURL) { // a simulated one has name servers that nobody finds
		o.Lookup = cloudflare.DNS(cloudflare.Asking{Resolvers: c.Network.Resolvers})
	}
	q, err := cloudflare.New(o)
	if err != nil {
		return nil, err
	}
	p.closers = append(p.closers, q.Close)
	return []provider.Provider{q}, nil
}
