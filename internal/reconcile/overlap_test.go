package reconcile_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

const usesShared = "env: {KEY: {secret: shared/mollie}}"

func (w *world) setShared(value string) []state.ClientID {
	w.t.Helper()
	_, ids, err := w.engine.SetSecret("", "mollie", state.NewSecret(value), w.keys.Fingerprint, "dana")
	if err != nil {
		w.t.Fatal(err)
	}
	return ids
}

// A secret that came to a paused client before the upgrade is no difference that the version makes.
func TestRuleVersionsUpgradeAfterASecretOfThePaused(t *testing.T) {
	v, w := newVendors(t)
	w.setShared("first-value")
	w.apply(map[string]string{"clients/a.yaml": client("a", usesShared)})
	id, err := w.engine.SetPaused("a", true, "dana")
	if err != nil {
		t.Fatal(err)
	}
	w.pass(id)
	w.pass(w.setShared("second-value")...)
	w.want("a", state.StatusPaused)
	w.change = func(e *reconcile.Engine) { e.Program = "0.2.0" } // makes nothing otherwise
	w.restart()
	w.pass(w.poll()...)
	if got := w.upgradeWaits(); len(got) > 0 {
		t.Errorf("the hold has %v: %+v", got, w.overview().Holds)
	}
	w.resume("a")
	w.want("a", state.StatusActive)
	if got := v.has("a", "KEY"); got != "second-value" {
		t.Errorf("the site runs with %q", got)
	}
}

// Nor one that waits for the end of a freeze.
func TestRuleVersionsUpgradeAfterASecretInAFreeze(t *testing.T) {
	v, w := newVendors(t)
	w.setShared("first-value")
	w.apply(map[string]string{"clients/a.yaml": client("a", usesShared)})
	w.apply(map[string]string{"platform.yaml": "apiVersion: reconciler/v1\nkind: Platform\nfreeze: [{from: 2026-11-24T00:00, to: 2026-11-25T00:00, reason: holidays}]\n"})
	w.pass(w.setShared("second-value")...)
	w.change = func(e *reconcile.Engine) { e.Program = "0.2.0" }
	w.restart()
	w.pass(w.poll()...)
	w.clock.add(24 * time.Hour)
	w.pass(w.due()...)
	w.pass(w.clientID("a"))
	if got := v.has("a", "KEY"); got != "second-value" {
		t.Errorf("the site runs with %q: %+v", got, w.overview().Holds)
	}
}

// Nor one whose pass failed.
func TestRuleVersionsUpgradeAfterASecretThatFailed(t *testing.T) {
	v, w := newVendors(t)
	w.setShared("first-value")
	w.apply(map[string]string{"clients/a.yaml": client("a", usesShared)})
	v.faults.Do(memory.Before, func(c memory.Call) bool { return c.Verb.Writes() && c.Kind == state.KindEnvironment }, 0, func(context.Context, memory.Call) error {
		return memory.Fail(provider.Invalid, "402 payment required")
	})
	w.pass(w.setShared("second-value")...)
	w.want("a", state.StatusFailed)
	v.faults.Clear()
	w.change = func(e *reconcile.Engine) { e.Program = "0.2.0" }
	w.restart()
	w.pass(w.poll()...)
	id, err := w.engine.Retry("a", "dana")
	if err != nil {
		t.Fatal(err)
	}
	w.pass(id)
	if got := v.has("a", "KEY"); got != "second-value" {
		t.Errorf("the site runs with %q: %+v %+v", got, w.overview().Holds, w.row("a"))
	}
}

