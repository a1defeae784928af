package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

var mark = provider.Mark{Installation: "0a1b2c3d", Client: "demoshop-1a2b3c", Generation: 1}

func database(name, schema string) provider.Wish {
	return provider.Wish{Ref: state.Ref{Client: "demoshop-1a2b3c", Kind: state.KindDatabase, Name: "main"}, Name: name, Mark: mark,
		Inputs: []provider.Input{{Name: "access", Text: "public"}, {Name: "disabled", Text: "orders,posts"}, {Name: "schema", Text: schema}}}
}

func open2(t *testing.T, dir string) *Provider {
	t.Helper()
	p, err := New(Options{Dir: dir, Now: func() time.Time { return time.Unix(1_800_000_000, 0) }})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func create(t *testing.T, p *Provider, w provider.Wish) provider.Object {
	t.Helper()
	o, err := p.Create(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func observe(t *testing.T, p *Provider, q provider.Query) []provider.Object {
	t.Helper()
	found, err := p.Observe(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func wantKind(t *testing.T, err error, kind provider.ErrorKind) {
	t.Helper()
	var e *provider.Error
	if !errors.As(err, &e) || e.Kind != kind {
		t.Fatalf("got %v, want an error of kind %s", err, kind)
	}
}

// asSite opens the database as the client's site does, from the url alone.
func asSite(t *testing.T, o provider.Object) *sql.DB {
	t.Helper()
	for _, out := range o.Outputs {
		if out.Name != "url" {
			continue
		}
		if out.Secret == nil {
			t.Fatal("the url is not a secret")
		}
		u, err := url.Parse(out.Secret.Reveal())
		if err != nil || u.Scheme != "file" {
			t.Fatalf("url does not parse: %v", err)
		}
		dsn := url.URL{Scheme: "file", OmitHost: true, Path: u.Path, RawQuery: "mode=ro"}
		db, err := sql.Open("sqlite", dsn.String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		return db
	}
	t.Fatal("no url")
	return nil
}

func count(t *testing.T, db *sql.DB, query string) int {
	t.Helper()
	var n int
	if err := db.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

func attribute(o provider.Object, name string) string {
	for _, a := range o.Attributes {
		if a.Name == name {
			return a.Reveal()
		}
	}
	return ""
}

func TestADatabaseIsAFileThatASiteOpens(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b?c#d%20")
	p := open2(t, dir)
	for template, tables := range map[string][]string{
		"ecommerce": {"products", "orders", "posts", "pages", "users"}, "blog": {"posts", "authors", "pages"}, "b2b": {"products", "companies", "cases"},
		"portfolio": {"cases", "posts"}, "corporate": {"services", "cases"}, "bakery": {"pages", "users"},
	} {
		db := asSite(t, create(t, p, database("shop-"+template, template)))
		for _, table := range tables {
			if n := count(t, db, "SELECT count(*) FROM "+table); table == "pages" && n == 0 {
				t.Errorf("%s: no page to begin with", template)
			}
		}
		if n := count(t, db, "SELECT count(*) FROM schema_migrations"); n != len(versions(template)) {
			t.Errorf("%s: %d migrations, want %d", template, n, len(versions(template)))
		}
	}
}

func TestALostStateIsRebuiltFromTheFiles(t *testing.T) {
	dir := t.TempDir()
	first := open2(t, dir)
	made := create(t, first, database("demoshop-1a2b3c-0a1b2c3d", "ecommerce"))
	admin := create(t, first, administrator("demoshop-1a2b3c-0a1b2c3d", made.ID, "dana@demoshop.example", "correct horse"))
	other := database("other", "blog")
	other.Mark.Installation = "ffffffff"
	create(t, first, other)

	owned, err := open2(t, dir).Owned(t.Context(), mark.Installation)
	if err != nil {
		t.Fatal(err)
	}
	if len(owned) != 2 || owned[0].ID != made.ID || owned[1].ID != admin.ID {
		t.Fatalf("owned: %v", owned)
	}
	for _, o := range owned {
		if o.Mark != mark {
			t.Errorf("%s: mark %v", o.ID, o.Mark)
		}
	}
	for name, want := range map[string]string{"access": "public", "disabled": "orders,posts", "schema": "ecommerce"} {
		if got := attribute(owned[0], name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if owned, err := open2(t, dir).Owned(t.Context(), ""); err != nil || len(owned) != 0 {
		t.Errorf("nobody's: %v, %v", owned, err)
	}
}

// P3: a second create of a name conflicts, whoever sends it, and changes nothing.
func TestP3CreateNeverOverwrites(t *testing.T) {
	dir := t.TempDir()
	p := open2(t, dir)
	made := create(t, p, database("shop", "blog"))
	before, err := os.ReadFile(p.path("shop"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = open2(t, dir).Create(t.Context(), database("shop", "ecommerce"))
	wantKind(t, err, provider.Conflict)
	after, err := os.ReadFile(p.path("shop"))
	if err != nil || string(before) != string(after) {
		t.Fatalf("the file changed (%v)", err)
	}
	if found := observe(t, p, provider.Query{Kind: state.KindDatabase, Name: "shop"}); len(found) != 1 || found[0].ID != made.ID {
		t.Fatalf("found %v", found)
	}
	var wg sync.WaitGroup
	won := make(chan string, 8)
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			o, err := p.Create(t.Context(), database("raced", "blog"))
			if err == nil {
				won <- o.ID
			} else if provider.KindOf(err) != provider.Conflict {
				t.Error(err)
			}
		}()
	}
	wg.Wait()
	if len(won) != 1 {
		t.Fatalf("%d creates of one name succeeded", len(won))
	}
	if found := observe(t, p, provider.Query{Kind: state.KindDatabase, Name: "raced"}); len(found) != 1 || found[0].ID != <-won {
		t.Fatalf("found %v", found)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, newPrefix+"*")); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
}

// P5: what is made again under the name of a deleted database can't pass for it.
func TestP5AnIDIsNeverUsedTwice(t *testing.T) {
	p := open2(t, t.TempDir())
	first := create(t, p, database("shop", "blog"))
	journal := p.path("shop") + "-journal"
	if err := os.WriteFile(journal, []byte("left"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := p.Delete(t.Context(), state.KindDatabase, first.ID); err != nil {
			t.Fatal(err)
		}
	}
	if left, _ := filepath.Glob(p.path("*") + "*"); len(left) != 0 {
		t.Fatalf("left: %v", left)
	}
	second := create(t, p, database("shop", "blog"))
	if second.ID == first.ID {
		t.Fatal("the same id again")
	}
	if found := observe(t, p, provider.Query{Kind: state.KindDatabase, ID: first.ID}); len(found) != 0 {
		t.Errorf("the first is back: %v", found)
	}
	if err := p.Delete(t.Context(), state.KindDatabase, first.ID); err != nil {
		t.Fatal(err)
	}
	if found := observe(t, p, provider.Query{Kind: state.KindDatabase, ID: second.ID}); len(found) != 1 {
		t.Error("deleting the first by its id deleted the second")
	}
	_, err := p.Update(t.Context(), first.ID, database("shop", "blog"))
	wantKind(t, err, provider.NotFound)
}

func TestUpdateAddsTablesAndKeepsRows(t *testing.T) {
	p := open2(t, t.TempDir())
	o := create(t, p, database("shop", "ecommerce"))
	execute(t, p.path("shop"), "INSERT INTO orders (number, email, total_cents) VALUES ('1001', 'kim@visitor.example', 4800)")
	products := count(t, asSite(t, o), "SELECT count(*) FROM products")
	w := database("shop", "b2b")
	w.Inputs[0].Text = "private"
	changed, err := p.Update(t.Context(), o.ID, w)
	if err != nil {
		t.Fatal(err)
	}
	if changed.ID != o.ID || attribute(observe(t, p, provider.Query{Kind: state.KindDatabase, ID: o.ID})[0], "access") != "private" {
		t.Errorf("changed to %v", changed)
	}
	db := asSite(t, changed)
	if n := count(t, db, "SELECT count(*) FROM orders"); n != 1 {
		t.Errorf("%d orders", n)
	}
	if n := count(t, db, "SELECT count(*) FROM products"); n != products {
		t.Errorf("%d products, had %d: rows were invented beside real ones", n, products)
	}
	if n := count(t, db, "SELECT count(*) FROM cases"); n == 0 {
		t.Error("the new template's tables are not there")
	}
}

// A database that another client takes over is found by its new name.
func TestADatabaseMovesToAnotherName(t *testing.T) {
	dir := t.TempDir()
	p := open2(t, dir)
	o := create(t, p, database("former", "blog"))
	create(t, p, database("taken", "blog"))
	w := database("newer", "blog")
	w.Mark.Client = "newer"
	if _, err := p.Update(t.Context(), o.ID, w); err != nil {
		t.Fatal(err)
	}
	p = open2(t, dir)
	if found := observe(t, p, provider.Query{Kind: state.KindDatabase, Name: "newer"}); len(found) != 1 || found[0].ID != o.ID || found[0].Mark.Client != "newer" {
		t.Fatalf("found %v", found)
	}
	if found := observe(t, p, provider.Query{Kind: state.KindDatabase, Name: "former"}); len(found) != 0 {
		t.Fatalf("found under its former name: %v", found)
	}
	_, err := p.Create(t.Context(), database("newer", "blog"))
	wantKind(t, err, provider.Conflict)
	_, err = p.Update(t.Context(), o.ID, database("taken", "blog"))
	wantKind(t, err, provider.Conflict)
	_, err = p.Create(t.Context(), database("former", "blog")) // its file is in use
	wantKind(t, err, provider.Conflict)

	// P6: a damaged file of somebody else stops nobody.
	if err := os.Truncate(p.path("taken"), 100); err != nil {
		t.Fatal(err)
	}
	create(t, p, database("third", "blog"))
	if err := p.Delete(t.Context(), state.KindDatabase, o.ID); err != nil {
		t.Fatal(err)
	}
	create(t, p, database("former", "blog"))
	if left, err := os.ReadDir(filepath.Join(dir, movedDir)); err != nil || len(left) != 0 {
		t.Errorf("left: %v (%v)", left, err)
	}
}

func TestNamesAreNoPaths(t *testing.T) {
	outer := t.TempDir()
	dir := filepath.Join(outer, "inner")
	p := open2(t, dir)
	for _, name := range []string{"../up", "/etc/passwd", "a/b", "..", ".new-1", "UPPER", "a\x00b", "x-0123", strings.Repeat("n", 300), "käse"} {
		o := create(t, p, database(name, "blog"))
		if found := observe(t, p, provider.Query{Kind: state.KindDatabase, Name: name}); len(found) != 1 || found[0].ID != o.ID || found[0].Name != name {
			t.Errorf("%q: found %v", name, found)
		}
		if err := p.Delete(t.Context(), state.KindDatabase, o.ID); err != nil {
			t.Error(err)
		}
	}
	secret := filepath.Join(outer, "up.db")
	if err := os.WriteFile(secret, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"../up", "../up.0a1b2c3d", "inner/../../up", "", ".", "..", "a.b.c", "/"} {
		if id != "" {
			if found := observe(t, p, provider.Query{Kind: state.KindDatabase, ID: id}); len(found) != 0 {
				t.Errorf("%q: found %v", id, found)
			}
		}
		if err := p.Delete(t.Context(), state.KindDatabase, id); err != nil {
			t.Error(err)
		}
		if err := p.Delete(t.Context(), state.KindAdmin, id+"/1"); err != nil {
			t.Error(err)
		}
	}
	if data, err := os.ReadFile(secret); err != nil || string(data) != "mine" {
		t.Fatalf("a file outside the folder was touched: %v", err)
	}
	for _, bad := range []provider.Wish{database("", "blog"), database(strings.Repeat("n", maxName+1), "blog"), database("ok", "no such; DROP"), database("ok", strings.Repeat("s", 65))} {
		_, err := p.Create(t.Context(), bad)
		wantKind(t, err, provider.Invalid)
	}
}

func execute(t *testing.T, path, statements string) {
	t.Helper()
	db, err := open(path, true)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec(statements)
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// RuleAdoption: a file that somebody else put here bears no mark until it is adopted;
// its tables stay as they are, however often it is updated.
func TestRuleAdoptionOfAFile(t *testing.T) {
	dir := t.TempDir()
	p := open2(t, dir)
	if err := os.WriteFile(p.path("theirs"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	execute(t, p.path("theirs"), "CREATE TABLE users (login TEXT); CREATE TABLE pages (words TEXT)")
	found := observe(t, p, provider.Query{Kind: state.KindDatabase, ID: "theirs"})
	if len(found) != 1 || !found[0].Mark.IsZero() || len(found[0].Attributes) != 0 {
		t.Fatalf("found %v", found)
	}
	_, err := p.Create(t.Context(), database("theirs", "blog"))
	wantKind(t, err, provider.Conflict)
	for range 2 {
		o, err := p.Update(t.Context(), "theirs", database("demoshop-1a2b3c-0a1b2c3d", "blog"))
		if err != nil || o.ID != "theirs" {
			t.Fatalf("%v %v", o, err)
		}
	}
	p = open2(t, dir)
	found = observe(t, p, provider.Query{Kind: state.KindDatabase, Name: "demoshop-1a2b3c-0a1b2c3d"})
	if len(found) != 1 || found[0].ID != "theirs" || found[0].Mark != mark {
		t.Fatalf("found %v", found)
	}
	db := asSite(t, found[0])
	if n := count(t, db, "SELECT count(words) FROM pages") + count(t, db, "SELECT count(*) FROM sqlite_schema WHERE name = 'posts'"); n != 0 {
		t.Error("the adopted database was filled")
	}
	_, err = p.Create(t.Context(), administrator("x", "theirs", "dana@demoshop.example", "correct horse"))
	wantKind(t, err, provider.Invalid)
}

func TestDump(t *testing.T) {
	p := open2(t, t.TempDir())
	o := create(t, p, database("shop", "ecommerce"))
	dir := t.TempDir()
	to := filepath.Join(dir, "shop's copy?.db")
	if err := p.Dump(t.Context(), o.ID, to); err != nil {
		t.Fatal(err)
	}
	db, err := open(to, false)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if n := count(t, db, "SELECT count(*) FROM products"); n == 0 {
		t.Error("the copy is empty")
	}
	if info, err := os.Stat(to); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	wantKind(t, p.Dump(t.Context(), o.ID, to), provider.Conflict)
	wantKind(t, p.Dump(t.Context(), "nobody.0a1b2c3d", filepath.Join(dir, "y")), provider.NotFound)
	wantKind(t, p.Dump(t.Context(), o.ID, filepath.Join(dir, "none", "y")), provider.NotFound)
	given, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Dump(given, o.ID, filepath.Join(dir, "z")); err == nil {
		t.Error("a call that was given up succeeded")
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

func TestOtherKindsAndCallsGivenUp(t *testing.T) {
	p := open2(t, t.TempDir())
	_, err := p.Observe(t.Context(), provider.Query{Kind: state.KindSite, Name: "x"})
	wantKind(t, err, provider.Unsupported)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = p.Create(ctx, database("shop", "blog"))
	wantKind(t, err, provider.Transient)
	if found := observe(t, p, provider.Query{Kind: state.KindDatabase, Name: "shop"}); len(found) != 0 {
		t.Errorf("found %v", found)
	}
}
