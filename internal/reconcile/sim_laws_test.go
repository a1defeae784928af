package reconcile_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/journal"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

const lawInstallation = "abcd1234"

func (s *story) view(fn func(store.Tx) error) {
	if err := s.store.View(fn); err != nil {
		s.Fatalf("read the store: %v", err)
	}
}

func (s *story) ids() (out []state.ClientID) {
	for _, c := range s.clients() {
		out = append(out, c.ID)
	}
	return out
}

func (s *story) claims() (all []state.Claim) {
	s.view(func(tx store.Tx) (err error) {
		all, err = store.Claims(tx)
		return err
	})
	return all
}

func (s *story) clientNames() (out []string) {
	for _, c := range s.clients() {
		out = append(out, c.Name)
	}
	return out
}

// everAsked are the last good versions of every client, by name.
func (s *story) everAsked() map[string]spec {
	out := maps.Clone(s.tree.specs)
	for _, c := range s.clients() {
		if x := s.bySpec[c.Blob]; x.secret {
			out[c.Name] = x
		}
	}
	return out
}

// person notes that somebody asked for something of the client.
func (s *story) person(name string) {
	for _, c := range s.clients() {
		if c.Name == name {
			s.clean[c.ID], s.cleanNow[c.ID] = false, false
		}
	}
}

func (s *story) begin() {
	s.cleanNow, s.purging, s.losing = maps.Clone(s.clean), map[state.ClientID]bool{}, map[string]bool{}
	s.pulls.beside = map[int]bool{}
}

// mayLose lets a client lose its data in this event, also what it adopted and bears no mark of ours.
func (s *story) mayLose(id state.ClientID) {
	s.purging[id] = true
	for _, r := range s.resources(id) {
		if r.Ref.Kind == state.KindDatabase {
			s.losing[r.ID] = true
		}
	}
}

// written is told of every write, before its effect and after it.
func (s *story) written(ctx context.Context, c memory.Call) {
	if c.Moment == memory.Before {
		who := c.Client
		o, ok := s.vendors.world.Object(c.ID)
		if ok && who == "" {
			who = o.Mark.Client
		}
		s.whoWrites(ctx, c, o)
		if mended := s.meddled[who] && len(s.passing) > 1; who != "" && s.cleanNow[who] && !mended { // what a person changed is seen in the pass of its group
			s.broken("I6: nothing touched %s, and it is written: %s", who, c)
		}
		if s.froze[who] {
			s.broken("freeze: %s is written: %s", who, c)
		}
		if s.still[who] {
			s.broken("paused: %s is written: %s", who, c)
		}
		if c.Verb == memory.Delete {
			if c.Kind == state.KindPayments {
				s.broken("P5: an account is its owner's, and is deleted: %s", c)
			}
			s.askedFor(c)
		} else {
			s.inOrder(c)
		}
		s.say("    %s", c)
		return
	}
	s.stillServed("after " + c.String())
	s.noteHanded()
	s.servesWhatWasShown(c.String())
}

// waits says that the removal of a client that is gone waits: for an approval, a file or a date.
func (s *story) waits(c state.Client) bool {
	return slices.ContainsFunc(s.tombstones(c.ID), func(t state.Tombstone) bool {
		return t.Part == "" && !t.Done && (t.Held != "" || t.Waits != "" || s.goesTooEarly(t, c.RemovedAt))
	})
}

// askedFor: nothing of ours is deleted while its removal waits for anything, and the site
// of a client that lives and wishes it is not deleted at all (P5).
func (s *story) askedFor(c memory.Call) {
	o, ok := s.vendors.world.Object(c.ID)
	if !ok || !ours(o) {
		return
	}
	client := s.client(o.Mark.Client)
	switch {
	case s.goneThen(client.ID, c.ID): // a step that began before ends: P7 is "at the border of a step"
	case client.Removed:
		if s.waits(client) && client.RollingBack == "" && !s.then(s.lived, client.ID, c.ID) { // that a part goes may have begun, too

			s.broken("P5: the removal of %s waits, and it is carried out: %s; %+v", client.ID, c, s.tombstones(client.ID))
		}
	case o.Kind == state.KindRecord && client.RollingBack == "" && client.Name != "f" && s.stillSaid(client, o):
		s.broken("P5: %s lives and wishes it, and its record is deleted: %s", client.ID, c)
	case o.Kind == state.KindSite && client.EverDeployed && client.RollingBack == "" && client.Name != "f":
		if x, ok := s.bySpec[client.Blob]; ok && x.host == c.Provider {
			s.broken("P5: %s lives, and its site is deleted: %s", client.ID, c)
		}
	}
}

