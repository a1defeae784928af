package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// Client is one client as `status` and `why` show it.
type Client struct {
	Name, Status, Health, URL, Commit string
	Because, Next                     string
	Since                             time.Time // of the status; zero: not known
	HealthBecause                     string    // why its site is degraded
	HealthSince                       time.Time
	RetryAt                           time.Time
	Problem                           *state.FileProblem // of its file at the head
	Holds                             []state.Hold
	Last                              *state.Deployment
	Resources                         []state.Resource
	Intents                           []string          // writes whose end is not known
	LookAt                            time.Time         // when they are looked for again; zero: now
	Tombstones                        []state.Tombstone // what its removal waits for
	Now                               time.Time         // no date before it is waited for
	Drift                             []Drift
	LastLook                          string // how long ago the schedule looked at all of it
	LookFailed                        string // why the last look saw not all
	Size                              Size   // of its database
}

// Size is how much is in a client's database; Bytes 0: not known.
type Size struct {
	Provider, ID string
	Bytes        int64
	Seen         string // how long ago
}

func (s Size) text() string { return "about " + state.Amount(s.Bytes) + ", seen " + Line(s.Seen) }

// Line is a sentence about a client's database, "" where its size is not known.
func (s Size) Line() string {
	if s.Bytes == 0 {
		return ""
	}
	return "its database at " + Line(s.Provider) + " holds " + s.text()
}

// Drift is something of a client that is not as recorded.
type Drift struct {
	Text, Next, Policy string
	Since              time.Time
	Looks              int
}

// Overview is every client, what is invalid and what waits.
func Overview(clients []Client, problems []state.FileProblem, holds []state.Hold, o Options) string {
	var b strings.Builder
	if len(clients) == 0 {
		b.WriteString("No clients yet. Add a manifest to the repository and push.\n")
	} else {
		var rows [][]string
		for _, c := range clients {
			rows = append(rows, []string{c.Name, c.Status, orDash(c.Health), orDash(c.URL), orDash(short(c.Commit)), Beside(c.Because, c.Name, problems, "see below")})
		}
		b.WriteString(Table([]string{"CLIENT", "STATUS", "HEALTH", "URL", "COMMIT", "BECAUSE"}, rows, o))
	}
	for _, p := range problems {
		b.WriteString("\n" + ProblemOf(p).Terminal(o))
	}
	for _, h := range holds {
		b.WriteString("\n" + o.yellow(heldOr(h)+" "+Line(h.Fingerprint)) + ": " + Line(h.Reason) + "\n  " + Line(h.Act) + "\n")
	}
	return b.String()
}

// goesOn says that a hold is a change on its way: it waits for nobody.
func goesOn(h state.Hold) bool { return h.Waves != nil && !h.Waves.Halted }

func heldOr(h state.Hold) string {
	if goesOn(h) {
		return "rolling out"
	}
	return "held"
}

// Beside is why a client is as it is, beside the problems of its file: what one of them says
// is not said again, but where it stands.
func Beside(because, client string, problems []state.FileProblem, where string) string {
	for _, p := range problems {
		if rest, is := says(because, p); is && p.Client == client {
			if state.AsksInVain(p.Text) {
				return "what its file asks for waits (" + where + ")" + rest
			}
			return "its file is invalid (" + where + ")" + rest
		}
	}
	return because
}

// says says that a reason is a problem, and what it adds.
func says(because string, p state.FileProblem) (rest string, is bool) {
	if p.Text == "" {
		return because, false
	}
	if rest, is = strings.CutPrefix(because, ProblemOf(p).where()+": "+p.Text); is {
		return rest, true
	}
	return strings.CutPrefix(because, p.Text)
}

// lastGood is what a reason adds to a problem where nothing else is to be said.
const lastGood = ". Its last good version stays."

// once is a reason without what the problem below it says.
func (c Client) once() string {
	if c.Problem == nil {
		return c.Because
	}
	rest, is := says(c.Because, *c.Problem)
	if is && rest == lastGood {
		return ""
	}
	return strings.TrimPrefix(rest, ". ")
}

