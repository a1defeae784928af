// Command validate checks a tree of clients without a network: in an editor, a hook
// or CI. It judges with the same code as the daemon.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // freeze windows name zones; the binary must not need the machine's

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// Exit codes; scripts rely on them.
const (
	exitFine     = 0
	exitProblems = 1 // problems found, or something can't be read
	exitUsage    = 2
)

// version is set when a release is built.
var version = "0.1.0-dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := Main(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv)
	stop()
	os.Exit(code)
}

// usageError is wrong usage: exit code 2.
type usageError struct{ text string }

func (u usageError) Error() string { return u.text }

// options are the command line.
type options struct {
	format, against, clients, baseDomain, stdinPath string
	paths                                           []string
}

const help = `Checks client manifests, templates and the platform file, without a network.

PATH is a tree (a folder that has clients/ in it; by default the current folder), a
folder below one, or files. Folders and files are judged together with the whole
tree that they lie in, and only their own problems are told. Outside of any tree a
file is judged by itself. - reads one manifest from the standard input; with
--stdin-path it takes the place of that file.

With --against REV the tree is judged as what merging it into REV would give:

  - The platform file and the templates at REV decide, and those of the tree too: a
    change can't loosen the rules that it is judged by. A new template counts.
  - Names and domains that are taken at REV stay with those who have them.
  - What was wrong at REV already, in files that the change doesn't touch, is told
    as a warning.
  - Removed clients are told as warnings. A new client that takes the domain of a
    removed one and doesn't say so (previously, database.reuse) is a problem.

REV is a branch, tag or commit of the repository around the tree, such as
origin/main. It is only read, and no git program is needed. For a branch that was
left behind by REV, history back to their common commit is needed.

With --format github a table is appended to the job's summary (GITHUB_STEP_SUMMARY).

Exit codes: 0 fine (warnings included), 1 problems found, 2 wrong usage.`

// Main runs one command line and returns its exit code.
func Main(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer, env func(string) string) int {
	var o options
	code := exitFine
	root := &cobra.Command{
		Use:           "validate [--format text|json|sarif|github|junit] [--against REV] [PATH...]",
		Short:         "Check client manifests",
		Long:          help,
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
		Example: `  validate
  validate --format github --against origin/main
  validate clients/demoshop.yaml
  validate --stdin-path clients/demoshop.yaml - < draft.yaml`,
		DisableFlagsInUseLine: true,
		CompletionOptions:     cobra.CompletionOptions{DisableDefaultCmd: true},
		Args:                  cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			o.paths = args
			failed, err := run(c.Context(), o, in, out, errOut, env)
			if failed {
				code = exitProblems
			}
			return err
		},
	}
	f := root.Flags()
	f.StringVar(&o.format, "format", "text", "text, json, sarif, github (workflow commands) or junit")
	f.StringVar(&o.against, "against", "", "judge as a change of `REV`")
	f.StringVar(&o.clients, "clients", "clients", "`path` of the clients folder in the tree; templates/ and platform.yaml are beside it")
	f.StringVar(&o.baseDomain, "base-domain", "", "the daemon's base `domain`, where platform.yaml says none")
	f.StringVar(&o.stdinPath, "stdin-path", "", "the `path` that the standard input stands for")
	f.SortFlags = false
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err.Error()} })
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	var ue usageError
	switch {
	case err == nil:
		return code
	case errors.As(err, &ue):
		fmt.Fprintln(errOut, "error:", clean(ue.text))
		fmt.Fprintln(errOut, "validate --help shows how it is used")
		return exitUsage
	}
	fmt.Fprintln(errOut, "error:", clean(err.Error()))
	return exitProblems
}

// run checks and prints; failed says that there is more than warnings.
func run(ctx context.Context, o options, in io.Reader, out, errOut io.Writer, env func(string) string) (failed bool, err error) {
	write, err := printer(o.format, colourful(out, env))
	if err != nil {
		return false, err
	}
	r, err := check(ctx, o, in)
	if err != nil {
		return false, err
	}
	for _, n := range r.notes {
		fmt.Fprintln(errOut, "note:", clean(n))
	}
	var b bytes.Buffer
	if err := write(&b, r); err != nil {
		return false, fmt.Errorf("write the report: %w", err)
	}
	if _, err := out.Write(b.Bytes()); err != nil {
		return false, fmt.Errorf("write the report: %w", err)
	}
	if file := env("GITHUB_STEP_SUMMARY"); file != "" && o.format == "github" {
		if err := summarize(file, r); err != nil {
			fmt.Fprintln(errOut, "note:", clean(err.Error())) // the verdict stands
		}
	}
	return r.problems.Failed(), nil
}

// printer finds the format's writer.
func printer(format string, colours bool) (func(io.Writer, result) error, error) {
	switch format {
	case "text":
		return func(w io.Writer, r result) error { return printText(w, r, colours) }, nil
	case "json":
		return printJSON, nil
	case "sarif":
		return printSARIF, nil
	case "github":
		return printGitHub, nil
	case "junit":
		return printJUnit, nil
	}
	return nil, usageError{fmt.Sprintf("--format %q is not one of text, json, sarif, github, junit", format)}
}

// colourful says that out is a terminal that wants colours.
func colourful(out io.Writer, env func(string) string) bool {
	f, ok := out.(*os.File)
	return ok && env("NO_COLOR") == "" && env("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}
