package sources

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/compassdigital/reconciler/internal/state"
)

// Errors of documents. They repeat nothing of them.
var (
	errShape = errors.New("it is not as it should be: CLIENT: {NAME: value}, and shared: {NAME: value}")
	errText  = errors.New("it can't be read as YAML")
	errJSON  = errors.New("what sops gave can't be read as JSON; is the file YAML or JSON?")
)

const notText = "it is no text; write it in quotes"

// collector gathers a document's secrets.
type collector struct {
	file string
	out  found
	seen map[[2]string]int // where in out.secrets
	odd  stray
	err  error
}

func (c *collector) add(owner, name string, text []byte, problem string) {
	key := [2]string{owner, name}
	switch {
	case c.err != nil:
		return
	case !ownerShape.MatchString(owner) || !nameShape.MatchString(name):
		c.odd.add("") // a key may be a secret in the wrong place
		return
	case len(c.out.secrets) == MaxEntries:
		c.err = errTooMany
		return
	}
	x := state.OutsideSecret{Owner: owner, Name: name, Place: owner + "." + name + " in " + c.file, Problem: problem}
	if i, twice := c.seen[key]; twice {
		x.Problem = "it is there twice"
		c.out.secrets[i] = x
		return
	}
	if problem == "" {
		x = use(x, text)
	}
	c.seen[key] = len(c.out.secrets)
	c.out.secrets = append(c.out.secrets, x)
}

func (c *collector) end() (found, error) {
	if c.err != nil {
		return found{}, c.err
	}
	if c.odd.n > 0 {
		c.out.notes.add("secrets: in %s %s not read: the keys are CLIENT or shared, and NAME, in small letters, digits and hyphens", c.file, count(c.odd.n, "entry is", "entries are"))
	}
	return c.out, nil
}

// parseYAML reads a document that age protected.
func parseYAML(file string, data []byte) (found, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return found{}, nil
	} else if err != nil {
		return found{}, errText // the library's words may repeat what it read
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return found{}, errShape // one document
	}
	if len(doc.Content) != 1 {
		return found{}, errShape
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null" {
		return found{}, nil
	}
	c := &collector{file: file, seen: map[[2]string]int{}}
	if root.Kind != yaml.MappingNode {
		return found{}, errShape
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		owner, group := root.Content[i], root.Content[i+1]
		if owner.Kind != yaml.ScalarNode || group.Kind != yaml.MappingNode {
			return found{}, errShape
		}
		for j := 0; j+1 < len(group.Content); j += 2 {
			name, value := group.Content[j], group.Content[j+1]
			switch {
			case name.Kind != yaml.ScalarNode:
				return found{}, errShape
			case value.Kind == yaml.ScalarNode && value.ShortTag() == "!!str":
				c.add(owner.Value, name.Value, []byte(value.Value), "")
			default:
				c.add(owner.Value, name.Value, nil, notText)
			}
		}
	}
	return c.end()
}

// parseJSON reads what sops decrypted.
func parseJSON(file string, data []byte) (found, error) {
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(data, &doc); err != nil {
		return found{}, errJSON
	}
	c := &collector{file: file, seen: map[[2]string]int{}}
	for _, owner := range sortedKeys(doc) {
		var group map[string]json.RawMessage
		if err := json.Unmarshal(doc[owner], &group); err != nil {
			return found{}, errShape
		}
		for _, name := range sortedKeys(group) {
			var text string
			if raw := bytes.TrimSpace(group[name]); len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &text) != nil {
				c.add(owner, name, nil, notText)
				continue
			}
			c.add(owner, name, []byte(text), "")
		}
	}
	return c.end()
}

func sortedKeys(m map[string]json.RawMessage) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
