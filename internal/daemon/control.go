package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

// Control carries out what commands ask for, whether they reach a running daemon over
// its socket or opened the state themselves.
type Control struct {
	Engine      *reconcile.Engine
	Daemon      *Daemon // nil: no daemon runs, what is asked for waits for the next one
	Fingerprint func(state.Secret) string
	Backup      func(path string) error
	Tree        func(ctx context.Context, rev string) (commit string, files []accept.File, err error)
}

// Ask is what a command asks for. Op says which fields count.
type Ask struct {
	Op       string        `json:"op"`
	Names    []string      `json:"names,omitempty"`
	Name     string        `json:"name,omitempty"` // client, fingerprint or deployment
	Secret   string        `json:"secret,omitempty"`
	Value    string        `json:"value,omitempty"` // of a secret; never logged
	Path     string        `json:"path,omitempty"`
	Rev      string        `json:"rev,omitempty"`
	Files    []accept.File `json:"files,omitempty"`
	After    uint64        `json:"after,omitempty"`
	Limit    int           `json:"limit,omitempty"`
	By       string        `json:"by,omitempty"`
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

// maxAsk bounds a request: a tree of 10,000 manifests fits.
const maxAsk = 1 << 30

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
		return e.Overview()
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
	}
	return c.change(ctx, a)
}

// change carries out what makes clients due.
func (c *Control) change(ctx context.Context, a Ask) (any, error) {
	e := c.Engine
	switch a.Op {
	case "approve":
		ids, err := e.Approve(ctx, a.Name, a.By)
		c.add(reconcile.CauseApprove, ids...)
		return len(ids), err
	case "retry":
		id, err := e.Retry(a.Name, a.By)
		if err == nil {
			c.add(reconcile.CauseRetry, id)
		}
		return nil, err
	case "pause", "resume":
		id, err := e.SetPaused(a.Name, a.Op == "pause", a.By)
		if err == nil {
			c.add(reconcile.CauseRetry, id)
		}
		return nil, err
	case "purge":
		return e.PurgeNow(ctx, a.Name, a.By)
	case "secret-set":
		ref, users, err := e.SetSecret(a.Name, a.Secret, state.NewSecret(a.Value), c.Fingerprint, a.By)
		c.add(reconcile.CauseSecret, users...)
		return SecretSet{ref, len(users)}, err
	case "secret-rm":
		return nil, e.RemoveSecret(a.Name, a.Secret, a.By)
	}
	return nil, fmt.Errorf("%w (%s)", ErrUnknownOp, a.Op)
}

func (c *Control) add(cause reconcile.Cause, ids ...state.ClientID) {
	if c.Daemon != nil {
		c.Daemon.Queue().Add(cause, ids...)
	}
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
	if err := c.Daemon.Sync(ctx); err != nil {
		return nil, err
	}
	if err := c.Daemon.Queue().Idle(ctx); err != nil {
		return nil, err
	}
	return c.Engine.Overview()
}

// Problem is an error as it goes over the wire.
type Problem struct {
	Title string `json:"title"`
	Kind  string `json:"kind,omitempty"` // refused, no client, no hold: the caller's errors.Is
}

var kinds = map[string]error{"no client": reconcile.ErrNoClient, "no hold": reconcile.ErrNoHold, "refused": reconcile.ErrRefused,
	"no deployment": reconcile.ErrNoDeployment, "unknown op": ErrUnknownOp}

// ServeHTTP answers POST with an Ask.
func (c *Control) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var a Ask
	if r.Method != http.MethodPost {
		http.Error(w, "POST only", http.StatusMethodNotAllowed)
		return
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxAsk)).Decode(&a); err != nil {
		fail(w, http.StatusBadRequest, fmt.Errorf("read the request: %w", err))
		return
	}
	out, err := c.Do(r.Context(), a)
	if err != nil {
		fail(w, http.StatusUnprocessableEntity, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out) // the caller has gone: nothing is left to say
}

func fail(w http.ResponseWriter, status int, err error) {
	p := Problem{Title: err.Error()}
	for kind, is := range kinds {
		if errors.Is(err, is) {
			p.Kind = kind
		}
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(p)
}

// Listen opens the control socket, mode 0600. A socket that a dead daemon left is
// replaced; the state's own lock keeps two daemons apart.
func Listen(path string) (net.Listener, error) {
	if _, err := os.Stat(path); err == nil {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("open the control socket: %w", err)
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("open the control socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("open the control socket: %w", err), l.Close())
	}
	return l, nil
}

// ErrNoDaemon: nobody answers at the socket.
var ErrNoDaemon = errors.New("no daemon is running")

// Call asks the daemon behind a socket. out is decoded from the answer; nil ignores it.
func Call(ctx context.Context, socket string, a Ask, out any) error {
	caller := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, "unix", socket)
		if err != nil {
			return nil, ErrNoDaemon
		}
		return c, nil
	}}}
	body, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("ask the daemon: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://daemon/", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("ask the daemon: %w", err)
	}
	res, err := caller.Do(req)
	if err != nil {
		if errors.Is(err, ErrNoDaemon) {
			return ErrNoDaemon
		}
		return fmt.Errorf("ask the daemon: %w", err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, maxAsk))
	if err != nil {
		return fmt.Errorf("ask the daemon: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return asError(data)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("read the daemon's answer: %w", err)
	}
	return nil
}

// remote is an error from the daemon: its text, and what it is.
type remote struct {
	text string
	is   error
}

func (r *remote) Error() string { return r.text }
func (r *remote) Unwrap() error { return r.is }

func asError(data []byte) error {
	var p Problem
	if err := json.Unmarshal(data, &p); err != nil || p.Title == "" {
		return fmt.Errorf("the daemon answered: %s", strings.TrimSpace(string(data)))
	}
	return &remote{p.Title, kinds[p.Kind]}
}
