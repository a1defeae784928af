package accept

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/state"
)

// loss is what the range takes away from one client.
type loss struct {
	client state.Client
	files  []string // that took it away
	stones []state.Tombstone
	counts bool // its manifest, database or a host name, or that it answers there: the guard counts it
	dark   bool // it keeps a host name, and answers there no more
}

// Tightened is the guard with what a platform file says: it may only tighten.
func (g Guard) Tightened(m manifest.Guard) Guard {
	least := func(have int, said *int) int {
		if said != nil && *said < have {
			return max(0, *said)
		}
		return have
	}
	g.MaxDeletes = least(g.MaxDeletes, m.MaxDeletes)
	g.MaxDeletePercent = least(g.MaxDeletePercent, m.MaxDeletePercent)
	g.MaxChanged = least(g.MaxChanged, m.MaxChanged)
	g.MaxCreates = least(g.MaxCreates, m.MaxCreates)
	g.ReviewedOnly = g.ReviewedOnly || m.Removals == "reviewed"
	if m.RemoveAfter != nil && m.RemoveAfter.Std() > g.RemoveAfter {
		g.RemoveAfter = m.RemoveAfter.Std()
	}
	return g
}

// Deletes is how many clients of a fleet may lose something within Window.
func (g Guard) Deletes(fleet int) int {
	return max(1, min(g.MaxDeletes, fleet*g.MaxDeletePercent/100))
}

// guard is in effect: the daemon's, tightened by the platform file before and
// after, so that no commit loosens what it is judged by.
func (p *pass) guard() Guard { return p.in.Guard.Tightened(p.old.guard()).Tightened(p.now.guard()) }

// before resolves the client's wish as it was, with today's program.
func (p *pass) before(c state.Client) (manifest.Effective, bool) {
	if len(c.Manifest) == 0 {
		return manifest.Effective{}, false
	}
	e, problems := p.old.Client(c)
	return e, !problems.Failed()
}

// losses works out what the range takes away, by client.
func (p *pass) losses(s *settled) []loss {
	p.waits = p.waitingFor(s)
	var out []loss
	for _, id := range p.concerned(s) {
		c := p.clients.get(id)
		if p.gone(s, id) {
			out = append(out, p.wholeLoss(c))
			continue
		}
		k := s.active[id]
		if k == nil || k.same || k.hash == c.WishHash && k.who != returned {
			continue
		}
		if l := p.partLoss(s, c, k); len(l.stones) > 0 {
			out = append(out, l)
		}
	}
	return out
}

// concerned are the clients that may lose something: who is in the line, and who
// bears the name of a file that was taken away. Sorted.
func (p *pass) concerned(s *settled) []state.ClientID {
	ids := map[state.ClientID]bool{}
	for id := range s.active {
		ids[id] = true
	}
	for path := range p.deleted {
		if id, ok := p.byName[nameOf(path)]; ok {
			ids[id] = true
		}
	}
	return sortedIDs(ids)
}

func (p *pass) wholeLoss(c state.Client) loss {
	l := loss{client: c, files: []string{c.Path}, counts: !p.neverBegun(c.ID)}
	t := p.stone(c, "", l.files)
	t.NotUntil = p.notUntil()
	l.stones = []state.Tombstone{t}
	return l
}

func (p *pass) partLoss(s *settled, c state.Client, k *candidate) loss {
	l := loss{client: c, files: []string{k.path}}
	if p.follows(k) {
		l.files = p.inherits
	}
	if k.who == renamed {
		l.files = append(l.files, c.Path)
	}
	old, ok := p.before(c)
	if !ok {
		return l
	}
	kept := p.parts(k.path, k.client, k.eff)
	moved := map[string]bool{}
	var later time.Time
	for _, host := range old.Claims() {
		if slices.Contains(k.wants, host) {
			continue
		}
		l.counts = true
		name := strings.TrimPrefix(host, "host:")
		moved[name] = len(s.wanted[host]) > 0
		if !moved[name] {
			later = p.notUntil()
		}
		t := p.stone(c, HostPart+"/"+name, l.files)
		t.Done = moved[name]
		l.stones = append(l.stones, t)
	}
	for _, part := range p.parts(k.path, c, old) {
		if slices.Contains(kept, part) {
			continue
		}
		if strings.HasPrefix(part, string(state.KindDatabase)+"/") {
			l.counts, later = true, p.notUntil()
		}
		if host, _ := answers(part); goesDark(part, kept) && slices.Contains(k.wants, "host:"+host) {
			l.counts, l.dark, later = true, true, p.notUntil()
		}
		l.stones = append(l.stones, p.stone(c, part, l.files))
	}
	l.stones = append(l.stones, p.stillBound(c, l, moved)...)
	for i, t := range l.stones {
		if name, ok := domainOf(t.Part); !t.Done && (!ok || !moved[name]) {
			l.stones[i].NotUntil = later
		}
	}
	sort.Slice(l.stones, func(i, j int) bool { return l.stones[i].Part < l.stones[j].Part })
	return l
}

