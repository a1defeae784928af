package review

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/compassdigital/reconciler/internal/forge"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// Sync looks at the forge once: which pull requests are there, what their comments command,
// and plans what is due. It returns when it wants to look again by itself; zero: it doesn't.
// What of it can't be done is an error, and the rest goes on.
func (r *Reviewer) Sync(ctx context.Context) (next time.Time, err error) {
	r.looking.Lock()
	defer r.looking.Unlock()
	said, listed := r.listen(ctx) // first: one on a pull request that the list after it lacks is on none that counts
	if said.deaf {                // nor does a pull request count before we listen: what is said on it would pass unheard
		return next, listed
	}
	listing, err := r.see(ctx)
	errs := []error{err, r.unseen(ctx), listed}
	if listing {
		errs = append(errs, r.commands(ctx, said))
	}
	for _, n := range r.askedAgain() {
		if n == 0 {
			errs = append(errs, r.unnamed())
		} else {
			errs = append(errs, r.again(n))
		}
	}
	errs = append(errs, r.besideMany(ctx), r.queued(ctx))
	there := errs[0] == nil
	if there && !r.there {
		r.set.allowed()
		r.Engine.Retell() // nobody waits longer than the outage
	}
	r.there = there
	if ctx.Err() != nil {
		return next, context.Cause(ctx)
	}
	next, err = r.planDue(ctx)
	return next, errors.Join(append(errs, err)...)
}

// see takes over what the forge says of pull requests; listed says that those which are open are on record.
func (r *Reviewer) see(ctx context.Context) (listed bool, err error) {
	open, err := r.Forge.Open(ctx, r.Branch)
	if err != nil {
		return false, fmt.Errorf("list pull requests: %w", err)
	}
	var known []state.Pull
	if err := r.Store.View(func(tx store.Tx) (err error) { known, err = r.pulls(tx); return err }); err != nil {
		return false, fmt.Errorf("read pull requests: %w", err)
	}
	had := map[int]state.Pull{}
	for _, p := range known {
		had[p.Number] = p
	}
	is := map[int]bool{}
	var changed []state.Pull
	for _, f := range open {
		is[f.Number] = true
		p, ok := had[f.Number]
		if another(p, f) {
			p, ok = state.Pull{}, false
		}
		if now := r.seen(p, f); !ok || !same(p, now) {
			changed = append(changed, now)
		}
	}
	var errs []error
	for _, p := range known {
		if !p.Open || is[p.Number] {
			continue
		}
		f, err := r.Forge.Pull(ctx, p.Number)
		if err != nil && !errors.Is(err, forge.ErrNotFound) {
			errs = append(errs, fmt.Errorf("look at pull request %d: %w", p.Number, err))
			continue
		}
		if err != nil {
			f = forge.Pull{Number: p.Number, Title: p.Title, Author: p.Author, Head: p.Head, URL: p.URL, Fork: p.Fork}
		}
		if another(p, f) { // nobody is told there
			p.Open, p.Told, p.Wanted, p.ClosedAt = false, false, false, r.Now()
			changed = append(changed, p)
			continue
		}
		if f.BaseRef != "" && f.BaseRef != r.Branch { // it asks for another branch now
			f.Open, f.Merged, f.MergeCommit = false, false, ""
		}
		now := r.seen(p, f)
		if !f.Open {
			now.ClosedAt, now.Wanted = r.Now(), true // what was said of it is over
		}
		changed = append(changed, now)
	}
	err = r.keep(changed, known)
	return err == nil, errors.Join(append(errs, err)...)
}

// another says that a record of the number is of another repository's pull request: the configuration names
// another one since. One whose repository was renamed has another address, and its head.
func another(p state.Pull, f forge.Pull) bool { return other(p, f.URL, f.Head) }

func other(p state.Pull, url, head string) bool {
	return p.URL != "" && url != "" && p.URL != url && p.Head != head
}

// same says that nothing of a pull request changed that is kept of it.
func same(a, b state.Pull) bool {
	return a.Title == b.Title && a.Author == b.Author && a.URL == b.URL && a.Fork == b.Fork && a.Open == b.Open && a.Merged == b.Merged &&
		a.MergeCommit == b.MergeCommit && a.Head == b.Head
}

// seen is a record with what the forge says of it now.
func (r *Reviewer) seen(p state.Pull, f forge.Pull) state.Pull {
	failed := p.Failures > 0
	if p.Head != f.Head {
		p.Head, p.HeadAt, p.RetryAt, p.Failures = f.Head, r.Now(), time.Time{}, 0
	}
	if f.Open && !p.Open {
		p.Wanted, p.ClosedAt = true, time.Time{} // new, or opened again
	}
	if f.Open && failed && p.Head == p.Planned {
		p.Wanted = true // what was said last is about a head that is gone
	}
	p.Number, p.Title, p.Author, p.URL, p.Branch, p.Fork = f.Number, f.Title, f.Author, f.URL, f.HeadRef, f.Fork
	p.Open, p.Merged, p.MergeCommit, p.UpdatedAt = f.Open, f.Merged, f.MergeCommit, f.UpdatedAt
	return p
}

