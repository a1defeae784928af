package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/bolt"
	"github.com/compassdigital/reconciler/internal/gitserver"
	"github.com/compassdigital/reconciler/internal/journal"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/secret"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// crashWorld is an installation whose program is a process that dies again and again: a
// real Git repository, a state file, and providers in a process that outlives it.
type crashWorld struct {
	t      testing.TB
	dir    string
	seed   uint64
	rng    *rand.Rand
	git    *gitserver.Server
	url    string
	host   *remote
	states string   // the folder of the state; "": dir
	env    []string // more of the processes' environment
	log    []string // what happened, for a failure

	shops map[string]shop // the branch
	known map[string]shop // the last of every name that there was
	names int
	gone  map[string]bool // clients that were wished by nobody since databases were asked for
	// accepted are the names that the program knew at the last check.
	accepted map[string]bool
}

// shop is a manifest as the world writes it.
type shop struct {
	Name, Was string
	Currency  string
	Alias     bool
	Extra     string // another alias
	Note      string // a TXT record
	Long      bool   // it takes room on the disk
	Broken    bool   // the file can't be read
	Fails     bool   // its build fails
}

func (s shop) text() string {
	lines := []string{"env: {STORE_CURRENCY: " + s.Currency + "}"}
	if names := s.hosts()[1:]; len(names) > 0 {
		lines = append(lines, "aliases: ["+strings.Join(names, ", ")+"]")
	}
	if s.Note != "" {
		lines = append(lines, "dns: {records: [{type: TXT, name: note, content: "+s.Note+"}]}")
	}
	if s.Long {
		lines = append(lines, "notes: "+strings.Repeat("long ", 1500))
	}
	if s.Was != "" {
		lines = append(lines, "previously: ["+s.Was+"]")
	}
	if s.Fails {
		lines = append(lines, "settings: {breakBuild: true}")
	}
	if s.Broken {
		lines = append(lines, "nonsense: [")
	}
	return manifestOf(s.Name, lines...)
}

func (s shop) hosts() []string {
	out := []string{s.Name + ".localhost"}
	if s.Alias {
		out = append(out, "www-"+s.Name+".localhost")
	}
	if s.Extra != "" {
		out = append(out, s.Extra)
	}
	return out
}

// shortDir is a folder in memory where there is one, with a name that sockets can have.
func shortDir(t testing.TB) string {
	t.Helper()
	base := ""
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		base = "/dev/shm"
	}
	dir, err := os.MkdirTemp(base, "crash")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// crashConfig is the world's configuration: everything is allowed that needs no person.
const crashConfig = `repository: {url: %q, branch: main, path: clients, poll: "@every 1s"}
state: {path: state.db, keyFile: key}
listen: 127.0.0.1:0
platform: {baseDomain: localhost, defaults: {deployment: local, database: sqlite, dns: local}}
guard: {maxDeletes: 1000, maxDeletePercent: 100, maxCreates: 1000, maxChanged: 1000}
schedules: {drift: "@every 1h", health: "@every 1h", purge: "@every 1h"}
`

func newCrashWorld(t testing.TB, seed uint64, spec hostSpec) *crashWorld {
	t.Helper()
	return newCrashWorldAt(t, "", seed, spec)
}

