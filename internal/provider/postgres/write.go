package postgres

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// maxName is how long a name may be at the server, in bytes. It would cut a longer one.
const maxName = 63

var (
	// plainName is what is made here. What somebody else made has any name.
	plainName  = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*$`)
	schemaWord = regexp.MustCompile(`^[A-Za-z0-9._-]{0,64}$`)
)

// wished takes the attributes out of a wish.
func (p *Provider) wished(op string, w provider.Wish) (note, error) {
	n := note{mark: w.Mark, access: w.Get("access"), schema: w.Get("schema"), disabled: w.Get("disabled"), key: p.keyCheck()}
	switch {
	case len(w.Name) > maxName:
		return n, p.invalid(op, "the name %q has %d bytes; PostgreSQL takes %d and cuts the rest", clean(w.Name), len(w.Name), maxName)
	case !plainName.MatchString(w.Name):
		return n, p.invalid(op, "the name %q is not made of a to z, 0 to 9, - and _", clean(w.Name))
	case provider.ParseMark(w.Mark.Text()) != w.Mark || w.Mark.IsZero() || strings.ContainsAny(w.Mark.Text(), " \t\n"):
		return n, p.invalid(op, "the wish for %q has no mark that could be written down", clean(w.Name))
	case n.access == "private":
		return n, p.invalid(op, "access: private can't be had from providers.postgres: from where a server is reached its pg_hba.conf says, not a statement; close it there and leave database.access out")
	case n.access != "" && n.access != "public":
		return n, p.invalid(op, "access %q is not public", clean(n.access))
	case !schemaWord.MatchString(n.schema):
		return n, p.invalid(op, "schema %q is not a template's name", clean(n.schema))
	case len(n.disabled) > maxText:
		return n, p.invalid(op, "the disabled collections are more than %d bytes", maxText)
	}
	return n, nil
}

// Create implements provider.Provider. What an earlier one left half made it goes on with.
func (p *Provider) Create(ctx context.Context, w provider.Wish) (out provider.Object, err error) {
	const op = "create"
	if err := p.ready(ctx, op, w.Ref.Kind); err != nil {
		return out, err
	}
	n, err := p.wished(op, w)
	if err != nil {
		return out, err
	}
	err = p.with(ctx, op, "the database could not be made", func(ctx context.Context, s session) error {
		p.sweep(ctx, s, w)
		if err := lock(ctx, s, w.Name); err != nil {
			return err
		}
		e, err := p.vacant(ctx, s, op, w)
		if err != nil {
			return err
		}
		n.id = suffix()
		if e, err = p.begin(ctx, s, e, n); err != nil {
			return err
		}
		if e, err = p.publish(ctx, s, op, e, n); err != nil {
			return begun(err)
		}
		out = p.object(e)
		return nil
	})
	return out, err
}

// begun marks an error of a call that has written already, whatever it is of.
func begun(err error) error {
	var w *writeError
	var known *provider.Error
	if errors.As(err, &w) || errors.As(err, &known) {
		return err
	}
	return &writeError{err}
}

// vacant is what stands at the name of a wish, if it is nothing or half made by us.
func (p *Provider) vacant(ctx context.Context, s session, op string, w provider.Wish) (entry, error) {
	found, err := look(ctx, s, w.Name)
	if err != nil {
		return entry{}, err
	}
	at := entry{name: w.Name}
	for _, e := range found {
		switch {
		case e.goesBy(w.Name) && e.shown(), e.name == w.Name && e.database && !e.half():
			return at, p.fail(provider.Conflict, op, fmt.Sprintf("database %s exists: %s", clean(w.Name), clean(e.id())), nil)
		case e.name == w.Name && e.roleIs && e.role.mark != w.Mark:
			return at, p.fail(provider.Conflict, op, fmt.Sprintf("a role %s exists, and it is not this client's; rename or drop it", clean(w.Name)), nil)
		case e.name == w.Name:
			at = e
		}
	}
	return at, nil
}

// begin makes the role, and the database, which nobody can connect to yet. The role says
// from its first moment on whose it is.
func (p *Provider) begin(ctx context.Context, s session, e entry, n note) (entry, error) {
	now, err := s.read(ctx, "SELECT extract(epoch FROM now())::bigint::text")
	if err != nil {
		return e, err
	}
	n.stage, n.since = making, string(now[0][0])
	role := identifier(e.name)
	secret, err := verifier(p.password(e.name, n.id))
	if err != nil {
		return e, err
	}
	verb := "CREATE"
	if e.roleIs {
		verb = "ALTER"
	}
	sql := fmt.Sprintf("%s ROLE %s LOGIN CONNECTION LIMIT %d PASSWORD %s; COMMENT ON ROLE %s IS %s%s", verb, role, p.limit, literal(secret), role, literal(n.text()), member(s, role))
	if err := s.write(ctx, sql); err != nil {
		return e, err
	}
	e.roleIs, e.role = true, n
	if e.torn { // by a sweep that broke off
		if err := s.write(ctx, "DROP DATABASE "+role); err != nil {
			return e, begun(err)
		}
		e.database, e.torn = false, false
	}
	if e.database {
		return e, nil
	}
	if _, err := s.read(ctx, "SELECT set_config('statement_timeout', $1, false)", milliseconds(longest)); err != nil {
		return e, begun(err)
	}
	// template0: what somebody put into template1 can't leak in, and nobody is connected to it.
	if err := s.write(ctx, fmt.Sprintf("CREATE DATABASE %s OWNER %s TEMPLATE template0 ENCODING 'UTF8' ALLOW_CONNECTIONS false", role, role)); err != nil {
		return e, begun(err)
	}
	e.database, e.mine = true, true
	return e, nil
}

// member makes an administrator who is no superuser a member of a client's role, or it could
// neither give it a database nor change or drop that.
func member(s session, role string) string {
	if s.superuser() {
		return ""
	}
	return "; GRANT " + role + " TO CURRENT_USER"
}

// publish brings a database and its role to the note, in one transaction: before it there
// is no object, or the one as it was.
func (p *Provider) publish(ctx context.Context, s session, op string, e entry, n note) (entry, error) {
	rows, err := s.read(ctx, "SELECT oid::text FROM pg_database WHERE datname::text = $1", e.name)
	if err != nil {
		return e, err
	}
	if len(rows) != 1 {
		return e, p.fail(provider.Uncertain, op, "somebody took the database away meanwhile", nil)
	}
	n.stage, n.since, n.oid = "", "", string(rows[0][0])
	secret, err := verifier(p.password(e.name, n.id))
	if err != nil {
		return e, err
	}
	name, text := identifier(e.name), literal(n.text())
	sql := []string{
		"REVOKE ALL ON DATABASE " + name + " FROM PUBLIC",
		"ALTER DATABASE " + name + " WITH ALLOW_CONNECTIONS true",
		"COMMENT ON DATABASE " + name + " IS " + text,
		"ALTER ROLE " + name + " LOGIN CONNECTION LIMIT " + strconv.Itoa(p.limit) + " PASSWORD " + literal(secret),
		"COMMENT ON ROLE " + name + " IS " + text,
	}
	sql[0] = strings.TrimPrefix(member(s, name)+"; "+sql[0], "; ")
	if err := s.write(ctx, strings.Join(sql, "; ")); err != nil {
		return e, err
	}
	e.open, e.oid, e.comment, e.role = true, n.oid, n, n
	return e, nil
}

// Update implements provider.Provider. What was adopted stays as it is.
func (p *Provider) Update(ctx context.Context, id string, w provider.Wish) (out provider.Object, err error) {
	const op = "update"
	if err := p.ready(ctx, op, w.Ref.Kind); err != nil {
		return out, err
	}
	n, err := p.wished(op, w)
	if err != nil {
		return out, err
	}
	gone := p.fail(provider.NotFound, op, fmt.Sprintf("database %s is not here", clean(id)), nil)
	if !sayable(id) {
		return out, gone
	}
	err = p.with(ctx, op, "the database could not be changed", func(ctx context.Context, s session) error {
		e, found, err := p.hold(ctx, s, id)
		switch {
		case err != nil:
			return err
		case !found || !e.database:
			return gone
		case !e.ours():
			out = p.object(e)
			return nil
		case e.role.mark.Installation != w.Mark.Installation:
			return p.fail(provider.Conflict, op, fmt.Sprintf("database %s bears the mark of %s", clean(id), clean(e.role.mark.Installation)), nil)
		}
		if err := p.free(ctx, s, op, e, w.Name); err != nil {
			return err
		}
		n.id = e.role.id
		if w.Name != e.name {
			n.name = w.Name
		}
		if e, err = p.publish(ctx, s, op, e, n); err != nil {
			return err
		}
		out = p.object(e)
		return nil
	})
	return out, err
}

// free says that nothing but e goes by the name.
func (p *Provider) free(ctx context.Context, s session, op string, e entry, name string) error {
	if e.goesBy(name) {
		return nil
	}
	found, err := look(ctx, s, name)
	if err != nil {
		return err
	}
	for _, other := range found {
		if other.name != e.name && other.goesBy(name) && other.shown() {
			return p.fail(provider.Conflict, op, fmt.Sprintf("database %s exists: %s", clean(name), clean(other.id())), nil)
		}
	}
	return nil
}

// hold locks what an id names and reads it.
func (p *Provider) hold(ctx context.Context, s session, id string) (e entry, found bool, err error) {
	name, _, ok := cutID(id)
	if !ok {
		name = id
	}
	if err := lock(ctx, s, name); err != nil {
		return e, false, err
	}
	all, err := look(ctx, s, id)
	if err != nil {
		return e, false, err
	}
	for _, e := range all {
		if e.hasID(id) && (e.shown() || e.goneHalf()) {
			return e, true, nil
		}
	}
	return e, false, nil
}

// Delete implements provider.Provider.
func (p *Provider) Delete(ctx context.Context, kind state.Kind, id string) error {
	const op = "delete"
	if err := p.ready(ctx, op, kind); err != nil {
		return err
	}
	if !sayable(id) {
		return nil
	}
	if p.dumps != "" {
		if err := p.keep(ctx, op, id); err != nil {
			return err
		}
	}
	return p.with(ctx, op, "the database could not be erased", func(ctx context.Context, s session) error {
		e, found, err := p.hold(ctx, s, id)
		if err != nil {
			return err
		}
		if !found {
			return p.abandoned(ctx, s, id)
		}
		if !e.ours() {
			return p.fail(provider.Conflict, op, fmt.Sprintf("database %s bears no mark: it was not made here; drop it yourself", clean(id)), nil)
		}
		return p.erase(ctx, s, op, e)
	})
}

// erase drops a database and its role. Until DROP DATABASE the database is whole and
// serves; what the role says before lets whoever comes later go on.
func (p *Provider) erase(ctx context.Context, s session, op string, e entry) error {
	name := identifier(e.name)
	if e.database {
		now, err := s.read(ctx, "SELECT extract(epoch FROM now())::bigint::text")
		if err != nil {
			return err
		}
		n := e.role
		n.stage, n.since = going, string(now[0][0])
		if err := s.write(ctx, "COMMENT ON ROLE "+name+" IS "+literal(n.text())+member(s, name)); err != nil {
			return err
		}
		if _, err := s.read(ctx, "SELECT set_config('statement_timeout', $1, false)", milliseconds(longest)); err != nil {
			return err
		}
		err = s.write(ctx, "DROP DATABASE "+name+" WITH (FORCE)")
		var pg *pgconn.PgError
		if errors.As(err, &pg) && pg.Code == "42501" { // its owner may drop it, but not disconnect everybody
			return &provider.Error{Kind: provider.Transient, Provider: Name, Op: op, Code: pg.Code, Err: err,
				Message: "somebody is connected to the database whom the role of providers.postgres.dsn may not disconnect"}
		}
		if err != nil {
			return err
		}
	}
	if err := s.write(ctx, "DROP ROLE "+name); err != nil {
		return p.classify(ctx, op, "the database is erased, and its role could not be dropped", begun(err))
	}
	return nil
}

// abandoned drops the role of a database that somebody else dropped.
func (p *Provider) abandoned(ctx context.Context, s session, id string) error {
	name, suffix, ok := cutID(id)
	if !ok {
		return nil
	}
	found, err := look(ctx, s, id)
	if err != nil {
		return err
	}
	for _, e := range found {
		if e.name == name && e.role.id == suffix && !e.mine && e.role.stage != making {
			return s.write(ctx, "DROP ROLE "+identifier(name))
		}
	}
	return nil
}

// suffix makes ids that are not used twice.
func suffix() string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
