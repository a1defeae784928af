package plan

import (
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// leftovers plans for what is on record and not wished: the side that was replaced
// goes after the new one was proved; the rest goes only with a tombstone.
func (b *builder) leftovers() {
	var releases []state.Resource
	busy := b.busySites()
	after, until, soaks := b.soak()
	for _, r := range b.removalOrder() {
		if _, wished := b.wished[r.Ref]; wished || b.leaves(r.Ref) || b.restated.taken[r.Ref] || r.Retained() {
			continue
		}
		switch {
		case b.copied(r):
			b.copyLeft(r)
		case r.Ref.Kind == state.KindMail:
			// sent once; it stays on record
		case r.Ref.Kind == state.KindDeployment && b.onSite(r):
			releases = append(releases, r)
		case b.replaced(r) && busy[siteOf(r)]:
			// a name leads there that may not go yet
		case b.replaced(r) && soaks:
			b.goesLater(r, after, until)
		case b.replaced(r):
			n := len(b.steps)
			if provider, why := b.whereUnknown(); provider != "" {
				b.replacedGoes(r)
				for i := range b.steps[n:] {
					b.steps[n+i].WaitFor(provider, why)
				}
				continue
			}
			b.watched()
			b.replacedGoes(r)
		case !b.proofs[partOf(r.Ref)] && !b.withSite(r):
		case b.c.Client.InvalidBlob != "":
			// its file can't be accepted as it is by now, and may ask for it again
		default:
			b.part(r)
		}
	}
	newestFirst(releases)
	for i, r := range releases {
		switch {
		case Comes(r, b.traits(r.Provider, r.Ref.Kind)):
			b.drop(r, "it is not wished any more, and would serve once it is built", false)
		case i >= b.in.Keep || r.Phase == "failed":
			b.drop(r, "earlier releases beyond those that are kept", false)
		}
	}
}

// builds says that another release is built in the place of this one by the same plan, whose risk says what people see.
func (b *builder) builds(r state.Resource) bool {
	return slices.ContainsFunc(b.steps, func(s Step) bool {
		w, wished := b.wished[s.Ref]
		return wished && (s.Action == Create || s.Action == Replace) && SameHost(r, w)
	})
}

// busySites are sites that were replaced and still serve a name that stays: the wish
// asks for it no more, and its removal waits. They go after it.
func (b *builder) busySites() map[state.Ref]bool {
	out := map[state.Ref]bool{}
	for _, r := range b.sortedRecord() {
		if r.Ref.Kind != state.KindDomain || !r.Real() {
			continue
		}
		if _, wished := b.wished[r.Ref]; wished || b.leaves(r.Ref) || b.replaced(r) || b.proofs[partOf(r.Ref)] {
			continue
		}
		out[siteOf(r)] = true
	}
	delete(out, state.Ref{})
	return out
}

// siteOf is the site that a resource is, or is a part of.
func siteOf(r state.Resource) state.Ref {
	if r.Ref.Kind == state.KindSite {
		return r.Ref
	}
	if v, _ := r.Attributes.Get("site"); v.Ref != nil {
		return *v.Ref
	}
	return state.Ref{}
}

// leaves says that a name goes to another client.
func (b *builder) leaves(r state.Ref) bool {
	_, ok := b.moves.goes[r]
	return ok
}

// onSite says that the recorded deployment belongs to the wished site.
func (b *builder) onSite(r state.Resource) bool {
	v, _ := r.Attributes.Get("site")
	return v.Ref != nil && *v.Ref == b.site
}

// replaced says that the wish itself puts something in the resource's place: another
// site, or the same host bound to it. That is proof enough; no absence is.
func (b *builder) replaced(r state.Resource) bool {
	if b.site.IsZero() {
		return false
	}
	switch r.Ref.Kind {
	case state.KindSite, state.KindEnvironment, state.KindTraffic:
		return r.Ref.Name != b.site.Name
	case state.KindDeployment:
		return !b.onSite(r)
	case state.KindDomain:
		if strings.HasSuffix(r.Ref.Name, "@"+b.site.Name) {
			return false
		}
		_, again := b.wished[state.Ref{Client: r.Ref.Client, Kind: state.KindDomain, Name: r.Ref.Host() + "@" + b.site.Name}]
		return again
	}
	return false
}

// withSite says that the resource is a release whose site a tombstone names: releases
// have none of their own.
func (b *builder) withSite(r state.Resource) bool {
	v, _ := r.Attributes.Get("site")
	return r.Ref.Kind == state.KindDeployment && v.Ref != nil && b.proofs[partOf(*v.Ref)]
}

// part removes what a tombstone names.
func (b *builder) part(r state.Resource) {
	switch {
	case b.traits(r.Provider, r.Ref.Kind).Data:
		b.afterProof(b.retain(r), r) // what serves may be built with it: until then it is in use, and has no date
	case r.Ref.Kind == state.KindAdmin:
		b.user(r, "the manifest no longer asks for it; the user stays")
	case b.theirs(r):
		b.forget(r, "the manifest no longer asks for it; what serves there stays")
	default:
		b.drop(r, "the manifest no longer asks for it", true)
	}
}

// drop deletes a recorded object after what takes its place was proved.
func (b *builder) drop(r state.Resource, reason string, asked bool) {
	if r.Found || r.Adopted || !r.Real() {
		b.forget(r, reason)
		return
	}
	t := b.traits(r.Provider, r.Ref.Kind)
	s := Step{Number: Number(r.Ref.Kind), Action: Delete, Ref: r.Ref, Provider: r.Provider, Prior: &r, Reason: reason, Undo: "a revert makes it again", Calls: t.DeleteCalls}
	if asked && t.Serving {
		s.Risk = RiskOffline
	}
	if Comes(r, t) && !asked && !b.builds(r) {
		s.Risk = b.builtOver(r, t) // it may be built since, and people see it: the record says what was seen last
	}
	if b.moves.unseen(r, b.in.Traits) {
		s.Risk = RiskGap
	}
	if b.mail(r) {
		s.Risk = RiskMail
	}
	b.stays(&s)
	b.afterProof(&s, r)
	b.add(s)
}

// afterProof lets what is not wished any more wait for the proof of what takes its place, and for what goes before it.
func (b *builder) afterProof(s *Step, r state.Resource) {
	s.needs(b.proved, b.find(Probe, b.deployment))
	if k, ok := b.key(b.traffic); ok {
		s.needs(k)
	}
	for _, o := range b.steps {
		if o.Risk != RiskMail && comesBefore(o, r.Ref.Kind) {
			s.needs(o.Key())
		}
	}
}

// stays lets a person say that something may stay which can't be taken away: what holds it is another account's by now, as
// the zone of a customer who left with the domain. It goes off the record then, and all that waits for it goes on.
func (b *builder) stays(s *Step) {
	if why := b.c.Looks[s.Ref].Away; why != "" {
		s.Action, s.Risk, s.Calls, s.Reason, s.Undo = Forget, RiskLeft, 0, why, "it is recorded again"
	}
}

// comesBefore: names go before traffic, traffic before releases, those before the
// environment, that before the site; nothing goes before a name has moved.
func comesBefore(o Step, k state.Kind) bool {
	if o.Action != Delete && o.Action != Forget {
		return (o.Ref.Kind == state.KindDomain || o.Ref.Kind == state.KindRecord) && o.Action != Retain
	}
	return removalRank(o.Ref.Kind) < removalRank(k)
}

func removalRank(k state.Kind) int {
	for i, o := range []state.Kind{state.KindRecord, state.KindDomain, state.KindTraffic, state.KindDeployment, state.KindEnvironment, state.KindAdmin, state.KindMail, state.KindPayments, state.KindSite, state.KindDatabase} {
		if k == o {
			return i
		}
	}
	return 99
}

// removalOrder is the record in the order in which it goes.
func (b *builder) removalOrder() []state.Resource {
	all := append([]state.Resource(nil), b.sortedRecord()...)
	sort.SliceStable(all, func(i, j int) bool { return removalRank(all[i].Ref.Kind) < removalRank(all[j].Ref.Kind) })
	return all
}

// forget takes an object off the record. A site that is not ours, and what is part of it, goes
// off it in the order in which ours would be deleted, the site last: its record says whose the
// rest is (see theirs), also when a pass is cut off. Nothing of it goes before its names have:
// whoever returns until then is as it was.
func (b *builder) forget(r state.Resource, reason string) {
	s := b.add(Step{Number: Number(r.Ref.Kind), Action: Forget, Ref: r.Ref, Provider: r.Provider, Prior: &r, Reason: reason, Undo: "it is recorded again"})
	if r.Ref.Kind != state.KindSite && !b.theirs(r) {
		return
	}
	for _, o := range b.steps {
		if o.Ref != r.Ref && o.Risk != RiskMail && (o.Action == Delete || o.Action == Forget) && removalRank(o.Ref.Kind) < removalRank(r.Ref.Kind) {
			s.needs(o.Key())
		}
	}
}

// user lets a user stay in its database, on record for as long as that is: when the
// client returns, its user is there, and no list has to show it.
func (b *builder) user(r state.Resource, reason string) {
	if v, _ := r.Attributes.Get("database"); v.Ref == nil || r.Found || r.Adopted || !r.Real() {
		b.forget(r, reason)
		return
	}
	s := b.retain(r)
	s.Reason, s.Undo, s.PurgeAfter = reason, "a revert brings it back", time.Time{} // its date is its database's
}

func (b *builder) retain(r state.Resource) *Step {
	s := Step{Number: Number(r.Ref.Kind), Action: Retain, Ref: r.Ref, Provider: r.Provider, Prior: &r, Reason: "the manifest no longer asks for it; its data stays", Undo: "a revert brings it back with its data"}
	if r.Ref.Kind == state.KindPayments {
		s.Reason, s.Undo = "the manifest no longer asks for it; "+theirAccount, "a revert brings it back into use"
		return b.add(s)
	}
	if !b.c.RetainForever && !r.Adopted && !r.Found { // what we did not make no date erases
		s.PurgeAfter, s.Keep = b.in.Now.Add(b.c.Retain), b.c.Retain
	}
	return b.add(s)
}

// remove plans the end of a client: names, traffic, releases, environment, site; its
// data is retained, what was found or adopted stays where it is.
//
// Mail goes on until somebody says otherwise: records that carry it wait for an
// approval, and nothing else waits for them.
func (b *builder) remove() {
	if !b.proofs[""] {
		b.problem("", "put the manifest back, or remove it once more", "no accepted commit is on record that removed the manifest: nothing of it goes")
		return
	}
	for _, r := range b.removalOrder() {
		if r.Retained() || b.leaves(r.Ref) {
			continue
		}
		t := b.traits(r.Provider, r.Ref.Kind)
		var s *Step
		switch {
		case t.Data && r.Real():
			s = b.retain(r)
			if s.Reason = "the manifest was removed; its data stays"; r.Ref.Kind == state.KindPayments {
				s.Reason = "the manifest was removed; " + theirAccount
			}
		case r.Ref.Kind == state.KindAdmin:
			b.user(r, "the manifest was removed; the user stays with its data")
			continue
		case r.Ref.Kind == state.KindMail && b.hasData():
			continue // on record with the data: whoever returns is not welcomed again
		case r.Found, r.Adopted, !r.Real(), r.Ref.Kind == state.KindMail, b.theirs(r):
			b.forget(r, "the manifest was removed")
			continue
		default:
			s = b.add(Step{Number: Number(r.Ref.Kind), Action: Delete, Ref: r.Ref, Provider: r.Provider, Prior: &r, Reason: "the manifest was removed", Undo: "a revert makes it again", Calls: t.DeleteCalls})
			if t.Serving || r.Ref.Kind == state.KindSite {
				s.Risk = RiskOffline
			}
			if b.moves.unseen(r, b.in.Traits) {
				s.Risk = RiskGap
			}
			if b.mail(r) {
				s.Risk = RiskMail
			}
			b.stays(s)
		}
		for _, o := range b.steps {
			if o.Ref != r.Ref && o.Risk != RiskMail && removalRank(o.Ref.Kind) < removalRank(r.Ref.Kind) {
				s.needs(o.Key())
			}
		}
	}
}

// hasData says that the client has data on record, which stays when it goes.
func (b *builder) hasData() bool {
	for _, r := range b.recorded {
		if r.Real() && b.traits(r.Provider, r.Ref.Kind).Data {
			return true
		}
	}
	return false
}

// mail says that taking the record away or changing it may stop mail.
func (b *builder) mail(r state.Resource) bool {
	if r.Ref.Kind != state.KindRecord {
		return false
	}
	name := r.Attributes.Literal("name")
	switch r.Attributes.Literal("type") {
	case "MX":
		return true
	case "TXT":
		return strings.HasPrefix(name, "_dmarc.") || strings.HasPrefix(name, "_domainkey.") || strings.Contains(name, "._domainkey.") || b.isHost(name)
	}
	return false
}

// theirs says that the resource is part of a site that we did not make: what serves
// there stays as it is when we go.
func (b *builder) theirs(r state.Resource) bool {
	switch r.Ref.Kind {
	case state.KindEnvironment, state.KindDeployment, state.KindTraffic:
	default:
		return false
	}
	v, _ := r.Attributes.Get("site")
	if v.Ref == nil {
		return false
	}
	site, ok := b.recorded[*v.Ref]
	return ok && (site.Found || site.Adopted)
}

// isHost says that a name is the client's own ("@"): one of those on record, or wished, or one that it
// let go and that something of it still has.
// Of a client without a site, or of one whose provisioning was cut off, no host is on
// record: there its manifest says it, and where nothing does, or the name is not below that one, as its
// own was another one before, any name that is no service's counts.
func (b *builder) isHost(name string) bool {
	any := false
	for _, refs := range []map[state.Ref]state.Resource{b.recorded, b.wished} {
		for r := range refs {
			if r.Kind != state.KindDomain {
				continue
			}
			if any = true; r.Host() == name {
				return true
			}
		}
	}
	for part := range b.proofs { // the name may be gone, and its mail still wait for an approval
		host, is := strings.CutPrefix(part, string(state.KindDomain)+"/"+name)
		if is && strings.HasPrefix(host, "@") {
			return true
		}
	}
	if any {
		return false
	}
	return name == b.c.Host || !strings.HasPrefix(name, "_") && (b.c.Host == "" || !strings.HasSuffix(name, "."+b.c.Host))
}

// Left says that something that the tombstone names is still on record and in use: its
// removal, or its move to another client, is not done, and the proof is still needed.
func Left(t state.Tombstone, recorded []state.Resource) bool {
	for _, r := range recorded {
		if r.Ref.Client == t.Client && r.Real() && !r.Retained() && r.Ref.Kind != state.KindMail && (t.Part == "" || t.Part == partOf(r.Ref)) {
			return true
		}
	}
	return false
}

// moved says that a database was left by a move that is not done yet: it may be needed again.
func moved(c state.Client, r state.Ref) bool {
	for _, u := range c.Undo {
		if u.Ref.Kind == state.KindDatabase && Beside(u.Ref, u.Prior.Provider) == r {
			return true
		}
	}
	return false
}

// Purges returns the steps that erase retained data whose date has passed and which is
// still absent: its client is, or the client's wish has no such part. A living client
// whose wish isn't known keeps everything. What was adopted is never erased by a schedule.
func Purges(c state.Client, wish, recorded []state.Resource, now time.Time) []Step {
	if !c.Removed && len(wish) == 0 {
		return nil
	}
	wished := map[state.Ref]bool{}
	for _, w := range wish {
		wished[w.Ref] = true
	}
	var out []*Step
	for _, r := range recorded {
		if !c.Removed && wished[r.Ref] {
			continue
		}
		if moved(c, r.Ref) || !r.Retained() || r.Ref.Kind == state.KindAdmin || r.Adopted || r.Found || r.PurgeAfter.IsZero() || now.Before(r.PurgeAfter) {
			continue
		}
		if r.Ref.Kind == state.KindPayments { // never by a schedule: it has no date
			out = append(out, &Step{Number: Number(r.Ref.Kind), Action: Forget, Ref: r.Ref, Client: c.Name, Provider: r.Provider, Prior: &r, Reason: theirAccount, Undo: "`adopt:` names it"})
			continue
		}
		out = append(out, &Step{Number: Number(r.Ref.Kind), Action: Purge, Ref: r.Ref, Client: c.Name, Provider: r.Provider, Prior: &r, Risk: RiskData,
			Reason: "kept until " + r.PurgeAfter.UTC().Format("2 January 2006") + ", and nobody asked for it again", Undo: "none: it is erased"})
	}
	order(out)
	return values(out)
}
