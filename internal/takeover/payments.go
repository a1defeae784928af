package takeover

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/compassdigital/reconciler/internal/provider"
)

// Account is an account for taking money.
type Account struct {
	Provider string        `json:"provider"`
	ID       string        `json:"id"`
	Country  string        `json:"country"`
	Host     string        `json:"host,omitempty"` // of its business address, if that is a whole host's
	Email    string        `json:"email,omitempty"`
	Mark     provider.Mark `json:"mark"`
}

// countryShape is what a manifest can say of a country.
var countryShape = regexp.MustCompile(`^[A-Z]{2}$`)

func (c *collector) account(at string, o provider.Object) {
	a := Account{Provider: at, ID: o.ID, Country: attribute(o, "country"), Email: strings.ToLower(clean(attribute(o, "email"))), Mark: o.Mark}
	u, err := url.Parse(strings.TrimSpace(attribute(o, "url")))
	if err == nil && (u.Scheme == "https" || u.Scheme == "http") && strings.Trim(u.Path, "/") == "" {
		a.Host = hostOf(u.Hostname())
	}
	if idShape.MatchString(a.ID) && countryShape.MatchString(a.Country) {
		c.inv.Accounts = append(c.inv.Accounts, a)
	}
}

// keepers are who keeps accounts for payments.
func keepers() []string { return []string{"stripe"} }

// money finds a client's account for taking money: the one that the export names, or the one
// whose business address is the client's host name. Of an address of mail it is only told:
// whoever looks after several shops has it in several accounts. No client needs an account, so
// that one that is not found asks for nothing.
func (m *matcher) money(x *Match) {
	x.Money = Finding{State: None, Candid: []string{}}
	x.listed = slices.ContainsFunc(keepers(), func(name string) bool { return slices.Contains(m.inv.Providers, name) })
	if x.Skipped != "" || !x.listed {
		return
	}
	hosts := append([]string{x.Host, "www." + x.Host}, x.Aliases...)
	var byHost []*Account
	for i := range m.inv.Accounts {
		a := &m.inv.Accounts[i]
		switch {
		case a.Host == "" || !slices.Contains(hosts, a.Host):
		case !a.Mark.IsZero():
			x.Money.note("account %s at %s has its address, and bears the mark of %s: it is not touched", a.ID, a.Provider, a.Mark.Installation)
		default:
			byHost = append(byHost, a)
		}
	}
	x.accounts = byHost
	switch {
	case x.entry != nil && x.entry.Account != "":
		m.moneyByID(x, byHost)
	case len(byHost) == 1:
		x.Money.State = Matched
		x.Money.note("by its business address, %s", byHost[0].Host)
	case len(byHost) > 1:
		x.Money.State = Ambiguous
		x.Money.note("%d accounts have its address as that of their business", len(byHost))
	default:
		m.moneyByMail(x)
	}
}

// moneyByID takes the account that the export names.
func (m *matcher) moneyByID(x *Match, byHost []*Account) {
	i := slices.IndexFunc(m.inv.Accounts, func(a Account) bool { return a.ID == x.entry.Account })
	if i < 0 {
		x.Money.note("the export names account %s, and there is none of this id: payments are not asked for", x.entry.Account)
		x.accounts = nil
		return
	}
	named := &m.inv.Accounts[i]
	others := slices.DeleteFunc(slices.Clone(byHost), func(a *Account) bool { return a == named })
	switch {
	case !named.Mark.IsZero():
		x.Money.note("the export names account %s, which bears the mark of %s: it is not ours to adopt", named.ID, named.Mark.Installation)
		x.accounts = nil
	case len(others) > 0:
		x.Money.State, x.accounts = Ambiguous, append([]*Account{named}, others...)
		x.Money.note("the export names account %s, and another one has its address", named.ID)
	case named.Host != "" && len(byHost) == 0:
		x.Money.State, x.accounts = Ambiguous, []*Account{named}
		x.Money.note("the export names account %s, whose business address is %s", named.ID, named.Host)
	default:
		x.Money.State, x.accounts = Matched, []*Account{named}
		x.Money.note("by the export's id")
	}
}

// moneyByMail tells of accounts that have the client's address of mail, and chooses none.
func (m *matcher) moneyByMail(x *Match) {
	if x.entry == nil {
		return
	}
	const most = 5
	for _, a := range m.inv.Accounts {
		mine := a.Email != "" && (strings.EqualFold(a.Email, x.entry.ContactEmail) || strings.EqualFold(a.Email, x.entry.AdminEmail))
		if mine && a.Mark.IsZero() && len(x.Money.Notes) < most {
			x.Money.note("account %s at %s has the client's e-mail address, which proves nothing: if it is the client's, say payments.enabled, its country %s, and name it in adopt.payments", a.ID, a.Provider, a.Country)
		}
	}
}

// accountsOnce takes the choice back where two clients would have the same account, and says
// which may be meant.
func (m *matcher) accountsOnce() {
	users := map[*Account][]*Match{}
	for _, x := range m.out {
		if x.Money.State == Matched {
			users[x.accounts[0]] = append(users[x.accounts[0]], x)
		}
	}
	for _, x := range m.out {
		if x.Money.State == Matched && len(users[x.accounts[0]]) > 1 {
			x.Money.State = Ambiguous
			x.Money.note("%d clients would have the same account", len(users[x.accounts[0]]))
		}
		switch x.Money.State {
		case Matched:
			x.Money.Provider, x.Money.ID = x.accounts[0].Provider, x.accounts[0].ID
		case Ambiguous:
			for _, a := range x.accounts {
				x.Money.Candid = append(x.Money.Candid, a.Provider+" "+a.ID)
			}
		}
	}
}

// payments asks for the account that is there, and for none where there is none.
func (d *Draft) payments(m Match, e *Entry) {
	switch {
	case m.Money.State == Matched || m.Money.State == Ambiguous && len(m.accounts) > 0:
		a := m.accounts[0]
		d.add("payments", flow([]string{"enabled: true", "provider: " + a.Provider, "country: " + a.Country}))
		if m.Money.State == Ambiguous {
			d.note("Of the account that is chosen: its country.")
		}
	case e.Account != "" && !m.listed:
		d.comment("payments: the export names account " + clip(e.Account) + ": `payments: {enabled: true}` and account in `adopt.payments` take it over, where providers.stripe is configured")
	}
}
