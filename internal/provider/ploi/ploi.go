package ploi

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
	"github.com/compassdigital/reconciler/internal/state"
)

// Name is the provider's word in a manifest.
const Name = "ploi"

// DefaultBase is the vendor's address.
const DefaultBase = "https://ploi.io/api"

// defaultBranch is what a repository is cloned with before a deployment says what it wants.
const defaultBranch = "main"

// listLag is how late lists, .env and deploy script may be. The vendor states nothing but
// that both files are written in the background.
const listLag = time.Minute

// Options say which account it is.
type Options struct {
	Base  string       // "": DefaultBase
	Token state.Secret // the account's API token
	HTTP  *http.Client // httpapi.NewHTTP's
	// Servers are the account's servers that sites may be put on: the name that manifests
	// use → the id at the vendor. A wish that names none means "default", or the only one.
	Servers map[string]string
	Branch  string // a new site's repository is cloned with; "": main
	// Resolve asks DNS for the addresses of a host name: no certificate is asked for before
	// it leads to the server. nil: none is ever asked for.
	Resolve func(ctx context.Context, host string) ([]string, error)
	Now     func() time.Time
	// Sleep lets time pass while something is done in the background. nil: a timer.
	Sleep func(context.Context, time.Duration) error
}

// Provider is one account. Make it with New. Safe for concurrent use.
type Provider struct {
	o     Options
	api   httpapi.Client
	names map[string]string // id at the vendor → name in manifests
	order []string          // ids of servers, by name
	locks locks

	mu        sync.Mutex
	addresses map[string]address   // of servers, by id
	watched   map[string]time.Time // releases whose end has not been told yet, by id; when it was seen first
	late      map[siteID]pending   // what was sent to a .env and does not show
}

// address is a server's, as of when it was asked.
type address struct {
	text string
	at   time.Time
}

var _ provider.Provider = (*Provider)(nil)

// CheckServers says what is wrong with the servers of an account.
func CheckServers(servers map[string]string) error {
	names := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		number := servers[name]
		if !numbers.MatchString(number) {
			return fmt.Errorf("the id of server %q is no number: %q", name, provider.Line(number, maxWord))
		}
		if other, twice := names[number]; twice {
			return fmt.Errorf("servers %q and %q are the same one, %s", other, name, number)
		}
		names[number] = name
	}
	return nil
}

