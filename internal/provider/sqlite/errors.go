package sqlite

import (
	"context"
	"errors"
	"fmt"

	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/compassdigital/reconciler/internal/provider"
)

// errDamaged says that a file is there and is no readable database.
var errDamaged = errors.New("the database file is damaged or is no database")

func (p *Provider) fail(kind provider.ErrorKind, op, message string, cause error) error {
	return &provider.Error{Kind: kind, Provider: Name, Op: op, Message: message, Err: cause}
}

func (p *Provider) invalid(op, format string, a ...any) error {
	return p.fail(provider.Invalid, op, fmt.Sprintf(format, a...), nil)
}

// classify gives an error of the database or the disk its kind. committing: the
// error came from the commit, so that nobody knows whether it happened.
func (p *Provider) classify(op, what string, err error, committing bool) error {
	var known *provider.Error
	if errors.As(err, &known) {
		return err
	}
	kind, message := provider.Transient, what
	code := 0
	var e *driver.Error
	if errors.As(err, &e) {
		code = e.Code() & 0xff // the primary code
	}
	switch {
	case errors.Is(err, errDamaged), code == lib.SQLITE_CORRUPT, code == lib.SQLITE_NOTADB:
		kind, message = provider.Invalid, what+": "+errDamaged.Error()+"; restore it from a dump"
	case committing && code != lib.SQLITE_BUSY && code != lib.SQLITE_CONSTRAINT:
		kind = provider.Uncertain
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		message = what + ": the call was given up"
	case code == lib.SQLITE_BUSY, code == lib.SQLITE_LOCKED:
		message = what + ": it is in use"
	case code == lib.SQLITE_FULL:
		message = what + ": the disk is full"
	case code == lib.SQLITE_ERROR, code == lib.SQLITE_CONSTRAINT, code == lib.SQLITE_MISMATCH:
		kind, message = provider.Invalid, what+": its tables are not as this provider makes them"
	case code == lib.SQLITE_READONLY, code == lib.SQLITE_PERM:
		kind, message = provider.Denied, what+": it may not be written"
	}
	return p.fail(kind, op, message, err)
}

// clean makes untrusted text fit for a message.
func clean(s string) string { return provider.Line(s, maxShown) }
