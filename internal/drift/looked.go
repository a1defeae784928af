package drift

import (
	"slices"
	"sort"
	"time"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/state"
)

// When a row is mended, and when it is a fight.
const (
	// LooksBeforeMend is how many equal looks at different times a mend takes.
	LooksBeforeMend = 2
	// MendsBeforeFight of one field within FightWindow are enough: then it is left alone.
	MendsBeforeFight = 3
	FightWindow      = 24 * time.Hour
)

// Seen is what one look saw of a client.
type Seen struct {
	At       time.Time
	Seq      uint64             // the client's
	Failed   string             // why it saw not all; "" when it did
	Looked   map[state.Ref]bool // what was compared
	Recorded map[state.Ref]bool // what is on record
	Rows     []state.Drift      // what differs: Ref, Provider, ID, Field, Before, After, Print, Secret, Written
	Sizes    []state.Size       // of databases that tell, by Ref
}

// After returns what is known after a look. l is not changed.
func After(l state.Looked, s Seen) state.Looked {
	out := l
	out.Tried, out.Failed = s.At, s.Failed
	if s.Failed == "" {
		out.At = s.At
	}
	anew := l.Seq != s.Seq // a commit: whatever fought may begin again
	out.Seq, out.Rows, out.Mends = s.Seq, nil, nil
	for _, m := range l.Mends {
		if !anew && s.At.Sub(m.At) < FightWindow {
			out.Mends = append(out.Mends, m)
		}
	}
	for _, old := range l.Rows {
		if s.Recorded[old.Ref] && !s.Looked[old.Ref] {
			old.Fight = old.Fight && !anew
			out.Rows = append(out.Rows, old)
		}
	}
	out.Sizes = sizes(l.Sizes, s)
	for _, row := range s.Rows {
		row.Since, row.At, row.Looks = s.At, s.At, 1
		if i := slices.IndexFunc(l.Rows, func(o state.Drift) bool { return o.Ref == row.Ref && o.Field == row.Field }); i >= 0 {
			old := l.Rows[i]
			row.Fight = old.Fight && !anew
			if old.Print == row.Print && old.Written.Equal(row.Written) {
				row.Since, row.Looks, row.Mend = old.Since, old.Looks, old.Mend
				if !s.At.Equal(old.At) { // another look, whatever the clock said
					row.Looks++
				}
			}
		}
		out.Rows = append(out.Rows, row)
	}
	sort.SliceStable(out.Rows, func(i, j int) bool {
		if a, b := out.Rows[i], out.Rows[j]; a.Ref != b.Ref {
			return a.Ref.Less(b.Ref)
		}
		return out.Rows[i].Field < out.Rows[j].Field
	})
	return out
}

// sizes are those that a look was told, and of databases that told it none what was known.
func sizes(known []state.Size, s Seen) []state.Size {
	out := slices.Clone(s.Sizes)
	for _, old := range known {
		if s.Recorded[old.Ref] && !slices.ContainsFunc(s.Sizes, func(n state.Size) bool { return n.Ref == old.Ref }) {
			out = append(out, old)
		}
	}
	slices.SortFunc(out, func(a, b state.Size) int {
		if a.Ref.Less(b.Ref) {
			return -1
		}
		return 1 // no two have one Ref
	})
	return out
}

// Case is what decides about a client's rows.
type Case struct {
	Now    time.Time
	Policy manifest.Drift
	// Rests says why nothing of the client is mended now: it is paused, held, changes are
	// frozen. "" when it is at rest.
	Rests    string
	Resource func(state.Ref) (state.Resource, state.Traits)
}

// Judge decides what becomes of every row. begins says that some of them are to be mended
// that were not before. A row that waits for its pass, or for an approval, goes on to.
func Judge(l state.Looked, c Case) (out state.Looked, begins bool) {
	out = l
	out.Rows = slices.Clone(l.Rows)
	for i := range out.Rows {
		row := &out.Rows[i]
		was := row.Mend
		r, t := c.Resource(row.Ref)
		rule := Of(c.Policy, row.Ref.Kind, row.Field, c.Now)
		row.Policy, row.Reason, row.Until, row.Lapsed = rule.Policy, rule.Reason, rule.Until, rule.Lapsed
		row.Mend, row.Waits = false, ""
		lost := row.Ref.Kind == state.KindDatabase && row.Field == state.FieldGone && !r.Retained()
		never := Never(*row, r, t)
		if on := hangsOn(r, l.Rows); on != "" && never == "" {
			never = on + " is gone, and it hangs on that"
		}
		switch {
		case lost && (was || row.Looks >= LooksBeforeMend && c.Rests == ""):
			row.Mend = true // the pass holds the client
		case row.Policy != manifest.DriftHeal:
			row.Fight = false
		case never != "":
			row.Waits = never
		case row.Fight:
			row.Waits = "somebody or something changes it back"
		case was:
			row.Mend = true
		case row.Looks < LooksBeforeMend:
			row.Waits = "the next look must find the same"
		case c.Rests != "":
			row.Waits = c.Rests
		case mends(l.Mends, *row, c.Now) >= MendsBeforeFight:
			row.Fight, row.Waits = true, "somebody or something changes it back"
		default:
			row.Mend = true
		}
		begins = begins || row.Mend && !was
	}
	return out, begins
}

// hangsOn is something gone that the resource refers to.
func hangsOn(r state.Resource, rows []state.Drift) string {
	for _, on := range r.References() {
		for _, row := range rows {
			if row.Ref == on && row.Field == state.FieldGone {
				return string(on.Kind) + " " + on.Name
			}
		}
	}
	return ""
}

// Postpone takes back what Judge began, for whoever can't mend all at once.
func Postpone(l state.Looked, was state.Looked, why string) state.Looked {
	l.Rows = slices.Clone(l.Rows)
	for i := range l.Rows {
		row := &l.Rows[i]
		had := slices.ContainsFunc(was.Rows, func(o state.Drift) bool { return o.Ref == row.Ref && o.Field == row.Field && o.Mend })
		if row.Mend && !had {
			row.Mend, row.Waits = false, why
		}
	}
	return l
}

func mends(all []state.Mend, row state.Drift, now time.Time) int {
	n := 0
	for _, m := range all {
		if m.Ref == row.Ref && m.Field == row.Field && now.Sub(m.At) < FightWindow {
			n++
		}
	}
	return n
}

// Anew lets whatever fought begin again: a person has said so. What waited to be mended
// is left to the pass that the person asked for.
func Anew(l state.Looked) state.Looked {
	l.Mends, l.Rows = nil, slices.Clone(l.Rows)
	for i := range l.Rows {
		l.Rows[i].Fight, l.Rows[i].Mend = false, false
	}
	return l
}
