package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// engine is an Engine whose parts a test says; what is left out does nothing.
type engine struct {
	due   []reconcile.Due
	group func(state.ClientID) []state.ClientID
	poll  func(context.Context) ([]state.ClientID, error)
	pass  func(context.Context, state.ClientID, reconcile.Cause) (reconcile.Done, error)

	mu      sync.Mutex
	stopped bool
	passed  []state.ClientID
}

func (e *engine) Start() ([]reconcile.Due, error) { return e.due, nil }

func (e *engine) Group(id state.ClientID) []state.ClientID {
	if e.group == nil {
		return []state.ClientID{id}
	}
	return e.group(id)
}

func (e *engine) Poll(ctx context.Context) ([]state.ClientID, error) {
	if e.poll == nil {
		return nil, nil
	}
	return e.poll(ctx)
}

func (e *engine) Pass(ctx context.Context, id state.ClientID, c reconcile.Cause) (reconcile.Done, error) {
	e.mu.Lock()
	e.passed = append(e.passed, id)
	e.mu.Unlock()
	if e.pass == nil {
		return reconcile.Done{}, nil
	}
	return e.pass(ctx, id, c)
}

func (e *engine) RecheckWanted() bool { return true }
func (e *engine) Stop()               { e.mu.Lock(); e.stopped = true; e.mu.Unlock() }
func (e *engine) Stopping() bool      { e.mu.Lock(); defer e.mu.Unlock(); return e.stopped }

// passes are the clients that were passed, in order.
func (e *engine) passes() []state.ClientID {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.passed)
}

// runs is a store of schedules' runs, and of nothing else.
type runs struct {
	store.Tx // the rest: whoever calls it fails the test
	mu       sync.Mutex
	records  map[string][]byte
}

func (r *runs) View(f func(store.Tx) error) error   { return f(r) }
func (r *runs) Update(f func(store.Tx) error) error { return f(r) }

func (r *runs) Get(bucket, key string, v any) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	data, ok := r.records[bucket+"/"+key]
	if !ok {
		return false, nil
	}
	return true, json.Unmarshal(data, v)
}

func (r *runs) Put(bucket, key string, v any) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.records == nil {
		r.records = map[string][]byte{}
	}
	data, err := json.Marshal(v)
	r.records[bucket+"/"+key] = data
	return err
}

// log is where a daemon's words go, to be read by a test.
type log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.buf.Write(p) }
func (l *log) String() string              { l.mu.Lock(); defer l.mu.Unlock(); return l.buf.String() }

func newDaemon(e *engine) (*Daemon, *log) {
	l := &log{}
	return &Daemon{Engine: e, Store: &runs{}, Log: slog.New(slog.NewTextHandler(l, nil)), Workers: 2, Now: time.Now, Every: 30 * time.Second}, l
}
