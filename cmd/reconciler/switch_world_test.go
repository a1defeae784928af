package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/manifest"
	cloudflare "github.com/compassdigital/reconciler/internal/provider/cloudflare/simulated"
	ploi "github.com/compassdigital/reconciler/internal/provider/ploi/simulated"
	vercel "github.com/compassdigital/reconciler/internal/provider/vercel/simulated"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/simulator"
)

// What the switching world's visitors do.
const (
	visitEvery   = 200 * time.Millisecond
	greetEvery   = 50                // visits share a connection until something of it changes, and so many at most
	nameLifetime = 300 * time.Second // of an address record, see desired
	ploiAddress  = "203.0.113.10"
	proxyAddress = "198.51.100.80" // the simulated Cloudflare's
	switchedHost = "demoshop.localhost"
)

// switching is an installation whose sites may be at Ploi or at Vercel, and whose DNS is at
// Cloudflare: all three simulated, on one clock that only moves when somebody waits or asks
// a vendor something, and that visitors watch every 200 ms.
type switching struct {
	*world
	ploi       *ploi.Vendor
	vercel     *vercel.Vercel
	cloudflare *cloudflare.Vendor
	faults     *simulator.Faults // of Cloudflare
	clock      *visitedClock
	paper      *papers
	visitors   []*visitor
	client     *http.Client // of visitors: TLS to the fronts, by address
	unwell     func(side string) bool
	tls        map[string]string // address of a vendor → where its front listens
	fronts     map[string]front  // by address
}

// front is what answers at a vendor's address, and which names it has a certificate of.
type front struct {
	side    string
	handler http.Handler
	secure  func(host string) bool
}

// papers are the calls of all vendors in their order.
type papers struct {
	mu  sync.Mutex
	all []string
}

// note writes a call down, once for those that poll.
func (p *papers) note(vendor string, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	line := vendor + " " + r.Method + " " + simplified(r.URL.Path)
	if n := len(p.all); n > 0 && p.all[n-1] == line && r.Method == http.MethodGet {
		return
	}
	p.all = append(p.all, line)
}

// take returns the calls since the last take, by vendor: what changes something in its order,
// and what was read, once.
func (p *papers) take() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	writes, reads := map[string][]string{}, map[string][]string{}
	for _, line := range p.all {
		vendor, call, _ := strings.Cut(line, " ")
		if !strings.HasPrefix(call, http.MethodGet+" ") {
			writes[vendor] = append(writes[vendor], call)
		} else if !slices.Contains(reads[vendor], call) {
			reads[vendor] = append(reads[vendor], call)
		}
	}
	p.all = nil
	var b strings.Builder
	for _, vendor := range []string{"ploi", "vercel", "cloudflare"} {
		slices.Sort(reads[vendor])
		for _, call := range slices.Concat(writes[vendor], reads[vendor]) {
			b.WriteString("  " + vendor + " " + call + "\n")
		}
	}
	return b.String()
}

var vendorIDs = regexp.MustCompile(`prj_[0-9a-f]+|demoshop-[0-9a-f]{6}-[0-9a-f]{8}|dpl_[0-9a-f]+|/[0-9a-f]{32}|/48[0-9]{3}`)

func simplified(path string) string {
	return vendorIDs.ReplaceAllStringFunc(path, func(id string) string {
		switch {
		case strings.HasPrefix(id, "prj"):
			return "{project}"
		case strings.HasPrefix(id, "demoshop"):
			return "{name}"
		case strings.HasPrefix(id, "dpl"):
			return "{deployment}"
		case len(id) == 33:
			return "/{record}"
		}
		return "/{id}"
	})
}

// visitedClock moves by waits and by calls, and lets visitors look at every step of it.
type visitedClock struct {
	mu    sync.Mutex
	at    time.Time
	visit func(time.Time) // with mu held by nobody
	turn  sync.Mutex      // one move at a time
}

func (c *visitedClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// add lets time pass in steps, with a visit at each.
func (c *visitedClock) add(d, step time.Duration) {
	c.turn.Lock()
	defer c.turn.Unlock()
	for d > 0 {
		s := min(step, d)
		d -= s
		c.mu.Lock()
		c.at = c.at.Add(s)
		now := c.at
		c.mu.Unlock()
		c.visit(now)
	}
}

// Sleep lets d pass at once.
func (c *visitedClock) Sleep(ctx context.Context, d time.Duration) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	c.add(d, visitEvery)
	return nil
}

