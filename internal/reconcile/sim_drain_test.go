package reconcile_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// end brings some runs to rest: safety is looked at in all of them, liveness in these.
func (s *story) end() {
	if s.hostile {
		s.begin()
		s.later(26 * time.Hour) // whatever waited for a date comes now
		s.pollNow()
		s.passDue(20)
		s.finish()
		return
	}
	if s.odds(3, "to the end") {
		s.drain()
		return
	}
	s.sealed()
}

// drain ends all that is wrong outside, lets people do what only they can do, and sees
// that the passes come to rest with every wish fulfilled.
func (s *story) drain() {
	s.say("--- drain")
	s.begin()
	s.chaos.ambush, s.chaos.moves, s.chaos.rival = nil, false, nil
	s.chaos.rate, s.chaos.full, s.chaos.away, s.chaos.builds, s.chaos.sick = 0, 0, 0, false, false
	for _, name := range hosts {
		s.vendors.world.Down(name, nil)
		s.vendors.world.Limit(name, memory.Limit{})
	}
	for id, k := range s.data {
		if k.byHand && !k.purged { // somebody has a backup
			k.byHand = false
			s.vendors.world.Seed(s.ownerOf(k.object), k.object)
			for _, row := range k.rows {
				s.vendors.world.Write(id, row)
			}
		}
	}
	for id := range s.likeIDs { // their owners take them away; what is equal may be in use
		who := s.tree.wishing("c.agency.example")
		useful := len(who) == 1 && s.tree.specs[who[0]].host == "vercel"
		if o, _ := s.vendors.world.Object(id); o.Name != "A c.agency.example" || !o.Mark.IsZero() || !useful {
			s.ownerTakes(id)
		}
	}
	s.likes = s.likeShot()
	s.tookDown()
	s.finish()
	s.begin()
	if !s.brief { // seeds of before it was asked tell of what comes after
		s.healsAlone()
	}
	if _, _, err := s.engine.SetSecret("", "key", state.NewSecret(lastSecret), s.keys.Fingerprint, "dana"); err != nil {
		s.Fatalf("%v", err)
	}
	s.secrets, s.cleanNow = append(s.secrets, lastSecret), map[state.ClientID]bool{}
	if s.clocks.jumps && s.besidesN(1, "set back at last") == 1 { // and nobody waits for dates of before
		s.jump(-strides[s.besidesN(len(strides)-1, "stride")])
	}
	s.reopen()
	s.mend()
	s.rest()
	if len(s.meddled) == 0 { // nobody has to look for what nobody changed
		s.fulfilled()
	}
	s.look("mends what people changed")
	s.fulfilled()
	s.vendors.world.ForgetCalls()
	s.atRest()
	s.planAll()
	s.heard()
	s.sealed()
	s.forgetReviews()
	switch s.n(5, "loss") {
	case 1:
		if !s.rebuilt() {
			return
		}
	case 2:
		if s.backup == "" {
			return
		}
		if s.restored(); s.anotherClients() {
			return
		}
	default:
		return
	}
	s.vendors.world.ForgetCalls()
	s.atRest()
	s.sealed()
}

// healsAlone: within a quarter of an hour of the end of all faults whoever only waited for them is through, with
// nobody's help (I8). Others wait for a person, a date, or one of those.
func (s *story) healsAlone() {
	s.reopen()
	began := s.world.clock.Real()
	for {
		s.pollNow()
		s.quiet()
		left := 15*time.Minute + s.clocks.back - s.world.clock.Real().Sub(began) // the clock may be set meanwhile
		if left <= 0 {
			break
		}
		next := left
		for _, at := range s.queue {
			next = min(next, max(at.Sub(s.world.clock.Now()), time.Second))
		}
		s.world.clock.add(next)
	}
	s.finish()
	s.begin()
	stays := map[state.ClientID]bool{}
	for _, h := range s.holds() {
		for _, id := range h.Clients {
			stays[id] = true
		}
		stays[h.Client] = true
	}
	o, err := s.engine.Overview()
	s.fine(err)
	for _, c := range s.clients() {
		invalid := slices.ContainsFunc(o.Problems, func(p state.FileProblem) bool { return p.Path == c.Path })                                                   // its last good wish may ask for what is another's by now
		file := slices.ContainsFunc(s.tombstones(c.ID), func(t state.Tombstone) bool { return !t.Done && t.Waits != "" })                                        // whatever is invalid there
		head := strings.HasPrefix(c.Because, "nothing goes: ") && slices.ContainsFunc(s.holds(), func(h state.Hold) bool { return h.Kind == state.HoldHistory }) // something is to go, and the branch was rewritten
		stays[c.ID] = stays[c.ID] || invalid || file || head || s.waitsForPeople(c)
	}
	others := slices.Contains(slices.Collect(maps.Values(stays)), true)
	for _, c := range s.clients() {
		switch {
		case slices.ContainsFunc(s.engine.Group(c.ID), func(id state.ClientID) bool { return stays[id] }):
		case c.Settled && !passing(c.Because):
		case strings.HasPrefix(c.Because, "waiting") && (others || slices.ContainsFunc(s.clients(), func(o state.Client) bool {
			return strings.HasPrefix(c.Because, "waiting for "+o.Name+", ") && s.dated(o)
		})):
		case s.dated(c):
		default:
			s.broken("I8: all faults ended a quarter of an hour ago, and %s is %s: %q, to be tried at %s", c.ID, c.Status, c.Because, c.RetryAt)
		}
	}
}

