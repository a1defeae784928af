package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"time"

	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/journal"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// Cause is why a pass runs; it stands in the audit record.
type Cause string

// The causes.
const (
	CauseCommit   Cause = "commit"
	CauseRetry    Cause = "retry"
	CauseApprove  Cause = "approve"
	CauseSecret   Cause = "secret"
	CauseSchedule Cause = "schedule"
	CauseDrift    Cause = "drift" // two looks found something changed, and policy says heal
	CauseAdopt    Cause = "adopt" // a person confirmed what a paused client adopts
	CauseStart    Cause = "start" // the program was started and found it unfinished
)

// Done says how a pass ended for the caller's queue.
type Done struct {
	Clients []state.ClientID // the group
	Again   bool             // a newer wish of one of them is there: pass all of them again now
	At      time.Time        // pass all of them again then; zero: not by themselves
	Also    []state.ClientID // clients that this pass set free
	Recheck bool             // names became free: the accepted head is to be judged once more
}

// Pass brings the group of one client to its wish, as far as it can be brought now.
// An error means that nothing is known (the store failed, ctx ended); everything else
// is in the client's status, an error in this program too. Also counts with an error.
func (e *Engine) Pass(ctx context.Context, id state.ClientID, cause Cause) (done Done, err error) {
	e.count(func(s *Stats) { s.Passes++ })
	ids := e.Group(id)
	if e.old() {
		return Done{Clients: ids, At: e.Now().Add(firstRetry)}, nil // a poll comes first
	}
	woken, err := e.keepTime()
	if err != nil {
		return Done{}, fmt.Errorf("pass %s: %w", id, err)
	}
	defer func() { done.Also = append(done.Also, woken...) }()
	giveBack, ok := e.takeTurn(id, ids)
	if !ok {
		return Done{Clients: ids, At: e.Now().Add(firstRetry)}, nil // somebody who crashed the program passes alone: who ends that makes it due earlier
	}
	defer func() { done.Also = append(done.Also, giveBack()...) }()
	leave, err := e.enter(ctx, ids)
	if err != nil {
		return Done{}, fmt.Errorf("pass %s: %w", id, err)
	}
	defer leave()
	if err := e.mark(ids); err != nil {
		return Done{}, fmt.Errorf("pass %s: %w", id, err)
	}
	defer e.unmark(ids)
	err = e.contain("", func() (err error) { done, err = e.pass(ctx, id, ids, cause); return err })
	if p := panicOf(err); p != nil {
		return e.poisoned(ids, p)
	}
	if err == nil && !e.Stopping() {
		err = e.cleared(ids)
	}
	return done, err
}

// pass is Pass for a group that is the caller's.
func (e *Engine) pass(ctx context.Context, id state.ClientID, ids []state.ClientID, cause Cause) (Done, error) {
	g, err := e.load(ids)
	if err != nil {
		return Done{}, fmt.Errorf("pass %s: %w", id, err)
	}
	done := Done{Clients: ids}
	g.taking = cause == CauseAdopt
	g.keepAsMade()
	if e.ahead(g) || !slices.Equal(ids, e.Group(id)) { // who joined while it waited for its turn was not waited for
		done.Again = true
		return done, nil
	}
	if g.untouchable() && !g.freezes() {
		return done, nil
	}
	// What an earlier pass left open comes first: its record, uncertain writes, half a rollback.
	if left, err := e.endLeft(g.clients(), noEnd); err != nil {
		return done, fmt.Errorf("pass %s: %w", id, err)
	} else if left {
		if err := e.reload(g); err != nil {
			return done, err
		}
	}
	if over, d, err := e.unfinished(ctx, g); over || err != nil {
		return d, err
	}
	if e.ahead(g) { // the group was read again since
		done.Again = true
		return done, nil
	}
	if g.untouchable() || g.bound() { // whoever lets it go makes it due
		if g.silent != nil {
			return e.waitForAll(g, uncertainWrite, g.silent)
		}
		return done, nil
	}
	if e.unread(g) {
		if done.Also, err = e.poll(ctx); err != nil {
			return e.waitForAll(g, "reading the branch, which may ask again for what is to go", err)
		}
		done.Again = true // it may be wished by now
		return done, nil
	}
	if e.headHeld(g) {
		return e.waitForAll(g, "nothing goes", errHeadHeld)
	}
	if e.judgeFirst(g) {
		if done.Also, err = e.judgeAgain(ctx); err != nil {
			return e.waitForAll(g, "judging the head once more", err)
		}
		done.Again = true // it may be another group by now
		return done, nil
	}
	if err := e.sources(ctx, g); panicOf(err) != nil {
		return done, err
	} else if err != nil {
		return e.waitForAll(g, "reading the source's repository", err)
	}
	if err := e.wish(g); err != nil {
		return done, err
	}
	if e.ahead(g) {
		done.Again = true
		return done, nil
	}
	e.count(func(s *Stats) { s.Plans++ })
	if over, d, err := e.mend(ctx, g); over || err != nil {
		return d, err
	}
	p := e.calculate(g)
	if p.Empty() && !g.looksWanted() {
		return e.settled(ctx, g)
	}
	if p = e.lookedAt(ctx, g, p); g.panicked != nil {
		return done, g.panicked
	}
	if done.Again, err = e.readdress(g); done.Again || err != nil {
		return done, err
	}
	if p.Empty() {
		return e.settled(ctx, g)
	}
	if asksFirst(p) {
		if behind, err := e.foundBehind(ctx); behind || err != nil {
			return Done{Clients: ids, At: e.Now().Add(firstRetry)}, err // a poll comes first
		}
	}
	p, holds := plan.Gate(p, g.gate(e.Now()))
	if g.silent != nil && !slices.ContainsFunc(p.Steps, runs) {
		return e.waitForAll(g, uncertainWrite, g.silent)
	}
	job, run, err := e.begin(g, p, holds, cause)
	if errors.Is(err, errAsked) {
		done.Again = true
		return done, nil
	}
	if err != nil {
		return Done{}, err
	}
	var result apply.Result
	if run {
		if result, err = e.Runner.Run(ctx, job); err != nil {
			e.flushLogs(job)
			return Done{}, fmt.Errorf("pass %s: %w", id, err)
		}
	}
	return e.end(ctx, g, job, holds, result)
}

