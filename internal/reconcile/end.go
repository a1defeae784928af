package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// ending is how a pass ended for one client. finish commits it as one transaction.
type ending struct {
	status  state.Status
	because string
	next    string    // the one thing to do
	settled bool      // nothing more by itself, but for at
	at      time.Time // pass again then
	word    string    // in the verdict: succeeded | failed | held | pending
	what    string    // in the history; "" leaves no entry
	audit   string    // state of the audit record
	step    string    // where it stopped
	waits   string    // the provider that it waits for
	fault   bool      // it failed by an error of this program
	lacks   bool      // it failed as it can't be planned: what its wish needs is not there
	quiet   bool      // it said all this before: its progress lines are not kept
	cut     string    // nobody knows how the pass went, and why: it ran into an error of this program, or that died
	change  func(*state.Client)
}

// end decides, from how the steps ended, how the pass ended for every client. Without any, nothing may run
// now.
func (e *Engine) end(ctx context.Context, g *group, job apply.Job, holds []state.Hold, result apply.Result) (Done, error) {
	done := Done{Clients: g.ids}
	if err := e.together(g, job.Plan, holds, result); err != nil {
		return done, err
	}
	var failed []*member
	for _, m := range g.members {
		if _, fails := g.fails[m.client.ID]; fails { // what serves is put back, a first provisioning is taken back in reverse if the manifest says so
			failed = append(failed, m)
		}
	}
	d, err := e.rollBack(ctx, g, failed, &result)
	done.join(d)
	if err != nil {
		return done, err
	}
	for _, m := range g.members {
		if slices.Contains(failed, m) {
			continue
		}
		var d Done
		err := e.contain(m.client.ID, func() (err error) {
			if m.worked {
				d, err = e.endOf(ctx, g, m, job, holds, result)
			} else {
				d, err = e.idle(g, m, job.Plan, holds)
			}
			return err
		})
		if err != nil {
			return done, err
		}
		done.join(d)
	}
	woken, err := e.woken(g)
	if err != nil {
		return done, err
	}
	done.Again = done.Again || woken
	free, err := e.letGo(g)
	done.Also = append(done.Also, free...)
	return done, err
}

