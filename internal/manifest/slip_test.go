package manifest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
	"pgregory.net/rapid"
)

// What is right has no slip: in no file here that YAML reads, and in none that is drawn, is one found.
func TestNoSlipInWhatIsYAML(t *testing.T) {
	var files []string
	for _, pattern := range []string{"testdata/problems/*/*.yaml", "testdata/design/*.yaml", "testdata/design/*/*.yaml", "../../examples/*.yaml", "../../examples/*/*.yaml", "../../examples/*/*/*.yaml"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	read := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		d := parse(file, data)
		if d.tree == nil {
			continue
		}
		read++
		// anchors, tags and aliases are YAML, and slips all the same
		if s := findSlip(d.lines); s != nil && s.rule == "syntax" {
			t.Errorf("%s:%d:%d: %s", file, s.line, s.column, s.text)
		}
	}
	if read < 50 {
		t.Fatalf("%d files that are YAML", read)
	}
	rapid.Check(t, func(t *rapid.T) {
		var n yaml.Node
		if err := yaml.Unmarshal(someManifest(t), &n); err != nil {
			t.Fatal(err)
		}
		data := strings.ReplaceAll(string(drawStyle(t).write(n.Content[0])), "\r\n", "\n")
		if s := findSlip(strings.Split(data, "\n")); s != nil {
			t.Fatalf("%d:%d: %s\n%s", s.line, s.column, s.text, data)
		}
	})
}

// One character less or more in what is right: whatever YAML refuses then is told of at a place
// that is not below the line that was spoiled, nor far above it.
func TestSlipsStandWhereTheyWereMade(t *testing.T) {
	base := string(design(t)[0].Data)
	lines := strings.Split(base, "\n")
	named, all := 0, 0
	for i, line := range lines {
		line, _, _ = strings.Cut(line, " #")
		for at := i % 2; at < len(line); at += 2 {
			for _, with := range []string{"", "\t", `"`, "'", "[", "}", "*x ", ": "} {
				spoiled := line[:at] + with + line[at:]
				if with == "" {
					spoiled = line[:at] + line[at+1:]
				}
				data := []byte(strings.Join(lines[:i], "\n") + "\n" + spoiled + "\n" + strings.Join(lines[i+1:], "\n"))
				var n yaml.Node
				if yaml.Unmarshal(data, &n) == nil {
					continue
				}
				_, problems := DecodeClient("clients/demoshop.yaml", data)
				placed(t, data, problems)
				all++
				if p := problems[0]; p.Line >= i+1 && p.Line <= i+2 && p.Text != notYAML {
					named++
				}
			}
		}
	}
	if all < 1000 || named*100 < all*98 {
		t.Errorf("of %d spoiled files %d are told of on their line or the next, with a cause", all, named)
	}
}

// A line that has one obvious repair is valid with it.
func TestSlipsAreRepaired(t *testing.T) {
	for _, name := range []string{"space-after-colon", "space-after-colon-first", "space-after-colon-nested", "space-no-break"} {
		data, err := os.ReadFile("testdata/problems/client/" + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		_, problems := DecodeClient("clients/"+name+".yaml", data)
		if len(problems) != 1 || problems[0].Repair == "" {
			t.Errorf("%s: %+v", name, problems)
			continue
		}
		lines := strings.Split(string(data), "\n")
		lines[problems[0].Line-1] = problems[0].Repair
		if _, problems = DecodeClient("clients/"+name+".yaml", []byte(strings.Join(lines, "\n"))); problems.Failed() {
			t.Errorf("%s, repaired:\n%v", name, problems)
		}
	}
}
