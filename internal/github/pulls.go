package github

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	gh "github.com/google/go-github/v60/github"

	"github.com/compassdigital/reconciler/internal/forge"
)

// Open returns the open pull requests into the branch, by number. While a list of several
// pages is read, one that closes can hide another: whoever misses a pull request that was
// open asks for it by its number before believing that it is gone.
func (a *API) Open(ctx context.Context, branch string) ([]forge.Pull, error) {
	op := "list open pull requests"
	out, err := list(func(page gh.ListOptions) ([]*gh.PullRequest, *gh.Response, error) {
		return a.client.PullRequests.List(with(ctx, call{conditional: true}), a.owner, a.repo, &gh.PullRequestListOptions{
			State: "open", Base: branch, Sort: "created", Direction: "asc", ListOptions: page,
		})
	}, pullOf)
	if err != nil {
		return nil, fail(ctx, op, err)
	}
	out = slices.DeleteFunc(out, func(p forge.Pull) bool { return p.BaseRef != branch || !p.Open })
	return byNumber(out), nil
}

// Pull returns one, open or not.
func (a *API) Pull(ctx context.Context, number int) (forge.Pull, error) {
	op := fmt.Sprintf("read pull request %d", number)
	p, _, err := a.client.PullRequests.Get(ctx, a.owner, a.repo, number)
	if err != nil {
		return forge.Pull{}, fail(ctx, op, err)
	}
	out, _, err := pullOf(p)
	if err == nil && out.Number != number {
		err = away("its answer is about another one")
	}
	if err != nil {
		return forge.Pull{}, fail(ctx, op, err)
	}
	return out, nil
}

// PullsOf returns the merged pull requests that brought a commit to a branch: BaseRef says
// to which.
func (a *API) PullsOf(ctx context.Context, commit string) ([]forge.Pull, error) {
	op := "find the pull requests of a commit"
	if !isCommit(commit) {
		return nil, fail(ctx, op, notCommit())
	}
	out, err := list(func(page gh.ListOptions) ([]*gh.PullRequest, *gh.Response, error) {
		return a.client.PullRequests.ListPullRequestsWithCommit(ctx, a.owner, a.repo, commit, &page)
	}, pullOf)
	if err != nil {
		return nil, fail(ctx, op, err)
	}
	return byNumber(slices.DeleteFunc(out, func(p forge.Pull) bool { return !p.Merged })), nil
}

func notCommit() *fault {
	return &fault{kind: forge.ErrInvalid, words: "that is no commit's whole name"}
}

// byNumber sorts, and drops what two pages both held.
func byNumber(pulls []forge.Pull) []forge.Pull {
	slices.SortStableFunc(pulls, func(p, q forge.Pull) int { return p.Number - q.Number })
	return slices.CompactFunc(pulls, func(p, q forge.Pull) bool { return p.Number == q.Number })
}

func pullOf(p *gh.PullRequest) (forge.Pull, int, error) {
	head, base := p.GetHead(), p.GetBase()
	out := forge.Pull{
		Number: p.GetNumber(),
		Title:  text(p.GetTitle()),
		Author: text(p.GetUser().GetLogin()),
		Head:   head.GetSHA(), HeadRef: text(head.GetRef()), BaseRef: text(base.GetRef()),
		// The repository of a fork may be gone.
		Fork:      head.GetRepo().GetID() == 0 || head.GetRepo().GetID() != base.GetRepo().GetID(),
		Draft:     p.GetDraft(),
		Locked:    p.GetLocked(),
		Open:      p.GetState() == "open",
		Merged:    p.GetMerged() || !p.GetMergedAt().IsZero(), // lists hold the time only
		UpdatedAt: p.GetUpdatedAt().Time,
		URL:       link(p.GetHTMLURL()),
	}
	if out.Merged { // of an open one it is a merge that was tried
		out.MergeCommit = p.GetMergeCommitSHA()
	}
	if out.Number <= 0 || !isCommit(out.Head) || out.MergeCommit != "" && !isCommit(out.MergeCommit) {
		return forge.Pull{}, 0, away("its answer can't be read")
	}
	return out, len(out.Title), nil
}

// text bounds somebody's text.
func text(s string) string {
	if len(s) <= forge.MaxText {
		return s
	}
	cut := forge.MaxText
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut]
}

// link is an address that people may follow, "" if it is none.
func link(s string) string {
	u, err := url.Parse(s)
	if err != nil || len(s) > 2048 || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	return s
}

// short cuts a description to what GitHub takes.
func short(s string) string { return cut(s, forge.MaxDescription) }

// cut shortens a text to a number of characters.
func cut(s string, most int) string {
	s = strings.ToValidUTF8(s, "?")
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}

// some is nil for "": a field that is not sent.
func some(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
