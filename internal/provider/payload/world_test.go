package payload

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/compassdigital/reconciler/internal/contract"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/payload/simulated"
	"github.com/compassdigital/reconciler/internal/provider/providertest"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testPassword = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	testEmail    = "dana@demoshop.example"
	firstPath    = "/site-1/api/users/first-register"
	loginPath    = "/site-1/api/users/login"
	initPath     = "/site-1/api/users/init"
)

// clock is one that only tests and sleepers move.
type clock struct{ *providertest.Clock }

func newClock() *clock { return &clock{providertest.NewClock()} }

func (c *clock) move(d time.Duration) { c.Move(d) }

// world is one server with any number of sites, /site-1 and so on.
type world struct {
	t       testing.TB
	clock   *clock
	faults  *simulator.Faults
	judge   *contract.Contract
	options simulated.Options
	files   string // a folder; "": nothing outlives a restart
	server  *httptest.Server

	mu    sync.Mutex
	sites map[string]*simulated.Payload
	calls []string
}

func start(t testing.TB, change ...func(*simulated.Options)) *world {
	t.Helper()
	w := &world{t: t, clock: newClock(), faults: &simulator.Faults{}, judge: contract.Payload(t), sites: map[string]*simulated.Payload{}}
	w.options = simulated.Options{Now: w.clock.Now}
	for _, f := range change {
		f(&w.options)
	}
	w.listen()
	return w
}

func (w *world) listen() {
	w.server = httptest.NewServer(w.faults.Handler(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		if _, err := strconv.Atoi(strings.TrimPrefix(name, "site-")); err != nil {
			http.NotFound(out, r)
			return
		}
		w.judge.Handler(http.StripPrefix("/"+name, w.site(name))).ServeHTTP(out, r)
	})))
	w.t.Cleanup(w.server.Close)
}

// site is a site by name, made when it is first asked for.
func (w *world) site(name string) *simulated.Payload {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s, ok := w.sites[name]; ok {
		return s
	}
	o := w.options
	o.Seed = name
	if w.files != "" {
		o.File = w.files + "/" + name + ".json"
	}
	s, err := simulated.New(o)
	if err != nil {
		w.t.Error(err)
		return nil
	}
	w.sites[name] = s
	return s
}

// restart ends all sites; what they keep in files is there when they are asked again.
func (w *world) restart() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sites = map[string]*simulated.Payload{}
}

func (w *world) address(name string) string { return w.server.URL + "/" + name }

// RoundTrip records what is asked.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	w.calls = append(w.calls, r.Method+" "+r.URL.Path)
	w.mu.Unlock()
	return (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
}

// asked are the calls since it was last asked for.
func (w *world) asked() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.calls
	w.calls = nil
	return out
}

func (w *world) open() *Provider {
	w.t.Helper()
	p, err := New(Options{HTTP: &http.Client{Transport: w}, Now: w.clock.Now})
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func input(name, text string) provider.Input { return provider.Input{Name: name, Text: text} }

// wish is for the first user of a site; change replaces inputs.
func (w *world) wish(site string, change ...provider.Input) provider.Wish {
	secret := state.NewSecret(testPassword)
	out := provider.Wish{Ref: state.Ref{Client: "demoshop-1a2b3c", Kind: state.KindAdmin, Name: "main"}, Name: "demoshop-1a2b3c-0badcafe",
		Mark: provider.Mark{Installation: "0badcafe", Client: "demoshop-1a2b3c", Generation: 1},
		Inputs: []provider.Input{input("database", "db/"+site), input("email", testEmail), {Name: "password", Secret: &secret},
			input("path", "/admin"), input("site", site), input("url", w.address(site))}}
	for _, c := range change {
		found := false
		for n := range out.Inputs {
			if out.Inputs[n].Name == c.Name {
				out.Inputs[n], found = c, true
			}
		}
		if !found {
			out.Inputs = append(out.Inputs, c)
		}
	}
	return out
}

func create(t testing.TB, p *Provider, w provider.Wish) provider.Object {
	t.Helper()
	o, err := p.Create(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func look(t testing.TB, p *Provider, w provider.Wish) []provider.Object {
	t.Helper()
	found, err := p.Observe(t.Context(), provider.Query{Kind: state.KindAdmin, Name: w.Name, Wish: &w})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func wantKind(t testing.TB, what string, err error, want provider.ErrorKind) {
	t.Helper()
	if err == nil || provider.KindOf(err) != want {
		t.Errorf("%s: %v, want %s", what, err, want)
	}
}

// emails are the addresses of a site's users.
func emails(s *simulated.Payload) string {
	var out []string
	for _, u := range s.Users() {
		out = append(out, u.Email)
	}
	return strings.Join(out, " ")
}

func count(calls []string, path string) (n int) {
	for _, c := range calls {
		if strings.HasSuffix(c, path) {
			n++
		}
	}
	return n
}

func name(n int) string { return fmt.Sprintf("site-%d", n) }
