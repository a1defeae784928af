package reconcile

import (
	"maps"
	"slices"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// keepFates lets stay in the verdicts of a judgement what passes made of clients while the
// head was judged: read are the verdicts as they were then. What the judgement itself made
// of a client stays, unless the client's pass for an older head has ended by now.
func keepFates(tx store.Tx, read []state.Verdict, r *accept.Result, now time.Time) error {
	was := map[string]state.Verdict{}
	for _, v := range read {
		was[v.Commit] = v
	}
	anew := map[state.ClientID]bool{} // has a newer wish, or goes on
	for _, c := range r.Clients {
		anew[c.ID] = !c.Settled
	}
	keep := func(v *state.Verdict, older bool) error {
		stored, ok, err := store.Verdict(tx, v.Commit)
		if err != nil || !ok {
			return err
		}
		fates := maps.Clone(v.Clients)
		for id, fate := range stored.Clients {
			had := was[v.Commit].Clients[id]
			judged, about := fates[id]
			ended := fate == accept.FateSucceeded || fate == accept.FateFailed
			if about && fate != had && (judged == had && (older || !anew[id]) || older && ended) {
				fates[id] = fate
			}
		}
		if maps.Equal(fates, v.Clients) {
			return nil
		}
		said := v.State
		v.Clients = fates
		if accept.Conclude(v, now); v.State != said {
			r.Reports = append(slices.Clone(r.Reports), state.Report{Subject: "commit/" + v.Commit, State: v.State, Text: statusText(*v, nameIn(tx)), At: now})
		}
		return nil
	}
	r.Verdicts = slices.Clone(r.Verdicts)
	for i := range r.Verdicts {
		if err := keep(&r.Verdicts[i], true); err != nil {
			return err
		}
	}
	if r.Verdict == nil {
		return nil
	}
	v := *r.Verdict
	r.Verdict = &v
	return keep(r.Verdict, false)
}
