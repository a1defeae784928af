package cloudflare

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/compassdigital/reconciler/internal/provider"
)

const (
	maxPurged  = 30 // hosts a call
	maxToPurge = 3000
	maxTold    = 20 // zones that a check names
)

// Check implements provider.Checker: token, zones, permissions.
func (p *Provider) Check(ctx context.Context) []provider.Finding {
	var out []provider.Finding
	say := func(ok bool, hint, format string, a ...any) {
		out = append(out, provider.Finding{OK: ok, Text: provider.Line(fmt.Sprintf(format, a...), 300), Hint: hint})
	}
	var token struct {
		Status string `json:"status"`
	}
	const anew = "make one at dash.cloudflare.com under My Profile, API Tokens, with the permissions Zone.DNS Edit and Zone.Zone Read, and set providers.cloudflare.apiToken"
	switch _, err := p.call(ctx, "observe", http.MethodGet, "/user/tokens/verify", nil, nil, &token); {
	case provider.KindOf(err) == provider.Denied && err != nil:
		say(false, anew, "Cloudflare does not take the token: %s", messageOf(err))
		return out
	case err != nil:
		return append(out, provider.LookFailed("Cloudflare", err, anew))
	case token.Status != "active":
		say(false, anew, "the token is %s", word(token.Status))
		return out
	}
	say(true, "", "the token is active")
	all, err := p.zoneList(ctx, "observe", 0)
	switch {
	case err != nil:
		say(false, "give the token Zone.Zone Read, and see that providers.cloudflare.zoneID is right", "the zones could not be read: %s", messageOf(err))
		return out
	case len(all) == 0:
		say(false, "add the domain at Cloudflare, or give the token its zone", "the token sees no zone")
		return out
	}
	for _, z := range all[:min(len(all), maxTold)] {
		p.checkZone(ctx, z, say)
	}
	if len(all) > maxTold {
		say(true, "", "%d more zones were not looked at", len(all)-maxTold)
	}
	return out
}

func (p *Provider) checkZone(ctx context.Context, z zone, say func(ok bool, hint, format string, a ...any)) {
	if z.Status != "active" {
		say(false, "let its registrar name the name servers "+word(strings.Join(z.NameServers, " and ")), "the zone %s is %s: nothing is answered from it", z.Name, word(z.Status))
		return
	}
	if _, err := p.call(ctx, "observe", http.MethodGet, recordPath(z.ID), url.Values{"page": {"1"}, "per_page": {"5"}}, nil, &[]record{}); err != nil {
		say(false, "give the token Zone.DNS Edit for it", "the records of %s can't be read: %s", z.Name, messageOf(err))
		return
	}
	may := func(what string) bool { return len(z.Permissions) == 0 || slices.Contains(z.Permissions, what) }
	switch {
	case !may("#dns_records:edit"):
		say(false, "give the token Zone.DNS Edit for it", "the token may read the records of %s and not change them", z.Name)
	case !may("#cache_purge:edit"):
		say(true, "give it Zone.Cache Purge where pages are cached", "the zone %s is active and its records can be changed; its cache can't be purged", z.Name)
	default:
		say(true, "", "the zone %s is active and its records can be changed", z.Name)
	}
}

// Purge implements provider.Purger.
func (p *Provider) Purge(ctx context.Context, hosts []string) error {
	const op = "update"
	if len(hosts) > maxToPurge {
		return refusal(op, "%d hosts are purged at once at most", maxToPurge)
	}
	by := map[string][]string{}
	var order []string
	for _, host := range hosts {
		name, err := nameOf(provider.Wish{Inputs: []provider.Input{{Name: "name", Text: host}}})
		if err != nil {
			return as(op, err)
		}
		z, err := p.zoneOf(ctx, op, name)
		if err != nil {
			return err
		}
		if len(by[z.ID]) == 0 {
			order = append(order, z.ID)
		}
		if !slices.Contains(by[z.ID], name) {
			by[z.ID] = append(by[z.ID], name)
		}
	}
	for _, id := range order {
		for part := range slices.Chunk(by[id], maxPurged) {
			if _, err := p.call(ctx, op, http.MethodPost, "/zones/"+id+"/purge_cache", nil, map[string][]string{"hosts": part}, nil); err != nil {
				return err
			}
		}
	}
	return nil
}
