package resend

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/compassdigital/reconciler/internal/contract"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
	"github.com/compassdigital/reconciler/internal/provider/resend/simulated"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

var update = flag.Bool("update", false, "rewrite golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	apiKey = "invented-key-of-a-test"
	from   = "Acme Ops <ops@acme.example>"
)

var mark = provider.Mark{Installation: "0a1b2c3d", Client: "demoshop-1a2b3c", Generation: 1}

// clock is a time that goes on when it is told to.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// world is a Resend, and what talks to it.
type world struct {
	clock  *clock
	faults *simulator.Faults
	vendor *simulated.Resend
	server *httptest.Server
	url    string
	judge  *contract.Contract
	broken bool     // what it answers is not held against the description
	calls  []string // method and path, in order
	mu     sync.Mutex
}

// described is Resend's published description, read once.
var described struct {
	once sync.Once
	it   *contract.Contract
}

// describe is the description, for a test.
func describe(tb testing.TB) *contract.Contract {
	tb.Helper()
	described.once.Do(func() { described.it = read(tb) })
	return described.it.For(tb)
}

func read(tb testing.TB) *contract.Contract {
	return contract.OpenAPI(tb, contract.Description{Vendor: "Resend", File: "resend/openapi.json", Failure: func(status int, body []byte) error {
		var e struct {
			StatusCode    int
			Name, Message string
		}
		if err := json.Unmarshal(body, &e); status < 500 && (err != nil || e.StatusCode != status || e.Name == "" || e.Message == "") {
			return errors.New("an error has statusCode, name and message")
		}
		return nil
	}})
}

// begin starts a Resend. Without a judge it may answer what fits no description, and only
// what it is asked is held against that.
func begin(t testing.TB, o simulated.Options, judge *contract.Contract) *world {
	t.Helper()
	w := &world{clock: &clock{at: time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)}, faults: &simulator.Faults{}, judge: judge}
	o.Now, o.Faults, o.Token = w.clock.now, w.faults, apiKey
	var err error
	if w.vendor, err = simulated.New(o); err != nil {
		t.Fatal(err)
	}
	if judge == nil {
		w.judge, w.broken = describe(t), true
	}
	w.server = httptest.NewServer(w.judged(w.vendor))
	t.Cleanup(w.server.Close)
	w.url = w.server.URL
	return w
}

func (w *world) judged(api http.Handler) http.Handler {
	if w.broken {
		return api
	}
	return w.judge.Handler(api)
}

// RoundTrip notes what is asked.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	path := r.URL.Path
	if strings.HasPrefix(path, "/emails/") {
		path = "/emails/ID"
	}
	w.calls = append(w.calls, r.Method+" "+path)
	w.mu.Unlock()
	return http.DefaultTransport.RoundTrip(r)
}

// open is a provider at that Resend.
func (w *world) open(t testing.TB) *Provider {
	t.Helper()
	transport := w.judge.Wrap(w)
	if w.broken {
		transport = w.judge.WrapRequests(w)
	}
	p, err := New(Options{APIKey: state.NewSecret(apiKey), From: from, APIURL: w.url, Now: w.clock.now, HTTP: httpapi.NewHTTP(transport, time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
	return p
}

func welcome(name string) provider.Wish {
	return provider.Wish{Ref: state.Ref{Client: mark.Client, Kind: state.KindMail, Name: "welcome"}, Name: name, Mark: mark,
		Inputs: []provider.Input{{Name: "subject", Text: "Demo Shop is ready"}, {Name: "text", Text: "It is at\nhttp://demoshop.example/\n"}, {Name: "to", Text: "dana@demoshop.example"}}}
}

func byName(w provider.Wish) provider.Query {
	return provider.Query{Kind: state.KindMail, Name: w.Name, Wish: &w}
}

func wantKind(t *testing.T, err error, kind provider.ErrorKind) *provider.Error {
	t.Helper()
	var e *provider.Error
	if !errors.As(err, &e) || e.Kind != kind {
		t.Fatalf("got %v, want an error of kind %s", err, kind)
	}
	return e
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(want, []byte(got)) {
		t.Errorf("%s is\n%s\ngot\n%s(%v)", file, want, got, err)
	}
}
