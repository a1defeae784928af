package plan

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// unreached is the phase of a host name that DNS does not lead to its site yet
// (provider.Unreached): what it is served with is asked for after that.
const unreached = "unreached"

// leadsHere says that a wished record leads a host to the client's own site.
func leadsHere(w state.Resource, host string) bool {
	return w.Ref.Kind == state.KindRecord && address(w) && w.Attributes.Literal("name") == host
}

// addresses says that a record is one that people come to a name by, whoever said where it leads: the manifest's own
// do it, too.
func addresses(r state.Resource, host string) bool {
	switch r.Attributes.Literal("type") {
	case "A", "AAAA", "CNAME":
		return r.Ref.Kind == state.KindRecord && r.Attributes.Literal("name") == host
	}
	return false
}

// late says that a wished host name gets what it is served with after its address record.
//
// Behind a proxy, also one that the manifest's own record asks for, people are served with the proxy's certificate, and DNS tells nobody whether
// the name leads to the site: there the host does what it can by itself. Of an alias whose
// record is nobody's matter here it can't be told when it will lead here, either, and
// nothing else may wait for it.
func (b *builder) late(w state.Resource) bool {
	if w.Ref.Kind != state.KindDomain || !b.traits(w.Provider, w.Ref.Kind).AfterDNS {
		return false
	}
	led, proxied := false, false
	for _, r := range b.wished {
		led = led || leadsHere(r, w.Ref.Host())
		proxied = proxied || addresses(r, w.Ref.Host()) && r.Attributes.Literal("proxied") == "true"
	}
	return !proxied && (led || w.Attributes.Literal("redirect") == "")
}

// secure plans what comes after DNS: a host name that is bound now, or was and had to wait, or was refused its
// certificate, is secured once its record leads here. Where people are led here from another site, and
// what they are to be served with is not there before, there is a gap: it is stated, and held.
func (b *builder) secure() {
	for _, w := range b.sortedWish() {
		if !b.late(w) {
			continue
		}
		have, moves := b.recorded[w.Ref], false
		n, planned := b.byRef[w.Ref]
		if planned {
			moves = b.steps[n].Action == Move
			planned = moves || b.steps[n].Action == Create || b.steps[n].Action == Replace
		}
		if !planned && (have.Phase != unreached && have.Phase != "failed" || have.Adopted || have.Found) {
			continue // how people served their name before we came is theirs
		}
		if moves {
			b.movesBare(&b.steps[n])
		} else {
			b.gap(w)
		}
		t := b.traits(w.Provider, w.Ref.Kind)
		b.add(Step{Number: Number(w.Ref.Kind), Action: Secure, Ref: w.Ref, Provider: w.Provider, Wish: &w,
			Reason: "its certificate, once its name leads there", Undo: "nothing: it stays with the name", Calls: t.ObserveCalls + t.UpdateCalls})
	}
}

// gap states that who is led to a host name from another site, or past the proxy that it was behind, finds no
// certificate there for a moment.
func (b *builder) gap(w state.Resource) {
	for i := range b.steps {
		s := &b.steps[i]
		if s.Wish == nil || !leadsHere(*s.Wish, w.Ref.Host()) || s.Action == Secure || s.Gap == untilSet || !b.leadsOver(s) && !(unveils(s) && b.recorded[w.Ref].Phase == unreached) {
			continue
		}
		s.Risk, s.Gap = RiskGap, untilSecured
		s.Reason = w.Provider + " gets its certificate for " + w.Ref.Host() + " once the name leads there: until then, " + untilSecured + ", HTTPS fails, unless you saw to one there before"
	}
}

// unveils says that a step takes a name out from behind a proxy, with whose certificate people were served.
func unveils(s *Step) bool {
	return s.Prior != nil && s.Prior.Attributes.Literal("proxied") == "true" && s.Wish.Attributes.Literal("proxied") != "true"
}

// untilSecured is how long a certificate takes that is asked for as soon as it can be had:
// Let's Encrypt answers within seconds, the host installs it, and we look in between.
const untilSecured = "about a minute"

