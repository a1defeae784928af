package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/compassdigital/reconciler/internal/desired"
	"github.com/compassdigital/reconciler/internal/drift"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
)

// Adoption is a change of a client's manifest that wishes what was found.
type Adoption struct {
	Path  string    `json:"path"`
	Patch string    `json:"patch"` // a unified diff, "" for none
	Taken []string  `json:"taken"` // what it takes over
	Left  []NotHere `json:"left"`  // what it can't
	// For a pull request with the same change: the client, the blob that was edited, and
	// what it becomes.
	Client string `json:"-"`
	Was    string `json:"-"`
	Text   []byte `json:"-"`
}

// NotHere is drift that no edit of the client's own file takes over.
type NotHere struct {
	Text string `json:"text"`
	Why  string `json:"why"` // with the place that says it
}

// AdoptDrift looks at a client, now, and edits its manifest, as it was last accepted, so
// that it wishes what was found. Only those values change. Nothing is written: the change
// is for a commit.
func (e *Engine) AdoptDrift(ctx context.Context, name string) (Adoption, error) {
	out := Adoption{Taken: []string{}, Left: []NotHere{}}
	ids, err := e.named([]string{name})
	if err != nil {
		return out, fmt.Errorf("adopt drift: %w", err)
	}
	turns, err := e.lookOrder(ids)
	if err != nil || len(turns) == 0 {
		return out, fmt.Errorf("adopt drift: %w", err)
	}
	s, err := e.newSurvey(nil, turns, true)
	if err != nil {
		return out, fmt.Errorf("adopt drift: %w", err)
	}
	live, saw, err := e.lookNow(ctx, s, turns[0], lookWait)
	if err != nil {
		return out, err
	}
	c := saw.client
	switch {
	case c.Removed || len(c.Manifest) == 0:
		return out, fmt.Errorf("%w: %s has no manifest any more", ErrRefused, c.Name)
	case saw.result.Failed != "":
		return out, fmt.Errorf("%w: not all of %s could be looked at: %s", ErrRefused, c.Name, saw.result.Failed)
	}
	eff, problems := e.effective(c)
	if problems.Failed() {
		return out, fmt.Errorf("%w: %s: %s", ErrRefused, c.Path, problems[0].Text)
	}
	a := &adopting{e: e, in: e.desiredInput(c, eff, nil, nil), text: c.Manifest, saw: saw}
	a.was, _ = desired.Resources(a.in)
	out.Path = c.Path
	rows := drift.Open(live.Rows)
	left := a.takeAll(rows)
	for i, row := range rows {
		if left[i] != "" {
			out.Left = append(out.Left, NotHere{drift.Text(row), left[i]})
			continue
		}
		out.Taken = append(out.Taken, drift.Text(row))
	}
	out.Patch = drift.Patch(c.Path, c.Manifest, a.text)
	out.Client, out.Was, out.Text = c.Name, c.Blob, a.text
	return out, nil
}

// adopting is a manifest on its way to wish what was found.
type adopting struct {
	e     *Engine
	in    desired.Input
	was   []state.Resource // the wish before
	text  []byte
	saw   *seen
	taken []edit
}

// edit is one row with the change of the file that takes it over.
type edit struct {
	n      int // of the row
	row    state.Drift
	change manifest.Change
	record int // its place in dns.records, -1 for what is no record
}

// takeAll takes over what it can, and says of every row why it could not, "" where it
// could. What is found of one record belongs together: a type and a content, a content and
// a priority. Records may stand in each other's way until several are taken, so that
// whatever is left is tried again.
func (a *adopting) takeAll(rows []state.Drift) (left []string) {
	left = make([]string, len(rows))
	var groups [][]edit
	for n, row := range rows {
		x, why := a.edit(row)
		if left[n] = why; why != "" {
			continue
		}
		x.n = n
		if last := len(groups) - 1; last >= 0 && x.record >= 0 && groups[last][0].row.Ref == row.Ref {
			groups[last] = append(groups[last], x)
			continue
		}
		groups = append(groups, []edit{x})
	}
	groups = a.takeEach(groups, left)
	if len(groups) > 1 && a.take(slices.Concat(groups...)) == "" {
		for _, x := range slices.Concat(groups...) {
			left[x.n] = ""
		}
		return left
	}
	var single [][]edit // of a record that can't be taken over whole, what can
	for _, g := range groups {
		for _, x := range g {
			if len(g) > 1 {
				single = append(single, []edit{x})
			}
		}
	}
	a.takeEach(single, left)
	return left
}

// takeEach takes over what it can of the groups, one after the other, until no more can
// be. It returns those that are left.
func (a *adopting) takeEach(groups [][]edit, left []string) [][]edit {
	for {
		var rest [][]edit
		for _, g := range groups {
			why := a.take(g)
			for _, x := range g {
				left[x.n] = why
			}
			if why != "" {
				rest = append(rest, g)
			}
		}
		if len(rest) == len(groups) || len(rest) == 0 {
			return rest
		}
		groups = rest
	}
}

