package main

import (
	"fmt"
	"slices"
	"testing"

	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
)

// P3, P5, P8: killed at every border of the step that moves a database, again and again, each
// time that of another client. After the next start the client's own database takes orders, the
// move goes on once somebody says so, and not an order is lost. There is one copy.
func TestP8KilledAtEveryPointOfAMove(t *testing.T) {
	w, s, made := moveWorld(t)
	moves := func(name, to string) {
		t.Helper()
		w.commit(map[string]string{"clients/" + name + ".yaml": manifestOf(name, "database: {provider: "+to+", access: public}")})
	}
	kills, all := 0, borders(plan.Transfer)
	for _, point := range all {
		for n := range *crashEach {
			kills++
			name := fmt.Sprintf("move%d", kills)
			moves(name, "railway")
			w.active(name)
			old := (*made)[len(*made)-1]
			rowsIn(t, old, "CREATE TABLE orders (id serial PRIMARY KEY, what text)")
			taken := []string{"tea"}
			if !order(t, old, "tea") {
				t.Fatal("a new database takes no order")
			}
			moves(name, "postgres")
			w.apply()
			w.must(0, "approve", w.heldMove(name))
			if killed, r := w.child(point+":1", "apply"); !killed {
				t.Fatalf("lived at %s: %s%s", point, r.out, r.err)
			}
			w.apply()
			held := w.why(name).Status == string(state.StatusHeld)
			if begun := point != all[0] && point != string(apply.AfterOutcome)+"/"+string(plan.Transfer); begun && !held {
				t.Errorf("%s, kill %d: it was frozen again, and nobody was asked", point, n+1)
			}
			if held { // the freeze is lifted
				if !order(t, old, "bread") {
					t.Errorf("%s, kill %d: frozen after the next start", point, n+1)
				}
				taken = append(taken, "bread")
				w.must(0, "approve", w.heldMove(name))
			}
			w.active(name)
			if order(t, old, "late") {
				t.Errorf("%s, kill %d: the old one takes orders after the move", point, n+1)
			}
			if got := rowsIn(t, w.shopDatabase(name), "SELECT what FROM orders ORDER BY id"); !slices.Equal(got, taken) {
				t.Errorf("%s, kill %d: the site has %v of %v", point, n+1, got, taken)
			}
			if got := databasesOf(t, s, name); len(got) != 2 {
				t.Errorf("%s, kill %d: on the server %v", point, n+1, got)
			}
			if open := w.why(name).Intents; len(open) > 0 {
				t.Errorf("%s, kill %d: open intents %v", point, n+1, open)
			}
		}
	}
	t.Logf("%d points, %d kills at each", len(all), *crashEach)
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
