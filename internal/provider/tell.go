package provider

import (
	"context"
	"fmt"
)

// maxTold is how many characters of one remark are passed on.
const maxTold = 500

type tellKey struct{}

// Listening returns a context in which listen hears what a provider has to say of a call that
// goes well: what nobody could see from outside, as that a database was erased without a copy.
// Nothing is decided by it. listen is called while the call runs, on its goroutine.
func Listening(ctx context.Context, listen func(text string)) context.Context {
	return context.WithValue(ctx, tellKey{}, listen)
}

// Tell passes a remark to whoever listens, as one bounded line; where nobody does, nothing
// happens.
func Tell(ctx context.Context, format string, a ...any) {
	if listen, ok := ctx.Value(tellKey{}).(func(string)); ok {
		listen(Line(fmt.Sprintf(format, a...), maxTold))
	}
}
