package provider

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// Pace is how calls that nobody waits for go about a vendor's limit: those of a look by
// schedule, or of a state that is made anew. A transport keeps to it.
type Pace struct {
	// Half: at most half of each window is taken. The rest is left to passes.
	Half bool
	// Wait is how long a call waits for its turn; one that would wait longer is told until
	// when, with ErrTurn as the cause.
	Wait time.Duration
}

// ErrTurn is the cause of a RateLimited that is no word of the vendor's: what is left of a
// window, as it is counted here, is not for this call. It keeps nobody else waiting.
var ErrTurn = errors.New("its turn comes with a later window")

type paceKey struct{}

// Paced returns a context whose calls keep to the pace.
func Paced(ctx context.Context, p Pace) context.Context {
	return context.WithValue(ctx, paceKey{}, p)
}

// PaceOf returns what Paced gave; false where it gave nothing.
func PaceOf(ctx context.Context) (Pace, bool) {
	p, ok := ctx.Value(paceKey{}).(Pace)
	return p, ok
}

type countKey struct{}

// Counting returns a context whose requests are counted: each that goes out, those of pages
// and repeats included. What is no vendor over HTTP counts none.
func Counting(ctx context.Context) (counted context.Context, made func() int) {
	n := new(atomic.Int64)
	return context.WithValue(ctx, countKey{}, n), func() int { return int(n.Load()) }
}

// Count counts a request that goes out, where somebody wants to know.
func Count(ctx context.Context) {
	if n, ok := ctx.Value(countKey{}).(*atomic.Int64); ok {
		n.Add(1)
	}
}

type onlyKey struct{}

// Only returns a context in which Owned leaves out what it would have to ask for one by one,
// unless want says that it is wanted. id is the site's or the database's; says is whose it is
// by what the list shows, which proves nothing, and zero where it shows nothing.
func Only(ctx context.Context, want func(id string, says Mark) bool) context.Context {
	return context.WithValue(ctx, onlyKey{}, want)
}

// Wanted says that Owned asks for something: all is wanted where Only said nothing.
func Wanted(ctx context.Context, id string, says Mark) bool {
	want, ok := ctx.Value(onlyKey{}).(func(string, Mark) bool)
	return !ok || want(id, says)
}
