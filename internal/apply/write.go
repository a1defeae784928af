package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

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
	if done, err := r.recorded(s); err != nil {
		return "", err
	} else if done {
		return r.made(ctx, job, s, "")
	}
	i, w, err := r.begin(job, s, journal.Intent{Op: journal.OpCreate, Wish: s.Wish, Absent: true}, func(w provider.Wish) error {
		return r.look(ctx, p, traits, s, w)
	})
	var taken *takeOver
	if errors.As(err, &taken) {
		return r.take(ctx, job, s, w, taken)
	}
	if err != nil {
		return "", err
	}
	o, err := p.Create(ctx, w)
	r.at(AfterCall, s)
	if err != nil {
		err = r.failed(ctx, job, s, i, err)
	} else {
		err = r.done(job, s, i, &o)
	}
	if err != nil {
		return "", err
	}
	return r.made(ctx, job, s, "")
}

// made ends a create or change: what was made in part is finished, what is not ready yet is
// waited for, here unless the plan has a step for it.
func (r *Runner) made(ctx context.Context, job Job, s plan.Step, note string) (string, error) {
	var have state.Resource
	err := r.Store.View(func(tx store.Tx) (err error) {
		have, _, err = store.Resource(tx, s.Ref)
		return err
	})
	if err != nil {
		return "", &journalError{err}
	}
	if have.Real() && !have.Found && have.Phase == string(provider.Unfinished) {
		more, err := r.change(ctx, job, s)
		return join(note, more), err
	}
	if s.Ref.Kind == state.KindPayments {
		return join(note, have.Message), nil // its owner finishes it, whenever that is
	}
	for _, other := range job.Plan.Steps {
		if other.Action == plan.Await && other.Ref == s.Ref {
			return note, nil
		}
	}
	more, err := r.await(ctx, job, s)
	return join(note, more), err
}

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
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
	w, missing, err := r.resolve(job, *s.Wish)
	if err != nil {
		return i, w, err
	}
	if check != nil {
		if err := check(w); err != nil {
			return i, w, err
		}
	}
	i.Key, i.Run, i.Step, i.Ref, i.From, i.Provider = s.Ref.String(), job.run(s.Ref.Client), s.Key(), s.Ref, s.From, s.Provider
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
		if err := noteUndo(tx, job, s); err != nil {
			return err
		}
		return announce(tx, job, i)
	})
	if err == nil {
		r.at(AfterIntent, s)
	}
	return i, w, err
}

// announce commits an intent. A write is never sent before the last one is settled, nor of a
// wish in whose place a newer one was committed, unless it puts back what a pass did.
func announce(tx store.Tx, job Job, i journal.Intent) error {
	c, known, err := store.Client(tx, i.Ref.Client)
	if err != nil {
		return err
	}
	if was, is := job.Clients[i.Ref.Client]; known && is && !job.PutsBack && c.Seq > was.Seq {
		return errSuperseded
	}
	open, ok, err := store.Intent(tx, i.Ref)
	if err != nil {
		return err
	}
	if ok {
		return fmt.Errorf("%s of %s is still open", open.Op, i.Ref)
	}
	return store.PutIntent(tx, i)
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
		return "", &errWait{anew: true, err: fmt.Errorf("%s is not on record any more; the next pass plans it anew", holder)}
	case have.Found:
		return "", &errPark{fmt.Sprintf("%s %s was found at %s, not made: it is never changed; wish what it is, or remove it there", have.Ref.Kind, have.Name, have.Provider)}
	case have.Provider != s.Provider:
		return "", &errWait{anew: true, err: fmt.Errorf("%s is at %s, not at %s; the next pass plans it anew", holder, have.Provider, s.Provider)}
	}
	if err := r.newNameIsFree(ctx, job, s); err != nil {
		return "", err
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
			return "", &errWait{anew: true, err: fmt.Errorf("%w; the next pass looks and plans it anew", err)}
		}
		err = r.failed(ctx, job, s, i, err)
	} else if err = r.done(job, s, i, &o); err == nil && o.Phase == provider.Unfinished {
		err = &errWait{err: fmt.Errorf("%s %s is still made only in part at %s", s.Ref.Kind, o.ID, s.Provider)}
	}
	if err != nil {
		return "", err
	}
	return r.made(ctx, job, s, "")
}

