package store

import (
	"strconv"
	"strings"
	"unicode"
)

// maxShown is the most bytes of a key that an error shows as it is.
const maxShown = 120

// shown is a key in an error. In a damaged file anything may be taken for one: what no key of
// ours looks like is shown in part, quoted.
func shown(key string) string {
	odd := func(r rune) bool { return r == unicode.ReplacementChar || r != 0 && !unicode.IsPrint(r) }
	if len(key) <= maxShown && !strings.ContainsFunc(key, odd) {
		return key
	}
	return strconv.Quote(key[:min(len(key), maxShown/2)]) + "…"
}
