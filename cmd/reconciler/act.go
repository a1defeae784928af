package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/compassdigital/reconciler/internal/daemon"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

// maxSecret bounds a secret's value.
const maxSecret = 64 << 10

func (a *app) retryCommand() *cobra.Command {
	return &cobra.Command{Use: "retry CLIENT", Short: "Try a failed or held client again, from where it stopped", Args: exactly(1), ValidArgsFunction: a.clients(1),
		Long:    "Try a failed or held client again, from the step where it stopped. What exists already is\nlooked at, not made again.",
		Example: "  reconciler retry demoshop && reconciler logs -f demoshop",
		RunE: func(c *cobra.Command, args []string) error {
			by, err := a.ask(c.Context(), daemon.Ask{Op: "retry", Name: args[0]}, nil)
			if err != nil {
				return err
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
			by, err := a.ask(c.Context(), daemon.Ask{Op: word, Name: args[0]}, nil)
			if err != nil {
				return err
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
			var n int
			by, err := a.ask(c.Context(), daemon.Ask{Op: "approve", Name: args[0]}, &n)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.out, "Approved; %s.\n", counted(n, "client goes on", "clients go on"))
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
name first. Nothing brings the data back; ` + "`reconciler dump`" + ` keeps a copy.`,
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
		Long:    "Write a client's database to a file, also while it is retained. The file must not be there.",
		Example: "  reconciler dump demoshop demoshop.db",
		RunE: func(c *cobra.Command, args []string) error {
			path, err := filepath.Abs(args[1])
			if err != nil {
				return fmt.Errorf("dump: %w", err)
			}
			if _, err := a.ask(c.Context(), daemon.Ask{Op: "dump", Name: args[0], Path: path}, nil); err != nil {
				return err
			}
			fmt.Fprintf(a.out, "%s: its database is in %s\n", args[0], path)
			return nil
		}}
}

// secretOf is whose secret a command means.
func secretOf(client string, coming bool) string {
	if coming && client != "" {
		return reconcile.Coming + client
	}
	return client
}

func (a *app) secretCommand() *cobra.Command {
	root := &cobra.Command{Use: "secret", Short: "Secrets that manifests name", Args: known, RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
		Long: `Secrets that manifests name: {secret: mollie} is the client's own, {secret: shared/mollie}
everybody's. Values are sealed in the state and never shown.`}
	var client string
	var coming bool
	root.PersistentFlags().BoolVar(&coming, "new", false, "with --client: one whose manifest is not merged yet")
	root.PersistentFlags().StringVar(&client, "client", "", "the `client` that it belongs to; without it, everybody's ({secret: shared/NAME})")
	_ = root.RegisterFlagCompletionFunc("client", a.clients(many)) // the flag is there
	set := &cobra.Command{Use: "set NAME", Short: "Store a new version; the value is read from the terminal or a pipe", Args: nameOnly,
		Long: `Store a new version of a secret. The value is asked for on a terminal, where it does not
show, or read from a pipe; never from the command line, which others can see. Clients that
use it are planned again.`,
		Example: "  reconciler secret set mollie --client demoshop\n  reconciler secret set mollie --client newshop --new\n  reconciler secret set smtp-password < password.txt"}
	set.RunE = func(c *cobra.Command, args []string) error {
		value, err := a.readSecret(c.Context(), args[0])
		if err != nil {
			return err
		}
		var v daemon.SecretSet
		by, err := a.ask(c.Context(), daemon.Ask{Op: "secret-set", Name: secretOf(client, coming), Secret: args[0], Value: value}, &v)
		if err != nil {
			return err
		}
		fmt.Fprintf(a.out, "%s version %d (%s); %s.\n", args[0], v.Ref.Version, v.Ref.Fingerprint, counted(v.Clients, "client uses it and is planned again", "clients use it and are planned again"))
		a.later(by)
		return nil
	}
	rm := &cobra.Command{Use: "rm NAME", Short: "Forget every version", Args: exactly(1),
		Long:    "Forget every version of a secret. A manifest that still names it can't be planned any more.",
		Example: "  reconciler secret rm mollie --client demoshop",
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := a.ask(c.Context(), daemon.Ask{Op: "secret-rm", Name: secretOf(client, coming), Secret: args[0]}, nil); err != nil {
				return err
			}
			fmt.Fprintf(a.out, "%s is forgotten.\n", args[0])
			return nil
		}}
	root.AddCommand(set, a.secretListCommand(&client), rm, a.rekeyCommand())
	return root
}

// nameOnly refuses a value on the command line, and does not repeat it.
func nameOnly(c *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usage(c, errors.New("the value is read from the terminal or a pipe, never from the command line, which others can see; if this was it, set another one"))
	}
	return exactly(1)(c, args)
}

func (a *app) secretListCommand(client *string) *cobra.Command {
	list := &cobra.Command{Use: "list", Short: "Names, versions and fingerprints; never values", Args: noArgs,
		Example: "  reconciler secret list\n  reconciler secret list --client demoshop -o json"}
	o := output(list)
	list.RunE = func(c *cobra.Command, _ []string) error {
		json, err := format(*o)
		if err != nil {
			return err
		}
		v := []state.SecretRef{}
		if _, err := a.ask(c.Context(), daemon.Ask{Op: "secrets", Name: *client}, &v); err != nil {
			return err
		}
		if json {
			return a.json(map[string]any{"secrets": v})
		}
		if len(v) == 0 {
			fmt.Fprintln(a.out, "No secrets. `reconciler secret set NAME` stores one.")
			return nil
		}
		var all reconcile.Overview
		if _, err := a.ask(c.Context(), daemon.Ask{Op: "overview"}, &all); err != nil {
			return err
		}
		names := map[string]string{"shared": "everybody"}
		for _, r := range all.Clients {
			names[r.ID] = r.Name
		}
		var rows [][]string
		for _, s := range v {
			of := names[s.Scope]
			if of == "" {
				of = s.Scope
			}
			rows = append(rows, []string{of, s.Name, fmt.Sprint(s.Version), s.Fingerprint})
		}
		a.table([]string{"OF", "NAME", "VERSION", "FINGERPRINT"}, rows)
		return nil
	}
	return list
}

// readSecret reads a value: without an echo on a terminal, else to the end of the input.
// One line end at its end is not part of it.
func (a *app) readSecret(ctx context.Context, name string) (string, error) {
	var value []byte
	var err error
	if f, ok := a.in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprintf(a.err, "Value of %s (it does not show): ", name)
		value, err = a.readHidden(ctx, int(f.Fd()))
	} else {
		value, err = io.ReadAll(io.LimitReader(a.in, maxSecret+1))
	}
	if err != nil {
		return "", fmt.Errorf("read the value: %w", err)
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(value), "\n"), "\r")
	switch {
	case strings.TrimSpace(text) == "":
		return "", usageError{"the value is empty; nothing was stored"}
	case len(value) > maxSecret:
		return "", usageError{fmt.Sprintf("the value is longer than %d KiB; nothing was stored", maxSecret>>10)}
	}
	return text, nil
}

// readHidden reads a line without an echo. Ctrl-C gives the terminal back as it was.
func (a *app) readHidden(ctx context.Context, fd int) ([]byte, error) {
	before, err := term.GetState(fd)
	if err != nil {
		return nil, err
	}
	type answer struct {
		value []byte
		err   error
	}
	typed := make(chan answer, 1)
	go func() { // ends with the line, or with the program
		v, err := term.ReadPassword(fd)
		typed <- answer{v, err}
	}()
	defer fmt.Fprintln(a.err)
	select {
	case t := <-typed:
		return t.value, t.err
	case <-ctx.Done():
		return nil, errors.Join(context.Cause(ctx), term.Restore(fd, before))
	}
}
