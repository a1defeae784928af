package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/report"
)

// livePace is how often the live view is drawn. A frame that is equal to the one before
// is not written.
const livePace = 200 * time.Millisecond

// live is what is under way, in the last lines of a terminal: one line a client, with
// its steps and how long they take. It is not safe for several goroutines.
//
// Design: A frame is one write: back to its first line, every line over the old one,
// the rest erased. So nothing flickers. The cursor is never hidden, and between frames it
// stands at the beginning of the line below: whatever ends the program leaves a terminal
// that works. No line is as wide as the terminal; when that becomes narrower, it breaks
// the old lines, and the way back counts them as broken.
type live struct {
	out  io.Writer
	now  func() time.Time
	size func() (columns, rows int)

	rows  []row
	drawn []int // width of the lines on the screen
	last  string
}

// row is one client. It keeps its place, and stays for a moment between two steps.
type row struct {
	client string
	steps  []under
	idle   time.Time // since when no step is under way
}

// under is one step under way.
type under struct {
	step, key string
	since     time.Time
}

// linger is how long a client's row stays without a step.
const linger = time.Second

// step notes what an event says of a step.
func (l *live) step(client, step string, e apply.Event) {
	i := slices.IndexFunc(l.rows, func(r row) bool { return r.client == client })
	if i < 0 {
		if e.State != "running" {
			return
		}
		i = len(l.rows)
		l.rows = append(l.rows, row{client: client})
	}
	r, key := &l.rows[i], e.Step.Key()
	at := slices.IndexFunc(r.steps, func(u under) bool { return u.key == key })
	switch {
	case e.State == "running" && at < 0:
		r.steps = append(r.steps, under{step, key, l.now()})
	case e.State == "running":
	case e.State == "waiting" && e.Took == 0: // it tries again
	case at >= 0:
		r.steps = slices.Delete(r.steps, at, at+1)
		r.idle = l.now()
	}
	if e.Step.Action == plan.Record && e.State != "running" {
		l.rows = slices.Delete(l.rows, i, i+1)
	}
	l.draw()
}

// draw brings the screen up to date.
func (l *live) draw() {
	frame := l.frame()
	if text := strings.Join(frame, "\n"); text != l.last {
		if err := l.write("", frame); err == nil { // else the next frame tries again
			l.last = text
		}
	}
}

// above writes whole lines over the live view, which moves down.
func (l *live) above(text []byte) (int, error) {
	frame := l.frame()
	l.last = strings.Join(frame, "\n")
	return len(text), l.write(string(text), frame)
}

// clear takes the live view off the screen.
func (l *live) clear() {
	l.rows = nil
	l.draw()
}

// write replaces the frame on the screen with lines that stay and a new frame.
func (l *live) write(above string, frame []string) error {
	columns, _ := l.size()
	var b strings.Builder
	up := 0
	for _, w := range l.drawn {
		up += max(1, (w+columns-1)/max(columns, 1))
	}
	if up > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\r", up)
	}
	for _, line := range strings.SplitAfter(above, "\n") {
		if line != "" {
			b.WriteString(strings.TrimSuffix(line, "\n") + "\x1b[K\n")
		}
	}
	l.drawn = l.drawn[:0]
	for _, line := range frame {
		b.WriteString(line + "\x1b[K\n")
		l.drawn = append(l.drawn, report.Columns(line))
	}
	if up > 0 {
		b.WriteString("\x1b[J")
	}
	_, err := io.WriteString(l.out, b.String())
	return err
}

// frame is what is under way, one line a client, as many as have room.
func (l *live) frame() []string {
	columns, rows := l.size()
	now := l.now()
	l.rows = slices.DeleteFunc(l.rows, func(r row) bool { return len(r.steps) == 0 && now.Sub(r.idle) >= linger })
	room := max(rows/2, 1) // the lines above it are worth seeing too
	var out []string
	for i, r := range l.rows {
		if i == room-1 && len(l.rows) > room {
			return append(out, report.Fit(fmt.Sprintf("  and %d more", len(l.rows)-i), columns-1))
		}
		text := fmt.Sprintf("► %-14s …", r.client)
		if len(r.steps) > 0 {
			var steps []string
			for _, u := range r.steps {
				steps = append(steps, u.step)
			}
			text = fmt.Sprintf("► %-14s %s  %s", r.client, strings.Join(steps, ", "), now.Sub(r.steps[0].since).Truncate(time.Second))
		}
		out = append(out, report.Fit(text, columns-1))
	}
	return out
}
