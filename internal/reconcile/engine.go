package reconcile

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// Repository is where wishes come from. What it cannot read is an error, never an
// absence.
type Repository interface {
	// Poll returns the head of the tracked branch and writes nothing.
	Poll(ctx context.Context) (head string, err error)
	// Range brings the head here and says what lies between from and it; from ""
	// means everything.
	Range(ctx context.Context, from, head string) (Range, error)
	// Tree returns every manifest, template and the platform file at a revision.
	Tree(ctx context.Context, rev string) (commit string, files []accept.File, err error)
	// Read returns one file's content by its blob. What of the file itself keeps it from
	// being read (a link, too large, not there) stands in its Err, and is judged with it.
	// An error is of the moment: nothing may be concluded from it.
	Read(ctx context.Context, path, blob string) (accept.File, error)
}

// Range is what lies between two heads.
type Range struct {
	Root     string
	Descends bool
	Empty    bool // no manifest in the whole tree
	Whole    bool // Changes lists every file of the head: there was nothing to compare with
	// Odd are paths that are there and can't be read as files, with why.
	Odd     map[string]string
	Commits []accept.Commit
	Changes []accept.Change
}

// Config is what wiring knows about the installation.
type Config struct {
	Repository, Branch, Path string // URL without credentials, branch, folder of the manifests
	Defaults                 manifest.Defaults
	Guard                    accept.Guard
	Point                    map[string]string // hosting provider → A | CNAME
	Mail                     string            // provider of mail, "" for none
	Program                  string            // version
	Keep                     int               // releases kept beside the serving one
	Soak                     time.Duration     // see plan.Input
	PublicURL                func(host string) string
	// Here is where a browser finds what is at a public address, for what people see; nil:
	// there.
	Here func(url string) string
}

// Engine does the passes. Fields are set by wiring; none is changed after Start.
type Engine struct {
	Config
	Store      store.Store
	Repo       Repository
	Runner     *apply.Runner
	Providers  []provider.Provider // all that are configured
	Configured func(name string, kind state.Kind) bool
	// Check probes a site once: base URL, host name to ask for, what is expected.
	Check func(ctx context.Context, url string, h manifest.Health) error
	// ResolveRef says which commit a branch, tag or commit of a source repository means
	// now; nil: refs go to the providers as they are. An error that has a method Lasting is a
	// problem of the client when that says so; any other one is of the moment.
	ResolveRef func(ctx context.Context, repository, ref string) (commit string, err error)
	// NewID returns 6 random hex digits.
	NewID  func() (string, error)
	Now    func() time.Time
	Jitter func(time.Duration) time.Duration
	Emit   func(apply.Event) // progress, for whoever watches; nil: nobody
	At     func(Point)       // nil outside tests
	// Underway outlives a crash of the process; nil: nobody is blamed for one.
	Underway Underway
	// OnPanic is told of an error in this program that cost a client its pass; nil: nobody
	// asks. Redact takes out of its words what must not be told; nil: nothing.
	OnPanic func(*apply.Panicked)
	Redact  func(string) string
	// Notices are what an overview says about the installation itself; nil: nothing.
	Notices func() []string
	// Sources are where secrets are kept beside the state; nil: nowhere.
	Sources SecretSources

	accepting gate                     // one head is judged at a time: from reading the baseline to writing the next
	clients   store.Memo[state.Client] // for judging a head; with accepting held
	claims    store.Memo[state.Claim]
	pulls     store.Memo[state.Pull]
	again     bool // the accepted head is judged once more, and a newer one that is held stays so; with accepting held

	timing gate // held while it is found out whether the clock was set, and what is recorded is prepared for it

	whoHas  sync.Mutex              // held while somebody looks for who else has an object
	namers  store.Memo[store.Namer] // with whoHas held
	holders store.Memo[store.Holder]

	showing sync.Mutex // held by one overview at a time
	shown   map[state.ClientID]*shown

	mu         sync.Mutex
	baseline   *state.Baseline
	wishes     *accept.Resolver                    // the baseline's templates, platform file and defaults, decoded
	seq        map[state.ClientID]uint64           // newest accepted wish: what supersedes
	partners   map[state.ClientID][]state.ClientID // clients joined by a name that moves
	joined     int                                 // how often a head joined clients
	logs       map[string][]state.LogLine          // progress that is not written yet, by deployment
	stats      Stats
	stopping   bool
	atWork     map[state.ClientID]chan struct{} // closed when whoever works on the client leaves it
	refused    string                           // head that is held as a whole: asked for again only when it moves or is approved
	refusedHas map[string]bool                  // of whom it has another file; nil: no head is held
	read       map[state.ClientID]readWish      // wishes that were accepted and have not passed yet
	told       atomic.Bool                      // reports may wait in the outbox
	delivering sync.Mutex                       // held while the outbox is handed to the sink
	retell     atomic.Bool                      // whoever is told is back after an outage
	turns      turns
	crashy     map[state.ClientID]bool // who has crashes or panics on record and is not quarantined
	marking    sync.Mutex              // held while marks of who is under way change
	marks      map[state.ClientID]bool // made by this process, with marking held: passes, and work beside them
	restored   bool                    // the state is an older copy: see restored.go
	restoredAt time.Time
	comparing  string           // what its comparison with the providers waits for, as it was told last
	asked      bool             // whether the state is behind what the providers show was asked since the start: see behind.go
	recheck    bool             // the accepted head is to be judged once more: what was invalid may be valid now
	wanted     int              // how often somebody asked for that
	judging    int              // how often, when the head that is judged was read
	judged     time.Time        // when a head was judged last
	looked     time.Time        // when this process read the branch last, and accepted what it has; zero: not yet
	latest     time.Time        // that the clock showed: see clock.go
	seen       timeSeen         // by this process
	awake      []state.ClientID // due as the clock was set back, or by a pass that no queue asked for, and nobody said so yet
	backs      int              // how often this process found it set back
	refreshing refreshing
}

