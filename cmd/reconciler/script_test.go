package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/compassdigital/reconciler/internal/secret/canary"
)

var update = flag.Bool("update", false, "write the scripts' expected output")

// aheadOf is the variable that gives the program a test's clock, so much ahead of
// the world's.
const aheadOf = "RECONCILER_TEST_AHEAD"

// noLinger is GORACE for the processes of tests: the race detector lets each of them stay
// for a second after its end.
const noLinger = "atexit_sleep_ms=0"

// TestMain makes this binary the program too, as the command `reconciler`: for scripts,
// and for tests that need a process of its own, which can be killed.
func TestMain(m *testing.M) {
	if os.Getenv("RECONCILER_TEST_MAIN") == "main" { // behind a path of its own
		os.Exit(testedMain())
	}
	if os.Getenv("RECONCILER_TEST_MAIN") == "quick" {
		os.Exit(quickMain())
	}
	if spec := os.Getenv(hostVariable); spec != "" {
		if err := hostMain(spec); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(exitFailed)
		}
		return
	}
	if socket := os.Getenv(remoteVariable); socket != "" {
		os.Exit(remoteMain(socket, os.Args[1:]))
	}
	if name := os.Getenv("RECONCILER_TEST_TOOL"); name != "" {
		os.Exit(tool(name, os.Args[1:]))
	}
	if err := os.Setenv("GORACE", noLinger); err != nil { // for every process that a test starts
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitFailed)
	}
	testscript.Main(witnessed{m}, map[string]func(){"reconciler": func() {
		if _, is := os.LookupEnv(aheadOf); !is {
			os.Exit(testedMain())
		}
		os.Exit(quickMain())
	}})
}

// quickMain is main with waits that are shortened, and a clock that is ahead.
func quickMain() int {
	c := &quickClock{}
	d, err := time.ParseDuration(os.Getenv(aheadOf))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitUsage
	}
	judged, err := newWitness()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitFailed
	}
	defer judged.end()
	c.add(d)
	a := &app{in: os.Stdin, out: os.Stdout, err: os.Stderr, env: os.Getenv, now: c.Now, sleep: c.Sleep, quick: true, wrap: poisonOf(os.Getenv(poisonVariable)), wired: poisonProbes(os.Getenv(poisonVariable)), over: judged.over}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return a.run(ctx, os.Args[1:])
}

// scriptConfig is the configuration of the scripts: a repository on disk, the embedded
// providers.
const scriptConfig = `repository: {url: %q, branch: main, path: clients, poll: "@every 1s"}
state: {path: state.db, keyFile: key}
listen: %s
platform: {baseDomain: localhost, defaults: {deployment: local, database: sqlite, dns: local}}
schedules: {drift: "@every 1h", health: "@every 1h", purge: "@every 1h"}
providers: {embedded: {dir: ".", dns: "127.0.0.1:0"}}
`

// Every script begins in $WORK, where reconciler.yaml is. The repository is
// $WORK/clients.git, with a template in it; $WORK/agency is a clone, with the script's own
// files below agency/, which `push MESSAGE` commits and pushes.
func TestScripts(t *testing.T) {
	runScripts(t, "testdata/script", func(place *world) {
		for _, f := range place.heardLeaks() {
			place.t.Errorf("P10: %s", f)
		}
	})
}

// P10, the control: what a command of a script says on either output, before its end or after it,
// is found, when it says what is in its environment or what the program made.
func TestP10LeaksOfScriptsAreFound(t *testing.T) {
	dir := t.TempDir()
	writeAll(t, filepath.Join(dir, "leaks.txtar"), `# Early, and on the one output.
exec sh -c 'printenv PLOI_API_TOKEN'
# Later, on the other one.
! exec sh -c 'printenv STRIPE_API_KEY >&2; exit 1'
# In the background.
exec sh -c 'printenv VERCEL_API_TOKEN' &
wait
exits 0 status
`)
	var found []string
	t.Run("script", func(t *testing.T) {
		runScripts(t, dir, func(place *world) { found = append(found, place.heardLeaks()...) })
	})
	for _, name := range []string{"PLOI_API_TOKEN", "STRIPE_API_KEY", "VERCEL_API_TOKEN"} {
		if !slices.Contains(found, "what the commands said holds "+name+" (plain)") {
			t.Errorf("not found: %s; but %q", name, found)
		}
	}
}

