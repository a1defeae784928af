package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/journal"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/rebuild"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// A state that was put back is older than the world. What was made since is on no record,
// what was taken away since may be asked for once more, an approval that was used may be
// unused. So on such a state (store.Restored) no pass and no purge runs, until, in this
// order, the branch's head is accepted (what came back voids its removal), and what the
// providers show is compared with what is on record and written to it in one transaction.
// A client that was new since keeps the id that its objects bear.

// ErrRestored: the state is older than what the providers show may be, and was not
// compared with it yet.
var ErrRestored = errors.New("the state is an older copy that was put back, older than what the providers show, and is not compared with it yet")

// old says that nothing may be acted on yet.
func (e *Engine) old() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.restored
}

// catch accepts a head on a state that was put back, and compares the record with what the
// providers show. A head that is held as a whole lets everything wait. The accepted head, which is judged once more, is an old
// one: by that, who came since would be gone. The next poll reads the branch's.
func (e *Engine) catch(ctx context.Context, head string, in accept.Input) ([]state.ClientID, error) {
	if e.again {
		return nil, nil
	}
	waits := func(text string) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.comparing = text
	}
	waits("")
	ctx = provider.Listening(ctx, waits)
	found, err := e.witness().all(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w; nothing is changed until it is", ErrRestored, err)
	}
	e.mu.Lock()
	since := e.restoredAt
	e.mu.Unlock()
	asked := in
	asked.Approvals = slices.DeleteFunc(slices.Clone(in.Approvals), func(a state.Approval) bool { return a.At.Before(since) }) // it may have been used
	have, err := e.onOldRecord()
	if err != nil {
		return nil, err
	}
	if asked.Last, err = e.lastRules(ctx, head, in); err != nil {
		return nil, fmt.Errorf("accept %s: %w", head, err)
	}
	livedOn := have.livedOn(found)
	asked.Clients = slices.Clone(in.Clients)
	for i, c := range asked.Clients {
		asked.Clients[i].LivedOn = c.LivedOn || livedOn[c.ID]
	}
	r, doubts := e.accepted(asked, found)
	if in.Baseline != nil && r.Baseline != nil {
		r.Baseline.Version = in.Baseline.Version // what this version makes otherwise is judged with what the providers show
	}
	if err := e.commit(head, in, r); err != nil {
		return nil, fmt.Errorf("accept %s: %w", head, err)
	}
	if r.Held {
		return nil, nil
	}
	return e.compare(ctx, head, since, found, doubts)
}

// lastRules are, beside what manifests said last, the newest versions that can be read of templates and platform file which
// can't be at the head: everybody may have them by now, and the older state knows earlier ones.
func (e *Engine) lastRules(ctx context.Context, head string, in accept.Input) (map[string]accept.File, error) {
	p, err := e.past(ctx, head, in.Changes)
	if err != nil {
		return nil, err
	}
	out, good := map[string]accept.File{}, in
	maps.Copy(out, in.Last)
	good.Files, good.Changes = maps.Clone(in.Files), slices.Clone(in.Changes)
	if _, err := p.goodRules(ctx, &good); err != nil {
		return nil, err
	}
	for file, f := range good.Files {
		if f.Blob != in.Files[file].Blob {
			out[file] = f
		}
	}
	return out, nil
}

// newcomers finds, for the manifests of a head that no client on record has, the client
// ids that their objects bear already.
func (e *Engine) newcomers(in accept.Input, found []rebuild.Found) map[string]rebuild.Identity {
	known := map[state.ClientID]bool{}
	for _, c := range in.Clients {
		known[c.ID] = true
	}
	strange := slices.DeleteFunc(slices.Clone(found), func(f rebuild.Found) bool { return known[f.Mark.Client] })
	if len(strange) == 0 {
		return nil
	}
	in.NewID = func(name string) state.ClientID { return state.ClientID(name) }
	first := accept.Head(in)
	var wishers []rebuild.Wisher
	for _, c := range first.Clients {
		if eff, ok := first.Wishes[c.ID]; ok && !known[c.ID] {
			wishers = append(wishers, wisher(eff))
		}
	}
	who, _ := rebuild.Identify(wishers, strange)
	return who
}

