package simulated

import (
	"errors"
	"fmt"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
)

// Limits of what is executed.
const (
	maxDepth  = 20
	maxTokens = 20_000
)

// object is what a selection is made from: a value, a list of values, another object or a
// field that takes arguments.
type object map[string]any

// field computes a field's value.
type field func(args map[string]any) (any, error)

// failure is an error of a field, as Railway words it.
type failure struct{ text string }

func (f failure) Error() string { return f.text }

// trouble is an error at a place of the answer.
type trouble struct {
	err  error
	path []any
}

func (t *trouble) Error() string { return t.err.Error() }
func (t *trouble) Unwrap() error { return t.err }

// operation is one that was asked for.
type operation struct {
	doc       *ast.QueryDocument
	def       *ast.OperationDefinition
	variables map[string]any
}

// parse reads a request's operation.
func parse(query, name string, variables map[string]any) (operation, error) {
	doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: query}, maxTokens)
	if err != nil {
		return operation{}, err
	}
	def := doc.Operations.ForName(name)
	if def == nil {
		return operation{}, fmt.Errorf("unknown operation named %q", name)
	}
	given := map[string]any{}
	for _, v := range def.VariableDefinitions {
		value, ok := variables[v.Variable]
		switch {
		case ok:
			given[v.Variable] = value
		case v.DefaultValue != nil:
			if given[v.Variable], err = v.DefaultValue.Value(nil); err != nil {
				return operation{}, err
			}
		case v.Type.NonNull:
			return operation{}, fmt.Errorf("variable $%s of required type %s was not provided", v.Variable, v.Type)
		}
	}
	return operation{doc, def, given}, nil
}

// execute answers an operation from a root object. The error is a *trouble.
func (o operation) execute(root object) (map[string]any, error) {
	out := map[string]any{}
	return out, o.sel(o.def.SelectionSet, root, out, nil)
}

// sel puts what a selection asks for into out.
func (o operation) sel(set ast.SelectionSet, from object, out map[string]any, path []any) error {
	if len(path) > maxDepth {
		return &trouble{errors.New("the selection is too deep"), path}
	}
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			at := append(path[:len(path):len(path)], s.Alias)
			v, err := o.value(s, from, at)
			if err != nil {
				return err
			}
			out[s.Alias] = v
		case *ast.InlineFragment:
			if err := o.sel(s.SelectionSet, from, out, path); err != nil {
				return err
			}
		case *ast.FragmentSpread:
			f := o.doc.Fragments.ForName(s.Name)
			if f == nil {
				return &trouble{fmt.Errorf("unknown fragment %q", s.Name), path}
			}
			if err := o.sel(f.SelectionSet, from, out, path); err != nil {
				return err
			}
		}
	}
	return nil
}

func (o operation) value(s *ast.Field, from object, path []any) (any, error) {
	v, ok := from[s.Name]
	if !ok {
		return nil, &trouble{fmt.Errorf("cannot query field %q", s.Name), path}
	}
	if f, ok := v.(field); ok {
		args := map[string]any{}
		for _, a := range s.Arguments {
			given, err := a.Value.Value(o.variables)
			if err != nil {
				return nil, &trouble{err, path}
			}
			args[a.Name] = given
		}
		var err error
		if v, err = f(args); err != nil {
			return nil, &trouble{err, path}
		}
	}
	return o.complete(s, v, path)
}

func (o operation) complete(s *ast.Field, v any, path []any) (any, error) {
	switch v := v.(type) {
	case object:
		if v == nil {
			return nil, nil
		}
		out := map[string]any{}
		return out, o.sel(s.SelectionSet, v, out, path)
	case []object:
		out := make([]any, 0, len(v))
		for i, x := range v {
			one := map[string]any{}
			if err := o.sel(s.SelectionSet, x, one, append(path[:len(path):len(path)], i)); err != nil {
				return nil, err
			}
			out = append(out, one)
		}
		return out, nil
	}
	return v, nil
}
