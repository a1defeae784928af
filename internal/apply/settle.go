package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/journal"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// Settle looks into every given open intent until it is known whether its write
// happened. StepFailed means that the journal failed or ctx ended. Any other error says
// why an intent is still open: StepWaiting until RetryAt of it (zero: the caller's
// back-off), StepParked until a person has decided.
func (r *Runner) Settle(ctx context.Context, job Job, open []journal.Intent) (StepState, error) {
	worst := StepDone
	var first error
	for _, i := range open {
		_, err := r.settle(ctx, job, i)
		if err == nil || errors.Is(err, errEarlier) {
			continue
		}
		if isJournal(err) || ctx.Err() != nil {
			return StepFailed, err
		}
		st, _ := classify(err)
		if st == StepFailed {
			st = StepWaiting // the look failed, not the write: only a look can tell
		}
		if first == nil || (st == StepParked && worst != StepParked) {
			worst, first = st, err
		}
	}
	return worst, first
}

// RetryAt is when what failed with err may be tried again; zero: the caller decides.
func RetryAt(err error) time.Time {
	_, at := classify(err)
	return at
}

// earlier says that what a refused create found there is not as it is wished, or that nobody sees whether its variables are.
func earlier(w provider.Wish, o provider.Object) bool {
	return w.Ref.Kind != state.KindMail && (!equal(w, o) || w.Ref.Kind == state.KindEnvironment && !shown(w, o))
}

// errEarlier: what a refused create found there was made by an earlier one of ours.
var errEarlier = errors.New("it is there already, as an earlier try made it")

// settle resolves one uncertain write and says whether it happened. It never repeats
// the write.
func (r *Runner) settle(ctx context.Context, job Job, i journal.Intent) (happened bool, err error) {
	if i.Op == journal.OpTransfer {
		return false, r.thaw(ctx, i)
	}
	p, traits, err := r.providerOf(i.Provider, i.Ref.Kind)
	if err != nil {
		return false, err
	}
	for {
		wait, known := r.looked.wait(i, r.Up())
		if !known {
			i.Looks = 0
		}
		if wait > 0 {
			if wait > maxStepWait {
				return false, &errWait{at: r.Now().Add(wait), err: fmt.Errorf("looking again for %s %s at %s later: what was sent may come late, and so may its lists", i.Ref.Kind, i.Name, i.Provider)}
			}
			if err := r.Sleep(ctx, wait); err != nil {
				return false, err
			}
		}
		objects, w, err := r.lookFor(ctx, job, p, i)
		if err != nil {
			return false, lookRefused(err)
		}
		now := r.Now()
		d := journal.Settle(i, seen(objects, w, i), traits, now)
		if d.Kind != journal.LookAgain {
			r.looked.forget(i)
		}
		switch d.Kind {
		case journal.Done, journal.Found:
			if i.There && earlier(w, objects[d.Object]) { // the step takes it over as one that was there
				if err := r.update(func(tx store.Tx) error { return store.DeleteIntent(tx, i.Ref) }); err != nil {
					return false, err
				}
				return false, errEarlier
			}
			return true, r.update(func(tx store.Tx) error {
				if i.Op == journal.OpDelete || i.Op == journal.OpMark {
					return r.outcome(tx, job, i, nil, false)
				}
				return r.outcome(tx, job, i, &objects[d.Object], d.Kind == journal.Found)
			})
		case journal.NotDone:
			err := r.update(func(tx store.Tx) error {
				if i.Op == journal.OpUpdate && len(objects) == 1 && !shown(w, objects[0]) {
					if err := doubt(tx, i, objects[0], traits); err != nil {
						return err
					}
				}
				return store.DeleteIntent(tx, i.Ref)
			})
			if err == nil && i.Conflict {
				r.refused.note(i.Ref)
			}
			return false, err
		case journal.LookAgain:
			i.Looks, i.LookAt, i.Parked = i.Looks+1, d.At, ""
			r.looked.note(i, r.Up(), d.At.Sub(now))
			if err := r.update(func(tx store.Tx) error { return store.PutIntent(tx, i) }); err != nil {
				return false, err
			}
		default:
			i.Parked = d.Reason
			if err := r.update(func(tx store.Tx) error { return store.PutIntent(tx, i) }); err != nil {
				return false, err
			}
			return false, &errPark{d.Reason}
		}
	}
}

// lookRefused is the error of a look into an uncertain write. Whatever the provider refuses,
// it is the look: what became of the write only another one can tell.
func lookRefused(err error) error {
	var pe *provider.Error
	if !errors.As(err, &pe) {
		return err
	}
	if st, _ := classify(err); st == StepWaiting {
		return err
	}
	return &errWait{at: pe.Until, err: err}
}

