package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/compassdigital/reconciler/internal/daemon"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
)

// Reading a deployment's lines.
const (
	logPage  = 500 // lines at once
	logPause = 300 * time.Millisecond
)

func (a *app) logsCommand() *cobra.Command {
	c := &cobra.Command{Use: "logs DEPLOYMENT|CLIENT", Short: "A deployment's progress, line by line", Args: exactly(1), ValidArgsFunction: a.clients(1),
		Long: `A deployment's progress, line by line. A client's name means its last deployment; the page
and GET /api/deployments list the older ones.

With --follow the command goes on until the deployment has ended.`,
		Example: "  reconciler logs demoshop\n  reconciler logs -f demoshop"}
	o := output(c)
	follow := c.Flags().BoolP("follow", "f", false, "go on until the deployment has ended")
	c.RunE = func(c *cobra.Command, args []string) error {
		json, err := format(*o)
		if err != nil {
			return err
		}
		id, err := a.deploymentOf(c, args[0])
		if err != nil {
			return err
		}
		all := []state.LogLine{}
		ended, err := a.readLog(c, id, *follow, func(l state.LogLine) {
			if json {
				all = append(all, l)
				return
			}
			fmt.Fprintf(a.out, "%s  %s\n", l.At.UTC().Format("15:04:05.000"), report.Line(l.Text))
		})
		if err == nil && json {
			return a.json(map[string]any{"deployment": id, "ended": ended, "lines": all})
		}
		return err
	}
	return c
}

// deploymentOf is the deployment that a word means: a client's last, or itself.
func (a *app) deploymentOf(c *cobra.Command, word string) (string, error) {
	var d reconcile.Detail
	_, err := a.ask(c.Context(), daemon.Ask{Op: "detail", Name: word}, &d)
	switch {
	case err == nil && d.Deployment == "":
		return "", fmt.Errorf("%s has no deployment yet; `reconciler why %s` says what it waits for", word, word)
	case err == nil:
		return d.Deployment, nil
	}
	noClient := err
	_, err = a.ask(c.Context(), daemon.Ask{Op: "log", Name: word, Limit: 1}, nil)
	if errors.Is(err, reconcile.ErrNoDeployment) {
		return "", noClient
	}
	return word, err
}

// readLog hands over a deployment's lines; with follow, those to come until its end.
func (a *app) readLog(c *cobra.Command, id string, follow bool, each func(state.LogLine)) (ended bool, err error) {
	after := uint64(0)
	for {
		var l daemon.Log
		byDaemon, err := a.ask(c.Context(), daemon.Ask{Op: "log", Name: id, After: after, Limit: logPage}, &l)
		if err != nil {
			return false, err
		}
		for _, x := range l.Lines {
			each(x)
			after = x.Seq
		}
		switch {
		case len(l.Lines) == logPage: // there may be more
			continue
		case l.Ended || !follow:
			return l.Ended, nil
		case !byDaemon:
			return false, errors.New("the deployment has not ended, and no daemon is running; the next `reconciler run` or `reconciler apply` goes on with it")
		}
		select {
		case <-c.Context().Done():
			return false, nil
		case <-time.After(logPause):
		}
	}
}
