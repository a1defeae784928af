package reconcile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// sharedScope holds what is everybody's.
const sharedScope = "shared"

// generated starts the names of the secrets that we make ourselves.
const generated = "generated/"

// SetSecret stores a new version of a secret and returns the clients that use it. An
// empty client name sets the shared secret of that name; "new/NAME" keeps it for the
// client of that name whose manifest is not accepted yet.
func (e *Engine) SetSecret(client, name string, value state.Secret, fingerprint func(state.Secret) string, by string) (state.SecretRef, []state.ClientID, error) {
	name = strings.TrimPrefix(name, "shared/")
	bare := strings.TrimPrefix(name, generated)
	if bare == "" || strings.ContainsAny(bare, "/\x00 ") {
		return state.SecretRef{}, nil, fmt.Errorf("%w: a secret's name has no slash, no space and is not empty", ErrRefused)
	}
	if value.Empty() {
		return state.SecretRef{}, nil, fmt.Errorf("%w: the value is empty", ErrRefused)
	}
	ref := state.SecretRef{Name: name, Fingerprint: fingerprint(value)}
	var users []state.ClientID
	err := e.Store.Update(func(tx store.Tx) error {
		users = nil
		var err error
		if ref.Scope, err = e.scopeOf(tx, client); err != nil {
			return err
		}
		have, ok, err := store.Secret(tx, ref.Scope, ref.Name, 0)
		if err != nil {
			return err
		}
		ref.Version = 1
		if ok {
			ref.Version = have.Ref.Version + 1
		}
		switch lost := ok && have.From == store.SecretLost; {
		case lost: // it is the one that was there
			ref.Version = have.Ref.Version
		case bare != name:
			return fmt.Errorf("%w: %s is made here, and was not lost; nobody sets it", ErrRefused, name)
		}
		if err := store.PutSecret(tx, store.SecretRecord{Ref: ref, Text: []byte(value.Reveal()), At: e.Now(), By: by, From: "set"}); err != nil {
			return err
		}
		text := fmt.Sprintf("secret %s version %d (%s)", name, ref.Version, ref.Fingerprint)
		if _, err := store.AddHistory(tx, state.Entry{At: e.Now(), Client: ownerOf(ref.Scope), Name: client, By: by, What: "secret set", Text: text}); err != nil {
			return err
		}
		users, _, err = e.usersOf(tx, ref)
		return err
	})
	return ref, users, err
}

// ownerOf is the client of a secret's scope, "" when it is everybody's or of nobody yet.
func ownerOf(scope string) state.ClientID {
	if scope == sharedScope || strings.Contains(scope, "/") {
		return ""
	}
	return state.ClientID(scope)
}

// usersOf wakes the clients whose wishes name one of the secrets, and returns those that
// go now: what reaches more active clients than the guard allows goes in waves.
func (e *Engine) usersOf(tx store.Tx, refs ...state.SecretRef) (now []state.ClientID, all int, err error) {
	users, err := e.naming(tx, refs)
	if err != nil || len(users) == 0 {
		return nil, 0, err
	}
	ids := make([]state.ClientID, len(users))
	for i, c := range users {
		ids[i] = c.ID
	}
	if err := followed(tx, ids); err != nil {
		return nil, 0, err
	}
	what, version := versionOf(refs)
	if now, err = e.spread(tx, what, version, users); err != nil {
		return nil, 0, err
	}
	for _, c := range users {
		if err := e.wake(tx, c.ID, func(c *state.Client) { c.LookWanted = c.LookWanted || c.Status == state.StatusFailed }); err != nil {
			return nil, 0, err
		}
	}
	return now, len(users), nil
}

