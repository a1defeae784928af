package report

import (
	"strings"
	"unicode/utf8"
)

// Problem is what is wrong with a file, or why a client cannot be planned.
type Problem struct {
	Client  string `json:"client,omitempty"`
	Path    string `json:"path,omitempty"`
	Line    int    `json:"line,omitempty"` // from 1; 0: the whole file
	Column  int    `json:"column,omitempty"`
	Text    string `json:"text"`
	Hint    string `json:"hint,omitempty"`
	Source  string `json:"source,omitempty"` // the line itself; "" where it could show a secret
	Warning bool   `json:"warning,omitempty"`
	Repair  string `json:"repair,omitempty"` // the line as it should be, where that is obvious
}

// maxSource is how much of a source line is shown, in characters: what is around the
// column.
const maxSource = 100

// Terminal is the problem as people read it: place and cause, the line with a caret,
// the hint. Every line ends.
func (p Problem) Terminal(o Options) string {
	var b strings.Builder
	kind := o.red("error")
	if p.Warning {
		kind = o.yellow("warning")
	}
	where := p.where()
	if where != "" {
		where = o.bold(Line(where)) + ": "
	}
	b.WriteString(where + kind + ": " + Line(p.Text) + "\n")
	if line, caret := p.source(); line != "" {
		b.WriteString("    " + line + "\n")
		if caret != "" {
			b.WriteString("    " + o.red(caret) + "\n")
		}
	}
	if p.Hint != "" {
		b.WriteString("    " + Line(p.Hint) + "\n")
	}
	return b.String()
}

// block is a problem as a paragraph of its own: place, cause, the line with a caret, what
// to do.
func (p Problem) block(r Repo) string {
	var b strings.Builder
	b.WriteString("\n")
	if p.Warning {
		b.WriteString("⚠️ ")
	} else {
		b.WriteString("❌ ")
	}
	if where := p.where(); where != "" {
		b.WriteString(href(Code(where), r.view(p.Path, p.Line)) + ": ")
	}
	if p.Warning {
		b.WriteString("warning: ")
	}
	b.WriteString(prose(p.Text))
	if edit := safeURL(r.edit(p.Path, p.Line)); edit != "" && !p.Warning {
		b.WriteString(" · [edit](<" + edit + ">)")
	}
	b.WriteString("\n")
	if line, caret := p.source(); line != "" {
		fence := fenceFor(line)
		b.WriteString("\n" + fence + "text\n" + line + "\n")
		if caret != "" {
			b.WriteString(caret + "\n")
		}
		b.WriteString(fence + "\n")
	}
	if p.Hint != "" {
		b.WriteString("\n→ " + prose(p.Hint) + "\n")
	}
	return b.String()
}

func (p Problem) where() string {
	if p.Path != "" {
		return place(p.Path, p.Line, p.Column)
	}
	return p.Client
}

// source is the line around the column, and the caret below it; the caret is "" where
// no column is known.
func (p Problem) source() (line, caret string) {
	runes := []rune(strings.ToValidUTF8(p.Source, "\ufffd"))
	if strings.TrimSpace(string(runes)) == "" {
		return "", ""
	}
	col := min(max(p.Column-1, 0), len(runes))
	from, to, before, after := 0, len(runes), "", ""
	if len(runes) > maxSource {
		from = min(max(0, col-maxSource/2), len(runes)-maxSource)
		to = from + maxSource
		if from > 0 {
			before = "…"
		}
		if to < len(runes) {
			after = "…"
		}
	}
	left := before + visible(string(runes[from:col]))
	line = strings.TrimRight(left+visible(string(runes[col:to]))+after, " ")
	if p.Column > 0 {
		caret = strings.Repeat(" ", columns(left)) + "^"
	}
	return line, caret
}

// fenceFor is a fence that text cannot close: longer than its longest run of backticks.
func fenceFor(text string) string {
	longest, run := 0, 0
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		text = text[size:]
		run++
		if r != '`' {
			run = 0
		}
		longest = max(longest, run)
	}
	return strings.Repeat("`", max(3, longest+1))
}
