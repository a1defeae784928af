package github

import (
	"context"
	"fmt"
	"slices"
	"strings"

	gh "github.com/google/go-github/v60/github"

	"github.com/compassdigital/reconciler/internal/forge"
)

// suggestionFence opens what GitHub offers to commit.
const suggestionFence = "```suggestion"

// Suggestions returns our own suggestions on a pull request, the oldest first: comments of
// the diff, by us, that hold one.
func (a *API) Suggestions(ctx context.Context, pull int) ([]forge.Suggestion, error) {
	op := fmt.Sprintf("list the suggestions on pull request %d", pull)
	me, err := a.Me(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	out, err := list(func(page gh.ListOptions) ([]*gh.PullRequestComment, *gh.Response, error) {
		return a.client.PullRequests.ListComments(with(ctx, call{conditional: true}), a.owner, a.repo, pull, &gh.PullRequestListCommentsOptions{ListOptions: page})
	}, func(c *gh.PullRequestComment) (forge.Suggestion, int, error) {
		s, err := suggestionOf(c)
		if s.Pull = pull; c.GetUser().GetID() != me.ID || !strings.Contains(s.Body, suggestionFence) {
			s = forge.Suggestion{} // somebody else's
		}
		return s, len(s.Body), err
	})
	if err != nil {
		return nil, fail(ctx, op, err)
	}
	return slices.DeleteFunc(out, func(s forge.Suggestion) bool { return s.ID == 0 }), nil
}

// Suggest offers a repair on a line. ErrInvalid: the line is not in the diff.
func (a *API) Suggest(ctx context.Context, s forge.Suggestion) (forge.Suggestion, error) {
	op := fmt.Sprintf("suggest a repair on pull request %d", s.Pull)
	if !isCommit(s.Commit) {
		return forge.Suggestion{}, fail(ctx, op, notCommit())
	}
	if err := fits(s.Body); err != nil {
		return forge.Suggestion{}, fail(ctx, op, err)
	}
	side := "RIGHT" // the file as it would be
	c, _, err := a.client.PullRequests.CreateComment(with(ctx, call{of: telling}), a.owner, a.repo, s.Pull, &gh.PullRequestComment{
		Body: &s.Body, CommitID: &s.Commit, Path: &s.Path, Line: &s.Line, Side: &side,
	})
	if err != nil {
		return forge.Suggestion{}, fail(ctx, op, err)
	}
	made, err := suggestionOf(c)
	if err != nil {
		return forge.Suggestion{}, fail(ctx, op, err)
	}
	s.ID = made.ID
	return s, nil
}

// Unsuggest takes a suggestion back, if it is there.
func (a *API) Unsuggest(ctx context.Context, s forge.Suggestion) error {
	_, err := a.client.PullRequests.DeleteComment(with(ctx, call{of: telling}), a.owner, a.repo, s.ID)
	return absent(fail(ctx, "take a suggestion back", err))
}

func suggestionOf(c *gh.PullRequestComment) (forge.Suggestion, error) {
	s := forge.Suggestion{ID: c.GetID(), Commit: c.GetCommitID(), Path: text(c.GetPath()), Line: c.GetLine(), Body: text(c.GetBody())}
	if s.Line == 0 { // the line is gone from the diff
		s.Line = c.GetOriginalLine()
	}
	if s.ID <= 0 {
		return s, away("its answer can't be read")
	}
	return s, nil
}
