package postgres

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/pgmove"
)

var _ provider.Checker = (*Provider)(nil)

// maxDumps is how many files of the folder of dumps a check looks at.
const maxDumps = 10_000

// maxOpen is how many databases that are open to everybody a check names.
const maxOpen = 10

// Check implements provider.Checker: the way in, the server's version, what the role may do, whom we believe there,
// and what every new role may enter.
func (p *Provider) Check(ctx context.Context) []provider.Finding {
	const may = "see providers.postgres.dsn: a superuser, or a role with CREATEDB and CREATEROLE (README, Databases on a PostgreSQL server of yours)"
	var version int
	var rights [][][]byte
	var open []string
	err := p.with(ctx, "observe", "the server could not be looked at", func(ctx context.Context, s session) error {
		version = s.version()
		var err error
		if rights, err = s.read(ctx, "SELECT rolsuper::text, rolcreatedb::text, rolcreaterole::text FROM pg_catalog.pg_roles WHERE rolname = current_user"); err != nil {
			return err
		}
		rows, err := s.read(ctx, "SELECT datname FROM pg_catalog.pg_database WHERE datallowconn AND has_database_privilege('public', oid, 'CONNECT') ORDER BY datname LIMIT $1::integer", fmt.Sprint(maxOpen))
		for _, r := range rows {
			open = append(open, clean(string(r[0])))
		}
		return err
	})
	if err != nil {
		return []provider.Finding{provider.LookFailed("the PostgreSQL server", err, may)}
	}
	yes := func(n int) bool { return len(rights) == 1 && len(rights[0]) > n && string(rights[0][n]) == "true" }
	if !yes(0) && (!yes(1) || !yes(2)) {
		return []provider.Finding{provider.Wrong(may, "PostgreSQL %d lets us in, but the role may not make databases and roles", version)}
	}
	out := []provider.Finding{provider.Well("PostgreSQL %d lets us in, and the role may make databases and roles", version)}
	if who := p.server.believes(); who != "" {
		f := provider.Well("at %s we believe %s, and so do the sites", p.server.address(), who)
		f.Hint = "end providers.postgres.dsn with ?sslmode=verify-full; with a certificate of your own also &sslrootcert=FILE"
		out = append(out, f)
	}
	if len(open) > 0 {
		f := provider.Well("every new role may enter %s", strings.Join(open, ", "))
		f.Hint = "once, for each: REVOKE CONNECT ON DATABASE … FROM PUBLIC (README)"
		out = append(out, f)
	}
	return append(append(out, p.checkPrograms(ctx, version)...), p.checkDumps()...)
}

// checkDumps says how many erased databases are still there as dumps: nobody else deletes them.
func (p *Provider) checkDumps() []provider.Finding {
	if p.dumps == "" {
		return nil
	}
	dir, err := os.Open(p.dumps)
	if err != nil {
		return nil // none was written yet, or the look at the disk says why
	}
	defer func() { _ = dir.Close() }()  // it was only read
	entries, _ := dir.ReadDir(maxDumps) // as far as it can be read
	n, more := 0, ""
	for _, e := range entries {
		if dumped.MatchString(e.Name()) {
			n++
		}
	}
	if len(entries) == maxDumps {
		more = " or more"
	}
	if n == 0 {
		return nil
	}
	return []provider.Finding{provider.Well("dumps of erased databases in %s, which stay until somebody deletes them: %d%s", clean(p.dumps), n, more)}
}

// checkPrograms says which of PostgreSQL's programs work with the server. Who named a folder for
// databases that are erased can't do without: nothing would be erased.
func (p *Provider) checkPrograms(ctx context.Context, server int) (out []provider.Finding) {
	for _, x := range []struct{ word, given, use string }{
		{pgmove.PgDump, p.dumper, "`reconciler dump` and moves need it"}, {pgmove.PgRestore, p.restorer, "moves to this server need it"}} {
		program := pgmove.Find(ctx, x.word, x.given, server)
		switch {
		case program.Lacks != "" && x.word == pgmove.PgDump && p.dumps != "" && !p.goesWithout:
			out = append(out, provider.Wrong(program.Install+"; providers.postgres.dumps needs it: nothing is erased without", "%s", program.Lacks))
		case program.Lacks != "" && x.word == pgmove.PgDump && p.dumps != "":
			f := provider.Well("%s: databases are erased without a dump", program.Lacks)
			f.Hint = program.Install + "; or say providers.postgres.dumps: none, if that is meant, or name a folder there: without pg_dump nothing is erased then"
			out = append(out, f)
		case program.Lacks != "":
			f := provider.Well("%s", program.Lacks)
			f.Hint = x.use + ": " + program.Install
			out = append(out, f)
		case program.Version == 0:
			out = append(out, provider.Well("%s is here, and does not say of which version", x.word))
		default:
			out = append(out, provider.Well("%s is here, of PostgreSQL %d", x.word, program.Version))
		}
	}
	return out
}
