package provider_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/state"
)

// A vendor's limit holds for all calls, and for as long as it said, at most an hour.
func TestHeed(t *testing.T) {
	ctx, now := context.Background(), time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	faults := &memory.Faults{}
	w := memory.NewWorld(clock)
	p := provider.Heed(memory.New(memory.Options{Name: "host", World: w, Fault: faults.Hook, Now: clock}), clock)
	calls := func() error {
		_, err := p.Owned(ctx, "0badcafe")
		return err
	}
	if err := calls(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		said, heeded time.Duration
	}{{20 * time.Second, 20 * time.Second}, {-time.Minute, 0}, {0, 0}, {48 * time.Hour, time.Hour}} {
		until := now.Add(c.said)
		faults.On(memory.Before, nil, 1, memory.RateLimited(until))
		if err := calls(); provider.KindOf(err) != provider.RateLimited || !provider.UntilOf(err).Equal(until) {
			t.Fatalf("%s: %v", c.said, err)
		}
		w.ForgetCalls()
		if c.heeded > 0 {
			now = now.Add(c.heeded - time.Second)
			_, errCreate := p.Create(ctx, provider.Wish{Ref: state.Ref{Kind: state.KindSite}, Name: "x"})
			_, errUpdate := p.Update(ctx, "1", provider.Wish{Ref: state.Ref{Kind: state.KindSite}})
			_, errObserve := p.Observe(ctx, provider.Query{Kind: state.KindSite, ID: "1"})
			for _, err := range []error{calls(), errCreate, errUpdate, errObserve, p.Delete(ctx, state.KindSite, "1"), p.(provider.Dumper).Dump(ctx, "1", "")} {
				if provider.KindOf(err) != provider.RateLimited || provider.UntilOf(err).Before(now) {
					t.Errorf("%s: a second before its end: %v", c.said, err)
				}
			}
			now = now.Add(time.Second)
		}
		if n := len(w.Calls()); n > 0 {
			t.Errorf("%s: %d calls went out", c.said, n)
		}
		if err := calls(); err != nil {
			t.Errorf("%s: after it: %v", c.said, err)
		}
	}
}

// What is only not a look's turn keeps nobody else waiting.
func TestHeedKeepsNobodyForAnothersTurn(t *testing.T) {
	ctx, now := context.Background(), time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	faults := &memory.Faults{}
	p := provider.Heed(memory.New(memory.Options{Name: "host", World: memory.NewWorld(clock), Fault: faults.Hook, Now: clock}), clock)
	faults.On(memory.Before, nil, 1, &provider.Error{Kind: provider.RateLimited, Provider: "host", Until: now.Add(time.Minute), Err: provider.ErrTurn})
	if _, err := p.Owned(ctx, "0badcafe"); !errors.Is(err, provider.ErrTurn) {
		t.Fatal(err)
	}
	if _, err := p.Owned(ctx, "0badcafe"); err != nil {
		t.Errorf("the next one: %v", err)
	}
}

// A clock that is set back makes no pause longer, and the next one is kept to.
func TestHeedWhenTheClockIsSetBack(t *testing.T) {
	now := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	faults := &memory.Faults{}
	p := provider.Heed(memory.New(memory.Options{Name: "host", Fault: faults.Hook, Now: clock}), clock)
	call := func() error { _, err := p.Owned(t.Context(), "0badcafe"); return err }
	faults.On(memory.Before, nil, 1, memory.RateLimited(now.Add(time.Minute)))
	if err := call(); provider.KindOf(err) != provider.RateLimited {
		t.Fatal(err)
	}
	now = now.AddDate(0, 0, -9)
	if err := call(); err != nil {
		t.Errorf("set back: %v", err)
	}
	faults.On(memory.Before, nil, 1, memory.RateLimited(now.Add(time.Minute)))
	for range 2 {
		if err := call(); provider.KindOf(err) != provider.RateLimited || !provider.UntilOf(err).Equal(now.Add(time.Minute)) {
			t.Errorf("another pause: %v", err)
		}
	}
}

// A vendor with a limit for each call is not stopped as a whole.
func TestHeedLeavesWhoIsLimitedByCall(t *testing.T) {
	p := byCall{memory.New(memory.Options{Name: "host", World: memory.NewWorld(time.Now), Now: time.Now})}
	if got := provider.Heed(p, time.Now); got != provider.Provider(p) {
		t.Errorf("it is %T", got)
	}
}

type byCall struct{ provider.Provider }

func (byCall) LimitedByCall() {}

// copies is a provider that keeps copies of pages.
type copies struct {
	provider.Provider
	asked *int
	err   error
}

func (c copies) Name() string { return "dns" }

func (c copies) Purge(context.Context, []string) error { *c.asked++; return c.err }

// heard is a Redactor that knows one word.
type heard struct{}

func (heard) Add(state.Secret) {}

func (heard) Redact(text string) string { return strings.ReplaceAll(text, "pssst", "(sensitive)") }

// Decorators pass on that copies are to be forgotten. Nobody is asked before the time that it
// gave; but the limit of this call is one of its own, and stops no other.
func TestPurgeThroughDecorators(t *testing.T) {
	ctx, now := context.Background(), time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	faults, asked := &memory.Faults{}, 0
	inner := struct{ provider.Provider }{memory.New(memory.Options{Name: "dns", World: memory.NewWorld(clock), Fault: faults.Hook, Now: clock})} // no Dumper
	open := func(err error) provider.Provider {
		return provider.Conceal(provider.Heed(copies{inner, &asked, err}, clock), heard{})
	}
	p := open(&provider.Error{Kind: provider.RateLimited, Provider: "dns", Op: "update", Message: "pssst is too often", Until: now.Add(time.Minute)})
	if err := p.(provider.Purger).Purge(ctx, []string{"shop.example"}); provider.KindOf(err) != provider.RateLimited || strings.Contains(err.Error(), "pssst") || asked != 1 {
		t.Errorf("%v after %d", err, asked)
	}
	if _, err := p.Owned(ctx, "0badcafe"); err != nil {
		t.Errorf("its limit stops others: %v", err)
	}
	faults.On(memory.Before, nil, 1, memory.RateLimited(now.Add(time.Minute)))
	if _, err := p.Owned(ctx, "0badcafe"); err == nil {
		t.Fatal("no limit")
	}
	if err := p.(provider.Purger).Purge(ctx, nil); provider.KindOf(err) != provider.RateLimited || asked != 1 {
		t.Errorf("%v after %d", err, asked)
	}
	if _, can := provider.Conceal(provider.Heed(inner, clock), heard{}).(provider.Purger); can {
		t.Error("who keeps no copies is asked to forget them")
	}
}
