package postgres

import (
	"context"
	"fmt"
	"net"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// There is no Marker: a mark is a comment on a database's own role, and a database that
// somebody else made has none that we may change.
var _ provider.Lister = (*Provider)(nil)

// Existing implements provider.Lister: every database that people can connect to, whoever made
// it. Of one that is not ours it tells where it is, for its password is not known.
func (p *Provider) Existing(ctx context.Context) (out []provider.Object, err error) {
	const op = "observe"
	if err := p.ready(ctx, op, state.KindDatabase); err != nil {
		return nil, err
	}
	err = p.with(ctx, op, "the databases could not be listed", func(ctx context.Context, s session) error {
		all, err := list(ctx, s, entries+`d.datname IS NOT NULL AND d.datallowconn AND NOT d.datistemplate ORDER BY 1 LIMIT `+fmt.Sprint(maxOwned+1), maxOwned)
		if err != nil {
			return err
		}
		for _, e := range all {
			if !e.shown() || e.torn {
				continue
			}
			o := p.object(e)
			o.Outputs = append(o.Outputs, provider.Output{Name: "endpoint", Text: net.JoinHostPort(p.server.publicHost(), p.server.port) + "/" + e.name})
			out = append(out, o)
		}
		return nil
	})
	return out, err
}

// Inside implements provider.Lister: nothing hangs on a database.
func (p *Provider) Inside(context.Context, provider.Object) ([]provider.Object, error) {
	return nil, nil
}
