package plan

import (
	"slices"
	"strings"

	"github.com/compassdigital/reconciler/internal/state"
)

// Adoption.
//
//	wished resource          on record     looked at     first pass
//	adopt: names it          no            there, -      adopt: recorded, nothing is written
//	adopt: names it          no or yes     gone          the client is held: it is never created
//	adopt: names it          as another id -             the client is held; a database in the place of one
//	                                                     that was adopted: adopted, once that is approved
//	adopt: names it          no            another    the client is held: a record of another name or type is
//	                                       record     never made into it, and is not ours to delete
//	adopt: names it twice    by nobody     -             both clients are held; else the newcomer
//	adopt: names it          by a removed  -             the client is held: it takes nothing that is kept
//	                         client                      for another one, also one of its own name
//	part of an adopted site  no            there, -      adopt
//	part of an adopted site  no            gone          nothing; planned like any other afterwards
//	part of an adopted site  no            foreign, two  the client is held
//	its address record, and  no            there, -      nothing; planned like any other afterwards: it is
//	the site has no such host                           somebody's, used if it is equal, a conflict else
//	everything else          -             -             nothing; planned afterwards, but for users and mail
//
// Later, a host name that an adopted site has and that is not on record (the manifest
// dropped it, and wishes it again) was there before us, too: it is adopted like the rest. So are
// its environment and its traffic, which a removal that was cut off has taken off the record.
//
// Parts of a site are its environment, the release that serves, traffic, host names and
// their address records, also those that the manifest writes out. They have no id in the manifest: the look finds them by the
// site and by name.

// checkAdopted holds the client when what it names can't be taken over.
func (b *builder) checkAdopted() {
	again := ", then `reconciler retry " + b.c.Client.Name + "`"
	for _, w := range b.sortedWish() {
		if w.AdoptID == "" {
			continue
		}
		hold := state.HoldParked
		if b.traits(w.Provider, w.Ref.Kind).Data || w.Ref.Kind == state.KindDatabase {
			hold = state.HoldData
		}
		have, other := b.recorded[w.Ref], b.twice[string(b.c.Client.ID)+"\x00"+objectKey(w.Provider, w.Ref.Kind, w.AdoptID)]
		if other.name == "" {
			other = rival{name: b.c.Looks[w.Ref].Other, left: b.c.Looks[w.Ref].Left}
		}
		switch {
		case other.left:
			act := "take it out of `adopt:`, or wait until " + other.name + " has gone"
			if w.Ref.Kind == state.KindDatabase || w.Ref.Kind == state.KindPayments {
				act = "take it out of `adopt:`; or, to go on as the " + other.name + " that was removed, remove this file, and once it has gone add " + other.name + " with `database.reuse: retained`; or, to have it here, `reconciler purge " + other.name + "`, which erases nothing that this file names" + again
			}
			b.problem(hold, act, "adopt.%s names %s at %s, which the %s that was removed still has: an object belongs to one client", w.Ref.Kind, w.AdoptID, w.Provider, other.name)
		case other.name != "":
			b.problem(hold, "take it out of one of the two"+again, "adopt.%s names %s at %s, and so does %s: an object belongs to one client", w.Ref.Kind, w.AdoptID, w.Provider, other.name)
		case have.Real() && have.Provider == w.Provider && differ(have, w) && !b.another(w): // a provider may take an id without what holds it: a record's zone
			b.problem(hold, "put back `adopt."+string(w.Ref.Kind)+": "+have.ID+"`, or take it out", "adopt.%s names %s, and the client has %s", w.Ref.Kind, w.AdoptID, have.ID)
		case b.c.Looks[w.Ref].Gone:
			b.problem(hold, "mend the id, or restore it at "+w.Provider+again, "adopt.%s names %s, which is not at %s; what is adopted is never created", w.Ref.Kind, w.AdoptID, w.Provider)
		case b.c.Looks[w.Ref].Foreign != "":
			b.problem(state.HoldParked, "settle at "+w.Provider+" whose it is (where nobody has it any more, take that mark off there)"+again, "%s %s at %s bears the mark of %s: it is not ours to adopt", w.Ref.Kind, w.AdoptID, w.Provider, b.c.Looks[w.Ref].Foreign)
		case !b.adopted(w) && b.anotherRecord(w) != "":
			b.problem(state.HoldParked, "name the id of that one, or take it out of `adopt:`", "adopt.record names %s, which is %s at %s, and not %s: it names the record of the client's own name", w.AdoptID, b.anotherRecord(w), w.Provider, w.Ref.Name)
		}
	}
}

