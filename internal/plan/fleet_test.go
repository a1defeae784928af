package plan_test

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/compassdigital/reconciler/internal/desired"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
)

// hostPool is what the clients of a generated fleet share: a host that another client
// had before is a move.
var hostPool = []string{"a.example", "b.example", "c.example", "d.example", "e.example", "f.example"}

// drawManifest is one client's effective manifest with the given hosts. The database's
// provider is given: changing it is held, and tested elsewhere.
func drawManifest(t *rapid.T, name, database string, hosts []string) manifest.Effective {
	e := manifest.Effective{Source: manifest.Source{Repository: "builtin", Ref: rapid.SampledFrom([]string{"v1", "v2"}).Draw(t, "ref")}, Environment: manifest.Env{}}
	e.Name, e.DisplayName, e.Template, e.Admin.Email = name, name, "ecommerce", "owner@"+name+".example"
	e.Host, e.Hosts = hosts[0], hosts
	e.Database.Provider = database
	e.Deployment.Provider = rapid.SampledFrom([]string{"local", "local", "vercel", "none"}).Draw(t, "host")
	e.DNS.Provider = rapid.SampledFrom([]string{"localdns", "localdns", "external", "none"}).Draw(t, "dns")
	e.AdminPanel = manifest.AdminPanel{Kind: rapid.SampledFrom([]string{"local", "none"}).Draw(t, "admin"), Path: "/admin"}
	if e.Deployment.Provider == "vercel" {
		e.Deployment.Server = rapid.SampledFrom([]string{"", "web-1"}).Draw(t, "server")
	}
	for _, n := range rapid.SliceOfDistinct(rapid.SampledFrom([]string{"A", "B", "C"}), rapid.ID).Draw(t, "env") {
		e.Environment[n] = rapid.SampledFrom([]manifest.EnvValue{{Literal: "021"}, {Literal: "on"}, {Generate: "hex32"}, {From: "site.url"}}).Draw(t, "value")
	}
	if database != "none" {
		e.Environment["DATABASE_URL"] = manifest.EnvValue{From: "database.url"}
	}
	e.DNS.Records = rapid.SliceOfNDistinct(rapid.SampledFrom([]manifest.Record{
		{Type: "MX", Name: "@", Content: "mx.example", Priority: 10}, {Type: "TXT", Name: "@", Content: "v=spf1 -all"},
		{Type: "TXT", Name: "_dmarc", Content: "v=DMARC1"}, {Type: "A", Name: "extra", Content: "192.0.2.1"},
	}), 0, 3, func(r manifest.Record) string { return r.Type + r.Name }).Draw(t, "records")
	if rapid.Bool().Draw(t, "settings") {
		e.Settings = map[string]any{"theme": rapid.SampledFrom([]string{"dark", "light"}).Draw(t, "theme")}
	}
	return e
}

// fleet is one generated step of a few clients: what was wished and done before, and
// what is wished now.
type fleet struct {
	clients []plan.ClientInput
}

func resources(t *rapid.T, c state.Client, e manifest.Effective) []state.Resource {
	all, problems := desired.Resources(desired.Input{Client: c, Effective: e, Mail: "mailbox", PublicURL: "http://" + e.Host, Configured: func(string, state.Kind) bool { return true }})
	if len(problems) > 0 {
		t.Fatalf("%s: %v", e.Name, problems)
	}
	return all
}

// deal gives every client at least one host, and no host to two.
func deal(t *rapid.T, n int, label string) [][]string {
	hosts := rapid.Permutation(hostPool).Draw(t, label)
	out := make([][]string, n)
	for i := range out {
		out[i] = []string{hosts[i]}
	}
	for _, h := range hosts[n:] {
		if to := rapid.IntRange(0, n).Draw(t, label+" alias"); to < n {
			out[to] = append(out[to], h)
		}
	}
	return out
}

