package drift

import (
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/state"
)

// Ruling is how a field is treated.
type Ruling struct {
	Policy string // heal | report | ignore
	Reason string
	Until  string
	Lapsed bool // it was to be ignored, and that has ended
}

// FieldOf is a field as policies name it: record.content, record.gone, env.STORE_CURRENCY.
func FieldOf(kind state.Kind, field string) string {
	if kind == state.KindEnvironment && strings.HasPrefix(field, variable) {
		return field
	}
	return string(kind) + "." + field
}

// Of returns how a field is treated at a time: by the rule that names it, else by that
// of its kind (record.*), else by the default.
func Of(p manifest.Drift, kind state.Kind, field string, now time.Time) Ruling {
	name := FieldOf(kind, field)
	group, _, _ := strings.Cut(name, ".")
	out := Ruling{Policy: p.Default}
	if out.Policy == "" {
		out.Policy = manifest.DriftReport
	}
	for _, wanted := range []string{name, group + ".*"} {
		i := slices.IndexFunc(p.Fields, func(r manifest.DriftRule) bool { return r.Field == wanted })
		if i < 0 {
			continue
		}
		r := p.Fields[i]
		out = Ruling{Policy: r.Policy, Reason: r.Reason, Until: r.Until}
		if r.Policy == manifest.DriftIgnore && over(r.Until, now) {
			out.Policy, out.Lapsed = manifest.DriftReport, true
		}
		break
	}
	if out.Policy == manifest.DriftIgnore && kind == state.KindDatabase && field == state.FieldGone {
		out = Ruling{Policy: manifest.DriftReport} // whatever a manifest says: it is data
	}
	return out
}

// over says that the last day of an ignore has passed. A day that can't be read has.
func over(until string, now time.Time) bool {
	day, err := time.Parse(time.DateOnly, until)
	return err != nil || !now.UTC().Before(day.AddDate(0, 0, 1))
}

// Never says why a row is not mended whatever its policy is, "" when it may be.
func Never(row state.Drift, r state.Resource, t state.Traits) string {
	gone := row.Field == state.FieldGone
	switch {
	case row.Field == state.FieldForeign:
		return "it bears somebody else's mark: settle at " + row.Provider + " whose it is"
	case t.Data || r.Ref.Kind == state.KindDatabase:
		return "it holds data, which is never mended"
	case r.Found:
		return "it was found at " + row.Provider + ", not made: it is never changed"
	case r.Retained():
		return "it is out of use"
	case t.Manual:
		return "a person makes it"
	}
	switch r.Ref.Kind {
	case state.KindRecord, state.KindDomain, state.KindTraffic, state.KindEnvironment:
	case state.KindSite:
		if gone {
			return "what hung on it is gone with it"
		}
	default:
		return "a " + string(r.Ref.Kind) + " is never mended"
	}
	switch {
	case gone && r.Adopted:
		return "what was adopted is never created"
	case slices.Contains(t.Replace, row.Field):
		return "it can't be changed in place"
	}
	return ""
}
