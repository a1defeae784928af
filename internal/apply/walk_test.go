package apply_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// Steps that don't need each other are sent side by side: the database and the site wait
// for each other here.
func TestSideBySideWhereNothingIsNeeded(t *testing.T) {
	w := start(t, func(w *world) { w.parallel = 4 })
	w.wants(shop("bakery"))
	var both sync.WaitGroup
	both.Add(2)
	w.faults.Do(memory.Before, memory.Is(memory.Create, state.KindDatabase, state.KindSite), 2, func(ctx context.Context, _ memory.Call) error {
		both.Done()
		met := make(chan struct{})
		go func() { both.Wait(); close(met) }()
		select {
		case <-met:
		case <-time.After(30 * time.Second):
			t.Error("they did not run side by side")
			both.Done()
		}
		return nil
	})
	w.converged()
}

// A step begins only when what it needs is on record, and no more than Parallel at once;
// many clients in one group, under the race detector too.
func TestSideBySideRespectsNeedsAndParallel(t *testing.T) {
	for _, parallel := range []int{1, 2, 8} {
		w := start(t, func(w *world) { w.parallel = parallel })
		for _, name := range []string{"bakery", "florist", "garage", "hatter"} {
			w.wants(shop(name))
		}
		w.meet(parallel)
		p := w.plan(nil)
		needs := map[string][]string{}
		for _, s := range p.Steps {
			needs[s.Key()] = s.Needs
		}
		var mu sync.Mutex
		running, most := map[string]bool{}, 0
		done := map[string]bool{}
		w.runner.Emit = func(e apply.Event) {
			mu.Lock()
			defer mu.Unlock()
			k := e.Step.Key()
			switch e.State {
			case "running":
				running[k] = true
				most = max(most, len(running))
				for _, n := range needs[k] {
					if !done[n] {
						t.Errorf("%s begins before %s is done", k, n)
					}
				}
			case "done":
				delete(running, k)
				done[k] = true
			}
		}
		out, err := w.run(t.Context(), p)
		if err != nil || out.state != apply.StepDone {
			t.Fatalf("%s: %v %v", out.state, out.err, err)
		}
		if most != parallel {
			t.Errorf("%d at once, allowed are %d", most, parallel)
		}
		if len(done) != len(p.Steps) {
			t.Errorf("%d of %d steps are done", len(done), len(p.Steps))
		}
		w.runner.Emit = nil
		w.converged()
	}
}

// meet lets the first n creates of a database or a site begin only when all n are there.
// Nothing of these needs another one.
func (w *world) meet(n int) {
	var there atomic.Int64
	all := make(chan struct{})
	w.faults.Do(memory.Before, memory.Is(memory.Create, state.KindDatabase, state.KindSite), n, func(context.Context, memory.Call) error {
		if there.Add(1) == int64(n) {
			close(all)
		}
		select {
		case <-all:
		case <-time.After(time.Minute): // a hang is an error, too
			w.t.Errorf("%d calls at once, want %d", there.Load(), n)
		}
		return nil
	})
}

