package internal_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// workflow is what these tests read of one.
type workflow struct {
	On          map[string]any    `yaml:"on"`
	Permissions map[string]string `yaml:"permissions"`
	Jobs        map[string]struct {
		Uses        string            `yaml:"uses"`
		If          string            `yaml:"if"`
		Minutes     int               `yaml:"timeout-minutes"`
		With        map[string]string `yaml:"with"`
		Permissions map[string]string `yaml:"permissions"`
		Secrets     any               `yaml:"secrets"`
		Steps       []struct {
			Uses string         `yaml:"uses"`
			Run  string         `yaml:"run"`
			With map[string]any `yaml:"with"`
		} `yaml:"steps"`
	} `yaml:"jobs"`
}

func readYAML(t *testing.T, file string, v any) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(data, v); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return string(data)
}

// actions are the pinned actions that a text names, comments included.
func actions(text string) []string {
	var out []string
	for _, m := range regexp.MustCompile(`uses:\s*(actions/\S+)`).FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	return out
}

const called = "../.github/workflows/validate-clients.yml"

// The workflow that repositories of clients call runs on pull requests from strangers:
// it reads, runs only actions that CI runs at the same commits, and no value of anybody's
// is part of a script.
func TestThreat20WorkflowForClients(t *testing.T) {
	var w, ci workflow
	text := readYAML(t, called, &w)
	known := actions(readYAML(t, "../.github/workflows/ci.yml", &ci))
	found := actions(text)
	if len(found) == 0 || len(known) == 0 {
		t.Fatal("no actions")
	}
	for _, a := range found {
		if !slices.Contains(known, a) {
			t.Errorf("CI does not run %s", a)
		}
	}
	reads := map[string]string{"contents": "read"}
	if !maps.Equal(w.Permissions, reads) {
		t.Errorf("permissions: %v", w.Permissions)
	}
	if len(w.On) != 1 || len(w.Jobs) != 1 {
		t.Errorf("on %v, %d jobs", w.On, len(w.Jobs))
	}
	for name, job := range w.Jobs {
		if !maps.Equal(job.Permissions, reads) || job.Uses != "" {
			t.Errorf("job %s: %+v", name, job)
		}
		for _, step := range job.Steps {
			if strings.Contains(step.Run, "${{") {
				t.Errorf("a value is part of a script: %s", step.Run)
			}
			if strings.HasPrefix(step.Uses, "actions/checkout@") && (step.With["fetch-depth"] != 0 || step.With["persist-credentials"] != false) {
				t.Errorf("checkout: %v", step.With)
			}
		}
	}
	for _, bad := range []string{"secrets.", "inherit", "github.head_ref", "github.event"} {
		if strings.Contains(text, bad) {
			t.Errorf("it has %s", bad)
		}
	}
	// Its inputs are a contract: only more may come, each with a default.
	inputs := w.On["workflow_call"].(map[string]any)["inputs"].(map[string]any)
	if names := slices.Sorted(maps.Keys(inputs)); !slices.Equal(names, []string{"against", "path", "version"}) {
		t.Errorf("inputs: %v", names)
	}
	for name, in := range inputs {
		in := in.(map[string]any)
		if in["type"] != "string" || in["description"] == "" || in["required"] != nil {
			t.Errorf("input %s: %v", name, in)
		}
		if _, ok := in["default"].(string); !ok {
			t.Errorf("input %s has no default", name)
		}
	}
}

