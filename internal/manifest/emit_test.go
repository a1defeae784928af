package manifest

import (
	"encoding/json"
	"strings"

	"gopkg.in/yaml.v3"
)

// style is how a tree is written: any style says the same.
type style struct {
	shuffle func(n int) []int // an order of n pairs
	flow    func() bool       // the next mapping or list on one line
	quote   func() bool       // the next text in quotes
	comment func() bool       // a comment before the next key
	crlf    bool
}

// write renders a mapping as a document.
func (s style) write(n *yaml.Node) []byte {
	var b strings.Builder
	s.block(&b, n, "")
	out := b.String()
	if s.crlf {
		out = strings.ReplaceAll(out, "\n", "\r\n")
	}
	return []byte(out)
}

func (s style) block(b *strings.Builder, n *yaml.Node, indent string) {
	if n.Kind == yaml.SequenceNode {
		for _, c := range n.Content {
			b.WriteString(indent + "- " + s.inline(c) + "\n")
		}
		return
	}
	for _, i := range s.shuffle(len(n.Content) / 2) {
		k, v := n.Content[2*i], n.Content[2*i+1]
		if s.comment() {
			b.WriteString(indent + "# a comment: with a colon\n\n")
		}
		b.WriteString(indent + s.inline(k) + ":")
		if v.Kind == yaml.ScalarNode || len(v.Content) == 0 || s.flow() {
			b.WriteString(" " + s.inline(v) + "\n")
			continue
		}
		b.WriteString("\n")
		s.block(b, v, indent+"  ")
	}
}

// inline renders a node on one line.
func (s style) inline(n *yaml.Node) string {
	var parts []string
	switch n.Kind {
	case yaml.MappingNode:
		for _, i := range s.shuffle(len(n.Content) / 2) {
			parts = append(parts, s.inline(n.Content[2*i])+": "+s.inline(n.Content[2*i+1]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case yaml.SequenceNode:
		for _, c := range n.Content {
			parts = append(parts, s.inline(c))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	if n.Tag == "!!null" {
		return "null"
	}
	if n.Tag != "!!str" || (plainShape(n.Value) && !s.quote()) {
		return n.Value
	}
	quoted, _ := json.Marshal(n.Value) // JSON's texts are YAML's
	return string(quoted)
}

// plainShape says that a text needs no quotes and is read as a text without them.
func plainShape(v string) bool {
	if v == "" || strings.Trim(v, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") != "" || v[0] == '-' || v[0] == '.' {
		return false
	}
	var n yaml.Node
	return yaml.Unmarshal([]byte("a: "+v), &n) == nil && n.Content[0].Content[1].Tag == "!!str"
}

// straight is the plainest style: in order, a key a line, everything quoted.
func straight() style {
	no := func() bool { return false }
	return style{shuffle: inOrder, flow: func() bool { return true }, quote: func() bool { return true }, comment: no}
}

func inOrder(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}
