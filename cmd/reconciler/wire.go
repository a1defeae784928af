package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/bolt"
	"github.com/compassdigital/reconciler/internal/daemon"
	"github.com/compassdigital/reconciler/internal/github"
	"github.com/compassdigital/reconciler/internal/health"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/notify"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/external"
	"github.com/compassdigital/reconciler/internal/provider/local"
	"github.com/compassdigital/reconciler/internal/provider/localdns"
	"github.com/compassdigital/reconciler/internal/provider/mailbox"
	"github.com/compassdigital/reconciler/internal/provider/sqlite"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/review"
	"github.com/compassdigital/reconciler/internal/secret"
	"github.com/compassdigital/reconciler/internal/source"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/takeover"
	"github.com/compassdigital/reconciler/internal/underway"
	"github.com/compassdigital/reconciler/internal/web"
)

// gitTokenTime is how long a token to read the repository with may take to be had.
const gitTokenTime = 20 * time.Second

// stepsAtOnce is how many steps of one group run side by side.
const stepsAtOnce = 8

// soakTime is how long the side of a site that was replaced still serves once its address is
// forgotten: for those who keep it longer than they should, and for a change of mind.
const soakTime = 10 * time.Minute

// program is everything that runs, wired: the only place where concrete types meet.
type program struct {
	config Config
	now    func() time.Time
	wrap   func(provider.Provider) provider.Provider // nil: providers are used as they are
	sleep  func(context.Context, time.Duration) error
	quick  bool // for tests: see app
	fail   func(point, action string)
	public external.Lookup // what the world's DNS answers
	// standIn says that public stands for the world, and nobody else is to be asked.
	standIn bool
	log     *slog.Logger
	store   *bolt.Store
	git     *source.Repository
	engine  *reconcile.Engine
	daemon  *daemon.Daemon
	keys    *secret.Keys
	anew    bool // a state that is gone is made anew
	// installationID is whose marks count, where somebody said so.
	installationID string
	backupError    atomic.Value // string: why the last backup by schedule failed, "" else
	sites          *local.Provider
	front          frontage                                  // what serves sites on our own address; nil: nobody
	sims           *simulations                              // the demo's vendors; nil elsewhere
	reach          func(http.RoundTripper) http.RoundTripper // as app's
	caught         func() ([]web.Message, error)             // mail that went to nobody; nil: none is caught
	dns            *localdns.Provider
	mail           *mailbox.Provider
	mailer         string           // who sends mail; "": nobody
	notifier       *notify.Notifier // nil: nobody is told by mail
	address        atomic.Value     // host:port at which we listen, once we do
	claims         []*claim         // addresses that are held until they are listened at
	emit           atomic.Value     // func(apply.Event)
	tell           atomic.Value     // func(state.Report)
	// gitServer serves the demo's repository; nil elsewhere.
	gitServer http.Handler
	// forge serves the demo's pull requests; nil elsewhere.
	forge http.Handler
	// over is a test's; see app.
	over    func(vendor string, api http.Handler) http.Handler
	closers []func() error
	// github, reviewer and webhooks are there where a forge is configured.
	github   *github.API
	reviewer *review.Reviewer
	webhooks http.Handler
	payments *payments // nil: nobody takes payments
	vendors  *vendors
	// listers show what accounts hold, markers write on it whose it is: for adoption.
	listers []takeover.Source
	markers map[key]provider.Marker
	lacks   atomic.Pointer[lacks] // what GitHub does not let us do, as it said last
}

// frontage serves sites on our own address: the embedded ones, or those at simulated vendors.
type frontage interface {
	// Owns says that a request is meant for a site.
	Owns(r *http.Request) bool
	// Path is where the site that has a host is found whatever name is asked for; "": nowhere.
	Path(host string) string
	Handler() http.Handler
}

// key names who keeps a kind.
type key struct {
	name string
	kind state.Kind
}

