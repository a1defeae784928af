package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"os/user"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
	_ "time/tzdata" // freeze windows name zones; the binary must not need the machine's

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/external"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/report"
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

func main() { os.Exit(mainWith(func(*app) {})) }

// mainWith is the program's process. Tests change what its commands have.
func mainWith(change func(*app)) int {
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		ends = append(ends, syscall.SIGHUP) // its terminal was closed
	}
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	defer stop()
	context.AfterFunc(ctx, stop) // the first signal stops in order, the second one at once
	a := &app{in: os.Stdin, out: os.Stdout, err: os.Stderr, env: os.Getenv, now: time.Now}
	change(a)
	return a.run(ctx, os.Args[1:])
}

// usageError is wrong usage: exit code 2.
type usageError struct{ text string }

func (u usageError) Error() string { return u.text }

// codeError ends the program with a code, after everything was printed.
type codeError struct{ code int }

func (c codeError) Error() string { return fmt.Sprintf("exit code %d", c.code) }

// app is what every command has.
type app struct {
	in       io.Reader
	out, err io.Writer
	env      func(string) string
	config   string
	data     string
	now      func() time.Time
	answered bool         // the document of -o json was printed
	sims     *simulations // a demo's vendors
	// reach leads who asks a client's site to where it is served; nil: to where its name leads.
	reach func(http.RoundTripper) http.RoundTripper
	// anew makes a state that is gone anew, for the installation that is named, if one is.
	anew         bool
	installation string
	// Tests set these; nil elsewhere. wrap stands between the engine and every provider,
	// ready is called when everything listens, public stands for the world's DNS, sleep
	// waits between looks and tries; quick lets builds take no pauses and leaves syncing of
	// the state to the system; providers stand in the place of those that the configuration
	// names; wired is called when everything is open; over stands before each simulated
	// vendor's API of a demo, and before its forge's (github).
	wrap   func(provider.Provider) provider.Provider
	ready  func(*program)
	public external.Lookup
	sleep  func(context.Context, time.Duration) error
	quick  bool
	// environ stands for all variables of the environment; nil: the process's.
	environ func() []string

	providers func(context.Context, Config) ([]provider.Provider, error)
	wired     func(*program)
	over      func(vendor string, api http.Handler) http.Handler
}

// run runs one command line and returns its exit code.
func (a *app) run(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	c, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	var ce codeError
	if errors.As(err, &ce) {
		return ce.code
	}
	code := exitFailed
	var ue usageError
	if errors.As(err, &ue) || errors.Is(err, reconcile.ErrNoClient) {
		code = exitUsage
		if c.Name() == "plan" && slices.Contains(args, "--detailed-exitcode") {
			code = exitPlanUse
		}
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("stopped before the end: %w", err)
	}
	fmt.Fprintln(a.err, a.look().Failure("error:"), safe(err.Error()))
	if o := c.Flags().Lookup("output"); o != nil && o.Value.String() == "json" && !a.answered {
		if err := a.json(map[string]any{"error": err.Error(), "exitCode": code}); err != nil {
			return exitFailed
		}
	}
	return code
}

// safe makes every line of a text safe for a terminal.
func safe(text string) string {
	all := strings.Split(text, "\n")
	for i := range all {
		all[i] = report.Line(all[i])
	}
	return strings.Join(all, "\n")
}

// look is how text for stdout looks: colours on a terminal, unless NO_COLOR or the
// terminal refuses them.
func (a *app) look() report.Options {
	return report.Options{Colour: terminal(a.out) && a.env("NO_COLOR") == "" && a.env("TERM") != "dumb"}
}

// terminal says that a person reads there, or types.
func terminal(f any) bool {
	t, ok := f.(*os.File)
	return ok && term.IsTerminal(int(t.Fd()))
}