// accepted is the judgement of a head on a state that was put back.
func (e *Engine) accepted(in accept.Input, found []rebuild.Found) (accept.Result, map[state.ClientID]rebuild.Identity) {
	who := e.newcomers(in, found)
	mint := in.NewID
	of := map[state.ClientID]rebuild.Identity{}
	in.NewID = func(name string) state.ClientID {
		id, ok := who[name]
		if id.ID == "" {
			id.ID = mint(name)
		}
		if ok {
			of[id.ID] = id
		}
		return id.ID
	}
	r := accept.Head(in)
	for i, c := range r.Clients {
		if id, ok := of[c.ID]; ok && id.Generation > 0 {
			r.Clients[i].Generation = id.Generation
		}
	}
	return r, of
}

// compare writes what the providers show into a state that was put back, and ends the
// wait. It returns everybody: each is looked at by its next pass.
func (e *Engine) compare(ctx context.Context, head string, restoredAt time.Time, found []rebuild.Found, doubts map[state.ClientID]rebuild.Identity) ([]state.ClientID, error) {
	have, err := e.onOldRecord()
	if err != nil {
		return nil, err
	}
	whole, err := e.Repo.Range(ctx, "", head)
	if err != nil {
		return nil, fmt.Errorf("compare with the providers: %w", err)
	}
	var ever said
	if !have.knows(found) { // else the record says what was adopted, and the history need not be read
		if ever, err = e.everSaid(ctx, head, whole.Changes); err != nil {
			return nil, fmt.Errorf("compare with the providers: %w", err)
		}
	}
	asked, err := e.everAsked(ctx, head, whole.Changes)
	if err != nil {
		return nil, fmt.Errorf("compare with the providers: %w", err)
	}
	wishes, base := e.resolver()
	again, err := e.removedAgain(ctx, head, whole.Changes, have)
	if err != nil {
		return nil, fmt.Errorf("compare with the providers: %w", err)
	}
	w := e.witness()
	others := have.others(wishes, found)
	var writes []remembered
	livedOn := have.livedOn(found)
	for _, c := range have.clients {
		c.LivedOn = c.Removed && (c.LivedOn || livedOn[c.ID])
		if c.Removed && (e.fileWaits(ctx, c) || !onlyData(rebuild.Of(found, c.ID))) { // it may have lived on since: no date of the copy counts
			for i := range have.resources[c.ID] {
				have.resources[c.ID][i].PurgeAfter = time.Time{}
			}
		}
		since, is := again[c.ID]
		if is {
			c = since.goOn(c, have.resources[c.ID], onlyData(rebuild.Of(found, c.ID)), e.Now())
		}
		m := memory{client: c, adopted: ever.adopted, lived: ever.lived(c), found: rebuild.Of(found, c.ID), recorded: have.resources[c.ID], leave: slices.Concat(have.leave[c.ID], e.waitingNames(ctx, wishes, c), namesOf(asked, c)), secrets: append(slices.Clone(have.secrets[string(c.ID)]), have.secrets["shared"]...)}
		if eff, problems := wishes.Client(c); len(c.Manifest) > 0 && !c.Removed && !problems.Failed() {
			m.effective = &eff
		}
		one, err := e.remember(ctx, w, m)
		if err != nil {
			return nil, err
		}
		if d := doubts[c.ID].Doubt; d != "" {
			one.out.Doubts = append([]string{d}, one.out.Doubts...)
		}
		if c.Removed && !onlyData(m.found) {
			one.out.Doubts = nil // its removal, or a person, decides
		}
		if t, proven := have.whole[c.ID]; c.Removed && (t.Done || !proven) && onlyData(m.found) {
			one.retainSince(m.recorded, is && since.stone.Retain != "forever", e.Now())
		}
		if c.Removed {
			one.out.Unwished = e.since(wishes, c, one.out.Resources, m.recorded)
		}
		id, other := others[c.ID]
		if other = other && e.unlike(one); other {
			one.out.Doubts = []string{fmt.Sprintf("what serves it, or its data, bears the mark of %s: the name is another client's since the copy was made", id)}
		}
		one.hold(e, head)
		if c.Removed { // its status stays; what is held counts when it comes back
			one.client.Status, one.client.Because, one.client.Next, one.client.Settled, one.client.LookWanted = c.Status, c.Because, c.Next, c.Settled, c.LookWanted
			one.undated(have.called)
		}
		if other {
			one.rebuildInstead()
		} else {
			delete(others, c.ID)
		}
		e.holdOlderWish(&one, head)
		one.forget(e.Now(), since.keep)
		if is {
			one.stones = append(one.stones, since.stone)
		}
		writes = append(writes, one)
		// What nobody asks for any more and is gone was taken away since.
		unasked := slices.DeleteFunc(slices.Clone(m.recorded), func(r state.Resource) bool {
			return slices.ContainsFunc(one.wish, func(w state.Resource) bool { return w.Ref == r.Ref })
		})
		if m.effective == nil && !c.Removed {
			unasked = nil // its wish is not known
		}
		if have.gone, err = w.gone(ctx, have.gone, unasked, m.found); err != nil {
			return nil, fmt.Errorf("compare with the providers: %w", err)
		}
	}
	orphans, err := e.unknown(ctx, w, head, whole.Changes, found, have, base, ever, asked)
	if err != nil {
		return nil, err
	}
	for i := range orphans {
		for _, id := range others {
			if orphans[i].client.ID == id {
				orphans[i].rebuildInstead()
			}
		}
	}
	if err := e.catchUp(head, restoredAt, found, append(orphans, writes...), have, again); err != nil {
		return nil, err
	}
	_, err = e.Start()
	var all []state.ClientID
	for _, c := range have.clients {
		all = append(all, c.ID)
	}
	return all, err
}

