package reconcile_test

import (
	"maps"
	"slices"
	"strings"

	"github.com/compassdigital/reconciler/internal/state"
)

func (s *story) fresh(name string) spec {
	x := spec{name: name, domain: name, colour: s.one(fleetColours, "colour"), host: "vercel", db: "railway"}
	if s.odds(4, "other domain") {
		x.domain = s.one(fleetDomains, "domain")
	}
	if s.odds(5, "no site") {
		x.host = "none"
	} else if s.odds(4, "other host") {
		x.host = "ploi"
	}
	if s.odds(6, "no database") {
		x.db = "none"
	}
	x.heals = s.odds(3, "heals")
	x.keep, x.paused, x.secret = s.odds(3, "keep"), s.odds(10, "paused"), s.odds(6, "secret")
	if s.odds(3, "alias") {
		x.aliases = []string{s.one(fleetAliases, "alias")}
	}
	if s.odds(3, "record") {
		x.records = []string{s.one(fleetRecords, "record")}
	}
	x.secret = x.secret && !s.movers // of one that fails for want of a secret nothing moves
	x.byHand = s.odds(6, "dns by hand")
	if s.odds(5, "reuse") {
		x.reuse = s.one([]string{"fresh", "retained"}, "reuse")
	}
	x.pays = s.paid.on && s.besidesN(2, "payments") > 0
	return s.enriched(x)
}

// edit is one change of the tree.
func (s *story) edit() {
	name := s.one(fleetNames, "client")
	x, there := s.tree.specs[name]
	what := s.one([]string{"add", "add", "edit", "edit", "edit", "edit", "remove", "remove", "rename", "rename", "move", "move", "break", "database", "template", "touch", "freeze", "adopt"}, "edit")
	if !there && what != "template" && what != "freeze" && what != "adopt" {
		what = "add"
	}
	switch what {
	case "add":
		if !there {
			x = s.fresh(name)
		}
	case "edit":
		switch s.one([]string{"colour", "colour", "theme", "domain", "alias", "record", "host", "paused", "keep", "secret", "mend", "dns"}, "field") {
		case "colour":
			x.colour = s.one(fleetColours, "colour")
		case "theme":
			x.theme = s.one([]string{"", "dark", "light"}, "theme")
		case "domain":
			x.domain = s.one(fleetDomains, "domain")
		case "alias":
			x.aliases = nil
			for range s.n(2, "aliases") {
				x.aliases = with(x.aliases, s.one(fleetAliases, "alias"))
			}
		case "record":
			x.records = nil
			for range s.n(2, "records") {
				x.records = with(x.records, s.one(fleetRecords, "record"))
			}
		case "host":
			x.host = s.one([]string{"vercel", "ploi", "none"}, "host")
		case "paused":
			x.paused = !x.paused
		case "keep":
			x.keep = !x.keep
		case "secret":
			x.secret = !x.secret
		case "dns":
			x.byHand = !x.byHand
		case "mend":
			x.broken, x.previously = false, ""
		}
	case "remove":
		delete(s.tree.specs, name)
		return
	case "rename":
		to := s.one(fleetNames, "to")
		if _, taken := s.tree.specs[to]; taken {
			return
		}
		delete(s.tree.specs, name)
		x.name, x.previously = to, ""
		if s.n(3, "said") > 0 {
			x.previously = name
		}
		name = to
	case "move":
		other := s.one(fleetNames, "from")
		y, ok := s.tree.specs[other]
		if !ok || other == name {
			return
		}
		if s.odds(2, "alias") && len(y.aliases) > 0 {
			x.aliases = with(slices.Clone(x.aliases), y.aliases[0])
			y.aliases = y.aliases[1:]
		} else {
			x.domain, y.domain = y.domain, x.domain
		}
		s.tree.specs[other] = y
	case "break":
		x.broken = !x.broken
	case "database":
		x.db = s.one([]string{"railway", "railway", "postgres", "none"}, "database")
	case "template":
		if s.rich && s.tree.blog != "" && s.besidesN(1, "blog") == 1 {
			s.tree.blog = []string{blogTemplate("w1"), blogTemplate("w2"), "kind: [\n"}[s.besidesN(2, "text")]
			return
		}
		s.tree.template = s.templated(s.one([]string{template, storyTemplate("v2", ""), storyTemplate("v1", "defaults: {health: {path: /up}}\n"), "kind: [\n"}, "template"))
		return
	case "adopt":
		s.adopt()
		return
	case "freeze":
		s.tree.freeze = s.freezeSome()
		return
	case "touch":
		x.note++
	}
	if s.paid.on && s.besidesN(4, "payments") == 4 {
		x.pays = !x.pays
	}
	if s.rich && s.besidesN(2, "more") == 2 {
		x = s.enriched(x)
	}
	s.tree.specs[name] = x
}

// commit writes the tree as a new head.
func (s *story) commit(rewrites bool) { s.land(rewrites, nil) }

// land writes the tree as a new head: of a pull request, or nobody's. merged are the heads
// that it merges.
func (s *story) land(rewrites bool, of *change, merged ...string) {
	tree := s.tree.clone()
	change := s.changes(s.trees[s.newest()], tree)
	head := s.repo.commit(change, merged...)
	s.heads, s.trees[head] = append(s.heads, head), tree
	if of != nil {
		s.pulls.by[head] = of
	}
	if rewrites {
		s.repo.cut(head)
	}
	s.say("commit %s rewrites=%v", head[36:], rewrites)
	s.sayFiles(change)
}

