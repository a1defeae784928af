package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/rogpeppe/go-internal/testscript"
	"gopkg.in/yaml.v3"
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
	step := workflowStep(t, "Validate")
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
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
			return os.WriteFile(filepath.Join(e.WorkDir, "validate.sh"), []byte(step), 0o644)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":    exits,
			"commit":   commit,
			"checkout": checkout,
			"orphan":   orphan,
			"fifo":     fifo,
		},
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
