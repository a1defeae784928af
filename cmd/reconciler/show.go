package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/compassdigital/reconciler/internal/daemon"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
)

// output adds -o table|json.
func output(c *cobra.Command) *string {
	o := c.Flags().StringP("output", "o", "table", "print as `table|json`")
	_ = c.RegisterFlagCompletionFunc("output", fixed("table", "json")) // the flag is there
	return o
}

// json prints the one document of a command.
func (a *app) json(v any) error {
	a.answered = true
	e := json.NewEncoder(a.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
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
func (a *app) table(head []string, rows [][]string) {
	fmt.Fprint(a.out, report.Table(head, rows, a.look()))
}

func short(commit string) string { return commit[:min(7, len(commit))] }

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
	c := &cobra.Command{Use: "status [CLIENT]", Short: "What is there: every client, or one", Args: atMost(1), ValidArgsFunction: a.clients(1),
		Long: `What is there: every client with its status, its health and its address; then the
files that are invalid and what is held.

With --exit-code the command ends with 1 when a client failed, is invalid or does not
answer as it should, else with 3 when something waits for a person.`,
		Example: "  reconciler status\n  reconciler status demoshop -o json\n  reconciler status --exit-code >/dev/null || echo look"}
	o := output(c)
	exit := c.Flags().Bool("exit-code", false, "end with 1 when a client is not well, 3 when one is held")
	c.RunE = func(c *cobra.Command, args []string) error {
		json, err := format(*o)
		if err != nil {
			return err
		}
		var v reconcile.Overview
		if _, err := a.ask(c.Context(), daemon.Ask{Op: "overview"}, &v); err != nil {
			return err
		}
		if v, err = narrow(v, args); err != nil {
			return err
		}
		if json {
			err = a.json(v)
		} else {
			a.printOverview(v, len(args) > 0)
		}
		if err == nil && *exit {
			for _, r := range v.Clients {
				if r.Health == string(state.Degraded) {
					return codeError{code: exitFailed}
				}
			}
			err = codeOf(v)
			if err == nil && slices.ContainsFunc(v.Clients, asksAPerson) {
				err = codeError{code: exitHeld}
			}
		}
		return err
	}
	return c
}

// asksAPerson says that a client waits in the middle of a change for what a person has to do: to set a record, say.
func asksAPerson(r reconcile.Row) bool {
	s := state.Status(r.Status)
	return (s == state.StatusProvisioning || s == state.StatusDeploying) && r.Next != ""
}

// narrow keeps what an overview says of the named clients; no names mean all of it.
func narrow(v reconcile.Overview, names []string) (reconcile.Overview, error) {
	if len(names) == 0 {
		return v, nil
	}
	out := reconcile.Overview{Clients: []reconcile.Row{}, Head: v.Head, Verdict: v.Verdict}
	for _, n := range slices.Compact(slices.Sorted(slices.Values(names))) {
		found := false
		for _, row := range v.Clients { // a name may have been another client's, whose data is kept
			if row.Name != n {
				continue
			}
			found = true
			out.Clients = append(out.Clients, row)
			for _, h := range v.Holds {
				told := slices.ContainsFunc(out.Holds, func(o state.Hold) bool { return o.Fingerprint == h.Fingerprint })
				if id := state.ClientID(row.ID); !told && (h.Client == id || slices.Contains(h.Clients, id)) {
					out.Holds = append(out.Holds, h)
				}
			}
		}
		if !found {
			return v, unknownClient(n, v.Clients)
		}
		for _, p := range v.Problems {
			if p.Client == n {
				out.Problems = append(out.Problems, p)
			}
		}
	}
	return out, nil
}

// codeOf is the exit code that an overview deserves.
func codeOf(v reconcile.Overview) error {
	// A change on its way from client to client waits for nobody.
	// Nor does what is approved.
	held := slices.ContainsFunc(v.Holds, func(h state.Hold) bool {
		return (h.Waves == nil || h.Waves.Halted) && !strings.HasPrefix(h.Act, state.ApprovedAlready)
	})
	for _, r := range v.Clients {
		switch state.Status(r.Status) {
		case state.StatusFailed, state.StatusInvalid:
			return codeError{code: exitFailed}
		case state.StatusHeld:
			held = held || !strings.HasPrefix(r.Next, state.ApprovedAlready)
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

// printOverview shows rows; with next also what to do about each.
func (a *app) printOverview(v reconcile.Overview, next bool) {
	rows := make([]report.Client, 0, len(v.Clients))
	for _, r := range v.Clients {
		rows = append(rows, a.clientOf(r))
	}
	fmt.Fprint(a.out, report.Overview(rows, v.Problems, v.Holds, a.look()))
	for _, n := range v.Notices {
		fmt.Fprintf(a.out, "\n%s\n", report.Line(n))
	}
	for _, r := range v.Clients {
		if next && r.Next != "" && r.Status != string(state.StatusInvalid) && r.Status != string(state.StatusHeld) { // those say it above
			fmt.Fprintf(a.out, "\n%s: %s\n", report.Line(r.Name), report.Line(r.Next))
		}
		if text := a.clientOf(r).Size.Line(); next && text != "" {
			fmt.Fprintf(a.out, "\n%s: %s\n", report.Line(r.Name), text)
		}
	}
}

func (a *app) clientOf(r reconcile.Row) report.Client {
	c := report.Client{Name: r.Name, Status: r.Status, Health: r.Health, URL: r.URL, Commit: r.Commit, Because: r.Why(), Next: r.Next}
	if d := r.Database; d != nil {
		c.Size = report.Size{Provider: d.Provider, ID: d.ID, Bytes: d.Bytes, Seen: a.age(d.SeenAt)}
	}
	return c
}

func (a *app) historyCommand() *cobra.Command {
	c := &cobra.Command{Use: "history [CLIENT]", Short: "What happened, newest first", Args: atMost(1), ValidArgsFunction: a.clients(1),
		Long:    "What happened to a client, or to all of them, newest first: what was accepted, done, held,\napproved, paused, erased, by whom and for which commit.",
		Example: "  reconciler history demoshop\n  reconciler history --limit 200 -o json"}
	o := output(c)
	n := c.Flags().Int("limit", 30, "at most so many `entries`")
	c.RunE = func(c *cobra.Command, args []string) error {
		json, err := format(*o)
		if err != nil {
			return err
		}
		if *n < 1 {
			return usageError{fmt.Sprintf("--limit %d: at least 1", *n)}
		}
		q := daemon.Ask{Op: "history", Limit: *n}
		if len(args) == 1 {
			q.Name = args[0]
		}
		v := []state.Entry{}
		if _, err := a.ask(c.Context(), q, &v); err != nil {
			return err
		}
		if json {
			return a.json(map[string]any{"history": v})
		}
		if len(v) == 0 {
			fmt.Fprintln(a.out, "Nothing has happened yet.")
			return nil
		}
		var rows [][]string
		for _, e := range v {
			rows = append(rows, []string{when(e.At), dash(e.Name), e.What, short(e.Commit), dash(e.By), e.Text})
		}
		a.table([]string{"WHEN", "CLIENT", "WHAT", "COMMIT", "BY", "TEXT"}, rows)
		return nil
	}
	return c
}

func (a *app) whyCommand() *cobra.Command {
	c := &cobra.Command{Use: "why CLIENT", Short: "Why a client is as it is, and what to do", Args: exactly(1), ValidArgsFunction: a.clients(1),
		Long: `Why a client is as it is: its status and since when, what to do, what waits for whom;
then the last pass step by step, and what is on record.`,
		Example: "  reconciler why demoshop"}
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
			return a.json(d)
		}
		r := a.clientOf(d.Row)
		r.Since, r.RetryAt, r.Problem, r.Holds, r.Last = since(d), d.RetryAt, d.Problem, d.Holds, d.Last
		r.Resources, r.Intents, r.Tombstones = d.Resources, d.Intents, d.Tombstones
		r.LookAt, r.Now = d.LookAt, a.now()
		r.HealthBecause, r.HealthSince = d.HealthBecause, d.HealthSince
		if r.LookFailed = d.LookFailed; !d.LastLook.IsZero() {
			r.LastLook = a.age(d.LastLook)
		}
		for _, row := range d.DriftRows {
			r.Drift = append(r.Drift, report.Drift{Text: row.Text, Next: row.Next, Policy: row.Policy, Since: row.Since, Looks: row.Looks})
		}
		fmt.Fprint(a.out, r.Why(a.look()))
		return nil
	}
	return c
}

// since is when a client came to be as it is: the first of the newest entries of its
// history that say the same. Zero where the history does not say.
func since(d reconcile.Detail) time.Time {
	said := map[state.Status]string{state.StatusActive: "succeeded", state.StatusRetained: "succeeded", state.StatusFailed: "failed",
		state.StatusHeld: "held", state.StatusPaused: "paused", state.StatusInvalid: "invalid"}
	word, ok := said[state.Status(d.Status)]
	if !ok {
		if d.Last != nil && (d.Last.Ended.IsZero() || d.Last.State == "interrupted") {
			return d.Last.Started
		}
		return time.Time{}
	}
	var at time.Time
	for _, e := range d.History {
		switch {
		case e.What == word:
			at = e.At
		case e.What == "removed" && word == "held" && at.IsZero():
			return e.At
		case e.What == "removed": // what was before that is another time
			return at
		case !at.IsZero() && slices.Contains([]string{"succeeded", "failed", "held", "paused", "invalid"}, e.What):
			return at
		}
	}
	return at
}

func (a *app) retainedCommand() *cobra.Command {
	c := &cobra.Command{Use: "retained", Short: "Data of removed clients, and until when it is kept", Args: noArgs,
		Long:    "Data of removed clients, and until when it is kept. A manifest that comes back gets its\ndata back; `reconciler purge` erases before the date.",
		Example: "  reconciler retained"}
	o := output(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		json, err := format(*o)
		if err != nil {
			return err
		}
		v := []reconcile.Kept{}
		if _, err := a.ask(c.Context(), daemon.Ask{Op: "retained"}, &v); err != nil {
			return err
		}
		if json {
			return a.json(map[string]any{"retained": v})
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
			rows = append(rows, []string{cmp.Or(k.As, k.Client), k.Kind, k.Provider, k.ID, when(k.Since), until})
		}
		a.table([]string{"CLIENT", "KIND", "AT", "ID", "SINCE", "KEPT UNTIL"}, rows)
		return nil
	}
	return c
}
