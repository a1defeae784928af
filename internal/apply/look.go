package apply

import (
	"context"
	"fmt"
	"slices"

	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// maxSeen is how many objects of one name are looked at one by one.
const maxSeen = 8

// takeOver is what look returns when the object is there already.
type takeOver struct {
	object provider.Object
	found  bool // unmarked and equal: used, not ours
	equal  bool
}

func (*takeOver) Error() string { return "the object exists" }

// look finds before a create: nil means an observed absence.
func (r *Runner) look(ctx context.Context, p provider.Provider, traits state.Traits, s plan.Step, w provider.Wish) error {
	seen, err := r.find(ctx, p, w)
	if err != nil {
		return err
	}
	ours := -1
	for n, o := range seen {
		if o.Mark == w.Mark && !o.Mark.IsZero() {
			if ours >= 0 {
				return &errPark{fmt.Sprintf("two objects at %s bear our mark for %s %s: %s and %s; delete the wrong one there", s.Provider, s.Ref.Kind, w.Name, seen[ours].ID, o.ID)}
			}
			ours = n
		}
	}
	if ours >= 0 {
		return &takeOver{object: seen[ours], equal: equal(w, seen[ours]) && shown(w, seen[ours])}
	}
	same := -1
	for n, o := range seen {
		switch {
		case !o.Mark.IsZero():
			return &errPark{foreign(s.Provider, s.Ref.Kind, o)}
		case !equal(w, o) || traits.Data:
		case same >= 0:
			return &errPark{fmt.Sprintf("two equal objects at %s could be %s %s: %s and %s; remove one there", s.Provider, s.Ref.Kind, w.Name, seen[same].ID, o.ID)}
		default:
			same = n
		}
	}
	if same >= 0 {
		return &takeOver{object: seen[same], found: true, equal: true}
	}
	if len(seen) > 0 {
		return &errPark{fmt.Sprintf("%s %s exists at %s without our mark (%s); %s there", s.Ref.Kind, w.Name, s.Provider, seen[0].ID, plan.WithoutMark(s.Ref.Kind))}
	}
	return nil
}

// foreign says whose an object is.
func foreign(at string, k state.Kind, o provider.Object) string {
	return fmt.Sprintf("%s %s at %s bears the mark of %s/%s: it is not ours; settle there whose it is", k, o.Name, at, o.Mark.Installation, o.Mark.Client)
}

// find looks by name for what w may already be. Lists may be late: what they show is
// read by id, so that an object that was just deleted is not taken for a living one.
// What is on record as something else is something else.
func (r *Runner) find(ctx context.Context, p provider.Provider, w provider.Wish) ([]provider.Object, error) {
	listed, err := p.Observe(ctx, provider.Query{Kind: w.Ref.Kind, Name: w.Name, Wish: &w})
	if err != nil {
		return nil, asRead(err)
	}
	if len(listed) == 0 {
		return nil, nil
	}
	others, err := r.others(p.Name(), w.Ref)
	if err != nil {
		return nil, err
	}
	var out []provider.Object
	for _, o := range relevant(listed, w) {
		if others[o.ID] {
			continue
		}
		if len(out) >= maxSeen {
			out = append(out, o)
			continue
		}
		now, err := p.Observe(ctx, provider.Query{Kind: w.Ref.Kind, ID: o.ID})
		if err != nil {
			return nil, asRead(err)
		}
		if len(now) > 0 {
			out = append(out, now[0])
		}
	}
	return out, nil
}

// others are the ids of what the client has on record at the provider as something
// else than ref: a name may have several records.
func (r *Runner) others(at string, ref state.Ref) (map[string]bool, error) {
	ids := map[string]bool{}
	err := r.Store.View(func(tx store.Tx) error {
		all, err := store.Resources(tx, ref.Client)
		for _, x := range all {
			if x.Ref != ref && x.Ref.Kind == ref.Kind && x.Provider == at && x.Real() {
				ids[x.ID] = true
			}
		}
		return err
	})
	if err != nil {
		return nil, &journalError{err}
	}
	return ids, nil
}

// relevant drops what may live beside the wish: further records of a name.
func relevant(objects []provider.Object, w provider.Wish) []provider.Object {
	if w.Ref.Kind != state.KindRecord {
		return objects
	}
	var out []provider.Object
	for _, o := range objects {
		ours := o.Mark == w.Mark && !o.Mark.IsZero()
		switch {
		case equal(w, o), ours && o.Name == w.Name:
			out = append(out, o)
		case !ours && (exclusive(w.Get("type")) || samePolicy(w, o)):
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

// samePolicy says that both are a name's policy of mail, of which it has one: a second one would void somebody else's.
func samePolicy(w provider.Wish, o provider.Object) bool {
	is := ""
	for _, a := range o.Attributes {
		if a.Name == "content" {
			is = state.MailPolicy(w.Get("type"), w.Get("name"), a.Reveal())
		}
	}
	return is != "" && is == state.MailPolicy(w.Get("type"), w.Get("name"), w.Get("content"))
}

// take records an object that was there as it is, and brings it to the wish when it is
// ours. What can't be changed in place is left to the next plan.
func (r *Runner) take(ctx context.Context, job Job, s plan.Step, w provider.Wish, t *takeOver) (string, error) {
	_, traits, err := r.providerOf(s.Provider, s.Ref.Kind)
	if err != nil {
		return "", err
	}
	res, other := *s.Wish, ""
	res.Found = t.found
	if !t.equal {
		res.Attributes, other = asSeen(*s.Wish, w, t.object, traits)
	}
	err = r.update(func(tx store.Tx) (err error) {
		if res.Overtaken, err = orderUnknown(tx, res, traits); err != nil {
			return err
		}
		return r.put(tx, job, s.Provider, res, t.object, generationOf(job, s.Ref))
	})
	switch {
	case err != nil:
		return "", err
	case res.Overtaken:
		return "", &errWait{anew: true, err: fmt.Errorf("%s is at %s already, which serves what was built last, and may have built another one since; the next pass builds it again", w.Name, s.Provider)}
	case t.found:
		return "found at " + s.Provider + " and used; it was not made here, so it is never changed and stays when the client goes", nil
	case s.Ref.Kind == state.KindMail:
		return r.made(ctx, job, s, "was sent already") // as it was: nobody can change that
	case t.equal:
		return r.made(ctx, job, s, "was there already")
	case other != "":
		return "", &errWait{err: fmt.Errorf("%s %s is at %s already with another %s; the next pass plans what to do", s.Ref.Kind, w.Name, s.Provider, other)}
	}
	note, err := r.change(ctx, job, s)
	return join("was there already and was changed", note), err
}

// orderUnknown says that a release which was there already, and not on record (an older state was put
// back, say), may not be what its site serves: the host serves what was built last, and another one
// is on record as that. Which of the two is younger the host does not tell. It puts on record that
// the other one is overtaken, too, so that whichever is wished is built again.
func orderUnknown(tx store.Tx, res state.Resource, t state.Traits) (bool, error) {
	if res.Ref.Kind != state.KindDeployment || t.Promotable || t.Manual || res.Found {
		return false, nil
	}
	all, err := store.Resources(tx, res.Ref.Client)
	if err != nil {
		return false, err
	}
	unknown := false
	for _, o := range all {
		if !plan.SameHost(res, o) || !o.Real() || o.Phase != "" || o.Overtaken {
			continue
		}
		unknown, o.Overtaken = true, true
		if err := store.PutResource(tx, o); err != nil {
			return false, err
		}
	}
	return unknown, nil
}

// asSeen are the attributes of an object that differs from its wish, as far as a look
// tells. What it does not tell is left out, so that the next plan sets it, but for what
// would force a replacement. other is an attribute that can't be changed in place.
func asSeen(wish state.Resource, w provider.Wish, o provider.Object, t state.Traits) (out state.Attributes, other string) {
	told, said := map[string]provider.Observed{}, map[string]provider.Input{}
	for _, a := range o.Attributes {
		told[a.Name] = a
	}
	for _, in := range w.Inputs {
		said[in.Name] = in
	}
	for _, a := range wish.Attributes {
		now, ok := told[a.Name]
		in, known := said[a.Name]
		fixed := slices.Contains(t.Replace, a.Name)
		switch {
		case ok && known && sameInput(w.Ref.Kind, in, now), !ok && fixed:
			out = append(out, a)
		case ok && now.Secret == nil && !(known && in.Secret != nil):
			out = append(out, state.Attribute{Name: a.Name, Value: state.Lit(now.Text)})
			if fixed {
				other = a.Name
			}
		}
	}
	return out, other
}
