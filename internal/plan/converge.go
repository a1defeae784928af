package plan

import (
	"cmp"
	"slices"
	"sort"

	"github.com/compassdigital/reconciler/internal/state"
)

// converge plans from the record to the wish.
func (b *builder) converge() {
	b.checkData()
	b.checkAdopted()
	if len(b.problems) == 0 && b.adopting() {
		b.adopt()
		return
	}
	if len(b.problems) == 0 && b.adoptAgain() {
		return
	}
	b.findRestated()
	for _, w := range b.sortedWish() {
		b.resource(w)
	}
	if len(b.problems) > 0 {
		return
	}
	b.await()
	b.secure()
	b.release()
	b.refresh()
	b.unsure()
	b.connect()
	b.leftovers()
	b.behindMove()
}

// checkData holds the client when an empty database would take a full one's place.
func (b *builder) checkData() {
	b.checkPayments()
	for _, r := range b.sortedRecord() {
		if r.Ref.Kind != state.KindDatabase || !r.Real() {
			continue
		}
		w, wished := b.wished[r.Ref]
		switch {
		case !wished, b.another(w): // a tombstone decides about it; `adopt:` names another one
		case w.Provider != r.Provider && b.fixed(w, r) != "":
			act := "put back `database.provider: " + r.Provider + "`"
			if r.Retained() && !b.c.Client.EverDeployed { // nothing was ever served with it
				act += "; or, to begin with an empty one, " + b.beginAnew()
			}
			b.problem(state.HoldData, act,
				"database.provider changes from %s to %s: the data is at %s, and %s", r.Provider, w.Provider, r.Provider, b.fixed(w, r))
		case b.c.Looks[r.Ref].Gone:
			b.problem(state.HoldData, "restore it at "+r.Provider+", then `reconciler retry "+b.c.Client.Name+"`; if its data is lost for good, "+b.beginAnew(),
				"the database %s is gone at %s; an empty one never takes its place", r.ID, r.Provider)
		}
	}
}

// beginAnew is how a client gets another database than the one that it has for good.
func (b *builder) beginAnew() string {
	return "remove its manifest, `reconciler purge " + b.c.Client.Name + "` once it has gone, and add it again"
}

// resource plans one wished resource.
func (b *builder) resource(w state.Resource) {
	have, ok := b.recorded[w.Ref]
	look := b.c.Looks[w.Ref]
	switch {
	case w.Ref.Kind == state.KindDatabase && have.Real() && have.Provider != w.Provider:
		b.relocate(w, have) // checkData has said it where that can't be
		return
	case look.Foreign != "" && !b.comesFrom(w.Ref):
		b.problem(state.HoldParked, "settle at "+w.Provider+" whose it is, then `reconciler retry "+b.c.Client.Name+"`", "%s %s at %s belongs to %s: it is not ours", w.Ref.Kind, w.Ref.Name, w.Provider, look.Foreign)
	case look.Count > 1:
		b.problem(state.HoldParked, "delete the wrong one at "+w.Provider+", then `reconciler retry "+b.c.Client.Name+"`", "%d objects at %s could be %s %s", look.Count, w.Provider, w.Ref.Kind, w.Ref.Name)
	case (!ok || !have.Real()) && b.lives(w.Ref.Kind):
		// an adopted site has its users, and they need no welcome
	case !ok || !have.Real() || b.comesFrom(w.Ref):
		b.absent(w, look)
	case have.Retained() && w.Ref.Kind == state.KindPayments && look.Gone:
		b.create(w, &have, "it was closed at "+w.Provider+" while it was out of use")
	case have.Retained() && (w.Ref.Kind != state.KindAdmin || have.Provider == w.Provider && !look.Gone):
		b.comeBack(w, have, look)
	case w.Ref.Kind == state.KindMail:
		// sent once
	case look.Gone:
		b.create(w, &have, "it is gone at "+w.Provider)
	case have.Phase == "failed" && w.Ref.Kind == state.KindDeployment:
		b.replace(w, have, nil, "the last try failed")
	case b.elsewhereBuilt(have):
		b.replace(w, have, nil, "it was built with another database, or another account for payments")
	case have.Overtaken:
		b.replace(w, have, nil, w.Provider+" serves what was built last, and that is another one")
	case have.Provider != w.Provider:
		b.replace(w, have, nil, "the provider changes from "+have.Provider+" to "+w.Provider)
	case b.bereft(w) != "" && w.Ref.Kind == state.KindEnvironment:
		b.replace(w, have, nil, "its "+b.bereft(w)+" is off the record, and another one is made")
	case b.bereft(w) != "": // what is left of it stays where it is
		b.create(w, &have, "its "+b.bereft(w)+" is off the record, and another one is made")
	default:
		b.compare(w, have, look)
	}
	if look.Failed != "" {
		if n, planned := b.byRef[w.Ref]; planned && !b.letsBe(w, have) {
			b.steps[n].WaitFor(cmp.Or(have.Provider, w.Provider), look.Failed)
		}
	}
}

