package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/compassdigital/reconciler/internal/bolt"
	"github.com/compassdigital/reconciler/internal/daemon"
)

// backups makes one backup, verified, and drops those beyond state.backup.keep.
func (p *program) backups(context.Context) error {
	b := p.config.State.Backup
	path, err := p.store.BackupInto(b.Dir, b.Keep)
	if err != nil {
		p.backupError.Store(err.Error())
		return err
	}
	p.backupError.Store("")
	p.log.Info("backup", "file", path)
	return nil
}

// lateBackup is after how many times its pause a backup is missed.
const lateBackup = 2

// lateBackups are what people should know about the backups by schedule.
func (p *program) lateBackups() []string {
	b := p.config.State.Backup
	if b.Dir == "" {
		return nil
	}
	if text, _ := p.backupError.Load().(string); text != "" {
		return []string{"the last backup failed: " + text}
	}
	every, err := time.ParseDuration(b.Every)
	if err != nil {
		return nil // refused when the configuration was read
	}
	last, err := bolt.LastBackup(b.Dir, p.keys)
	switch {
	case err != nil:
		return []string{"backups can't be listed: " + err.Error()}
	case !last.IsZero() && p.now().Sub(last) > lateBackup*every:
		return []string{fmt.Sprintf("the last backup in %s is of %s, and one is due every %s; `reconciler run` makes them", b.Dir, when(last), b.Every)}
	}
	return nil
}

func (a *app) backupCommand() *cobra.Command {
	return &cobra.Command{Use: "backup FILE", Short: "Write the state to a file (the state only: no database, no key)", Args: exactly(1),
		Long:    "Write the state to a file: the state only, no client's database, and not the key that opens\nit. `reconciler restore` puts it back.",
		Example: "  reconciler backup state-$(date +%F).backup", RunE: func(c *cobra.Command, args []string) error {
			path, err := filepath.Abs(args[0])
			if err != nil {
				return fmt.Errorf("back up: %w", err)
			}
			if err := a.askFile(c.Context(), daemon.Ask{Op: "backup", Path: path}); err != nil {
				return err
			}
			fmt.Fprintf(a.out, "The state is in %s. It holds no client's database and not the key that opens it: keep those too.\n", path)
			return nil
		}}
}
