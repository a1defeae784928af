package provider

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// When a vendor that does not let us in is left alone.
const (
	refusalsToBar = 3           // in a row, with no call in between that went through
	barredFor     = time.Minute // then one call tries
)

// barring is a provider that is left alone while its vendor does not accept who we are: a
// token that was revoked fails the first few, and not five hundred.
type barring struct {
	Provider
	now     func() time.Time
	changed func(provider string, back bool, why string)

	mu      sync.Mutex
	refused int
	through bool // some call went through
	barred  bool
	until   time.Time // the next try
	why     *Error    // what the vendor said
}

type barringDumper struct {
	*barring
	dumper Dumper
}

// barringMover is one whose databases can be moved.
type barringMover struct {
	barringDumper
	mover Mover
}

// barringPurger is one that keeps copies of pages.
type barringPurger struct {
	*barring
	purger Purger
}

// Bar decorates a provider. Denied speaks of credentials, not of a wish: after three in a row
// nobody asks for a minute, then one call does, until one goes through. changed is told once
// when that begins, and once when it is over, and of the first call of all that goes through:
// what was told before a restart ends there; nil: nobody listens. One refusal alone, of one
// zone or repository say, stops nobody else.
func Bar(p Provider, now func() time.Time, changed func(provider string, back bool, why string)) Provider {
	if changed == nil {
		changed = func(string, bool, string) {}
	}
	b := &barring{Provider: p, now: now, changed: changed}
	switch x := p.(type) {
	case Mover:
		return barringMover{barringDumper{b, x}, x}
	case Dumper:
		return barringDumper{b, x}
	case Purger:
		return barringPurger{b, x}
	}
	return b
}

// Observe implements Provider.
func (b *barring) Observe(ctx context.Context, q Query) (out []Object, err error) {
	err = b.call("observe", func() error { out, err = b.Provider.Observe(ctx, q); return err })
	return out, err
}

// Owned implements Provider.
func (b *barring) Owned(ctx context.Context, installation string) (out []Object, err error) {
	err = b.call("observe", func() error { out, err = b.Provider.Owned(ctx, installation); return err })
	return out, err
}

// Create implements Provider.
func (b *barring) Create(ctx context.Context, w Wish) (out Object, err error) {
	err = b.call("create", func() error { out, err = b.Provider.Create(ctx, w); return err })
	return out, err
}

// Update implements Provider.
func (b *barring) Update(ctx context.Context, id string, w Wish) (out Object, err error) {
	err = b.call("update", func() error { out, err = b.Provider.Update(ctx, id, w); return err })
	return out, err
}

// Delete implements Provider.
func (b *barring) Delete(ctx context.Context, kind state.Kind, id string) error {
	return b.call("delete", func() error { return b.Provider.Delete(ctx, kind, id) })
}

// Dump implements Dumper.
func (b barringDumper) Dump(ctx context.Context, id, path string) error {
	return b.call("dump", func() error { return b.dumper.Dump(ctx, id, path) })
}

// Freeze implements Mover.
func (b barringMover) Freeze(ctx context.Context, id string) error {
	return b.call("freeze", func() error { return b.mover.Freeze(ctx, id) })
}

// Thaw implements Mover.
func (b barringMover) Thaw(ctx context.Context, id string) error {
	return b.call("thaw", func() error { return b.mover.Thaw(ctx, id) })
}

// Content implements Mover.
func (b barringMover) Content(ctx context.Context, id string) (out Content, err error) {
	err = b.call("compare", func() error { out, err = b.mover.Content(ctx, id); return err })
	return out, err
}

// Load implements Mover.
func (b barringMover) Load(ctx context.Context, id, path string) error {
	return b.call("load", func() error { return b.mover.Load(ctx, id, path) })
}

// Purge implements Purger.
func (b barringPurger) Purge(ctx context.Context, hosts []string) error {
	return b.call("purge", func() error { return b.purger.Purge(ctx, hosts) })
}

// call makes one call, or says what the vendor said before, in the same words: whoever waits
// tells nothing anew.
func (b *barring) call(op string, do func() error) error {
	b.mu.Lock()
	if now := b.now(); b.barred && now.Before(b.until) {
		e := &Error{Kind: Denied, Provider: b.Name(), Op: op, Message: b.why.Message, Code: b.why.Code, Until: b.until}
		b.mu.Unlock()
		return e
	} else if b.barred {
		b.until = now.Add(barredFor) // this call is the one that tries
	}
	b.mu.Unlock()
	err := do()
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e, ok := asError(err); {
	case ok && e.Kind == Denied:
		b.refused, b.why = b.refused+1, e
		if !b.barred && b.refused >= refusalsToBar {
			b.barred, b.until = true, b.now().Add(barredFor)
			b.changed(b.Name(), false, e.Message)
		}
	case ok && (e.Kind == Transient || e.Kind == RateLimited || e.Kind == Uncertain || e.Kind == Unsupported):
		// It says nothing about who we are.
	default:
		b.refused = 0
		if b.barred || !b.through {
			b.barred, b.through = false, true
			b.changed(b.Name(), true, "it lets us in again")
		}
	}
	return err
}

func asError(err error) (*Error, bool) {
	var e *Error
	if err == nil {
		return nil, false
	}
	if !errors.As(err, &e) {
		e = &Error{Kind: Uncertain}
	}
	return e, true
}
