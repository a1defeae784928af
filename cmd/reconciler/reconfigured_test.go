package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider/ploi/simulated"
	"github.com/compassdigital/reconciler/internal/state"
)

// One word in the configuration, or in the platform file, takes the sites of all clients away, or the addresses that
// lead to them. They keep their names, and answer there no more: the guard asks, as for names that go.
func TestRuleGuardHoldsSitesThatGoOffline(t *testing.T) {
	for name, change := range map[string]func(w *world, back bool){
		"sites, by the configuration": func(w *world, back bool) { w.said("RECONCILER_PLATFORM_DEFAULTS_DEPLOYMENT", back) },
		"DNS, by the configuration":   func(w *world, back bool) { w.said("RECONCILER_PLATFORM_DEFAULTS_DNS", back) },
		"sites, by the platform file": func(w *world, back bool) {
			text := ""
			if !back {
				text = "apiVersion: reconciler/v1\nkind: Platform\ndefaults: {deployment: {provider: none}}\n"
			}
			w.commit(map[string]string{"platform.yaml": text})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			names := []string{"alpha", "beta", "gamma"}
			files := map[string]string{}
			for _, n := range names {
				files["clients/"+n+".yaml"] = manifestOf(n)
			}
			w := newWorld(t, files)
			w.active(names...)
			there := func(want bool) {
				t.Helper()
				for _, n := range names {
					_, is := recordOf(w.why(n).Resources, "A "+n+".localhost")
					if is != want {
						t.Errorf("%s has its address: %t, want %t", n, is, want)
					}
				}
			}
			change(w, false)
			v := w.apply()
			there(true)
			if len(v.Holds) != 1 || v.Holds[0].Kind != state.HoldGuard || !strings.Contains(v.Holds[0].Reason, "or go offline, within 24 hours") {
				t.Fatalf("holds: %+v", v.Holds)
			}
			change(w, true)
			w.active(names...)
			if v := w.status(); len(v.Holds) > 0 {
				t.Errorf("holds: %+v", v.Holds)
			}
			change(w, false)
			w.apply()
			there(true)
			w.must(0, "approve", w.status().Holds[0].Fingerprint)
			w.apply()
			there(false)
		})
	}
}

// said sets a variable of the configuration to none, or takes it back.
func (w *world) said(name string, back bool) {
	if w.env[name] = "none"; back {
		delete(w.env, name)
	}
}

func recordOf(all []state.Resource, name string) (state.Resource, bool) {
	for _, r := range all {
		if r.Ref.Kind == state.KindRecord && r.Ref.Name == name {
			return r, true
		}
	}
	return state.Resource{}, false
}

// A server at Ploi is taken out of the configuration, or its name given to another one, while a client's site is on
// it: that is not gone. It is named again: what waited is done.
func TestP3SiteOnAServerThatIsNamedNoMore(t *testing.T) {
	for _, renumbered := range []bool{false, true} {
		shop := func(more ...string) string {
			return manifestOf("demoshop", append([]string{"deployment: {provider: ploi, server: web-1}"}, more...)...)
		}
		keeper := manifestOf("keeper", "deployment: {provider: none}", "database: {provider: none}", "dns: {provider: none}", "env: {DATABASE_URL: {none: true}}")
		a := newAgency(t, map[string]string{"clients/demoshop.yaml": shop(), "clients/keeper.yaml": keeper}, simulated.Doubts{}, func(o *simulated.Options) {
			o.Servers = []simulated.Server{{ID: 1, Name: "first", Address: "203.0.113.10"}, {ID: 2, Name: "second", Address: "203.0.113.10"}}
		})
		before := map[string]string{"web-1": "1", "web-2": "2"}
		a.servers = before
		if code, out := a.pass(); code != 0 {
			t.Fatalf("exit code %d\n%s", code, out)
		}
		one := func(deployments int) {
			t.Helper()
			sites := a.ploi.Sites()
			if code, page := a.visit("demoshop.localhost", "/"); len(sites) != 1 || sites[0].Deployments != deployments || code != http.StatusOK {
				t.Errorf("there are %d sites, deployed %d times, want %d; the name answers %d %s", len(sites), sites[0].Deployments, deployments, code, page)
			}
		}
		one(1)
		if a.servers = map[string]string{"web-2": "2"}; renumbered {
			a.servers = map[string]string{"web-1": "2"}
		}
		if _, out := a.program("drift"); strings.Contains(out, "is gone at ploi") || !strings.Contains(out, "providers.ploi.servers") {
			t.Errorf("drift says\n%s", out)
		}
		a.commit(map[string]string{"clients/demoshop.yaml": shop("env: {STORE_CURRENCY: EUR}")})
		if _, out := a.pass(); !strings.Contains(out, "providers.ploi.servers") {
			t.Errorf("it says\n%s", out)
		}
		one(1)
		a.servers = before
		a.clock.add(time.Hour)
		if code, out := a.pass(); code != 0 {
			t.Fatalf("exit code %d\n%s", code, out)
		}
		one(2)
		a.servers = map[string]string{"web-2": "2"}
		a.commit(map[string]string{"clients/demoshop.yaml": ""})
		if code, out := a.pass(); code != 1 || !strings.Contains(out, "server 1 is in providers.ploi.servers no more") {
			t.Errorf("exit code %d\n%s", code, out)
		}
		a.servers = before
		a.program("retry", "demoshop")
		if code, out := a.pass(); code != 0 {
			t.Fatalf("exit code %d\n%s", code, out)
		}
		if sites := a.ploi.Sites(); len(sites) > 0 {
			t.Errorf("left is %+v", sites)
		}
	}
}
