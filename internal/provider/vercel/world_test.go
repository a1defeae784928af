package vercel_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"go.uber.org/goleak"

	"github.com/compassdigital/reconciler/internal/contract"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
	"github.com/compassdigital/reconciler/internal/provider/providertest"
	"github.com/compassdigital/reconciler/internal/provider/vercel"
	"github.com/compassdigital/reconciler/internal/provider/vercel/simulated"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

const (
	token = "invented-token-of-a-test"
	team  = "team_invented"
	ours  = "0badcafe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// published is Vercel's description. The link of a project and the move of a domain are in
// the whole one (or in Vercel's own command line) and not in the cut. Its alternatives overlap:
// a deployment with all that its owner may see is also one with what everybody may see.
func published(t *testing.T) *contract.Contract {
	t.Helper()
	return contract.OpenAPI(t, contract.Description{Vendor: "Vercel", File: "vercel/openapi.json", Loose: true,
		Uncut: []contract.Operation{{Method: "POST", Path: "/v9/projects/{p}/link"}, {Method: "DELETE", Path: "/v9/projects/{p}/link"}, {Method: "POST", Path: "/v1/projects/{p}/domains/{d}/move"}},
		Failure: func(_ int, body []byte) error {
			var e struct {
				Error struct{ Code, Message string }
			}
			if err := json.Unmarshal(body, &e); err != nil || e.Error.Code == "" || e.Error.Message == "" {
				return fmt.Errorf("no error of Vercel's: %.100s", body)
			}
			return nil
		},
		Relax: func(d *openapi3.T) {
			seen := map[*openapi3.Schema]bool{}
			for _, path := range d.Paths.InMatchingOrder() {
				for _, o := range d.Paths.Value(path).Operations() {
					for _, r := range o.Responses.Map() {
						for _, media := range r.Value.Content {
							anyOf(media.Schema, seen)
						}
					}
				}
			}
			for _, p := range d.Paths.Value("/v13/deployments").Post.Parameters {
				if p.Value.Schema.Value.Type == nil { // forceNew is one of two words, and of no type
					p.Value.Schema.Value.Type = &openapi3.Types{openapi3.TypeString}
				}
			}
		}})
}

// anyOf lets an answer fit several alternatives of a schema.
func anyOf(r *openapi3.SchemaRef, seen map[*openapi3.Schema]bool) {
	if r == nil || seen[r.Value] {
		return
	}
	s := r.Value
	seen[s] = true
	s.AnyOf, s.OneOf = append(s.AnyOf, s.OneOf...), nil
	for _, p := range s.Properties {
		anyOf(p, seen)
	}
	for _, p := range s.AnyOf {
		anyOf(p, seen)
	}
	anyOf(s.Items, seen)
	anyOf(s.AdditionalProperties.Schema, seen)
}

// clock is one that only tests move.
type clock = providertest.Clock

func newClock() *clock { return providertest.NewClock() }

// world is a simulated Vercel, and the provider that speaks to it through the contract.
type world struct {
	*vercel.Provider
	sim    *simulated.Vercel
	server *httptest.Server
	faults *simulator.Faults
	clock  *clock
	o      simulated.Options
	mu     sync.Mutex
	calls  []string
}

// open starts one with a clock of its own.
func open(t *testing.T, k *contract.Contract, o simulated.Options) *world {
	t.Helper()
	return openAt(t, k, o, newClock())
}

// openApart is open with the faults outside of what is judged: a broken answer fits nothing.
func openApart(t *testing.T, k *contract.Contract, o simulated.Options) *world {
	t.Helper()
	faults := &simulator.Faults{}
	w := openAt(t, k, o, newClock())
	w.faults = faults
	w.server.Config.Handler = faults.Handler(k.Handler(w.sim))
	w.Provider = w.provider(&http.Transport{DisableKeepAlives: true})
	return w
}

// provider is one that speaks to the server over a transport.
func (w *world) provider(base http.RoundTripper) *vercel.Provider {
	return vercel.New(vercel.Options{Token: state.NewSecret(token), Team: team, URL: w.server.URL, Now: w.clock.Now, HTTP: httpapi.NewHTTP(noted{w, base}, time.Minute)})
}

func openAt(t *testing.T, k *contract.Contract, o simulated.Options, at *clock) *world {
	t.Helper()
	w := &world{faults: o.Faults, clock: at}
	o.Now = at.Now
	if w.faults == nil {
		w.faults = &simulator.Faults{}
	}
	o.Faults, o.Token, o.Team = w.faults, token, team
	sim, err := simulated.New(o)
	if err != nil {
		t.Fatal(err)
	}
	w.sim, w.o = sim, o
	transport := &http.Transport{}
	w.server = httptest.NewServer(k.Handler(sim))
	t.Cleanup(func() { w.server.Close(); transport.CloseIdleConnections() })
	w.Provider = w.provider(k.Wrap(transport))
	return w
}

// noted writes down the calls that go out.
type noted struct {
	w    *world
	base http.RoundTripper
}

func (n noted) RoundTrip(r *http.Request) (*http.Response, error) {
	line := r.Method + " " + r.URL.Path
	n.w.mu.Lock()
	n.w.calls = append(n.w.calls, line)
	n.w.mu.Unlock()
	return n.base.RoundTrip(r)
}

// took are the calls since it was asked last.
func (w *world) took() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.calls
	w.calls = nil
	return out
}

