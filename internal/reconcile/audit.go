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
// pass that goes on names itself in it. Of a client only the newest record can be running,
// so that nobody looks through the others.

// The states of an audit record that others than its pass give it.
const (
	auditRunning     = "running"
	auditSucceeded   = "succeeded"
	auditInterrupted = "interrupted"
)

// Why a pass has no end.
const (
	noEnd    = "it ended without a result; the log says why"
	diedIn   = "the program ended while it was at work on it"
	ofBefore = "how it ended is not on record" // of a record that an older version left running
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
	if end.audit != auditSucceeded {
		d.Error = end.because
	}
	return store.PutDeployment(tx, d)
}

// cutAudit notes in the record of a pass that was cut off how that is told, or what became of it
// where it failed and a later pass went on with its undo.
func (m *member) cutAudit(tx store.Tx, id string, end ending, now time.Time) error {
	d, ok, err := store.Deployment(tx, id)
	switch {
	case err != nil || !ok:
		return err
	case end.cut != "" && d.State == auditRunning:
		d.Next = end.next
		err = interrupt(tx, &d, end.cut, now)
	case end.cut == "" && end.audit != "" && m.client.RollingBack != "" && d.State == auditInterrupted:
		d.State, d.Ended, d.Error, d.Next = end.audit, now, end.because, end.next
	default:
		return nil
	}
	if err != nil {
		return err
	}
	return store.PutDeployment(tx, d)
}

// wentOn names in the record of a pass that was cut off the one that goes on.
func wentOn(tx store.Tx, last, next string) error {
	d, ok, err := store.Deployment(tx, last)
	if err != nil || !ok || last == next || d.State != auditInterrupted || d.ContinuedBy != "" {
		return err
	}
	d.ContinuedBy = next
	return store.PutDeployment(tx, d)
}

// endLeft ends the records of these clients' passes that are told as running, and are not. It
// is called while nobody else passes them. Where there is none, nothing is written.
func (e *Engine) endLeft(clients []state.Client, why string) (found bool, err error) {
	var left []string
	err = e.Store.View(func(tx store.Tx) error {
		left = nil
		for _, c := range clients {
			is, ok, err := store.DeploymentState(tx, c.Deployment)
			if err != nil {
				return err
			}
			if ok && is == auditRunning {
				left = append(left, c.Deployment)
			}
		}
		return nil
	})
	if err == nil && len(left) > 0 {
		err = e.Store.Update(func(tx store.Tx) error { return endRunning(tx, left, why, e.Now()) })
	}
	if err != nil {
		return false, fmt.Errorf("end the records of passes that were cut off: %w", err)
	}
	return len(left) > 0, nil
}

// endRunning ends the records among these that are told as running.
func endRunning(tx store.Tx, ids []string, why string, now time.Time) error {
	for _, id := range ids {
		d, ok, err := store.Deployment(tx, id)
		if err != nil {
			return err
		}
		if !ok || d.State != auditRunning {
			continue
		}
		if err := interrupt(tx, &d, why, now); err != nil {
			return err
		}
		if err := store.PutDeployment(tx, d); err != nil {
			return err
		}
	}
	return nil
}

// interrupt ends a running record of which nobody knows more. An approval serves once more
// where none of the steps that it let run was begun.
func interrupt(tx store.Tx, d *state.Deployment, why string, now time.Time) error {
	d.State, d.Ended, d.Error = auditInterrupted, now, why
	begun := map[string]bool{}
	for i := range d.Steps {
		s := &d.Steps[i]
		how, err := stepNow(tx, *s, d.Started)
		if err != nil {
			return err
		}
		s.State = how
		for _, a := range s.Approved {
			begun[a] = begun[a] || how != stepToDo
		}
	}
	// Who reads its lines hears why they end.
	if _, err := store.AddLog(tx, state.LogLine{Deployment: d.ID, At: now, Text: auditInterrupted + ": " + why}); err != nil {
		return err
	}
	return unused(tx, begun)
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