// woken says that the steps of a pass made a member due of which they did nothing itself: a
// record of another one has gone, and what a person set for it is looked at once more.
func (e *Engine) woken(g *group) (yes bool, err error) {
	err = e.Store.View(func(tx store.Tx) error {
		for _, m := range g.members {
			c, ok, err := store.Client(tx, m.client.ID)
			if err != nil {
				return err
			}
			yes = yes || ok && !m.worked && !c.Settled && c.Wakes != m.client.Wakes
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("who is due: %w", err)
	}
	return yes, nil
}

func (d *Done) join(o Done) {
	d.Again = d.Again || o.Again
	if d.At.IsZero() || (!o.At.IsZero() && o.At.Before(d.At)) {
		d.At = o.At
	}
	d.Also = append(d.Also, o.Also...)
	d.Recheck = d.Recheck || o.Recheck
}

func (e *Engine) endOf(ctx context.Context, g *group, m *member, job apply.Job, holds []state.Hold, result apply.Result) (Done, error) {
	st, at := result.Worst(m.client.ID)
	switch st {
	case apply.StepFailed:
		return e.leftOver(g, m, result, at)
	case apply.StepParked:
		return e.finish(g, m, &result, ending{status: state.StatusHeld, because: sentence(at.Err), next: "settle it at the provider, then `reconciler retry " + m.client.Name + "`",
			settled: true, word: "held", what: "held", audit: "held", step: at.Step.Key()})
	case apply.StepSuperseded:
		if e.Stopping() && !e.newer(m) {
			return e.finish(g, m, &result, ending{status: m.client.Status, because: "the program was stopped at a step's border; the next start goes on", audit: "interrupted"})
		}
		return e.finish(g, m, &result, ending{status: m.client.Status, because: "a newer commit replaced this wish", audit: "superseded", what: "superseded"})
	case apply.StepWaiting:
		return e.waiting(ctx, g, m, result, at)
	}
	if why, blocked := blockedBy(job.Plan, m.client.ID); blocked {
		return e.stopped(g, m, &result, holds, why, e.isLive(g, m, job.Plan, result))
	}
	if st == apply.StepSkipped {
		// Nothing of its own went wrong: another client of the group takes a name over, and can't yet.
		return e.waitsFor(g, m, result, at)
	}
	if job.Plan.Adopting(m.client.ID) {
		// It only recorded what exists; what the wish changes of it is planned now.
		return e.finish(g, m, &result, ending{status: m.client.Status, audit: auditSucceeded, what: "adopted", because: "recorded what exists",
			change: func(c *state.Client) { c.Failures, c.EverDeployed = 0, true }})
	}
	if who := g.open[m.client.ID]; who != "" {
		return e.goesOn(g, m, &result, openWith(who), time.Time{})
	}
	end := e.success(g, m, &result)
	if g.mending {
		end.what = "" // each row says that it was put back
		end.change = func(c *state.Client) { c.Failures, c.FailedStep, c.Undo, c.Run, c.RollingBack = 0, "", nil, "", "" }
	}
	for _, left := range []string{toDo(g, m, result), byHand(g, m, result), m.saysLater()} {
		switch {
		case left != "" && end.because != "":
			end.because += "; " + left
		case left != "":
			end.because = left
		}
	}
	if end.status == state.StatusActive {
		e.looksAgain(m, &end)
	}
	return e.finish(g, m, &result, end)
}

// onlyLeft says that all that the client wishes is done, and that what failed is to take
// away what it replaced, or to prove once more what came in its place.
func onlyLeft(m *member, result apply.Result) bool {
	changed, proved, goes := false, true, false
	for _, r := range result.Of(m.client.ID) {
		switch {
		case r.Step.Action.Ends():
			goes = goes || r.Step.Action != plan.Record
		case r.Step.Action == plan.Probe && r.Step.Outside:
			proved = proved && r.State == apply.StepDone
		case r.State != apply.StepDone:
			return false
		default:
			changed = true
		}
	}
	return m.client.EverDeployed && !m.removed && (proved || goes && !changed)
}

// onlyHeldLeft says so where what is to be taken away waits for a person: for days, maybe. What fails after
// that goes back to what serves now. (Not where it waits for another client, too: see throughFirst.)
func onlyHeldLeft(p plan.Plan, m *member, result apply.Result) bool {
	waits := slices.ContainsFunc(p.Steps, func(s plan.Step) bool {
		others := s.Waits != "" || strings.HasPrefix(s.Reason, "waiting for ") || waitsForAnother(p, s) != ""
		return s.Ref.Client == m.client.ID && (s.Blocked || s.Held != "") && (!s.Action.Ends() || s.Held == "" && others)
	})
	skipped := slices.ContainsFunc(result.Of(m.client.ID), func(r apply.StepResult) bool {
		return r.State != apply.StepDone && !r.Step.Blocked && r.Step.Held == ""
	})
	return !waits && !skipped && onlyLeft(m, result)
}

// isLive is what is noted of a client of whose wish only that is left: what it replaced, which waits for
// a person; nil: more is left, or the one whose name it took is not through.
func (e *Engine) isLive(g *group, m *member, p plan.Plan, result apply.Result) func(*state.Client) {
	if g.open[m.client.ID] != "" || !onlyHeldLeft(p, m, result) {
		return nil
	}
	return func(c *state.Client) {
		c.Failures, c.FailedStep, c.Undo, c.Run = 0, "", nil, ""
		e.serves(m, c)
	}
}

// leftOver ends a pass after which something stays that should be gone. Nothing is put
// back: the new version was proved, and some of the old may be gone.
func (e *Engine) leftOver(g *group, m *member, result apply.Result, at *apply.StepResult) (Done, error) {
	if at.Step.Action == plan.Probe {
		return e.finish(g, m, &result, ending{status: state.StatusFailed, because: "Your site does not answer well, and what it replaced stays until it does: " + sentence(at.Err),
			next: "mend the site, then `reconciler retry " + m.client.Name + "`; a revert leads people back", settled: true, word: "failed", what: "failed", audit: "failed", step: at.Step.Key(), fault: apply.Fault(at.Err),
			change: func(c *state.Client) { c.FailedStep, c.Undo, c.Run = at.Step.Key(), nil, "" }})
	}
	runs := "Your site runs the new version. "
	if !slices.ContainsFunc(m.wish, func(r state.Resource) bool { return r.Ref.Kind == state.KindTraffic }) {
		runs = "" // it wishes none
	}
	return e.finish(g, m, &result, ending{status: state.StatusFailed, because: runs + "What is no longer wished can't be removed: " + sentence(at.Err),
		next: "settle it at the provider, then `reconciler retry " + m.client.Name + "`", settled: true, word: "failed", what: "failed", audit: "failed", step: at.Step.Key(), fault: apply.Fault(at.Err),
		change: func(c *state.Client) {
			c.FailedStep, c.Undo, c.Run = at.Step.Key(), nil, ""
			e.serves(m, c)
		}})
}

// waiting ends a pass of which steps wait. What a person has to do is said in full, is
// told once, and is looked for again with a growing pause.
func (e *Engine) waiting(ctx context.Context, g *group, m *member, result apply.Result, at *apply.StepResult) (Done, error) {
	n := m.client.Failures + 1
	end := ending{status: m.client.Status, because: waitingFor(at.Err), next: m.letUsIn(at.Err), waits: waitsOn(at.Err), at: e.soon(n, at.RetryAt, at.Err), word: "pending", audit: "waiting",
		step: at.Step.Key(), change: func(c *state.Client) { c.Failures = n }}
	var asked, late []string
	for _, r := range result.Of(m.client.ID) {
		if r.State != apply.StepWaiting {
			continue
		}
		if what, is := apply.Asked(r.Err); is {
			asked = append(asked, what)
		}
		if says, is := apply.Unled(r.Err); is {
			ask, text := e.unled(ctx, g, m, r.Step, says)
			asked, late = append(asked, ask...), append(late, text)
		}
	}
	if _, is := apply.Unled(at.Err); is {
		sort.Strings(late)
		end.because = "waiting: " + strings.Join(late, "; ")
	}
	sort.Strings(asked) // a plan's order changes with what is done; what is left does not
	if asked = slices.Compact(asked); len(asked) > 0 {
		end.because = "waiting for a person: " + strings.Join(asked, ". ")
		end.waits = ""
		end.next, end.word = "do that; it goes on by itself once it is seen, or at once with `reconciler retry "+m.client.Name+"`", "held"
		if end.quiet = m.client.Because == end.because; !end.quiet {
			end.what = "waits"
		}
	}
	return e.finish(g, m, &result, end)
}

// waitsFor ends a pass of which steps need another client's, which has not come so far.
func (e *Engine) waitsFor(g *group, m *member, result apply.Result, at *apply.StepResult) (Done, error) {
	n, who, why := m.client.Failures+1, "another client", "takes a name over and is not ready"
	for _, r := range result.Steps {
		if r.Step.Ref.Client != m.client.ID && r.State != apply.StepDone && slices.Contains(at.Step.Needs, r.Step.Key()) {
			switch who = r.Step.Client; {
			case r.Step.Action == plan.Delete || r.Step.Action == plan.Forget:
				why = "still has a name that it gives away"
			case at.Step.From.Client == r.Step.Ref.Client:
				why = "gives a name on and is not ready itself"
			}
		}
	}
	return e.finish(g, m, &result, ending{status: m.client.Status, because: "waiting for " + who + ", which " + why, at: e.later(n, time.Time{}),
		word: "pending", audit: "waiting", step: at.Step.Key(), change: func(c *state.Client) { c.Failures = n }})
}

// toDo is what steps left to a person without a way to see it done. How a host serves is
// seen from outside when the site is new; later the version before answers as well.
func toDo(g *group, m *member, result apply.Result) string {
	var out []string
	for _, r := range result.Of(m.client.ID) {
		k, a := r.Step.Ref.Kind, r.Step.Action
		if r.State != apply.StepDone || r.Note == "" || !g.traits[r.Step.Provider][k].Manual || !(a == plan.Create || a == plan.Update || a == plan.Await) {
			continue
		}
		if !m.client.EverDeployed && k != state.KindAdmin && k != state.KindRecord {
			continue
		}
		if !slices.Contains(out, r.Note) {
			out = append(out, r.Note)
		}
	}
	if len(out) == 0 {
		return ""
	}
	return "left to you, and not seen from here: " + strings.Join(out, ". ")
}

// byHand is what a person has to remove: this program made none of it and deletes none.
func byHand(g *group, m *member, result apply.Result) string {
	var out []string
	said := map[string]bool{}
	for _, r := range result.Of(m.client.ID) {
		was := r.Step.Prior
		if r.State != apply.StepDone || was == nil || !g.traits[was.Provider][was.Ref.Kind].Manual || was.Found || was.Adopted {
			continue
		}
		if r.Step.Action != plan.Delete && (r.Step.Action != plan.Replace || was.Provider == r.Step.Provider) {
			continue
		}
		text := "the site at your host"
		switch was.Ref.Kind {
		case state.KindRecord:
			text = "the record " + was.Attributes.Literal("type") + " " + was.Attributes.Literal("name") + " at your DNS host"
		case state.KindDomain:
			text = was.Ref.Host() + " at your host"
		}
		if !said[text] {
			said[text] = true
			out = append(out, text)
		}
	}
	if len(out) == 0 {
		return ""
	}
	return "left for you to remove: " + strings.Join(out, ", ")
}

// blockedBy is the first of the client's steps that waits.
func blockedBy(p plan.Plan, id state.ClientID) (s plan.Step, blocked bool) {
	i := slices.IndexFunc(p.Steps, func(s plan.Step) bool { return s.Ref.Client == id && (s.Held != "" || s.Blocked) })
	if i < 0 {
		return s, false
	}
	if s = p.Steps[i]; s.Held == "" && s.Waits == "" && !strings.HasPrefix(s.Reason, "waiting for ") {
		if other := waitsForAnother(p, s); other != "" {
			s.Reason = "waiting for " + other + ", which waits itself"
		}
	}
	return s, true
}

// waitsForAnother is the client for whose steps a blocked one waits, by way of whatever it needs; "": none.
func waitsForAnother(p plan.Plan, s plan.Step) string {
	for _, o := range p.Before(s) {
		if o.Ref.Client != s.Ref.Client && (o.Blocked || o.Held != "") {
			return o.Client
		}
	}
	return ""
}

// success is the end of a pass whose steps are all done. A site that was degraded stays so unless the pass asked it.
func (e *Engine) success(g *group, m *member, result *apply.Result) ending {
	end := ending{status: state.StatusActive, settled: true, word: "succeeded", what: "succeeded", audit: auditSucceeded}
	if m.removed {
		end.status, end.because = state.StatusRetained, "the manifest was removed"
	}
	if because, next := m.partWaits(); because != "" {
		end.word, end.because, end.next = "held", because, next
	}
	end.change = func(c *state.Client) {
		c.Failures, c.FailedStep, c.Undo, c.Run, c.RollingBack = 0, "", nil, "", ""
		m.wishDone(c)
		if m.removed {
			c.EverDeployed, c.URL, c.AdminURL, c.Health = false, "", "", ""
			return
		}
		e.serves(m, c)
		c.Converged = m.client.WishHash
		if c.Health != state.Degraded || c.URL == "" || answered(m, result) {
			c.Health, c.HealthAt, c.HealthBad = state.Healthy, e.Now(), 0
		}
	}
	return end
}

// answered says that a pass asked the client's site from outside, and that it answered as it should.
func answered(m *member, result *apply.Result) bool {
	return result != nil && slices.ContainsFunc(result.Of(m.client.ID), func(r apply.StepResult) bool {
		return r.Step.Action == plan.Probe && r.Step.Outside && r.State == apply.StepDone
	})
}

// partWaits says of a client that has all that it wishes which part of it is to go and waits, and what to do; "":
// none does.
func (m *member) partWaits() (because, next string) {
	for _, t := range m.allTombs {
		if t.Part == "" || t.Done || m.client.Removed || m.removed || !plan.Left(t, m.recorded) {
			continue
		}
		goes := "all else is done; that " + t.Part + " goes waits "
		switch {
		case t.Held != "":
			return goes + "for an approval", "`reconciler approve " + t.Held + "`, or put it back"
		case t.Waits != "":
			return goes + "until " + strings.Join(accept.WaitsFor(t), ", ") + " is valid", "mend " + strings.Join(accept.WaitsFor(t), ", ")
		case t.NotUntil.After(m.now):
			return goes + "until " + dated(t.NotUntil), "a revert until then costs nothing"
		}
	}
	return "", ""
}

// dated is a date that something waits for.
func dated(t time.Time) string { return t.UTC().Format("2 January 2006 15:04 MST") }

// serves notes that what a client wishes is what serves, and where.
func (e *Engine) serves(m *member, c *state.Client) {
	c.EverDeployed, c.DeployedAt = true, e.Now()
	c.URL, c.AdminURL = e.urlOf(m), ""
	if p := m.effective.AdminPanel.Path; p != "" && c.URL != "" {
		c.AdminURL = strings.TrimSuffix(c.URL, "/") + p
	}
}

// urlOf is where people find a client; "": it wishes no site.
func (e *Engine) urlOf(m *member) string {
	if !slices.ContainsFunc(m.wish, func(r state.Resource) bool { return r.Ref.Kind == state.KindSite }) {
		return ""
	}
	return e.PublicURL(m.effective.Host)
}

// wishDone ends what pull requests showed of a wish that is done. A newer wish has its own, and
// who was made due during the pass is not done: a record of another client went, say, that
// answered for one that a person has yet to set.
func (m *member) wishDone(c *state.Client) {
	if c.Seq == m.client.Seq && c.Wakes == m.client.Wakes {
		c.Review = nil // what it showed is done; other causes than its commit are not its matter
	}
}

// idle ends a pass for a member of which nothing ran: it waits, or there is nothing to
// do for it. The others of its group may have been at work.
func (e *Engine) idle(g *group, m *member, p plan.Plan, holds []state.Hold) (Done, error) {
	for _, problem := range p.Problems {
		switch {
		case problem.Client != m.client.ID:
			continue
		case problem.Hold != "":
			return e.finish(g, m, nil, ending{status: state.StatusHeld, because: problem.Text, next: problem.Act, settled: true, word: "held", what: "held"})
		}
		because := problem.Text
		if c := m.client; c.Status == state.StatusFailed && strings.HasPrefix(c.Because, stillRuns) {
			because = g.stillWorks(m) + because // nothing ran since it was told
		}
		if c := m.client; c.Settled && c.Unplanned && c.Status == state.StatusFailed && c.Because == because {
			return Done{Clients: g.ids}, nil // a start tried again, and nothing changed
		}
		return e.finish(g, m, nil, ending{status: state.StatusFailed, because: because, next: problem.Act, settled: true, word: "failed", what: "failed", lacks: true})
	}
	if why, blocked := blockedBy(p, m.client.ID); blocked {
		var live func(*state.Client)
		if len(m.client.Undo) > 0 { // it was all done before: it waited for the one whose name it took
			live = e.isLive(g, m, p, apply.Result{})
		}
		return e.stopped(g, m, nil, holds, why, live)
	}
	for _, s := range p.Steps {
		if s.Blocked && s.From.Client == m.client.ID && s.From != s.Ref && m.client.Removed && m.client.Paused {
			return e.stopped(g, m, nil, holds, s, nil) // all that is left of it goes to another client, and waits
		}
	}
	return e.rests(g, m)
}

// stopped ends a pass that waits for a person, a date or a provider; why is a step that
// does. serves notes what serves where nothing but what it replaced is left; else it is nil.
func (e *Engine) stopped(g *group, m *member, result *apply.Result, holds []state.Hold, why plan.Step, serves func(*state.Client)) (Done, error) {
	if m.client.Paused || (m.effective.Paused && !m.client.Removed) {
		because := "paused: changes are planned and wait"
		if plan.ReadsOnly(m.recorded) {
			because += "; the site can't write until then: its database was moved, and it has the address of the one that was left"
		}
		return e.finish(g, m, result, ending{status: state.StatusPaused, because: because, next: m.resume(),
			settled: true, word: "paused", what: "paused", audit: "held"})
	}
	for _, h := range holds {
		if h.Client != m.client.ID {
			continue
		}
		return e.finish(g, m, result, ending{status: state.StatusHeld, because: h.Reason, next: h.Act, settled: true, at: h.Until, word: "held", what: "held", audit: "held", change: serves})
	}
	if why.Waits != "" {
		end := ending{because: why.Reason, waits: why.Waits}
		for _, l := range m.looks {
			if l.Denied == why.Waits {
				end.next = m.letIn(l.Denied)
			}
		}
		return e.goesOn(g, m, result, end, time.Time{})
	}
	if strings.HasPrefix(why.Reason, "waiting for ") { // it says so itself
		end := ending{because: why.Reason}
		if files := g.removalsWaitFor(); len(files) > 0 {
			end.because += "; what is to be removed waits until " + strings.Join(files, ", ") + " is valid"
			end.next = "mend " + strings.Join(files, ", ")
		}
		return e.goesOn(g, m, result, end, time.Time{})
	}
	return e.goesOn(g, m, result, ending{because: "waiting: " + why.Reason}, time.Time{})
}

// removalsWaitFor are the invalid files that something waits for before the group may let it go, sorted.
func (g *group) removalsWaitFor() (files []string) {
	for _, m := range g.members {
		for _, t := range m.allTombs {
			if !t.Done {
				files = append(files, accept.WaitsFor(t)...)
			}
		}
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// resume says how a paused client goes on. A removed one may have lost its name to
// another client, and its manifest is gone: it is told by its id.
func (m *member) resume() string {
	if m.client.Removed {
		return "`reconciler resume " + string(m.client.ID) + "`"
	}
	by, in := "`reconciler resume "+m.client.Name+"`", "take `paused: true` out of the manifest, or of what that inherits"
	switch {
	case !m.effective.Paused:
		return by
	case !m.client.Paused:
		return in
	}
	return by + ", and " + in
}

// waitFor ends a pass that goes on by itself later.
func (e *Engine) waitFor(g *group, m *member, what string, err error) (Done, error) {
	return e.goesOn(g, m, nil, ending{because: what + ": " + sentence(err), next: m.letUsIn(err), waits: waitsOn(err), at: e.soon(m.client.Failures+1, apply.RetryAt(err), err)}, time.Time{})
}

// goesOn ends a pass with what keeps it from going on now; it does later, not before at.
// result is what it did so far, nil: nothing.
func (e *Engine) goesOn(g *group, m *member, result *apply.Result, end ending, at time.Time) (Done, error) {
	n := m.client.Failures + 1
	if result != nil {
		end.audit = "waiting"
	}
	if end.status, end.word = m.client.Status, "pending"; end.at.IsZero() {
		end.at = e.later(n, at)
	}
	end.change = func(c *state.Client) { c.Failures = n }
	return e.finish(g, m, result, end)
}

// waitsOn is the provider that an error makes somebody wait for; "": none does.
func waitsOn(err error) string {
	var pe *provider.Error
	if !errors.As(err, &pe) {
		return ""
	}
	switch pe.Kind {
	case provider.Transient, provider.RateLimited, provider.Uncertain, provider.Denied:
		return pe.Provider
	}
	return ""
}

// letUsIn is what to do about a provider that refuses what our token asks of it, "": it is no such error. What to mend
// the provider's words say.
func (m *member) letUsIn(err error) string {
	return m.letIn(deniedBy(err))
}

// deniedBy is the provider that refused what our token may not do; "": an error is no such refusal.
func deniedBy(err error) string {
	if provider.KindOf(err) != provider.Denied {
		return ""
	}
	return waitsOn(err)
}

// letIn is letUsIn of a provider, "" of none.
func (m *member) letIn(name string) string {
	if name == "" {
		return ""
	}
	return "mend that at " + name + ", or in reconciler.yaml and start again; it goes on by itself then, or at once with `reconciler retry " + m.client.Name + "`"
}

// waitingFor is why a step waits, for people.
func waitingFor(err error) string {
	if waitsOn(err) != "" {
		return "waiting for " + sentence(err)
	}
	return "waiting: " + sentence(err)
}

// waitForAll lets every member of the group go on later.
func (e *Engine) waitForAll(g *group, what string, err error) (Done, error) {
	done := Done{Clients: g.ids}
	for _, m := range g.members {
		d, err := e.waitFor(g, m, what, err)
		if err != nil {
			return done, err
		}
		done.join(d)
	}
	return done, nil
}

// park ends a pass at something that only a person can decide.
func (e *Engine) park(g *group, m *member, err error) (Done, error) {
	return e.finish(g, m, nil, ending{status: state.StatusHeld, because: sentence(err), next: "settle it at the provider, then `reconciler retry " + m.client.Name + "`",
		settled: true, word: "held", what: "held"})
}

// soon is later, where a provider that does not answer is waited for: it costs next to nothing to
// ask it (the transport leaves it alone), and nobody sees that it is back but who asks.
func (e *Engine) soon(n int, at time.Time, err error) time.Time {
	next := e.later(n, at)
	if most := e.Now().Add(maxAway); waitsOn(err) != "" && provider.KindOf(err) == provider.Transient && at.Before(most) && next.After(most) {
		return most
	}
	return next
}

func (e *Engine) later(n int, at time.Time) time.Time {
	if next := e.Now().Add(e.Jitter(backOff(n))); at.Before(next) {
		return next
	}
	return at
}

// settled ends a pass that found nothing to do.
func (e *Engine) settled(ctx context.Context, g *group) (Done, error) {
	done := Done{Clients: g.ids}
	if err := e.letGoOfHolds(g); err != nil {
		return done, err
	}
	for _, m := range g.members {
		var d Done
		err := e.contain(m.client.ID, func() (err error) {
			if bad := e.unwell(ctx, g, m); bad != nil {
				d, err = e.finish(g, m, nil, ending{status: state.StatusFailed, because: "its site does not answer as its health check asks now: " + bad.Error(),
					next: "mend the check, or the site, then `reconciler retry " + m.client.Name + "`", settled: true, word: "failed", what: "failed"})
				return err
			}
			d, err = e.rests(g, m)
			return err
		})
		if err != nil {
			return done, err
		}
		done.join(d)
	}
	free, err := e.letGo(g)
	done.Also = append(done.Also, free...)
	return done, err
}

// unwell asks a site whose client has nothing to do in a change that many inherit: what
// was changed may be the check itself, and the others wait to hear whether it went well.
func (e *Engine) unwell(ctx context.Context, g *group, m *member) (err error) {
	_, in := accept.InWave(g.holds, m.client.ID)
	if !in || m.client.Settled || e.Check == nil || m.client.URL == "" || m.client.Removed || m.client.Paused || m.effective.Paused || m.client.Health == state.Degraded {
		return nil
	}
	for try := 1; ; try++ {
		if err = e.Check(ctx, m.client.URL, m.effective.Health); err == nil || try == degradedAfter || ctx.Err() != nil {
			return err
		}
		if e.Runner.Sleep(ctx, firstRetry) != nil {
			return err
		}
	}
}

// rests ends a pass for a member that has nothing to do.
func (e *Engine) rests(g *group, m *member) (Done, error) {
	end := ending{status: state.StatusActive, settled: true, word: "succeeded"}
	switch {
	case m.client.Removed && !m.removed && !gone(m.allTombs):
		end.status, end.word, end.because, end.next, end.at = m.held(g.holds)
	case m.client.Removed:
		end = e.success(g, m, nil)
		end.what = ""
		end.status, end.because = state.StatusRetained, "the manifest was removed"
		m.removed = true
		if m.client.Settled && len(m.recorded) == 0 { // a purge was cut off before it told
			end.what, end.because = "purged", "its data is erased"
			return e.finish(g, m, nil, end)
		}
	case m.client.Paused || m.effective.Paused:
		end.status, end.because = state.StatusPaused, "paused"
	case g.open[m.client.ID] != "":
		return e.goesOn(g, m, nil, openWith(g.open[m.client.ID]), time.Time{})
	default:
		end.change = func(c *state.Client) {
			c.Failures, c.FailedStep, c.Undo, c.Run = 0, "", nil, ""
			c.EverDeployed, c.Converged, c.URL = true, m.client.WishHash, e.urlOf(m)
			m.wishDone(c)
		}
	}
	anew := false // it waits for something else than it said, or for nothing any more: another client took a name of it over, say
	if end.status == state.StatusActive {
		if end.because, end.next = m.partWaits(); end.because != "" {
			end.word, anew = "held", m.client.Next != end.next
		} else {
			end.because = m.saysLater()
		}
		e.looksAgain(m, &end)
		anew = (anew || m.client.Because != end.because) && m.client.InvalidBlob == ""
	}
	if at := m.comesLater(m.wakes(end.at), e.Now()); m.client.Settled && !m.client.LookWanted && m.client.Status == end.status && m.client.RetryAt.Equal(at) && !anew {
		return Done{Clients: g.ids, At: at}, nil
	}
	if m.client.Settled && m.client.Status == end.status && end.status != state.StatusRetained && !anew {
		end.word = ""
	}
	return e.finish(g, m, nil, end)
}

// looksAgain lets a client whose wish is done come back where somebody wanted it looked at and something of it could not
// be seen: nobody knows whether that is to be put back.
func (e *Engine) looksAgain(m *member, end *ending) {
	for _, r := range m.recorded {
		l := m.looks[r.Ref]
		if !m.client.LookWanted || l.Failed == "" || e.away(r.Provider) {
			continue
		}
		if end.because != "" {
			end.because += "; "
		}
		end.because += fmt.Sprintf("it is looked at again, as %s %s could not be seen: %s", r.Ref.Kind, r.Ref.Name, l.Failed)
		end.next = cmp.Or(end.next, m.letIn(l.Denied))
		n, done := m.client.Failures+1, end.change
		end.at, end.change = e.later(n, time.Time{}), func(c *state.Client) { done(c); c.Failures, c.LookWanted = n, true }
		return
	}
}

// gone says that the whole client's removal is done: what became of parts that were to
// go before it is no matter any more.
func gone(all []state.Tombstone) bool {
	for _, t := range all {
		if t.Part == "" {
			return t.Done
		}
	}
	return true
}

// held says why a removed client is still there. (Whom nothing but its marks tell of, the hold says itself what helps.)
func (m *member) held(holds []state.Hold) (s state.Status, word, because, next string, at time.Time) {
	s, word = state.StatusHeld, "held"
	runs := "; the site still runs"
	if !slices.ContainsFunc(m.recorded, func(r state.Resource) bool { return r.Ref.Kind == state.KindSite && r.Real() }) {
		runs = "" // it has gone, and what is left of the removal waits
	}
	for _, t := range m.allTombs {
		switch {
		case t.Part != "" || t.Done:
		case t.Held != "":
			if i := slices.IndexFunc(holds, func(h state.Hold) bool { return h.Fingerprint == t.Held }); i >= 0 && holds[i].Kind == state.HoldRebuild {
				return s, word, holds[i].Reason, holds[i].Act, at
			}
			return s, word, "its removal is held by the guard" + runs, "`reconciler approve " + t.Held + "`, or put the manifest back", at
		case t.Waits != "":
			return s, word, "its removal waits: " + t.Waits + " of the same commits is invalid" + runs, "mend " + t.Waits, at
		case t.NotUntil.After(m.now):
			return s, word, "its removal waits until " + dated(t.NotUntil) + runs, "a revert until then costs nothing", t.NotUntil
		}
	}
	if len(m.keeps) > 0 {
		return s, word, "its removal waits: " + m.saysLater() + runs, m.keptFor.client.Next, at
	}
	return s, word, "its removal waits" + runs, "", at
}

// sentence is an error as people read it: a provider's own words first.
func sentence(err error) string {
	var pe *provider.Error
	if errors.As(err, &pe) {
		s := pe.Provider + ": " + pe.Message
		if pe.Code != "" {
			s += " (" + pe.Code + ")"
		}
		return s
	}
	if err == nil {
		return ""
	}
	return err.Error()
}
