package reconcile_test

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"sort"
	"strings"
)

// spec is a manifest as the story writes it, and what it must come to.
type spec struct {
	name, domain string
	aliases      []string
	colour       string
	theme        string
	host, db     string // providers; "none"
	records      []string
	previously   string
	reuse        string
	paused, keep bool
	secret       bool
	note         int
	broken       bool
	adopts       string // what lived before: "database", "both"
	byHand       bool   // its records are set by people
	heals        bool   // what people change is put back by itself
	pays         bool   // it takes payments

	// See sim_rich_test.go.
	retain, folder, more string
	private, own, blog   bool
}

// label is a domain as its host name.
func label(domain string) string {
	if strings.Contains(domain, ".") {
		return domain
	}
	return domain + ".agency.example"
}

// hosts are the names that the site answers at; none without a site.
func (s spec) hosts() []string {
	if s.host == "none" {
		return nil
	}
	return s.claims()
}

// claims are the names that the manifest asks for, the client's own first.
func (s spec) claims() []string {
	out := []string{label(s.domain)}
	for _, a := range s.aliases {
		if !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

// invalid says that the file is refused whatever else is there: it can't be read, or it names
// a host twice (two clients swapped their domains, and one redirects from the other's).
func (s spec) invalid() bool { return s.broken || slices.Contains(s.aliases, label(s.domain)) }

// with adds what is not in the list.
func with(list []string, x string) []string {
	if slices.Contains(list, x) {
		return list
	}
	return append(list, x)
}

// template is the name of the template.
func (s spec) template() string {
	if s.blog {
		return "blog"
	}
	return "shop"
}

// said are all records.
func (s spec) said() []string {
	if s.more == "" {
		return s.records
	}
	return append(slices.Clone(s.records), s.more)
}

// path is the manifest's file.
func (s spec) path() string { return "clients/" + s.folder + s.name + ".yaml" }

// clientOf is the name of whom a file is about.
func clientOf(file string) string { return strings.TrimSuffix(path.Base(file), ".yaml") }

func (s spec) text() string {
	var b strings.Builder
	line := func(format string, a ...any) { fmt.Fprintf(&b, format+"\n", a...) }
	line("apiVersion: reconciler/v1\nkind: Client\nname: %s\ndomain: %s\ntemplate: %s\ncontact: {email: owner@%s.example}", s.name, s.domain, s.template(), s.name)
	if len(s.aliases) > 0 {
		line("aliases: [%s]", strings.Join(s.aliases, ", "))
	}
	line("deployment: {provider: %s}", s.host)
	db := "provider: " + s.db
	if s.reuse != "" {
		db += ", reuse: " + s.reuse
	}
	if s.retain != "" {
		db += ", retain: " + s.retain
	}
	if s.private {
		db += ", access: private"
	}
	line("database: {%s}", db)
	var dns []string
	if s.byHand {
		dns = append(dns, "provider: external")
	}
	if all := s.said(); len(all) > 0 {
		dns = append(dns, "records: ["+strings.Join(all, ", ")+"]")
	}
	if len(dns) > 0 {
		line("dns: {%s}", strings.Join(dns, ", "))
	}
	env := "COLOUR: " + s.colour
	if s.secret {
		env += ", KEY: {secret: shared/key}"
	}
	if s.own {
		env += ", OWN: {secret: own}"
	}
	if s.db == "none" {
		env += ", DATABASE_URL: {none: true}"
	}
	line("env: {%s}", env)
	if s.theme != "" {
		line("settings: {theme: %s}", s.theme)
	}
	if s.previously != "" {
		line("previously: [%s]", s.previously)
	}
	switch s.adopts {
	case "database":
		line("adopt: {database: {id: data-1}}")
	case "both":
		line("adopt: {site: {id: site-1}, database: {id: data-1}}")
	}
	if s.keep {
		line("onFailure: keep")
	}
	if s.heals {
		line("drift: {default: heal}")
	}
	if p := s.payments(); p != "" {
		line("%s", p)
	}
	if s.paused {
		line("paused: true")
	}
	if s.note > 0 {
		line("notes: note %d", s.note)
	}
	if s.broken {
		line("nonsense: [")
	}
	return b.String()
}

// manifests is a tree: manifests by name, and the template.
type manifests struct {
	specs    map[string]spec
	template string
	freeze   freeze
	blog     string // the second template; "": none
}

func (f manifests) clone() manifests {
	specs := maps.Clone(f.specs)
	for n, s := range specs {
		s.aliases, s.records = slices.Clone(s.aliases), slices.Clone(s.records)
		specs[n] = s
	}
	return manifests{specs, f.template, f.freeze, f.blog}
}

func (f manifests) names() []string { return slices.Sorted(maps.Keys(f.specs)) }

func (f manifests) files() map[string]string {
	out := map[string]string{"templates/shop.yaml": f.template}
	if text := f.freeze.text(); text != "" {
		out["platform.yaml"] = text
	}
	if f.blog != "" {
		out["templates/blog.yaml"] = f.blog
	}
	for _, s := range f.specs {
		out[s.path()] = s.text()
	}
	return out
}

// wishing are the clients whose manifest asks for the host name, sorted.
func (f manifests) wishing(host string) []string {
	var out []string
	for n, s := range f.specs {
		if slices.Contains(s.hosts(), host) {
			out = append(out, n)
		}
	}
	sort.Strings(out)
	return out
}

var (
	fleetNames   = []string{"a", "b", "c", "d", "e"}
	fleetDomains = []string{"a", "b", "c", "x.example", "y"}
	fleetAliases = []string{"www.a.example", "www.b.example", "b.agency.example", "x.example"}
	fleetRecords = []string{`{type: TXT, name: note, content: hello}`, `{type: TXT, name: note, content: there}`, `{type: MX, name: "@", content: mx.example, priority: 10}`}
	fleetColours = []string{"red", "green", "blue"}
)

func storyTemplate(ref, more string) string {
	return strings.Replace(template, "ref: v1", "ref: "+ref, 1) + more
}
