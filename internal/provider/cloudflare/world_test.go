package cloudflare

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"go.uber.org/goleak"

	"github.com/compassdigital/reconciler/internal/contract"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/cloudflare/simulated"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

// token and zones are invented.
const (
	token  = "invented-token-of-a-test"
	shopID = "0000000000000000000000000000shop"
	deepID = "0000000000000000000000000000deep"
	pendID = "0000000000000000000000000000pend"
)

// clock is one that only the test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time      { c.mu.Lock(); defer c.mu.Unlock(); return c.at }
func (c *clock) add(d time.Duration) { c.mu.Lock(); c.at = c.at.Add(d); c.mu.Unlock() }

// papers are Cloudflare's two descriptions: records as they are now, all else as of 2024.
type papers struct{ records, rest *contract.Contract }

// paper is read once: it takes a tenth of a second. judgedCount is of all tests.
var (
	paper       papers
	paperOnce   sync.Once
	judgedCount atomic.Int64
)

// TestMain insists that some exchanges were held to the descriptions, and that no goroutine
// is left.
func TestMain(m *testing.M) {
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Println(err)
		code = 1
	}
	if paper.records != nil && paper.records.Present() && judgedCount.Load() == 0 {
		fmt.Println("no exchange was held against Cloudflare's descriptions")
		code = 1
	}
	os.Exit(code)
}

func papersFor(t testing.TB) papers {
	t.Helper()
	paperOnce.Do(func() { paper = readPapers(t) })
	p := papers{paper.records.For(t), paper.rest.For(t)}
	t.Cleanup(func() { judgedCount.Add(int64(p.records.Judged() + p.rest.Judged())) })
	return p
}

func readPapers(t testing.TB) papers {
	t.Helper()
	failure := func(_ int, body []byte) error {
		if len(failures(body)) == 0 {
			return errors.New("a failure without errors")
		}
		return nil
	}
	inner := func(path string) string { return strings.TrimPrefix(path, "/client/v4") }
	return papers{
		records: contract.OpenAPI(t, contract.Description{Vendor: "Cloudflare (records)", File: "cloudflare/dns-records.openapi.json", Inner: inner, Failure: failure}),
		rest: contract.OpenAPI(t, contract.Description{Vendor: "Cloudflare (zones)", File: "cloudflare/openapi.json", Loose: true, Inner: inner, Failure: failure,
			Relax: func(doc *openapi3.T) {
				for _, path := range []string{"/zones/{zone_id}/purge_cache", "/user/tokens/verify"} {
					for _, o := range doc.Paths.Value(path).Operations() {
						o.Responses.Delete("4XX") // published as success and failure at once: nothing fits
						o.Responses.Delete("4xx")
					}
				}
			}}),
	}
}

func (p papers) of(path string) *contract.Contract {
	if strings.Contains(path, "/dns_records") {
		return p.records
	}
	return p.rest
}

// judged holds both sides of an exchange to the descriptions.
type judged struct {
	papers
	base http.RoundTripper
}

func (j judged) RoundTrip(r *http.Request) (*http.Response, error) {
	return j.of(r.URL.Path).Wrap(j.base).RoundTrip(r)
}

func (p papers) handler(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.of(r.URL.Path).Handler(h).ServeHTTP(w, r) })
}

// direct hands requests to a handler in this process. It keeps what was called.
type direct struct {
	mu      sync.Mutex
	handler http.Handler
	calls   []string
	refuse  bool // no connection comes about
}

// RoundTrip implements http.RoundTripper.
func (d *direct) RoundTrip(r *http.Request) (a *http.Response, err error) {
	d.mu.Lock()
	if d.refuse {
		d.mu.Unlock()
		return nil, errors.New("nobody listens")
	}
	d.calls = append(d.calls, r.Method+" "+strings.TrimPrefix(r.URL.Path, "/client/v4"))
	d.mu.Unlock()
	if r.Context().Err() != nil {
		return nil, r.Context().Err()
	}
	if trace := httptrace.ContextClientTrace(r.Context()); trace != nil && trace.WroteHeaders != nil {
		trace.WroteHeaders()
	}
	defer func() {
		if v := recover(); v != nil {
			if e, ok := v.(error); !ok || !errors.Is(e, http.ErrAbortHandler) {
				panic(v)
			}
			a, err = nil, io.ErrUnexpectedEOF
		}
	}()
	if r.Body == nil {
		r.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, r)
	return w.Result(), nil
}

// since are the calls from the n-th on.
func (d *direct) since(n int) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.calls[n:]...)
}

func (d *direct) count() int { d.mu.Lock(); defer d.mu.Unlock(); return len(d.calls) }

// world is a simulated Cloudflare with a provider before it.
type world struct {
	*testing.T
	vendor *simulated.Vendor
	faults *simulator.Faults
	clock  *clock
	wire   *direct
	p      *Provider
}

