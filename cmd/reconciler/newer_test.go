package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bbolt "go.etcd.io/bbolt"

	"github.com/compassdigital/reconciler/internal/bolt"
)

// newer writes into a state file that a program of a later schema wrote it.
func newer(t *testing.T, path string) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}()
	err = db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte("header"))
		text, _, _ := bytes.Cut(b.Get([]byte("header")), []byte("\n"))
		h := map[string]any{}
		if err := json.Unmarshal(text, &h); err != nil {
			return err
		}
		h["schema"] = h["schema"].(float64) + 1
		if text, err = json.Marshal(h); err != nil {
			return err
		}
		return b.Put([]byte("header"), fmt.Appendf(text, "\n%08x", crc32.ChecksumIEEE(text)))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// newerBackup makes of a backup one that a program of a later schema made.
func newerBackup(t *testing.T, path string) {
	t.Helper()
	parts := strings.SplitN(readAll(t, path), "\n", 3)
	info := map[string]any{}
	if err := json.Unmarshal([]byte(parts[1]), &info); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "state.db")
	if err := os.WriteFile(file, []byte(parts[2][:int(info["size"].(float64))]), 0o600); err != nil {
		t.Fatal(err)
	}
	newer(t, file)
	body := readAll(t, file)
	info["schema"], info["size"] = info["schema"].(float64)+1, len(body)
	head, err := json.Marshal(info)
	if err != nil {
		t.Fatal(err)
	}
	text := parts[0] + "\n" + string(head) + "\n" + body
	if err := os.WriteFile(path, fmt.Appendf([]byte(text), "%x\n", sha256.Sum256([]byte(text))), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestNewerStateIsRefused: whatever command comes to a state that a newer version wrote says so and what to
// do, and changes no byte of it, nor anything at a provider.
func TestNewerStateIsRefused(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery")})
	w.active("bakery")
	path, kept := w.state(), filepath.Join(t.TempDir(), "kept.db")
	w.must(0, "backup", kept)
	sound := readAll(t, path)
	t.Cleanup(func() { _ = os.WriteFile(path, []byte(sound), 0o600) }) // what looks for leaks opens it
	newer(t, path)
	newerBackup(t, kept)
	before, marker, world := readAll(t, path), readAll(t, bolt.Marker(path)), w.files()
	w.commit(map[string]string{"clients/bakery.yaml": manifestOf("bakery") + "env: {COLOUR: red}\n"})
	for _, args := range [][]string{{"status"}, {"run"}, {"apply"}, {"plan"}, {"why", "bakery"}, {"history", "bakery"}, {"retry", "bakery"},
		{"secret", "list"}, {"backup", filepath.Join(t.TempDir(), "state.backup")}, {"doctor"}, {"restore", kept, "--replace"}} {
		r := w.cli(args...)
		if r.code != 1 {
			t.Fatalf("%v: exit code %d, want 1\n%s%s", args, r.code, r.out, r.err)
		}
		said := r.out + r.err
		if !strings.Contains(said, "a newer version of this program wrote") || !strings.Contains(said, "install that version again") {
			t.Errorf("%v says\n%s", args, said)
		}
		if readAll(t, path) != before || readAll(t, bolt.Marker(path)) != marker {
			t.Fatalf("%v changed the state", args)
		}
	}
	for file, sum := range w.files() {
		if world[file] != sum {
			t.Errorf("%s was written", file)
		}
	}
	if err := os.WriteFile(path, []byte(sound), 0o600); err != nil {
		t.Fatal(err)
	}
	w.active("bakery")
}