// ProblemOf is a recorded problem; the record holds no source line.
func ProblemOf(p state.FileProblem) Problem {
	return Problem{Client: p.Client, Path: p.Path, Line: p.Line, Column: p.Column, Text: p.Text, Hint: p.Hint}
}

// Why says why a client is as it is, since when, what to do, and what waits for whom:
// first that, then the evidence.
func (c Client) Why(o Options) string {
	var b strings.Builder
	b.WriteString(o.bold(Line(c.Name)) + " is " + Line(c.Status))
	if !c.Since.IsZero() {
		b.WriteString(" since " + moment(c.Since))
	}
	if because := c.once(); because != "" {
		b.WriteString(": " + Line(because))
	}
	b.WriteString("\n")
	if c.URL != "" {
		b.WriteString("It is at " + Line(c.URL))
		if c.Health != "" {
			b.WriteString(", health " + Line(c.Health))
		}
		if c.HealthBecause != "" {
			b.WriteString(" since " + moment(c.HealthSince) + ": " + Line(c.HealthBecause))
		}
		b.WriteString("\n")
	}
	if c.Next != "" && (c.Problem == nil || c.Next != c.Problem.Hint) { // else it stands below
		b.WriteString("What to do: " + Line(c.Next) + "\n")
	}
	if !c.RetryAt.IsZero() {
		b.WriteString("Goes on by itself" + at(c.RetryAt) + "\n")
	}
	if c.Problem != nil {
		if state.AsksInVain(c.Problem.Text) {
			b.WriteString("What the file at the head asks for waits")
		} else {
			b.WriteString("The file at the head is invalid")
		}
		if c.Status != string(state.StatusInvalid) || len(c.Resources) > 0 {
			b.WriteString("; the last good version stays")
		}
		b.WriteString(".\n" + ProblemOf(*c.Problem).Terminal(o))
	}
	b.WriteString(c.waits(o))
	b.WriteString(c.drift(o))
	b.WriteString(c.lastPass(o))
	b.WriteString(c.onRecord(o))
	return b.String()
}

// waits are what is not done yet, and whom or what it waits for.
func (c Client) waits(o Options) string {
	var lines []string
	for _, h := range c.Holds {
		whom := "a person"
		switch {
		case !h.Until.IsZero():
			whom = "a person, or " + moment(h.Until)
		case strings.HasPrefix(h.Act, state.ApprovedAlready):
			whom = "its next pass"
		case !h.Approvable:
			whom = "a commit"
		case goesOn(h):
			whom = "the clients before it, or a person"
		}
		line := o.yellow(heldOr(h)+" "+Line(h.Fingerprint)) + " waits for " + whom
		switch because := c.once(); { // what stands above is not said again
		case because == h.Reason+" "+h.Act, because == h.Reason && c.Next == h.Act:
		case because == h.Reason:
			line += ": " + Line(h.Act)
		default:
			line += ": " + Line(h.Reason) + "\n    " + Line(h.Act)
		}
		lines = append(lines, line)
	}
	for _, t := range c.Tombstones {
		if t.Done {
			continue
		}
		what := "its removal"
		if t.Part != "" {
			what = "the removal of " + Line(t.Part)
		}
		switch {
		case slices.ContainsFunc(c.Holds, func(h state.Hold) bool { return h.Fingerprint == t.Held && !h.Approvable }): // it says itself what helps
		case t.Held != "":
			lines = append(lines, what+" waits for a person: `reconciler approve "+Line(t.Held)+"`, or put it back")
		case t.Waits != "":
			lines = append(lines, what+" waits for "+Line(t.Waits)+", which is invalid")
		case t.NotUntil.After(c.Now): // once that is past, Because says why it is still there
			lines = append(lines, what+" waits until "+moment(t.NotUntil)+"; a revert until then costs nothing")
		}
	}
	for _, i := range c.Intents {
		when := "before anything else"
		if !c.LookAt.IsZero() {
			when = "again at " + moment(c.LookAt) + ", as the provider's lists may be late"
		}
		lines = append(lines, "it is not known how `"+Line(i)+"` ended: it is looked for "+when)
	}
	if c.Last != nil {
		for _, s := range c.Last.Steps {
			if s.State != "waiting" && s.State != "parked" {
				continue
			}
			whom := s.Provider
			if s.State == "parked" {
				whom = "a person, at " + s.Provider
			}
			lines = append(lines, Line(s.Action+" "+string(s.Ref.Kind)+" "+s.Ref.Name)+" waits for "+Line(orDash(whom)))
		}
	}
	if len(lines) == 0 {
		return ""
	}
	return "\nWaits:\n  " + strings.Join(lines, "\n  ") + "\n"
}

