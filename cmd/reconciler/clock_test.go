package main

import (
	"cmp"
	"context"
	"sync/atomic"
	"time"
)

// haste is how much faster than real time a quickClock's waits pass. What a wait is for
// (a build, a site's answer) still gets a fair share of real time.
const haste = 20

// quickClock is the real time, but for waits, which it shortens: what they leave out of
// the real time is added to it.
type quickClock struct {
	ahead atomic.Int64
	haste int64 // 0: haste
}

func (c *quickClock) Now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func (c *quickClock) add(d time.Duration) { c.ahead.Add(int64(d)) }

// Sleep waits a small part of d.
func (c *quickClock) Sleep(ctx context.Context, d time.Duration) error {
	short := d / time.Duration(cmp.Or(c.haste, haste))
	if err := sleep(ctx, short); err != nil {
		return err
	}
	c.add(d - short)
	return nil
}
