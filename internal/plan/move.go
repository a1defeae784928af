package plan

import (
	"github.com/compassdigital/reconciler/internal/state"
)

// moves are names that change their owner within the group: one step each, at the new
// owner, after the new owner's site was proved.
type moves struct {
	to   map[state.Ref]state.Resource // wished Ref → what the old owner has on record
	from map[state.Ref]bool           // recorded Refs that go this way
}

// findMoves pairs what one client has and no longer wishes with what another one
// wishes and does not have.
func findMoves(clients []ClientInput) moves {
	m := moves{to: map[state.Ref]state.Resource{}, from: map[state.Ref]bool{}}
	if len(clients) < 2 {
		return m
	}
	free := map[string]state.Resource{}
	for _, c := range clients {
		wished := map[state.Ref]bool{}
		if !c.Removed {
			if c.Wish == nil {
				continue
			}
			for _, w := range c.Wish {
				wished[w.Ref] = true
			}
		}
		for _, r := range c.Recorded {
			if movable(r.Ref.Kind) && r.Real() && !r.Found && !r.Adopted && !wished[r.Ref] {
				free[nameOf(r)] = r
			}
		}
	}
	for _, c := range clients {
		if c.Removed || len(c.Problems) > 0 {
			continue
		}
		recorded := map[state.Ref]bool{}
		for _, r := range c.Recorded {
			recorded[r.Ref] = r.Real()
		}
		for _, w := range c.Wish {
			old, ok := free[nameOf(w)]
			if !ok || !movable(w.Ref.Kind) || recorded[w.Ref] || old.Ref.Client == w.Ref.Client || old.Provider != w.Provider {
				continue
			}
			m.to[w.Ref], m.from[old.Ref] = old, true
			delete(free, nameOf(w))
		}
	}
	return m
}

func movable(k state.Kind) bool { return k == state.KindDomain || k == state.KindRecord }

// nameOf is what two clients can't both have: the provider's kind and name.
func nameOf(r state.Resource) string {
	name := r.Ref.Name
	if r.Ref.Kind == state.KindDomain {
		name = r.Ref.Host()
	}
	return r.Provider + "\x00" + string(r.Ref.Kind) + "\x00" + name
}

// move plans the change of owner.
func (b *builder) move(w, old state.Resource) {
	t := b.traits(w.Provider, w.Ref.Kind)
	b.add(Step{Number: Number(w.Ref.Kind), Action: Move, Ref: w.Ref, From: old.Ref, Provider: w.Provider, Wish: &w, Prior: &old, Fields: diff(old, w), Risk: RiskTraffic,
		Reason: "it moves here from another client", Undo: "it moves back", Calls: t.ObserveCalls + t.UpdateCalls})
}

// join lets the old owner's removals wait until its names have moved: the new one is
// ready, the name moves, then the old one lets go.
func (m moves) join(steps []Step) {
	if len(m.from) == 0 {
		return
	}
	for i := range steps {
		s := &steps[i]
		if s.Action != Delete && s.Action != Retain {
			continue
		}
		for _, o := range steps {
			if o.Action == Move && o.From.Client == s.Ref.Client && removalRank(s.Ref.Kind) >= removalRank(state.KindTraffic) {
				s.needs(o.Key())
			}
		}
	}
}
