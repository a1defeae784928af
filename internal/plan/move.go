package plan

import (
	"maps"
	"slices"
	"strings"

	"github.com/compassdigital/reconciler/internal/state"
)

// moves are names that change their owner within the group: one step each, at the new
// owner, after the new owner's site was proved.
//
//	old owner's record   old owner's wish    proof at the old owner   new owner wishes it
//	has it               no longer           client or part removed   moves
//	has it               no longer           none, or not due         waits for the old owner
//	has it               no longer           can't be worked out      the old one keeps what serves
//	has it               still               -                        waits for the old owner
//	found, not made      -                   -                        like a name of nobody
//	has it, it is gone   -                   -                        like a name of nobody
//
// A new owner that has it on record from before, where it is gone, wishes it like any other.
type moves struct {
	to   map[state.Ref]state.Resource // wished Ref → what the old owner has on record
	goes map[state.Ref]state.ClientID // recorded Ref → its new owner
	kept map[state.Ref]string         // wished Ref → name of the client that still has it
	over []handover
	name map[state.ClientID]string
}

// handover is a host name that goes from one client to another, at whatever vendors the
// two have it.
type handover struct {
	host     string
	from, to state.ClientID
	there    bool   // the new owner has all of it on record, and ready; not where that is unknown
	keeper   string // who keeps the new owner's record that leads there; "": nobody
	at       string // the host of sites that it leads to
	led      string // what a person is to do as DNS leads people to the old owner, too; "": nothing that was seen
	unseen   bool   // a record of people's may lead to the old owner's site
}

// leads says that a step is one by which the new owner gets the name.
func (h handover) leads(s *Step) bool {
	return s.Ref.Client == h.to && s.Action != Delete && s.Action != Forget && Leads(s.Ref, h.host)
}

// findMoves pairs what one client has and lets go with what another one wishes and
// does not have.
func findMoves(clients []ClientInput) moves {
	m := moves{to: map[state.Ref]state.Resource{}, goes: map[state.Ref]state.ClientID{}, kept: map[state.Ref]string{}, name: map[state.ClientID]string{}}
	if len(clients) < 2 {
		return m
	}
	free, kept := map[string]state.Resource{}, map[string]state.ClientID{}
	hosts := map[string][]state.ClientID{} // let go
	for _, c := range clients {
		m.name[c.Client.ID] = c.Client.Name
		if len(c.Recorded) == 0 {
			continue
		}
		lets := letsGo(c)
		for _, r := range c.Recorded {
			switch {
			case !movable(r.Ref.Kind) || !r.Real() || r.Found || c.Looks[r.Ref].Gone:
			case lets(r.Ref):
				free[nameOf(r)] = r
				if host := ledTo(r.Ref); host != "" && !slices.Contains(hosts[host], c.Client.ID) {
					hosts[host] = append(hosts[host], c.Client.ID)
				}
			default:
				kept[nameOf(r)] = c.Client.ID
			}
		}
	}
	for _, c := range clients {
		if c.Removed {
			continue
		}
		recorded, ready := map[state.Ref]bool{}, map[state.Ref]bool{}
		for _, r := range c.Recorded {
			look := c.Looks[r.Ref]
			recorded[r.Ref] = r.Real() && !look.Gone
			ready[r.Ref] = recorded[r.Ref] && look.Failed == "" && (r.Phase == "" || r.Phase == unreached)
		}
		m.over = append(m.over, handovers(c, clients, hosts, ready)...)
		for _, w := range c.Wish {
			if !movable(w.Ref.Kind) || recorded[w.Ref] {
				continue
			}
			name := nameOf(w)
			if old, ok := free[name]; ok && old.Ref.Client != c.Client.ID {
				m.to[w.Ref], m.goes[old.Ref] = old, c.Client.ID
				delete(free, name)
			} else if owner, ok := kept[name]; ok && owner != c.Client.ID {
				m.kept[w.Ref] = m.name[owner]
			}
		}
	}
	return m
}

