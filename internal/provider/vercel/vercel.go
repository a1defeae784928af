package vercel

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
	"github.com/compassdigital/reconciler/internal/state"
)

// The name in manifests, and Vercel's own address.
const (
	Name   = "vercel"
	APIURL = "https://api.vercel.com"
)

// listLag is how late its lists may be. Vercel documents nothing.
const listLag = 60 * time.Second

// Options are an account at Vercel. Token, HTTP and Now are needed.
type Options struct {
	Token state.Secret
	Team  string // team_…; "": the token's own account
	URL   string // "": APIURL
	HTTP  *http.Client
	Now   func() time.Time
}

// Provider is one account. It is safe for concurrent use. Make it with New.
type Provider struct {
	api  httpapi.Client
	team string
	now  func() time.Time

	mu    sync.Mutex
	locks map[string]*sync.Mutex // by project, one each: Vercel refuses two updates of variables at once
	until map[string]time.Time   // by endpoint: no call before
}

var _ provider.Provider = (*Provider)(nil)

// New returns the provider. It calls nobody.
func New(o Options) *Provider {
	if o.URL == "" {
		o.URL = APIURL
	}
	return &Provider{team: o.Team, now: o.Now, locks: map[string]*sync.Mutex{}, until: map[string]time.Time{},
		api: httpapi.Client{Provider: Name, Base: strings.TrimSuffix(o.URL, "/"), Token: o.Token, HTTP: o.HTTP, Now: o.Now, Classify: classify}}
}

// Name implements provider.Provider.
func (p *Provider) Name() string { return Name }

// Traits implements provider.Provider. A deployment that is waited for costs two calls more than
// its looks: the connection that follows its log while it is built, and the log at its end
// (testdata/calls/follow.txt). Where it can't be followed, or nobody waits, each look at a build costs one
// more: its log.
func (p *Provider) Traits() map[state.Kind]provider.Traits {
	return map[state.Kind]provider.Traits{
		state.KindSite: {Serving: true, UniqueName: true, Marks: true, ListLag: listLag,
			ObserveCalls: 2, CreateCalls: 2, UpdateCalls: 3, DeleteCalls: 1, ListCalls: 1},
		state.KindEnvironment: {Replace: []string{"site"}, Marks: true, ListLag: listLag,
			ObserveCalls: 1, CreateCalls: 2, UpdateCalls: 2, DeleteCalls: 2},
		state.KindDeployment: {Promotable: true, Marks: true, ListLag: listLag,
			Replace: []string{"collections", "command", "commit", "directory", "displayName", "environment", "features", "install",
				"migrate", "ref", "repository", "secrets", "settings", "site", "start", "template"},
			ObserveCalls: 1, CreateCalls: 3, UpdateCalls: 1, DeleteCalls: 1, ListCalls: 1},
		state.KindTraffic: {Serving: true, Replace: []string{"site"}, Marks: true, ListLag: listLag,
			ObserveCalls: 2, CreateCalls: 3, UpdateCalls: 3, DeleteCalls: 2},
		state.KindDomain: {Serving: true, Replace: []string{"host"}, UniqueName: true, ListLag: listLag, AfterDNS: true,
			ObserveCalls: 1, CreateCalls: 2, UpdateCalls: 2, DeleteCalls: 1},
	}
}

// Observe implements provider.Reader.
func (p *Provider) Observe(ctx context.Context, q provider.Query) ([]provider.Object, error) {
	if q.Wish == nil {
		q.Wish = &provider.Wish{}
	}
	switch q.Kind {
	case state.KindSite:
		return p.observeSite(ctx, q)
	case state.KindEnvironment:
		return p.observeEnvironment(ctx, q)
	case state.KindDeployment:
		return p.observeDeployment(ctx, q)
	case state.KindTraffic:
		return p.observeTraffic(ctx, q)
	case state.KindDomain:
		return p.observeDomain(ctx, q)
	}
	return nil, unsupported(observing, q.Kind)
}

