package bolt

import (
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	bbolt "go.etcd.io/bbolt"

	"github.com/compassdigital/reconciler/internal/store"
)

var update = flag.Bool("update", false, "write the golden files, and the newest schema's fixture where there is none")

// fixture is a state of one schema as a program wrote it, beside what it says as text.
// What is there is never written again: it is what somebody may still have.
func fixture(schema int, ext string) string {
	return filepath.Join("testdata", fmt.Sprintf("state-v%d.%s", schema, ext))
}

// TestEverySchemaOpens: a state of every schema that there ever was opens, is migrated, and
// is whole: each record is read as what it is, and nothing of it is lost as it is written
// again. It verifies, is written to and opens once more. An older program refuses it.
func TestEverySchemaOpens(t *testing.T) {
	newest := len(migrations())
	if _, err := os.Stat(fixture(newest, "db.gz")); errors.Is(err, fs.ErrNotExist) && *update {
		writeFixture(t, newest)
	}
	for schema := 1; schema <= newest; schema++ {
		t.Run(fmt.Sprint("schema ", schema), func(t *testing.T) {
			o := options(t)
			unzip(t, fixture(schema, "db.gz"), o.Path)
			if got := schemaOf(t, o.Path); got != schema {
				t.Fatalf("the fixture has schema %d", got)
			}
			s := mustOpen(t, o)
			if err := s.Verify(); err != nil {
				t.Error(err)
			}
			whole(t, s, schema == newest)
			got := said(t, s)
			if *update {
				if err := os.WriteFile(fixture(schema, "txt"), []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(fixture(schema, "txt"))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
			put(t, s, "later", "value")
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if got := schemaOf(t, o.Path); got != newest {
				t.Errorf("it was migrated to schema %d, want %d", got, newest)
			}
			mustOpen(t, o)
		})
	}
}

// TestOlderProgramRefuses: a newer file is refused, untouched, with both versions and what
// to do.
func TestOlderProgramRefuses(t *testing.T) {
	o := options(t)
	o.migrations = append(migrations(), migration{"a later one", func(store.Tx) error { return nil }})
	filled(t, o, 1)
	before, err := os.ReadFile(o.Path)
	if err != nil {
		t.Fatal(err)
	}
	o.migrations = nil
	_, err = Open(o)
	newest := len(migrations())
	if !errors.Is(err, ErrNewer) {
		t.Fatalf("open: %v", err)
	}
	for _, want := range []string{fmt.Sprintf("schema is %d", newest+1), fmt.Sprintf("up to %d", newest), "install that version again", "restore a backup"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if after, err := os.ReadFile(o.Path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("it was changed (%v)", err)
	}
	s := mustOpen(t, Options{Path: o.Path, Keys: o.Keys, Now: o.Now, NoSync: true, migrations: append(migrations(), migration{"a later one", func(store.Tx) error { return nil }})})
	backup := backupFile(t, s)
	if err := Restore(backup, filepath.Join(t.TempDir(), "state.db"), o.Keys); !errors.Is(err, ErrNewer) {
		t.Errorf("a newer backup: %v", err)
	}
}

// said is every record of a state as text.
func said(t *testing.T, s *Store) string {
	t.Helper()
	var b strings.Builder
	each(t, s, func(bucket, key string, data []byte) {
		fmt.Fprintf(&b, "%s %s\n    %s\n", bucket, strings.ReplaceAll(key, "\x00", "|"), data)
	})
	return b.String()
}

func schemaOf(t *testing.T, path string) int {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	schema := 0
	err = db.View(func(tx *bbolt.Tx) error {
		h, err := readHeader(tx)
		schema = h.Schema
		return err
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	return schema
}

func unzip(t *testing.T, from, to string) {
	t.Helper()
	f, err := os.Open(from)
	if err != nil {
		t.Fatalf("%v: make it with `go test ./internal/bolt -run TestEverySchemaOpens -update`, and commit it", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// writeFixture makes a state with a record of every kind. The key is the tests' own, and
// opens nothing else.
func writeFixture(t *testing.T, schema int) {
	t.Helper()
	s := mustOpen(t, options(t))
	if err := s.Update(everyRecord); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	err := s.db.View(func(tx *bbolt.Tx) error { _, err := tx.WriteTo(z); return err })
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll("testdata", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(fixture(schema, "db.gz"), b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
