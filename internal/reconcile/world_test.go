package reconcile_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/bolt"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/secret"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// repository is a branch in memory: one tree a commit.
type repository struct {
	mu        sync.Mutex
	trees     map[string]map[string]string // head → path → text
	blobs     map[string]string
	order     []string
	seq       int
	polls     int
	reads     int
	rewritten bool
	cuts      map[string]bool // heads that don't descend from those before
	parents   map[string][]string
	own       map[string][]string // of merges: the files that Git would have made otherwise
}

// cut says that a head rewrites the history before it.
func (r *repository) cut(head string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cuts == nil {
		r.cuts = map[string]bool{}
	}
	r.cuts[head] = true
}

// descends says that nothing was rewritten between two heads.
func (r *repository) descends(from, head string) bool {
	if from == head || from == "" {
		return true
	}
	for i := len(r.order) - 1; i >= 0; i-- {
		if r.order[i] != head {
			continue
		}
		for k := i; k > 0 && !r.cuts[r.order[k]]; k-- {
			if r.order[k-1] == from {
				return !r.rewritten
			}
		}
	}
	return false
}

func newRepository() *repository {
	return &repository{trees: map[string]map[string]string{}, blobs: map[string]string{}, parents: map[string][]string{}, own: map[string][]string{}}
}

func blobOf(text string) string {
	h := sha256.Sum256([]byte(text))
	return hex.EncodeToString(h[:20])
}

// commit changes files ("" removes) on top of the last commit and returns the new head.
// merged are the heads that it merges.
func (r *repository) commit(files map[string]string, merged ...string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var parents []string
	if n := len(r.order); n > 0 {
		parents = append(parents, r.order[n-1])
	}
	head := r.put(append(parents, merged...), files)
	r.order = append(r.order, head)
	return head
}

// branch makes a commit that is on no branch of ours.
func (r *repository) branch(files map[string]string, parents ...string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.put(parents, files)
}

// put makes a commit of the files of its first parent, and these.
func (r *repository) put(parents []string, files map[string]string) string {
	tree := map[string]string{}
	if len(parents) > 0 {
		for p, b := range r.trees[parents[0]] {
			tree[p] = b
		}
	}
	for p, text := range files {
		if text == "" {
			delete(tree, p)
			continue
		}
		b := blobOf(text)
		r.blobs[b] = text
		tree[p] = b
	}
	r.seq++
	head := fmt.Sprintf("%040x", r.seq)
	r.trees[head], r.parents[head] = tree, parents
	return head
}

// history are the commits that head reaches and from does not, parents before children,
// with the files in which each differs from any of its parents.
func (r *repository) history(from, head string) []accept.Commit {
	seen := map[string]bool{}
	var mark func(id string)
	mark = func(id string) {
		if id == "" || seen[id] {
			return
		}
		seen[id] = true
		for _, p := range r.parents[id] {
			mark(p)
		}
	}
	mark(from)
	var out []accept.Commit
	var walk func(id string)
	walk = func(id string) {
		if seen[id] {
			return
		}
		seen[id] = true
		paths := map[string]bool{}
		for _, p := range r.parents[id] {
			walk(p)
			for _, path := range r.differ(p, id) {
				paths[path] = true
			}
		}
		c := accept.Commit{ID: id, Parents: r.parents[id], Own: r.own[id]}
		if from != "" {
			c.Paths = append([]string{}, slices.Sorted(maps.Keys(paths))...)
		}
		out = append(out, c)
	}
	walk(head)
	return out
}

// differ are the paths that differ between two commits, sorted.
func (r *repository) differ(from, to string) []string {
	var out []string
	old, tree := r.trees[from], r.trees[to]
	for p := range old {
		if old[p] != tree[p] {
			out = append(out, p)
		}
	}
	for p := range tree {
		if _, had := old[p]; !had {
			out = append(out, p)
		}
	}
	sort.Strings(out)
	return out
}

func (r *repository) Poll(context.Context) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.polls++
	if len(r.order) == 0 {
		return "", errors.New("the repository is empty")
	}
	return r.order[len(r.order)-1], nil
}

func (r *repository) Range(_ context.Context, from, head string) (reconcile.Range, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := reconcile.Range{Root: "root", Descends: r.descends(from, head), Empty: true, Whole: from == "", Odd: map[string]string{}}
	old, tree := r.trees[from], r.trees[head]
	for p := range tree {
		if strings.HasPrefix(p, "clients/") {
			out.Empty = false
		}
	}
	for _, p := range r.differ(from, head) {
		out.Changes = append(out.Changes, accept.Change{Path: p, Old: old[p], New: tree[p]})
	}
	if out.Descends {
		out.Commits = r.history(from, head)
	}
	return out, nil
}

