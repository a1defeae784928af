package manifest

import (
	"fmt"
	"sort"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// APIVersion is the only apiVersion that is read. It gains optional fields, and
// its defaults never change.
const APIVersion = "reconciler/v1"

// Kinds of document.
const (
	KindClient   = "Client"
	KindTemplate = "Template"
	KindPlatform = "Platform"
)

// Client is one client's manifest. As decoded it holds what the file says; as
// returned by Resolve (inside Effective) it holds the effective values: manifest
// over template over platform over configuration.
type Client struct {
	APIVersion          string            `yaml:"apiVersion"`
	Kind                string            `yaml:"kind"`
	Name                string            `yaml:"name"`
	Previously          []string          `yaml:"previously,omitempty"`
	DisplayName         string            `yaml:"displayName,omitempty"`
	Contact             Contact           `yaml:"contact,omitempty"`
	Plan                string            `yaml:"plan,omitempty"`
	Template            string            `yaml:"template"`
	Domain              string            `yaml:"domain"`
	Aliases             []string          `yaml:"aliases,omitempty"`
	EnabledFeatures     []string          `yaml:"enabledFeatures,omitempty"`
	DisabledCollections []string          `yaml:"disabledCollections,omitempty"`
	Deployment          Deployment        `yaml:"deployment,omitempty"`
	Database            Database          `yaml:"database,omitempty"`
	DNS                 DNS               `yaml:"dns,omitempty"`
	Env                 Env               `yaml:"env,omitempty"`
	Settings            map[string]any    `yaml:"settings,omitempty"`
	Admin               Admin             `yaml:"admin,omitempty"`
	Health              Health            `yaml:"health,omitempty"`
	Billing             *Billing          `yaml:"billing,omitempty"`
	Payments            *Payments         `yaml:"payments,omitempty"`
	Labels              map[string]string `yaml:"labels,omitempty"`
	Notes               string            `yaml:"notes,omitempty"`
	Adopt               Adopt             `yaml:"adopt,omitempty"`
	OnFailure           string            `yaml:"onFailure,omitempty"` // rollback | keep
	Paused              bool              `yaml:"paused,omitempty"`
}

// Contact is the person at the client.
type Contact struct {
	Name  string `yaml:"name,omitempty"`
	Email string `yaml:"email,omitempty"`
	Phone string `yaml:"phone,omitempty"`
}

// Deployment says where the site runs and which version of its source.
type Deployment struct {
	Provider   string   `yaml:"provider,omitempty"` // ploi | vercel | local | external | none
	Server     string   `yaml:"server,omitempty"`
	Repository string   `yaml:"repository,omitempty"` // empty: the template's
	Ref        string   `yaml:"ref,omitempty"`        // empty: the template's
	Timeout    Duration `yaml:"timeout,omitempty"`
}

// Database says where the data lives.
type Database struct {
	Provider string       `yaml:"provider,omitempty"` // railway | postgres | sqlite | external | none
	Retain   Retain       `yaml:"retain,omitempty"`
	Access   string       `yaml:"access,omitempty"` // public | private
	Reuse    string       `yaml:"reuse,omitempty"`  // retained | fresh | ""
	External *ExternalURL `yaml:"external,omitempty"`
}

// ExternalURL is a database that somebody else keeps.
type ExternalURL struct {
	URL EnvValue `yaml:"url"`
}

// DNS says who answers for the client's names.
type DNS struct {
	Provider string   `yaml:"provider,omitempty"` // cloudflare | local | external | none
	Proxied  bool     `yaml:"proxied,omitempty"`
	Records  []Record `yaml:"records,omitempty"`
}

// Record is an extra DNS record; "@" is the client's domain.
type Record struct {
	Type     string `yaml:"type"`
	Name     string `yaml:"name"`
	Content  string `yaml:"content"`
	Priority int    `yaml:"priority,omitempty"`
	TTL      int    `yaml:"ttl,omitempty"` // seconds, 0: the provider's automatic
	Proxied  *bool  `yaml:"proxied,omitempty"`
}

// Env is environment variables by name. Iterate with Names.
type Env map[string]EnvValue

// Names returns the variables' names, sorted.
func (e Env) Names() []string {
	names := make([]string, 0, len(e))
	for n := range e {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// EnvValue is one value: exactly one of its fields is meant. Literals keep their
// spelling as written (021, 1.10, on).
type EnvValue struct {
	Literal  string // when Secret, Generate, From are empty and None is false
	Secret   string // {secret: mollie} or {secret: shared/x}
	Generate string // {generate: hex32}: made once, then kept
	From     string // {from: database.url}: another resource's output
	None     bool   // the word none as {none: true}: takes an inherited variable away
}

// Admin is the first user of the site.
type Admin struct {
	Email string `yaml:"email,omitempty"`
}

// Health is the probe of the site from outside.
type Health struct {
	Path     string   `yaml:"path,omitempty"`
	Status   int      `yaml:"status,omitempty"`
	Contains string   `yaml:"contains,omitempty"`
	Every    Duration `yaml:"every,omitempty"`
	Timeout  Duration `yaml:"timeout,omitempty"`
}

// Billing is described only: carried to the record and the page.
type Billing struct {
	Status     string `yaml:"status,omitempty"`
	MonthlyFee string `yaml:"monthlyFee,omitempty"` // decimal as written, never a float
	Currency   string `yaml:"currency,omitempty"`
	NextDate   string `yaml:"nextDate,omitempty"` // YYYY-MM-DD
}

// Payments is the client's own account for taking money.
type Payments struct {
	Enabled     bool   `yaml:"enabled,omitempty"`
	Provider    string `yaml:"provider,omitempty"`
	PricingTier string `yaml:"pricingTier,omitempty"`
	Country     string `yaml:"country,omitempty"`
}

// Adopt names objects that exist already: kind (site, database, payments …) to
// {id: …} or {account: …}.
type Adopt map[string]AdoptRef

// AdoptRef is one existing object.
type AdoptRef struct {
	ID      string `yaml:"id,omitempty"`
	Account string `yaml:"account,omitempty"`
}

// Template is templates/NAME.yaml: what manifests inherit.
type Template struct {
	APIVersion  string      `yaml:"apiVersion"`
	Kind        string      `yaml:"kind"`
	Name        string      `yaml:"name"`
	Source      Source      `yaml:"source"`
	Build       Build       `yaml:"build,omitempty"`
	Migrate     string      `yaml:"migrate,omitempty"`
	Admin       AdminPanel  `yaml:"admin,omitempty"`
	Features    Features    `yaml:"features,omitempty"`
	Collections Collections `yaml:"collections,omitempty"`
	Env         Env         `yaml:"env,omitempty"`
	// Defaults is a partial manifest; kept as a tree and merged under the manifest.
	Defaults Tree `yaml:"defaults,omitempty"`
}

// Source is where a template's code is.
type Source struct {
	Repository string `yaml:"repository,omitempty"`
	Ref        string `yaml:"ref,omitempty"`
	Directory  string `yaml:"directory,omitempty"`
}

// Build is how the code becomes a site.
type Build struct {
	Runtime string `yaml:"runtime,omitempty"`
	Install string `yaml:"install,omitempty"`
	Command string `yaml:"command,omitempty"`
	Start   string `yaml:"start,omitempty"`
}

// AdminPanel is the site's own administration.
type AdminPanel struct {
	Kind string `yaml:"kind,omitempty"` // payload | local | none
	Path string `yaml:"path,omitempty"`
}

// Features are what a manifest may enable and what it gets unasked.
type Features struct {
	Allowed []string `yaml:"allowed,omitempty"`
	Default []string `yaml:"default,omitempty"`
}

// Collections are what a manifest may disable.
type Collections struct {
	Disableable []string `yaml:"disableable,omitempty"`
}

// Tree is a partial manifest that has been checked but not yet merged.
type Tree struct{ Node *yaml.Node }

// Platform is platform.yaml: what holds for all clients.
type Platform struct {
	APIVersion string              `yaml:"apiVersion"`
	Kind       string              `yaml:"kind"`
	Requires   string              `yaml:"requires,omitempty"`
	BaseDomain string              `yaml:"baseDomain,omitempty"`
	Reserved   []string            `yaml:"reserved,omitempty"`
	Defaults   Tree                `yaml:"defaults,omitempty"`
	Plans      map[string]PlanRule `yaml:"plans,omitempty"`
	Limits     Limits              `yaml:"limits,omitempty"`
	Guard      Guard               `yaml:"guard,omitempty"`
	Freeze     []Freeze            `yaml:"freeze,omitempty"`
}

// PlanRule limits what a plan (free, starter …) may use.
type PlanRule struct {
	Features []string `yaml:"features,omitempty"`
}

// Limits are floors and ceilings that no manifest may pass.
type Limits struct {
	MinRetain Duration `yaml:"minRetain,omitempty"`
}

// Guard is the repository's side of the guard. It may tighten the daemon's, never
// loosen it. A nil field is not said.
type Guard struct {
	MaxDeletes       *int      `yaml:"maxDeletes,omitempty"`
	MaxDeletePercent *int      `yaml:"maxDeletePercent,omitempty"`
	MaxChanged       *int      `yaml:"maxChanged,omitempty"`
	MaxCreates       *int      `yaml:"maxCreates,omitempty"`
	Removals         string    `yaml:"removals,omitempty"` // any | reviewed
	RemoveAfter      *Duration `yaml:"removeAfter,omitempty"`
}

// Freeze is a window in which changes wait.
type Freeze struct {
	From   string `yaml:"from"` // local time, 2006-01-02T15:04
	To     string `yaml:"to"`
	Zone   string `yaml:"zone,omitempty"` // IANA name, default UTC
	Reason string `yaml:"reason,omitempty"`
}

// Duration is a time.Duration written as Go writes it, with d for 24 hours (30d,
// 1h30m). It marshals back to that form.
type Duration time.Duration

// Std returns the standard library's type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String writes the shortest form, with whole days as d.
func (d Duration) String() string {
	const day = 24 * time.Hour
	t := time.Duration(d)
	if t == 0 {
		return "0s"
	}
	if t%day == 0 {
		return fmt.Sprintf("%dd", t/day)
	}
	s := t.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Retain is how long a removed client's database is kept: a duration, or for
// ever. The zero value is "not said".
type Retain struct {
	For     Duration
	Forever bool
}

// Effective is what one client asks for, with every default applied and every
// name worked out. It is a value: equal inputs give equal Effectives, and
// desired reads nothing else.
type Effective struct {
	Client
	// Host is the client's full host name in A-label (ASCII) form; Hosts is Host
	// followed by the aliases, likewise, in the manifest's order.
	Host  string
	Hosts []string
	// From the template, after the manifest's overrides.
	Source       Source
	Build        Build
	Migrate      string
	AdminPanel   AdminPanel
	Environment  Env // template's env under the manifest's, None removed
	Features     []string
	TemplateBlob string // git blob id of the template that was used, for reasons ("template ecommerce changed")
}
