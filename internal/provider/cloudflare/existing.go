package cloudflare

import (
	"cmp"
	"context"
	"net/http"
	"slices"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

var (
	_ provider.Lister = (*Provider)(nil)
	_ provider.Marker = (*Provider)(nil)
)

// Existing implements provider.Lister: all records of every zone, page by page. Nothing is
// asked of DNS.
func (p *Provider) Existing(ctx context.Context) ([]provider.Object, error) {
	if err := p.ready(ctx, "observe", state.KindRecord); err != nil {
		return nil, err
	}
	all, err := p.zoneList(ctx, "observe", 0)
	if err != nil {
		return nil, err
	}
	var out []provider.Object
	for _, z := range all {
		found, err := p.records(ctx, z.ID, nil, listPage)
		if err != nil {
			return nil, err
		}
		for _, r := range found {
			if slices.Contains(types(), r.Type) {
				out = append(out, r.object(z.ID))
			}
		}
	}
	slices.SortFunc(out, func(a, b provider.Object) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
}

// Inside implements provider.Lister: nothing hangs on a record.
func (p *Provider) Inside(context.Context, provider.Object) ([]provider.Object, error) {
	return nil, nil
}

// Mark implements provider.Marker: a word of the record's comment, before those that people
// wrote. All else of the record stays unsaid.
func (p *Provider) Mark(ctx context.Context, kind state.Kind, id string, m provider.Mark) error {
	const op = "update"
	if err := p.ready(ctx, op, kind); err != nil {
		return err
	}
	gone := &provider.Error{Kind: provider.NotFound, Provider: Name, Op: op, Message: "record " + word(id) + " is not here"}
	zoneID, record, ok := p.find(id)
	if !ok {
		return gone
	}
	var r struct { // the comment as it is now: a list may be late
		ID, Type, Name, Comment string
	}
	_, err := p.call(ctx, "observe", http.MethodGet, recordPath(zoneID, record), nil, nil, &r)
	switch {
	case err != nil && provider.KindOf(err) == provider.NotFound && codeOf(err) == codeNoRecord:
		return gone
	case err != nil:
		return err
	case r.ID != record:
		return transient("its answer is not the record that was asked for")
	}
	switch has, _ := readComment(r.Comment); {
	case has == m:
		return nil
	case !has.IsZero():
		return &provider.Error{Kind: provider.Conflict, Provider: Name, Op: op, Message: "the record bears the mark of " + word(has.Text())}
	}
	name, err := nameOf(provider.Wish{Inputs: []provider.Input{{Name: "name", Text: r.Name}}})
	if err != nil {
		return as(op, err)
	}
	_, err = p.write(ctx, zoneID, &change{op: op, id: record, body: body{Type: r.Type, Name: name, Comment: comment(provider.Wish{Mark: m}, r.Comment)}})
	return err
}
