package takeover

import (
	"strconv"
	"strings"

	"github.com/compassdigital/reconciler/internal/manifest"
)

// longest is how long a client's name may be.
const longest = 40

// slug is a text as a name: small letters, digits and hyphens; "" where nothing is left.
func slug(text string) string {
	var b strings.Builder
	for _, r := range strings.NewReplacer("ä", "ae", "ö", "oe", "ü", "ue", "ß", "ss", "é", "e", "è", "e", "ê", "e", "ç", "c", "ñ", "n", "å", "a", "ø", "o", "á", "a", "à", "a", "í", "i", "ó", "o", "ú", "u").Replace(strings.ToLower(text)) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
		if b.Len() >= longest {
			break
		}
	}
	if out := strings.Trim(b.String(), "-"); manifest.IsName(out) {
		return out
	}
	return ""
}

// fromHost is the name that a host name suggests: without www and what it ends with.
func fromHost(host string) string {
	host = strings.TrimPrefix(host, "www.")
	if i := strings.LastIndexByte(host, '.'); i > 0 {
		host = host[:i]
	}
	return slug(host)
}

// names gives each client a name that no other has.
type names struct {
	taken map[string]bool
	last  map[string]int // the last number that was put behind a name
}

// take returns the first name that is free, and which one it would have been, "" where
// that was free.
func (n names) take(wanted ...string) (name, instead string) {
	first := ""
	for _, w := range wanted {
		if w == "" {
			continue
		}
		if first == "" {
			first = w
		}
		if !n.taken[w] {
			n.taken[w] = true
			return w, not(first, w)
		}
	}
	if first == "" {
		first = "client"
	}
	for i := max(n.last[first], 1) + 1; ; i++ {
		end := "-" + strconv.Itoa(i)
		w := strings.Trim(first[:min(len(first), longest-len(end))], "-") + end
		if !n.taken[w] {
			n.taken[w], n.last[first] = true, i
			return w, first
		}
	}
}

func not(first, w string) string {
	if first == w {
		return ""
	}
	return first
}
