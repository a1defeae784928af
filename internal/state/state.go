package state

import (
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// ClientID is a client's immutable identity, minted when its manifest is first
// accepted. Names change; this does not.
type ClientID string

// Kind is a kind of resource.
type Kind string

// The kinds. Whoever adds one also adds its mapping in desired and its case in a
// provider.
const (
	KindDatabase    Kind = "database"    // holds the client's data
	KindSite        Kind = "site"        // the project at the host, without content; Ref.Name is the provider's name (+ "/server")
	KindEnvironment Kind = "environment" // all variables of the site, as one set; named like its site
	KindDeployment  Kind = "deployment"  // one release; immutable; its name is a hash of what it is made of
	KindAdmin       Kind = "admin"       // the site's first user
	KindTraffic     Kind = "traffic"     // which deployment serves; promotion is an update of it; named like its site
	KindDomain      Kind = "domain"      // a host name bound to a site; Ref.Name is "host@site"
	KindRecord      Kind = "record"      // a DNS record; Ref.Name is "TYPE name" (+ " #n" for further ones of a set)
	KindMail        Kind = "mail"        // a message that is sent once
	// KindPayments is the client's own account for taking money. Whoever takes the money owns
	// it: it is never erased and never replaced, a person finishes it in their own time, and
	// no step waits for that.
	KindPayments Kind = "payments"
)

// Ref names a resource: whose, what, which.
type Ref struct {
	Client ClientID `json:"client"`
	Kind   Kind     `json:"kind"`
	Name   string   `json:"name"`
}

// String is client/kind/name.
func (r Ref) String() string { return string(r.Client) + "/" + string(r.Kind) + "/" + r.Name }

// Part is kind/name, as plans show it: which part of its client it is. The client as a whole has
// none.
func (r Ref) Part() string {
	if r.Kind == "" {
		return ""
	}
	return string(r.Kind) + "/" + r.Name
}

// Less orders Refs by client, kind, name.
func (r Ref) Less(o Ref) bool {
	if r.Client != o.Client {
		return r.Client < o.Client
	}
	if r.Kind != o.Kind {
		return r.Kind < o.Kind
	}
	return r.Name < o.Name
}

// Host is the host name of a domain's Ref: its name up to "@".
func (r Ref) Host() string { h, _, _ := strings.Cut(r.Name, "@"); return h }

// IsZero says that it names nothing.
func (r Ref) IsZero() bool { return r == Ref{} }

// SecretRef names one version of a secret, never its value.
type SecretRef struct {
	// Scope is a client id (the client's own and generated secrets, and secret
	// outputs of its resources) or "shared".
	Scope   string `json:"scope"`
	Name    string `json:"name"` // mollie, generated/SESSION_SECRET, output/database/main/url
	Version int    `json:"version,omitempty"`
	// Fingerprint is keyed with the installation's key, 12 hex digits; safe to show.
	Fingerprint string `json:"fingerprint,omitempty"`
}

// Value is a literal, "output x of Ref r", or "secret n version v". It never
// holds a secret's text.
type Value struct {
	Literal string     `json:"literal,omitempty"`
	Ref     *Ref       `json:"ref,omitempty"`    // with Output
	Output  string     `json:"output,omitempty"` // url, host, id …
	Secret  *SecretRef `json:"secret,omitempty"`
}

// Lit is a literal value.
func Lit(s string) Value { return Value{Literal: s} }

// OutputOf is another resource's output.
func OutputOf(r Ref, output string) Value { return Value{Ref: &r, Output: output} }

// SecretValue is a reference to a secret.
func SecretValue(s SecretRef) Value { return Value{Secret: &s} }

// Equal compares by content.
func (v Value) Equal(o Value) bool {
	switch {
	case v.Secret != nil || o.Secret != nil:
		return v.Secret != nil && o.Secret != nil && *v.Secret == *o.Secret
	case v.Ref != nil || o.Ref != nil:
		return v.Ref != nil && o.Ref != nil && *v.Ref == *o.Ref && v.Output == o.Output
	}
	return v.Literal == o.Literal
}

// Canonical is a stable text of what the value refers to, for hashing and
// comparison: it holds literals and names, no secret.
func (v Value) Canonical() string { return string(v.AppendCanonical(nil)) }

// AppendCanonical appends the same to b.
func (v Value) AppendCanonical(b []byte) []byte {
	switch {
	case v.Secret != nil:
		b = strconv.AppendQuote(append(b, "secret:"...), v.Secret.Scope+"/"+v.Secret.Name)
		b = strconv.AppendInt(append(b, '@'), int64(v.Secret.Version), 10)
		return append(append(b, '#'), v.Secret.Fingerprint...)
	case v.Ref != nil:
		b = strconv.AppendQuote(append(b, "output:"...), v.Ref.String())
		return append(append(b, '.'), v.Output...)
	default:
		return strconv.AppendQuote(append(b, "literal:"...), v.Literal)
	}
}

// Attribute is one named value of a resource.
type Attribute struct {
	Name  string `json:"name"`
	Value Value  `json:"value"`
}

// Attributes are sorted by name, each name once. Build them with NewAttributes.
type Attributes []Attribute

// NewAttributes sorts a map.
func NewAttributes(m map[string]Value) Attributes {
	a := make(Attributes, 0, len(m))
	for n, v := range m {
		a = append(a, Attribute{n, v})
	}
	a.Sort()
	return a
}

// Sort puts attributes that were collected in any order into theirs.
func (a Attributes) Sort() {
	slices.SortFunc(a, func(x, y Attribute) int { return strings.Compare(x.Name, y.Name) })
}

// Get returns the named value.
func (a Attributes) Get(name string) (Value, bool) {
	i := sort.Search(len(a), func(i int) bool { return a[i].Name >= name })
	if i < len(a) && a[i].Name == name {
		return a[i].Value, true
	}
	return Value{}, false
}

// Literal returns the named value's literal, or "".
func (a Attributes) Literal(name string) string { v, _ := a.Get(name); return v.Literal }

// Canonical is a stable text of all of them.
func (a Attributes) Canonical() string {
	b := make([]byte, 0, 64*len(a))
	for _, x := range a {
		b = append(strconv.AppendQuote(b, x.Name), '=')
		b = append(x.Value.AppendCanonical(b), '\n')
	}
	return string(b)
}

// Resource is a wish, or (once it has an ID) what we recorded of a real object.
type Resource struct {
	Ref        Ref        `json:"ref"`
	Provider   string     `json:"provider"`
	Attributes Attributes `json:"attributes"`
	// After lists resources that must be ready first, beyond those that
	// Attributes refer to. Sorted.
	After []Ref `json:"after,omitempty"`
	// AdoptID is the id of the object that the manifest's `adopt:` names for this
	// resource: it is recorded, never created.
	AdoptID string `json:"adoptId,omitempty"`

	// Recorded only.
	ID         string           `json:"id,omitempty"`   // the provider's
	Name       string           `json:"name,omitempty"` // the vendor-side name
	Outputs    map[string]Value `json:"outputs,omitempty"`
	Found      bool             `json:"found,omitempty"`      // an equal unmarked object that was there: used, never changed, never deleted
	Adopted    bool             `json:"adopted,omitempty"`    // named in `adopt:`, or existing on a site that is: may change, is never deleted, never purged by schedule
	Generation int              `json:"generation,omitempty"` // of the client when it was made: part of its Mark
	Phase      string           `json:"phase,omitempty"`      // "" ready | progressing | failed | manual | unfinished | unreached | adopting
	Message    string           `json:"message,omitempty"`    // why failed, what to do for manual
	Run        string           `json:"run,omitempty"`        // the pass that created it
	Site       string           `json:"site,omitempty"`       // ID of the site that it referred to when it was written; "": of none, or not known
	// Overtaken: of a deployment whose host serves what was built last, that another one was
	// built since. It serves again when it is built again.
	Overtaken bool `json:"overtaken,omitempty"`
	// Copy: of a database, that it is what a move fills, and was never its client's own: what is
	// in it is somewhere else, too. Agreed: that somebody approved the move, once.
	Copy   bool `json:"copy,omitempty"`
	Agreed bool `json:"agreed,omitempty"`
	// Database is the ID of its client's database when a deployment was made: it may hold its
	// address. "": it has none, or that is not known.
	Database string `json:"database,omitempty"`
	// Payments is the ID of the account for payments that a deployment was built with. "": with none, or
	// that is not known.
	Payments string `json:"payments,omitempty"`
	// Readdressed is how often a database's address was changed at its vendor, by others: releases from before have
	// another one.
	Readdressed int `json:"readdressed,omitempty"`
	// Retained data: taken out of use at, to be purged not before.
	RetainedAt time.Time `json:"retainedAt,omitzero"`
	PurgeAfter time.Time `json:"purgeAfter,omitzero"` // zero with RetainedAt set: kept for ever
	// Ahead is by how much this machine's clock was set forward since then, for all that the
	// program knows; negative: back. PurgeAfter has been moved by it where it is forward.
	Ahead      time.Duration `json:"ahead,omitempty"`
	UpdatedAt  time.Time     `json:"updatedAt,omitzero"`
	ObservedAt time.Time     `json:"observedAt,omitzero"`
	Commit     string        `json:"commit,omitempty"` // that caused the last write
	// Lives is of a DNS record how long, from UpdatedAt, what it said before may be remembered, where that is longer than
	// its time to live is now.
	Lives time.Duration `json:"lives,omitempty"`
}

// DoneBefore is the ID of a mail that was sent, or of a user who was made, of whom nothing else is
// known: a state that was lost had the provider's own.
const DoneBefore = "before"

// Real says that the resource exists at its provider as far as we know.
func (r Resource) Real() bool { return r.ID != "" }

// Retained says that it is data out of use, waiting for its purge date.
func (r Resource) Retained() bool { return !r.RetainedAt.IsZero() }

// References returns every Ref that the attributes and After name, sorted, once each.
func (r Resource) References() []Ref {
	seen := map[Ref]bool{}
	var out []Ref
	add := func(x Ref) {
		if !seen[x] {
			seen[x] = true
			out = append(out, x)
		}
	}
	for _, a := range r.Attributes {
		if a.Value.Ref != nil {
			add(*a.Value.Ref)
		}
	}
	for _, x := range r.After {
		add(x)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Less(out[j]) })
	return out
}
