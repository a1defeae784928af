package manifest

import "strings"

// maxWord bounds the words that are compared.
const maxWord = 64

// Suggest returns the known word that is meant by word, or "". It forgives case,
// and an edit (swap included) for every three letters.
func Suggest(word string, known []string) string {
	if len(word) > maxWord {
		return ""
	}
	best, least := "", max(1, len(word)/3)+1
	for _, k := range known {
		if d := distance(strings.ToLower(word), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance counts inserted, deleted, changed and swapped letters.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	rows := make([][]int, len(x)+1)
	for i := range rows {
		rows[i] = make([]int, len(y)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(x); i++ {
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(x)][len(y)]
}

func didYouMean(word string, known []string) string {
	if s := Suggest(word, known); s != "" {
		return meanFront + s + meanEnd
	}
	return ""
}

// What stands around a word that may be meant.
const meanFront, meanEnd = "did you mean ", "?"

// repaired is a source line with the word at a column replaced by the one that a hint says
// may be meant; "" where the hint says none, or the word does not stand there as it is.
func repaired(line string, column int, word, hint string) string {
	s, is := strings.CutPrefix(hint, meanFront)
	s, whole := strings.CutSuffix(s, meanEnd)
	r := []rune(line)
	if !is || !whole || column < 1 || column > len(r) || word == "" {
		return ""
	}
	front, rest := string(r[:column-1]), string(r[column-1:])
	for _, quote := range []string{"", `"`, "'"} {
		if after, ok := strings.CutPrefix(rest, quote+word+quote); ok && (quote != "" || after == "" || strings.ContainsAny(after[:1], " ,:]}#")) {
			return front + quote + s + quote + after
		}
	}
	return ""
}