// WithoutMark is what to do about an object that is in the way and that nobody marked: `adopt:` can name some kinds,
// and of records the one of the client's own name. What follows says where.
func WithoutMark(k state.Kind) string {
	switch k {
	case state.KindSite, state.KindDatabase, state.KindPayments:
		return "name it in `adopt:`, or remove it"
	case state.KindRecord:
		return "name it in `adopt:` if it is that of the client's own name, else remove it"
	}
	return "remove it"
}

// anotherRecord is what a record that `adopt:` names is called, where that is of another name or type than the wished one.
func (b *builder) anotherRecord(w state.Resource) string {
	is := b.c.Looks[w.Ref].Says
	if w.Ref.Kind != state.KindRecord || is["name"] == "" || is["name"] == w.Attributes.Literal("name") && is["type"] == w.Attributes.Literal("type") {
		return ""
	}
	return is["type"] + " " + is["name"]
}

// Adopting is the phase of what `adopt:` names until the first pass is through: one that
// was cut off is begun again, so that no part of a site is taken for a stranger's.
const Adopting = "adopting"

// StillAdopted is the wish with what a first pass that was cut off has on record already:
// the manifest may name it no more by now, and half of a site is nobody's.
func StillAdopted(wish, recorded []state.Resource) []state.Resource {
	var out []state.Resource
	for _, have := range recorded {
		if have.Phase != Adopting {
			continue
		}
		for i, w := range wish {
			if w.Ref != have.Ref || w.Provider != have.Provider || w.AdoptID != "" {
				continue
			}
			if out == nil {
				out = append(out, wish...)
			}
			out[i].AdoptID = have.ID
		}
	}
	if out == nil {
		return wish
	}
	return out
}

// differ says that `adopt:` names another object than the one on record.
func differ(have, w state.Resource) bool {
	return have.ID != w.AdoptID && !strings.HasSuffix(have.ID, "/"+w.AdoptID)
}

// another says that `adopt:` names another database than the one that was adopted: its owner moved the data, or the id
// was a wrong one. Once somebody says yes to it, that one is the client's; the one before stays where it is.
func (b *builder) another(w state.Resource) bool {
	have := b.recorded[w.Ref]
	return w.Ref.Kind == state.KindDatabase && w.AdoptID != "" && have.Real() && have.Adopted && (have.Provider != w.Provider || differ(have, w))
}

// adopting says that the first pass is not through: something that `adopt:` names is not
// on record yet, or its parts may not be.
func (b *builder) adopting() bool {
	for _, w := range b.wished {
		if w.AdoptID != "" && !b.adopted(w) {
			return true
		}
	}
	return false
}

// again are the parts that an adopted site may have from before us, and that are not on record.
func (b *builder) again() []state.Resource {
	var out []state.Resource
	for _, w := range b.sortedWish() {
		part := w.Ref.Kind == state.KindDomain || w.Ref.Kind == state.KindEnvironment || w.Ref.Kind == state.KindTraffic
		if !part || b.recorded[w.Ref].Real() {
			continue
		}
		if _, moves := b.moves.to[w.Ref]; moves {
			continue
		}
		v, _ := w.Attributes.Get("site")
		if v.Ref != nil && b.recorded[*v.Ref].Real() && b.recorded[*v.Ref].Adopted {
			out = append(out, w)
		}
	}
	return out
}

