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
	// pruneLook is how many records one transaction looks through: a long one keeps the pages
	// of what is written meanwhile from being used again.
	pruneLook = 20_000
	// lapsedFor is how long an approval is on record that serves nothing any more.
	lapsedFor = 7 * 24 * time.Hour
	// goneFor is how long what is told of a client outlives its record.
	goneFor = 365 * 24 * time.Hour
)

// Pruned is how much was forgotten.
type Pruned struct{ Secrets, Runs, Entries, Approvals int }

// Prune forgets what nothing is made of any more and nobody is shown: outdated versions of
// secrets, and those of clients that are not on record any more; audit records and history
// over what is kept of a client; approvals that serve nothing. So the state grows with the
// fleet, not with its age. Where there is none, nothing is written.
func (e *Engine) Prune(ctx context.Context) (p Pruned, err error) {
	if e.old() {
		return p, fmt.Errorf("prune: %w", ErrRestored)
	}
	for _, part := range []struct {
		n     *int
		prune func(context.Context) (int, error)
	}{{&p.Secrets, e.PruneSecrets}, {&p.Secrets, e.pruneOrphans}, {&p.Runs, e.pruneRuns}, {&p.Entries, e.pruneHistory}, {&p.Approvals, e.pruneApprovals}} {
		n, err := part.prune(ctx)
		*part.n += n
		if err != nil {
			return p, fmt.Errorf("prune: %w", err)
		}
	}
	return p, nil
}

// forget deletes in transactions of a bounded size.
func forget[K any](e *Engine, ctx context.Context, all []K, del func(store.Tx, K) error) (n int, err error) {
	for part := range slices.Chunk(all, pruneAtOnce) {
		if ctx.Err() != nil {
			return n, context.Cause(ctx)
		}
		err := e.Store.Update(func(tx store.Tx) error {
			for _, k := range part {
				if err := del(tx, k); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return n, err
		}
		n += len(part)
	}
	return n, nil
}

// pages hands over all records, the newest first, in transactions that look at a bounded
// number each. What is written meanwhile is newer than what is looked through.
func pages[T any](e *Engine, ctx context.Context, next func(store.Tx) ([]T, error), each func(T)) error {
	for {
		var page []T
		err := e.Store.View(func(tx store.Tx) (err error) {
			page, err = next(tx)
			return err
		})
		for _, v := range page {
			each(v)
		}
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case len(page) < pruneLook:
			return nil
		}
	}
}

// clientsOnRecord are the clients, with the audit record of each that is shown and gone on with.
func (e *Engine) clientsOnRecord() (out map[state.ClientID]string, err error) {
	out = map[state.ClientID]string{}
	err = e.Store.View(func(tx store.Tx) error {
		all, err := store.Clients(tx)
		for _, c := range all {
			out[c.ID] = c.Deployment
		}
		return err
	})
	return out, err
}

// pruneRuns forgets audit records over what is kept of a client, with their lines.
func (e *Engine) pruneRuns(ctx context.Context) (int, error) {
	clients, err := e.clientsOnRecord()
	if err != nil {
		return 0, err
	}
	kept, before := map[state.ClientID]int{}, ""
	var gone, running []string
	err = pages(e, ctx, func(tx store.Tx) ([]state.Deployment, error) { return store.DeploymentsBefore(tx, before, pruneLook) }, func(d state.Deployment) {
		before = d.ID
		current, on := clients[d.Client]
		if kept[d.Client]++; current != d.ID && (kept[d.Client] > keptRuns || !on && e.Now().Sub(d.Started) > goneFor) {
			gone = append(gone, d.ID)
		} else if current != d.ID && d.State == auditRunning {
			running = append(running, d.ID)
		}
	})
	if err != nil {
		return 0, err
	}
	if _, err := forget(e, ctx, running, e.endOld); err != nil {
		return 0, err
	}
	return forget(e, ctx, gone, store.DeleteDeployment)
}

// endOld ends a record that an older version of this program left running. Who passes by now
// has a record that is its client's newest.
func (e *Engine) endOld(tx store.Tx, id string) error {
	d, _, err := store.Deployment(tx, id)
	if err != nil {
		return err
	}
	c, _, err := store.Client(tx, d.Client)
	if err != nil || c.Deployment == id {
		return err
	}
	return endRunning(tx, []string{id}, ofBefore, e.Now())
}

// pruneHistory forgets lines of the history over what is kept of a client. What people did is
// counted apart: a site that comes and goes for weeks takes the place of no approval.
func (e *Engine) pruneHistory(ctx context.Context) (int, error) {
	clients, err := e.clientsOnRecord()
	if err != nil {
		return 0, err
	}
	type whose struct {
		client state.ClientID
		people bool
	}
	kept, before := map[whose]int{}, uint64(0)
	var gone []uint64
	err = pages(e, ctx, func(tx store.Tx) ([]state.Entry, error) { return store.HistoryBefore(tx, before, pruneLook) }, func(x state.Entry) {
		before = x.Seq
		of, limit := whose{x.Client, x.By != ""}, keptEntries
		_, on := clients[x.Client]
		if x.Client == "" {
			limit, on = keptHeads, true
		}
		if kept[of]++; kept[of] > limit || !on && e.Now().Sub(x.At) > goneFor {
			gone = append(gone, x.Seq)
		}
	})
	if err != nil {
		return 0, err
	}
	return forget(e, ctx, gone, store.DeleteEntry)
}

// pruneApprovals forgets those that were used, or lapsed, a while ago.
func (e *Engine) pruneApprovals(ctx context.Context) (int, error) {
	var gone []string
	err := e.Store.View(func(tx store.Tx) error {
		all, err := store.Approvals(tx)
		for _, a := range all {
			if e.Now().Sub(a.At) > lapsedFor && (a.Used.IsZero() || e.Now().Sub(a.Used) > lapsedFor) {
				gone = append(gone, a.Fingerprint)
			}
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	return forget(e, ctx, gone, store.DeleteApproval)
}

// pruneOrphans forgets the secrets of clients that are not on record any more: an id is never
// given again, so that nobody can name them.
func (e *Engine) pruneOrphans(ctx context.Context) (int, error) {
	var gone []state.SecretRef
	err := e.Store.View(func(tx store.Tx) error {
		heads, err := store.SecretHeads(tx, "")
		if err != nil {
			return err
		}
		for _, s := range heads {
			of := ownerOf(s.Ref.Scope)
			if of == "" {
				continue
			}
			_, on, err := store.Client(tx, of)
			if err != nil {
				return err
			}
			open, err := store.Intents(tx, of)
			if err != nil {
				return err
			}
			if !on && len(open) == 0 {
				gone = append(gone, s.Ref)
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return forget(e, ctx, gone, func(tx store.Tx, r state.SecretRef) error { return store.DeleteSecret(tx, r.Scope, r.Name) })
}

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