// letsBe says that what is on record of a DNS record stays where it is as another provider is to have it: it was not made
// here, or what holds it is another account's by now, as the zone of a customer who took the domain along.
func (b *builder) letsBe(w, have state.Resource) bool {
	return w.Ref.Kind == state.KindRecord && have.Provider != w.Provider && (have.Found || have.Adopted || b.c.Looks[w.Ref].Away != "")
}

// comesFrom says that another client of the group has it, and lets it go or will.
func (b *builder) comesFrom(r state.Ref) bool {
	_, moves := b.moves.to[r]
	_, waits := b.moves.kept[r]
	return moves || waits
}

func (b *builder) absent(w state.Resource, look Look) {
	if m, ok := b.moves.to[w.Ref]; ok {
		b.move(w, m)
		return
	}
	if have, ok := b.restated.as[w.Ref]; ok {
		b.restate(w, have)
		return
	}
	if why, ok := b.restated.waits[w.Ref]; ok {
		b.create(w, nil, b.whyNew(w))
		n := b.byRef[w.Ref]
		b.steps[n].WaitFor(w.Provider, why)
		return
	}
	if owner, ok := b.moves.kept[w.Ref]; ok {
		b.create(w, nil, b.whyNew(w))
		n := b.byRef[w.Ref]
		b.steps[n].Blocked, b.steps[n].Reason = true, "waiting for "+owner+", which still has it"
		return
	}
	if look.Found && !look.Ours {
		if look.Equal && !b.traits(w.Provider, w.Ref.Kind).Data {
			b.use(w, look.ID)
			return
		}
		b.problem(state.HoldParked, WithoutMark(w.Ref.Kind)+" at "+w.Provider+", then `reconciler retry "+b.c.Client.Name+"`", "%s %s exists at %s without our mark", w.Ref.Kind, w.Ref.Name, w.Provider)
		return
	}
	b.create(w, nil, b.whyNew(w))
}

// whyNew is the reason of a create.
func (b *builder) whyNew(w state.Resource) string {
	if len(b.c.Recorded) == 0 {
		return "the manifest is new"
	}
	if w.Ref.Kind == state.KindDeployment {
		if old, ok := b.serving(); ok {
			if names := names(diff(old, w)); len(names) > 0 {
				return listWords(names) + " changed"
			}
		}
	}
	return "the manifest asks for it"
}

// serving is the recorded deployment that the recorded traffic points at.
func (b *builder) serving() (state.Resource, bool) {
	for _, r := range b.sortedRecord() {
		if r.Ref.Kind != state.KindTraffic {
			continue
		}
		if v, ok := r.Attributes.Get("deployment"); ok && v.Ref != nil {
			d, ok := b.recorded[*v.Ref]
			return d, ok
		}
	}
	return state.Resource{}, false
}

