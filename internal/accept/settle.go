package accept

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/state"
)

// rulePreviously is broken by a rename that doesn't say so.
const rulePreviously = "previously"

// settled is who is accepted, with the host names shared out.
type settled struct {
	active map[state.ClientID]*candidate // by client, known ones
	fresh  []*candidate                  // newcomers
	failed map[*candidate][]state.FileProblem
	wanted map[string][]*candidate
	held   map[state.ClientID]string // whose removals are held, and by what
}

// settle shares the host names out. A candidate that can't have one is invalid,
// and its client keeps its last good version; that may take a name from somebody
// else, so it is repeated until nothing changes. It ends: every round but the
// last takes a candidate out.
func (p *pass) settle(held map[state.ClientID]string) *settled {
	s := &settled{failed: map[*candidate][]state.FileProblem{}, held: held}
	for {
		p.line(s)
		if !p.round(s) {
			return s
		}
	}
}

// line puts up the candidates that are left, and the last good versions of those
// that are not.
func (p *pass) line(s *settled) {
	s.active, s.fresh, s.wanted = map[state.ClientID]*candidate{}, nil, map[string][]*candidate{}
	for _, k := range p.files {
		switch {
		case !k.valid() || s.failed[k] != nil:
		case k.who == newcomer:
			s.fresh = append(s.fresh, k)
		default:
			s.active[k.client.ID] = k
		}
	}
	for id, k := range p.fallbacks {
		if s.active[id] == nil && k.valid() && s.failed[k] == nil {
			s.active[id] = k
		}
	}
	for _, k := range s.candidates() {
		for _, host := range k.wants {
			s.wanted[host] = append(s.wanted[host], k)
		}
	}
}

// candidates returns everybody in the line, by path.
func (s *settled) candidates() []*candidate {
	out := append([]*candidate(nil), s.fresh...)
	for _, k := range s.active {
		out = append(out, k)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].path < out[j].path })
	return out
}

// gone says that the client's manifest is taken away and nobody carries it on.
func (p *pass) gone(s *settled, id state.ClientID) bool { return p.going(id) && s.active[id] == nil }

// round finds candidates that can't have what they ask for.
func (p *pass) round(s *settled) bool {
	failed := map[*candidate][]state.FileProblem{}
	fail := func(k *candidate, rule, text, hint string) {
		failed[k] = append(failed[k], state.FileProblem{Path: k.path, Blob: k.blob, Client: k.name, Rule: rule, Text: text, Hint: hint})
	}
	for _, host := range keys(s.wanted) {
		claimants := s.wanted[host]
		name := strings.TrimPrefix(host, "host:")
		owner, owned := p.claims.find(host)
		if owned && p.keeps(s, owner.Client, host) {
			for _, k := range claimants {
				if k.client.ID != owner.Client {
					text, hint := p.taken(s, owner.Client, name)
					fail(k, "host", text, hint)
				}
			}
			continue
		}
		if len(claimants) > 1 {
			for _, k := range claimants {
				fail(k, "host", fmt.Sprintf("%s is asked for by more than one manifest: %s", name, names(claimants)), "only one of them can have it")
			}
			continue
		}
		if k := claimants[0]; owned && !p.letGo(owner.Client, host) && k.who == newcomer && k.name != p.clients.get(owner.Client).Name && k.eff.Database.Reuse != reuseFresh && (p.gone(s, owner.Client) || s.active[owner.Client] == nil && p.waitsFor(owner.Client, k.path)) {
			old := p.clients.get(owner.Client).Name
			fail(k, rulePreviously, fmt.Sprintf("takes %s from %s, which is removed here: a rename that doesn't say so?", name, old),
				fmt.Sprintf("previously: [%s] keeps its site and its data; database.reuse: fresh begins anew", old))
		}
	}
	// Names that lie one below the other come after names that are equal, and who has one
	// comes before who asks for one: nobody is refused for what another asks in vain.
	for _, among := range []bool{false, true} {
		if len(failed) == 0 {
			p.nested(s, among, fail)
		}
	}
	for k, q := range failed {
		s.failed[k] = q
	}
	return len(failed) > 0
}

