package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

var errKilled = errors.New("killed")

// chaos decides what goes wrong. Whether a call fails follows from the seed and from
// the call itself, never from the order of calls.
type chaos struct {
	turns *turns
	hit   func(cell string) // told of every fault

	mu     sync.Mutex
	now    func() time.Time
	seed   uint64
	rate   int  // of a hundred calls so many fail
	full   int  // of a hundred commits so many find no room
	away   int  // of a hundred requests to the repository so many fail, or show an older head
	builds bool // builds are slow, and some fail
	broken bool // all builds fail
	sick   bool // half of the sites fail their probes
	seen   map[string]int

	kill   int             // ticks to go until the process dies; 0: it lives
	ambush map[string]bool // fault points where something goes wrong the next time
	dead   bool
	cancel context.CancelFunc

	lag   map[string]time.Duration // how late a vendor's lists are
	given map[string][]string      // secrets by client that a vendor was given, and prints

	wait      int // writes to go until something happens in the middle of a pass
	meanwhile func()
	jumpIn    int // writes to go until the clock is set in the middle of a pass
	jump      func()
	atEnd     bool // it happens when a pass is about to be ended

	until map[string]time.Time // when a vendor said that a write may come again, of the step that runs

	world      *memory.World
	moving     sync.Mutex
	moves      bool                // others make and delete objects between two pages of a list
	neighbours map[string][]string // their objects, by vendor
	settled    int                 // and how many there were
	comes      func(id string)     // told of each that is made
	goes       func(id string)     // and of each that its owner is about to take away

	write func(context.Context, memory.Call) // told of every write, before and after its effect
	early func(memory.Call)                  // told of a write that comes before that
	late  func(time.Duration)                // lets time pass in the middle of a call
	rival func(memory.Call)                  // may let somebody else make what a create is about to make
	sent  func(memory.Call)                  // told of a write that comes to be later
}

// asksAnew lets a vendor be asked though it said when: a step knows what it was told, and
// tries again no sooner. What other steps were told, also of a pass whose changes are put back
// now, is known to the decorator that the program has around its vendors (the design: "the
// contract, error kinds, decorators (limits, metrics)"). Where it is around these, all calls
// are held against what was said: see heeded.
func (c *chaos) asksAnew() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.until)
}

// dice is a number below n for a thing that happens for the count-th time.
func (c *chaos) dice(n int, what string) int {
	c.seen[what]++
	h := fnv.New64a()
	_, _ = h.Write([]byte(strconv.FormatUint(c.seed, 16) + "\x00" + what + "\x00" + strconv.Itoa(c.seen[what])))
	x := h.Sum64()
	x ^= x >> 29
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 32
	return int(x % uint64(n))
}

func (c *chaos) turn(n int) int { return c.roll(n, "turn") }

func (c *chaos) roll(n int, what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dice(n, what)
}

// tick is a place where the process may die. It says that it is dead.
func (c *chaos) tick(place string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	dies := c.ambushed("killed " + place)
	if c.kill > 0 {
		c.kill--
		dies = dies || c.kill == 0
	}
	if dies && !c.dead {
		c.dead = true
		c.hit("killed " + place)
		c.cancel()
	}
	return c.dead
}

// ambushed says that something waits at the fault point. It does so once.
func (c *chaos) ambushed(point string) bool {
	found := c.ambush[point]
	delete(c.ambush, point)
	return found
}

func (c *chaos) gone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dead
}

// at is told of the borders of steps.
func (c *chaos) at(b apply.Border, s plan.Step) {
	c.tick(fmt.Sprintf("%s of %s %s", b, s.Action, s.Ref.Kind))
}