// newNameIsFree looks, before a client's name goes to another one, whether what is to lead people to its new one can
// be made: where somebody else's record is in its place it would answer by none until a person decides.
func (r *Runner) newNameIsFree(ctx context.Context, job Job, s plan.Step) error {
	if job.PutsBack || !s.TakesName() {
		return nil
	}
	for _, t := range job.Plan.Steps {
		if t.Ref.Client != s.From.Client || t.Ref.Kind != state.KindRecord || t.Action != plan.Create || !t.LeadsHere() {
			continue
		}
		if done, err := r.recorded(t); err != nil {
			return err
		} else if done {
			continue
		}
		p, traits, err := r.providerOf(t.Provider, t.Ref.Kind)
		if err != nil {
			return err
		}
		w, _, err := r.resolve(job, *t.Wish)
		var yet *errUnresolved
		if errors.As(err, &yet) { // its site is still to be made
			continue
		} else if err != nil {
			return err
		}
		var inItsPlace *errPark
		var ours *takeOver
		switch err := r.look(ctx, p, traits, t, w); {
		case errors.As(err, &inItsPlace):
			return &errWait{err: fmt.Errorf("%s keeps its name until it can have its new one: %s", t.Client, inItsPlace.reason)}
		case err != nil && !errors.As(err, &ours):
			return err
		}
	}
	return nil
}

// replace deletes and creates under the same Ref. A crash in between leaves a
// record that lacks the object, which the next plan creates.
func (r *Runner) replace(ctx context.Context, job Job, s plan.Step) (string, error) {
	var have state.Resource
	var all []state.Resource
	var ok bool
	err := r.Store.View(func(tx store.Tx) (err error) {
		if have, ok, err = store.Resource(tx, s.Ref); err != nil {
			return err
		}
		all, err = store.Resources(tx, s.Ref.Client)
		return err
	})
	if err != nil {
		return "", &journalError{err}
	}
	other := plan.BuiltElsewhere(have, all) || have.Phase == "failed" || have.Provider != s.Provider || have.Attributes.Canonical() != s.Wish.Attributes.Canonical()
	if ok && have.Real() && have.Overtaken && !other {
		if again, err := r.servesAgain(ctx, have); again || err != nil {
			return "whoever overtook it is gone, and it serves again", err
		}
	}
	if ok && have.Real() && (other || have.Overtaken) {
		if _, err := r.remove(ctx, job, s); err != nil {
			return "", err
		}
	}
	s.Prior = nil
	return r.create(ctx, job, s)
}

// remove deletes the recorded object, at the provider that it is recorded at. What was
// found is only taken off the record.
func (r *Runner) remove(ctx context.Context, job Job, s plan.Step) (string, error) {
	var have state.Resource
	var ok bool
	err := r.Store.View(func(tx store.Tx) (err error) {
		have, ok, err = store.Resource(tx, s.Ref)
		return err
	})
	if err != nil {
		return "", &journalError{err}
	}
	if !ok || !have.Real() || have.Found {
		return "", r.update(func(tx store.Tx) error { return store.DeleteResource(tx, s.Ref) })
	}
	p, traits, err := r.providerOf(have.Provider, s.Ref.Kind)
	if err != nil {
		return "", err
	}
	i := journal.Intent{Op: journal.OpDelete, ObjectID: have.ID, Key: s.Ref.String(), Run: job.run(s.Ref.Client), Step: s.Key(), Ref: s.Ref,
		Provider: have.Provider, Name: have.Name, Prior: &have, Commit: job.Commit, At: r.Now()}
	r.at(BeforeIntent, s)
	var back *errWait
	err = r.update(func(tx store.Tx) error {
		if s.Action == plan.Purge {
			if err := stillAbsent(tx, job, s); err != nil {
				return err
			}
		}
		if err := noWayBack(tx, job, s, have); err != nil {
			return err
		}
		if s.Action == plan.Replace && s.Ref.Kind == state.KindRecord && have.Provider != s.Provider && !traits.Manual {
			was := s // what another vendor refuses, or what fails beside it, is put back where it was
			was.Prior = &have
			if err := noteUndo(tx, job, was); err != nil {
				return err
			}
		}
		return announce(tx, job, i)
	})
	if errors.As(err, &back) {
		return "", back
	}
	if err != nil {
		return "", err
	}
	r.at(AfterIntent, s)
	var told []string
	err = p.Delete(provider.Listening(ctx, func(text string) {
		if len(told) < maxRemarks {
			told = append(told, text)
		}
	}), s.Ref.Kind, have.ID)
	r.at(AfterCall, s)
	if err != nil && provider.KindOf(err) != provider.NotFound {
		err = r.failed(ctx, job, s, i, err)
	} else {
		err = r.done(job, s, i, nil)
	}
	switch {
	case err != nil:
		return "", err
	case traits.Manual:
		return byHand(have), nil
	}
	return strings.Join(told, "; "), nil
}

