package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/compassdigital/reconciler/internal/daemon"
	"github.com/compassdigital/reconciler/internal/reconcile"
)

// defaultConfigFile is read when neither --config nor --data is given.
const defaultConfigFile = "reconciler.yaml"

// configFile is the configuration that a command works with.
func (a *app) configFile() string {
	switch {
	case a.config != "":
		return a.config
	case a.data != "":
		return filepath.Join(a.data, defaultConfigFile)
	}
	return defaultConfigFile
}

func (a *app) load() (Config, error) {
	if a.config != "" && a.data != "" {
		return Config{}, usageError{"--config and --data exclude each other"}
	}
	path := a.configFile()
	c, err := loadConfig(path, a.env)
	if errors.Is(err, os.ErrNotExist) {
		return c, noConfiguration(path)
	}
	return c, err
}

func noConfiguration(path string) error {
	return usageError{fmt.Sprintf("there is no configuration %s\nname one with --config FILE, or a demo's folder with --data DIR; `reconciler demo` needs none", path)}
}

func socketOf(c Config) string { return c.State.Path + ".sock" }

// ask carries out a request: by the running daemon where there is one, else on the
// state itself. out gets the answer.
func (a *app) ask(ctx context.Context, q daemon.Ask, out any) (byDaemon bool, err error) {
	byDaemon, err = a.askOnce(ctx, q, out)
	if errors.Is(err, reconcile.ErrNoClient) {
		var v reconcile.Overview
		if _, failed := a.askOnce(ctx, daemon.Ask{Op: "overview"}, &v); failed == nil {
			return byDaemon, unknownOf(append(q.Names, q.Name), v.Clients, err)
		}
	}
	return byDaemon, err
}

// unknownOf says which client may be meant by the first unknown name.
func unknownOf(names []string, rows []reconcile.Row, err error) error {
	for _, n := range names {
		if n != "" && !slices.ContainsFunc(rows, func(r reconcile.Row) bool { return r.Name == n }) {
			return unknownClient(n, rows)
		}
	}
	return err
}

// unknownClient is wrong usage, with the client that may be meant.
func unknownClient(name string, rows []reconcile.Row) error {
	known := make([]string, 0, len(rows))
	for _, r := range rows {
		known = append(known, r.Name)
	}
	hint := "`reconciler status` lists them"
	if s := meant(name, known); s != "" {
		hint = fmt.Sprintf("did you mean %q?", s)
	}
	return fmt.Errorf("%w: %q; %s", reconcile.ErrNoClient, name, hint)
}

func (a *app) askOnce(ctx context.Context, q daemon.Ask, out any) (byDaemon bool, err error) {
	c, err := a.load()
	if err != nil {
		return false, err
	}
	q.By = who()
	err = daemon.Call(ctx, socketOf(c), q, out)
	if !errors.Is(err, daemon.ErrNoDaemon) {
		return true, notOurs(err)
	}
	p, err := a.build(ctx, c, nil)
	if err != nil {
		return false, err
	}
	defer p.close()
	if _, err := p.engine.Start(); err != nil {
		return false, err
	}
	v, err := p.control(false).Do(ctx, q)
	if err != nil {
		return false, err
	}
	if out == nil || v == nil {
		return false, nil
	}
	data, err := json.Marshal(v)
	if err != nil {
		return false, fmt.Errorf("read the answer: %w", err)
	}
	return false, json.Unmarshal(data, out)
}

// notOurs says what to do where an installation's files are another user's.
func notOurs(err error) error {
	if !errors.Is(err, daemon.ErrNotOurs) && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return fmt.Errorf("%w\nthis runs as %s: run it as the user that runs the daemon, or let %[2]s read and write there; `reconciler doctor` lists all of it", err, who())
}

// askFile is ask for what writes a file, and looks that it is there: a daemon may have folders
// of its own (PrivateTmp in its unit, a container), and what it wrote there goes with it.
func (a *app) askFile(ctx context.Context, q daemon.Ask) error {
	was, _ := os.Stat(q.Path) // nil: it is not there, or nobody here can say
	byDaemon, err := a.ask(ctx, q, nil)
	if err != nil || !byDaemon {
		return err
	}
	is, err := os.Stat(q.Path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && was != nil && os.SameFile(was, is) {
		return fmt.Errorf("%s: the daemon wrote %s where this command doesn't see it: a /tmp of its own (PrivateTmp in its unit), or another container. It may be gone when the daemon stops: name a folder that both see", q.Op, q.Path)
	}
	return nil
}

// many clients may be named.
const many = 1 << 30

// clients completes the names of clients, up to n of them. It opens no state that
// is not there, and a failure is no completion.
func (a *app) clients(n int) func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= n {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		v, err := a.overviewIfAny(c)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []string
		for _, r := range v.Clients {
			if !slices.Contains(args, r.Name) {
				names = append(names, r.Name+"\t"+r.Status)
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// overviewIfAny is what there is, if there is a state.
func (a *app) overviewIfAny(c *cobra.Command) (v reconcile.Overview, err error) {
	conf, err := a.load()
	if err != nil {
		return v, err
	}
	if _, err := os.Stat(conf.State.Path); err != nil {
		return v, err
	}
	ctx := c.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	_, err = a.ask(ctx, daemon.Ask{Op: "overview"}, &v)
	return v, err
}

// fixed completes one of a few words.
func fixed(words ...string) func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return words, cobra.ShellCompDirectiveNoFileComp
	}
}

// later tells that what was asked for waits for the daemon.
func (a *app) later(byDaemon bool) {
	if !byDaemon {
		fmt.Fprintln(a.err, "No daemon is running: it takes effect with the next `reconciler run` or `reconciler apply`.")
	}
}