// edit is the change that one row takes, or why there is none and where that stands.
func (a *adopting) edit(row state.Drift) (x edit, why string) {
	found, there := a.found(row.Ref, row.Field)
	retry := "`reconciler retry " + a.in.Client.Name + "`"
	switch row.Field {
	case state.FieldGone:
		if row.Ref.Kind == state.KindDatabase || row.Ref.Kind == state.KindPayments { // nobody makes it again
			return x, "it is gone; " + drift.Next(row, a.in.Client.Name)
		}
		return x, "the object is gone; " + retry + " makes it again, or take it out of the manifest"
	case state.FieldUndone:
		return x, "a person keeps it: " + drift.Next(row, a.in.Client.Name)
	case state.FieldForeign:
		return x, "it is not ours any more; settle at " + row.Provider + " whose it is"
	}
	origin := desired.OriginOf(a.in, row.Ref, row.Field)
	if origin.At == "" {
		return x, origin.Why
	}
	variable := row.Ref.Kind == state.KindEnvironment
	switch {
	case !there && !variable:
		return x, row.Provider + " does not show it any more; " + retry + " puts it back"
	case found.Secret != nil, row.Ref.Kind != state.KindRecord && (row.Secret || manifest.Delicate(row.Field, found.Text)): // what DNS says is public
		return x, "it may be a secret, which has no place in a repository: `reconciler secret set` keeps it"
	}
	x = edit{row: row, record: -1, change: manifest.Change{At: origin.At, None: !there}}
	if x.change.Value, why = desired.Written(a.in, row.Ref, row.Field, found.Text); why != "" {
		return x, why
	}
	if row.Ref.Kind == state.KindRecord {
		x.record = a.place(row.Ref)
	}
	if manifest.SaidAt(a.in.Client.Path, a.text, origin.At) == 0 {
		if why := a.elsewhere(origin.At); why != "" {
			return x, why
		}
		x.change.Add = true
	}
	return x, ""
}

// place is where dns.records says a record.
func (a *adopting) place(ref state.Ref) int {
	for i := range a.in.Effective.DNS.Records {
		if r, ok := desired.RecordRef(a.in, i); ok && r == ref {
			return i
		}
	}
	return -1
}

// found is what was found of an object, whole.
func (a *adopting) found(ref state.Ref, field string) (v provider.Observed, there bool) {
	for _, x := range a.saw.objects[ref].Attributes {
		if x.Name == field {
			return x, true
		}
	}
	return v, false
}

// take edits the values of some rows, all of them or none.
func (a *adopting) take(edits []edit) (why string) {
	var changes []manifest.Change
	for _, x := range edits {
		changes = append(changes, x.change)
	}
	path := a.in.Client.Path
	text, line, err := manifest.Edit(path, a.text, changes...)
	switch {
	case errors.Is(err, manifest.ErrNotSaid):
		return fmt.Sprintf("%s does not say %s", report.Line(path), edits[0].change.At)
	case err != nil:
		return path + ": " + err.Error()
	}
	all := slices.Concat(a.taken, edits)
	if why := a.wishes(text, all); why != "" {
		return fmt.Sprintf("%s:%d: %s", path, line, why)
	}
	a.text, a.taken = text, all
	return ""
}

// elsewhere says where a field is said that the client's own file does not say; "": it is
// a default, which the client's own file may say.
func (a *adopting) elsewhere(at string) string {
	c := a.in.Client
	asked, say := at, "say "+at+" in "+c.Path
	if entry, _, of := strings.Cut(at, "]"); of { // a list is inherited whole
		asked = entry + "]"
		list, _, _ := strings.Cut(asked, "[")
		if manifest.SaidAt(c.Path, a.text, asked) > 0 {
			return ""
		}
		say = "a list is inherited whole: copy " + list + " to " + c.Path + " and change it there"
	}
	_, base := a.e.resolver()
	if base == nil {
		return ""
	}
	places := []string{"defaults." + asked, asked}
	if rest, of := strings.CutPrefix(asked, "deployment."); of {
		places = append(places, "source."+rest)
	}
	for _, f := range append(slices.Clone(base.Templates), base.Kept...) {
		for _, there := range places {
			if f.Blob != c.TemplateBlob {
				continue
			}
			if line := manifest.SaidAt(f.Path, f.Data, there); line > 0 {
				return fmt.Sprintf("it comes from the template: %s:%d, %s, which all of its clients share; %s", f.Path, line, there, say)
			}
		}
	}
	if p := base.Platform; p != nil {
		if line := manifest.SaidAt(p.Path, p.Data, "defaults."+asked); line > 0 {
			return fmt.Sprintf("it comes from the platform file: %s:%d, defaults.%s, which all clients share; %s", p.Path, line, asked, say)
		}
	}
	return ""
}
