package reconcile

import (
	"fmt"
	"strings"

	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// Progress takes what the runner tells: it is handed on at once to who watches, and
// kept as a line of the deployment's log. Lines are written together: at logFlush
// lines, after logWait, and with the end of the pass. A crash may lose the last second
// of text, nothing else.
func (e *Engine) Progress(ev apply.Event) {
	if e.Emit != nil {
		e.Emit(ev)
	}
	if ev.Deployment == "" {
		return
	}
	l := state.LogLine{Deployment: ev.Deployment, At: ev.At, Step: ev.Step.Key(), Text: line(ev)}
	e.mu.Lock()
	held := append(e.logs[ev.Deployment], l)
	e.logs[ev.Deployment] = held
	due := len(held) >= logFlush || ev.At.Sub(held[0].At) >= logWait
	e.mu.Unlock()
	if due {
		e.writeLogs(ev.Deployment)
	}
}

func line(ev apply.Event) string {
	name, what := plan.StepName(ev.Step.Number), strings.TrimSpace(string(ev.Step.Action)+" "+ev.Step.Ref.Part()) // the record has no name
	switch {
	case ev.State == "log":
		return ev.Text
	case ev.Text != "":
		return fmt.Sprintf("%s: %s: %s: %s", name, what, ev.State, ev.Text)
	}
	return fmt.Sprintf("%s: %s: %s", name, what, ev.State)
}

// takeLogs hands over the lines that are not written yet.
func (e *Engine) takeLogs(deployment string) []state.LogLine {
	e.mu.Lock()
	defer e.mu.Unlock()
	held := e.logs[deployment]
	delete(e.logs, deployment)
	return held
}

func (e *Engine) writeLogs(deployment string) {
	held := e.takeLogs(deployment)
	if len(held) == 0 {
		return
	}
	err := e.Store.Update(func(tx store.Tx) error {
		for _, l := range held {
			if _, err := store.AddLog(tx, l); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil { // progress text is not worth a pass: it comes again with the next lines
		e.mu.Lock()
		e.logs[deployment] = append(held, e.logs[deployment]...)
		e.mu.Unlock()
	}
}

func (e *Engine) flushLogs(job apply.Job) {
	for _, d := range job.Deployment {
		e.writeLogs(d)
	}
}
