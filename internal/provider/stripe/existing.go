package stripe

import (
	"context"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
	"github.com/compassdigital/reconciler/internal/state"
)

var (
	_ provider.Lister = (*Provider)(nil)
	_ provider.Marker = (*Provider)(nil)
)

// Existing implements provider.Lister: all connected accounts of the platform, page by page,
// each with its business address and mail, whoever's its profile is.
func (p *Provider) Existing(ctx context.Context) ([]provider.Object, error) {
	if err := p.ready(ctx, opObserve, KindPayments); err != nil {
		return nil, err
	}
	all, err := p.accounts(ctx, func(account) bool { return true })
	if err != nil {
		return nil, err
	}
	var out []provider.Object
	for _, a := range all {
		o := a.object()
		o.Attributes = nil
		for _, x := range []struct{ name, is string }{{"country", a.Country}, {"email", a.Email}, {"url", a.BusinessProfile.URL}} {
			o.Attributes = append(o.Attributes, provider.Observed{Name: x.name, Text: provider.Line(x.is, maxText)})
		}
		out = append(out, o)
	}
	return out, nil
}

// Inside implements provider.Lister: nothing hangs on an account.
func (p *Provider) Inside(context.Context, provider.Object) ([]provider.Object, error) {
	return nil, nil
}

// Mark implements provider.Marker: one entry of the account's metadata, which its owner does not
// see. All else of the account stays unsaid.
func (p *Provider) Mark(ctx context.Context, kind state.Kind, id string, m provider.Mark) error {
	if err := p.ready(ctx, opUpdate, kind); err != nil {
		return err
	}
	if m.IsZero() || provider.ParseMark(m.Text()) != m {
		return p.fail(provider.Invalid, opUpdate, "an account needs a mark", nil)
	}
	a, err := p.mustGet(ctx, opUpdate, id)
	switch {
	case err != nil:
		return err
	case a.mark() == m:
		return nil
	case !a.mark().IsZero():
		return p.fail(provider.Conflict, opUpdate, "account "+id+" bears the mark of "+shown(a.mark().Text()), nil)
	case a.Metadata[keyMark] != "":
		return p.fail(provider.Conflict, opUpdate, "account "+id+" has something else in its metadata as "+keyMark, nil)
	}
	_, err = p.post(ctx, opUpdate, id, httpapi.Form{metadata(keyMark): {m.Text()}})
	return err
}
