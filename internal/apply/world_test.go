package apply_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/bolt"
	"github.com/compassdigital/reconciler/internal/desired"
	"github.com/compassdigital/reconciler/internal/journal"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/secret"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

const installation = "abcd1234"

// tb is what tests and properties have in common.
type tb interface {
	Helper()
	Errorf(format string, a ...any)
	Fatalf(format string, a ...any)
}

// clock is a clock that only sleepers and tests move. What is due on the way happens.
type clock struct {
	mu  sync.Mutex
	now time.Time
	due []event
}

type event struct {
	at time.Time
	do func()
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

func (c *clock) after(d time.Duration, do func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.due = append(c.due, event{c.now.Add(d), do})
	sort.SliceStable(c.due, func(i, j int) bool { return c.due[i].at.Before(c.due[j].at) })
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	end := c.now.Add(d)
	for len(c.due) > 0 && !c.due[0].at.After(end) {
		next := c.due[0]
		c.due = c.due[1:]
		if next.at.After(c.now) {
			c.now = next.at
		}
		c.mu.Unlock()
		next.do()
		c.mu.Lock()
	}
	if end.After(c.now) {
		c.now = end
	}
	c.mu.Unlock()
}

func (c *clock) Sleep(ctx context.Context, d time.Duration) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	c.move(d)
	return nil
}

// killed is what a test panics with where the process dies.
type killed struct{ where string }

// journalOf is the store with what may go wrong with it.
type journalOf struct {
	store.Store
	mu      sync.Mutex
	updates int
	failAt  int  // this update fails; 0: none
	kept    bool // the failing update's changes are there all the same
	open    int  // transactions that are open
}

var errDisk = errors.New("the disk is full")

func (j *journalOf) Update(fn func(store.Tx) error) error {
	j.mu.Lock()
	j.updates++
	fail := j.updates == j.failAt
	j.mu.Unlock()
	if fail && !j.kept {
		return errDisk
	}
	if err := j.Store.Update(func(tx store.Tx) error { defer j.in()(); return fn(tx) }); err != nil || !fail {
		return err
	}
	return errDisk
}

func (j *journalOf) View(fn func(store.Tx) error) error {
	return j.Store.View(func(tx store.Tx) error { defer j.in()(); return fn(tx) })
}

func (j *journalOf) in() (out func()) {
	j.add(1)
	return func() { j.add(-1) }
}

func (j *journalOf) add(n int) { j.mu.Lock(); j.open += n; j.mu.Unlock() }

func (j *journalOf) inside() bool { j.mu.Lock(); defer j.mu.Unlock(); return j.open > 0 }

// who is one client: what it wishes, or that it goes.
type who struct {
	client    state.Client
	wish      []state.Resource
	tombs     []state.Tombstone
	removed   bool
	effective manifest.Effective
}

// world is a runner over a real store and vendors in memory, with as much of an engine
// around it as plans need.
type world struct {
	t        tb
	dir      func() string // of a real disk; asked once
	path     string
	scratch  string // made when data is to be moved
	clock    *clock
	vendor   *memory.World
	faults   *memory.Faults
	change   func(state.Kind, *provider.Traits)
	options  func(*memory.Options)
	wrap     func(provider.Provider) provider.Provider
	parallel int

	real     bool        // on a real disk
	disk     store.Store // what is there whatever is wrong with it
	journal  *journalOf
	runner   *apply.Runner
	all      map[string]provider.Provider
	clients  []*who
	probe    func(context.Context, apply.Target) error
	newer    func(state.ClientID) bool
	putsBack bool
	at       func(apply.Border, plan.Step)
	secrets  int
	fixed    bool // generated secrets are the same in every run
	passes   int
	read     reading
	cut      bool // the last pass did not come to its end

	mu     sync.Mutex
	events []apply.Event
	looks  bool // whoever is about to change is looked at first
}

var keys = func() *secret.Keys {
	k, err := secret.Open(secret.KeySource{Env: state.NewSecret("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")})
	if err != nil {
		panic(err)
	}
	return k
}