// dated says that a client waits for a date that is to come.
func (s *story) dated(c state.Client) bool {
	return strings.Contains(c.Because, " until ") && c.RetryAt.After(s.world.clock.Now())
}

// waitsForPeople says that only a person, or a date, lets a client go on.
func (s *story) waitsForPeople(c state.Client) bool {
	if !c.Quarantined.IsZero() || c.Paused {
		return true
	}
	switch c.Status {
	case state.StatusHeld, state.StatusPaused, state.StatusInvalid:
		return true
	case state.StatusFailed:
		return !passing(c.Because)
	}
	return strings.HasPrefix(c.Because, "waiting for a person: ") || strings.HasPrefix(c.Because, "waiting for a person, ") ||
		takeAway.MatchString(c.Because) // it is served, and what it left stays until then
}

// passing says that a reason speaks of what is over by itself. (A move of data stands still while it goes on, at a
// time that a person chose: one that failed is not begun again without one.)
func passing(because string) bool {
	return !strings.Contains(because, "the data was not moved") && slices.ContainsFunc([]string{"503", "429", "revoked", "asked for a pause", "no answer", "no room", "an error in this program", "this program died"},
		func(s string) bool { return strings.Contains(because, s) })
}

// atRest: whoever is looked at has nothing to do.
func (s *story) atRest() {
	s.look("finds nothing to do")
	if got := s.writes(); len(got) > 0 {
		s.Fatalf("another round writes: %v", got)
	}
	s.nobodyPasses()
}

// nobodyPasses: where nobody is at work no pass is told as running, whatever became of the
// process that began it.
func (s *story) nobodyPasses() {
	all, err := s.engine.Deployments("", 10_000)
	s.fine(err)
	for _, d := range all {
		if d.State == "running" || d.Ended.IsZero() {
			s.Fatalf("nobody is at work on it, and the pass %s of %s is told as %q", d.ID, d.Client, d.State)
		}
	}
}

func (s *story) ownerOf(o provider.Object) string {
	if strings.HasPrefix(o.ID, "dat-postgres") {
		return "postgres"
	}
	return "railway"
}

// mend makes every file of the tree valid.
func (s *story) mend() {
	s.tree.template, s.tree.freeze = s.templated(storyTemplate("v9", "")), freeze{}
	if s.tree.blog != "" {
		s.tree.blog = blogTemplate("w9")
	}
	for round := 0; ; round++ {
		s.approveAll()
		used := map[string]string{}
		bad := map[string]string{}
		o, err := s.engine.Overview()
		s.fine(err)
		for _, p := range o.Problems {
			bad[clientOf(p.Path)] = p.Text
		}
		if round == 8 {
			s.Fatalf("the tree can't be made valid: %v; head %s of %s; holds %+v", bad, s.engine.Head(), s.heads[len(s.heads)-1], o.Holds)
		}
		s.adoptable()
		for _, n := range s.tree.names() {
			x := s.tree.specs[n]
			x.broken, x.paused = false, false
			if round > 0 && bad[n] != "" {
				s.say("%s: %s", n, bad[n])
				x.previously, x.reuse, x.note = "", reuseAfter(x.reuse, bad[n], round), x.note+1
			}
			var aliases []string
			if used[label(x.domain)] != "" {
				x.domain = n + "-own"
			}
			used[label(x.domain)] = n
			s.tree.specs[n] = x
			for _, a := range x.aliases {
				if !s.hostOf(a, n) && used[a] == "" && !slices.Contains(aliases, a) {
					aliases = append(aliases, a)
					used[a] = n
				}
			}
			x.aliases = aliases
			x.db = s.whereDataIs(n)
			for _, c := range s.meant(n) {
				for _, r := range s.resources(c.ID) {
					if r.Ref.Kind == state.KindRecord && r.Found { // what was found is not replaced
						x.byHand = false
					}
				}
			}
			s.tree.specs[n] = x
		}
		if round > 0 && len(bad) == 0 && s.engine.Head() == s.heads[len(s.heads)-1] && !s.uncommitted() {
			return
		}
		s.commit(false)
		s.pollNow()
		s.middle()
		s.quiet()
		s.world.clock.add(2 * time.Hour) // what waits for removeAfter goes
		s.quiet()
	}
}

