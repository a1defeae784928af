package provider

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// maxPause bounds how long a vendor is left alone because it said so: a time that is wrong
// must not stop it for ever.
const maxPause = time.Hour

// heeding is a provider that nobody asks before the time that it gave: whoever comes earlier
// is told what it said, and no call goes out.
type heeding struct {
	Provider
	now func() time.Time

	mu    sync.Mutex
	until time.Time
}

// heedingDumper is one whose databases can be written out.
type heedingDumper struct {
	*heeding
	dumper Dumper
}

// heedingMover is one whose databases can be moved.
type heedingMover struct {
	heedingDumper
	mover Mover
}

// heedingPurger is one that keeps copies of pages.
type heedingPurger struct {
	*heeding
	purger Purger
}

// ByCall is a provider whose vendor has a limit for each call by itself: it keeps to them,
// and Heed leaves it as it is.
type ByCall interface{ LimitedByCall() }

// Heed decorates a provider. A vendor's limit is for all calls together: who runs into it
// first is the last one that does, until it is over. It stands inside of Conceal.
func Heed(p Provider, now func() time.Time) Provider {
	if _, ok := p.(ByCall); ok {
		return p
	}
	h := &heeding{Provider: p, now: now}
	switch x := p.(type) {
	case Mover:
		return heedingMover{heedingDumper{h, x}, x}
	case Dumper:
		return heedingDumper{h, x}
	case Purger:
		return heedingPurger{h, x}
	}
	return h
}

// Observe implements Provider.
func (h *heeding) Observe(ctx context.Context, q Query) (out []Object, err error) {
	err = h.call("observe", func() error { out, err = h.Provider.Observe(ctx, q); return err })
	return out, err
}

// Owned implements Provider.
func (h *heeding) Owned(ctx context.Context, installation string) (out []Object, err error) {
	err = h.call("observe", func() error { out, err = h.Provider.Owned(ctx, installation); return err })
	return out, err
}

// Create implements Provider.
func (h *heeding) Create(ctx context.Context, w Wish) (out Object, err error) {
	err = h.call("create", func() error { out, err = h.Provider.Create(ctx, w); return err })
	return out, err
}

// Update implements Provider.
func (h *heeding) Update(ctx context.Context, id string, w Wish) (out Object, err error) {
	err = h.call("update", func() error { out, err = h.Provider.Update(ctx, id, w); return err })
	return out, err
}

// Delete implements Provider.
func (h *heeding) Delete(ctx context.Context, kind state.Kind, id string) error {
	return h.call("delete", func() error { return h.Provider.Delete(ctx, kind, id) })
}

// Dump implements Dumper.
func (h heedingDumper) Dump(ctx context.Context, id, path string) error {
	return h.call("dump", func() error { return h.dumper.Dump(ctx, id, path) })
}

// Freeze implements Mover.
func (h heedingMover) Freeze(ctx context.Context, id string) error {
	return h.call("freeze", func() error { return h.mover.Freeze(ctx, id) })
}

// Thaw implements Mover.
func (h heedingMover) Thaw(ctx context.Context, id string) error {
	return h.call("thaw", func() error { return h.mover.Thaw(ctx, id) })
}

// Content implements Mover.
func (h heedingMover) Content(ctx context.Context, id string) (out Content, err error) {
	err = h.call("compare", func() error { out, err = h.mover.Content(ctx, id); return err })
	return out, err
}

// Load implements Mover.
func (h heedingMover) Load(ctx context.Context, id, path string) error {
	return h.call("load", func() error { return h.mover.Load(ctx, id, path) })
}

// Purge implements Purger. Vendors have a limit of its own for it, far below that of other
// calls: who runs into that one keeps nobody else.
func (h heedingPurger) Purge(ctx context.Context, hosts []string) (err error) {
	if e := h.call("purge", func() error { err = h.purger.Purge(ctx, hosts); return nil }); e != nil {
		return e
	}
	return err
}

// call makes one call, or says until when none is to be made.
func (h *heeding) call(op string, do func() error) error {
	now := h.now()
	h.mu.Lock()
	if h.until.Sub(now) > maxPause {
		h.until = time.Time{} // the clock was set back since
	}
	until := h.until
	h.mu.Unlock()
	if now.Before(until) {
		return &Error{Kind: RateLimited, Provider: h.Name(), Op: op, Message: "it asked for a pause until " + until.UTC().Format("15:04:05 MST"), Until: until}
	}
	err := do()
	if KindOf(err) != RateLimited || err == nil || errors.Is(err, ErrTurn) {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	until = UntilOf(err)
	if most := h.now().Add(maxPause); until.After(most) {
		until = most
	}
	if until.After(h.until) {
		h.until = until
	}
	return err
}