// Gives says that a client still has a name, or a record, that another one wishes and does not
// have: it is to move, or waits for something. Of whose wish can't be worked out it may be any
// that is let go.
func Gives(from, to ClientInput) bool {
	if len(to.Problems) > 0 {
		lets := letsGo(from)
		return slices.ContainsFunc(from.Recorded, func(r state.Resource) bool {
			return movable(r.Ref.Kind) && r.Real() && !r.Found && lets(r.Ref)
		})
	}
	m := findMoves([]ClientInput{from, to})
	for old := range m.goes {
		if old.Client == from.Client.ID {
			return true
		}
	}
	for w := range m.kept {
		if w.Client == to.Client.ID {
			return true
		}
	}
	return false
}

// handovers are the names of others, let go, that the client wishes.
func handovers(c ClientInput, clients []ClientInput, hosts map[string][]state.ClientID, ready map[state.Ref]bool) []handover {
	var out []handover
	for _, w := range c.Wish {
		if w.Ref.Kind != state.KindDomain {
			continue
		}
		for _, from := range hosts[w.Ref.Host()] {
			if from == c.Client.ID {
				continue
			}
			h := handover{host: w.Ref.Host(), from: from, to: c.Client.ID, there: true}
			for _, o := range c.Wish {
				h.there = h.there && (ready[o.Ref] || !Leads(o.Ref, h.host))
				if o.Ref.Kind == state.KindRecord && Leads(o.Ref, h.host) {
					h.keeper, h.at = o.Provider, leadsTo(o)
					left := leftBy(clients, from, h)
					look, seen := c.Looks[o.Ref]
					if slices.ContainsFunc(c.Recorded, func(r state.Resource) bool { return r.Ref == o.Ref && r.Provider != o.Provider }) {
						look, seen = Look{}, false // that one is of the record that this one takes the place of
					}
					if h.unseen = !seen && len(left) > 0; look.Asks == "" || ready[o.Ref] { // else its own step asks for it
						h.led = led(o.Ref, look, left)
					}
				}
			}
			out = append(out, h)
		}
	}
	for _, host := range c.Takes {
		for _, from := range hosts[host] {
			if from != c.Client.ID {
				out = append(out, handover{host: host, from: from, to: c.Client.ID})
			}
		}
	}
	return out
}

// leftBy are the places of the old owner's sites, where a person has to take the record away that leads
// there: a record of its own goes with the name.
func leftBy(clients []ClientInput, from state.ClientID, h handover) (out []string) {
	for _, c := range clients {
		if c.Client.ID != from {
			continue
		}
		for _, r := range c.Recorded {
			switch {
			case r.Ref.Kind == state.KindRecord && Leads(r.Ref, h.host) && r.Real() && r.Provider != h.keeper:
				return nil
			case r.Ref.Kind == state.KindSite:
				out = append(out, whereAt(r)...)
			}
		}
	}
	return out
}

// unseen says that a record leads to a name that goes to a client whose records people set,
// at the same host of sites: DNS answers with this one until it is gone, so nobody can see
// whether theirs is there.
func (m moves) unseen(r state.Resource, traits map[string]map[state.Kind]state.Traits) bool {
	return r.Ref.Kind == state.KindRecord && slices.ContainsFunc(m.over, func(h handover) bool {
		return r.Ref.Client == h.from && Leads(r.Ref, h.host) && h.keeper != "" && h.keeper != r.Provider && h.at == leadsTo(r) && traits[h.keeper][state.KindRecord].Manual
	})
}

// leadsTo names the host of sites that an address record leads to; "": not known.
func leadsTo(record state.Resource) string {
	if v, _ := record.Attributes.Get("content"); v.Ref != nil {
		return v.Ref.Name
	}
	return ""
}

// ledTo is the host name that a resource is, or is the address record of; "": none.
func ledTo(r state.Ref) string {
	host := r.Host()
	if r.Kind == state.KindRecord {
		_, host, _ = strings.Cut(r.Name, " ")
	}
	if !Leads(r, host) {
		return ""
	}
	return host
}