// newCrashWorldAt keeps the state in a folder of its own; "": with all the rest.
func newCrashWorldAt(t testing.TB, states string, seed uint64, spec hostSpec) *crashWorld {
	t.Helper()
	w := &crashWorld{t: t, dir: shortDir(t), states: states, seed: seed, rng: rand.New(rand.NewPCG(seed, 2)), shops: map[string]shop{}, known: map[string]shop{}, gone: map[string]bool{}}
	var err error
	if w.git, err = gitserver.New(filepath.Join(w.dir, "git")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.git.Create("clients", "main", map[string]string{"templates/ecommerce.yaml": shopTemplate, "README.md": "clients\n"}, "Begin"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(w.git)
	t.Cleanup(server.Close)
	w.url = server.URL + "/clients.git"
	config := strings.Replace(fmt.Sprintf(crashConfig, w.url), "state.db", w.path("state.db"), 1)
	if err := os.WriteFile(w.path(defaultConfigFile), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	spec.Socket, spec.Seed = w.path("providers"), seed
	if spec.Dir != "" {
		spec.Dir = w.path("vendor")
	}
	w.host = startHost(t, spec)
	return w
}

// path is where something of the world is; what begins with the state's name, where states are.
func (w *crashWorld) path(name string) string {
	if w.states != "" && strings.HasPrefix(name, "state.db") {
		return filepath.Join(w.states, name)
	}
	return filepath.Join(w.dir, name)
}

func (w *crashWorld) say(format string, a ...any) {
	w.log = append(w.log, time.Now().Format("05.000 ")+fmt.Sprintf(format, a...))
	if len(w.log) > 200 {
		w.log = w.log[100:]
	}
}

// Commits.

// commit writes what changed of the branch.
func (w *crashWorld) commit(changed ...string) error {
	files := map[string]*string{}
	for _, name := range changed {
		path := "clients/" + name + ".yaml"
		s, there := w.shops[name]
		if !there {
			files[path] = nil
			w.gone[name] = true
			continue
		}
		w.known[name] = s
		text := s.text()
		files[path] = &text
	}
	head, err := w.git.Commit("clients", files, "Change "+strings.Join(changed, ", "))
	if errors.Is(err, gitserver.ErrNothing) {
		return nil
	}
	w.say("commit %.8s: %s", head, strings.Join(changed, ", "))
	return err
}

func (w *crashWorld) alive() []string { return sortedKeys(w.shops) }

// crashFleet is how many clients there are at once.
const crashFleet = 4

// change makes a random commit.
func (w *crashWorld) change() error {
	alive := w.alive()
	pick := func() shop { return w.shops[alive[w.rng.IntN(len(alive))]] }
	n := w.rng.IntN(20)
	switch {
	case len(alive) == 0, n < 5 && len(alive) < crashFleet:
		return w.add()
	case n < 7 && len(alive) > 1: // an empty tree would hold everything
		s := pick()
		delete(w.shops, s.Name)
		return w.commit(s.Name)
	case n == 7: // renamed, which only a name can be that was accepted
		s := pick()
		if !w.accepted[s.Name] {
			return nil
		}
		delete(w.shops, s.Name)
		old := s.Name
		w.names++
		s.Was, s.Name = old, fmt.Sprintf("shop%d", w.names)
		w.shops[s.Name] = s
		return w.commit(old, s.Name)
	}
	s := pick()
	switch n {
	case 8:
		s.Broken = !s.Broken
	case 9:
		s.Fails = !s.Fails
		s.Currency = w.currency(s.Currency)
	case 10, 11:
		s.Alias = !s.Alias
	case 12, 13:
		s.Note = fmt.Sprintf("note%d", w.rng.IntN(1000))
	default:
		s.Currency = w.currency(s.Currency)
	}
	w.shops[s.Name] = s
	return w.commit(s.Name)
}

func (w *crashWorld) currency(was string) string {
	for {
		if c := []string{"EUR", "CHF", "USD", "SEK"}[w.rng.IntN(4)]; c != was {
			return c
		}
	}
}

// add wishes a new client, or one that was there before.
func (w *crashWorld) add() error {
	var back []string
	for name := range w.known {
		if _, there := w.shops[name]; !there && !w.tookOver(name) {
			back = append(back, name)
		}
	}
	sort.Strings(back)
	if len(back) > 0 && w.rng.IntN(3) == 0 {
		s := w.known[back[w.rng.IntN(len(back))]]
		s.Broken, s.Fails, s.Was = false, false, ""
		w.shops[s.Name] = s
		return w.commit(s.Name)
	}
	w.names++
	s := shop{Name: fmt.Sprintf("shop%d", w.names), Currency: w.currency(""), Alias: w.rng.IntN(3) == 0, Fails: w.rng.IntN(8) == 0}
	w.shops[s.Name] = s
	return w.commit(s.Name)
}

// tookOver says that a client was renamed: its old name is not to come back.
func (w *crashWorld) tookOver(name string) bool {
	for _, s := range w.known {
		if s.Was == name {
			return true
		}
	}
	return false
}

// Processes.

// crashRun is a process of the program.
type crashRun struct {
	cmd     *exec.Cmd
	args    []string
	started time.Time
	lines   chan string // what it tells; closed when it ended
	out     *buffer
	errOut  *buffer
}

// begin starts the program.
func (w *crashWorld) begin(failpoint string, args ...string) (*crashRun, error) {
	r := &crashRun{args: args, lines: make(chan string, 100), out: &buffer{}, errOut: &buffer{}}
	r.cmd = exec.Command(os.Args[0], withConfig(args, w.path(defaultConfigFile))...)
	r.cmd.Env = append(os.Environ(), remoteVariable+"="+w.path("providers"), "RECONCILER_FAILPOINT="+failpoint)
	r.cmd.Env = append(r.cmd.Env, w.env...)
	r.cmd.Stdout, r.cmd.Stderr = r.out, r.errOut
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	r.cmd.ExtraFiles = []*os.File{write}
	r.started = time.Now()
	err = r.cmd.Start()
	_ = write.Close() // the process has it
	if err != nil {
		_ = read.Close()
		return nil, err
	}
	w.say("start %d: %s %s", r.cmd.Process.Pid, strings.Join(args, " "), failpoint)
	go func() {
		defer read.Close()
		defer close(r.lines)
		for scan := bufio.NewScanner(read); scan.Scan(); {
			r.lines <- scan.Text()
		}
	}()
	return r, nil
}

// withConfig names the world's configuration, unless the arguments name another one.
func withConfig(args []string, path string) []string {
	if slices.Contains(args, "--config") {
		return args
	}
	return append(slices.Clone(args), "--config", path)
}

// crashEnd is how a process ended.
type crashEnd struct {
	killed    bool
	code      int
	open      int           // intents that were open when it started
	recovered time.Duration // until those were settled or shown; 0: it died before
	how       string
	busy      bool          // it had not said that nothing is due
	idle      time.Duration // until it said so
	ran       time.Duration
}

// wait lets the process run until it ends, or until it was killed: at a time (zero: not),
// or when it is idle, unless more says that there is something to do.
func (r *crashRun) wait(after time.Duration, more func() bool) (crashEnd, error) {
	e := crashEnd{busy: true, open: -1}
	var timer <-chan time.Time
	if after > 0 {
		timer = time.After(after - time.Since(r.started))
	}
	hung := time.NewTimer(patience)
	defer hung.Stop()
	lines := r.lines
	for lines != nil {
		select {
		case line, ok := <-lines:
			word, rest, _ := strings.Cut(line, " ")
			switch {
			case !ok:
				lines = nil
			case word == saidWired:
				_, _ = fmt.Sscan(rest, &e.open)
			case word == saidSettled:
				e.recovered, e.how = time.Since(r.started), rest
			case word == saidIdle:
				if e.idle == 0 {
					e.idle = time.Since(r.started)
				}
				if more != nil && more() {
					continue
				}
				if e.busy && r.args[0] == "run" {
					e.busy = false
					_ = r.cmd.Process.Kill()
				}
			case word == saidUnread:
			default:
				return e, fmt.Errorf("it says %q", line)
			}
		case <-timer:
			_ = r.cmd.Process.Kill() // it may have ended by itself
		case <-hung.C:
			_ = r.cmd.Process.Signal(syscall.SIGQUIT)
			_ = r.cmd.Wait()
			return e, fmt.Errorf("%v hangs:\n%s", r.args, r.errOut)
		}
	}
	err := r.cmd.Wait()
	e.ran, e.code = time.Since(r.started), r.cmd.ProcessState.ExitCode()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		ws, ok := exit.Sys().(syscall.WaitStatus)
		e.killed = ok && ws.Signaled() && ws.Signal() == syscall.SIGKILL
		err = nil
	}
	if err == nil && !e.killed && (e.code < 0 || strings.Contains(r.errOut.String(), "panic")) {
		err = fmt.Errorf("%v ended with %d:\n%s", r.args, e.code, r.errOut)
	}
	return e, err
}

// command runs one command to its end.
func (w *crashWorld) command(args ...string) (crashEnd, string, error) {
	r, err := w.begin("", args...)
	if err != nil {
		return crashEnd{}, "", err
	}
	e, err := r.wait(0, nil)
	if err == nil && e.killed {
		err = fmt.Errorf("%v was killed by somebody", args)
	}
	return e, r.out.String() + r.errOut.String(), err
}

// overview is what `apply` shows, after everything that is due.
func (w *crashWorld) overview() (reconcile.Overview, error) {
	var v reconcile.Overview
	r, err := w.begin("", "apply", "-o", "json")
	if err != nil {
		return v, err
	}
	e, err := r.wait(0, nil)
	if err != nil || e.killed {
		return v, fmt.Errorf("apply ended with %d, killed %v: %w", e.code, e.killed, err)
	}
	if err := json.Unmarshal([]byte(r.out.String()), &v); err != nil {
		return v, fmt.Errorf("apply: %w\n%s%s", err, r.out, r.errOut)
	}
	return v, nil
}

// What is true.

// record is what the state file says while nobody has it open.
type record struct {
	installation string
	clients      []state.Client
	resources    []state.Resource
	intents      []journal.Intent
}

func (w *crashWorld) keys() *secret.Keys {
	w.t.Helper()
	keys, err := secret.Open(secret.KeySource{File: w.path("key"), Existing: true})
	if err != nil {
		w.t.Fatal(err)
	}
	return keys
}

func (w *crashWorld) read() (rec record, err error) {
	path := w.path("state.db")
	if !exists(path) {
		return rec, nil
	}
	s, err := bolt.Open(bolt.Options{Path: path, Keys: w.keys(), Now: time.Now, NoSync: true})
	if err != nil {
		return rec, err
	}
	err = s.View(func(tx store.Tx) error {
		in, _, err := store.Installation(tx)
		if err != nil {
			return err
		}
		rec.installation = in.ID
		if rec.clients, err = store.Clients(tx); err != nil {
			return err
		}
		if rec.resources, err = store.AllResources(tx); err != nil {
			return err
		}
		for _, c := range rec.clients {
			open, err := store.Intents(tx, c.ID)
			if err != nil {
				return err
			}
			rec.intents = append(rec.intents, open...)
		}
		return nil
	})
	return rec, errors.Join(err, s.Close())
}

// check compares the state file with what the host knows, at any time. settled says that
// nothing is under way: then both are the same.
func (w *crashWorld) check(settled bool) (truth, error) {
	var t truth
	rec, err := w.read()
	if err != nil {
		return t, fmt.Errorf("read the state: %w", err)
	}
	if err := w.host.ask(context.Background(), "/truth?installation="+rec.installation, nil, &t); err != nil {
		return t, err
	}
	w.accepted = map[string]bool{}
	for _, c := range rec.clients {
		w.accepted[c.Name] = !c.Removed
	}
	bad := t.Bad
	recorded := map[string]bool{}
	for _, r := range rec.resources {
		if r.Real() {
			recorded[r.Provider+" "+string(r.Ref.Kind)+" "+r.ID] = true
		}
	}
	databases := map[string]bool{}
	for _, r := range rec.resources {
		databases[r.ID] = r.Ref.Kind == state.KindDatabase
	}
	for _, o := range t.Objects {
		id := o.Owner + " " + string(o.Kind) + " " + o.ID
		intent := slices.ContainsFunc(rec.intents, func(i journal.Intent) bool {
			return i.Provider == o.Owner && i.Ref.Kind == o.Kind && (i.Name == o.Name || i.ObjectID == o.ID)
		})
		switch {
		case recorded[id], intent:
		case o.Kind == state.KindMail: // what was sent is taken off the record with its client
		case o.Kind == state.KindAdmin && databases[o.Inside]: // off the record before its database is erased, with which it goes
		default:
			bad = append(bad, "I2: an orphan: "+id+" "+o.Name)
		}
		delete(recorded, id)
	}
	if settled {
		for id := range recorded {
			bad = append(bad, "on record, and not there: "+id)
		}
		for _, c := range rec.clients {
			if c.Removed && !slices.ContainsFunc(rec.resources, func(r state.Resource) bool { return r.Ref.Client == c.ID }) {
				bad = append(bad, "nothing is left of "+string(c.ID)+", and it is not forgotten")
			}
		}
		for _, i := range rec.intents {
			bad = append(bad, "an open intent: "+string(i.Op)+" "+i.Key)
		}
	}
	for _, client := range t.Erased {
		name := client[:strings.LastIndex(client, "-")]
		if _, wished := w.shops[name]; wished && !w.gone[name] && !w.renamed(name) {
			bad = append(bad, "P5: the database of "+client+" was erased, and its manifest never went")
		}
	}
	if len(bad) > 0 {
		return t, errors.New(strings.Join(bad, "\n"))
	}
	return t, nil
}

// renamed says that the name was another client's before, whose id it still has.
func (w *crashWorld) renamed(name string) bool { return w.known[name].Was != "" }

// settle lets everything come to its end, undisturbed, and checks that it is as wished.
func (w *crashWorld) settle() error {
	if err := w.host.ask(context.Background(), "/arm", armed{}, nil); err != nil {
		return err
	}
	for name, s := range w.shops {
		if s.Broken || s.Fails {
			s.Broken, s.Fails = false, false
			w.shops[name] = s
			if err := w.commit(name); err != nil {
				return err
			}
		}
	}
	const tries = 12
	var wrong []string
	for n := range tries {
		v, err := w.overview()
		if err != nil {
			return err
		}
		if wrong = w.unfit(v); len(wrong) == 0 {
			break
		}
		if n == tries-1 {
			return fmt.Errorf("it does not come to its end:\n%s", strings.Join(wrong, "\n"))
		}
		for _, r := range v.Clients {
			if n > 2 && (r.Status == string(state.StatusFailed) || r.Status == string(state.StatusHeld)) {
				if _, _, err := w.command("retry", r.ID); err != nil {
					return err
				}
			}
		}
		if err := w.host.pass(context.Background(), 10*time.Minute); err != nil {
			return err
		}
	}
	before, err := w.check(true)
	if err != nil {
		return err
	}
	if _, err := w.overview(); err != nil {
		return err
	}
	after, err := w.check(true)
	if err != nil {
		return err
	}
	if after.Writes != before.Writes {
		return fmt.Errorf("%d writes although nothing is left to do", after.Writes-before.Writes)
	}
	for _, s := range w.shops {
		for _, host := range s.hosts() {
			got, err := w.host.serves(context.Background(), host)
			if err != nil || !strings.Contains(got, s.Currency) {
				return fmt.Errorf("%s serves %.200q (%v), want %s", host, got, err, s.Currency)
			}
		}
	}
	return nil
}

// unfit says which clients are not as the branch wishes them.
func (w *crashWorld) unfit(v reconcile.Overview) (out []string) {
	left := map[string]bool{}
	for name := range w.shops {
		left[name] = true
	}
	for _, r := range v.Clients {
		switch {
		case left[r.Name] && r.Status == string(state.StatusActive):
			delete(left, r.Name)
		case r.Status == string(state.StatusRetained):
		default:
			out = append(out, fmt.Sprintf("%s (%s) is %s: %s", r.Name, r.ID, r.Status, r.Because))
		}
	}
	for name := range left {
		out = append(out, name+" is not there")
	}
	sort.Strings(out)
	return out
}
