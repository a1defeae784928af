package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/gitserver"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/external"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// patience is how long a test waits for what must come; only a hang takes it.
const patience = 2 * time.Minute

// world is one installation as its users have it: a Git repository behind HTTP, driven
// with the git command; a configuration on disk; the program, as a daemon or one
// command at a time; the embedded providers, with a log of every call.
type world struct {
	t          testing.TB
	dir        string // configuration, state, embedded providers' objects
	work       string // a clone, for edits
	repository string // the bare repository on disk
	url        string // of the repository
	listen     string // address of sites and pages; the same for every command, as it is part of the sites' URLs
	calls      *calls
	now        func() time.Time
	clock      *quickClock
	public     external.Lookup // the world's DNS; nil: the machine's
	wired      func(*program)  // as app's
	reach      func(http.RoundTripper) http.RoundTripper
	env        map[string]string
	server     *httptest.Server // of the repository
	custom     func(*app)       // what the daemon has that commands have not; nil: nothing
	mu         sync.Mutex
	daemon     *running
	ears       ears // what came out, looked through for secrets at the end
}

// running is a daemon under way.
type running struct {
	program *program
	stop    context.CancelFunc
	ended   chan int
	out     *buffer
}

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// shop is the template of the tests' clients.
const shopTemplate = `apiVersion: reconciler/v1
kind: Template
name: ecommerce
source: {repository: builtin, ref: v1, directory: ecommerce}
admin: {kind: payload, path: /admin}
features: {allowed: [ecommerce, blog], default: [ecommerce]}
collections: {disableable: [orders, products]}
env: {DATABASE_URL: {from: database.url}, PAYLOAD_SECRET: {generate: hex32}, NEXT_PUBLIC_SERVER_URL: {from: site.url}}
defaults: {health: {path: /api/health}}
`

// manifestOf is a small manifest; more lines follow.
func manifestOf(name string, more ...string) string {
	return fmt.Sprintf("apiVersion: reconciler/v1\nkind: Client\nname: %s\ndisplayName: Shop %s\ndomain: %s\ntemplate: ecommerce\ncontact: {name: Dana, email: dana@%s.example}\n%s",
		name, name, name, name, lines1(more))
}

func lines1(more []string) string {
	if len(more) == 0 {
		return ""
	}
	return strings.Join(more, "\n") + "\n"
}

// newWorld makes an installation whose repository holds the template and these files.
func newWorld(t testing.TB, files map[string]string) *world {
	t.Helper()
	w := newBareWorld(t, files)
	w.configure("")
	w.plantLookAlikes()
	return w
}

// newBareWorld makes one without a configuration, and without embedded providers.
func newBareWorld(t testing.TB, files map[string]string) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), calls: &calls{}, clock: &quickClock{}, env: map[string]string{}}
	w.now = w.clock.Now
	w.plantTokens()
	repositories := filepath.Join(t.TempDir(), "git")
	w.repository = filepath.Join(repositories, "clients.git")
	git, err := gitserver.New(repositories)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{"templates/ecommerce.yaml": shopTemplate, "README.md": "clients\n"}
	for p, text := range files {
		all[p] = text
	}
	if _, err := git.Create("clients", "main", all, "Begin"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(git)
	t.Cleanup(server.Close)
	w.server = server
	w.url = server.URL + "/clients.git"
	w.listen = ownAddress(t)
	w.work = filepath.Join(t.TempDir(), "clients")
	w.git2(".", "clone", "-q", w.url, w.work)
	t.Cleanup(w.wantNoLeak) // after the stop
	t.Cleanup(func() { w.stop() })
	return w
}

// ownAddress returns an address that nobody listens at, below the ports that systems
// give out: what is free now is free again for the world's next command. Its UDP port is
// held until the test ends, so that no other test takes it between two commands.
func ownAddress(t testing.TB) string {
	t.Helper()
	for range 1000 {
		if c, err := tryAddress(fmt.Sprintf("127.0.0.1:%d", 10_000+rand.N(22_000))); err == nil {
			if err := c.tcp.Close(); err != nil {
				t.Fatal(err)
			}
			c.tcp = nil
			t.Cleanup(c.Close)
			return c.address
		}
	}
	t.Fatal("no port is free")
	return ""
}

