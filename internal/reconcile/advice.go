package reconcile

import (
	"slices"
	"strings"

	"github.com/compassdigital/reconciler/internal/state"
)

// Part is a piece of advice: words, then what a person types as it stands, a command of
// this program or a line of a manifest. Either may be empty.
type Part struct{ Words, Typed string }

// maxTyped is how many such pieces one piece of advice has.
const maxTyped = 10

// advice takes a sentence apart, for pages that set what is typed apart from the words.
// Only what was made from what is on record (typed) is: the sentence says where it stands,
// between backquotes. It may repeat somebody else's words, and those stay words.
func advice(text string, typed []string) (out []Part) {
	from := 0 // up to here a backquote opens nothing
	for len(out) < maxTyped {
		open := strings.IndexByte(text[from:], '`')
		if open < 0 {
			break
		}
		open += from
		length := strings.IndexByte(text[open+1:], '`')
		if length < 0 {
			break
		}
		n := slices.Index(typed, text[open+1:open+1+length])
		if n < 0 {
			from = open + 1 + length // it may open what comes next
			continue
		}
		out = append(out, Part{text[:open], typed[n]})
		text, from = text[open+length+2:], 0
	}
	if text != "" {
		out = append(out, Part{Words: text})
	}
	return out
}

// holdsOf are the fingerprints of what is held, by client.
func holdsOf(holds []state.Hold) map[state.ClientID][]string {
	out := map[state.ClientID][]string{}
	for _, h := range holds {
		if h.Client != "" && !slices.Contains(h.Clients, h.Client) {
			out[h.Client] = append(out[h.Client], h.Fingerprint)
		}
		for _, id := range h.Clients {
			out[id] = append(out[id], h.Fingerprint)
		}
	}
	return out
}

// typed is what advice about a client may tell a person to type.
func typed(c state.Client, holds, secrets []string) []string {
	out := []string{"paused: true", "adopt:"}
	for _, who := range []string{c.Name, string(c.ID)} {
		for _, verb := range []string{"retry", "resume", "why", "purge"} {
			out = append(out, "reconciler "+verb+" "+who)
		}
		out = append(out, "reconciler drift "+who+" --adopt")
	}
	for _, print := range holds {
		out = append(out, "reconciler approve "+print)
	}
	for _, name := range secrets {
		if bare, ok := sharedName(name); ok {
			out = append(out, "reconciler secret set "+bare)
		} else {
			out = append(out, "reconciler secret set "+name+" --client "+c.Name)
		}
	}
	return append(out, "reconciler plan", "reconciler rebuild", "reconciler secret refresh")
}