// hook is what the vendors ask at every call.
func (c *chaos) hook(ctx context.Context, call memory.Call) error {
	if c.gone() {
		return errKilled
	}
	c.turns.yield(string(call.Moment) + " " + string(call.Client) + " " + call.String())
	if call.Verb.Writes() {
		c.write(ctx, call)
		if call.Moment == memory.Before && c.now().Before(c.until[call.String()]) {
			c.early(call)
		}
		if c.wait > 0 && call.Moment == memory.Before {
			if c.wait--; c.wait == 0 {
				c.turns.alone(c.meanwhile)
			}
		}
		if c.jumpIn > 0 {
			if c.jumpIn--; c.jumpIn == 0 {
				c.turns.alone(c.jump)
			}
		}
		if c.tick(fmt.Sprintf("%s the effect of %s %s", call.Moment, call.Verb, call.Kind)) {
			return c.later(call, errKilled)
		}
	}
	if c.rival != nil && call.Moment == memory.Before && call.Verb == memory.Create {
		c.rival(call)
	}
	c.between(call)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rate == 0 && len(c.ambush) == 0 {
		return nil
	}
	if call.Moment == memory.Before && c.dice(2000, "panic "+call.String()) < c.rate {
		c.hit(panics)
		panic("a bug in the client of " + call.Provider)
	}
	how, err := c.fault(call)
	if err != nil && call.Page > 1 {
		c.hit(pageFails)
	}
	if how != "" {
		c.hit(fmt.Sprintf("%s: %s %s", how, call.Verb, call.Kind))
	}
	if how == unsent {
		return c.comesLater(call, err)
	}
	return err
}

func (c *chaos) later(call memory.Call, err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.comesLater(call, err)
}

// comesLater lets some writes whose sender has gone, or has given up, come to be after that:
// creates within the time that their vendor states, others soon. It is called with mu held.
func (c *chaos) comesLater(call memory.Call, err error) error {
	what := fmt.Sprintf("later %s %s", call, call.Client)
	if call.Moment != memory.Before || !call.Verb.Writes() || c.dice(2, what) == 0 {
		return err
	}
	within := leastLag
	if call.Verb == memory.Create {
		within = max(c.lag[call.Provider], leastLag)
	}
	c.hit(fmt.Sprintf("%s: %s %s", later, call.Verb, call.Kind))
	if c.sent != nil {
		c.sent(call)
	}
	return memory.Late(time.Duration(c.dice(int(within/time.Millisecond), what+" after"))*time.Millisecond, err)
}

// leastLag is what is waited for where a vendor states nothing.
const leastLag = 2 * time.Second

// The ways in which a call fails.
const (
	fiveHundred = "503"
	tooMany     = "429"
	revoked     = "401"
	quota       = "402"
	unsent      = "request lost"
	unheard     = "answer lost"
	slow        = "answer late"
	later       = "comes to be later"
	panics      = "panic"
)

// whatFails are the ways of a call before its effect and after it.
var whatFails = map[memory.Moment][]string{
	memory.Before: {fiveHundred, tooMany, revoked, quota, unsent},
	memory.After:  {unheard, slow},
}

// fault draws what goes wrong with a call; nil: nothing. It is called with mu held.
func (c *chaos) fault(call memory.Call) (string, error) {
	what := fmt.Sprintf("%s %s %s %s %s %s", call.Moment, call.Provider, call.Verb, call.Kind, call.Name, call.ID)
	how := ""
	if call.Moment == memory.After {
		switch n := c.dice(400, what); {
		case call.Verb.Writes() && n < 2*c.rate:
			how = unheard
		case n >= 400-c.rate/2:
			how = slow
		}
	} else if c.dice(100, what) < c.rate {
		switch n := c.dice(12, what+" how"); {
		case n < 3 || !call.Verb.Writes() && n >= 7:
			how = fiveHundred
		case n < 5:
			how = tooMany
		case n < 6:
			how = revoked
		case n < 7:
			how = quota
		default:
			how = unsent
		}
	}
	for _, h := range whatFails[call.Moment] {
		if c.ambushed(fmt.Sprintf("%s: %s %s", h, call.Verb, call.Kind)) {
			how = h
		}
	}
	switch how {
	case fiveHundred:
		return how, memory.Fail(provider.Transient, "503 service unavailable")
	case tooMany:
		until := c.now().Add(time.Duration(1+c.dice(90, what+" until")) * time.Second)
		c.until[call.String()] = until
		return how, memory.RateLimited(until)
	case revoked:
		return how, memory.Fail(provider.Denied, "the token was revoked")
	case quota:
		return how, memory.Fail(provider.Invalid, "the plan's quota is used up")
	case unsent, unheard:
		return how, memory.Lost()
	case slow:
		c.late(time.Duration(1+c.dice(180, what+" late")) * time.Second)
	}
	return how, nil
}

