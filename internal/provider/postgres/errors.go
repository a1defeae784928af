package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/compassdigital/reconciler/internal/provider"
)

func (p *Provider) fail(kind provider.ErrorKind, op, message string, cause error) error {
	return &provider.Error{Kind: kind, Provider: Name, Op: op, Message: message, Err: cause}
}

func (p *Provider) invalid(op, format string, a ...any) error {
	return p.fail(provider.Invalid, op, fmt.Sprintf(format, a...), nil)
}

// writeError marks an error of a statement that changes something: unless the server
// itself says that it refused, nobody knows whether it happened.
type writeError struct{ err error }

func (e *writeError) Error() string { return e.err.Error() }
func (e *writeError) Unwrap() error { return e.err }

// classify gives an error of the server or the way to it its kind. what says what could
// not be done.
func (p *Provider) classify(ctx context.Context, op, what string, err error) error {
	var known *provider.Error
	if errors.As(err, &known) {
		return err
	}
	var w *writeError
	wrote := errors.As(err, &w)
	kind := provider.Transient
	if wrote {
		kind = provider.Uncertain
	}
	var pg *pgconn.PgError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &pg):
		refused, word := meaning(pg.Code)
		if !wrote || pg.SeverityUnlocalized == "ERROR" { // a statement that fails is rolled back
			kind = refused
		}
		if word == "" {
			word = provider.Line(pg.Message, maxShown)
		}
		return &provider.Error{Kind: kind, Provider: Name, Op: op, Message: what + ": " + word, Code: pg.Code, Err: causeOf(err)}
	case errors.Is(err, errTooMany):
		return p.fail(provider.Invalid, op, what+": the server holds more of them than are looked at", err)
	case ctx.Err() != nil:
		return p.fail(kind, op, what+": the call was given up", context.Cause(ctx))
	case errors.As(err, &certificate):
		return p.fail(provider.Denied, op, what+": the server's certificate is not one that the DSN trusts", causeOf(err))
	case wrote:
		return p.fail(kind, op, what+": the connection broke, and it is not known how far it came", causeOf(err))
	}
	return p.fail(kind, op, what+": the server at "+p.server.address()+" does not answer", causeOf(err))
}

// causeOf leaves out the layer that holds the configuration, the password in it included.
func causeOf(err error) error {
	var c *pgconn.ConnectError
	if errors.As(err, &c) {
		return c.Unwrap()
	}
	return err
}

// meaning is what a SQLSTATE says of a statement that the server refused, in our words
// where they help. Source: PostgreSQL's appendix "Error Codes".
func meaning(code string) (provider.ErrorKind, string) {
	switch code {
	case "42501":
		return provider.Denied, "the role of providers.postgres.dsn may not; it needs CREATEDB and CREATEROLE"
	case "3D000":
		return provider.Denied, "the database that providers.postgres.dsn names is not there"
	case "25006":
		return provider.Transient, "the server only reads; is it a standby?"
	case "42P04", "42710": // duplicate_database, duplicate_object
		return provider.Conflict, "the name is taken"
	case "2BP01": // dependent_objects_still_exist
		return provider.Conflict, "its role owns, or may use, something outside of its database; DROP OWNED BY and REASSIGN OWNED BY end that"
	case "55006": // object_in_use
		return provider.Transient, "it is in use: by a prepared transaction, a replication slot or a subscription"
	case "53300":
		return provider.Transient, "the server has no connection left"
	case "57014": // query_canceled
		return provider.Transient, "it took too long"
	case "57P03":
		return provider.Transient, "the server is starting or stopping"
	}
	if len(code) < 2 {
		return provider.Transient, ""
	}
	switch code[:2] {
	case "28": // invalid_authorization_specification
		return provider.Denied, "the server refuses the user or the password of providers.postgres.dsn"
	case "08", "25", "40", "53", "55", "57", "58", "F0", "XX":
		return provider.Transient, ""
	}
	return provider.Invalid, ""
}

// clean makes untrusted text fit for a message.
func clean(s string) string { return provider.Line(s, maxShown) }
