package ploi_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/ploi/simulated"
	"github.com/compassdigital/reconciler/internal/provider/providertest"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

func cases() []providertest.Case {
	type chain = providertest.Chain
	text := providertest.Text
	host := func(c chain) string { return fmt.Sprintf("shop-%d.example", c.N) }
	site := func(c chain) provider.Input { return text("site", c.ID(state.KindSite)) }
	name := func(chain) string { return "ploi/web-1" }
	return []providertest.Case{
		{Kind: state.KindSite, Name: name, Inputs: func(c chain) []provider.Input {
			return []provider.Input{text("label", fmt.Sprintf("shop-%d", c.N)), text("server", "web-1"), text("repository", "compassdigital/storefront"), text("runtime", "node22")}
		}, Change: func(chain) []provider.Input { return []provider.Input{text("runtime", "node24")} }, WriteOnly: []string{"label", "repository", "runtime"}},
		{Kind: state.KindEnvironment, Name: name, Inputs: func(c chain) []provider.Input {
			return []provider.Input{site(c), text("env.STORE_NAME", "Dana's \"Shop\" #1"), providertest.Secret("env.SESSION_SECRET", "pssst-session-value")}
		}, Change: func(chain) []provider.Input {
			return []provider.Input{text("env.STORE_NAME", "021"), text("env.NEW", "")}
		}},
		{Kind: state.KindDeployment, Name: func(chain) string { return "0123456789ab" }, Inputs: func(c chain) []provider.Input {
			return []provider.Input{site(c), text("repository", "compassdigital/storefront"), text("ref", "v1.4.2"), text("template", "ecommerce"), text("settings", `{"motto":"Grüße\n'"}`)}
		}},
		{Kind: state.KindTraffic, Name: name, Inputs: func(c chain) []provider.Input {
			return []provider.Input{site(c), text("deployment", c.ID(state.KindDeployment))}
		}},
		{Kind: state.KindDomain, Name: func(c chain) string { return host(c) + "@ploi/web-1" }, Inputs: func(c chain) []provider.Input {
			return []provider.Input{site(c), text("host", host(c)), text("redirect", "")}
		}, Change: func(c chain) []provider.Input { return []provider.Input{text("redirect", "www."+host(c))} }, WriteOnly: []string{"redirect"}},
	}
}

func TestConformance(t *testing.T) {
	servers := []simulated.Server{{ID: 1, Name: "royal-reef", Address: serverAddress}, {ID: 2, Name: "calm-bay", Address: "203.0.113.11"}}
	otherwise := simulated.Options{Servers: servers, Work: 8 * time.Second, Write: 20 * time.Second, BuildTime: 40 * time.Second, Lag: time.Minute, Doubts: simulated.AllDoubts()}
	for name, o := range map[string]simulated.Options{"quick": {Servers: servers}, "late, and the other way": otherwise} {
		t.Run(name, func(t *testing.T) {
			judged := 0
			worlds := map[provider.Provider]*world{}
			dns := []string{serverAddress}
			providertest.Run(t, providertest.Subject{
				New: func(t *testing.T) provider.Provider {
					w := newWorld(t, o)
					w.dns.any = dns
					worlds[w.p] = w
					t.Cleanup(func() { judged += w.paper.Judged() })
					return w.p
				},
				Reopen: func(_ *testing.T, p provider.Provider) provider.Provider {
					w := worlds[p]
					w.p = w.open()
					worlds[w.p] = w
					return w.p
				},
				Cases: cases(),
				Tick:  func(p provider.Provider) { worlds[p].clock.Move(5 * time.Second) },
			})
			if judged == 0 && paper(t).Present() {
				t.Error("no exchange was held against the description")
			}
		})
	}
}

