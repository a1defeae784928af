package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/postgres/postgrestest"
	"github.com/compassdigital/reconciler/internal/state"
)

// every is what each verb says, of an object and a wish.
func every(t *testing.T, p *Provider, ctx context.Context, id string, w provider.Wish) map[string]error {
	t.Helper()
	out := map[string]error{}
	_, out["observe"] = p.Observe(ctx, provider.Query{Kind: state.KindDatabase, ID: id})
	_, out["owned"] = p.Owned(ctx, "0badcafe")
	_, out["create"] = p.Create(ctx, w)
	_, out["update"] = p.Update(ctx, id, w)
	out["delete"] = p.Delete(ctx, state.KindDatabase, id)
	out["dump"] = p.Dump(ctx, id, t.TempDir()+"/x.dump")
	return out
}

// quiet says that no error tells a password.
func quiet(t *testing.T, err error) {
	t.Helper()
	for e := err; e != nil; e = errors.Unwrap(e) {
		text := fmt.Sprintf("%v %+v %#v", e, e, e)
		for _, secret := range []string{postgrestest.Password, "pssst", "wrong-word"} {
			if strings.Contains(text, secret) {
				t.Errorf("an error tells a password: %T", e)
			}
		}
	}
}

// Whoever does not get in, or nowhere: each verb says which of the two it is, and that
// nothing happened.
func TestTheWayIn(t *testing.T) {
	s := running(t)
	ask(t, s.DSN(), "CREATE ROLE lowly LOGIN PASSWORD 'lowly-word'")
	ask(t, s.DSN(), "CREATE ROLE full LOGIN CREATEDB CREATEROLE CONNECTION LIMIT 0 PASSWORD 'full-word'")
	ask(t, s.DSN(), "CREATE DATABASE closed ALLOW_CONNECTIONS false")
	o := create(t, open(t, s), wish("shop"))
	for name, x := range map[string]struct {
		dsn   string
		reads provider.ErrorKind // "": reading works
		write provider.ErrorKind
	}{
		"a wrong password":       {s.DSNOf(postgrestest.Admin, "pssst-wrong-word", "postgres"), provider.Denied, provider.Denied},
		"no such user":           {s.DSNOf("nobody-here", "pssst-wrong-word", "postgres"), provider.Denied, provider.Denied},
		"no such database":       {s.DSNOf(postgrestest.Admin, postgrestest.Password, "nowhere"), provider.Denied, provider.Denied},
		"a closed database":      {s.DSNOf(postgrestest.Admin, postgrestest.Password, "closed"), provider.Transient, provider.Transient},
		"a port without server":  {"postgres://x:pssst@127.0.0.1:1/postgres", provider.Transient, provider.Transient},
		"a name without address": {"postgres://x:pssst@nowhere.invalid/postgres", provider.Transient, provider.Transient},
		"no connection left":     {s.DSNOf("full", "full-word", "postgres"), provider.Transient, provider.Transient},
		"no rights":              {s.DSNOf("lowly", "lowly-word", "postgres"), "", provider.Denied},
	} {
		for verb, err := range every(t, openAs(t, x.dsn), t.Context(), o.ID, wish("other")) {
			quiet(t, err)
			want := x.write
			if verb == "observe" || verb == "owned" {
				want = x.reads
			}
			if want == "" {
				if err != nil {
					t.Errorf("%s: %s: %v", name, verb, err)
				}
				continue
			}
			if err == nil || provider.KindOf(err) != want {
				t.Errorf("%s: %s: got %v, want %s", name, verb, err, want)
			}
		}
	}
	if databases, roles := there(t, "%-0badcafe"); len(databases) != 1 || len(roles) != 1 {
		t.Errorf("databases %v, roles %v", databases, roles)
	}
	works(t, o)
}

// A server that stops and starts again: nothing is taken for gone, and afterwards all is
// as it was.
func TestTheServerIsAwayForAWhile(t *testing.T) {
	s := running(t)
	p := open(t, s)
	o := create(t, p, wish("shop"))
	works(t, o)
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	away := every(t, p, t.Context(), o.ID, wish("other"))
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	for verb, err := range away {
		if err == nil || provider.KindOf(err) != provider.Transient {
			t.Errorf("%s: %v", verb, err)
		}
	}
	if found := observe(t, p, provider.Query{ID: o.ID}); len(found) != 1 {
		t.Fatalf("found %v", found)
	}
	works(t, o)
	create(t, p, wish("other"))
}

// Each kind by what the server or the way to it says, never by words.
func TestKindsBySQLSTATE(t *testing.T) {
	p := openAs(t, "postgres://u:p@127.0.0.1:1/x")
	refused := func(code string) error {
		return &pgconn.PgError{SeverityUnlocalized: "ERROR", Code: code, Message: "words"}
	}
	fatal := func(code string) error {
		return &pgconn.PgError{SeverityUnlocalized: "FATAL", Code: code, Message: "words"}
	}
	wrote := func(err error) error { return &writeError{err} }
	for _, x := range []struct {
		err  error
		want provider.ErrorKind
	}{
		{refused("28P01"), provider.Denied}, {refused("28000"), provider.Denied}, {wrote(refused("42501")), provider.Denied}, {fatal("3D000"), provider.Denied},
		{wrote(refused("42P04")), provider.Conflict}, {wrote(refused("42710")), provider.Conflict}, {wrote(refused("2BP01")), provider.Conflict},
		{fatal("53300"), provider.Transient}, {fatal("57P03"), provider.Transient}, {wrote(refused("57014")), provider.Transient}, {wrote(refused("55006")), provider.Transient},
		{wrote(refused("53100")), provider.Transient}, {wrote(refused("40001")), provider.Transient}, {wrote(refused("25006")), provider.Transient}, {wrote(refused("XX000")), provider.Transient},
		{wrote(refused("42601")), provider.Invalid}, {wrote(refused("22023")), provider.Invalid}, {wrote(refused("42939")), provider.Invalid}, {refused(""), provider.Transient},
		{wrote(fatal("57P01")), provider.Uncertain}, {wrote(fatal("57P02")), provider.Uncertain}, {wrote(errBroken), provider.Uncertain}, {errBroken, provider.Transient},
		{wrote(fatal("28000")), provider.Uncertain}, {fatal("57P01"), provider.Transient}, {fatal("08P01"), provider.Transient}, {wrote(fatal("08006")), provider.Uncertain},
		{&tls.CertificateVerificationError{Err: errBroken}, provider.Denied},
	} {
		err := p.classify(t.Context(), "create", "it could not be done", x.err)
		wantKind(t, err, x.want)
		if !errors.Is(err, errors.Unwrap(err)) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v", err)
		}
	}
}

// A statement that waits too long is given up by the server, and says that nothing
// happened: who works at a name is waited for, not for ever.
func TestWhoWorksAtANameIsWaitedFor(t *testing.T) {
	s := running(t)
	p := open(t, s)
	hold, err := p.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer hold.close()
	if err := lock(t.Context(), hold, "shop-0badcafe"); err != nil {
		t.Fatal(err)
	}
	short := open(t, s)
	short.server.config.RuntimeParams["lock_timeout"] = "50" // stands for the time that a statement may take
	_, err = short.Create(t.Context(), wish("shop"))
	wantKind(t, err, provider.Transient)
	create(t, p, wish("another"))
	hold.close()
	create(t, p, wish("shop"))
}
