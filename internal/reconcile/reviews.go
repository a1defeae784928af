package reconcile

import (
	"slices"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// reviews are the pull requests that a range of commits brought, by what Git says: the
// head of one is among the commits, or the branch now has what one would have made of it
// (a squash, a rebase, a push of the same). Nobody is asked: a forge that is away keeps no
// merge, and what a commit's message claims proves nothing.
func reviews(tx store.Tx, rg Range) ([]state.Pull, error) {
	all, err := store.Pulls(tx)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	commits := make(map[string]bool, len(rg.Commits))
	for _, c := range rg.Commits {
		commits[c.ID] = true
	}
	now := make(map[string]string, len(rg.Changes))
	for _, c := range rg.Changes {
		now[c.Path] = c.New
	}
	var out []state.Pull
	for _, p := range all {
		if !p.Open && !p.Merged {
			continue
		}
		if commits[p.Head] || p.MergeCommit != "" && commits[p.MergeCommit] || brought(p, now) {
			out = append(out, p)
		}
	}
	return out, nil
}

// brought says that a range made of every file of a pull request what its plan was made of.
func brought(p state.Pull, now map[string]string) bool {
	for path, blob := range p.Files {
		if got, changed := now[path]; !changed || got != blob {
			return false
		}
	}
	return len(p.Files) > 0
}

// reviewed tells accept what was shown. A removal counts as shown only by a plan of the
// very content that was merged.
func reviewed(in *accept.Input, pulls []state.Pull, now map[string]string) {
	commits := make(map[string]bool, len(in.Commits))
	for _, c := range in.Commits {
		commits[c.ID] = true
	}
	seen := map[string]bool{}
	for _, p := range pulls {
		merged := commits[p.Head] || p.MergeCommit != "" && commits[p.MergeCommit]
		r := accept.Review{Pull: p.Number, Shown: p.Shown, Whole: !p.Static && p.Planned != "" && (brought(p, now) || p.Planned == p.Head && merged)}
		for path := range p.Files {
			r.Paths = append(r.Paths, path)
			seen[path] = seen[path] || r.Whole
		}
		slices.Sort(r.Paths)
		in.Reviews = append(in.Reviews, r)
	}
	for i, c := range in.Commits {
		in.Commits[i].Reviewed = c.Paths != nil && !slices.ContainsFunc(c.Paths, func(path string) bool { return !seen[path] })
	}
}

// acceptedBy notes which head brought the pull requests, with the head itself: who is to be
// told of it needs no forge that answers.
func acceptedBy(tx store.Tx, head string, brought []accept.Review) error {
	for _, r := range brought {
		p, ok, err := store.Pull(tx, r.Pull)
		if err != nil {
			return err
		}
		if !ok || slices.Contains(p.Accepted, head) {
			continue
		}
		p.Accepted = append(p.Accepted, head)
		if err := store.PutPull(tx, p); err != nil {
			return err
		}
	}
	return nil
}
