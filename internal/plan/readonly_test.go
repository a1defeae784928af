package plan_test

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
)

const module = "github.com/compassdigital/reconciler/"

// reach lists what a package imports, directly and through our own packages, without
// its tests.
func reach(t *testing.T, pkg string, into map[string]bool) {
	t.Helper()
	if into[pkg] {
		return
	}
	into[pkg] = true
	rest, ours := strings.CutPrefix(pkg, module)
	if !ours {
		return
	}
	dir := filepath.Join("..", "..", filepath.FromSlash(rest))
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, e.Name()), nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range f.Imports {
			name, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			reach(t, name, into)
		}
	}
}

// P2: nothing that plans can reach a provider, a store, the network or the disk.
func TestP2PlanningReachesNothingThatWrites(t *testing.T) {
	for _, pkg := range []string{"plan", "desired"} {
		all := map[string]bool{}
		reach(t, module+"internal/"+pkg, all)
		var names []string
		for n := range all {
			names = append(names, n)
		}
		sort.Strings(names)
		for _, n := range names {
			rest, ours := strings.CutPrefix(n, module+"internal/")
			switch {
			case ours && rest != pkg && rest != "state" && rest != "manifest":
				t.Errorf("%s reaches %s", pkg, n)
			case n == "os" || n == "net" || strings.HasPrefix(n, "net/http") || n == "os/exec" || n == "syscall":
				t.Errorf("%s reaches %s", pkg, n)
			}
		}
		if !all[module+"internal/state"] || len(names) < 5 {
			t.Errorf("%s: only %v was looked at", pkg, names)
		}
	}
}

// compiles type-checks the body of a function that holds the planner's half of a
// provider.
func compiles(t *testing.T, imp types.Importer, body string) error {
	t.Helper()
	fset := token.NewFileSet()
	src := "package x\nimport (\n\"context\"\n\"" + module + "internal/provider\"\n\"" + module + "internal/state\"\n)\n" +
		"var _ context.Context\nvar _ state.Kind\nfunc plan(ctx context.Context, r provider.ReadOnly) {\n" + body + "\n}\n"
	f, err := parser.ParseFile(fset, "x.go", src, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = (&types.Config{Importer: imp}).Check("x", fset, []*ast.File{f}, nil)
	return err
}

// P2: against the type that planning gets, a write does not compile, and no assertion
// brings the writer back.
func TestP2AWriteDoesNotCompile(t *testing.T) {
	imp := importer.ForCompiler(token.NewFileSet(), "source", nil)
	if err := compiles(t, imp, `_, _ = r.Observe(ctx, provider.Query{}); _, _ = r.Owned(ctx, "x"); _ = r.Traits(); _ = r.Name()`); err != nil {
		t.Fatalf("reading does not compile: %v", err)
	}
	for _, body := range []string{
		`_, _ = r.Create(ctx, provider.Wish{})`,
		`_, _ = r.Update(ctx, "id", provider.Wish{})`,
		`_ = r.Delete(ctx, state.KindSite, "id")`,
		`_ = r.(provider.Provider)`,
		`var p provider.Provider = r; _ = p`,
		`_ = provider.Provider(r)`,
		`_ = r.observe`,
	} {
		if err := compiles(t, imp, body); err == nil {
			t.Errorf("it compiles: %s", body)
		}
	}
	held := any(provider.ReadOnly{})
	if _, ok := held.(provider.Provider); ok {
		t.Error("an assertion recovers the writer")
	}
	for _, x := range []any{provider.ReadOnly{}, &provider.ReadOnly{}} {
		for i := range reflect.TypeOf(x).NumMethod() {
			switch n := reflect.TypeOf(x).Method(i).Name; n {
			case "Name", "Traits", "Observe", "Owned", "Content":
			default:
				t.Errorf("ReadOnly has the method %s", n)
			}
		}
	}
	for i := range reflect.TypeOf(held).NumField() {
		f := reflect.TypeOf(held).Field(i)
		if f.IsExported() || f.Type.Kind() == reflect.Interface || f.Type.Kind() == reflect.Pointer {
			t.Errorf("field %s %s could hold the writer", f.Name, f.Type)
		}
	}
}
