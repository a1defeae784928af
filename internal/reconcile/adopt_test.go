package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/external"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// adoptable opens vendors of whom one doesn't give back what variables say, and puts a
// site there that lived before us.
func adoptable(t *testing.T, domainSite string) (*memory.World, *world) {
	t.Helper()
	var all *memory.World
	w := newWorldWith(t, func(c *clock) []provider.Provider {
		all = memory.NewWorld(c.Now)
		return []provider.Provider{
			memory.New(memory.Options{Name: "railway", World: all, Kinds: memory.Databases(), Sleep: c.Sleep}),
			memory.New(memory.Options{Name: "vercel", World: all, Kinds: memory.Hosting(), Sleep: c.Sleep, WriteOnly: map[state.Kind][]string{state.KindEnvironment: {"env.*"}}}),
			memory.New(memory.Options{Name: "cloudflare", World: all, Kinds: memory.DNS(), Sleep: c.Sleep}),
		}
	})
	url := state.NewSecret("postgres://old")
	seed := func(owner, id string, k state.Kind, outputs []provider.Output, pairs ...string) {
		o := provider.Object{ID: id, Kind: k, Name: "old " + id, Outputs: outputs}
		for i := 0; i < len(pairs); i += 2 {
			o.Attributes = append(o.Attributes, provider.Input{Name: pairs[i], Text: pairs[i+1]})
		}
		all.Seed(owner, o)
	}
	seed("railway", "data-1", state.KindDatabase, []provider.Output{{Name: "url", Secret: &url}})
	seed("vercel", "site-1", state.KindSite, []provider.Output{{Name: "url", Text: "https://old.example"}, {Name: "address", Text: "203.0.113.7"}}, "label", "old-shop", "repository", "agency/shop")
	seed("vercel", "site-2", state.KindSite, nil, "label", "someone", "repository", "someone/site")
	seed("vercel", "env-1", state.KindEnvironment, nil, "site", "site-1", "env.DATABASE_URL", "postgres://hidden", "env.LEGACY", "hidden")
	seed("vercel", "rel-0", state.KindDeployment, nil, "site", "site-1", "ref", "v1", "template", "shop")
	seed("vercel", "rel-1", state.KindDeployment, nil, "site", "site-1", "ref", "v1", "template", "shop")
	seed("vercel", "tra-1", state.KindTraffic, nil, "site", "site-1", "deployment", "rel-1")
	seed("vercel", "dom-1", state.KindDomain, nil, "site", domainSite, "host", "bakery.agency.example", "redirect", "")
	seed("cloudflare", "rec-1", state.KindRecord, nil, "type", "A", "name", "bakery.agency.example", "content", "203.0.113.7", "ttl", "300")
	return all, w
}

const adoptLine = `adopt: {site: {id: site-1}, database: {id: data-1}}`

// Rule "Adoption": where variables can't be read, the database's address and what would
// be generated are unknown: setting them is held, and nothing is written before.
func TestRuleAdoptionUnreadable(t *testing.T) {
	all, w := adoptable(t, "site-1")
	before := all.Snapshot(nil)
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery", adoptLine)})
	r := w.want("bakery", state.StatusHeld)
	for _, v := range []string{"DATABASE_URL", "PAYLOAD_SECRET"} {
		if !strings.Contains(r.Because, v) {
			t.Errorf("it is not said that %s changes: %s", v, r.Because)
		}
	}
	if all.Snapshot(nil) != before {
		t.Errorf("written before an approval:\n%s", all.Snapshot(nil))
	}
	d, err := w.engine.Detail("bakery")
	if err != nil {
		t.Fatal(err)
	}
	on := map[state.Kind]string{}
	for _, x := range d.Resources {
		on[x.Ref.Kind] = x.ID
	}
	for k, id := range map[state.Kind]string{state.KindDatabase: "data-1", state.KindSite: "site-1", state.KindEnvironment: "env-1", state.KindDeployment: "rel-1", state.KindTraffic: "tra-1", state.KindDomain: "dom-1", state.KindRecord: "rec-1"} {
		if on[k] != id {
			t.Errorf("%s is on record as %q, want %s", k, on[k], id)
		}
	}
}

// Rule "Adoption": a host that is bound to somebody else's site is no part of ours.
func TestRuleAdoptionOfAnothersName(t *testing.T) {
	all, w := adoptable(t, "site-2")
	before := all.Snapshot(nil)
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery", adoptLine)})
	if r := w.want("bakery", state.StatusHeld); !strings.Contains(r.Because, "belongs to site site-2") {
		t.Errorf("bakery is held: %s", r.Because)
	}
	if all.Snapshot(nil) != before {
		t.Errorf("written:\n%s", all.Snapshot(nil))
	}
}