// faultPoints are what many runs must have hit at least once.
func faultPoints() []string {
	points := append(placesOfFaults(), seldomPlaces()...)
	for _, k := range faultKinds {
		points = append(points, fmt.Sprintf("%s: %s %s", later, memory.Create, k), fmt.Sprintf("%s: %s %s", later, memory.Delete, k))
		if k != state.KindDeployment && k != state.KindAdmin {
			points = append(points, fmt.Sprintf("%s: %s %s", later, memory.Update, k))
		}
	}
	for _, k := range rivalKinds {
		points = append(points, faster+string(k))
	}
	return append(points, "killed before a commit", "killed after a commit", "no room", "repository away", "a file can't be read", "older head shown", "report refused", panics, "state lost", "older state put back", diedAccepting, forgeAway, commanded, stopped,
		listMoves, pageFails, jumped(1), jumped(-1))
}

// faultKinds are those whose calls fail.
var faultKinds = []state.Kind{state.KindSite, state.KindDatabase, state.KindEnvironment, state.KindDeployment, state.KindTraffic, state.KindDomain, state.KindRecord, state.KindAdmin}

// placesOfFaults are those of calls and steps: something can wait there.
func placesOfFaults() (out []string) {
	for _, k := range faultKinds {
		for _, v := range []memory.Verb{memory.Create, memory.Update, memory.Delete} {
			if v == memory.Update && (k == state.KindDeployment || k == state.KindAdmin) {
				continue // they are made anew
			}
			for _, how := range slices.Concat(whatFails[memory.Before], whatFails[memory.After]) {
				out = append(out, fmt.Sprintf("%s: %s %s", how, v, k))
			}
			for _, m := range []memory.Moment{memory.Before, memory.After} {
				out = append(out, fmt.Sprintf("killed %s the effect of %s %s", m, v, k))
			}
		}
		for _, b := range []apply.Border{apply.BeforeIntent, apply.AfterIntent, apply.AfterCall, apply.AfterOutcome} {
			out = append(out, fmt.Sprintf("killed %s of %s %s", b, plan.Create, k))
		}
		for _, how := range []string{fiveHundred, tooMany, revoked} {
			out = append(out, fmt.Sprintf("%s: %s %s", how, memory.Observe, k))
		}
	}
	return out
}

// seldomPlaces are those that hardly any run comes by when something goes wrong, or to which something
// goes wrong by itself: something waits there besides.
func seldomPlaces() (out []string) {
	border := func(a plan.Action, k state.Kind, at ...apply.Border) {
		for _, b := range at {
			out = append(out, fmt.Sprintf("killed %s of %s %s", b, a, k))
		}
	}
	all := []apply.Border{apply.BeforeIntent, apply.AfterIntent, apply.AfterCall, apply.AfterOutcome}
	for _, k := range faultKinds {
		if k != state.KindDeployment && k != state.KindAdmin {
			border(plan.Update, k, all...)
		}
		if k == state.KindDatabase {
			border(plan.Purge, k, all...) // nothing else deletes it
		} else {
			border(plan.Delete, k, all...)
		}
	}
	call := func(v memory.Verb, k state.Kind) {
		for _, how := range slices.Concat(whatFails[memory.Before], whatFails[memory.After]) {
			out = append(out, fmt.Sprintf("%s: %s %s", how, v, k))
		}
		for _, m := range []memory.Moment{memory.Before, memory.After} {
			out = append(out, fmt.Sprintf("killed %s the effect of %s %s", m, v, k))
		}
	}
	call(memory.Create, state.KindMail)
	call(memory.Create, state.KindPayments)
	call(memory.Update, state.KindPayments) // neither is deleted
	border(plan.Create, state.KindMail, all...)
	border(plan.Create, state.KindPayments, all...)
	border(plan.Update, state.KindPayments, all...)
	border(plan.Retain, state.KindPayments, apply.BeforeIntent, apply.AfterOutcome) // nothing is called
	border(plan.Return, state.KindPayments, apply.BeforeIntent, apply.AfterOutcome)
	return out
}