// After a rebuild, a newcomer with a former name gets nothing that was another's.
func TestS43NamesInSourcesStayTheirClients(t *testing.T) {
	o := newShelf("folder /s")
	v, w := newQuietVendors(t, nil)
	w.change = func(e *reconcile.Engine) { e.Sources = o }
	w.restart()
	o.put("shop/mollie", "of the first")
	w.apply(map[string]string{"clients/shop.yaml": client("shop", usesMollie)})
	w.refresh()
	first := w.clientID("shop")
	w.apply(map[string]string{"clients/shop.yaml": "", "clients/store.yaml": strings.Replace(client("store", "previously: [shop]", usesMollie), "domain: store", "domain: shop", 1)})
	w.refresh()
	w.apply(map[string]string{"clients/shop.yaml": strings.Replace(client("shop", usesMollie), "domain: shop", "domain: second", 1)})
	_, ids, err := w.engine.SetSecret("shop", "mollie", state.NewSecret("of the second"), w.keys.Fingerprint, "dana")
	if err != nil {
		t.Fatal(err)
	}
	w.pass(ids...)
	w.want("shop", state.StatusActive)
	second := w.clientID("shop")
	if v.has("second", "KEY") != "of the second" {
		t.Fatal(v.has("second", "KEY"))
	}
	w.rebuild(v)
	w.restart()
	if w.clientID("store") != first || w.clientID("shop") != second {
		t.Fatal("others")
	}
	w.refresh()
	w.pass(w.due()...)
	if got := v.has("second", "KEY"); got != "of the second" {
		t.Errorf("the second's site has %q", got)
	}
	if got := v.has("shop", "KEY"); got != "of the first" {
		t.Errorf("the first's site has %q", got)
	}
}

// What waits for its date is not taken down while the branch is not what was accepted.
func TestP5NothingGoesWhileTheHeadIsHeld(t *testing.T) {
	t.Run("approved", func(t *testing.T) {
		w := heldWhileSomethingGoes(t)
		ids, err := w.engine.Approve(t.Context(), w.waits(state.HoldHistory)[0].Fingerprint, "dana")
		if err != nil {
			t.Fatal(err)
		}
		w.pass(ids...)
		w.want("a", state.StatusActive)
	})
	t.Run("put back", func(t *testing.T) {
		w := heldWhileSomethingGoes(t)
		w.repo.order = w.repo.order[:len(w.repo.order)-1]
		w.pass(w.poll()...)
		w.want("a", state.StatusRetained)
	})
}

// heldWhileSomethingGoes is a world in which a removed client's date has come, and a head is held that has its file.
func heldWhileSomethingGoes(t *testing.T) *world {
	v, w := newVendors(t)
	w.change = func(e *reconcile.Engine) { e.Guard.RemoveAfter = time.Hour }
	w.restart()
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b")})
	w.apply(map[string]string{"clients/a.yaml": ""})
	// Somebody sets the branch back, by force: a is there again.
	w.repo.cut(w.repo.commit(map[string]string{"clients/a.yaml": client("a")}))
	w.pass(w.poll()...)
	w.clock.add(2 * time.Hour)
	w.pass(w.poll()...)
	w.pass(w.due()...)
	if _, serves := v.world.Serves("a.agency.example"); !serves {
		t.Errorf("a is taken down: %+v", w.row("a"))
	}
	if r := w.row("a"); !strings.Contains(r.Because, "held as a whole") {
		t.Errorf("it is not said: %s %s", r.Status, r.Because)
	}
	return w
}

// Two new versions, one right after the other, of what more clients use than may change at once.
func TestRuleTwoSecretsRightAfterEachOther(t *testing.T) {
	for _, how := range []string{"at once", "while the first waits", "while the first passes"} {
		t.Run(how, func(t *testing.T) {
			v, w := newVendors(t)
			files := map[string]string{"platform.yaml": "apiVersion: reconciler/v1\nkind: Platform\nguard: {maxChanged: 2}\n"}
			for i := range 5 {
				files[fmt.Sprintf("clients/c%d.yaml", i)] = client(fmt.Sprintf("c%d", i), usesShared)
			}
			w.setShared("first-value")
			w.apply(files)
			one := w.setShared("second-value")
			var two []state.ClientID
			switch how {
			case "at once":
				two = w.setShared("third-value")
				w.pass(one...)
			case "while the first waits":
				v.world.Down("vercel", &provider.Error{Kind: provider.Transient, Provider: "vercel", Op: "update", Message: "down"})
				for _, id := range one {
					if _, err := w.engine.Pass(t.Context(), id, reconcile.CauseSecret); err != nil {
						t.Fatal(err)
					}
				}
				two = w.setShared("third-value")
				v.world.Down("vercel", nil)
			case "while the first passes":
				v.faults.Do(memory.Before, func(c memory.Call) bool { return c.Verb.Writes() && c.Kind == state.KindEnvironment }, 1, func(context.Context, memory.Call) error {
					two = w.setShared("third-value")
					return nil
				})
				w.pass(one...)
			}
			w.pass(two...)
			for range 10 {
				w.clock.add(10 * time.Minute)
				w.pass(w.poll()...)
				w.pass(w.due()...)
			}
			for i := range 5 {
				if got := v.has(fmt.Sprintf("c%d", i), "KEY"); got != "third-value" {
					t.Errorf("c%d has %q", i, got)
				}
			}
			for _, h := range w.overview().Holds {
				t.Errorf("left: %s %s %+v", h.Reason, h.Clients, h.Waves)
			}
		})
	}
}

