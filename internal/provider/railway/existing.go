package railway

import (
	"context"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

var (
	_ provider.Lister = (*Provider)(nil)
	_ provider.Marker = (*Provider)(nil)
)

// Existing implements provider.Lister: all projects of the workspace in which a service runs
// PostgreSQL, by pages and batches. Projects of other things, and those with several such
// services, hold no database that could be adopted.
func (p *Provider) Existing(ctx context.Context) ([]provider.Object, error) {
	if err := p.ready(ctx, opObserve, state.KindDatabase); err != nil {
		return nil, err
	}
	ids, err := p.listed(ctx, func(projectShort) bool { return true })
	if err != nil {
		return nil, err
	}
	return p.objectsOf(ctx, ids, func(d *database) bool { return d.service != "" })
}

// Inside implements provider.Lister: nothing hangs on a database.
func (p *Provider) Inside(context.Context, provider.Object) ([]provider.Object, error) {
	return nil, nil
}

// Mark implements provider.Marker: the last line of the project's description. What people
// wrote above it stays.
func (p *Provider) Mark(ctx context.Context, kind state.Kind, id string, m provider.Mark) error {
	if err := p.ready(ctx, opUpdate, kind); err != nil {
		return err
	}
	found, err := p.databases(ctx, []string{id})
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return p.fail(provider.NotFound, opUpdate, "project "+shown(id)+" is not there", nil)
	}
	d := found[0]
	switch {
	case d.mark == m && !d.making:
		return nil
	case !d.mark.IsZero() && d.mark != m:
		return p.fail(provider.Conflict, opUpdate, "the project bears the mark of "+shown(d.mark.Text()), nil)
	}
	_, err = describeProject(ctx, caller{p, opUpdate}, d.id, marked(d.description, m, false))
	return err
}
