package reconcile

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// errOutdated: what a head was judged by is not so any more.
var errOutdated = errors.New("what is recorded changed while the head was judged")

// maxJudged is how often a head is judged in a row, when what is recorded changes meanwhile;
// then the next poll does.
const maxJudged = 5

// sameAsRead says that holds, removals and approvals are what they were when in was read: passes
// and people change them while a head is judged. A wave that has ended, a removal that was let go or done
// (its names are free since), an approval that was given: to write a judgement over that would
// take it back, and nobody would do it again.
func sameAsRead(tx store.Tx, in accept.Input) error {
	holds, err := store.Holds(tx)
	if err != nil {
		return err
	}
	stones, err := store.Tombstones(tx, "")
	if err != nil {
		return err
	}
	approvals, err := store.Approvals(tx)
	if err == nil && !(reflect.DeepEqual(holds, in.Holds) && reflect.DeepEqual(stones, in.Tombstones) && reflect.DeepEqual(approvals, in.Approvals)) {
		err = errOutdated
	}
	return err
}

// endsAgain says that a judgement, made of in, ends all that waits for what its head asks of
// anew. Where a pass of an older head began to wait meanwhile for what had failed when in was read
// (somebody asked for another try), it does not: nobody would end that any more.
func endsAgain(tx store.Tx, in accept.Input, r accept.Result) error {
	if r.Verdict == nil {
		return nil
	}
	waits := func(fate string) bool { return fate == accept.FatePending || fate == accept.FateHeld }
	was := map[string]state.Verdict{}
	for _, v := range in.Verdicts {
		was[v.Commit] = v
	}
	open, err := store.Verdicts(tx, func(v state.Verdict) bool { return v.Commit != r.Verdict.Commit && accept.Open(v) })
	for _, v := range open {
		for id, fate := range v.Clients {
			if anew := r.Verdict.Clients[id]; waits(fate) && !waits(was[v.Commit].Clients[id]) && anew != "" && anew != accept.FateInvalid {
				return errOutdated
			}
		}
	}
	return err
}

// onTop puts what a judgement changed of the clients that it read on top of what they are by
// now: passes and people wrote them while the head was judged. Who is touched has a newer
// wish, or goes on, and is not at rest, whatever a pass of the older one came to.
func onTop(tx store.Tx, read []state.Client, r accept.Result) ([]state.Client, error) {
	was := make(map[state.ClientID]state.Client, len(r.Clients))
	for _, c := range r.Clients {
		was[c.ID] = state.Client{}
	}
	for _, c := range read {
		if _, put := was[c.ID]; put {
			was[c.ID] = c
		}
	}
	var out []state.Client
	for _, judged := range r.Clients {
		now, there, err := store.Client(tx, judged.ID)
		if err != nil {
			return nil, err
		}
		before := was[judged.ID]
		if there && before.ID != "" {
			judged = changed(before, judged, now, before.Seq != judged.Seq || slices.Contains(r.Touched, judged.ID))
		}
		if !there && before.ID != "" && judged.Removed {
			continue // it was forgotten meanwhile: nothing of it is left
		}
		out = append(out, judged)
	}
	return out, nil
}

// changed is now with what differs between before and judged.
func changed(before, judged, now state.Client, touched bool) state.Client {
	awake := now.Wakes
	b, j, n := reflect.ValueOf(before), reflect.ValueOf(judged), reflect.ValueOf(&now).Elem()
	for i := range n.NumField() {
		if !reflect.DeepEqual(b.Field(i).Interface(), j.Field(i).Interface()) {
			n.Field(i).Set(j.Field(i))
		}
	}
	now.Wakes = awake + judged.Wakes - before.Wakes // a person may have asked meanwhile, too
	if touched {
		now.Settled, now.RetryAt, now.Failures, now.Waits = judged.Settled, judged.RetryAt, judged.Failures, judged.Waits
		now.Panics, now.Crashes, now.Quarantined = judged.Panics, judged.Crashes, judged.Quarantined
	}
	return now
}

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
