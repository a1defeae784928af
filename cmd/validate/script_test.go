package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/rogpeppe/go-internal/testscript"
	"gopkg.in/yaml.v3"

	"github.com/compassdigital/reconciler/internal/secret/canary"
)

var update = flag.Bool("update", false, "write the scripts' expected output")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"validate": func() {
			os.Exit(Main(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv))
		},
	})
}

// Every script has a valid tree in $WORK/tree, with what it brings itself over it.
func TestScripts(t *testing.T) {
	runScripts(t, "testdata/script", func(t testing.TB, found []string) {
		for _, f := range found {
			t.Errorf("P10: %s", f)
		}
	})
}

// P10, the control: a token of the environment and a secret of a tree are found on both outputs,
// and in files.
func TestP10LeaksOfScriptsAreFound(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "leaks.txtar"), []byte(`exec sh -c 'printenv GH_TOKEN'
# Later.
! exec sh -c 'echo sk_live_51NqXkJ2eZvKYlo2CxWmTg8Rb4 >&2; exit 1'
exec sh -c 'printenv GITHUB_TOKEN | base64 >$WORK/summary.md'
-- secrets --
sk_live_51NqXkJ2eZvKYlo2CxWmTg8Rb4
`), 0o600); err != nil {
		t.Fatal(err)
	}
	var all []string
	t.Run("script", func(t *testing.T) { runScripts(t, dir, func(_ testing.TB, found []string) { all = found }) })
	for _, want := range []string{"what the commands said holds GH_TOKEN (plain)", "what the commands said holds a secret of the tree (plain)", "file summary.md holds GITHUB_TOKEN (base64 after 0 bytes)"} {
		if !slices.Contains(all, want) {
			t.Errorf("not found: %s; but %q", want, all)
		}
	}
}

// runScripts runs the scripts of a folder. over gets what came out of each that may be nowhere:
// the tokens of its environment, and what its file secrets lists.
func runScripts(t *testing.T, dir string, over func(t testing.TB, found []string)) {
	t.Helper()
	step := workflowStep(t, "Validate")
	var ears sync.Map // by script
	canary.Scripts(t, testscript.Params{
		Dir:           dir,
		UpdateScripts: *update,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("GORACE", "atexit_sleep_ms=0") // the race detector lets a process stay for a second
			for p, text := range map[string]string{
				"platform.yaml":         "kind: Platform\nbaseDomain: agency.example\nreserved: [www]\nplans: {free: {features: [blog]}}\ndefaults: {deployment: {provider: local}, database: {provider: sqlite}, dns: {provider: local}}\n",
				"templates/shop.yaml":   "kind: Template\nname: shop\nsource: {repository: builtin}\nfeatures: {allowed: [blog, checkout], default: [blog]}\n",
				"clients/bakery.yaml":   "name: bakery\ntemplate: shop\ndomain: bakery\ncontact: {email: hello@bakery.example}\n",
				"clients/demoshop.yaml": "name: demoshop\ntemplate: shop\ndomain: demoshop\ncontact: {email: dana@demoshop.example}\n",
			} {
				p = filepath.Join(e.WorkDir, "tree", p)
				if _, err := os.Stat(p); err == nil {
					continue
				}
				if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
					return err
				}
				if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
					return err
				}
			}
			e.Cd = filepath.Join(e.WorkDir, "tree")
			heard := &ear{given: map[string]bool{}}
			for _, name := range []string{"GITHUB_TOKEN", "GH_TOKEN", "RECONCILER_GITHUB_TOKEN", "RECONCILER_REPOSITORY_TOKEN"} {
				e.Setenv(name, canary.Value(name))
				heard.trap.Plant(name, canary.Value(name))
			}
			if err := heard.begin(e.WorkDir); err != nil {
				return err
			}
			ears.Store(e.T(), heard)
			e.Defer(func() { heard.files(e.T().(testing.TB), e.WorkDir) })
			return os.WriteFile(filepath.Join(e.WorkDir, "validate.sh"), []byte(step), 0o644)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":    exits,
			"commit":   commit,
			"checkout": checkout,
			"orphan":   orphan,
			"fifo":     fifo,
		},
	}, func(script testscript.T, text string) {
		if heard, is := ears.Load(script); is {
			heard.(*ear).look("what the commands said", []byte(text))
			over(script.(testing.TB), heard.(*ear).found)
		}
	})
}

