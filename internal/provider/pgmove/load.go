package pgmove

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/compassdigital/reconciler/internal/provider"
)

// Limits of the programs.
const (
	maxLog   = 8 << 10  // bytes kept of what a program says
	maxList  = 16 << 20 // bytes of an archive's list
	maxTold  = 300      // runes of it in an error
	stopTime = 5 * time.Second
)

// Load is provider.Mover's.
func (d Database) Load(ctx context.Context, path string) error {
	const op = "load"
	program := ""
	if err := d.with(ctx, op, "the database could not be made ready", func(s session) (err error) {
		if program, err = d.find(ctx, op, PgRestore, d.Restorer, s.version()); err != nil {
			return err
		}
		return d.clear(ctx, s, op)
	}); err != nil {
		return err
	}
	// A list of what is in the archive, without what the owner may not do and need not.
	said, err := d.run(ctx, op, PgRestore, program, nil, maxList, "--list", path)
	if err != nil {
		return err
	}
	var kept []string
	for _, line := range strings.Split(said, "\n") {
		if !leftOut.MatchString(line) {
			kept = append(kept, line)
		}
	}
	list := path + ".list"
	if err := os.WriteFile(list, []byte(strings.Join(kept, "\n")), 0o600); err != nil {
		return d.fail(provider.Transient, op, "nothing can be written beside the dump", err)
	}
	_, err = d.run(ctx, op, PgRestore, program, d.Loads, maxLog, "--no-password", "--single-transaction", "--no-owner", "--no-acl", "--no-publications", "--no-subscriptions",
		"--no-security-labels", "--no-tablespaces", "--use-list="+list, "--dbname=", path)
	if gone := os.Remove(list); err == nil {
		err = gone
	}
	return err
}

// leftOut is a line of an archive's list: ID; OIDs, what it is. A name that a client chose stands
// behind that. The comments are of what the owner does not own, or is not copied.
var leftOut = regexp.MustCompile(`^\d+; \d+ \d+ COMMENT - (EXTENSION|PUBLICATION|SUBSCRIPTION) `)

// clear freezes a database and takes away what an earlier copy left in it.
func (d Database) clear(ctx context.Context, s session, op string) error {
	frozen, err := d.frozen(ctx, s)
	if err != nil {
		return err
	}
	n, err := inIt(ctx, s)
	if err != nil {
		return err
	}
	if n != "0" && !frozen {
		return d.fail(provider.Conflict, op, "the database that was to be filled is in use: "+n+" tables and the like are in it, and they are no copy of ours; nothing was changed", nil)
	}
	if err := d.set(ctx, s, "SET default_transaction_read_only = on"); err != nil {
		return err
	}
	if err := d.end(ctx, s, op); err != nil || n == "0" {
		return err
	}
	return d.empty(ctx)
}

// inIt is how many tables and the like are in a database.
func inIt(ctx context.Context, s session) (string, error) {
	rows, err := s.read(ctx, `SELECT ((SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e'))
+ (SELECT count(*) FROM pg_namespace WHERE nspname NOT IN ('information_schema', 'public') AND nspname !~ '^pg_') + (SELECT count(*) FROM pg_largeobject_metadata))::text`)
	if err != nil {
		return "", err
	}
	return string(rows[0][0]), nil
}

// empty takes all away that is the owner's, as the owner. What belongs to a superuser the
// server can't tell from its own: then the schemas go.
func (d Database) empty(ctx context.Context) error {
	s, err := d.connect(ctx, d.Loads)
	if err != nil {
		return err
	}
	defer s.close()
	if s.c.ParameterStatus("is_superuser") != "on" {
		return s.do(ctx, "DROP OWNED BY CURRENT_USER CASCADE")
	}
	grant := "GRANT USAGE ON SCHEMA public TO PUBLIC"
	if s.version() < 15 { // until then everybody could make tables there
		grant = "GRANT ALL ON SCHEMA public TO PUBLIC"
	}
	return s.do(ctx, `DO $clear$ DECLARE s text; BEGIN
FOR s IN SELECT quote_ident(nspname) FROM pg_namespace WHERE nspname <> 'information_schema' AND nspname !~ '^pg_' LOOP EXECUTE 'DROP SCHEMA ' || s || ' CASCADE'; END LOOP;
PERFORM lo_unlink(oid) FROM pg_largeobject_metadata;
CREATE SCHEMA public; `+grant+`; END $clear$`)
}

// find is where the program is that works with a server of a version.
func (d Database) find(ctx context.Context, op, word, given string, server int) (string, error) {
	p := Find(ctx, word, given, server)
	if p.Lacks != "" {
		return "", d.fail(provider.Unsupported, op, p.Lacks+": "+p.Install, nil)
	}
	return p.Path, nil
}

// run runs one of PostgreSQL's programs. What it has to know stands in its environment, which
// only our own user can read: an argument would show in the list of processes.
func (d Database) run(ctx context.Context, op, word, path string, as *pgconn.Config, most int, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = []string{"LC_ALL=C", "PATH=/usr/local/bin:/usr/bin:/bin"}
	if as != nil {
		// What is loaded is written under a freeze of our own.
		cmd.Env = append(cmd.Env, "PGHOST="+as.Host, "PGPORT="+strconv.Itoa(int(as.Port)), "PGUSER="+as.User, "PGPASSWORD="+as.Password, "PGDATABASE="+d.Name, "PGAPPNAME=reconciler",
			"PGCONNECT_TIMEOUT="+strconv.Itoa(int(connectTime.Seconds())), "PGOPTIONS=-c default_transaction_read_only=off", "PGPASSFILE=/dev/null", "PGSERVICEFILE=/dev/null")
		cmd.Env = append(cmd.Env, d.TLS...)
	}
	said, wrong := &bounded{most: most}, &bounded{most: maxLog}
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = said, wrong, stopTime
	err := cmd.Run()
	switch {
	case err == nil && said.cut:
		return "", d.fail(provider.Unsupported, op, word+" says more than is read: the database has too many parts", nil)
	case err == nil:
		return said.b.String(), nil
	case ctx.Err() != nil:
		return "", d.fail(provider.Transient, op, word+" was given up", context.Cause(ctx))
	}
	text := told(filepath.Base(path), wrong.b.String())
	if as != nil && as.Password != "" {
		text = strings.ReplaceAll(text, as.Password, "…")
	}
	kind := provider.Invalid
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() < 0 || word == "pg_dump" {
		kind = provider.Transient // it was killed, or never ran; what is wrong with a dump is never the wish
	}
	return "", d.fail(kind, op, word+" failed: "+provider.Line(text, maxTold), err)
}

// bounded keeps the beginning of what is written into it.
type bounded struct {
	b    bytes.Buffer
	most int
	cut  bool
}

func (w *bounded) Write(data []byte) (int, error) {
	room := max(w.most-w.b.Len(), 0)
	w.cut = w.cut || len(data) > room
	w.b.Write(data[:min(room, len(data))])
	return len(data), nil
}
