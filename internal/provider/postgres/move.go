package postgres

import (
	"context"
	"fmt"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/pgmove"
)

// moved is the database of an id, for a move. Who freezes it is the administrator; what is
// loaded is loaded as the client's role.
func (p *Provider) moved(ctx context.Context, op, id string) (d pgmove.Database, err error) {
	gone := p.fail(provider.NotFound, op, fmt.Sprintf("database %s is not here", clean(id)), nil)
	if ctx.Err() != nil {
		return d, p.fail(provider.Transient, op, "the call was given up before it began", context.Cause(ctx))
	}
	if !sayable(id) {
		return d, gone
	}
	err = p.with(ctx, op, "the database could not be looked up", func(ctx context.Context, s session) error {
		found, err := look(ctx, s, id)
		if err != nil {
			return err
		}
		for _, e := range found {
			if !e.hasID(id) || !e.shown() {
				continue
			}
			if !e.ours() {
				return p.fail(provider.Unsupported, op, fmt.Sprintf("database %s was not made here, and nothing of it is changed: move it yourself, and adopt the new one", clean(id)), nil)
			}
			d = p.kept(e.name)
			d.Owner, d.Loads = e.name, d.Keeper.Copy()
			d.Loads.User, d.Loads.Password = e.name, p.password(e.name, e.role.id).Reveal()
			return nil
		}
		return gone
	})
	return d, err
}

// Freeze implements provider.Mover.
func (p *Provider) Freeze(ctx context.Context, id string) error {
	d, err := p.moved(ctx, "freeze", id)
	if err != nil {
		return err
	}
	return d.Freeze(ctx)
}

// Thaw implements provider.Mover.
func (p *Provider) Thaw(ctx context.Context, id string) error {
	d, err := p.moved(ctx, "thaw", id)
	if err != nil {
		return err
	}
	return d.Thaw(ctx)
}

// Content implements provider.Mover.
func (p *Provider) Content(ctx context.Context, id string) (provider.Content, error) {
	d, err := p.moved(ctx, "compare", id)
	if err != nil {
		return provider.Content{}, err
	}
	return d.Content(ctx)
}

// Load implements provider.Mover.
func (p *Provider) Load(ctx context.Context, id, path string) error {
	d, err := p.moved(ctx, "load", id)
	if err != nil {
		return err
	}
	return d.Load(ctx, path)
}
