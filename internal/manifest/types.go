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

// The tags of the types below are the format: doc, enum, format (see formats.go),
// least and most, max (length of a text or a list), default (in words) and required
// are read by the decoder, by the JSON Schemas and by the reference in README.md.

// Client is one client's manifest. As decoded it holds what the file says; as
// returned by Resolve (inside Effective) it holds the effective values: manifest
// over template over platform over configuration.
type Client struct {
	APIVersion          string            `yaml:"apiVersion" enum:"reconciler/v1" doc:"The version of this format."`
	Kind                string            `yaml:"kind" enum:"Client" doc:"What this file describes."`
	Name                string            `yaml:"name" required:"yes" format:"name" doc:"The client; the file is called NAME.yaml."`
	Previously          []string          `yaml:"previously,omitempty" format:"name" max:"20" doc:"Former names: a rename keeps everything."`
	DisplayName         string            `yaml:"displayName,omitempty" format:"text" max:"120" default:"the name" doc:"The name that people read."`
	Contact             Contact           `yaml:"contact,omitempty" required:"yes" doc:"The person at the client. Its e-mail address is needed."`
	Plan                string            `yaml:"plan,omitempty" enum:"free,starter,professional,enterprise" doc:"What the client pays for; platform.yaml may limit features by plan."`
	Template            string            `yaml:"template" required:"yes" format:"name" doc:"A file in templates/, without .yaml."`
	Domain              string            `yaml:"domain" required:"yes" format:"domain" doc:"One label: below the platform base domain. With a dot: a host name of its own. What lies below it is this client's alone."`
	Aliases             []string          `yaml:"aliases,omitempty" format:"domain" max:"20" doc:"Host names that redirect to the domain."`
	EnabledFeatures     []string          `yaml:"enabledFeatures,omitempty" format:"word" max:"50" default:"the template default" doc:"Features that are on."`
	DisabledCollections []string          `yaml:"disabledCollections,omitempty" format:"word" max:"50" doc:"Collections that are off; their rows stay."`
	Deployment          Deployment        `yaml:"deployment,omitempty" doc:"Where the site runs and which version of its source."`
	Database            Database          `yaml:"database,omitempty" doc:"Where the data lives."`
	DNS                 DNS               `yaml:"dns,omitempty" doc:"Who answers for the names."`
	Env                 Env               `yaml:"env,omitempty" format:"variable" max:"200" doc:"Environment variables: a text as written, {secret: NAME}, {secret: shared/NAME}, {generate: hex32}, {from: database.url} or {none: true}."`
	Settings            map[string]any    `yaml:"settings,omitempty" doc:"Handed to the site as it is."`
	Admin               Admin             `yaml:"admin,omitempty" doc:"The first user of the site."`
	Health              Health            `yaml:"health,omitempty" doc:"The probe from outside."`
	Billing             *Billing          `yaml:"billing,omitempty" doc:"Described only: shown in the record and on the page."`
	Payments            *Payments         `yaml:"payments,omitempty" doc:"The client's own account for taking money."`
	Labels              map[string]string `yaml:"labels,omitempty" format:"label" max:"50" doc:"Described only."`
	Notes               string            `yaml:"notes,omitempty" format:"prose" max:"8000" doc:"Free text, described only."`
	Adopt               Adopt             `yaml:"adopt,omitempty" format:"adoptable" doc:"Existing objects to take over instead of creating: {site: {id: …}, database: {id: …}}."`
	Drift               Drift             `yaml:"drift,omitempty" json:",omitzero" doc:"What becomes of what somebody changed at a provider by hand."`
	OnFailure           string            `yaml:"onFailure,omitempty" enum:"rollback,keep" default:"rollback" doc:"What becomes of a first provisioning that fails."` // rollback | keep
	Paused              bool              `yaml:"paused,omitempty" doc:"true: plans are shown, nothing is written."`
}

// Contact is the person at the client.
type Contact struct {
	Name  string `yaml:"name,omitempty" format:"text" max:"120" doc:"Who it is."`
	Email string `yaml:"email,omitempty" format:"email" doc:"Where mail about the site goes."`
	Phone string `yaml:"phone,omitempty" format:"text" max:"40" doc:"A telephone number."`
}

