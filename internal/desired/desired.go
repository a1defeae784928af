package desired

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/state"
)

// The words that ask for nothing, and for what a person keeps elsewhere.
const (
	none     = "none"
	external = "external"
)

// payload is the administration whose site makes its own first user, and who asks it to.
const payload = "payload"

// Welcome is the name of the mail that a client's administrator gets when its site is ready.
const Welcome = "welcome"

// defaultTTL of records that don't say one, in seconds: short enough for a move.
const defaultTTL = 300

// usual is how many resources a client has, about.
const usual = 12

// Input is all that a wish is made from.
type Input struct {
	Client    state.Client
	Effective manifest.Effective
	// Secrets are the newest versions by "SCOPE/NAME"; scope is the client's id or "shared".
	Secrets    map[string]state.SecretRef
	Configured func(provider string, kind state.Kind) bool
	Point      map[string]string // hosting provider → A (default: the site's address) or CNAME (its host)
	Mail       string            // provider of mail, "" for none
	PublicURL  string            // of the client's host
	Outside    bool              // secrets are read from sources outside, too
	User       string            // address of the site's first user, if one was made already
	// Readdressed is how often the address of its database was changed at the vendor.
	Readdressed int
}

// Problem is why a wish cannot be had, and what to do.
type Problem struct{ Text, Act string }

// builder collects one client's wish.
type builder struct {
	in       Input
	out      []state.Resource
	problems []Problem
	missing  []missing
	site     state.Ref // zero: no site is wished
	database state.Ref // zero: none
	payments state.Ref // zero: none
}

// Resources returns the wish, sorted by Ref, and what stands in its way.
func Resources(in Input) ([]state.Resource, []Problem) {
	b := &builder{in: in, out: make([]state.Resource, 0, usual)} // a client may wish nothing: that is a wish, too
	b.addDatabase()
	b.addPayments()
	if p := in.Effective.Deployment.Provider; p != none && p != "" {
		b.addSite()
	}
	b.addRecords()
	b.adopt()
	sort.Slice(b.out, func(i, j int) bool { return b.out[i].Ref.Less(b.out[j].Ref) })
	return b.out, b.problems
}

// Parts are the kind/name of what a has and b has not, sorted.
func Parts(a, b []state.Resource) []string {
	have := map[string]bool{}
	for _, r := range b {
		have[part(r.Ref)] = true
	}
	var out []string
	for _, r := range a {
		if !have[part(r.Ref)] {
			out = append(out, part(r.Ref))
		}
	}
	sort.Strings(out)
	return out
}

func part(r state.Ref) string { return string(r.Kind) + "/" + r.Name }

func (b *builder) ref(kind state.Kind, name string) state.Ref {
	return state.Ref{Client: b.in.Client.ID, Kind: kind, Name: name}
}

func (b *builder) problem(act, format string, a ...any) {
	b.problems = append(b.problems, Problem{fmt.Sprintf(format, a...), act})
}

// add puts a resource into the wish; an unconfigured provider is a problem, said once.
func (b *builder) add(ref state.Ref, provider string, attributes map[string]state.Value, after ...state.Ref) {
	if !b.in.Configured(provider, ref.Kind) {
		b.lack(provider, ref.Kind)
		return
	}
	b.out = append(b.out, state.Resource{Ref: ref, Provider: provider, Attributes: state.NewAttributes(attributes), After: after})
}

func (b *builder) addDatabase() {
	d := b.in.Effective.Database
	if d.Provider == none || d.Provider == "" {
		return
	}
	b.database = b.ref(state.KindDatabase, "main")
	attributes := map[string]state.Value{
		"access": state.Lit(d.Access), "schema": state.Lit(b.in.Effective.Template), "disabled": state.Lit(list(b.in.Effective.DisabledCollections)),
	}
	if d.External != nil {
		if v, ok := b.value("database.external.url", d.External.URL); ok {
			attributes["url"] = v
		}
	}
	b.add(b.database, d.Provider, attributes)
}

