package provider_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
)

// A list that moves between two pages is read again, whatever its total says; one that does
// not come to rest is an error, and so is a page that fails.
func TestPagesOfAListThatMoves(t *testing.T) {
	down := errors.New("503")
	const size = 2
	// list tells pages of ids; moves change it before a call, by the number of the call.
	list := func(ids []string, totals bool, moves map[int]func(*[]string) error) (func(context.Context, int) (provider.Page[string], error), *int) {
		calls := 0
		return func(_ context.Context, n int) (provider.Page[string], error) {
			calls++
			if move := moves[calls]; move != nil {
				if err := move(&ids); err != nil {
					return provider.Page[string]{}, err
				}
			}
			from := min((n-1)*size, len(ids))
			to := min(from+size, len(ids))
			page := provider.Page[string]{Items: slices.Clone(ids[from:to]), Total: -1, Last: to == len(ids)}
			if totals {
				page.Total = len(ids)
			}
			return page, nil
		}, &calls
	}
	first := func(ids *[]string) error { *ids = (*ids)[1:]; return nil }
	swap := func(ids *[]string) error { *ids = append((*ids)[1:], "new"); return nil }
	front := func(ids *[]string) error { *ids = append([]string{"new"}, *ids...); return nil }
	five := []string{"a", "b", "c", "d", "e"}
	always := map[int]func(*[]string) error{}
	for n := range 40 {
		always[n] = func(ids *[]string) error { *ids = append((*ids)[1:], "new"+strconv.Itoa(n)); return nil }
	}
	for name, c := range map[string]struct {
		ids   []string
		moves map[int]func(*[]string) error
		want  []string
		err   error
		calls int // where totals are told, and where they are not
		blind int
	}{
		"one page is of one moment": {ids: five[:2], want: five[:2], calls: 1, blind: 1},
		"nothing":                   {calls: 1, blind: 1},
		"at rest":                   {ids: five, want: five, calls: 6, blind: 6},
		"one goes":                  {ids: five, moves: map[int]func(*[]string) error{2: first}, want: five[1:], calls: 2 + 4, blind: 2 + 4},
		"one goes, another comes":   {ids: five, moves: map[int]func(*[]string) error{2: swap}, want: []string{"b", "c", "d", "e", "new"}, calls: 9, blind: 9},
		"one comes in front":        {ids: five, moves: map[int]func(*[]string) error{2: front}, want: append([]string{"new"}, five...), calls: 2 + 6, blind: 2 + 6},
		"it never rests":            {ids: five, moves: always, err: provider.ErrMoves, calls: 15, blind: 15},
		"a page fails":              {ids: five, moves: map[int]func(*[]string) error{3: func(*[]string) error { return down }}, err: down, calls: 3, blind: 3},
	} {
		for _, totals := range []bool{true, false} {
			read, calls := list(slices.Clone(c.ids), totals, c.moves)
			got, err := provider.Pages(t.Context(), 10, read, func(id string) string { return id })
			want := c.calls
			if !totals {
				want = c.blind
			}
			if !slices.Equal(got, c.want) || !errors.Is(err, c.err) || *calls != want {
				t.Errorf("%s (totals %v): %v, %v in %d calls, want %v, %v in %d", name, totals, got, err, *calls, c.want, c.err, want)
			}
		}
	}
	read, _ := list(five, true, nil)
	if got, err := provider.Pages(t.Context(), 2, read, func(id string) string { return id }); !errors.Is(err, provider.ErrLong) {
		t.Errorf("of three pages two are read: %v, %v", got, err)
	}
}
