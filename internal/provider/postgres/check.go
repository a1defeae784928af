package postgres

import (
	"cmp"
	"context"
	"fmt"
	"os/exec"
	"strings"

	"github.com/compassdigital/reconciler/internal/provider"
)

var _ provider.Checker = (*Provider)(nil)

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
	if _, err := exec.LookPath(p.dumper); err != nil {
		f := provider.Well("there is no %s here", p.dumper)
		f.Hint = "`reconciler dump` needs it on the PATH, and so does a purge that writes out first, of the server's version or newer"
		out = append(out, f)
	}
	if _, err := exec.LookPath(cmp.Or(p.restorer, "pg_restore")); err != nil {
		f := provider.Well("there is no %s here", cmp.Or(p.restorer, "pg_restore"))
		f.Hint = "moving a database to another provider needs it on the PATH, of the newer server's version or newer"
		out = append(out, f)
	}
	return out
}