// Deployment says where the site runs and which version of its source.
type Deployment struct {
	Provider   string   `yaml:"provider,omitempty" enum:"ploi,vercel,local,external,none" doc:"Who hosts the site. Of an external one only you know the address: say it in dns.records, or choose dns.provider external or none."` // ploi | vercel | local | external | none
	Server     string   `yaml:"server,omitempty" format:"name" doc:"Which of the provider's servers."`
	Repository string   `yaml:"repository,omitempty" format:"repository" default:"the template's" doc:"OWNER/NAME, an https URL, or builtin."` // empty: the template's
	Ref        string   `yaml:"ref,omitempty" format:"ref" default:"the template's" doc:"Tag, branch or commit."`                              // empty: the template's
	Timeout    Duration `yaml:"timeout,omitempty" least:"10s" most:"2h" default:"10m" doc:"How long a deployment is awaited."`
}

// Database says where the data lives.
type Database struct {
	Provider string       `yaml:"provider,omitempty" enum:"railway,postgres,sqlite,external,none" doc:"Who keeps the database."` // railway | postgres | sqlite | external | none
	Retain   Retain       `yaml:"retain,omitempty" default:"30d" doc:"How long the database is kept after the client goes, or leaves it out: a duration or forever, as it is said by then."`
	Access   string       `yaml:"access,omitempty" enum:"public,private" default:"public" doc:"Whether the database can be reached from outside the provider. Another access is another address: of a client that is served the change waits for an approval."` // public | private
	Reuse    string       `yaml:"reuse,omitempty" enum:"retained,fresh" doc:"Which database a name gets that had one before."`                                                                                                                                  // retained | fresh | ""
	External *ExternalURL `yaml:"external,omitempty" doc:"The database that somebody else keeps, with provider: external."`
}

// ExternalURL is a database that somebody else keeps.
type ExternalURL struct {
	URL EnvValue `yaml:"url" required:"yes" doc:"Its connection URL, as {secret: NAME}."`
}

// DNS says who answers for the client's names.
type DNS struct {
	Provider string   `yaml:"provider,omitempty" enum:"cloudflare,local,external,none" doc:"Who answers; external prints the records to set and waits for them."` // cloudflare | local | external | none
	Proxied  bool     `yaml:"proxied,omitempty" doc:"true: through the provider's proxy."`
	Records  []Record `yaml:"records,omitempty" max:"200" doc:"Further records; the name @ is the client's domain. A name has one address of each type."`
}

// Record is an extra DNS record; "@" is the client's domain.
type Record struct {
	Type     string `yaml:"type" required:"yes" enum:"A,AAAA,CNAME,MX,TXT,CAA,SRV,NS" doc:"The type."`
	Name     string `yaml:"name" required:"yes" format:"recordname" doc:"Relative to the domain; @ is the domain."`
	Content  string `yaml:"content" required:"yes" format:"content" max:"2048" doc:"What it says."`
	Priority int    `yaml:"priority,omitempty" least:"0" most:"65535" doc:"For MX and SRV."`
	TTL      int    `yaml:"ttl,omitempty" least:"0" most:"86400" default:"300" doc:"Seconds."` // seconds, 0: the provider's automatic
	Proxied  *bool  `yaml:"proxied,omitempty" doc:"Overrides dns.proxied."`
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
	None     bool   // the word none as {none: true}: takes an inherited variable away, or one that an adopted site had
}

// Admin is the first user of the site.
type Admin struct {
	Email string `yaml:"email,omitempty" format:"email" default:"contact.email" doc:"The address of the first user."`
}

// Health is the probe of the site from outside.
type Health struct {
	Path     string   `yaml:"path,omitempty" format:"path" default:"/" doc:"Below the site's address."`
	Status   int      `yaml:"status,omitempty" least:"100" most:"599" default:"200" doc:"The expected status."`
	Contains string   `yaml:"contains,omitempty" format:"text" max:"200" doc:"A text that the answer holds."`
	Every    Duration `yaml:"every,omitempty" least:"10s" most:"1d" default:"5m" doc:"How often it is probed, as far as schedules.health asks that often."`
	Timeout  Duration `yaml:"timeout,omitempty" least:"1s" most:"1m" default:"10s" doc:"How long an answer may take."`
}

// Drift says what becomes of what was changed at a provider, and not here. The zero
// value reports everything; left out of the hash of a wish that does not say it.
type Drift struct {
	Default string      `yaml:"default,omitempty" json:",omitempty" enum:"report,heal" default:"report" doc:"report: it is told. heal: it is changed back after two equal looks, where no data can be lost."` // report | heal
	Fields  []DriftRule `yaml:"fields,omitempty" json:",omitempty" max:"50" doc:"Fields that are treated otherwise; the most exact one counts."`
}

