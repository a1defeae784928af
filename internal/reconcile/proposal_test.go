package reconcile_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// readingHalf is a provider that can be looked at and nothing else: a write is a failure.
type readingHalf struct {
	provider.Provider
	reads, writes *atomic.Int64
}

var errNoWriter = errors.New("this provider has no writing half")

func (p readingHalf) Observe(ctx context.Context, q provider.Query) ([]provider.Object, error) {
	p.reads.Add(1)
	return p.Provider.Observe(ctx, q)
}

func (p readingHalf) Owned(ctx context.Context, installation string) ([]provider.Object, error) {
	p.reads.Add(1)
	return p.Provider.Owned(ctx, installation)
}

func (p readingHalf) Create(context.Context, provider.Wish) (provider.Object, error) {
	p.writes.Add(1)
	return provider.Object{}, errNoWriter
}

func (p readingHalf) Update(context.Context, string, provider.Wish) (provider.Object, error) {
	p.writes.Add(1)
	return provider.Object{}, errNoWriter
}

func (p readingHalf) Delete(context.Context, state.Kind, string) error {
	p.writes.Add(1)
	return errNoWriter
}

// readingStore is a store that can be read and nothing else.
type readingStore struct {
	store.Store
	writes *atomic.Int64
}

func (s readingStore) Update(func(store.Tx) error) error {
	s.writes.Add(1)
	return errNoWriter
}

// proposal is a random change of a tree, as somebody may send it: fields of every kind,
// names of others, secrets by name, removals, renames, rules of its own, nonsense.
func proposal(r *rand.Rand, base map[string]string) []accept.File {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	tree := map[string]string{}
	for p, text := range base {
		tree[p] = text
	}
	for range 1 + r.IntN(3) {
		name := pick("shop", "bakery", "garage", "fresh", "evil")
		domain := pick(name, name, name, "shop", name+".example", "login.shop.agency.example", "co.uk")
		more := pick("", "env: {STOLEN: {secret: mollie}}", "env: {STOLEN: {secret: shared/smtp}, B: {from: database.url}, C: {generate: hex32}}", "env: {COLOUR: c"+fmt.Sprint(r.IntN(9))+"}",
			"domain: [", "previously: [shop]", "aliases: [shop.agency.example]", "aliases: ["+name+".other.example]", "adopt: {site: {id: site-1}}", "adopt: {database: {id: data-1}}",
			"database: {provider: none}", "database: {reuse: fresh}", "database: {retain: forever}", "deployment: {provider: none}", "deployment: {ref: v"+fmt.Sprint(r.IntN(9))+"}", "dns: {provider: none}", "dns: {provider: external}",
			"dns: {records: [{type: MX, name: \"@\", content: evil.example, priority: 1}]}", "dns: {records: [{type: TXT, name: _dmarc, content: none}]}", "onFailure: keep\npaused: true", "drift: {default: heal}", "labels: {a: b}", "settings: {theme: dark}",
			"notes: '"+strings.Repeat("<b>", 50)+"'")
		file := "clients/" + name + ".yaml"
		switch r.IntN(10) {
		case 0:
			delete(tree, file)
		case 1:
			tree[file] = pick("[", "kind: Client\n", "\x00", "name: "+name+"\nnonsense: true\n")
		default:
			tree[file] = strings.Replace(client(name, more), "domain: "+name+"\n", "domain: "+domain+"\n", 1)
		}
	}
	switch r.IntN(12) {
	case 0:
		tree["templates/shop.yaml"] = pick("[", strings.Replace(template, "ref: v1", "ref: v9", 1), template+"defaults: {database: {provider: none}}\n", template+"migrate: rm -rf /\n")
	case 1:
		tree["platform.yaml"] = "apiVersion: reconciler/v1\nkind: Platform\n" + pick("guard: {maxDeletes: 1000}\n", "baseDomain: evil.example\n", "reserved: [shop]\n", "defaults: {dns: {provider: none}}\n", "nonsense: [\n")
	}
	var files []accept.File
	for _, p := range slices.Sorted(maps.Keys(tree)) {
		f := accept.File{Path: p, Data: []byte(tree[p])}
		if r.IntN(50) == 0 {
			f = accept.File{Path: p, Err: "not a regular file"}
		}
		files = append(files, f)
	}
	return files
}

