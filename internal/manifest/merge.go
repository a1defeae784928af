package manifest

import (
	"fmt"
	"slices"
	"sort"
	"strings"
)

// RuleRemoved is the rule of the warning that says what the removal of a client means.
const RuleRemoved = "removed"

// Merge is a tree as a merge would make it, beside the branch that it is merged into: the
// same judgement for whoever checks a work tree and for whoever plans a pull request.
type Merge struct {
	Program    string // version of this program
	Layout     Layout
	Defaults   Defaults
	Branch     string            // what people call the branch
	At, Merged map[string][]byte // path → content: of the branch, and after the merge
	Differ     map[string]bool   // paths whose merged content isn't the branch's
	// Here says that a file is in the tree that is asked about; nil: every one is.
	Here func(path string) bool
	// Rank says who comes after others that want the same name; nil: nobody does.
	Rank func(path string) int
	// Check is CheckTreeOver, or the same with several processors; nil: CheckTreeOver.
	Check func(files, rules []File, rank func(path string) int) ([]Effective, Problems)
}

// rules are a side's platform file and templates.
func (c *Merge) rules(side map[string][]byte) []File {
	out := []File{}
	for _, f := range files(side) {
		if class := c.Layout.Classify(f.Path); class == ClassPlatform || class == ClassTemplate {
			out = append(out, f)
		}
	}
	return out
}

// names are a side's clients: name to path.
func (c *Merge) names(side map[string][]byte) map[string]string {
	out := map[string]string{}
	for p := range side {
		if c.Layout.Classify(p) == ClassClient {
			out[clientOf(p)] = p
		}
	}
	return out
}

// Judge returns the clients as they would be and what is wrong with the change: by the
// tree's own rules and, for what the change touches, by the branch's, so that nobody loosens
// the rules that he is judged by. What was wrong before, in files that the change leaves
// alone, is a warning.
func (c *Merge) Judge() ([]Effective, Problems) {
	before, after := c.names(c.At), c.names(c.Merged)
	// Who was there first keeps a name; among those, what is asked about comes after the others.
	accepted := map[string][]byte{}
	for name, p := range before {
		accepted[name] = c.At[p]
		if now := after[name]; now != "" && !c.Differ[now] {
			accepted[name] = c.Merged[now] // line ends may differ
		}
	}
	first := Ranks(accepted, files(c.Merged), c.Layout)
	rank := func(p string) int {
		if c.Rank == nil {
			return first(p)
		}
		return 2*first(p) + c.Rank(p)
	}
	clients, problems := c.check(files(c.Merged), nil, rank)
	if changed := c.changedRules(); len(changed) > 0 {
		_, strict := c.check(files(c.Merged), c.rules(c.At), rank)
		problems = c.both(problems, strict)
		for _, p := range changed {
			problems = append(problems, Problem{Path: p, Rule: "base-rules", Warning: true,
				Text: "this changes the rules: its version at " + c.Branch + " decides here too, and this one counts from the merge"})
		}
	}
	problems = c.soften(problems)
	return clients, append(problems, c.gone(clients, before, after)...)
}

func (c *Merge) check(files, rules []File, rank func(string) int) ([]Effective, Problems) {
	if c.Check != nil {
		return c.Check(files, rules, rank)
	}
	return CheckTreeOver(c.Program, c.Layout, files, rules, c.Defaults, rank)
}

// changedRules are the rule files at REV that the change touches.
func (c *Merge) changedRules() []string {
	var out []string
	for _, f := range c.rules(c.At) {
		if c.Differ[f.Path] {
			if _, still := c.Merged[f.Path]; still {
				out = append(out, f.Path)
			}
		}
	}
	if len(out) == 0 && len(c.rules(c.At)) != len(c.rules(c.Merged)) {
		for _, f := range c.rules(c.Merged) {
			if c.Differ[f.Path] && c.Layout.Classify(f.Path) == ClassPlatform {
				out = append(out, f.Path) // a first platform file
			}
		}
	}
	return out
}

// both joins the problems by the tree's own rules with those that changed files have
// by the rules at REV.
func (c *Merge) both(own, strict Problems) Problems {
	have := map[Problem]bool{}
	for _, p := range own {
		have[p] = true
	}
	for _, p := range strict {
		if !have[p] && c.Differ[p.Path] {
			p.Text += " (by the rules at " + c.Branch + ")"
			own = append(own, p)
		}
	}
	return own
}

// soften makes warnings of what was wrong at REV already in files that the change
// doesn't touch, and leaves out what isn't in the work tree at all.
func (c *Merge) soften(problems Problems) Problems {
	if !slices.ContainsFunc(problems, func(p Problem) bool { return !p.Warning && !c.Differ[p.Path] }) {
		return problems
	}
	_, old := c.check(files(c.At), nil, func(string) int { return 0 })
	was := map[Problem]bool{}
	for _, p := range old {
		was[p] = true
	}
	out := problems[:0]
	for _, p := range problems {
		if !c.Differ[p.Path] && was[p] {
			if c.Here != nil && !c.Here(p.Path) {
				continue
			}
			p.Warning = true
			p.Text += " (so at " + c.Branch + " already)"
		}
		out = append(out, p)
	}
	return out
}

// gone tells of clients that the change removes, and of renames that don't say so.
func (c *Merge) gone(clients []Effective, before, after map[string]string) Problems {
	var problems Problems
	at := func(client, key, rule, text, hint string) Problem {
		_, doc := decodeClient(after[client], c.Merged[after[client]])
		doc.problems = nil
		doc.node(find(doc.root, key), rule, text, hint)
		p := doc.problems[0]
		p.Client = client
		return p
	}
	removed := map[string]bool{}
	for name := range before {
		if _, still := after[name]; !still {
			removed[name] = true
		}
	}
	if len(after) == 0 && len(before) > 0 {
		problems = append(problems, Problem{Path: c.Layout.Clients, Rule: "emptied",
			Text: fmt.Sprintf("the tree has no client any more, and %s has %d", c.Branch, len(before)), Hint: "an empty tree is never a wish; remove clients in smaller steps"})
	}
	old := map[string]Effective{}
	if len(removed) > 0 {
		was, _ := c.check(files(c.At), nil, func(string) int { return 0 })
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
				w := at(e.Name, "previously", "previously", "nobody at "+c.Branch+" is called "+p, "a rename removes the old file and adds the new one in the same change")
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
func (c *Merge) said(name string) []string {
	p := c.names(c.At)[name]
	m, _ := DecodeClient(p, c.At[p])
	return m.Previously
}

// removal says what the removal of a client means.
func removal(name, path string, was Effective) Problem {
	text := name + " goes offline when this is merged."
	if kept := was.Database.Retain.String(); kept != "" && was.Database.Provider != "none" {
		if was.Database.Retain.Forever {
			text += " Its database stays."
		} else {
			text += " Its database stays for " + kept + ", then it is erased; retain: forever keeps it."
		}
	}
	return Problem{Path: path, Client: name, Rule: RuleRemoved, Warning: true, Text: strings.TrimSpace(text), Hint: "reverting brings it back"}
}

// files sorts a side's files.
func files(side map[string][]byte) []File {
	out := make([]File, 0, len(side))
	for p, data := range side {
		out = append(out, File{Path: p, Data: data})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Path < out[j].Path })
	return out
}
