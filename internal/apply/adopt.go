package apply

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// keptPrefix starts the names of the secrets that hold what an adopted site's variables
// said. desired.Kept is the same word: it reads them back into the wish.
const keptPrefix = "adopted/"

// adopt records an object that exists; nothing is written at the provider. What is
// named in `adopt:`, or is part of it, becomes the client's; what was found equal is
// used as it is.
func (r *Runner) adopt(ctx context.Context, job Job, s plan.Step) (string, error) {
	p, traits, err := r.providerOf(s.Provider, s.Ref.Kind)
	if err != nil {
		return "", err
	}
	w, known, err := r.wishAsFar(job, *s.Wish)
	if err != nil {
		return "", err
	}
	o, there, err := r.adoptee(ctx, job, s, p, w)
	switch {
	case err != nil:
		return "", err
	case !there && s.Wish.ID == "":
		return "there is none at " + s.Provider, nil // it is planned like any other afterwards
	case !there:
		return "", &errPark{fmt.Sprintf("%s %s is not at %s; what is adopted is never created: mend the id in `adopt:`, or restore it there", s.Ref.Kind, s.Wish.ID, s.Provider)}
	case !o.Mark.IsZero() && o.Mark != w.Mark:
		return "", &errPark{foreign(s.Provider, s.Ref.Kind, o)}
	}
	if s.Wish.Found {
		return r.use(job, s, traits, w, o)
	}
	covers := false
	var taken state.Ref
	err = r.update(func(tx store.Tx) error {
		seen, err := r.compare(tx, *s.Wish, w, known, o)
		if err != nil {
			return err
		}
		res := plan.Adopted(*s.Wish, o.ID, seen)
		covers = plan.Covers(res, *s.Wish)
		taken, err = takenBy(tx, res.Ref, s.Provider, o.ID)
		if err == nil && !taken.IsZero() && s.Ref.Kind == state.KindDeployment {
			// An adoption that was cut off recorded it for an earlier wish.
			err, taken = store.DeleteResource(tx, taken), state.Ref{}
		}
		if err != nil || !taken.IsZero() {
			return err
		}
		have, _, err := store.Resource(tx, s.Ref)
		if err != nil {
			return err
		}
		other := have.Real() && have.Ref.Kind == state.KindDatabase && (have.Provider != s.Provider || have.ID != o.ID)
		if res.Readdressed = have.Readdressed; other {
			res.Readdressed++ // what is built from here on is built with that one
		}
		err = r.put(tx, job, s.Provider, res, o, generationOf(job, s.Ref))
		if err == nil && other {
			err = inPlaceOf(tx, have)
		}
		if err != nil || s.Wish.AdoptID == "" || s.Ref.Kind == state.KindPayments {
			return err // nothing hangs on an account, and its phase says how far its owner is
		}
		return phaseOf(tx, s.Ref, plan.Adopting)
	})
	note := "recorded " + o.ID + " as it is"
	switch {
	case err != nil:
		return "", err
	case !taken.IsZero():
		return "", &errPark{fmt.Sprintf("%s %s at %s is on record as %s already; an object is adopted once", s.Ref.Kind, o.ID, s.Provider, taken)}
	case !covers:
		note += "; what differs from the manifest is kept, and the next plan shows it"
	}
	return note, nil
}

// phaseOf changes the phase of what is on record.
func phaseOf(tx store.Tx, ref state.Ref, phase string) error {
	have, ok, err := store.Resource(tx, ref)
	if err != nil || !ok {
		return err
	}
	have.Phase = phase
	return store.PutResource(tx, have)
}

// inPlaceOf notes that another database was adopted in the place of one: that one lived before us, and what has its
// address has that of an earlier one from here on.
func inPlaceOf(tx store.Tx, had state.Resource) error {
	now, _, err := store.Resource(tx, had.Ref)
	if err != nil {
		return err
	}
	if err := noteLived(tx, had); err != nil {
		return err
	}
	gives := maps.Clone(had.Outputs)
	for name := range gives {
		gives[name] = now.Outputs[name] // one that it does not give is no more
	}
	return readdressed(tx, had, gives)
}

// lived names an adopted object in its client's Lived.
func lived(r state.Resource) string {
	return r.Provider + "/" + string(r.Ref.Kind) + "/" + r.ID
}

// noteLived keeps in mind that what goes off the record was there before us.
func noteLived(tx store.Tx, have state.Resource) error {
	if !have.Adopted || !have.Real() {
		return nil
	}
	c, ok, err := store.Client(tx, have.Ref.Client)
	if err != nil || !ok || slices.Contains(c.Lived, lived(have)) {
		return err
	}
	c.Lived = append(slices.Clone(c.Lived), lived(have))
	return store.PutClient(tx, c)
}

// livedBefore says that an object that comes on record was adopted once: it still is.
func livedBefore(tx store.Tx, r state.Resource) (bool, error) {
	c, ok, err := store.Client(tx, r.Ref.Client)
	return ok && slices.Contains(c.Lived, lived(r)), err
}

// adopted ends the pass that adopts: nothing of what is named waits for its parts.
func (r *Runner) adopted(id state.ClientID) error {
	return r.update(func(tx store.Tx) error {
		all, err := store.Resources(tx, id)
		if err != nil {
			return err
		}
		for _, have := range all {
			if have.Phase != plan.Adopting {
				continue
			}
			if err := phaseOf(tx, have.Ref, ""); err != nil {
				return err
			}
		}
		return nil
	})
}

