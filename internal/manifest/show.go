package manifest

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// maxSnippet is how much of a source line is shown, in characters.
const maxSnippet = 160

// maxSearched bounds the lines, in bytes, that are searched for secrets to be shown.
const maxSearched = 2000

// at adds a problem at a place, without its line.
func (d *document) at(line, column int, rule, text, hint string) {
	if line > len(d.lines) && len(d.lines) > 0 { // what is missing at the end
		line = len(d.lines)
		column = utf8.RuneCountInString(d.lines[line-1]) + 1
	}
	if len(d.problems) < maxProblems {
		d.problems = append(d.problems, Problem{Path: d.path, Line: line, Column: column, Rule: rule, Text: text, Hint: hint, Client: d.client})
	}
}

// node adds a problem at a node, with its line if that can't show a secret.
func (d *document) node(n *yaml.Node, rule, text, hint string) {
	line, column := 1, 1
	if n != nil && n.Line > 0 {
		line, column = n.Line, n.Column
	}
	before := len(d.problems)
	d.at(line, column, rule, text, hint)
	if len(d.problems) > before {
		p := &d.problems[before]
		if p.Snippet = d.snippet(p.Line, p.Column); p.Snippet != "" && n != nil && p.Snippet == d.lines[p.Line-1] {
			p.Repair = repaired(p.Snippet, p.Column, n.Value, hint)
		}
	}
}

// snippet is the source line, "" where it could show a secret or the place is far
// out on a long line.
func (d *document) snippet(line, column int) string {
	d.conceal()
	if line < 1 || line > len(d.lines) || d.secret[line] {
		return ""
	}
	text := d.lines[line-1]
	if len(text) > maxSearched || secretName.MatchString(text) || looksSecret(text) {
		return ""
	}
	return cut(text, column)
}

// cut shortens a line that is too long to be shown.
func cut(text string, column int) string {
	r := []rune(text)
	switch {
	case len(r) <= maxSnippet:
		return text
	case column > maxSnippet-10:
		return ""
	}
	return string(r[:maxSnippet]) + "…"
}

// conceal notes the lines that hold what is never repeated: everything below env,
// under whatever name, the values of unknown keys that aren't plain words, and what
// is named or looks like a secret, to its last line. Only a file with a problem needs it.
func (d *document) conceal() {
	if d.spans != nil || d.tree == nil {
		return
	}
	d.secret, d.spans = map[int]bool{}, map[*yaml.Node][2]int{}
	var order []*yaml.Node
	type span struct {
		n    *yaml.Node
		i, j int
	}
	var spans []span
	var visit func(n *yaml.Node, depth int)
	visit = func(n *yaml.Node, depth int) {
		if depth > maxDepth+1 { // refused anyway
			return
		}
		i := len(order)
		order = append(order, n)
		for k, c := range n.Content {
			at := len(order)
			visit(c, depth+1)
			if at < len(order) && n.Kind == yaml.MappingNode && k%2 == 1 && private(n.Content[k-1].Value, c) {
				spans = append(spans, span{nil, at, len(order)})
			}
		}
		if n.Kind == yaml.ScalarNode && (looksSecret(n.Value) || random(n.Value)) {
			spans = append(spans, span{n, i, len(order)})
		}
	}
	visit(d.tree, 1)
	for _, s := range spans {
		from, to := order[s.i].Line, len(d.lines)
		if s.j < len(order) {
			to = order[s.j].Line
			if first := firstColumn(d.lines, to); order[s.j].Column <= first {
				to--
			}
		}
		to = max(from, to)
		if s.n != nil {
			d.spans[s.n] = [2]int{from, to}
		}
		for l := from; l <= to; l++ {
			d.secret[l] = true
		}
	}
}

// firstColumn is where a line's text begins, from 1.
func firstColumn(lines []string, line int) int {
	if line < 1 || line > len(lines) {
		return 0
	}
	return len(lines[line-1]) - len(strings.TrimLeft(lines[line-1], " ")) + 1
}

// private says that a key's value is never shown.
func private(k string, value *yaml.Node) bool {
	if environmentName.MatchString(k) || secretName.MatchString(k) || k == "external" {
		return true
	}
	return len(value.Content) > 0 && !knownKeys[k]
}

// environmentName matches env, misspelled or as it was called elsewhere.
var environmentName = regexp.MustCompile(`(?i)env|variables|secrets`)

// knownKeys are all keys of the format, worked out once and never changed.
var knownKeys = allKeys()

func allKeys() map[string]bool {
	out := map[string]bool{}
	for _, s := range specs {
		for _, k := range s.keys {
			out[k] = true
		}
	}
	return out
}

// syntaxLine finds the line in the library's message: it gives it nowhere else.
var syntaxLine = regexp.MustCompile(`line ([0-9]+)`)

// grammar matches what the library's parser, not its scanner, says.
var grammar = regexp.MustCompile(`did not find expected (',' or|key|'-' indicator|node content|<)`)

// notYAML is what is said where no cause is found.
const notYAML = "this is not valid YAML"

// syntax tells of text that isn't YAML, in words of ours: the library's may quote.
func (d *document) syntax(err error) {
	line := 1
	if m := syntaxLine.FindStringSubmatch(err.Error()); m != nil {
		line, _ = strconv.Atoi(m[1])
		if grammar.MatchString(err.Error()) {
			line++ // counted from 0, other than the scanner's
		}
	}
	line = max(1, min(line, len(d.lines)))
	for line > 1 && strings.TrimSpace(d.lines[line-1]) == "" {
		line--
	}
	p := slip{line: line, column: firstColumn(d.lines, line), rule: "syntax", text: notYAML, hint: "check indentation, colons and quotes on this line and the one before"}
	if found := findSlip(d.lines); found != nil {
		p = *found
	}
	d.at(p.line, p.column, p.rule, p.text, p.hint)
	if !d.unsafe(p.line) {
		last := &d.problems[len(d.problems)-1]
		if last.Snippet = cut(d.lines[p.line-1], p.column); last.Snippet == d.lines[p.line-1] {
			last.Repair = p.repair
		}
	}
}

var (
	environmentLine = regexp.MustCompile(`(?i)(env[a-z_]*|variables|secrets|external)["']?\s*:`)
	topLevelLine    = regexp.MustCompile(`^([A-Za-z]+):`)
)

// unsafe says that a line of text that has no structure may hold a secret: it names
// one, looks like one, or may still be below env.
func (d *document) unsafe(line int) bool {
	text := d.lines[line-1]
	if secretName.MatchString(text) || looksSecret(text) || environmentLine.MatchString(text) {
		return true
	}
	if m := topLevelLine.FindStringSubmatch(text); m != nil && knownKeys[m[1]] {
		return false
	}
	for _, t := range d.lines[:line-1] {
		if environmentLine.MatchString(t) {
			return true
		}
	}
	return false
}

// strays refuses secrets that no value holds: in comments, keys, broken text. Where
// it was told of a line already, it isn't repeated.
func (d *document) strays() {
	for i, text := range d.lines {
		if d.told[i+1] || !marked(text) {
			continue
		}
		at := secretIn(text)
		if at < 0 {
			continue
		}
		d.at(i+1, utf8.RuneCountInString(text[:at])+1, "pasted-secret", "this line holds something that looks like a secret, and a repository is no place for one", secretHint)
	}
}
