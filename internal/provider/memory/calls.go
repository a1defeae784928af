package memory

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// Verb is what a call asks for.
type Verb string

// The verbs.
const (
	Observe Verb = "observe"
	Owned   Verb = "owned"
	Create  Verb = "create"
	Update  Verb = "update"
	Delete  Verb = "delete"
	Mark    Verb = "mark"
	Dump    Verb = "dump"
	Freeze  Verb = "freeze"
	Thaw    Verb = "thaw"
	Compare Verb = "compare"
	Load    Verb = "load"
)

// Writes says that the verb changes something.
func (v Verb) Writes() bool { return v == Create || v == Update || v == Delete || v == Mark }

// op is the verb in the words of provider.Error.
func (v Verb) op() string {
	if v == Owned {
		return string(Observe)
	}
	return string(v)
}

// Moment is where in a call its hook is asked.
type Moment string

// The moments.
const (
	Before Moment = "before" // its effect: an error means that nothing happened
	After  Moment = "after"  // its effect: an error means that the answer was lost
)

// Call is one call.
type Call struct {
	Provider string
	Verb     Verb
	Kind     state.Kind
	Name     string         // of a wish or a look-up by name
	ID       string         // of a look-up by id, an update, a delete; of what a create made, After it
	Client   state.ClientID // whose wish it is, where the call says so
	Page     int            // of a list, the first is 1; 0: it has none
	At       time.Time
	Moment   Moment // for the hook
	Err      error  // how it ended, for the log and After
}

// String is a call as a line of a log.
func (c Call) String() string {
	what := c.Name
	if what == "" {
		what = c.ID
	}
	return fmt.Sprintf("%s %s %s %s", c.Provider, c.Verb, c.Kind, what)
}

// Counts is how many calls there were.
type Counts struct{ Reads, Writes int }

// maxCalls is how many calls the log holds; older ones go first, half at a time.
const maxCalls = 200_000

// Calls is the log of all calls, in the order in which they ended.
func (w *World) Calls() []Call {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Call(nil), w.calls...)
}

// Counts counts all calls, or those at one provider when name is given. Calls that
// were refused count: they were made.
func (w *World) Counts(name string) Counts {
	w.mu.Lock()
	defer w.mu.Unlock()
	if name != "" {
		return w.counts[name]
	}
	var sum Counts
	for _, c := range w.counts {
		sum.Reads, sum.Writes = sum.Reads+c.Reads, sum.Writes+c.Writes
	}
	return sum
}

// ForgetCalls empties the log and the counters.
func (w *World) ForgetCalls() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls, w.counts = nil, map[string]Counts{}
}

func (w *World) note(c Call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.calls) == maxCalls {
		w.calls = append([]Call(nil), w.calls[maxCalls/2:]...)
	}
	c.Moment = ""
	w.calls = append(w.calls, c)
	n := w.counts[c.Provider]
	if c.Verb.Writes() {
		n.Writes++
	} else {
		n.Reads++
	}
	w.counts[c.Provider] = n
}

// ahead is how much later it is by the clock of whoever calls.
func (p *Provider) ahead() time.Duration { return p.o.Local().Sub(p.w.now()) }

// pauses notes the time before which a provider said that it wants no call.
func (w *World) pauses(c Call, ahead time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if provider.KindOf(c.Err) != provider.RateLimited {
		return
	}
	if until := provider.UntilOf(c.Err).Add(-ahead); until.After(w.told[c.Provider]) {
		w.told[c.Provider] = until
	}
}

// Forgive forgets the times before which providers want no call: the clock of whoever calls
// was set, and nobody can count by it.
func (w *World) Forgive() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.told)
}

// Early are the calls that were made before the time that their provider had given. Who was
// under way when it said so is not among them, nor are the pages of a list.
func (w *World) Early() []Call {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Call(nil), w.early...)
}

