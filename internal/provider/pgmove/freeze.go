package pgmove

import (
	"context"
	"fmt"

	"github.com/compassdigital/reconciler/internal/provider"
)

// endTries is how often sessions are asked to end, endPause seconds apart at the server.
const (
	endTries = 100
	endPause = 0.1
)

// Freeze is provider.Mover's.
func (d Database) Freeze(ctx context.Context) error {
	const op = "freeze"
	return d.with(ctx, op, "the database could not be frozen", func(s session) error {
		if _, err := d.find(ctx, op, PgDump, d.Dumper, s.version()); err != nil {
			return err // what can't be copied is not frozen
		}
		if err := d.set(ctx, s, "SET default_transaction_read_only = on"); err != nil {
			return err
		}
		if err := d.end(ctx, s, op); err != nil {
			return err
		}
		open, err := s.read(ctx, "SELECT count(*)::text FROM pg_prepared_xacts WHERE database = $1", d.Name)
		if err != nil {
			return err
		}
		if n := string(open[0][0]); n != "0" {
			return d.fail(provider.Conflict, op, n+" prepared transactions are open in the database, and whoever ends them may commit: end them first", nil)
		}
		return nil
	})
}

// Thaw is provider.Mover's.
func (d Database) Thaw(ctx context.Context) error {
	const op = "thaw"
	return d.with(ctx, op, "the freeze could not be lifted", func(s session) error {
		if err := d.set(ctx, s, "RESET default_transaction_read_only"); err != nil {
			return err
		}
		return d.end(ctx, s, op)
	})
}

// set changes a setting of the database, and of its owner there: the latter counts more.
func (d Database) set(ctx context.Context, s session, what string) error {
	name, owner := identifier(d.Name), identifier(d.Owner)
	return s.do(ctx, fmt.Sprintf("ALTER DATABASE %s %s; ALTER ROLE %s IN DATABASE %s %s", name, what, owner, name, what))
}

// frozen says that the database is.
func (d Database) frozen(ctx context.Context, s session) (bool, error) {
	rows, err := s.read(ctx, `SELECT count(*)::text FROM pg_db_role_setting x JOIN pg_database d ON d.oid = x.setdatabase
WHERE d.datname::text = $1 AND x.setrole = 0 AND 'default_transaction_read_only=on' = ANY (x.setconfig)`, d.Name)
	if err != nil {
		return false, err
	}
	return string(rows[0][0]) != "0", nil
}

// end lets every session go that began before now, and waits until it has. Those of roles that
// the keeper has no power over stay: they are the server's own people.
func (d Database) end(ctx context.Context, s session, op string) error {
	now, err := s.read(ctx, "SELECT clock_timestamp()::text")
	if err != nil {
		return err
	}
	gone := 0
	for range endTries {
		rows, err := s.read(ctx, `SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE datname::text = $1 AND pid <> pg_backend_pid() AND backend_type = 'client backend'
AND backend_start <= $2::timestamptz AND pg_has_role(usesysid, 'MEMBER') AND ((SELECT rolsuper FROM pg_roles WHERE rolname = current_user) OR NOT (SELECT rolsuper FROM pg_roles r WHERE r.oid = usesysid))`, d.Name, string(now[0][0]))
		if err != nil {
			return err
		}
		// One that is about to begin has read its settings, and is not listed yet: none is there
		// when none shows twice. (InitPostgres: process_settings is before pgstat_bestart.)
		if gone++; len(rows) > 0 {
			gone = 0
		}
		if gone == 2 {
			return nil
		}
		if _, err := s.read(ctx, fmt.Sprintf("SELECT pg_sleep(%v)::text", endPause)); err != nil {
			return err
		}
	}
	return d.fail(provider.Transient, op, "somebody who is connected to the database does not let go", nil)
}