// reuseAfter is what a person writes who reads why a file is invalid; where that says nothing
// of what was kept, they try the one and the other.
func reuseAfter(reuse, problem string, round int) string {
	switch {
	case strings.Contains(problem, "a rename that doesn't say so"):
		return "fresh"
	case strings.Contains(problem, "database.reuse says fresh"):
		return "retained"
	case strings.Contains(problem, "its removal waits"):
		return reuse
	}
	return []string{"fresh", "retained"}[(round/2)%2]
}

// meant are whom a file of that name is about: the client that has the name, or those that went
// with it and may return. One that went says nothing of the file of who has its name since.
func (s *story) meant(name string) []state.Client {
	var lives, went []state.Client
	for _, c := range s.clients() {
		switch {
		case c.Name != name:
		case c.Removed:
			went = append(went, c)
		default:
			lives = append(lives, c)
		}
	}
	if len(lives) > 0 {
		return lives
	}
	return went
}

// whereDataIs is the vendor that has the data of whom a file is about, if it asks for any: data
// moves in other runs than these.
func (s *story) whereDataIs(name string) string {
	at := s.tree.specs[name].db
	for _, c := range s.meant(name) {
		for _, r := range s.resources(c.ID) {
			if r.Ref.Kind == state.KindDatabase && r.Ref.Name == plan.MainDatabase && r.Real() && at != "none" {
				at = r.Provider
			}
		}
	}
	return at
}

// createdLate lets files ask for data where it is that came to be after the file asked for
// another place.
func (s *story) createdLate() {
	late := false
	for _, n := range s.tree.names() {
		x := s.tree.specs[n]
		if at := s.whereDataIs(n); at != x.db && !s.movers {
			x.db, late = at, true
			s.tree.specs[n] = x
		}
	}
	if late {
		s.commit(false)
	}
}

// uncommitted says that the tree differs from the branch's head.
func (s *story) uncommitted() bool {
	return !maps.Equal(s.tree.files(), s.trees[s.heads[len(s.heads)-1]].files())
}

// hostOf says that a host is another client's own domain.
func (s *story) hostOf(host, but string) bool {
	for n, x := range s.tree.specs {
		if n != but && label(x.domain) == host {
			return true
		}
	}
	return label(s.tree.specs[but].domain) == host
}

// approveAll lets go whatever is held and can be approved.
func (s *story) approveAll() {
	o, err := s.engine.Overview()
	s.fine(err)
	for _, h := range o.Holds {
		if h.Approvable && s.stillHeld(h.Fingerprint) {
			s.approveOne(h)
			s.middle()
			s.quiet()
		}
	}
}

// quiet passes whoever is due, until nobody is.
func (s *story) quiet() {
	for n := 0; len(s.due()) > 0; n++ {
		if n == 300 {
			s.Fatalf("passes without end: %v", s.due())
		}
		s.passOne(s.due()[0])
		s.middle()
	}
}

