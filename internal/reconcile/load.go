package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/desired"
	"github.com/compassdigital/reconciler/internal/drift"
	"github.com/compassdigital/reconciler/internal/journal"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// group is what a pass works on: usually one client.
type group struct {
	ids       []state.ClientID
	members   []*member
	now       time.Time
	backs     int // how often the clock had been set back when the pass began
	head      string
	traits    map[string]map[state.Kind]state.Traits
	holds     []state.Hold
	approvals []state.Approval
	freeze    []plan.Window
	looked    time.Time
	panicked  *apply.Panicked // what a look ran into: its client's
	taking    bool            // somebody asked to record what exists, of paused clients, too
	silent    error           // why a vendor doesn't tell what became of a write: the pass goes on beside it
	mending   bool            // the pass puts back what looks found, and nothing else

	fails map[state.ClientID]failure // who fails in the end, and by what
	open  map[state.ClientID]string  // who has all that it wishes, and waits for this client with which it fails
	lost  map[state.ClientID]bool    // whom something could not be put back of, for good
}

// member is one client of the group.
type member struct {
	client     state.Client
	effective  manifest.Effective
	wish       []state.Resource
	problems   []plan.Problem
	recorded   []state.Resource
	tombstones []state.Tombstone // due
	allTombs   []state.Tombstone
	intents    []journal.Intent
	secrets    map[string]state.SecretRef
	looks      map[state.Ref]plan.Look
	gives      []provider.Object           // databases whose address is not the one on record
	looked     state.Looked                // what scheduled looks know
	values     map[state.Ref][]drift.Value // of what is recorded
	asRecorded []state.Drift               // rows that a look right now does not see any more
	resolved   bool                        // its source's commit was worked out now
	removed    bool                        // a tombstone for the whole client is due
	takes      []string                    // host names that it takes over, where its wish is not known whole
	keeps      []string                    // host names that go to a member that is left alone, and stay until then
	keptFor    *member                     // one of those that it keeps them for
	unbegun    bool                        // it waits in a hold of new clients
	renamed    bool                        // by what is planned: on record it has another name
	worked     bool                        // this pass has begun for it
	stays      bool                        // in an upgrade's hold: what is on record is its wish
	later      []plan.Step                 // what comes later by the plan that was calculated last
	now        time.Time
}

// load reads the group in one moment.
func (e *Engine) load(ids []state.ClientID) (*group, error) {
	g := &group{ids: ids, now: e.Now(), backs: e.setBack(), head: e.Head(), traits: e.traits()}
	err := e.Store.View(func(tx store.Tx) (err error) {
		if g.holds, err = store.Holds(tx); err != nil {
			return err
		}
		if g.approvals, err = store.Approvals(tx); err != nil {
			return err
		}
		shared, err := store.Secrets(tx, "shared")
		if err != nil {
			return err
		}
		for _, id := range ids {
			m, ok, err := loadMember(tx, id, shared, g.now)
			if err != nil {
				return err
			}
			if ok {
				h, bound := accept.Bound(g.holds, id)
				m.unbegun = bound && h.Kind == state.HoldCreates && !m.client.Removed
				g.members = append(g.members, m)
			}
		}
		return g.keepNames(tx)
	})
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	return g, nil
}

func loadMember(tx store.Tx, id state.ClientID, shared []state.SecretRef, now time.Time) (*member, bool, error) {
	c, ok, err := store.Client(tx, id)
	if err != nil || !ok {
		return nil, false, err
	}
	own, err := store.Secrets(tx, string(id))
	if err != nil {
		return nil, false, err
	}
	m := newMember(c, own, shared, now)
	if m.recorded, err = store.Resources(tx, id); err != nil {
		return nil, false, err
	}
	if m.allTombs, err = store.Tombstones(tx, id); err != nil {
		return nil, false, err
	}
	if m.intents, err = store.Intents(tx, id); err != nil {
		return nil, false, err
	}
	if m.looked, _, err = store.Looked(tx, id); err != nil {
		return nil, false, err
	}
	m.due(accept.Due(m.allTombs, now))
	return m, true, nil
}

// due sets which removals are due.
func (m *member) due(tombs []state.Tombstone) {
	m.tombstones = tombs
	m.removed = m.client.Removed && slices.ContainsFunc(tombs, func(t state.Tombstone) bool { return t.Part == "" })
}