func (r *repository) Read(_ context.Context, path, blob string) (accept.File, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reads++
	text, ok := r.blobs[blob]
	if !ok {
		return accept.File{Path: path, Blob: blob, Err: "no such blob"}, nil
	}
	return accept.File{Path: path, Blob: blob, Data: []byte(text)}, nil
}

func (r *repository) Tree(_ context.Context, rev string) (string, []accept.File, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if rev == "" {
		rev = r.order[len(r.order)-1]
	}
	var out []accept.File
	for p, b := range r.trees[rev] {
		out = append(out, accept.File{Path: p, Blob: b, Data: []byte(r.blobs[b])})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Path < out[j].Path })
	return rev, out, nil
}

// clock is a time that only tests move, and what this machine shows of it.
type clock struct {
	mu   sync.Mutex
	now  time.Time     // as it is, and as vendors have it
	skew time.Duration // of this machine's clock
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)} }

// Now is what this machine's clock shows.
func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now.Add(c.skew) }

// Real is the time as it is elsewhere.
func (c *clock) Real() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

// jump moves this machine's clock alone.
func (c *clock) jump(d time.Duration) { c.mu.Lock(); c.skew += d; c.mu.Unlock() }

func (c *clock) add(d time.Duration) { c.mu.Lock(); c.now = c.now.Add(d); c.mu.Unlock() }

// Sleep takes no time: it moves the clock, and never back: a time that is over is not waited
// for.
func (c *clock) Sleep(ctx context.Context, d time.Duration) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	c.add(max(d, 0))
	return nil
}

// world is an engine over a real store, a repository in memory and providers.
type world struct {
	t      testing.TB
	repo   *repository
	clock  *clock
	store  *bolt.Store
	engine *reconcile.Engine
	path   string
	keys   *secret.Keys
	all    []provider.Provider
	ids    atomic.Int64
	// change is asked before an engine is used, for tests that need another one.
	change func(*reconcile.Engine)
	unfit  func(url string) error // what health checks find
	sync   bool                   // the state is synced to the disk, as it is outside tests
	key    string                 // of the state; "": one is made up
}

const template = `apiVersion: reconciler/v1
kind: Template
name: shop
source: {repository: agency/shop, ref: v1}
admin: {kind: payload, path: /admin}
env: {DATABASE_URL: {from: database.url}, PAYLOAD_SECRET: {generate: hex32}}
`

func client(name string, more ...string) string {
	return fmt.Sprintf("apiVersion: reconciler/v1\nkind: Client\nname: %s\ndomain: %s\ntemplate: shop\ncontact: {email: owner@%s.example}\n%s\n", name, name, name, strings.Join(more, "\n"))
}

// newWorldWith opens a store and an engine over these providers: at least one each for
// databases, sites and records, named db, host and dns.
func newWorldWith(t testing.TB, providers func(*clock) []provider.Provider) *world {
	t.Helper()
	return newWorldOver(t, func(*world) {}, providers)
}

// newWorldOver is newWorldWith, with something to say before the engine starts.
func newWorldOver(t testing.TB, prepare func(*world), providers func(*clock) []provider.Provider) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{t: t, repo: newRepository(), clock: newClock(), path: filepath.Join(dir, "state.db")}
	prepare(w)
	w.all = providers(w.clock)
	source := secret.KeySource{File: filepath.Join(dir, "key")}
	if w.key != "" {
		source = secret.KeySource{Env: state.NewSecret(w.key)}
	}
	keys, err := secret.Open(source)
	if err != nil {
		t.Fatal(err)
	}
	w.keys = keys
	w.repo.commit(map[string]string{"templates/shop.yaml": template})
	w.open()
	t.Cleanup(func() { _ = w.store.Close() })
	return w
}