// keep writes records, and forgets those that ended long ago. What another writer noted
// meanwhile stays.
func (r *Reviewer) keep(changed, known []state.Pull) error {
	var old []int
	for _, p := range known {
		if p.Open || p.ClosedAt.IsZero() {
			continue
		}
		age := r.Now().Sub(p.ClosedAt)
		if age > keepPulls && !p.Wanted { // else its end is still to be told
			old = append(old, p.Number)
		} else if age > keepFiles && len(p.Files)+len(p.Shown) > 0 && (!p.Merged || len(p.Accepted) > 0) { // else the head that brings it is still to come
			p.Files, p.Shown, p.Sources = nil, nil, nil
			changed = append(changed, p)
		}
	}
	if len(changed)+len(old) == 0 {
		return nil
	}
	latest := slices.Clone(known)
	for _, p := range changed {
		if i := slices.IndexFunc(latest, func(q state.Pull) bool { return q.Number == p.Number }); i >= 0 {
			latest[i] = p
		} else {
			latest = append(latest, p)
		}
	}
	return r.write(func(tx store.Tx) error {
		for _, n := range old {
			if err := store.DeletePull(tx, n); err != nil {
				return err
			}
		}
		for _, p := range changed {
			now, ok, err := store.Pull(tx, p.Number)
			if err != nil {
				return err
			}
			if ok = ok && !other(now, p.URL, p.Head); !ok {
				now = state.Pull{}
			}
			if ok && now.Head != p.Head && now.Head != now.Planned && !headed(now, latest, false) {
				if err := r.overtaken(tx, now, p.Head); err != nil {
					return err
				}
			}
			if ok {
				p.Accepted, p.HeldBy, p.Comment, p.Result, p.ResultSaid = now.Accepted, now.HeldBy, now.Comment, now.Result, now.ResultSaid
			}
			if err := r.merged(tx, &p, now.MergeCommit); err != nil {
				return err
			}
			waits := p.Open && p.Head != p.Planned && (!ok || now.Head != p.Head) && !headed(p, latest, true)
			if waits {
				p.Said = "" // it ends, whatever was said before
			}
			if err := store.PutPull(tx, p); err != nil {
				return err
			}
			if waits {
				for _, context := range []string{contextValidate, contextPlan} {
					if err := r.report(tx, state.Report{Subject: "head/" + p.Head + "/" + context, State: string(forge.Pending), Text: waitText(context), URL: r.pullURL(p)}); err != nil {
						return err
					}
				}
			}
		}
		return nil
	})
}

// headed says that another pull request that is open has the head of this one, too, and if
// asked that it was planned: the statuses of the commit are its matter.
func headed(p state.Pull, all []state.Pull, planned bool) bool {
	return slices.ContainsFunc(all, func(q state.Pull) bool {
		return q.Number != p.Number && q.Open && q.Head == p.Head && (!planned || q.Planned == q.Head)
	})
}

// overtaken ends the statuses of a head that nobody came to plan before the next was pushed.
func (r *Reviewer) overtaken(tx store.Tx, p state.Pull, by string) error {
	for _, context := range []string{contextValidate, contextPlan} {
		err := r.report(tx, state.Report{Subject: "head/" + p.Head + "/" + context, State: string(forge.Error), Text: "overtaken by " + by[:min(7, len(by))] + " before it was planned", URL: r.pullURL(p)})
		if err != nil {
			return err
		}
	}
	return nil
}

// merged ties a pull request that the forge says was merged to its verdict, where Git alone
// did not tell: a squash of what nobody had planned yet. A verdict that was told before the
// merge commit was known is told once more, as that commit has none.
func (r *Reviewer) merged(tx store.Tx, p *state.Pull, was string) error {
	if !p.Merged || p.MergeCommit == "" || len(p.Accepted) > 0 && was == p.MergeCommit {
		return nil
	}
	heads, err := store.VerdictHeads(tx)
	if err != nil {
		return err
	}
	var newest uint64 // of those that brought it
	for _, v := range heads {
		if slices.Contains(p.Accepted, v.Commit) {
			newest = max(newest, v.Seq)
		}
	}
	for _, v := range heads {
		if v.Commit != p.MergeCommit && !slices.Contains(v.Commits, p.MergeCommit) {
			continue
		}
		switch {
		case v.Seq > newest: // none did, or an earlier one had as much as it had then
			p.Accepted = append(slices.Clone(p.Accepted), v.Commit)
		case v.Commit == p.MergeCommit || !slices.Contains(p.Accepted, v.Commit):
			return nil
		}
		return r.report(tx, state.Report{Subject: "commit/" + v.Commit, State: v.State, Text: report.Status(v, nil)})
	}
	return nil
}

// report puts one thing to be told into the outbox.
func (r *Reviewer) report(tx store.Tx, t state.Report) error {
	t.At = r.Now()
	_, err := store.AddReport(tx, t)
	return err
}
