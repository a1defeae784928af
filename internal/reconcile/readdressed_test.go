package reconcile_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/state"
)

// asks says that the site asks for its data where its database is by now.
func (m *moving) asks(v *vendors, w *world, when string) {
	w.t.Helper()
	d, _ := v.world.Serves("bakery.agency.example")
	db := v.of(state.KindDatabase)
	want := fmt.Sprintf("postgres://%s-%d.example/app", m.access[db], m.turns[db])
	if got := v.world.BuiltWith(d)["DATABASE_URL"]; got != want {
		w.t.Errorf("%s: the site asks for its data at %s, and it is at %s", when, got, want)
	}
}

// Somebody gives a database another password, or a public address anew, in its vendor's dashboard: the look says so, and
// the next pass deploys the site with it.
func TestRuleADatabaseThatWasReaddressedAtItsVendor(t *testing.T) {
	for _, way := range []string{"retry", "a commit"} {
		v, w, m := newMoving(t)
		w.apply(map[string]string{"clients/bakery.yaml": client("bakery")})
		w.want("bakery", state.StatusActive)
		w.look()
		m.turns[v.of(state.KindDatabase)]++
		w.look()
		told := false
		for _, r := range w.reports("bakery") {
			told = told || strings.Contains(r.Detail, "reconciler retry bakery")
		}
		if !told {
			t.Errorf("%s: nobody was told that the database has another address", way)
		}
		switch way {
		case "retry":
			id, err := w.engine.Retry("bakery", "dana")
			if err != nil {
				t.Fatal(err)
			}
			w.pass(id)
		default:
			w.apply(map[string]string{"clients/bakery.yaml": client("bakery", "settings: {theme: dark}")})
		}
		w.want("bakery", state.StatusActive)
		m.asks(v, w, way)
		if l := w.look(); len(l.New) > 0 {
			t.Errorf("%s: afterwards: %+v", way, l.New)
		}
		calls := len(v.world.Calls())
		w.pass(w.id("bakery"))
		if more := len(v.world.Calls()) - calls; more > 0 {
			t.Errorf("%s: %d calls of who is at rest", way, more)
		}
	}
}

// A change of a database gives it another password, as at a server of one's own after the key was renewed: the site is
// deployed with it by the same commit.
func TestRuleAChangeThatReaddressesADatabase(t *testing.T) {
	v, w, m := newMoving(t)
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery"), "templates/shop.yaml": template + "collections: {disableable: [orders]}\n"})
	w.want("bakery", state.StatusActive)
	m.anew = true
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery", "disabledCollections: [orders]"), "templates/shop.yaml": template + "collections: {disableable: [orders]}\n"})
	if row := w.want("bakery", state.StatusHeld); !strings.Contains(row.Because, "can't reach its data") {
		t.Errorf("it waits as %q", row.Because)
	}
	m.asks(v, w, "while it waits")
	w.approveMoves()
	w.pass(w.id("bakery"))
	w.want("bakery", state.StatusActive)
	m.asks(v, w, "approved")
}

// Somebody takes a database's public address away at its vendor: that is drift of access, and no release is built with the
// address from within, which no site reaches.
func TestRuleADatabaseWhoseAccessWasChangedAtItsVendor(t *testing.T) {
	v, w, m := newMoving(t)
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery")})
	w.want("bakery", state.StatusActive)
	db := v.of(state.KindDatabase)
	v.world.Set(db, "access", "private")
	w.look()
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery", "settings: {theme: dark}")})
	d, _ := v.world.Serves("bakery.agency.example")
	if got := v.world.BuiltWith(d)["DATABASE_URL"]; strings.Contains(got, "private") {
		t.Errorf("the site was built with %s", got)
	}
	m.asks(v, w, "put back")
}