// Leads says that a resource is a host name, or the address record of it.
func Leads(r state.Ref, host string) bool {
	switch r.Kind {
	case state.KindDomain:
		return r.Host() == host
	case state.KindRecord:
		kind, name, _ := strings.Cut(r.Name, " ")
		return (kind == "A" || kind == "AAAA" || kind == "CNAME") && name == host
	}
	return false
}

// letsGo says which of a client's names are proved to be given up. An address record
// goes with its host.
func letsGo(c ClientInput) func(state.Ref) bool {
	wished, parts, hosts := map[state.Ref]bool{}, map[string]bool{}, map[string]bool{}
	for _, w := range c.Wish {
		wished[w.Ref] = true
	}
	for _, t := range c.Tombstones {
		parts[t.Part] = true
		if d, ok := strings.CutPrefix(t.Part, string(state.KindDomain)+"/"); ok {
			host, _, _ := strings.Cut(d, "@")
			hosts[host] = true
		}
	}
	return func(r state.Ref) bool {
		if c.Removed {
			return parts[""]
		}
		if c.Wish == nil || wished[r] {
			return false
		}
		if parts[partOf(r)] {
			return true
		}
		kind, name, _ := strings.Cut(r.Name, " ")
		return r.Kind == state.KindRecord && (kind == "A" || kind == "AAAA" || kind == "CNAME") && hosts[name]
	}
}

func movable(k state.Kind) bool { return k == state.KindDomain || k == state.KindRecord }

// nameOf is what two clients can't both have: the provider's kind and name.
func nameOf(r state.Resource) string { return r.Provider + "\x00" + Named(r.Ref) }

// Named is the name or record that a resource is, whosever it is and wherever; "": it is none.
func Named(r state.Ref) string {
	switch {
	case !movable(r.Kind):
		return ""
	case r.Kind == state.KindDomain:
		return string(r.Kind) + "\x00" + r.Host()
	}
	return string(r.Kind) + "\x00" + r.Name
}

// move plans the change of owner.
func (b *builder) move(w, old state.Resource) {
	t := b.traits(w.Provider, w.Ref.Kind)
	w.Adopted = old.Adopted
	b.add(Step{Number: Number(w.Ref.Kind), Action: Move, Ref: w.Ref, From: old.Ref, FromClient: b.moves.name[old.Ref.Client], Provider: w.Provider, Wish: &w, Prior: &old,
		Fields: diff(old, w), Risk: RiskTraffic, Reason: "it moves here from another client", Undo: "it moves back", Calls: t.ObserveCalls + t.UpdateCalls})
}

// any says that steps of one client may need those of another.
func (m moves) any() bool { return len(m.goes) > 0 || len(m.over) > 0 }

