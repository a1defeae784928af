package reconcile_test

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// serves says that people reach a site at the host: something serves there, and the name
// still leads there if it did.
func (s *story) serves(host string) bool {
	_, ok := s.vendors.world.Serves(host)
	return ok && s.leads(host)
}

// leads says that the name, and the one that it redirects to, still lead somewhere if they did:
// where the record of one is gone nobody comes to a site, whoever has the name bound. (Of a name
// without a record the world takes it that others keep that, and that it leads to the first site that
// has it bound. A client that goes has the side that it left at another host there still.)
func (s *story) leads(host string) bool {
	return len(s.cut(host)) == 0
}

// cut are the names on the way of people who ask for the host that led somewhere and don't now.
func (s *story) cut(host string) []string {
	return slices.DeleteFunc(s.vendors.world.Way(host), func(h string) bool { return !s.led[h] || len(s.vendors.world.Resolves(h)) > 0 })
}

// noteOld notes what serves each host as a pass begins, unless an update of its client is
// under way, or one of a client that took the host from it: then the old version is what served before that, until
// the host that it is at has let the name go, which it does when the new one serves. Who could not be put back
// once is put back to what served before that when it fails again, unless whoever has its name is through without it.
// Of an update that waits in its middle see midway.
func (s *story) noteOld() {
	s.leaveAtWork()
	for host, owner := range s.up {
		now := s.version(host)
		o, _ := s.vendors.world.Object(now.id)
		taken := slices.ContainsFunc(s.client(o.Mark.Client).Undo, func(u state.Undo) bool { return u.Had(owner) })
		c := s.client(owner)
		back := slices.ContainsFunc(c.Undo, func(u state.Undo) bool { return u.Prior.Ref.Client == owner && plan.Leads(u.Prior.Ref, host) })
		if o.Mark.Client == owner && !back && s.letGoBy(s.old[host].id, host, now.id) || !taken && len(c.Undo) == 0 && c.RollingBack == "" && c.Run == "" || s.old[host].id == "" || now.of != "" && now.of != owner && s.keptWithout(c) {
			s.old[host] = now
		}
		if s.old[host].of == owner {
			s.own[host] = s.old[host]
		}
		if last, is := s.midway(c); is && s.probed[host] == now {
			s.halfway[host] = halfway{now, last}
		}
		switch {
		case now.of == owner:
			delete(s.gaveUp, host)
		case s.siteless[owner]:
			s.gaveUp[host] = true
		}
	}
	for _, c := range s.clients() {
		s.siteless[c.ID] = s.bySpec[c.Blob].host == "none"
	}
}

// halfway is what an update that waits in its middle has brought, and that is at work there.
type halfway struct {
	version
	last state.Deployment // the audit record of its last pass
}

// midway says that a client's update waits in its middle (for a person, an approval: for weeks, maybe), and that its site was
// asked since its traffic was led on, and answered well: people are used to that version, and a newer update that begins
// and fails leaves it. (Not where a name or the data moves with it, or its environment is another one by now: then all goes
// back to what served before both.) last is the audit record of the update.
func (s *story) midway(c state.Client) (last state.Deployment, is bool) {
	if len(c.Undo) == 0 || c.RollingBack != "" || c.Health != state.Healthy {
		return last, false
	}
	changed := map[state.Kind]time.Time{}
	for _, u := range c.Undo {
		if u.Ref.Kind == state.KindDatabase || u.Prior.Ref.Client != c.ID {
			return last, false
		}
		for _, r := range s.resources(c.ID) {
			if r.Ref == u.Ref && r.Real() {
				changed[r.Ref.Kind] = r.UpdatedAt
			}
		}
	}
	led := changed[state.KindTraffic]
	if led.IsZero() || !c.HealthAt.After(led) || changed[state.KindEnvironment].After(led) {
		return last, false
	}
	return s.audited(c)
}

// leaveAtWork: a newer update has begun, and from then on the old version is what the one before it had brought, where that
// was at work. A newer one is that of another commit, or is built again: by a secret that was set.
func (s *story) leaveAtWork() {
	for host, h := range s.halfway {
		d, there := s.audited(s.client(h.of))
		built := slices.ContainsFunc(d.Steps, func(r state.StepRun) bool {
			return r.Ref.Kind == state.KindDeployment && (r.Action == string(plan.Create) || r.Action == string(plan.Replace))
		})
		if there && s.up[host] == h.of && d.ID != h.last.ID && (d.Commit != h.last.Commit || built) {
			s.old[host] = h.version
		}
	}
	clear(s.halfway)
}

