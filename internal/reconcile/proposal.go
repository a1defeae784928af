package reconcile

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// Proposal is what somebody asks to merge: the branch's files, and what they would be.
type Proposal struct {
	Commit string        // that would be merged
	Base   string        // head of the branch that At is of
	Branch string        // what people call it
	At     []accept.File // of the branch
	Merged []accept.File // after the merge
	// Static judges the files and nothing else: no provider is asked, no secret is named, and
	// nothing is planned. It is for what a stranger sent.
	Static bool
}

// Judgement is what merging a proposal would do.
type Judgement struct {
	Preview
	Clients []state.PullClient // that it changes, by name
	Shown   []string           // prints of the steps that bear a risk
	Sources map[string]string  // commits that it would deploy, by what they were resolved from
	// New is how many new clients it brings, and Room how many more the guard would take after
	// them in the day; below zero: they are too many. Without new ones Room says nothing.
	New, Room int
	Waits     []state.Hold // what would wait for a person: as a whole (the guard, new clients, a wide change), then steps
}

// Judge says what merging a proposal would do, by the rules of the branch. Nothing is
// written anywhere, and the planner could not. An error in this program that it runs into is an
// *apply.Panicked, and told: what anybody proposes ends nothing.
func (e *Engine) Judge(ctx context.Context, p Proposal) (out Judgement, err error) {
	err = e.contain("", func() (err error) { out, err = e.weighAll(ctx, p); return err })
	if p := panicOf(err); p != nil && e.OnPanic != nil {
		e.OnPanic(p)
	}
	return out, err
}

// weighAll is Judge.
func (e *Engine) weighAll(ctx context.Context, p Proposal) (Judgement, error) {
	out := Judgement{Preview: Preview{Commit: p.Commit, Changes: []report.Change{}, Problems: []report.Problem{}}}
	t, err := e.weigh(p)
	if err != nil {
		return out, err
	}
	out.Problems, out.Clients = t.told(nil), t.clients
	files := len(out.Problems)
	if p.Static || len(t.clients) == 0 && !t.inherited {
		return out, nil
	}
	only := make([]string, 0, len(t.clients))
	if !t.inherited {
		for _, c := range t.clients {
			if !t.bad[c.Name] {
				only = append(only, c.Name)
			}
		}
		only = append(only, t.former...)
	}
	r, err := e.wouldWait(p, t)
	if err != nil {
		return out, err
	}
	if t.inherited || len(only) > 0 {
		if _, err := e.plan(ctx, &out, t, r.Clients, only); err != nil {
			return out, err
		}
	}
	if t.inherited {
		out.Clients = withPlanned(out)
	}
	refused := t.refused(r, t.changed)
	for i := range refused {
		if state.AsksInVain(refused[i].Text) { // no commit tells that it is done
			refused[i].Hint += "; comment `/reconciler plan` after that"
		}
	}
	out.Problems = append(t.told(refused), out.Problems[files:]...)
	out.RemoveAfter = e.removeAfter(r.Baseline)
	out.Waits, out.New, out.Room = append(r.Holds, out.Waits...), r.New, r.Room
	return out, nil
}

// removeAfter is how long what goes would stay: the guard's, tightened by the platform file of the branch and by
// the one that next would have (nil: the same). As a manifest writes it; "": it goes at once.
func (e *Engine) removeAfter(next *state.Baseline) string {
	guard := e.Guard
	now, _ := e.resolver()
	if next == nil {
		next = &state.Baseline{}
	}
	for _, of := range []*accept.Resolver{now, accept.NewResolver(&state.Baseline{Platform: next.Platform}, e.Program)} {
		if f := of.Platform(); f != nil {
			guard = guard.Tightened(f.Guard)
		}
	}
	if guard.RemoveAfter <= 0 {
		return ""
	}
	return manifest.Duration(guard.RemoveAfter).String()
}

// refused is what only the state tells of the files that are asked about: that a name is still another
// client's, whose removal was merged before, or that data is kept under it, and the file does not say whose
// that is. What waits for a hold of its own is told with that.
func (t weighed) refused(r accept.Result, about func(path string) bool) (out []state.FileProblem) {
	if r.Baseline == nil {
		return nil
	}
	for _, q := range r.Baseline.Problems {
		own := slices.ContainsFunc(r.Holds, func(h state.Hold) bool { return h.Fingerprint != "" && strings.Contains(q.Hint, h.Fingerprint) })
		if about(q.Path) && !own && !t.bad[q.Client] && !t.bad[fileName(q.Path)] {
			out = append(out, q)
		}
	}
	return out
}