// goesDark says that a part which goes is a host name at its site, or the address that leads there, and that
// nothing takes its place.
func goesDark(part string, kept []string) bool {
	host, at := answers(part)
	return host != "" && !slices.ContainsFunc(kept, func(k string) bool {
		h, where := answers(k)
		return h == host && where == at
	})
}

// answers is the host name of a part by which it is answered, and which of the two the part is; "": it is no such part.
func answers(part string) (host string, kind state.Kind) {
	if name, ok := domainOf(part); ok {
		return name, state.KindDomain
	}
	for _, t := range []string{"A", "AAAA", "CNAME"} {
		if name, ok := strings.CutPrefix(part, string(state.KindRecord)+"/"+t+" "); ok {
			return name, state.KindRecord
		}
	}
	return "", ""
}

// stillBound takes back what an earlier head let go of a name that goes now, where its old
// site still has it: another site was to take its place, and won't any more. It goes with the
// name, and waits for what the name waits for.
func (p *pass) stillBound(c state.Client, l loss, lost map[string]bool) []state.Tombstone {
	var out []state.Tombstone
	for _, t := range p.tombs[c.ID] {
		name, ok := domainOf(t.Part)
		moved, goes := lost[name]
		if ok && goes && !moved && !t.Done && !slices.ContainsFunc(l.stones, func(o state.Tombstone) bool { return o.Part == t.Part }) {
			out = append(out, p.stone(c, t.Part, l.files))
		}
	}
	return out
}

// parts names what a wish has and a manifest can take away. A release is none:
// it goes with its site, or when newer ones push it out.
func (p *pass) parts(path string, c state.Client, e manifest.Effective) []string {
	defer func() {
		if v := recover(); v != nil {
			p.unreadable[path] = brokenBy(v)
		}
	}()
	return slices.DeleteFunc(slices.Clone(p.in.Parts(c, e)), func(part string) bool {
		return strings.HasPrefix(part, string(state.KindDeployment)+"/") || strings.HasPrefix(part, string(state.KindMail)+"/")
	})
}

// domainOf is the host name of a domain's part.
func domainOf(part string) (string, bool) {
	rest, ok := strings.CutPrefix(part, string(state.KindDomain)+"/")
	name, _, _ := strings.Cut(rest, "@")
	return name, ok
}

func (p *pass) notUntil() time.Time {
	if after := p.guard().RemoveAfter; after > 0 {
		return p.in.Now.Add(after)
	}
	return time.Time{}
}

// stone is the proof that this range took a part away.
func (p *pass) stone(c state.Client, part string, files []string) state.Tombstone {
	return state.Tombstone{
		Client: c.ID, Name: c.Name, Part: part, Commit: p.in.Head, Blob: c.Blob, At: p.in.Now,
		Waits: p.waits, Reviewed: p.shown(files), Retain: p.retain(c),
	}
}

// shown says that a pull request showed what became of these files: what is gone, or what
// they are now.
func (p *pass) shown(files []string) bool {
	return len(files) > 0 && !slices.ContainsFunc(files, func(f string) bool { return !p.in.Shown[f] })
}

// reviewed says that every commit that touched these files is one that a plan was made of;
// no plan was made of what is its own (see Commit).
func (p *pass) reviewed(files []string) bool {
	if len(p.in.Commits) == 0 {
		return false
	}
	for _, c := range p.in.Commits {
		touched := c.Paths
		if c.Reviewed {
			touched = c.Own
		}
		if touched == nil && !c.Reviewed || slices.ContainsFunc(files, func(f string) bool { return slices.Contains(touched, f) }) {
			return false
		}
	}
	return true
}

