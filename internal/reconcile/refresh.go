package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// SecretSources are where secrets are kept beside the state.
type SecretSources interface {
	// Read looks at all of them. Without anew, what looks unchanged is not read.
	Read(ctx context.Context, anew bool) state.Outside
}

// Limits of what a refresh tells.
const (
	maxRefreshHistory = 100 // entries of one refresh; the rest is counted
	maxRefreshNotes   = 20
)

// refreshing is what the engine remembers of the sources.
type refreshing struct {
	sync.Mutex // held while secrets are taken in
	notes      noted
	// again says that the sources are to be read whatever they look like: who bears which
	// name has changed, or what was read was not stored.
	again bool
	begun bool
}

// noted is read while a refresh is under way.
type noted struct {
	sync.Mutex
	texts []string
}

// Refresh says what to take in.
type Refresh struct {
	Client string // whose, as for SetSecret; counts where Name is given
	Name   string // "": all
	Anew   bool   // also what looks unchanged
	By     string
}

// Refreshed is what a refresh did.
type Refreshed struct {
	Set     []state.SecretRef `json:"set"`     // new versions
	Clients []state.ClientID  `json:"clients"` // that use them and pass now
	Users   int               `json:"users"`   // that use them: more, where a change of many goes in waves
	Notes   []string          `json:"notes"`   // what people should know
	Failed  []string          `json:"failed"`  // sources that can't be read
}

// RefreshSecrets takes in what the sources outside have: a value that is another becomes a
// new version, sealed, in the transaction that wakes the clients that use it. What can't be
// read now, or is not there any more, stays at its last version. Where nothing has changed,
// nothing is written.
//
// # Whose a name is
//
// Everybody's is under "shared". A client's own is found under its id, else under its name,
// else under a former name of its own. The first client for which something was taken in
// under a name keeps that name in the sources for ever, whoever bears it later: a rename
// loses nothing, and a new client with a former name gets nothing that was another's. Its
// secrets are put under its id, or set. What is under the name of nobody waits for the
// client of that name, and goes when it goes from the source.
func (e *Engine) RefreshSecrets(ctx context.Context, in Refresh) (Refreshed, error) {
	out := Refreshed{Set: []state.SecretRef{}, Clients: []state.ClientID{}, Notes: []string{}, Failed: []string{}}
	if e.Sources == nil || e.old() {
		return out, nil
	}
	if !e.started() {
		return out, ErrNotStarted
	}
	r := &e.refreshing
	r.Lock()
	defer r.Unlock()
	e.mu.Lock()
	anew := in.Anew || in.Name != "" || !r.begun || r.again
	r.again = false
	e.mu.Unlock()
	got := e.Sources.Read(ctx, anew)
	out.Failed = list(slices.Clone(got.Failed))
	if got.Same {
		out.Notes = e.SecretNotes()
		return out, nil
	}
	r.begun = true
	err := e.takeIn(got, in, &out)
	if err != nil {
		e.readAgain()
		return out, fmt.Errorf("take in secrets: %w", err)
	}
	if in.Name != "" {
		e.readAgain() // the others were left
	}
	r.notes.Lock()
	r.notes.texts = out.Notes
	r.notes.Unlock()
	return out, nil
}

// readAgain lets the next refresh read the sources whatever they look like.
func (e *Engine) readAgain() {
	e.mu.Lock()
	e.refreshing.again = true
	e.mu.Unlock()
}

// SecretNotes are what the last refresh found that people should know.
func (e *Engine) SecretNotes() []string {
	n := &e.refreshing.notes
	n.Lock()
	defer n.Unlock()
	return list(slices.Clone(n.texts))
}

// takeIn stores what differs, in one transaction; in none when nothing does.
func (e *Engine) takeIn(got state.Outside, in Refresh, out *Refreshed) error {
	var t taken
	err := e.Store.View(func(tx store.Tx) (err error) {
		t, err = e.compareSecrets(tx, got, in)
		return err
	})
	out.Notes = clipped(append(slices.Clone(got.Notes), t.notes...))
	if err != nil || t.nothing() {
		return err
	}
	err = e.Store.Update(func(tx store.Tx) error {
		t, err := e.compareSecrets(tx, got, in)
		if err != nil {
			return err
		}
		out.Set, out.Clients, out.Users = list(t.refs()), []state.ClientID{}, 0
		if err := t.write(tx); err != nil {
			return err
		}
		if err := e.refreshHistory(tx, t, in.By); err != nil || len(out.Set) == 0 {
			return err
		}
		now, users, err := e.usersOf(tx, out.Set...)
		out.Clients, out.Users = list(now), users
		return err
	})
	if err == nil {
		e.told.Store(true)
	}
	return err
}

