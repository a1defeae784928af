package reconcile

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// The clock of this machine may be set, by a person, by NTP, after a start without one.
//
// Set forward, dates come earlier, by as much: nobody can tell that from time that passed
// while the machine slept. What must not come early at all is counted by a clock that nobody
// sets (apply.Runner.Elapsed): the looks that decide that a create did not happen, how
// long a build may take, and until when data is kept. While the program runs, both clocks are
// compared; what this machine's was put forward, dates of purges are put off (putOff). While it
// is down nothing is compared: that more passed than mostDown since anything was noted is not
// believed. (Both clocks are compared before a pass, a purge or a poll, and as a pass ends. What
// nobody sees is a clock that is set in the middle of a pass whose process dies before its end,
// and after something else was noted.) So data is kept longer by as much as a machine slept or the program was down; whoever
// wants it gone says `purge`.
//
// Set back, a date that was noted before lies further away, by as much; who waits for it would
// wait for a year where it was set back by a year. So that is noticed, by the latest time that
// was seen, and what lies in the future and can't is moved to now (redate); so is the date at which
// a client comes back whose pass ran meanwhile (datedNow). When a site was asked last is forgotten, where it is
// compared with what came since: no version counts as seen to serve well by an answer of the one before. Two kinds of dates
// stay, as nothing bad comes of waiting for them: until when data is kept, and what the guard
// counts within a day, which a person can approve. A clock that is put right again after that
// puts no purge off.

const (
	// clockSlack is how far the clock may be set before anything is done about it: waits that
	// are longer by so much are nobody's trouble.
	clockSlack = 5 * time.Second
	// mostDown is how much time may have passed by this machine's clock between what was noted
	// last and a start. The probes of sites note their runs, every five minutes by default.
	mostDown = time.Hour
	// clockSeen is where it stands what the clock showed when it was found to be set.
	clockSeen = "clock"
	// putOffTold is by how much a purge is put off at once before the history says so.
	putOffTold = 24 * time.Hour
)

// timeSeen is what this machine's clock showed at some moment of this process.
type timeSeen struct {
	wall time.Time
	up   time.Duration // by the clock that nobody sets
}

// keepTime notices that the clock was set, moves to now what waits for dates of before, and
// puts off what would come too early. It returns the clients that waited: they are due, and
// decide anew.
func (e *Engine) keepTime() ([]state.ClientID, error) {
	_, err := e.readTime()
	e.mu.Lock()
	defer e.mu.Unlock()
	woken := e.awake
	e.awake = nil
	return woken, err
}

