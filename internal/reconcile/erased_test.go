package reconcile_test

import (
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// A database moves to another provider, and back there once what the first move left is erased: what
// serves then was built with the database that the client has, and not with the one that was erased.
func TestReleaseOfAMoveThereAndBack(t *testing.T) {
	v, w := newMovers(t)
	to := func(keeper string) map[string]string {
		return map[string]string{"clients/shop.yaml": client("shop", "database: {provider: "+keeper+"}")}
	}
	move := func(keeper string) {
		t.Helper()
		w.apply(to(keeper))
		for range 3 {
			w.approveMoves()
			w.pass(w.id("shop"))
		}
		if now := w.ownData("shop"); now.Provider != keeper {
			t.Fatalf("it is at %s: %s", now.Provider, w.row("shop").Because)
		}
		w.want("shop", state.StatusActive)
	}
	reach := func() {
		t.Helper()
		d, _ := v.world.Serves("shop.agency.example")
		if got, want := v.world.BuiltWith(d)["DATABASE_URL"], w.ownData("shop").ID; !strings.Contains(got, "@"+want+".") {
			t.Errorf("the site asks for its data at %s, and it is in %s", got, want)
		}
	}
	w.apply(to("railway"))
	w.want("shop", state.StatusActive)
	reach()
	move("postgres")
	reach()
	w.clock.add(31 * 24 * time.Hour)
	w.poll()
	if erased, err := w.engine.PurgeDue(t.Context()); err != nil || len(erased) != 1 {
		t.Fatalf("erased %v, %v", erased, err)
	}
	move("railway")
	reach()
}

// A database is left out until it is erased, and asked for again: the release that serves then is not
// the one that was built with the erased one.
func TestReleaseOfADatabaseThatWasErased(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": client("shop")})
	w.want("shop", state.StatusActive)
	w.apply(map[string]string{"clients/shop.yaml": client("shop", "database: {provider: none}", "env: {DATABASE_URL: {none: true}}")})
	w.want("shop", state.StatusActive)
	w.clock.add(31 * 24 * time.Hour)
	w.poll()
	if erased, err := w.engine.PurgeDue(t.Context()); err != nil || len(erased) != 1 {
		t.Fatalf("erased %v, %v", erased, err)
	}
	w.apply(map[string]string{"clients/shop.yaml": client("shop")})
	w.want("shop", state.StatusActive)
	d, _ := v.world.Serves("shop.agency.example")
	if got, want := v.world.BuiltWith(d)["DATABASE_URL"], w.ownData("shop").ID; !strings.Contains(got, "@"+want+".") {
		t.Errorf("the site asks for its data at %s, and it is in %s", got, want)
	}
}
