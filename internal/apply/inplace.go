package apply

import (
	"context"

	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// servesAgain says that a release which another one overtook is there, and no other one of its
// site is: somebody deleted what overtook it, and the host went back to what it had. Then the record
// says so, too; to build it anew would take it away first, perhaps for good. Where that can't be
// seen the record counts.
func (r *Runner) servesAgain(ctx context.Context, have state.Resource) (bool, error) {
	var all []state.Resource
	err := r.Store.View(func(tx store.Tx) (err error) { all, err = store.Resources(tx, have.Ref.Client); return err })
	if err != nil {
		return false, &journalError{err}
	}
	p, _, err := r.providerOf(have.Provider, have.Ref.Kind)
	if err != nil {
		return false, err
	}
	for _, o := range all {
		if o.Ref != have.Ref && (!plan.SameHost(have, o) || !o.Real() || o.Phase != "") {
			continue
		}
		found, err := p.Observe(ctx, provider.Query{Kind: o.Ref.Kind, ID: o.ID})
		if err != nil || (len(found) > 0) != (o.Ref == have.Ref) {
			return false, ctx.Err()
		}
	}
	have.Overtaken = false
	return true, r.update(func(tx store.Tx) error { return store.PutResource(tx, have) })
}
