package reconcile

import (
	"context"
	"sync"

	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// looksWanted: an empty plan by the record still wants a look when a retry or an
// approval asked for it.
func (g *group) looksWanted() bool {
	for _, m := range g.members {
		if m.client.LookWanted {
			return true
		}
	}
	return false
}

// look observes what is recorded of the clients that the plan is about to change, so
// that the plan is about the world. Earlier releases are left out: nothing of them is
// changed. A look that fails blocks that resource's steps and no others.
func (e *Engine) look(ctx context.Context, g *group, p plan.Plan) {
	touched := map[state.ClientID]bool{}
	for _, s := range p.Steps {
		touched[s.Ref.Client] = true
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	slots := make(chan struct{}, lookParallel)
	for _, m := range g.members {
		if !touched[m.client.ID] && !m.client.LookWanted {
			continue
		}
		for _, r := range m.recorded {
			if !worthALook(r, m.wish) {
				continue
			}
			wg.Add(1)
			slots <- struct{}{}
			go func() {
				defer func() { <-slots; wg.Done() }()
				l := e.lookAt(ctx, r)
				mu.Lock()
				m.looks[r.Ref] = l
				mu.Unlock()
			}()
		}
	}
	wg.Wait()
	g.looked = e.Now()
}

func worthALook(r state.Resource, wish []state.Resource) bool {
	if !r.Real() || r.Ref.Kind == state.KindMail || r.Ref.Kind == state.KindAdmin {
		return false
	}
	if r.Ref.Kind != state.KindDeployment {
		return true
	}
	for _, w := range wish {
		if w.Ref == r.Ref {
			return true // it may be promoted: is it still there?
		}
	}
	return false
}

// lookAt observes one recorded resource.
func (e *Engine) lookAt(ctx context.Context, r state.Resource) plan.Look {
	l := plan.Look{Ref: r.Ref}
	p, ok := e.Runner.Provider(r.Provider, r.Ref.Kind)
	if !ok {
		l.Failed = "provider " + r.Provider + " is not configured"
		return l
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	objects, err := p.Observe(ctx, provider.Query{Kind: r.Ref.Kind, ID: r.ID})
	switch {
	case err != nil:
		l.Failed = err.Error()
	case len(objects) == 0:
		l.Gone = true
	default:
		l.Differs = differs(r, objects[0])
	}
	return l
}

// differs lists the literal attributes whose real value is another one. What the
// provider does not give back, and what refers to other resources or secrets, is not
// compared here.
func differs(r state.Resource, o provider.Object) []plan.Field {
	var out []plan.Field
	for _, a := range r.Attributes {
		if a.Value.Secret != nil || a.Value.Ref != nil {
			continue
		}
		for _, have := range o.Attributes {
			if have.Name == a.Name && have.Secret == nil && have.Text != a.Value.Literal {
				out = append(out, plan.Field{Name: a.Name, Before: have.Text, After: a.Value.Literal})
			}
		}
	}
	return out
}