// begins notes whether a step's client is removed as the step begins.
func (s *story) begins(step plan.Step) {
	c := s.client(step.Ref.Client)
	gone := c.Removed && !s.waits(c)
	s.telling.Lock()
	defer s.telling.Unlock()
	if s.gone != nil {
		s.gone[step.Ref], s.lived[step.Ref] = gone, !c.Removed
	}
	if s.begun != nil && c.RollingBack == "" {
		s.begun[c.ID] = true
	}
}

// goneThen says that what is deleted is deleted by a step that began when its client was
// removed, though it is back by now: "the newest commit wins, at the border of a step".
func (s *story) goneThen(client state.ClientID, id string) bool { return s.then(s.gone, client, id) }

// then says what was noted of an object as the last step of it began.
func (s *story) then(noted map[state.Ref]bool, client state.ClientID, id string) bool {
	all := s.resources(client)
	s.telling.Lock()
	defer s.telling.Unlock()
	return slices.ContainsFunc(all, func(r state.Resource) bool { return r.ID == id && noted[r.Ref] })
}

// stillSaid says that the client's manifest says the record as it is.
func (s *story) stillSaid(c state.Client, o provider.Object) bool {
	x, known := s.bySpec[c.Blob]
	if !known || x.byHand {
		return false
	}
	for _, r := range x.said() {
		kind, name, content := record(r, x.domain)
		if attribute(o, "type") == kind && attribute(o, "name") == name && attribute(o, "content") == content {
			return true
		}
	}
	return false
}

// inOrder: a name is led to a site once it is bound there and something serves (I7). One that a
// person took off its site may be led back before anybody has seen that.
func (s *story) inOrder(c memory.Call) {
	host, ok := strings.CutPrefix(c.Name, "A ")
	ok = ok && !strings.HasPrefix(host, "lb.") // a client's own record leads to what is no site
	if had, there := s.vendors.world.Object(c.ID); c.Kind != state.KindRecord || !ok || there && had.Mark.Client == c.Client || s.altered[c.Client] {
		return
	}
	bound := false
	for _, o := range s.vendors.world.Objects("") {
		if o.Kind != state.KindDomain || attribute(o, "host") != host {
			continue
		}
		if bound = true; s.vendors.world.Answers(attribute(o, "site")) || s.altered[o.Mark.Client] {
			return
		}
	}
	if !bound && s.unbound[host] {
		return
	}
	s.broken("I7: the name leads where nothing serves: %s", c)
}

// newestWins: no step of a wish begins once a newer one was accepted (P7). What is put
// back goes on: where a name moves back, its new owner is the one that failed.
func (s *story) newestWins(step plan.Step) {
	id := step.Ref.Client
	back := s.client(id).RollingBack != "" || step.Action == plan.Move && s.client(step.From.Client).RollingBack != ""
	if s.overtaken[id] && !back {
		s.broken("P7: %s has a newer wish, and %s begins", id, step.Key())
	}
}

