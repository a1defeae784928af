package reconcile_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/compassdigital/reconciler/internal/contract"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/provider/ploi"
	ploisim "github.com/compassdigital/reconciler/internal/provider/ploi/simulated"
	"github.com/compassdigital/reconciler/internal/provider/vercel"
	vercelsim "github.com/compassdigital/reconciler/internal/provider/vercel/simulated"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// wire is what lies between a vendor's client and its simulator: no network, and a clock that
// moves when somebody waits.
type wire struct {
	clock *clock
	api   http.Handler

	mu      sync.Mutex
	easy    bool // time passes between requests, so that no window is ever used up
	all     int
	windows []window
	refused int
	at      map[int]func() // what happens at a look's request of that number
}

// window is one minute of the vendor's.
type window struct {
	began       time.Time
	looks, rest int
}

// RoundTrip implements http.RoundTripper.
func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	if w.easy {
		w.clock.add(1100 * time.Millisecond)
	}
	now := w.clock.Now()
	if n := len(w.windows); n == 0 || now.Sub(w.windows[n-1].began) >= time.Minute {
		w.windows = append(w.windows, window{began: now})
	}
	is := &w.windows[len(w.windows)-1]
	is.rest++
	w.all++
	var then func()
	if p, paced := provider.PaceOf(r.Context()); paced && p.Half {
		is.rest--
		is.looks++
		then = w.at[w.all]
	}
	w.mu.Unlock()
	if r.Body == nil {
		r = r.Clone(r.Context())
		r.Body = http.NoBody // as a server has it
	}
	answer := httptest.NewRecorder()
	w.api.ServeHTTP(answer, r)
	if then != nil {
		then()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if answer.Code == http.StatusTooManyRequests {
		w.refused++
	}
	return answer.Result(), nil
}

// forget begins to count anew.
func (w *wire) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all, w.windows, w.refused, w.at, w.easy = 0, nil, 0, nil, false
}

// eased is do without a window that is used up.
func (w *wire) eased(do func()) {
	w.mu.Lock()
	w.easy = true
	w.mu.Unlock()
	do()
	w.clock.add(2 * time.Minute)
	w.forget()
}

// http is a client over the wire, with the program's limit. Whoever waits moves the clock.
func (w *wire) http(name string, most int, byCall bool) *http.Client {
	return httpapi.NewHTTP(httpapi.NewTransport(httpapi.Options{Provider: name, Base: w, Now: w.clock.Now, Most: most, Window: time.Minute, ByCall: byCall,
		Jitter: func(d time.Duration) time.Duration { return d }, Real: func(d time.Duration) time.Duration { w.clock.add(d); return 0 }}), time.Minute)
}

const hostedTemplate = `apiVersion: reconciler/v1
kind: Template
name: shop
source: {repository: agency/shop, ref: 4f1d2c3b4f1d2c3b4f1d2c3b4f1d2c3b4f1d2c3b}
`

// hosted are the files of so many clients at a host, with nothing but a site.
func hosted(at string, clients int, more ...string) map[string]string {
	files := map[string]string{"templates/shop.yaml": hostedTemplate}
	for i := range clients {
		n := fmt.Sprintf("c%03d", i)
		files["clients/"+n+".yaml"] = client(n, append([]string{"deployment: {provider: " + at + "}", "database: {provider: none}"}, more...)...)
	}
	return files
}