type setup struct {
	lag    time.Duration
	zoneID string
	lookup func(*world) Lookup
	moment time.Duration
	after  func(time.Duration) <-chan time.Time
	file   string
	calls  int
}

func zonesOfTests() []simulated.Zone {
	return []simulated.Zone{{ID: shopID, Name: "shops.example", Account: "one"}, {ID: deepID, Name: "deep.shops.example", Account: "two"}, {ID: pendID, Name: "pending.example", Account: "two", Status: "pending"}}
}

func newWorld(t *testing.T, s setup) *world {
	t.Helper()
	w := &world{T: t, faults: &simulator.Faults{}, clock: &clock{at: time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)}}
	if s.calls == 0 {
		s.calls = -1
	}
	var err error
	w.vendor, err = simulated.New(simulated.Options{Now: w.clock.now, Faults: w.faults, Lag: func() time.Duration { return s.lag }, File: s.file, Token: token, Zones: zonesOfTests(), Calls: s.calls})
	if err != nil {
		t.Fatal(err)
	}
	paper := papersFor(t)
	w.wire = &direct{handler: paper.handler(w.vendor)}
	w.open(s, judged{paper, w.wire})
	return w
}

func (w *world) open(s setup, transport http.RoundTripper) {
	w.Helper()
	if s.moment == 0 {
		s.moment = -1
	}
	o := Options{Token: state.NewSecret(token), ZoneID: s.zoneID, URL: "https://api.cloudflare.example/client/v4", HTTP: httpapi.NewHTTP(transport, time.Minute), Now: w.clock.now, Moment: s.moment, After: s.after}
	if s.lookup != nil {
		o.Lookup = s.lookup(w)
	}
	p, err := New(o)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		if err := p.Close(); err != nil {
			w.Error(err)
		}
	})
	w.p = p
}

var mark = provider.Mark{Installation: "0badcafe", Client: "bakery-1a2b", Generation: 1}

// wish is "TYPE name content", with further inputs as name=text.
func wish(kind, name, content string, more ...string) provider.Wish {
	r := state.Ref{Client: mark.Client, Kind: state.KindRecord, Name: kind + " " + name}
	w := provider.Wish{Ref: r, Name: r.Name, Mark: mark}
	set := map[string]string{"type": kind, "name": name, "content": content, "ttl": "300"}
	for _, m := range more {
		k, v, _ := strings.Cut(m, "=")
		if k == "tag" {
			w.Name += " " + v
			w.Ref.Name = w.Name
			continue
		}
		set[k] = v
	}
	for _, k := range []string{"content", "name", "priority", "proxied", "ttl", "type"} {
		if v, ok := set[k]; ok {
			w.Inputs = append(w.Inputs, provider.Input{Name: k, Text: v})
		}
	}
	return w
}

func (w *world) create(wished provider.Wish) provider.Object {
	w.Helper()
	o, err := w.p.Create(context.Background(), wished)
	if err != nil {
		w.Fatalf("create %s: %v", wished.Name, err)
	}
	return o
}

// byID is the object of an id, nil where there is none.
func (w *world) byID(id string) *provider.Object {
	w.Helper()
	found, err := w.p.Observe(context.Background(), provider.Query{Kind: state.KindRecord, ID: id})
	if err != nil {
		w.Fatalf("observe %s: %v", id, err)
	}
	if len(found) == 0 {
		return nil
	}
	return &found[0]
}

func (w *world) byName(wished provider.Wish) []provider.Object {
	w.Helper()
	found, err := w.p.Observe(context.Background(), provider.Query{Kind: state.KindRecord, Name: wished.Name, Wish: &wished})
	if err != nil {
		w.Fatalf("observe %s: %v", wished.Name, err)
	}
	return found
}

// fails says that an error is a *provider.Error of a kind that names no token.
func (w *world) fails(err error, kind provider.ErrorKind, says string) {
	w.Helper()
	var e *provider.Error
	if !errors.As(err, &e) || e.Kind != kind || !strings.Contains(err.Error(), says) {
		w.Errorf("got %v, want %s with %q", err, kind, says)
		return
	}
	for at := error(e); at != nil; at = errors.Unwrap(at) {
		if strings.Contains(fmt.Sprintf("%v %+v", at, at), token) {
			w.Error("the error tells the token")
		}
	}
}

func attributes(o provider.Object) string {
	var out []string
	for _, a := range o.Attributes {
		out = append(out, a.Name+"="+a.Text)
	}
	return strings.Join(out, " ")
}

// refusalBody is an answer of the vendor's in which it refuses.
func refusalBody(code int, text string) string {
	data, err := json.Marshal(map[string]any{"success": false, "errors": []map[string]any{{"code": code, "message": text}}, "messages": []string{}, "result": nil})
	if err != nil {
		panic(err)
	}
	return string(bytes.TrimSpace(data))
}
