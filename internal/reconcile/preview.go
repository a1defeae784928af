package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strings"

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

// PreviewOf says what would happen if the branch had these files now. only limits it
// to the named clients; none means all. Nothing is written anywhere, and the planner
// could not.
func (e *Engine) PreviewOf(ctx context.Context, commit string, files []accept.File, only []string) (Preview, error) {
	out := Preview{Commit: commit, Changes: []report.Change{}, Problems: []report.Problem{}}
	var known []state.Client
	var holds []state.Hold
	var approvals []state.Approval
	err := e.Store.View(func(tx store.Tx) (err error) {
		if known, err = store.Clients(tx); err != nil {
			return err
		}
		if holds, err = store.Holds(tx); err != nil {
			return err
		}
		approvals, err = store.Approvals(tx)
		return err
	})
	if err != nil {
		return out, fmt.Errorf("plan: %w", err)
	}
	tree := make([]manifest.File, 0, len(files))
	for _, f := range files {
		if f.Err != "" {
			out.Problems = append(out.Problems, report.Problem{Path: f.Path, Text: f.Err})
			continue
		}
		tree = append(tree, manifest.File{Path: f.Path, Data: f.Data})
	}
	e.count(func(s *Stats) { s.Parses += len(tree) })
	wishes, problems := manifest.CheckTree(manifest.LayoutOf(e.Path), tree, e.Defaults)
	bad := map[string]bool{}
	for _, p := range problems {
		bad[p.Client] = bad[p.Client] || !p.Warning
		if len(only) > 0 && p.Client != "" && !slices.Contains(only, p.Client) {
			continue // another client's mistake is no matter of this plan
		}
		out.Problems = append(out.Problems, report.Problem{Client: p.Client, Path: p.Path, Line: p.Line, Column: p.Column, Text: p.Text, Hint: p.Hint, Source: p.Snippet, Warning: p.Warning})
	}
	g, err := e.imagine(ctx, known, wishes, bad, only)
	if err != nil {
		return out, err
	}
	rules, _ := e.resolver()
	g.holds, g.approvals, g.freeze = holds, approvals, windows(rules.Platform())
	p := e.calculate(g)
	if n := touched(p); n > 0 && n <= maxPreviewLooks {
		e.look(ctx, g, p)
		p = e.calculate(g)
		out.LookedAt = g.looked
	}
	// What would wait shows in its steps; no hold is made.
	p, _ = plan.Gate(p, g.gate(g.now))
	told := report.Of(p, g.names())
	out.Fingerprint, out.Changes, out.Problems = told.Fingerprint, told.Changes, append(out.Problems, told.Problems...)
	if len(only) > 0 {
		return out, e.checkNames(g, out, only)
	}
	return out, nil
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
	return len(set)
}

// imagine is the group of all clients as they would be with these wishes.
func (e *Engine) imagine(ctx context.Context, known []state.Client, wishes []manifest.Effective, bad map[string]bool, only []string) (*group, error) {
	byName, former := map[string]state.Client{}, map[string]state.Client{}
	for _, c := range known {
		byName[c.Name] = c
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
	g := &group{now: e.Now(), head: e.Head(), traits: e.traits()}
	for _, w := range wishes {
		if !wanted(w.Name) {
			continue
		}
		c, ok := byName[w.Name]
		if f, was := former[w.Name]; !ok && was {
			c, ok = f, true
		}
		if !ok {
			c = state.Client{ID: state.ClientID(w.Name + "-new"), Generation: 1, Status: state.StatusPending}
		}
		c.Name = w.Name
		if err := e.imagined(ctx, g, c, &w); err != nil {
			return nil, err
		}
	}
	for _, c := range known {
		if wished[c.Name] || renamed[c.Name] || bad[c.Name] || !wanted(c.Name) || c.Removed {
			continue
		}
		if err := e.imagined(ctx, g, c, nil); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// imagined adds one client with its wish; nil: its manifest would be gone.
func (e *Engine) imagined(ctx context.Context, g *group, c state.Client, w *manifest.Effective) error {
	m := &member{client: c, looks: map[state.Ref]plan.Look{}, secrets: map[string]state.SecretRef{}}
	err := e.Store.View(func(tx store.Tx) error {
		shared, err := store.Secrets(tx, "shared")
		if err != nil {
			return err
		}
		loaded, ok, err := loadMember(tx, c.ID, shared, g.now)
		if err != nil {
			return err
		}
		if ok {
			loaded.client.Name = c.Name
			m = loaded
		} else {
			kept, err := store.Secrets(tx, Coming+c.Name)
			if err != nil {
				return err
			}
			for _, s := range append(kept, shared...) {
				if s.Scope != "shared" {
					s.Scope = string(c.ID)
				}
				if have, ok := m.secrets[s.Scope+"/"+s.Name]; !ok || have.Version < s.Version {
					m.secrets[s.Scope+"/"+s.Name] = s
				}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("plan %s: %w", c.Name, err)
	}
	wishes, _ := e.resolver()
	before, _ := wishes.Client(m.client)
	tomb := func(part string) {
		m.tombstones = append(m.tombstones, state.Tombstone{Client: c.ID, Name: c.Name, Part: part, At: g.now})
	}
	if w == nil {
		m.effective, m.removed, m.client.Removed = before, true, true
		tomb("")
		g.add(m)
		return nil
	}
	m.effective, m.removed, m.client.Removed = *w, false, false
	if err := e.source(ctx, &m.client, *w); err != nil {
		m.problems = append(m.problems, plan.Problem{Client: c.ID, Name: c.Name, Text: "the source's repository can't be read: " + err.Error(), Act: "plan again when it can"})
	}
	all, problems := desired.Resources(e.desiredInput(m.client, *w, m.secrets))
	m.wish = all
	for _, p := range problems {
		act := p.Act
		if len(m.client.Manifest) == 0 { // a client that is yet to come
			act = strings.ReplaceAll(act, "--client "+c.Name, "--client "+c.Name+" --new")
		}
		m.problems = append(m.problems, plan.Problem{Client: c.ID, Name: c.Name, Text: p.Text, Act: act})
	}
	if len(m.client.Manifest) > 0 {
		old, _ := desired.Resources(e.desiredInput(m.client, before, m.secrets))
		for _, part := range desired.Parts(old, all) {
			tomb(part)
		}
	}
	g.add(m)
	return nil
}

func (g *group) add(m *member) {
	g.members = append(g.members, m)
	g.ids = append(g.ids, m.client.ID)
}

// names are the names of a group's clients.
func (g *group) names() map[state.ClientID]string {
	names := map[state.ClientID]string{}
	for _, m := range g.members {
		names[m.client.ID] = m.client.Name
	}
	return names
}