// A secret that is set while a change of the template is on its way, and after it was stopped.
func TestRuleSecretBesideAChangeOfTheTemplate(t *testing.T) {
	for _, halted := range []bool{false, true} {
		t.Run(fmt.Sprint("halted ", halted), func(t *testing.T) {
			v, w := newVendors(t)
			files := map[string]string{"platform.yaml": "apiVersion: reconciler/v1\nkind: Platform\nguard: {maxChanged: 2}\n"}
			for i := range 8 {
				files[fmt.Sprintf("clients/c%d.yaml", i)] = client(fmt.Sprintf("c%d", i), usesShared)
			}
			w.setShared("first-value")
			w.apply(files)
			kind := provider.Transient
			if halted {
				kind = provider.Invalid
			}
			v.faults.On(memory.Before, memory.Is(memory.Create, state.KindDeployment), 0, memory.Fail(kind, "no"))
			for _, id := range w.push(map[string]string{"templates/shop.yaml": strings.Replace(template, "ref: v1", "ref: v2", 1)}) {
				if halted {
					w.pass(id)
					continue
				}
				if _, err := w.engine.Pass(t.Context(), id, reconcile.CauseCommit); err != nil {
					t.Fatal(err)
				}
			}
			if h := w.overview().Holds; len(h) != 1 || h[0].Waves.Halted != halted {
				t.Fatalf("%+v %+v", h, h[0].Waves)
			}
			v.faults.Clear()
			w.pass(w.setShared("second-value")...)
			for range 10 {
				w.clock.add(10 * time.Minute)
				w.pass(w.due()...)
			}
			for _, h := range w.overview().Holds {
				if !halted || !h.Waves.Halted {
					t.Errorf("left: %s %s %+v", h.Reason, h.Clients, h.Waves)
				}
				ids, err := w.engine.Approve(t.Context(), h.Fingerprint, "dana")
				if err != nil {
					t.Fatal(err)
				}
				w.pass(ids...)
			}
			for range 10 {
				w.clock.add(10 * time.Minute)
				w.pass(w.due()...)
			}
			for i := range 8 {
				d, _ := v.world.Serves(fmt.Sprintf("c%d.agency.example", i))
				o, _ := v.world.Object(d)
				if got := v.has(fmt.Sprintf("c%d", i), "KEY"); got != "second-value" || !strings.Contains(fmt.Sprintf("%+v", o.Attributes), "v2") {
					t.Errorf("c%d has %q and %+v", i, got, o.Attributes)
				}
			}
			for _, h := range w.overview().Holds {
				t.Errorf("left: %s %s %+v", h.Reason, h.Clients, h.Waves)
			}
		})
	}
}

// A change that many inherit, in a freeze: when it ends it goes in waves, as ever.
func TestS53WavesOutliveAFreeze(t *testing.T) {
	v, w := newVendors(t)
	const frozen = "apiVersion: reconciler/v1\nkind: Platform\nguard: {maxChanged: 2}\nfreeze: [{from: 2026-11-24T00:00, to: 2026-11-25T00:00, reason: holidays}]\n"
	files := map[string]string{"platform.yaml": "apiVersion: reconciler/v1\nkind: Platform\nguard: {maxChanged: 2}\n"}
	for i := range 20 {
		files[fmt.Sprintf("clients/c%02d.yaml", i)] = client(fmt.Sprintf("c%02d", i))
	}
	w.apply(files)
	w.apply(map[string]string{"platform.yaml": frozen})
	w.apply(map[string]string{"templates/shop.yaml": strings.Replace(template, "ref: v1", "ref: v2", 1)})
	w.clock.add(24 * time.Hour)
	v.faults.On(memory.Before, memory.Is(memory.Create, state.KindDeployment), 0, memory.Fail(provider.Invalid, "the build failed"))
	for range 3 {
		w.pass(w.due()...)
		w.clock.add(10 * time.Minute)
	}
	failed := 0
	for _, c := range w.everybody() {
		if c.Status == state.StatusFailed {
			failed++
		}
	}
	if failed > 3 {
		t.Errorf("%d failed: %+v", failed, w.overview().Holds)
	}
}

