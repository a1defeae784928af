package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"strconv"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// metaTables hold what a vendor would keep beside the data.
const metaTables = `
CREATE TABLE IF NOT EXISTS _reconciler (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS _reconciler_admins (
	id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, user_id INTEGER NOT NULL UNIQUE,
	installation TEXT NOT NULL, client TEXT NOT NULL, generation INTEGER NOT NULL, site TEXT NOT NULL, path TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS schema_migrations (version TEXT PRIMARY KEY, applied_at TEXT NOT NULL) WITHOUT ROWID;
`

// meta is what _reconciler holds. A file of somebody else has none: its id is its
// stem, and it bears no mark.
type meta struct {
	id, name   string
	mark       provider.Mark
	attributes map[string]string // access, schema, disabled
	known      bool              // the table is there
}

// kept are the attributes of a database, sorted.
func kept() []string { return []string{"access", "disabled", "schema"} }

// querier is a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func hasTable(ctx context.Context, q querier, table string) (bool, error) {
	var n int
	err := q.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?", table).Scan(&n)
	return n > 0, err
}

func readMeta(ctx context.Context, q querier, stem string) (m meta, err error) {
	m = meta{id: stem, name: stem, attributes: map[string]string{}}
	if m.known, err = hasTable(ctx, q, "_reconciler"); err != nil || !m.known {
		return m, err
	}
	rows, err := q.QueryContext(ctx, "SELECT key, value FROM _reconciler ORDER BY key LIMIT 64")
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var k, v string
		if err := rows.Scan(&k, &v); err != nil {
			return m, err
		}
		switch k {
		case "id":
			m.id = v
		case "name":
			m.name = v
		case "installation":
			m.mark.Installation = v
		case "client":
			m.mark.Client = state.ClientID(v)
		case "generation":
			if m.mark.Generation, err = strconv.Atoi(v); err != nil {
				return m, errDamaged
			}
		case "access", "schema", "disabled":
			m.attributes[k] = v
		}
	}
	if err := rows.Err(); err != nil {
		return m, err
	}
	if stemOfID(m.id) != stem {
		return m, errDamaged // a copy of another database under this name
	}
	return m, nil
}

func (m meta) write(ctx context.Context, tx *sql.Tx) error {
	rows := map[string]string{"id": m.id, "name": m.name, "installation": m.mark.Installation, "client": string(m.mark.Client), "generation": strconv.Itoa(m.mark.Generation)}
	for _, k := range kept() {
		rows[k] = m.attributes[k]
	}
	for k, v := range rows { // the order of rows in a table means nothing
		if _, err := tx.ExecContext(ctx, "INSERT INTO _reconciler (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", k, v); err != nil {
			return err
		}
	}
	return nil
}

// own reads the file's meta and makes sure that it is the database of this id.
func (p *Provider) own(ctx context.Context, q querier, stem, id string) (meta, error) {
	m, err := readMeta(ctx, q, stem)
	if err == nil && m.id != id {
		err = fs.ErrNotExist // another one has the name now
	}
	return m, err
}

// object is how a database looks from outside.
func (p *Provider) object(stem string, m meta) provider.Object {
	u := url.URL{Scheme: "file", OmitHost: true, Path: p.path(stem)}
	dsn := state.NewSecret(u.String())
	o := provider.Object{ID: m.id, Kind: state.KindDatabase, Name: m.name, Mark: m.mark, Phase: provider.Ready,
		Outputs: []provider.Output{{Name: "id", Text: m.id}, {Name: "host", Text: "localhost"}, {Name: "url", Secret: &dsn}}}
	if info, err := os.Stat(p.path(stem)); err == nil {
		o.Bytes = info.Size()
	}
	if m.known {
		for _, k := range kept() {
			o.Attributes = append(o.Attributes, provider.Observed{Name: k, Text: m.attributes[k]})
		}
	}
	return o
}
