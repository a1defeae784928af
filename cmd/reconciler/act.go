package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/compassdigital/reconciler/internal/daemon"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/report"
)

func (a *app) retryCommand() *cobra.Command {
	return &cobra.Command{Use: "retry CLIENT", Short: "Try a failed or held client again, from where it stopped", Args: exactly(1), ValidArgsFunction: a.clients(1),
		Long:    "Try a failed or held client again, from the step where it stopped. What exists already is\nlooked at, not made again.",
		Example: "  reconciler retry demoshop && reconciler logs -f demoshop",
		RunE: func(c *cobra.Command, args []string) error {
			var stopped string
			by, err := a.ask(c.Context(), daemon.Ask{Op: "retry", Name: args[0]}, &stopped)
			if err != nil {
				return err
			}
			if stopped != "" {
				fmt.Fprintf(a.out, "%s: %s.\n", args[0], safe(stopped))
				return nil
			}
			fmt.Fprintf(a.out, "%s is tried again.\n", args[0])
			a.later(by)
			return nil
		}}
}

func (a *app) pauseCommand(word string) *cobra.Command {
	short := map[string]string{"pause": "Plan a client's changes and leave it alone", "resume": "Let a paused client's changes run"}
	long := map[string]string{
		"pause":  "Leave a client alone: its changes are planned and shown, and nothing is written until\n`reconciler resume`. In a manifest, `paused: true` does the same.",
		"resume": "Let a paused client's changes run. A manifest that says `paused: true` keeps it paused.",
	}
	return &cobra.Command{Use: word + " CLIENT", Short: short[word], Long: long[word], Example: "  reconciler " + word + " demoshop", Args: exactly(1), ValidArgsFunction: a.clients(1),
		RunE: func(c *cobra.Command, args []string) error {
			var stopped string
			by, err := a.ask(c.Context(), daemon.Ask{Op: word, Name: args[0]}, &stopped)
			if err != nil {
				return err
			}
			if stopped != "" {
				fmt.Fprintf(a.out, "%s: %s.\n", args[0], safe(stopped))
				return nil
			}
			fmt.Fprintf(a.out, "%s is %sd.\n", args[0], word)
			a.later(by)
			return nil
		}}
}

func (a *app) approveCommand() *cobra.Command {
	return &cobra.Command{Use: "approve FINGERPRINT", Short: "Let run what is held under a fingerprint", Args: exactly(1), ValidArgsFunction: a.fingerprints,
		Long: `Let run what is held under a fingerprint (four or more of its first characters).
` + "`reconciler status`" + ` lists what is held.

An approval binds exactly the steps that the hold showed, is used once, and lapses after
24 hours.`,
		Example: "  reconciler approve 9f3a51c20b7e",
		RunE: func(c *cobra.Command, args []string) error {
			var told report.Approval
			by, err := a.ask(c.Context(), daemon.Ask{Op: "approve", Name: args[0]}, &told)
			if err != nil {
				return err
			}
			fmt.Fprintln(a.out, told.Text())
			a.later(by)
			return nil
		}}
}

// fingerprints completes what can be approved.
func (a *app) fingerprints(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	v, err := a.overviewIfAny(c)
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []string
	for _, h := range v.Holds {
		if h.Approvable {
			out = append(out, h.Fingerprint+"\t"+h.Reason)
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

func counted(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

func (a *app) purgeCommand() *cobra.Command {
	c := &cobra.Command{Use: "purge CLIENT", Short: "Erase a removed client's retained data now, before its date", Args: exactly(1), ValidArgsFunction: a.clients(1),
		Long: `Erase a removed client's retained data now, before its date. It asks for the client's
name first. Nothing brings the data back; ` + "`reconciler dump`" + ` keeps a copy. A database on a
PostgreSQL server of yours is dumped first (providers.postgres.dumps), and it says where to.`,
		Example: "  reconciler retained\n  reconciler dump bakery bakery.db && reconciler purge bakery"}
	yes := c.Flags().Bool("yes", false, "don't ask")
	c.RunE = func(c *cobra.Command, args []string) error {
		if !*yes {
			// Who it is comes before the question: a wrong name is no reason to ask.
			var d reconcile.Detail
			if _, err := a.ask(c.Context(), daemon.Ask{Op: "detail", Name: args[0]}, &d); err != nil {
				return err
			}
			fmt.Fprintf(a.err, "This erases the data of %s for good; `reconciler dump %s FILE` keeps a copy.\nType the client's name to go on: ", args[0], args[0])
			line, err := bufio.NewReader(io.LimitReader(a.in, 1024)).ReadString('\n')
			if err != nil && line == "" {
				fmt.Fprintln(a.err)
				return usageError{"nothing was typed, and nothing was erased; --yes goes on without asking"}
			}
			if strings.TrimSpace(line) != args[0] {
				return usageError{"that is another name; nothing was erased"}
			}
		}
		done := []string{}
		if _, err := a.ask(c.Context(), daemon.Ask{Op: "purge", Name: args[0]}, &done); err != nil {
			return err
		}
		if len(done) == 0 {
			fmt.Fprintf(a.out, "%s has no retained data.\n", args[0])
		}
		for _, d := range done {
			fmt.Fprintln(a.out, safe(d))
		}
		return nil
	}
	return c
}

func (a *app) dumpCommand() *cobra.Command {
	return &cobra.Command{Use: "dump CLIENT FILE", Short: "Write a client's database to a file", Args: exactly(2), ValidArgsFunction: a.clients(1),
		Long: `Write a client's database to a file, also while it is retained. The file must not be there, and
only its owner may read it: of SQLite a database, of PostgreSQL an archive for pg_restore.
Until it is complete it is a file .dump-… in that folder: what a dump that was killed left of it
is told by the next one, and stays until somebody deletes it.`,
		Example: "  reconciler dump demoshop demoshop.db",
		RunE: func(c *cobra.Command, args []string) error {
			path, err := filepath.Abs(args[1])
			if err != nil {
				return fmt.Errorf("dump: %w", err)
			}
			err = a.askFile(c.Context(), daemon.Ask{Op: "dump", Name: args[0], Path: path})
			a.tellUnfinished(filepath.Dir(path))
			if err != nil {
				return err
			}
			fmt.Fprintf(a.out, "%s: its database is in %s\n", args[0], path)
			a.tellNamesakes(c.Context(), args[0])
			return nil
		}}
}

// tellNamesakes tells of retained databases whose clients had a name before the one that answers to it.
func (a *app) tellNamesakes(ctx context.Context, name string) {
	var kept []reconcile.Kept
	if _, err := a.ask(ctx, daemon.Ask{Op: "retained"}, &kept); err != nil {
		return // the dump is there
	}
	for _, k := range kept {
		if k.Client == name && k.As != "" {
			fmt.Fprintf(a.err, "That is the database of the client that is called so now. An earlier one's is retained: `reconciler dump %s FILE`.\n", safe(k.As))
		}
	}
}

// tellUnfinished tells of what dumps that were cut off left in a folder. It is a person's: nothing
// is deleted there.
func (a *app) tellUnfinished(dir string) {
	left, _ := filepath.Glob(filepath.Join(dir, provider.UnfinishedDump+"*")) // a folder that reads as a pattern tells of nothing
	for _, path := range left {
		fmt.Fprintf(a.err, "%s is what a dump that was cut off left, if no other one is writing it: delete it.\n", safe(path))
	}
}
