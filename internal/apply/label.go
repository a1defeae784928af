package apply

import (
	"context"
	"fmt"

	"github.com/compassdigital/reconciler/internal/journal"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// label writes our mark on an adopted object, and changes nothing else of it. Written twice
// it is the same, so that one of which nobody knows whether it came through is written anew.
func (r *Runner) label(ctx context.Context, job Job, s plan.Step) (string, error) {
	const none = "the provider has no place for a mark"
	if r.Marker == nil {
		return none, nil
	}
	m, ok := r.Marker(s.Provider, s.Ref.Kind)
	if !ok {
		return none, nil
	}
	var have state.Resource
	err := r.Store.View(func(tx store.Tx) (err error) {
		have, ok, err = store.Resource(tx, s.Ref)
		return err
	})
	switch {
	case err != nil:
		return "", &journalError{err}
	case !ok || !have.Real() || !have.Adopted || have.Provider != s.Provider:
		return "", &errWait{anew: true, err: fmt.Errorf("%s is not on record as adopted any more", s.Ref)}
	}
	mark := r.mark(job, s.Ref.Client)
	i := journal.Intent{Op: journal.OpMark, Key: s.Ref.String(), Run: job.run(s.Ref.Client), Step: s.Key(), Ref: s.Ref, Provider: s.Provider,
		Name: have.Name, ObjectID: have.ID, Mark: mark.Text(), Commit: job.Commit, At: r.Now()}
	r.at(BeforeIntent, s)
	if err := r.update(func(tx store.Tx) error { return announce(tx, job, i) }); err != nil {
		return "", err
	}
	r.at(AfterIntent, s)
	err = m.Mark(ctx, s.Ref.Kind, have.ID, mark)
	r.at(AfterCall, s)
	if err != nil && provider.KindOf(err) == provider.Unsupported {
		return none, r.close(i)
	}
	if err != nil {
		return "", r.failed(ctx, job, s, i, err)
	}
	return "", r.done(job, s, i, nil)
}
