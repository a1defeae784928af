package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/postgres/postgrestest"
	"github.com/compassdigital/reconciler/internal/state"
)

// postgresWorld is an installation with a PostgreSQL server of its own.
func postgresWorld(t *testing.T, files map[string]string) (*world, *postgrestest.Server) {
	t.Helper()
	if postgrestest.LeftOut() {
		t.Skip("left out with " + postgrestest.LeaveOut + "=no")
	}
	s, err := postgrestest.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	// Nobody makes administrators in databases on a server of one's own yet.
	files["templates/ecommerce.yaml"] = strings.Replace(shopTemplate, "admin: {kind: payload, path: /admin}\n", "", 1)
	w := newWorld(t, files)
	w.env["RECONCILER_PROVIDERS_POSTGRES_DSN"] = s.DSN()
	w.plant("the DSN of the server", postgrestest.Password)
	return w, s
}

// rowsIn runs a statement as whoever the address is of, and returns its first column.
func rowsIn(t *testing.T, at, sql string) []string {
	t.Helper()
	c, err := pgx.Connect(t.Context(), at)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	defer func() {
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	rows, err := c.Query(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		t.Fatal(err)
	}
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (string, error) { return string(r.RawValues()[0]), nil })
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return out
}

// onPostgres is a manifest whose database is on the server. The embedded site reads SQLite
// only, so that it is asked for a page and not for its database.
func onPostgres(name string, more ...string) string {
	return manifestOf(name, append([]string{"database: {provider: postgres}", "health: {path: /}"}, more...)...)
}

// databasesOf are the databases and roles on the server that a client's name begins.
func databasesOf(t *testing.T, s *postgrestest.Server, client string) []string {
	t.Helper()
	return rowsIn(t, s.DSN(), fmt.Sprintf("SELECT 'database ' || datname FROM pg_database WHERE datname LIKE '%[1]s-%%' UNION ALL SELECT 'role ' || rolname FROM pg_roles WHERE rolname LIKE '%[1]s-%%' ORDER BY 1", client))
}

