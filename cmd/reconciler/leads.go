package main

import (
	"context"
	"net"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/provider/cloudflare"
	"github.com/compassdigital/reconciler/internal/provider/external"
)

// Limits of asking a zone's own name servers.
const (
	leadsServers = 2
	leadsTime    = 4 * time.Second
)

// leads says where a host name leads by its zone's own name servers. A resolver would tell what
// it learned before the record was set, for as long as that lives; a host that waits for DNS
// to get a certificate would wait so much longer, and people with it.
type leads struct {
	servers func(ctx context.Context, zone string) ([]string, error) // that a zone has; none: it is no zone
	ask     cloudflare.Lookup
	public  external.Lookup // where nobody of the zone can be asked
}

// leadsBy asks the world, or what stands for it.
func (p *program) leadsBy() func(context.Context, string) ([]string, error) {
	l := leads{public: p.public}
	if !p.standIn {
		l.ask = cloudflare.DNS(cloudflare.Asking{})
		l.servers = func(ctx context.Context, zone string) (out []string, err error) {
			found, err := net.DefaultResolver.LookupNS(ctx, zone+".")
			for _, s := range found {
				out = append(out, s.Host)
			}
			return out, err
		}
	}
	return l.to
}

func (l leads) to(ctx context.Context, host string) ([]string, error) {
	if found := l.own(ctx, host); len(found) > 0 {
		return found, nil
	}
	return l.public(ctx, "A", host)
}

// own is what the zone's servers answer; none: they have no address of it, or can't be asked.
func (l leads) own(ctx context.Context, host string) []string {
	if l.servers == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, leadsTime)
	defer cancel()
	for zone := host; strings.Contains(zone, "."); _, zone, _ = strings.Cut(zone, ".") {
		servers, err := l.servers(ctx, zone)
		if err != nil || len(servers) == 0 {
			continue // it is no zone, or that can't be told: the one above may be
		}
		for _, s := range servers[:min(len(servers), leadsServers)] {
			if found, err := l.ask(ctx, s, "A", host); err == nil {
				return found
			}
		}
		return nil
	}
	return nil
}
