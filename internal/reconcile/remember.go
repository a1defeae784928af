package reconcile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/desired"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/rebuild"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// memory is what there is of one client to make its record from.
type memory struct {
	client    state.Client
	effective *manifest.Effective // nil: there is no manifest
	keeps     string              // without a manifest: who kept its database
	found     []rebuild.Found     // with the client's mark
	recorded  []state.Resource    // by an older state
	secrets   []state.SecretRef   // that are stored: the client's own and everybody's
	adopted   map[string]bool     // ids that some manifest adopted at some time
	leave     []string            // host names that a head took out of its wish
	lived     bool                // some manifest of it named a site in `adopt:`
}

// remembered is what is to be written of one client.
type remembered struct {
	client state.Client
	wish   []state.Resource
	out    rebuild.Output
	holds  []state.Hold
	stones []state.Tombstone
}

// remember works out the record of one client. It looks, and writes nothing.
func (e *Engine) remember(ctx context.Context, w witness, m memory) (remembered, error) {
	c := m.client
	mark := provider.Mark{Installation: w.installation, Client: c.ID, Generation: max(c.Generation, 1)}
	in := rebuild.Input{Keeps: m.keeps, Mark: mark, Found: m.found, Recorded: m.recorded, Traits: e.traits(), Adopted: m.adopted, Secret: e.secret, Fingerprint: e.Runner.Fingerprint, Now: e.Now(),
		Bare: func(f rebuild.Found) bool { return w.bare(ctx, f) }}
	var kept []rebuild.Sealed
	if m.effective != nil {
		c = e.sourceAsBuilt(c, *m.effective, m.found)
		secrets := e.secretsAsSeen(c, *m.effective, m)
		kept = e.keptAsSeen(c, *m.effective, m, secrets)
		in.Wish, _ = desired.Resources(e.desiredInput(c, *m.effective, secrets, m.recorded))
		var err error
		if in.Beside, err = w.adoptees(ctx, in.Wish); err != nil {
			return remembered{}, err
		}
		in.Wish, in.Found = withoutAdopted(in.Wish, m.found, *m.effective)
	}
	in.Client = c
	out := rebuild.Record(in)
	if more, err := w.unmarked(ctx, mark, in.Wish, m.recorded, out.Resources, m.leave); err != nil {
		return remembered{}, err
	} else if len(more) > 0 {
		in.Found = append(slices.Clone(in.Found), more...)
		out = rebuild.Record(in)
	}
	out.Secrets = append(out.Secrets, kept...)
	asis(out.Resources, in.Wish)
	for _, f := range m.found { // also those that no manifest asks for now: our mark makes none of them ours
		if name := f.Lived(m.adopted); name != "" && !slices.Contains(c.Lived, name) {
			c.Lived = append(slices.Clone(c.Lived), name)
		}
	}
	c.LookWanted, c.Settled, c.RetryAt, c.UpdatedAt = true, false, time.Time{}, in.Now
	serves, sites := false, false
	for _, r := range out.Resources {
		serves = serves || r.Ref.Kind == state.KindTraffic
	}
	for _, r := range in.Wish {
		sites = sites || r.Ref.Kind == state.KindSite
	}
	c.EverDeployed = c.EverDeployed || serves || (m.effective != nil && !sites && len(out.Resources) > 0)
	if c.EverDeployed && m.effective != nil && sites {
		c.URL = e.PublicURL(m.effective.Host)
		if p := m.effective.AdminPanel.Path; p != "" {
			c.AdminURL = strings.TrimSuffix(c.URL, "/") + p
		}
	}
	return remembered{client: c, wish: in.Wish, out: out}, nil
}

// secret reads a stored secret, for comparing; version 0 is the newest.
func (e *Engine) secret(scope, name string, version int) (ref state.SecretRef, text state.Secret, ok bool) {
	err := e.Store.View(func(tx store.Tx) error {
		rec, there, err := store.Secret(tx, scope, name, version)
		ref, text, ok = rec.Ref, state.NewSecret(string(rec.Text)), there && rec.From != store.SecretLost
		return err
	})
	return ref, text, ok && err == nil
}

// sourceAsBuilt takes what the manifest's ref meant from the release that serves: a branch
// that moved since is no change.
func (e *Engine) sourceAsBuilt(c state.Client, eff manifest.Effective, found []rebuild.Found) state.Client {
	spec := desired.SourceSpec(eff)
	if spec == "" || c.SourceSpec == spec && c.SourceCommit != "" {
		return c
	}
	if commit := rebuild.Source(found, eff.Source.Repository, eff.Source.Ref); commit != "" {
		c.SourceSpec, c.SourceCommit = spec, commit
	}
	return c
}

