package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// wish is a wish for the database of a client of the installation 0badcafe.
func wish(client string) provider.Wish { return wishOf("0badcafe", client) }

func wishOf(installation, client string) provider.Wish {
	m := provider.Mark{Installation: installation, Client: state.ClientID(client), Generation: 1}
	r := state.Ref{Client: m.Client, Kind: state.KindDatabase, Name: "main"}
	return provider.Wish{Ref: r, Name: provider.ObjectName(m, r), Mark: m,
		Inputs: []provider.Input{{Name: "access", Text: "public"}, {Name: "disabled"}, {Name: "schema", Text: "ecommerce"}}}
}

func create(t *testing.T, p *Provider, w provider.Wish) provider.Object {
	t.Helper()
	o, err := p.Create(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func observe(t *testing.T, p *Provider, q provider.Query) []provider.Object {
	t.Helper()
	q.Kind = state.KindDatabase
	found, err := p.Observe(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func wantKind(t *testing.T, err error, want provider.ErrorKind) {
	t.Helper()
	var pe *provider.Error
	if !errors.As(err, &pe) || pe.Kind != want {
		t.Errorf("got %v, want kind %q", err, want)
	}
}

// url is an object's output.
func urlOf(o provider.Object) string {
	for _, out := range o.Outputs {
		if out.Name == "url" && out.Secret != nil {
			return out.Secret.Reveal()
		}
	}
	return ""
}

// works says that a client can do what a client does with an address, and that nobody
// else can connect to the database.
func works(t *testing.T, o provider.Object) {
	t.Helper()
	if _, err := tryAsk(urlOf(o), "CREATE TABLE IF NOT EXISTS orders (id serial PRIMARY KEY, what text)"); err != nil {
		t.Errorf("the client's url does not work: %v", err)
		return
	}
	if n := ask(t, urlOf(o), "INSERT INTO orders (what) VALUES ('tea') RETURNING 1"); len(n) != 1 {
		t.Errorf("%d rows", len(n))
	}
	name, _, _ := cutID(o.ID)
	if public := ask(t, theServer.DSN(), "SELECT has_database_privilege('public', $1, 'CONNECT')::text", name); public[0] != "false" {
		t.Errorf("%s: PUBLIC may connect", name)
	}
}

// there are the databases and roles of a name pattern, as the server has them.
func there(t *testing.T, like string) (databases, roles []string) {
	t.Helper()
	return ask(t, theServer.DSN(), "SELECT datname FROM pg_database WHERE datname LIKE $1 ORDER BY 1", like), ask(t, theServer.DSN(), "SELECT rolname FROM pg_roles WHERE rolname LIKE $1 ORDER BY 1", like)
}

// errBroken is what a statement gets when the connection breaks.
var errBroken = errors.New("connection reset by peer")

// fault breaks a connection at its statement n.
type fault struct {
	at    int
	after bool // it took effect, and its answer was lost
	count int  // statements so far
	hit   func()
}

// breaks makes all connections of p break at f.
func breaks(p *Provider, f *fault) {
	dial := p.dial
	p.dial = func(ctx context.Context) (session, error) {
		s, err := dial(ctx)
		if err != nil {
			return nil, err
		}
		return &breaking{session: s, f: f}, nil
	}
}

type breaking struct {
	session
	f      *fault
	broken bool
}

// statement counts one. before: it does not reach the server; after: its answer is lost.
func (b *breaking) statement() (before, after bool) {
	b.f.count++
	if b.broken {
		return true, false
	}
	if b.f.count != b.f.at {
		return false, false
	}
	b.broken = true
	if b.f.hit != nil {
		b.f.hit()
		b.broken = false
		return false, false
	}
	return !b.f.after, b.f.after
}

func (b *breaking) read(ctx context.Context, sql string, args ...string) ([][][]byte, error) {
	before, after := b.statement()
	if before {
		return nil, errBroken
	}
	rows, err := b.session.read(ctx, sql, args...)
	if after {
		return nil, errBroken
	}
	return rows, err
}

func (b *breaking) write(ctx context.Context, sql string) error {
	before, after := b.statement()
	if before {
		return &writeError{errBroken}
	}
	err := b.session.write(ctx, sql)
	if after {
		return &writeError{errors.Join(errBroken, mustNil(err))}
	}
	return err
}

func mustNil(err error) error {
	if err != nil {
		panic(fmt.Sprintf("a statement that was to take effect failed: %v", err))
	}
	return nil
}

// until waits for what another process or connection does. Only a hang takes its patience.
func until(what string, done func() bool) error {
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("%s does not come", what)
		}
	}
	return nil
}

// comment is what stands at a role.
func comment(t *testing.T, role string) string {
	t.Helper()
	return strings.Join(ask(t, theServer.DSN(), "SELECT coalesce(shobj_description(oid, 'pg_authid'), '') FROM pg_roles WHERE rolname = $1", role), "|")
}
