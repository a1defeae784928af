package internal_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

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

// What is asked of every change in numbers can't be lowered unseen: 2,000 random runs that are the
// same each time, at least three minutes and 2,000 runs of others, with no more than six red ones told
// as nobody's fault, 200 kills; and each says how many there were. What make would really run is read,
// so that a default of the Makefile counts as well.
func TestCIAsksForEnough(t *testing.T) {
	script, err := os.ReadFile("../.ci/run")
	if err != nil {
		t.Fatal(err)
	}
	others := regexp.MustCompile(`(?m)^OTHERS=\$\{OTHERS:-(\S+)\}$`).FindAllStringSubmatch(string(script), -1)
	if len(others) != 1 {
		t.Fatalf("for how long others are played: %q", others)
	}
	// One way to less is there, and says when: twenty minutes are gone before it.
	shorter := regexp.MustCompile(`(?m)^\s*OTHERS=(\S+)$`).FindAllStringSubmatch(strings.ReplaceAll(string(script), others[0][0], ""), -1)
	if len(shorter) != 1 || shorter[0][1] != "1m" || !strings.Contains(string(script), "-gt 1200 ]; then\n\tOTHERS=1m\nfi") {
		t.Errorf("there is another way to play less: %q", shorter)
	}
	if !strings.Contains(string(script), `kills >"$told" 2>&1 &`) || !strings.Contains(string(script), "\ncat \"$told\"\n") {
		t.Errorf("it does not print what the kills said:\n%s", script)
	}
	for _, m := range regexp.MustCompile(`\|\| true|\|\| :|set \+e`).FindAllString(string(script), -1) {
		t.Errorf(".ci/run goes on after a failure: %s", m)
	}
	var ci workflow
	readYAML(t, "../.github/workflows/ci.yml", &ci)
	var jobs []string
	for _, job := range ci.Jobs {
		for _, step := range job.Steps {
			if step.Run != "" && job.If == "" {
				jobs = append(jobs, step.Run)
			}
		}
	}
	var ours []string
	for _, m := range regexp.MustCompile(`(?m)^\s*(make .*)$`).FindAllStringSubmatch(string(script), -1) {
		ours = append(ours, strings.ReplaceAll(m[1], `"$OTHERS"`, others[0][1]))
	}
	for where, runs := range map[string][]string{"ci.yml": jobs, ".ci/run": ours} {
		same, other, kills := false, false, false
		for _, run := range runs {
			if !strings.HasPrefix(run, "make sim") && !strings.HasPrefix(run, "make crash") {
				continue
			}
			command := wouldRun(t, run)
			n := func(flag string) int {
				m := regexp.MustCompile(` -` + flag + `=(\d+)(?: |$)`).FindStringSubmatch(command)
				if m == nil {
					return -1
				}
				n, err := strconv.Atoi(m[1])
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
			if !strings.Contains(command, " -v ") {
				t.Errorf("%s: %q says nothing of how many there were: %s", where, run, command)
			}
			if strings.HasPrefix(run, "make crash") {
				kills = kills || n(`crash\.kills`) >= 200 && strings.Contains(command, "RandomKills")
				continue
			}
			lasts := regexp.MustCompile(` -sim\.for=(\S+)`).FindStringSubmatch(command)
			if lasts == nil {
				t.Fatalf("%s: %s", where, command)
			}
			last, err := time.ParseDuration(lasts[1])
			if err != nil {
				t.Fatal(err)
			}
			enough := n(`sim\.seeds`) >= 2000 && strings.Contains(command, "-run '^TestSim$'")
			same = same || enough && n(`sim\.seed`) == 1 && n(`sim\.reds`) == 0
			other = other || enough && n(`sim\.seed`) == 0 && last >= 3*time.Minute && n(`sim\.reds`) <= 6
		}
		if !same || !other || !kills {
			t.Errorf("%s asks for the same 2,000 runs: %t, three minutes and 2,000 of others: %t, 200 kills: %t: %q", where, same, other, kills, runs)
		}
	}
	// And what runs then prints its count, whatever comes of it.
	for file, words := range map[string]string{"reconcile/sim_sum_test.go": `fmt.Sprintf("%d runs in %s`, "../cmd/reconciler/crash_count_test.go": `t.Logf("%d kills of a process at work in %s`} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), words) {
			t.Errorf("%s does not say %s", file, words)
		}
	}
}

// wouldRun is what a line of make would run.
func wouldRun(t *testing.T, run string) string {
	t.Helper()
	words := strings.Fields(run)
	c := exec.CommandContext(t.Context(), words[0], append([]string{"-n", "--no-print-directory"}, words[1:]...)...)
	c.Dir = ".."
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")} // a default is not what somebody set
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", run, err, out)
	}
	return string(out)
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
