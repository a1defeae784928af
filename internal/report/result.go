package report

import (
	"sort"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
)

// PullResult is the one result comment of a merged pull request. It may be written before
// all is done, and again when it is.
type PullResult struct {
	Commit   string // on the branch
	Clients  []ClientResult
	Problems []Problem   // of files that are invalid at the commit
	Hold     *state.Hold // the commit waits as a whole: nothing of it was accepted; nil: it doesn't
	Took     time.Duration
	Repo     Repo
	Link     string // the commit's page, for people; "": there is none
}

// ClientResult is what became of one client.
type ClientResult struct {
	Client state.Client // Name, URL, Because, Waits, Quarantined, Next, Removed, EverDeployed, Health, RetryAt and RollingBack are read
	Fate   string       // as in a Verdict: pending, succeeded, failed, held, paused, invalid, superseded by SHA
	Run    state.Deployment
	Kept   []state.Resource // of it, retained
	Holds  []state.Hold     // what it waits for
	Fault  bool             // it failed through us or a provider, not through what is wished

	Reviewed *Change // of a held one: what the pull request showed, and what would run now
	Now      *Change

	Log   string // the page of the run; "": there is none
	Newer string // of a superseded one: where the newer commit's result is told
}

// fate is the first word of the client's fate.
func (c ClientResult) fate() string { return state.FateWord(c.Fate) }

// Outcome is how it ended, or that it has not.
func (c ClientResult) Outcome() Outcome {
	d := c.Run
	if d.State == "interrupted" { // its end is not that of the client, which says it itself
		d.Error, d.Next = "", ""
	}
	switch word := c.fate(); word {
	case "pending":
		if d.State == "" || d.State == "running" {
			return c.under()
		}
	case "superseded":
		o := Result(c.Client, state.Deployment{State: "superseded"}, nil)
		if by := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(strings.TrimPrefix(c.Fate, "superseded")), "by ")); by != "" {
			o.headline = sentence{true, []span{quote(c.Client.Name), say(" was overtaken: "), cmd(short(by)), say(" replaced this wish.")}}
		}
		return o
	case "invalid":
		why := " was not changed: its file is invalid."
		if state.AsksInVain(c.Client.Because) {
			why = " was not changed: what its file asks for is still another client's, and waits."
		}
		o := Outcome{headline: sentence{true, []span{quote(c.Client.Name), say(why)}}, cause: strings.TrimSuffix(c.Client.Because, lastGood), next: c.Client.Next}
		if c.Client.EverDeployed {
			o.works = []sentence{{false, []span{say("Its last good version stays.")}}}
		}
		return o
	case "paused":
		return Outcome{Good: true, headline: sentence{true, []span{quote(c.Client.Name), say(" is paused: what would change waits.")}}, next: c.Client.Next}
	case "succeeded":
		d.State = "succeeded"
	case "held":
		d.State = "held"
	case "failed":
		if d.State == "" || d.State == "running" || d.State == "interrupted" || d.State == "succeeded" {
			d.State = "failed"
		}
	}
	return Result(c.Client, d, c.Kept)
}

// under is the outcome of what is still under way.
func (c ClientResult) under() Outcome {
	head := []span{quote(c.Client.Name), say(" is waiting for its turn.")}
	for _, s := range c.Run.Steps {
		if s.State == "running" {
			head = []span{quote(c.Client.Name), say(" is under way: " + stepOf(s.Number) + ".")}
		}
	}
	return Outcome{Good: true, headline: sentence{true, head}}
}

// stepOf is a step in words: deploy (step 5 of 8).
func stepOf(n int) string {
	if n < plan.StepDatabase || n > plan.StepRecord {
		return plan.StepName(n)
	}
	return plan.StepName(n) + " (step " + number(n) + " of " + number(plan.StepRecord) + ")"
}

// Status is the status reconciler/client/NAME.
func (c ClientResult) Status() StatusLine {
	took := ""
	if d := c.Run.Ended.Sub(c.Run.Started); c.Run.State != "interrupted" && !c.Run.Ended.IsZero() && !c.Run.Started.IsZero() && d > 0 {
		took = " in " + Took(d)
	}
	text := strings.TrimSuffix(c.Outcome().Line(), ".")
	switch c.fate() {
	case "pending":
		if c.Client.Waits != "" {
			return squeezed(statePending, c.Client.Name, " is "+WaitingFor(c.Client.Waits)+"; it goes on by itself")
		}
		return statusLine(statePending, text)
	case "succeeded":
		return squeezed(stateSuccess, text, took)
	case "superseded", "paused":
		return statusLine(stateSuccess, text)
	case "held":
		for _, h := range c.Holds {
			if h.Approvable && h.Fingerprint != "" && h.Until.IsZero() {
				return squeezed(stateFailure, text, "; comment /reconciler approve "+Clip(h.Fingerprint, 40))
			}
		}
	case "failed":
		if c.Fault {
			return statusLine(stateError, text)
		}
	}
	return statusLine(stateFailure, text)
}

// fates are the words of a verdict, what needs somebody first.
func fates() []string {
	return []string{"failed", "invalid", "held", "pending", "paused", "superseded", "succeeded"}
}

// sorted are the clients, those that need somebody first, then by name.
func (r PullResult) sorted() []ClientResult {
	rank := map[string]int{}
	for i, f := range fates() {
		rank[f] = i - len(fates())
	}
	out := append([]ClientResult(nil), r.Clients...)
	sort.SliceStable(out, func(i, j int) bool {
		if a, b := rank[out[i].fate()], rank[out[j].fate()]; a != b {
			return a < b
		}
		return out[i].Client.Name < out[j].Client.Name
	})
	return out
}