// join lets the old owner's removals wait until its names have moved: both are ready, so that an
// old one that gets another name instead is without one as short as can be, the name moves, then
// the old one lets go. While the new owner can't be
// planned, the old one keeps what serves. (Where the two are at different hosts only the
// address record moves, and where their records are kept by others not even that: the
// old one's wait until the new one's lead to its site.)
//
// A record that a person keeps may be there before its step, beside the one that leads to the old owner: its first
// look, in the next pass, says so. Until then what serves there stays.
func (m moves) join(steps []*Step, traits map[string]map[state.Kind]state.Traits) {
	if !m.any() {
		return
	}
	keys, planned := map[state.ClientID][]string{}, map[state.Ref]bool{}
	proofs := map[state.ClientID]string{} // of new versions, before they serve
	for _, s := range steps {
		if s.Action == Probe && !s.Outside {
			proofs[s.Ref.Client] = s.Key()
		}
	}
	for _, s := range steps {
		if s.Action == Move {
			keys[s.From.Client] = append(keys[s.From.Client], s.Key())
			planned[s.From] = true
			s.needs(proofs[s.From.Client])
		}
	}
	waits, asks, looks := map[state.ClientID]string{}, map[state.ClientID]string{}, map[state.ClientID]*Step{}
	for from, to := range m.goes {
		if have, ok := waits[from.Client]; !planned[from] && (!ok || m.name[to] < have) {
			waits[from.Client] = m.name[to]
		}
	}
	for _, h := range m.over {
		if h.led != "" && (asks[h.from] == "" || h.led < asks[h.from]) {
			asks[h.from] = h.led
		}
		begun := false
		for _, s := range steps {
			if h.leads(s) {
				keys[h.from], begun = append(keys[h.from], s.Key()), true
				if h.unseen && traits[s.Provider][s.Ref.Kind].Manual {
					looks[h.from] = s
				}
			}
		}
		if have, ok := waits[h.from]; !begun && !h.there && (!ok || m.name[h.to] < have) {
			waits[h.from] = m.name[h.to]
		}
	}
	for _, s := range steps {
		if (s.Action != Delete && s.Action != Retain) || !serves(s) {
			continue
		}
		s.needs(keys[s.Ref.Client]...)
		if owner, ok := waits[s.Ref.Client]; ok {
			s.Blocked, s.Reason = true, "waiting for "+owner+", which takes a name over and is not ready"
		} else if what := asks[s.Ref.Client]; what != "" {
			s.Blocked, s.Reason = true, "waiting for a person, as DNS leads people here still: "+what
		} else if record := looks[s.Ref.Client]; record != nil {
			s.WaitFor(record.Provider, "whether DNS leads people here still is seen once "+record.Ref.Name+" is set")
		}
	}
}

// redirected lets a name go once no name of another client redirects to it any more, and says
// that one does. (It was the other's before it moved, and the other's pass was cut off since.)
// While nothing leads that one on, as its client can't be planned or is to be asked first, the
// name stays: people still come by it.
func redirected(clients []ClientInput, steps []*Step) (yes bool) {
	goes, led := map[string][]*Step{}, map[state.Ref]*Step{} // by host; by what is on record
	turned := map[state.Ref]*Step{}                          // by client and host: its address records that a switch turns to the other side
	for _, s := range steps {
		if s.Ref.Kind == state.KindRecord && (s.Action == Update || s.Action == Create) {
			turned[state.Ref{Client: s.Ref.Client, Kind: state.KindRecord, Name: ledTo(s.Ref)}] = s
		}
		switch host := ledTo(s.Ref); {
		case s.Action == Delete && host != "":
			goes[host] = append(goes[host], s)
			led[s.Ref] = s
		case s.Action == Move:
			led[s.From] = s
		case s.Ref.Kind == state.KindDomain && (s.Action.Writes() && s.Action != Secure || s.Action == Adopt || s.Action == Forget):
			led[s.Ref] = s
		}
	}
	if len(goes) == 0 {
		return false
	}
	wish := map[state.ClientID][]state.Resource{}
	for _, c := range clients {
		wish[c.Client.ID] = c.Wish
	}
	for _, c := range clients {
		for _, r := range c.Recorded {
			to := r.Attributes.Literal("redirect")
			if to == "" || r.Ref.Kind != state.KindDomain || !r.Real() || c.Looks[r.Ref].Gone {
				continue
			}
			for _, s := range goes[to] {
				switch on, away := led[r.Ref], turned[state.Ref{Client: c.Client.ID, Kind: state.KindRecord, Name: r.Ref.Host()}]; {
				case away != nil && (on == nil || on.Wish == nil) && s.Ref.Client != c.Client.ID && !wishes(c, r.Ref):
					s.needs(away.Key()) // what redirects there is at the side that is left
					yes = true
				case on != nil && on.Action == Delete:
					for _, own := range goes[r.Ref.Host()] { // of two names that go, what redirects goes first: another one may have it, or is to get it
						if own.Ref.Client == c.Client.ID && !needed(steps, own, s) {
							s.needs(own.Key())
							yes = true
						}
					}
				case on == nil && s.Ref.Client != c.Client.ID && !bound(c.Recorded, to) && !bound(wish[s.Ref.Client], to):
					s.Blocked, s.Reason = true, "waiting for "+c.Client.Name+", whose "+r.Ref.Host()+" still redirects to "+to
				case on != nil && s.Ref.Client != on.Ref.Client && on.Wish != nil && on.Wish.Attributes.Literal("redirect") != to:
					s.needs(on.Key())
					yes = true
				}
			}
		}
	}
	return yes
}

