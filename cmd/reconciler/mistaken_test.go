package main

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/daemon"
)

// The state's own file, or its key, is named as the file of a backup: it stays what it is.
func TestABackupDoesNotReplaceTheState(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery")})
	w.apply()
	for _, name := range []string{"state.db", "key", defaultConfigFile} {
		if r := w.cli("backup", filepath.Join(w.dir, name)); r.code != exitFailed || !strings.Contains(r.err, "name another file") {
			t.Errorf("backup %s: exit code %d\n%s%s", name, r.code, r.out, r.err)
		}
	}
	w.must(0, "status")
	w.active("bakery")
}

// A link to a checkout is a checkout: it is not a tree without clients.
func TestPlanOfALinkedFolder(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery")})
	w.apply()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(w.work, link); err != nil {
		t.Fatal(err)
	}
	if r := w.must(0, "plan", "--dir", link, "--detailed-exitcode"); !strings.Contains(r.out, "No changes") {
		t.Errorf("the plan of a checkout behind a link:\n%s", r.out)
	}
	conf, err := loadConfig(filepath.Join(w.dir, defaultConfigFile), func(k string) string { return w.env[k] })
	if err != nil {
		t.Fatal(err)
	}
	tree, err := readTree(link, conf)
	if err != nil || len(tree.Files) != 2 {
		t.Errorf("adopt finds %d files behind the link: %v", len(tree.Files), err)
	}
}

// P10: a script's empty variable, or a --new without a client, does not make one client's secret
// everybody's.
func TestASecretOfNobodyIsNotEverybodys(t *testing.T) {
	w := newWorld(t, nil)
	w.apply()
	if r := w.cliIn("live_key_of_all", "secret", "set", "mollie"); r.code != 0 {
		t.Fatalf("%d %s", r.code, r.err)
	}
	for _, args := range [][]string{{"set", "mollie", "--client", ""}, {"set", "mollie", "--new"}, {"rm", "mollie", "--client="}, {"rm", "mollie", "--new"}, {"list", "--client", ""}} {
		if r := w.cliIn("live_key_of_one", append([]string{"secret"}, args...)...); r.code != exitUsage || !strings.Contains(r.err, "--client") {
			t.Errorf("secret %q: exit code %d\n%s%s", args, r.code, r.out, r.err)
		}
	}
	if r := w.must(0, "secret", "list"); !strings.Contains(r.out, "everybody  mollie  1") {
		t.Errorf("everybody's:\n%s", r.out)
	}
}

// A demo leaves an installation's folder alone: its configuration holds what nobody has elsewhere.
func TestADemoLeavesAnInstallationAlone(t *testing.T) {
	w := newWorld(t, nil)
	w.apply()
	before, err := os.ReadDir(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	was := readAll(t, filepath.Join(w.dir, defaultConfigFile))
	state := t.TempDir() // its configuration is elsewhere
	writeAll(t, filepath.Join(state, "state.db"), readAll(t, filepath.Join(w.dir, "state.db")))
	if err := (&demoOptions{}).choose(state); err == nil {
		t.Error("a demo begins on an installation's state")
	}
	for _, providers := range []string{"embedded", "simulated"} {
		a := w.app(io.Discard, io.Discard)
		if err := (&demoOptions{providers: providers}).choose(w.dir); err == nil {
			t.Errorf("%s: a demo begins in %s", providers, w.dir)
		}
		if code := a.run(t.Context(), []string{"demo", "--data", w.dir, "--providers", providers, "--listen", "here"}); code != exitUsage {
			t.Errorf("%s: exit code %d", providers, code)
		}
	}
	after, err := os.ReadDir(w.dir)
	if err != nil || len(after) != len(before) || readAll(t, filepath.Join(w.dir, defaultConfigFile)) != was {
		t.Errorf("its folder: %v %v", after, err)
	}
}

// A daemon whose /tmp is its own writes a copy where nobody else sees it: that is no copy.
func TestACopyThatIsNowhereIsTold(t *testing.T) {
	w := newWorld(t, nil)
	dir := t.TempDir()
	l, err := daemon.Listen(filepath.Join(w.dir, "state.db.sock"))
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(rw, "null\n") // done, it says
	})}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), <-ended); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	old := filepath.Join(dir, "old.backup")
	writeAll(t, old, "reconciler-backup/1\n")
	for _, args := range [][]string{{"backup", filepath.Join(dir, "new.backup")}, {"backup", old}, {"dump", "bakery", filepath.Join(dir, "bakery.db")}} {
		if r := w.cli(args...); r.code != exitFailed || !strings.Contains(r.err, "PrivateTmp") {
			t.Errorf("%s: exit code %d\n%s%s", args, r.code, r.out, r.err)
		}
	}
}

// The data of a removed client is not its namesake's: `retained` shows the name by which commands
// find it, a dump says whose it is, and a purge that is refused says how the other one is meant.
func TestDataOfANamesake(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery"), "clients/demoshop.yaml": manifestOf("demoshop")})
	w.apply()
	old := string(w.id("bakery"))
	w.git("rm", "-q", "clients/bakery.yaml")
	w.git("commit", "-q", "-m", "Remove bakery")
	w.push()
	w.apply()
	if r := w.must(0, "retained"); !strings.Contains(r.out, "bakery  ") || strings.Contains(r.out, old+" ") {
		t.Errorf("alone it goes by its name:\n%s", r.out)
	}
	w.commit(map[string]string{"clients/bakery.yaml": strings.Replace(manifestOf("bakery", "database: {reuse: fresh}"), "domain: bakery", "domain: bread", 1)})
	w.push()
	w.apply()
	w.active("bakery")
	if w.id("bakery") == w.id(old) {
		t.Fatal("it is the same client")
	}
	if r := w.must(0, "retained"); !strings.Contains(r.out, old+"  ") {
		t.Errorf("retained:\n%s", r.out)
	}
	if r := w.must(0, "dump", "bakery", filepath.Join(t.TempDir(), "new.db")); !strings.Contains(r.err, "reconciler dump "+old+" FILE") {
		t.Errorf("dump: %s%s", r.out, r.err)
	}
	if r := w.must(0, "dump", old, filepath.Join(t.TempDir(), "old.db")); strings.Contains(r.err, "earlier one") {
		t.Errorf("dump by id: %s", r.err)
	}
	if r := w.must(exitFailed, "purge", "bakery", "--yes"); !strings.Contains(r.err, "reconciler purge "+old) {
		t.Errorf("purge: %s", r.err)
	}
	if r := w.must(0, "purge", old, "--yes"); !strings.Contains(r.out, "erased") {
		t.Errorf("purge by id: %s", r.out)
	}
	w.must(0, "plan", "--detailed-exitcode")
	w.active("bakery", "demoshop")
}
