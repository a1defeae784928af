package simulated

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// account is one as it is kept.
type account struct {
	ID       string            `json:"id"`
	Created  time.Time         `json:"created"`
	Country  string            `json:"country"`
	Email    string            `json:"email"`
	Label    string            `json:"label"`
	URL      string            `json:"url"`
	Fields   map[string]string `json:"fields"` // the rest of the form: controller, capabilities
	Metadata map[string]string `json:"metadata"`
	Due      []string          `json:"due"`
	Past     []string          `json:"past"`
	Disabled string            `json:"disabled"`
	Done     bool              `json:"done"` // its owner was through once
	Linked   bool              `json:"linked"`
}

// enabled says that it may take money.
func (a account) enabled() bool { return len(a.Past) == 0 && a.Disabled == "" && a.Done }

// born is what Stripe wants to know of a new account.
func born() []string {
	return []string{"business_profile.product_description", "business_profile.support_phone", "business_type", "external_account", "tos_acceptance.date", "tos_acceptance.ip"}
}

// shown is the account as the API shows it.
func (a account) shown() map[string]any {
	reason := any(nil)
	switch {
	case a.Disabled != "":
		reason = a.Disabled
	case len(a.Past) > 0 || !a.Done:
		reason = "requirements.past_due"
	}
	capability := "inactive"
	if a.enabled() {
		capability = "active"
	}
	return map[string]any{
		"id": a.ID, "object": "account", "type": "none", "country": a.Country, "created": a.Created.Unix(), "default_currency": "eur",
		"email": maybe(a.Email), "business_type": nil, "metadata": a.Metadata,
		"business_profile": map[string]any{"name": maybe(a.Label), "url": maybe(a.URL), "mcc": nil, "product_description": nil, "support_address": nil, "support_email": nil, "support_phone": nil, "support_url": nil},
		"charges_enabled":  a.enabled(), "payouts_enabled": a.enabled(), "details_submitted": a.Done,
		"capabilities": map[string]any{"card_payments": capability, "transfers": capability},
		"controller": map[string]any{
			"type": "application", "is_controller": true, "requirement_collection": a.Fields["controller[requirement_collection]"],
			"fees": map[string]any{"payer": a.Fields["controller[fees][payer]"]}, "losses": map[string]any{"payments": a.Fields["controller[losses][payments]"]},
			"stripe_dashboard": map[string]any{"type": a.Fields["controller[stripe_dashboard][type]"]},
		},
		"requirements": map[string]any{
			"alternatives": []any{}, "errors": []any{}, "current_deadline": nil, "disabled_reason": reason, "pending_verification": []string{},
			"currently_due": some(a.Due), "eventually_due": some(a.Due), "past_due": some(a.Past),
		},
		"external_accounts": map[string]any{"object": "list", "data": []any{}, "has_more": false, "url": "/v1/accounts/" + a.ID + "/external_accounts"},
		"tos_acceptance":    map[string]any{"date": nil, "ip": nil, "user_agent": nil},
	}
}

