package reconcile_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/external"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/secret"
	"github.com/compassdigital/reconciler/internal/state"
)

// simParallel is how many steps of a pass run at once in some runs, and how many passes.
// The others do one after the other, and are faster.
const simParallel = 3

// simSoak is how long a replaced side serves on.
const simSoak = 10 * time.Minute

// story is one random run: an engine on a real store, vendors that misbehave, people
// that commit, approve and meddle, a process that dies. The laws are checked after every
// event, against what the vendors really have.
type story struct {
	*world
	*vendors
	draws *draws
	turns *turns
	chaos *chaos
	log   []string

	telling        sync.Mutex // log, cells and faults
	cells          map[string]int
	events, faults int
	movers         bool                      // databases move; see sim_move_test.go
	orders         map[string][]string       // rows that were taken, by client and generation
	served         map[state.ClientID]string // the client's database at the last check
	scratch        string
	hostile        bool // histories that take away what they can, and nobody who approves anything
	ending         bool // the last entry of the draws is begun
	cleanups       []func()
	looking        sync.Mutex // glasses
	glasses        glasses

	tree       manifests            // the branch
	trees      map[string]manifests // by head
	heads      []string
	queue      map[state.ClientID]time.Time // whom the daemon would pass, and when
	accepted   string                       // the head that was accepted at the last check
	approved   bool                         // a history hold was approved since the last check
	bySpec     map[string]spec              // by blob
	likes      string                       // the look-alikes, as they were
	likeIDs    map[string]bool
	data       map[string]*kept          // databases of ours, by id
	purging    map[state.ClientID]bool   // who may lose data in this event
	losing     map[string]bool           // and which databases, by object
	purges     map[string]time.Time      // databases whose purge was sent and may happen soon after, by object
	clean      map[state.ClientID]bool   // settled, and nobody asked for anything since
	cleanNow   map[state.ClientID]bool   // clean when this event began
	up         map[string]state.ClientID // hosts that were served, and by whom
	led        map[string]bool           // hosts that a record led to
	old        map[string]version        // what a host was served by before the update under way
	were       map[string]state.ClientID // who had each name when the state was lost
	handed     map[string]state.ClientID // hosts that went to another client since, and whose they are; see noteHanded
	gaps       map[string]bool           // hosts whose time without service somebody approved
	excused    map[string]bool           // hosts that may go down
	secrets    []string
	minted     int
	inPlace    bool                    // ploi has one release at a time
	hidden     bool                    // the hosts don't give environments back
	bad        []string                // what was broken in the middle of an event
	planted    map[string]bool         // what lived before us, by id
	parallel   int                     // steps at once
	lostBefore map[state.ClientID]bool // who failed, and could not be put back: when it fails again it is, to what served before
	froze      map[state.ClientID]bool // whom the pass that runs must not change
	thawed     map[state.ClientID]bool // whose changes in a freeze somebody approved; see coming
	living     int                     // clients that were not removed when the last head was accepted
	most       int                     // that the guard measured against when they were most
	told       map[string]string       // what was reported last, by subject

	guard     accept.Guard
	letGo     map[state.ClientID]bool // whose removal somebody approved
	moving    map[state.ClientID]bool // whose database somebody let move
	copied    map[string]bool         // databases that a move made beside their client's own one
	mailed    bool                    // clients are welcomed by mail
	names     map[state.ClientID]string
	unmade    map[string]bool         // losses by name: whether nothing of the client was made then
	free      map[string]bool         // losses by name that nothing held when the law of the guard looked last
	still     map[state.ClientID]bool // who is paused in the pass that runs
	overtaken map[state.ClientID]bool // who got a newer wish while its pass runs
	opened    atomic.Int64            // transactions of the engine that may write
	begun     map[state.ClientID]bool // of whom a step of the pass that runs has begun
	behind    map[state.ClientID]bool // who got a newer wish since: the pass that runs is of the older one
	passing   []state.ClientID        // the group that passes, where it is one alone
	plots     bool                    // see sim_plots_test.go
	gone      map[state.Ref]bool      // steps of the passes that run, by what they are about, that began when their client was removed
	lived     map[state.Ref]bool      // those that began when it lived
	meddled   map[state.ClientID]bool // of whom a person changed something at a vendor
	pulls     proposals
	died      bool                    // and what is looked at now is what it left
	besides   bool                    // something else happens beside passes
	backup    string                  // a copy of the state; "": none
	knewThen  map[state.ClientID]bool // who was on record then
	namesThen map[string]bool         // and as what, of who lived

	before bool // the world is as it was when the seeds of onceRed were kept
	clocks clockwork
	pages  map[string]paging // by vendor
	paid   paid
}

