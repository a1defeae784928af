package reconcile_test

import (
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

// guarded starts the program anew with these limits.
func (w *world) guarded(g accept.Guard) {
	w.t.Helper()
	w.change = func(e *reconcile.Engine) { e.Guard = g }
	w.restart()
}

// approveHolds approves what is held of these kinds, once each.
func (w *world) approveHolds(kinds ...state.HoldKind) {
	w.t.Helper()
	for _, kind := range kinds {
		for _, h := range w.waits(kind) {
			ids, err := w.engine.Approve(w.t.Context(), h.Fingerprint, "dana")
			if err != nil {
				w.t.Fatal(err)
			}
			w.pass(ids...)
		}
	}
}

// P6, P9: a name goes to a new client that waits with others for an approval. Who gives it away gets all else of its
// commits, serves the name until the new one does, and says what that waits for. Who gives it away by going stays as
// long. Before, both waited with it, with no word of it, and their commits were pending.
func TestP6WhoGivesANameToANewClientThatWaitsGoesOn(t *testing.T) {
	const host = "shop.example"
	renamed := strings.Replace(client("new", "database: {reuse: fresh}"), "domain: new", "domain: "+host, 1)
	for name, c := range map[string]struct{ before, then, taker string }{
		"an alias":    {client("old", "aliases: ["+host+"]"), client("old", "env: {COLOUR: red}"), client("new", "aliases: ["+host+"]")},
		"its domain":  {strings.Replace(client("old"), "domain: old", "domain: "+host, 1), client("old", "env: {COLOUR: red}"), renamed},
		"it all goes": {strings.Replace(client("old"), "domain: old", "domain: "+host, 1), "", renamed},
	} {
		t.Run(name, func(t *testing.T) {
			v, w := newVendors(t)
			w.apply(map[string]string{"clients/old.yaml": c.before, "clients/other.yaml": client("other")})
			w.guarded(accept.Guard{MaxDeletes: 9, MaxDeletePercent: 100, MaxChanged: 25, MaxCreates: 2})
			w.apply(map[string]string{"clients/old.yaml": c.then, "clients/new.yaml": c.taker})
			head := w.engine.Head()
			w.want("new", state.StatusHeld)
			status, fate := state.StatusActive, "succeeded"
			if c.then == "" {
				status, fate = state.StatusHeld, "held"
			}
			if r := w.want("old", status); !strings.Contains(r.Because, host+" still leads here: new, which takes it over, waits: 3 new clients in 24 hours") {
				t.Errorf("it says %q", r.Because)
			}
			if got := w.fateIn(head, w.id("old")); got != fate || w.said() == "pending" {
				t.Errorf("its commit is %q for it, and %q", got, w.said())
			}
			if v.servedBy(host) != w.id("old") {
				t.Errorf("%s is served by %q", host, v.servedBy(host))
			}
			if c.then != "" {
				if got := v.colour("old.agency.example"); got != "red" {
					t.Errorf("what else its commit asked for is not done: it is %q", got)
				}
				w.apply(map[string]string{"clients/old.yaml": client("old", "env: {COLOUR: green}")})
				if got := v.colour("old.agency.example"); got != "green" || w.said() != "success" || v.servedBy(host) != w.id("old") {
					t.Errorf("its next commit: it is %q, the commit %q, and %s is served by %q", got, w.said(), host, v.servedBy(host))
				}
			}
			w.approveHolds(state.HoldCreates)
			w.want("new", state.StatusActive)
			if v.servedBy(host) != w.id("new") {
				t.Errorf("approved: %s is served by %q", host, v.servedBy(host))
			}
			if got := w.fateIn(head, w.id("new")); got != "succeeded" {
				t.Errorf("approved: its commit is %q for the new one", got)
			}
			if status = state.StatusActive; c.then == "" {
				status = state.StatusRetained
			}
			if r := w.want("old", status); strings.Contains(r.Because, host) {
				t.Errorf("approved: it says %q", r.Because)
			}
		})
	}
}

// Guard: two clients swap their names, and the guard holds that. The next commit takes something away that one of them has by
// its last good version, and both are held as one: approved, that part goes. What is left, the swap, is held under another fingerprint,
// which lets it go. Before, approving that changed nothing, however often it was done.
func TestRuleGuardWhatIsLeftOfAHoldCanBeApproved(t *testing.T) {
	const a, b = "a.agency.example", "b.agency.example"
	named := func(name, domain string, more ...string) string {
		return strings.Replace(client(name, more...), "domain: "+name, "domain: "+domain, 1)
	}
	v, w := newVendorsWith(t)
	w.apply(map[string]string{"clients/a.yaml": client("a", "deployment: {provider: vercel}"), "clients/b.yaml": client("b"),
		"platform.yaml": "apiVersion: reconciler/v1\nkind: Platform\ndefaults: {deployment: {provider: ploi}}\n"})
	w.guarded(accept.Guard{MaxDeletes: 1, MaxDeletePercent: 100, MaxChanged: 25, MaxCreates: 9})
	w.apply(map[string]string{"clients/a.yaml": named("a", "b", "deployment: {provider: vercel}"), "clients/b.yaml": named("b", "a")})
	w.apply(map[string]string{"platform.yaml": ""}) // b moves to vercel, too
	for range 3 {
		w.approveHolds(state.HoldGuard, state.HoldData, state.HoldRisk)
	}
	if left := w.waits(state.HoldGuard); len(left) > 0 {
		t.Errorf("still held: %s", left[0].Reason)
	}
	for host, name := range map[string]string{a: "b", b: "a"} {
		w.want(name, state.StatusActive)
		if v.servedBy(host) != w.id(name) {
			t.Errorf("%s is served by %q, want %s's", host, v.servedBy(host), name)
		}
	}
}

// S53: a change was stopped after three failures. Clients leave it by commits of their own, and go: what is said of it, and an
// approval lets go on, is who waits by now.
func TestS53AHaltedChangeSaysWhoWaitsStill(t *testing.T) {
	v, w := newVendors(t)
	files := map[string]string{}
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		files["clients/"+name+".yaml"] = client(name)
	}
	w.apply(files)
	w.guarded(accept.Guard{MaxDeletes: 9, MaxDeletePercent: 100, MaxChanged: 2, MaxCreates: 100})
	v.faults.On(memory.Before, memory.Is(memory.Create, state.KindDeployment), 0, memory.Fail(provider.Invalid, "the build is broken"))
	w.apply(map[string]string{"templates/shop.yaml": strings.Replace(template, "ref: v1", "ref: v2", 1)})
	if h := w.waits(state.HoldFleet)[0]; !strings.Contains(h.Reason, "failed on a, b, c of 7; 4 clients wait") {
		t.Fatalf("it says %q", h.Reason)
	}
	w.apply(map[string]string{"clients/d.yaml": "", "clients/e.yaml": client("e", "labels: {team: shops}"), "clients/a.yaml": client("a", "deployment: {ref: v1}")})
	if h := w.waits(state.HoldFleet)[0]; !strings.Contains(h.Reason, "failed on b, c of 7; 2 clients wait") {
		t.Errorf("it says %q", h.Reason)
	}
}