// ear looks through what comes out of a script.
type ear struct {
	trap  canary.Trap
	given map[string]bool // what is in files that are the script's own
	found []string
}

// begin notes the files of a script, and plants what its secrets lists.
func (e *ear) begin(dir string) error {
	secrets, err := os.ReadFile(filepath.Join(dir, "secrets"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for line := range strings.Lines(string(secrets)) {
		e.trap.Plant("a secret of the tree", strings.TrimSpace(line))
	}
	return walk(dir, func(_ string, data []byte) { e.given[string(data)] = true })
}

// files looks through the files that a script left, but for those that hold what it brought.
func (e *ear) files(t testing.TB, dir string) {
	t.Helper()
	err := walk(dir, func(name string, data []byte) {
		if !e.given[string(data)] && !strings.Contains(name, ".git/") {
			e.look("file "+name, data)
		}
	})
	if err != nil {
		t.Error(err)
	}
}

// look also looks into what is packed.
func (e *ear) look(sink string, data []byte) {
	for _, text := range append(canary.Unpacked(data), data) {
		for _, f := range e.trap.Find(text) {
			if words := fmt.Sprintf("%s holds %s (%s)", sink, f.Whose, f.Spelling); !slices.Contains(e.found, words) {
				e.found = append(e.found, words)
			}
		}
	}
}

// walk reads every ordinary file below a folder.
func walk(dir string, do func(name string, data []byte)) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		do(filepath.ToSlash(name), data)
		return err
	})
}

// workflowStep is the script of a step of the workflow that repositories of clients call.
func workflowStep(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile("../../.github/workflows/validate-clients.yml")
	if err != nil {
		t.Fatal(err)
	}
	var w struct {
		Jobs map[string]struct{ Steps []struct{ Name, Run string } }
	}
	if err := yaml.Unmarshal(data, &w); err != nil {
		t.Fatal(err)
	}
	for _, s := range w.Jobs["validate"].Steps {
		if s.Name == name {
			return s.Run
		}
	}
	t.Fatalf("the workflow has no step %s", name)
	return ""
}

// exits CODE ARGS... runs validate and checks its exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: exits CODE ARGS...")
	}
	err := ts.Exec("validate", args[1:]...)
	code := 0
	var e *exec.ExitError
	switch {
	case errors.As(err, &e):
		code = e.ExitCode()
	case err != nil:
		ts.Fatalf("validate: %v", err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// commit MESSAGE commits everything below the current folder; the first one makes the
// repository, with the branch main.
func commit(ts *testscript.TestScript, neg bool, args []string) {
	dir := ts.MkAbs(".")
	r, err := git.PlainOpen(dir)
	if errors.Is(err, git.ErrRepositoryNotExists) {
		r, err = git.PlainInitWithOptions(dir, &git.PlainInitOptions{InitOptions: git.InitOptions{DefaultBranch: plumbing.Main}})
	}
	ts.Check(err)
	w, err := r.Worktree()
	ts.Check(err)
	ts.Check(w.AddWithOptions(&git.AddOptions{All: true}))
	_, err = w.Commit(args[0], &git.CommitOptions{Author: &object.Signature{Name: "Dana", Email: "dana@agency.example", When: time.Unix(1_790_000_000, 0)}})
	ts.Check(err)
}

// checkout NAME goes to a branch, which it makes where it isn't there.
func checkout(ts *testscript.TestScript, neg bool, args []string) {
	r, err := git.PlainOpen(ts.MkAbs("."))
	ts.Check(err)
	w, err := r.Worktree()
	ts.Check(err)
	name := plumbing.NewBranchReferenceName(args[0])
	_, err = r.Reference(name, false)
	ts.Check(w.Checkout(&git.CheckoutOptions{Branch: name, Create: err != nil}))
}

// orphan NAME goes to a branch that has no commit yet; the files stay.
func orphan(ts *testscript.TestScript, neg bool, args []string) {
	r, err := git.PlainOpen(ts.MkAbs("."))
	ts.Check(err)
	ts.Check(r.Storer.SetReference(plumbing.NewSymbolicReference(plumbing.HEAD, plumbing.NewBranchReferenceName(args[0]))))
}