// drawFleet settles a first set of manifests and wishes a second one: some clients are
// new, some go, some return, some stay.
func drawFleet(t *rapid.T) fleet {
	n := rapid.IntRange(1, 4).Draw(t, "clients")
	before, after := deal(t, n, "hosts before"), deal(t, n, "hosts after")
	var f fleet
	var old []plan.ClientInput
	for i := range n {
		name := fmt.Sprintf("shop%d", i)
		c := state.Client{ID: state.ClientID(fmt.Sprintf("%s-%d", name, i)), Name: name, Generation: 1}
		database := rapid.SampledFrom([]string{"sqlite", "railway", "none"}).Draw(t, "database")
		in := plan.ClientInput{Client: c, Health: rapid.Bool().Draw(t, "health"), Retain: 1}
		in.Wish = resources(t, c, drawManifest(t, name, database, before[i]))
		old = append(old, in)
		in.Wish = resources(t, c, drawManifest(t, name, database, after[i]))
		f.clients = append(f.clients, in)
	}
	news := map[int]bool{}
	for i := range old {
		if rapid.IntRange(0, 3).Draw(t, "new") == 0 {
			news[i] = true
			old[i].Wish = nil
		}
	}
	record := converge(t, old)
	for i := range f.clients {
		c := &f.clients[i]
		c.Recorded = record[i].Recorded
		switch {
		case news[i]:
		case rapid.IntRange(0, 4).Draw(t, "goes") == 0:
			f.clients[i] = removed(*c)
		default:
			for _, part := range desired.Parts(old[i].Wish, c.Wish) {
				if !strings.HasPrefix(part, "deployment/") && !strings.HasPrefix(part, "mail/") {
					c.Tombstones = append(c.Tombstones, state.Tombstone{Client: c.Client.ID, Part: part})
				}
			}
		}
	}
	return f
}

// apply is what is on record of each client after the plan.
func apply(clients []plan.ClientInput, p plan.Plan) []plan.ClientInput {
	var all []state.Resource
	for _, c := range clients {
		all = append(all, c.Recorded...)
	}
	after := map[state.ClientID][]state.Resource{}
	for _, r := range plan.Model(all, p, now) {
		after[r.Ref.Client] = append(after[r.Ref.Client], r)
	}
	out := append([]plan.ClientInput(nil), clients...)
	for i := range out {
		out[i].Recorded = after[out[i].Client.ID]
	}
	return out
}

// converge plans and applies until nothing is left.
func converge(t *rapid.T, clients []plan.ClientInput) []plan.ClientInput {
	for range 4 {
		p := plan.Calculate(input(clients...))
		if len(p.Problems) > 0 {
			t.Fatalf("problems: %+v", p.Problems)
		}
		if len(p.Steps) == 0 {
			return clients
		}
		clients = apply(clients, p)
	}
	t.Fatalf("still not settled: %v", lines(plan.Calculate(input(clients...))))
	return nil
}

// waited says that a plan is what was blocked in the one before it, as a person's record is seen once ours
// has gone, and nothing of it waits any more.
func waited(before, after plan.Plan) bool {
	blocked, seenLater := map[string]bool{}, false
	for _, s := range before.Steps {
		blocked[s.Key()] = s.Blocked
		seenLater = seenLater || s.Blocked && strings.Contains(s.Reason, " leads here is seen once ")
	}
	return seenLater && !slices.ContainsFunc(after.Steps, func(s plan.Step) bool { return !blocked[s.Key()] || s.Blocked })
}

// A plan of what a plan leads to is empty, or what waited in it, and after it the record is the wish: a
// planner that never plans anything fails here.
func TestPlanOfItsModelIsEmpty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFleet(t)
		p := plan.Calculate(input(f.clients...))
		if len(p.Problems) > 0 {
			t.Fatalf("problems: %+v", p.Problems)
		}
		done := apply(f.clients, p)
		again := plan.Calculate(input(done...))
		if len(again.Problems) == 0 && waited(p, again) {
			done = apply(done, again)
			again = plan.Calculate(input(done...))
		}
		if !again.Empty() {
			t.Fatalf("after\n%v\nthere is still\n%v %v", lines(p), lines(again), again.Problems)
		}
		for _, c := range done {
			isWish(t, c)
		}
	})
}

func isWish(t *rapid.T, c plan.ClientInput) {
	have, wished := map[state.Ref]state.Resource{}, map[state.Ref]bool{}
	for _, r := range c.Recorded {
		have[r.Ref] = r
	}
	for _, w := range c.Wish {
		wished[w.Ref] = true
		r, ok := have[w.Ref]
		if !ok || !r.Real() || r.Retained() || r.Provider != w.Provider || (w.Ref.Kind != state.KindMail && r.Attributes.Canonical() != w.Attributes.Canonical()) {
			t.Fatalf("%s: on record is %+v, wished %+v", w.Ref, r, w)
		}
	}
	releases := 0
	for _, r := range c.Recorded {
		switch {
		case wished[r.Ref], r.Retained(), r.Ref.Kind == state.KindMail:
		case r.Ref.Kind == state.KindDeployment && !c.Removed:
			if releases++; releases > 2 {
				t.Fatalf("%s: more than 2 earlier releases stay", r.Ref)
			}
		default:
			t.Fatalf("%s is on record and nobody wishes it", r.Ref)
		}
	}
}