// build opens everything that a configuration names. close must be called.
func (a *app) build(ctx context.Context, c Config, log *slog.Logger) (p *program, err error) {
	if log == nil {
		log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	p = &program{config: c, log: log, vendors: newVendors(), anew: a.anew, installationID: a.installation, now: a.now, wrap: a.wrap, sleep: a.sleep, quick: a.quick, public: a.public, sims: a.sims, reach: a.reach, over: a.over,
		fail: failAt(a.env("RECONCILER_FAILPOINT"))}
	if p.standIn = p.public != nil; !p.standIn {
		p.public = external.DNS(net.DefaultResolver)
	}
	if p.sleep == nil {
		p.sleep = sleep
	}
	p.address.Store(c.Listen)
	for _, n := range c.notices() {
		log.Warn("configuration", "note", n)
	}
	defer func() {
		if err != nil {
			err = errors.Join(notOurs(err), p.close())
		}
	}()
	if err := p.openState(c); err != nil {
		return p, err
	}
	in, err := reconcile.Installation(p.store, p.installation, p.now())
	if err == nil {
		in, err = p.chosen(in)
	}
	if err != nil {
		return p, err
	}
	open := p.openProviders
	if a.providers != nil {
		open = a.providers
	}
	providers, err := open(ctx, c)
	if err != nil {
		return p, err
	}
	if err := p.openGitHub(c); err != nil {
		return p, err
	}
	if err := p.openSource(c); err != nil {
		return p, err
	}
	if err := p.wire(c, in, providers); err != nil {
		return p, err
	}
	if p.sims != nil {
		p.simulate(p.sims)
	}
	if err := p.openSecretSources(c, a.environ); err != nil {
		return p, err
	}
	if a.wired != nil {
		a.wired(p)
	}
	return p, nil
}

func (p *program) openState(c Config) error {
	keys, err := secret.Open(secret.KeySource{File: c.State.KeyFile, Env: c.State.Key.Secret, Existing: p.installationID == "" && (exists(c.State.Path) || exists(bolt.Marker(c.State.Path)))})
	if err != nil {
		return err
	}
	p.keys = keys
	p.store, err = bolt.Open(bolt.Options{Path: c.State.Path, Keys: keys, Now: p.now, NoSync: p.quick, Anew: p.anew, At: func(point string) { p.fail(point, "") }})
	if err != nil {
		return err
	}
	p.closers = append(p.closers, p.store.Close)
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, os.ErrNotExist)
}

// installation is who a new state is. It comes from the key, so that who lost the state
// and kept the key still knows its own marks.
func (p *program) installation() (string, error) {
	return p.keys.Fingerprint(state.NewSecret("installation"))[:8], nil
}

func (p *program) openSource(c Config) error {
	o, err := p.sourceOptions(c)
	if err != nil {
		return err
	}
	if p.git, err = source.Open(o); err != nil {
		return err
	}
	p.closers = append(p.closers, p.git.Close)
	return nil
}

// sourceOptions says how the repository is read. GitHub is opened before.
func (p *program) sourceOptions(c Config) (source.Options, error) {
	token, err := tokenOf(c.Repository)
	if err != nil {
		return source.Options{}, err
	}
	if token == nil && p.github != nil && sameHost(c.Repository.URL, c.GitHub.APIURL) {
		token = func() state.Secret {
			ctx, cancel := context.WithTimeout(context.Background(), gitTokenTime)
			defer cancel()
			return p.github.GitToken(ctx)
		}
	}
	return source.Options{URL: c.Repository.URL, Branch: c.Repository.Branch, Path: c.Repository.Path,
		Dir: filepath.Join(filepath.Dir(c.State.Path), "mirror"), Token: token, SSHKeyFile: c.Repository.SSHKeyFile, KnownHostsFile: c.Repository.KnownHosts, CAFile: c.Network.CAFile}, nil
}

func tokenOf(c RepositoryConfig) (func() state.Secret, error) {
	if !c.Token.Empty() {
		return func() state.Secret { return c.Token.Secret }, nil
	}
	if c.TokenFile == "" {
		return nil, nil
	}
	if _, err := os.Stat(c.TokenFile); err != nil {
		return nil, fmt.Errorf("read repository.tokenFile: %w", err)
	}
	return func() state.Secret { // read each time: tokens are rotated
		data, err := os.ReadFile(c.TokenFile)
		if err != nil {
			return state.Secret{}
		}
		return state.NewSecret(strings.TrimSpace(string(data)))
	}, nil
}

