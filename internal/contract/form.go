package contract

import (
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

const formType = "application/x-www-form-urlencoded"

// strangeForm names the fields of a form that its description does not know. The validator
// can't: it reads what it knows and drops the rest.
func strangeForm(media *openapi3.MediaType, sent []byte) (strange []string) {
	if media == nil || media.Schema == nil {
		return nil
	}
	form, err := url.ParseQuery(string(sent))
	if err != nil {
		return []string{"(no form)"}
	}
	for _, name := range slices.Sorted(maps.Keys(form)) {
		if len(form[name]) != 1 || !described(media.Schema.Value, bracketed(name)) {
			strange = append(strange, name)
		}
	}
	return strange
}

// bracketed splits controller[fees][payer]. What is not of this form is one part.
func bracketed(name string) []string {
	first, rest, ok := strings.Cut(name, "[")
	if !ok || !strings.HasSuffix(rest, "]") {
		return []string{name}
	}
	return append([]string{first}, strings.Split(strings.TrimSuffix(rest, "]"), "][")...)
}

// described says that a schema, or one of those that it may be, has a field.
func described(schema *openapi3.Schema, path []string) bool {
	if schema == nil {
		return false
	}
	if len(path) == 0 {
		return true
	}
	if one := schema.Properties[path[0]]; one != nil {
		return described(one.Value, path[1:])
	}
	if more := schema.AdditionalProperties.Schema; more != nil && path[0] != "" {
		return described(more.Value, path[1:])
	}
	if schema.Items != nil { // expand[], expand[0]
		return described(schema.Items.Value, path[1:])
	}
	for _, group := range []openapi3.SchemaRefs{schema.AnyOf, schema.OneOf, schema.AllOf} {
		for _, one := range group {
			if described(one.Value, path) {
				return true
			}
		}
	}
	return false
}

// WithoutDeepLists is a Description.Relax: it takes out the parameters that are lists in
// brackets (expand[]), which the validator can't read and refuses even where none is sent.
// Whoever sends one then fails the test, as one that the description does not know.
func WithoutDeepLists(doc *openapi3.T) {
	for _, item := range doc.Paths.Map() {
		for _, o := range item.Operations() {
			o.Parameters = slices.DeleteFunc(o.Parameters, func(p *openapi3.ParameterRef) bool {
				return p.Value.Style == openapi3.SerializationDeepObject && p.Value.Schema.Value.Type.Is("array")
			})
		}
	}
}
