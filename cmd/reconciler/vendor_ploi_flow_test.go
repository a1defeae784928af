package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
	"github.com/compassdigital/reconciler/internal/provider/localdns"
	"github.com/compassdigital/reconciler/internal/provider/ploi"
	"github.com/compassdigital/reconciler/internal/provider/ploi/simulated"
	"github.com/compassdigital/reconciler/internal/provider/sqlite"
	"github.com/compassdigital/reconciler/internal/state"
)

// agency is an installation whose sites are at a simulated Ploi.
type agency struct {
	*world
	ploi    *simulated.Vendor
	server  *httptest.Server
	built   []string // the .env of every deployment
	resolve bool     // by asking the repository
	unfit   string   // a host that does not answer well
	servers map[string]string
}

func newAgency(t *testing.T, files map[string]string, doubts simulated.Doubts, change ...func(*simulated.Options)) *agency {
	t.Helper()
	files["templates/ecommerce.yaml"] = strings.Replace(shopTemplate, "source: {repository: builtin, ref: v1, directory: ecommerce}", "source: {repository: compassdigital/storefront, ref: v1.4.2}", 1)
	a := &agency{world: newWorld(t, files), servers: map[string]string{"web-1": "1"}}
	o := simulated.Options{Now: a.now, Work: 2 * time.Second, Write: 2 * time.Second, BuildTime: 10 * time.Second, Lag: 10 * time.Second, Doubts: doubts,
		Build: func(_, script, env string) ([]string, bool) {
			a.built = append(a.built, env)
			return nil, strings.Contains(script, `"breakBuild":true`)
		},
		Token: a.env["PLOI_API_TOKEN"], DNS: func(string) []string { return []string{"203.0.113.10"} }}
	for _, f := range change {
		f(&o)
	}
	var err error
	a.ploi, err = simulated.New(o)
	if err != nil {
		t.Fatal(err)
	}
	a.server = httptest.NewServer(underContract(t, "ploi", a.ploi))
	t.Cleanup(a.server.Close)
	return a
}

// open opens the vendor beside embedded databases and DNS.
func (a *agency) open(_ context.Context, _ Config) ([]provider.Provider, error) {
	databases, err := sqlite.New(sqlite.Options{Dir: filepath.Join(a.dir, "databases"), Now: a.now})
	if err != nil {
		return nil, err
	}
	records, err := localdns.New(localdns.Options{Dir: filepath.Join(a.dir, "dns"), Now: a.now})
	if err != nil {
		return nil, err
	}
	a.t.Cleanup(func() {
		_, _ = databases.Close(), records.Close() // the test is over
	})
	sites, err := ploi.New(ploi.Options{Base: a.server.URL + "/api", Token: state.NewSecret(a.env["PLOI_API_TOKEN"]), HTTP: httpapi.NewHTTP(&http.Transport{DisableKeepAlives: true}, time.Minute),
		Servers: a.servers, Now: a.now, Sleep: a.clock.Sleep, Resolve: func(context.Context, string) ([]string, error) { return []string{"203.0.113.10"}, nil }})
	return []provider.Provider{databases, records, provider.Heed(sites, a.now)}, err
}

// probe asks the vendor's front as a visitor does.
func (a *agency) probe(_ context.Context, base string, h manifest.Health) error {
	u, err := url.Parse(base)
	if err != nil {
		return err
	}
	if code, page := a.visit(u.Hostname(), h.Path); u.Hostname() == a.unfit || code != http.StatusOK {
		return fmt.Errorf("%s answers %d: %s", base, code, page)
	}
	return nil
}

