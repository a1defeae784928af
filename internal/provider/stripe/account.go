package stripe

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
)

// Our keys in an account's metadata. Others are its platform's other tools'.
const (
	keyMark       = "reconciler"
	keyName       = "reconciler_name"
	keyTier       = "reconciler_tier"
	keyOnboarding = "reconciler_onboarding"
)

// begun is the value of keyOnboarding once a link was made.
const begun = "begun"

func metadata(key string) string { return "metadata[" + key + "]" }

// account is what is read of an account. What Stripe adds is ignored, what it leaves out is
// zero: then nothing is enabled, and Manual is the honest phase.
type account struct {
	ID               string            `json:"id"`
	Object           string            `json:"object"`
	Deleted          bool              `json:"deleted"`
	Country          string            `json:"country"`
	Email            string            `json:"email"`
	Metadata         map[string]string `json:"metadata"`
	ChargesEnabled   bool              `json:"charges_enabled"`
	PayoutsEnabled   bool              `json:"payouts_enabled"`
	DetailsSubmitted bool              `json:"details_submitted"`
	BusinessProfile  struct {
		Name string `json:"name"`
		URL  string `json:"url"`
	} `json:"business_profile"`
	Requirements requirements `json:"requirements"`
}

func (a account) good() bool { return isAccount(a.ID) && a.Object == "account" && !a.Deleted }

func (a account) mark() provider.Mark { return provider.ParseMark(a.Metadata[keyMark]) }

// begun says that its owner was shown the way to Stripe, or was there.
func (a account) begun() bool { return a.DetailsSubmitted || a.Metadata[keyOnboarding] != "" }

// object is the account as the contract has it. The profile is only told, and so only
// compared, until it is its owner's.
func (a account) object() provider.Object {
	text := func(name, is string) provider.Input {
		return provider.Input{Name: name, Text: provider.Line(is, maxText)}
	}
	o := provider.Object{ID: a.ID, Kind: KindPayments, Name: provider.Line(a.Metadata[keyName], maxName), Mark: a.mark(),
		Outputs: []provider.Output{{Name: "id", Text: a.ID}}}
	o.Attributes = append(o.Attributes, text("country", a.Country))
	if !a.begun() {
		o.Attributes = append(o.Attributes, text("email", a.Email), text("label", a.BusinessProfile.Name))
	}
	o.Attributes = append(o.Attributes, text("tier", a.Metadata[keyTier]))
	if !a.begun() {
		o.Attributes = append(o.Attributes, text("url", a.BusinessProfile.URL))
	}
	o.Phase, o.Message = provider.Manual, a.Requirements.wanting()
	if a.ChargesEnabled && a.PayoutsEnabled {
		o.Phase, o.Message = provider.Ready, a.Requirements.soon()
	}
	return o
}

// wish is what is asked of an account.
type wish struct {
	name, mark, country, tier string
	email, label, url         string // "": left to the owner
}

// country is ISO 3166's alpha-2; a name goes into a header, and so is plain.
var (
	countryWord = regexp.MustCompile(`^[A-Z]{2}$`)
	plainName   = regexp.MustCompile(`^[!-~]{1,` + strconv.Itoa(maxName) + `}$`)
)

// wished reads a wish and refuses what Stripe would, or what could not be read back.
func (p *Provider) wished(op string, w provider.Wish) (wish, error) {
	out := wish{name: w.Name, mark: w.Mark.Text(), country: w.Get("country"), tier: w.Get("tier"), email: w.Get("email"), label: w.Get("label"), url: w.Get("url")}
	bad := ""
	switch {
	case !plainName.MatchString(out.name):
		bad = "an account needs a plain name of at most " + strconv.Itoa(maxName) + " bytes"
	case out.mark == "" || len(out.mark) > maxText || provider.ParseMark(out.mark) != w.Mark:
		bad = "an account needs a mark"
	case !countryWord.MatchString(out.country):
		bad = "an account needs a country of two capital letters: it can never be changed"
	case out.url != "" && !p.isAddress(out.url):
		bad = "the address of the shop is no https address"
	}
	for _, c := range []struct{ name, text string }{{"tier", out.tier}, {"email", out.email}, {"label", out.label}, {"url", out.url}} {
		if len(c.text) > maxText || provider.Line(c.text, maxText) != c.text {
			bad = c.name + " is one line of at most " + strconv.Itoa(maxText) + " bytes"
		}
	}
	if bad != "" {
		return wish{}, p.fail(provider.Invalid, op, bad, nil)
	}
	return out, nil
}

