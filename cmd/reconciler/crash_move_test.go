package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider/postgres/postgrestest"
	"github.com/compassdigital/reconciler/internal/state"
)

// P3, P5, P8: killed at every border of the step that moves a database, each time that of
// another client. After the next start the client's own database takes orders, the move goes on
// once somebody says so, and not an order is lost. There is one copy.
func TestP8KilledAtEveryPointOfAMove(t *testing.T) {
	all := borders(plan.Transfer)
	for n := range *crashEach {
		t.Run(fmt.Sprint(n), func(t *testing.T) { // in a world of its own: one that grows for ever becomes slow
			w, s, made := moveWorld(t)
			for k, point := range all {
				killedAsItMoves(t, w, s, made, fmt.Sprintf("move%d", k), point)
			}
		})
	}
	t.Logf("%d points, %d kills at each", len(all), *crashEach)
}

// killedAsItMoves kills the program once as it moves a new client's database.
func killedAsItMoves(t *testing.T, w *world, s *postgrestest.Server, made *[]string, name, point string) {
	t.Helper()
	moves := func(to string) {
		t.Helper()
		w.commit(map[string]string{"clients/" + name + ".yaml": manifestOf(name, "database: {provider: "+to+", access: public}")})
	}
	moves("railway")
	w.active(name)
	old, taken := (*made)[len(*made)-1], []string{"tea"}
	rowsIn(t, old, "CREATE TABLE orders (id serial PRIMARY KEY, what text)")
	if !order(t, old, "tea") {
		t.Fatal("a new database takes no order")
	}
	moves("postgres")
	w.apply()
	w.must(0, "approve", w.heldMove(name))
	if killed, r := w.child(point+":1", "apply"); !killed {
		t.Fatalf("lived at %s: %s%s", point, r.out, r.err)
	}
	w.apply()
	held := w.why(name).Status == string(state.StatusHeld)
	border, _, _ := strings.Cut(point, "/")
	if begun := border != string(apply.BeforeIntent) && border != string(apply.AfterOutcome); begun && !held {
		t.Errorf("%s: it was frozen again, and nobody was asked", point)
	}
	if held { // the freeze is lifted
		if !order(t, old, "bread") {
			t.Errorf("%s: frozen after the next start", point)
		}
		taken = append(taken, "bread")
		w.must(0, "approve", w.heldMove(name))
	}
	w.active(name)
	if order(t, old, "late") {
		t.Errorf("%s: the old one takes orders after the move", point)
	}
	if got := rowsIn(t, w.shopDatabase(name), "SELECT what FROM orders ORDER BY id"); !slices.Equal(got, taken) {
		t.Errorf("%s: the site has %v of %v", point, got, taken)
	}
	if got := databasesOf(t, s, name); len(got) != 2 {
		t.Errorf("%s: on the server %v", point, got)
	}
	if open := w.why(name).Intents; len(open) > 0 {
		t.Errorf("%s: open intents %v", point, open)
	}
}

// shopDatabase is the address that a client's site has of its database.
func (w *world) shopDatabase(name string) string {
	w.t.Helper()
	w.start()
	defer w.stop() // who is killed next is a process of its own
	for _, o := range w.ownedAt("local") {
		if o.Kind == state.KindSite && o.Mark.Client == w.id(name) {
			return w.variable(o.ID, "SHOP_DATABASE")
		}
	}
	w.t.Fatalf("%s has no site", name)
	return ""
}