// DriftRule is the policy of one field, or of all fields of a kind.
type DriftRule struct {
	Field  string `yaml:"field" required:"yes" format:"driftfield" doc:"Such as record.content, site.label or env.STORE_CURRENCY; record.gone: that it is deleted; record.*: all of a kind."`
	Policy string `yaml:"policy" required:"yes" enum:"heal,report,ignore" doc:"heal, report, or ignore, which needs a reason and an end."` // heal | report | ignore
	Reason string `yaml:"reason,omitempty" json:",omitempty" format:"text" max:"200" doc:"Why."`
	Until  string `yaml:"until,omitempty" json:",omitempty" format:"date" doc:"The last day (UTC) on which it is ignored, YYYY-MM-DD; it is reported again afterwards."` // YYYY-MM-DD
}

// Policies of drift.
const (
	DriftHeal   = "heal"
	DriftReport = "report"
	DriftIgnore = "ignore"
)

// Billing is described only: carried to the record and the page.
type Billing struct {
	Status     string `yaml:"status,omitempty" format:"word" doc:"Such as trial or active."`
	MonthlyFee string `yaml:"monthlyFee,omitempty" format:"decimal" doc:"An amount, as written."` // decimal as written, never a float
	Currency   string `yaml:"currency,omitempty" format:"currency" doc:"Three letters, ISO 4217."`
	NextDate   string `yaml:"nextDate,omitempty" format:"date" doc:"YYYY-MM-DD."` // YYYY-MM-DD
}

// Payments is the client's own account for taking money.
type Payments struct {
	Enabled     bool   `yaml:"enabled,omitempty" doc:"Whether the client takes payments."`
	Provider    string `yaml:"provider,omitempty" enum:"stripe" doc:"Who carries them out."`
	PricingTier string `yaml:"pricingTier,omitempty" format:"word" doc:"The tier of fees."`
	Country     string `yaml:"country,omitempty" format:"country" doc:"Two letters, ISO 3166."`
}

// Adopt names objects that exist already: kind (site, database, payments …) to
// {id: …} or {account: …}.
type Adopt map[string]AdoptRef