// Threat 1: a thousand random changes are planned, whatever they ask for, with providers
// and a store that have no writing half: nothing asks for one, no plan looks at more
// than there is and would be made, nothing differs afterwards, and no plan holds a secret.
func TestThreat01AThousandProposals(t *testing.T) {
	const canary = "live_planted-in-a-secret-77123"
	v, w := newVendors(t)
	for _, s := range []struct{ client, name string }{{"new/shop", "mollie"}, {"", "smtp"}} {
		if _, _, err := w.engine.SetSecret(s.client, s.name, state.NewSecret(canary), w.keys.Fingerprint, "ops"); err != nil {
			t.Fatal(err)
		}
	}
	base := map[string]string{"templates/shop.yaml": template, "clients/shop.yaml": client("shop", "env: {KEY: {secret: mollie}, SMTP: {secret: shared/smtp}}"),
		"clients/bakery.yaml": client("bakery", "aliases: [bakery.example]"), "clients/garage.yaml": client("garage"), "clients/gone.yaml": client("gone")}
	w.apply(base)
	w.apply(map[string]string{"clients/gone.yaml": ""})
	delete(base, "clients/gone.yaml")
	w.want("shop", state.StatusActive)
	w.want("gone", state.StatusRetained)

	var reads, writes atomic.Int64
	half := map[string]provider.Provider{}
	for i, p := range w.engine.Providers {
		half[p.Name()] = readingHalf{p, &reads, &writes}
		w.engine.Providers[i] = half[p.Name()]
	}
	w.engine.Runner.Provider = func(name string, _ state.Kind) (provider.Provider, bool) { p, ok := half[name]; return p, ok }
	w.engine.Store = readingStore{w.store, &writes}
	w.engine.Runner.Store = w.engine.Store
	recorded := 0
	for _, name := range []string{"shop", "bakery", "garage", "gone"} {
		recorded += len(w.detail(name).Resources)
	}
	world, records := v.world.Snapshot(everything), w.records()
	v.world.ForgetCalls()

	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	changed, refused := 0, 0
	for round := range 1000 {
		files := proposal(r, base)
		reads.Store(0)
		p, err := w.engine.PreviewOf(t.Context(), "", files, nil)
		if err != nil {
			t.Fatalf("seed %d, round %d: %v", seed, round, err)
		}
		most := recorded // and what would be made
		for _, c := range p.Changes {
			most += len(c.Steps)
		}
		if n := int(reads.Load()); n > most {
			t.Fatalf("seed %d, round %d: %d reads, and %d objects that are there or asked for", seed, round, n, most)
		}
		told, err := json.Marshal(p)
		if err != nil || strings.Contains(string(told), canary) {
			t.Fatalf("seed %d, round %d: %v: %s", seed, round, err, told)
		}
		if len(p.Changes) > 0 {
			changed++
		}
		if len(p.Problems) > 0 {
			refused++
		}
	}
	if writes.Load() > 0 || len(v.writes()) > 0 || v.world.Snapshot(everything) != world || w.records() != records {
		t.Errorf("seed %d: %d writes were asked for: %v", seed, writes.Load(), v.writes())
	}
	if changed < 300 || refused < 300 {
		t.Errorf("seed %d: no proof: %d proposals changed something, %d were refused", seed, changed, refused)
	}
	// The halves are what they say: who does write meets them.
	w.repo.commit(map[string]string{"clients/fresh.yaml": client("fresh")})
	if _, err := w.engine.Poll(t.Context()); !errors.Is(err, errNoWriter) || writes.Load() == 0 {
		t.Errorf("a poll writes nothing: %v", err)
	}
}

