package apply

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
)

// walk is one run over one plan. Only the goroutine that called Run reads and writes
// its fields; workers hand their results back over a channel.
type walk struct {
	runner  *Runner
	job     Job
	results []StepResult
	state   map[string]StepState // ended steps by key
	known   map[string]bool
	stopped map[state.ClientID]bool // a step failed for good: nothing new begins
}

// ready says whether the step may begin; ended is set when it never will.
func (w *walk) ready(s plan.Step) (may bool, ended StepState) {
	if s.Held != "" || s.Blocked {
		return false, StepSkipped
	}
	for _, n := range s.Needs {
		if !w.known[n] {
			continue // done before this plan was made
		}
		st, over := w.state[n]
		if !over {
			return false, ""
		}
		if st != StepDone {
			return false, StepSkipped
		}
	}
	if w.stopped[s.Ref.Client] {
		return false, StepSkipped
	}
	if w.job.superseded(s.Ref.Client) {
		return false, StepSuperseded
	}
	return true, ""
}

func (w *walk) end(i int, r StepResult) {
	w.results[i] = r
	w.state[r.Step.Key()] = r.State
	if r.State == StepFailed || r.State == StepParked {
		if w.stopped == nil {
			w.stopped = map[state.ClientID]bool{}
		}
		w.stopped[r.Step.Ref.Client] = true
	}
	w.runner.emit(Event{Client: r.Step.Ref.Client, Deployment: w.job.Deployment[r.Step.Ref.Client], Step: r.Step, State: string(r.State),
		Attempt: r.Tries, Text: textOf(r), Took: r.Ended.Sub(r.Started)})
}

func textOf(r StepResult) string {
	if r.Err != nil {
		return r.Err.Error()
	}
	return r.Note
}

// inOrder runs one step after another: the same plan and the same world give the
// same calls.
func (w *walk) inOrder(ctx context.Context) (Result, error) {
	for i, s := range w.job.Plan.Steps {
		may, ended := w.ready(s)
		if !may {
			if ended == "" {
				ended = StepSkipped // plan order satisfies Needs, so what it needs never ends
			}
			w.end(i, StepResult{Step: s, State: ended})
			continue
		}
		r, err := w.runner.step(ctx, w.job, s)
		if err != nil {
			return Result{w.results}, err
		}
		w.end(i, r)
	}
	return Result{w.results}, nil
}

// step runs one step in a goroutine of its own. A panic in it ends the run as a failed
// journal does: nothing is known of the step, and the next pass looks.
func (w *walk) step(ctx context.Context, s plan.Step) (r StepResult, err error) {
	err = Contain(s.Ref.Client, func() (err error) { r, err = w.runner.step(ctx, w.job, s); return err })
	return r, err
}

type finished struct {
	index  int
	result StepResult
	err    error
}

// sideBySide starts every step whose needs are done, up to Parallel at once.
func (w *walk) sideBySide(ctx context.Context) (Result, error) {
	done := make(chan finished)
	begun := make([]bool, len(w.results))
	running, left := 0, len(w.results)
	var fatal []finished
	for left > 0 {
		progress := false
		for i, s := range w.job.Plan.Steps {
			if begun[i] || len(fatal) > 0 {
				continue
			}
			may, ended := w.ready(s)
			if ended != "" {
				begun[i] = true
				left--
				progress = true
				w.end(i, StepResult{Step: s, State: ended})
				continue
			}
			if !may || running >= w.runner.Parallel {
				continue
			}
			begun[i] = true
			running++
			progress = true
			go func() {
				r, err := w.step(ctx, s)
				done <- finished{i, r, err}
			}()
		}
		if running == 0 {
			if progress && len(fatal) == 0 {
				continue
			}
			break
		}
		f := <-done
		running--
		left--
		if f.err != nil {
			fatal = append(fatal, f)
			continue
		}
		w.end(f.index, f.result)
	}
	// In the order of the plan, not of time: of several the first one is whose it was.
	slices.SortFunc(fatal, func(a, b finished) int { return cmp.Compare(a.index, b.index) })
	var errs []error
	for _, f := range fatal {
		errs = append(errs, f.err)
	}
	return Result{w.results}, errors.Join(errs...)
}