// New returns the provider of an account. It calls nobody.
func New(o Options) (*Provider, error) {
	if o.Base == "" {
		o.Base = DefaultBase
	}
	if o.Branch == "" {
		o.Branch = defaultBranch
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	p := &Provider{o: o, names: map[string]string{}, addresses: map[string]address{}, watched: map[string]time.Time{}, late: map[siteID]pending{}}
	if o.Token.Empty() {
		return nil, fmt.Errorf("open ploi: there is no token")
	}
	if len(o.Servers) == 0 {
		return nil, fmt.Errorf("open ploi: there is no server")
	}
	if err := CheckServers(o.Servers); err != nil {
		return nil, fmt.Errorf("open ploi: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(o.Servers)) {
		number := o.Servers[name]
		p.names[number] = name
		p.order = append(p.order, number)
	}
	p.api = httpapi.Client{Provider: Name, Base: strings.TrimRight(o.Base, "/"), Token: o.Token, HTTP: o.HTTP, Now: o.Now, Classify: p.classify}
	return p, nil
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

// Name implements provider.Provider.
func (p *Provider) Name() string { return Name }

// Traits implements provider.Provider. The calls are those of the usual case, in which
// nothing is late and nothing is there before; calls.golden lists them.
func (p *Provider) Traits() map[state.Kind]provider.Traits {
	base := provider.Traits{UniqueName: true, Marks: true, ListLag: listLag}
	of := func(observe, create, update, remove int, change func(*provider.Traits)) provider.Traits {
		t := base
		t.ObserveCalls, t.CreateCalls, t.UpdateCalls, t.DeleteCalls = observe, create, update, remove
		change(&t)
		return t
	}
	return map[state.Kind]provider.Traits{
		state.KindSite:        of(1, 5, 2, 2, func(t *provider.Traits) { t.Serving, t.Replace = true, []string{"server"} }),
		state.KindEnvironment: of(1, 3, 3, 3, func(t *provider.Traits) { t.ListCalls, t.Replace = 1, []string{"site"} }),
		// Not Promotable: a release is built where it serves, and serves as soon as it is.
		state.KindDeployment: of(1, 4, 1, 3, func(t *provider.Traits) {
			t.Replace = []string{
				"collections", "command", "directory", "displayName", "environment", "features", "install",
				"migrate", "ref", "repository", "settings", "site", "start", "template",
			}
		}),
		state.KindTraffic: of(1, 3, 1, 3, func(t *provider.Traits) { t.Serving, t.Replace = true, []string{"site"} }),
		// No mark: an alias is a word in a list.
		state.KindDomain: of(2, 3, 3, 3, func(t *provider.Traits) {
			t.Serving, t.Marks, t.AfterDNS, t.PerSite, t.Replace = true, false, true, true, []string{"host"}
		}),
	}
}

// Observe implements provider.Reader.
func (p *Provider) Observe(ctx context.Context, q provider.Query) ([]provider.Object, error) {
	if err := ready(ctx, opObserve, q.Kind); err != nil {
		return nil, err
	}
	var o *provider.Object
	var err error
	at, ok := parse(q.Kind, q.ID)
	if q.ID == "" {
		if q.Kind == state.KindSite {
			return p.sitesNamed(ctx, q)
		}
		if q.Wish == nil {
			return nil, nil // parts are found on their site
		}
		at, ok = p.partOf(q)
	}
	if !ok {
		return nil, nil
	}
	if err := p.named(at.siteID, opObserve); err != nil {
		return nil, err
	}
	switch q.Kind {
	case state.KindSite:
		o, err = p.seeSite(ctx, at.siteID)
	case state.KindEnvironment:
		o, err = p.seeEnvironment(ctx, at.siteID)
	case state.KindDeployment:
		o, err = p.seeDeployment(ctx, at)
	case state.KindTraffic:
		o, err = p.seeTraffic(ctx, at.siteID)
	case state.KindDomain:
		o, err = p.seeDomain(ctx, at)
	}
	if err != nil {
		return nil, err
	}
	byName := q.ID == "" && q.Name != ""
	if o == nil || byName && o.Name != q.Name || q.ID != "" && o.ID != q.ID {
		return nil, nil
	}
	return []provider.Object{*o}, nil
}

// named refuses what is on a server that the configuration does not name any more, or under another
// number: nobody knows whether it is there, and it is not gone.
func (p *Provider) named(at siteID, op string) error {
	if _, is := p.names[at.server]; is {
		return nil
	}
	return fail(op, provider.Invalid, "server "+at.server+" is in providers.ploi.servers no more: name it there as before, until nothing of ours is on it (site "+at.site+")")
}

// partOf is the id of the part of a site that a query by name asks for.
func (p *Provider) partOf(q provider.Query) (id, bool) {
	at, ok := parse(state.KindSite, q.Wish.Get("site"))
	if !ok {
		return id{}, false
	}
	at.kind = q.Kind
	if q.Kind == state.KindDomain {
		at.word = q.Wish.Get("host")
		if q.Name != "" {
			at.word = q.Name
		}
		return at, isHost(at.word)
	}
	return at, true // of deployments: the one that is there
}

// Create implements provider.Provider.
func (p *Provider) Create(ctx context.Context, w provider.Wish) (provider.Object, error) {
	if err := ready(ctx, opCreate, w.Ref.Kind); err != nil {
		return provider.Object{}, err
	}
	if w.Ref.Kind == state.KindSite {
		return p.makeSite(ctx, w)
	}
	at, ok := parse(state.KindSite, w.Get("site"))
	if _, ours := p.names[at.server]; !ok || !ours {
		return provider.Object{}, fail(opCreate, provider.Invalid, "there is no site "+quote(w.Get("site"))+" here")
	}
	leave, err := p.locks.enter(ctx, at.siteID, opCreate)
	if err != nil {
		return provider.Object{}, err
	}
	defer leave()
	switch w.Ref.Kind {
	case state.KindEnvironment:
		return p.makeEnvironment(ctx, at.siteID, w)
	case state.KindDeployment:
		return p.deploy(ctx, at.siteID, w)
	case state.KindTraffic:
		return p.makeTraffic(ctx, at.siteID, w)
	default:
		return p.bind(ctx, at.siteID, w)
	}
}

// Update implements provider.Provider.
func (p *Provider) Update(ctx context.Context, object string, w provider.Wish) (provider.Object, error) {
	if err := ready(ctx, opUpdate, w.Ref.Kind); err != nil {
		return provider.Object{}, err
	}
	at, ok := parse(w.Ref.Kind, object)
	if !ok {
		return provider.Object{}, p.absent(w.Ref.Kind, object)
	}
	if err := p.named(at.siteID, opUpdate); err != nil {
		return provider.Object{}, err
	}
	leave, err := p.locks.enter(ctx, at.siteID, opUpdate)
	if err != nil {
		return provider.Object{}, err
	}
	defer leave()
	switch w.Ref.Kind {
	case state.KindSite:
		return p.changeSite(ctx, at.siteID, w)
	case state.KindEnvironment:
		return p.changeEnvironment(ctx, at.siteID, w)
	case state.KindDeployment:
		return p.sameDeployment(ctx, at, w)
	case state.KindTraffic:
		return p.promote(ctx, at.siteID, w)
	default:
		return p.changeDomain(ctx, at, w)
	}
}

// Delete implements provider.Provider. What hangs on a site goes with it.
func (p *Provider) Delete(ctx context.Context, kind state.Kind, object string) error {
	if err := ready(ctx, opDelete, kind); err != nil {
		return err
	}
	at, ok := parse(kind, object)
	if !ok {
		return nil
	}
	if err := p.named(at.siteID, opDelete); err != nil {
		return err
	}
	leave, err := p.locks.enter(ctx, at.siteID, opDelete)
	if err != nil {
		return err
	}
	defer leave()
	switch kind {
	case state.KindSite:
		return p.removeSite(ctx, at.siteID)
	case state.KindEnvironment:
		return p.removeEnvironment(ctx, at.siteID)
	case state.KindDeployment:
		return p.forget(ctx, at)
	case state.KindTraffic:
		return p.removeTraffic(ctx, at.siteID)
	default:
		return p.unbind(ctx, at)
	}
}