// wishes says that the client's wish has the resource; a name at a host that it leaves it has not.
func wishes(c ClientInput, ref state.Ref) bool {
	return slices.ContainsFunc(c.Wish, func(w state.Resource) bool { return w.Ref == ref })
}

// bound says that a host name is among a client's resources.
func bound(all []state.Resource, host string) bool {
	return slices.ContainsFunc(all, func(r state.Resource) bool { return r.Ref.Kind == state.KindDomain && r.Ref.Host() == host })
}

// answered lets a name that people come by redirect to another only once no other client has that
// one on record any more: bound to his site, or leading there. (The new owner's is made before the
// old one's goes. Where they are at two hosts, or two keep their records, DNS answers with both
// until then, and what is at the old owner's site is not for who comes by this name.) It says that
// one waits so. Of those that would wait for each other, as the names of two clients that exchange
// theirs, the later waits for nothing.
//
// Where a person's record can't be seen before the other client's has gone (unseen), the name stays as it is
// until the pass after that, which looks at it. Where what it redirects to is another client's by then (passedOn), it is
// led on before that goes: until then people come to the right site by it.
func (m moves) answered(clients []ClientInput, steps []*Step, traits map[string]map[state.Kind]state.Traits) (yes bool) {
	for _, s := range steps {
		to := turnsTo(s)
		if to == "" {
			continue
		}
		late := m.passedOn(clients, steps, s.Ref.Client, s.Prior.Attributes.Literal("redirect"))
		for _, c := range clients {
			for _, r := range c.Recorded {
				_, goes := m.goes[r.Ref] // its own step leads it here
				if goes || c.Client.ID == s.Ref.Client || !Leads(r.Ref, to) || !r.Real() || r.Found || c.Looks[r.Ref].Gone {
					continue
				}
				if r.Ref.Kind == state.KindRecord && !address(r) {
					continue // it leads to no site of ours
				}
				switch end := endOf(steps, r.Ref); {
				case end == nil:
					s.Blocked, s.Reason = true, "waiting for "+c.Client.Name+", which still has "+to
				case late && end.Action == Delete && m.unseen(r, traits):
					if !needed(steps, s, end) {
						end.needs(s.Key())
						yes = true
					}
				case !needed(steps, end, s):
					s.needs(end.Key())
					yes = true
					if end.Action == Delete && m.unseen(r, traits) {
						s.Blocked, s.Reason = true, "whether "+to+" leads here is seen once "+c.Client.Name+"'s record of it has gone"
					}
				}
			}
		}
	}
	return yes
}

// passedOn says that a name of a client's is another one's by now, or that steps lead it there.
func (m moves) passedOn(clients []ClientInput, steps []*Step, id state.ClientID, host string) bool {
	own := slices.IndexFunc(clients, func(c ClientInput) bool { return c.Client.ID == id })
	return host != "" && (!bound(clients[own].Recorded, host) || slices.ContainsFunc(m.over, func(h handover) bool {
		return h.from == id && h.host == host && (h.there || slices.ContainsFunc(steps, h.leads))
	}))
}

