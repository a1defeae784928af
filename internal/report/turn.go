package report

import (
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
)

// turn is what a change means for a client, in one word of ours. The worst come first: a
// client is counted under the first that is true of it.
type turn int

const (
	turnErased turn = iota
	turnData
	turnGap
	turnMail
	turnOffline
	turnStops
	turnKept
	turnReturns
	turnRenamed
	turnNew
	turnMoved
	turnChanged
	turnRecord
	turns // how many there are
)

// turnOf is the first word that is true of a change.
func turnOf(c Change, a About) turn {
	f := factsOf(c)
	_, _, moved := moved(c)
	switch {
	case len(f.purged) > 0:
		return turnErased
	case f.data:
		return turnData
	case f.gap:
		return turnGap
	case f.mail:
		return turnMail
	case f.offline:
		return turnOffline
	case len(f.stops) > 0:
		return turnStops
	case len(f.retained) > 0:
		return turnKept
	case len(f.returned) > 0:
		return turnReturns
	case a.From != "":
		return turnRenamed
	case f.live:
		return turnNew
	case moved:
		return turnMoved
	}
	for _, s := range c.Steps {
		if plan.Action(s.Action) != plan.Record {
			return turnChanged
		}
	}
	return turnRecord
}

// happens says in a table of kinds what clients do; one is true of one, many of more.
func (t turn) happens(n int) string {
	var one, many string
	switch t {
	case turnErased:
		one, many = "loses data for ever", "lose data for ever"
	case turnData:
		one, many = "has data at risk", "have data at risk"
	case turnGap:
		one, many = "has a time without service", "have a time without service"
	case turnMail:
		one, many = "may lose mail", "may lose mail"
	case turnOffline:
		one, many = "goes offline", "go offline"
	case turnStops:
		one, many = "loses a name", "lose a name"
	case turnKept:
		one, many = "stops using data, which is kept", "stop using data, which is kept"
	case turnReturns:
		one, many = "comes back with its data", "come back with their data"
	case turnRenamed:
		one, many = "is renamed", "are renamed"
	case turnNew:
		one, many = "is new", "are new"
	case turnMoved:
		one, many = "moves to another provider", "move to another provider"
	case turnRecord:
		one, many = "changes on record only", "change on record only"
	default:
		one, many = "changes", "change"
	}
	if n == 1 {
		return one
	}
	return many
}

// loud says that people or data would notice: it belongs into the first line.
func (t turn) loud() bool { return t <= turnStops }

// moved says from where to where a client's site moves.
func moved(c Change) (from, to string, ok bool) {
	for _, s := range c.Steps {
		if kindOf(s.Ref) != state.KindSite {
			continue
		}
		switch plan.Action(s.Action) {
		case plan.Create:
			to = s.Provider
		case plan.Delete, plan.Forget:
			from = s.Provider
		}
	}
	return from, to, from != "" && to != "" && from != to
}

// what is the cell that says what happens to a client.
func (c Change) what(a About) string {
	f := factsOf(c)
	var out []string
	add := func(s string) { out = append(out, s) }
	if a.From != "" {
		add("**renamed** from " + Code(cell(a.From)))
	}
	switch from, to, is := moved(c); {
	case f.offline:
		add("**goes offline**")
	case f.live && len(f.returned) > 0:
		add("**comes back**")
	case f.live:
		add("**new**: goes live")
	case is:
		add("**moves** from " + Text(cell(from)) + " to " + Text(cell(to)))
	}
	if len(f.stops) > 0 && !f.offline {
		add("**" + count(len(f.stops), "name") + "** " + verb(len(f.stops), "stops", "stop") + " answering")
	}
	if len(out) == 0 || a.From != "" {
		switch kinds := c.touches(); {
		case len(kinds) > 0:
			add("changes: " + strings.Join(kinds, ", "))
		case turnOf(c, a) == turnRecord:
			add("only its record changes")
		}
	}
	switch who, is := strings.CutPrefix(f.waits, "waiting for "); {
	case is:
		add("**part of it waits** for " + Text(cell(who)))
	case f.waits != "" && strings.HasPrefix(f.waits, "paused"):
		add("**waits**: it is paused")
	case len(f.holds) > 0 || f.waits != "":
		add("**part of it waits**")
	}
	if len(out) == 0 {
		add("is looked at")
	}
	return strings.Join(out, "; ")
}

