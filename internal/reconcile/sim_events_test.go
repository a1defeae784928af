package reconcile_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/journal"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/state"
)

// event is one thing that happens.
func (s *story) event() {
	w := []string{"commit", "commit", "commit", "poll", "pass", "pass", "pass", "all", "all", "together", "together", "any", "approve", "retry", "pause", "secret", "purge", "erase", "report", "back up", "time", "time", "weather", "weather", "outage", "hand", "hand", "person", "person", "restart", "kill", "kill", "ambush", "ambush", "ambush", "die at it", "observe", "overtake", "overtake"}
	if s.hostile {
		w = []string{"commit", "commit", "commit", "poll", "all", "all", "all", "together", "time", "time", "weather", "outage", "restart", "kill", "overtake", "purge", "report"}
	}
	if s.movers {
		w = []string{"commit", "data", "data", "data", "data", "data", "data", "all", "all", "together", "any", "approve", "retry", "pause", "secret", "purge", "time", "time", "weather", "outage", "hand", "restart", "kill", "kill", "die at it", "observe", "overtake", "overtake"}
	}
	if s.namers {
		w = []string{"commit", "names", "names", "names", "names", "poll", "pass", "pass", "all", "all", "all", "together", "together", "any", "approve", "approve", "retry", "time", "time", "time", "weather", "outage", "hand", "restart", "kill", "ambush", "ambush", "die at it", "observe", "overtake"}
	}
	if s.pulls.on {
		w = append(w, "pull", "pull", "pull", "pull", "pull", "pull", "pull", "pull", "pull", "pull")
	}
	if s.plots {
		w = append(w, "plot", "plot", "plot", "plot", "plot", "plot")
	}
	if s.events >= patience && s.thin() && s.patient() {
		s.helped()
	}
	what := s.one(w, "event")
	s.events++
	s.clockJumps()
	s.begin()
	switch what {
	case "commit":
		s.makeCommit()
		if s.n(4, "poll") > 0 {
			s.pollNow()
		}
	case "pull":
		s.pullEvent()
	case "plot":
		s.plot()
	case "data":
		s.moveData()
	case "names":
		s.passNamesOn()
		s.pollNow()
		if s.n(2, "pass") > 0 {
			s.passDue(6)
		}
	case "poll":
		s.pollNow()
	case "pass":
		if ids := s.due(); len(ids) > 0 {
			s.passOne(ids[s.n(len(ids)-1, "which")])
		}
	case "all":
		s.passDue(6)
	case "together":
		s.together()
	case "any":
		if ids := s.ids(); len(ids) > 0 {
			s.passOne(ids[s.n(len(ids)-1, "which")])
		}
	case "approve":
		s.approveAny()
	case "retry":
		if names := s.clientNames(); len(names) > 0 {
			if name := s.one(names, "name"); !s.byComment("retry") || !s.comment("retry "+name) {
				s.ask(name, s.engine.Retry)
			}
		}
	case "pause":
		if names := s.clientNames(); len(names) > 0 {
			name, paused := s.one(names, "name"), s.odds(2, "paused")
			s.ask(name, func(name, by string) (state.ClientID, error) { return s.engine.SetPaused(name, paused, by) })
		}
	case "die at it": // what people and schedules do is cut off, too
		s.chaos.kill = 1 + s.n(12, "after")
		s.say("dies after %d", s.chaos.kill)
		at := []func(){s.approveAny, s.deliver, s.setSecret, s.purge, s.scheduledLook}
		if s.pulls.on {
			at = append(at, s.lookAtPulls, s.mergeAndPoll)
		}
		at[s.n(len(at)-1, "at")]()
		s.chaos.kill = 0
	case "secret":
		if s.rich && s.besidesN(1, "own") == 1 {
			if all := s.clients(); len(all) > 0 {
				s.setOwn(all[s.besidesN(len(all)-1, "whose")])
			}
			break
		}
		if s.laterWorld() && s.hash("secret removed")%4 == 0 {
			s.removeSecret()
			break
		}
		s.setSecret()
	case "purge":
		s.purge()
	case "erase":
		if names := s.clientNames(); len(names) > 0 {
			s.erase(s.one(names, "name"))
		}
	case "time":
		spans := []time.Duration{10 * time.Second, 10 * time.Minute, 5 * time.Hour, 40 * time.Hour, 12 * 24 * time.Hour, 35 * 24 * time.Hour}
		s.later(spans[s.n(len(spans)-1, "duration")])
	case "weather":
		s.weather()
	case "outage":
		name := s.one([]string{"railway", "postgres", "vercel", "ploi", "cloudflare"}, "vendor")
		if s.odds(2, "over") {
			s.say("%s is up", name)
			s.vendors.world.Down(name, nil)
		} else {
			s.say("%s is down", name)
			s.vendors.world.Down(name, memory.Fail(provider.Transient, "503 service unavailable"))
		}
	case "hand":
		s.meddle()
	case "person":
		if all := s.asked(); len(all) > 0 {
			s.forgetful(all[s.n(len(all)-1, "asked")])
		}
	case "restart":
		s.say("restart")
		s.reopen()
	case "kill":
		s.chaos.kill = 1 + s.n(40, "after")
		s.say("dies after %d", s.chaos.kill)
		if s.odds(3, "commit") {
			s.makeCommit()
			s.pollNow()
		}
		s.passDue(6)
		s.chaos.kill = 0
	case "ambush":
		s.lieInWait()
	case "overtake": // a commit is accepted while a pass is under way
		s.chaos.wait = 1 + s.n(8, "after")
		s.makeCommit()
		s.chaos.meanwhile = s.overtake
		s.passDue(6)
		s.chaos.wait = 0
	case "report":
		s.deliver()
	case "back up":
		if !s.movers { // an older state in front of a moved database is held, and a matter of its own
			s.backUp()
		}
	case "observe":
		s.say("observe")
		_, err := s.engine.Drift(s.ctx(), nil)
		s.fine(err)
		s.scheduledLook()
		s.fine(s.engine.ProbeAll(s.ctx()))
		s.noteProbed()
		s.deliver()
	}
	s.finish()
}

