package main

import (
	"bufio"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/compassdigital/reconciler/internal/daemon"
	"github.com/compassdigital/reconciler/internal/state"
)

func (a *app) retryCommand() *cobra.Command {
	return &cobra.Command{Use: "retry CLIENT", Short: "Try a failed or held client again, from the step where it stopped", Args: exactly(1), RunE: func(c *cobra.Command, args []string) error {
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
	text := map[string]string{"pause": "Plan a client's changes and leave it alone", "resume": "Let a paused client's changes run"}
	return &cobra.Command{Use: word + " CLIENT", Short: text[word], Args: exactly(1), RunE: func(c *cobra.Command, args []string) error {
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
	return &cobra.Command{Use: "approve FINGERPRINT", Short: "Let run what is held under a fingerprint: exactly that, once, within 24 hours", Args: exactly(1),
		Long: "Let run what is held under a fingerprint (four or more of its first characters).\nAn approval binds exactly the steps that the hold showed, is used once, and lapses after 24 hours.",
		RunE: func(c *cobra.Command, args []string) error {
			var n int
			by, err := a.ask(c.Context(), daemon.Ask{Op: "approve", Name: args[0]}, &n)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.out, "approved; %d clients go on.\n", n)
			a.later(by)
			return nil
		}}
}

func (a *app) purgeCommand() *cobra.Command {
	c := &cobra.Command{Use: "purge CLIENT", Short: "Erase a removed client's retained data now, before its date", Args: exactly(1)}
	yes := c.Flags().Bool("yes", false, "don't ask")
	c.RunE = func(c *cobra.Command, args []string) error {
		if !*yes {
			fmt.Fprintf(a.err, "This erases the data of %s for good; `reconciler dump %s FILE` keeps a copy.\nType the client's name to go on: ", args[0], args[0])
			line, err := bufio.NewReader(io.LimitReader(a.in, 1024)).ReadString('\n')
			if err != nil && line == "" {
				return usageError{"nothing was typed; --yes goes on without asking"}
			}
			if strings.TrimSpace(line) != args[0] {
				return usageError{"that is another name; nothing was erased"}
			}
		}
		var done []string
		if _, err := a.ask(c.Context(), daemon.Ask{Op: "purge", Name: args[0]}, &done); err != nil {
			return err
		}
		if len(done) == 0 {
			fmt.Fprintf(a.out, "%s has no retained data.\n", args[0])
		}
		for _, d := range done {
			fmt.Fprintln(a.out, d)
		}
		return nil
	}
	return c
}

func (a *app) dumpCommand() *cobra.Command {
	return &cobra.Command{Use: "dump CLIENT FILE", Short: "Write a client's database to a file", Args: exactly(2), RunE: func(c *cobra.Command, args []string) error {
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

func (a *app) secretCommand() *cobra.Command {
	root := &cobra.Command{Use: "secret", Short: "Secrets that manifests name"}
	var client string
	root.PersistentFlags().StringVar(&client, "client", "", "the client that it belongs to; without it, everybody's ({secret: shared/NAME})")
	set := &cobra.Command{Use: "set NAME", Short: "Store a new version; the value is read from standard input", Args: exactly(1)}
	set.RunE = func(c *cobra.Command, args []string) error {
		value, err := io.ReadAll(io.LimitReader(a.in, 64<<10))
		if err != nil {
			return fmt.Errorf("read the value: %w", err)
		}
		var v daemon.SecretSet
		by, err := a.ask(c.Context(), daemon.Ask{Op: "secret-set", Name: client, Secret: args[0], Value: strings.TrimRight(string(value), "\r\n")}, &v)
		if err != nil {
			return err
		}
		fmt.Fprintf(a.out, "%s version %d (%s); %d clients use it and are planned again.\n", args[0], v.Ref.Version, v.Ref.Fingerprint, v.Clients)
		a.later(by)
		return nil
	}
	list := &cobra.Command{Use: "list", Short: "Names, versions and fingerprints; never values", Args: noArgs}
	o := output(list)
	list.RunE = func(c *cobra.Command, _ []string) error {
		json, err := format(*o)
		if err != nil {
			return err
		}
		v := []state.SecretRef{}
		if _, err := a.ask(c.Context(), daemon.Ask{Op: "secrets", Name: client}, &v); err != nil {
			return err
		}
		if json {
			return asJSON(a.out, map[string]any{"secrets": v})
		}
		var rows [][]string
		for _, s := range v {
			rows = append(rows, []string{s.Scope, s.Name, fmt.Sprint(s.Version), s.Fingerprint})
		}
		table(a.out, []string{"OF", "NAME", "VERSION", "FINGERPRINT"}, rows)
		return nil
	}
	rm := &cobra.Command{Use: "rm NAME", Short: "Forget every version", Args: exactly(1), RunE: func(c *cobra.Command, args []string) error {
		if _, err := a.ask(c.Context(), daemon.Ask{Op: "secret-rm", Name: client, Secret: args[0]}, nil); err != nil {
			return err
		}
		fmt.Fprintf(a.out, "%s is forgotten.\n", args[0])
		return nil
	}}
	root.AddCommand(set, list, rm)
	return root
}
