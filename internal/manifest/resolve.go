package manifest

import (
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"sort"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// Defaults of the format itself. They never change within one apiVersion.
const (
	defaultTimeout       = Duration(10 * time.Minute)
	defaultRetain        = Duration(30 * 24 * time.Hour)
	defaultHealthEvery   = Duration(5 * time.Minute)
	defaultHealthTimeout = Duration(10 * time.Second)
	defaultHealthStatus  = 200
)

// Defaults come from the daemon's configuration: the lowest layer.
type Defaults struct{ BaseDomain, Deployment, Server, Database, DNS string }

// Context is what a manifest is laid over.
type Context struct {
	Defaults  Defaults
	Platform  *Platform           // nil: no platform file
	Templates map[string]Template // by name
	Blobs     map[string]string   // template's name → git blob id
	Program   string              // this program's version, for platform.yaml's requires; "" or "dev": any

	layers map[string]inherited // by template, where they were laid for all of its clients at once
}

// inherited is what a template's clients are laid over, down to the configuration.
type inherited struct {
	tree *yaml.Node
	env  Env
	// sound says that every value of them passes the rules: a manifest that passes them
	// too need not be checked again when it was laid over them.
	sound bool
}

// lay works out the layers of every template, for a context that doesn't change any more.
func (ctx *Context) lay() {
	ctx.layers = make(map[string]inherited, len(ctx.Templates))
	for name, t := range ctx.Templates {
		ctx.layers[name] = ctx.under(t)
	}
}

// under lays template over platform file over configuration.
func (ctx *Context) under(t Template) inherited {
	tree := ctx.Defaults.tree()
	if ctx.Platform != nil {
		tree = merge(tree, ctx.Platform.Defaults.Node, "")
	}
	l := inherited{tree: merge(tree, t.Defaults.Node, ""), env: environment(ctx.Platform, t)}
	var c Client
	check := &document{}
	check.into(l.tree, reflect.ValueOf(&c).Elem(), "", true)
	l.sound = len(check.problems) == 0
	return l
}

// Resolve decodes a manifest and lays it over template, platform file and
// configuration: manifest over template over platform over configuration; maps
// merge, lists and variables replace. A layer that names another provider doesn't
// inherit what belongs to the former one (deployment.server, database.external,
// dns.proxied).
// With failed problems the Effective is not to be used.
func Resolve(file string, data []byte, ctx Context) (Effective, Problems) {
	c, d := decodeClient(file, data)
	if d.root == nil || d.problems.Failed() {
		d.newer(ctx)
		return Effective{Client: c}, d.problems.sorted()
	}
	e := d.resolve(c, ctx)
	return e, d.problems.sorted()
}

// newer says of what isn't known which version may know it, where the platform file
// asks for a newer one than this.
func (d *document) newer(ctx Context) {
	if ctx.Platform == nil || atLeast(ctx.Program, ctx.Platform.Requires) {
		return
	}
	for i := range d.problems {
		if p := &d.problems[i]; p.Rule == "unknown-key" || p.Rule == "enum" {
			p.Hint = fmt.Sprintf("reconciler %s may know it: platform.yaml requires that, and this is %s", strings.TrimPrefix(ctx.Platform.Requires, ">="), ctx.Program)
		}
	}
}

func (d *document) resolve(c Client, ctx Context) Effective {
	if p := ctx.Platform; p != nil && p.Requires != "" && !atLeast(ctx.Program, p.Requires) {
		d.node(d.root, "requires", fmt.Sprintf("platform.yaml requires reconciler %s, and this is %s", p.Requires, ctx.Program), "install the newer version")
		return Effective{Client: c}
	}
	t, ok := ctx.Templates[c.Template]
	if !ok {
		names := make([]string, 0, len(ctx.Templates))
		for n := range ctx.Templates {
			names = append(names, n)
		}
		sort.Strings(names)
		hint := didYouMean(c.Template, names)
		if hint == "" {
			hint = "there are: " + some(names)
			if len(names) == 0 {
				hint = "add templates/" + c.Template + ".yaml"
			}
		}
		d.node(find(d.root, "template"), "template", fmt.Sprintf("there is no template %s", shown(c.Template)), hint)
		return Effective{Client: c}
	}
	under, ok := ctx.layers[c.Template]
	if !ok {
		under = ctx.under(t)
	}
	var e Effective
	scratch := &document{path: d.path, sound: under.sound} // the layers were checked when they were decoded
	scratch.into(merge(under.tree, d.root, ""), reflect.ValueOf(&e.Client).Elem(), "", true)
	e.Source, e.Build, e.Migrate, e.AdminPanel, e.TemplateBlob = t.Source, t.Build, t.Migrate, t.Admin, ctx.Blobs[c.Template]
	e.SourceAt = d.sourceAt(e.Client)
	e.fill(ctx)
	e.Environment = own(under.env, c.Env)
	d.hosts(&e, ctx)
	d.features(&e, t, ctx.Platform)
	d.providers(e, ctx)
	e.tidy()
	e.Env = takenAway(under.env, c.Env)
	return e
}

// sourceAt is which field says what is deployed: the manifest's own, one that it inherits, or
// the template's source.
func (d *document) sourceAt(c Client) string {
	switch deployment := find(d.root, "deployment"); {
	case said(deployment, "ref") != nil || said(deployment, "repository") != nil:
		return "deployment of " + d.path
	case c.Deployment.Ref != "" || c.Deployment.Repository != "":
		return "deployment that the defaults say"
	}
	return "source of templates/" + c.Template + ".yaml"
}

// tree is the configuration's defaults as a partial manifest.
func (d Defaults) tree() *yaml.Node {
	text := func(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }
	out := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	part := func(key string, pairs ...string) {
		m := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i+1] != "" {
				m.Content = append(m.Content, text(pairs[i]), text(pairs[i+1]))
			}
		}
		out.Content = append(out.Content, text(key), m)
	}
	part("deployment", "provider", d.Deployment, "server", d.Server)
	part("database", "provider", d.Database)
	part("dns", "provider", d.DNS)
	return out
}

