package github

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	gh "github.com/google/go-github/v60/github"

	"github.com/compassdigital/reconciler/internal/forge"
)

// maxSince is how many comments one CommentsSince returns at least before it stops.
const maxSince = 1_000

// Comments returns a pull request's comments, the oldest first.
func (a *API) Comments(ctx context.Context, pull int) ([]forge.Comment, error) {
	out, err := list(func(page gh.ListOptions) ([]*gh.IssueComment, *gh.Response, error) {
		return a.client.Issues.ListComments(with(ctx, call{conditional: true}), a.owner, a.repo, pull, &gh.IssueListCommentsOptions{ListOptions: page})
	}, commentOf)
	if err != nil {
		return nil, fail(ctx, fmt.Sprintf("list the comments on pull request %d", pull), err)
	}
	slices.SortStableFunc(out, func(c, d forge.Comment) int { return c.CreatedAt.Compare(d.CreatedAt) })
	return out, nil
}

// CommentsSince returns comments changed at or after a time, in the order of their change.
// It does not turn pages, on which a comment that is changed meanwhile would hide another:
// it asks again from the last one's time. Of very many it returns the first thousand or so:
// whoever goes on from the last one's time misses none.
func (a *API) CommentsSince(ctx context.Context, since time.Time) ([]forge.Comment, error) {
	op := "list the comments since a time"
	var out []forge.Comment
	seen := map[int64]time.Time{}
	from, page, size, bytes := since, 1, perPage, 0
	for {
		got, r, err := a.changed(ctx, from, gh.ListOptions{Page: page, PerPage: size})
		var f *fault
		if errors.As(err, &f) && f.tooLarge && size > perPage/20 {
			page, size = 1, max(size/4, perPage/20) // what was read is known by seen
			continue
		}
		if err == nil && got == nil {
			err = noList()
		}
		if err != nil {
			return nil, fail(ctx, op, err)
		}
		last := from
		for _, g := range got {
			c, n, err := commentOf(g)
			if err != nil {
				return nil, fail(ctx, op, err)
			}
			last = c.UpdatedAt
			if at, ok := seen[c.ID]; !ok || !at.Equal(c.UpdatedAt) {
				seen[c.ID] = c.UpdatedAt
				out, bytes = append(out, c), bytes+n
			}
		}
		switch {
		case r.NextPage == 0 || len(out) >= maxSince || bytes > maxBytes:
			return newest(out), nil
		case last.After(from):
			from, page = last, 1
		case page >= maxItems/size:
			return nil, fail(ctx, op, &fault{kind: forge.ErrInvalid, words: "more comments changed in one second than are read"})
		default:
			page++ // a whole page of one second
		}
	}
}

// newest keeps of a comment that was changed between two questions what it is now.
func newest(all []forge.Comment) []forge.Comment {
	at := map[int64]int{}
	for i, c := range all {
		at[c.ID] = i
	}
	var out []forge.Comment
	for i, c := range all {
		if at[c.ID] == i {
			out = append(out, c)
		}
	}
	slices.SortStableFunc(out, func(c, d forge.Comment) int { return c.UpdatedAt.Compare(d.UpdatedAt) })
	return out
}

func (a *API) changed(ctx context.Context, since time.Time, page gh.ListOptions) ([]*gh.IssueComment, *gh.Response, error) {
	sort, direction := "updated", "asc"
	since = since.UTC().Truncate(time.Second) // GitHub's times have whole seconds
	o := &gh.IssueListCommentsOptions{Sort: &sort, Direction: &direction, ListOptions: page}
	if since.Unix() > 0 {
		o.Since = &since
	}
	return a.client.Issues.ListComments(with(ctx, call{conditional: true}), a.owner, a.repo, 0, o)
}

// CreateComment writes a comment on a pull request.
func (a *API) CreateComment(ctx context.Context, pull int, body string) (forge.Comment, error) {
	op := fmt.Sprintf("comment on pull request %d", pull)
	if err := fits(body); err != nil {
		return forge.Comment{}, fail(ctx, op, err)
	}
	c, _, err := a.client.Issues.CreateComment(with(ctx, call{of: telling}), a.owner, a.repo, pull, &gh.IssueComment{Body: &body})
	if err != nil {
		return forge.Comment{}, fail(ctx, op, err)
	}
	out, _, err := commentOf(c)
	if err != nil {
		return forge.Comment{}, fail(ctx, op, err)
	}
	out.Pull = pull
	return out, nil
}

// EditComment replaces a comment's body. ErrNotFound: somebody deleted it.
func (a *API) EditComment(ctx context.Context, id int64, body string) error {
	const op = "edit a comment"
	if err := fits(body); err != nil {
		return fail(ctx, op, err)
	}
	_, _, err := a.client.Issues.EditComment(with(ctx, call{of: telling}), a.owner, a.repo, id, &gh.IssueComment{Body: &body})
	return fail(ctx, op, err)
}

// DeleteComment deletes a comment, if it is there.
func (a *API) DeleteComment(ctx context.Context, id int64) error {
	_, err := a.client.Issues.DeleteComment(with(ctx, call{of: telling}), a.owner, a.repo, id)
	return absent(fail(ctx, "delete a comment", err))
}

// absent makes nothing of what is gone already.
func absent(err error) error {
	if errors.Is(err, forge.ErrNotFound) {
		return nil
	}
	return err
}

// React adds a reaction; one that is there stays.
func (a *API) React(ctx context.Context, comment int64, content string) error {
	_, _, err := a.client.Reactions.CreateIssueCommentReaction(with(ctx, call{of: progress}), a.owner, a.repo, comment, content)
	return fail(ctx, "react to a comment", err)
}

// fits says whether GitHub takes a body.
func fits(body string) error {
	if body == "" || utf8.RuneCountInString(body) > forge.MaxBody {
		return &fault{kind: forge.ErrInvalid, words: fmt.Sprintf("a comment has 1 to %d characters", forge.MaxBody)}
	}
	return nil
}

func commentOf(c *gh.IssueComment) (forge.Comment, int, error) {
	out := forge.Comment{
		ID:        c.GetID(),
		Pull:      lastNumber(c.GetIssueURL()),
		Author:    text(c.GetUser().GetLogin()),
		AuthorID:  c.GetUser().GetID(),
		Body:      text(c.GetBody()),
		CreatedAt: c.GetCreatedAt().Time,
		UpdatedAt: c.GetUpdatedAt().Time,
		URL:       link(c.GetHTMLURL()),
	}
	if out.ID <= 0 || out.UpdatedAt.IsZero() {
		return forge.Comment{}, 0, away("its answer can't be read")
	}
	return out, len(out.Body), nil
}

// lastNumber is the number that an address ends with, 0 if there is none.
func lastNumber(s string) int {
	n, err := strconv.ParseUint(s[strings.LastIndexByte(s, '/')+1:], 10, 31)
	if err != nil {
		return 0
	}
	return int(n)
}
