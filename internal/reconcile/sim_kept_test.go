package reconcile_test

import (
	"sync/atomic"
	"time"

	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// keptAsSaid: the date until which data is kept, if it has one, is as far away as was said, and
// what a client at rest uses is on record as used (I4: "retained for 30 days", "a revert brings
// it back"). What is wrong here would be seen by a purge only, a month later, or never.
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
	if !s.rich {
		return
	}
	all, err := s.engine.Retained()
	s.fine(err)
	for _, k := range all { // the date that people are told
		if d := s.data[k.ID]; d != nil && s.clean[d.client] && !k.Until.IsZero() && k.Until.Before(k.Since.Add(s.keepsFor(d.client)-longestPass)) {
			s.Fatalf("I4: %s of %s, taken away %s, is told to be kept until %s, and its file says %q", k.ID, k.Client, k.Since.Format("02 15:04"), k.Until.Format("2006-01-02 15:04"), s.bySpec[s.client(d.client).Blob].retain)
		}
	}
}

// longestPass is longer than any pass takes here.
const longestPass = 12 * time.Hour

// counted is a store that counts the transactions that may write.
type counted struct {
	store.Store
	opened *atomic.Int64
}

func (c counted) Update(fn func(store.Tx) error) error {
	c.opened.Add(1)
	return c.Store.Update(fn)
}