// Limit changes how many calls a provider takes; the zero Limit is none.
func (w *World) Limit(name string, l Limit) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.limits[name] = l
}

// Down makes every call at a provider fail with err before its effect; nil ends it.
func (w *World) Down(name string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		delete(w.down, name)
		return
	}
	w.down[name] = err
}

// window is a provider's running span of counted calls.
type window struct {
	from time.Time
	n    int
}

// gate is what a vendor says before it looks at a call: it is down.
func (p *Provider) gate(c Call) error {
	w := p.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.At.Before(w.told[p.o.Name]) && c.Page == 0 && len(w.early) < maxCalls {
		w.early = append(w.early, c)
	}
	return w.down[p.o.Name]
}

// budget is what it says when it looks at one: it was asked too often.
func (p *Provider) budget() error {
	w := p.w
	w.mu.Lock()
	defer w.mu.Unlock()
	limit := w.limits[p.o.Name]
	if limit.Calls == 0 {
		return nil
	}
	now, win := w.now(), w.windows[p.o.Name]
	if end := win.from.Add(limit.Per); !now.Before(end) {
		win = window{from: now}
	} else if win.n >= limit.Calls {
		return RateLimited(end.Add(p.ahead()))
	}
	win.n++
	w.windows[p.o.Name] = win
	return nil
}

// call takes one call through all that may happen to it. effect runs with the World
// locked and returns what the vendor answers.
func (p *Provider) call(ctx context.Context, c Call, effect func(*Call) error) (err error) {
	c.Provider, c.At = p.o.Name, p.w.now()
	happened := false
	defer func() {
		err = p.dress(c, err, happened)
		c.Err = err
		p.w.note(c)
		p.w.pauses(c, p.ahead())
	}()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if _, ok := p.kinds[c.Kind]; !ok && c.Verb != Owned {
		return Fail(provider.Unsupported, "kind "+quote(string(c.Kind))+" is not kept here")
	}
	if err := p.gate(c); err != nil {
		return err
	}
	if err := p.travel(ctx, p.o.Latency/2); err != nil {
		return err
	}
	if err := p.hook(ctx, c, Before); err != nil {
		if late := (*lateError)(nil); errors.As(err, &late) && c.Verb.Writes() {
			p.arrives(late.after, c, effect)
			happened = true
		}
		return err
	}
	if ctx.Err() != nil { // the hook may have ended it
		return context.Cause(ctx)
	}
	if err := p.budget(); err != nil {
		return err
	}
	p.w.lock()
	answer := effect(&c)
	p.w.mu.Unlock()
	happened, c.Err = true, answer
	if err := p.hook(ctx, c, After); err != nil {
		return err
	}
	if err := p.travel(ctx, p.o.Latency-p.o.Latency/2); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	happened = false // the answer arrived, and says itself what happened
	return answer
}

func (p *Provider) hook(ctx context.Context, c Call, m Moment) error {
	if p.o.Fault == nil {
		return nil
	}
	c.Moment = m
	return p.o.Fault(ctx, c)
}

func (p *Provider) travel(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	return p.o.Sleep(ctx, d)
}

// dress makes any error a *provider.Error of this provider and verb. One that is not
// classified means that nothing happened, or, of a write after its effect, that its
// answer was lost.
func (p *Provider) dress(c Call, err error, happened bool) error {
	if err == nil {
		return nil
	}
	var e provider.Error
	if pe := (*provider.Error)(nil); errors.As(err, &pe) {
		e = *pe // a copy: a test may give out the same error many times
	} else {
		e = provider.Error{Kind: provider.Transient, Message: "the call did not come through", Err: err}
		if happened && c.Verb.Writes() {
			e.Kind, e.Message = provider.Uncertain, "the answer was lost"
		}
	}
	if e.Provider == "" {
		e.Provider = p.o.Name
	}
	if e.Op == "" {
		e.Op = c.Verb.op()
	}
	return &e
}
