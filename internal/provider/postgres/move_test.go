package postgres

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/compassdigital/reconciler/internal/provider"
)

// movers is a provider with the server's own programs.
func movers(t *testing.T) *Provider {
	t.Helper()
	s := running(t)
	p := open(t, s)
	p.dumper, p.restorer = filepath.Join(s.Programs(), "pg_dump"), filepath.Join(s.Programs(), "pg_restore")
	return p
}

// shopful is what a shop's database may hold.
const shopful = `CREATE SCHEMA stock; CREATE TYPE stock.size AS ENUM ('s', 'l');
CREATE TABLE stock."odd "" name" (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz DEFAULT now(), price money DEFAULT 3, f float8 DEFAULT random(), b bytea DEFAULT '\x00ff', gap text, size stock.size DEFAULT 'l', a jsonb DEFAULT '{"x": [1]}');
ALTER TABLE stock."odd "" name" DROP COLUMN gap;
INSERT INTO stock."odd "" name" (f) SELECT random() FROM generate_series(1, 500);
CREATE TABLE parted (n int, what text) PARTITION BY RANGE (n); CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10); INSERT INTO parted VALUES (1, 'x'), (2, NULL);
CREATE VIEW seen AS SELECT * FROM orders; CREATE MATERIALIZED VIEW sums AS SELECT count(*) FROM orders;
CREATE FUNCTION twice(i int) RETURNS int LANGUAGE sql AS 'SELECT 2 * i'; COMMENT ON TABLE orders IS 'what was ordered'; SELECT lo_create(0);
CREATE TABLE secretive (n int); ALTER TABLE secretive ENABLE ROW LEVEL SECURITY; INSERT INTO secretive VALUES (7)`

func cutName(id string) string {
	name, _, _ := cutID(id)
	return name
}

