package provider

import (
	"strings"
	"unicode"
)

// Line makes one line of text from outside, fit for a message: valid UTF-8, white space
// as blanks, nothing that can't be seen or that reorders what is read, at most limit
// characters.
func Line(s string, limit int) string {
	if len(s) > 4*limit+4 {
		s = s[:4*limit+4] // enough bytes for the characters that are kept and one more
	}
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "")))
	if r := []rune(s); len(r) > limit {
		return string(r[:limit-1]) + "…"
	}
	return s
}