// adoptAgain records those of them that are there; false: there are none. Our mark says
// nothing: what was adopted once bears it from its first change on, and what we made is
// on record or has an open intent.
func (b *builder) adoptAgain() bool {
	found := false
	for _, w := range b.again() {
		look := b.c.Looks[w.Ref]
		if !look.Found || look.Foreign != "" || look.Count > 1 {
			continue
		}
		found = true
		w.ID, w.Adopted = look.ID, true
		b.add(Step{Number: Number(w.Ref.Kind), Action: Adopt, Ref: w.Ref, Provider: w.Provider, Wish: &w, Calls: b.traits(w.Provider, w.Ref.Kind).ObserveCalls,
			Reason: "the adopted site has it, from before us", Undo: "it is taken off the record; it stays as it is"})
	}
	return found
}

// adopted says that the resource is on record for good.
func (b *builder) adopted(w state.Resource) bool {
	have := b.recorded[w.Ref]
	return have.Real() && have.Phase != Adopting && !b.another(w)
}

// ToAdopt lists what the client's first pass records, and what has to be looked for
// before: what bears an AdoptID by that id; the rest, parts of the adopted site, by the
// site that their attribute names, host names and records by their own name. It is
// empty when nothing is to be adopted. A look says Found with the ID, Gone, Failed,
// Foreign (another mark, or another client has that part on record), Other or Count.
func ToAdopt(c ClientInput) []state.Resource {
	b := newBuilder(Input{}, c, moves{})
	switch {
	case c.Removed:
		return nil
	case b.adopting():
		return b.toAdopt()
	}
	return b.again()
}

func (b *builder) toAdopt() []state.Resource {
	var out []state.Resource
	for _, w := range b.sortedWish() {
		if !b.adopted(w) && (w.AdoptID != "" || b.ofAdopted(w)) {
			out = append(out, w)
		}
	}
	return out
}

// adopt is the first pass: it records and does nothing else.
func (b *builder) adopt() {
	for _, w := range b.toAdopt() {
		look := b.c.Looks[w.Ref]
		if w.AdoptID == "" && (look.Gone || !b.leadsToAdopted(w)) {
			continue // made by the next pass, or somebody's
		}
		if look.Foreign != "" || look.Count > 1 {
			b.resource(w) // says why a person must decide
			continue
		}
		reason := "`adopt:` names it"
		w.ID, w.Adopted = w.AdoptID, true
		if w.AdoptID == "" {
			w.ID, reason = look.ID, "it is part of the adopted site"
		}
		s := b.add(Step{Number: Number(w.Ref.Kind), Action: Adopt, Ref: w.Ref, Provider: w.Provider, Wish: &w, Calls: b.traits(w.Provider, w.Ref.Kind).ObserveCalls,
			Reason: reason, Undo: "it is taken off the record; it stays as it is"})
		if have := b.recorded[w.Ref]; b.another(w) {
			s.Prior, s.Risk = &have, RiskData
			s.Reason = "`adopt:` names it in the place of " + have.ID + " at " + have.Provider + ", which stays where it is: from then on the site has the data of this one"
			s.Undo = "`adopt:` names the one before again"
		}
		if look.Failed != "" {
			s.WaitFor(w.Provider, look.Failed)
		}
	}
	environment := state.Ref{Client: b.c.Client.ID, Kind: state.KindEnvironment, Name: b.site.Name}
	for i := range b.steps {
		s := &b.steps[i]
		for _, r := range s.Wish.References() {
			if k, ok := b.key(r); ok {
				s.needs(k)
			}
		}
		if s.Ref.Kind == state.KindDeployment {
			if k, ok := b.key(environment); ok {
				s.needs(k) // whether the release was built with what is wished is known only then
			}
		}
	}
}

// Marks are the steps that write our mark on what was adopted, where may says that a
// provider has a place for one. What hangs on a site is marked with it.
func Marks(c state.Client, recorded []state.Resource, may func(provider string, k state.Kind) bool) []Step {
	var out []Step
	for _, r := range recorded {
		if !r.Adopted || !r.Real() || r.Retained() || r.Phase == Adopting || !may(r.Provider, r.Ref.Kind) {
			continue
		}
		out = append(out, Step{Number: Number(r.Ref.Kind), Action: Mark, Ref: r.Ref, Client: c.Name, Provider: r.Provider,
			Reason: "it was adopted", Undo: "the mark stays, and says only whose it is", Calls: 1})
	}
	return out
}

