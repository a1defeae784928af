package postgres

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/postgres/postgrestest"
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

// much is what shopful lacks.
const much = `CREATE TABLE more (id int PRIMARY KEY, n int DEFAULT 7 NOT NULL, twice int GENERATED ALWAYS AS (n * 2) STORED, CONSTRAINT few CHECK (n < 100));
INSERT INTO more (id) VALUES (1); CREATE TYPE pair AS (a int, b int); CREATE TABLE pairs (t pair, other int); INSERT INTO pairs VALUES ((1, 2), 3); CREATE TABLE odds (f float8, n numeric, t timestamptz, d interval, b bytea); INSERT INTO odds VALUES ('NaN', 'NaN', 'infinity', '1 mon -1 day', decode(repeat('00ff', 200000), 'hex')), ('-0', '1e-130', '1900-01-01 00:00:00.000001-11:59:59', NULL, '');
CREATE INDEX by_n ON more (n); CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER notes BEFORE INSERT ON more FOR EACH ROW EXECUTE FUNCTION noted();
CREATE POLICY mine ON secretive USING (n = 7); CREATE DOMAIN percent AS int CHECK (VALUE <= 100); CREATE RULE quiet AS ON DELETE TO more DO INSTEAD NOTHING; CREATE EXTENSION citext;
CREATE COLLATION german (provider = icu, locale = 'de'); CREATE TYPE span AS RANGE (subtype = int); CREATE STATISTICS both_n ON id, n FROM more; CREATE TABLE links (id int REFERENCES more DEFERRABLE); CREATE UNLOGGED TABLE cache (k text COLLATE german);
CREATE TEXT SEARCH CONFIGURATION shop (COPY = simple); CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq); SELECT lo_from_bytea(4711, decode(repeat('01', 1100000), 'hex')), lo_from_bytea(4712, '')`