func (b *builder) create(w state.Resource, prior *state.Resource, reason string) {
	t := b.traits(w.Provider, w.Ref.Kind)
	s := Step{Number: Number(w.Ref.Kind), Action: Create, Ref: w.Ref, Provider: w.Provider, Wish: &w, Prior: prior, Fields: diff(state.Resource{}, w),
		Reason: reason, Undo: undoOfCreate(w, t), Calls: t.ObserveCalls + t.CreateCalls}
	s.Risk = b.builtOver(w, t)
	if b.leadsOver(&s) {
		s.Risk = RiskTraffic // as if it were changed
	}
	b.add(s)
}

// builtOver is the risk of building a release where it serves as soon as it is built, and nobody
// has to promote it: it takes the place of the one that traffic leads to, or of another one that was
// built since, or may be, and that traffic could not be led to.
func (b *builder) builtOver(w state.Resource, t state.Traits) Risk {
	if t.Promotable {
		return RiskNone
	}
	for _, traffic := range b.sortedRecord() {
		to, _ := traffic.Attributes.Get("deployment")
		if traffic.Ref.Kind != state.KindTraffic || traffic.Provider != w.Provider || to.Ref == nil {
			continue
		}
		for _, r := range b.recorded {
			led := r.Ref == *to.Ref
			if led && r.Ref == w.Ref && r.Overtaken || SameHost(r, w) && (led || r.Real() && (r.Phase == "" || Comes(r, t)) && !r.Overtaken) {
				return RiskTraffic
			}
		}
	}
	return RiskNone
}

func undoOfCreate(w state.Resource, t state.Traits) string {
	switch {
	case w.Ref.Kind == state.KindPayments:
		return "it stays: it is its owner's"
	case t.Data:
		return "it is retained, never deleted by a rollback"
	case w.Ref.Kind == state.KindMail:
		return "a mail that was sent stays sent"
	case w.Ref.Kind == state.KindDeployment && !t.Promotable:
		return "the earlier one is built again"
	}
	return "it is deleted again"
}

// comeBack puts retained data back into use.
func (b *builder) comeBack(w, have state.Resource, look Look) {
	if have.Provider != w.Provider {
		return // checkData has said it
	}
	if w.Ref.Kind == state.KindAdmin { // one step: its site is another one now
		b.update(w, have, b.diff(have, w), "the client returns, and its user is there")
		return
	}
	wish := have
	wish.RetainedAt, wish.PurgeAfter, wish.Ahead = state.Resource{}.RetainedAt, state.Resource{}.PurgeAfter, 0
	b.add(Step{Number: Number(w.Ref.Kind), Action: Return, Ref: w.Ref, Provider: w.Provider, Wish: &wish, Prior: &have, Reason: "the client returns, and its data with it", Undo: "it is retained again"})
	if w.Ref.Kind == state.KindPayments && have.Adopted {
		return
	}
	fields, reason := b.diff(have, w), ""
	if b.heldAsData(w, fields) {
		return
	}
	if len(fields) == 0 && len(look.Differs) > 0 {
		fields, reason = look.Differs, "it was changed outside"
	}
	if len(fields) > 0 || look.Broken != "" || have.Phase == unfinished || have.Phase == "failed" && w.Ref.Kind == state.KindDatabase {
		back := b.made(w.Ref)
		switch {
		case len(fields) > 0:
		case look.Broken != "":
			reason = notRunning + look.Broken
		case have.Phase == unfinished:
			reason = "its making was cut off"
		default:
			reason = "the last try failed"
		}
		b.update(w, have, fields, reason)
		n := len(b.steps) - 1
		b.steps[n].needs(back)
		b.byRef[w.Ref] = n // what needs the data waits for both
	}
}

// notRunning begins why a database is changed that nobody wishes another way.
const notRunning = "it does not run: "

// unfinished is the phase of what was made in part (provider.Unfinished): an update makes the
// rest.
const unfinished = "unfinished"

