// Command reconciler brings clients' sites to what Git says.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"os/user"
	"syscall"
	"time"
	_ "time/tzdata" // freeze windows name zones; the binary must not need the machine's

	"github.com/spf13/cobra"

	"github.com/compassdigital/reconciler/internal/provider"
)

// Exit codes; scripts rely on them.
const (
	exitDone    = 0
	exitFailed  = 1 // failed, or problems found
	exitUsage   = 2
	exitHeld    = 3 // someone must approve
	exitChanges = 2 // plan --detailed-exitcode
	exitPlanUse = 64
)

// version is set when a release is built.
var version = "0.1.0-dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once; the journal goes on
	code := Main(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv)
	stop()
	os.Exit(code)
}

// usageError is wrong usage: exit code 2.
type usageError struct{ text string }

func (u usageError) Error() string { return u.text }

// codeError ends the program with a code; its text was printed already when empty.
type codeError struct {
	code int
	text string
}

func (c codeError) Error() string { return c.text }

// app is what every command has.
type app struct {
	in       io.Reader
	out, err io.Writer
	env      func(string) string
	config   string
	data     string
	now      func() time.Time
	// Tests set these; nil elsewhere. wrap stands between the engine and every provider,
	// ready is called when everything listens.
	wrap  func(provider.Provider) provider.Provider
	ready func(*program)
}

// Main runs one command line and returns its exit code.
func Main(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer, env func(string) string) int {
	a := &app{in: in, out: out, err: errOut, env: env, now: time.Now}
	return a.run(ctx, args)
}

// run runs one command line and returns its exit code.
func (a *app) run(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	err := root.ExecuteContext(ctx)
	var ce codeError
	var ue usageError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &ce):
		if ce.text != "" {
			fmt.Fprintln(a.err, ce.text)
		}
		return ce.code
	case errors.As(err, &ue):
		fmt.Fprintln(a.err, "error:", ue.text)
		return exitUsage
	}
	fmt.Fprintln(a.err, "error:", err)
	return exitFailed
}

// root is the command tree.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "reconciler",
		Short: "One YAML file a client in Git; merging provisions it, reverting rolls it back",
		Long: `reconciler brings every client's database, site, domain, DNS, environment and
deployment to what its YAML file in a Git repository says.

To try it without an account:   reconciler demo`,
		SilenceUsage: true, SilenceErrors: true,
		CompletionOptions: cobra.CompletionOptions{},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err.Error()} })
	root.PersistentFlags().StringVar(&a.config, "config", "", "configuration `file` (default reconciler.yaml)")
	root.PersistentFlags().StringVar(&a.data, "data", "", "a demo's `folder`, in place of --config")
	root.AddCommand(a.demoCommand(), a.runCommand(), a.planCommand(), a.applyCommand(), a.statusCommand(), a.historyCommand(), a.logsCommand(),
		a.whyCommand(), a.driftCommand(), a.retryCommand(), a.pauseCommand("pause"), a.pauseCommand("resume"), a.approveCommand(), a.retainedCommand(),
		a.purgeCommand(), a.dumpCommand(), a.backupCommand(), a.restoreCommand(), a.secretCommand(), a.versionCommand())
	return root
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version", Args: noArgs, RunE: func(*cobra.Command, []string) error {
		fmt.Fprintln(a.out, "reconciler", version)
		return nil
	}}
}

// Argument checks that end with exit code 2.
func noArgs(c *cobra.Command, args []string) error { return usage(c, cobra.NoArgs(c, args)) }

func exactly(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error { return usage(c, cobra.ExactArgs(n)(c, args)) }
}

func atMost(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error { return usage(c, cobra.MaximumNArgs(n)(c, args)) }
}

func usage(c *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	return usageError{fmt.Sprintf("%v\nusage: %s", err, c.UseLine())}
}

// who is the person at the keyboard, for the history.
func who() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "somebody"
}
