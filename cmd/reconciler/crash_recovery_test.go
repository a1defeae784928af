package main

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// Recovery is over when every intent that was open at a start is settled, or shows what it
// waits for and until when: what waits for a vendor's pause is as soon as it says so.
//
// Most kills aim at a process that is at work, so that slow recoveries are cut off more often
// than others: what is left of them says nothing. So of every few starts after a kill one is
// spared until it recovered, whatever it is like, and those alone are a fair sample. One that is
// cut off counts beside them, as one that takes at least as long as it lived.
const (
	recoverySoon = 5 * time.Second // 99 of 100 starts are sooner
	// slowStarts are so many starts with nothing to recover. In twelve runs of 200 kills where one takes some 50 ms, the
	// slowest recovery took 1.4 to 5.1 s (27 to 107 of them); in four beside other work, where one takes 108 to 146 ms,
	// 8 to 11.5 s (69 to 83).
	slowStarts = 100
)

// crashStart is one start of the program.
type crashStart struct {
	after  bool          // a kill came before
	spared bool          // nobody killed it before it recovered
	open   int           // intents; -1: it died before it knew
	took   time.Duration // until it recovered; of one that was cut off: until it ended
	cut    bool
	shown  bool // not all was settled: the rest says what it waits for
}

// recoveries are the groups of starts of which people are told, and the first two have to be soon.
var recoveries = []startGroup{
	{"starts with intents open that were spared", func(s crashStart) bool { return s.after && s.open > 0 && s.spared }},
	{"all with intents open", func(s crashStart) bool { return s.after && s.open > 0 }},
	{"every start after a kill", func(s crashStart) bool { return s.after }},
}

var nothingOpen = startGroup{"starts with nothing open", func(s crashStart) bool { return s.open == 0 && !s.cut }}

// startGroup is some of the starts.
type startGroup struct {
	name string
	has  func(crashStart) bool
}

func (c *crashCount) of(g startGroup) (out []crashStart) {
	for _, s := range c.starts {
		if g.has(s) {
			out = append(out, s)
		}
	}
	return out
}

// slow is how long a recovery may take: five seconds, and where a start with nothing to recover takes more than 50 ms,
// as the machine is slow or has other work to do, in proportion more.
func (c *crashCount) slow() time.Duration {
	return max(recoverySoon, slowStarts*percentile(c.of(nothingOpen), 50))
}

// soon wants 99 of 100 recoveries to be soon, and of fewer than 100 all but one. So many must
// have been spared.
func (c *crashCount) soon(t *testing.T, least int) {
	t.Helper()
	bound := c.slow()
	for n, g := range recoveries[:2] {
		all := c.of(g)
		if n := late(all, bound); n > max(1, len(all)/100) {
			t.Errorf("recovery takes %s or more %d times, of %s: %s", bound, n, g.name, figures(all))
		}
		if n == 0 && len(all) < least {
			t.Errorf("only %d %s, at least %d are wanted", len(all), g.name, least)
		}
	}
}

func late(all []crashStart, bound time.Duration) (n int) {
	for _, s := range all {
		if s.took >= bound {
			n++
		}
	}
	return n
}

func percentile(all []crashStart, p int) time.Duration {
	if len(all) == 0 {
		return 0
	}
	var took []time.Duration
	for _, s := range all {
		took = append(took, s.took)
	}
	slices.Sort(took)
	return took[min(len(took)-1, len(took)*p/100)].Round(time.Millisecond)
}

func figures(all []crashStart) string {
	cut, shown := 0, 0
	for _, s := range all {
		if s.cut {
			cut++
		}
		if s.shown {
			shown++
		}
	}
	text := fmt.Sprintf("%d, p50 %s, p99 %s, longest %s; %d were shown, not settled", len(all), percentile(all, 50), percentile(all, 99), percentile(all, 100), shown)
	if cut > 0 {
		text += fmt.Sprintf("; %d were cut off, and count with how long they lived", cut)
	}
	return text
}

// What was cut off counts with its life, and a slow machine makes recoveries slower.
func TestRecoveryFigures(t *testing.T) {
	start := func(open int, took time.Duration, cut, spared bool) crashStart {
		return crashStart{after: true, open: open, took: took, cut: cut, spared: spared}
	}
	for _, c := range []struct {
		name   string
		starts []crashStart
		late   int // beyond the bound, of all with intents open
		bound  time.Duration
	}{
		{"none", nil, 0, recoverySoon},
		{"cut off late", []crashStart{start(1, 6*time.Second, true, false), start(1, time.Second, false, true)}, 1, recoverySoon},
		{"cut off soon", []crashStart{start(1, time.Millisecond, true, false)}, 0, recoverySoon},
		{"a slow machine", []crashStart{start(0, time.Second, false, false), start(1, 99*time.Second, false, true)}, 0, 100 * time.Second},
		{"a slow machine, and late on it", []crashStart{start(0, 100*time.Millisecond, false, false), start(1, 10*time.Second, false, true)}, 1, 10 * time.Second},
		{"a fast machine", []crashStart{start(0, 10*time.Millisecond, false, false), start(1, 5*time.Second, false, true)}, 1, recoverySoon},
	} {
		count := newCrashCount(0)
		count.starts = c.starts
		bound := count.slow()
		if n := late(count.of(recoveries[1]), bound); bound != c.bound || n != c.late {
			t.Errorf("%s: %d late, bound %s", c.name, n, bound)
		}
	}
}