// Rule "Adoption": a first pass that was cut off is gone on from, also when the wish is
// another one by then.
func TestRuleAdoptionGoesOn(t *testing.T) {
	all, w := adoptable(t, "site-1")
	before := all.Snapshot(nil)
	ids := w.push(map[string]string{"clients/bakery.yaml": client("bakery", adoptLine)})
	all.Down("cloudflare", memory.Fail(provider.Transient, "503 service unavailable"))
	if d, err := w.engine.Pass(t.Context(), ids[0], reconcile.CauseCommit); err != nil || d.At.IsZero() {
		t.Fatalf("%+v, %v", d, err)
	}
	all.Down("cloudflare", nil)
	w.apply(map[string]string{"templates/shop.yaml": storyTemplate("v2", "")})
	if r := w.want("bakery", state.StatusHeld); !strings.Contains(r.Because, "of an adopted site changes") {
		t.Errorf("bakery is held: %s", r.Because)
	}
	if all.Snapshot(nil) != before {
		t.Errorf("written before an approval:\n%s", all.Snapshot(nil))
	}
}

// Rule "Adoption": a removal that was cut off has taken parts of an adopted site off the record, and
// the client comes back. They are adopted again: its variables are not written over unasked, and its
// traffic, which the site has, is not made once more.
func TestRuleAdoptionOfPartsAgain(t *testing.T) {
	all, w := adoptable(t, "site-1")
	before := all.Snapshot(nil)
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery", adoptLine)})
	w.want("bakery", state.StatusHeld)
	id := w.id("bakery")
	if err := w.store.Update(func(tx store.Tx) error {
		for _, k := range []state.Kind{state.KindEnvironment, state.KindTraffic} {
			if err := store.DeleteResource(tx, state.Ref{Client: id, Kind: k, Name: "vercel"}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.engine.Retry("bakery", "dana"); err != nil {
		t.Fatal(err)
	}
	w.pass(id)
	if r := w.want("bakery", state.StatusHeld); !strings.Contains(r.Because, "of an adopted site changes") {
		t.Errorf("bakery is held: %s", r.Because)
	}
	on := map[state.Kind]string{}
	d, err := w.engine.Detail("bakery")
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range d.Resources {
		on[x.Ref.Kind] = x.ID
	}
	if on[state.KindEnvironment] != "env-1" || on[state.KindTraffic] != "tra-1" {
		t.Errorf("on record are %v", on)
	}
	if all.Snapshot(nil) != before {
		t.Errorf("written before an approval:\n%s", all.Snapshot(nil))
	}
}

// Rule "Adoption": a first pass that was cut off is gone on from, also when the manifest
// does not name the site any more: it is on record, and half of it is nobody's.
func TestRuleAdoptionGoesOnUnnamed(t *testing.T) {
	all, w := adoptable(t, "site-1")
	before := all.Snapshot(nil)
	ids := w.push(map[string]string{"clients/bakery.yaml": client("bakery", adoptLine)})
	// The site comes to be on record, its variables do not.
	all.Down("cloudflare", memory.Fail(provider.Transient, "503 service unavailable"))
	failing := true
	was := w.engine.Runner.Provider
	w.engine.Runner.Provider = func(name string, k state.Kind) (provider.Provider, bool) {
		if failing && (k == state.KindEnvironment || k == state.KindTraffic) {
			return nil, false
		}
		return was(name, k)
	}
	if _, err := w.engine.Pass(t.Context(), ids[0], reconcile.CauseCommit); err != nil {
		t.Fatal(err)
	}
	all.Down("cloudflare", nil)
	failing = false
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery")})
	if r := w.want("bakery", state.StatusHeld); !strings.Contains(r.Because, "of an adopted site changes") {
		t.Errorf("bakery is held: %s", r.Because)
	}
	d := w.detail("bakery")
	for _, x := range d.Resources {
		if x.Ref.Kind == state.KindEnvironment && x.ID != "env-1" {
			t.Errorf("its environment is %s", x.ID)
		}
	}
	if all.Snapshot(nil) != before {
		t.Errorf("written before an approval:\n%s", all.Snapshot(nil))
	}
}

// P3: two clients that name one object and pass at once are both held.
func TestP3AdoptionRaces(t *testing.T) {
	all, w := adoptable(t, "site-1")
	before := all.Snapshot(nil)
	ids := w.push(map[string]string{"clients/bakery.yaml": client("bakery", adoptLine), "clients/copycat.yaml": client("copycat", adoptLine)})
	var wg sync.WaitGroup
	for _, id := range ids {
		wg.Go(func() {
			if _, err := w.engine.Pass(context.Background(), id, reconcile.CauseCommit); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, name := range []string{"bakery", "copycat"} {
		if r := w.want(name, state.StatusHeld); !strings.Contains(r.Because, "an object belongs to one client") {
			t.Errorf("%s: %s", name, r.Because)
		}
		if d, err := w.engine.Detail(name); err != nil || len(d.Resources) > 0 {
			t.Errorf("%s took %v %v", name, d.Resources, err)
		}
	}
	if all.Snapshot(nil) != before {
		t.Errorf("written:\n%s", all.Snapshot(nil))
	}
}

// Rule "Adoption", P3: an adopted database that a client left is kept for it. Nobody else adopts
// it, also nobody of its name who says that he begins anew; both are told how to get it back, and
// that works.
func TestRuleAdoptionOfWhatARemovedClientLeft(t *testing.T) {
	_, w := adoptable(t, "site-1")
	const line, anew = "adopt: {database: {id: data-1}}", "domain: elsewhere\ndatabase: {reuse: "
	has := func(name string) bool {
		return slices.ContainsFunc(w.detail(name).Resources, func(r state.Resource) bool { return r.ID == "data-1" })
	}
	other := func(name, reuse string) map[string]string {
		return map[string]string{"clients/" + name + ".yaml": strings.Replace(client(name, line), "domain: "+name, anew+reuse+"}", 1)}
	}
	w.apply(map[string]string{"clients/tavern.yaml": client("tavern", line), "clients/neighbour.yaml": client("neighbour")})
	first := w.id("tavern")
	w.apply(map[string]string{"clients/tavern.yaml": ""})
	w.want("tavern", state.StatusRetained)

	w.apply(map[string]string{"clients/copycat.yaml": client("copycat", line)})
	r := w.want("copycat", state.StatusHeld)
	if d := w.detail("copycat"); has("copycat") || !strings.Contains(r.Because, "which the tavern that was removed still has") || !strings.Contains(d.Next, "add tavern with `database.reuse: retained`") {
		t.Errorf("copycat has %v: %s; %s", d.Resources, r.Because, d.Next)
	}
	w.apply(map[string]string{"clients/copycat.yaml": ""})

	w.apply(other("tavern", "fresh"))
	o, err := w.engine.Overview()
	if err != nil || len(o.Problems) != 1 || !strings.Contains(o.Problems[0].Text, "adopt.database names what the tavern that was removed still has") {
		t.Errorf("a new client that names what the former one has: %+v %v", o.Problems, err)
	}
	w.apply(other("tavern", "retained"))
	if id := w.id("tavern"); id != first || !has("tavern") {
		t.Errorf("%s came back, it was %s: %v", id, first, w.detail("tavern").Resources)
	}
}

// A person who sets records may take days, and DNS servers fail meanwhile: neither is a
// failure of the client. Passes come with a growing pause, up to its limit.
func TestExternalRecordsWait(t *testing.T) {
	var mu sync.Mutex
	answer, fails := []string(nil), error(nil)
	w := newWorldWith(t, func(c *clock) []provider.Provider {
		all := memory.NewWorld(c.Now)
		p := []provider.Provider{memory.New(memory.Options{Name: "railway", World: all, Kinds: memory.Databases(), Sleep: c.Sleep}),
			memory.New(memory.Options{Name: "vercel", World: all, Kinds: memory.Hosting(), Sleep: c.Sleep})}
		return append(p, external.Providers(external.Options{Lookup: func(context.Context, string, string) ([]string, error) {
			mu.Lock()
			defer mu.Unlock()
			return answer, fails
		}})...)
	})
	ids := w.push(map[string]string{"clients/bakery.yaml": client("bakery", "dns: {provider: external}")})
	if len(ids) != 1 {
		t.Fatalf("due: %v", ids)
	}
	say := func(a []string, err error) { mu.Lock(); defer mu.Unlock(); answer, fails = a, err }
	passes := 0
	for days := w.clock.Now().AddDate(0, 0, 2); w.clock.Now().Before(days); passes++ {
		if passes%10 == 9 {
			say(nil, errors.New("servers are on fire"))
		} else {
			say(nil, nil)
		}
		d, err := w.engine.Pass(t.Context(), ids[0], reconcile.CauseSchedule)
		if err != nil {
			t.Fatal(err)
		}
		r := w.row("bakery")
		if r.Status != string(state.StatusProvisioning) || !strings.Contains(r.Because, "Set the record A bakery.agency.example → 203.0.113.7") {
			t.Fatalf("after %d passes bakery is %s: %s", passes, r.Status, r.Because)
		}
		if d.Again || d.At.IsZero() {
			t.Fatalf("the next pass is %+v", d)
		}
		if pause := d.At.Sub(w.clock.Now()); pause <= 0 {
			t.Fatalf("after %d passes it pauses for %s", passes, pause)
		} else {
			w.clock.add(pause)
		}
	}
	if passes > 2*24*12+10 { // every five minutes, and a little more in the beginning
		t.Errorf("%d passes in two days", passes)
	}
	say([]string{"203.0.113.7"}, nil)
	w.pass(ids...)
	w.want("bakery", state.StatusActive)
}

// Rule "Adoption", P3: a host name of an adopted site that the manifest drops and wishes
// again was there before us: it is adopted again, and nobody deletes it, ever.
func TestRuleAdoptionOfANameAgain(t *testing.T) {
	all, w := adoptable(t, "site-1")
	all.Seed("vercel", provider.Object{ID: "dom-2", Kind: state.KindDomain, Name: "old dom-2",
		Attributes: []provider.Input{{Name: "site", Text: "site-1"}, {Name: "host", Text: "www.bakery.example"}, {Name: "redirect", Text: ""}}})
	with := func(aliases, colour string) map[string]string {
		return map[string]string{"clients/bakery.yaml": client("bakery", adoptLine, aliases, "env: {COLOUR: "+colour+"}")}
	}
	both, own := "aliases: [www.bakery.example, own.bakery.example]", "aliases: []"
	approve := func() {
		t.Helper()
		for range 3 {
			for _, h := range w.detail("bakery").Holds {
				ids, err := w.engine.Approve(t.Context(), h.Fingerprint, "dana")
				if err != nil {
					t.Fatal(err)
				}
				w.pass(ids...)
			}
		}
	}
	recorded := func() map[string]state.Resource {
		out := map[string]state.Resource{}
		for _, r := range w.detail("bakery").Resources {
			if r.Ref.Kind == state.KindDomain {
				out[r.Ref.Host()] = r
			}
		}
		return out
	}
	stays := func(when string) {
		t.Helper()
		for _, id := range []string{"dom-1", "dom-2", "site-1", "data-1"} {
			if _, ok := all.Object(id); !ok {
				t.Errorf("%s: %s lived before us and is gone", when, id)
			}
		}
	}
	w.apply(with(both, "red"))
	approve()
	w.want("bakery", state.StatusActive)
	for i := range 2 {
		w.apply(with(own, "red"))
		approve()
		w.want("bakery", state.StatusActive)
		if got := recorded(); len(got) != 1 {
			t.Errorf("on record when it is dropped: %v", got)
		}
		stays("dropped")
		if _, ours := all.Serves("own.bakery.example"); ours {
			t.Error("the name that was made here is still there")
		}
		w.apply(with(both, []string{"red", "blue"}[i])) // alone, and with another change
		approve()
		w.want("bakery", state.StatusActive)
		got := recorded()
		if r := got["www.bakery.example"]; r.ID != "dom-2" || !r.Adopted {
			t.Errorf("wished again it is on record as %+v", r)
		}
		if r := got["own.bakery.example"]; !r.Real() || r.Adopted {
			t.Errorf("the one that is made here is on record as %+v", r)
		}
	}
	w.apply(map[string]string{"clients/bakery.yaml": ""})
	approve()
	stays("removed")
	if _, ours := all.Serves("own.bakery.example"); ours {
		t.Error("the name that was made here is still there")
	}
}

// P3: an adopted environment bears our mark since its first change. When its client went
// and comes back without the site, it is still nobody's to delete.
func TestP3AdoptedOnceStaysAdopted(t *testing.T) {
	all, w := adoptable(t, "site-1")
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery", adoptLine), "clients/other.yaml": client("other", "database: {provider: none}", "env: {DATABASE_URL: {none: true}}")})
	for range 3 {
		for _, h := range w.detail("bakery").Holds {
			ids, err := w.engine.Approve(t.Context(), h.Fingerprint, "dana")
			if err != nil {
				t.Fatal(err)
			}
			w.pass(ids...)
		}
	}
	w.want("bakery", state.StatusActive)
	if o, _ := all.Object("env-1"); o.Mark.IsZero() {
		t.Fatal("its environment was not changed: the test shows nothing")
	}
	w.apply(map[string]string{"clients/bakery.yaml": ""})
	w.want("bakery", state.StatusRetained)
	for _, id := range []string{"dom-1", "rec-1"} { // a person freed its name
		all.Remove(id)
	}
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery", "adopt: {database: {id: data-1}}")})
	w.drain(w.id("bakery"))
	if _, ok := all.Object("env-1"); !ok {
		t.Error("env-1 lived before us and is gone")
	}
	if r := w.want("bakery", state.StatusHeld); !strings.Contains(r.Because, "not ours to delete") || !strings.Contains(r.Next, "env-1") {
		t.Errorf("bakery is held: %s; %s", r.Because, r.Next)
	}
}

// S24: a name moves from one client to another, whose site was there before us: that it
// bears the old owner's mark until it moves is no conflict.
func TestS24NameMovesToOneWhoAdopted(t *testing.T) {
	all, w := adoptable(t, "site-1")
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery", adoptLine), "clients/other.yaml": client("other", "aliases: [shop.example]")})
	for _, h := range w.detail("bakery").Holds {
		ids, err := w.engine.Approve(t.Context(), h.Fingerprint, "dana")
		if err != nil {
			t.Fatal(err)
		}
		w.pass(ids...)
	}
	w.want("bakery", state.StatusActive)
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery", adoptLine, "aliases: [shop.example]"), "clients/other.yaml": client("other")})
	w.want("bakery", state.StatusActive)
	w.want("other", state.StatusActive)
	d, ok := all.Serves("shop.example")
	if o, _ := all.Object(d); !ok || o.Mark.Client != w.id("bakery") && d != "rel-1" {
		t.Errorf("shop.example is served by %s of %s", d, o.Mark.Client)
	}
}

// Rule "Values": only `none` removes, and it does: a variable that an adopted site had goes, the plan says so, and the
// revert brings it back. Of what a layer gives, {none: true} takes that away alone: what the site has stays.
func TestRuleAdoptionNoneTakesAwayWhatTheSiteHad(t *testing.T) {
	v := &vendors{faults: &memory.Faults{}}
	w := newWorldWith(t, func(c *clock) []provider.Provider { return v.twoHosts(c) })
	seedShop(v.world)
	confirms(w)
	file := func(env string, more ...string) map[string]string {
		return map[string]string{"clients/bakery.yaml": client("bakery", append(more, "env: {DATABASE_URL: {none: true}, PAYLOAD_SECRET: {none: true}"+env+"}", "database: {provider: none}", "adopt: {site: {id: site-1}}")...)}
	}
	w.apply(file("", "paused: true"))
	confirmed(t, w)
	apply := func(env, legacy string) {
		t.Helper()
		w.apply(file(env))
		w.approveAll("bakery")
		w.want("bakery", state.StatusActive)
		at := map[string]string{}
		o, _ := v.world.Object("env-1")
		for _, a := range o.Attributes {
			at[a.Name] = a.Reveal()
		}
		d, _ := v.world.Serves("bakery.agency.example")
		with := v.world.BuiltWith(d)
		_, there := at["env.LEGACY"]
		_, built := with["LEGACY"]
		if at["env.LEGACY"] != legacy || with["LEGACY"] != legacy || there != (legacy != "") || built != there {
			t.Errorf("with %q: LEGACY is %q, and %q in what serves; want %q", env, at["env.LEGACY"], with["LEGACY"], legacy)
		}
		if at["env.PAYLOAD_SECRET"] != "invented-old-value" || with["PAYLOAD_SECRET"] != "invented-old-value" {
			t.Errorf("with %q: what the template gives is taken from the site, too: %v, %v", env, at, with)
		}
	}
	apply(", COLOUR: blue", "kept")
	none := ", COLOUR: blue, LEGACY: {none: true}"
	if p := fmt.Sprint(w.judged(file(none)).Changes); !strings.Contains(p, "LEGACY") {
		t.Errorf("the plan does not say that LEGACY goes: %s", p)
	}
	apply(none, "")
	if steps, problems := w.planned(); len(steps)+len(problems) > 0 {
		t.Errorf("it is gone, and the next plan shows %v %v", steps, problems)
	}
	apply(", COLOUR: blue", "kept")
}
