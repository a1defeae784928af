package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/compassdigital/reconciler/internal/daemon"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/report"
)

// maxFollowers is how many clients a bump names.
const maxFollowers = 10

func (a *app) bumpCommand() *cobra.Command {
	c := &cobra.Command{Use: "bump --template NAME REF", Short: "Print a patch of a template that deploys another tag, branch or commit", Args: exactly(1), ValidArgsFunction: cobra.NoFileCompletions,
		Long: `Print a patch of a template, as the branch has it, that deploys another tag, branch or
commit. Only source.ref changes, and nothing is written: put the patch into a pull request,
whose plan says what becomes of each client. What the ref means is looked up first; one that
is not there is refused.

A branch that moves is no change. --pin writes the commit that the ref means now, so that
what a branch has become is deployed.`,
		Example: "  reconciler bump --template ecommerce v1.5.0 | git apply\n  reconciler bump --template ecommerce --pin main | git apply"}
	o := output(c)
	template := c.Flags().String("template", "", "the template's `name`")
	pin := c.Flags().Bool("pin", false, "write the commit that it means now")
	c.RunE = func(c *cobra.Command, args []string) error {
		json, err := format(*o)
		if err != nil {
			return err
		}
		if *template == "" {
			return usageError{"name the template: `reconciler bump --template NAME REF`"}
		}
		var v reconcile.Bumped
		if _, err := a.ask(c.Context(), daemon.Ask{Op: "bump", Name: *template, Rev: args[0], Pin: *pin}, &v); err != nil {
			return err
		}
		if json {
			return a.json(v)
		}
		fmt.Fprint(a.out, v.Patch)
		if v.Commit != "" {
			fmt.Fprintf(a.err, "%s is commit %s\n", report.Line(args[0]), report.Line(v.Commit))
		}
		if v.Patch == "" {
			fmt.Fprintf(a.err, "%s deploys %s already; --pin writes the commit that it means now\n", report.Line(v.Path), report.Line(v.Ref))
			return nil
		}
		some, more := v.Clients, ""
		if len(some) > maxFollowers {
			some, more = some[:maxFollowers], fmt.Sprintf(" and %d more", len(some)-maxFollowers)
		}
		if len(some) == 0 {
			some = []string{"no client"}
		}
		fmt.Fprintf(a.err, "it is followed by %s%s\n", report.Line(strings.Join(some, ", ")), more)
		return nil
	}
	return c
}
