package rebuild

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// attributes says of every attribute of a resource what is on record of it: what the wish
// says, or an older record, where the object agrees or does not tell; else what the
// object says.
func (r *record) attributes(res *state.Resource) {
	f, w, had := r.of[res.Ref], r.wished[res.Ref], r.had[res.Ref]
	out := map[string]state.Value{}
	for _, source := range []state.Attributes{w.Attributes, had.Attributes} {
		for _, a := range source {
			if _, done := out[a.Name]; done {
				continue
			}
			v, ok := r.value(res.Ref, f, a.Name)
			if ok {
				out[a.Name] = v
			}
		}
	}
	// A set is replaced as one: what is in it and nobody asked for is drift. Of a resource
	// that nobody asks for, what it says is all that there is.
	unknown := len(w.Attributes) == 0 && len(had.Attributes) == 0
	for _, a := range f.Attributes {
		if _, done := out[a.Name]; !done && (unknown || strings.HasPrefix(a.Name, "env.")) {
			if v, ok := r.value(res.Ref, f, a.Name); ok {
				out[a.Name] = v
			}
		}
	}
	if f.Mark.IsZero() && res.Ref.Kind == state.KindRecord {
		res.Found = true
	}
	res.Attributes = state.NewAttributes(out)
}

// value is one attribute as it goes on record; false: nothing of it does.
func (r *record) value(ref state.Ref, f Found, name string) (state.Value, bool) {
	wish, wished := r.wished[ref].Attributes.Get(name)
	old, was := r.had[ref].Attributes.Get(name)
	told, is := f.attribute(name)
	if !is {
		switch {
		case ref.Kind == state.KindEnvironment && name != "site" && r.builtSince():
			s := old.Secret
			if !was && wish.Secret != nil { // it came since, and what is here may be older than what was set since
				if _, known := r.text(*wish.Secret); known {
					s = wish.Secret
				}
			}
			if s != nil {
				r.unshown = append(r.unshown, s.Name)
			}
			return state.Value{}, false
		case was:
			return old, true
		case ref.Kind == state.KindEnvironment && name != "site" && !r.released:
			return state.Value{}, false // nobody knows that it ever got there
		}
		return wish, wished
	}
	for _, v := range []struct {
		state.Value
		ok bool
	}{{wish, wished}, {old, was}} {
		if v.ok && r.says(ref.Kind, name, v.Value, told) {
			return v.Value, true
		}
	}
	if v, ok := r.refers(ref, name, told); ok {
		return v, true
	}
	for _, v := range []struct {
		state.Value
		ok bool
	}{{wish, wished}, {old, was}} {
		if s := v.Secret; v.ok && s != nil {
			if _, known := r.text(*s); known {
				// Set after the older state was kept: to write the older one would undo it.
				r.out.Doubts = append(r.out.Doubts, fmt.Sprintf("%s of %s %s at %s is not what the secret %s says here; it was set later, or by hand", name, ref.Kind, ref.Name, f.Provider, s.Name))
				return v.Value, true
			}
		}
	}
	variable := strings.HasPrefix(name, "env.")
	if told.Secret == nil && (!variable || wished && wish.Secret == nil && wish.Ref == nil) {
		return state.Lit(told.Text), true
	}
	text := state.NewSecret(told.Reveal())
	return state.SecretValue(r.seal(state.SecretRef{Scope: string(ref.Client), Name: "observed/" + string(ref.Kind) + "/" + ref.Name + "/" + name}, text, "adopted")), true
}

// builtSince says that what serves is a release that an older state does not know, and not the wished one: what
// its host has of variables may be newer than what is here.
func (r *record) builtSince() bool {
	serves := ""
	for ref, f := range r.of {
		if ref.Kind == state.KindTraffic {
			serves = f.get("deployment")
		}
	}
	for ref, f := range r.of {
		if _, wished := r.wished[ref]; ref.Kind == state.KindDeployment && f.ID == serves {
			return !wished && r.had[ref].ID != f.ID
		}
	}
	return false
}