// guarded: no more clients lose their manifest, database or a name in a day than the guard
// lets go by itself (P5). Who was not made yet has nothing to lose. It is asked as a removal is
// let go, by this machine's clock as it is then: that one set forward makes days of what was
// less is what "nobody can tell from time that passed while the machine slept" (clock.go), and
// once it is set back nothing that was let go is judged again. What comes then counts with it.
func (s *story) guarded() {
	gone, free, anew := map[state.ClientID]bool{}, map[string]bool{}, false
	since := s.world.clock.Now().Add(-accept.Window)
	for _, t := range s.allTombstones() {
		if t.Held != "" {
			continue
		}
		free[lossOf(t)] = true
		c := s.client(t.Client)
		whole := t.Part == "" && c.Removed
		part := !c.Removed && (strings.HasPrefix(t.Part, "database/") || strings.HasPrefix(t.Part, accept.HostPart+"/"))
		if (whole || part) && !s.unmade[lossOf(t)] && t.At.After(since) && !s.letGo[t.Client] {
			gone[t.Client] = true
			anew = anew || !s.free[lossOf(t)]
		}
	}
	s.free = free
	if limit := s.guard.Deletes(s.most); anew && len(gone) > limit {
		s.broken("P5: %v lost something within a day, and the guard lets %d go: %+v", slices.Sorted(maps.Keys(gone)), limit, s.allTombstones())
	}
}

// notMade keeps in mind what was taken from clients of which nothing was made so far: they
// waited, and were made later without it.
func (s *story) notMade() {
	for _, t := range s.allTombstones() {
		if _, seen := s.unmade[lossOf(t)]; !seen {
			s.unmade[lossOf(t)] = s.client(t.Client).Deployment == "" && len(s.resources(t.Client)) == 0
		}
	}
}

// countFleet keeps in mind how many the guard measures against, when they were most: who
// lives and was let in, and who went within a day. A head is judged again when a name gets
// free or an approval comes, and may let others in then: so it is not told by the head alone.
func (s *story) countFleet() {
	fleet, waits := 0, map[state.ClientID]bool{}
	for _, h := range s.holds() {
		for _, id := range h.Clients {
			waits[id] = waits[id] || h.Kind == state.HoldCreates
		}
	}
	since := s.world.clock.Now().Add(-accept.Window)
	for _, c := range s.clients() {
		if !c.Removed && !waits[c.ID] || c.Removed && c.RemovedAt.After(since) {
			fleet++
		}
	}
	s.most = max(s.most, fleet)
}

// lossOf names what one commit took from one client.
func lossOf(t state.Tombstone) string { return string(t.Client) + " " + t.Part + " " + t.Commit }

// truthful: a commit is told as done when the clients that it touched are (I10).
func (s *story) truthful(r state.Report) {
	commit, ok := strings.CutPrefix(r.Subject, "commit/")
	if !ok || r.State != "success" || strings.Contains(commit, "/") || strings.HasPrefix(r.Text, "superseded") || strings.Contains(r.Text, "paused") {
		return
	}
	for _, c := range s.clients() {
		x := s.bySpec[c.Blob]
		if c.Commit == commit && !c.Removed && c.Converged != c.WishHash && !c.Paused && !x.paused && c.Status != state.StatusPaused && c.Accepted == commit {
			s.broken("I10: %s is told as success, and %s is %s: %s", commit[36:], c.ID, c.Status, c.Because)
		}
	}
}

func (s *story) client(id state.ClientID) state.Client {
	s.looking.Lock()
	defer s.looking.Unlock()
	s.view(func(tx store.Tx) error { return s.glasses.clients.look(tx, "clients") })
	return s.glasses.clients.values[string(id)]
}

// oneEach: of two living clients no two accepted files ask for the same name.
func (s *story) oneEach(clients []state.Client) {
	asks := map[string]state.ClientID{}
	for _, c := range clients {
		x, known := s.bySpec[c.Blob]
		if !known || c.Removed {
			continue
		}
		for _, host := range x.claims() {
			if other, taken := asks[host]; taken {
				s.broken("P3: %s and %s both ask for %s, and both files were accepted", other, c.ID, host)
			}
			asks[host] = c.ID
		}
	}
}

