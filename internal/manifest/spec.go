package manifest

import (
	"reflect"
	"strconv"
	"strings"
)

// Field describes one key of the format, as its type's tags say.
type Field struct {
	Key      string
	Doc      string
	Enum     []string
	Format   string // see formats.go
	Default  string // in words, "" for none
	Least    string // numbers and durations
	Most     string
	Max      int // texts: characters; lists and maps: entries; 0: the general limit
	Required bool

	index int
	typ   reflect.Type
}

// Type is the Go type of the field's value.
func (f Field) Type() reflect.Type { return f.typ }

// spec is one mapping of the format.
type spec struct {
	fields []Field
	byKey  map[string]int
	keys   []string
}

// The formats' mappings by type, worked out once from the tags and never changed.
var specs = describeAll(Client{}, Template{}, Platform{})

// Fields lists the keys of one of the format's types, in their order.
func Fields(t reflect.Type) []Field {
	if s := specs[t]; s != nil {
		return append([]Field(nil), s.fields...)
	}
	return nil
}

func describeAll(roots ...any) map[reflect.Type]*spec {
	out := map[reflect.Type]*spec{}
	for _, r := range roots {
		describe(reflect.TypeOf(r), out)
	}
	return out
}

// describe collects the mappings that are reachable from t.
func describe(t reflect.Type, into map[reflect.Type]*spec) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		describe(t.Elem(), into)
		return
	case reflect.Struct:
	default:
		return
	}
	if into[t] != nil || leaf(t) {
		return
	}
	s := &spec{byKey: map[string]int{}}
	into[t] = s
	for i := range t.NumField() {
		f := fieldOf(t.Field(i), i)
		s.byKey[f.Key] = len(s.fields)
		s.fields = append(s.fields, f)
		s.keys = append(s.keys, f.Key)
		describe(f.typ, into)
	}
}

// leaf says that a struct type is written as a value, not as a mapping of its fields.
func leaf(t reflect.Type) bool {
	return t == reflect.TypeFor[EnvValue]() || t == reflect.TypeFor[Retain]() || t == reflect.TypeFor[Tree]()
}

func fieldOf(f reflect.StructField, index int) Field {
	key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	out := Field{Key: key, Doc: f.Tag.Get("doc"), Format: f.Tag.Get("format"), Default: f.Tag.Get("default"),
		Least: f.Tag.Get("least"), Most: f.Tag.Get("most"), Required: f.Tag.Get("required") != "", index: index, typ: f.Type}
	if e := f.Tag.Get("enum"); e != "" {
		out.Enum = strings.Split(e, ",")
	}
	if m := f.Tag.Get("max"); m != "" {
		out.Max, _ = strconv.Atoi(m)
	}
	return out
}
