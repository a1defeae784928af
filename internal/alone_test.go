package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Packages that `make test` tests without the race detector start nothing beside themselves, nor do
// their tests.
func TestNothingRunsBesideThese(t *testing.T) {
	for _, name := range named(t, "ALONE", `\|`) {
		files, err := filepath.Glob(filepath.Join(name, "*.go"))
		if err != nil || len(files) == 0 {
			t.Errorf("there is no package %s: %v", name, err)
		}
		for _, file := range files {
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range f.Imports {
				if path := strings.Trim(i.Path.Value, `"`); path == "sync" || path == "golang.org/x/sync/errgroup" {
					t.Errorf("%s imports %s", file, path)
				}
			}
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.GoStmt:
					t.Errorf("%s starts something beside itself", file)
				case *ast.SelectorExpr:
					if n.Sel.Name == "Parallel" {
						t.Errorf("%s has tests that run beside each other", file)
					}
				}
				return true
			})
		}
	}
}

// Runs that `make test` plays without the race detector are there by name, each in one package of
// those that are asked for them: a test of that name in another one would be left out.
func TestWhatIsPlayedIsThere(t *testing.T) {
	packages := named(t, "PLAYED_IN", "|")
	for _, name := range named(t, "PLAYED", "|") {
		var in []string
		err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			data, err := os.ReadFile(path)
			if strings.Contains(string(data), "\nfunc "+name+"(t *testing.T)") {
				in = append(in, filepath.ToSlash(filepath.Dir(path)))
			}
			return err
		})
		if err != nil || len(in) != 1 || !slices.Contains(packages, strings.TrimPrefix(in[0], "../internal/")) {
			t.Errorf("%s is in %v, not in one of %v alone: %v", name, in, packages, err)
		}
	}
}

// named are the words of a list in the Makefile.
func named(t *testing.T, list, separator string) []string {
	t.Helper()
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	words := regexp.MustCompile(`(?m)^` + list + ` = (.+)$`).FindSubmatch(makefile)
	if words == nil {
		t.Fatalf("the Makefile has no %s", list)
	}
	return strings.Split(string(words[1]), separator)
}