// failsClosed: what can't be read is nobody's wish, and is said (I13).
func (s *story) failsClosed(now manifests, clients []state.Client) {
	var said []state.FileProblem
	s.view(func(tx store.Tx) error {
		b, _, err := store.Baseline(tx)
		said = b.Problems
		return err
	})
	shown := func(path string) bool {
		return slices.ContainsFunc(said, func(p state.FileProblem) bool { return p.Path == path && p.Text != "" })
	}
	for _, name := range slices.Sorted(maps.Keys(now.specs)) {
		if path := now.specs[name].path(); now.specs[name].invalid() && !shown(path) {
			s.broken("I13: %s can't be read, and nobody is told", path)
		}
	}
	for path, text := range map[string]string{"templates/shop.yaml": now.template, "templates/blog.yaml": now.blog} {
		if refOf(text) == "" && !shown(path) && (text != "" || now.blog != "") {
			s.broken("I13: %s can't be read, and nobody is told", path)
		}
	}
	for _, c := range clients {
		if x := s.bySpec[c.Blob]; x.invalid() {
			s.broken("I13: the wish of %s is a file that can't be read: %s", c.ID, x.text())
		}
	}
}

// noticed follows the engine when it accepted a head.
func (s *story) noticed() {
	s.notMade()
	s.countFleet()
	s.guarded()
	s.removalsSeen()
	s.wavesWait()
	head := s.engine.Head()
	if head == s.accepted || head == "" {
		s.refusedSince()
		return
	}
	s.servesWhatWasShown("by the head before") // what a vendor carried out late is none of this one's
	old, now := s.trees[s.accepted], s.trees[head]
	clients := s.clients()
	if s.accepted != "" && !s.approved && (!s.repo.descends(s.accepted, head) || len(now.specs) == 0 && s.living > 0) {
		s.broken("P5: head %s rewrites or empties the tree and was accepted without an approval", head[36:])
	}
	if s.pulls.on {
		s.brought(s.accepted, head, clients)
		s.removalsShown(s.accepted, head, clients)
	}
	s.oneEach(clients)
	s.failsClosed(now, clients)
	s.accepted, s.approved, s.living = head, false, 0
	for _, c := range clients {
		if !c.Removed {
			s.living++
		}
	}
	for _, c := range clients {
		x, had := old.specs[c.Name]
		y, has := now.specs[c.Name]
		if renamed := s.names[c.ID] != c.Name; renamed || old.template != now.template || old.blog != now.blog || old.freeze != now.freeze || had != has || x.text() != y.text() {
			s.clean[c.ID], s.cleanNow[c.ID] = false, false
		}
		s.names[c.ID] = c.Name
	}
	for host, id := range s.up {
		if to, went := s.handed[host]; went {
			id = to // that one keeps it or lets it go, though it never came to rest, as where its mail waited
		}
		if !s.wished(now, host, id, clients) {
			s.excused[host] = true
		}
	}
}

// refusedSince excuses the names of who goes, and whose names a file asks for that was refused as the head was
// judged again: when the time came at which the removal is no longer put off, it was held for what else it gives away.
func (s *story) refusedSince() {
	for host, id := range s.up {
		if s.client(id).Removed && s.handed[host] == "" && !s.excused[host] && !s.wished(s.trees[s.accepted], host, id, s.clients()) {
			s.excused[host] = true
		}
	}
}

// middle checks what must hold between any two passes.
func (s *story) middle() {
	s.noticed()
	s.reviewed()
	if len(s.bad) > 0 {
		s.Fatalf("%s", strings.Join(s.bad, "\n"))
	}
}

// finish ends an event and checks every law.
func (s *story) finish() {
	if s.chaos.gone() {
		s.say("    it died")
		s.rested = s.hadRested()
		s.reopen()
		s.died = true
		s.noticed()
		s.diedPassing()
		s.reviewed() // who had come to rest before, by whose pass nobody was told
		s.died, s.rested = false, nil
	}
	s.chaos.kill = 0
	s.stillServed("at the end of the event")
	s.middle()
	s.strangersStay()
	s.heeded()
	s.once()
	s.noneLost()
	s.dataStays()
	s.keepsLongEnough()
	s.accountsStay()
	s.plantedStay()
	s.settledNow()
	s.undone()
	s.keptAsSaid()
}

