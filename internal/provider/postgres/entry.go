package postgres

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/compassdigital/reconciler/internal/provider"
)

// What a role's comment says of how far its database is. None: it is whole.
const (
	making = "making" // CREATE DATABASE may have happened; the rest has not
	going  = "going"  // DROP DATABASE may have happened; the role is still there
)

// note is what a comment of ours says: the mark, then key=value, each value escaped.
type note struct {
	mark                     provider.Mark
	id                       string // minted at each create, 8 hex digits
	name                     string // where it is not the database's own
	access, schema, disabled string
	stage, since             string // since: when the stage began, seconds by the server's clock
	oid                      string // the database's
	key                      string // names the key of its password
}

// words are the keys of a comment with the places of their values, in order.
func (n *note) words() []word {
	return []word{{"id", &n.id}, {"stage", &n.stage}, {"since", &n.since}, {"oid", &n.oid}, {"key", &n.key}, {"name", &n.name},
		{"access", &n.access}, {"schema", &n.schema}, {"disabled", &n.disabled}}
}

type word struct {
	key   string
	value *string
}

func (n note) text() string {
	var b strings.Builder
	b.WriteString(n.mark.Text())
	for _, w := range n.words() {
		if *w.value != "" {
			b.WriteString(" " + w.key + "=" + url.QueryEscape(*w.value))
		}
	}
	return b.String()
}

var suffixWord = regexp.MustCompile(`^[0-9a-f]{8}$`)

// parseNote reads what text wrote. Anything else is no note of ours.
func parseNote(text string) (n note) {
	first, rest, _ := strings.Cut(text, " ")
	mark := provider.ParseMark(first)
	if mark.IsZero() || len(text) >= maxComment {
		return note{}
	}
	n.mark = mark
	for _, part := range strings.Fields(rest) {
		key, value, _ := strings.Cut(part, "=")
		for _, w := range n.words() {
			if w.key != key {
				continue
			}
			plain, err := url.QueryUnescape(value)
			if err != nil || !utf8.ValidString(plain) {
				return note{}
			}
			*w.value = plain
		}
	}
	if !suffixWord.MatchString(n.id) {
		return note{}
	}
	return n
}

func (n note) nameOr(own string) string {
	if n.name != "" {
		return n.name
	}
	return own
}

// entry is a name on the server: a database, a role, or both.
type entry struct {
	name     string
	database bool
	oid      string
	open     bool // it lets people connect
	frozen   bool // they can only read; see package pgmove
	torn     bool // a DROP DATABASE of it was broken off: nobody can connect any more, and only another one ends it
	mine     bool // it is owned by the role of its name
	comment  note // the database's: its owner can change it, so that it proves nothing alone
	roleIs   bool // there is a role of the name
	role     note // the role's comment: only an administrator can change it
}

// same says that the database is the one that the role was made for: by its OID, or,
// after the server was restored from a dump, by the comment that came along.
func (e entry) same() bool {
	return e.database && e.mine && !e.role.mark.IsZero() && (e.oid == e.role.oid || e.comment.id == e.role.id)
}

// half says that a create came no further than CREATE DATABASE.
func (e entry) half() bool {
	return e.database && e.mine && !e.open && !e.role.mark.IsZero() && e.role.stage == making
}

// goneHalf says that a delete came no further than DROP DATABASE.
func (e entry) goneHalf() bool {
	return !e.database && !e.role.mark.IsZero() && e.role.stage == going
}

// ours says that it bears our mark.
func (e entry) ours() bool { return e.same() && e.role.stage != making || e.goneHalf() }

// shown says that there is a database to show: ours, or somebody else's.
func (e entry) shown() bool { return e.database && !e.half() }

// id is NAME.SUFFIX, of what is not ours NAME.
func (e entry) id() string {
	if e.ours() {
		return e.name + "." + e.role.id
	}
	return e.name
}

func (e entry) hasID(id string) bool { return e.id() == id }

// goesBy says that the object has this name.
func (e entry) goesBy(name string) bool {
	if e.ours() {
		return e.role.nameOr(e.name) == name
	}
	return e.name == name
}

// sayable says that a word from outside can be the name or the id of anything here.
func sayable(word string) bool {
	return word != "" && len(word) <= maxName+1+8 && utf8.ValidString(word) && !strings.ContainsRune(word, 0)
}

