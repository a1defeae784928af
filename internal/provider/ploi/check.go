package ploi

import (
	"context"
	"fmt"

	"github.com/compassdigital/reconciler/internal/provider"
)

var _ provider.Checker = (*Provider)(nil)

// Check implements provider.Checker: the token, and each server.
func (p *Provider) Check(ctx context.Context) []provider.Finding {
	const anew = "make a token at ploi.io under Profile, API keys, that reads and writes servers, sites, repositories, deployments, environments, aliases and certificates, and set providers.ploi.apiToken"
	var user one[struct {
		ID   int64 `json:"id"`
		Name word  `json:"name"`
	}]
	switch found, err := p.read(ctx, "/user", nil, &user); {
	case err != nil:
		return []provider.Finding{provider.LookFailed("Ploi", err, anew)}
	case !found || user.Data.ID == 0:
		return []provider.Finding{provider.Wrong("see whether providers.ploi.apiURL is right", "Ploi says nothing of the token's account")}
	}
	out := []provider.Finding{provider.Well("the token is %s's", quote(string(user.Data.Name)))}
	for _, number := range p.order {
		out = append(out, p.checkServer(ctx, number, anew))
	}
	return out
}

func (p *Provider) checkServer(ctx context.Context, number, anew string) provider.Finding {
	var got one[server]
	name := fmt.Sprintf("server %s (%s)", p.names[number], number)
	switch found, err := p.read(ctx, "/servers/"+number, nil, &got); {
	case err != nil:
		return provider.LookFailed(name, err, anew)
	case !found:
		return provider.Wrong("its id is the number in its address at ploi.io/panel/servers/…: see providers.ploi.servers, and that the token's team has it", "%s: the account has none of that id, or the token may not see it", name)
	case got.Data.Status != statusActive && got.Data.Status != "":
		return provider.Wrong("look at it at ploi.io/panel/servers/"+number, "%s is %s", name, quote(string(got.Data.Status)))
	}
	return provider.Well("%s is ready at %s", name, provider.Line(string(got.Data.Address), maxWord))
}
