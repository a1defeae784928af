package schema

import (
	"github.com/invopop/jsonschema"

	"github.com/compassdigital/reconciler/internal/manifest"
)

// Patterns that only the schemas need: where the decoder decides by more than a
// pattern, these refuse no more than it does. They are read by JavaScript and by
// RE2: no look-ahead.
const (
	duration        = `([0-9]+d)?(([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))*`
	patternHost     = `^[^\s/:@?#*.]+(\.[^\s/:@?#*.]+)*$`
	patternFullHost = `^(localhost|[^\s/:@?#*.]+(\.[^\s/:@?#*.]+)+)$`
	patternLine     = `^[^\n\t]*$`
	patternRepo     = `^(builtin|[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}|[hH][tT][tT][pP][sS]://.+)$`
	patternLabel    = `^(_?[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?|\*)$`
	patternLocal    = `^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{1,2}:[0-9]{2}$`
	patternZone     = `^([^/].*)?$`
	patternFolder   = `^([^/\\\n\t][^\\\n\t]*)?$`
)

const maxText = 1000 // characters, where a field doesn't say

// text puts a text's rules into its schema.
func text(p *jsonschema.Schema, f manifest.Field) {
	if len(f.Enum) > 0 {
		p.Enum = words(f.Enum...)
		return
	}
	p.MaxLength = number(maxText)
	if f.Max > 0 {
		p.MaxLength = number(f.Max)
	}
	switch f.Format {
	case "decimal":
		// An amount is written as a number or as text; both keep their spelling.
		*p = jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "number", Minimum: "0", ExclusiveMaximum: "1000000000"}, {Type: "string", Pattern: manifest.PatternDecimal}}}
		return
	case "email":
		p.MaxLength = number(254)
	case "name", "word", "currency", "country", "date", "requires":
		p.MaxLength = nil // the pattern says it
	}
	p.Pattern = pattern(f.Format)
}

// pattern is a format's pattern, "" for none.
func pattern(format string) string {
	switch format {
	case "text", "command":
		return patternLine
	case "name":
		return manifest.PatternName
	case "word":
		return manifest.PatternWord
	case "email":
		return manifest.PatternEmail
	case "domain":
		return patternHost
	case "host":
		return patternFullHost
	case "hostlabel":
		return patternLabel
	case "path":
		return manifest.PatternPath
	case "repository":
		return patternRepo
	case "ref":
		return manifest.PatternRef
	case "directory":
		return patternFolder
	case "currency":
		return manifest.PatternCurrency
	case "country":
		return manifest.PatternCountry
	case "date":
		return manifest.PatternDate
	case "localtime":
		return patternLocal
	case "zone":
		return patternZone
	case "requires":
		return manifest.PatternRequires
	case "driftfield":
		return manifest.PatternDrift
	case "id":
		return manifest.PatternID
	}
	return ""
}