// secretsAsSeen are the secrets that the wish names: the stored ones, and in the place of
// what is missing its name, with the fingerprint of what the site's environment says, so
// that the same value set again changes nothing.
func (e *Engine) secretsAsSeen(c state.Client, eff manifest.Effective, m memory) map[string]state.SecretRef {
	own := newMember(c, m.secrets, nil, e.Now()).secrets
	for variable, v := range eff.Environment {
		if v.Secret == "" {
			continue
		}
		ref := state.SecretRef{Scope: string(c.ID), Name: v.Secret, Version: 1}
		if bare, shared := sharedName(v.Secret); shared {
			ref.Scope, ref.Name = "shared", bare
		}
		key := ref.Scope + "/" + ref.Name
		if have, ok := own[key]; ok && (have.Fingerprint != "" || m.stored(have)) {
			continue
		}
		for _, f := range m.found {
			for _, a := range f.Attributes {
				if f.Kind == state.KindEnvironment && a.Name == "env."+variable && a.Reveal() != "" {
					ref.Fingerprint = e.Runner.Fingerprint(state.NewSecret(a.Reveal()))
				}
			}
		}
		own[key] = ref
	}
	return own
}

// keptAsSeen adds to the secrets, of a client that adopted a site at some time, the variables that no manifest mentions: nothing
// tells those that the site had before us from others, so they all stay, as they would if `adopt:` named it still. Where
// its host has an environment, that one counts. What an older state knows of a variable decides.
func (e *Engine) keptAsSeen(c state.Client, eff manifest.Effective, m memory, secrets map[string]state.SecretRef) (out []rebuild.Sealed) {
	if !m.lived || eff.Adopt["site"].ID != "" { // the next pass adopts it, with all that it has
		return nil
	}
	known := slices.DeleteFunc(slices.Clone(m.recorded), func(r state.Resource) bool { return r.Ref.Kind != state.KindEnvironment })
	seen := slices.DeleteFunc(slices.Clone(m.found), func(f rebuild.Found) bool { return f.Kind != state.KindEnvironment })
	elsewhere := func(f rebuild.Found) bool { return f.Provider != eff.Deployment.Provider }
	if here := slices.DeleteFunc(slices.Clone(seen), elsewhere); len(here) > 0 {
		seen = here
	}
	for _, f := range seen {
		for _, a := range f.Attributes {
			name, variable := strings.CutPrefix(a.Name, "env.")
			ref := state.SecretRef{Scope: string(c.ID), Name: desired.Kept + name, Version: 1}
			_, said := eff.Environment[name]
			_, have := secrets[ref.Scope+"/"+ref.Name]
			ours := slices.ContainsFunc(known, func(r state.Resource) bool { _, is := r.Attributes.Get(a.Name); return is })
			if !variable || said || have || ours || a.Reveal() == "" {
				continue
			}
			text := state.NewSecret(a.Reveal())
			ref.Fingerprint = e.Runner.Fingerprint(text)
			secrets[ref.Scope+"/"+ref.Name] = ref
			out = append(out, rebuild.Sealed{Ref: ref, Text: text, From: "adopted"})
		}
	}
	return out
}

// asis has on record of an adopted site what is right whatever it has.
func asis(found, wish []state.Resource) {
	for i, r := range found {
		at := slices.IndexFunc(wish, func(w state.Resource) bool { return w.Ref == r.Ref })
		if at < 0 || !r.Adopted || r.Ref.Kind != state.KindSite {
			continue
		}
		all := map[string]state.Value{}
		for _, a := range slices.Concat(r.Attributes, slices.DeleteFunc(slices.Clone(wish[at].Attributes), func(a state.Attribute) bool { return !plan.Asis(a) })) {
			all[a.Name] = a.Value
		}
		found[i].Attributes = state.NewAttributes(all)
	}
}

func (m memory) stored(ref state.SecretRef) bool { return slices.Contains(m.secrets, ref) }

// sharedName says that a secret is everybody's, and its name then.
func sharedName(name string) (string, bool) { return strings.CutPrefix(name, "shared/") }