// retention is how long data is kept where nothing else is said.
const retention = 30 * 24 * time.Hour

// kept is a database as it must stay.
type kept struct {
	client     state.ClientID
	generation int
	rows       []string
	byHand     bool // a person deleted it
	erasing    bool // a purge of it was begun
	object     provider.Object
	purged     bool
}

// lawTB lets the world fail the run.
type lawTB struct {
	testing.TB
	s *story
}

func (l lawTB) Fatal(a ...any)                 { l.s.Fatalf("%s", fmt.Sprint(a...)) }
func (l lawTB) Fatalf(format string, a ...any) { l.s.Fatalf(format, a...) }
func (l lawTB) Helper()                        {}
func (l lawTB) Context() context.Context       { return context.Background() }
func (l lawTB) Cleanup(f func())               { l.s.cleanups = append(l.s.cleanups, f) }
func (l lawTB) TempDir() string {
	dir, err := os.MkdirTemp(memoryDisk(), "sim")
	if err != nil {
		l.s.Fatalf("%v", err)
	}
	l.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (s *story) Fatalf(format string, a ...any) {
	panic(brokenLaw(fmt.Sprintf(format, a...)))
}

// brokenLaw ends a run.
type brokenLaw string

func (s *story) say(format string, a ...any) {
	line := s.world.clock.Now().Format("02 15:04:05 ") + fmt.Sprintf(format, a...)
	s.telling.Lock()
	defer s.telling.Unlock()
	s.log = append(s.log, line)
}

// play begins a world, lets things happen, and in some runs brings it to rest.
func (s *story) play(t *testing.T) {
	s.draws.begin()
	s.start(t)
	if s.draws.rng == nil {
		for range len(s.draws.script) - 2 {
			s.draws.begin()
			s.event()
		}
	} else {
		most := leastEvents + s.draws.rng.IntN(2*(meanEvents-leastEvents)+4)
		for s.events < most {
			s.draws.begin()
			s.event()
		}
	}
	if s.faults < leastFaults {
		s.chaos.away = 100
		s.pollNow()
	}
	s.draws.begin()
	s.ending = true
	s.end()
	if s.draws.rng != nil && (s.events < leastEvents || s.faults < leastFaults) {
		s.Fatalf("no proof: %d events and %d faults", s.events, s.faults)
	}
}

// close ends what the run began.
func (s *story) close() {
	for _, f := range slices.Backward(s.cleanups) {
		f()
	}
	if s.turns != nil {
		s.turns.stop()
	}
}

// n draws a number from 0 to most. What it is for stands there for the reader.
func (s *story) n(most int, _ string) int { return s.draws.n(most) }

func (s *story) one(of []string, what string) string { return of[s.n(len(of)-1, what)] }

// hit counts a fault.
func (s *story) hit(cell string) {
	s.telling.Lock()
	defer s.telling.Unlock()
	s.cells[cell]++
	s.faults++
}

// memoryDisk is a folder that is kept in memory, where there is one.
func memoryDisk() string {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return ""
}

func (s *story) odds(in int, what string) bool { return s.n(in-1, what) == in-1 }

// start begins a world.
func (s *story) start(t *testing.T) {
	s.trees, s.queue, s.bySpec = map[string]manifests{}, map[state.ClientID]time.Time{}, map[string]spec{}
	s.likeIDs, s.data, s.clean, s.up = map[string]bool{}, map[string]*kept{}, map[state.ClientID]bool{}, map[string]state.ClientID{}
	s.excused, s.told, s.cleanNow, s.thawed = map[string]bool{}, map[string]string{}, map[state.ClientID]bool{}, map[state.ClientID]bool{}
	s.meddled, s.led, s.gaps, s.old = map[state.ClientID]bool{}, map[string]bool{}, map[string]bool{}, map[string]version{}
	s.handed = map[string]state.ClientID{}
	s.names = map[state.ClientID]string{}
	s.letGo, s.overtaken, s.unmade = map[state.ClientID]bool{}, map[state.ClientID]bool{}, map[string]bool{}
	s.lostBefore = map[state.ClientID]bool{}
	s.moving, s.copied = map[state.ClientID]bool{}, map[string]bool{}
	s.orders, s.served = map[string][]string{}, map[state.ClientID]string{}
	if s.movers {
		s.scratch = lawTB{t, s}.TempDir()
	}
	s.tree = manifests{specs: map[string]spec{}, template: s.templated(template)}
	s.chaos = &chaos{hit: s.hit, seen: map[string]int{}, until: map[string]time.Time{}, lag: map[string]time.Duration{}, given: map[string][]string{}, cancel: func() {}}
	s.turns = newTurns(s.chaos.turn)
	s.chaos.turns = s.turns
	s.turns.yield("main")
	s.turns.set(true)
	s.vendors = &vendors{faults: &memory.Faults{}}
	unkind := map[string]func(state.Kind, *provider.Traits){}
	for _, name := range hosts {
		unkind[name] = func(state.Kind, *provider.Traits) {}
		switch s.n(3, "unkind "+name) {
		case 2:
			s.chaos.lag[name] = 20 * time.Second
		case 3:
			s.chaos.lag[name] = 3 * time.Minute
		}
		if lag := s.chaos.lag[name]; lag > 0 {
			unkind[name] = memory.Unkind(lag)
		}
	}
	guard := accept.Guard{MaxDeletes: 100, MaxDeletePercent: 100, MaxChanged: 25, MaxCreates: 100}
	if s.odds(2, "guarded") || s.hostile {
		guard = accept.Guard{MaxDeletes: 1 + s.n(2, "maxDeletes"), MaxDeletePercent: []int{100, 50}[s.n(1, "maxDeletePercent")], MaxChanged: 1 + s.n(2, "maxChanged"), MaxCreates: 2 + s.n(3, "maxCreates"),
			RemoveAfter: time.Duration(s.n(1, "removeAfter")) * time.Hour}
	}
	s.propose()
	s.plotted()
	guard.ReviewedOnly = s.pulls.laws.removals
	s.guard = guard
	s.paginate()
	s.takePayments()
	s.inPlace = s.odds(3, "deploys in place")
	late, hidden := s.odds(3, "late deletes"), s.odds(3, "write-only values")
	s.hidden = hidden
	s.parallel = 1
	if s.odds(3, "side by side") {
		s.parallel = simParallel
		s.turns.set(false)
	}
	s.mailed = s.odds(3, "mail")
	known := &secret.Redactor{}
	work := memoryOfWork{s.chaos, map[state.ClientID]bool{}}
	s.world = &world{}
	s.world = newWorldOver(lawTB{t, s}, func(w *world) {
		s.world = w
		w.key = strings.Repeat("5eed", 16)
		began := w.clock.Real()
		s.vendors.clock, s.chaos.now, s.chaos.late = w.clock, w.clock.Now, w.clock.add
		w.unfit = s.chaos.probe
		w.change = func(e *reconcile.Engine) {
			e.Guard = guard
			e.Store = counted{mortal{w.store, s.chaos}, &s.opened}
			e.Runner.Store, e.Runner.Parallel = e.Store, s.parallel
			e.Runner.Scratch = s.scratch
			e.Runner.Elapsed = func() time.Duration { return w.clock.Real().Sub(began) }
			if s.mailed {
				e.Mail = "resend"
			}
			e.Soak = simSoak
			e.At = s.atPoint
			e.Repo = remote{w.repo, s.chaos}
			s.reviewWith(e)
			e.Underway, e.Redact = work, known.Redact
			e.Runner.At = s.chaos.at
			e.Runner.Emit = func(ev apply.Event) {
				if ev.State == "running" {
					s.newestWins(ev.Step)
					s.begins(ev.Step)
					s.chaos.asksAnew()
					s.shownBefore(ev.Step)
					s.turns.yield("step " + ev.Step.Key())
				}
				e.Progress(ev)
			}
			e.Runner.Conceal = known.Add
			e.Runner.NewSecret = func() (state.Secret, error) {
				s.minted++
				sum := sha256.Sum256([]byte(fmt.Sprint("secret ", s.minted)))
				x := state.NewSecret(hex.EncodeToString(sum[:]))
				s.secrets = append(s.secrets, x.Reveal())
				return x, nil
			}
		}
	}, func(c *clock) []provider.Provider {
		s.vendors.world = memory.NewWorld(c.Real)
		s.chaos.world = s.vendors.world
		open := func(name string, kinds map[state.Kind]provider.Traits) provider.Provider {
			o := memory.Options{Name: name, World: s.vendors.world, Kinds: memory.Change(kinds, unkind[name]), Fault: s.chaos.hook, Sleep: c.Sleep, Local: c.Now, Build: s.chaos.build, LateDeletes: late,
				Page: s.pages[name].size, NewestFirst: s.pages[name].newest}
			if name == "ploi" {
				o.Address = addresses[name]
				o.Kinds = memory.Change(o.Kinds, func(k state.Kind, t *provider.Traits) {
					t.Promotable = t.Promotable && !s.inPlace
					t.AfterDNS = k == state.KindDomain
				})
			}
			if hidden {
				o.WriteOnly = map[state.Kind][]string{state.KindEnvironment: {"env.*"}, state.KindAdmin: {"password"}}
			}
			p := provider.Provider(memory.New(o))
			if s.parallel > 1 { // else it is not the seed that says who of those who look at once comes first
				p = provider.Heed(p, c.Now)
			}
			return provider.Conceal(p, known)
		}
		unkind["resend"] = func(state.Kind, *provider.Traits) {}
		s.budgets()
		unkind[stripe] = memory.Unkind(time.Minute)
		return append(append(external.Providers(external.Options{Now: c.Now, Lookup: s.lookup}), s.keeper(open)...),
			open("railway", s.databases()), open("postgres", s.databases()), open("vercel", memory.Hosting()),
			open("ploi", memory.Hosting()), open("cloudflare", memory.DNS()), open("resend", memory.Mail()))
	})
	begun := s.tree.clone()
	begun.template = template
	s.trees[s.repo.order[0]], s.heads = begun, []string{s.repo.order[0]}
	s.chaos.write, s.chaos.sent = s.written, s.sent
	s.chaos.early = func(c memory.Call) { s.broken("limits: the vendor said when, and is asked before: %s", c) }
	s.neighbourly()
	s.lookAlikes()
	s.plant()
	if s.odds(2, "weather from the start") {
		s.weather()
	}
	s.lieInWait()
	s.wind()
	first := s.n(3, "first clients")
	if s.hostile {
		first = len(fleetNames)
	}
	for _, n := range fleetNames[:first] {
		s.tree.specs[n] = s.fresh(n)
	}
	s.commit(false)
	if s.odds(2, "at work") || s.hostile {
		s.begin()
		s.pollNow()
		if s.hostile {
			s.approveAny() // the first start
		}
		s.passDue(10)
		s.finish()
	}
}

// addresses are those of the hosts' sites: a record tells by it where a name leads.
var addresses = map[string]string{"vercel": "203.0.113.7", "ploi": "203.0.113.8"}

// budgets lets vendors take only so many calls a minute, in some of the runs in which they
// are heeded. What was drawn so far decides, so that no run draws more for it.
func (s *story) budgets() {
	for i, name := range hosts {
		h := fnv.New32a()
		_, _ = fmt.Fprint(h, i, s.draws.made[0])
		if n := int(h.Sum32() % 90); s.parallel > 1 && n < 60 && s.pages[name].size == 0 {
			s.vendors.world.Limit(name, memory.Limit{Calls: leastBudget + n, Per: time.Minute})
		}
	}
}

// leastBudget is what a vendor takes at least: a client is looked at as a whole before it is
// changed.
const leastBudget = 15

// hosts are the vendors that misbehave.
var hosts = []string{"railway", "postgres", "vercel", "ploi", "cloudflare"}

// lookAlikes are there from the start: objects named as ours will be, without a mark or
// with another installation's.
func (s *story) lookAlikes() {
	marks := []provider.Mark{{}, {Installation: "ffff0000", Client: "a-000001", Generation: 1}}
	seed := func(owner string, o provider.Object) {
		o.Mark = marks[s.n(1, "marked")]
		if o.Kind == state.KindSite {
			o.Outputs = []provider.Output{{Name: "url", Text: "https://elsewhere.example"}, {Name: "address", Text: addresses[owner]}, {Name: "host", Text: "elsewhere.example"}}
		}
		id := s.vendors.world.Seed(owner, o)
		s.likeIDs[id] = true
		s.say("look-alike %s %s %q mark %v", owner, o.Kind, o.Name, o.Mark)
	}
	text := func(pairs ...string) []provider.Input {
		var out []provider.Input
		for i := 0; i < len(pairs); i += 2 {
			out = append(out, provider.Input{Name: pairs[i], Text: pairs[i+1]})
		}
		return out
	}
	if s.odds(4, "look-alike site") {
		seed("vercel", provider.Object{Kind: state.KindSite, Name: "b-000002-abcd1234", Attributes: text("label", "b")})
	}
	if s.odds(4, "look-alike database") {
		seed("railway", provider.Object{Kind: state.KindDatabase, Name: "a-000001-abcd1234", Attributes: text("access", "public")})
	}
	if s.odds(6, "look-alike site elsewhere") {
		seed("ploi", provider.Object{Kind: state.KindSite, Name: "c-000003-abcd1234", Attributes: text("label", "c")})
	}
	if s.odds(6, "look-alike database elsewhere") {
		seed("postgres", provider.Object{Kind: state.KindDatabase, Name: "b-000002-abcd1234", Attributes: text("access", "public")})
	}
	if s.odds(4, "look-alike record") {
		seed("cloudflare", provider.Object{Kind: state.KindRecord, Name: "A b.agency.example", Attributes: text("type", "A", "name", "b.agency.example", "content", "198.51.100.1", "ttl", "300")})
	}
	if s.odds(4, "equal record") {
		seed("cloudflare", provider.Object{Kind: state.KindRecord, Name: "A c.agency.example", Attributes: text("type", "A", "name", "c.agency.example", "content", "203.0.113.7", "ttl", "300")})
	}
	if s.odds(4, "look-alike text") {
		seed("cloudflare", provider.Object{Kind: state.KindRecord, Name: "TXT note.a.agency.example", Attributes: text("type", "TXT", "name", "note.a.agency.example", "content", "mine", "ttl", "300")})
	}
	if s.odds(4, "look-alike domain") {
		seed("vercel", provider.Object{Kind: state.KindDomain, Name: "www.b.example", Attributes: text("host", "www.b.example", "site", "another")})
	}
	s.likes = s.likeShot()
}

func (s *story) likeShot() string {
	return s.vendors.world.Snapshot(func(o provider.Object) bool { return s.likeIDs[o.ID] })
}

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
	return x
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
	for n, x := range to.specs {
		s.bySpec[blobOf(now["clients/"+n+".yaml"])] = x
	}
	return out
}

