package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/store"
)

// death ends a program inside of this process as a kill does: from one moment on it writes
// nothing any more, neither into its state nor at a vendor. Calls that are under way happen.
type death struct {
	mu    sync.Mutex
	died  map[string]bool // the borders of steps that somebody died at
	dead  bool
	dying bool // the next border that nobody died at
}

var errDied = errors.New("the process is dead")

// at is a border of a step.
func (d *death) at(b apply.Border, s plan.Step) {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := fmt.Sprint(b, " ", s.Action, " ", s.Ref)
	if d.dying && !d.dead && !d.died[key] {
		d.died[key], d.dead = true, true
	}
}

func (d *death) err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return errDied
	}
	return nil
}

// mortal is a dead program's store.
type mortal struct {
	store.Store
	*death
}

// Update implements store.Store.
func (m mortal) Update(fn func(store.Tx) error) error {
	if err := m.err(); err != nil {
		return err
	}
	return m.Store.Update(fn)
}

// S29, P3, P8: the program dies at every border of every step, each once, while clients at both
// hosts are provisioned, changed and removed. The end is that of an undisturbed run: one of
// everything, no intent open, nothing left to do.
func TestS29OverVendors(t *testing.T) {
	t.Parallel()
	f := newFleet(t, usual(), map[string]string{"clients/keeper.yaml": atPloi("keeper", "database: {provider: none}", "env: {DATABASE_URL: {none: true}}", "dns: {provider: none}", "deployment: {provider: none}")})
	f.configure("guard: {maxDeletePercent: 100}\n")
	d := &death{died: map[string]bool{}}
	wired := f.wired
	f.wired = func(p *program) {
		wired(p)
		s := mortal{p.engine.Store, d}
		p.engine.Store, p.engine.Runner.Store, p.engine.Runner.At = s, s, d.at
	}
	f.calls.interfere(func(call) error { return d.err() }, nil)
	f.settle("keeper")
	until := func(what string, done func() bool) {
		t.Helper()
		const most = 120
		d.dying = true
		n := 0
		for ; n < most; n++ {
			d.dead = false
			r := f.cli("apply")
			if !d.dead && r.code == 0 && done() {
				break
			}
			if !d.dead {
				f.clock.add(2 * time.Minute)
			}
		}
		d.dying, d.dead = false, false
		if n == most {
			t.Fatalf("%s: it does not come to its end:\n%s", what, f.must(0, "status").out)
		}
		t.Logf("%s: %d passes, %d deaths so far", what, n, len(d.died))
	}
	active := func() bool {
		v := f.status()
		return rowOf(v, "demoshop").Status == "active" && rowOf(v, "bakery").Status == "active"
	}
	clean := func(what string, want ...string) {
		t.Helper()
		f.wantThings(what, want...)
		for _, name := range []string{"demoshop", "bakery"} {
			if open := f.why(name).Intents; len(open) > 0 {
				t.Errorf("%s: %s has open intents: %q", what, name, open)
			}
		}
		if got := changes(f.plan()); len(got) > 0 {
			t.Errorf("%s: there is still something to do: %q", what, got)
		}
	}
	whole := slices.Concat(wholeOf("ploi", "demoshop"), paysAndUser("demoshop"), wholeOf("vercel", "bakery"), paysAndUser("bakery"))
	f.commit(map[string]string{"clients/demoshop.yaml": paying(atPloi)("demoshop"), "clients/bakery.yaml": paying(atVercel)("bakery")})
	until("provisioned", active)
	clean("provisioned", whole...)
	more := []string{"env: {STORE_CURRENCY: CHF}", "dns: {records: [{type: TXT, name: note, content: one}]}", "payments: {enabled: true, pricingTier: premium, country: NL}"}
	f.commit(map[string]string{"clients/demoshop.yaml": withUser(atPloi("demoshop", more...)), "clients/bakery.yaml": withUser(atVercel("bakery", more...))})
	until("changed", active)
	clean("changed", append(whole, "cloudflare TXT note."+site("demoshop"), "cloudflare TXT note."+site("bakery"))...)
	f.commit(map[string]string{"clients/demoshop.yaml": "", "clients/bakery.yaml": ""})
	until("removed", func() bool {
		v := f.status()
		return rowOf(v, "demoshop").Status == "retained" && rowOf(v, "bakery").Status == "retained" && len(f.plan().Changes) == 0
	})
	clean("removed", slices.DeleteFunc(whole, func(x string) bool {
		return strings.HasPrefix(x, "ploi") || strings.HasPrefix(x, "vercel") || strings.HasPrefix(x, "cloudflare")
	})...)
	if len(d.died) < 100 {
		t.Errorf("only %d deaths", len(d.died))
	}
}
