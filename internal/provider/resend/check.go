package resend

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
)

var _ provider.Checker = (*Provider)(nil)

// verified is the status of a domain that mail may be sent from
// (resend.com/docs/dashboard/domains/introduction).
const verified = "verified"

// Check implements provider.Checker: the key, and whether the sender's domain is verified. A
// key that only sends sees no domain. Quotas show with a mail.
func (p *Provider) Check(ctx context.Context) []provider.Finding {
	const anew = "make a key at resend.com/api-keys, and set providers.resend.apiKey"
	host := p.from.Address[strings.LastIndexByte(p.from.Address, '@')+1:]
	var page struct {
		Data []struct {
			Name   string `json:"name"`
			Status string `json:"status"`
		} `json:"data"`
	}
	_, err := p.api.Do(ctx, httpapi.Call{Op: "observe", Method: http.MethodGet, Path: "/domains", Query: url.Values{"limit": {fmt.Sprint(pageSize)}}, Out: &page})
	switch {
	case code(err) == onlySends:
		return []provider.Finding{provider.Well("the key sends, and sees no domain: whether %s is verified shows with the first mail", host)}
	case err != nil:
		return []provider.Finding{provider.LookFailed("Resend", err, anew)}
	}
	const where = "verify it at resend.com/domains, or set providers.resend.from to an address of a verified one: until then nothing is sent"
	for _, d := range page.Data {
		switch {
		case !strings.EqualFold(d.Name, host):
		case d.Status == verified:
			return []provider.Finding{provider.Well("the key is accepted, and the sender's domain %s is verified", host)}
		default:
			return []provider.Finding{provider.Wrong(where, "the sender's domain %s is %q at Resend", host, provider.Line(d.Status, maxShown))}
		}
	}
	return []provider.Finding{provider.Wrong(where, "the sender's domain %s is not among the account's domains", host)}
}