// helped: people see that nothing came of all so far. They set what is missing, approve what waits, and
// wait for fair weather; where there was no other, it gets rough.
func (s *story) helped() {
	s.begin()
	s.say("somebody helps")
	if s.faults < leastFaults {
		s.chaos.seed, s.chaos.rate = uint64(s.hash("rough")), 20
	}
	help := func() {
		s.setSecret()
		s.pollNow()
		if !s.hostile {
			s.approveAny()
		}
		s.passDue(6)
	}
	if s.effects.Load() < leastWrites {
		s.calmly(help)
	} else {
		help()
	}
	s.finish()
}

// lieInWait lets something go wrong where the program comes by one day: calls that are
// seldom made fail as often as others so.
func (s *story) lieInWait() {
	seldom := slices.DeleteFunc(placesOfFaults(), func(point string) bool {
		return !strings.Contains(point, string(memory.Update)) && !strings.Contains(point, string(memory.Delete))
	})
	s.chaos.ambush = map[string]bool{}
	for range 12 {
		s.chaos.ambush[s.one(seldom, "fault point")] = true
	}
	for n, more := 0, seldomPlaces(); n < 6 && s.patient(); n++ { // so that no run draws more for it
		s.chaos.ambush[more[int(s.hash("seldom", n))%len(more)]] = true
	}
	s.say("in wait: %s", strings.Join(slices.Sorted(maps.Keys(s.chaos.ambush)), "; "))
}

// ask is a person who wants something of a client.
func (s *story) ask(name string, what func(name, by string) (state.ClientID, error)) {
	s.say("asks for %s", name)
	s.person(name)
	id, err := what(name, "dana")
	s.fine(err)
	s.wants(id)
}

// overtake accepts a commit in the middle of a pass.
func (s *story) overtake() {
	before := map[state.ClientID]uint64{}
	for _, c := range s.clients() {
		before[c.ID] = c.Seq
	}
	s.pollNow()
	for _, c := range s.clients() {
		if seq, ok := before[c.ID]; ok && c.Seq > seq {
			s.overtaken[c.ID], s.behind[c.ID] = true, s.begun[c.ID]
		}
	}
}

// scheduledLook finds what people changed; what is to be put back is due.
func (s *story) scheduledLook() {
	looks, err := s.engine.Look(s.ctx())
	s.fine(err)
	for _, id := range looks.Due {
		s.say("    to be mended: %s", id)
		s.clean[id], s.cleanNow[id] = false, false
	}
	s.wants(looks.Due...)
}

func (s *story) weather() {
	s.chaos.seed = uint64(s.n(1<<30, "seed"))
	s.chaos.rate = []int{0, 5, 10, 20, 40}[s.n(4, "faults")]
	s.chaos.builds, s.chaos.sick = s.odds(2, "builds"), s.odds(6, "sick")
	s.chaos.full, s.chaos.away = []int{0, 0, 0, 3, 30}[s.n(4, "full")], []int{0, 0, 0, 20}[s.n(3, "away")]
	s.say("weather %d%% builds=%v sick=%v full=%d%% away=%d%%", s.chaos.rate, s.chaos.builds, s.chaos.sick, s.chaos.full, s.chaos.away)
}