// kinds are what is adopted, sorted.
func (a Adopt) kinds() []string {
	out := make([]string, 0, len(a))
	for k := range a {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

// AdoptRef is one existing object.
type AdoptRef struct {
	ID      string `yaml:"id,omitempty" format:"id" doc:"The id at the provider."`
	Account string `yaml:"account,omitempty" format:"id" doc:"The account at the provider."`
}

// Template is templates/NAME.yaml: what manifests inherit.
type Template struct {
	APIVersion  string      `yaml:"apiVersion" enum:"reconciler/v1" doc:"The version of this format."`
	Kind        string      `yaml:"kind" enum:"Template" doc:"What this file describes."`
	Name        string      `yaml:"name" required:"yes" format:"name" doc:"The template; the file is called NAME.yaml."`
	Source      Source      `yaml:"source" required:"yes" doc:"Where the code is."`
	Build       Build       `yaml:"build,omitempty" doc:"How the code becomes a site."`
	Migrate     string      `yaml:"migrate,omitempty" format:"command" doc:"Run before promotion."`
	Admin       AdminPanel  `yaml:"admin,omitempty" doc:"The site's own administration."`
	Features    Features    `yaml:"features,omitempty" doc:"What a manifest may enable, and what it gets unasked."`
	Collections Collections `yaml:"collections,omitempty" doc:"What a manifest may disable."`
	Env         Env         `yaml:"env,omitempty" format:"variable" max:"200" doc:"Variables that every client of this template gets."`
	// Defaults is a partial manifest; kept as a tree and merged under the manifest.
	Defaults Tree `yaml:"defaults,omitempty" doc:"Any fields of a manifest."`
}

// Source is where a template's code is.
type Source struct {
	Repository string `yaml:"repository,omitempty" format:"repository" doc:"OWNER/NAME, an https URL, or builtin."`
	Ref        string `yaml:"ref,omitempty" format:"ref" doc:"Tag, branch or commit."`
	Directory  string `yaml:"directory,omitempty" format:"directory" doc:"The folder of the site in the repository."`
}

// Build is how the code becomes a site.
type Build struct {
	Runtime string `yaml:"runtime,omitempty" format:"word" doc:"Such as node22."`
	Install string `yaml:"install,omitempty" format:"command" doc:"Gets the dependencies."`
	Command string `yaml:"command,omitempty" format:"command" doc:"Builds."`
	Start   string `yaml:"start,omitempty" format:"command" doc:"Starts the site."`
}

// AdminPanel is the site's own administration.
type AdminPanel struct {
	Kind string `yaml:"kind,omitempty" enum:"payload,local,none" doc:"Which administration."` // payload | local | none
	Path string `yaml:"path,omitempty" format:"path" doc:"Below the site's address."`
}

// Features are what a manifest may enable and what it gets unasked.
type Features struct {
	Allowed []string `yaml:"allowed,omitempty" format:"word" max:"50" doc:"All that a manifest may enable."`
	Default []string `yaml:"default,omitempty" format:"word" max:"50" doc:"What a manifest gets unasked."`
}

// Collections are what a manifest may disable.
type Collections struct {
	Disableable []string `yaml:"disableable,omitempty" format:"word" max:"50" doc:"All that a manifest may disable."`
}

// Tree is a partial manifest that has been checked but not yet merged.
type Tree struct{ Node *yaml.Node }

// Platform is platform.yaml: what holds for all clients.
type Platform struct {
	APIVersion string              `yaml:"apiVersion" enum:"reconciler/v1" doc:"The version of this format."`
	Kind       string              `yaml:"kind" enum:"Platform" doc:"What this file describes."`
	Requires   string              `yaml:"requires,omitempty" format:"requires" doc:"The versions of the program that may read this, such as >=0.1."`
	BaseDomain string              `yaml:"baseDomain,omitempty" format:"host" doc:"What one-label domains are below."`
	Reserved   []string            `yaml:"reserved,omitempty" format:"hostlabel" max:"200" doc:"Labels below the base domain that no client gets."`
	Defaults   Tree                `yaml:"defaults,omitempty" doc:"Any fields of a manifest."`
	Plans      map[string]PlanRule `yaml:"plans,omitempty" format:"plan" doc:"Limits by plan; one that is not listed has none."`
	Limits     Limits              `yaml:"limits,omitempty" doc:"Floors that no manifest may pass."`
	Guard      Guard               `yaml:"guard,omitempty" doc:"Tightens the guard of the daemon's configuration."`
	Freeze     []Freeze            `yaml:"freeze,omitempty" max:"50" doc:"Windows in which changes wait."`
}

// PlanRule limits what a plan (free, starter …) may use.
type PlanRule struct {
	Features []string `yaml:"features,omitempty" format:"word" max:"50" doc:"The features that the plan allows."`
}

// Limits are floors and ceilings that no manifest may pass.
type Limits struct {
	MinRetain Duration `yaml:"minRetain,omitempty" least:"0s" most:"3650d" doc:"The shortest retention of a database."`
}

// Guard is the repository's side of the guard. It may tighten the daemon's, never
// loosen it. A nil field is not said.
type Guard struct {
	MaxDeletes       *int      `yaml:"maxDeletes,omitempty" least:"0" most:"100000" doc:"Clients that may lose something within 24 hours."`
	MaxDeletePercent *int      `yaml:"maxDeletePercent,omitempty" least:"0" most:"100" doc:"The same, of the fleet."`
	MaxChanged       *int      `yaml:"maxChanged,omitempty" least:"0" most:"100000" doc:"Active clients that a shared change touches at once."`
	MaxCreates       *int      `yaml:"maxCreates,omitempty" least:"0" most:"100000" doc:"New clients a day."`
	Removals         string    `yaml:"removals,omitempty" enum:"any,reviewed" doc:"reviewed: a removal that no pull request showed is held."` // any | reviewed
	RemoveAfter      *Duration `yaml:"removeAfter,omitempty" least:"0s" most:"30d" doc:"How long a removal waits, so that a revert costs nothing."`
}

// Freeze is a window in which changes wait.
type Freeze struct {
	From   string `yaml:"from" required:"yes" format:"localtime" doc:"Local time, such as 2026-12-18T18:00."` // local time, 2006-01-02T15:04
	To     string `yaml:"to" required:"yes" format:"localtime" doc:"Local time."`
	Zone   string `yaml:"zone,omitempty" format:"zone" default:"UTC" doc:"An IANA time zone."` // IANA name, default UTC
	Reason string `yaml:"reason,omitempty" format:"text" max:"200" doc:"Why."`
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
	Client // its Env: the variables alone that takenAway names
	// Host is the client's full host name in A-label (ASCII) form; Hosts is Host
	// followed by the aliases, likewise, in the manifest's order.
	Host  string
	Hosts []string
	// From the template, after the manifest's overrides.
	Source       Source
	SourceAt     string // which field says the source, as people find it
	Build        Build
	Migrate      string
	AdminPanel   AdminPanel
	Environment  Env // template's env under the manifest's, None removed
	Features     []string
	TemplateBlob string // git blob id of the template that was used, for reasons ("template ecommerce changed")
}