// rest lets time pass and people approve and retry, until nothing is open.
func (s *story) rest() {
	for round := range 80 {
		s.createdLate()
		s.pollNow()
		s.quiet()
		s.finish()
		s.begin()
		for _, v := range s.asked() {
			s.forgetful(v)
		}
		s.tidy()
		open := s.open()
		if len(open) == 0 && len(s.queue) == 0 || s.anotherClients() {
			return
		}
		s.approveAll()
		if round%6 == 5 {
			s.lostSecrets() // also of who became valid only now
			s.lackOwn()
			for _, c := range s.clients() {
				s.removeByHand(c)
				if (c.Settled || !c.Quarantined.IsZero()) && (c.Status == state.StatusFailed || c.Status == state.StatusHeld || c.Status == state.StatusPaused) {
					s.person(c.Name)
					_, err := s.engine.SetPaused(string(c.ID), false, "dana")
					s.fine(err)
					id, err := s.engine.Retry(string(c.ID), "dana")
					s.fine(err)
					s.wants(id)
				}
			}
		}
		step := 15 * time.Minute
		if len(open) == 0 { // whoever comes back at a date alone, as the end of a freeze, is waited for
			next := slices.MinFunc(slices.Collect(maps.Values(s.queue)), time.Time.Compare)
			step = max(step, next.Sub(s.world.clock.Now()))
		}
		s.world.clock.add(step)
	}
	s.Fatalf("it doesn't come to rest: %v; queue %v", s.open(), s.queue)
}

// removeByHand does what a client's hold asks for: what is not ours to delete, a person does. So
// does one who said that a file is another client's than the one that an older state has as
// removed: what that one made since bears its mark, and is in the other one's way.
func (s *story) removeByHand(c state.Client) {
	theirs := strings.Contains(c.Because, "not ours to delete") || strings.Contains(c.Because, " exists: ")
	earlier := s.cells["older state put back"] > 0 && strings.Contains(c.Because, "settle there whose it is")
	for _, o := range s.vendors.world.Objects("") {
		if o.Kind == state.KindDatabase || o.Kind == state.KindSite {
			continue
		}
		taken := o.Kind == state.KindDomain && strings.Contains(c.Because, fmt.Sprintf("another site has %q", o.Name)) && s.planted[attribute(o, "site")]
		if taken || theirs && strings.Contains(c.Because, o.ID) || earlier && strings.Contains(c.Because, fmt.Sprintf("%s %s at ", o.Kind, o.Name)) && s.went(o.Mark) {
			s.say("by hand: remove %s", o.ID)
			s.vendors.world.Remove(o.ID)
			delete(s.planted, o.ID)
			delete(s.likeIDs, o.ID)
			s.likes = s.likeShot()
			s.tookDown()
		}
	}
}

// went says that a mark is a removed client's.
func (s *story) went(m provider.Mark) bool {
	return m.Installation == lawInstallation && slices.ContainsFunc(s.clients(), func(c state.Client) bool { return c.ID == m.Client && c.Removed })
}

func (s *story) stillHeld(fingerprint string) bool {
	held := false
	s.view(func(tx store.Tx) (err error) { _, held, err = store.Hold(tx, fingerprint); return err })
	return held
}

// open is what is not at its end.
func (s *story) open() []string {
	var out []string
	tree := s.trees[s.engine.Head()]
	seen := map[string]bool{}
	for _, c := range s.clients() {
		_, in := tree.specs[c.Name]
		want := state.StatusActive
		if c.Removed {
			want = state.StatusRetained
		}
		if in && !c.Removed {
			seen[c.Name] = true
		}
		if !in && !c.Removed {
			out = append(out, fmt.Sprintf("%s lives without a manifest", c.ID))
		}
		if c.Status != want || !c.Settled || !c.RetryAt.IsZero() {
			out = append(out, fmt.Sprintf("%s is %s settled=%v removed=%v: %s (%s)", c.ID, c.Status, c.Settled, c.Removed, c.Because, c.Next))
		}
		for _, i := range s.intents(c.ID) {
			out = append(out, fmt.Sprintf("intent %s %s of run %s", i.Op, i.Key, i.Run))
		}
	}
	for _, n := range tree.names() {
		if !seen[n] {
			out = append(out, n+" is not there")
		}
	}
	s.view(func(tx store.Tx) error {
		verdicts, err := store.Verdicts(tx, func(state.Verdict) bool { return true })
		for _, v := range verdicts {
			if v.State == "pending" {
				out = append(out, fmt.Sprintf("verdict of %s: %+v", v.Commit[36:], v))
			}
		}
		return err
	})
	for _, h := range s.holds() {
		out = append(out, fmt.Sprintf("hold %s %s of %s: %s", h.Kind, h.Fingerprint, h.Client, h.Reason))
	}
	return out
}

// mainData is the id of a client's own database, as it is on record.
func (s *story) mainData(id state.ClientID) string {
	for _, r := range s.resources(id) {
		if r.Ref.Kind == state.KindDatabase && r.Ref.Name == plan.MainDatabase {
			return r.ID
		}
	}
	return ""
}