// runScripts runs the scripts of a folder. What their commands said is heard by the script's
// place, once all secrets of it are known.
func runScripts(t *testing.T, dir string, over func(place *world)) {
	t.Helper()
	var places sync.Map // by script
	canary.Scripts(t, testscript.Params{
		Dir:           dir,
		UpdateScripts: *update,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("NO_PROXY", "*")
			e.Setenv("GORACE", noLinger)
			e.Setenv(witnessVariable, os.Getenv(witnessVariable))
			for _, v := range []string{"GIT_AUTHOR_NAME=Dana", "GIT_AUTHOR_EMAIL=dana@agency.example", "GIT_COMMITTER_NAME=Dana", "GIT_COMMITTER_EMAIL=dana@agency.example",
				"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_TERMINAL_PROMPT=0",
				"GIT_AUTHOR_DATE=2026-12-01T09:00:00Z", "GIT_COMMITTER_DATE=2026-12-01T09:00:00Z"} {
				k, x, _ := strings.Cut(v, "=")
				e.Setenv(k, x)
			}
			place := scene(t, e.WorkDir) // and what its commands print into files
			place.plantTokens()
			for k, v := range place.env {
				e.Setenv(k, v)
			}
			e.Defer(place.wantNoLeak)
			places.Store(e.T(), place)
			listen := ownAddress(t)
			bare, work := filepath.Join(e.WorkDir, "clients.git"), filepath.Join(e.WorkDir, "agency")
			if err := os.WriteFile(filepath.Join(e.WorkDir, defaultConfigFile), fmt.Appendf(nil, scriptConfig, bare, listen), 0o600); err != nil {
				return err
			}
			if err := os.MkdirAll(filepath.Join(work, "templates"), 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(work, "templates", "ecommerce.yaml"), []byte(shopTemplate), 0o644); err != nil {
				return err
			}
			for _, args := range [][]string{{"init", "-q", "--bare", "-b", "main", bare}, {"init", "-q", "-b", "main", work}, {"-C", work, "remote", "add", "origin", bare},
				{"-C", work, "add", "templates"}, {"-C", work, "commit", "-q", "-m", "Begin"}, {"-C", work, "push", "-q", "origin", "main"}} {
				c := exec.Command("git", args...)
				c.Env = append(os.Environ(), e.Vars...)
				if out, err := c.CombinedOutput(); err != nil {
					return fmt.Errorf("git %v: %w: %s", args, err, out)
				}
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "push": push, "plain": plain, "started": started},
	}, func(script testscript.T, text string) {
		if place, is := places.Load(script); is {
			place.(*world).hear("what the commands said", text)
			over(place.(*world))
		}
	})
}

// exits CODE ARGS... runs the program and checks its exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: exits CODE ARGS...")
	}
	err := ts.Exec("reconciler", args[1:]...)
	code := 0
	var e *exec.ExitError
	switch {
	case errors.As(err, &e):
		code = e.ExitCode()
	case err != nil:
		ts.Fatalf("reconciler: %v", err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// push MESSAGE commits everything in agency and pushes it.
func push(ts *testscript.TestScript, _ bool, args []string) {
	dir := filepath.Join(ts.Getenv("WORK"), "agency")
	ts.Check(ts.Exec("git", "-C", dir, "add", "-A"))
	ts.Check(ts.Exec("git", "-C", dir, "commit", "-q", "--allow-empty", "-m", strings.Join(args, " ")))
	ts.Check(ts.Exec("git", "-C", dir, "push", "-q", "origin", "HEAD:main"))
}

// changing is what differs from run to run.
var changing = []struct {
	find *regexp.Regexp
	put  string
}{
	{regexp.MustCompile(`\d{8}-\d{6}-[0-9a-f]{6}-[a-z0-9-]+`), "DEPLOYMENT"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z`), "TIME"},
	{regexp.MustCompile(`\d\d:\d\d:\d\d\.\d{3}`), "TIME"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "ADDRESS"},
	{regexp.MustCompile(`localhost:\d+`), "localhost:PORT"},
	{regexp.MustCompile(` \(\d+(\.\d+)?s\)`), ""},
	{regexp.MustCompile(`"id": "[a-z0-9-]+"`), `"id": "ID"`},
	{regexp.MustCompile(`\b[0-9a-f]{40}\b`), "COMMIT"},
	{regexp.MustCompile(`\b[0-9a-f]{12}\b`), "FINGERPRINT"},
}

// plain stdout|stderr puts the last output, without what differs from run to run, in the
// place of the output, for cmp.
func plain(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: plain stdout|stderr")
	}
	text := strings.ReplaceAll(ts.ReadFile(args[0]), ts.Getenv("WORK"), "$WORK")
	for _, c := range changing {
		text = c.find.ReplaceAllString(text, c.put)
	}
	_, err := io.WriteString(ts.Stdout(), text)
	ts.Check(err)
}

// started waits until the daemon of this script answers.
func started(ts *testscript.TestScript, _ bool, _ []string) {
	socket := filepath.Join(ts.Getenv("WORK"), "state.db.sock")
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("unix", socket)
		if err == nil {
			ts.Check(c.Close())
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("the daemon does not answer: %v", err)
		}
	}
}