func content(t *testing.T, p *Provider, id string) provider.Content {
	t.Helper()
	c, err := p.Content(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Under a freeze the client reads and does not write, whatever it had under way; what writes
// around it is found out; a thaw gives all back, to the sessions of a pool, too.
func TestFreezeAndThaw(t *testing.T) {
	p := movers(t)
	o := create(t, p, wish("shop"))
	works(t, o)
	pooled, err := pgx.Connect(t.Context(), urlOf(o))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = pooled.Close(context.Background()) }()
	if _, err := pooled.Exec(t.Context(), "BEGIN; INSERT INTO orders (what) VALUES ('half done')"); err != nil {
		t.Fatal(err)
	}
	for range 2 { // again is no harm
		if err := p.Freeze(t.Context(), o.ID); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := pooled.Exec(t.Context(), "COMMIT"); err == nil {
		t.Error("what was under way was committed under the freeze")
	}
	if n := ask(t, urlOf(o), "SELECT count(*)::text FROM orders"); n[0] != "1" {
		t.Errorf("%s rows are read", n[0])
	}
	if _, err := tryAsk(urlOf(o), "INSERT INTO orders (what) VALUES ('late')"); err == nil || !strings.Contains(err.Error(), "25006") {
		t.Errorf("a write under the freeze: %v", err)
	}
	before := content(t, p, o.ID)
	if before.Order == "" || len(before.Settings) != 0 { // the freeze is none of its own
		t.Errorf("settings: %v, order %q", before.Settings, before.Order)
	}
	ask(t, urlOf(o), "BEGIN READ WRITE; ALTER DATABASE "+identifier(cutName(o.ID))+" SET search_path = stock; ALTER ROLE CURRENT_USER SET work_mem = '9MB'; COMMIT")
	if lacks := content(t, p, o.ID).Lacks(before); lacks != "search_path of the database, work_mem of its owner" {
		t.Errorf("lacking are %q", lacks)
	}
	ask(t, urlOf(o), "BEGIN READ WRITE; ALTER DATABASE "+identifier(cutName(o.ID))+" RESET search_path; ALTER ROLE CURRENT_USER RESET work_mem; COMMIT")
	ask(t, urlOf(o), "BEGIN READ WRITE; INSERT INTO orders (what) VALUES ('around it'); COMMIT")
	if d := before.Differs(content(t, p, o.ID)); !strings.Contains(d, "public.orders has 2 rows instead of 1") {
		t.Errorf("what was written around the freeze shows as %q", d)
	}
	before = content(t, p, o.ID)
	ask(t, urlOf(o), "BEGIN READ WRITE; UPDATE orders SET what = 'other' WHERE what = 'tea'; COMMIT")
	if d := before.Differs(content(t, p, o.ID)); d != "public.orders has other rows" {
		t.Errorf("a changed row shows as %q", d)
	}
	if pooled, err = pgx.Connect(t.Context(), urlOf(o)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := p.Thaw(t.Context(), o.ID); err != nil {
			t.Fatal(err)
		}
	}
	if pooled.Ping(t.Context()) == nil {
		t.Error("a session from under the freeze stays, and could never write again")
	}
	works(t, o)
	if left := ask(t, theServer.DSN(), "SELECT count(*)::text FROM pg_db_role_setting"); left[0] != "0" {
		t.Errorf("%s settings are left", left[0])
	}
	wantKind(t, p.Freeze(t.Context(), "shop-0badcafe.00000000"), provider.NotFound)
	p.dumper = "pg_dump-that-nobody-has" // what can't be copied is not frozen
	wantKind(t, p.Freeze(t.Context(), o.ID), provider.Unsupported)
	works(t, o)
}

// A copy is equal, part by part; one that came to nothing leaves nothing; what is in use is
// never filled.
func TestLoad(t *testing.T) {
	p := movers(t)
	old, fresh := create(t, p, wish("shop")), create(t, p, wish("back"))
	works(t, old)
	ask(t, urlOf(old), shopful)
	if err := p.Freeze(t.Context(), old.ID); err != nil {
		t.Fatal(err)
	}
	nothing := content(t, p, fresh.ID)
	was, path := content(t, p, old.ID), filepath.Join(t.TempDir(), "shop.dump")
	if err := p.Dump(t.Context(), old.ID, path); err != nil {
		t.Fatal(err)
	}
	if was.Rows() != 1+500+2+1 || was.Version < 13 || was.Bytes == 0 {
		t.Errorf("content: %+v", was)
	}
	for range 2 { // the second takes the first one's place
		if err := p.Load(t.Context(), fresh.ID, path); err != nil {
			t.Fatal(err)
		}
		if d := was.Differs(content(t, p, fresh.ID)); d != "" {
			t.Fatalf("the copy differs: %s", d)
		}
	}
	if _, err := tryAsk(urlOf(fresh), "INSERT INTO orders (what) VALUES ('early')"); err == nil {
		t.Error("the copy is written to before it serves")
	}
	if err := os.WriteFile(path+"2", []byte("PGDMP and then nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.Load(t.Context(), fresh.ID, path+"2"); err == nil {
		t.Error("a broken dump is loaded")
	}
	if d := nothing.Differs(content(t, p, fresh.ID)); d != "" {
		t.Errorf("a load that failed leaves something: %s", d)
	}
	if err := p.Load(t.Context(), fresh.ID, path); err != nil {
		t.Fatal(err)
	}
	if err := p.Thaw(t.Context(), fresh.ID); err != nil {
		t.Fatal(err)
	}
	works(t, fresh)
	if got := ask(t, urlOf(fresh), "SELECT nextval('orders_id_seq')::text || twice(2)::text || (SELECT count(*) FROM seen)::text || obj_description('orders'::regclass)"); got[0] != "3"+"4"+"2"+"what was ordered" {
		t.Errorf("the copy says %q", got[0])
	}
	// It serves now: nothing is loaded over it.
	now := content(t, p, fresh.ID)
	wantKind(t, p.Load(t.Context(), fresh.ID, path), provider.Conflict)
	if d := now.Differs(content(t, p, fresh.ID)); d != "" {
		t.Errorf("a database in use was changed: %s", d)
	}
	if d := was.Differs(content(t, p, old.ID)); d != "" {
		t.Errorf("the old one was changed: %s", d)
	}
	if left, err := filepath.Glob(path + ".list"); err != nil || len(left) != 0 {
		t.Errorf("left: %v (%v)", left, err)
	}
	hostile := "somebody-elses"
	ask(t, theServer.DSN(), "CREATE DATABASE "+identifier(hostile))
	wantKind(t, p.Load(t.Context(), hostile, path), provider.Unsupported)
	wantKind(t, p.Freeze(t.Context(), hostile), provider.Unsupported)
}

// An administrator who is no superuser moves databases, too.
func TestALesserAdministratorMoves(t *testing.T) {
	s := running(t)
	p := lesser(t, "ops")
	p.dumper, p.restorer = filepath.Join(s.Programs(), "pg_dump"), filepath.Join(s.Programs(), "pg_restore")
	old, fresh := create(t, p, wish("shop")), create(t, p, wish("back"))
	works(t, old)
	ask(t, urlOf(old), shopful)
	if err := p.Freeze(t.Context(), old.ID); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "shop.dump")
	if err := p.Dump(t.Context(), old.ID, path); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := p.Load(t.Context(), fresh.ID, path); err != nil {
			t.Fatal(err)
		}
	}
	was := content(t, p, old.ID)
	if d := was.Differs(content(t, p, fresh.ID)); d != "" || was.Rows() == 0 {
		t.Errorf("the copy differs: %s", d)
	}
	for _, o := range []provider.Object{old, fresh} {
		if err := p.Thaw(t.Context(), o.ID); err != nil {
			t.Fatal(err)
		}
		works(t, o)
		if found := observe(t, p, provider.Query{ID: o.ID}); len(found) != 1 || found[0].Bytes < 1<<20 {
			t.Errorf("%d bytes of %s", found[0].Bytes, o.ID)
		}
	}
	all, err := p.Owned(t.Context(), "0badcafe")
	if err != nil || len(all) != 2 {
		t.Fatal(all, err)
	}
	for _, o := range all {
		if alone := observe(t, p, provider.Query{ID: o.ID}); o.Bytes < 1<<20 || o.Bytes != alone[0].Bytes {
			t.Errorf("the list says that %s has %d bytes, it alone %d", o.ID, o.Bytes, alone[0].Bytes)
		}
	}
}

// A program that does not work with the server is said before anything is frozen: of the one that
// is to be filled pg_restore, of the one that is left pg_dump, whether anything is in that or not.
func TestNothingIsFrozenThatCantBeCopied(t *testing.T) {
	p := movers(t)
	old, fresh := create(t, p, wish("full")), create(t, p, wish("fresh"))
	works(t, old)
	program := func(name, version string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\necho '"+name+" (PostgreSQL) "+version+"'\n"), 0o700); err != nil { //nolint:gosec // it is run
			t.Fatal(err)
		}
		return path
	}
	dumper, restorer := p.dumper, p.restorer
	p.restorer = program("pg_restore", "9.6.24")
	if c := content(t, p, fresh.ID); !strings.HasPrefix(c.Refuses, "pg_restore is of PostgreSQL 9, older than the server's") || !strings.Contains(c.Refuses, "install") {
		t.Errorf("it takes a copy, or says why not: %q", c.Refuses)
	}
	for _, o := range []provider.Object{old, fresh} { // their copy's server may be another
		if err := p.Freeze(t.Context(), o.ID); err != nil {
			t.Error(err)
		}
		if err := p.Thaw(t.Context(), o.ID); err != nil {
			t.Fatal(err)
		}
	}
	if p.restorer = restorer; content(t, p, fresh.ID).Refuses != "" {
		t.Error("the server's own pg_restore does not do")
	}
	p.dumper = program("pg_dump", "9.6.24")
	for _, o := range []provider.Object{old, fresh} {
		wantKind(t, p.Freeze(t.Context(), o.ID), provider.Unsupported)
		if found := observe(t, p, provider.Query{ID: o.ID}); found[0].Frozen {
			t.Errorf("%s is frozen", o.ID)
		}
	}
	p.dumper = dumper
	works(t, old)
}
