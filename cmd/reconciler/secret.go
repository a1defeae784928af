package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/compassdigital/reconciler/internal/daemon"
	"github.com/compassdigital/reconciler/internal/reconcile"
)

// maxSecret bounds a secret's value.
const maxSecret = 64 << 10

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
everybody's. Values are sealed in the state and never shown. They are set here, or read from
sources outside (secrets.sources in reconciler.yaml): what a source has counts.`}
	var client string
	var coming bool
	root.PersistentFlags().BoolVar(&coming, "new", false, "with --client: one whose manifest is not merged yet")
	root.PersistentFlags().StringVar(&client, "client", "", "the `client` that it belongs to; without it, everybody's ({secret: shared/NAME})")
	_ = root.RegisterFlagCompletionFunc("client", a.clients(many)) // the flag is there
	root.PersistentPreRunE = func(c *cobra.Command, _ []string) error {
		switch {
		case client != "":
		case c.Flags().Changed("client"): // a script's empty variable must not mean everybody
			return usageError{"--client names nobody; leave it out for everybody's ({secret: shared/NAME})"}
		case coming:
			return usageError{"--new goes with --client: whose secret is it?"}
		}
		return nil
	}
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
		Long: `Forget every version of a secret. One that a manifest names, or that something was made
with, is refused: take it out of the manifest first.`,
		Example: "  reconciler secret rm mollie --client demoshop",
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := a.ask(c.Context(), daemon.Ask{Op: "secret-rm", Name: secretOf(client, coming), Secret: args[0]}, nil); err != nil {
				return err
			}
			fmt.Fprintf(a.out, "%s is forgotten.\n", args[0])
			return nil
		}}
	root.AddCommand(set, a.secretListCommand(&client), rm, a.secretRefreshCommand(&client, &coming), a.rekeyCommand())
	return root
}

func (a *app) secretRefreshCommand(client *string, coming *bool) *cobra.Command {
	return &cobra.Command{Use: "refresh [NAME]", Short: "Read the sources outside anew (secrets.sources)", Args: atMost(1),
		Long: `Read the sources of secrets anew: the environment, folders, age and sops files that
reconciler.yaml names (secrets.sources). A value that is another becomes a new version, and
the clients that use it are planned again. What can't be read stays at its last version.
The daemon does so by schedule (schedules.secrets).

Ends with 1 when a source can't be read.`,
		Example: "  reconciler secret refresh\n  reconciler secret refresh mollie --client demoshop",
		RunE: func(c *cobra.Command, args []string) error {
			conf, err := a.load()
			if err != nil {
				return err
			}
			if len(conf.Secrets.Sources) == 0 {
				return usageError{"there are no sources of secrets (secrets.sources in reconciler.yaml); `reconciler secret set NAME` stores one"}
			}
			q := daemon.Ask{Op: "secret-refresh"}
			if len(args) > 0 {
				q.Name, q.Secret = secretOf(*client, *coming), args[0]
			} else if *client != "" {
				return usageError{"--client needs the NAME of a secret; without both all are read"}
			}
			var v reconcile.Refreshed
			by, err := a.ask(c.Context(), q, &v)
			if err != nil {
				return err
			}
			for _, n := range v.Notes {
				fmt.Fprintln(a.err, safe(n))
			}
			if len(v.Set) == 0 {
				fmt.Fprintln(a.out, "Nothing new.")
			}
			for _, s := range v.Set {
				fmt.Fprintf(a.out, "%s version %d (%s) of %s\n", safe(s.Name), s.Version, s.Fingerprint, safe(s.Scope))
			}
			if len(v.Set) > 0 {
				fmt.Fprintf(a.out, "%s planned again.\n", counted(v.Users, "client is", "clients are"))
				a.later(by)
			}
			if len(v.Failed) > 0 {
				return codeError{exitFailed}
			}
			return nil
		}}
}

// nameOnly refuses a value on the command line, and does not repeat it.
func nameOnly(c *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usage(c, errors.New("the value is read from the terminal or a pipe, never from the command line, which others can see; if this was it, set another one"))
	}
	return exactly(1)(c, args)
}

func (a *app) secretListCommand(client *string) *cobra.Command {
	list := &cobra.Command{Use: "list", Short: "Names, versions, sources and users; never values", Args: noArgs,
		Long: `Every secret with its newest version: whose it is, its keyed fingerprint, where its value
came from (set by hand, a source outside, made here, told by a provider), how old it is, and
which clients' manifests name it. Never its value.`,
		Example: "  reconciler secret list\n  reconciler secret list --client demoshop -o json"}
	o := output(list)
	list.RunE = func(c *cobra.Command, _ []string) error {
		json, err := format(*o)
		if err != nil {
			return err
		}
		v := []reconcile.SecretRow{}
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
		var rows [][]string
		for _, s := range v {
			of := cmp.Or(s.Client, s.Scope)
			switch {
			case s.Scope == "shared":
				of = "everybody"
			case strings.HasPrefix(s.Scope, reconcile.Coming):
				of = s.Scope
			}
			rows = append(rows, []string{of, s.Name, fmt.Sprint(s.Version), s.Fingerprint, s.Source, a.age(s.At), usedBy(s.Users)})
		}
		a.table([]string{"OF", "NAME", "VERSION", "FINGERPRINT", "SOURCE", "AGE", "USED BY"}, rows)
		return nil
	}
	return list
}

// usedBy names a few clients, and counts the others.
func usedBy(users []string) string {
	const few = 3
	switch {
	case len(users) == 0:
		return "-"
	case len(users) > few:
		return fmt.Sprintf("%s and %d more", strings.Join(users[:few], ", "), len(users)-few)
	}
	return strings.Join(users, ", ")
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
	case !utf8.ValidString(text) || strings.Contains(text, "\x00"):
		return "", usageError{"the value is no text but binary data; store it as base64. Nothing was stored"}
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
