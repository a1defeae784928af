package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/compassdigital/reconciler/internal/daemon"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

// output adds -o table|json.
func output(c *cobra.Command) *string {
	return c.Flags().StringP("output", "o", "table", "table or json")
}

func asJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// format checks -o and says whether it is json.
func format(o string) (bool, error) {
	switch o {
	case "json":
		return true, nil
	case "table":
		return false, nil
	}
	return false, usageError{fmt.Sprintf("-o %s: it is table or json", o)}
}

// table prints rows in columns.
func table(w io.Writer, head []string, rows [][]string) {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join(head, "\t"))
	for _, r := range rows {
		for i := range r {
			r[i] = oneLine(r[i])
		}
		fmt.Fprintln(t, strings.Join(r, "\t"))
	}
	_ = t.Flush() // the writer below has its own errors
}

// oneLine makes text from outside safe for a terminal: no control characters, one line.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) {
			return ' '
		}
		return r
	}, s)
}

func short(commit string) string {
	if len(commit) > 7 {
		return commit[:7]
	}
	return commit
}

func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func (a *app) statusCommand() *cobra.Command {
	c := &cobra.Command{Use: "status [CLIENT]", Short: "What is there: every client, or one", Args: atMost(1)}
	o := output(c)
	exit := c.Flags().Bool("exit-code", false, "exit with 1 when a client failed or is invalid, 3 when one is held")
	c.RunE = func(c *cobra.Command, args []string) error {
		json, err := format(*o)
		if err != nil {
			return err
		}
		var v reconcile.Overview
		if _, err := a.ask(c.Context(), daemon.Ask{Op: "overview"}, &v); err != nil {
			return err
		}
		if len(args) == 1 {
			if v.Clients = only(v.Clients, args[0]); len(v.Clients) == 0 {
				return fmt.Errorf("%w: %q", reconcile.ErrNoClient, args[0])
			}
		}
		if json {
			err = asJSON(a.out, v)
		} else {
			a.printOverview(v)
		}
		if err == nil && *exit {
			return codeOf(v)
		}
		return err
	}
	return c
}

func only(rows []reconcile.Row, name string) []reconcile.Row {
	for _, r := range rows {
		if r.Name == name {
			return []reconcile.Row{r}
		}
	}
	return nil
}

// codeOf is the exit code that an overview deserves.
func codeOf(v reconcile.Overview) error {
	held := len(v.Holds) > 0
	for _, r := range v.Clients {
		switch state.Status(r.Status) {
		case state.StatusFailed, state.StatusInvalid:
			return codeError{code: exitFailed}
		case state.StatusHeld:
			held = true
		}
	}
	if len(v.Problems) > 0 {
		return codeError{code: exitFailed}
	}
	if held {
		return codeError{code: exitHeld}
	}
	return nil
}

func (a *app) printOverview(v reconcile.Overview) {
	if len(v.Clients) == 0 {
		fmt.Fprintln(a.out, "No clients yet. Add a manifest to the repository and push.")
	} else {
		var rows [][]string
		for _, r := range v.Clients {
			rows = append(rows, []string{r.Name, r.Status, r.Health, dash(r.URL), short(r.Commit), r.Because})
		}
		table(a.out, []string{"CLIENT", "STATUS", "HEALTH", "URL", "COMMIT", "BECAUSE"}, rows)
	}
	for _, p := range v.Problems {
		fmt.Fprintf(a.out, "\n%s:%d:%d: %s\n", oneLine(p.Path), p.Line, p.Column, oneLine(p.Text))
		if p.Hint != "" {
			fmt.Fprintf(a.out, "  %s\n", oneLine(p.Hint))
		}
	}
	for _, h := range v.Holds {
		fmt.Fprintf(a.out, "\nheld %s: %s\n  %s\n", h.Fingerprint, oneLine(h.Reason), oneLine(h.Act))
	}
}

func (a *app) historyCommand() *cobra.Command {
	c := &cobra.Command{Use: "history [CLIENT]", Short: "What happened, newest first", Args: atMost(1)}
	o := output(c)
	n := c.Flags().Int("limit", 30, "at most so many entries")
	c.RunE = func(c *cobra.Command, args []string) error {
		json, err := format(*o)
		if err != nil {
			return err
		}
		q := daemon.Ask{Op: "history", Limit: *n}
		if len(args) == 1 {
			q.Name = args[0]
		}
		var v []state.Entry
		if _, err := a.ask(c.Context(), q, &v); err != nil {
			return err
		}
		if json {
			return asJSON(a.out, map[string]any{"history": v})
		}
		var rows [][]string
		for _, e := range v {
			rows = append(rows, []string{when(e.At), dash(e.Name), e.What, short(e.Commit), dash(e.By), e.Text})
		}
		table(a.out, []string{"WHEN", "CLIENT", "WHAT", "COMMIT", "BY", "TEXT"}, rows)
		return nil
	}
	return c
}

func (a *app) logsCommand() *cobra.Command {
	c := &cobra.Command{Use: "logs DEPLOYMENT|CLIENT", Short: "A deployment's progress, line by line (a client's name means its last)", Args: exactly(1)}
	follow := c.Flags().BoolP("follow", "f", false, "go on until the deployment has ended")
	c.RunE = func(c *cobra.Command, args []string) error {
		id, after := args[0], uint64(0)
		var d reconcile.Detail
		if _, err := a.ask(c.Context(), daemon.Ask{Op: "detail", Name: id}, &d); err == nil && d.Deployment != "" {
			id = d.Deployment
		}
		for {
			var l daemon.Log
			if _, err := a.ask(c.Context(), daemon.Ask{Op: "log", Name: id, After: after, Limit: 500}, &l); err != nil {
				return err
			}
			for _, x := range l.Lines {
				fmt.Fprintf(a.out, "%s  %s\n", x.At.UTC().Format("15:04:05.000"), oneLine(x.Text))
				after = x.Seq
			}
			if len(l.Lines) > 0 && !l.Ended {
				continue
			}
			if l.Ended || !*follow {
				return nil
			}
			select {
			case <-c.Context().Done():
				return nil
			case <-time.After(300 * time.Millisecond):
			}
		}
	}
	return c
}

