package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
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

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/compassdigital/reconciler/internal/contract"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/provider"
	cloudflaresim "github.com/compassdigital/reconciler/internal/provider/cloudflare/simulated"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
	ploisim "github.com/compassdigital/reconciler/internal/provider/ploi/simulated"
	"github.com/compassdigital/reconciler/internal/provider/railway"
	railwaysim "github.com/compassdigital/reconciler/internal/provider/railway/simulated"
	resendsim "github.com/compassdigital/reconciler/internal/provider/resend/simulated"
	"github.com/compassdigital/reconciler/internal/provider/vercel"
	vercelsim "github.com/compassdigital/reconciler/internal/provider/vercel/simulated"
	"github.com/compassdigital/reconciler/internal/simulator"
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
	ploi       *ploisim.Vendor
	vercel     *vercelsim.Vercel
	railway    *railwaysim.Railway
	cloudflare *cloudflaresim.Vendor
	resend     *resendsim.Resend
	faults     map[string]*simulator.Faults // by vendor
	sent       *exchanges
	likes      func() map[string]string // look-alikes as they are now
}

// kindness is how unkind the vendors are; its zero value is as kind as they get.
type kindness struct {
	lag   time.Duration // of lists
	work  time.Duration // of what is done in the background
	build time.Duration
	haste int64 // of the clock; 0: the usual
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

// papers are the vendors' descriptions, read once for all tests.
var papers struct {
	once sync.Once
	all  map[string]*contract.Contract
}

// papersOf are the descriptions by vendor, for one test; Cloudflare has a second one, of all
// but its records. Each has judged something when the test ends, if the vendor was asked.
func papersOf(t testing.TB) map[string]*contract.Contract {
	t.Helper()
	papers.once.Do(func() {
		inner := func(prefix string) func(string) string {
			return func(path string) string { return strings.TrimPrefix(path, prefix) }
		}
		papers.all = map[string]*contract.Contract{
			"ploi":       contract.OpenAPI(t, contract.Description{Vendor: "Ploi", File: "ploi/ploi.yaml", Inner: inner("/api")}),
			"railway":    contract.GraphQL(t, "Railway", "railway/schema.graphql"),
			"resend":     contract.OpenAPI(t, contract.Description{Vendor: "Resend", File: "resend/openapi.json"}),
			"cloudflare": contract.OpenAPI(t, contract.Description{Vendor: "Cloudflare (records)", File: "cloudflare/dns-records.openapi.json", Inner: inner("/client/v4")}),
			"zones":      contract.OpenAPI(t, contract.Description{Vendor: "Cloudflare (zones)", File: "cloudflare/openapi.json", Loose: true, Inner: inner("/client/v4")}),
			"vercel": contract.OpenAPI(t, contract.Description{Vendor: "Vercel", File: "vercel/openapi.json", Loose: true, Relax: alternatives,
				Uncut: []contract.Operation{{Method: "POST", Path: "/v9/projects/{p}/link"}, {Method: "DELETE", Path: "/v9/projects/{p}/link"}, {Method: "POST", Path: "/v1/projects/{p}/domains/{d}/move"}}}),
		}
	})
	out := map[string]*contract.Contract{}
	for name, c := range papers.all {
		out[name] = c.For(t)
	}
	return out
}

// alternatives lets an answer of Vercel's fit several alternatives of its description, which
// overlap: a deployment with all that its owner may see is also one with what everybody may.
func alternatives(d *openapi3.T) {
	seen := map[*openapi3.Schema]bool{}
	var anyOf func(r *openapi3.SchemaRef)
	anyOf = func(r *openapi3.SchemaRef) {
		if r == nil || seen[r.Value] {
			return
		}
		s := r.Value
		seen[s] = true
		s.AnyOf, s.OneOf = append(s.AnyOf, s.OneOf...), nil
		for _, p := range s.Properties {
			anyOf(p)
		}
		for _, p := range s.AnyOf {
			anyOf(p)
		}
		anyOf(s.Items)
		anyOf(s.AdditionalProperties.Schema)
	}
	for _, path := range d.Paths.InMatchingOrder() {
		for _, o := range d.Paths.Value(path).Operations() {
			for _, r := range o.Responses.Map() {
				for _, media := range r.Value.Content {
					anyOf(media.Schema)
				}
			}
		}
	}
	for _, p := range d.Paths.Value("/v13/deployments").Post.Parameters {
		if p.Value.Schema.Value.Type == nil { // forceNew is one of two words, and of no type
			p.Value.Schema.Value.Type = &openapi3.Types{openapi3.TypeString}
		}
	}
}

// newFleet starts the vendors, with look-alikes in each, and an installation that has them.
func newFleet(t *testing.T, k kindness, files map[string]string) *fleet {
	t.Helper()
	all := map[string]string{"templates/ecommerce.yaml": strings.NewReplacer("source: {repository: builtin, ref: v1, directory: ecommerce}", "source: {repository: compassdigital/storefront, ref: v1.4.2}",
		"admin: {kind: payload, path: /admin}", "admin: {kind: none}").Replace(shopTemplate)}
	for path, text := range files {
		all[path] = text
	}
	f := &fleet{world: newBareWorld(t, all), faults: map[string]*simulator.Faults{}, sent: &exchanges{}}
	f.clock.haste = k.haste
	f.open(t, k)
	f.public = f.lookUp
	f.wired = func(p *program) {
		p.engine.Check = f.probe
		p.engine.ResolveRef = resolved
	}
	f.configure("")
	f.plantAtVendors()
	return f
}

// resolved is a commit for a branch or a tag, as whoever keeps the repository would say.
func resolved(_ context.Context, _, ref string) (string, error) {
	return fmt.Sprintf("%040x", len(ref)*1000+int(ref[len(ref)-1])), nil
}

func (f *fleet) open(t *testing.T, k kindness) {
	t.Helper()
	lag := func() time.Duration { return k.lag }
	var errs [5]error
	f.cloudflare, errs[0] = cloudflaresim.New(cloudflaresim.Options{Now: f.now, Lag: lag, Token: f.env["CLOUDFLARE_API_TOKEN"], Calls: -1, Zones: []cloudflaresim.Zone{{ID: "023e105f4ecef8ad9ca31a8372d0c353", Name: agencyZone, Account: "agency"}}})
	f.ploi, errs[1] = ploisim.New(ploisim.Options{Now: f.now, Work: k.work, Write: k.work, BuildTime: k.build, Lag: k.lag, Token: f.env["PLOI_API_TOKEN"],
		DNS: func(host string) []string { return f.cloudflare.Answers("A", host) }})
	f.vercel, errs[2] = vercelsim.New(vercelsim.Options{Now: f.now, Token: f.env["VERCEL_API_TOKEN"], Team: agencyTeam, Lag: k.lag, BuildTime: k.build, PointTime: k.work})
	f.railway, errs[3] = railwaysim.New(railwaysim.Options{Now: f.now, Lag: lag, Token: f.env["RAILWAY_API_KEY"], BuildTime: cmp.Or(k.build, -1)})
	f.resend, errs[4] = resendsim.New(resendsim.Options{Now: f.now, Lag: k.lag, Token: f.env["RESEND_API_KEY"], Domains: map[string]string{agencyZone: "verified"}})
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	paper := papersOf(t)
	for name, v := range map[string]struct {
		api  http.Handler
		path string
	}{"cloudflare": {f.cloudflare, "/client/v4"}, "ploi": {f.ploi.Plain(), "/api"}, "vercel": {f.vercel, ""}, "railway": {f.railway, "/graphql/v2"}, "resend": {f.resend, ""}} {
		judged := paper[name].Handler(v.api)
		if name == "cloudflare" {
			zones := paper["zones"].Handler(v.api)
			records := judged
			judged = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.URL.Path, "/dns_records") {
					records.ServeHTTP(w, r)
					return
				}
				zones.ServeHTTP(w, r)
			})
		}
		f.faults[name] = &simulator.Faults{}
		server := httptest.NewServer(f.sent.note(name, f.now, f.faults[name].Handler(judged)))
		t.Cleanup(server.Close)
		f.env["RECONCILER_PROVIDERS_"+strings.ToUpper(name)+"_API_URL"] = server.URL + v.path
	}
	f.env["RECONCILER_PROVIDERS_VERCEL_TEAM_ID"] = agencyTeam
	f.env["RECONCILER_PROVIDERS_PLOI_SERVER_ID"] = "1"
	f.env["RECONCILER_PROVIDERS_RESEND_FROM"] = "Agency <ops@" + agencyZone + ">"
	t.Cleanup(func() {
		asked := map[string]bool{}
		for _, x := range f.sent.since(0) {
			asked[x.Vendor] = true
		}
		for name, c := range paper {
			if asked[name] {
				c.Some(t)
			}
		}
	})
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