// noWayBack forgets what could be put back to a site that stops serving now, to one at which
// the name is bound no more, or to a name that nothing is left of: the new one was proved
// before the old one goes, and whatever fails from here on leaves it serving. So a client whose own
// name goes keeps what it took from one who is through by then (see plan: throughFirst).
func noWayBack(tx store.Tx, job Job, s plan.Step, goes state.Resource) error {
	var site state.Ref
	switch goes.Ref.Kind {
	case state.KindSite:
		site = goes.Ref
	case state.KindTraffic, state.KindDomain:
		if v, _ := goes.Attributes.Get("site"); v.Ref != nil {
			site = *v.Ref
		}
	}
	name, err := lastOfName(tx, goes.Ref)
	if err != nil || site.IsZero() && name == "" {
		return err
	}
	had, err := hadElse(tx, job, goes.Ref, name)
	if err != nil {
		return err
	}
	lost := func(u state.Undo) bool {
		if name != "" && !had && u.Prior.Ref.Kind == state.KindDomain && u.Prior.Attributes.Literal("redirect") == name {
			return true
		}
		return !site.IsZero() && refersTo(u.Prior, site) && (goes.Ref.Kind != state.KindDomain || plan.Leads(u.Prior.Ref, goes.Ref.Host()))
	}
	for id := range job.Clients {
		c, ok, err := store.Client(tx, id)
		if err != nil {
			return err
		}
		left := slices.DeleteFunc(slices.Clone(c.Undo), lost)
		kept := false
		for i, u := range left {
			own := name != "" && goes.Ref.Client == id && !c.Removed && !job.PutsBack
			if had := u.Prior.Ref.Client; own && had != id && !u.Kept && comesAfter(job.Plan, s, had) {
				left[i].Kept, kept = true, true
			}
		}
		if !ok || !kept && len(left) == len(c.Undo) {
			continue
		}
		c.Undo = left
		if err := store.PutClient(tx, c); err != nil {
			return err
		}
	}
	return nil
}

// hadElse says that another client of the plan has a host name: of two that exchange theirs, say, while a
// third one that was to have it, and is not any more, lets it go.
func hadElse(tx store.Tx, job Job, goes state.Ref, name string) (bool, error) {
	for id := range job.Clients {
		all, err := store.Resources(tx, id)
		if err != nil {
			return false, err
		}
		if id != goes.Client && slices.ContainsFunc(all, func(r state.Resource) bool {
			return r.Real() && r.Ref.Kind == state.KindDomain && r.Ref.Host() == name
		}) {
			return true, nil
		}
	}
	return false, nil
}

// comesAfter says that a step comes after all that a client does by the plan, but for what it takes away itself. Of
// whom something can't be planned there is more to come.
func comesAfter(p plan.Plan, s plan.Step, id state.ClientID) bool {
	if slices.ContainsFunc(p.Problems, func(q plan.Problem) bool { return q.Client == id }) {
		return false
	}
	before := map[string]bool{}
	for _, o := range p.Before(s) {
		before[o.Key()] = true
	}
	return !slices.ContainsFunc(p.Steps, func(o plan.Step) bool {
		return o.Ref.Client == id && !o.Action.Ends() && o.Action != plan.Retain && !before[o.Key()]
	})
}

