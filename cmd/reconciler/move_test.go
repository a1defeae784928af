package main

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/compassdigital/reconciler/internal/provider/postgres/postgrestest"
	"github.com/compassdigital/reconciler/internal/provider/railway/simulated"
	"github.com/compassdigital/reconciler/internal/state"
)

// moveWorld is an installation with databases at the simulated Railway, real ones, and a
// PostgreSQL server; reached by the returned addresses, in the order in which Railway made them.
func moveWorld(t *testing.T) (w *world, s *postgrestest.Server, made *[]string) {
	t.Helper()
	made = &[]string{}
	w, s = postgresWorld(t, map[string]string{})
	// The embedded sites read SQLite: theirs is told of the address under another name.
	w.commit(map[string]string{"templates/ecommerce.yaml": strings.NewReplacer("kind: payload, path: /admin", "kind: none", "DATABASE_URL:", "SHOP_DATABASE:").Replace(shopTemplate)})
	vendor, err := simulated.New(simulated.Options{Now: w.now, Token: w.env["RAILWAY_API_KEY"], BuildTime: -1, Databases: func(_, password string) (string, error) {
		name := fmt.Sprintf("railway%d", len(*made)+1)
		rowsIn(t, s.DSN(), fmt.Sprintf("CREATE ROLE %s SUPERUSER LOGIN PASSWORD '%s'", name, password))
		rowsIn(t, s.DSN(), fmt.Sprintf("CREATE DATABASE %s OWNER %s", name, name))
		*made = append(*made, s.DSNOf(name, password, name))
		return strings.Replace(s.DSNOf(name, password, name), "postgres://", "postgresql://", 1), nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(underContract(t, "railway", vendor))
	t.Cleanup(server.Close)
	w.env["RECONCILER_PROVIDERS_RAILWAY_API_URL"] = server.URL + "/graphql/v2"
	return w, s, made
}

// orders writes one as the site would and says whether it was taken.
func order(t *testing.T, at, what string) bool {
	t.Helper()
	c, err := pgx.Connect(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(context.Background()) }()
	_, err = c.Exec(t.Context(), "INSERT INTO orders (what) VALUES ($1)", pgx.QueryExecModeSimpleProtocol, what)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "25006" {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	return true
}

// heldMove is the approval that the client's move waits for.
func (w *world) heldMove(name string) string {
	w.t.Helper()
	v := w.why(name)
	if v.Status != string(state.StatusHeld) || len(v.Holds) != 1 || v.Holds[0].Kind != state.HoldData || !strings.Contains(v.Because, "writes fail while it is copied") {
		w.t.Fatalf("%s is %s: %s; holds %+v", name, v.Status, v.Because, v.Holds)
	}
	return v.Holds[0].Fingerprint
}

// P3, P5, P8: a database moves from Railway to a server of one's own: held until somebody says
// yes, killed at every step of the way, and not an order is lost.
func TestP5ADatabaseMovesBetweenProviders(t *testing.T) {
	w, s, made := moveWorld(t)
	at := func(provider string) map[string]string {
		return map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", "database: {provider: "+provider+", access: public}")}
	}
	w.commit(at("railway"))
	w.active("demoshop")
	if len(*made) != 1 {
		t.Fatalf("%d databases at Railway", len(*made))
	}
	old := (*made)[0]
	rowsIn(t, old, "CREATE TABLE orders (id serial PRIMARY KEY, what text)")
	var taken []string
	sells := func(where, what string, want bool) {
		t.Helper()
		took := order(t, where, what)
		if took {
			taken = append(taken, what)
		}
		if took != want {
			t.Errorf("%s: taken %v, want %v", what, took, want)
		}
	}
	sells(old, "tea", true)

	// Nothing is begun before somebody says yes, and a revert ends it.
	moved := w.commit(at("postgres"))
	if p := w.cli("plan"); !strings.Contains(p.out, "transfer") || !strings.Contains(p.out, "writes fail while it is copied") {
		t.Errorf("the plan:\n%s%s", p.out, p.err)
	}
	w.apply()
	print := w.heldMove("demoshop")
	sells(old, "bread", true)
	w.revert(moved)
	w.active("demoshop")
	if got := databasesOf(t, s, "demoshop"); len(got) != 0 {
		t.Errorf("made before anybody said yes: %v", got)
	}
	w.commit(at("postgres"))
	w.apply()
	if again := w.heldMove("demoshop"); again != print {
		t.Errorf("the same move has the print %s, and had %s", again, print)
	}

	// Killed under the freeze, the next start lifts it, and asks again before the next one.
	for _, point := range []string{"after-freeze", "after-load", "after-call"} {
		w.must(0, "approve", w.heldMove("demoshop"))
		if killed, r := w.child(point+"/transfer:1", "apply"); !killed {
			t.Fatalf("lived at %s: %s%s", point, r.out, r.err)
		}
		sells(old, "under the freeze", false)
		w.apply()
		sells(old, "after "+point, true)
	}
	w.must(0, "approve", w.heldMove("demoshop"))
	if killed, r := w.child("before-intent/update:1", "apply"); !killed { // the copy serves, and no site knows it yet
		t.Fatalf("lived after the switch: %s%s", r.out, r.err)
	}
	sells(old, "after the switch", false)
	w.active("demoshop")
	sells(old, "at the old one", false)
	w.start()
	fresh := ""
	for _, o := range w.ownedAt("local") {
		if o.Kind == state.KindSite {
			fresh = w.variable(o.ID, "SHOP_DATABASE")
		}
	}
	if fresh == "" || strings.Contains(fresh, "railway") {
		t.Fatal("the site does not have the new address")
	}
	sells(fresh, "cake", true)
	if got := rowsIn(t, fresh, "SELECT what FROM orders ORDER BY id"); !slices.Equal(got, taken) {
		t.Errorf("the site has %v of %v", got, taken)
	}
	if r := w.must(0, "retained"); !strings.Contains(r.out, "railway") {
		t.Errorf("retained:\n%s", r.out)
	}
	w.commit(at("railway")) // what was written since is not in the one that is kept there
	w.apply()
	if v := w.why("demoshop"); v.Status != string(state.StatusHeld) || !strings.Contains(v.Because, "an earlier move left") {
		t.Errorf("back: %s, %s", v.Status, v.Because)
	}
	sells(fresh, "coffee", true)
}

// Rule "Data": a move is cut off once its copy was made at a server of one's own, and `secret rekey` gives all databases there other
// passwords. The move is approved once more, and comes to its end.
func TestRuleADatabaseMovesAfterRekey(t *testing.T) {
	w, _, made := moveWorld(t)
	at := func(provider string) map[string]string {
		return map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", "database: {provider: "+provider+", access: public}")}
	}
	w.commit(at("railway"))
	w.active("demoshop")
	old := (*made)[0]
	rowsIn(t, old, "CREATE TABLE orders (id serial PRIMARY KEY, what text)")
	if !order(t, old, "tea") {
		t.Fatal("a new database takes no order")
	}
	w.commit(at("postgres"))
	w.apply()
	w.must(0, "approve", w.heldMove("demoshop"))
	if killed, r := w.child("after-freeze/transfer:1", "apply"); !killed {
		t.Fatalf("lived: %s%s", r.out, r.err)
	}
	w.apply() // the freeze is lifted
	w.must(0, "secret", "rekey")
	w.apply()
	w.must(0, "approve", w.heldMove("demoshop"))
	w.active("demoshop")
	if got := rowsIn(t, w.shopDatabase("demoshop"), "SELECT what FROM orders"); !slices.Equal(got, []string{"tea"}) || order(t, old, "late") {
		t.Errorf("the site has %v", got)
	}
}