func newWorld(t tb, dir func() string, change ...func(*world)) *world {
	w := &world{t: t, dir: dir, clock: newClock(), faults: &memory.Faults{}, parallel: 1, fixed: true, looks: true}
	w.vendor = memory.NewWorld(w.clock.Now)
	for _, f := range change {
		f(w)
	}
	w.open()
	return w
}

// open opens the store and vendors, as a start of the program does.
func (w *world) open() {
	w.t.Helper()
	if w.disk == nil && !w.real {
		w.disk = newDisk()
	}
	if w.real {
		if w.path == "" {
			w.path = filepath.Join(w.dir(), "state.db")
		}
		var err error
		if w.disk, err = bolt.Open(bolt.Options{Path: w.path, Keys: keys(), Now: w.clock.Now, NoSync: true}); err != nil {
			w.t.Fatalf("open: %v", err)
		}
	}
	w.journal = &journalOf{Store: w.disk}
	w.all = map[string]provider.Provider{}
	for name, kinds := range map[string]map[state.Kind]provider.Traits{"db": memory.Databases(), "db2": memory.Databases(), "host": memory.Hosting(), "other": memory.Hosting(),
		"dns": memory.DNS(), "dns2": memory.DNS(), "mail": memory.Mail()} {
		if w.change != nil {
			kinds = memory.Change(kinds, w.change)
		}
		o := memory.Options{Name: name, World: w.vendor, Kinds: kinds, Fault: w.hook, Now: w.clock.Now, Sleep: w.clock.Sleep}
		if name == "other" {
			o.Address = "203.0.113.9"
		}
		if w.options != nil {
			w.options(&o)
		}
		w.all[name] = memory.New(o)
		if w.wrap != nil {
			w.all[name] = w.wrap(w.all[name])
		}
	}
	w.runner = &apply.Runner{Scratch: w.scratch, Store: w.journal, Installation: installation, Now: w.clock.Now, Sleep: w.clock.Sleep, Parallel: w.parallel,
		Provider: func(name string, k state.Kind) (provider.Provider, bool) {
			p, ok := w.all[name]
			if ok {
				_, ok = p.Traits()[k]
			}
			return p, ok
		},
		Jitter: func(d time.Duration) time.Duration { return d },
		NewSecret: func() (state.Secret, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if !w.fixed {
				w.secrets++
			}
			return state.NewSecret(fmt.Sprintf("generated-%d", w.secrets)), nil
		},
		Fingerprint: keys().Fingerprint,
		At: func(b apply.Border, s plan.Step) {
			if w.at != nil {
				w.at(b, s)
			}
		},
		Emit: func(e apply.Event) { w.mu.Lock(); w.events = append(w.events, e); w.mu.Unlock() },
	}
}

func (w *world) close() {
	w.t.Helper()
	if b, ok := w.disk.(*bolt.Store); ok {
		if err := b.Close(); err != nil {
			w.t.Errorf("close: %v", err)
		}
	}
}

func (w *world) restart() { w.t.Helper(); w.close(); w.open() }

// hook watches every call: a write without its intent, or a call inside a transaction,
// is an error whatever else is tested (nevers 5).
func (w *world) hook(ctx context.Context, c memory.Call) error {
	if c.Moment == memory.Before {
		if w.parallel == 1 && w.journal.inside() {
			w.t.Errorf("never 5: %s inside a transaction", c)
		}
		if moves := c.Verb == memory.Freeze || c.Verb == memory.Load || c.Verb == memory.Thaw; (moves || c.Verb.Writes()) && !w.announced(c) {
			w.t.Errorf("never 5: %s without a committed intent", c)
		}
	}
	return w.faults.Hook(ctx, c)
}

func (w *world) announced(c memory.Call) (yes bool) {
	_ = w.disk.View(func(tx store.Tx) error {
		open, err := store.Intents(tx, "")
		for _, i := range open {
			if i.Op == journal.OpTransfer && c.Kind == state.KindDatabase && !c.Verb.Writes() {
				yes = true
			}
			if string(i.Op) == string(c.Verb) && i.Ref.Kind == c.Kind && i.Provider == c.Provider && (i.ObjectID == c.ID || (c.ID == "" && i.Name == c.Name)) {
				yes = true
			}
		}
		return err
	})
	return yes
}