// atPloi is an installation with so many sites at Ploi, of the plan that allows 60 calls a
// minute, as the program speaks to it.
func atPloi(t *testing.T, clients int) (*world, *wire) {
	t.Helper()
	paper := contract.OpenAPI(t, contract.Description{Vendor: "Ploi", File: "ploi/ploi.yaml", Inner: func(p string) string { return strings.TrimPrefix(p, "/api") }})
	leads := []string{"203.0.113.10"}
	var line *wire
	w := newWorldWith(t, func(c *clock) []provider.Provider {
		vendor, err := ploisim.New(ploisim.Options{Now: c.Now, Plan: "basic", Issue: -1, DNS: func(string) []string { return leads }})
		if err != nil {
			t.Fatal(err)
		}
		line = &wire{clock: c, api: paper.Handler(vendor)}
		p, err := ploi.New(ploi.Options{Base: "https://ploi.example/api", Token: state.NewSecret("invented-token-of-a-test"), HTTP: line.http(ploi.Name, 60, false),
			Servers: map[string]string{"default": "1"}, Resolve: func(context.Context, string) ([]string, error) { return leads, nil }, Now: c.Now, Sleep: c.Sleep})
		if err != nil {
			t.Fatal(err)
		}
		dns := memory.New(memory.Options{Name: "cloudflare", World: memory.NewWorld(c.Now), Kinds: memory.DNS(), Sleep: c.Sleep})
		return []provider.Provider{provider.Heed(p, c.Now), dns}
	})
	line.eased(func() { w.apply(hosted("ploi", clients)) })
	w.want("c000", state.StatusActive)
	return w, line
}

// fresh are the clients that were looked at whole since.
func (w *world) fresh(since time.Time) (n int) {
	v, err := w.engine.Overview()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, r := range v.Clients {
		if !r.LastLook.Before(since) {
			n++
		}
	}
	return n
}

// A fleet that needs many times what its host allows in a minute is looked at whole, in runs
// that take several minutes, and each minute leaves half to passes: one that comes when a
// look has used its half up is through at once.
func TestS41LooksAtALargeFleetLeaveHalfOfAWindow(t *testing.T) {
	const clients = 150
	w, line := atPloi(t, clients)
	changed := hosted("ploi", 1, "env: {STORE_CURRENCY: EUR}")
	took, went := time.Duration(0), false
	line.at = map[int]func(){30: func() {
		began := w.clock.Now()
		w.apply(map[string]string{"clients/c000.yaml": changed["clients/c000.yaml"]})
		took, went = w.clock.Now().Sub(began), true
	}}
	since := w.clock.Now()
	for run := 1; w.fresh(since) < clients; run++ {
		if run > 3 {
			t.Fatalf("%d of %d clients are seen after 3 runs", w.fresh(since), clients)
		}
		before := line.all
		l := w.look()
		if n := line.all - before; n > 550 {
			t.Errorf("run %d made %d requests", run, n)
		}
		if len(l.Stopped) > 0 || len(l.New) > 0 || l.Seen+l.Left != clients {
			t.Errorf("run %d: %d seen, %d left, stopped %v, found %v", run, l.Seen, l.Left, l.Stopped, l.New)
		}
		t.Logf("run %d: %d seen, %d left, %d requests", run, l.Seen, l.Left, line.all-before)
	}
	w.want("c000", state.StatusActive)
	if passed := line.windows[0].rest; !went || took > time.Minute/2 || passed < 5 {
		t.Errorf("a pass beside the look: %t, with %d requests, in %s", went, passed, took)
	}
	if line.refused > 0 {
		t.Errorf("%d requests were too many", line.refused)
	}
	for _, is := range line.windows {
		if is.looks > 30 {
			t.Errorf("in the minute of %s looks made %d requests", is.began.Format("15:04:05"), is.looks)
		}
	}
	// Whether the state is behind what the host shows is asked once, with the next new client.
	w.clock.add(time.Minute)
	line.forget()
	w.restart()
	began := w.clock.Now()
	w.apply(map[string]string{"clients/new.yaml": strings.ReplaceAll(changed["clients/c000.yaml"], "c000", "new")})
	w.want("new", state.StatusActive)
	if took := w.clock.Now().Sub(began); line.all > 60 || line.refused > 0 || took > time.Minute {
		t.Errorf("a new client after a start took %d requests and %s", line.all, took)
	}
}

