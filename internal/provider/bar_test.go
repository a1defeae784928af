package provider_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/state"
)

// S33: a token that is not accepted stops its provider after the third refusal in a row: one
// call a minute tries, it is told once, and its end once, as
// is the first call that goes through. One refusal alone stops nobody.
func TestS33WhoIsNotLetInIsLeftAlone(t *testing.T) {
	ctx, now := context.Background(), time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	faults := &memory.Faults{}
	w := memory.NewWorld(clock)
	var told []string
	p := provider.Bar(memory.New(memory.Options{Name: "host", World: w, Fault: faults.Hook, Now: clock}), clock, func(name string, back bool, why string) {
		told = append(told, fmt.Sprint(name, " ", back, " ", why))
	})
	ask := func() error {
		_, err := p.Owned(ctx, "0badcafe")
		return err
	}
	denied := memory.Fail(provider.Denied, "the token is not accepted")
	for range 4 { // one in between that goes through: a zone, not the token
		faults.On(memory.Before, nil, 2, denied)
		first, second := ask(), ask()
		if provider.KindOf(first) != provider.Denied || provider.KindOf(second) != provider.Denied || ask() != nil {
			t.Fatal("what is refused once is stopped")
		}
	}
	if len(told) != 1 { // that somebody went through
		t.Fatalf("told: %q", told)
	}
	faults.On(memory.Before, nil, 0, denied)
	w.ForgetCalls()
	for range 100 {
		_, errCreate := p.Create(ctx, provider.Wish{Ref: state.Ref{Kind: state.KindSite}, Name: "x"})
		_, errUpdate := p.Update(ctx, "1", provider.Wish{Ref: state.Ref{Kind: state.KindSite}})
		_, errObserve := p.Observe(ctx, provider.Query{Kind: state.KindSite, ID: "1"})
		for _, err := range []error{ask(), errCreate, errUpdate, errObserve, p.Delete(ctx, state.KindSite, "1"), p.(provider.Dumper).Dump(ctx, "1", "")} {
			if provider.KindOf(err) != provider.Denied {
				t.Fatalf("%v", err)
			}
		}
	}
	if n := len(w.Calls()); n != 3 {
		t.Errorf("%d calls went out", n)
	}
	for range 10 {
		now = now.Add(time.Minute)
		for range 5 {
			if err := ask(); provider.KindOf(err) != provider.Denied {
				t.Fatalf("%v", err)
			}
		}
	}
	if n := len(w.Calls()); n != 13 {
		t.Errorf("%d calls went out in ten minutes", n)
	}
	faults.Clear()
	now = now.Add(time.Minute)
	for range 3 {
		if err := ask(); err != nil {
			t.Errorf("let in again: %v", err)
		}
	}
	if want := []string{"host true it lets us in again", "host false the token is not accepted", "host true it lets us in again"}; !slices.Equal(told, want) {
		t.Errorf("told %q", told)
	}
}
