package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/drift"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// Looks is what one run of scheduled looks came to.
type Looks struct {
	Due  []state.ClientID // what is to be mended, or was: a pass each
	New  []DriftRow       // what was not known before
	Seen int              // clients whose look was whole
	Left int              // clients whose turn comes in a later run: no budget, a pass under way, or a provider wants no more calls
	// Stopped says of each provider that was left alone for the rest of the run why.
	Stopped map[string]string
}

// pauses is where it is kept until when a provider wants no looks.
const pauses = "look at "

// Look is one scheduled run of looks over the fleet, those first who wait longest. It
// changes nothing at a provider: what it finds is recorded, told once, and (where policy
// and two equal looks say so) left to a pass.
func (e *Engine) Look(ctx context.Context) (Looks, error) {
	out := Looks{Stopped: map[string]string{}}
	at := e.Now()
	turns, err := e.lookOrder(nil)
	if err != nil {
		return out, fmt.Errorf("look: %w", err)
	}
	paused, err := e.pausedProviders()
	if err != nil {
		return out, fmt.Errorf("look: %w", err)
	}
	s, err := e.newSurvey(paused, turns, false)
	if err != nil {
		return out, err
	}
	if err := e.restLists(s); err != nil {
		return out, fmt.Errorf("look: %w", err)
	}
	run := &lookRun{e: e, at: at, out: &out, quota: e.mendQuota()}
	s.marks = true
	for _, l := range turns {
		if err := run.one(ctx, s, l); err != nil {
			return out, errors.Join(err, run.flush())
		}
	}
	for name, h := range s.stopped {
		out.Stopped[name] = h.why
	}
	return out, errors.Join(run.flush(), e.pauseProviders(s))
}

// lookRun is what a run of looks still has to write.
type lookRun struct {
	e     *Engine
	at    time.Time
	out   *Looks
	quota int            // clients that may begin to be mended
	quiet []state.Looked // nothing was found, and nothing was known
}

// lookOrder are the clients to look at, those first who wait longest; ids nil: all.
func (e *Engine) lookOrder(ids []state.ClientID) ([]state.Looked, error) {
	var out []state.Looked
	err := e.Store.View(func(tx store.Tx) error {
		known, err := store.AllLooked(tx)
		if err != nil {
			return err
		}
		by := make(map[state.ClientID]state.Looked, len(known))
		for _, l := range known {
			by[l.Client] = l
		}
		clients, err := store.Clients(tx)
		if err != nil {
			return err
		}
		out = make([]state.Looked, 0, len(clients))
		for _, c := range clients {
			if ids != nil && !slices.Contains(ids, c.ID) {
				continue
			}
			l := by[c.ID]
			l.Client = c.ID
			out = append(out, l)
		}
		return nil
	})
	now := e.Now()
	for i := range out {
		if out[i].Tried.After(now) {
			out[i].Tried = time.Time{} // the clock was set back since, and nobody knows how long it waits
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].Tried.Before(out[j].Tried) })
	return out, err
}

func (r *lookRun) one(ctx context.Context, s *survey, l state.Looked) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	died := 0 // at looks at it, in a row
	enter := func() (func(), error) {
		leave, busy := r.e.tryEnter([]state.ClientID{l.Client})
		if busy != nil {
			return nil, errLater
		}
		var c state.Client
		err := r.e.Store.View(func(tx store.Tx) (err error) { c, _, err = store.Client(tx, l.Client); return err })
		died = c.Deaths[workLook]
		if err == nil && !c.Quarantined.IsZero() {
			err = errQuarantined
		}
		var end func()
		ok := err == nil
		if ok {
			end, ok, err = r.e.beside(workLook, string(l.Client), died)
		}
		if err == nil && !ok {
			err = errLater
		}
		if err != nil {
			leave()
			return nil, err
		}
		return func() { end(); leave() }, nil
	}
	err := s.lookAt(ctx, l.Client, func() time.Time { return r.at }, enter, func(saw *seen) error {
		if died > 0 {
			if err := r.e.Store.Update(func(tx store.Tx) error { return besideWell(tx, l.Client, workLook) }); err != nil {
				return err
			}
		}
		return r.saw(l, saw)
	})
	switch {
	case errors.Is(err, errQuarantined):
		err = nil
	case errors.Is(err, errLater):
		r.out.Left++
		err = nil
	}
	if s.waited { // a run that waits is long: what it saw is not lost with the process
		err = errors.Join(err, r.flush())
	}
	return err
}

