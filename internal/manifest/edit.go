package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Errors of Edit.
var (
	// ErrNotSaid: the file does not say this field; it comes from elsewhere.
	ErrNotSaid = errors.New("the file does not say it")
	// ErrByHand: the value can't be replaced without touching more than itself, or would
	// break a rule.
	ErrByHand = errors.New("it has to be changed by hand")
)

// unsayable is why a value can't be edited that no way of writing brings into the file.
const unsayable = "the file can't say it"

// Change is one value of a manifest that is to be another one.
type Change struct {
	At    string // its path: dns.records[1].content, env.STORE_CURRENCY
	Value string
	None  bool // {none: true} in place of a value: it takes a variable away
	Add   bool // put it there where the file does not say it
}

// Edit changes single values in the text of a manifest. Every other byte stays: comments,
// order, quotes, line ends. A value that is added stands behind the last one beside it.
// The result is decoded again: it says the new values, all else as before, and breaks no
// rule that held before; otherwise nothing is edited. The rules are asked once, after the
// last change. line is where the value stands that the error is about, else the first.
func Edit(file string, data []byte, changes ...Change) (edited []byte, line int, err error) {
	return edit(file, data, func(data []byte) Problems { _, p := DecodeClient(file, data); return p }, changes)
}

// EditTemplate is Edit for a template.
func EditTemplate(file string, data []byte, changes ...Change) (edited []byte, line int, err error) {
	return edit(file, data, func(data []byte) Problems { _, p := DecodeTemplate(file, data); return p }, changes)
}

// edit changes a file whose problems read tells.
func edit(file string, data []byte, read func([]byte) Problems, changes []Change) (edited []byte, line int, err error) {
	had := read(data)
	out, first := data, 0
	for _, c := range changes {
		before := parse(file, out)
		n := valueAt(before.root, c.At)
		if n == nil && !c.Add {
			return nil, 0, fmt.Errorf("%s: %w", c.At, ErrNotSaid)
		}
		var next []byte
		if n != nil {
			line = n.Line
			next, err = replaced(file, out, before.root, n, c, read)
		} else {
			next, line, err = added(file, out, before.root, c, read)
		}
		if err != nil {
			return nil, line, err
		}
		if out = next; first == 0 {
			first = line
		}
	}
	has := read(out)
	if p, broken := newOne(had, has); broken {
		return nil, first, fmt.Errorf("line %d: %w: %s", first, ErrByHand, p.Text)
	}
	return out, first, nil
}

// replaced writes a change over the value that is there.
func replaced(file string, data []byte, root, n *yaml.Node, c Change, read func([]byte) Problems) ([]byte, error) {
	if n.Kind != yaml.ScalarNode {
		return nil, fmt.Errorf("line %d: %w: %s is no single value", n.Line, ErrByHand, c.At)
	}
	from, to, ok := token(data, n)
	if !ok {
		return nil, fmt.Errorf("line %d: %w: %s is written over several lines", n.Line, ErrByHand, c.At)
	}
	why := unsayable
	for _, text := range c.writings(n.Style) {
		out := slices.Concat(data[:from], []byte(text), data[to:])
		after := parse(file, out)
		if m := valueAt(after.root, c.At); !c.says(m) || !sameBut(root, after.root, m) {
			continue
		}
		if why = misread(read(out), c.At); why == "" {
			return out, nil
		}
	}
	return nil, fmt.Errorf("line %d: %w: %s", n.Line, ErrByHand, why)
}

