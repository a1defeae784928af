package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/health"
	"github.com/compassdigital/reconciler/internal/source"
	"github.com/compassdigital/reconciler/internal/state"
)

// Times of one question to a repository that a manifest names.
const (
	refsHandshake = 10 * time.Second
	refsHeader    = 20 * time.Second
	refsIdle      = 30 * time.Second
)

// openRefs makes what resolves branches and tags of the repositories that manifests deploy.
// Addresses of manifests are followed no further than those of sites, without the exception
// for those that are served here: see health.
func (p *program) openRefs(c Config) error {
	proxy, err := proxyOf(c.Network)
	if err != nil {
		return err
	}
	allowed, err := c.allowed()
	if err != nil {
		return err
	}
	guard := health.New(health.Options{Now: p.now, Lookup: p.publicHost, Allow: func(a netip.AddrPort) bool {
		return slices.ContainsFunc(allowed, func(prefix netip.Prefix) bool { return prefix.Contains(a.Addr()) })
	}})
	var secure *tls.Config
	if c.Network.CAFile != "" {
		roots, err := health.Roots(c.Network.CAFile)
		if err != nil {
			return err
		}
		secure = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	way := newGuarded(guard, proxy, secure)
	p.closers = append(p.closers, func() error { way.close(); return nil })
	resolver := source.NewResolver(source.ResolverOptions{HTTP: way, Forbidden: health.ErrAddress, Token: p.tokenAt(c.GitHub.APIURL), Now: p.now})
	host := gitHubHost(c.GitHub.APIURL)
	p.engine.ResolveRef = func(ctx context.Context, repository, ref string) (string, error) {
		return resolver.Commit(ctx, cloneURL(host, repository), ref)
	}
	return nil
}

// publicHost is where a name leads, as the world's DNS has it: neither the embedded one, which
// manifests fill, nor a search domain.
func (p *program) publicHost(ctx context.Context, host string) (found []netip.Addr, err error) {
	for _, kind := range []string{"A", "AAAA"} {
		texts, e := p.public(ctx, kind, host)
		if e != nil {
			err = e
		}
		for _, text := range texts {
			if a, e := netip.ParseAddr(text); e == nil {
				found = append(found, a)
			}
		}
	}
	if len(found) > 0 {
		return found, nil
	}
	return nil, err
}

// tokenAt is what a repository's host is shown: our token for GitHub at the GitHub that is
// configured, and nothing anywhere else. Whoever asks does so over https alone.
func (p *program) tokenAt(api string) func(context.Context, string) state.Secret {
	return func(ctx context.Context, host string) state.Secret {
		u, err := url.Parse(api)
		if p.github == nil || strings.TrimSuffix(host, ":443") != gitHubHost(api) || err != nil || api != "" && u.Scheme != "https" {
			return state.Secret{}
		}
		ctx, cancel := context.WithTimeout(ctx, gitTokenTime)
		defer cancel()
		return p.github.GitToken(ctx)
	}
}

// gitHubHost is where repositories are of the GitHub whose API this is: github.com, where
// none is configured. (docs.github.com, "REST API": https://api.github.com, https://HOST/api/v3
// on a server of one's own, https://api.SUBDOMAIN.ghe.com with data residency.)
func gitHubHost(api string) string {
	u, err := url.Parse(api)
	if err != nil || u.Host == "" || u.Scheme != "https" { // over http it is a simulated one
		return "github.com"
	}
	host := strings.TrimSuffix(strings.ToLower(u.Host), ":443")
	if host == "api.github.com" || strings.HasSuffix(host, ".ghe.com") {
		host = strings.TrimPrefix(host, "api.")
	}
	return host
}

// cloneURL is the address of what a manifest calls a repository: OWNER/NAME is at the GitHub
// that is configured.
func cloneURL(host, repository string) string {
	if strings.Contains(repository, "://") {
		return repository
	}
	return "https://" + host + "/" + repository + ".git"
}

// guarded carries requests to addresses that manifests name.
type guarded struct {
	guard            *health.Prober
	proxy            func(*http.Request) (*url.URL, error)
	direct, indirect *http.Transport
}

func newGuarded(guard *health.Prober, proxy func(*http.Request) (*url.URL, error), secure *tls.Config) *guarded {
	base := http.Transport{TLSClientConfig: secure, TLSHandshakeTimeout: refsHandshake, ResponseHeaderTimeout: refsHeader, IdleConnTimeout: refsIdle, MaxIdleConns: 8,
		MaxConnsPerHost: 4, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: 64 << 10}
	g := &guarded{guard: guard, proxy: proxy, direct: base.Clone(), indirect: base.Clone()}
	g.direct.DialContext = guard.Dial
	g.indirect.DialContext = (&net.Dialer{Timeout: refsHandshake}).DialContext // to the proxy, which is the operator's
	g.indirect.Proxy = proxy
	return g
}

// RoundTrip implements http.RoundTripper. A proxy resolves names by itself: of what is asked
// through one, the address is checked as it is found here, and not as it is dialled.
func (g *guarded) RoundTrip(r *http.Request) (*http.Response, error) {
	through, err := g.proxy(r)
	if err != nil {
		return nil, errors.New("the proxy's address is malformed") // which may hold a password
	}
	if through == nil {
		return g.direct.RoundTrip(r)
	}
	port := r.URL.Port()
	if port == "" {
		port = "443"
	}
	if err := g.guard.Permits(r.Context(), net.JoinHostPort(r.URL.Hostname(), port)); err != nil {
		return nil, err
	}
	return g.indirect.RoundTrip(r)
}

func (g *guarded) close() {
	g.direct.CloseIdleConnections()
	g.indirect.CloseIdleConnections()
}