// secretsOf are the secrets that a manifest names, sorted, each once.
func secretsOf(eff manifest.Effective) []string {
	var out []string
	add := func(name string) {
		if name != "" && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	for _, v := range eff.Environment {
		add(v.Secret)
	}
	if x := eff.Database.External; x != nil {
		add(x.URL.Secret)
	}
	sort.Strings(out)
	return out
}

// withoutAdopted leaves what `adopt:` names, and what hangs on an adopted site, to the
// client's next pass: it records what exists, with what the environment says, and writes
// nothing.
func withoutAdopted(wish []state.Resource, found []rebuild.Found, eff manifest.Effective) ([]state.Resource, []rebuild.Found) {
	if len(eff.Adopt) == 0 {
		return wish, found
	}
	hangs := map[state.Kind]bool{}
	ids := map[string]bool{}
	for _, w := range wish {
		if w.AdoptID == "" {
			continue
		}
		ids[string(w.Ref.Kind)+" "+w.AdoptID] = true
		if w.Ref.Kind == state.KindSite {
			for _, k := range []state.Kind{state.KindSite, state.KindEnvironment, state.KindDeployment, state.KindTraffic, state.KindDomain} {
				hangs[k] = true
			}
		}
	}
	wish = slices.DeleteFunc(slices.Clone(wish), func(w state.Resource) bool { return w.AdoptID != "" || hangs[w.Ref.Kind] })
	found = slices.DeleteFunc(slices.Clone(found), func(f rebuild.Found) bool { return ids[string(f.Kind)+" "+f.ID] || hangs[f.Kind] })
	return wish, found
}

// hold turns doubts, and what nobody asks for, into holds.
func (m *remembered) hold(e *Engine, head string) {
	c := &m.client
	if len(m.out.Doubts) > 0 {
		h := state.Hold{Kind: state.HoldRebuild, Client: c.ID, Clients: []state.ClientID{c.ID}, Commit: head, NewHead: head, Approvable: true, At: e.Now()}
		h.Fingerprint = printOf(append([]string{"doubt", string(c.ID)}, m.out.Doubts...)...)
		h.Reason = c.Name + " waits: " + strings.Join(m.out.Doubts, "; ") + "."
		if c.Removed {
			h.Reason = c.Name + " does not come back unasked: " + strings.Join(m.out.Doubts, "; ") + "."
		}
		h.Act = "Settle it there, or `reconciler approve " + h.Fingerprint + "` to go on with what is on record; `reconciler why " + c.Name + "` shows that."
		c.Status, c.Because, c.Next, c.Settled = state.StatusHeld, h.Reason, h.Act, true
		m.holds = append(m.holds, h)
	}
	if len(m.out.Unwished) == 0 {
		return
	}
	h := state.Hold{Kind: state.HoldRebuild, Client: c.ID, Commit: head, NewHead: head, Approvable: true, At: e.Now()}
	var names []string
	for _, ref := range m.out.Unwished {
		part := string(ref.Kind) + "/" + ref.Name
		h.Steps, names = append(h.Steps, part), append(names, string(ref.Kind)+" "+ref.Name)
	}
	h.Fingerprint = printOf(append([]string{"unwished", string(c.ID)}, h.Steps...)...)
	file := "its manifest does"
	if c.InvalidBlob != "" {
		file = "the last manifest of it that was accepted does"
	}
	h.Reason = fmt.Sprintf("%s of %s bear our mark, and %s not ask for them; no commit is known that took them out.", strings.Join(names, ", "), c.Name, file)
	h.Act = "They stay as they are; `reconciler approve " + h.Fingerprint + "` lets them go, or the manifest asks for them."
	if c.Removed {
		h.Reason = fmt.Sprintf("%s of %s bear our mark, and the last manifest of it that is known does not ask for them: they were made when it was back.", strings.Join(names, ", "), c.Name)
		h.Act = "They go when its removal is carried out. Should it come back without them they stay as they are; `reconciler approve " + h.Fingerprint + "` lets them go then."
	}
	for _, part := range h.Steps {
		m.stones = append(m.stones, state.Tombstone{Client: c.ID, Name: c.Name, Part: part, Commit: head, Held: h.Fingerprint})
	}
	m.holds = append(m.holds, h)
}

// printOf binds exactly the parts.
func printOf(parts ...string) string {
	sum := sha256.Sum256([]byte("rebuild\n" + strings.Join(parts, "\n")))
	return hex.EncodeToString(sum[:6])
}

// put writes what was remembered, in the caller's transaction.
func (m remembered) put(tx store.Tx, e *Engine) error {
	var errs firstError
	errs.add(store.PutClient(tx, m.client))
	for _, r := range m.out.Resources {
		errs.add(store.PutResource(tx, r))
	}
	for _, s := range m.out.Secrets {
		errs.add(store.PutSecret(tx, store.SecretRecord{Ref: s.Ref, Text: []byte(s.Text.Reveal()), At: e.Now(), From: s.From}))
	}
	for _, ref := range m.out.Lost {
		if _, there, err := store.Secret(tx, ref.Scope, ref.Name, ref.Version); err != nil || there {
			errs.add(err)
			continue
		}
		errs.add(store.PutSecret(tx, store.SecretRecord{Ref: ref, At: e.Now(), From: store.SecretLost}))
	}
	for _, h := range m.holds {
		errs.add(store.PutHold(tx, h))
	}
	for _, t := range m.stones {
		errs.add(store.PutTombstone(tx, t))
	}
	return errs.err
}
