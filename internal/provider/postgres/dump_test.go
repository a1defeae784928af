package postgres

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// A dump holds the rows, and pg_restore reads it.
func TestDump(t *testing.T) {
	s := running(t)
	p := open(t, s)
	p.dumper = filepath.Join(s.Programs(), "pg_dump")
	o := create(t, p, wish("shop"))
	works(t, o)
	ask(t, urlOf(o), "INSERT INTO orders (what) SELECT 'order ' || n FROM generate_series(1, 1000) n")
	path := filepath.Join(t.TempDir(), "shop.dump")
	if err := p.Dump(t.Context(), o.ID, path); err != nil {
		t.Fatal(err)
	}
	back := create(t, p, wish("back"))
	restore := exec.Command(filepath.Join(s.Programs(), "pg_restore"), "--no-owner", "--no-acl", "--exit-on-error", "--dbname="+urlOf(back), path)
	if out, err := restore.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if n := ask(t, urlOf(back), "SELECT count(*)::text FROM orders"); n[0] != "1001" {
		t.Errorf("%s rows came back", n[0])
	}
	wantKind(t, p.Dump(t.Context(), o.ID, path), provider.Conflict) // over nothing
	wantKind(t, p.Dump(t.Context(), o.ID, filepath.Join(t.TempDir(), "no", "folder", "x")), provider.NotFound)
	wantKind(t, p.Dump(t.Context(), "shop-0badcafe.00000000", path+"2"), provider.NotFound)
	wantKind(t, p.Dump(t.Context(), o.ID, "a\x00b"), provider.Invalid)
	hostile := `host=evil.example dbname=x' "` // somebody else's, adopted
	ask(t, s.DSN(), "CREATE DATABASE "+identifier(hostile))
	if err := p.Dump(t.Context(), hostile, path+"3"); err != nil {
		t.Error(err)
	}
}

