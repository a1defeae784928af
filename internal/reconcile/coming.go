package reconcile

import (
	"fmt"
	"slices"
	"strings"
	"time"

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

// named are the clients on record that bear a name from now on: by a rename, or as they come back.
func named(before, after []state.Client) (out []state.Client) {
	was := make(map[state.ClientID]state.Client, len(before))
	for _, c := range before {
		was[c.ID] = c
	}
	for _, c := range after {
		if old, known := was[c.ID]; known && !c.Removed && (old.Removed || old.Name != c.Name) {
			out = append(out, c)
		}
	}
	return out
}

// asOwn is what was kept for a name as the secrets of the client that bears it then: newer than what it has.
func asOwn(kept []state.SecretRef, id state.ClientID, own map[string]state.SecretRef) []state.SecretRef {
	out := slices.Clone(kept)
	for i := range out {
		out[i].Scope = string(id)
		out[i].Version += own[out[i].Scope+"/"+out[i].Name].Version
	}
	return out
}

// comingSecrets gives a client what was kept for the name that it bears from now on: one that was just minted, or
// that is renamed, or comes back.
func comingSecrets(tx store.Tx, name string, id state.ClientID) error {
	kept, err := store.Secrets(tx, Coming+name)
	if err != nil || len(kept) == 0 {
		return err
	}
	has, err := store.Secrets(tx, string(id))
	if err != nil {
		return err
	}
	own := asOwn(kept, id, newMember(state.Client{}, has, nil, time.Time{}).secrets)
	for i, ref := range kept {
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
		s.Ref = own[i]
		if err := store.PutSecret(tx, s); err != nil {
			return err
		}
	}
	for _, ref := range kept { // once all its versions were read
		if err := store.DeleteSecret(tx, ref.Scope, ref.Name); err != nil {
			return err
		}
	}
	return nil
}
