package provider_test

import (
	"context"
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

// A vendor with a limit for each call is not stopped as a whole.
func TestHeedLeavesWhoIsLimitedByCall(t *testing.T) {
	p := byCall{memory.New(memory.Options{Name: "host", World: memory.NewWorld(time.Now), Now: time.Now})}
	if got := provider.Heed(p, time.Now); got != provider.Provider(p) {
		t.Errorf("it is %T", got)
	}
}

type byCall struct{ provider.Provider }

func (byCall) LimitedByCall() {}
