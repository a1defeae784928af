package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
	"github.com/compassdigital/reconciler/internal/provider/railway"
	"github.com/compassdigital/reconciler/internal/provider/resend"
	stripesim "github.com/compassdigital/reconciler/internal/provider/stripe/simulated"
	"github.com/compassdigital/reconciler/internal/state"
)

// The zone of the simulated vendors' installation, and where its sites are.
const (
	agencyZone = "agency.example"
	ploiServer = "203.0.113.10"
	agencyTeam = "team_agency"
)

// fleet is an installation whose clients are at simulated vendors alone: the program as it is
// run, each vendor behind HTTP, every exchange held to the vendor's description, and
// look-alikes everywhere.
type fleet struct {
	*world
	*vendorSet
	sent *exchanges
}

// exchanges are the requests that came to the vendors, in the order in which they came.
type exchanges struct {
	mu  sync.Mutex
	all []exchange
}

// exchange is one request. Call is its method and path, ids left out, and for Railway the
// operation.
type exchange struct {
	Vendor, Call string
	Writes       bool
	At           time.Time
}

func (x exchange) String() string { return x.Vendor + " " + x.Call }

func (e *exchanges) len() int { e.mu.Lock(); defer e.mu.Unlock(); return len(e.all) }

func (e *exchanges) since(n int) []exchange {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.all[n:])
}

// writes are those after the first n that change something.
func (e *exchanges) writes(n int) (out []string) {
	for _, x := range e.since(n) {
		if x.Writes {
			out = append(out, x.String())
		}
	}
	return out
}

// note stands before a vendor and writes down what comes.
func (e *exchanges) note(vendor string, now func() time.Time, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := exchange{Vendor: vendor, Call: r.Method + " " + httpapi.Route(r.URL.Path), Writes: r.Method != http.MethodGet, At: now()}
		if vendor == railway.Name {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				panic(http.ErrAbortHandler) // who asked is gone
			}
			var asked struct{ Query, OperationName string }
			_ = json.Unmarshal(body, &asked) // the vendor says what it thinks of it
			x.Call, x.Writes = asked.OperationName, strings.HasPrefix(strings.TrimSpace(asked.Query), "mutation")
			r.Body = io.NopCloser(strings.NewReader(string(body)))
		}
		e.mu.Lock()
		e.all = append(e.all, x)
		e.mu.Unlock()
		h.ServeHTTP(w, r)
	})
}

// newFleet starts the vendors, with look-alikes in each, and an installation that has them.
func newFleet(t *testing.T, k kindness, files map[string]string) *fleet {
	t.Helper()
	all := map[string]string{"templates/ecommerce.yaml": strings.NewReplacer("source: {repository: builtin, ref: v1, directory: ecommerce}", "source: {repository: compassdigital/storefront, ref: v1.4.2}",
		"admin: {kind: payload, path: /admin}", "admin: {kind: none}").Replace(shopTemplate)}
	all["templates/cms.yaml"] = strings.NewReplacer("name: ecommerce", "name: cms", "kind: none", "kind: payload").Replace(all["templates/ecommerce.yaml"])
	for path, text := range files {
		all[path] = text
	}
	f := &fleet{world: newBareWorld(t, all), sent: &exchanges{}}
	f.clock.haste = k.haste
	f.open(t, k)
	f.public = f.lookUp
	f.wired = func(p *program) {
		p.engine.Check = f.probe
		p.engine.ResolveRef = resolved
	}
	f.configure("")
	f.wantLikes(t)
	return f
}

// resolved is a commit for a branch or a tag, as whoever keeps the repository would say.
func resolved(_ context.Context, _, ref string) (string, error) {
	return fmt.Sprintf("%040x", len(ref)*1000+int(ref[len(ref)-1])), nil
}

