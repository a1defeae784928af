package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/compassdigital/reconciler/internal/desired"
	"github.com/compassdigital/reconciler/internal/drift"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
)

// Adoption is a change of a client's manifest that wishes what was found.
type Adoption struct {
	Path  string    `json:"path"`
	Patch string    `json:"patch"` // a unified diff, "" for none
	Taken []string  `json:"taken"` // what it takes over
	Left  []NotHere `json:"left"`  // what it can't
}

// NotHere is drift that no edit of the client's own file takes over.
type NotHere struct {
	Text string `json:"text"`
	Why  string `json:"why"` // with the place that says it
}

// AdoptDrift looks at a client, now, and edits its manifest, as it was last accepted, so
// that it wishes what was found. Only those values change. Nothing is written: the change
// is for a commit.
func (e *Engine) AdoptDrift(ctx context.Context, name string) (Adoption, error) {
	out := Adoption{Taken: []string{}, Left: []NotHere{}}
	ids, err := e.named([]string{name})
	if err != nil {
		return out, fmt.Errorf("adopt drift: %w", err)
	}
	turns, err := e.lookOrder(ids)
	if err != nil || len(turns) == 0 {
		return out, fmt.Errorf("adopt drift: %w", err)
	}
	live, saw, err := e.lookNow(ctx, e.newSurvey(nil), turns[0])
	if err != nil {
		return out, err
	}
	c := saw.client
	switch {
	case c.Removed || len(c.Manifest) == 0:
		return out, fmt.Errorf("%w: %s has no manifest any more", ErrRefused, c.Name)
	case saw.result.Failed != "":
		return out, fmt.Errorf("%w: not all of %s could be looked at: %s", ErrRefused, c.Name, saw.result.Failed)
	}
	eff, problems := e.effective(c)
	if problems.Failed() {
		return out, fmt.Errorf("%w: %s: %s", ErrRefused, c.Path, problems[0].Text)
	}
	a := &adopting{e: e, in: e.desiredInput(c, eff, nil), text: c.Manifest, saw: saw}
	out.Path = c.Path
	for _, row := range drift.Open(live.Rows) {
		if why := a.take(row); why != "" {
			out.Left = append(out.Left, NotHere{drift.Text(row), why})
			continue
		}
		out.Taken = append(out.Taken, drift.Text(row))
	}
	out.Patch = drift.Patch(c.Path, c.Manifest, a.text)
	return out, nil
}

// adopting is a manifest on its way to wish what was found.
type adopting struct {
	e    *Engine
	in   desired.Input
	text []byte
	saw  *seen
}

// take edits the value of one row, or says why not and where it stands.
func (a *adopting) take(row state.Drift) (why string) {
	found, there := a.found(row)
	switch {
	case row.Field == state.FieldGone:
		return "the object is gone; `reconciler retry " + a.in.Client.Name + "` makes it again, or take it out of the manifest"
	case row.Field == state.FieldForeign:
		return "it is not ours any more; settle at " + row.Provider + " whose it is"
	case !there:
		return "it is not there; {none: true} wishes that"
	}
	origin := desired.OriginOf(a.in, row.Ref, row.Field)
	if origin.At == "" {
		return origin.Why
	}
	if found.Secret != nil || manifest.Delicate(row.Field, found.Text) {
		return "it may be a secret, which has no place in a repository: `reconciler secret set` keeps it"
	}
	text, line, err := manifest.Edit(a.in.Client.Path, a.text, origin.At, found.Text)
	switch {
	case errors.Is(err, manifest.ErrNotSaid):
		return a.elsewhere(origin.At)
	case err != nil:
		return a.in.Client.Path + ": " + err.Error()
	}
	if why := a.wishes(text, row, found.Text); why != "" {
		return fmt.Sprintf("%s:%d: %s", a.in.Client.Path, line, why)
	}
	a.text = text
	return ""
}

// found is the value that a row is about, whole.
func (a *adopting) found(row state.Drift) (v provider.Observed, there bool) {
	for _, x := range a.saw.objects[row.Ref].Attributes {
		if x.Name == row.Field {
			return x, true
		}
	}
	return v, false
}

// wishes makes sure that the edited manifest is valid, wishes the found value, and wishes
// nothing else otherwise.
func (a *adopting) wishes(text []byte, row state.Drift, value string) (why string) {
	c := a.in.Client
	c.Manifest = text
	rules, _ := a.e.resolver()
	eff, problems := rules.Client(c)
	if problems.Failed() {
		return "the manifest would be invalid: " + problems[0].Text
	}
	in := a.in
	in.Effective = eff
	wish, _ := desired.Resources(in)
	i := slices.IndexFunc(wish, func(r state.Resource) bool { return r.Ref == row.Ref })
	if row.Ref.Kind == state.KindDeployment {
		return "" // another release: it bears another name
	}
	if i < 0 || wish[i].Attributes.Literal(row.Field) != value {
		return "it has to be changed by hand: the value would be read as another one"
	}
	return ""
}

// elsewhere says where a field is said that the client's own file does not say.
func (a *adopting) elsewhere(at string) string {
	c := a.in.Client
	_, base := a.e.resolver()
	if base != nil {
		for _, f := range append(slices.Clone(base.Templates), base.Kept...) {
			if f.Blob != c.TemplateBlob {
				continue
			}
			for _, there := range []string{"defaults." + at, at} {
				if line := manifest.SaidAt(f.Path, f.Data, there); line > 0 {
					return fmt.Sprintf("it comes from the template: %s:%d, %s, which all of its clients share; say %s in %s", f.Path, line, there, at, c.Path)
				}
			}
		}
		if p := base.Platform; p != nil {
			if line := manifest.SaidAt(p.Path, p.Data, "defaults."+at); line > 0 {
				return fmt.Sprintf("it comes from the platform file: %s:%d, defaults.%s, which all clients share; say %s in %s", p.Path, line, at, at, c.Path)
			}
		}
	}
	return fmt.Sprintf("%s does not say %s: it is a default; add it there", report.Line(c.Path), at)
}