// unfinished resolves open intents and goes on with a rollback that was begun. over
// says that the pass ends here.
func (e *Engine) unfinished(ctx context.Context, g *group) (over bool, d Done, err error) {
	job := g.job(e, plan.Plan{}, "")
	for _, m := range g.members {
		open := m.intents
		if m.quarantined() {
			open = m.transfers() // left alone, but not with a frozen database
		}
		open = e.reachable(open)
		if len(open) == 0 {
			continue
		}
		var st apply.StepState
		err := e.contain(m.client.ID, func() (err error) { st, err = e.Runner.Settle(ctx, job, open); return err })
		switch {
		case err == nil:
		case m.quarantined() && ctx.Err() == nil:
			return true, Done{Clients: g.ids, At: e.Now().Add(firstRetry)}, nil
		case panicOf(err) != nil:
			return true, d, err
		case ctx.Err() != nil || st == apply.StepFailed:
			return true, d, fmt.Errorf("settle %s: %w", m.client.Name, err)
		case st == apply.StepParked:
			d, err := e.park(g, m, err)
			return true, d, err
		default:
			if g.silent = err; !g.alone() {
				d, err := e.waitFor(g, m, uncertainWrite, err)
				return true, d, err
			}
		}
	}
	if g.intents() {
		if err := e.reload(g); err != nil {
			return true, d, err
		}
	}
	if g.silent != nil && !e.allAt(waitsOn(g.silent), g.members[0].intents) {
		d, err := e.waitForAll(g, uncertainWrite, g.silent)
		return true, d, err
	}
	// Who failed together is put back together. What a client wishes now may be another thing than
	// what failed: another pass's.
	var failed []*member
	for _, m := range g.members {
		if m.client.RollingBack != "" && !m.quarantined() {
			failed = append(failed, m)
		}
	}
	d, err = e.rollBack(ctx, g, failed, nil)
	d.Clients = g.ids
	return len(failed) > 0, d, err
}

// uncertainWrite is what somebody does of whose write nobody knows what became of it.
const uncertainWrite = "looking into an uncertain write"

// alone says that a pass is one client's, and puts nothing back: what its vendor doesn't tell of one write is
// no matter for its steps elsewhere (see leaveOpen). Of clients that pass together the write may decide who has a name.
func (g *group) alone() bool { return len(g.members) == 1 && g.members[0].client.RollingBack == "" }

// allAt says that all that is open is at one vendor, and no move of data is among it.
func (e *Engine) allAt(vendor string, open []journal.Intent) bool {
	return vendor != "" && !slices.ContainsFunc(e.reachable(open), func(i journal.Intent) bool { return i.Provider != vendor || i.Op == journal.OpTransfer })
}

