package desired

import (
	"fmt"
	"slices"
	"strings"

	"github.com/compassdigital/reconciler/internal/state"
)

// missing is a provider that a client asks for and that is not configured: one problem,
// whatever it is needed for.
type missing struct {
	provider string
	kinds    []state.Kind
	fields   []string // of the manifest, that ask for it
	at       int      // its place among the problems
}

// lack notes that nobody keeps a kind.
func (b *builder) lack(provider string, kind state.Kind) {
	n := slices.IndexFunc(b.missing, func(m missing) bool { return m.provider == provider })
	if n < 0 {
		n, b.missing = len(b.missing), append(b.missing, missing{provider: provider, at: len(b.problems)})
		b.problem("", "")
	}
	m := &b.missing[n]
	if !slices.Contains(m.kinds, kind) {
		m.kinds = append(m.kinds, kind)
	}
	if f := b.asks(provider, kind); f != "" && !slices.Contains(m.fields, f) {
		m.fields = append(m.fields, f)
	}
	b.problems[m.at] = b.lacked(*m)
}

// lacks says that a kind has nobody who keeps it.
func (b *builder) lacks(kind state.Kind) bool {
	return slices.ContainsFunc(b.missing, func(m missing) bool { return slices.Contains(m.kinds, kind) })
}

// asks is the field that asks for a provider of a kind; "": none does.
func (b *builder) asks(provider string, kind state.Kind) string {
	e := b.in.Effective
	switch kind {
	case state.KindDatabase:
		return "database.provider"
	case state.KindRecord:
		return "dns.provider"
	case state.KindSite, state.KindEnvironment, state.KindDeployment, state.KindTraffic, state.KindDomain:
		return "deployment.provider"
	case state.KindAdmin:
		if provider == e.Deployment.Provider {
			return "deployment.provider"
		}
		return "database.provider"
	}
	return ""
}

// lacked is the problem in words.
func (b *builder) lacked(m missing) Problem {
	kinds := make([]string, len(m.kinds))
	for i, k := range m.kinds {
		kinds[i] = string(k)
	}
	needs := enumerated(kinds) + " needs it"
	if len(kinds) > 1 {
		needs = enumerated(kinds) + " need it"
	}
	p := Problem{Text: fmt.Sprintf("%s is not configured: %s", block(m.provider), needs), Act: fmt.Sprintf("add the block %s to reconciler.yaml", block(m.provider))}
	if b.partly(m) { // the provider is there, and has no such thing
		p = Problem{Text: fmt.Sprintf("%s keeps no %s", m.provider, strings.Join(kinds, ", no ")), Act: "choose another provider"}
	}
	if len(m.fields) == 0 {
		return p
	}
	p.Text = fmt.Sprintf("%s %s: %s", enumerated(m.fields), m.provider, p.Text)
	var there []string
	for _, f := range m.fields {
		there = append(there, "in "+f+" what is there: "+strings.Join(b.there(f), ", "))
	}
	p.Act += ", or choose " + strings.Join(there, "; ")
	if b.partly(m) {
		p.Act = "choose " + strings.Join(there, "; ")
	}
	return p
}

// partly says that a provider is configured and keeps other kinds.
func (b *builder) partly(m missing) bool {
	return slices.ContainsFunc([]state.Kind{state.KindDatabase, state.KindSite, state.KindRecord, state.KindAdmin, state.KindMail}, func(k state.Kind) bool { return b.in.Configured(m.provider, k) })
}

// there are the words that a field may say here.
func (b *builder) there(field string) []string {
	kind, words := state.KindSite, []string{"ploi", "vercel", "local", external}
	switch field {
	case "database.provider":
		kind, words = state.KindDatabase, []string{"railway", "postgres", "sqlite", external}
	case "dns.provider":
		kind, words = state.KindRecord, []string{"cloudflare", "local", external}
	}
	words = slices.DeleteFunc(words, func(w string) bool { return !b.in.Configured(w, kind) })
	return append(words, none)
}

// block is the part of the configuration that a provider needs.
func block(provider string) string {
	switch provider {
	case "local", "sqlite", "mailbox":
		return "providers.embedded"
	}
	return "providers." + provider
}

// enumerated are words with "and" before the last.
func enumerated(words []string) string {
	if n := len(words); n > 1 {
		return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
	return strings.Join(words, "")
}