// CI on GitHub asks of every change what .ci/run asks, and plays other random runs each
// time and every test with the race detector beside those.
func TestCIRunsWhatDotCIRuns(t *testing.T) {
	script, err := os.ReadFile("../.ci/run")
	if err != nil {
		t.Fatal(err)
	}
	var ci workflow
	readYAML(t, "../.github/workflows/ci.yml", &ci)
	var runs []string // of every change
	for name, job := range ci.Jobs {
		if job.Minutes == 0 {
			t.Errorf("job %s may take for ever", name)
		}
		for _, step := range job.Steps {
			if step.Run != "" && job.If == "" {
				runs = append(runs, step.Run)
			}
		}
	}
	asked := regexp.MustCompile(`(?m)^\s*(make .*)$`).FindAllStringSubmatch(string(script), -1)
	if len(asked) < 5 {
		t.Fatalf("it runs %v", asked)
	}
	for _, m := range asked {
		as, others := strings.CutSuffix(m[1], ` FOR="$OTHERS"`) // for how long is a job's own
		if !slices.ContainsFunc(runs, func(run string) bool { return run == m[1] || others && strings.HasPrefix(run, as+" FOR=") }) {
			t.Errorf("no job of a change runs %q: %q", m[1], runs)
		}
	}
	if !strings.Contains(string(script), "make sim SEEDS=2000 SEED=1\n") || !strings.Contains(string(script), "OTHERS=${OTHERS:-") {
		t.Errorf("it plays other random runs than the first 2,000, and those that OTHERS asks for:\n%s", script)
	}
	if !slices.Contains(runs, "make race") {
		t.Errorf("no job runs the program's own tests with the race detector: %q", runs)
	}
	if !slices.ContainsFunc(runs, func(run string) bool {
		return strings.HasPrefix(run, "make sim ") && !strings.Contains(run, "SEED=") && !strings.Contains(run, "HOSTILE")
	}) {
		t.Errorf("no job plays other random runs: %q", runs)
	}
}

// The examples call what is there, with inputs that it has, and may no more than read.
func TestExampleWorkflows(t *testing.T) {
	files, err := filepath.Glob("../examples/workflows/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatal("no examples", err)
	}
	var target, ci workflow
	readYAML(t, called, &target)
	inputs := target.On["workflow_call"].(map[string]any)["inputs"].(map[string]any)
	known := actions(readYAML(t, "../.github/workflows/ci.yml", &ci))
	for _, file := range files {
		var w workflow
		text := readYAML(t, file, &w)
		if !maps.Equal(w.Permissions, map[string]string{"contents": "read"}) {
			t.Errorf("%s: permissions %v", file, w.Permissions)
		}
		if _, ok := w.On["pull_request"]; !ok || strings.Contains(text, "pull_request_target") {
			t.Errorf("%s: on %v", file, w.On)
		}
		for name, job := range w.Jobs {
			if job.Uses != "compassdigital/reconciler/"+strings.TrimPrefix(called, "../")+"@v1" || job.Secrets != nil {
				t.Errorf("%s: job %s uses %s", file, name, job.Uses)
			}
			for with := range job.With {
				if inputs[with] == nil {
					t.Errorf("%s: there is no input %s", file, with)
				}
			}
		}
		for _, a := range actions(text) { // in comments, too
			if !slices.Contains(known, a) {
				t.Errorf("%s: CI does not run %s", file, a)
			}
		}
		for _, check := range []string{"reconciler/validate", "reconciler/plan"} {
			if !strings.Contains(text, check) {
				t.Errorf("%s does not name the check %s", file, check)
			}
		}
	}
}

// The hook runs a program that is there, on the files that it reads.
func TestPreCommitHook(t *testing.T) {
	var hooks []struct{ ID, Name, Language, Entry, Files string }
	readYAML(t, "../.pre-commit-hooks.yaml", &hooks)
	if len(hooks) != 1 || hooks[0].ID != "reconciler-validate" || hooks[0].Language != "golang" || hooks[0].Name == "" {
		t.Fatalf("%+v", hooks)
	}
	if _, err := os.Stat(filepath.Join("..", "cmd", hooks[0].Entry)); err != nil {
		t.Error(err)
	}
	files := regexp.MustCompile(hooks[0].Files)
	for file, want := range map[string]bool{"clients/a.yaml": true, "clients/ab/a.yaml": true, "clients/a.yml": true, "templates/blog.yaml": true, "platform.yaml": true, "platform.yml": true,
		"README.md": false, "docs/clients/a.yaml": false, "clients/notes.txt": false, "platform.yaml.orig": false} {
		if files.MatchString(file) != want {
			t.Errorf("%s: %t", file, !want)
		}
	}
}