func (a *agency) visit(host, path string) (int, string) {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Host = host
	w := httptest.NewRecorder()
	a.ploi.Front().ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// pass applies what is due and returns how the program ended and what it said.
func (a *agency) pass() (int, string) { a.t.Helper(); return a.program("apply") }

func (a *agency) program(args ...string) (int, string) {
	a.t.Helper()
	var out, errOut bytes.Buffer
	run := a.app(&out, &errOut)
	run.providers = a.open
	run.wired = func(p *program) {
		p.engine.Check = a.probe
		if a.resolve {
			return
		}
		p.engine.ResolveRef = func(_ context.Context, _, ref string) (string, error) {
			return strings.Repeat("1", 39) + ref[len(ref)-1:], nil
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	code := run.run(ctx, append(args, "--config", filepath.Join(a.dir, defaultConfigFile)))
	return code, out.String() + errOut.String()
}

// A client's life at Ploi, by the program: made, changed, broken, mended, gone.
func TestAClientsLifeAtPloi(t *testing.T) {
	for name, doubts := range map[string]simulated.Doubts{"the other way": simulated.AllDoubts()} {
		t.Run(name, func(t *testing.T) {
			shop := func(more ...string) string {
				return manifestOf("demoshop", append([]string{"deployment: {provider: ploi, server: web-1}"}, more...)...)
			}
			keeper := manifestOf("keeper", "deployment: {provider: none}", "database: {provider: none}", "dns: {provider: none}", "env: {DATABASE_URL: {none: true}}")
			a := newAgency(t, map[string]string{"clients/demoshop.yaml": shop(), "clients/keeper.yaml": keeper}, doubts)
			must := func(want int, what string) {
				t.Helper()
				if code, out := a.pass(); code != want {
					t.Fatalf("%s: exit code %d, want %d\n%s", what, code, want, out)
				}
			}
			serves := func(want string) simulated.Site {
				t.Helper()
				sites := a.ploi.Sites()
				code, page := a.visit("demoshop.localhost", "/")
				if len(sites) != 1 || code != http.StatusOK || !strings.Contains(page, want) {
					t.Fatalf("there are %d sites, and the name answers %d %s; want %s", len(sites), code, page, want)
				}
				return sites[0]
			}
			must(0, "the manifest is new")
			first := serves("built")
			must(0, "nothing changed")
			if s := serves("built"); s.Deployments != first.Deployments || s.Env.Text() != first.Env.Text() {
				t.Error("a pass without a change deployed")
			}
			a.commit(map[string]string{"clients/demoshop.yaml": shop("env: {STORE_CURRENCY: USD}")})
			must(0, "a variable changed")
			second := serves("built")
			if second.Deployments != first.Deployments+1 || !strings.Contains(second.Env.Text(), "STORE_CURRENCY=USD") {
				t.Errorf("%d deployments, the .env is %s", second.Deployments, second.Env.Text())
			}
			a.commit(map[string]string{"clients/demoshop.yaml": shop("env: {STORE_CURRENCY: GBP}", "settings: {breakBuild: true}")})
			must(1, "the build breaks")
			serves("built")
			if n := len(a.built); n != 4 || !strings.Contains(a.built[n-2], "STORE_CURRENCY=GBP") || !strings.Contains(a.built[n-1], "STORE_CURRENCY=USD") {
				t.Errorf("what was deployed had the variables\n%s", strings.Join(a.built, "\n\n"))
			}
			a.commit(map[string]string{"clients/demoshop.yaml": shop("env: {STORE_CURRENCY: USD}")})
			must(0, "it is mended")
			if s := serves("built"); s.Deployments != second.Deployments+2 { // it was deployed again when the release failed, and is as it is wished
				t.Errorf("there were %d deployments, and %d before the build broke", s.Deployments, second.Deployments)
			}
			if code, out := a.program("drift"); code != 0 {
				t.Errorf("drift ends with %d\n%s", code, out)
			}
			a.commit(map[string]string{"clients/demoshop.yaml": shop("env: {STORE_CURRENCY: CHF}")})
			must(0, "a variable changed again")
			if s := serves("built"); s.Status != "active" || s.Deployments != second.Deployments+3 || strings.Contains(s.Script.Text(), "breakBuild") {
				t.Errorf("the site is %s after %d deployments, its script\n%s", s.Status, s.Deployments, s.Script.Text())
			}
			a.commit(map[string]string{"clients/demoshop.yaml": ""})
			must(0, "the manifest is removed")
			if sites := a.ploi.Sites(); len(sites) != 0 {
				t.Errorf("there are %d sites", len(sites))
			}
		})
	}
}

// S43: the state is lost, and what is at Ploi tells whose it is: nothing is made again.
func TestS43LostStateAtPloi(t *testing.T) {
	a := newAgency(t, map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", "deployment: {provider: ploi, server: web-1}", "aliases: [www.demoshop.localhost]")}, simulated.Doubts{})
	if code, out := a.pass(); code != 0 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	before := a.ploi.Sites()
	a.loseState()
	if code, out := a.program("rebuild"); code != 0 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	if code, out := a.program("plan"); code != 0 || !strings.Contains(out, "No changes.") {
		t.Errorf("the plan ends with %d\n%s", code, out)
	}
	if code, out := a.pass(); code != 0 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	after := a.ploi.Sites()
	if len(after) != 1 || after[0].ID != before[0].ID || after[0].Deployments != before[0].Deployments || after[0].Env.Text() != before[0].Env.Text() {
		t.Errorf("there was %+v\nand is %+v", before, after)
	}
}

// A site that people made at Ploi is adopted without one write, and a plan for it is empty;
// a change of it is brought there beside what they wrote.
func TestAnAdoptedSiteAtPloiIsLeftAsItIs(t *testing.T) {
	files := map[string]string{"clients/keeper.yaml": manifestOf("keeper", "deployment: {provider: none}", "database: {provider: none}", "dns: {provider: none}", "env: {DATABASE_URL: {none: true}}")}
	a := newAgency(t, files, simulated.Doubts{})
	number := a.ploi.Seed("demoshop.localhost", "# by hand\nDATABASE_URL='mysql://app:invented-at-ploi@127.0.0.1/app'\nPAYLOAD_SECRET=invented-old-value\nNEXT_PUBLIC_SERVER_URL=https://demoshop.localhost\nLEGACY=1\n", "cd /home/ploi/demoshop.localhost\ngit pull\n")
	shop := func(ref, env string) string {
		return manifestOf("demoshop", "deployment: {provider: ploi, server: web-1, ref: "+ref+"}", "database: {provider: none}", "dns: {provider: none}",
			fmt.Sprintf("adopt: {site: {id: \"1/%d\"}}", number), "env: {"+env+"}")
	}
	before := fmt.Sprintf("%+v", a.ploi.Sites())
	a.commit(map[string]string{"clients/demoshop.yaml": shop("main", "DATABASE_URL: {none: true}")})
	if code, out := a.pass(); code != 0 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	if code, out := a.program("plan"); code != 0 || !strings.Contains(out, "No changes.") {
		t.Errorf("the plan ends with %d\n%s", code, out)
	}
	if after := fmt.Sprintf("%+v", a.ploi.Sites()); after != before {
		t.Errorf("it was\n%s\nand is\n%s", before, after)
	}
	a.commit(map[string]string{"clients/demoshop.yaml": shop("v1.4.2", "DATABASE_URL: {none: true}, STORE_CURRENCY: EUR")})
	if code, out := a.pass(); code != 0 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	now := a.ploi.Sites()[0]
	if text := now.Env.Text(); !strings.HasPrefix(text, "# by hand\n") || !strings.Contains(text, "LEGACY=1\n") || !strings.Contains(text, "STORE_CURRENCY=EUR\n") {
		t.Errorf("the .env is\n%s", text)
	}
	if code, page := a.visit("demoshop.localhost", "/"); code != http.StatusOK || now.Deployments != 1 || !strings.Contains(page, "built") {
		t.Errorf("after %d deployments it answers %d %s", now.Deployments, code, page)
	}
}
