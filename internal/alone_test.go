package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Packages that `make test` tests without the race detector start nothing beside themselves, nor do
// their tests.
func TestNothingRunsBesideThese(t *testing.T) {
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	list := regexp.MustCompile(`(?m)^ALONE = (.+)$`).FindSubmatch(makefile)
	if list == nil {
		t.Fatal("the Makefile names none")
	}
	for _, name := range strings.Split(string(list[1]), `\|`) {
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
