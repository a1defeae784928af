package reconcile_test

import (
	"slices"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// P5: what is kept is kept as long as its manifest says by now, and never less than the platform's floor.
func TestP5KeptAsLongAsItIsSaid(t *testing.T) {
	for what, then := range map[string]map[string]string{
		"the manifest": {"clients/shop.yaml": client("shop", "database: {provider: none, retain: forever}", "env: {DATABASE_URL: {none: true}}")},
		"the platform": {"platform.yaml": "apiVersion: reconciler/v1\nkind: Platform\nlimits: {minRetain: 90d}\n"},
	} {
		t.Run(what, func(t *testing.T) {
			v, w := newVendors(t)
			w.apply(map[string]string{"clients/shop.yaml": client("shop"), "clients/gone.yaml": client("gone")})
			w.want("shop", state.StatusActive)
			v.world.Write(v.of(state.KindDatabase), "an order")
			w.apply(map[string]string{"clients/shop.yaml": client("shop", "database: {provider: none}", "env: {DATABASE_URL: {none: true}}")})
			if what == "the platform" {
				w.apply(map[string]string{"clients/gone.yaml": ""})
				w.want("gone", state.StatusRetained)
			}
			w.apply(then)
			w.clock.add(31 * 24 * time.Hour)
			w.poll()
			if erased, err := w.engine.PurgeDue(t.Context()); err != nil || len(erased) > 0 {
				t.Errorf("erased %v, %v", erased, err)
			}
			if kept, err := w.engine.Retained(); err != nil || len(kept) == 0 {
				t.Errorf("kept %v, %v", kept, err)
			}
			w.clock.add(60 * 24 * time.Hour)
			w.poll()
			erased, err := w.engine.PurgeDue(t.Context())
			if want := map[string]int{"the manifest": 0, "the platform": 2}[what]; err != nil || len(erased) != want {
				t.Errorf("at last erased %v, %v", erased, err)
			}
		})
	}
}

// P5: the commit that leaves a database out says how long it is kept, too: so it is kept, and so the plan says.
func TestP5KeptAsTheCommitSaysThatLeavesItOut(t *testing.T) {
	_, w := newVendors(t)
	for name, retain := range map[string]string{"longer": "60d", "ever": "forever", "shorter": "10d"} {
		w.apply(map[string]string{"clients/" + name + ".yaml": client(name)})
		w.apply(map[string]string{"clients/" + name + ".yaml": client(name, "database: {provider: none, retain: "+retain+"}", "env: {DATABASE_URL: {none: true}}")})
		w.want(name, state.StatusActive)
		until := map[string]time.Time{"longer": w.clock.Now().Add(60 * 24 * time.Hour), "shorter": w.clock.Now().Add(30 * 24 * time.Hour)}[name]
		w.view(func(tx store.Tx) error {
			all, err := store.Resources(tx, w.id(name))
			if r := all[slices.IndexFunc(all, func(r state.Resource) bool { return r.Ref.Kind == state.KindDatabase })]; !r.Retained() || !r.PurgeAfter.Equal(until) {
				t.Errorf("%s is kept until %s, want %s", name, r.PurgeAfter, until)
			}
			return err
		})
	}
}

const noData = "env: {DATABASE_URL: {none: true}}"

// P5: a database is out of use, its manifest says afterwards that it is kept longer, and goes: what it said last counts.
func TestP5KeptAsTheManifestThatWentSaid(t *testing.T) {
	for retain, days := range map[string]int{"forever": 0, "90d": 90} {
		t.Run(retain, func(t *testing.T) {
			_, w := newVendors(t)
			w.apply(map[string]string{"clients/shop.yaml": client("shop"), "clients/other.yaml": client("other")})
			w.apply(map[string]string{"clients/shop.yaml": client("shop", "database: {provider: none}", noData)})
			since := w.clock.Now()
			w.apply(map[string]string{"clients/shop.yaml": client("shop", "database: {provider: none, retain: "+retain+"}", noData)})
			w.clock.add(time.Hour)
			w.apply(map[string]string{"clients/shop.yaml": ""})
			w.want("shop", state.StatusRetained)
			var want time.Time
			if days > 0 {
				want = since.AddDate(0, 0, days)
			}
			w.keptUntil("shop", want)
			w.clock.add(31 * 24 * time.Hour)
			w.poll()
			if erased, err := w.engine.PurgeDue(t.Context()); err != nil || len(erased) > 0 {
				t.Errorf("erased %v, %v", erased, err)
			}
			w.clock.add(60 * 24 * time.Hour)
			w.poll()
			if erased, err := w.engine.PurgeDue(t.Context()); err != nil || (len(erased) > 0) != (days > 0) {
				t.Errorf("at last erased %v, %v", erased, err)
			}
		})
	}
}

// P5: who takes a database out of use has thirty days, also where it was out of use before, and did not come back into
// use when it was asked for again: a freeze was on, its client was paused, or failed.
func TestP5AskedForAgainAndTakenOutOnceMore(t *testing.T) {
	away := map[string]string{"its client goes": "", "it alone": client("shop", "database: {provider: none}", noData)}
	for what, out := range away {
		for how, again := range map[string]string{"in a freeze": client("shop"), "paused": client("shop", "paused: true"), "failed": client("shop", "env: {KEY: {secret: nobody-set-it}}")} {
			t.Run(what+", "+how, func(t *testing.T) {
				_, w := newVendors(t)
				w.apply(map[string]string{"clients/shop.yaml": client("shop"), "clients/other.yaml": client("other")})
				id := w.ownData("shop").ID
				w.apply(map[string]string{"clients/shop.yaml": out})
				w.clock.add(20 * 24 * time.Hour)
				files := map[string]string{"clients/shop.yaml": again}
				if how == "in a freeze" {
					files["platform.yaml"] = "apiVersion: reconciler/v1\nkind: Platform\nfreeze: [{from: 2020-01-01T00:00, to: 2036-01-01T00:00, reason: holidays}]\n"
				}
				w.apply(files)
				w.clock.add(20 * 24 * time.Hour)
				since := w.clock.Now()
				w.apply(map[string]string{"clients/shop.yaml": out})
				w.keptUntil("shop", since.AddDate(0, 0, 30))
				w.clock.add(24 * time.Hour)
				w.poll()
				if erased, err := w.engine.PurgeDue(t.Context()); err != nil || len(erased) > 0 {
					t.Fatalf("erased %v, %v", erased, err)
				}
				w.apply(map[string]string{"clients/shop.yaml": client("shop"), "platform.yaml": ""})
				w.want("shop", state.StatusActive)
				if now := w.ownData("shop"); now.Retained() || now.ID != id {
					t.Errorf("it came back with %s, it had %s", now.ID, id)
				}
			})
		}
	}
}

// P5: the clock of this machine is set forward: what was said later is put off as the date is that data was retained with.
func TestP5WhatWasSaidLaterIsPutOffToo(t *testing.T) {
	_, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": client("shop"), "clients/other.yaml": client("other")})
	w.apply(map[string]string{"clients/shop.yaml": client("shop", "database: {provider: none}", noData)})
	w.apply(map[string]string{"clients/shop.yaml": client("shop", "database: {provider: none, retain: 90d}", noData)})
	until := w.clock.Now().AddDate(0, 0, 90)
	const ahead = 365 * 24 * time.Hour
	w.clock.jump(ahead)
	w.restart()
	w.poll()
	w.keptUntil("shop", until.Add(ahead))
}

// P5: a paused client's database is left out, its manifest says then that it is kept for ever, and goes: nothing of that was carried out
// when it goes on. What it said last counts.
func TestP5LongestOfWhatWaited(t *testing.T) {
	_, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": client("shop"), "clients/other.yaml": client("other")})
	if _, err := w.engine.SetPaused("shop", true, "dana"); err != nil {
		t.Fatal(err)
	}
	w.apply(map[string]string{"clients/shop.yaml": client("shop", "database: {provider: none}", noData)})
	w.apply(map[string]string{"clients/shop.yaml": client("shop", "database: {provider: none, retain: forever}", noData)})
	w.apply(map[string]string{"clients/shop.yaml": ""})
	w.resume("shop")
	w.want("shop", state.StatusRetained)
	w.keptUntil("shop", time.Time{})
	for _, s := range w.passes("shop")[0].Steps {
		if s.Ref.Kind == state.KindDatabase && s.Note != "kept for ever" {
			t.Errorf("%s is told as %q", s.Step, s.Note)
		}
	}
}

// S51, P5: a manifest says how long its data is kept, and goes, before anybody looks: the program was down, say. It is as if each head
// had been seen.
func TestS51RetainThatWasSaidJustBeforeItWent(t *testing.T) {
	for retain, days := range map[string]int{"forever": 0, "90d": 90, "90 days or so": 30} {
		t.Run(retain, func(t *testing.T) {
			_, w := newVendors(t)
			w.apply(map[string]string{"clients/shop.yaml": client("shop"), "clients/other.yaml": client("other")})
			w.repo.commit(map[string]string{"clients/shop.yaml": client("shop", "database: {retain: "+retain+"}")})
			w.repo.commit(map[string]string{"README.md": "of clients"})
			w.repo.commit(map[string]string{"clients/shop.yaml": ""})
			w.apply(map[string]string{"clients/other.yaml": client("other", "env: {A: b}")})
			w.want("shop", state.StatusRetained)
			var want time.Time
			if days > 0 {
				want = w.clock.Now().AddDate(0, 0, days)
			}
			w.keptUntil("shop", want)
		})
	}
}

// keptUntil checks until when a client's database is kept, zero: for ever, as `retained` says it, and of a client
// that is gone as its record does, which people are told of.
func (w *world) keptUntil(name string, want time.Time) {
	w.t.Helper()
	kept, err := w.engine.Retained()
	if err != nil || len(kept) != 1 || kept[0].Client != name || kept[0].Until.Sub(want).Abs() > time.Minute {
		w.t.Errorf("kept: %v, %v; want until %v", kept, err, want)
	}
	if now := w.ownData(name); w.row(name).Status == string(state.StatusRetained) && now.PurgeAfter.Sub(want).Abs() > time.Minute {
		w.t.Errorf("on record it is kept until %v; want %v", now.PurgeAfter, want)
	}
}