func (s *story) sayFiles(files map[string]string) {
	for _, p := range slices.Sorted(maps.Keys(files)) {
		text := strings.TrimPrefix(files[p], "apiVersion: reconciler/v1\nkind: Client\n")
		s.say("    %s %s", p, strings.ReplaceAll(strings.TrimSpace(text), "\n", "; "))
	}
}

// event is one thing that happens.
func (s *story) event() {
	w := []string{"commit", "commit", "commit", "poll", "pass", "pass", "pass", "all", "all", "together", "together", "any", "approve", "retry", "pause", "secret", "purge", "erase", "report", "back up", "time", "time", "weather", "weather", "outage", "hand", "hand", "person", "person", "restart", "kill", "kill", "ambush", "ambush", "ambush", "die at it", "observe", "overtake", "overtake"}
	if s.hostile {
		w = []string{"commit", "commit", "commit", "poll", "all", "all", "all", "together", "time", "time", "weather", "outage", "restart", "kill", "overtake", "purge", "report"}
	}
	if s.movers {
		w = []string{"commit", "data", "data", "data", "data", "data", "data", "all", "all", "together", "any", "approve", "retry", "pause", "secret", "purge", "time", "time", "weather", "outage", "hand", "restart", "kill", "kill", "die at it", "observe", "overtake", "overtake"}
	}
	if s.pulls.on {
		w = append(w, "pull", "pull", "pull", "pull", "pull", "pull", "pull", "pull", "pull", "pull")
	}
	if s.plots {
		w = append(w, "plot", "plot", "plot", "plot", "plot", "plot")
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
			s.ask(s.one(names, "name"), s.engine.Retry)
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
			s.setByHand(all[s.n(len(all)-1, "asked")])
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
		s.deliver()
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
		meanwhile = s.lookAtPulls
	case 9:
		if c := s.openOne(); c != nil {
			s.merge(c)
			meanwhile = s.pollNow
		}
	}
	if s.odds(3, "dies") {
		s.chaos.kill = 1 + s.n(60, "after")
	}
	s.say("together: %v", ids)
	s.passAll(ids, meanwhile)
	s.chaos.kill = 0
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
	s.meddled[o.Mark.Client] = true
	if takes {
		s.say("by hand: delete %s %s", o.Kind, o.ID)
		if k := s.data[o.ID]; k != nil {
			k.byHand = true
			// Nobody knew of one whose create had no outcome yet, and nothing used it.
			k.purged = !slices.ContainsFunc(s.resources(k.client), func(r state.Resource) bool { return r.ID == o.ID })
		}
		s.vendors.world.Remove(o.ID)
		for host, id := range s.up { // one that another client has just now may come back to where this is missing
			if id == o.Mark.Client && (o.Kind == state.KindSite || o.Kind == state.KindDeployment || o.Kind == state.KindTraffic) {
				delete(s.up, host)
			}
		}
	} else {
		attribute := map[state.Kind]string{state.KindRecord: "ttl", state.KindSite: "label", state.KindEnvironment: "env.COLOUR", state.KindDomain: "redirect", state.KindDatabase: "access"}[o.Kind]
		if attribute == "" || s.hidden && o.Kind == state.KindEnvironment {
			return
		}
		s.say("by hand: %s of %s %s", attribute, o.Kind, o.ID)
		s.vendors.world.Set(o.ID, attribute, "59")
	}
	s.tookDown()
}