// newMember is a client of which nothing is on record, with the newest of its secrets and
// of everybody's.
func newMember(c state.Client, own, shared []state.SecretRef, now time.Time) *member {
	m := &member{client: c, now: now, looks: map[state.Ref]plan.Look{}, secrets: map[string]state.SecretRef{}}
	for _, list := range [][]state.SecretRef{own, shared} {
		for _, s := range list {
			key := s.Scope + "/" + s.Name
			if have, ok := m.secrets[key]; !ok || have.Version < s.Version {
				m.secrets[key] = s
			}
		}
	}
	return m
}

// ahead says that the group was not read as it is in memory: with wishes of a head that was committed
// just now, and is not in memory yet, so that what they inherit would be taken from the head before;
// or with wishes that have newer ones by now, so that it would be taken from the head after.
func (e *Engine) ahead(g *group) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, m := range g.members {
		if m.client.Seq != e.seq[m.client.ID] {
			return true
		}
	}
	return false
}

// clients are the members' records.
func (g *group) clients() []state.Client {
	out := make([]state.Client, 0, len(g.members))
	for _, m := range g.members {
		out = append(out, m.client)
	}
	return out
}

// reload reads the group again, keeping the wish.
func (e *Engine) reload(g *group) error {
	fresh, err := e.load(g.ids)
	if err != nil {
		return err
	}
	worked := map[state.ClientID]bool{}
	for _, m := range g.members {
		worked[m.client.ID] = m.worked
	}
	byID := map[state.ClientID]*member{}
	for _, m := range fresh.members {
		byID[m.client.ID] = m
	}
	for _, m := range g.members {
		if f := byID[m.client.ID]; f != nil {
			f.worked, f.stays, f.effective, f.wish, f.problems, f.takes, f.later = m.worked, m.stays, m.effective, m.wish, m.problems, m.takes, m.later
			f.client.Wakes = m.client.Wakes // whoever asked since the pass began asked for another one
			*m = *f
		}
	}
	g.holds, g.approvals, g.now = fresh.holds, fresh.approvals, fresh.now
	return nil
}

// reread is reload as a pass ends: what was planned is done, or failed. Of a member that got a newer
// wish since (that it goes is one, too) nothing is taken in but what is on record of its work and
// of its objects. What it wishes now was not worked on: it is another pass's, and neither done
// nor failed with this one (P7).
func (e *Engine) reread(g *group) error {
	planned := map[state.ClientID]member{}
	for _, m := range g.members {
		planned[m.client.ID] = *m
	}
	if err := e.reload(g); err != nil {
		return err
	}
	for _, m := range g.members {
		was, now := planned[m.client.ID], m.client
		if now.Seq <= was.client.Seq {
			continue
		}
		m.client, m.allTombs, m.tombstones, m.removed = was.client, was.allTombs, was.tombstones, was.removed
		m.client.RollingBack, m.client.RollingSeq, m.client.Undo = now.RollingBack, now.RollingSeq, now.Undo
		m.client.FailedStep, m.client.Fault, m.client.Run = now.FailedStep, now.Fault, now.Run
	}
	return nil
}

// bound says that a hold of a change of many, or of a rebuild, keeps a member from
// its pass. Who is joined with one whom such a change has reached goes with it: each would
// wait for the other.
func (g *group) bound() bool {
	reached := func(h state.Hold) bool {
		return h.Waves != nil && slices.ContainsFunc(g.members, func(m *member) bool { return slices.Contains(h.Waves.Out, m.client.ID) })
	}
	for _, m := range g.members {
		if h, is := accept.Bound(g.holds, m.client.ID); is && !m.quarantined() && !m.client.Removed && !reached(h) {
			return true
		}
	}
	return false
}

// untouchable says that there is nobody to work on.
func (g *group) untouchable() bool {
	for _, m := range g.members {
		if !m.quarantined() {
			return false
		}
	}
	return true
}

// transfers are the intents under which a database of the client may be frozen.
func (m *member) transfers() (out []journal.Intent) {
	for _, i := range m.intents {
		if i.Op == journal.OpTransfer {
			out = append(out, i)
		}
	}
	return out
}

// freezes says that a database of the group may be frozen by a move that was cut off.
func (g *group) freezes() bool {
	for _, m := range g.members {
		if len(m.transfers()) > 0 {
			return true
		}
	}
	return false
}

func (g *group) intents() bool {
	for _, m := range g.members {
		if len(m.intents) > 0 {
			return true
		}
	}
	return false
}

