package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

// The help of every command is a golden file; whoever adds a command sees it here.
func TestHelp(t *testing.T) {
	var out bytes.Buffer
	var all func(path []string, c *cobra.Command)
	all = func(path []string, c *cobra.Command) {
		out.WriteString("$ " + strings.Join(append([]string{"reconciler"}, path...), " ") + " --help\n")
		a := &app{in: strings.NewReader(""), out: &out, err: &out, now: time.Now, env: func(string) string { return "" }}
		if code := a.run(t.Context(), append(path, "--help")); code != 0 {
			t.Errorf("%v --help: exit code %d", path, code)
		}
		out.WriteString("\n")
		for _, sub := range c.Commands() {
			if c.Name() == "completion" { // cobra's own texts
				continue
			}
			all(append(append([]string(nil), path...), sub.Name()), sub)
		}
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: a short text without a full stop", c.CommandPath())
		}
	}
	all(nil, (&app{}).root())
	for i, line := range strings.Split(out.String(), "\n") {
		if len([]rune(line)) > 110 {
			t.Errorf("line %d of the help is too long: %s", i+1, line)
		}
	}
	file := filepath.Join("testdata", "help.txt")
	if *update {
		if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff(readAll(t, file), out.String()); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
