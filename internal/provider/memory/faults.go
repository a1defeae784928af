package memory

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// Fail is an error of a kind, to be returned by a hook.
func Fail(kind provider.ErrorKind, message string) error {
	return &provider.Error{Kind: kind, Message: message}
}

// RateLimited says that no call should be made before until.
func RateLimited(until time.Time) error {
	return &provider.Error{Kind: provider.RateLimited, Message: "too many calls", Code: "429", Until: until}
}

// Lost is a write whose answer was lost. Before an effect it is a request that never
// arrived, After one an answer that never did: the caller can't tell.
func Lost() error { return Fail(provider.Uncertain, "the connection was closed before an answer came") }

// Late is what a hook returns Before a write that happens later, when nobody waits for its
// answer any more: the caller gets err. A create is sent now, and lists show it ListLag after
// that, if it has come to be by then.
func Late(after time.Duration, err error) error { return &lateError{after, err} }

type lateError struct {
	after time.Duration
	err   error
}

func (e *lateError) Error() string { return e.err.Error() }
func (e *lateError) Unwrap() error { return e.err }

// arrives lets the effect of a call come to be later.
func (p *Provider) arrives(after time.Duration, c Call, effect func(*Call) error) {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	now := p.w.now()
	p.w.coming = append(p.w.coming, arrival{now.Add(after), now, p, c, effect})
}

// Limit is how many calls a vendor takes in a span of time; the zero Limit is none.
type Limit struct {
	Calls int
	Per   time.Duration
}

// Faults is a list of what goes wrong when, to be used as a hook: Options.Fault is its
// Hook. The zero Faults is ready to use.
type Faults struct {
	mu    sync.Mutex
	rules []*rule
}

type rule struct {
	match  func(Call) bool
	moment Moment
	times  int
	do     func(context.Context, Call) error
}

// On lets the next calls that match (nil: all) fail with err at the moment, times
// times (0: always).
func (f *Faults) On(m Moment, match func(Call) bool, times int, err error) {
	f.Do(m, match, times, func(context.Context, Call) error { return err })
}

// Do is On with something to do, such as ending a context or changing the World.
func (f *Faults) Do(m Moment, match func(Call) bool, times int, do func(context.Context, Call) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if times == 0 {
		times = -1
	}
	f.rules = append(f.rules, &rule{match: match, moment: m, times: times, do: do})
}

// Clear ends all of them.
func (f *Faults) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = nil
}

// Hook is for Options.Fault: the first rule that matches and isn't used up.
func (f *Faults) Hook(ctx context.Context, c Call) error {
	f.mu.Lock()
	var do func(context.Context, Call) error
	for _, r := range f.rules {
		if r.moment == c.Moment && r.times != 0 && (r.match == nil || r.match(c)) {
			if r.times > 0 {
				r.times--
			}
			do = r.do
			break
		}
	}
	f.mu.Unlock()
	if do == nil {
		return nil
	}
	return do(ctx, c)
}

// Is matches calls of a verb and, where kinds are given, of one of them.
func Is(v Verb, kinds ...state.Kind) func(Call) bool {
	return func(c Call) bool {
		return c.Verb == v && (len(kinds) == 0 || slices.Contains(kinds, c.Kind))
	}
}

// quote shows a word of a caller's in an error: bounded, and in ASCII.
func quote(s string) string {
	if len(s) > 80 {
		s = s[:80]
	}
	return strconv.QuoteToASCII(s)
}
