package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// Control carries out what commands ask for, whether they reach a running daemon over
// its socket or opened the state themselves.
type Control struct {
	Engine      *reconcile.Engine
	Daemon      *Daemon // nil: no daemon runs, what is asked for waits for the next one
	Log         *slog.Logger
	Fingerprint func(state.Secret) string
	Backup      func(path string) error
	Existing    func(ctx context.Context) (any, error)              // what the accounts hold, for adoption
	Propose     func(ctx context.Context, name string) (any, error) // a pull request that adopts a client's drift
	Tree        func(ctx context.Context, rev string) (commit string, files []accept.File, err error)

	most int64 // bytes of a request; 0: maxAsk
}

// Ask is what a command asks for. Op says which fields count.
type Ask struct {
	Op       string        `json:"op"`
	Names    []string      `json:"names,omitempty"`
	Name     string        `json:"name,omitempty"` // client, fingerprint, deployment or template
	Secret   string        `json:"secret,omitempty"`
	Value    string        `json:"value,omitempty"` // of a secret; never logged
	Path     string        `json:"path,omitempty"`
	Rev      string        `json:"rev,omitempty"`
	Files    []accept.File `json:"files,omitempty"`
	After    uint64        `json:"after,omitempty"`
	Limit    int           `json:"limit,omitempty"`
	By       string        `json:"by,omitempty"`
	Pin      bool          `json:"pin,omitempty"`
	Deadline time.Duration `json:"deadline,omitempty"`
}

// Log is what the op log answers.
type Log struct {
	Lines []state.LogLine `json:"lines"`
	Ended bool            `json:"ended"`
}

// SecretSet is what the op secret-set answers.
type SecretSet struct {
	Ref     state.SecretRef `json:"ref"`
	Clients int             `json:"clients"` // that use it and are planned again
}

// ErrUnknownOp: this daemon does not know what was asked for; it may be older than the
// command.
var ErrUnknownOp = errors.New("the running daemon does not know this command; is it older than this program?")

// Do carries out one request and returns what it answers, as a value for JSON.
func (c *Control) Do(ctx context.Context, a Ask) (any, error) {
	if a.Limit <= 0 {
		a.Limit = 100
	}
	if c.Daemon != nil {
		if err := c.Daemon.Started(ctx); err != nil {
			return nil, fmt.Errorf("%s: the daemon has not started: %w", a.Op, err)
		}
	}
	e := c.Engine
	switch a.Op {
	case "overview":
		return c.Overview()
	case "detail":
		return e.Detail(a.Name)
	case "history":
		return e.History(a.Name, a.Limit)
	case "deployments":
		return e.Deployments(a.Name, a.Limit)
	case "log":
		lines, ended, err := e.Log(a.Name, a.After, a.Limit)
		return Log{lines, ended}, err
	case "plan":
		return c.plan(ctx, a)
	case "drift":
		return e.Drift(ctx, a.Names)
	case "drift-adopt":
		return e.AdoptDrift(ctx, a.Name)
	case "drift-propose":
		if c.Propose == nil {
			return nil, fmt.Errorf("%w (%s)", ErrUnknownOp, a.Op)
		}
		return c.Propose(ctx, a.Name)
	case "bump":
		return e.Bump(ctx, a.Name, a.Rev, a.Pin)
	case "apply":
		return c.apply(ctx, a)
	case "retained":
		return e.Retained()
	case "dump":
		return nil, e.Dump(ctx, a.Name, a.Path)
	case "backup":
		return nil, c.Backup(a.Path)
	case "secrets":
		return e.Secrets(a.Name)
	case "existing":
		if c.Existing == nil {
			return nil, fmt.Errorf("%w (%s)", ErrUnknownOp, a.Op)
		}
		return c.Existing(ctx)
	}
	return c.change(ctx, a)
}