// shop is a manifest as resolved.
func shop(name string, change ...func(*manifest.Effective)) manifest.Effective {
	e := manifest.Effective{Host: name + ".example", Hosts: []string{name + ".example"}, Source: manifest.Source{Repository: "agency/shop", Ref: "v1"},
		AdminPanel:  manifest.AdminPanel{Kind: "payload", Path: "/admin"},
		Environment: manifest.Env{"DATABASE_URL": {From: "database.url"}, "SESSION": {Generate: "hex32"}, "CURRENCY": {Literal: "EUR"}}}
	e.Name, e.DisplayName, e.Template = name, strings.ToUpper(name), "shop"
	e.Deployment.Provider, e.Database.Provider, e.DNS.Provider = "host", "db", "dns"
	e.Database.Retain.For = manifest.Duration(30 * 24 * time.Hour)
	e.Admin.Email = "owner@" + e.Host
	for _, f := range change {
		f(&e)
	}
	return e
}

func idOf(name string) state.ClientID { return state.ClientID(name + "-1a2b") }

func (w *world) secretsOf(id state.ClientID) map[string]state.SecretRef {
	out := map[string]state.SecretRef{}
	w.view(func(tx store.Tx) error {
		all, err := store.Secrets(tx, string(id))
		for _, s := range all {
			if s.Version >= out[s.Scope+"/"+s.Name].Version {
				out[s.Scope+"/"+s.Name] = s
			}
		}
		return err
	})
	return out
}

// wants says what a client wishes; a client that is not known is new. What it does not
// wish any more has its tombstone.
func (w *world) wants(e manifest.Effective) *who {
	w.t.Helper()
	c := w.find(e.Name)
	if c == nil {
		c = &who{client: state.Client{ID: idOf(e.Name), Name: e.Name, Generation: 1, Status: state.StatusPending}}
		w.clients = append(w.clients, c)
		w.update(func(tx store.Tx) error { return store.PutClient(tx, c.client) })
	}
	if e.Database.Provider == "db2" && w.scratch == "" {
		w.scratch = w.dir()
		w.runner.Scratch = w.scratch
	}
	was := c.wish
	c.effective, c.removed = e, false
	w.wishAgain(c)
	c.tombs = nil
	for _, part := range desired.Parts(was, c.wish) {
		if !strings.HasPrefix(part, "deployment/") && !strings.HasPrefix(part, "mail/") {
			c.tombs = append(c.tombs, state.Tombstone{Client: c.client.ID, Part: part})
		}
	}
	return c
}

// wishAgain resolves the wish anew: adopted values become part of it.
func (w *world) wishAgain(c *who) {
	w.t.Helper()
	all, problems := desired.Resources(desired.Input{Client: c.client, Effective: c.effective, Secrets: w.secretsOf(c.client.ID), Mail: "mail", PublicURL: "https://" + c.effective.Host,
		Configured: func(string, state.Kind) bool { return true }})
	if len(problems) > 0 {
		w.t.Fatalf("%s can't be wished: %v", c.effective.Name, problems)
	}
	c.wish = all
}

func (w *world) find(name string) *who {
	for _, c := range w.clients {
		if c.client.Name == name {
			return c
		}
	}
	return nil
}

// goes removes a client's manifest.
func (w *world) goes(name string) {
	c := w.find(name)
	c.removed, c.wish = true, nil
	c.tombs = []state.Tombstone{{Client: c.client.ID, Name: name}}
}

func (w *world) view(fn func(store.Tx) error) {
	w.t.Helper()
	if err := w.disk.View(fn); err != nil {
		w.t.Fatalf("view: %v", err)
	}
}

func (w *world) update(fn func(store.Tx) error) {
	w.t.Helper()
	if err := w.disk.Update(fn); err != nil {
		w.t.Fatalf("update: %v", err)
	}
}