// openProviders opens the providers that are configured.
func (p *program) openProviders(ctx context.Context, c Config) ([]provider.Provider, error) {
	out := external.Providers(external.Options{Now: p.now, Lookup: p.public})
	for _, open := range []func(Config) ([]provider.Provider, error){p.openPostgres, p.openRailway, p.openPloi, p.openCloudflare, p.openVercel, p.openStripe, p.openResend, p.openSMTP} {
		vendor, err := open(c)
		if err != nil {
			return nil, err
		}
		out = append(out, vendor...)
	}
	embedded, err := p.openEmbedded(c)
	if err != nil {
		return nil, err
	}
	sites, err := p.openPayload(c) // after the embedded DNS, by which it finds sites
	return append(append(out, embedded...), sites), err
}

// openEmbedded opens the providers that are on this machine, where they are switched on.
func (p *program) openEmbedded(c Config) ([]provider.Provider, error) {
	dir := c.Providers.Embedded.Dir
	if dir == "" {
		return nil, nil
	}
	databases, err := sqlite.New(sqlite.Options{Dir: filepath.Join(dir, "databases"), Now: p.now})
	if err != nil {
		return nil, err
	}
	p.closers = append(p.closers, databases.Close)
	pace := 20 * time.Millisecond
	if p.quick {
		pace = 0
	}
	p.sites, err = local.New(local.Options{Dir: filepath.Join(dir, "sites"), Public: p.listensAt, Now: p.now, Log: p.log, Pace: pace})
	if err != nil {
		return nil, err
	}
	p.closers = append(p.closers, p.sites.Close)
	p.front = p.sites
	p.dns, err = localdns.New(localdns.Options{Dir: filepath.Join(dir, "dns"), Now: p.now})
	if err != nil {
		return nil, err
	}
	p.closers = append(p.closers, p.dns.Close)
	p.mail, err = mailbox.New(mailbox.Options{Dir: filepath.Join(dir, "mail"), Now: p.now})
	if err != nil {
		return nil, err
	}
	if p.mailer == "" {
		p.mailer = p.mail.Name()
	}
	p.caught = p.messages
	return []provider.Provider{databases, p.sites, p.dns, p.mail}, nil
}

func (p *program) listensAt() string { return p.address.Load().(string) }

