package stripe

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/compassdigital/reconciler/internal/contract"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
	"github.com/compassdigital/reconciler/internal/provider/providertest"
	"github.com/compassdigital/reconciler/internal/provider/stripe/simulated"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testKey = "invented-stripe-key"
	ours    = "0badcafe"
)

// clock is one that only tests and sleepers move.
type clock struct{ *providertest.Clock }

func newClock() *clock { return &clock{providertest.NewClock()} }

func (c *clock) move(d time.Duration) { c.Move(d) }

// world is a simulated Stripe behind a contract, and what it takes to talk to it.
type world struct {
	t       testing.TB
	clock   *clock
	faults  *simulator.Faults
	options simulated.Options
	vendor  *simulated.Stripe
	server  *httptest.Server
	ask     *contract.Contract // the client's side
	answer  *contract.Contract // the simulator's
	log     *calls
}

// calls records what was sent.
type calls struct {
	base http.RoundTripper
	mu   sync.Mutex
	all  []*http.Request
	sent int
}

func (c *calls) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	c.all, c.sent = append(c.all, r), c.sent+1
	c.mu.Unlock()
	return c.base.RoundTrip(r)
}

func (c *calls) take() []*http.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.all
	c.all = nil
	return out
}

func start(t testing.TB, change ...func(*simulated.Options)) *world {
	t.Helper()
	return begin(t, contract.OpenAPI(t, described()), false, change...)
}

// hostile is a world whose answers may be anything: of those only the requests are judged.
func hostile(t testing.TB, change ...func(*simulated.Options)) *world {
	t.Helper()
	return begin(t, contract.OpenAPI(t, described()), true, change...)
}

func described() contract.Description {
	return contract.Description{Vendor: "Stripe", File: "stripe/openapi.json", Relax: contract.WithoutDeepLists}
}

// begin takes the description that was read before: that takes a while.
func begin(t testing.TB, paper *contract.Contract, hostile bool, change ...func(*simulated.Options)) *world {
	t.Helper()
	w := &world{t: t, clock: newClock(), faults: &simulator.Faults{}}
	w.options = simulated.Options{Now: w.clock.Now, Faults: w.faults, Key: testKey}
	for _, f := range change {
		f(&w.options)
	}
	var err error
	if w.vendor, err = simulated.New(w.options); err != nil {
		t.Fatal(err)
	}
	w.ask, w.answer = paper.For(t), paper.For(t)
	transport := &http.Transport{DisableKeepAlives: true}
	if hostile {
		w.server, w.log = httptest.NewServer(w.vendor), &calls{base: w.ask.WrapRequests(transport)}
	} else {
		w.server, w.log = httptest.NewServer(w.answer.Handler(w.vendor)), &calls{base: w.ask.Wrap(transport)}
	}
	t.Cleanup(func() {
		w.server.Close()
		transport.CloseIdleConnections()
		if w.log.sent > 0 {
			w.ask.Some(t)
			if !hostile {
				w.answer.Some(t)
			}
		}
	})
	return w
}

// open opens the provider, as a start of the program does.
func (w *world) open(change ...func(*Options)) *Provider {
	w.t.Helper()
	o := Options{Key: state.NewSecret(testKey), URL: w.server.URL, Platform: simulated.Platform, HTTP: httpapi.NewHTTP(w.log, time.Minute), Now: w.clock.Now}
	for _, f := range change {
		f(&o)
	}
	p, err := New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// late makes lists late.
func late(d time.Duration) func(*simulated.Options) {
	return func(o *simulated.Options) { o.Lag = func() time.Duration { return d } }
}

func onboarded(o *simulated.Options) { o.Onboarded = true }

// wanted is the wish of the n. client.
func wanted(n int) provider.Wish {
	m := provider.Mark{Installation: ours, Client: state.ClientID(fmt.Sprintf("c%05d", n)), Generation: 1}
	r := state.Ref{Client: m.Client, Kind: KindPayments, Name: "main"}
	return provider.Wish{Ref: r, Name: provider.ObjectName(m, r), Mark: m, Inputs: []provider.Input{
		{Name: "country", Text: "NL"}, {Name: "email", Text: "owner@demoshop.example"}, {Name: "label", Text: "Demo Shop GmbH"},
		{Name: "tier", Text: "standard"}, {Name: "url", Text: "https://demoshop.example"}}}
}

// with is a wish with another input.
func with(w provider.Wish, name, text string) provider.Wish {
	out := w
	out.Inputs = nil
	for _, i := range w.Inputs {
		if i.Name == name {
			i.Text = text
		}
		out.Inputs = append(out.Inputs, i)
	}
	return out
}

func (w *world) made(p *Provider, n int) provider.Object {
	w.t.Helper()
	o, err := p.Create(context.Background(), wanted(n))
	if err != nil {
		w.t.Fatalf("create: %v", err)
	}
	return o
}

func (w *world) look(p *Provider, id string) provider.Object {
	w.t.Helper()
	found, err := p.Observe(context.Background(), provider.Query{Kind: KindPayments, ID: id})
	if err != nil || len(found) != 1 {
		w.t.Fatalf("observe %s: %d found, %v", id, len(found), err)
	}
	return found[0]
}

func named(p *Provider, n int) ([]provider.Object, error) {
	w := wanted(n)
	return p.Observe(context.Background(), provider.Query{Kind: KindPayments, Name: w.Name, Wish: &w})
}

func attribute(o provider.Object, name string) string {
	for _, a := range o.Attributes {
		if a.Name == name {
			return a.Text
		}
	}
	return "(none)"
}