// undone: at whom no pass is at work, there is nothing that a later failure would put back, but for
// an environment that could not be, a name that another client could not be given back, and what an alias
// redirected to.
func (s *story) undone() {
	for _, c := range s.clients() {
		lost := c.Status != state.StatusActive && c.Status != state.StatusRetained // something failed since it was at rest
		if c.Run == "" && c.RollingBack == "" && slices.ContainsFunc(c.Undo, func(u state.Undo) bool {
			alias := u.Ref.Kind == state.KindDomain && u.Prior.Attributes.Literal("redirect") != ""
			return !lost || u.Ref.Kind != state.KindEnvironment && !alias && u.Prior.Ref.Client == u.Ref.Client
		}) {
			s.Fatalf("P5: no pass is at work at %s, and %s is to be put back", c.ID, c.Undo[0].Ref)
		}
	}
}

// heeded: a vendor that said when is asked by nobody before that, where provider.Heed is
// around it; elsewhere no step asks again before that (chaos.asksAnew).
func (s *story) heeded() {
	if early := s.vendors.world.Early(); s.parallel > 1 && len(early) > 0 {
		s.Fatalf("limits: the vendor said when, and is asked before: %s at %s", early[0], early[0].At.Format("15:04:05"))
	}
}

// once: never two live objects of ours for the same client, kind and name (I1).
func (s *story) once() {
	seen := map[string]string{}
	for _, name := range []string{"railway", "postgres", "vercel", "ploi", "cloudflare", "resend", stripe} {
		for _, o := range s.vendors.world.Objects(name) {
			if o.Mark.Installation != lawInstallation {
				continue
			}
			if o.Kind == state.KindDeployment && s.planted[attribute(o, "site")] {
				continue // a site that lived before us may be adopted twice, and its releases are as they were found
			}
			key := fmt.Sprintf("%s %s %s %s", name, o.Mark.Client, o.Kind, o.Name)
			if o.Kind == state.KindRecord {
				for _, a := range o.Attributes {
					if a.Name == "content" {
						key += " " + a.Text
					}
				}
			}
			if other := seen[key]; other != "" {
				s.Fatalf("I1: twice: %s: %s and %s", key, other, o.ID)
			}
			seen[key] = o.ID
		}
	}
}

// noneLost: what bears our mark is on record or has an open intent (I2). What was made
// on a site of others' stays there.
func (s *story) noneLost() {
	known, named := map[string]bool{}, map[string]bool{}
	for _, i := range s.allIntents() {
		known[i.ObjectID], named[i.Provider+" "+string(i.Ref.Kind)+" "+i.Name] = true, true
	}
	for _, r := range s.allResources() {
		known[r.ID] = true
		if s.bare && r.Ref.Kind == state.KindDomain && r.Real() { // it may have moved, and nobody heard: an update finds it
			named[r.Provider+" "+string(r.Ref.Kind)+" "+r.Ref.Host()] = true
		}
	}
	for _, name := range []string{"railway", "postgres", "vercel", "ploi", "cloudflare", stripe} {
		for _, o := range s.vendors.world.Objects(name) {
			if o.Kind == state.KindAdmin && s.bare && known[attribute(o, "database")] {
				continue // it goes with its database
			}
			if o.Mark.Installation == lawInstallation && !s.leftToItsOwner(o) && !s.likeIDs[attribute(o, "site")] && !s.planted[attribute(o, "site")] && !s.planted[o.ID] && !known[o.ID] && !named[name+" "+string(o.Kind)+" "+o.Name] {
				s.Fatalf("I2: %s %s %q of %s is on no record", name, o.Kind, o.ID, o.Mark.Client)
			}
		}
	}
}

