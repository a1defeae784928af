package manifest

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// Limits of a file. What is beyond is refused, whatever it says.
const (
	MaxFile   = 64 << 10 // bytes
	maxDepth  = 8
	maxNodes  = 2000
	maxKeys   = 256
	maxScalar = 8 << 10 // bytes
	// maxProblems is how many problems of one file are told.
	maxProblems = 50
)

// document is one file on its way to a value.
type document struct {
	path     string
	lines    []string
	secret   map[int]bool          // lines that hold something that is never shown
	spans    map[*yaml.Node][2]int // first and last line of what looks like a secret
	told     map[int]bool          // lines whose secret was told of
	root     *yaml.Node            // the mapping; nil when the file can't be read
	tree     *yaml.Node            // what was parsed, nil for nothing
	top      reflect.Type          // what the file describes
	client   string
	meant    []string // paths of keys that are there by another spelling
	sound    bool     // every value passed its rules already; what doesn't fit its place is left out all the same
	problems Problems
}

// parse reads the one mapping of a file, within the limits.
func parse(path string, data []byte) *document {
	d := &document{path: path}
	if len(data) > MaxFile {
		d.at(0, 0, "size", "the file is larger than 64 KiB", "")
		return d
	}
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	if !d.bytes(data) {
		return d
	}
	d.lines = strings.Split(string(data), "\n")
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var n, second yaml.Node
	switch err := dec.Decode(&n); {
	case errors.Is(err, io.EOF):
		d.at(0, 0, "empty", "the file is empty", "write a manifest, or remove the file")
		return d
	case err != nil:
		d.syntax(err)
		return d
	}
	switch err := dec.Decode(&second); {
	case err == nil:
		d.at(max(1, second.Line), 1, "documents", "the file holds more than one document", "write one file a client")
		return d
	case !errors.Is(err, io.EOF):
		d.syntax(err)
		return d
	}
	root := &n
	if n.Kind == yaml.DocumentNode && len(n.Content) == 1 {
		root = n.Content[0]
	}
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		d.at(0, 0, "empty", "the file is empty", "write a manifest, or remove the file")
		return d
	}
	d.tree = root
	count := 0
	if !d.walk(root, 1, &count) {
		return d
	}
	if root.Kind != yaml.MappingNode {
		d.node(root, "type", "the file must be keys with values", "begin with: name: …")
		return d
	}
	d.root = root
	return d
}

// bytes checks the file before YAML sees it.
func (d *document) bytes(data []byte) bool {
	switch {
	case !utf8.Valid(data):
		line, column := place(data, firstInvalid(data))
		d.at(line, column, "encoding", "the file is not UTF-8", "save it as UTF-8")
		return false
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		d.at(1, 1, "encoding", "the file begins with a byte order mark", "save it as UTF-8 without BOM")
		return false
	}
	if i := bytes.IndexFunc(data, unprintable); i >= 0 {
		line, column := place(data, i)
		d.at(line, column, "control-character", "the file holds an invisible control character", "remove it")
		return false
	}
	return true
}

// firstInvalid is the offset of the first byte that isn't UTF-8.
func firstInvalid(data []byte) int {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return len(data)
}

// unprintable are the characters that hide or reorder text.
func unprintable(r rune) bool {
	switch {
	case r == '\n', r == '\t':
		return false
	case r < 0x20, r == 0x7f, r >= 0x80 && r <= 0x9f:
		return true
	case r == 0x2028, r == 0x2029, r == 0xfeff, r == 0x200b, r >= 0x2060 && r <= 0x2064:
		return true
	case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x200e, r == 0x200f, r == 0x061c:
		return true
	}
	return false
}

// place turns an offset into line and column.
func place(data []byte, at int) (line, column int) {
	before := data[:max(0, at)]
	start := bytes.LastIndexByte(before, '\n') + 1
	return bytes.Count(before, []byte("\n")) + 1, utf8.RuneCount(before[start:]) + 1
}

// walk refuses what manifests don't need of YAML. It stops at the first.
func (d *document) walk(n *yaml.Node, depth int, count *int) bool {
	*count++
	switch {
	case *count > maxNodes:
		d.node(n, "size", "the file has more than 2,000 values", "")
		return false
	case depth > maxDepth:
		d.node(n, "depth", "this is nested more than 8 deep", "")
		return false
	case n.Kind == yaml.AliasNode:
		d.node(n, "alias", "aliases (*name) are not read", "write the value out")
		return false
	case n.Anchor != "":
		d.node(n, "alias", "anchors (&name) are not read", "write the value out")
		return false
	case n.Style&yaml.TaggedStyle != 0:
		d.node(n, "tag", "tags (!name) are not read", "write the value plainly")
		return false
	case n.Kind == yaml.ScalarNode && len(n.Value) > maxScalar:
		d.node(n, "size", "this value is longer than 8 KiB", "")
		return false
	case n.Kind == yaml.MappingNode && len(n.Content) > 2*maxKeys:
		d.node(n, "size", "this has more than 256 keys", "")
		return false
	case n.Kind == yaml.ScalarNode && strings.IndexFunc(n.Value, unprintable) >= 0:
		d.node(n, "control-character", "this value holds an invisible control character", "remove it")
		return false
	}
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			if c.Tag == "!!merge" {
				d.node(c, "alias", "merge keys (<<) are not read", "write the keys out")
				return false
			}
			if c.Kind == yaml.ScalarNode {
				*count++
				if c.Anchor != "" || c.Style&yaml.TaggedStyle != 0 || unreadable(c.Value) {
					d.node(c, "key", "this key is not plain text", "")
					return false
				}
				if c.Tag != "!!str" {
					d.node(c, "key", "a key must be text", "put it in quotes: YAML reads it as something else")
					return false
				}
				continue
			}
			d.node(c, "key", "a key must be a word", "")
			return false
		}
		if !d.walk(c, depth+1, count) {
			return false
		}
	}
	return true
}

func unreadable(key string) bool {
	return len(key) > 200 || strings.IndexFunc(key, unprintable) >= 0
}
