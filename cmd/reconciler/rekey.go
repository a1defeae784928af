package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/compassdigital/reconciler/internal/bolt"
	"github.com/compassdigital/reconciler/internal/secret"
)

func (a *app) rekeyCommand() *cobra.Command {
	return &cobra.Command{Use: "rekey", Short: "Make a new key and seal the state anew with it (the daemon must be stopped)", Args: noArgs,
		Long: `Make a new key for the state and seal all of it anew. The daemon must be stopped. Cut off
anywhere, the state opens as it is; called again, it goes on.

Nothing else changes: secrets stay what they are, and so do fingerprints and the marks on
what was made. Backups that were made before need the old key, which is kept beside the new
one; make a backup at once, then remove the old key with the last backup that needs it. Who
had the old key and the state could read the secrets: those are to be set anew, too.`,
		Example: "  reconciler secret rekey && reconciler backup state-$(date +%F).backup",
		RunE: func(*cobra.Command, []string) error {
			conf, err := a.load()
			if err != nil {
				return err
			}
			if !conf.State.Key.Empty() {
				return errors.New("rekey: the key comes from the configuration or the environment (state.key): put it into a file (state.keyFile) first")
			}
			if !exists(conf.State.Path) {
				return fmt.Errorf("rekey: there is no state at %s", conf.State.Path)
			}
			return notOurs(a.rekey(conf))
		}}
}

func (a *app) rekey(conf Config) error {
	old, err := secret.Open(secret.KeySource{File: conf.State.KeyFile, Existing: true})
	if err != nil {
		return err
	}
	// It opens, and nobody has it: only then the key file is changed.
	s, err := bolt.Open(bolt.Options{Path: conf.State.Path, Keys: old, Now: a.now})
	if err != nil {
		return err
	}
	if err := errors.Join(s.Verify(), s.Close()); err != nil {
		return err
	}
	keys, kept, err := secret.Renew(conf.State.KeyFile)
	if err != nil {
		return err
	}
	fail := failAt(a.env("RECONCILER_FAILPOINT"))
	if err := bolt.Rekey(bolt.Options{Path: conf.State.Path, Keys: keys, Now: a.now, At: func(point string) { fail(point, "") }}); err != nil {
		return fmt.Errorf("%w\nthe state opens as it is; call it again to go on", err)
	}
	if err := secret.Renewed(conf.State.KeyFile); err != nil {
		return fmt.Errorf("%w\nthe state is sealed anew; call it again to go on", err)
	}
	fmt.Fprintf(a.out, "%s is sealed under a new key, in %s: keep a copy of it in a safe place.\nBackups that were made before need the old one, which is in %s. Make one now: `reconciler backup FILE`.\n",
		conf.State.Path, conf.State.KeyFile, kept)
	return nil
}
