package reconcile

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/desired"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// maxPreviewLooks is how many clients a preview looks at; beyond it the record counts.
const maxPreviewLooks = 50

// Preview is a plan that nobody runs, in the form of `plan -o json`.
type Preview = report.Plan

// PreviewOf says what would happen if the branch had these files now. What only the state
// refuses of them is told as accept would, and not planned. only limits it to the named
// clients; none means all. Nothing is written anywhere, and the planner could not.
func (e *Engine) PreviewOf(ctx context.Context, commit string, files []accept.File, only []string) (Preview, error) {
	out := Judgement{Preview: Preview{Commit: commit, Changes: []report.Change{}, Problems: []report.Problem{}}}
	var known []state.Client
	err := e.Store.View(func(tx store.Tx) (err error) { known, err = store.Clients(tx); return err })
	if err != nil {
		return out.Preview, fmt.Errorf("plan: %w", err)
	}
	layout, t := manifest.LayoutOf(e.Path), weighed{bad: map[string]bool{}}
	tree := make([]manifest.File, 0, len(files))
	for _, f := range files {
		if f.Err != "" {
			if layout.Classify(f.Path) == manifest.ClassClient {
				t.bad[fileName(f.Path)] = true // it is there: nobody is gone
			}
			t.problems = append(t.problems, manifest.Problem{Path: f.Path, Text: f.Err})
			continue
		}
		tree = append(tree, manifest.File{Path: f.Path, Data: f.Data})
	}
	e.count(func(s *Stats) { s.Parses += len(tree) })
	accepted := map[string][]byte{}
	for _, c := range known {
		if !c.Removed {
			accepted[c.Name] = c.Manifest
		}
	}
	check := manifest.NewCheck("", layout, tree, nil, e.Defaults, manifest.Ranks(accepted, tree, layout))
	sideBySide(check.Len(), check.Read)
	wishes, problems := check.End()
	t.wishes, t.problems = wishes, append(t.problems, problems...)
	for _, p := range problems {
		if !p.Warning {
			t.bad[p.Client] = true
			if layout.Classify(p.Path) == manifest.ClassClient {
				t.bad[fileName(p.Path)] = true // it is there, whatever it says
			}
		}
	}
	refused, r, err := e.unaccepted(&t, commit, files, known)
	if err != nil {
		return out.Preview, err
	}
	out.RemoveAfter = e.removeAfter(r.Baseline)
	for _, p := range t.told(refused) {
		if len(only) == 0 || p.Client == "" || slices.Contains(only, p.Client) { // another client's mistake is no matter of this plan
			out.Problems = append(out.Problems, p)
		}
	}
	g, err := e.plan(ctx, &out, t, r.Clients, only)
	if err == nil && len(only) > 0 {
		err = e.checkNames(g, out.Preview, only)
	}
	return out.Preview, err
}

// unaccepted is what only the state refuses of these files, were they the next head's. Who is
// refused is bad from then on: nothing is planned of it, nor that who it says it was goes. r is all that would be
// accepted. Without an accepted head, or on a state that is not compared yet, nobody knows.
func (e *Engine) unaccepted(t *weighed, commit string, files []accept.File, known []state.Client) (refused []state.FileProblem, r accept.Result, err error) {
	_, base := e.resolver()
	if base == nil || e.old() {
		return nil, r, nil
	}
	p := Proposal{Commit: commit, Merged: make([]accept.File, len(files))}
	for i, f := range files {
		f.Blob = blobOf(f)
		p.Merged[i] = f
	}
	t.changes = since(*base, known, p.Merged)
	if r, err = e.asNext(*base, p, *t); err != nil {
		return nil, r, err
	}
	if r.Baseline == nil && !r.Held {
		r.Baseline = base // nothing differs from it
	}
	said := map[string]bool{}
	for _, q := range t.problems {
		said[q.Path] = said[q.Path] || !q.Warning
	}
	refused = t.refused(r, func(path string) bool { return !said[path] })
	names := map[string]bool{}
	for _, q := range refused {
		names[q.Client] = true
	}
	t.wishes = slices.DeleteFunc(t.wishes, func(w manifest.Effective) bool {
		if !names[w.Name] {
			return false
		}
		t.bad[w.Name] = true
		for _, was := range w.Previously {
			t.bad[was] = true
		}
		return true
	})
	return refused, r, nil
}