func (c *chaos) build(w provider.Wish) memory.Build {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, in := range w.Inputs {
		// Shared ones change, and a build prints what it was given last.
		if in.Secret != nil && !strings.HasPrefix(in.Reveal(), "very-secret") {
			c.given[string(w.Ref.Client)] = append(c.given[string(w.Ref.Client)], in.Reveal())
		}
	}
	if c.broken && w.Ref.Kind == state.KindDeployment {
		return memory.Build{Fails: "the build is broken"}
	}
	if !c.builds || w.Ref.Kind != "deployment" {
		return memory.Build{}
	}
	b := memory.Build{Looks: c.dice(4, "looks "+w.Name), Takes: time.Duration(c.dice(9, "takes "+w.Name)) * time.Minute}
	b.Log = []string{"environment: " + strings.Join(c.given[string(w.Ref.Client)], " "), "done"}
	if c.dice(4, "fails "+w.Name) == 0 {
		c.hit("build failed")
		b.Fails = "the build is broken with " + strings.Join(c.given[string(w.Ref.Client)], " ")
	}
	return b
}

func (c *chaos) probe(url string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := fnv.New32a()
	_, _ = h.Write([]byte(strconv.FormatUint(c.seed, 16) + url))
	if c.sick && h.Sum32()%2 == 0 {
		c.hit("probe failed")
		return errors.New("it answers 500")
	}
	return nil
}

// mortal is a store of a process that may be killed: before a commit, or after it and
// before anybody heard of it. The dead read and write nothing. Its disk may be full.
type mortal struct {
	store.Store
	c *chaos
}

func (m mortal) View(fn func(store.Tx) error) error {
	if m.c.gone() {
		return errKilled
	}
	return m.Store.View(fn)
}

var errNoRoom = fmt.Errorf("%w: no space left on device", store.ErrFull)

func (m mortal) Update(fn func(store.Tx) error) error {
	m.c.turns.yield("")
	if m.c.tick("before a commit") {
		return errKilled
	}
	full := m.c.noRoom()
	err := m.Store.Update(func(tx store.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		if full { // the function ran, and nothing of it stays
			return errNoRoom
		}
		return nil
	})
	if err != nil {
		return err
	}
	if m.c.tick("after a commit") {
		return errKilled
	}
	m.c.turns.yield("")
	return nil
}

func (c *chaos) noRoom() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.full == 0 || c.dice(100, "room") >= c.full {
		return false
	}
	c.hit("no room")
	return true
}

// remote is the repository over a network: it may be away, or show the head of a while ago.
type remote struct {
	*repository
	c *chaos
}

var errAway = errors.New("the repository can't be reached: 502 bad gateway")

func (f remote) fails(what string) bool {
	f.c.mu.Lock()
	defer f.c.mu.Unlock()
	if f.c.away == 0 || f.c.dice(100, what) >= f.c.away {
		return false
	}
	return true
}

func (f remote) Poll(ctx context.Context) (string, error) {
	if f.fails("poll") {
		f.c.hit("repository away")
		return "", errAway
	}
	head, err := f.repository.Poll(ctx)
	if err == nil && f.fails("lag") {
		f.mu.Lock()
		defer f.mu.Unlock()
		if n := len(f.order); n > 1 {
			f.c.hit("older head shown")
			return f.order[n-2], nil
		}
	}
	return head, err
}

func (f remote) Range(ctx context.Context, from, head string) (reconcile.Range, error) {
	if f.fails("range") {
		f.c.hit("repository away")
		return reconcile.Range{}, errAway
	}
	return f.repository.Range(ctx, from, head)
}

// Read fails more seldom than a request: many files are read at once.
func (f remote) Read(ctx context.Context, path, blob string) (accept.File, error) {
	if f.fails("read") && f.fails("read again") {
		f.c.hit("a file can't be read")
		return accept.File{}, errAway
	}
	return f.repository.Read(ctx, path, blob)
}

// memoryOfWork remembers who was worked on when the process died.
type memoryOfWork struct {
	c  *chaos
	on map[state.ClientID]bool
}

func (m memoryOfWork) Begin(id state.ClientID) error { m.on[id] = true; return nil }

// End is not reached by the dead.
func (m memoryOfWork) End(id state.ClientID) error {
	if !m.c.gone() {
		delete(m.on, id)
	}
	return nil
}

func (m memoryOfWork) Left() ([]state.ClientID, error) { return slices.Sorted(maps.Keys(m.on)), nil }