// retainSince retains the data of a client that is gone which the copy does not have: it got it when it was back.
func (m *remembered) retainSince(recorded []state.Resource, dated bool, now time.Time) {
	for i := range m.out.Resources {
		r := &m.out.Resources[i]
		if r.Ref.Kind == state.KindMail || onRecord(recorded, r.Ref) {
			continue
		}
		r.RetainedAt = now
		if r.Ref.Kind == state.KindDatabase && dated {
			r.PurgeAfter = now // and what is kept at least: see forget
		}
	}
}

func onRecord(recorded []state.Resource, ref state.Ref) bool {
	return slices.ContainsFunc(recorded, func(r state.Resource) bool { return r.Ref == ref })
}

// since are the resources of a client that the copy has as removed, and that neither it nor the last manifest that it knows
// has: they were made when the client was back. Should it come back once more, without them, nothing else would tell of them.
func (e *Engine) since(wishes *accept.Resolver, c state.Client, found, recorded []state.Resource) (out []state.Ref) {
	var parts []string // a return compares with these
	if was, problems := wishes.Client(c); len(c.Manifest) > 0 && !problems.Failed() {
		parts = e.parts(c, was)
	}
	for _, r := range found {
		goes := r.Ref.Kind == state.KindDeployment || r.Ref.Kind == state.KindMail // with its site, or nowhere
		if !onRecord(recorded, r.Ref) && !goes && !r.Retained() && !slices.Contains(parts, string(r.Ref.Kind)+"/"+r.Ref.Name) {
			out = append(out, r.Ref)
		}
	}
	return out
}