// addSite adds what makes and serves the site.
func (b *builder) addSite() {
	e := b.in.Effective
	host := e.Deployment.Provider
	name := host
	if e.Deployment.Server != "" && e.Deployment.Server != "default" {
		name += "/" + e.Deployment.Server
	}
	b.site = b.ref(state.KindSite, name)
	siteID := state.OutputOf(b.site, "id")
	source := e.Source
	b.add(b.site, host, map[string]state.Value{"label": state.Lit(e.Name), "server": state.Lit(e.Deployment.Server),
		"repository": state.Lit(source.Repository), "runtime": state.Lit(e.Build.Runtime)})

	env := b.environment(siteID)
	b.add(b.ref(state.KindEnvironment, name), host, env)

	deployment := b.addRelease(host, siteID, env)
	b.add(b.ref(state.KindTraffic, name), host, map[string]state.Value{"site": siteID, "deployment": state.OutputOf(deployment, "id")})
	for i, h := range e.Hosts {
		redirect := ""
		if i > 0 {
			redirect = e.Host
		}
		b.add(b.ref(state.KindDomain, h+"@"+name), host, map[string]state.Value{"site": siteID, "host": state.Lit(h), "redirect": state.Lit(redirect)})
	}
	b.addAdmin(host, deployment)
	b.addMail(name)
}

func (b *builder) settings() string {
	if len(b.in.Effective.Settings) == 0 {
		return "{}"
	}
	data, err := json.Marshal(b.in.Effective.Settings) // sorts keys
	if err != nil {
		b.problem("write settings as plain YAML: texts, numbers, lists, maps", "settings can't be handed to the site: %v", err)
		return "{}"
	}
	return string(data)
}

// environment is the whole set of variables.
func (b *builder) environment(siteID state.Value) map[string]state.Value {
	out := map[string]state.Value{"site": siteID}
	for _, name := range b.in.Effective.Environment.Names() {
		if v, ok := b.value(name, b.in.Effective.Environment[name]); ok {
			out["env."+name] = v
		}
	}
	for name, v := range b.kept() {
		out["env."+name] = v
	}
	return out
}

// value resolves one value of the manifest to a literal or a reference.
func (b *builder) value(name string, v manifest.EnvValue) (state.Value, bool) {
	switch {
	case v.Secret != "":
		return b.secret(name, v.Secret)
	case v.Generate != "":
		return state.SecretValue(b.generated(name)), true
	case v.From == "database.url":
		if b.database.IsZero() {
			b.problem("choose a database provider, or take the variable away with {none: true}", "%s comes from database.url, and the client has no database", name)
			return state.Value{}, false
		}
		if x := b.in.Effective.Database.External; x != nil && x.URL.From == "" {
			return b.value(name, x.URL) // the secret itself: a new version of it changes the site, too
		}
		return state.OutputOf(b.database, "url"), true
	case v.From == "site.url":
		return state.Lit(b.in.PublicURL), true
	case v.From != "":
		kind, output, _ := strings.Cut(v.From, ".")
		switch {
		case kind == "database" && !b.database.IsZero():
			return state.OutputOf(b.database, output), true
		case kind == "site" && !b.site.IsZero():
			return state.OutputOf(b.site, output), true
		case kind == "payments" && !b.payments.IsZero():
			return state.OutputOf(b.payments, "id"), true
		case kind == "payments":
			b.problem("say payments.enabled: true, or take the variable away with {none: true}", "%s comes from %s, and the client takes no payments", name, v.From)
			return state.Value{}, false
		}
		b.problem("write database.url or site.url", "%s comes from %s, which this client does not have", name, v.From)
		return state.Value{}, false
	case v.None:
		return state.Value{}, false
	}
	return state.Lit(v.Literal), true
}

// generated is a secret that is made here: its first version, or the one that was made after a person had that forgotten.
func (b *builder) generated(name string) state.SecretRef {
	ref := state.SecretRef{Scope: string(b.in.Client.ID), Name: "generated/" + name, Version: 1}
	if have, ok := b.in.Secrets[ref.Scope+"/"+ref.Name]; ok {
		ref.Version = have.Version
	}
	return ref
}

