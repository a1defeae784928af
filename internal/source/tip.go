package source

import (
	"context"
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"
)

// Tip asks a repository for a branch's tip, as Poll does, without a mirror: it reads the
// credentials and changes nothing, on disk or there. o.Dir and o.Path count for nothing.
func Tip(ctx context.Context, o Options) (string, error) {
	branch := plumbing.NewBranchReferenceName(o.Branch)
	if err := branch.Validate(); err != nil || o.Branch == "" {
		return "", fmt.Errorf("look at a branch: %.100q is not a branch's name", o.Branch)
	}
	address, err := parse(o.URL)
	if err != nil {
		return "", fmt.Errorf("look at branch %s: repository URL: %w", o.Branch, err)
	}
	rem, err := newRemote(address, o)
	if err != nil {
		return "", fmt.Errorf("look at branch %s: %w", o.Branch, err)
	}
	defer rem.close()
	ctx, cancel := context.WithTimeoutCause(ctx, pollTime, errSlow)
	defer cancel()
	h, err := rem.tip(ctx, branch)
	if err != nil {
		return "", fmt.Errorf("look at branch %s: %w", o.Branch, err)
	}
	return h.String(), nil
}
