package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/store"
)

var errKilled = errors.New("killed")

// chaos decides what goes wrong. Whether a call fails follows from the seed and from
// the call itself, never from the order of calls, so that a run can be repeated.
type chaos struct {
	turn   sync.Mutex // the story is told of one write at a time
	mu     sync.Mutex
	now    func() time.Time
	seed   uint64
	rate   int  // of a hundred calls so many fail
	builds bool // builds are slow, and some fail
	sick   bool // half of the sites fail their probes
	seen   map[string]int

	kill   int // ticks to go until the process dies; 0: it lives
	dead   bool
	cancel context.CancelFunc

	given map[string][]string // secrets by client that a vendor was given, and prints

	wait      int // writes to go until something happens in the middle of a pass
	meanwhile func()

	write func(memory.Call) // told of every write, before and after its effect
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

// tick is a place where the process may die. It says that it is dead.
func (c *chaos) tick() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kill > 0 {
		if c.kill--; c.kill == 0 {
			c.dead = true
			c.cancel()
		}
	}
	return c.dead
}

func (c *chaos) gone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dead
}

// hook is what the vendors ask at every call.
func (c *chaos) hook(_ context.Context, call memory.Call) error {
	if c.gone() {
		return errKilled
	}
	if call.Verb.Writes() {
		c.turn.Lock()
		c.write(call)
		if c.wait > 0 && call.Moment == memory.Before {
			if c.wait--; c.wait == 0 {
				c.meanwhile()
			}
		}
		c.turn.Unlock()
		if c.tick() {
			return errKilled
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rate == 0 {
		return nil
	}
	what := fmt.Sprintf("%s %s %s %s %s %s", call.Moment, call.Provider, call.Verb, call.Kind, call.Name, call.ID)
	if call.Moment == memory.After {
		if call.Verb.Writes() && c.dice(300, what) < c.rate {
			return memory.Lost()
		}
		return nil
	}
	if c.dice(100, what) >= c.rate {
		return nil
	}
	switch n := c.dice(12, what+" how"); {
	case n < 5:
		return memory.Fail(provider.Transient, "503 service unavailable")
	case n < 7:
		return memory.RateLimited(c.now().Add(time.Duration(1+c.dice(90, what+" until")) * time.Second))
	case n < 8:
		return memory.Fail(provider.Denied, "the token was revoked")
	case !call.Verb.Writes():
		return memory.Fail(provider.Transient, "the connection was reset")
	case n < 9:
		return memory.Fail(provider.Invalid, "the plan's quota is used up")
	default:
		return memory.Lost()
	}
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
	if !c.builds || w.Ref.Kind != "deployment" {
		return memory.Build{}
	}
	b := memory.Build{Looks: c.dice(4, "looks "+w.Name), Takes: time.Duration(c.dice(9, "takes "+w.Name)) * time.Minute}
	b.Log = []string{"environment: " + strings.Join(c.given[string(w.Ref.Client)], " "), "done"}
	if c.dice(4, "fails "+w.Name) == 0 {
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
		return errors.New("it answers 500")
	}
	return nil
}

// mortal is a store of a process that may be killed: before a commit, or after it and
// before anybody heard of it. The dead read and write nothing.
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

func (m mortal) Update(fn func(store.Tx) error) error {
	if m.c.tick() {
		return errKilled
	}
	if err := m.Store.Update(fn); err != nil {
		return err
	}
	if m.c.tick() {
		return errKilled
	}
	return nil
}
