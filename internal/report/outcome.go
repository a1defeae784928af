package report

import (
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
)

// Outcome is how a pass ended for one client, in the order in which people ask: does it
// still work, why did it stop, what shall I do.
type Outcome struct {
	Good     bool
	headline sentence
	works    []sentence
	cause    string // their text
	next     string // their text
}

// Result words the end of a pass. c is the client and d its audit record after the
// pass; kept are the resources of the client that are retained.
func Result(c state.Client, d state.Deployment, kept []state.Resource) Outcome {
	o := Outcome{cause: d.Error, next: d.Next}
	if o.cause == "" {
		o.cause = c.Because
	}
	if o.next == "" {
		o.next = c.Next
	}
	head := func(spans ...span) { o.headline = sentence{true, append([]span{quote(c.Name)}, spans...)} }
	switch {
	case d.State == "succeeded" && c.Removed:
		o.Good, o.cause, o.next = true, "", ""
		head(say(" is offline."))
		for _, r := range kept {
			if r.Ref.Kind == state.KindAdmin {
				continue // it stays with its database
			}
			o.works = append(o.works, keptSentence(r))
		}
		if len(kept) > 0 {
			o.works = append(o.works, sentence{false, []span{say("Reverting brings it back.")}})
		}
	case d.State == "succeeded":
		o.Good, o.cause, o.next = true, "", ""
		if c.URL == "" {
			head(say(" is done."))
		} else {
			head(say(" is live at "), link(c.URL), say("."))
		}
	case d.State == "superseded":
		o.Good, o.cause, o.next = true, "", ""
		head(say(" was overtaken: a newer commit replaced this wish."))
	case d.State == "held":
		head(say(" waits."))
		o.works = stillWorks(c, d)
	case !c.Quarantined.IsZero():
		// What the last try came to nobody knows: which version serves is not said, nor that
		// it goes on.
		head(say(" is left alone: this program fails at work on it."))
		o.cause, o.next = c.Because, c.Next
	case d.State == "waiting" || d.State == "interrupted" || d.State == "running":
		o.Good = true
		head(say(" is not done yet; it goes on by itself" + at(c.RetryAt) + "."))
		o.works = stillWorks(c, d)
		o.next = ""
	default:
		if s := failedStep(d); s != nil {
			head(say(" stopped at "), quote(stepWord(*s)), say("."))
		} else {
			head(say(" failed."))
		}
		o.works = stillWorks(c, d)
	}
	for _, s := range o.works { // once is enough
		o.cause = strings.TrimPrefix(o.cause, s.terminal()+" ")
	}
	return o
}

func at(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " at " + t.UTC().Format("2006-01-02 15:04:05Z")
}

// stillWorks says what is untouched by a pass that did not end well.
func stillWorks(c state.Client, d state.Deployment) []sentence {
	one := func(text string) []sentence { return []sentence{{false, []span{say(text)}}} }
	switch {
	case c.Removed:
		return one("Its data is kept.")
	case c.RollingBack != "":
		return one("What had been changed is being put back; nothing is lost.")
	case strings.Contains(c.Because, state.NotPutBack):
		return nil // what runs, the cause says
	case c.EverDeployed && d.State == "held" && onlyLeft(d):
		return one("All else is done.")
	case c.EverDeployed && leftOver(d) && !strings.HasPrefix(c.Because, "Your site runs"):
		return nil // it wishes none
	case c.EverDeployed && leftOver(d):
		return one("Your site runs the new version.")
	case c.EverDeployed && strings.HasPrefix(c.Because, state.RunsUnnamed):
		return one(state.RunsUnnamed)
	case c.EverDeployed && strings.HasPrefix(c.Because, state.RunsApart):
		return one(state.RunsApart)
	case c.EverDeployed && c.URL == "":
		return nil // it has no site
	case c.EverDeployed && c.Health == state.Degraded:
		return one("Your site runs the old version, which does not answer as it should.")
	case c.EverDeployed:
		return one("Your site still runs the old version.")
	case d.State == "rolled back":
		return one("It was not live before. What this run had made was taken back; its database, if there was one, is kept.")
	}
	var made []string
	for _, s := range d.Steps {
		if s.State == "done" && plan.Action(s.Action).Writes() {
			made = append(made, stepWord(s))
		}
	}
	if len(made) == 0 {
		return one("It was not live before, and nothing was made yet.")
	}
	return []sentence{{false, []span{say("It was not live before. What was made stays, for the next try: "), quote(strings.Join(unique(made), ", ")), say(".")}}}
}

func unique(in []string) []string {
	var out []string
	for i, s := range in {
		if i == 0 || s != out[len(out)-1] {
			out = append(out, s)
		}
	}
	return out
}

// stepWord is the word of one of the eight steps; of a record without a number its own.
func stepWord(s state.StepRun) string {
	if s.Number > 0 {
		return plan.StepName(s.Number)
	}
	return s.Step
}

func failedStep(d state.Deployment) *state.StepRun {
	for i := range d.Steps {
		if d.Steps[i].State == "failed" {
			return &d.Steps[i]
		}
	}
	return nil
}

// leftOver says that only what was replaced could not be removed.
func leftOver(d state.Deployment) bool {
	return failedStep(d) != nil && onlyLeft(d)
}

// onlyLeft says that all that is wished was done, and that only what is to be taken away waits.
func onlyLeft(d state.Deployment) bool {
	for _, s := range d.Steps {
		if s.State != "done" && !plan.Action(s.Action).Ends() {
			return false
		}
	}
	return len(d.Steps) > 0
}

func keptSentence(r state.Resource) sentence {
	if r.Ref.Kind == state.KindPayments {
		return sentence{false, []span{say("Its payments account stays at "), quote(r.Provider), say(" as it is: it is its owner's; close it there if it should go.")}}
	}
	word := kindWord(string(r.Ref.Kind) + "/")
	if r.Provider == external {
		return sentence{false, []span{say("Its " + word + " stays where it is: " + keeperErases + ".")}}
	}
	if r.PurgeAfter.IsZero() {
		return sentence{false, []span{say("Its " + word + " stays for ever.")}}
	}
	return sentence{false, []span{say("Its " + word + " stays until " + Day(r.PurgeAfter) + ", then it is erased.")}}
}

// Line is the outcome in at most MaxStatus characters.
func (o Outcome) Line() string {
	text := o.headline.terminal()
	if !o.Good && o.cause != "" {
		text = strings.TrimSuffix(text, ".") + ": " + Line(o.cause)
	}
	return ClipWords(text, MaxStatus)
}

// Terminal is the outcome for a terminal.
func (o Outcome) Terminal(opt Options) string {
	head := o.headline.terminal()
	if o.Good {
		head = opt.green(head)
	} else {
		head = opt.red(head)
	}
	var b strings.Builder
	b.WriteString(head + "\n")
	for _, s := range o.works {
		b.WriteString("  " + s.terminal() + "\n")
	}
	if o.cause != "" {
		b.WriteString("  Cause: " + Line(o.cause) + "\n")
	}
	if o.next != "" {
		b.WriteString("  What to do: " + Line(o.next) + "\n")
	}
	return b.String()
}

// Markdown is the outcome for a comment.
func (o Outcome) Markdown() string {
	var b strings.Builder
	b.WriteString(o.headline.markdown())
	for _, s := range o.works {
		b.WriteString(" " + s.markdown())
	}
	b.WriteString("\n")
	if o.cause != "" {
		b.WriteString("\n**Cause:** " + prose(o.cause) + "\n")
	}
	if o.next != "" {
		b.WriteString("\n**What to do:** " + prose(o.next) + "\n")
	}
	return b.String()
}
