package postgres

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Databases are compared as administrator, and what is in them is the client's: a table that
// becomes a view while we wait for it runs nothing of its client's with our power.
func TestAClientRunsNothingAsAdministrator(t *testing.T) {
	s := running(t)
	p := movers(t)
	o := create(t, p, wish("shop"))
	works(t, o)
	proof := filepath.Join(s.Socket(), "proof")
	ask(t, urlOf(o), `CREATE FUNCTION evil() RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'COPY (SELECT current_user) TO '''||`+literal(proof)+`||''''; RETURN 1; END $$`)
	client, err := pgx.Connect(t.Context(), urlOf(o))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Exec(t.Context(), "BEGIN; DROP TABLE orders; CREATE VIEW orders AS SELECT evil() AS n"); err != nil {
		t.Fatal(err)
	}
	swapped := make(chan error)
	go func() {
		err := until("the comparison", func() bool {
			waits, err := tryAsk(s.DSN(), "SELECT pid::text FROM pg_stat_activity WHERE application_name = 'reconciler' AND wait_event_type = 'Lock'")
			return err == nil && len(waits) > 0
		})
		_, committed := client.Exec(context.Background(), "COMMIT")
		swapped <- errors.Join(err, committed, client.Close(context.Background()))
	}()
	c, err := p.Content(t.Context(), o.ID)
	if e := <-swapped; e != nil {
		t.Error(e)
	}
	if _, e := os.Stat(proof); e == nil || err == nil {
		t.Errorf("the client's function ran as administrator (content: %+v, %v)", c, err)
	}
}
