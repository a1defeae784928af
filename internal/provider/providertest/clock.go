package providertest

import (
	"context"
	"sync"
	"time"
)

// Clock is one that only tests and sleepers move.
type Clock struct {
	mu sync.Mutex
	at time.Time
}

// NewClock returns a clock that stands at a moment.
func NewClock() *Clock { return &Clock{at: time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)} }

// Now is the clock's time.
func (c *Clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.at }

// Move lets time pass.
func (c *Clock) Move(d time.Duration) { c.mu.Lock(); c.at = c.at.Add(d); c.mu.Unlock() }

// Sleep takes no time but the clock's.
func (c *Clock) Sleep(ctx context.Context, d time.Duration) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	c.Move(d)
	return nil
}