func text(name, value string) provider.Input { return providertest.Text(name, value) }

func cases() []providertest.Case {
	type chain = providertest.Chain
	host := func(c chain) string { return fmt.Sprintf("shop-%d.example", c.N) }
	site := func(c chain) provider.Input { return text("site", c.ID(state.KindSite)) }
	name := func(chain) string { return "vercel" }
	return []providertest.Case{
		{Kind: state.KindSite, Name: name, Inputs: func(c chain) []provider.Input {
			return []provider.Input{text("label", fmt.Sprintf("shop-%d", c.N)), text("server", ""), text("repository", "agency/storefront"), text("runtime", "node20")}
		}, Change: func(c chain) []provider.Input {
			return []provider.Input{text("label", fmt.Sprintf("renamed-%d", c.N)), text("repository", "https://gitlab.com/agency/storefront.git"), text("runtime", "node22")}
		}},
		{Kind: state.KindEnvironment, Name: name, Inputs: func(c chain) []provider.Input {
			return []provider.Input{site(c), text("env.STORE_NAME", "Dana's Shop"), providertest.Secret("env.SESSION_SECRET", "pssst-session-value")}
		}, Change: func(chain) []provider.Input {
			return []provider.Input{text("env.STORE_NAME", "021"), text("env.NEW", ""), providertest.Secret("env.MOLLIE_KEY", "pssst-mollie-value")}
		}, WriteOnly: []string{"env.SESSION_SECRET", "env.MOLLIE_KEY"}},
		{Kind: state.KindDeployment, Name: func(chain) string { return "0123456789ab" }, Inputs: func(c chain) []provider.Input {
			return []provider.Input{site(c), text("repository", "agency/storefront"), text("ref", "v1.4.2"), text("commit", "4f1d2c3b4f1d2c3b4f1d2c3b4f1d2c3b4f1d2c3b"), text("directory", "."), text("template", "ecommerce"),
				text("install", "pnpm i"), text("command", "pnpm build"), text("start", "pnpm start"), text("migrate", "pnpm payload migrate"), text("settings", `{"theme":"dark"}`), text("features", "blog,ecommerce"),
				text("collections", ""), text("displayName", "Dana's Shop"), text("environment", "ba9876543210"), text("secrets", "a0a1a2a3a4a5")}
		}},
		{Kind: state.KindTraffic, Name: name, Inputs: func(c chain) []provider.Input {
			return []provider.Input{site(c), text("deployment", c.ID(state.KindDeployment))}
		}},
		{Kind: state.KindDomain, Name: func(c chain) string { return host(c) + "@vercel" }, Inputs: func(c chain) []provider.Input {
			return []provider.Input{site(c), text("host", host(c)), text("redirect", "")}
		}, Change: func(c chain) []provider.Input { return []provider.Input{text("redirect", "www."+host(c))} }},
	}
}

func TestConformance(t *testing.T) {
	k := published(t)
	judged := 0
	for name, o := range map[string]simulated.Options{
		"at once": {},
		"unkind":  {Lag: time.Minute, BuildTime: 40 * time.Second, BuildPolls: 2, PointTime: 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			worlds := map[provider.Provider]*world{}
			start := func(t *testing.T, o simulated.Options, at *clock) provider.Provider {
				t.Helper()
				c := k.For(t)
				w := openAt(t, c, o, at)
				t.Cleanup(func() { judged += c.Judged() })
				worlds[w.Provider] = w
				return w.Provider
			}
			providertest.Run(t, providertest.Subject{
				New: func(t *testing.T) provider.Provider {
					t.Helper()
					o := o
					o.File = filepath.Join(t.TempDir(), "vercel.json")
					return start(t, o, newClock())
				},
				Reopen: func(t *testing.T, p provider.Provider) provider.Provider {
					t.Helper()
					w := worlds[p]
					if err := w.sim.Save(); err != nil {
						t.Fatal(err)
					}
					o := w.o
					o.Faults = nil
					return start(t, o, w.clock)
				},
				Cases: cases(),
				Tick:  func(p provider.Provider) { worlds[p].clock.Move(time.Second) },
			})
		})
	}
	if k.Present() && judged == 0 {
		t.Error("no exchange was held against Vercel's description")
	}
}

