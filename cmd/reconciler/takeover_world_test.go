package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/cloudflare"
	cloudflaresim "github.com/compassdigital/reconciler/internal/provider/cloudflare/simulated"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
	"github.com/compassdigital/reconciler/internal/provider/ploi"
	ploisim "github.com/compassdigital/reconciler/internal/provider/ploi/simulated"
	"github.com/compassdigital/reconciler/internal/provider/railway"
	railwaysim "github.com/compassdigital/reconciler/internal/provider/railway/simulated"
	"github.com/compassdigital/reconciler/internal/provider/stripe"
	stripesim "github.com/compassdigital/reconciler/internal/provider/stripe/simulated"
	"github.com/compassdigital/reconciler/internal/provider/vercel"
	vercelsim "github.com/compassdigital/reconciler/internal/provider/vercel/simulated"
	"github.com/compassdigital/reconciler/internal/state"
)

// estate is an agency that clicked its clients together in five dashboards.
type estate struct {
	*world
	ploi       *ploisim.Vendor
	vercel     *vercelsim.Vercel
	railway    *railwaysim.Railway
	cloudflare *cloudflaresim.Vendor
	stripe     *stripesim.Stripe
	wire       *wireLog
	projects   []string // at Vercel
}

// wireLog serves vendors in this process and counts what is asked of them.
type wireLog struct {
	vendors map[string]http.Handler // by host
	mu      sync.Mutex
	reads   map[string]int // by vendor
	writes  []string       // vendor, method and route
}

func (l *wireLog) RoundTrip(r *http.Request) (*http.Response, error) {
	vendor, _, _ := strings.Cut(r.URL.Host, ".")
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		_ = r.Body.Close() // it was read
	}
	l.mu.Lock()
	var asked struct{ Query, OperationName string }
	_ = json.Unmarshal(body, &asked) // of others there is none
	switch {
	case vendor == "railway" && strings.HasPrefix(strings.TrimSpace(asked.Query), "mutation"):
		l.writes = append(l.writes, "railway "+asked.OperationName)
	case vendor == "railway" || r.Method == http.MethodGet:
		l.reads[vendor]++
	default:
		l.writes = append(l.writes, vendor+" "+r.Method+" "+route.ReplaceAllString(r.URL.Path, "/*"))
	}
	l.mu.Unlock()
	in := httptest.NewRequest(r.Method, r.URL.String(), bytes.NewReader(body)).WithContext(r.Context())
	in.Header = r.Header
	in.Host = r.URL.Host
	w := httptest.NewRecorder()
	l.vendors[r.URL.Host].ServeHTTP(w, in)
	res := w.Result()
	res.Request = r
	return res, nil
}

var route = regexp.MustCompile(`/(prj_[0-9a-f]+|acct_[0-9a-f]+|[0-9a-f]{32}|z[0-9]+|[0-9]+)\b`)

// take returns what was counted since the last take.
func (l *wireLog) take() (reads map[string]int, writes map[string]int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	reads, writes = l.reads, map[string]int{}
	for _, w := range l.writes {
		writes[w]++
	}
	l.reads, l.writes = map[string]int{}, nil
	return reads, writes
}

const estateTemplate = `apiVersion: reconciler/v1
kind: Template
name: ecommerce
source: {repository: compassdigital/storefront, ref: main}
build: {runtime: node22}
admin: {kind: none}
features: {allowed: [ecommerce, blog], default: [ecommerce]}
env: {DATABASE_URL: {from: database.url}, NEXT_PUBLIC_SERVER_URL: {from: site.url}}
`