// audited is the record of a client's last pass that changed something.
func (s *story) audited(c state.Client) (d state.Deployment, there bool) {
	s.view(func(tx store.Tx) (err error) { d, there, err = store.Deployment(tx, c.Deployment); return err })
	return d, there
}

// noteProbed notes what served each host as everybody's sites were asked.
func (s *story) noteProbed() {
	for host := range s.up {
		s.probed[host] = s.version(host)
	}
}

// keptWithout says that a client's update failed, that not all of it could be put back, that no other update of it has begun
// since, and that nobody is to give it a name back any more: whoever could not do that then came to its end with it, by a
// wish of its own. The undo of their plan is over with that (keptByTaker), and the other was told that its name is not back.
func (s *story) keptWithout(c state.Client) bool {
	return s.lostBefore[c.ID] && c.Run == "" && c.RollingBack == "" && !slices.ContainsFunc(s.clients(), func(o state.Client) bool {
		return slices.ContainsFunc(o.Undo, func(u state.Undo) bool { return u.Prior.Ref.Kind == state.KindDomain && u.Had(c.ID) })
	})
}

// letGoBy says that the site of a release has the host no more, and that the newer one is at another vendor.
func (s *story) letGoBy(release, host, newer string) bool {
	o, there := s.vendors.world.Object(release)
	at := func(id string) string { return strings.Join(strings.SplitN(id, "-", 3)[:2], "-") }
	return there && newer != "" && at(newer) != at(release) && !slices.ContainsFunc(s.vendors.world.Objects(""), func(d provider.Object) bool {
		return d.Kind == state.KindDomain && attribute(d, "host") == host && attribute(d, "site") == attribute(o, "site")
	})
}

// version is what a host is served by.
type version struct {
	id string
	look
	of state.ClientID // whose it is
}

func (s *story) version(host string) version {
	d, _ := s.vendors.world.Serves(host)
	o, _ := s.vendors.world.Object(d)
	return version{d, look{s.vendors.world.BuiltWith(d)["COLOUR"], themeOf(attribute(o, "settings")), attribute(o, "ref")}, o.Mark.Client}
}

// handedOver says that the wish gives the host, or the one that it redirects to, to another
// client, and that it has it: what becomes of the one before is no matter to people who come
// by the name. (Of two that swap their names one may fail when the other has got its new one.
// Its own new name is taken back then, and names that redirect to its old one lead to the
// other's site until it is mended.)
func (s *story) handedOver(host string, from state.ClientID, release string) bool {
	o, _ := s.vendors.world.Object(release)
	x, known := s.bySpec[s.client(o.Mark.Client).Blob]
	if o.Mark.Client == from || !known {
		return false
	}
	hosts := x.hosts()
	return slices.Contains(hosts, host) || slices.ContainsFunc(s.vendors.world.Objects(""), func(d provider.Object) bool {
		return d.Kind == state.KindDomain && d.Mark.Client == from && attribute(d, "host") == host && slices.Contains(hosts, attribute(d, "redirect"))
	})
}

// noteHanded keeps in mind which names went to another client, and to whom: whose they are by now
// is no matter of the one before, also when the wish goes on to give them to a third one. A name of
// his that redirects to one that went stays his own.
func (s *story) noteHanded() {
	for host, owner := range s.up {
		now := s.version(host)
		o, _ := s.vendors.world.Object(now.id)
		switch {
		case o.Mark.Client == owner:
			delete(s.handed, host)
		case s.handedOver(host, owner, now.id):
			was := s.handed[host]
			s.handed[host] = owner
			if x := s.bySpec[s.client(o.Mark.Client).Blob]; slices.Contains(x.hosts(), host) {
				if was != o.Mark.Client {
					s.passedOn++
				}
				s.handed[host] = o.Mark.Client
			}
		}
	}
}

