package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The nevers that a reader of the source can check: no package that names nothing, no
// init, no exit outside of main; no clock, environment and goroutine in ground rooms.
func TestNevers(t *testing.T) {
	names := []string{"util", "utils", "common", "helpers", "types", "models", "shared", "base", "misc", "lib"}
	clock := []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"}
	files := 0
	for _, root := range []string{".", "../cmd"} {
		err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
				return err
			}
			files++
			set := token.NewFileSet()
			f, err := parser.ParseFile(set, file, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			if slices.Contains(names, f.Name.Name) {
				t.Errorf("%s: a package named %s says nothing", file, f.Name.Name)
			}
			ground := slices.Contains(grounds(), filepath.ToSlash(filepath.Dir(file)))
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.FuncDecl:
					if n.Recv == nil && n.Name.Name == "init" {
						t.Errorf("%s: init has effects that nobody sees", set.Position(n.Pos()))
					}
				case *ast.GoStmt:
					if ground {
						t.Errorf("%s: a goroutine in a ground room", set.Position(n.Pos()))
					}
				case *ast.SelectorExpr:
					of, ok := n.X.(*ast.Ident)
					if !ok {
						return true
					}
					if ground && of.Name == "time" && slices.Contains(clock, n.Sel.Name) {
						t.Errorf("%s: time.%s in a ground room", set.Position(n.Pos()), n.Sel.Name)
					}
					if of.Name == "os" && n.Sel.Name == "Exit" && (f.Name.Name != "main" || filepath.Base(file) != "main.go") {
						t.Errorf("%s: os.Exit outside of main", set.Position(n.Pos()))
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 100 {
		t.Errorf("only %d files were looked at", files)
	}
}
