package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/apply"
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

	under []under
	drawn []int // width of the lines on the screen
	last  string
}

// under is one step under way.
type under struct {
	client, step, key string
	since             time.Time
}

// step notes what an event says of a step.
func (l *live) step(client, step string, e apply.Event) {
	key := e.Step.Key()
	i := slices.IndexFunc(l.under, func(u under) bool { return u.key == key })
	switch {
	case e.State == "running" && i < 0:
		l.under = append(l.under, under{client, step, key, l.now()})
	case e.State == "running":
	case e.State == "waiting" && e.Took == 0: // it tries again, or goes on waiting
		return
	case i >= 0:
		l.under = slices.Delete(l.under, i, i+1)
	}
	l.draw()
}

// draw brings the screen up to date.
func (l *live) draw() {
	frame := l.frame()
	if text := strings.Join(frame, "\n"); text != l.last {
		l.write("", frame)
		l.last = text
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
	l.under = nil
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
	type row struct {
		client string
		steps  []string
		since  time.Time
	}
	var all []row
	for _, u := range l.under {
		i := slices.IndexFunc(all, func(r row) bool { return r.client == u.client })
		if i < 0 {
			i = len(all)
			all = append(all, row{client: u.client, since: u.since})
		}
		all[i].steps = append(all[i].steps, u.step)
	}
	room := max(rows/2, 1) // the lines above it are worth seeing too
	var out []string
	for i, r := range all {
		if i == room-1 && len(all) > room {
			out = append(out, report.Fit(fmt.Sprintf("  and %d more", len(all)-i), columns-1))
			break
		}
		took := l.now().Sub(r.since).Truncate(time.Second)
		out = append(out, report.Fit(fmt.Sprintf("► %-14s %s  %s", r.client, strings.Join(r.steps, ", "), took), columns-1))
	}
	return out
}
