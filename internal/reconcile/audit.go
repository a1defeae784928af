package reconcile

import (
	"fmt"
	"time"

	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// A pass's audit record says "running" while this process is at work on it, and never else.
// One that ended without a word is told as what it is, "interrupted": by the next start where
// the process died, by the client's next pass where it lived on (the disk was full). The
// next pass that begins anything names itself in it. A client's newest record is the
// only one that can be running, so that nobody looks through the others.

// The states of an audit record that others than its pass give it.
const (
	auditRunning     = "running"
	auditInterrupted = "interrupted"
)

// Why a pass has no end.
const (
	noEnd    = "it ended without a result"
	diedIn   = "the program ended while it was at work on it"
	copiedIn = "the state is an older copy, made while it was at work; how it went on is not known here"
)

// The states of a step that its pass did not come back from.
const (
	stepToDo = "pending"
	stepOpen = "unknown" // its intent is open, and will be looked into
)

// closeAudit writes how every step went.
func (e *Engine) closeAudit(tx store.Tx, m *member, result *apply.Result, end ending, now time.Time) error {
	d, ok, err := store.Deployment(tx, m.client.Deployment)
	if err != nil || !ok {
		return err
	}
	d.Steps = nil
	for _, r := range result.Of(m.client.ID) {
		run := state.StepRun{Number: r.Step.Number, Step: r.Step.Key(), Action: string(r.Step.Action), Ref: r.Step.Ref, Provider: r.Step.Provider,
			State: string(r.State), Attempt: r.Tries, Started: r.Started, Ended: r.Ended, Note: r.Note}
		if r.Err != nil {
			run.Error = sentence(r.Err)
		}
		d.Steps = append(d.Steps, run)
	}
	d.State, d.Ended, d.Next = end.audit, now, end.next
	if end.audit != "succeeded" {
		d.Error = end.because
	}
	return store.PutDeployment(tx, d)
}

// cutAudit ends the record of a pass that ended without a word, with the end of the pass that
// looked after it. What became of a rollback that was gone on with is how the failed pass ended.
func (m *member) cutAudit(tx store.Tx, id string, end ending, now time.Time) error {
	d, ok, err := store.Deployment(tx, id)
	if err != nil || !ok {
		return err
	}
	undone := m.client.RollingBack != "" && !end.cut && end.audit != ""
	switch {
	case undone && (d.State == auditRunning || d.State == auditInterrupted):
		d.State, d.Ended, d.Error, d.Next = end.audit, now, end.because, end.next
	case d.State != auditRunning:
		return nil
	case end.cut:
		d.Next = end.next
		err = interrupt(tx, &d, end.because, now)
	default:
		err = interrupt(tx, &d, noEnd, now)
	}
	if err != nil {
		return err
	}
	return store.PutDeployment(tx, d)
}

// wentOn names in the record of a pass that was cut off the one that goes on.
func wentOn(tx store.Tx, last, next string, now time.Time) error {
	d, ok, err := store.Deployment(tx, last)
	if err != nil || !ok || last == next {
		return err
	}
	if d.State == auditRunning {
		if err := interrupt(tx, &d, noEnd, now); err != nil {
			return err
		}
	}
	if d.State != auditInterrupted || d.ContinuedBy != "" {
		return nil
	}
	d.ContinuedBy = next
	return store.PutDeployment(tx, d)
}

// cutOffPasses ends the records of passes that a process before this one left running, of
// whom nothing else is known: it lost its power, or was ended after a stop had taken too
// long; or the state is a copy. It is called while nobody passes.
func (e *Engine) cutOffPasses(clients []state.Client) error {
	var left []string
	err := e.Store.View(func(tx store.Tx) error {
		left = nil
		for _, c := range clients {
			d, ok, err := store.Deployment(tx, c.Deployment)
			if err != nil {
				return err
			}
			if ok && d.State == auditRunning {
				left = append(left, d.ID)
			}
		}
		return nil
	})
	if err != nil || len(left) == 0 {
		return err
	}
	why := diedIn
	if e.old() {
		why = copiedIn
	}
	err = e.Store.Update(func(tx store.Tx) error {
		for _, id := range left {
			d, _, err := store.Deployment(tx, id)
			if err != nil {
				return err
			}
			if err := interrupt(tx, &d, why, e.Now()); err != nil {
				return err
			}
			if err := store.PutDeployment(tx, d); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("end the records of passes that were cut off: %w", err)
	}
	return nil
}

// interrupt ends a running record of which nobody knows more.
func interrupt(tx store.Tx, d *state.Deployment, why string, now time.Time) error {
	d.State, d.Ended, d.Error = auditInterrupted, now, why
	for i := range d.Steps {
		how, err := stepNow(tx, d.Steps[i], d.Started)
		if err != nil {
			return err
		}
		d.Steps[i].State = how
	}
	return nil
}

// stepNow is how far a step came whose pass nobody heard of again, by what is on record. An
// intent comes before every write, and its outcome with what is recorded.
func stepNow(tx store.Tx, s state.StepRun, since time.Time) (string, error) {
	action := plan.Action(s.Action)
	if s.State != stepToDo || !action.Writes() {
		return s.State, nil
	}
	_, open, err := store.Intent(tx, s.Ref)
	if err != nil || open {
		return stepOpen, err
	}
	have, on, err := store.Resource(tx, s.Ref)
	gone := action == plan.Delete || action == plan.Purge
	if err == nil && (gone && !on || !gone && on && have.Real() && !have.UpdatedAt.Before(since)) {
		return string(apply.StepDone), nil
	}
	return stepToDo, err
}
