package schema

import (
	"bytes"
	"io/fs"
	"testing"

	"gopkg.in/yaml.v3"
	"pgregory.net/rapid"

	"github.com/compassdigital/reconciler/examples"
)

// What a schema refuses, the decoder refuses too: an editor never marks what would
// have been accepted. Tried on documents in which a value was changed for another.
func TestTheSchemaIsNoStricterThanTheDecoder(t *testing.T) {
	schemas := compiled(t)
	whole := map[string][]byte{}
	for _, f := range []string{"clients/demoshop.yaml", "clients/timmerhout.yaml", "templates/b2b.yaml", "platform.yaml"} {
		data, err := fs.ReadFile(examples.Files, f)
		if err != nil {
			t.Fatal(err)
		}
		whole[f] = data
	}
	for f, data := range documents(t) {
		whole["documents/"+f] = data
	}
	names := make([]string, 0, len(whole))
	for f := range whole {
		names = append(names, f)
	}
	values := rapid.SampledFrom([]string{`""`, `a`, `"a b"`, `A`, `1`, `-1`, `1.5`, `"1"`, `true`, `{}`, `[]`, `[a]`, `[a, a]`, `{a: b}`, `{secret: a}`, `{none: true}`, `{from: site.url}`, `/x`, `10m`, `1d`, `forever`,
		`.5h`, `2026-12-01`, `2026-12-01T08:00`, `a.example`, `A.EXAMPLE`, `ünïcode.example`, `a_b`, `_dmarc`, `https://h.example/x?`, `HTTPS://h.example`, `a/b`, `../x`, `.`, `a@b.example`, `EUR`, `NL`, `"line\nline"`, `"tab\tb"`, `65535`, `70000`, `0x10`, `1_000`, `~x`, `no`, `on`, `">=0.1"`, `Europe/Amsterdam`, `00012`, `1e3`, `none`, `builtin`, `hex32`})
	rapid.Check(t, func(t *rapid.T) {
		f := rapid.SampledFrom(sorted(names)).Draw(t, "document")
		var n yaml.Node
		if err := yaml.Unmarshal(whole[f], &n); err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(1, 2).Draw(t, "changes") {
			all := scalars(n.Content[0])
			at := all[rapid.IntRange(0, len(all)-1).Draw(t, "place")]
			var v yaml.Node
			if err := yaml.Unmarshal([]byte(values.Draw(t, "value")), &v); err != nil {
				t.Fatal(err)
			}
			*at = *v.Content[0]
		}
		var b bytes.Buffer
		if err := yaml.NewEncoder(&b).Encode(&n); err != nil {
			t.Fatal(err)
		}
		p := decoded(kindOf(f), f, b.Bytes())
		if len(p) > 0 {
			return
		}
		if err := schemas[kindOf(f)].Validate(plain(t, b.Bytes())); err != nil {
			t.Errorf("the decoder accepts what the schema refuses: %v\n%s", err, b.String())
		}
	})
}

// scalars are the values of a document, and the lists and mappings that hold nothing
// but what was written.
func scalars(n *yaml.Node) []*yaml.Node {
	var out []*yaml.Node
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			continue
		}
		out = append(out, c)
		out = append(out, scalars(c)...)
	}
	return out
}
