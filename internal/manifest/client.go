package manifest

import (
	"fmt"
	"net/netip"
	"path"
	"reflect"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// DecodeClient reads one manifest and checks every rule that needs no other file:
// YAML's limits, keys, types, formats, the file's name, pasted secrets. The client
// is what the file says, without defaults; with problems it is what could be read.
func DecodeClient(file string, data []byte) (Client, Problems) {
	c, d := decodeClient(file, data)
	return c, d.problems.sorted()
}

func decodeClient(file string, data []byte) (Client, *document) {
	var c Client
	d := parse(file, data)
	if d.root == nil {
		return c, d
	}
	if n := find(d.root, "name"); n != nil && n.Kind == yaml.ScalarNode && nameShape.MatchString(n.Value) {
		d.client = n.Value
	}
	d.into(d.root, reflect.ValueOf(&c).Elem(), "", false)
	d.fileName(c.Name)
	if n := find(d.root, "contact"); n != nil && n.Kind == yaml.MappingNode && find(n, "email") == nil {
		d.node(n, "required", "contact.email is missing", "add email: owner@example.org")
	}
	for i, p := range c.Previously {
		if p == c.Name && p != "" {
			d.node(find(d.root, "previously").Content[i], "previously", "previously names the client itself", "remove it")
		}
	}
	d.rules(c, d.root, "")
	return c, d
}

// DecodeTemplate reads a template.
func DecodeTemplate(file string, data []byte) (Template, Problems) {
	var t Template
	d := parse(file, data)
	if d.root != nil {
		d.into(d.root, reflect.ValueOf(&t).Elem(), "", false)
		d.fileName(t.Name)
		allowed := t.Features.Allowed
		for _, f := range t.Features.Default {
			if len(allowed) > 0 && !contains(allowed, f) {
				d.node(find(d.root, "features", "default"), "feature", fmt.Sprintf("features.default has %s, which features.allowed has not", shown(f)), didYouMean(f, allowed))
			}
		}
		if n := find(d.root, "source"); n != nil && n.Kind == yaml.MappingNode && t.Source.Repository == "" {
			d.node(n, "required", "source.repository is missing", "OWNER/NAME, an https URL, or builtin")
		}
	}
	return t, d.problems.sorted()
}

// DecodePlatform reads the platform file.
func DecodePlatform(file string, data []byte) (Platform, Problems) {
	var p Platform
	d := parse(file, data)
	if d.root != nil {
		d.into(d.root, reflect.ValueOf(&p).Elem(), "", false)
		for i, f := range p.Freeze {
			from, errFrom := time.Parse(localTime, f.From)
			to, errTo := time.Parse(localTime, f.To)
			if errFrom == nil && errTo == nil && !from.Before(to) {
				d.node(find(d.root, "freeze").Content[i], "freeze", "the freeze ends before it begins", "swap from and to")
			}
		}
	}
	return p, d.problems.sorted()
}

// fileName checks that the file is called as what it describes.
func (d *document) fileName(name string) {
	base := strings.TrimSuffix(path.Base(d.path), ".yaml")
	if name == "" || base == name || d.path == "" || d.path == "-" {
		return
	}
	d.node(find(d.root, "name"), "file-name", fmt.Sprintf("name is %s and the file is called %s", shown(name), shown(path.Base(d.path))), fmt.Sprintf("call the file %s.yaml, or write name: %s", name, slug(base)))
}

// rules checks what types can't say, in a manifest or in defaults (at "defaults").
func (d *document) rules(c Client, n *yaml.Node, at string) {
	if c.Database.External != nil && c.Database.Provider != "external" && c.Database.Provider != "" {
		d.node(find(n, "database", "external"), "database", join(at, "database.external needs provider: external"), "")
	}
	if c.Database.Provider == "external" && c.Database.External == nil && at == "" {
		d.node(find(n, "database"), "database", "database.external.url is missing", "add external: {url: {secret: database-url}}")
	}
	if e := c.Database.External; e != nil && e.URL.Literal != "" {
		d.node(find(n, "database", "external"), "pasted-secret", join(at, "database.external.url must be a secret"), secretHint)
	}
	if every, timeout := c.Health.Every, c.Health.Timeout; every > 0 && timeout > every {
		d.node(find(n, "health"), "health", join(at, "health.timeout is longer than health.every"), "")
	}
	for kind, ref := range c.Adopt {
		if (ref.ID == "") == (ref.Account == "") {
			d.node(find(n, "adopt", kind), "adopt", fmt.Sprintf("adopt.%s must have an id (or, for payments, an account)", kind), "write {id: …}")
		}
	}
	d.records(c, n, at)
}

// records checks the further DNS records.
func (d *document) records(c Client, n *yaml.Node, at string) {
	list := find(n, "dns", "records")
	if list == nil || list.Kind != yaml.SequenceNode {
		return
	}
	seen := map[string]bool{}
	types := map[string]string{} // name → CNAME or other
	for i, r := range c.DNS.Records {
		if i >= len(list.Content) || r.Type == "" || r.Name == "" || r.Content == "" {
			continue
		}
		node, where := list.Content[i], fmt.Sprintf("%s[%d]", join(at, "dns.records"), i)
		lower := strings.ToLower(r.Name)
		if problem := recordName(lower); problem != "" {
			d.node(node, "record", where+".name "+problem, `write "@" for the domain itself, or a name below it such as mail`)
			continue
		}
		if problem := recordContent(r); problem != "" {
			d.node(node, "record", where+".content "+problem, "")
		}
		if id := r.Type + " " + lower + " " + r.Content; seen[id] {
			d.node(node, "duplicate", where+" is in the list already", "remove it")
		} else {
			seen[id] = true
		}
		kind := "other"
		if r.Type == "CNAME" {
			kind = "CNAME"
		}
		if had, ok := types[lower]; ok && (had == "CNAME" || kind == "CNAME") {
			d.node(node, "record", where+": a name with a CNAME has no other records", "")
		}
		types[lower] = kind
		if r.Proxied != nil && *r.Proxied && r.Type != "A" && r.Type != "AAAA" && r.Type != "CNAME" {
			d.node(node, "record", where+": only A, AAAA and CNAME can be proxied", "remove proxied")
		}
		if lower == "@" && (r.Type == "NS" || r.Type == "CNAME") {
			d.node(node, "record", where+": the domain itself can't have "+r.Type, "")
		}
	}
}

func recordName(s string) string {
	if s == "@" {
		return ""
	}
	if strings.HasSuffix(s, ".") {
		return "must be relative to the domain"
	}
	if len(s) > 200 {
		return "is too long"
	}
	for i, l := range strings.Split(s, ".") {
		if !labelShape.MatchString(l) || (l == "*" && i > 0) {
			return "must be labels of letters, digits, hyphens and underscores"
		}
	}
	return ""
}

// recordContent says what is wrong with a record's content for its type.
func recordContent(r Record) string {
	switch r.Type {
	case "A", "AAAA":
		a, err := netip.ParseAddr(r.Content)
		if err != nil || a.Zone() != "" || a.Is4() != (r.Type == "A") {
			return map[string]string{"A": "must be an IPv4 address", "AAAA": "must be an IPv6 address"}[r.Type]
		}
	case "CNAME", "MX", "NS":
		if _, problem, _ := hostOf(strings.TrimSuffix(r.Content, ".")); problem != "" && !strings.Contains(r.Content, "_") {
			return problem
		}
	case "TXT":
		if strings.ContainsAny(r.Content, "\n\t") {
			return "must be one line"
		}
	case "SRV":
		if f := strings.Fields(r.Content); len(f) != 3 {
			return "must be: weight port target"
		}
	case "CAA":
		if f := strings.Fields(r.Content); len(f) != 3 {
			return `must be: 0 issue "authority"`
		}
	}
	return ""
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}
