package railway

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/Khan/genqlient/generate"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/compassdigital/reconciler/internal/contract"
)

// The committed code is what the operations say.
func TestGeneratedIsCurrent(t *testing.T) {
	c, err := generate.ReadAndValidateConfig("genqlient.yaml")
	if err != nil {
		t.Fatal(err)
	}
	files, err := generate.Generate(c)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("generated.go")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 1 {
		t.Fatalf("%d files", len(files))
	}
	for _, got := range files {
		if string(got) != string(want) {
			t.Error("generated.go is not what genqlient makes: go generate ./internal/provider/railway")
		}
	}
}

// What we say that Railway's schema is, is a part of what it is: and each operation is valid
// by the whole.
func TestSchemaIsRailways(t *testing.T) {
	load := func(file string) *ast.Schema {
		t.Helper()
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		schema, err := gqlparser.LoadSchema(&ast.Source{Name: file, Input: string(text)})
		if err != nil {
			t.Fatal(err)
		}
		return schema
	}
	own := load("schema.graphql")
	if own.Types["Mutation"].Fields.ForName("projectCreate") == nil {
		t.Error("our part has no projectCreate")
	}
	dir := contract.Specs(t)
	if dir == "" {
		return
	}
	whole := load(filepath.Join(dir, "railway", "schema.graphql"))
	held := 0
	for name, typ := range own.Types {
		if typ.BuiltIn {
			continue
		}
		there := whole.Types[name]
		if there == nil || there.Kind != typ.Kind {
			t.Errorf("Railway has no %s %s", typ.Kind, name)
			continue
		}
		held += part(t, typ, there)
	}
	text, err := os.ReadFile("operations.graphql")
	if err != nil {
		t.Fatal(err)
	}
	doc, errs := gqlparser.LoadQueryWithRules(whole, string(text), rules.NewDefaultRules())
	if len(errs) > 0 {
		t.Fatalf("operations: %v", errs)
	}
	t.Logf("%d fields and values, and %d operations, were held against Railway's schema", held, len(doc.Operations))
	if held == 0 || len(doc.Operations) == 0 {
		t.Error("nothing was held against it")
	}
}

func part(t *testing.T, own, there *ast.Definition) (held int) {
	for _, v := range own.EnumValues {
		held++
		if there.EnumValues.ForName(v.Name) == nil {
			t.Errorf("%s has no %s", own.Name, v.Name)
		}
	}
	if own.Kind == ast.Enum && len(own.EnumValues) != len(there.EnumValues) {
		t.Errorf("%s has other values than it had", own.Name)
	}
	for _, f := range own.Fields {
		if f.Name == "__schema" || f.Name == "__type" {
			continue
		}
		held++
		is := there.Fields.ForName(f.Name)
		if is == nil || is.Type.String() != f.Type.String() {
			t.Errorf("%s.%s is not as we say", own.Name, f.Name)
			continue
		}
		for _, a := range f.Arguments {
			if x := is.Arguments.ForName(a.Name); x == nil || x.Type.String() != a.Type.String() {
				t.Errorf("%s.%s(%s) is not as we say", own.Name, f.Name, a.Name)
			}
		}
		for _, a := range is.Arguments {
			if a.Type.NonNull && a.DefaultValue == nil && f.Arguments.ForName(a.Name) == nil {
				t.Errorf("%s.%s needs %s", own.Name, f.Name, a.Name)
			}
		}
	}
	return held
}