// since is how these files differ from those of the accepted head.
func since(base state.Baseline, known []state.Client, files []accept.File) (out []accept.Change) {
	at := map[string]string{}
	for _, c := range known {
		if !c.Removed {
			at[c.Path] = c.Blob
		}
	}
	for _, f := range base.Templates {
		at[f.Path] = f.Blob
	}
	if base.Platform != nil {
		at[base.Platform.Path] = base.Platform.Blob
	}
	for _, q := range base.Problems { // what is there, in place of the last good version
		at[q.Path] = q.Blob
	}
	for _, f := range files {
		if was, had := at[f.Path]; !had || was != f.Blob {
			out = append(out, accept.Change{Path: f.Path, Old: was, New: f.Blob})
		}
		delete(at, f.Path)
	}
	for path, was := range at {
		out = append(out, accept.Change{Path: path, Old: was})
	}
	sort.Slice(out, func(a, b int) bool { return out[a].Path < out[b].Path })
	return out
}

// blobOf is the id that Git has for a file's content: a folder's files bear none.
func blobOf(f accept.File) string {
	if f.Blob != "" || f.Err != "" {
		return f.Blob
	}
	h := sha1.New() //nolint:gosec // Git's own ids
	fmt.Fprintf(h, "blob %d\x00", len(f.Data))
	_, _ = h.Write(f.Data) // a hash never fails
	return hex.EncodeToString(h.Sum(nil))
}