// holdOlderWish keeps a client as it is whose file at the head is not accepted: the wish on
// record is the older state's, and what is there may be a later one.
func (e *Engine) holdOlderWish(m *remembered, head string) {
	c := &m.client
	binds := func(h state.Hold) bool { return len(h.Clients) > 0 }
	if c.InvalidBlob == "" || c.Removed || slices.ContainsFunc(m.holds, binds) || !e.unlike(*m) {
		return
	}
	h := state.Hold{Kind: state.HoldRebuild, Client: c.ID, Clients: []state.ClientID{c.ID}, Steps: []string{accept.OlderWish}, Commit: head, NewHead: head, Approvable: true, At: e.Now(),
		Fingerprint: printOf("older wish", string(c.ID), c.WishHash)}
	h.Reason = c.Name + " stays as it is: its file is not accepted, and its wish on record is older than what is there."
	h.Act = "Mend the file, or `reconciler approve " + h.Fingerprint + "` to go back to that wish."
	c.Status, c.Next, c.Settled = state.StatusHeld, h.Act, true
	m.holds = append(m.holds, h)
}

// unlike says that what was found is not what is wished.
func (e *Engine) unlike(m remembered) bool {
	one := &member{client: m.client, wish: m.wish, recorded: m.out.Resources, looks: map[state.Ref]plan.Look{}, now: e.Now()}
	p := plan.Calculate(plan.Input{Commit: e.Head(), Now: e.Now(), Traits: e.traits(), Keep: e.Keep, Clients: []plan.ClientInput{one.input()}})
	return !p.Empty()
}

// knows says that everything that was found is on record.
func (r oldRecord) knows(found []rebuild.Found) bool {
	on := map[object]bool{}
	for _, all := range r.resources {
		for _, x := range all {
			on[recordedObject(x)] = true
		}
	}
	return !slices.ContainsFunc(found, func(f rebuild.Found) bool { return !on[object{f.Provider, f.Kind, f.ID}] })
}

// livedOn are the removed clients that were deployed since: nobody deploys who is removed. (Not who had
// something under way when the copy was made: that may have come late.)
func (r oldRecord) livedOn(found []rebuild.Found) map[state.ClientID]bool {
	out, removed, on := map[state.ClientID]bool{}, map[state.ClientID]bool{}, map[object]bool{}
	for _, c := range r.clients {
		removed[c.ID] = c.Removed
		for _, x := range r.resources[c.ID] {
			on[recordedObject(x)] = true
		}
	}
	for _, i := range r.intents {
		delete(removed, i.Ref.Client)
	}
	for _, f := range found {
		if f.Kind == state.KindDeployment && removed[f.Mark.Client] && !on[object{f.Provider, f.Kind, f.ID}] {
			out[f.Mark.Client] = true
		}
	}
	return out
}

// waitingNames are the host names that a client's file asks for at the head, where that is not accepted: an
// earlier version of it, that the copy does not know, may have bound them.
func (e *Engine) waitingNames(ctx context.Context, wishes *accept.Resolver, c state.Client) (hosts []string) {
	_, base := e.resolver()
	if base == nil {
		return nil
	}
	for _, p := range base.Problems {
		if p.Blob == "" || p.Path != c.Path && fileName(p.Path) != c.Name {
			continue
		}
		f, err := e.Repo.Read(ctx, p.Path, p.Blob)
		if err != nil || f.Err != "" {
			continue // nobody knows
		}
		c.Path, c.Manifest = p.Path, f.Data
		asks, _ := wishes.Client(c)
		hosts = append(hosts, asks.Hosts...)
	}
	return hosts
}

// called is the word by which a command finds a client: its id, where another one has its name.
func (r oldRecord) called(c state.Client) string {
	if slices.ContainsFunc(r.clients, func(o state.Client) bool { return o.ID != c.ID && o.Name == c.Name && !o.Removed }) {
		return string(c.ID)
	}
	return c.Name
}