func clipped(notes []string) []string {
	notes = list(notes)
	if more := len(notes) - maxRefreshNotes; more > 0 {
		notes = append(notes[:maxRefreshNotes:maxRefreshNotes], fmt.Sprintf("secrets: and %d notes more", more))
	}
	return notes
}

// taken is what a look at the sources changes.
type taken struct {
	put     []store.SecretRecord // new versions
	renamed []store.SecretRecord // the same value, from another source
	owners  map[string]state.ClientID
	drop    []state.SecretRef // of nobody, and gone
	notes   []string
}

func (t *taken) nothing() bool {
	return len(t.put)+len(t.renamed)+len(t.owners)+len(t.drop) == 0
}

func (t *taken) note(format string, a ...any) { t.notes = append(t.notes, fmt.Sprintf(format, a...)) }

func (t *taken) refs() (out []state.SecretRef) {
	for _, p := range t.put {
		out = append(out, p.Ref)
	}
	return out
}

func (t *taken) write(tx store.Tx) error {
	var errs firstError
	for _, p := range slices.Concat(t.put, t.renamed) {
		errs.add(store.PutSecret(tx, p))
	}
	for name, id := range t.owners { // each its own key: the order shows nowhere
		errs.add(store.PutSecretOwner(tx, name, id))
	}
	for _, ref := range t.drop {
		errs.add(store.DeleteSecret(tx, ref.Scope, ref.Name))
	}
	return errs.err
}

// refreshHistory tells of new versions.
func (e *Engine) refreshHistory(tx store.Tx, t taken, by string) error {
	add := func(of state.ClientID, text string) error {
		_, err := store.AddHistory(tx, state.Entry{At: e.Now(), Client: of, By: by, What: "secret read", Text: text})
		return err
	}
	for i, p := range t.put {
		if i == maxRefreshHistory {
			return add("", fmt.Sprintf("%d secrets more have new versions", len(t.put)-i))
		}
		if err := add(ownerOf(p.Ref.Scope), fmt.Sprintf("secret %s version %d (%s) from the %s", secretTitle(p.Ref), p.Ref.Version, p.Ref.Fingerprint, p.Source)); err != nil {
			return err
		}
	}
	return nil
}

// compareSecrets says what of the sources is not in the state. It writes nothing.
func (e *Engine) compareSecrets(tx store.Tx, got state.Outside, in Refresh) (taken, error) {
	t := taken{owners: map[string]state.ClientID{}}
	who, err := e.whose(tx)
	if err != nil {
		return t, err
	}
	only, err := e.only(tx, in)
	if err != nil {
		return t, err
	}
	there := map[[2]string]outsider{}
	for _, x := range got.Secrets {
		o, ok := who.of(x, &t)
		key := [2]string{o.scope, x.Name}
		if first, twice := there[key]; ok && (!twice || o.rank < first.rank) {
			there[key] = o
		}
	}
	for _, key := range sortedPairs(there) {
		if o := there[key]; only(key[0], key[1]) {
			if err := e.newVersion(tx, got, key[0], o.OutsideSecret, &t); err != nil {
				return t, err
			}
		}
	}
	return t, e.absent(tx, got, there, only, &t)
}

// only limits a refresh to one secret, where one is named.
func (e *Engine) only(tx store.Tx, in Refresh) (func(scope, name string) bool, error) {
	if in.Name == "" {
		return func(string, string) bool { return true }, nil
	}
	scope, err := e.scopeOf(tx, in.Client)
	name := strings.TrimPrefix(in.Name, "shared/")
	return func(s, n string) bool { return s == scope && n == name }, err
}

