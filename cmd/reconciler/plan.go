package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/daemon"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/reconcile"
)

func (a *app) planCommand() *cobra.Command {
	c := &cobra.Command{Use: "plan [CLIENT...]", Short: "What would happen; nothing is changed",
		Long: "What would happen if the branch's head (or --rev, or the files in --dir) were applied now.\nNothing is changed, anywhere."}
	o := output(c)
	rev := c.Flags().String("rev", "", "a branch, tag or commit in place of the branch's head")
	dir := c.Flags().String("dir", "", "files of a `folder` that has clients/ in it")
	detailed := c.Flags().Bool("detailed-exitcode", false, "exit with 0 for no change, 2 for changes, 1 for an error, 64 for wrong usage")
	run := func(c *cobra.Command, args []string) error {
		json, err := format(*o)
		if err != nil {
			return err
		}
		if *rev != "" && *dir != "" {
			return usageError{"--rev and --dir exclude each other"}
		}
		q := daemon.Ask{Op: "plan", Names: args, Rev: *rev}
		if *dir != "" {
			conf, err := a.load()
			if err != nil {
				return err
			}
			if q.Files, err = readDir(*dir, conf.Repository.Path); err != nil {
				return err
			}
		}
		var v reconcile.Preview
		if _, err := a.ask(c.Context(), q, &v); err != nil {
			return err
		}
		if json {
			err = asJSON(a.out, v)
		} else {
			a.printPlan(v)
		}
		switch {
		case err != nil:
			return err
		case len(v.Problems) > 0:
			return codeError{code: exitFailed}
		case *detailed && len(v.Changes) > 0:
			return codeError{code: exitChanges}
		}
		return nil
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		err := run(c, args)
		var ue usageError
		if *detailed && errors.As(err, &ue) {
			return codeError{exitPlanUse, "error: " + ue.text}
		}
		return err
	}
	return c
}

var sign = map[string]string{"create": "+", "update": "~", "move": ">", "replace": "±", "delete": "-", "retain": "•", "return": "«", "purge": "✗", "adopt": "=", "forget": "°", "await": "…", "probe": "?", "record": "✓"}

func (a *app) printPlan(v reconcile.Preview) {
	if len(v.Changes) == 0 && len(v.Problems) == 0 {
		fmt.Fprintln(a.out, "No changes. Everything is as the manifests say.")
		return
	}
	calls := 0
	for _, ch := range v.Changes {
		fmt.Fprintf(a.out, "%s  (%s)\n", oneLine(ch.Client), ch.Fingerprint)
		for _, s := range ch.Steps {
			calls += s.Calls
			line := fmt.Sprintf("  %s %-12s %-8s %s", sign[s.Action], s.Step, s.Action, s.Ref)
			if s.Provider != "" {
				line += " at " + s.Provider
			}
			if s.Reason != "" {
				line += ": " + s.Reason
			}
			fmt.Fprintln(a.out, oneLine(line))
			for _, f := range s.Fields {
				fmt.Fprintf(a.out, "      %s: %s → %s\n", oneLine(f.Name), dash(oneLine(f.Before)), dash(oneLine(f.After)))
			}
			if s.Risk != "" {
				fmt.Fprintf(a.out, "      risk: %s; undo: %s\n", s.Risk, oneLine(s.Undo))
			}
		}
	}
	for _, p := range v.Problems {
		where := p.Client
		if p.Path != "" {
			where = fmt.Sprintf("%s:%d:%d", p.Path, p.Line, p.Column)
		}
		fmt.Fprintf(a.out, "problem  %s: %s\n", oneLine(where), oneLine(p.Text))
		if p.Hint != "" {
			fmt.Fprintf(a.out, "         %s\n", oneLine(p.Hint))
		}
	}
	fmt.Fprintf(a.out, "\n%d clients change, %d provider calls, %d problems. Plan %s\n", len(v.Changes), calls, len(v.Problems), v.Fingerprint)
}

// Limits of a folder that is read for plan --dir.
const (
	maxDirFiles = 50_000
	maxFile     = 1 << 20
)

// readDir reads what a checkout at dir would give.
func readDir(dir, clients string) ([]accept.File, error) {
	layout := manifest.LayoutOf(clients)
	if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(layout.Clients))); err != nil {
		return nil, usageError{fmt.Sprintf("--dir %s: there is no %s in it", dir, layout.Clients)}
	}
	out := []accept.File{}
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if strings.HasPrefix(d.Name(), ".") && rel != "." {
				return filepath.SkipDir
			}
			return nil
		}
		if layout.Classify(rel) == manifest.ClassOther {
			return nil
		}
		if len(out) >= maxDirFiles {
			return fmt.Errorf("more than %d files", maxDirFiles)
		}
		out = append(out, readFile(p, rel, d))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", dir, err)
	}
	return out, nil
}

func readFile(p, rel string, d os.DirEntry) accept.File {
	f := accept.File{Path: rel}
	if !d.Type().IsRegular() {
		f.Err = rel + " is not a regular file"
		return f
	}
	r, err := os.Open(p)
	if err != nil {
		f.Err = err.Error()
		return f
	}
	defer r.Close()
	if f.Data, err = io.ReadAll(io.LimitReader(r, maxFile)); err != nil {
		f.Err = err.Error()
	}
	return f
}
