package bolt

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	bbolt "go.etcd.io/bbolt"

	"github.com/compassdigital/reconciler/internal/journal"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

var update = flag.Bool("update", false, "write the golden files, and the newest schema's fixture where there is none")

// fixture is a state of one schema as a program wrote it, beside what it says as text.
// What is there is never written again: it is what somebody may still have.
func fixture(schema int, ext string) string {
	return filepath.Join("testdata", fmt.Sprintf("state-v%d.%s", schema, ext))
}

// TestEverySchemaOpens: a state of every schema that there ever was opens, is migrated, and
// is whole; it verifies, is written to and opens once more. An older program refuses it.
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
			for _, name := range store.Buckets() {
				if schema < newest {
					break // it has what there was then
				}
				if !strings.Contains(got, "\n"+name+" ") && !strings.HasPrefix(got, name+" ") {
					t.Errorf("nothing in bucket %s: a fixture has a record of every kind", name)
				}
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
	err := s.View(func(tx store.Tx) error {
		for _, name := range store.Buckets() {
			err := tx.Each(name, "", func(key string, decode func(any) error) error {
				var v json.RawMessage
				if err := decode(&v); err != nil {
					return err
				}
				fmt.Fprintf(&b, "%s %s\n    %s\n", name, strings.ReplaceAll(key, "\x00", "|"), v)
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
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

// everyRecord writes one record, at least, of every kind.
func everyRecord(tx store.Tx) error {
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	id := state.ClientID("demoshop-1a2b3c")
	ref := func(k state.Kind, name string) state.Ref { return state.Ref{Client: id, Kind: k, Name: name} }
	secret := state.SecretRef{Scope: string(id), Name: "mollie", Version: 2, Fingerprint: "0123456789ab"}
	site := state.Resource{Ref: ref(state.KindSite, "ploi/web-1"), Provider: "ploi", ID: "48211", Name: "demoshop-1a2b3c-00c0ffee", Generation: 1, Run: "run-1", Commit: "4f1c",
		Attributes: state.NewAttributes(map[string]state.Value{"label": state.Lit("demoshop"), "server": state.Lit("web-1")}), Outputs: map[string]state.Value{"id": state.Lit("48211"), "host": state.Lit("demoshop.ploi.example")}, UpdatedAt: at}
	env := state.Resource{Ref: ref(state.KindEnvironment, "ploi/web-1"), Provider: "ploi", ID: "env-1", Generation: 1, After: []state.Ref{site.Ref},
		Attributes: state.NewAttributes(map[string]state.Value{"site": state.OutputOf(site.Ref, "id"), "env.KEY": state.SecretValue(secret)})}
	kept := state.Resource{Ref: ref(state.KindDatabase, "main"), Provider: "railway", ID: "db-1", Generation: 1, RetainedAt: at, PurgeAfter: at.Add(30 * 24 * time.Hour)}
	claim := state.Claim{Key: "host:demoshop.example", Client: id, Since: "4f1c"}
	hold := state.Hold{Fingerprint: "9f3a51c20b7e", Kind: state.HoldGuard, Clients: []state.ClientID{id}, Commit: "4f1c", Reason: "Removals wait.", Act: "Approve it.", Approvable: true, At: at}
	errs := []error{
		store.PutInstallation(tx, state.Installation{ID: "00c0ffee", CreatedAt: at, Epoch: 1}),
		store.PutBaseline(tx, state.Baseline{Repository: "https://git.example/clients.git", Branch: "main", Path: "clients", Head: "4f1c", Root: "0001", Seq: 7, At: at,
			Platform: &state.File{Path: "platform.yaml", Blob: "b1", Data: []byte("kind: Platform\n")}, Templates: []state.File{{Path: "templates/shop.yaml", Blob: "b2", Data: []byte("kind: Template\n")}}, Version: "0.1.0"}),
		store.PutClient(tx, state.Client{ID: id, Generation: 1, Name: "demoshop", Former: []string{"shop"}, Path: "clients/demoshop.yaml", Blob: "b3", Manifest: []byte("kind: Client\n"), Commit: "4f1c", Seq: 7,
			TemplateBlob: "b2", PlatformBlob: "b1", WishHash: "w1", Status: state.StatusActive, Settled: true, EverDeployed: true, Health: state.Healthy, URL: "https://demoshop.example", CreatedAt: at}),
		store.PutResource(tx, site), store.PutResource(tx, env), store.PutResource(tx, kept),
		store.PutTombstone(tx, state.Tombstone{Client: id, Name: "demoshop", Part: "record/MX demoshop.example", Commit: "4f1c", At: at, Held: hold.Fingerprint}),
		store.PutHold(tx, hold), store.PutApproval(tx, state.Approval{Fingerprint: hold.Fingerprint, By: "dana", At: at}), store.PutClaim(tx, claim),
		store.PutIntent(tx, journal.Intent{Key: site.Ref.String(), Run: "run-2", Op: journal.OpUpdate, Ref: site.Ref, Provider: "ploi", ObjectID: "48211", Wish: &site, Prior: &site, At: at}),
		store.PutDeployment(tx, state.Deployment{ID: "20261124-120000-abcdef-demoshop-1a2b3c", Client: id, Name: "demoshop", Commit: "4f1c", Cause: "commit", State: "succeeded", Started: at, Ended: at.Add(time.Minute)}),
		store.PutVerdict(tx, state.Verdict{Commit: "4f1c", Seq: 7, At: at, Clients: map[state.ClientID]string{id: "succeeded"}, State: "success", Ended: at}),
		store.PutSecret(tx, store.SecretRecord{Ref: secret, Text: []byte("invented"), At: at, By: "dana", From: "set"}),
		store.PutLastRun(tx, "purge", at),
		store.PutPull(tx, state.Pull{Number: 7, Title: "Add demoshop", Author: "dana", URL: "https://git.example/pull/7", Merged: true, MergeCommit: "4f1c", Head: "4f1b", HeadAt: at, Planned: "4f1b", Base: "4f1a",
			PlannedAt: at, Files: map[string]string{"clients/demoshop.yaml": "b3"}, Clients: []state.PullClient{{Name: "demoshop", Hosts: []string{"demoshop.example"}}}, Comment: 11, Result: 12, Accepted: []string{"4f1c"}}),
		store.PutPullPlan(tx, 7, []byte("packed")), store.PutPullSince(tx, 7, []byte("packed before")),
		store.PutCommand(tx, state.Command{Comment: 13, Pull: 7, Head: "4f1b", By: "dana", Text: "plan", At: at, Outcome: "done"}), store.PutCommentsSeen(tx, at),
		store.PutLooked(tx, state.Looked{Client: id, At: at, Tried: at, Seq: 7, Rows: []state.Drift{{Ref: site.Ref, Field: "label", Before: "demoshop", After: "demo"}}}),
	}
	_, err := store.AddLog(tx, state.LogLine{Deployment: "20261124-120000-abcdef-demoshop-1a2b3c", At: at, Step: "create site", Text: "made"})
	errs = append(errs, err)
	_, err = store.AddHistory(tx, state.Entry{At: at, Client: id, Name: "demoshop", Commit: "4f1c", What: "accepted", Text: "clients/demoshop.yaml is new"})
	errs = append(errs, err)
	_, err = store.AddReport(tx, state.Report{Subject: "commit/4f1c", State: "success", Text: "1 client is up to date", At: at})
	return errors.Join(append(errs, err)...)
}
