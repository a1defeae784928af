package desired

import "github.com/compassdigital/reconciler/internal/state"

// stripe keeps accounts where a manifest doesn't say who does.
const stripe = "stripe"

// addPayments asks for the client's own account for taking money. What is told of its owner
// is what Stripe and the like are told beforehand; it is theirs to change there.
func (b *builder) addPayments() {
	p := b.in.Effective.Payments
	if p == nil || !p.Enabled {
		return
	}
	e := b.in.Effective
	if p.Country == "" {
		b.problem("say where it is, payments.country: NL: an account never moves to another country", "payments are asked for, and no country is said")
		return
	}
	b.payments = b.ref(state.KindPayments, "main")
	keeper := p.Provider
	if keeper == "" {
		keeper = stripe
	}
	b.add(b.payments, keeper, map[string]state.Value{"country": state.Lit(p.Country), "tier": state.Lit(p.PricingTier), "label": state.Lit(e.DisplayName),
		"email": state.Lit(e.Contact.Email), "url": state.Lit(b.shop())})
}

// shop is the address that the account is told of; "" where the shop has none that the
// public reaches by TLS.
func (b *builder) shop() string {
	if b.in.Effective.Host == "" {
		return ""
	}
	return "https://" + b.in.Effective.Host
}