func mark(n int) provider.Mark {
	return provider.Mark{Installation: ours, Client: state.ClientID(fmt.Sprintf("shop%d-1a2b3c", n)), Generation: 1}
}

// wish is one of a client's.
func wish(n int, kind state.Kind, name string, in ...provider.Input) provider.Wish {
	m := mark(n)
	r := state.Ref{Client: m.Client, Kind: kind, Name: name}
	in = slices.Clone(in)
	slices.SortFunc(in, func(a, b provider.Input) int { return strings.Compare(a.Name, b.Name) })
	return provider.Wish{Ref: r, Name: provider.ObjectName(m, r), Mark: m, Inputs: in}
}

func wishSite(n int) provider.Wish {
	return wish(n, state.KindSite, "vercel", text("label", fmt.Sprintf("shop%d", n)), text("server", ""), text("repository", "agency/storefront"), text("runtime", "node20"))
}

func wishEnv(n int, site string, more ...provider.Input) provider.Wish {
	return wish(n, state.KindEnvironment, "vercel", append(more, text("site", site), text("env.STORE_NAME", "Shop"), providertest.Secret("env.KEY", "pssst-a-key"))...)
}

func wishRelease(n int, site, release string) provider.Wish {
	return wish(n, state.KindDeployment, release, text("site", site), text("repository", "agency/storefront"), text("ref", "main"), text("commit", strings.Repeat("4f1d2c3b", 5)),
		text("template", "blog"), text("command", "pnpm build"), text("settings", "{}"), text("displayName", "Shop"))
}

func wishTraffic(n int, site, deployment string) provider.Wish {
	return wish(n, state.KindTraffic, "vercel", text("site", site), text("deployment", deployment))
}

func wishDomain(n int, site, host, redirect string) provider.Wish {
	return wish(n, state.KindDomain, host+"@vercel", text("site", site), text("host", host), text("redirect", redirect))
}

// must makes an object and waits until it is ready.
func (w *world) must(t *testing.T, wish provider.Wish) provider.Object {
	t.Helper()
	o, err := w.Create(t.Context(), wish)
	if err != nil {
		t.Fatalf("create %s: %v", wish.Ref.Kind, err)
	}
	return w.ready(t, o)
}

func (w *world) ready(t *testing.T, o provider.Object) provider.Object {
	t.Helper()
	for range 1000 {
		found, err := w.Observe(t.Context(), provider.Query{Kind: o.Kind, ID: o.ID})
		if err != nil || len(found) != 1 {
			t.Fatalf("observe %s: %d, %v", o.Kind, len(found), err)
		}
		if found[0].Phase == provider.Ready {
			return found[0]
		}
		w.clock.Move(time.Second)
	}
	t.Fatalf("%s %s does not become ready", o.Kind, o.ID)
	return o
}

// client is everything of one client.
type client struct{ site, env, release, traffic, domain provider.Object }

func (w *world) provision(t *testing.T, n int) client {
	t.Helper()
	var c client
	c.site = w.must(t, wishSite(n))
	c.env = w.must(t, wishEnv(n, c.site.ID))
	c.release = w.must(t, wishRelease(n, c.site.ID, "aaaaaaaaaaaa"))
	c.traffic = w.must(t, wishTraffic(n, c.site.ID, c.release.ID))
	c.domain = w.must(t, wishDomain(n, c.site.ID, fmt.Sprintf("shop%d.example", n), ""))
	return c
}

// at asks the front for an address and returns its status and body.
func (w *world) at(host, path string) (int, string) {
	r := httptest.NewRequest(http.MethodGet, "http://"+host+path, nil)
	a := httptest.NewRecorder()
	w.sim.Front().ServeHTTP(a, r)
	return a.Code, a.Body.String()
}

func kindOf(err error) provider.ErrorKind {
	var e *provider.Error
	if !errors.As(err, &e) {
		return ""
	}
	return e.Kind
}

func get(o provider.Object, name string) string {
	for _, a := range o.Attributes {
		if a.Name == name {
			return a.Reveal()
		}
	}
	return ""
}

func byName(ctx context.Context, w *world, wish provider.Wish) ([]provider.Object, error) {
	return w.Observe(ctx, provider.Query{Kind: wish.Ref.Kind, Name: wish.Name, Wish: &wish})
}
