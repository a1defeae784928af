package report

import (
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
)

// group is what one of the eight steps did.
type group struct {
	label          string // "deploy"; of several that were not begun the first and the last
	state          string
	started, ended time.Time
	what           []string
	notes          []string
}

// stateRank orders the states of steps, the worst last.
func stateRank(s string) int {
	for i, k := range []string{"", "done", "skipped", "undone", "superseded", "pending", "running", "unknown", "waiting", "parked", "failed"} {
		if s == k {
			return i
		}
	}
	return 0
}

// groups are a run's steps by their number, in order.
func groups(d state.Deployment) []group {
	by := map[int]*group{}
	for _, s := range d.Steps {
		g := by[s.Number]
		if g == nil {
			g = &group{}
			by[s.Number] = g
		}
		if g.state == "" || stateRank(s.State) > stateRank(g.state) {
			g.state = s.State
		}
		if !s.Started.IsZero() && (g.started.IsZero() || s.Started.Before(g.started)) {
			g.started = s.Started
		}
		if s.Ended.After(g.ended) {
			g.ended = s.Ended
		}
		what := Text(cell(s.Action)) + " " + Text(cell(string(s.Ref.Kind))) + " " + Code(cell(s.Ref.Name))
		if plan.Action(s.Action) != plan.Record && !slices.Contains(g.what, what) { // what was changed, and changed back, says its result
			g.what = append(g.what, what)
		}
		note := ""
		switch {
		case s.Error != "":
			note = "**" + Text(cell(s.Error)) + "**"
		case s.Note != "":
			note = Text(cell(s.Note))
		}
		if note != "" && !slices.Contains(g.notes, note) {
			g.notes = append(g.notes, note)
		}
	}
	var out []group
	for n := 0; n <= plan.StepRecord; n++ {
		g := by[n]
		if g == nil {
			continue
		}
		g.label = plan.StepName(n)
		if last := len(out) - 1; last >= 0 && g.idle() && out[last].idle() {
			first, _, _ := strings.Cut(out[last].label, " ")
			out[last].label, out[last].what = first+" … "+g.label, nil
			continue
		}
		out = append(out, *g)
	}
	return out
}

// idle says that nothing of it was begun, and nothing is to be said of it.
func (g group) idle() bool { return resultOf(g.state) == notBegun && len(g.notes) == 0 }

// rows are the steps with results and durations; "" if there are none.
func (c ClientResult) rows() string {
	all := groups(c.Run)
	if len(all) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("\n| Step | Result | Time | What |\n|---|---|--:|---|\n")
	for _, g := range all {
		took := ""
		if !g.started.IsZero() && g.ended.After(g.started) && (g.state == "done" || g.state == "failed") {
			took = tight(Took(g.ended.Sub(g.started)))
		}
		what := g.what
		if len(what) > maxRunsOfStep {
			what = append(what[:maxRunsOfStep:maxRunsOfStep], number(len(g.what)-maxRunsOfStep)+" more")
		}
		notes := g.notes
		if len(notes) > maxRunsOfStep {
			notes = append(notes[:maxRunsOfStep:maxRunsOfStep], number(len(g.notes)-maxRunsOfStep)+" more")
		}
		b.WriteString("| " + g.label + " | " + resultOf(g.state) + " | " + took + " | " + strings.Join(append([]string{strings.Join(what, ", ")}, notes...), "<br>") + " |\n")
	}
	return b.String()
}

const notBegun = "○&nbsp;not&nbsp;begun"

// resultOf is a step's state with a sign.
func resultOf(s string) string {
	switch s {
	case "done":
		return "✔&nbsp;done"
	case "failed":
		return "✘&nbsp;failed"
	case "waiting", "parked":
		return "…&nbsp;waits"
	case "running":
		return "▶&nbsp;running"
	case "unknown":
		return "?&nbsp;not&nbsp;known"
	case "skipped", "pending", "superseded":
		return notBegun
	case "undone":
		return "↩&nbsp;taken&nbsp;back"
	}
	return Text(cell(s))
}