// Without the program, or with one that fails, there is no file, and the reason stands in
// the error, without a password.
func TestP10ADumpThatFails(t *testing.T) {
	s := running(t)
	dir := t.TempDir()
	p := open(t, s)
	o := create(t, p, wish("shop"))
	script := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil { //nolint:gosec // it is run
			t.Fatal(err)
		}
		return path
	}
	for name, x := range map[string]struct {
		program, says string
		want          provider.ErrorKind
	}{
		"none":      {"pg_dump-that-nobody-has", "postgresql-client", provider.Unsupported},
		"too old":   {script("older", "echo 'pg_dump (PostgreSQL) 9.6.24'\n"), "older than the server's", provider.Unsupported},
		"refuses":   {script("refuses", "echo \"pg_dump: error: server version: 99; pg_dump version: 1 $*\" >&2; echo \"password $PGPASSWORD\"; exit 1\n"), "server version: 99", provider.Transient},
		"dies":      {script("dies", "kill -9 $$\n"), "pg_dump failed", provider.Transient},
		"babbles":   {script("babbles", "yes \"$PGPASSWORD\" | head -c 1000000 >&2; exit 1\n"), "pg_dump failed", provider.Transient},
		"half-done": {script("half", "for a; do case $a in --file=*) echo half > \"${a#--file=}\";; esac; done; exit 1\n"), "pg_dump failed", provider.Transient},
	} {
		p.dumper = x.program
		out := t.TempDir()
		err := p.Dump(t.Context(), o.ID, filepath.Join(out, "shop.dump"))
		wantKind(t, err, x.want)
		quiet(t, err)
		if err == nil || !strings.Contains(err.Error(), x.says) || len(err.Error()) > 1000 {
			t.Errorf("%s: %v", name, err)
		}
		if left, e := os.ReadDir(out); e != nil || len(left) != 0 {
			t.Errorf("%s leaves %v (%v)", name, left, e)
		}
	}
	arguments := filepath.Join(dir, "arguments")
	p.dumper = script("tells", "echo \"$0 $*\" > "+arguments+"\n")
	if err := p.Dump(t.Context(), o.ID, filepath.Join(dir, "x.dump")); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(arguments); err != nil || strings.Contains(string(text), "pssst") || !strings.Contains(string(text), "--no-password") {
		t.Errorf("arguments: %s (%v)", text, err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	p.dumper = script("waits", "echo begun > "+arguments+".begun\nexec sleep 600\n")
	begun := make(chan error)
	go func() {
		begun <- until("the program", func() bool { _, err := os.Stat(arguments + ".begun"); return err == nil })
		cancel(why)
	}()
	ended := make(chan error)
	go func() { ended <- p.Dump(ctx, o.ID, filepath.Join(dir, "y.dump")) }()
	if err := <-begun; err != nil {
		t.Error(err)
	}
	err := <-ended
	wantKind(t, err, provider.Transient)
	if !errors.Is(err, why) {
		t.Errorf("the cause is lost: %v", err)
	}
	if left, e := filepath.Glob(filepath.Join(dir, ".dump-*")); e != nil || len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// The name that a database was dumped by is looked up as any other: what is half made is
// no database.
func TestNothingHalfMadeIsDumped(t *testing.T) {
	s := running(t)
	p := open(t, s)
	broken := open(t, s)
	breaks(broken, &fault{at: 9})
	if _, err := broken.Create(t.Context(), wish("half")); !errors.Is(err, errBroken) {
		t.Fatal(err)
	}
	n := parseNote(comment(t, "half-0badcafe"))
	for _, id := range []string{"half-0badcafe", "half-0badcafe." + n.id} {
		wantKind(t, p.Dump(t.Context(), id, filepath.Join(t.TempDir(), "x")), provider.NotFound)
		if err := p.Delete(t.Context(), state.KindDatabase, id); err != nil {
			t.Error(err)
		}
		if found := observe(t, p, provider.Query{ID: id}); len(found) != 0 {
			t.Errorf("%s shows: %v", id, found)
		}
	}
	if all, err := p.Owned(t.Context(), "0badcafe"); err != nil || len(all) != 0 {
		t.Errorf("listed: %v (%v)", all, err)
	}
	works(t, create(t, p, wish("half")))
}

// A database is written out before it is erased where there is a folder for that: its rows are in
// the archive, each erased database has its own, and what can't be written out is not erased.
// Nothing is written for what is not ours or not there.
func TestP5WrittenOutBeforeItIsErased(t *testing.T) {
	s := running(t)
	dir := filepath.Join(t.TempDir(), "erased")
	p, err := New(Options{DSN: state.NewSecret(s.DSN()), Key: state.NewSecret(testKey), PgDump: "pg_dump-that-nobody-has", Dumps: dir})
	if err != nil {
		t.Fatal(err)
	}
	files := func() []string { return filesIn(t, dir) }
	o := create(t, p, wish("shop"))
	works(t, o)
	ask(t, urlOf(o), "INSERT INTO orders (what) SELECT 'order ' || n FROM generate_series(1, 1000) n")
	wantKind(t, p.Delete(t.Context(), state.KindDatabase, o.ID), provider.Unsupported)
	if n := ask(t, urlOf(o), "SELECT count(*)::text FROM orders"); n[0] != "1001" || len(files()) != 0 {
		t.Fatalf("it has %s rows, and %v was written", n[0], files())
	}

	p.dumper = filepath.Join(s.Programs(), "pg_dump")
	if err := p.Delete(t.Context(), state.KindDatabase, o.ID); err != nil {
		t.Fatal(err)
	}
	if found := observe(t, p, provider.Query{ID: o.ID}); len(found) != 0 {
		t.Errorf("it is still there: %v", found)
	}
	kept := files()
	if len(kept) != 1 || !strings.HasPrefix(filepath.Base(kept[0]), o.ID+"-2") {
		t.Fatalf("written: %v", kept)
	}
	if err := p.Delete(t.Context(), state.KindDatabase, o.ID); err != nil || len(files()) != 1 {
		t.Errorf("erased again: %v, written: %v", err, files())
	}
	again := create(t, p, wish("shop"))
	restore := exec.Command(filepath.Join(s.Programs(), "pg_restore"), "--no-owner", "--no-acl", "--exit-on-error", "--dbname="+urlOf(again), kept[0])
	if out, err := restore.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if n := ask(t, urlOf(again), "SELECT count(*)::text FROM orders"); n[0] != "1001" {
		t.Errorf("%s rows came back", n[0])
	}
	if err := p.Delete(t.Context(), state.KindDatabase, again.ID); err != nil || len(files()) != 2 {
		t.Errorf("the second one: %v, written: %v", err, files())
	}
	ask(t, s.DSN(), "CREATE DATABASE theirs")
	wantKind(t, p.Delete(t.Context(), state.KindDatabase, "theirs"), provider.Conflict)
	if len(files()) != 2 {
		t.Errorf("written: %v", files())
	}
}

// A purge that fails after its dump is tried again, perhaps for weeks: the newest dump of a database
// takes the place of the one before, and what a killed process left half written goes, before the
// room for another one is looked at. Other databases' dumps stay.
func TestADumpOfEachTryWouldFillTheDisk(t *testing.T) {
	s := running(t)
	p := lesser(t, "ops")
	p.dumper, p.dumps = filepath.Join(s.Programs(), "pg_dump"), t.TempDir()
	o := create(t, p, wish("shop"))
	name, suffix, _ := cutID(o.ID)
	put := func(file string, age time.Duration) {
		t.Helper()
		path := filepath.Join(p.dumps, file)
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Now().Add(-age), time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	kept := []string{".dump-2", name + ".0badf00d-20260101T000000.000000Z.dump", name + "." + suffix + "-notes.dump", name + "-20260101T000000.000000Z.dump"}
	put(".dump-1", 25*time.Hour)
	put(kept[0], time.Hour)
	for _, file := range kept[1:] {
		put(file, 9000*time.Hour)
	}
	p.room = func(string) (uint64, bool) { return 1, true }
	wantKind(t, p.Delete(t.Context(), state.KindDatabase, o.ID), provider.Unsupported)
	if _, err := os.Lstat(filepath.Join(p.dumps, ".dump-1")); err == nil {
		t.Error("what was left takes the room of what is to come")
	}
	p.room = nil
	looks, err := pgx.Connect(t.Context(), strings.TrimSuffix(s.DSN(), "/postgres")+"/"+name)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		wantKind(t, p.Delete(t.Context(), state.KindDatabase, o.ID), provider.Transient) // somebody who may not be disconnected
	}
	if err := looks.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Delete(t.Context(), state.KindDatabase, o.ID); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(p.dumps)
	if err != nil {
		t.Fatal(err)
	}
	var ours []string
	for _, e := range entries {
		if !slices.Contains(kept, e.Name()) {
			ours = append(ours, e.Name())
		}
	}
	if len(ours) != 1 || !strings.HasPrefix(ours[0], o.ID+"-2") || len(entries) != 1+len(kept) {
		t.Errorf("written: %v, of %d", ours, len(entries))
	}
}

// Without a word about it a database is written out where a pg_dump is there, else it is erased
// without, and that is said; a disk without room keeps it, and so does a dump that fails. Whoever
// wants no dumps gets none.
func TestP5WrittenOutWhereItCanBe(t *testing.T) {
	s := running(t)
	dir := filepath.Join(t.TempDir(), "state", "dumps")
	free := uint64(1 << 40)
	var p *Provider
	p, err := New(Options{DSN: state.NewSecret(s.DSN()), Key: state.NewSecret(testKey), PgDump: filepath.Join(s.Programs(), "pg_dump"), Dumps: dir, GoesWithout: true,
		Room: func(of string) (uint64, bool) {
			if of != p.dumps {
				t.Errorf("the room of %s is asked for", of)
			}
			return free, free != 0
		}})
	if err != nil {
		t.Fatal(err)
	}
	erase := func(o provider.Object) (said string, err error) {
		t.Helper()
		ctx := provider.Listening(t.Context(), func(text string) { said += text })
		err = p.Delete(ctx, state.KindDatabase, o.ID)
		quiet(t, err)
		if there := len(observe(t, p, provider.Query{ID: o.ID})) == 1; there != (err != nil) {
			t.Errorf("it is there: %t, and Delete says: %v", there, err)
		}
		return said, err
	}
	files := func() []string { return filesIn(t, dir) }
	o := create(t, p, wish("shop"))
	works(t, o)

	// No room: the database's size counts, and what the disk keeps free.
	free = spare + uint64(observe(t, p, provider.Query{ID: o.ID})[0].Bytes)
	_, err = erase(o)
	wantKind(t, err, provider.Unsupported)
	if err == nil || !strings.Contains(err.Error(), "MB are left there; make room") || len(files()) != 0 {
		t.Errorf("%v; written: %v", err, files())
	}
	free = 0 // unknown
	refuses := filepath.Join(t.TempDir(), "pg_dump")
	if err := os.WriteFile(refuses, []byte("#!/bin/sh\necho \"pg_dump: error: could not write to output file: No space left on device\" >&2; exit 1\n"), 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	program := p.dumper
	p.dumper = refuses
	_, err = erase(o)
	wantKind(t, err, provider.Transient)
	if err == nil || !strings.Contains(err.Error(), "is not erased: pg_dump failed: pg_dump: error: could not write") || len(files()) != 0 {
		t.Errorf("%v; written: %v", err, files())
	}
	p.dumper, p.dumps = program, filepath.Join(refuses, "dumps") // below a file
	_, err = erase(o)
	wantKind(t, err, provider.Unsupported) // Denied would keep everybody from the server
	p.dumps = dir
	said, err := erase(o)
	kept := files()
	if err != nil || len(kept) != 1 || !strings.Contains(said, "a dump of it stays in "+kept[0]) {
		t.Fatalf("%v; said %q, written: %v", err, said, kept)
	}
	for path, want := range map[string]os.FileMode{dir: 0o700, kept[0]: 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, want %v", path, info.Mode(), want)
		}
	}
	if found := p.checkDumps(); len(found) != 1 || !found[0].OK || !strings.HasSuffix(found[0].Text, "deletes them: 1") {
		t.Errorf("a check says %+v", found)
	}

	// No program that works with the server, and nobody who asked for dumps.
	p.dumper = "pg_dump-that-nobody-has"
	if said, err := erase(create(t, p, wish("shop"))); err != nil || !strings.Contains(said, "no dump of it is left: pg_dump is not on this machine") || len(files()) != 1 {
		t.Errorf("%v; said %q, written: %v", err, said, files())
	}
	// Dumps are off.
	p.dumper, p.dumps = program, ""
	if said, err := erase(create(t, p, wish("shop"))); err != nil || said != "" || len(files()) != 1 {
		t.Errorf("%v; said %q, written: %v", err, said, files())
	}
}

// P5, P8: a DROP DATABASE that is broken off leaves a database that lets nobody connect, so that no
// dump can be made of it. The next Delete ends it, where dumps are asked for, too; before that, a
// look says so and gives no url. One that a sweep left is no obstacle to a create.
func TestP8ADropThatIsBrokenOff(t *testing.T) {
	s := running(t)
	p, err := New(Options{DSN: state.NewSecret(s.DSN()), Key: state.NewSecret(testKey), PgDump: filepath.Join(s.Programs(), "pg_dump"), Dumps: filepath.Join(t.TempDir(), "dumps")})
	if err != nil {
		t.Fatal(err)
	}
	// What the server itself writes before it begins to remove files.
	tear := func(name string) {
		ask(t, s.DSN(), "UPDATE pg_database SET datconnlimit = -2 WHERE datname = '"+name+"'")
	}
	o := create(t, p, wish("shop"))
	name, _, _ := cutID(o.ID)
	tear(name)
	found := observe(t, p, provider.Query{ID: o.ID})
	if len(found) != 1 || found[0].Phase != provider.Failed || urlOf(found[0]) != "" || !strings.Contains(found[0].Message, "broken off") {
		t.Errorf("a look shows %+v", found)
	}
	if all, err := p.Existing(t.Context()); err != nil || slices.ContainsFunc(all, func(x provider.Object) bool { return x.ID == o.ID }) {
		t.Errorf("it is offered to adopt: %v (%v)", all, err)
	}
	if err := p.Delete(t.Context(), state.KindDatabase, o.ID); err != nil {
		t.Fatal(err)
	}
	if databases, roles := there(t, name); len(databases)+len(roles) != 0 {
		t.Errorf("left: %v %v", databases, roles)
	}
	if kept := filesIn(t, p.dumps); len(kept) != 0 {
		t.Errorf("written: %v", kept)
	}

	half := open(t, s)
	breaks(half, &fault{at: 9})
	if _, err := half.Create(t.Context(), wish("half")); !errors.Is(err, errBroken) {
		t.Fatal(err)
	}
	tear("half-0badcafe")
	works(t, create(t, p, wish("half")))
}

// filesIn lists what is in a folder.
func filesIn(t *testing.T, dir string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return all
}
