package review

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/forge"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// Limits of the watch over what hangs.
const (
	watchFor   = 72 * time.Hour // how old what is looked at may be
	maxWatched = 100            // heads of the branch in one run, and as many of pull requests
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
		pulls, err = r.pulls(tx)
		return err
	})
	if err != nil {
		return fmt.Errorf("read what may hang: %w", err)
	}
	sort.Slice(heads, func(i, j int) bool { return heads[i].Seq > heads[j].Seq })
	var errs []error
	left := maxWatched
	for _, v := range heads {
		if v.State == "pending" || waiting["commit/"+v.Commit] || r.Now().Sub(v.Ended) > watchFor {
			continue
		}
		if left--; left < 0 {
			break
		}
		if err := r.watchHead(ctx, v, waiting); err != nil {
			errs = append(errs, err)
		}
	}
	left = maxWatched
	for _, p := range pulls {
		subject := "head/" + p.Head + "/"
		if !p.Open || p.Planned != p.Head || waiting[subject+contextPlan] || waiting[subject+contextValidate] {
			continue
		}
		if left--; left < 0 {
			break
		}
		hangs, _, err := r.hangs(ctx, p.Head, contextValidate, contextPlan)
		if hangs {
			r.Again(p.Number) // the next look writes it: this is not the only writer
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// watchHead looks at an accepted head that has ended, and at its clients' contexts.
func (r *Reviewer) watchHead(ctx context.Context, v state.Verdict, waiting map[string]bool) error {
	hangs, clients, err := r.hangs(ctx, v.Commit, "apply")
	if err != nil {
		return err
	}
	clients = slices.DeleteFunc(clients, func(name string) bool { return waiting["commit/"+v.Commit+"/client/"+name] })
	if !hangs && len(clients) == 0 {
		return nil
	}
	return r.write(func(tx store.Tx) error {
		for _, name := range clients {
			// Its words are those of now when it is told.
			if err := r.report(tx, state.Report{Subject: "commit/" + v.Commit + "/client/" + name, State: v.State, Text: report.Status(v, nil)}); err != nil {
				return err
			}
		}
		if !hangs {
			return nil
		}
		return r.report(tx, state.Report{Subject: "commit/" + v.Commit, State: v.State, Text: report.Status(v, nil)})
	})
}

// hangs says that one of the contexts has no status on the commit, or one that is pending,
// and names the clients whose is pending there.
func (r *Reviewer) hangs(ctx context.Context, commit string, contexts ...string) (hangs bool, clients []string, err error) {
	all, err := r.Forge.Statuses(ctx, commit)
	if errors.Is(err, forge.ErrNotFound) || errors.Is(err, forge.ErrInvalid) {
		return false, nil, nil // nobody can be told there
	}
	if err != nil {
		return false, nil, fmt.Errorf("look at the statuses of %s: %w", commit, err)
	}
	ended := map[string]bool{}
	for _, s := range all {
		ended[s.Context] = s.State != forge.Pending
		if name, is := strings.CutPrefix(s.Context, "reconciler/client/"); is && s.State == forge.Pending {
			clients = append(clients, name)
		}
	}
	for _, c := range contexts {
		hangs = hangs || !ended["reconciler/"+c]
	}
	return hangs, clients, nil
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