// The same input gives the same plan, whatever the order of its slices.
func TestShuffledInputSamePlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFleet(t)
		want := plan.Calculate(input(f.clients...))
		shuffled := rapid.Permutation(f.clients).Draw(t, "clients")
		for i := range shuffled {
			shuffled[i].Wish = shuffle(t, shuffled[i].Wish)
			shuffled[i].Recorded = shuffle(t, shuffled[i].Recorded)
			shuffled[i].Tombstones = shuffle(t, shuffled[i].Tombstones)
		}
		if d := cmp.Diff(want, plan.Calculate(input(shuffled...))); d != "" {
			t.Fatalf("another plan (-want +got):\n%s", d)
		}
	})
}

func shuffle[T any](t *rapid.T, all []T) []T {
	if len(all) == 0 {
		return all
	}
	return rapid.Permutation(all).Draw(t, "order")
}

// Needs form no circle, name steps of the plan, and every step comes after them; keys
// are unique.
func TestNeedsAreInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := plan.Calculate(input(drawFleet(t).clients...))
		done := map[string]bool{}
		for _, s := range p.Steps {
			if !sort.StringsAreSorted(s.Needs) {
				t.Fatalf("%s: needs are not sorted: %v", s.Key(), s.Needs)
			}
			for _, n := range s.Needs {
				if !done[n] {
					t.Fatalf("%s needs %s, which does not come before it:\n%v", s.Key(), n, lines(p))
				}
			}
			if done[s.Key()] {
				t.Fatalf("two steps %s", s.Key())
			}
			done[s.Key()] = true
			if s.Reason == "" || s.Undo == "" || s.Client == "" || s.Number < 1 || s.Number > 8 {
				t.Fatalf("step %d %s of %q: because %q, undo %q", s.Number, line(s), s.Client, s.Reason, s.Undo)
			}
		}
	})
}

// P5: nothing is deleted or retained without a tombstone, but for what the wish itself
// replaces; data is never deleted; what was found or adopted is never touched.
func TestP5DeletingTakesProof(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFleet(t)
		for i := range f.clients {
			f.clients[i].Recorded = append([]state.Resource(nil), f.clients[i].Recorded...)
			for j := range f.clients[i].Recorded {
				switch r := &f.clients[i].Recorded[j]; rapid.IntRange(0, 5).Draw(t, "whose") {
				case 0:
					r.Found = r.Ref.Kind != state.KindDatabase
				case 1:
					r.Adopted = true
				}
			}
		}
		proved := plan.Calculate(input(f.clients...))
		check(t, proved, f.clients)
		bare := append([]plan.ClientInput(nil), f.clients...)
		for i := range bare {
			bare[i].Tombstones = nil
		}
		p := plan.Calculate(input(bare...))
		check(t, p, bare)
		for _, s := range p.Steps {
			if s.Action == plan.Retain || s.Action == plan.Move {
				t.Fatalf("without a proof: %s", line(s))
			}
		}
	})
}

func check(t *rapid.T, p plan.Plan, clients []plan.ClientInput) {
	by := map[state.ClientID]plan.ClientInput{}
	for _, c := range clients {
		by[c.Client.ID] = c
	}
	for _, s := range p.Steps {
		switch {
		case s.Prior == nil || !s.Action.Writes():
			continue
		case s.Prior.Found && s.Action == plan.Create && s.Prior.Provider != s.Provider: // a new one elsewhere
			continue
		case s.Prior.Found:
			t.Fatalf("what was found is written to: %s", line(s))
		case s.Action == plan.Update || s.Action == plan.Move || s.Action == plan.Create:
			continue
		case s.Prior.Adopted:
			t.Fatalf("what was adopted is deleted: %s", line(s))
		case s.Ref.Kind == state.KindDatabase:
			t.Fatalf("data is deleted: %s", line(s))
		case s.Action == plan.Delete && !hasProof(by[s.Ref.Client], *s.Prior):
			t.Fatalf("no proof: %s", line(s))
		}
	}
}