// lastOfName is the host name that leads nowhere once goes is deleted: its client has it at
// no other host of sites, or no other address record of it; "": there is none.
func lastOfName(tx store.Tx, goes state.Ref) (string, error) {
	name := goes.Host()
	if goes.Kind == state.KindRecord {
		_, name, _ = strings.Cut(goes.Name, " ")
	}
	if !plan.Leads(goes, name) {
		return "", nil
	}
	all, err := store.Resources(tx, goes.Client)
	if err != nil {
		return "", err
	}
	if slices.ContainsFunc(all, func(r state.Resource) bool {
		return r.Real() && r.Ref.Kind == goes.Kind && r.Ref != goes && plan.Leads(r.Ref, name)
	}) {
		return "", nil
	}
	return name, nil
}

func refersTo(r state.Resource, to state.Ref) bool {
	for _, a := range r.Attributes {
		if a.Value.Ref != nil && *a.Value.Ref == to {
			return true
		}
	}
	return false
}

// stillAbsent refuses to erase what was asked for again since the purge was planned, or may be: by a
// version of its file that can't be accepted, or as somebody wants the client left alone.
func stillAbsent(tx store.Tx, job Job, s plan.Step) error {
	have, ok, err := store.Resource(tx, s.Ref)
	if err != nil {
		return err
	}
	c, known, err := store.Client(tx, s.Ref.Client)
	if err != nil {
		return err
	}
	was := job.Clients[s.Ref.Client]
	if !ok || !have.Retained() || !known || c.Removed != was.Removed || c.Seq != was.Seq ||
		!c.Removed && (c.InvalidBlob != was.InvalidBlob || c.Paused != was.Paused) {
		return &errWait{err: fmt.Errorf("%s was asked for again, or may be: it is not erased", s.Ref)}
	}
	return nil
}

// byHand asks a person to remove what a person made.
func byHand(r state.Resource) string {
	return fmt.Sprintf("nothing was deleted: the %s %s was made by hand; remove it where it was made", r.Ref.Kind, r.Ref.Name)
}