// throughFirst lets who takes a name keep all that people come by, until the one that had the name is
// through, and the one that this one takes a name from, and so on: if one of them fails, all go back to
// what they had. The name may move now, or have moved in a pass that was cut off. Who can't be planned is not
// through. It says that something waits so.
func throughFirst(clients []ClientInput, problems []Problem, steps []*Step) (yes bool) {
	takes := map[state.ClientID]map[state.ClientID]bool{} // who, from whom
	note := func(who, from state.ClientID) {
		if takes[who] == nil {
			takes[who] = map[state.ClientID]bool{}
		}
		takes[who][from] = who != from
	}
	atIt, fails := map[state.ClientID]bool{}, []state.Client{}
	for _, c := range clients {
		id := c.Client.ID
		atIt[id] = c.Client.Run != "" && !c.Removed
		stuck := slices.ContainsFunc(problems, func(q Problem) bool { return q.Client == id })
		if stuck && atIt[id] && c.Client.Quarantined.IsZero() { // nothing is given back to who is in quarantine
			fails = append(fails, c.Client)
		}
	}
	for _, c := range clients {
		for _, u := range c.Client.Undo {
			if from := u.Prior.Ref.Client; atIt[from] && !u.Kept {
				note(c.Client.ID, from)
			}
		}
	}
	for _, s := range steps {
		if s.Action == Move {
			note(s.Ref.Client, s.From.Client)
		}
	}
	for who := range takes {
		for todo := slices.Collect(maps.Keys(takes[who])); len(todo) > 0; todo = todo[1:] {
			for from, does := range takes[todo[0]] {
				if _, known := takes[who][from]; !known && from != who && does {
					takes[who][from] = true
					todo = append(todo, from)
				}
			}
		}
	}
	for _, end := range steps {
		if len(takes[end.Ref.Client]) == 0 || end.Action != Delete && end.Action != Retain || !serves(end) {
			continue
		}
		for _, c := range fails {
			if takes[end.Ref.Client][c.ID] {
				end.Blocked, end.Reason = true, "waiting for "+c.Name+", which can't go on"
			}
		}
		for _, s := range steps {
			if takes[end.Ref.Client][s.Ref.Client] && !s.Action.Ends() && s.Action != Retain && !needed(steps, s, end) {
				end.needs(s.Key())
				yes = true
			}
		}
	}
	return yes
}

// turnsTo is the name to which one that people come by is to redirect anew; "": none.
func turnsTo(s *Step) string {
	if s.Ref.Kind != state.KindDomain || s.Action != Update || s.Wish == nil || s.Prior == nil {
		return ""
	}
	to := s.Wish.Attributes.Literal("redirect")
	if to == s.Prior.Attributes.Literal("redirect") {
		return ""
	}
	return to
}

// endOf is the step that takes something off the record; nil: none does.
func endOf(steps []*Step, r state.Ref) *Step {
	for _, s := range steps {
		if s.Ref == r && (s.Action == Delete || s.Action == Forget) {
			return s
		}
	}
	return nil
}

// needed says that a step needs another one, over however many between them.
func needed(steps []*Step, by, what *Step) bool {
	return by.Key() == what.Key() || slices.ContainsFunc(before(steps, by), func(s *Step) bool { return s.Key() == what.Key() })
}

// Before are the steps that one needs, over however many between them, the nearest first.
func (p Plan) Before(s Step) []Step {
	steps := make([]*Step, len(p.Steps))
	for i := range p.Steps {
		steps[i] = &p.Steps[i]
	}
	var out []Step
	for _, o := range before(steps, &s) {
		out = append(out, *o)
	}
	return out
}

func before(steps []*Step, s *Step) (out []*Step) {
	of, seen := map[string]*Step{}, map[string]bool{}
	for _, o := range steps {
		of[o.Key()] = o
	}
	for todo := slices.Clone(s.Needs); len(todo) > 0; todo = todo[1:] {
		if o := of[todo[0]]; o != nil && !seen[todo[0]] {
			seen[todo[0]] = true
			out, todo = append(out, o), append(todo, o.Needs...)
		}
	}
	return out
}

// serves says that a removal takes something away that people come by: names that lead
// to the site, and all below them. A name that moves may redirect to one that goes.
func serves(s *Step) bool {
	if s.Ref.Kind != state.KindRecord {
		return true
	}
	kind, _, _ := strings.Cut(s.Ref.Name, " ")
	return kind == "A" || kind == "AAAA" || kind == "CNAME"
}