// S30, P3: the answer of every first write is lost, at vendors that are quick and late: what
// was done is found by a look, and there is one of each.
func TestS30EveryFirstAnswerIsLost(t *testing.T) {
	for name, o := range map[string]simulated.Options{
		"quick": {}, "late": {Lag: time.Minute, Write: 30 * time.Second, Work: 5 * time.Second, BuildTime: 20 * time.Second},
		"the other way": {Lag: time.Minute, Write: 30 * time.Second, Work: 5 * time.Second, BuildTime: 20 * time.Second, Doubts: simulated.AllDoubts()},
	} {
		for effect, do := range map[string]simulator.Effect{"answer": simulator.LoseAnswer(), "request": simulator.LoseRequest(), "page": simulator.Instead(http.StatusBadGateway, http.Header{"Content-Type": {"text/html"}}, "<h1>502</h1>")} {
			t.Run(name+"/"+effect, func(t *testing.T) {
				w := newWorld(t, o)
				for _, path := range []string{"/api/servers/*/sites", "/api/servers/*/sites/*/repository", "/api/servers/*/sites/*/deploy", "/api/servers/*/sites/*/aliases"} {
					w.faults.Add(simulator.Fault{Method: http.MethodPost, Path: path, Do: do})
				}
				for _, path := range []string{"/api/servers/*/sites/*/env", "/api/servers/*/sites/*/deploy/script"} {
					w.faults.Add(simulator.Fault{Method: http.MethodPatch, Path: path, Do: do})
				}
				id := "c00001"
				site := w.insist(siteWish(id))
				env := w.insist(wish(state.KindEnvironment, id, "ploi", "site", site.ID, "env.STORE_CURRENCY", "EUR"))
				release := w.insist(releaseWish(id, site.ID, "8be01c22aa10", "1111111111111111111111111111111111111111"))
				traffic := w.insist(wish(state.KindTraffic, id, "ploi", "site", site.ID, "deployment", release.ID))
				domain := w.insist(wish(state.KindDomain, id, "shop.example@ploi", "site", site.ID, "host", "shop.example", "redirect", ""))
				sites := w.vendor.Sites()
				if len(sites) != 1 || sites[0].Deployments != 1 || len(sites[0].Aliases) != 1 {
					t.Errorf("there are %d sites: %+v; want one, deployed once, with one alias", len(sites), sites)
				}
				for _, o := range []provider.Object{site, env, release, traffic, domain} {
					w.ready(o.Kind, o.ID)
				}
				w.paper.Some(t)
			})
		}
	}
}

// insist does what the engine does: it looks, creates, and after an answer that was lost
// looks three times across the lag of lists before it creates again. A site without its
// repository differs from its wish and is changed, likewise.
func (w *world) insist(x provider.Wish) provider.Object {
	w.Helper()
	ctx := context.Background()
	for range 8 {
		o, ok := w.look(x)
		var err error
		switch {
		case !ok:
			_, err = w.p.Create(ctx, x)
		case slicesHas(w.ready(x.Ref.Kind, o.ID).Attributes, "repository", ""):
			_, err = w.p.Update(ctx, o.ID, x)
		default:
			return w.ready(x.Ref.Kind, o.ID)
		}
		if err == nil {
			continue
		}
		switch k := provider.KindOf(err); k {
		case provider.Uncertain, provider.Transient, provider.Conflict:
		default:
			w.Fatalf("write %s: %v", x.Ref.Kind, err)
		}
	}
	w.Fatalf("%s %s was not made", x.Ref.Kind, x.Name)
	return provider.Object{}
}

func (w *world) look(x provider.Wish) (provider.Object, bool) {
	w.Helper()
	for range 3 {
		found, err := w.p.Observe(context.Background(), provider.Query{Kind: x.Ref.Kind, Name: x.Name, Wish: &x})
		if err != nil {
			w.Fatalf("look for %s: %v", x.Ref.Kind, err)
		}
		if len(found) > 1 {
			w.Fatalf("there are %d of %s", len(found), x.Name)
		}
		if len(found) == 1 {
			return found[0], true
		}
		w.clock.Move(30 * time.Second)
	}
	return provider.Object{}, false
}

func slicesHas(all []provider.Observed, name, text string) bool {
	for _, a := range all {
		if a.Name == name && a.Reveal() == text {
			return true
		}
	}
	return false
}