// newSwitching makes the world. The client is at Ploi, active, with its certificate.
func newSwitching(t *testing.T) *switching {
	t.Helper()
	files := map[string]string{"clients/demoshop.yaml": clientAt("ploi"),
		"templates/ecommerce.yaml": strings.Replace(shopTemplate, "source: {repository: builtin, ref: v1, directory: ecommerce}", "source: {repository: compassdigital/storefront, ref: v1.4.2}", 1)}
	s := &switching{world: newWorld(t, files), faults: &simulator.Faults{}, paper: &papers{}, tls: map[string]string{}, visitors: []*visitor{{keeps: nameLifetime, sides: map[string]int{}}, {sides: map[string]int{}}}}
	s.clock = &visitedClock{at: time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC), visit: func(time.Time) {}}
	s.now = s.clock.Now
	s.public = func(_ context.Context, recordType, name string) ([]string, error) {
		return s.cloudflare.Answers(recordType, name), nil
	}
	answers := func(host string) []string { return s.cloudflare.Answers("A", host) }
	var err error
	if s.cloudflare, err = cloudflare.New(cloudflare.Options{Now: s.clock.Now, Faults: s.faults, Token: s.env["CLOUDFLARE_API_TOKEN"], Zones: []cloudflare.Zone{{ID: "zone1", Name: "localhost", Account: "agency"}}}); err != nil {
		t.Fatal(err)
	}
	if s.ploi, err = ploi.New(ploi.Options{Now: s.clock.Now, Work: 2 * time.Second, Write: 2 * time.Second, BuildTime: 10 * time.Second, Token: s.env["PLOI_API_TOKEN"], DNS: answers}); err != nil {
		t.Fatal(err)
	}
	if s.vercel, err = vercel.New(vercel.Options{Now: s.clock.Now, Token: s.env["VERCEL_API_TOKEN"], Team: "team_agency", BuildTime: 20 * time.Second, PointTime: 2 * time.Second, DNS: answers}); err != nil {
		t.Fatal(err)
	}
	s.serve("cloudflare", s.cloudflare, "RECONCILER_PROVIDERS_CLOUDFLARE_API_URL", "/client/v4")
	s.serve("ploi", s.ploi, "RECONCILER_PROVIDERS_PLOI_API_URL", "/api")
	s.serve("vercel", s.vercel, "RECONCILER_PROVIDERS_VERCEL_API_URL", "")
	s.env["RECONCILER_PROVIDERS_VERCEL_TEAM_ID"] = "team_agency"
	s.configure("providers: {embedded: {dir: \".\", dns: \"127.0.0.1:0\"}, ploi: {servers: {web-1: \"1\"}}}\n")
	s.open()
	return s
}

func (s *switching) configure(more string) {
	s.t.Helper()
	s.world.configure("")
	at := filepath.Join(s.dir, defaultConfigFile)
	text := strings.Replace(readAll(s.t, at), "providers: {embedded: {dir: \".\", dns: \"127.0.0.1:0\"}}\n", more, 1)
	if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// serve puts a vendor behind HTTP: each call takes a moment, and is noted.
func (s *switching) serve(name string, h http.Handler, env, path string) {
	api := underContract(s.t, name, h)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name == "cloudflare" && r.Method != http.MethodGet {
			s.relearn() // the worst: somebody learns the address right before it changes
		}
		s.paper.note(name, r)
		s.clock.add(visitEvery, visitEvery)
		api.ServeHTTP(w, r)
	}))
	s.t.Cleanup(server.Close)
	s.env[env] = server.URL + path
}

// relearn lets every visitor learn the address now.
func (s *switching) relearn() {
	s.clock.turn.Lock()
	defer s.clock.turn.Unlock()
	for _, v := range s.visitors {
		v.learned = time.Time{}
		s.resolve(v, s.clock.Now())
	}
}

func clientAt(provider string, more ...string) string {
	if provider == "ploi" {
		provider = "ploi, server: web-1"
	}
	return manifestOf("demoshop", append([]string{"deployment: {provider: " + provider + "}", "database: {provider: sqlite}", "dns: {provider: cloudflare}"}, more...)...)
}

// run runs one command of the program.
func (s *switching) run(args ...string) (int, string) {
	s.t.Helper()
	var out, errOut bytes.Buffer
	a := s.app(&out, &errOut)
	a.sleep, a.wrap = s.clock.Sleep, nil
	a.wired = func(p *program) {
		p.engine.PublicURL = func(host string) string { return "https://" + host }
		p.engine.Check = s.check
		parallelOne(p)
		p.engine.ResolveRef = func(context.Context, string, string) (string, error) { return strings.Repeat("1", 40), nil }
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	code := a.run(ctx, append(args, "--config", filepath.Join(s.dir, defaultConfigFile)))
	s.hear("stdout of "+args[0], out.String())
	s.hear("stderr of "+args[0], errOut.String())
	if code != 0 && len(out.String()) == 0 {
		return code, errOut.String()
	}
	return code, out.String()
}

// check is the program's health probe: public names over TLS as visitors come, a side's own
// address at its front.
func (s *switching) check(_ context.Context, base string, h manifest.Health) error {
	u, err := url.Parse(base)
	if err != nil {
		return err
	}
	if u.Hostname() == switchedHost {
		address := ""
		if all := s.cloudflare.Answers("A", switchedHost); len(all) > 0 {
			address = all[0]
		}
		_, err := s.ask(address, h.Path)
		return err
	}
	front := s.vercel.Front()
	if strings.HasSuffix(u.Hostname(), ".ploi.example") {
		front = s.ploi.Front()
	}
	r := httptest.NewRequest(http.MethodGet, h.Path, nil)
	r.Host = u.Hostname()
	w := httptest.NewRecorder()
	if front.ServeHTTP(w, r); w.Code != http.StatusOK {
		return fmt.Errorf("%s answers %d", base, w.Code)
	}
	return nil
}

// pass applies what is due.
func (s *switching) pass() reconcile.Row {
	s.t.Helper()
	_, out := s.run("apply", "-o", "json")
	var v reconcile.Overview
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		s.t.Fatalf("%v\n%s", err, out)
	}
	return rowOf(v, "demoshop")
}

func (s *switching) wantStatus(status string) reconcile.Row {
	s.t.Helper()
	r := s.pass()
	if r.Status != status {
		s.t.Fatalf("it is %s (%s), want %s", r.Status, r.Because, status)
	}
	return r
}

// holds are the fingerprints that wait for an approval, with their reasons.
func (s *switching) holds() map[string]string {
	s.t.Helper()
	_, out := s.run("why", "demoshop", "-o", "json")
	var v reconcile.Detail
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		s.t.Fatalf("%v\n%s", err, out)
	}
	all := map[string]string{}
	for _, h := range v.Holds {
		all[h.Fingerprint] = h.Reason
	}
	return all
}
