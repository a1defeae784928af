package apply_test

import (
	"context"
	"testing"

	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// marking lets the world's providers write marks.
func (w *world) marking() {
	w.runner.Marker = func(name string, k state.Kind) (provider.Marker, bool) {
		m, ok := w.all[name].(provider.Marker)
		return m, ok && w.all[name].Traits()[k].Marks
	}
}

// label writes the marks of what bakery adopted.
func (w *world) label(ctx context.Context) (apply.Result, error) {
	w.t.Helper()
	c := w.who("bakery")
	may := func(name string, k state.Kind) bool {
		return k == state.KindSite || k == state.KindDatabase || k == state.KindRecord
	}
	return w.runner.Run(ctx, apply.Job{Plan: plan.Plan{Steps: plan.Marks(c.client, w.recorded(c.client.ID), may)}, Run: "label",
		Clients: map[state.ClientID]state.Client{c.client.ID: c.client}, Deployment: map[state.ClientID]string{}})
}

func (w *world) who(name string) *who {
	w.t.Helper()
	for _, c := range w.clients {
		if c.client.Name == name {
			return c
		}
	}
	w.t.Fatalf("no client %s", name)
	return nil
}

// marks are those of what was adopted, by id.
func (w *world) marks() map[string]provider.Mark {
	out := map[string]provider.Mark{}
	for _, id := range []string{"site-1", "data-1", "rec-1", "dom-1"} {
		o, _ := w.vendor.Object(id)
		out[id] = o.Mark
	}
	return out
}

func bakeryMark() provider.Mark {
	return provider.Mark{Installation: installation, Client: idOf("bakery"), Generation: 1}
}

// Rule "Adoption": what was adopted is marked when a person asks for it, each with an intent,
// and the record and the next plan stay as they are.
func TestRuleAdoptionMarks(t *testing.T) {
	w := start(t)
	w.adoptable()
	w.wants(shop("bakery", adopting))
	if out, err := w.pass(t.Context()); err != nil || out.state != apply.StepDone {
		t.Fatalf("%v %v", out.state, err)
	}
	w.marking()
	before := len(w.plan(nil).Steps)
	r, err := w.label(t.Context())
	if err != nil || len(r.Steps) != 3 {
		t.Fatalf("%d steps, %v", len(r.Steps), err)
	}
	for id, m := range w.marks() {
		if want := map[bool]provider.Mark{true: bakeryMark()}[id != "dom-1"]; m != want {
			t.Errorf("%s bears %v", id, m)
		}
	}
	if n := len(w.plan(nil).Steps); n != before {
		t.Errorf("the plan has %d steps, %d before the marks", n, before)
	}
	if n := w.vendor.Counts("").Writes; n != 3 {
		t.Errorf("%d writes, want a mark each", n)
	}
}

// A mark whose answer was lost is looked for; one of which a crash left nothing but the
// intent is settled by a look, and written by the next try.
func TestRuleAdoptionMarksAreSettled(t *testing.T) {
	for name, moment := range map[string]memory.Moment{"it came through": memory.After, "it did not": memory.Before} {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			w.adoptable()
			w.wants(shop("bakery", adopting))
			if out, err := w.pass(t.Context()); err != nil || out.state != apply.StepDone {
				t.Fatalf("%v %v", out.state, err)
			}
			w.marking()
			w.faults.On(moment, memory.Is(memory.Mark, state.KindSite), 1, memory.Lost())
			r, err := w.label(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range r.Steps {
				if s.State != apply.StepDone {
					t.Errorf("%s is %s: %v", s.Step.Key(), s.State, s.Err)
				}
			}
			if got := w.marks()["site-1"]; got != bakeryMark() {
				t.Errorf("the site bears %v", got)
			}
		})
	}
	t.Run("the process dies", func(t *testing.T) {
		w := start(t)
		w.adoptable()
		w.wants(shop("bakery", adopting))
		if out, err := w.pass(t.Context()); err != nil || out.state != apply.StepDone {
			t.Fatalf("%v %v", out.state, err)
		}
		w.marking()
		ctx, cancel := context.WithCancel(t.Context())
		w.faults.Do(memory.After, memory.Is(memory.Mark, state.KindSite), 1, func(context.Context, memory.Call) error { cancel(); return memory.Lost() })
		if _, err := w.label(ctx); err == nil {
			t.Fatal("it went on")
		}
		open := 0
		w.view(func(tx store.Tx) error {
			all, err := store.Intents(tx, "")
			open = len(all)
			return err
		})
		if open != 1 {
			t.Fatalf("%d intents are open", open)
		}
		if _, err := w.label(t.Context()); err != nil {
			t.Fatal(err)
		}
		marks := 0
		for _, c := range w.vendor.Calls() {
			if c.Verb == memory.Mark && c.Kind == state.KindSite {
				marks++
			}
		}
		if marks != 1 || w.marks()["site-1"] != bakeryMark() {
			t.Errorf("the site was marked %d times: %v", marks, w.marks())
		}
	})
}

// Somebody else's mark stays, and a person has to see to it.
func TestRuleAdoptionLeavesOthersMarks(t *testing.T) {
	w := start(t)
	w.adoptable()
	w.wants(shop("bakery", adopting))
	if out, err := w.pass(t.Context()); err != nil || out.state != apply.StepDone {
		t.Fatalf("%v %v", out.state, err)
	}
	w.marking()
	theirs := provider.Mark{Installation: "feedface", Client: "c1", Generation: 1}
	site, _ := w.vendor.Object("site-1")
	site.Mark = theirs
	w.vendor.Seed("host", site)
	r, err := w.label(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if st, at := r.Worst(idOf("bakery")); st != apply.StepParked || at.Step.Ref.Kind != state.KindSite {
		t.Errorf("the worst is %s %v", st, at)
	}
	if w.marks()["site-1"] != theirs {
		t.Error("another's mark was written over")
	}
}