// compare plans the change of something that is there.
func (b *builder) compare(w, have state.Resource, look Look) {
	if w.Ref.Kind == state.KindPayments && have.Adopted {
		return // whoever made the account says what it is
	}
	fields := b.diff(have, w)
	if len(fields) == 0 {
		switch name := b.anew(w, have); {
		case have.Found:
		case have.Phase == unfinished:
			b.update(w, have, nil, "its making was cut off")
		case have.Phase == "failed" && w.Ref.Kind == state.KindDatabase:
			b.update(w, have, nil, "the last try failed")
		case look.Broken != "":
			b.update(w, have, nil, notRunning+look.Broken)
		case len(look.Differs) > 0:
			b.update(w, have, look.Differs, "it was changed outside")
		case name != "" && !contains(b.traits(w.Provider, w.Ref.Kind).Replace, name):
			b.update(w, have, nil, name+" is made anew")
		}
		return
	}
	if have.Found {
		if look.says(w) {
			b.use(w, have.ID) // somebody changed it, and the manifest takes that over
		} else {
			b.changesFound(w, have, fields)
		}
		return
	}
	if b.heldAsData(w, fields) {
		return
	}
	t := b.traits(w.Provider, w.Ref.Kind)
	for _, f := range fields {
		if !contains(t.Replace, f.Name) {
			continue
		}
		b.replace(w, have, fields, f.Name+" can't be changed in place")
		return
	}
	if look.Readdresses {
		fields = append(fields, Field{Name: otherAddress, After: "made anew, with another password"})
	}
	b.update(w, have, fields, "")
	s := &b.steps[len(b.steps)-1]
	for _, f := range look.Differs { // it writes all of it, and puts that back as well
		if !contains(names(fields), f.Name) {
			s.Fields = append(s.Fields, f)
		}
	}
}

// heldAsData holds the client where a change of data can only be made with a new one.
func (b *builder) heldAsData(w state.Resource, fields []Field) bool {
	t := b.traits(w.Provider, w.Ref.Kind)
	for _, f := range fields {
		if !t.Data || !contains(t.Replace, f.Name) {
			continue
		}
		act := "put back " + f.Name
		if w.Ref.Kind == state.KindPayments {
			act += "; for another account close this one at " + w.Provider + ", leave `payments` out in one commit, and say it again in the next"
		}
		b.problem(state.HoldData, act, "%s of the %s changes, which %s can only do with a new one; data is never replaced by something empty", f.Name, w.Ref.Kind, w.Provider)
		return true
	}
	return false
}

// anew names an attribute of something that is there and refers to what is made now, or
// to a site that was made since: its id and its address are others.
func (b *builder) anew(w, have state.Resource) string {
	once := b.traits(w.Provider, w.Ref.Kind).Once
	for _, a := range w.Attributes {
		if a.Value.Ref == nil || contains(once, a.Name) {
			continue
		}
		n, planned := b.byRef[*a.Value.Ref]
		site := b.recorded[*a.Value.Ref]
		switch {
		case planned && b.steps[n].Action == Transfer:
			if w.Ref.Kind == state.KindEnvironment { // a user was copied with the rest
				return a.Name
			}
		case planned && b.steps[n].reaches():
			if w.Ref.Kind == state.KindEnvironment {
				return a.Name
			}
		case planned && (b.steps[n].Action == Replace || b.steps[n].Action == Create && b.steps[n].Prior != nil):
			return a.Name
		case w.Ref.Kind == state.KindEnvironment && a.Value.Ref.Kind == state.KindDatabase && unready(b.recorded[*a.Value.Ref]):
			return a.Name // its address may be another one once it is
		case a.Value.Ref.Kind != state.KindSite: // of what an adopted environment refers to nobody knows whether it was ever there
		case planned && b.steps[n].Action == Create, site.Real() && have.Site != "" && have.Site != site.ID:
			return a.Name
		}
	}
	return ""
}

