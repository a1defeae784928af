package schema

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/compassdigital/reconciler/internal/manifest"
)

// The reference stands in README.md between these lines.
const (
	Begin = "<!-- reference:begin -->"
	End   = "<!-- reference:end -->"
)

// Reference is every field of the format as Markdown tables, between the markers.
func Reference() string {
	var b strings.Builder
	b.WriteString(Begin + "\n<!-- Generated from internal/manifest/types.go by `make generate`. -->\n")
	for i, k := range kinds() {
		title := []string{"`clients/NAME.yaml`", "`templates/NAME.yaml`", "`platform.yaml`"}[i]
		fmt.Fprintf(&b, "\n#### %s\n\n| Field | Type | Default | Meaning |\n|---|---|---|---|\n", title)
		rows(&b, k.typ, "")
	}
	b.WriteString("\n" + End + "\n")
	return b.String()
}

// Splice puts the reference into a document that has the markers; found says whether
// it has them.
func Splice(document, reference string) (out string, found bool) {
	before, rest, ok := strings.Cut(document, Begin)
	if !ok {
		return document, false
	}
	_, after, ok := strings.Cut(rest, End)
	if !ok {
		return document, false
	}
	return before + strings.TrimSuffix(reference, "\n") + after, true
}

func rows(b *strings.Builder, t reflect.Type, at string) {
	for _, f := range manifest.Fields(t) {
		path := at + f.Key
		meaning := f.Doc
		if f.Required {
			meaning = "**Required.** " + meaning
		}
		if between := bounds(f); between != "" {
			meaning += " " + between
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", path, cell(typeName(f)), cell(f.Default), cell(meaning))
		inner, suffix := f.Type(), "."
		switch inner.Kind() {
		case reflect.Pointer:
			inner = inner.Elem()
		case reflect.Slice:
			inner, suffix = inner.Elem(), "[]."
		case reflect.Map:
			inner, suffix = inner.Elem(), ".*."
		}
		rows(b, inner, path+suffix) // nothing for what is not a mapping
	}
}

// typeName is a field's type in words.
func typeName(f manifest.Field) string {
	t := f.Type()
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if len(f.Enum) > 0 {
		return "`" + strings.Join(f.Enum, "`, `") + "`"
	}
	switch t {
	case reflect.TypeFor[manifest.Duration]():
		return "duration"
	case reflect.TypeFor[manifest.Retain]():
		return "duration or `forever`"
	case reflect.TypeFor[manifest.EnvValue]():
		return "`{secret: NAME}`"
	case reflect.TypeFor[manifest.Tree]():
		return "part of a manifest"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		if f.Most != "" {
			return fmt.Sprintf("number, %s to %s", orZero(f.Least), f.Most)
		}
		return "number"
	case reflect.Slice:
		what := "entries"
		if t.Elem().Kind() == reflect.String {
			what = plural(f.Format)
		}
		if f.Max > 0 {
			return fmt.Sprintf("list of %s, at most %d", what, f.Max)
		}
		return "list of " + what
	case reflect.Map:
		switch f.Format {
		case "variable":
			return "variables"
		case "label":
			return "labels"
		}
		return "map"
	case reflect.Struct:
		return "map"
	}
	return textName(f.Format)
}

func textName(format string) string {
	switch format {
	case "", "text", "prose", "content", "command":
		return "text"
	case "email":
		return "e-mail address"
	case "domain", "host", "hostlabel", "recordname":
		return "host name"
	case "decimal":
		return "amount"
	case "localtime":
		return "local time"
	case "zone":
		return "time zone"
	case "directory":
		return "folder"
	case "requires":
		return "version"
	}
	return format
}

func plural(format string) string {
	switch format {
	case "name":
		return "names"
	case "word":
		return "words"
	case "domain", "hostlabel":
		return "host names"
	}
	return "texts"
}

func orZero(s string) string {
	if s == "" {
		return "0"
	}
	return s
}

// cell makes a text fit into a table's cell.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
