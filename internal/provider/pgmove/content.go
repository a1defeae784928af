package pgmove

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/compassdigital/reconciler/internal/provider"
)

// maxParts is how many tables and sequences a database may have.
const maxParts = 10_000

// parts are the tables with rows of their own and the sequences, without those of an
// extension: it brings them along. Foreign tables and materialized views hold what is
// elsewhere.
const parts = `
SELECT n.nspname::text, c.relname::text, c.relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'S') AND c.relpersistence <> 't' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
ORDER BY 1, 2 LIMIT `

// Content is provider.Mover's.
func (d Database) Content(ctx context.Context) (out provider.Content, err error) {
	err = d.with(ctx, "compare", "the database could not be read", func(s session) error {
		if v := s.version(); v < oldest {
			return d.fail(provider.Unsupported, "compare", fmt.Sprintf("the server is PostgreSQL %d; this takes %d or newer", v, oldest), nil)
		}
		// What is read is the client's: a table of the list may be a view by the time that it is
		// its turn, and would run the client's functions as the keeper. pg_dump does the same
		// (CVE-2024-7348); a server without the latest corrections does not know the setting.
		if _, err := s.read(ctx, "SELECT set_config(name, 'view, foreign-table', false) FROM pg_settings WHERE name = 'restrict_nonsystem_relation_kind'"); err != nil {
			return err
		}
		if err := s.do(ctx, fmt.Sprintf("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = %d", readTime.Milliseconds())); err != nil {
			return err
		}
		out, err = d.content(ctx, s)
		return err // the transaction ends with the connection
	})
	return out, err
}

func (d Database) content(ctx context.Context, s session) (out provider.Content, err error) {
	out.Version = s.version()
	one := func(sql string) (values []string, err error) {
		rows, err := s.read(ctx, sql)
		if err != nil {
			return nil, err
		}
		for _, v := range rows[0] {
			values = append(values, string(v))
		}
		return values, nil
	}
	rows, err := s.read(ctx, parts+strconv.Itoa(maxParts+1))
	if err != nil {
		return out, err
	}
	if len(rows) > maxParts {
		return out, d.fail(provider.Unsupported, "compare", fmt.Sprintf("the database has more than %d tables and sequences", maxParts), nil)
	}
	for _, r := range rows {
		name := identifier(string(r[0])) + "." + identifier(string(r[1]))
		p := provider.Part{Name: string(r[0]) + "." + string(r[1])}
		if string(r[2]) == "S" {
			p.Name = "sequence " + p.Name
			v, err := one("SELECT last_value::text, is_called::text FROM " + name)
			if err != nil {
				return out, err
			}
			p.Sum = strings.Join(v, " ")
		} else {
			v, err := one("SELECT count(*)::text, coalesce(sum(('x' || left(md5(convert_to(textin(record_out(ROW(t.*))), 'UTF8')), 16))::bit(64)::bigint::numeric), 0)::text FROM ONLY " + name + " t")
			if err != nil {
				return out, err
			}
			if p.Rows, err = strconv.ParseInt(v[0], 10, 64); err != nil {
				return out, err
			}
			p.Sum = v[1]
		}
		out.Parts = append(out.Parts, p)
	}
	if rows, err = s.read(ctx, shape); err != nil {
		return out, err
	}
	for _, r := range rows {
		out.Parts = append(out.Parts, provider.Part{Name: string(r[0]), Sum: string(r[1])})
	}
	if rows, err = s.read(ctx, left, d.Owner); err != nil {
		return out, err
	}
	for _, r := range rows {
		out.Stays = append(out.Stays, string(r[0]))
	}
	if p := Find(ctx, PgRestore, d.Restorer, s.version()); p.Lacks != "" {
		out.Refuses = p.Lacks + ": " + p.Install // of one that is only left it says nothing: its copy's server is another
	}
	v, err := one(pictures)
	if err != nil {
		return out, err
	}
	if v[0] != "0" {
		out.Parts = append(out.Parts, provider.Part{Name: "large objects", Sum: v[0] + " " + v[1]})
	}
	if rows, err = s.read(ctx, settings, d.Owner); err != nil {
		return out, err
	}
	for _, r := range rows {
		out.Settings = append(out.Settings, provider.Part{Name: string(r[0]), Sum: string(r[1])})
	}
	if v, err = one("SELECT pg_database_size(oid)::text, concat_ws(' ', datcollate, nullif(datctype, datcollate)) FROM pg_database WHERE datname = current_database()"); err != nil {
		return out, err
	}
	out.Order = provider.Line(v[1], maxShown)
	if out.Bytes, err = strconv.ParseInt(v[0], 10, 64); err != nil {
		return out, err
	}
	slices.SortFunc(out.Parts, func(a, b provider.Part) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}
