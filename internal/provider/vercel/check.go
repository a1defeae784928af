package vercel

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
)

var _ provider.Checker = (*Provider)(nil)

// Check implements provider.Checker: the token, the team, the role of the token's owner there, that
// projects may be read. What else the token may write Vercel says nowhere.
func (p *Provider) Check(ctx context.Context) []provider.Finding {
	const anew = "make a new token at vercel.com/account/tokens, with the team as its scope, and set providers.vercel.apiToken"
	if err := p.do(ctx, httpapi.Call{Op: observing, Method: http.MethodGet, Path: "/v2/user"}, &struct{}{}); err != nil {
		return []provider.Finding{provider.LookFailed("Vercel", err, anew)}
	}
	out := []provider.Finding{provider.Well("the token is accepted")}
	if p.team != "" {
		found := p.checkTeam(ctx, anew)
		if out = append(out, found); !found.OK {
			return out
		}
	}
	err := p.do(ctx, httpapi.Call{Op: observing, Method: http.MethodGet, Path: "/v10/projects", Query: url.Values{"limit": {"1"}}}, &struct{}{})
	if err != nil {
		return append(out, provider.LookFailed("the projects", err, "the token may not read projects: its owner needs the role of a member or more in the team"))
	}
	return append(out, provider.Well("projects can be read"))
}

func (p *Provider) checkTeam(ctx context.Context, anew string) provider.Finding {
	const where = "it begins with team_ and stands in the team's settings, General, Team ID; leave teamID out for an account without a team"
	if !isWord(p.team) || !strings.HasPrefix(p.team, "team_") {
		return provider.Wrong(where, "providers.vercel.teamID %q is no team's id", provider.Line(p.team, 60))
	}
	var team struct {
		Membership struct {
			Role        string   `json:"role"`
			Roles       []string `json:"teamRoles"`
			Permissions []string `json:"teamPermissions"`
		} `json:"membership"`
	}
	switch err := p.do(ctx, httpapi.Call{Op: observing, Method: http.MethodGet, Path: "/v2/teams/" + p.team}, &team); {
	case isGone(err):
		return provider.Wrong(where, "there is no team %s, or the token does not see it", p.team)
	case err != nil:
		return provider.LookFailed("the team "+p.team, err, anew)
	}
	m := team.Membership
	if roles := append(m.Roles, m.Role); onlyLooks(roles) && !slices.Contains(m.Permissions, "CreateProject") {
		return provider.Wrong("make the token with the account of a member or an owner of the team, or give its owner that role in the team's settings, Members",
			"the token's owner has the role %s in the team %s, which makes no projects and no deployments", provider.Line(m.Role, 20), p.team)
	}
	return provider.Well("the team %s is there", p.team)
}

// onlyLooks says that none of the roles in a team deploys
// (vercel.com/docs/rbac/access-roles). One that is not known here counts for nothing.
func onlyLooks(roles []string) bool {
	return !slices.ContainsFunc(roles, func(r string) bool {
		return !slices.Contains([]string{"VIEWER", "VIEWER_FOR_PLUS", "BILLING", "SECURITY"}, r)
	})
}
