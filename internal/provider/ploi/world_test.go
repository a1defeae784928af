package ploi_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/compassdigital/reconciler/internal/contract"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
	"github.com/compassdigital/reconciler/internal/provider/ploi"
	"github.com/compassdigital/reconciler/internal/provider/ploi/simulated"
	"github.com/compassdigital/reconciler/internal/provider/providertest"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "invented-token-of-a-test"

// serverAddress is that of the simulated vendor's first server.
const serverAddress = "203.0.113.10"

// clock is one that only tests and sleepers move.
type clock = providertest.Clock

func newClock() *clock { return providertest.NewClock() }

// names are what DNS answers.
type names struct {
	mu  sync.Mutex
	all map[string][]string
	any []string // of a name that is not in all
}

func (n *names) lead(host string, to ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.all == nil {
		n.all = map[string][]string{}
	}
	n.all[host] = to
}

func (n *names) of(host string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if to, ok := n.all[host]; ok {
		return to
	}
	return n.any
}

// world is a simulated vendor with a provider before it, judged by the description.
type world struct {
	*testing.T
	clock  *clock
	faults *simulator.Faults
	dns    *names
	vendor *simulated.Vendor
	server *httptest.Server
	p      *ploi.Provider
	calls  *calls
	paper  *contract.Contract
	names  map[string]string // of the vendor's servers
}

// calls are the exchanges in the order in which they began.
type calls struct {
	mu   sync.Mutex
	all  []string
	next http.RoundTripper
}

func (c *calls) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	c.all = append(c.all, r.Method+" "+r.URL.Path)
	c.mu.Unlock()
	return c.next.RoundTrip(r)
}

// take returns the calls since the last take.
func (c *calls) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.all
	c.all = nil
	return out
}

var description struct {
	once sync.Once
	c    *contract.Contract
}

// paper is the vendor's description, read once, for a test.
func paper(t *testing.T) *contract.Contract {
	t.Helper()
	description.once.Do(func() {
		description.c = contract.OpenAPI(t, contract.Description{Vendor: "Ploi", File: "ploi/ploi.yaml", Inner: func(p string) string { return strings.TrimPrefix(p, "/api") }})
	})
	return description.c.For(t)
}

func newWorld(t *testing.T, o simulated.Options) *world {
	t.Helper()
	w := &world{T: t, clock: newClock(), faults: &simulator.Faults{}, dns: &names{}, paper: paper(t)}
	o.Now, o.Faults, o.DNS, o.Token = w.clock.Now, w.faults, w.dns.of, token
	var err error
	w.names = map[string]string{}
	for _, s := range append(o.Servers[:len(o.Servers):len(o.Servers)], simulated.Server{ID: 1}) {
		w.names[fmt.Sprintf("web-%d", s.ID)] = fmt.Sprint(s.ID)
	}
	if w.vendor, err = simulated.New(o); err != nil {
		t.Fatal(err)
	}
	// Both sides are held to the paper: what the vendor answers without a fault, and what
	// the client sends and gets.
	w.server = httptest.NewServer(w.faults.Handler(w.paper.Handler(w.vendor.Plain())))
	t.Cleanup(w.server.Close)
	w.p = w.open()
	return w
}

// open opens a provider of the vendor.
func (w *world) open() *ploi.Provider {
	w.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	w.calls = &calls{next: transport}
	p, err := ploi.New(w.options(w.server.URL+"/api", w.calls))
	if err != nil {
		w.Fatal(err)
	}
	return p
}

func (w *world) options(base string, transport http.RoundTripper) ploi.Options {
	return ploi.Options{Base: base, Token: state.NewSecret(token), HTTP: httpapi.NewHTTP(transport, time.Minute), Servers: w.names,
		Resolve: func(_ context.Context, host string) ([]string, error) { return w.dns.of(host), nil }, Now: w.clock.Now, Sleep: w.clock.Sleep}
}

const installation = "0badcafe"

func mark(client string) provider.Mark {
	return provider.Mark{Installation: installation, Client: state.ClientID(client), Generation: 1}
}

