package provider

import (
	"context"
	"errors"
	"slices"
)

// Page is one page of a list whose pages a vendor numbers.
type Page[T any] struct {
	Items []T
	Total int  // how many the whole list has, as the vendor says on this page; -1: it doesn't
	Last  bool // no page comes after it
}

// pageReadings is how often a list that moves is read before that is an error.
const pageReadings = 5

// What Pages says of a list that it can't read.
var (
	ErrMoves = errors.New("the list changes faster than it can be read")
	ErrLong  = errors.New("the list has more pages than are read")
)

// Pages reads a list whose pages a vendor numbers: complete, or an error. read reads one page,
// the first is 1; id tells items apart; most is how many pages are read.
//
// One page is the list of one moment. Of several each is of its own, and what is made or
// deleted in between shifts those that come after: something is there twice, or, worse, on no
// page. A total that changes tells of it, but where one went and another came it stays. So a
// list of several pages is what two readings in a row agree on: for something to be left out
// of both, what went before it would have to be there again.
func Pages[T any](ctx context.Context, most int, read func(ctx context.Context, page int) (Page[T], error), id func(T) string) ([]T, error) {
	var before []string
	for range pageReadings {
		r := reading[T]{total: -1, seen: map[string]bool{}}
		if err := r.all(ctx, most, read, id); err != nil {
			return nil, err
		}
		if !r.moved && (r.pages == 1 || before != nil && slices.Equal(before, r.ids)) {
			return r.items, nil
		}
		if before = r.ids; r.moved {
			before = nil
		}
	}
	return nil, ErrMoves
}

// reading is one reading of all pages.
type reading[T any] struct {
	items []T
	ids   []string
	seen  map[string]bool
	total int
	pages int
	moved bool // it is not whole
}

// all reads until the last page, or until the list is seen to have moved.
func (r *reading[T]) all(ctx context.Context, most int, read func(context.Context, int) (Page[T], error), id func(T) string) error {
	for r.pages < most {
		page, err := read(ctx, r.pages+1)
		if err != nil {
			return err
		}
		r.pages++
		for _, item := range page.Items {
			r.moved = r.moved || r.seen[id(item)]
			r.seen[id(item)] = true
			r.items, r.ids = append(r.items, item), append(r.ids, id(item))
		}
		r.moved = r.moved || r.pages > 1 && page.Total != r.total || page.Total >= 0 && page.Last && page.Total != len(r.ids)
		if r.total = page.Total; page.Last || r.moved {
			return nil
		}
	}
	return ErrLong
}
