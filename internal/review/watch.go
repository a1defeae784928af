package review

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/compassdigital/reconciler/internal/forge"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// Limits of the watch over what hangs.
const (
	watchFor   = 72 * time.Hour // how old what is looked at may be
	maxWatched = 100            // commits in one run
)

// Watch looks whether statuses at the forge hang though what they are about has ended: of
// accepted heads, and of heads of open pull requests. What hangs, or is missing, is put into
// the outbox again. It is for what a forge lost, or a state that was put back; it costs a
// read a commit.
func (r *Reviewer) Watch(ctx context.Context) error {
	var heads []state.Verdict
	var pulls []state.Pull
	waiting := map[string]bool{}
	err := r.Store.View(func(tx store.Tx) (err error) {
		if heads, err = store.VerdictHeads(tx); err != nil {
			return err
		}
		all, err := store.Reports(tx)
		if err != nil {
			return err
		}
		for _, t := range all {
			waiting[t.Subject] = true
		}
		pulls, err = store.Pulls(tx)
		return err
	})
	if err != nil {
		return fmt.Errorf("read what may hang: %w", err)
	}
	sort.Slice(heads, func(i, j int) bool { return heads[i].Seq > heads[j].Seq })
	left := maxWatched
	for _, v := range heads {
		if v.State == "pending" || waiting["commit/"+v.Commit] || r.Now().Sub(v.Ended) > watchFor {
			continue
		}
		if left--; left < 0 {
			return nil
		}
		hangs, err := r.hangs(ctx, v.Commit, "apply")
		if err != nil {
			return err
		}
		if hangs {
			err = r.write(func(tx store.Tx) error {
				return r.report(tx, state.Report{Subject: "commit/" + v.Commit, State: v.State, Text: report.Status(v, nil)})
			})
			if err != nil {
				return err
			}
		}
	}
	for _, p := range pulls {
		subject := "head/" + p.Head + "/"
		if !p.Open || p.Planned != p.Head || waiting[subject+contextPlan] || waiting[subject+contextValidate] {
			continue
		}
		if left--; left < 0 {
			return nil
		}
		hangs, err := r.hangs(ctx, p.Head, contextValidate, contextPlan)
		if err != nil {
			return err
		}
		if hangs {
			if err := r.again(p.Number); err != nil {
				return err
			}
		}
	}
	return nil
}

// hangs says that one of the contexts has no status on the commit, or one that is pending.
func (r *Reviewer) hangs(ctx context.Context, commit string, contexts ...string) (bool, error) {
	all, err := r.Forge.Statuses(ctx, commit)
	if errors.Is(err, forge.ErrNotFound) {
		return false, nil // nobody can be told there
	}
	if err != nil {
		return false, fmt.Errorf("look at the statuses of %s: %w", commit, err)
	}
	ended := map[string]bool{}
	for _, s := range all {
		ended[s.Context] = s.State != forge.Pending
	}
	for _, c := range contexts {
		if !ended["reconciler/"+c] {
			return true, nil
		}
	}
	return false, nil
}

// again has a pull request planned and told once more.
func (r *Reviewer) again(number int) error {
	defer r.Hint()
	return r.Store.Update(func(tx store.Tx) error {
		p, ok, err := store.Pull(tx, number)
		if err != nil || !ok {
			return err
		}
		p.Wanted, p.Said = true, ""
		return store.PutPull(tx, p)
	})
}
