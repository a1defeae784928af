package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// progress tells how passes go on: a line for what has ended, which every pipe, log and
// terminal can show. On a terminal a live view below them has what is under way.
// It is also a writer for logs, so that the two don't write into each other.
type progress struct {
	mu    sync.Mutex
	out   io.Writer
	names func(state.ClientID) string
	live  *live // nil: no terminal
	stop  func()
}

// progress begins to tell on stderr; close ends it.
func (a *app) progress() *progress {
	p := &progress{out: a.err, stop: func() {}}
	f, ok := a.err.(*os.File)
	if !ok || !terminal(f) || a.env("TERM") == "dumb" {
		return p
	}
	p.live = &live{out: f, now: a.now, size: func() (int, int) {
		w, h, err := term.GetSize(int(f.Fd()))
		if err != nil {
			return 80, 24
		}
		return w, h
	}}
	tick := time.NewTicker(livePace)
	ended, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-ended:
				return
			case <-tick.C:
				p.mu.Lock()
				p.live.draw()
				p.mu.Unlock()
			}
		}
	}()
	p.stop = func() { tick.Stop(); close(ended); <-stopped }
	return p
}

// close takes the live view away; the lines stay.
func (p *progress) close() {
	p.stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.live != nil {
		p.live.clear()
	}
}

var stepSign = map[string]string{"done": "✓", "failed": "✗", "waiting": "…", "parked": "‖", "superseded": "»", "log": "|"}

// event takes what the runner tells.
func (p *progress) event(e apply.Event) {
	client, name := p.names(e.Step.Ref.Client), plan.StepName(e.Step.Number)
	if p.live != nil && e.State != "log" {
		p.mu.Lock()
		p.live.step(client, name+" "+string(e.Step.Action), e)
		p.mu.Unlock()
	}
	mark, shown := stepSign[e.State]
	if !shown {
		return // what begins or is left out shows by what ends
	}
	text := strings.TrimRight(fmt.Sprintf("%s %-14s %-12s %s %s", mark, client, name, e.Step.Action, e.Step.Ref.Part()), " ")
	if e.State == "log" {
		text = fmt.Sprintf("%s %-14s %-12s %s", mark, client, name, e.Text)
	} else {
		if e.Took >= 100*time.Millisecond {
			text += fmt.Sprintf(" (%s)", e.Took.Round(100*time.Millisecond))
		}
		if e.Text != "" {
			text += ": " + e.Text
		}
	}
	p.print(text)
}

// print tells one line.
func (p *progress) print(text string) {
	_, _ = io.WriteString(p, report.Line(text)+"\n") // nobody is left to tell
}

// Write implements io.Writer: whole lines, above what is under way.
func (p *progress) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.live == nil {
		return p.out.Write(text)
	}
	return p.live.above(text)
}

// show tells a program's progress and verdicts on out.
func (p *program) show(out *progress) {
	out.names = p.names
	p.emit.Store(out.event)
	p.tell.Store(func(r state.Report) {
		if commit, ok := strings.CutPrefix(r.Subject, "commit/"); ok && !strings.Contains(commit, "/") {
			out.print(fmt.Sprintf("= commit %s: %s: %s", short(commit), r.State, r.Text))
		}
	})
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
	return p.engine.Deliver(ctx, func(ctx context.Context, r state.Report) error {
		if r.Tries > 0 {
			return p.deliverTo(ctx, r) // it was logged
		}
		args := []any{"about", r.Subject, "state", r.State, "text", r.Text}
		if r.Detail != "" {
			args = append(args, "detail", r.Detail)
		}
		p.log.Info("verdict", args...)
		if f, ok := p.tell.Load().(func(state.Report)); ok {
			f(r)
		}
		return p.deliverTo(ctx, r)
	})
}

// deliverTo tells the forge, where there is one.
func (p *program) deliverTo(ctx context.Context, r state.Report) error {
	if p.reviewer == nil {
		return nil
	}
	return p.reviewer.Deliver(ctx, r)
}
