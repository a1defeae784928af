package manifest

import (
	"fmt"
	"strings"
)

// starts tells of a value that begins with what YAML keeps for itself.
func (s *slips) starts(t string, at int) bool {
	rule := func(r string) {
		if s.found.line == s.i+1 {
			s.found.rule = r
		}
	}
	name := at+1 < len(t) && t[at+1] != ' ' && t[at+1] != ','
	switch {
	case t[at] == '*' && name:
		s.tell(s.i, at, "what begins with * is an alias in YAML, and aliases are not read", "write the value out; if the * is part of it, put it in quotes")
		rule("alias")
	case t[at] == '&' && name:
		s.tell(s.i, at, "what begins with & is an anchor in YAML, and anchors are not read", "write the value out; if the & is part of it, put it in quotes")
		rule("alias")
	case t[at] == '!' && name:
		s.tell(s.i, at, "what begins with ! is a tag in YAML, and tags are not read", "write the value plainly; if the ! is part of it, put it in quotes")
		rule("tag")
	case strings.IndexByte("*&!@`%", t[at]) >= 0:
		s.tell(s.i, at, fmt.Sprintf("a value can't begin with %c", t[at]), "put it in quotes")
	default:
		return false
	}
	return true
}

// value reads what stands after a key or a dash.
func (s *slips) value(t string, at int) {
	if s.starts(t, at) {
		return
	}
	switch c := t[at]; {
	case c == '"' || c == '\'':
		s.quote, s.swept = opened{c, s.i, at}, false
		_ = s.closeQuote(t, at+1)
	case c == '[' || c == '{':
		s.inFlow(t, at)
	case c == ']' || c == '}':
		s.tell(s.i, at, fmt.Sprintf("this %c closes nothing", c), "remove it")
	case c == '|' || c == '>':
		s.blockText(t, at)
	case c == '-' && at+1 < len(t) && t[at+1] == ' ':
		s.tell(s.i, at, "a list can't begin on the line of its key", "write it on the next line, indented, or as [ … ]")
	default:
		if colonIn(t, at) >= 0 {
			s.tell(s.i, at, "this value holds a colon with a space after it", "put a value that holds a colon in quotes")
		}
	}
}

// blockText reads the head of a text of several lines.
func (s *slips) blockText(t string, at int) {
	head := strings.TrimRight(strings.TrimLeft(t[at+1:], "+-0123456789"), " \t")
	if head != "" && !strings.HasPrefix(strings.TrimLeft(head, " \t"), "#") {
		s.tell(s.i, at, fmt.Sprintf("after %c nothing can stand on the same line", t[at]), "begin the text on the next line, indented; or, if it is part of the value, put it in quotes")
		return
	}
	s.block = 0
	if n := len(s.levels); n > 0 {
		s.block = s.levels[n-1].indent
	}
}

// closeQuote reads on to the closing quotation mark and what follows it. It returns where a flow
// collection goes on, -1 where none does on this line.
func (s *slips) closeQuote(t string, at int) int {
	for ; at < len(t); at++ {
		switch {
		case s.quote.ch == '"' && t[at] == '\\':
			if at+1 < len(t) && !strings.ContainsRune("0abt\tnvfre \"/\\N_LPxuU", rune(t[at+1])) {
				s.tell(s.i, at, "in double quotes a backslash begins a special character, and this is none", "write \\\\ for a backslash, or use single quotes")
				return -1
			}
			at++
		case t[at] == s.quote.ch && s.quote.ch == '\'' && at+1 < len(t) && t[at+1] == '\'':
			at++
		case t[at] == s.quote.ch:
			if s.afterQuote(t, at+1) && len(s.flow) > 0 {
				return at + 1
			}
			return -1
		}
	}
	return -1
}