// created is the form of a create. The controller makes the account its owner's: the whole
// dashboard, its own fees, Stripe in charge of losses and of asking what it must know.
func (w wish) created() httpapi.Form {
	f := httpapi.Form{
		"controller[fees][payer]":                {"account"},
		"controller[losses][payments]":           {"stripe"},
		"controller[requirement_collection]":     {"stripe"},
		"controller[stripe_dashboard][type]":     {"full"},
		"capabilities[card_payments][requested]": {"true"},
		"capabilities[transfers][requested]":     {"true"},
		"country":                                {w.country},
		metadata(keyMark):                        {w.mark},
		metadata(keyName):                        {w.name},
		metadata(keyTier):                        {w.tier},
	}
	if w.tier == "" { // an empty value unsets: there is nothing yet
		delete(f, metadata(keyTier))
	}
	for _, c := range w.profile() {
		if c.want != "" {
			f[c.field] = []string{c.want}
		}
	}
	return f
}

// profile are the fields that are the owner's from the first link on.
func (w wish) profile() []struct{ field, want string } {
	return []struct{ field, want string }{{"business_profile[name]", w.label}, {"business_profile[url]", w.url}, {"email", w.email}}
}

// changes is the form of what differs, empty where nothing does.
func (w wish) changes(a account) httpapi.Form {
	f := httpapi.Form{}
	for _, c := range []struct{ key, want string }{{keyMark, w.mark}, {keyName, w.name}, {keyTier, w.tier}} {
		if a.Metadata[c.key] != c.want {
			f[metadata(c.key)] = []string{c.want}
		}
	}
	if a.begun() {
		return f
	}
	have := map[string]string{"business_profile[name]": a.BusinessProfile.Name, "business_profile[url]": a.BusinessProfile.URL, "email": a.Email}
	for _, c := range w.profile() {
		if c.want != "" && have[c.field] != c.want {
			f[c.field] = []string{c.want}
		}
	}
	return f
}

// requirements is what Stripe wants to know, and why it lets an account do nothing.
type requirements struct {
	CurrentDeadline int64    `json:"current_deadline"`
	CurrentlyDue    []string `json:"currently_due"`
	PastDue         []string `json:"past_due"`
	Pending         []string `json:"pending_verification"`
	DisabledReason  string   `json:"disabled_reason"`
}

// maxDue is how many things are named.
const maxDue = 8

// wanting says what stands between the account and its first payment.
func (r requirements) wanting() string {
	var parts []string
	switch due := r.due(); {
	case due != "":
		parts = append(parts, "the owner has to finish at Stripe: "+due)
	case len(r.Pending) > 0:
		parts = append(parts, "Stripe is checking what it was told")
	default:
		parts = append(parts, "Stripe has not enabled payments and payouts yet")
	}
	if len(r.PastDue) > 0 {
		parts = append(parts, "some of it is overdue")
	}
	if r.DisabledReason != "" {
		parts = append(parts, reason(r.DisabledReason))
	}
	return strings.Join(parts, "; ")
}

// soon says what an account that works is asked for; "" where nothing is.
func (r requirements) soon() string {
	due := r.due()
	if due == "" {
		return ""
	}
	text := "Stripe wants to know more, while payments go on: " + due
	if r.CurrentDeadline > 0 && r.CurrentDeadline < 1<<33 {
		text += ", until " + time.Unix(r.CurrentDeadline, 0).UTC().Format(time.DateOnly)
	}
	return text
}

// due lists what is due, overdue first, in words, each once.
func (r requirements) due() string {
	var words []string
	seen := map[string]bool{}
	for _, field := range append(append([]string{}, r.PastDue...), r.CurrentlyDue...) {
		if word := inWords(field); word != "" && !seen[word] {
			seen[word] = true
			words = append(words, word)
		}
	}
	more := ""
	if len(words) > maxDue {
		more = " and " + strconv.Itoa(len(words)-maxDue) + " more"
		words = words[:maxDue]
	}
	return strings.Join(words, ", ") + more
}

// person is the first part of a field of one of a company's people.
var person = regexp.MustCompile(`^person_[A-Za-z0-9]+$`)

// inWords makes words of a field's name. Names that nobody knows here are words, too.
func inWords(field string) string {
	first, rest, _ := strings.Cut(field, ".")
	switch {
	case first == "external_account":
		return "a bank account"
	case first == "tos_acceptance":
		return "the acceptance of Stripe's terms"
	case person.MatchString(first):
		first = "a person"
	}
	text := first
	if rest != "" {
		text += ": " + rest
	}
	return provider.Line(strings.NewReplacer("_", " ", ".", " ").Replace(text), maxShown)
}

// reason makes words of a disabled_reason.
func reason(code string) string {
	switch first, _, _ := strings.Cut(code, "."); {
	case first == "rejected":
		return "Stripe rejected the account (" + shown(code) + "): its owner must write to Stripe"
	case code == "requirements.pending_verification", code == "under_review":
		return "Stripe is still checking"
	case code == "platform_paused":
		return "the platform paused the account"
	case code == "requirements.past_due", code == "action_required.requested_capabilities":
		return "nothing works until then"
	}
	return "Stripe's reason: " + shown(code)
}