// readWish is an effective manifest with the versions that it was read from.
type readWish struct {
	blob, template, platform string
	effective                manifest.Effective
}

// effective is what a client's accepted manifest asks for: as it was read when it was
// accepted, else read anew.
func (e *Engine) effective(c state.Client) (manifest.Effective, manifest.Problems) {
	wishes, _ := e.resolver()
	e.mu.Lock()
	r, ok := e.read[c.ID]
	e.mu.Unlock()
	if ok && r.blob == c.Blob && r.template == c.TemplateBlob && r.platform == c.PlatformBlob {
		return r.effective, nil
	}
	e.count(func(s *Stats) { s.Parses++ })
	return wishes.Client(c)
}

// forget drops the wish that was kept for a pass.
func (e *Engine) forget(id state.ClientID) {
	e.mu.Lock()
	delete(e.read, id)
	e.mu.Unlock()
}

// Stats count what a cycle costs.
type Stats struct {
	Parses int // manifests, templates and platform files decoded
	Plans  int // groups planned
	Passes int
}

// Stats returns the counters so far.
func (e *Engine) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stats
}

func (e *Engine) count(f func(*Stats)) {
	e.mu.Lock()
	f(&e.stats)
	e.mu.Unlock()
}

// Installation returns who this state is, making it up on a state that is new.
func Installation(s store.Store, newID func() (string, error), now time.Time) (state.Installation, error) {
	var in state.Installation
	err := s.View(func(tx store.Tx) (err error) {
		in, _, err = store.Installation(tx)
		return err
	})
	if err != nil || in.ID != "" {
		return in, err
	}
	id, err := newID()
	if err != nil {
		return in, fmt.Errorf("make an installation id: %w", err)
	}
	in = state.Installation{ID: id, CreatedAt: now.UTC(), Epoch: 1}
	return in, s.Update(func(tx store.Tx) error { return store.PutInstallation(tx, in) })
}

// Due is a client that needs a pass: now (zero), or at a time.
type Due struct {
	Client state.ClientID
	At     time.Time
}