// afterQuote judges what follows a closing quotation mark.
func (s *slips) afterQuote(t string, at int) bool {
	q := s.quote
	rest := strings.TrimLeft(t[at:], " \t")
	ends := rest == "" || rest[0] == '#'
	if len(s.flow) > 0 {
		ends = ends || strings.IndexByte(",:]}", rest[0]) >= 0
	}
	switch {
	case ends:
		s.quote, s.fresh = opened{}, false
		return true
	case s.swept:
		s.unclosedQuote()
	case q.ch == '\'' && len(rest) == len(t[at:]):
		s.tell(s.i, at-1, "the quotes end here, and text follows", "put the whole value in double quotes; between single ones an apostrophe is written twice")
	case len(s.flow) > 0:
		s.tell(s.i, at, "a comma is missing here, or the quotes end too early", "write a comma between two entries")
	default:
		s.tell(s.i, at-1, "the quotes end here, and text follows", "put the whole value in quotes")
	}
	return false
}

func (s *slips) unclosedQuote() {
	s.tell(s.quote.line, s.quote.at, "this quotation mark is not closed", fmt.Sprintf("write another %c at the value's end", s.quote.ch))
}

func (s *slips) unclosedBracket() {
	o := s.flow[len(s.flow)-1]
	s.tell(o.line, o.at, fmt.Sprintf("this %c is not closed", o.ch), fmt.Sprintf("write %c at its end", closing(o.ch)))
}

func closing(ch byte) byte {
	if ch == '[' {
		return ']'
	}
	return '}'
}

// inFlow reads a line, or its rest, of a flow collection.
func (s *slips) inFlow(t string, at int) {
	began := -1 // where the plain text that is read began
	for ; at < len(t) && s.found == nil; at++ {
		switch c := t[at]; {
		case c == ' ' || c == '\t':
		case c == '#' && (at == 0 || t[at-1] == ' ' || t[at-1] == '\t'):
			return
		case began < 0 && (c == '"' || c == '\''):
			s.quote, s.swept = opened{c, s.i, at}, false
			if at = s.closeQuote(t, at+1); at < 0 {
				return
			}
			at-- // the loop's own step
		case began < 0 && (c == '[' || c == '{'):
			s.flow, s.fresh, s.key = append(s.flow, opened{c, s.i, at}), true, false
		case c == '[' || c == '{':
			s.tell(s.i, at, fmt.Sprintf("this %c stands within a value that is not in quotes", c), "put the value in quotes, or remove it")
		case c == ']' || c == '}':
			if !s.closeBracket(t, at, c) {
				return
			}
			began = -1
		case c == ',':
			began, s.fresh, s.key = -1, true, false
		case c == ':' && (at+1 == len(t) || strings.IndexByte(" ,]}", t[at+1]) >= 0):
			if s.key {
				s.tell(s.i, max(began, 0), "a comma is missing in this entry, or quotes around its colon", "write a comma between two entries; put a value that holds a colon in quotes")
				return
			}
			began, s.fresh, s.key = -1, true, true
		case began < 0:
			if s.fresh && s.starts(t, at) {
				return
			}
			began, s.fresh = at, false
		}
	}
}

// closeBracket closes the innermost bracket. It says whether the line is read on.
func (s *slips) closeBracket(t string, at int, c byte) bool {
	n := len(s.flow)
	if want := closing(s.flow[n-1].ch); c != want {
		s.tell(s.i, at, fmt.Sprintf("this %c closes a %c", c, s.flow[n-1].ch), fmt.Sprintf("write %c", want))
		return false
	}
	s.flow, s.fresh, s.key = s.flow[:n-1], false, false
	if n > 1 {
		return true
	}
	rest := strings.TrimLeft(t[at+1:], " \t")
	switch {
	case rest == "" || rest[0] == '#':
	case rest[0] == ']' || rest[0] == '}':
		s.tell(s.i, len(t)-len(rest), fmt.Sprintf("this %c closes nothing", rest[0]), "remove it")
	default:
		s.tell(s.i, len(t)-len(rest), "text follows the closing bracket", "remove it, or put the whole value in quotes")
	}
	return false
}