// stillOld: of a failed update it is said that the old version still runs, and it does. Who had lost its
// name to another client, and took it back, keeps it, as it had no other one: its own old version serves there.
func (s *story) stillOld(ids []state.ClientID) {
	s.leaveAtWork()
	defer func() {
		for _, c := range s.clients() { // of some the end is recorded after their pass
			switch {
			case strings.Contains(c.Because, "what it changed can't be put back"):
				s.lostBefore[c.ID] = true
			case c.Status == state.StatusActive:
				delete(s.lostBefore, c.ID)
			}
		}
	}()
	for _, id := range ids {
		c := s.client(id)
		if c.Status != state.StatusFailed || !strings.HasPrefix(c.Because, "Your site still runs the old version") || s.altered[id] || s.lostBefore[id] {
			continue
		}
		if s.wasGone[id] && strings.HasPrefix(c.Because, state.RunsUnnamed) { // what led to it went as it did
			continue
		}
		for host, owner := range s.up {
			old, now := s.old[host], s.version(host)
			if owner != id || old.id == "" || s.handed[host] != "" || s.handedOver(host, id, now.id) {
				continue
			}
			if old.of != id && s.client(old.of).Removed { // who goes gets nothing back
				continue
			}
			if old.of != id && now.of == id && !s.hadAName(id) { // it took its name back, and would answer by none without it
				old = s.own[host]
			}
			if s.inPlace {
				old.id, now.id = "", "" // it is built again
			}
			if now != old {
				s.broken("I5: the update of %s failed, and %s is served by %s, not by %s", id, host, now, old)
			}
		}
		s.putBack(c)
	}
	for _, id := range ids {
		told := strings.Contains(s.client(id).Because, ", and can't give it back") // the vendor of who has its name refuses that
		runs := strings.HasPrefix(s.client(id).Because, "Your site still runs") && !strings.HasPrefix(s.client(id).Because, state.RunsUnnamed)
		told = told || s.wasGone[id] && !runs
		told = told || s.bySpec[s.client(id).Blob].host == "none" || s.tookInstead(id)
		if c := s.client(id); c.Status == state.StatusFailed && c.Settled && !c.Removed && c.RollingBack == "" && c.Quarantined.IsZero() && !s.altered[id] && !told {
			s.keepsAName(id, runs) // who is in quarantine is left as the death of the program left it
		}
	}
}

// tookInstead says that whoever has the client's names by now had none of its own as its update began, as a person took it
// away: it would answer by none if it gave them back. (Who never had one gives back what it took, and a name that nobody has
// now is nobody's excuse.)
func (s *story) tookInstead(id state.ClientID) (all bool) {
	for host, owner := range s.up {
		if owner != id || s.old[host].of != id {
			continue
		}
		by := s.version(host).of
		if by == "" || by == id || !s.meddled[by] || !s.everNamed[by] || s.hadAName(by) {
			return false
		}
		all = true
	}
	return all
}

// hadAName says that a client answered by a name as its update began.
func (s *story) hadAName(id state.ClientID) bool {
	for host, owner := range s.up {
		if owner == id && s.old[host].of == id {
			return true
		}
	}
	return false
}

// keepsAName: who answered by names as the pass began, and failed in it, answers by one of them, or by
// another: of two that swap their names, the one gives back what it took when the other fails. Not by one that went
// while it was to have no site: the pass may have been cut off behind that, and what fails be a later commit that
// brings the site back. Nobody is told then that the old version runs (runs).
func (s *story) keepsAName(id state.ClientID, runs bool) {
	answered := false
	for host, owner := range s.up {
		o, _ := s.vendors.world.Object(s.old[host].id)
		answered = answered || owner == id && o.Mark.Client == id && (runs || !s.gaveUp[host])
	}
	if !answered {
		return
	}
	for _, r := range s.resources(id) {
		if d, ok := s.vendors.world.Serves(r.Ref.Host()); r.Ref.Kind == state.KindDomain && ok {
			if o, _ := s.vendors.world.Object(d); o.Mark.Client == id {
				return
			}
		}
	}
	s.broken("S24: the update of %s failed, and it answers by no name", id)
}

// putBack: the environment of a client whose update failed is that of what serves, so that
// the next build is one of the old version, too.
func (s *story) putBack(c state.Client) {
	for host, owner := range s.up {
		d, ok := s.vendors.world.Serves(host)
		release, _ := s.vendors.world.Object(d)
		if owner != c.ID || !ok || release.Mark.Client != c.ID || s.excused[host] { // what goes has an end of its own
			continue
		}
		for _, o := range s.vendors.world.Objects("") {
			if o.Kind != state.KindEnvironment || o.Mark.Client != c.ID || attribute(o, "site") != attribute(release, "site") {
				continue
			}
			if now, old := attribute(o, "env.COLOUR"), s.vendors.world.BuiltWith(d)["COLOUR"]; now != old {
				s.broken("I5: the update of %s failed, and its environment has the colour %q, not %q", c.ID, now, old)
			}
		}
	}
}