// leaveOpen is a plan beside writes of which the vendor, which doesn't answer, tells nothing: all its own steps wait for it,
// those of whatever was written, and a step for each that has none, so that the pass is not over before that
// is known. The others go on (P6).
func (e *Engine) leaveOpen(g *group, p plan.Plan) plan.Plan {
	if g.silent == nil {
		return p
	}
	vendor, m := waitsOn(g.silent), g.members[0]
	why := uncertainWrite + ": " + sentence(g.silent)
	open := map[state.Ref]bool{}
	for _, i := range e.reachable(m.intents) {
		open[i.Ref] = true
	}
	p.Steps = slices.Clone(p.Steps)
	for i, s := range p.Steps {
		if open[s.Ref] || s.Provider == vendor {
			p.Steps[i].WaitFor(vendor, why)
		}
		delete(open, s.Ref)
	}
	for _, ref := range slices.SortedFunc(maps.Keys(open), func(a, b state.Ref) int { return cmp.Compare(a.String(), b.String()) }) {
		s := plan.Step{Number: plan.Number(ref.Kind), Action: plan.Await, Ref: ref, Client: m.client.Name, Provider: vendor, Undo: "nothing: it only waits"}
		s.WaitFor(vendor, why)
		p.Steps = append(p.Steps, s)
	}
	return p
}

// reachable are the intents that can be looked into. What became of a write at a host that is not configured any more
// nobody can see, and nothing is sent there: it waits for that host, and nothing else of its client does. (A database or
// a record has its Ref at every provider: a write at another one would take the place of the intent.)
func (e *Engine) reachable(open []journal.Intent) []journal.Intent {
	return slices.DeleteFunc(slices.Clone(open), func(i journal.Intent) bool {
		switch i.Ref.Kind {
		case state.KindSite, state.KindEnvironment, state.KindDeployment, state.KindTraffic, state.KindDomain:
			return e.away(i.Provider)
		}
		return false
	})
}

// calculate plans the group from what was loaded and looked at.
func (e *Engine) calculate(g *group) plan.Plan {
	in := plan.Input{Commit: g.head, Now: g.now, Traits: g.traits, Keep: e.Keep, Soak: e.Soak}
	in.Clients = make([]plan.ClientInput, 0, len(g.members))
	for _, m := range g.members {
		in.Clients = append(in.Clients, m.input())
	}
	sort.Slice(in.Clients, func(i, j int) bool { return in.Clients[i].Client.ID < in.Clients[j].Client.ID }) // as plan has them
	c := plan.Begin(in)
	sideBySide(c.Len(), func(i int) {
		if err := e.contain(in.Clients[i].Client.ID, func() error { c.Client(i); return nil }); err != nil {
			panic(err)
		}
	})
	p := e.leaveOpen(g, g.unasked(c.Plan()))
	g.later(p)
	return p
}

// later notes of every member what comes later by its plan.
func (g *group) later(p plan.Plan) {
	for _, m := range g.members {
		m.later = nil
	}
	for _, s := range p.Later {
		for _, m := range g.members {
			if s.Ref.Client == m.client.ID {
				m.later = append(m.later, s)
			}
		}
	}
}

// errAsked: while a pass was planned, which takes as long as the world is looked at, a client of it got a
// newer wish, or somebody wanted something of it: paused it, approved what is about to wait. Nothing
// was begun, and another pass plans with that.
var errAsked = errors.New("somebody asked for something else meanwhile")

