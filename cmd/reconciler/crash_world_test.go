package main

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/gitserver"
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
	lost   lostState
	place  *world // what came out, looked through for secrets
	// vendors says that some clients are at simulated vendors.
	vendors bool

	shops map[string]shop // the branch
	known map[string]shop // the last of every name that there was
	names int
	left  map[string]string // the accounts of whoever was removed, as they were when that was done
	back  map[string]bool   // who was wished since the last check
	gone  map[string]bool   // clients that were wished by nobody since databases were asked for
	// accepted are the names that the program knew at the last check.
	accepted map[string]bool
	last     record          // what the program knew then
	former   map[string]bool // names of clients that were renamed: they don't come back
	byHand   map[string]bool // what a person made at vendors, by owner and id

	pid       int     // the last process
	told      string  // what the last apply said beside its overview
	copy      *copied // nil: there is none
	older     *older  // nil: none was put back
	approvals int     // that people gave because they were asked
	rebuilds  int     // the same
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
	At        string // ploi or vercel, with its database at railway and its names at cloudflare; "": none of them
	User      bool   // its site is Payload's, at one of them
	Tier      string // it takes payments, at Stripe; "": it does not
	Proxied   bool   // its names are behind Cloudflare's proxy
	Adopts    hand   // what a person made of it, which it takes over
	Paused    bool
	DNS       string // where its names are, though its site is here; "": here
}

func (s shop) text() string {
	lines := []string{"env: {STORE_CURRENCY: " + s.Currency + "}"}
	if names := s.hosts()[1:]; len(names) > 0 {
		lines = append(lines, "aliases: ["+strings.Join(names, ", ")+"]")
	}
	var dns []string
	if s.At != "" {
		lines = append(lines, "deployment: {provider: "+s.At+"}", "database: {provider: railway}")
		dns = append(dns, "provider: cloudflare")
	}
	if s.DNS != "" {
		dns = append(dns, "provider: "+s.DNS)
	}
	if s.Proxied {
		dns = append(dns, "proxied: true")
	}
	if s.Note != "" {
		dns = append(dns, "records: [{type: TXT, name: note, content: "+s.Note+"}]")
	}
	if len(dns) > 0 {
		lines = append(lines, "dns: {"+strings.Join(dns, ", ")+"}")
	}
	if s.Tier != "" {
		lines = append(lines, "payments: {enabled: true, country: NL, pricingTier: "+s.Tier+"}")
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
	if s.Adopts.Site != "" {
		lines = append(lines, fmt.Sprintf("adopt: {site: {id: %q}, database: {id: %q}}", s.Adopts.Site, s.Adopts.Database))
	}
	if s.Paused {
		lines = append(lines, "paused: true")
	}
	if s.Broken {
		lines = append(lines, "nonsense: [")
	}
	text := manifestOf(s.Name, lines...)
	if s.At != "" {
		template := "template: storefront"
		if s.User {
			template = "template: cms"
		}
		text = strings.Replace(text, "template: ecommerce", template, 1)
	}
	return text
}

// storefrontTemplate is the template of sites at vendors, whose administrators are their own.
func storefrontTemplate() string {
	return strings.NewReplacer("name: ecommerce", "name: storefront", "source: {repository: builtin, ref: v1, directory: ecommerce}", "source: {repository: compassdigital/storefront, ref: v1}", "admin: {kind: payload, path: /admin}", "admin: {kind: none}").Replace(shopTemplate)
}

// cmsTemplate is the template of Payload sites at vendors.
func cmsTemplate() string {
	return strings.NewReplacer("name: storefront", "name: cms", "admin: {kind: none}", "admin: {kind: payload, path: /admin}").Replace(storefrontTemplate())
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
	dir, err := os.MkdirTemp(base, "crash") //nolint:usetesting // in memory, where there is some, and short enough for a socket
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
	w := &crashWorld{t: t, dir: shortDir(t), states: states, seed: seed, rng: rand.New(rand.NewPCG(seed, 2)), shops: map[string]shop{}, known: map[string]shop{}, gone: map[string]bool{}, back: map[string]bool{}, former: map[string]bool{}, byHand: map[string]bool{}}
	w.place = scene(t, w.dir)
	w.place.ears.states = states
	w.place.ears.given["first/key"] = true // of a first start
	w.place.plantTokens()
	t.Cleanup(w.place.wantNoLeak) // after the host's end
	var err error
	if w.git, err = gitserver.New(filepath.Join(w.dir, "git")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.git.Create("clients", "main", map[string]string{"templates/ecommerce.yaml": shopTemplate, "templates/storefront.yaml": storefrontTemplate(), "templates/cms.yaml": cmsTemplate(), "README.md": "clients\n"}, "Begin"); err != nil {
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
	if w.vendors = spec.Vendors != nil; w.vendors {
		spec.Vendors = w.place.env // the tokens
	}
	w.host = startHost(t, spec)
	if w.vendors {
		var at string
		if err := w.host.ask(t.Context(), "/vendors", nil, &at); err != nil {
			t.Fatal(err)
		}
		w.env = append(w.env, vendorsVariable+"="+at)
	}
	return w
}

// fresh is a new client: with vendors every other one is at one of them, some of those are
// Payload sites, and some of all take payments.
func (w *crashWorld) fresh() shop {
	w.names++
	s := shop{Name: fmt.Sprintf("shop%d", w.names), Currency: w.currency("")}
	if w.vendors {
		s.At = []string{"", "ploi", "", "vercel"}[w.names%4]
		s.User = s.At != "" && w.names%8 < 4
		s.Tier = w.tier("")
	}
	return s
}

// tier is another one than it was, or none.
func (w *crashWorld) tier(was string) string {
	for {
		if t := []string{"", "standard", "premium"}[w.rng.IntN(3)]; t != was || t == "" {
			return t
		}
	}
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
			delete(w.accepted, name) // once it is back it can be renamed when that was read
			if w.older != nil {
				maps.DeleteFunc(w.older.data, func(_, of string) bool { return of == name })
			}
			continue
		}
		w.known[name], w.back[name] = s, true
		text := s.text()
		files[path] = &text
	}
	head, err := w.git.Commit("clients", files, "Change "+strings.Join(changed, ", "))
	if errors.Is(err, gitserver.ErrNothing) {
		return nil
	}
	var what []string
	for _, name := range changed {
		s, there := w.shops[name]
		what = append(what, fmt.Sprintf("%s there=%v broken=%v fails=%v", name, there, s.Broken, s.Fails))
	}
	w.say("commit %.8s: %s", head, strings.Join(what, ", "))
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
		w.former[old] = true
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
		if w.vendors && w.rng.IntN(2) == 0 {
			s.Tier = w.tier(s.Tier)
			break
		}
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
		if _, there := w.shops[name]; !there && !w.former[name] {
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
	s := w.fresh()
	s.Alias, s.Fails = w.rng.IntN(3) == 0, w.rng.IntN(8) == 0
	w.shops[s.Name] = s
	return w.commit(s.Name)
}