// unready says of a database on record that its last change was not through when it was last seen.
func unready(r state.Resource) bool {
	return r.Real() && (r.Phase == "failed" || r.Phase == unfinished || pending(r))
}

// untilDeployed is how long a site has the address that its database had before: as long as it is built.
const untilDeployed = "a few minutes"

// otherAddress is a database's in the fields of a step that gives it another one though nothing wishes that.
const otherAddress = "address"

// reaches says that a step changes from where a database is reached, or how: it has another address then.
func (s Step) reaches() bool {
	return s.Ref.Kind == state.KindDatabase && s.Action == Update && slices.ContainsFunc(s.Fields, func(f Field) bool { return f.Name == "access" || f.Name == otherAddress })
}

// bereft names an attribute that can't be changed in place and refers to something that is
// made now, though what refers to it is there already: it belongs to an earlier one.
func (b *builder) bereft(w state.Resource) string {
	for _, a := range w.Attributes {
		if a.Value.Ref == nil || !contains(b.traits(w.Provider, w.Ref.Kind).Replace, a.Name) {
			continue
		}
		if n, planned := b.byRef[*a.Value.Ref]; planned && b.steps[n].Action == Create && b.steps[n].Prior == nil {
			return a.Name
		}
	}
	return ""
}

func (b *builder) update(w, have state.Resource, fields []Field, reason string) {
	t := b.traits(w.Provider, w.Ref.Kind)
	if was, ok := have.Attributes.Get("email"); ok && w.Ref.Kind == state.KindAdmin && contains(t.Once, "email") { // it stays who it is
		w.Attributes = slices.Clone(w.Attributes)
		for i, a := range w.Attributes {
			if a.Name == "email" {
				w.Attributes[i].Value = was
			}
		}
	}
	if reason == "" {
		reason = listWords(names(fields)) + " changed"
	}
	s := Step{Number: Number(w.Ref.Kind), Action: Update, Ref: w.Ref, Provider: w.Provider, Wish: &w, Prior: &have, Fields: fields, Reason: reason,
		Undo: "it is changed back", Calls: t.ObserveCalls + t.UpdateCalls}
	quiet := only(fields, "ttl") || only(fields, "label") // nobody is served another thing
	// Who sets a record by hand leads people over, too.
	if (t.Serving || b.leadsOver(&s)) && !quiet {
		s.Risk = RiskTraffic
	}
	if b.mail(have) && !quiet {
		s.Risk = RiskMail
	}
	if _, served := b.serving(); served && s.reaches() && (have.Attributes.Literal("access") != w.Attributes.Literal("access") || b.c.Looks[w.Ref].Readdresses) {
		s.Risk, s.Gap = RiskGap, untilDeployed
		s.Undo = "nothing by itself: a revert changes it again, and deploys the site with the address that it has then"
		s.Reason = "its address changes with that: until the site was deployed with the new one, " + untilDeployed + ", it can't reach its data"
	}
	if vars := b.inherited(w, have); len(vars) > 0 {
		s.Risk, s.Reason = RiskData, listWords(vars)+" of an adopted site changes"
	}
	if w.Ref.Kind == state.KindTraffic {
		s.Undo = "the earlier deployment is promoted again"
		if d, ok := b.recorded[b.deployment]; ok && d.Real() && d.Phase == "" && b.made(b.deployment) == "" {
			s.Reason = "an earlier deployment is promoted; nothing is built"
		}
	}
	b.add(s)
}