// wish resolves what every member of the group asks for. The error is a *apply.Panicked, or the
// store's.
func (e *Engine) wish(g *group) error {
	wishes, _ := e.resolver()
	g.freeze = windows(wishes.Platform())
	for _, m := range g.members {
		if err := e.contain(m.client.ID, func() error { e.wishOf(m); return nil }); err != nil {
			return err
		}
	}
	return e.takes(g)
}

// takes says of members whose wish is not known whole which names they take over from others
// of the group: those keep what serves them until somebody else does.
func (e *Engine) takes(g *group) error {
	unknown := func(m *member) bool { return len(m.problems) > 0 && !m.client.Removed && !m.quarantined() }
	if len(g.members) < 2 || !slices.ContainsFunc(g.members, unknown) {
		return nil
	}
	var claims []state.Claim
	err := e.Store.View(func(tx store.Tx) (err error) { claims, err = store.Claims(tx); return err })
	if err != nil {
		return fmt.Errorf("read who takes names over: %w", err)
	}
	for _, m := range g.members {
		m.takes = nil
		for _, c := range claims {
			if host, is := strings.CutPrefix(c.Key, "host:"); is && c.Client == m.client.ID && len(c.From) > 0 && unknown(m) {
				m.takes = append(m.takes, host)
			}
		}
	}
	return nil
}

func (e *Engine) wishOf(m *member) {
	switch {
	case m.quarantined():
		m.problems = append(m.problems, m.aside())
		return
	case len(m.client.Manifest) == 0:
		return
	}
	eff, problems := e.effective(m.client)
	m.effective = eff
	if m.client.Removed {
		return
	}
	if problems.Failed() {
		m.problems = append(m.problems, plan.Problem{Client: m.client.ID, Name: m.client.Name, Text: problems[0].Text, Act: problems[0].Hint})
		return
	}
	all, bad := desired.Resources(e.desiredInput(m.client, eff, m.secrets, m.recorded))
	m.wish = plan.StillAdopted(all, m.recorded)
	if m.stays {
		m.wish = m.asMade()
		return
	}
	for _, b := range bad {
		m.problems = append(m.problems, plan.Problem{Client: m.client.ID, Name: m.client.Name, Text: b.Text, Act: b.Act})
	}
}

// desiredInput is what a client's wish is made of. recorded is what it has; nil where no more than which parts there are
// counts.
func (e *Engine) desiredInput(c state.Client, eff manifest.Effective, secrets map[string]state.SecretRef, recorded []state.Resource) desired.Input {
	in := desired.Input{Client: c, Effective: eff, Secrets: secrets, Configured: e.Configured, Point: e.Point, Mail: e.Mail, PublicURL: e.PublicURL(eff.Host), Outside: e.Sources != nil}
	for _, r := range recorded {
		if r.Ref.Kind == state.KindAdmin && r.Real() {
			in.User = r.Attributes.Literal("email")
		}
		if ownData(inUse(r)) {
			in.Readdressed = r.Readdressed
		}
	}
	return in
}

// inUse is a record as it is once its client has it again.
func inUse(r state.Resource) state.Resource {
	r.RetainedAt = time.Time{}
	return r
}

// returns says that a record is out of use, and that its client's wish takes it back.
func (m *member) returns(r state.Resource) bool {
	return r.Retained() && slices.ContainsFunc(m.wish, func(w state.Resource) bool { return w.Ref == r.Ref && w.Provider == r.Provider })
}

// asWished are the records of what the wish takes back as they are then, and the others as they are.
func (m *member) asWished() []state.Resource {
	out := slices.Clone(m.recorded)
	for n, r := range out {
		if m.returns(r) {
			out[n] = inUse(r)
		}
	}
	return out
}

// windows are the platform's freezes.
func windows(p *manifest.Platform) []plan.Window {
	if p == nil {
		return nil
	}
	const layout = "2006-01-02T15:04"
	var out []plan.Window
	for _, f := range p.Freeze {
		zone := time.UTC
		if f.Zone != "" {
			z, err := time.LoadLocation(f.Zone)
			if err != nil {
				continue // refused when the file was accepted
			}
			zone = z
		}
		from, errFrom := time.ParseInLocation(layout, f.From, zone)
		to, errTo := time.ParseInLocation(layout, f.To, zone)
		if errFrom == nil && errTo == nil {
			out = append(out, plan.Window{From: from, To: to, Reason: f.Reason})
		}
	}
	return out
}