// changed says that it changes the file.
func (t weighed) changed(path string) bool {
	return slices.ContainsFunc(t.changes, func(ch accept.Change) bool { return ch.Path == path })
}

// told are the problems of its files. What was only warned of, and is refused, is said once.
func (t weighed) told(refused []state.FileProblem) []report.Problem {
	out := []report.Problem{}
	for _, q := range t.problems {
		if !q.Warning || !slices.ContainsFunc(refused, func(r state.FileProblem) bool { return r.Path == q.Path && r.Rule == q.Rule }) {
			out = append(out, problemOf(q))
		}
	}
	for _, q := range refused {
		out = append(out, report.Problem{Client: q.Client, Path: q.Path, Line: q.Line, Column: q.Column, Text: q.Text, Hint: q.Hint})
	}
	return out
}

func problemOf(q manifest.Problem) report.Problem {
	return report.Problem{Client: q.Client, Path: q.Path, Line: q.Line, Column: q.Column, Text: q.Text, Hint: q.Hint, Source: q.Snippet, Warning: q.Warning, Repair: q.Repair}
}

// withPlanned are the clients that a plan of everybody changes, beside those that it knew.
func withPlanned(j Judgement) []state.PullClient {
	out := slices.Clone(j.Clients)
	known := map[string]bool{}
	for _, k := range out {
		known[k.Name] = true
	}
	for _, c := range j.Changes {
		if !known[c.Client] {
			known[c.Client] = true
			out = append(out, state.PullClient{Name: c.Client})
		}
	}
	sort.Slice(out, func(a, b int) bool { return out[a].Name < out[b].Name })
	return out
}

// weighed is a proposal whose files were judged.
type weighed struct {
	wishes    []manifest.Effective
	problems  manifest.Problems
	bad       map[string]bool // clients whose files can't be accepted
	clients   []state.PullClient
	former    []string // names that its clients had
	inherited bool     // a template or the platform file changes: it may be about everybody
	changes   []accept.Change
}

func (e *Engine) weigh(p Proposal) (weighed, error) {
	layout := manifest.LayoutOf(e.Path)
	m := manifest.Merge{Layout: layout, Defaults: e.Defaults, Branch: p.Branch, At: map[string][]byte{}, Merged: map[string][]byte{}, Differ: map[string]bool{}}
	m.Check = func(files, rules []manifest.File, rank func(string) int) ([]manifest.Effective, manifest.Problems) {
		c := manifest.NewCheck("", layout, files, rules, e.Defaults, rank)
		sideBySide(c.Len(), c.Read)
		return c.End()
	}
	t := weighed{bad: map[string]bool{}}
	at, merged := map[string]accept.File{}, map[string]accept.File{}
	for _, f := range p.At {
		if at[f.Path] = f; f.Err == "" {
			m.At[f.Path] = f.Data
		}
	}
	for _, f := range p.Merged {
		if merged[f.Path] = f; f.Err == "" {
			m.Merged[f.Path] = f.Data
		}
	}
	seen := map[string]bool{}
	for _, side := range [][]accept.File{p.At, p.Merged} {
		for _, f := range side {
			if seen[f.Path] {
				continue
			}
			seen[f.Path] = true
			was, had := at[f.Path]
			now, has := merged[f.Path]
			if had != has || was.Err != now.Err || !bytes.Equal(was.Data, now.Data) {
				m.Differ[f.Path] = true
				t.changes = append(t.changes, accept.Change{Path: f.Path, Old: was.Blob, New: now.Blob})
			}
		}
	}
	sort.Slice(t.changes, func(a, b int) bool { return t.changes[a].Path < t.changes[b].Path })
	var problems manifest.Problems
	if err := e.contain("", func() error { t.wishes, problems = m.Judge(); return nil }); err != nil {
		return t, fmt.Errorf("judge %s: %w", p.Commit, err)
	}
	e.count(func(s *Stats) { s.Parses += len(p.Merged) })
	for _, ch := range t.changes {
		if f := merged[ch.Path]; f.Err != "" {
			t.problems = append(t.problems, manifest.Problem{Path: f.Path, Text: f.Err})
			t.bad[fileName(f.Path)] = true
		}
	}
	for _, q := range problems {
		if !q.Warning {
			t.bad[q.Client] = true
			if layout.Classify(q.Path) == manifest.ClassClient {
				t.bad[fileName(q.Path)] = true // it is there, whatever it says
			}
		}
		if q.Rule == manifest.RuleRemoved {
			continue // the plan says it, with its steps
		}
		t.problems = append(t.problems, q)
	}
	t.wishes = slices.DeleteFunc(t.wishes, func(w manifest.Effective) bool { return t.bad[w.Name] })
	t.touched(layout, merged)
	return t, nil
}

