package github

import (
	"context"
	"strings"

	gh "github.com/google/go-github/v60/github"

	"github.com/compassdigital/reconciler/internal/forge"
)

// queueBranches is what the names of a merge queue's branches begin with, before the branch that it merges into
// (docs.github.com, "Managing a merge queue").
const queueBranches = "gh-readonly-queue/"

// Queued returns the commits of the branch's merge queue that wait for their statuses, by their branches' names.
func (a *API) Queued(ctx context.Context, branch string) ([]forge.Queued, error) {
	prefix := "refs/heads/" + queueBranches + branch + "/"
	out, err := list(func(gh.ListOptions) ([]*gh.Reference, *gh.Response, error) { // it comes in one page
		return a.client.Git.ListMatchingRefs(with(ctx, call{conditional: true}), a.owner, a.repo, &gh.ReferenceListOptions{Ref: prefix})
	}, func(r *gh.Reference) (forge.Queued, int, error) {
		name, is := strings.CutPrefix(r.GetRef(), prefix)
		if !is || !branchName(queueBranches+branch+"/"+name) || !isCommit(r.GetObject().GetSHA()) {
			return forge.Queued{}, 0, away("its answer can't be read")
		}
		return forge.Queued{Branch: queueBranches + branch + "/" + name, Head: r.GetObject().GetSHA()}, len(name), nil
	})
	return out, fail(ctx, "look at the merge queue", err)
}