// drift is what somebody changed outside, and how old the last look is.
func (c Client) drift(o Options) string {
	if len(c.Drift) == 0 && c.LookFailed == "" && (c.LastLook == "" || len(c.Resources) == 0) {
		return ""
	}
	text := "\nLooked at last by schedule: " + Line(orDash(c.LastLook))
	if c.LookFailed != "" {
		text += "; the last look saw not all of it: " + Line(c.LookFailed)
	}
	if len(c.Drift) == 0 {
		return text + "\n"
	}
	text += "\nChanged outside:\n"
	for _, d := range c.Drift {
		text += "  " + o.yellow(Line(d.Text)) + "\n    " + Line(d.Policy) + ", since " + moment(d.Since) + fmt.Sprintf(", looks: %d; ", d.Looks) + Line(d.Next) + "\n"
	}
	return text
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// StepWhat is what a step is about; of one that is about no resource, as the record is, its word.
func StepWhat(s state.StepRun) string {
	if s.Ref.Kind == "" {
		return stepWord(s)
	}
	return string(s.Ref.Kind) + " " + s.Ref.Name
}

func (c Client) lastPass(o Options) string {
	if c.Last == nil {
		return ""
	}
	head := "\nLast pass " + Line(c.Last.ID) + " (" + Line(c.Last.Cause) + ", commit " + Line(short(c.Last.Commit)) + "): " + Line(c.Last.State)
	if c.Last.State == "interrupted" && !strings.HasPrefix(c.Because, c.Last.Error) {
		head += ", as " + Line(c.Last.Error)
	}
	head += "\n"
	var rows [][]string
	for _, s := range c.Last.Steps {
		note := s.Note
		if s.Error != "" {
			note = strings.TrimPrefix(note+"; "+s.Error, "; ")
		}
		rows = append(rows, []string{s.State, s.Action, StepWhat(s), orDash(s.Provider), note})
	}
	if len(rows) == 0 {
		return head
	}
	return head + table([]string{"STATE", "ACTION", "WHAT", "AT", "NOTE"}, rows, "  ", o)
}

func (c Client) onRecord(o Options) string {
	if len(c.Resources) == 0 {
		return ""
	}
	var rows [][]string
	for _, r := range c.Resources {
		note := r.Message
		if r.Retained() {
			note = "kept for ever"
			switch {
			case !r.PurgeAfter.IsZero():
				note = "kept until " + moment(r.PurgeAfter)
			case r.Ref.Kind == state.KindAdmin:
				note = "kept with its database"
			case r.Ref.Kind == state.KindPayments:
				note = "out of use; it is its owner's"
			}
		} else if r.Ref.Kind == state.KindDatabase && r.ID == c.Size.ID && c.Size.Bytes > 0 {
			note = strings.TrimPrefix(note+"; "+c.Size.text(), "; ")
		}
		rows = append(rows, []string{string(r.Ref.Kind), r.Ref.Name, r.Provider, orDash(r.ID), note})
	}
	return "\nOn record:\n" + table([]string{"KIND", "NAME", "AT", "ID", "NOTE"}, rows, "  ", o)
}
