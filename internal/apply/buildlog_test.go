package apply

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/plan"
)

func TestNewLinesOfALog(t *testing.T) {
	for _, c := range []struct{ name, seen, all, want string }{
		{"the first look", "", "a b", "a b"},
		{"it grows", "a b", "a b c d", "c d"},
		{"nothing new", "a b", "a b", ""},
		{"the window moves", "a b c", "b c d", "d"},
		{"the window has moved on", "a b c", "x y z", "x y z"},
		{"lines that repeat", "a a", "a a a", "a"},
		{"a line was half there", "a inst", "a install b", "install b"},
		{"a line was half there, and the window moves", "a b inst", "b install c", "install c"},
		{"shorter than before", "a b c", "c", ""},
	} {
		if got := after(strings.Fields(c.seen), strings.Fields(c.all)); !slices.Equal(got, strings.Fields(c.want)) {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}

// A log is told within bounds: each line, and how many; the end says where the rest is.
func TestLogsAreBounded(t *testing.T) {
	var told []string
	r := &Runner{Now: time.Now, Emit: func(e Event) { told = append(told, e.Text) }}
	s, seen := plan.Step{Provider: "ploi"}, &tail{}
	line := strings.Repeat("x", 10_000) + "\x1b[2J"
	for n := 1; n < 10; n++ {
		all := make([]string, n*(maxLogLines/8+1))
		for i := range all {
			all[i] = line
		}
		r.logs(Job{}, s, all, seen)
		r.logs(Job{}, s, nil, seen) // it could not be read
	}
	if len(told) != maxLogLines+1 || told[maxLogLines] != "the rest of the log is at ploi" {
		t.Errorf("%d lines, the last is %q", len(told), told[len(told)-1])
	}
	for _, l := range told {
		if len([]rune(l)) > maxLogLine+1 || strings.ContainsRune(l, 0x1b) {
			t.Fatalf("%q", l)
		}
	}
}
