package takeover

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// money is an account as Stripe lists it.
func money(id, country, url, email string, m provider.Mark) provider.Object {
	return provider.Object{Kind: state.KindPayments, ID: id, Mark: m, Attributes: inputs("country", country, "email", email, "url", url)}
}

// shops are so many sites with host names of their own.
func shops(names ...string) (out []provider.Object) {
	for n, name := range names {
		id := fmt.Sprintf("1/%d", 48+n)
		out = append(out, site(id, name+".example", provider.Mark{}), domain(id, name+".example", ""))
	}
	return out
}

// An account is a client's by its whole business address or by the export's id, where nothing
// speaks against it; what may be another's is not chosen, and where there is none none is asked
// for. Of somebody's mail it is only told.
func TestAccountsForPayments(t *testing.T) {
	theirs := provider.Mark{Installation: "feedface", Client: "c1", Generation: 1}
	stripe := account{lists: []provider.Object{
		money("acct_1a", "NL", "https://www.bakery.example/", "dana@bakery.example", provider.Mark{}),
		money("acct_1b", "DE", "http://florist.example", "", provider.Mark{}), money("acct_1c", "DE", "https://FLORIST.example", "", provider.Mark{}),
		money("acct_1d", "NL", "https://tailor.example/shop", "", provider.Mark{}), // a page of it
		money("acct_1e", "NL", "https://cobbler.example", "", theirs),              // another installation's
		money("acct_1f", "NL", "ftp://smith.example", "", provider.Mark{}),         // no address
		money("acct_1g", "Holland", "https://smith.example", "", provider.Mark{}),  // no country
		money("acct_1h", "NL", "", "kim@potter.example", provider.Mark{}),          // of whom only the mail is known
		money("acct_1i", "NL", "https://elsewhere.example", "", provider.Mark{}),   // what the export says of the weaver
		money("acct_1j", "BE", "", "", provider.Mark{}), money("../x", "NL", "https://potter.example", "", provider.Mark{}),
	}}
	names := []string{"bakery", "florist", "tailor", "cobbler", "smith", "potter", "weaver", "miller", "cooper", "turner", "baker"}
	inv, err := Collect(t.Context(), []Source{{"ploi", account{lists: shops(names...)}}, {"stripe", stripe}}, installation)
	if err != nil {
		t.Fatal(err)
	}
	if data, err := json.Marshal(inv); err != nil || len(inv.Accounts) != 9 {
		t.Errorf("%d accounts: %s %v", len(inv.Accounts), data, err)
	}
	var docs []string
	for _, name := range names {
		docs = append(docs, fmt.Sprintf(`{"name": %q, "domain": "%s.example", "template": "ecommerce", "contactEmail": "Kim@%s.example", "stripeAccountId": %q}`, name, name, name,
			map[string]string{"weaver": "acct_1i", "miller": "acct_1nowhere", "cooper": "acct_1j", "turner": "acct_1e", "baker": "acct_1a"}[name]))
	}
	entries, err := ReadExport(strings.NewReader("[" + strings.Join(docs, ",") + "]"))
	if err != nil {
		t.Fatal(err)
	}
	for what, entries := range map[string][]Entry{"alone": nil, "with an export": entries} {
		all := Matches(inv, entries, tree().KnownIn())
		files := written(t, tree(), all)
		for name, want := range map[string]struct {
			state State // alone
			with  State // with an export, if it is another
			id    string
			says  string
			asks  string
		}{
			"bakery":  {state: Matched, id: "acct_1a", says: "by its business address, www.bakery.example", asks: "payments: {enabled: true, provider: stripe, country: NL}"},
			"florist": {state: Ambiguous, says: "2 accounts have its address", asks: "payments: {account: choose-one-florist"},
			"tailor":  {state: None},
			"cobbler": {state: None, says: "bears the mark of feedface: it is not touched"},
			"smith":   {state: None},
			"potter":  {state: None},
			"weaver":  {state: None, with: Ambiguous},
			"miller":  {state: None},
			"cooper":  {state: None, with: Matched},
			"turner":  {state: None},
			"baker":   {state: None, with: Ambiguous},
		} {
			if entries != nil && want.with != "" {
				want.state = want.with
			}
			m := of(t, all, name)
			if m.Money.State != want.state || want.id != "" && m.Money.ID != want.id {
				t.Errorf("%s, %s: %+v", what, name, m.Money)
			}
			text := files[name]
			if !strings.Contains(text, want.says) || !strings.Contains(text, want.asks) || (want.state == Matched || want.state == Ambiguous) != strings.Contains(text, "\npayments: ") {
				t.Errorf("%s, %s:\n%s", what, name, text)
			}
		}
		if entries == nil {
			continue
		}
		for name, says := range map[string]string{"potter": "account acct_1h at stripe has the client's e-mail address, which proves nothing", "weaver": "whose business address is elsewhere.example", "miller": "there is none of this id: payments are not asked for",
			"cooper": `payments: {account: "acct_1j"}`, "turner": "bears the mark of feedface: it is not ours to adopt", "baker": "whose business address is www.bakery.example"} {
			if !strings.Contains(files[name], says) {
				t.Errorf("%s does not say %q:\n%s", name, says, files[name])
			}
		}
	}

	// The same account of two entries is neither's.
	twice, err := ReadExport(strings.NewReader(`[{"name": "cooper", "domain": "cooper.example", "stripeAccountId": "acct_1j"}, {"name": "miller", "domain": "miller.example", "stripeAccountId": "acct_1j"}]`))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range Matches(inv, twice, tree().KnownIn()) {
		if m.Skipped == "" && (m.Money.State != Ambiguous || m.Money.ID != "" || len(m.Money.Candid) != 1 || m.State != Ambiguous || !strings.Contains(m.Next, "adopt.payments")) {
			t.Errorf("twice: %s %+v %s", m.Name, m.Money, m.Next)
		}
	}
}
