package plan

import (
	"slices"

	"github.com/compassdigital/reconciler/internal/state"
)

// A DNS record is known by its type and name, and where a name may have several of a type
// by what it says, too. Somebody may change that by hand, and the manifest may come to
// wish it so: then it is the same record under another name. It is taken over as it is,
// neither made nor deleted.
//
//	recorded, not wished                   wished, not recorded
//	says it by now, ours                   moves: the same object under the new name
//	says it by now, found, not made        is recorded as found; the old name is forgotten when it is removed
//	is of its name and can't be looked at  waits, and the recorded one with it
//	several say it by now                  is made, like any other
//	says something else                    is made, like any other
//	is the name's one of its kind of mail  is changed to what is wished: the same object under the
//	policy (SPF, DMARC, a key of DKIM)     new name, as two at once void each other
type restated struct {
	as    map[state.Ref]state.Resource // wished Ref → what is on record and says it
	taken map[state.Ref]bool           // recorded Refs that are wished under another name, or may be
	waits map[state.Ref]string         // wished Ref → why nobody knows
}

// findRestated pairs records that are wished with those that say so by now.
func (b *builder) findRestated() {
	b.restated = restated{as: map[state.Ref]state.Resource{}, taken: map[state.Ref]bool{}, waits: map[state.Ref]string{}}
	var left []state.Resource
	for _, r := range b.sortedRecord() {
		if _, wished := b.wished[r.Ref]; r.Ref.Kind == state.KindRecord && !wished && r.Real() && !r.Retained() && !b.leaves(r.Ref) {
			left = append(left, r)
		}
	}
	if len(left) == 0 {
		return
	}
	for _, w := range b.sortedWish() {
		have, recorded := b.recorded[w.Ref]
		if w.Ref.Kind != state.KindRecord || recorded && have.Real() || b.comesFrom(w.Ref) {
			continue
		}
		var say []state.Resource
		var unknown []state.Ref
		for _, r := range left {
			look := b.c.Looks[r.Ref]
			switch {
			case r.Provider != w.Provider:
			case look.Failed != "" && r.Attributes.Literal("type") == w.Attributes.Literal("type") && r.Attributes.Literal("name") == w.Attributes.Literal("name"):
				b.restated.waits[w.Ref] = look.Failed
				unknown = append(unknown, r.Ref)
			case look.says(w, "type", "name", "content", "priority"):
				say = append(say, r)
			}
		}
		if len(say) == 0 && len(unknown) == 0 {
			say = b.policyBefore(w, left)
		}
		if len(say) == 1 {
			b.restated.as[w.Ref] = say[0]
			continue
		}
		for _, ref := range unknown {
			b.restated.taken[ref] = true
		}
	}
	by := map[state.Ref]int{}
	for _, r := range b.restated.as {
		by[r.Ref]++
	}
	for ref, r := range b.restated.as {
		if by[r.Ref] > 1 {
			delete(b.restated.as, ref) // two wishes say the same: no telling which it is
		} else if !r.Found {
			b.restated.taken[r.Ref] = true
		}
	}
}

// policyBefore is what is on record, and wished no more, of the mail policy that a wished record says of its name.
func (b *builder) policyBefore(w state.Resource, left []state.Resource) (out []state.Resource) {
	policy := policyOf(w)
	if policy == "" || b.traits(w.Provider, w.Ref.Kind).Manual {
		return nil
	}
	for _, r := range left {
		if r.Provider == w.Provider && policyOf(r) == policy && r.Attributes.Literal("name") == w.Attributes.Literal("name") && !b.c.Looks[r.Ref].Gone {
			out = append(out, r)
		}
	}
	return out
}

func policyOf(r state.Resource) string {
	return state.MailPolicy(r.Attributes.Literal("type"), r.Attributes.Literal("name"), r.Attributes.Literal("content"))
}

// says that what was looked at says what is wished, in these attributes as far as they
// are wished; none: in all.
func (l Look) says(w state.Resource, names ...string) bool {
	if len(l.Says) == 0 || l.Failed != "" || l.Gone || l.Foreign != "" {
		return false
	}
	for _, a := range w.Attributes {
		if len(names) > 0 && !slices.Contains(names, a.Name) {
			continue
		}
		if text, told := l.Says[a.Name]; a.Value.Ref != nil || a.Value.Secret != nil || !told || text != a.Value.Literal {
			return false
		}
	}
	return true
}

// restate takes a record over under the name that it has by what it says now.
func (b *builder) restate(w, have state.Resource) {
	look := b.c.Looks[have.Ref]
	if have.Found {
		if look.says(w) {
			b.use(w, have.ID)
		} else {
			b.changesFound(w, have, diff(look.asSaid(have), w))
		}
		return
	}
	prior := look.asSaid(have)
	w.Adopted = have.Adopted
	t := b.traits(w.Provider, w.Ref.Kind)
	s := Step{Number: Number(w.Ref.Kind), Action: Move, Ref: w.Ref, From: have.Ref, FromClient: b.c.Client.Name, Provider: w.Provider, Wish: &w, Prior: &prior,
		Fields: diff(prior, w), Reason: "it was changed outside, and the manifest takes that over", Undo: "it goes by its earlier name again; it says the same",
		Calls: t.ObserveCalls + t.UpdateCalls}
	if len(s.Fields) > 0 && !only(s.Fields, "ttl") {
		if t.Serving {
			s.Risk = RiskTraffic
		}
		if slices.ContainsFunc(s.Fields, func(f Field) bool { return f.Name == "content" }) {
			s.Reason = listWords(names(s.Fields)) + " changed"
		}
		if b.mail(have) {
			s.Risk = RiskMail
		}
	}
	b.add(s)
}

// asSaid is what is on record with what a look says of it.
func (l Look) asSaid(r state.Resource) state.Resource {
	r.Attributes = slices.Clone(r.Attributes)
	for i, a := range r.Attributes {
		if text, told := l.Says[a.Name]; told {
			r.Attributes[i].Value = state.Lit(text)
		}
	}
	return r
}

// use takes something that was found, not made, as it is.
func (b *builder) use(w state.Resource, id string) {
	w.ID, w.Found = id, true
	b.add(Step{Number: Number(w.Ref.Kind), Action: Adopt, Ref: w.Ref, Provider: w.Provider, Wish: &w, Calls: b.traits(w.Provider, w.Ref.Kind).ObserveCalls,
		Reason: "an equal one exists; it is used and never changed", Undo: "it is taken off the record; it stays"})
}

// changesFound holds the client: what was found is never changed.
func (b *builder) changesFound(w, have state.Resource, fields []Field) {
	b.problem(state.HoldParked, "wish what is there, or remove it at "+w.Provider+", then `reconciler retry "+b.c.Client.Name+"`",
		"%s of %s %s changes, and that was found at %s, not made: it is never changed", listWords(names(fields)), w.Ref.Kind, w.Ref.Name, w.Provider)
}