// P6: a removal waited for its date, and the name goes to a new client that waits for an approval when that comes: it says so,
// and nobody tries again and again.
func TestP6ARemovalWhoseDateHasComeWaitsForWhoTakesItsName(t *testing.T) {
	_, w := newVendors(t)
	w.apply(map[string]string{"clients/old.yaml": strings.Replace(client("old"), "domain: old", "domain: shop.example", 1), "clients/other.yaml": client("other")})
	w.guarded(accept.Guard{MaxDeletes: 9, MaxDeletePercent: 100, MaxChanged: 25, MaxCreates: 2, RemoveAfter: time.Hour})
	w.apply(map[string]string{"clients/old.yaml": ""})
	id := w.id("old")
	w.clock.add(30 * time.Minute)
	w.apply(map[string]string{"clients/new.yaml": strings.Replace(client("new", "database: {reuse: fresh}"), "domain: new", "domain: shop.example", 1)})
	w.clock.add(time.Hour)
	w.pass(w.poll()...)
	w.pass(id)
	done, err := w.engine.Pass(t.Context(), id, reconcile.CauseCommit)
	if err != nil || !done.At.IsZero() && done.At.Before(w.clock.Now()) {
		t.Errorf("it is to pass at %s, and it is %s: %v", done.At, w.clock.Now(), err)
	}
	if r := w.want("old", state.StatusHeld); !strings.Contains(r.Because, "new, which takes it over, waits") {
		t.Errorf("it says %q", r.Because)
	}
}
