package manifest

import (
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"
)

// drift checks the rules of what was changed by hand: a field has one policy, what is
// ignored says why and until when, and what holds data is never healed.
func (d *document) drift(c Drift, n *yaml.Node, at string) {
	list := find(n, "drift", "fields")
	if list == nil || list.Kind != yaml.SequenceNode {
		return
	}
	seen := map[string]bool{}
	for i, r := range c.Fields {
		if i >= len(list.Content) || r.Field == "" || r.Policy == "" {
			continue // told of already
		}
		node, where := list.Content[i], fmt.Sprintf("%s[%d]", join(at, "drift.fields"), i)
		kind, _, _ := strings.Cut(r.Field, ".")
		switch {
		case seen[r.Field]:
			d.node(node, "duplicate", where+": "+r.Field+" is said twice", "keep one of them")
		case r.Policy == DriftIgnore && strings.TrimSpace(r.Reason) == "":
			d.node(node, "drift", where+" ignores "+r.Field+" and does not say why", "add reason: …")
		case r.Policy == DriftIgnore && r.Until == "":
			d.node(node, "drift", where+" ignores "+r.Field+" without an end", "add until: YYYY-MM-DD")
		case r.Policy != DriftIgnore && r.Until != "":
			d.node(node, "drift", where+": only what is ignored has an end", "remove until")
		case r.Policy == DriftHeal && (kind == "database" || kind == "deployment"):
			d.node(node, "drift", where+": a "+kind+" is never healed", "write policy: report")
		case r.Policy == DriftIgnore && (r.Field == "database.gone" || r.Field == "database.*"):
			d.node(node, "drift", where+": that a database is gone is never ignored", "name the field, such as database.access")
		}
		seen[r.Field] = true
	}
}