// spread lets a change begin that has no head of its own, and returns who goes now: in waves, where it reaches more
// active clients than the guard allows, or some that wait in those of an earlier change.
func (e *Engine) spread(tx store.Tx, what, version string, clients []state.Client) ([]state.ClientID, error) {
	wishes, _ := e.resolver()
	guard := e.Guard
	if p := wishes.Platform(); p != nil {
		guard = guard.Tightened(p.Guard)
	}
	holds, err := store.Holds(tx)
	if err != nil {
		return nil, err
	}
	left, waited, earlier := accept.Overtake(holds, clients)
	if err := write(tx, earlier); err != nil {
		return nil, err
	}
	if err := e.begins(tx, earlier.Touched); err != nil {
		return nil, err
	}
	if waited {
		guard.MaxChanged = 0
	}
	now, hold := accept.Spread(guard, what, version, left, e.Now())
	if hold != nil {
		if err := store.PutHold(tx, *hold); err != nil {
			return nil, err
		}
	}
	return append(now, earlier.Touched...), nil
}

// versionOf is what one change of secrets is called, and what tells it from the next.
func versionOf(refs []state.SecretRef) (what, version string) {
	if len(refs) == 1 {
		return "Version " + strconv.Itoa(refs[0].Version) + " of the shared secret " + refs[0].Name, refs[0].Fingerprint
	}
	h := sha256.New() // it is part of the print of each client that waits: short, however many they are
	for _, r := range refs {
		fmt.Fprintf(h, "%s/%s %d %s\n", r.Scope, r.Name, r.Version, r.Fingerprint)
	}
	return "A change of " + strconv.Itoa(len(refs)) + " secrets", hex.EncodeToString(h.Sum(nil))
}

// naming are the clients whose accepted wishes name one of the secrets.
func (e *Engine) naming(tx store.Tx, refs []state.SecretRef) ([]state.Client, error) {
	var shared []state.SecretRef
	own := map[state.ClientID][]state.SecretRef{}
	for _, r := range refs {
		if r.Scope == sharedScope {
			shared = append(shared, r)
		} else {
			own[state.ClientID(r.Scope)] = append(own[state.ClientID(r.Scope)], r)
		}
	}
	clients, err := store.Clients(tx)
	if err != nil {
		return nil, err
	}
	wishes, base := e.resolver()
	var users []state.Client
	for _, c := range clients {
		if c.Removed {
			continue
		}
		if len(shared) == 0 && len(own[c.ID]) == 0 {
			continue
		}
		of := slices.Concat(own[c.ID], shared)
		of = slices.DeleteFunc(of, func(r state.SecretRef) bool { return !mentions(c, base, r.Name) })
		if len(of) == 0 {
			continue
		}
		if eff, problems := wishes.Client(c); problems.Failed() || slices.ContainsFunc(of, func(r state.SecretRef) bool { return uses(eff, r) }) {
			users = append(users, c)
		}
	}
	return users, nil
}

// mentions is a quick look whether the name stands anywhere in what a client's wish is
// made of.
func mentions(c state.Client, base *state.Baseline, name string) bool {
	has := func(b []byte) bool { return bytes.Contains(b, []byte(name)) }
	if has(c.Manifest) || base == nil {
		return has(c.Manifest)
	}
	if base.Platform != nil && has(base.Platform.Data) {
		return true
	}
	for _, files := range [][]state.File{base.Templates, base.Kept} {
		for _, f := range files {
			if has(f.Data) {
				return true
			}
		}
	}
	return false
}

// uses says that a wish names exactly this secret.
func uses(eff manifest.Effective, ref state.SecretRef) bool {
	named := ref.Name
	if ref.Scope == sharedScope {
		named = "shared/" + ref.Name
	}
	for _, v := range eff.Environment {
		if v.Secret == named {
			return true
		}
	}
	return eff.Database.External != nil && eff.Database.External.URL.Secret == named
}

