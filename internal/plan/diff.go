package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/compassdigital/reconciler/internal/state"
)

// maxShown is how much of a value a plan shows.
const maxShown = 200

// diff lists the attributes in which the wish differs from what is on record, by name.
func diff(have, wish state.Resource) []Field {
	var out []Field
	i, j := 0, 0
	a, w := have.Attributes, wish.Attributes
	for i < len(a) || j < len(w) {
		switch {
		case j >= len(w) || (i < len(a) && a[i].Name < w[j].Name):
			out = append(out, Field{Name: a[i].Name, Before: show(a[i].Value), Secret: a[i].Value.Secret != nil})
			i++
		case i >= len(a) || w[j].Name < a[i].Name:
			if (isVariable(w[j]) || !w[j].Value.Equal(state.Lit(""))) && !sameServer(wish.Ref.Kind, state.Attribute{Name: w[j].Name}, w[j]) {
				out = append(out, Field{Name: w[j].Name, After: show(w[j].Value), Secret: w[j].Value.Secret != nil})
			}
			j++
		default:
			if !a[i].Value.Equal(w[j].Value) && !sameServer(wish.Ref.Kind, a[i], w[j]) {
				out = append(out, Field{Name: w[j].Name, Before: show(a[i].Value), After: show(w[j].Value), Secret: a[i].Value.Secret != nil || w[j].Value.Secret != nil})
			}
			i++
			j++
		}
	}
	return out
}

// isVariable says that an attribute is one of a site's variables: an empty one is there, and is not the same as none.
func isVariable(a state.Attribute) bool { return strings.HasPrefix(a.Name, "env.") }

// defaultServer is what the server is called that a manifest means which names none.
const defaultServer = "default"

// sameServer says that two values of a site name one server, of which one leaves its name out.
func sameServer(k state.Kind, a, b state.Attribute) bool {
	const server = "server"
	named := func(x state.Attribute) bool { return x.Value.Literal != "" && x.Value.Literal != defaultServer }
	return k == state.KindSite && a.Name == server && b.Name == server && !named(a) && !named(b)
}

// diff is the same without what counts at the creation only.
func (b *builder) diff(have, wish state.Resource) []Field {
	all := diff(have, wish)
	once := b.traits(wish.Provider, wish.Ref.Kind).Once
	if len(once) == 0 {
		return all
	}
	return slices.DeleteFunc(all, func(f Field) bool { return contains(once, f.Name) })
}

func names(fields []Field) []string {
	out := make([]string, len(fields))
	for i, f := range fields {
		out[i] = f.Name
	}
	return out
}

// show is a value as people see it: a secret is its name, version and keyed
// fingerprint.
func show(v state.Value) string {
	switch {
	case v.Secret != nil:
		if v.Secret.Fingerprint == "" {
			return v.Secret.Name
		}
		return fmt.Sprintf("%s v%d (%s)", v.Secret.Name, v.Secret.Version, v.Secret.Fingerprint)
	case v.Ref != nil:
		return fmt.Sprintf("%s of %s %s", v.Output, v.Ref.Kind, v.Ref.Name)
	}
	if r := []rune(v.Literal); len(r) > maxShown {
		return string(r[:maxShown]) + "…"
	}
	return v.Literal
}