// ofAdopted says that the wished resource is part of a site that is adopted. An address record
// that the manifest writes out is, where it is one of a name of the site.
func (b *builder) ofAdopted(w state.Resource) bool {
	switch w.Ref.Kind {
	case state.KindEnvironment, state.KindDeployment, state.KindTraffic, state.KindDomain, state.KindRecord:
	default:
		return false
	}
	for _, a := range w.Attributes {
		if a.Value.Ref != nil && a.Value.Ref.Kind == state.KindSite {
			return b.wished[*a.Value.Ref].AdoptID != ""
		}
	}
	return w.Ref.Kind == state.KindRecord && slices.Contains([]string{"A", "AAAA", "CNAME"}, w.Attributes.Literal("type")) && b.hostOfAdopted(w.Attributes.Literal("name"))
}

// hostOfAdopted says that a name is wished of a site that is adopted.
func (b *builder) hostOfAdopted(host string) bool {
	for _, w := range b.wished {
		if w.Ref.Kind == state.KindDomain && w.Ref.Host() == host && b.ofAdopted(w) {
			return true
		}
	}
	return false
}

// leadsToAdopted says of an address record that the adopted site has its host: a record of a
// name that the site does not answer to leads elsewhere, and is not part of it.
func (b *builder) leadsToAdopted(record state.Resource) bool {
	if record.Ref.Kind != state.KindRecord {
		return true
	}
	for _, w := range b.sortedWish() {
		if w.Ref.Kind == state.KindDomain && w.Ref.Host() == record.Attributes.Literal("name") && b.ofAdopted(w) {
			look := b.c.Looks[w.Ref]
			return b.recorded[w.Ref].Adopted || !look.Gone && look.Failed == "" // else the pass waits, and begins anew
		}
	}
	return true
}

// lives says that a kind is not made because the client lived before we knew it: its
// administrator exists, and a welcome would come late.
func (b *builder) lives(k state.Kind) bool {
	if k != state.KindAdmin && k != state.KindMail {
		return false
	}
	for _, all := range []map[state.Ref]state.Resource{b.wished, b.recorded} {
		for _, r := range all {
			if (r.AdoptID != "" || r.Adopted) && (r.Ref.Kind == state.KindSite || r.Ref.Kind == state.KindDatabase) {
				return true
			}
		}
	}
	return b.lived() && (k == state.KindMail || b.dataElsewhere())
}

// lived says that the client had a site or a database from before us, which is off the record by now:
// its site moved to another host, say.
func (b *builder) lived() bool {
	return slices.ContainsFunc(b.c.Client.Lived, func(object string) bool {
		return strings.Contains(object, "/"+string(state.KindSite)+"/") || strings.Contains(object, "/"+string(state.KindDatabase)+"/")
	})
}

// dataElsewhere says that somebody else keeps the client's database, and with it the users that are in it.
func (b *builder) dataElsewhere() bool {
	w, wished := b.wished[state.Ref{Client: b.c.Client.ID, Kind: state.KindDatabase, Name: MainDatabase}]
	return wished && b.traits(w.Provider, w.Ref.Kind).Manual
}

// inherited lists the variables of an adopted environment whose change may cut the site
// off its data or its sessions: the database's address, and what is generated.
func (b *builder) inherited(w, have state.Resource) []string {
	if w.Ref.Kind != state.KindEnvironment || !have.Adopted {
		return nil
	}
	var out []string
	for _, f := range diff(have, w) {
		name, ok := strings.CutPrefix(f.Name, "env.")
		if !ok {
			continue
		}
		was, _ := have.Attributes.Get(f.Name)
		now, _ := w.Attributes.Get(f.Name)
		if name == "DATABASE_URL" || ofDatabase(was) || ofDatabase(now) || generated(was) || generated(now) {
			out = append(out, name)
		}
	}
	return out
}

func ofDatabase(v state.Value) bool { return v.Ref != nil && v.Ref.Kind == state.KindDatabase }

func generated(v state.Value) bool {
	return v.Secret != nil && strings.HasPrefix(v.Secret.Name, "generated/")
}

// objectKey is an object of the world.
func objectKey(provider string, k state.Kind, id string) string {
	return provider + "\x00" + string(k) + "\x00" + id
}