// tookDown forgets the hosts that a person took down.
func (s *story) tookDown() {
	for host := range s.up {
		if !s.serves(host) {
			delete(s.up, host)
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
			due = due || r.Retained() && !r.PurgeAfter.IsZero() && !now.Before(r.PurgeAfter) && !now.Before(r.RetainedAt.Add(retention))
		}
		if due {
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

func (s *story) erase(name string) {
	s.say("purge %s", name)
	for _, c := range s.clients() {
		if c.Name == name && c.Removed {
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
	s.approveOne(o.Holds[s.n(len(o.Holds)-1, "hold")])
}

func (s *story) approveOne(h state.Hold) {
	s.say("approve %s %s %s: %s", h.Kind, h.Fingerprint, h.Client, h.Reason)
	s.approved = s.approved || h.Kind == state.HoldHistory
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
					s.gaps[host] = true
				}
			}
			for _, step := range h.Steps {
				if _, host, ok := strings.Cut(step, "/A "); ok {
					s.gaps[host] = true
				}
			}
		}
	}
	ids, err := s.engine.Approve(s.ctx(), h.Fingerprint, "dana")
	s.fine(err)
	s.wants(ids...)
	s.noticed()
}

func (s *story) later(d time.Duration) {
	s.say("%s later", d)
	s.world.clock.add(d)
}

func (s *story) ctx() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	s.chaos.cancel = cancel
	return ctx
}