// stillServed: what was served and is still wished goes on being served (I5). Where somebody
// agreed to a time without a name, what redirects to it is away as long.
func (s *story) stillServed(when string) {
	for _, host := range slices.Sorted(maps.Keys(s.up)) {
		if s.serves(host) {
			continue
		}
		if !s.excused[host] && s.gaps[host] == "" && !s.cameToNothing(host) && !s.leftWithItsName(host) && !s.turnedByHand(host) && !slices.ContainsFunc(s.cut(host), func(h string) bool { return s.gaps[h] != "" }) {
			s.broken("I5: %s of %s was served, is still wished, and is down %s", host, s.up[host], when)
		}
		delete(s.up, host)
	}
}

// turnedByHand says that people who come by the name come by another one, too, that a person let redirect to nowhere
// at a side where it is bound still.
func (s *story) turnedByHand(host string) bool {
	return slices.ContainsFunc(s.vendors.world.Way(host), func(h string) bool {
		return h != host && slices.ContainsFunc(s.vendors.world.Objects(""), func(o provider.Object) bool {
			return o.Kind == state.KindDomain && attribute(o, "host") == h && attribute(o, "redirect") == byHandValue
		})
	})
}

// leftWithItsName says that DNS leads a name to the side that its client left as well, as a person forgot a record,
// and that it redirects there to one that the same commit gave up: that goes at once.
func (s *story) leftWithItsName(host string) bool {
	c := s.client(s.up[host])
	x, known := s.bySpec[c.Blob]
	return known && slices.ContainsFunc([]string{"vercel", "ploi"}, func(at string) bool {
		return at != x.host && s.ledByHand(host, addresses[at]) && slices.ContainsFunc(s.vendors.world.Objects(at), func(o provider.Object) bool {
			to := attribute(o, "redirect")
			return o.Kind == state.KindDomain && o.Mark.Client == c.ID && attribute(o, "host") == host && to != "" && !slices.Contains(x.hosts(), to)
		})
	})
}

// cameToNothing says that the name is at a client's site of which a person took away what serves: a
// write of a process that died may lead it there late, as in the middle of a swap that is not wished any more.
func (s *story) cameToNothing(host string) bool {
	return slices.ContainsFunc(s.vendors.world.Objects(""), func(o provider.Object) bool {
		return o.Kind == state.KindDomain && attribute(o, "host") == host && s.emptied[o.Mark.Client] && !s.vendors.world.Answers(attribute(o, "site"))
	})
}

// wished says that the tree asks for the host as it is served: by its owner, or by one
// other client that is there already and takes it over. A file that is refused asks for nothing:
// its client's last good one does.
func (s *story) wished(tree manifests, host string, owner state.ClientID, clients []state.Client) bool {
	good := manifests{specs: map[string]spec{}}
	known, name, had, refused := map[string]bool{}, "", false, map[string]bool{}
	for n, x := range tree.specs { // it says that it was somebody who is still there, or who never was, or went before
		_, there := tree.specs[x.previously]
		refused[n] = there || x.previously != "" && !slices.ContainsFunc(clients, func(c state.Client) bool {
			goes := !c.Removed || s.touchedBy(c, s.engine.Head()) || s.waitsForFile(c, x.path())
			return c.Name == x.previously && goes || slices.Contains(c.Former, x.previously)
		})
	}
	for _, c := range clients {
		x, back := tree.specs[c.Name]
		if was := x.previously; !c.Removed && was != "" { // who is a client already can't become another one
			refused[c.Name] = !slices.Contains(c.Former, was)
		}
		if c.Removed && back && x.reuse == "" && slices.ContainsFunc(s.resources(c.ID), func(r state.Resource) bool { return r.Ref.Kind == state.KindDatabase }) {
			refused[c.Name] = true // it has to say whether it is the same one
		}
	}
	for _, c := range clients {
		x, ok := tree.specs[c.Name]
		if c.ID == owner { // by its last good wish the name may be on its way to another one
			name, had = c.Name, slices.Contains(s.bySpec[c.Blob].claims(), host)
		}
		known[c.Name] = c.EverDeployed && !c.Removed
		if ok && (x.invalid() || refused[c.Name]) && !c.Removed {
			if x, ok = s.bySpec[c.Blob]; ok {
				good.specs[c.Name] = x
			}
		}
	}
	for n, x := range tree.specs {
		if !x.invalid() && !refused[n] {
			good.specs[n] = x
		}
	}
	who, claims := good.wishing(host), 0
	for _, x := range good.specs { // one without a site claims its names, too, and keeps them from others
		if slices.Contains(x.claims(), host) {
			claims++
		}
	}
	return slices.Contains(who, name) && (had || claims == 1) || len(who) == 1 && claims == 1 && known[who[0]] && s.getsAll(who[0], good, clients) && s.getsAll(who[0], s.unclashed(good, who[0], clients), clients)
}

