package report

import "strings"

// Level says how a finding is to be taken.
type Level string

// The levels.
const (
	OK   Level = "ok"
	Warn Level = "warn" // runs all the same
	Fail Level = "fail"
)

// Finding is one thing that a look at an installation found. Text and hint are one line of
// untrusted text.
type Finding struct {
	About string `json:"about"` // what was looked at: state, cloudflare
	Level Level  `json:"level"`
	Text  string `json:"text"`
	Hint  string `json:"hint,omitempty"` // what to do
}

// maxFinding is the longest text or hint of a finding, in characters.
const maxFinding = 500

// Clean is the finding as it may be shown, with redact over it first.
func (f Finding) Clean(redact func(string) string) Finding {
	one := func(s string) string { return Clip(Line(redact(s)), maxFinding) }
	f.Text, f.Hint = one(f.Text), one(f.Hint)
	return f
}

// Count is how many findings have a level.
func Count(all []Finding, level Level) (n int) {
	for _, f := range all {
		if f.Level == level {
			n++
		}
	}
	return n
}

// Findings shows them, a line each, with the hint beneath.
func Findings(all []Finding, o Options) string {
	width := 0
	for _, f := range all {
		width = max(width, len([]rune(f.About)))
	}
	var out strings.Builder
	for _, f := range all {
		about := visible(f.About)
		out.WriteString(o.level(f.Level) + "  " + about + strings.Repeat(" ", max(0, width-len([]rune(about)))) + "  " + Clip(visible(f.Text), maxFinding) + "\n")
		if f.Hint != "" {
			out.WriteString(strings.Repeat(" ", 4+2+width+2) + Clip(visible(f.Hint), maxFinding) + "\n")
		}
	}
	return out.String()
}

// level is the word, in four characters; its colour says the same.
func (o Options) level(l Level) string {
	switch l {
	case OK:
		return o.green("ok") + "  "
	case Warn:
		return o.yellow("warn")
	}
	return o.red("fail")
}
