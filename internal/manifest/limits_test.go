package manifest

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
	"pgregory.net/rapid"
)

const smallest = "name: a\ndomain: a\ntemplate: ecommerce\ncontact: {email: dana@demoshop.example}\n"

// The limits of a file, each at its border: the last that is read, the first that isn't.
func TestLimits(t *testing.T) {
	pad := func(n int) string { return smallest + "#" + strings.Repeat("x", n-len(smallest)-1) }
	settings := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "  k%d: 1\n", i)
		}
		return smallest + "settings:\n" + b.String()
	}
	nested := func(depth int) string { // the root is 1, settings 2
		return smallest + "settings: " + strings.Repeat("{a: ", depth-2) + "1" + strings.Repeat("}", depth-2) + "\n"
	}
	values := func(n int) string { // besides smallest (11) and settings with one list (4)
		return smallest + "settings: {a: [" + strings.TrimSuffix(strings.Repeat("1,", n-15), ",") + "]}\n"
	}
	list := func(key, item string, n int) string {
		var items []string
		for i := range n {
			items = append(items, fmt.Sprintf(item, i))
		}
		return smallest + key + ": [" + strings.Join(items, ", ") + "]\n"
	}
	env := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "  V%d: x\n", i)
		}
		return smallest + "env:\n" + b.String()
	}
	text := func(key string, n int) string { return smallest + key + ": " + strings.Repeat("é", n) + "\n" }
	for _, c := range []struct{ name, last, first, rule string }{
		{"64 KiB", pad(MaxFile), pad(MaxFile + 1), "size"},
		{"256 keys", settings(256), settings(257), "size"},
		{"8 deep", nested(8), nested(9), "depth"},
		{"2,000 values", values(2000), values(2001), "size"},
		{"8 KiB a value", smallest + "settings: {a: " + strings.Repeat("x ", 4<<10)[:8<<10-1] + "y}\n", smallest + "settings: {a: " + strings.Repeat("x ", 4<<10) + "y}\n", "size"},
		{"4 KiB a variable", smallest + "env: {A: " + strings.Repeat("x", 4<<10) + "}\n", smallest + "env: {A: " + strings.Repeat("x", 4<<10+1) + "}\n", "size"},
		{"200 variables", env(200), env(201), "size"},
		{"20 aliases", list("aliases", "h%d.example", 20), list("aliases", "h%d.example", 21), "size"},
		{"20 former names", list("previously", "f%d", 20), list("previously", "f%d", 21), "size"},
		{"120 characters of a name", text("displayName", 120), text("displayName", 121), "size"},
		{"8,000 characters of notes", smallest + "notes: " + strings.Repeat("n ", 3999) + "nn\n", smallest + "notes: " + strings.Repeat("n ", 4000) + "n\n", "size"},
		{"40 characters of a label", smallest + "labels: {" + strings.Repeat("a", 60) + ": x}\n", smallest + "labels: {" + strings.Repeat("a", 61) + ": x}\n", "key"},
		{"a number without nought", smallest + "dns: {records: [{type: MX, name: a, content: mx.a.example, priority: 10}]}\n", smallest + "dns: {records: [{type: MX, name: a, content: mx.a.example, priority: 010}]}\n", "type"},
	} {
		if problems := oneFile(t, "client", "a.yaml", []byte(c.last)); len(problems) > 0 {
			t.Errorf("%s: the last is refused: %v", c.name, problems)
		}
		problems := oneFile(t, "client", "a.yaml", []byte(c.first))
		if !problems.Failed() || problems[0].Rule != c.rule {
			t.Errorf("%s: the next is not refused by %s: %v", c.name, c.rule, problems)
		}
	}
	long := "a123456789b123456789c123456789d123456789"
	for name, ok := range map[string]bool{long: true, long + "e": false, "a": true, "1-a": true, "-a": false, "a-": false, "A": false, "a_b": false, "a.b": false} {
		problems := oneFile(t, "client", name+".yaml", []byte(strings.Replace(smallest, "name: a", "name: "+name, 1)))
		if problems.Failed() == ok {
			t.Errorf("name %q: %v", name, problems)
		}
	}
}

// No more than 50 problems are told of one file.
func TestProblemsAreBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString(smallest)
	for i := range 200 {
		fmt.Fprintf(&b, "unknown%d: 1\n", i)
	}
	if problems := oneFile(t, "client", "a.yaml", []byte(b.String())); len(problems) != maxProblems {
		t.Errorf("%d problems", len(problems))
	}
}

// A decoded manifest is written as it was said: it decodes to the same again.
func TestManifestsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := someManifest(t)
		a, problems := DecodeClient("clients/demoshop.yaml", data)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		a.APIVersion, a.Kind = APIVersion, KindClient
		out, err := yaml.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		b, problems := DecodeClient("clients/demoshop.yaml", out)
		if len(problems) > 0 {
			t.Fatalf("%s\n%v", out, problems)
		}
		if !reflect.DeepEqual(a, b) {
			t.Fatalf("%s\n%+v\n%+v", out, a, b)
		}
	})
}

// Every key of the format has words for the reference, and rules that are known.
func TestTags(t *testing.T) {
	formats := map[string]bool{"": true, "name": true, "text": true, "domain": true, "word": true, "variable": true, "label": true, "prose": true, "adoptable": true, "email": true, "repository": true, "ref": true,
		"recordname": true, "content": true, "path": true, "decimal": true, "currency": true, "date": true, "country": true, "id": true, "command": true, "directory": true, "requires": true, "host": true, "hostlabel": true, "plan": true, "localtime": true, "zone": true, "driftfield": true}
	n := 0
	for typ := range specs {
		for _, f := range Fields(typ) {
			n++
			if f.Doc == "" || f.Key == "" || !formats[f.Format] {
				t.Errorf("%v: %+v", typ, f)
			}
			for _, border := range []string{f.Least, f.Most} {
				if border == "" {
					continue
				}
				if _, err := ParseDuration(border); err != nil && strings.Trim(border, "0123456789") != "" {
					t.Errorf("%v.%s: border %s", typ, f.Key, border)
				}
			}
		}
	}
	if n < 80 {
		t.Errorf("only %d keys", n)
	}
}
