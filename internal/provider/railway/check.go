package railway

import (
	"context"
	"errors"
	"slices"

	"github.com/compassdigital/reconciler/internal/provider"
)

var _ provider.Checker = (*Provider)(nil)

// Check implements provider.Checker: what the token is good for, and where. What is left of
// the plan's resources Railway does not say.
func (p *Provider) Check(ctx context.Context) []provider.Finding {
	const anew = "make a token of the workspace at railway.com/account/tokens, and set providers.railway.apiKey; workspace names the one that is meant"
	kind, err := p.good(ctx)
	if err != nil {
		return []provider.Finding{provider.LookFailed("Railway", err, anew)}
	}
	f := provider.Well("the token is one of %s %s", kind.of, kind.workspace)
	if kind.wide {
		f.Hint = "one of the workspace is enough: railway.com/account/tokens"
	}
	return []provider.Finding{f}
}

// goodFor is what a token is good for, in words.
type goodFor struct {
	of, workspace string
	wide          bool // for more than is needed
}

// good asks what the token is good for; the error says what is wrong with it.
func (p *Provider) good(ctx context.Context) (goodFor, error) {
	id, err := p.inWorkspace(ctx)
	if err != nil {
		if name, ok := p.ofProject(ctx); ok {
			return goodFor{}, p.fail(provider.Denied, opObserve, "the token is one of the project "+name+" and can make no other; a token of the workspace is needed", err)
		}
		return goodFor{}, err
	}
	c := caller{p, opObserve}
	got, err := token(ctx, c)
	if err != nil {
		return goodFor{}, err
	}
	n := slices.IndexFunc(got.ApiToken.Workspaces, func(w workspaceNode) bool { return w.Id == id })
	if n < 0 {
		return goodFor{}, p.fail(provider.Denied, opObserve, "the token does not see the workspace any more", nil)
	}
	out := goodFor{of: "the workspace", workspace: shown(got.ApiToken.Workspaces[n].Name)}
	if _, err := account(ctx, c); err == nil {
		out.of, out.wide = "an account, which may do more than is needed, in the workspace", true
	} else if !errors.Is(err, errRefused) {
		return goodFor{}, err
	}
	return out, nil
}
