package github

import (
	"context"
	"slices"
	"strings"

	gh "github.com/google/go-github/v60/github"

	"github.com/compassdigital/reconciler/internal/forge"
)

// Statuses returns the newest status of each context of a commit: the combined view, which
// GitHub makes of all that were ever set.
func (a *API) Statuses(ctx context.Context, commit string) ([]forge.Status, error) {
	const op = "read the statuses of a commit"
	if !isCommit(commit) {
		return nil, fail(ctx, op, notCommit())
	}
	out, err := list(func(page gh.ListOptions) ([]*gh.RepoStatus, *gh.Response, error) {
		all, r, err := a.client.Repositories.GetCombinedStatus(with(ctx, call{conditional: true}), a.owner, a.repo, commit, &page)
		if err != nil {
			return nil, r, err
		}
		return all.Statuses, r, nil
	}, func(s *gh.RepoStatus) (forge.Status, int, error) {
		return forge.Status{
			Context: text(s.GetContext()), State: forge.State(text(s.GetState())),
			Description: text(s.GetDescription()), URL: link(s.GetTargetURL()),
		}, len(s.GetContext()), nil
	})
	if err != nil {
		return nil, fail(ctx, op, err)
	}
	slices.SortStableFunc(out, func(s, t forge.Status) int { return strings.Compare(s.Context, t.Context) })
	return out, nil
}

// SetStatus adds a status to a commit. There is no key to do so only once: GitHub shows
// the newest of a context, and takes a thousand of it.
func (a *API) SetStatus(ctx context.Context, commit string, s forge.Status) error {
	op := "set a commit status"
	if !isCommit(commit) {
		return fail(ctx, op, notCommit())
	}
	of := final
	switch s.State {
	case forge.Pending:
		of = progress
	case forge.Success, forge.Failure, forge.Error:
	default:
		return fail(ctx, op, &fault{kind: forge.ErrInvalid, words: "there is no such state"})
	}
	if s.Context == "" || len(s.Context) > 255 {
		return fail(ctx, op, &fault{kind: forge.ErrInvalid, words: "a status has a context of 255 characters at most"})
	}
	state := string(s.State)
	_, _, err := a.client.Repositories.CreateStatus(with(ctx, call{of: of}), a.owner, a.repo, commit, &gh.RepoStatus{
		State: &state, Context: &s.Context, Description: some(short(s.Description)), TargetURL: some(s.URL),
	})
	return fail(ctx, op, err)
}