func (b *builder) replace(w, have state.Resource, fields []Field, reason string) {
	another := slices.ContainsFunc(fields, func(f Field) bool { return f.Name == "site" })
	if have.Adopted && w.Ref.Kind == state.KindDeployment && !another { // that one stays at its site, and this one is made beside it
		b.create(w, &have, reason)
		return
	}
	if b.letsBe(w, have) {
		b.create(w, &have, reason)
		if s := &b.steps[len(b.steps)-1]; !have.Found && !have.Adopted {
			s.Risk, s.Reason = RiskLeft, b.c.Looks[w.Ref].Away
		}
		return
	}
	if have.Found || have.Adopted {
		b.problem(state.HoldParked, "put it back, or remove "+have.ID+" at "+have.Provider+" yourself, then `reconciler retry "+b.c.Client.Name+"`",
			"%s, which takes a new %s in place of %s, and that is not ours to delete", reason, w.Ref.Kind, have.ID)
		return
	}
	t := b.traits(w.Provider, w.Ref.Kind)
	s := Step{Number: Number(w.Ref.Kind), Action: Replace, Ref: w.Ref, Provider: w.Provider, Wish: &w, Prior: &have, Fields: fields, Reason: reason,
		Undo: "the earlier one is made again", Calls: t.ObserveCalls + t.DeleteCalls + t.CreateCalls, Risk: b.builtOver(w, t)}
	// Where a person makes the new one, nobody serves until that is done.
	if t.Serving || b.traits(have.Provider, w.Ref.Kind).Serving {
		s.Risk = RiskGap
		if t.Manual { // DNS would answer with ours, and nobody could see theirs
			s.Gap, s.Reason = untilSet, reason+": it goes there first, and nobody answers for it "+untilSet+"; set it, and let the domain's name servers be those, before"
		}
	}
	if b.mail(have) {
		s.Risk = RiskMail
	}
	b.add(s)
}

// untilSet is how long a name has no record where a person is to set it in place of ours.
const untilSet = "until a person has set it"

// SameHost says that two are releases of one site.
func SameHost(a, b state.Resource) bool {
	x, _ := a.Attributes.Get("site")
	y, _ := b.Attributes.Get("site")
	return a.Ref != b.Ref && a.Ref.Client == b.Ref.Client && a.Ref.Kind == state.KindDeployment && b.Ref.Kind == state.KindDeployment &&
		a.Provider == b.Provider && x.Ref != nil && y.Ref != nil && *x.Ref == *y.Ref
}

// Comes says that a release is still being built where it serves as soon as it is: nobody has
// to promote it, and who does not wish it any more takes it away.
func Comes(r state.Resource, t state.Traits) bool {
	return r.Ref.Kind == state.KindDeployment && pending(r) && !t.Promotable && !t.Manual
}

// pending says that what is on record is not ready yet.
func pending(r state.Resource) bool {
	return r.Real() && r.Phase != "" && r.Phase != "failed" && r.Phase != unreached
}

// await waits for what a person makes, or what was not ready when it was last seen.
func (b *builder) await() {
	for _, w := range b.sortedWish() {
		if w.Ref.Kind == state.KindDeployment || w.Ref.Kind == state.KindMail || w.Ref.Kind == state.KindPayments {
			continue
		}
		t := b.traits(w.Provider, w.Ref.Kind)
		n, planned := b.byRef[w.Ref]
		if have := b.recorded[w.Ref]; have.Phase == "failed" && !have.Adopted && !have.Found && b.late(w) {
			continue // it is asked for again (secure): nobody else would
		}
		made := planned && t.Manual && b.steps[n].Action.Writes()
		if have, ok := b.recorded[w.Ref]; made || (ok && !planned && !have.Retained() && (pending(have) || have.Phase == "failed")) {
			b.add(Step{Number: Number(w.Ref.Kind), Action: Await, Ref: w.Ref, Provider: w.Provider, Reason: "until it is there", Undo: "nothing: it only waits", Calls: t.ObserveCalls})
		}
	}
}