// A copy is equal in all that a database has, and what it lacks shows, whatever that is.
func TestWhatACopyLacksShows(t *testing.T) {
	p := movers(t)
	old, fresh := create(t, p, wish("shop")), create(t, p, wish("back"))
	works(t, old)
	ask(t, urlOf(old), shopful)
	ask(t, urlOf(old), much)
	path := filepath.Join(t.TempDir(), "shop.dump")
	if err := p.Dump(t.Context(), old.ID, path); err != nil {
		t.Fatal(err)
	}
	if err := p.Load(t.Context(), fresh.ID, path); err != nil {
		t.Fatal(err)
	}
	before := content(t, p, fresh.ID)
	if d := content(t, p, old.ID).Differs(before); d != "" {
		t.Fatalf("the copy differs: %s", d)
	}
	// What stays is told, and no difference.
	reader := "reader of " + cutName(old.ID)
	ask(t, theServer.DSN(), "CREATE ROLE "+identifier(reader))
	t.Cleanup(func() { ask(t, theServer.DSN(), "DROP ROLE "+identifier(reader)) })
	t.Cleanup(func() { ask(t, ownerless(t, old), "DROP OWNED BY "+identifier(reader)) })
	ask(t, urlOf(old), "GRANT SELECT ON orders, more TO "+identifier(reader)+"; GRANT USAGE ON SCHEMA stock TO "+identifier(reader)+`;
REVOKE ALL ON FUNCTION twice FROM PUBLIC; CREATE PUBLICATION feed FOR TABLE orders; COMMENT ON PUBLICATION feed IS 'x'; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO `+identifier(reader))
	granted := content(t, p, old.ID)
	if left := strings.Join(granted.Stays, "|"); left != "default privileges|publication feed|what everybody may|what "+reader+" may" || len(before.Stays) != 0 {
		t.Errorf("left behind are %q, of a copy %q", left, before.Stays)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := p.Dump(t.Context(), old.ID, path); err != nil {
		t.Fatal(err)
	}
	if err := p.Load(t.Context(), fresh.ID, path); err != nil {
		t.Fatal(err)
	}
	if before = content(t, p, fresh.ID); granted.Differs(before) != "" || len(before.Stays) != 0 {
		t.Errorf("the second copy differs: %s; with it came %q", granted.Differs(before), before.Stays)
	}
	// Several at once, each in a part of its own.
	for _, round := range []map[string]string{
		{"large objects": "SELECT lo_put(4711, 1099999, 'x')", "triggers": "DROP TRIGGER notes ON more", "functions": "CREATE OR REPLACE FUNCTION twice(i int) RETURNS int LANGUAGE sql AS 'SELECT 3 * i'", "policies": "DROP POLICY mine ON secretive",
			"indexes": "DROP INDEX by_n", "constraints": "ALTER TABLE more DROP CONSTRAINT few", "columns": "ALTER TABLE more ALTER n DROP DEFAULT", "rules": "DROP RULE quiet ON more", "types": "DROP DOMAIN percent", "views": "DROP VIEW seen",
			"tables": "ALTER TABLE secretive DISABLE ROW LEVEL SECURITY", "schemas": "CREATE SCHEMA nothing", "materialized views": "DROP MATERIALIZED VIEW sums", "statistics": "DROP STATISTICS both_n",
			"text search configurations": "DROP TEXT SEARCH CONFIGURATION shop", "operators": "DROP OPERATOR === (int, int)", "public.odds": "UPDATE odds SET f = 0 WHERE f = '-0'", "public.pairs": "UPDATE pairs SET other = 4"},
		{"large objects": "SELECT lo_put(4712, 0, 'x')", "comments": "COMMENT ON TABLE orders IS 'other words'", "functions": "DROP FUNCTION noted", "columns": "ALTER TABLE more ALTER n DROP NOT NULL", "tables": "ALTER TABLE cache SET LOGGED", "types": "ALTER TYPE stock.size ADD VALUE 'xl'",
			"constraints": "ALTER TABLE links ALTER CONSTRAINT links_id_fkey NOT DEFERRABLE"},
		{"large objects": "SELECT lo_unlink(4712)", "columns": "ALTER TABLE more ALTER twice DROP EXPRESSION", "tables": "ALTER TABLE parted DETACH PARTITION parted_1", "types": "DROP TYPE span"},
		{"columns": `ALTER TABLE stock."odd "" name" ALTER id DROP IDENTITY`},
		{"columns": "ALTER TABLE more ALTER id TYPE bigint"},
		{"columns": "ALTER TABLE cache ALTER k TYPE text COLLATE \"C\"", "collations": "DROP COLLATION german"},
	} {
		ask(t, urlOf(fresh), "BEGIN READ WRITE; "+strings.Join(slices.Sorted(maps.Values(round)), "; ")+"; COMMIT")
		now := content(t, p, fresh.ID)
		for _, name := range slices.Sorted(maps.Keys(round)) {
			if sumOf(before, name) == sumOf(now, name) {
				t.Errorf("%s does not show", round[name])
			}
		}
		before = now
	}
}

func sumOf(c provider.Content, part string) string {
	for _, p := range c.Parts {
		if p.Name == part {
			return p.Sum
		}
	}
	return ""
}

// Words of a client's own, as a table's name may be, take nothing out of what is loaded.
func TestNothingIsLeftOutByItsName(t *testing.T) {
	p := movers(t)
	old, fresh := create(t, p, wish("shop")), create(t, p, wish("back"))
	ask(t, urlOf(old), `CREATE VIEW "x COMMENT - EXTENSION y" AS SELECT 1 AS n`)
	path := filepath.Join(t.TempDir(), "shop.dump")
	if err := p.Dump(t.Context(), old.ID, path); err != nil {
		t.Fatal(err)
	}
	if err := p.Load(t.Context(), fresh.ID, path); err != nil {
		t.Fatal(err)
	}
	if n, err := tryAsk(urlOf(fresh), `SELECT n::text FROM "x COMMENT - EXTENSION y"`); err != nil || n[0] != "1" {
		t.Errorf("the view is lost: %v", err)
	}
}

// P10: of a load that fails the program's own words are told, not the rows and statements that it
// stumbled over: they are the client's customers, and may hold a password for another server.
func TestP10ALoadThatFailsTellsNoRow(t *testing.T) {
	p := movers(t)
	old, fresh := create(t, p, wish("shop")), create(t, p, wish("back"))
	ask(t, urlOf(old), `CREATE TABLE a (); CREATE FUNCTION ok(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM FROM a; RETURN true; END'; CREATE TABLE mails (m text CHECK (ok(m))); INSERT INTO mails VALUES ('customer@shop.example')`)
	path := filepath.Join(t.TempDir(), "shop.dump")
	for _, failing := range []string{"SELECT 1", "ALTER TABLE mails DROP CONSTRAINT mails_m_check; CREATE INDEX i ON mails (ok('customer'))"} {
		ask(t, urlOf(old), failing)
		_ = os.Remove(path) // of the round before
		if err := p.Dump(t.Context(), old.ID, path); err != nil {
			t.Fatal(err)
		}
		err := p.Load(t.Context(), fresh.ID, path)
		wantKind(t, err, provider.Invalid)
		if err == nil || strings.Contains(err.Error(), "customer") || !strings.Contains(err.Error(), `relation "a" does not exist`) {
			t.Errorf("it says: %v", err)
		}
	}
}

// ownerless is the administrator's address of a database.
func ownerless(t *testing.T, o provider.Object) string {
	t.Helper()
	return theServer.DSNOf(postgrestest.Admin, postgrestest.Password, cutName(o.ID))
}
