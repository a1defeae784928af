package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/stripe"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/web"
)

// stripePath is where Stripe delivers.
const stripePath = "/webhooks/stripe"

// maxAccounts is how many accounts wait to be looked at because Stripe said that they changed.
// What comes then is left to the scheduled looks.
const maxAccounts = 1000

// stripeLimit is that of a sandbox; live it is four times as much (docs.stripe.com/rate-limits).
func stripeLimit() limit { return limit{most: 25, window: time.Second} }

// StripeConfig is a Connect platform at Stripe.
type StripeConfig struct {
	APIKey     sealed `yaml:"apiKey"`
	APIKeyFile string `yaml:"apiKeyFile"`
	APIURL     string `yaml:"apiURL"`
	Platform   string `yaml:"platform"` // acct_…, the platform's own account: whose key it must be
	// WebhookSecret is that of the endpoint at publicURL/webhooks/stripe; without it accounts
	// are looked at by schedule. The old one holds beside it while it is changed.
	WebhookSecret        sealed `yaml:"webhookSecret"`
	WebhookSecretFile    string `yaml:"webhookSecretFile"`
	OldWebhookSecret     sealed `yaml:"oldWebhookSecret"`
	OldWebhookSecretFile string `yaml:"oldWebhookSecretFile"`
}

func (s StripeConfig) hookSecrets() (out []state.Secret) {
	for _, x := range []sealed{s.WebhookSecret, s.OldWebhookSecret} {
		if !x.Empty() {
			out = append(out, x.Secret)
		}
	}
	return out
}

// asksStripe says that Stripe is meant to be used here. A key alone, in an environment that
// serves an application, too, is no wish.
func (c *Config) asksStripe() bool {
	s := c.Providers.Stripe
	return slices.Contains(c.blocks, stripe.Name) || s.APIKeyFile != "" || s.APIURL != "" || s.Platform != "" || len(s.hookSecrets()) > 0
}

// checkStripe says what is wrong with it.
func (c *Config) checkStripe() (out []string) {
	s := c.Providers.Stripe
	bad := func(format string, a ...any) { out = append(out, "providers.stripe."+fmt.Sprintf(format, a...)) }
	if s.APIKey.Empty() && c.asksStripe() && s.APIKeyFile == "" {
		bad("apiKey, or apiKeyFile, or STRIPE_API_KEY, is missing: make a restricted one that may write connected accounts and account links at dashboard.stripe.com/apikeys")
	}
	if u, err := url.Parse(s.APIURL); s.APIURL != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
		bad("apiURL is not an address: leave it out for %s", stripe.URL)
	}
	if s.Platform != "" && !strings.HasPrefix(s.Platform, "acct_") {
		bad("platform is the platform's own account: acct_…, at dashboard.stripe.com/settings/account")
	}
	for _, x := range []struct {
		name string
		s    sealed
	}{{"webhookSecret", s.WebhookSecret}, {"oldWebhookSecret", s.OldWebhookSecret}} {
		if err := stripe.CheckSecret(x.s.Secret); (x.s.given || !x.s.Empty()) && err != nil {
			bad("%s: %v", x.name, err)
		}
	}
	if s.WebhookSecret.Empty() && !s.OldWebhookSecret.Empty() {
		bad("oldWebhookSecret holds beside webhookSecret while that is changed, not without it")
	}
	return out
}

// payments is what takes part in the clients' payments beside the provider.
type payments struct {
	stripe *stripe.Provider
	hook   http.Handler // nil: no deliveries are taken

	look func(ctx context.Context, account string) error
	fail func(account string, err error)

	mu      sync.Mutex
	waiting []string // accounts that changed, each once
	wake    chan struct{}
}

// openStripe opens Stripe where it is configured.
func (p *program) openStripe(c Config) ([]provider.Provider, error) {
	s := c.Providers.Stripe
	if s.APIKey.Empty() || !c.asksStripe() {
		return nil, nil
	}
	client, err := p.vendorHTTP(stripe.Name, stripeLimit())
	if err != nil {
		return nil, err
	}
	q, err := stripe.New(stripe.Options{Key: s.APIKey.Secret, URL: s.APIURL, Platform: s.Platform, HTTP: client, Now: p.now})
	if err != nil {
		return nil, err
	}
	p.payments = &payments{stripe: q, wake: make(chan struct{}, 1)}
	return []provider.Provider{q}, nil
}

// openHooks opens the endpoint for Stripe's deliveries, where there is a secret of it. The
// engine is there already.
func (p *program) openHooks(c Config) (err error) {
	secrets := c.Providers.Stripe.hookSecrets()
	if p.payments == nil {
		return nil
	}
	p.payments.look = func(ctx context.Context, account string) error {
		return p.engine.AccountChanged(ctx, stripe.Name, account)
	}
	p.payments.fail = func(account string, err error) {
		p.log.Warn("an account that changed can't be looked at; the next scheduled look does", "account", account, "error", err)
	}
	if len(secrets) == 0 {
		return nil
	}
	p.payments.hook, err = stripe.NewHandler(stripe.HandlerOptions{Secrets: secrets, Now: p.now, Note: p.payments.changed})
	return err
}

// changed lets an account be looked at soon. It never blocks.
func (q *payments) changed(account string) {
	q.mu.Lock()
	if len(q.waiting) < maxAccounts && !slices.Contains(q.waiting, account) {
		q.waiting = append(q.waiting, account)
	}
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// run looks at accounts that changed, one after another, until ctx ends.
func (q *payments) run(ctx context.Context) {
	if q == nil {
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-q.wake:
		}
		for ctx.Err() == nil {
			q.mu.Lock()
			if len(q.waiting) == 0 {
				q.mu.Unlock()
				break
			}
			account := q.waiting[0]
			q.waiting = q.waiting[1:] // what changes from here on is looked at again
			q.mu.Unlock()
			if err := q.look(ctx, account); err != nil && ctx.Err() == nil {
				q.fail(account, err)
			}
		}
	}
}

// linkTime is how long somebody who clicked waits for Stripe.
const linkTime = 20 * time.Second

// onboard makes the address at which the owner of a client's account goes on at Stripe: a
// fresh one for each click, kept nowhere.
func (p *program) onboard(ctx context.Context, name string) (state.Secret, error) {
	account, err := p.engine.AccountOf(name)
	if err != nil {
		return state.Secret{}, err
	}
	base := strings.TrimSuffix(p.config.PublicURL, "/")
	if base == "" {
		base = "http://" + p.listensAt()
	}
	if !strings.HasPrefix(base, "https://") && !onThisMachine(p.config.Providers.Stripe.APIURL) {
		return state.Secret{}, web.Unable("Stripe leads people back to https addresses only: say publicURL, an https address at which these pages are found")
	}
	ctx, cancel := context.WithTimeoutCause(ctx, linkTime, errors.New("stripe took too long"))
	defer cancel()
	page := base + "/clients/" + url.PathEscape(name)
	link, err := p.payments.stripe.Link(ctx, account.Account, page+"/payments", page)
	var pe *provider.Error
	if errors.As(err, &pe) {
		why := p.engine.Redact(pe.Message)
		p.log.Warn("no way to Stripe can be made", "client", name, "account", account.Account, "kind", pe.Kind, "why", why)
		return state.Secret{}, web.Unable("Stripe gives no way to its pages: " + why)
	}
	return link, err
}