// meddle lets a person change or delete an object of ours at the vendor.
func (s *story) meddle() {
	var ours []provider.Object
	for _, o := range s.vendors.world.Objects("") {
		if o.Mark.Installation == lawInstallation && !s.planted[o.ID] {
			ours = append(ours, o)
		}
	}
	if len(ours) == 0 {
		return
	}
	o := ours[s.n(len(ours)-1, "object")]
	takes := s.odds(2, "delete")
	if o.Kind == state.KindPayments { // its owner does what is asked; one that was closed is a matter of its own
		s.say("by hand: account %s is complete", o.ID)
		s.vendors.world.Done(o.ID)
		return
	}
	if o.Kind == state.KindDatabase && takes && (s.n(3, "really") > 0 || s.movers) { // who puts one back knows nothing of a freeze
		return
	}
	s.meddled[o.Mark.Client], s.altered[o.Mark.Client] = true, true
	if takes {
		s.say("by hand: delete %s %s", o.Kind, o.ID)
		if k := s.data[o.ID]; k != nil {
			k.byHand = true
			// Nobody knew of one whose create had no outcome yet, and nothing used it.
			k.purged = !slices.ContainsFunc(s.resources(k.client), func(r state.Resource) bool { return r.ID == o.ID })
			k.erasing = slices.ContainsFunc(s.intents(k.client), func(i journal.Intent) bool { return i.ObjectID == o.ID && i.Op == journal.OpDelete }) // that was cut off
		}
		for _, d := range s.vendors.world.Objects("") { // a site takes its names with it
			if d.Kind == state.KindDomain && (d.ID == o.ID || attribute(d, "site") == o.ID) {
				s.unbound[attribute(d, "host")] = true
			}
		}
		served, seen := map[string]bool{}, s.seen()
		for host := range s.up {
			served[host] = s.serves(host)
		}
		s.vendors.world.Remove(o.ID)
		s.byPerson(seen)
		serving, lost := o.Kind == state.KindSite || o.Kind == state.KindDeployment || o.Kind == state.KindTraffic, map[string]bool{}
		s.emptied[o.Mark.Client] = s.emptied[o.Mark.Client] || serving
		for host, id := range s.up { // one that another client has just now may come back to where this is missing
			if serving && (id == o.Mark.Client || served[host] && !s.serves(host)) { // it may come by what was deleted in the middle of a swap
				delete(s.up, host)
				lost[host] = true
			}
		}
		for _, c := range s.claims() { // what is about to be bound there
			lost[strings.TrimPrefix(c.Key, "host:")] = lost[strings.TrimPrefix(c.Key, "host:")] || c.Client == o.Mark.Client
		}
		for _, d := range s.vendors.world.Objects("") { // another's alias may redirect there in the middle of a swap
			if serving && d.Kind == state.KindDomain && lost[attribute(d, "redirect")] {
				delete(s.up, attribute(d, "host"))
			}
		}
	} else {
		attribute := map[state.Kind]string{state.KindRecord: "ttl", state.KindSite: "label", state.KindEnvironment: "env.COLOUR", state.KindDomain: "redirect", state.KindDatabase: "access"}[o.Kind]
		if attribute == "" || s.hidden && o.Kind == state.KindEnvironment {
			return
		}
		s.say("by hand: %s of %s %s", attribute, o.Kind, o.ID)
		s.vendors.world.Set(o.ID, attribute, byHandValue)
	}
	s.tookDown()
}

// byHandValue is what a person sets of an object.
const byHandValue = "59"

// tookDown forgets the hosts that a person took down, and that they led anywhere: another name may come
// to lead to one of them, as where a swap is put back.
func (s *story) tookDown() {
	down := slices.DeleteFunc(slices.Collect(maps.Keys(s.up)), s.serves) // all of them, before any is forgotten that others redirect to
	for _, host := range down {
		delete(s.up, host)
		if len(s.vendors.world.Resolves(host)) == 0 {
			delete(s.led, host)
		}
	}
}

func (s *story) setSecret() {
	value := fmt.Sprintf("very-secret-value-%d", len(s.secrets))
	s.secrets = append(s.secrets, value)
	s.say("set the shared secret")
	for n, x := range s.everAsked() {
		if x.secret {
			s.person(n)
		}
	}
	_, ids, err := s.engine.SetSecret("", "key", state.NewSecret(value), s.keys.Fingerprint, "dana")
	s.fine(err)
	s.wants(ids...)
}