// P6: one client of a group that fails stops nobody else, and every step has a result.
func TestP6OneNeverBlocksAnother(t *testing.T) {
	for _, parallel := range []int{1, 4} {
		w := start(t, func(w *world) { w.parallel = parallel })
		w.wants(shop("bakery"))
		w.wants(shop("florist"))
		w.faults.On(memory.Before, func(c memory.Call) bool {
			return c.Verb == memory.Create && c.Client == idOf("bakery") && c.Kind == state.KindSite
		}, 1, memory.Fail(provider.Invalid, "no room"))
		out, err := w.pass(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if st, at := out.result.Worst(idOf("bakery")); st != apply.StepFailed || at.Step.Ref.Kind != state.KindSite {
			t.Errorf("bakery: %s", st)
		}
		if st, _ := out.result.Worst(idOf("florist")); st != apply.StepDone {
			t.Errorf("florist: %s", st)
		}
		for _, s := range out.result.Steps {
			if s.State == "" || s.Step.Key() == "" {
				t.Errorf("a step has no result: %+v", s)
			}
		}
		for _, s := range out.result.Of(idOf("bakery")) {
			if s.State == apply.StepDone && s.Step.Ref.Kind != state.KindDatabase {
				t.Errorf("%s ran after the site had failed", s.Step.Key())
			}
		}
	}
}

// What is held, and what needs it, is not begun.
func TestHeldStepsAreSkipped(t *testing.T) {
	w := start(t)
	w.wants(shop("bakery"))
	p := w.plan(nil)
	for i := range p.Steps {
		switch p.Steps[i].Ref.Kind {
		case state.KindTraffic:
			p.Steps[i].Held = "9f3a"
		case state.KindDomain, state.KindRecord:
			p.Steps[i].Blocked = true
		}
	}
	out, err := w.run(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range out.result.Steps {
		serving := s.Step.Ref.Kind == state.KindTraffic || s.Step.Ref.Kind == state.KindDomain || s.Step.Ref.Kind == state.KindRecord || s.Step.Action == plan.Record
		if serving && s.State != apply.StepSkipped {
			t.Errorf("%s is %s", s.Step.Key(), s.State)
		}
		if !serving && s.State != apply.StepDone && s.Step.Ref.Kind != state.KindMail {
			t.Errorf("%s is %s: %v", s.Step.Key(), s.State, s.Err)
		}
	}
	if _, serves := w.vendor.Serves("bakery.example"); serves {
		t.Error("what is held was done")
	}
}

// Rule "Ownership": what is not ours parks the client, whatever the kind, and stays byte
// for byte what it is.
func TestRuleOwnershipLookAlikesAreNotTouched(t *testing.T) {
	mark := provider.Mark{Installation: installation, Client: idOf("bakery"), Generation: 1}
	foreign := map[string]provider.Mark{
		"unmarked": {}, "another installation's": {Installation: "ffff0000", Client: idOf("bakery"), Generation: 1},
		"another client's": {Installation: installation, Client: "other", Generation: 1}, "an earlier generation's": {Installation: installation, Client: idOf("bakery"), Generation: 9},
	}
	for name, m := range foreign {
		for _, k := range []state.Kind{state.KindDatabase, state.KindSite, state.KindAdmin, state.KindDomain, state.KindRecord} {
			t.Run(name+"/"+string(k), func(t *testing.T) {
				w := start(t)
				owner := map[state.Kind]string{state.KindDatabase: "db", state.KindAdmin: "db", state.KindRecord: "dns"}[k]
				if owner == "" {
					owner = "host"
				}
				o := provider.Object{ID: "theirs", Kind: k, Mark: m, Name: provider.ObjectName(mark, state.Ref{Kind: k}), Attributes: texts("label", "other")}
				switch k {
				case state.KindDomain:
					o.Name, o.Attributes = "bakery.example", texts("host", "bakery.example", "site", "elsewhere")
				case state.KindRecord:
					o.Name, o.Attributes = "A bakery.example", texts("type", "A", "name", "bakery.example", "content", "192.0.2.77")
				}
				w.vendor.Seed(owner, o)
				match := func(o provider.Object) bool { return o.ID == "theirs" }
				before := w.vendor.Snapshot(match)
				w.wants(shop("bakery"))
				out := w.settle(2)
				if out.state != apply.StepParked || !strings.Contains(out.err.Error(), owner) {
					t.Errorf("%s: %v", out.state, out.err)
				}
				if after := w.vendor.Snapshot(match); after != before {
					t.Errorf("it was touched:\n%s", after)
				}
				w.vendor.Remove("theirs")
				w.converged()
			})
		}
	}
}

// Rule "Ownership": what equals the wish to the letter and bears another mark is foreign all
// the same, and data without a mark is somebody's: neither is used.
func TestRuleOwnershipEqualLookAlikesAreNotUsed(t *testing.T) {
	twin := start(t)
	twin.wants(shop("bakery"))
	twin.converged()
	for _, c := range []struct {
		kind  state.Kind
		owner string
	}{{state.KindDatabase, "db"}, {state.KindSite, "host"}, {state.KindDomain, "host"}, {state.KindRecord, "dns"}} {
		o, ok := twin.vendor.Object(twin.on("bakery", c.kind).ID)
		if !ok {
			t.Fatalf("the twin has no %s", c.kind)
		}
		for name, m := range map[string]provider.Mark{"unmarked": {}, "another installation's": {Installation: "ffff0000", Client: idOf("bakery"), Generation: 1}, "another client's": {Installation: installation, Client: "other", Generation: 1}} {
			if m.IsZero() && c.kind != state.KindDatabase {
				continue // may be used: TestRuleOwnershipFoundIsUsedAndLeft
			}
			t.Run(name+"/"+string(c.kind), func(t *testing.T) {
				w := start(t)
				theirs := o
				theirs.ID, theirs.Mark = "theirs", m
				w.vendor.Seed(c.owner, theirs)
				match := func(o provider.Object) bool { return o.ID == "theirs" }
				before := w.vendor.Snapshot(match)
				w.wants(shop("bakery"))
				if out := w.settle(2); out.state != apply.StepParked || !strings.Contains(out.err.Error(), c.owner) {
					t.Errorf("%s: %v", out.state, out.err)
				}
				for _, r := range w.recorded(idOf("bakery")) {
					if r.ID == "theirs" {
						t.Errorf("it is used: %+v", r)
					}
				}
				if after := w.vendor.Snapshot(match); after != before {
					t.Errorf("it was touched:\n%s", after)
				}
			})
		}
	}
}

// Two objects that bear our mark: nobody guesses which.
func TestRuleUncertainCreatesTwoFoundParks(t *testing.T) {
	w := start(t)
	mark := provider.Mark{Installation: installation, Client: idOf("bakery"), Generation: 1}
	for _, id := range []string{"one", "two"} {
		w.vendor.Seed("host", provider.Object{ID: id, Kind: state.KindSite, Mark: mark, Name: provider.ObjectName(mark, state.Ref{Kind: state.KindSite})})
	}
	w.wants(shop("bakery"))
	out := w.settle(2)
	if out.state != apply.StepParked || !strings.Contains(out.err.Error(), "one and two") {
		t.Fatalf("%s: %v", out.state, out.err)
	}
	if r, ok := w.record(state.Ref{Client: idOf("bakery"), Kind: state.KindSite, Name: "host"}); ok {
		t.Errorf("on record: %+v", r)
	}
}

// A ghost: late lists still show, with our mark, what was deleted a moment ago. It is not
// taken for a living object, neither before a create nor when a lost answer is looked into.
func TestP3GhostsAreNotTakenOver(t *testing.T) {
	for name, fault := range map[string]func(*memory.Faults){
		"before a create": func(*memory.Faults) {},
		"after a lost answer": func(f *memory.Faults) {
			f.On(memory.Before, memory.Is(memory.Create, state.KindSite, state.KindRecord), 2, memory.Lost())
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t, func(w *world) {
				w.change = func(_ state.Kind, t *provider.Traits) { t.ListLag = time.Minute }
				w.options = func(o *memory.Options) { o.LateDeletes = true }
			})
			w.wants(shop("bakery"))
			w.converged()
			w.clock.move(time.Hour)
			old := w.on("bakery", state.KindSite).ID
			w.goes("bakery")
			if out := w.settle(0); !out.idle {
				t.Fatalf("%s %v", out.state, out.err)
			}
			fault(w.faults)
			w.wants(shop("bakery"))
			w.converged()
			if now := w.on("bakery", state.KindSite).ID; now == old {
				t.Errorf("the ghost %s is on record", old)
			}
		})
	}
}

