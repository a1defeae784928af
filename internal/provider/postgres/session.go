package postgres

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/compassdigital/reconciler/internal/provider"
)

// session is one connection as administrator.
type session interface {
	// read asks; the answer is text, nil for NULL.
	read(ctx context.Context, sql string, args ...string) ([][][]byte, error)
	// write changes something: several statements happen together or not at all.
	write(ctx context.Context, sql string) error
	// superuser says what the administrator is; version is the server's, such as 15.
	superuser() bool
	version() int
	close()
}

// oldest is the first version that can drop a database that is in use, in one statement.
const oldest = 13

// with opens a connection for f. Every call has its own: none is stale when a statement
// goes out, so that one that breaks always broke at a statement that we know.
func (p *Provider) with(ctx context.Context, op, what string, f func(context.Context, session) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return p.classify(ctx, op, what, ctx.Err())
	}
	s, err := p.dial(ctx)
	if err != nil {
		return p.classify(ctx, op, what, err)
	}
	defer s.close()
	if v := s.version(); v < oldest {
		return p.fail(provider.Unsupported, op, "the server is PostgreSQL "+strconv.Itoa(v)+"; this takes "+strconv.Itoa(oldest)+" or newer", nil)
	}
	if err := f(ctx, s); err != nil {
		return p.classify(ctx, op, what, err)
	}
	return nil
}

// connection is a session over the network.
type connection struct{ c *pgconn.PgConn }

func (p *Provider) connect(ctx context.Context) (session, error) {
	config := p.server.config.Copy()
	config.Password = p.server.admin.Reveal()
	config.RuntimeParams["statement_timeout"] = milliseconds(statement)
	c, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	return connection{c}, nil
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

func (s connection) read(ctx context.Context, sql string, args ...string) ([][][]byte, error) {
	values := make([][]byte, len(args))
	for i, a := range args {
		values[i] = []byte(a)
	}
	r := s.c.ExecParams(ctx, sql, values, nil, nil, nil).Read()
	return r.Rows, r.Err
}

func (s connection) write(ctx context.Context, sql string) error {
	_, err := s.c.Exec(ctx, sql).ReadAll()
	switch {
	case err == nil:
		return nil
	case pgconn.SafeToRetry(err):
		return err // nothing was sent
	}
	return &writeError{err}
}

func (s connection) superuser() bool { return s.c.ParameterStatus("is_superuser") == "on" }

// version reads 15 out of "15.18 (Debian 15.18-0+deb12u1)", 17 out of "17beta1".
func (s connection) version() int {
	text := s.c.ParameterStatus("server_version")
	digits := strings.IndexFunc(text, func(r rune) bool { return r < '0' || r > '9' })
	if digits >= 0 {
		text = text[:digits]
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return oldest // it calls itself something else: it will refuse what it can't do
	}
	return n
}

// closeTime is how long the end of a connection may take.
const closeTime = 3 * time.Second

// close ends the connection, also one that broke, and waits for what pgconn does then.
func (s connection) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	_ = s.c.Close(ctx) // nothing is under way
	<-s.c.CleanupDone()
}

// identifier quotes a name.
func identifier(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// literal quotes a text, whatever the server's standard_conforming_strings is.
func literal(text string) string {
	quoted := strings.ReplaceAll(text, "'", "''")
	if strings.Contains(quoted, `\`) {
		return " E'" + strings.ReplaceAll(quoted, `\`, `\\`) + "'"
	}
	return "'" + quoted + "'"
}

// lock waits until nobody else, in this process or another, works at the name. It ends
// with the connection. What an earlier connection of ours that broke left running holds
// it, too.
func lock(ctx context.Context, s session, name string) error {
	_, err := s.read(ctx, "SELECT pg_advisory_lock(hashtextextended($1, 7365))", "reconciler "+name)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "57014" {
		return &provider.Error{Kind: provider.Transient, Provider: Name, Op: "wait", Message: "an earlier call still works at " + clean(name), Code: pg.Code, Err: err}
	}
	return err
}
