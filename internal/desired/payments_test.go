package desired

import (
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/state"
)

// An account is asked for beside all else: it depends on nothing, and a variable may have its
// id. What it is told of its owner changes no release.
func TestPayments(t *testing.T) {
	without := of(t, resources(t, shop()), state.KindDeployment)
	takes := func(e *manifest.Effective) {
		e.Payments = &manifest.Payments{Enabled: true, PricingTier: "standard", Country: "NL"}
		e.Contact.Email = "dana@shop.example"
	}
	all := resources(t, shop(takes))
	p := of(t, all, state.KindPayments)
	if p.Provider != "stripe" || p.Ref.Name != "main" || len(p.References()) > 0 {
		t.Errorf("%+v", p)
	}
	for name, want := range map[string]string{"country": "NL", "tier": "standard", "label": "Shop", "email": "dana@shop.example", "url": "https://shop.example"} {
		if got := p.Attributes.Literal(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if with := of(t, all, state.KindDeployment); with.Ref != without.Ref {
		t.Error("an account makes another release")
	}
	all = resources(t, shop(takes, func(e *manifest.Effective) {
		e.Environment["STRIPE_ACCOUNT"] = manifest.EnvValue{From: "payments.account"}
		e.Adopt = manifest.Adopt{"payments": {Account: "acct_1Shop"}}
	}))
	if v, _ := of(t, all, state.KindEnvironment).Attributes.Get("env.STRIPE_ACCOUNT"); !v.Equal(state.OutputOf(p.Ref, "id")) {
		t.Errorf("the variable is %s", v.Canonical())
	}
	if got := of(t, all, state.KindPayments).AdoptID; got != "acct_1Shop" {
		t.Errorf("adopts %q", got)
	}
	in := shop(takes)
	for field, at := range map[string]string{"country": "payments.country", "tier": "payments.pricingTier", "label": "displayName", "email": "contact.email", "url": ""} {
		if got := OriginOf(in, p.Ref, field); got.At != at {
			t.Errorf("%s comes from %q, want %q", field, got.At, at)
		}
	}
	if off := resources(t, shop(takes, func(e *manifest.Effective) { e.Payments.Enabled = false })); len(off) != len(all)-1 {
		t.Errorf("%d resources without payments, %d with", len(off), len(all))
	}
}

// The first user is made by whoever keeps users with the database, else by the site itself,
// at the address of its release, and its owner is told how to come by a password.
func TestAdministratorOfASite(t *testing.T) {
	keeps := func(names ...string) func(string, state.Kind) bool {
		return func(p string, k state.Kind) bool {
			return k != state.KindAdmin || strings.Contains(" "+strings.Join(names, " ")+" ", " "+p+" ")
		}
	}
	for name, c := range map[string]struct {
		kind   string
		keeper []string
		want   string
	}{
		"by the database's keeper": {"payload", []string{"railway", "payload", "ploi"}, "railway"},
		"by the site":              {"payload", []string{"payload", "ploi"}, "payload"},
		"by the host":              {"local", []string{"payload", "ploi"}, "ploi"},
		"by the host, of payload":  {"payload", []string{"ploi"}, "ploi"},
	} {
		in := shop(func(e *manifest.Effective) { e.AdminPanel.Kind = c.kind })
		in.Configured = keeps(c.keeper...)
		all := resources(t, in)
		user, release := of(t, all, state.KindAdmin), of(t, all, state.KindDeployment)
		url, has := user.Attributes.Get("url")
		if user.Provider != c.want || has != (c.want == "payload") || has && !url.Equal(state.OutputOf(release.Ref, "url")) {
			t.Errorf("%s: at %s with %s", name, user.Provider, url.Canonical())
		}
		text := of(t, all, state.KindMail).Attributes.Literal("text")
		if told := strings.Contains(text, "as dana@shop.example. Choose your password at https://shop.example/admin/forgot."); told != (c.want == "payload") {
			t.Errorf("%s: the welcome says\n%s", name, text)
		}
	}
}