// reading is what was recorded after so many commits.
type reading struct {
	at int
	of map[state.ClientID][]state.Resource
}

func (w *world) recorded(id state.ClientID) (out []state.Resource) {
	w.t.Helper()
	if d, is := w.disk.(*disk); is {
		// It is asked for again and again, and decoding is most of what these tests do.
		d.mu.RLock()
		at := d.commits
		d.mu.RUnlock()
		if w.read.at != at || w.read.of == nil {
			w.read = reading{at, map[state.ClientID][]state.Resource{}}
		}
		if _, known := w.read.of[id]; !known {
			w.view(func(tx store.Tx) (err error) { w.read.of[id], err = store.Resources(tx, id); return err })
		}
		return slices.Clone(w.read.of[id])
	}
	w.view(func(tx store.Tx) (err error) { out, err = store.Resources(tx, id); return err })
	return out
}

func (w *world) record(r state.Ref) (out state.Resource, ok bool) {
	w.t.Helper()
	w.view(func(tx store.Tx) (err error) { out, ok, err = store.Resource(tx, r); return err })
	return out, ok
}

// on is the one recorded resource of a kind.
func (w *world) on(name string, k state.Kind) state.Resource {
	w.t.Helper()
	var found []state.Resource
	for _, r := range w.recorded(idOf(name)) {
		if r.Ref.Kind == k {
			found = append(found, r)
		}
	}
	if len(found) != 1 {
		w.t.Fatalf("%s has %d of kind %s on record, want 1", name, len(found), k)
	}
	return found[0]
}

func (w *world) intents() (out []journal.Intent) {
	w.t.Helper()
	w.view(func(tx store.Tx) (err error) { out, err = store.Intents(tx, ""); return err })
	return out
}

func (w *world) traits() map[string]map[state.Kind]state.Traits {
	out := map[string]map[state.Kind]state.Traits{}
	for name, p := range w.all {
		out[name] = p.Traits()
	}
	return out
}

// plan is what is to be done for all clients as one group.
func (w *world) plan(looks map[state.Ref]plan.Look) plan.Plan {
	w.t.Helper()
	in := plan.Input{Commit: "c0ffee", Now: w.clock.Now(), Traits: w.traits(), Keep: 2}
	for _, c := range w.clients {
		if !c.removed {
			w.wishAgain(c)
		}
		mine := map[state.Ref]plan.Look{}
		for r, l := range looks {
			if r.Client == c.client.ID {
				mine[r] = l
			}
		}
		in.Clients = append(in.Clients, plan.ClientInput{Client: c.client, Wish: c.wish, Removed: c.removed, Recorded: w.recorded(c.client.ID), Tombstones: c.tombs, Looks: mine,
			Health: true, Retain: c.effective.Database.Retain.For.Std(), Reuse: "retained"})
	}
	return plan.Calculate(in)
}

func (w *world) job(p plan.Plan) apply.Job {
	w.t.Helper()
	j := apply.Job{Plan: p, Clients: map[state.ClientID]state.Client{}, Run: fmt.Sprintf("run-%d", w.passes), Deployment: map[state.ClientID]string{}, Commit: "c0ffee",
		PublicURL: map[state.ClientID]string{}, Probe: w.probe, Superseded: w.newer, PutsBack: w.putsBack}
	for _, c := range w.clients {
		w.view(func(tx store.Tx) error {
			now, _, err := store.Client(tx, c.client.ID)
			j.Clients[c.client.ID] = now
			return err
		})
		j.PublicURL[c.client.ID] = "https://" + c.effective.Host
	}
	return j
}

// outcome is how a pass ended.
type outcome struct {
	idle   bool // nothing was to be done
	state  apply.StepState
	err    error // of the worst step
	retry  time.Time
	result apply.Result
}

