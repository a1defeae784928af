package main

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/compassdigital/reconciler/internal/manifest"
)

const ruleRemoved = "removed"

// change is a tree as it would be after its merge into a revision: three sides of
// every file decide, as in a merge by Git. Where both sides changed a file, the
// tree's is taken.
type change struct {
	t      *tree
	rev    string
	merged map[string][]byte // path → content
	at     map[string][]byte // the same of REV
	differ map[string]bool   // paths whose merged content isn't REV's
}

// judgeAgainst judges the tree as a change of rev.
func (t *tree) judgeAgainst(ctx context.Context, rev string) (problems manifest.Problems, notes []string, err error) {
	defer func() {
		// The library panics on some damaged repositories.
		if p := recover(); p != nil {
			err = fmt.Errorf("read the repository: it is damaged")
		}
	}()
	h, err := openHistory(t.root, t.layout)
	if err != nil {
		return nil, nil, err
	}
	tip, base, note, err := h.commits(ctx, rev)
	if err != nil {
		return nil, nil, err
	}
	if note != "" {
		notes = append(notes, note)
	}
	atTip, err := h.entries(ctx, tip)
	if err != nil {
		return nil, nil, err
	}
	atBase := atTip
	if base.Hash != tip.Hash {
		if atBase, err = h.entries(ctx, base); err != nil {
			return nil, nil, err
		}
	}
	c := &change{t: t, rev: rev, merged: map[string][]byte{}, at: map[string][]byte{}, differ: map[string]bool{}}
	if err := c.merge(h, atBase, atTip); err != nil {
		return nil, nil, err
	}
	return c.judge(), notes, nil
}

// merge takes of every path the side that changed it.
func (c *change) merge(h *history, base, tip map[string]plumbing.Hash) error {
	work := map[string][]byte{}
	for _, f := range c.t.files {
		work[f.Path] = f.Data
	}
	// A file that is there and can't be read is not a removal.
	for _, p := range c.t.problems {
		if _, ok := work[p.Path]; !ok {
			delete(base, p.Path)
			delete(tip, p.Path)
		}
	}
	for p, hash := range tip {
		data, ok := work[p]
		if !ok || hashOf(data, hash) != hash {
			var err error
			if data, err = h.blob(hash); err != nil {
				return err
			}
		}
		c.at[p] = data
	}
	paths := map[string]bool{}
	for p := range work {
		paths[p] = true
	}
	for p := range tip {
		paths[p] = true
	}
	for p := range paths {
		mine, here := work[p]
		was, had := base[p]
		untouched := here == had && (!here || hashOf(mine, was) == was)
		theirs, there := c.at[p]
		switch {
		case untouched && there:
			c.merged[p] = theirs
		case untouched:
			// REV removed it, or nobody has it
		case here:
			c.merged[p] = mine
		}
		result, is := c.merged[p]
		c.differ[p] = is != there || is && hashOf(result, tip[p]) != tip[p]
	}
	return nil
}

// list sorts a side's files.
func list(side map[string][]byte) []manifest.File {
	out := make([]manifest.File, 0, len(side))
	for p, data := range side {
		out = append(out, manifest.File{Path: p, Data: data})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Path < out[j].Path })
	return out
}

// rules are a side's platform file and templates.
func (c *change) rules(side map[string][]byte) []manifest.File {
	out := []manifest.File{}
	for _, f := range list(side) {
		if class := c.t.layout.Classify(f.Path); class == manifest.ClassPlatform || class == manifest.ClassTemplate {
			out = append(out, f)
		}
	}
	return out
}

// names are a side's clients: name to path.
func (c *change) names(side map[string][]byte) map[string]string {
	out := map[string]string{}
	for p := range side {
		if c.t.layout.Classify(p) == manifest.ClassClient {
			out[nameOf(p)] = p
		}
	}
	return out
}

func (c *change) judge() manifest.Problems {
	l, d := c.t.layout, c.t.o.defaults()
	before, after := c.names(c.at), c.names(c.merged)
	// Who was there first keeps a name; among those, what is asked about comes after the others.
	accepted := map[string][]byte{}
	for name, p := range before {
		accepted[name] = c.at[p]
		if now := after[name]; now != "" && !c.differ[now] {
			accepted[name] = c.merged[now] // line ends may differ
		}
	}
	first := manifest.Ranks(accepted, list(c.merged), l)
	rank := func(p string) int { return 2*first(p) + c.t.rank(p) }
	clients, problems := checkTree(l, list(c.merged), nil, d, rank)
	if changed := c.changedRules(); len(changed) > 0 {
		_, strict := checkTree(l, list(c.merged), c.rules(c.at), d, rank)
		problems = c.both(problems, strict)
		for _, p := range changed {
			problems = append(problems, manifest.Problem{Path: p, Rule: "base-rules", Warning: true,
				Text: "this changes the rules: its version at " + c.rev + " decides here too, and this one counts from the merge"})
		}
	}
	problems = c.soften(problems)
	return append(problems, c.gone(clients, before, after)...)
}

// changedRules are the rule files at REV that the change touches.
func (c *change) changedRules() []string {
	var out []string
	for _, f := range c.rules(c.at) {
		if c.differ[f.Path] {
			if _, still := c.merged[f.Path]; still {
				out = append(out, f.Path)
			}
		}
	}
	if len(out) == 0 && len(c.rules(c.at)) != len(c.rules(c.merged)) {
		for _, f := range c.rules(c.merged) {
			if c.differ[f.Path] && c.t.layout.Classify(f.Path) == manifest.ClassPlatform {
				out = append(out, f.Path) // a first platform file
			}
		}
	}
	return out
}

