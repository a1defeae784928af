package reconcile_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

// P5: a commit leaves the database out, and the version without it can't be deployed: what serves is built with the database,
// which is in use as long as that is so, and has no date. Once the new version serves it has its whole time.
func TestP5DatabaseIsInUseUntilTheVersionWithoutItServes(t *testing.T) {
	for how, kind := range map[string]provider.ErrorKind{"the build is broken": provider.Invalid, "the host lets nobody in": provider.Denied} {
		t.Run(how, func(t *testing.T) {
			v, w := newVendors(t)
			w.apply(map[string]string{"clients/shop.yaml": client("shop"), "clients/other.yaml": client("other", "database: {provider: none}", noData)})
			w.want("shop", state.StatusActive)
			own := w.ownData("shop")
			v.world.Write(own.ID, "an order")
			v.faults.On(memory.Before, memory.Is(memory.Create, state.KindDeployment), 0, memory.Fail(kind, how))
			w.apply(map[string]string{"clients/shop.yaml": client("shop", "database: {provider: none}", noData)})
			w.clock.add(31 * 24 * time.Hour)
			w.pass(w.id("shop"))
			w.poll()
			if erased, err := w.engine.PurgeDue(t.Context()); err != nil || len(erased) > 0 {
				t.Errorf("erased %v, %v", erased, err)
			}
			d, _ := v.world.Serves("shop.agency.example")
			if url := v.world.BuiltWith(d)["DATABASE_URL"]; !strings.Contains(url, own.ID) || len(v.world.Rows(own.ID)) != 1 {
				t.Errorf("the site serves with %q, which holds %v", url, v.world.Rows(own.ID))
			}
			v.faults.Clear()
			if _, err := w.engine.Retry("shop", "dana"); err != nil {
				t.Fatal(err)
			}
			w.pass(w.id("shop"))
			w.want("shop", state.StatusActive)
			w.keptUntil("shop", w.clock.Now().AddDate(0, 0, 30))
		})
	}
}

// Rule "Secrets": what was set twice for a client that is yet to come is what was set last.
func TestRuleSecretOfANewClientIsTheOneThatWasSetLast(t *testing.T) {
	v, w := newVendors(t)
	for _, value := range []string{"a-slip-of-the-pen", "what-was-meant"} {
		if _, _, err := w.engine.SetSecret("new/shop", "mollie", state.NewSecret(value), w.keys.Fingerprint, "dana"); err != nil {
			t.Fatal(err)
		}
	}
	w.apply(map[string]string{"clients/shop.yaml": client("shop", "env: {KEY: {secret: mollie}}")})
	w.want("shop", state.StatusActive)
	if got := v.has("shop", "KEY"); got != "what-was-meant" {
		t.Errorf("the site runs with %q", got)
	}
}

// A secret is set before the merge for the name that a client gets by it, as the plan says: by a rename, or as it comes back.
func TestRuleSecretThatIsSetForANameBeforeTheMerge(t *testing.T) {
	for what, was := range map[string]string{"a rename": "clients/shop.yaml", "a return": ""} {
		t.Run(what, func(t *testing.T) {
			v, w := newVendors(t)
			name, change := "store", map[string]string{"clients/store.yaml": client("store", "previously: [shop]", "env: {KEY: {secret: mollie}}"), was: ""}
			w.apply(map[string]string{"clients/shop.yaml": client("shop"), "clients/other.yaml": client("other")})
			w.want("shop", state.StatusActive)
			if what == "a return" {
				w.apply(map[string]string{"clients/shop.yaml": ""})
				name, change = "shop", map[string]string{"clients/shop.yaml": client("shop", "env: {KEY: {secret: mollie}}")}
			}
			says := func() string {
				var out []string
				for _, p := range w.preview(change).Problems {
					out = append(out, p.Text+": "+p.Hint)
				}
				return strings.Join(out, "; ")
			}
			if told := says(); what == "a rename" && !strings.Contains(told, "`reconciler secret set mollie --client store --new`") {
				t.Errorf("the plan says %q", told)
			}
			if _, _, err := w.engine.SetSecret("new/"+name, "mollie", state.NewSecret("live_for-the-new-name"), w.keys.Fingerprint, "dana"); err != nil {
				t.Fatal(err)
			}
			if told := says(); told != "" {
				t.Errorf("set, the plan says %q", told)
			}
			w.apply(change)
			w.want(name, state.StatusActive)
			if got := v.has(name, "KEY"); got != "live_for-the-new-name" {
				t.Errorf("the site runs with %q", got)
			}
		})
	}
}