// One name may have several records of ours: none is taken for another one.
func TestSeveralRecordsOfOneName(t *testing.T) {
	w := start(t)
	w.wants(shop("bakery", func(e *manifest.Effective) {
		e.DNS.Records = []manifest.Record{{Type: "MX", Name: "@", Content: "mx1.example", Priority: 10}, {Type: "MX", Name: "@", Content: "mx2.example", Priority: 20},
			{Type: "TXT", Name: "@", Content: "v=spf1 -all"}}
	}))
	w.converged()
	n := 0
	for _, o := range w.vendor.Objects("dns") {
		if strings.HasPrefix(o.Name, "MX ") {
			n++
		}
	}
	if n != 2 {
		t.Errorf("%d MX records", n)
	}
}

// P5: what is adopted stays adopted when it moves to another client, and is left there.
func TestP5MovedKeepsWhatItIs(t *testing.T) {
	w := start(t)
	w.wants(shop("bakery", func(e *manifest.Effective) { e.Hosts = append(e.Hosts, "cake.example") }))
	w.wants(shop("florist"))
	w.converged()
	from := state.Ref{Client: idOf("bakery"), Kind: state.KindRecord, Name: "A cake.example"}
	was, ok := w.record(from)
	if !ok {
		t.Fatal("no record")
	}
	was.Adopted = true
	w.update(func(tx store.Tx) error { return store.PutResource(tx, was) })
	w.wants(shop("bakery"))
	w.wants(shop("florist", func(e *manifest.Effective) { e.Hosts = append(e.Hosts, "cake.example") }))
	if out, err := w.pass(t.Context()); err != nil || out.state != apply.StepDone {
		t.Fatalf("%s %v %v", out.state, out.err, err)
	}
	now, ok := w.record(state.Ref{Client: idOf("florist"), Kind: state.KindRecord, Name: "A cake.example"})
	if !ok || now.ID != was.ID || !now.Adopted || now.Run != was.Run {
		t.Errorf("moved to %+v", now)
	}
	if _, still := w.record(from); still {
		t.Error("it is on record twice")
	}
}

// A mail that was sent and is on no record any more (a first provisioning was taken back)
// is neither sent again nor changed, whatever it would say now.
func TestP3SentMailIsTakenAsItIs(t *testing.T) {
	w := start(t)
	w.wants(shop("bakery"))
	w.converged()
	mail := w.on("bakery", state.KindMail)
	w.vendor.Set(mail.ID, "text", "what it said then")
	before := w.vendor.Snapshot(func(o provider.Object) bool { return o.Kind == state.KindMail })
	w.update(func(tx store.Tx) error { return store.DeleteResource(tx, mail.Ref) })
	w.converged()
	if after := w.vendor.Snapshot(func(o provider.Object) bool { return o.Kind == state.KindMail }); after != before {
		t.Errorf("the mail was\n%s\nand is\n%s", before, after)
	}
	if got := w.on("bakery", state.KindMail); got.ID != mail.ID {
		t.Errorf("on record is %q, want %q", got.ID, mail.ID)
	}
}
