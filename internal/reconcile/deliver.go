package reconcile

import (
	"context"
	"fmt"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// Limits of the outbox.
const (
	deliverBatch    = 200             // reports taken out in one transaction
	firstRedelivery = 2 * time.Second // doubled each time, to maxRedelivery
	maxRedelivery   = 10 * time.Minute
)

// Deliver hands the outbox to a sink, in order per subject, at least once, and takes
// out what was delivered. A subject whose report is refused waits with a back-off; the
// others go on. A later verdict of the same subject takes the place of earlier ones
// that were not delivered yet.
func (e *Engine) Deliver(ctx context.Context, sink func(context.Context, state.Report) error) error {
	e.delivering.Lock() // two at once would say the same twice
	defer e.delivering.Unlock()
	if !e.told.CompareAndSwap(true, false) {
		return nil // nothing was added since the outbox was empty: not even a read
	}
	e.seesTime()
	var waiting []state.Report
	err := e.Store.View(func(tx store.Tx) (err error) {
		waiting, err = store.Reports(tx)
		return err
	})
	if err != nil {
		e.told.Store(true)
		return fmt.Errorf("deliver: %w", err)
	}
	last := map[string]uint64{}
	for _, r := range waiting {
		last[r.Subject] = r.Seq
	}
	blocked, back := map[string]bool{}, e.retell.Swap(false)
	var gone []uint64
	var tried []state.Report
	var first error
	for _, r := range waiting {
		if len(gone)+len(tried) >= deliverBatch || ctx.Err() != nil {
			break
		}
		switch {
		case last[r.Subject] != r.Seq:
			gone = append(gone, r.Seq)
			continue
		case blocked[r.Subject] || (r.Tries > 0 && !back && e.Now().Before(r.At.Add(redelivery(r.Tries)))):
			continue
		}
		e.at(PointDeliver)
		if err := e.contain("", func() error { return sink(ctx, r) }); err != nil {
			blocked[r.Subject] = true
			if back {
				r.Tries = 0 // what kept it is over; this is something else
			}
			r.Tries, r.At = r.Tries+1, e.Now()
			tried = append(tried, r)
			if first == nil {
				first = fmt.Errorf("deliver %s: %w", r.Subject, err)
			}
			continue
		}
		e.at(PointDelivered)
		gone = append(gone, r.Seq)
	}
	if len(gone) < len(waiting) || ctx.Err() != nil {
		e.told.Store(true)
	}
	if err := e.tookOut(gone, tried); err != nil {
		e.told.Store(true)
		return err
	}
	return first
}

// Told says that something was put into the outbox by somebody else than the engine.
func (e *Engine) Told() { e.told.Store(true) }

// Retell says that whoever is told was away and is back: what waits is tried at once.
func (e *Engine) Retell() {
	e.retell.Store(true)
	e.told.Store(true)
}

func redelivery(tries int) time.Duration {
	d := firstRedelivery
	for ; tries > 1 && d < maxRedelivery; tries-- {
		d *= 2
	}
	return min(d, maxRedelivery)
}

func (e *Engine) tookOut(gone []uint64, tried []state.Report) error {
	if len(gone)+len(tried) == 0 {
		return nil
	}
	return e.Store.Update(func(tx store.Tx) error {
		for _, seq := range gone {
			if err := store.DeleteReport(tx, seq); err != nil {
				return err
			}
		}
		for _, r := range tried {
			if err := store.PutReport(tx, r); err != nil {
				return err
			}
		}
		return nil
	})
}
