package contract

import (
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"
)

// Fields of a form are known by their brackets, to any depth.
func TestStrangeForm(t *testing.T) {
	text := openapi3.NewStringSchema()
	free := openapi3.NewObjectSchema()
	free.AdditionalProperties.Schema = text.NewRef()
	either := openapi3.NewAnyOfSchema(free, text)
	media := openapi3.NewMediaType().WithSchema(openapi3.NewObjectSchema().
		WithProperty("country", text).
		WithProperty("controller", openapi3.NewObjectSchema().WithProperty("fees", openapi3.NewObjectSchema().WithProperty("payer", text))).
		WithProperty("expand", openapi3.NewArraySchema().WithItems(text)).
		WithProperty("metadata", either))
	for sent, want := range map[string][]string{
		"country=NL&controller[fees][payer]=account&metadata[a]=b&expand[]=x": nil,
		"metadata=":                    nil,
		"county=NL":                    {"county"},
		"controller[fees][payee]=x":    {"controller[fees][payee]"},
		"controller[payer]=x":          {"controller[payer]"},
		"controller[fees][payer][x]=x": {"controller[fees][payer][x]"},
		"metadata[a][b]=x":             {"metadata[a][b]"},
		"country=NL&country=DE":        {"country"},
		"controller[fees=x":            {"controller[fees"},
		"%zz":                          {"(no form)"},
	} {
		if d := cmp.Diff(want, strangeForm(media, []byte(sent))); d != "" {
			t.Errorf("%s: %s", sent, d)
		}
	}
	if got := strangeForm(nil, []byte("a=b")); got != nil {
		t.Errorf("no form is described: %q", got)
	}
}