// movesBare states the same gap of a host name that moves to another site of a vendor whose
// certificates belong to sites. A name that had none loses nothing.
func (b *builder) movesBare(s *Step) {
	if !b.traits(s.Provider, s.Ref.Kind).PerSite || s.Prior.Phase != "" {
		return
	}
	s.Risk, s.Gap = RiskGap, untilSecured
	s.Reason = "it moves here from another client, and a certificate at " + s.Provider + " is one site's: until this one has its own for " + s.Ref.Host() + ", " + untilSecured + ", HTTPS fails"
}

// refresh lets copies of pages be forgotten when another release answers.
func (b *builder) refresh() {
	if _, served := b.serving(); !served {
		return // nobody saw a page yet
	}
	_, promoted := b.byRef[b.traffic]
	n, made := b.byRef[b.deployment]
	built := made && !b.traits(b.wished[b.deployment].Provider, state.KindDeployment).Promotable && b.steps[n].Action != Delete
	for _, w := range b.sortedWish() {
		n, led := b.byRef[w.Ref]
		over := led && b.leadsOver(&b.steps[n])
		if w.Ref.Kind != state.KindRecord || !address(w) || w.Attributes.Literal("proxied") != "true" || !b.traits(w.Provider, w.Ref.Kind).Copies || !promoted && !built && !over {
			continue
		}
		b.add(Step{Number: StepMonitor, Action: Refresh, Ref: w.Ref, Provider: w.Provider, Wish: &w, Reason: "another release answers: copies of earlier pages are forgotten", Undo: "nothing: copies come by themselves", Calls: 1})
	}
}

// soak says how long the side of the site that was replaced still serves those who learned
// its address before: until a time, or, where this plan moves the names, after that. Where DNS
// leads people there still that is looked at again, more and more seldom.
func (b *builder) soak() (after time.Duration, until time.Time, is bool) {
	led := b.stillLed() != ""
	if b.in.Soak <= 0 && !led || b.site.IsZero() {
		return 0, until, false
	}
	ttl, moved, moves := time.Duration(0), time.Time{}, false
	for _, w := range b.sortedWish() {
		if leadsToSite(w) != b.site && !b.ownAddress(w) {
			continue
		}
		if w.Ref.Kind == state.KindRecord {
			ttl = max(ttl, ttlOf(w), ttlOf(b.recorded[w.Ref]), b.recorded[w.Ref].Lives)
		}
		_, planned := b.byRef[w.Ref]
		have, there := b.recorded[w.Ref]
		if moves = moves || planned || !there; have.UpdatedAt.After(moved) {
			moved = have.UpdatedAt
		}
	}
	if ttl == 0 {
		ttl = unknownTTL
	}
	after = ttl + b.in.Soak
	if moves {
		return after, time.Time{}, true
	}
	if until = moved.Add(after); led && !b.in.Now.Before(until) {
		until = b.in.Now.Add(max(after, min(b.in.Now.Sub(moved)/4, maxLed)))
	}
	return after, until, b.in.Now.Before(until)
}

// ownAddress says that a wished record is the manifest's own for a name that is bound to the site.
func (b *builder) ownAddress(w state.Resource) bool {
	for _, d := range b.wished {
		if d.Ref.Kind == state.KindDomain && leadsToSite(d) == b.site && addresses(w, d.Ref.Host()) {
			return true
		}
	}
	return false
}

// stillLed is what a person is to do as DNS leads people to the side that was replaced, beside the record
// that was set for this one, or in its place: what serves there stays until then. "": nothing that was seen.
func (b *builder) stillLed() string {
	var left []string
	for _, r := range b.sortedRecord() {
		if r.Ref.Kind == state.KindSite && b.replaced(r) {
			left = append(left, whereAt(r)...)
		}
	}
	here := whereAt(b.recorded[b.site])
	for _, w := range b.sortedWish() {
		what, to := "", w.Attributes.Literal("content")
		switch {
		case w.Ref.Kind != state.KindRecord:
		case leadsToSite(w) == b.site:
			what = led(w.Ref, b.c.Looks[w.Ref], left)
		case b.ownAddress(w) && slices.Contains(left, to) && !slices.Contains(here, to):
			what = "`dns.records` leads " + w.Attributes.Literal("name") + " to " + to + ": let that record lead to the new site, or leave it out"
		}
		if what != "" {
			return "DNS leads people there still: " + what
		}
	}
	return ""
}

