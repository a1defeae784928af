package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// rollBack takes back what a failed pass changed of who failed, as far as the rules say: what serves
// is put back, built again where its host can't promote it; a first provisioning that nobody wants kept is removed in reverse, its
// database retained; a deployment that failed goes. It runs through the same protocol
// as every plan, so that a crash in its middle is gone on from. The pass ends with it, for all of them
// once it is done for all: whose name another one still has is not at its end. Nor is anything put back
// before it is known what became of every write: a later one of two could come first.
// result is that of the failed pass, nil when an earlier one left it.
func (e *Engine) rollBack(ctx context.Context, g *group, failed []*member, result *apply.Result) (done Done, err error) {
	ends := make([]func() (Done, error), len(failed))
	g.lost = map[state.ClientID]bool{}
	uncertain, err := e.uncertain(g, failed)
	if err != nil {
		return done, err
	}
	for i, m := range failed {
		if uncertain {
			ends[i] = func() (Done, error) {
				return e.backWaits(g, m, result, ending{because: m.client.RollingBack + "; taking back waits until it is known what became of a write"}, time.Time{})
			}
			continue
		}
		if err := e.contain(m.client.ID, func() (err error) { ends[i], err = e.takeBack(ctx, g, m, result); return err }); err != nil {
			return done, err
		}
	}
	for i, m := range failed {
		var d Done
		if err := e.contain(m.client.ID, func() (err error) { d, err = ends[i](); return err }); err != nil {
			return done, err
		}
		done.join(d)
	}
	return done, nil
}