// removeSecret lets a person take the shared secret away, which is refused while somebody uses it.
func (s *story) removeSecret() {
	err := s.engine.RemoveSecret("", "key", "dana")
	s.say("remove the shared secret: %v", err)
	if err == nil {
		for _, c := range s.clients() {
			if c.Removed && c.RollingBack == "" {
				continue // of what is being taken away nothing is put back
			}
			for _, u := range c.Undo {
				for _, a := range u.Prior.Attributes {
					if x := a.Value.Secret; x != nil && x.Name == "key" {
						s.broken("the secret of what would be put back of %s is gone", c.ID)
					}
				}
			}
		}
	}
}

func (s *story) purge() {
	s.say("purge what is due")
	for _, c := range s.clients() {
		due := false
		for _, r := range s.resources(c.ID) {
			now := s.world.clock.Now()
			if s.clocks.any { // the date on record is put right by the purge; that it is not too early is seen after it
				due = due || r.Retained() && !r.PurgeAfter.IsZero() && s.early(r.ID) == 0
				continue
			}
			due = due || r.Retained() && !r.PurgeAfter.IsZero() && !now.Before(r.PurgeAfter) && !now.Before(r.RetainedAt.Add(s.keepsFor(c.ID)))
		}
		if due && s.upToDate() {
			s.mayLose(c.ID)
		}
		if due || c.Removed {
			s.clean[c.ID], s.cleanNow[c.ID] = false, false
		}
	}
	_, err := s.engine.PurgeDue(s.ctx())
	s.fine(err)
	if !s.before { // the same schedule forgets what is outdated
		_, err := s.engine.Prune(s.ctx())
		s.fine(err)
	}
}

// upToDate says that what is accepted is what the branch has, or shows where it may show an older head: else nothing
// may be erased.
func (s *story) upToDate() bool {
	order, at := s.repo.order, s.engine.Head()
	n := len(order)
	return n > 0 && order[n-1] == at || n > 1 && order[n-2] == at && s.chaos.away > 0
}

func (s *story) erase(name string) {
	s.say("purge %s", name)
	for _, c := range s.clients() {
		if c.Name == name && c.Removed && s.upToDate() {
			s.mayLose(c.ID)
			s.letErase(c.ID)
		}
	}
	s.person(name)
	_, err := s.engine.PurgeNow(s.ctx(), name, "dana")
	s.fine(err)
}

func (s *story) approveAny() {
	o, err := s.engine.Overview()
	s.fine(err)
	if len(o.Holds) == 0 {
		return
	}
	s.asksToApprove(o.Holds[s.n(len(o.Holds)-1, "hold")])
}

// asksToApprove approves a hold, in a comment or at the command line.
func (s *story) asksToApprove(h state.Hold) {
	if s.byComment("approve") && s.comment("approve "+h.Fingerprint) {
		return
	}
	s.approveOne(h)
}

func (s *story) approveOne(h state.Hold) {
	s.lets(h)
	ids, err := s.engine.Approve(s.ctx(), h.Fingerprint, "dana")
	s.fine(err)
	s.wants(ids...)
	s.noticed()
}

// lets notes what an approval of a hold lets be done.
func (s *story) lets(h state.Hold) {
	s.say("approve %s %s %s: %s", h.Kind, h.Fingerprint, h.Client, h.Reason)
	if h.Kind == state.HoldHistory {
		s.approved = true
		s.mayChange() // a head is accepted, as with a poll
	}
	if h.Kind == state.HoldGuard || h.Kind == state.HoldRebuild {
		for _, id := range append(slices.Clone(h.Clients), h.Client) {
			s.letGo[id] = true
		}
	}
	s.letBy(h)
	if h.Kind == state.HoldData && slices.ContainsFunc(h.Steps, func(key string) bool { return strings.Contains(key, "/"+string(state.KindDatabase)+"/") }) {
		s.moving[h.Client] = true
	}
	if h.Kind == state.HoldFreeze {
		s.thawed[h.Client] = true
		if !s.stillHeld(h.Fingerprint) { // it counts as given before its hold: for whoever comes by that name, with the same steps
			s.thawed[coming(s.names[h.Client])] = true
		}
		delete(s.froze, h.Client) // who passes just now may go on, too
	}
	for _, id := range append(slices.Clone(h.Clients), h.Client) {
		s.clean[id], s.cleanNow[id] = false, false
		if h.Kind == state.HoldData { // the plan said that there is a time without service
			for host, owner := range s.up {
				if owner == id {
					s.gaps[host] = h.Client
				}
			}
			for _, step := range h.Steps {
				if _, host, ok := strings.Cut(step, "/A "); ok {
					s.gaps[host] = h.Client
				}
			}
		}
	}
}