// others are the clients on record whose manifest is by now another client's, as the
// objects tell: names were taken afresh, or changed hands, since.
func (r oldRecord) others(wishes *accept.Resolver, found []rebuild.Found) map[state.ClientID]state.ClientID {
	var wishers []rebuild.Wisher
	of, known := map[string]state.ClientID{}, map[state.ClientID]bool{}
	for _, c := range r.clients {
		known[c.ID] = true
		if eff, problems := wishes.Client(c); len(c.Manifest) > 0 && !c.Removed && !problems.Failed() {
			wishers = append(wishers, wisher(eff))
			of[eff.Name] = c.ID
		}
	}
	who, _ := rebuild.Identify(wishers, found)
	out := map[state.ClientID]state.ClientID{}
	for name, id := range who {
		if id.ID != "" && id.ID != of[name] && (id.Told || !known[id.ID]) { // data of an unknown client may be its data
			out[of[name]] = id.ID
		}
	}
	return out
}

// rebuildInstead makes holds that no approval lifts: to go on with either of two clients
// would take the other one down. A rebuild goes by the marks alone.
func (m *remembered) rebuildInstead() {
	for i := range m.holds {
		h := &m.holds[i]
		h.Approvable, h.File, h.Act = false, "", "Nothing of it is changed. Move this state away and run `reconciler rebuild`, which goes by Git and the marks alone."
		m.client.Because, m.client.Next = h.Reason, h.Act
	}
}

// undated keeps the data of a client that is gone for ever where it is not sure which is its own.
func (m *remembered) undated(called func(state.Client) string) {
	if len(m.out.Doubts) == 0 {
		return
	}
	m.client.Because = wantsALook(called(m.client))
	for i := range m.out.Resources {
		m.out.Resources[i].PurgeAfter = time.Time{}
	}
}

// forget drops what an older state says of a pass that was under way, and lets the
// retention of its data begin anew: its dates may be those of an earlier removal. Of a later one its time counts.
func (m *remembered) forget(now time.Time, keep time.Duration) {
	c := &m.client
	c.RollingBack, c.Undo, c.Run, c.Attempts, c.Failures = "", nil, "", 0, 0
	for i := range m.out.Resources {
		r := &m.out.Resources[i]
		if !r.Retained() {
			continue
		}
		if !r.PurgeAfter.IsZero() {
			r.PurgeAfter = now.Add(max(r.PurgeAfter.Sub(r.RetainedAt)-max(r.Ahead, 0), keep))
		}
		r.RetainedAt, r.Ahead = now, 0
	}
}

// removal is a later one than the older state knows: its client came back since, and went again.
type removal struct {
	stone state.Tombstone
	keep  time.Duration // how long its data is kept at least; the tombstone says whether for ever
}

