package reconcile

import (
	"slices"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/state"
)

// S48: advice is taken apart at this program's own commands about this client, or lines of
// a manifest, made from what is on record; whatever else it repeats stays words.
func TestS48AdviceApart(t *testing.T) {
	c := state.Client{ID: "demoshop-1a2b3c", Name: "demoshop"}
	held := holdsOf([]state.Hold{{Fingerprint: "9f3a", Client: c.ID}, {Fingerprint: "77bb", Client: "bakery-445566"}, {Fingerprint: "88cc", Clients: []state.ClientID{"bakery-445566", c.ID}}})
	own := typed(c, held[c.ID], []string{"mollie", "shared/sentry"})
	for text, want := range map[string][]Part{
		"": nil, "wait": {{Words: "wait"}}, "`": {{Words: "`"}}, "``": {{Words: "``"}}, "a `b` c": {{Words: "a `b` c"}},
		"`reconciler resume demoshop`, or take `paused: true` out": {{Typed: "reconciler resume demoshop"}, {", or take ", "paused: true"}, {Words: " out"}},
		"remove `x at y, then `reconciler retry demoshop`":         {{"remove `x at y, then ", "reconciler retry demoshop"}},
		"`reconciler resume demoshop-1a2b3c`":                      {{Typed: "reconciler resume demoshop-1a2b3c"}},
		"`reconciler approve 9f3a` or `reconciler approve 88cc`":   {{Typed: "reconciler approve 9f3a"}, {" or ", "reconciler approve 88cc"}},
		"set it: `reconciler secret set mollie --client demoshop`": {{"set it: ", "reconciler secret set mollie --client demoshop"}},
		"set it: `reconciler secret set sentry`":                   {{"set it: ", "reconciler secret set sentry"}},
		"`reconciler approve 77bb`":                                {{Words: "`reconciler approve 77bb`"}}, // somebody else's
		"`reconciler purge bakery`":                                {{Words: "`reconciler purge bakery`"}},
		"`reconciler retry demoshop; rm -rf ~`":                    {{Words: "`reconciler retry demoshop; rm -rf ~`"}},
		"`reconciler secret set other`":                            {{Words: "`reconciler secret set other`"}},
	} {
		if got := advice(text, own); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	for _, m := range []*member{{client: c}, {client: state.Client{ID: c.ID, Name: c.Name, Removed: true}}} { // what is said, and what is made
		if got := advice(m.resume(), own); got[0].Typed == "" {
			t.Errorf("%q: %q", m.resume(), got)
		}
	}
}

// FuzzAdvice: taken apart, a sentence still says the same, and only what was made is apart.
func FuzzAdvice(f *testing.F) {
	own := []string{"reconciler retry demoshop", "paused: true"}
	f.Add("`reconciler retry demoshop`, or `paused: true` ` `reconciler retry demoshop``")
	f.Add("```paused: true```")
	f.Fuzz(func(t *testing.T, text string) {
		var b strings.Builder
		for _, p := range advice(text, own) {
			b.WriteString(p.Words)
			if p.Typed == "" {
				continue
			}
			if !slices.Contains(own, p.Typed) {
				t.Fatalf("%q is apart in %q", p.Typed, text)
			}
			b.WriteString("`" + p.Typed + "`")
		}
		if b.String() != text {
			t.Fatalf("%q became %q", text, b.String())
		}
	})
}