// uncertain says that of a write of one of them nobody knows what became of it: another client of the group
// failed meanwhile, or the pass went on beside it.
func (e *Engine) uncertain(g *group, failed []*member) (yes bool, err error) {
	if len(failed) < 2 && g.silent == nil {
		return false, nil
	}
	err = e.Store.View(func(tx store.Tx) error {
		for _, m := range failed {
			open, err := store.Intents(tx, m.client.ID)
			if err != nil {
				return err
			}
			yes = yes || len(open) > 0
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("what became of its writes: %w", err)
	}
	return yes, nil
}

// takeBack is rollBack for one of those; end ends its pass.
func (e *Engine) takeBack(ctx context.Context, g *group, m *member, result *apply.Result) (end func() (Done, error), err error) {
	if len(m.effective.Name) == 0 {
		if err := e.wish(g); err != nil {
			return nil, err
		}
	}
	keep := m.client.EverDeployed || m.effective.OnFailure == "keep" || m.builtBefore()
	why, lost := m.client.RollingBack, ""
	undo := func(last bool) (p plan.Plan, err error) {
		c := m.client
		nameless := g.nameless(m)
		c.Undo = slices.DeleteFunc(slices.Clone(c.Undo), func(u state.Undo) bool {
			return last != g.servesLast(u.Prior) || g.keptByTaker(u) || g.leadsNowhere(u) || nameless && u.Prior.Ref.Client != c.ID
		})
		if !last {
			c.Undo = append(c.Undo, g.withWhoGoes(c.ID)...)
		}
		err = e.Store.View(func(tx store.Tx) (err error) {
			p, err = apply.Back(tx, c)
			return err
		})
		if err != nil {
			return p, err
		}
		return p, e.goesAgain(p)
	}
	for _, next := range []func() (plan.Plan, error){
		func() (plan.Plan, error) { return undo(false) },
		func() (p plan.Plan, err error) {
			if !m.environmentBack() { // it would be another one
				return p, nil
			}
			return e.buildAgain(ctx, g, m), nil
		},
		func() (plan.Plan, error) { return undo(true) }, // a host that serves what was built last refuses it before that
		func() (plan.Plan, error) { return e.backOut(g, m, keep), nil },
		func() (plan.Plan, error) { return apply.Failed(m.recorded), nil },
	} {
		p, err := next()
		if err != nil {
			return nil, fmt.Errorf("roll back %s: %w", m.client.Name, err)
		}
		if len(p.Steps) == 0 {
			continue
		}
		job := g.job(e, p, m.client.Run)
		job.PutsBack = true // an undo is never left halfway
		e.at(PointRollback)
		r, err := e.Runner.Run(ctx, job)
		if err != nil {
			return nil, fmt.Errorf("roll back %s: %w", m.client.Name, err)
		}
		if result != nil {
			result.Steps = append(result.Steps, undone(r)...)
		}
		st, at := r.WorstOfAll()
		switch {
		case st == apply.StepDone:
		case st == apply.StepFailed, st == apply.StepParked, apply.Anew(at.Err):
			// What was there before is gone, or the vendor refuses it: trying for ever would
			// keep the client from everything else. A retry plans from what there is.
			lost, g.lost[m.client.ID] = cmp.Or(lost, sentence(at.Err)), true
		default:
			return func() (Done, error) {
				return e.backWaits(g, m, result, ending{because: why + "; taking back waits: " + sentence(at.Err), waits: waitsOn(at.Err)}, at.RetryAt)
			}, nil
		}
		if err := e.reread(g); err != nil {
			return nil, err
		}
	}
	return func() (Done, error) {
		if who, name, back := g.hasNameOf(m); back {
			return e.backWaits(g, m, result, ending{because: why + "; taking back waits for " + who + ", which still has its name"}, time.Time{})
		} else if who != "" { // and where that one is removed, the vendor refused it to this one: lost says why
			lost = strings.TrimSuffix(who+" still has "+name+", and can't give it back; "+lost, "; ")
		}
		if lost == "" { // by a pass whose end could not be recorded, say
			lost = g.notBuiltAgain(m)
		}
		e.at(PointRolledBack)
		return e.rolledBack(g, m, result, why, lost, keep)
	}, nil
}

// builtBefore says that traffic leads, or did before this pass, to another version than the one that is wished: it was proved
// on its own address, and its client waits for a person to lead its name there, for weeks maybe. It is at work there. (Not of
// who took a name from another client: that one's name goes with what was made for it.)
func (m *member) builtBefore() bool {
	if slices.ContainsFunc(m.client.Undo, func(u state.Undo) bool { return u.Prior.Ref.Client != m.client.ID }) {
		return false
	}
	if slices.ContainsFunc(m.client.Undo, func(u state.Undo) bool { return u.Ref.Kind == state.KindTraffic && u.Prior.Ref == u.Ref }) {
		return true
	}
	return slices.ContainsFunc(m.recorded, func(t state.Resource) bool {
		to, _ := t.Attributes.Get("deployment")
		return t.Ref.Kind == state.KindTraffic && t.Real() && to.Ref != nil &&
			slices.ContainsFunc(m.wish, func(w state.Resource) bool { return w.Ref.Kind == state.KindDeployment }) &&
			!slices.ContainsFunc(m.wish, func(w state.Resource) bool { return w.Ref == *to.Ref })
	})
}

// backWaits ends a pass whose undo is not done, and goes on later.
func (e *Engine) backWaits(g *group, m *member, result *apply.Result, end ending, at time.Time) (Done, error) {
	n := m.client.Failures + 1
	end.status, end.at, end.word, end.audit, end.fault = m.client.Status, e.later(n, at), "pending", "failed", m.client.Fault
	end.change = func(c *state.Client) { c.Failures = n }
	return e.finish(g, m, result, end)
}

// hasNameOf is who still has a name of a member that it was to give back, and which; "": nobody. back says
// that it is about to.
func (g *group) hasNameOf(m *member) (who, name string, back bool) {
	for _, o := range g.members {
		for _, u := range o.client.Undo {
			if o == m || !u.Had(m.client.ID) || !slices.ContainsFunc(o.recorded, func(r state.Resource) bool { return r.Ref == u.Ref && r.Real() }) {
				continue
			}
			if o.client.RollingBack != "" && !g.lost[o.client.ID] {
				return o.client.Name, u.Ref.Host(), true
			}
			who, name = o.client.Name, u.Ref.Host()
		}
	}
	return who, name, false
}

// keptByTaker says that what a failed client took over is not given back: whoever had it came to its
// end without it (see state.Undo), or does not pass with it any more. "A name that changes its owner in
// one commit is one plan over both clients", and the undo of that plan is over both, until one of them
// is through. To have it back that one would have to let it go once more, which nobody would make it
// do, and somebody else may be at work on it. Nor is anything given back to who is in quarantine: that one
// keeps what it took itself, and nothing of it is worked on. Nor does who is removed give anything back,
// that failed to go: no old version of it is to run, and it may have waited for days.
func (g *group) keptByTaker(u state.Undo) bool {
	had, by := u.Prior.Ref.Client, u.Ref.Client
	if had == by {
		return false
	}
	passes := false
	for _, m := range g.members {
		passes = passes || m.client.ID == had && !m.quarantined()
		if m.client.ID == by && m.removed {
			return true
		}
	}
	return u.Kept || !passes
}

// knownByName says that people came by a name to a client: it was through with one.
func (m *member) knownByName() bool { return m.client.EverDeployed && m.client.URL != "" }

// nameless says that a failed client would answer by no name once it gave back what it took: what it had
// is let go of for good, and nobody has it any more who could give it back. Then it keeps that.
func (g *group) nameless(m *member) bool {
	if !m.knownByName() {
		return false
	}
	gives := func(host string) bool {
		return slices.ContainsFunc(m.client.Undo, func(u state.Undo) bool {
			return u.Prior.Ref.Client != m.client.ID && plan.Leads(u.Ref, host) && !g.keptByTaker(u)
		})
	}
	if slices.ContainsFunc(g.withWhoGoes(m.client.ID), func(u state.Undo) bool {
		return u.Prior.Ref.Kind == state.KindDomain && u.Prior.Attributes.Literal("redirect") == ""
	}) {
		return false
	}
	answers := false
	for _, r := range m.recorded {
		if r.Ref.Kind != state.KindDomain || !r.Real() || r.Attributes.Literal("redirect") != "" {
			continue
		}
		switch host := r.Ref.Host(); {
		case gives(host):
			answers = true
		case !g.ledElsewhere(m, host):
			return false
		}
	}
	for _, o := range g.members {
		if slices.ContainsFunc(o.client.Undo, func(u state.Undo) bool { return u.Had(m.client.ID) && !g.keptByTaker(u) }) {
			return false
		}
	}
	return answers
}

// ledElsewhere says that a name's record is another client's, and leads to that one.
func (g *group) ledElsewhere(m *member, host string) bool {
	return slices.ContainsFunc(g.members, func(o *member) bool {
		return o != m && slices.ContainsFunc(o.recorded, func(r state.Resource) bool { return leadsTo(r, host) })
	})
}

// leadsTo says that a record is there that leads a name somewhere: not one that a person has yet to set.
func leadsTo(r state.Resource, host string) bool {
	return r.Ref.Kind == state.KindRecord && r.Real() && r.Phase != string(provider.Manual) && plan.Leads(r.Ref, host)
}

// leadsNowhere says that a name would redirect again to one that its client does not have any more, and
// does not get back: whoever took that one may be gone with it.
func (g *group) leadsNowhere(u state.Undo) bool {
	id, to := u.Prior.Ref.Client, u.Prior.Attributes.Literal("redirect")
	if to == "" || u.Prior.Ref.Kind != state.KindDomain {
		return false
	}
	for _, m := range g.members {
		has := func(r state.Resource) bool {
			return r.Ref.Client == id && r.Ref.Kind == state.KindDomain && r.Ref.Host() == to
		}
		if slices.ContainsFunc(m.recorded, has) || slices.ContainsFunc(m.client.Undo, func(u state.Undo) bool { return !u.Kept && has(u.Prior) }) {
			return false
		}
	}
	return true
}

// withWhoGoes is what a client gets back, as it fails, that a member took from it and is removed since.
func (g *group) withWhoGoes(id state.ClientID) (back []state.Undo) {
	for _, m := range g.members {
		for _, u := range m.client.Undo {
			if m.removed && u.Had(id) {
				back = append(back, u)
			}
		}
	}
	return back
}

// goesAgain opens the proofs of what an undo gives back to the client that had it: that one may have
// ended with the move, its removal done. Without its proof what comes back would stay, and
// whoever wishes it would find another client's mark there for ever. It comes before the undo,
// so that none is forgotten when the process dies; where nothing comes back, the next pass
// closes it.
func (e *Engine) goesAgain(p plan.Plan) error {
	back := map[state.ClientID][]state.Resource{}
	for _, s := range p.Steps {
		if s.Action == plan.Move && s.Ref.Client != s.From.Client && s.Wish != nil {
			back[s.Ref.Client] = append(back[s.Ref.Client], *s.Wish)
		}
	}
	if len(back) == 0 {
		return nil
	}
	return e.Store.Update(func(tx store.Tx) error {
		for _, id := range slices.Sorted(maps.Keys(back)) {
			stones, err := store.Tombstones(tx, id)
			if err != nil {
				return err
			}
			for _, t := range stones {
				if !t.Done || !plan.Left(t, back[id]) {
					continue
				}
				t.Done = false
				if err := store.PutTombstone(tx, t); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// rolledBack ends a failed pass whose undo is done, as far as it can be: lost says why
// something could not be put back.
func (e *Engine) rolledBack(g *group, m *member, result *apply.Result, why, lost string, keep bool) (Done, error) {
	audit, text := "failed", g.stillWorks(m)+why
	if !keep {
		audit = "rolled back"
	}
	if lost != "" {
		text = why + "; " + state.NotPutBack + lost
	}
	done := func(c *state.Client) {
		c.RollingBack, c.RollingSeq, c.Run = "", 0, ""
		// An environment that could not be put back is when the next try fails: what serves was built with
		// the one before, whatever is on record by then, unless that could not be put back either. So is a
		// name that could not be given back, and what an alias redirected to: that may be given back then.
		newer := slices.ContainsFunc(c.Undo, func(u state.Undo) bool { return m.servesNewer(u) })
		c.Undo = slices.DeleteFunc(slices.Clone(c.Undo), func(u state.Undo) bool {
			if u.Prior.Ref.Client != u.Ref.Client {
				return lost == "" || g.keptByTaker(u) || !slices.ContainsFunc(m.recorded, func(r state.Resource) bool { return r.Ref == u.Ref && r.Real() })
			}
			alias := u.Ref.Kind == state.KindDomain && u.Prior.Attributes.Literal("redirect") != ""
			return lost == "" || u.Prior.Ref != u.Ref || !alias && (newer || u.Ref.Kind != state.KindEnvironment)
		})
		if len(c.Undo) == 0 {
			c.Undo = nil
		}
	}
	if failed := m.client.RollingSeq; failed > 0 && (m.client.Seq > failed || e.newer(m)) { // while the program was away, or it was taken back
		return e.finish(g, m, result, ending{status: m.client.Status, because: text + "; a newer commit replaced that wish", what: "failed", audit: audit, change: done})
	}
	next := "mend the manifest, or `reconciler retry " + m.client.Name + "`" + m.sourceStays()
	if m.client.FailedStep == "" {
		next = "mend what failed, or `reconciler retry " + m.client.Name + "`" // another one's
	}
	if m.client.Fault {
		next = "`reconciler retry " + m.client.Name + "`; the manifest is not to blame"
	}
	return e.finish(g, m, result, ending{status: state.StatusFailed, because: text, next: next,
		settled: true, word: "failed", what: "failed", audit: audit, fault: m.client.Fault, change: done})
}

// sourceStays is said to who failed by what its source is, where that goes by a name: a branch that is mended there
// later is no change, and a retry builds the same commit again.
func (m *member) sourceStays() string {
	ref, commit := m.effective.Source.Ref, m.client.SourceCommit
	if len(commit) < 7 || ref == commit || !strings.Contains(m.client.FailedStep, "/"+string(state.KindDeployment)+"/") && !strings.HasPrefix(m.client.FailedStep, string(plan.Probe)+" ") {
		return ""
	}
	return "; " + cmp.Or(ref, "the default branch") + " stays the commit " + commit[:7] + " here: what is mended in the source goes by another `ref` (a tag, a commit)"
}

// servesNewer says that traffic was not put back: it leads to what was built since.
func (m *member) servesNewer(u state.Undo) bool {
	if u.Ref.Kind != state.KindTraffic || u.Prior.Ref != u.Ref {
		return false
	}
	was, _ := u.Prior.Attributes.Get("deployment")
	return slices.ContainsFunc(m.recorded, func(r state.Resource) bool {
		now, _ := r.Attributes.Get("deployment")
		return r.Ref == u.Ref && r.Real() && !now.Equal(was)
	})
}

// stillRuns begins what stillWorks says of a site.
const stillRuns = "Your site still runs the old version"

// stillWorks is what a failure says first, where a version serves. Of what goes, some may be gone;
// who comes back may have lost its names to others meanwhile, or what leads to them, or its records may be gone.
func (g *group) stillWorks(m *member) string {
	has := func(is func(state.Resource) bool) bool {
		return slices.ContainsFunc(m.recorded, func(r state.Resource) bool { return r.Real() && is(r) })
	}
	switch {
	case !m.client.EverDeployed, m.client.Removed, !has(func(r state.Resource) bool { return r.Ref.Kind == state.KindTraffic }):
		return ""
	case m.effective.Host != "" && !has(func(r state.Resource) bool {
		to := r.Attributes.Literal("redirect") // to another one of its names, which may be another client's by now
		return r.Ref.Kind == state.KindDomain && !g.ledElsewhere(m, r.Ref.Host()) && !g.unset(m, r.Ref.Host()) && (to == "" || has(func(o state.Resource) bool { return o.Ref.Kind == state.KindDomain && o.Ref.Host() == to }))
	}):
		return state.RunsUnnamed + " "
	case m.apart():
		return state.RunsApart + " "
	}
	return stillRuns + ". "
}

// apart says that what serves was built with an address that its database does not have any more: that
// changed, and nothing puts it back.
func (m *member) apart() bool {
	for _, t := range m.recorded {
		to, _ := t.Attributes.Get("deployment")
		if t.Ref.Kind == state.KindTraffic && t.Real() && to.Ref != nil && slices.ContainsFunc(m.recorded, func(r state.Resource) bool {
			return r.Ref == *to.Ref && r.Database != "" && plan.BuiltElsewhere(r, m.recorded)
		}) {
			return true
		}
	}
	return false
}

// unset says that the record which a client wishes for a name is not there: it went as the client did, which came
// back since, or can't be made. Of a name that is not wished any more: that it has none, and others would.
func (g *group) unset(m *member, host string) bool {
	wished := slices.ContainsFunc(m.wish, func(w state.Resource) bool { return w.Ref.Kind == state.KindDomain && w.Ref.Host() == host })
	return slices.ContainsFunc(m.wish, func(w state.Resource) bool {
		return w.Ref.Kind == state.KindRecord && !g.traits[w.Provider][w.Ref.Kind].Manual && (plan.Leads(w.Ref, host) || !wished && plan.Leads(w.Ref, m.effective.Host))
	}) && !slices.ContainsFunc(m.recorded, func(r state.Resource) bool { return leadsTo(r, host) })
}

// servesLast says that it is the traffic of a host that serves what was built last.
func (g *group) servesLast(r state.Resource) bool {
	t := g.traits[r.Provider][state.KindDeployment]
	return r.Ref.Kind == state.KindTraffic && !t.Promotable && !t.Manual
}

// buildAgain is the plan that makes the release serve again that traffic leads to, by the
// record, where the host serves what was built last: that is what failed. One that is still
// being built there goes.
//
// A release that failed while it was built in place leaves the one before, or leaves it to
// be built again, with the environment that was put back: which, a look tells. Who is there
// still is left alone: to make it anew would take it away first.
func (e *Engine) buildAgain(ctx context.Context, g *group, m *member) (p plan.Plan) {
	for _, t := range m.recorded {
		to, _ := t.Attributes.Get("deployment")
		for _, u := range m.client.Undo { // it is put back afterwards
			if u.Ref == t.Ref && u.Prior.Ref == t.Ref && g.servesLast(t) {
				to, _ = u.Prior.Attributes.Get("deployment")
			}
		}
		if t.Ref.Kind != state.KindTraffic || !t.Real() || to.Ref == nil || m.client.Removed {
			continue
		}
		for _, have := range m.recorded {
			if plan.Comes(have, g.traits[have.Provider][have.Ref.Kind]) && have.Ref != *to.Ref {
				p.Steps = append(p.Steps, plan.Step{Number: plan.StepDeploy, Action: plan.Delete, Ref: have.Ref, Client: m.client.Name, Provider: have.Provider, Prior: &have,
					Reason: "put back: " + m.client.RollingBack, Undo: "nothing: this is the undo"})
			}
			again := plan.Step{Number: plan.StepMonitor, Action: plan.Await, Ref: have.Ref, Client: m.client.Name, Provider: have.Provider,
				Reason: "until it is built", Undo: "nothing: it only waits"}
			action := plan.Replace
			switch is := have.Ref == *to.Ref; {
			case is && plan.Comes(have, g.traits[have.Provider][have.Ref.Kind]): // begun by a process that died since
				p.Steps = append(p.Steps, again)
				continue
			case is && !have.Overtaken && e.brokenIn(ctx, g, m, have):
				action = plan.Create
			case is && have.Overtaken && have.Adopted && have.Ref.Name != plan.AdoptedName:
				action = plan.Create // the one that was adopted is nobody's to delete; of one that differed nobody knows what it was made of
			case !is || have.Adopted || !have.Overtaken:
				continue
			}
			wish := have
			wish.Overtaken, wish.ID, wish.Adopted = false, "", false
			made := plan.Step{Number: plan.StepDeploy, Action: action, Ref: have.Ref, Client: m.client.Name, Provider: have.Provider, Wish: &wish, Prior: &have,
				Reason: "put back: " + m.client.RollingBack, Undo: "nothing: this is the undo"}
			again.Needs = []string{made.Key()}
			p.Steps = append(p.Steps, made, again)
		}
	}
	return p
}

// environmentBack says that every environment is on record as it was before, where one is to be put back.
func (m *member) environmentBack() bool {
	return !slices.ContainsFunc(m.client.Undo, func(u state.Undo) bool {
		return u.Ref.Kind == state.KindEnvironment && u.Prior.Ref == u.Ref && slices.ContainsFunc(m.recorded, func(r state.Resource) bool {
			return r.Ref == u.Ref && r.Real() && r.Attributes.Canonical() != u.Prior.Attributes.Canonical()
		})
	})
}

// notBuiltAgain says that what was to serve again, where the host serves what was built last, could not be
// built; "": it was.
func (g *group) notBuiltAgain(m *member) string {
	for _, t := range m.recorded {
		to, _ := t.Attributes.Get("deployment")
		if t.Ref.Kind != state.KindTraffic || !t.Real() || to.Ref == nil || m.client.Removed || g.traits[t.Provider][state.KindDeployment].Promotable {
			continue
		}
		there := slices.ContainsFunc(m.recorded, func(r state.Resource) bool { return r.Ref == *to.Ref && r.Real() && !r.Overtaken })
		newer := slices.ContainsFunc(m.recorded, func(r state.Resource) bool {
			return r.Ref.Kind == state.KindDeployment && r.Provider == t.Provider && r.Real() && r.Ref != *to.Ref && r.Phase == ""
		})
		if !there && newer {
			return "the earlier release is gone at " + t.Provider + ", and could not be built again"
		}
	}
	return ""
}

// brokenIn says that another release failed to be built in a release's place, and that this one
// is not there any more. Where it can't be seen nothing is done: the next look at the
// world tells.
func (e *Engine) brokenIn(ctx context.Context, g *group, m *member, have state.Resource) bool {
	t := g.traits[have.Provider][have.Ref.Kind]
	if have.Adopted || have.Found || !have.Real() || have.Phase != "" || t.Promotable || t.Manual {
		return false
	}
	broken := slices.ContainsFunc(m.recorded, func(o state.Resource) bool {
		return plan.SameHost(have, o) && o.Real() && o.Phase == string(provider.Failed)
	})
	if !broken {
		return false
	}
	p, ok := e.Runner.Provider(have.Provider, have.Ref.Kind)
	if !ok {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	found, err := p.Observe(ctx, provider.Query{Kind: have.Ref.Kind, ID: have.ID})
	return err == nil && len(found) == 0
}

// backOut is the plan that removes what this run created, in reverse, and names that it took
// over for good: they would lead to a site that is gone. The database is retained by it, never
// deleted.
func (e *Engine) backOut(g *group, m *member, keep bool) plan.Plan {
	if keep {
		return plan.Plan{}
	}
	in := m.input()
	in.Wish, in.Removed, in.Problems, in.Looks, in.Recorded = nil, true, nil, nil, nil
	in.Tombstones = []state.Tombstone{{Client: m.client.ID, Name: m.client.Name, Commit: m.client.Commit, At: g.now}}
	for _, r := range m.recorded {
		taken := slices.ContainsFunc(m.client.Undo, func(u state.Undo) bool { return u.Ref == r.Ref && g.keptByTaker(u) })
		if (r.Run == m.client.Run || taken) && !r.Found && !r.Adopted {
			in.Recorded = append(in.Recorded, r)
		}
	}
	p := plan.Calculate(plan.Input{Commit: g.head, Now: g.now, Traits: g.traits, Keep: e.Keep, Clients: []plan.ClientInput{in}})
	for i := range p.Steps {
		p.Steps[i].Reason = "taken back: " + m.client.RollingBack
	}
	return p
}

// undone marks the steps of an undo for the audit record.
func undone(r apply.Result) []apply.StepResult {
	out := append([]apply.StepResult(nil), r.Steps...)
	for i := range out {
		if out[i].State == apply.StepDone {
			out[i].Note = "undone"
		}
	}
	return out
}
