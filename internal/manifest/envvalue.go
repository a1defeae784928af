package manifest

import (
	"strings"

	"gopkg.in/yaml.v3"
)

// maxVariable is the longest literal of a variable, in bytes.
const maxVariable = 4 << 10

// Froms are the outputs that {from: …} may take.
func Froms() []string {
	return []string{"database.url", "database.host", "site.url", "site.id", "site.host", "site.address", "payments.account"}
}

// envValue reads one variable's value. Values are never repeated in problems.
func (d *document) envValue(n *yaml.Node, v *EnvValue, at string) {
	switch n.Kind {
	case yaml.ScalarNode:
		if len(n.Value) > maxVariable {
			d.node(n, "size", at+" is longer than 4 KiB", "")
			return
		}
		d.noSecret(n, at)
		v.Literal = n.Value
	case yaml.MappingNode:
		if len(n.Content) != 2 {
			d.node(n, "type", at+" must have exactly one of secret, generate, from, none", "")
			return
		}
		d.reference(n.Content[0], n.Content[1], v, at)
	default:
		d.node(n, "type", at+" must be text, or {secret: NAME}, {generate: hex32}, {from: database.url}, {none: true}", "")
	}
}

func (d *document) reference(k, n *yaml.Node, v *EnvValue, at string) {
	s := n.Value
	if n.Kind != yaml.ScalarNode {
		d.node(n, "type", at+": this must be one word", "")
		return
	}
	switch k.Value {
	case "secret":
		if n.Tag != "!!str" {
			d.node(n, "type", at+": a secret's name is text", "put it in quotes")
			return
		}
		if !secretRef.MatchString(s) {
			d.node(n, "secret", at+": a secret is named with small letters, digits and hyphens", "{secret: NAME} is this client's own, {secret: shared/NAME} everybody's; nothing else can be named")
			return
		}
		v.Secret = s
	case "generate":
		if s != "hex32" {
			d.node(n, "enum", at+": only hex32 can be generated", "write {generate: hex32}")
			return
		}
		v.Generate = s
	case "from":
		if !contains(Froms(), s) {
			hint := didYouMean(s, Froms())
			if hint == "" {
				hint = "one of: " + strings.Join(Froms(), ", ")
			}
			d.node(n, "from", at+": there is no such output", hint)
			return
		}
		v.From = s
	case "none":
		if n.Tag != "!!bool" || !strings.EqualFold(s, "true") {
			d.node(n, "enum", at+": write {none: true}, or leave it out", "")
			return
		}
		v.None = true
	default:
		d.node(k, "unknown-key", at+" has a key that isn't known", "one of: secret, generate, from, none")
	}
}

// MarshalYAML writes the value as it is written in a manifest.
func (v EnvValue) MarshalYAML() (any, error) {
	switch {
	case v.Secret != "":
		return map[string]string{"secret": v.Secret}, nil
	case v.Generate != "":
		return map[string]string{"generate": v.Generate}, nil
	case v.From != "":
		return map[string]string{"from": v.From}, nil
	case v.None:
		return map[string]bool{"none": true}, nil
	}
	return v.Literal, nil
}