// whereUnknown is a record of which nobody can see now where it leads, and at which provider; "": none.
func (b *builder) whereUnknown() (provider, why string) {
	for _, w := range b.sortedWish() {
		if look := b.c.Looks[w.Ref]; w.Ref.Kind == state.KindRecord && leadsToSite(w) == b.site && look.Failed != "" {
			return w.Provider, "where " + w.Ref.Name + " leads can't be seen: " + look.Failed
		}
	}
	return "", ""
}

// led is what a person is to do as DNS leads a record's name to one of these places; "": it does not.
func led(record state.Ref, l Look, at []string) string {
	for _, p := range at {
		switch {
		case !slices.Contains(l.Also, p):
		case l.Asks != "":
			return l.Asks
		default:
			return "take the record " + record.Name + " → " + p + " away at your DNS host"
		}
	}
	return ""
}

// whereAt is where a name leads that leads to a site, as Look.Also has them: its address, and its name at its
// host.
func whereAt(site state.Resource) (out []string) {
	if a, err := netip.ParseAddr(site.Outputs["address"].Literal); err == nil {
		out = append(out, a.Unmap().String())
	}
	if host := site.Outputs["host"].Literal; host != "" {
		out = append(out, strings.ToLower(strings.TrimSuffix(host, ".")))
	}
	return out
}

// maxLed is how seldom it is looked at, at most, whether DNS leads people still to what was replaced.
const maxLed = 6 * time.Hour

// unknownTTL is that of a record that others keep, or whose vendor chooses (ttl 1).
const unknownTTL = 5 * time.Minute

// ttlOf is a record's time to live; 0: it says none.
func ttlOf(r state.Resource) time.Duration {
	n, err := strconv.Atoi(r.Attributes.Literal("ttl"))
	switch {
	case err != nil || n < 1:
		return 0
	case n == 1:
		return unknownTTL
	}
	return time.Duration(n) * time.Second
}

// Lives is how long what a record said until now may be remembered once is takes its place; 0: no longer than that says itself.
func Lives(was, is state.Resource, now time.Time) time.Duration {
	if old := max(ttlOf(was), was.Lives-max(0, now.Sub(was.UpdatedAt))); was.Ref.Kind == state.KindRecord && old > ttlOf(is) {
		return old
	}
	return 0
}

// replacedGoes plans the end of a resource whose side was replaced.
func (b *builder) replacedGoes(r state.Resource) {
	if b.theirs(r) {
		b.forget(r, "its side was replaced, and that is not ours to delete")
	} else {
		b.drop(r, "its side was replaced", false)
	}
}

// goesLater is replacedGoes for when people have forgotten the address.
func (b *builder) goesLater(r state.Resource, after time.Duration, until time.Time) {
	n := len(b.steps)
	_, known := b.byRef[r.Ref]
	b.replacedGoes(r)
	for _, s := range b.steps[n:] {
		s.Client, s.Needs, s.After, s.NotBefore, s.Led = b.c.Client.Name, nil, after, until, b.stillLed()
		if s.Reason += "; it serves for " + short(after) + " after the names have moved"; s.Led != "" {
			s.Reason += ", and longer: " + s.Led
		}
		b.later = append(b.later, s)
	}
	if b.steps = b.steps[:n]; !known {
		delete(b.byRef, r.Ref)
	}
}

// watched lets the new side be asked once more before the old one goes.
func (b *builder) watched() {
	if b.proved != "" || !b.c.Health || b.in.Soak <= 0 || b.traffic.IsZero() {
		return
	}
	s := b.add(Step{Number: StepHealth, Action: Probe, Ref: b.traffic, Provider: b.wished[b.traffic].Provider, Outside: true, Reason: "outside in, before what it replaced goes", Undo: "nothing: it only asks"})
	b.proved = s.Key()
}

// short is a duration without what is zero.
func short(d time.Duration) string {
	s := d.Round(time.Second).String()
	if d >= time.Minute {
		s = strings.TrimSuffix(s, "0s")
	}
	if d >= time.Hour {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