// A client's database on a server of one's own: made, used, changed around, retained,
// returned, erased. Its rows outlive all of it but the last.
func TestAClientOnPostgres(t *testing.T) {
	now := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	w, s := postgresWorld(t, map[string]string{"clients/demoshop.yaml": onPostgres("demoshop"), "clients/bakery.yaml": onPostgres("bakery")})
	w.now = func() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return now }
	w.configure("guard: {maxDeletes: 10, maxDeletePercent: 100}")
	w.start()
	w.active("demoshop", "bakery")
	var ids []string
	sites := map[string]string{}
	site := func(name string) string { // the address that the site's environment has
		t.Helper()
		for _, o := range w.ownedAt("local") {
			if o.Kind == state.KindSite && o.Mark.Client == w.id(name) {
				sites[name] = o.ID
			}
		}
		return w.variable(sites[name], "DATABASE_URL")
	}
	at := site("demoshop")
	rowsIn(t, at, "CREATE TABLE orders (id serial PRIMARY KEY, what text)")
	rowsIn(t, at, "INSERT INTO orders (what) VALUES ('tea'), ('bread')")
	for _, o := range w.ownedAt("postgres") {
		ids = append(ids, o.ID)
	}
	if got := databasesOf(t, s, "demoshop"); len(ids) != 2 || len(got) != 2 {
		t.Fatalf("ids %v, on the server %v", ids, got)
	}
	if other := site("bakery"); other == at || other == "" {
		t.Error("two clients have one address")
	}
	calm := w.calls.len()
	w.apply()
	if wrote := w.calls.writes(calm); len(wrote) != 0 {
		t.Errorf("a converged fleet was written: %v", wrote)
	}

	// A change that has nothing to do with the data, and one of what is kept beside it.
	w.commit(map[string]string{"clients/demoshop.yaml": onPostgres("demoshop", "disabledCollections: [orders]", "env: {STORE_CURRENCY: SEK}")})
	w.active("demoshop")
	if got := site("demoshop"); got != at {
		t.Error("the address changed")
	}
	for _, o := range w.ownedAt("postgres") {
		if disabled := o.Attributes[1]; o.Mark.Client == w.id("demoshop") && disabled.Text != "orders" {
			t.Errorf("kept at the database: %v", disabled)
		}
	}

	dump := filepath.Join(t.TempDir(), "demoshop.dump")
	w.must(0, "dump", "demoshop", dump)
	if head := readAll(t, dump); !strings.HasPrefix(head, "PGDMP") {
		t.Errorf("the dump begins with %.10q", head)
	}

	// Gone: the site goes, the database stays, and still serves whoever has its address.
	gone := w.commit(map[string]string{"clients/demoshop.yaml": ""})
	w.apply()
	if r := w.must(0, "retained"); !strings.Contains(r.out, "postgres") || !strings.Contains(r.out, "demoshop-") {
		t.Errorf("retained:\n%s", r.out)
	}
	if got := rowsIn(t, at, "SELECT what FROM orders ORDER BY 1"); !slices.Equal(got, []string{"bread", "tea"}) {
		t.Errorf("rows while it is retained: %v", got)
	}

	// Back: the same database, the same address.
	w.revert(gone)
	w.active("demoshop")
	if got := site("demoshop"); got != at {
		t.Error("the address changed with the return")
	}
	if got := rowsIn(t, at, "SELECT what FROM orders ORDER BY 1"); !slices.Equal(got, []string{"bread", "tea"}) {
		t.Errorf("rows after the return: %v", got)
	}

	// Gone for good: 31 days later nothing is left of it, and the other one has everything.
	w.commit(map[string]string{"clients/demoshop.yaml": ""})
	w.apply()
	w.mu.Lock()
	now = now.Add(31 * 24 * time.Hour)
	w.mu.Unlock()
	done, err := w.daemon.program.engine.PurgeDue(t.Context())
	if err != nil || len(done) != 1 || !strings.HasPrefix(done[0], "demoshop: database") {
		t.Errorf("purged: %v %v", done, err)
	}
	if got := databasesOf(t, s, "demoshop"); len(got) != 0 {
		t.Errorf("left on the server: %v", got)
	}
	// Nobody said anything about dumps: one is beside the state, has every row, and the history says where.
	kept, err := filepath.Glob(filepath.Join(w.dir, "dumps", "demoshop-*.dump"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("written out before it was erased: %v, %v", kept, err)
	}
	if r := w.must(0, "history"); !strings.HasSuffix(done[0], "; a dump of it stays in "+kept[0]+" until somebody deletes it") || !strings.Contains(r.out, "erased; a dump of it stays in "+w.dir) {
		t.Errorf("purged: %v\n%s", done, r.out)
	}
	rowsIn(t, s.DSN(), "CREATE DATABASE restored")
	restored := s.DSNOf(postgrestest.Admin, postgrestest.Password, "restored")
	if out, err := exec.Command(filepath.Join(s.Programs(), "pg_restore"), "--no-owner", "--no-acl", "--exit-on-error", "--dbname="+restored, kept[0]).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if got := rowsIn(t, restored, "SELECT what FROM orders ORDER BY 1"); !slices.Equal(got, []string{"bread", "tea"}) {
		t.Errorf("rows of the dump: %v", got)
	}
	if got := databasesOf(t, s, "bakery"); len(got) != 2 {
		t.Errorf("of the other client: %v", got)
	}

	// A new client of the name gets an empty one of its own.
	w.commit(map[string]string{"clients/demoshop.yaml": onPostgres("demoshop")})
	w.active("demoshop")
	if again := site("demoshop"); again == at || len(rowsIn(t, again, "SELECT 1 FROM pg_tables WHERE tablename = 'orders'")) != 0 {
		t.Error("it is the database that was erased")
	}
}