func (b *builder) secret(name, secret string) (state.Value, bool) {
	scope, act := string(b.in.Client.ID), fmt.Sprintf("reconciler secret set %s --client %s", secret, b.in.Effective.Name)
	bare := secret
	if rest, ok := strings.CutPrefix(secret, "shared/"); ok {
		scope, bare, act = "shared", rest, "reconciler secret set "+rest
	}
	ref, ok := b.in.Secrets[scope+"/"+bare]
	if !ok {
		way := "set it: `" + act + "`"
		if b.in.Outside {
			way += ", or put it into a source and `reconciler secret refresh`"
		}
		b.problem(way, "%s needs the secret %q, which is not set", name, secret)
		return state.Value{}, false
	}
	return state.SecretValue(ref), true
}

// addAdmin makes the site's first user where the template has an administration and
// there is a database to keep the user in.
func (b *builder) addAdmin(host string, deployment state.Ref) {
	e := b.in.Effective
	keeper := b.adminAt(host)
	if keeper == "" {
		return
	}
	password := b.generated("admin-password")
	attributes := map[string]state.Value{"email": state.Lit(e.Admin.Email), "password": state.SecretValue(password),
		"database": state.OutputOf(b.database, "id"), "site": state.OutputOf(b.site, "id"), "path": state.Lit(e.AdminPanel.Path)}
	if keeper == payload { // at the release's own address, before strangers are led there
		attributes["url"] = state.OutputOf(deployment, "url")
	}
	b.add(b.ref(state.KindAdmin, "main"), keeper, attributes)
}

// adminAt is who makes the site's first user, "" where there is none: the database's keeper
// where it keeps users, else the site's own program, where that is Payload, else the host.
func (b *builder) adminAt(host string) string {
	e := b.in.Effective
	if e.AdminPanel.Kind == "" || e.AdminPanel.Kind == none || b.database.IsZero() || e.Admin.Email == "" {
		return ""
	}
	for _, keeper := range []string{e.Database.Provider, payload} {
		if (keeper != payload || e.AdminPanel.Kind == payload) && b.in.Configured(keeper, state.KindAdmin) {
			return keeper
		}
	}
	return host
}

func (b *builder) addMail(site string) {
	e := b.in.Effective
	if b.in.Mail == "" || e.Admin.Email == "" {
		return
	}
	text := fmt.Sprintf("%s is ready: %s\n", e.DisplayName, b.in.PublicURL)
	if e.AdminPanel.Path != "" && e.AdminPanel.Kind != none {
		at := strings.TrimSuffix(b.in.PublicURL, "/") + e.AdminPanel.Path
		text += fmt.Sprintf("\nThe administration is at %s.\n", at)
		switch user := b.in.User; {
		case b.adminAt(e.Deployment.Provider) != payload:
		case user != "" && user != e.Admin.Email: // made by an earlier try, for whom the manifest named then
			text += fmt.Sprintf("Its first administrator is %s, whose password is chosen at %s/forgot. The address can be changed there, after the login.\n", user, strings.TrimSuffix(at, "/"))
		default: // nobody knows the password that was made
			text += fmt.Sprintf("You are its first administrator, as %s. Choose your password at %s/forgot.\n", e.Admin.Email, strings.TrimSuffix(at, "/"))
		}
	}
	b.add(b.ref(state.KindMail, Welcome), b.in.Mail, map[string]state.Value{"to": state.Lit(e.Admin.Email),
		"subject": state.Lit(e.DisplayName + " is ready"), "text": state.Lit(text)}, b.ref(state.KindTraffic, site))
}

