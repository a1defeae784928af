package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/compassdigital/reconciler/internal/forge"
	"github.com/compassdigital/reconciler/internal/github"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/report"
)

// proposed is a change of a manifest, and the pull request that asks for it.
type proposed struct {
	reconcile.Adoption
	PullRequest int    `json:"pullRequest,omitempty"`
	URL         string `json:"url,omitempty"`
}

// proposeDrift opens a pull request with the change that `drift --adopt` prints. Where
// nothing can be taken over, none is opened. The same change has the same branch, so that
// asking again finds what was opened.
func (p *program) proposeDrift(ctx context.Context, name string) (any, error) {
	if p.github == nil {
		return nil, fmt.Errorf("%w: pull requests need github in the configuration; `reconciler drift %s --adopt | git apply` makes the change here", reconcile.ErrRefused, name)
	}
	a, err := p.engine.AdoptDrift(ctx, name)
	out := proposed{Adoption: a}
	if err != nil || a.Patch == "" {
		return out, err
	}
	var left [][2]string
	for _, l := range a.Left {
		left = append(left, [2]string{l.Text, l.Why})
	}
	title, body := report.AdoptsDrift(a.Client, a.Taken, left)
	sum := sha256.Sum256([]byte(a.Path + "\x00" + a.Was + "\x00" + string(a.Text)))
	pull, err := p.github.Propose(ctx, forge.Proposal{Base: p.config.Repository.Branch, Branch: github.BranchOf("adopt "+a.Client, hex.EncodeToString(sum[:4])), Path: a.Path, Was: a.Was, Text: a.Text, Title: title, Body: body})
	switch {
	case errors.Is(err, github.ErrChanged):
		return out, fmt.Errorf("%w: %s is another file at GitHub than the one that was looked at; ask again when it is accepted", reconcile.ErrRefused, a.Path)
	case errors.Is(err, forge.ErrDenied):
		return out, fmt.Errorf("%w: the credentials at GitHub may not write contents; give them \"Contents: write\", or take the patch: `reconciler drift %s --adopt`", reconcile.ErrRefused, name)
	case err != nil:
		return out, err
	}
	out.PullRequest, out.URL = pull.Number, pull.URL
	return out, nil
}