// removedAgain finds the removed clients whose file was there since, and was taken away once more: what their last good
// versions say of their data counts, and they wait as long as a removal waits.
func (e *Engine) removedAgain(ctx context.Context, head string, changes []accept.Change, have oldRecord) (map[state.ClientID]removal, error) {
	out, names := map[state.ClientID]removal{}, map[string]bool{}
	for _, c := range have.clients {
		if _, gone := have.whole[c.ID]; c.Removed && gone {
			names[c.Name] = true
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	walk, err := e.past(ctx, head, changes)
	if err != nil {
		return nil, err
	}
	good, err := walk.find(ctx, names, func(g lastGood) bool { return g.removed != "" })
	if err != nil {
		return nil, err
	}
	guard := e.Guard
	wishes, base := e.resolver()
	if p := wishes.Platform(); p != nil {
		guard = guard.Tightened(p.Guard)
	}
	for _, c := range have.clients {
		t, gone := have.whole[c.ID]
		g, known := good[c.Name]
		if !c.Removed || !gone || !known || slices.Index(walk.heads, g.removed) >= slices.Index(walk.heads, t.Commit) {
			continue
		}
		r := removal{stone: t}
		was, forever, _ := retainOf(t)
		_, keep, always := orphan{good: g, base: base}.retain(e)
		r.keep = max(keep, was)
		if r.stone.Retain = manifest.Duration(r.keep).String(); always || forever {
			r.stone.Retain = "forever"
		}
		if guard.RemoveAfter > 0 {
			r.stone.NotUntil = e.Now().Add(guard.RemoveAfter)
		}
		out[c.ID] = r
	}
	return out, nil
}

// goOn makes what an older state says of a client's removal that of the later one: where more than data is left (onlyData says
// that there is not), it is still to be carried out.
func (r *removal) goOn(c state.Client, recorded []state.Resource, onlyData bool, now time.Time) state.Client {
	if onlyData {
		return c
	}
	if r.stone.Done {
		r.stone.Done = false
		for i, x := range recorded { // it was in use again
			if !strings.Contains(x.Ref.Name, "@") {
				recorded[i].RetainedAt, recorded[i].Ahead = time.Time{}, 0
			}
		}
	}
	if r.stone.Held == "" && r.stone.Waits == "" {
		c.Status, c.Next, c.Settled, c.RetryAt = state.StatusDeleting, "", false, time.Time{}
		c.Failures, c.Waits, c.Panics, c.Crashes, c.Quarantined = 0, "", 0, 0, time.Time{} // as any removal does
		c.Because = "Its manifest was removed again since the copy was made."
		if r.stone.NotUntil.After(now) {
			c.Because = "It goes at " + r.stone.NotUntil.UTC().Format("15:04 on 2 January 2006") + " UTC; a revert until then costs nothing."
		}
	}
	return c
}

// oldRecord is all that a state that was put back says.
type oldRecord struct {
	clients   []state.Client
	resources map[state.ClientID][]state.Resource
	secrets   map[string][]state.SecretRef // by scope
	intents   []journal.Intent
	approvals []state.Approval
	gone      []state.Ref                        // asked for by nobody, and not there any more
	leave     map[state.ClientID][]string        // host names that a head took out of a client's wish
	whole     map[state.ClientID]state.Tombstone // of whole clients
}

func (e *Engine) onOldRecord() (oldRecord, error) {
	r := oldRecord{resources: map[state.ClientID][]state.Resource{}, secrets: map[string][]state.SecretRef{}, leave: map[state.ClientID][]string{}, whole: map[state.ClientID]state.Tombstone{}}
	err := e.Store.View(func(tx store.Tx) (err error) {
		if r.clients, err = store.Clients(tx); err != nil {
			return err
		}
		all, err := store.AllResources(tx)
		if err != nil {
			return err
		}
		for _, x := range all {
			r.resources[x.Ref.Client] = append(r.resources[x.Ref.Client], x)
		}
		secrets, err := store.Secrets(tx, "")
		if err != nil {
			return err
		}
		for _, s := range secrets {
			r.secrets[s.Scope] = append(r.secrets[s.Scope], s)
		}
		if r.intents, err = store.Intents(tx, ""); err != nil {
			return err
		}
		stones, err := store.Tombstones(tx, "")
		if err != nil {
			return err
		}
		for _, t := range stones {
			if t.Part == "" {
				r.whole[t.Client] = t
			}
			if name, is := strings.CutPrefix(t.Part, string(state.KindDomain)+"/"); is && !t.Done {
				r.leave[t.Client] = append(r.leave[t.Client], state.Ref{Name: name}.Host())
			}
		}
		r.approvals, err = store.Approvals(tx)
		return err
	})
	if err != nil {
		return r, fmt.Errorf("compare with the providers: %w", err)
	}
	return r, nil
}

// unknown records the clients of which only the marks tell: they came and went since.
func (e *Engine) unknown(ctx context.Context, w witness, head string, files []accept.Change, found []rebuild.Found, have oldRecord, base *state.Baseline, ever, asked said) ([]remembered, error) {
	known, had, living, has := map[state.ClientID]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, c := range have.clients {
		known[c.ID], had[c.Name] = true, true
		living[c.Name] = living[c.Name] || !c.Removed
		has[c.Name] = has[c.Name] || !c.Removed && c.InvalidBlob == "" // the file at the head is its own
	}
	var ids []state.ClientID
	for _, f := range found {
		if !known[f.Mark.Client] {
			known[f.Mark.Client] = true
			ids = append(ids, f.Mark.Client)
		}
	}
	slices.Sort(ids)
	if len(ids) == 0 {
		return nil, nil
	}
	good, err := e.lastOf(ctx, head, files, ids, living, ever)
	if err != nil {
		return nil, err
	}
	var out []remembered
	for _, id := range ids {
		o := orphan{id: id, found: rebuild.Of(found, id), head: head, base: base, adopted: ever.adopted, asked: asked}
		o.call(found, good, ever, living)
		if o.file, err = e.fileOf(ctx, o, files, has); err != nil {
			return nil, err
		}
		o.own = o.isOwn(found, had)
		m, _, err := e.orphan(ctx, w, o)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

// catchUp writes it, as one transaction.
func (e *Engine) catchUp(head string, since time.Time, found []rebuild.Found, writes []remembered, have oldRecord, again map[state.ClientID]removal) error {
	owner := map[object]state.ClientID{}
	for _, f := range found {
		owner[object{f.Provider, f.Kind, f.ID}] = f.Mark.Client
	}
	seen, as := map[state.Ref]bool{}, map[object]state.Ref{}
	for _, m := range writes {
		for _, r := range m.out.Resources {
			seen[r.Ref], as[recordedObject(r)] = true, r.Ref
		}
	}
	now, traits := e.Now(), e.traits()
	err := e.Store.Update(func(tx store.Tx) error {
		var errs firstError
		for _, was := range have.clients { // who was paused, say, stays so
			c, ok, err := store.Client(tx, was.ID)
			if errs.add(err); ok && c.Wakes != was.Wakes {
				errs.add(fmt.Errorf("%w: something was asked of %s while it was compared; it is compared again", ErrRestored, c.Name))
			}
		}
		// Retention restarts for what no mark shows, too.
		for _, all := range have.resources {
			for _, r := range all {
				switch is, marked := owner[recordedObject(r)]; {
				case marked && is != r.Ref.Client:
					errs.add(store.DeleteResource(tx, r.Ref)) // it moved to another client since
				case !seen[r.Ref] && r.Ref.Kind == state.KindDatabase && as[recordedObject(r)].Kind == r.Ref.Kind:
					errs.add(store.DeleteResource(tx, r.Ref)) // data was moved since, and it is on record as the other one of the two
				case !seen[r.Ref] && r.Retained():
					one := remembered{out: rebuild.Output{Resources: []state.Resource{r}}}
					one.forget(now, again[r.Ref.Client].keep)
					errs.add(store.PutResource(tx, one.out.Resources[0]))
				}
			}
		}
		for _, ref := range have.gone {
			errs.add(store.DeleteResource(tx, ref))
		}
		for _, m := range writes {
			errs.add(m.put(tx, e))
		}
		for _, i := range have.intents {
			// What it was about is seen, and on record as it is; or lists are complete, and it is
			// not there.
			if t := traits[i.Provider][i.Ref.Kind]; seen[i.Ref] || t.Marks && !t.Manual {
				errs.add(store.DeleteIntent(tx, i.Ref))
			}
		}
		for _, a := range have.approvals { // one that was used since would serve twice
			if a.At.Before(since) {
				errs.add(store.DeleteApproval(tx, a.Fingerprint))
			}
		}
		// So would one that a comment asked for, and so would anything else that was said before.
		seen, known, err := store.CommentsSeen(tx)
		if errs.add(err); known && seen.Before(since) {
			errs.add(store.PutCommentsSeen(tx, since))
		}
		_, err = store.AddHistory(tx, state.Entry{At: now, Commit: head, What: "restored",
			Text: "the state is an older copy that was put back; it was compared with what the providers show, and every client is looked at"})
		errs.add(err)
		errs.add(store.DeleteRestored(tx))
		return errs.err
	})
	if err != nil {
		return fmt.Errorf("compare with the providers: %w", err)
	}
	return nil
}
