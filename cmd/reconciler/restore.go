package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/compassdigital/reconciler/internal/bolt"
	"github.com/compassdigital/reconciler/internal/secret"
)

const looksFirst = "The next start compares it with what the providers show before it changes anything.\nSecrets that were set since it was made are not in it: set them again (reconciler secret set)."

func (a *app) restoreCommand() *cobra.Command {
	c := &cobra.Command{Use: "restore FILE", Short: "Put a backup in the state's place (the daemon must be stopped)", Args: exactly(1),
		Long:    "Put a backup in the state's place. The backup is checked first; a state that is\nthere is never overwritten: --replace moves it aside. The daemon must be stopped.\n\nThe next start knows that this state is older than the world: before anything is done, it\ncompares it with what the providers show, and takes over what was made since. Secrets\nthat were set since are not in it: set them again; no host that hides them can tell.",
		Example: "  reconciler restore state-2026-12-01.backup --replace"}
	replace := c.Flags().Bool("replace", false, "move a state that is there aside")
	c.RunE = func(_ *cobra.Command, args []string) error {
		conf, err := a.load()
		if err != nil {
			return err
		}
		if _, err := os.Stat(conf.State.KeyFile); conf.State.Key.Empty() && err != nil {
			return fmt.Errorf("restore: the key that opens the backup is not at %s: %w", conf.State.KeyFile, err)
		}
		keys, err := secret.Open(secret.KeySource{File: conf.State.KeyFile, Env: conf.State.Key.Secret})
		if err != nil {
			return notOurs(err)
		}
		if *replace {
			kept, err := bolt.Replace(args[0], conf.State.Path, keys)
			if err != nil {
				return notOurs(err)
			}
			fmt.Fprintf(a.out, "Restored %s; what was there is in %s\n%s\n", conf.State.Path, kept, looksFirst)
			return nil
		}
		err = bolt.Restore(args[0], conf.State.Path, keys)
		if errors.Is(err, bolt.ErrExists) {
			return fmt.Errorf("%w; the same command with --replace moves it aside and keeps it", err)
		}
		if err != nil {
			return notOurs(err)
		}
		fmt.Fprintf(a.out, "Restored %s\n%s\n", conf.State.Path, looksFirst)
		return nil
	}
	return c
}
