package review

import (
	"context"
	"errors"
	"fmt"

	"github.com/compassdigital/reconciler/internal/forge"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// maxQueued is how many commits of a merge queue are judged in one look.
const maxQueued = 10

// Queue is the forge's merge queue: commits that it makes of pull requests, on branches of its own, and merges
// once the required statuses are there.
type Queue interface {
	// Queued returns what waits there for its statuses.
	Queued(ctx context.Context) ([]forge.Queued, error)
	// BringQueued brings one of them here.
	BringQueued(ctx context.Context, q forge.Queued) error
}

// queued tells a merge queue what it waits for: the statuses of its commits, each judged as the merge into the branch that
// it will be. Nobody is told more there: people read their pull request.
func (r *Reviewer) queued(ctx context.Context) error {
	base := r.Engine.Head()
	if r.Queue == nil || base == "" {
		return nil
	}
	all, err := r.Queue.Queued(ctx)
	if err != nil {
		return fmt.Errorf("look at the merge queue: %w", err)
	}
	is, left := map[string]bool{}, maxQueued
	var errs []error
	for _, q := range all {
		is[q.Head] = true
		if r.inQueue[q.Head] || left == 0 {
			continue
		}
		left--
		if err := r.contain("a plan of the merge queue", func() error { return r.planQueued(ctx, base, q) }); err != nil {
			errs = append(errs, fmt.Errorf("judge %s of the merge queue: %w", q.Head, err))
			continue
		}
		if r.inQueue == nil {
			r.inQueue = map[string]bool{}
		}
		r.inQueue[q.Head] = true
	}
	for head := range r.inQueue {
		if !is[head] {
			delete(r.inQueue, head)
		}
	}
	return errors.Join(errs...)
}

func (r *Reviewer) planQueued(ctx context.Context, base string, q forge.Queued) error {
	if err := r.Queue.BringQueued(ctx, q); err != nil {
		return err
	}
	m, err := r.Git.Merged(ctx, 0, base, q.Head)
	if err != nil {
		return err
	}
	c := report.PullPlan{Stage: report.StagePlanned, Head: q.Head, Base: base, Checked: true}
	if len(m.Conflicts) > 0 {
		c.Stage, c.Conflicts, c.Checked = report.StageConflict, m.Conflicts, false
	} else {
		j, err := r.Engine.Judge(ctx, reconcile.Proposal{Commit: q.Head, Base: base, Branch: r.Branch, At: m.At, Merged: m.Files})
		if err != nil {
			return err
		}
		c.Plan, c.Holds, c.Files = j.Preview, j.Waits, len(j.Clients)
	}
	return r.write(func(tx store.Tx) error {
		validate, plan := c.Validate(), c.Status()
		return errors.Join(
			r.report(tx, state.Report{Subject: "head/" + q.Head + "/" + contextValidate, State: validate.State, Text: validate.Text}),
			r.report(tx, state.Report{Subject: "head/" + q.Head + "/" + contextPlan, State: plan.State, Text: plan.Text}))
	})
}
