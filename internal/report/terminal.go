package report

import (
	"strings"

	"github.com/compassdigital/reconciler/internal/plan"
)

// Options of a terminal's text. The zero value is right for a pipe.
type Options struct {
	Colour bool // colour repeats what signs and words say
}

func (o Options) paint(code, s string) string {
	if !o.Colour || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// Failure is one of our own words in the colour of a failure.
func (o Options) Failure(word string) string { return o.red(word) }

func (o Options) bold(s string) string   { return o.paint("1", s) }
func (o Options) dim(s string) string    { return o.paint("2", s) }
func (o Options) red(s string) string    { return o.paint("31", s) }
func (o Options) green(s string) string  { return o.paint("32", s) }
func (o Options) yellow(s string) string { return o.paint("33", s) }

// maxCell is the longest cell of a table, in characters.
const maxCell = 160

// cell is their text in a table.
func cell(s string) string { return Clip(visible(s), maxCell) }

// Table shows rows in columns; cells are their text. Lines have no blanks at the end.
func Table(head []string, rows [][]string, o Options) string { return table(head, rows, "", o) }

func table(head []string, rows [][]string, indent string, o Options) string {
	widths := make([]int, len(head))
	clean := make([][]string, 0, len(rows)+1)
	for _, row := range append([][]string{head}, rows...) {
		cells := make([]string, len(head))
		for i := range cells {
			if i < len(row) {
				cells[i] = cell(row[i])
			}
			widths[i] = max(widths[i], columns(cells[i]))
		}
		clean = append(clean, cells)
	}
	var b strings.Builder
	for n, cells := range clean {
		line := indent
		for i, c := range cells {
			line += pad(c, widths[i]+2)
		}
		line = strings.TrimRight(line, " ")
		if n == 0 {
			line = o.dim(line)
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

// Terminal is a plan for a terminal.
func (p Plan) Terminal(o Options) string {
	if p.Empty() {
		return "No changes. Everything is as the manifests say.\n"
	}
	var b strings.Builder
	at := p.later(setting{when: "when this is applied", goes: "when this is applied", approve: "reconciler approve"})
	for _, c := range p.Changes {
		b.WriteString(c.terminal(at, o) + "\n")
	}
	for _, q := range p.Problems {
		b.WriteString(q.Terminal(o))
	}
	if len(p.Problems) > 0 {
		b.WriteString("\n")
	}
	b.WriteString(p.summary())
	if len(p.Changes) > 0 {
		b.WriteString(" Plan " + Line(p.Fingerprint))
	}
	b.WriteString("\n")
	if !p.LookedAt.IsZero() {
		b.WriteString("Looked at the providers at " + p.LookedAt.UTC().Format("2006-01-02 15:04:05Z") + ".\n")
	} else if len(p.Changes) > 0 {
		b.WriteString("From the record; nobody looked at the providers for it.\n")
	}
	return b.String()
}

func (c Change) terminal(at setting, o Options) string {
	var b strings.Builder
	b.WriteString(o.bold(Line(c.Client)) + "  " + count(len(c.Steps), "step") + ", " + count(c.calls(), "call") + ", plan " + Line(c.Fingerprint) + "\n")
	for _, s := range consequences(c, at) {
		line := s.terminal()
		if s.strong {
			line = o.red(line)
		}
		b.WriteString("  " + line + "\n")
	}
	head := []string{"STEP", "ACTION", "WHAT", "AT", "WHY"}
	rows := make([][]string, 0, len(c.Steps))
	for _, s := range c.Steps {
		rows = append(rows, []string{s.Step, s.Action, orDash(s.Ref), orDash(s.Provider), s.Reason})
	}
	lines := strings.SplitAfter(table(head, rows, "", Options{}), "\n")
	b.WriteString("    " + o.dim(strings.TrimSuffix(lines[0], "\n")) + "\n")
	for i, s := range c.Steps {
		b.WriteString("  " + o.signed(s.Action) + " " + lines[i+1])
		for _, f := range s.Fields {
			b.WriteString("      " + Line(f.Name) + ": " + field(f, Line) + "\n")
		}
		if s.Risk != "" || s.Held != "" {
			b.WriteString("      " + o.yellow(s.warning()) + "\n")
		}
	}
	return b.String()
}

// warning is a step's risk, the way back and what it waits for, in one line.
func (s Step) warning() string {
	var parts []string
	if s.Risk != "" {
		parts = append(parts, "risk: "+Line(s.Risk))
		if s.Undo != "" {
			parts = append(parts, "undo: "+Line(s.Undo))
		}
	}
	if s.Held != "" {
		parts = append(parts, "held: "+Line(s.Held))
	}
	return strings.Join(parts, "; ")
}

// field is a difference: what was and what will be, through the door that is given.
func field(f plan.Field, door func(string) string) string {
	side := func(s string) string {
		if s == "" {
			return "-"
		}
		return door(s)
	}
	return side(f.Before) + " → " + side(f.After)
}

// signed is an action's sign in its colour.
func (o Options) signed(action string) string {
	s := sign(action)
	switch plan.Action(action) {
	case plan.Create, plan.Return, plan.Record:
		return o.green(s)
	case plan.Delete, plan.Purge, plan.Replace:
		return o.red(s)
	case plan.Update, plan.Move, plan.Transfer, plan.Retain:
		return o.yellow(s)
	}
	return s
}
