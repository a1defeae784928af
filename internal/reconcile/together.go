package reconcile

import (
	"fmt"
	"maps"
	"slices"

	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// failure is what a client of a group fails by.
type failure struct {
	text, step string
	fault      bool // of this program
}

// together finds who fails, by a step of its own or with another: a name that changes its owner in
// one commit is one plan over both clients. Who took a name from a client that fails gives it back,
// or that one's old version would answer by none; who has all that it wishes, and took a name from one
// that is still at it, or waits for a person to decide, or is paused without a name, is not through before
// that one is. (Not who would have no name to go back to: at another host the old one may have been let go
// since.) All who fail are noted at once: a process that dies before the first of them is put back goes on with all.
func (e *Engine) together(g *group, p plan.Plan, holds []state.Hold, result apply.Result) error {
	g.fails, g.open = map[state.ClientID]failure{}, map[state.ClientID]string{}
	atIt, stuck, rests := map[state.ClientID]bool{}, map[state.ClientID]string{}, []*member{}
	for _, m := range g.members {
		switch st, at := result.Worst(m.client.ID); {
		case m.quarantined():
		case !m.worked:
			if m.waitsForVendor(p, holds) || m.waitsForName(p) {
				atIt[m.client.ID] = true
			}
			if why := m.problem(p); why != "" {
				stuck[m.client.ID] = why
			}
			if !m.removed && (m.client.Paused || m.effective.Paused) {
				rests = append(rests, m)
			}
		case st == apply.StepFailed && !onlyLeft(m, result):
			g.fails[m.client.ID] = failure{text: sentence(at.Err), step: at.Step.Key(), fault: apply.Fault(at.Err)}
		case st == apply.StepSkipped && onlyHeldLeft(p, m, result): // for good, if the others are through
		case st == apply.StepWaiting || st == apply.StepSkipped || st == apply.StepSuperseded || st == apply.StepParked:
			atIt[m.client.ID] = true
		}
	}
	if len(g.members) > 1 && len(g.fails)+len(atIt)+len(stuck)+len(rests) > 0 {
		x, err := e.exchanged(g, result)
		if err != nil {
			return err
		}
		for _, m := range g.members {
			id := m.client.ID
			if why := stuck[id]; why != "" && x.halfway(id) && (m.client.Run != "" || x.unnamed(m)) {
				g.fails[id] = failure{text: why}
			}
		}
		for _, m := range rests {
			if x.unnamed(m) { // paused in the middle: when it goes on and fails, it is to have its name back
				atIt[m.client.ID] = true
			}
		}
		failed := map[state.ClientID]bool{}
		for id := range g.fails {
			failed[id] = true
		}
		for _, y := range x.goBackWith(g, failed) {
			g.fails[y.id] = failure{text: y.from.Name + ", whose name it takes, failed: " + g.fails[y.from.ID].text}
		}
		for _, y := range x.goBackWith(g, atIt) {
			if _, fails := g.fails[y.id]; !fails {
				g.open[y.id] = y.from.Name
			}
		}
	}
	return e.noteFailures(g)
}

// problem is why a member can't go on: its newest wish is not to be carried out as it stands. "": nothing, or a
// person decides.
func (m *member) problem(p plan.Plan) string {
	i := slices.IndexFunc(p.Problems, func(q plan.Problem) bool { return q.Client == m.client.ID && q.Hold == "" })
	if i < 0 || m.removed || !m.client.EverDeployed {
		return ""
	}
	return p.Problems[i].Text
}

// waitsForVendor says that a member began to carry out its wish, and that nothing of it ran now as a
// vendor does not answer. (Not who waits for a person, or for what another client still has.)
func (m *member) waitsForVendor(p plan.Plan, holds []state.Hold) bool {
	switch {
	case m.client.Run == "" || m.removed || m.client.Paused || m.effective.Paused:
	case slices.ContainsFunc(holds, func(h state.Hold) bool { return h.Client == m.client.ID }):
	default:
		return slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return s.Ref.Client == m.client.ID && s.Blocked && s.Waits != "" })
	}
	return false
}

// waitsForName says that a member began to carry out its wish, and that what is to lead people to it waits, for
// whatever that may be: an approval, say, or the end of a freeze.
func (m *member) waitsForName(p plan.Plan) bool {
	if m.client.Run == "" || m.removed || m.client.Paused || m.effective.Paused {
		return false
	}
	return slices.ContainsFunc(p.Steps, func(s plan.Step) bool {
		return s.Ref.Client == m.client.ID && (s.Held != "" || s.Blocked) && s.LeadsHere()
	})
}

// openWith ends a pass for a member that has all that it wishes before the one whose name it took.
func openWith(who string) ending {
	return ending{because: "all of it is done; " + who + ", whose name it took, is not through, and if that fails, the name goes back"}
}

// exchange is what the members of a group took from each other, as it is on record.
type exchange struct {
	result apply.Result
	undo   map[state.ClientID][]state.Undo     // what would be put back
	have   map[state.ClientID][]state.Resource // what is on record
}

