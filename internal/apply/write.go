package apply

import (
	"context"
	"errors"
	"fmt"

	"github.com/compassdigital/reconciler/internal/journal"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// create makes s.Wish's object, or takes over what a look shows to be ours already.
func (r *Runner) create(ctx context.Context, job Job, s plan.Step) (string, error) {
	p, traits, err := r.providerOf(s.Provider, s.Ref.Kind)
	if err != nil {
		return "", err
	}
	if done, err := r.recorded(s); done || err != nil {
		return "", err
	}
	i, w, err := r.begin(job, s, journal.Intent{Op: journal.OpCreate, Wish: s.Wish, Absent: true}, func(w provider.Wish) error {
		return r.look(ctx, p, traits, s, w)
	})
	var taken *takeOver
	if errors.As(err, &taken) {
		return r.take(ctx, job, s, taken)
	}
	if err != nil {
		return "", err
	}
	o, err := p.Create(ctx, w)
	r.at(AfterCall, s)
	if err != nil {
		return "", r.failed(ctx, job, s, i, err)
	}
	return "", r.done(job, s, i, &o)
}

// recorded says that the step's outcome is on record already (an open intent was
// settled after the plan was made).
func (r *Runner) recorded(s plan.Step) (bool, error) {
	var have state.Resource
	var ok bool
	err := r.Store.View(func(tx store.Tx) (err error) {
		have, ok, err = store.Resource(tx, s.Ref)
		return err
	})
	if err != nil {
		return false, &journalError{err}
	}
	if !ok || !have.Real() || (s.Prior != nil && s.Prior.ID == have.ID) {
		return false, nil // nothing there, or what is there is known to be gone
	}
	return true, nil
}

// begin resolves the wish, lets check look at the world, and commits the intent.
// Generated secrets are sealed in the intent's transaction, before they are sent.
func (r *Runner) begin(job Job, s plan.Step, i journal.Intent, check func(provider.Wish) error) (journal.Intent, provider.Wish, error) {
	var w provider.Wish
	var missing []state.SecretRef
	var pre error
	err := r.Store.View(func(tx store.Tx) (err error) {
		w, missing, pre = r.wish(tx, job, *s.Wish)
		return nil
	})
	if err != nil {
		return i, w, &journalError{err}
	}
	if pre != nil {
		return i, w, pre
	}
	if check != nil {
		if err := check(w); err != nil {
			return i, w, err
		}
	}
	i.Key, i.Run, i.Step, i.Ref, i.From, i.Provider = s.Ref.String(), job.Run, s.Key(), s.Ref, s.From, s.Provider
	i.Name, i.Commit, i.At, i.Prior = w.Name, job.Commit, r.Now(), s.Prior
	r.at(BeforeIntent, s)
	err = r.update(func(tx store.Tx) error {
		if len(missing) > 0 {
			if err := r.mint(tx, missing); err != nil {
				return err
			}
			again, still, err := r.wish(tx, job, *s.Wish)
			if err != nil {
				return err
			}
			if len(still) > 0 {
				return fmt.Errorf("secret %s was not made", still[0].Name)
			}
			w = again
		}
		if err := noteUndo(tx, s); err != nil {
			return err
		}
		return store.PutIntent(tx, i)
	})
	if err == nil {
		r.at(AfterIntent, s)
	}
	return i, w, err
}

// takeOver is what look returns when the object is there already.
type takeOver struct {
	object provider.Object
	found  bool // unmarked and equal: used, not ours
	equal  bool
}

func (*takeOver) Error() string { return "the object exists" }

// look finds before a create: nil means an observed absence.
func (r *Runner) look(ctx context.Context, p provider.Provider, traits state.Traits, s plan.Step, w provider.Wish) error {
	objects, err := p.Observe(ctx, provider.Query{Kind: s.Ref.Kind, Name: w.Name, Wish: &w})
	if err != nil {
		return asRead(err)
	}
	seen := relevant(objects, w)
	ours := -1
	for n, o := range seen {
		if o.Mark == w.Mark && !o.Mark.IsZero() {
			if ours >= 0 {
				return &errPark{fmt.Sprintf("two objects at %s bear our mark for %s %s; delete the wrong one there, then `reconciler retry`", s.Provider, s.Ref.Kind, w.Name)}
			}
			ours = n
		}
	}
	if ours >= 0 {
		return &takeOver{object: seen[ours], equal: equal(w, seen[ours])}
	}
	for _, o := range seen {
		switch {
		case !o.Mark.IsZero():
			return &errPark{fmt.Sprintf("%s %s at %s bears the mark of %s/%s: it is not ours", s.Ref.Kind, w.Name, s.Provider, o.Mark.Installation, o.Mark.Client)}
		case equal(w, o) && !traits.Data:
			return &takeOver{object: o, found: true, equal: true}
		}
	}
	if len(seen) > 0 {
		return &errPark{fmt.Sprintf("%s %s exists at %s without our mark; name it in `adopt:` or remove it there, then `reconciler retry`", s.Ref.Kind, w.Name, s.Provider)}
	}
	return nil
}

// relevant drops what may live beside the wish: further records of a name whose type
// allows several.
func relevant(objects []provider.Object, w provider.Wish) []provider.Object {
	if w.Ref.Kind != state.KindRecord || exclusive(w.Get("type")) {
		return objects
	}
	var out []provider.Object
	for _, o := range objects {
		if equal(w, o) || (o.Mark == w.Mark && !o.Mark.IsZero() && o.Name == w.Name && len(objects) == 1) {
			out = append(out, o)
		}
	}
	return out
}

// exclusive says that one name bears one record of the type that we manage: an
// address or an alias of somebody else's is a conflict, not a neighbour.
func exclusive(recordType string) bool {
	switch recordType {
	case "A", "AAAA", "CNAME":
		return true
	}
	return false
}

// take records an object that was there, and brings it to the wish when it is ours.
func (r *Runner) take(ctx context.Context, job Job, s plan.Step, t *takeOver) (string, error) {
	res := *s.Wish
	res.Found = t.found
	if !t.equal {
		res.Attributes = nil // known to differ: the update that follows says what is
	}
	err := r.update(func(tx store.Tx) error {
		return r.put(tx, job, s.Provider, res, t.object, generationOf(job, s.Ref))
	})
	if err != nil {
		return "", err
	}
	if t.found {
		return "found at " + s.Provider + " and used; it was not made here and stays when the client goes", nil
	}
	if t.equal {
		return "was there already", nil
	}
	_, err = r.change(ctx, job, s)
	return "was there already and was changed", err
}

// change updates an object in place, or moves it from another owner.
func (r *Runner) change(ctx context.Context, job Job, s plan.Step) (string, error) {
	p, _, err := r.providerOf(s.Provider, s.Ref.Kind)
	if err != nil {
		return "", err
	}
	holder := s.Ref
	if s.Action == plan.Move {
		holder = s.From
	}
	var have, moved state.Resource
	var ok, there bool
	err = r.Store.View(func(tx store.Tx) (err error) {
		if have, ok, err = store.Resource(tx, holder); err != nil {
			return err
		}
		moved, there, err = store.Resource(tx, s.Ref)
		return err
	})
	switch {
	case err != nil:
		return "", &journalError{err}
	case s.Action == plan.Move && !ok && there && moved.Real():
		return "was moved already", nil
	case !ok || !have.Real():
		return "", &errWait{err: fmt.Errorf("%s is not on record any more", holder)}
	case have.Found:
		return "", &errPark{fmt.Sprintf("%s was found, not made: it is never changed; remove it at %s or wish what it is", holder, s.Provider)}
	}
	i, w, err := r.begin(job, s, journal.Intent{Op: journal.OpUpdate, Wish: s.Wish, ObjectID: have.ID}, nil)
	if err != nil {
		return "", err
	}
	o, err := p.Update(ctx, have.ID, w)
	r.at(AfterCall, s)
	if err != nil {
		if provider.KindOf(err) == provider.NotFound {
			if e := r.close(i); e != nil {
				return "", e
			}
			return "", &errWait{err: err} // the next pass looks, and plans it anew
		}
		return "", r.failed(ctx, job, s, i, err)
	}
	return "", r.done(job, s, i, &o)
}

// replace deletes and creates under the same Ref. A crash in between leaves a
// record that lacks the object, which the next plan creates.
func (r *Runner) replace(ctx context.Context, job Job, s plan.Step) (string, error) {
	var have state.Resource
	var ok bool
	err := r.Store.View(func(tx store.Tx) (err error) {
		have, ok, err = store.Resource(tx, s.Ref)
		return err
	})
	if err != nil {
		return "", &journalError{err}
	}
	if ok && have.Real() && (have.Phase == "failed" || have.Provider != s.Provider || have.Attributes.Canonical() != s.Wish.Attributes.Canonical()) {
		if _, err := r.remove(ctx, job, s); err != nil {
			return "", err
		}
	}
	s.Prior = nil
	return r.create(ctx, job, s)
}

// remove deletes the recorded object. What was found is only taken off the record.
func (r *Runner) remove(ctx context.Context, job Job, s plan.Step) (string, error) {
	p, _, err := r.providerOf(s.Provider, s.Ref.Kind)
	if err != nil {
		return "", err
	}
	var have state.Resource
	var ok bool
	err = r.Store.View(func(tx store.Tx) (err error) {
		have, ok, err = store.Resource(tx, s.Ref)
		return err
	})
	if err != nil {
		return "", &journalError{err}
	}
	if !ok || !have.Real() || have.Found {
		return "", r.update(func(tx store.Tx) error { return store.DeleteResource(tx, s.Ref) })
	}
	i := journal.Intent{Op: journal.OpDelete, ObjectID: have.ID, Key: s.Ref.String(), Run: job.Run, Step: s.Key(), Ref: s.Ref,
		Provider: s.Provider, Name: have.Name, Prior: &have, Commit: job.Commit, At: r.Now()}
	r.at(BeforeIntent, s)
	if err := r.update(func(tx store.Tx) error { return store.PutIntent(tx, i) }); err != nil {
		return "", err
	}
	r.at(AfterIntent, s)
	err = p.Delete(ctx, s.Ref.Kind, have.ID)
	r.at(AfterCall, s)
	if err != nil && provider.KindOf(err) != provider.NotFound {
		return "", r.failed(ctx, job, s, i, err)
	}
	return "", r.done(job, s, i, nil)
}

// done commits the outcome: the record and the end of the intent.
func (r *Runner) done(job Job, s plan.Step, i journal.Intent, o *provider.Object) error {
	err := r.update(func(tx store.Tx) error { return r.outcome(tx, job, i, o, false) })
	if err == nil {
		r.at(AfterOutcome, s)
	}
	return err
}

// outcome writes what an intent led to. o is nil for a delete.
func (r *Runner) outcome(tx store.Tx, job Job, i journal.Intent, o *provider.Object, found bool) error {
	if err := store.DeleteIntent(tx, i.Ref); err != nil {
		return err
	}
	if i.Op == journal.OpDelete {
		return store.DeleteResource(tx, i.Ref)
	}
	res := *i.Wish
	res.Found = found
	if have, ok, err := store.Resource(tx, i.Ref); err != nil {
		return err
	} else if ok && i.Op == journal.OpUpdate {
		res.Run, res.Adopted = have.Run, have.Adopted
		if res.Run == "" {
			res.Run = "unknown" // made by an earlier pass: a rollback of this one leaves it
		}
	}
	if !i.From.IsZero() && i.From != i.Ref {
		if err := store.DeleteResource(tx, i.From); err != nil {
			return err
		}
	}
	if res.Run == "" {
		res.Run = i.Run
	}
	return r.put(tx, job, i.Provider, res, *o, generationOf(job, i.Ref))
}

// close ends an intent that came to nothing.
func (r *Runner) close(i journal.Intent) error {
	return r.update(func(tx store.Tx) error { return store.DeleteIntent(tx, i.Ref) })
}

// failed handles a write's error: an uncertain one is looked into, a conflict is
// looked at once, of the others we know that nothing happened.
func (r *Runner) failed(ctx context.Context, job Job, s plan.Step, i journal.Intent, err error) error {
	kind := provider.KindOf(err)
	if kind != provider.Uncertain && (kind != provider.Conflict || i.Op != journal.OpCreate) {
		if e := r.close(i); e != nil {
			return e
		}
		return err
	}
	if ctx.Err() != nil {
		return err // the intent stays open for the next start
	}
	if kind == provider.Conflict {
		i.Looks = journal.SettleLooks // the vendor itself says that it is there
	}
	i.Sent = true
	if e := r.update(func(tx store.Tx) error { return store.PutIntent(tx, i) }); e != nil {
		return e
	}
	happened, e := r.settle(ctx, job, i)
	switch {
	case e != nil:
		return e
	case happened:
		r.at(AfterOutcome, s)
		return nil
	case kind == provider.Conflict:
		return err
	}
	return &provider.Error{Kind: provider.Transient, Provider: s.Provider, Op: string(i.Op), Message: "the answer was lost, and a look shows that nothing happened", Err: err}
}
