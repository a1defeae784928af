package report

import (
	"sort"
	"strings"

	"github.com/compassdigital/reconciler/internal/plan"
)

const (
	// MaxComment is the longest Markdown that is made, in bytes: GitHub takes 65,536
	// characters, and a marker and a footer come on top.
	MaxComment = 60_000
	// maxSteps is how many steps of a client a comment shows.
	maxSteps = 60
	// maxFields is how many differences of a step a comment shows.
	maxFields = 20
	// footRoom is kept free for the last lines of a comment.
	footRoom = 1_000
)

// page is Markdown below a limit. A block is taken whole or not at all.
type page struct {
	b    strings.Builder
	left int // blocks that did not fit
}

func (p *page) add(block string) {
	if p.b.Len()+len(block) > MaxComment-footRoom {
		p.left++
		return
	}
	p.b.WriteString(block)
}

// rest says how many blocks did not fit, and begins to count anew.
func (p *page) rest(noun string) {
	if p.left > 0 {
		p.b.WriteString("\n… and " + count(p.left, noun) + " more.\n")
	}
	p.left = 0
}

// Markdown is a plan for a pull request's comment: problems first, then the clients,
// the riskiest first. What does not fit is counted, never cut in the middle.
func (p Plan) Markdown() string {
	if p.Empty() {
		return "No client changes.\n"
	}
	out := &page{}
	out.add("### Plan: " + p.summary() + "\n\n")
	for _, q := range p.Problems {
		out.add(q.Markdown())
	}
	out.rest("problem")
	changes := append([]Change(nil), p.Changes...)
	sort.SliceStable(changes, func(i, j int) bool { return changes[i].risk().Rank() > changes[j].risk().Rank() })
	// Steps get the room that the consequences of whoever is at risk leave.
	room := MaxComment - footRoom - out.b.Len()
	for _, c := range changes {
		if c.risk() != plan.RiskNone {
			room -= len(c.brief() + c.noSteps())
		}
	}
	for _, c := range changes {
		brief, steps := c.brief(), c.steps()
		if c.risk() == plan.RiskNone {
			room -= len(brief)
		}
		if len(steps) <= room {
			room -= len(steps)
			out.add(brief + steps)
		} else {
			out.add(brief + c.noSteps())
		}
	}
	out.rest("client")
	foot := "\n<sub>Plan " + Code(Clip(p.Fingerprint, 64))
	if p.Commit != "" {
		foot += " of " + Code(short(p.Commit))
	}
	if p.LookedAt.IsZero() {
		foot += ", from the record"
	} else {
		foot += ", looked at the providers at " + p.LookedAt.UTC().Format("2006-01-02 15:04 UTC")
	}
	out.b.WriteString(foot + "</sub>\n")
	return out.b.String()
}

// brief is what a client's change means; it is told whatever else has to go.
func (c Change) brief() string {
	out := "\n#### " + Code(c.Client) + "\n"
	var words []string
	for _, s := range consequences(c, setting{when: "when this is merged", approve: "/reconciler approve"}) {
		words = append(words, s.markdown())
	}
	if len(words) > 0 {
		out += "\n" + strings.Join(words, " ") + "\n"
	}
	return out
}

// noSteps stands where steps are too long.
func (c Change) noSteps() string {
	return "\n" + count(len(c.Steps), "step") + ", too long to show here.\n"
}

// steps are a client's steps, folded.
func (c Change) steps() string {
	var b strings.Builder
	b.WriteString("\n<details><summary>" + count(len(c.Steps), "step") + ", " + count(c.calls(), "provider call") + "</summary>\n\n")
	b.WriteString("| | Step | Action | What | At | Why |\n|---|---|---|---|---|---|\n")
	for i, s := range c.Steps {
		if i == maxSteps {
			b.WriteString("| | " + count(len(c.Steps)-maxSteps, "step") + " more | | | | |\n")
			break
		}
		b.WriteString("| " + sign(s.Action) + " | " + Text(cell(s.Step)) + " | " + Text(cell(s.Action)) + " | " + Code(cell(s.Ref)) + " | " + Text(cell(orDash(s.Provider))) + " | " + s.why() + " |\n")
	}
	b.WriteString("\n</details>\n")
	return b.String()
}

// why is the last cell of a step: its reason, its differences, its risk.
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
		if s.Undo != "" {
			parts = append(parts, "undo: "+Text(cell(s.Undo)))
		}
	}
	if s.Held != "" {
		parts = append(parts, "held: "+Code(cell(s.Held)))
	}
	return strings.Join(parts, "<br>")
}
