package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
)

// fakeScreen is a terminal: it understands what the live view sends, and nothing else. Lines
// that are too long break, as they do on a real one.
type fakeScreen struct {
	t        *testing.T
	width    int
	lines    []string // logical lines; the cursor is at the beginning of one, or at its end
	row, col int
	writes   int
}

func (s *fakeScreen) Write(p []byte) (int, error) {
	s.writes++
	text := string(p)
	for text != "" {
		switch {
		case strings.HasPrefix(text, "\x1b["):
			i := strings.IndexAny(text, "AKJ")
			if i < 0 {
				s.t.Fatalf("unknown sequence in %q", text)
			}
			n := 0
			_, _ = fmt.Sscan(text[2:i], &n) // none is 0
			switch text[i] {
			case 'A':
				s.up(n)
			case 'K':
				s.at()
				s.lines[s.row] = string([]rune(s.lines[s.row])[:s.col])
			case 'J':
				s.lines = s.lines[:min(s.row, len(s.lines))]
			}
			text = text[i+1:]
		case text[0] == '\n':
			s.row, s.col, text = s.row+1, 0, text[1:]
		case text[0] == '\r':
			s.col, text = 0, text[1:]
		default:
			r := []rune(text)[0]
			s.at()
			line := []rune(s.lines[s.row])
			if s.col < len(line) {
				line[s.col] = r
			} else {
				line = append(line, r)
			}
			s.lines[s.row] = string(line)
			s.col++
			text = text[len(string(r)):]
		}
	}
	if s.col != 0 {
		s.t.Errorf("the cursor stays in a line after %q", p)
	}
	return len(p), nil
}

func (s *fakeScreen) at() {
	for len(s.lines) <= s.row {
		s.lines = append(s.lines, "")
	}
}

// up goes up by rows of the fakeScreen, which may be parts of a line.
func (s *fakeScreen) up(n int) {
	for n > 0 {
		s.row--
		if s.row < 0 {
			s.t.Fatal("above the first line")
		}
		n -= max(1, (report.Columns(s.lines[s.row])+s.width-1)/s.width)
	}
	if n < 0 {
		s.t.Fatal("in the middle of a broken line")
	}
}

func (s *fakeScreen) shows(want ...string) {
	s.t.Helper()
	var got []string
	for _, l := range s.lines {
		got = append(got, strings.TrimRight(l, " "))
	}
	if d := cmp.Diff(want, got); d != "" {
		s.t.Errorf("the fakeScreen (-want +got):\n%s", d)
	}
}

func TestLiveView(t *testing.T) {
	s := &fakeScreen{t: t, width: 60}
	now := time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)
	height := 24
	l := &live{out: s, now: func() time.Time { return now }, size: func() (int, int) { return s.width, height }}
	p := &progress{out: s, names: func(id state.ClientID) string { return string(id) }, live: l, stop: func() {}}
	event := func(client, kind, st string, number int, took time.Duration, text string) {
		p.event(apply.Event{Step: plan.Step{Number: number, Action: plan.Create, Ref: state.Ref{Client: state.ClientID(client), Kind: state.Kind(kind), Name: "main"}}, State: st, Took: took, Text: text})
	}
	tick := func(d time.Duration) { now = now.Add(d); l.draw() }

	event("demoshop", "database", "running", 1, 0, "")
	event("bakery", "site", "running", 2, 0, "")
	event("demoshop", "site", "running", 2, 0, "")
	s.shows("► demoshop       database create, project create  0s", "► bakery         project create  0s")

	// Time goes on in its place, and a frame that is the same is not written.
	tick(3 * time.Second)
	s.shows("► demoshop       database create, project create  3s", "► bakery         project create  3s")
	writes := s.writes
	tick(100 * time.Millisecond)
	if s.writes != writes {
		t.Error("an equal frame was written again")
	}

	// What has ended stays as a line above.
	event("demoshop", "database", "done", 1, 3*time.Second, "")
	event("demoshop", "deployment", "log", 5, 0, "Rendered /")
	s.shows("✓ demoshop       database     create database/main (3s)", "| demoshop       deploy       Rendered /", "► demoshop       project create  3s", "► bakery         project create  3s")

	// The terminal becomes narrower: old lines break, the new ones fit, nothing is lost.
	s.width = 30
	tick(time.Second)
	s.shows("✓ demoshop       database     create database/main (3s)", "| demoshop       deploy       Rendered /", "► demoshop       project cre…", "► bakery         project cre…")
	s.width = 80

	// A log of several lines, and lines that try to write elsewhere.
	_, _ = p.Write([]byte("WRN one\nWRN two\n"))
	event("bakery", "site", "failed", 2, time.Second, "refused\x1b[2J\nby the vendor")
	want := []string{"✓ demoshop       database     create database/main (3s)", "| demoshop       deploy       Rendered /", "WRN one", "WRN two",
		`✗ bakery         project      create site/main (1s): refused\u001b[2J by the vendor`}
	s.shows(append(want, "► demoshop       project create  4s", "► bakery         …")...)
	tick(time.Second)
	s.shows(append(want, "► demoshop       project create  5s")...)

	// It tries again: still under way. Then it ends for now.
	event("demoshop", "site", "waiting", 2, 0, "try 2 of 4")
	want = append(want, "… demoshop       project      create site/main: try 2 of 4")
	s.shows(append(want, "► demoshop       project create  5s")...)
	event("demoshop", "site", "waiting", 2, 9*time.Second, "rate limited")
	want = append(want, "… demoshop       project      create site/main (9s): rate limited")
	tick(time.Second)
	s.shows(want...)

	// More clients than have room.
	height = 6
	for _, c := range []string{"a", "b", "c", "d", "e"} {
		event(c, "site", "running", 2, 0, "")
	}
	s.shows(append(want, "► a              project create  0s", "► b              project create  0s", "  and 3 more")...)

	// The end, also on Ctrl-C: what was under way goes, the lines stay.
	p.close()
	s.shows(want...)
}

// Without a terminal there are lines and no control characters.
func TestProgressInAPipe(t *testing.T) {
	var out buffer
	a := &app{err: &out, now: time.Now, env: func(string) string { return "" }}
	p := a.progress()
	p.names = func(state.ClientID) string { return "demoshop" }
	step := plan.Step{Number: 1, Action: plan.Create, Ref: state.Ref{Kind: state.KindDatabase, Name: "main"}}
	p.event(apply.Event{Step: step, State: "running"})
	p.event(apply.Event{Step: step, State: "done", Took: 1200 * time.Millisecond})
	p.close()
	if got, want := out.String(), "✓ demoshop       database     create database/main (1.2s)\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