// RemoveSecret forgets every version of a secret that nobody uses: no accepted manifest
// names it, nothing on record was made with it, and nothing that was would be put back if what
// is under way fails. A lost one, which nobody can read any more, may go all the same. Of one that
// is made here another one is made in its place.
func (e *Engine) RemoveSecret(client, name, by string) error {
	name = strings.TrimPrefix(name, "shared/")
	return e.Store.Update(func(tx store.Tx) error {
		scope, err := e.scopeOf(tx, client)
		if err != nil {
			return err
		}
		have, ok, err := store.Secret(tx, scope, name, 0)
		switch {
		case err != nil:
			return err
		case !ok:
			return fmt.Errorf("%w: no secret %q is set", ErrRefused, name)
		case have.From == store.SecretLost:
		default:
			if err := e.unused(tx, have.Ref); err != nil {
				return err
			}
		}
		if _, err := store.AddHistory(tx, state.Entry{At: e.Now(), Client: ownerOf(scope), Name: client, By: by, What: "secret removed", Text: "secret " + name}); err != nil {
			return err
		}
		if err := store.DeleteSecret(tx, scope, name); err != nil || !strings.HasPrefix(name, generated) {
			return err
		}
		return e.anotherOf(tx, have.Ref)
	})
}

// anotherOf makes the next version of a secret that is made here, in place of what was forgotten: a release that was
// built with that one goes by its version, and is no release of the new one.
func (e *Engine) anotherOf(tx store.Tx, ref state.SecretRef) error {
	value, err := e.Runner.NewSecret()
	if err != nil {
		return fmt.Errorf("make another %s: %w", ref.Name, err)
	}
	ref.Version, ref.Fingerprint = ref.Version+1, e.Runner.Fingerprint(value)
	return store.PutSecret(tx, store.SecretRecord{Ref: ref, Text: []byte(value.Reveal()), At: e.Now(), From: "generated"})
}

// unused refuses what somebody uses: a manifest that was accepted names it, or what is on
// record has it, and would be put back with it.
func (e *Engine) unused(tx store.Tx, ref state.SecretRef) error {
	users, err := e.naming(tx, []state.SecretRef{ref})
	if err != nil {
		return err
	}
	names := map[string]bool{}
	for _, c := range users {
		names[c.Name] = true
	}
	have, err := recordedFor(tx, ref.Scope)
	if err != nil {
		return err
	}
	back, err := putBackFor(tx, ref.Scope)
	if err != nil {
		return err
	}
	for _, r := range append(back, have...) {
		for _, a := range r.Attributes {
			if s := a.Value.Secret; s == nil || s.Scope != ref.Scope || s.Name != ref.Name {
				continue
			}
			c, ok, err := store.Client(tx, r.Ref.Client)
			if err != nil {
				return err
			}
			if ok && (!c.Removed || c.RollingBack != "") {
				names[c.Name] = true
			}
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s is in use by %s; take it out of the manifest first, or set another value", ErrRefused, secretTitle(ref), namedFew(slices.Sorted(maps.Keys(names))))
}

// recordedFor are the resources that may have been made with a secret of a scope.
func recordedFor(tx store.Tx, scope string) ([]state.Resource, error) {
	if id := ownerOf(scope); id != "" {
		return store.Resources(tx, id)
	}
	return store.AllResources(tx)
}

// putBackFor is what a failure of what is under way would put back, of the clients that may use a secret of
// the scope.
func putBackFor(tx store.Tx, scope string) (out []state.Resource, err error) {
	all, err := store.Clients(tx)
	for _, c := range all {
		for _, u := range c.Undo {
			if id := ownerOf(scope); id == "" || id == c.ID {
				out = append(out, u.Prior)
			}
		}
	}
	return out, err
}

// namedFew lists a few names, and counts the others.
func namedFew(names []string) string {
	const few = 5
	if len(names) > few {
		return fmt.Sprintf("%s and %d others", strings.Join(names[:few], ", "), len(names)-few)
	}
	return strings.Join(names, ", ")
}

// secretTitle is a secret as a manifest names it.
func secretTitle(ref state.SecretRef) string {
	if ref.Scope == sharedScope {
		return "shared/" + ref.Name
	}
	return ref.Name
}
