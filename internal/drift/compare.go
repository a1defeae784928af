package drift

import (
	"sort"
	"strings"

	"github.com/compassdigital/reconciler/internal/state"
)

// Value is one attribute as it is compared and shown.
type Value struct {
	Name   string
	Text   string // for people; of a secret its fingerprint
	Print  string // equal for equal values
	Secret bool
}

// Finding is one difference between what is recorded and what was found.
type Finding struct {
	Field         string
	Before, After string // recorded, found; "" where it is not there
	Print         string // of what was found
	Secret        bool
}

// absent is the print of a value that is not there.
const absent = "absent"

// variable begins the names of an environment's variables.
const variable = "env."

// Compare lists what differs, by field. What the provider does not give back is not
// compared, but for an environment's variables: they are one set, so one that is more,
// or one that is missing beside others and is no secret, is a difference, too.
func Compare(kind state.Kind, recorded, found []Value) []Finding {
	have := make(map[string]Value, len(found))
	set := false
	for _, v := range found {
		have[v.Name] = v
		set = set || kind == state.KindEnvironment && strings.HasPrefix(v.Name, variable)
	}
	var out []Finding
	known := make(map[string]bool, len(recorded))
	for _, r := range recorded {
		known[r.Name] = true
		v, there := have[r.Name]
		switch {
		case kind == state.KindSite && r.Name == "server" && r.Text == "": // none was asked for: where the site is it stays, whatever that is called by now
		case there && v.Print != r.Print:
			if r.Secret && !v.Secret { // the provider does not know that it is one
				v.Text = "fingerprint " + v.Print
			}
			out = append(out, Finding{r.Name, r.Text, v.Text, v.Print, r.Secret || v.Secret})
		case !there && set && strings.HasPrefix(r.Name, variable) && !r.Secret:
			out = append(out, Finding{Field: r.Name, Before: r.Text, Print: absent})
		}
	}
	for _, v := range found {
		if set && strings.HasPrefix(v.Name, variable) && !known[v.Name] {
			out = append(out, Finding{Field: v.Name, After: v.Text, Print: v.Print, Secret: v.Secret})
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].Field < out[j].Field })
	return out
}