// hasProof says it in other words than the planner: a tombstone of the client, of the
// part, or of the release's site; or something wished in its place.
func hasProof(c plan.ClientInput, r state.Resource) bool {
	site := func(r state.Resource) string {
		v, _ := r.Attributes.Get("site")
		if v.Ref == nil {
			return ""
		}
		return v.Ref.Name
	}
	for _, t := range c.Tombstones {
		if t.Part == "" || t.Part == string(r.Ref.Kind)+"/"+r.Ref.Name || (r.Ref.Kind == state.KindDeployment && t.Part == "site/"+site(r)) {
			return true
		}
	}
	for _, w := range c.Wish {
		switch r.Ref.Kind {
		case state.KindDomain:
			if w.Ref.Kind == state.KindDomain && w.Ref.Host() == r.Ref.Host() && w.Ref != r.Ref {
				return true
			}
		case state.KindSite, state.KindEnvironment, state.KindTraffic, state.KindDeployment:
			if w.Ref.Kind == r.Ref.Kind && w.Ref != r.Ref {
				return true
			}
		}
	}
	return false
}

// S24: a name moves only when its new owner serves, and its old owner lets go of what
// serves only after that.
func TestS24MovesNewBeforeOld(t *testing.T) {
	moved := false
	rapid.Check(t, func(t *rapid.T) {
		p := plan.Calculate(input(drawFleet(t).clients...))
		for _, m := range p.Steps {
			if m.Action != plan.Move {
				continue
			}
			moved = true
			for _, s := range p.Steps {
				switch {
				case s.Ref.Client == m.Ref.Client && s.Ref.Kind == state.KindTraffic && s.Action.Writes() && s.Action != plan.Delete && s.Action != plan.Move:
					if content, _ := m.Wish.Attributes.Get("content"); m.Ref.Kind == state.KindRecord && content.Ref == nil {
						continue
					}
					if !after(p, m.Key(), s.Key()) {
						t.Fatalf("%s moves before %s", line(m), line(s))
					}
				case s.Ref.Client == m.From.Client && s.Action == plan.Delete && (s.Ref.Kind == state.KindTraffic || s.Ref.Kind == state.KindSite):
					if !after(p, s.Key(), m.Key()) {
						t.Fatalf("%s before %s", line(s), line(m))
					}
				}
			}
		}
	})
	if !moved {
		t.Error("no generated fleet moved a name: the property says nothing")
	}
}

// S24: an alias is led to a name that another client gives away only once that one has let it go;
// where his removal is not planned it waits and says for whom. Of two that exchange their names
// one waits: no circle.
func TestS24RedirectWaitsForTheOldOwner(t *testing.T) {
	elsewhere := func(e *manifest.Effective) { e.Deployment.Provider, e.DNS.Provider = "vercel", "external" }
	hosts := func(names ...string) func(*manifest.Effective) {
		return func(e *manifest.Effective) { e.Host, e.Hosts = names[0], names }
	}
	const turns, alsoTurns = "update domain/www.d.example@local !traffic", "update domain/www.c.example@vercel !traffic"
	d := becomes(t, settled(t, shop("d", hosts("d.example", "www.d.example"))), shop("d", hosts("c.example", "www.d.example")))
	had := settled(t, shop("c", elsewhere))
	gives := becomes(t, had, shop("c", elsewhere, hosts("n.example")))
	gone := []string{"delete record/A c.example", "delete domain/c.example@vercel !offline"} // where a person keeps the record, nothing is taken away
	p := plan.Calculate(input(d, gives))
	for _, g := range gone {
		if !after(p, find(t, p, turns).Key(), find(t, p, g).Key()) {
			t.Errorf("the alias does not wait for %q: %v", g, lines(p))
		}
	}

	waits := gives
	waits.Tombstones = nil
	p = plan.Calculate(input(d, waits))
	if s := find(t, p, turns+" blocked"); s.Reason != "waiting for c, which still has c.example" {
		t.Errorf("it is said %q", s.Reason)
	}

	p = plan.Calculate(input(d, becomes(t, settled(t, shop("c", elsewhere, hosts("c.example", "www.c.example"))), shop("c", elsewhere, hosts("d.example", "www.c.example")))))
	one := after(p, find(t, p, turns).Key(), find(t, p, gone[0]).Key())
	other := after(p, find(t, p, alsoTurns).Key(), find(t, p, "delete record/A d.example !offline").Key())
	if one == other {
		t.Errorf("d's alias waits: %v, c's: %v", one, other)
	}
}
