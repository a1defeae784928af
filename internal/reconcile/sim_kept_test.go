package reconcile_test

import (
	"sync/atomic"
	"time"

	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// keptAsSaid: the date until which data is kept, if it has one, is as far away as was said; what
// a client at rest uses is not kept for it, but its own (I4: "retained for 30 days", "a revert brings it
// back"). A date that is wrong would be seen by a purge only, a month later.
func (s *story) keptAsSaid() {
	if s.movers {
		return // what was moved from is kept by other rules
	}
	for _, r := range s.allResources() {
		if r.Ref.Kind != state.KindDatabase || !r.Real() || r.Adopted || r.Found || !r.Retained() {
			continue
		}
		if !r.PurgeAfter.IsZero() && r.PurgeAfter.Before(r.RetainedAt.Add(retention-longestPass)) { // it counts from when its pass was planned
			s.Fatalf("I4: %s was taken away %s and is kept until %s", r.Ref, r.RetainedAt.Format("02 15:04"), r.PurgeAfter.Format("2006-01-02 15:04"))
		}
		c := s.client(r.Ref.Client)
		if x, known := s.bySpec[c.Blob]; s.clean[c.ID] && !c.Removed && known && x.db == r.Provider && r.Ref.Name == plan.MainDatabase {
			s.Fatalf("I4: %s is active and at rest, and its database %s is on record as taken away", c.ID, r.ID)
		}
	}
}

// longestPass is longer than any pass takes here.
const longestPass = 12 * time.Hour

// proof is what the steps of a pass came to, for one client.
type proof struct {
	proved map[string]version // by host that was served: what served as the public name answered
	undone bool               // a step of its wish did not come to its end
	stays  string             // what could not be removed
}

// stepped follows the steps of a pass.
func (s *story) stepped(ev apply.Event) {
	id, step := ev.Client, ev.Step
	if ev.State != string(apply.StepDone) && ev.State != string(apply.StepFailed) || s.client(id).RollingBack != "" {
		return
	}
	now := map[string]version{}
	if step.Action == plan.Probe && step.Outside && ev.State == string(apply.StepDone) {
		for host, owner := range s.up {
			if owner == id {
				now[host] = s.version(host)
			}
		}
	}
	s.telling.Lock()
	defer s.telling.Unlock()
	p := s.proofs[id]
	if p == nil {
		if p = (&proof{}); s.proofs == nil {
			s.proofs = map[state.ClientID]*proof{}
		}
		s.proofs[id] = p
	}
	switch {
	case len(now) > 0:
		p.proved = now
	case ev.State == string(apply.StepDone):
	case step.Action == plan.Delete:
		p.stays = step.Key()
	default:
		p.undone = true
	}
}

// newStays: what was proved at the public name goes on serving, whatever can't be removed of
// what it replaced (I5).
func (s *story) newStays(ids []state.ClientID) {
	for _, id := range ids {
		p := s.proofs[id]
		if p == nil || p.undone || p.stays == "" || s.meddled[id] {
			continue
		}
		for host, was := range p.proved {
			if now := s.version(host); s.up[host] == id && now != was && !s.handedOver(host, id, now.id) {
				s.broken("I5: %s of %s was proved with %s, and is served by %s since %s failed", host, id, was, now, p.stays)
			}
		}
	}
}

// counted is a store that counts the transactions that may write.
type counted struct {
	store.Store
	opened *atomic.Int64
}

func (c counted) Update(fn func(store.Tx) error) error {
	c.opened.Add(1)
	return c.Store.Update(fn)
}
