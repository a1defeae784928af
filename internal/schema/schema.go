package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/invopop/jsonschema"

	"github.com/compassdigital/reconciler/internal/manifest"
)

// Where the schemas are published, and in which dialect: the newest that editors of
// YAML read.
const (
	base    = "https://raw.githubusercontent.com/compassdigital/reconciler/v1/schemas/"
	draft07 = "http://json-schema.org/draft-07/schema#"
)

// kind is one kind of document.
type kind struct {
	file, title string
	typ         reflect.Type
}

func kinds() []kind {
	return []kind{
		{"client.v1.schema.json", "A client's manifest", reflect.TypeFor[manifest.Client]()},
		{"template.v1.schema.json", "What manifests inherit", reflect.TypeFor[manifest.Template]()},
		{"platform.v1.schema.json", "What holds for all clients", reflect.TypeFor[manifest.Platform]()},
	}
}

// Files returns the schemas by file name, as they are committed.
func Files() (map[string][]byte, error) {
	out := map[string][]byte{}
	for _, k := range kinds() {
		s := reflected(k.typ)
		s.Version, s.ID, s.Title = draft07, jsonschema.ID(base+k.file), k.title
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(s); err != nil {
			return nil, fmt.Errorf("write %s: %w", k.file, err)
		}
		out[k.file] = b.Bytes()
	}
	return out, nil
}

// reflected is the schema of one of the format's mappings.
func reflected(t reflect.Type) *jsonschema.Schema {
	r := jsonschema.Reflector{FieldNameTag: "yaml", Anonymous: true, DoNotReference: true, RequiredFromJSONSchemaTags: true, Mapper: leaf}
	s := r.ReflectFromType(t)
	s.Definitions = nil
	mapping(s, t)
	return s
}

// leaf is the schema of the types that are written as a value.
func leaf(t reflect.Type) *jsonschema.Schema {
	switch t {
	case reflect.TypeFor[manifest.Duration]():
		return &jsonschema.Schema{Type: "string", MinLength: number(1), Pattern: "^" + duration + "$"}
	case reflect.TypeFor[manifest.Retain]():
		return &jsonschema.Schema{Type: "string", MinLength: number(1), Pattern: "^(forever|" + duration + ")$"}
	case reflect.TypeFor[manifest.EnvValue]():
		return envValue()
	case reflect.TypeFor[manifest.Tree]():
		return defaults()
	}
	return nil
}

// mapping puts the tags of a type's fields into its schema.
func mapping(s *jsonschema.Schema, t reflect.Type) {
	for _, f := range manifest.Fields(t) {
		p, ok := s.Properties.Get(f.Key)
		if !ok {
			continue // unreachable: both come from the same type
		}
		value(p, f, f.Type())
		p.Description = description(f)
		p.Default = plainDefault(f)
		if f.Required {
			s.Required = append(s.Required, f.Key)
		}
	}
	// Two rules that the tags leave to the decoder.
	switch t {
	case reflect.TypeFor[manifest.Client]():
		if contact, ok := s.Properties.Get("contact"); ok {
			contact.Required = []string{"email"}
		}
	case reflect.TypeFor[manifest.Template]():
		if source, ok := s.Properties.Get("source"); ok {
			source.Required = []string{"repository"}
		}
	}
}

// value puts a field's rules into the schema of its value.
func value(p *jsonschema.Schema, f manifest.Field, t reflect.Type) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if leaf(t) != nil {
		return
	}
	switch t.Kind() {
	case reflect.Struct:
		mapping(p, t)
	case reflect.Slice:
		if f.Max > 0 {
			p.MaxItems = number(f.Max)
		}
		p.UniqueItems = t.Elem().Kind() == reflect.String
		value(p.Items, manifest.Field{Key: f.Key, Format: f.Format, Enum: f.Enum}, t.Elem())
	case reflect.Map:
		entries(p, f, t)
	case reflect.Int:
		p.Minimum, p.Maximum = "0", json.Number(f.Most)
		if f.Least != "" {
			p.Minimum = json.Number(f.Least)
		}
	case reflect.String:
		text(p, f)
	}
}

