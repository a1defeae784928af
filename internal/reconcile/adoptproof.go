package reconcile

import (
	"fmt"
	"maps"
	"slices"

	"github.com/compassdigital/reconciler/internal/desired"
	"github.com/compassdigital/reconciler/internal/state"
)

// wishes makes sure that the edited manifest is valid, wishes the found values, and wishes
// nothing else otherwise.
func (a *adopting) wishes(text []byte, edits []edit) (why string) {
	c := a.in.Client
	c.Manifest = text
	rules, _ := a.e.resolver()
	eff, problems := rules.Client(c)
	if problems.Failed() {
		return "the manifest would be invalid: " + problems[0].Text
	}
	in := a.in
	in.Effective = eff
	wish, _ := desired.Resources(in)
	if why := a.onlyThat(in, wish, edits); why != "" {
		return why
	}
	for _, x := range edits {
		is := func(w state.Resource) bool {
			return w.Ref.Kind == x.row.Ref.Kind && w.Attributes.Literal(x.row.Field) == x.change.Value
		}
		if !keepsName(x.row.Ref.Kind) && !slices.ContainsFunc(wish, is) {
			return otherwise
		}
	}
	return ""
}

// onlyThat makes sure that a wish is the one before, but for what is taken over.
func (a *adopting) onlyThat(in desired.Input, wish []state.Resource, edits []edit) (why string) {
	by := make(map[state.Ref]state.Resource, len(wish))
	for _, w := range wish {
		by[w.Ref] = w
	}
	expected := map[state.Ref]bool{}
	for _, was := range a.was {
		if !keepsName(was.Ref.Kind) {
			continue // it follows from the rest, and another one bears another name
		}
		ref, fields := was.Ref, map[string]bool{}
		for _, x := range edits {
			if x.row.Ref != was.Ref {
				continue
			}
			fields[x.row.Field] = true
			if x.record >= 0 {
				ref, _ = desired.RecordRef(in, x.record)
			}
		}
		w, there := by[ref]
		_, other := a.recorded(ref)
		switch {
		case !there || expected[ref]:
			return fmt.Sprintf("it would take %s %s away", was.Ref.Kind, was.Ref.Name)
		case ref != was.Ref && other:
			return fmt.Sprintf("%s %s is on record as another one; `reconciler retry %s` puts this one back", ref.Kind, ref.Name, a.in.Client.Name)
		}
		expected[ref] = true
		if why := a.differs(was, w, fields); why != "" {
			return why
		}
		if why := a.isKnown(was, w); why != "" {
			return why
		}
	}
	for _, w := range wish {
		if keepsName(w.Ref.Kind) && !expected[w.Ref] {
			return fmt.Sprintf("it would make %s %s, too", w.Ref.Kind, w.Ref.Name)
		}
	}
	return ""
}

// otherwise is why a value is not taken over that a manifest can't wish as it is.
const otherwise = "it has to be changed by hand: the value would be read as another one"

// keepsName says that what a manifest wishes of a kind has a name that an edit of one
// value keeps, but for a record's own.
func keepsName(k state.Kind) bool {
	switch k {
	case state.KindDeployment, state.KindTraffic, state.KindMail:
		return false
	}
	return true
}

// differs says what of a resource would be wished otherwise than it was, and as what was
// found in the fields that are taken over.
func (a *adopting) differs(was, w state.Resource, fields map[string]bool) string {
	names := map[string]bool{}
	for _, x := range slices.Concat(was.Attributes, w.Attributes) {
		names[x.Name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		old, had := was.Attributes.Get(name)
		now, has := w.Attributes.Get(name)
		found, there := a.found(was.Ref, name)
		text := plainly(was.Ref.Kind, name, found.Text)
		switch {
		case fields[name] && there && has && now.Equal(state.Lit(text)):
		case fields[name] && !has && (!there || name == "proxied" && text == "false"):
		case fields[name]:
			return otherwise
		case had && has && now.Equal(old):
		case fields["type"] && name == "priority" && (!has || there && now.Equal(state.Lit(text))): // some types have none
		default:
			return fmt.Sprintf("it has to be changed by hand: it would change %s of %s %s, too", name, was.Ref.Kind, was.Ref.Name)
		}
	}
	return ""
}

// isKnown makes sure that the next plan knows the object again, so that it is neither made
// nor changed nor deleted: a record whose name changes with what it says by all of that,
// what was found and not made by everything.
func (a *adopting) isKnown(was, w state.Resource) string {
	have, _ := a.recorded(was.Ref)
	for _, x := range w.Attributes {
		found, there := a.found(was.Ref, x.Name)
		said := there && x.Value.Equal(state.Lit(plainly(was.Ref.Kind, x.Name, found.Text)))
		switch {
		case said || was.Attributes.Canonical() == w.Attributes.Canonical():
		case have.Found:
			return fmt.Sprintf("%s %s was found at %s, not made: all of it has to be wished as it is, and its %s can't be", was.Ref.Kind, was.Ref.Name, have.Provider, x.Name)
		case was.Ref != w.Ref && slices.Contains([]string{"type", "name", "content", "priority"}, x.Name):
			return fmt.Sprintf("the record is known by all that it says, and its %s can't be taken over with the rest", x.Name)
		}
	}
	return ""
}

// recorded is what is on record as ref.
func (a *adopting) recorded(ref state.Ref) (state.Resource, bool) {
	for _, r := range a.saw.recorded {
		if r.Ref == ref && r.Real() {
			return r, true
		}
	}
	return state.Resource{}, false
}