// entries joins databases and roles by name. It reads system catalogs only, so that any
// role may ask. A connection limit of -2 is how the server marks a torn one (its manual, pg_database;
// since 11.21, 12.16, 13.12, 14.9, 15.4).
const entries = `
SELECT coalesce(d.datname, r.rolname), d.oid::text, d.datallowconn::text, (r.oid = d.datdba)::text, left(dc.description, 16384), r.oid::text, left(rc.description, 16384),
EXISTS (SELECT FROM pg_db_role_setting x WHERE x.setdatabase = d.oid AND x.setrole = 0 AND 'default_transaction_read_only=on' = ANY (x.setconfig))::text, (d.datconnlimit = -2)::text
FROM pg_database d
FULL JOIN pg_roles r ON r.rolname = d.datname
LEFT JOIN pg_shdescription dc ON dc.objoid = d.oid AND dc.classoid = 'pg_database'::regclass
LEFT JOIN pg_shdescription rc ON rc.objoid = r.oid AND rc.classoid = 'pg_authid'::regclass
WHERE `

// look reads what bears a name: as its own, as an id's first part, or as the one that it
// took later.
func look(ctx context.Context, s session, name string) ([]entry, error) {
	own := name
	if stem, _, ok := cutID(name); ok {
		own = stem
	}
	return list(ctx, s, entries+`d.datname::text IN ($1, $2) OR r.rolname::text IN ($1, $2) OR (starts_with(rc.description, 'reconciler:') AND strpos(rc.description || ' ', ' name=' || $3 || ' ') > 0)
ORDER BY 1 LIMIT `+fmt.Sprint(maxFound+1), maxFound, name, own, url.QueryEscape(name))
}

// owned reads what bears the mark of an installation.
func owned(ctx context.Context, s session, installation string) ([]entry, error) {
	all, err := list(ctx, s, entries+`starts_with(rc.description, 'reconciler:' || $1 || '/') ORDER BY 1 LIMIT `+fmt.Sprint(maxOwned+1), maxOwned, installation)
	var out []entry
	for _, e := range all {
		if e.role.mark.Installation == installation && (e.ours() || e.half() || !e.database) {
			out = append(out, e)
		}
	}
	return out, err
}

// sizeOf is how many bytes a database takes; 0 where the administrator may not ask.
func sizeOf(ctx context.Context, s session, name string) (int64, error) {
	rows, err := s.read(ctx, "SELECT pg_database_size(oid)::text FROM pg_database WHERE datname::text = $1 AND has_database_privilege(oid, 'CONNECT')", name)
	if err != nil || len(rows) != 1 {
		return 0, err
	}
	return strconv.ParseInt(string(rows[0][0]), 10, 64)
}

// sizesTime is how long the server may take for the sizes of all databases: it asks the disk
// about every file of each.
const sizesTime = 5 * time.Second

// sizes are how many bytes an installation's databases take, by name, for which the
// administrator may ask. A server that refuses, or takes longer, tells none: a list is not worse
// for that. Nothing else may be asked over the connection then.
func sizes(ctx context.Context, s session, installation string) (map[string]int64, error) {
	if _, err := s.read(ctx, "SELECT set_config('statement_timeout', $1, false)", milliseconds(sizesTime)); err != nil {
		return nil, err
	}
	rows, err := s.read(ctx, `SELECT d.datname, pg_database_size(d.oid)::text FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba AND r.rolname = d.datname
JOIN pg_shdescription c ON c.objoid = r.oid AND c.classoid = 'pg_authid'::regclass
WHERE starts_with(c.description, 'reconciler:' || $1 || '/') AND has_database_privilege(d.oid, 'CONNECT') LIMIT `+strconv.Itoa(maxOwned), installation)
	var refused *pgconn.PgError
	switch {
	case errors.As(err, &refused) && refused.SeverityUnlocalized == "ERROR":
		return nil, nil
	case err != nil:
		return nil, err
	}
	out := make(map[string]int64, len(rows))
	for _, r := range rows {
		n, err := strconv.ParseInt(string(r[1]), 10, 64)
		if err != nil {
			continue // it went meanwhile
		}
		out[string(r[0])] = n
	}
	return out, nil
}

// errTooMany: a list that would not be complete is an error.
var errTooMany = errors.New("too many")

func list(ctx context.Context, s session, sql string, most int, args ...string) ([]entry, error) {
	rows, err := s.read(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	if len(rows) > most {
		return nil, fmt.Errorf("%w: %d", errTooMany, most)
	}
	out := make([]entry, len(rows))
	for i, r := range rows {
		out[i] = entry{name: string(r[0]), database: r[1] != nil, oid: string(r[1]), open: string(r[2]) == "true", mine: string(r[3]) == "true",
			comment: parseNote(string(r[4])), roleIs: r[5] != nil, role: parseNote(string(r[6])), frozen: string(r[7]) == "true", torn: string(r[8]) == "true"}
	}
	return out, nil
}

// cutID takes NAME.SUFFIX apart.
func cutID(id string) (name, suffix string, ok bool) {
	i := strings.LastIndexByte(id, '.')
	if i <= 0 || !suffixWord.MatchString(id[i+1:]) {
		return "", "", false
	}
	return id[:i], id[i+1:], true
}