func maybe(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func some(all []string) []string { return append([]string{}, all...) }

// platform is the own account.
func platform(now time.Time) map[string]any {
	a := account{ID: Platform, Created: now, Country: "NL", Email: "agency@compass.example", Metadata: map[string]string{}, Done: true}
	out := a.shown()
	out["type"], out["controller"] = "standard", map[string]any{"type": "account"}
	return out
}

// call is one request.
type call struct {
	*Stripe
	r    *http.Request
	form url.Values
}

func (c call) find(id string) (account, *trouble) {
	a, ok := c.world.Accounts.Get(id)
	if !ok {
		return account{}, &trouble{status: http.StatusForbidden, code: "account_invalid",
			text: fmt.Sprintf("The provided key does not have access to account '%.80s' (or that account does not exist). Application access may have been revoked.", id)}
	}
	a.Metadata, a.Fields = maps.Clone(a.Metadata), maps.Clone(a.Fields) // a refused change changes nothing
	return a, nil
}

func (c call) get(id string) (any, *trouble) {
	if id == Platform {
		return platform(c.o.Now()), nil
	}
	a, t := c.find(id)
	return a.shown(), t
}

// list shows the newest first.
func (c call) list() (any, *trouble) {
	limit, after := 10, ""
	query := c.r.URL.Query()
	for _, name := range slices.Sorted(maps.Keys(query)) {
		switch value := query.Get(name); name {
		case "limit":
			n, err := strconv.Atoi(value)
			if err != nil || n < 1 || n > 100 {
				return nil, bad("parameter_invalid_integer", name, "Invalid integer: "+value)
			}
			limit = n
		case "starting_after":
			after = value
		default:
			return nil, bad("parameter_unknown", name, "Received unknown parameter: "+name)
		}
	}
	all := c.world.Accounts.Seen()
	slices.Reverse(all)
	if after != "" {
		i := slices.IndexFunc(all, func(a account) bool { return a.ID == after })
		if i < 0 {
			return nil, bad("resource_missing", "starting_after", "No such account: '"+after+"'")
		}
		all = all[i+1:]
	}
	data := []any{}
	for _, a := range all[:min(limit, len(all))] {
		if fresh, ok := c.world.Accounts.Get(a.ID); ok {
			a = fresh
		}
		data = append(data, a.shown())
	}
	return map[string]any{"object": "list", "url": "/v1/accounts", "has_more": len(all) > limit, "data": data}, nil
}

// unchangeable are the fields that only a create takes; the values that they may have.
func unchangeable() map[string]string {
	return map[string]string{
		"country": `^[A-Z]{2}$`, "controller[fees][payer]": "^(account|application)$", "controller[losses][payments]": "^(application|stripe)$",
		"controller[requirement_collection]": "^(application|stripe)$", "controller[stripe_dashboard][type]": "^(express|full|none)$",
		"capabilities[card_payments][requested]": "^(true|false)$", "capabilities[transfers][requested]": "^(true|false)$",
	}
}

var metadataKey = regexp.MustCompile(`^metadata\[([^\[\]]{1,40})\]$`)

// maxMetadata and maxValue are Stripe's (docs.stripe.com/api/metadata).
const (
	maxMetadata = 50
	maxValue    = 500
)

// put takes a form into an account.
func (c call) put(a *account, create bool) *trouble {
	fixed := unchangeable()
	for _, name := range slices.Sorted(maps.Keys(c.form)) {
		value := c.form.Get(name)
		if pattern, ok := fixed[name]; ok && create {
			if !regexp.MustCompile(pattern).MatchString(value) {
				return bad("", name, "Invalid "+name)
			}
			if a.Fields[name] = value; name == "country" {
				a.Country = value
			}
			continue
		}
		if m := metadataKey.FindStringSubmatch(name); m != nil {
			if len(value) > maxValue {
				return bad("parameter_invalid_string", name, "Metadata values can have up to 500 characters.")
			}
			if a.Metadata[m[1]] = value; value == "" {
				delete(a.Metadata, m[1])
			}
			continue
		}
		to := map[string]*string{"email": &a.Email, "business_profile[name]": &a.Label, "business_profile[url]": &a.URL}[name]
		switch {
		case to == nil:
			return bad("parameter_unknown", name, "Received unknown parameter: "+name)
		case !create && (a.Linked || a.Done):
			return &trouble{status: http.StatusForbidden, text: "This application does not have the required permissions for the parameter '" + name + "' on account '" + a.ID + "'."}
		case name == "email" && value != "" && !strings.Contains(value, "@"):
			return bad("email_invalid", name, "Invalid email address: "+value)
		case name == "business_profile[url]" && value != "" && !strings.HasPrefix(value, "http"):
			return bad("url_invalid", name, "Not a valid URL")
		}
		*to = value
	}
	if len(a.Metadata) > maxMetadata {
		return bad("", "metadata", "Metadata can have up to 50 keys.")
	}
	return nil
}

// controllers are who is answerable for what at an account whose create says nothing of it.
func controllers() map[string]string {
	return map[string]string{"controller[fees][payer]": "account", "controller[losses][payments]": "stripe", "controller[requirement_collection]": "stripe", "controller[stripe_dashboard][type]": "full"}
}

// unsupported are some countries that Stripe has no accounts in.
func unsupported() []string { return []string{"CU", "IR", "KP", "SY"} }

func (c call) create() (any, *trouble) {
	a := account{Created: c.o.Now(), Country: "NL", Fields: controllers(), Metadata: map[string]string{}, Due: born(), Past: born()}
	if c.o.Onboarded {
		a.Due, a.Past, a.Done = nil, nil, true
	}
	if c.o.NoConnect {
		return nil, bad("", "", "You can only create new accounts if you've signed up for Connect, which you can do at https://dashboard.stripe.com/connect.")
	}
	if t := c.put(&a, true); t != nil {
		return nil, t
	}
	if slices.Contains(unsupported(), a.Country) {
		return nil, bad("country_unsupported", "country", "Country '"+a.Country+"' is not supported.")
	}
	if a.Fields["controller[losses][payments]"] == "stripe" && a.Fields["controller[stripe_dashboard][type]"] != "full" {
		return nil, bad("", "controller", "Stripe bears losses only of accounts with its full dashboard.")
	}
	if t := c.began(); t != nil {
		return nil, t
	}
	a.ID = "acct_1" + c.world.IDs.Hex(15)
	c.world.Accounts.Put(a.ID, a)
	return a.shown(), nil
}

func (c call) update(id string) (any, *trouble) {
	a, t := c.find(id)
	if t != nil {
		return nil, t
	}
	if t := c.put(&a, false); t != nil {
		return nil, t
	}
	if t := c.began(); t != nil {
		return nil, t
	}
	c.world.Accounts.Put(id, a)
	return a.shown(), nil
}

func (c call) remove(id string) (any, *trouble) {
	if _, t := c.find(id); t != nil {
		return nil, t
	}
	c.world.Accounts.Delete(id)
	return map[string]any{"id": id, "object": "account", "deleted": true}, nil
}