// added writes a change where nothing is said, behind the last value of the innermost map
// that is there.
func added(file string, data []byte, root *yaml.Node, c Change, read func([]byte) Problems) (out []byte, line int, err error) {
	keys := strings.Split(c.At, ".")
	parent, depth := root, 0
	for depth < len(keys)-1 {
		n := valueAt(parent, keys[depth])
		if n == nil {
			break
		}
		parent, depth = n, depth+1
	}
	if strings.Contains(strings.Join(keys[depth:], "."), "[") {
		return nil, 0, fmt.Errorf("%s: %w", c.At, ErrNotSaid) // a list comes from elsewhere as a whole
	}
	if parent == nil || parent.Kind != yaml.MappingNode {
		return nil, 0, fmt.Errorf("%s: %w: it is no map that it would stand in", c.At, ErrByHand)
	}
	why := unsayable
	for _, text := range c.writings(0) {
		text = keys[len(keys)-1] + ": " + text
		for i := len(keys) - 2; i >= depth; i-- {
			text = keys[i] + ": {" + text + "}"
		}
		at, text, ok := room(data, parent, parent == root, text)
		if !ok {
			break
		}
		out := slices.Concat(data[:at], []byte(text), data[at:])
		after := parse(file, out)
		m := valueAt(after.root, c.At)
		if !c.says(m) || !takenOut(after.root, keys, depth) || !sameBut(root, after.root, nil) {
			continue
		}
		if why = misread(read(out), c.At); why == "" {
			return out, m.Line, nil
		}
	}
	return nil, parent.Line, fmt.Errorf("line %d: %w: %s", parent.Line, ErrByHand, why)
}

// room is where in a map one key more is written, and how: behind the last value that
// stands on one line, else before the first key. At the top it is the end of the file.
func room(data []byte, n *yaml.Node, top bool, text string) (at int, written string, ok bool) {
	if n.Style&yaml.FlowStyle != 0 {
		start, ok := offset(data, n)
		if !ok || start >= len(data) || data[start] != '{' {
			return 0, "", false
		}
		if len(n.Content) == 0 {
			return start + 1, text, true
		}
		if last := n.Content[len(n.Content)-1]; last.Kind == yaml.ScalarNode {
			if _, to, ok := token(data, last); ok {
				return to, ", " + text, true
			}
		}
		return start + 1, text + ", ", true
	}
	if len(n.Content) == 0 {
		return 0, "", false
	}
	ends := "\n"
	if bytes.Contains(data, []byte("\r\n")) {
		ends = "\r\n"
	}
	indent := strings.Repeat(" ", n.Content[0].Column-1)
	below := func(from int) (int, string, bool) {
		if end := bytes.IndexByte(data[from:], '\n'); end >= 0 {
			return from + end + 1, indent + text + ends, true
		}
		return len(data), ends + indent + text, true
	}
	if top && bytes.HasSuffix(data, []byte("\n")) {
		return len(data), indent + text + ends, true
	}
	if top {
		return len(data), ends + indent + text, true
	}
	for i := len(n.Content) - 1; i > 0; i -= 2 {
		if n.Content[i].Kind != yaml.ScalarNode {
			continue
		}
		if _, to, ok := token(data, n.Content[i]); ok {
			return below(to)
		}
	}
	at, ok = offset(data, n.Content[0])
	return at, text + ends + indent, ok
}

// takenOut takes what was added out of a tree again. It says whether nothing else came
// with it.
func takenOut(root *yaml.Node, keys []string, depth int) bool {
	parent := root
	if depth > 0 {
		parent = valueAt(root, strings.Join(keys[:depth], "."))
	}
	for i := depth; i < len(keys)-1; i++ {
		if n := valueAt(root, strings.Join(keys[:i+1], ".")); n == nil || n.Kind != yaml.MappingNode || len(n.Content) != 2 {
			return false
		}
	}
	for i := 0; i+1 < len(parent.Content); i += 2 {
		if parent.Content[i].Value == keys[depth] {
			parent.Content = slices.Delete(parent.Content, i, i+2)
			return true
		}
	}
	return false
}

// writings are the ways in which a change may be written in place of a value of a style,
// the most alike first.
func (c Change) writings(style yaml.Style) []string {
	if c.None {
		return []string{"{none: true}"}
	}
	return writings(style, c.Value)
}

// says that a node is what the change wants.
func (c Change) says(n *yaml.Node) bool {
	switch {
	case n == nil:
		return false
	case c.None:
		return n.Kind == yaml.MappingNode && len(n.Content) == 2 && n.Content[0].Value == "none" && n.Content[1].Value == "true"
	}
	return n.Kind == yaml.ScalarNode && n.Value == c.Value && n.Tag != "!!null"
}

// misread says why a file's value at a path is not read as its type, "" when it is: a text
// that looks like a number has to be quoted.
func misread(problems Problems, at string) string {
	for _, p := range problems {
		if p.Rule == "type" && strings.HasPrefix(p.Text, at+" ") {
			return p.Text
		}
	}
	return ""
}

