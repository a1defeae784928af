package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/compassdigital/reconciler/internal/drift"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// DriftRow is one field of a recorded object that is not as recorded.
type DriftRow struct {
	Client   string `json:"client"`
	Ref      string `json:"ref"`
	Provider string `json:"provider"`
	What     string `json:"what"` // gone | differs | foreign | unknown (the look failed)
	Text     string `json:"text,omitempty"`
	Next     string `json:"next,omitempty"` // what becomes of it, or what to do
	Field    string `json:"field,omitempty"`
	Before   string `json:"before,omitempty"` // recorded
	After    string `json:"after,omitempty"`  // found
	Secret   bool   `json:"secret,omitempty"` // the two are fingerprints
	// Policy is how the field is treated: heal, report or ignore; Reason and Until are an
	// ignore's.
	Policy string    `json:"policy,omitempty"`
	Reason string    `json:"reason,omitempty"`
	Until  string    `json:"until,omitempty"`
	Since  time.Time `json:"since,omitzero"` // the first look that saw it so
	Looks  int       `json:"looks,omitempty"`
	Fight  bool      `json:"fight,omitempty"`
	// LastLook is when the schedule last saw the client whole.
	LastLook time.Time `json:"lastLook,omitzero"`

	Advice []Part `json:"-"` // Next, taken apart, for the client's page
}

// Ignored says that the row is to be left as it is.
func (r DriftRow) Ignored() bool { return r.Policy == manifest.DriftIgnore }

func rowOfDrift(client string, d state.Drift, last time.Time) DriftRow {
	row := DriftRow{Client: client, Ref: string(d.Ref.Kind) + "/" + d.Ref.Name, Provider: d.Provider, What: "differs", Text: drift.Text(d), Next: drift.Next(d, client),
		Field: d.Field, Before: d.Before, After: d.After, Secret: d.Secret, Policy: d.Policy, Reason: d.Reason, Until: d.Until, Since: d.Since, Looks: d.Looks, Fight: d.Fight, LastLook: last}
	if d.Field == state.FieldGone || d.Field == state.FieldForeign {
		row.What = d.Field
	}
	return row
}

// Drift looks, now, at everything that is recorded of the named clients (none: of all,
// within the budget of one run) and says what is not as recorded. Nothing is changed, at
// the providers or in the state, and it counts as no look of the schedule.
func (e *Engine) Drift(ctx context.Context, names []string) ([]DriftRow, error) {
	ids, err := e.named(names)
	if err != nil {
		return nil, fmt.Errorf("drift: %w", err)
	}
	turns, err := e.lookOrder(ids)
	if err != nil {
		return nil, fmt.Errorf("drift: %w", err)
	}
	paused, err := e.pausedProviders()
	if err != nil {
		return nil, fmt.Errorf("drift: %w", err)
	}
	wait := time.Duration(0)
	if len(names) > 0 {
		wait = lookWait
	}
	out := []DriftRow{}
	s, err := e.newSurvey(paused, turns, len(names) > 0)
	if err != nil {
		return nil, fmt.Errorf("drift: %w", err)
	}
	for _, known := range turns {
		rows, err := e.driftOf(ctx, s, known, wait)
		if err != nil {
			return out, err
		}
		out = append(out, rows...)
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].Client < out[j].Client })
	return out, nil
}

// named are the ids of clients; nil for no names: all.
func (e *Engine) named(names []string) (ids []state.ClientID, err error) {
	if len(names) == 0 {
		return nil, nil
	}
	err = e.Store.View(func(tx store.Tx) error {
		ids = make([]state.ClientID, 0, len(names))
		for _, n := range names {
			c, err := e.clientByName(tx, n)
			if err != nil {
				return err
			}
			ids = append(ids, c.ID)
		}
		return nil
	})
	return ids, err
}

func (e *Engine) driftOf(ctx context.Context, s *survey, known state.Looked, wait time.Duration) ([]DriftRow, error) {
	live, saw, err := e.lookNow(ctx, s, known, wait)
	if err != nil {
		return nil, err
	}
	name := saw.client.Name
	out := []DriftRow{}
	for _, row := range live.Rows {
		out = append(out, rowOfDrift(name, row, known.At))
	}
	if saw.result.Failed != "" && name != "" {
		out = append(out, DriftRow{Client: name, What: "unknown", Text: saw.result.Failed, LastLook: known.At})
	}
	return out, nil
}

// errBusy: somebody else is at the client.
var errBusy = errors.New("a pass is under way")

// lookNow is what would be known of a client after a look at this moment. Whoever is at
// the client is waited for that long. One that can't be looked at now keeps what was known,
// and says why.
func (e *Engine) lookNow(ctx context.Context, s *survey, known state.Looked, wait time.Duration) (state.Looked, *seen, error) {
	var c state.Client
	err := e.Store.View(func(tx store.Tx) (err error) {
		c, _, err = store.Client(tx, known.Client)
		return err
	})
	if err != nil {
		return known, nil, fmt.Errorf("drift: %w", err)
	}
	blind := &seen{client: c, result: drift.Seen{Failed: "a pass is under way"}}
	enter := func() (func(), error) {
		turn, over := context.WithTimeout(ctx, wait)
		defer over()
		leave, err := e.enter(turn, []state.ClientID{known.Client})
		switch {
		case ctx.Err() != nil && err != nil:
			return nil, context.Cause(ctx)
		case err != nil:
			return nil, errBusy
		}
		return leave, nil
	}
	var saw *seen
	err = s.lookAt(ctx, known.Client, e.Now, enter, func(is *seen) error { saw = is; return nil })
	switch {
	case errors.Is(err, errBusy):
		return known, blind, nil
	case errors.Is(err, errLater):
		blind.result.Failed = "it is not looked at now: a write is unsettled, the budget of this look is used up, or its provider wants no more calls now"
		return known, blind, nil
	case err != nil:
		return known, nil, err
	}
	run := &lookRun{e: e, at: saw.result.At}
	live := drift.After(known, saw.result)
	for i := range live.Rows { // it is no look of the schedule
		live.Rows[i].Looks = 0
		if j := slices.IndexFunc(known.Rows, func(o state.Drift) bool {
			return o.Ref == live.Rows[i].Ref && o.Field == live.Rows[i].Field && o.Print == live.Rows[i].Print
		}); j >= 0 {
			live.Rows[i].Looks = known.Rows[j].Looks
		}
	}
	judge := run.newCase(saw)
	if judge.Rests == "" {
		judge.Rests = "the next scheduled look decides"
	}
	live, _ = drift.Judge(live, judge)
	return live, saw, nil
}