// merge lays a mapping over another: maps merge, everything else replaces, null is
// left out. Neither is changed.
func merge(under, over *yaml.Node, at string) *yaml.Node {
	if over == nil || (over.Kind == yaml.ScalarNode && over.Tag == "!!null") {
		return under
	}
	if under == nil || under.Kind != yaml.MappingNode || over.Kind != yaml.MappingNode || (strings.HasPrefix(at, "env.") && at != "env.") || at == "database.external.url." {
		return over
	}
	out := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: over.Line, Column: over.Column}
	drop := ""
	if p, q := said(under, "provider"), said(over, "provider"); q != nil && p != nil && p.Value != q.Value {
		drop = map[string]string{"deployment.": "server", "database.": "external", "dns.": "proxied"}[at]
	}
	for i := 0; i+1 < len(under.Content); i += 2 {
		k, v := under.Content[i], under.Content[i+1]
		if k.Value == drop && drop != "" && said(over, k.Value) == nil {
			continue
		}
		out.Content = append(out.Content, k, merge(v, find(over, k.Value), at+k.Value+"."))
	}
	for i := 0; i+1 < len(over.Content); i += 2 {
		if find(under, over.Content[i].Value) == nil {
			out.Content = append(out.Content, over.Content[i], over.Content[i+1])
		}
	}
	return out
}

// fill puts in what no layer said.
func (e *Effective) fill(ctx Context) {
	e.APIVersion, e.Kind = APIVersion, KindClient
	text := func(p *string, s string) {
		if *p == "" {
			*p = s
		}
	}
	span := func(p *Duration, s Duration) {
		if *p == 0 {
			*p = s
		}
	}
	text(&e.DisplayName, e.Name)
	text(&e.Admin.Email, e.Contact.Email)
	text(&e.Database.Access, "public")
	text(&e.Health.Path, "/")
	text(&e.OnFailure, "rollback")
	span(&e.Deployment.Timeout, defaultTimeout)
	span(&e.Health.Every, defaultHealthEvery)
	span(&e.Health.Timeout, defaultHealthTimeout)
	if e.Health.Status == 0 {
		e.Health.Status = defaultHealthStatus
	}
	if e.Database.Retain == (Retain{}) {
		e.Database.Retain.For = defaultRetain
		if p := ctx.Platform; p != nil {
			e.Database.Retain.For = max(defaultRetain, p.Limits.MinRetain)
		}
	}
	if e.Deployment.Repository != "" {
		e.Source.Repository = e.Deployment.Repository
	}
	if e.Deployment.Ref != "" {
		e.Source.Ref = e.Deployment.Ref
	}
	e.Deployment.Repository, e.Deployment.Ref = e.Source.Repository, e.Source.Ref
}

// tidy makes one value of what means the same: a list that is empty and one that
// isn't there, now that the layers are merged.
func (e *Effective) tidy() {
	for _, list := range []*[]string{&e.Previously, &e.Aliases, &e.DisabledCollections, &e.Features} {
		if len(*list) == 0 {
			*list = nil
		}
	}
	e.EnabledFeatures = e.Features
	if len(e.DNS.Records) == 0 {
		e.DNS.Records = nil
	}
	if len(e.Settings) == 0 {
		e.Settings = nil
	}
	if len(e.Labels) == 0 {
		e.Labels = nil
	}
	if len(e.Adopt) == 0 {
		e.Adopt = nil
	}
	if e.Billing != nil && *e.Billing == (Billing{}) {
		e.Billing = nil
	}
	if e.Payments != nil && *e.Payments == (Payments{}) {
		e.Payments = nil
	}
}