func (a *app) whyCommand() *cobra.Command {
	c := &cobra.Command{Use: "why CLIENT", Short: "Why a client is as it is, and what to do", Args: exactly(1)}
	o := output(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		json, err := format(*o)
		if err != nil {
			return err
		}
		var d reconcile.Detail
		if _, err := a.ask(c.Context(), daemon.Ask{Op: "detail", Name: args[0]}, &d); err != nil {
			return err
		}
		if json {
			return asJSON(a.out, d)
		}
		a.printWhy(d)
		return nil
	}
	return c
}

func (a *app) printWhy(d reconcile.Detail) {
	fmt.Fprintf(a.out, "%s is %s", d.Name, d.Status)
	if d.Because != "" {
		fmt.Fprintf(a.out, ": %s", oneLine(d.Because))
	}
	fmt.Fprintln(a.out)
	if d.Next != "" {
		fmt.Fprintf(a.out, "What to do: %s\n", oneLine(d.Next))
	}
	if !d.RetryAt.IsZero() {
		fmt.Fprintf(a.out, "Goes on by itself at %s\n", when(d.RetryAt))
	}
	if d.Problem != nil {
		fmt.Fprintf(a.out, "The file at the head is invalid: %s:%d:%d: %s\n  the last good version stays. %s\n", oneLine(d.Problem.Path), d.Problem.Line, d.Problem.Column, oneLine(d.Problem.Text), oneLine(d.Problem.Hint))
	}
	for _, h := range d.Holds {
		fmt.Fprintf(a.out, "Held %s: %s %s\n", h.Fingerprint, oneLine(h.Reason), oneLine(h.Act))
	}
	if d.Last != nil {
		fmt.Fprintf(a.out, "\nLast pass %s (%s, commit %s): %s\n", d.Last.ID, d.Last.Cause, short(d.Last.Commit), d.Last.State)
		var rows [][]string
		for _, s := range d.Last.Steps {
			rows = append(rows, []string{s.State, s.Action, string(s.Ref.Kind) + " " + s.Ref.Name, s.Provider, s.Note + s.Error})
		}
		table(a.out, []string{"  STATE", "ACTION", "WHAT", "AT", "NOTE"}, indent(rows))
	}
	if len(d.Resources) > 0 {
		fmt.Fprintln(a.out, "\nOn record:")
		var rows [][]string
		for _, r := range d.Resources {
			note := r.Message
			if r.Retained() {
				note = "kept for ever"
				if !r.PurgeAfter.IsZero() {
					note = "kept until " + when(r.PurgeAfter)
				}
			}
			rows = append(rows, []string{string(r.Ref.Kind), r.Ref.Name, r.Provider, r.ID, note})
		}
		table(a.out, []string{"  KIND", "NAME", "AT", "ID", "NOTE"}, indent(rows))
	}
}

func indent(rows [][]string) [][]string {
	for i := range rows {
		rows[i][0] = "  " + rows[i][0]
	}
	return rows
}

func (a *app) driftCommand() *cobra.Command {
	c := &cobra.Command{Use: "drift [CLIENT...]", Short: "Look at the world: what is not as recorded (exit code 1 when something is)"}
	o := output(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		json, err := format(*o)
		if err != nil {
			return err
		}
		var v []reconcile.DriftRow
		if _, err := a.ask(c.Context(), daemon.Ask{Op: "drift", Names: args}, &v); err != nil {
			return err
		}
		switch {
		case json:
			err = asJSON(a.out, map[string]any{"drift": v})
		case len(v) == 0:
			fmt.Fprintln(a.out, "Everything is as recorded.")
		default:
			var rows [][]string
			for _, d := range v {
				text := d.Text
				for _, f := range d.Fields {
					text += fmt.Sprintf("%s is %q, recorded %q; ", f.Name, f.Before, f.After)
				}
				rows = append(rows, []string{d.Client, d.Ref, d.Provider, d.What, strings.TrimSuffix(text, "; ")})
			}
			table(a.out, []string{"CLIENT", "WHAT", "AT", "DRIFT", "DETAIL"}, rows)
		}
		if err == nil && len(v) > 0 {
			return codeError{code: exitFailed}
		}
		return err
	}
	return c
}

func (a *app) retainedCommand() *cobra.Command {
	c := &cobra.Command{Use: "retained", Short: "Data of removed clients, and until when it is kept", Args: noArgs}
	o := output(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		json, err := format(*o)
		if err != nil {
			return err
		}
		var v []reconcile.Kept
		if _, err := a.ask(c.Context(), daemon.Ask{Op: "retained"}, &v); err != nil {
			return err
		}
		if json {
			return asJSON(a.out, map[string]any{"retained": v})
		}
		if len(v) == 0 {
			fmt.Fprintln(a.out, "Nothing is retained.")
			return nil
		}
		var rows [][]string
		for _, k := range v {
			until := "for ever"
			if !k.Until.IsZero() {
				until = when(k.Until)
			}
			rows = append(rows, []string{k.Client, k.Kind, k.Provider, k.ID, when(k.Since), until})
		}
		table(a.out, []string{"CLIENT", "KIND", "AT", "ID", "SINCE", "KEPT UNTIL"}, rows)
		return nil
	}
	return c
}
