package report

import (
	"strings"

	"github.com/compassdigital/reconciler/internal/plan"
)

const (
	// maxSteps is how many steps of a client a comment shows.
	maxSteps = 60
	// maxFields is how many differences of a step a comment shows.
	maxFields = 20
)

// brief is what a risky client's change means; it is told whatever else has to go.
func (c Change) brief(at setting) string {
	out := "\n#### ⚠️ " + Text(cell(c.Client)) + "\n"
	if said := c.said(at); said != "" {
		out += "\n" + said + "\n"
	}
	return out
}

// summary is how much there is to do.
func (c Change) summary() string {
	return count(len(c.Steps), "step") + ", " + count(c.calls(), "provider call")
}

// noSteps stands where steps are too long.
func (c Change) noSteps() string {
	return "\n" + count(len(c.Steps), "step") + ", too long to show here.\n"
}

// fold is a client's steps, folded.
func (c Change) fold() string { return folded(c.summary(), c.rows()) }

// rows are a client's steps in their order.
func (c Change) rows() string {
	var b strings.Builder
	b.WriteString("\n| | Step | What | Why |\n|---|---|---|---|\n")
	for i, s := range c.Steps {
		if i == maxSteps {
			b.WriteString("| | | " + count(len(c.Steps)-maxSteps, "step") + " more | |\n")
			break
		}
		what := s.does()
		if s.Provider != "" {
			what += " at " + Text(cell(s.Provider))
		}
		b.WriteString("| " + sign(s.Action) + " | " + Text(cell(s.Step)) + " | " + what + " | " + s.why() + " |\n")
	}
	return b.String()
}

// why is the last cell of a step: its reason, its differences, its risk, the way back.
func (s Step) why() string {
	parts := []string{Text(cell(s.Reason))}
	for i, f := range s.Fields {
		if i == maxFields {
			parts = append(parts, count(len(s.Fields)-maxFields, "difference")+" more")
			break
		}
		parts = append(parts, Code(cell(f.Name))+": "+field(f, func(v string) string { return Code(cell(v)) }))
	}
	if s.Risk != "" {
		parts = append(parts, "**risk: "+Text(cell(s.Risk))+"**")
	}
	if s.Undo != "" && (s.Risk != "" || plan.Action(s.Action).Writes()) {
		parts = append(parts, "undo: "+Text(cell(s.Undo)))
	}
	if s.Held != "" {
		parts = append(parts, "waits under "+Code(cell(s.Held)))
	}
	return strings.Join(parts, "<br>")
}
