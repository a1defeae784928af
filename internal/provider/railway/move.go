package railway

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/pgmove"
	"github.com/compassdigital/reconciler/internal/state"
)

var _ provider.Mover = (*Provider)(nil)

// privateDomain is Railway's network, which only its own services reach.
const privateDomain = ".railway.internal"

// inside is the database of an id, as its owner connects to it.
func (p *Provider) inside(ctx context.Context, op, id string) (d pgmove.Database, err error) {
	found, err := p.Observe(ctx, provider.Query{Kind: state.KindDatabase, ID: id})
	if err != nil {
		return d, err
	}
	if len(found) != 1 {
		return d, p.fail(provider.NotFound, op, fmt.Sprintf("database %s is not here", shown(id)), nil)
	}
	for _, out := range found[0].Outputs {
		if out.Name != "url" || out.Secret == nil {
			continue
		}
		if u, err := url.Parse(out.Secret.Reveal()); err != nil || strings.HasSuffix(u.Hostname(), privateDomain) {
			return d, p.fail(provider.Unsupported, op, "the database can only be reached from inside of Railway: set `database.access: public` first", nil)
		}
		d, err := pgmove.FromURL(Name, *out.Secret)
		d.Dumper, d.Restorer = p.dumper, p.restorer
		return d, err
	}
	return d, p.fail(provider.Transient, op, fmt.Sprintf("database %s does not run: %s", shown(id), shown(found[0].Message)), nil)
}

// Dump implements provider.Dumper: an archive of pg_dump's at path.
func (p *Provider) Dump(ctx context.Context, id, path string) error {
	d, err := p.inside(ctx, "dump", id)
	if err != nil {
		return err
	}
	return d.Dump(ctx, path)
}

// Freeze implements provider.Mover.
func (p *Provider) Freeze(ctx context.Context, id string) error {
	d, err := p.inside(ctx, "freeze", id)
	if err != nil {
		return err
	}
	return d.Freeze(ctx)
}

// Thaw implements provider.Mover.
func (p *Provider) Thaw(ctx context.Context, id string) error {
	d, err := p.inside(ctx, "thaw", id)
	if err != nil {
		return err
	}
	return d.Thaw(ctx)
}

// Content implements provider.Mover.
func (p *Provider) Content(ctx context.Context, id string) (provider.Content, error) {
	d, err := p.inside(ctx, "compare", id)
	if err != nil {
		return provider.Content{}, err
	}
	return d.Content(ctx)
}

// Load implements provider.Mover.
func (p *Provider) Load(ctx context.Context, id, path string) error {
	d, err := p.inside(ctx, "load", id)
	if err != nil {
		return err
	}
	return d.Load(ctx, path)
}