// release plans what a new or promoted deployment needs: waiting, probing, promoting.
func (b *builder) release() {
	if b.deployment.IsZero() {
		return
	}
	w := b.wished[b.deployment]
	have, known := b.recorded[b.deployment]
	_, made := b.byRef[b.deployment]
	_, promoted := b.byRef[b.traffic]
	t := b.traits(w.Provider, state.KindDeployment)
	if made || (known && pending(have)) {
		b.add(Step{Number: StepMonitor, Action: Await, Ref: b.deployment, Provider: w.Provider, Reason: "until it is built", Undo: "nothing: it only waits", Calls: t.ObserveCalls})
		made = true
	}
	if b.c.Health && (made || promoted) {
		b.add(Step{Number: StepHealth, Action: Probe, Ref: b.deployment, Provider: w.Provider, Reason: "on its own address, before it serves", Undo: "nothing: it only asks"})
	}
	if b.c.Health && b.reconnected() {
		s := b.add(Step{Number: StepHealth, Action: Probe, Ref: b.traffic, Provider: w.Provider, Outside: true, Reason: "outside in, at the public name", Undo: "nothing: it only asks"})
		b.proved = s.Key()
	}
}

// unsure lets names of other clients stay where they are while nobody could see whether the
// site that takes them over still serves: it is on record, and may have been changed by hand.
// A name of the client's own is not led there either, where no record of ours led it so far. One that people
// come by redirects anew only to a name of which it was seen that it leads to the site.
//
// A release is built from the environment as it is at its host, likewise.
func (b *builder) unsure() {
	for _, w := range b.sortedWish() {
		look := b.c.Looks[w.Ref]
		n, planned := b.byRef[b.deployment]
		if w.Ref.Kind == state.KindEnvironment && look.Failed != "" && planned {
			b.steps[n].WaitFor(w.Provider, look.Failed)
		}
	}
	for i := range b.steps {
		s := &b.steps[i]
		leads, moves, to := b.leadsAnew(s), s.Action == Move && s.From.Client != s.Ref.Client, turnsTo(s)
		if moves && s.Ref.Kind == state.KindDomain {
			to = s.Wish.Attributes.Literal("redirect")
		}
		if !leads && !moves && to == "" {
			continue
		}
		for _, w := range b.sortedWish() {
			part := (leads || moves) && (w.Ref == b.site || w.Ref == b.deployment || w.Ref == b.traffic) ||
				leads && w.Ref.Kind == state.KindDomain && w.Ref.Host() == s.Wish.Attributes.Literal("name") || to != "" && reachedBy(w, to)
			if look := b.c.Looks[w.Ref]; part && look.Failed != "" {
				s.WaitFor(w.Provider, look.Failed)
			}
		}
	}
}

// leadsAnew says that a step leads a name to the client's site, and that no record at that
// vendor did so far. One that somebody deleted is put back whatever can be seen of the site.
func (b *builder) leadsAnew(s *Step) bool {
	if s.Ref.Kind != state.KindRecord || !b.address(s) {
		return false
	}
	return s.Action == Create && s.Prior == nil || s.Action == Replace && s.Prior.Provider != s.Provider
}

// unproved says that the last pass stopped at the look from outside: all else may be on
// record as it is wished, and nobody has seen it work.
func (b *builder) unproved() bool {
	return b.c.Client.FailedStep == Step{Action: Probe, Ref: b.traffic, Outside: true}.Key()
}

// reconnected says that what the public reaches changes, or has changed and was not
// proved.
func (b *builder) reconnected() bool {
	if b.unproved() {
		return true
	}
	for _, s := range b.steps {
		switch s.Ref.Kind {
		case state.KindTraffic, state.KindDomain:
			return true
		case state.KindRecord:
			if s.Wish == nil {
				return true
			}
			if t := s.Wish.Attributes.Literal("type"); t == "A" || t == "AAAA" || t == "CNAME" {
				return true
			}
		}
	}
	return false
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

func only(fields []Field, name string) bool { return len(fields) == 1 && fields[0].Name == name }

// newestFirst sorts deployments, the youngest first.
func newestFirst(all []state.Resource) {
	sort.SliceStable(all, func(i, j int) bool {
		if !all[i].UpdatedAt.Equal(all[j].UpdatedAt) {
			return all[i].UpdatedAt.After(all[j].UpdatedAt)
		}
		return all[i].Ref.Less(all[j].Ref)
	})
}
