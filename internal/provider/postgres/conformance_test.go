package postgres

import (
	"context"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/postgres/postgrestest"
	"github.com/compassdigital/reconciler/internal/provider/providertest"
	"github.com/compassdigital/reconciler/internal/state"
)

const testKey = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// open is a provider on the server, as its superuser.
func open(t *testing.T, s *postgrestest.Server) *Provider {
	t.Helper()
	return openAs(t, s.DSN())
}

func openAs(t *testing.T, dsn string) *Provider {
	t.Helper()
	p, err := New(Options{DSN: state.NewSecret(dsn), Key: state.NewSecret(testKey)})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// ask asks the server itself, as somebody.
func ask(t *testing.T, dsn, sql string, args ...any) []string {
	t.Helper()
	out, err := tryAsk(dsn, sql, args...)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return out
}

func tryAsk(dsn, sql string, args ...any) ([]string, error) {
	ctx := context.Background()
	if theServer != nil && dsn == theServer.DSN() {
		asking.Lock()
		defer asking.Unlock()
		if asks == nil || asks.Ping(ctx) != nil { // the server was stopped since
			c, err := pgx.Connect(ctx, dsn)
			if err != nil {
				return nil, err
			}
			asks = c
		}
		return askOver(ctx, asks, sql, args)
	}
	c, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close(ctx) }()
	return askOver(ctx, c, sql, args)
}

// asks is the one connection over which tests ask the server as its administrator: to begin one
// costs the server more than most questions.
var (
	asking sync.Mutex
	asks   *pgx.Conn
)

func askOver(ctx context.Context, c *pgx.Conn, sql string, args []any) ([]string, error) {
	rows, err := c.Query(ctx, sql, append([]any{pgx.QueryExecModeSimpleProtocol}, args...)...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (string, error) {
		if len(r.RawValues()) == 0 {
			return "", nil
		}
		return string(r.RawValues()[0]), nil
	})
}

// clear drops every database and role that is not the server's own.
func clear(t *testing.T) {
	t.Helper()
	dsn := theServer.DSN()
	for _, name := range ask(t, dsn, "SELECT datname FROM pg_database WHERE datname NOT IN ('postgres', 'template0', 'template1')") {
		ask(t, dsn, "DROP DATABASE "+identifier(name)+" WITH (FORCE)")
	}
	for _, name := range ask(t, dsn, "SELECT rolname FROM pg_roles WHERE rolname NOT LIKE 'pg\\_%' AND rolname <> $1 ORDER BY rolcreaterole, rolname", postgrestest.Admin) {
		ask(t, dsn, "DROP ROLE "+identifier(name))
	}
}

func subject(start func(t *testing.T) *Provider) providertest.Subject {
	text := providertest.Text
	type chain = providertest.Chain
	return providertest.Subject{
		New:    func(t *testing.T) provider.Provider { return start(t) },
		Reopen: func(t *testing.T, _ provider.Provider) provider.Provider { return start(t) },
		Cases: []providertest.Case{{Kind: state.KindDatabase,
			Inputs: func(chain) []provider.Input {
				return []provider.Input{text("access", "public"), text("disabled", "orders,posts"), text("schema", "ecommerce")}
			},
			Change: func(chain) []provider.Input {
				return []provider.Input{text("disabled", ""), text("schema", "b2b")}
			}}},
	}
}

func TestConformance(t *testing.T) {
	s := running(t)
	providertest.Run(t, subject(func(t *testing.T) *Provider { running(t); return open(t, s) }))
}

// The suite as an administrator who is no superuser, as managed servers have it.
func TestConformanceWithoutSuperuser(t *testing.T) {
	s := running(t)
	providertest.Run(t, subject(func(t *testing.T) *Provider {
		running(t)
		if len(ask(t, s.DSN(), "SELECT 1 FROM pg_roles WHERE rolname = 'ops'")) == 0 {
			ask(t, s.DSN(), "CREATE ROLE ops LOGIN CREATEDB CREATEROLE PASSWORD 'ops-word'")
		}
		return openAs(t, s.DSNOf("ops", "ops-word", "postgres"))
	}))
}
