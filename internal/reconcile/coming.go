package reconcile

import (
	"fmt"
	"strings"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// Coming starts the scope of secrets that are kept for a client whose manifest is not
// accepted yet: its id is minted then, and they become its own.
const Coming = "new/"

// scopeOf is whose secrets are meant: "" everybody's, a client's name its own, Coming and
// a name those of a client that is yet to come.
func (e *Engine) scopeOf(tx store.Tx, client string) (string, error) {
	if client == "" {
		return "shared", nil
	}
	name, coming := strings.CutPrefix(client, Coming)
	c, ok, err := store.ClientByName(tx, name)
	switch {
	case err != nil:
		return "", err
	case coming && ok && !c.Removed:
		return "", fmt.Errorf("%w: %s is no new client; leave --new out", ErrRefused, name)
	case coming && !manifest.IsName(name):
		return "", fmt.Errorf("%w: %q can't be a client's name", ErrRefused, name)
	case coming:
		return client, nil
	}
	if c, err = e.clientByName(tx, client); err != nil {
		return "", err
	}
	return string(c.ID), nil
}

// comingSecrets gives a client that was just minted what was kept for its name.
func comingSecrets(tx store.Tx, name string, id state.ClientID) error {
	kept, err := store.Secrets(tx, Coming+name)
	if err != nil {
		return err
	}
	for _, ref := range kept {
		s, ok, err := store.Secret(tx, ref.Scope, ref.Name, ref.Version)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if s.From == store.SecretSourced {
			if err := store.PutSecretOwner(tx, name, id); err != nil {
				return err
			}
		}
		s.Ref.Scope = string(id)
		if err := store.PutSecret(tx, s); err != nil {
			return err
		}
		if err := store.DeleteSecret(tx, ref.Scope, ref.Name); err != nil {
			return err
		}
	}
	return nil
}