// dataStays: no database goes but by a purge after its date with its client absent, and
// none takes the place of another (I4).
func (s *story) dataStays() {
	if s.movers {
		s.dataMoves()
	}
	var ours []provider.Object
	there := map[string]bool{}
	for _, o := range s.vendors.world.Objects("") {
		if o.Kind == state.KindDatabase && !s.planted[o.ID] && o.Mark.Installation == lawInstallation {
			ours, there[o.ID] = append(ours, o), true
		}
	}
	// First what is gone: a purge whose sender died comes to its end in the pass that waits for
	// it, and makes another one then.
	s.dataGoes(there)
	for _, o := range ours {
		k := s.data[o.ID]
		if s.movers {
			s.data[o.ID] = &kept{client: o.Mark.Client, generation: o.Mark.Generation, object: o, rows: s.vendors.world.Rows(o.ID)}
			continue
		}
		if k == nil && s.copies(o) {
			continue
		}
		if k == nil {
			for id, other := range s.data {
				if other.client == o.Mark.Client && other.generation == o.Mark.Generation && !other.purged {
					s.Fatalf("I4: %s got the empty database %s, and had %s (deleted by hand: %v)", o.Mark.Client, o.ID, id, other.byHand)
				}
			}
			row := "row of " + o.ID
			s.vendors.world.Write(o.ID, row)
			k = &kept{client: o.Mark.Client, generation: o.Mark.Generation, rows: []string{row}, object: o}
			s.data[o.ID] = k
		}
		if got := s.vendors.world.Rows(o.ID); !slices.Equal(got, k.rows) {
			s.Fatalf("I4: %s has the rows %v, want %v", o.ID, got, k.rows)
		}
	}
}

// dataGoes: of what is gone each was purged, by whom it may be and no earlier than it may be.
func (s *story) dataGoes(there map[string]bool) {
	for id, at := range s.purges {
		if _, stays := s.vendors.world.Object(id); stays && s.world.clock.Real().Sub(at) > leastLag {
			delete(s.purges, id) // it did not come to be
		}
	}
	for id, k := range s.data {
		if there[id] || k.byHand || k.purged {
			if k.byHand {
				s.erased(id, k)
			}
			continue
		}
		if !s.purging[k.client] && s.purges[id].IsZero() {
			s.Fatalf("I4: the database %s of %s is gone", id, k.client)
		}
		if by := s.early(id); by > 0 {
			s.Fatalf("P5: the database %s of %s was erased %s too early", id, k.client, by)
		}
		k.purged = true
	}
}

// sent follows purges that a vendor carries out when nobody waits for its answer any more.
func (s *story) sent(c memory.Call) {
	if c.Verb == memory.Delete && s.losing[c.ID] {
		if s.purges == nil {
			s.purges = map[string]time.Time{}
		}
		s.purges[c.ID] = s.world.clock.Real()
	}
}

// copies says that an object is what an approved move would fill, made while its client had its
// own database: "Moving a database between providers is a plan of its own, held". It stays that
// when a person deletes the client's own one later, for as long as it is not on record in its place.
// Here no move comes to its end: see TestP5SimDatabasesMove.
func (s *story) copies(o provider.Object) bool {
	if !s.moving[o.Mark.Client] {
		return false
	}
	for _, r := range s.resources(o.Mark.Client) {
		if r.Ref.Kind != state.KindDatabase || r.Ref.Name != plan.MainDatabase {
			continue
		}
		if r.ID == o.ID {
			return false
		}
		if _, there := s.vendors.world.Object(r.ID); there { // perhaps made in this very event, and not seen before
			s.copied[o.ID] = true
		}
	}
	return s.copied[o.ID]
}

// erased follows the erasure of a database that a person had deleted: it may be cut off, and
// come to its end in a later event.
func (s *story) erased(id string, k *kept) {
	k.erasing = s.purging[k.client] || k.erasing
	switch {
	case !slices.ContainsFunc(s.resources(k.client), func(r state.Resource) bool { return r.ID == id }):
		k.purged = k.purged || k.erasing
	case !slices.ContainsFunc(s.intents(k.client), func(i journal.Intent) bool { return i.ObjectID == id }):
		k.erasing = false // it came to nothing
	}
}