// done commits the outcome: the record and the end of the intent.
func (r *Runner) done(job Job, s plan.Step, i journal.Intent, o *provider.Object) error {
	r.refused.take(i.Ref)
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
	switch i.Op {
	case journal.OpMark:
		return nil // what is on record says nothing of marks
	case journal.OpDelete:
		if again, err := comesAgain(tx, i); again || err != nil {
			return err
		}
		if err := r.lookAnew(tx, job, i); err != nil {
			return err
		}
		return offRecord(tx, i.Ref)
	}
	res := *i.Wish
	res.Found = found
	holder := i.Ref
	if !i.From.IsZero() {
		holder = i.From
	}
	have, ok, err := store.Resource(tx, holder)
	if err != nil {
		return err
	}
	if ok && i.Op == journal.OpCreate { // what was adopted stays beside it
		if err := noteLived(tx, have); err != nil {
			return err
		}
	}
	if changed := ok && i.Op == journal.OpUpdate; changed {
		res.Run, res.Adopted, res.Outputs, res.Readdressed = have.Run, have.Adopted, have.Outputs, have.Readdressed
		res.Lives = plan.Lives(have, res, r.Now())
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

// comesAgain keeps a release on record, without its object, that a rollback deleted to build
// it again: nothing else knows what it was made of, and the process may die in between.
func comesAgain(tx store.Tx, i journal.Intent) (bool, error) {
	if i.Ref.Kind != state.KindDeployment || !strings.HasPrefix(i.Step, string(plan.Replace)+" ") {
		return false, nil
	}
	c, _, err := store.Client(tx, i.Ref.Client)
	if err != nil || c.RollingBack == "" {
		return false, err
	}
	have, ok, err := store.Resource(tx, i.Ref)
	if err != nil || !ok {
		return false, err
	}
	have.ID, have.Phase, have.Overtaken = "", "", true
	return true, store.PutResource(tx, have)
}

// offRecord takes what was deleted off the record, and a database's users with it: they
// lived in it. Of a client that is gone nothing else is left then but that mail was sent.
func offRecord(tx store.Tx, gone state.Ref) error {
	if gone.Kind == state.KindDatabase {
		all, err := store.Resources(tx, gone.Client)
		if err != nil {
			return err
		}
		c, _, err := store.Client(tx, gone.Client)
		if err != nil {
			return err
		}
		for _, r := range all {
			v, _ := r.Attributes.Get("database")
			if user := r.Ref.Kind == state.KindAdmin && v.Ref != nil && *v.Ref == gone; user || r.Ref.Kind == state.KindMail && c.Removed {
				if err := store.DeleteResource(tx, r.Ref); err != nil {
					return err
				}
			}
		}
	}
	return store.DeleteResource(tx, gone)
}

// close ends an intent that came to nothing.
func (r *Runner) close(i journal.Intent) error {
	return r.update(func(tx store.Tx) error { return store.DeleteIntent(tx, i.Ref) })
}

// failed handles a write's error: an uncertain one is looked into, a conflict is
// looked at once, of the others we know that nothing happened. nil: it happened.
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
	i.Sent = true
	if kind == provider.Conflict {
		i.There = true
		if e := r.notYetListed(ctx, job, &i); e != nil {
			return e
		}
	}
	if e := r.update(func(tx store.Tx) error { return store.PutIntent(tx, i) }); e != nil {
		return e
	}
	happened, e := r.settle(ctx, job, i)
	switch {
	case errors.Is(e, errEarlier):
		return &errWait{err: fmt.Errorf("%s %s at %s: %w, and gets what is wished next", s.Ref.Kind, i.Name, s.Provider, e)}
	case e != nil:
		return e
	case happened:
		r.at(AfterOutcome, s)
		return nil
	case kind == provider.Conflict && i.Ref.Kind == state.KindMail:
		// Sent is sent: by a state that was lost, which had other words for it.
		return r.done(job, s, i, &provider.Object{ID: state.DoneBefore, Kind: state.KindMail, Name: i.Name, Phase: provider.Ready, Message: "a mail of that name was sent before: it is not sent again"})
	case kind == provider.Conflict:
		return err
	}
	said := "the answer was lost" // or one came that says nothing for certain: a vendor without codes
	var pe *provider.Error
	if errors.As(err, &pe) && pe.Message != "" {
		said = pe.Message
	}
	return &provider.Error{Kind: provider.Transient, Provider: s.Provider, Op: string(i.Op), Message: said + "; a look shows that nothing happened", Err: err}
}

// notYetListed lets the look that follows a conflict wait until lists show what the
// vendor itself says is there: an earlier create of ours, whose answer was lost. Where
// one was waited for and nothing came, and the vendor says the same again, a person has to
// find out what it means.
func (r *Runner) notYetListed(ctx context.Context, job Job, i *journal.Intent) error {
	p, traits, err := r.providerOf(i.Provider, i.Ref.Kind)
	if err != nil {
		return err
	}
	i.Looks = journal.SettleLooks // the last look decides
	r.looked.note(*i, r.Up(), 0)
	if again := r.refused.take(i.Ref); again || traits.ListLag <= 0 {
		return nil
	}
	objects, _, err := r.lookFor(ctx, job, p, *i)
	if err != nil {
		return err
	}
	if len(objects) == 0 {
		i.LookAt, i.Conflict = r.Now().Add(traits.ListLag), true
		r.looked.note(*i, r.Up(), traits.ListLag)
	}
	return nil
}

// unsettled looks into what an earlier try of the step left open. happened says that
// the step's own write is done.
func (r *Runner) unsettled(ctx context.Context, job Job, s plan.Step) (happened bool, err error) {
	var i journal.Intent
	var open bool
	err = r.Store.View(func(tx store.Tx) (err error) {
		i, open, err = store.Intent(tx, s.Ref)
		return err
	})
	if err != nil {
		return false, &journalError{err}
	}
	if !open {
		return false, nil
	}
	if happened, err = r.settle(ctx, job, i); errors.Is(err, errEarlier) {
		err = nil // the step looks, and takes it over
	}
	return happened && i.Step == s.Key() && s.Action != plan.Replace, err
}
