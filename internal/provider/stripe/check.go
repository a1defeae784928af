package stripe

import (
	"context"

	"github.com/compassdigital/reconciler/internal/provider"
)

var _ provider.Checker = (*Provider)(nil)

// Check implements provider.Checker: whose the key is. What it may write Stripe says nowhere.
func (p *Provider) Check(ctx context.Context) []provider.Finding {
	id, err := p.whose(ctx)
	if err != nil {
		return []provider.Finding{provider.LookFailed("Stripe", err, "make a restricted key of the platform that may write connected accounts and account links at dashboard.stripe.com/apikeys, and set providers.stripe.apiKey")}
	}
	f := provider.Well("the key is of %s", shown(id))
	if p.platform == "" {
		f.Hint = "name it in providers.stripe.platform: then another platform's key is told apart from an account that is gone"
	}
	return []provider.Finding{f}
}