// Rule "Adoption": whoever adopted a database and moved its data himself, as he is told, names the new one: it is asked
// for an approval, and then the site has that one. The one before stays where it is.
func TestRuleAdoptedDatabaseThatItsOwnerMoved(t *testing.T) {
	for what, out := range map[string]bool{"in use": false, "out of use": true} {
		t.Run(what, func(t *testing.T) {
			v, w := newMovers(t)
			seed := func(at, id string) {
				v.world.Seed(at, provider.Object{ID: id, Kind: state.KindDatabase, Name: "old " + id, Outputs: []provider.Output{{Name: "url", Text: "postgres://app@" + id + ".example/app"}}})
			}
			seed("railway", "db-old")
			seed("postgres", "db-new")
			w.apply(map[string]string{"clients/shop.yaml": client("shop", "database: {provider: railway}", "adopt: {database: {id: db-old}}")})
			w.approveAll("shop")
			w.want("shop", state.StatusActive)
			if out {
				w.apply(map[string]string{"clients/shop.yaml": client("shop", "database: {provider: none}", noData)})
				w.want("shop", state.StatusActive)
			}
			moved := map[string]string{"clients/shop.yaml": client("shop", "database: {provider: postgres}", "adopt: {database: {id: db-new}}")}
			w.apply(moved)
			if r := w.want("shop", state.StatusHeld); w.ownData("shop").ID != "db-old" || !strings.Contains(r.Next, "approve") {
				t.Errorf("it has %s; next: %s", w.ownData("shop").ID, r.Next)
			}
			w.approveAll("shop")
			w.want("shop", state.StatusActive)
			if now := w.ownData("shop"); now.ID != "db-new" || !now.Adopted || now.Retained() {
				t.Errorf("it has %+v", now)
			}
			if url := v.has("shop", "DATABASE_URL"); !strings.Contains(url, "db-new") {
				t.Errorf("the site has %q", url)
			}
			if !slices.ContainsFunc(v.world.Objects("railway"), func(o provider.Object) bool { return o.ID == "db-old" }) {
				t.Error("the one before is gone")
			}
			before := len(v.writes())
			w.apply(map[string]string{"clients/shop.yaml": client("shop", "database: {provider: postgres}")}) // `adopt:` has done its work
			w.want("shop", state.StatusActive)
			if did := v.writes()[before:]; len(did) > 0 {
				t.Errorf("it wrote %v", did)
			}
		})
	}
}

// One that gives no address leaves the site what it has, and that is told.
func TestRuleAdoptedDatabaseThatGivesNoAddress(t *testing.T) {
	v, w := newMovers(t)
	v.world.Seed("railway", provider.Object{ID: "db-old", Kind: state.KindDatabase, Name: "old", Outputs: []provider.Output{{Name: "url", Text: "postgres://app@db-old.example/app"}}})
	v.world.Seed("postgres", provider.Object{ID: "db-new", Kind: state.KindDatabase, Name: "new"})
	w.apply(map[string]string{"clients/shop.yaml": client("shop", "database: {provider: railway}", "adopt: {database: {id: db-old}}")})
	w.approveAll("shop")
	w.want("shop", state.StatusActive)
	w.apply(map[string]string{"clients/shop.yaml": client("shop", "database: {provider: postgres}", "adopt: {database: {id: db-new}}")})
	w.approveAll("shop")
	if r := w.row("shop"); r.Status == string(state.StatusActive) || !strings.Contains(r.Because, "which postgres does not give") {
		t.Errorf("it is %s: %s", r.Status, r.Because)
	}
	if url := v.has("shop", "DATABASE_URL"); !strings.Contains(url, "db-old") {
		t.Errorf("the site has %q", url)
	}
}

// P5: what was adopted by a client that was removed, and is named in `adopt:` by another one, is erased by no purge: it goes
// off the record, as the other one is told, and is that one's.
func TestP5PurgeLeavesWhatAnotherClientIsToHave(t *testing.T) {
	v, w := newMovers(t)
	v.world.Seed("railway", provider.Object{ID: "db-old", Kind: state.KindDatabase, Name: "old", Outputs: []provider.Output{{Name: "url", Text: "postgres://app@old.example/app"}}})
	adopts := func(name string) string {
		return client(name, "database: {provider: railway}", "adopt: {database: {id: db-old}}")
	}
	w.apply(map[string]string{"clients/a.yaml": adopts("a"), "clients/z.yaml": client("z")})
	w.approveAll("a")
	w.want("a", state.StatusActive)
	v.world.Write("db-old", "an order")
	w.apply(map[string]string{"clients/a.yaml": "", "clients/b.yaml": adopts("b")})
	w.pass(w.id("b"))
	if r := w.want("b", state.StatusHeld); !strings.Contains(r.Next, "`reconciler purge a`") {
		t.Errorf("next: %s", r.Next)
	}
	texts, err := w.engine.PurgeNow(t.Context(), "a", "dana")
	if err != nil || len(texts) != 1 || !strings.Contains(texts[0], "b has it, or names it in `adopt:`") {
		t.Errorf("it says %q, %v", texts, err)
	}
	if got := v.world.Rows("db-old"); len(got) != 1 {
		t.Fatalf("the database holds %v", got)
	}
	if _, err := w.engine.Retry("b", "dana"); err != nil {
		t.Fatal(err)
	}
	w.pass(w.id("b"))
	w.approveAll("b")
	w.want("b", state.StatusActive)
	if url := v.has("b", "DATABASE_URL"); !strings.Contains(url, "old.example") {
		t.Errorf("the site has %q", url)
	}
	// Nor when it was changed since, by a file that says `adopt:` no more: then it is on record without the name that `adopt:` gave it.
	w.apply(map[string]string{"clients/b.yaml": client("b", "database: {provider: railway, access: private}")})
	w.approveAll("b")
	w.want("b", state.StatusActive)
	w.apply(map[string]string{"clients/b.yaml": "", "clients/c.yaml": adopts("c")})
	w.pass(w.id("c"))
	texts, err = w.engine.PurgeNow(t.Context(), "b", "dana")
	if got := v.world.Rows("db-old"); err != nil || len(texts) != 1 || !strings.Contains(texts[0], "c has it, or names it in `adopt:`") || len(got) != 1 {
		t.Errorf("it says %q, %v; the database holds %v", texts, err, got)
	}
}

