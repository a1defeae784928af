package reconcile_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/external"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/state"
)

// seedShop puts a site there that lived before us, with all that hangs on it.
func seedShop(all *memory.World) {
	seed := func(owner, id string, k state.Kind, outputs []provider.Output, pairs ...string) {
		o := provider.Object{ID: id, Kind: k, Name: "old " + id, Outputs: outputs}
		for i := 0; i < len(pairs); i += 2 {
			o.Attributes = append(o.Attributes, provider.Input{Name: pairs[i], Text: pairs[i+1]})
		}
		all.Seed(owner, o)
	}
	seed("vercel", "site-1", state.KindSite, []provider.Output{{Name: "url", Text: "https://old.example"}, {Name: "address", Text: "203.0.113.7"}}, "label", "old-shop", "repository", "agency/shop")
	seed("vercel", "env-1", state.KindEnvironment, nil, "site", "site-1", "env.PAYLOAD_SECRET", "invented-old-value", "env.LEGACY", "kept")
	seed("vercel", "rel-1", state.KindDeployment, nil, "site", "site-1", "repository", "agency/shop", "ref", "v1")
	seed("vercel", "tra-1", state.KindTraffic, nil, "site", "site-1", "deployment", "rel-1")
	seed("vercel", "dom-1", state.KindDomain, nil, "site", "site-1", "host", "bakery.agency.example", "redirect", "")
	seed("cloudflare", "rec-1", state.KindRecord, nil, "type", "A", "name", "bakery.agency.example", "content", "203.0.113.7", "ttl", "300")
}

func (w *world) approveAll(name string) {
	w.t.Helper()
	for range 4 {
		for _, h := range w.detail(name).Holds {
			ids, err := w.engine.Approve(w.t.Context(), h.Fingerprint, "dana")
			if err != nil {
				w.t.Fatal(err)
			}
			w.pass(ids...)
		}
	}
}

// Rule "Adoption": no administrator is made for whoever lived before us, and they get no welcome, also once what
// was adopted is theirs no more: their site moved to another host, and the old one is off the record.
func TestRuleAdoptionNobodyIsWelcomedAfterTheSiteMoved(t *testing.T) {
	for name, data := range map[string]string{
		"without a database":        "database: {provider: none}\nenv: {DATABASE_URL: {none: true}",
		"with one kept by somebody": "database: {provider: external, external: {url: {secret: database-url}}}\nenv: {DATABASE_URL: {from: database.url}",
	} {
		t.Run(name, func(t *testing.T) {
			v := &vendors{faults: &memory.Faults{}}
			w := newWorldWith(t, func(c *clock) []provider.Provider {
				all := append(v.twoHosts(c), memory.New(memory.Options{Name: "resend", World: v.world, Kinds: memory.Mail(), Sleep: c.Sleep}))
				return append(all, external.Providers(external.Options{})...)
			})
			w.engine.Mail = "resend"
			seedShop(v.world)
			if _, _, err := w.engine.SetSecret("new/bakery", "database-url", state.NewSecret("postgres://invented"), w.keys.Fingerprint, "dana"); err != nil {
				t.Fatal(err)
			}
			step := func(more ...string) {
				t.Helper()
				w.apply(map[string]string{"clients/bakery.yaml": client("bakery", more...)})
				w.approveAll("bakery")
				w.want("bakery", state.StatusActive)
			}
			step(data+"}", "adopt: {site: {id: site-1}}")
			step(data+"}", "deployment: {provider: ploi}")
			w.clock.add(time.Hour)
			w.pass(w.id("bakery"))
			if slices.ContainsFunc(w.detail("bakery").Resources, func(r state.Resource) bool { return r.ID == "site-1" }) {
				t.Fatalf("the site that was replaced is on record: %+v", w.row("bakery"))
			}
			w.apply(map[string]string{"clients/bakery.yaml": client("bakery", data+", COLOUR: red}", "deployment: {provider: ploi}")})
			w.want("bakery", state.StatusActive)
			if mails := v.world.Objects("resend"); len(mails) > 0 {
				t.Errorf("a client of long ago is told that its site is ready: %v", mails)
			}
			for _, r := range w.detail("bakery").Resources {
				if r.Ref.Kind == state.KindAdmin {
					t.Errorf("an administrator is made: %+v", r)
				}
			}
			if _, ok := v.world.Object("site-1"); !ok {
				t.Error("site-1 is gone")
			}
		})
	}
}

// S20, S31: a change of an adopted site is reverted where the host serves what was built last, and the host
// does not answer just then. The revert waits for it, and is made once it is back.
func TestS20RevertOfAnAdoptedSiteWaitsForItsHost(t *testing.T) {
	for name, away := range map[string]bool{"the host answers": false, "it is away": true} {
		t.Run(name, func(t *testing.T) {
			v, w := newInPlace(t)
			seedShop(v.world)
			shop := func(colour string) map[string]string {
				return map[string]string{"clients/bakery.yaml": client("bakery", "database: {provider: none}\nenv: {DATABASE_URL: {none: true}"+colour+"}", "adopt: {site: {id: site-1}}")}
			}
			w.apply(shop(""))
			w.want("bakery", state.StatusActive)
			w.apply(shop(", COLOUR: red"))
			w.want("bakery", state.StatusActive)
			if away {
				v.world.Remove("rel-1") // Ploi has none but the last
				v.world.Down("vercel", memory.Fail(provider.Transient, "503 service unavailable"))
			}
			w.apply(shop(""))
			if away {
				v.world.Down("vercel", nil)
			}
			if r := w.row("bakery"); r.Status == string(state.StatusHeld) {
				t.Fatalf("bakery is held: %s; %s", r.Because, w.detail("bakery").Next)
			}
			w.clock.add(time.Hour)
			w.pass(w.id("bakery"))
			w.want("bakery", state.StatusActive)
			if got := v.colour("bakery.agency.example"); got != "" {
				t.Errorf("it serves the %s version", got)
			}
		})
	}
}