// environment lays the variables that a template's clients inherit: the template's
// defaults over the template over the platform.
func environment(p *Platform, t Template) Env {
	out := Env{}
	defaults := func(tree Tree) {
		n := find(tree.Node, "env")
		if n == nil {
			return
		}
		var env Env
		d := &document{}
		d.mapping(n, reflect.ValueOf(&env).Elem(), Field{Format: "variable"}, "env", true)
		maps.Copy(out, env)
	}
	if p != nil {
		defaults(p.Defaults)
	}
	maps.Copy(out, t.Env)
	defaults(t.Defaults)
	return out
}

// own lays the manifest's variables over the inherited ones. {none: true} takes one away.
func own(under, env Env) Env {
	out := make(Env, len(under)+len(env))
	maps.Copy(out, under)
	maps.Copy(out, env)
	for name, v := range out {
		if v.None {
			delete(out, name)
		}
	}
	return out
}

// takenAway are the variables that a manifest takes away and no layer gives: an adopted site may
// have them. Where a layer gives one, {none: true} is about that one alone, and what the site has stays.
func takenAway(under, env Env) Env {
	var out Env
	for name, v := range env {
		if _, given := under[name]; !v.None || given {
			continue
		}
		if out == nil {
			out = Env{}
		}
		out[name] = v
	}
	return out
}

// hosts works out the full host names.
func (d *document) hosts(e *Effective, ctx Context) {
	base := ctx.BaseDomain()
	var reserved []string
	if ctx.Platform != nil {
		reserved = ctx.Platform.Reserved
	}
	seen := map[string]bool{}
	for i, name := range append([]string{e.Domain}, e.Aliases...) {
		n, what := find(d.root, "domain"), "domain"
		if i > 0 {
			what = fmt.Sprintf("aliases[%d]", i-1)
			if list := find(d.root, "aliases"); list != nil && i-1 < len(list.Content) {
				n = list.Content[i-1]
			}
		}
		host, problem, hint := hostOf(name)
		if problem == "" && !strings.Contains(host, ".") {
			if base == "" {
				problem, hint = "is one label, and there is no base domain to put it below", "write a whole host name, or baseDomain in platform.yaml"
			}
			host += "." + base
		}
		if problem == "" && len(host) > maxHost {
			problem, hint = "is longer than a host name can be, below "+base, "choose a shorter one"
		}
		if rest, ok := strings.CutSuffix(host, "."+base); problem == "" && ok {
			if label := rest[strings.LastIndex(rest, ".")+1:]; contains(reserved, label) {
				problem, hint = label+" is reserved by platform.yaml", "choose another"
			}
		}
		if problem == "" && host == base {
			problem, hint = "is the platform's own domain", "choose a label below it"
		}
		if problem == "" && !within(host, base) && public(host) {
			problem, hint = "is a domain below which anybody registers names, so it is nobody's", "write the name that was registered below it"
		}
		if problem == "" && seen[host] {
			problem, hint = "is this client's name already", "remove it"
		}
		if problem != "" {
			d.node(n, "host", what+": "+problem, hint)
			continue
		}
		seen[host] = true
		e.Hosts = append(e.Hosts, host)
		if i == 0 {
			e.Host = host
		}
	}
}

// features works out what is on and off, within what template and plan allow. A
// default that they don't include is left out; what the manifest asks for is refused.
func (d *document) features(e *Effective, t Template, p *Platform) {
	var rule *PlanRule
	if p != nil {
		if r, ok := p.Plans[e.Plan]; ok && e.Plan != "" && r.Features != nil {
			rule = &r
		}
	}
	wanted := e.EnabledFeatures
	if wanted == nil {
		wanted = t.Features.Default
	}
	asked := said(d.root, "enabledFeatures")
	for i, f := range wanted {
		switch {
		case t.Features.Allowed != nil && !contains(t.Features.Allowed, f):
			if asked != nil {
				d.node(asked.Content[i], "feature", fmt.Sprintf("template %s has no feature %s", e.Template, shown(f)), meant(f, t.Features.Allowed, "it has: ", "it has none"))
			}
		case rule != nil && !contains(rule.Features, f):
			if asked != nil {
				d.node(asked.Content[i], "plan", fmt.Sprintf("plan %s does not include %s", e.Plan, shown(f)), meant("", rule.Features, "choose another plan, or one of: ", "choose another plan"))
			}
		default:
			e.Features = append(e.Features, f)
		}
	}
	var off []string
	asked = said(d.root, "disabledCollections")
	for i, c := range e.DisabledCollections {
		if contains(t.Collections.Disableable, c) {
			off = append(off, c)
		} else if asked != nil {
			d.node(asked.Content[i], "collection", fmt.Sprintf("template %s has no collection %s to disable", e.Template, shown(c)), meant(c, t.Collections.Disableable, "it has: ", "it has none"))
		}
	}
	e.DisabledCollections = off
}

