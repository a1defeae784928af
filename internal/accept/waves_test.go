package accept

import (
	"slices"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// wide is a fleet whose template was changed, wider than the guard allows.
func wide(t *testing.T, n int) (*world, Result) {
	t.Helper()
	w := fleet(t, numbered(n)...)
	w.guard.MaxChanged = 25
	return w, w.push(m{"templates/shop.yaml": template("v2")})
}

// pass plays how a client's pass ended, and what follows.
func (w *world) pass(id state.ClientID, status state.Status) Result {
	c := w.clients[id]
	c.Status, c.Settled, c.Attempts, c.Run = status, true, 0, ""
	if status == state.StatusActive {
		c.Converged = c.WishHash
	}
	w.clients[id] = c
	return w.next(id)
}

func (w *world) next(ids ...state.ClientID) Result {
	all := []state.Hold{}
	for _, h := range w.holds {
		all = append(all, h)
	}
	var h state.Hold
	for _, id := range ids {
		if found, ok := InWave(all, id); ok {
			h = found
		}
	}
	r := NextWave(WaveInput{Now: w.now, Hold: h, Ended: ids,
		Client:  func(id state.ClientID) (state.Client, bool) { c, ok := w.clients[id]; return c, ok },
		Verdict: func(commit string) (state.Verdict, bool) { v, ok := w.verdicts[commit]; return v, ok }})
	w.apply(r)
	return r
}

func (w *world) passAll(ids []state.ClientID, status state.Status) (released []state.ClientID) {
	for _, id := range slices.Clone(ids) {
		released = append(released, w.pass(id, status).Touched...)
	}
	return released
}

func TestRuleGuardMaxChangedWaves(t *testing.T) {
	w, r := wide(t, 40)
	equal(t, "first", touched(r, w), []string{"c000"})
	h := w.hold(state.HoldFleet)
	equal(t, "waits", len(h.Clients), 39)
	contains(t, "reason", h.Reason, "templates/shop.yaml touches 40 clients; it runs on c000 first")
	equal(t, "bound", func() bool { _, ok := Bound([]state.Hold{h}, h.Clients[0]); return ok }(), true)
	equal(t, "first is not bound", func() bool { _, ok := Bound([]state.Hold{h}, r.Touched[0]); return ok }(), false)
	equal(t, "every client has the wish", w.clients[h.Clients[38]].Commit, w.base.Head)

	tenth := w.passAll(r.Touched, state.StatusActive)
	equal(t, "a tenth", len(tenth), 4)
	equal(t, "nobody else before all of it ended", len(w.passAll(tenth[:3], state.StatusActive)), 0)
	rest := w.passAll(tenth[3:], state.StatusActive)
	equal(t, "the rest", len(rest), 35)
	w.passAll(rest, state.StatusActive)
	equal(t, "the hold is gone", len(w.holds), 0)
	w.settle()
	equal(t, "verdict", w.verdicts[w.base.Head].State, "success")
}

func TestRuleGuardMaxChangedAtTheLimit(t *testing.T) {
	w, r := wide(t, 25)
	equal(t, "all", len(r.Touched), 25)
	equal(t, "holds", len(w.holds), 0)
	// Only active clients count.
	w = fleet(t, numbered(30)...)
	for id, c := range w.clients {
		if c.Name >= "c020" {
			c.EverDeployed, c.Status = false, state.StatusFailed
			w.clients[id] = c
		}
	}
	equal(t, "all", len(w.push(m{"templates/shop.yaml": template("v2")}).Touched), 30)
}

func TestRuleGuardMaxChangedOfPlatformAndDefaults(t *testing.T) {
	w := fleet(t, numbered(30)...)
	r := w.push(m{"platform.yaml": platform("defaults: {health: {path: /up}}")})
	equal(t, "platform file", len(r.Touched), 1)
	contains(t, "reason", w.hold(state.HoldFleet).Reason, "platform.yaml touches 30 clients")
	// RULE Values: defaults that were changed in the configuration count as a template's change.
	w = fleet(t, numbered(30)...)
	w.defaults.DNS = "cloudflare"
	r = w.again()
	equal(t, "defaults", len(r.Touched), 1)
	contains(t, "reason", w.hold(state.HoldFleet).Reason, "the configuration's defaults touches 30 clients")
	equal(t, "again changes nothing", w.again().Touched, []state.ClientID{})
}

func TestRuleGuardHoldsTheRestAfterThreeFailures(t *testing.T) {
	w, r := wide(t, 60)
	tenth := w.passAll(r.Touched, state.StatusActive)
	equal(t, "a tenth", len(tenth), 6)
	w.passAll(tenth[:2], state.StatusFailed)
	w.passAll(tenth[2:3], state.StatusActive)
	equal(t, "not yet", w.hold(state.HoldFleet).Waves.Halted, false)
	// One of the last three has begun, the others have not.
	c := w.clients[tenth[4]]
	c.Attempts, c.Run = 1, "run"
	w.clients[c.ID] = c
	halt := w.pass(tenth[3], state.StatusFailed)
	equal(t, "nobody follows", halt.Touched, []state.ClientID{})
	h := w.hold(state.HoldFleet)
	equal(t, "halted", h.Waves.Halted, true)
	equal(t, "called back, before the others", h.Clients[:1], tenth[5:])
	equal(t, "waits", len(h.Clients), 54)
	contains(t, "reason", h.Reason, "failed on c001, c002, c004 of 60; 54 clients wait")
	contains(t, "act", h.Act, "approve "+h.Fingerprint)
	contains(t, "report", halt.Reports[0].Text, "failed on c001")
	v := w.verdicts[h.Commit]
	equal(t, "verdict of one that waits", v.Clients[h.Clients[10]], FateHeld)
	// The one that had begun ends; nobody follows, not even when a failed one is mended.
	equal(t, "ends", w.pass(tenth[4], state.StatusActive).Touched, []state.ClientID{})
	equal(t, "mended", w.pass(tenth[0], state.StatusActive).Touched, []state.ClientID{})
	equal(t, "another head", w.push(m{"README.md": "hello"}).Touched, []state.ClientID{})
	// Only an approval goes on, with all of them.
	r = w.approve(h.Fingerprint)
	equal(t, "approved", len(r.Touched), 54)
	equal(t, "holds", len(w.holds), 0)
	equal(t, "verdict", w.verdicts[h.Commit].Clients[h.Clients[10]], FatePending)
}

func TestRuleGuardFirstOnesUntilOneWentWell(t *testing.T) {
	w, r := wide(t, 40)
	second := w.passAll(r.Touched, state.StatusFailed)
	equal(t, "another one", len(second), 1)
	third := w.passAll(second, state.StatusHeld) // says nothing
	equal(t, "another one", len(third), 1)
	fourth := w.passAll(third, state.StatusFailed)
	equal(t, "another one", len(fourth), 1)
	equal(t, "third failure", len(w.passAll(fourth, state.StatusFailed)), 0)
	equal(t, "halted", w.hold(state.HoldFleet).Waves.Halted, true)
	equal(t, "waits", len(w.hold(state.HoldFleet).Clients), 36)
}

func TestRuleGuardHaltsWithinTheRest(t *testing.T) {
	w, r := wide(t, 40)
	rest := w.passAll(w.passAll(r.Touched, state.StatusActive), state.StatusActive)
	equal(t, "rest", len(rest), 35)
	w.passAll(rest[:3], state.StatusFailed)
	h := w.hold(state.HoldFleet)
	equal(t, "called back", h.Clients, rest[3:])
	equal(t, "halted", h.Waves.Halted, true)
}

func TestP8WavesGoOnAfterARestart(t *testing.T) {
	w, r := wide(t, 40)
	first := r.Touched[0]
	// The pass ended, the program was killed before anybody was told.
	c := w.clients[first]
	c.Status, c.Settled, c.Converged = state.StatusActive, true, c.WishHash
	w.clients[first] = c
	h := w.hold(state.HoldFleet)
	again := func() Result {
		return NextWave(WaveInput{Now: w.now, Hold: w.hold(state.HoldFleet), Client: func(id state.ClientID) (state.Client, bool) { c, ok := w.clients[id]; return c, ok }})
	}
	one, two := again(), again()
	same(t, "answer", one, two)
	equal(t, "a tenth", len(one.Touched), 4)
	equal(t, "input is not changed", w.hold(state.HoldFleet), h)
	w.apply(one)
	equal(t, "nothing new", again(), Result{})
	// A pass that waits (a provider is down) has not ended.
	equal(t, "waiting", w.next(one.Touched[0]), Result{})
	// What isn't in a wave is nobody's business.
	equal(t, "stranger", w.next(w.hold(state.HoldFleet).Clients[0]), Result{})
}

func TestRuleGuardOwnCommitLeavesTheWave(t *testing.T) {
	w, r := wide(t, 40)
	// One that waits is edited: it goes at once.
	r2 := w.push(m{cpath("c030"): client("c030", "c030", "env: {A: b}")})
	equal(t, "touched", touched(r2, w), []string{"c030"})
	equal(t, "waits", len(w.hold(state.HoldFleet).Clients), 38)
	// The first one is edited or removed before it ended: the next one takes its place.
	r3 := w.push(m{cpath("c000"): ""})
	equal(t, "touched", touched(r3, w), []string{"c000", "c001"})
	equal(t, "out", len(w.hold(state.HoldFleet).Waves.Out), 1)
	equal(t, "first is out of it", slices.Contains(w.hold(state.HoldFleet).Waves.Out, r.Touched[0]), false)
	// A pass under a newer wish says nothing of this change.
	id := w.named("c001").ID
	c := w.clients[id]
	c.Commit = "later"
	w.clients[id] = c
	r4 := w.pass(id, state.StatusActive)
	equal(t, "one at a time still", touched(r4, w), []string{"c002"})
}

func TestRuleGuardTemplateAgainWhileItRuns(t *testing.T) {
	w, _ := wide(t, 40)
	first := w.hold(state.HoldFleet)
	// Another change, however narrow, does not carry the first one along unproved.
	w.guard.MaxChanged = 100
	r := w.push(m{"templates/shop.yaml": template("v3")})
	h := w.hold(state.HoldFleet)
	equal(t, "new hold", h.Fingerprint != first.Fingerprint, true)
	equal(t, "one", len(r.Touched), 1)
	equal(t, "old approval serves nothing", w.approve(first.Fingerprint), Result{})
}

func TestRuleGuardRevertOfWhatNeverRan(t *testing.T) {
	w := fleet(t, numbered(40)...)
	for id, c := range w.clients {
		c.Converged = c.WishHash
		w.clients[id] = c
	}
	w.push(m{"templates/shop.yaml": template("v2")})
	r := w.push(m{"templates/shop.yaml": template("v1")})
	equal(t, "all may look at once", len(r.Touched), 40)
	equal(t, "holds", len(w.holds), 0)
}

func TestRuleGuardCanaryIsWell(t *testing.T) {
	w := fleet(t, numbered(40)...)
	sick := w.named("c000")
	sick.Status = state.StatusFailed
	w.clients[sick.ID] = sick
	paused := w.named("c001")
	paused.Paused = true
	w.clients[paused.ID] = paused
	r := w.push(m{"templates/shop.yaml": template("v2")})
	equal(t, "first", touched(r, w), []string{"c002"})
}

func TestRuleGuardCreatesHoldIsNoCanary(t *testing.T) {
	w := fleet(t, numbered(30)...)
	w.guard.MaxCreates, w.guard.MaxChanged = 0, 0
	w.push(m{cpath("aaa"): client("aaa", "aaa")})
	r := w.push(m{"templates/shop.yaml": template("v2")})
	equal(t, "first", touched(r, w), []string{"c000"})
	equal(t, "its hold stays", len(w.hold(state.HoldCreates).Clients), 1)
	equal(t, "not twice", slices.Contains(w.hold(state.HoldFleet).Clients, w.named("aaa").ID), false)
}

func TestRuleSecretsObeyMaxChanged(t *testing.T) {
	w := fleet(t, numbered(12)...)
	var all []state.Client
	for _, c := range w.clients {
		all = append(all, c)
	}
	g := Guard{MaxChanged: 10}
	first, h := Spread(g, "secret shared/smtp version 2", "2", all, w.now)
	equal(t, "one", len(first), 1)
	slices.Reverse(all)
	first2, h2 := Spread(g, "secret shared/smtp version 2", "2", all, w.now.Add(time.Hour))
	equal(t, "order", first, first2)
	equal(t, "fingerprint", h.Fingerprint, h2.Fingerprint)
	_, h3 := Spread(g, "secret shared/smtp version 3", "3", all, w.now)
	equal(t, "another version", h3.Fingerprint != h.Fingerprint, true)
	w.holds[h.Fingerprint] = *h
	equal(t, "a tenth", len(w.passAll(first, state.StatusActive)), 1)
	few, none := Spread(g, "x", "2", all[:10], w.now)
	equal(t, "few", len(few), 10)
	equal(t, "no hold", none == nil, true)
}

// health plays that scheduled probes find a client's site degraded, or well again.
func (w *world) health(id state.ClientID, h state.HealthState) Result {
	c := w.clients[id]
	c.Health = h
	w.clients[id] = c
	return w.next(id)
}

// S53: gated by health: who went well and degrades while the change is on its way has
// failed; three of them, one at a time and across the waves, halt it.
func TestS53DegradedAfterItsPass(t *testing.T) {
	w, r := wide(t, 60)
	one := r.Touched[0]
	tenth := w.pass(one, state.StatusActive).Touched
	equal(t, "a tenth", len(tenth), 6)
	w.health(one, state.Degraded)
	equal(t, "one has failed", []int{w.hold(state.HoldFleet).Waves.Good, len(w.hold(state.HoldFleet).Waves.Failed)}, []int{0, 1})
	w.pass(tenth[0], state.StatusFailed)
	w.passAll(tenth[1:3], state.StatusActive)
	h := w.hold(state.HoldFleet)
	contains(t, "told", h.Reason, "wave 2 of 3 (a tenth): 3 under way, 2 went well, 2 failed, 53 to follow")
	// Well again: it failed no more.
	w.health(one, state.Healthy)
	equal(t, "mended", []int{w.hold(state.HoldFleet).Waves.Good, len(w.hold(state.HoldFleet).Waves.Failed)}, []int{3, 1})
	w.health(one, state.Degraded)
	rest := w.passAll(tenth[3:], state.StatusActive)
	equal(t, "the rest", len(rest), 53)
	halt := w.health(tenth[4], state.Degraded)
	equal(t, "nobody begins", len(halt.Touched), 0)
	h = w.hold(state.HoldFleet)
	equal(t, "halted by the third", h.Waves.Halted, true)
	equal(t, "called back", len(h.Clients), 53)
	contains(t, "told", h.Reason, "failed on c000, c001, c005 of 60; 53 clients wait, 4 went well")
	equal(t, "verdict of one that waits", w.verdicts[h.Commit].Clients[h.Clients[10]], FateHeld)
	same(t, "again", w.next(tenth[4]), Result{})
}

// S53: who was degraded before, and is so after its pass, says nothing of the change.
func TestS53DegradedBefore(t *testing.T) {
	w, r := wide(t, 40)
	w.health(r.Touched[0], state.Degraded)
	next := w.pass(r.Touched[0], state.StatusActive)
	equal(t, "another first one", len(next.Touched), 1)
	h := w.hold(state.HoldFleet)
	equal(t, "counts", []int{h.Waves.Stage, h.Waves.Good, len(h.Waves.Failed)}, []int{1, 0, 0})
}