// lookUp is the world's DNS: what Cloudflare's name servers say.
func (f *fleet) lookUp(_ context.Context, recordType, name string) ([]string, error) {
	return f.cloudflare.Answers(recordType, name), nil
}

// visit asks for a page as a visitor does: where DNS leads, over HTTPS. Addresses of the
// vendors' own lead to them.
func (f *fleet) visit(host, path string) (int, string) {
	front := f.vercel.Front()
	switch to := f.cloudflare.Answers("A", host); {
	case strings.HasSuffix(host, ".vercel.app"):
	case len(to) == 0 && strings.HasSuffix(host, agencyZone):
		return 0, "no such name"
	case len(to) == 0 || slices.Contains(to, ploiServer):
		front = f.ploi.Front()
	}
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Host = host
	w := httptest.NewRecorder()
	front.ServeHTTP(w, r)
	return w.Code, w.Body.String()
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

// plantAtVendors puts objects into every vendor that look like ours: unmarked, and marked by
// another installation. They are byte-equal when the test ends (S54).
func (f *fleet) plantAtVendors() {
	f.t.Helper()
	theirs := provider.Mark{Installation: "ffffffff", Client: "demoshop-ffffff", Generation: 1}
	look := "demoshop-ffffff-ffffffff"
	sites := []int{f.ploi.Seed("demoshop-ffffff-0badcafe.reconciler.internal", "APP=1\n", "git pull\n"),
		f.ploi.Seed(look+".reconciler.internal", "RECONCILER_MARK='"+theirs.Text()+"'\nAPP=2\n", "git pull\n")}
	for _, r := range []cloudflaresim.Record{
		{Type: "TXT", Name: "demoshop." + agencyZone, Content: "by hand"},
		{Type: "MX", Name: "demoshop." + agencyZone, Content: "mx.example", Priority: new(int)},
		{Type: "A", Name: "old." + agencyZone, Content: ploiServer, Comment: theirs.Text()},
		{Type: "TXT", Name: "demoshop." + agencyZone, Content: "theirs", Comment: theirs.Text()},
	} {
		r.Zone = f.zone()
		if _, err := f.cloudflare.Add(r); err != nil {
			f.t.Fatal(err)
		}
	}
	before := f.sent.len()
	client := httpapi.NewHTTP(&http.Transport{DisableKeepAlives: true}, time.Minute)
	v := vercel.New(vercel.Options{Token: state.NewSecret(f.env["VERCEL_API_TOKEN"]), Team: agencyTeam, URL: f.env["RECONCILER_PROVIDERS_VERCEL_API_URL"], HTTP: client, Now: f.now})
	r, err := railway.New(railway.Options{Token: state.NewSecret(f.env["RAILWAY_API_KEY"]), URL: f.env["RECONCILER_PROVIDERS_RAILWAY_API_URL"], HTTP: client, Now: f.now, Sleep: f.clock.Sleep})
	if err != nil {
		f.t.Fatal(err)
	}
	in := func(pairs ...string) (out []provider.Input) {
		for n := 0; n < len(pairs); n += 2 {
			out = append(out, provider.Input{Name: pairs[n], Text: pairs[n+1]})
		}
		return out
	}
	for _, mark := range []provider.Mark{{}, theirs} {
		name := look + "-" + mark.Installation + "x"
		wish := func(kind state.Kind, inputs []provider.Input) provider.Wish {
			return provider.Wish{Ref: state.Ref{Client: mark.Client, Kind: kind, Name: "main"}, Name: name, Mark: mark, Inputs: inputs}
		}
		if _, err := v.Create(f.t.Context(), wish(state.KindSite, in("label", "demoshop", "repository", "compassdigital/storefront", "runtime", "", "server", ""))); err != nil {
			f.t.Fatal(err)
		}
	}
	database := provider.Wish{Ref: state.Ref{Client: theirs.Client, Kind: state.KindDatabase, Name: "main"}, Name: look, Mark: theirs, Inputs: in("access", "public", "disabled", "", "schema", "ecommerce")}
	if _, err := r.Create(f.t.Context(), database); err != nil {
		f.t.Fatal(err)
	}
	byHand := httptest.NewRequest(http.MethodPost, "/graphql/v2", strings.NewReader(`{"query":"mutation { projectCreate(input: {name: \"`+look+`-x\"}) { id } }"}`))
	byHand.Header.Set("Authorization", "Bearer "+f.env["RAILWAY_API_KEY"])
	f.railway.ServeHTTP(httptest.NewRecorder(), byHand)
	f.sent.mu.Lock()
	f.sent.all = f.sent.all[:before]
	f.sent.mu.Unlock()
	f.likes = func() map[string]string {
		out := map[string]string{}
		put := func(name string, is any) {
			data, err := json.Marshal(is)
			if err != nil {
				f.t.Fatal(err)
			}
			out[name] = string(data)
		}
		for _, s := range f.ploi.Sites() {
			if slices.Contains(sites, s.ID) {
				put("ploi site "+s.Domain, s)
			}
		}
		for _, p := range f.railway.Projects() {
			if strings.HasPrefix(p.Name, look) {
				put("railway project "+p.Name, p)
			}
		}
		for _, c := range f.cloudflare.Records(f.zone()) {
			if c.Comment == "" || strings.Contains(c.Comment, theirs.Installation) {
				put("cloudflare record "+c.ID, c)
			}
		}
		for _, mark := range []string{"", theirs.Installation} {
			put("vercel project "+mark, f.vercel.Snapshot(look+"-"+mark+"x"))
		}
		return out
	}
	was := f.likes()
	if len(was) != 10 {
		f.t.Fatalf("%d look-alikes", len(was))
	}
	f.t.Cleanup(func() {
		is := f.likes()
		for name, text := range was {
			if is[name] != text {
				f.t.Errorf("S54: %s was\n%s\nand is\n%s", name, text, is[name])
			}
		}
	})
}

func (f *fleet) zone() string { return "023e105f4ecef8ad9ca31a8372d0c353" }

func readerOf(body []byte) io.ReadCloser { return io.NopCloser(bytes.NewReader(body)) }