func (e *Engine) exchanged(g *group, result apply.Result) (exchange, error) {
	x := exchange{result: result, undo: map[state.ClientID][]state.Undo{}, have: map[state.ClientID][]state.Resource{}}
	err := e.Store.View(func(tx store.Tx) error {
		for _, m := range g.members {
			c, _, err := store.Client(tx, m.client.ID)
			if err != nil {
				return err
			}
			x.undo[m.client.ID] = c.Undo
			if x.have[m.client.ID], err = store.Resources(tx, m.client.ID); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return x, fmt.Errorf("who took a name from whom: %w", err)
	}
	return x, nil
}

// tie is a client that goes back with another, from which it took a name.
type tie struct {
	id   state.ClientID
	from *state.Client
}

// goBackWith are the members that go back when these do: who took a name from one of them, who took one
// from those, and so on, each after the one that it took from. Who would have no name then does not.
func (x exchange) goBackWith(g *group, these map[state.ClientID]bool) []tie {
	stays := map[state.ClientID]bool{}
	for {
		var ties []tie
		back := maps.Clone(these)
		for again := true; again; {
			again = false
			for _, m := range g.members {
				id := m.client.ID
				if back[id] || stays[id] || m.removed || m.quarantined() || m.client.Run == "" { // none of its wish is begun: it may be paused
					continue
				}
				for _, from := range g.members {
					if back[from.client.ID] && !from.removed && x.took(id, from.client.ID) {
						ties, again, back[id] = append(ties, tie{id, &from.client}), true, true
						break
					}
				}
			}
		}
		all := len(stays)
		for _, y := range ties {
			m := g.members[slices.IndexFunc(g.members, func(m *member) bool { return m.client.ID == y.id })]
			if !x.hasNameBefore(g, m, back) {
				stays[y.id] = true
				break // whoever took from it may stay, too
			}
		}
		if len(stays) == all {
			return ties
		}
	}
}

// took says that something which would be put back was another client's before, or was to be
// taken now, and that one was not ready.
func (x exchange) took(by, from state.ClientID) bool {
	return by != from && (slices.ContainsFunc(x.undo[by], func(u state.Undo) bool { return u.Had(from) }) ||
		slices.ContainsFunc(x.result.Steps, func(r apply.StepResult) bool {
			return r.State == apply.StepSkipped && r.Step.Action == plan.Move && r.Step.Ref.Client == by && r.Step.From.Client == from
		}))
}

// halfway says that a client took something from another one, or another one from it, that would be put
// back: what it answers by is not decided.
func (x exchange) halfway(id state.ClientID) bool {
	for by, undo := range x.undo {
		for _, u := range undo {
			if !u.Kept && u.Prior.Ref.Client != by && (by == id || u.Prior.Ref.Client == id) {
				return true
			}
		}
	}
	return false
}

// unnamed says that a member had names, and has none: another one took them, and they could not be given back when one of
// them failed, or it is paused since. A name whose record leads to another one is none.
func (x exchange) unnamed(m *member) bool {
	return m.knownByName() && !slices.ContainsFunc(x.have[m.client.ID], func(r state.Resource) bool {
		return r.Ref.Kind == state.KindDomain && r.Real() && r.Attributes.Literal("redirect") == "" && !x.ledElsewhere(m.client.ID, r.Ref.Host())
	})
}

// ledElsewhere says that a name's record is another member's than this one, and leads to that one.
func (x exchange) ledElsewhere(id state.ClientID, host string) bool {
	for other, all := range x.have {
		if other != id && slices.ContainsFunc(all, func(r state.Resource) bool { return leadsTo(r, host) }) {
			return true
		}
	}
	return false
}

// hasNameBefore says that a member would answer by a name once all is put back: by one that it
// still has, or by one that those who go back give back to it, or who goes (withWhoGoes). Who is known by none
// needs none.
func (x exchange) hasNameBefore(g *group, m *member, back map[state.ClientID]bool) bool {
	id := m.client.ID
	another := func(r state.Ref) bool {
		return slices.ContainsFunc(x.undo[id], func(u state.Undo) bool { return u.Ref == r && u.Prior.Ref.Client != id && !u.Kept })
	}
	if !m.knownByName() || slices.ContainsFunc(x.have[id], func(r state.Resource) bool {
		return r.Ref.Kind == state.KindDomain && r.Real() && r.Run != m.client.Run && r.Attributes.Literal("redirect") == "" && !another(r.Ref) &&
			!x.staysElsewhere(g, id, r.Ref.Host(), back)
	}) {
		return true
	}
	for _, other := range g.members {
		if (back[other.client.ID] || other.removed) && slices.ContainsFunc(x.undo[other.client.ID], func(u state.Undo) bool {
			return u.Prior.Ref.Kind == state.KindDomain && u.Prior.Ref.Client == id && !u.Kept
		}) {
			return true
		}
	}
	return false
}

// staysElsewhere says that a name's record is another member's, as in ledElsewhere, and would not be given back.
func (x exchange) staysElsewhere(g *group, id state.ClientID, host string, back map[state.ClientID]bool) bool {
	return slices.ContainsFunc(g.members, func(o *member) bool {
		gives := func(r state.Ref) bool {
			return (back[o.client.ID] || o.removed) && slices.ContainsFunc(x.undo[o.client.ID], func(u state.Undo) bool {
				return u.Ref == r && u.Prior.Ref.Client == id && !u.Kept
			})
		}
		return o.client.ID != id && slices.ContainsFunc(x.have[o.client.ID], func(r state.Resource) bool { return leadsTo(r, host) && !gives(r.Ref) })
	})
}

// noteFailures writes down who fails by what, before anything is put back.
func (e *Engine) noteFailures(g *group) error {
	if len(g.fails) == 0 {
		return nil
	}
	err := e.Store.Update(func(tx store.Tx) error {
		for _, m := range g.members {
			why, fails := g.fails[m.client.ID]
			c, ok, err := store.Client(tx, m.client.ID)
			if err != nil {
				return err
			}
			if !ok || !fails {
				continue
			}
			c.RollingBack, c.RollingSeq, c.FailedStep, c.Fault = why.text, m.client.Seq, why.step, why.fault
			if err := store.PutClient(tx, c); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("note who failed: %w", err)
	}
	return e.reread(g)
}