// A change is unfit as people see it, and the host serves what was built last. The release before is built again,
// with the environment that it had, also where it is what was adopted; what was adopted is never deleted.
func TestAChangeThatIsUnfitFromOutsideIsPutBackInPlace(t *testing.T) {
	for name, adopt := range map[string]string{"made here": "", "adopted": "adopt: {site: {id: site-1}}"} {
		t.Run(name, func(t *testing.T) {
			v, w := newInPlace(t)
			lived := []string{}
			if adopt != "" {
				seedShop(v.world)
				lived = []string{"site-1", "env-1", "dom-1", "tra-1", "rel-1"}
			}
			shop := func(colour string) map[string]string {
				return map[string]string{"clients/bakery.yaml": client("bakery", "database: {provider: none}\nenv: {DATABASE_URL: {none: true}"+colour+"}", adopt)}
			}
			w.apply(map[string]string{"clients/other.yaml": client("other")})
			w.apply(shop(""))
			w.want("bakery", state.StatusActive)
			w.unfit = func(url string) error {
				if strings.Contains(url, "bakery.agency.example") {
					return errAway
				}
				return nil
			}
			w.apply(shop(", COLOUR: red"))
			if r := w.want("bakery", state.StatusFailed); !strings.HasPrefix(r.Because, "Your site still runs the old version.") {
				t.Errorf("it says %q", r.Because)
			}
			last := ""
			for _, c := range v.world.Calls() {
				if c.Verb == memory.Create && c.Kind == state.KindDeployment && c.Client == w.id("bakery") {
					last = c.ID
				}
			}
			if with := v.world.BuiltWith(last); with["COLOUR"] != "" || with["PAYLOAD_SECRET"] == "" {
				t.Errorf("what was built last, %s, has the colour %q", last, with["COLOUR"])
			}
			w.unfit = nil
			w.apply(shop(", COLOUR: green"))
			w.want("bakery", state.StatusActive)
			w.apply(map[string]string{"clients/bakery.yaml": ""})
			for _, id := range lived {
				if _, ok := v.world.Object(id); !ok {
					t.Errorf("%s lived before us and is gone", id)
				}
			}
		})
	}
}

// S43, S34, rule "Adoption": a variable that an adopted site had before us, and that no manifest mentions, stays after the state
// was lost, or an older copy put back, also where the manifest says no more that the site was adopted, and on a site that took
// its place. Nothing is written, what people called the site included.
func TestS43VariablesOfAnAdoptedSiteStay(t *testing.T) {
	for _, host := range []string{"vercel", "ploi"} {
		for _, how := range []string{"lost", "older"} {
			t.Run(host+" "+how, func(t *testing.T) {
				v := &vendors{faults: &memory.Faults{}}
				w := newWorldWith(t, func(c *clock) []provider.Provider { return v.twoHosts(c) })
				seedShop(v.world)
				w.apply(map[string]string{"clients/other.yaml": client("other")})
				copied := w.backup()
				step := func(env string, more ...string) {
					t.Helper()
					w.apply(map[string]string{"clients/bakery.yaml": client("bakery", append(more, "env: {DATABASE_URL: {none: true}"+env+"}", "database: {provider: none}")...)})
					w.approveAll("bakery")
					w.want("bakery", state.StatusActive)
				}
				confirms(w)
				w.apply(map[string]string{"clients/bakery.yaml": client("bakery", "paused: true", "env: {DATABASE_URL: {none: true}}", "database: {provider: none}", "adopt: {site: {id: site-1}}")})
				confirmed(t, w)
				step(", COLOUR: blue")                                    // what it changes bears our mark
				step(", COLOUR: red", "deployment: {provider: "+host+"}") // and nothing says any more that it was adopted
				w.clock.add(time.Hour)
				w.pass(w.id("bakery"))
				legacy := func() (id, text string) {
					for _, r := range w.detail("bakery").Resources {
						if r.Ref.Kind == state.KindEnvironment && r.Provider == host {
							id = r.ID
						}
					}
					o, _ := v.world.Object(id)
					for _, a := range o.Attributes {
						if a.Name == "env.LEGACY" {
							text = a.Reveal()
						}
					}
					return id, text
				}
				id, text := legacy()
				if text != "kept" || !v.world.Set(id, "env.LEGACY", "rotated") {
					t.Fatalf("before: %q", text)
				}
				if host != "vercel" { // whoever has the old site goes on with it
					v.world.Set("env-1", "env.LATER", "x")
				}
				if how == "lost" {
					w.rebuild(v)
				} else {
					w.restore(copied)
					v.world.ForgetCalls()
					w.pass(w.poll()...)
				}
				w.pass(w.due()...)
				w.want("bakery", state.StatusActive)
				if got := v.writes(); len(got) > 0 {
					t.Errorf("it writes %v", got)
				}
				step(", COLOUR: green", "deployment: {provider: "+host+"}")
				d, _ := v.world.Serves("bakery.agency.example")
				_, text = legacy()
				if with := v.world.BuiltWith(d); text != "rotated" || with["LEGACY"] != "rotated" || with["COLOUR"] != "green" {
					t.Errorf("LEGACY is %q; what serves was built with %v", text, with)
				}
			})
		}
	}
}
