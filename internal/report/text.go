package report

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"

	"github.com/compassdigital/reconciler/internal/state"
)

// maxText is the longest piece of their text that is shown, in characters.
const maxText = 600

// Line is their text for a terminal, and the first step of every other form: one line,
// at most maxText characters. White space of any kind becomes a blank; what would move
// the cursor, hide itself or turn the reading order shows as its code, such as \u202e.
func Line(s string) string { return Clip(visible(s), maxText) }

// visible makes one line of s in which every character shows.
func visible(s string) string {
	if plain(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case unicode.IsSpace(r):
			b.WriteByte(' ')
		case hidden(r):
			if r > 0xffff {
				fmt.Fprintf(&b, `\U%08x`, r)
			} else {
				fmt.Fprintf(&b, `\u%04x`, r)
			}
		default:
			b.WriteRune(r) // a broken byte is U+FFFD here
		}
	}
	return b.String()
}

// plain says that s is printable ASCII.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// hidden says that a character is not seen, or changes how others are. The two joiners
// stay: names in Persian, Hindi and emoji need them.
func hidden(r rune) bool {
	const nonJoiner, joiner = 0x200c, 0x200d
	if r == nonJoiner || r == joiner {
		return false
	}
	return unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Co, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r)
}

// Clip shortens a text to n characters; the last one is then an ellipsis.
func Clip(s string, n int) string {
	if len(s) <= n || utf8.RuneCountInString(s) <= n {
		return s
	}
	i := 0
	for range n - 1 {
		_, size := utf8.DecodeRuneInString(s[i:])
		i += size
	}
	return s[:i] + "…"
}

// ClipWords shortens a sentence to n characters: see state.ClipWords.
func ClipWords(s string, n int) string { return state.ClipWords(s, n) }

// breaker stands in what GitHub turns into links, mentions or pictures in text that is
// already rendered: a zero-width space, which nobody sees.
const breaker = "&#8203;"

// references are what GitHub reads in plain words: GH-1, a commit's hash, an emoji's name.
// (docs.github.com, "Autolinked references and URLs")
var references = regexp.MustCompile(`(?i)\bgh-[0-9]|\b[0-9a-f]{7,40}\b|:[a-z0-9_+-]+:`)

// shortHash is the longest run of hex digits that is no hash at GitHub.
const shortHash = 6

// Text is their text as Markdown prose: it reads as s and does nothing. It has no
// meaning as markup at the beginning of a line either.
func Text(s string) string { return prosaic(Line(s), true) }

// prosaic is Text of a part of a line; begin says that the line begins with it.
func prosaic(s string, begin bool) string {
	breaks := breaksOf(s)
	var b strings.Builder
	for i, r := range s { // begin: only blanks and digits so far
		switch {
		case r == '@' || r == '#':
			b.WriteString(entity(r) + breaker)
		case strings.ContainsRune("\\`*_[]|~<>&$", r), begin && strings.ContainsRune("-+=.)", r):
			b.WriteString(entity(r))
		case r == ':' && strings.HasPrefix(s[i+1:], "/"), r == '.' && afterWWW(s[:i]):
			b.WriteString(entity(r))
		case r == ' ' && begin:
			b.WriteString("&#32;")
		default:
			b.WriteRune(r)
		}
		if len(breaks) > 0 && i+utf8.RuneLen(r) == breaks[0] {
			b.WriteString(breaker)
			breaks = breaks[1:]
		}
		begin = begin && (r == ' ' || r >= '0' && r <= '9')
	}
	return b.String()
}

// breaksOf are the places in a line where references are broken, in order.
func breaksOf(s string) []int {
	var out []int
	for at := 0; at < len(s); {
		m := references.FindStringIndex(s[at:])
		if m == nil {
			break
		}
		from, to := at+m[0], at+m[1]
		switch s[from] {
		case ':':
			out = append(out, from+1)
			to-- // the colon that ends it may begin another
		case 'g', 'G':
			out = append(out, to-1)
		default:
			for i := from + shortHash; i < to; i += shortHash {
				out = append(out, i)
			}
		}
		at = to
	}
	return out
}

// afterWWW says that s ends like the beginning of a bare web address.
func afterWWW(s string) bool { return len(s) >= 3 && strings.EqualFold(s[len(s)-3:], "www") }

func entity(r rune) string { return "&#" + strconv.Itoa(int(r)) + ";" }

// Code is their text as Markdown code, in a table too. Markup, links and mentions have
// no meaning in code; what could end it is written another way.
func Code(s string) string {
	s = strings.TrimSpace(Line(s))
	if s == "" {
		return "–"
	}
	if !strings.ContainsAny(s, "`|\\") {
		return "`" + s + "`"
	}
	var b strings.Builder
	for _, r := range s {
		if r < utf8.RuneSelf && (unicode.IsPunct(r) || unicode.IsSymbol(r)) {
			b.WriteString(entity(r))
		} else {
			b.WriteRune(r)
		}
	}
	return "<code>" + b.String() + "</code>"
}

// Columns is how many columns of a terminal a line takes that Line or Fit made.
func Columns(s string) int { return columns(s) }

// Fit is their text in at most n columns of a terminal.
func Fit(s string, n int) string {
	s = Line(s)
	if columns(s) <= n {
		return s
	}
	width := 0
	for i, r := range s {
		if width += columnsOf(r); width > n-1 {
			if n < 1 {
				return ""
			}
			return s[:i] + "…"
		}
	}
	return s
}

// columns is how many columns of a terminal a text takes.
func columns(s string) int {
	n := 0
	for _, r := range s {
		n += columnsOf(r)
	}
	return n
}

func columnsOf(r rune) int {
	if r < utf8.RuneSelf {
		return 1
	}
	if unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// pad fills a text with blanks to n columns.
func pad(s string, n int) string { return s + strings.Repeat(" ", max(0, n-columns(s))) }

// count is a number with its noun: "1 client", "2 clients".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return number(n) + " " + noun + "s"
}

func short(commit string) string { return commit[:min(7, len(commit))] }

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// number is a count as people read it: 5,000.
func number(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
