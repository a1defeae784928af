package apply

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// errWait says that a step cannot go on now and may later.
type errWait struct {
	at   time.Time // zero: the caller's back-off decides
	err  error
	anew bool // the plan does not fit any more: only another one goes on
}

func (e *errWait) Error() string { return e.err.Error() }
func (e *errWait) Unwrap() error { return e.err }

// Anew says that a step waits for another plan: the same one comes no further.
func Anew(err error) bool {
	var w *errWait
	return errors.As(err, &w) && w.anew
}

// errPark says that only a person can decide.
type errPark struct{ reason string }

func (e *errPark) Error() string { return e.reason }

// errSuperseded ends a wait whose wish is no longer wished.
var errSuperseded = errors.New("a newer commit replaced this wish")

// journalError wraps a failure of the store itself: the pass ends at once.
type journalError struct{ err error }

func (e *journalError) Error() string { return "journal: " + e.err.Error() }
func (e *journalError) Unwrap() error { return e.err }

// update runs fn in a transaction; its failure ends the pass, but for errSuperseded, which is
// no failure of the store.
func (r *Runner) update(fn func(store.Tx) error) error {
	err := r.Store.Update(fn)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errSuperseded):
		return errSuperseded
	}
	return &journalError{err}
}

// step runs one step to its end, with retries. The error is the journal's or ctx's.
func (r *Runner) step(ctx context.Context, job Job, s plan.Step) (StepResult, error) {
	res := StepResult{Step: s, Started: r.Now()}
	r.emit(Event{Client: s.Ref.Client, Deployment: job.Deployment[s.Ref.Client], Step: s, State: "running"})
	ctx = provider.For(ctx, provider.Caller{Client: s.Ref.Client, New: !job.Clients[s.Ref.Client].EverDeployed})
	var note string
	var err error
	for res.Tries = 1; ; res.Tries++ {
		note, err = r.act(ctx, job, s)
		if err == nil || res.Tries >= callAttempts || !r.again(ctx, job, s, err, res.Tries) {
			break
		}
	}
	var je *journalError
	if errors.As(err, &je) {
		return res, err
	}
	if ctx.Err() != nil {
		return res, context.Cause(ctx)
	}
	if r.unsent(s, err) {
		note, err = "it was not sent, and nothing else waits for it: "+err.Error(), nil
	}
	res.Ended, res.Note, res.Err = r.Now(), note, err
	res.State, res.RetryAt = classify(err)
	return res, nil
}

// unsent says that a mail was refused for good. Whoever it was for reads nothing, and that is
// no reason to take a client's site back. It is not on record, so the client's next pass sends
// it, perhaps to a better address.
func (r *Runner) unsent(s plan.Step, err error) bool {
	if err == nil || s.Ref.Kind != state.KindMail || s.Action != plan.Create || provider.KindOf(err) != provider.Invalid {
		return false
	}
	open := true // of one whose answer was lost nobody can say that
	failed := r.Store.View(func(tx store.Tx) (err error) { _, open, err = store.Intent(tx, s.Ref); return err })
	return failed == nil && !open
}

// again waits before the next try, if there is to be one inside this pass.
func (r *Runner) again(ctx context.Context, job Job, s plan.Step, err error, tries int) bool {
	var w *errWait
	var p *errPark
	if errors.As(err, &w) || errors.As(err, &p) || errors.Is(err, errSuperseded) || ctx.Err() != nil {
		return false
	}
	wait := r.Jitter(firstBackOff << (tries - 1))
	switch provider.KindOf(err) {
	case provider.Transient:
	case provider.RateLimited:
		if until := provider.UntilOf(err); !until.IsZero() {
			wait = until.Sub(r.Now())
		}
		if wait > maxStepWait {
			return false
		}
	default:
		return false
	}
	if job.superseded(s.Ref.Client) {
		return false
	}
	r.emit(Event{Client: s.Ref.Client, Deployment: job.Deployment[s.Ref.Client], Step: s, State: "waiting", Attempt: tries,
		Text: fmt.Sprintf("%v; try %d of %d in %s", err, tries+1, callAttempts, wait.Round(100*time.Millisecond))})
	return r.Sleep(ctx, wait) == nil
}

// classify turns a step's last error into its state.
func classify(err error) (StepState, time.Time) {
	var w *errWait
	var p *errPark
	var u *errUnresolved
	var pe *provider.Error
	switch {
	case err == nil:
		return StepDone, time.Time{}
	case errors.Is(err, errSuperseded):
		return StepSuperseded, time.Time{}
	case errors.As(err, &p), errors.As(err, &u) && u.park:
		return StepParked, time.Time{}
	case errors.As(err, &w):
		return StepWaiting, w.at
	case errors.As(err, &pe):
		switch pe.Kind {
		case provider.Transient, provider.Uncertain, provider.Denied:
			return StepWaiting, pe.Until
		case provider.RateLimited:
			return StepWaiting, pe.Until
		case provider.Conflict:
			return StepParked, time.Time{}
		}
	}
	return StepFailed, time.Time{}
}