// fine notes an error that may be: faults, the death of the process, refusals.
func (s *story) fine(err error) {
	if err == nil {
		return
	}
	s.say("    error: %v", err)
	s.leaks("an error", err.Error())
}

func (s *story) wants(ids ...state.ClientID) {
	for _, id := range ids {
		s.queue[id] = s.world.clock.Now()
	}
}

func (s *story) pollNow() {
	s.mayChange()
	ids, err := s.engine.Poll(s.ctx())
	if len(ids) > 0 {
		s.say("poll: %v", ids)
	}
	s.fine(err)
	s.wants(ids...)
	s.noticed()
}

// due are the clients that the daemon would pass now, sorted.
func (s *story) due() []state.ClientID {
	var out []state.ClientID
	now := s.world.clock.Now()
	for id, at := range s.queue {
		if !at.After(now) {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

func (s *story) passDue(most int) {
	for range most {
		ids := s.due()
		if len(ids) == 0 || s.chaos.gone() {
			return
		}
		s.passOne(ids[0])
		s.middle()
	}
}

// passOne does what the daemon does with one client.
func (s *story) passOne(id state.ClientID) { s.passAll([]state.ClientID{id}, nil) }

// passAll passes clients of different groups at once, as the daemon's workers do, while
// something else happens.
func (s *story) passAll(ids []state.ClientID, meanwhile func()) {
	s.froze, s.still, s.overtaken, s.gone = map[state.ClientID]bool{}, map[state.ClientID]bool{}, map[state.ClientID]bool{}, map[state.Ref]bool{}
	s.lived = map[state.Ref]bool{}
	s.begun, s.behind, s.passing = map[state.ClientID]bool{}, map[state.ClientID]bool{}, nil
	defer func() { s.froze, s.still, s.overtaken = nil, nil, map[state.ClientID]bool{} }()
	for _, id := range ids {
		for _, other := range s.engine.Group(id) {
			delete(s.queue, other)
		}
		maps.Copy(s.froze, s.frozen(s.engine.Group(id)))
		maps.Copy(s.still, s.pausedOf(s.engine.Group(id)))
	}
	s.jumpWithin()
	type ended struct {
		d   reconcile.Done
		err error
	}
	ends := make([]ended, len(ids))
	s.noteOld()
	ctx := s.ctx()
	if len(ids) == 1 && meanwhile == nil {
		s.passing = s.engine.Group(ids[0])
		ends[0].d, ends[0].err = s.engine.Pass(ctx, ids[0], reconcile.CauseCommit)
	} else {
		var wg sync.WaitGroup
		for i, id := range ids {
			wg.Go(func() {
				s.turns.yield("pass " + string(id))
				ends[i].d, ends[i].err = s.engine.Pass(ctx, id, reconcile.CauseCommit)
			})
		}
		if meanwhile != nil {
			s.besides = true
			wg.Go(func() {
				s.turns.yield("meanwhile")
				meanwhile()
			})
		}
		wg.Wait()
		s.besides = false
	}
	if len(s.overtaken) == 0 && meanwhile == nil && !s.chaos.gone() {
		s.stillOld(ids)
	}
	if !s.chaos.gone() {
		s.notAtRest()
	}
	for i, id := range ids {
		s.passed(id, ends[i].d, ends[i].err)
	}
}

// passed does what the daemon does with the end of a pass.
func (s *story) passed(id state.ClientID, d reconcile.Done, err error) {
	s.say("pass %s: %+v", id, d)
	if s.chaos.gone() {
		return
	}
	if err != nil {
		s.fine(err)
		s.queue[id] = s.world.clock.Now().Add(30 * time.Second)
		return
	}
	s.wants(d.Also...)
	for _, other := range d.Clients {
		// What an error of ours cut off is looked at as a whole, and so is who has to come to rest anew (the
		// record that its name led there by went with another client).
		if c := s.client(other); c.LookWanted || c.Attempts > 0 || !c.Settled {
			s.cleanNow[other] = false
		}
	}
	s.noticed()
	s.reviewed()
	if d.Recheck && s.engine.RecheckWanted() {
		s.pollNow()
	}
	switch {
	case d.Again:
		s.wants(d.Clients...)
	case !d.At.IsZero():
		for _, c := range d.Clients {
			if _, due := s.queue[c]; !due {
				s.queue[c] = d.At
			}
		}
	}
	for _, t := range s.tombstones(id) {
		s.say("    removal of %q by %s held=%q waits=%q until=%s done=%v", t.Part, t.Commit[36:], t.Held, t.Waits, t.NotUntil.Format("02 15:04"), t.Done)
	}
	for _, c := range s.clients() {
		if c.ID == id {
			s.say("    %s %s settled=%v retry=%s: %s", c.Name, c.Status, c.Settled, c.RetryAt.Format("02 15:04:05"), c.Because)
		}
	}
}

// reopen is a start of the program: all that it knows is in the store.
func (s *story) reopen() {
	s.chaos.dead, s.chaos.kill = false, 0
	defer func(full int) { s.chaos.full = full }(s.chaos.full)
	s.chaos.full = 0 // a start that finds no room says so, and ends
	s.queue = map[state.ClientID]time.Time{}
	for _, d := range s.restart() {
		s.queue[d.Client] = d.At
	}
}

func (s *story) deliver() {
	err := s.engine.Deliver(s.ctx(), func(_ context.Context, r state.Report) error {
		if s.odds(5, "refused") {
			s.hit("report refused")
			return errors.New("the forge is down")
		}
		s.hears(r)
		if s.odds(8, "answer lost") {
			s.hit("report taken, and the answer lost")
			return errors.New("the forge's answer was lost")
		}
		return nil
	})
	s.fine(err)
}