// plan adds the plan of what was judged to a preview; as are clients that its files are, as far as that is
// known. only limits it to the named clients, none means all.
func (e *Engine) plan(ctx context.Context, out *Judgement, t weighed, as []state.Client, only []string) (*group, error) {
	var known []state.Client
	var shared []state.SecretRef
	var holds []state.Hold
	var approvals []state.Approval
	var claims []state.Claim
	err := e.Store.View(func(tx store.Tx) (err error) {
		if known, err = store.Clients(tx); err != nil {
			return err
		}
		if claims, err = store.Claims(tx); err != nil {
			return err
		}
		if shared, err = store.Secrets(tx, "shared"); err != nil {
			return err
		}
		if holds, err = store.Holds(tx); err != nil {
			return err
		}
		approvals, err = store.Approvals(tx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	g, err := e.imagine(ctx, known, shared, t, as, only)
	if err != nil {
		return nil, err
	}
	about := slices.Clone(g.ids)
	if len(only) > 0 {
		if err := e.givers(ctx, g, known, claims, shared, t); err != nil {
			return nil, err
		}
	}
	rules, _ := e.resolver()
	g.holds, g.approvals, g.freeze = holds, approvals, windows(rules.Platform())
	p := e.calculate(g)
	if n := touched(p); n > 0 && n <= maxPreviewLooks {
		p = e.lookedAt(ctx, g, p)
		out.LookedAt = g.looked
	}
	// What would wait shows in its steps; no hold is made.
	p, out.Waits = plan.Gate(p, g.gate(g.now))
	if len(about) < len(g.ids) {
		p = p.Of(about)
		out.Waits = slices.DeleteFunc(out.Waits, func(h state.Hold) bool { return h.Client != "" && !slices.Contains(about, h.Client) })
	}
	prints := make([]string, len(p.Steps))
	sideBySide(len(prints), func(i int) { prints[i] = plan.StepPrint(p.Steps[i]) })
	told := report.Printed(p, prints, g.names())
	out.Fingerprint, out.Changes, out.Problems = told.Fingerprint, told.Changes, append(out.Problems, told.Problems...)
	out.Shown, out.Sources = bound(p.Steps, prints), g.resolved()
	return g, nil
}

func (e *Engine) checkNames(g *group, out Preview, only []string) error {
	have := map[string]bool{}
	for _, m := range g.members {
		have[m.client.Name] = true
	}
	for _, p := range out.Problems {
		have[p.Client] = true
	}
	for _, n := range only {
		if !have[n] {
			return fmt.Errorf("%w: %q, neither in the files nor on record", ErrNoClient, n)
		}
	}
	return nil
}

func touched(p plan.Plan) int {
	set := map[state.ClientID]bool{}
	for _, s := range p.Steps {
		set[s.Ref.Client] = true
	}
	for _, q := range p.Problems {
		if q.Hold == state.HoldParked { // as in a pass
			set[q.Client] = true
		}
	}
	return len(set)
}

// imagine is the group of all clients as they would be with these wishes. Whose file it is accept says (as); of
// the others it is who lives under that name, or went from it last.
func (e *Engine) imagine(ctx context.Context, known []state.Client, shared []state.SecretRef, t weighed, as []state.Client, only []string) (*group, error) {
	wishes, bad := t.wishes, t.bad
	byName, former := map[string]state.Client{}, map[string]state.Client{}
	ids := map[state.ClientID]bool{}
	for _, c := range known {
		ids[c.ID] = true
		if have, ok := byName[c.Name]; !ok || have.Removed && (!c.Removed || c.RemovedAt.After(have.RemovedAt)) {
			byName[c.Name] = c
		}
	}
	anew := map[string]state.Client{}
	for _, c := range as {
		if !ids[c.ID] && !c.Removed {
			anew[c.Name] = state.Client{ID: c.ID, Generation: c.Generation, Status: state.StatusPending}
		}
	}
	wished, renamed := map[string]bool{}, map[string]bool{}
	for _, w := range wishes {
		wished[w.Name] = true
		for _, p := range w.Previously {
			if c, ok := byName[p]; ok {
				former[w.Name], renamed[p] = c, true
			}
		}
	}
	wanted := func(name string) bool {
		for _, n := range only {
			if n == name {
				return true
			}
		}
		return len(only) == 0
	}
	type one struct {
		client state.Client
		wish   *manifest.Effective // nil: its manifest would be gone
	}
	all := make([]one, 0, len(wishes))
	for i := range wishes {
		w := &wishes[i]
		if !wanted(w.Name) {
			continue
		}
		c, ok := byName[w.Name]
		if f, was := former[w.Name]; !ok && was {
			c, ok = f, true
		}
		if is, minted := anew[w.Name]; minted {
			c = is
		} else if !ok {
			c = state.Client{ID: state.ClientID(w.Name + "-new"), Generation: 1, Status: state.StatusPending}
		}
		c.Name = w.Name
		all = append(all, one{c, w})
	}
	for _, c := range known {
		if wished[c.Name] || renamed[c.Name] || bad[c.Name] || !wanted(c.Name) || c.Removed {
			continue
		}
		all = append(all, one{c, nil})
	}
	g := &group{now: e.Now(), head: e.Head(), traits: e.traits(), members: make([]*member, len(all)), ids: make([]state.ClientID, len(all))}
	errs := make([]error, len(all))
	sideBySide(len(all), func(i int) {
		m, err := e.onRecord(all[i].client, shared, g.now)
		if errs[i] = err; err == nil {
			e.imagined(ctx, m, all[i].wish, g.now)
		}
		g.members[i], g.ids[i] = m, all[i].client.ID
	})
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return g, nil
}

// givers adds to a group who has a name that one of it asks for, by a head that was accepted before, with the
// wish that it has: the name is to move, and waits for what keeps its owner from letting it go.
func (e *Engine) givers(ctx context.Context, g *group, known []state.Client, claims []state.Claim, shared []state.SecretRef, t weighed) error {
	have := map[string]state.Claim{}
	for _, c := range claims {
		have[c.Key] = c
	}
	for n, asked := 0, len(g.members); n < len(g.members) && len(g.members) < asked+maxGroup; n++ { // also of those who join
		for _, w := range g.members[n].wish {
			if w.Ref.Kind != state.KindDomain {
				continue
			}
			claim := have["host:"+w.Ref.Host()]
			for _, id := range append(slices.Clone(claim.From), claim.Client) {
				i := slices.IndexFunc(known, func(c state.Client) bool { return c.ID == id })
				if i < 0 || slices.Contains(g.ids, id) {
					continue
				}
				m, err := e.onRecord(known[i], shared, g.now)
				if err != nil {
					return err
				}
				if w := slices.IndexFunc(t.wishes, func(w manifest.Effective) bool { return w.Name == m.client.Name }); w >= 0 && !m.client.Removed {
					e.imagined(ctx, m, &t.wishes[w], g.now)
				} else if e.contain(id, func() error { e.wishOf(m); return nil }) != nil {
					continue // a pass finds that out, and says it
				}
				g.members, g.ids = append(g.members, m), append(g.ids, id)
			}
		}
	}
	return nil
}

// onRecord is a client with what is on record of it, under the name that it would have.
func (e *Engine) onRecord(c state.Client, shared []state.SecretRef, now time.Time) (m *member, err error) {
	err = e.Store.View(func(tx store.Tx) error {
		loaded, ok, err := loadMember(tx, c.ID, shared, now)
		if m = loaded; err != nil {
			return err
		}
		kept, err := store.Secrets(tx, Coming+c.Name) // it is yet to come, or to be called so
		if !ok {
			m = newMember(c, asOwn(kept, c.ID, nil), shared, now)
			return err
		}
		if m.renamed = m.client.Name != c.Name; m.renamed || m.client.Removed {
			for _, s := range asOwn(kept, c.ID, m.secrets) {
				m.secrets[s.Scope+"/"+s.Name] = s
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("plan %s: %w", c.Name, err)
	}
	m.client.Name = c.Name
	return m, nil
}

// imagined gives a client its wish; nil: its manifest would be gone.
func (e *Engine) imagined(ctx context.Context, m *member, w *manifest.Effective, now time.Time) {
	c := m.client
	var before manifest.Effective
	if len(c.Manifest) > 0 {
		wishes, _ := e.resolver()
		before, _ = wishes.Client(c)
	}
	tomb := func(part string) {
		m.tombstones = append(m.tombstones, state.Tombstone{Client: c.ID, Name: c.Name, Part: part, At: now})
	}
	if w == nil {
		m.effective, m.removed, m.client.Removed = before, true, true
		tomb("")
		return
	}
	m.effective, m.removed, m.client.Removed = *w, false, false
	switch problem, err := e.source(ctx, m, *w); {
	case err != nil:
		m.problems = append(m.problems, plan.Problem{Client: c.ID, Name: c.Name, Text: err.Error(), Act: "plan again when it answers"})
	case problem != nil:
		m.problems = append(m.problems, *problem)
	}
	all, problems := desired.Resources(e.desiredInput(m.client, *w, m.secrets, m.recorded))
	m.wish = plan.StillAdopted(all, m.recorded)
	for _, p := range problems {
		act := p.Act
		if len(m.client.Manifest) == 0 || m.renamed { // nobody has that name so far
			act = strings.ReplaceAll(act, "--client "+c.Name, "--client "+c.Name+" --new")
		}
		m.problems = append(m.problems, plan.Problem{Client: c.ID, Name: c.Name, Text: p.Text, Act: act})
	}
	if len(m.client.Manifest) > 0 {
		old, _ := desired.Resources(e.desiredInput(m.client, before, m.secrets, m.recorded))
		for _, part := range desired.Parts(old, all) {
			tomb(part)
		}
	}
}

// names are the names of a group's clients.
func (g *group) names() map[state.ClientID]string {
	names := map[state.ClientID]string{}
	for _, m := range g.members {
		names[m.client.ID] = m.client.Name
	}
	return names
}
