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

// Edit replaces the one value at a path (dns.records[1].content, env.STORE_CURRENCY) in
// the text of a manifest. Every other byte stays: comments, order, quotes, line ends. The
// result is decoded again: it says the value there, all else as before, and breaks no
// rule that held before; otherwise nothing is edited. line is where the value stands.
func Edit(file string, data []byte, at, value string) (edited []byte, line int, err error) {
	before := parse(file, data)
	n := valueAt(before.root, at)
	if n == nil {
		return nil, 0, fmt.Errorf("%s: %w", at, ErrNotSaid)
	}
	if n.Kind != yaml.ScalarNode {
		return nil, n.Line, fmt.Errorf("%s, line %d: %w: it is no single value", at, n.Line, ErrByHand)
	}
	from, to, ok := token(data, n)
	if !ok {
		return nil, n.Line, fmt.Errorf("%s, line %d: %w: it is written over several lines", at, n.Line, ErrByHand)
	}
	_, had := DecodeClient(file, data)
	for _, text := range writings(n.Style, value) {
		out := slices.Concat(data[:from], []byte(text), data[to:])
		after := parse(file, out)
		m := valueAt(after.root, at)
		if m == nil || m.Value != value || !sameBut(before.root, after.root, m) {
			continue
		}
		if _, has := DecodeClient(file, out); len(has) > len(had) {
			continue
		}
		return out, n.Line, nil
	}
	return nil, n.Line, fmt.Errorf("%s, line %d: %w: the value would break a rule of manifests", at, n.Line, ErrByHand)
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

// token are the bytes of a scalar that is written on one line.
func token(data []byte, n *yaml.Node) (from, to int, ok bool) {
	for range n.Line - 1 {
		end := bytes.IndexByte(data[from:], '\n')
		if end < 0 {
			return 0, 0, false
		}
		from += end + 1
	}
	line := data[from:]
	if end := bytes.IndexByte(line, '\n'); end >= 0 {
		line = line[:end]
	}
	runes := 0
	skip := -1
	for i := range string(line) {
		if runes++; runes == n.Column {
			skip = i
			break
		}
	}
	if skip < 0 {
		return 0, 0, false
	}
	from += skip
	rest := string(line[skip:])
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

// sameBut says that two trees say the same, but for one value of the second, which must
// not be left out.
func sameBut(a, b, changed *yaml.Node) bool {
	if b == changed {
		return a.Kind == yaml.ScalarNode && b.Kind == yaml.ScalarNode && b.Tag != "!!null"
	}
	if a.Kind != b.Kind || a.Tag != b.Tag || a.Value != b.Value || len(a.Content) != len(b.Content) {
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
