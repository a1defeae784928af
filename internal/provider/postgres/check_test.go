package postgres

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/pgmove"
	"github.com/compassdigital/reconciler/internal/provider/postgres/postgrestest"
)

// A check says whether databases can be made, and what new roles may enter; nothing is made.
func TestCheck(t *testing.T) {
	s := running(t)
	ask(t, s.DSN(), "CREATE ROLE checked LOGIN CREATEDB PASSWORD 'checked-word'")
	ask(t, s.DSN(), "CREATE ROLE maker LOGIN CREATEDB CREATEROLE PASSWORD 'maker-word'")
	ask(t, s.DSN(), "CREATE DATABASE wide_open")
	ask(t, s.DSN(), "CREATE DATABASE shut")
	ask(t, s.DSN(), "REVOKE CONNECT ON DATABASE shut FROM PUBLIC")
	before, roles := there(t, "%")
	for name, c := range map[string]struct{ dsn, want string }{
		"a superuser":       {s.DSN(), "+PostgreSQL"},
		"one who may":       {s.DSNOf("maker", "maker-word", "postgres"), "+PostgreSQL"},
		"one who may not":   {s.DSNOf("checked", "checked-word", "postgres"), "-PostgreSQL"},
		"a wrong password":  {s.DSNOf(postgrestest.Admin, "pssst-wrong-word", "postgres"), "-the PostgreSQL server: "},
		"nobody is there":   {"postgres://x:pssst@127.0.0.1:1/postgres", "-the PostgreSQL server does not answer"},
		"no such database":  {s.DSNOf(postgrestest.Admin, postgrestest.Password, "nowhere"), "-the PostgreSQL server: "},
		"nobody knows that": {"postgres://x:pssst@nowhere.invalid/postgres", "-the PostgreSQL server does not answer"},
	} {
		found := openAs(t, c.dsn).Check(t.Context())
		f, sign := found[0], "-"
		if f.OK {
			sign = "+"
		}
		if !strings.HasPrefix(sign+f.Text, c.want) || f.OK == (f.Hint != "") {
			t.Errorf("%s: %s%s (%s); want %s", name, sign, f.Text, f.Hint, c.want)
		}
		for _, f := range found {
			for _, secret := range []string{postgrestest.Password, "pssst", "-word"} {
				if strings.Contains(f.Text+f.Hint, secret) {
					t.Errorf("%s: %s", name, f.Text)
				}
			}
		}
		if sign == "+" && (len(found) < 2 || !found[1].OK || found[1].Hint == "" || !strings.Contains(found[1].Text, "wide_open") || strings.Contains(found[1].Text, "shut")) {
			t.Errorf("%s: %+v", name, found)
		}
	}
	without := openAs(t, s.DSN())
	without.dumper, without.restorer = "pg_dump-that-nobody-has", "pg_restore-that-nobody-has"
	found := without.Check(t.Context())
	if n := len(found); n < 2 || !strings.HasPrefix(found[n-2].Text, "pg_dump is not") || !strings.HasPrefix(found[n-1].Text, "pg_restore is not") || found[n-1].Hint == "" {
		t.Errorf("without PostgreSQL's programs: %+v", found)
	}
	if after, now := there(t, "%"); len(after) != len(before) || len(now) != len(roles) {
		t.Errorf("%v and %v; before %v and %v", after, now, before, roles)
	}
}

// A check says which of the server's programs are here, and that nothing can be erased while
// databases are to be written out first and can't.
func TestCheckOfThePrograms(t *testing.T) {
	s := running(t)
	old := filepath.Join(t.TempDir(), "pg_dump")
	if err := os.WriteFile(old, []byte("#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.24'\n"), 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		dumper, dumps, want string
		without, wrong      bool
	}{
		"it is here":       {filepath.Join(s.Programs(), "pg_dump"), "", "pg_dump is here, of PostgreSQL ", false, false},
		"too old":          {old, "", "pg_dump is of PostgreSQL 9, older than the server's ", false, false},
		"too old to erase": {old, t.TempDir(), "pg_dump is of PostgreSQL 9, older than the server's ", false, true},
		"none":             {"pg_dump-that-nobody-has", "", "pg_dump is not on this machine", false, false},
		"none, by default": {"pg_dump-that-nobody-has", t.TempDir(), "pg_dump is not on this machine: databases are erased without a dump", true, false},
	} {
		p := open(t, s)
		p.dumper, p.restorer, p.dumps, p.goesWithout = c.dumper, filepath.Join(s.Programs(), "pg_restore"), c.dumps, c.without
		found := p.Check(t.Context())
		i := slices.IndexFunc(found, func(f provider.Finding) bool { return strings.HasPrefix(f.Text, c.want) })
		if i < 0 || found[i].OK == c.wrong || (found[i].Hint == "") != (name == "it is here") {
			t.Errorf("%s: %+v", name, found)
		}
		if !slices.ContainsFunc(found, func(f provider.Finding) bool {
			return f.OK && strings.HasPrefix(f.Text, "pg_restore is here, of PostgreSQL ")
		}) {
			t.Errorf("%s: %+v", name, found)
		}
	}
	// Without a word about the program, that of the server's own version is found where there is one.
	if p := pgmove.Find(t.Context(), pgmove.PgDump, "", 15); strings.HasSuffix(s.Programs(), "/postgresql/15/bin") && (p.Path != filepath.Join(s.Programs(), "pg_dump") || p.Version != 15) {
		t.Errorf("of several %+v is taken", p)
	}
}