// use records what was found equal when it was planned, if it still is.
func (r *Runner) use(job Job, s plan.Step, traits state.Traits, w provider.Wish, o provider.Object) (string, error) {
	if traits.Data || !o.Mark.IsZero() || !equal(w, o) {
		return "", &errWait{err: fmt.Errorf("%s %s at %s is not what it was when it was looked at; the next pass plans it anew", s.Ref.Kind, o.ID, s.Provider)}
	}
	return "found at " + s.Provider + " and used; it is never changed and stays when the client goes", r.update(func(tx store.Tx) error {
		return r.put(tx, job, s.Provider, *s.Wish, o, generationOf(job, s.Ref))
	})
}

// wishAsFar resolves what can be resolved: of an adopted client not everything that its
// wish refers to exists. known are the attributes whose value is known.
func (r *Runner) wishAsFar(job Job, res state.Resource) (w provider.Wish, known map[string]provider.Input, err error) {
	w, known = r.blank(job, res.Ref), map[string]provider.Input{}
	err = r.Store.View(func(tx store.Tx) error {
		for _, a := range res.Attributes { // sorted by name
			in, there, err := r.input(tx, a)
			var u *errUnresolved
			switch {
			case errors.As(err, &u):
			case err != nil:
				return err
			case there:
				known[a.Name] = in
				w.Inputs = append(w.Inputs, in)
			}
		}
		return nil
	})
	if err != nil {
		return w, nil, &journalError{err}
	}
	return w, known, nil
}

// adoptee finds the object: by its id, or as part of the adopted site.
func (r *Runner) adoptee(ctx context.Context, job Job, s plan.Step, p provider.Provider, w provider.Wish) (o provider.Object, there bool, err error) {
	q := provider.Query{Kind: s.Ref.Kind, ID: s.Wish.ID}
	if q.ID == "" {
		q.Name, q.Wish = w.Name, &w
	}
	found, err := p.Observe(ctx, q)
	if err != nil {
		return o, false, asRead(err)
	}
	if q.ID == "" {
		found = relevant(found, w)
	}
	if len(found) == 0 && q.ID == "" && s.Ref.Kind == state.KindDeployment {
		found, err = r.served(ctx, job, s, p)
		if err != nil {
			return o, false, err
		}
	}
	switch len(found) {
	case 0:
		return o, false, nil
	case 1:
		return found[0], true, nil
	}
	return o, false, &errPark{fmt.Sprintf("%d objects at %s could be the adopted %s %s; name one in `adopt:`, or remove the others there", len(found), s.Provider, s.Ref.Kind, w.Name)}
}

// served is the release that the adopted site's traffic leads to: releases are named by
// what they are made of, so that one that we did not make is found by no name.
func (r *Runner) served(ctx context.Context, job Job, s plan.Step, p provider.Provider) ([]provider.Object, error) {
	for _, other := range job.Plan.Steps {
		if other.Action != plan.Adopt || other.Ref.Kind != state.KindTraffic || other.Ref.Client != s.Ref.Client || other.Provider != s.Provider || other.Wish == nil {
			continue
		}
		w, _, err := r.wishAsFar(job, *other.Wish)
		if err != nil {
			return nil, err
		}
		traffic, err := p.Observe(ctx, provider.Query{Kind: state.KindTraffic, Name: w.Name, Wish: &w})
		if err != nil {
			return nil, asRead(err)
		}
		if len(traffic) != 1 {
			return nil, nil
		}
		for _, a := range traffic[0].Attributes {
			if a.Name != "deployment" || a.Reveal() == "" {
				continue
			}
			found, err := p.Observe(ctx, provider.Query{Kind: state.KindDeployment, ID: a.Reveal()})
			if err != nil {
				return nil, asRead(err)
			}
			return found, nil
		}
	}
	return nil, nil
}

// takenBy is the Ref of this client under which the object is on record already.
func takenBy(tx store.Tx, ref state.Ref, at, id string) (state.Ref, error) {
	all, err := store.Resources(tx, ref.Client)
	for _, x := range all {
		if x.Ref != ref && x.Ref.Kind == ref.Kind && x.Provider == at && x.ID == id {
			return x.Ref, err
		}
	}
	return state.Ref{}, err
}

// compare says of every attribute of the object whether it is what is wished. What is
// another value is kept: variables and secrets sealed, all others as they are. A secret
// that would be generated, and that the site has, was made already: it is the one.
func (r *Runner) compare(tx store.Tx, res state.Resource, w provider.Wish, known map[string]provider.Input, o provider.Object) ([]plan.Existing, error) {
	var out []plan.Existing
	for _, a := range o.Attributes {
		x := plan.Existing{Name: a.Name}
		in, ok := known[a.Name]
		x.Same = ok && sameInput(w.Ref.Kind, in, a)
		if v, wished := res.Attributes.Get(a.Name); wished && !ok && v.Secret != nil && isGenerated(*v.Secret) && a.Reveal() != "" {
			if _, err := r.seal(tx, state.SecretRef{Scope: v.Secret.Scope, Name: v.Secret.Name}, state.NewSecret(a.Reveal()), "adopted"); err != nil {
				return nil, err
			}
			x.Same = true
		}
		if !x.Same {
			var err error
			if x.Kept, err = r.keep(tx, res.Ref, a); err != nil {
				return nil, err
			}
		}
		out = append(out, x)
	}
	return out, nil
}

func (r *Runner) keep(tx store.Tx, ref state.Ref, a provider.Observed) (state.Value, error) {
	name, variable := strings.CutPrefix(a.Name, "env.")
	switch {
	case variable:
		name = keptPrefix + name
	case a.Secret != nil:
		name = "observed/" + string(ref.Kind) + "/" + ref.Name + "/" + a.Name
	default:
		return state.Lit(a.Text), nil
	}
	s, err := r.seal(tx, state.SecretRef{Scope: string(ref.Client), Name: name}, state.NewSecret(a.Reveal()), "adopted")
	return state.SecretValue(s), err
}
