package apply

import (
	"fmt"

	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// Back is the plan that puts back what a pass changed of what serves: c.Undo, the
// last change first. It is run like any other plan, so that it is journaled, looked
// into and resumed like one.
func Back(tx store.Tx, c state.Client) (plan.Plan, error) {
	var p plan.Plan
	moved, err := movedBack(tx, c)
	if err != nil {
		return p, err
	}
	p.Steps = moved // first of all: the address that is put back is that of the old one
	for i := len(c.Undo) - 1; i >= 0; i-- {
		u := c.Undo[i]
		if u.Ref.Kind == state.KindDatabase {
			continue
		}
		now, ok, err := store.Resource(tx, u.Ref)
		if err != nil {
			return p, err
		}
		if !ok && !u.Replaced {
			continue // it never came to the change, or it is gone: nothing to put back
		}
		prior := u.Prior
		for _, s := range moved {
			prior = plan.Repointed(prior, s.From, s.Ref) // once it is put back
		}
		_, open, err := store.Intent(tx, u.Ref)
		if err != nil {
			return p, err
		}
		if !open && now.Ref == prior.Ref && now.Provider == prior.Provider && now.Attributes.Canonical() == prior.Attributes.Canonical() {
			continue // as it was, and nothing is under way that may change it yet
		}
		s := plan.Step{Number: numberOf(prior.Ref.Kind), Action: plan.Update, Ref: prior.Ref, Provider: prior.Provider, Wish: &prior, Prior: &now,
			Reason: "put back: " + c.RollingBack, Undo: "nothing: this is the undo"}
		wish := state.Resource{Ref: prior.Ref, Provider: prior.Provider, Attributes: prior.Attributes, After: prior.After}
		switch {
		case !ok:
			s.Action, s.Wish, s.Prior = plan.Create, &wish, nil
		case now.Provider != prior.Provider:
			s.Action, s.Wish = plan.Replace, &wish
		case prior.Ref != u.Ref:
			s.Action, s.From = plan.Move, u.Ref
		}
		if n := len(p.Steps); n > 0 {
			s.Needs = []string{p.Steps[n-1].Key()}
		}
		p.Steps = append(p.Steps, s)
	}
	return p, nil
}

// movedBack is the step that puts a database back from which this pass moved away.
func movedBack(tx store.Tx, c state.Client) ([]plan.Step, error) {
	for _, u := range c.Undo {
		if u.Ref.Kind != state.KindDatabase {
			continue
		}
		now, ok, err := store.Resource(tx, u.Ref)
		if err != nil {
			return nil, err
		}
		old, there, err := store.Resource(tx, plan.Beside(u.Ref, u.Prior.Provider))
		if err != nil {
			return nil, err
		}
		if !ok || !there || now.ID == u.Prior.ID || old.ID != u.Prior.ID {
			continue // it never came to the switch, or it was put back
		}
		return []plan.Step{{Number: plan.StepDatabase, Action: plan.Transfer, Ref: u.Ref, From: old.Ref, Client: c.Name, FromClient: c.Name, Provider: old.Provider, Wish: &old, Prior: &now,
			PurgeAfter: old.PurgeAfter, Reason: "put back: " + c.RollingBack, Undo: "nothing: this is the undo"}}, nil
	}
	return nil, nil
}

// Failed is the plan that takes away what came to nothing: deployments that failed.
// They never served, and an equal one must be made anew by the next try.
func Failed(recorded []state.Resource) plan.Plan {
	var p plan.Plan
	for _, have := range recorded {
		if have.Ref.Kind == state.KindDeployment && have.Phase == "failed" && have.Real() {
			p.Steps = append(p.Steps, plan.Step{Number: plan.StepDeploy, Action: plan.Delete, Ref: have.Ref, Provider: have.Provider, Prior: &have,
				Reason: fmt.Sprintf("it failed: %s", have.Message), Undo: "the next try makes it anew"})
		}
	}
	return p
}

func numberOf(k state.Kind) int {
	switch k {
	case state.KindDatabase:
		return plan.StepDatabase
	case state.KindSite, state.KindPayments:
		return plan.StepProject
	case state.KindEnvironment:
		return plan.StepEnvironment
	case state.KindDomain, state.KindRecord:
		return plan.StepDNS
	}
	return plan.StepDeploy
}
