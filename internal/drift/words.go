package drift

import (
	"fmt"
	"strings"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/state"
)

// Name is a row's object and field in a sentence: record A shop.example content.
func Name(row state.Drift) string {
	return string(row.Ref.Kind) + " " + row.Ref.Name + " " + row.Field
}

// Short is Name with what a list of clients has to say of it.
func Short(row state.Drift) string {
	if row.Fight {
		return Name(row) + " (put back again and again; left alone now)"
	}
	return Name(row)
}

// Text says what a row is.
func Text(row state.Drift) string {
	what := string(row.Ref.Kind) + " " + row.Ref.Name
	switch {
	case row.Field == state.FieldGone:
		return what + " is gone at " + row.Provider
	case row.Field == state.FieldBroken:
		return what + " at " + row.Provider + " does not run: " + row.After
	case row.Field == state.FieldUndone:
		return what + " is not set any more as it was: " + row.After
	case row.Field == state.FieldForeign:
		return what + " bears the mark of " + row.After
	case row.After == "" && row.Print == absent:
		return fmt.Sprintf("%s: %s is not there, recorded %q", what, row.Field, row.Before)
	case added(row):
		return fmt.Sprintf("%s: %s is %q, and was not there", what, row.Field, row.After)
	}
	return fmt.Sprintf("%s: %s is %q, recorded %q", what, row.Field, row.After, row.Before)
}

// added says that somebody added a variable, which nothing but a change of the set takes away.
func added(row state.Drift) bool {
	return row.Before == "" && row.After != "" && strings.HasPrefix(row.Field, variable)
}

// Next is what becomes of a row, or what a person can do.
func Next(row state.Drift, client string) string {
	retry := "`reconciler retry " + client + "` puts it back"
	switch {
	case row.Field == state.FieldGone:
		retry = "`reconciler retry " + client + "` makes it again"
	case added(row):
		retry = "it goes with the next change of the site's variables"
		if row.Secret {
			retry += ", unless the manifest says it by then"
		} else {
			retry += "; `reconciler drift " + client + " --adopt` takes it over or says why it can't"
		}
	case row.Ref.Kind == state.KindEnvironment && strings.HasPrefix(row.Before, "adopted/"): // a value from before us, which no manifest mentions
		retry = "the client's next change, or `reconciler retry " + client + "`, keeps it as it is now"
	case row.Secret && row.Ref.Kind != state.KindRecord: // has no place in a manifest; what DNS says is public
	default: // only the manifest, and where it inherits from, tell whether it can
		retry += ", `reconciler drift " + client + " --adopt` takes it over or says why it can't"
	}
	switch {
	case row.Ref.Kind == state.KindDatabase && row.Field == "url" && row.Policy != manifest.DriftIgnore:
		return "`reconciler retry " + client + "` deploys the site with it"
	case row.Fight:
		return fmt.Sprintf("it was put back %d times within a day, and somebody or something changes it again: find out who, then `reconciler retry %s`, or take it over or ignore it with a commit", MendsBeforeFight, client)
	case row.Field == state.FieldBroken:
		return "`reconciler retry " + client + "` starts it again, or says why it can't"
	case row.Field == state.FieldUndone:
		return "set it there, or let the manifest say what is there"
	case row.Ref.Kind == state.KindPayments && row.Field == state.FieldGone:
		return "open it again at " + row.Provider + ", then `reconciler retry " + client + "`"
	case row.Ref.Kind == state.KindDatabase && (row.Mend || row.Field == state.FieldGone):
		return "restore it at " + row.Provider + ", then `reconciler retry " + client + "`"
	case row.Mend:
		return "it is being put back"
	case row.Policy == manifest.DriftIgnore:
		return "it is ignored until " + row.Until + ": " + row.Reason
	case row.Lapsed:
		return "the ignore ended on " + row.Until + "; " + retry
	case row.Policy == manifest.DriftHeal && row.Waits != "":
		return "it is to be put back, and waits: " + row.Waits
	case row.Field == state.FieldForeign:
		return "settle at " + row.Provider + " whose it is"
	}
	return retry
}

// Open are the rows that people are told of: all but the ignored ones.
func Open(rows []state.Drift) []state.Drift {
	var out []state.Drift
	for _, r := range rows {
		if r.Policy != manifest.DriftIgnore {
			out = append(out, r)
		}
	}
	return out
}

// Told is a print of what people are told of: reported once, not with each look.
func Told(rows []state.Drift) string {
	var b strings.Builder
	for _, r := range Open(rows) {
		fmt.Fprintf(&b, "%s\x00%s\x00%s\x00%v%v\n", r.Ref, r.Field, r.Print, r.Fight, r.Lapsed)
	}
	return b.String()
}

// Report is what is told of a client's rows: its state in the words of reports, one line
// and all of it.
func Report(rows []state.Drift, client string) (word, text, detail string) {
	open := Open(rows)
	if len(open) == 0 {
		return "success", "everything is as recorded again", ""
	}
	word = "pending"
	var lines []string
	for _, r := range open {
		if r.Policy != manifest.DriftHeal || r.Fight || r.Ref.Kind == state.KindDatabase {
			word = "failure"
		}
		lines = append(lines, Text(r)+"; "+Next(r, client))
	}
	text = "changed outside: " + Text(open[0])
	if more := len(open) - 1; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return word, text, strings.Join(lines, "\n")
}