func newEstate(t *testing.T, zones ...cloudflaresim.Zone) *estate {
	t.Helper()
	e := &estate{world: newWorld(t, map[string]string{"templates/ecommerce.yaml": estateTemplate})}
	config := fmt.Sprintf("repository: {url: %q, branch: main, path: clients, poll: \"@every 1h\"}\nstate: {path: state.db, keyFile: key}\nlisten: %s\n"+
		"platform: {baseDomain: platform.example, defaults: {deployment: ploi, database: railway, dns: cloudflare}}\n"+
		"providers: {ploi: {servers: {web-1: \"1\", web-2: \"2\"}}}\n", e.url, e.listen)
	err := os.WriteFile(filepath.Join(e.dir, defaultConfigFile), []byte(config), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if e.ploi, err = ploisim.New(ploisim.Options{Now: e.now, Write: time.Second, Token: "invented-token-of-the-estate", Servers: []ploisim.Server{{ID: 1, Name: "web-1", Address: "203.0.113.10"}, {ID: 2, Name: "web-2", Address: "203.0.113.20"}}}); err != nil {
		t.Fatal(err)
	}
	if e.vercel, err = vercelsim.New(vercelsim.Options{Now: e.now}); err != nil {
		t.Fatal(err)
	}
	if e.railway, err = railwaysim.New(railwaysim.Options{Now: e.now}); err != nil {
		t.Fatal(err)
	}
	if e.cloudflare, err = cloudflaresim.New(cloudflaresim.Options{Now: e.now, Zones: zones, Calls: -1, Token: "invented-token-of-the-estate"}); err != nil {
		t.Fatal(err)
	}
	if e.stripe, err = stripesim.New(stripesim.Options{Now: e.now}); err != nil {
		t.Fatal(err)
	}
	e.wire = &wireLog{reads: map[string]int{}, vendors: map[string]http.Handler{"ploi.example": underContract(t, "ploi", e.ploi), "vercel.example": underContract(t, "vercel", e.vercel), "railway.example": underContract(t, "railway", e.railway), "cloudflare.example": underContract(t, "cloudflare", e.cloudflare), "stripe.example": underContract(t, "stripe", e.stripe)}}
	return e
}

// open opens the five vendors.
func (e *estate) open(context.Context, Config) ([]provider.Provider, error) {
	client, token := httpapi.NewHTTP(e.wire, time.Minute), state.NewSecret("invented-token-of-the-estate")
	sites, err := ploi.New(ploi.Options{Base: "http://ploi.example/api", Token: token, HTTP: client, Servers: map[string]string{"web-1": "1", "web-2": "2"}, Now: e.now, Sleep: e.clock.Sleep})
	if err != nil {
		return nil, err
	}
	databases, err := railway.New(railway.Options{Token: token, URL: "http://railway.example/graphql/v2", HTTP: client, Now: e.now, Sleep: e.clock.Sleep})
	if err != nil {
		return nil, err
	}
	records, err := cloudflare.New(cloudflare.Options{Token: token, URL: "http://cloudflare.example/client/v4", HTTP: client, Now: e.now, Moment: -1})
	if err != nil {
		return nil, err
	}
	e.t.Cleanup(func() { _ = records.Close() }) // the test is over
	accounts, err := stripe.New(stripe.Options{Key: token, URL: "http://stripe.example", Platform: stripesim.Platform, HTTP: client, Now: e.now})
	if err != nil {
		return nil, err
	}
	return []provider.Provider{sites, databases, records, accounts, vercel.New(vercel.Options{Token: token, URL: "http://vercel.example", HTTP: client, Now: e.now})}, nil
}

// run runs one command of the program on the estate, which has to end with the code.
func (e *estate) run(code int, args ...string) string {
	e.t.Helper()
	got, out, errOut := e.try(args...)
	if got != code {
		e.t.Fatalf("reconciler %s: exit code %d, want %d\n%s\n%s", strings.Join(args, " "), got, code, out, errOut)
	}
	return out
}

func (e *estate) try(args ...string) (code int, said, failed string) {
	e.t.Helper()
	var out, errOut bytes.Buffer
	a := e.app(&out, &errOut)
	a.providers = e.open
	a.wired = func(p *program) {
		p.engine.Check = nil
		p.engine.ResolveRef = func(context.Context, string, string) (string, error) { return strings.Repeat("1", 40), nil }
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	code = a.run(ctx, append(args, "--config", filepath.Join(e.dir, defaultConfigFile)))
	e.hear("stdout of "+args[0], out.String())
	e.hear("stderr of "+args[0], errOut.String())
	return code, out.String(), errOut.String()
}

// all is everything at the vendors, by object.
func (e *estate) all() map[string]string {
	out := map[string]string{}
	put := func(key string, v any) {
		data, err := json.Marshal(v)
		if err != nil {
			e.t.Fatal(err)
		}
		out[key] = string(data)
	}
	for _, s := range e.ploi.Sites() {
		put(fmt.Sprintf("ploi %d", s.ID), s)
	}
	for _, id := range e.projects {
		out["vercel "+id] = e.vercel.Snapshot(id)
	}
	for _, p := range e.railway.Projects() {
		put("railway "+p.ID, p)
	}
	for _, r := range e.cloudflare.Records("z1") {
		put("cloudflare "+r.ID, r)
	}
	for _, a := range e.stripe.Accounts() {
		put("stripe "+a.ID, a)
	}
	return out
}

// unmarked is an object without a mark of this installation, and without when it was written.
func unmarked(text, installation string) string {
	mark := `reconciler:` + installation + `/[a-z0-9-]+/1`
	for _, x := range []string{`RECONCILER_MARK=` + mark + `\\n`, `RECONCILER_KEYS=[^\\]*\\n`, `"reconciler":"` + mark + `"`, `,?\{"ID":"[0-9a-f]*","Key":"RECONCILER_MARK"[^}]*\}`, `(\\n)?` + mark + ` ?`} {
		text = regexp.MustCompile(x).ReplaceAllString(text, "")
	}
	text = regexp.MustCompile(`"(Updated|modified|commented|at)":("[^"]*"|[0-9]+),?|,"comment":""`).ReplaceAllString(text, "")
	return strings.ReplaceAll(text, ",}", "}")
}

// installation is whose marks were written.
func (e *estate) installation() string {
	e.t.Helper()
	for _, p := range e.railway.Projects() {
		if m := provider.ParseMark(p.Description[strings.LastIndexByte(p.Description, '\n')+1:]); !m.IsZero() && m.Installation != "feedface" {
			return m.Installation
		}
	}
	e.t.Fatal("nothing bears a mark of ours")
	return ""
}

// planned are the clients that `plan` would change.
func (e *estate) planned() (out []string) {
	e.t.Helper()
	var v struct{ Changes []struct{ Client string } }
	_, said, failed := e.try("plan", "-o", "json") // it ends with 1 where a client can't be planned
	if err := json.Unmarshal([]byte(said), &v); err != nil {
		e.t.Fatal(err, failed)
	}
	for _, c := range v.Changes {
		out = append(out, c.Client)
	}
	return out
}
