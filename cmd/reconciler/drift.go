package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/compassdigital/reconciler/internal/daemon"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/report"
)

func (a *app) driftCommand() *cobra.Command {
	c := &cobra.Command{Use: "drift [CLIENT...]", Short: "Look at the world: what is not as recorded", ValidArgsFunction: a.clients(many),
		Long: `Look at the providers, now: what is not as recorded, field by field, since when, and what
becomes of it. Nothing is changed, and it is no look of the schedule.

The block drift of a manifest (or of defaults) says how a field is treated: report, the
default; heal, put back after two scheduled looks that found the same; ignore, with a
reason and an end. Data is never healed. A field that was put back three times in a day is
left alone until ` + "`reconciler retry`" + ` or a commit. What is reported, the client's next change or
` + "`reconciler retry`" + ` puts back.

--adopt prints a patch of the client's manifest that wishes what was found: only those
values change, and what is a default is added. Of a DNS record in dns.records that is all
that it says: type, name, content, priority, ttl, proxied; the record goes on as the same
one. What it can't take over is said on standard error, with the reason and the place:
what a template says for all of its clients, secrets, and what breaks a rule of manifests.
With --propose, too, it opens a pull request with that change, at the GitHub that is
configured: one for a change, however often it is asked for. That takes a token or an App
that may write contents.

Ends with 1 when something has drifted; with --adopt, when something is left.`,
		Example: "  reconciler drift\n  reconciler drift demoshop -o json\n  reconciler drift demoshop --adopt | git apply\n  reconciler drift demoshop --adopt --propose"}
	o := output(c)
	adopt := c.Flags().Bool("adopt", false, "print a patch of the manifest that wishes what was found")
	propose := c.Flags().Bool("propose", false, "with --adopt: open a pull request with the change")
	c.RunE = func(c *cobra.Command, args []string) error {
		json, err := format(*o)
		if err != nil {
			return err
		}
		if *propose && !*adopt {
			return usageError{"--propose goes with --adopt: `reconciler drift CLIENT --adopt --propose`"}
		}
		if *adopt {
			if len(args) != 1 {
				return usageError{"--adopt takes one client: `reconciler drift CLIENT --adopt`"}
			}
			return a.adoptDrift(c.Context(), args[0], json, *propose)
		}
		v := []reconcile.DriftRow{}
		if _, err := a.ask(c.Context(), daemon.Ask{Op: "drift", Names: args}, &v); err != nil {
			return err
		}
		drifted := false
		for _, d := range v {
			drifted = drifted || !d.Ignored()
		}
		switch {
		case json:
			err = a.json(map[string]any{"drift": v})
		case len(v) == 0:
			fmt.Fprintln(a.out, "Everything is as recorded.")
		default:
			a.printDrift(v)
		}
		if err == nil && drifted {
			return codeError{code: exitFailed}
		}
		return err
	}
	return c
}

func (a *app) printDrift(v []reconcile.DriftRow) {
	var rows [][]string
	for _, d := range v {
		looks := "-"
		if d.Looks > 0 {
			looks = fmt.Sprint(d.Looks)
		}
		rows = append(rows, []string{d.Client, dash(d.Ref), dash(d.Provider), d.What, d.Text, dash(d.Policy), a.age(d.Since), looks, a.age(d.LastLook)})
	}
	a.table([]string{"CLIENT", "WHAT", "AT", "DRIFT", "DETAIL", "POLICY", "SINCE", "LOOKS", "LOOKED AT"}, rows)
	said := map[string]bool{}
	for _, d := range v {
		if line := d.Client + ": " + d.Next; d.Next != "" && !said[line] {
			said[line] = true
			fmt.Fprintf(a.out, "\n%s\n", report.Line(line))
		}
	}
}

// age is how long ago something was.
func (a *app) age(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	d := max(a.now().Sub(t), 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds ago", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh ago", int(d.Hours()))
	}
	return fmt.Sprintf("%dd ago", int(d.Hours()/24))
}

func (a *app) adoptDrift(ctx context.Context, name string, json, propose bool) error {
	var v proposed
	op := "drift-adopt"
	if propose {
		op = "drift-propose"
	}
	if _, err := a.ask(ctx, daemon.Ask{Op: op, Name: name}, &v); err != nil {
		return err
	}
	if json {
		if err := a.json(v); err != nil {
			return err
		}
	} else {
		if v.PullRequest > 0 {
			fmt.Fprintf(a.out, "Pull request %d: %s\n", v.PullRequest, report.Line(v.URL))
		} else {
			fmt.Fprint(a.out, v.Patch)
		}
		if len(v.Taken)+len(v.Left) == 0 {
			fmt.Fprintln(a.err, "Everything is as recorded.")
		}
		for _, t := range v.Taken {
			fmt.Fprintln(a.err, "taken over: "+report.Line(t))
		}
		for _, l := range v.Left {
			fmt.Fprintln(a.err, "left: "+report.Line(l.Text)+"\n  "+report.Line(l.Why))
		}
	}
	if len(v.Left) > 0 {
		return codeError{code: exitFailed}
	}
	return nil
}
