package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// lines tells progress as lines: what a pipe, a log and a terminal can all show.
type lines struct {
	mu    sync.Mutex
	out   io.Writer
	names func(state.ClientID) string
}

func newLines(out io.Writer, names func(state.ClientID) string) *lines {
	return &lines{out: out, names: names}
}

var stepSign = map[string]string{"done": "✓", "failed": "✗", "waiting": "…", "parked": "‖", "superseded": "»", "log": "|"}

func (l *lines) event(e apply.Event) {
	mark, shown := stepSign[e.State]
	if !shown {
		return // what begins or is left out shows by what ends
	}
	name := plan.StepName(e.Step.Number)
	text := fmt.Sprintf("%s %-14s %-12s %s %s", mark, l.names(e.Step.Ref.Client), name, e.Step.Action, e.Step.Ref.Name)
	if e.State == "log" {
		text = fmt.Sprintf("%s %-14s %-12s %s", mark, l.names(e.Step.Ref.Client), name, e.Text)
	} else {
		if e.Took >= 100*time.Millisecond {
			text += fmt.Sprintf(" (%s)", e.Took.Round(100*time.Millisecond))
		}
		if e.Text != "" {
			text += ": " + e.Text
		}
	}
	l.print(text)
}

func (l *lines) print(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintln(l.out, oneLine(text))
}

// names returns a client's name for its id.
func (p *program) names(id state.ClientID) string {
	var c state.Client
	err := p.store.View(func(tx store.Tx) (err error) {
		c, _, err = store.Client(tx, id)
		return err
	})
	if err != nil || c.Name == "" {
		return string(id)
	}
	return c.Name
}

// deliver hands the outbox to the log, in order, and takes out what was delivered.
func (p *program) deliver(ctx context.Context) error {
	return p.engine.Deliver(ctx, func(_ context.Context, r state.Report) error {
		args := []any{"about", r.Subject, "state", r.State, "text", r.Text}
		if r.Detail != "" {
			args = append(args, "detail", r.Detail)
		}
		p.log.Info("verdict", args...)
		if f, ok := p.tell.Load().(func(state.Report)); ok {
			f(r)
		}
		return nil
	})
}