// input is what planning reads of the member.
func (m *member) input() plan.ClientInput {
	in := plan.ClientInput{Client: m.client, Wish: m.wish, Takes: m.takes, Removed: m.removed, Recorded: m.recorded, Looks: m.looks, Tombstones: m.tombstones,
		Problems: m.problems, Health: true, Retain: m.effective.Database.Retain.For.Std(), RetainForever: m.effective.Database.Retain.Forever, Reuse: m.effective.Database.Reuse, Host: m.effective.Host}
	if keep, forever, said := longest(m.tombstones); said {
		if !m.client.Removed { // it says by now how long, and what it said before counts where that is longer
			keep, forever = max(keep, in.Retain), forever || in.RetainForever
		}
		in.Retain, in.RetainForever = keep, forever
	}
	if m.client.Removed && !m.removed {
		// Nothing may go yet, or all that had to go has gone. What is on record is still
		// here: a newcomer that wants its names waits.
		in.Wish = nil
	}
	return in
}

// longest is for how long data is kept at least that these take out of use. Of a client that goes the manifest may
// have said another time since its database was taken out.
func longest(tombs []state.Tombstone) (keep time.Duration, forever, said bool) {
	for _, t := range tombs {
		k, f, says := retainOf(t)
		keep, forever, said = max(keep, k), forever || f, said || says
	}
	return keep, forever, said
}

// retainOf is for how long the data is kept that was taken out of use by this; says: it speaks of data.
func retainOf(t state.Tombstone) (keep time.Duration, forever, says bool) {
	if t.Part != "" && !strings.HasPrefix(t.Part, string(state.KindDatabase)+"/") {
		return 0, false, false
	}
	if t.Retain == "forever" {
		return 0, true, true
	}
	d, err := manifest.ParseDuration(t.Retain)
	return d.Std(), false, t.Retain != "" && err == nil
}

// commit is the one that the pass serves.
func (m *member) commit() string {
	for _, t := range m.allTombs { // one that waits counts, too: it is what its commit asks for
		if t.Part == "" && m.client.Removed {
			return t.Commit
		}
	}
	return m.client.Commit
}

// gate is what decides which steps wait.
func (g *group) gate(now time.Time) plan.GateInput {
	in := plan.GateInput{Now: now, Approvals: g.approvals, Freeze: g.freeze, Paused: map[state.ClientID]bool{}, Taking: map[state.ClientID]bool{},
		Removed: map[state.ClientID]bool{}, ReadsOnly: map[state.ClientID]bool{}, Reviewed: map[state.ClientID]map[string]bool{}}
	for _, m := range g.members {
		if r := m.client.Review; r != nil {
			shown := make(map[string]bool, len(r.Shown))
			for _, p := range r.Shown {
				shown[p] = true
			}
			in.Reviewed[m.client.ID] = shown
		}
		in.Removed[m.client.ID] = m.client.Removed
		in.ReadsOnly[m.client.ID] = plan.ReadsOnly(m.recorded)
		in.Taking[m.client.ID] = g.taking && !m.client.Removed && len(m.effective.Adopt) > 0
		in.Paused[m.client.ID] = m.client.Paused || (m.effective.Paused && !m.client.Removed)
		for _, h := range g.holds {
			if h.Client == m.client.ID {
				in.Holds = append(in.Holds, h)
			}
		}
	}
	return in
}

// job is the group as the runner sees it.
func (g *group) job(e *Engine, p plan.Plan, run string) apply.Job {
	j := apply.Job{Plan: p, Run: run, Commit: g.head, Clients: map[state.ClientID]state.Client{}, Deployment: map[state.ClientID]string{},
		Await: map[state.ClientID]time.Duration{}, PublicURL: map[state.ClientID]string{}}
	health := map[state.ClientID]manifest.Health{}
	seq := map[state.ClientID]uint64{}
	for _, m := range g.members {
		id := m.client.ID
		j.Clients[id], j.Deployment[id] = m.client, m.client.Deployment
		j.Await[id], health[id], seq[id] = m.effective.Deployment.Timeout.Std(), m.effective.Health, m.client.Seq
		if m.effective.Host != "" {
			j.PublicURL[id] = e.PublicURL(m.effective.Host)
		}
	}
	j.Superseded = func(id state.ClientID) bool { return e.superseded(id, seq[id]) }
	if e.Check != nil {
		j.Probe = func(ctx context.Context, t apply.Target) error { return e.Check(ctx, t.URL, health[t.Client.ID]) }
	}
	return j
}