// entries are the rules of a mapping with free keys.
func entries(p *jsonschema.Schema, f manifest.Field, t reflect.Type) {
	if f.Max > 0 {
		p.MaxProperties = number(f.Max)
	}
	inner := manifest.Field{Key: f.Key}
	switch f.Format {
	case "variable":
		p.PropertyNames = &jsonschema.Schema{Pattern: manifest.PatternVariable}
	case "label":
		p.PropertyNames = &jsonschema.Schema{Pattern: manifest.PatternWord}
		inner.Format, inner.Max = "text", 200
	case "adoptable":
		p.PropertyNames = &jsonschema.Schema{Enum: words("database", "payments", "record", "site")}
	case "plan":
		p.PropertyNames = &jsonschema.Schema{Enum: words("free", "starter", "professional", "enterprise")}
	}
	if p.AdditionalProperties != nil {
		value(p.AdditionalProperties, inner, t.Elem())
	}
}

// defaults is a partial manifest: nothing is required, and nothing that is each
// client's own. Within a list's entries everything holds as ever.
func defaults() *jsonschema.Schema {
	s := reflected(reflect.TypeFor[manifest.Client]())
	s.Version, s.Title = "", ""
	for _, own := range []string{"apiVersion", "kind", "name", "previously", "domain", "aliases", "adopt", "template", "contact"} {
		s.Properties.Delete(own)
	}
	optional(s)
	return s
}

func optional(s *jsonschema.Schema) {
	s.Required = nil
	if s.Properties == nil {
		return
	}
	for p := s.Properties.Oldest(); p != nil; p = p.Next() {
		p.Value.Default = nil // a default below a default would say too much
		if p.Value.Type == "object" {
			optional(p.Value)
		}
	}
}

// envValue is one of the forms that a variable's value has.
func envValue() *jsonschema.Schema {
	one := func(key, description string, v *jsonschema.Schema) *jsonschema.Schema {
		p := jsonschema.NewProperties()
		p.Set(key, v)
		return &jsonschema.Schema{Type: "object", Properties: p, Required: []string{key}, AdditionalProperties: jsonschema.FalseSchema, Description: description}
	}
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{
		{Type: "string", MaxLength: number(4 << 10), Description: "The value as written."},
		{Type: "number", Description: "The value as written: 021 and 1.10 keep their spelling."},
		{Type: "boolean", Description: "The value as written."},
		one("secret", "A stored secret: NAME is this client's own, shared/NAME everybody's.", &jsonschema.Schema{Type: "string", Pattern: manifest.PatternSecret}),
		one("generate", "Made once, then kept.", &jsonschema.Schema{Enum: words("hex32")}),
		one("from", "What another part of the client gives.", &jsonschema.Schema{Enum: words(manifest.Froms()...)}),
		one("none", "Takes an inherited variable away.", &jsonschema.Schema{Enum: []any{true}}),
	}}
}

// description is a field's meaning with what the schema can't say otherwise.
func description(f manifest.Field) string {
	out := f.Doc
	if between := bounds(f); between != "" {
		out += " " + between
	}
	if f.Default != "" {
		out += " Default: " + f.Default + "."
	}
	return out
}

// bounds says within what a duration may be.
func bounds(f manifest.Field) string {
	t := f.Type()
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t != reflect.TypeFor[manifest.Duration]() || f.Least == "" || f.Most == "" {
		return ""
	}
	return fmt.Sprintf("From %s to %s.", f.Least, f.Most)
}

// plainDefault is a default that is a value, not a sentence about one.
func plainDefault(f manifest.Field) any {
	switch t := f.Type(); {
	case f.Default == "":
		return nil
	case t.Kind() == reflect.Int:
		if n, err := strconv.Atoi(f.Default); err == nil {
			return n
		}
	case t == reflect.TypeFor[manifest.Duration](), t == reflect.TypeFor[manifest.Retain](), f.Format == "path", f.Format == "zone":
		return f.Default
	case len(f.Enum) > 0 && strings.Contains(","+strings.Join(f.Enum, ",")+",", ","+f.Default+","):
		return f.Default
	}
	return nil
}

func number(n int) *uint64 {
	u := uint64(n)
	return &u
}

func words(list ...string) []any {
	out := make([]any, 0, len(list))
	for _, w := range list {
		out = append(out, w)
	}
	return out
}