// newOne is the first problem that was not there before.
func newOne(had, has Problems) (Problem, bool) {
	known := map[string]int{}
	for _, p := range had {
		known[p.Rule+"\x00"+p.Text]++
	}
	for _, p := range has {
		if k := p.Rule + "\x00" + p.Text; known[k] > 0 {
			known[k]--
		} else {
			return p, true
		}
	}
	return Problem{}, false
}

// SaidAt is the line at which a file says what is at a path, 0 where it doesn't.
func SaidAt(file string, data []byte, at string) int {
	if n := valueAt(parse(file, data).root, at); n != nil {
		return n.Line
	}
	return 0
}

// valueAt is the value at a path, nil where nothing is said.
func valueAt(n *yaml.Node, at string) *yaml.Node {
	for _, part := range strings.Split(at, ".") {
		key, index, list := strings.Cut(strings.TrimSuffix(part, "]"), "[")
		if n = said(n, key); n == nil || !list {
			continue
		}
		i, err := strconv.Atoi(index)
		if err != nil || n.Kind != yaml.SequenceNode || i < 0 || i >= len(n.Content) {
			return nil
		}
		n = n.Content[i]
	}
	return n
}

// offset is where a node begins in a file.
func offset(data []byte, n *yaml.Node) (at int, ok bool) {
	for range n.Line - 1 {
		end := bytes.IndexByte(data[at:], '\n')
		if end < 0 {
			return 0, false
		}
		at += end + 1
	}
	column := 0
	for i := range string(data[at:]) {
		if column++; column == n.Column {
			return at + i, true
		}
		if data[at+i] == '\n' {
			break
		}
	}
	return 0, false
}

// token are the bytes of a scalar that is written on one line.
func token(data []byte, n *yaml.Node) (from, to int, ok bool) {
	if from, ok = offset(data, n); !ok {
		return 0, 0, false
	}
	line := data[from:]
	if end := bytes.IndexByte(line, '\n'); end >= 0 {
		line = line[:end]
	}
	rest := string(line)
	switch {
	case n.Style&yaml.DoubleQuotedStyle != 0:
		to = quoted(rest, '"')
	case n.Style&yaml.SingleQuotedStyle != 0:
		to = quoted(rest, '\'')
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0 && n.Value != "" && strings.HasPrefix(rest, n.Value):
		to = len(n.Value)
	}
	return from, from + to, to > 0
}

// quoted is the length of a quoted text at the beginning of a line, 0 when it does not
// end there.
func quoted(s string, mark byte) int {
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && mark == '"':
			i++
		case s[i] == mark && mark == '\'' && i+1 < len(s) && s[i+1] == mark:
			i++
		case s[i] == mark:
			return i + 1
		}
	}
	return 0
}

// writings are the ways in which a value may be written in place of one of a style, the
// most alike first.
func writings(style yaml.Style, value string) []string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return nil // unreachable: a text
	}
	double := strings.TrimSuffix(b.String(), "\n")
	switch {
	case style&yaml.DoubleQuotedStyle != 0:
		return []string{double}
	case style&yaml.SingleQuotedStyle != 0:
		return []string{"'" + strings.ReplaceAll(value, "'", "''") + "'", double}
	}
	return []string{value, double}
}

// sameBut says that two trees say the same, but for one value of the second.
func sameBut(a, b, changed *yaml.Node) bool {
	if b == changed {
		return a.Kind == yaml.ScalarNode
	}
	if b == nil || a.Kind != b.Kind || a.Tag != b.Tag || a.Value != b.Value || len(a.Content) != len(b.Content) {
		return false
	}
	for i := range a.Content {
		if !sameBut(a.Content[i], b.Content[i], changed) {
			return false
		}
	}
	return true
}

// Delicate says that a value is better not shown: it looks like a secret, or stands
// under a name that secrets have.
func Delicate(name, value string) bool {
	if looksSecret(value) || random(value) {
		return true
	}
	return len(value) >= shortestNamed && secretName.MatchString(name) && !publicName.MatchString(name) && !harmlessShape.MatchString(value)
}
