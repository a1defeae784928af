package reconcile_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/fnv"
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
	effects        atomic.Int64              // calls that a vendor carried out
	law            func()                    // a test's own, checked after every event; nil: none
	movers         bool                      // databases move; see sim_move_test.go
	namers         bool                      // names pass from client to client; see sim_names_test.go
	namedBefore    map[string]spec           // as they were before names passed on the last time
	passedOn       int                       // how often a name was seen to be another client's
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
	deaf       bool                         // DNS can't be asked
	liking     sync.Mutex                   // likes, in the middle of an event
	likes      map[string]string            // what strangers have, as it was, by id; see sim_strangers_test.go
	likeIDs    map[string]bool
	bare       bool                                 // vendors have no place for a mark on a domain or a user; see sim_rivals_test.go
	halted     map[string]map[state.ClientID]uint64 // who waits for a change of the fleet that is halted, by its fingerprint, with what each wishes
	rivalry    uint32                               // decides who is faster than we are
	data       map[string]*kept                     // databases of ours, by id
	purging    map[state.ClientID]bool              // who may lose data in this event
	losing     map[string]bool                      // and which databases, by object
	purges     map[string]time.Time                 // databases whose purge was sent and may happen soon after, by object
	clean      map[state.ClientID]bool              // settled, and nobody asked for anything since
	cleanNow   map[state.ClientID]bool              // clean when this event began
	up         map[string]state.ClientID            // hosts that were served, and by whom
	led        map[string]bool                      // hosts that a record led to
	old        map[string]version                   // what a host was served by before the update under way
	probed     map[string]version                   // what served it as sites were asked last
	halfway    map[string]halfway                   // what serves it in the middle of an update; see midway
	own        map[string]version                   // the last of those that was its owner's
	were       map[string]state.ClientID            // who had each name when the state was lost
	handed     map[string]state.ClientID            // hosts that went to another client since, and whose they are; see noteHanded
	gaps       map[string]state.ClientID            // hosts whose time without service somebody approved, until it and whose plan it was are at rest
	excused    map[string]bool                      // hosts that may go down
	secrets    []string
	owns       map[state.ClientID]string // the own secret that somebody set last
	minted     int
	inPlace    bool                    // ploi has one release at a time
	hidden     bool                    // the hosts don't give environments back
	bad        []string                // what was broken in the middle of an event
	planted    map[string]bool         // what lived before us, by id
	parallel   int                     // steps at once
	lostBefore map[state.ClientID]bool // who failed, and could not be put back: when it fails again it is, to what served before
	wasGone    map[state.ClientID]bool // who was removed, and was not active since: its names may be others' by now
	siteless   map[state.ClientID]bool // who was to have no site as passes last began
	everNamed  map[state.ClientID]bool // who answered by a name once
	gaveUp     map[string]bool         // hosts that ceased to lead to their client while it was to have none
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
	holders   holders
	overtaken map[state.ClientID]bool     // who got a newer wish while its pass runs
	opened    atomic.Int64                // transactions of the engine that may write
	begun     map[state.ClientID]bool     // of whom a step of the pass that runs has begun
	behind    map[state.ClientID]bool     // who got a newer wish since: the pass that runs is of the older one
	passing   []state.ClientID            // the group that passes, where it is one alone
	plots     bool                        // see sim_plots_test.go
	gone      map[state.Ref]bool          // steps of the passes that run, by what they are about, that began when their client was removed
	lived     map[state.Ref]bool          // those that began when it lived
	meddled   map[state.ClientID]bool     // of whom a person changed something at a vendor
	altered   map[state.ClientID]bool     // and that is there still, or may be
	emptied   map[state.ClientID]bool     // of whom a person took away what serves
	unbound   map[string]bool             // host names that a person took off a site at its host, until they serve again
	ours      map[state.ClientID][]string // names of which we took a record away
	pulls     proposals
	died      bool                    // and what is looked at now is what it left
	rested    map[state.ClientID]bool // who had come to rest before that
	besides   bool                    // something else happens beside passes
	backup    string                  // a copy of the state; "": none
	knewThen  map[state.ClientID]bool // who was on record then
	older     bool                    // a copy was put back
	namesThen map[string]bool         // and as what, of who lived

	before bool // the world is as it was when the seeds of onceRed were kept
	plain  bool // so it is when those of onceRedSince, names and hostile histories were kept: see sim_rivals_test.go
	// wordless: nobody commands by comments or stops the program, as when those that were red among rivals first were kept.
	wordless bool
	// unled: nobody leaves old records in a plot, as when the first that were red in full were kept.
	unled bool
	// brief: nobody helps a run that is thin, it ends all the same, and nothing waits at seldomPlaces, as when
	// those of late were kept.
	brief bool
	// sparse: manifests say no more than they did when those that were red with old records were kept.
	sparse bool
	rich   bool // see sim_rich_test.go

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
			s.oneMore()
		}
	} else {
		most := leastEvents + s.draws.rng.IntN(2*(meanEvents-leastEvents)+4)
		for s.events < most || s.goesOn() {
			s.draws.begin()
			s.event()
			s.oneMore()
		}
	}
	s.draws.begin()
	s.ending = true
	s.end()
}