// addRecords adds an address record a host, and the manifest's own. A record of the
// manifest with the name and type of an address record takes its place.
//
// Where an external site is, only its keeper knows: there the manifest's own records
// must say it, or a person sets them (dns.provider external), or nobody does (none).
func (b *builder) addRecords() {
	e := b.in.Effective
	if e.DNS.Provider == none || e.DNS.Provider == "" {
		return
	}
	own := map[string]bool{}
	for _, r := range e.DNS.Records {
		own[r.Type+" "+b.fqdn(r.Name)] = true
		b.addRecord(r)
	}
	if b.site.IsZero() {
		return
	}
	kind, output := "A", "address"
	if b.in.Point[e.Deployment.Provider] == "CNAME" {
		kind, output = "CNAME", "host"
	}
	for _, h := range e.Hosts {
		if own["A "+h] || own["CNAME "+h] {
			continue
		}
		if e.Deployment.Provider == external && e.DNS.Provider != external {
			if own["AAAA "+h] {
				continue
			}
			act := "choose dns.provider external or none"
			if below, is := strings.CutSuffix("@."+h, "."+e.Host); is { // others dns.records can't name
				name := cmp.Or(strings.TrimPrefix(below, "@."), "@")
				act = fmt.Sprintf("add {type: A, name: %q, content: ITS ADDRESS} or a CNAME to dns.records, or ", name) + act
			}
			b.problem(act,
				"deployment.provider is external, so that only you know where %s is, and dns.records does not say it", h)
			continue
		}
		attributes := map[string]state.Value{"type": state.Lit(kind), "name": state.Lit(h), "content": state.OutputOf(b.site, output), "ttl": state.Lit(strconv.Itoa(defaultTTL))}
		if e.DNS.Proxied {
			attributes["proxied"] = state.Lit("true")
		}
		b.add(b.ref(state.KindRecord, kind+" "+h), e.DNS.Provider, attributes)
	}
}

// recordName names a record of the manifest: of those that a name may have several of,
// by what they say.
func (b *builder) recordName(r manifest.Record) string {
	name := r.Type + " " + b.fqdn(r.Name)
	switch r.Type {
	case "A", "AAAA", "CNAME":
	default:
		name += " #" + hash(state.RecordContent(r.Type, r.Content) + "\n" + strconv.Itoa(r.Priority))[:6]
	}
	return name
}

func (b *builder) addRecord(r manifest.Record) {
	name := b.recordName(r)
	ttl := r.TTL
	if ttl == 0 {
		ttl = defaultTTL
	}
	attributes := map[string]state.Value{"type": state.Lit(r.Type), "name": state.Lit(b.fqdn(r.Name)), "content": state.Lit(state.RecordContent(r.Type, r.Content)), "ttl": state.Lit(strconv.Itoa(ttl))}
	if r.Type == "MX" || r.Type == "SRV" {
		attributes["priority"] = state.Lit(strconv.Itoa(r.Priority))
	}
	if (r.Proxied != nil && *r.Proxied) || (r.Proxied == nil && b.in.Effective.DNS.Proxied && (r.Type == "A" || r.Type == "AAAA" || r.Type == "CNAME")) {
		attributes["proxied"] = state.Lit("true")
	}
	ref := b.ref(state.KindRecord, name)
	for _, have := range b.out {
		if have.Ref == ref {
			return // said twice, if in two spellings
		}
	}
	b.add(ref, b.in.Effective.DNS.Provider, attributes)
}

// fqdn is a record's full name: "@" is the client's host, a name that ends with the
// host or a dot is full already.
func (b *builder) fqdn(name string) string {
	host := b.in.Effective.Host
	name = strings.ToLower(name)
	switch {
	case name == "@" || name == host:
		return host
	case strings.HasSuffix(name, "."):
		return strings.TrimSuffix(name, ".")
	case strings.HasSuffix(name, "."+host):
		return name
	}
	return name + "." + host
}

// list writes a set in a fixed order.
func list(items []string) string {
	sorted := append([]string(nil), items...)
	sort.Strings(sorted)
	return strings.Join(sorted, ",")
}

// hash is 12 hex digits of a text's SHA-256.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:6])
}