// change carries out what makes clients due.
func (c *Control) change(ctx context.Context, a Ask) (any, error) {
	e := c.Engine
	switch a.Op {
	case "approve":
		ids, told, err := e.ApproveTold(ctx, a.Name, a.By)
		c.add(reconcile.CauseApprove, ids...)
		if err == nil && c.Daemon != nil {
			c.Daemon.Hint() // what was approved may be the head itself
		}
		return told, err
	case "retry":
		stopped := c.stopped(a)
		id, err := e.Retry(a.Name, a.By)
		if err == nil {
			c.add(reconcile.CauseRetry, id)
		}
		return stopped, err
	case "pause", "resume":
		stopped := c.stopped(a)
		id, err := e.SetPaused(a.Name, a.Op == "pause", a.By)
		if err == nil {
			c.add(reconcile.CauseRetry, id)
		}
		return stopped, err
	case "adopt-confirm":
		v, err := e.ConfirmAdoption(ctx, a.Names, a.Limit, a.By)
		for _, t := range v.Clients { // what is still open of them goes on by itself
			if !t.Done {
				c.add(reconcile.CauseRetry, t.ID)
			}
		}
		return v, err
	case "purge":
		return e.PurgeNow(ctx, a.Name, a.By)
	case "secret-set":
		if err := c.inside(ctx, a); err != nil {
			return nil, err
		}
		ref, users, err := e.SetSecret(a.Name, a.Secret, state.NewSecret(a.Value), c.Fingerprint, a.By)
		c.add(reconcile.CauseSecret, users...)
		return SecretSet{ref, len(users)}, err
	case "secret-rm":
		if err := c.inside(ctx, a); err != nil {
			return nil, err
		}
		return nil, e.RemoveSecret(a.Name, a.Secret, a.By)
	case "secret-refresh":
		r, err := e.RefreshSecrets(ctx, reconcile.Refresh{Client: a.Name, Name: a.Secret, Anew: true, By: a.By})
		c.add(reconcile.CauseSecret, r.Clients...)
		return r, err
	}
	return nil, fmt.Errorf("%w (%s)", ErrUnknownOp, a.Op)
}

// inside refuses to set or forget what a source outside has: that would be undone by the
// next refresh.
func (c *Control) inside(ctx context.Context, a Ask) error {
	place, err := c.Engine.Outside(ctx, a.Name, a.Secret)
	if err == nil && place != "" {
		err = fmt.Errorf("%w: %s is kept outside: %s. Change it there; `reconciler secret refresh` reads it anew", reconcile.ErrRefused, a.Secret, place)
	}
	return err
}

func (c *Control) add(cause reconcile.Cause, ids ...state.ClientID) {
	if c.Daemon != nil {
		c.Daemon.Queue().Add(cause, ids...)
	}
}

// Overview is the engine's, and says when the branch is not followed right now: commands and
// pages say the same.
func (c *Control) Overview() (reconcile.Overview, error) {
	v, err := c.Engine.Overview()
	if c.Daemon == nil {
		return v, err
	}
	if lost := c.Daemon.PollError(); lost != nil {
		v.Notices = append(v.Notices, fmt.Sprintf("the branch can't be followed right now: %v; what is newer than the head that was accepted waits, and is read by the next poll that goes well", lost))
	}
	return v, err
}

// stopped says why a retry of a client that is paused, or waits in a hold of many, changes nothing for now, or a resume of
// a paused one; "": it does.
func (c *Control) stopped(a Ask) string {
	d, err := c.Engine.Detail(a.Name)
	if err != nil || a.Op == "pause" {
		return "" // the command itself says what is wrong
	}
	var known state.Client
	var holds []state.Hold
	err = c.Engine.Store.View(func(tx store.Tx) (err error) {
		if known, _, err = store.ClientByName(tx, d.Name); err == nil {
			holds, err = store.Holds(tx)
		}
		return err
	})
	h, bound := accept.Bound(holds, known.ID)
	switch {
	case err != nil || a.Op == "resume" && (known.Paused || known.Removed):
		return ""
	case d.Status != string(state.StatusPaused) && a.Op == "retry" && bound && !known.Removed:
		return "it waits with others, and nothing of it is tried before that is over: " + strings.TrimSuffix(h.Reason+" "+h.Act, ".")
	case d.Status != string(state.StatusPaused):
		return ""
	case a.Op == "resume":
		return "it stays paused: its manifest, or what that inherits, says `paused: true`; take that out with a commit"
	case known.Paused:
		return "it is paused, and nothing is tried before `reconciler resume " + d.Name + "`"
	}
	return "it is paused, and nothing is tried before `paused: true` is out of its manifest, or of what that inherits"
}

func (c *Control) plan(ctx context.Context, a Ask) (any, error) {
	commit, files := "", a.Files
	if files == nil {
		var err error
		if commit, files, err = c.Tree(ctx, a.Rev); err != nil {
			return nil, err
		}
	}
	return c.Engine.PreviewOf(ctx, commit, files, a.Names)
}

// apply polls, and waits until nothing is due any more.
func (c *Control) apply(ctx context.Context, a Ask) (any, error) {
	if c.Daemon == nil {
		return nil, errors.New("apply: no daemon to ask")
	}
	if err := c.Daemon.Settle(ctx); err != nil {
		return nil, err
	}
	return c.Engine.Overview()
}