// settledNow notes who is served and who is at rest. "A converged fleet gets no provider call
// at all"; whose mail was refused for good is not converged: its own commit asks for it still,
// and its next pass, whatever that is for, sends it.
func (s *story) settledNow() {
	s.clean = map[state.ClientID]bool{}
	if s.accepted == "" {
		return
	}
	tree := s.trees[s.accepted]
	waits := map[state.ClientID]bool{}
	for _, h := range s.holds() {
		waits[h.Client] = true
		for _, id := range h.Clients {
			waits[id] = true
		}
		if h.Waves != nil {
			for _, id := range h.Waves.Out {
				waits[id] = true
			}
		}
	}
	for _, t := range s.allTombstones() {
		waits[t.Client] = waits[t.Client] || !t.Done
	}
	clients := s.clients()
	for _, c := range clients {
		if c.Removed || c.Status == state.StatusActive {
			s.wasGone[c.ID] = c.Removed
		}
		x, in := tree.specs[c.Name]
		rest := c.Settled && c.RetryAt.IsZero() && !c.LookWanted && !waits[c.ID] && c.RollingBack == ""
		unsent := s.mailed && !slices.ContainsFunc(s.resources(c.ID), func(r state.Resource) bool { return r.Ref.Kind == state.KindMail })
		asked := in && !c.Removed && blobOf(x.text()) == c.Blob && !x.broken
		s.clean[c.ID] = rest && !unsent && (asked && c.Status == state.StatusActive || !in && c.Removed && c.Status == state.StatusRetained)
		if !asked || !rest || c.Status != state.StatusActive {
			continue
		}
		if s.altered[c.ID] && s.asWished(c, x) {
			delete(s.altered, c.ID)
		}
		for _, host := range x.hosts() {
			d, ok := s.vendors.world.Serves(host)
			if o, there := s.vendors.world.Object(d); ok && there && o.Mark.Client == c.ID {
				if got := s.vendors.world.BuiltWith(d)["COLOUR"]; got != x.colour && !s.altered[c.ID] {
					s.Fatalf("I8: %s is active and at rest, and %s is built with the colour %q, not %q", c.ID, host, got, x.colour)
				}
				if s.up[host] != c.ID {
					s.comesUp(host)
				}
				s.up[host], s.led[host], s.everNamed[c.ID] = c.ID, len(s.vendors.world.Resolves(host)) > 0, true
				delete(s.excused, host)
				delete(s.handed, host)
				delete(s.unbound, host)
			}
		}
	}
	s.noGaps()
}

// noGaps ends the time for which somebody agreed that a name is away: it serves, and whoever has it and whose plan it was are at rest.
func (s *story) noGaps() {
	maps.DeleteFunc(s.gaps, func(host string, of state.ClientID) bool {
		return s.up[host] != "" && s.serves(host) && s.clean[s.up[host]] && s.clean[of]
	})
}

// asWished says that nothing of what a person changed of a client is there any more: it has all that is on record, and answers by
// all its names with what its file wishes.
func (s *story) asWished(c state.Client, x spec) bool {
	for _, r := range s.resources(c.ID) {
		o, there := s.vendors.world.Object(r.ID)
		if r.Real() && !r.Retained() && (!there || r.Ref.Kind == state.KindEnvironment && attribute(o, "env.COLOUR") != x.colour) {
			return false
		}
	}
	return !slices.ContainsFunc(x.hosts(), func(host string) bool {
		now := s.version(host)
		return now.of != c.ID || now.colour != x.colour || !s.leads(host)
	})
}

// leaks: no secret in a text (I6).
func (s *story) leaks(where, text string) {
	for _, x := range append([]string{memory.PasswordPrefix}, s.secrets...) {
		if strings.Contains(text, x) {
			s.broken("I6: a secret stands in %s: %s", where, text)
		}
	}
}

// broken notes a law that was broken where the engine would take a panic for its own.
func (s *story) broken(format string, a ...any) { s.bad = append(s.bad, fmt.Sprintf(format, a...)) }

// sealed searches the whole store outside of its secrets.
func (s *story) sealed() {
	s.view(func(tx store.Tx) error {
		for _, bucket := range store.Buckets() {
			if bucket == "secrets" {
				continue
			}
			err := tx.Each(bucket, "", func(key string, decode func(any) error) error {
				var raw json.RawMessage
				if err := decode(&raw); err != nil {
					return err
				}
				s.leaks("the store at "+bucket+" "+key, string(raw))
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func ours(o provider.Object) bool { return o.Mark.Installation == lawInstallation }