// saw notes a look. The client is entered.
func (r *lookRun) saw(l state.Looked, saw *seen) error {
	if err := r.e.noteAccounts(saw); err != nil {
		return err
	}
	if saw.result.Failed == "" {
		r.out.Seen++
	}
	if len(saw.result.Rows) == 0 && len(l.Rows) == 0 && len(l.Mends) == 0 {
		if r.quiet = append(r.quiet, drift.After(l, saw.result)); len(r.quiet) >= lookBatch {
			return r.flush()
		}
		return nil
	}
	return r.found(saw)
}

// flush notes the looks that found nothing.
func (r *lookRun) flush() error {
	if len(r.quiet) == 0 {
		return nil
	}
	todo := r.quiet
	r.quiet = nil
	err := r.e.Store.Update(func(tx store.Tx) error {
		for _, l := range todo {
			_, there, err := store.Client(tx, l.Client)
			if err != nil {
				return err
			}
			if !there {
				continue // it has gone meanwhile
			}
			if err := store.PutLooked(tx, l); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("note looks: %w", err)
	}
	return nil
}

// found records what a look found of a client, decides, and tells. The client is entered:
// no pass has changed it since.
func (r *lookRun) found(saw *seen) error {
	e := r.e
	c := r.newCase(saw)
	var begun bool
	var due []state.ClientID
	var fresh []DriftRow
	err := e.Store.Update(func(tx store.Tx) error {
		due, fresh, begun = nil, nil, false
		was, _, err := store.Looked(tx, saw.client.ID)
		if err != nil {
			return err
		}
		was.Client = saw.client.ID
		now, ok, err := store.Client(tx, saw.client.ID)
		if err != nil || !ok {
			return err
		}
		holds, err := store.Holds(tx)
		if err != nil {
			return err
		}
		judge := c
		if judge.Rests == "" {
			judge.Rests = rests(now, saw.client.Seq, holds)
		}
		l, begins := drift.Judge(drift.After(was, saw.result), judge)
		if begins && r.quota <= 0 {
			l, begins = drift.Postpone(l, was, "others are put back first"), false
		}
		begun = begins
		if begins || letGo(was, l) && now.Status == state.StatusHeld {
			due = append(due, now.ID)
			if err := e.wake(tx, now.ID, func(*state.Client) {}); err != nil {
				return err
			}
		}
		for _, row := range drift.Open(l.Rows) {
			if !hasSame(was.Rows, row) {
				fresh = append(fresh, rowOfDrift(now.Name, row, l.At))
			}
		}
		if err := e.tell(tx, now, was, &l, r.at); err != nil {
			return err
		}
		return store.PutLooked(tx, l)
	})
	if err != nil {
		return fmt.Errorf("note what a look found of %s: %w", saw.client.Name, err)
	}
	if begun {
		r.quota--
	}
	r.out.Due, r.out.New = append(r.out.Due, due...), append(r.out.New, fresh...)
	e.told.Store(true)
	return nil
}

// newCase is what decides about a client's rows, but for what is only known as it is written.
func (r *lookRun) newCase(saw *seen) drift.Case {
	e := r.e
	by := make(map[state.Ref]state.Resource, len(saw.recorded))
	for _, x := range saw.recorded {
		by[x.Ref] = x
	}
	traits := e.traits()
	c := drift.Case{Now: r.at, Resource: func(ref state.Ref) (state.Resource, state.Traits) {
		x := by[ref]
		return x, traits[x.Provider][ref.Kind]
	}}
	wishes, _ := e.resolver()
	eff, problems := e.effective(saw.client)
	c.Policy = eff.Drift
	switch w, frozen := plan.FreezeAt(windows(wishes.Platform()), e.Now()); {
	case problems.Failed():
		c.Rests = "its manifest breaks a rule"
	case eff.Paused:
		c.Rests = "it is paused"
	case frozen:
		c.Rests = "changes are frozen until " + w.To.UTC().Format("2 January 2006 15:04 MST")
	}
	return c
}

// rests says why nothing of a client is mended now, "" when it is at rest.
func rests(c state.Client, seq uint64, holds []state.Hold) string {
	switch {
	case c.Removed:
		return "its manifest is removed"
	case c.Paused:
		return "it is paused"
	case c.Seq != seq || !c.Settled:
		return "a change of it is under way"
	case c.Status != state.StatusActive:
		return "it is " + string(c.Status)
	}
	if _, bound := accept.Bound(holds, c.ID); bound {
		return "it is held"
	}
	return ""
}

// letGo says that something was to be mended and is not any more.
func letGo(was, now state.Looked) bool {
	for _, row := range was.Rows {
		if row.Mend && !slices.ContainsFunc(now.Rows, func(r state.Drift) bool { return r.Ref == row.Ref && r.Field == row.Field && r.Mend }) {
			return true
		}
	}
	return false
}

// hasSame says that people were told of the row already.
func hasSame(rows []state.Drift, row state.Drift) bool {
	return slices.ContainsFunc(rows, func(r state.Drift) bool {
		return r.Ref == row.Ref && r.Field == row.Field && r.Print == row.Print && r.Fight == row.Fight && r.Lapsed == row.Lapsed && (r.Policy == row.Policy || r.Policy != manifest.DriftIgnore)
	})
}

// tell puts what changed of a client's drift into the history and, once, into the outbox.
func (e *Engine) tell(tx store.Tx, c state.Client, was state.Looked, now *state.Looked, at time.Time) error {
	var errs firstError
	say := func(what, text string) {
		_, err := store.AddHistory(tx, state.Entry{At: at, Client: c.ID, Name: c.Name, Commit: c.Commit, What: what, Text: text})
		errs.add(err)
	}
	for _, row := range drift.Open(now.Rows) {
		if !hasSame(was.Rows, row) {
			say("drift", drift.Text(row)+"; "+drift.Next(row, c.Name))
		}
	}
	for _, row := range drift.Open(was.Rows) {
		if !slices.ContainsFunc(now.Rows, func(r state.Drift) bool { return r.Ref == row.Ref && r.Field == row.Field }) && !mended(*now, row, at) {
			say("drift ended", drift.Name(row)+" is as recorded again")
		}
	}
	told := drift.Told(now.Rows)
	if told == now.Told {
		return errs.err
	}
	now.Told = told
	word, text, detail := drift.Report(now.Rows, c.Name)
	_, err := store.AddReport(tx, state.Report{Subject: "client/" + c.Name + "/drift", State: word, Text: report.ClipWords(text, report.MaxStatus), Detail: detail, URL: c.URL, At: at})
	errs.add(err)
	return errs.err
}

// mended says that the row is gone because it was put back just now.
func mended(l state.Looked, row state.Drift, at time.Time) bool {
	return slices.ContainsFunc(l.Mends, func(m state.Mend) bool { return m.Ref == row.Ref && m.Field == row.Field && m.At.Equal(at) })
}

// mendQuota is how many clients one run of looks lets be mended: as many as a shared
// change may touch at once.
func (e *Engine) mendQuota() int {
	guard := e.Guard
	if wishes, _ := e.resolver(); wishes.Platform() != nil {
		guard = guard.Tightened(wishes.Platform().Guard)
	}
	return max(guard.MaxChanged, 1)
}

// pausedProviders are those that asked not to be asked, with their time.
func (e *Engine) pausedProviders() (map[string]time.Time, error) {
	out := map[string]time.Time{}
	err := e.Store.View(func(tx store.Tx) error {
		for _, p := range e.Providers {
			at, ok, err := store.LastRun(tx, pauses+p.Name())
			if err != nil {
				return err
			}
			if ok {
				out[p.Name()] = at
			}
		}
		return nil
	})
	return out, err
}

// pauseProviders keeps until when providers want no looks.
func (e *Engine) pauseProviders(s *survey) error {
	var names []string
	for name, h := range s.stopped {
		if e.Now().Before(h.until) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	return e.Store.Update(func(tx store.Tx) error {
		for _, name := range names {
			if err := store.PutLastRun(tx, pauses+name, s.stopped[name].until); err != nil {
				return err
			}
		}
		return nil
	})
}

// Stops is who was left alone and why, for the log.
func (l Looks) Stops() string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(l.Stopped)) {
		out = append(out, name+": "+l.Stopped[name])
	}
	return strings.Join(out, "; ")
}
