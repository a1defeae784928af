package railway

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/compassdigital/reconciler/internal/contract"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
	"github.com/compassdigital/reconciler/internal/provider/providertest"
	"github.com/compassdigital/reconciler/internal/provider/railway/simulated"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testToken    = "invented-railway-token"
	projectToken = "invented-project-token"
)

// clock is one that only tests and sleepers move.
type clock struct{ *providertest.Clock }

func newClock() *clock { return &clock{providertest.NewClock()} }

func (c *clock) move(d time.Duration) { c.Move(d) }

// world is a simulated Railway behind a contract, and what it takes to talk to it.
type world struct {
	t       testing.TB
	clock   *clock
	faults  *simulator.Faults
	options simulated.Options
	vendor  *simulated.Railway
	server  *httptest.Server
	ask     *contract.Contract // the client's side
	answer  *contract.Contract // the simulator's
	log     *calls
}

// calls records the operations that were sent.
type calls struct {
	base http.RoundTripper
	mu   sync.Mutex
	all  []string
	sent int
}

func (c *calls) RoundTrip(r *http.Request) (*http.Response, error) {
	var asked struct{ Query, OperationName string }
	if get := r.GetBody; get != nil {
		if body, err := get(); err == nil {
			data, _ := io.ReadAll(body)
			_ = json.Unmarshal(data, &asked) // a test sees what is missing
		}
	}
	kind, _, _ := strings.Cut(strings.TrimSpace(asked.Query), " ")
	c.mu.Lock()
	c.all, c.sent = append(c.all, "POST /graphql/v2  "+kind+" "+asked.OperationName), c.sent+1
	c.mu.Unlock()
	return c.base.RoundTrip(r)
}

func (c *calls) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.all
	c.all = nil
	return out
}

func start(t testing.TB, change ...func(*simulated.Options)) *world {
	t.Helper()
	return begin(t, false, change...)
}

// hostile is a world whose answers may be anything: of those only the requests are judged.
func hostile(t testing.TB, change ...func(*simulated.Options)) *world {
	t.Helper()
	return begin(t, true, change...)
}

func begin(t testing.TB, hostile bool, change ...func(*simulated.Options)) *world {
	t.Helper()
	w := &world{t: t, clock: newClock(), faults: &simulator.Faults{}}
	w.options = simulated.Options{Now: w.clock.Now, Faults: w.faults, Token: testToken, ProjectToken: projectToken}
	for _, f := range change {
		f(&w.options)
	}
	var err error
	if w.vendor, err = simulated.New(w.options); err != nil {
		t.Fatal(err)
	}
	w.ask, w.answer = contract.GraphQL(t, "Railway", "railway/schema.graphql"), contract.GraphQL(t, "Railway", "railway/schema.graphql")
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
	o := Options{Token: state.NewSecret(testToken), URL: w.server.URL + "/graphql/v2", HTTP: httpapi.NewHTTP(w.log, time.Minute),
		Now: w.clock.Now, Sleep: w.clock.Sleep}
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

const ours = "0badcafe"

// wish is one for the n. client.
func wish(n int, access string) provider.Wish {
	m := provider.Mark{Installation: ours, Client: state.ClientID(fmt.Sprintf("c%05d", n)), Generation: 1}
	r := state.Ref{Client: m.Client, Kind: state.KindDatabase, Name: "main"}
	return provider.Wish{Ref: r, Name: provider.ObjectName(m, r), Mark: m, Inputs: []provider.Input{
		{Name: "access", Text: access}, {Name: "disabled", Text: "orders,posts"}, {Name: "schema", Text: "ecommerce"}}}
}

// made makes a database and waits until it is ready.
func (w *world) made(p *Provider, n int, access string) provider.Object {
	w.t.Helper()
	o, err := p.Create(context.Background(), wish(n, access))
	if err != nil {
		w.t.Fatalf("create: %v", err)
	}
	return w.ready(p, o.ID)
}

func (w *world) ready(p *Provider, id string) provider.Object {
	w.t.Helper()
	var o provider.Object
	for range 600 {
		found, err := p.Observe(context.Background(), provider.Query{Kind: state.KindDatabase, ID: id})
		if err != nil || len(found) != 1 {
			w.t.Fatalf("observe: %d found, %v", len(found), err)
		}
		if o = found[0]; o.Phase == provider.Ready {
			return o
		}
		w.clock.move(time.Second)
	}
	w.t.Fatalf("never ready: %s, %s", o.Phase, o.Message)
	return o
}

func output(o provider.Object, name string) string {
	for _, out := range o.Outputs {
		if out.Name == name {
			if out.Secret != nil {
				return out.Secret.Reveal()
			}
			return out.Text
		}
	}
	return ""
}

func attribute(o provider.Object, name string) string {
	for _, a := range o.Attributes {
		if a.Name == name {
			return a.Text
		}
	}
	return "(none)"
}

// whole says that a project has exactly one of each part, and a URL that leads to it.
func (w *world) whole(o provider.Object, proxies int) {
	w.t.Helper()
	alive := 0
	for _, x := range w.vendor.Projects() {
		if x.Deleted {
			continue
		}
		alive++
		if x.ID != o.ID || x.Services != 1 || x.Volumes != 1 || x.Proxies != proxies || x.Deployments != 1 {
			w.t.Errorf("at Railway: %+v; want one of each part, %d proxies, id %s", x, proxies, o.ID)
		}
		if url := output(o, "url"); !strings.Contains(url, ":"+x.Variables["POSTGRES_PASSWORD"]+"@"+output(o, "host")+":") {
			w.t.Error("the URL is not the service's")
		}
	}
	if alive != 1 {
		w.t.Errorf("%d projects, want 1", alive)
	}
}
