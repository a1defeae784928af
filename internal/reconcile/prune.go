package reconcile

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

const (
	// outdatedFor is how long a version of a secret stays beside a newer one, whoever uses it: a
	// pass that was planned with it may be under way, and a restored copy knows it.
	outdatedFor = 7 * 24 * time.Hour
	// pruneAtOnce is how many versions one transaction forgets.
	pruneAtOnce = 500
)

// secretVersion is one version of a secret, without what else a reference says.
type secretVersion struct {
	scope, name string
	version     int
}

// PruneSecrets forgets the versions of secrets that nothing is made of any more: neither an
// object on record, retained ones among them, nor what is to be put back, nor a write whose end
// is not known. The newest version of each stays. Where there is none, nothing is written.
func (e *Engine) PruneSecrets(ctx context.Context) (n int, err error) {
	if e.old() {
		return 0, fmt.Errorf("prune secrets: %w", ErrRestored)
	}
	for ctx.Err() == nil {
		gone, err := e.pruneSome()
		if err != nil {
			return n, fmt.Errorf("prune secrets: %w", err)
		}
		if n += gone; gone < pruneAtOnce {
			return n, nil
		}
	}
	return n, context.Cause(ctx)
}

// pruneSome forgets up to pruneAtOnce versions. What is found out of use stays so: nothing but
// what is looked through here makes anything of a version that has a newer one.
func (e *Engine) pruneSome() (n int, err error) {
	var gone []state.SecretRef
	err = e.Store.View(func(tx store.Tx) error {
		all, err := store.OutdatedSecrets(tx, e.Now().Add(-outdatedFor))
		if err != nil || len(all) == 0 {
			return err
		}
		used, err := secretsInUse(tx)
		gone = slices.DeleteFunc(all, func(r state.SecretRef) bool { return used[secretVersion{r.Scope, r.Name, r.Version}] })
		return err
	})
	if gone = gone[:min(len(gone), pruneAtOnce)]; err != nil || len(gone) == 0 {
		return 0, err
	}
	return len(gone), e.Store.Update(func(tx store.Tx) error {
		for _, r := range gone {
			if err := store.DeleteSecretVersion(tx, r); err != nil {
				return err
			}
		}
		return nil
	})
}

// secretsInUse are the versions that something on record was made of.
func secretsInUse(tx store.Tx) (map[secretVersion]bool, error) {
	out := map[secretVersion]bool{}
	value := func(v state.Value) {
		if s := v.Secret; s != nil {
			out[secretVersion{s.Scope, s.Name, s.Version}] = true
		}
	}
	note := func(r *state.Resource) {
		if r == nil {
			return
		}
		for _, a := range r.Attributes {
			value(a.Value)
		}
		for _, v := range r.Outputs {
			value(v)
		}
	}
	all, err := store.AllResources(tx)
	if err != nil {
		return nil, err
	}
	for i := range all {
		note(&all[i])
	}
	clients, err := store.Clients(tx)
	if err != nil {
		return nil, err
	}
	for _, c := range clients {
		for i := range c.Undo {
			note(&c.Undo[i].Prior)
		}
	}
	intents, err := store.Intents(tx, "")
	for _, i := range intents {
		note(i.Wish)
		note(i.Prior)
	}
	return out, err
}
