package main

import (
	"slices"
	"strings"
	"testing"
)

// S12: a merged manifest is provisioned in order, the client is active and its site
// answers with its name.
func TestS12Provision(t *testing.T) {
	w := newWorld(t, nil)
	w.start()
	head := w.commit(map[string]string{"clients/demoshop.yaml": manifestOf("demoshop")})
	w.active("demoshop")
	if code, page := w.get("demoshop.localhost", "/"); code != 200 || !strings.Contains(page, "Shop demoshop") {
		t.Errorf("the site answers %d:\n%s", code, page)
	}
	if got := w.resolve("demoshop.localhost"); !slices.Equal(got, []string{"127.0.0.1"}) {
		t.Errorf("its name resolves to %v", got)
	}
	d := w.why("demoshop")
	if d.Last == nil || d.Last.State != "succeeded" || d.Last.Commit != head {
		t.Fatalf("the audit record is %+v", d.Last)
	}
	var shown []string
	for _, s := range d.Last.Steps {
		if s.State != "done" {
			t.Errorf("step %s is %s", s.Step, s.State)
		}
		if n := len(shown); n == 0 || shown[n-1] != s.Action+" "+string(s.Ref.Kind) {
			shown = append(shown, s.Action+" "+string(s.Ref.Kind))
		}
	}
	order := []string{"create database", "create site", "create environment", "create deployment", "await deployment", "create admin", "probe deployment", "create traffic", "create domain", "create record", "probe traffic", "create mail", "record "}
	for i := 1; i < len(order); i++ {
		if a, b := slices.Index(shown, order[i-1]), slices.Index(shown, order[i]); a < 0 || b < 0 {
			t.Errorf("no step %q or %q in %v", order[i-1], order[i], shown)
		}
	}
	for _, pair := range [][2]string{{"create database", "create deployment"}, {"create deployment", "await deployment"}, {"await deployment", "create admin"}, {"create admin", "create traffic"}, {"probe deployment", "create traffic"}, {"create traffic", "create domain"}, {"create domain", "probe traffic"}} {
		if slices.Index(shown, pair[0]) > slices.Index(shown, pair[1]) {
			t.Errorf("%q comes after %q in %v", pair[0], pair[1], shown)
		}
	}
	if v := w.status(); v.Verdict != "success: demoshop succeeded" || v.Head != head {
		t.Errorf("the verdict of %s is %q", v.Head, v.Verdict)
	}
	mails, err := w.daemon.program.mail.Messages()
	if err != nil || len(mails) != 1 || mails[0].To != "dana@demoshop.example" {
		t.Errorf("mail: %v %v", mails, err)
	}
	if p := w.plan(); len(p.Changes)+len(p.Problems) != 0 {
		t.Errorf("a second plan is not empty: %+v", p)
	}
}

// S13: when nothing else changed, the run's fingerprint is that of the plan that was
// reviewed.
func TestS13AsReviewed(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery")})
	w.active("bakery")
	w.write(map[string]string{"clients/demoshop.yaml": manifestOf("demoshop"), "clients/bakery.yaml": manifestOf("bakery", "env: {STORE_CURRENCY: EUR}")})
	reviewed := map[string]string{}
	for _, c := range w.plan("--dir", w.work).Changes {
		reviewed[c.Client] = c.Fingerprint
	}
	if len(reviewed) != 2 {
		t.Fatalf("reviewed: %v", reviewed)
	}
	w.commit(nil)
	w.active("demoshop", "bakery")
	for name, want := range reviewed {
		if d := w.why(name); d.Last.Fingerprint != want {
			t.Errorf("%s was reviewed as %s and ran as %s", name, want, d.Last.Fingerprint)
		}
	}
}

// S18 and P11: reconciling a converged fleet writes nothing, reads nothing at the
// providers, syncs nothing and parses nothing.
func TestS18Idle(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery"), "clients/demoshop.yaml": manifestOf("demoshop")})
	w.start()
	w.active("bakery", "demoshop")
	p := w.daemon.program
	if err := p.daemon.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	calls, stats, syncs := w.calls.len(), p.engine.Stats(), p.store.Stats()
	for range 100 {
		if err := p.daemon.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := p.daemon.Queue().Idle(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.calls.since(calls); len(got) > 0 {
		t.Errorf("provider calls: %v", got)
	}
	if got := p.engine.Stats(); got != stats {
		t.Errorf("the engine went from %+v to %+v", stats, got)
	}
	if got := p.store.Stats(); got.Syncs != syncs.Syncs {
		t.Errorf("%d syncs", got.Syncs-syncs.Syncs)
	}
}

// S19: one variable changes, and only environment and deployment steps run.
func TestS19EnvOnly(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery", "env: {STORE_CURRENCY: EUR}")})
	w.active("bakery")
	n := w.calls.len()
	w.commit(map[string]string{"clients/bakery.yaml": manifestOf("bakery", "env: {STORE_CURRENCY: CHF}")})
	w.active("bakery")
	for _, c := range w.calls.since(n) {
		if !c.Writes() {
			continue
		}
		switch c.Kind {
		case "environment", "deployment", "traffic":
		default:
			t.Errorf("%s", c)
		}
	}
	if len(w.calls.writes(n)) == 0 {
		t.Error("nothing was written")
	}
}

// S15: twenty merges within a moment, of different clients: all converge, and the
// writes are those of twenty single runs.
func TestS15TwentyMerges(t *testing.T) {
	single := func() []string {
		w := newWorld(t, map[string]string{"clients/c00.yaml": manifestOf("c00")})
		w.active("c00")
		return w.calls.writes(0)
	}()
	w := newWorld(t, nil)
	w.configure("guard: {maxCreates: 50}")
	w.start()
	w.apply()
	n := w.calls.len()
	var names []string
	for i := range 20 {
		name := "c" + string(rune('a'+i))
		names = append(names, name)
		w.commit(map[string]string{"clients/" + name + ".yaml": manifestOf(name)})
		w.daemon.program.daemon.Hint()
	}
	w.active(names...)
	if got := len(w.calls.writes(n)); got != 20*len(single) {
		t.Errorf("%d writes, twenty single runs have %d\n%s", got, 20*len(single), strings.Join(w.calls.writes(n), "\n"))
	}
}
