package railway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/Khan/genqlient/graphql"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
	"github.com/compassdigital/reconciler/internal/state"
)

// inWorkspace is the id of the workspace that is meant. It is found out once.
func (p *Provider) inWorkspace(ctx context.Context) (string, error) {
	p.mu.Lock()
	known := p.workspace
	p.mu.Unlock()
	if known != "" {
		return known, nil
	}
	c := caller{p, opObserve}
	got, err := token(ctx, c)
	if err != nil {
		if k := provider.KindOf(err); errors.Is(err, errRefused) && (k == provider.Transient || k == provider.Invalid) {
			err = p.fail(provider.Denied, opObserve, "the token is not accepted: "+messageOf(err), err)
		}
		return "", err
	}
	if got.ApiToken.Workspaces == nil {
		return "", c.odd(errors.New("the token's workspaces are no list"))
	}
	id, why := pick(got.ApiToken.Workspaces, p.wanted)
	if why != "" {
		return "", p.fail(provider.Denied, opObserve, why, nil)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.workspace = id
	return id, nil
}

// pick chooses a workspace by id or name, or the only one there is.
func pick(all []workspaceNode, wanted string) (id, why string) {
	var names []string
	for _, w := range all {
		if wanted != "" && (w.Id == wanted || w.Name == wanted) {
			return w.Id, ""
		}
		names = append(names, shown(w.Name))
	}
	const most = 10
	if len(names) > most {
		names = append(names[:most], "…")
	}
	seen := "the token sees " + strings.Join(names, ", ")
	switch {
	case len(all) == 0:
		return "", "the token sees no workspace: make one of a workspace at railway.com/account/tokens"
	case wanted != "":
		return "", fmt.Sprintf("the token does not see the workspace %s (%s): see providers.railway.workspace", shown(wanted), seen)
	case len(all) > 1:
		return "", "say which one in providers.railway.workspace: " + seen
	}
	return all[0].Id, ""
}

// sees says that the token still sees what we work in.
func (p *Provider) sees(all []workspaceID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.workspace == "" {
		return len(all) > 0
	}
	return slices.ContainsFunc(all, func(w workspaceID) bool { return w.Id == p.workspace })
}

func messageOf(err error) string {
	var pe *provider.Error
	if errors.As(err, &pe) {
		return pe.Message
	}
	return "it did not say why"
}

// ofProject says that the token is one of a project: those are sent in another header.
func (p *Provider) ofProject(ctx context.Context) (name string, ok bool) {
	got, err := tokenOfProject(ctx, asProject{p})
	if err != nil {
		return "", false
	}
	return shown(got.ProjectToken.Project.Name), true
}

// asProject sends the token as one of a project.
type asProject struct{ p *Provider }

// MakeRequest implements graphql.Client.
func (c asProject) MakeRequest(ctx context.Context, req *graphql.Request, resp *graphql.Response) error {
	api := *c.p.api
	header := http.Header{"Project-Access-Token": {api.Token.Reveal()}}
	api.Token = state.Secret{}
	var got struct {
		Data json.RawMessage `json:"data"`
	}
	if _, err := api.Do(ctx, httpapi.Call{Op: opObserve, Method: http.MethodPost, Header: header, In: req, Out: &got, Failed: hasErrors}); err != nil {
		return err
	}
	return fill(got.Data, resp.Data)
}