// lookFor asks the provider for what the intent was about.
func (r *Runner) lookFor(ctx context.Context, job Job, p provider.Provider, i journal.Intent) ([]provider.Object, provider.Wish, error) {
	w := r.blank(job, i.Ref)
	if i.Wish != nil {
		var err error
		var gone *errUnresolved
		if w, _, err = r.resolve(job, *i.Wish); errors.As(err, &gone) {
			// What it refers to is gone by now; what is left tells it from others.
			w, err = r.resolvable(job, *i.Wish)
		}
		if err != nil {
			return nil, w, err
		}
	}
	if i.Op == journal.OpCreate {
		objects, err := r.find(ctx, p, w)
		return objects, w, err
	}
	objects, err := p.Observe(ctx, provider.Query{Kind: i.Ref.Kind, ID: i.ObjectID})
	if err != nil {
		return nil, w, asRead(err)
	}
	if len(objects) == 0 && i.Op == journal.OpUpdate && i.Wish != nil && !p.Traits()[i.Ref.Kind].Marks { // it may be in another site now, which is part of its id
		objects, err = r.find(ctx, p, w)
	}
	return objects, w, err
}

// shown says that the provider reports all that was wished. Whether an object has values
// that its provider doesn't give back nobody can see: they are set again, which changes
// nothing if it has them.
func shown(w provider.Wish, o provider.Object) bool {
	have := map[string]bool{}
	for _, a := range o.Attributes {
		have[a.Name] = true
	}
	for _, in := range w.Inputs {
		if !have[in.Name] && in.Reveal() != "" {
			return false
		}
	}
	return true
}

// doubt takes off the record what an update may have changed and nobody can see: the next
// plan sets it, also one that wishes again what was there before. What would force a
// replacement stays.
func doubt(tx store.Tx, i journal.Intent, o provider.Object, t state.Traits) error {
	holder := i.Ref
	if !i.From.IsZero() {
		holder = i.From
	}
	have, ok, err := store.Resource(tx, holder)
	if err != nil || !ok || have.Attributes.Canonical() == i.Wish.Attributes.Canonical() {
		return err
	}
	told := map[string]bool{}
	for _, a := range o.Attributes {
		told[a.Name] = true
	}
	have.Attributes = slices.DeleteFunc(slices.Clone(have.Attributes), func(a state.Attribute) bool {
		return !told[a.Name] && !slices.Contains(t.Replace, a.Name)
	})
	return store.PutResource(tx, have)
}

func seen(objects []provider.Object, w provider.Wish, i journal.Intent) []journal.Seen {
	out := make([]journal.Seen, len(objects))
	for n, o := range objects {
		out[n] = journal.Seen{ID: o.ID, Marked: !o.Mark.IsZero(), Ours: !o.Mark.IsZero() && o.Mark == w.Mark, Equal: i.Wish != nil && equal(w, o) && (i.Op != journal.OpUpdate || shown(w, o))}
		out[n].Moved = i.Op == journal.OpUpdate && o.ID != i.ObjectID && isAt(o, w.Get("site"))
		if i.Op == journal.OpUpdate && (takesAway(i, o) || (!o.Mark.IsZero() && o.Mark != w.Mark)) {
			out[n].Equal = false // it still has what was to go, or the mark of whose it was
		}
	}
	return out
}

// isAt says that an object is part of a site.
func isAt(o provider.Object, site string) bool {
	return site != "" && slices.ContainsFunc(o.Attributes, func(a provider.Observed) bool { return a.Name == "site" && a.Reveal() == site })
}

// takesAway says that the object still has something that the update was to take away.
func takesAway(i journal.Intent, o provider.Object) bool {
	if i.Prior == nil || i.Wish == nil {
		return false
	}
	for _, a := range o.Attributes {
		was, had := i.Prior.Attributes.Get(a.Name)
		if _, wished := i.Wish.Attributes.Get(a.Name); had && !wished && a.Reveal() != "" && (was.Literal == "" || was.Literal == a.Text) {
			return true
		}
	}
	return false
}

// equal says that all that the provider reports of the object is what the wish says.
// Of write-only values nothing is known; an object of which nothing can be compared
// is not equal.
func equal(w provider.Wish, o provider.Object) bool {
	compared := 0
	have := map[string]provider.Observed{}
	for _, a := range o.Attributes {
		have[a.Name] = a
	}
	for _, in := range w.Inputs {
		a, ok := have[in.Name]
		if !ok {
			if strings.HasPrefix(in.Name, "env.") && hasEnv(o) {
				return false
			}
			continue
		}
		compared++
		delete(have, in.Name)
		if !sameInput(w.Ref.Kind, in, a) {
			return false
		}
	}
	for name := range have {
		if strings.HasPrefix(name, "env.") {
			return false // a set is replaced as one: what is not wished must not be there
		}
	}
	return compared > 0
}

func hasEnv(o provider.Object) bool {
	for _, a := range o.Attributes {
		if strings.HasPrefix(a.Name, "env.") {
			return true
		}
	}
	return false
}

func sameInput(kind state.Kind, a, b provider.Input) bool {
	if a.Secret != nil || b.Secret != nil {
		return state.NewSecret(a.Reveal()).Equal(state.NewSecret(b.Reveal()))
	}
	if a.Text == b.Text {
		return true
	}
	if kind == state.KindRecord && (a.Name == "ttl" || a.Name == "priority") {
		x, errX := strconv.Atoi(a.Text)
		y, errY := strconv.Atoi(b.Text)
		return errX == nil && errY == nil && x == y
	}
	return false
}
