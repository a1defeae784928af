package postgres

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// lesser is an administrator who is no superuser, made anew.
func lesser(t *testing.T, name string) *Provider {
	t.Helper()
	ask(t, theServer.DSN(), "CREATE ROLE "+identifier(name)+" LOGIN CREATEDB CREATEROLE PASSWORD 'ops-word'")
	return openAs(t, theServer.DSNOf(name, "ops-word", "postgres"))
}

// A superuser who looks into a client's database can't be disconnected by a lesser
// administrator: the delete waits, and stops neither the provider nor anybody else. What
// it began goes on serving meanwhile.
func TestSomebodyWhoMayNotBeDisconnected(t *testing.T) {
	s := running(t)
	p := lesser(t, "ops")
	o := create(t, p, wish("shop"))
	looks, err := pgx.Connect(t.Context(), strings.TrimSuffix(s.DSN(), "/postgres")+"/shop-0badcafe")
	if err != nil {
		t.Fatal(err)
	}
	err = p.Delete(t.Context(), state.KindDatabase, o.ID)
	wantKind(t, err, provider.Transient)
	if err == nil || !strings.Contains(err.Error(), "may not disconnect") {
		t.Error(err)
	}
	works(t, o)
	if found := observe(t, p, provider.Query{ID: o.ID}); len(found) != 1 || found[0].Phase != provider.Ready {
		t.Errorf("found %v", found)
	}
	if err := looks.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Delete(t.Context(), state.KindDatabase, o.ID); err != nil {
		t.Fatal(err)
	}
	if databases, roles := there(t, "shop%"); len(databases)+len(roles) != 0 {
		t.Errorf("left: %v %v", databases, roles)
	}
}

// The DSN's role is changed, here from the superuser to a lesser one: what was made goes on
// being changed and erased. (Since PostgreSQL 16 a lesser one needs to be given the roles
// that another made, WITH ADMIN OPTION.)
func TestAnotherAdministrator(t *testing.T) {
	s := running(t)
	w := wish("shop")
	o := create(t, open(t, s), w)
	p := lesser(t, "ops")
	ask(t, s.DSN(), `GRANT "shop-0badcafe" TO ops WITH ADMIN OPTION`)
	w.Inputs[2].Text = "blog"
	changed, err := p.Update(t.Context(), o.ID, w)
	if err != nil || changed.ID != o.ID {
		t.Fatalf("%v: %v", changed, err)
	}
	works(t, changed)
	if err := p.Delete(t.Context(), state.KindDatabase, o.ID); err != nil {
		t.Fatal(err)
	}
	if databases, roles := there(t, "shop%"); len(databases)+len(roles) != 0 {
		t.Errorf("left: %v %v", databases, roles)
	}
}

// A role that somebody gave rights elsewhere can't be dropped: the data is erased, the
// error says what is left and why, and once that is settled the next delete ends it.
func TestARoleThatIsInUseElsewhere(t *testing.T) {
	s := running(t)
	p := open(t, s)
	o := create(t, p, wish("shop"))
	ask(t, s.DSN(), "CREATE DATABASE reports")
	ask(t, s.DSN(), `GRANT CONNECT ON DATABASE reports TO "shop-0badcafe"`)
	err := p.Delete(t.Context(), state.KindDatabase, o.ID)
	wantKind(t, err, provider.Conflict)
	if err == nil || !strings.Contains(err.Error(), "the database is erased, and its role could not be dropped: its role owns, or may use") {
		t.Error(err)
	}
	if found := observe(t, p, provider.Query{ID: o.ID}); len(found) != 1 || found[0].Phase != provider.Failed || found[0].Message == "" {
		t.Errorf("found %v", found)
	}
	if all, err := p.Owned(t.Context(), "0badcafe"); err != nil || len(all) != 0 {
		t.Errorf("listed: %v (%v)", all, err)
	}
	ask(t, s.DSN(), `REVOKE CONNECT ON DATABASE reports FROM "shop-0badcafe"`)
	if err := p.Delete(t.Context(), state.KindDatabase, o.ID); err != nil {
		t.Fatal(err)
	}
	if databases, roles := there(t, "shop%"); len(databases)+len(roles) != 0 {
		t.Errorf("left: %v %v", databases, roles)
	}
}

// A client has as many connections as it may have, and no more.
func TestConnectionLimit(t *testing.T) {
	s := running(t)
	p, err := New(Options{DSN: state.NewSecret(s.DSN()), Key: state.NewSecret(testKey), ConnectionLimit: 2})
	if err != nil {
		t.Fatal(err)
	}
	o := create(t, p, wish("shop"))
	for n := range 3 {
		c, err := pgx.Connect(t.Context(), urlOf(o))
		if (err == nil) != (n < 2) {
			t.Errorf("connection %d: %v", n+1, err)
		}
		if err == nil {
			defer func() { _ = c.Close(t.Context()) }()
		}
	}
	for _, wrong := range []int{-1, 10_001} {
		if _, err := New(Options{DSN: state.NewSecret(s.DSN()), Key: state.NewSecret(testKey), ConnectionLimit: wrong}); err == nil {
			t.Errorf("%d is taken", wrong)
		}
	}
}

// counted is a session that says when it ends.
type counted struct {
	session
	open *atomic.Int32
}

func (c counted) close() { c.session.close(); c.open.Add(-1) }

// However many ask at once, the server has few connections of ours.
func TestConnectionsAreBounded(t *testing.T) {
	s := running(t)
	p := open(t, s)
	o := create(t, p, wish("shop"))
	var now, most atomic.Int32
	dial := p.dial
	p.dial = func(ctx context.Context) (session, error) {
		n := now.Add(1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		s, err := dial(ctx)
		return counted{s, &now}, err
	}
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			if found, err := p.Observe(t.Context(), provider.Query{Kind: state.KindDatabase, ID: o.ID}); err != nil || len(found) != 1 {
				t.Errorf("found %v (%v)", found, err)
			}
		})
	}
	wg.Wait()
	if n := most.Load(); n < 1 || n > maxConnections || now.Load() != 0 {
		t.Errorf("%d at once, %d left open", n, now.Load())
	}
}

// A server that takes a connection and says nothing: the caller's time is what counts, also
// while others wait for a free connection.
func TestASilentServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := openAs(t, "postgres://u:pssst@"+l.Addr().String()+"/x?sslmode=disable")
	var wg sync.WaitGroup
	for range maxConnections + 2 {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			_, err := p.Owned(ctx, "0badcafe")
			if provider.KindOf(err) != provider.Transient || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			quiet(t, err)
		})
	}
	wg.Wait()
	p.server.config.ConnectTimeout = 50 * time.Millisecond
	_, err = p.Create(t.Context(), wish("shop"))
	wantKind(t, err, provider.Transient)
}
