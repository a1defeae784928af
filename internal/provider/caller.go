package provider

import (
	"context"

	"github.com/compassdigital/reconciler/internal/state"
)

// Caller says on whose behalf a provider is called. A transport that many clients share is
// fair by it: each has its turn, and one that never served goes first. The zero value is
// nobody in particular: a scheduled look.
type Caller struct {
	Client state.ClientID
	New    bool // no deployment of it ever succeeded: somebody waits for it
}

type callerKey struct{}

// For returns a context that bears the caller.
func For(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerOf returns who For named.
func CallerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}
