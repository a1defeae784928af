package plan

import (
	"sort"
	"strings"

	"github.com/compassdigital/reconciler/internal/state"
)

// maxPairs is up to how many pairs of going and coming clients are compared letter by
// letter; beyond it only equal hosts and equal letters count.
const maxPairs = 10_000

// renames warns of a client that goes while one comes that looks like it: without
// `previously` that is a delete and a create, and the new one starts empty.
func renames(clients []ClientInput) []Warning {
	var going, coming []ClientInput
	for _, c := range clients {
		if c.Removed && len(c.Recorded) > 0 {
			going = append(going, c)
		}
	}
	if len(going) == 0 {
		return nil
	}
	for _, c := range clients {
		if !c.Removed && len(c.Wish) > 0 && len(c.Recorded) == 0 {
			coming = append(coming, c)
		}
	}
	byKey := map[string]string{}
	for _, g := range going {
		for _, k := range likeness(g.Client.Name, g.Recorded) {
			if have, ok := byKey[k]; !ok || g.Client.Name < have {
				byKey[k] = g.Client.Name
			}
		}
	}
	var out []Warning
	for _, c := range coming {
		like := ""
		for _, k := range likeness(c.Client.Name, c.Wish) {
			if g, ok := byKey[k]; ok && (like == "" || g < like) {
				like = g
			}
		}
		if like == "" && len(going)*len(coming) <= maxPairs {
			for _, g := range going {
				if alike(g.Client.Name, c.Client.Name) && (like == "" || g.Client.Name < like) {
					like = g.Client.Name
				}
			}
		}
		if like != "" {
			out = append(out, Warning{Client: c.Client.ID, Name: c.Client.Name,
				Text: like + " goes and " + c.Client.Name + " comes: this is a delete and a create, not a rename; " + c.Client.Name + " starts with an empty database",
				Act:  "if it is a rename, say `previously: [" + like + "]` in " + c.Client.Name + ".yaml"})
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

// likeness are what two clients hardly have in common by chance: the letters of the
// name, a host.
func likeness(name string, of []state.Resource) []string {
	out := []string{"name " + letters(name)}
	for _, r := range of {
		if r.Ref.Kind == state.KindDomain {
			out = append(out, "host "+r.Ref.Host())
		}
	}
	return out
}

func letters(name string) string { return strings.ReplaceAll(name, "-", "") }

// alike says that two names are at most two letters apart, of at least six.
func alike(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(a) < 6 || len(b)-len(a) > 2 {
		return false
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next := min(row[j]+1, row[j-1]+1, diagonal+cost)
			diagonal, row[j] = row[j], next
		}
	}
	return row[len(b)] <= 2
}
