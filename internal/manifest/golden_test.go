package manifest

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aymanbagabas/go-udiff"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "rewrite the expected problems")

// checkGolden holds a text against a file, or rewrites the file.
func checkGolden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("other problems (go test -update writes them):\n%s", udiff.Unified("want", "got", string(want), got))
	}
}

// oneFile is what is said of one file among the design's documents.
func oneFile(t testing.TB, kind, file string, data []byte) Problems {
	switch kind {
	case "template":
		_, problems := DecodeTemplate("templates/"+file, data)
		return problems
	case "platform":
		_, problems := DecodePlatform("platform.yaml", data)
		return problems
	}
	tree := append([]File{{Path: "clients/" + file, Data: data}}, design(t)[1:]...)
	_, problems := CheckTree(LayoutOf("clients"), tree, Defaults{})
	return problems
}

// TestProblems: testdata/problems/KIND/NAME.yaml has the problems of NAME.txt, word
// for word: place, cause, source line, caret, next step.
func TestProblems(t *testing.T) {
	files, err := filepath.Glob("testdata/problems/*/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		kind := filepath.Base(filepath.Dir(file))
		t.Run(kind+"/"+strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			problems := oneFile(t, kind, filepath.Base(file), data)
			if !problems.Failed() {
				t.Error("it has no problem")
			}
			placed(t, data, problems)
			checkGolden(t, strings.TrimSuffix(file, ".yaml")+".txt", rendered(problems))
		})
	}
}

// rendered is the problems with their rules, as text.
func rendered(problems Problems) string {
	var b strings.Builder
	for _, p := range problems {
		b.WriteString(p.String() + " [" + p.Rule + "]\n")
	}
	return b.String()
}

// placed checks that every problem is at a place inside its file.
func placed(t testing.TB, data []byte, problems Problems) {
	t.Helper()
	lines := strings.Split(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n")
	for _, p := range problems {
		switch {
		case p.Path == "" || p.Rule == "" || p.Text == "":
			t.Errorf("incomplete: %+v", p)
		case p.Line == 0 && p.Column == 0: // the whole file
		case p.Line < 1 || p.Line > len(lines) || p.Column < 1 || p.Column > len([]rune(lines[p.Line-1]))+1:
			t.Errorf("%d:%d is outside the file: %s", p.Line, p.Column, p)
		}
	}
}

// TestTrees: testdata/trees/NAME.txtar is a tree; its section "problems" is what is
// said of it, "valid" who is valid.
func TestTrees(t *testing.T) {
	archives, err := filepath.Glob("testdata/trees/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatal("no archives", err)
	}
	for _, archive := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(archive), ".txtar"), func(t *testing.T) {
			data, err := os.ReadFile(archive)
			if err != nil {
				t.Fatal(err)
			}
			a := txtar.Parse(data)
			var tree []File
			var kept []txtar.File
			for _, f := range a.Files {
				if f.Name != "problems" && f.Name != "valid" {
					tree = append(tree, File{Path: f.Name, Data: f.Data})
					kept = append(kept, f)
				}
			}
			valid, problems := CheckTree(LayoutOf("clients"), tree, Defaults{Deployment: "local", Database: "sqlite", DNS: "local"})
			var names bytes.Buffer
			for _, e := range valid {
				names.WriteString(e.Name + " " + strings.Join(e.Hosts, " ") + "\n")
			}
			a.Files = append(kept, txtar.File{Name: "problems", Data: []byte(rendered(problems))}, txtar.File{Name: "valid", Data: names.Bytes()})
			checkGolden(t, archive, string(txtar.Format(a)))
		})
	}
}