// rival is another client that has an object on record, or names it, too.
type rival struct {
	name string
	left bool // it was removed: its record stays as long as its data
}

// adoptedTwice maps client and object to another client that has it or names it, too. Who has
// it on record keeps it.
func adoptedTwice(clients []ClientInput) map[string]rival {
	if len(clients) < 2 {
		return nil
	}
	has, names := map[string]int{}, map[string][]int{}
	for n, c := range clients {
		for _, w := range c.Wish {
			if w.AdoptID != "" && !c.Removed {
				k := objectKey(w.Provider, w.Ref.Kind, w.AdoptID)
				names[k] = append(names[k], n)
			}
		}
	}
	if len(names) == 0 {
		return nil
	}
	for n, c := range clients {
		for _, r := range c.Recorded {
			if k := objectKey(r.Provider, r.Ref.Kind, r.ID); r.Real() && names[k] != nil {
				has[k] = n
			}
		}
	}
	twice := map[string]rival{}
	for k, all := range names {
		owner, owned := has[k]
		for _, n := range all {
			other := -1
			if owned {
				other = owner
			} else if len(all) > 1 {
				if other = all[0]; other == n {
					other = all[1]
				}
			}
			if other >= 0 && other != n {
				twice[string(clients[n].Client.ID)+"\x00"+k] = rival{clients[other].Client.Name, clients[other].Client.Removed}
			}
		}
	}
	return twice
}

// Existing is one attribute that an adopted object really has.
type Existing struct {
	Name string
	Same bool        // it says what the wish, resolved, says
	Kept state.Value // what is recorded when it doesn't: a literal, or the secret that it was sealed as
}

// AdoptedName names the recorded release of an adopted site that is not the wished one.
const AdoptedName = "adopted"

// Adopted is the record of an adopted object: the wish where the object says the same
// or does not tell, what it says where it differs. A plan from this record is empty
// exactly if nothing differs; what does shows as a change like any other. It is a pure
// part of apply's adopt step, which knows the texts.
//
// Of an environment whose variables can't be read at all, the database's address and
// what would be generated are left off the record: they are unknown, and so their first
// change is held. A release that differs is recorded as AdoptedName, so that the wished
// one is built beside it.
func Adopted(w state.Resource, id string, seen []Existing) state.Resource {
	have := map[string]Existing{}
	readable, differs := false, false
	for _, s := range seen {
		have[s.Name] = s
		readable = readable || strings.HasPrefix(s.Name, "env.")
	}
	record := map[string]state.Value{}
	for _, a := range w.Attributes {
		s, told := have[a.Name]
		delete(have, a.Name)
		variable := strings.HasPrefix(a.Name, "env.")
		switch {
		case w.Ref.Kind == state.KindSite && Asis(a):
			record[a.Name] = a.Value
		case told && !s.Same:
			record[a.Name], differs = s.Kept, true
		case !told && variable && (readable || generated(a.Value) || ofDatabase(a.Value) || a.Name == "env.DATABASE_URL"):
			differs = true
		default:
			record[a.Name] = a.Value
		}
	}
	for name, s := range have {
		if strings.HasPrefix(name, "env.") {
			record[name] = s.Kept // the manifest does not mention it: it stays
		}
	}
	r := w
	r.ID, r.Adopted, r.Attributes = id, true, state.NewAttributes(record)
	if differs && w.Ref.Kind == state.KindDeployment {
		r.Ref.Name = AdoptedName
	}
	return r
}

// Asis says of an attribute of an adopted site that whatever the site has is right: what
// people called it is no reason to touch it, and a runtime that is not wished is the vendor's.
func Asis(wish state.Attribute) bool {
	return wish.Name == "label" || wish.Name == "runtime" && wish.Value.Equal(state.Lit(""))
}

// Covers says that all that the wish says is on record. What more is there is kept.
func Covers(have, wish state.Resource) bool {
	for _, a := range wish.Attributes {
		v, ok := have.Attributes.Get(a.Name)
		if !ok || !v.Equal(a.Value) {
			return false
		}
	}
	return true
}