// Start reads what is held in memory and returns the clients that have something to
// do. It is called once, before anything else.
func (e *Engine) Start() ([]Due, error) {
	var clients []state.Client
	var claims []state.Claim
	var base state.Baseline
	var ok, old bool
	var since, latest time.Time
	var cut map[state.ClientID]bool
	err := e.Store.View(func(tx store.Tx) (err error) {
		if since, old, err = store.Restored(tx); err != nil {
			return err
		}
		if clients, err = store.Clients(tx); err != nil {
			return err
		}
		if cut, err = cutOff(tx, clients); err != nil {
			return err
		}
		if claims, err = store.Claims(tx); err != nil {
			return err
		}
		if latest, err = latestOf(tx, clients); err != nil {
			return err
		}
		base, ok, err = store.Baseline(tx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	e.mu.Lock()
	e.latest, e.seen, e.awake = latest, timeSeen{}, nil
	e.read = map[state.ClientID]readWish{}
	e.seq, e.logs = map[state.ClientID]uint64{}, map[string][]state.LogLine{}
	for _, c := range clients {
		e.seq[c.ID] = c.Seq
	}
	if ok {
		e.setBaseline(base)
	}
	e.setPartners(claims)
	e.told.Store(true)
	e.restored, e.restoredAt = old, since
	e.recheck = true // templates, defaults or this program may be others than at the last stop
	e.mu.Unlock()
	woken, err := e.keepTime()
	if err == nil {
		clients, err = e.suspects(clients)
	}
	if err == nil {
		why := diedIn
		if old {
			why = copiedIn
		}
		_, err = e.endLeft(clients, why)
	}
	if err == nil && !old {
		err = e.welcomed(clients)
	}
	if err == nil && !old {
		err = e.upgraded(clients)
	}
	if err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	var due []Due
	for _, c := range clients {
		switch {
		case c.Crashes > 0 && c.Quarantined.IsZero(): // whether it was the one is found out now
			due = append(due, Due{Client: c.ID})
		case slices.Contains(woken, c.ID):
			due = append(due, Due{Client: c.ID})
		case !c.RetryAt.IsZero():
			due = append(due, Due{c.ID, c.RetryAt})
		case !c.Settled, cut[c.ID], c.Unplanned: // what one lacked, the configuration may have by now
			due = append(due, Due{Client: c.ID})
		}
	}
	return due, nil
}

// cutOff are the clients that were at rest while their data was being erased, when the
// process died: an intent is open that nobody would look into before the next purge, or
// nothing is left of a removed client, and it is not forgotten.
func cutOff(tx store.Tx, clients []state.Client) (map[state.ClientID]bool, error) {
	out := map[state.ClientID]bool{}
	open, err := store.Intents(tx, "")
	if err != nil {
		return nil, err
	}
	for _, i := range open {
		if i.Parked == "" { // else a person decides
			out[i.Ref.Client] = true
		}
	}
	for _, c := range clients {
		if !c.Removed {
			continue
		}
		have, err := store.Resources(tx, c.ID)
		if err != nil {
			return nil, err
		}
		if len(have) == 0 {
			out[c.ID] = true
		}
	}
	return out, nil
}

// setBaseline is called with mu held.
func (e *Engine) setBaseline(b state.Baseline) {
	e.baseline = &b
	e.wishes = accept.NewResolver(&b, e.Program)
	e.stats.Parses += len(b.Templates) + len(b.Kept)
	if b.Platform != nil {
		e.stats.Parses++
	}
}

// setPartners is called with mu held. Claims that have come from somebody join the
// two until the name has moved, with the records beside it.
func (e *Engine) setPartners(claims []state.Claim) {
	e.partners = map[state.ClientID][]state.ClientID{}
	e.addPartners(claims)
}

// addPartners joins those who have a name with those who get it; where nobody does any more, with
// each other.
func (e *Engine) addPartners(claims []state.Claim) {
	for _, c := range claims {
		if !c.Joins() {
			continue
		}
		to, all := c.Client, c.From
		if to == "" {
			to, all = all[0], all[1:]
		}
		for _, from := range all {
			e.partners[to] = append(e.partners[to], from)
			e.partners[from] = append(e.partners[from], to)
		}
	}
}

// Group returns who must pass together with the client, itself included, sorted.
func (e *Engine) Group(id state.ClientID) []state.ClientID {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.group(id)
}

func (e *Engine) group(id state.ClientID) []state.ClientID {
	in := map[state.ClientID]bool{id: true}
	todo := []state.ClientID{id}
	for len(todo) > 0 && len(in) < maxGroup {
		next := todo[0]
		todo = todo[1:]
		for _, p := range e.partners[next] {
			if !in[p] {
				in[p] = true
				todo = append(todo, p)
			}
		}
	}
	return sortedIDs(in)
}

// enter makes the caller the only one that works on these clients, until it calls leave.
// The queue lets one pass a group run; this keeps a purge and a pass apart.
func (e *Engine) enter(ctx context.Context, ids []state.ClientID) (leave func(), err error) {
	for {
		leave, other := e.tryEnter(ids)
		if other == nil {
			return leave, nil
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-other:
		}
	}
}

// tryEnter is enter without waiting: other is closed when somebody else leaves.
func (e *Engine) tryEnter(ids []state.ClientID) (leave func(), other <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, id := range ids {
		if busy := e.atWork[id]; busy != nil {
			return nil, busy
		}
	}
	if e.atWork == nil {
		e.atWork = map[state.ClientID]chan struct{}{}
	}
	mine := make(chan struct{})
	for _, id := range ids {
		e.atWork[id] = mine
	}
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		for _, id := range ids {
			delete(e.atWork, id)
		}
		close(mine)
	}, nil
}

// Head is the last accepted head, "" before the first.
func (e *Engine) Head() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.baseline == nil {
		return ""
	}
	return e.baseline.Head
}

// resolver resolves clients with what the baseline holds.
func (e *Engine) resolver() (*accept.Resolver, *state.Baseline) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.wishes == nil {
		e.wishes = accept.NewResolver(nil, e.Program)
	}
	return e.wishes, e.baseline
}

// superseded says that no new step should begin: a newer wish than seq was accepted
// for the client, or the program stops.
func (e *Engine) superseded(id state.ClientID, seq uint64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stopping || e.seq[id] > seq
}

// Stop lets running passes end at the next step's border; the next start goes on. What is
// cut off from now on is no crash.
func (e *Engine) Stop() {
	e.mu.Lock()
	e.stopping = true
	e.mu.Unlock()
	e.unmarkAll()
}

func (e *Engine) newer(m *member) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.seq[m.client.ID] > m.client.Seq
}

// Stopping says that Stop was called.
func (e *Engine) Stopping() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stopping
}

// traits are what the planner knows of the providers.
func (e *Engine) traits() map[string]map[state.Kind]state.Traits {
	out := map[string]map[state.Kind]state.Traits{}
	for _, p := range e.Providers {
		if out[p.Name()] == nil {
			out[p.Name()] = map[state.Kind]state.Traits{}
		}
		for k, t := range p.Traits() {
			out[p.Name()][k] = t
		}
	}
	return out
}
