package memory

import (
	"context"
	"slices"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// maxPages of one list.
const maxPages = 1000

// ownedPages is how much larger the pages of a list of everything are.
const ownedPages = 4

// everybodys says that the kind's objects are found by reading a list of all of them.
func everybodys(k state.Kind) bool {
	return k == state.KindSite || k == state.KindDatabase || k == state.KindPayments
}

// list reads a list, page by page where the vendor has pages: a page is a call, which may fail,
// and between two of them others are at work. It reads as providers do.
func (p *Provider) list(ctx context.Context, c Call, show func() []*object) ([]provider.Object, error) {
	if p.o.Page == 0 {
		var out []provider.Object
		err := p.call(ctx, c, func(*Call) error {
			for _, o := range show() {
				out = append(out, p.give(o))
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		return out, nil
	}
	out, err := provider.Pages(ctx, maxPages, func(ctx context.Context, n int) (page provider.Page[provider.Object], err error) {
		c := c
		c.Page = n
		err = p.call(ctx, c, func(*Call) error { page = p.page(c, show(), n); return nil })
		return page, err
	}, func(o provider.Object) string { return o.ID })
	if err != nil {
		return nil, p.dress(c, err, false)
	}
	return out, nil
}

// page is one page of a list as it is now. A vendor that begins with the newest
// tells how long the list is.
func (p *Provider) page(c Call, all []*object, n int) provider.Page[provider.Object] {
	if p.o.NewestFirst {
		slices.Reverse(all)
	}
	size := p.o.Page
	if c.Verb == Owned {
		size *= ownedPages
	}
	from := min((n-1)*size, len(all))
	to := min(from+size, len(all))
	out := provider.Page[provider.Object]{Total: -1, Last: to == len(all)}
	if p.o.NewestFirst {
		out.Total = len(all)
	}
	for _, o := range all[from:to] {
		out.Items = append(out.Items, p.give(o))
	}
	return out
}
