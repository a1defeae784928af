package reconcile

import (
	"errors"
	"fmt"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// The clock of this machine may be set, by a person, by NTP, after a start without one.
//
// Set forward, dates come earlier, by as much: nobody can tell that from time that passed
// while the machine slept. What must not come early at all is counted by a clock that nobody
// sets (apply.Runner.Elapsed): the looks that decide that a create did not happen, and how
// long a build may take.
//
// Set back, a date that was noted before lies further away, by as much; who waits for it would
// wait for a year where it was set back by a year. So that is noticed, by the latest time that
// was seen, and what lies in the future and can't is moved to now (redate). Two kinds of dates
// stay, as nothing bad comes of waiting for them: until when data is kept, and what the guard
// counts within a day, which a person can approve.

// clockSlack is how far the clock may go back before anything is done about it: waits that are
// longer by so much are nobody's trouble.
const clockSlack = 5 * time.Second

// keepTime notices that the clock was set back, and moves to now what waits for dates of
// before. It returns the clients that waited: they are due, and decide anew.
func (e *Engine) keepTime() ([]state.ClientID, error) {
	now := e.Now().Round(0) // what is recorded knows only the time of day, too
	e.mu.Lock()
	back := e.latest.Sub(now) > clockSlack
	if back || now.After(e.latest) {
		e.latest = now
	}
	e.mu.Unlock()
	if !back {
		return nil, nil
	}
	var woken []state.ClientID
	err := e.Store.Update(func(tx store.Tx) (err error) {
		woken, err = e.redate(tx, now)
		return err
	})
	if err != nil {
		e.mu.Lock()
		e.latest = now.Add(2 * clockSlack) // it is noticed again
		e.mu.Unlock()
		return nil, fmt.Errorf("the clock was set back: %w", err)
	}
	e.told.Store(true)
	return woken, nil
}

// seesTime notes what time it is, of who writes dates and can't say who is due.
func (e *Engine) seesTime() {
	now := e.Now().Round(0)
	e.mu.Lock()
	defer e.mu.Unlock()
	if now.After(e.latest) {
		e.latest = now
	}
}

// latestOf is the latest time that the record shows as past.
func latestOf(tx store.Tx, clients []state.Client) (time.Time, error) {
	var out time.Time
	later := func(at time.Time) {
		if at.After(out) {
			out = at
		}
	}
	for _, c := range clients {
		later(c.UpdatedAt)
	}
	open, err := store.Intents(tx, "")
	for _, i := range open {
		later(i.At)
	}
	if err != nil {
		return out, err
	}
	last, err := store.History(tx, "", 1)
	for _, h := range last {
		later(h.At)
	}
	if err != nil {
		return out, err
	}
	gone, err := store.Tombstones(tx, "")
	for _, t := range gone {
		if !t.Done {
			later(t.At)
		}
	}
	if err != nil {
		return out, err
	}
	err = latestTold(tx, later)
	return out, err
}

// latestTold is latestOf of what is to be told, and of pull requests: nothing else is written
// while clients are at rest.
func latestTold(tx store.Tx, later func(time.Time)) error {
	reports, err := store.Reports(tx)
	for _, r := range reports {
		later(r.At)
	}
	if err != nil {
		return err
	}
	pulls, err := store.Pulls(tx)
	for _, p := range pulls {
		later(p.HeadAt)
		later(p.ClosedAt)
	}
	return err
}

// redate moves to now what waits for a date that was noted when the clock was ahead. What a
// client waits for it is asked anew.
func (e *Engine) redate(tx store.Tx, now time.Time) ([]state.ClientID, error) {
	woken, err := redateClients(tx, now)
	return woken, errors.Join(err, redateRecord(tx, now), redateReports(tx, now), redatePulls(tx, now))
}

// notLater is a time that can't lie after now.
func notLater(at *time.Time, now time.Time) bool {
	if !at.After(now) {
		return false
	}
	*at = now
	return true
}

func redateClients(tx store.Tx, now time.Time) (woken []state.ClientID, err error) {
	clients, err := store.Clients(tx)
	if err != nil {
		return nil, err
	}
	for _, c := range clients {
		waits := notLater(&c.RetryAt, now)
		if waits {
			woken = append(woken, c.ID)
		}
		if dated := notLater(&c.UpdatedAt, now); !dated && !waits {
			continue
		}
		if err := store.PutClient(tx, c); err != nil {
			return nil, err
		}
	}
	return woken, nil
}

// redateRecord is redate of what clients have, and of what was taken from them: a removal that
// waits for a date waits for its whole time from now on.
func redateRecord(tx store.Tx, now time.Time) error {
	have, err := store.AllResources(tx)
	if err != nil {
		return err
	}
	for _, r := range have {
		if notLater(&r.UpdatedAt, now) {
			if err := store.PutResource(tx, r); err != nil {
				return err
			}
		}
	}
	gone, err := store.Tombstones(tx, "")
	if err != nil {
		return err
	}
	for _, t := range gone {
		ahead := t.At.Sub(now)
		if t.Done || !notLater(&t.At, now) {
			continue
		}
		if !t.NotUntil.IsZero() {
			t.NotUntil = t.NotUntil.Add(-ahead)
		}
		if err := store.PutTombstone(tx, t); err != nil {
			return err
		}
	}
	return nil
}

func redateReports(tx store.Tx, now time.Time) error {
	all, err := store.Reports(tx)
	if err != nil {
		return err
	}
	for _, r := range all {
		if notLater(&r.At, now) {
			if err := store.PutReport(tx, r); err != nil {
				return err
			}
		}
	}
	return nil
}

func redatePulls(tx store.Tx, now time.Time) error {
	all, err := store.Pulls(tx)
	if err != nil {
		return err
	}
	for _, p := range all {
		dated := notLater(&p.RetryAt, now)
		dated = notLater(&p.HeadAt, now) || dated
		if dated = notLater(&p.ClosedAt, now) || dated; !dated {
			continue
		}
		if err := store.PutPull(tx, p); err != nil {
			return err
		}
	}
	return nil
}
