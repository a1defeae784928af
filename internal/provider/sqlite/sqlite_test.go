package sqlite

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// childDir makes the test binary create databases there until it is killed.
const childDir = "SQLITE_TEST_CHILD_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		createForEver(dir)
	}
	os.Exit(m.Run())
}

func createForEver(dir string) {
	p, err := New(Options{Dir: dir})
	for n := 0; err == nil; n++ {
		if _, err = p.Create(context.Background(), database(fmt.Sprintf("shop-%d", n), "ecommerce")); err == nil {
			fmt.Println(n)
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

var mark = provider.Mark{Installation: "0a1b2c3d", Client: "demoshop-1a2b3c", Generation: 1}

func database(name, schema string) provider.Wish {
	return provider.Wish{Ref: state.Ref{Client: "demoshop-1a2b3c", Kind: state.KindDatabase, Name: "main"}, Name: name, Mark: mark,
		Inputs: []provider.Input{{Name: "access", Text: "public"}, {Name: "disabled", Text: "orders,posts"}, {Name: "schema", Text: schema}}}
}

func administrator(name, db, email, password string) provider.Wish {
	s := state.NewSecret(password)
	return provider.Wish{Ref: state.Ref{Client: "demoshop-1a2b3c", Kind: state.KindAdmin, Name: "main"}, Name: name, Mark: mark,
		Inputs: []provider.Input{{Name: "database", Text: db}, {Name: "email", Text: email}, {Name: "password", Secret: &s}, {Name: "path", Text: "/admin"}, {Name: "site", Text: "site-1"}}}
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
	if left, _ := os.ReadDir(p.dir); len(left) != 0 {
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
	writer, err := open(p.path("shop"), true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := writer.Exec("INSERT INTO orders (number, email, total_cents) VALUES ('1001', 'kim@visitor.example', 4800)"); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
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
}

// P5: what can't be read is an error, never an absence.
func TestP5DamageIsNotAbsence(t *testing.T) {
	for name, harm := range map[string]func(path string) error{
		"empty": func(path string) error { return os.Truncate(path, 0) },
		"cut":   func(path string) error { return os.Truncate(path, 6000) },
		"nonsense": func(path string) error {
			return os.WriteFile(path, []byte(strings.Repeat("not a database ", 900)), 0o600)
		},
		"a folder":  func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
		"a link":    func(path string) error { return errors.Join(os.Remove(path), os.Symlink("/etc/hostname", path)) },
		"a copy":    func(path string) error { return os.Rename(filepath.Join(filepath.Dir(path), "other.db"), path) },
		"dead link": func(path string) error { return errors.Join(os.Remove(path), os.Symlink("nowhere", path)) },
	} {
		t.Run(name, func(t *testing.T) {
			p := open2(t, t.TempDir())
			o := create(t, p, database("shop", "ecommerce"))
			create(t, p, database("other", "blog"))
			if err := harm(p.path("shop")); err != nil {
				t.Fatal(err)
			}
			p = open2(t, p.dir)
			for _, q := range []provider.Query{{Kind: state.KindDatabase, ID: o.ID}, {Kind: state.KindDatabase, Name: "shop"}, {Kind: state.KindAdmin, ID: o.ID + "/1"}} {
				found, err := p.Observe(t.Context(), q)
				if len(found) != 0 {
					t.Errorf("found %v", found)
				}
				wantKind(t, err, provider.Invalid)
			}
			_, err := p.Owned(t.Context(), mark.Installation)
			wantKind(t, err, provider.Invalid)
			_, err = p.Create(t.Context(), database("shop", "ecommerce"))
			wantKind(t, err, provider.Invalid)
			_, err = p.Update(t.Context(), o.ID, database("shop", "ecommerce"))
			wantKind(t, err, provider.Invalid)
			wantKind(t, p.Delete(t.Context(), state.KindDatabase, o.ID), provider.Invalid)
			wantKind(t, p.Dump(t.Context(), o.ID, filepath.Join(t.TempDir(), "x")), provider.Invalid)
			if _, err := os.Lstat(p.path("shop")); err != nil {
				t.Errorf("the damaged file is gone: %v", err)
			}
		})
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

func TestAdministrators(t *testing.T) {
	dir := t.TempDir()
	p := open2(t, dir)
	db := create(t, p, database("shop", "ecommerce"))
	const password = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	w := administrator("shop", db.ID, "dana@demoshop.example", password)
	o := create(t, p, w)
	if !strings.HasPrefix(o.ID, db.ID+"/") {
		t.Errorf("id %q", o.ID)
	}
	hash := func() string {
		var h string
		if err := asSite(t, db).QueryRow("SELECT password_hash FROM users WHERE role = 'admin'").Scan(&h); err != nil {
			t.Fatal(err)
		}
		return h
	}
	if err := bcrypt.CompareHashAndPassword([]byte(hash()), []byte(password)); err != nil {
		t.Errorf("the password does not open the account: %v", err)
	}
	data, err := os.ReadFile(p.path("shop"))
	if err != nil || strings.Contains(string(data), password) { // P10
		t.Fatalf("the password is in the file (%v)", err)
	}
	_, err = p.Create(t.Context(), w)
	wantKind(t, err, provider.Conflict)

	p = open2(t, dir)
	for _, q := range []provider.Query{{Kind: state.KindAdmin, ID: o.ID}, {Kind: state.KindAdmin, Name: "shop"}, {Kind: state.KindAdmin, Name: "shop", Wish: &w}} {
		found := observe(t, p, q)
		if len(found) != 1 || found[0].ID != o.ID || found[0].Mark != mark || attribute(found[0], "email") != "dana@demoshop.example" || attribute(found[0], "password") != "" {
			t.Errorf("found %v", found)
		}
	}

	before := hash()
	changed, err := p.Update(t.Context(), o.ID, administrator("shop", db.ID, "kim@demoshop.example", "another password"))
	if err != nil || changed.ID != o.ID {
		t.Fatalf("%v %v", changed, err)
	}
	if err := bcrypt.CompareHashAndPassword([]byte(hash()), []byte("another password")); err != nil || hash() == before {
		t.Errorf("the password was not changed: %v", err)
	}
	for _, bad := range []provider.Wish{administrator("shop", db.ID, "no address", password), administrator("shop", db.ID, "a@b.example\r\nBcc: x@y.example", password),
		administrator("shop", db.ID, "dana@demoshop.example", strings.Repeat("p", 73)), administrator("shop", db.ID, "dana@demoshop.example", "short")} {
		_, err := p.Update(t.Context(), o.ID, bad)
		wantKind(t, err, provider.Invalid)
		if strings.Contains(err.Error(), password) {
			t.Error("the password is in the error")
		}
	}
	_, err = p.Create(t.Context(), administrator("shop", "nowhere.0a1b2c3d", "dana@demoshop.example", password))
	wantKind(t, err, provider.Invalid)

	for range 2 {
		if err := p.Delete(t.Context(), state.KindAdmin, o.ID); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(t, asSite(t, db), "SELECT count(*) FROM users"); n != 0 {
		t.Errorf("%d users left", n)
	}
	again := create(t, p, w)
	if again.ID == o.ID {
		t.Error("an administrator's id was used again")
	}
	if err := p.Delete(t.Context(), state.KindDatabase, db.ID); err != nil {
		t.Fatal(err)
	}
	if err := p.Delete(t.Context(), state.KindAdmin, again.ID); err != nil {
		t.Fatalf("the database is gone, and with it its administrators: %v", err)
	}
	if found := observe(t, p, provider.Query{Kind: state.KindAdmin, ID: again.ID}); len(found) != 0 {
		t.Errorf("found %v", found)
	}
}

// RuleOwnership: a user whom somebody else made is shown without a mark, and is never
// changed or deleted.
func TestRuleOwnershipOfUsers(t *testing.T) {
	p := open2(t, t.TempDir())
	db := create(t, p, database("shop", "blog"))
	writer, err := open(p.path("shop"), true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := writer.Exec("INSERT INTO users (email, password_hash) VALUES ('Dana@demoshop.example', 'theirs')"); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	w := administrator("shop", db.ID, "dana@demoshop.example", "correct horse")
	found := observe(t, p, provider.Query{Kind: state.KindAdmin, Name: "shop", Wish: &w})
	if len(found) != 1 || !found[0].Mark.IsZero() {
		t.Fatalf("found %v", found)
	}
	_, err = p.Create(t.Context(), w)
	wantKind(t, err, provider.Conflict)
	_, err = p.Update(t.Context(), found[0].ID, w)
	wantKind(t, err, provider.NotFound)
	if err := p.Delete(t.Context(), state.KindAdmin, found[0].ID); err != nil {
		t.Fatal(err)
	}
	if n := count(t, asSite(t, db), "SELECT count(*) FROM users WHERE password_hash = 'theirs'"); n != 1 {
		t.Error("their user is gone")
	}
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

// P8: a process that is killed while it makes databases leaves whole ones only.
func TestP8KilledWhileCreating(t *testing.T) {
	dir := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		sub := filepath.Join(dir, fmt.Sprint(round))
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), childDir+"="+sub)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		acknowledged := 0
		for lines := bufio.NewScanner(out); acknowledged < 3+round && lines.Scan(); {
			acknowledged++
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // says that it was killed
		p := open2(t, sub)
		entries, err := os.ReadDir(sub)
		if err != nil {
			t.Fatal(err)
		}
		if acknowledged < 3 || len(entries) < acknowledged {
			t.Fatalf("%d files of %d databases", len(entries), acknowledged)
		}
		for _, e := range entries {
			stem, ok := strings.CutSuffix(e.Name(), extension)
			if !ok {
				t.Errorf("left behind: %s", e.Name())
				continue
			}
			found := observe(t, p, provider.Query{Kind: state.KindDatabase, Name: stem})
			if len(found) != 1 || found[0].Mark != mark {
				t.Errorf("%s: found %v", stem, found)
				continue
			}
			if n := count(t, asSite(t, found[0]), "SELECT count(*) FROM schema_migrations"); n != len(versions("ecommerce")) {
				t.Errorf("%s: %d migrations", stem, n)
			}
		}
	}
}

// P8: what a killed process left half-done in a database is rolled back at the next
// start, so that the site can read it.
func TestP8AHotJournalIsRolledBack(t *testing.T) {
	dir := t.TempDir()
	p := open2(t, dir)
	o := create(t, p, database("shop", "ecommerce"))
	db, err := open(p.path("shop"), true)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("PRAGMA cache_size = 1"); err != nil { // so that pages reach the file before the commit
		t.Fatal(err)
	}
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	for n := range 200 {
		if _, err := tx.Exec("INSERT INTO products (slug, title, description, price_cents) VALUES (?, 'x', ?, 1)", fmt.Sprint(n), strings.Repeat("x", 2000)); err != nil {
			t.Fatal(err)
		}
	}
	copied := t.TempDir() // the disk as a killed process would leave it
	for _, f := range []string{"shop.db", "shop.db-journal"} {
		data, err := os.ReadFile(filepath.Join(dir, f))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(copied, f), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	p = open2(t, copied)
	if _, err := os.Stat(p.path("shop") + "-journal"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the journal is still there: %v", err)
	}
	found := observe(t, p, provider.Query{Kind: state.KindDatabase, ID: o.ID})
	if len(found) != 1 {
		t.Fatal("not found")
	}
	if n := count(t, asSite(t, found[0]), "SELECT count(*) FROM products"); n != 3 {
		t.Errorf("%d products", n)
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
