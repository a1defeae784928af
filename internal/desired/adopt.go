package desired

import (
	"sort"
	"strings"

	"github.com/compassdigital/reconciler/internal/state"
)

// Kept starts the names of the client's secrets that hold what an adopted site's
// environment said before, one a variable, sealed when it was adopted.
const Kept = "adopted/"

// adopt marks what the manifest's `adopt:` names. What is named must be something that
// the client wishes.
func (b *builder) adopt() {
	kinds := make([]string, 0, len(b.in.Effective.Adopt))
	for k := range b.in.Effective.Adopt {
		kinds = append(kinds, k)
	}
	sort.Strings(kinds)
	for _, k := range kinds {
		named := b.in.Effective.Adopt[k]
		id := named.ID
		if id == "" {
			id = named.Account
		}
		switch n, ok := b.adoptable(k); {
		case !ok && b.lacks(state.Kind(k)): // said already
		case !ok && k == string(state.KindPayments):
			b.problem("say payments.enabled: true, or take it out of `adopt:`", "adopt.payments names %s, and the client takes no payments", id)
		case !ok:
			b.problem("take it out of `adopt:`, or choose the provider that has it", "adopt.%s names %s, and the client asks for no %s", k, id, k)
		default:
			b.out[n].AdoptID = id
		}
	}
}

// adoptable is the wished resource that a word of `adopt:` means: the record is the one
// that leads the client's host to its site.
func (b *builder) adoptable(word string) (int, bool) {
	for _, kind := range []string{"A", "CNAME", "AAAA", ""} {
		for n, r := range b.out {
			if string(r.Ref.Kind) != word {
				continue
			}
			if r.Ref.Kind != state.KindRecord || (r.Attributes.Literal("type") == kind && r.Attributes.Literal("name") == b.in.Effective.Host) {
				return n, true
			}
		}
	}
	return 0, false
}

// kept are the variables that an adopted site had and the manifest doesn't mention.
// Left out never means "remove".
func (b *builder) kept() map[string]state.Value {
	out := map[string]state.Value{}
	for _, s := range b.keptSecrets() {
		name := strings.TrimPrefix(s.Name, Kept)
		_, said := b.in.Effective.Environment[name]
		if !said && !b.in.Effective.Env[name].None {
			out[name] = state.SecretValue(s)
		}
	}
	return out
}

// takenAway are the kept variables that the manifest takes away with {none: true}.
func (b *builder) takenAway() []string {
	var out []string
	for _, s := range b.keptSecrets() {
		if name := strings.TrimPrefix(s.Name, Kept); b.in.Effective.Env[name].None {
			out = append(out, name)
		}
	}
	return out
}

func (b *builder) keptSecrets() []state.SecretRef {
	var out []state.SecretRef
	for _, s := range b.in.Secrets {
		if s.Scope == string(b.in.Client.ID) && strings.HasPrefix(s.Name, Kept) {
			out = append(out, s)
		}
	}
	return out
}
