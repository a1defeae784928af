package manifest

import (
	"fmt"
	"path"
	"reflect"
	"slices"
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
	defer d.strays()
	if d.root == nil {
		return c, d
	}
	if n := find(d.root, "name"); n != nil && n.Kind == yaml.ScalarNode && nameShape.MatchString(n.Value) {
		d.client = n.Value
	}
	d.into(d.root, reflect.ValueOf(&c).Elem(), "", false)
	d.fileName(c.Name)
	if n := find(d.root, "contact"); n != nil && n.Kind == yaml.MappingNode && said(n, "email") == nil && !slices.Contains(d.meant, "contact.email") {
		d.node(n, "required", "contact.email is missing", "add email: owner@example.org")
	}
	for i, p := range c.Previously {
		if p == c.Name && p != "" {
			d.node(find(d.root, "previously").Content[i], "previously", "previously names the client itself", "remove it")
		}
	}
	if p := c.Contact.Phone; p != "" && !phoneShape.MatchString(p) {
		d.node(find(d.root, "contact", "phone"), "format", "contact.phone: must be a telephone number", `such as "+31 20 555 0100"`)
	}
	d.rules(c, d.root, "")
	return c, d
}

// DecodeTemplate reads a template.
func DecodeTemplate(file string, data []byte) (Template, Problems) {
	t, d := decodeTemplate(file, data)
	return t, d.problems.sorted()
}

func decodeTemplate(file string, data []byte) (Template, *document) {
	var t Template
	d := parse(file, data)
	if d.root != nil {
		d.into(d.root, reflect.ValueOf(&t).Elem(), "", false)
		d.fileName(t.Name)
		allowed := t.Features.Allowed
		if allowed != nil {
			d.within(allowed, "feature", "features.allowed", "features", "default")
			d.within(allowed, "feature", "features.allowed", "defaults", "enabledFeatures")
		}
		d.within(t.Collections.Disableable, "collection", "collections.disableable", "defaults", "disabledCollections")
		if n := find(d.root, "source"); n != nil && n.Kind == yaml.MappingNode && said(n, "repository") == nil && !slices.Contains(d.meant, "source.repository") {
			d.node(n, "required", "source.repository is missing", "OWNER/NAME, an https URL, or builtin")
		}
	}
	d.strays()
	return t, d
}

// within checks that a list has nothing that another one doesn't allow.
func (d *document) within(allowed []string, rule, where string, keys ...string) {
	list := find(d.root, keys...)
	if list == nil || list.Kind != yaml.SequenceNode {
		return
	}
	for _, n := range list.Content {
		if n.Kind == yaml.ScalarNode && !contains(allowed, n.Value) {
			d.node(n, rule, fmt.Sprintf("%s has %s, which %s has not", strings.Join(keys, "."), shown(n.Value), where), didYouMean(n.Value, allowed))
		}
	}
}

// DecodePlatform reads the platform file.
func DecodePlatform(file string, data []byte) (Platform, Problems) {
	p, d := decodePlatform(file, data)
	return p, d.problems.sorted()
}

func decodePlatform(file string, data []byte) (Platform, *document) {
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
		d.floor(p)
	}
	d.strays()
	return p, d
}

// floor checks the platform's default retention against its own floor.
func (d *document) floor(p Platform) {
	n := said(p.Defaults.Node, "database", "retain")
	if n == nil {
		return
	}
	if t, err := ParseDuration(n.Value); err == nil && t > 0 && t < p.Limits.MinRetain {
		d.node(n, "limit", fmt.Sprintf("defaults.database.retain is %s, and limits.minRetain asks for at least %s", t, p.Limits.MinRetain), "write retain: "+p.Limits.MinRetain.String())
	}
}

// fileName checks that the file is called as what it describes.
func (d *document) fileName(name string) {
	base := strings.TrimSuffix(path.Base(d.path), ".yaml")
	if name == "" || base == name || d.path == "" || d.path == "-" {
		return
	}
	hint := fmt.Sprintf("call the file %s.yaml, or write name: %s", name, slug(base))
	if !IsName(base) { // a copy, as "bakery copy.yaml": the file of that name may be another client's
		hint = fmt.Sprintf("call the file %[1]s.yaml, and write name: %[1]s", slug(base))
	}
	d.node(find(d.root, "name"), "file-name", fmt.Sprintf("name is %s and the file is called %s", shown(name), shown(path.Base(d.path))), hint)
}

// rules checks what types can't say, in a manifest or in defaults (at "defaults").
func (d *document) rules(c Client, n *yaml.Node, at string) {
	if c.Database.External != nil && c.Database.Provider != "external" && c.Database.Provider != "" {
		d.node(find(n, "database", "external"), "database", join(at, "database.external needs provider: external"), "")
	}
	if e := c.Database.External; e != nil && e.URL.Secret == "" {
		rule, hint := "secret", "write url: {secret: database-url}"
		if e.URL.Literal != "" {
			rule, hint = "pasted-secret", secretHint
		}
		if u := said(n, "database", "external", "url"); u != nil {
			d.node(u, rule, join(at, "database.external.url must be a secret"), hint)
		}
	}
	if every, timeout := c.Health.Every, c.Health.Timeout; every > 0 && timeout > every {
		d.node(find(n, "health"), "health", join(at, "health.timeout is longer than health.every"), "")
	}
	for _, kind := range c.Adopt.kinds() {
		if at := find(n, "adopt", kind); said(at, "id") != nil && said(at, "account") == nil {
			continue
		}
		if ref := c.Adopt[kind]; (ref.ID == "") == (ref.Account == "") {
			d.node(find(n, "adopt", kind), "adopt", fmt.Sprintf("adopt.%s must have an id (or, for payments, an account)", kind), "write {id: …}")
		}
	}
	d.records(c, n, at)
	d.drift(c.Drift, n, at)
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}