func (f *fleet) open(t *testing.T, k kindness) {
	t.Helper()
	var err error
	if f.vendorSet, err = newVendorSet(f.now, k, agencyZone, f.env, func(vendor string, api http.Handler) http.Handler { return underContract(t, vendor, api) }); err != nil {
		t.Fatal(err)
	}
	for name, v := range f.apis() {
		api := f.sent.note(name, f.now, f.faults[name].Handler(underContract(t, name, v.api)))
		if name == resend.Name {
			api = f.hearsMail(api)
		}
		server := httptest.NewServer(api)
		t.Cleanup(server.Close)
		f.env[apiVariable(name)] = server.URL + v.path
	}
	sites := httptest.NewServer(f.sent.note("payload", f.now, f.atSites()))
	t.Cleanup(sites.Close)
	f.reach = func(http.RoundTripper) http.RoundTripper { return atSite(sites.Listener.Addr().String()) }
	f.env["RECONCILER_PROVIDERS_STRIPE_PLATFORM"] = stripesim.Platform
	f.env["RECONCILER_PROVIDERS_VERCEL_TEAM_ID"] = agencyTeam
	f.env["RECONCILER_PROVIDERS_PLOI_SERVER_ID"] = "1"
	f.env["RECONCILER_PROVIDERS_RESEND_FROM"] = "Agency <ops@" + agencyZone + ">"
}

// atSite is the address of a server that answers for all sites.
type atSite string

// RoundTrip implements http.RoundTripper.
func (at atSite) RoundTrip(r *http.Request) (*http.Response, error) {
	to := r.Clone(r.Context())
	to.URL.Scheme, to.URL.Host, to.Host = "http", string(at), r.URL.Hostname()
	return (&http.Transport{DisableKeepAlives: true}).RoundTrip(to)
}

// configure writes reconciler.yaml; more are further lines of it.
func (f *fleet) configure(more string) {
	f.t.Helper()
	text := fmt.Sprintf(`repository: {url: %q, branch: main, path: clients, poll: "@every 1h"}
state: {path: state.db, keyFile: key}
listen: %s
platform: {baseDomain: %s, defaults: {deployment: ploi, database: railway, dns: cloudflare}}
schedules: {drift: "@every 24h", health: "@every 24h", purge: "@every 24h"}
%s`, f.url, f.listen, agencyZone, more)
	if err := os.WriteFile(filepath.Join(f.dir, defaultConfigFile), []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// lookUp is the world's DNS.
func (f *fleet) lookUp(_ context.Context, recordType, name string) ([]string, error) {
	if recordType == "A" {
		return f.leads(name), nil
	}
	return f.cloudflare.Answers(recordType, name), nil
}

// probe is the health check from outside.
func (f *fleet) probe(_ context.Context, base string, h manifest.Health) error {
	u, err := url.Parse(base)
	if err != nil {
		return err
	}
	if code, page := f.visit(u.Hostname(), h.Path); code != http.StatusOK {
		return fmt.Errorf("%s answers %d: %s", base, code, page)
	}
	return nil
}

// atPloi and atVercel are manifests of clients there.
func atPloi(name string, more ...string) string { return manifestOf(name, more...) }

func atVercel(name string, more ...string) string {
	return manifestOf(name, append([]string{"deployment: {provider: vercel}"}, more...)...)
}

// withUser is a client whose site is Payload's.
func withUser(manifest string) string {
	return strings.Replace(manifest, "template: ecommerce", "template: cms", 1)
}

// settle applies until these are active, and lets time pass in between.
func (f *fleet) settle(names ...string) {
	f.t.Helper()
	const tries = 16
	for n := range tries {
		v := f.apply()
		left := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return rowOf(v, name).Status == string(state.StatusActive) })
		if len(left) == 0 {
			return
		}
		if n == tries-1 {
			for _, name := range left {
				f.t.Errorf("%s is %s: %s", name, rowOf(v, name).Status, rowOf(v, name).Because)
			}
			f.t.FailNow()
		}
		f.clock.add(5 * time.Minute)
	}
}

// wantLikes wants the look-alikes to be byte-equal when the test ends (S54).
func (f *fleet) wantLikes(t *testing.T) {
	t.Helper()
	was := f.likes()
	if len(was) != 12 {
		t.Fatalf("%d look-alikes", len(was))
	}
	t.Cleanup(func() {
		for _, changed := range likesChanged(was, f.likes()) {
			t.Errorf("S54: %s", changed)
		}
	})
}