// nested finds candidates that ask for a name below another client's, or above it: one that
// is kept or, among those who ask, one that another asks for anew too. Who has its name
// keeps it, whatever came to lie above or below it.
func (p *pass) nested(s *settled, among bool, fail func(k *candidate, rule, text, hint string)) {
	fresh := map[string]*candidate{}
	for host, claimants := range s.wanted {
		for _, k := range claimants {
			if !p.has(k, host) {
				fresh[host] = k
			}
		}
	}
	if len(fresh) == 0 {
		return
	}
	base := p.now.base.BaseDomain()
	check := func(k *candidate, host, other, where string) {
		name := strings.TrimPrefix(host, "host:")
		if !among {
			if owner, owned := p.claims.find(other); owned && owner.Client != k.client.ID && p.keeps(s, owner.Client, other) {
				text, hint := p.taken(s, owner.Client, strings.TrimPrefix(other, "host:"))
				fail(k, "host", fmt.Sprintf("%s lies %s another client's name: %s", name, where, text), hint)
			}
			return
		}
		if o := fresh[other]; o != nil && o != k {
			fail(k, "host", fmt.Sprintf("%s lies %s %s, which %s asks for", name, where, strings.TrimPrefix(other, "host:"), o.path), "a name and what lies below it belong to one client")
		}
	}
	pair := func(upper, lower string) {
		if k := fresh[lower]; k != nil {
			check(k, lower, upper, "below")
		}
		if k := fresh[upper]; k != nil {
			check(k, upper, lower, "above")
		}
	}
	all := keys(fresh)
	for _, c := range p.claims {
		if fresh[c.Key] == nil {
			all = append(all, c.Key)
		}
	}
	for _, host := range all {
		for _, above := range manifest.Above(strings.TrimPrefix(host, "host:"), base) {
			pair("host:"+above, host)
		}
	}
}

// has says that the candidate's client has the name already, and did not let it go.
func (p *pass) has(k *candidate, host string) bool {
	owner, owned := p.claims.find(host)
	return owned && k.who != newcomer && owner.Client == k.client.ID && !k.client.Removed && !p.letGo(owner.Client, host)
}

// keeps says that the owner doesn't let the name go (yet).
func (p *pass) keeps(s *settled, id state.ClientID, host string) bool {
	c, known := p.clients.find(id)
	if !known {
		return false
	}
	_, held := s.held[id]
	if k := s.active[id]; k != nil && !k.same {
		if slices.Contains(k.wants, host) {
			return true
		}
		if c, ok := p.claims.find(host); ok && c.Client == id && !p.letGo(id, host) {
			return held
		}
		return p.stillWaits(s, id, HostPart+"/"+strings.TrimPrefix(host, "host:"))
	}
	if p.letGo(id, host) && !p.stillWaits(s, id, HostPart+"/"+strings.TrimPrefix(host, "host:")) {
		return false
	}
	switch { // who goes with all it has asks for nobody's word about a part of it
	case p.gone(s, id):
		// A removal that can still be taken back keeps its names.
		return held || p.notUntil().After(p.in.Now) || p.waitingFor(s) != ""
	case c.Removed:
		return p.stillWaits(s, id, "")
	}
	return true
}

// letGo says that an earlier head took the name out of the client's wish.
func (p *pass) letGo(id state.ClientID, host string) bool {
	part := HostPart + "/" + strings.TrimPrefix(host, "host:")
	return slices.ContainsFunc(p.tombs[id], func(t state.Tombstone) bool { return t.Part == part })
}

// stillWaits says that an earlier removal is not to be carried out yet.
func (p *pass) stillWaits(s *settled, id state.ClientID, part string) bool {
	for _, t := range p.tombs[id] {
		if t.Part != part || t.Done {
			continue
		}
		if t.Held != "" || t.NotUntil.After(p.in.Now) {
			return true
		}
		for _, file := range p.waited(t) {
			if p.bad(s, file) {
				return true
			}
		}
	}
	return false
}

func (p *pass) waitsFor(id state.ClientID, file string) bool {
	t, ok := p.whole(id)
	return ok && !t.Done && slices.Contains(p.waited(t), file)
}

// bad says that a file is invalid at the head.
func (p *pass) bad(s *settled, file string) bool {
	if len(p.problems[file]) > 0 {
		return true
	}
	i, found := slices.BinarySearchFunc(p.files, file, func(k *candidate, path string) int { return strings.Compare(k.path, path) })
	return found && (!p.files[i].valid() || s.failed[p.files[i]] != nil)
}

// taken says why a name can't be had.
func (p *pass) taken(s *settled, id state.ClientID, host string) (text, hint string) {
	c, print, waits := p.clients.get(id), "", p.gone(s, id)
	if k := s.active[id]; waits || k != nil && !k.same && !slices.Contains(k.wants, "host:"+host) {
		print = s.held[id]
	}
	for _, t := range p.tombs[id] { // the whole client's first
		if t.Part == HostPart+"/"+host || t.Part == "" && !p.letGo(id, "host:"+host) {
			print, waits = t.Held, !t.Done // an earlier head took it away
		}
	}
	switch {
	case print != "":
		return fmt.Sprintf("%s is still %s's%sis held", host, c.Name, state.ItsRemoval), "`reconciler approve " + print + "` lets it go"
	case waits:
		return fmt.Sprintf("%s is still %s's%swaits", host, c.Name, state.ItsRemoval), "it is free when that is done"
	}
	file := c.Path
	if there := p.present[c.Name]; p.left(c) && len(there) > 0 {
		file = there[0] // it was moved
	}
	return fmt.Sprintf("%s belongs to %s", host, c.Name), "choose another name, or take it out of " + file + " in the same commit"
}

func names(ks []*candidate) string {
	var out []string
	for _, k := range ks {
		out = append(out, k.path)
	}
	return list(out)
}

func keys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}
