package report

import (
	"slices"
	"sort"
	"time"

	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
)

// Plan is a plan as people and scripts see it: `plan -o json` is this value.
type Plan struct {
	Commit      string    `json:"commit"`
	Fingerprint string    `json:"fingerprint"`
	Changes     []Change  `json:"changes"`
	Problems    []Problem `json:"problems"`
	LookedAt    time.Time `json:"lookedAt,omitzero"` // zero: the plan rests on the record
	// RemoveAfter is how long what goes stays still (guard.removeAfter), as a manifest writes it ("1h"); "": it goes at once.
	RemoveAfter string `json:"removeAfter,omitempty"`
}

// Change is one client's steps.
type Change struct {
	Client      string `json:"client"`
	Fingerprint string `json:"fingerprint"`
	Steps       []Step `json:"steps"`
}

// Step is one step; scripts rely on the names.
type Step struct {
	Step       string       `json:"step"`
	Action     string       `json:"action"`
	Ref        string       `json:"ref"` // kind/name; "" for the client as a whole
	Provider   string       `json:"provider"`
	Reason     string       `json:"reason"`
	Risk       string       `json:"risk"`
	Gap        string       `json:"gap,omitempty"` // of the risk gap: how long, in words; "": nobody knows
	Undo       string       `json:"undo"`
	Calls      int          `json:"calls"`
	Fields     []plan.Field `json:"fields"`
	PurgeAfter time.Time    `json:"purgeAfter,omitzero"` // retain; zero: for ever
	Held       string       `json:"held,omitempty"`      // the hold that it waits for
	Blocked    bool         `json:"blocked,omitempty"`   // it waits for what its reason says
}

// Of is a plan with the names of its clients, sorted by them. Commit and LookedAt are
// the plan's own.
func Of(p plan.Plan, names map[state.ClientID]string) Plan { return Printed(p, plan.Prints(p), names) }

// Printed is Of with the prints of the steps at hand.
func Printed(p plan.Plan, of []string, names map[state.ClientID]string) Plan {
	whole, prints := plan.Fingerprints(p, of)
	out := Plan{Commit: p.Commit, Fingerprint: whole, Changes: []Change{}, Problems: []Problem{}, LookedAt: p.LookedAt}
	at := map[state.ClientID]int{}
	for n, s := range slices.Concat(p.Steps, p.Later) {
		id := s.Ref.Client
		i, ok := at[id]
		if !ok && n >= len(p.Steps) {
			continue // it waits for its time, and nothing of this plan is about its client
		}
		if !ok {
			i = len(out.Changes)
			at[id] = i
			name := names[id]
			if name == "" {
				name = string(id)
			}
			out.Changes = append(out.Changes, Change{Client: name, Fingerprint: prints[id]})
		}
		fields := s.Fields
		if fields == nil {
			fields = []plan.Field{}
		}
		out.Changes[i].Steps = append(out.Changes[i].Steps, Step{Step: plan.StepName(s.Number), Action: string(s.Action), Ref: s.Ref.Part(),
			Provider: s.Provider, Reason: s.Reason, Risk: string(s.Risk), Gap: s.Gap, Undo: s.Undo, Calls: s.Calls, Fields: fields, PurgeAfter: s.PurgeAfter, Held: s.Held, Blocked: s.Blocked && s.Held == ""})
	}
	sort.SliceStable(out.Changes, func(i, j int) bool { return out.Changes[i].Client < out.Changes[j].Client })
	for _, q := range p.Problems {
		out.Problems = append(out.Problems, Problem{Client: q.Name, Text: q.Text, Hint: q.Act})
	}
	for _, w := range p.Warnings {
		out.Problems = append(out.Problems, Problem{Client: w.Name, Text: w.Text, Hint: w.Act, Warning: true})
	}
	return out
}

// Failed says that something is wrong enough to stop it; a warning is not.
func (p Plan) Failed() bool {
	for _, q := range p.Problems {
		if !q.Warning {
			return true
		}
	}
	return false
}

// Empty says that there is nothing to do and nothing to say.
func (p Plan) Empty() bool { return len(p.Changes) == 0 && len(p.Problems) == 0 }

// calls is the number of provider calls of a change.
func (c Change) calls() int {
	n := 0
	for _, s := range c.Steps {
		n += s.Calls
	}
	return n
}

// risk is the highest risk of a change.
func (c Change) risk() plan.Risk {
	worst := plan.RiskNone
	for _, s := range c.Steps {
		if r := plan.Risk(s.Risk); r.Rank() > worst.Rank() {
			worst = r
		}
	}
	return worst
}

// sign is an action in one character, so that a column of them reads at a glance.
func sign(action string) string {
	switch plan.Action(action) {
	case plan.Create:
		return "+"
	case plan.Update:
		return "~"
	case plan.Secure:
		return "§"
	case plan.Refresh:
		return "↻"
	case plan.Move:
		return ">"
	case plan.Replace:
		return "±"
	case plan.Transfer:
		return "»"
	case plan.Delete:
		return "-"
	case plan.Retain:
		return "•"
	case plan.Return:
		return "«"
	case plan.Purge:
		return "✗"
	case plan.Adopt:
		return "="
	case plan.Forget:
		return "°"
	case plan.Await:
		return "…"
	case plan.Probe:
		return "?"
	case plan.Record:
		return "✓"
	}
	return " "
}

// summary is the last line of a plan.
func (p Plan) summary() string {
	calls, problems, warnings := 0, 0, 0
	for _, c := range p.Changes {
		calls += c.calls()
	}
	for _, q := range p.Problems {
		if q.Warning {
			warnings++
		} else {
			problems++
		}
	}
	verb := " change"
	if len(p.Changes) == 1 {
		verb = " changes"
	}
	text := count(len(p.Changes), "client") + verb + ", " + count(calls, "provider call") + ", " + count(problems, "problem")
	if warnings > 0 {
		text += ", " + count(warnings, "warning")
	}
	return text + "."
}