// open opens the store and starts an engine on it, as a start of the program does.
func (w *world) open() []reconcile.Due {
	w.t.Helper()
	var err error
	if w.store, err = bolt.Open(bolt.Options{Path: w.path, Keys: w.keys, Now: w.clock.Now, NoSync: !w.sync}); err != nil {
		w.t.Fatal(err)
	}
	in, err := reconcile.Installation(w.store, func() (string, error) { return "abcd1234", nil }, w.clock.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	by := map[string]provider.Provider{}
	for _, p := range w.all {
		for k := range p.Traits() {
			by[p.Name()+"/"+string(k)] = p
		}
	}
	find := func(name string, kind state.Kind) (provider.Provider, bool) {
		p, ok := by[name+"/"+string(kind)]
		return p, ok
	}
	same := func(d time.Duration) time.Duration { return d }
	runner := &apply.Runner{Store: w.store, Provider: find, Installation: in.ID, Now: w.clock.Now, Sleep: w.clock.Sleep, Jitter: same,
		NewSecret: secret.NewHex32, Fingerprint: w.keys.Fingerprint, Parallel: 8}
	w.engine = &reconcile.Engine{
		Config: reconcile.Config{Repository: "https://git.example/clients.git", Branch: "main", Path: "clients",
			Defaults: manifest.Defaults{BaseDomain: "agency.example", Deployment: "vercel", Database: "railway", DNS: "cloudflare"},
			Guard:    accept.Guard{MaxDeletes: 100, MaxDeletePercent: 100, MaxChanged: 25, MaxCreates: 100_000},
			Program:  "0.1.0", Keep: 3, PublicURL: func(h string) string { return "https://" + h }},
		Store: w.store, Repo: w.repo, Runner: runner, Providers: w.all,
		Configured: func(name string, kind state.Kind) bool { _, ok := find(name, kind); return ok },
		Check: func(_ context.Context, url string, _ manifest.Health) error {
			if w.unfit != nil {
				return w.unfit(url)
			}
			return nil
		},
		NewID: func() (string, error) { return fmt.Sprintf("%06x", w.ids.Add(1)), nil },
		Now:   w.clock.Now, Jitter: same,
	}
	runner.Emit = w.engine.Progress
	if w.change != nil {
		w.change(w.engine)
	}
	due, err := w.engine.Start()
	if err != nil {
		w.t.Fatal(err)
	}
	return due
}

// restart closes and opens everything again.
func (w *world) restart() []reconcile.Due {
	w.t.Helper()
	if err := w.store.Close(); err != nil {
		w.t.Fatal(err)
	}
	return w.open()
}

// push commits files and polls; it returns who needs a pass.
func (w *world) push(files map[string]string) []state.ClientID {
	w.t.Helper()
	w.repo.commit(files)
	return w.poll()
}

func (w *world) poll() []state.ClientID {
	w.t.Helper()
	ids, err := w.engine.Poll(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return ids
}

// pass passes clients, and again for as long as a pass asks for it at once.
func (w *world) pass(ids ...state.ClientID) {
	w.t.Helper()
	for n := 0; len(ids) > 0; n++ {
		if n > 100_000 {
			w.t.Fatalf("passes without end: %d to go", len(ids))
		}
		id := ids[0]
		ids = ids[1:]
		d, err := w.engine.Pass(w.t.Context(), id, reconcile.CauseCommit)
		if err != nil {
			w.t.Fatal(err)
		}
		ids = append(ids, d.Also...)
		if d.Again {
			ids = append(ids, id)
		}
		if d.Recheck && w.engine.RecheckWanted() {
			ids = append(ids, w.poll()...)
		}
	}
}

// apply commits files and passes whoever is due.
func (w *world) apply(files map[string]string) {
	w.t.Helper()
	w.pass(w.push(files)...)
}

// resume lets a paused client go on, and passes it.
func (w *world) resume(name string) {
	w.t.Helper()
	id, err := w.engine.SetPaused(name, false, "dana")
	if err != nil {
		w.t.Fatal(err)
	}
	w.pass(id)
}

func (w *world) row(name string) reconcile.Row {
	w.t.Helper()
	v, err := w.engine.Overview()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, r := range v.Clients {
		if r.Name == name {
			return r
		}
	}
	return reconcile.Row{}
}

func (w *world) want(name string, status state.Status) reconcile.Row {
	w.t.Helper()
	r := w.row(name)
	if r.Status != string(status) {
		w.t.Fatalf("%s is %q (%s), want %q", name, r.Status, r.Because, status)
	}
	return r
}

// settle records that every client has what it wishes, as passes over wishes without
// any part do.
func (w *world) settle() {
	w.t.Helper()
	err := w.store.Update(func(tx store.Tx) error {
		clients, err := store.Clients(tx)
		if err != nil {
			return err
		}
		for _, c := range clients {
			c.Settled, c.Status, c.EverDeployed, c.Converged = true, state.StatusActive, true, c.WishHash
			if err := store.PutClient(tx, c); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// lose deletes the state and starts on an empty one, with the same key.
func (w *world) lose() {
	w.t.Helper()
	if err := w.store.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.path = filepath.Join(w.t.TempDir(), "state.db")
	w.open()
}

// due are the clients that a start finds unfinished.
func (w *world) due() []state.ClientID {
	w.t.Helper()
	var out []state.ClientID
	for _, d := range w.restart() {
		out = append(out, d.Client)
	}
	return out
}