// root is the command tree.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "reconciler",
		Short: "One YAML file per client in Git; merging provisions it, reverting rolls it back",
		Long: `reconciler brings every client's database, site, domain, DNS, environment and
deployment to what its YAML file in a Git repository says.

To try it without an account:   reconciler demo

Commands find the configuration in reconciler.yaml, or where --config or --data say. They
speak to the running daemon; where none runs, they open the state themselves.

Exit codes: 0 done, 1 failed or problems found, 2 wrong usage, 3 held: someone must approve.`,
		SilenceUsage: true, SilenceErrors: true,
		Args: known, RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usage(c, err) })
	root.PersistentFlags().StringVar(&a.config, "config", "", "configuration `file` (default reconciler.yaml)")
	root.PersistentFlags().StringVar(&a.data, "data", "", "a demo's `folder`, in place of --config")
	_ = root.MarkPersistentFlagDirname("data") // the flag is there
	group := func(id, title string, commands ...*cobra.Command) {
		root.AddGroup(&cobra.Group{ID: id, Title: title})
		for _, c := range commands {
			c.GroupID = id
		}
		root.AddCommand(commands...)
	}
	group("run", "Run it:", a.demoCommand(), a.doctorCommand(), a.runCommand(), a.planCommand(), a.applyCommand(), a.adoptCommand())
	group("look", "See what is there:", a.statusCommand(), a.whyCommand(), a.historyCommand(), a.logsCommand(), a.driftCommand(), a.retainedCommand())
	group("decide", "Decide:", a.approveCommand(), a.retryCommand(), a.pauseCommand("pause"), a.pauseCommand("resume"), a.bumpCommand(), a.secretCommand(), a.purgeCommand())
	group("keep", "Keep copies:", a.backupCommand(), a.restoreCommand(), a.rebuildCommand(), a.dumpCommand())
	root.AddCommand(a.versionCommand())
	root.SetHelpCommand(helpCommand())
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() == "completion" {
			c.Args, c.RunE = known, func(c *cobra.Command, _ []string) error { return c.Help() }
			for _, shell := range c.Commands() {
				shell.Args = noArgs
			}
		}
	}
	return root
}

func helpCommand() *cobra.Command {
	return &cobra.Command{Use: "help [COMMAND]", Short: "Help about any command", RunE: func(c *cobra.Command, args []string) error {
		found, rest, err := c.Root().Find(args)
		if err != nil || len(rest) > 0 {
			return known(c.Root(), args)
		}
		found.InitDefaultHelpFlag()
		return found.Help()
	}}
}

func (a *app) versionCommand() *cobra.Command {
	c := &cobra.Command{Use: "version", Short: "Print the version", Args: noArgs, Example: "  reconciler version -o json"}
	o := output(c)
	c.RunE = func(*cobra.Command, []string) error {
		json, err := format(*o)
		if err != nil {
			return err
		}
		if json {
			return a.json(map[string]string{"version": version, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH})
		}
		fmt.Fprintln(a.out, "reconciler", version)
		return nil
	}
	return c
}

// Argument checks that end with exit code 2.

func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage(c, fmt.Errorf("%s takes no argument, and %q is one", c.CommandPath(), args[0]))
	}
	return nil
}

func exactly(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < n:
			return usage(c, fmt.Errorf("%s is missing", strings.Fields(c.Use)[1+len(args)]))
		case len(args) > n:
			return usage(c, fmt.Errorf("%q is one argument too many", args[n]))
		}
		return nil
	}
}

func atMost(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > n {
			return usage(c, fmt.Errorf("%q is one argument too many", args[n]))
		}
		return nil
	}
}

// known refuses a word that is none of a command's commands, and says which may be meant.
func known(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	text := fmt.Sprintf("%s has no command %q", c.CommandPath(), args[0])
	if s := meant(args[0], names); s != "" {
		text += fmt.Sprintf("; did you mean %q?", s)
	}
	return usageError{text + fmt.Sprintf("\n`%s --help` lists them", c.CommandPath())}
}

// meant is the name that a word may stand for: the one that begins with it, or one
// that is nearly the same.
func meant(word string, names []string) string {
	found := ""
	for _, n := range names {
		if strings.HasPrefix(n, word) {
			if found != "" {
				return manifest.Suggest(word, names)
			}
			found = n
		}
	}
	if found != "" {
		return found
	}
	return manifest.Suggest(word, names)
}

func usage(c *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "unknown flag: --"); ok {
		var names []string
		add := func(f *pflag.Flag) { names = append(names, f.Name) }
		c.Flags().VisitAll(add)
		c.InheritedFlags().VisitAll(add)
		if s := meant(name, names); s != "" {
			text += fmt.Sprintf("; did you mean --%s?", s)
		}
	}
	return usageError{fmt.Sprintf("%s\nusage: %s", text, c.UseLine())}
}

// who is the person at the keyboard, for the history.
func who() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "somebody"
}
