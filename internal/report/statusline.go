package report

import (
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// StatusLine is a commit status: pending, success, failure or error, in at most MaxStatus
// characters.
type StatusLine struct{ State, Text string }

// States of a StatusLine: failure when a person must act, error when we, Git or a provider
// failed.
const (
	statePending = "pending"
	stateSuccess = "success"
	stateFailure = "failure"
	stateError   = "error"
)

func statusLine(state, text string) StatusLine {
	return StatusLine{state, ClipWords(Line(text), MaxStatus)}
}

// squeezed is head and tail, with as much of head as there is room for.
func squeezed(state, head, tail string) StatusLine {
	tail = Line(tail)
	return StatusLine{state, ClipWords(Line(head), MaxStatus-len([]rune(tail))) + tail}
}

// Validate is the status reconciler/validate of the head.
func (p PullPlan) Validate() StatusLine {
	files, _ := p.problems()
	switch {
	case p.Stage == StageConflict:
		return p.conflicts()
	case !p.Checked && p.Stage == StageFailed:
		return statusLine(stateError, p.whyFailed())
	case !p.Checked && (p.Stage == StageClosed || p.Stage == StageMerged):
		return statusLine(stateError, "closed before the files were checked")
	case !p.Checked && p.Files > 0:
		return statusLine(statePending, "checking "+count(p.Files, "manifest"))
	case !p.Checked:
		return statusLine(statePending, "checking")
	case len(files) > 0:
		q, tail := files[0], ""
		text := q.where() + " " + q.Text
		if q.Hint != "" {
			text += ": " + q.Hint
		}
		if more := len(files) - 1; more > 0 {
			tail = " (+" + number(more) + " more)"
		}
		return squeezed(stateFailure, text, tail)
	case p.Files == 0:
		return statusLine(stateSuccess, "no client manifest changed")
	}
	return statusLine(stateSuccess, count(p.Files, "manifest")+" valid")
}

func (p PullPlan) conflicts() StatusLine {
	if len(p.Conflicts) == 0 {
		return statusLine(stateFailure, "conflicts with the base: merge or rebase it")
	}
	tail := ""
	if more := len(p.Conflicts) - 1; more > 0 {
		tail = " (+" + number(more) + " more)"
	}
	return squeezed(stateFailure, "conflicts with the base: "+p.Conflicts[0], tail)
}

func (p PullPlan) whyFailed() string {
	text := p.Cause
	if text == "" {
		text = "the plan could not be made"
	}
	if p.RetryAt.IsZero() {
		return text
	}
	return ClipWords(Line(text), MaxStatus-40) + "; tried again at " + p.RetryAt.UTC().Format("15:04 UTC")
}

// Status is the status reconciler/plan of the head.
func (p PullPlan) Status() StatusLine {
	switch p.Stage {
	case StagePlanning:
		if p.Files > 0 {
			return statusLine(statePending, "planning "+count(p.Files, "manifest"))
		}
		return statusLine(statePending, "planning")
	case StageOutdated:
		return statusLine(statePending, "planning again: something moved since the last plan")
	case StageConflict:
		return p.conflicts()
	case StageFork:
		return statusLine(stateFailure, "a fork is planned when a maintainer comments /reconciler plan "+p.Head)
	case StageFailed:
		return statusLine(stateError, p.whyFailed())
	}
	if p.Stage != StagePlanned && !p.Checked {
		return statusLine(stateError, "closed before it was planned")
	}
	return p.planned()
}

// planned words a plan that is there: what is wrong, how much changes, what people notice,
// what would wait.
func (p PullPlan) planned() StatusLine {
	files, planning := p.problems()
	state := stateSuccess
	var parts []string
	if n := len(invalidPaths(files)); n > 0 {
		state = stateFailure
		parts = append(parts, count(n, "file")+" "+verb(n, "is", "are")+" invalid")
	}
	switch {
	case clientsOf(planning) == 1:
		state = stateFailure
		parts = append(parts, strings.TrimPrefix(Clip(Line(planning[0].Client), 40)+": "+ClipWords(Line(planning[0].Text), 60), ": "))
	case len(planning) > 0:
		state = stateFailure
		parts = append(parts, count(clientsOf(planning), "client")+" can't be planned")
	}
	n := len(p.Plan.Changes)
	if n == 0 {
		if len(parts) == 0 {
			return statusLine(stateSuccess, "no client changes")
		}
		return statusLine(state, strings.Join(parts, "; "))
	}
	text := count(n, "client") + " " + verb(n, "changes", "change")
	if n == 1 {
		c := p.Plan.Changes[0]
		parts = append(parts, text+": "+Clip(Line(c.Client), 50)+" "+turnOf(c, p.Clients[c.Client]).happens(1))
		return statusLine(state, strings.Join(append(parts, p.asides()...), "; "))
	}
	for t, who := range p.risks() {
		if len(who) > 0 {
			text += ", " + number(len(who)) + " " + turn(t).happens(len(who))
		}
	}
	parts = append(parts, text)
	return statusLine(state, strings.Join(append(parts, p.asides()...), "; "))
}

// asides are what a reviewer should know besides: what would wait, who claims the same name.
func (p PullPlan) asides() []string {
	var out []string
	if waits := p.waits(); waits != "" {
		out = append(out, waits)
	}
	for _, o := range p.Others {
		if o.Host != "" {
			return append(out, "pull request "+number(o.Number)+" claims "+Clip(Line(o.Host), 60)+", too")
		}
	}
	return out
}

// waits says how many steps would wait after the merge, and for what; "": none.
func (p PullPlan) waits() string {
	all := p.held()
	if len(all) == 0 {
		if len(p.wide()) > 0 {
			return "part of it would wait for an approval"
		}
		return ""
	}
	sum, itself := 0, true
	var until time.Time
	for _, w := range all {
		sum += w.steps
		h, known := p.hold(w.fingerprint)
		itself = itself && known && !h.Until.IsZero()
		if h.Until.After(until) {
			until = h.Until
		}
	}
	if itself {
		return count(sum, "step") + " would wait until " + stamp(until)
	}
	return count(sum, "step") + " would wait for an approval"
}

// maxTrouble is how much of what makes somebody wait a status has room for.
const maxTrouble = 80

// Running is how far the work on a commit has come.
type Running struct {
	Total, Done int    // clients
	Client      string // one that is at work; ""
	Step        int    // its step, 1 to 8; 0: not known
	Trouble     string // what makes somebody wait: "Cloudflare does not answer"; their text
}

// Progress is a pending reconciler/apply.
func (r Running) Progress() StatusLine {
	text := number(r.Done) + "/" + count(r.Total, "client") + " done"
	if r.Client != "" {
		text += ", " + Clip(Line(r.Client), 50)
		if r.Step > 0 {
			text += ": " + stepOf(r.Step)
		}
	}
	if r.Trouble != "" {
		return squeezed(statePending, text, "; "+ClipWords(Line(r.Trouble), maxTrouble))
	}
	return statusLine(statePending, text)
}

// Finished is the last reconciler/apply of a commit. took is how long it was; 0 is not
// told. fault says that what failed is ours or a provider's to mend. name is as for Status.
func Finished(v state.Verdict, name func(state.ClientID) string, took time.Duration, fault bool) StatusLine {
	n := v.Tally()
	total := len(v.Invalid)
	for _, k := range n {
		total += k
	}
	bad := n["failed"] + n["invalid"] + n["held"] + len(v.Invalid)
	switch {
	case total == 0:
		return statusLine(stateSuccess, "no client changes")
	case n["succeeded"] == total:
		text := count(total, "client") + " up to date"
		if took > 0 {
			text += " in " + Took(took)
		}
		return statusLine(stateSuccess, text)
	case n["pending"] > 0:
		return statusLine(statePending, Status(v, name))
	case bad == 0:
		return statusLine(stateSuccess, Status(v, name))
	case fault && bad == n["failed"]:
		return statusLine(stateError, Status(v, name))
	}
	return statusLine(stateFailure, Status(v, name))
}
