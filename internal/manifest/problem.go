package manifest

import (
	"fmt"
	"sort"
	"strings"
	"unicode/utf8"
)

// Problem is one thing that is wrong with a file, and where.
type Problem struct {
	Path         string // the file
	Line, Column int    // from 1, columns in characters; 0: the whole file
	Rule         string // stable, such as "unknown-key"
	Text         string // what is wrong
	Hint         string // what to do, "" when the text says it
	Client       string // the manifest's name, where known
	Snippet      string // the source line; "" where it could show a secret
	Warning      bool   // to know; the file is valid all the same
	Repair       string // the line as it should be, where there is one obvious way to mend it; else ""
}

// String is the problem as people read it: place and cause, the line with a caret,
// the hint.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.Path)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	kind := ""
	if p.Warning {
		kind = "warning: "
	}
	fmt.Fprintf(&b, ": %s%s", kind, p.Text)
	if p.Snippet != "" {
		line := strings.ReplaceAll(p.Snippet, "\t", " ")
		fmt.Fprintf(&b, "\n    %s\n    %s^", line, strings.Repeat(" ", max(0, min(p.Column-1, utf8.RuneCountInString(line)))))
	}
	if p.Hint != "" {
		b.WriteString("\n    " + p.Hint)
	}
	return b.String()
}

// Problems are sorted by file and place. As an error they read one below the other.
type Problems []Problem

// Error implements error.
func (p Problems) Error() string {
	lines := make([]string, 0, len(p))
	for _, q := range p {
		lines = append(lines, q.String())
	}
	return strings.Join(lines, "\n")
}

// Failed says that one of them is more than a warning.
func (p Problems) Failed() bool {
	for _, q := range p {
		if !q.Warning {
			return true
		}
	}
	return false
}

// sorted puts problems in their order.
func (p Problems) sorted() Problems {
	sort.SliceStable(p, func(i, j int) bool {
		a, b := p[i], p[j]
		switch {
		case a.Path != b.Path:
			return a.Path < b.Path
		case a.Line != b.Line:
			return a.Line < b.Line
		case a.Column != b.Column:
			return a.Column < b.Column
		}
		return a.Text < b.Text
	})
	return p
}
