package reconcile_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/state"
)

// P5: a rename whose new file is called as it should not be (its `name` says otherwise, or it ends in .yml) waits for that
// file, and the mend is to call it otherwise. That is the rename still: site and data stay. Before, the removal ran as the file that it waited
// for was gone, and the rename was refused as one of an earlier commit.
func TestP5RenameWhoseFileIsMendedByAnotherName(t *testing.T) {
	named := client("bread-shop", "previously: [bakery]")
	typo := client("bread-shop", "previously: [bakery]", "plam: starter")
	for how, c := range map[string]struct {
		wrong, text string
		steps       []map[string]string
	}{
		"the name in it was meant":   {"clients/bread.yaml", named, []map[string]string{{"clients/bread.yaml": "", "clients/bread-shop.yaml": named}}},
		"it ends in .yml":            {"clients/bread-shop.yml", named, []map[string]string{{"clients/bread-shop.yml": "", "clients/bread-shop.yaml": named}}},
		"in a folder, with a typo":   {"clients/bread-shop.yaml", typo, []map[string]string{{"clients/bread-shop.yaml": "", "clients/br/bread-shop.yaml": typo}, {"clients/br/bread-shop.yaml": named}}},
		"mended twice":               {"clients/bread.yaml", named, []map[string]string{{"clients/bread.yaml": "", "clients/breads.yaml": named}, {"clients/breads.yaml": "", "clients/bread-shop.yaml": named}}},
		"another commit in between":  {"clients/bread.yaml", named, []map[string]string{{"clients/third.yaml": client("third")}, {"clients/bread.yaml": "", "clients/bread-shop.yaml": named}}},
		"at once with another wrong": {"clients/bread.yaml", named, []map[string]string{{"clients/bread.yaml": "", "clients/bread-shop.yaml": named, "clients/third.yaml": client("fourth")}}},
	} {
		t.Run(how, func(t *testing.T) {
			v, w := newVendors(t)
			w.apply(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/other.yaml": client("other")})
			w.want("bakery", state.StatusActive)
			id, data := w.id("bakery"), w.ownData("bakery").ID
			w.apply(map[string]string{"clients/bakery.yaml": "", c.wrong: c.text})
			w.want("bakery", state.StatusHeld)
			for n, files := range c.steps {
				w.apply(files)
				if n == len(c.steps)-1 {
					break
				}
				if r := w.want("bakery", state.StatusHeld); v.servedBy("bakery.agency.example") != id {
					t.Errorf("mended in part, it is served by %q: %s", v.servedBy("bakery.agency.example"), r.Because)
				}
				for path, text := range files {
					if r := w.row("bakery"); text != "" && strings.Contains(path, "bread") && !strings.Contains(r.Next, path) {
						t.Errorf("next: %q, want %s", r.Next, path)
					}
				}
			}
			w.want("bread-shop", state.StatusActive)
			if w.id("bread-shop") != id || w.ownData("bread-shop").ID != data || v.servedBy("bread-shop.agency.example") != id {
				t.Errorf("it is %s with %s, served by %q; want %s with %s", w.id("bread-shop"), w.ownData("bread-shop").ID, v.servedBy("bread-shop.agency.example"), id, data)
			}
		})
	}
	t.Run("given up", func(t *testing.T) {
		v, w := newVendors(t)
		w.apply(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/other.yaml": client("other")})
		w.apply(map[string]string{"clients/bakery.yaml": "", "clients/bread.yaml": named})
		w.apply(map[string]string{"clients/bread.yaml": ""})
		if w.want("bakery", state.StatusRetained); v.servedBy("bakery.agency.example") != "" {
			t.Error("it serves on")
		}
	})
}

// P5: a client whose removal waits for its date is put back, in another folder or as .yml, with a mistake: its file is there,
// and invalid, so that nothing goes. Before, only the path that it had counted, and it went offline at its date.
func TestP5PutBackElsewhereWithAMistakeIsNoAbsence(t *testing.T) {
	for path, text := range map[string]string{"clients/ba/bakery.yaml": client("bakery", "plam: starter"), "clients/bakery.yml": client("bakery")} {
		v, w := newVendors(t)
		w.apply(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/other.yaml": client("other")})
		w.guarded(accept.Guard{MaxDeletes: 9, MaxDeletePercent: 100, MaxChanged: 25, MaxCreates: 9, RemoveAfter: time.Hour})
		id := w.id("bakery")
		w.apply(map[string]string{"clients/bakery.yaml": ""})
		w.apply(map[string]string{path: text})
		w.clock.add(2 * time.Hour)
		w.pass(w.due()...)
		w.pass(id)
		if r := w.row("bakery"); v.servedBy("bakery.agency.example") != id || !strings.Contains(r.Because, path) {
			t.Errorf("%s: it is served by %q: %s, %s; next %s", path, v.servedBy("bakery.agency.example"), r.Status, r.Because, r.Next)
		}
		w.apply(map[string]string{path: "", "clients/ba/bakery.yaml": client("bakery")})
		if w.want("bakery", state.StatusActive); v.servedBy("bakery.agency.example") != id {
			t.Errorf("%s: mended, it is served by %q", path, v.servedBy("bakery.agency.example"))
		}
	}
}

// A file that is to say whose data there is under its name is valid once that data was erased, without another commit. Before, it
// was told that the database is still here until somebody committed something else.
func TestRulePurgeFreesTheNameOfItsData(t *testing.T) {
	_, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": client("shop"), "clients/other.yaml": client("other")})
	w.apply(map[string]string{"clients/shop.yaml": ""})
	w.apply(map[string]string{"clients/shop.yaml": strings.Replace(client("shop"), "domain: shop", "domain: store", 1)})
	if _, err := w.engine.PurgeNow(t.Context(), "shop", "dana"); err != nil {
		t.Fatal(err)
	}
	w.pass(w.poll()...)
	if w.want("shop", state.StatusActive); len(w.overview().Holds) > 0 {
		t.Errorf("held: %+v", w.overview().Holds)
	}
}

// A client without a database goes, and is back with another domain and its name as an alias before that is carried out:
// there is no database of which its file could say whose it is. It has that name at once, or once the removal is due.
// Before, it was told that a database is still here, and the name went.
func TestRuleBackWithoutADatabaseKeepsItsName(t *testing.T) {
	for _, later := range []time.Duration{0, time.Hour} {
		v, w := newVendors(t)
		bare := client("bakery", "database: {provider: none}", noData)
		w.apply(map[string]string{"clients/bakery.yaml": bare, "clients/other.yaml": client("other")})
		w.guarded(accept.Guard{MaxDeletes: 9, MaxDeletePercent: 100, MaxChanged: 25, MaxCreates: 9, RemoveAfter: later})
		down := ""
		v.faults.Do(memory.After, memory.Is(memory.Delete), 0, func(_ context.Context, c memory.Call) error {
			if v.servedBy("bakery.agency.example") == "" {
				down += c.String() + "; "
			}
			return nil
		})
		w.push(map[string]string{"clients/bakery.yaml": ""})
		w.apply(map[string]string{"clients/bakery.yaml": strings.Replace(bare, "domain: bakery", "domain: store\naliases: [bakery.agency.example]", 1)})
		w.clock.add(2 * time.Hour)
		w.pass(w.poll()...)
		w.pass(w.due()...)
		if w.want("bakery", state.StatusActive); down != "" || v.servedBy("bakery.agency.example") != w.id("bakery") || len(w.overview().Holds) > 0 {
			t.Errorf("after %s: down after %q, by %q; held: %+v", later, down, v.servedBy("bakery.agency.example"), w.overview().Holds)
		}
	}
}

// P5: a database that the last good version had given up, and that is on record still as the whole client went before
// that was carried out, is one of which the file has to say whose it is.
func TestP5BackBeforeItsDatabaseWasLetGoSaysWhose(t *testing.T) {
	_, w := newVendors(t)
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/other.yaml": client("other")})
	bare := client("bakery", "database: {provider: none}", noData)
	w.push(map[string]string{"clients/bakery.yaml": bare})
	w.push(map[string]string{"clients/bakery.yaml": ""})
	w.push(map[string]string{"clients/bakery.yaml": strings.Replace(client("bakery"), "domain: bakery", "domain: store", 1)})
	if holds := w.overview().Holds; len(holds) != 1 || holds[0].Kind != state.HoldReuse {
		t.Errorf("held: %+v", holds)
	}
}

// Guard: clients that leave nothing behind (no database, or one that was purged) count for a day like all others. Before, each was forgotten
// as it had gone, and one after the other could go. What comes back is no loss, and after a day nothing counts any more.
func TestRuleGuardCountsWhoLeftNothingBehind(t *testing.T) {
	v, w := newVendors(t)
	files := map[string]string{}
	names := []string{"a", "b", "c", "d", "e", "f"}
	for _, n := range names {
		files["clients/"+n+".yaml"] = client(n, "database: {provider: none}", noData)
	}
	w.apply(files)
	w.guarded(accept.Guard{MaxDeletes: 2, MaxDeletePercent: 100, MaxChanged: 25, MaxCreates: 99})
	gone := func(n string) bool {
		w.clock.add(time.Minute)
		w.apply(map[string]string{"clients/" + n + ".yaml": ""})
		return v.servedBy(n+".agency.example") == ""
	}
	if !gone("a") || !gone("b") {
		t.Fatal("two may go")
	}
	if gone("c") {
		t.Error("three went within an hour, and the guard lets two go")
	}
	w.apply(map[string]string{"clients/c.yaml": files["clients/c.yaml"], "clients/a.yaml": files["clients/a.yaml"]})
	w.want("a", state.StatusActive)
	if !gone("c") {
		t.Error("one of the two is back, and another one is held")
	}
	if gone("d") {
		t.Error("a third one went")
	}
	w.apply(map[string]string{"clients/d.yaml": files["clients/d.yaml"], "clients/c.yaml": files["clients/c.yaml"]})
	if !gone("c") {
		t.Error("the same one goes once more")
	}
	w.clock.add(accept.Window)
	if !gone("d") || !gone("e") {
		t.Error("a day later two may go again")
	}
	if gone("f") {
		t.Error("and no third one")
	}
	w.apply(map[string]string{"clients/f.yaml": files["clients/f.yaml"]})
	w.clock.add(time.Minute)
	w.apply(map[string]string{"clients/d.yaml": files["clients/d.yaml"], "clients/f.yaml": ""})
	if w.want("d", state.StatusActive); v.servedBy("f.agency.example") != "" {
		t.Error("one of the two is back by the same commit, and the other one is held")
	}
}

// guard.removeAfter: who goes offline and keeps its name (no site, or no record, any more) waits as whoever goes does, as its plan
// says. Before, it went offline at once.
func TestRuleRemoveAfterHoldsWhoGoesOffline(t *testing.T) {
	for _, more := range []string{"deployment: {provider: none}", "dns: {provider: none}"} {
		v, w := newVendors(t)
		w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/b.yaml": client("b")})
		w.guarded(accept.Guard{MaxDeletes: 9, MaxDeletePercent: 100, MaxChanged: 25, MaxCreates: 9, RemoveAfter: time.Hour})
		answers := func() bool { return v.servedBy("a.agency.example") != "" && v.record("A", "a.agency.example") != "" }
		w.apply(map[string]string{"clients/a.yaml": client("a", more)})
		if r := w.row("a"); !answers() || !strings.Contains(r.Because, "waits until 24 November 2026 10:") {
			t.Errorf("%s: it answers %t at once: %s, %s", more, answers(), r.Status, r.Because)
		}
		before := len(v.writes())
		w.apply(map[string]string{"clients/a.yaml": client("a")})
		if w.want("a", state.StatusActive); !answers() || len(v.writes()) > before {
			t.Errorf("%s: taken back in time, it answers %t, and that wrote %v", more, answers(), v.writes()[before:])
		}
		w.apply(map[string]string{"clients/a.yaml": client("a", more)})
		w.clock.add(2 * time.Hour)
		w.pass(w.due()...)
		if w.want("a", state.StatusActive); answers() {
			t.Errorf("%s: it answers after its date", more)
		}
	}
}

// A freeze begins between the record that leads people to a new host and its certificate: the certificate is asked for all
// the same. Before, HTTPS failed until the freeze was over, weeks later.
func TestRuleAFreezeLeavesNoNameWithoutItsCertificate(t *testing.T) {
	v, w := newLateHost(t)
	w.apply(map[string]string{"clients/a.yaml": client("a")})
	v.faults.Do(memory.After, memory.Is(memory.Update, state.KindRecord), 1, func(context.Context, memory.Call) error {
		v.world.Down("ploi", memory.Fail(provider.Transient, "503 service unavailable"))
		return nil
	})
	w.apply(map[string]string{"clients/a.yaml": client("a", "deployment: {provider: ploi}")})
	w.approveHolds(state.HoldData)
	phase := func() string {
		for _, r := range w.detail("a").Resources {
			if r.Ref.Kind == state.KindDomain && r.Provider == "ploi" {
				return r.Phase
			}
		}
		return "none"
	}
	if got := phase(); got != "unreached" {
		t.Fatalf("the certificate was to be missing: %q", got)
	}
	w.apply(map[string]string{"platform.yaml": "apiVersion: reconciler/v1\nkind: Platform\nfreeze: [{from: 2026-11-24T00:00, to: 2036-11-25T00:00, reason: holidays}]\n"})
	v.world.Down("ploi", nil)
	w.clock.add(time.Hour)
	w.pass(w.due()...)
	w.pass(w.id("a"))
	if got := phase(); got != "" {
		t.Errorf("in the freeze its certificate is %q: %s", got, w.row("a").Because)
	}
	w.apply(map[string]string{"clients/a.yaml": client("a", "deployment: {provider: ploi}", "aliases: [www.a.example]")})
	before := len(v.writes())
	w.pass(w.id("a"))
	if r := w.want("a", state.StatusHeld); len(v.writes()) > before {
		t.Errorf("a later commit in the freeze: %v; %s", v.writes()[before:], r.Because)
	}
}