// sharedKey is the newest version of the shared secret.
func (s *story) sharedKey() (text string) {
	s.view(func(tx store.Tx) error {
		rec, _, err := store.Secret(tx, "shared", "key", 0)
		text = string(rec.Text)
		return err
	})
	return text
}

// look lets everybody be looked at.
func (s *story) look(why string) {
	s.say("a look that %s", why)
	for _, c := range s.clients() {
		s.person(c.Name)
		id, err := s.engine.Retry(string(c.ID), "dana")
		if err != nil {
			s.Fatalf("%v", err)
		}
		s.wants(id)
	}
	s.rest()
}

// fulfilled compares what the vendors have with what the tree asks for.
func (s *story) fulfilled() {
	tree := s.trees[s.engine.Head()]
	want := map[string]bool{}
	found := map[string]state.ClientID{} // equal ones that are used as they are, by id
	for _, c := range s.clients() {
		x, in := tree.specs[c.Name]
		if !in || c.Removed {
			continue
		}
		old := map[state.Kind]bool{} // it is as it was found, and may bear no mark
		for _, r := range s.resources(c.ID) {
			if r.Found {
				found[r.ID] = c.ID
			}
			old[r.Ref.Kind] = old[r.Ref.Kind] || r.Adopted
		}
		expect := func(owner string, kind state.Kind, what string) {
			if old[kind] {
				return
			}
			want[fmt.Sprintf("%s %s %s %s", c.ID, owner, kind, what)] = true
		}
		if x.db != "none" {
			expect(x.db, state.KindDatabase, "")
		}
		if x.pays {
			expect(stripe, state.KindPayments, "")
		}
		if x.host != "none" {
			expect(x.host, state.KindSite, "")
			expect(x.host, state.KindEnvironment, "")
			expect(x.host, state.KindTraffic, "")
		}
		for _, h := range x.hosts() {
			expect(x.host, state.KindDomain, h)
			if !x.byHand && (h != "c.agency.example" || len(s.vendors.world.Resolves(h)) == 0) {
				expect("cloudflare", state.KindRecord, "A "+h+" "+addresses[x.host])
			}
			d, ok := s.vendors.world.Serves(h)
			o, _ := s.vendors.world.Object(d)
			if got := s.vendors.world.BuiltWith(d)["COLOUR"]; !ok || d != "rel-1" && o.Mark.Client != c.ID || got != x.colour {
				s.Fatalf("%s is served by %q of %s (%v) with the colour %q, want %s and %q", h, d, o.Mark.Client, ok, got, c.ID, x.colour)
			}
			// What was adopted bears no mark: once the state is lost, somebody who lets another one take its place is asked first.
			if got, data := s.vendors.world.BuiltWith(d)["DATABASE_URL"], s.mainData(c.ID); x.db != "none" && x.adopts == "" && d != "rel-1" && !strings.Contains(got, "-data-1@") && !strings.Contains(got, "@"+data+".") && !strings.Contains(got, "-"+data+"@") {
				s.Fatalf("%s asks for its data at %q, and the database of %s is %s", h, got, c.ID, data)
			}
			if got, newest := s.vendors.world.BuiltWith(d)["OWN"], s.ownKey(c.ID); x.own && d != "rel-1" && got != newest {
				s.Fatalf("%s of %s runs with the own secret %q, and the newest is %q", h, c.ID, got, newest)
			}
			if got, newest := s.vendors.world.BuiltWith(d)["KEY"], s.sharedKey(); x.secret && d != "rel-1" && got != newest {
				s.Fatalf("%s of %s runs with the secret %q, and the newest is %q", h, c.ID, got, newest)
			}
		}
		for _, r := range x.said() {
			if kind, name, content := record(r, x.domain); !x.byHand {
				expect("cloudflare", state.KindRecord, kind+" "+name+" "+content)
			}
		}
	}
	have := map[string]bool{}
	for _, owner := range []string{"railway", "postgres", "vercel", "ploi", "cloudflare", stripe} {
		for _, o := range s.vendors.world.Objects(owner) {
			what, client := "", o.Mark.Client
			used, isFound := found[o.ID]
			if isFound {
				client = used
			}
			switch {
			case !isFound && !ours(o) || o.Kind == state.KindAdmin || o.Kind == state.KindDeployment:
				continue
			case o.Kind == state.KindDomain:
				what = attribute(o, "host")
			case o.Kind == state.KindRecord:
				what = attribute(o, "type") + " " + attribute(o, "name") + " " + attribute(o, "content")
			}
			key := fmt.Sprintf("%s %s %s %s", client, owner, o.Kind, what)
			if s.planted[o.ID] && !want[key] {
				continue
			}
			if o.Kind == state.KindPayments && !want[key] {
				continue // it stays, whoever its client is
			}
			if o.Kind == state.KindDatabase && !want[key] {
				if s.retained(o.ID) {
					continue
				}
			}
			have[key] = true
		}
	}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if !have[key] && !strings.Contains(key, "record A c.agency.example ") {
			s.Fatalf("missing: %s", key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(have)) {
		if !want[key] && !strings.HasPrefix(key, "f-") && !strings.Contains(key, "record A c.agency.example ") {
			s.Fatalf("left over: %s", key)
		}
	}
}

func (s *story) retained(object string) bool {
	for _, id := range s.ids() {
		for _, r := range s.resources(id) {
			if r.ID == object && r.Retained() {
				return true
			}
		}
	}
	return false
}

func attribute(o provider.Object, name string) string {
	for _, a := range o.Attributes {
		if a.Name == name {
			return a.Text
		}
	}
	return ""
}

// hears is what happens with a report that arrives.
func (s *story) hears(r state.Report) {
	s.say("    told %s %s: %s", r.Subject, r.State, r.Text)
	s.leaks("a report", fmt.Sprintf("%+v", r))
	s.truthful(r)
	s.told[r.Subject] = r.State
}

// noneAbsent: what a commit came to was told, or its report waits to be delivered: no commit is silently
// absent (I10), whenever the program died.
func (s *story) noneAbsent() {
	waits := map[string]string{} // the newest of each subject
	var verdicts []state.Verdict
	s.view(func(tx store.Tx) error {
		reports, err := store.Reports(tx)
		if err != nil {
			return err
		}
		for _, r := range reports {
			waits[r.Subject] = r.State
		}
		verdicts, err = store.Verdicts(tx, func(state.Verdict) bool { return true })
		return err
	})
	for _, h := range s.holds() { // of a head that is shown again and waits as a whole that is said, until it is over
		verdicts = slices.DeleteFunc(verdicts, func(v state.Verdict) bool { return h.Kind == state.HoldHistory && v.Commit == h.NewHead })
	}
	for _, v := range verdicts {
		subject := "commit/" + v.Commit
		if got := cmp.Or(waits[subject], s.told[subject]); got != v.State {
			s.broken("I10: the verdict of %s is %s, people were told %q, and %q waits", v.Commit[36:], v.State, s.told[subject], waits[subject])
		}
	}
}

// heard: every verdict was reported, and its last report says what it came to (P9).
func (s *story) heard() {
	for range 50 {
		err := s.engine.Deliver(context.Background(), func(_ context.Context, r state.Report) error {
			s.hears(r)
			return nil
		})
		s.fine(err)
		s.world.clock.add(11 * time.Minute)
	}
	var verdicts []state.Verdict
	s.view(func(tx store.Tx) (err error) {
		verdicts, err = store.Verdicts(tx, func(state.Verdict) bool { return true })
		return err
	})
	sort.Slice(verdicts, func(i, j int) bool { return verdicts[i].Seq < verdicts[j].Seq })
	for _, v := range verdicts {
		if got := s.told["commit/"+v.Commit]; got != v.State {
			s.Fatalf("P9: the verdict of %s is %s, and people were told %q", v.Commit[36:], v.State, got)
		}
	}
	s.headsEnd()
}

// ownerTakes lets the owner of an object that lived before us take it away. Who used it, as it was equal, or took
// it for its own, as it came in the middle of its create and bears no mark, loses what is there, perhaps before people are led to it.
// A name whose record a person took away the world then leads to the next site that has it bound: no plan says what people see of that.
func (s *story) ownerTakes(id string) {
	for _, c := range s.clients() {
		if slices.ContainsFunc(s.resources(c.ID), func(r state.Resource) bool { return r.ID == id }) {
			s.meddled[c.ID], s.altered[c.ID], s.emptied[c.ID] = true, true, true
			for host, owner := range s.up {
				s.excused[host] = s.excused[host] || owner == c.ID
			}
		}
	}
	seen := s.seen()
	s.vendors.world.Remove(id)
	for host, was := range seen {
		if s.sees(host) != was {
			s.comesUp(host)
		}
	}
}
