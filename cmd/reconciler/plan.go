package main

import (
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
	c := &cobra.Command{Use: "plan [CLIENT...]", Short: "What would happen; nothing is changed", ValidArgsFunction: a.clients(many),
		Long: `What would happen if the branch's head (or --rev, or the files in --dir) were applied now:
every step with its reason, its risk, the way back and what it would wait for. What only the
state refuses of a file (a name that is still another client's, say) is told as an error of
that file, and no step of it. Nothing is changed, anywhere.

Ends with 0, or with 1 when a file is invalid or a client can't be planned; a warning alone
does not count. With --detailed-exitcode: 0 no change, 2 changes, 1 problems or an error,
64 wrong usage.`,
		Example: "  reconciler plan\n  reconciler plan demoshop --rev feature/new-domain\n  reconciler plan --dir . -o json"}
	o := output(c)
	rev := c.Flags().String("rev", "", "a `branch`, tag or commit in place of the branch's head")
	dir := c.Flags().String("dir", "", "the files of a `folder` that has clients/ in it")
	detailed := c.Flags().Bool("detailed-exitcode", false, "end with 0 for no change, 2 for changes, 1 for an error, 64 for wrong usage")
	c.RunE = func(c *cobra.Command, args []string) error {
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
			err = a.json(v)
		} else {
			fmt.Fprint(a.out, v.Terminal(a.look()))
		}
		switch {
		case err != nil:
			return err
		case v.Failed():
			return codeError{code: exitFailed}
		case *detailed && len(v.Changes) > 0:
			return codeError{code: exitChanges}
		}
		return nil
	}
	return c
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
	root, err := filepath.EvalSymlinks(dir) // a link that is named is followed; the walk follows none
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", dir, err)
	}
	out := []accept.File{}
	err = filepath.WalkDir(root, func(p string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
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
		other := layout.Classify(rel) == manifest.ClassOther
		if ext := strings.ToLower(filepath.Ext(rel)); other && ext != ".yaml" && ext != ".yml" {
			return nil
		}
		if len(out) >= maxDirFiles {
			return fmt.Errorf("more than %d files", maxDirFiles)
		}
		f, err := readFile(p, rel, d)
		if err != nil {
			return err
		}
		if other && (f.Err != "" || !manifest.SaysClient(f.Data)) {
			return nil
		}
		out = append(out, f)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", dir, err)
	}
	return out, nil
}

// readFile reads one of them. One that is there and can't be read is an error: a checkout
// would have it.
func readFile(p, rel string, d os.DirEntry) (accept.File, error) {
	f := accept.File{Path: rel}
	if !d.Type().IsRegular() {
		f.Err = rel + " is not a regular file"
		return f, nil
	}
	r, err := os.Open(p)
	if err != nil {
		return f, err
	}
	defer r.Close()
	f.Data, err = io.ReadAll(io.LimitReader(r, maxFile))
	return f, err
}
