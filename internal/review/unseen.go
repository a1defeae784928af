package review

import (
	"cmp"
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

// Limits of asking which pull requests brought a head.
const (
	maxAskedHeads   = 20               // in one look
	maxAskedCommits = 200              // of one head, the newest; a look that asked for so many goes on with the next
	askAfter        = 20 * time.Second // a forge may not know at once what it merged
)

// unseen finds the merged pull requests of accepted heads that nobody saw open: opened, or opened
// again, and merged between two looks, or while we were away. Which commits a head brought Git says; the
// forge is asked once for those that no pull request on record explains. What was accepted
// before the first look is not asked for.
func (r *Reviewer) unseen(ctx context.Context) error {
	heads, known, err := r.notAsked()
	r.asking = err != nil || len(heads) > 0
	if err != nil || len(heads) == 0 {
		return err
	}
	asked := 0
	for _, v := range heads {
		if asked >= maxAskedCommits || r.Now().Sub(v.At).Abs() < askAfter {
			return nil
		}
		found, n, err := r.broughtUnseen(ctx, v, known)
		asked += n
		if err != nil {
			return err
		}
		err = r.write(func(tx store.Tx) error {
			for _, f := range found {
				was, _, err := store.Pull(tx, f.Number)
				if err != nil {
					return err
				}
				if another(was, f) {
					was = state.Pull{}
				}
				if was.Open || was.Merged {
					continue
				}
				p := r.seen(was, f)
				p.ClosedAt, p.Planned = r.Now(), "" // of one that was closed before, its plan was let go then
				if err := store.PutPull(tx, p); err != nil {
					return err
				}
				if was.Told { // that it was closed without a merge
					text := report.PullPlan{Stage: report.StageMerged, Head: p.Head, Merged: p.MergeCommit, Result: r.page(r.Pages.Commit, p.MergeCommit)}.Markdown()
					if err := r.report(tx, state.Report{Subject: fmt.Sprintf("pull/%d/%s", p.Number, report.KindPlan), State: string(forge.Success), Text: "merged", Detail: text}); err != nil {
						return err
					}
				}
			}
			if err := r.explain(tx, v); err != nil {
				return err
			}
			return store.PutHeadsAsked(tx, v.Seq)
		})
		if err != nil {
			return fmt.Errorf("note the pull requests of %s: %w", v.Commit, err)
		}
	}
	r.asking = len(heads) == maxAskedHeads
	return nil
}

// notAsked are the accepted heads that were not asked for, the oldest first, and the commits
// that pull requests on record explain.
func (r *Reviewer) notAsked() (heads []state.Verdict, known map[string]bool, err error) {
	first := false
	var newest uint64
	err = r.Store.View(func(tx store.Tx) error {
		after, asked, err := store.HeadsAsked(tx)
		if err != nil {
			return err
		}
		all, err := store.VerdictHeads(tx)
		if err != nil {
			return err
		}
		first, heads = !asked, nil
		for _, v := range all {
			newest = max(newest, v.Seq)
			if v.Seq > after {
				heads = append(heads, v)
			}
		}
		if first || len(heads) == 0 {
			return nil
		}
		pulls, err := r.pulls(tx)
		known = map[string]bool{}
		for _, p := range pulls {
			if p.Open || p.Merged { // one that was closed may have been opened again, and merged, since
				known[p.Head], known[p.MergeCommit] = true, true
			}
		}
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("read accepted heads: %w", err)
	}
	if first {
		return nil, nil, r.Store.Update(func(tx store.Tx) error { return store.PutHeadsAsked(tx, newest) })
	}
	slices.SortFunc(heads, func(a, b state.Verdict) int { return cmp.Compare(a.Seq, b.Seq) })
	return heads[:min(len(heads), maxAskedHeads)], known, nil
}

// broughtUnseen asks the forge which pull requests into the branch brought the commits of a
// head that none on record explains, and says how many it asked for.
func (r *Reviewer) broughtUnseen(ctx context.Context, v state.Verdict, known map[string]bool) (out []forge.Pull, asked int, err error) {
	for _, commit := range v.Commits[max(0, len(v.Commits)-maxAskedCommits):] {
		if known[commit] {
			continue
		}
		asked++
		all, err := r.Forge.PullsOf(ctx, commit)
		if errors.Is(err, forge.ErrNotFound) || errors.Is(err, forge.ErrInvalid) {
			continue // the forge has not this commit
		}
		if err != nil {
			return nil, asked, fmt.Errorf("find the pull requests of %s: %w", commit, err)
		}
		for _, f := range all {
			if f.Merged && f.BaseRef == r.Branch && !slices.ContainsFunc(out, func(g forge.Pull) bool { return g.Number == f.Number }) {
				out = append(out, f)
				known[f.Head], known[f.MergeCommit] = true, true
			}
		}
	}
	return out, asked, nil
}

// explain finds the pull requests on record whose merge a head is, where Git did not tell:
// those that were found now, and those that the forge called merged while the head was judged.
func (r *Reviewer) explain(tx store.Tx, v state.Verdict) error {
	pulls, err := store.Pulls(tx)
	if err != nil {
		return err
	}
	for _, p := range pulls {
		if p.MergeCommit == "" || p.MergeCommit != v.Commit && !slices.Contains(v.Commits, p.MergeCommit) || len(p.Accepted) > 0 {
			continue
		}
		if err := r.merged(tx, &p, p.MergeCommit); err != nil {
			return err
		}
		if err := store.PutPull(tx, p); err != nil {
			return err
		}
	}
	return nil
}
