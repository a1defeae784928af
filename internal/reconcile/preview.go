package reconcile

import (
	"context"
	"fmt"
	"sort"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/desired"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// maxPreviewLooks is how many clients a preview looks at; beyond it the record counts.
const maxPreviewLooks = 50

// Preview is a plan that nobody runs, in the form of `plan -o json`.
type Preview struct {
	Commit      string           `json:"commit"`
	Fingerprint string           `json:"fingerprint"`
	Changes     []PreviewChange  `json:"changes"`
	Problems    []PreviewProblem `json:"problems"`
	LookedAt    time.Time        `json:"lookedAt,omitzero"` // zero: the plan rests on the record
}

// PreviewChange is one client's steps.
type PreviewChange struct {
	Client      string        `json:"client"`
	Fingerprint string        `json:"fingerprint"`
	Steps       []PreviewStep `json:"steps"`
}

// PreviewStep is one step; scripts rely on the names.
type PreviewStep struct {
	Step     string       `json:"step"`
	Action   string       `json:"action"`
	Ref      string       `json:"ref"`
	Provider string       `json:"provider"`
	Reason   string       `json:"reason"`
	Risk     string       `json:"risk"`
	Undo     string       `json:"undo"`
	Calls    int          `json:"calls"`
	Fields   []plan.Field `json:"fields"`
}

// PreviewProblem is why something cannot be planned.
type PreviewProblem struct {
	Client string `json:"client,omitempty"`
	Path   string `json:"path,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	Text   string `json:"text"`
	Hint   string `json:"hint,omitempty"`
}

// PreviewOf says what would happen if the branch had these files now. only limits it
// to the named clients; none means all. Nothing is written anywhere, and the planner
// could not.
func (e *Engine) PreviewOf(ctx context.Context, commit string, files []accept.File, only []string) (Preview, error) {
	out := Preview{Commit: commit, Changes: []PreviewChange{}, Problems: []PreviewProblem{}}
	var known []state.Client
	err := e.Store.View(func(tx store.Tx) (err error) {
		known, err = store.Clients(tx)
		return err
	})
	if err != nil {
		return out, fmt.Errorf("plan: %w", err)
	}
	tree := make([]manifest.File, 0, len(files))
	for _, f := range files {
		if f.Err != "" {
			out.Problems = append(out.Problems, PreviewProblem{Path: f.Path, Text: f.Err})
			continue
		}
		tree = append(tree, manifest.File{Path: f.Path, Data: f.Data})
	}
	e.count(func(s *Stats) { s.Parses += len(tree) })
	wishes, problems := manifest.CheckTree(manifest.LayoutOf(e.Path), tree, e.Defaults)
	bad := map[string]bool{}
	for _, p := range problems {
		bad[p.Client] = bad[p.Client] || !p.Warning
		out.Problems = append(out.Problems, PreviewProblem{Client: p.Client, Path: p.Path, Line: p.Line, Column: p.Column, Text: p.Text, Hint: p.Hint})
	}
	g, err := e.imagine(ctx, known, wishes, bad, only)
	if err != nil {
		return out, err
	}
	p := e.calculate(g)
	if n := touched(p); n > 0 && n <= maxPreviewLooks {
		e.look(ctx, g, p)
		p = e.calculate(g)
		out.LookedAt = g.looked
	}
	out.fill(p, g)
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
			for _, s := range shared {
				m.secrets[s.Scope+"/"+s.Name] = s
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
		m.problems = append(m.problems, plan.Problem{Client: c.ID, Name: c.Name, Text: p.Text, Act: p.Act})
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

// fill renders a plan.
func (p *Preview) fill(from plan.Plan, g *group) {
	names := map[state.ClientID]string{}
	for _, m := range g.members {
		names[m.client.ID] = m.client.Name
	}
	by := map[string]*PreviewChange{}
	var order []string
	for _, s := range from.Steps {
		name := names[s.Ref.Client]
		if by[name] == nil {
			by[name] = &PreviewChange{Client: name, Fingerprint: plan.Fingerprint(from, s.Ref.Client)}
			order = append(order, name)
		}
		fields := s.Fields
		if fields == nil {
			fields = []plan.Field{}
		}
		by[name].Steps = append(by[name].Steps, PreviewStep{Step: plan.StepName(s.Number), Action: string(s.Action), Ref: string(s.Ref.Kind) + "/" + s.Ref.Name,
			Provider: s.Provider, Reason: s.Reason, Risk: string(s.Risk), Undo: s.Undo, Calls: s.Calls, Fields: fields})
	}
	sort.Strings(order)
	for _, n := range order {
		p.Changes = append(p.Changes, *by[n])
	}
	for _, q := range from.Problems {
		p.Problems = append(p.Problems, PreviewProblem{Client: q.Name, Text: q.Text, Hint: q.Act})
	}
	p.Fingerprint = plan.Fingerprint(from, "")
}
