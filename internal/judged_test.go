package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// unjudged are the functions of tests that serve or ask a simulated vendor without a judge, each
// with its reason. (SMTP and PostgreSQL have no simulator of HTTP: their tests speak with servers
// of their own, and nobody publishes a description of what they say.)
func unjudged() map[string]string {
	return map[string]string{
		"../cmd/reconciler apis":             "hands the vendors of a set out: fleet and host judge them where they serve them",
		"github/simulated newScene":          "its clients judge (scene.judged), but for the one that asks what the description does not have",
		"provider/ploi/simulated TestPages":  "asks for more rows a page than the description allows",
		"provider/railway begin":             "breaks answers on purpose where it is hostile: then the client's side judges its requests",
		"provider/stripe begin":              "breaks answers on purpose where it is hostile: then the client's side judges its requests",
		"provider/stripe/simulated TestFile": "opens an onboarding link, which is a page and no part of the API",
	}
}

// Whatever tests say to a simulated vendor, and what it answers, goes through a judge (package
// contract): every simulator that a test file serves, hands on as a handler or asks itself stands
// inside of a judge's call. It is read from the source, by names: see judging.
func TestSimulatorsAreJudged(t *testing.T) {
	types := simulatorTypes(t)
	if len(types) < 8 {
		t.Fatalf("only %d simulators: %v", len(types), types)
	}
	packages := map[string][]*ast.File{}
	set := token.NewFileSet()
	for _, root := range []string{".", "../cmd"} {
		err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(file, "_test.go") {
				return err
			}
			f, err := parser.ParseFile(set, file, nil, parser.SkipObjectResolution)
			dir := filepath.ToSlash(filepath.Dir(file))
			packages[dir] = append(packages[dir], f)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	excepted, opened := map[string]bool{}, 0
	for _, dir := range slices.Sorted(maps.Keys(packages)) {
		j := newJudging(set, dir, types, packages[dir])
		for _, bad := range j.run() {
			name := dir + " " + bad.in
			if unjudged()[name] != "" {
				excepted[name] = true
				continue
			}
			t.Errorf("%s: in %s, %s is served or asked without a judge", set.Position(bad.at), bad.in, bad.what)
		}
		opened += j.opened
	}
	if opened < 25 {
		t.Errorf("only %d simulators are opened in tests: are they still called New?", opened)
	}
	for name := range unjudged() {
		if !excepted[name] {
			t.Errorf("%s is excepted and serves nothing without a judge", name)
		}
	}
}

// The check sees what it is there for.
func TestJudgingSees(t *testing.T) {
	const head = "package x\nimport (\n\"net/http/httptest\"\n\"" + module + "internal/contract\"\n\"" + module + "internal/provider/ploi/simulated\"\n)\n" +
		"type world struct { vendor *simulated.Vendor; judge *contract.Contract; next http.Handler }\n" +
		"func under(t testing.TB, api http.Handler) http.Handler { return contract.OpenAPI(t, d).Handler(api) }\n"
	for body, bad := range map[string]bool{
		`func f() { v, _ := simulated.New(o); httptest.NewServer(v) }`:                                               true,
		`func f() { v, _ := simulated.New(o); httptest.NewServer(v.Plain()) }`:                                       true,
		`func f() { v, _ := simulated.New(o); v.ServeHTTP(w, r) }`:                                                   true,
		`func f() { v, _ := simulated.New(o); httptest.NewServer(faults.Handler(v)) }`:                               true,
		`func f() http.Handler { v, _ := simulated.New(o); return v }`:                                               true,
		`func f() (http.Handler, error) { return simulated.New(o) }`:                                                 true,
		`func f(w *world) { w.next = w.vendor }`:                                                                     true,
		`func f(w *world) { g(w.vendor) }; func g(h http.Handler) { httptest.NewServer(h) }`:                         true,
		`func f(w *world) { _ = map[string]http.Handler{"ploi": w.vendor} }`:                                         true,
		`func f(w *world) { v := w.vendor; httptest.NewServer(v) }`:                                                  true,
		`func f(w *world) { w.vendor, _ = simulated.New(o); httptest.NewServer(w.judge.Handler(w.vendor)) }`:         false,
		`func f() { v, _ := simulated.New(o); httptest.NewServer(faults.Handler(under(t, v.Plain()))) }`:             false,
		`func f(w *world) { w.judge.Handler(http.HandlerFunc(func() { w.vendor.ServeHTTP(x, r) })) }`:                false,
		`func f() *simulated.Vendor { v, _ := simulated.New(o); return v }`:                                          false,
		`func f(w *world) { g(w.vendor) }; func g(v *simulated.Vendor) { under(t, v) }`:                              false,
		`func f(w *world) { g(w.vendor) }; func g(h http.Handler) { k := contract.GraphQL(t); k.Handler(h) }`:        false,
		`func f(w *world) { w.vendor.Front().ServeHTTP(x, r); fmt.Println(w.vendor) }`:                               false,
		`func f() { v, _ := simulated.New(o); w := &world{vendor: v}; httptest.NewServer(w.judge.Handler(v)) }`:      false,
		`func f(judged func(http.Handler) http.Handler) { v, _ := simulated.New(o); httptest.NewServer(judged(v)) }`: false,
	} {
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, "x_test.go", head+body, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		j := newJudging(set, "x", map[string]string{"internal/provider/ploi/simulated": "Vendor"}, []*ast.File{f})
		if found := j.run(); (len(found) > 0) != bad {
			t.Errorf("%s: found %v", body, found)
		}
	}
}

// simulatorTypes are what New returns in each room called simulated.
func simulatorTypes(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	files, err := filepath.Glob("*/simulated/*.go")
	more, failed := filepath.Glob("*/*/simulated/*.go")
	if err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	for _, file := range append(files, more...) {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if d, ok := d.(*ast.FuncDecl); ok && d.Recv == nil && d.Name.Name == "New" {
				out["internal/"+filepath.ToSlash(filepath.Dir(file))] = lastName(d.Type.Results.List[0].Type)
			}
		}
	}
	return out
}