// A lost state is made anew, and an older one compared, though there are more sites than
// their host shows in one of its windows; it is said what is waited for.
func TestS34RebuildWaitsThroughTheWindowsOfVendors(t *testing.T) {
	const clients = 90
	w, line := atPloi(t, clients)
	w.lose()
	var said []string
	got, err := w.engine.Rebuild(provider.Listening(t.Context(), func(text string) { said = append(said, text) }), "dana")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, c := range got.Clients {
		if c.What == "found" {
			found++
		}
	}
	if found != clients || len(said) == 0 || !strings.HasPrefix(said[0], "ploi: its limit is used up until ") {
		t.Errorf("%d of %d are found; it said %q", found, clients, said)
	}
	w.clock.add(time.Minute)
	if err := w.store.Update(func(tx store.Tx) error { return store.PutRestored(tx, w.clock.Now()) }); err != nil {
		t.Fatal(err)
	}
	w.restart()
	if ids := w.poll(); len(ids) != clients {
		t.Errorf("compared with the providers, %d of %d go on", len(ids), clients)
	}
	if line.refused > 0 {
		t.Errorf("%d requests were too many", line.refused)
	}
}

// What a list costs is charged: at Vercel its pages, which show others' projects, too, and two
// requests a site. Each run keeps to its budget, and whoever waits longest is next.
func TestS41WhatAListCostsIsCharged(t *testing.T) {
	const clients, others, budget = 200, 900, 500
	paper := contract.OpenAPI(t, contract.Description{Vendor: "Vercel", File: "vercel/openapi.json", Loose: true,
		Uncut: []contract.Operation{{Method: "POST", Path: "/v9/projects/{p}/link"}, {Method: "DELETE", Path: "/v9/projects/{p}/link"}},
		Relax: func(d *openapi3.T) {
			for _, p := range d.Paths.Value("/v13/deployments").Post.Parameters {
				if p.Value.Schema.Value.Type == nil { // forceNew is one of two words, and of no type
					p.Value.Schema.Value.Type = &openapi3.Types{openapi3.TypeString}
				}
			}
		}})
	var line *wire
	var host *vercel.Provider
	resolves := func(w *world) {
		w.change = func(e *reconcile.Engine) {
			e.ResolveRef = func(_ context.Context, _, ref string) (string, error) { return ref, nil }
		}
	}
	w := newWorldOver(t, resolves, func(c *clock) []provider.Provider {
		vendor, err := vercelsim.New(vercelsim.Options{Now: c.Now})
		if err != nil {
			t.Fatal(err)
		}
		line = &wire{clock: c, api: paper.HandlerRequests(vendor)}
		host = vercel.New(vercel.Options{Token: state.NewSecret("invented-token-of-a-test"), URL: "https://vercel.example", HTTP: line.http(vercel.Name, 0, true), Now: c.Now})
		dns := memory.New(memory.Options{Name: "cloudflare", World: memory.NewWorld(c.Now), Kinds: memory.DNS(), Sleep: c.Sleep})
		return []provider.Provider{host, dns}
	})
	line.eased(func() {
		w.apply(hosted("vercel", clients))
		for n := range others {
			mark := provider.Mark{Installation: "0badcafe", Client: state.ClientID(fmt.Sprintf("other%d", n)), Generation: 1}
			ref := state.Ref{Client: mark.Client, Kind: state.KindSite, Name: vercel.Name}
			if _, err := host.Create(t.Context(), provider.Wish{Ref: ref, Mark: mark, Name: provider.ObjectName(mark, ref)}); err != nil {
				t.Fatal(err)
			}
		}
	})
	w.want("c000", state.StatusActive)
	since := w.clock.Now()
	for run := range 2 {
		before := line.all
		l := w.look()
		if n := line.all - before; n > budget || len(l.Stopped) > 0 || len(l.New) > 0 {
			t.Errorf("run %d made %d requests: %d seen, %d left, stopped %v, found %v", run, n, l.Seen, l.Left, l.Stopped, l.New)
		}
		t.Logf("run %d: %d seen, %d left, %d requests", run, l.Seen, l.Left, line.all-before)
	}
	if n := w.fresh(since); n != clients {
		t.Errorf("two runs saw %d of %d clients", n, clients)
	}
}