// unclashed is the tree, as what one asks for is shared out after all that clashes at once, in which other clients that ask for a name which is nobody's of them, and which
// others ask for, too, are as they were: their files are refused. So are those who ask for what waits to go, or for a name that one of
// these keeps, and so on.
func (s *story) unclashed(tree manifests, but string, clients []state.Client) manifests {
	out, were := manifests{specs: maps.Clone(tree.specs)}, map[string]spec{}
	for _, c := range clients {
		if was, ok := s.bySpec[c.Blob]; ok && !c.Removed {
			were[c.Name] = was
		}
	}
	refuse := func(n string) {
		delete(out.specs, n)
		if was, ok := were[n]; ok {
			out.specs[n] = was
		}
	}
	for n, x := range tree.specs {
		if n != but && s.asksWhatWaits(n, x, clients) {
			refuse(n)
		}
		for m, y := range tree.specs {
			if n != m && n != but && m != but && slices.ContainsFunc(x.claims(), func(host string) bool {
				owner := s.names[s.up[host]]
				return owner != n && owner != m && slices.Contains(y.claims(), host)
			}) {
				refuse(n)
			}
		}
	}
	for again := true; again; {
		again = false
		for n, x := range out.specs {
			for m, y := range out.specs {
				if n != m && n != but && m != but && slices.ContainsFunc(x.claims(), func(host string) bool {
					return slices.Contains(y.claims(), host) && slices.Contains(were[m].claims(), host) && !slices.Contains(were[n].claims(), host)
				}) {
					refuse(n)
					again = true
					break
				}
			}
		}
	}
	return out
}

// getsAll says that no name that the client asks for is another one's, or another one's too, or
// that of one whose removal waits for an approval, or that another one wished, and whose removal there
// waits: else its file is refused, and takes nothing over.
func (s *story) getsAll(name string, tree manifests, clients []state.Client) bool {
	if s.asksWhatWaits(name, tree.specs[name], clients) {
		return false
	}
	for _, h := range s.holds() {
		for _, host := range tree.specs[name].claims() {
			id := s.up[host]
			for _, c := range clients { // one without a site has its name, too
				if id == "" && !c.Removed && slices.Contains(s.bySpec[c.Blob].claims(), host) {
					id = c.ID
				}
			}
			x, there := tree.specs[s.names[id]]
			if goes := !there || s.names[id] != name && !slices.Contains(x.claims(), host); h.Kind == state.HoldGuard && slices.Contains(h.Clients, id) && goes {
				return false
			}
		}
	}
	for n, x := range tree.specs {
		for _, host := range x.claims() {
			had := slices.ContainsFunc(clients, func(c state.Client) bool { return c.Name == name && s.up[host] == c.ID })
			passed := s.asksFor(n, host, clients) && !s.asksFor(name, host, clients) // and is on its way
			if n != name && (!had || passed) && slices.Contains(tree.specs[name].claims(), host) {
				return false
			}
		}
	}
	return true
}

// asksWhatWaits says that a file asks for a name of another client whose removal, of it or as a whole, waits for an approval or a
// file.
func (s *story) asksWhatWaits(name string, x spec, clients []state.Client) bool {
	for _, c := range clients {
		for _, t := range s.tombstones(c.ID) {
			host, is := strings.CutPrefix(t.Part, accept.HostPart+"/")
			goes := []string{host}
			if t.Part == "" {
				goes, is = s.bySpec[c.Blob].claims(), true
			}
			asks := func(host string) bool { return slices.Contains(x.claims(), host) }
			if is && !t.Done && (t.Held != "" || t.Waits != "") && c.Name != name && slices.ContainsFunc(goes, asks) {
				return true
			}
		}
	}
	return false
}

// asksFor says that the last good wish of a client that lives asks for the name.
func (s *story) asksFor(name, host string, clients []state.Client) bool {
	return slices.ContainsFunc(clients, func(c state.Client) bool {
		return c.Name == name && !c.Removed && slices.Contains(s.bySpec[c.Blob].claims(), host)
	})
}
