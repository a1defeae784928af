package report

import (
	"sort"
	"strconv"

	"github.com/compassdigital/reconciler/internal/plan"
)

// Difference is what became new and what went in a client's plan, step by step.
type Difference struct {
	Client  string
	New     []Step // not in the earlier plan, or otherwise in it
	Gone    []Step // only in the earlier plan
	Same    int
	Entered bool // the earlier plan did not change the client
	Left    bool // the later one does not
}

// Differences compares two plans, by client. Two steps are the same if they do the same
// with the same values and risk; reasons, calls and dates do not count.
func Differences(before, after Plan) []Difference {
	was, is := map[string]Change{}, map[string]Change{}
	names := map[string]bool{}
	for _, c := range before.Changes {
		was[c.Client], names[c.Client] = c, true
	}
	for _, c := range after.Changes {
		is[c.Client], names[c.Client] = c, true
	}
	all := make([]string, 0, len(names))
	for n := range names {
		all = append(all, n)
	}
	sort.Strings(all)
	var out []Difference
	for _, n := range all {
		d := differ(was[n], is[n])
		d.Client = n
		_, here := is[n]
		_, there := was[n]
		d.Entered, d.Left = !there, !here
		if len(d.New) > 0 || len(d.Gone) > 0 {
			out = append(out, d)
		}
	}
	return out
}

// differ compares two changes of one client.
func differ(before, after Change) Difference {
	left := map[string]int{}
	for _, s := range before.Steps {
		left[s.same()]++
	}
	var d Difference
	for _, s := range after.Steps {
		if s.Action == string(plan.Record) {
			continue // whatever is done is recorded
		}
		if k := s.same(); left[k] > 0 {
			left[k]--
			d.Same++
			continue
		}
		d.New = append(d.New, s)
	}
	for _, s := range before.Steps { // the last ones of equal steps are those that went
		if k := s.same(); left[k] > 0 && s.Action != string(plan.Record) {
			left[k]--
			d.Gone = append(d.Gone, s)
		}
	}
	return d
}

// same is equal for steps that do the same.
func (s Step) same() string {
	k := strconv.Quote(s.Action) + strconv.Quote(s.Ref) + strconv.Quote(s.Provider) + strconv.Quote(s.Risk)
	for _, f := range s.Fields {
		k += strconv.Quote(f.Name) + strconv.Quote(f.Before) + strconv.Quote(f.After)
	}
	return k
}
