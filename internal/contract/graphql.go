package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

// GraphQL returns a contract of a schema file below shared/specs: operations must be valid
// by it, their variables must fit, and so must the data that comes back. Whatever is no
// GraphQL answer (an HTML page, an error in plain text) is not judged: nobody describes it.
func GraphQL(tb testing.TB, vendor, file string) *Contract {
	tb.Helper()
	c := begin(tb, &Contract{about: Description{Vendor: vendor, File: file}})
	dir := Specs(tb)
	if dir == "" {
		return c
	}
	text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(file)))
	if err != nil {
		tb.Fatalf("%s's schema: %v", vendor, err)
	}
	c.schema, err = gqlparser.LoadSchema(&ast.Source{Name: file, Input: string(text)})
	if err != nil {
		tb.Fatalf("%s's schema: %v", vendor, err)
	}
	return c
}

// judgeQuery judges one exchange of GraphQL.
func (c *Contract) judgeQuery(sent []byte, status int, got []byte, requestOnly bool) {
	var asked struct {
		Query         string         `json:"query"`
		OperationName string         `json:"operationName"`
		Variables     map[string]any `json:"variables"`
	}
	decoder := json.NewDecoder(bytes.NewReader(sent))
	decoder.UseNumber()
	if err := decoder.Decode(&asked); err != nil {
		if status < 400 {
			c.tb.Errorf("a request that is no GraphQL was answered with %d", status)
		}
		return
	}
	var answer struct {
		Data   json.RawMessage   `json:"data"`
		Errors []json.RawMessage `json:"errors"`
	}
	isAnswer := json.Unmarshal(got, &answer) == nil && (answer.Data != nil || answer.Errors != nil)
	refused := status >= 400 || len(answer.Errors) > 0 // a test may have asked for just that
	doc, errs := gqlparser.LoadQueryWithRules(c.schema, asked.Query, rules.NewDefaultRules())
	if len(errs) > 0 {
		if !refused {
			c.tb.Errorf("%s: the operation does not fit: %v", asked.OperationName, errs)
		}
		return
	}
	op := doc.Operations.ForName(asked.OperationName)
	if op == nil {
		c.tb.Errorf("there is no operation %q in what was sent", asked.OperationName)
		return
	}
	c.judged.Add(1)
	what := fmt.Sprintf("%s %s", op.Operation, op.Name)
	if _, err := validator.VariableValues(c.schema, op, asked.Variables); err != nil && !refused {
		c.tb.Errorf("%s: its variables do not fit: %v", what, err)
	}
	for name := range asked.Variables {
		if op.VariableDefinitions.ForName(name) == nil {
			c.tb.Errorf("%s: there is no variable %q", what, name)
		}
	}
	if requestOnly || !isAnswer || len(answer.Data) == 0 || string(answer.Data) == "null" {
		return
	}
	var data map[string]any
	d := json.NewDecoder(bytes.NewReader(answer.Data))
	d.UseNumber()
	if err := d.Decode(&data); err != nil {
		c.tb.Errorf("%s: the data is no object: %v", what, err)
		return
	}
	for _, misfit := range fits(c.schema, op.SelectionSet, data, "", len(answer.Errors) > 0) {
		c.tb.Errorf("%s: the answer does not fit: %s", what, misfit)
	}
}

// fits says where an object is not what a selection asks for. partly allows null for what
// errors speak of.
func fits(schema *ast.Schema, set ast.SelectionSet, data map[string]any, at string, partly bool) []string {
	var out []string
	asked := map[string]bool{}
	var walk func(set ast.SelectionSet)
	walk = func(set ast.SelectionSet) {
		for _, s := range set {
			switch s := s.(type) {
			case *ast.Field:
				asked[s.Alias] = true
				v, there := data[s.Alias]
				if !there {
					out = append(out, fmt.Sprintf("%s/%s is not there", at, s.Alias))
					continue
				}
				out = append(out, fit(schema, s.Definition.Type, s, v, at+"/"+s.Alias, partly)...)
			case *ast.InlineFragment:
				if name, ok := data["__typename"].(string); !ok || s.TypeCondition == "" || name == s.TypeCondition {
					walk(s.SelectionSet)
				}
			case *ast.FragmentSpread:
				walk(s.Definition.SelectionSet)
			}
		}
	}
	walk(set)
	for name := range data {
		if !asked[name] {
			out = append(out, fmt.Sprintf("%s/%s was not asked for", at, name))
		}
	}
	slices.Sort(out)
	return out
}

func fit(schema *ast.Schema, typ *ast.Type, field *ast.Field, v any, at string, partly bool) []string {
	if v == nil {
		if typ.NonNull && !partly {
			return []string{at + " is null"}
		}
		return nil
	}
	if typ.Elem != nil {
		list, ok := v.([]any)
		if !ok {
			return []string{at + " is no list"}
		}
		var out []string
		for i, e := range list {
			out = append(out, fit(schema, typ.Elem, field, e, fmt.Sprintf("%s/%d", at, i), partly)...)
		}
		return out
	}
	def := schema.Types[typ.NamedType]
	switch def.Kind {
	case ast.Object, ast.Interface, ast.Union:
		data, ok := v.(map[string]any)
		if !ok {
			return []string{at + " is no " + typ.NamedType}
		}
		return fits(schema, field.SelectionSet, data, at, partly)
	case ast.Enum:
		if text, ok := v.(string); !ok || def.EnumValues.ForName(text) == nil {
			return []string{fmt.Sprintf("%s: %v is no %s", at, v, typ.NamedType)}
		}
	case ast.Scalar:
		if !isScalar(typ.NamedType, v) {
			return []string{fmt.Sprintf("%s: %v is no %s", at, v, typ.NamedType)}
		}
	}
	return nil
}

// isScalar judges GraphQL's own scalars; a vendor's may hold anything.
func isScalar(name string, v any) bool {
	switch name {
	case "String", "ID":
		_, ok := v.(string)
		return ok
	case "Boolean":
		_, ok := v.(bool)
		return ok
	case "Int":
		n, ok := v.(json.Number)
		if !ok {
			return false
		}
		_, err := n.Int64()
		return err == nil
	case "Float":
		_, ok := v.(json.Number)
		return ok
	}
	return true
}
