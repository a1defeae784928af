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

// await polls an object until it is ready, has failed, took too long or is no longer
// wished. Its clock starts when it was made, so a restart adds nothing; from then on it is one
// that nobody sets. What a person
// has to do is not waited for here: the step waits, and a later pass looks again.
func (r *Runner) await(ctx context.Context, job Job, s plan.Step) (string, error) {
	var have state.Resource
	var ok bool
	err := r.Store.View(func(tx store.Tx) (err error) {
		have, ok, err = store.Resource(tx, s.Ref)
		return err
	})
	if err != nil {
		return "", &journalError{err}
	}
	if !ok || !have.Real() {
		return "", &errWait{err: fmt.Errorf("%s is not on record any more; the next pass plans it anew", s.Ref)}
	}
	p, traits, err := r.providerOf(have.Provider, s.Ref.Kind)
	if err != nil {
		return "", err
	}
	if have.Phase == "" || have.Phase == string(provider.Unreached) {
		return told(traits, have.Message), nil
	}
	limit := job.Await[s.Ref.Client]
	if limit <= 0 {
		limit = defaultAwait
	}
	if err := r.conceal(s.Ref.Client); err != nil {
		return "", err
	}
	wish, err := r.resolvable(job, have)
	if err != nil {
		return "", err
	}
	age, since, lines := max(0, r.Now().Sub(have.UpdatedAt)), r.Up(), &tail{}
	// Where the vendor's log can be followed, its lines come between the looks. How far the object is,
	// looks alone say.
	ctx, follow := provider.Following(ctx, have.ID, func(text string) { r.logLine(job, s, text, lines) })
	defer follow.End()
	for poll := firstPoll; ; poll = min(poll*2, maxPoll) {
		objects, err := p.Observe(ctx, provider.Query{Kind: s.Ref.Kind, ID: have.ID})
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		var over, behind string
		switch {
		case err != nil:
			if k := provider.KindOf(asRead(err)); k != provider.Transient && k != provider.RateLimited {
				return "", err
			}
			if have.Phase == string(provider.Manual) { // a look that failed says nothing of what a person did
				return "", &errWait{at: provider.UntilOf(err), err: &askError{have.Message}}
			}
			if until := provider.UntilOf(err); until.After(r.Now()) {
				poll = max(poll, until.Sub(r.Now()))
			}
		case len(objects) == 0:
			return "", &errWait{err: fmt.Errorf("%s %s is gone at %s; the next try makes it anew", have.Ref.Kind, have.ID, have.Provider), anew: true}
		default:
			r.logs(job, s, objects[0].Log, lines)
			switch objects[0].Phase {
			case provider.Ready, provider.Unreached, "":
				if behind = servesAnother(wish, objects[0]); behind == "" {
					return told(traits, objects[0].Message), r.phase(job, have, objects[0])
				}
			case provider.Manual:
				if err := r.phase(job, have, objects[0]); err != nil {
					return "", err
				}
				return "", &errWait{err: &askError{orElse(objects[0].Message, fmt.Sprintf("make the %s %s at %s", have.Ref.Kind, have.Name, have.Provider))}}
			case provider.Progressing:
				if have.Phase == string(provider.Manual) { // it was done: from now on it is a matter of time
					have.Phase, have.Message, have.UpdatedAt, age, since = string(provider.Progressing), "", r.Now(), 0, r.Up()
					if err := r.update(func(tx store.Tx) error { return store.PutResource(tx, have) }); err != nil {
						return "", err
					}
				}
			case provider.Unfinished: // another pass finishes it
				if err := r.phase(job, have, objects[0]); err != nil {
					return "", err
				}
				return "", &errWait{anew: true, err: fmt.Errorf("%s %s was made only in part at %s", have.Ref.Kind, have.ID, have.Provider)}
			case provider.Failed:
				over = orElse(provider.Line(objects[0].Message, maxLogLine), fmt.Sprintf("the %s failed, and %s does not say why", have.Ref.Kind, have.Provider))
			}
		}
		if over == "" && age+r.Up()-since >= limit {
			over = fmt.Sprintf("the %s was not ready after %s", have.Ref.Kind, limit)
			if behind != "" {
				over = have.Provider + " took the promotion, and after " + limit.String() + " " + behind
			}
		}
		if over != "" {
			return "", r.phaseFailed(have, over)
		}
		if job.superseded(s.Ref.Client) {
			return "", errSuperseded
		}
		if err := r.Sleep(ctx, poll); err != nil {
			return "", err
		}
	}
}