// touched notes which clients the change is about.
func (t *weighed) touched(layout manifest.Layout, merged map[string]accept.File) {
	wishes := map[string]manifest.Effective{}
	for _, w := range t.wishes {
		wishes[w.Name] = w
	}
	said := map[string]bool{}
	for _, ch := range t.changes {
		switch layout.Classify(ch.Path) {
		case manifest.ClassTemplate, manifest.ClassPlatform:
			t.inherited = true
		case manifest.ClassClient:
			name := fileName(ch.Path)
			if said[name] {
				continue
			}
			said[name] = true
			w, wished := wishes[name]
			_, there := merged[ch.Path]
			t.clients = append(t.clients, state.PullClient{Name: name, Hosts: w.Hosts, Removed: !wished && !there})
			t.former = append(t.former, w.Previously...)
		}
	}
	sort.Slice(t.clients, func(a, b int) bool { return t.clients[a].Name < t.clients[b].Name })
}

// wouldWait asks accept what would wait for a person if this were the branch's next head.
// Where the branch is not at the accepted head, nobody knows.
func (e *Engine) wouldWait(p Proposal, t weighed) (accept.Result, error) {
	if _, base := e.resolver(); base != nil && base.Head == p.Base {
		return e.asNext(*base, p, t)
	}
	return accept.Result{}, nil
}

// asNext is what accept would say of this as the next head after that of base.
func (e *Engine) asNext(base state.Baseline, p Proposal, t weighed) (r accept.Result, err error) {
	in := accept.Input{Now: e.Now(), Head: p.Commit, Repository: e.Repository, Branch: e.Branch, Path: e.Path, Program: e.Program, Guard: e.Guard, Defaults: e.Defaults,
		NewID: func(name string) state.ClientID { return state.ClientID(name + "-new") }, Files: map[string]accept.File{}, Descends: true, Changes: t.changes, Baseline: &base, Root: base.Root}
	var paths []string
	read := map[string]bool{}
	for _, ch := range t.changes {
		paths = append(paths, ch.Path)
		read[ch.Path] = true
	}
	for _, path := range accept.Retry(in.Baseline) {
		read[path] = true
	}
	in.Commits = []accept.Commit{{ID: p.Commit, Reviewed: true, Paths: paths}}
	in.Shown = map[string]bool{} // by this very plan
	for _, path := range paths {
		in.Shown[path] = true
	}
	for _, f := range p.Merged {
		if read[f.Path] {
			in.Files[f.Path] = f
		}
	}
	if err := e.Store.View(func(tx store.Tx) error { return e.onRecordNow(tx, &in) }); err != nil {
		return r, fmt.Errorf("judge %s: %w", p.Commit, err)
	}
	have := map[string]bool{}
	for _, h := range in.Holds {
		have[h.Fingerprint] = true
	}
	if err := e.contain("", func() error { r = accept.Head(in); return nil }); err != nil {
		return accept.Result{}, fmt.Errorf("judge %s: %w", p.Commit, err)
	}
	r.Holds = slices.DeleteFunc(r.Holds, func(h state.Hold) bool { return have[h.Fingerprint] })
	return r, nil
}

// bound are the prints of the steps that bear a risk: what a review binds.
func bound(steps []plan.Step, prints []string) []string {
	var out []string
	for i, s := range steps {
		if s.Risk != plan.RiskNone {
			out = append(out, prints[i], plan.ClassPrint(s))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// PlanOf is what would run for a client now, from what is wished and what a look finds.
func (e *Engine) PlanOf(ctx context.Context, id state.ClientID) (report.Plan, error) {
	g, err := e.load(e.Group(id))
	if err != nil {
		return report.Plan{}, fmt.Errorf("plan %s: %w", id, err)
	}
	if err := e.wish(g); err != nil {
		return report.Plan{}, fmt.Errorf("plan %s: %w", id, err)
	}
	p := e.lookedAt(ctx, g, e.calculate(g))
	if g.panicked != nil {
		return report.Plan{}, g.panicked
	}
	p, _ = plan.Gate(p, g.gate(e.Now()))
	return report.Of(p, g.names()), nil
}