// Two that are joined by a name, one of them in the first wave and the other in a later one.
func TestS53WaveReachesTheJoined(t *testing.T) {
	for _, paused := range [][]string{{"c5"}, {"c1", "c2", "c3", "c4", "c5"}} {
		t.Run(fmt.Sprint(len(paused), " paused"), func(t *testing.T) { waveReachesTheJoined(t, paused) })
	}
}

func waveReachesTheJoined(t *testing.T, paused []string) {
	v, w := newVendors(t)
	files := map[string]string{"platform.yaml": "apiVersion: reconciler/v1\nkind: Platform\nguard: {maxChanged: 2}\n"}
	for i := range 6 {
		files[fmt.Sprintf("clients/c%d.yaml", i)] = client(fmt.Sprintf("c%d", i))
	}
	files["clients/c5.yaml"] = client("c5", "aliases: [x.example]")
	w.apply(files)
	for _, name := range paused {
		id, err := w.engine.SetPaused(name, true, "dana")
		if err != nil {
			t.Fatal(err)
		}
		w.pass(id)
	}
	w.apply(map[string]string{"clients/c5.yaml": client("c5"), "clients/c0.yaml": client("c0", "aliases: [x.example]")})
	w.apply(map[string]string{"templates/shop.yaml": strings.Replace(template, "ref: v1", "ref: v2", 1)})
	for range 10 {
		w.clock.add(10 * time.Minute)
		w.pass(w.due()...)
	}
	for _, name := range paused {
		w.resume(name)
	}
	for range 10 {
		w.clock.add(10 * time.Minute)
		w.pass(w.due()...)
	}
	for i := range 6 {
		n := fmt.Sprintf("c%d", i)
		d, _ := v.world.Serves(n + ".agency.example")
		o, _ := v.world.Object(d)
		if !strings.Contains(fmt.Sprintf("%+v", o.Attributes), "v2") {
			t.Errorf("%s has the old version: %s %s", n, w.row(n).Status, w.row(n).Because)
		}
	}
	for _, h := range w.overview().Holds {
		if h.Kind == state.HoldFleet {
			t.Errorf("left: %s %s %+v", h.Reason, h.Clients, h.Waves)
		}
	}
}

// A shared secret is set twice in a row, and a template changes beside: everybody gets to the end.
func TestRuleSecretSetTwiceBesideATemplate(t *testing.T) {
	for _, also := range []string{"", "template before", "template after", "template between"} {
		t.Run(also, func(t *testing.T) {
			v, w := newVendors(t)
			w.change = func(e *reconcile.Engine) { e.Guard.MaxChanged = 2 }
			w.restart()
			set := func(v string) {
				t.Helper()
				if _, _, err := w.engine.SetSecret("", "key", state.NewSecret(v), w.keys.Fingerprint, "dana"); err != nil {
					t.Fatal(err)
				}
			}
			bump := func(when string) {
				if also == "template "+when {
					w.push(map[string]string{"templates/shop.yaml": storyTemplate("v2", "")})
				}
			}
			set("one")
			files := map[string]string{}
			for n := range 20 {
				name := fmt.Sprintf("shop%02d", n)
				files["clients/"+name+".yaml"] = client(name, "env: {KEY: {secret: shared/key}}")
			}
			w.apply(files)
			w.want("shop19", state.StatusActive)
			bump("before")
			set("two")
			bump("between")
			set("three")
			bump("after")
			for range 40 {
				w.poll()
				w.pass(w.due()...)
				w.clock.add(time.Hour)
			}
			o, err := w.engine.Overview()
			if err != nil {
				t.Fatal(err)
			}
			for _, h := range o.Holds {
				t.Errorf("%s: %s %s", h.Kind, h.Reason, h.Act)
			}
			for n := range 20 {
				name := fmt.Sprintf("shop%02d", n)
				w.want(name, state.StatusActive)
				if d, _ := v.world.Serves(name + ".agency.example"); v.world.BuiltWith(d)["KEY"] != "three" {
					t.Errorf("%s has the secret %s", name, v.world.BuiltWith(d)["KEY"])
				}
			}
		})
	}
}