// newVersion says what becomes of one secret that a source has.
func (e *Engine) newVersion(tx store.Tx, got state.Outside, scope string, x state.OutsideSecret, t *taken) error {
	have, ok, err := store.Secret(tx, scope, x.Name, 0)
	sourced := ok && have.From == store.SecretSourced
	switch {
	case err != nil, x.Problem != "":
		return err
	case sourced && have.Source != x.Source && slices.Contains(got.Failed, have.Source):
		return nil // it may be there still, and count before this one
	case sourced && have.Source == x.Source && state.NewSecret(string(have.Text)).Equal(x.Value):
		return nil
	case ok && have.From != store.SecretLost && state.NewSecret(string(have.Text)).Equal(x.Value):
		have.From, have.Source = store.SecretSourced, x.Source
		t.renamed = append(t.renamed, have)
		return nil
	}
	ref := state.SecretRef{Scope: scope, Name: x.Name, Version: have.Ref.Version + 1, Fingerprint: e.Runner.Fingerprint(x.Value)}
	t.put = append(t.put, store.SecretRecord{Ref: ref, Text: []byte(x.Value.Reveal()), At: e.Now(), From: store.SecretSourced, Source: x.Source})
	return nil
}

// absent says what becomes of what was read once, and is in no source now: it stays, and
// those who need it are told; what waited for a client that never came goes.
func (e *Engine) absent(tx store.Tx, got state.Outside, there map[[2]string]outsider, only func(scope, name string) bool, t *taken) error {
	heads, err := store.SecretHeads(tx, "")
	if err != nil {
		return err
	}
	var gone []state.SecretRef
	for _, h := range heads {
		_, is := there[[2]string{h.Ref.Scope, h.Ref.Name}]
		switch {
		case is, h.From != store.SecretSourced, slices.Contains(got.Failed, h.Source), !only(h.Ref.Scope, h.Ref.Name):
		case strings.HasPrefix(h.Ref.Scope, Coming):
			t.drop = append(t.drop, h.Ref)
		default:
			gone = append(gone, h.Ref)
		}
	}
	const few = 10
	if len(gone) > few {
		t.note("secrets: %d that were read from sources are in none now; their last versions stay. Is a folder not mounted?", len(gone))
		return nil
	}
	for _, ref := range gone {
		users, err := e.naming(tx, []state.SecretRef{ref})
		if err != nil {
			return err
		}
		if len(users) > 0 {
			t.note("secrets: %s, which %s uses, is in no source any more; version %d stays. Put it back, or `reconciler secret set %s`", secretTitle(ref), users[0].Name, ref.Version, setArgs(ref, users[0]))
		}
	}
	return nil
}

// setArgs are the arguments of `secret set` for a secret.
func setArgs(ref state.SecretRef, c state.Client) string {
	if ref.Scope == sharedScope {
		return ref.Name
	}
	return ref.Name + " --client " + c.Name
}

func sortedPairs(m map[[2]string]outsider) [][2]string {
	out := make([][2]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	return out
}

// Outside says where a source has a secret, "" when none has. What a source has is not
// set, and not forgotten, by hand: the next refresh would bring it back.
func (e *Engine) Outside(ctx context.Context, client, name string) (place string, err error) {
	if e.Sources == nil {
		return "", nil
	}
	got := e.Sources.Read(ctx, true)
	e.readAgain() // what it found is not taken in
	name = strings.TrimPrefix(name, "shared/")
	err = e.Store.View(func(tx store.Tx) error {
		place = ""
		scope, err := e.scopeOf(tx, client)
		if err != nil {
			return err
		}
		who, err := e.whose(tx)
		if err != nil {
			return err
		}
		rank := byFormer + 1
		for _, x := range got.Secrets {
			if o, ok := who.of(x, &taken{owners: map[string]state.ClientID{}}); ok && o.scope == scope && x.Name == name && o.rank < rank {
				place, rank = x.Place, o.rank
			}
		}
		return nil
	})
	return place, err
}

// renames says that who bears which name is not as it was before.
func renames(before, after []state.Client) bool {
	type is struct {
		name    string
		removed bool
	}
	was := make(map[state.ClientID]is, len(before))
	for _, c := range before {
		was[c.ID] = is{c.Name, c.Removed}
	}
	for _, c := range after {
		if old, ok := was[c.ID]; !ok || old != (is{c.Name, c.Removed}) {
			return true
		}
	}
	return false
}
