package manifest

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// slip is a typical mistake in text that YAML refuses.
type slip struct {
	line, column int // from 1; columns in characters
	rule, text   string
	hint         string
	repair       string // the line as it should be, where that is obvious
}

// slips looks for the first typical mistake in a file that the library refused: the library
// names a line at best, often the one at which it gave up, and says the cause only in words of
// its own. It knows what manifests are written in (block mappings and lists, flow collections,
// quotes, block texts), reads each byte once, and has nothing to say of what it doesn't know.
type slips struct {
	lines  []string
	i      int     // the line that is read, from 0
	levels []level // block collections that are open, outermost first
	flow   []opened
	quote  opened // the quotation mark that is open; ch 0: none
	swept  bool   // a line with a key lies between the open quotation mark and here
	block  int    // lines that are indented deeper belong to a text that | or > began; -1: none
	word   opened // a line without a colon that may be a value on a line of its own; ch 0: none
	key    bool   // what was read last in a flow collection is a key with its colon
	fresh  bool   // a value may begin here, in a flow collection
	found  *slip
}

// level is an open block collection.
type level struct {
	indent, line int
	list, wants  bool // wants: its last key or dash has no value yet
}

// opened is a bracket or a quotation mark, and where it stands.
type opened struct {
	ch       byte
	line, at int // from 0, in bytes
}

func findSlip(lines []string) *slip {
	s := &slips{lines: lines, block: -1}
	for s.i = 0; s.i < len(lines) && s.found == nil; s.i++ {
		s.readLine(lines[s.i])
	}
	s.i = len(lines) - 1
	switch {
	case s.found != nil:
	case s.quote.ch != 0:
		s.unclosedQuote()
	case len(s.flow) > 0:
		s.unclosedBracket()
	}
	return s.found
}

// tell notes what is wrong at a byte of a line. The first counts.
func (s *slips) tell(line, at int, text, hint string) {
	if s.found == nil {
		s.found = &slip{line: line + 1, column: utf8.RuneCountInString(s.lines[line][:at]) + 1, rule: "syntax", text: text, hint: hint}
	}
}

func (s *slips) readLine(t string) {
	indent := len(t) - len(strings.TrimLeft(t, " "))
	switch {
	case s.quote.ch != 0:
		s.swept = s.swept || knownKey(t)
		if at := s.closeQuote(t, 0); at >= 0 {
			s.inFlow(t, at)
		}
		return
	case strings.Trim(t, " \t") == "":
		return
	case s.block >= 0 && indent > s.block:
		return
	}
	s.block = -1
	if s.foreign(t) || t[indent] == '#' {
		return
	}
	if len(s.flow) > 0 {
		if n := len(s.levels); n > 0 && indent <= s.levels[n-1].indent && knownKey(t) {
			s.unclosedBracket()
			return
		}
		s.inFlow(t, indent)
		return
	}
	if t[indent] == '\t' {
		s.tell(s.i, indent, "this line is indented with a tab, which YAML refuses", "indent it with spaces")
		return
	}
	if indent == 0 && (strings.HasPrefix(t, "---") || strings.HasPrefix(t, "...") || t[0] == '%') {
		s.levels = nil
		return
	}
	s.inBlock(t, indent)
}

// foreign tells of lines that no YAML has.
func (s *slips) foreign(t string) bool {
	for _, mark := range []string{"<<<<<<<", "=======", ">>>>>>>", "|||||||"} {
		if t == mark || strings.HasPrefix(t, mark+" ") {
			s.tell(s.i, 0, "a merge conflict was left in the file", "keep one of the two sides, and remove the lines that begin with <<<<<<<, ======= and >>>>>>>")
			return true
		}
	}
	if strings.HasPrefix(t, "```") {
		s.tell(s.i, 0, "this line is Markdown, not YAML", "remove it")
		return true
	}
	return false
}

// inBlock reads a line of block collections: dashes, a key, a value.
func (s *slips) inBlock(t string, at int) {
	for t[at] == '-' && (at+1 == len(t) || t[at+1] == ' ') {
		if !s.enter(t, at, true) {
			return
		}
		n := len(t) - at - 1 - len(strings.TrimLeft(t[at+1:], " "))
		at += 1 + n
		if at >= len(t) || t[at] == '#' {
			return
		}
	}
	if t[at] == '?' && (at+1 == len(t) || t[at+1] == ' ') { // a key of its own kind: refused anyway, and not followed here
		s.i = len(s.lines)
		return
	}
	if s.falseDash(t, at) {
		return
	}
	if t[at] == ']' || t[at] == '}' {
		s.value(t, at)
		return
	}
	colon := keyEnd(t, at)
	if colon < 0 {
		s.noColon(t, at)
		return
	}
	if colon == at {
		s.tell(s.i, at, "there is no key before this colon", "write it as key: value")
		return
	}
	if s.word.ch != 0 && len(s.levels) > 0 && at > s.levels[len(s.levels)-1].indent || s.word.ch != 0 && len(s.levels) == 0 {
		s.colonMissing(s.word.line, s.word.at)
		return
	}
	if n := len(s.levels); n > 0 && s.levels[n-1].list && s.levels[n-1].wants && s.levels[n-1].line == s.i {
		s.levels[n-1].wants = false
		s.levels = append(s.levels, level{indent: at, line: s.i})
	} else if !s.enter(t, at, false) {
		return
	}
	if t[at] == '*' || t[at] == '&' || t[at] == '!' {
		s.value(t, at)
		return
	}
	from := colon + 1 + len(t[colon+1:]) - len(strings.TrimLeft(t[colon+1:], " \t"))
	if from >= len(t) || t[from] == '#' {
		return
	}
	s.levels[len(s.levels)-1].wants = false
	s.value(t, from)
}