// pass is one pass over all clients: settle, plan, look, plan, run.
func (w *world) pass(ctx context.Context) (out outcome, err error) {
	w.t.Helper()
	w.passes++
	again := w.cut
	w.cut = true
	defer func() { w.cut = err != nil || recovering(recover()) }()
	if open := w.intents(); len(open) > 0 {
		st, err := w.runner.Settle(ctx, w.job(plan.Plan{}), open)
		if err != nil && (ctx.Err() != nil || st == apply.StepFailed) {
			return out, err
		}
		if err != nil {
			return outcome{state: st, err: err, retry: apply.RetryAt(err)}, nil
		}
	}
	p := w.plan(nil)
	if len(p.Problems) > 0 {
		return outcome{state: apply.StepParked, err: errors.New(p.Problems[0].Text)}, nil
	}
	if p.Empty() && again {
		p = w.plan(w.look(ctx)) // what the pass that was cut off had seen is not on record
		if ctx.Err() != nil {
			return out, ctx.Err()
		}
	}
	if p.Empty() {
		return outcome{idle: true, state: apply.StepDone}, nil
	}
	if w.looks {
		if p = w.plan(w.look(ctx)); len(p.Problems) > 0 {
			return outcome{state: apply.StepParked, err: errors.New(p.Problems[0].Text)}, nil
		}
	}
	return w.run(ctx, p)
}

func (w *world) run(ctx context.Context, p plan.Plan) (out outcome, err error) {
	w.t.Helper()
	r, err := w.runner.Run(ctx, w.job(p))
	out.result = r
	if err != nil {
		return out, err
	}
	out.state = apply.StepDone
	rank := []apply.StepState{apply.StepDone, apply.StepSkipped, apply.StepWaiting, apply.StepSuperseded, apply.StepParked, apply.StepFailed}
	for _, s := range r.Steps {
		if slices.Index(rank, s.State) > slices.Index(rank, out.state) {
			out.state, out.err, out.retry = s.State, s.Err, s.RetryAt
		}
	}
	return out, nil
}

// recovering lets a panic go on.
func recovering(x any) bool {
	if x != nil {
		panic(x)
	}
	return false
}

// look says of everything on record whether it is still there.
func (w *world) look(ctx context.Context) map[state.Ref]plan.Look {
	out := map[state.Ref]plan.Look{}
	for _, c := range w.clients {
		for _, r := range w.recorded(c.client.ID) {
			if !r.Real() || r.Ref.Kind == state.KindMail {
				continue
			}
			found, err := w.all[r.Provider].Observe(ctx, provider.Query{Kind: r.Ref.Kind, ID: r.ID})
			l := plan.Look{Ref: r.Ref, Gone: err == nil && len(found) == 0}
			if err != nil {
				l.Failed = err.Error()
			}
			out[r.Ref] = l
		}
	}
	return out
}

// settle passes until nothing is to be done, as the daemon would: it waits where a pass
// says so, and asks again (`retry`) up to retries times where one ended for good.
func (w *world) settle(retries int) outcome {
	w.t.Helper()
	var out outcome
	for range 60 {
		var err error
		if out, err = w.pass(context.Background()); err != nil {
			w.t.Fatalf("pass: %v", err)
		}
		switch out.state {
		case apply.StepDone:
			if out.idle {
				return out
			}
		case apply.StepWaiting, apply.StepSkipped:
			w.clock.move(max(5*time.Second, out.retry.Sub(w.clock.Now())))
		default:
			if retries--; retries < 0 {
				return out
			}
			w.clock.move(time.Minute)
		}
	}
	w.t.Fatalf("never done: %s %v; plan %v", out.state, out.err, stepLines(w.plan(nil)))
	return out
}

// converged settles and checks that what is wished is there once, and on record.
func (w *world) converged() {
	w.t.Helper()
	if out := w.settle(0); !out.idle {
		w.t.Fatalf("not settled: %s %v", out.state, out.err)
	}
	w.checkRecord()
}