// meant is the hint for a word that isn't among those known.
func meant(word string, known []string, list, none string) string {
	if hint := didYouMean(word, known); hint != "" {
		return hint
	}
	if len(known) == 0 {
		return none
	}
	return list + some(known)
}

// providers checks that somebody is named for each part, that what the layers say
// fits together, and the platform's floors.
func (d *document) providers(e Effective, ctx Context) {
	p := ctx.Platform
	for _, part := range []struct{ key, have string }{{"deployment", e.Deployment.Provider}, {"database", e.Database.Provider}, {"dns", e.DNS.Provider}} {
		if part.have == "" {
			d.node(d.near(part.key), "provider", part.key+".provider is not said, and there is no default", "write "+part.key+": {provider: …}, or a default in platform.yaml")
		}
	}
	switch external := e.Database.Provider == "external"; {
	case external && e.Database.External == nil && ctx.Defaults.Database != "external": // that default means: elsewhere
		d.node(d.near("database"), "database", "database.external.url is missing", "add external: {url: {secret: database-url}}")
	case !external && e.Database.External != nil && e.Database.Provider != "":
		d.node(d.near("database", "external"), "database", "database.external needs provider: external", "")
	}
	if host := strange(e); host != "" {
		d.node(d.near("deployment", "repository"), "repository", fmt.Sprintf("Vercel deploys from GitHub, GitLab and Bitbucket, and the repository (%s) is at %s", d.sourceAt(e.Client), shown(host)),
			"put it at one of them and install Vercel's app there, or write deployment: {provider: ploi}, which takes any https URL")
	}
	if e.Health.Timeout > e.Health.Every {
		d.node(d.near("health"), "health", fmt.Sprintf("health.timeout (%s) is longer than health.every (%s)", e.Health.Timeout, e.Health.Every), "")
	}
	if p == nil || e.Database.Provider == "none" {
		return
	}
	if r, floor := e.Database.Retain, p.Limits.MinRetain; !r.Forever && r.For < floor {
		d.node(d.near("database", "retain"), "limit", fmt.Sprintf("database.retain is %s, and platform.yaml asks for at least %s", r.For, floor), "write retain: "+floor.String())
	}
}

// strange is the host of a repository that the site's provider can't deploy from; "": it can.
// How an adopted site came to be there is its owner's business.
func strange(e Effective) string {
	repository := e.Source.Repository
	if e.Deployment.Provider != "vercel" || !strings.Contains(repository, "://") || e.Adopt["site"].ID != "" {
		return ""
	}
	u, err := url.Parse(repository)
	if err != nil || u.Host == "" {
		return repository
	}
	switch strings.ToLower(u.Host) {
	case "github.com", "gitlab.com", "bitbucket.org":
		return ""
	}
	return u.Host
}

// near is the deepest node on a path that the file has.
func (d *document) near(keys ...string) *yaml.Node {
	for i := len(keys); i > 0; i-- {
		if n := find(d.root, keys[:i]...); n != nil {
			return n
		}
	}
	return d.root
}

// item is an entry of a list, or what is nearest to it.
func (d *document) item(i int, keys ...string) *yaml.Node {
	n := d.near(keys...)
	if n.Kind == yaml.SequenceNode && i < len(n.Content) {
		return n.Content[i]
	}
	return n
}

// atLeast says that a program's version satisfies ">=X.Y". Versions that aren't
// releases ("dev") satisfy everything.
func atLeast(program, requires string) bool {
	have, ok := numbers(strings.TrimPrefix(program, "v"))
	if !ok {
		return true
	}
	want, _ := numbers(strings.TrimPrefix(requires, ">="))
	for i := range want {
		if have[i] != want[i] {
			return have[i] > want[i]
		}
	}
	return true
}

func numbers(s string) ([3]int, bool) {
	var out [3]int
	s, _, _ = strings.Cut(s, "-")
	n, err := fmt.Sscanf(s+".0", "%d.%d.%d", &out[0], &out[1], &out[2])
	return out, err == nil && n == 3
}
