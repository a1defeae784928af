package railway

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/postgres/postgrestest"
	"github.com/compassdigital/reconciler/internal/provider/railway/simulated"
)

// A database at Railway is frozen, written out, compared and loaded over the address that its
// applications have: there its owner is a superuser.
func TestMove(t *testing.T) {
	if postgrestest.LeftOut() {
		t.Skip("left out with " + postgrestest.LeaveOut + "=no")
	}
	server, err := postgrestest.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	}()
	do := func(dsn, sql string) string {
		t.Helper()
		c, err := pgx.Connect(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close(context.Background()) }()
		var out string
		if err := c.QueryRow(t.Context(), sql, pgx.QueryExecModeSimpleProtocol).Scan(&out); err != nil {
			out = err.Error()
		}
		return out
	}
	n := 0
	w := start(t, func(o *simulated.Options) {
		o.Databases = func(_, password string) (string, error) {
			if n++; n == 3 {
				return "", nil
			}
			name := fmt.Sprintf("railway%d", n)
			do(server.DSN(), fmt.Sprintf("CREATE ROLE %s SUPERUSER LOGIN PASSWORD '%s'", name, password))
			do(server.DSN(), fmt.Sprintf("CREATE DATABASE %s OWNER %s", name, name))
			return strings.Replace(server.DSNOf(name, password, name), "postgres://", "postgresql://", 1), nil
		}
	})
	p := w.open(func(o *Options) {
		o.PgDump, o.PgRestore = filepath.Join(server.Programs(), "pg_dump"), filepath.Join(server.Programs(), "pg_restore")
	})
	old, fresh, hidden := w.made(p, 1, "public"), w.made(p, 2, "public"), w.made(p, 3, "private")
	do(output(old, "url"), "CREATE TABLE orders (id serial, what text); INSERT INTO orders (what) VALUES ('tea'), ('cake'); SELECT lo_create(0)")
	path := filepath.Join(t.TempDir(), "dump")
	if err := p.Freeze(t.Context(), old.ID); err != nil {
		t.Fatal(err)
	}
	if said := do(output(old, "url"), "INSERT INTO orders (what) VALUES ('late') RETURNING what"); !strings.Contains(said, "25006") {
		t.Errorf("a write under the freeze: %s", said)
	}
	if err := p.Dump(t.Context(), old.ID, path); err != nil {
		t.Fatal(err)
	}
	// What stands at the path stays, what is written is nobody else's to read, and half of it is nothing.
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("the dump is open to others: %v (%v)", info.Mode(), err)
	}
	kept := filepath.Join(t.TempDir(), "last-years-dump")
	if err := os.WriteFile(kept, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	dumped := p.Dump(t.Context(), old.ID, kept)
	if text, err := os.ReadFile(kept); provider.KindOf(dumped) != provider.Conflict || string(text) != "precious" {
		t.Errorf("a dump over a file: %v; the file has %.20q now (%v)", dumped, text, err)
	}
	half := filepath.Join(t.TempDir(), "pg_dump")
	if err := os.WriteFile(half, []byte("#!/bin/sh\nfor a; do case $a in --file=*) echo half > \"${a#--file=}\";; esac; done; exit 1\n"), 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	q := w.open(func(o *Options) { o.PgDump = half })
	if err := q.Dump(t.Context(), old.ID, filepath.Join(filepath.Dir(kept), "new")); err == nil {
		t.Error("half of a dump is one")
	}
	if left, err := os.ReadDir(filepath.Dir(kept)); err != nil || len(left) != 1 {
		t.Errorf("left: %v (%v)", left, err)
	}
	was, err := p.Content(t.Context(), old.ID)
	if err != nil || was.Rows() != 2 {
		t.Fatalf("content: %+v (%v)", was, err)
	}
	for range 2 { // the second takes the first one's place
		if err := p.Load(t.Context(), fresh.ID, path); err != nil {
			t.Fatal(err)
		}
		if now, err := p.Content(t.Context(), fresh.ID); err != nil || was.Differs(now) != "" {
			t.Errorf("the copy differs: %s (%v)", was.Differs(now), err)
		}
	}
	for _, id := range []string{old.ID, fresh.ID} {
		if err := p.Thaw(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	if said := do(output(fresh, "url"), "INSERT INTO orders (what) VALUES ('more') RETURNING id::text"); said != "3" {
		t.Errorf("the copy goes on with %s", said)
	}
	if err := p.Load(t.Context(), fresh.ID, path); provider.KindOf(err) != provider.Conflict {
		t.Errorf("loaded over what is in use: %v", err)
	}
	// Only Railway's own network reaches this one.
	if err := p.Freeze(t.Context(), hidden.ID); provider.KindOf(err) != provider.Unsupported || !strings.Contains(err.Error(), "access: public") {
		t.Errorf("frozen from outside: %v", err)
	}
	if err := p.Freeze(t.Context(), "nobody"); provider.KindOf(err) != provider.NotFound {
		t.Errorf("what is not there is frozen: %v", err)
	}
}