// retain is what the last good version says, never less than the platform's floor before and after, nor than
// what a valid one says that came after it and went in the same range. What can't be read any more is kept for ever.
func (p *pass) retain(c state.Client) string {
	e, ok := p.before(c)
	if !ok || e.Database.Retain.Forever {
		return "forever"
	}
	keep := max(e.Database.Retain.For, p.old.minRetain(), p.now.minRetain())
	if f, is := p.in.Last[c.Path]; is && f.Err == "" {
		last, problems := p.now.File(f.Path, f.Data)
		switch {
		case problems.Failed():
		case last.Database.Retain.Forever:
			return "forever"
		default:
			keep = max(keep, last.Database.Retain.For)
		}
	}
	return keep.String()
}

// waitingFor lists the files of the range that are invalid at the head, and those
// of earlier ones that may be what a removed client became.
func (p *pass) waitingFor(s *settled) string {
	var out []string
	for _, k := range p.files {
		forgot := func(q state.FileProblem) bool { return q.Rule == rulePreviously }
		if !p.changed[k.path] && slices.ContainsFunc(s.failed[k], forgot) {
			out = append(out, k.path)
		}
	}
	for _, file := range keys(p.changed) {
		if !p.deleted[file] && p.bad(s, file) {
			out = append(out, file)
		}
	}
	sort.Strings(out)
	return strings.Join(out, "\n")
}

// WaitsFor lists the files that a tombstone waits for.
func WaitsFor(t state.Tombstone) []string {
	if t.Waits == "" {
		return nil
	}
	return strings.Split(t.Waits, "\n")
}

// neverBegun says that the client waits in a creates hold: it has nothing to lose.
func (p *pass) neverBegun(id state.ClientID) bool { return p.unbegun[id] }

// judge says which more clients' removals are held beside those that are already, and by
// what.
func (p *pass) judge(s *settled, losses []loss, already map[state.ClientID]string) map[state.ClientID]string {
	if len(losses) == 0 {
		return nil
	}
	lost, fleet := p.lately(s, losses)
	losses = slices.DeleteFunc(slices.Clone(losses), func(l loss) bool { return already[l.client.ID] != "" })
	if len(losses) == 0 {
		return nil
	}
	g := p.guard()
	now := 0
	for _, l := range losses {
		if l.counts {
			now++
		}
	}
	if limit := g.Deletes(fleet); now > 0 && lost > limit {
		what := "lose their manifest, database or host name"
		if slices.ContainsFunc(losses, func(l loss) bool { return l.dark }) {
			what += ", or go offline,"
		}
		return p.holdRemovals(losses, fmt.Sprintf("%s would %s within 24 hours; the guard allows %d of %d", count(lost, "client"), what, limit, fleet))
	}
	if !g.ReviewedOnly {
		return nil
	}
	var unseen []loss
	for _, l := range losses {
		if !l.stones[0].Reviewed {
			unseen = append(unseen, l)
		}
	}
	if len(unseen) == 0 {
		return nil
	}
	return p.holdRemovals(unseen, "no pull request showed the removal of "+lostNames(unseen))
}

// lately counts the clients that lost something within Window, this range's
// with them, and the fleet that they are of: who lives, and who went within it.
// What returned is not counted: its tombstones are void. Nor is who waits in a
// creates hold, on either side: nothing is made of them, and files that nobody let
// in must not let more of the others go.
func (p *pass) lately(s *settled, losses []loss) (lost, fleet int) {
	gone := map[state.ClientID]bool{}
	since := p.in.Now.Add(-Window)
	for _, t := range p.in.Tombstones {
		kind, _, _ := strings.Cut(t.Part, "/")
		if !t.At.After(since) || kind != "" && kind != HostPart && kind != string(state.KindDatabase) || p.voided(s, t) {
			continue
		}
		if _, known := p.clients.find(t.Client); !known { // nothing was kept of it
			if p.lives(s, t.Name) {
				continue
			}
			fleet++
		}
		gone[t.Client] = true
	}
	for i := range p.clients {
		c := &p.clients[i]
		id := c.ID
		switch {
		case p.neverBegun(id):
			delete(gone, id)
		case !c.Removed:
			fleet++
		case c.RemovedAt.After(since):
			fleet++
			gone[id] = gone[id] || !p.comesBack(s, id)
		}
	}
	for _, l := range losses {
		if l.counts {
			gone[l.client.ID] = true
		}
	}
	for _, g := range gone {
		if g {
			lost++
		}
	}
	return lost, fleet
}

