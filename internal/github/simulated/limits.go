package simulated

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"time"
)

// Limits are GitHub's, of everybody who is let in. Zero is no limit.
type Limits struct {
	Hour            int // requests an hour: the primary limit
	Points          int // a minute: a read costs one, a write five
	WritesPerMinute int // that make content
	WritesPerHour   int
	TooMany         bool // a limit is answered with 429; else with 403
	NoRetryAfter    bool // a secondary limit doesn't say how long to wait
}

// DefaultLimits are those that GitHub documents.
func DefaultLimits() Limits {
	return Limits{Hour: 5_000, Points: 900, WritesPerMinute: 80, WritesPerHour: 500}
}

// SetLimits changes the limits from the next request on.
func (f *Forge) SetLimits(l Limits) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.limits = l
}

// SetLag hides from lists what is younger than d, by Options.Now: GitHub's lists may lag
// behind a write. A single thing asked for by its id is always found.
func (f *Forge) SetLag(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lag = d
}

// visible says that a list shows what was made at a time.
func (f *Forge) visible(made time.Time) bool {
	return f.lag == 0 || !f.o.Now().Before(made.Add(f.lag))
}

// Write is one call that would write, whatever became of it.
type Write struct {
	Kind   string // comment.create, status.create …: see routes
	Login  string
	At     time.Time // exact
	Status int       // 0: no answer was given
}

// Writes are the writing calls since New, the oldest first, refused ones included.
func (f *Forge) Writes() []Write {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.writes)
}

// usage is what one login used up.
type usage struct {
	hour   time.Time // when its hour began
	used   int
	points []spent     // of the last minute
	writes []time.Time // of the last hour
}

type spent struct {
	at time.Time
	n  int
}

func (f *Forge) usageOf(login string) *usage {
	u := f.usage[login]
	now := f.o.Now()
	if u == nil {
		u = &usage{hour: now}
		f.usage[login] = u
	}
	if now.Sub(u.hour) >= time.Hour {
		u.hour, u.used = now, 0
	}
	u.points = slices.DeleteFunc(u.points, func(s spent) bool { return now.Sub(s.at) >= time.Minute })
	u.writes = slices.DeleteFunc(u.writes, func(t time.Time) bool { return now.Sub(t) >= time.Hour })
	return u
}

// rateHeaders says how much of the hour is left.
func (f *Forge) rateHeaders(h http.Header, login string) {
	l := f.rate(login)
	for _, k := range []string{"limit", "remaining", "used", "reset"} {
		h.Set("X-RateLimit-"+k, fmt.Sprint(l[k]))
	}
	h.Set("X-RateLimit-Resource", "core")
}

func (f *Forge) rate(login string) object {
	u := f.usageOf(login)
	limit := f.limits.Hour
	if limit == 0 {
		limit = math.MaxInt32
	}
	return object{"limit": limit, "remaining": max(0, limit-u.used), "used": u.used, "reset": u.hour.Add(time.Hour).Unix()}
}

// limited counts a request, or says which limit refuses it.
func (f *Forge) limited(r *route, login string) *problem {
	u, now, l := f.usageOf(login), f.o.Now(), f.limits
	if l.Hour > 0 && u.used >= l.Hour {
		return f.primary(login)
	}
	cost := 1
	if r.write {
		cost = 5
	}
	sum := cost
	for _, s := range u.points {
		sum += s.n
	}
	if l.Points > 0 && sum > l.Points && len(u.points) > 0 {
		return f.secondary(u.points[0].at.Add(time.Minute).Sub(now))
	}
	if r.content {
		minute := 0
		for _, t := range u.writes {
			if now.Sub(t) < time.Minute {
				minute++
			}
		}
		if l.WritesPerMinute > 0 && minute >= l.WritesPerMinute {
			return f.secondary(u.writes[len(u.writes)-l.WritesPerMinute].Add(time.Minute).Sub(now))
		}
		if l.WritesPerHour > 0 && len(u.writes) >= l.WritesPerHour {
			return f.secondary(u.writes[len(u.writes)-l.WritesPerHour].Add(time.Hour).Sub(now))
		}
		u.writes = append(u.writes, now)
	}
	u.used++
	u.points = append(u.points, spent{now, cost})
	return nil
}

// primary is the answer of the primary limit, which is used up until its hour ends.
func (f *Forge) primary(login string) *problem {
	u := f.usageOf(login)
	u.used = max(u.used, f.limits.Hour)
	if f.limits.Hour == 0 {
		u.used = math.MaxInt32
	}
	p := fail(http.StatusForbidden, "API rate limit exceeded for "+login+".")
	p.doc = docs + "/rest/overview/rate-limits-for-the-rest-api"
	if f.limits.TooMany {
		p.status = http.StatusTooManyRequests
	}
	return p
}

// secondary is the answer of a secondary limit, with how long to wait.
func (f *Forge) secondary(wait time.Duration) *problem {
	p := fail(http.StatusForbidden, "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.")
	p.doc = docs + "/free-pro-team@latest/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"
	if f.limits.TooMany {
		p.status = http.StatusTooManyRequests
	}
	if !f.limits.NoRetryAfter {
		p.header = http.Header{"Retry-After": {fmt.Sprint(int(math.Ceil(max(wait, time.Second).Seconds())))}}
	}
	return p
}

// Fault is what goes wrong with calls.
type Fault struct {
	// Kind of call, as Write has it; "": every one; "writes", "reads".
	Kind string
	// Skip is how many calls go well before.
	Skip int
	// Times is how many calls it concerns; 0: all, until it is taken away.
	Times int

	// One of these, or more of them in this order.
	Delay     time.Duration   // the answer takes so long …
	Hold      <-chan struct{} // … or until this is closed
	Down      bool            // 503 with a page of HTML; nothing happens
	Status    int             // an answer of this kind with GitHub's message; nothing happens
	Cut       bool            // the connection is cut before anything happens
	Lost      bool            // it happens, and the connection is cut
	Secondary time.Duration   // a secondary limit refuses, for so long
	Primary   bool            // the primary limit refuses, and goes on to until its hour ends
	Truncated bool            // it happens, and half of the answer arrives
}

type fault struct {
	Fault
	seen int
}

// Inject makes calls fail until the fault is used up or taken away. The newest one that
// concerns a call decides.
func (f *Forge) Inject(x Fault) (remove func()) {
	one := &fault{Fault: x}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, one)
	if len(f.faults) > maxFaults {
		f.faults = f.faults[1:]
	}
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.faults = slices.DeleteFunc(f.faults, func(y *fault) bool { return y == one })
	}
}

// faultOf is the fault that concerns a call; the zero Fault is none. The lock is held.
func (f *Forge) faultOf(r *route) Fault {
	for i := len(f.faults) - 1; i >= 0; i-- {
		x := f.faults[i]
		if x.Kind != "" && x.Kind != r.kind && (x.Kind != "writes" || !r.write) && (x.Kind != "reads" || r.write) {
			continue
		}
		x.seen++
		if x.seen <= x.Skip {
			continue
		}
		if x.Times > 0 && x.seen >= x.Skip+x.Times {
			f.faults = slices.Delete(f.faults, i, i+1)
		}
		return x.Fault
	}
	return Fault{}
}