// P12: a pull request conflicted with a file that somebody had pushed broken, and the merge left
// that as the branch had it. It brought nothing of the file, and who mends that waits for nobody;
// where the merge made something else of it, what becomes of that was not shown.
func TestP12WhatAMergeLeftAsItWasIsNotItsOwn(t *testing.T) {
	for _, left := range []bool{true, false} {
		_, w := newVendors(t)
		w.apply(map[string]string{"clients/a.yaml": client("a", "aliases: [www.a.example]"), "clients/b.yaml": client("b")})
		p := w.proposed(1, map[string]string{"clients/a.yaml": client("a", "env: {COLOUR: red}"), "clients/b.yaml": client("b", "notes: one")})
		w.apply(map[string]string{"clients/a.yaml": client("a", "no: such")}) // pushed
		files := map[string]string{"clients/b.yaml": client("b", "notes: one")}
		if !left {
			files["clients/a.yaml"] = client("a", "no: way")
		}
		p.Files, p.Shown, p.Static = map[string]string{"clients/a.yaml": state.Unmerged}, nil, true
		p.Open, p.Merged, p.MergeCommit = false, true, w.repo.commit(files, p.Head)
		w.putPull(p)
		w.pass(w.poll()...)
		w.want("b", state.StatusActive)
		w.apply(map[string]string{"clients/a.yaml": client("a")}) // pushed: the alias goes
		w.want("a", map[bool]state.Status{true: state.StatusActive, false: state.StatusHeld}[left])
	}
}

// What only the state tells of a file is said before it is merged, once, and not after that: a name that is still
// another client's, whose removal was merged and waits; data that is kept under its name; a former name that
// nobody had. What the proposal itself makes wait is told with its hold.
func TestProposalIsToldWhatTheStateRefuses(t *testing.T) {
	_, w := newVendors(t)
	w.engine.Guard.MaxDeletes = 1
	led := func(name, to string) string {
		return strings.Replace(client(name), "domain: "+name, "domain: "+to, 1)
	}
	files := map[string]string{}
	for _, name := range []string{"bakery", "cakes", "demo", "eggs", "figs", "gifts"} {
		files["clients/"+name+".yaml"] = client(name)
	}
	w.apply(files)
	refuses := func(files map[string]string, because string) {
		t.Helper()
		if j := w.judged(files); len(j.Problems) != 1 || j.Problems[0].Warning || !strings.Contains(j.Problems[0].Text, because) {
			t.Errorf("it says %+v, want %q", j.Problems, because)
		}
	}
	w.apply(map[string]string{"clients/bakery.yaml": ""})
	refuses(map[string]string{"clients/bakery.yaml": led("bakery", "bread")}, "doesn't say whether it is the same client")
	refuses(map[string]string{"clients/new.yaml": client("new", "previously: [never]")}, "nobody here is called never")
	two := map[string]string{"clients/cakes.yaml": "", "clients/demo.yaml": "", "clients/eggs.yaml": led("eggs", "cakes")}
	if j := w.judged(two); len(j.Problems) != 0 || len(j.Waits) == 0 {
		t.Errorf("what waits by itself: %+v, %d holds", j.Problems, len(j.Waits))
	}
	w.apply(two)
	refuses(map[string]string{"clients/figs.yaml": led("figs", "demo")}, "demo.agency.example is still demo's: its removal is held")
	if j := w.judged(map[string]string{"clients/gifts.yaml": led("gifts", "presents")}); len(j.Problems) != 0 {
		t.Errorf("nothing is wrong with it: %+v", j.Problems)
	}
}

// With `guard.removals: reviewed` the plan that shows a removal does not say that nobody showed it.
func TestRuleGuardReviewedIsShownByThePlan(t *testing.T) {
	_, w := newVendors(t)
	w.engine.Guard.ReviewedOnly = true
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/cakes.yaml": client("cakes"), "clients/demo.yaml": client("demo")})
	if j := w.judged(map[string]string{"clients/bakery.yaml": ""}); len(j.Changes) != 1 || len(j.Waits) != 0 {
		t.Errorf("%d changes; what waits: %+v", len(j.Changes), j.Waits)
	}
}