// ownedAt is what a provider lists as this installation's.
func (w *world) ownedAt(name string) []provider.Object {
	w.t.Helper()
	kind := state.KindDatabase
	if name == "local" {
		kind = state.KindSite
	}
	all, err := w.vendor(name, kind).Owned(w.t.Context(), w.daemon.program.engine.Runner.Installation)
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

// P3: an answer of the server that is lost, whichever write it was of, leads to one database
// with an address that works; so does a process that dies then.
func TestP3PostgresAnswersAreLost(t *testing.T) {
	w, s := postgresWorld(t, map[string]string{})
	lost := 0
	w.calls.interfere(nil, func(c call) error {
		if c.Provider == "postgres" && c.Writes() && lost < 2 {
			lost++
			return &provider.Error{Kind: provider.Uncertain, Provider: "postgres", Op: c.Verb, Message: "the answer was lost"}
		}
		return nil
	})
	w.start()
	w.commit(map[string]string{"clients/demoshop.yaml": onPostgres("demoshop")})
	w.active("demoshop")
	w.commit(map[string]string{"clients/demoshop.yaml": onPostgres("demoshop", "disabledCollections: [orders]")})
	w.active("demoshop")
	if got := databasesOf(t, s, "demoshop"); lost != 2 || len(got) != 2 {
		t.Errorf("%d answers were lost; on the server: %v", lost, got)
	}
	for _, o := range w.ownedAt("local") {
		if o.Kind == state.KindSite {
			rowsIn(t, w.variable(o.ID, "DATABASE_URL"), "CREATE TABLE orders (id int)")
		}
	}
}

// A lost state is made anew from Git and the marks, the address of the database included.
func TestPostgresSurvivesALostState(t *testing.T) {
	w, _ := postgresWorld(t, map[string]string{"clients/demoshop.yaml": onPostgres("demoshop")})
	w.start()
	w.active("demoshop")
	before := w.ownedAt("postgres")
	w.stop()
	for _, f := range []string{"state.db", "state.db.marker"} {
		if err := os.Remove(filepath.Join(w.dir, f)); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	w.must(0, "rebuild")
	w.start()
	calm := w.calls.len()
	w.apply()
	if wrote := w.calls.writes(calm); slices.ContainsFunc(wrote, func(s string) bool { return strings.Contains(s, "database") }) {
		t.Errorf("the database was written: %v", wrote)
	}
	after := w.ownedAt("postgres")
	if len(before) != 1 || len(after) != 1 || after[0].ID != before[0].ID {
		t.Errorf("before %v, after %v", before, after)
	}
}

// A database that somebody made is adopted by its name, with its address as a secret: nothing
// of it is ever changed, and it stays when its client goes, also after its time.
func TestADatabaseOnPostgresIsAdopted(t *testing.T) {
	now := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	w, s := postgresWorld(t, map[string]string{})
	w.now = func() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return now }
	rowsIn(t, s.DSN(), "CREATE ROLE dana LOGIN PASSWORD 'zR4-dana-pw-9Qx'")
	rowsIn(t, s.DSN(), `CREATE DATABASE "Dana.shop_1" OWNER dana`)
	at := s.DSNOf("dana", "zR4-dana-pw-9Qx", "Dana.shop_1")
	rowsIn(t, at, "CREATE TABLE orders (what text)")
	rowsIn(t, at, "INSERT INTO orders VALUES ('tea')")
	is := func() string {
		t.Helper()
		return strings.Join(rowsIn(t, s.DSN(), "SELECT concat_ws('|', oid, datname, datdba, datacl, datallowconn, shobj_description(oid, 'pg_database')) FROM pg_database ORDER BY 1"), "\n") +
			strings.Join(rowsIn(t, s.DSN(), "SELECT concat_ws('|', oid, rolname, rolpassword, rolconnlimit) FROM pg_authid ORDER BY 1"), "\n")
	}
	before := is()
	w.start()
	if r := w.cliIn(at, "secret", "set", "database-url", "--client", "bakery", "--new"); r.code != 0 {
		t.Fatal(r.err)
	}
	manifest := func(more ...string) map[string]string {
		return map[string]string{"clients/bakery.yaml": onPostgres("bakery", append([]string{`adopt: {database: {id: Dana.shop_1}}`}, more...)...)}
	}
	env := "env: {DATABASE_URL: {secret: database-url}}"
	w.commit(manifest(env))
	w.active("bakery")
	w.commit(manifest(env, "disabledCollections: [orders]"))
	w.active("bakery")
	w.commit(map[string]string{"clients/bakery.yaml": ""})
	w.apply()
	w.mu.Lock()
	now = now.Add(100 * 24 * time.Hour)
	w.mu.Unlock()
	if done, err := w.daemon.program.engine.PurgeDue(t.Context()); err != nil || len(done) != 0 {
		t.Errorf("purged: %v %v", done, err)
	}
	if got := rowsIn(t, at, "SELECT what FROM orders"); !slices.Equal(got, []string{"tea"}) {
		t.Errorf("rows: %v", got)
	}
	if after := is(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

// Who asks for a database on a server that is not configured is told what to configure, and
// a block without an address is wrong.
func TestPostgresIsNotConfigured(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/demoshop.yaml": onPostgres("demoshop"), "templates/ecommerce.yaml": strings.Replace(shopTemplate, "kind: payload", "kind: none", 1)})
	w.start()
	w.apply()
	if r := w.why("demoshop"); !strings.Contains(r.Because+r.Next, "providers.postgres") {
		t.Errorf("because %q, next %q", r.Because, r.Next)
	}
	files := map[string]string{defaultConfigFile: "repository: {url: https://git.example/clients.git}\nproviders: {postgres: {host: db.example}}\n"}
	if _, err := configIn(t, nil, files); err == nil || !strings.Contains(err.Error(), "providers.postgres.dsn, or dsnFile, is missing") {
		t.Errorf("got %v", err)
	}
	files = map[string]string{defaultConfigFile: "repository: {url: https://git.example/clients.git}\nproviders: {postgres: {dsnFile: dsn, host: db.example, connectionLimit: 5}}\n",
		"dsn": (&url.URL{Scheme: "postgres", Host: "10.0.0.5", User: url.UserPassword("ops", "pssst")}).String() + "\n"}
	_, block, _ := strings.Cut(readAll(t, "../../README.md"), "  postgres:\n")
	block, _, _ = strings.Cut(block, "```")
	readme := strings.Replace("repository: {url: https://git.example/clients.git}\nproviders:\n  postgres:\n"+block, "/etc/reconciler/postgres-dsn", "dsn", 1)
	if c, err := configIn(t, nil, map[string]string{defaultConfigFile: readme, "dsn": files["dsn"]}); err != nil || c.Providers.Postgres.Host != "db.your-agency.example" || c.Providers.Postgres.ConnectionLimit != 20 || c.Providers.Postgres.Dumps != "/var/backups/erased" {
		t.Errorf("the README's block: %v", err)
	}
	for dumps, want := range map[string]struct {
		dir   string
		asked bool
	}{"": {"/srv/state/dumps", false}, ", dumps: none": {"", true}, ", dumps: /var/erased": {"/var/erased", true}} {
		text := strings.Replace(files[defaultConfigFile], ", connectionLimit: 5", dumps, 1) + "state: {path: /srv/state/state.db}\n"
		c, err := configIn(t, nil, map[string]string{defaultConfigFile: text, "dsn": files["dsn"]})
		if dir, asked := c.dumps(); err != nil || dir != want.dir || asked != want.asked {
			t.Errorf("dumps %q: %s, %t (%v)", dumps, dir, asked, err)
		}
	}
	c, err := configIn(t, nil, files)
	if p := c.Providers.Postgres; err != nil || p.DSN.Reveal() != "postgres://ops:pssst@10.0.0.5" || p.Host != "db.example" || p.ConnectionLimit != 5 {
		t.Errorf("read %v: %v", p, err)
	}
}