// servesAnother says that traffic is ready and serves something else than was asked for: a vendor that takes a promotion (202)
// may show for a while what served before, as ready, or never come to it. "": it serves what was wished.
func servesAnother(w provider.Wish, o provider.Object) string {
	want := w.Get("deployment")
	for _, a := range o.Attributes {
		if w.Ref.Kind == state.KindTraffic && a.Name == "deployment" && want != "" && a.Reveal() != want {
			return fmt.Sprintf("%s serves, and not %s", orElse(provider.Line(a.Reveal(), maxLogLine), "nothing"), want)
		}
	}
	return ""
}

// conceal tells what a build log must not repeat. The wish that was sent told it
// already, but for a build that an earlier process began.
func (r *Runner) conceal(id state.ClientID) error {
	if r.Conceal == nil {
		return nil
	}
	err := r.Store.View(func(tx store.Tx) error {
		for _, scope := range []string{string(id), "shared"} {
			refs, err := store.Secrets(tx, scope)
			if err != nil {
				return err
			}
			for _, ref := range refs {
				rec, ok, err := store.Secret(tx, ref.Scope, ref.Name, ref.Version)
				if err != nil {
					return err
				}
				if ok && len(rec.Text) > 0 {
					r.Conceal(state.NewSecret(string(rec.Text)))
				}
			}
		}
		return nil
	})
	if err != nil {
		return &journalError{err}
	}
	return nil
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// askError is what a person has to do before the client can go on.
type askError struct{ text string }

func (e *askError) Error() string { return e.text }

// Asked says that a step waits for a person, and what for.
func Asked(err error) (what string, ok bool) {
	var a *askError
	if errors.As(err, &a) {
		return a.text, true
	}
	return "", false
}

// told is what a ready object leaves to a person, as the step's note.
func told(t state.Traits, message string) string {
	if !t.Manual {
		return ""
	}
	return message
}

// phase records how far the object is, with what it gives. When and by what commit it
// was made stays; so does what a look does not tell.
func (r *Runner) phase(job Job, have state.Resource, o provider.Object) error {
	return r.update(func(tx store.Tx) error {
		if err := r.put(tx, job, have.Provider, have, o, have.Generation); err != nil {
			return err
		}
		now, ok, err := store.Resource(tx, have.Ref)
		if err != nil || !ok {
			return err
		}
		now.UpdatedAt, now.Commit, now.Site = have.UpdatedAt, have.Commit, have.Site
		return store.PutResource(tx, now)
	})
}

// phaseFailed records that the object came to nothing, and ends the step for good.
func (r *Runner) phaseFailed(have state.Resource, message string) error {
	have.Phase, have.Message = string(provider.Failed), message
	if err := r.update(func(tx store.Tx) error { return store.PutResource(tx, have) }); err != nil {
		return err
	}
	return &provider.Error{Kind: provider.Invalid, Provider: have.Provider, Op: "create", Message: message}
}

// keeper says whether a person keeps the site that a step is about, and what that person
// is asked to do: how long that takes is nobody's failure.
func (r *Runner) keeper(s plan.Step) (ask string, manual bool, err error) {
	_, traits, err := r.providerOf(s.Provider, s.Ref.Kind)
	if err != nil || !traits.Manual {
		return "", false, err
	}
	err = r.Store.View(func(tx store.Tx) error {
		all, err := store.Resources(tx, s.Ref.Client)
		ask = ""
		for _, have := range all {
			if have.Provider == s.Provider && have.Message != "" && have.Ref.Kind != state.KindRecord && have.Ref.Kind != state.KindDatabase {
				ask += have.Message + ". "
			}
		}
		return err
	})
	if err != nil {
		return "", true, &journalError{err}
	}
	return ask, true, nil
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
	since := r.Up()
	for poll := firstPoll; ; poll = min(poll*2, maxPoll) {
		err := job.Probe(ctx, t)
		if err == nil {
			return "answers well at " + t.URL, nil
		}
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		if job.superseded(s.Ref.Client) {
			return "", errSuperseded
		}
		if ask, manual, e := r.keeper(s); e != nil {
			return "", e
		} else if manual && s.Outside {
			return "", &errWait{err: &askError{fmt.Sprintf("%sThe site does not answer well at %s yet: %v", ask, t.URL, err)}}
		}
		if r.Up()-since >= defaultProbe {
			return "", &provider.Error{Kind: provider.Invalid, Provider: "health", Op: "probe", Message: err.Error(), Err: err}
		}
		if err := r.Sleep(ctx, poll); err != nil {
			return "", err
		}
	}
}
