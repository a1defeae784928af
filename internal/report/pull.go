package report

import (
	"sort"
	"time"

	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
)

// Stage is how far the plan of a pull request has come.
type Stage string

// The stages. Of a planned one the values say the rest: nothing to do, invalid files, what
// would wait.
const (
	StagePlanning Stage = "planning" // it is being made; nothing is there to show yet
	StagePlanned  Stage = "planned"
	StageOutdated Stage = "outdated" // the base, the branch or the world moved: Plan is the last one, and a new one is being made
	StageConflict Stage = "conflict" // the branch does not merge into its base
	StageFork     Stage = "fork"     // from another repository: the files were checked, nothing was planned
	StageFailed   Stage = "failed"   // we, Git or a provider could not
	StageClosed   Stage = "closed"   // without a merge
	StageMerged   Stage = "merged"
)

// PullPlan is the one plan comment of a pull request, with its two statuses.
type PullPlan struct {
	Stage   Stage
	Head    string // the commit that was planned, or is to be
	Base    string // the commit of the branch that it was merged onto
	Files   int    // manifests that the pull request touches; on StagePlanning, if known
	Checked bool   // those were read and checked; else no status says that they are valid

	Plan    Plan             // problems with a Path are the files' own; Commit is not shown
	At      time.Time        // when it was made; zero: the age of the look is not told
	Clients map[string]About // more about the plan's clients, by name; all of it may be missing
	// Holds are what would wait: those that Step.Held names, which may be missing, and those
	// that are about more than steps (too many removals or new clients).
	Holds []state.Hold

	Since     *Plan  // the plan of before, if what moved was not the branch
	SinceBase string // the base that it was made onto

	Others    []Other   // other pull requests that touch the same
	Skipped   []Skipped // files that were not planned
	OwnRules  []string  // paths of platform and template files that the pull request changes
	Conflicts []string  // StageConflict: paths, where known

	Cause   string    // StageFailed: their text
	Next    string    // StageFailed: their text; "": it is tried again
	RetryAt time.Time // StageFailed; zero: not by itself

	Repo   Repo
	Link   string // the full plan, for people; "": there is no page
	Result string // StageMerged: where the result is told
	Merged string // StageMerged: the commit
}

// About is what a plan's steps do not say of a client.
type About struct {
	From  string        // its former name, if it is renamed
	Site  string        // its address
	Page  string        // its own plan, for people
	Takes time.Duration // an estimate; 0: not known
}

// Other is another open pull request that touches the same client, or claims the same
// host name. Title is its author's text.
type Other struct {
	Number int
	URL    string
	Title  string
	Client string // that both touch; "" if only the host name is shared
	Host   string // that both claim; "" if only the client is shared
}

// Skipped is a file that was not planned, and why.
type Skipped struct{ Path, Reason string }

// problems are the plan's problems that are more than warnings: those of files, and those
// of planning.
func (p PullPlan) problems() (files, planning []Problem) {
	for _, q := range p.Plan.Problems {
		switch {
		case q.Warning:
		case q.Path != "":
			files = append(files, q)
		default:
			planning = append(planning, q)
		}
	}
	return files, planning
}

// waiting are steps that one approval lets run.
type waiting struct {
	fingerprint string
	steps       int
	clients     []string
}

// held is what steps of the plan wait for, in their order.
func (p PullPlan) held() []waiting {
	var out []waiting
	at := map[string]int{}
	for _, c := range p.Plan.Changes {
		for _, s := range c.Steps {
			if s.Held == "" {
				continue
			}
			i, known := at[s.Held]
			if !known {
				i = len(out)
				at[s.Held] = i
				out = append(out, waiting{fingerprint: s.Held})
			}
			w := &out[i]
			w.steps++
			if len(w.clients) == 0 || w.clients[len(w.clients)-1] != c.Client {
				w.clients = append(w.clients, c.Client)
			}
		}
	}
	return out
}

// hold is what is known of a fingerprint.
func (p PullPlan) hold(fingerprint string) (state.Hold, bool) {
	for _, h := range p.Holds {
		if h.Fingerprint == fingerprint {
			return h, true
		}
	}
	return state.Hold{}, false
}

// wide are the holds that no step names.
func (p PullPlan) wide() []state.Hold {
	named := map[string]bool{}
	for _, w := range p.held() {
		named[w.fingerprint] = true
	}
	var out []state.Hold
	for _, h := range p.Holds {
		if !named[h.Fingerprint] {
			out = append(out, h)
		}
	}
	return out
}

// risky says that a client's change is told in full, unfolded, before all others: people
// or data would notice, or part of it waits for somebody.
func (c Change) risky() bool {
	if c.risk().Rank() >= plan.RiskOffline.Rank() {
		return true
	}
	for _, s := range c.Steps {
		a := plan.Action(s.Action)
		if s.Held != "" || a == plan.Purge || a == plan.Retain && kindOf(s.Ref) != state.KindAdmin {
			return true
		}
	}
	return false
}

// Ranked are the plan's changes with those first that people would notice, each half in
// the plan's order: for who shows a part of a long one.
func (p Plan) Ranked() []Change {
	out := append([]Change(nil), p.Changes...)
	sort.SliceStable(out, func(i, j int) bool { return out[i].risky() && !out[j].risky() })
	return out
}
