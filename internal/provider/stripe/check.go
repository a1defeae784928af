package stripe

import (
	"context"
	"net/http"
	"net/url"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
)

var _ provider.Checker = (*Provider)(nil)

// Check implements provider.Checker: whose key it is, and whether connected accounts can be
// read with it. Whether it may write shows with the first account: nothing is made to try it.
func (p *Provider) Check(ctx context.Context) []provider.Finding {
	const anew = "make a restricted key that may write connected accounts and account links at dashboard.stripe.com/apikeys, and set providers.stripe.apiKey"
	id, err := p.whose(ctx)
	switch {
	case id != "" && id != p.platform && p.platform != "":
		return []provider.Finding{provider.Wrong("use a key of that platform, or say the other one in providers.stripe.platform", "the key is of %s, and providers.stripe.platform says %s", id, p.platform)}
	case err != nil:
		return []provider.Finding{provider.LookFailed("Stripe", err, anew)}
	}
	whose := provider.Well("the key is accepted, of the platform %s", id)
	if p.platform == "" {
		whose.Hint = "set providers.stripe.platform to " + id + ": without it a key of another platform would not be told from accounts that are gone"
	}
	if _, err := p.api.Do(ctx, httpapi.Call{Op: opObserve, Method: http.MethodGet, Path: accountsPath, Query: url.Values{"limit": {"1"}}, Header: header("")}); err != nil {
		return []provider.Finding{whose, provider.LookFailed("connected accounts at Stripe", err, "sign up for Connect at dashboard.stripe.com/connect, and let the key read and write connected accounts")}
	}
	return []provider.Finding{whose, provider.Well("connected accounts can be read")}
}