// wire makes the engine and the daemon.
func (p *program) wire(c Config, in state.Installation, providers []provider.Provider) error {
	by, known := map[key]provider.Provider{}, &secret.Redactor{}
	p.markers = map[key]provider.Marker{}
	for i, q := range providers {
		p.keepHandles(q, known)
		if p.wrap != nil {
			q = p.wrap(q)
		}
		q = provider.Heed(q, p.now) // nobody is asked before the time that it gave
		p.vendors.expect(about{q.Name(), true})
		q = provider.Bar(q, p.now, func(name string, back bool, why string) { p.barred(name, back, known.Redact(why)) })
		q = provider.Conceal(q, known)
		providers[i] = q
		for k := range q.Traits() {
			by[key{q.Name(), k}] = q
		}
	}
	find := func(name string, kind state.Kind) (provider.Provider, bool) {
		q, ok := by[key{name, kind}]
		return q, ok
	}
	find, err := failOnce(find, c.Providers.Embedded.Fail)
	if err != nil {
		return err
	}
	jitter := func(d time.Duration) time.Duration { return d/2 + mathrand.N(d/2+1) }
	runner := &apply.Runner{Store: p.store, Provider: find, Installation: in.ID, Now: p.now, Sleep: p.sleep, Jitter: jitter,
		Marker: p.marker, NewSecret: secret.NewHex32, Fingerprint: p.keys.Fingerprint, Conceal: known.Add, Parallel: stepsAtOnce, Scratch: filepath.Join(filepath.Dir(c.State.Path), "moving"), Room: roomBelow,
		At: func(b apply.Border, s plan.Step) { p.fail(string(b), string(s.Action)) }}
	removeAfter, err := manifest.ParseDuration(c.Guard.RemoveAfter)
	if err != nil {
		return err
	}
	probe, err := p.checker(c)
	if err != nil {
		return err
	}
	d := c.Platform.Defaults
	layout := manifest.LayoutOf(c.Repository.Path)
	repo := &repository{git: p.git, layout: layout}
	p.engine = &reconcile.Engine{
		Config: reconcile.Config{Repository: withoutCredentials(c.Repository.URL), Branch: c.Repository.Branch, Path: c.Repository.Path,
			Defaults: manifest.Defaults{BaseDomain: c.Platform.BaseDomain, Deployment: d.Deployment, Database: d.Database, DNS: d.DNS},
			Guard: accept.Guard{MaxDeletes: c.Guard.MaxDeletes, MaxDeletePercent: c.Guard.MaxDeletePercent, MaxChanged: c.Guard.MaxChanged,
				MaxCreates: c.Guard.MaxCreates, ReviewedOnly: c.Guard.Removals == "reviewed", RemoveAfter: removeAfter.Std()},
			Program: version, Keep: 3, Soak: soakTime, PublicURL: p.publicURL, Here: p.here},
		Store: p.store, Repo: repo, Runner: runner, Providers: providers,
		Configured: func(name string, kind state.Kind) bool { _, ok := by[key{name, kind}]; return ok },
		Check:      probe, NewID: hex6, Now: p.now, Jitter: jitter, At: func(at reconcile.Point) { p.fail(string(at), "") },
		Underway: underway.Folder(c.State.Path + ".underway"), Redact: known.Redact,
		OnPanic: func(e *apply.Panicked) {
			p.log.Error("a pass, or a plan, ran into an error in this program", "client", e.Client, "panic", e.Text, "stack", string(e.Stack))
		},
	}
	p.engine.Mail = p.mailer
	if err := p.openRefs(c); err != nil {
		return err
	}
	if err := p.openNotices(c, in.ID, find, known.Redact); err != nil {
		return err
	}
	p.engine.Notices = p.notices
	if err := p.openHooks(c); err != nil {
		return err
	}
	runner.Emit = p.engine.Progress
	p.engine.Emit = func(e apply.Event) {
		if f, ok := p.emit.Load().(func(apply.Event)); ok {
			f(e)
		}
	}
	every, err := c.pollEvery()
	if err != nil {
		return err
	}
	p.daemon = &daemon.Daemon{Engine: p.engine, Store: p.store, Log: p.log, Workers: c.Workers, Now: p.now, Every: every, Schedules: p.schedules(c), Before: p.before}
	return p.openForge(c, layout, repo)
}

// publicURL is where people reach a host. Embedded sites are at our own port.
func (p *program) publicURL(host string) string {
	if host == "" {
		return ""
	}
	if p.front == nil {
		return "https://" + host
	}
	_, port, err := net.SplitHostPort(p.listensAt())
	if err != nil || port == "80" {
		return "http://" + host
	}
	return "http://" + net.JoinHostPort(host, port)
}

// here is where a browser finds what is at a public address. In the demo, and where only
// this machine can reach us, a name that no browser finds here (a client's own domain) is stood in for by a
// path; names below localhost are this machine's. Of sites that are elsewhere nothing is
// changed. What a client has on record, and is asked by probes, stays its public address.
func (p *program) here(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || p.front == nil || u.Hostname() == "localhost" || strings.HasSuffix(u.Hostname(), ".localhost") {
		return raw
	}
	at := p.listensAt()
	if p.gitServer == nil && (p.config.PublicURL != "" || !onThisMachine("http://"+at)) {
		return raw
	}
	path := p.front.Path(u.Hostname())
	if path == "" {
		return raw
	}
	u.Host, u.Path = at, path+"/"+strings.TrimPrefix(u.Path, "/")
	return u.String()
}

// checker is the health probe. Embedded sites are found through the embedded DNS
// server, as the world would find them. Of this machine only the port that they are
// served at is asked, whatever name leads here.
func (p *program) checker(c Config) (func(context.Context, string, manifest.Health) error, error) {
	prober, err := p.prober(c)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, base string, h manifest.Health) error {
		return prober.Probe(ctx, health.Check{URL: base, Path: h.Path, Status: h.Status, Contains: h.Contains, Timeout: h.Timeout.Std()})
	}, nil
}