// doubtUnshown asks a person about those, once.
func (r *record) doubtUnshown() {
	if len(r.unshown) == 0 {
		return
	}
	sort.Strings(r.unshown)
	r.out.Doubts = append(r.out.Doubts, "a release was built since that this state does not know, and what its host has of these secrets, which it does not show, may be newer: "+
		strings.Join(slices.Compact(r.unshown), ", ")+"; set again what was set since, and then approve, or it goes on with what is here")
}

// says compares a value with what an object tells. A secret that nobody knows any more is
// compared by its fingerprint, where it has one.
func (r *record) says(k state.Kind, name string, v state.Value, told provider.Observed) bool {
	switch {
	case v.Secret != nil:
		if text, known := r.text(*v.Secret); known {
			return text.Equal(state.NewSecret(told.Reveal()))
		}
		return v.Secret.Fingerprint == r.in.Fingerprint(state.NewSecret(told.Reveal()))
	case v.Ref != nil:
		text, known := r.output(*v.Ref, v.Output)
		return known && text.Equal(state.NewSecret(told.Reveal()))
	}
	if told.Secret != nil {
		return told.Secret.Equal(state.NewSecret(v.Literal))
	}
	return v.Literal == told.Text || sameNumber(k, name, v.Literal, told.Text)
}

// sameNumber: vendors write a time to live or a priority in their own way.
func sameNumber(k state.Kind, name, a, b string) bool {
	if k != state.KindRecord || (name != "ttl" && name != "priority") {
		return false
	}
	x, errX := strconv.Atoi(a)
	y, errY := strconv.Atoi(b)
	return errX == nil && errY == nil && x == y
}

// output is what another resource of the record gives.
func (r *record) output(ref state.Ref, name string) (state.Secret, bool) {
	f, ok := r.of[ref]
	if !ok {
		f, ok = r.in.Beside[ref]
	}
	if had := r.had[ref]; !ok && had.Real() { // it is gone since; who refers to it says so still
		v := had.Outputs[name]
		if name == "id" {
			v = state.Lit(had.ID)
		}
		if v.Secret != nil {
			return r.text(*v.Secret)
		}
		return state.NewSecret(v.Literal), v.Literal != ""
	}
	if !ok {
		return state.Secret{}, false
	}
	if name == "id" {
		return state.NewSecret(f.ID), true
	}
	for _, o := range f.Outputs {
		if o.Name != name {
			continue
		}
		if o.Secret != nil {
			return *o.Secret, true
		}
		return state.NewSecret(o.Text), true
	}
	return state.Secret{}, false
}

// refers makes the id of another object of the client a reference to it: the release that
// serves may be an earlier one, the site the other side of a switch.
func (r *record) refers(ref state.Ref, name string, told provider.Observed) (state.Value, bool) {
	kind := map[string]state.Kind{"site": state.KindSite, "deployment": state.KindDeployment, "database": state.KindDatabase}[name]
	if kind == "" || (ref.Kind == state.KindRecord || ref.Kind == state.KindMail) {
		return state.Value{}, false
	}
	other, ok := r.ids[string(kind)+" "+told.Reveal()]
	if !ok {
		return state.Value{}, false
	}
	return state.OutputOf(r.named(kind, other), "id"), true
}

// Source is what the release that serves was made of, as far as it says: the commit that
// a branch or tag meant then. "": it doesn't say.
func Source(found []Found, repository, ref string) (commit string) {
	serves := ""
	for _, f := range found {
		if f.Kind == state.KindTraffic {
			serves = f.get("deployment")
		}
	}
	all := append([]Found(nil), found...)
	sort.Slice(all, func(i, j int) bool { return all[i].less(all[j]) })
	for _, f := range all {
		if f.Kind != state.KindDeployment || f.get("repository") != repository || f.get("ref") != ref {
			continue
		}
		if c := f.get("commit"); f.ID == serves || commit == "" {
			commit = c
		}
	}
	return commit
}
