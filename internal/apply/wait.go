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

// Polling of what takes long: the first look comes soon, later ones seldom.
const (
	firstPoll = 250 * time.Millisecond
	maxPoll   = 5 * time.Second
)

func isJournal(err error) bool {
	var je *journalError
	return errors.As(err, &je)
}

// await polls a deployment until it is ready, has failed, took too long or is no
// longer wished. Its clock starts when it was created, so a restart adds nothing.
func (r *Runner) await(ctx context.Context, job Job, s plan.Step) (string, error) {
	p, _, err := r.providerOf(s.Provider, s.Ref.Kind)
	if err != nil {
		return "", err
	}
	var have state.Resource
	var ok bool
	err = r.Store.View(func(tx store.Tx) (err error) {
		have, ok, err = store.Resource(tx, s.Ref)
		return err
	})
	if err != nil {
		return "", &journalError{err}
	}
	if !ok || !have.Real() {
		return "", &errWait{err: fmt.Errorf("%s is not on record any more", s.Ref)}
	}
	limit := job.Await[s.Ref.Client]
	if limit <= 0 {
		limit = defaultAwait
	}
	begun, lines := have.UpdatedAt, 0
	for poll := firstPoll; ; poll = min(poll*2, maxPoll) {
		objects, err := p.Observe(ctx, provider.Query{Kind: s.Ref.Kind, ID: have.ID})
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		var over string
		switch {
		case err != nil:
			if k := provider.KindOf(asRead(err)); k != provider.Transient && k != provider.RateLimited {
				return "", err
			}
			if until := provider.UntilOf(err); until.After(r.Now()) {
				poll = max(poll, until.Sub(r.Now()))
			}
		case len(objects) == 0:
			return "", &errWait{err: fmt.Errorf("deployment %s is gone at %s", have.ID, s.Provider)}
		default:
			lines = r.logs(job, s, objects[0].Log, lines)
			switch objects[0].Phase {
			case provider.Ready, "":
				return "", r.phase(job, s, have, objects[0])
			case provider.Manual:
				if err := r.phase(job, s, have, objects[0]); err != nil {
					return "", err
				}
				return "", &errWait{err: errors.New(objects[0].Message)}
			case provider.Failed:
				over = orElse(objects[0].Message, "the deployment failed")
			}
		}
		if over == "" && r.Now().Sub(begun) >= limit {
			over = fmt.Sprintf("the deployment was not ready after %s", limit)
		}
		if over != "" {
			return "", r.phaseFailed(s, have, over)
		}
		if job.Superseded != nil && job.Superseded(s.Ref.Client) {
			return "", errSuperseded
		}
		if err := r.Sleep(ctx, poll); err != nil {
			return "", err
		}
	}
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// logs hands on the lines of a build log that are new, up to maxLogLines.
func (r *Runner) logs(job Job, s plan.Step, all []string, had int) int {
	for ; had < len(all) && had < maxLogLines; had++ {
		r.emit(Event{Client: s.Ref.Client, Deployment: job.Deployment[s.Ref.Client], Step: s, State: "log", Text: all[had]})
	}
	return had
}

// phase records that the object is ready (or waits for a person), with what it gives.
func (r *Runner) phase(job Job, s plan.Step, have state.Resource, o provider.Object) error {
	return r.update(func(tx store.Tx) error {
		return r.put(tx, job, s.Provider, have, o, have.Generation)
	})
}

// phaseFailed records that the object came to nothing, and ends the step for good.
func (r *Runner) phaseFailed(s plan.Step, have state.Resource, message string) error {
	have.Phase, have.Message = string(provider.Failed), message
	if err := r.update(func(tx store.Tx) error { return store.PutResource(tx, have) }); err != nil {
		return err
	}
	return &provider.Error{Kind: provider.Invalid, Provider: s.Provider, Op: "create", Message: message}
}

// probe asks the site for a good answer until it gives one or takes too long.
func (r *Runner) probe(ctx context.Context, job Job, s plan.Step) (string, error) {
	if job.Probe == nil {
		return "no health check", nil
	}
	t := Target{Client: job.Clients[s.Ref.Client], Outside: s.Outside, Step: s, URL: job.PublicURL[s.Ref.Client]}
	if !s.Outside {
		var have state.Resource
		err := r.Store.View(func(tx store.Tx) (err error) {
			have, _, err = store.Resource(tx, s.Ref)
			return err
		})
		if err != nil {
			return "", &journalError{err}
		}
		if t.URL = have.Outputs["url"].Literal; t.URL == "" {
			return "it has no address of its own; the public one is asked later", nil
		}
	}
	begun := r.Now()
	for poll := firstPoll; ; poll = min(poll*2, maxPoll) {
		err := job.Probe(ctx, t)
		if err == nil {
			return "answers well at " + t.URL, nil
		}
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		if job.Superseded != nil && job.Superseded(s.Ref.Client) {
			return "", errSuperseded
		}
		if r.Now().Sub(begun) >= defaultProbe {
			return "", &provider.Error{Kind: provider.Invalid, Provider: "health", Op: "probe", Message: err.Error(), Err: err}
		}
		if err := r.Sleep(ctx, poll); err != nil {
			return "", err
		}
	}
}