// prober asks clients' sites, wherever their addresses come from, and nothing else.
func (p *program) prober(c Config) (*health.Prober, error) {
	allowed, err := c.allowed()
	if err != nil {
		return nil, err
	}
	o := health.Options{Now: p.now, Allow: func(a netip.AddrPort) bool {
		if _, port, err := net.SplitHostPort(p.listensAt()); err == nil && p.front != nil && a.Addr().IsLoopback() && port == strconv.Itoa(int(a.Port())) {
			return true
		}
		return slices.ContainsFunc(allowed, func(prefix netip.Prefix) bool { return prefix.Contains(a.Addr()) })
	}}
	switch {
	case p.sims != nil:
		o.Lookup = p.sims.here
	case p.dns != nil:
		o.Lookup = p.lookup
	}
	if c.Network.CAFile != "" {
		if o.Roots, err = health.Roots(c.Network.CAFile); err != nil {
			return nil, err
		}
	}
	return health.New(o), nil
}

// lookup asks the embedded DNS server first; names below localhost are this machine's.
func (p *program) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	found, err := p.dns.LookupHost(ctx, host)
	if err == nil && len(found) > 0 {
		return found, nil
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}, nil
	}
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

func (p *program) schedules(c Config) []daemon.Schedule {
	out := []daemon.Schedule{
		{Name: "health", Spec: c.Schedules.Health, Run: p.engine.ProbeAll, Remember: true, Looks: true},
		{Name: "purge", Spec: c.Schedules.Purge, Remember: true, Run: func(ctx context.Context) error {
			gone, err := p.engine.PurgeDue(ctx)
			for _, g := range gone {
				p.log.Info("purged", "what", g)
			}
			n, e := p.engine.Prune(ctx)
			if n != (reconcile.Pruned{}) {
				p.log.Info("what is outdated is forgotten", "secrets", n.Secrets, "runs", n.Runs, "entries", n.Entries, "approvals", n.Approvals)
			}
			return errors.Join(err, e)
		}},
		{Name: "drift", Spec: c.Schedules.Drift, Run: p.watchDrift, Remember: true, Looks: true},
		{Name: "deliver", Spec: "@every 1s", Run: p.deliver},
	}
	if len(c.Secrets.Sources) > 0 { // not remembered: nothing is written where nothing changed. A look that is cut off took nothing in
		out = append(out, daemon.Schedule{Name: "secrets", Spec: c.Schedules.Secrets, Run: p.refreshSecrets, Looks: true})
	}
	if p.notifier != nil {
		out = append(out, daemon.Schedule{Name: "notify", Spec: "@every 1m", Run: p.tellPeople})
	}
	if c.State.Backup.Dir != "" {
		out = append(out, daemon.Schedule{Name: "backup", Spec: "@every " + c.State.Backup.Every, Run: p.backups, Remember: true})
	}
	return out
}

// watchDrift looks at the fleet and makes due what is to be mended; the passes do it.
func (p *program) watchDrift(ctx context.Context) error {
	v, err := p.engine.Look(ctx)
	for _, r := range v.New {
		p.log.Warn("drift", "client", r.Client, "ref", r.Ref, "provider", r.Provider, "what", r.What, "field", r.Field, "before", r.Before, "after", r.After, "policy", r.Policy)
	}
	if len(v.Stopped) > 0 {
		p.log.Warn("not everything could be looked at", "why", v.Stops())
	}
	p.log.Debug("looked", "clients", v.Seen, "left", v.Left)
	p.daemon.Queue().Add(reconcile.CauseDrift, v.Due...)
	return err
}

// control carries out what commands ask for. running says that our daemon is at work.
func (p *program) control(running bool) *daemon.Control {
	c := &daemon.Control{Engine: p.engine, Log: p.log, Fingerprint: p.keys.Fingerprint, Backup: p.store.BackupTo, Existing: p.existing, Propose: p.proposeDrift, Tree: p.engine.Repo.Tree}
	if running {
		c.Daemon = p.daemon
	}
	return c
}

func (p *program) close() error {
	var errs []error
	for i := len(p.closers) - 1; i >= 0; i-- {
		errs = append(errs, p.closers[i]())
	}
	p.closers = nil
	return errors.Join(errs...)
}

func withoutCredentials(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.User == nil {
		return raw
	}
	u.User = nil
	return u.String()
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

func hexN(n int) (string, error) {
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		return "", err
	}
	return hex.EncodeToString(b), nil
}

func hex6() (string, error) { return hexN(3) }
