package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/compassdigital/reconciler/internal/bolt"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

func (a *app) rebuildCommand() *cobra.Command {
	c := &cobra.Command{Use: "rebuild", Short: "Make a lost state anew, from Git and the marks of what exists", Args: noArgs,
		Long: `Make a lost state anew: clients and their last good versions from Git, who owns what from
the marks that objects bear. Nothing is written at a provider; what differs from the
manifests is the next plan. A backup is better where there is one: see restore.

Not in Git, and lost: the values of secrets (each is listed with the command that sets it
again), the history, approvals, and since when data is retained (that begins anew). What
bears our mark and belongs to no manifest, or is not certain, is held for a person.

It refuses where a state is; move one that can't be read away first. The key must be the
one of the lost state. With another key, --installation names the installation whose marks
count; names of objects end with it.`,
		Example: "  mv state.db state.db.damaged\n  reconciler rebuild && reconciler plan"}
	o := output(c)
	installation := c.Flags().String("installation", "", "whose marks count, 8 hex `digits` (default: as the key says)")
	c.RunE = func(c *cobra.Command, _ []string) error {
		json, err := format(*o)
		if err != nil {
			return err
		}
		if *installation != "" && !isInstallation(*installation) {
			return usage(c, fmt.Errorf("--installation %q: it is 8 hex digits, in small letters", *installation))
		}
		v, err := a.rebuild(c.Context(), *installation)
		if err != nil {
			return err
		}
		if json {
			return a.json(v)
		}
		a.printRebuilt(v)
		return nil
	}
	return c
}

func isInstallation(id string) bool {
	return len(id) == 8 && strings.Trim(id, "0123456789abcdef") == ""
}

func (a *app) rebuild(ctx context.Context, installation string) (reconcile.Rebuilt, error) {
	conf, err := a.load()
	if err != nil {
		return reconcile.Rebuilt{}, err
	}
	a.anew, a.installation = true, installation
	p, err := a.build(ctx, conf, nil)
	var held *bolt.HeldError
	switch {
	case errors.Is(err, store.ErrDamaged), errors.Is(err, bolt.ErrForeign):
		return reconcile.Rebuilt{}, fmt.Errorf("%w\nmove it away first: mv %s %s.damaged", err, conf.State.Path, conf.State.Path)
	case errors.As(err, &held):
		return reconcile.Rebuilt{}, fmt.Errorf("%w\na rebuild makes a lost state anew; this one is in use", err)
	case err != nil:
		return reconcile.Rebuilt{}, err
	}
	defer p.close()
	if _, err := p.engine.Start(); err != nil {
		return reconcile.Rebuilt{}, err
	}
	var one sync.Mutex // providers are asked side by side
	return p.engine.Rebuild(provider.Listening(ctx, func(text string) {
		one.Lock()
		defer one.Unlock()
		fmt.Fprintln(a.err, safe(text))
	}), who())
}

// chosen puts the installation that was named in the place of the one that the key says,
// on a state that holds nothing.
func (p *program) chosen(in state.Installation) (state.Installation, error) {
	if p.installationID == "" || in.ID == p.installationID {
		return in, nil
	}
	err := p.store.Update(func(tx store.Tx) error {
		clients, err := store.Clients(tx)
		if err != nil {
			return err
		}
		if len(clients) > 0 {
			return fmt.Errorf("%w: the state holds %d clients of installation %s; move it away first", reconcile.ErrRefused, len(clients), in.ID)
		}
		in.ID = p.installationID
		return store.PutInstallation(tx, in)
	})
	return in, err
}

func (a *app) printRebuilt(v reconcile.Rebuilt) {
	counts := map[string]int{}
	var rows [][]string
	for _, c := range v.Clients {
		counts[c.What]++
		rows = append(rows, []string{c.Name, c.What, fmt.Sprint(c.Resources), c.Text})
	}
	fmt.Fprintf(a.out, "The state is there again: %s, at %s of the branch. Nothing was changed at a provider.\n\n", counted(len(v.Clients), "client", "clients"), short(v.Head))
	a.table([]string{"CLIENT", "IS", "RESOURCES", ""}, rows)
	list := func(title string, secrets []reconcile.MissingSecret) {
		if len(secrets) == 0 {
			return
		}
		fmt.Fprintf(a.out, "\n%s\n", title)
		for _, m := range secrets {
			of := "everybody"
			if m.Client != "" {
				of = m.Client
			}
			fmt.Fprintf(a.out, "  %s of %s: %s\n", safe(m.Name), safe(of), safe(m.Act))
		}
	}
	list("Secrets that manifests name, to be set again:", v.Missing)
	list("Made by this program, in use, and known to nobody any more; they stay as they are, and a change that needs one waits for you:", v.Lost)
	for _, h := range v.Holds {
		fmt.Fprintf(a.out, "\nheld %s: %s\n  %s\n", h.Fingerprint, safe(h.Reason), safe(h.Act))
	}
	for _, q := range v.Problems {
		fmt.Fprintf(a.out, "\ninvalid %s: %s\n", safe(q.Path), safe(q.Text))
	}
	fmt.Fprintln(a.out, "\n`reconciler plan` shows what differs; `reconciler run` or `apply` goes on from here.")
}