// enter finds the collection to which a key or a dash at an indentation belongs, or opens one.
func (s *slips) enter(t string, at int, list bool) bool {
	s.word = opened{}
	left := level{indent: -1}
	for n := len(s.levels); n > 0 && s.levels[n-1].indent > at; n-- {
		left, s.levels = s.levels[n-1], s.levels[:n-1]
	}
	n := len(s.levels)
	if n > 0 && s.levels[n-1].indent == at && s.levels[n-1].list && !list { // the list of the key above ends here
		s.levels, n = s.levels[:n-1], n-1
	}
	switch {
	case n > 0 && s.levels[n-1].indent == at && s.levels[n-1].list == list:
		s.levels[n-1].wants, s.levels[n-1].line = true, s.i
		return true
	case n > 0 && left.indent >= 0:
		s.tell(s.i, at, fmt.Sprintf("this line is indented by %s, and no line above it that it could belong to is", spaces(at)),
			fmt.Sprintf("indent it like line %d (%s) or like line %d (%s)", left.line+1, spaces(left.indent), s.levels[n-1].line+1, spaces(s.levels[n-1].indent)))
		return false
	case n > 0 && !s.levels[n-1].wants:
		s.tell(s.i, at, fmt.Sprintf("this line is indented deeper than line %d, which has its value already", s.levels[n-1].line+1),
			fmt.Sprintf("indent it like line %d (%s)", s.levels[n-1].line+1, spaces(s.levels[n-1].indent)))
		return false
	}
	if n > 0 {
		s.levels[n-1].wants = false
	}
	s.levels = append(s.levels, level{indent: at, line: s.i, list: list, wants: true})
	return true
}

func spaces(n int) string {
	switch n {
	case 0:
		return "no space"
	case 1:
		return "1 space"
	}
	return fmt.Sprintf("%d spaces", n)
}

// noColon reads a line without a key: an item, a value or its continuation, or a key whose colon
// is missing.
func (s *slips) noColon(t string, at int) {
	n := len(s.levels)
	switch {
	case n > 0 && s.levels[n-1].list && s.levels[n-1].wants && s.levels[n-1].line == s.i:
		s.levels[n-1].wants = false
		s.value(t, at)
	case n == 0 && s.word.ch == 0 && plainStart(t[at]), n > 0 && at > s.levels[n-1].indent && s.levels[n-1].wants && plainStart(t[at]):
		s.word = opened{t[at], s.i, at} // a value, or the first key of a mapping
	case n == 0 || at > s.levels[n-1].indent:
		if n == 0 || s.levels[n-1].wants {
			s.value(t, at)
		}
	default:
		s.colonMissing(s.i, at)
	}
}

// plainStart says that a text begins here that needs no look by itself.
func plainStart(b byte) bool { return !strings.ContainsRune("\"'[{]}|>*&!@`%", rune(b)) }

// colonMissing tells of a line that should be a key with its value.
func (s *slips) colonMissing(line, at int) {
	t := s.lines[line]
	name, rest, ok := strings.Cut(t[at:], ":")
	switch {
	case ok && knownKeys[name] && strings.HasPrefix(rest, "\u00a0"):
		s.tell(line, at+len(name)+1, "the space after this colon is a no-break space, which YAML doesn't take for one", "type a space there")
		s.found.repair = t[:at] + name + ": " + strings.TrimLeft(rest, "\u00a0")
	case ok && knownKeys[name]:
		s.tell(line, at+len(name)+1, "a space is missing after the colon", "write "+name+": …")
		s.found.repair = t[:at] + name + ": " + rest
	case strings.HasPrefix(t[at:], "-"):
		s.tell(line, at+1, noSpace, "write - and a space before the entry")
	default:
		s.tell(line, at, "this line has no colon with a space after it", "write it as key: value")
	}
}

const noSpace = "a space is missing after the dash"

// falseDash tells of entries of a list that begin with something else than a dash and a space.
func (s *slips) falseDash(t string, at int) bool {
	switch {
	case strings.HasPrefix(t[at:], "* "):
		s.tell(s.i, at, "a list is written with dashes", "write - instead of *")
	case t[at] == '-' && at+1 < len(t) && strings.IndexByte("{[\"'", t[at+1]) >= 0:
		s.tell(s.i, at+1, noSpace, "write - and a space before the entry")
	default:
		return false
	}
	return true
}

// keyEnd is where the colon after a line's key stands, -1 when it has none.
func keyEnd(t string, at int) int {
	if t[at] == '"' || t[at] == '\'' {
		end := strings.IndexByte(t[at+1:], t[at])
		if end < 0 {
			return -1
		}
		colon := at + 2 + end
		if colon < len(t) && t[colon] == ':' && (colon+1 == len(t) || t[colon+1] == ' ') {
			return colon
		}
		return -1
	}
	if t[at] == '[' || t[at] == '{' {
		return -1
	}
	return colonIn(t, at)
}

// colonIn is where a colon with a space after it, or at the end, stands before a comment; -1: nowhere.
func colonIn(t string, at int) int {
	for i := at; i < len(t); i++ {
		switch {
		case t[i] == '#' && i > at && (t[i-1] == ' ' || t[i-1] == '\t'):
			return -1
		case t[i] == ':' && (i+1 == len(t) || t[i+1] == ' ' || t[i+1] == '\t'):
			return i
		}
	}
	return -1
}

// knownKey says that a line begins with a key of the format.
func knownKey(t string) bool {
	t = strings.TrimLeft(strings.TrimLeft(t, " "), "- ")
	name, rest, ok := strings.Cut(t, ":")
	return ok && knownKeys[name] && (rest == "" || rest[0] == ' ')
}
