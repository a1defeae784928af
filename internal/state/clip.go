package state

import (
	"strings"
	"unicode/utf8"
)

// ClipWords shortens a sentence to n characters: it ends with a whole word and an ellipsis
// then. Where that would leave less than half, the word is cut.
func ClipWords(text string, n int) string {
	if len(text) <= n || utf8.RuneCountInString(text) <= n {
		return text
	}
	cut, half := 0, 0
	for i := range n - 1 {
		_, size := utf8.DecodeRuneInString(text[cut:])
		if cut += size; i == n/2-1 {
			half = cut
		}
	}
	if text[cut] != ' ' {
		if i := strings.LastIndexByte(text[:cut], ' '); i >= half && i > 0 {
			cut = i
		}
	}
	return strings.TrimRight(text[:cut], " ,;:") + "…"
}
