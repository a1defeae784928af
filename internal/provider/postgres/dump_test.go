package postgres

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

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
	files := func() []string {
		t.Helper()
		all, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
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
	if len(kept) != 1 || !strings.HasPrefix(filepath.Base(kept[0]), "shop-0badcafe-2") {
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