// P5: nor is what was made for a client that was removed, at its date or by hand, while another one names it in `adopt:`.
func TestP5NothingIsErasedThatAnotherClientNames(t *testing.T) {
	v, w := newMovers(t)
	w.apply(map[string]string{"clients/a.yaml": client("a"), "clients/z.yaml": client("z")})
	own := w.ownData("a").ID
	v.world.Write(own, "an order")
	w.apply(map[string]string{"clients/a.yaml": ""})
	w.want("a", state.StatusRetained)
	w.apply(map[string]string{"clients/b.yaml": client("b", "adopt: {database: {id: "+own+"}}")})
	w.want("b", state.StatusHeld)
	w.clock.add(31 * 24 * time.Hour)
	w.poll()
	if texts, err := w.engine.PurgeDue(t.Context()); err != nil || len(texts) > 0 {
		t.Errorf("at its date: %q, %v", texts, err)
	}
	if _, err := w.engine.PurgeNow(t.Context(), "a", "dana"); !errors.Is(err, reconcile.ErrRefused) || !strings.Contains(err.Error(), "b names its database") {
		t.Errorf("by hand: %v", err)
	}
	if got := v.world.Rows(own); len(got) != 1 {
		t.Errorf("it holds %v", got)
	}
	w.apply(map[string]string{"clients/b.yaml": ""})
	if texts, err := w.engine.PurgeDue(t.Context()); err != nil || len(texts) != 1 {
		t.Errorf("named by nobody: %q, %v", texts, err)
	}
}

// P5: a database that nobody can restore holds its client, whatever its file says by then; what it is told to do helps.
func TestP5DatabaseThatIsLostForGood(t *testing.T) {
	for what, file := range map[string]string{"as it is": client("shop"), "fresh said where it says nothing": client("shop", "database: {reuse: fresh}")} {
		t.Run(what, func(t *testing.T) {
			v, w := newVendors(t)
			w.apply(map[string]string{"clients/shop.yaml": client("shop"), "clients/z.yaml": client("z")})
			lost := w.ownData("shop").ID
			v.world.Remove(lost)
			w.apply(map[string]string{"clients/shop.yaml": file})
			if _, err := w.engine.Retry("shop", "dana"); err != nil {
				t.Fatal(err)
			}
			w.pass(w.id("shop"))
			if r := w.want("shop", state.StatusHeld); !strings.Contains(r.Next, "remove its manifest, `reconciler purge shop` once it has gone, and add it again") {
				t.Errorf("next: %s", r.Next)
			}
			w.apply(map[string]string{"clients/shop.yaml": ""})
			w.want("shop", state.StatusRetained)
			if texts, err := w.engine.PurgeNow(t.Context(), "shop", "dana"); err != nil || len(texts) != 1 || !strings.Contains(texts[0], "nothing was erased") {
				t.Errorf("it says %q, %v", texts, err)
			}
			w.apply(map[string]string{"clients/shop.yaml": file})
			w.want("shop", state.StatusActive)
			if now := w.ownData("shop"); now.ID == lost || !now.Real() {
				t.Errorf("it has %+v", now)
			}
		})
	}
}

// A first try failed, and another provider of databases is chosen: what is told leads there.
func TestFirstTryWithAnotherDatabase(t *testing.T) {
	v, w := newMovers(t)
	at := func(keeper string) map[string]string {
		return map[string]string{"clients/shop.yaml": client("shop", "database: {provider: "+keeper+"}")}
	}
	w.apply(map[string]string{"clients/z.yaml": client("z", "database: {provider: postgres}")})
	v.faults.On(memory.Before, memory.Is(memory.Create, state.KindDeployment), 1, memory.Fail(provider.Invalid, "the build is broken"))
	w.apply(at("railway"))
	w.want("shop", state.StatusFailed)
	w.apply(at("postgres"))
	if r := w.want("shop", state.StatusHeld); !strings.Contains(r.Next, "`reconciler purge shop`") {
		t.Errorf("next: %s", r.Next)
	}
	w.apply(map[string]string{"clients/shop.yaml": ""})
	if _, err := w.engine.PurgeNow(t.Context(), "shop", "dana"); err != nil {
		t.Error(err)
	}
	w.apply(at("postgres"))
	w.want("shop", state.StatusActive)
	if now := w.ownData("shop"); now.Provider != "postgres" {
		t.Errorf("it has %+v", now)
	}
}
