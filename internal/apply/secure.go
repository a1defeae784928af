package apply

import (
	"context"
	"errors"
	"fmt"

	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// secure asks for what a host name is served with, now that its record is set: an update with
// the wish that it has, until DNS leads to the site for its host, too. Where that takes
// longer than a few tries it goes on in a later pass. A name that is secured costs no call.
func (r *Runner) secure(ctx context.Context, job Job, s plan.Step) (string, error) {
	for try := 1; ; try++ {
		have, ok, err := r.onRecord(s.Ref)
		switch {
		case err != nil:
			return "", err
		case !ok || !have.Real():
			return "", &errWait{anew: true, err: fmt.Errorf("%s is not on record any more; the next pass plans it anew", s.Ref)}
		case have.Phase == "":
			return "", nil
		case have.Found:
			return "it was bound at " + have.Provider + " already, not by us: its certificate is left to whoever did", nil
		case have.Phase != string(provider.Unreached) && have.Phase != string(provider.Failed):
			return r.await(ctx, job, s)
		}
		note, err := r.change(ctx, job, s)
		if err != nil {
			return "", err
		}
		if have, _, err = r.onRecord(s.Ref); err != nil {
			return "", err
		}
		if have.Phase != string(provider.Unreached) {
			return note, nil
		}
		if try == callAttempts {
			return "", &errWait{err: &unledError{orElse(have.Message, fmt.Sprintf("DNS does not lead %s to %s yet", s.Ref.Host(), s.Provider))}}
		}
		if job.superseded(s.Ref.Client) {
			return "", errSuperseded
		}
		if err := r.Sleep(ctx, r.Jitter(firstBackOff<<(try-1))); err != nil {
			return "", err
		}
	}
}

// unledError is what a vendor says of a host name that DNS does not lead to it yet.
type unledError struct{ text string }

func (e *unledError) Error() string { return e.text }

// Unled says that a step waits until DNS leads its host name to its vendor, in that one's words.
func Unled(err error) (says string, ok bool) {
	var u *unledError
	if errors.As(err, &u) {
		return u.text, true
	}
	return "", false
}

// onRecord reads what is on record of a resource.
func (r *Runner) onRecord(ref state.Ref) (have state.Resource, ok bool, err error) {
	err = r.Store.View(func(tx store.Tx) (err error) {
		have, ok, err = store.Resource(tx, ref)
		return err
	})
	if err != nil {
		err = &journalError{err}
	}
	return have, ok, err
}

// refresh lets the copies of a host's pages be forgotten. It changes nothing that is on
// record, and copies end by themselves: that it failed is noted, and nothing waits for it.
func (r *Runner) refresh(ctx context.Context, s plan.Step) string {
	p, _, err := r.providerOf(s.Provider, s.Ref.Kind)
	if err != nil {
		return "copies of earlier pages stay until they end: " + err.Error()
	}
	purger, can := p.(provider.Purger)
	if !can {
		return "copies of earlier pages stay until they end: " + s.Provider + " can't be told to forget them"
	}
	ctx, cancel := context.WithTimeout(ctx, refreshTime)
	defer cancel()
	if err := purger.Purge(ctx, []string{s.Wish.Attributes.Literal("name")}); err != nil {
		return "copies of earlier pages stay until they end: " + err.Error()
	}
	return ""
}