// thin says that the run proves nothing so far.
func (s *story) thin() bool { return s.faults < leastFaults || s.effects.Load() < leastWrites }

// goesOn says that a run which would end goes on, as it is thin.
func (s *story) goesOn() bool { return s.thin() && s.events < mostEvents && s.patient() }

// patient says that people see to it that something comes of a run.
func (s *story) patient() bool { return s.laterWorld() && !s.brief }

// oneMore checks a test's own law.
func (s *story) oneMore() {
	if s.law != nil {
		s.law()
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
	s.likes = map[string]string{}
	s.likeIDs, s.data, s.clean, s.up = map[string]bool{}, map[string]*kept{}, map[state.ClientID]bool{}, map[string]state.ClientID{}
	s.excused, s.told, s.cleanNow, s.thawed = map[string]bool{}, map[string]string{}, map[state.ClientID]bool{}, map[state.ClientID]bool{}
	s.ours = map[state.ClientID][]string{}
	s.emptied = map[state.ClientID]bool{}
	s.altered = map[state.ClientID]bool{}
	s.meddled, s.unbound, s.led, s.gaps, s.old = map[state.ClientID]bool{}, map[string]bool{}, map[string]bool{}, map[string]state.ClientID{}, map[string]version{}
	s.probed, s.own, s.halfway = map[string]version{}, map[string]version{}, map[string]halfway{}
	s.handed = map[string]state.ClientID{}
	s.names = map[state.ClientID]string{}
	s.holders.last = map[state.ClientID]*holder{}
	s.letGo, s.overtaken, s.unmade = map[state.ClientID]bool{}, map[state.ClientID]bool{}, map[string]bool{}
	s.lostBefore, s.wasGone = map[state.ClientID]bool{}, map[state.ClientID]bool{}
	s.siteless, s.gaveUp, s.everNamed = map[state.ClientID]bool{}, map[string]bool{}, map[state.ClientID]bool{}
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
	s.vendorsAsTheyAre(unkind)
	guard.ReviewedOnly = s.pulls.laws.removals
	s.guard = guard
	s.paginate()
	s.takePayments()
	s.enrich()
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
	s.chaos.sent = s.sent
	s.chaos.write = func(ctx context.Context, c memory.Call) {
		if c.Moment == memory.After {
			s.effects.Add(1)
		}
		s.ledStays(c)
		s.written(ctx, c)
	}
	s.chaos.early = func(c memory.Call) { s.broken("limits: the vendor said when, and is asked before: %s", c) }
	s.chaos.comes, s.chaos.goes = s.comes, s.goes
	s.neighbourly()
	if !s.namers {
		s.lookAlikes()
	}
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
