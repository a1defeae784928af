package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/compassdigital/reconciler/internal/desired"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// lasting is an error that stays until a person has done something.
type lasting interface {
	error
	Lasting() (act string, is bool)
}

// sources resolves what the members' manifests deploy (a branch, a tag) to a commit,
// once for each spec: a branch that moves later is no change. The commit is part of the
// plan, and is kept with the client at once: what waits for a person is what was planned.
// A ref that means nothing is the client's own problem; an error is of the moment.
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
			was := m.client.SourceSpec
			problem, err := e.source(ctx, m, eff)
			if problem != nil {
				problem.Act += "; then `reconciler retry " + m.client.Name + "`"
				m.problems = append(m.problems, *problem)
			}
			if err != nil || m.client.SourceSpec == was {
				return err
			}
			return e.keepSource(m.client)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// source gives a client the commit that its manifest means. problem is what a person has to
// mend before it means any.
func (e *Engine) source(ctx context.Context, m *member, eff manifest.Effective) (problem *plan.Problem, err error) {
	c, spec := &m.client, desired.SourceSpec(eff)
	if spec == c.SourceSpec && (spec == "" || c.SourceCommit != "") {
		return nil, nil
	}
	commit := m.builtFrom(eff.Source)
	if r := c.Review; commit == "" && r != nil {
		commit = r.Sources[spec] // what was reviewed, though a branch has moved since
	}
	if commit == "" && spec != "" && e.ResolveRef != nil {
		commit, err = e.ResolveRef(ctx, eff.Source.Repository, eff.Source.Ref)
		var bad lasting
		if errors.As(err, &bad) {
			if act, is := bad.Lasting(); is {
				return &plan.Problem{Client: c.ID, Name: c.Name, Text: eff.SourceAt + ": " + bad.Error(), Act: act}, nil
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", eff.SourceAt, err)
		}
	}
	c.SourceSpec, c.SourceCommit, m.resolved = spec, commit, true
	return nil, nil
}

// maxResolved is how many repositories and refs of a pull request are kept with their commits.
const maxResolved = 200

// resolved are the commits of the group that are not on record yet, by what they were
// resolved from.
func (g *group) resolved() map[string]string {
	var out map[string]string
	for _, m := range g.members {
		spec, commit := m.client.SourceSpec, m.client.SourceCommit
		if !m.resolved || spec == "" || commit == "" || len(out) >= maxResolved {
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		out[spec] = commit
	}
	return out
}

// builtFrom is the commit that a release that we still have was built from under the same
// name: a manifest that returns to it means that release, however far a branch has moved. Of
// several the newest counts.
func (m *member) builtFrom(s manifest.Source) (commit string) {
	var newest time.Time
	for _, r := range m.recorded {
		a := r.Attributes
		if r.Ref.Kind != state.KindDeployment || r.Phase != "" || s.Repository == "" || a.Literal("repository") != s.Repository || a.Literal("ref") != s.Ref {
			continue
		}
		if c := a.Literal("commit"); c != "" && (commit == "" || r.UpdatedAt.After(newest)) {
			commit, newest = c, r.UpdatedAt
		}
	}
	return commit
}

// keepSource notes what was resolved, in the record as it is now.
func (e *Engine) keepSource(of state.Client) error {
	err := e.Store.Update(func(tx store.Tx) error {
		c, ok, err := store.Client(tx, of.ID)
		if err != nil || !ok || c.Seq != of.Seq { // of a newer wish its own pass will say it
			return err
		}
		c.SourceSpec, c.SourceCommit = of.SourceSpec, of.SourceCommit
		return store.PutClient(tx, c)
	})
	if err != nil {
		return fmt.Errorf("keep the source's commit: %w", err)
	}
	return nil
}