// wish makes a wish of inputs "name", "value" …
func wish(kind state.Kind, client, name string, pairs ...string) provider.Wish {
	r := state.Ref{Client: state.ClientID(client), Kind: kind, Name: name}
	w := provider.Wish{Ref: r, Name: provider.ObjectName(mark(client), r), Mark: mark(client)}
	for n := 0; n < len(pairs); n += 2 {
		in := provider.Input{Name: pairs[n], Text: pairs[n+1]}
		if secret, ok := strings.CutPrefix(in.Text, "secret:"); ok {
			s := state.NewSecret(secret)
			in.Text, in.Secret = "", &s
		}
		w.Inputs = append(w.Inputs, in)
	}
	slices.SortFunc(w.Inputs, func(a, b provider.Input) int { return strings.Compare(a.Name, b.Name) })
	return w
}

func siteWish(client string) provider.Wish {
	return wish(state.KindSite, client, "ploi", "label", "shop", "server", "web-1", "repository", "compassdigital/storefront", "runtime", "node22")
}

func releaseWish(client, site, name, commit string) provider.Wish {
	return wish(state.KindDeployment, client, name, "site", site, "repository", "compassdigital/storefront", "ref", "v1.4.2", "commit", commit, "template", "ecommerce",
		"install", "pnpm i --frozen-lockfile", "command", "pnpm build", "settings", `{"theme":"dark"}`)
}

// create makes an object and waits until it is ready.
func (w *world) create(x provider.Wish) provider.Object {
	w.Helper()
	o, err := w.p.Create(context.Background(), x)
	if err != nil {
		w.Fatalf("create %s: %v", x.Ref.Kind, err)
	}
	return w.ready(x.Ref.Kind, o.ID)
}

func (w *world) ready(kind state.Kind, id string) provider.Object {
	w.Helper()
	o := w.ended(kind, id)
	if o.Phase != provider.Ready && o.Phase != provider.Unreached { // a name can be used as it is: its record may be set
		w.Fatalf("%s %s is %s: %s", kind, id, o.Phase, o.Message)
	}
	return o
}

// ended looks until an object is no longer Progressing.
func (w *world) ended(kind state.Kind, id string) provider.Object {
	w.Helper()
	for range 200 {
		o, ok := w.see(kind, id)
		if !ok {
			w.Fatalf("%s %s is not there", kind, id)
		}
		if o.Phase != provider.Progressing {
			return o
		}
		w.clock.Move(5 * time.Second)
	}
	w.Fatalf("%s %s does not end", kind, id)
	return provider.Object{}
}

func (w *world) see(kind state.Kind, id string) (provider.Object, bool) {
	w.Helper()
	found, err := w.p.Observe(context.Background(), provider.Query{Kind: kind, ID: id})
	if err != nil {
		w.Fatalf("observe %s %s: %v", kind, id, err)
	}
	if len(found) == 0 {
		return provider.Object{}, false
	}
	return found[0], true
}

func (w *world) update(id string, x provider.Wish) provider.Object {
	w.Helper()
	o, err := w.p.Update(context.Background(), id, x)
	if err != nil {
		w.Fatalf("update %s: %v", id, err)
	}
	return o
}

func (w *world) remove(kind state.Kind, id string) {
	w.Helper()
	if err := w.p.Delete(context.Background(), kind, id); err != nil {
		w.Fatalf("delete %s %s: %v", kind, id, err)
	}
}

// client makes a client's site with all that hangs on it.
type client struct{ site, env, release, traffic, domain provider.Object }

func (w *world) client(n int) client {
	w.Helper()
	id := fmt.Sprintf("c%05d", n)
	var c client
	c.site = w.create(siteWish(id))
	c.env = w.create(wish(state.KindEnvironment, id, "ploi", "site", c.site.ID, "env.STORE_CURRENCY", "EUR", "env.SESSION_SECRET", "secret:invented-session-value"))
	c.release = w.create(releaseWish(id, c.site.ID, "8be01c22aa10", "1111111111111111111111111111111111111111"))
	c.traffic = w.create(wish(state.KindTraffic, id, "ploi", "site", c.site.ID, "deployment", c.release.ID))
	host := fmt.Sprintf("shop-%d.example", n)
	c.domain = w.create(wish(state.KindDomain, id, host+"@ploi", "site", c.site.ID, "host", host, "redirect", ""))
	return c
}