// Create implements provider.Provider.
func (p *Provider) Create(ctx context.Context, w provider.Wish) (provider.Object, error) {
	switch w.Ref.Kind {
	case state.KindSite:
		return p.createSite(ctx, w)
	case state.KindEnvironment:
		return p.createEnvironment(ctx, w)
	case state.KindDeployment:
		return p.createDeployment(ctx, w)
	case state.KindTraffic:
		return p.createTraffic(ctx, w)
	case state.KindDomain:
		return p.createDomain(ctx, w)
	}
	return provider.Object{}, unsupported(creating, w.Ref.Kind)
}

// Update implements provider.Provider.
func (p *Provider) Update(ctx context.Context, id string, w provider.Wish) (provider.Object, error) {
	switch w.Ref.Kind {
	case state.KindSite:
		return p.updateSite(ctx, id, w)
	case state.KindEnvironment:
		return p.updateEnvironment(ctx, id, w)
	case state.KindDeployment:
		return p.updateDeployment(ctx, id)
	case state.KindTraffic:
		return p.updateTraffic(ctx, id, w)
	case state.KindDomain:
		return p.updateDomain(ctx, id, w)
	}
	return provider.Object{}, unsupported(updating, w.Ref.Kind)
}

// Delete implements provider.Provider.
func (p *Provider) Delete(ctx context.Context, kind state.Kind, id string) error {
	switch kind {
	case state.KindSite:
		return p.deleteSite(ctx, id)
	case state.KindEnvironment:
		return p.deleteEnvironment(ctx, id)
	case state.KindDeployment:
		return p.deleteDeployment(ctx, id)
	case state.KindTraffic:
		return p.deleteTraffic(ctx, id)
	case state.KindDomain:
		return p.deleteDomain(ctx, id)
	}
	return unsupported(deleting, kind)
}

// Owned implements provider.Reader: sorted by kind, name and id.
func (p *Provider) Owned(ctx context.Context, installation string) ([]provider.Object, error) {
	all, err := p.projects(ctx)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(x project) bool {
		return installation == "" || !strings.HasSuffix(x.Name, "-"+installation) && x.says().Installation != installation ||
			!provider.Wanted(ctx, x.ID, x.says())
	})
	found, errs := make([][]provider.Object, len(all)), make([]error, len(all))
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(atOnce, len(all)) {
		wg.Go(func() {
			for i := range next {
				if ctx.Err() == nil {
					found[i], errs[i] = p.inside(ctx, all[i], installation)
				} else {
					_, errs[i] = p.variables(ctx, observing, all[i].ID) // says that it was given up
				}
			}
		})
	}
	for i := range all {
		next <- i
	}
	close(next)
	wg.Wait()
	var out []provider.Object
	for i := range all {
		if errs[i] != nil {
			return nil, errs[i]
		}
		out = append(out, found[i]...)
	}
	slices.SortStableFunc(out, func(a, b provider.Object) int {
		return strings.Compare(string(a.Kind)+"\x00"+a.Name+"\x00"+a.ID, string(b.Kind)+"\x00"+b.Name+"\x00"+b.ID)
	})
	return out, nil
}

// inside is what bears the installation's mark of one project that has a name of it.
func (p *Provider) inside(ctx context.Context, x project, installation string) ([]provider.Object, error) {
	vars, err := p.variables(ctx, observing, x.ID)
	if isGone(err) {
		return nil, nil // lists are late
	}
	if err != nil {
		return nil, err
	}
	if vars.mark().Installation != installation {
		return nil, nil
	}
	out := []provider.Object{siteObject(x, vars)}
	if e, ok := environmentObject(x.ID, x.Name, vars); ok && e.Mark.Installation == installation {
		out = append(out, e)
	}
	if t, ok := trafficObject(x, vars.mark()); ok {
		out = append(out, t)
	}
	deployments, err := p.deployments(ctx, x.ID)
	if err != nil {
		return nil, err
	}
	for _, d := range deployments {
		if o := d.object(); o.Mark.Installation == installation {
			out = append(out, o)
		}
	}
	return out, nil
}

// lock keeps a project's variables to one writer of this process. Call what it returns.
func (p *Provider) lock(project string) func() {
	p.mu.Lock()
	l := p.locks[project]
	if l == nil {
		l = &sync.Mutex{}
		p.locks[project] = l
	}
	p.mu.Unlock()
	l.Lock()
	return l.Unlock
}

// LimitedByCall implements provider.ByCall: Vercel limits each endpoint by itself.
func (p *Provider) LimitedByCall() {}