// Fault says that a step failed by an error of this program: a provider that refuses a wish,
// or asks for patience, says so in its kind, and what a step lacks a person can give.
func Fault(err error) bool {
	var pe *provider.Error
	var u *errUnresolved
	st, _ := classify(err)
	return st == StepFailed && !errors.As(err, &pe) && !errors.As(err, &u)
}

// act does what the step's action says, once. A write that an earlier try left open is
// settled first.
func (r *Runner) act(ctx context.Context, job Job, s plan.Step) (string, error) {
	if !s.Action.Writes() {
		r.at(BeforeIntent, s)
		note, err := r.note(ctx, job, s)
		if err == nil {
			r.at(AfterOutcome, s)
		}
		return note, err
	}
	happened, err := r.unsettled(ctx, job, s)
	if err != nil {
		return "", err
	}
	if happened && s.Action == plan.Mark {
		return "", nil
	}
	if happened && s.Wish != nil && s.Action != plan.Secure { // that one says by the phase whether it is done
		return r.made(ctx, job, s, "")
	}
	switch s.Action {
	case plan.Create:
		return r.create(ctx, job, s)
	case plan.Update, plan.Move:
		return r.change(ctx, job, s)
	case plan.Replace:
		return r.replace(ctx, job, s)
	case plan.Transfer:
		return r.transfer(ctx, job, s)
	case plan.Secure:
		return r.secure(ctx, job, s)
	case plan.Delete, plan.Purge:
		return r.remove(ctx, job, s)
	case plan.Mark:
		return r.label(ctx, job, s)
	}
	return "", fmt.Errorf("step %s: unknown action", s.Key())
}

// note does what writes nothing at a provider.
func (r *Runner) note(ctx context.Context, job Job, s plan.Step) (string, error) {
	switch s.Action {
	case plan.Retain, plan.Return, plan.Forget:
		return r.record(job, s)
	case plan.Adopt:
		return r.adopt(ctx, job, s)
	case plan.Await:
		return r.await(ctx, job, s)
	case plan.Probe:
		return r.probe(ctx, job, s)
	case plan.Refresh:
		return r.refresh(ctx, s), nil
	case plan.Record:
		if job.Plan.Adopting(s.Ref.Client) {
			return "", r.adopted(s.Ref.Client)
		}
		return "", nil
	}
	return "", fmt.Errorf("step %s: unknown action", s.Key())
}

// record does what needs no provider: retain, return, forget.
func (r *Runner) record(job Job, s plan.Step) (string, error) {
	err := r.update(func(tx store.Tx) error {
		have, ok, err := store.Resource(tx, s.Ref)
		if err != nil || !ok {
			return err
		}
		switch s.Action {
		case plan.Forget:
			if err := noteLived(tx, have); err != nil {
				return err
			}
			return store.DeleteResource(tx, s.Ref)
		case plan.Retain:
			if have.Retained() {
				return nil
			}
			now := r.Now()
			have.RetainedAt, have.PurgeAfter, have.Ahead = now, s.Until(now), 0
		case plan.Return:
			if _, erasing, err := store.Intent(tx, s.Ref); err != nil || erasing {
				if err == nil {
					err = &errWait{err: fmt.Errorf("%s is being erased, as its date has passed; the next pass looks", s.Ref)}
				}
				return err
			}
			have.RetainedAt, have.PurgeAfter, have.Ahead = time.Time{}, time.Time{}, 0
		}
		have.Commit = job.Commit
		return store.PutResource(tx, have)
	})
	var w *errWait
	if errors.As(err, &w) {
		return "", w
	}
	if err != nil {
		return "", err
	}
	switch {
	case s.Action == plan.Retain && s.Ref.Kind == state.KindAdmin:
		return "kept with its database", nil
	case s.Action == plan.Retain && s.Ref.Kind == state.KindPayments:
		return "left as it is at " + s.Provider + ": it is its owner's; close it there if it should go", nil
	case s.Action == plan.Retain && s.PurgeAfter.IsZero():
		return "kept for ever", nil
	case s.Action == plan.Retain:
		return "kept until " + s.Until(r.Now()).UTC().Format("2 January 2006"), nil
	}
	return "", nil
}

func generationOf(job Job, ref state.Ref) int { return job.Clients[ref.Client].Generation }

// asRead turns an uncertain read into a transient one: a read that failed changed
// nothing.
func asRead(err error) error {
	var pe *provider.Error
	if errors.As(err, &pe) && pe.Kind != provider.Uncertain {
		return err
	}
	e := &provider.Error{Kind: provider.Transient, Op: "observe", Message: "the look did not come through", Err: err}
	if pe != nil {
		e.Provider, e.Message, e.Code = pe.Provider, pe.Message, pe.Code
	}
	return e
}
