package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/secret"
)

// P10: the state is sealed under a new key, and that is all: nothing is written anywhere,
// nothing drifts, a secret stays what it is, and the old key opens the state no more.
func TestP10Rekey(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", "env: {MOLLIE_API_KEY: {secret: mollie}, SESSION_SECRET: {generate: hex32}}")})
	w.apply()
	w.plant("mollie", "mollie-9f27c1d4e8")
	if r := w.cliIn("mollie-9f27c1d4e8", "secret", "set", "mollie", "--client", "demoshop"); r.code != 0 {
		t.Fatal(r.err)
	}
	w.active("demoshop")
	prints := w.must(0, "secret", "list", "-o", "json").out
	backup := filepath.Join(w.dir, "older.backup")
	w.must(0, "backup", backup)
	key := filepath.Join(w.dir, "key")
	old := readAll(t, key)

	w.start()
	if r := w.cli("secret", "rekey"); r.code != 1 || !strings.Contains(r.err, "is held by") || readAll(t, key) != old {
		t.Errorf("while the daemon runs it ends with %d: %s", r.code, r.err)
	}
	w.stop()

	calls := w.calls.len()
	said := w.must(0, "secret", "rekey").out
	kept := key + ".before-"
	at := strings.Index(said, kept)
	if at < 0 {
		t.Fatalf("it does not say where the old key is: %s", said)
	}
	kept, _, _ = strings.Cut(said[at:], ". ")
	if readAll(t, kept) != old {
		t.Error("the old key is not kept")
	}
	w.apply()
	if got := w.must(0, "secret", "list", "-o", "json").out; got != prints {
		t.Errorf("fingerprints were\n%s\nand are\n%s", prints, got)
	}
	if got := w.calls.since(calls); len(got) > 0 {
		t.Errorf("providers were called: %v", got)
	}
	w.must(0, "drift")
	if got := w.calls.writes(calls); len(got) > 0 {
		t.Errorf("written: %v", got)
	}
	w.commit(map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", "env: {MOLLIE_API_KEY: {secret: mollie}, SESSION_SECRET: {generate: hex32}, STORE_CURRENCY: CHF}")})
	w.active("demoshop")

	if r := w.cli("restore", backup, "--replace"); r.code != 1 || !strings.Contains(r.err, secret.ErrWrongKey.Error()) {
		t.Errorf("an older backup under the new key: %d: %s", r.code, r.err)
	}
	if err := os.Rename(kept, key); err != nil {
		t.Fatal(err)
	}
	if r := w.cli("status"); r.code != 1 || !strings.Contains(r.err, secret.ErrWrongKey.Error()) {
		t.Errorf("the state under the old key: %d: %s", r.code, r.err)
	}
	w.must(0, "restore", backup, "--replace")
	w.apply()
	w.active("demoshop")
}

// A key that is not in a file, and a state that is not there, are refused.
func TestRekeyRefuses(t *testing.T) {
	w := newWorld(t, nil)
	if r := w.cli("secret", "rekey"); r.code != 1 || !strings.Contains(r.err, "there is no state at") {
		t.Errorf("without a state: %d: %s", r.code, r.err)
	}
	w.apply()
	config := filepath.Join(w.dir, defaultConfigFile)
	writeAll(t, config, strings.Replace(readAll(t, config), ", keyFile: key", "", 1))
	w.env["RECONCILER_STATE_KEY"] = readAll(t, filepath.Join(w.dir, "key"))
	if r := w.cli("secret", "rekey"); r.code != 1 || !strings.Contains(r.err, "state.keyFile") || strings.Contains(r.err, "sum ") {
		t.Errorf("with a key in the environment: %d: %s", r.code, r.err)
	}
}