// configure writes reconciler.yaml; more are further lines of it.
func (w *world) configure(more string) {
	w.t.Helper()
	text := fmt.Sprintf(`repository: {url: %q, branch: main, path: clients, poll: "@every 1h"}
state: {path: state.db, keyFile: key}
listen: %s
platform: {baseDomain: localhost, defaults: {deployment: local, database: sqlite, dns: local}}
schedules: {drift: "@every 1h", health: "@every 1h", purge: "@every 1h"}
providers: {embedded: {dir: ".", dns: "127.0.0.1:0"}}
%s`, w.url, w.listen, more)
	if err := os.WriteFile(filepath.Join(w.dir, defaultConfigFile), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) app(out, errOut io.Writer) *app {
	return &app{in: strings.NewReader(""), out: out, err: errOut, now: w.now, env: func(k string) string { return w.env[k] }, wrap: w.calls.wrap,
		public: w.public, reach: w.reach, wired: w.wired, sleep: w.clock.Sleep, quick: true, environ: w.environ}
}

// environ are the world's variables, and where programs are found.
func (w *world) environ() []string {
	out := []string{"PATH=" + os.Getenv("PATH")}
	for _, name := range sortedKeys(w.env) {
		out = append(out, name+"="+w.env[name])
	}
	return out
}

// result is how a command ended.
type result struct {
	code     int
	out, err string
}

// cli runs one command with the world's configuration.
func (w *world) cli(args ...string) result { w.t.Helper(); return w.cliIn("", args...) }

func (w *world) cliIn(in string, args ...string) result {
	w.t.Helper()
	var out, errOut bytes.Buffer
	a := w.app(&out, &errOut)
	a.in = strings.NewReader(in)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	code := a.run(ctx, append(args, "--config", filepath.Join(w.dir, defaultConfigFile)))
	w.hear("stdout of "+args[0], out.String())
	w.hear("stderr of "+args[0], errOut.String())
	if args[0] == "backup" && code == 0 {
		w.hear("backup", readAll(w.t, args[1]))
	}
	return result{code, out.String(), errOut.String()}
}

// must runs a command that has to end with the code.
func (w *world) must(code int, args ...string) result {
	w.t.Helper()
	r := w.cli(args...)
	if r.code != code {
		w.t.Fatalf("reconciler %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), r.code, code, r.out, r.err)
	}
	return r
}

// apply lets everything that is due run to its end: asked of the daemon where one runs,
// else done by the command itself.
func (w *world) apply() reconcile.Overview {
	w.t.Helper()
	r := w.cli("apply", "-o", "json")
	var v reconcile.Overview
	if err := json.Unmarshal([]byte(r.out), &v); err != nil {
		w.t.Fatalf("apply: exit code %d: %v\n%s%s", r.code, err, r.out, r.err)
	}
	return v
}

// active applies and wants every named client active.
func (w *world) active(names ...string) {
	w.t.Helper()
	v := w.apply()
	for _, n := range names {
		if r := rowOf(v, n); r.Status != string(state.StatusActive) {
			w.t.Fatalf("%s is %q (%s), want active", n, r.Status, r.Because)
		}
	}
}

func rowOf(v reconcile.Overview, name string) reconcile.Row {
	for _, r := range v.Clients {
		if r.Name == name {
			return r
		}
	}
	return reconcile.Row{}
}

// status is what `status -o json` says.
func (w *world) status() reconcile.Overview {
	w.t.Helper()
	var v reconcile.Overview
	w.json(&v, "status")
	return v
}

// why is what `why NAME -o json` says.
func (w *world) why(name string) reconcile.Detail {
	w.t.Helper()
	var v reconcile.Detail
	w.json(&v, "why", name)
	return v
}

func (w *world) plan(args ...string) reconcile.Preview {
	w.t.Helper()
	var v reconcile.Preview
	r := w.cli(append([]string{"plan", "-o", "json"}, args...)...)
	if err := json.Unmarshal([]byte(r.out), &v); err != nil {
		w.t.Fatalf("plan: exit code %d: %v\n%s%s", r.code, err, r.out, r.err)
	}
	return v
}

func (w *world) json(v any, args ...string) {
	w.t.Helper()
	r := w.must(0, append(args, "-o", "json")...)
	if err := json.Unmarshal([]byte(r.out), v); err != nil {
		w.t.Fatalf("%s: %v\n%s", args[0], err, r.out)
	}
}

// Git, as a person does it.

func (w *world) git2(dir string, args ...string) string {
	w.t.Helper()
	c := exec.Command("git", args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_TERMINAL_PROMPT=0",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=maintenance.auto", "GIT_CONFIG_VALUE_0=false", // a process more for each commit
		"GIT_AUTHOR_NAME=Dana", "GIT_AUTHOR_EMAIL=dana@agency.example", "GIT_COMMITTER_NAME=Dana", "GIT_COMMITTER_EMAIL=dana@agency.example")
	out, err := c.CombinedOutput()
	if err != nil {
		w.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (w *world) git(args ...string) string { w.t.Helper(); return w.git2(w.work, args...) }

// write edits files in the clone; "" removes.
func (w *world) write(files map[string]string) {
	w.t.Helper()
	for p, text := range files {
		path := filepath.Join(w.work, filepath.FromSlash(p))
		if text == "" {
			if err := os.Remove(path); err != nil {
				w.t.Fatal(err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			w.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			w.t.Fatal(err)
		}
	}
}

// commit writes files, commits and pushes; it returns the commit.
func (w *world) commit(files map[string]string) string {
	w.t.Helper()
	w.write(files)
	w.git("add", "-A")
	w.git("commit", "-q", "--allow-empty", "-m", "Change "+strings.Join(sortedKeys(files), ", "))
	return w.push()
}

func (w *world) push(args ...string) string {
	w.t.Helper()
	w.git(append([]string{"push", "-q", "origin", "HEAD:main"}, args...)...)
	return w.git("rev-parse", "HEAD")
}

// revert reverts a commit and pushes that.
func (w *world) revert(commit string) string {
	w.t.Helper()
	w.git("revert", "--no-edit", commit)
	return w.push()
}

func sortedKeys[T any](m map[string]T) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

// The daemon.

// start runs the daemon in this process until stop.
func (w *world) start() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	d := &running{stop: cancel, ended: make(chan int, 1), out: &buffer{}}
	a := w.app(d.out, d.out)
	if w.custom != nil {
		w.custom(a)
	}
	up := make(chan *program, 1)
	a.ready = func(p *program) { up <- p }
	go func() { d.ended <- a.run(ctx, []string{"run", "--config", filepath.Join(w.dir, defaultConfigFile)}) }()
	select {
	case d.program = <-up:
	case code := <-d.ended:
		cancel()
		w.t.Fatalf("the daemon ended with %d:\n%s", code, d.out)
	case <-time.After(patience):
		cancel()
		w.t.Fatalf("the daemon does not come up:\n%s", d.out)
	}
	w.daemon = d
}

// stop stops the daemon, if one runs, and wants it to end well.
func (w *world) stop() {
	w.t.Helper()
	d := w.daemon
	if d == nil {
		return
	}
	w.lookAround()
	w.daemon = nil
	if err := d.program.store.View(w.learn); err != nil && !errors.Is(err, store.ErrDamaged) {
		w.t.Errorf("learn the secrets: %v", err)
	}
	d.stop()
	defer func() { w.hear("log", d.out.String()) }()
	select {
	case code := <-d.ended:
		if code != 0 {
			w.t.Errorf("the daemon ended with %d:\n%s", code, d.out)
		}
	case <-time.After(patience):
		w.t.Fatalf("the daemon does not stop:\n%s", d.out)
	}
}

// get asks the running daemon's address for a host's page.
func (w *world) get(host, path string) (int, string) {
	w.t.Helper()
	code, body, err := w.tryGet(host, path)
	if err != nil {
		w.t.Fatalf("GET http://%s%s: %v", host, path, err)
	}
	return code, body
}

func (w *world) tryGet(host, path string) (int, string, error) {
	a, err := w.askAt(w.daemon.program.listensAt(), host, path)
	return a.code, a.body, err
}

// resolve asks the embedded DNS server; empty: it has no such name.
func (w *world) resolve(host string) []string {
	w.t.Helper()
	found, err := w.daemon.program.dns.LookupHost(context.Background(), host)
	if err != nil {
		return nil
	}
	var out []string
	for _, a := range found {
		out = append(out, a.String())
	}
	return out
}

// calls is a log of every provider call, and a place to interfere.
type calls struct {
	mu   sync.Mutex
	list []call
	// before and after are asked around every call that changes something; an error in
	// place of the provider's answer. after comes when the change has happened.
	before, after func(call) error
	// unready says that an observed object is shown as still being built.
	unready func(call) bool
}

// call is one call.
type call struct {
	Provider, Verb string // Verb: observe, owned, create, update, delete
	Kind           state.Kind
	Name           string // of a wish, or the id
}

func (c call) String() string {
	return c.Verb + " " + string(c.Kind) + " " + c.Name + " at " + c.Provider
}

// Writes says that the call changes something.
func (c call) Writes() bool { return c.Verb == "create" || c.Verb == "update" || c.Verb == "delete" }

func (c *calls) add(x call) error {
	c.mu.Lock()
	c.list = append(c.list, x)
	before := c.before
	c.mu.Unlock()
	if before != nil && x.Writes() {
		return before(x)
	}
	return nil
}

func (c *calls) done(x call) error {
	c.mu.Lock()
	after := c.after
	c.mu.Unlock()
	if after != nil {
		return after(x)
	}
	return nil
}

// interfere sets what is asked around writes.
func (c *calls) interfere(before, after func(call) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.before, c.after = before, after
}

// slow shows observed objects as still being built where unready says so.
func (c *calls) slow(unready func(call) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unready = unready
}

// since returns the calls after the first n.
func (c *calls) since(n int) []call {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]call(nil), c.list[n:]...)
}

func (c *calls) len() int { c.mu.Lock(); defer c.mu.Unlock(); return len(c.list) }

// writes are the calls after the first n that change something, as text.
func (c *calls) writes(n int) []string {
	var out []string
	for _, x := range c.since(n) {
		if x.Writes() {
			out = append(out, x.String())
		}
	}
	return out
}

func (c *calls) wrap(p provider.Provider) provider.Provider {
	if x, is := p.(provider.Purger); is {
		return loggedPurger{logged{p, c}, x}
	}
	return logged{p, c}
}

// loggedPurger is one that keeps copies of pages, and no databases.
type loggedPurger struct {
	provider.Provider
	purger provider.Purger
}

func (l loggedPurger) Purge(ctx context.Context, hosts []string) error {
	return l.purger.Purge(ctx, hosts)
}

// logged is a provider whose calls are noted.
type logged struct {
	provider.Provider
	calls *calls
}

func (l logged) Observe(ctx context.Context, q provider.Query) ([]provider.Object, error) {
	name := q.ID
	if name == "" {
		name = q.Name
	}
	x := call{l.Name(), "observe", q.Kind, name}
	if err := l.calls.add(x); err != nil {
		return nil, err
	}
	found, err := l.Provider.Observe(ctx, q)
	l.calls.mu.Lock()
	unready := l.calls.unready
	l.calls.mu.Unlock()
	if unready != nil && unready(x) {
		for i := range found {
			found[i].Phase = provider.Progressing
		}
	}
	return found, err
}

func (l logged) Owned(ctx context.Context, installation string) ([]provider.Object, error) {
	if err := l.calls.add(call{l.Name(), "owned", "", installation}); err != nil {
		return nil, err
	}
	return l.Provider.Owned(ctx, installation)
}

func (l logged) Create(ctx context.Context, w provider.Wish) (provider.Object, error) {
	x := call{l.Name(), "create", w.Ref.Kind, w.Ref.Name + " of " + string(w.Ref.Client)}
	if err := l.calls.add(x); err != nil {
		return provider.Object{}, err
	}
	o, err := l.Provider.Create(ctx, w)
	if err == nil {
		err = l.calls.done(x)
	}
	return o, err
}

func (l logged) Update(ctx context.Context, id string, w provider.Wish) (provider.Object, error) {
	x := call{l.Name(), "update", w.Ref.Kind, w.Ref.Name + " of " + string(w.Ref.Client)}
	if err := l.calls.add(x); err != nil {
		return provider.Object{}, err
	}
	o, err := l.Provider.Update(ctx, id, w)
	if err == nil {
		err = l.calls.done(x)
	}
	return o, err
}

func (l logged) Delete(ctx context.Context, kind state.Kind, id string) error {
	x := call{l.Name(), "delete", kind, id}
	if err := l.calls.add(x); err != nil {
		return err
	}
	err := l.Provider.Delete(ctx, kind, id)
	if err == nil {
		err = l.calls.done(x)
	}
	return err
}

func (l logged) Dump(ctx context.Context, id, path string) error {
	d, ok := l.Provider.(provider.Dumper)
	if !ok {
		return &provider.Error{Kind: provider.Unsupported, Provider: l.Name(), Op: "dump", Message: "it can't"}
	}
	return d.Dump(ctx, id, path)
}

// mover is the provider below, if it can move databases.
func (l logged) mover(op string) (provider.Mover, error) {
	m, ok := l.Provider.(provider.Mover)
	if !ok {
		return nil, &provider.Error{Kind: provider.Unsupported, Provider: l.Name(), Op: op, Message: "it can't"}
	}
	return m, nil
}

func (l logged) Freeze(ctx context.Context, id string) error {
	m, err := l.mover("freeze")
	if err != nil {
		return err
	}
	return m.Freeze(ctx, id)
}

func (l logged) Thaw(ctx context.Context, id string) error {
	m, err := l.mover("thaw")
	if err != nil {
		return err
	}
	return m.Thaw(ctx, id)
}

func (l logged) Content(ctx context.Context, id string) (provider.Content, error) {
	m, err := l.mover("compare")
	if err != nil {
		return provider.Content{}, err
	}
	return m.Content(ctx, id)
}

func (l logged) Load(ctx context.Context, id, path string) error {
	m, err := l.mover("load")
	if err != nil {
		return err
	}
	return m.Load(ctx, id, path)
}

func readAll(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func writeAll(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// id is a client's immutable id.
func (w *world) id(name string) state.ClientID { w.t.Helper(); return state.ClientID(w.why(name).ID) }

// verdict is what is known of a commit; the daemon must run.
func (w *world) verdict(commit string) state.Verdict {
	w.t.Helper()
	var v state.Verdict
	err := w.daemon.program.store.View(func(tx store.Tx) (err error) {
		v, _, err = store.Verdict(tx, commit)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}
