package reconcile

import (
	"fmt"
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
// that is still at it, is not through before that one is. (Not who would have no name to go back to:
// at another host the old one may have been let go since.) All who fail are noted at once: a process
// that dies before the first of them is put back goes on with all.
func (e *Engine) together(g *group, result apply.Result) error {
	g.fails, g.open = map[state.ClientID]failure{}, map[state.ClientID]string{}
	atIt := map[state.ClientID]bool{}
	for _, m := range g.members {
		switch st, at := result.Worst(m.client.ID); {
		case !m.worked || m.quarantined():
		case st == apply.StepFailed && !onlyLeft(m, result):
			g.fails[m.client.ID] = failure{text: sentence(at.Err), step: at.Step.Key(), fault: apply.Fault(at.Err)}
		case st == apply.StepWaiting || st == apply.StepSkipped:
			atIt[m.client.ID] = true
		}
	}
	if len(g.members) > 1 && len(g.fails)+len(atIt) > 0 {
		x, err := e.exchanged(g, result)
		if err != nil {
			return err
		}
		for again := true; again; {
			again = false
			for _, m := range g.members {
				if from := x.with(g, m, func(id state.ClientID) bool { _, fails := g.fails[id]; return fails }); from != nil {
					g.fails[m.client.ID], again = failure{text: from.Name + ", whose name it takes, failed: " + g.fails[from.ID].text}, true
				}
			}
		}
		for _, m := range g.members {
			if from := x.with(g, m, func(id state.ClientID) bool { return atIt[id] }); from != nil {
				g.open[m.client.ID] = from.Name
			}
		}
	}
	return e.noteFailures(g)
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

// with is the client, one of those meant, from which a member that does not fail so far took a name
// and can give it back; nil: none is.
func (x exchange) with(g *group, m *member, meant func(state.ClientID) bool) *state.Client {
	if _, fails := g.fails[m.client.ID]; fails || m.removed || m.quarantined() {
		return nil
	}
	for _, from := range g.members {
		if !from.removed && meant(from.client.ID) && x.took(m.client.ID, from.client.ID) && x.hasNameBefore(m, meant) {
			return &from.client
		}
	}
	return nil
}

// took says that something which would be put back was another client's before, or was to be
// taken now, and that one was not ready.
func (x exchange) took(by, from state.ClientID) bool {
	return by != from && (slices.ContainsFunc(x.undo[by], func(u state.Undo) bool { return u.Prior.Ref.Client == from }) ||
		slices.ContainsFunc(x.result.Steps, func(r apply.StepResult) bool {
			return r.State == apply.StepSkipped && r.Step.Action == plan.Move && r.Step.Ref.Client == by && r.Step.From.Client == from
		}))
}

// hasNameBefore says that a member would answer by a name once all is put back: by one that it
// still has, or by one that those who fail give back to it. Who was not made yet needs none.
func (x exchange) hasNameBefore(m *member, gives func(state.ClientID) bool) bool {
	id := m.client.ID
	taken := func(r state.Ref) bool {
		return slices.ContainsFunc(x.undo[id], func(u state.Undo) bool { return u.Ref == r && u.Prior.Ref.Client != id })
	}
	if !m.client.EverDeployed || slices.ContainsFunc(x.have[id], func(r state.Resource) bool {
		return r.Ref.Kind == state.KindDomain && r.Real() && r.Run != m.client.Run && !taken(r.Ref)
	}) {
		return true
	}
	for other, undo := range x.undo {
		if gives(other) && slices.ContainsFunc(undo, func(u state.Undo) bool { return u.Prior.Ref.Kind == state.KindDomain && u.Prior.Ref.Client == id }) {
			return true
		}
	}
	return false
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
