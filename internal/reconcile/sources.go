package reconcile

import (
	"context"

	"github.com/compassdigital/reconciler/internal/desired"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/state"
)

// sources resolves what the members' manifests deploy (a branch, a tag) to a commit,
// once for each spec: a branch that moves later is no change. The commit is part of the
// plan, and is kept with the client when a pass begins.
func (e *Engine) sources(ctx context.Context, g *group) error {
	if e.ResolveRef == nil {
		return nil
	}
	for _, m := range g.members {
		if m.client.Removed || len(m.client.Manifest) == 0 || m.quarantined() {
			continue
		}
		err := e.contain(m.client.ID, func() error {
			eff, problems := e.effective(m.client)
			if problems.Failed() {
				return nil
			}
			return e.source(ctx, &m.client, eff)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) source(ctx context.Context, c *state.Client, eff manifest.Effective) error {
	spec := desired.SourceSpec(eff)
	if spec == c.SourceSpec && (spec == "" || c.SourceCommit != "") {
		return nil
	}
	commit := ""
	if spec != "" && e.ResolveRef != nil {
		var err error
		if commit, err = e.ResolveRef(ctx, eff.Source.Repository, eff.Source.Ref); err != nil {
			return err
		}
	}
	c.SourceSpec, c.SourceCommit = spec, commit
	return nil
}
