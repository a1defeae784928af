package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// crashCount is what a run of kills came to.
type crashCount struct {
	sync.Mutex
	kills   int // that hit a process at work
	missed  int // that hit one with nothing to do, or none
	inside  map[string]int
	points  map[string]int
	how     map[string]int
	starts  []crashStart
	runs    int
	began   time.Time
	told    time.Time
	settled int // worlds that came to their end
	checks  int
	wanted  int

	copies    map[string]int // older states that were put back, by way
	comparing int            // kills of processes that were to compare one
	approvals int
	rebuilds  int
	bad       []string // why worlds failed
}

func newCrashCount(wanted int) *crashCount {
	return &crashCount{inside: map[string]int{}, points: map[string]int{}, how: map[string]int{}, copies: map[string]int{}, began: time.Now(), wanted: wanted}
}

func (c *crashCount) enough() bool {
	c.Lock()
	defer c.Unlock()
	return c.kills >= c.wanted || c.runs > 6*c.wanted+100
}

// failed notes why a world failed: it is said once more at the end, below what it went through.
func (c *crashCount) failed(why string) {
	c.Lock()
	defer c.Unlock()
	c.bad = append(c.bad, why)
}

// note counts how a process ended that was to be killed.
func (c *crashCount) note(e crashEnd, how string, s crashStart) {
	c.Lock()
	defer c.Unlock()
	c.runs++
	if e.killed && e.busy {
		c.kills++
		c.how[how]++
	} else {
		c.missed++
	}
	if time.Since(c.began) > crashProgress && time.Since(c.told) > crashProgress {
		c.told = time.Now()
		fmt.Fprintf(os.Stderr, "crash: %d kills of a process at work, %s\n", c.kills, time.Since(c.began).Round(time.Second))
	}
	s.open, s.took, s.cut, s.shown = e.open, e.recovered, e.recovered == 0, e.how == "shown"
	if s.cut {
		s.took = e.ran
	}
	c.starts = append(c.starts, s)
}

func (c *crashCount) report(t *testing.T) {
	c.Lock()
	defer c.Unlock()
	took := time.Since(c.began)
	inside := 0
	for _, n := range c.inside {
		inside += n
	}
	t.Logf("%d kills of a process at work in %s (%d ms each), %d others; %d worlds came to their end, %d checks in between", c.kills, took.Round(time.Second),
		took.Milliseconds()/int64(max(c.kills, 1)), c.missed, c.settled, c.checks)
	t.Logf("kills by way: %s", tally(c.how))
	t.Logf("calls whose caller died meanwhile: %d (%s)", inside, tally(c.inside))
	t.Logf("named points: %s", tally(c.points))
	t.Logf("older states put back: %s; %d kills before one was compared; %d approvals and %d rebuilds were asked for", tally(c.copies), c.comparing, c.approvals, c.rebuilds)
	for _, g := range recoveries {
		t.Logf("recovery of %s: %s", g.name, figures(c.of(g)))
	}
	t.Logf("starts with nothing to recover: %s; slow is more than %s", figures(c.of(nothingOpen)), c.slow())
	for _, why := range c.bad {
		t.Logf("failed: %s", why)
	}
}

func tally(m map[string]int) string {
	var out []string
	for _, k := range sortedKeys(m) {
		out = append(out, fmt.Sprintf("%s %d", k, m[k]))
	}
	return strings.Join(out, ", ")
}
