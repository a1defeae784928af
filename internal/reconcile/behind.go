package reconcile

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// A state whose whole folder was put back, marker and all, looks like one that was never
// away. What gives it away are objects that only this installation makes, of clients that
// it does not know: a manifest that is new to it may be theirs, and everything of theirs
// would be made twice; a name that is theirs may be on record as that of another one, and be taken
// away with it. So the first new client after a start is a reason to ask once, and so is the first
// pass that makes a site or a database, or writes a name or takes it away, and the first database that is
// gone: its client may be one of an earlier time by the name of another one.

// unheardOf says that a judgement makes clients up that are not on record.
func unheardOf(in accept.Input, r accept.Result) bool {
	known := map[state.ClientID]bool{}
	for _, c := range in.Clients {
		known[c.ID] = true
	}
	for _, c := range r.Clients {
		if !known[c.ID] {
			return true
		}
	}
	return false
}

// asksFirst says that a plan makes a site or a database, for the first time or because the one on
// record is gone, that a database is gone that it would not make anew, or that it writes host names
// or records, or takes them away: all that may be another client's by now, that this state
// does not know.
func asksFirst(p plan.Plan) bool {
	return slices.ContainsFunc(p.Problems, func(q plan.Problem) bool { return q.Hold == state.HoldData }) || slices.ContainsFunc(p.Steps, func(s plan.Step) bool {
		switch s.Ref.Kind {
		case state.KindDomain, state.KindRecord:
			return s.Action.Writes()
		case state.KindSite, state.KindDatabase:
			return s.Action == plan.Create
		}
		return false
	})
}

// foundBehind asks once after a start, before such a plan is carried out, whether the
// state is behind what the providers show, and notes it.
func (e *Engine) foundBehind(ctx context.Context) (bool, error) {
	if e.askedAll() {
		return false, nil
	}
	var clients []state.Client
	err := e.Store.View(func(tx store.Tx) (err error) {
		clients, err = store.Clients(tx)
		return err
	})
	if err != nil || !e.behind(ctx, clients) {
		return false, err
	}
	return true, e.takeForOld()
}

// askedAll says that every provider was asked since the start.
func (e *Engine) askedAll() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.asked
}

// behind says that the providers hold sites or databases that we made for clients that
// are not on record. One that can't be asked has no say, and is asked again with the next
// new client: an outage of one keeps nobody waiting.
func (e *Engine) behind(ctx context.Context, clients []state.Client) bool {
	known := map[state.ClientID]bool{}
	for _, c := range clients {
		known[c.ID] = true
	}
	w := e.witness()
	found, failed := make([]bool, len(w.readers)), make([]bool, len(w.readers))
	var wg sync.WaitGroup
	for i, r := range w.readers {
		wg.Go(func() {
			err := e.contain("", func() (err error) { found[i], err = w.unknown(ctx, r, known); return err })
			failed[i] = err != nil
		})
	}
	wg.Wait()
	behind, all := false, true
	for i := range w.readers {
		behind, all = behind || found[i], all && !failed[i]
	}
	e.mu.Lock()
	e.asked = all
	e.mu.Unlock()
	return behind
}

// unknown says that the provider holds a site or a database that bears a name of ours, and
// the mark of somebody who is not known. What is said to be of somebody known costs no call.
// A pass waits for it, others go on: one that has neither of the two (a zone's records are many) is not asked.
func (w witness) unknown(ctx context.Context, r provider.ReadOnly, known map[state.ClientID]bool) (bool, error) {
	if !makes(r.Traits()) {
		return false, nil
	}
	looking, cancel := context.WithTimeout(provider.Paced(ctx, provider.Pace{Half: true, Wait: lookPatience}), lookTimeout+2*lookPatience)
	defer cancel()
	only := provider.Only(looking, func(_ string, says provider.Mark) bool { return !says.IsZero() && !known[says.Client] })
	listed, err := r.Owned(only, w.installation)
	if err != nil {
		return false, err
	}
	for _, o := range listed {
		ours := o.Mark.Installation == w.installation && o.Mark.Client != "" && !known[o.Mark.Client]
		if !ours || o.Kind != state.KindSite && o.Kind != state.KindDatabase || o.Name != provider.ObjectName(o.Mark, state.Ref{Kind: o.Kind}) {
			continue
		}
		now, err := r.Observe(looking, provider.Query{Kind: o.Kind, ID: o.ID}) // lists may be late
		if err != nil {
			return false, err
		}
		if len(now) == 0 {
			continue
		}
		if known, err := w.onRecord(o.Mark.Client); err != nil || !known { // else it was accepted, and made, while this was listed
			return err == nil, err
		}
	}
	return false, nil
}

// makes says that a provider has sites or databases.
func makes(traits map[state.Kind]state.Traits) bool {
	_, sites := traits[state.KindSite]
	_, databases := traits[state.KindDatabase]
	return sites || databases
}

// takeForOld notes that the state is an older one that was put back: nothing is acted on
// before it was compared.
func (e *Engine) takeForOld() error {
	now := e.Now()
	if err := e.Store.Update(func(tx store.Tx) error { return store.PutRestored(tx, now) }); err != nil {
		return fmt.Errorf("note that the state is an older one: %w", err)
	}
	e.mu.Lock()
	e.restored, e.restoredAt = true, now
	e.mu.Unlock()
	return nil
}