// checkRecord holds P3 against the world: every object of ours is on record, once, and
// every record is an object; every wish has its record.
func (w *world) checkRecord() {
	w.t.Helper()
	ids := map[string]state.Ref{}
	for _, c := range w.clients {
		byRef := map[state.Ref]bool{}
		for _, r := range w.recorded(c.client.ID) {
			byRef[r.Ref] = true
			if sentBefore(r) {
				continue
			}
			if other, twice := ids[r.ID]; twice {
				w.t.Errorf("P3: %s is on record as %s and %s", r.ID, other, r.Ref)
			}
			ids[r.ID] = r.Ref
			if _, there := w.vendor.Object(r.ID); !there {
				w.t.Errorf("P3: %s is on record as %s and does not exist", r.Ref, r.ID)
			}
		}
		for _, x := range c.wish {
			lived := len(c.effective.Adopt) > 0 && (x.Ref.Kind == state.KindAdmin || x.Ref.Kind == state.KindMail)
			if !byRef[x.Ref] && !lived {
				w.t.Errorf("%s is wished and not on record", x.Ref)
			}
		}
	}
	for _, o := range w.ours() {
		if _, known := ids[o.ID]; !known && !w.left(o) {
			w.t.Errorf("P3: lost track of %s %s %s", o.Kind, o.Name, o.ID)
		}
	}
	if open := w.intents(); len(open) > 0 {
		w.t.Errorf("%d intents are open: %+v", len(open), open[0])
	}
}

// sentBefore is a mail of which its keeper says that it was sent, and shows none.
func sentBefore(r state.Resource) bool {
	return r.Ref.Kind == state.KindMail && r.ID == state.DoneBefore
}

// left says that the object is what a client leaves behind when it goes.
func (w *world) left(o provider.Object) bool {
	c := slices.IndexFunc(w.clients, func(c *who) bool { return c.removed && strings.HasPrefix(o.Name, string(c.client.ID)) })
	if c >= 0 && len(w.clients[c].effective.Adopt) > 0 {
		return true // a site that is adopted keeps what it serves with
	}
	if c < 0 || o.Kind != state.KindMail {
		return false
	}
	// The mail of a client that had no data; else it is on record as long as that is kept.
	return !slices.ContainsFunc(w.recorded(w.clients[c].client.ID), func(r state.Resource) bool { return r.ID == o.ID })
}

// ours are the objects that bear our mark or a name that only we give.
func (w *world) ours() (out []provider.Object) {
	for _, o := range w.vendor.Objects("") {
		if o.Mark.Installation == installation || (o.Mark.IsZero() && strings.Contains(o.Name, "-"+installation)) {
			out = append(out, o)
		}
	}
	return out
}

func stepLines(p plan.Plan) (out []string) {
	for _, s := range p.Steps {
		if s.Action != plan.Record {
			out = append(out, string(s.Action)+" "+string(s.Ref.Kind))
		}
	}
	return out
}

// picture is the world and the record without times and runs.
func (w *world) picture() string {
	var b strings.Builder
	b.WriteString(w.vendor.Snapshot(nil))
	for _, c := range w.clients {
		for _, r := range w.recorded(c.client.ID) {
			retained := ""
			if r.Retained() {
				retained = " retained"
			}
			fmt.Fprintf(&b, "record %s %s %s %q phase %q found %v adopted %v%s\n%s", r.Ref, r.Provider, r.ID, r.Name, r.Phase, r.Found, r.Adopted, retained, r.Attributes.Canonical())
			names := make([]string, 0, len(r.Outputs))
			for n := range r.Outputs {
				names = append(names, n)
			}
			sort.Strings(names)
			for _, n := range names {
				fmt.Fprintf(&b, "  %s -> %s\n", n, r.Outputs[n].Canonical())
			}
		}
	}
	return b.String()
}

// undo is the first client, whose changes are being taken back.
func (w *world) undo() (c state.Client) {
	w.t.Helper()
	w.view(func(tx store.Tx) (err error) {
		c, _, err = store.Client(tx, w.clients[0].client.ID)
		return err
	})
	c.RollingBack = "the probe failed"
	w.update(func(tx store.Tx) error { return store.PutClient(tx, c) })
	return c
}