// readTime is keepTime for who can't say who is due: the next keepTime does. It returns a time
// that is not later than what is on record is prepared for.
func (e *Engine) readTime() (time.Time, error) {
	e.timing.Lock() // nobody reads a date that is about to be put off
	defer e.timing.Unlock()
	now := e.Now().Round(0) // what is recorded knows only the time of day, too
	if !e.started() {
		return now, nil
	}
	up := e.Runner.Up()
	e.mu.Lock()
	latest, ahead, starts := e.latest, setBy(e.seen, e.latest, timeSeen{now, up}), e.seen.wall.IsZero()
	e.mu.Unlock()
	back := latest.Sub(now) > clockSlack
	var woken []state.ClientID
	if back || ahead != 0 {
		err := e.Store.Update(func(tx store.Tx) (err error) {
			woken = nil
			if err := putOff(tx, ahead, now); err != nil || !back {
				return err
			}
			if starts {
				if err := redateIntents(tx, now); err != nil {
					return err
				}
			}
			woken, err = e.redate(tx, now, latest)
			return err
		})
		if err != nil {
			return now, fmt.Errorf("the clock was set: %w", err) // it is noticed again
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seen = timeSeen{now, up}
	if back || now.After(e.latest) {
		e.latest = now
	}
	if back {
		e.backs++
		notLater(&e.judged, now) // what was redated may lie before it, and was not judged at its date
		e.told.Store(true)
		e.awake = append(e.awake, slices.DeleteFunc(woken, func(id state.ClientID) bool { return slices.Contains(e.awake, id) })...)
	}
	return now, nil
}

// setBy says by how much the clock was set forward since it was seen by this process, or
// negative: back. At a start the latest time on record stands for that: the clock was set back
// to before it, by no less; or it was set forward, by no more.
func setBy(seen timeSeen, latest time.Time, is timeSeen) time.Duration {
	var d time.Duration
	switch {
	case !seen.wall.IsZero():
		d = is.wall.Sub(seen.wall) - (is.up - seen.up)
	case latest.IsZero():
	case is.wall.Before(latest) || is.wall.Sub(latest) > mostDown:
		d = is.wall.Sub(latest)
	}
	if d.Abs() <= clockSlack {
		return 0
	}
	return d
}

// putOff puts off until when data is kept, where by all jumps together since then the clock was
// set forward.
func putOff(tx store.Tx, ahead time.Duration, now time.Time) error {
	if ahead == 0 {
		return nil
	}
	// A start that comes next compares with what it is now.
	if err := store.PutLastRun(tx, clockSeen, now); err != nil {
		return err
	}
	have, err := store.AllResources(tx)
	if err != nil {
		return err
	}
	for _, r := range have {
		if r.PurgeAfter.IsZero() {
			continue
		}
		before := max(r.Ahead, 0)
		r.Ahead += ahead
		later := max(r.Ahead, 0) - before
		r.PurgeAfter = r.PurgeAfter.Add(later)
		if err := store.PutResource(tx, r); err != nil {
			return err
		}
		if later < putOffTold {
			continue
		}
		c, _, err := store.Client(tx, r.Ref.Client)
		if err != nil {
			return err
		}
		text := fmt.Sprintf("its %s is kept until %s: the clock was set forward by %s, or the program did not run for so long", r.Ref.Kind, r.PurgeAfter.UTC().Format("2 January 2006"), later.Round(time.Hour))
		if _, err := store.AddHistory(tx, state.Entry{At: now, Client: c.ID, Name: c.Name, What: "put off", Text: text}); err != nil {
			return err
		}
	}
	return nil
}

// setBack is how often the clock was found to be set back so far.
func (e *Engine) setBack() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.backs
}

// datedNow is when the group of a pass comes back that would at the given date. A date that was
// worked out of what was read before the clock was set back is none by now: what on record waits
// for one was redated, and of that another pass works it out anew.
func (e *Engine) datedNow(g *group, at time.Time) time.Time {
	if e.setBack() != g.backs {
		notLater(&at, e.Now())
	}
	return at
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
	runs, err := store.LastRuns(tx)
	for name, at := range runs {
		if !strings.HasPrefix(name, pauses) {
			later(at)
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
		later(p.PlannedAt)
		later(p.ClosedAt)
	}
	return err
}

// redate moves to now what waits for a date that was noted when the clock was ahead. What a
// client waits for it is asked anew. It leaves nothing of what latestOf reads after now, or
// the next start would find the clock set back once more.
func (e *Engine) redate(tx store.Tx, now, latest time.Time) ([]state.ClientID, error) {
	woken, err := redateClients(tx, now)
	if err := errors.Join(err, redateRecord(tx, now), redateReports(tx, now), redatePulls(tx, now), redateRuns(tx, now)); err != nil {
		return nil, err
	}
	_, err = store.AddHistory(tx, state.Entry{At: now, What: "clock", Text: "this machine's clock was set back by " + latest.Sub(now).Round(time.Second).String()})
	return woken, err
}

// redateRuns lets schedules count from now, and providers be looked at again.
func redateRuns(tx store.Tx, now time.Time) error {
	runs, err := store.LastRuns(tx)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(runs)) {
		if at := runs[name]; notLater(&at, now) {
			if err := store.PutLastRun(tx, name, at); err != nil {
				return err
			}
		}
	}
	return nil
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
		unseen := c.HealthAt.After(now) || len(c.Undo) > 0
		if unseen { // when it was asked can't be compared with when its traffic was led on since (see keepsServing)
			c.HealthAt = time.Time{}
		}
		if dated := notLater(&c.UpdatedAt, now); !dated && !waits && !unseen {
			continue
		}
		if err := store.PutClient(tx, c); err != nil {
			return nil, err
		}
	}
	return woken, nil
}

// redateIntents is called at a start only: looks of this process go by when their intent was
// written.
func redateIntents(tx store.Tx, now time.Time) error {
	open, err := store.Intents(tx, "")
	if err != nil {
		return err
	}
	for _, i := range open {
		if notLater(&i.At, now) {
			if err := store.PutIntent(tx, i); err != nil {
				return err
			}
		}
	}
	return nil
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
		dated = notLater(&p.PlannedAt, now) || dated
		if dated = notLater(&p.ClosedAt, now) || dated; !dated {
			continue
		}
		if err := store.PutPull(tx, p); err != nil {
			return err
		}
	}
	return nil
}