// both joins the problems by the tree's own rules with those that changed files have
// by the rules at REV.
func (c *change) both(own, strict manifest.Problems) manifest.Problems {
	have := map[manifest.Problem]bool{}
	for _, p := range own {
		have[p] = true
	}
	for _, p := range strict {
		if !have[p] && c.differ[p.Path] {
			p.Text += " (by the rules at " + c.rev + ")"
			own = append(own, p)
		}
	}
	return own
}

// soften makes warnings of what was wrong at REV already in files that the change
// doesn't touch, and leaves out what isn't in the work tree at all.
func (c *change) soften(problems manifest.Problems) manifest.Problems {
	if !slices.ContainsFunc(problems, func(p manifest.Problem) bool { return !p.Warning && !c.differ[p.Path] }) {
		return problems
	}
	_, old := checkTree(c.t.layout, list(c.at), nil, c.t.o.defaults(), func(string) int { return 0 })
	was := map[manifest.Problem]bool{}
	for _, p := range old {
		was[p] = true
	}
	here := map[string]bool{}
	for _, f := range c.t.files {
		here[f.Path] = true
	}
	out := problems[:0]
	for _, p := range problems {
		if !c.differ[p.Path] && was[p] {
			if !here[p.Path] {
				continue
			}
			p.Warning = true
			p.Text += " (so at " + c.rev + " already)"
		}
		out = append(out, p)
	}
	return out
}

// gone tells of clients that the change removes, and of renames that don't say so.
func (c *change) gone(clients []manifest.Effective, before, after map[string]string) manifest.Problems {
	var problems manifest.Problems
	at := func(client, key, rule, text, hint string) manifest.Problem {
		p := manifest.Problem{Path: after[client], Client: client, Rule: rule, Text: text, Hint: hint}
		p.Line, p.Column, p.Snippet = place(c.merged[p.Path], key)
		return p
	}
	removed := map[string]bool{}
	for name := range before {
		if _, still := after[name]; !still {
			removed[name] = true
		}
	}
	if len(after) == 0 && len(before) > 0 {
		problems = append(problems, manifest.Problem{Path: c.t.layout.Clients, Rule: "emptied",
			Text: fmt.Sprintf("the tree has no client any more, and %s has %d", c.rev, len(before)), Hint: "an empty tree is never a wish; remove clients in smaller steps"})
	}
	old := map[string]manifest.Effective{}
	if len(removed) > 0 {
		was, _ := checkTree(c.t.layout, list(c.at), nil, c.t.o.defaults(), func(string) int { return 0 })
		for _, e := range was {
			old[e.Name] = e
		}
	}
	renamed := map[string]bool{}
	hosts := map[string]string{} // host → removed client
	for name := range removed {
		for _, h := range old[name].Hosts {
			hosts[h] = name
		}
	}
	for _, e := range clients {
		_, known := before[e.Name]
		for _, p := range e.Previously {
			switch {
			case removed[p] && known:
				problems = append(problems, at(e.Name, "previously", "previously", fmt.Sprintf("%s is removed here, and %s is a client already: it can't become %s", p, e.Name, p), "take "+p+" out of previously"))
			case removed[p]:
				renamed[p] = true
			case before[p] == "" && !slices.Contains(c.said(e.Name), p):
				w := at(e.Name, "previously", "previously", "nobody at "+c.rev+" is called "+p, "a rename removes the old file and adds the new one in the same change")
				w.Warning = true
				problems = append(problems, w)
			}
		}
	}
	for _, e := range clients {
		if _, known := before[e.Name]; known || e.Database.Reuse == "fresh" {
			continue
		}
		for _, h := range e.Hosts {
			if was := hosts[h]; was != "" && !slices.Contains(e.Previously, was) {
				problems = append(problems, at(e.Name, "domain", "rename", fmt.Sprintf("%s was the domain of %s, which is removed here", h, was),
					fmt.Sprintf("say previously: [%s] if it is the same client under another name, or database: {reuse: fresh} if not", was)))
				break
			}
		}
	}
	for name := range removed {
		if !renamed[name] {
			problems = append(problems, removal(name, before[name], old[name]))
		}
	}
	sort.SliceStable(problems, func(i, j int) bool { return problems[i].Path < problems[j].Path })
	return problems
}

// said are the former names that a client's manifest at REV has.
func (c *change) said(name string) []string {
	p := c.names(c.at)[name]
	m, _ := manifest.DecodeClient(p, c.at[p])
	return m.Previously
}

// removal says what the removal of a client means.
func removal(name, path string, was manifest.Effective) manifest.Problem {
	text := name + " goes offline when this is merged."
	if kept := was.Database.Retain.String(); kept != "" && was.Database.Provider != "none" {
		if was.Database.Retain.Forever {
			text += " Its database stays."
		} else {
			text += " Its database stays for " + kept + ", then it is erased; retain: forever keeps it."
		}
	}
	return manifest.Problem{Path: path, Client: name, Rule: ruleRemoved, Warning: true, Text: strings.TrimSpace(text), Hint: "reverting brings it back"}
}
