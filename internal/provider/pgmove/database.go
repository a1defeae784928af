package pgmove

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// Engine is what Traits say of a database that can be moved from here to here.
const Engine = "postgresql"

// How long things may take.
const (
	connectTime = 10 * time.Second
	statement   = 20 * time.Second
	readTime    = 20 * time.Minute // the content of one table
	closeTime   = 3 * time.Second
)

// oldest is the first version that this is tried with.
const oldest = 13

// maxShown is how many runes of untrusted text stand in a message.
const maxShown = 200

// Database is one, and the ways in.
type Database struct {
	Provider string // for errors
	Name     string
	Owner    string         // the role that it belongs to
	Keeper   *pgconn.Config // freezes, reads and compares; with its password
	Loads    *pgconn.Config // the owner's own way in; with its password
	TLS      []string       // environment of pg_dump and pg_restore: how they connect as Keeper and Loads do
	Dumper   string         // "": pg_dump of the server's version, or the PATH's (Find)
	Restorer string         // "": pg_restore
}

// FromURL is a database whose owner's address is all that is known.
func FromURL(name string, address state.Secret) (Database, error) {
	bad := &provider.Error{Kind: provider.Invalid, Provider: name, Op: "connect", Message: "the database's address can't be used"} // the cause repeats it
	u, err := url.Parse(address.Reveal())
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Host == "" || strings.Contains(u.Host, ",") {
		return Database{}, bad
	}
	database, user := strings.TrimPrefix(u.Path, "/"), u.User.Username()
	password, _ := u.User.Password()
	if database == "" || user == "" {
		return Database{}, bad
	}
	given := u.Query()
	sslmode := given.Get("sslmode")
	if sslmode == "" {
		sslmode = "prefer"
	}
	plain := url.URL{Scheme: "postgres", Host: u.Host, Path: "/postgres", User: url.User("nobody")}
	plain.RawQuery = url.Values{"sslmode": {sslmode}, "passfile": {"/dev/null"}, "servicefile": {"/dev/null"}, "target_session_attrs": {"any"}, "sslrootcert": {""}, "sslcert": {""}, "sslkey": {""},
		"connect_timeout": {strconv.Itoa(int(connectTime.Seconds()))}}.Encode()
	c, err := pgconn.ParseConfig(plain.String())
	if err != nil {
		return Database{}, bad
	}
	c.Database, c.User, c.Password, c.RuntimeParams = database, user, password, map[string]string{}
	return Database{Provider: name, Name: database, Owner: user, Keeper: c, Loads: c, TLS: []string{"PGSSLMODE=" + sslmode}}, nil
}

func (d Database) fail(kind provider.ErrorKind, op, message string, cause error) error {
	return &provider.Error{Kind: kind, Provider: d.Provider, Op: op, Message: message, Err: cause}
}

// session is one connection.
type session struct{ c *pgconn.PgConn }

// connect opens a connection under settings that give every value one text, and none of
// whose names means what somebody put into a schema.
func (d Database) connect(ctx context.Context, c *pgconn.Config) (session, error) {
	own := c.Copy()
	own.Database = d.Name
	own.ConnectTimeout = connectTime
	own.RuntimeParams = map[string]string{"application_name": "reconciler", "search_path": "pg_catalog", "client_encoding": "UTF8", "default_transaction_read_only": "off",
		"statement_timeout": strconv.FormatInt(statement.Milliseconds(), 10), "DateStyle": "ISO, YMD", "IntervalStyle": "postgres", "TimeZone": "UTC", "bytea_output": "hex",
		"extra_float_digits": "1", "lc_monetary": "C", "xmlbinary": "base64", "row_security": "off"}
	conn, err := pgconn.ConnectConfig(ctx, own)
	if err != nil {
		return session{}, err
	}
	return session{conn}, nil
}

// with opens a connection as the keeper for f.
func (d Database) with(ctx context.Context, op, what string, f func(session) error) error {
	s, err := d.connect(ctx, d.Keeper)
	if err == nil {
		defer s.close()
		err = f(s)
	}
	return d.classify(ctx, op, what, err)
}

func (s session) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	_ = s.c.Close(ctx) // nothing is under way
	<-s.c.CleanupDone()
}

// read asks; the answer is text, nil for NULL.
func (s session) read(ctx context.Context, sql string, args ...string) ([][][]byte, error) {
	values := make([][]byte, len(args))
	for i, a := range args {
		values[i] = []byte(a)
	}
	r := s.c.ExecParams(ctx, sql, values, nil, nil, nil).Read()
	return r.Rows, r.Err
}

// do runs statements: together or not at all, where they are in no transaction yet.
func (s session) do(ctx context.Context, sql string) error {
	_, err := s.c.Exec(ctx, sql).ReadAll()
	return err
}

// version is the server's, such as 15.
func (s session) version() int {
	text := s.c.ParameterStatus("server_version")
	if end := strings.IndexFunc(text, func(r rune) bool { return r < '0' || r > '9' }); end >= 0 {
		text = text[:end]
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return oldest // it calls itself something else: it will refuse what it can't do
	}
	return n
}

// classify gives an error its kind. All that is done here may be done again, so that none is
// Uncertain.
func (d Database) classify(ctx context.Context, op, what string, err error) error {
	var known *provider.Error
	var pg *pgconn.PgError
	var c *pgconn.ConnectError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return err
	case errors.As(err, &pg):
		kind := provider.Invalid
		switch {
		case len(pg.Code) < 2:
		case pg.Code == "42501", pg.Code[:2] == "28":
			kind = provider.Denied
		case strings.Contains(" 08 25 40 53 55 57 58 XX ", " "+pg.Code[:2]+" "):
			kind = provider.Transient
		}
		return &provider.Error{Kind: kind, Provider: d.Provider, Op: op, Message: what + ": " + provider.Line(pg.Message, maxShown), Code: pg.Code, Err: pg}
	case ctx.Err() != nil:
		return d.fail(provider.Transient, op, what+": the call was given up", context.Cause(ctx))
	case errors.As(err, &c):
		err = c.Unwrap() // the layer above holds the configuration, the password in it included
	}
	return d.fail(provider.Transient, op, what+": the server does not answer", err)
}

// identifier quotes a name.
func identifier(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