// begin opens the pass: audit records, statuses, used approvals, holds. run is false
// when nothing of the plan may run now. errAsked: another pass has to plan.
func (e *Engine) begin(g *group, p plan.Plan, holds []state.Hold, cause Cause) (job apply.Job, run bool, err error) {
	runID, err := e.runID()
	if err != nil {
		return job, false, err
	}
	job = g.job(e, p, runID)
	work := map[state.ClientID]bool{}
	for _, s := range p.Steps {
		if runs(s) {
			work[s.Ref.Client], run = true, true
		}
	}
	e.at(PointBegin)
	err = e.Store.Update(func(tx store.Tx) error {
		if err := g.approvedSince(tx, holds); err != nil {
			return err
		}
		if err := e.keepHolds(tx, g, p, holds); err != nil {
			return err
		}
		for _, m := range g.members {
			c, ok, err := store.Client(tx, m.client.ID)
			if err != nil {
				return err
			}
			if ok && (c.Seq != m.client.Seq || c.Wakes != m.client.Wakes) {
				return errAsked
			}
			if !ok || !work[m.client.ID] {
				continue
			}
			d, err := m.goOn(tx, m.audit(p, runID, cause, g.now))
			if err != nil {
				return err
			}
			d.Source = m.client.SourceCommit
			c.SourceSpec, c.SourceCommit = m.client.SourceSpec, m.client.SourceCommit
			if c.Run == "" {
				c.Run = runID // a pass that was cut off, or waited, goes on under its own name
			}
			if err := m.keepsServing(tx, &c, d, p); err != nil {
				return err
			}
			if err := wentOn(tx, c.Deployment, d.ID); err != nil {
				return err
			}
			m.client.Run, m.client.Deployment = c.Run, d.ID
			c.Deployment, c.Settled, c.Attempts, c.Status = d.ID, false, c.Attempts+1, m.busy()
			c.Because, c.Next, c.UpdatedAt, c.RetryAt = "", "", g.now, time.Time{}
			if err := store.PutClient(tx, c); err != nil {
				return err
			}
			if err := store.PutDeployment(tx, d); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return job, false, fmt.Errorf("begin: %w", err)
	}
	e.at(PointBegun)
	for _, m := range g.members {
		if work[m.client.ID] {
			m.worked, m.client.Status = true, m.busy()
			job.Clients[m.client.ID] = m.client
			job.Deployment[m.client.ID] = m.client.Deployment
		}
	}
	return job, run, nil
}

// runs says that a step is carried out now.
func runs(s plan.Step) bool { return s.Held == "" && !s.Blocked && s.Action != plan.Record }

// approvedSince says that a hold was approved, by its whole fingerprint, that is only about to be made.
func (g *group) approvedSince(tx store.Tx, holds []state.Hold) error {
	for _, h := range holds {
		a, ok, err := store.Approval(tx, h.Fingerprint)
		if err != nil {
			return err
		}
		if ok && !slices.ContainsFunc(g.approvals, func(was state.Approval) bool { return was.Fingerprint == a.Fingerprint && was.At.Equal(a.At) }) {
			return errAsked
		}
	}
	return nil
}

// keepsServing forgets how to put back the version before a change that waits in its middle (for a person, an approval: for
// weeks, maybe), where a newer one begins and people came to that change's version well since: a failure of the newer one
// leaves that serving. (Not where a name or the data moves with it: what those need is put back as a whole.)
func (m *member) keepsServing(tx store.Tx, c *state.Client, d state.Deployment, p plan.Plan) error {
	if len(c.Undo) == 0 || c.RollingBack != "" || c.Health != state.Healthy || slices.ContainsFunc(c.Undo, func(u state.Undo) bool {
		return u.Ref.Kind == state.KindDatabase || u.Prior.Ref.Client != c.ID
	}) {
		return nil
	}
	last, ok, err := store.Deployment(tx, c.Deployment)
	if err != nil || !ok {
		return err
	}
	if last.Commit == d.Commit && !slices.ContainsFunc(p.Steps, func(s plan.Step) bool { // a secret that was set, say
		return s.Ref.Client == c.ID && s.Ref.Kind == state.KindDeployment && (s.Action == plan.Create || s.Action == plan.Replace)
	}) {
		return nil
	}
	var led, environment time.Time
	for _, u := range c.Undo {
		now, ok, err := store.Resource(tx, u.Ref)
		switch {
		case err != nil:
			return err
		case !ok || !now.Real():
		case u.Ref.Kind == state.KindTraffic:
			led = now.UpdatedAt
		case u.Ref.Kind == state.KindEnvironment:
			environment = now.UpdatedAt
		}
	}
	if led.IsZero() || !c.HealthAt.After(led) || environment.After(led) {
		return nil
	}
	c.Undo = slices.DeleteFunc(slices.Clone(c.Undo), func(u state.Undo) bool {
		return u.Ref.Kind == state.KindTraffic || u.Ref.Kind == state.KindEnvironment
	})
	return nil
}

// goOn takes the audit record of the same plan up again where it had to wait: asking
// every few minutes whether a person has set a record is one deployment, not hundreds.
func (m *member) goOn(tx store.Tx, d state.Deployment) (state.Deployment, error) {
	last, ok, err := store.Deployment(tx, m.client.Deployment)
	if err != nil || !ok {
		return d, err
	}
	if last.State == "waiting" && last.Commit == d.Commit && last.Fingerprint == d.Fingerprint {
		d.ID, d.Started = last.ID, last.Started
	}
	return d, nil
}

func (e *Engine) runID() (string, error) {
	id, err := e.NewID()
	if err != nil {
		return "", fmt.Errorf("name the pass: %w", err)
	}
	return e.Now().UTC().Format("20060102-150405") + "-" + id, nil
}

// audit is the record of this pass as it begins.
func (m *member) audit(p plan.Plan, run string, cause Cause, now time.Time) state.Deployment {
	d := state.Deployment{ID: run + "-" + string(m.client.ID), Client: m.client.ID, Name: m.client.Name, Commit: m.commit(), Cause: string(cause),
		Fingerprint: plan.Fingerprint(p, m.client.ID), State: auditRunning, Started: now}
	for _, s := range p.Steps {
		if s.Ref.Client == m.client.ID {
			d.Steps = append(d.Steps, state.StepRun{Number: s.Number, Step: s.Key(), Action: string(s.Action), Ref: s.Ref, Provider: s.Provider, State: stepToDo, Approved: s.Approved})
		}
	}
	return d
}

func (m *member) busy() state.Status {
	switch {
	case m.removed:
		return state.StatusDeleting
	case m.client.EverDeployed:
		return state.StatusDeploying
	}
	return state.StatusProvisioning
}