// lives says that somebody has the name, or gets it by this head.
func (p *pass) lives(s *settled, name string) bool {
	_, has := p.byName[name]
	return has || slices.ContainsFunc(s.fresh, func(k *candidate) bool { return k.name == name })
}

func (p *pass) comesBack(s *settled, id state.ClientID) bool {
	return slices.ContainsFunc(p.files, func(k *candidate) bool {
		return k.valid() && s.failed[k] == nil && (k.who == returned || k.who == renamed) && k.client.ID == id
	})
}

// voided says that this head gives back what the tombstone took.
func (p *pass) voided(s *settled, t state.Tombstone) bool {
	for _, k := range p.files {
		if !k.valid() || s.failed[k] != nil || k.same || k.client.ID != t.Client {
			continue
		}
		if host, ok := strings.CutPrefix(t.Part, HostPart+"/"); ok {
			return slices.Contains(k.wants, "host:"+host)
		}
		return t.Part == "" || slices.Contains(p.parts(k.path, k.client, k.eff), t.Part)
	}
	return false
}

// holdRemovals holds exactly these, unless that was approved already: as they are, or with others that
// were accepted before them (letGoAlready).
func (p *pass) holdRemovals(losses []loss, why string) map[state.ClientID]string {
	left := slices.DeleteFunc(slices.Clone(losses), p.letGoAlready)
	for _, all := range [][]loss{losses, left} { // of those that were held before, some may be let go by now: what is left has a hold of its own
		if a, ok := approved(p.in.Approvals, removalsHold(p.in, all).Fingerprint, p.in.Now); ok {
			p.use(a)
			p.note(state.Client{}, "approved", why)
			return nil
		}
	}
	if len(left) == 0 {
		return nil
	}
	h := removalsHold(p.in, left)
	h.Reason = "Removals wait: " + why + "."
	h.Act = "`reconciler approve " + h.Fingerprint + "`, or revert."
	p.newHolds = append(p.newHolds, h)
	held := map[state.ClientID]string{}
	for _, id := range h.Clients {
		held[id] = h.Fingerprint
	}
	return held
}

// removalsHold binds exactly what is lost.
func removalsHold(in Input, losses []loss) state.Hold {
	h := state.Hold{Kind: state.HoldGuard, Commit: in.Head, NewHead: in.Head, Approvable: true, At: in.Now}
	parts := []string{"removals"}
	for _, l := range losses {
		for _, t := range l.stones {
			parts = append(parts, string(t.Client), t.Part, t.Blob)
			h.Removals = append(h.Removals, removal(t))
		}
		h.Clients = append(h.Clients, l.client.ID)
	}
	h.Fingerprint = fingerprint(parts...)
	return h
}

// removal is what one removal takes from whom, and by which version of a file.
func removal(t state.Tombstone) string {
	return strings.Join([]string{string(t.Client), t.Part, t.Blob}, " ")
}

// letGoAlready says that a hold of this head bound all that is lost, and was approved. (Of those that one
// hold binds, some are accepted and wait for the approval, which they use; others are not valid before the
// names that they take are free, and are let go by it as soon as they are.)
func (p *pass) letGoAlready(l loss) bool {
	return slices.ContainsFunc(p.in.Approvals, func(a state.Approval) bool {
		return a.Head == p.in.Head && !a.Used.IsZero() && !a.Ended && p.in.Now.Sub(a.At) <= state.ApprovalLife &&
			!slices.ContainsFunc(l.stones, func(t state.Tombstone) bool { return !slices.Contains(a.Removals, removal(t)) })
	})
}

// bind marks the removals that are held.
func (p *pass) bind(losses []loss, held map[state.ClientID]string) {
	for _, l := range losses {
		for i := range l.stones {
			if print := held[l.client.ID]; print != "" {
				l.stones[i].Held, l.stones[i].Done = print, false
			}
		}
	}
}

func lostNames(losses []loss) string {
	var out []string
	for _, l := range losses {
		out = append(out, l.client.Name)
	}
	return list(out)
}
