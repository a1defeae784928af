package github

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/forge"
)

// importance says which writes give way when there is room for few.
type importance int

const (
	aside    importance = iota // paced, but of no budget: asking for a delivery again
	progress                   // pending statuses, deployments in progress, reactions
	telling                    // comments, checks, suggestions, new deployments
	final                      // how something ended
)

// share is how much of a budget writes of an importance may use up, in percent.
func (i importance) share() int {
	switch i {
	case progress:
		return 60
	case telling:
		return 85
	}
	return 100
}

// budget is how many writes GitHub allows in a window.
type budget struct {
	window time.Duration
	most   int
}

// budgets are those of docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api:
// requests that create content, of one account.
func budgets() []budget { return []budget{{time.Minute, 80}, {time.Hour, 500}} }

// Bounds of what a limit may ask for.
const (
	firstPause = time.Minute      // of a limit that does not say how long; then doubled
	mostPause  = 15 * time.Minute // of one that does not say
	maxPause   = 2 * time.Hour    // of one that says; longer ones are asked again then
	writePause = time.Second      // between writes, as GitHub advises
	maxTurn    = 10 * time.Second // a write waits for its turn; longer: the caller comes again
	maxAtOnce  = 16               // requests at the same time; GitHub allows 100
)

// gate lets calls through to GitHub.
type gate struct {
	now   func() time.Time
	sleep func(context.Context, time.Duration) error
	pause time.Duration
	slots chan struct{}
	log   *slog.Logger

	mu     sync.Mutex
	until  time.Time   // nothing is sent before
	streak int         // limits in a row that did not say how long
	writes []time.Time // of the longest window, the oldest first
	next   time.Time   // the turn of the next write
	calls  int64
}

// enter waits for a call's turn and returns what ends it. Its error is a *forge.Limited,
// or the context's.
func (g *gate) enter(ctx context.Context, writing bool, of importance) (leave func(), err error) {
	if writing {
		wait, err := g.book(of)
		if err != nil {
			return nil, err
		}
		if wait > 0 {
			if err := g.sleep(ctx, wait); err != nil {
				return nil, err
			}
		}
	}
	select {
	case g.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	// A limit may have been met while this one waited.
	if err := g.open(); err != nil {
		<-g.slots
		return nil, err
	}
	return func() { <-g.slots }, nil
}

// open says whether no limit holds.
func (g *gate) open() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closed(g.now())
}

func (g *gate) closed(now time.Time) error {
	if left := g.until.Sub(now); left <= 0 || left > maxPause { // longer: the clock was set back
		return nil
	}
	return &forge.Limited{Until: g.until}
}

// book takes a write's place in the budgets and says how long it waits for its turn.
func (g *gate) book(of importance) (time.Duration, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	if err := g.closed(now); err != nil {
		return 0, err
	}
	if of != aside {
		if until := g.full(now, of); !until.IsZero() {
			return 0, &forge.Limited{Until: until}
		}
	}
	if g.next.Sub(now) > maxTurn+g.pause { // the clock was set back
		g.next = now
	}
	turn := now
	if g.next.After(now) {
		turn = g.next
	}
	if turn.Sub(now) > maxTurn {
		return 0, &forge.Limited{Until: turn}
	}
	g.next = turn.Add(g.pause)
	if of != aside {
		g.writes = append(g.writes, now)
	}
	return turn.Sub(now), nil
}

// undone gives a write's place in the budgets back: GitHub did nothing of it.
func (g *gate) undone() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.writes = g.writes[:max(0, len(g.writes)-1)] // which one of the last minute is nearly the same
}

// full says until when a budget has no room for a write of this importance; zero: it has.
func (g *gate) full(now time.Time, of importance) time.Time {
	var until time.Time
	for _, b := range budgets() {
		from := now.Add(-b.window)
		in := slices.DeleteFunc(slices.Clone(g.writes), func(at time.Time) bool { return !at.After(from) || at.After(now) })
		if b.window == time.Hour {
			g.writes = in // the longest window is all that is kept
		}
		allowed := b.most * of.share() / 100
		if len(in) < allowed {
			continue
		}
		if free := in[len(in)-allowed].Add(b.window); free.After(until) {
			until = free
		}
	}
	return until
}

// passed ends a row of limits that did not say how long.
func (g *gate) passed() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls++
	if !g.until.After(g.now()) {
		g.streak = 0
	}
}

// limited says whether an answer is a limit, and closes the gate. GitHub says it with 403
// and 429 alike, and with or without a time.
func (g *gate) limited(code int, h http.Header, documentation string) *forge.Limited {
	after, reset := h.Get("Retry-After"), h.Get("X-RateLimit-Reset")
	spent := h.Get("X-RateLimit-Remaining") == "0"
	secondary := strings.Contains(documentation, "secondary-rate-limits") || strings.Contains(documentation, "abuse-rate-limits")
	if code != http.StatusTooManyRequests && (code != http.StatusForbidden || after == "" && !spent && !secondary) {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	pause, said := pauseOf(after, now)
	if !said && spent {
		if at, err := strconv.ParseInt(reset, 10, 64); err == nil {
			pause, said = time.Unix(at, 0).Sub(now), true
		}
	}
	if said {
		pause = min(max(pause, time.Second), maxPause)
	} else {
		pause = min(firstPause<<min(g.streak, 8), mostPause)
		g.streak++
	}
	if until := now.Add(pause); g.closed(now) == nil || until.After(g.until) {
		g.until = until
		g.log.Warn("github limits us", "until", until)
	}
	return &forge.Limited{Until: g.until}
}

// pauseOf reads Retry-After: seconds, or a date.
func pauseOf(after string, now time.Time) (time.Duration, bool) {
	if n, err := strconv.ParseInt(after, 10, 32); err == nil && n >= 0 {
		return time.Duration(n) * time.Second, true
	}
	if at, err := http.ParseTime(after); err == nil {
		return at.Sub(now), true
	}
	return 0, false
}

// Usage is how much of GitHub's limits is used, for people and metrics.
type Usage struct {
	Calls        int64     // that were answered
	Minute, Hour int       // writes in the last minute and hour
	LimitedUntil time.Time // zero: no limit holds
}

func (g *gate) usage() Usage {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	u := Usage{Calls: g.calls}
	for _, at := range g.writes {
		if age := now.Sub(at); age >= 0 && age < time.Hour {
			u.Hour++
			if age < time.Minute {
				u.Minute++
			}
		}
	}
	if g.closed(now) != nil {
		u.LimitedUntil = g.until
	}
	return u
}
