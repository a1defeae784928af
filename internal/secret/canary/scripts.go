package canary

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// Scripts runs scripts as testscript.Run does. When one is over, said gets what its commands
// printed, on both outputs, those in the background too. t is what the script's Env.T returns.
func Scripts(t *testing.T, p testscript.Params, said func(t testscript.T, text string)) {
	t.Helper()
	testscript.RunT(&listener{t, p.Dir, said}, p)
}

type listener struct {
	*testing.T
	dir  string
	said func(testscript.T, string)
}

// Run implements testscript.T.
func (l *listener) Run(name string, f func(testscript.T)) {
	l.T.Run(name, func(t *testing.T) {
		t.Helper()
		f(&listener{t, l.dir, l.said})
	})
}

// Verbose implements testscript.T: nothing is left out of the log.
func (l *listener) Verbose() bool { return true }

// Log implements testscript.T. It gets the log of the whole script once: its environment, a
// blank line, its own lines, and what was printed.
func (l *listener) Log(args ...any) {
	l.Helper()
	l.T.Log(args...)
	_, log, _ := strings.Cut(fmt.Sprint(args...), "\n\n")
	script, err := os.ReadFile(filepath.Join(l.dir, filepath.Base(l.Name())+".txtar"))
	if err != nil {
		l.Error(err)
	}
	own := strings.Split(string(script), "\n")
	lines := slices.DeleteFunc(strings.SplitAfter(log, "\n"), func(line string) bool {
		line, is := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "> ")
		return is && slices.Contains(own, line)
	})
	l.said(l, strings.Join(lines, ""))
}
