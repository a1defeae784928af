package stripe

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/contract"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/simulator"
)

// insist does what the engine does with a create: it looks, creates where nothing is, and looks
// again once the lists can be trusted, until there is one. It returns how often it sent.
func insist(t *testing.T, w *world, p *Provider, wait time.Duration) (provider.Object, int) {
	t.Helper()
	for sent := range 5 {
		found, err := named(p, 1)
		if err != nil {
			t.Fatal(err)
		}
		if len(found) > 0 {
			if len(found) != 1 {
				t.Fatalf("%d found", len(found))
			}
			return found[0], sent
		}
		if o, err := p.Create(context.Background(), wanted(1)); err == nil {
			return o, sent + 1
		}
		w.clock.move(wait)
	}
	t.Fatal("no account came about")
	return provider.Object{}, 0
}

// P3: whatever is lost of a create, and however late the lists are, one account results.
func TestP3LostCreateMakesOneAccount(t *testing.T) {
	paper := contract.OpenAPI(t, described())
	post := simulator.Fault{Method: http.MethodPost, Path: accountsPath}
	for name, c := range map[string]struct {
		do    simulator.Effect
		times int
		lag   time.Duration
		wait  time.Duration
	}{
		"the answer":                    {simulator.LoseAnswer(), 1, 0, listLag},
		"the answer, lists are late":    {simulator.LoseAnswer(), 1, time.Minute, listLag},
		"the answer, nobody waits":      {simulator.LoseAnswer(), 1, time.Minute, 0},
		"the answer, thrice":            {simulator.LoseAnswer(), 3, time.Hour, time.Second},
		"the request":                   {simulator.LoseRequest(), 2, time.Minute, listLag},
		"a gateway's page":              {simulator.Instead(502, pageHeader(), "<html>"), 2, time.Minute, time.Second},
		"the answer, and a day goes by": {simulator.LoseAnswer(), 1, time.Minute, 25 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			w := begin(t, paper, true, late(c.lag))
			p := w.open()
			fault := post
			fault.Do, fault.Times = c.do, c.times
			w.faults.Add(fault)
			for range 3 {
				if _, err := p.Create(context.Background(), wanted(1)); err == nil {
					break
				}
				if c.wait >= listLag {
					break // then a look tells
				}
			}
			w.clock.move(c.wait)
			if c.wait < listLag { // whoever waits too little and sends again makes no second one either
				if _, err := p.Create(context.Background(), wanted(1)); err != nil && provider.KindOf(err) != provider.Conflict {
					t.Errorf("again: %v", err)
				}
				w.clock.move(time.Hour)
			}
			o, _ := insist(t, w, p, c.wait)
			if all := w.vendor.Accounts(); len(all) != 1 || all[0].ID != o.ID || all[0].Metadata[keyMark] != wanted(1).Mark.Text() || all[0].Metadata[keyName] != wanted(1).Name {
				t.Errorf("at Stripe: %+v", all)
			}
		})
	}
}

// P3: a lost create whose wish changed meanwhile makes no second account: the key is the
// name's. The account is found and brought up to the wish.
func TestP3ChangedWishMakesNoSecondAccount(t *testing.T) {
	w := hostile(t, late(time.Minute))
	p := w.open()
	w.faults.Add(simulator.Fault{Method: http.MethodPost, Path: accountsPath, Do: simulator.LoseAnswer()})
	if _, err := p.Create(context.Background(), wanted(1)); provider.KindOf(err) != provider.Uncertain {
		t.Fatalf("create: %v", err)
	}
	changed := with(wanted(1), "tier", "premium")
	if _, err := p.Create(context.Background(), changed); provider.KindOf(err) != provider.Conflict {
		t.Errorf("in other words: %v", err)
	}
	w.clock.move(time.Minute)
	found, err := named(p, 1)
	if err != nil || len(found) != 1 {
		t.Fatalf("%d found, %v", len(found), err)
	}
	o, err := p.Update(context.Background(), found[0].ID, changed)
	if err != nil || attribute(o, "tier") != "premium" || len(w.vendor.Accounts()) != 1 {
		t.Errorf("update: %+v, %v", o, err)
	}
}

// Stripe keeps a failure for a day, too. Then the name is free.
func TestFailureIsKeptForADay(t *testing.T) {
	w := start(t)
	p := w.open()
	w.vendor.FailNext(1)
	for n, again := range []bool{false, true} {
		_, err := p.Create(context.Background(), wanted(1))
		if provider.KindOf(err) != provider.Uncertain || strings.Contains(err.Error(), "repeats for a day") != again {
			t.Errorf("try %d: %v", n, err)
		}
	}
	w.clock.move(24 * time.Hour)
	w.made(p, 1)
	if all := w.vendor.Accounts(); len(all) != 1 {
		t.Errorf("%d accounts", len(all))
	}
}

// A wish that comes back is applied again, though Stripe knows that request: each update has a
// key of its own. One whose answer was lost may be sent again.
func TestUpdateThereAndBack(t *testing.T) {
	w := hostile(t)
	p := w.open()
	o := w.made(p, 1)
	for _, tier := range []string{"premium", "standard", "premium", "", "standard"} {
		if _, err := p.Update(context.Background(), o.ID, with(wanted(1), "tier", tier)); err != nil {
			t.Fatal(err)
		}
		if got := w.vendor.Accounts()[0].Metadata[keyTier]; got != tier {
			t.Errorf("the tier is %q, want %q", got, tier)
		}
	}
	w.faults.Add(simulator.Fault{Method: http.MethodPost, Path: accountsPath + "/*", Do: simulator.LoseAnswer()})
	changed := with(wanted(1), "label", "Another Shop")
	if _, err := p.Update(context.Background(), o.ID, changed); provider.KindOf(err) != provider.Uncertain {
		t.Errorf("lost: %v", err)
	}
	if got, err := p.Update(context.Background(), o.ID, changed); err != nil || attribute(got, "label") != "Another Shop" {
		t.Errorf("again: %+v, %v", got, err)
	}
	p.random = strings.NewReader("too short")
	if _, err := p.Update(context.Background(), o.ID, wanted(1)); provider.KindOf(err) != provider.Transient {
		t.Errorf("without randomness: %v", err)
	}
}

// Late lists show an account once, and before that none.
func TestLateLists(t *testing.T) {
	w := start(t, late(time.Minute))
	p := w.open()
	w.made(p, 1)
	if found, err := named(p, 1); err != nil || len(found) != 0 {
		t.Errorf("at once: %v, %v", found, err)
	}
	w.clock.move(p.Traits()[KindPayments].ListLag)
	if found, err := named(p, 1); err != nil || len(found) != 1 {
		t.Errorf("after a minute: %v, %v", found, err)
	}
}
