package github

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	gh "github.com/google/go-github/v60/github"

	"github.com/compassdigital/reconciler/internal/forge"
)

// ErrChanged: the file of a proposal is not what the proposal was made of.
var ErrChanged = errors.New("the file has changed since")

// Bounds of what is proposed.
const maxProposed = 1 << 20 // bytes of a file; GitHub answers no content of larger ones

// What a branch and a path of ours look like: they are part of an address.
var (
	plainBranch = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*(/[a-z0-9][a-z0-9-]*)*$`)
	plainPath   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$`)
)

// Propose opens a pull request that changes one file, on a branch of its own, or finds the
// one that an earlier call opened: what an earlier one left half done is gone on with, so that
// a lost answer makes no second branch, commit or pull request. The branch is ours by its name,
// and must be the proposal's alone. ErrChanged: the file is not what the proposal was made of,
// neither on the base nor on the branch. ErrDenied: the credentials may not write contents.
func (a *API) Propose(ctx context.Context, x forge.Proposal) (forge.Pull, error) {
	op := "propose a change of " + x.Path
	if !plainBranch.MatchString(x.Branch) || !plainPath.MatchString(x.Path) || len(x.Text) > maxProposed || len(x.Branch)+len(x.Path) > 1000 {
		return forge.Pull{}, fail(ctx, op, &fault{kind: forge.ErrInvalid, words: "it can't be proposed by us"})
	}
	if err := fits(x.Body); err != nil {
		return forge.Pull{}, fail(ctx, op, err)
	}
	if p, ok, err := a.proposed(ctx, x); err != nil || ok {
		return p, fail(ctx, op, err)
	}
	if err := a.branchOff(ctx, x); err != nil {
		return forge.Pull{}, fail(ctx, op, err)
	}
	switch err := a.commitFile(ctx, x); {
	case errors.Is(err, ErrChanged):
		return forge.Pull{}, fmt.Errorf("%s: %w", op, err)
	case err != nil:
		return forge.Pull{}, fail(ctx, op, err)
	}
	made, _, err := a.client.PullRequests.Create(with(ctx, call{of: telling}), a.owner, a.repo, &gh.NewPullRequest{Title: &x.Title, Head: &x.Branch, Base: &x.Base, Body: &x.Body})
	if err != nil {
		if p, ok, again := a.proposed(ctx, x); again == nil && ok {
			return p, nil // somebody was faster
		}
		return forge.Pull{}, fail(ctx, op, err)
	}
	out, _, err := pullOf(made)
	return out, fail(ctx, op, err)
}

// proposed finds the open pull request of a proposal's branch.
func (a *API) proposed(ctx context.Context, x forge.Proposal) (forge.Pull, bool, error) {
	out, err := list(func(page gh.ListOptions) ([]*gh.PullRequest, *gh.Response, error) {
		return a.client.PullRequests.List(ctx, a.owner, a.repo, &gh.PullRequestListOptions{State: "open", Head: a.owner + ":" + x.Branch, Base: x.Base, ListOptions: page})
	}, pullOf)
	out = slices.DeleteFunc(out, func(p forge.Pull) bool { return p.Fork || !p.Open || p.HeadRef != x.Branch || p.BaseRef != x.Base })
	if err != nil || len(out) == 0 {
		return forge.Pull{}, false, err
	}
	return byNumber(out)[0], true, nil
}

// branchOff makes the branch at the base's tip, where it is not there.
func (a *API) branchOff(ctx context.Context, x forge.Proposal) error {
	_, _, err := a.client.Git.GetRef(ctx, a.owner, a.repo, "heads/"+x.Branch)
	if err == nil {
		return nil
	}
	if !errors.Is(err, forge.ErrNotFound) {
		return err
	}
	base, _, err := a.client.Git.GetRef(ctx, a.owner, a.repo, "heads/"+x.Base)
	if err != nil {
		return err
	}
	tip := base.GetObject().GetSHA()
	if !isCommit(tip) {
		return away("its answer can't be read")
	}
	name := "refs/heads/" + x.Branch
	_, _, err = a.client.Git.CreateRef(with(ctx, call{of: telling}), a.owner, a.repo, &gh.Reference{Ref: &name, Object: &gh.GitObject{SHA: &tip}})
	return err
}

// commitFile puts the file on the branch, where it is not there.
func (a *API) commitFile(ctx context.Context, x forge.Proposal) error {
	have, _, _, err := a.client.Repositories.GetContents(ctx, a.owner, a.repo, x.Path, &gh.RepositoryContentGetOptions{Ref: x.Branch})
	switch {
	case err != nil && !errors.Is(err, forge.ErrNotFound):
		return err
	case err != nil || have == nil:
		return ErrChanged // it is gone, or a folder
	}
	if data, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(*cmp.Or(have.Content, new(string)), "\n", "")); err == nil && string(data) == string(x.Text) {
		return nil
	}
	if have.GetSHA() != x.Was {
		return ErrChanged
	}
	_, _, err = a.client.Repositories.UpdateFile(with(ctx, call{of: telling}), a.owner, a.repo, x.Path, &gh.RepositoryContentFileOptions{
		Message: &x.Title, Content: x.Text, SHA: &x.Was, Branch: &x.Branch,
	})
	var f *fault
	if errors.As(err, &f) && f.code == http.StatusConflict {
		return ErrChanged
	}
	return err
}

// BranchOf is the name of a proposal's branch: it says what it is about, and its end differs
// where the change does.
func BranchOf(about, change string) string {
	about = strings.Trim(regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(about), "-"), "-")
	return fmt.Sprintf("reconciler/%s-%s", about, change)
}