// verb is the word for one or for many.
func verb(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// touches are the kinds of things that a change writes, in its order, once each.
func (c Change) touches() []string {
	seen := map[string]bool{}
	var out []string
	for _, s := range c.Steps {
		if a := plan.Action(s.Action); !a.Writes() && a != plan.Retain && a != plan.Return && a != plan.Adopt && a != plan.Forget {
			continue
		}
		w := part(s.Ref)
		if !seen[w] {
			seen[w] = true
			out = append(out, w)
		}
	}
	return out
}

// part is a kind of thing as reviewers call it.
func part(ref string) string {
	switch k := kindOf(ref); k {
	case state.KindDeployment, state.KindTraffic:
		return "release"
	case state.KindRecord:
		return "DNS records"
	case state.KindAdmin:
		return "administrator"
	}
	return kindWord(ref)
}

// atRisk is the cell about a client's data.
func (c Change) atRisk() string {
	f := factsOf(c)
	switch {
	case len(f.purged) > 0:
		return "**erased for ever**"
	case len(f.moves) > 0:
		return "**moves**; the old one is kept"
	case f.data:
		return "**at risk**"
	case len(f.retained) > 0:
		var until time.Time
		if !slices.ContainsFunc(f.retained, func(s Step) bool { return s.Provider != external }) {
			return "no; it stays where it is"
		}
		for _, s := range f.retained {
			if s.PurgeAfter.IsZero() || s.Provider == external {
				continue
			}
			if until.IsZero() || s.PurgeAfter.Before(until) {
				until = s.PurgeAfter
			}
		}
		if until.IsZero() {
			return "kept for ever"
		}
		return "kept until " + Day(until)
	case len(f.returned) > 0:
		return "no; it comes back"
	}
	return "no"
}

// downtime is the cell about what does not answer, and when; what goes stays until removeAfter, "" is not at all.
func (c Change) downtime(removeAfter string) string {
	f := factsOf(c)
	switch {
	case f.offline:
		if removeAfter != "" {
			return "**offline " + Text(cell(removeAfter)) + " after the merge**"
		}
		return "**offline from the merge on**"
	case f.gap:
		return "**" + Text(cell(f.howLong())) + "**, see below"
	case len(f.moves) > 0:
		return "**writes fail** while it is copied"
	case f.mail:
		return "**mail may stop**"
	case len(f.stops) > 0:
		return "**" + count(len(f.stops), "name") + "**"
	}
	return "none"
}

// undo is the cell about the way back.
func (c Change) undo() string {
	f := factsOf(c)
	switch {
	case len(f.purged) > 0:
		return "**none**"
	case f.data:
		return "see its steps"
	case len(f.retained) > 0:
		return "revert: its data comes back"
	}
	return "revert"
}

// takes is the cell about how long it takes, or else how much there is to do.
func (c Change) takes(a About) string {
	if a.Takes > 0 {
		return tight("about " + Took(a.Takes))
	}
	return tight(count(c.calls(), "call"))
}

// tight is a text of ours that a table does not break.
func tight(s string) string { return strings.ReplaceAll(s, " ", "&nbsp;") }

// Took is a duration as people read it, in two units at most: 38 s, 2 min 43 s, 1 h 5 min.
func Took(d time.Duration) string {
	if d < time.Second {
		if d <= 0 {
			return "0 s"
		}
		return "less than 1 s"
	}
	s := int64(d / time.Second)
	two := func(big int64, a string, small int64, b string) string {
		if small == 0 {
			return number(int(big)) + " " + a
		}
		return number(int(big)) + " " + a + " " + number(int(small)) + " " + b
	}
	switch {
	case s < 60:
		return number(int(s)) + " s"
	case s < 3600:
		return two(s/60, "min", s%60, "s")
	case s < 24*3600:
		return two(s/3600, "h", s%3600/60, "min")
	}
	return two(s/(24*3600), "d", s%(24*3600)/3600, "h")
}
