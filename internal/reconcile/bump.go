package reconcile

import (
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/compassdigital/reconciler/internal/drift"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// Bumped is a change of a template that deploys another ref.
type Bumped struct {
	Path    string   `json:"path"`
	Was     string   `json:"was"`
	Ref     string   `json:"ref"`
	Commit  string   `json:"commit,omitempty"` // what the ref means now; "" for a source that has none
	Patch   string   `json:"patch"`            // a unified diff, "" for none
	Clients []string `json:"clients"`          // who follows it: the template's clients that say no ref of their own
}

// Bump edits a template, as it was last accepted, so that it deploys another ref; pin writes
// the commit that the ref means in its place. Only that value changes. Nothing is written: the
// change is for a commit.
func (e *Engine) Bump(ctx context.Context, template, ref string, pin bool) (Bumped, error) {
	out := Bumped{Path: path.Join(manifest.LayoutOf(e.Path).Templates, template+".yaml"), Ref: ref, Clients: []string{}}
	_, base := e.resolver()
	var text []byte
	if base != nil {
		for _, f := range base.Templates {
			if f.Path == out.Path {
				text = f.Data
			}
		}
	}
	if text == nil {
		return out, fmt.Errorf("%w: there is no template %s at the branch's head (%s)", ErrRefused, template, out.Path)
	}
	t, problems := manifest.DecodeTemplate(out.Path, text)
	if problems.Failed() {
		return out, fmt.Errorf("%w: %s: %s", ErrRefused, out.Path, problems[0].Text)
	}
	out.Was = t.Source.Ref
	if t.Source.Repository != "builtin" && e.ResolveRef != nil {
		commit, err := e.ResolveRef(ctx, t.Source.Repository, ref)
		if err != nil {
			return out, fmt.Errorf("%w: %w", ErrRefused, err)
		}
		if out.Commit = commit; pin {
			out.Ref = commit
		}
	} else if pin {
		return out, fmt.Errorf("%w: %s has no commits to pin: its source is %s", ErrRefused, template, t.Source.Repository)
	}
	edited, _, err := manifest.EditTemplate(out.Path, text, manifest.Change{At: "source.ref", Value: out.Ref, Add: true})
	if err != nil {
		return out, fmt.Errorf("%w: %s: %w", ErrRefused, out.Path, err)
	}
	out.Patch = drift.Patch(out.Path, text, edited)
	out.Clients, err = e.following(ctx, t)
	return out, err
}

// following are the clients that deploy what a template says.
func (e *Engine) following(ctx context.Context, t manifest.Template) ([]string, error) {
	var all []state.Client
	err := e.Store.View(func(tx store.Tx) (err error) { all, err = store.Clients(tx); return err })
	if err != nil {
		return nil, fmt.Errorf("bump: %w", err)
	}
	out := []string{}
	for _, c := range all {
		if ctx.Err() != nil {
			return nil, errors.Join(errors.New("bump"), context.Cause(ctx))
		}
		if c.Removed || len(c.Manifest) == 0 {
			continue
		}
		eff, problems := e.effective(c)
		if !problems.Failed() && eff.Template == t.Name && eff.Source.Repository == t.Source.Repository && eff.Source.Ref == t.Source.Ref {
			out = append(out, c.Name)
		}
	}
	return out, nil
}