// changes are the files that differ between two trees; "" is one that is gone.
func (s *story) changes(from, to manifests) map[string]string {
	old, now, out := from.files(), to.files(), map[string]string{}
	for p, text := range now {
		if old[p] != text {
			out[p] = text
		}
	}
	for p := range old {
		if _, is := now[p]; !is {
			out[p] = ""
		}
	}
	for _, x := range to.specs {
		s.bySpec[blobOf(now[x.path()])] = x
	}
	return out
}

func (s *story) sayFiles(files map[string]string) {
	for _, p := range slices.Sorted(maps.Keys(files)) {
		text := strings.TrimPrefix(files[p], "apiVersion: reconciler/v1\nkind: Client\n")
		s.say("    %s %s", p, strings.ReplaceAll(strings.TrimSpace(text), "\n", "; "))
	}
}

// together passes several groups at once, while a commit or an approval comes in.
func (s *story) together() {
	if s.parallel == 1 {
		s.passDue(6)
		return
	}
	var ids []state.ClientID
	in := map[state.ClientID]bool{}
	for _, id := range s.due() {
		if !in[id] && len(ids) < simParallel {
			ids = append(ids, id)
			for _, other := range s.engine.Group(id) {
				in[other] = true
			}
		}
	}
	var meanwhile func()
	most := 7
	if s.pulls.on {
		most = 9
	}
	switch s.n(most, "meanwhile") {
	case 1:
		s.makeCommit()
		meanwhile = s.pollNow
	case 2:
		meanwhile = s.approveAny
	case 3:
		meanwhile = s.purge
	case 4:
		meanwhile = s.scheduledLook
	case 5:
		meanwhile = s.deliver
	case 6:
		if names := s.clientNames(); len(names) > 0 {
			name := s.one(names, "name")
			meanwhile = func() { s.ask(name, s.engine.Retry) }
		}
	case 8:
		meanwhile = func() {
			s.pulls.aside = true
			s.lookAtPulls()
			s.pulls.aside = false
		}
	case 9:
		if c := s.openOne(); c != nil {
			s.merge(c)
			meanwhile = s.pollNow
		}
	}
	if s.odds(3, "dies") {
		after := 1 + s.n(60, "after")
		if s.laterWorld() && s.hash("is stopped")%2 == 0 {
			s.chaos.wait, s.chaos.meanwhile = 1+after/6, s.stop
		} else {
			s.chaos.kill = after
		}
	}
	s.say("together: %v", ids)
	s.passAll(ids, meanwhile)
	s.chaos.kill, s.chaos.wait = 0, 0
	if !s.chaos.gone() && s.engine.Stopping() {
		s.reopen()
	}
}

// stopped is the fault point: the program is asked to end in the middle of a pass.
const stopped = "stopped in a pass"

// stop asks the program to end, and starts it once its passes have: at the next step's border. It is no crash.
func (s *story) stop() {
	if s.chaos.gone() { // it died in another pass, as this call went out
		return
	}
	s.say("is stopped")
	s.hit(stopped)
	s.engine.Stop()
	if left, _ := s.engine.Underway.Left(); len(left) > 0 {
		s.broken("P8: the program was stopped, and %v would count as who made it crash", left)
	}
}

func (s *story) makeCommit() {
	if s.hostile && s.n(2, "hostile") > 0 {
		s.hostileCommit()
		return
	}
	switch s.n(11, "kind of commit") {
	case 0:
		s.tree = s.trees[s.heads[s.n(len(s.heads)-1, "head")]].clone()
		s.say("revert")
		s.commit(false)
	case 1:
		s.tree.specs = map[string]spec{}
		s.say("empty the tree")
		s.commit(false)
	case 2:
		for range 1 + s.n(2, "edits") {
			s.edit()
		}
		s.commit(true)
	default:
		for range 1 + s.n(2, "edits") {
			s.edit()
		}
		s.commit(false)
	}
}

// hostileCommit takes away what it can, in one of the ways in which that happens.
func (s *story) hostileCommit() {
	names := s.tree.names()
	some := func() []string {
		if len(names) == 0 {
			return nil
		}
		return names[s.n(len(names)-1, "from"):]
	}
	rewrites := s.odds(4, "rewrites")
	switch s.one([]string{"remove one", "remove some", "empty", "break all", "rename", "no parts", "other names", "template", "back"}, "hostile commit") {
	case "remove one":
		if len(names) > 0 {
			delete(s.tree.specs, s.one(names, "name"))
		}
	case "remove some":
		for _, n := range some() {
			delete(s.tree.specs, n)
		}
	case "empty":
		s.tree.specs = map[string]spec{}
	case "break all":
		for _, n := range names {
			x := s.tree.specs[n]
			x.broken = true
			s.tree.specs[n] = x
		}
	case "rename": // without a word
		for _, n := range some() {
			x := s.tree.specs[n]
			to := s.one(fleetNames, "to")
			if _, taken := s.tree.specs[to]; !taken {
				delete(s.tree.specs, n)
				x.name, x.previously = to, ""
				s.tree.specs[to] = x
			}
		}
	case "no parts":
		for _, n := range some() {
			x := s.tree.specs[n]
			x.db, x.aliases, x.records = "none", nil, nil
			s.tree.specs[n] = x
		}
	case "other names":
		for _, n := range some() {
			x := s.tree.specs[n]
			x.domain, x.aliases = s.one(fleetDomains, "domain"), nil
			s.tree.specs[n] = x
		}
	case "template":
		s.tree.template = "kind: [\n"
	case "back":
		s.tree = s.trees[s.heads[s.n(len(s.heads)-1, "head")]].clone()
	}
	s.commit(rewrites)
}
